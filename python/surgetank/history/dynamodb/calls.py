"""Calls to DynamoDB: paged to the end, tried again by botocore, and every failure in words."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from ..._aws import MALFORMED, failure_of, new_session, without_accounts
from ...errors import CollectError, StoreError
from .address import Address
from .items import Item, Key, key_of, packed, size_of, unpacked
from .tables import TABLES, TYPES

_T = TypeVar("_T")
_U = TypeVar("_U")

#: What DynamoDB takes at once.
MOST_GOT, MOST_CHANGED, MOST_CHANGED_BYTES = 100, 100, 4_000_000
ATTEMPTS = 8
_WRITES = ("put_item", "delete_item", "transact_write_items")
#: AWS's code of a table that is not there.
NOT_THERE = "ResourceNotFoundException"
WORKERS = 8
CONNECT_S, READ_S = 5.0, 20.0
#: Reasons for which a transaction is cancelled that pass when it is tried again, from what stands there then.
_PASSING = {
    "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
}  # fmt: skip


class Conflict(Exception):
    """Another process was first: what was decided on is not what stands there any more."""


@dataclass(frozen=True)
class Write:
    """An item that is to be written, or deleted where its body is None, if ``before`` still stands there."""

    item: Item
    before: str  #: the version that was read; empty: nothing was there


class Calls:
    """The tables of one store, and how they are asked."""

    def __init__(self, address: Address) -> None:
        """Make a client from the environment's credentials and settings."""
        self.address = address
        self._client = self._made()
        self._pool: ThreadPoolExecutor | None = None
        self._making = Lock()

    def _made(self) -> Any:
        from botocore.config import Config

        session = new_session("a store in DynamoDB")
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=2 * WORKERS,
            user_agent_extra="surgetank",
        )
        region = self.address.region or session.get_config_variable("region") or os.environ.get("AWS_REGION")
        if not region:
            raise StoreError(f"store {self.address}: its Region must be stated (…?region=us-east-1, or AWS_REGION)")
        with _Explained(self.address, False):
            return session.create_client("dynamodb", region_name=region, config=config)

    def close(self) -> None:
        """Close the connections."""
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        with suppress(Exception):
            self._client.close()

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call; its answer."""
        with _Explained(self.address, operation in _WRITES):
            if operation in _WRITES:
                parameters["ReturnConsumedCapacity"] = "TOTAL"  # an answer that says nothing is then none
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
            # botocore takes what it cannot read for an answer that says nothing: it was written, or nothing is there.
            kind = str(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-type", ""))
            if "json" not in kind or not _is_whole(operation, answer):
                raise CollectError(
                    f"{kind or 'nothing'} that is no answer of DynamoDB", reason=MALFORMED, retryable=True
                )
            return answer

    def name(self, table: str) -> str:
        """The name of a table."""
        return f"{self.address.prefix}-{table}"

    def get(self, table: str, keys: Sequence[Key]) -> dict[Key, Item]:
        """Items by key; those that are not there have no body."""
        parts = [keys[i : i + MOST_GOT] for i in range(0, len(keys), MOST_GOT)]
        found = {item.key: item for part in self.each(lambda part: self._got(table, part), parts) for item in part}
        return {key: found.get(key) or Item(table, key) for key in keys}

    def _got(self, table: str, keys: Sequence[Key]) -> list[Item]:
        name = self.name(table)
        asked = {name: {"Keys": [key_of(table, key) for key in keys], "ConsistentRead": True}}
        found: list[Item] = []
        waits = [0.05 * 2**n * random.uniform(0.5, 1) for n in range(7, -1, -1)]  # twelve seconds in all
        while asked:
            answer = self.call("batch_get_item", RequestItems=asked)
            found += [self._unpacked(table, wire) for wire in answer.get("Responses", {}).get(name, ())]
            asked = answer["UnprocessedKeys"]
            if asked:
                if not waits:
                    raise StoreError(f"store {self.address}: throttled (keys are left over time and again); try again")
                time.sleep(waits.pop())
        return found

    def together(self, places: Sequence[tuple[str, Key]]) -> list[Item]:
        """Items as they were at one moment; those that are not there have no body. `Conflict` where somebody writes."""
        asked = [{"Get": {"TableName": self.name(table), "Key": key_of(table, key)}} for table, key in places]
        answer = self.call("transact_get_items", TransactItems=asked)
        found = zip(places, answer["Responses"], strict=True)
        return [self._unpacked(t, one["Item"]) if one.get("Item") else Item(t, key) for (t, key), one in found]

    def query(
        self, table: str, first: str, *, newest: int | None = None, index: str = "",
        bound: tuple[str, int | float] | None = None,
    ) -> Iterator[Item]:  # fmt: skip
        """Items that share the first part of their key, in order of the second.

        ``newest``: only so many, and backwards; ``index``: by an index, which is a moment behind; ``bound``: what the
        second part must be, such as (">=", 0.8).
        """
        names = TABLES[table].keys
        parameters: dict[str, Any] = {"TableName": self.name(table), "ConsistentRead": not index}
        if index:
            parameters["IndexName"] = index
            own = TABLES[table].index
            names = own.keys if own else names
        parameters["ExpressionAttributeNames"] = {"#a": names[0]}
        parameters["ExpressionAttributeValues"] = {":a": {"S": first}}
        parameters["KeyConditionExpression"] = "#a = :a"
        if bound is not None:
            parameters["KeyConditionExpression"] += f" AND #b {bound[0]} :b"
            parameters["ExpressionAttributeNames"]["#b"] = names[1]
            parameters["ExpressionAttributeValues"][":b"] = {TYPES.get(names[1], "S"): str(bound[1])}
        if newest is not None:
            parameters |= {"ScanIndexForward": False, "Limit": newest}
        for count, wire in enumerate(self._pages("query", parameters)):
            if newest is not None and count >= newest:
                return
            yield self._unpacked(table, wire)

    def scan(self, table: str, begins: str = "") -> Iterator[Item]:
        """Every item of a table; ``begins``: those of which the first part of the key begins so."""
        parameters: dict[str, Any] = {"TableName": self.name(table), "ConsistentRead": True}
        if begins:
            parameters["ExpressionAttributeNames"] = {"#a": TABLES[table].keys[0]}
            parameters["ExpressionAttributeValues"] = {":a": {"S": begins}}
            parameters["FilterExpression"] = "begins_with(#a, :a)"
        for wire in self._pages("scan", parameters):
            yield self._unpacked(table, wire)

    def raw(self, table: str) -> Iterator[Any]:
        """Every item of a table as DynamoDB has it: for a check, which reads what cannot be understood as well."""
        return self._pages("scan", {"TableName": self.name(table), "ConsistentRead": True})

    def _unpacked(self, table: str, wire: Any) -> Item:
        with self._named():
            return unpacked(table, wire)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """An item that cannot be read or written is one of this store's."""
        try:
            yield
        except StoreError as error:
            raise type(error)(f"store {self.address}: {error}", code=error.code) from error.__cause__

    def size_of(self, writes: Iterable[Write]) -> int:
        """How much a transaction of them would carry."""
        with self._named():
            return sum(0 if write.item.body is None else size_of(packed(write.item)) for write in writes)

    def _pages(self, operation: str, parameters: dict[str, Any]) -> Iterator[Any]:
        while True:
            answer = self.call(operation, **parameters)
            yield from answer.get("Items", ())
            if not answer.get("LastEvaluatedKey"):
                return
            parameters = {**parameters, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def write(self, writes: Sequence[Write]) -> None:
        """All of them at once, or none; `Conflict` where something else stands there by now."""
        if not writes:
            return
        try:
            if len(writes) == 1:
                self.call("delete_item" if writes[0].item.body is None else "put_item", **self._parameters(writes[0]))
                return
            items = [{"Delete" if write.item.body is None else "Put": self._parameters(write)} for write in writes]
            # With its token a call that is tried again, because its answer was lost, does nothing twice.
            self.call("transact_write_items", TransactItems=items, ClientRequestToken=secrets.token_hex(16))
        except Conflict as conflict:
            if not (_was_repeated(conflict) and self._is_written(writes)):
                raise

    def _is_written(self, writes: Sequence[Write]) -> bool:
        """Whether it was done when it was called first, and only its answer lost: then what differs is our own."""
        items = [write.item for write in writes if write.item.body is not None]
        for item in sorted(items, key=lambda item: item.table != "audit")[:1]:  # lines of the trail are never changed
            return self.get(item.table, [item.key])[item.key].version == item.version
        return False

    def _parameters(self, write: Write) -> dict[str, Any]:
        item = write.item
        made: dict[str, Any] = {"TableName": self.name(item.table)}
        with self._named():
            made |= {"Key": key_of(item.table, item.key)} if item.body is None else {"Item": packed(item)}
        made["ExpressionAttributeNames"] = {"#v": "version"}
        if not write.before:
            return {**made, "ConditionExpression": "attribute_not_exists(#v)"}
        values = {":v": {"S": write.before}}
        return {**made, "ConditionExpression": "#v = :v", "ExpressionAttributeValues": values}

    def each(self, work: Callable[[_T], _U], things: Iterable[_T]) -> list[_U]:
        """Do the same with several things, some of them at once; the answers in their order."""
        things = list(things)
        if len(things) < 2:
            return [work(thing) for thing in things]
        with self._making:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="surgetank-dynamodb")
        running = [self._pool.submit(work, thing) for thing in things]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:  # nothing goes on in the background once this has failed
            for one in running:
                one.cancel()
            wait(running)
        # What was cancelled says nothing of why.
        failed = next((error for one in running if not one.cancelled() and (error := one.exception())), None)
        if failed is not None:
            raise failed
        return [one.result() for one in running]


