"""`backtest`: what goes in, and what is refused in which words; a user's own policy above all."""

import datetime as dt
import math
import pickle

import numpy as np
import pytest

from backtest_worlds import D, H, Peak, each_fails
from clear import clear_error
from surgetank import (
    Clairvoyant,
    ClassicPolicy,
    Cost,
    InvalidInput,
    PeakRule,
    PercentileRule,
    QuantilePolicy,
    SizedRule,
    ThresholdRule,
    backtest,
    grid,
)

DAYS = 20
USAGE = 50 + 10 * np.sin(2 * np.pi * np.arange(24 * DAYS)[:, None] / 24 + np.array([0.0, 1.0]))
AT = "at no judged moment are the usage of {} and all that would land there known for as long as it lasts"
UNALIGNED = (
    f"usage: must cover a failover: {AT}; are the Regions aligned, and is the history long enough? (got '0 moments')"
)


def replay(usage=USAGE, **more):
    return backtest(usage, **({"policies": [PeakRule(window_s=D)], "step_s": H} | more))


def said_of(call):
    with clear_error(InvalidInput) as refused:
        call()
    error = refused.value
    assert str(error).startswith(f"{error.argument}: {error.rule} (got ")
    return str(error)


def apart(usage, rows):
    """Regions that are never observed together."""
    usage = usage.copy()
    usage[:rows, 0] = np.nan
    usage[rows:, 1] = np.nan
    return usage


def named(given):
    """What a case is called."""
    return next(iter(given)) if isinstance(given, dict) else given[-30:]


