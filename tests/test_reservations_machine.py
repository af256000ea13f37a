"""Reservations in any order, by clocks that jump, through two connections, beside the slow twin."""

import contextlib
import copy
import itertools
import math
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from oracles_reservations import Refused, Twin
from store_faults import FAULTS
from surgetank import DynamoStore, InvalidInput, Quota, QuotaKey, Store
from surgetank.history.samples import Samples

START = 1767225600
KEYS = tuple(QuotaKey(region=f"r{n}") for n in range(5))  # r3: no quota is known, r4: no usage is
KNOWN = KEYS[:3]
AMOUNT = st.sampled_from([0.1, 0.2, 0.1 + 0.2, 0.3, 1.0, 7.5, 25.0, 40.0, 1e-300, 1e308]) | st.floats(0.01, 60)
AMOUNTS = st.dictionaries(st.sampled_from(KEYS), AMOUNT, min_size=1, max_size=3)
FITTING = st.dictionaries(st.sampled_from(KNOWN), st.sampled_from([0.1, 0.2, 5.0, 20.0, 30.0]), min_size=1, max_size=3)
SIZES = FITTING | st.dictionaries(st.sampled_from(KEYS), AMOUNT | st.just(0.0), max_size=3)
NAMES = st.sampled_from(["a", "b", "c"])
TOKENS = st.sampled_from([None, None, None, "t"])
HOLD = st.sampled_from([0.5, 60, 600, 3600, 86_400])
RARELY = st.sampled_from([False] * 7 + [True])
STEP = st.one_of(
    st.tuples(st.just("reserve"), NAMES, FITTING),
    st.tuples(st.just("resize"), NAMES, FITTING | st.just({})),
    st.tuples(st.just("renew"), NAMES, st.just(None)),
    st.tuples(st.just("release"), NAMES, st.none() | st.lists(st.sampled_from(KNOWN), max_size=2)),
    st.tuples(st.just("expire"), st.just(""), st.just(None)),
)


def samples(key, time_s, value):
    return Samples((key,), *map(_array, ([0], [time_s])), _array([value], float))


def _array(values, kind="int64"):
    return np.array(values, dtype=kind)


class TwinOfItems(Twin):
    """In DynamoDB, what expires together is ordered by name: nobody counts there who learnt of a quota first."""

    def place(self, key):
        return key


def fresh(store, twin):
    """Quotas of three Regions and usage of four come into both."""
    for n, key in enumerate(KEYS):
        if n != 3:
            twin.quota[key] = (0.3, 100.0, 100.0, 0.0, 100.0)[n]
            store.import_quotas([Quota(key=key, value=twin.quota[key])])
            twin.learn([key])
        if n != 4:
            twin.usage[key] = {START: (0.1, 60.0, 0.0, 1.0)[n]}
            store.add_samples(samples(key, START, twin.usage[key][START]))
            twin.learn([key])


def answered(claim):
    short = tuple(one.key for one in claim.short)
    return claim.coordination, claim.granted, short, claim.repeated


def plain(row):
    return row.amount, row.created_s, row.expires_s, row.purge_s, row.status, row.ended_s, row.forced


def rounded(amount):
    return float(min(amount, Fraction(sys.float_info.max)))


def compare(store, twin, now):
    """Every row and every line, and what is said to be reserved."""
    found = store.reservations(ended=True, now=now)
    assert {(r.coordination, r.key): plain(r) for r in found.found} == {
        name: (r.amount, r.created, r.expires, r.purge, r.status, r.ended, r.forced) for name, r in twin.rows.items()
    }
    for r in found.found:
        assert (r.status_at(now) == "active") == twin.rows[r.coordination, r.key].holds(now)
    active = {(r.coordination, r.key) for r in store.reservations(now=now).found}
    assert active == {name for name, row in twin.rows.items() if row.holds(now)}
    lines = [
        (line.action, line.coordination, {c["key"]: (c["was"], c["amount"]) for c in line.changes}, line.forced)
        for line in store.audit()
    ]
    assert lines == twin.lines
    assert store.reserved(at=now) == {key: rounded(sum(parts)) for key, parts in twin.reserved(now).items()}
    rooms = store.rooms(KEYS, now=now)
    for key, room in rooms.items():
        left = twin.left(key, now)
        assert (left is None) == bool(room.unknown), key
        if left is not None:
            assert Fraction(room.quota) - Fraction(room.usage) - sum(map(Fraction, room.reserved)) == left


