"""One failover as data: the ways between its states, what each action holds, and a whole evening."""

import math
from dataclasses import replace

import numpy as np
import pytest

import surgetank
from clear import clear_error
from failover_stores import (
    BEGIN,
    EU,
    FAILED,
    NOW,
    OTHERS,
    WEST,
    Evening,
    filled,
    held,
    used_later,
)
from reservation_stores import opened
from surgetank import (
    Failback,
    InvalidInput,
    Proportional,
    activate_failover,
    cancel_failover,
    prepare_failover,
    recover_failover,
    replan_failover,
)
from surgetank.demo import sample_world
from surgetank.failover.standing import standing, standing_text

__all__ = ["opened"]  # fixtures


@pytest.fixture
def store(opened):
    """60 of 100 in the Region that fails; 30 and 50 in the others."""
    return filled(opened(), (60.0, 30.0, 50.0))


# An evening.


def test_an_evening(opened):
    """Prepare, activate, re-plan half-way, recover: every amount beside plain arithmetic."""
    evening = Evening(opened())
    store, at = evening.store, lambda minutes: BEGIN + np.timedelta64(minutes, "m")

    before = store.rooms(list(evening.world.quotas), now=BEGIN)
    move = prepare_failover(store, FAILED, act=True, by="ann", why="storm", now=BEGIN)
    assert (move.done, move.before.state, move.after.state, move.unplaced, move.unknown) == (
        True, "normal", "preparing", {}, (),
    )  # fmt: skip
    wanted = shares_by_hand(before)
    assert move.prewarm == pytest.approx(wanted)
    assert evening.held(BEGIN) == pytest.approx(wanted)
    assert any("eu-west-1/111122223333/elasticloadbalancing" in line for line in move.left_out)
    evening.check(BEGIN)

    # Others see that the room is promised; the failover itself does not stand in its own way.
    plan = surgetank.plan(store.history(until=BEGIN), now=BEGIN)
    mine = surgetank.plan(store.history(until=BEGIN, coordination=move.after.coordination), now=BEGIN)
    row = plan.keys.index(next(key for key in wanted if key.service_code == "ec2" and key.region == "eu-west-1"))
    assert plan.headroom.reserved[row] == pytest.approx(wanted[plan.keys[row]])
    assert plan.headroom.available[row] == pytest.approx(mine.headroom.available[row] - wanted[plan.keys[row]])
    assert mine.headroom.reserved.max() == 0

    move = activate_failover(store, FAILED, act=True, by="ann", now=at(5))
    assert (move.after.state, move.ok) == ("active", True)
    assert evening.held(at(5)) == pytest.approx(wanted)
    with clear_error(InvalidInput, "failover", f"{FAILED} is active", "prepare"):
        prepare_failover(store, FAILED, act=True, now=at(6))

    # Half of it has moved. us-west-2 has grown by some more of its own, which counts as landed.
    evening.share = 0.5
    evening.moved = {key: amount / 2 for key, amount in wanted.items()}
    evening.until(at(20))
    used = {key: room.usage for key, room in store.rooms(list(wanted), now=at(20)).items()}
    move = replan_failover(store, FAILED, act=True, now=at(20))
    landed = {key: min(max(0.0, used[key] - before[key].usage), wanted[key]) for key in wanted}
    for service in {key.service_code for key in wanted}:  # in all no more than the share that us-east-1 has lost
        own = [key for key in landed if key.service_code == service]
        source = next(key for key in evening.world.keys if (key.region, key.service_code) == (FAILED, service))
        now_there = store.rooms([source], now=at(20))[source].usage
        most = sum(wanted[key] for key in own) * (1 - now_there / before[source].usage)
        there = sum(landed[key] for key in own)
        landed |= {key: landed[key] * min(1.0, most / there) for key in own}
    assert {row.key: row.landed for row in move.rows} == pytest.approx(landed)
    for service in {key.service_code for key in wanted}:
        need = sum(amount for key, amount in wanted.items() if key.service_code == service)
        there = sum(amount for key, amount in landed.items() if key.service_code == service)
        left = sum(amount for key, amount in evening.held(at(20)).items() if key.service_code == service)
        assert left == pytest.approx(need - there)
        assert 0 < left < need
    evening.check(at(20))

    # All of it has: nothing is held any more.
    evening.share, evening.moved = 1.0, {key: 1.5 * amount for key, amount in wanted.items()}
    evening.until(at(60))
    move = replan_failover(store, FAILED, act=True, now=at(60))
    assert evening.held(at(60)) == {}
    assert (move.ok, move.prewarm) == (True, {})
    evening.check(at(60))

    assert not recover_failover(store, FAILED, act=True, now=at(124)).granted
    states = []
    for minutes in (125, 140, 170):
        move = recover_failover(store, FAILED, act=True, by="bob", now=at(minutes))
        states.append((move.granted, move.after.state))
    assert states == [(True, "recovering"), (True, "recovering"), (True, "normal")]
    events = store.failover_events(FAILED)
    assert [(e["action"], e["before"], e["after"], e["by"]) for e in events] == [
        ("prepare", "normal", "preparing", "ann"),
        ("activate", "preparing", "active", "ann"),
        ("replan", "active", "active", ""),
        ("replan", "active", "active", ""),
        ("recover", "active", "recovering", "bob"),
        ("recover", "recovering", "recovering", "bob"),
        ("recover", "recovering", "normal", "bob"),
    ]
    assert events[0]["why"] == "storm"
    evening.check(at(170))
    store.close()


