"""The same in numba: a loop of one's own, by NumPy's generator, or by a xoshiro in lanes that LLVM makes vectors of."""

import functools

import numpy as np

from _runbooks import BIN_SHIFT, BINS, CELLS, FIRST_BIN

LANES = 256  # of a generator: sixteen bytes of state each


def seeded(seed):
    """(4, LANES) uint32: the state of xoshiro128+ in each lane (Blackman and Vigna), seeded by NumPy."""
    return np.random.SeedSequence(seed).generate_state(4 * LANES, np.uint32).reshape(4, LANES)


@functools.cache
def _compiled():
    from numba import njit

    @njit(inline="always")
    def uniform(s, u):
        """The next float32 in [0, 1) of every lane, 24 bits."""
        s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
        for i in range(LANES):
            u[i] = np.float32(np.int32((s0[i] + s3[i]) >> np.uint32(8) & np.uint32(0xFFFFFF))) * np.float32(2.0**-24)
            t = s1[i] << np.uint32(9)
            s2[i] ^= s0[i]
            s3[i] ^= s1[i]
            s1[i] ^= s2[i]
            s0[i] ^= s3[i]
            s2[i] ^= np.uint32(t)
            v = s3[i]
            s3[i] = np.uint32(v << np.uint32(11)) | (v >> np.uint32(21))

    @njit
    def count(x, n, target, middle, sums, histogram):
        """Into sums (2, LANES) by lane, so that no sum waits for the one before it."""
        within = finite = np.int32(0)
        total, squares = sums[0], sums[1]
        for i in range(n):
            within += np.int32(x[i] <= target)
            ends = x[i] < np.float32(np.inf)
            finite += np.int32(ends)
            d = np.float64(x[i] - middle) if ends else 0.0
            total[i] += d
            squares[i] += d * d
        bits = x.view(np.int32)
        for i in range(n):
            at = (bits[i] >> BIN_SHIFT) - FIRST_BIN
            if at < BINS:
                histogram[at] += 1
        return within, finite

    @njit
    def triangular(s, u, mode, width, add, out):
        uniform(s, u)
        one, m, rest = np.float32(1), np.float32(mode), np.float32(1 - mode)
        w = np.float32(width)
        for i in range(LANES):
            v = u[i]
            right = v > m
            a = np.float32((one - v) * rest) if right else np.float32(v * m)
            root = np.sqrt(a)
            x = one - root if right else root
            out[i] = add[i] + x * w

    @njit
    def table(s, u, start, slope, add, out):
        uniform(s, u)
        for i in range(LANES):
            v = u[i] * np.float32(CELLS)
            at = np.int32(v)
            out[i] = add[i] + (start[at] + slope[at] * v)

    @njit
    def series(s, trials, low, modes, widths, starts, slopes, target, middle, histogram):
        u, x = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
        sums = np.zeros((2, LANES))
        within = finite = done = 0
        while done < trials:
            x[:] = low
            for k in range(len(widths)):
                if len(starts):
                    table(s, u, starts[k], slopes[k], x, x)
                else:
                    triangular(s, u, modes[k], widths[k], x, x)
            w, f = count(x, min(LANES, trials - done), target, middle, sums, histogram)
            within, finite = within + w, finite + f
            done += LANES
        return within, finite, sums[0].sum(), sums[1].sum()

    @njit
    def generated(rng, trials, low, modes, widths, a, b, target, middle, histogram):
        x = np.empty(LANES, np.float32)
        sums = np.zeros((2, LANES))
        within = finite = done = 0
        while done < trials:
            for i in range(LANES):
                seconds = low
                for k in range(len(widths)):
                    v = rng.beta(a[k], b[k]) if len(a) else rng.triangular(0.0, modes[k], 1.0)
                    seconds += v * widths[k]
                x[i] = seconds
            w, f = count(x, min(LANES, trials - done), target, middle, sums, histogram)
            within, finite = within + w, finite + f
            done += LANES
        return within, finite, sums[0].sum(), sums[1].sum()

    return series, generated, uniform, count, triangular, table


def _numbers(series):
    parts = series.parts
    low = sum(part.low for part in parts)
    middle = low + sum(part.width for part in parts) / 3
    modes, widths = (np.array([getattr(part, name) for part in parts]) for name in ("mode", "width"))
    return np.float32(low), modes, widths, np.float32(middle)


def draw_series(series, trials, seed):
    """Nine steps by xoshiro128+: within, finite, sum and squares about the middle, the middle, the histogram."""
    low, modes, widths, middle = _numbers(series)
    beta = series.parts[0].beta
    tables = [part.table for part in series.parts] if beta else []
    starts, slopes = (np.array([t[i] for t in tables], np.float32).reshape(-1, CELLS) for i in (0, 1))
    histogram = np.zeros(BINS, np.int64)
    found = _compiled()[0](
        seeded(seed), trials, low, modes, widths, starts, slopes, np.float32(series.target_s), middle, histogram
    )
    return *found, float(middle), histogram


def generate_series(series, trials, seed):
    """The same by the triangular and beta of NumPy's generator, which numba knows."""
    low, modes, widths, middle = _numbers(series)
    a, b = np.array([part.beta for part in series.parts if part.beta]).reshape(-1, 2).T.copy()
    histogram, rng = np.zeros(BINS, np.int64), np.random.Generator(np.random.SFC64(seed))
    found = _compiled()[1](rng, trials, float(low), modes, widths, a, b, np.float32(series.target_s), middle, histogram)
    return *found, float(middle), histogram
