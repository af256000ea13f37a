"""Headroom by the classic rule: worked by hand, the slow twin, status, sentences, properties, refusals."""

import dataclasses
import datetime as dt
import inspect
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles import classic_headroom
from surgetank import ClassicPolicy, InvalidInput, RollingSigma, Scenario, _core, size_headroom

DAY = 288  # steps of five minutes
TEXTS = ("status", "unknown", "limit")
FIGURES = (
    "usage", "day_peak", "age_s", "base", "failover", "spike", "minimum", "maximum", "needed", "required", "available",
    "utilization", "day_utilization", "shortfall", "base_frac", "failover_frac", "spike_frac", "classic_utilization",
)  # fmt: skip


def sized(usage, quota=100.0, step_s=300, policy=None, **more):
    return size_headroom(usage, quota=quota, step_s=step_s, policy=policy or ClassicPolicy(), **more)


def same(a, b, at=...):
    for name in (*FIGURES, *TEXTS, "attribution", "reason"):
        np.testing.assert_array_equal(np.asarray(getattr(a, name)), np.asarray(getattr(b, name))[at], err_msg=name)


def test_the_misleading_example():
    h = sized([60.0])
    figures = {
        "usage": 60, "base": 12, "failover": 60, "spike": 30, "minimum": 12, "maximum": 50, "needed": 60,
        "required": 50, "available": 40, "utilization": 1.5, "shortfall": 20, "classic_utilization": 0.2,
    }  # fmt: skip
    assert {name: float(getattr(h, name)) for name in figures} == pytest.approx(figures, rel=1e-15)
    assert (h.base_frac, h.failover_frac, h.spike_frac) == (0.2, 1.0, 0.5)
    assert (h.status, h.classic_status, h.classic_alert, h.limit) == ("CRITICAL", "healthy", "", "maximum")
    assert h.attribution == "failover: 100% of usage"
    assert h.reason == (
        "Needs 60 free (the rule keeps the room to take over as much again as is used now), but 40 of 100 is free: "
        "20 short; a quota of 120 would hold it. "
        'The classic utilization of 20% ("healthy") hides this: it first clips the need to 50, half the '
        "quota, and compares that with what is free."
    )


def test_no_usage_now():
    h = sized([50.0, 0.0])
    assert (h.base, h.failover, h.spike, h.minimum, h.needed) == (0, 0, 0, 10, 10)
    assert (h.base_frac, h.failover_frac, h.spike_frac) == (0.2, 1.0, 0.5)
    assert (h.maximum, h.required, h.classic_utilization) == (0, 0, 0)
    assert (h.status, h.attribution) == ("OK", "minimum: 10 units")


def test_a_quota_of_zero():
    h = sized([5.0], quota=0.0)
    assert (h.available, h.utilization, h.shortfall, h.required, h.classic_utilization) == (-5, math.inf, 15, 0, 0)
    assert (h.status, h.classic_status) == ("CRITICAL", "healthy")
    assert "usage is already 5 over the quota of 0 and nothing is free: 15 short" in h.reason


def test_only_the_last_30_days_count():
    recent = np.full(30 * DAY, 20.0)
    older = np.r_[np.tile([0.0, 500.0], DAY), recent]
    same(sized(older), sized(recent))
    older[2 * DAY] = 500.0  # the first of the 30 days
    assert sized(older).base == pytest.approx(1.2 * 480)
    older[2 * DAY - 1], older[2 * DAY] = 500.0, 20.0  # exactly 30 days old
    assert sized(older).base == pytest.approx(4)


def test_trend_is_per_sample_unless_the_hour_is_meant():
    growing = np.arange(20.0, 44.0)
    assert sized(growing, 1e6).base == pytest.approx(168)
    assert sized(growing, 1e6).attribution == "base: trend"
    hour = ClassicPolicy(trend="hour")
    assert sized(growing, 1e6, policy=hour).base == pytest.approx(168 * 12)
    meant, hourly = sized(growing, 1e6, 3600, policy=hour), sized(growing, 1e6, 3600)
    assert (meant.base, meant.needed, meant.required) == (hourly.base, hourly.needed, hourly.required)
    assert "a week of its growth" in meant.reason
    assert "168 samples, which the rule takes for a week" in hourly.reason
    assert sized(growing[::-1], 1e6).attribution == "base: past peak"  # falling: no growth to keep room for


def test_a_surge_in_place_targets_its_own_region():
    surge = Scenario("sale", "a", {"a": 1.0}, multiplier=3, target_multiplier=4, probability=1, impact="high")
    h = sized([[50.0, 50.0]], 1e4, regions=["a", "b"], scenarios=surge)
    assert h.failover.tolist() == pytest.approx([50 * 3 * 0.8, 50])
    assert h.attribution.tolist() == ["failover: sale", "failover: 100% of usage"]


