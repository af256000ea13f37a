"""Every refusal of runbooks, distributions and `estimate_recovery`; extremes that must not crash."""

import datetime as dt
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clear import clear_error
from surgetank import InvalidInput
from surgetank.recovery import (
    Branch,
    DataStore,
    Empirical,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Mixture,
    Pert,
    Runbook,
    Step,
    Triangular,
    Truncated,
    Uniform,
    Weibull,
    estimate_recovery,
)

ONE = Runbook([Step("a", Uniform(1, 2))])
NAN, INF = math.nan, math.inf

RUNBOOKS = [
    (lambda: Runbook([]), "steps: must hold at least one step (got 'none')"),
    (lambda: Runbook(None), "steps: must be a sequence of Step or Branch (got None)"),
    (lambda: Runbook("ab"), "steps: must be a sequence of Step or Branch (got 'ab')"),
    (lambda: Runbook([Step("a"), "b"]), "steps: must be a sequence of Step or Branch (got 'b')"),
    (lambda: Runbook({"a": Step("a")}), "steps: must be a sequence of Step or Branch"),
    (lambda: Runbook([Step(f"s{i}") for i in range(1001)]), "steps: must be at most 1000 (got 1001)"),
    (lambda: Runbook([Step("a"), Step("a")]), "steps: must have different names (got 'a')"),
    (lambda: Runbook([Step("a", after="a")]), "steps: must not wait for each other in a circle (got 'a → a')"),
    (
        lambda: Runbook([Step("x"), Step("a", after="b"), Step("b", after="c"), Step("c", after=["x", "a"])]),
        "steps: must not wait for each other in a circle (got 'c → a → b → c')",
    ),
    (
        lambda: Runbook([Step("a", fallback="b"), Step("b", fallback="a")]),
        "steps: must not wait for each other in a circle (got 'a → b → a')",
    ),
    (
        lambda: Runbook([Step("a", after="bb"), Step("b")]),
        "after: of 'a' must name steps that are there; did you mean 'b'? (got 'bb')",
    ),
    (lambda: Runbook([Step("a"), Step("b", after="a:x")]), "after: of 'b' must give options of branches only"),
    (lambda: Runbook([Branch("a", {"x": 1}), Step("b", after="a:y")]), "after: of 'b' must name an option"),
    (lambda: Runbook([Step("a", fallback="c"), Step("b")]), "fallback: of 'a' must be a step; known: a, b (got 'c')"),
    (lambda: Runbook([Step("a", fallback="b"), Branch("b", {"x": 1})]), "fallback: of 'a' must be a step"),
    (lambda: Runbook([Step("a", fallback="b"), Step("b", after="c"), Step("c")]), "fallback: of 'a' must wait for"),
    (
        lambda: Runbook([Step("a", fallback="b"), Step("b"), Step("c", after="b")]),
        "after: of 'c' must name 'a', which ends when its fallback does (got 'b')",
    ),
    (lambda: Runbook([Step(n, fallback="c") for n in "ab"] + [Step("c")]), "fallback: of 'b' must be of one step only"),
    (lambda: Runbook([Step("a")], detection="b"), "detection: must be a step; known: a (got 'b')"),
    (lambda: Runbook([Step("a")], declaration=5), "declaration: must be a step; known: a (got 5)"),
    (lambda: Runbook([Step("a")], detection=np.array(["a", "b"])), "detection: must be a step"),
    (lambda: Runbook([Step("a", fallback="b"), Step("b")], detection="b"), "detection: must"),
    (lambda: Runbook([Step("a", fallback="b"), Step("b")], done="b"), "done: must"),
    (lambda: Runbook([Step("a")], done=["b"]), "done: must be a step; known: a (got 'b')"),
    (lambda: Runbook([Step("a")], done=5), "done: must be a sequence of texts (got 5)"),
    (lambda: Runbook([Step("a")], name=""), "name: must be a text that is not empty (got '')"),
    (lambda: Runbook([Step("a")], title=5), "title: must be a text"),
    (lambda: Runbook([Step("a")], strategy=5), "strategy: must be a text"),
    (lambda: Runbook([Step("a")], stores=[Step("b")]), "stores: must be a sequence of DataStore"),
    (lambda: Runbook([Step("a")], stores=[DataStore("b", 1)] * 2), "stores: must have different names (got 'b')"),
    *(
        (lambda v=v: Runbook([Step("a")], served_target=v), "served_target: must be")
        for v in (0, -1, 1.1, NAN, "1", None, True)
    ),
    *(
        (lambda v=v: Runbook([Step("a")], target_s=v), "target_s: must be a finite duration of at least 0 seconds")
        for v in (-1, NAN, INF, "5m", True, [1])
    ),
    (lambda: Runbook([Step("a")], rpo_target_s=-1), "rpo_target_s: must be a finite duration"),
    (lambda: Runbook([Step("a")], cost_usd_per_month=-1), "cost_usd_per_month: must be 0 or more (got -1)"),
    (lambda: ONE["b"], "name: must be a step; known: a (got 'b')"),
    (lambda: ONE.with_step("b", duration=0), "name: must be a step; known: a (got 'b')"),
    (lambda: ONE.with_step("a", duration=-1), "duration: must be a finite duration of at least 0 seconds (got -1)"),
]

