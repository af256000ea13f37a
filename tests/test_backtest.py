"""`backtest` worked by hand: every figure, the choices, intervals, History."""

import math

import numpy as np
import pytest

from backtest_worlds import D, H
from clear import clear_error
from surgetank import (
    Clairvoyant,
    Cost,
    History,
    InvalidInput,
    PeakRule,
    Quota,
    QuotaKey,
    Scenario,
    ThresholdRule,
    backtest,
)


class Fixed:
    """Wants the same always."""

    def __init__(self, *quota):
        self.quota, self.name = np.array(quota), f"fixed {quota[0]}"

    def decide(self, past):
        return np.broadcast_to(self.quota, past.quota.shape)


STEP_UP = np.array([10.0, 10, 10, 20, 20, 20, 20, 10])  # a day each
RISES = PeakRule(
    factor=1.5, window_s=D
)  # 15 from the second day on; asks for 30 after the fourth, has it on the seventh


def daily(usage=STEP_UP, policies=(RISES,), **more):
    return backtest(usage, policies=policies, **({"step_s": D, "warmup_s": D, "lead_time_s": 2 * D} | more))


def test_one_step_up():
    run = daily()
    assert (run.samples.tolist(), run.moments.tolist(), run.fails.tolist()) == ([[7]], [[7]], [[3]])
    assert (run.coverage[0, 0], run.risk[0, 0], run.failover_coverage[0, 0]) == (1 - 3 / 7, 3 / 7, 1 - 3 / 7)
    assert (run.requests.tolist(), run.reversals.tolist(), run.failed_days.tolist()) == ([[1]], [[0]], [[3]])
    assert (run.last_quota[0, 0], run.quota[0, 0]) == (30, (5 * 15 + 2 * 30) / 7)
    assert run.idle[0, 0] == (5 + 5 + 10 + 20) / 7
    assert (run.expected_shortfall[0, 0], run.max_shortfall[0, 0]) == (15 / 7, 5)
    assert run.pinball(0.9)[0, 0] == pytest.approx((0.9 * 15 + 0.1 * 40) / 7)
    assert [run.cvar(tail)[0, 0] for tail in (0.01, 0.3, 0.5, 1)] == [5, 5, 15 / 4, 15 / 7]
    assert run.series == ("0",)


def test_totals_of_one_series_are_multiples_of_its_usage():
    total = daily().total
    assert (total.risk[0], total.coverage[0], total.failed_days[0]) == (3 / 7, 1 - 3 / 7, 3 / 7)
    assert (total.idle_frac[0], total.shortfall_frac[0]) == (pytest.approx(40 / 110), pytest.approx(15 / 110))
    assert total.cost_per_h[0] == pytest.approx(40 / 110)
    assert daily().excess_frac[0] == pytest.approx(40 / 110)  # who knows each day needs no idle headroom
    assert (total.requests[0], total.reversals[0]) == (pytest.approx(30 / 7), 0)


def test_a_request_down_is_a_reversal():
    run = daily(policies=[PeakRule(factor=1.5, window_s=D, lower=1.0)])
    assert (run.requests.tolist(), run.reversals.tolist(), run.last_quota.tolist()) == ([[2]], [[1]], [[30]])


def test_prices():
    run = daily(cost=Cost(per_unit_h=2, per_request=7 * 24, per_short_unit_h=7))
    assert run.total.cost_per_h[0] == run.cost_per_h[0, 0] == pytest.approx(2 * 40 / 7 + 1 + 15)
    assert run.total.idle_frac[0] == pytest.approx(40 / 110)
    two = daily(np.c_[STEP_UP, 10 * STEP_UP], cost=Cost(per_unit_h=[3, 1]))
    assert two.cost_per_h.tolist() == [[pytest.approx(3 * 40 / 7), pytest.approx(400 / 7)]]
    assert Cost(per_unit_h=[3, 1]).to_dict() == {"per_unit_h": [3, 1], "per_request": 0, "per_short_unit_h": 0}


