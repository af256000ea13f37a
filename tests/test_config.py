"""The TOML file: its template, what it means, and a line number for every mistake."""

import re
from pathlib import Path

import pytest

from clear import clear_error
from surgetank import (
    AdaptiveDetector,
    ClassicPolicy,
    History,
    InvalidInput,
    QuantilePolicy,
    RollingSigma,
    Scenario,
    Store,
    Thresholds,
    cli,
)
from surgetank._commands import POLICY_NAMES
from surgetank.config import TEMPLATE, Config
from surgetank.headroom import POLICIES

FIRST = '[[scenario]]\nname = "first"\nsource = "us-east-1"\ntargets = { us-west-2 = 1.0 }\n'
SECOND = FIRST.replace("first", "second")
HUGE = "1" + "0" * 400


@pytest.fixture
def read(tmp_path):
    def call(text):
        path = tmp_path / "surgetank.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Config.read(path)

    return call


@pytest.fixture
def run_plan(tmp_path, monkeypatch, capsys):
    """`surgetank plan` with that TOML over a store of two Regions; gives exit code and standard error."""
    monkeypatch.chdir(tmp_path)
    usage = [[60.0, 30.0]] * 40
    made = {"start": "2026-01-01T00:00Z", "step_s": 300, "regions": ["us-east-1", "us-west-2"], "service_code": "ec2"}
    world = History.from_array(usage, quota=100.0, **made)
    with Store("surgetank.db", create=True) as store:
        store.import_quotas(world.quotas)
        store.add_samples(world.samples())

    def call(text):
        Path("surgetank.toml").write_text(text)
        capsys.readouterr()
        return cli.main(["plan"]), capsys.readouterr().err

    return call


def uncommented(template):
    """Every setting of the template in force; sentences stay comments."""
    return re.sub(r'^# (?=\[|["\w./-]+ = )', "", template, flags=re.MULTILINE)


def test_the_template_is_the_defaults(read):
    config, bare = read(TEMPLATE), Config()
    assert config.scenarios == ("N-1",)
    for name in ("step_s", "stale_after_s", "keep_s", "policy", "costs", "require", "min_coverage"):
        assert getattr(config, name) == getattr(bare, name), name
    assert config.thresholds == {"*": Thresholds()}


def test_everything_in_the_template_loads_uncommented(read):
    text = uncommented(TEMPLATE)
    assert text.count("\n#") < TEMPLATE.count("\n#") - 20
    config = read(text)
    assert config.scenarios[0] == "N-1"
    assert config.scenarios[1] == Scenario(
        "evacuate us-east-1", "us-east-1", {"us-west-2": 0.6, "eu-west-1": 0.4}, event="storm"
    )
    assert (config.step_s, config.stale_after_s, config.min_coverage) == (300, 3600, 0)
    assert config.policy == QuantilePolicy(growth=1.0, history_s=90 * 86400, cost_cap=1000.0, risk_normal=0.001)
    assert config.policies["classic"] == ClassicPolicy(cost_cap=1000.0)
    assert dict(config.thresholds) == {"*": Thresholds(), "lambda/*": Thresholds(0.5, 0.7)}
    assert dict(config.costs) == {"ec2/L-1216C47A": 0.05}
    assert config.require == ("ec2/*",)


def test_what_the_file_says_is_what_is_used(read, tmp_path):
    config = read(
        'store = "sub/x.db"\nscenarios = ["shipped"]\n'
        '[policy]\ntrend = "hour"\nhistory_s = 3600\nspike_window = 20\nspike_threshold = 3\n'
        '[thresholds]\nwarning_frac = 0.4\n[thresholds."a/*"]\ncritical_frac = 0.9\n'
        "[thresholds.b]\nwarning_frac = 0.1\n"
    )
    assert config.store == tmp_path / "sub/x.db"  # relative to the file, not to the working folder
    assert config.policy == ClassicPolicy(trend="hour", history_s=3600, detector=RollingSigma(window=20, threshold=3.0))
    # What a pattern does not say it takes from [thresholds]; the last pattern that matches counts, so order stays.
    assert list(config.thresholds.items()) == [
        ("*", Thresholds(0.4, 0.85)),
        ("a/*", Thresholds(0.4, 0.9)),
        ("b", Thresholds(0.1, 0.85)),
    ]


