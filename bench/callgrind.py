"""Instructions per sample of the hot kernels, counted by valgrind: they do not depend on who else uses the machine.

The same script runs under callgrind once with every kernel called once, and for each kernel with one call more: the
difference is that call alone; start-up, making the samples and warming up cancel. valgrind knows no AVX-512, hence the
levels. `--write` puts the table into README.md; `--calls WORK` is how this script calls itself under valgrind.
"""

import os
import re
import shutil
import subprocess
import sys

import numpy as np

import surgetank
from _page import publish, table

LEVELS = ("x86-64-v3", "x86-64-v2", "plain")
SAMPLES, SERIES = 4320, 40


def spikes(usage):
    detector = surgetank.RollingSigma(window=144, threshold=3.0)
    return surgetank.detect_spikes(usage, detector=detector, outputs=(), threads=1)


def moments(usage):
    return surgetank.summarize(usage, quantiles=(), threads=1)


def quantiles(usage):
    return surgetank.summarize(usage, threads=1)


def kernels():
    """Work by name, with its samples."""
    rng = np.random.default_rng(14)
    plain = np.asfortranarray(rng.gamma(4, 25, (SAMPLES, SERIES)))
    by_instant = np.ascontiguousarray(plain)
    missing = np.asfortranarray(np.where(rng.random(plain.shape) < 0.01, np.nan, plain))
    return {
        "spikes": (spikes, plain),
        "spikes, by instant": (spikes, by_instant),
        "spikes, 1 % missing": (spikes, missing),
        "moments": (moments, plain),
        "moments, 1 % missing": (moments, missing),
        "moments and quantiles": (quantiles, plain),
        "moments and quantiles, 1 % missing": (quantiles, missing),
    }


def call(extra):
    """Every kernel once, and one of them once more."""
    known = kernels()
    for run, usage in known.values():
        run(usage)
    if extra in known:
        run, usage = known[extra]
        run(usage)
    print(surgetank.cpu())


def instructions(extra, level):
    """Instructions of the whole process; and the level it ran at."""
    environment = {**os.environ, "SURGETANK_CPU": level, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, __file__]
    done = subprocess.run([*command, "--calls", extra], env=environment, capture_output=True, text=True, check=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    assert counted, done.stderr
    return int(counted[1]), done.stdout.strip()


def main():
    if "--calls" in sys.argv:
        return call(sys.argv[-1])
    if shutil.which("valgrind") is None:
        print("instructions are not counted: valgrind is not installed")
        return None
    columns = {}
    for level in LEVELS:
        base, ran = instructions("nothing", level)
        if ran != level:
            print(f"{level} is left out: under valgrind this machine offers {ran}")
            continue
        columns[level] = {name: (instructions(name, level)[0] - base) / (SAMPLES * SERIES) for name in kernels()}
    rows = [[name, *(f"{found[name]:.1f}" for found in columns.values())] for name in kernels()]
    publish("callgrind", table(["instructions a sample", *columns], rows))
    return None


if __name__ == "__main__":
    main()
