"""What no store takes, and what both do alike where calls are at odds: the same words, and nothing is kept."""

import math

import numpy as np
import pytest

from clear import clear_error
from reservation_stores import opened
from surgetank import DynamoStore, InvalidInput, Quota, QuotaKey, StoreError
from surgetank.history.samples import Samples

__all__ = ["opened"]  # fixtures

NEW_YEAR, DAY_S = 1767225600, 86_400


def key(code="L-1", **parts):
    return QuotaKey(**{"region": "us-east-1", "service_code": "ec2", "quota_code": code, **parts})


def samples(series, units=None):
    """Samples of {key: [(second, value), …]}, in the order in which they are given."""
    keys = tuple(series)
    rows = [(n, at, value) for n, key in enumerate(keys) for at, value in series[key]]
    code, time_s, value = (np.array([row[i] for row in rows]) for i in range(3))
    return Samples(keys, code.astype(np.int64), time_s.astype(np.int64), value.astype(float), units or {})


def at(*values, start=NEW_YEAR):
    return [(start + 300 * n, value) for n, value in enumerate(values)]


BAD_SAMPLES = {
    "negative": (samples({key(): at(1.0, -1.0)}), "usage: must be finite and 0 or more in a store (got -1"),
    "infinite": (samples({key(): at(math.inf)}), "usage: must be finite and 0 or more in a store (got inf"),
    "missing": (samples({key(): at(math.nan)}), "usage: must be finite and 0 or more in a store (got nan"),
    "backwards": (samples({key(): at(1.0, 2.0)[::-1]}), "must be in the order of its instants"),
    "twice": (samples({key(): at(1.0) * 2}), "must be in the order of its instants, each of them once"),
    "half a character": (samples({key(): at(1.0)}, {key(): "\ud800"}), "unit: must be valid Unicode"),
    "a unit that is none": (samples({key(): at(1.0)}, {key(): 5}), "unit: must be a text"),
    "a long unit": (samples({key(): at(1.0)}, {key(): "x" * 2000}), "unit: must be at most 1,000 characters"),
    "another unit, and more": (
        samples({key("L-2"): at(-1.0), key("L-9"): at(1.0)}, {key("L-9"): "Bytes"}),
        "unit: of the usage of us-east-1 ec2/L-9 must stay 'Count'",
    ),
    "a key twice": (
        Samples((key(), key()), np.array([0, 1]), np.array([NEW_YEAR] * 2), np.array([1.0, 2.0])),
        "keys: must be different quotas",
    ),
}


@pytest.mark.parametrize("name", BAD_SAMPLES)
def test_samples_that_no_store_takes(opened, name):
    store = opened()
    store.add_samples(samples({key("L-9"): at(1.0)}, {key("L-9"): "Count"}))
    found, words = BAD_SAMPLES[name]
    with clear_error(InvalidInput, words):
        store.add_samples(found)
    assert store.keys_with_usage() == (key("L-9"),)
    assert store.check().sound
    assert len(store.imports()) == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"name": "\ud800"}, "name: must be valid Unicode"), ({"unit": "\ud800"}, "unit: must be valid Unicode"),
        ({"name": "x" * 10_001}, "name: must be at most 10,000 characters"), ({"name": b"x"}, "name: must be a text"),
        ({"adjustable": "yes"}, "adjustable: must be True or False, or None (got 'yes')"),
        ({"adjustable": 5}, "adjustable: must be"),
        ({"is_global": None}, "is_global: must be True or False (got None)"),
    ],
)  # fmt: skip
def test_quotas_that_no_store_takes(how, words):
    with clear_error(InvalidInput, words):
        Quota(key=key(), value=1.0, **how)


def test_flags_of_numpy_are_flags(opened):
    store = opened()
    store.import_quotas([Quota(key=key(), value=1.0, adjustable=np.True_, is_global=np.False_, name="é" * 10_000)])
    assert [(q.adjustable, q.is_global, len(q.name)) for q in store.quotas()] == [(True, False, 10_000)]


