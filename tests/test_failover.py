"""One failover as data: the ways between its states, what each action holds, and a whole evening."""

import json
import math
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest

import surgetank
from clear import clear_error
from evening import BEGIN, FAILED, OTHERS, Evening
from surgetank import (
    Failback,
    History,
    InvalidInput,
    Proportional,
    QuotaKey,
    Store,
    StoreError,
    activate_failover,
    cancel_failover,
    prepare_failover,
    recover_failover,
    replan_failover,
)
from surgetank.failover.life import WAYS, Failover, standing, standing_text

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
NOW = "2026-01-01T00:10Z"
EAST, WEST, EU = (QuotaKey(region=region, service_code="ec2", quota_code="L-1") for region in REGIONS)


@pytest.fixture
def store(tmp_path):
    """60 of 100 in the Region that fails; 30 and 50 in the others."""
    with filled(tmp_path / "fleet.db", (60.0, 30.0, 50.0)) as made:
        yield made


def filled(path, used, quota=100.0, start="2026-01-01T00:00Z"):
    made = Store(path, create=True)
    world = History.from_array(
        [used] * 3, start=start, step_s=300, regions=REGIONS, service_code="ec2", quota_code="L-1", quota=quota
    )
    made.import_quotas(world.quotas)
    made.add_samples(world.samples())
    return made


def used_later(store, used, start):
    world = History.from_array([used], start=start, step_s=300, regions=REGIONS, service_code="ec2", quota_code="L-1")
    store.add_samples(world.samples())


def held(store, now=NOW):
    return {key.region: amount for key, amount in store.reserved(at=now).items()}


def everything(store, now=NOW):
    """What a dry run must leave as it is."""
    return store.failovers(), store.failover_events(), store.audit(), store.reservations(ended=True, now=now).to_dict()


# An evening.


def test_an_evening(tmp_path):
    """Prepare, activate, re-plan half-way, recover: every amount beside plain arithmetic."""
    evening = Evening(tmp_path / "fleet.db")
    store, at = evening.store, lambda minutes: BEGIN + np.timedelta64(minutes, "m")

    before = store.rooms(list(evening.world.quotas), now=BEGIN)
    move = prepare_failover(store, FAILED, act=True, by="ann", why="storm", now=BEGIN)
    assert (move.done, move.before.state, move.after.state, move.unplaced, move.unknown) == (
        True, "normal", "preparing", {}, (),
    )  # fmt: skip
    wanted = shares_by_hand(before)
    assert move.prewarm == pytest.approx(wanted)
    assert evening.held(BEGIN) == pytest.approx(wanted)
    assert any("eu-west-1/elasticloadbalancing" in line for line in move.left_out)
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


def test_what_finds_no_room_is_an_answer_and_the_rest_is_held(tmp_path):
    with filled(tmp_path / "fleet.db", (90.0, 60.0, 50.0)) as store:
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
    tmp_path, critical, placed, shed, critical_unplaced
):
    with filled(tmp_path / "fleet.db", (80.0, 70.0, 90.0)) as store:
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


def test_an_emergency_within_what_was_prepared_may_take_more(tmp_path):
    with filled(tmp_path / "fleet.db", (80.0, 70.0, 70.0)) as store:
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
    prepare_failover(store, "us-east-1", act=True, now="2026-01-01T00:22Z")  # all over again


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


# States.


def brought_to(store, state):
    if state != "normal":
        prepare_failover(store, "us-east-1", act=True, now=NOW)
    if state in ("active", "recovering"):
        activate_failover(store, "us-east-1", act=True, now=NOW)
    if state == "recovering":
        recover_failover(store, "us-east-1", act=True, now="2026-01-01T02:10Z")


