"""A user's own policy: what it is shown, what it may answer, and what is refused in which words; long calls."""

import datetime as dt
import os
import subprocess
import sys

import numpy as np
import pytest

from backtest_worlds import D, H, each_fails
from clear import clear_error
from surgetank import History, InvalidInput, PeakRule, QuantilePolicy, Scenario, backtest, size_headroom

USAGE = 50 + 10 * np.sin(2 * np.pi * np.arange(24 * 10)[:, None] / 24 + np.array([0.0, 1.0]))


def replay(policy, usage=USAGE, **more):
    return backtest(usage, policies=[policy], **({"step_s": H, "warmup_s": D} | more))


def told(answer):
    """A policy that wants 100 of each, and says this on the third day."""
    return lambda past: answer if past.decision == 2 else 100.0


def refusal(policy, usage=USAGE, **more):
    with clear_error(InvalidInput) as refused:
        replay(policy, usage, **more)
    error = refused.value
    assert str(error).startswith(f"{error.argument}: {error.rule} (got ")
    return str(error)


TWO = "must return 2 quotas, or None to ask for nothing"
FINITE = "must return finite quotas of 0 or more, for series {}; the quota itself asks for nothing (got {})"
ANSWERS = [
    ([100.0, np.nan], FINITE.format(1, "nan")),
    (np.inf, FINITE.format(0, "inf")),
    ([100.0, -1.0], FINITE.format(1, -1.0)),
    ([1.0, 2.0, 3.0], f"{TWO} (got 'shape (3,)')"),
    ([[1.0, 2.0]], f"{TWO} (got 'shape (1, 2)')"),
    ([], f"{TWO} (got 'shape (0,)')"),
    ([[1.0], [2.0, 3.0]], f"{TWO} (got '[[1.0], [2.0, 3.0]]')"),
    ("much", f"{TWO} (got \"'much'\")"),
    ({"a": 100.0}, f"{TWO} (got \"{{'a': 100.0}}\")"),
    ([100.0, 1j], f"{TWO} (got '[100.0, 1j]')"),
]


@pytest.mark.parametrize(("answer", "message"), ANSWERS, ids=lambda p: str(p)[:30])
def test_answers_that_are_no_quotas_are_refused_with_the_moment(answer, message):
    assert refusal(told(answer), lead_time_s=0) == f"policies[0] at sample 71: {message}"


@pytest.mark.parametrize(
    "answer",
    [
        "100",
        ["100", "100"],
        np.array([100 + 1j, 100]),
        np.array(["2020", "2021"], dtype="M8[s]"),
        np.ma.masked_array([100.0, 100.0], [True, False]),
        10**400,
    ],
    ids=lambda p: str(p)[:12],
)
def test_odd_answers_are_refused(answer):
    """As they are elsewhere: text is no number, what is masked is not known."""
    assert refusal(told(answer)).startswith("policies[0] at sample 71: must return ")


def test_a_policy_that_raises_is_named_with_the_moment():
    def divides(past):
        return 1 / abs(len(past.usage) - 48)

    message = "policies[0] at sample 47: raised ZeroDivisionError: division by zero (got no quotas)"
    assert refusal(divides, review_s=H, lead_time_s=0) == message
    history = History.from_array(USAGE, start="2024-01-01T00:00Z", step_s=H, regions=["a", "b"])
    at = "2024-01-02T23:00:00Z"
    assert refusal(divides, history, step_s=None, review_s=H).startswith(f"policies[0] at {at}: raised Zero")


@pytest.mark.parametrize("text", ["two\nlines", "much " * 1000, "\x1b[31mred"], ids=["lines", "long", "colour"])
def test_whatever_it_raises_the_message_is_one_short_line(text):
    def raises(past):
        raise RuntimeError(text)

    assert refusal(raises).startswith("policies[0] at sample 23: raised RuntimeError: ")


def test_our_own_errors_inside_a_policy_name_it_as_well():
    def sizes(past):
        return size_headroom(past.usage, quota=-1, step_s=past.step_s).need

    assert refusal(sizes).startswith("policies[0] at sample 23: ")


@pytest.mark.parametrize("name", ["usage", "demand", "quota", "open"])
def test_a_policy_that_writes_is_named(name):
    def writes(past):
        getattr(past, name)[:] = 0

    rule = "must not write into what it is shown (ValueError: assignment destination is read-only)"
    assert refusal(writes) == f"policies[0] at sample 23: {rule} (got no quotas)"


def test_who_keeps_a_view_and_writes_later_changes_nothing():
    kept, usage = [], USAGE.copy()

    def keeps(past):
        for array in (past.usage, past.demand, past.quota, past.open):
            for view in (array, array.base):
                if view is not None:
                    view.setflags(write=True)
                    view[...] = 0
                    kept.append(view)
        return 100.0

    run, honest = (replay(p, usage, scenarios=each_fails()) for p in (keeps, lambda past: 100.0))
    for view in kept:
        view[...] = 1
    np.testing.assert_array_equal(usage, USAGE)
    for name in ("idle", "fails", "requests", "last_quota", "quota"):
        np.testing.assert_array_equal(getattr(run, name), getattr(honest, name))
    np.testing.assert_array_equal(run.cvar(), honest.cvar())