def test_scenarios_are_the_stores_own_unless_the_file_names_some(read):
    assert read("").scenarios is None
    assert read("scenarios = []").scenarios == ()
    together = FIRST.replace('"us-east-1"', '["us-east-1", "eu-west-1"]')
    assert read(together).scenarios[0].source == ("us-east-1", "eu-west-1")


MISTAKES = [
    # An unknown key: its line and the nearest valid one.
    ("[polcy]\n", 1, ["polcy", "did you mean 'policy'"]),
    ("\n\npolcy = 1", 3, ["polcy", "did you mean 'policy'"]),
    ("[policy]\ntrend = 'hour'\ncost_kap = 5", 3, ["cost_kap", "[policy]", "did you mean 'cost_cap'"]),
    ("[history]\nstep = 5", 2, ["step", "[history]", "did you mean 'step_s'"]),
    ("[check]\ncoverage = 1", 2, ["coverage", "[check]", "did you mean 'min_coverage'"]),
    ("[thresholds]\nwarn_frac = 0.5", 2, ["warn_frac", "did you mean 'warning_frac'"]),
    ('[thresholds."a"]\n# warning_frac\nwarn_frac = 0.5', 3, ["warn_frac", "did you mean 'warning_frac'"]),
    ("[policy.spikes]\nx = 1", 1, ["spikes", "[policy]"]),
    (FIRST + SECOND + "multiplyer = 2", 9, ["multiplyer", "did you mean 'multiplier'"]),
    (FIRST + 'scenarios = ["N-1"]', 5, ["scenarios", "scenario"]),
    # The same key elsewhere is not the one that is wrong.
    (
        '[thresholds]\nwarning_frac = 0.5\n[thresholds."a"]\nwarning_frac = 0.5\n[thresholds."b"]\nwarning_frac = -1',
        6,
        ["warning_frac", "-1"],
    ),
    (FIRST + "probability = 0.1\n" + SECOND + "probability = 1.5", 10, ["probability", "[0, 1]", "1.5"]),
    # Wrong types and values.
    ("store = 5", 1, ["store", "text", "5"]),
    ("history = 5", 1, ["history", "table", "5"]),
    ("[[history]]\nstep_s = 5", 1, ["history", "table"]),
    ("[history]\nstep_s = 0", 2, ["step_s", "more than 0", "0"]),
    ("[history]\nstep_s = true", 2, ["step_s", "True"]),
    ("[history]\nstep_s = 0.5", 2, ["step_s", "whole", "0.5"]),
    (f"[history]\nstep_s = {HUGE}", 2, ["step_s"]),
    ("[history]\nstale_after_s = '1h'", 2, ["stale_after_s", "seconds", "1h"]),
    ("[policy]\nname = 'clasic'", 2, ["name", "did you mean 'classic'"]),
    ("[policy]\nname = 5", 2, ["name", "classic", "5"]),
    ("[policy]\ntrend = 'week'", 2, ["trend", "sample", "hour", "week"]),
    ("[policy]\ncost_cap = -1", 2, ["cost_cap", "0 or more", "-1"]),
    (f"[policy]\ncost_cap = {HUGE}", 2, ["cost_cap"]),
    ("[policy]\nhistory_s = '30 days'", 2, ["history_s", "30 days"]),
    ("[policy]\nspike_window = 2.5", 2, ["spike_window", "whole", "2.5"]),
    ("[policy]\n\nspike_threshold = 5.0", 3, ["spike_threshold", "2.846", "5"]),
    ("[thresholds]\nwarning_frac = 'x'", 2, ["warning_frac", "x"]),
    ("[thresholds]\nwarning_frac = 0.8\ncritical_frac = 0.7", 3, ["critical_frac", "at least", "0.8", "0.7"]),
    ("[costs]\nec2 = 1\n'rds/*' = -1", 3, ["costs", "rds/*", "0 or more", "-1"]),
    ("[costs]\nec2 = nan", 2, ["costs", "ec2", "nan"]),
    ("[costs]\nec2 = true", 2, ["costs", "ec2", "True"]),
    ("[check]\nrequire = 'ec2'", 2, ["require", "list of texts", "ec2"]),
    ("[check]\nrequire = [1]", 2, ["require", "list of texts", "[1]"]),
    ("[check]\nmin_coverage = 2", 2, ["min_coverage", "[0, 1]", "2"]),
    ("scenarios = 'N-1'", 1, ["scenarios", "list of texts", "N-1"]),
    ("scenarios = ['N-1', 'shiped']", 1, ["scenarios", "did you mean 'shipped'"]),
    ("[scenario]\nname = 'a'", 1, ["scenario", "[[scenario]]"]),
    ("scenario = [1]", 1, ["scenario", "1"]),
    (FIRST.replace('"us-east-1"', "5"), 3, ["source", "Region", "5"]),
    (FIRST.replace('"us-east-1"', "[]"), 3, ["source", "Region"]),
    (FIRST + 'kind = "regional_failovr"', 5, ["kind", "did you mean 'regional_failover'"]),
    # The second scenario: its own line, not the first one's.
    (FIRST + SECOND.replace("1.0", "2.0"), 8, ["targets", "at most 1", "2.0"]),
    (FIRST + SECOND.replace("{ us-west-2 = 1.0 }", "{}"), 8, ["targets", "at least one Region"]),
    (FIRST + '[[scenario]]\nname = "b"\n', 5, ["source", "must be given"]),
    (FIRST + SECOND + "duration_s = 2026-01-01", 9, ["duration_s", "duration"]),
    (FIRST + SECOND + f"multiplier = {HUGE}", 9, ["multiplier"]),
    (
        FIRST + SECOND.replace("targets = { us-west-2 = 1.0 }", "[scenario.targets]\nus-west-2 = 2.0"),
        8,
        ["targets", "2.0"],
    ),
    # Other spellings of the same tables.
    ("policy = { trend = 'week' }", 1, ["trend", "week"]),
    ("store = 'x'\npolicy.trend = 'week'", 2, ["trend", "week"]),
    ("history.step = 5", 1, ["step", "did you mean 'step_s'"]),
    ("[thresholds]\n'lambda/*' = { warning_frac = -2 }", 2, ["warning_frac", "-2"]),
    ("[thresholds.'my own/*']\nwarning_frac = -2", 2, ["warning_frac", "-2"]),
    ("[thresholds.'ec[23]']\nwarning_frac = -2", 2, ["warning_frac", "-2"]),
    ("costs.ec2 = -1", 1, ["costs", "ec2", "-1"]),
    ("['check']\n  'min_coverage'  = 2", 2, ["min_coverage", "2"]),
    ("\ufeff[check] # a comment\r\n\r\nmin_coverage = 2\r\n", 3, ["min_coverage", "2"]),
    # Lines are those of an editor, whatever texts and comments hold.
    ("# a\u2028b\n[check]\nmin_coverage = 2", 3, ["min_coverage", "2"]),
    ('store = """\n[check]\nmin_coverage = 1\n"""\n[check]\nmin_coverage = 2', 6, ["min_coverage", "2"]),
]


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_named_with_its_line(read, text, line, words):
    with clear_error(InvalidInput, f"surgetank.toml, line {line}:", *words):
        read(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = = 1", ["valid TOML", "line 1"]),
        ("\n[check\n", ["valid TOML", "line 2"]),
        ("[check]\n[check]", ["valid TOML", "line 2"]),
        ("store = 'x", ["valid TOML", "end of document"]),
        (b"[check]\n\0", ["valid TOML", "line 2"]),
        (b"\xff\xfe[", ["surgetank.toml", "UTF-8"]),
        ("a = " + "[" * 5000, ["valid TOML"]),
        ("[history]\nstep_s = 1" + "0" * 5000, ["surgetank.toml"]),  # Python converts 4,300 digits at most
        ('"\\u001b[31m" = 1', ["surgetank.toml", "no key"]),
        ("k" * 100_000 + " = 1", ["surgetank.toml, line 1", "no key"]),
    ],
    ids=range(10),
)
def test_a_file_that_is_no_toml_or_wild_is_one_clear_error(read, text, words):
    with clear_error(InvalidInput, *words):
        read(text)


