"""The embedded store: one SQLite file with usage, quotas, scenarios and the plans made from them.

Usage is kept as packed days, one row per series and UTC day, because a plan reads whole days. Every import is one
transaction: the store is the one before or the one after, and the same import twice changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from .._bridge import Duration, Floats, Instant, number
from ..errors import StoreError, invalid
from ..scenario import Scenario
from .history import History
from .keys import KEY_FIELDS, Quota, QuotaKey, check_units, quotas_by_key
from .readers import Progress, read_quotas, read_samples
from .report import ImportReport
from .samples import MOST_CELLS, Ints, Samples, merge
from .schema import (
    APPLICATION_ID,
    DAY_S,
    MIGRATIONS,
    explain,
    pack_day,
    pack_quota,
    pack_scenario,
    read_quota,
    read_scenario,
    shown_path,
    unpack_day,
)

_KEY = ", ".join(KEY_FIELDS)


class Store:
    """An embedded store in one file.

    Parameters
    ----------
    path : path
        The file; beside it SQLite keeps ``-wal`` and ``-shm`` files while it is open.
    create : bool, default False
        Make the file where there is none.
    timeout_s : float, default 5
        How long to wait for another process that is writing.

    Raises
    ------
    StoreError
        No such file, another program's file, a newer schema, damage, or a lock that is not given up.

    Notes
    -----
    Any number of processes may read while one writes. One Store object belongs to one thread.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = False, timeout_s: float = 5.0) -> None:
        """Open the file, check that it is a store, and bring an older one up to date."""
        self.path = Path(path)
        self._timeout_s = number(timeout_s, "timeout_s", rule="must be seconds, 0 or more", least=0)
        there = self._is_there()
        if not create and not there:
            hint = "surgetank import FILE makes one, surgetank demo a sample"
            raise StoreError(f"store {shown_path(self.path)}: there is none ({hint})")
        with self._explained():
            try:
                self._db = sqlite3.connect(self.path, timeout=self._timeout_s, isolation_level=None)
            except ValueError as error:
                raise StoreError(f"store {shown_path(self.path)}: cannot be opened: {error}") from error
        try:
            with self._explained():
                self._prepare(create)
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Store:
        """Use the store in a with block; it is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file. What was imported is there already."""
        with self._explained():
            self._db.close()

    @property
    def schema_version(self) -> int:
        """Version of the tables; an older store is brought up to date when it is opened."""
        with self._explained():
            return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing does; inside another transaction, as part of that one."""
        with self._explained():
            inner = self._db.in_transaction
            begin, end, undo = (
                ("SAVEPOINT inner", "RELEASE inner", "ROLLBACK TO inner")
                if inner
                else ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
            )
            self._db.execute(begin)
            try:
                yield
                self._db.execute(end)
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute(undo)
                raise

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Everything read inside is of one moment, and what cannot be understood is damage."""
        with self._explained():
            inner = self._db.in_transaction
            if not inner:
                self._db.execute("BEGIN")
            try:
                yield
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                reason = f"is damaged ({type(error).__name__}: {error})"
                raise StoreError(f"store {shown_path(self.path)}: {reason}; restore it from a copy") from error
            finally:
                if not inner and self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def import_usage(self, source: object, **reading: Any) -> ImportReport:
        """Read usage (see `History.read` for sources and options) and add it, all or nothing.

        Of several samples for one instant the maximum is kept, whatever the order of imports.
        """
        if reading.get("negative") == "keep":
            raise invalid("negative", 'must be "refuse" or "missing" for a store', "keep")
        return self.add_samples(read_samples(source, **reading))

    def add_samples(self, found: Samples) -> ImportReport:
        """Add samples that were read before, all or nothing."""
        bad = found.value[~(found.value >= 0) | np.isinf(found.value)]
        if len(bad):
            raise invalid("usage", "must be finite and 0 or more in a store", bad[0])
        with self.transaction():
            check_units(found.units, {q.key: q for q in self.quotas()})
            report = self._merge(found)
            self._check_span()
            body = json.dumps(report.to_dict())
            self._db.execute("INSERT INTO import (made, report) VALUES (datetime('now'), ?)", (body,))
        return report

    def import_quotas(self, source: object, **reading: Any) -> int:
        """Add or replace quotas from a file, a frame, Quota objects or a mapping, all or nothing; give their number."""
        if isinstance(source, Mapping) or (isinstance(source, Sequence) and not isinstance(source, str)):
            quotas = quotas_by_key(source)
        else:
            quotas = quotas_by_key(read_quotas(source, **reading))
        if not quotas:
            raise invalid("quotas", "must hold at least one quota", source)
        with self.transaction():
            check_units(self._units(), quotas)
            for key, q in quotas.items():
                row = pack_quota(self._key_id(key), q)
                self._db.execute("REPLACE INTO quota VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return len(quotas)

    def quotas(self) -> tuple[Quota, ...]:
        """Every quota the store knows."""
        columns = "key_id, value, default_value, unit, name, adjustable, is_global, checksum"
        query = f"SELECT {_KEY}, {columns} FROM quota JOIN quota_key ON id = key_id ORDER BY id"
        with self._snapshot():
            return tuple(read_quota(row) for row in self._db.execute(query))

    def history(
        self, *, step_s: Duration | None = None, until: Instant | None = None, progress: Progress | None = None
    ) -> History:
        """Read everything: usage on its grid (see `History.read` for the arguments), quotas and scenarios."""
        with self._snapshot():
            found, quotas, scenarios = self.samples(progress=progress), self.quotas(), self.scenarios()
        return History.from_samples(found, quotas=quotas, step_s=step_s, until=until, scenarios=scenarios)

    def keys_with_usage(self) -> tuple[QuotaKey, ...]:
        """The quotas whose usage was imported."""
        with self._snapshot():
            return self._keys("WHERE has_usage")[0]

    def samples(self, *, progress: Progress | None = None) -> Samples:
        """Every sample as it was taken; ``progress`` is called with (days read, days in all)."""
        codes: list[Ints] = []
        times: list[Ints] = []
        values: list[Floats] = []
        with self._snapshot():
            keys, ids = self._keys("WHERE has_usage")
            units = self._units()
            number = {key_id: code for code, key_id in enumerate(ids)}
            days = self._db.execute("SELECT count(*) FROM usage_day").fetchone()[0] if progress else 0
            for row in self._db.execute("SELECT * FROM usage_day"):
                if progress and len(codes) % 1000 == 0:
                    progress(len(codes), days)
                seconds, usages = unpack_day(row)
                times.append(seconds)
                values.append(usages)
                codes.append(np.full(len(usages), number[row[0]], dtype=np.int64))
        if not codes:
            raise StoreError(f"store {shown_path(self.path)}: holds no usage yet (surgetank import FILE adds some)")
        merged = merge(np.concatenate(codes), np.concatenate(times), np.concatenate(values))
        return Samples(keys, merged.code, merged.time_s, merged.value, units)

    def save_scenarios(self, scenarios: Sequence[Scenario]) -> None:
        """Replace the scenarios that plans from this store use."""
        rows = [pack_scenario(s) for s in _scenarios(scenarios)]
        with self.transaction():
            self._db.execute("DELETE FROM scenario")
            self._db.executemany("INSERT INTO scenario VALUES (?, ?, ?)", rows)

    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios that plans from this store use."""
        with self._snapshot():
            rows = self._db.execute("SELECT name, body, checksum FROM scenario ORDER BY rowid").fetchall()
            return tuple(read_scenario(*row) for row in rows)

    def save_plan(self, body: Mapping[str, Any]) -> int:
        """Keep a plan as `Plan.to_dict` gives it; give its number."""
        with self.transaction():
            row = (body["made"], body["as_of"], body["status"], body["coverage"], json.dumps(body))
            cursor = self._db.execute(
                "INSERT INTO plan (made, as_of, status, coverage, body) VALUES (?, ?, ?, ?, ?)", row
            )
        return int(cursor.lastrowid or 0)

    def plans(self) -> list[dict[str, Any]]:
        """The plans made, newest first: number, made, as_of, status, coverage and body."""
        names = ("number", "made", "as_of", "status", "coverage", "body")
        with self._snapshot():
            rows = self._db.execute("SELECT id, made, as_of, status, coverage, body FROM plan ORDER BY id DESC")
            return [dict(zip(names, (*row[:5], json.loads(row[5])), strict=True)) for row in rows]

    def imports(self) -> list[dict[str, Any]]:
        """The reports of all imports, newest first."""
        with self._snapshot():
            rows = self._db.execute("SELECT made, report FROM import ORDER BY id DESC").fetchall()
            return [{"made": made, **json.loads(report)} for made, report in rows]

    # How it is kept.

    def _is_there(self) -> bool:
        try:
            return self.path.is_file()
        except (OSError, ValueError) as error:  # a name that no file system takes
            raise StoreError(f"store {shown_path(self.path)}: cannot be opened: {error}") from error

    def _check_span(self) -> None:
        # One wrong year would make every later plan fail, so it is refused here, where it can still be named.
        first, last = self._db.execute("SELECT min(day), max(day) FROM usage_day").fetchone()
        series = self._db.execute("SELECT count(*) FROM quota_key WHERE has_usage").fetchone()[0]
        if (last - first) * DAY_S // 60 * series > MOST_CELLS:  # else even a step of a minute fits
            self.samples().check_span()

    def _prepare(self, create: bool) -> None:
        if (size := self.path.stat().st_size) % 512:  # whole pages, the smallest of 512 bytes
            raise sqlite3.DatabaseError(f"file is not a database, or malformed: {size} bytes")
        version, application = self.schema_version, self._db.execute("PRAGMA application_id").fetchone()[0]
        fresh = version == 0 and application == 0 and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone()
        if fresh and not create:
            raise StoreError(f"store {shown_path(self.path)}: is empty, not a store; nothing was changed")
        if application != APPLICATION_ID and not fresh:
            raise StoreError(f"store {shown_path(self.path)}: is a database of another program; nothing was changed")
        if version > len(MIGRATIONS):
            rule = f"has schema version {version}, newer than this surgetank's {len(MIGRATIONS)}; update surgetank"
            raise StoreError(f"store {shown_path(self.path)}: {rule}; nothing was changed")
        self._db.execute("PRAGMA foreign_keys = ON")
        if fresh:
            self._db.execute("PRAGMA journal_mode = WAL")
        if version < len(MIGRATIONS):
            with self.transaction():
                for script in MIGRATIONS[self.schema_version :]:  # read again: another process may have been first
                    for statement in script.split(";\n"):
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"store {shown_path(self.path)}: {explain(error, self._timeout_s)}") from error
        except UnicodeEncodeError as error:
            raise invalid("name", "must be valid Unicode", error.object) from error

    def _keys(self, where: str = "") -> tuple[tuple[QuotaKey, ...], list[int]]:
        rows = self._db.execute(f"SELECT {_KEY}, id FROM quota_key {where} ORDER BY id").fetchall()
        return tuple(QuotaKey(*row[:5]) for row in rows), [row[5] for row in rows]

    def _key_id(self, key: QuotaKey) -> int:
        self._db.execute(f"INSERT OR IGNORE INTO quota_key ({_KEY}) VALUES (?, ?, ?, ?, ?)", key)
        found = self._db.execute(f"SELECT id FROM quota_key WHERE ({_KEY}) = (?, ?, ?, ?, ?)", key).fetchone()
        return int(found[0])

    def _units(self) -> dict[QuotaKey, str]:
        rows = self._db.execute(f"SELECT {_KEY}, usage_unit FROM quota_key WHERE usage_unit != ''").fetchall()
        return {QuotaKey(*row[:5]): row[5] for row in rows}

    def _merge(self, found: Samples) -> ImportReport:
        known_units = self._units()
        duplicates = conflicts = added = 0
        bounds = np.searchsorted(found.code, np.arange(len(found.keys) + 1))
        for code, key in enumerate(found.keys):
            unit = found.units.get(key, "")
            if unit and known_units.get(key, unit).casefold() != unit.casefold():
                raise invalid("unit", f"of the usage of {key} must stay {known_units[key]!r}", unit)
            key_id = self._key_id(key)
            note = "UPDATE quota_key SET has_usage = 1, usage_unit = ? WHERE id = ?"
            self._db.execute(note, (unit or known_units.get(key, ""), key_id))
            part = slice(bounds[code], bounds[code + 1])
            counts = self._merge_series(key_id, found.time_s[part], found.value[part])
            added, duplicates, conflicts = added + counts[0], duplicates + counts[1], conflicts + counts[2]
        report = found.report
        return replace(
            report, added=added, duplicates=report.duplicates + duplicates, conflicts=report.conflicts + conflicts
        )

    def _merge_series(self, key_id: int, time_s: Ints, value: Floats) -> tuple[int, int, int]:
        if not len(value):
            return 0, 0, 0
        new_days = np.unique(time_s // DAY_S)
        query = "SELECT * FROM usage_day WHERE key_id = ? AND day BETWEEN ? AND ?"
        known_times, known_values = [time_s[:0]], [value[:0]]
        for row in self._db.execute(query, (key_id, int(new_days[0]), int(new_days[-1]))):
            try:
                seconds, usages = unpack_day(row)
            except (ValueError, TypeError) as error:
                raise sqlite3.DatabaseError(f"malformed: {error}") from error
            known_times.append(seconds)
            known_values.append(usages)
        times = np.concatenate([time_s, *known_times])
        merged = merge(np.zeros(len(times), dtype=np.int64), times, np.concatenate([value, *known_values]))
        rows = []
        days = merged.time_s // DAY_S
        starts = np.searchsorted(days, new_days)
        ends = np.searchsorted(days, new_days, side="right")
        for day, start, end in zip(new_days.tolist(), starts, ends, strict=True):
            second = merged.time_s[start:end] - day * DAY_S
            rows.append(pack_day(key_id, day, second, merged.value[start:end]))
        self._db.executemany("REPLACE INTO usage_day VALUES (?, ?, ?, ?, ?)", rows)
        return len(value) - merged.duplicates - merged.conflicts, merged.duplicates, merged.conflicts


def _scenarios(scenarios: Sequence[Scenario]) -> Sequence[Scenario]:
    names = [s.name if isinstance(s, Scenario) else s for s in scenarios]
    if not all(isinstance(s, Scenario) for s in scenarios) or len(set(names)) != len(names):
        raise invalid("scenarios", "must be Scenario objects of different names", names)
    return scenarios
