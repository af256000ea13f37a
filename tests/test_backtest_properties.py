"""What holds for every past that is replayed: nobody sees the future, and nothing depends on how it was given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_worlds import NATIVE, D, H, Peak, alarm, each_fails, ninetieth, replay, season
from surgetank import Clairvoyant, PeakRule, PercentileRule, Scenario, ThresholdRule, grid

FIGURES = (
    "samples", "moments", "fails", "failed_days", "requests", "reversals", "coverage", "risk", "failover_coverage",
    "idle", "quota", "last_quota", "expected_shortfall", "max_shortfall", "cost_per_h",
)  # fmt: skip
IN_THE_UNIT = ("idle", "quota", "last_quota", "expected_shortfall", "max_shortfall")
TOTALS = (
    "coverage", "risk", "failed_days", "shortfall_frac", "idle_frac", "cost_per_h", "requests", "reversals",
)  # fmt: skip


@st.composite
def worlds(draw, days=11, width=2, gaps=(0, 0, 0.2)):
    """Hourly usage (T, R) with a season, noise, growth and gaps."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    usage = season(random, days, width)
    usage[random.random(usage.shape) < draw(st.sampled_from(gaps))] = np.nan
    usage[:2] = 50.0
    return usage


def same(a, b, at=...):
    for name in FIGURES[:-1]:  # costs of series that lie otherwise in memory are added up in another order
        np.testing.assert_array_equal(getattr(a, name)[:, at], getattr(b, name), err_msg=name)


def decided(run):
    """What each sample says of quota and requests, (P, N, T − first) each, and of nothing else."""
    found = run.replayed.figures(block=1)
    return {name: found[name] for name in ("idle_sum", "own_short_sum", "samples", "requests")}


FUTURES = {
    "ten times": lambda later: 10 * later,
    "nothing": np.zeros_like,
    "not observed": lambda later: np.where(np.arange(len(later))[:, None] % 2, np.nan, later),
    "backwards": lambda later: later[::-1],
    "cut off": lambda later: later[:0],
}


@settings(max_examples=40)
@given(worlds(), st.integers(7 * 24 + 30, 10 * 24), st.sampled_from(list(FUTURES)), st.sampled_from([0.0, 5 * H, D]))
def test_what_is_decided_does_not_depend_on_what_comes_later(usage, cut, future, lead_time_s):
    other = np.concatenate([usage[:cut], FUTURES[future](usage[cut:])])
    quota = [np.nan, 200.0]
    runs = [replay(u, lead_time_s=lead_time_s, review_s=6 * H, quota=quota) for u in (usage, other)]
    judged = cut - runs[0].setting.first
    a, b = (decided(run) for run in runs)
    for name, values in a.items():
        np.testing.assert_array_equal(values[..., :judged], b[name][..., :judged], err_msg=name)
    if future == "cut off":
        known = ~np.isnan(usage[cut - 1])
        then = usage[cut - 1] + a["idle_sum"][..., judged - 1] - a["own_short_sum"][..., judged - 1]
        np.testing.assert_allclose(runs[1].last_quota[:, known], then[:, known], rtol=1e-12)
        np.testing.assert_array_equal(runs[1].requests, a["requests"][..., :judged].sum(axis=-1))


def test_who_looks_ahead_is_seen():
    """The test above would notice."""
    usage = season(np.random.default_rng(0))
    other = np.concatenate([usage[:-30], 10 * usage[-30:]])
    a, b = (decided(replay(u, [Clairvoyant()], warmup_s=D)) for u in (usage, other))
    assert (a["idle_sum"][..., : -30 - 24] != b["idle_sum"][..., : -30 - 24]).sum() == 0
    assert (a["idle_sum"][..., :-30] != b["idle_sum"][..., :-30]).any()


@given(worlds(), st.integers(5 * 24, 11 * 24 - 1))
def test_a_policy_is_shown_the_past_alone(usage, at):
    seen = []

    def look(past):
        whole = past.usage if past.usage.base is None else past.usage.base
        seen.append((len(past.usage), past.usage.copy(), past.demand.copy(), whole[len(past.usage) :].copy()))
        return 100.0

    replay(usage, [look], warmup_s=at * H - 24 * H, review_s=5 * H)
    demand = np.maximum(usage, usage.sum(axis=1, keepdims=True))
    for rows, shown, carried, later in seen:
        np.testing.assert_array_equal(shown, usage[:rows])
        np.testing.assert_array_equal(carried, demand[:rows])
        assert np.isnan(later).all()