STEPS = [
    *((lambda v=v: Step("a", v), "duration: must be a finite duration") for v in (-1, NAN, INF, "90", None, True, [1])),
    *((lambda v=v: Step("a", retry_after=v), "retry_after: must be a finite") for v in (-1, NAN, "x", None)),
    (lambda: Step("a", dt.timedelta(seconds=-1)), "duration: must be a finite duration"),
    *((lambda v=v: Step(v), "name: must be a text that is not empty") for v in ("", None, 5, b"a")),
    (lambda: Step("a:b"), "name: must hold no colon, which is for the options of a branch (got 'a:b')"),
    (lambda: Step("a" * 121), "name: must have at most 120 characters"),
    *(
        (lambda v=v: Step("a", failure=v), "failure: must be a probability in [0, 1]")
        for v in (-1e-9, 1.0000001, NAN, INF, "1", None, True)
    ),
    *(
        (lambda v=v: Step("a", retries=v), "retries: must be a whole number in [0, 100]")
        for v in (-1, 101, 1.0, "1", None, True, 2**70)
    ),
    *((lambda v=v: Step("a", join=v), "join: must be one of all, any") for v in ("one", None, 5, ["all"])),
    (lambda: Step("a", join=np.array(["all", "any"])), "join: must be one of all, any"),
    *((lambda v=v: Step("a", after=v), "after: must be a sequence of texts") for v in (5, None, [5], ["b", None])),
    *((lambda v=v: Step("a", fallback=v), "fallback: must be a text that is not empty") for v in (5, "", ["b"])),
    *((lambda v=v: Step("a", loadings=v), "loadings: must map factors to numbers") for v in (5, None, [1], "f")),
    (lambda: Step("a", loadings={"f": "x"}), "loadings: must be a number (got 'x')"),
    (lambda: Step("a", loadings={"f": NAN}), "loadings: must be a number (got nan)"),
    (lambda: Step("a", loadings={5: 0.1}), "loadings: must be a text that is not empty (got 5)"),
    (lambda: Step("a", loadings={"f": 0.8, "g": -0.8}), "loadings: must have squares that add up to at most 1"),
    *((lambda v=v: Step("a", capacity=v), "capacity: must be a sequence of texts") for v in (5, None, [5])),
    *((lambda v=v: Branch("a", v), "options: must map options to probabilities") for v in ({}, None, 5, "x", ["x"])),
    (lambda: Branch("a", {"x": 0.5, "y": 0.4}), "options: must have probabilities that add up to 1 (got 0.9)"),
    (lambda: Branch("a", {"x": 1.5, "y": -0.5}), "options: probability of x must lie in [0, 1] (got 1.5)"),
    (lambda: Branch("a", {"x": "1"}), "options: probability of x must lie in [0, 1] (got '1')"),
    (lambda: Branch("a", {5: 1}), "name: must be a text that is not empty (got 5)"),
    (lambda: DataStore("", 1), "name: must be a text that is not empty (got '')"),
    *((lambda v=v: DataStore("a", v), "lag: must be a finite duration") for v in (-1, NAN, "1s", None)),
    (lambda: DataStore("a", 1, -1), "copy: must be a finite duration of at least 0 seconds (got -1)"),
]