class Undone(Exception):
    """Ends a transaction of which nothing is to be kept."""


class Machine(RuleBasedStateMachine):
    """Each rule does a thing to both, and compares the answers."""

    folders, twins = itertools.count(), Twin

    @initialize()
    def begin(self):
        self.folder, self.number = tempfile.TemporaryDirectory(), next(self.folders)
        self.now = START + 900
        self.stores = [self.opened(create=True)]
        self.twin = self.twins()
        fresh(self.stores[0], self.twin)
        self.stores.append(self.opened())
        self.excused, self.inside = set(), None

    def opened(self, **how):
        store = Store(Path(self.folder.name) / "fleet.db", timeout_s=30, **how)
        store._db.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug here
        return store

    @property
    def store(self):
        if self.inside is None:
            self.stores.reverse()
        return self.stores[0]

    def both(self, real, twin):
        """The same error, or both answers."""
        try:
            expected = twin()
        except Refused as refused:
            expected = refused
        if not isinstance(expected, Refused):
            return real(), expected
        with pytest.raises(InvalidInput) as caught:
            real()
        assert caught.value.argument == str(expected)
        return None

    def claimed(self, answers, asked, force, dry):
        if answers is None:
            return
        found, expected = answers
        assert answered(found) == (expected.coordination, expected.granted, expected.short, expected.repeated)
        assert found.done is (expected.granted and not dry)
        if force and not dry and expected.granted:
            self.excused |= set(expected.short) & set(asked)

    @rule(seconds=st.sampled_from([-86_400, -3600, -60, -1, 1, 60, 600, 3600, 86_400]) | st.integers(-5000, 5000))
    def the_clock_jumps(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.twin.rows)
    @rule(to=st.sampled_from([-1, 0]), data=st.data(), name=NAMES)
    def the_clock_comes_to_an_end(self, to, data, name):
        ends = {end for row in self.twin.rows.values() for end in (row.expires, row.purge)}
        self.now = data.draw(st.sampled_from(sorted(ends))) + to
        then = data.draw(st.sampled_from(["", "expire", "purge", "renew"]))
        getattr(self, then)(*[name, 600][: 2 * (then == "renew")]) if then else None

    @rule(
        amounts=FITTING | FITTING | AMOUNTS, name=NAMES, token=TOKENS, hold=HOLD, purge=HOLD, force=RARELY,
        dry=RARELY, stale=st.sampled_from([None, 1e9, 1e9, 600]),
    )  # fmt: skip
    def reserve(self, amounts, name, token, hold, purge, force, dry, stale):
        where = {"force": force, "token": token}

        def twin():
            return self.twin.reserve(amounts, self.now, hold, hold + purge, name, stale_after=stale, **where)

        answers = self.both(
            lambda: self.store.reserve(amounts, hold_s=hold, purge_s=hold + purge, coordination=name, why="drill",
                                       by="me", dry_run=dry, stale_after_s=stale, now=self.now, **where),
            (lambda: self.twin.undone(twin)) if dry else twin,
        )  # fmt: skip
        self.claimed(answers, amounts, force, dry)

    @rule(amounts=FITTING, hold=HOLD)
    def reserve_under_a_random_name(self, amounts, hold):
        found = self.store.reserve(amounts, hold_s=hold, purge_s=2 * hold, now=self.now)
        expected = self.twin.reserve(amounts, self.now, hold, 2 * hold, found.coordination, named=False)
        assert answered(found) == (expected.coordination, expected.granted, expected.short, expected.repeated)

    @rule(name=NAMES, amounts=SIZES, hold=st.none() | HOLD, force=RARELY, dry=RARELY)
    def resize(self, name, amounts, hold, force, dry):
        def twin():
            return self.twin.resize(name, amounts, self.now, hold, force, 1e9)

        answers = self.both(
            lambda: self.store.resize(name, amounts, hold_s=hold, force=force, why="drill", dry_run=dry,
                                      stale_after_s=1e9, now=self.now),
            (lambda: self.twin.undone(twin)) if dry else twin,
        )  # fmt: skip
        self.claimed(answers, amounts, force, dry)

    @rule(name=NAMES, hold=HOLD)
    def renew(self, name, hold):
        answers = self.both(lambda: self.store.renew(name, hold_s=hold, now=self.now),
                            lambda: self.twin.renew(name, self.now, hold))  # fmt: skip
        if answers:
            found, expected = answers
            assert {r.key: (r.amount, r.expires_s, r.purge_s) for r in found.found} == {
                key: (row.amount, row.expires, row.purge) for key, row in expected.items()
            }

    @rule(name=NAMES, keys=st.none() | st.lists(st.sampled_from(KEYS), max_size=2))
    def release(self, name, keys):
        answers = self.both(lambda: self.store.release(name, keys, now=self.now),
                            lambda: self.twin.release(name, self.now, keys))  # fmt: skip
        if answers:
            assert {r.key for r in answers[0].found} == set(answers[1])

    @rule()
    def expire(self):
        found = self.store.expire(now=self.now)
        assert [(r.coordination, r.key) for r in found.found] == self.twin.overdue(self.now)

    @rule()
    def purge(self):
        assert self.store.purge_reservations(now=self.now) == self.twin.purge(self.now)

    @rule(key=st.sampled_from(KNOWN), value=st.sampled_from([0.0, 0.1, 30.0, 60.0, 99.5, 150.0]),
          age=st.sampled_from([0, 0, 1, 600, 7200]))  # fmt: skip
    def usage_is_imported(self, key, value, age):
        known, time_s = self.twin.usage[key], self.now - age
        known[time_s] = max(value, known.get(time_s, 0.0))
        self.store.add_samples(samples(key, time_s, value))
        self.excused |= {key} if self.twin.oversold(key) else set()

    @rule(key=st.sampled_from(KNOWN), value=st.sampled_from([0.3, 50.0, 100.0, 200.0]))
    def a_quota_is_changed(self, key, value):
        self.twin.quota[key] = value
        self.store.import_quotas({key: value})
        self.excused |= {key} if self.twin.oversold(key) else set()

    @rule(data=st.data(), name=NAMES)
    def what_is_free_can_be_claimed(self, data, name):
        """To the last bit, and not one bit more."""
        key = data.draw(st.sampled_from(KNOWN))
        room = self.store.rooms([key], now=self.now, stale_after_s=1e9)[key]
        if not room.free > 0 or name in self.twin.claims:
            return
        more = math.nextafter(room.free, math.inf)
        for amount, fits in ((more, False), (room.free, True)):
            found = self.store.reserve({key: amount}, coordination=name, stale_after_s=1e9, now=self.now)
            twin = self.twin.reserve({key: amount}, self.now, 86_400, 7 * 86_400, name, stale_after=1e9)
            assert (found.granted, twin.granted) == (fits, fits)

    @rule(steps=st.lists(STEP, min_size=1, max_size=4), hold=HOLD, undo=st.booleans())
    def several_at_once(self, steps, hold, undo):
        """In one transaction, which sees what it has written, and is kept or undone; a refusal undoes only itself."""
        before, excused = copy.deepcopy(self.twin.__dict__), set(self.excused)
        self.inside = self.store
        with contextlib.suppress(Undone), self.inside.transaction():
            for what, name, more in steps:
                if what == "reserve":
                    self.reserve(more, name, None, hold, hold, False, False, 1e9)
                elif what == "resize":
                    self.resize(name, more, hold, False, False)
                else:
                    getattr(self, what)(*{"renew": (name, hold), "release": (name, more), "expire": ()}[what])
                compare(self.inside, self.twin, self.now)
            if undo:
                self.twin.__dict__.update(before)
                self.excused = excused
                raise Undone
        self.inside = None

    @rule()
    def close_and_open(self):
        for store in self.stores:
            store.close()
        self.stores = [self.opened() for _ in self.stores]

    @invariant()
    def the_same_is_in_both(self):
        compare(self.store, self.twin, self.now)

    @invariant()
    def nothing_is_oversold(self):
        """But what was forced, or was overtaken by usage or a quota; whatever the clock says."""
        over = {key for key in KEYS if self.twin.oversold(key)}
        assert over <= self.excused
        self.excused = over

    def teardown(self):
        if hasattr(self, "stores"):
            assert self.stores[0].check().sound
            for store in self.stores:
                store.close()
            self.folder.cleanup()


