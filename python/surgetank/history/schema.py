"""The tables of the embedded store, how a day of samples is packed, and what SQLite's errors mean."""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .._bridge import Floats
from ..errors import InvalidInput, printable, shown
from ..scenario import Scenario
from .keys import Quota, QuotaKey
from .samples import Ints

APPLICATION_ID = 0x53544E4B  # "STNK"
DAY_S = 86_400
REMEDY = "restore it from a backup (`surgetank store check` says what is damaged)"


def _sum(numbers: str, texts: str) -> str:
    """SQL for the checksum of a row. Texts count as their bytes: what is no UTF-8, or behind a NUL, counts as well."""
    parts = [numbers, *(f"typeof({t}), CAST({t} AS BLOB)" for t in texts.split())]
    return f"surgetank_checksum({', '.join(parts)})"


# Part of a published script, as they are.
_KEY_SUM = _sum("id, has_usage", "account region service_code quota_code context_id usage_unit")
_PLAN_SUM = _sum("id, coverage", "made as_of status body")
_IMPORT_SUM = _sum("id", "made report")
_COORDINATION_SUM = _sum("made", "id token request")
_RESERVATION_SUM = _sum("key_id, amount, created, expires, purge, ended, forced", "coordination status")
_AUDIT_SUM = _sum("id, at, forced", "action coordination actor why body")
_FAILOVER_SUM = _sum("1", "name state body")
_FAILOVER_EVENT_SUM = _sum("id, at", "failover action state_before state_after actor why body")
#: SQL: whether a row is what was written, where the schema keeps that by itself.
SOUND = {
    "quota_key": f"checksum = {_KEY_SUM}",
    "plan": f"checksum = {_PLAN_SUM}",
    "import": f"checksum = {_IMPORT_SUM}",
    "coordination": f"checksum = {_COORDINATION_SUM}",
    "reservation": f"checksum = {_RESERVATION_SUM}",
    "audit": f"checksum = {_AUDIT_SUM}",
    "failover": f"checksum = {_FAILOVER_SUM}",
    "failover_event": f"checksum = {_FAILOVER_EVENT_SUM}",
}

# One script per schema version; ";" at the end of a line ends a statement. A published script never changes; a new need
# appends one.
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
    # Checksums for the rest, kept by triggers: no writer can forget them, and an older surgetank that still has the
    # file open does not know the function, and can no longer write. What is damaged is never given a fresh checksum.
    f"""
    ALTER TABLE quota_key ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE plan ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE import ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    UPDATE quota_key SET checksum = {_KEY_SUM};
    UPDATE plan SET checksum = {_PLAN_SUM};
    UPDATE import SET checksum = {_IMPORT_SUM};
    CREATE TRIGGER quota_key_made AFTER INSERT ON quota_key BEGIN
        UPDATE quota_key SET checksum = {_KEY_SUM} WHERE id = NEW.id; END;
    CREATE TRIGGER quota_key_verified BEFORE UPDATE OF has_usage, usage_unit ON quota_key BEGIN
        SELECT RAISE(ABORT, 'malformed: the name of a quota is not what was written')
        FROM quota_key WHERE id = OLD.id AND checksum IS NOT {_KEY_SUM}; END;
    CREATE TRIGGER quota_key_changed AFTER UPDATE OF has_usage, usage_unit ON quota_key BEGIN
        UPDATE quota_key SET checksum = {_KEY_SUM} WHERE id = NEW.id; END;
    CREATE TRIGGER plan_made AFTER INSERT ON plan BEGIN
        UPDATE plan SET checksum = {_PLAN_SUM} WHERE id = NEW.id; END;
    CREATE TRIGGER import_made AFTER INSERT ON import BEGIN
        UPDATE import SET checksum = {_IMPORT_SUM} WHERE id = NEW.id; END;
    """,
    # Reservations, and failovers that claim them. What a row says changes only where it is what was written.
    f"""
    CREATE TABLE coordination (
        id TEXT PRIMARY KEY NOT NULL,
        token TEXT NOT NULL UNIQUE,     -- the same claim under the same token is made once
        request TEXT NOT NULL,          -- digest of the claim
        made INTEGER NOT NULL,          -- epoch seconds UTC, like all instants here
        checksum INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE reservation (
        coordination TEXT NOT NULL REFERENCES coordination (id),
        key_id INTEGER NOT NULL REFERENCES quota_key (id),
        amount REAL NOT NULL,
        created INTEGER NOT NULL, expires INTEGER NOT NULL, purge INTEGER NOT NULL,
        status TEXT NOT NULL,           -- active, released, expired; active holds nothing from `expires` on
        ended INTEGER,
        forced INTEGER NOT NULL,
        checksum INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (coordination, key_id)
    );
    CREATE INDEX reservation_held ON reservation (key_id, expires, status) WHERE status = 'active';
    CREATE INDEX reservation_due ON reservation (expires, status) WHERE status = 'active';
    CREATE INDEX reservation_old ON reservation (purge, status) WHERE status != 'active';
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, coordination TEXT NOT NULL,
        actor TEXT NOT NULL, why TEXT NOT NULL, forced INTEGER NOT NULL, body TEXT NOT NULL,
        checksum INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX audit_of ON audit (coordination);
    CREATE TABLE failover (
        name TEXT PRIMARY KEY NOT NULL, state TEXT NOT NULL, body TEXT NOT NULL, checksum INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE failover_event (
        id INTEGER PRIMARY KEY, failover TEXT NOT NULL REFERENCES failover (name), at INTEGER NOT NULL,
        action TEXT NOT NULL, state_before TEXT NOT NULL, state_after TEXT NOT NULL,
        actor TEXT NOT NULL, why TEXT NOT NULL, body TEXT NOT NULL, checksum INTEGER NOT NULL DEFAULT 0
    );
    CREATE TRIGGER coordination_made AFTER INSERT ON coordination BEGIN
        UPDATE coordination SET checksum = {_COORDINATION_SUM} WHERE id = NEW.id; END;
    CREATE TRIGGER reservation_made AFTER INSERT ON reservation BEGIN
        UPDATE reservation SET checksum = {_RESERVATION_SUM}
        WHERE (coordination, key_id) = (NEW.coordination, NEW.key_id); END;
    CREATE TRIGGER reservation_verified BEFORE UPDATE OF amount, expires, purge, status, ended, forced ON reservation
    BEGIN
        SELECT RAISE(ABORT, 'malformed: a reservation is not what was written') FROM reservation
        WHERE (coordination, key_id) = (OLD.coordination, OLD.key_id) AND checksum IS NOT {_RESERVATION_SUM}; END;
    CREATE TRIGGER reservation_changed AFTER UPDATE OF amount, expires, purge, status, ended, forced ON reservation
    BEGIN
        UPDATE reservation SET checksum = {_RESERVATION_SUM}
        WHERE (coordination, key_id) = (NEW.coordination, NEW.key_id); END;
    CREATE TRIGGER audit_made AFTER INSERT ON audit BEGIN
        UPDATE audit SET checksum = {_AUDIT_SUM} WHERE id = NEW.id; END;
    CREATE TRIGGER failover_made AFTER INSERT ON failover BEGIN
        UPDATE failover SET checksum = {_FAILOVER_SUM} WHERE name = NEW.name; END;
    CREATE TRIGGER failover_verified BEFORE UPDATE OF state, body ON failover BEGIN
        SELECT RAISE(ABORT, 'malformed: a failover is not what was written') FROM failover
        WHERE name = OLD.name AND checksum IS NOT {_FAILOVER_SUM}; END;
    CREATE TRIGGER failover_changed AFTER UPDATE OF state, body ON failover BEGIN
        UPDATE failover SET checksum = {_FAILOVER_SUM} WHERE name = NEW.name; END;
    CREATE TRIGGER failover_event_made AFTER INSERT ON failover_event BEGIN
        UPDATE failover_event SET checksum = {_FAILOVER_EVENT_SUM} WHERE id = NEW.id; END;
    """,
)