@pytest.mark.parametrize(
    ("probability", "impact", "expected"),
    [(1, "critical", 120), (1, "high", 96), (1, "medium", 72), (1, "low", 60), (1, "other", 72), (0.4, "critical", 60)],
)
def test_a_scenario_must_beat_the_floor(probability, impact, expected):
    s = Scenario("move", "b", {"a": 0.01}, target_multiplier=3, probability=probability, impact=impact, multiplier=9)
    h = sized([[60.0, 60.0]], 1e4, regions=["a", "b"], scenarios=[s])
    assert h.failover.tolist() == pytest.approx([expected, 60])  # shares and multiplier are not read
    assert ("move" in h.attribution[0]) == (expected > 60)
    assert ("scenario move" in h.reason[0]) == (expected > 60)


def test_ordinary_scenarios_never_exceed_the_floor():
    usage = np.full((5, 2), 60.0)
    same(sized(usage, regions=["us-east-1", "us-west-2"], scenarios=["shipped", "N-1"]), sized(usage))


def test_cost_cap():
    def at(cap):
        return sized([60.0], cost_per_unit=2.0, policy=ClassicPolicy(cost_cap=cap))

    assert (at(40).required, at(40).limit) == (50, "maximum")  # 2·(60 + 60 − 100) does not exceed it
    assert (at(39).required, at(39).limit) == (19.5, "cost_cap")
    assert (at(39).needed, at(39).shortfall, at(39).status) == (60, 20, "CRITICAL")
    assert sized([60.0], cost_per_unit=0.0, policy=ClassicPolicy(cost_cap=0)).limit == "maximum"


def test_the_sentence_tells_what_the_classic_figure_was_made_of():
    """Under a cost cap the classic rule compares the capped need, not half the quota, with what is free."""
    h = sized([60.0], cost_per_unit=1.0, policy=ClassicPolicy(cost_cap=10))
    assert (h.required, h.classic_utilization) == (10, -3)
    assert "The cost cap leaves 10 of it." in h.reason
    assert "clips the need to 50" not in h.reason


def test_not_adjustable():
    h = sized([[60.0, 60.0]], adjustable=[True, False])
    assert h.required.tolist() == [50, 40]
    assert h.limit.tolist() == ["maximum", "not_adjustable"]
    assert "cannot be raised" in h.reason[1]
    assert sized([150.0], adjustable=False).required == 0
    assert sized([10.0], adjustable=False).limit == "none"  # there is room enough


def test_staleness_includes_its_boundary():
    usage = np.r_[60.0, np.full(12, np.nan)]  # twelve steps: an hour
    assert sized(usage).status == "CRITICAL"
    late = sized(usage, now=3601)
    assert (late.status, late.unknown, late.usage, late.age_s) == ("UNKNOWN", "stale", 60, 3601)
    assert np.isnan([late.needed, late.available, late.shortfall]).all()
    assert late.reason == "Last observed 1 h 1 s before now, with 60 in use: too old to judge."
    assert sized(usage, now=3601, stale_after_s=dt.timedelta(seconds=3601)).unknown == "none"
    assert sized([60.0, np.nan], step_s=7200, stale_after_s=7199).unknown == "stale"
    assert sized([60.0] + [np.nan] * 12, step_s=7200).unknown == "none"
    assert sized([60.0] + [np.nan] * 13, step_s=7200).unknown == "stale"


def test_unknown_is_never_zero():
    h = sized([[np.nan, 60.0, 60.0]], [100, np.nan, 100])
    assert h.unknown.tolist() == ["no_usage", "no_quota", "none"]
    assert h.status.tolist() == ["UNKNOWN", "UNKNOWN", "CRITICAL"]
    assert h.needed[1] == 60
    assert h.classic_status.tolist() == ["", "", "healthy"]
    assert "unknown, not zero" in h.reason[0]
    with pytest.raises(InvalidInput, match=r"^headroom: must be known and sufficient for every quota \(got 0, 1, 2\)$"):
        h.require_met()


@pytest.mark.parametrize(
    ("quota", "status"),
    [(42.001, "OK"), (42, "WARNING"), (30.001, "WARNING"), (30, "CRITICAL"), (27, "CRITICAL")],
)
def test_thresholds_are_inclusive(quota, status):
    # Usage 14 needs 14: half of 28, seven eighths of 16, more than 13.
    assert sized([14.0], quota, warning_frac=0.5, critical_frac=0.875).status == status


