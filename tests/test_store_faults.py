"""A disk that is full, a limit to files, kill -9: the store is the one before or the one after, and says why."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clear import clear_error
from store_faults import FAULTS, PLAN, held, make, prepare, usage
from surgetank import Store, StoreError
from surgetank.history.soundness import check_store

TASKS = ("import", "plan", "backup", "compact", "migration")
KILLS = 10 * FAULTS  # of each task
SCRIPT = Path(__file__).with_name("store_faults.py")


def called(*args):
    """Run the script, give what it prints; threads of a library would be lost in a fork."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", str(SCRIPT), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=550)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "original.db"
    make(path)
    return path


def fresh(task, original, folder):
    """The store that the task is done to, and everything in it."""
    shutil.copy(original, folder / "original.db")
    path = prepare(task, folder / "work")
    return path, held(path)


def alone(path):
    """Nothing of ours is left beside the store; what SQLite left there is its own, and goes when it is opened."""
    return {f for f in os.listdir(path.parent) if not f.startswith("fleet.db")}


# Files that may not grow.


@pytest.mark.parametrize("task", TASKS)
def test_a_limit_to_the_size_of_files_is_one_error_and_changes_nothing(tmp_path, original, task):
    path, before = fresh(task, original, tmp_path)
    size = path.stat().st_size
    refused = 0
    for limit in (0, 33_000, size // 3, size - 1):
        prepare(task, path.parent)
        said = called("do", task, path, limit)
        assert said.count("\n") == 1, said
        if said == "done\n":
            continue
        refused += 1
        assert "store " in said, said
        assert "nothing" in said or "no backup was made" in said or "brought up to" in said, said
        # A file that is larger than the limit already cannot even be written where it is.
        assert held(path) == before or "the older usage was removed" in said, (limit, said)
        assert check_store(path, 5).sound
        assert alone(path) == set(), (limit, said)
        assert called("do", task, path) == "done\n"  # later, it works
    assert refused >= 2


@pytest.mark.parametrize("task", ["import", "plan"])
def test_a_store_that_may_not_grow(tmp_path, original, task):
    path = Path(shutil.copy(original, tmp_path / "fleet.db"))
    before = held(path)
    with Store(path) as store:
        store._db.execute("PRAGMA max_page_count = 1")  # as large as it is
        with clear_error(StoreError, str(path), "the disk is full", "nothing was changed"):
            store.add_samples(usage(30, 30).samples()) if task == "import" else store.save_plan(
                PLAN | {"x": "x" * 1_000_000}
            )
        assert store.check().sound
    assert held(path) == before


# A disk that is full.


@pytest.fixture(scope="module")
def small_disk():
    """A disk of 8 MB, where this process may mount one."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk takes root and `mount`")
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=8m", "surgetank-test", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def fill_disk(folder, free):
    """Leave so many bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        block = shutil.disk_usage(folder).free - free
        if block > 0:
            os.posix_fallocate(file.fileno(), 0, block)
    return filler


@pytest.mark.parametrize("task", TASKS)
def test_a_full_disk_is_one_error_and_changes_nothing(tmp_path, original, small_disk, task):
    for entry in small_disk.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    path, before = fresh(task, original, small_disk)
    (small_disk / "original.db").unlink()
    kept = shutil.copytree(path.parent, tmp_path / "kept")
    refused = 0
    for free in (0, 36_864, 100_000, 400_000, 3_000_000):
        shutil.rmtree(path.parent)
        shutil.copytree(kept, path.parent)
        filler = fill_disk(small_disk, free)
        said = called("do", task, path)
        assert said.count("\n") == 1, said
        if said != "done\n":
            refused += 1
            assert "store " in said or "backup " in said, said
            copied = shutil.copytree(path.parent, tmp_path / f"after {free}")  # reading takes room as well
            assert held(copied / "fleet.db") == before, (free, said)
            assert check_store(copied / "fleet.db", 5).sound
            assert alone(path) == set(), (free, said)
            filler.unlink()
            assert called("do", task, path) == "done\n"
            assert check_store(path, 5).sound
        filler.unlink(missing_ok=True)
    assert refused >= 2
    assert refused < 5, "a fault of the test: there is never room"


# kill -9.


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("task", TASKS)
def test_killed_at_any_moment_it_is_the_store_before_or_after(tmp_path, original, task):
    shutil.copy(original, tmp_path / "original.db")
    first = random.randrange(1_000_000)
    print(f"{task}: seeds {first} to {first + KILLS - 1}")
    found = json.loads(called("kill", task, tmp_path / "work", *range(first, first + KILLS)))
    print(found)
    assert found["wrong"] == {}
