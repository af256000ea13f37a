"""In the event: `Proportional`, `evacuate`; and the promises that add up to more than there is."""

import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import surgetank
from oracles_allocation import share_out
from surgetank import NAMED_SHARING, History, InvalidInput, Proportional, allocate, double_booking, evacuate
from surgetank.demo import sample_world

amount = st.one_of(
    st.integers(0, 1000).map(float),
    st.floats(0, 1e6, allow_subnormal=True),
    st.floats(1e-300, 1e-290),
    st.floats(1e200, 1e250),
)


@settings(max_examples=400, deadline=None)
@given(amount, st.lists(st.tuples(amount, amount, st.sampled_from([0.0, 0.5, 0.8, 1.0, 3.0])), min_size=1, max_size=7),
       st.sampled_from([1.0, 0.5, 0.3]), st.sampled_from([1.0, 0.8, 0.0]), st.randoms())  # fmt: skip
def test_proportional_against_its_twin(need, regions, share_cap, room_cap, shuffler):
    rule = Proportional({str(i): p for i, (_, _, p) in enumerate(regions)}, share_cap, room_cap)
    usage = {str(i): u for i, (u, _, _) in enumerate(regions)}
    quota = {str(i): q for i, (_, q, _) in enumerate(regions)}
    shared = rule.share(need, usage=usage, quota=quota)
    free = [max(0.0, quota[r] - usage[r]) for r in usage]
    taken, left = share_out(need, free, [p for _, _, p in regions], share_cap, room_cap)
    assert [float(v) for v in taken] == pytest.approx(list(shared.taken.values()), rel=1e-12, abs=1e-13 * need)
    assert shared.shortfall == pytest.approx(float(left), rel=1e-12, abs=1e-13 * need)
    # Exact, in any order.
    amounts = list(shared.taken.values())
    assert sum(map(Fraction, amounts)) + Fraction(shared.shortfall) == Fraction(need)
    shuffler.shuffle(amounts)
    assert sum(amounts) + shared.shortfall == need
    assert math.fsum(amounts) == sum(amounts)
    for r, f in zip(shared.regions, free, strict=True):
        assert 0 <= shared.taken[r] <= room_cap * f
        assert shared.taken[r] <= share_cap * need + math.ulp(need)


def test_what_a_full_region_cannot_take_goes_around_again():
    usage, quota = {"a": 0, "b": 0, "c": 0}, {"a": 10, "b": 100, "c": 100}
    shared = Proportional({"a": 9.0, "c": 0.5}, room_cap=1.0).share(100, usage=usage, quota=quota)
    assert dict(shared.taken) == {"a": 10.0, "b": 60.0, "c": 30.0}
    assert dict(shared.utilization_after) == {"a": 1.0, "b": 0.6, "c": 0.3}
    assert shared.shortfall == 0
    shared.require_met()


@pytest.mark.parametrize(("need", "cap", "regions"), [(0.3, 0.5, 2), (0.7, 1 / 3, 3), (1e-320, 0.5, 2), (1.1, 0.25, 4)])
def test_caps_that_add_up_to_all_leave_nothing(need, cap, regions):
    names = [str(i) for i in range(regions)]
    rule = Proportional(share_cap=cap, room_cap=1.0)
    shared = rule.share(need, usage=dict.fromkeys(names, 0.0), quota=dict.fromkeys(names, 5.0))
    assert shared.shortfall == 0
    assert sum(shared.taken.values()) == need


def test_a_shortfall_is_an_answer():
    shared = Proportional().share(100, usage={"a": 50, "b": 120}, quota={"a": 100, "b": 100})
    assert dict(shared.taken) == {"a": 40.0, "b": 0.0}
    assert shared.shortfall == 60
    assert shared.utilization_after["b"] == 1.2
    with pytest.raises(InvalidInput) as refused:
        shared.require_met()
    assert str(refused.value) == "need: must be placed in full (got 60 of 100 stay unplaced)"
    assert "60 stay unplaced" in shared.table(80)


