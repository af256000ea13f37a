"""Is a store sound? All of it is read, nothing is written, and what is damaged is named as far as it can be read."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import StoreError, printable
from .keys import KEY_FIELDS, QuotaKey
from .ledger import CLAIMED, claim_queries
from .opening import UNREADABLE, beside, is_there, reading, tables_of, version_of
from .samples import instant
from .schema import (
    DAY_S,
    MIGRATIONS,
    SOUND,
    is_damage,
    read_body,
    read_quota,
    read_scenario,
    shown_path,
    unpack_day,
)

MOST_SHOWN = 50  # lines of damage in the text for a person
MOST_PAGES = 1000  # messages of SQLite about pages
TIMEOUT_S = 5.0  # how long a file is waited for that another process has locked
MOST_DAY = 11_000_000  # since 1970: 30,000 years


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One thing in a store that is not what was written."""

    table: str = ""  #: the table; empty: the file as a whole
    item: str = ""  #: the quota, the scenario, or the number of the plan or import
    days: str = ""  #: such as 2026-01-03, or 2026-01-03 to 2026-01-05
    reason: str

    def __str__(self) -> str:
        """Give where, and what is wrong."""
        where = ", ".join(part for part in (self.table or "file", self.item, self.days) if part)
        return f"{where}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class StoreCheck:
    """What a store holds, and what of it is damaged."""

    path: str
    bytes: int  #: the file, and what waits beside it to be written into it
    schema_version: int
    series: int  #: quotas whose usage was imported
    days: int  #: of all series
    samples: int
    first: str  #: first and last instant, ISO 8601 UTC; empty without samples
    last: str
    quotas: int
    scenarios: int
    plans: int
    imports: int
    reservations: int = 0  #: ended ones as well, until they are purged
    failovers: int = 0
    latest: int = len(MIGRATIONS)  #: the schema version that this surgetank writes
    damage: tuple[Damage, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether everything is what was written."""
        return not self.damage

    def require_sound(self, what: str) -> None:
        """Raise a StoreError that names the damage and ends in ``what``, unless the store is sound."""
        if self.damage:
            more = f" and {len(self.damage) - 1} more" if len(self.damage) > 1 else ""
            listed = "; `surgetank store check` lists all" if more else ""
            raise StoreError(f"store {self.path}: is damaged ({printable(str(self.damage[0]))}{more}{listed}); {what}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"sound": self.sound, **asdict(self), "damage": [asdict(one) for one in self.damage]}

    def __str__(self) -> str:
        """Give what a person wants to know, in a few lines."""
        places = _count(len(self.damage), "place")
        state = "sound" if self.sound else f"DAMAGED in {places}"
        lines = [f"{self.path}: {state} (schema version {self.schema_version}, {size_text(self.bytes)})"]
        days, ends = _count(self.days, "day"), f", {self.first} to {self.last}" if self.first else ""
        lines.append(f"  {self.series:,} series of usage, {days} in all, {_count(self.samples, 'sample')}{ends}")
        counts = {"quota": self.quotas, "scenario": self.scenarios, "plan": self.plans, "import": self.imports}
        if self.reservations or self.failovers:
            counts |= {"reservation": self.reservations, "failover": self.failovers}
        lines.append("  " + ", ".join(_count(number, thing) for thing, number in counts.items()))
        if self.damage:
            lines += [f"  {printable(str(one))}" for one in self.damage[:MOST_SHOWN]]
            if len(self.damage) > MOST_SHOWN:
                lines.append(f"  and {len(self.damage) - MOST_SHOWN:,} more; --json lists them")
            lines.append(
                "Nothing was changed. Restore the store from a backup, or delete it and import the files again."
            )
        elif self.schema_version < self.latest:
            lines.append(f"  The next command that uses it brings it up to schema version {self.latest}.")
        return "\n".join(lines)


def check_store(path: Path, timeout_s: float) -> StoreCheck:
    """Check a file. It is opened so that nothing is written, and an older schema stays as it is."""
    is_there(path)
    seen, found = _stamp(path), _checked(path, timeout_s)
    for _ in range(2):
        if found.sound or _stamp(path) == seen:
            break
        seen, found = _stamp(path), _checked(path, timeout_s)  # one that may only be read is read without locks
    return found


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _checked(path: Path, timeout_s: float) -> StoreCheck:
    try:
        with reading(path, timeout_s) as db:
            return inspect(db, path)
    except StoreError as error:
        cause = error.__cause__
        if not isinstance(cause, UNREADABLE) or not is_damage(cause):
            raise
        return _unreadable(path, 0, cause)


def _unreadable(path: Path, version: int, error: Exception) -> StoreCheck:
    """An answer for a file that is damaged where everything begins."""
    numbers = ("series", "days", "samples", "quotas", "scenarios", "plans", "imports")
    nothing: dict[str, Any] = dict.fromkeys(numbers, 0)
    return StoreCheck(
        path=shown_path(path),
        bytes=file_bytes(path),
        schema_version=version,
        first="",
        last="",
        damage=(Damage(reason=f"cannot be read at all ({printable(str(error))})"),),
        **nothing,
    )


def inspect(db: sqlite3.Connection, path: Path) -> StoreCheck:
    """Check what a connection of `reading` sees."""
    damage: list[Damage] = []
    version = version_of(db, path)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except UNREADABLE as error:
        return _unreadable(path, version, error)
    size = path.stat().st_size
    if size % 512:
        damage.append(Damage(reason=f"its size is no whole number of pages ({size} bytes)"))
    _pages(db, damage)
    _schema(db, version, damage)
    orphans = _references(db, damage)
    usage = _Usage(damage)
    usage.read(db, version, orphans)
    summed = version > 1
    bodies: dict[str, Callable[[tuple[Any, ...]], object]] = {
        **CLAIMED,
        "quota": lambda row: read_quota(row[1:]),
        "scenario": lambda row: read_scenario(*row[1:]),
        "plan": lambda row: read_body(row[1], row[2]),
        "import": lambda row: read_body(row[1], row[2]),
    }
    keys, values = ", ".join(KEY_FIELDS), "key_id, value, default_value, unit, name, adjustable, is_global"
    queries = {
        "quota": f"SELECT key_id, {keys}, {values}, quota.checksum FROM quota LEFT JOIN quota_key ON id = key_id",
        "scenario": "SELECT rowid, name, body, checksum FROM scenario",
        "plan": f"SELECT id, {SOUND['plan'] if summed else 1}, body FROM plan",
        "import": f"SELECT id, {SOUND['import'] if summed else 1}, report FROM import",
    }
    if version > 2:
        queries |= claim_queries()
        _orphans(db, damage)
    counts = {table: _table(db, table, query, bodies[table], damage) for table, query in queries.items()}
    return StoreCheck(
        path=shown_path(path),
        bytes=file_bytes(path),
        schema_version=version,
        series=usage.series,
        days=usage.days,
        samples=usage.samples,
        first="" if usage.first is None else instant(usage.first),
        last="" if usage.last is None else instant(usage.last),
        quotas=counts["quota"],
        scenarios=counts["scenario"],
        plans=counts["plan"],
        imports=counts["import"],
        reservations=counts.get("reservation", 0),
        failovers=counts.get("failover", 0),
        damage=tuple(dict.fromkeys(damage)),
    )


def _pages(db: sqlite3.Connection, damage: list[Damage]) -> None:
    """What SQLite knows: pages, the order of rows, indexes."""
    try:
        found = [row[0] for row in db.execute(f"PRAGMA integrity_check({MOST_PAGES})")]
        roots = dict(db.execute("SELECT rootpage, tbl_name FROM sqlite_master"))
    except UNREADABLE as error:
        damage.append(Damage(reason=f"its pages cannot be read ({printable(str(error))})"))
        return
    for line in "\n".join(found).split("\n"):
        if line != "ok" and not line.startswith("*** in database"):
            tree = re.match(r"(?:Tree|On tree page) (\d+)", line)
            table = str(roots.get(int(tree[1]), "")) if tree else ""
            damage.append(Damage(table=printable(table), reason=f"SQLite finds: {printable(line)}"))


def _schema(db: sqlite3.Connection, version: int, damage: list[Damage]) -> None:
    expected = tables_of(version)
    try:
        found = dict(db.execute("SELECT name, sql FROM sqlite_master").fetchall())
    except UNREADABLE:
        return  # the pages say so already
    changed = [name for name, sql in expected.items() if found.get(name, "") != sql]
    damage += [Damage(table=name, reason="is not as this schema version defines it") for name in changed]
    later = sorted(found.keys() & (tables_of(len(MIGRATIONS)).keys() - expected.keys()))
    damage += [Damage(table=name, reason=f"is there, and the schema version says {version}") for name in later]


def _references(db: sqlite3.Connection, damage: list[Damage]) -> int:
    """Rows of a quota that is not there; gives how many of them are days of usage."""
    found = {}
    for table in ("usage_day", "quota"):
        try:
            found[table] = len(db.execute(f"PRAGMA foreign_key_check({table})").fetchall())
        except UNREADABLE:
            continue  # the pages or the schema say so already
        if found[table]:
            reason = f"{_count(found[table], 'row')} of a quota that is not in quota_key"
            damage.append(Damage(table=table, reason=reason))
    return found.get("usage_day", 0)


def _orphans(db: sqlite3.Connection, damage: list[Damage]) -> None:
    """A coordination without reservations, or the other way round: a claim is whole or not there."""
    try:
        query = "SELECT id FROM coordination WHERE id NOT IN (SELECT coordination FROM reservation)"
        empty = [row[0] for row in db.execute(query)]
        lost = db.execute("PRAGMA foreign_key_check(reservation)").fetchall()
        lost += db.execute("PRAGMA foreign_key_check(failover_event)").fetchall()
    except UNREADABLE:
        return  # the pages or the schema say so already
    damage += [Damage(table="coordination", item=printable(str(one)), reason="has no reservations") for one in empty]
    for table, *_ in lost:
        damage.append(Damage(table=table, reason="holds a row of a coordination, quota or failover that is not there"))


class _Usage:
    """Quotas and their usage, as they are read."""

    def __init__(self, damage: list[Damage]) -> None:
        self.damage = damage
        self.series = self.days = self.samples = 0
        self.first: int | None = None
        self.last: int | None = None

    def read(self, db: sqlite3.Connection, version: int, orphans: int) -> None:
        """Read every quota's name, and every day of its usage."""
        sound = SOUND["quota_key"] if version > 1 else "1"
        query = f"SELECT id, {', '.join(KEY_FIELDS)}, has_usage, {sound} FROM quota_key"
        unread = len(self.damage)
        for key_id, *parts, has_usage, ok in _rows(db, "quota_key", query, "id", self.damage):
            name = printable(str(QuotaKey(*(str(part) for part in parts))))
            if not ok:
                self.damage.append(Damage(table="quota_key", item=name, reason="is not what was written"))
            self.series += bool(has_usage)
            self._read_days(db, key_id, name)
        if len(self.damage) == unread:  # else it is said already
            there = db.execute("SELECT count(*) FROM usage_day").fetchone()[0]
            if there != self.days + orphans:
                reason = f"{self.days + orphans:,} of {there:,} days are found by their quota"
                self.damage.append(Damage(table="usage_day", reason=reason))

    def _read_days(self, db: sqlite3.Connection, key_id: int, name: str) -> None:
        query = f"SELECT day, key_id, second, usage, checksum FROM usage_day WHERE key_id = {key_id}"
        before = None
        for day, _, second, usage, kept in _rows(db, "usage_day", query, "day", self.damage, name, _day):
            self.days += 1
            try:
                time_s, value = unpack_day((key_id, day, second, usage, kept))
                wrong = _wrong(day, time_s, value, before)
            except (ValueError, TypeError, OverflowError) as error:
                wrong = str(error)
            if wrong:
                self.damage.append(Damage(table="usage_day", item=name, days=_day(day), reason=printable(wrong)))
                continue
            before = day
            self.samples += len(value)
            self.first = min(int(time_s[0]), int(time_s[0]) if self.first is None else self.first)
            self.last = max(int(time_s[-1]), int(time_s[-1]) if self.last is None else self.last)


def _wrong(day: int, time_s: Any, value: Any, before: int | None) -> str:
    """What a checksum does not tell: a day that was written wrong."""
    if abs(day) > MOST_DAY or (before is not None and day <= before):
        return "days are not in order, or beyond 30,000 years of 1970"
    if not len(value) or (np.diff(time_s) <= 0).any() or not 0 <= time_s[-1] - day * DAY_S < DAY_S:
        return "its samples are not in order, or not of that day"
    if not (np.isfinite(value) & (value >= 0)).all():
        return "holds usage that is not finite, or below 0"
    return ""


def _table(
    db: sqlite3.Connection, table: str, query: str, read: Callable[[tuple[Any, ...]], object], damage: list[Damage]
) -> int:
    """Read every row of a small table; gives how many there are."""
    key, count = query.split()[1].rstrip(","), 0
    for row in _rows(db, table, query, key, damage):
        count += 1
        try:
            read(row)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            item = str(row[0])
            if table == "quota" and row[1] is not None:
                item = str(QuotaKey(*(str(part) for part in row[1:6])))
            if table == "scenario":
                item = str(row[1])
            damage.append(Damage(table=table, item=printable(item), reason="is not what was written"))
    return count


def _rows(
    db: sqlite3.Connection, table: str, query: str, key: str, damage: list[Damage], item: str = "",
    shown: Callable[[Any], str] = str,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    """Rows by their key, which is the first column; where some cannot be read, those before and behind them."""
    seen = []
    try:
        for row in db.execute(f"{query} ORDER BY {key}"):
            seen.append(row[0])
            yield row
        return
    except UNREADABLE as error:
        reason = f"cannot be read ({printable(str(error))})"
    behind: list[tuple[Any, ...]] = []
    try:
        for row in db.execute(f"{query} ORDER BY {key} DESC"):
            if row[0] in seen[-1:]:
                break
            behind.append(row)
    except UNREADABLE:
        pass
    ends = [f"after {shown(seen[-1])}"] if seen else []
    ends += [f"before {shown(behind[-1][0])}"] if behind else []
    where = " and ".join(ends)
    if table == "usage_day":
        damage.append(Damage(table=table, item=item, days=where, reason=reason))
    else:
        damage.append(Damage(table=table, item=f"number {where}" if where else "", reason=reason))
    yield from reversed(behind)


def _day(day: object) -> str:
    return str(np.datetime64(day, "D")) if isinstance(day, int) and abs(day) <= MOST_DAY else printable(f"day {day!r}")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def size_text(size: float) -> str:
    """A size in bytes for a person."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.4g} GB"


def file_bytes(path: Path) -> int:
    """What a store takes on the disk: the file, and what waits beside it to be written into it."""
    log = beside(path)[0]
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