def test_quotas_at_the_start():
    """What there is counts from the first judged day, and the first decision may ask for another."""
    run = daily(quota=18.0)
    assert (run.requests.tolist(), run.quota[0, 0]) == ([[1]], (5 * 18 + 2 * 30) / 7)
    low = daily(quota=12.0)  # too low for the first day already: asks at once, has 15 after two days, then 30
    assert (low.requests.tolist(), low.quota[0, 0]) == ([[2]], (2 * 12 + 3 * 15 + 2 * 30) / 7)


def test_a_threshold_raises_step_by_step():
    """An alarm at 80 %: 12.5 to begin with; 15, 18, … as long as 20 is more than 80 % of it."""
    run = daily(policies=[ThresholdRule()], lead_time_s=0)
    assert run.requests.tolist() == [[4]]
    assert run.last_quota[0, 0] == pytest.approx(12.5 * 1.2**4)


def test_a_failover_must_fit_for_as_long_as_it_lasts():
    usage = np.array([[10.0, 5], [10, 5], [10, 50], [10, 5], [10, 5], [10, 5]])
    fails = Scenario("b fails", "b", {"a": 1.0}, duration_s=2 * H)
    more = {"step_s": H, "scenarios": fails, "regions": ["a", "b"], "review_s": H, "lead_time_s": 0}
    run = backtest(usage, policies=[PeakRule(factor=2, window_s=H)], **more)
    # On a 15, 60, 60, 15, 15 must fit from each hour on; what begins at the last one is not known. On b nothing lands.
    assert (run.moments.tolist(), run.fails.tolist()) == ([[4, 5]], [[2, 1]])
    assert (run.max_shortfall.tolist(), run.expected_shortfall.tolist()) == ([[40, 40]], [[20, 8]])
    assert run.total.risk[0] == 3 / 9
    usage[3, 1] = np.nan  # half of a window is enough, but b itself must be known
    assert backtest(usage, policies=[PeakRule(factor=2, window_s=H)], **more).moments.tolist() == [[4, 4]]
    assert run.caption() == "1 policy over 2 series, 5 h judged; 1 failover; a look every 1 h, lead time 0 s"


# Choices. 900 days of 10, 90 of 11, 9 of 12 and one of 100.
RARE = np.repeat([10.0, 11, 12, 100], [901, 90, 9, 1])
RARE[1:] = np.random.default_rng(0).permutation(RARE[1:])
LEVELS = [Fixed(12), Fixed(100), Fixed(10), Fixed(130), Fixed(11), Clairvoyant(risk=0.3)]


def rare(policies=LEVELS, usage=RARE, **more):
    return daily(usage, policies, **more)


def test_frontier_and_knee():
    run = rare()
    assert run.total.risk.tolist()[:5] == pytest.approx([0.001, 0, 0.1, 0, 0.01])
    idle = [900 * 2 + 90, 900 * 90 + 90 * 89 + 9 * 88, 0, 120 * 900 + 119 * 90 + 118 * 9 + 30, 900]
    assert run.idle[:5, 0].tolist() == pytest.approx([i / 1000 for i in idle])
    # The one that knows the future is nobody's choice; 130 costs more than 100, and neither ever fails.
    assert run.frontier().rows == (2, 4, 0, 1)
    assert run.table().rows == (2, 5, 4, 0, 1, 3) or run.table().rows == (5, 2, 4, 0, 1, 3)
    assert run.knee == 0  # from 12 to 100 costs much and saves little
    assert rare(LEVELS[:1]).knee == 0
    assert (rare(LEVELS[5:]).knee, rare(LEVELS[5:]).frontier().rows) == (-1, ())