class DynamoMachine(Machine):
    """The same in tables, of which each example has its own."""

    twins = TwinOfItems

    def opened(self, **how):
        return DynamoStore(f"fleet{self.number}", timeout_s=30, **how)


Machine.TestCase.settings = settings(max_examples=60 * min(FAULTS, 8), stateful_step_count=50, deadline=None)
TestMachine = Machine.TestCase
DynamoMachine.TestCase.settings = settings(
    max_examples=3 * min(FAULTS, 8), stateful_step_count=30 if FAULTS == 1 else 50, deadline=None
)


@pytest.mark.usefixtures("dynamodb")
class TestDynamoMachine(DynamoMachine.TestCase):
    """An engine for each test, and so tables that nobody has written to."""


def done(store, steps, clocks):
    """What is answered and what is there after the steps; instants are left out."""
    fresh(store, Twin())
    with store:
        store._db.execute("PRAGMA synchronous = OFF")
        said = []
        for (what, name, more), now in zip(steps, clocks, strict=True):
            how = {"stale_after_s": 1e12} if what in ("reserve", "resize") else {}
            how |= {"hold_s": 1e6} if what == "reserve" else {}
            try:
                if what == "reserve":
                    found = store.reserve(more, coordination=name, purge_s=1e7, now=now, **how)
                elif what == "expire":
                    found = store.expire(now=now)
                else:
                    found = getattr(store, what)(name, *([] if more is None else [more]), now=now, **how)
                said.append(answered(found) if hasattr(found, "granted") else [r.key for r in found.found])
            except InvalidInput as error:
                said.append(str(error))
        rows = [(r.coordination, r.key, r.amount, r.status, r.forced) for r in store.reservations(ended=True).found]
        lines = [(line.action, line.coordination, [(c["key"], c["was"], c["amount"]) for c in line.changes])
                 for line in store.audit()]  # fmt: skip
        return said, sorted(rows), lines


@given(st.lists(st.tuples(STEP, st.integers(-90_000, 90_000)), max_size=25))
@settings(max_examples=15 * FAULTS)
def test_a_clock_set_back_and_forth_changes_nothing_but_expiry(steps):
    """The same steps by a steady clock, and by one that jumps but never beyond an end."""
    asked = [step for step, _ in steps]
    steady = [START + n for n in range(len(steps))]
    with tempfile.TemporaryDirectory() as folder:
        one, other = (Store(Path(folder) / f"{n}.db", create=True) for n in range(2))
        jumping = [now + jump for now, (_, jump) in zip(steady, steps, strict=True)]
        assert done(one, asked, steady) == done(other, asked, jumping)