@given(worlds(), st.integers(-40, 40))
def test_another_unit_changes_nothing_but_the_unit(usage, power):
    rules = (*NATIVE[:5], Peak())
    quota = np.array([300.0, np.nan])
    run, scaled = (replay(np.ldexp(usage, k), rules, quota=np.ldexp(quota, k)) for k in (0, power))
    for name in FIGURES:
        expected = np.ldexp(getattr(run, name), power) if name in IN_THE_UNIT else getattr(run, name)
        np.testing.assert_array_equal(getattr(scaled, name), expected, err_msg=name)
    for name in TOTALS:
        np.testing.assert_array_equal(getattr(scaled.total, name), getattr(run.total, name), err_msg=name)
    assert (scaled.knee, scaled.frontier().rows) == (run.knee, run.frontier().rows)


@settings(max_examples=10)
@given(worlds(width=3), st.permutations(range(3)))
def test_permuting_regions_permutes_the_answer(usage, order):
    names = np.array(list("abc"))
    events = [*each_fails(names="abc"), Scenario("sale", "b", {"b": 1.0}, multiplier=1.5)]
    run = replay(usage, scenarios=events, regions=names.tolist())
    moved = replay(usage[:, order], scenarios=events, regions=names[order].tolist())
    same(run, moved, order)
    for name in TOTALS:
        np.testing.assert_allclose(getattr(moved.total, name), getattr(run.total, name), 1e-9, 1e-9, err_msg=name)


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "big-endian": lambda x: x.astype(">f8"),
    "lists": lambda x: x.tolist(),
}


@settings(max_examples=10)
@given(worlds(width=4, days=9), st.sampled_from(list(LAYOUTS)), st.integers(0, 5), st.booleans())
def test_every_layout_and_number_of_threads_gives_the_same_bits(usage, layout, threads, services):
    shaped = usage.reshape(-1, 2, 2) if services else usage[:, :2]
    run, other = replay(shaped), replay(LAYOUTS[layout](shaped), threads=threads)
    same(run, other)
    for a, b in zip(decided(run).values(), decided(other).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert str(other.table()) == str(run.table())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_totals_have_the_same_bits_in_every_layout(layout):
    usage = season(np.random.default_rng(0), days=30)
    run, other = replay(usage, NATIVE), replay(LAYOUTS[layout](usage), NATIVE)
    np.testing.assert_array_equal(other.cost_per_h, run.cost_per_h)
    for name in TOTALS:
        np.testing.assert_array_equal(getattr(other.total, name), getattr(run.total, name), err_msg=name)


# Not an ulp apart: idle headroom is a difference of sums, and these round.
@given(worlds(), st.lists(st.integers(100, 4000).map(lambda k: k / 1000), min_size=2, max_size=8, unique=True))
def test_more_of_a_peak_that_never_changes_is_never_more_risk(usage, factors):
    run = replay(usage, grid(PeakRule, factor=sorted(factors), window_s=D), review_s=30 * D)
    assert (run.requests == 0).all()
    for less in ("risk", "expected_shortfall", "max_shortfall", "failed_days"):
        assert (np.diff(getattr(run, less), axis=0) <= 0).all(), less
    for more in ("coverage", "failover_coverage", "idle", "quota"):
        assert (np.diff(getattr(run, more), axis=0) >= 0).all(), more


OWN = (
    (Peak(1.3), PeakRule(factor=1.3, window_s=D, lower=1.0)),
    (alarm, ThresholdRule(window_s=D)),
    (ninetieth, PercentileRule(window_s=2 * D, threshold=0.9, lower=0.7)),
)


@settings(max_examples=40)
@given(worlds(days=20), st.sampled_from([0.0, 2 * H, D, 80 * H]), st.sampled_from([H, 7 * H, D]), st.booleans())
def test_a_policy_written_in_python_does_as_the_native_rule(usage, lead_time_s, review_s, dark):
    scenarios = each_fails()
    if dark:
        usage[:, 1] = np.nan
        scenarios = Scenario("surge", "0", {"0": 1.0}, multiplier=1.5, duration_s=5 * H)
    more = {"lead_time_s": lead_time_s, "review_s": review_s, "scenarios": scenarios, "quota": [150.0, np.nan]}
    run = replay(usage, [policy for pair in OWN for policy in pair], warmup_s=2 * D, block_s=50 * H, **more)
    for name in FIGURES:
        np.testing.assert_array_equal(getattr(run, name)[0::2], getattr(run, name)[1::2], err_msg=name)
    np.testing.assert_array_equal(run.cvar()[0::2], run.cvar()[1::2])
    for name, values in run.blocks().items():
        np.testing.assert_array_equal(values[0::2], values[1::2], err_msg=name)
    assert run.requests[:, 0].sum() > 0