def test_the_default_of_nobody_is_no_quota_where_somebody_has_one(opened):
    store, nobodys = opened(), key(account="-")
    store.import_quotas(
        [Quota(key=key(account="1"), value=10)],
        defaults=[Quota(key=nobodys, value=math.nan, default_value=5, unit="Count")],
    )
    assert store.add_samples(samples({nobodys: at(1.0)}, {nobodys: "Bytes"})).added == 1


def row(**parts):
    return {**key()._asdict(), "utilization": 1.0, **parts}


BAD_PLANS = [
    {"as_of": "yesterday"}, {"coverage": 10**400}, {"coverage": math.nan}, {"coverage": "0.5"}, {"coverage": True},
    {"coverage": None}, {"notes": {1, 2}}, {"notes": b"x"}, {"quotas": (row for row in ())}, {"made": "\ud800"},
    {"quotas": [row(utilization=10**400)]}, {"quotas": [row()] * 2}, {"quotas": [row(quota_code="\ud800")]},
    {"quotas": [row(utilization="nan")]},
]  # fmt: skip
PLAN = {"made": "2026-01-01T00:00:00Z", "as_of": "2026-01-01T00:00:00+01:00", "status": "OK", "coverage": 1}


@pytest.mark.parametrize("how", BAD_PLANS, ids=lambda how: ascii(how)[:40])
def test_plans_that_no_store_takes(opened, how):
    store = opened()
    with clear_error(InvalidInput, "must "):
        store.save_plan({**PLAN, **how})
    assert store.plans() == []


def test_a_plan_is_kept_as_json_has_it(opened):
    store = opened()
    assert store.save_plan({**PLAN, "notes": ("a", "b"), "coverage": 2**70}) == 1
    (plan,) = store.plans()
    assert (plan["coverage"], plan["body"]["notes"], plan["as_of"]) == (2.0**70, ["a", "b"], PLAN["as_of"])


WRITES = {
    "reserve": lambda store: store.reserve({key(): 1}, force=True, why="w"),
    "quotas": lambda store: store.import_quotas({key(): 5}),
    "usage": lambda store: store.add_samples(samples({key(): at(1.0)})),
    "plan": lambda store: store.save_plan(PLAN),
    "scenarios": lambda store: store.save_scenarios([]),
}


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_written_inside_a_snapshot_and_nobody_is_told_otherwise(opened, name):
    store = opened()
    store.import_quotas({key("L-9"): 5})
    with (
        store.snapshot(),
        clear_error(StoreError, "nothing can be written, or tried, inside a snapshot; nothing was changed"),
    ):
        WRITES[name](store)
    assert ([q.key for q in store.quotas()], store.audit(), store.plans(), store.imports()) == (
        [key("L-9")],
        [],
        [],
        [],
    )
    WRITES[name](store)  # afterwards it may


def test_a_snapshot_locks_nobody_out(opened):
    store, other = opened(), opened()
    store.import_quotas({key("L-9"): 5})
    with store.snapshot():
        assert len(store.quotas()) == 1
        with clear_error(StoreError, "nothing can be written, or tried, inside a snapshot"):
            store.reserve({key(): 1}, force=True, why="w", dry_run=True)
        assert other.reserve({key(): 1}, force=True, why="w").done
    with store.transaction(), store.snapshot():  # a part of it
        store.import_quotas({key("L-8"): 5})
    assert len(other.quotas()) == 2


def test_an_error_of_ones_own_inside_a_snapshot_is_no_damage(opened):
    store = opened()
    with pytest.raises(KeyError), store.snapshot():
        {}["mine"]


def test_a_transaction_of_a_store_that_is_closed_meanwhile_is_none(opened):
    store, other = opened(), opened()
    transaction = store.transaction()
    transaction.__enter__()
    store.import_quotas({key(): 5})
    store.close()
    with pytest.raises(StoreError, match="closed"):
        transaction.__exit__(None, None, None)
    assert other.quotas() == ()
    with clear_error(StoreError, "closed"):
        store.backup("anywhere")


