"""What DynamoDB has not removed yet, and what it removed already: neither is room that is held, or free, or lost."""

import json
import time

import pytest

from dynamodb_local import lead
from racing import wiped
from reservation_stores import DAY_S, EAST, EU, NOW, WEST, fill
from surgetank import DynamoStore, InvalidInput
from surgetank.history.dynamodb import work

YEAR_S = 365 * DAY_S


@pytest.fixture(scope="module")
def opened(dynamodb_keys):
    """One store for all of them; 60, 30 and 10 used of 100 in three Regions."""
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    with pytest.MonkeyPatch.context() as patch:
        lead(patch, *dynamodb_keys.another())
        with DynamoStore("fleet", create=True) as made:
            fill(made)
            yield made


@pytest.fixture
def store(opened):
    wiped(opened._calls._client, "fleet")
    yield opened
    assert opened.check().sound, opened.check()


def item(store, key):
    """An item of the coordinations, read without any code of ours; None: there is none."""
    asked = {"TableName": "fleet-coordinations", "Key": {"id": {"S": key}}, "ConsistentRead": True}
    return store._calls._client.get_item(**asked).get("Item")


def removed(store, *keys):
    """As DynamoDB removes what has expired: one item by itself, nobody is asked."""
    for key in keys:
        assert item(store, key) is not None
        store._calls._client.delete_item(TableName="fleet-coordinations", Key={"id": {"S": key}})


def held(store, now):
    """What any claim finds held."""
    rooms = store.rooms([EAST, WEST, EU], now=now, stale_after_s=1e9)
    return {key: sum(room.reserved) for key, room in rooms.items() if room.reserved}


def held_until(store):
    """Until when ledgers say that anything is held, as of whatever clock."""
    found = store._calls._client.scan(TableName="fleet-reservations", ConsistentRead=True)["Items"]
    rows = [row for one in found for of_name in json.loads(one["body"]["S"]).values() for row in of_name]
    return max((row[3] for row in rows), default=0)


def ttls(store, name):
    """Until when DynamoDB leaves a coordination, and its token."""
    claim = item(store, f"claim/{name}")
    token = item(store, f"token/{json.loads(claim['body']['S'])['token']}")
    return int(claim["ttl"]["N"]), int(token["ttl"]["N"])


# What is still there.


def test_what_is_overdue_and_still_there_holds_nothing(store):
    assert store.reserve({EAST: 40}, coordination="old", token="old", hold_s=100, purge_s=100, now=NOW).granted
    later = NOW + 30 * DAY_S  # DynamoDB may take its time
    assert item(store, "claim/old") is not None
    assert held(store, NOW + 100) == {}
    assert store.rooms([EAST], now=later, stale_after_s=1e9)[EAST].free == 40
    assert store.reserve({EAST: 40}, coordination="new", stale_after_s=1e9, now=later).granted
    # A clock that is behind does not bring it to life again.
    assert [r.coordination for r in store.reservations(now=NOW + 1).found] == ["new"]
    assert not store.reserve({EAST: 1}, now=NOW + 1).granted
    assert store.reserve({EAST: 40}, token="old", coordination="old", hold_s=100, purge_s=100, now=later).repeated


def test_what_has_ended_and_is_still_there_holds_nothing(store):
    store.reserve({EAST: 40}, coordination="old", token="old", now=NOW)
    store.release("old", now=NOW)
    assert held(store, NOW) == {}
    assert store.reserve({EAST: 40}, coordination="new", now=NOW).granted


# What is there no more.

ENDED = [["claim/old"], ["token/old"], ["claim/old", "token/old"], ["token/old", "claim/old"]]


@pytest.mark.parametrize("gone", ENDED)
def test_an_ended_coordination_was_removed(store, gone):
    asked = {"coordination": "old", "token": "old", "hold_s": 100, "purge_s": 100}
    store.reserve({EAST: 40, WEST: 10}, now=NOW, **asked)
    store.release("old", now=NOW + 10)
    removed(store, *gone)
    assert store.check().sound
    assert store.purge_reservations(now=NOW + 100) == (0 if "claim/old" in gone else 2)
    again = store.reserve({EAST: 40, WEST: 10}, now=NOW + 200, **asked)  # as of one that was purged
    assert (again.granted, again.repeated) == (True, False)
    assert store.reserve({EAST: 40, WEST: 10}, now=NOW + 200, **asked).repeated
    assert held(store, NOW + 200) == {EAST: 40.0, WEST: 10.0}
    actions = ["reserve", "release", *([] if "claim/old" in gone else ["purge"]), "reserve"]
    assert [line.action for line in store.audit(coordination="old")] == actions
    assert [line.action for line in store.audit()] == actions


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("gone", ENDED)
def test_an_overdue_coordination_was_removed_before_anybody_noted_that(store, gone, behind):
    """Its ledger alone has it; ``behind``: who comes then has a clock by which it is not overdue."""
    asked = {"coordination": "old", "token": "old", "hold_s": 100, "purge_s": 100}
    store.reserve({EAST: 30, WEST: 10}, now=NOW, **asked)
    removed(store, *gone)
    now = NOW + (50 if behind else 200)
    assert store.check().sound
    assert held(store, now) == ({EAST: 30.0, WEST: 10.0} if behind else {})
    other = store.reserve({EAST: 40}, coordination="other", now=now)
    assert other.granted is not behind
    if not behind:
        assert store.release("other", now=now).found
    if gone == ["token/old"]:
        return
    for call in (store.release, store.renew):
        with pytest.raises(InvalidInput, match="must be one of the store's"):
            call("old", now=now)
    again = store.reserve({EU: 5}, now=now, **asked)  # of the same name, and something else
    assert (again.granted, again.repeated) == (True, False)
    assert held(store, now) == {EU: 5.0}
    assert [line.action for line in store.audit(coordination="old")] == ["reserve", "expire", "reserve"]
    assert store.check().sound
    assert store.expire(now=NOW + 300).found
    assert store.purge_reservations(now=NOW + 300) >= 1
    assert item(store, "claim/old") is item(store, "token/old") is None