NO_SHAPE = "must have the shape of one instant of usage, (2,) (got 'shape (3,)')"
ODD = "usage: must be finite and 0 or more, or NaN where not observed (got {})"
POLICY = "must be a rule, a headroom policy, or a callable that takes a Past and gives quotas"
TOO_SHORT = (
    "must be longer than the longest window of the policies, 30 d, or warmup_s be given; what is judged comes after it"
)
WHOLE_MESSAGES = [
    ({"policies": []}, "policies: must hold at least one (got 'none')"),
    ({"policies": None}, "policies: must be a list of policies (got None)"),
    ({"policies": "peak"}, "policies: must be a list of policies (got 'peak')"),
    ({"policies": ["peak"]}, f"policies[0]: {POLICY} (got 'peak')"),
    ({"policies": [PeakRule(window_s=D), 5]}, f"policies[1]: {POLICY} (got 5)"),
    ({"policies": [PeakRule]}, f"policies[0]: {POLICY} (got <class 'surgetank.backtest.rules.PeakRule'>)"),
    ({"policies": [PeakRule()]}, f"usage: {TOO_SHORT} (got '20 d')"),
    ({"warmup_s": 20 * D}, "warmup_s: must leave something of the history, 20 d, to judge (got '20 d')"),
    ({"warmup_s": 0}, "warmup_s: must be a finite duration of more than 0 seconds (got 0)"),
    (
        {"lead_time_s": 20 * D},
        "lead_time_s: must be shorter than the history, 20 d: else no change would ever apply (got '20 d')",
    ),
    ({"lead_time_s": -1}, "lead_time_s: must be a finite duration of at least 0 seconds (got -1)"),
    ({"review_s": 0}, "review_s: must be a finite duration of more than 0 seconds (got 0)"),
    ({"step_s": None}, "step_s: must be given beside an array of usage (got None)"),
    ({"usage": -USAGE}, ODD.format(-50)),
    ({"usage": np.where(USAGE > 59, np.inf, USAGE)}, ODD.format("inf")),
    ({"usage": [[1.0, 2.0], [3.0]]}, "usage: must be one rectangular array of numbers (got 'list')"),
    ({"usage": "much"}, "usage: must hold numbers (got 'much')"),
    ({"usage": apart(USAGE, 240), "scenarios": "N-1"}, UNALIGNED.format("'0'")),
    ({"quota": -1}, "quota: must be finite and 0 or more (got -1.0)"),
    ({"quota": [1, np.inf]}, "quota: must be finite and 0 or more (got inf)"),
    ({"quota": [1, 2, 3]}, f"quota: {NO_SHAPE}"),
    ({"regions": ["a"]}, "regions: must be 2 different names, one for each column of usage (got ['a'])"),
    ({"scenarios": "N-2"}, "scenarios: \"N-2\" needs at least 3 Regions in the plan (got ['0', '1'])"),
    ({"cost": 5}, "cost: must be Cost(...) (got 5)"),
    ({"cost": Cost(per_unit_h=[1, 2, 3])}, f"per_unit_h: {NO_SHAPE}"),
    ({"moments": 0}, "moments: must be at least 1, or None for every one (got 0)"),
    ({"moments": 1.5}, "moments: must be a whole number, or None for every one (got 1.5)"),
    ({"moments": True}, "moments: must be a whole number, or None for every one (got True)"),
    ({"block_s": 0}, "block_s: must be a finite duration of more than 0 seconds (got 0)"),
    ({"seed": 1.5}, "seed: must be a whole number (got 1.5)"),
    ({"seed": "x"}, "seed: must be a whole number (got 'x')"),
    ({"confidence": 0.4}, "confidence: must be a fraction in [.5, 1) (got 0.4)"),
    ({"confidence": 1}, "confidence: must be a fraction in [.5, 1) (got 1)"),
    ({"threads": 0.5}, "threads: must be a whole number, 0 (all of the machine's) or more (got 0.5)"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WHOLE_MESSAGES, ids=named)
def test_refusals_name_argument_rule_and_value(change, message):
    assert said_of(lambda: replay(**change)) == message


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"seed": -1, "moments": 3},
        {"review_s": 1e30},
        {"lead_time_s": dt.timedelta(days=30)},
        {"block_s": np.timedelta64("NaT", "s")},
        {"usage": np.zeros((4, 4, 4, 4))},
        {"warmup_s": "a week"},
        {"moments": "all"},
        {"confidence": None},
    ],
    ids=named,
)
def test_odd_arguments_are_refused_by_name(change):
    """At once, whatever is odd: never another library's error later on."""
    name = next(iter(change))
    with clear_error(InvalidInput) as refused:
        replay(**change).table()
    assert refused.value.argument == name


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (PercentileRule, {"quantile": 1.1}, "quantile: must be a fraction in [0, 1] (got 1.1)"),
        (PercentileRule, {"factor": 0}, "factor: must be a positive number (got 0)"),
        (PercentileRule, {"factor": math.inf}, "factor: must be a positive number (got inf)"),
        (PercentileRule, {"window_s": 0}, "window_s: must be a finite duration of more than 0 seconds (got 0)"),
        (PercentileRule, {"threshold": -0.1}, "threshold: must be a positive number (got -0.1)"),
        (PercentileRule, {"lower": 1.01}, "lower: must be a share in (0, 1] (got 1.01)"),
        (PercentileRule, {"lower": 0}, "lower: must be a share in (0, 1] (got 0)"),
        (PercentileRule, {"of": "load"}, 'of: must be "usage" or "demand" (got \'load\')'),
        (PeakRule, {"quantile": 0.9}, "quantile: is 1 in a PeakRule; take PercentileRule (got 0.9)"),
        (ThresholdRule, {"threshold": 1.2}, "threshold: must be a share in (0, 1] (got 1.2)"),
        (ThresholdRule, {"factor": 1}, "factor: must be more than 1 (got 1)"),
        (ThresholdRule, {"window_s": -1}, "window_s: must be a finite duration of more than 0 seconds (got -1)"),
        (SizedRule, {"policy": 5}, "policy: must be QuantilePolicy(...) or ClassicPolicy(...) (got 5)"),
        (SizedRule, {"headroom_factor": 0}, "headroom_factor: must be a positive number (got 0)"),
        (Clairvoyant, {"risk": 1}, "risk: must be below 1 (got 1.0)"),
        (Clairvoyant, {"risk": -0.1}, "risk: must be a fraction in [0, 1] (got -0.1)"),
        (Cost, {"per_unit_h": -1}, "per_unit_h: must be finite and 0 or more (got -1.0)"),
        (Cost, {"per_unit_h": [1, math.nan]}, "per_unit_h: must be finite and 0 or more (got nan)"),
        (Cost, {"per_request": -1}, "per_request: must be 0 or more (got -1)"),
        (Cost, {"per_short_unit_h": math.inf}, "per_short_unit_h: must be finite and 0 or more (got inf)"),
    ],
    ids=str,
)
def test_rules_and_prices_that_cannot_be_are_refused(kind, change, message):
    assert said_of(lambda: kind(**change)) == message


