"""Eight processes reserve, renew, resize, release, expire and forget, each by its own clock, and are killed as they do.

Whatever becomes of them, and in whichever store: no quota is ever oversold, no claim is lost or there by half, and none
is made twice. Some calls here; with SURGETANK_FAULTS=20, as in CI, tens of thousands.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from store_faults import FAULTS

SCRIPT = Path(__file__).with_name("reservation_faults.py")
PARTS = 4 if FAULTS >= 20 else 1  # several processes may share the parts
#: In DynamoDB, which is a server here, a call takes ten times as long: 20,000 in all with SURGETANK_FAULTS=100.
CALLS = {"embedded": 1500, "dynamodb": 200} if FAULTS == 1 else {"embedded": 500 * FAULTS, "dynamodb": 50 * FAULTS}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


def worked(kind, folder, calls, seed, *fault):
    """Run the script; threads of a library would be lost in a fork."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", SCRIPT, kind, folder, str(calls), str(seed), *fault]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=1800)
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


@pytest.mark.parametrize("part", range(PARTS))
def test_whoever_is_killed_nothing_is_oversold_lost_or_there_by_half(kind, tmp_path, part):
    seed, calls = random.randrange(1_000_000), CALLS[kind]
    found = worked(kind, tmp_path, calls, seed)
    print(f"{kind}, part {part}, seed {seed}: {found}")
    assert found["wrong"] == []
    assert found["answers"] >= calls
    assert found["kills"] >= calls // 30
    assert found["granted"] > calls // 20  # or nothing was put to the test
    assert found["repeated"] > 0 or calls < 1000


FAULT = {
    "oversell": "is oversold by",  # every claim is said to fit
    "revived": "is oversold by",  # nobody notes what has expired, and a clock that is behind brings it back
    "half": "is there by half",  # a part of a claim is committed before the rest
    "silent": "does not come to the rows",  # a change without a line of the trail
    "twice": "was claimed twice",  # tokens are forgotten
    "lost": "is in the trail: False",  # a claim is answered, and then undone
}


@pytest.mark.parametrize("fault", FAULT)
def test_a_fault_that_is_planted_is_found(tmp_path, fault):
    """Or the test above could not fail."""
    found_in("embedded", tmp_path, 3000, fault, FAULT[fault])


IN_TABLES = {
    **FAULT,
    "half": "and in its ledger",  # items of a claim are written one by one
    "blind": "and in its ledger",  # whatever stands there by now is written over
}


@pytest.mark.parametrize("fault", IN_TABLES if FAULTS > 1 else ["blind", "revived"])
def test_a_fault_that_is_planted_is_found_in_tables(dynamodb, tmp_path, fault):
    found_in("dynamodb", tmp_path, 1000, fault, IN_TABLES[fault])


def found_in(kind, folder, calls, fault, word):
    said = []
    for attempt in range(5):
        place = folder / str(attempt)
        place.mkdir()
        said += worked(kind, place, calls, attempt, fault)["wrong"]
        if any(word in one for one in said):
            return
    pytest.fail(f"not found: {said}")
