"""The spike rule in numba, as a good user of it would write it. All of them give the number of spikes per series.

`first_written` is what one writes down first. Its `and` is a branch that the CPU often guesses wrong, so `blocks` keeps
the running sums of a block and compares afterwards, without a branch and in vectors. `anew` computes every window anew:
slow, and the only one of them that is right whatever the samples. `across` (_numba_across.py) runs over series instead
of samples.

Without missing samples the window's length is a constant and nothing is counted: hence two kernels of each.
`flags` has the shape of `u`, or no rows: then it is not written.
"""

import numpy as np
from numba import njit

BLOCK = 512  # samples whose running sums stay in the L1 cache


@njit(fastmath={"contract"}, error_model="numpy")
def first_written(u, window, threshold, flags):
    """Welford: what enters and what leaves the window correct mean and M2."""
    series, samples = u.shape
    counts = np.zeros(series, np.int64)
    limit = threshold**2 / (window - 1)
    for i in range(series):
        x = u[i]
        mean = x[:window].sum() / window
        m2 = ((x[:window] - mean) ** 2).sum()
        for t in range(window - 1, samples):
            new = x[t]
            if t >= window:
                old, before = x[t - window], mean
                mean += (new - old) / window
                m2 += (new - old) * (new - mean + old - before)
            above = new - mean
            if above > 0 and mean > 0 and above * above > limit * m2:
                counts[i] += 1
                if flags.size:
                    flags[i, t] = True
    return counts


@njit(fastmath={"contract"}, error_model="numpy")
def first_written_missing(u, window, threshold, flags):
    """Running sums from the series' first sample on, and how many are observed."""
    series, samples = u.shape
    counts = np.zeros(series, np.int64)
    needed = (window + 1) // 2
    for i in range(series):
        x, anchor = u[i], first_observed(u[i])
        total = squares = 0.0
        n = 0
        for t in range(samples):
            if not np.isnan(x[t]):
                d = x[t] - anchor
                total, squares, n = total + d, squares + d * d, n + 1
            if t >= window and not np.isnan(x[t - window]):
                d = x[t - window] - anchor
                total, squares, n = total - d, squares - d * d, n - 1
            if t < window - 1 or n < needed or np.isnan(x[t]):
                continue
            mean = total / n
            above = x[t] - anchor - mean
            if above > 0 and mean + anchor > 0 and above**2 * (n - 1) > threshold**2 * (squares - total * mean):
                counts[i] += 1
                if flags.size:
                    flags[i, t] = True
    return counts


@njit(error_model="numpy")
def spike(d, total, square, n, anchor, limit):
    """Is the sample anchor + d one, given the window's n and sums about the anchor? limit = threshold²/(n − 1).

    No root, no division, no branch; a missing sample (NaN) compares as False.
    """
    above = n * d - total
    return (above > 0) & (above * above > limit * n * (n * square - total * total)) & (total + n * anchor > 0)


@njit
def first_observed(x):
    for value in x:
        if not np.isnan(value):
            return value
    return 0.0


@njit(error_model="numpy")
def blocks(u, window, threshold, flags):
    """Running sums of a block one after another, then its comparisons in vectors."""
    series, samples = u.shape
    counts = np.zeros(series, np.int64)
    totals, squares = np.empty(BLOCK), np.empty(BLOCK)
    w, limit = float(window), threshold**2 / (window - 1)
    for i in range(series):
        x, anchor = u[i], u[i, 0]
        total, square, old = 0.0, 0.0, 0.0
        for t in range(window - 1):
            d = x[t] - anchor
            total, square = total + d, square + d * d
        for start in range(window - 1, samples, BLOCK):
            new = x[start : min(start + BLOCK, samples)]
            leaving = x[start - window + 1 : start - window + 1 + len(new)]
            for t in range(len(new)):
                d = new[t] - anchor
                total += d - old
                square += (d - old) * (d + old)
                totals[t], squares[t] = total, square
                old = leaving[t] - anchor
            found = 0
            for t in range(len(new)):
                found += spike(new[t] - anchor, totals[t], squares[t], w, anchor, limit)
            counts[i] += found
            if flags.size:
                for t in range(len(new)):
                    flags[i, start + t] = spike(new[t] - anchor, totals[t], squares[t], w, anchor, limit)
    return counts


@njit(error_model="numpy")
def blocks_missing(u, window, threshold, flags):
    """The same with the observed samples counted."""
    series, samples = u.shape
    counts = np.zeros(series, np.int64)
    totals, squares, observed = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    needed, k2 = (window + 1) // 2, threshold**2
    for i in range(series):
        x, anchor = u[i], first_observed(u[i])
        total, square, n, old, had = 0.0, 0.0, 0.0, 0.0, 0.0
        for t in range(window - 1):
            seen = x[t] == x[t]
            d = x[t] - anchor if seen else 0.0
            total, square, n = total + d, square + d * d, n + seen
        for start in range(window - 1, samples, BLOCK):
            new = x[start : min(start + BLOCK, samples)]
            leaving = x[start - window + 1 : start - window + 1 + len(new)]
            for t in range(len(new)):
                seen = new[t] == new[t]
                d = new[t] - anchor if seen else 0.0
                total += d - old
                square += (d - old) * (d + old)
                n += seen - had
                totals[t], squares[t], observed[t] = total, square, n
                seen = leaving[t] == leaving[t]
                old, had = leaving[t] - anchor if seen else 0.0, 1.0 if seen else 0.0
            found = 0
            for t in range(len(new)):
                m = observed[t]
                found += spike(new[t] - anchor, totals[t], squares[t], m, anchor, k2 / (m - 1)) & (m >= needed)
            counts[i] += found
            if flags.size:
                for t in range(len(new)):
                    m = observed[t]
                    flag = spike(new[t] - anchor, totals[t], squares[t], m, anchor, k2 / (m - 1)) & (m >= needed)
                    flags[i, start + t] = flag
    return counts


@njit(fastmath={"contract", "reassoc"}, error_model="numpy")  # sums in vectors; NaN stays what it is
def anew(u, window, threshold, flags):
    """Mean and sum of squares of every window by two passes over it."""
    series, samples = u.shape
    counts = np.zeros(series, np.int64)
    needed = (window + 1) // 2
    for i in range(series):
        for t in range(window - 1, samples):
            inside = u[i, t - window + 1 : t + 1]
            total, n, m2 = 0.0, 0.0, 0.0
            for s in range(window):
                seen = inside[s] == inside[s]
                total += inside[s] if seen else 0.0
                n += 1.0 if seen else 0.0
            mean = total / n
            for s in range(window):
                d = inside[s] - mean if inside[s] == inside[s] else 0.0
                m2 += d * d
            above = u[i, t] - mean
            if above > 0 and mean > 0 and n >= needed and above * above * (n - 1) > threshold**2 * m2:
                counts[i] += 1
                if flags.size:
                    flags[i, t] = True
    return counts
