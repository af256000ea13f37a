"""How the tables are made, by whoever is first; who was cut off is gone on with."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from ...errors import StoreError
from .calls import NOT_THERE, Calls, Conflict
from .items import Item, Key
from .tables import TABLES, Table
from .work import Work

#: Written when all tables are ready: from then on it is a store.
STORE: Key = ("store", 0)
WAIT_S = 300.0


def create_tables(calls: Calls) -> bool:
    """Make what is not there yet, and wait until all of it can be used; gives whether there was anything to make."""
    if _is_complete(calls):
        return False
    found = {table.name: _described(calls, table) for table in TABLES.values()}
    for table in TABLES.values():
        _require_ours(calls, table, found[table.name])
    for table in TABLES.values():
        if not found[table.name]:
            _made(calls, table)
    deadline = time.monotonic() + WAIT_S
    for table in TABLES.values():
        while _described(calls, table).get("TableStatus") != "ACTIVE":
            if time.monotonic() > deadline:
                raise StoreError(f"store {calls.address}: its tables were not ready within {WAIT_S:g} s; try again")
            time.sleep(0.5)
    for table in TABLES.values():
        _set(calls, "update_continuous_backups", table, bool(found[table.name]),
             PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})  # fmt: skip
        if table.ttl:
            _set(calls, "update_time_to_live", table, bool(found[table.name]),
                 TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl})  # fmt: skip
    work = Work(calls)
    work.put(Item("plans", STORE, {"schema": 1}))
    with suppress(Conflict):  # somebody else has written it
        work.commit()
    return True


def _is_complete(calls: Calls) -> bool:
    try:
        return calls.get("plans", [STORE])[STORE].body is not None
    except StoreError as error:
        if error.code == NOT_THERE:
            return False
        raise


def _made(calls: Calls, table: Table) -> None:
    try:
        calls.call("create_table", **table.definition(calls.address.prefix))
    except StoreError as error:
        if error.code != "ResourceInUseException":  # somebody else is making it, or has
            raise


def _set(calls: Calls, operation: str, table: Table, was_there: bool, **said: Any) -> None:
    """What a table is to keep; who made it with a template has said so there, and an emulator may know no backups."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            calls.call(operation, TableName=calls.name(table.name), **said)
            return
        except StoreError as error:
            code = error.code
            # Somebody else is making it as well, or has: what they have set is the same.
            already = any(word in str(error) for word in ("already", "modified multiple times"))
            if code == "UnknownOperationException" or (code == "ValidationException" and already):
                return
            if was_there and code == "AccessDeniedException":  # whoever made it had the right, and the template says it
                return
            # A table that was just made has no backups yet that could be kept.
            if code not in ("ContinuousBackupsUnavailableException", "ResourceInUseException"):
                raise
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def _described(calls: Calls, table: Table) -> dict[str, Any]:
    """What DynamoDB says of a table; nothing where there is none."""
    try:
        found: dict[str, Any] = calls.call("describe_table", TableName=calls.name(table.name))["Table"]
        return found
    except StoreError as error:
        if error.code == NOT_THERE:
            return {}
        raise


def _require_ours(calls: Calls, table: Table, found: dict[str, Any]) -> None:
    """Another program's table stays as it is."""
    keys = tuple(one["AttributeName"] for one in found.get("KeySchema", ()))
    if found and keys != table.keys:
        said = f"{calls.name(table.name)} is another program's table (its key is {' and '.join(keys)})"
        raise StoreError(f"store {calls.address}: {said}; nothing was changed, choose another prefix")
