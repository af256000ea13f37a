"""Instruction sets: every one that this machine has gives the same bits, and a wrong name is refused at once."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from surgetank import (
    AdaptiveDetector,
    ClassicPolicy,
    QuantilePolicy,
    RollingSigma,
    _core,
    cpu,
    detect_spikes,
    size_headroom,
    summarize,
)

LEVELS = ("plain", "x86-64-v2", "x86-64-v3", "x86-64-v4")
PER_SAMPLE = ("flags", "scores", "likelihood", "ratios")
SIZES = (
    "usage", "base", "failover", "spike", "needed", "required", "available", "utilization", "day_utilization",
    "shortfall",
)  # fmt: skip


def run(code, level):
    environment = {**os.environ, "SURGETANK_CPU": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def worlds():
    """Series beside each other that take different ways: whole, gappy, extreme, silent; 45 are a band and a rest."""
    random = np.random.default_rng(5)
    whole = 100 * random.lognormal(sigma=0.5, size=(700, 45))
    gappy = np.where(random.random(whole.shape) < 0.1, np.nan, whole)
    hard = gappy.copy()
    hard[:, 3] *= 1e200
    hard[:, 9] *= 1e-200
    hard[350, 11] = 1e300
    hard[:, 12] = np.nan
    hard[:, 13] = 0.0
    hard[:, 14] -= 100.0
    hard[:, 15] = 1e9 + random.normal(size=700)
    hard[:300, 16] = np.nan
    return {"whole": whole, "gappy": gappy, "hard": hard, "few": hard[:, 10:15], "one": gappy[:, 0]}


RULES = (
    AdaptiveDetector(threshold=0.5),
    RollingSigma(),
    RollingSigma(window=37, threshold=1.5, exclude_current=True),
)


def digest():
    """One line for every call, so that a difference names the call that made it."""
    lines = []

    def note(what, *arrays):
        kept = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]
        lines.append(f"{kept} {what}")

    for world, samples in worlds().items():
        for order in "CF":
            usage = np.array(samples, order=order)
            for threads in (1, 2):
                for rule in RULES:
                    found = detect_spikes(usage, detector=rule, threads=threads)
                    columns = [getattr(found, name) for name in (*PER_SAMPLE, "count", "p95_ratio", "max_ratio")]
                    runs = [(e.start, e.end, e.peak, e.ratio) for e in found.episodes]
                    note(f"spikes {world} {rule}", *columns, np.array(runs))
                found = summarize(usage, quantiles=(0.5, 0.999, 0.0), threads=threads)
                names = ("count", "mean", "sigma_population", "slope", "min", "max", "last", "last_index", "quantiles")
                note(f"summary {world}", *(getattr(found, name) for name in names))
    usage = worlds()["gappy"][:, :8].reshape(700, 2, 4)
    for policy in (ClassicPolicy(), QuantilePolicy()):
        sizes = size_headroom(usage, quota=2000.0, step_s=3600, scenarios="N-1", policy=policy)
        note(f"headroom {type(policy).__name__}", *(getattr(sizes, name) for name in SIZES))
    return lines


@pytest.fixture(scope="module")
def expected():
    return digest()


def test_orders_and_threads_give_the_same_bits(expected):
    bits = {}
    for line in expected:
        kept, what = line.split(" ", 1)
        assert bits.setdefault(what, kept) == kept, what
    assert len(bits) == 5 * (len(RULES) + 1) + 2


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_gives_the_same_bits(expected, level):
    if level not in _core.cpu_levels():
        pytest.skip(f"this machine or build cannot run {level}")
    here = run("import surgetank, test_cpu; print(surgetank.cpu(), *test_cpu.digest(), sep='\\n')", level)
    assert here.stderr == ""
    forced, *lines = here.stdout.splitlines()
    assert forced == level
    assert lines == expected


def test_a_wrong_level_that_is_no_text_is_refused_as_well():
    code = "import surgetank as s\ntry:\n s.cpu()\nexcept s.InvalidInput as e:\n print(e)"
    environment = {**os.environb, b"SURGETANK_CPU": b"\xff"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("(got ?)\n")


def test_the_best_level_is_taken_where_none_is_named():
    assert run("import surgetank; print(surgetank.cpu())", "").stdout.strip() == _core.cpu_levels()[-1]


def test_levels_are_known_and_in_order():
    levels = _core.cpu_levels()
    assert levels[0] == "plain"
    assert levels == [level for level in LEVELS if level in levels]
    assert cpu() in levels


@pytest.mark.parametrize("wrong", ["avx2", "v3", "PLAIN", " "])
def test_a_wrong_level_is_refused_by_name(wrong):
    """By whatever needs the kernels first: an import could only fail with a traceback, also on the command line."""
    known = ", ".join(_core.cpu_levels())
    rule = f"SURGETANK_CPU: must be empty or what this machine and build can run: {known} (got {wrong})"
    for call in (
        "cpu()",
        "detect_spikes([1.0] * 99)",
        "detect_spikes([1.0] * 99, detector=s.RollingSigma())",
        "summarize([1.0])",
    ):
        code = f"import surgetank as s\ntry:\n s.{call}\nexcept s.InvalidInput as e:\n print(e)"
        assert run(code, wrong).stdout == f"{rule}\n", call
    command = run("import sys; from surgetank.cli import main; sys.exit(main(['demo', '--store', ':memory:']))", wrong)
    assert "Traceback" not in command.stderr
