"""What keeps a store well: `check`, `backup` and `compact`. Nothing here happens by itself."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import sqlite3
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._bridge import Duration, duration_s
from .._table import span
from ..errors import StoreError, invalid
from .backup import StoreBackup, backup_store
from .extent import Extents
from .opening import explained, transaction
from .schema import DAY_S, explain, shown_path, unpack_day
from .soundness import MOST_DAY, StoreCheck, check_store, file_bytes, size_text

#: Of the usage, counted back from the last sample. Plans and import reports are kept for ever.
KEEP_S = 90.0 * DAY_S
MARGIN = 65_536  # bytes of room beyond what the pages take


@dataclass(frozen=True, kw_only=True)
class Compaction:
    """What `Store.compact` removed, or would remove, and how large the file is now."""

    path: str
    keep_s: float | None  #: how much of the usage is kept, counted back from the last sample; None: all
    before: str  #: usage before that day (UTC) is removed; empty where none is
    days: int  #: rows of usage removed, one per series and day
    samples: int
    series: int  #: that lose some of their usage ...
    emptied: int  #: ... or all of it
    done: bool  #: False: nothing was changed, because there is something to remove and nobody said yes
    bytes_before: int
    bytes_after: int
    kept_in: str = "file"  #: what became smaller
    in_use: bool = False  #: another process is reading: the file becomes smaller when it is done

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Give what a person wants to know, in a few lines."""
        kept = "all usage" if self.keep_s is None else f"the last {span(self.keep_s)} of usage"
        if self.days:
            what = f"{self.samples:,} samples of {self.series:,} series before {self.before}"
            were, have = ("were", "have") if self.done else ("would be", "would have")
            empty = f" ({self.emptied:,} of them {have} none left)" if self.emptied else ""
            lines = [f"{self.path}: {what} {were} removed{empty}"]
            lines.append(f"Kept: {kept}, every plan and import report, quotas and scenarios.")
        else:
            lines = [f"{self.path}: nothing to remove, {kept} is kept"]
        if not self.done:
            return "\n".join([*lines, "Nothing was changed. --yes (remove=True) removes it."])
        wait = "; another process is reading it, and it becomes smaller when that is done" if self.in_use else ""
        sizes = f"{size_text(self.bytes_before)} before, {size_text(self.bytes_after)} now"
        return "\n".join([*lines, f"The {self.kept_in}: {sizes}{wait}."])


