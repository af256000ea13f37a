"""Reservations: what is granted, refused, resized, renewed, released, expired and forgotten, by hand-worked numbers."""

import contextlib
import datetime as dt

import numpy as np
import pytest

from clear import clear_error
from reservation_stores import DAY_S, EAST, EU, NOW, WEST, at_once, content, opened, store
from surgetank import InvalidInput, QuotaKey

__all__ = ["opened", "store"]  # fixtures


def reserve(store, amounts, name=None, **how):
    return store.reserve(amounts, coordination=name, **{"now": NOW} | how)


def rows(store, **how):
    found = store.reservations(**{"now": NOW} | how).found
    return {(r.coordination, r.key.region): (r.amount, r.status_at(how.get("now", NOW))) for r in found}


def free(store, *keys, now=NOW):
    return [room.free for room in store.rooms(keys, now=now).values()]


def test_a_claim_is_granted_where_all_of_it_fits(store):
    claim = reserve(store, {EAST: 40, WEST: 20.5}, "a", by="me", why="drill")
    assert (claim.granted, claim.coordination, claim.short, claim.forced, claim.done) == (True, "a", (), False, True)
    claim.require_met()
    first, second = claim.reservations
    assert (first.key, first.amount, first.status, first.forced) == (EAST, 40.0, "active", False)
    assert (first.created_s, first.expires_s, first.purge_s) == (NOW, NOW + DAY_S, NOW + 7 * DAY_S)
    assert (second.key, second.amount) == (WEST, 20.5)
    assert free(store, EAST, WEST, EU) == [0.0, 49.5, 90.0]
    assert store.reserved(at=NOW) == {EAST: 40.0, WEST: 20.5}
    assert store.reserved(but="a", at=NOW) == {}
    assert store.rooms([EAST], but="a", now=NOW)[EAST].free == 40.0
    line, = store.audit()  # fmt: skip
    assert (line.number, line.at_s, line.action, line.coordination, line.by, line.why) == (1, NOW, "reserve", "a", "me",
                                                                                          "drill")  # fmt: skip
    assert line.changes[1] == {"key": WEST, "was": 0.0, "amount": 20.5, "expires_s": NOW + DAY_S, "status": "active",
                               "forced": False}  # fmt: skip


def test_where_a_part_does_not_fit_nothing_is_claimed(store):
    before = content(store)
    claim = reserve(store, {WEST: 20, EAST: 40.5, EU: 91})
    assert (claim.granted, claim.reservations) == (False, ())
    assert [(s.key, s.asked, s.free, s.missing) for s in claim.short] == [(EAST, 40.5, 40.0, 0.5), (EU, 91, 90.0, 1.0)]
    assert str(claim.short[0]) == "us-east-1 -: 40.5 asked, 40 of 100 are free (60 used)"
    with clear_error(InvalidInput, "amounts: must all fit", "40.5 asked, 40 of 100 are free", "91 asked"):
        claim.require_met()
    assert content(store) == before


def test_what_others_hold_is_not_free(store):
    for name in "abc":
        reserve(store, {WEST: 20}, name)
    claim = reserve(store, {WEST: 11})
    assert str(claim.short[0]) == "us-west-2 -: 11 asked, 10 of 100 are free (30 used, 60 reserved)"
    assert reserve(store, {WEST: 10}).granted
    assert str(reserve(store, {WEST: 1e-9}).short[0]).startswith("us-west-2 -: 1e-09 asked, 0 of 100 are free")


def test_many_reservations_in_one_quota(kind, store):
    store.import_quotas({EU: 10 + 100 * 0.1})
    names = [f"c{n}" for n in range(102)]
    with at_once(kind, store):
        granted = [reserve(store, {EU: 0.1}, name).granted for name in names]
    # A hundred times the float64 nearest to a tenth is a little more than ten.
    assert granted == [True] * 99 + [False] * 3
    room = store.rooms([EU], now=NOW)[EU]
    assert len(room.reserved) == 99
    assert reserve(store, {EU: room.free}).granted
    assert free(store, EU)[0] <= 0 < free(store, EU)[0] + 1e-300