def shares_by_hand(rooms):
    """Quota → what it takes of what us-east-1 uses: by .8 of what is free, where that is enough."""
    wanted = {}
    for service in {key.service_code for key in rooms}:
        own = {key.region: room for key, room in rooms.items() if key.service_code == service}
        free = {r: 0.8 * (own[r].quota - own[r].usage) for r in OTHERS if not math.isnan(own[r].usage)}
        need = own[FAILED].usage
        assert need <= sum(free.values())
        wanted |= {own[r].key: need * room / sum(free.values()) for r, room in free.items()}
    return wanted


# What each action holds.


def test_prepare_holds_shares_of_what_is_free(store):
    move = prepare_failover(store, "us-east-1", act=True, now=NOW)
    assert held(store) == {"us-west-2": pytest.approx(35), "eu-west-1": pytest.approx(25)}
    assert "Pre-warm us-west-2 ec2/L-1: 35 more, to 65 of 100." in str(move)
    assert move.exit_code == 0


def test_what_finds_no_room_is_an_answer_and_the_rest_is_held(opened):
    with filled(opened(), (90.0, 60.0, 50.0)) as store:
        move = prepare_failover(store, "us-east-1", act=True, now=NOW)
        assert held(store) == {"us-west-2": pytest.approx(32), "eu-west-1": pytest.approx(40)}
        assert move.unplaced == {"ec2/L-1": pytest.approx(18)}
        assert (move.ok, move.exit_code, move.granted) == (False, 2, True)
        with clear_error(InvalidInput, "failover: prepare must find room", "ec2/L-1: 18 find no room"):
            move.require_met()


def test_a_rule_eligibility_and_what_others_hold_are_kept_to(store):
    store.reserve({WEST: 20.0}, now=NOW)
    rule = Proportional({"eu-west-1": 0.5}, room_cap=1.0, multiplier=0.5)
    prepare_failover(store, "us-east-1", rule=rule, act=True, now=NOW)  # 30 over 50 × 1 and 50 × .5
    assert held(store) == {"us-west-2": pytest.approx(20 + 20), "eu-west-1": pytest.approx(10)}
    cancel_failover(store, "us-east-1", act=True, now=NOW)
    assert held(store) == {"us-west-2": 20}
    prepare_failover(store, "us-east-1", eligible={"us-east-1": ["eu-west-1"]}, act=True, now=NOW)
    assert held(store) == {"us-west-2": 20, "eu-west-1": pytest.approx(40)}


def test_several_regions_fail_together(store):
    move = prepare_failover(store, ["us-east-1", "eu-west-1"], name="both", act=True, now=NOW)
    assert held(store) == {"us-west-2": pytest.approx(56)}
    assert move.unplaced == {"ec2/L-1": pytest.approx(54)}


