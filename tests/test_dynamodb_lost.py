"""Answers of DynamoDB that are lost, late, cut off or errors: what was claimed is claimed once, and somebody is told.

botocore tries again by itself, up to eight times, and whoever calls may do so with the same token.
"""

import re

import pytest

import surgetank
from clear import clear_error
from dynamodb_proxy import error_of, proxy  # noqa: F401  (fixture)
from reservation_stores import EAST, EU, NOW, WEST, fill
from surgetank import DynamoStore, History, Scenario, StoreError
from surgetank.history.dynamodb.calls import ATTEMPTS

WRITE = "TransactWriteItems"
#: After these nobody knows whether it was done: it was.
DONE = ["lost after", "slow after", "500 after"]
#: After these nobody knows either, or is told: it was not.
NOT_DONE = [
    "lost", "500", error_of("ThrottlingException"), error_of("ProvisionedThroughputExceededException"),
    error_of("RequestLimitExceeded"), error_of("TransactionInProgressException"),
]  # fmt: skip
#: Somebody else is told to be first, or there was no room for the call: it is decided anew.
CANCELLED = [
    error_of("TransactionCanceledException", "None", "TransactionConflict"),
    error_of("TransactionCanceledException", "ConditionalCheckFailed", "None"),
    error_of("TransactionCanceledException", "ThrottlingError", "None"),
    error_of("TransactionCanceledException", "ProvisionedThroughputExceeded", "None"),
]


def name_of(fault):
    """What a fault is called."""
    return fault if isinstance(fault, str) else "-".join(re.findall(r"[#:] ?\"?([A-Z]\w+)", fault[1].decode()))


HELD = {"hold_s": 1000, "purge_s": 1000}


@pytest.fixture
def store(proxy, monkeypatch):  # noqa: F811
    """60, 30 and 10 used of 100 in three Regions."""
    monkeypatch.setattr("surgetank.history.dynamodb.calls.READ_S", 0.6)
    with DynamoStore("fleet") as made:
        fill(made)
        proxy.seen.clear()
        yield made
        proxy.plan, proxy.always = {}, {}
        assert made.check().sound


def actions(store):
    return [line.action for line in store.audit()]


def written(proxy):  # noqa: F811
    """What became of the calls that write."""
    return [one.fault for one in proxy.seen if one.operation == WRITE]