def test_what_a_policy_is_shown():
    seen = []
    usage = USAGE.copy()
    usage[30:33, 1] = np.nan

    def looks(past):
        seen.append(past)
        return 150.0 + 10 * past.decision

    surge = [Scenario("surge", "1", {"1": 1.0}, multiplier=2, duration_s=5 * H), *each_fails()]
    replay(looks, usage, scenarios=surge, lead_time_s=30 * H, quota=[90.0, np.nan])
    assert [past.decision for past in seen] == list(range(10))
    assert {past.step_s for past in seen} == {H}
    assert [past.usage.shape for past in seen] == [(24 * d, 2) for d in range(1, 11)]
    # Asked for at the end of days 1, 3, 5, …: applies 30 hours later, and is seen a day after that.
    assert [past.quota[0] for past in seen] == [90, 90, 150, 150, 170, 170, 190, 190, 210, 210]
    assert [bool(past.open[0]) for past in seen] == [False, True] * 5
    # It has no quota to begin with: the first applies at once, and a day later the next is asked for.
    assert np.isnan(seen[0].quota[1])
    assert [past.quota[1] for past in seen[1:]] == [150, 150, 160, 160, 180, 180, 200, 200, 220]
    assert [bool(past.open[1]) for past in seen[1:]] == [False, True] * 4 + [False]
    both = usage.sum(axis=1)
    np.testing.assert_array_equal(seen[-1].demand[:, 0], both)
    np.testing.assert_array_equal(seen[-1].demand[:, 1], np.maximum(2 * usage[:, 1], both))


def test_nothing_wanted_is_nothing_asked():
    run = replay(lambda past: None, quota=60.0)
    assert (run.requests.tolist(), run.last_quota.tolist()) == ([[0, 0]], [[60, 60]])
    held = replay(lambda past: np.where(past.open, np.nan, 70.0), quota=60.0)  # who waits need not answer
    assert (held.requests.tolist(), held.last_quota.tolist()) == ([[1, 1]], [[70, 70]])


def test_a_policy_that_never_wants_anything_is_not_blamed_on_the_history():
    """It has no quota, so nothing is judged: NaN, and nobody's choice."""
    run = replay(lambda past: None)
    assert np.isnan([run.risk, run.idle, run.last_quota]).all()
    assert run.best(risk=0.5).policy is None


def test_what_was_never_judged_costs_nothing_known():
    def late(past):
        return [100.0, 100.0] if past.decision == 8 else None

    run = backtest(USAGE, policies=[PeakRule(window_s=D), lambda past: None], step_s=H)
    for name in ("coverage", "risk", "failed_days", "shortfall_frac", "idle_frac", "cost_per_h"):
        assert np.isnan(getattr(run.total, name)[1]), name
    assert run.table().rows[0] == 0  # the cheapest first; what costs nothing known is not
    half = backtest(USAGE, policies=[PeakRule(window_s=D), late], step_s=H)
    assert half.moments[1].tolist() == [24, 24]


def test_a_series_that_was_never_observed_needs_no_answer():
    usage = USAGE.copy()
    usage[:, 1] = np.nan
    run = replay(lambda past: np.fmax.reduce(past.usage), usage)
    assert np.isnan([run.risk[0, 1], run.idle[0, 1], run.last_quota[0, 1]]).all()
    assert run.risk[0, 0] == 0


def test_an_answer_is_taken_as_it_was():
    mine = np.array([100.0, 100.0])

    def same_array(past):
        mine[:] = 100 + past.decision
        return mine

    run = replay(same_array, lead_time_s=0)
    assert run.last_quota.tolist() == [[108, 108]]
    assert run.requests.tolist() == [[9, 9]]


def test_services_and_regions_lie_side_by_side():
    usage = USAGE.reshape(-1, 1, 2).repeat(3, axis=1)
    run = replay(lambda past: np.arange(1.0, 7.0), usage)
    assert run.last_quota.tolist() == [[1, 2, 3, 4, 5, 6]]
    assert run.series == ("0,0", "0,1", "1,0", "1,1", "2,0", "2,1")


class Named:
    name, needs_s = "mine, all mine", 3 * D

    def decide(self, past):
        return 100.0


def test_a_policy_may_have_a_name_and_need_a_past():
    run = backtest(USAGE, policies=[Named(), QuantilePolicy(history_s=2 * D)], step_s=H)
    assert run.setting.first == 72
    assert "mine, all mine" in str(run.table())
    assert refusal(Named(), USAGE[:72], warmup_s=None).startswith("usage: must be longer than the longest window")


@pytest.mark.parametrize("needs_s", ["a week", np.nan, np.inf, dt.timedelta(days=2)], ids=str)
def test_a_past_that_cannot_be_needed_is_refused(needs_s):
    mine = Named()
    mine.needs_s = needs_s
    if isinstance(needs_s, dt.timedelta):  # a duration, as everywhere
        assert replay(mine, warmup_s=None).setting.first == 48
        return
    assert "needs_s" in refusal(mine, warmup_s=None)


def test_ctrl_c_inside_a_policy_is_not_swallowed():
    def interrupted(past):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(interrupted)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_long_call_answers_ctrl_c():
    """In another process, since the signal would end the test run."""
    program = """
import numpy as np, os, signal, surgetank, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
usage = np.random.default_rng(0).gamma(2, 10, (20_000, 60))
rules = surgetank.grid(surgetank.PercentileRule, quantile=np.linspace(.01, .99, 60), factor=np.linspace(1, 3, 200))
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
began = time.monotonic()
try:
    surgetank.backtest(usage, policies=rules, step_s=300, lead_time_s=0, review_s=300)
    print("done before")
except KeyboardInterrupt:
    print("answered", time.monotonic() - began < 2.5)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "answered True\n", done.stderr
