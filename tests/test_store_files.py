"""Files that are not, or no longer, a whole store of this version: refused by name, and never touched."""

import itertools
import os
import random
import sqlite3
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from clear import clear_error
from store_faults import FAULTS
from surgetank import InvalidInput, Scenario, Store, StoreError
from surgetank.history import schema
from surgetank.history.schema import APPLICATION_ID, MIGRATIONS
from surgetank.history.soundness import check_store

DAYS = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a good store, closed, and what it says."""
    path = tmp_path_factory.mktemp("whole") / "fleet.db"
    times = [1767225600 + 60 * i for i in range(DAYS * 1440)]
    with Store(path, create=True) as store:
        store.import_usage(
            pd.DataFrame({"timestamp": times, "region": "us-east-1", "usage": [float(i) for i in range(len(times))]})
        )
        store.import_quotas({("-", "us-east-1"): 9000.0})
        store.save_scenarios([Scenario("s", "us-east-1", {"eu-west-1": 1.0})])
        for status in ("OK", "CRITICAL"):
            store.save_plan(
                {
                    "made": "m",
                    "as_of": "2026-01-01T00:00:00Z",
                    "status": status,
                    "coverage": 0.75,
                    "notes": [*range(900)],
                }
            )
    return path.read_bytes(), said(path)


def said(path):
    with Store(path) as store:
        found = store.samples()  # not on a grid: wild instants of a damaged file would make a vast one
        arrays = (found.code.tobytes(), found.time_s.tobytes(), found.value.tobytes())
        return found.keys, arrays, repr(store.quotas()), store.scenarios(), store.plans(), store.imports()


@pytest.fixture
def file(tmp_path):
    def make(content):
        path = tmp_path / "fleet.db"
        path.write_bytes(content)
        return path

    return make


def database(path, *statements):
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()
    return path


def refused(path, *words):
    """Opening or reading it is one StoreError with the path, and the bytes stay."""
    before = path.read_bytes()
    with clear_error(StoreError, str(path), *words):
        said(path)
    assert path.read_bytes() == before


def test_a_new_store_has_the_version_and_the_mark(tmp_path):
    with Store(tmp_path / "x.db", create=True) as store:
        assert store.schema_version == len(MIGRATIONS)
    db = sqlite3.connect(tmp_path / "x.db")
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
    with Store(tmp_path / "x.db") as store, clear_error(StoreError, "x.db", "no usage yet"):
        store.history()


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    "content", [b"hello\n" * 1000, b"timestamp,usage\n0,1\n", bytes(range(256)) * 40, b"\0" * 8192]
)
def test_a_file_that_is_no_database(file, content, create):
    path = file(content)
    with clear_error(StoreError, str(path)):
        Store(path, create=create)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["fleet.db"]


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE t (x)"],
        ["PRAGMA user_version = 1"],
        ["PRAGMA application_id = 5"],
        ["CREATE TABLE usage_day (x)", "PRAGMA user_version = 1", "PRAGMA application_id = 5"],
    ],
)
def test_a_database_of_another_program(tmp_path, statements, create):
    path = database(tmp_path / "fleet.db", *statements)
    before = path.read_bytes()
    with clear_error(StoreError, str(path), "another program", "nothing was changed"):
        Store(path, create=create)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [len(MIGRATIONS) + 1, 1000])
def test_a_newer_store_is_refused_and_stays(file, whole, version):
    path = database(file(whole[0]), f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with clear_error(StoreError, str(path), f"version {version}", f"{len(MIGRATIONS)}", "update surgetank"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("length", [0, 1, 50, 100, 1000, 4096, 8192, 0.5, 0.9, -4096, -1])
def test_a_truncated_store(file, whole, length):
    size = int(length * len(whole[0])) if 0 < length < 1 else length
    content = whole[0][:size]
    path = file(content)
    try:
        same = said(path) == whole[1]  # SQLite does without the last byte of a page that is not full
    except StoreError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert same
        assert length == -1
    assert path.read_bytes() == content


def damaged(whole):
    """Every place of the file, one at a time: 64 bytes overwritten."""
    content = whole[0]
    for at in range(0, len(content), 1024 + 64):
        for fill in (b"\xff", b"\0", b"A"):
            yield at, content[:at] + fill * 64 + content[at + 64 :]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_overwritten_bytes_are_found_and_never_become_other_numbers(tmp_path, whole):
    """Either the same answer (the bytes were not in use) or a StoreError; not other usage, not a raw error."""
    wrong = {}
    for n, (at, content) in enumerate(damaged(whole)):
        path = tmp_path / f"{n}.db"
        path.write_bytes(content)
        try:
            if said(path) != whole[1]:
                wrong.setdefault("other numbers", []).append(at)
        except StoreError:
            pass
        except Exception as error:
            wrong.setdefault(f"{type(error).__name__}: {error}"[:60], []).append(at)
    assert {what: places[:5] for what, places in wrong.items()} == {}


def flipped(content):
    """One bit at a time: everywhere in what says how a page is laid out, and here and there in all the rest."""
    rng = random.Random(20260101)
    pages = range(0, len(content), 4096)
    layout = [8 * page + bit for page in pages for bit in rng.sample(range(8 * 12), 12)]
    names = [8 * at + rng.randrange(8) for at in range(len(content)) if content.startswith(b"us-east-1", at)]
    for bit in (*range(8 * 100), *layout, *names, *rng.sample(range(8 * len(content)), 600 * FAULTS)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(damaged)


def test_a_flipped_bit_is_found_by_reading_and_by_the_check(tmp_path, whole):
    """Wherever it is: the answer is the same, or it is an error; and what is an error is damage to the check, too."""
    path, wrong = tmp_path / "fleet.db", {}
    for bit, content in flipped(whole[0]):
        path.write_bytes(content)
        try:
            checked = check_store(path, 5).sound
        except StoreError:
            checked = False
        if path.read_bytes() != content:
            wrong.setdefault("the check wrote", []).append(bit)
        try:
            found = said(path) == whole[1]
        except StoreError:
            found = None
        if found is False:
            wrong.setdefault("other numbers", []).append(bit)
        if found is None and checked:
            wrong.setdefault("not found by the check", []).append(bit)
    assert {what: places[:9] for what, places in wrong.items()} == {}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE usage_day SET second = substr(second, 5)",
        "UPDATE usage_day SET usage = substr(usage, 2)",
        "DELETE FROM quota_key",
        "UPDATE usage_day SET day = 'x' WHERE day = (SELECT min(day) FROM usage_day)",
        "UPDATE scenario SET body = '{'",
        "UPDATE scenario SET body = '{}'",
        "UPDATE scenario SET body = '[]'",
        "UPDATE import SET report = 'x'",
        "UPDATE quota SET value = 'x'",
        "UPDATE quota SET value = -1",
        "UPDATE quota_key SET region = CAST(X'ff' AS TEXT)",
        "DROP TABLE usage_day",
        "DROP TABLE plan",
    ],
)
def test_rows_that_cannot_be(file, whole, statement):
    refused(database(file(whole[0]), "PRAGMA foreign_keys = OFF", statement))


# Migrations.


def test_an_older_store_is_brought_up_to_date_and_keeps_what_it_holds(file, whole, monkeypatch):
    path = file(whole[0])
    scripts = (
        "CREATE TABLE note (text TEXT);\nINSERT INTO note VALUES ('new')",
        "ALTER TABLE plan ADD COLUMN extra TEXT",
    )
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, *scripts))
    assert said(path) == whole[1]
    with Store(path) as store:
        assert store.schema_version == len(MIGRATIONS) + 2
    db = sqlite3.connect(path)
    assert db.execute("SELECT text FROM note").fetchall() == [("new",)]  # once, though it was opened twice
    db.close()
    monkeypatch.undo()
    refused(path, "newer")


def test_a_migration_that_fails_changes_nothing(file, whole, monkeypatch):
    path = file(whole[0])
    broken = (*MIGRATIONS, "CREATE TABLE note (text TEXT)", "CREATE TABLE other (x);\nCREATE TABLE quota_key (x)")
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with clear_error(StoreError, str(path)):
        Store(path)
    monkeypatch.undo()
    assert said(path) == whole[1]
    with Store(path) as store:
        assert store.schema_version == len(MIGRATIONS)


# Paths and permissions.


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("name", [".", "none/fleet.db", "a\0b", "x" * 300])
def test_paths_that_cannot_be_a_store(tmp_path, name, create):
    with clear_error(StoreError, "store"):
        Store(tmp_path / name, create=create)
    assert os.listdir(tmp_path) == []


def test_without_create_none_is_made(tmp_path):
    with clear_error(StoreError, str(tmp_path / "fleet.db"), "there is none", "surgetank import"):
        Store(tmp_path / "fleet.db")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def unprivileged():
    """A folder of an ordinary user, and that user's rights: root may write anything."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine"
        path.mkdir()
        if root:
            os.chmod(folder, 0o755)
            os.chown(path, 65534, 65534)
            os.seteuid(65534)
        try:
            yield path
        finally:
            if root:
                os.seteuid(0)
            path.chmod(0o755)


