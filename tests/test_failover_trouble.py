"""Failovers in trouble: several at once, emergencies on the way, quotas that come and go."""

from dataclasses import replace

import pytest

import surgetank
from clear import clear_error
from failover_stores import (
    EAST,
    EU,
    NOW,
    REGIONS,
    WEST,
    everything,
    filled,
    held,
    used_later,
)
from reservation_stores import opened
from surgetank import (
    History,
    InvalidInput,
    Proportional,
    QuotaKey,
    activate_failover,
    prepare_failover,
    recover_failover,
    replan_failover,
)
from surgetank.failover.standing import standing, standing_text

__all__ = ["opened"]  # fixtures


@pytest.fixture
def store(opened):
    """60 of 100 in the Region that fails; 30 and 50 in the others."""
    return filled(opened(), (60.0, 30.0, 50.0))


def test_an_emergency_is_not_held_to_the_share_of_one_region(opened):
    with filled(opened(), (60.0, 10.0, 10.0)) as store:
        rule = Proportional(share_cap=0.3)
        usual = prepare_failover(store, "us-east-1", rule=rule, now=NOW)
        assert usual.unplaced == {"ec2/L-1": pytest.approx(60 - 2 * 18)}
        move = activate_failover(store, "us-east-1", emergency=True, rule=rule, act=True, why="fire", now=NOW)
        assert (move.unplaced, sum(held(store).values())) == ({}, pytest.approx(60))


def test_an_active_failover_may_take_more_in_an_emergency(opened):
    with filled(opened(), (90.0, 60.0, 50.0)) as store:
        prepare_failover(store, "us-east-1", act=True, now=NOW)
        activate_failover(store, "us-east-1", act=True, now=NOW)
        assert sum(held(store).values()) == pytest.approx(72)
        with clear_error(InvalidInput, "failover", "is active already, since 2026-01-01T00:10:00Z; replan"):
            activate_failover(store, "us-east-1", act=True, now=NOW)
        move = activate_failover(store, "us-east-1", emergency=True, act=True, why="more", now=NOW)
        assert (move.before.state, move.after.state, move.unplaced) == ("active", "active", {})
        assert sum(held(store).values()) == pytest.approx(90)
        with clear_error(InvalidInput, "failed: must be what us-east-1 gives up, us-east-1", "us-west-2"):
            activate_failover(store, "us-east-1", emergency=True, failed="us-west-2", why="x", now=NOW)


def test_nothing_lands_where_load_goes_back_to(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (0.0, 65.0, 75.0), "2026-01-01T02:10Z")
    recover_failover(store, "us-east-1", act=True, now="2026-01-01T02:10Z")
    move = prepare_failover(store, "eu-west-1", now="2026-01-01T02:11Z")
    assert {row.key.region for row in move.rows} == {"us-west-2"}


def test_a_region_is_given_up_once(store):
    prepare_failover(store, "us-east-1", name="a", act=True, now=NOW)
    with clear_error(InvalidInput, "failed: must not be given up twice; a does it", "us-east-1"):
        prepare_failover(store, ["us-west-2", "us-east-1"], name="b", act=True, now=NOW)
    with clear_error(InvalidInput, "failed: must not be given up twice; a does it", "us-east-1"):
        activate_failover(store, "us-east-1", emergency=True, act=True, why="fire", now=NOW)


def test_a_load_keeps_its_name_whoever_comes_later(opened):
    """Were it named by how many accounts there are, it would be lost with the second one, and its room given back."""
    with opened() as store:
        world = History.from_array(
            [[60.0, 30.0, 50.0]] * 3, start="2026-01-01T00:00Z", step_s=300, regions=REGIONS, account="1",
            service_code="ec2", quota_code="L-1", quota=100.0,
        )  # fmt: skip
        store.import_quotas(world.quotas)
        store.add_samples(world.samples())
        prepare_failover(store, "us-east-1", act=True, now=NOW)
        before = held(store)
        store.import_quotas({QuotaKey("2", "us-west-2", "ec2", "L-1"): 5.0})
        activate_failover(store, "us-east-1", act=True, now=NOW)
        assert held(store) == before


