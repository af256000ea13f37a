"""Every refusal of `allocate`; extremes, iterators, and a signal in the middle."""

import subprocess
import sys

import numpy as np
import pytest

import surgetank
from surgetank import InvalidInput, allocate

ABC = ("A", "B", "C")

REFUSED = [
    ({"load": [1, -1, 1]}, "load: must be 0 or more (got -1.0)"),
    ({"load": [1, np.nan, 1]}, "load: must be finite and 0 or more (got nan)"),
    ({"load": [1, np.inf, 1]}, "load: must be finite and 0 or more (got inf)"),
    ({"load": ["a", "b", "c"]}, "load: must hold numbers (got 'a')"),
    ({"load": [1]}, "load: must be of at least two Regions: the last axis (got 'shape (1,)')"),
    ({"load": 3}, "load: must have shape (R,), (S, R) or (T, S, R) (got 'shape ()')"),
    ({"load": np.full((2, 1, 3), np.nan)},
     "load: must have a moment at which every Region of a service is observed (got service 0: none)"),
    ({"existing": None}, "existing: must be given beside an array of load (got None)"),
    ({"existing": [1, 1]}, "existing: must be one number, or have shape (3,) or (1, 3) (got 'shape (2,)')"),
    ({"existing": [1, 1, -1]}, "existing: must be 0 or more (got -1.0)"),
    ({"existing": [1, 1, np.nan]}, "existing: must be a number, 0 or more (got 'nan')"),
    ({"cost": [1, 1, -1]}, "cost: must be finite and 0 or more (got -1)"),
    ({"cost": np.inf}, "cost: must be finite and 0 or more (got inf)"),
    ({"raisable": -1}, "raisable: must be 0 or more (got -1)"),
    ({"raisable": np.nan}, "raisable: must be 0 or more (got nan)"),
    ({"reserved": [0, 0, -2]}, "reserved: must be finite and 0 or more (got -2)"),
    ({"multiplier": -1}, "multiplier: must be finite and 0 or more (got -1)"),
    ({"critical": 1.5}, "critical: must lie in [0, 1] (got 1.5)"),
    ({"share_cap": 1.5}, "share_cap: must lie in [0, 1] (got 1.5)"),
    ({"share_cap": np.nan}, "share_cap: must lie in [0, 1] (got nan)"),
    ({"eligible": np.full((3, 3), 2)}, "eligible: must be True or False (got 2.0)"),
    ({"eligible": np.ones((2, 2))}, "eligible: must have shape (3, 3) or (1, 3, 3) (got 'shape (2, 2)')"),
    ({"eligible": {"A": ["D"]}}, "eligible: must name Regions that are there; known: A, B, C (got 'D')"),
    ({"regions": ["A", "A", "B"]}, "regions: must be 3 different names (got ['A', 'A', 'B'])"),
    ({"regions": "ABC"}, "regions: must be 3 different names (got 'ABC')"),
    ({"failures": "N-0"}, 'failures: of any k Regions must be "N-1" to "N-3" (got \'N-0\')'),
    ({"failures": "N-3"}, "failures: must leave at least one of 3 Regions (got 'N-3')"),
    ({"failures": "N-4"}, 'failures: of any k Regions must be "N-1" to "N-3" (got \'N-4\')'),
    ({"failures": []}, "failures: must name at least one failure (got [])"),
    ({"failures": ["A", "D"]}, "failures: must name Regions that are there; known: A, B, C (got 'D')"),
    ({"failures": [("A", "B", "C")]}, "failures: must leave at least one Region (got ['A', 'B', 'C'])"),
    ({"failures": [("A", "A")]}, "failures: must be sets of different Regions, none empty (got ('A', 'A'))"),
    ({"together": [("A", "B"), ("B", "C")]}, "together: must name a Region at most once (got 'B')"),
    ({"together": [("A", "B")], "failures": "N-2"},
     "failures: must leave at least one of 2 Regions that fail apart (got 'N-2')"),
    ({"unplaced": 1}, "unplaced: must be a share in [0, 1) (got 1)"),
    ({"alpha": 1.0}, "alpha: must be in [0, 1) (got 1)"),
    ({"threads": -1}, "threads: must be 0 (all of the machine's) or more, and no more than a machine has (got -1)"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_malformed_input_is_refused(changed, message):
    with pytest.raises(InvalidInput) as refused:
        allocate(**{"load": [1, 2, 3], "existing": [0, 0, 0], "regions": ABC, **changed})
    assert str(refused.value) == message


def test_beyond_double_precision_is_said():
    with pytest.raises(surgetank.NumericalFailure, match="load: its sum is beyond double precision"):
        allocate([1e300, 1e300], 0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"load": [0.045, 0.13, 250.0], "existing": [1.3, 0, 0], "raisable": [np.inf, 0.0062, np.inf], "share_cap": 0.5},
        {"load": [300.0, 9.0, 700.0], "existing": 0, "cost": [1, 20, 1], "raisable": [300.0, 0.002, 0.001],
         "share_cap": 0.3},
        {"load": [360.0, 800.0], "existing": 0.0, "cost": [0.62, 0.078], "raisable": [0.0073, np.inf],
         "unplaced": 1e-6, "alpha": 0.0},
    ],
)  # fmt: skip
def test_infeasible_with_loads_of_very_different_size(arguments):
    best = allocate(**arguments)
    assert best.status == "infeasible"
    assert best.shortfall.max() > 0


def test_iterators_are_read_once():
    groups = [("a", "b")]
    for some in (groups, iter(groups)):
        curve = surgetank.tier_curve([1.0, 1.0, 2.0], regions=list("abc"), together=some, critical=[0.9, 1.0])
        assert curve.cost.tolist() == pytest.approx([3.2, 4.0])
    assert allocate([1, 2, 3], 0, regions=iter("abc")).regions == ("a", "b", "c")
    assert len(allocate([1, 2, 3], 0, failures=iter(["0", ("1", "2")])).failures) == 2


@pytest.mark.parametrize("failures", ["N-3", [tuple(str(r) for r in range(k, k + 30)) for k in range(0, 60, 1)]])
def test_a_long_call_answers_ctrl_c(failures):
    """In another process, since the signal would end the test run."""
    regions = 200 if failures == "N-3" else 90
    program = f"""
import numpy as np, signal, surgetank, threading, time, os
rng = np.random.default_rng(0)
load, eligible = rng.uniform(1, 9, {regions}), rng.random(({regions}, {regions})) < 0.2
failures = {failures!r}
if failures != "N-3":
    failures = [tuple(map(str, rng.choice(90, 40, replace=False))) for _ in range(3000)]
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    began = time.monotonic()
    surgetank.allocate(load, 0.0, eligible=eligible, share_cap=0.2, failures=failures)
    print("done before")
except KeyboardInterrupt:
    print("answered", time.monotonic() - began < 6)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout in ("answered True\n", "done before\n"), done.stderr
