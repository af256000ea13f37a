"""What holds for every world that the quantile policy sizes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgetank import QuantilePolicy, Scenario, size_headroom

FIGURES = (
    "usage", "base", "failover", "spike", "need", "needed", "needed_low", "needed_high", "growth", "n_eff",
    "probability_enough", "probability_enough_low", "probability_enough_high", "ask_in_s", "required", "available",
    "utilization", "day_utilization", "shortfall", "extrapolated",
)  # fmt: skip
TEXTS = ("status", "unknown", "limit", "event", "attribution", "ask_by", "reason")
IN_THE_UNIT = ("need", "needed", "needed_low", "needed_high", "base", "failover", "available", "shortfall")
COUNTED = QuantilePolicy(growth=1.0, tail="counted", risk=0.05)
POLICIES = st.sampled_from([QuantilePolicy(), QuantilePolicy(risk=0.2, normal_duration_s=7200), COUNTED])


@st.composite
def worlds(draw, services=2):
    """Hourly usage (T, S, R) with a season, noise, growth and gaps."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    length, width = draw(st.integers(1, 400)), draw(st.integers(2, 4))
    hours = np.arange(length)[:, None, None]
    shape = (length, draw(st.integers(1, services)), width)
    usage = 100 * (1.5 + np.sin(2 * np.pi * (hours / 24 + random.random(shape[1:])))) * random.lognormal(0, 0.3, shape)
    usage = usage * (1 + draw(st.floats(0, 2)) * hours / length)
    usage[random.random(shape) < draw(st.sampled_from([0, 0, 0.2]))] = np.nan
    usage[-1] = random.lognormal(5, 0.3, shape[1:])
    return usage


def sized(usage, quota=400.0, step_s=3600, scenarios="N-1", **more):
    return size_headroom(usage, quota=quota, step_s=step_s, scenarios=scenarios, **more)


def same(a, b, at=...):
    for name in (*FIGURES, *TEXTS):
        np.testing.assert_array_equal(np.asarray(getattr(a, name)), np.asarray(getattr(b, name))[at], err_msg=name)


@given(worlds(), POLICIES, st.integers(0, 30))
def test_another_unit_changes_nothing_but_the_unit(usage, policy, power):
    """Powers of two are exact, so this must be."""
    h, scaled = sized(usage, policy=policy), sized(np.ldexp(usage, power), np.ldexp(400.0, power), policy=policy)
    for name in FIGURES:
        expected = np.ldexp(getattr(h, name), power) if name in (*IN_THE_UNIT, "usage", "required", "spike") else None
        np.testing.assert_array_equal(
            getattr(scaled, name), getattr(h, name) if expected is None else expected, err_msg=name
        )
    assert scaled.status.tolist() == h.status.tolist()


@given(worlds(), POLICIES, st.floats(1, 100))
def test_scaling_all_load_scales_the_need(usage, policy, k):
    h, scaled = sized(usage, policy=policy), sized(k * usage, k * 400, policy=policy)
    for name in IN_THE_UNIT:
        # The difference of two large numbers has the digits of neither.
        near = pytest.approx(k * np.ravel(getattr(h, name)), rel=1e-9, abs=1e-9 * k * h.need.max(), nan_ok=True)
        assert np.ravel(getattr(scaled, name)) == near, name


SHARES = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1))
RAISED = st.sampled_from(["multiplier", "share", "in place", "event"])


@given(worlds(), SHARES, st.tuples(st.floats(0, 4), st.floats(0, 4)), RAISED)
def test_more_of_a_scenario_never_needs_less(usage, shares, multipliers, raised):
    def at(which):
        share = (min, max)[which](shares) if raised == "share" else shares[0]
        multiplier = (min, max)[which](multipliers) if raised in ("multiplier", "in place") else multipliers[0]
        if raised == "in place":
            scenarios = [Scenario("x", "0", {"0": 1.0}, multiplier=multiplier)]
        else:
            scenarios = [Scenario("x", "0", {"1": share}, multiplier=multiplier)]
        if raised == "event" and which:
            scenarios.append(Scenario("y", "1", {"1": 1.0}, multiplier=1 + multipliers[1], event="x"))
        return sized(usage, scenarios=scenarios, policy=COUNTED)

    less, more = at(0), at(1)
    assert (more.need >= less.need).all()
    assert (more.needed + more.usage >= less.needed + less.usage).all()
    assert (more.probability_enough <= less.probability_enough).all()


