"""What DynamoDB, or something in between, may answer instead: one clear error each, and nothing is believed."""

import json

import pytest

from clear import clear_error, said_of
from dynamodb_proxy import error_of, proxy  # noqa: F401  (fixture)
from reservation_stores import EAST, NOW, WEST, fill
from surgetank import DynamoStore, StoreError
from surgetank.history.dynamodb.tables import TABLES

SECRET = "arn:aws:sts::123456789012:assumed-role/reader"


@pytest.fixture
def store(proxy):  # noqa: F811
    with DynamoStore("fleet", create=True, timeout_s=1) as made:
        fill(made)
        made.reserve({EAST: 5, WEST: 5}, coordination="a", token="t", now=NOW)
        yield made


REFUSED = {
    "AccessDeniedException": "access denied",
    "ExpiredTokenException": "expired credentials",
    "UnrecognizedClientException": "not enabled",
    "ValidationException": "refused",
}
READS = ("BatchGetItem", "Query", "Scan")
MALFORMED = {
    "nothing": b"",
    "an empty object": b"{}",
    "cut off": b'{"Count": 1, "Items": [{"id": {"S": "a',
    "a page": b"<html>no</html>",
    "a list": b"[]",
    "null": b"null",
    "other types": b'{"Responses": 1, "Items": 2, "Count": 3, "UnprocessedKeys": {}}',
}


def calls(store):
    return [
        lambda: store.quotas(), lambda: store.reserved(at=NOW), lambda: store.rooms([EAST], now=NOW),
        lambda: store.reservations(now=NOW), lambda: store.reservations(now=NOW, ended=True), lambda: store.audit(),
        lambda: store.audit(coordination="a"), lambda: store.plans(), lambda: store.failovers(),
        lambda: store.samples(),
        lambda: store.scenarios(), lambda: store.history(), lambda: store.requirements("us-east-1"),
        lambda: store.reserve({EAST: 1}, now=NOW),
    ]  # fmt: skip


@pytest.mark.parametrize("operation", READS)
def test_a_read_that_is_refused_is_an_error_and_never_nothing(proxy, store, operation):  # noqa: F811
    for code, reason in REFUSED.items():
        proxy.always[operation] = error_of(code, message=f"User: {SECRET} is not authorized")
        asked = 0
        for call in calls(store):
            proxy.seen.clear()
            said = said_of(call)
            assert bool(said) == bool(proxy.called(operation))
            if said:
                assert said.startswith("store dynamodb://fleet: ")
                assert reason in said
                assert "123456789012" not in said
                asked += 1
        assert asked > 1


@pytest.mark.parametrize("operation", READS)
def test_an_answer_that_is_none_is_an_error_and_never_nothing(proxy, store, operation, monkeypatch):  # noqa: F811
    monkeypatch.setattr("surgetank.history.dynamodb.calls.ATTEMPTS", 1)
    with DynamoStore("fleet", timeout_s=1) as again:
        for how, answer in MALFORMED.items():
            proxy.always[operation] = 200, answer
            for call in calls(again):
                proxy.seen.clear()
                said = said_of(call)
                assert bool(said) == bool(proxy.called(operation)), how
                assert not said or "malformed response" in said


def test_a_write_that_was_not_answered_is_not_believed(proxy, store, monkeypatch):  # noqa: F811
    monkeypatch.setattr("surgetank.history.dynamodb.calls.ATTEMPTS", 1)
    with DynamoStore("fleet", timeout_s=1) as again:
        for answer in MALFORMED.values():
            proxy.always["TransactWriteItems"] = 200, answer
            with clear_error(StoreError, "malformed response", "whether it was written is not known"):
                again.reserve({EAST: 1}, now=NOW)
    proxy.always.clear()
    assert store.reserved(at=NOW) == {EAST: 5.0, WEST: 5.0}