def test_the_same_token_is_one_claim_however_often_it_is_sent(opened, store):
    claims = [reserve(one, {EAST: 40}, token="t", by=str(n)) for n, one in enumerate((store, opened(), store))]
    assert [(c.granted, c.repeated) for c in claims] == [(True, False), (True, True), (True, True)]
    assert len({c.coordination for c in claims}) == 1
    assert len(store.audit()) == 1
    store.release(claims[0].coordination, now=NOW)
    again = reserve(store, {EAST: 40}, token="t")
    assert (again.granted, again.repeated, again.reservations[0].status) == (True, True, "released")
    assert "was reserved before, and holds nothing any more" in again.table()
    with clear_error(InvalidInput, "token: belongs to another claim", claims[0].coordination, "'t'"):
        reserve(store, {EAST: 39}, token="t")
    with clear_error(InvalidInput, "token: belongs to another claim"):
        reserve(store, {EAST: 40}, "b", token="t")
    assert store.purge_reservations(now=NOW + 7 * DAY_S) == 1
    assert not reserve(store, {EAST: 40}, token="t").repeated  # it is forgotten with its claim


def test_a_refused_claim_does_not_use_its_token_up(store):
    assert not reserve(store, {EAST: 41}, token="t").granted
    assert reserve(store, {EAST: 39}, token="t").granted


def test_a_name_is_taken_until_it_is_forgotten(store):
    reserve(store, {EAST: 1}, "a")
    for _ in range(2):
        with clear_error(InvalidInput, "coordination: must be new; `resize` changes what one holds (got 'a')"):
            reserve(store, {EAST: 1}, "a")
        store.release("a", now=NOW)
    store.purge_reservations(now=NOW + 7 * DAY_S)
    assert reserve(store, {EAST: 1}, "a").granted


def test_from_its_end_on_it_holds_nothing(store):
    claim = reserve(store, {EAST: 40}, hold_s=0.5, purge_s=dt.timedelta(seconds=60))
    (one,) = claim.reservations
    assert (one.expires_s, one.purge_s) == (NOW + 1, NOW + 60)
    assert (one.status_at(NOW), one.status_at(NOW + 1)) == ("active", "expired")
    assert (one.held_at(NOW - 1), one.held_at(NOW), one.held_at(NOW + 1)) == (False, True, False)
    assert free(store, EAST) == [0.0]
    assert free(store, EAST, now=NOW + 1) == [40.0]
    assert (len(store.reservations(now=NOW)), len(store.reservations(now=NOW + 1))) == (1, 0)
    assert (store.reserved(at=NOW), store.reserved(at=NOW + 1)) == ({EAST: 40.0}, {})
    assert not reserve(store, {EAST: 1}).granted
    assert reserve(store, {EAST: 1}, now=NOW + 1).granted


def test_a_clock_that_is_put_back_does_not_revive_what_another_took(store):
    reserve(store, {EAST: 40}, "old", hold_s=60)
    assert reserve(store, {EAST: 40}, "new", now=NOW + 60).granted
    assert rows(store, ended=True) == {("old", EAST.region): (40, "expired"), ("new", EAST.region): (40, "active")}
    assert len(store.renew("old", now=NOW)) == 0
    assert not reserve(store, {EAST: 0.1}).granted
    with clear_error(InvalidInput, "coordination: must hold reservations; all of its have ended, reserve anew"):
        store.resize("old", {EAST: 1}, now=NOW)
    assert [(line.action, line.coordination) for line in store.audit()] == [("reserve", "old"), ("expire", "old"),
                                                                            ("reserve", "new")]  # fmt: skip


@pytest.mark.parametrize("how", ["refused", "dry run", "failed"])
def test_who_takes_nothing_notes_nothing(store, how):
    reserve(store, {EAST: 40}, "old", hold_s=60)
    if how == "failed":
        with pytest.raises(InvalidInput):
            store.release("old", [EU], now=NOW + 60)
    else:
        reserve(store, {EAST: 40 if how == "dry run" else 41}, now=NOW + 60, dry_run=how == "dry run")
    assert rows(store) == {("old", EAST.region): (40, "active")}  # by a clock of before


def test_expire_notes_what_is_overdue_once(store):
    reserve(store, {EAST: 1, WEST: 1}, "a", hold_s=60)
    reserve(store, {EAST: 1}, "b", hold_s=90)
    assert len(store.expire(now=NOW + 59)) == 0
    found = store.expire(now=NOW + 60)
    assert [(r.coordination, r.key, r.status, r.ended_s) for r in found.found] == [
        ("a", key, "expired", NOW + 60) for key in (EAST, WEST)
    ]
    assert len(store.expire(now=NOW + 60)) == 0
    assert [(line.action, line.coordination, line.by, len(line.changes)) for line in store.audit()[2:]] == [
        ("expire", "a", "", 2)
    ]