ACTIONS = {
    "prepare": lambda store, **more: prepare_failover(store, "us-east-1", **more),
    "activate": lambda store, **more: activate_failover(store, "us-east-1", **more),
    "emergency": lambda store, **more: activate_failover(store, "us-east-1", emergency=True, why="fire", **more),
    "replan": lambda store, **more: replan_failover(store, "us-east-1", **more),
    "recover": lambda store, **more: recover_failover(store, "us-east-1", **more),
    "cancel": lambda store, **more: cancel_failover(store, "us-east-1", **more),
}
ALLOWED = {
    "normal": {"prepare": "preparing", "emergency": "active"},
    "preparing": {"activate": "active", "emergency": "active", "replan": "preparing", "cancel": "normal"},
    "active": {"replan": "active", "recover": "recovering"},
    "recovering": {"activate": "active", "emergency": "active", "recover": "recovering"},
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", ALLOWED)
def test_every_way_between_states(store, state, action):
    brought_to(store, state)
    used_later(store, (60.0, 30.0, 50.0), "2026-01-01T02:30Z")
    now, before = "2026-01-01T02:30Z", everything(store)
    if action in ALLOWED[state]:
        dry = ACTIONS[action](store, now=now)
        assert (dry.granted, dry.done, dry.after.state) == (True, False, ALLOWED[state][action])
        assert everything(store) == before
        done = ACTIONS[action](store, now=now, act=True)
        assert (done.done, done.after.state) == (True, ALLOWED[state][action])
        assert store.failover("us-east-1")[0] == ALLOWED[state][action]
        assert done.to_records() == dry.to_records()
        return
    with clear_error(InvalidInput, "failover: "):
        ACTIONS[action](store, now=now, act=True)
    assert everything(store) == before


def test_the_ways_are_those_of_the_table():
    found = {state: {a: after for a, ways in WAYS.items() if (after := ways.get(state))} for state in ALLOWED}
    named = {
        s: {"activate" if a == "emergency" else a: after for a, after in ways.items()} for s, ways in ALLOWED.items()
    }
    assert found == named


def test_room_and_state_change_together_or_not_at_all(store, monkeypatch):
    def fails(*args, **kwargs):
        raise StoreError("the disk is full")

    before = everything(store)
    monkeypatch.setattr(store, "move_failover", fails)
    with pytest.raises(StoreError):
        prepare_failover(store, "us-east-1", act=True, now=NOW)
    monkeypatch.undo()
    assert everything(store) == before
    assert store.check().sound


def test_two_who_act_at_once(tmp_path):
    """One of them does it; the other is told that it is done."""
    path = tmp_path / "fleet.db"
    filled(path, (60.0, 30.0, 50.0)).close()
    barrier, said = threading.Barrier(4), []

    def act(who):
        with Store(path, timeout_s=30) as mine:
            barrier.wait()
            try:
                said.append(prepare_failover(mine, "us-east-1", act=True, by=who, now=NOW).done)
            except InvalidInput as error:
                said.append(str(error))

    threads = [threading.Thread(target=act, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count(True) == 1
    assert all("is preparing" in one for one in said if one is not True)
    with Store(path) as store:
        assert len(store.failover_events()) == 1
        assert held(store) == {"us-west-2": pytest.approx(35), "eu-west-1": pytest.approx(25)}


# What is not known, and what is wrong.


def test_unknown_usage_is_never_no_load(store):
    move = prepare_failover(store, "us-east-1", act=True, now="2026-01-02T00:00Z")
    assert (move.granted, move.done, move.exit_code) == (False, False, 3)
    assert move.unknown == (
        "ec2/L-1: what us-east-1 uses is not known; last observed 23 h 50 min ago, 2026-01-01T00:10:00Z",
    )
    assert store.failover("us-east-1") == ("normal", {})
    known = prepare_failover(store, "us-east-1", stale_after_s=86_400, act=True, now="2026-01-02T00:00Z")
    assert known.done


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: prepare_failover(s, "us-east"), ("failed", "must be Regions of the", "'us-east-1'")),
        (lambda s: prepare_failover(s, []), ("failed", "must name 1 to 50 Regions")),
        (lambda s: prepare_failover(s, ["r"] * 3 + [5]), ("failed", "must be a sequence of texts")),
        (lambda s: prepare_failover(s, "us-east-1", name="a\nb"), ("name", "one line")),
        (lambda s: prepare_failover(s, "us-east-1", rule="fast"), ("name", "must be one of")),
        (lambda s: prepare_failover(s, "us-east-1", rule=0.8), ("rule", "must be Proportional")),
        (lambda s: prepare_failover(s, "us-east-1", critical=1.5), ("critical", "1.5")),
        (lambda s: prepare_failover(s, "us-east-1", eligible={"mars": ["us-west-2"]}), ("eligible", "mars")),
        (lambda s: prepare_failover(s, "us-east-1", eligible=["us-west-2"]), ("eligible", "must map Regions")),
        (lambda s: prepare_failover(s, "us-east-1", failback=3), ("failback", "must be Failback")),
        (lambda s: prepare_failover(s, "us-east-1", now="yesterday"), ("now", "must be an instant")),
        (lambda s: prepare_failover(s, "us-east-1", why="x" * 1001), ("why", "at most 1000")),
        (lambda s: prepare_failover(None, "us-east-1"), ("store", "must be a Store")),
        (lambda s: activate_failover(s, "us-east-1", emergency=True), ("why", "must say what the emergency is")),
        (lambda s: activate_failover(s, "us-east-1"), ("failover", "must be one that was prepared")),
        (lambda s: replan_failover(s, "nobody"), ("failover", "must be one that was prepared")),
        (lambda s: Failback(shares=(0.5, 0.5, 1.0)), ("shares", "must ascend")),
        (lambda s: Failback(shares=()), ("shares", "must ascend")),
        (lambda s: Failback(holds_s=(60,)), ("holds_s", "must be 2")),
        (lambda s: Failback(holds_s=60), ("holds_s", "must be a sequence")),
        (lambda s: Failback(stable_s=-1), ("stable_s", "-1")),
    ],
)  # fmt: skip
def test_refusals(store, call, words):
    before = everything(store)
    with clear_error(InvalidInput, *words):
        call(store)
    assert everything(store) == before


