"""The embedded store: one SQLite file with usage, quotas, scenarios and the plans made from them.

Usage is kept as packed days, one row per series and UTC day, because a plan reads whole days. Every import is one
transaction: the store is the one before or the one after, and the same import twice changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from .._bridge import number
from ..errors import InvalidInput, StoreError, invalid
from ..scenario import Scenario
from .addable import require_samples
from .anystore import READS_ONLY, AnyStore, required
from .batches import Progress
from .days import last_second, last_seconds, merge_days, read_days
from .extent import Extents
from .failoverrows import FailoverRows
from .keys import Quota, QuotaKey
from .known import KEY, QUOTA, Known, check_names, check_quotas, known_of, quotas_of
from .ledger import Ledger
from .opening import check_pages, explained, is_there, one_moment, prepare, transaction
from .quotas import owned
from .report import ImportReport, totals
from .samples import SampleSet
from .schema import (
    REMEDY,
    SOUND,
    pack_quota,
    pack_scenario,
    quota_name,
    read_body,
    read_keys,
    read_quota,
    read_scenario,
    shown_path,
)
from .spool import Gathered, Gathering
from .tally import reports_of
from .upkeep import Upkeep

_T = TypeVar("_T")


class _Undone(Exception):
    """Ends a transaction of which nothing is to be kept."""


class Store(Upkeep, FailoverRows, AnyStore):
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
        if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str) or str(path) == ":memory:":
            raise invalid("path", "must be the path of a file", path)
        if str(path).startswith("dynamodb:"):
            raise invalid("path", "must be the path of a file; open_store and DynamoStore take addresses", path)
        self.path = Path(path)
        self._timeout_s = number(timeout_s, "timeout_s", rule="must be seconds, 0 or more", least=0)
        if not create:
            is_there(self.path)
        with self._explained():
            try:
                self._db = sqlite3.connect(self.path, timeout=self._timeout_s, isolation_level=None)
            except ValueError as error:
                raise StoreError(f"store {shown_path(self.path)}: cannot be opened: {error}") from error
        self._extents, self._all_checked, self._reads_only = Extents(self._db), False, False
        try:
            with self._explained():
                prepare(self._db, self.path, create, self._timeout_s)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file. What was imported is there already."""
        with self._explained():
            self._db.close()

    @property
    def location(self) -> str:
        """The path, as it was given."""
        return str(self.path)

    @property
    def schema_version(self) -> int:
        """Version of the tables; an older store is brought up to date when it is opened."""
        with self._explained():
            return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens, or nothing does; inside another transaction, as part of that one."""
        if self._reads_only:  # before anything is locked
            raise StoreError(f"store {shown_path(self.path)}: {READS_ONLY}")
        with self._explained(), self._extents.undone(), transaction(self._db):
            yield

    def attempt(self, work: Callable[[], _T], *, keep: Callable[[_T], bool] = lambda _: True) -> _T:
        """Do something in one transaction, which is undone where its answer is not to be kept."""
        try:
            with self.transaction():
                made = work()
                if not keep(made):
                    raise _Undone
        except _Undone:
            pass
        return made

    @contextlib.contextmanager
    def _moment(self) -> Iterator[None]:
        with self._explained():
            begins = not self._db.in_transaction
            with one_moment(self._db):
                self._reads_only |= begins
                try:
                    yield
                finally:
                    self._reads_only &= not begins

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[None]:
        try:
            with self._moment():
                yield
        except InvalidInput:  # what was asked for, nothing that was read
            raise
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            reason = f"is damaged ({type(error).__name__}: {error})"
            raise StoreError(f"store {shown_path(self.path)}: {reason}; {REMEDY}") from error

    def add_samples(self, found: SampleSet, *, progress: Progress | None = None, noted: bool = True) -> ImportReport:
        """Add samples that were read before (`History.samples`), all or nothing; see `import_usage`.

        ``progress`` is called with (series done, series in all); ``noted``: whether `imports` will name it.
        """
        with self.transaction():
            known = self._names(found.keys)
            quotas = {q.key: q for q in owned(self._known(found.units))}
            require_samples(found, quotas, {key: one.unit for key, one in known.items()})
            # One wrong year would make every later plan fail, so it is refused here, where it can still be named.
            self._extents.admit(found, known)
            report = self._merge(found, known, progress)
            if noted:
                body = json.dumps(replace(report, per_series=()).to_dict())  # of thousands, for ever, it is too much
                self._db.execute("INSERT INTO import (made, report) VALUES (datetime('now'), ?)", (body,))
        return report

    def _write_quotas(self, quotas: Mapping[QuotaKey, Quota]) -> None:
        for key, q in quotas.items():
            row = pack_quota(self._key_id(key), q)
            self._db.execute("REPLACE INTO quota VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _quotas(self, names: Container[tuple[str, ...]] | None = None) -> tuple[Quota, ...]:
        query = f"SELECT {KEY}, {QUOTA} FROM quota LEFT JOIN quota_key ON id = key_id ORDER BY key_id"
        with self._snapshot():
            rows = self._db.execute(query)
            return tuple(read_quota(row) for row in rows if names is None or quota_name(row) in names)

    def _known(self, keys: Collection[QuotaKey], told: Iterable[QuotaKey] = ()) -> tuple[Quota, ...]:
        with self._snapshot():
            self._names(())
            return quotas_of(self._db, keys, told)

    def _units_of(self, keys: Iterable[QuotaKey]) -> dict[QuotaKey, str]:
        return {key: known.unit for key, known in self._names(keys).items()}

    def _names(self, keys: Iterable[QuotaKey]) -> dict[QuotaKey, Known]:
        """What an import begins with: the first one of a Store looks at every name and quota, as damage may hide."""
        with self._snapshot():
            if not self._all_checked:
                check_names(self._db)
                check_quotas(self._db)
                self._all_checked = True
            return known_of(self._db, keys)

    def keys_with_usage(self) -> tuple[QuotaKey, ...]:
        """The quotas whose usage was imported."""
        with self._snapshot():
            return self._keys("WHERE has_usage")[0]

    def last_samples(self) -> dict[QuotaKey, int]:
        """Epoch seconds of the last sample of every quota that has any: where to go on collecting."""
        with self._snapshot():
            keys, ids = self._keys("WHERE has_usage")
            last = last_seconds(self._db)
            return {key: last[key_id] for key, key_id in zip(keys, ids, strict=True) if key_id in last}

    def last_by_place(self) -> Callable[[str, Collection[str]], Mapping[QuotaKey, int]]:
        """Give a function of an account and some Regions: those of `last_samples`. Nothing else is read, or kept."""
        return self._last_in

    def _last_in(self, account: str, regions: Collection[str]) -> dict[QuotaKey, int]:
        with self._snapshot():
            where = f"WHERE has_usage AND account = ? AND region IN ({', '.join('?' * len(regions))})"
            keys, ids = self._keys(where, (account, *regions))
            last = ((key, last_second(self._db, key_id)) for key, key_id in zip(keys, ids, strict=True))
            return {key: second for key, second in last if second is not None}

    def samples(self, *, progress: Progress | None = None) -> Gathered:
        """Every sample as it was taken; ``progress`` is called with (days read, days in all)."""
        gathering = Gathering()
        with self._snapshot():
            check_pages(self._db)
            keys, ids = self._keys("WHERE has_usage")
            units = self._units()
            days = self._db.execute("SELECT count(*) FROM usage_day").fetchone()[0]
            done = 0
            for key_id in ids:
                time_s, value, count = read_days(self._db, key_id)
                gathering.add(time_s, value)
                done += count
                if progress:
                    progress(done, days)
            if done != days:  # a page in another's place: some are found twice, and some not at all
                raise ValueError(f"{days:,} days of samples are there, and {done:,} are found by their quota")
        found = gathering.done(keys, units, ImportReport(source=""))
        if not len(found):
            raise StoreError(f"store {shown_path(self.path)}: holds no usage yet (surgetank import FILE adds some)")
        return found

    def _write_scenarios(self, scenarios: Sequence[Scenario]) -> None:
        self._db.execute("DELETE FROM scenario")
        self._db.executemany("INSERT INTO scenario VALUES (?, ?, ?)", [pack_scenario(s) for s in scenarios])

    def scenarios(self) -> tuple[Scenario, ...]:
        """The scenarios that plans from this store use."""
        with self._snapshot():
            rows = self._db.execute("SELECT name, body, checksum FROM scenario ORDER BY rowid").fetchall()
            return tuple(read_scenario(*row) for row in rows)

    def _write_plan(self, body: Mapping[str, Any]) -> int:
        row = (body["made"], body["as_of"], body["status"], body["coverage"], json.dumps(body))
        fields = "made, as_of, status, coverage, body"
        return int(self._db.execute(f"INSERT INTO plan ({fields}) VALUES (?, ?, ?, ?, ?)", row).lastrowid or 0)

    def plans(self) -> list[dict[str, Any]]:
        """The plans made, newest first: number, made, as_of, status, coverage and body."""
        names = ("number", "made", "as_of", "status", "coverage", "body")
        with self._snapshot():
            query = f"SELECT {SOUND['plan']}, id, made, as_of, status, coverage, body FROM plan ORDER BY id DESC"
            rows = self._db.execute(query)
            return [dict(zip(names, (*row[:5], read_body(sound, row[5])), strict=True)) for sound, *row in rows]

    def requirements(self, region: str, *, least_frac: float = 0.0) -> list[dict[str, Any]]:
        """Rows of the last plan in one Region of which the utilization is at least so much, the highest first."""
        least = number(least_frac, "least_frac", rule="must be a number")
        rows = [row for plan in self.plans()[:1] for row in plan["body"].get("quotas", ())]
        return required(rows, region, least)

    def imports(self) -> list[dict[str, Any]]:
        """The reports of all imports, newest first."""
        with self._snapshot():
            rows = self._db.execute(f"SELECT {SOUND['import']}, made, report FROM import ORDER BY id DESC").fetchall()
            return [{"made": made, **read_body(sound, report)} for sound, made, report in rows]

    # How it is kept.

    @property
    def _book(self) -> Ledger:
        return Ledger(self._db, self._key_id)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with explained(self.path, self._timeout_s):
                yield
        except UnicodeEncodeError as error:
            raise invalid("name", "must be valid Unicode", error.object) from error

    def _keys(self, where: str = "", values: Sequence[str] = ()) -> tuple[tuple[QuotaKey, ...], list[int]]:
        query = f"SELECT {KEY}, id, {SOUND['quota_key']} FROM quota_key {where} ORDER BY id"
        return read_keys(self._db.execute(query, values))

    def _key_id(self, key: QuotaKey) -> int:
        self._db.execute(f"INSERT OR IGNORE INTO quota_key ({KEY}) VALUES (?, ?, ?, ?, ?)", key)
        found = self._db.execute(f"SELECT id FROM quota_key WHERE ({KEY}) = (?, ?, ?, ?, ?)", key).fetchone()
        return int(found[0])

    def _units(self) -> dict[QuotaKey, str]:
        check_names(self._db)
        keys, ids = self._keys()
        rows = self._db.execute("SELECT id, usage_unit FROM quota_key WHERE usage_unit != ''")
        names = dict(zip(ids, keys, strict=True))
        return {names[key_id]: unit for key_id, unit in rows}

    def _merge(self, found: SampleSet, known: Mapping[QuotaKey, Known], progress: Progress | None) -> ImportReport:
        per_series = reports_of(found)
        for n, key in enumerate(found.keys):
            unit, before = found.units.get(key, ""), known[key].unit if key in known else ""
            key_id = self._key_id(key)
            note = "UPDATE quota_key SET has_usage = 1, usage_unit = ? WHERE id = ?"
            self._db.execute(note, (unit or before, key_id))
            per_series[n] = merge_days(self._db, key_id, *found.series(n), per_series[n])
            if progress:
                progress(n + 1, len(found.keys))
        return replace(found.report, **totals(per_series))
