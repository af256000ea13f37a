"""What is done to a store while something goes wrong: run in a process of its own, which may be killed.

``python store_faults.py do TASK PATH [BYTES]`` does a task, with a limit to the size of files;
``kill TASK FOLDER SEED...`` does it again and again, ends each at a random moment, and says what was neither before
nor after.
"""

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import time
from pathlib import Path

from surgetank import History, Scenario, Store, StoreError
from surgetank.history.soundness import check_store

#: How often tests try what is different each time: a factor, for a slow run.
FAULTS = int(os.environ.get("SURGETANK_FAULTS", "1"))
DAY_S = 86_400
NEW_YEAR = 1767225600
KEPT = Path(__file__).parent / "golden" / "store_v1.bin"
PLAN = {"made": "2026-01-01T00:00:00Z", "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0}
REGIONS = [f"r{n}" for n in range(8)]


def usage(first, days, regions=REGIONS):
    """Samples of whole days, every ten minutes."""
    steps = days * 144
    values = [[float(t * len(regions) + r) for r in range(len(regions))] for t in range(steps)]
    start = NEW_YEAR + first * DAY_S
    return History.from_array(values, start=start, step_s=600, regions=regions, quota=9e9)


def make(path, days=20):
    """A store before anything goes wrong."""
    world = usage(0, days)
    with Store(path, create=True) as store:
        store.import_quotas(world.quotas)
        store.add_samples(world.samples())
        store.save_scenarios([Scenario("s", "r0", {"r1": 1.0})])
        store.save_plan(PLAN)


def do(task, path):
    """One task, from opening the file on."""
    if task == "migration":
        Store(path).close()
        return
    with Store(path, timeout_s=30) as store:
        if task == "import":
            store.add_samples(usage(10, 20).samples())  # half of it is there
        elif task == "plan":
            store.save_plan(PLAN | {"notes": ["x" * 100] * 4000})
        elif task == "backup":
            store.backup(path.with_name("copy.db"))
        elif task == "compact":
            store.compact(keep_s=5 * DAY_S, remove=True)


def held(path):
    """Everything in a store as plain values, whatever its version; the clock is left out."""
    if check_store(path, 5).schema_version < 2:
        db = sqlite3.connect(path)
        tables = ("quota_key", "usage_day", "quota", "scenario", "plan", "import")
        found = [db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
        db.close()
        return repr(found)
    with Store(path) as store:
        found = store.samples()
        arrays = found.keys, found.code.tobytes(), found.time_s.tobytes(), found.value.tobytes()
        reports = [{**report, "made": ""} for report in store.imports()]
        return repr((arrays, store.quotas(), store.scenarios(), store.plans(), reports))


def prepare(task, folder):
    """A fresh folder with the store that the task is done to."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "fleet.db"
    original = KEPT if task == "migration" else folder.with_name("original.db")
    if not original.exists():
        make(original)
    return Path(shutil.copy(original, path))


def _started(task, path):
    child = os.fork()
    if not child:
        try:
            do(task, path)
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
        os._exit(0)
    return child


def kill(task, folder, seeds):
    """Give what went wrong, and how often the store was the one before, and the one after."""
    path = prepare(task, folder)
    before = held(path)
    started = time.monotonic()
    os.waitpid(_started(task, path), 0)
    took = time.monotonic() - started
    after = held(path)
    wrong, counts = {}, {"before": 0, "after": 0}
    for seed in seeds:
        path = prepare(task, folder)
        child = _started(task, path)
        time.sleep(random.Random(seed).uniform(0, 1.1 * took))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        copy = path.with_name("copy.db")
        try:
            sound = check_store(path, 5).sound
            state = "before" if held(path) == before else "after" if held(path) == after else "between"
            if task == "backup" and copy.exists():
                state = "after" if held(copy) == before and check_store(copy, 5).sound else "a wrong copy"
            do(task, path) if state == "before" else None  # and it can be done again
            again = held(path) == after
        except StoreError as error:
            sound, state, again = False, str(error), False
        stray = [f for f in os.listdir(folder) if not f.startswith(("fleet.db", "copy.db", ".surgetank-"))]
        if not sound or not again or state not in counts or stray:
            wrong[seed] = [sound, state, again, stray]
        counts[state] = counts.get(state, 0) + 1
    return {"wrong": wrong, "counts": counts, "took": took}


if __name__ == "__main__":
    what, task, *rest = sys.argv[1:]
    if what == "kill":
        print(json.dumps(kill(task, Path(rest[0]), [int(seed) for seed in rest[1:]])))
    else:
        if len(rest) > 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(rest[1]), int(rest[1])))
        try:
            do(task, Path(rest[0]))
            print("done")
        except StoreError as error:
            print(error)