def test_odd_options_are_refused_by_name():
    assert said_of(lambda: PercentileRule(of=np.array(["usage", "demand"]))).startswith("of: ")
    assert said_of(lambda: Cost(per_short_unit_h=None)).startswith("per_short_unit_h: ")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (PeakRule, {"factor": []}, "factor: must hold at least one value (got [])"),
        (PeakRule, {"factr": [1]}, "factr: is no option of PeakRule; did you mean 'factor'? (got [1])"),
        (PeakRule, {"factor": [1, -1]}, "factor: must be a positive number (got -1)"),
        (PeakRule(), {}, "kind: must be a class of policies, such as PercentileRule (got PeakRule("),
        (dict, {}, "kind: must be a class of policies, such as PercentileRule (got <class 'dict'>)"),
    ],
    ids=str,
)
def test_a_grid_that_cannot_be_is_refused(kind, options, message):
    assert said_of(lambda: grid(kind, **options)).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"risk": 0}, "risk: must lie between 0 and 1 (got 0)"),
        ({"risk": 1}, "risk: must lie between 0 and 1 (got 1)"),
        ({"risk": "low"}, "risk: must lie between 0 and 1 (got 'low')"),
        ({"risk": 0.1, "confidence": 0.2}, "confidence: must be a fraction in [.5, 1) (got 0.2)"),
        (
            {"risk": 0.1, "confidence": 1},
            "confidence: must be a fraction in [.5, 1): nothing that was seen is certain (got 1)",
        ),
        (
            {"risk": 0.001, "confidence": 0.99},
            "risk: cannot be shown with a confidence of 0.99: 19 d are worth 19 failovers of 1 d, which even if none "
            "failed allow a risk of 0.22; ask for more risk, or less confidence (got 0.001)",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_risk_and_confidence_that_cannot_be_are_refused(arguments, message):
    assert said_of(lambda: replay(scenarios="N-1").best(**arguments)) == message


CALLS = {
    "figure": lambda run: run.interval("idle"),
    "tail": lambda run: run.cvar(0),
    "quantile": lambda run: run.pinball(1.1),
    "confidence": lambda run: run.interval("risk", confidence=1),
    "which": lambda run: run.interval("risk", [2]),
    "b": lambda run: run.difference("risk", 0, 7),
}


@pytest.mark.parametrize("argument", CALLS)
def test_questions_that_cannot_be_answered_are_refused(argument):
    assert said_of(lambda: CALLS[argument](replay())).startswith(f"{argument}: ")


def test_no_policies_and_the_same_policy_twice_can_be_asked_for():
    run = replay(policies=[PeakRule(window_s=D), Peak()])
    assert run.interval("risk", [0, 0, 1])[0].shape == (3,)
    assert run.interval("risk", [])[0].shape == (0,)


# What happens to usage and results afterwards.


CHANGES = {
    "one sample": lambda usage: usage.__setitem__((100, 0), 1.0),
    "unit": lambda usage: usage.__imul__(3),
    "backwards": lambda usage: usage.__setitem__(slice(None), usage[::-1].copy()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("asked", ["cvar", "blocks", "total", "cost_per_h", "clairvoyant"])
def test_usage_that_was_changed_since_is_noticed(change, asked):
    usage = USAGE.copy()
    run = replay(usage)
    CHANGES[change](usage)
    message = "usage: was changed since it was replayed; call backtest again (got 'other samples')"
    assert said_of(lambda: getattr(run, asked)() if asked in ("cvar", "blocks") else getattr(run, asked)) == message


FIGURES = ("coverage", "risk", "failover_coverage", "fails", "idle", "quota", "last_quota", "cost_per_h", "requests")


@pytest.fixture(scope="module", params=["as it is", "pickled"])
def results(request):
    policies = [PeakRule(window_s=D), ThresholdRule(), Clairvoyant(risk=0.1), ClassicPolicy(), QuantilePolicy(), Peak()]
    run = replay(policies=policies, scenarios=each_fails(), cost=Cost(per_unit_h=[1, 2]))
    str(run.table())
    return run, pickle.loads(pickle.dumps(run)) if request.param == "pickled" else run


def test_results_survive_pickling(results):
    run, again = results
    assert str(again.table()) == str(run.table())
    np.testing.assert_array_equal(again.cvar(), run.cvar())
    for name in FIGURES:
        np.testing.assert_array_equal(getattr(again, name), getattr(run, name))
    assert again.best(risk=0.3).reason == pickle.loads(pickle.dumps(run.best(risk=0.3))).reason


def test_results_are_read_only(results):
    run = results[1]
    arrays = {name: getattr(run, name) for name in FIGURES}
    arrays |= {f"total {name}": values for name, values in vars(run.total).items()}
    assert [name for name, values in arrays.items() if values.flags.writeable] == []
    with pytest.raises(AttributeError):
        run.seed = 1


def test_prices_are_the_runs_own():
    prices = np.array([1.0, 2.0])
    run, expected = replay(cost=Cost(per_unit_h=prices)), replay(cost=Cost(per_unit_h=[1.0, 2.0]))
    prices *= 100
    np.testing.assert_array_equal(run.cost_per_h, expected.cost_per_h)
    assert Cost(per_unit_h=[1, 2]) == Cost(per_unit_h=[1, 2]) != Cost(per_unit_h=[1, 3])
