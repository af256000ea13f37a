"""What callers of reservations get wrong: one clear error that names the argument, and a store that is as it was."""

import datetime as dt
import math

import numpy as np
import pytest

from clear import clear_error
from reservation_stores import EAST, NOW, WEST, content, opened, store
from surgetank import InvalidInput, QuotaKey, StoreError

__all__ = ["opened", "store"]  # fixtures

ABOVE = "amounts: of us-east-1 - must be finite and above 0"
HALF = "\ud800"
KEYED = "amounts: must be keyed by QuotaKey"
SOME = "amounts: must map at least one QuotaKey to an amount"
ONE_LINE = "must be a name of one line, at most 200 printable characters"
TEXT = "must be a text of at most 1000 characters"
HOLD = "hold_s: must be a finite duration of more than 0 seconds"
LATE = "must end within 30,000 years of 1970"
INSTANT = "now: must be an instant: ISO 8601, an aware datetime, datetime64 or epoch seconds"


@pytest.fixture
def held(store):
    """One that holds a little, which no error may change."""
    store.reserve({EAST: 10}, coordination="failover-east", token="t", now=NOW)
    before = content(store)
    yield store
    assert content(store) == before
    assert store.check().sound


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, [ABOVE, "(got 0)"]),
        (-1.5, [ABOVE, "(got -1.5)"]),
        (-0.0, [ABOVE]),
        (math.nan, [ABOVE, "(got nan)"]),
        (math.inf, [ABOVE, "(got inf)"]),
        (np.float64("nan"), [ABOVE]),
        (True, [ABOVE, "(got True)"]),
        ("5", [ABOVE, "(got '5')"]),
        (None, [ABOVE, "(got None)"]),
        ([5], [ABOVE]),
        (5j, [ABOVE]),
        (10**400, ["amounts: must be within the range of float64"]),
    ],
    ids=repr,
)
def test_amounts(held, amount, words):
    with clear_error(InvalidInput, *words):
        held.reserve({EAST: amount}, now=NOW)
    if amount not in (0, -0.0) or amount is True:
        words = [word.replace("above 0", "0 or more") for word in words]
        with clear_error(InvalidInput, *words):
            held.resize("failover-east", {EAST: amount}, now=NOW)


@pytest.mark.parametrize(
    ("amounts", "rule"),
    [
        ({}, SOME), (None, SOME), ([(EAST, 1)], SOME), (5, SOME), (EAST, SOME),
        ({"us-east-1": 1}, KEYED), ({tuple(EAST): 1}, KEYED), ({None: 1}, KEYED), ({QuotaKey(region=5): 1}, KEYED),
    ],
)  # fmt: skip
def test_quotas(held, amounts, rule):
    with clear_error(InvalidInput, rule):
        held.reserve(amounts, now=NOW)
    if amounts != {}:
        with clear_error(InvalidInput, rule):
            held.resize("failover-east", amounts, now=NOW)


@pytest.mark.parametrize("keys", [["us-east-1"], [5], [[EAST]], 5, [tuple(EAST)], EAST, [QuotaKey(region=5)]])
def test_keys(held, keys):
    with clear_error(InvalidInput, "keys: must be QuotaKeys"):
        held.release("failover-east", keys, now=NOW)
    with clear_error(InvalidInput, "keys: must be QuotaKeys"):
        held.rooms(keys, now=NOW)


def test_what_is_no_unicode_is_refused_wherever_it_stands(held):
    key = QuotaKey(region=HALF)
    with clear_error(InvalidInput, "must be valid Unicode", r"\ud800"):
        held.reserve({key: 1}, force=True, why="drill", now=NOW)
    with clear_error(InvalidInput, "must be valid Unicode", r"\ud800"):
        held.rooms([key], now=NOW)
    for argument in ("by", "why"):
        with clear_error(InvalidInput, f"{argument}: must be valid Unicode", r"a\ud800"):
            held.reserve({EAST: 1}, now=NOW, **{argument: f"a{HALF}"})
        with clear_error(InvalidInput, f"{argument}: must be valid Unicode"):
            held.release("failover-east", now=NOW, **{argument: HALF})
    with clear_error(InvalidInput, "by: must be valid Unicode"):
        held.purge_reservations(by=HALF, now=NOW)