@given(worlds(), POLICIES, st.floats(0, 2000), st.floats(1, 10))
def test_more_quota_is_never_more_shortfall(usage, policy, quota, factor):
    less, more = sized(usage, quota, policy=policy), sized(usage, quota * factor, policy=policy)
    assert (more.needed == less.needed).all()
    assert (more.shortfall <= less.shortfall).all()
    assert (more.probability_enough >= less.probability_enough - 1e-15).all()
    assert (more.ask_in_s >= less.ask_in_s).all()
    assert all(b.fits >= a.fits and b.moments == a.moments for a, b in zip(less.joint, more.joint, strict=True))


@given(worlds(), POLICIES, st.randoms())
def test_permuting_regions_permutes_the_answer(usage, policy, random):
    names = [f"r{i}" for i in range(usage.shape[2])]
    order = random.sample(range(len(names)), len(names))
    scenarios = ["N-1", Scenario("sale", "r1", {"r1": 1.0}, multiplier=1.5)]
    h = sized(usage, scenarios=scenarios, regions=names, policy=policy)
    moved = sized(usage[..., order], scenarios=scenarios, regions=[names[i] for i in order], policy=policy)
    same(moved, h, (..., order))
    assert moved.probability_fits == pytest.approx(h.probability_fits, nan_ok=True)
    assert {j.event: (j.moments, j.fits, j.quotas) for j in moved.joint} == {
        j.event: (j.moments, j.fits, j.quotas) for j in h.joint
    }


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "lists": lambda x: x.tolist(),
}


@given(worlds(), st.sampled_from(list(LAYOUTS)))
def test_every_layout_gives_the_same_bits(usage, layout):
    h, other = sized(usage), sized(LAYOUTS[layout](usage))
    same(h, other)
    assert h.joint == other.joint


def test_services_do_not_see_each_other():
    """Each alone is what it is among forty (more than are gathered at a time), in any layout."""
    usage = np.random.default_rng(0).lognormal(3, 0.4, (200, 40, 2))
    for layout in LAYOUTS.values():
        among = sized(layout(usage))
        for service in (0, 15, 16, 39):
            same(sized(usage[:, service]), among, service)


def test_threads_give_the_same_bits():
    usage = np.random.default_rng(0).lognormal(3, 0.4, (700, 5, 4))
    h = sized(usage)
    with ThreadPoolExecutor(8) as pool:
        for other in pool.map(sized, [usage] * 24):
            same(h, other)
            assert h.joint == other.joint
            for name, values in h.event_needs.items():
                np.testing.assert_array_equal(other.event_needs[name], values, err_msg=name)


@given(worlds(), POLICIES)
def test_levels_and_intervals_are_ordered(usage, policy):
    h = sized(usage, policy=policy)
    needs = h.event_needs
    reached = ~np.isnan(needs["need"])
    assert reached[:, 0].all()
    assert (needs["level"][reached] >= needs["counted"][reached]).all()
    assert (needs["low"][reached] <= needs["need"][reached]).all()
    assert (needs["need"][reached] <= needs["high"][reached]).all()
    assert (needs["growth"][reached] >= 1).all()
    assert ((needs["risk"][reached] >= 0) & (needs["risk"][reached] <= 1)).all()
    assert (h.needed_low <= h.needed).all()
    assert (h.needed <= h.needed_high).all()
    assert (h.probability_enough_low <= h.probability_enough).all()
    assert (h.probability_enough <= h.probability_enough_high).all()
    assert (np.ravel(h.need) == np.nanmax(needs["need"], axis=1)).all()
    assert (h.needed == np.maximum(0, h.need - h.usage)).all()
    assert (h.day_utilization >= h.utilization).all()


@given(worlds(), st.floats(1e-4, 0.5), st.floats(1, 10))
def test_less_risk_never_needs_less(usage, risk, factor):
    """Counted; a fit need not begin where counting ends."""
    careful = QuantilePolicy(growth=1.0, tail="counted", risk=risk / factor)
    assert (
        sized(usage, policy=careful).need
        >= sized(usage, policy=QuantilePolicy(growth=1.0, tail="counted", risk=risk)).need
    ).all()
