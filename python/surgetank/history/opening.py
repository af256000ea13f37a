"""How a file is opened: is it a store, of which version, and what brings an older one up to date."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import StoreError
from . import schema
from .schema import APPLICATION_ID, REMEDY, checksum, explain, shown_path

#: What reading a damaged file raises: SQLite's own message may hold what is no UTF-8.
UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
#: Between two tries to write, chosen by chance up to so much: first, and in the end.
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.001, 0.005
_BESIDE = ("-wal", "-shm", "-journal")


def beside(path: Path, *, follow: bool = True) -> list[Path]:
    """What SQLite keeps beside a database while it is open, or after a crash; the log first. Links are followed."""
    own = path.resolve() if follow else path
    return [own.with_name(own.name + end) for end in _BESIDE]


@contextlib.contextmanager
def explained(path: Path, timeout_s: float) -> Iterator[None]:
    """What SQLite says about a store becomes a StoreError that names it."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(f"store {shown_path(path)}: {explain(error, timeout_s)}") from error


def is_there(path: Path) -> None:
    """Refuse a path at which there is no file."""
    try:
        there = path.is_file()
    except (OSError, ValueError) as error:  # a name that no file system takes
        raise StoreError(f"store {shown_path(path)}: cannot be opened: {error}") from error
    if not there:
        hint = "surgetank import FILE makes one, surgetank demo a sample"
        raise StoreError(f"store {shown_path(path)}: there is none ({hint})")


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The schema version of a store, 0 of an empty file; what is not a store of a version we know is refused."""
    with one_moment(db):  # another process may be making the store
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        application = db.execute("PRAGMA application_id").fetchone()[0]
        tables = db.execute("SELECT 1 FROM sqlite_master").fetchone()
    if version == 0 and application == 0 and not tables:
        return 0
    if application != APPLICATION_ID:
        raise StoreError(f"store {shown_path(path)}: is a database of another program; nothing was changed")
    latest = len(schema.MIGRATIONS)
    if version > latest:
        rule = f"has schema version {version}, newer than this surgetank's {latest}; update surgetank"
        raise StoreError(f"store {shown_path(path)}: {rule}; nothing was changed")
    if version < 1:
        raise StoreError(f"store {shown_path(path)}: is damaged (schema version {version}); {REMEDY}")
    return version


def refuse_empty(version: int, path: Path) -> int:
    """An empty database is not a store."""
    if not version:
        raise StoreError(f"store {shown_path(path)}: is empty, not a store; nothing was changed")
    return version


def prepare(db: sqlite3.Connection, path: Path, create: bool, timeout_s: float) -> None:
    """Make a connection ready for a store: refuse what is none, bring an older one up to date, all or nothing."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            _prepare(db, path, create, timeout_s)
            return
        except sqlite3.OperationalError as error:  # noqa: PERF203 - it is rarely more than one
            # Where two make a new file at once, or one was killed as it did, SQLite says so without waiting.
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


def _prepare(db: sqlite3.Connection, path: Path, create: bool, timeout_s: float) -> None:
    if (size := path.stat().st_size) % 512:  # whole pages, the smallest of 512 bytes
        raise sqlite3.DatabaseError(f"file is not a database, or malformed: {size} bytes")
    version = version_of(db, path)
    if not create:
        refuse_empty(version, path)
    add_functions(db)
    db.execute("PRAGMA foreign_keys = ON")
    if not version:
        db.execute("PRAGMA journal_mode = WAL")
    if version == len(schema.MIGRATIONS):
        return
    try:
        with transaction(db):
            _migrate(db, version_of(db, path))  # read again: another process may have been first
    except sqlite3.Error as error:
        if not version:
            raise
        rule = f"has schema version {version} and cannot be brought up to {len(schema.MIGRATIONS)}"
        raise StoreError(f"store {shown_path(path)}: {rule}: {explain(error, timeout_s)}") from error


def add_functions(db: sqlite3.Connection) -> None:
    """What triggers and queries of a store call."""
    db.create_function("surgetank_checksum", -1, checksum, deterministic=True)
    db.execute("PRAGMA trusted_schema = ON")  # or triggers may not call it


def _migrate(db: sqlite3.Connection, version: int) -> None:
    if 0 < version < len(schema.MIGRATIONS):
        # What is damaged must not be given a checksum that says it is sound. Names stand in an index as well.
        _require_ok(db, "integrity_check")
    _run(db, schema.MIGRATIONS[version:])
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")