PAIRS = (Uniform, Lognormal)
DISTRIBUTIONS = [
    *((lambda v=v: Fixed(v), "value_s: must be a finite duration") for v in (-1, NAN, INF, "1", None, True)),
    (lambda: Uniform(2, 1), "high_s: must be at least low_s 2 (got 1.0)"),
    (lambda: Uniform(NAN, 1), "low_s: must be a finite duration of at least 0 seconds (got nan)"),
    (lambda: Triangular(1, 0.5, 2), "likely_s: must be at least low_s 1 (got 0.5)"),
    (lambda: Triangular(1, 3, 2), "high_s: must be at least likely_s 3 (got 2.0)"),
    (lambda: Pert(1, 3, 2), "high_s: must be at least likely_s 3 (got 2.0)"),
    *((lambda v=v: Pert(1, 2, 3, v), "weight: must be") for v in (-1, NAN, INF, "4", None, 1001)),
    (lambda: Lognormal(3, 2), "p95_s: must be at least median_s 3 (got 2.0)"),
    (lambda: Lognormal(0, 2), "median_s: must be a finite duration of more than 0 seconds (got 0)"),
    *((lambda v=v: Gamma(v, 1), "shape: must") for v in (0, -1, NAN, INF, "1", None, True, 0.01, 1e6)),
    *((lambda v=v: Weibull(v, 1), "shape: must") for v in (0, -1, NAN, 0.01, 1e6)),
    (lambda: Gamma(1, 0), "scale_s: must be a finite duration of more than 0 seconds (got 0)"),
    (lambda: Exponential(0), "mean_s: must be a finite duration of more than 0 seconds (got 0)"),
    *(
        (lambda v=v: Empirical(v), "values_s: must")
        for v in ([], None, [None], [-1], [NAN], "abc", [[1], [2, 3]], {}, [True], ["1"], {1, 2})
    ),
    *((lambda v=v: Mixture(v), "parts: ") for v in ([], None, 5, "ab", [(1,)], [(1, 2)], {1: 2}, [(0, Fixed(1))])),
    *((lambda v=v: Mixture([(v, Fixed(1))]), "parts: weights must be 0 or more") for v in (-1, NAN, INF, "1", None)),
    (lambda: Truncated(5), "of: must be a distribution (got 5)"),
    (lambda: Uniform(0, 1).truncated(2, 3), "truncated: must leave some of what lies in [0, 1] (got [2, 3])"),
    (lambda: Uniform(0, 1).truncated(0.7, 0.6), "high_s: must be at least low_s 0.7 (got 0.6)"),
    (lambda: Lognormal(1, 3).truncated(1e6), "truncated: must leave some of what lies in [0, inf]"),
    (lambda: Empirical([1, 5]).truncated(2, 4), "truncated: must leave some of what lies in [1, 5] (got [2, 4])"),
    (lambda: Mixture([(1, Fixed(1)), (1, Fixed(5))]).truncated(2, 4), "truncated: must leave some of what lies in"),
    *((lambda v=v: Uniform(0, 1).truncated(0, v), "high_s: must be a finite") for v in (-INF, NAN, "1", None)),
    (lambda: Uniform(0, 1).truncated(0, np.array([1.0, 2.0])), "high_s: must be a finite"),
    *((lambda v=v: Fixed(1).sample(v), "n: must") for v in (-1, 1.0, True, "1", None, 2**33, 2**70)),
    *((lambda v=v: Fixed(1).sample(1, seed=v), "seed: must") for v in (-1, 2**64, 1.0, True, "1", None)),
    *((lambda v=v: Fixed(1).quantile(v), "p: must") for v in (-0.1, 1.1, NAN, "x", None)),
    (lambda: Fixed(1).cdf("x"), "seconds: must hold numbers (got 'x')"),
    *((lambda v=v: Pert.from_quantiles(1, 2, 3, confidence=v), "confidence: must") for v in (0, 1, -1, NAN, "x", None)),
    (lambda: Pert.from_quantiles(2, 1, 3), "likely_s: must be at least low_s 2 (got 1.0)"),
    (lambda: Triangular.from_quantiles(0, 1, 0.5), "high_s: must be at least likely_s 1 (got 0.5)"),
]