def checksum(*values: object) -> int:
    """CRC-32 of a row, kept beside it."""
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def read_keys(rows: Iterable[tuple[Any, ...]]) -> tuple[tuple[QuotaKey, ...], list[int]]:
    """Keys and numbers from rows of quota_key: the parts, id, and whether the row is what was written."""
    keys: dict[QuotaKey, int] = {}
    for *parts, key_id, sound in rows:
        key = QuotaKey(*parts)
        if not sound or key in keys or not all(isinstance(part, str) for part in parts):
            name = " ".join(map(str, parts))
            raise sqlite3.DatabaseError(f"malformed: the name of a quota is not what was written: {name}")
        keys[key] = key_id
    return tuple(keys), list(keys.values())


def read_body(sound: object, text: str, what: str = "a plan or an import's report") -> dict[str, Any]:
    """Give the JSON of a row, such as a plan or an import's report, if it is what was written."""
    body = json.loads(text)
    if not sound or not isinstance(body, dict):
        raise ValueError(f"{what} is not what was written")
    return body


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


#: What SQLite says of a damaged file; what is referred to, or is to be unique, is looked for before it is written.
_DAMAGE = ("malformed", "corrupt", "decode", "no such table", "no such column", "FOREIGN KEY", "UNIQUE")


def is_damage(error: Exception) -> bool:
    """Whether that is what reading a damaged file raises."""
    text = str(error)
    return any(word in text for word in _DAMAGE)


def explain(error: Exception, timeout_s: float) -> str:
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
    if "disk I/O" in text:
        return (
            f"could not be read or written ({text}): a full disk, a limit of the system, or a failing disk; nothing"
            " was changed, and `surgetank store check` says whether it is damaged"
        )
    if "no such function: surgetank" in text:
        return "was brought up to date by a newer surgetank in the meantime; update this one; nothing was changed"
    if is_damage(error):
        return f"is damaged ({printable(text, 200)}); {REMEDY}"
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


def quota_name(row: tuple[Any, ...]) -> tuple[str, ...]:
    """Which quota a row is of, in whichever account; ValueError where the row is not what was written."""
    if checksum(*row[:-1]) != row[-1]:
        raise ValueError("a quota is not what was written")
    return row[1:5]


def read_quota(row: tuple[Any, ...]) -> Quota:
    """Give back what `pack_quota` took, from the parts of its key and the row."""
    key, values = QuotaKey(*row[:5]), row[5:-1]
    if checksum(*key, *values) != row[-1]:
        raise ValueError("a quota is not what was written")
    _, value, default_value, unit, name, adjustable, is_global = values
    try:
        return Quota(
            key=key,
            value=math.nan if value is None else value,
            default_value=math.nan if default_value is None else default_value,
            unit=unit,
            name=name,
            adjustable=None if adjustable is None else bool(adjustable),
            is_global=bool(is_global),
        )
    except InvalidInput as error:  # nobody asked for it
        raise ValueError(str(error)) from error


def pack_scenario(scenario: Scenario) -> tuple[Any, ...]:
    """A row of scenario."""
    row = (scenario.name, json.dumps(scenario.to_dict()))
    return (*row, checksum(*row))


def read_scenario(name: str, body: str, kept: int) -> Scenario:
    """Give back what `pack_scenario` took."""
    if checksum(name, body) != kept:
        raise ValueError("a scenario is not what was written")
    return Scenario(**json.loads(body))