def test_without_a_knee_the_least_risky_is_no_worse_a_choice_than_the_riskiest():
    """Where each step of cost saves more risk than the one before, no point lies below the line between the ends."""
    usage = np.arange(101.0)
    usage[1:] = np.random.default_rng(0).permutation(usage[1:])
    policies = [Fixed(q) for q in (50, 90, 95, 100)]
    run = daily(usage, policies)
    assert run.total.risk.tolist() == pytest.approx([0.5, 0.1, 0.05, 0])
    assert run.knee == 3
    assert daily(usage, policies[::3]).knee == 1  # as of two


def test_the_best_for_a_stated_risk():
    run = rare()
    assert [run.best(risk=r).index for r in (0.2, 0.05, 0.005, 1e-4)] == [2, 4, 0, 1]
    found = run.best(risk=0.005)
    assert (found.policy, found.risk, math.isnan(found.risk_high)) == (LEVELS[0], 0.001, True)
    assert (found.cost_per_h, found.idle_frac) == (run.total.cost_per_h[0], run.total.idle_frac[0])
    usual = RARE[1:].mean()
    assert str(found) == (
        "fixed 12 is the cheapest with a risk of at most 0.5%: 0.1% of failovers failed, and "
        f"{1.89 / usual:.4g} times the average usage was idle."
    )
    sure = run.best(risk=0.01, confidence=0.9)  # 11 may have failed more often than it happened to
    assert (sure.index, sure.risk_high) == (0, run.interval("risk", [0], confidence=0.8)[1][0])
    assert "with 90% confidence at most" in sure.reason
    assert run.best(risk=0.004, confidence=0.95).risk_high <= 0.004


def test_where_none_meets_the_risk_the_least_risky_is_named():
    found = rare(LEVELS[2:3]).best(risk=0.01, confidence=0.9)
    assert (found.policy, found.index, found.risk, math.isnan(found.cost_per_h)) == (None, -1, 0.1, True)
    assert found.reason.startswith(
        "No policy meets a risk of 1%: the least risky, fixed 10, failed in 10% of all cases (with 90% confidence at "
    )


def test_only_who_knows_the_future_is_no_choice():
    run = rare(LEVELS[5:])
    found = run.best(risk=0.4)
    assert (found.policy, found.index) == (None, -1)
    assert "the least risky, clairvoyant" not in found.reason
    assert (run.newsvendor(), run.least_regret()) == (-1, -1)


def test_newsvendor_weighs_idle_headroom_against_shortage():
    prices = [Cost(per_unit_h=1, per_short_unit_h=p) for p in (0, 10, 2000)]
    assert [rare(cost=cost).newsvendor() for cost in prices] == [2, 4, 1]


def test_least_regret_looks_at_the_worst_series():
    policies = [Fixed(10.0, 30.0), Fixed(20.0, 20.0), Fixed(30.0, 10.0)]
    usage = np.full((9, 3), 10.0)
    run = daily(usage[:, :2], policies, cost=Cost(per_unit_h=1))
    assert run.cost_per_h.tolist() == [[0, 20], [10, 10], [20, 0]]
    assert run.least_regret() == 1
    usage[:, 2] = np.nan  # of which nothing is known
    dark = daily(usage, [Fixed(*p.quota, 5.0) for p in policies], cost=Cost(per_unit_h=1))
    assert dark.least_regret() == 1


def test_intervals_are_of_blocks_drawn_anew():
    run = rare(block_s=50 * D, seed=7, confidence=0.8)
    failed = (RARE[1:] > 11).reshape(20, 50).sum(axis=1)
    times = np.random.default_rng(7).multinomial(20, np.full(20, 1 / 20), size=2000)
    expected = np.quantile((times * failed).sum(axis=1) / 1000, [0.1, 0.9])
    assert np.ravel(run.interval("risk", [4])).tolist() == pytest.approx(expected)
    spared = np.quantile(
        ((times * (RARE[1:] > 10).reshape(20, 50).sum(axis=1)) - times * failed).sum(axis=1), [0.1, 0.9]
    )
    assert run.difference("risk", 2, 4) == pytest.approx((0.09, *(spared / 1000)))


