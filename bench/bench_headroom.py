"""Moments and quantiles of `summarize` beside its peers, and `size_headroom` with ClassicPolicy beside NumPy.

`--write` puts the tables into README.md; `--level` and `--memory NAME QUANTILES MISSING` are how it calls itself.
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

import surgetank
from _compare import LEVELS, compare, in_subprocess, number, one_thread
from _memory import extra_bytes
from _page import publish, table
from _peers_headroom import QUANTILES, available
from _usage import noise, plain_read

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import classic_headroom

SAMPLES, SIZES = 8640, (20, 200, 2000)
series = partial(noise, samples=SAMPLES)
OURS, READ = "surgetank", "a plain read"
# What is computed, and whether 1 % of the samples are missing.
WORK = {
    "mean, sd, slope, max": (False, False),
    "the same, 1 % missing": (False, True),
    "… with P50, P95, P99": (True, False),
    "… with P50, P95, P99, 1 % missing": (True, True),
}


def ours(usage, quantiles, threads=1):
    return surgetank.summarize(usage, quantiles=QUANTILES if quantiles else (), threads=threads)


def figures(summary):
    """As the peers give them: rows mean, sd, slope, max and the quantiles."""
    return np.stack([summary.mean, summary.sigma_population, summary.slope, summary.max, *summary.quantiles])


def slow_twin(usage, quantiles):
    """Each series by itself, over what is observed."""
    rows = []
    for column in usage.T:
        t = np.flatnonzero(~np.isnan(column))
        u, centred = column[t], t - t.mean()
        rows.append([u.mean(), u.std(), centred @ (u - u.mean()) / (centred @ centred), u.max()])
        rows[-1] += list(np.quantile(u, QUANTILES)) if quantiles else []
    return np.array(rows).T


def check_answers():
    """Ours and every peer's against the slow twin."""
    for quantiles, missing in WORK.values():
        usage = series(6, missing)
        truth = slow_twin(usage, quantiles)
        np.testing.assert_allclose(figures(ours(usage, quantiles)), truth, rtol=1e-10)
        for peer in available(quantiles, missing):
            np.testing.assert_allclose(peer.answer(peer.prepare(usage)), truth, rtol=1e-8, err_msg=peer.name)
    print("every answer agrees with the slow twin's")


def against_peers(count, quantiles, missing, rounds=5):
    usage = series(count, missing)
    by_instant = np.ascontiguousarray(usage)
    ways = {OURS: lambda: ours(usage, quantiles), f"{OURS}, by instant": lambda: ours(by_instant, quantiles)}
    ways[READ] = lambda: plain_read(usage)
    for peer in available(quantiles, missing):
        prepared = peer.prepare(usage)
        ways[peer.name] = lambda peer=peer, prepared=prepared: peer.answer(prepared)
    kind = f"{'with quantiles' if quantiles else 'moments'}{', 1 % missing' if missing else ''}"
    return compare(f"summarize, {SAMPLES:,} samples × {count:,} series, {kind}", ways, rounds)


def who_is_fast(title, quantiles, missing):
    """Times of each way over ours."""
    columns = {f"{count:,} series": against_peers(count, quantiles, missing) for count in SIZES}
    rows = [["surgetank", *(found[OURS].ms for found in columns.values()), memory(OURS, quantiles, missing)]]
    names = [peer.name for peer in available(quantiles, missing)]
    for name in (f"{OURS}, by instant", READ, *names):
        cells = [found[name].times for found in columns.values()]
        rows.append([name, *cells, memory(name, quantiles, missing) if name in names else "–"])
    return table([title, *columns, "extra memory"], rows)


def memory(name, quantiles, missing):
    """Peak memory beside the input, of the input: each way in a process of its own."""
    return f"{in_subprocess(['--memory', name, str(int(quantiles)), str(int(missing))]):.1%}"


