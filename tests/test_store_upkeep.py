"""`Store.check`, `backup` and `compact`: what they find, copy and remove, and what they leave alone."""

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from clear import clear_error
from surgetank import History, InvalidInput, Quota, QuotaKey, Scenario, Store, StoreError
from surgetank.history.soundness import check_store
from test_store_files import unprivileged

__all__ = ["unprivileged"]  # a fixture

DAY_S = 86_400
NEW_YEAR = 1767225600
PLAN = {"made": "2026-01-01T00:00:00Z", "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0, "quotas": []}


def usage(days, regions=("us-east-1", "us-west-2"), start=NEW_YEAR, step_s=3600):
    """Samples of whole days, no two alike."""
    steps = int(days * DAY_S // step_s)
    values = np.arange(steps * len(regions), dtype=float).reshape(steps, len(regions))
    return History.from_array(values, start=start, step_s=step_s, regions=regions, service_code="ec2").samples()


def fill(path, days=4):
    with Store(path, create=True) as store:
        store.add_samples(usage(days))
        store.import_quotas([Quota(key=QuotaKey(region="us-east-1", service_code="rds"), value=5)])
        store.save_scenarios([Scenario("lone", "us-east-1", {"eu-west-1": 1.0})])
        store.save_plan(PLAN)
    return path


def held(path):
    """Everything, as plain values."""
    with Store(path) as store:
        found = store.samples()
        arrays = found.keys, found.code.tolist(), found.time_s.tolist(), found.value.tolist()
        return arrays, repr(store.quotas()), store.scenarios(), store.plans(), store.imports()


@pytest.fixture
def path(tmp_path):
    return fill(tmp_path / "fleet.db")


def change(path, *statements):
    db = sqlite3.connect(path)
    db.create_function("surgetank_checksum", -1, lambda *values: 0)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


# Check.


def test_a_sound_store_says_what_it_holds_and_is_left_as_it_is(path):
    before = path.read_bytes()
    with Store(path) as store:
        found = store.check()
    assert found.sound
    assert (found.series, found.days, found.samples, found.quotas) == (2, 8, 192, 1)
    assert (found.scenarios, found.plans, found.imports) == (1, 1, 1)
    assert (found.first, found.last) == ("2026-01-01T00:00:00Z", "2026-01-04T23:00:00Z")
    assert found.bytes == len(before)
    assert str(found).splitlines() == [
        f"{path}: sound (schema version 3, {len(before) / 1000:.3g} kB)",
        "  2 series of usage, 8 days in all, 192 samples, 2026-01-01T00:00:00Z to 2026-01-04T23:00:00Z",
        "  1 quota, 1 scenario, 1 plan, 1 import",
    ]
    assert found.to_dict()["sound"] is True
    assert found.to_dict()["damage"] == []
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["fleet.db"]


def test_an_empty_store_is_sound(tmp_path):
    with Store(tmp_path / "new.db", create=True) as store:
        found = store.check()
    assert (found.sound, found.samples, found.first) == (True, 0, "")
    assert "0 series of usage, 0 days in all, 0 samples\n" in str(found)


DAMAGE = [
    (["UPDATE usage_day SET usage = zeroblob(8) WHERE day = 20455 AND key_id = 2"],
     "usage_day, us-west-2 ec2, 2026-01-02: a day of samples is not what was written"),
    (["UPDATE usage_day SET day = 'x' WHERE day = 20455 AND key_id = 2"], "usage_day, us-west-2 ec2, day 'x': "),
    (["UPDATE quota_key SET region = 'eu-west-9' WHERE id = 2"], "quota_key, eu-west-9 ec2: is not what was written"),
    (["UPDATE quota SET value = 6"], "quota, us-east-1 rds: is not what was written"),
    (["UPDATE scenario SET body = '{}'"], "scenario, lone: is not what was written"),
    (["UPDATE plan SET status = 'CRITICAL'"], "plan, 1: is not what was written"),
    (["UPDATE import SET report = '[]'"], "import, 1: is not what was written"),
    (["DELETE FROM quota_key WHERE service_code = 'rds'"], "quota: 1 row of a quota that is not in quota_key"),
    (["DELETE FROM quota_key WHERE id = 2"], "usage_day: 4 rows of a quota that is not in quota_key"),
    (["PRAGMA user_version = 2"], "audit: is there, and the schema version says 2"),
    (["DROP TRIGGER plan_made"], "plan_made: is not as this schema version defines it"),
    (["DROP TABLE plan"], "plan: cannot be read (no such table: plan)"),
    (["UPDATE scenario SET name = CAST(X'1b5bff' AS TEXT)"], "scenario, \\x1b[\N{REPLACEMENT CHARACTER}: is not what"),
    (["PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = 'CREATE TABEL' WHERE name = 'plan'"],
     "file: cannot be read at all (malformed database schema (plan)"),
]  # fmt: skip


@pytest.mark.parametrize(("statements", "said"), DAMAGE)
def test_what_is_damaged_is_named(path, statements, said):
    change(path, *statements)
    before = path.read_bytes()
    found = check_store(path, 1)
    assert not found.sound
    assert any(str(one).startswith(said) for one in found.damage), str(found)
    assert "DAMAGED in " in str(found)
    assert "Nothing was changed. Restore the store from a backup" in str(found)
    assert all(line.isprintable() for line in str(found).splitlines())
    assert found.to_dict()["damage"][0]["reason"]
    assert path.read_bytes() == before


def test_what_a_checksum_does_not_tell(path):
    """Rows as a program with a mistake would write them: their checksums are right."""
    from surgetank.history.schema import pack_day

    day = NEW_YEAR // DAY_S
    bad = [
        pack_day(1, day, np.array([5, 5]), np.array([1.0, 2.0])),
        pack_day(1, day + 1, np.array([5]), np.array([-1.0])),
    ]
    bad += [pack_day(2, day, np.array([DAY_S]), np.array([1.0])), pack_day(2, 2**40, np.array([5]), np.array([1.0]))]
    with Store(path) as store:
        store._db.executemany("REPLACE INTO usage_day VALUES (?, ?, ?, ?, ?)", bad)
        found = store.check()
    assert [str(one) for one in found.damage] == [
        "usage_day, us-east-1 ec2, 2026-01-01: its samples are not in order, or not of that day",
        "usage_day, us-east-1 ec2, 2026-01-02: holds usage that is not finite, or below 0",
        "usage_day, us-west-2 ec2, 2026-01-01: its samples are not in order, or not of that day",
        "usage_day, us-west-2 ec2, day 1099511627776: days are not in order, or beyond 30,000 years of 1970",
    ]
    assert found.samples == 5 * 24  # only what is sound is counted


def test_behind_a_page_that_cannot_be_read_the_rest_is(tmp_path):
    path = fill(tmp_path / "fleet.db", days=60)
    db = sqlite3.connect(path)
    query = "SELECT pageno FROM dbstat WHERE name = 'usage_day' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 3"
    try:
        page = db.execute(query).fetchone()[0]
    except sqlite3.OperationalError as error:
        pytest.skip(f"this SQLite does not tell where its pages are: {error}")
    finally:
        db.close()
    content = bytearray(path.read_bytes())
    content[4096 * (page - 1)] = 0xFF  # what kind of page it is
    path.write_bytes(content)
    found = check_store(path, 1)
    assert not found.sound
    unread = next(one for one in found.damage if one.table and "cannot be read" in one.reason)
    assert (unread.table, unread.item) == ("usage_day", "us-east-1 ec2")
    assert unread.days.startswith("after 2026-0")
    assert " and before 2026-0" in unread.days
    assert 2400 < found.samples < 2880  # the other Region whole, and both ends of this one
    with clear_error(StoreError, str(path), "damaged"), Store(path) as store:
        store.samples()


def test_many_places_are_listed_up_to_a_bound(path):
    with Store(path) as store:
        for _ in range(70):
            store.save_plan(PLAN)
    change(path, "UPDATE plan SET status = 'x'")
    found = check_store(path, 1)
    assert len(found.damage) == 71
    assert str(found).count("\n") < 60
    assert "and 21 more; --json lists them" in str(found)
    assert len(found.to_dict()["damage"]) == 71


def test_a_file_that_may_only_be_read_is_checked(unprivileged):
    path = fill(unprivileged / "fleet.db")
    path.chmod(0o444)
    assert check_store(path, 1).sound
    unprivileged.chmod(0o555)  # where not even SQLite's own files can be made beside it
    assert check_store(path, 1).sound
    assert os.listdir(unprivileged) == ["fleet.db"]


def test_what_waits_in_the_log_is_seen_and_stays_there(tmp_path, path):
    with Store(path) as store:
        store.save_plan(PLAN)
        copies = [shutil.copy(f"{path}{end}", tmp_path / f"crashed.db{end}") for end in ("", "-wal")]
    before = [Path(copy).read_bytes() for copy in copies]
    assert check_store(tmp_path / "crashed.db", 1).plans == 2
    assert [Path(copy).read_bytes() for copy in copies] == before


def test_a_link_leads_to_the_store_and_its_log(tmp_path, path):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "x.db"
    with Store(path) as store:
        store.save_plan(PLAN)
        shutil.copy(path, tmp_path / "crashed.db")
        shutil.copy(f"{path}-wal", tmp_path / "crashed.db-wal")
    link.symlink_to(tmp_path / "crashed.db")
    found = check_store(link, 1)
    assert found.plans == 2
    assert found.bytes > (tmp_path / "crashed.db").stat().st_size
    with Store(link) as store:
        assert store.backup(tmp_path / "links" / "copy.db").check.plans == 2
        with clear_error(StoreError, "is a part of the store itself"):
            store.backup(tmp_path / "crashed.db-wal", force=True)


def test_a_closed_store_says_so(path):
    store = Store(path)
    store.close()
    for call in (store.check, store.compact, lambda: store.backup(path.with_name("b.db"))):
        with clear_error(StoreError, str(path), "is closed"):
            call()


# Backup.


def test_a_backup_is_the_same_store(path, tmp_path):
    target = tmp_path / "copy.db"
    path.chmod(0o640)
    with Store(path) as store:
        made = store.backup(target)
    assert held(target) == held(path)
    assert (made.check.sound, made.bytes) == (True, target.stat().st_size)
    assert target.stat().st_mode & 0o777 == 0o640
    assert str(made).startswith(f"{target}: a copy of {path}, checked (")
    assert made.to_dict()["check"]["samples"] == 192
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "fleet.db"]


def test_a_backup_replaces_nothing_unasked_and_never_the_store(path, tmp_path):
    other = tmp_path / "other.db"
    other.write_bytes(b"mine")
    (tmp_path / "linked.db").symlink_to(path)
    os.link(path, tmp_path / "hard.db")
    (tmp_path / "folder").mkdir()
    (tmp_path / "log.db-wal").write_bytes(b"x")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    cases = [
        (other, False, "is there already; --force"),
        (tmp_path / "dangling", False, "is there already"),
        (path, True, "is the store itself"),
        (tmp_path / "linked.db", True, "is the store itself"),
        (tmp_path / "hard.db", True, "is the store itself"),
        (tmp_path / "folder" / ".." / "fleet.db", True, "is the store itself"),
        (tmp_path / "fleet.db-wal", True, "is a part of the store itself"),
        (tmp_path / "fleet.db-journal", True, "is a part of the store itself"),
        (tmp_path / "folder", True, "must be a file"),
        (tmp_path / "pipe", True, "must be a file"),
        (tmp_path / "log.db", False, "log.db-wal lies beside it"),
        (tmp_path / "none" / "copy.db", False, "cannot be written: No such file or directory"),
        (tmp_path / "a\0b", False, "cannot be written"),
        (tmp_path / "circle", False, "circle"),
        (tmp_path / ("x" * 300), False, "cannot be written: File name too long"),
    ]
    before, there = held(path), sorted(os.listdir(tmp_path))
    for target, force, said in cases:
        with Store(path) as store, clear_error(StoreError, "backup ", said, "no backup was made"):
            store.backup(target, force=force)
        assert sorted(os.listdir(tmp_path)) == there
    assert other.read_bytes() == b"mine"
    assert held(path) == before
    with Store(path) as store:
        with clear_error(InvalidInput, "path", "must be a path", "5"):
            store.backup(5)
        store.backup(other, force=True)
        store.backup(tmp_path / "dangling", force=True)
    assert held(other) == held(tmp_path / "dangling") == before


def test_of_a_damaged_store_there_is_no_backup(path, tmp_path):
    change(path, "UPDATE plan SET status = 'x'", "UPDATE quota SET value = 9")
    with Store(path) as store:
        with clear_error(StoreError, str(path), "damaged (quota, us-east-1 rds", "1 more", "no backup was made"):
            store.backup(tmp_path / "copy.db")
        with clear_error(StoreError, str(path), "damaged", "not compacted", "nothing was changed"):
            store.compact(remove=True)
    assert os.listdir(tmp_path) == ["fleet.db"]


def test_what_somebody_else_makes_in_the_meantime_is_not_replaced(path, tmp_path, monkeypatch):
    target = tmp_path / "copy.db"
    monkeypatch.setattr("surgetank.history.backup._to_disk", lambda where: target.write_bytes(b"theirs"))
    with Store(path) as store, clear_error(StoreError, str(target), "is there already"):
        store.backup(target)
    assert target.read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "fleet.db"]


@pytest.mark.parametrize("at", ["inspect", "_to_disk", "_rename"])
def test_an_interrupted_backup_leaves_nothing_behind(path, tmp_path, monkeypatch, at):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"surgetank.history.backup.{at}", interrupted)
    with Store(path) as store, pytest.raises(KeyboardInterrupt):
        store.backup(tmp_path / "copy.db")
    assert os.listdir(tmp_path) == ["fleet.db"]
