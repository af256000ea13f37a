"""`estimate_recovery` beside NumPy and numba: nine steps in series, a graph of twenty whose load must find room.

Answers are compared first: with every peer, and of the series with a convolution that draws nothing. `--write` puts the
tables into README.md.
"""

import functools
import json
import math
import sys
import time

import numpy as np

import surgetank
from _compare import LEVELS, compare, importable, in_subprocess, number, one_thread
from _memory import extra_bytes
from _page import publish, table
from _peers_graph import PEERS as GRAPH_PEERS
from _peers_recovery import PEERS
from _runbooks import QUANTILES, Graph, Series

OURS = "surgetank"
TRIALS = {"10⁶ trials": 10**6, "10⁷": 10**7}
CHECKED = 2 * 10**6
ERRORS = 4  # standard errors that two answers may differ by
Z95 = 1.959964
TARGETS = {("triangular", "x86-64-v4"): 10, ("PERT", "x86-64-v4"): 18, ("triangular", "x86-64-v3"): 5}
TARGETS |= {("PERT", "x86-64-v3"): 12, ("graph", "x86-64-v4"): 15}
CASES = {"triangular": Series("triangular"), "PERT": Series("PERT"), "graph": Graph()}
TITLES = {
    "triangular": "9 steps in series, triangular",
    "PERT": "9 steps in series, PERT",
    "graph": "20 steps, and room",
}
PLAIN = {
    "triangular": "NumPy, rng.triangular",
    "PERT": "NumPy, rng.beta",
    "graph": "NumPy, rng.triangular and rng.beta",
}
SLOW = ("NumPy, np.interp", "NumPy, two gammas, float32", "numba, NumPy's generator")  # never the best
MANY, WARM = 10**8, 10**4


def peers(case):
    known = GRAPH_PEERS if case == "graph" else [peer for peer in PEERS if case in peer.shapes]
    return [peer for peer in known if importable(peer.needs)]


def check(case, n=CHECKED):
    """Everything that is compared lies within four standard errors of the difference."""
    model = CASES[case]
    ours = model.estimate(n, seed=1)
    rto = ours.rto
    low, high = np.array([rto.quantile_interval(q) for q in QUANTILES]).T
    quantiles = rto.quantile(QUANTILES)
    # What is found, and its standard error; in quantiles also what straight lines within bins of 0.4 % may do.
    found = {
        "P": (ours.probability, math.sqrt(ours.probability * (1 - ours.probability) / n)),
        "mean": (rto.mean, rto.sd / math.sqrt(n)),
        "never": (rto.never, math.sqrt(rto.never * (1 - rto.never) / n)),
    }
    with np.errstate(invalid="ignore"):
        found["quantiles"] = quantiles, (high - low) / (2 * Z95) + 2e-4 * quantiles / ERRORS
    if case != "graph":  # of which waits of days leave the square too uncertain
        found["sd"] = rto.sd, rto.sd / math.sqrt(n)

    def same(other, name, more):
        for what, (expected, error) in found.items():
            if what in other:
                finite = np.isfinite(expected)
                np.testing.assert_array_equal(np.isfinite(other[what]), finite, err_msg=f"{case}, {name}: {what}")
                off = np.abs(np.where(finite, other[what], 0) - np.where(finite, expected, 0))
                allowed = np.where(finite, ERRORS * more * error, 0)
                assert np.all(off <= allowed), f"{case}, {name}: {what} {other[what]}, ours {expected} ± {error}"

    for peer in peers(case):
        other = peer.run(model, n, 2, peer.chunks[-1])
        answer = {"P": other.probability, "mean": other.mean, "sd": other.sd, "never": other.never}
        same({**answer, "quantiles": other.quantiles}, peer.name, math.sqrt(2))
    if case != "graph":
        at, below = model.convolved
        mean = (at - (at[1] - at[0]) / 2) @ np.diff(below, prepend=0)
        p = np.interp(model.target_s, at, below)
        same({"P": p, "mean": mean, "quantiles": np.interp(QUANTILES, below, at)}, "convolution", 1)
    print(f"{case}: answers agree; P(in time) {ours.probability:.4f}", flush=True)