def _run(db: sqlite3.Connection, scripts: Sequence[str]) -> None:
    for script in scripts:
        for statement in script.split(";\n"):
            db.execute(statement)


def _require_ok(db: sqlite3.Connection, check: str) -> None:
    found = db.execute(f"PRAGMA {check}(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(f"malformed: {found}")


def tables_of(version: int) -> dict[str, str]:
    """The SQL of every table, index and trigger, by its name, as that schema version makes them."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        add_functions(db)
        _run(db, schema.MIGRATIONS[:version])
        return dict(db.execute("SELECT name, sql FROM sqlite_master"))


def check_pages(db: sqlite3.Connection) -> None:
    """Raise what SQLite finds wrong with the pages, and days of no quota: both would hide rows without a word.

    It takes a hundredth of what reading the samples takes.
    """
    _require_ok(db, "quick_check")
    if db.execute("PRAGMA foreign_key_check(usage_day)").fetchone():
        raise sqlite3.DatabaseError("malformed: usage of a quota that is not there")


@contextlib.contextmanager
def one_moment(db: sqlite3.Connection) -> Iterator[None]:
    """Everything read inside is of one moment; inside a transaction, of its own."""
    inner = db.in_transaction
    if not inner:
        db.execute("BEGIN")
    try:
        yield
    finally:
        if not inner and db.in_transaction:
            db.execute("ROLLBACK")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Everything inside happens, or nothing does; inside another transaction, as part of that one."""
    inner = db.in_transaction
    begin, end, undo = (
        # What is undone is released as well, or the next to be undone would only go back to here.
        ("SAVEPOINT inner", "RELEASE inner", ("ROLLBACK TO inner", "RELEASE inner"))
        if inner
        else ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
    )
    if inner:
        db.execute(begin)
    else:
        _begin(db, begin)
    try:
        yield
        db.execute(end)
    except BaseException:
        if db.in_transaction:
            for statement in undo:
                db.execute(statement)
        raise


def _begin(db: sqlite3.Connection, begin: str) -> None:
    """Begin to write as soon as nobody else does.

    SQLite sleeps ever longer between its tries, up to 0.1 s: who comes again at once is always first, and others may
    wait for seconds.
    """
    timeout_ms = db.execute("PRAGMA busy_timeout").fetchone()[0]
    deadline, most_s = time.monotonic() + timeout_ms / 1000, SHORTEST_WAIT_S
    db.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                db.execute(begin)
                return
            except sqlite3.OperationalError as error:
                left_s = deadline - time.monotonic()
                if "locked" not in str(error) or left_s <= 0:
                    raise
            time.sleep(min(left_s, random.uniform(0, most_s)))
            most_s = min(LONGEST_WAIT_S, 1.5 * most_s)
    finally:
        db.execute(f"PRAGMA busy_timeout = {timeout_ms}")


@contextlib.contextmanager
def reading(path: Path, timeout_s: float) -> Iterator[sqlite3.Connection]:
    """A connection that writes nothing, to one moment of a store of any version we know, be the file read-only."""
    is_there(path)
    with explained(path, timeout_s):
        clean = not any(other.exists() for other in beside(path))
        # Who may not write could not remove the files that SQLite puts beside it, and where none can be made it cannot
        # be opened at all. Where there are none, nobody is writing, and it is read as a file that stays as it is.
        fixed = clean and not (_writable(path) and _writable(path.parent))
        uri = f"{path.absolute().as_uri()}?mode="
        how = "ro&immutable=1" if fixed else "ro"
        db = sqlite3.connect(uri + how, uri=True, timeout=timeout_s, isolation_level=None)
        try:
            # What is no UTF-8 is still shown, and the checksum says that it is not what was written.
            db.text_factory = lambda text: text.decode("utf-8", "replace")
            db.execute("BEGIN")
            refuse_empty(version_of(db, path), path)
            add_functions(db)
            yield db
        finally:
            db.close()
            if clean and not fixed:  # a reader leaves SQLite's files beside it; who opens it to write removes them
                with contextlib.suppress(sqlite3.Error):
                    tidy = sqlite3.connect(uri + "rw", uri=True, timeout=0)
                    with contextlib.closing(tidy):
                        tidy.execute("PRAGMA schema_version").fetchone()


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