def test_status_is_judged_by_the_last_24_hours():
    day = np.full(DAY + 1, 20.0)
    day[1] = 24.0
    h = sized(day, 50)
    assert (h.day_peak, h.status) == (24, "WARNING")
    assert h.day_utilization == pytest.approx(20 / 26)
    assert "At the highest usage of the last 24 h, 24, the need would have been 77% of what was free." in h.reason
    day[0], day[1] = 24.0, 20.0  # 24 h ago
    assert (sized(day, 50).day_peak, sized(day, 50).status) == (20, "OK")
    day[-2] = 50.0
    assert (sized(day, 50).day_utilization, sized(day, 50).status) == (math.inf, "CRITICAL")


def test_status_looks_at_24_hours_whatever_the_policy_looks_at():
    day = np.full(DAY, 10.0)
    day[-100] = 99.0
    h = sized(day, policy=ClassicPolicy(history_s=3600))
    assert (h.base, h.day_peak, h.status) == (2, 99, "CRITICAL")


def test_later_samples_are_ignored():
    usage = np.arange(20.0, 60.0)
    for now, rows in ((300 * 9, 10), (300 * 9 + 299, 10), (300 * 10, 11)):
        h = sized(usage, now=now)
        same(h, sized(usage[:rows], now=now))
        assert h.usage == usage[rows - 1]


def random_world(seed):
    random = np.random.default_rng(seed)
    length = int(random.integers(1, 500))
    usage = random.lognormal(3, random.uniform(0.05, 1), length) * (
        1 + random.uniform(0, 2) * np.arange(length) / length
    )
    usage[random.random(length) < random.choice([0, 0.1, 0.6])] = np.nan
    if np.isnan(usage).all():
        usage[0] = 1.0
    return usage, {
        "quota": random.choice([0.0, 20.0, 60.0, 200.0, 1e4, np.nan]),
        "step_s": float(random.choice([60, 300, 3600, 86400])),
        "cost": random.choice([0.0, 0.5]),
        "adjustable": bool(random.random() < 0.7),
    }


@pytest.mark.parametrize("trend", ["sample", "hour"])
def test_equals_the_twin(trend):
    scenarios = [
        Scenario("one", "b", {"a": 1.0}, target_multiplier=3.0, probability=0.9, impact="high"),
        Scenario("two", "b", {"a": 1.0}, target_multiplier=5.0, probability=0.4, impact="word"),
    ]
    policy = ClassicPolicy(trend=trend, cost_cap=25, detector=RollingSigma(window=8, threshold=1.8))
    for seed in range(150):
        usage, world = random_world(seed)
        h = size_headroom(
            np.c_[usage, usage],
            quota=world["quota"], step_s=world["step_s"], cost_per_unit=world["cost"], adjustable=world["adjustable"],
            policy=policy, regions=["a", "b"], scenarios=scenarios,
        )  # fmt: skip
        for column, targeted in enumerate(([(3.0, 0.9, "high"), (5.0, 0.4, "word")], [])):
            twin = classic_headroom(
                usage, **world, scenarios=targeted, trend=trend, cost_cap=25, detector={"window": 8, "threshold": 1.8}
            )
            for name in FIGURES:
                np.testing.assert_allclose(getattr(h, name)[column], twin[name], rtol=1e-12, atol=1e-12, err_msg=name)
            assert [getattr(h, name)[column] for name in TEXTS] == [twin[name] for name in TEXTS], seed


def test_real_data_equals_the_twin(shared_data):
    for file in sorted(shared_data.glob("workloads/*.csv"))[:4]:
        usage = np.genfromtxt(file, delimiter=",", skip_header=1, usecols=1)[-2000:]
        twin = classic_headroom(usage, 2.5 * usage.max(), 3600)
        h = sized(usage, 2.5 * usage.max(), 3600)
        for name in FIGURES:
            np.testing.assert_allclose(getattr(h, name), twin[name], rtol=1e-12, err_msg=f"{file.name}: {name}")
        assert h.status == twin["status"]


@pytest.mark.parametrize("scale", [2.0**-990, 2.0**-500, 2.0**500, 2.0**990])
def test_extreme_units_change_nothing_but_the_unit(scale):
    """A power of two is exact, so the answer at 1e300 must be the answer at 1, except for the minimum of 10 units."""
    usage = np.random.default_rng(0).lognormal(3, 0.5, 300)
    plain, scaled = sized(usage, 64.0), sized(usage * scale, 64.0 * scale)
    for name in ("usage", "base", "failover", "spike", "maximum", "available", "day_peak"):
        assert getattr(scaled, name) / scale == pytest.approx(getattr(plain, name), rel=1e-12), name