def test_reservations_stand_in_one_order_whatever_was_imported_first(opened):
    store = opened()
    z, a, m, b = (key(code, account="1") for code in "ZAMB")
    for one in (z, a, m, b):
        store.import_quotas({one: 10})
        store.add_samples(samples({one: at(1.0)}))
    now = NEW_YEAR + 300
    store.reserve({m: 1, z: 2, a: 3}, coordination="x", token="t", now=now)
    made = store.resize("x", {b: 1, a: 3, m: 5}, now=now)
    assert [r.key for r in made.reservations] == [a, b, m, z]
    assert [r.key for r in store.reserve({m: 1, z: 2, a: 3}, coordination="x", token="t", now=now).reservations] == [
        a, b, m, z,
    ]  # fmt: skip
    assert [r.key for r in store.renew("x", now=now).found] == [a, b, m]
    changes = [[change["key"] for change in line.changes] for line in store.audit()]
    assert changes == [[m, z, a], [m, z, b], [a, b, m]]
    assert [r.key for r in store.expire(now=now + 2 * DAY_S).found] == [a, b, m]


# Imports that DynamoDB takes in parts, and somebody who is faster.


def in_parts(unit="Count", start=NEW_YEAR):
    keys = [key(f"L-{n}") for n in range(300)]
    return samples({k: at(1.0, 2.0, start=start) for k in keys}, dict.fromkeys(keys, unit))


def meanwhile(do):
    """A progress hook that does something once."""
    done = []
    return lambda *_: done or done.append(do())


@pytest.mark.parametrize("what", ["usage", "quota"])
def test_a_unit_that_somebody_states_meanwhile_is_kept(dynamodb, what):
    last = key("L-299")
    with DynamoStore("fleet", create=True) as store, DynamoStore("fleet") as other:
        do = {
            "usage": lambda: other.add_samples(samples({last: at(9.0)}, {last: "Bytes"})),
            "quota": lambda: other.import_quotas([Quota(key=last, value=5, unit="Bytes")]),
        }[what]
        with clear_error(InvalidInput, "unit: of the usage of us-east-1 ec2/L-299 must", "of 300 series are added"):
            store.add_samples(in_parts(), progress=meanwhile(do))
        found = store.history()
        assert found.units[last] == "Bytes" if what == "usage" else last not in found.keys
        assert store.check().sound


@pytest.mark.parametrize("before", [lambda other: None, lambda other: other.compact(keep_s=90 * DAY_S, remove=True)])
def test_of_two_imports_that_do_not_fit_together_one_is_refused(dynamodb, monkeypatch, before):
    monkeypatch.setattr("surgetank.history.samples.MOST_CELLS", 300 * 500)
    with DynamoStore("fleet", create=True) as store, DynamoStore("fleet") as other:
        told = []

        def do():
            before(other)
            try:
                other.add_samples(samples({key("L-x"): at(1.0, 2.0, start=NEW_YEAR - 5000 * DAY_S)}))
            except InvalidInput as error:
                told.append(str(error))

        try:
            store.add_samples(in_parts(), progress=meanwhile(do))
        except InvalidInput as error:
            told.append(str(error))
        assert len(told) == 1
        assert "must fit 150,000 steps of 300 s" in told[0]
        with clear_error(InvalidInput, "must fit 150,000 steps"):  # whichever was first, the other is refused
            store.add_samples(samples({key("L-y"): at(1.0, start=NEW_YEAR - 9000 * DAY_S)}))
            store.add_samples(in_parts())


@pytest.mark.parametrize("body", [{"first_day": 1, "last_day": 2, "series": 1}, [1], {"first_day": 1, "more": 2}])
def test_a_note_of_another_shape_is_damage(dynamodb, body):
    from surgetank.history.dynamodb.items import Item
    from surgetank.history.dynamodb.span import SPAN

    with DynamoStore("fleet", create=True) as store:
        store.add_samples(samples({key(): at(1.0)}))
        store.attempt(lambda: store._now.put(Item("plans", SPAN, body)))
        check = store.check()
        assert [(one.table, "is damaged" in one.reason) for one in check.damage] == [("plans", True)]
        with pytest.raises(StoreError, match="store dynamodb://fleet: plans extent 0: is damaged"):
            store.add_samples(samples({key(): at(1.0)}))


