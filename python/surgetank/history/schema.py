"""The tables of the embedded store, how a day of samples is packed, and what SQLite's errors mean."""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .._bridge import Floats
from ..errors import shown
from ..scenario import Scenario
from .keys import Quota, QuotaKey
from .samples import Ints

APPLICATION_ID = 0x53544E4B  # "STNK"
DAY_S = 86_400

# One script per schema version. A published script never changes; a new need appends one.
MIGRATIONS = (
    """
    CREATE TABLE quota_key (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL, region TEXT NOT NULL, service_code TEXT NOT NULL, quota_code TEXT NOT NULL,
        context_id TEXT NOT NULL,
        has_usage INTEGER NOT NULL DEFAULT 0,  -- 1: usage was imported, be it all missing
        usage_unit TEXT NOT NULL DEFAULT '',
        UNIQUE (account, region, service_code, quota_code, context_id)
    );
    CREATE TABLE usage_day (
        key_id INTEGER NOT NULL REFERENCES quota_key (id),
        day INTEGER NOT NULL,           -- days since 1970-01-01 UTC
        second BLOB NOT NULL,           -- of the day, uint32 little-endian, ascending
        usage BLOB NOT NULL,            -- float64 little-endian, one for each second
        checksum INTEGER NOT NULL,      -- CRC-32 of all of the above: bytes that changed never become other numbers
        PRIMARY KEY (key_id, day)
    ) WITHOUT ROWID;
    CREATE TABLE quota (
        key_id INTEGER PRIMARY KEY REFERENCES quota_key (id),
        value REAL, default_value REAL,  -- NULL: not known
        unit TEXT NOT NULL, name TEXT NOT NULL, adjustable INTEGER, is_global INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    );
    CREATE TABLE scenario (name TEXT PRIMARY KEY, body TEXT NOT NULL, checksum INTEGER NOT NULL);
    CREATE TABLE plan (
        id INTEGER PRIMARY KEY, made TEXT NOT NULL, as_of TEXT NOT NULL, status TEXT NOT NULL,
        coverage REAL NOT NULL, body TEXT NOT NULL
    );
    CREATE TABLE import (id INTEGER PRIMARY KEY, made TEXT NOT NULL, report TEXT NOT NULL);
    """,
)


def checksum(*values: object) -> int:
    """CRC-32 of a row, kept beside it."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def pack_day(key_id: int, day: int, second: Ints, usage: Floats) -> tuple[int, int, bytes, bytes, int]:
    """A row of usage_day: seconds of the day and usage of one series."""
    packed = (second.astype("<u4").tobytes(), usage.astype("<f8").tobytes())
    return key_id, day, *packed, checksum(key_id, day, *packed)


def unpack_day(row: tuple[Any, ...]) -> tuple[Ints, Floats]:
    """Epoch seconds and usage of a row of usage_day; ValueError where it is not what `pack_day` made."""
    key_id, day, second, usage, kept = row
    if checksum(key_id, day, second, usage) != kept or len(usage) != 2 * len(second):
        raise ValueError("a day of samples is not what was written")
    seconds = np.frombuffer(second, dtype="<u4").astype(np.int64)
    return seconds + day * DAY_S, np.frombuffer(usage, dtype="<f8").astype(np.float64)


def explain(error: sqlite3.Error, timeout_s: float) -> str:
    """Say what went wrong with the store, for a person."""
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"is being written by another process and was not free within {timeout_s:g} s; try again"
    if "readonly" in text or "read-only" in text:
        return "cannot be written: the file or its folder is read-only"
    if "unable to open" in text:
        return "cannot be opened: check the folder and its permissions"
    if "full" in text:
        return "cannot grow: the disk is full; nothing was changed"
    if "closed database" in text:
        return "is closed"
    if "not a database" in text:
        return "is not a surgetank store; nothing was changed"
    if "malformed" in text or "corrupt" in text or "disk I/O" in text:
        return f"is damaged ({text}); restore it from a copy"
    return text


def shown_path(path: Path) -> str:
    """The store's name for a message, printable."""
    return shown(str(path), most=200)[1:-1]


def pack_quota(key_id: int, q: Quota) -> tuple[Any, ...]:
    """A row of quota."""
    value, default_value = (None if math.isnan(v) else float(v) for v in (q.value, q.default_value))
    adjustable = None if q.adjustable is None else int(q.adjustable)
    row = (key_id, value, default_value, q.unit, q.name, adjustable, int(q.is_global))
    return (*row, checksum(*q.key, *row))


def read_quota(row: tuple[Any, ...]) -> Quota:
    """Give back what `pack_quota` took, from the parts of its key and the row."""
    key, values = QuotaKey(*row[:5]), row[5:-1]
    if checksum(*key, *values) != row[-1]:
        raise ValueError("a quota is not what was written")
    _, value, default_value, unit, name, adjustable, is_global = values
    return Quota(
        key=key,
        value=math.nan if value is None else value,
        default_value=math.nan if default_value is None else default_value,
        unit=unit,
        name=name,
        adjustable=None if adjustable is None else bool(adjustable),
        is_global=bool(is_global),
    )


def pack_scenario(scenario: Scenario) -> tuple[Any, ...]:
    """A row of scenario."""
    row = (scenario.name, json.dumps(scenario.to_dict()))
    return (*row, checksum(*row))


def read_scenario(name: str, body: str, kept: int) -> Scenario:
    """Give back what `pack_scenario` took."""
    if checksum(name, body) != kept:
        raise ValueError("a scenario is not what was written")
    return Scenario(**json.loads(body))