def asked(**options):
    return lambda: estimate_recovery(**{"runbook": ONE, "trials": 10, **options})


ESTIMATES = [
    *((asked(runbook=v), "runbook: must be a Runbook") for v in (None, "a", [Step("a")], Step("a"), 5)),
    *((asked(trials=v), "trials: must") for v in (0, -1, 1.0, True, None, "x", 2**70, 10**12 + 1, [1], 1e6, NAN)),
    (asked(trials=np.array([1, 2])), "trials: must"),
    (asked(trials="auto"), "trials: \"auto\" needs a target_s (got 'auto')"),
    *((asked(trials="auto", target_s=1, width=v), "width: must") for v in (0, -1, 1, NAN, "x", None, 1e-9)),
    *((asked(seed=v), "seed: must") for v in (-1, 2**64, 1.5, True, "1", None)),
    *((asked(first=v), "first: must be a whole number") for v in (-1, 2**64, 1.5, True, "1", None)),
    *((asked(threads=v), "threads: must be") for v in (-1, 1.5, "a", None, True, 2**31)),
    *((asked(confidence=v), "confidence: must lie between 0 and 1") for v in (0, 1, -1, 2, NAN, "a", None)),
    *((asked(clock=v), "clock: must be one of onset") for v in ("detection", "x", None, 5, ["onset"])),
    (asked(clock=np.array(["a", "b"])), "clock: must be one of onset"),
    *((asked(target_s=v), "target_s: must be a finite duration") for v in (-1, NAN, INF, "5m", True, [1])),
    *((asked(also_s=v), "also_s: must") for v in (5, None, "ab", [None], [-1], [NAN], [INF])),
    (asked(rpo_target_s=5), "rpo_target_s: is for a runbook with stores, and it has none (got 5.0)"),
    *((asked(progress=v), "progress: must be") for v in (5, True, "x")),
]

RESULT = estimate_recovery(ONE, trials=100, target_s=1.5)
RESULTS = [
    *((lambda v=v: RESULT.rto.quantile(v), "p: must") for v in (-1, 2, NAN, "x", None)),
    *((lambda v=v: RESULT.rto.exact(v), "p: must") for v in (-1, 2, NAN, "x", None)),
    *((lambda v=v: RESULT.rto.quantile_interval(v), "p: must") for v in (-1, 2, NAN, "x", None, [0.5])),
    *((lambda v=v: RESULT.rto.interval(v), "seconds: must") for v in (NAN, "x", None, [0.5])),
    *((lambda v=v: RESULT.rto.probability(v), "seconds: must") for v in ("x", [0.5])),
    (lambda: RESULT.served("x"), "seconds: must hold numbers (got 'x')"),
    (lambda: RESULT.steps["b"], "step: must be one of the runbook's; known: a (got 'b')"),
    *((lambda v=v: RESULT.require_met(v), "probability: must be a fraction") for v in (-1, 2, NAN, "x", None)),
    *((lambda v=v: RESULT.what_if(trials=v), "trials: must") for v in (0, -1, 1.5, None)),
    (lambda: RESULT.require_met(0.99), "RTO: must be met with a probability of 0.99"),
    (lambda: estimate_recovery(ONE, trials=10).require_met(), "target_s: must be given to be met (got None)"),
]


@pytest.mark.parametrize(("call", "message"), [*RUNBOOKS, *STEPS, *DISTRIBUTIONS, *ESTIMATES, *RESULTS])
def test_one_clear_refusal(call, message):
    with pytest.raises(InvalidInput) as refused:
        call()
    text = str(refused.value)
    assert text.startswith(message)
    assert text.isprintable()
    assert len(text) < 500


