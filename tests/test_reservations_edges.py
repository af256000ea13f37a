"""Reservations where it is tight: the last bit of a quota, usage that is not known, transactions in each other."""

import contextlib
import math
import secrets
import sys
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clear import clear_error
from reservation_stores import DAY_S, EAST, EU, NOW, WEST, at_once, content, fill, opened, store
from surgetank import History, Quota, QuotaKey, StoreError
from surgetank.history.room import Room

__all__ = ["opened", "store"]  # fixtures

MOST = sys.float_info.max
NEW = QuotaKey(region="af-south-1")


def reserve(store, amounts, name=None, **how):
    return store.reserve(amounts, coordination=name, **{"now": NOW} | how)


# To the last bit.


@pytest.mark.parametrize(
    ("quota", "used", "claims", "granted"),
    [
        (0.3, 0.1, [0.1, 0.1], [True, False]),  # 3 × 0.1 is more than 0.3 by 2.8e-17
        (0.1 + 0.2, 0.1, [0.1, 0.1], [True, True]),  # and less than 0.30000000000000004
        (0.3, 0.1, [math.nextafter(0.1, 0), 0.1], [True, False]),
        (0.3, 0.1, [math.nextafter(math.nextafter(0.1, 0), 0), 0.1, 5e-324], [True, True, False]),
        (1e16 + 2, 1e16, [1.0, 1.0, 5e-324], [True, True, False]),
        (1e308, 0.0, [1e308, 1e292, 5e-324], [True, False, False]),
        (MOST, MOST, [5e-324], [False]),
        (5e-324, 0.0, [5e-324, 5e-324], [True, False]),
        (0.0, 0.0, [5e-324], [False]),
        (1.0, 1e-300, [1.0, math.nextafter(1.0, 0)], [False, True]),
    ],
)
def test_numbers_are_added_up_without_rounding(opened, quota, used, claims, granted):
    store = opened()
    fill(store, [used], quota, ["us-east-1"])
    assert [reserve(store, {EAST: amount}).granted for amount in claims] == granted
    assert store.check().sound


@pytest.mark.parametrize("again", [False, True])
def test_sums_beyond_float64_are_answers(opened, again):
    store = opened()
    fill(store, [0.0], MOST, ["us-east-1"])
    assert reserve(store, {EAST: MOST}, "a").granted
    refused = reserve(store, {EAST: 1e308})
    assert "0 of 1.8e+308 are free (0 used, 1.8e+308 reserved)" in str(refused.short[0])
    forced = [reserve(store, {EAST: MOST}, name, force=True, why="drill") for name in "bc"[: 1 + again]]
    assert all(claim.granted and claim.forced for claim in forced)
    assert store.reserved(at=NOW) == {EAST: MOST}  # the most there is
    room = store.rooms([EAST], now=NOW)[EAST]
    assert room.free == (-math.inf if again else -MOST)
    assert not room.holds(5e-324)
    (line,) = store.reservations(now=NOW).over
    assert line.startswith("us-east-1 -: 0 used and 1.8e+308 reserved, ")
    refused = reserve(store, {EAST: 1.0})
    assert refused.to_dict()["short"][0]["free"] == ("-Infinity" if again else -MOST)
    assert store.history(until=NOW).reserved == {EAST: MOST}
    store.release("a", now=NOW)
    assert store.check().sound


FLOATS = st.floats(0, MOST) | st.floats(0, 1) | st.sampled_from([0.1, 0.2, 0.3, 1e-300, 5e-324, 1e16])


@given(FLOATS, FLOATS, st.lists(FLOATS, max_size=6))
@settings(max_examples=400)
def test_what_is_free_fits_and_the_next_number_does_not(quota, used, held):
    room = Room(key=EAST, quota=quota, usage=used, reserved=tuple(held))
    left = Fraction(quota) - Fraction(used) - sum(map(Fraction, held))
    assert (room.free > 0) == (left > 0)
    assert (room.free < 0) == (left < 0)
    if left > 0:
        assert room.holds(room.free)
        assert Fraction(room.free) <= left
        assert room.free == MOST or not room.holds(math.nextafter(room.free, math.inf))
        assert room.free == MOST or Fraction(math.nextafter(room.free, math.inf)) > left