BAD_NAMES = ["", " a", "a\n", "a\x00b", "a\x1b[31m", HALF, "a" * 201, 5, None, b"a", ["a"], "\u202e"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_names(held, name):
    calls = {
        "coordination": [
            lambda: held.resize(name, {EAST: 1}, now=NOW),
            lambda: held.renew(name, now=NOW),
            lambda: held.release(name, now=NOW),
        ]
    }
    if name is not None:
        calls["coordination"] += [
            lambda: held.reserve({EAST: 1}, coordination=name, now=NOW),
            lambda: held.reservations(coordination=name, now=NOW),
            lambda: held.audit(coordination=name),
        ]
        calls["token"] = [lambda: held.reserve({EAST: 1}, token=name, now=NOW)]
        calls["but"] = [lambda: held.reserved(but=name, at=NOW), lambda: held.rooms([EAST], but=name, now=NOW)]
    rule = ONE_LINE if isinstance(name, str) and name else "must be a text that is not empty"
    for argument, of_argument in calls.items():
        for call in of_argument:
            with clear_error(InvalidInput, f"{argument}: {rule}"):
                call()


def test_an_unknown_coordination_is_answered_with_the_nearest(held):
    for call in (held.renew, held.release, lambda name, now: held.resize(name, {EAST: 1}, now=now)):
        with clear_error(InvalidInput, "coordination: must be one of the store's; did you mean 'failover-east'? (got "):
            call("failover-est", now=NOW)
    with clear_error(InvalidInput, "coordination: must be one of the store's; known: failover-east (got 'zzz')"):
        held.renew("zzz", now=NOW)
    held.release("failover-east", [], now=NOW)
    assert held.reservations(coordination="failover-est", now=NOW).found == ()


def test_in_an_empty_store_no_coordination_is_known(opened):
    with clear_error(InvalidInput, "coordination: must be one of the store's (got 'a')"):
        opened().renew("a", now=NOW)


@pytest.mark.parametrize("text", [None, 5, b"a", "a" * 1001, ["a"]], ids=lambda text: repr(text)[:9])
def test_texts(held, text):
    for argument in ("by", "why"):
        with clear_error(InvalidInput, f"{argument}: {TEXT}"):
            held.reserve({EAST: 1}, now=NOW, **{argument: text})
        with clear_error(InvalidInput, f"{argument}: {TEXT}"):
            held.renew("failover-east", now=NOW, **{argument: text})


def test_texts_are_kept_as_they_are_and_shown_printable(store):
    odd = "line one\nline two\x00\x1b[31m é漢" + "x" * 970
    odd = odd[:1000]
    store.reserve({EAST: 1}, coordination="a" * 200, token="b" * 200, by=odd, why=odd, now=NOW)
    (line,) = store.audit()
    assert (line.by, line.why) == (odd, odd)
    assert store.check().sound
    for one in (store.reservations(now=NOW), store.reserve({EAST: 99}, now=NOW)):
        assert all(row.isprintable() for row in one.table().splitlines())


def test_odd_names_of_quotas(store):
    key = QuotaKey(region="eu\n\x1b[31m\x00", service_code="é漢")
    assert not store.reserve({key: 1}, now=NOW).granted
    claim = store.reserve({key: 1}, force=True, why="drill", now=NOW)
    assert claim.reservations[0].key == key
    assert store.reserved(at=NOW) == {key: 1.0}
    assert all(row.isprintable() for row in claim.table().splitlines())
    assert store.check().sound


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        (0, [HOLD, "(got 0)"]), (-1, [HOLD, "(got -1)"]), (math.nan, [HOLD]), (math.inf, [HOLD]), ("1 h", [HOLD]),
        (True, [HOLD]), (dt.timedelta(0), [HOLD]), (np.timedelta64(1, "M"), ["must be a duration of fixed length"]),
        (1e300, [LATE, "1e+300"]), (1e12, [LATE]), (2.0**63, [LATE]), (10**400, ["within the range of float64"]),
    ],
    ids=repr,
)  # fmt: skip
def test_holds(held, hold, words):
    """However long: an instant beyond all instants is no number for a store."""
    with clear_error(InvalidInput, "hold_s: ", *words):
        held.reserve({EAST: 1}, hold_s=hold, purge_s=1.7e308, now=NOW)
    with clear_error(InvalidInput, "hold_s: ", *words):
        held.resize("failover-east", {EAST: 1}, hold_s=hold, now=NOW)
    with clear_error(InvalidInput, "hold_s: ", *words):
        held.renew("failover-east", hold_s=hold, now=NOW)