def test_where_nobody_is_left_all_of_it_is_short():
    shared = Proportional().share(7, usage={"a": 1}, quota={"a": 1}, failed="a")
    assert (dict(shared.taken), shared.shortfall) == ({}, 7)
    found = evacuate(sample_world(), ["us-east-1", "us-west-2"])
    assert found.shortfall["elasticloadbalancing/L-53DA6B97"] == 32


def test_the_named_ones():
    rule = Proportional.named("regional_disaster_recovery")
    assert (rule.multiplier, rule.room_cap, dict(rule.preferences)) == (2.0, 0.8, {"us-west-2": 1.0, "eu-west-1": 0.8})
    assert [(n, r.multiplier, r.room_cap) for n, r in NAMED_SHARING.items()] == [
        ("regional_disaster_recovery", 2.0, 0.80), ("availability_zone_failure", 1.3, 0.60),
        ("traffic_surge", 3.0, 0.90), ("default", 1.5, 0.70),
    ]  # fmt: skip
    assert dict(Proportional.named("traffic_surge").preferences) == {"us-west-2": 1.0, "us-east-2": 0.9}
    usage = {"us-east-1": 100, "us-west-2": 100, "eu-west-1": 100, "ap-south-1": 100}
    shared = rule.evacuate("us-east-1", usage=usage, quota=dict.fromkeys(usage, 1000))
    assert shared.need == 200
    assert dict(shared.taken) == pytest.approx(
        {"us-west-2": 200 / 2.8, "eu-west-1": 160 / 2.8, "ap-south-1": 200 / 2.8}
    )
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert hash(pickle.loads(pickle.dumps(rule))) == hash(rule)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Proportional([1]), "preferences: must map Regions to weights (got [1])"),
        (lambda: Proportional({"a": -1}), "preferences: must be a finite weight, 0 or more (got -1)"),
        (lambda: Proportional(share_cap=0), "share_cap: must be a share in (0, 1] (got 0)"),
        (lambda: Proportional(room_cap=1.1), "room_cap: must be a share in [0, 1] (got 1.1)"),
        (lambda: Proportional(multiplier=math.nan), "multiplier: must be a finite number, 0 or more (got nan)"),
        (lambda: Proportional.named("traffic"),
         "name: must be one of regional_disaster_recovery, availability_zone_failure, traffic_surge, default "
         "(got 'traffic')"),
        (lambda: Proportional().share(-1, usage={"a": 1}, quota={"a": 1}),
         "need: must be finite and 0 or more (got -1)"),
        (lambda: Proportional().share(1, usage={"a": math.nan}, quota={"a": 1}),
         "usage: of a must be finite and 0 or more (got nan)"),
        (lambda: Proportional().share(1, usage={"a": 1}, quota={"b": 1}),
         "usage: must be stated for every Region that is left; lacks b (got ['a'])"),
        (lambda: Proportional().evacuate("x", usage={"a": 1}, quota={"a": 1}),
         "failed: must be Regions whose usage is stated; known: a (got 'x')"),
        (lambda: evacuate(sample_world(), "us-east-9"),
         "failed: must name Regions of the history; did you mean 'us-east-1'? (got 'us-east-9')"),
    ],
)  # fmt: skip
def test_what_is_refused(make, message):
    with pytest.raises(InvalidInput) as refused:
        make()
    assert str(refused.value) == message


def test_evacuate_shares_every_quota_out():
    world = sample_world()
    found = evacuate(world, "us-east-1")
    assert set(found.shared) == {
        "ec2/L-1216C47A", "lambda/L-B99A9384", "rds/L-7B6409FD", "elasticloadbalancing/L-53DA6B97",
    }  # fmt: skip
    ec2 = found.shared["ec2/L-1216C47A"]
    assert ec2.need == 723
    assert sum(ec2.taken.values()) == 723
    assert found.left_out == ("eu-west-1/elasticloadbalancing/L-53DA6B97",)
    found.require_met()
    both = evacuate(world, ["us-east-1", "us-west-2"], Proportional(multiplier=2.0))
    assert both.shared["ec2/L-1216C47A"].need == 2 * (723 + 554)
    assert both.shortfall["ec2/L-1216C47A"] > 0
    with pytest.raises(InvalidInput, match="evacuate: every load must be placed in full"):
        both.require_met()
    assert "us-east-1 + us-west-2 fail now" in both.table(120)