@given(st.lists(st.floats(0.001, 50), max_size=6), st.floats(0, 99))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_free_can_be_claimed_and_the_next_number_not(opened, held, used):
    store, east = opened(), QuotaKey(region="us-east-1", service_code=secrets.token_hex(8))
    store.import_quotas({east: 100.0})
    store.add_samples(History.from_array([[used]], start=NOW - 300, step_s=300, regions=["us-east-1"],
                                         service_code=east.service_code).samples())  # fmt: skip
    with store.transaction():
        for amount in held:
            reserve(store, {east: amount})
    room = store.rooms([east], now=NOW)[east]
    if room.free > 0:
        assert not reserve(store, {east: math.nextafter(room.free, math.inf)}).granted
        assert reserve(store, {east: room.free}).granted
        assert store.rooms([east], now=NOW)[east].free <= 2e-14
        assert not reserve(store, {east: 1e-13}).granted


# What is not known has no room.


def test_what_is_not_known_has_no_room_and_says_why(opened):
    store = opened()
    store.add_samples(History.from_array([[1.0, 1.0]], start=NOW, step_s=300,
                                         regions=["us-east-1", "eu-west-1"]).samples())  # fmt: skip
    store.import_quotas({WEST: 100.0})
    store.import_quotas([Quota(key=EU, value=math.nan, default_value=50.0)])
    claim = reserve(store, {EAST: 1, WEST: 1, EU: 1, NEW: 1})
    assert [s.because for s in claim.short] == [
        "its quota is not known", "its usage is not known, never observed", "its quota is not known",
        "its quota is not known",
    ]  # fmt: skip
    assert all(math.isnan(s.free) and math.isnan(s.missing) for s in claim.short)
    assert claim.to_dict()["short"][0]["free"] is None
    assert [room.unknown != "" for room in store.rooms([EAST, WEST, EU, NEW], now=NOW).values()] == [True] * 4
    forced = reserve(store, {WEST: 1, NEW: 1}, force=True, why="drill")
    assert [r.forced for r in forced.reservations] == [True, True]
    assert store.reserved(at=NOW) == {WEST: 1.0, NEW: 1.0}
    assert store.reservations(now=NOW).over == ()  # nothing can be said of them
    assert store.check().sound


@pytest.mark.parametrize(
    ("step_s", "age_s", "stale_after_s", "known"),
    [
        (300, 3600, None, True), (300, 3601, None, False), (600, 7200, None, True), (600, 7201, None, False),
        (300, 60, 60, True), (300, 61, 60, False), (300, 0, 0, True), (300, 1, 0, False), (300, 10**9, 1e9, True),
        (300, -3600, None, True), (300, -3600, 0, True),
    ],
)  # fmt: skip
def test_usage_that_is_old_says_nothing(opened, step_s, age_s, stale_after_s, known):
    """Older than an hour and than twelve of its steps, or as the caller says; one from later says something."""
    store = opened()
    world = History.from_array([[1.0]] * 5, start=NOW - 4 * step_s, step_s=step_s, regions=["us-east-1"], quota=9.0)
    store.import_quotas(world.quotas)
    store.add_samples(world.samples())
    how = {"stale_after_s": stale_after_s, "now": NOW + age_s}
    assert (store.rooms([EAST], **how)[EAST].unknown == "") == known
    claim = reserve(store, {EAST: 1}, "a", **how)
    assert claim.granted == known
    if not known:
        assert "its usage is not known, last observed " in claim.short[0].because
        assert claim.short[0].because.endswith(" ago, 2026-01-01T00:15:00Z")
        reserve(store, {EAST: 1}, "a", now=NOW)
    assert store.resize("a", {EAST: 2}, **how).granted == known
    assert store.resize("a", {EAST: 0.5}, **how).granted  # less is never short


def test_the_last_sample_counts_also_of_yesterday(opened):
    store = opened()
    midnight = 1767225600
    for at, value in ((midnight - 300, 7.0), (midnight - 86_400, 99.0)):
        store.add_samples(History.from_array([[value]], start=at, step_s=300, regions=["us-east-1"]).samples())
    store.import_quotas({EAST: 10.0})
    assert store.rooms([EAST], now=midnight + 60)[EAST].free == 3.0


# Transactions.


class Stop(Exception):
    """What a caller raises."""


def test_what_is_rolled_back_has_not_been(store):
    before = content(store)
    with contextlib.suppress(Stop), store.transaction():
        assert reserve(store, {EAST: 40}, "a", token="t").granted
        assert not reserve(store, {EAST: 1}).granted
        store.renew("a", now=NOW)
        store.release("a", now=NOW)
        assert len(store.audit()) == 3
        raise Stop
    assert content(store) == before
    assert not reserve(store, {EAST: 40}, "a", token="t").repeated


def test_a_refusal_inside_a_transaction_undoes_only_itself(store):
    with store.transaction():
        reserve(store, {EAST: 10}, "a")
        for how in ({}, {"dry_run": True}):
            reserve(store, {EAST: 31 if not how else 1}, "b", **how)
        reserve(store, {EAST: 10}, "c")
    assert [r.coordination for r in store.reservations(now=NOW).found] == ["a", "c"]


