"""The tables of the embedded store, how a day of samples is packed, and what SQLite's errors mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np

from .._bridge import Floats
from ..errors import StoreError
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
        PRIMARY KEY (key_id, day)
    ) WITHOUT ROWID;
    CREATE TABLE quota (
        key_id INTEGER PRIMARY KEY REFERENCES quota_key (id),
        value REAL, default_value REAL,  -- NULL: not known
        unit TEXT NOT NULL, name TEXT NOT NULL, adjustable INTEGER, is_global INTEGER NOT NULL
    );
    CREATE TABLE scenario (name TEXT PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE plan (
        id INTEGER PRIMARY KEY, made TEXT NOT NULL, as_of TEXT NOT NULL, status TEXT NOT NULL,
        coverage REAL NOT NULL, body TEXT NOT NULL
    );
    CREATE TABLE import (id INTEGER PRIMARY KEY, made TEXT NOT NULL, report TEXT NOT NULL);
    """,
)


def pack_day(second: Ints, usage: Floats) -> tuple[bytes, bytes]:
    """Seconds of the day and usage as they are stored."""
    return second.astype("<u4").tobytes(), usage.astype("<f8").tobytes()


def unpack_day(second: bytes, usage: bytes, path: Path) -> tuple[Ints, Floats]:
    """Give back what `pack_day` took; a day that is cut short means damage."""
    if len(usage) != 2 * len(second) or len(usage) % 8:
        raise StoreError(f"store {path}: is damaged (a day's samples are cut short); restore it from a copy")
    return np.frombuffer(second, dtype="<u4").astype(np.int64), np.frombuffer(usage, dtype="<f8").astype(np.float64)


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
    if "not a database" in text:
        return "is not a surgetank store; nothing was changed"
    if "malformed" in text or "corrupt" in text or "disk I/O" in text:
        return f"is damaged ({text}); restore it from a copy"
    return text