@pytest.mark.parametrize("name", [".", "none.toml", "x" * 300])
def test_paths_that_are_no_file(tmp_path, name):
    with clear_error(InvalidInput, "readable file"):
        Config.read(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (FIRST + SECOND.replace("us-east-1", "us-esat-1"), 7, ["second", "us-esat-1", "did you mean 'us-east-1'"]),
        (FIRST + SECOND.replace("us-west-2", "us-wset-2"), 8, ["second", "us-wset-2", "did you mean 'us-west-2'"]),
        # The Region is named in the scenario's name and in a comment too; neither is the mistake.
        (FIRST.replace("us-east-1", "eu-west-9").replace("first", "leave eu-west-9"), 3, ["eu-west-9"]),
        ("store = 'surgetank.db'  # eu-west-9\n" + FIRST.replace("us-west-2", "eu-west-9"), 5, ["eu-west-9"]),
        (FIRST.replace("us-east-1", "u" * 70), 3, ["Region"]),
        ("[costs]\nec2 = 1\nec3 = 1", 3, ["costs", "ec3", "did you mean 'ec2'"]),
        ("[thresholds.'ec3/*']\nwarning_frac = 0.5", 1, ["thresholds", "ec3/*"]),
    ],
    ids=range(7),
)
def test_what_only_the_plan_can_judge_has_its_line_too(run_plan, text, line, words):
    code, error = run_plan(text)
    assert code != 0
    assert f"surgetank.toml, line {line}:" in error
    assert "Traceback" not in error
    assert [word for word in words if word not in error] == []