def test_an_item_of_usage_that_is_damaged_names_its_store(dynamodb):
    from surgetank.history.dynamodb.items import Item, quota_id

    with DynamoStore("fleet", create=True) as store:
        store.add_samples(samples({key(): at(1.0)}))
        store.attempt(lambda: store._now.put(Item("usage", (quota_id(key()), NEW_YEAR // DAY_S), b"none")))
        for call in (store.samples, lambda: store.add_samples(samples({key(): at(2.0)}))):
            with pytest.raises(StoreError, match=r"store dynamodb://fleet: usage -/us-east-1/ec2/L-1 .* is damaged"):
                call()


def note_of(store):
    from surgetank.history.dynamodb.span import SPAN, noted

    extent, until = noted(item := store._calls.get("plans", [SPAN])[SPAN])
    return extent.series, extent.last_day - NEW_YEAR // DAY_S, until - NEW_YEAR // DAY_S, item.version


def test_an_import_in_parts_is_noted_once(dynamodb):
    with DynamoStore("fleet", create=True) as store:
        versions = []
        store.add_samples(in_parts(), progress=lambda *_: versions.append(note_of(store)))
        assert len(versions) > 1
        assert len(set(versions)) == 1
        assert versions[0][:3] == (300, 0, 30)


def test_a_note_reaches_a_month_ahead_and_no_further(dynamodb, monkeypatch):
    """However often it is written; and where all is sure to fit, whoever imports into it meets nobody there."""
    monkeypatch.setattr("surgetank.history.samples.MOST_CELLS", 1000)
    with DynamoStore("fleet", create=True) as store:
        read = []
        monkeypatch.setattr("surgetank.history.dynamodb.usage.every", lambda work: read.append(1) or {})
        for n in range(20):
            store.add_samples(samples({key(f"L-{n}"): at(1.0)}))
            assert note_of(store)[:3] == (n + 1, 0, 30)
        before = note_of(store)
        for day in (1, 20, 30):
            store.add_samples(samples({key("L-0"): at(1.0, start=NEW_YEAR + day * DAY_S)}))
            assert note_of(store) == before
        store.add_samples(samples({key("L-0"): at(1.0, start=NEW_YEAR + 455 * DAY_S)}))
        assert note_of(store)[:3] == (20, 455, 485)
        store.add_samples(samples({key("L-0"): at(1.0, start=NEW_YEAR + 480 * DAY_S)}))
        assert note_of(store)[:3] == (20, 455, 485)
        assert read == []


def test_what_is_too_much_to_write_at_once_is_noted_before_it_is_written(dynamodb, monkeypatch):
    from surgetank.history.dynamodb.calls import Calls, Conflict

    write = Calls.write
    with DynamoStore("fleet", create=True) as store:

        def refused(calls, writes):
            if any(one.item.table == "quotas" and one.before for one in writes):
                raise Conflict  # somebody else, at the end
            write(calls, writes)

        monkeypatch.setattr(Calls, "write", refused)
        with pytest.raises(StoreError), store.transaction():
            store.add_samples(in_parts())
        assert note_of(store)[:3] == (300, 0, 30)


def test_of_imports_in_parts_the_rest_is_looked_at_where_somebody_imports(dynamodb):
    with DynamoStore("fleet", create=True) as store, DynamoStore("fleet") as other:
        far = NEW_YEAR + 200 * DAY_S
        found = samples(
            {**dict.fromkeys([key(f"M-{n}") for n in range(300)], at(1.0, 2.0)), key("N"): at(1.0, start=far)}
        )
        do = meanwhile(lambda: other.compact(keep_s=30 * DAY_S, remove=True) and other.add_samples(
            samples({key("L-x"): at(1.0)})))  # fmt: skip
        store.add_samples(found, progress=do)
        series, last, until, _ = note_of(store)
        assert series >= 302
        assert (last, until) == (200, 230)