def test_how_long_it_is_kept(held):
    with clear_error(InvalidInput, "purge_s: must be a finite duration of at least 86400 seconds (got 86399)"):
        held.reserve({EAST: 1}, purge_s=86_399, now=NOW)
    with clear_error(InvalidInput, f"purge_s: {LATE}"):
        held.reserve({EAST: 1}, purge_s=1e18, now=NOW)


def test_the_longest_hold(store):
    most = 30_000 * 366 * 86_400
    claim = store.reserve({EAST: 1}, coordination="a", hold_s=most - NOW, purge_s=most - NOW, now=NOW)
    assert claim.reservations[0].expires_s == most
    with clear_error(InvalidInput, f"hold_s: {LATE}"):
        store.reserve({EAST: 1}, hold_s=most - NOW + 1, purge_s=most, now=NOW)
    store.renew("a", hold_s=most - NOW, now=NOW)
    assert "32032-03-21T00:00:00Z" in store.reservations(now=NOW).table(200)
    assert len(store.expire(now=most)) == 1


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ("yesterday", [INSTANT, "'yesterday'"]),
        ("2026-01-01T00:00", ["now: has no time zone; end it with Z"]),
        (dt.datetime(2026, 1, 1), ["now: has no time zone"]),
        (math.nan, [INSTANT]),
        (math.inf, [INSTANT]),
        (True, [INSTANT]),
        ([], [INSTANT]),
        (np.datetime64("NaT", "s"), [INSTANT]),
        (1e18, ["now: must lie within 30,000 years of 1970"]),
        (np.datetime64(2**62, "s"), ["now: must lie within 30,000 years of 1970"]),
    ],
    ids=repr,
)
def test_moments(held, now, words):
    calls = [
        lambda: held.reserve({EAST: 1}, now=now),
        lambda: held.resize("failover-east", {EAST: 1}, now=now),
        lambda: held.renew("failover-east", now=now),
        lambda: held.release("failover-east", now=now),
        lambda: held.expire(now=now),
        lambda: held.purge_reservations(now=now),
        lambda: held.reservations(now=now),
        lambda: held.rooms([EAST], now=now),
    ]
    for call in calls:
        with clear_error(InvalidInput, *words):
            call()
    with clear_error(InvalidInput, *(word.replace("now:", "at:") for word in words)):
        held.reserved(at=now)


@pytest.mark.parametrize("stale", [-1, math.nan, math.inf, "1 h", True])
def test_how_old_usage_may_be(held, stale):
    rule = "stale_after_s: must be a finite duration of at least 0 seconds"
    for call in (lambda: held.reserve({EAST: 1}, stale_after_s=stale, now=NOW),
                 lambda: held.resize("failover-east", {EAST: 1}, stale_after_s=stale, now=NOW),
                 lambda: held.rooms([EAST], stale_after_s=stale, now=NOW)):  # fmt: skip
        with clear_error(InvalidInput, rule):
            call()


def test_a_token_of_another_claim(held):
    said = "token: belongs to another claim, failover-east; every claim needs its own (got 't')"
    for amounts, how in [({EAST: 11}, {}), ({EAST: 10, WEST: 1}, {}), ({EAST: 10}, {"hold_s": 5}),
                         ({EAST: 10}, {"purge_s": 1e6}), ({EAST: 10}, {"force": True, "why": "x"}),
                         ({EAST: 10}, {"coordination": "b"}), ({EAST: 10}, {})]:  # fmt: skip
        with clear_error(InvalidInput, said):  # the last was made under a name that was given
            held.reserve(amounts, token="t", now=NOW, **how)
    given = held.reserve({EAST: 10.0}, token="t", coordination="failover-east", by="other", why="other", now=NOW + 5)
    assert given.repeated


def test_force_says_why(held):
    rule = "why: must say why room is claimed that is not there"
    for why in ("", " \n"):
        with clear_error(InvalidInput, rule):
            held.reserve({EAST: 1}, force=True, why=why, now=NOW)
        with clear_error(InvalidInput, rule):
            held.resize("failover-east", {EAST: 1}, force=True, why=why, now=NOW)


def test_a_store_that_is_closed(opened, store):
    store.close()
    for call in (lambda: store.reserve({EAST: 1}), lambda: store.resize("a", {EAST: 1}), lambda: store.renew("a"),
                 lambda: store.release("a"), store.expire, store.purge_reservations, store.reservations, store.reserved,
                 lambda: store.rooms([EAST]), store.audit):  # fmt: skip
        with clear_error(StoreError, "is closed"):
            call()