class Upkeep:
    """The methods of a `Store` that keep it well."""

    path: Path
    _db: sqlite3.Connection
    _timeout_s: float
    _extents: Extents

    def check(self) -> StoreCheck:
        """Read everything the file holds, and say what of it is not what was written.

        Returns
        -------
        StoreCheck
            ``sound``, what the store holds, and ``damage``: every damaged thing by table, quota and day, as far as it
            can be read. Damage is an answer, not an error.

        Raises
        ------
        StoreError
            The file cannot be opened, or is no store that this version knows.

        Notes
        -----
        SQLite's own checks of pages and indexes; references; the tables' definitions; a CRC-32 of every row, and what
        it does not tell (instants in order, usage at least 0). Nothing is written. It is of one moment: what others
        commit meanwhile is not in it, nor what this Store has not committed yet.

        Examples
        --------
        >>> import surgetank, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with surgetank.Store(f"{folder}/fleet.db", create=True) as store:
        ...         store.check().sound
        True
        """
        self._is_open()
        return check_store(self.path, self._timeout_s)

    def backup(self, path: str | os.PathLike[str], *, force: bool = False) -> StoreBackup:
        """Copy the store as it is at this moment, while others may write to it.

        Parameters
        ----------
        path : path
            The copy, which is a store like any other.
        force : bool, default False
            Replace a file that is there.

        Returns
        -------
        StoreBackup
            The copy's size, and the check it has passed.

        Raises
        ------
        StoreError
            The store is damaged, the copy cannot be written, or would replace something. Nothing is left behind, and
            nothing is replaced.

        Notes
        -----
        The copy is made under another name beside ``path``, checked whole, brought to the disk, then renamed. Killed in
        between, a process leaves that file, ``.surgetank-….partial``, which nobody needs. What this Store has not
        committed yet is not in it.

        Examples
        --------
        >>> import surgetank, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with surgetank.Store(f"{folder}/fleet.db", create=True) as store:
        ...         copied = store.backup(f"{folder}/copy.db")
        >>> copied.check.sound
        True
        """
        self._is_open()
        try:
            target = Path(path)
        except TypeError:
            raise invalid("path", "must be a path", path) from None
        return backup_store(self.path, target, self._timeout_s, force=force)

    def compact(self, *, keep_s: Duration | None = KEEP_S, remove: bool = False) -> Compaction:
        """Remove usage that is older than ``keep_s``, if told to, and give the room back to the disk.

        Parameters
        ----------
        keep_s : float (seconds), timedelta or None, default 90 days
            How much of the usage to keep, counted back from the last sample of all; whole days (UTC) before that go.
            Less makes the store smaller; more lets a policy and a backtest look further back. None keeps all.
        remove : bool, default False
            Without it, nothing is changed where there is something to remove, and the result says what it would be.

        Returns
        -------
        Compaction
            What was or would be removed, and the size before and after.

        Raises
        ------
        StoreError
            The store is damaged, in use, or the disk has no room to rewrite it: as much as what is kept takes.

        Notes
        -----
        Plans, import reports, quotas and scenarios stay, those of series without usage as well. Usage is removed by
        this call and by `surgetank store compact --yes` alone, never by itself.

        Examples
        --------
        >>> import surgetank, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with surgetank.Store(f"{folder}/fleet.db", create=True) as store:
        ...         store.compact().days
        0
        """
        keep = None if keep_s is None else duration_s(keep_s, "keep_s", above=True)
        self._is_open()
        if self._db.in_transaction:
            raise StoreError(f"store {shown_path(self.path)}: cannot be compacted inside a transaction")
        size = file_bytes(self.path)
        with contextlib.ExitStack() as room, explained(self.path, self._timeout_s):
            with transaction(self._db):  # nobody writes between the check and the deletion
                check_store(self.path, self._timeout_s).require_sound("it was not compacted, and nothing was changed")
                day, found = self._older(keep, size)
                if found.days and not remove:
                    return found
                if found.days:
                    self._extents.forget()
                    self._db.execute("PRAGMA secure_delete = OFF")  # pages that are dropped need not be written first
                    self._db.execute("DELETE FROM usage_day WHERE day < ?", (day,))
                self._reserve(room)
            in_use = self._rewrite(room, bool(found.days))
        return replace(found, done=True, bytes_after=file_bytes(self.path), in_use=in_use)

    def _is_open(self) -> None:
        with explained(self.path, self._timeout_s):
            self._db.execute("PRAGMA user_version").fetchone()

    def _older(self, keep: float | None, size: int) -> tuple[int, Compaction]:
        """What of the usage is older, and the first day that is not."""
        first = last = None
        if keep is not None:
            rows = self._db.execute("SELECT * FROM usage_day WHERE day = (SELECT max(day) FROM usage_day)")
            last = max((int(unpack_day(row)[0][-1]) for row in rows), default=None)
            first = None if last is None else math.floor((last - keep) / DAY_S)  # even a day's last second is older
        day = -MOST_DAY if first is None else max(first, -MOST_DAY)
        query = "SELECT count(*), total(length(usage) / 8), count(DISTINCT key_id) FROM usage_day WHERE day < ?"
        days, samples, series = map(int, self._db.execute(query, (day,)).fetchone())
        query = "SELECT count(*) FROM (SELECT key_id FROM usage_day GROUP BY key_id HAVING max(day) < ?)"
        emptied = int(self._db.execute(query, (day,)).fetchone()[0])
        return day, Compaction(
            path=shown_path(self.path),
            keep_s=keep,
            before=str(np.datetime64(day, "D")) if days else "",
            days=days,
            samples=samples,
            series=series,
            emptied=emptied,
            done=False,
            bytes_before=size,
            bytes_after=size,
        )

    def _reserve(self, room: contextlib.ExitStack) -> None:
        """Hold the room that rewriting takes, before anything is changed for good."""
        numbers = ("page_count", "freelist_count", "page_size")
        pages, free, page = (int(self._db.execute(f"PRAGMA {name}").fetchone()[0]) for name in numbers)
        need = math.ceil((pages - free) * page * 1.01) + MARGIN
        folder = self.path.parent
        try:
            for folder in (self.path.parent, _temporary()):
                held = room.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 (`room` closes it)
                _hold(held.fileno(), folder, need)
        except OSError as error:
            lacking = f"{size_text(need)} must be free in {shown_path(folder)} to rewrite it ({error.strerror})"
            rule = f"cannot be compacted: {lacking}; nothing was changed"
            raise StoreError(f"store {shown_path(self.path)}: {rule}") from error

    def _rewrite(self, room: contextlib.ExitStack, removed: bool) -> bool:
        """Make the file smaller; gives whether another process is reading what it was."""
        checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)"
        try:
            self._db.execute(checkpoint).fetchall()
            room.close()
            self._db.execute("VACUUM")
            return bool(self._db.execute(checkpoint).fetchone()[0])
        except sqlite3.Error as error:
            reason = explain(error, self._timeout_s).removesuffix("; nothing was changed")
            done = "the older usage was removed, but the file" if removed else "the file"
            rule = f"{done} was not made smaller: {reason}; nothing else was changed, and the same call can be repeated"
            raise StoreError(f"store {shown_path(self.path)}: {rule}") from error


def _temporary() -> Path:
    """Where SQLite puts its temporary files."""
    folders = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), "/var/tmp", "/usr/tmp", "/tmp")
    there = (f for f in folders if f and os.path.isdir(f) and os.access(f, os.W_OK | os.X_OK))
    return Path(next(there, tempfile.gettempdir()))


def _hold(file: int, folder: Path, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    elif shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