def test_a_body_of_another_version_or_damaged(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    state, body = store.failover("us-east-1")
    assert Failover.of("us-east-1", state, body).to_dict() == body
    with clear_error(StoreError, "us-east-1", "another surgetank"):
        Failover.of("us-east-1", state, {**body, "version": 99})
    for damage in ({"landings": [{}]}, {"failback": None}, {"rule": {"room_cap": 7}}):
        with clear_error(StoreError, "us-east-1", "is damaged"):
            Failover.of("us-east-1", state, {**body, **damage})


# How it presents itself.


@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_move_is_shown_and_sent_on(store, width):
    move = prepare_failover(store, "us-east-1", now=NOW)
    assert max(map(len, move.table(width).splitlines())) <= width
    assert "dry run" in str(move)
    body = json.loads(json.dumps(move.to_dict(), allow_nan=False))
    assert body["failover"]["state"] == "preparing"
    assert [p["amount"] for p in body["prewarm"]] == [pytest.approx(25), pytest.approx(35)]
    again = pickle.loads(pickle.dumps(move))
    assert again.table(width) == move.table(width)
    assert len(move.to_pandas()) == 2


def test_names_from_outside_come_out_printable(tmp_path):
    with Store(tmp_path / "fleet.db", create=True) as store:
        regions = ("us\x1b[31m", "eu\u202e")
        world = History.from_array(
            [[5.0, 5.0]] * 3, start="2026-01-01T00:00Z", step_s=300, regions=regions, service_code="<b>", quota=100.0
        )
        store.import_quotas(world.quotas)
        store.add_samples(world.samples())
        move = prepare_failover(store, regions[0], name="storm", act=True, by="\x07", why="a\nb", now=NOW)
        assert "\x1b" not in str(move)
        assert all(line.isprintable() for line in standing_text(standing(store, now=NOW)).splitlines())


def test_with_histories_whose_room_is_promised(store):
    """allocate, evacuate and the recovery see it as well."""
    store.reserve({WEST: 60.0, EU: 40.0}, now=NOW)
    history = store.history(until=NOW)
    assert history.reserved == {WEST: 60.0, EU: 40.0}
    free, own = surgetank.evacuate(replace(history, reserved={}), "us-east-1"), surgetank.evacuate(history, "us-east-1")
    assert (free.shared["ec2/L-1"].shortfall, own.shared["ec2/L-1"].shortfall) == (0, pytest.approx(60 - 0.8 * 20))
    assert own.shared["ec2/L-1"].utilization_after["us-west-2"] == pytest.approx((30 + 8) / 100)
    assert surgetank.allocate(history).headroom.sum() > surgetank.allocate(replace(history, reserved={})).headroom.sum()