def test_nothing_lands_in_a_region_that_another_failover_gives_up(store):
    prepare_failover(store, "us-west-2", act=True, now=NOW)  # 30 over 40 and 50: all of it fits
    move = prepare_failover(store, "us-east-1", act=True, now=NOW)
    assert {row.key.region for row in move.rows} == {"eu-west-1"}
    assert "us-west-2/ec2/L-1: given up by us-west-2" in move.left_out
    cancel_failover(store, "us-west-2", act=True, now=NOW)
    move = replan_failover(store, "us-east-1", act=True, now=NOW)
    assert {row.key.region for row in move.rows if row.held_after > 0} == {"us-west-2", "eu-west-1"}


@pytest.mark.parametrize(
    ("critical", "placed", "shed", "critical_unplaced"),
    [
        # 80 to move; free are 30 and 10, of which the rule gives .8: 32.
        (0.3, 32, [("moving", "us-east-1", 48)], {}),
        (0.5, 40, [("moving", "us-east-1", 40)], {}),
        (0.8, 40, [("moving", "us-east-1", 16), ("own", "us-west-2", 10.5), ("own", "eu-west-1", 13.5)],
         {"ec2/L-1": 24}),
        (1.0, 40, [], {"ec2/L-1": 40}),
    ],
)  # fmt: skip
def test_an_emergency_takes_what_there_is_for_what_is_critical_and_sheds_the_rest(
    opened, critical, placed, shed, critical_unplaced
):
    with filled(opened(), (80.0, 70.0, 90.0)) as store:
        move = activate_failover(
            store, "us-east-1", emergency=True, critical=critical, act=True, why="fire", by="ann", now=NOW
        )
        assert move.after.state == "active"
        assert sum(held(store).values()) == pytest.approx(placed)
        assert move.unplaced == {"ec2/L-1": pytest.approx(80 - placed)}
        found = sorted((s.whose, s.region, s.amount) for s in move.shed)
        assert found == [(whose, region, pytest.approx(amount)) for whose, region, amount in sorted(shed)]
        assert move.critical_unplaced == pytest.approx(critical_unplaced)
        assert store.audit()[0].why == "activate us-east-1: fire"
        assert not store.reservations(now=NOW).over


def test_an_emergency_within_what_was_prepared_may_take_more(opened):
    with filled(opened(), (80.0, 70.0, 70.0)) as store:
        prepare_failover(store, "us-east-1", act=True, now=NOW)
        assert sum(held(store).values()) == pytest.approx(48)
        move = activate_failover(store, "us-east-1", emergency=True, act=True, why="fire", now=NOW)
        assert sum(held(store).values()) == pytest.approx(60)
        assert move.critical_unplaced == {"ec2/L-1": pytest.approx(20)}


def test_replanning_before_activation_looks_at_what_is_used_now(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (30.0, 30.0, 50.0), "2026-01-01T00:20Z")
    replan_failover(store, "us-east-1", act=True, now="2026-01-01T00:21Z")
    assert sum(held(store, "2026-01-01T00:21Z").values()) == pytest.approx(30)


