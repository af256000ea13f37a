"""A store between processes: locks in time, many writers, readers that see one moment."""

import subprocess
import sys
import time

import pytest

from clear import clear_error
from surgetank import Store, StoreError
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