def test_a_quota_that_is_gone_does_not_lose_its_load(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    before = everything(store)
    quotas = [replace(quota, is_global=True) for quota in store.quotas()]
    store.import_quotas(quotas)
    with clear_error(InvalidInput, "failed"):  # no Region is left that could fail
        activate_failover(store, "us-east-1", act=True, now=NOW)
    other = QuotaKey(region="us-east-1", service_code="rds", quota_code="L-2")
    store.import_quotas({other: 5.0})
    move = activate_failover(store, "us-east-1", act=True, now=NOW)
    assert (move.granted, move.exit_code) == (False, 3)
    assert "the store has no ec2/L-1 any more" in move.because
    assert everything(store) == before


def test_what_was_not_known_when_it_was_prepared_moves_as_soon_as_it_is(store):
    lambdas = {QuotaKey(region=r, service_code="lambda", quota_code="L-2"): 100.0 for r in REGIONS}
    store.import_quotas(lambdas)
    move = prepare_failover(store, "us-east-1", act=True, now=NOW)
    assert (move.exit_code, len(move.unknown)) == (3, 1)
    again = activate_failover(store, "us-east-1", act=True, now=NOW)
    assert (again.exit_code, again.unknown) == (3, move.unknown)
    later = History.from_array(
        [[10.0, 20.0, 30.0]], start="2026-01-01T00:10Z", step_s=300, regions=REGIONS, service_code="lambda",
        quota_code="L-2",
    )  # fmt: skip
    store.add_samples(later.samples())
    assert replan_failover(store, "us-east-1", act=True, now=NOW).ok
    assert sum(a for key, a in store.reserved(at=NOW).items() if key in lambdas) == pytest.approx(10)


def test_landed_names_what_lands(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    with clear_error(InvalidInput, "landed: must name quotas on which load of us-east-1 can land", "us-east-1 ec2/L-1"):
        replan_failover(store, "us-east-1", landed={EAST: 5.0}, act=True, now=NOW)
    with clear_error(InvalidInput, "landed: of ec2/L-1 must be at most what moves, 60", "65"):
        replan_failover(store, "us-east-1", landed={WEST: 40.0, EU: 25.0}, act=True, now=NOW)
    with clear_error(InvalidInput, "landed: of us-west-2 ec2/L-1 must be finite and 0 or more", "-1"):
        replan_failover(store, "us-east-1", landed={WEST: -1.0}, act=True, now=NOW)


def test_headroom_that_is_stated_is_stated_as_free(store):
    """What is reserved is no part of it."""
    store.reserve({WEST: 60.0}, now=NOW)
    history = store.history(until=NOW)
    free = surgetank.probability_enough(replace(history, reserved={}), 60.0, scenarios="N-1")
    assert (
        surgetank.probability_enough(history, 60.0, scenarios="N-1").probability.tolist() == free.probability.tolist()
    )


def test_what_grows_before_the_load_moves_has_not_landed(store):
    prepare_failover(store, "us-east-1", eligible={"us-east-1": ["us-west-2"]}, act=True, now=NOW)
    used_later(store, (60.0, 40.0, 50.0), "2026-01-01T00:20Z")
    move = activate_failover(store, "us-east-1", act=True, now="2026-01-01T00:21Z")
    # 60 are to move; us-west-2 has 60 free by now, of which 48 may be taken.
    assert held(store, "2026-01-01T00:21Z") == {"us-west-2": pytest.approx(48)}
    assert move.unplaced == {"ec2/L-1": pytest.approx(12)}


def test_what_was_pre_warmed_may_be_stated(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (60.0, 65.0, 75.0), "2026-01-01T00:20Z")  # all of it, as instances that wait
    now = "2026-01-01T00:21Z"
    assert activate_failover(store, "us-east-1", now=now).unplaced
    move = activate_failover(store, "us-east-1", landed={WEST: 35.0, EU: 25.0}, act=True, now=now)
    assert (move.unplaced, held(store, now)) == ({}, {})
    used_later(store, (0.0, 65.0, 75.0), "2026-01-01T00:30Z")
    assert replan_failover(store, "us-east-1", act=True, now="2026-01-01T00:31Z").unplaced == {}


def test_what_grows_where_it_fails_moves_as_well(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (66.0, 30.0, 50.0), "2026-01-01T00:20Z")
    activate_failover(store, "us-east-1", act=True, now="2026-01-01T00:21Z")
    assert sum(held(store, "2026-01-01T00:21Z").values()) == pytest.approx(66)


def test_a_region_that_is_dark_moves_what_was_prepared(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (0.0, 30.0, 50.0), "2026-01-01T00:20Z")
    activate_failover(store, "us-east-1", act=True, now="2026-01-01T00:21Z")
    assert sum(held(store, "2026-01-01T00:21Z").values()) == pytest.approx(60)


def test_growth_in_one_region_is_not_counted_by_two_failovers(opened):
    """30 of each of two move to the third, which has 90 free; those of the first that land are not the second's."""
    with filled(opened(), (30.0, 30.0, 10.0)) as store:
        rule = Proportional(room_cap=1.0)
        for region in ("us-east-1", "us-west-2"):
            prepare_failover(store, region, rule=rule, eligible={region: ["eu-west-1"]}, act=True, now=NOW)
        activate_failover(store, "us-east-1", act=True, now=NOW)
        used_later(store, (0.0, 30.0, 40.0), "2026-01-01T00:20Z")
        now = "2026-01-01T00:21Z"
        replan_failover(store, "us-east-1", act=True, now=now)
        assert held(store, now) == {"eu-west-1": pytest.approx(30)}
        activate_failover(store, "us-west-2", act=True, now=now)
        assert held(store, now) == {"eu-west-1": pytest.approx(30)}
        assert not store.reserve({EU: 31.0}, now=now).granted
        assert store.reserve({EU: 30.0}, now=now).granted


def test_growth_of_its_own_is_no_load_that_has_not_left(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (45.0, 60.0, 60.0), "2026-01-01T00:20Z")  # a quarter has left; 30 and 10 came
    move = replan_failover(store, "us-east-1", act=True, now="2026-01-01T00:21Z")
    assert {row.key: row.landed for row in move.rows} == {WEST: pytest.approx(11.25), EU: pytest.approx(3.75)}
    assert sum(held(store, "2026-01-01T00:21Z").values()) + sum(move.unplaced.values()) == pytest.approx(45)


def test_what_landed_in_a_region_that_fails_next_is_that_failovers(store):
    """us-east-1 into us-west-2, which then fails into eu-west-1: nothing is to be placed twice."""
    rule = Proportional(room_cap=1.0)
    prepare_failover(store, "us-east-1", rule=rule, eligible={"us-east-1": ["us-west-2"]}, act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (0.0, 90.0, 5.0), "2026-01-01T00:20Z")
    replan_failover(store, "us-east-1", act=True, now="2026-01-01T00:21Z")
    prepare_failover(store, "us-west-2", rule=rule, act=True, now="2026-01-01T00:22Z")
    activate_failover(store, "us-west-2", act=True, now="2026-01-01T00:22Z")
    used_later(store, (0.0, 0.0, 95.0), "2026-01-01T00:30Z")
    for name in ("us-east-1", "us-west-2"):
        move = replan_failover(store, name, act=True, now="2026-01-01T00:31Z")
        assert (move.unplaced, move.ok) == ({}, True), name
    assert held(store, "2026-01-01T00:31Z") == {}


def test_a_region_that_uses_nothing_has_nothing_to_move(opened):
    with filled(opened(), (0.0, 30.0, 50.0)) as store:
        move = prepare_failover(store, "us-east-1", act=True, now=NOW)
        assert (move.granted, move.unknown) == (False, ())
        assert move.because == "us-east-1: no load is known that could move"


def test_room_that_nobody_can_judge_any_more_is_kept(store):
    """Metrics are lost when they are needed most: what is held is not given back for that."""
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    before, late = held(store), "2026-01-01T06:00Z"
    for act in (activate_failover, replan_failover):
        move = act(store, "us-east-1", act=True, now=late)
        assert (held(store, late), move.unplaced) == (before, {})
        assert set(move.kept) == {WEST, EU}
        assert "its room is not known now, what was held there is held on" in " ".join(str(move).split())
    used_later(store, (0.0, 65.0, 75.0), "2026-01-01T06:00Z")
    assert replan_failover(store, "us-east-1", act=True, now=late).ok
    assert held(store, late) == {}


def test_nothing_goes_back_where_there_is_no_room(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (0.0, 65.0, 75.0), "2026-01-01T02:10Z")
    late = "2026-01-01T02:11Z"
    other = store.reserve({EAST: 97.0}, now=late)
    move = recover_failover(store, "us-east-1", act=True, now=late)
    assert (move.granted, move.because) == (
        False, "ec2/L-1: 6 are to be back in us-east-1, which has room for 3",
    )  # fmt: skip
    store.release(other.coordination, now=late)
    assert recover_failover(store, "us-east-1", act=True, now=late).done


def test_what_found_no_room_is_told_again(opened):
    with filled(opened(), (90.0, 60.0, 50.0)) as store:
        move = prepare_failover(store, "us-east-1", act=True, now=NOW)
        assert "ec2/L-1: 18 find no room; 18 more are free, which the sharing rule keeps back." in " ".join(
            str(move).split()
        )
        (found,) = standing(store, now=NOW)
        assert found["unplaced"] == {"ec2/L-1": pytest.approx(18)}
        assert "ec2/L-1: 18 found no room" in standing_text([found])