def test_a_pattern_that_names_nothing_is_not_offered_itself(run_plan):
    """Usage without a quota code: whatever the message offers must be a pattern that works."""
    _, error = run_plan("[costs]\n'us-west-2/ec2' = 1\n")
    offered = re.search(r"did you mean '(.*?)'", error)
    if offered:
        code, error = run_plan(f"[costs]\n'{offered.group(1)}' = 1\n")
        assert (code, error) == (0, "")
    else:
        assert error == ""


@pytest.mark.parametrize("policy", ["quantile", "classic"])
def test_thresholds_and_costs_of_the_file_reach_the_plan(run_plan, policy):
    code, error = run_plan(
        f"scenarios = ['N-1']\n[policy]\nname = '{policy}'\n"
        "[thresholds.'us-west-2/ec2/*']\nwarning_frac = 0.01\n[costs]\nec2 = 0.5\n"
    )
    assert (code, error) == (0, "")
    with Store("surgetank.db") as store:
        quotas = {q["region"]: q["status"] for q in store.plans()[0]["body"]["quotas"]}
    assert quotas["us-west-2"] == ("CRITICAL" if policy == "quantile" else "WARNING")


STORM = 'scenarios = []\n[[scenario]]\nname = "x"\nsource = "a"\ntargets = { b = 1.0 }\nevent = "storm"\n'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (STORM + '[[scenario]]\nname = "x"\nsource = "b"\ntargets = { c = 1.0 }\n', 8, "name: must differ"),
        (
            STORM + '[[scenario]]\nname = "y"\nsource = "b"\ntargets = { c = 1.0 }\nevent = "storm"\n',
            7,
            "fail and receive",
        ),
        ('[policy]\nname = ["x"]', 2, "name: must be a policy"),
        ('[policy]\nrisk = 0.1\ntrend = "hour"', 3, 'it belongs to name = "classic"'),
        ('[policy]\nname = "quantile"\n[policy.classic]\nrisk = 0.1', 4, 'it belongs to name = "quantile"'),
        ("[policy]\nrisk = 0.1\n[policy.quantile]\nrisk = 0.2", 2, "is in [policy] and in [policy.quantile]"),
        ("[policy]\nrisk = 2.0", 2, "risk: must lie between"),
    ],
)
def test_mistakes_in_events_and_policies_are_named_with_their_line(read, text, line, said):
    with pytest.raises(InvalidInput) as error:
        read(text)
    assert f"line {line}: " in str(error.value)
    assert said in str(error.value)


def test_every_policy_is_read_and_one_is_chosen(read):
    config = read('[policy]\nrisk = 0.01\nspike_window = 20\n[policy.classic]\ntrend = "hour"')
    assert config.policy == QuantilePolicy(risk=0.01)
    assert config.policies["classic"] == ClassicPolicy(trend="hour", detector=RollingSigma(window=20))
    assert config.detector == AdaptiveDetector()


def test_the_command_line_offers_every_policy():
    assert (*POLICIES, "rule") == POLICY_NAMES
