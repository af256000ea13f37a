"""`backtest` beside numba, tuned and as first written, and beside NumPy with pandas; `tune` on real series.

Answers are compared first: ours with the slow twin, the peers' with ours. `--write` puts the tables into README.md,
`--quick` is a small round of everything; `--level` and `--memory ORDER` are how it calls itself.
"""

import ctypes
import json
import sys
import time
from pathlib import Path

import numpy as np

import surgetank
from _compare import LEVELS, OwnClock, compare, in_subprocess, number, one_thread
from _memory import extra_bytes
from _page import publish, table
from _peers_backtest import available
from _replays import SAMPLES, SMALL, WORKS, answer, assert_same, ours, truth, usage

SHARED = Path(__file__).parents[2] / "shared" / "data"
OURS, BY_INSTANT = "surgetank", "surgetank, by instant"
TUNED = "numba, tuned"
SIZES = {"8 policies × 20 series": (8, 20), "200 × 100": (200, 100), "1,000 × 500": (1000, 500)}
# Series that a peer is timed on where all would take minutes: policies × series, as many as it does in some seconds.
AT_MOST = {"numba": 50_000, "NumPy, bottleneck, pandas": 20_000}
FEW = {"1 series": 1, "20 series": 20, "500 series": 500}  # beside every number of policies
LEVEL_SIZE = (1000, 500)


class Sizes:
    """How much is done; the least of it for `--quick`."""

    def __init__(self, quick):
        self.quick = quick
        self.samples = 800 if quick else SAMPLES
        self.sizes = {"8 policies × 2 series": (8, 2)} if quick else SIZES
        self.few = {"1 series": 1} if quick else FEW
        self.works = {n: w for n, w in WORKS.items() if not quick or n <= 8}
        self.level = (8, 2) if quick else LEVEL_SIZE
        self.levels = LEVELS[-1:] if quick else LEVELS
        self.memory = (8, 50) if quick else SIZES["1,000 × 500"]
        self.tuned = 100 if quick else 10_000
        self.rounds = 1 if quick else 5

    def usage(self, series, order="F"):
        return usage(self.samples, series, order)


def check(at):
    """Ours equals the twin's on a small case, in both orders; every peer's equals ours on a middle one."""
    small = usage(200, 2)
    expected = truth(small, SMALL)
    for u in (small, usage(200, 2, "C")):
        assert_same(answer(ours(u, SMALL)), expected, "surgetank")
    middle, work = at.usage(2 if at.quick else 20), WORKS[8 if at.quick else 1000]
    expected = answer(ours(middle, work))
    for peer in available():
        assert_same(peer.answer(peer.prepare(middle), work), expected, peer.name)
    print(
        f"answers agree: {expected['requests'].sum():,} requests, {expected['fails'].sum():,} moments fail", flush=True
    )


def cells(policies, series, samples):
    return 1e-9 * policies * series * samples


def speed(timing, size, at):
    return f"{timing.ms}, {number(cells(*size, at.samples) / timing.best_s)} G cells/s"