def test_a_transaction_that_fails_after_a_refusal_inside_of_it_leaves_nothing(store):
    """The refusal is undone by itself; what encloses it must still go back to its own beginning."""
    with store.transaction():
        reserve(store, {WEST: 1}, "outer")
        with contextlib.suppress(Stop), store.transaction():
            reserve(store, {EAST: 10}, "a")
            assert not reserve(store, {EAST: 999}).granted
            raise Stop
    assert [r.coordination for r in store.reservations(now=NOW).found] == ["outer"]
    assert store.check().sound


def test_reading_inside_a_transaction_sees_what_it_did(opened, store):
    other = opened()
    with store.transaction():
        reserve(store, {EAST: 40})
        assert (len(store.reservations(now=NOW)), store.reserved(at=NOW)) == (1, {EAST: 40.0})
        assert store.rooms([EAST], now=NOW)[EAST].free == 0.0
        assert (len(other.reservations(now=NOW)), other.rooms([EAST], now=NOW)[EAST].free) == (0, 40.0)
    assert not reserve(other, {EAST: 1}).granted


def test_another_process_that_holds_the_store_is_a_store_error(kind, opened, store):
    other = opened(timeout_s=0.05)
    if kind == "dynamodb":  # nobody holds it: who comes second is told so, or decides again
        with clear_error(StoreError, "somebody else was first", "try again"), store.transaction():
            reserve(store, {EAST: 40})
            assert reserve(other, {EAST: 30}).granted
        assert store.reserved(at=NOW) == {EAST: 30.0}
        return
    with store.transaction():
        reserve(store, {EAST: 40})
        with clear_error(StoreError, "is being written by another process", "0.05 s; try again"):
            reserve(other, {WEST: 1})
    assert reserve(other, {WEST: 1}).granted


# Many.


def test_ended_reservations_do_not_slow_a_claim_down(kind, opened, store):
    """No query of a claim, and none of what is held, reads what has ended, or goes through a table."""
    if kind == "dynamodb":
        reads = []
        for n in range(30):
            reserve(store, {EAST: 1, WEST: 1}, f"c{n}")
            store.release(f"c{n}", now=NOW)
            calls = []
            events = store._calls._client.meta.events
            events.register("before-call.dynamodb", lambda model, calls=calls, **_: calls.append(model.name))
            reserve(store, {EAST: 1, WEST: 1}, f"d{n}")
            store.release(f"d{n}", now=NOW)
            reads.append((len(calls), calls.count("Scan")))
        assert len(set(reads[1:])) == 1
        return
    db = store._db
    seen = set()
    db.set_trace_callback(seen.add)
    reserve(store, {EAST: 1, WEST: 1}, "a")
    store.resize("a", {EAST: 2}, now=NOW)
    store.renew("a", now=NOW)
    store.reservations(now=NOW), store.reserved(), store.release("a", now=NOW), store.expire(now=NOW + 9 * DAY_S)
    db.set_trace_callback(None)
    plans = {sql: [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
             for sql in seen if sql.startswith(("SELECT", "UPDATE", "DELETE"))}  # fmt: skip
    assert len(plans) > 10
    scans = {sql: plan for sql, plan in plans.items() if any("SCAN" in line or "AUTOMATIC" in line for line in plan)}
    assert scans == {}
    chosen = [line for plan in plans.values() for line in plan if "INDEX reservation_" in line]
    assert chosen
    assert all("COVERING INDEX" in line for line in chosen)  # so that a row that is damaged cannot hide


def test_many_are_forgotten_at_once(kind, opened, store):
    with at_once(kind, store):
        for n in range(400):
            reserve(store, {EAST: 1e-3, WEST: 1e-3}, f"c{n}", hold_s=60, purge_s=60)
    assert store.purge_reservations(now=NOW + 60) == 800
    assert content(store)[0] == ()
    assert [line.action for line in store.audit()] == ["reserve"] * 400 + ["expire"] * 400 + ["purge"] * 400
    assert store.check().sound


def test_a_sample_of_a_year_that_is_not_there_yet_makes_no_room(opened):
    """It is the last of all by its date; what was used counts where it is more, and grows old all the same."""
    store = opened()
    fill(store)
    for year, used in (("2027", 0.0), ("2028", 70.0)):
        late = History.from_array([[used]], start=f"{year}-01-01T00:00Z", step_s=300, regions=["us-east-1"])
        store.add_samples(late.samples())
        room = store.rooms([EAST], now=NOW)[EAST]
        assert room.usage == max(60.0, used)
    assert store.rooms([EAST], now=NOW + DAY_S)[EAST].unknown
