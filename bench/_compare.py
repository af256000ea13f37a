"""Time several ways of getting one answer, interleaved in one process, and give ratios.

Clocks on shared machines are noisy; the ratio of two routines timed in turn is not.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

WHOLE_S = 0.01  # a way faster than this is repeated until a measurement lasts so long
LEVELS = ("x86-64-v4", "x86-64-v3", "x86-64-v2", "plain")
THREADS = ("OPENBLAS", "MKL", "OMP", "NUMBA", "NUMEXPR")


@dataclass(frozen=True)
class Timing:
    """Best time of a way, and its time over that of the first way: median, least and most of the rounds."""

    best_s: float
    ratio: float
    low: float
    high: float

    @property
    def ms(self) -> str:
        return f"{number(1e3 * self.best_s)} ms"

    @property
    def times(self) -> str:
        return f"×{number(self.ratio)} ({number(self.low)}–{number(self.high)})"


@dataclass(frozen=True)
class OwnClock:
    """A way that says itself how many seconds count, and has been called before."""

    seconds: Callable[[], float]


Way = Callable[[], object] | OwnClock


def number(value: float) -> str:
    """Three digits that count, two below 1."""
    if value < 0.1:
        return f"{value:.2g}"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def timed(ways: dict[str, Way], rounds: int = 7) -> dict[str, Timing]:
    """Time each way in turn, `rounds` times over."""
    calls = {}
    for name, way in ways.items():
        if isinstance(way, OwnClock):
            calls[name] = 1
            continue
        way()  # warm caches, compilers and lazy imports
        calls[name] = max(1, round(WHOLE_S / _seconds(way, 1)))
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(_seconds(way, calls[name]))
    first = times[next(iter(ways))]
    result = {}
    for name, seconds in times.items():
        each = sorted(s / f for s, f in zip(seconds, first, strict=True))
        result[name] = Timing(min(seconds), statistics.median(each), each[0], each[-1])
    return result


def _seconds(way: Way, calls: int) -> float:
    if isinstance(way, OwnClock):
        return way.seconds()
    start = time.perf_counter()
    for _ in range(calls):
        way()
    return (time.perf_counter() - start) / calls


def compare(title: str, ways: dict[str, Way], rounds: int = 7) -> dict[str, Timing]:
    """Time each way and print a line for each."""
    result = timed(ways, rounds)
    print(title)
    for name, timing in result.items():
        print(f"  {name:<34} {timing.ms:>10}   {timing.times}", flush=True)
    return result


def importable(packages: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(package) for package in packages)


def one_thread() -> None:
    """One thread against one thread: BLAS, numba and polars read this when they are loaded, so start again with it."""
    wanted = {f"{name}_NUM_THREADS": "1" for name in THREADS} | {"POLARS_MAX_THREADS": "1"}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


def in_subprocess(arguments: list[str], level: str | None = None) -> object:
    """What this bench prints as JSON on its last line when it is run with these arguments, at a CPU level."""
    environment = dict(os.environ) if level is None else {**os.environ, "SURGETANK_CPU": level}
    done = subprocess.run(
        [sys.executable, sys.argv[0], *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
