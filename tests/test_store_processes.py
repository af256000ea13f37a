"""A store between processes: locks in time, many writers, readers that see one moment."""

import random
import subprocess
import sys
import time

import pytest

from clear import clear_error
from store_faults import FAULTS
from surgetank import Store, StoreError
from surgetank.history import opening
from surgetank.history.soundness import check_store
from test_store import content, series


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "fleet.db", create=True) as store:
        yield store


HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
WRITE = """
import sys, pandas as pd
from surgetank import Store
region, path = sys.argv[1:]
with Store(path, create=True, timeout_s=30) as store:
    for day in range(5):
        times = [1767225600 + 86400 * day + 60 * i for i in range(100)]
        store.import_usage(pd.DataFrame({"timestamp": times, "region": region, "usage": 1.0}))
        store.import_usage(pd.DataFrame({"timestamp": times, "region": "shared", "usage": 1.0}))
"""


def test_a_lock_that_is_not_given_up_is_a_store_error_in_time(store):
    store.import_usage(series("a"))
    before = content(store)
    arguments = [sys.executable, "-c", HOLD, str(store.path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with Store(store.path, timeout_s=0.2) as waiting:  # a reader is not kept out
            assert content(waiting) == before
            started = time.monotonic()
            with clear_error(StoreError, str(store.path), "another process", "0.2 s"):
                waiting.import_usage(series("b"))
            assert 0.1 < time.monotonic() - started < 3
            assert content(waiting) == before
            other.communicate("")
            waiting.import_usage(series("b"))  # and goes on when the other is done
    assert len(store.keys_with_usage()) == 2


def test_who_waits_for_a_lock_tries_again_soon(store, monkeypatch):
    """SQLite's own sleeps grow to 0.1 s; between two that write all the time a third would wait for seconds."""
    slept, sleep = [], time.sleep
    monkeypatch.setattr(opening.time, "sleep", lambda seconds: (slept.append(seconds), sleep(seconds)))
    with store.transaction(), Store(store.path, timeout_s=0.3) as waiting:
        started = time.monotonic()
        with clear_error(StoreError, "another process", "0.3 s"):
            waiting.import_usage(series("b"))
        assert 0.3 <= time.monotonic() - started < 3
        assert waiting._db.execute("PRAGMA busy_timeout").fetchone() == (300,)
    assert len(slept) > 20
    assert max(slept) <= 0.005
    waiting = Store(store.path, timeout_s=0)
    with waiting, store.transaction(), clear_error(StoreError, "another process", "0 s"):
        waiting.import_usage(series("b"))


def test_several_processes_make_and_fill_one_store(tmp_path):
    path = tmp_path / "fleet.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, f"r{n}", str(path)], stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    errors = [writer.communicate(timeout=60)[1] for writer in writers]
    assert errors == [""] * 4
    with Store(path) as store:
        found = store.samples()
    assert sorted(key.region for key in found.keys) == ["r0", "r1", "r2", "r3", "shared"]
    assert len(found.value) == 5 * 500


def test_a_reader_sees_one_moment_while_another_writes(store, monkeypatch):
    """A series that appears between two queries of one reading must not be half there."""
    store.import_usage(series("a"))
    keys = Store._keys

    def interrupted(self, *where):
        found = keys(self, *where)
        monkeypatch.setattr(Store, "_keys", keys)
        with Store(store.path) as other:
            other.import_usage(series("b"))
        return found

    monkeypatch.setattr(Store, "_keys", interrupted)
    assert [key.region for key in store.history().keys] == ["a"]
    assert {key.region for key in store.history().keys} == {"a", "b"}


# Every round is one transaction, so at any moment a whole store holds as many plans as imports, all with their days.
ROUNDS = """
import sys, pandas as pd
from surgetank import Store
region, path, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Store(path, timeout_s=60) as store:
    print("open", flush=True)
    for n in range(first, first + 25):
        times = [1767225600 + 86400 * n + 600 * i for i in range(144)]
        with store.transaction():
            store.import_usage(pd.DataFrame({"timestamp": times, "region": region, "usage": float(n)}))
            plan = {"made": region, "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0}
            store.save_plan({**plan, "number": n})
"""
READ = """
import sys
from surgetank import Store
with Store(sys.argv[1], timeout_s=60) as store:
    print("open", flush=True)
    while True:
        with store._snapshot():
            found = len(store.plans()), len(store.imports())
            store.samples()
        if found[0] != found[1]:
            sys.exit(f"half a round: {found}")
        if found[0] > 50:
            break
"""


@pytest.fixture
def busy(store):
    """Two writers, 25 rounds each, and two readers that look for half a round; ends when all are done."""
    store.import_usage(series("a"))
    store.save_plan({"made": "", "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0})
    path = str(store.path)
    scripts = [(ROUNDS, "a", path, "0"), (ROUNDS, "b", path, "25"), (READ, path), (READ, path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([sys.executable, "-c", *script], **pipes) for script in scripts]
    for process in running:
        assert process.stdout.readline() == "open\n"

    def ended():
        return all(process.poll() is not None for process in running)

    yield ended
    try:
        errors = [process.communicate(timeout=120)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert errors == [""] * len(errors)
    assert check_store(store.path, 5).sound


def test_backups_while_others_write_are_of_one_moment(store, busy, tmp_path):
    sizes = []
    while not busy() or not sizes:
        target = tmp_path / f"{len(sizes)}.db"
        made = store.backup(target)
        assert made.check.sound
        assert made.check.plans == made.check.imports
        sizes.append(made.check.plans)
    assert sizes == sorted(sizes)
    assert sizes[-1] == 51 or store.backup(tmp_path / "last.db").check.plans == 51


def test_checks_while_others_write_find_nothing(store, busy):
    while not busy():
        found = store.check()
        assert found.sound, str(found)
        assert found.plans == found.imports


def test_compacting_while_others_write_loses_nothing_that_is_kept(store, busy):
    store._db.execute("PRAGMA busy_timeout = 60000")
    removed = 0
    while not busy():
        removed += store.compact(keep_s=10 * 86_400, remove=True).days
    removed += store.compact(keep_s=10 * 86_400, remove=True).days
    found = store.check()
    assert (found.plans, found.imports) == (51, 51)
    assert removed > 0
    kept = {key.region: set() for key in store.keys_with_usage()}
    samples = store.samples()
    for code, second in zip(samples.code.tolist(), samples.time_s.tolist(), strict=True):
        kept[samples.keys[code].region].add((second - 1767225600) // 86_400)
    assert kept == {"a": set(), "b": set(range(39, 50))}  # the last sample is of day 49, 23:50


@pytest.mark.parametrize("call", ["compact", "save_plan"])
def test_who_has_to_wait_too_long_is_told_and_nothing_is_changed(store, call):
    store.import_usage(series("a"))
    before = content(store)
    arguments = [sys.executable, "-c", HOLD, str(store.path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        body = {"made": "", "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0}
        with Store(store.path, timeout_s=0.1) as waiting:
            with clear_error(StoreError, str(store.path), "another process", "0.1 s"):
                waiting.compact(remove=True) if call == "compact" else waiting.save_plan(body)
            assert waiting.check().sound
            waiting.backup(store.path.with_name(f"{call}.db"))  # a reader is not kept out
        other.communicate("")
    assert content(store) == before


def test_while_another_reads_the_file_becomes_smaller_later(store):
    store.import_usage(series("a", count=50_000))
    with Store(store.path) as other, Store(store.path, timeout_s=0.1) as compacting:
        other._db.execute("BEGIN")
        other.plans()
        made = compacting.compact(keep_s=86_400, remove=True)
        assert made.in_use
        assert "another process is reading it" in str(made)
        other._db.execute("ROLLBACK")
        again = compacting.compact(keep_s=86_400, remove=True)
    assert not again.in_use
    assert again.bytes_after < made.bytes_before / 2


MAKE = """
import sys
from surgetank import Store
with Store(sys.argv[1], create=True, timeout_s=30) as store:
    store.import_quotas({("a", sys.argv[2]): 1.0})
"""


def test_processes_that_make_a_store_at_once_do_not_disturb_each_other_even_if_one_is_killed(tmp_path):
    """SQLite does not wait where a file becomes a store, and half of one is not another program's."""
    for n in range(6 * FAULTS):
        path = tmp_path / f"{n}.db"
        start = [sys.executable, "-c", MAKE, str(path)]
        makers = [subprocess.Popen([*start, f"r{m}"], stderr=subprocess.PIPE, text=True) for m in range(3)]
        time.sleep(random.uniform(0.15, 0.5))
        makers[0].kill()
        errors = [maker.communicate(timeout=60)[1] for maker in makers]
        assert errors[1:] == ["", ""]
        with Store(path) as store:
            assert {"r1", "r2"} <= {quota.key.region for quota in store.quotas()}