def test_renewing_never_shortens(store):
    reserve(store, {EAST: 40, WEST: 1}, "a", hold_s=600, purge_s=1000)
    found = store.renew("a", hold_s=60, now=NOW, by="me")
    assert [r.expires_s for r in found.found] == [NOW + 600] * 2
    found = store.renew("a", hold_s=dt.timedelta(hours=1), now=NOW + 60)
    assert [(r.expires_s, r.purge_s) for r in found.found] == [(NOW + 3660, NOW + 4060)] * 2
    assert not reserve(store, {EAST: 1}, now=NOW + 3659).granted
    assert len(store.renew("a", now=NOW + 3660)) == 0
    assert reserve(store, {EAST: 1}, now=NOW + 3660, stale_after_s=DAY_S).granted


def test_what_is_released_is_free_at_once(store):
    reserve(store, {EAST: 40, WEST: 20, EU: 5}, "a")
    assert [r.key for r in store.release("a", [WEST, EU], now=NOW, why="enough").found] == [EU, WEST]
    assert free(store, EAST, WEST, EU) == [0.0, 70.0, 90.0]
    assert [r.key for r in store.release("a", now=NOW).found] == [EAST]
    for keys in (None, [EAST], []):
        assert len(store.release("a", keys, now=NOW)) == 0
    assert [line.action for line in store.audit()] == ["reserve", "release", "release"]
    with clear_error(InvalidInput, "keys: must be quotas in which a reserved (got 'af-south-1 -')"):
        store.release("a", [QuotaKey(region="af-south-1")], now=NOW)


def test_a_coordination_is_resized_all_at_once(store):
    reserve(store, {EAST: 30, WEST: 20}, "a", hold_s=600, purge_s=1000)
    claim = store.resize("a", {EAST: 40, EU: 5}, now=NOW + 60, by="me", why="more")
    assert claim.granted
    assert rows(store, ended=True) == {
        ("a", EAST.region): (40, "active"), ("a", WEST.region): (20, "released"), ("a", EU.region): (5, "active"),
    }  # fmt: skip
    assert {(r.created_s, r.expires_s, r.purge_s) for r in claim.reservations if r.key == EU} == {
        (NOW + 60, NOW + 600, NOW + 1000)
    }
    assert [(c["key"], c["was"], c["amount"], c["status"]) for c in store.audit()[-1].changes] == [
        (EAST, 30.0, 40.0, "active"), (WEST, 20.0, 0.0, "released"), (EU, 0.0, 5.0, "active"),
    ]  # fmt: skip
    before = content(store)
    refused = store.resize("a", {EAST: 41, EU: 1}, now=NOW)
    assert (refused.granted, [(s.key, s.free) for s in refused.short]) == (False, [(EAST, 40.0)])
    assert store.resize("a", {EAST: 40, EU: 5, WEST: 0}, now=NOW).granted
    assert content(store) == before  # neither leaves a trace
    again = store.resize("a", {EAST: 1, WEST: 2}, hold_s=3600, now=NOW + 100)
    assert {r.key: (r.amount, r.status, r.expires_s) for r in again.reservations} == {
        EAST: (1, "active", NOW + 3700), WEST: (2, "active", NOW + 3700), EU: (5, "released", NOW + 600),
    }  # fmt: skip
    assert store.resize("a", {}, now=NOW).granted
    assert store.reserved(at=NOW) == {}


def test_less_can_be_held_where_usage_has_grown_into_it(store):
    reserve(store, {EAST: 40}, "a")
    store.import_quotas({EAST: 70})
    (line,) = store.reservations(now=NOW).over
    assert line == "us-east-1 -: 60 used and 40 reserved, 30 beyond the quota of 70"
    assert "OVERSOLD: us-east-1 -: 60 used" in store.reservations(now=NOW).table()
    assert store.resize("a", {EAST: 30}, now=NOW).granted
    assert not store.resize("a", {EAST: 31}, now=NOW).granted
    assert store.resize("a", {EAST: 5}, now=NOW).granted
    assert store.reservations(now=NOW).over == ()