def test_a_read_only_store_can_be_read_but_not_written(unprivileged, whole):
    path = unprivileged / "fleet.db"
    path.write_bytes(whole[0])
    path.chmod(0o444)
    with Store(path) as store:
        assert len(store.samples().value) == DAYS * 1440
        with clear_error(StoreError, str(path), "read-only"):
            store.import_quotas({("x",): 1.0})
    assert path.read_bytes() == whole[0]


def test_a_read_only_folder(unprivileged, whole):
    path = unprivileged / "fleet.db"
    path.write_bytes(whole[0])
    unprivileged.chmod(0o555)
    with clear_error(StoreError, str(path)), Store(path) as store:
        store.import_quotas({("x",): 1.0})
    with clear_error(StoreError, str(unprivileged / "new.db")):
        Store(unprivileged / "new.db", create=True)
    assert path.read_bytes() == whole[0]


def test_a_page_in_another_s_place_is_damage_and_not_other_numbers(tmp_path):
    """Every row of the page is what was written, and the pages are whole; but some days are found twice, others not."""
    times = [1767225600 + 1800 * i for i in range(600)]
    usage = [float(i) for i in range(600)]
    frames = [pd.DataFrame({"timestamp": times, "region": f"r{r}", "usage": usage}) for r in range(5)]
    with Store(tmp_path / "good.db", create=True) as store:
        store.import_usage(pd.concat(frames))
    good, told = (tmp_path / "good.db").read_bytes(), said(tmp_path / "good.db")
    pages = [good[at : at + 4096] for at in range(0, len(good), 4096)]
    leaves = [n for n, page in enumerate(pages) if page[0] == 10]  # of tables without rowid, as of indexes
    refused = 0
    for source, place in itertools.permutations(leaves, 2):
        path = tmp_path / "bad.db"
        path.write_bytes(b"".join(pages[source] if n == place else page for n, page in enumerate(pages)))
        try:
            assert said(path)[:2] == told[:2], (source, place)
        except StoreError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("path", [":memory:", b"x.db", 5])
def test_what_is_no_path_of_a_file(path):
    with clear_error(InvalidInput, "path", "must be the path of a file"):
        Store(path, create=True)