def test_promises_on_one_quota_are_added_up():
    found = double_booking({"checkout": {"west": 300.0}, "search": {"west": 250.0}}, existing={"west": 400.0})
    (row,) = found.over_promised
    assert (row.over, dict(row.who)) == (150.0, {"checkout": 300.0, "search": 250.0})
    with pytest.raises(InvalidInput) as refused:
        found.require_met()
    assert str(refused.value) == (
        "promises: must fit in what exists (got west: 550 are promised at any time, 400 are there: 150 too many "
        "(checkout 300, search 250))"
    )


def test_promises_of_different_failures_do_not_come_due_together():
    promises = {"a": {"east": {"west": 300.0}}, "b": {"south": {"west": 300.0}}, "c": {"west": 50.0}}
    found = double_booking(promises, existing={"west": 350.0})
    assert not found.over_promised
    assert {(r.failure, r.promised) for r in found.rows} == {("east", 350.0), ("south", 350.0)}
    assert double_booking(promises, existing={"west": 349.0}).over_promised[0].over == 1


def test_allocations_that_count_the_same_headroom_twice():
    names = ["a", "b", "c"]
    one = allocate([60, 30, 30], [30, 30, 30], raisable=0, regions=names)
    two = allocate([40, 20, 20], [30, 30, 30], raisable=0, regions=names)
    assert one.status == two.status == "optimal"
    found = double_booking({"one": one, "two": two}, existing=dict.fromkeys(names, 30.0))
    worst = found.over_promised[0]
    assert (worst.failure, worst.promised, worst.over) == ("a", 50.0, 20.0)
    assert dict(worst.who) == {"one": 30.0, "two": 20.0}
    assert "one 30, two 20" in found.table(100)
    alone = double_booking({"one": one}, existing=dict.fromkeys(names, 30.0))
    assert not alone.over_promised


def test_what_a_plan_would_add_is_there():
    best = allocate([60, 30, 30], 0, regions=["a", "b", "c"])
    assert not double_booking({"x": best}, existing=dict.fromkeys("abc", 0.0)).over_promised
    tiered = allocate([50, 50], 0, critical=0.65, regions=["a", "b"])
    assert not double_booking({"x": tiered}, existing={"a": 0, "b": 0}).over_promised
    several = allocate([[60, 30, 30]] * 2, 0, regions=["a", "b", "c"], services=["s", "t"])
    rooms = {f"{s}/{r}": 0.0 for s in "st" for r in "abc"}
    assert not double_booking({"x": several}, existing=rooms).over_promised


@pytest.mark.parametrize(
    ("promises", "existing", "message"),
    [
        ({}, {"a": 1}, "promises: must map names to allocations or amounts (got {})"),
        ({"x": 3}, {"a": 1}, "promises: of x must be an Allocation, or amounts by Region (got 3)"),
        ({"x": {"a": -1}}, {"a": 1}, "promises: of x must be finite and 0 or more (got -1)"),
        ({"x": {"b": 1}}, {"a": 1}, "existing: must be stated for every quota that is promised; lacks b (got ['a'])"),
        ({"x": {"a": 1}}, {"a": math.nan}, "existing: of a must be finite and 0 or more (got nan)"),
        ({"x": {"a": 1}}, 7, "existing: must map Regions to free headroom (got 7)"),
    ],
)
def test_promises_that_are_refused(promises, existing, message):
    with pytest.raises(InvalidInput) as refused:
        double_booking(promises, existing)
    assert str(refused.value) == message


def test_an_unlisted_region_counts_fully_and_one_with_nothing_free_takes_nothing():
    usage = History.from_array(
        np.array([[60.0, 30.0, 100.0]]), start="2026-01-01T00:00Z", step_s=300, regions=["e", "w", "s"], quota=100.0
    )
    found = surgetank.evacuate(usage, "e", Proportional(room_cap=1.0))
    (shared,) = found.shared.values()
    assert dict(shared.taken) == {"w": 60.0, "s": 0.0}