def test_after_an_outlier_and_on_a_high_level():
    random = np.random.default_rng(1)
    for usage in (np.r_[1e9, random.lognormal(3, 0.3, 500)], 1e9 + random.normal(size=500)):
        twin = classic_headroom(usage, 3e9, 300)
        # spike = U·(ratio − 1): at 1e9 no double holds more of it than 1e-7.
        assert sized(usage, 3e9).spike == pytest.approx(twin["spike"], rel=1e-12, abs=1e9 * 1e-15)
        assert sized(usage, 3e9).base == pytest.approx(twin["base"], rel=1e-12)


def test_numbers_beyond_double_are_no_answer():
    """A need of infinity, and a quota that lacks infinity, would be a wrong number said with confidence."""
    with pytest.raises((ArithmeticError, InvalidInput)):
        sized(np.linspace(1e307, 1.7e308, 5), 1.7e308)


def test_defaults_are_the_cores():
    core, policy = _core.ClassicOptions(), ClassicPolicy()
    assert (policy.cost_cap, policy.history_s) == (core.cost_cap, core.history_s)
    assert (policy.trend == "hour") == core.trend_per_hour
    assert policy.detector == RollingSigma()
    mapped = {name for name in dir(core) if not name.startswith("_")} - {"check", "trend_per_hour"}
    assert mapped == {f.name for f in dataclasses.fields(policy)} - {"trend", "detector"}
    shown = inspect.signature(size_headroom).parameters
    assert (shown["warning_frac"].default, shown["critical_frac"].default) == (0.70, 0.85)


def test_results_are_frozen_readonly_and_picklable():
    h = sized(np.full((5, 2), 60.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        h.needed = 0
    for name in (*FIGURES, *TEXTS, "quota", "reason", "attribution", "spikes", "classic_status", "classic_alert"):
        assert not getattr(h, name).flags.writeable, name
    same(pickle.loads(pickle.dumps(h)), h)


def test_results_can_be_compared_and_hashed():
    usage = np.full((5, 2), 60.0)
    one, other = sized(usage), sized(usage)
    assert one == one
    assert one != other
    assert len({one, one, other}) == 2


def test_threads_give_the_same_bits():
    usage = np.random.default_rng(0).lognormal(3, size=(300, 20))
    with ThreadPoolExecutor(8) as pool:
        for h in pool.map(sized, [usage] * 32):
            same(h, sized(usage))


SERIES = st.lists(st.floats(0, 2000, width=32) | st.just(math.nan), min_size=1, max_size=40).filter(
    lambda u: not all(map(math.isnan, u))
)
BLOCK = st.tuples(st.integers(1, 30), st.integers(2, 4), st.integers(0, 2**32)).map(
    lambda c: np.random.default_rng(c[2]).lognormal(3, 1, c[:2])
)


@given(SERIES, st.floats(0, 5000), st.floats(1, 10))
def test_more_quota_is_never_more_shortfall(usage, quota, factor):
    less, more = sized(usage, quota), sized(usage, quota * factor)
    if less.unknown == "none":
        assert more.shortfall <= less.shortfall
        assert more.needed == less.needed


@given(SERIES, st.integers(0, 20))
def test_terms_scale_with_usage(usage, power):
    usage = np.asarray(usage)
    h, scaled = sized(usage), sized(np.ldexp(usage, power), np.ldexp(100.0, power))
    for name in ("base", "failover", "spike", "maximum", "available"):
        np.testing.assert_array_equal(getattr(scaled, name), np.ldexp(getattr(h, name), power), err_msg=name)
    np.testing.assert_array_equal(scaled.minimum, np.maximum(scaled.base, 10) if h.unknown == "none" else np.nan)


@given(BLOCK, st.randoms())
def test_permuting_regions_permutes_the_answer(usage, random):
    names = [f"r{i}" for i in range(usage.shape[1])]
    order = random.sample(range(len(names)), len(names))
    s = Scenario("move", names[0], {names[1]: 1.0}, target_multiplier=4, probability=1)
    h = sized(usage, regions=names, scenarios=[s, "N-1"])
    moved = sized(usage[:, order], regions=[names[i] for i in order], scenarios=[s, "N-1"])
    same(moved, h, (..., order))


@given(SERIES, st.floats(0, 5000), st.booleans(), st.floats(0, 100))
def test_the_classic_status_is_never_the_graver_one(usage, quota, adjustable, cap):
    h = sized(usage, quota, adjustable=adjustable, cost_per_unit=1.0, policy=ClassicPolicy(cost_cap=cap))
    if h.classic_status in ("warning", "critical"):
        assert h.status == "CRITICAL"
    if h.unknown == "none":
        assert h.required <= h.needed
        assert h.shortfall == max(0, h.needed - h.available)
        assert (h.limit == "none") == (h.required == h.needed)