def test_an_overdue_one_without_its_item_is_noted_once(store):
    store.reserve({EAST: 30}, coordination="old", hold_s=100, purge_s=100, now=NOW)
    removed(store, "claim/old")
    assert [r.coordination for r in store.expire(now=NOW + 200).found] == ["old"]
    assert not store.expire(now=NOW + 200).found
    assert held_until(store) == 0
    assert [line.action for line in store.audit()] == ["reserve", "expire"]


def test_a_token_without_its_coordination_is_not_that_of_the_next_of_the_same_name(store):
    asked = {"coordination": "c", "hold_s": 100, "purge_s": 100}
    store.reserve({EAST: 30}, token="first", now=NOW, **asked)
    store.release("c", now=NOW)
    removed(store, "claim/c")
    assert store.reserve({EAST: 30}, token="second", now=NOW, **asked).granted
    with pytest.raises(InvalidInput, match="coordination: must be new"):  # and not: granted before
        store.reserve({EAST: 30}, token="first", now=NOW, **asked)
    assert store.reserve({EAST: 30}, token="second", now=NOW, **asked).repeated


def test_a_token_that_was_claimed_under_again_is_not_forgotten_with_the_first(store):
    store.reserve({EAST: 30}, coordination="first", token="t", hold_s=100, purge_s=100, now=NOW)
    store.release("first", now=NOW)
    removed(store, "token/t")
    asked = {"coordination": "second", "token": "t", "hold_s": 1000}
    assert store.reserve({EAST: 30}, now=NOW, **asked).granted
    assert store.purge_reservations(now=NOW + 200) == 1
    assert store.reserve({EAST: 30}, now=NOW + 200, **asked).repeated
    assert held(store, NOW + 200) == {EAST: 30.0}


def test_a_token_that_was_claimed_under_again_does_not_go_back_to_the_first(store):
    store.reserve({EAST: 10}, coordination="first", token="t", hold_s=5000, now=NOW)
    removed(store, "token/t")  # by hand: DynamoDB removes neither while it is held
    asked = {"coordination": "second", "token": "t", "hold_s": 1000}
    assert store.reserve({EAST: 10}, now=NOW, **asked).granted
    store.renew("first", hold_s=50_000, now=NOW)
    assert store.reserve({EAST: 10}, now=NOW, **asked).repeated


# When DynamoDB may remove it.


@pytest.mark.parametrize("off_s", [0, -50 * YEAR_S, -3 * DAY_S, 3 * DAY_S, 50 * YEAR_S, 20_000 * YEAR_S])
@pytest.mark.parametrize("then_s", [0, -10 * YEAR_S, 10 * YEAR_S])
def test_what_is_held_is_not_removed_whatever_moment_was_stated(store, off_s, then_s):
    real = int(time.time())
    store.reserve(
        {EAST: 1}, coordination="c", force=True, why="so", hold_s=2 * DAY_S, purge_s=5 * DAY_S, now=real + off_s
    )

    def checked():
        found = ttls(store, "c")
        assert found[0] == found[1]  # neither is left without the other for long
        assert found[0] >= max(real + 5 * DAY_S, held_until(store)) + DAY_S

    checked()
    before = ttls(store, "c")
    now = real + off_s + then_s
    try:
        store.renew("c", hold_s=3 * DAY_S, now=now)
        checked()
        store.resize("c", {EAST: 1, WEST: 1}, force=True, why="so", hold_s=4 * DAY_S, now=now)
        checked()
    except InvalidInput:
        assert then_s > 0  # it has ended
    store.release("c", now=real + off_s)
    assert ttls(store, "c") >= before  # its answer may be asked for until it could be purged


# The trail.


def test_a_clock_that_is_behind_does_not_change_what_came_first(store, monkeypatch):
    """Also where nothing is held in between, and nothing of a name is there any more."""
    real = time.time_ns

    class Clock:
        offset_s = 0

        def time_ns(self):
            return real() + self.offset_s * 10**9

    clock = Clock()
    monkeypatch.setattr(work, "time", clock)
    asked = {"hold_s": 100, "purge_s": 100, "now": NOW}
    store.reserve({EAST: 40}, coordination="a", token="a", **asked)
    store.release("a", now=NOW)
    clock.offset_s = -300  # another machine's
    store.reserve({EAST: 40}, coordination="b", **asked)
    store.release("b", now=NOW)
    store.purge_reservations(now=NOW + 100)
    clock.offset_s = -600
    store.reserve({WEST: 5}, coordination="a", token="a", **asked)
    assert [(line.action, line.coordination) for line in store.audit()] == [
        ("reserve", "a"), ("release", "a"), ("reserve", "b"), ("release", "b"), ("purge", "a"), ("purge", "b"),
        ("reserve", "a"),
    ]  # fmt: skip
    assert [line.action for line in store.audit(coordination="a")] == ["reserve", "release", "purge", "reserve"]
