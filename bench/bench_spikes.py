"""`detect_spikes` with RollingSigma beside its peers: first who is right, then who is fast and in how much memory.

`--write` puts the tables into README.md. `--level` and `--memory WAY` are how this bench calls itself.
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

import surgetank
from _compare import LEVELS, compare, importable, in_subprocess, number, one_thread
from _memory import extra_bytes
from _page import publish, table
from _peers_spikes import PEERS, THRESHOLD, WINDOW, available
from _usage import noise, plain_read

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import rolling_sigma

DETECTOR = surgetank.RollingSigma(window=WINDOW, threshold=THRESHOLD)
SAMPLES, SIZES = 4320, (20, 200, 2000)
series = partial(noise, samples=SAMPLES)
OURS, READ = "surgetank", "a plain read"
NUMBA = ("numba, fused, as first written", "numba, fused, no branches")


def ours(usage, threads=1):
    return surgetank.detect_spikes(usage, detector=DETECTOR, outputs=(), threads=threads).count


def ours_flags(usage):
    return surgetank.detect_spikes(usage, detector=DETECTOR, outputs=("flags",)).flags


def hard_cases():
    rng = np.random.default_rng(11)
    busy, calm = rng.gamma(4, 25, (2000, 1)), rng.normal(100, 1, (2000, 1))
    missing, outlier, busy_outlier, late = busy.copy(), calm.copy(), busy.copy(), calm + 1e9
    missing[rng.random(busy.shape) < 0.05] = np.nan
    outlier[500] = busy_outlier[500] = 1e9
    late[0] = 0
    return {
        "100 ± 50": busy,
        "100 ± 50, 5 % missing": missing,
        "100 ± 50, an outlier of 1e9": busy_outlier,
        "100 ± 1": calm,
        "100 ± 1, an outlier of 1e9": outlier,
        "1e9 ± 1": calm + 1e9,
        "1e9 ± 1 after one 0": late,
    }


def who_is_right():
    """Flags that differ from those of the slow twin, which computes in fractions."""
    cases = hard_cases()
    truth = {name: rolling_sigma(u[:, 0], WINDOW, THRESHOLD, exact=True)["flags"][:, None] for name, u in cases.items()}
    rows = [["*spikes there are*", *(str(flags.sum()) for flags in truth.values())]]
    for name, usage in cases.items():
        np.testing.assert_array_equal(ours_flags(usage), truth[name], err_msg=name)
        assert ours(usage)[0] == truth[name].sum(), name
    rows.append(["surgetank", *("0" for _ in cases)])
    for peer in available():
        row = [peer.name]
        for name, usage in cases.items():
            if np.isnan(usage).any() and not peer.missing:
                row.append("–")
                continue
            with np.errstate(all="ignore"):
                wrong = int((peer.all_flags(peer.prepare(usage)) != truth[name]).sum())
            assert not name.startswith("100 ± 50") or wrong == 0, (peer.name, name)
            row.append(str(wrong) if wrong == 0 else f"**{wrong}**")
        rows.append(row)
    return table(["flags that differ, of 2,000", *cases], rows)


def against_peers(count, order="F", missing=False, rounds=5):
    """Timings of us, the peers and a plain read; every peer must count what we count."""
    usage = series(count, missing, order)
    found = ours(usage)
    ways = {OURS: lambda: ours(usage), READ: lambda: plain_read(usage)}
    for peer in available():
        if count > peer.most or (missing and not peer.missing):
            continue
        prepared = peer.prepare(usage)
        np.testing.assert_array_equal(peer.all_counts(prepared), found, err_msg=peer.name)
        ways[peer.name] = lambda peer=peer, prepared=prepared: peer.all_counts(prepared)
    kind = f"{'1 % missing, ' if missing else ''}{order} order"
    return compare(f"spikes, {SAMPLES:,} samples × {count:,} series, window {WINDOW}, {kind}", ways, rounds)


def who_is_fast():
    """Times of each way over ours."""
    columns = {f"{count:,} series": against_peers(count) for count in SIZES}
    columns["2,000, by instant"] = against_peers(SIZES[-1], order="C")
    columns["2,000, 1 % missing"] = against_peers(SIZES[-1], missing=True)
    rows = [["surgetank", *(found[OURS].ms for found in columns.values()), memory(OURS)]]
    for name in (READ, *(peer.name for peer in available())):
        cells = [found[name].times if name in found else "–" for found in columns.values()]
        rows.append([name, *cells, "–" if name == READ or cells[2] == "–" else memory(name)])
    return table(["time over that of surgetank", *columns, "extra memory"], rows)


def memory(name):
    """Peak memory beside the input, of the input: each way in a process of its own."""
    return f"{in_subprocess(['--memory', name]):.1%}"


def measure_memory(name):
    usage, few = series(SIZES[-1]), series(2, samples=2 * WINDOW)
    if name == OURS:
        ours(few)
        extra = extra_bytes(lambda: ours(usage))
    else:
        peer = next(peer for peer in PEERS if peer.name == name)
        peer.all_counts(peer.prepare(few))
        prepared = peer.prepare(usage)
        extra = extra_bytes(lambda: peer.all_counts(prepared))
    print(json.dumps(extra / usage.nbytes))


def by_level():
    """Each instruction set this machine has, in a process of its own."""
    rows = []
    for level in LEVELS:
        found = in_subprocess(["--level"], level)
        if found["cpu"] == level:
            rows.append([level, *found["cells"]])
    header = ["CPU path", "2,000 series", "by instant", "1 % missing", "of a plain read", *NUMBA, "2 threads"]
    return table(header, rows)


def measure_level():
    usage, by_instant, missing = series(SIZES[-1]), series(SIZES[-1], order="C"), series(SIZES[-1], missing=True)
    ways = {OURS: lambda: ours(usage), "C": lambda: ours(by_instant), "missing": lambda: ours(missing)}
    ways["two"] = lambda: ours(usage, threads=2)
    np.testing.assert_array_equal(ours(usage, threads=2), ours(usage))
    ways[READ] = lambda: plain_read(usage)
    for peer in PEERS:
        if peer.name in NUMBA and importable(peer.needs):
            prepared = peer.prepare(usage)
            ways[peer.name] = lambda peer=peer, prepared=prepared: peer.all_counts(prepared)
    found = compare(f"spikes at {surgetank.cpu()}", ways)
    cells = [found[OURS].ms, found["C"].ms, found["missing"].ms, number(found[READ].ratio)]
    cells += [found[name].times if name in found else "–" for name in NUMBA]
    cells += [f"{1 / found['two'].ratio:.2f} times as fast"]
    print(json.dumps({"cpu": surgetank.cpu(), "cells": cells}))


def main():
    one_thread()
    if "--memory" in sys.argv:
        return measure_memory(sys.argv[-1])
    if "--level" in sys.argv:
        return measure_level()
    right = who_is_right()
    publish("spikes", "\n\n".join([right, who_is_fast(), by_level()]))
    return None


if __name__ == "__main__":
    main()
