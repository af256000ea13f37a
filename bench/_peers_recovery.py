"""The recovery of a runbook as a good user of NumPy would draw it: in chunks that stay in the cache, in place.

Every peer gives what is compared: P(in time), mean, standard deviation, how many never end, and quantiles by a
histogram of 256 bins an octave, as ours has. It gives no paths, no clocks and no curve of what is served, which we do.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from _numba_recovery import draw_series, generate_series
from _runbooks import BIN_SHIFT, BINS, CELLS, FIRST_BIN, QUANTILES

CHUNKS = (1 << 11, 1 << 13, 1 << 15, 1 << 17)


@dataclass(frozen=True)
class Answer:
    trials: int
    probability: float
    mean: float
    sd: float
    never: float
    quantiles: np.ndarray


class Counts:
    """What is kept of the trials: sums about a middle, and a histogram."""

    def __init__(self, target_s, middle):
        self.target, self.middle = np.float32(target_s), np.float32(middle)
        self.trials = self.within = self.finite = 0
        self.sum = self.squares = 0.0
        self.histogram = np.zeros(BINS, np.int64)

    def add(self, x):
        """float32 or float64 seconds, above 1; inf never ends."""
        self.trials += len(x)
        self.within += np.count_nonzero(x <= self.target)
        narrow = x.astype(np.float32, copy=False)
        bins = narrow.view(np.int32) >> BIN_SHIFT
        bins -= FIRST_BIN
        self.histogram += np.bincount(bins, minlength=BINS)[:BINS]  # inf is beyond
        if not np.isfinite(x[x.argmax()]):
            x = x[np.isfinite(x)]
        self.finite += len(x)
        off = x - self.middle
        self.sum += float(off.sum(dtype=np.float64))
        self.squares += float(np.dot(off, off))

    def answer(self):
        return answer(self.trials, self.within, self.finite, self.sum, self.squares, float(self.middle), self.histogram)


def answer(trials, within, finite, total, squares, middle, histogram):
    edges = ((np.arange(BINS + 1) + FIRST_BIN) << BIN_SHIFT).astype(np.int32).view(np.float32).astype(float)
    below = np.concatenate([[0], np.cumsum(histogram)])
    used = np.flatnonzero(histogram)
    around = slice(used[0], used[-1] + 2)
    ranks = np.array(QUANTILES) * trials
    quantiles = np.where(ranks > finite, np.inf, np.interp(ranks, below[around], edges[around]))
    mean = total / finite
    sd = np.sqrt((squares - finite * mean**2) / (finite - 1))
    return Answer(trials, within / trials, middle + mean, float(sd), 1 - finite / trials, quantiles)


# One step of `n` trials: adds its seconds beyond the least to `total`. Tables are made beforehand and kept.


def _triangular(part, n):
    """rng.triangular, float64."""

    def draw(rng, total):
        total += rng.triangular(0, part.mode * part.width, part.width, n)

    return draw


def _inverse(part, n):
    """The inverse of the distribution function, float32."""
    u, right, above = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, bool)
    mode, a, b, width = np.float32([part.mode, part.mode * part.width**2, (1 - part.mode) * part.width**2, part.width])

    def draw(rng, total):
        rng.random(dtype=np.float32, out=u)
        np.greater(u, mode, out=above)
        np.subtract(1, u, out=right)
        np.multiply(right, b, out=right)
        np.sqrt(right, out=right)
        np.subtract(width, right, out=right)
        np.multiply(u, a, out=u)
        np.sqrt(u, out=u)
        np.copyto(u, right, where=above)
        np.add(total, u, out=total)

    return draw


def _extremes(part, n):
    """min + mode · (max − min) of two uniforms is triangular (Stein and Keblis, 2009): no roots, twice the draws."""
    u, v, low = (np.empty(n, np.float32) for _ in range(3))
    a, b = np.float32([(1 - part.mode) * part.width, part.mode * part.width])

    def draw(rng, total):
        rng.random(dtype=np.float32, out=u)
        rng.random(dtype=np.float32, out=v)
        np.minimum(u, v, out=low)
        np.maximum(u, v, out=u)
        np.multiply(low, a, out=low)
        np.multiply(u, b, out=u)
        np.add(total, low, out=total)
        np.add(total, u, out=total)

    return draw


def _beta(part, n):
    """rng.beta, float64."""

    def draw(rng, total):
        total += part.width * rng.beta(*part.beta, n)

    return draw


def _gammas(part, n):
    """A beta from two gammas, float32."""
    g, h, width = np.empty(n, np.float32), np.empty(n, np.float32), np.float32(part.width)

    def draw(rng, total):
        rng.standard_gamma(part.beta[0], dtype=np.float32, out=g)
        rng.standard_gamma(part.beta[1], dtype=np.float32, out=h)
        np.add(g, h, out=h)
        np.divide(g, h, out=g)
        np.multiply(g, width, out=g)
        np.add(total, g, out=total)

    return draw


def _interp(part, n):
    """np.interp of the inverse, float64."""
    p, x = part.knots
    u = np.empty(n)

    def draw(rng, total):
        rng.random(out=u)
        total += part.width * np.interp(u, p, x)

    return draw


def _table(part, n):
    """A table of the inverse in 4,096 cells, straight within each, float32."""
    start, slope = part.table
    u, w, at = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.intp)

    def draw(rng, total):
        rng.random(dtype=np.float32, out=u)
        np.multiply(u, np.float32(CELLS), out=u)
        np.copyto(at, u, casting="unsafe")
        np.take(slope, at, out=w, mode="clip")
        np.multiply(w, u, out=u)
        np.take(start, at, out=w, mode="clip")
        np.add(total, w, out=total)
        np.add(total, u, out=total)

    return draw


def _coarse(part, n):
    """One of 65,536 values, all equally likely: 16 bits a draw."""
    values, at, w = part.coarse, np.empty(n, np.intp), np.empty(n, np.float32)

    def draw(rng, total):
        np.copyto(at, rng.integers(0, 65536, n, dtype=np.uint16))
        np.take(values, at, out=w, mode="clip")
        np.add(total, w, out=total)

    return draw


@dataclass(frozen=True)
class Peer:
    """A way to draw nine steps in series."""

    name: str
    needs: tuple[str, ...]
    shapes: tuple[str, ...]
    step: Callable | None = None
    dtype: type = np.float32
    chunks: tuple[int, ...] = CHUNKS
    whole: Callable | None = None  # instead of chunks of NumPy: (series, trials, seed) → counts

    def run(self, series, trials, seed=0, chunk=1 << 13):
        if self.whole:
            return answer(trials, *self.whole(series, trials, seed))
        rng = np.random.Generator(np.random.SFC64(seed))
        chunk = min(chunk, trials)
        draws = [self.step(part, chunk) for part in series.parts]
        low = self.dtype(sum(part.low for part in series.parts))
        middle = float(low) + sum(part.width for part in series.parts) / 3
        counts, total = Counts(series.target_s, middle), np.empty(chunk, self.dtype)
        for start in range(0, trials, chunk):
            total.fill(low)
            for draw in draws:
                draw(rng, total)
            counts.add(total[: trials - start])
        return counts.answer()


BOTH = ("triangular", "PERT")
NUMPY = (
    Peer("NumPy, rng.triangular", (), ("triangular",), _triangular, np.float64),
    Peer("NumPy, inverse, float32", (), ("triangular",), _inverse),
    Peer("NumPy, two uniforms, float32", (), ("triangular",), _extremes),
    Peer("NumPy, rng.beta", (), ("PERT",), _beta, np.float64),
    Peer("NumPy, two gammas, float32", (), ("PERT",), _gammas),
    Peer("NumPy, np.interp", (), ("PERT",), _interp, np.float64),
    Peer("NumPy, table, float32", (), BOTH, _table),
    Peer("NumPy, 16 bits a draw", (), BOTH, _coarse),
)
NUMBA = (
    Peer("numba, NumPy's generator", ("numba",), BOTH, chunks=(0,), whole=generate_series),
    Peer("numba, own xoshiro, in vectors", ("numba",), BOTH, chunks=(0,), whole=draw_series),
)
PEERS = (*NUMPY, *NUMBA)
