"""The graph of `_runbooks` as a good user would write it out: in NumPy, by chunks, and in numba, by lanes.

Durations come from NumPy's own distributions in float64, or from tables of 4,096 cells in float32; rare repetitions are
drawn for the trials that need them alone.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import _numba_recovery
from _numba_recovery import LANES, seeded
from _peers_recovery import CHUNKS, Counts, answer
from _runbooks import BINS, CELLS, DENIAL, LEAD, Part

Z95 = 1.6448536269514722
MIDDLE = 1700.0
# least, most likely, most; the order is that of the numba loop.
STEPS = {
    "detect": ("PERT", 30, 60, 180), "page": ("PERT", 60, 240, 900), "declare": ("PERT", 20, 90, 300),
    "switch": ("PERT", 60, 180, 600), "force": ("PERT", 60, 120, 600), "check": ("triangular", 30, 60, 300),
    "scale": ("PERT", 120, 300, 900), "functions": ("PERT", 10, 30, 120), "deploy": ("triangular", 60, 120, 420),
    "fill": ("triangular", 60, 180, 600), "back": ("triangular", 60, 90, 240), "verify": ("PERT", 60, 180, 600),
}  # fmt: skip


@functools.cache
def parts():
    return {name: Part.of(*what) for name, what in STEPS.items()}


@functools.cache
def tables():
    """(step, CELLS) float32: the inverse of each step's distribution function, least included; see Part.table."""
    starts = [part.table[0] + np.float32(part.low) for part in parts().values()]
    return np.array(starts, np.float32), np.array([part.table[1] for part in parts().values()], np.float32)


def lognormal(median, p95):
    return np.float32(np.log(median)), np.float32(np.log(p95 / median) / Z95)


def own(rng, name, n):
    """Seconds of a step by NumPy's own distributions, float64."""
    part = parts()[name]
    if part.beta:
        took = rng.beta(*part.beta, n)
        took *= part.width
        took += part.low
        return took
    return rng.triangular(part.low, part.low + part.mode * part.width, part.low + part.width, n)


def tabled(rng, name, n):
    """The same by a table, float32."""
    row = list(STEPS).index(name)
    start, slope = tables()[0][row], tables()[1][row]
    u = rng.random(n, np.float32)
    u *= np.float32(CELLS)
    at = u.astype(np.intp)
    u *= slope.take(at, mode="clip")
    u += start.take(at, mode="clip")
    return u


def run_numpy(durations, graph, trials, seed, chunk):
    rng = np.random.Generator(np.random.SFC64(seed))
    secrets, lead = lognormal(30, 120), lognormal(LEAD.median_s, LEAD.p95_s)
    owners, short = graph.short
    inf, f4 = np.float32(np.inf), np.float32

    def below(p, n):
        return rng.random(n, f4) < f4(p)

    def between(low, high, n):
        u = rng.random(n, f4)
        u *= f4(high - low)
        u += f4(low)
        return u

    def took(name, n):
        return durations(rng, name, n)

    def spread(what, n):
        z = rng.standard_normal(n, f4)
        z *= what[1]
        z += what[0]
        return np.exp(z, out=z)

    counts = Counts(graph.target_s, MIDDLE)
    for done in range(0, trials, chunk):
        n = min(chunk, trials - done)
        declared = took("detect", n)
        declared += took("page", n)
        declared += took("declare", n)

        level = took("switch", n)
        failing = np.flatnonzero(below(0.05, n))
        level[failing] += took("force", len(failing))
        silent = np.flatnonzero(below(0.3, n))
        promote = took("force", len(silent))  # takes the same
        failing = np.flatnonzero(below(0.02, len(silent)))
        for _ in range(2):
            promote[failing] += took("force", len(failing)) + f4(60)
            failing = failing[below(0.02, len(failing))]
        promote[failing] = inf
        level[silent] = promote
        level += declared
        level += took("check", n)

        waits = np.zeros((2, n), f4)
        moment = rng.integers(0, short.shape[1], n)
        for owner, lacks in zip(owners, short, strict=True):
            asking = np.flatnonzero(lacks[moment])
            lead_s = spread(lead, len(asking))
            lead_s[below(DENIAL, len(asking))] = inf
            waits[owner][asking] = np.maximum(waits[owner][asking], lead_s)

        scaled = took("scale", n)
        scaled += declared
        scaled += waits[0]
        functions = took("functions", n)
        functions += declared
        functions += waits[1]
        known = spread(secrets, n)
        known += declared
        np.maximum(known, functions, out=known)
        np.maximum(known, scaled, out=known)
        deploy = took("deploy", n)
        failing = np.flatnonzero(below(0.1, n))
        deploy[failing] += took("deploy", len(failing)) + between(10, 30, len(failing))
        deploy[failing[below(0.1, len(failing))]] = inf
        known += deploy
        failing = np.flatnonzero(below(0.1, n))
        known[failing] += took("back", len(failing))
        known += f4(15)

        scaled += took("fill", n)
        np.maximum(known, scaled, out=known)
        np.maximum(known, level, out=known)
        known += between(60, 300, n)
        level += between(10, 200, n)
        np.maximum(level, known, out=level)
        level += took("verify", n)
        known += between(0, 300, n)
        counts.add(np.maximum(known, level, out=known))
    return counts.answer()