@pytest.mark.parametrize(
    ("step_s", "days", "failover_s", "block_d"),
    [
        (H, 30, H, 1),
        (H, 61, H, 2),
        (300, 9, H, 1),
        (H, 30, 3.5 * D, 4),
        (D, 300, H, 5),
        (7 * H, 59, H, 1),
        (5 * H, 25, H, 1),
    ],
)
def test_blocks_are_whole_days_at_most_sixty_and_none_shorter_than_a_failover(step_s, days, failover_s, block_d):
    surge = Scenario("surge", "0", {"0": 1.0}, multiplier=1.5, duration_s=failover_s)
    run = daily(np.full(round(days * D / step_s) + 1, 9.0), [Fixed(9)], step_s=step_s, warmup_s=step_s, scenarios=surge)
    assert run.blocks()["moments"].shape[1] <= 60
    assert run.block * step_s == pytest.approx(block_d * D, abs=step_s)


def test_no_share_of_days_is_more_than_all():
    """Two days from noon on lie on three."""
    history = History.from_array(np.full((72, 1), 9.0), start="2024-01-01T12:00Z", step_s=H, regions=["a"])
    run = backtest(history, policies=[PeakRule(window_s=D, factor=0.5)], lead_time_s=0)
    assert run.failed_days.tolist() == [[3]]
    assert run.total.failed_days[0] == 1


def test_nothing_known_is_nothing_judged():
    run = daily(np.full((9, 2), np.nan), [RISES, ThresholdRule()])
    assert np.isnan([run.risk, run.idle, run.coverage, run.last_quota]).all()
    assert run.best(risk=0.5).policy is None
    assert (run.knee, run.frontier().rows) == (-1, ())
    assert str(run.table())


# History.


def test_a_history_brings_regions_and_instants():
    usage = np.c_[STEP_UP, 2 * STEP_UP]
    history = History.from_array(
        usage, start="2024-03-01T00:00Z", step_s=D, regions=["a", "b"], quota=[50, 60], service_code="s"
    )
    more = {"policies": [RISES, Clairvoyant()], "warmup_s": D, "lead_time_s": 2 * D, "scenarios": ["N-1", "shipped"]}
    run, plain = backtest(history, **more), daily(usage, **(more | {"scenarios": "N-1"}))
    for name in ("risk", "idle", "fails", "last_quota", "cost_per_h"):
        np.testing.assert_array_equal(getattr(run, name), getattr(plain, name))
    assert run.series == ("a s", "b s")
    assert run.setting.skipped == ("regional_dr", "traffic_spike")
    with clear_error(InvalidInput, "step_s", "the History's own 86400 s", 300):
        backtest(history, step_s=300, **more)
    with clear_error(InvalidInput, "regions", "the History's own, a, b"):
        backtest(history, regions=["x", "y"], **more)


def test_a_global_quota_neither_fails_nor_receives():
    keys = [QuotaKey(region=r, service_code=s) for s in ("s", "t") for r in ("a", "b")]
    quotas = [Quota(key=k, value=9, is_global=k.service_code == "t") for k in keys]
    history = History(keys=tuple(keys), start_s=0, step_s=D, usage=np.tile(STEP_UP[:, None], 4)).with_quotas(quotas)
    run = backtest(history, policies=[Fixed(25)], warmup_s=D, scenarios="N-1", lead_time_s=0)
    assert run.fails.tolist() == [[4, 4, 0, 0]]


def test_a_metric_below_zero_is_refused():
    history = History(keys=(QuotaKey(),), start_s=0, step_s=D, usage=-STEP_UP[:, None], signed=True)
    with clear_error(InvalidInput, "usage", "must be finite and 0 or more", -10):
        backtest(history, policies=[RISES], warmup_s=D)