def of_fewer(peer, work, at, series):
    """A peer on so many series as it can do in seconds, and the factor to all of them."""
    kept = min(series, max(1, AT_MOST.get(peer.name, 10**9) // len(work.policies)))
    prepared, scale = peer.prepare(at.usage(series)[:, :kept]), series / kept
    if scale == 1:
        return lambda: peer.answer(prepared, work), kept

    def seconds():
        start = time.perf_counter()
        peer.answer(prepared, work)
        return scale * (time.perf_counter() - start)

    seconds()  # warm
    return OwnClock(seconds), kept


def against_peers(at):
    """Each size: ours in both orders, and the peers."""
    columns, scaled = {}, []
    for label, (policies, series) in at.sizes.items():
        work, by_series, by_instant = WORKS[policies], at.usage(series), at.usage(series, "C")
        ways = {OURS: lambda u=by_series, w=work: ours(u, w), BY_INSTANT: lambda u=by_instant, w=work: ours(u, w)}
        for peer in available():
            ways[peer.name], kept = of_fewer(peer, work, at, series)
            if kept < series:
                scaled.append(f"{peer.name} {kept} of the {series} series at {label}")
        columns[label] = compare(label, ways, rounds=3 if policies == 1000 else at.rounds)
    rows = [[OURS, *(speed(found[OURS], at.sizes[label], at) for label, found in columns.items())]]
    names = list(dict.fromkeys(name for found in columns.values() for name in found))[1:]
    rows += [[name, *(found[name].times for found in columns.values())] for name in names]
    note = f"\n\nTimed on fewer series, in proportion: {'; '.join(scaled)}." if scaled else ""
    return table([f"{at.samples:,} samples a series", *columns], rows) + note


def few(at):
    """From how many policies on we are ahead: ours, and the peers' times over it."""
    rows = []
    for policies, work in at.works.items():
        row = []
        for label, series in at.few.items():
            if policies * series > 200 * 500:  # in the table before
                row.append("–")
                continue
            ways = {OURS: lambda s=series, w=work: ours(at.usage(s), w)}
            ways |= {peer.name: of_fewer(peer, work, at, series)[0] for peer in available()}
            found = compare(f"{policies} policies, {label}", ways, rounds=at.rounds)
            row.append(f"{found[OURS].ms}: {', '.join(f'×{number(found[p.name].ratio)}' for p in available())}")
        rows.append([f"{policies:,}", *row])
    names = ", ".join(peer.name for peer in available())
    return table([f"policies: surgetank; {names}", *at.few], rows)


def at_level(at):
    """In a process of its own: speed, tuned numba and two threads at one CPU level, for JSON."""
    policies, series = at.level
    u, work = at.usage(series), WORKS[policies]
    ways = {OURS: lambda: ours(u, work), "2 threads": lambda: ours(u, work, threads=2)}
    for peer in available():
        if peer.name == TUNED and not at.quick:
            prepared = peer.prepare(u)
            ways[peer.name] = lambda peer=peer, prepared=prepared: peer.answer(prepared, work)
    by_instant = at.usage(series, "C")
    ways[BY_INSTANT] = lambda: ours(by_instant, work)
    found = compare(f"{policies:,} × {series}, {surgetank.cpu()}", ways, rounds=min(3, at.rounds))
    return {
        "cpu": surgetank.cpu(),
        "ours": speed(found[OURS], at.level, at),
        "by instant": found[BY_INSTANT].times,
        TUNED: found[TUNED].times if TUNED in found else "–",
        "threads": f"{1 / found['2 threads'].ratio:.2f} times as fast",
    }


def by_level(at):
    rows = []
    for level in at.levels:
        found = in_subprocess(["--level", *(["--quick"] if at.quick else [])], level)
        if found["cpu"] == level:
            rows.append([level, found["ours"], found["by instant"], found[TUNED], found["threads"]])
    policies, series = at.level
    head = ["CPU path", f"{policies:,} policies × {series} series", "by instant", TUNED, "2 threads"]
    return table(head, rows)


def measure_memory(at, order):
    """What the peak of this process grows by beyond the results, over the input."""
    policies, series = at.memory
    u = at.usage(series, order)
    kept = []
    ours(usage(200, 2), SMALL)  # loads modules
    ctypes.CDLL(None).malloc_trim(0)  # what making the input gave back would be used again unseen
    extra = extra_bytes(lambda: kept.append(ours(u, WORKS[policies])))
    results = sum(array.nbytes for array in kept[0]._figures.values())
    return max(0.0, (extra - results) / u.nbytes)


def memory(at):
    more = ["--quick"] if at.quick else []
    # What the allocator leaves in between differs from process to process.
    times = 1 if at.quick else 3
    extra = {order: np.median([in_subprocess(["--memory", order, *more]) for _ in range(times)]) for order in "FC"}
    policies, series = at.memory
    shown = f"{extra['F']:.1%} of the input, by instant {extra['C']:.1%}"
    return f"Extra memory beyond input and results, {policies:,} policies × {series} series: {shown}."


def tuning(at):
    """`tune` over many policies on the servers: reading them, and the search on half of the time."""
    path = SHARED / "fleet" / "fleet_5min.csv"
    if not path.is_file():
        return "`tune` not timed: ../shared/data is not beside the repository."
    history = surgetank.History.read(path, series="{region}.{service_code}")
    policies = surgetank.grid(
        surgetank.PercentileRule, of=["usage", "demand"], window_s=[d * 86400.0 for d in (1, 2, 3, 4, 5)],
        quantile=[0.9, 0.95, 0.98, 0.99, 1.0], lower=[None, 0.9], factor=np.linspace(0.8, 2, at.tuned // 100),
    )  # fmt: skip
    start = time.perf_counter()
    tuned = surgetank.tune(
        history, risk=0.05, policies=policies, scenarios="N-1", lead_time_s=86400, confidence=None
    )  # fmt: skip
    text = tuned.table()
    took = time.perf_counter() - start
    samples, series = history.usage.shape
    print(text.splitlines()[0])
    searched = f"{len(policies):,} policies on `fleet` ({samples:,} samples × {series} series, N−1 over 4 servers)"
    return f"{searched} through `tune`, a decision a day, with its table: {number(took)} s."


def main():
    at = Sizes("--quick" in sys.argv)
    if not at.quick:
        one_thread()
    if "--level" in sys.argv:
        print(json.dumps(at_level(at)))
        return
    if "--memory" in sys.argv:
        print(json.dumps(measure_memory(at, sys.argv[sys.argv.index("--memory") + 1])))
        return
    check(at)
    parts = [against_peers(at), few(at), by_level(at), "\n".join(f"- {line}" for line in (memory(at), tuning(at)))]
    text = "\n\n".join(parts)
    if at.quick:
        print(text)
    else:
        publish("backtest", text)


if __name__ == "__main__":
    main()