def test_what_has_landed_may_be_stated(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    move = replan_failover(store, "us-east-1", landed={WEST: 35.0, EU: 5.0}, act=True, now=NOW)
    assert sum(held(store).values()) == pytest.approx(20)
    assert {row.key: row.landed for row in move.rows} == {WEST: 35.0, EU: 5.0}


def test_a_relapse_holds_room_again(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    recover_failover(store, "us-east-1", act=True, now="2026-01-01T02:10Z")
    assert sum(held(store, "2026-01-01T02:10Z").values()) == pytest.approx(54)
    used_later(store, (60.0, 30.0, 50.0), "2026-01-01T02:10Z")
    move = activate_failover(store, "us-east-1", act=True, why="it came back", now="2026-01-01T02:20Z")
    assert (move.before.state, move.after.state) == ("recovering", "active")
    assert sum(held(store, "2026-01-01T02:20Z").values()) == pytest.approx(60)
    again = recover_failover(store, "us-east-1", act=True, now="2026-01-01T03:00Z")
    assert (again.granted, again.because.startswith("not before 2026-01-01T04:20:00Z")) == (False, True)


def test_failback_in_steps_of_ones_own(store):
    back = Failback(stable_s=600, shares=(0.25, 1.0), holds_s=(60,))
    prepare_failover(store, "us-east-1", failback=back, act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    recover_failover(store, "us-east-1", act=True, now="2026-01-01T00:20Z")
    assert sum(held(store, "2026-01-01T00:20Z").values()) == pytest.approx(45)
    move = recover_failover(store, "us-east-1", act=True, now="2026-01-01T00:21Z")
    assert (move.after.state, held(store, "2026-01-01T00:21Z")) == ("normal", {})
    (found,) = standing(store, now=NOW)
    assert (len(found["events"]), standing_text([found]).count("earlier")) == (4, 0)
    prepare_failover(store, "us-east-1", act=True, now="2026-01-01T00:22Z")  # all over again
    (found,) = standing(store, now=NOW)
    earlier, last = standing_text([found]).splitlines()[-2:]
    assert len(found["events"]) == 5
    assert earlier == "  4 moves of earlier failovers (--json lists them)"
    assert "prepare (normal → preparing)" in last


def test_recovering_early_needs_a_reason(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    with clear_error(InvalidInput, "why", "must say why it cannot wait"):
        recover_failover(store, "us-east-1", early=True, act=True, now=NOW)
    assert recover_failover(store, "us-east-1", early=True, why="exercise", act=True, now=NOW).done


def test_what_has_expired_is_claimed_again_if_there_is_room(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (60.0, 30.0, 50.0), "2026-01-02T01:00Z")
    now = "2026-01-02T01:00Z"
    assert held(store, now) == {}
    (found,) = standing(store, now=now)
    assert found["lapsed"]
    assert "EXPIRED" in standing_text([found])
    other = store.reserve({WEST: 60.0}, now=now)
    move = activate_failover(store, "us-east-1", act=True, now=now)
    assert held(store, now) == {"us-west-2": pytest.approx(60 + 8), "eu-west-1": pytest.approx(40)}
    assert move.unplaced == {"ec2/L-1": pytest.approx(12)}
    assert move.after.coordination != other.coordination
    assert not store.reservations(now=now).over


def test_with_histories_whose_room_is_promised(store):
    """allocate, evacuate and the recovery see it as well."""
    store.reserve({WEST: 60.0, EU: 40.0}, now=NOW)
    history = store.history(until=NOW)
    assert history.reserved == {WEST: 60.0, EU: 40.0}
    free, own = surgetank.evacuate(replace(history, reserved={}), "us-east-1"), surgetank.evacuate(history, "us-east-1")
    assert (free.shared["ec2/L-1"].shortfall, own.shared["ec2/L-1"].shortfall) == (0, pytest.approx(60 - 0.8 * 20))
    assert own.shared["ec2/L-1"].utilization_after["us-west-2"] == pytest.approx((30 + 8) / 100)
    assert surgetank.allocate(history).headroom.sum() > surgetank.allocate(replace(history, reserved={})).headroom.sum()


def test_a_recovery_waits_for_room_that_is_promised_to_others():
    world = sample_world()
    west = next(key for key in world.keys if (key.region, key.service_code) == ("us-west-2", "ec2"))
    fits, quotas = [], []
    for reserved in (0.0, 900.0, 1200.0):
        made = surgetank.plan(replace(world, reserved={west: reserved}))
        found = surgetank.estimate_recovery(
            surgetank.shipped_runbook("region-evacuation"), trials=2000,
            capacity=surgetank.Capacity(made, event="us-east-1 fails"),
        )  # fmt: skip
        fits.append(found.shortage.fits_frac)
        at = found.shortage.coupling.covered.index(west)
        quotas.append((found.shortage.coupling.quota[at], found.shortage.coupling.reserved[at]))
    assert fits[0] > fits[1] > fits[2]
    assert quotas == [(2000, 0), (1100, 900), (800, 1200)]
