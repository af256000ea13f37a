"""One call in the middle of another, on one store in DynamoDB: it is as if one had come after the other.

When the first has read and decided, and is about to write, the second does all of its work. What is answered, and what
stands there then, is what the embedded store makes of the second and then the first.
"""

import itertools

import pytest

from clear import clear_error
from dynamodb_local import lead
from racing import before_the_first_write, wiped
from reservation_stores import EAST, EU, NOW, WEST, fill
from store_faults import FAULTS
from surgetank import DynamoStore, InvalidInput, Store, StoreError
from surgetank.history.dynamodb.calls import Calls

#: What stands there before: "soon" is overdue by a clock that is ahead, "gone" has ended, and is old enough.
BEFORE = (
    lambda s: s.reserve({EAST: 20, WEST: 20}, coordination="held", token="held", hold_s=500, now=NOW),
    lambda s: s.reserve({WEST: 10, EU: 10}, coordination="soon", token="soon", hold_s=100, purge_s=1000, now=NOW),
    lambda s: s.reserve({EU: 5}, coordination="gone", token="gone", hold_s=10, purge_s=10, now=NOW),
    lambda s: s.release("gone", now=NOW + 1),
)
PLAN = {"made": "m", "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0}
CALLS = {
    "reserve": lambda s: s.reserve({WEST: 40, EAST: 20}, coordination="new", token="new", now=NOW + 20),
    "reserve-same-name": lambda s: s.reserve({EU: 1}, coordination="new", token="other", now=NOW + 20),
    "reserve-same-token": lambda s: s.reserve({EU: 1}, coordination="again", token="new", now=NOW + 20),
    "reserve-ahead": lambda s: s.reserve({WEST: 50}, coordination="late", token="late", now=NOW + 200),
    "reserve-forgotten": lambda s: s.reserve({EU: 5}, coordination="gone", token="gone", now=NOW + 30),
    "resize-up": lambda s: s.resize("held", {EAST: 40, EU: 10}, now=NOW + 20),
    "resize-down": lambda s: s.resize("held", {EAST: 1}, now=NOW + 20),
    "renew": lambda s: s.renew("soon", hold_s=1000, now=NOW + 20),
    "release": lambda s: s.release("soon", [WEST], now=NOW + 20),
    "release-all": lambda s: s.release("held", now=NOW + 20),
    "expire-ahead": lambda s: s.expire(now=NOW + 200),
    "purge": lambda s: s.purge_reservations(now=NOW + 20),
    "purge-ahead": lambda s: s.purge_reservations(now=NOW + 5000),
}


@pytest.fixture(scope="module")
def twins(dynamodb_keys):
    """Two connections to one store in DynamoDB."""
    pytest.importorskip("botocore", reason="no botocore: pip install 'surgetank[aws]'")
    with pytest.MonkeyPatch.context() as patch:
        lead(patch, *dynamodb_keys.another())
        with DynamoStore("fleet", create=True) as one, DynamoStore("fleet") as other:
            fill(one)
            yield one, other


@pytest.fixture
def racers(twins):
    wiped(twins[0]._calls._client, "fleet")
    return twins


def answer(call, store):
    try:
        made = call(store)
    except InvalidInput as error:
        return str(error)
    if isinstance(made, int):
        return made
    told = made.to_dict()
    told["reservations"].sort(key=str)  # of one coordination they are in no order
    return told


def stands(store, now):
    """All that is there; lines of the trail by coordination, since of others there is no order."""
    lines = {}
    for line in store.audit():
        lines.setdefault(line.coordination, []).append((line.at_s, line.action, sorted(map(str, line.changes))))
    found = [sorted(map(str, store.reservations(ended=True, now=now).found)), lines, store.reserved(at=now)]
    return found, store.check().sound


PAIRS = list(itertools.product(CALLS, CALLS))


@pytest.mark.parametrize(("first", "second"), PAIRS[:: 1 if FAULTS > 1 else 3])
def test_one_comes_after_the_other(racers, tmp_path, first, second):
    one, other = racers
    for call in BEFORE:
        call(one)
    said = []
    with before_the_first_write(one, lambda: said.append(answer(CALLS[second], other))):
        said.append(answer(CALLS[first], one))
    order = [second, first]
    if len(said) < 2:  # the first had nothing to write: then the second comes after it
        said.append(answer(CALLS[second], other))
        order.reverse()
    with Store(tmp_path / "twin.db", create=True) as twin:
        fill(twin)
        for call in BEFORE:
            call(twin)
        expected = [answer(CALLS[name], twin) for name in order]
        assert said == expected
        for now in (NOW + 20, NOW + 300):
            assert stands(one, now) == stands(twin, now)


def test_a_transaction_of_ones_own_is_refused_where_another_was_first(racers):
    one, other = racers
    with (
        clear_error(StoreError, "somebody else was first; nothing was changed, try again"),
        before_the_first_write(one, lambda: other.reserve({EAST: 30}, now=NOW)),
        one.transaction(),
    ):
        one.reserve({EAST: 30}, now=NOW)
    assert one.reserved(at=NOW) == {EAST: 30.0}


def test_who_is_never_first_gives_up_in_the_end(racers):
    one, other = racers
    with DynamoStore("fleet", timeout_s=0.3) as late:
        write = late._calls.write

        def others_first(writes):
            other.reserve({EU: 0.01}, now=NOW)
            write(writes)

        late._calls.write = others_first
        with clear_error(StoreError, "others were first for 0.3 s; nothing was changed, try again"):
            late.reserve({EU: 1}, now=NOW)
    assert one.reserved(at=NOW)[EU] < 1


def test_a_check_reads_again_what_changed_while_it_read(racers, monkeypatch):
    one, other = racers
    raw, amounts = Calls.raw, itertools.count(1)
    one.reserve({EAST: 1}, coordination="c", now=NOW)

    def reads(self, table):
        if table == "reservations":  # coordinations are read before
            other.resize("c", {EAST: 1 + next(amounts) % 7}, now=NOW)
        return raw(self, table)

    monkeypatch.setattr(Calls, "raw", reads)
    for _ in range(3):
        assert one.check().sound
    assert next(amounts) > 3


def test_a_check_reads_a_plan_again_that_was_being_written(racers, monkeypatch):
    one, other = racers
    raw, plans = Calls.raw, [PLAN] * 3

    def reads(self, table):
        items = list(raw(self, table))
        if table == "plans" and plans:
            other.save_plan(plans.pop())
            items += [item for item in raw(self, table) if item["kind"]["S"] == "plan"][-1:]
        return iter(items)

    monkeypatch.setattr(Calls, "raw", reads)
    assert one.check().sound