@pytest.mark.parametrize("fault", [*DONE, *NOT_DONE, *CANCELLED], ids=name_of)
def test_what_passes_is_not_noticed(proxy, store, fault):  # noqa: F811
    """Every answer says what that call did, though it was done by an attempt whose answer was lost."""
    times, plans = 1 if "slow" in fault else 2, len(store.plans())

    def next_ones():
        proxy.plan[WRITE] = [fault] * times

    next_ones()
    claim = store.reserve({EAST: 40, WEST: 1}, coordination="c", token="t", now=NOW, **HELD)
    assert (claim.granted, claim.repeated) == (True, False)
    next_ones()
    assert store.resize("c", {EAST: 10, EU: 5}, now=NOW).granted
    next_ones()
    assert len(store.renew("c", hold_s=2000, now=NOW)) == 2
    next_ones()
    assert len(store.release("c", [EAST], now=NOW)) == 1
    next_ones()
    assert len(store.expire(now=NOW + 2000)) == 1
    next_ones()
    assert store.purge_reservations(now=NOW + 9000) == 3
    next_ones()
    assert store.save_plan({"made": "m", "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0}) == plans + 1
    next_ones()
    assert surgetank.prepare_failover(store, "us-east-1", act=True, now=NOW).done
    assert proxy.plan[WRITE] == []
    assert len([one for one in written(proxy) if one]) == 8 * times
    assert actions(store)[:6] == ["reserve", "resize", "renew", "release", "expire", "purge"]
    assert (len(store.plans()), len(store.failover_events())) == (plans + 1, 1)


@pytest.mark.parametrize("fault", [*DONE, *NOT_DONE, "garbage after", "garbage"], ids=name_of)
def test_what_does_not_pass_is_one_error_and_the_same_call_may_be_repeated(proxy, store, fault):  # noqa: F811
    done = "after" in fault
    asked = {"coordination": "c", "token": "t", "now": NOW, **HELD}
    proxy.always[WRITE] = fault
    with clear_error(StoreError, "fleet", "whether it was written is not known: look, or repeat"):
        store.reserve({EAST: 40, WEST: 1}, **asked)
    assert len(written(proxy)) == (1 if "garbage" in fault else ATTEMPTS)
    proxy.always.clear()
    claim = store.reserve({EAST: 40, WEST: 1}, **asked)
    assert (claim.granted, claim.repeated) == (True, done)
    assert store.reserve({EAST: 40, WEST: 1}, **asked).repeated
    assert not store.reserve({EAST: 1}, now=NOW).granted
    assert actions(store) == ["reserve"]


@pytest.mark.parametrize("fault", CANCELLED, ids=name_of)
def test_who_is_cancelled_again_and_again_is_told(proxy, store, fault):  # noqa: F811
    proxy.always[WRITE] = fault
    rule = "others were first for 0.2 s; nothing was changed, try again"
    with DynamoStore("fleet", timeout_s=0.2) as late, clear_error(StoreError, rule):
        late.reserve({EAST: 40}, token="t", now=NOW)
    proxy.always.clear()
    assert actions(store) == []
    assert not store.reserve({EAST: 40}, token="t", now=NOW).repeated


def test_what_cannot_pass_is_told_at_once(proxy, store):  # noqa: F811
    proxy.always[WRITE] = error_of("TransactionCanceledException", "ValidationError", "None")
    with clear_error(StoreError, "TransactionCanceledException"):
        store.reserve({EAST: 40}, token="t", now=NOW)
    proxy.always[WRITE] = error_of("AccessDeniedException")
    with clear_error(StoreError, "access denied"):
        store.reserve({EAST: 40}, token="t", now=NOW)
    assert len(written(proxy)) == 2


def test_a_conflict_after_a_lost_answer_is_with_oneself(proxy, store):  # noqa: F811
    """Where the token of a call is forgotten, or another engine knows none."""
    conflict = error_of("TransactionCanceledException", "ConditionalCheckFailed", "None")
    proxy.plan[WRITE] = ["lost after", conflict]
    assert not store.reserve({EAST: 40}, coordination="c", now=NOW).repeated
    proxy.plan[WRITE] = ["lost after", conflict]
    assert len(store.release("c", now=NOW)) == 1
    assert actions(store) == ["reserve", "release"]


@pytest.mark.parametrize("fault", DONE, ids=name_of)
def test_a_single_item_whose_answer_was_lost(proxy, store, fault):  # noqa: F811
    """An import of many days is written day by day: what is there already is its own, and counted as new."""
    days, region = 100, f"r{DONE.index(fault)}"
    usage = History.from_array([[float(n)] for n in range(days)], start=NOW, step_s=86_400, regions=[region])
    proxy.plan["PutItem"] = [None, fault] * 2
    report = store.add_samples(usage.samples())
    assert proxy.plan["PutItem"] == []
    assert (report.rows, report.duplicates, report.conflicts) == (days, 0, 0)
    assert len([one for one in proxy.seen if one.operation == "PutItem" and one.fault]) == 2
    assert store.add_samples(usage.samples()).duplicates == days


@pytest.mark.parametrize("fault", ["lost", "500", "slow after", error_of("ThrottlingException")], ids=name_of)
def test_reading_is_tried_again(proxy, store, fault):  # noqa: F811
    for operation in ("BatchGetItem", "Query", "Scan"):
        proxy.plan[operation] = [fault] * 2
    assert store.reserve({EAST: 40}, coordination="c", now=NOW).granted
    assert not any(proxy.plan.values())


@pytest.mark.parametrize("fault", ["lost", "garbage", "half after", error_of("ThrottlingException")], ids=name_of)
@pytest.mark.parametrize("operation", ["BatchGetItem", "Query", "Scan"])
def test_what_cannot_be_read_is_one_error(proxy, store, operation, fault):  # noqa: F811
    """Half an answer, or that of somebody in between, is not one that says that nothing is there."""
    assert store.reserve({EAST: 40}, coordination="c", token="t", now=NOW).granted
    proxy.always[operation] = fault
    with clear_error(StoreError, "fleet", "try again") as caught:
        store.reserve({WEST: 40}, coordination="d", now=NOW)
    assert "whether it was written" not in str(caught.value)
    with clear_error(StoreError, "fleet", "try again"):
        store.audit(coordination="c") if operation == "Query" else store.reservations(now=NOW, ended=True)
    proxy.always.clear()
    assert actions(store) == ["reserve"]


def test_what_was_read_in_part_only_is_read_to_the_end(proxy, store):  # noqa: F811
    store.save_scenarios([Scenario("s", "r0", {"r1": 1.0})])
    proxy.plan[WRITE] = ["lost after"]
    store.save_scenarios([Scenario("t", "r0", {"r1": 1.0})])
    assert [one.name for one in store.scenarios()] == ["t"]
