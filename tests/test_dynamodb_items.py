"""What stands in the tables of a store in DynamoDB: read back as it was written, or named as what it is not."""

import base64
import json
import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clear import clear_error, said_of
from reservation_stores import EAST, NOW, WEST, fill
from surgetank import DynamoStore, InvalidInput, QuotaKey, Store, StoreError, open_store
from surgetank.history.dynamodb import usage
from surgetank.history.dynamodb.address import Address
from surgetank.history.dynamodb.items import MOST_BYTES, Damaged, Item, packed, quota_id, quota_of, unpacked
from surgetank.history.dynamodb.tables import TABLES, template

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


@given(documents.filter(lambda body: body is not None) | st.binary(max_size=40), names, st.integers(0, 2**70))
@example(b"j", "", 0)
def test_an_item_is_what_was_written(body, name, at):
    item = Item("audit", (f"claim/{name}", at), body, version="v", at=at)
    assert unpacked("audit", packed(item)) == item


def test_a_large_document_is_compressed_and_the_same():
    item = Item("plans", ("plan", 1), {"rows": [{"usage": n / 7} for n in range(5000)]}, version="v")
    wire = packed(item)
    assert len(wire["body"]["B"]) < 60_000
    assert unpacked("plans", wire) == item


def test_what_dynamodb_cannot_keep_in_an_item_is_refused():
    noise = np.random.default_rng(1).bytes(MOST_BYTES)
    with clear_error(StoreError, "plans plan 1: must be at most 390,000 bytes", "nothing was changed"):
        packed(Item("plans", ("plan", 1), noise, version="v"))


@given(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=9)] * 5))
def test_the_name_of_a_quota_is_told_again(parts):
    key = QuotaKey(*(part or "-" for part in parts[:4]), parts[4])
    assert quota_of(quota_id(key)) == key


def test_names_that_are_too_long_or_no_unicode():
    with clear_error(InvalidInput, "name: of a quota must be at most 1,000 characters"):
        quota_id(QuotaKey(region="x" * 1001))
    with clear_error(InvalidInput, "name: must be valid Unicode"):
        quota_id(QuotaKey(region="\ud800"))


times = st.lists(st.integers(0, 86_399), min_size=1, max_size=50, unique=True).map(sorted)


@given(times, st.integers(-10, 40_000), st.data())
def test_a_day_of_samples_is_what_was_written(seconds, day, data):
    time_s = np.array(seconds, dtype=np.int64) + day * 86_400
    value = np.array(data.draw(st.lists(st.floats(0, 1.7e308), min_size=len(seconds), max_size=len(seconds))))
    found = usage.unpack(Item("usage", ("a", day), usage.pack(day, time_s, value)))
    assert found[0].tolist() == time_s.tolist()
    assert found[1].tobytes() == value.tobytes()


@pytest.mark.parametrize("body", [b"", b"x", "text", {"a": 1}, usage.pack(0, np.array([90_000]), np.array([1.0])),
                                  usage.pack(0, np.array([5]), np.array([-1.0])),
                                  usage.pack(0, np.array([5]), np.array([np.inf]))])  # fmt: skip
def test_a_day_of_samples_that_nobody_wrote(body):
    with clear_error(Damaged, "usage a 0: is damaged"):
        usage.unpack(Item("usage", ("a", 0), body))


# The address, and the tables.


@pytest.mark.parametrize(
    ("text", "prefix", "region"),
    [("dynamodb://fleet", "fleet", ""), ("dynamodb://a.b_c-9?region=eu-west-1", "a.b_c-9", "eu-west-1"),
     ("dynamodb://fleet/", "fleet", "")],
)  # fmt: skip
def test_an_address(text, prefix, region):
    assert Address.of(text) == Address(prefix, region)
    assert Address.of(str(Address.of(text))) == Address(prefix, region)


@pytest.mark.parametrize(
    "text",
    ["dynamodb:fleet", "dynamodb://", "dynamodb://a/b", "dynamodb://a?zone=b", "dynamodb://a?region=b&region=c",
     "dynamodb://a?region=b#c", "dynamodb://a b", "dynamodb://a?region=EU_1", "dynamodb://[", "dynamodb://a?region",
     "dynamodb://a?region=-", "dynamodb://a?region=-eu", "dynamodb://a?region=eu-", "dynamodb://a?region=17",
     "dynamodb://a\n1?region=us-east-1", "dynamodb://a?region=us-east\t-1", "dynamodb://a?region=us-east-1\r",
     "dynamodb:\n//a", "dynamodb://a\x00", "dynamodb://a?region=us%0a-east-1"],
)  # fmt: skip
def test_what_is_no_address(text):
    for call in (Address.of, open_store):
        with clear_error(InvalidInput):
            call(text)