def measure_memory(name, quantiles, missing):
    usage, few = series(SIZES[-1], missing), series(2, missing, samples=1000)
    if name == OURS:
        ours(few, quantiles)
        extra = extra_bytes(lambda: ours(usage, quantiles))
    else:
        peer = next(peer for peer in available(quantiles, missing) if peer.name == name)
        peer.answer(peer.prepare(few))
        prepared = peer.prepare(usage)
        extra = extra_bytes(lambda: peer.answer(prepared))
    print(json.dumps(extra / usage.nbytes))


def by_level():
    """Each instruction set this machine has, in a process of its own."""
    found = [in_subprocess(["--level"], level) for level in LEVELS]
    rows = [[level, *each["cells"]] for level, each in zip(LEVELS, found, strict=True) if each["cpu"] == level]
    return table(["CPU path, 2,000 series", *WORK, "2 threads"], rows)


def measure_level():
    """Milliseconds, and the speed as a share of that of a plain read."""
    cells, two = [], []
    for quantiles, missing in WORK.values():
        usage = series(SIZES[-1], missing)
        one, other = ours(usage, quantiles), ours(usage, quantiles, threads=2)
        np.testing.assert_array_equal(figures(one), figures(other))
        ways = {OURS: lambda u=usage, q=quantiles: ours(u, q)}
        ways["two"] = lambda u=usage, q=quantiles: ours(u, q, threads=2)
        ways[READ] = lambda u=usage: plain_read(u)
        found = compare(f"summarize at {surgetank.cpu()}", ways)
        cells.append(f"{found[OURS].ms} ({number(found[READ].ratio)} of a read)")
        two.append(f"{1 / found['two'].ratio:.2f}")
    print(json.dumps({"cpu": surgetank.cpu(), "cells": [*cells, f"{', '.join(two)} times as fast"]}))


def classic(usage, quota):
    return surgetank.size_headroom(usage, quota=quota, step_s=300, policy=surgetank.ClassicPolicy())


def classic_with_numpy(usage, quota):
    """The terms without the spikes' P95, vectorised as a good user would."""
    now, t = usage[-1], np.arange(len(usage))
    slope = ((t - t.mean()) @ usage) / ((t - t.mean()) ** 2).sum()
    base = np.maximum.reduce([2 * usage.std(axis=0), slope * 168, 1.2 * (usage.max(axis=0) - now), 0.2 * now])
    return np.maximum.reduce([base, now, 0.5 * now, np.full(len(now), 10.0)])


def classic_section():
    rng = np.random.default_rng(12)
    usage, quota = rng.gamma(4, 25, (SAMPLES, 6)), np.full(6, 1000.0)
    found = classic(usage, quota)
    for k in range(6):
        twin = classic_headroom(usage[:, k], quota=quota[k], step_s=300)
        np.testing.assert_allclose(found.needed[k], twin["needed"], rtol=1e-12)
        terms = max(twin["base"], now := usage[-1, k], 0.5 * now, 10.0)
        np.testing.assert_allclose(classic_with_numpy(usage, quota)[k], terms, rtol=1e-9)
    print("needed agrees with the slow twin to 1e-12")
    rows = []
    for count in SIZES:
        usage, quota = series(count), np.full(count, 1000.0)
        ways = {
            OURS: lambda u=usage, q=quota: classic(u, q),
            "NumPy": lambda u=usage, q=quota: classic_with_numpy(u, q),
        }
        times = compare(f"ClassicPolicy, {SAMPLES:,} samples × {count:,} quotas", ways, rounds=5)
        rows.append([f"{count:,}", times[OURS].ms, times["NumPy"].times])
    return table(["quotas", "surgetank, spikes included", "NumPy, the four terms without spikes"], rows)


def main():
    one_thread()
    if "--memory" in sys.argv:
        name, quantiles, missing = sys.argv[sys.argv.index("--memory") + 1 :]
        return measure_memory(name, quantiles == "1", missing == "1")
    if "--level" in sys.argv:
        return measure_level()
    check_answers()
    tables = [who_is_fast(title, *work) for title, work in WORK.items()]
    publish("headroom", "\n\n".join([*tables, by_level()]))
    publish("classic", classic_section())
    return None


if __name__ == "__main__":
    main()