@pytest.mark.parametrize("what", ["step", "store", "factor", "branch", "option"])
def test_names_that_are_no_text(what):
    """Half of a surrogate pair, which no encoding has."""
    bad = "\ud800"
    with clear_error(InvalidInput):
        steps = {
            "step": [Step(bad, 1)],
            "factor": [Step("a", 1, loadings={bad: 0.5})],
            "branch": [Branch(bad, {"x": 1})],
        }.get(what, [Step("a", 1)])
        if what == "option":
            steps = [Branch("b", {bad: 1}), Step("c", after=f"b:{bad}")]
            estimate_recovery(Runbook(steps), trials=10)
            raise InvalidInput("options stay in Python: either is well")
        stores = [DataStore(bad, 1)] if what == "store" else []
        estimate_recovery(Runbook(steps, stores=stores), trials=10)


WEIRD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=2)), max_size=3), st.just({}), st.just(object),
    st.dictionaries(st.text(max_size=2), st.floats(), max_size=2), st.timedeltas(), st.complex_numbers(),
    st.sampled_from([np.float32(3), np.int8(-3), np.array([1.0, 2.0]), np.array([]), np.datetime64("NaT", "s")]),
    st.sampled_from([Fixed, ONE]),
)  # fmt: skip
CALLS = {
    "Step": (Step, ("name", "duration", "after", "failure", "retries", "retry_after", "fallback", "loadings")),
    "Branch": (Branch, ("name", "options", "after")),
    "Runbook": (Runbook, ("steps", "name", "stores", "done", "served_target", "target_s", "cost_usd_per_month")),
    "Uniform": (Uniform, ("low_s", "high_s")),
    "Pert": (Pert, ("low_s", "likely_s", "high_s", "weight")),
    "Lognormal": (Lognormal, ("median_s", "p95_s")),
    "Gamma": (Gamma, ("shape", "scale_s")),
    "Empirical": (Empirical, ("values_s",)),
    "Mixture": (Mixture, ("parts",)),
}
GOOD = {
    "name": "a", "options": {"x": 1.0}, "steps": [Step("a", 1)], "low_s": 1, "likely_s": 2, "high_s": 3, "median_s": 1,
    "p95_s": 2, "shape": 2, "scale_s": 3, "values_s": [1], "parts": [(1, Fixed(2))],
}  # fmt: skip


@given(kind=st.sampled_from(sorted(CALLS)), data=st.data())
def test_whatever_is_given_is_taken_or_refused(kind, data):
    make, names = CALLS[kind]
    required = {name: GOOD[name] for name in names if name in GOOD}
    changed = data.draw(st.sampled_from(names))
    try:
        made = make(**{**required, changed: data.draw(WEIRD)})
        if isinstance(made, Runbook):
            estimate_recovery(made, trials=10)
        elif isinstance(made, Step | Branch):
            str(estimate_recovery(Runbook([made]), trials=10))
        else:
            made.sample(3), made.cdf(1.0), made.quantile(0.5), str(made)
    except InvalidInput as error:
        assert str(error).isprintable()  # noqa: PT017


@given(changed=st.dictionaries(
    st.sampled_from(["target_s", "rpo_target_s", "trials", "seed", "first", "threads", "confidence", "capacity"]),
    WEIRD, min_size=1, max_size=2,
))  # fmt: skip
def test_whatever_an_estimate_is_asked_is_answered_or_refused(changed):
    if isinstance(changed.get("trials"), int) and changed["trials"] > 1000:
        return
    try:
        estimate_recovery(ONE, **{"trials": 10, **changed})
    except InvalidInput as error:
        assert str(error).isprintable()  # noqa: PT017


EXTREMES = [
    Fixed(0), Fixed(-0.0), Fixed(5e-324), Fixed(2.0**30), Fixed(math.nextafter(2.0**30, 0)), Fixed(1e15),
    Uniform(0, 1e15), Uniform(-0.0, 5e-324), Triangular(0, 0, 1e15), Pert(1e13, 1e14, 1e15, 0),
    Lognormal(1e-9, 1e-3), Lognormal(1e9, 1e15), Gamma(1e5, 1e15), Gamma(0.1, 5e-324), Exponential(1e15),
    Weibull(0.1, 1e15), Weibull(1e4, 1e15), Weibull(0.1, 1e-300), Empirical([0.0, 1e15]),
    Mixture([(1e-300, Fixed(1)), (1, Exponential(1e15))]), Mixture([(5e-324, Fixed(1))]),
]  # fmt: skip


