"""RulePolicy: a tuned rule as the policy of a plan, and in the TOML file."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

import surgetank
from surgetank import InvalidInput, RulePolicy
from surgetank.backtest import planned_by, policy_toml, write_policy
from surgetank.config import TEMPLATE, Config

DAY = 86400.0
RULES = [
    surgetank.ForecastRule(factor=1.05, quantile=0.99),
    surgetank.ForecastRule(lower=None),
    surgetank.PercentileRule(quantile=0.995, factor=1.2, window_s=7 * DAY, of="demand", lower=0.9),
    surgetank.PeakRule(factor=2.1, window_s=3 * DAY, threshold=0.7),
    surgetank.ThresholdRule(threshold=0.75, factor=1.5),
]


def usage(seed=0, days=40, regions=3, per_day=24):
    rng = np.random.default_rng(seed)
    t = np.arange(days * per_day)[:, None]
    return (
        (100 + 20 * np.arange(regions))
        * (1 + 0.3 * np.sin(t / per_day * 2 * np.pi))
        * rng.lognormal(0, 0.1, (days * per_day, regions))
    )


def sized(u, policy, quota=math.inf, **more):
    given = {"step_s": 3600, "scenarios": "N-1", "quota": np.where(np.isinf(quota), 1e6, quota)}
    return surgetank.size_headroom(u, policy=policy, **{**given, **more})


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_plan_needs_what_a_backtest_would_have_asked_for(rule):
    """Replayed up to now, the first quota of a backtest that begins now is what the plan says."""
    u = usage()
    found = sized(u, RulePolicy(rule=rule))
    later = np.concatenate([u, u[:30]])
    run = surgetank.backtest(
        later, policies=[dataclasses.replace(rule)], step_s=3600, scenarios="N-1", warmup_s=len(u) * 3600.0
    )
    np.testing.assert_allclose(found.need, run.last_quota[0], rtol=1e-12)
    np.testing.assert_allclose(found.needed, np.maximum(0, run.last_quota[0] - u[-1]), rtol=1e-12)
    assert (found.status == "OK").all()


def test_status_shortfall_and_reason():
    u = np.full((30 * 24, 2), 100.0)
    policy = RulePolicy(rule=surgetank.PeakRule(factor=2.0, window_s=DAY))
    found = sized(u, policy, quota=np.array([150.0, 250.0]))
    assert found.needed.tolist() == [100.0, 100.0]
    assert found.shortfall.tolist() == [50.0, 0.0]
    assert found.status.tolist() == ["CRITICAL", "OK"]
    assert found.reason.tolist() == [
        "The rule (peak ×2 of 1 d) wants a quota of 200: 100 free, but 50 of 150 is: 50 short; raise the quota to 200 "
        "or more.",
        "The rule (peak ×2 of 1 d) wants a quota of 200: 100 free; 150 of 250 is.",
    ]
    assert found.attribution.tolist() == ["rule: peak ×2 of 1 d"] * 2


def test_below_its_threshold_a_rule_needs_no_more_than_there_is():
    u = np.full((30 * 24, 1), 100.0)
    policy = RulePolicy(rule=surgetank.PeakRule(factor=2.0, window_s=DAY, threshold=0.8))
    assert sized(u, policy, quota=150.0, scenarios=None).needed.tolist() == [50.0]  # two thirds: nothing is asked for
    assert sized(u, policy, quota=120.0, scenarios=None).needed.tolist() == [100.0]


def test_what_is_not_known_is_unknown():
    u = usage()
    assert sized(u, RulePolicy(), quota=np.array([1e6, 1e6, math.nan])).unknown.tolist() == ["none", "none", "no_quota"]
    u[:, 1] = math.nan  # so what would land on the others is not known either
    found = sized(u, RulePolicy())
    assert found.status.tolist() == ["UNKNOWN"] * 3
    assert found.unknown.tolist() == ["no_source", "no_usage", "no_source"]
    assert found.reason[0] == "The rule has nothing to go by: what would land here was never observed."


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_it_is_written_into_the_file_as_it_will_be_used(tmp_path, rule):
    path = tmp_path / "surgetank.toml"
    path.write_text(TEMPLATE, encoding="utf-8")
    policy = RulePolicy(rule=rule, lead_time_s=DAY, review_s=3600.0)
    write_policy(path, policy)
    config = Config.read(path)
    assert config.policy == policy
    assert config.scenarios == Config.read(path).scenarios == ("N-1",)
    first = path.read_text(encoding="utf-8")
    write_policy(path, policy)
    assert path.read_text(encoding="utf-8") == first
    kept = [line for line in TEMPLATE.splitlines() if line.startswith("#")]
    assert [line for line in first.splitlines() if line.startswith("#")] == kept  # every comment is where it was


def test_a_quantile_policy_is_written_too(tmp_path):
    path = tmp_path / "new.toml"
    policy = planned_by(surgetank.SizedRule(policy=surgetank.QuantilePolicy(risk=0.01)), lead_time_s=1.0, review_s=1.0)
    write_policy(path, policy)
    assert Config.read(path).policy == surgetank.QuantilePolicy(risk=0.01)
    assert policy_toml(policy) == '[policy]\nname = "quantile"\nrisk = 0.01\n'


def test_what_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="policy: must be a rule, or a QuantilePolicy as it is"):
        planned_by(surgetank.SizedRule(policy=surgetank.ClassicPolicy()), lead_time_s=1.0, review_s=1.0)
    path = tmp_path / "inline.toml"
    path.write_text('policy = { name = "classic" }\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="must have its \\[policy\\] as tables of their own"):
        write_policy(path, RulePolicy())
    assert path.read_text(encoding="utf-8") == 'policy = { name = "classic" }\n'
    path.write_text("not toml", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"inline\.toml: must be readable TOML"):
        write_policy(path, RulePolicy())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "forcast"', "surgetank.toml, line 4: kind: must be a rule, forecast, percentile, peak, threshold, "
         "learned; did you mean 'forecast'? (got 'forcast')"),
        ('kind = "peak"\nfactr = 2', "surgetank.toml, line 5: factr: is no option of the rule peak; did you mean "
         "'factor'? (got 2)"),
        ("factor = 0", "surgetank.toml, line 4: factor: must be a positive number (got 0)"),
    ],
)  # fmt: skip
def test_mistakes_in_the_file_are_named_with_their_line(tmp_path, text, message):
    path = tmp_path / "surgetank.toml"
    path.write_text(f'[policy]\nname = "rule"\n[policy.rule]\n{text}\n', encoding="utf-8")
    with pytest.raises(InvalidInput) as error:
        Config.read(path)
    assert str(error.value) == message


def test_it_is_a_plain_value():
    policy = RulePolicy(rule=RULES[2])
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert policy.to_dict()["rule"]["quantile"] == 0.995
    with pytest.raises(InvalidInput, match="rule: must be one of ForecastRule"):
        RulePolicy(rule=surgetank.QuantilePolicy())


def test_however_seldom_it_is_looked_at():
    usage = 100 + 10 * np.sin(np.arange(24 * 20)[:, None] / 24 * 2 * np.pi)
    policy = surgetank.RulePolicy(rule=surgetank.PeakRule(window_s=7 * DAY), review_s=1e30)
    assert surgetank.size_headroom(usage, quota=[200.0], step_s=3600, policy=policy).needed[0] > 0