@functools.cache
def chunk_of(case, name):
    """The fastest size of a chunk, by a first try of each."""
    peer = next(peer for peer in peers(case) if peer.name == name)
    took = {}
    for _ in range(2):
        for chunk in peer.chunks:
            start = time.perf_counter()
            peer.run(CASES[case], 10**6, 3, chunk)
            took[chunk] = min(took.get(chunk, math.inf), time.perf_counter() - start)
    return min(took, key=took.__getitem__)


def ways(case, trials, without=()):
    model = CASES[case]
    found = {OURS: lambda: model.estimate(trials)}
    for peer in peers(case):
        if peer.name not in without:
            chunk = chunk_of(case, peer.name)
            found[peer.name] = lambda peer=peer, chunk=chunk: peer.run(model, trials, 3, chunk)
    return found


def against_peers(case):
    found = {
        label: compare(f"{case}, {label}", ways(case, trials), rounds=7 if trials <= 10**6 else 3)
        for label, trials in TRIALS.items()
    }
    ours = [
        f"{times[OURS].ms}, {number(1e9 * times[OURS].best_s / TRIALS[label])} ns a trial"
        for label, times in found.items()
    ]
    rows = [[OURS, *ours]]
    for peer in peers(case):
        chunk = chunk_of(case, peer.name)
        note = f", {chunk:,} at a time" if chunk else ""
        rows.append([f"{peer.name}{note}", *(times[peer.name].times for times in found.values())])
    return table([TITLES[case], *found], rows)


def at_level():
    """In a process of its own: the ratios at one CPU level, for JSON."""
    found = {}
    for case, model in CASES.items():
        times = compare(f"{case}, {surgetank.cpu()}", ways(case, 10**6, SLOW), rounds=7)
        many = 10**7 if case != "graph" else 2 * 10**6
        threads = {n: functools.partial(model.estimate, many, n) for n in (1, 2)}
        two = compare(f"{case}, threads", threads, rounds=9)[2]
        best = {}
        for kind in ("NumPy", "numba"):
            of_kind = [times[peer.name] for peer in peers(case) if peer.name.startswith(kind) and peer.name in times]
            best[kind] = min(of_kind, key=lambda t: t.ratio).times if of_kind else "–"
        plain = times[PLAIN[case]]
        found[case] = {
            "ns": number(1e3 * times[OURS].best_s), "plain": plain.times, "ratio": plain.ratio, **best,
            "threads": 1 / two.ratio,
        }  # fmt: skip
    return found


def by_level():
    """Every case at every level: ours, the peer as first written, the best peers, and two threads over one."""
    rows = []
    for level in LEVELS:
        found = in_subprocess(["--level"], level)
        for case, of in found.items():
            target = TARGETS.get((case, level))
            aim = f" (aim ×{target}{'' if of['ratio'] >= target else ', missed'})" if target else ""
            two = f"{of['threads']:.2f} times as fast"
            rows.append([level, case, f"{of['ns']} ns", of["plain"] + aim, of["NumPy"], of["numba"], two])
    head = ["CPU path", "runbook", "a trial", "NumPy, its own distributions", "NumPy, best", "numba, best", "2 threads"]
    return table(head, rows)


def memory():
    """What the peak of a process grows by; each case in one of its own."""
    extra = [f"{case} {in_subprocess(['--memory', case]) / 2**20:.2f} MiB" for case in CASES]
    return f"Extra memory at {MANY:,} trials: {', '.join(extra)} (aim: below 2)."


def warm():
    """A small estimate, as an interactive user or an optimiser asks it, again and again."""
    found = []
    for case, model in CASES.items():
        t = compare(f"{WARM} trials, {case}", {OURS: lambda model=model: model.estimate(WARM)})
        found.append(f"{case} {t[OURS].ms}")
    return f"{WARM:,} trials through `estimate_recovery`, warm: {', '.join(found)} (aim: below 1 ms)."


def main():
    one_thread()
    if "--level" in sys.argv:
        print(json.dumps(at_level()))
        return
    if "--memory" in sys.argv:
        model = CASES[sys.argv[-1]]
        model.prepare()
        print(json.dumps(extra_bytes(lambda: model.estimate(MANY))))
        return
    for case in CASES:
        check(case)
    tables = [against_peers(case) for case in CASES]
    lines = "\n".join(f"- {line}" for line in [memory(), warm()])
    publish("recovery", "\n\n".join([*tables, by_level(), lines]))


if __name__ == "__main__":
    main()