def test_every_table_can_be_restored_and_is_kept():
    found = template("fleet")["Resources"]
    assert {one["Properties"]["TableName"] for one in found.values()} == {f"fleet-{name}" for name in TABLES}
    for name, one in found.items():
        properties = one["Properties"]
        assert one["DeletionPolicy"] == one["UpdateReplacePolicy"] == "Retain"
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert properties["DeletionProtectionEnabled"] is True
        keeps = "TimeToLiveSpecification" in properties
        assert keeps == (name in ("CoordinationsTable", "RequirementsTable"))
    indexes = {
        name: [tuple(key["AttributeName"] for key in index["KeySchema"])
               for index in one["Properties"].get("GlobalSecondaryIndexes", ())]
        for name, one in found.items()
    }  # fmt: skip
    assert indexes["RequirementsTable"] == [("region", "utilization")]
    assert indexes["ScenariosTable"] == [("kind", "name")]
    assert indexes["ReservationsTable"] == [("region", "expires")]
    assert re.fullmatch(r"[A-Za-z0-9]+", "".join(found))


# In the engine.


@pytest.fixture
def store(dynamodb_fleet):
    with DynamoStore("fleet", create=True) as made:
        fill(made)
        made.reserve({EAST: 5, WEST: 5}, coordination="a", token="t", now=NOW)
        yield made


def wires(store):
    client = store._calls._client
    for table in TABLES:
        for wire in client.scan(TableName=f"fleet-{table}")["Items"]:
            yield client, f"fleet-{table}", wire


def said_by_all(store):
    """What every way to read says, where it says anything."""
    calls = [store.history, store.quotas, store.scenarios, store.plans, store.imports, store.audit, store.failovers]
    calls += [
        lambda: store.reservations(now=NOW, ended=True),
        lambda: store.reserve({EAST: 1, WEST: 1}, now=NOW, dry_run=True),
        lambda: store.reserve({EAST: 5, WEST: 5}, coordination="a", token="t", now=NOW),
    ]
    return [said for call in calls if (said := said_of(call))]


def test_the_tables_are_what_they_are_said_to_be(store):
    client = store._calls._client
    for table in TABLES.values():
        found = client.describe_table(TableName=f"fleet-{table.name}")["Table"]
        assert [key["AttributeName"] for key in found["KeySchema"]] == list(table.keys)
        kept = client.describe_time_to_live(TableName=f"fleet-{table.name}")["TimeToLiveDescription"]
        assert kept.get("AttributeName", "") == table.ttl


def test_an_item_of_a_newer_version_is_named_wherever_it_is_read(store):
    for client, table, wire in list(wires(store)):
        client.put_item(TableName=table, Item={**wire, "v": {"N": "2"}})
        check = store.check()
        assert not check.sound
        assert any("newer surgetank" in one.reason for one in check.damage), table
        if not table.endswith(("requirements", "plans")):
            assert all("update this one" in line for line in said_by_all(store))
            assert said_by_all(store), (table, wire)
        client.put_item(TableName=table, Item=wire)
    assert store.check().sound


def test_what_somebody_changed_by_hand_is_named_wherever_it_is_read(store):
    for client, table, wire in list(wires(store)):
        body = wire["body"]
        other = {"S": body["S"].replace("5", "6") + " "} if "S" in body else {"B": body["B"][:-1] + b"~"}
        client.put_item(TableName=table, Item={**wire, "body": other})
        assert not store.check().sound, (table, base64.b64encode(json.dumps(str(wire)).encode()))
        client.put_item(TableName=table, Item=wire)
    assert store.check().sound
    assert said_by_all(store) == []


def test_half_a_transaction_is_named(store):
    """Nobody can write it; somebody may restore one table to another moment than the rest."""
    for client, table, wire in list(wires(store)):
        if not table.endswith(("reservations", "coordinations")) or wire["id"]["S"].startswith("token"):
            continue
        client.delete_item(TableName=table, Key={"id": wire["id"]})
        check = store.check()
        overdue = table.endswith("coordinations")  # by TTL, where nobody noted that it had expired
        assert check.sound == overdue, (table, wire["id"])
        client.put_item(TableName=table, Item=wire)
    assert store.check().sound


def test_tables_without_their_store_are_not_one(dynamodb):
    with DynamoStore("fleet", create=True) as store:
        store._calls._client.delete_item(TableName="fleet-plans", Key={"kind": {"S": "store"}, "number": {"N": "0"}})
    with clear_error(StoreError, "store dynamodb://fleet: is not complete", "import into it again"):
        DynamoStore("fleet")
    with DynamoStore("fleet", create=True):
        pass
    with clear_error(StoreError, "store dynamodb://other: there is none"):
        DynamoStore("other")


def test_a_backup_is_dynamodbs(store, tmp_path):
    with clear_error(StoreError, "point-in-time recovery", "nothing was copied"):
        store.backup(tmp_path / "copy.db")


@pytest.mark.parametrize(
    "text",
    ["dynamo://fleet", "s3://fleet", "arn:aws:dynamodb:us-east-1:1:table/fleet-usage", "dynamodb://fleet?region="],
)
def test_an_address_of_something_else_is_no_file(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with clear_error(InvalidInput, "store: must be ", "dynamodb://PREFIX"):
        open_store(text, create=True)
    with clear_error(InvalidInput, "path: must be the path of a file; open_store and DynamoStore take addresses"):
        Store("dynamodb://fleet", create=True)
    assert list(tmp_path.iterdir()) == []
