"""`surgetank import`, killed at random moments: the store is the one before or the one after, whoever else writes.

A few kills on a small file here; with SURGETANK_FAULTS=20, as in CI, 200 on a file of a million rows.
"""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from store_faults import FAULTS
from surgetank import Store, StoreError
from surgetank.history.soundness import check_store
from test_store_faults import fill_disk, small_disk

__all__ = ["small_disk"]  # a fixture

SERIES, STEPS = (116, 8640) if FAULTS >= 20 else (20, 1440)
PARTS, KILLS = (10, FAULTS) if FAULTS >= 20 else (3, 1)  # several processes may share the parts


def write(path, first, steps):
    """A long CSV of instants from step ``first`` on, five minutes apart, the Regions in turn."""
    instants = (np.datetime64("2026-01-01", "s") + 300 * np.arange(first, first + steps)).astype(str)
    names = [f"r{n % 4},s{n // 4}" for n in range(SERIES)]
    with path.open("w", encoding="utf-8") as file:
        file.write("timestamp,region,service_code,usage\n")
        for t, instant in enumerate(instants, first):
            file.write("".join(f"{instant}Z,{name},{(7 * t + n) % 101}.5\n" for n, name in enumerate(names)))
    return path


def command(folder, *files):
    return [sys.executable, "-m", "surgetank.cli", "import", *map(str, files), "--store", str(folder / "fleet.db")]


def is_empty(path):
    """Whether nothing was ever written but that it is to be a database."""
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
        made = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return made == 0 and db.execute("PRAGMA user_version").fetchone()[0] == 0


def digest(path):
    """What a store holds, in a few bytes; None where there is none, be it an empty file in which one was to be made."""
    if not path.exists() or is_empty(path):
        return None
    with Store(path, timeout_s=60) as store:
        if not store.keys_with_usage():
            return "empty"
        found = store.samples()
        names = sorted(range(len(found.keys)), key=lambda n: found.keys[n])
        parts = hashlib.sha256()
        for n in names:
            parts.update(repr(found.keys[n]).encode())
            for part in found.series(n):
                parts.update(part.tobytes())
        return parts.hexdigest()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two files that overlap, the store of the first, and what stores hold after each order of imports."""
    folder = tmp_path_factory.mktemp("world")
    half = write(folder / "half.csv", 0, STEPS // 2)
    whole = write(folder / "whole.csv", STEPS // 4, STEPS - STEPS // 4)
    subprocess.run(command(folder, half), check=True, capture_output=True)
    before = digest(folder / "fleet.db")
    shutil.copy(folder / "fleet.db", folder / "half.db")
    started = time.monotonic()
    subprocess.run(command(folder, whole), check=True, capture_output=True)
    took = time.monotonic() - started
    after = digest(folder / "fleet.db")
    (folder / "fleet.db").unlink()
    subprocess.run(command(folder, whole), check=True, capture_output=True)
    return folder, half, whole, {True: (before, after), False: (None, "empty", digest(folder / "fleet.db"))}, took


def killed(arguments, after_s, **how):
    child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how)
    try:
        child.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    return child.returncode


@pytest.mark.parametrize("part", range(PARTS))
def test_an_import_that_is_killed_leaves_the_store_before_or_after(world, tmp_path, part):
    origin, _, whole, states, took = world
    path = tmp_path / "fleet.db"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for kill in range(KILLS):
        for old in tmp_path.glob("fleet.db*"):
            old.unlink()
        there = (part + kill) % 4 != 0  # else it is the first import, which makes the store
        if there:
            shutil.copy(origin / "half.db", path)
        wait = random.Random(1000 * part + kill).uniform(0.1, 1.05 * took)
        code = killed(command(tmp_path, whole), wait, env={**os.environ, "TMPDIR": str(temporary)})
        held = digest(path)
        assert held in states[there], (part, kill, wait)
        assert held == states[there][-1] or code != 0
        assert held is None or check_store(path, 60).sound
        assert list(temporary.iterdir()) == []  # no temporary file stays either
    subprocess.run(command(tmp_path, whole), check=True, capture_output=True)
    assert digest(path) == states[there][-1]


@pytest.mark.parametrize("part", range(PARTS // 2))
def test_two_imports_at_once_one_of_them_killed(world, tmp_path, part):
    """Whatever becomes of the one, the other is all there, and nothing of the first is half there."""
    _, half, whole, states, took = world
    before, after = states[True]
    for kill in range(max(1, KILLS // 4)):
        for old in tmp_path.glob("fleet.db*"):
            old.unlink()
        survivor = subprocess.Popen(command(tmp_path, half), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        code = killed(command(tmp_path, whole), random.Random(77 * part + kill).uniform(0.1, 2 * took))
        _, err = survivor.communicate()
        assert survivor.returncode == 0, err
        held = digest(tmp_path / "fleet.db")
        assert held in ((after,) if code == 0 else (before, after)), (part, kill)
        assert check_store(tmp_path / "fleet.db", 60).sound


@pytest.mark.parametrize("free", [0, 20_000, 200_000, 2_000_000])
def test_an_import_onto_a_full_disk(world, small_disk, free):
    """The store is on the full disk, and so are the temporary files: one line, and the store of before."""
    _, half, whole, *_ = world
    with tempfile.TemporaryDirectory(dir=small_disk) as folder:
        folder = Path(folder)
        small = folder / "small.csv"
        lines = half.read_text().splitlines(keepends=True)
        small.write_text("".join(lines[: 1 + 40 * SERIES]))
        subprocess.run(command(folder, small), check=True, capture_output=True)
        before = digest(folder / "fleet.db")
        filler = fill_disk(small_disk, free)
        try:
            done = subprocess.run(
                command(folder, whole), capture_output=True, text=True, check=False,
                env={**os.environ, "TMPDIR": str(folder)},
            )  # fmt: skip
        finally:
            filler.unlink()
        try:
            held = digest(folder / "fleet.db")
        except StoreError as error:
            pytest.fail(f"{error}")
        assert done.returncode == 3 or free > 0
        if done.returncode == 0:
            assert held != before
        else:
            assert done.returncode == 3
            assert done.stderr.count("\n") == 1, done.stderr
            assert "full" in done.stderr or "No space left" in done.stderr
            assert held == before
        assert check_store(folder / "fleet.db", 60).sound
