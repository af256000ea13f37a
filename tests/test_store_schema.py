"""Schema versions: a kept store of an older one is brought up to date and keeps everything; what checksums see."""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from clear import clear_error
from surgetank import History, QuotaKey, Store, StoreError
from surgetank.history import schema
from surgetank.history.soundness import check_store
from test_store_files import unprivileged

__all__ = ["unprivileged"]  # a fixture

#: Made by surgetank 0.1 when version 1 was its newest schema: two Regions, three days, quotas, a scenario, a plan.
KEPT = Path(__file__).parent / "golden" / "store_v1.bin"
PUBLISHED = ("693338b88915ddf5", "3cf7cdf5e3880692", "4d5134254bdff790")


@pytest.fixture
def old(tmp_path):
    return Path(shutil.copy(KEPT, tmp_path / "fleet.db"))


def rows(path, *tables):
    """What is in a file, without any code of ours."""
    db = sqlite3.connect(path)
    found = {t: db.execute(f"SELECT * FROM {t}").fetchall() for t in tables}
    found["version"] = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return found


TABLES = ("quota_key", "usage_day", "quota", "scenario", "plan", "import")


def test_published_scripts_stay_as_they_are():
    """Stores out there were made by them; a new need appends a script, whose digest goes here."""
    digests = tuple(hashlib.sha256(script.encode()).hexdigest()[:16] for script in schema.MIGRATIONS)
    assert digests == PUBLISHED


@pytest.mark.parametrize("version", [1, 2])
def test_a_kept_store_of_every_version_is_brought_up_to_date_and_keeps_everything(tmp_path, version):
    old = Path(shutil.copy(KEPT.with_name(f"store_v{version}.bin"), tmp_path / "fleet.db"))
    before = rows(old, *TABLES)
    for _ in range(2):
        with Store(old) as store:
            assert store.schema_version == len(schema.MIGRATIONS)
            assert len(store.samples().value) == 143
            assert [key.region for key in store.keys_with_usage()] == ["us-east-1", "us-west-2"]
            named = QuotaKey("1", "eu-west-1", "rds", "L-2", "ctx")
            assert {q.key: (q.value, q.unit, q.name) for q in store.quotas()}[named] == (7, "DB", "Datenbänke")
            assert [s.name for s in store.scenarios()] == ["evacuate"]
            assert [(p["number"], p["body"]["status"]) for p in store.plans()] == [(1, store.plans()[0]["status"])]
            assert [r["added"] for r in store.imports()] == [143]
            assert store.check().sound
    after = rows(old, *TABLES)
    assert (before.pop("version"), after.pop("version")) == (version, len(schema.MIGRATIONS))
    widths = {t: len(before[t][0]) for t in TABLES}
    assert {t: [row[: widths[t]] for row in after[t]] for t in TABLES} == before


def test_an_old_store_is_checked_and_backed_up_as_it_is(old, tmp_path):
    before = old.read_bytes()
    found = check_store(old, 1)
    assert (found.sound, found.schema_version, found.samples, found.plans) == (True, 1, 143, 1)
    assert "brings it up to schema version 3" in str(found)
    assert old.read_bytes() == before
    with Store(shutil.copy(old, tmp_path / "other.db")) as store:
        assert store.backup(tmp_path / "copy.db").check.schema_version == 3


def places(path):
    """Where the name of one quota stands: in the table, and in its index."""
    content, name = path.read_bytes(), b"-us-west-2ec2L-1"
    found = [at for at in range(len(content)) if content.startswith(name, at)]
    assert len(found) == 2
    return found


def renamed(path, at):
    """Another Region at that place."""
    content = path.read_bytes()
    path.write_bytes(content[:at] + b"-us-west-3" + content[at + 10 :])


def test_a_damaged_old_store_is_not_brought_up_to_date(old):
    """Else the new checksums would say of a wrong name that it is right."""
    renamed(old, places(old)[0])
    before = old.read_bytes()
    with clear_error(StoreError, str(old), "has schema version 1", "cannot be brought up to 3", "damaged", "index"):
        Store(old)
    assert old.read_bytes() == before
    assert not check_store(old, 1).sound


def test_an_old_store_that_cannot_be_written_says_why(unprivileged):
    path = unprivileged / "fleet.db"
    path.write_bytes(KEPT.read_bytes())
    path.chmod(0o444)
    with clear_error(StoreError, str(path), "has schema version 1", "cannot be brought up to 3", "read-only"):
        Store(path)
    assert path.read_bytes() == KEPT.read_bytes()
    assert check_store(path, 1).sound


OPEN = """
import sys
from surgetank import Store
sys.stdin.readline()
with Store(sys.argv[1], timeout_s=30) as store:
    print(store.schema_version, len(store.samples().value), len(store.plans()))
"""


def test_several_processes_bring_it_up_to_date_at_once(old):
    command = [sys.executable, "-c", OPEN, str(old)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    opening = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in opening:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) for process in opening] == [("3 143 1\n", "")] * 4
    assert check_store(old, 1).sound


def test_a_store_that_a_newer_surgetank_updated_in_between_is_not_put_back(old, monkeypatch):
    """Between looking at the version and getting the lock, anything may have happened to it."""
    looked = schema.MIGRATIONS

    def newer(db):
        db.execute("PRAGMA user_version = 7")
        monkeypatch.undo()

    from surgetank.history import opening

    add = opening.add_functions
    monkeypatch.setattr(opening, "add_functions", lambda db: (add(db), newer(db)))
    with clear_error(StoreError, "version 7", "newer", "nothing was changed"):
        Store(old)
    assert rows(old)["version"] == 7
    assert looked == schema.MIGRATIONS


