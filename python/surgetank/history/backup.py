"""A copy of a store, made while others write to it: whole and checked before it has its name."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import StoreError
from .opening import beside, explained, reading
from .schema import explain, shown_path
from .soundness import StoreCheck, inspect, size_text

PAGES = 2000  # copied at a time; in between Ctrl-C is heard
NONE_MADE = "no backup was made"


@dataclass(frozen=True, kw_only=True)
class StoreBackup:
    """A copy that was made, and what it holds."""

    store: str
    path: str  #: the copy
    bytes: int
    check: StoreCheck  #: of the copy

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "check": self.check.to_dict()}

    def __str__(self) -> str:
        """Give what a person wants to know, in one line."""
        held = f"{self.check.series:,} series up to {self.check.last}" if self.check.last else "no usage"
        return f"{self.path}: a copy of {self.store}, checked ({size_text(self.bytes)}, {held})"


def backup_store(path: Path, target: Path, timeout_s: float, *, force: bool) -> StoreBackup:
    """Copy a store's one moment to ``target``; nothing is left behind where that fails."""
    name = f"backup {shown_path(target)}"
    with reading(path, timeout_s) as db:
        try:
            _refuse(path, target, force, name)
            with _partial(target.parent) as partial:
                check = _copy(db, path, partial, name)
                mode = (os.stat(path).st_mode & 0o777) | 0o600  # who may read the store may read its copy
                os.chmod(partial, mode)
                _to_disk(partial)
                _rename(partial, target, force, name)
            _to_disk(target.parent)
            return StoreBackup(
                store=shown_path(path), path=shown_path(target), bytes=os.stat(target).st_size, check=check
            )
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(f"{name}: cannot be written: {reason}; {NONE_MADE}") from error


def _refuse(path: Path, target: Path, force: bool, name: str) -> None:
    """Refuse names under which a copy would destroy something, or be destroyed."""
    there = os.path.lexists(target)
    if target.exists() and target.samefile(path):
        raise StoreError(f"{name}: is the store itself; name another file; {NONE_MADE}")
    if target.resolve() in beside(path):
        raise StoreError(f"{name}: is a part of the store itself; name another file; {NONE_MADE}")
    if there and not (target.is_file() or target.is_symlink()):
        raise StoreError(f"{name}: must be a file, and is something else; {NONE_MADE}")
    if there and not force:
        raise StoreError(f"{name}: is there already; --force (force=True) replaces it; {NONE_MADE}")
    own = beside(target, follow=False)  # they would be taken for parts of the copy
    if other := next((other for other in own if other.exists()), None):
        rule = f"{other.name} lies beside it, of another database that is in use or was left by a crash"
        raise StoreError(f"{name}: {rule}; name another file; {NONE_MADE}")


@contextlib.contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A name beside the target that nobody has; what has that name in the end is removed."""
    partial = folder / f".surgetank-{secrets.token_hex(8)}.partial"
    try:
        yield partial
    finally:
        for other in (partial, *beside(partial)):
            other.unlink(missing_ok=True)


def _copy(db: sqlite3.Connection, path: Path, partial: Path, name: str) -> StoreCheck:
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = OFF")  # it goes to the disk as a whole, before it has its name
            db.backup(copy, pages=PAGES, progress=lambda status, remaining, total: None)
    except sqlite3.Error as error:
        if "malformed" not in str(error):
            raise StoreError(f"{name}: cannot be made: {explain(error, 0)}") from error
        raise
    with explained(path, 0), reading(partial, 0) as copied:
        check = inspect(copied, path)
    check.require_sound(NONE_MADE)
    return check


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such call for folders
            raise
    finally:
        os.close(handle)


def _rename(partial: Path, target: Path, force: bool, name: str) -> None:
    if force:
        os.replace(partial, target)
        return
    try:
        os.link(partial, target)  # unlike a rename it never replaces what somebody else has made in the meantime
    except FileExistsError as error:
        raise StoreError(f"{name}: is there already; --force (force=True) replaces it; {NONE_MADE}") from error
    except OSError:  # a file system without links
        os.rename(partial, target)
