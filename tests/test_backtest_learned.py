"""LearnedRule: what it learns from is the twin's, it never looks ahead, and quotas of any size are alike to it."""

import math
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest

import oracles_backtest
import oracles_learned
import surgetank
from surgetank import InvalidInput, LearnedRule, MissingExtra
from surgetank.backtest import learning
from surgetank.backtest.learning import LEAST_ROWS, Observed, Reach, learned_levels, rolled, rolling_top
from surgetank.backtest.setting import Setting

HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def library():
    pytest.importorskip("sklearn", reason="the extra [forecast] is not installed")


def load(days, width=1, *, per_day=4, seed=0, gaps=0.0):
    rng = np.random.default_rng(seed)
    t = np.arange(days * per_day)[:, None]
    week = 1 + 0.4 * (t // per_day % 7 < 2)
    u = 100 * week * (1 + 0.4 * np.sin(t / per_day * 2 * np.pi)) * rng.lognormal(0, 0.2, (len(t), width))
    u *= np.geomspace(1, 50, width)
    u[rng.random(u.shape) < gaps] = math.nan
    return u


def fails(width, hours=6):
    """Each fails onto the others; a single one doubles in place."""
    if width == 1:
        return [surgetank.Scenario("surge", "0", {"0": 1.0}, multiplier=2.0, duration_s=hours * HOUR)]
    names, share = [str(i) for i in range(width)], 1 / (width - 1)
    return [
        surgetank.Scenario(f"{a} fails", a, {b: share for b in names if b != a}, duration_s=hours * HOUR) for a in names
    ]


def setting(u, *, step_s=6 * HOUR, hours=6, **options):
    given = {
        "step_s": step_s, "scenarios": fails(u.shape[1], hours), "lead_time_s": DAY, "review_s": None,
        "warmup_s": 7 * DAY, "quota": None, "regions": None, "needs_s": 0.0, "moments": None, "seed": 0, "threads": 1,
    }  # fmt: skip
    return Setting.of(u, **{**given, **options})


def events(width, column, length):
    share = 1 / max(1, width - 1)
    return [(length, 2.0, [])] if width == 1 else [(length, 1.0, [(a, share)]) for a in range(width) if a != column]


def carried(u, length):
    """Demand and peak by the twin of the backtest."""
    columns = range(u.shape[1])
    of = [(u, i, events(u.shape[1], i, length)) for i in columns]
    return (
        np.stack([oracles_backtest.demand(*args) for args in of], axis=1),
        np.stack([oracles_backtest.peak_of(*args) for args in of], axis=1),
    )


WORLDS = [
    (45, 2, 0.0, {}, 6),
    (45, 2, 0.2, {"lead_time_s": 0}, 24),
    (50, 1, 0.1, {"lead_time_s": 9 * DAY, "review_s": 2 * DAY}, 6),
    (24, 3, 0.0, {"review_s": 12 * HOUR, "warmup_s": 3 * DAY}, 12),
    (40, 2, 0.0, {"review_s": 30 * HOUR, "lead_time_s": 2.5 * DAY}, 6),
]


@pytest.mark.parametrize(("days", "width", "gaps", "options", "hours"), WORLDS)
def test_what_is_learnt_from_is_the_twins(days, width, gaps, options, hours):
    u = load(days, width, gaps=gaps, seed=days)
    where = setting(u, hours=hours, **options)
    observed, reach = Observed.of(where), Reach.of(where)
    demand, peak = carried(u, hours // 6)
    given = {"day": 4, "every": where.every, "lead": where.lead, "length": hours // 6}
    moments = np.arange((where.first - 1) % where.every, len(u), where.every)
    found = observed.rows(moments)
    assert reach.end == where.lead + where.every * math.ceil((where.lead + 1) / where.every) + hours // 6 - 1
    for i in range(width):
        forecasts = oracles_learned.forecasts(demand[:, i], peak[:, i], first=where.first - 1, **given)
        for m, t in enumerate(moments.tolist()):
            base, seen, ratio = oracles_learned.row(demand[:, i], peak[:, i], forecasts[t], t, **given)
            np.testing.assert_allclose(found.base[m, i], base, rtol=1e-9)
            np.testing.assert_allclose(found.seen[m, i], seen, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(found.ratio[m, i], ratio, rtol=1e-9, atol=1e-9)


def least_squares(seen, ratio):
    """A stand-in for the library, smooth in what it is given."""
    weights = np.linalg.solve(seen.T @ seen + 10 * np.eye(seen.shape[1]), seen.T @ ratio)
    return lambda asked: asked @ weights


@pytest.mark.parametrize(("days", "width", "gaps", "options", "hours"), WORLDS[:4])
def test_when_it_is_learnt_is_the_twins(days, width, gaps, options, hours):
    u = load(days, width, gaps=gaps, seed=days + 1)
    where = setting(u, hours=hours, **options)
    demand, peak = carried(u, hours // 6)
    wanted = oracles_learned.levels(
        demand, peak, least_squares, day=4, first=where.first - 1, every=where.every, lead=where.lead,
        length=hours // 6, refit=20,
    )  # fmt: skip
    found = rolled(where, least_squares, 20 * where.step_s)
    np.testing.assert_allclose(found, wanted, rtol=1e-7)


def test_levels_are_the_librarys_on_the_twins_rows(library):
    u = load(60, 2, seed=8)
    where = setting(u)
    demand, peak = carried(u, 1)
    given = {"day": 4, "every": 4, "lead": where.lead, "length": 1}
    wanted = oracles_learned.levels(
        demand, peak, learning.learner(0.9), first=where.first - 1, refit=4 * 28, **given
    )  # fmt: skip
    np.testing.assert_allclose(learned_levels(where, 0.9, 28 * DAY), wanted, rtol=1e-6)


@pytest.mark.parametrize("hours", [6, 15])  # of 6 h each, 2.5 samples are 3
@pytest.mark.parametrize("later", [7.0, math.nan])
def test_what_it_says_does_not_depend_on_what_comes_later(library, later, hours):
    u = load(90, 2, gaps=0.05)
    at = {"hours": hours, "review_s": DAY if hours == 6 else 6 * HOUR}
    found = learned_levels(setting(u, **at), 0.95, 7 * DAY)
    for end in (60 * 4, 80 * 4 + 3):
        other = u.copy()
        other[end:] = other[end:][::-1] * later
        where = setting(other, **at)
        before = where.decisions < end
        assert before.sum() > 40
        assert np.array_equal(learned_levels(where, 0.95, 7 * DAY)[before], found[before], equal_nan=True)
    shorter = setting(u[: 70 * 4], **at)
    assert np.array_equal(learned_levels(shorter, 0.95, 7 * DAY), found[: len(shorter.decisions)], equal_nan=True)


def test_a_failover_lasts_as_long_as_in_the_core():
    assert Reach.of(setting(load(20), hours=15)).length == 3  # NumPy and Python would round 2.5 down
    u = np.arange(1.0, 81.0)[:, None]
    assert setting(u, hours=15).carried()["peak"][0, 0] == 2 * u[2, 0]


def test_which_moments_are_judged_is_not_what_is_learnt_from(library):
    u = load(60, 2)
    few = setting(u, moments=20)
    assert np.isnan(few.carried()["peak"]).mean() > 0.5
    assert np.array_equal(learned_levels(few, 0.9, 7 * DAY), learned_levels(setting(u), 0.9, 7 * DAY))


@pytest.mark.parametrize("width", [1, 3])
def test_how_long_the_history_is_changes_no_bit_of_the_past(width):
    u = load(60, width, seed=9, gaps=0.1)
    whole = Observed.of(setting(u))
    moments = np.arange(6 * 4 + 3, 60 * 4, 4)
    together = whole.rows(moments)
    for m, t in enumerate(moments.tolist()):
        alone = Observed.of(setting(u[: t + 1], warmup_s=6 * DAY)).rows(np.array([t]))
        assert np.array_equal(alone.base[0], together.base[m], equal_nan=True)
        assert np.array_equal(alone.seen[0], together.seen[m])


def test_how_many_are_looked_at_together_changes_nothing(library, monkeypatch):
    where = setting(load(40, 3, seed=12), review_s=6 * HOUR)
    whole = learned_levels(where, 0.9, 7 * DAY)
    monkeypatch.setattr(learning, "AT_A_TIME", 20)
    assert np.array_equal(learned_levels(where, 0.9, 7 * DAY), whole)


def test_it_grows_with_the_load(library):
    u = load(90, 1, seed=2)
    one = learned_levels(setting(u), 0.9, 28 * DAY)
    for scale in (2.0, 1e6, 0.37):
        np.testing.assert_allclose(learned_levels(setting(scale * u), 0.9, 28 * DAY), scale * one, rtol=1e-9)


def test_quotas_of_any_size_are_learnt_from_alike(library):
    """In places of their own (no failover), so that one may grow without the others."""
    u = load(60, 3, seed=5)
    alone = {"scenarios": None, "regions": ["a", "b", "c"]}
    one = learned_levels(setting(u, **alone), 0.9, 28 * DAY)
    scale = np.array([1.0, 1000.0, 0.25])
    np.testing.assert_allclose(learned_levels(setting(u * scale, **alone), 0.9, 28 * DAY), one * scale, rtol=1e-9)


def test_it_says_the_same_twice_and_by_any_number_of_threads(library):
    u = load(50, 4, seed=6)
    rule = LearnedRule(quantile=0.95)
    runs = [
        surgetank.backtest(u, policies=[rule], step_s=6 * HOUR, scenarios=fails(4), threads=threads)
        for threads in (1, 1, 2)
    ]
    assert runs[0].table().to_records() == runs[1].table().to_records() == runs[2].table().to_records()


def test_tuning_chooses_among_them(library):
    """Half of the quotas are tuned on, and the others judged."""
    u = load(70, 4, seed=7)[:, :, None]
    rules = surgetank.grid(LearnedRule, factor=[0.8, 1.2], quantile=0.9)
    given = {
        "policies": rules, "risk": 0.1, "confidence": None, "step_s": 6 * HOUR, "regions": ["a"],
    }  # fmt: skip
    one, two = (surgetank.tune(u, **given) for _ in range(2))
    assert isinstance(one.choice.policy, LearnedRule)
    assert str(one) == str(two)
    assert one.held_back.risk == two.held_back.risk
    assert surgetank.estimate_tuning_s(u, **given) > 0


def test_what_differs_in_factor_alone_is_learnt_once(library, monkeypatch):
    calls = []
    module = sys.modules[LearnedRule.__module__]
    monkeypatch.setattr(module, "learned_levels", lambda *args: calls.append(args[1:]) or learned_levels(*args))
    rules = surgetank.grid(LearnedRule, factor=[1.0, 1.1, 1.2], lower=[None, 0.9], quantile=[0.9, 0.95])
    run = surgetank.backtest(load(40), policies=rules, step_s=6 * HOUR)
    assert calls == [(0.9, 28 * DAY), (0.95, 28 * DAY)]
    risks = run.risk[:, 0].reshape(3, 2, 2)
    assert (np.diff(risks, axis=0) <= 0).all()  # a larger factor is never riskier, raise-only or not


def test_it_covers_what_it_is_asked_to(library):
    u = load(200, 6, seed=11)
    where = setting(u, warmup_s=100 * DAY)
    observed = Observed.of(where)
    served = where.decisions + observed.reach.lead + observed.reach.horizon
    inside = served < len(u)
    came = observed.served_top[served[inside]]
    for quantile in (0.8, 0.95):
        covered = (came <= learned_levels(where, quantile, 28 * DAY)[inside]).mean()
        assert abs(covered - quantile) < 0.04


@pytest.mark.filterwarnings("error")
def test_series_that_say_little(library):
    u = load(70, 6, seed=3)
    u[:, 0] = 0.0
    u[:, 1] = 7.0
    u[:, 2] = math.nan
    u[: 50 * 4, 3] = math.nan  # a late start
    u[20 * 4 : 40 * 4, 4] = 0.0
    u[30 * 4 : 45 * 4, 5] = math.nan
    found = learned_levels(setting(u, scenarios=None, regions=list("abcdef")), 0.95, 7 * DAY)
    assert (np.nan_to_num(found[:, 0]) < 1e-200).all()
    assert np.isfinite(found[:, [0, 1, 4, 5]]).all()
    assert np.isnan(found[:, 2]).all()
    days = np.arange(7, 71)
    assert np.array_equal(np.isnan(found[:, 3]), days <= 50)
    assert (found[-10:, 1] > 5).all()
    assert (found[-10:, 1] < 15).all()


@pytest.mark.parametrize("shape", [0.0, 5.0, math.nan])
def test_all_series_constant_or_missing(library, shape):
    found = learned_levels(setting(np.full((60 * 4, 2), shape)), 0.95, 7 * DAY)
    if math.isnan(shape):
        assert np.isnan(found).all()
    else:
        np.testing.assert_allclose(found, 2 * shape, rtol=0.02, atol=1e-100)


def test_before_there_is_enough_the_base_is_the_forecast(library):
    u = load(30, 1)
    where = setting(u)
    assert LEAST_ROWS > 30
    observed = Observed.of(where)
    forecast = observed.forecast[(where.decisions - observed.origin) // where.every]
    fortnight = rolling_top(where.carried()["demand"], 14 * 4)[where.decisions]
    found = learned_levels(where, 0.95, 7 * DAY)
    np.testing.assert_array_equal(found[:, 0], np.fmax(forecast, fortnight)[:, 0])


@pytest.mark.parametrize(
    ("step_s", "per_day", "days"), [(300.0, 288, 40), (HOUR, 24, 80), (DAY, 1, 90), (2 * DAY, 1, 60)]
)
@pytest.mark.parametrize("lead_time_s", [0, 3 * DAY, 15 * DAY])
def test_any_step_and_lead_time(library, step_s, per_day, days, lead_time_s):
    u = load(days, 3, per_day=per_day, seed=1)
    rule = LearnedRule(quantile=0.9)
    run = surgetank.backtest(
        u, policies=[rule], step_s=step_s, scenarios=fails(3, 48), lead_time_s=lead_time_s, regions=list("012")
    )
    assert np.isfinite(run.risk).all()
    assert (run.risk < 0.7).all()


def test_a_plan_can_be_made_by_it(library):
    u = load(90, 2, seed=4)
    rule = LearnedRule(quantile=0.9, factor=1.1)
    policy = surgetank.RulePolicy(rule=rule, lead_time_s=DAY)
    given = {"step_s": 6 * HOUR, "scenarios": fails(2), "regions": ["0", "1"]}
    need = surgetank.size_headroom(u, quota=np.array([1e6, 1e6]), policy=policy, **given).need
    # A backtest whose first decision is at the end of what the plan knows.
    level = learned_levels(setting(np.concatenate([u, u[:1]]), warmup_s=90 * DAY), 0.9, 28 * DAY)[0]
    np.testing.assert_array_equal(need, 1.1 * level)
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_it_is_written_into_the_file_as_it_will_be_used(tmp_path):
    from surgetank.backtest import planned_by, write_policy
    from surgetank.config import Config

    policy = planned_by(LearnedRule(quantile=0.9, lower=None), lead_time_s=DAY, review_s=HOUR)
    path = tmp_path / "surgetank.toml"
    write_policy(path, policy)
    assert Config.read(path).policy == policy
    assert 'kind = "learned"' in path.read_text()


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    rule = LearnedRule()
    with pytest.raises(MissingExtra) as error:
        surgetank.backtest(load(40), policies=[rule], step_s=6 * HOUR)
    assert str(error.value) == "LearnedRule needs scikit-learn: pip install scikit-learn, or surgetank[forecast]"


def test_it_is_a_plain_value():
    rule = LearnedRule(quantile=0.99, factor=1.05, threshold=0.9, lower=None)
    assert str(rule) == "learned P99 ×1.05, at 90%"
    assert rule.to_dict() == {
        "name": "learned", "quantile": 0.99, "factor": 1.05, "threshold": 0.9, "lower": None, "refit_s": 28 * DAY,
    }  # fmt: skip
    assert pickle.loads(pickle.dumps(rule)) == rule == replace(rule, factor=1.05)
    assert hash(rule) == hash(replace(rule))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("quantile", 1.0, "quantile: must lie between 0 and 1 (got 1.0)"),
        ("quantile", 0, "quantile: must lie between 0 and 1 (got 0)"),
        ("quantile", math.nan, "quantile: must lie between 0 and 1 (got nan)"),
        ("quantile", "high", "quantile: must lie between 0 and 1 (got 'high')"),
        ("factor", 0, "factor: must be a positive number (got 0)"),
        ("threshold", -1, "threshold: must be a positive number (got -1)"),
        ("lower", 1.5, "lower: must be a share in (0, 1] (got 1.5)"),
        ("refit_s", 0, "refit_s: must be a finite duration of more than 0 seconds (got 0)"),
    ],
)
def test_bad_options_are_named(option, value, message):
    with pytest.raises(InvalidInput) as error:
        LearnedRule(**{option: value})
    assert str(error.value) == message


def test_the_highest_of_every_window():
    rng = np.random.default_rng(0)
    values = rng.random((40, 2))
    values[rng.random(values.shape) < 0.5] = math.nan
    for window in (1, 2, 3, 7, 39, 40, 41, 100):
        found = rolling_top(values, window)
        for t in range(40):
            for i in range(2):
                wanted = oracles_learned.highest(values[max(0, t - window + 1) : t + 1, i])
                assert found[t, i] == wanted or (math.isnan(wanted) and math.isnan(found[t, i]))