def test_an_older_program_that_has_it_open_can_no_longer_write(old):
    """It would leave rows without checksums."""
    db = sqlite3.connect(old)
    db.execute("SELECT * FROM plan").fetchall()
    Store(old).close()
    for statement in (
        "INSERT INTO plan (made, as_of, status, coverage, body) VALUES ('', '', '', 1, '{}')",
        "INSERT INTO import (made, report) VALUES ('', '{}')",
        "INSERT INTO quota_key (account, region, service_code, quota_code, context_id) VALUES ('', '', '', '', '')",
        "UPDATE quota_key SET has_usage = 1",
    ):
        with pytest.raises(sqlite3.OperationalError, match="surgetank_checksum") as error:
            db.execute(statement)
        assert "update this one" in schema.explain(error.value, 5)
    db.close()
    assert check_store(old, 1).sound


CHANGES = [  # what is changed, who sees it
    ("UPDATE quota_key SET region = 'us-west-3' WHERE region = 'us-west-2'", ["name of a quota", "us-west-3"]),
    ("UPDATE quota_key SET region = CAST(X'ff' AS TEXT) WHERE id = 1", ["damaged"]),
    ("UPDATE quota_key SET region = CAST(region AS BLOB)", ["name of a quota"]),
    ("UPDATE quota_key SET region = region || char(0) WHERE id = 1", ["name of a quota"]),
    ("UPDATE quota_key SET checksum = checksum + 1", ["name of a quota"]),
    ("UPDATE quota_key SET checksum = 'x'", ["name of a quota"]),
    ("UPDATE quota SET unit = 'GB' WHERE unit = 'DB'", ["a quota is not what was written"]),
    ("UPDATE plan SET status = 'OK'", ["a plan"]),
    ("UPDATE plan SET coverage = coverage / 2", ["a plan"]),
    ("UPDATE plan SET id = 9", ["a plan"]),
    ("UPDATE plan SET body = replace(body, '5', '6')", ["a plan"]),
    ("UPDATE plan SET made = CAST(made AS BLOB)", ["a plan"]),
    ("UPDATE import SET report = replace(report, '143', '144')", ["report"]),
    ("UPDATE import SET made = '2020'", ["report"]),
    ("DELETE FROM quota_key WHERE service_code = 'rds'", ["a quota is not what was written"]),
    ("DELETE FROM quota_key WHERE region = 'us-west-2'", ["usage of a quota that is not there"]),
]


@pytest.mark.parametrize(("statement", "words"), CHANGES)
def test_a_row_that_is_not_what_was_written_is_refused_and_named(old, statement, words):
    Store(old).close()
    db = sqlite3.connect(old)
    db.execute(statement)
    db.commit()
    db.close()
    before = old.read_bytes()
    with clear_error(StoreError, str(old), "damaged", "surgetank store check", *words), Store(old) as store:
        store.samples(), store.quotas(), store.plans(), store.imports()
    found = check_store(old, 1)
    assert not found.sound
    table = statement.split()[1 if statement.startswith("UPDATE") else 2]
    assert any(one.table == table or "DELETE" in statement for one in found.damage), found
    assert old.read_bytes() == before


@pytest.mark.parametrize("nth", [0, 1])
@pytest.mark.parametrize("region", ["us-west-2", "us-west-3", "us-east-1"])
def test_an_import_never_gives_a_wrong_name_a_right_checksum(old, nth, region):
    """Nor are its samples added to the wrong Region, or to a second one of the same name."""
    with Store(old) as store:
        store._db.execute("DELETE FROM quota")  # which have the names in their checksums as well
    renamed(old, places(old)[nth])
    before = old.read_bytes()
    usage = History.from_array([[5.0]], start=0, step_s=3600, regions=[region], service_code="ec2", quota_code="L-1")
    with clear_error(StoreError, str(old), "damaged", "name"), Store(old) as store:
        store.add_samples(usage.samples())
    assert old.read_bytes() == before
    assert not check_store(old, 1).sound


def test_the_trigger_that_keeps_a_checksum_compares_it_first(old):
    with Store(old) as store:
        store._db.execute("UPDATE quota_key SET region = 'us-west-3' WHERE id = 2")
        with pytest.raises(sqlite3.IntegrityError, match="malformed: the name of a quota"):
            store._db.execute("UPDATE quota_key SET usage_unit = 'GB' WHERE id = 2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("database is locked", "is being written by another process and was not free within 2 s; try again"),
        ("attempt to write a readonly database", "cannot be written: the file or its folder is read-only"),
        ("unable to open database file", "cannot be opened: check the folder and its permissions"),
        ("database or disk is full", "cannot grow: the disk is full; nothing was changed"),
        ("Cannot operate on a closed database.", "is closed"),
        ("file is not a database", "is not a surgetank store; nothing was changed"),
        (
            "disk I/O error",
            "could not be read or written (disk I/O error): a full disk, a limit of the system, or a failing disk; "
            "nothing was changed, and `surgetank store check` says whether it is damaged",
        ),
        (
            "database disk image is malformed",
            "is damaged (database disk image is malformed); "
            "restore it from a backup (`surgetank store check` says what is damaged)",
        ),
        ("no such table: plan", "is damaged (no such table: plan); restore it from a backup (`surgetank store check`"),
        ("Could not decode to UTF-8 column 'a'\n", "is damaged (Could not decode to UTF-8 column 'a'\\n); restore"),
        ("no such function: surgetank_checksum", "was brought up to date by a newer surgetank in the meantime; update"),
    ],
)
def test_what_sqlite_says_is_said_so_that_one_knows_what_to_do(text, said):
    assert schema.explain(sqlite3.OperationalError(text), 2.0).startswith(said)
