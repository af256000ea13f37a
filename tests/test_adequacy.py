"""`adequacy`: verdicts, ramps and recommendations, beside a slow twin."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles_adequacy as twin
from adequacy_worlds import EU, FULL, PRIMARY, SHIPPED, WEST, key, of, sixty, world
from surgetank import AdequacyScenario, AdequacyTest, adequacy


def test_sixty_per_cent_of_equal_quotas():
    found = adequacy(sixty(), of())
    assert [(c.scenario, c.status) for c in found.cases] == [
        ("regional_failover", "failed"),
        ("az_failure", "passed"),
        ("traffic_surge", "failed"),
    ]
    assert [(c.needed, c.available, c.shortfall) for c in found.cases] == [
        (120.0, 80.0, 40.0),
        (78.0, 100.0, 0.0),
        (180.0, 80.0, 100.0),
    ]
    assert [(c.ramp.naive_stop, c.ramp.stop) for c in found.cases] == [(4, 7), (None, None), (3, 5)]
    assert (found.status, found.exit_code, found.because) == ("failed", 2, "2 of 3 tests failed")
    failover = found["regional_failover"].cases[0]
    assert failover.ramp.stop_s == timedelta(minutes=21).total_seconds()
    assert failover.ramp.naive_stop_s == timedelta(minutes=12).total_seconds()
    assert failover.ramp.steps[5].taken == {WEST: 36.0, EU: 36.0}
    assert [one.text for one in failover.recommendations] == [
        "raise us-west-2 ec2/L-1 from 100 to 120 (+20)",
        "raise eu-west-1 ec2/L-1 from 100 to 120 (+20)",
    ]
    assert [one.text for one in found.recommendations] == [
        "raise us-west-2 ec2/L-1 from 100 to 150 (+50)",
        "raise eu-west-1 ec2/L-1 from 100 to 150 (+50)",
    ]


def test_the_shipped_scenarios_and_the_defaults():
    listed = of(scenarios=(*SHIPPED, "mine", "az_b", "lost_availability_zone")).listed
    assert [(s.name, s.multiplier, s.duration_s / 3600, s.ramp_s / 60, s.kind) for s in listed] == [
        ("regional_failover", 2.0, 24, 30, "regional_failover"),
        ("az_failure", 1.3, 4, 15, "az_failure"),
        ("traffic_surge", 3.0, 2, 10, "traffic_spike"),
        ("mine", 2.0, 24, 30, "regional_failover"),
        ("az_b", 2.0, 24, 30, "az_failure"),
        ("lost_availability_zone", 2.0, 24, 30, "az_failure"),
    ]


amounts = st.one_of(
    st.integers(0, 40).map(float),
    st.integers(0, 400).map(lambda n: n / 10),
    st.floats(0, 1e6, allow_subnormal=False),
)
maybe = st.one_of(amounts, amounts, amounts, st.none())
multipliers = st.one_of(st.sampled_from([0.1, 0.5, 1.0, 1.3, 2.0, 3.0]), st.floats(0.01, 50))
held = st.sampled_from([0.0, 0.0, 0.5, 3.0])
perhaps_known, known = st.tuples(maybe, maybe, held), st.tuples(amounts, amounts, held)


@st.composite
def worlds(draw, region):
    secondaries = draw(st.lists(region, max_size=4))
    primary, multiplier = draw(region), draw(multipliers)
    if draw(st.booleans()):  # a total that fits exactly on paper, which random numbers would never hit
        usage, total = draw(st.integers(1, 300)) / 10, len(secondaries)
        primary = (usage, draw(amounts), 0.0)
        if total:
            short = draw(st.sampled_from([1.0, 0.9]))
            secondaries = [(1.1, 1.1 + usage * multiplier * short / total, 0.0)] * total
    return primary, secondaries, multiplier


@given(worlds(perhaps_known), st.booleans())
def test_beside_the_twin(found, in_place):
    primary, secondaries, multiplier = found
    regions = {"r0": primary, **{f"r{n}": one for n, one in enumerate(secondaries, 1)}}
    history = world(
        {key(r): (u, q) for r, (u, q, _) in regions.items()}, {key(r): held for r, (_, _, held) in regions.items()}
    )
    scenario = AdequacyScenario("one", multiplier, 600, 300, "az_failure" if in_place else "regional_failover")
    test = AdequacyTest(
        primary_region="r0", secondary_regions=list(regions)[1:], services=["ec2"], scenarios=[scenario]
    )
    (case,) = adequacy(history, test).cases
    status, need, room = twin.judge(primary, secondaries, multiplier, in_place=in_place)
    assert case.status == status
    if need is not None:
        assert case.needed == pytest.approx(float(need), rel=1e-14)
    if need is None or room is None:
        return
    assert case.available == pytest.approx(float(room), rel=1e-14)
    assert case.shortfall == pytest.approx(max(0.0, float(need - room)), rel=1e-9, abs=2e-12 * float(need))
    loads, stop, naive_stop = twin.ramp(primary, secondaries, multiplier, in_place=in_place)
    assert (case.ramp.stop, case.ramp.naive_stop) == (stop, naive_stop)
    assert len(case.ramp.steps) == (stop or 10)
    for step, load in zip(case.ramp.steps, loads, strict=False):
        assert step.load == pytest.approx(float(load), rel=1e-14)
        assert step.after_s == 300 * step.step / 10
        assert math.fsum([*step.taken.values(), step.shortfall]) == step.load
        assert all(amount <= room.free for room in case.rooms if (amount := step.taken[room.region]))
        assert step.fits == (step.step != stop)
        left = float(max(0, load - room))  # nothing that is free stays unused while load is left over
        assert step.shortfall == pytest.approx(left, rel=1e-9, abs=2e-12 * float(load))
    if multiplier >= 1 or not in_place:  # else the load falls, and its first step is its highest
        assert (case.ramp.stop is None) == (case.shortfall == 0)
    else:
        assert case.ramp.steps[-1].fits or case.ramp.stop == 1


@given(worlds(known), st.booleans(), st.booleans())
def test_what_is_recommended_is_enough(found, in_place, some_fixed):
    primary, secondaries, multiplier = found
    regions = {"r0": primary, **{f"r{n}": one for n, one in enumerate(secondaries, 1)}}
    reserved = {key(r): held for r, (_, _, held) in regions.items()}
    history = world({key(r): (u, q) for r, (u, q, _) in regions.items()}, reserved)
    if some_fixed and "r2" in regions:
        quotas = {**history.quotas, key("r2"): replace(history.quotas[key("r2")], adjustable=False)}
        history = replace(history, quotas=quotas)
    scenario = AdequacyScenario("one", multiplier, kind="az_failure" if in_place else "regional_failover")
    test = AdequacyTest(
        primary_region="r0", secondary_regions=list(regions)[1:], services=["ec2"], scenarios=[scenario, "mine"]
    )
    before = adequacy(history, test)
    raised = dict(history.quotas)
    for one in before.recommendations:
        if one.action == "raise":
            where = key(one.region)
            assert raised[where].adjustable is None
            assert one.raised > raised[where].value
            whole = all(n.is_integer() for k in history.keys for n in (regions[k.region][:2]))
            assert not whole or any(held % 1 for held in reserved.values()) or one.raised.is_integer()
            raised[where] = replace(raised[where], value=one.raised)
    history = replace(history, quotas=raised)
    after = adequacy(history, test)
    for old, new in zip(before.cases, after.cases, strict=True):
        assert new.status == ("passed" if old.status in ("failed", "warning") else old.status)


def test_whole_units_are_spread_without_a_spare():
    values = {key(PRIMARY): (35.0, 100.0), key(WEST): (60.0, 90.0), key(EU): (60.0, 95.0)}
    (case,) = adequacy(world(values), of(scenarios=[AdequacyScenario("x", 2.2)])).cases
    assert case.shortfall == pytest.approx(12)
    assert [(one.region, one.amount) for one in case.recommendations] == [(WEST, 6.0), (EU, 6.0)]
    (case,) = adequacy(world(values), of(scenarios=[AdequacyScenario("x", 2.21)])).cases
    assert [one.text for one in case.recommendations] == [
        "raise us-west-2 ec2/L-1 from 90 to 97 (+7)",
        "raise eu-west-1 ec2/L-1 from 95 to 101 (+6)",
    ]


def test_fractions_are_rounded_up_to_three_digits():
    values = {key(PRIMARY): (1.0, 9.0), key(WEST): (0.25, 0.5), key(EU): (0.25, 0.75)}
    (case,) = adequacy(world(values), of(scenarios=[AdequacyScenario("x", 2.0)])).cases
    assert [one.text for one in case.recommendations] == [
        "raise us-west-2 ec2/L-1 from 0.5 to 1.125 (+0.625)",
        "raise eu-west-1 ec2/L-1 from 0.75 to 1.375 (+0.625)",
    ]


def test_a_region_beyond_its_quota_has_no_room_and_is_raised_last():
    values = {key(PRIMARY): (10.0, 100.0), key(WEST): (50.0, 30.0), key(EU): (10.0, 15.0)}
    (case,) = adequacy(world(values), of(scenarios=["mine"])).cases
    assert (case.available, case.shortfall) == (5.0, 15.0)
    assert [one.text for one in case.recommendations] == ["raise eu-west-1 ec2/L-1 from 15 to 30 (+15)"]
    (case,) = adequacy(world(values), of(secondaries=[WEST], scenarios=["mine"])).cases
    assert [one.text for one in case.recommendations] == ["raise us-west-2 ec2/L-1 from 30 to 70 (+40)"]


def test_what_cannot_be_raised():
    values = {key(region): (60.0, 100.0) for region in (PRIMARY, WEST, EU)}
    found = adequacy(world(values, adjustable=False), of(scenarios=["mine"]))
    assert [(one.action, one.text) for one in found.recommendations] == [
        (
            "shed",
            "us-west-2 and eu-west-1 ec2/L-1 are not adjustable: use another Region or shed load (40)",
        )
    ]
    surge = AdequacyScenario("az_x", 2.0)
    found = adequacy(world(values, adjustable=False), of(scenarios=[surge]))
    assert found.recommendations[0].text == (
        "us-east-1 ec2/L-1 is not adjustable: use another Region or shed load (20)"
    )
    found = adequacy(world(values), of(scenarios=[surge]))
    assert found.recommendations[0].text == "raise us-east-1 ec2/L-1 from 100 to 120 (+20)"


def test_a_little_short_is_a_warning():
    values = {key(PRIMARY): (50.0, 100.0), key(WEST): (0.0, 90.0)}
    test = of(secondaries=[WEST], scenarios=["mine"])
    found = adequacy(world(values), test)
    assert (found.status, found.exit_code, found.cases[0].shortfall) == ("warning", 1, 10.0)
    assert found.because == "1 of 1 tests passed with a warning"
    found.require_met()
    assert adequacy(world({**values, key(WEST): (0.0, 89.0)}), test).status == "failed"


def test_ten_steps_of_what_fits_exactly():
    for usage in (0.1, 0.7, 1.1, 12.3, 1e-9, 123456.7):
        for multiplier in (1.1, 1.3, 2.0, 3.3):
            values = {key(PRIMARY): (usage, 1e9), key(WEST): (usage, usage + usage * multiplier)}
            (case,) = adequacy(
                world(values), of(secondaries=[WEST], scenarios=[AdequacyScenario("x", multiplier)])
            ).cases
            assert (case.status, case.ramp.stop, case.ramp.naive_stop) == ("passed", None, None)


def test_each_quota_is_a_row_once_and_never_added_to_another():
    values = {key(r, code=c): (60.0, 100.0) for r in (PRIMARY, WEST, EU) for c in ("L-1", "L-2")}
    found = adequacy(world(values), of(services=["ec2/L-2", "ec2", "*"], scenarios=["az_failure"]))
    assert [(c.service, c.quota_name) for c in found.cases] == [("ec2/L-2", "ec2/L-2"), ("ec2", "ec2/L-1")]
    assert found.status == "passed"


def test_each_account_against_its_own_regions():
    values = {key(r, account=a): (60.0, q) for a, q in (("1", 100.0), ("2", 400.0)) for r in (PRIMARY, WEST, EU)}
    found = adequacy(world(values), of(scenarios=["mine"]))
    assert [(c.account, c.status) for c in found.cases] == [("1", "failed"), ("2", "passed")]
    assert "Account" in found.table()
    assert found.recommendations[0].text == "raise 1 us-west-2 ec2/L-1 from 100 to 120 (+20)"
    assert "failed 1 ec2/L-1 in mine:" in found.table(300)
    assert "Account" not in adequacy(sixty(), of()).table()


def test_what_is_reserved_is_not_free():
    history = world(FULL, {key(WEST): 30.0, key(EU): 45.0})
    (case,) = adequacy(history, of(scenarios=["mine"])).cases
    assert (case.available, case.rooms[0].reserved, case.rooms[1].free) == (10.0, 30.0, 0.0)
    history = world(FULL, {key(PRIMARY): 95.0})
    assert adequacy(history, of(scenarios=["az_failure"])).cases[0].available == 5.0


def test_amounts_at_the_edge_of_numbers():
    values = {key(PRIMARY): (1e308, 1e308), key(WEST): (1e308, 1.7e308), key(EU): (0.0, 1.7e308)}
    assert adequacy(world(values), of(scenarios=[AdequacyScenario("x", 1e6)])).status == "UNKNOWN"
    nothing = {key(PRIMARY): (0.0, 0.0), key(WEST): (0.0, 0.0), key(EU): (5.0, 0.0)}
    found = adequacy(world(nothing), of())
    assert (found.status, found.cases[0].ramp.stop) == ("passed", None)