def test_what_is_read_is_what_stands_there_and_what_is_written_has_a_token(proxy, store):  # noqa: F811
    """Of tables, the item that was written last; only of indexes the one of a moment before."""
    for call in calls(store):
        call()
    said = [(one.operation, json.loads(one.body)) for one in proxy.seen]
    for operation, body in said:
        if operation in ("Query", "Scan"):
            assert body["ConsistentRead"] == ("IndexName" not in body)
        if operation == "BatchGetItem":
            assert all(one["ConsistentRead"] for one in body["RequestItems"].values())
        if operation == "TransactWriteItems":
            assert len(body["ClientRequestToken"]) == 32
            conditions = [next(iter(one.values()))["ConditionExpression"] for one in body["TransactItems"]]
            assert all(conditions)
    assert {operation for operation, _ in said} >= {"Query", "Scan", "BatchGetItem", "TransactWriteItems"}


def test_tables_that_are_made_keep_their_past(proxy):  # noqa: F811
    with DynamoStore("other", create=True):
        pass
    kept = {json.loads(one.body)["TableName"] for one in proxy.seen if one.operation == "UpdateContinuousBackups"}
    assert kept == {f"other-{name}" for name in TABLES}


def test_another_programs_table_stays_as_it_is(proxy):  # noqa: F811
    with DynamoStore("probe", create=True) as made:
        client = made._calls._client
        client.create_table(
            TableName="shop-coordinations", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
        )  # fmt: skip
        with clear_error(StoreError, "shop-coordinations is another program's table", "its key is pk", "nothing was"):
            DynamoStore("shop", create=True)
        assert client.list_tables()["TableNames"].count("shop-usage") == 0
        kept = client.describe_time_to_live(TableName="shop-coordinations")["TimeToLiveDescription"]
        assert kept.get("TimeToLiveStatus") == "DISABLED"


def test_keys_that_are_left_over_are_asked_again_with_pauses_and_not_for_ever(proxy, store, monkeypatch):  # noqa: F811
    slept = []
    monkeypatch.setattr("surgetank.history.dynamodb.calls.time.sleep", slept.append)
    left = {"fleet-quotas": {"Keys": [{"id": {"S": "-/us-east-1/-/-"}}], "ConsistentRead": True}}
    proxy.always["BatchGetItem"] = 200, json.dumps({"Responses": {}, "UnprocessedKeys": left}).encode()
    with clear_error(StoreError, "throttled", "try again"):
        store.rooms([EAST], now=NOW)
    assert len(slept) == 8
    assert slept == sorted(slept)


@pytest.mark.parametrize(
    ("code", "said"),
    [("AccessDeniedException", "access denied"), ("ItemCollectionSizeLimitExceededException", "refused")],
)
def test_a_write_that_is_refused_changes_nothing(proxy, store, code, said):  # noqa: F811
    proxy.always["TransactWriteItems"] = error_of(code)
    before = store.reservations(now=NOW, ended=True).found, store.audit()
    with clear_error(StoreError, f"store dynamodb://fleet: {said} ({code}"):
        store.reserve({EAST: 1}, now=NOW)
    proxy.always.clear()
    assert (store.reservations(now=NOW, ended=True).found, store.audit()) == before


def test_a_clock_that_is_wrong_is_named(proxy, store):  # noqa: F811
    said = "Signature expired: 20260101T000000Z is now earlier than 20261122T000000Z"
    proxy.always["BatchGetItem"] = error_of("InvalidSignatureException", message=said)
    with clear_error(StoreError, "clock skew", "Signature expired"):
        store.rooms([EAST], now=NOW)


def test_who_is_always_second_is_told_so_in_the_end(proxy, store):  # noqa: F811
    proxy.always["TransactWriteItems"] = error_of("TransactionCanceledException", "TransactionConflict", "None")
    with clear_error(StoreError, "others were first for 1 s; nothing was changed, try again"):
        store.reserve({EAST: 1}, now=NOW)
    assert proxy.called("TransactWriteItems") > 3


def test_a_check_that_may_not_read_is_an_error_and_no_damage(proxy, store):  # noqa: F811
    proxy.always["Scan"] = error_of("AccessDeniedException")
    with clear_error(StoreError, "access denied"):
        store.check()
    proxy.always.clear()
    assert store.check().sound