@functools.cache
def _compiled():
    from numba import njit

    _, _, uniform, count, _, table = _numba_recovery._compiled()
    f4, inf = np.float32, np.float32(np.inf)

    @njit(inline="always")
    def one(s):
        """A float32 in [0, 1) of a generator by itself."""
        word = np.uint32(s[0] + s[3])
        t = np.uint32(s[1] << np.uint32(9))
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        v = s[3]
        s[3] = np.uint32(v << np.uint32(11)) | (v >> np.uint32(21))
        return np.float32(word >> np.uint32(8)) * np.float32(2.0**-24)

    @njit(inline="always")
    def took(s, start, slope):
        v = one(s) * np.float32(CELLS)
        at = np.int32(v)
        return start[at] + slope[at] * v

    @njit(inline="always")
    def spread(s, middle, sigma):
        radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - one(s)))
        return np.exp(middle + sigma * radius * np.cos(np.float32(2 * np.pi) * one(s)))

    @njit
    def graph(s, r, trials, starts, slopes, short, owners, numbers, target, middle, histogram):
        u, zero, sums = np.empty(LANES, f4), np.zeros(LANES, f4), np.zeros((2, LANES))
        waits, kept = np.empty((2, LANES), f4), np.empty((7, LANES), f4)
        declared, level, promote, scaled, functions, known, more = (
            kept[0], kept[1], kept[2], kept[3], kept[4], kept[5], kept[6]
        )  # fmt: skip
        within = finite = done = 0
        moments = f4(short.shape[1])
        while done < trials:
            table(s, u, starts[0], slopes[0], zero, declared)
            table(s, u, starts[1], slopes[1], declared, declared)
            table(s, u, starts[2], slopes[2], declared, declared)
            table(s, u, starts[3], slopes[3], zero, level)
            uniform(s, u)
            for i in range(LANES):
                if u[i] < f4(0.05):
                    level[i] += took(r, starts[4], slopes[4])
            table(s, u, starts[4], slopes[4], zero, promote)
            uniform(s, u)
            for i in range(LANES):
                if u[i] < f4(0.02):
                    promote[i] += f4(60) + took(r, starts[4], slopes[4])
                    if one(r) < f4(0.02):
                        promote[i] += f4(60) + took(r, starts[4], slopes[4])
                        if one(r) < f4(0.02):
                            promote[i] = inf
            uniform(s, u)
            for i in range(LANES):
                level[i] = declared[i] + (promote[i] if u[i] < f4(0.3) else level[i])
            table(s, u, starts[5], slopes[5], level, level)
            waits[:] = 0
            uniform(s, u)
            for i in range(LANES):
                m = np.int32(u[i] * moments)
                for q in range(len(owners)):
                    if short[q, m]:
                        wait = inf
                        if one(r) >= numbers[4]:
                            wait = spread(r, numbers[2], numbers[3])
                        waits[owners[q], i] = max(waits[owners[q], i], wait)
            table(s, u, starts[6], slopes[6], declared, scaled)
            table(s, u, starts[7], slopes[7], declared, functions)
            for i in range(LANES):
                known[i] = declared[i] + spread(r, numbers[0], numbers[1])
            table(s, u, starts[8], slopes[8], zero, more)
            uniform(s, u)
            for i in range(LANES):
                if u[i] < f4(0.1):
                    more[i] += f4(10) + f4(20) * one(r) + took(r, starts[8], slopes[8])
                    if one(r) < f4(0.1):
                        more[i] = inf
            for i in range(LANES):
                scaled[i] += waits[0, i]
                known[i] = f4(15) + more[i] + max(known[i], max(scaled[i], functions[i] + waits[1, i]))
            uniform(s, u)
            for i in range(LANES):
                if u[i] < f4(0.1):
                    known[i] += took(r, starts[10], slopes[10])
            table(s, u, starts[9], slopes[9], scaled, scaled)
            uniform(s, u)
            for i in range(LANES):
                known[i] = max(known[i], max(scaled[i], level[i])) + f4(60) + f4(240) * u[i]
            uniform(s, u)
            for i in range(LANES):
                level[i] = max(known[i], level[i] + f4(10) + f4(190) * u[i])
            table(s, u, starts[11], slopes[11], level, level)
            uniform(s, u)
            for i in range(LANES):
                known[i] = max(level[i], known[i] + f4(300) * u[i])
            w, f = count(known, min(LANES, trials - done), target, middle, sums, histogram)
            within, finite = within + w, finite + f
            done += LANES
        return within, finite, sums[0].sum(), sums[1].sum()

    return graph


def run_numba(graph, trials, seed, chunk=0):
    starts, slopes = tables()
    owners, short = graph.short
    histogram = np.zeros(BINS, np.int64)
    numbers = np.array([*lognormal(30, 120), *lognormal(LEAD.median_s, LEAD.p95_s), DENIAL], np.float32)
    state = np.random.SeedSequence((seed, 1)).generate_state(4, np.uint32)
    found = _compiled()(
        seeded(seed), state, trials, starts, slopes, short, np.array(owners), numbers, np.float32(graph.target_s),
        np.float32(MIDDLE), histogram,
    )  # fmt: skip
    return answer(trials, *found, MIDDLE, histogram)


@dataclass(frozen=True)
class Peer:
    """A way to draw the graph."""

    name: str
    needs: tuple[str, ...]
    run: Callable  # (graph, trials, seed, chunk) → Answer
    chunks: tuple[int, ...] = CHUNKS


PEERS = (
    Peer("NumPy, rng.triangular and rng.beta", (), functools.partial(run_numpy, own)),
    Peer("NumPy, tables, float32", (), functools.partial(run_numpy, tabled)),
    Peer("numba, own xoshiro, in vectors, tables", ("numba",), run_numba, (0,)),
)