def extremes():
    """Says which one it is at, so that one can see where it crashed."""
    for number, long in enumerate(EXTREMES):
        print("at", number, flush=True)
        assert not np.isnan(long.sample(1000)).any()
        steps = [Step("a", long, failure=0.2, retries=100, retry_after=long), Step("b", long, "a", loadings={"f": 1})]
        for book in (Runbook(steps), Runbook([Step("a", long)]), Runbook([*steps, Step("c", 1)], done=["c"])):
            found = estimate_recovery(book, trials=70_000, target_s=1e9)
            rto = found.rto
            assert not np.isnan(rto.exact([0, 0.5, 1])).any()
            assert rto.finite == 70_000 - rto.histogram[-1]
            assert math.isnan(rto.least) == (rto.finite == 0), rto.least
            assert not rto.finite or 0 <= rto.least <= rto.mean + 0.001 <= rto.most + 0.002 < 2**30 + 0.003
            str(found), found.to_dict()


def test_extremes_neither_crash_nor_are_they_no_number():
    """In a process of its own, which a crash would end."""
    code = "import test_recovery_input as t; t.extremes()"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20:] + done.stderr[-2000:]


def test_a_step_that_takes_longer_than_a_float_holds_is_waited_for():
    for long in (Gamma(1e5, 1e15), Weibull(0.1, 1e15), Triangular(1e14, 1e15, 1e15), Uniform(1e14, 1e15)):
        assert estimate_recovery(Runbook([Step("a", long), Step("b", 1)]), trials=1000).never > 0.7
    for huge in (math.nextafter(1e15, math.inf), 1e40, 1.7e308):
        with pytest.raises(InvalidInput, match="must be at most 1e\\+15 s"):
            Uniform(0, huge)


def environment():
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_what_was_skipped_is_skipped_however_long_it_would_have_taken():
    for huge in (1e9, 1e12, 1e15):
        steps = [Branch("b", {"x": 1, "y": 0}), Step("s", 5, "b:x"), Step("t", huge, "b:y"), Step("u", huge, "t")]
        assert estimate_recovery(Runbook(steps), trials=100).rto.mean == 5


def test_a_wide_lognormal_keeps_both_tails():
    """A median of almost nothing: half of all still take what they take."""
    found = estimate_recovery(Runbook([Step("a", Lognormal(1e-6, 1.0))]), trials=100_000, target_s=1)
    assert found.probability == pytest.approx(0.95, abs=0.005)
    with pytest.raises(InvalidInput, match="at most a million medians"):
        Lognormal(1e-7, 1.0)


def test_the_most_of_everything():
    chain = [Step(f"s{i}", 1, f"s{i - 1}" if i else ()) for i in range(1000)]
    assert estimate_recovery(Runbook(chain[::-1]), trials=300).rto.mean == 1000
    last = Step("end", 1, after=[s.name for s in chain[:999]])
    assert estimate_recovery(Runbook([*chain[:999], last]), trials=300).rto.mean == 1000
    options = Branch("b", {f"o{i}": 1 / 255 for i in range(255)})
    assert estimate_recovery(Runbook([options]), trials=300).rto.mean == 0
    for too_many in (
        Branch("b", {f"o{i}": 1 / 256 for i in range(256)}),
        Step("m", Mixture([(1, Fixed(i)) for i in range(256)])),
    ):
        with clear_error(InvalidInput, "255"):
            estimate_recovery(Runbook([too_many]), trials=10)


def test_late_trials_still_have_steps():
    """Which steps decide is looked at in the first 16,384 trials; later ones have no figures, and say so."""
    found = estimate_recovery(ONE, trials=1000, first=10**6)
    assert str(found)
    assert str(found.steps)
    assert found.steps.trials == 0


def test_never_is_not_off_by_a_rounding():
    book = Runbook([Step("a", 1, failure=0.5)])
    for trials in (10, 1000, 30):
        found = estimate_recovery(book, trials=trials)
        assert found.never == (trials - found.rto.finite) / trials
