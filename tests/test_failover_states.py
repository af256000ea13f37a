"""The ways between the states of a failover, who takes them at once, what is refused, and how it presents itself."""

import json
import pickle
import threading

import pytest

from clear import clear_error
from failover_stores import (
    NOW,
    everything,
    filled,
    held,
    used_later,
)
from reservation_stores import KINDS, opened
from surgetank import (
    Failback,
    History,
    InvalidInput,
    StoreError,
    activate_failover,
    cancel_failover,
    prepare_failover,
    recover_failover,
    replan_failover,
)
from surgetank.failover.life import WAYS, Failover
from surgetank.failover.standing import standing, standing_text

__all__ = ["opened"]  # fixtures


@pytest.fixture
def store(opened):
    """60 of 100 in the Region that fails; 30 and 50 in the others."""
    return filled(opened(), (60.0, 30.0, 50.0))


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
    "active": {"emergency": "active", "replan": "active", "recover": "recovering"},
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


def test_two_who_act_at_once(kind, opened, tmp_path):
    """One of them does it; the other is told that it is done."""
    store = filled(opened(), (60.0, 30.0, 50.0))
    barrier, said = threading.Barrier(4), []

    def act(who):
        with KINDS[kind](tmp_path, timeout_s=30) as mine:
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
    assert [one for one in said if one is not True and "is preparing" not in one] == []
    assert len(store.failover_events()) == 1
    assert held(store) == {"us-west-2": pytest.approx(35), "eu-west-1": pytest.approx(25)}
    assert store.check().sound


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
        (lambda s: prepare_failover(s, "us-east", act=True), ("failed", "must be Regions of the", "'us-east-1'")),
        (lambda s: prepare_failover(s, [], act=True), ("failed", "must name 1 to 50 Regions")),
        (lambda s: prepare_failover(s, ["r"] * 3 + [5], act=True), ("failed", "must be a sequence of texts")),
        (lambda s: prepare_failover(s, "us-east-1", name="a\nb", act=True), ("name", "one line")),
        (lambda s: prepare_failover(s, "us-east-1", rule="fast", act=True), ("name", "must be one of")),
        (lambda s: prepare_failover(s, "us-east-1", rule=0.8, act=True), ("rule", "must be Proportional")),
        (lambda s: prepare_failover(s, "us-east-1", critical=1.5, act=True), ("critical", "1.5")),
        (lambda s: prepare_failover(s, "us-east-1", eligible={"mars": ["us-west-2"]}, act=True), ("eligible", "mars")),
        (lambda s: prepare_failover(s, "us-east-1", eligible=["us-west-2"], act=True), ("eligible", "must map")),
        (lambda s: prepare_failover(s, "us-east-1", failback=3, act=True), ("failback", "must be Failback")),
        (lambda s: prepare_failover(s, "us-east-1", now="yesterday", act=True), ("now", "must be an instant")),
        (lambda s: prepare_failover(s, "us-east-1", why="x" * 1001, act=True), ("why", "at most 1000")),
        (lambda s: prepare_failover(None, "us-east-1", act=True), ("store", "must be a Store")),
        (lambda s: activate_failover(s, "us-east-1", emergency=True, act=True), ("why", "must say what the emergency")),
        (lambda s: activate_failover(s, "us-east-1", act=True), ("failover", "must be one that was prepared")),
        (lambda s: replan_failover(s, "nobody", act=True), ("failover", "must be one that was prepared")),
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
    assert len(move.to_records()) == 2


def test_names_from_outside_come_out_printable(opened):
    with opened() as store:
        regions = ("us\x1b[31m", "eu\u202e")
        world = History.from_array(
            [[5.0, 5.0]] * 3, start="2026-01-01T00:00Z", step_s=300, regions=regions, service_code="<b>", quota=100.0
        )
        store.import_quotas(world.quotas)
        store.add_samples(world.samples())
        move = prepare_failover(store, regions[0], name="storm", act=True, by="\x07", why="a\nb", now=NOW)
        assert "\x1b" not in str(move)
        assert all(line.isprintable() for line in standing_text(standing(store, now=NOW)).splitlines())
