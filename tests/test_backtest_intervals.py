"""The policy that knows the future, and how sure the figures are: frontiers, blocks of time, intervals."""

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles_backtest as twin
from backtest_worlds import NATIVE, RULES, D, H, Peak, each_fails, replay, season
from surgetank import Clairvoyant, Cost, PeakRule, Scenario, grid
from test_backtest_properties import worlds


@given(worlds(), st.sampled_from([0.0, D, 3 * D]), st.sampled_from([0.0, 0.01, 0.2]))
def test_nobody_does_with_less_idle_headroom_than_the_clairvoyant(usage, lead_time_s, risk):
    prices = Cost(per_unit_h=[1.0, 3.0])
    run = replay(usage, [*NATIVE, Peak(), Clairvoyant(risk=risk)], lead_time_s=lead_time_s, cost=prices)
    assert (run.excess_frac >= -1e-9).all()
    assert (run.risk[-1] <= risk).all()


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_nor_where_the_lead_time_is_no_whole_number_of_reviews(lead):
    """Quotas then change between two reviews."""
    usage = np.tile([1.0, 1.0, 9.0, 9.0], 30)

    def knows(past):
        applies = len(past.usage) + lead
        return usage[[applies % 4, (applies + 1) % 4]].max()

    run = replay(usage, [knows], scenarios=None, lead_time_s=lead * H, review_s=2 * H, warmup_s=H)
    assert run.total.risk[0] == 0
    assert run.excess_frac[0] >= -1e-9


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(2, 4))
def test_the_frontier_is_that_of_every_combination_of_levels(seed, width, every):
    random = np.random.default_rng(seed)
    usage = random.integers(0, 5, (int(random.integers(3, 9)), width)) + 1.0
    usage[1:][random.random((len(usage) - 1, width)) < 0.2] = np.nan
    scenarios = [Scenario(f"surge {i}", str(i), {str(i): 1.0}, multiplier=1.7, duration_s=H) for i in range(width)]
    if np.isnan(usage[1:]).all(axis=0).any():
        return
    run = replay(usage, [PeakRule(window_s=H)], scenarios=scenarios, review_s=every * H, lead_time_s=0)
    hulls = [twin.clairvoyant_tiny(u, np.maximum(u, 1 * u + (1.7 - 1) * u), first=1, every=every) for u in usage.T]
    worth = np.nansum(usage[1:], axis=0)
    sums = {}
    for corners in itertools.product(*(list(zip(*hull, strict=True)) for hull in hulls)):
        at = sum(int(fails) for fails, _ in corners)
        idle = sum((Fraction(idle) / Fraction(w) for (_, idle), w in zip(corners, worth, strict=True)), Fraction(0))
        sums[at] = min(idle, sums.get(at, idle))
    fails, idle = twin.arrays(twin.lower_hull(sums))
    moments = int(run.moments[0].sum())
    for k in range(moments + 1):
        expected = np.interp(k, fails, idle) / width
        assert float(run.clairvoyant.idle_at(k / moments)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


# Blocks of time, and what is drawn from them.


@settings(max_examples=15)
@given(worlds(days=9), st.integers(1, 300), st.booleans())
def test_blocks_add_up_to_totals(usage, block, sampled):
    more = {"moments": 40, "seed": block} if sampled else {}
    prices = Cost(per_unit_h=[1.0, 3.0], per_request=7, per_short_unit_h=2)
    run = replay(usage, [*RULES, Clairvoyant(risk=0.1)], block_s=block * H, cost=prices, **more)
    blocks = {name: values.sum(axis=1) for name, values in run.blocks().items()}
    np.testing.assert_array_equal(blocks["fails"], run.fails.sum(axis=1))
    np.testing.assert_array_equal(blocks["moments"], run.moments.sum(axis=1))
    np.testing.assert_allclose(blocks["cost"] / blocks["hours"], run.total.cost_per_h, rtol=1e-9)
    for which in ([0], [len(RULES), 1], [7, 2, 8]):
        for name, values in run.blocks(which).items():
            np.testing.assert_array_equal(values, run.blocks()[name][which], err_msg=name)


@functools.cache
def drawn(seed=0, **more):
    usage = season(np.random.default_rng(3), days=60)
    return replay(usage, grid(PeakRule, factor=[1.5, 2.0, 2.2, 2.2, 9.0], window_s=D, lower=[None, 0.7]), seed=seed)


def test_intervals_are_paired_and_repeat_with_their_seed():
    run, again, other = drawn(), replay(drawn().setting.usage, drawn().policies), drawn(seed=1)
    for figure in ("risk", "cost_per_h"):
        low, high = run.interval(figure)
        np.testing.assert_array_equal([low, high], again.interval(figure))
        assert (np.array([low, high]) != other.interval(figure)).any()
        values = getattr(run.total, figure)
        assert (low <= values).all()
        assert (values <= high).all()
        assert run.difference(figure, 4, 6) == (0.0, 0.0, 0.0)  # the same rule twice
        gap, least, most = run.difference(figure, 2, 0)
        assert gap == values[2] - values[0]
        assert least <= gap <= most
        assert most - least < high[2] - low[2] + high[0] - low[0]
        wider = run.interval(figure, confidence=0.99)
        assert (wider[0] <= low).all()
        assert (wider[1] >= high).all()
        np.testing.assert_array_equal(run.interval(figure, [5, 1])[0], low[[5, 1]])


@settings(max_examples=25)
@given(worlds(), st.integers(0, 2**31), st.sampled_from([None, 24 * H, 50 * H]))
def test_intervals_hold_the_figure(usage, seed, block_s):
    run = replay(usage, NATIVE, seed=seed, block_s=block_s)
    for figure in ("risk", "cost_per_h"):
        low, high = run.interval(figure)
        assert (low - 1e-12 <= getattr(run.total, figure)).all()
        assert (getattr(run.total, figure) <= high + 1e-12).all()


def test_what_never_failed_may_fail_as_often_as_so_many_windows_allow():
    run = drawn()
    windows = (60 - 1) * 24 / 3
    assert run.independent_windows == windows
    assert run.total.risk[8] == 0
    low, high = run.interval("risk", [8], confidence=0.9)
    assert (low[0], high[0]) == (0, pytest.approx(1 - 0.05 ** (1 / windows), rel=1e-12))


@pytest.mark.parametrize("moments", [1, 3, 20])
def test_few_moments_do_not_make_sure(moments):
    """So many failovers that did not fail allow more than all that could have been tried."""
    run = replay(drawn().setting.usage, [PeakRule(factor=9.0, window_s=D)], moments=moments, scenarios=each_fails(1))
    assert run.total.risk[0] == 0
    assert run.interval("risk", confidence=0.9)[1][0] >= 1 - 0.05 ** (1 / run.moments.sum()) - 1e-12