def test_what_is_forced_is_said_wherever_it_is_seen(store):
    with clear_error(InvalidInput, "why: must say why room is claimed that is not there"):
        reserve(store, {EAST: 50}, "a", force=True, why=" ")
    claim = reserve(store, {EAST: 50, WEST: 1}, "a", force=True, why="lives at stake")
    assert (claim.granted, claim.forced, [s.key for s in claim.short]) == (True, True, [EAST])
    assert [r.forced for r in claim.reservations] == [True, False]
    assert "FORCED beyond what there is: us-east-1 -: 50 asked, 40 of 100 are free" in claim.table()
    assert store.audit()[0].forced
    assert len(store.reservations(now=NOW).over) == 1
    assert free(store, EAST) == [-10.0]
    assert not reserve(store, {EAST: 1}).granted
    assert store.resize("a", {EAST: 45}, now=NOW).reservations[0].forced
    claim = store.resize("a", {EAST: 45, WEST: 71}, force=True, why="more", now=NOW)
    assert ([s.key for s in claim.short], claim.forced) == ([WEST], True)
    store.import_quotas({EAST: 200})
    assert not store.resize("a", {EAST: 46}, now=NOW).reservations[0].forced
    assert not reserve(store, {EU: 1}, force=True, why="to be sure").forced  # it fits


@pytest.mark.parametrize("force", [False, True])
def test_a_dry_run_says_the_same_and_changes_nothing(store, force):
    before = content(store), repr(store.quotas())
    new = QuotaKey(region="af-south-1")
    for amounts in ({EAST: 40}, {EAST: 41}, {new: 1}):
        how = {"force": force, "why": "drill"}
        dry = reserve(store, amounts, "a", dry_run=True, **how)
        assert not dry.done
        assert (content(store), repr(store.quotas())) == before
        with store.transaction(), contextlib.suppress(KeyError), store.transaction():
            real = reserve(store, amounts, "a", **how)
            raise KeyError
        assert (dry.granted, repr(dry.short), dry.reservations) == (real.granted, repr(real.short), real.reservations)
    assert "would be reserved" in reserve(store, {EAST: 1}, dry_run=True).table()
    reserve(store, {EAST: 1}, "a")
    before = content(store)
    assert not store.resize("a", {EAST: 2}, dry_run=True, now=NOW).done
    assert content(store) == before


def test_purging_forgets_what_has_ended_and_is_old(store):
    reserve(store, {EAST: 1, WEST: 1}, "a", hold_s=60, purge_s=600)
    reserve(store, {EAST: 1}, "b", hold_s=60, purge_s=600, token="t")
    store.release("a", [WEST], now=NOW)
    store.renew("a", hold_s=500, now=NOW)
    assert store.purge_reservations(now=NOW + 599) == 0
    # What is overdue has ended, whether or not anybody noted it before.
    assert store.purge_reservations(now=NOW + 600, by="janitor") == 2
    assert rows(store, ended=True) == {("a", EAST.region): (1, "expired")}
    assert [(line.action, line.coordination, line.by) for line in store.audit()[-4:]] == [
        ("expire", "a", ""), ("expire", "b", ""), ("purge", "a", "janitor"), ("purge", "b", "janitor"),
    ]  # fmt: skip
    assert [c["status"] for c in store.audit()[-1].changes] == ["purged"]
    with clear_error(InvalidInput, "coordination: must be one of the store's", "'b'"):
        store.renew("b", now=NOW)
    assert store.check().sound


def test_the_audit_trail_of_one(store):
    reserve(store, {EAST: 1}, "a")
    reserve(store, {EAST: 1}, "b")
    store.release("a", now=NOW + 1)
    assert [line.number for line in store.audit(coordination="a")] == [1, 2]
    assert store.audit(coordination="nobody") == []
    assert store.audit()[2].to_dict()["at"] == "2026-01-01T00:15:01Z"


@pytest.mark.parametrize(
    "now",
    ["2026-01-01T00:15Z", "2026-01-01T01:15:00.900+01:00", dt.datetime(2026, 1, 1, 0, 15, tzinfo=dt.timezone.utc), NOW,
     NOW + 0.75, np.datetime64("2026-01-01T00:15")],
    ids=str,
)  # fmt: skip
def test_a_moment_however_it_is_said(store, now):
    assert reserve(store, {EAST: 1}, now=now).reservations[0].created_s == NOW


def test_by_default_it_is_now(store):
    import time

    before = int(time.time())
    claim = store.reserve({EAST: 1}, stale_after_s=1e9)
    assert before <= claim.now_s <= time.time()
    assert store.reserved() == {EAST: 1.0}
    assert (len(store.reservations()), len(store.renew(claim.coordination))) == (1, 1)
    assert (len(store.expire()), len(store.release(claim.coordination)), store.purge_reservations()) == (0, 1, 0)
    assert store.rooms([EAST])[EAST].unknown.startswith("its usage is not known, last observed ")