class _Explained:
    """What botocore raises becomes a `StoreError` that names the store, or a `Conflict`."""

    def __init__(self, address: Address, writes: bool) -> None:
        self._address, self._writes = address, writes

    def __enter__(self) -> None:
        """Nothing is to be begun."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, StoreError | Conflict):
            return
        from botocore import exceptions as boto

        code = ""
        if isinstance(error, boto.ClientError) and isinstance(error.response, dict):
            code = str((error.response.get("Error") or {}).get("Code") or "")
            reasons = {str(one.get("Code")) for one in error.response.get("CancellationReasons") or ()} - {"None"}
            if code in ("ConditionalCheckFailedException", "TransactionConflictException") or reasons & _PASSING:
                raise Conflict from error
        raise StoreError(f"store {self._address}: {_said(code, error, self._writes)}", code=code) from error


def _was_repeated(conflict: Conflict) -> bool:
    """Whether botocore had called before."""
    answer = getattr(conflict.__cause__, "response", None) or {}
    return bool((answer.get("ResponseMetadata") or {}).get("RetryAttempts"))


def _is_whole(operation: str, answer: dict[str, Any]) -> bool:
    """Whether an answer says what it says in any case."""
    if operation in ("query", "scan"):
        items = answer.get("Items")
        return isinstance(items, list) and len(items) == answer.get("Count")
    if operation == "batch_get_item":
        found = answer.get("Responses")
        lists = isinstance(found, dict) and all(isinstance(items, list) for items in found.values())
        return lists and isinstance(answer.get("UnprocessedKeys"), dict)
    if operation == "transact_get_items":
        return isinstance(answer.get("Responses"), list)
    return operation not in _WRITES or bool(answer.get("ConsumedCapacity"))


def _said(code: str, error: Exception, writes: bool) -> str:
    if code == NOT_THERE:
        return (
            "there is none, or not all of its tables: check prefix, Region and account"
            " (surgetank import FILE --store … makes one)"
        )
    failure = failure_of(error)
    detail = without_accounts(failure.detail)
    again = ""
    if failure.retryable:
        unknown = "whether it was written is not known: look, or repeat what has a token or changes nothing twice"
        again = f"; {unknown}" if writes else "; try again"
    return f"{failure.reason} ({detail}){again}"
