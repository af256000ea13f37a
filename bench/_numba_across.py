"""The spike rule in numba over series instead of samples: u (samples, series) in C order, vectorised throughout."""

import numpy as np
from numba import njit

from _numba_spikes import first_observed, spike

ABREAST = 256  # series whose state stays in the L1 cache


@njit(error_model="numpy")
def across(u, window, threshold, flags):
    """Running sums from each series' first sample on."""
    samples, series = u.shape
    counts = np.zeros(series, np.int64)
    w, limit = float(window), threshold**2 / (window - 1)
    for first in range(0, series, ABREAST):
        lanes = slice(first, min(first + ABREAST, series))
        anchor = u[0, lanes].copy()
        total, square, count = np.zeros_like(anchor), np.zeros_like(anchor), counts[lanes]
        for t in range(window - 1):
            for j in range(len(anchor)):
                d = u[t, first + j] - anchor[j]
                total[j] += d
                square[j] += d * d
        for t in range(window - 1, samples):
            # Before the first whole window nothing leaves: the anchor stands in, whose deviation is 0.
            new, leaving = u[t, lanes], u[t - window, lanes] if t >= window else anchor
            for j in range(len(anchor)):
                d, old = new[j] - anchor[j], leaving[j] - anchor[j]
                total[j] += d - old
                square[j] += (d - old) * (d + old)
                count[j] += spike(d, total[j], square[j], w, anchor[j], limit)
            if flags.size:
                for j in range(len(anchor)):
                    flags[t, first + j] = spike(new[j] - anchor[j], total[j], square[j], w, anchor[j], limit)
    return counts


@njit(error_model="numpy")
def across_missing(u, window, threshold, flags):
    """The same with the observed samples counted, from each series' first observed sample on."""
    samples, series = u.shape
    counts = np.zeros(series, np.int64)
    needed, k2 = (window + 1) // 2, threshold**2
    for first in range(0, series, ABREAST):
        lanes = slice(first, min(first + ABREAST, series))
        anchor = np.array([first_observed(u[:, j]) for j in range(lanes.start, lanes.stop)])
        total, square, n = np.zeros_like(anchor), np.zeros_like(anchor), np.zeros_like(anchor)
        count = counts[lanes]
        nothing = np.full_like(anchor, np.nan)
        for t in range(samples):
            new, leaving = u[t, lanes], u[t - window, lanes] if t >= window else nothing
            for j in range(len(anchor)):
                d, old = new[j] - anchor[j], leaving[j] - anchor[j]
                has, had = d == d, old == old
                d, old = d if has else 0.0, old if had else 0.0
                total[j] += d - old
                square[j] += (d - old) * (d + old)
                n[j] += (1.0 if has else 0.0) - (1.0 if had else 0.0)
            if t < window - 1:
                continue
            for j in range(len(anchor)):
                m, d = n[j], new[j] - anchor[j]
                count[j] += spike(d, total[j], square[j], m, anchor[j], k2 / (m - 1)) & (m >= needed)
            if flags.size:
                for j in range(len(anchor)):
                    m, d = n[j], new[j] - anchor[j]
                    flag = spike(d, total[j], square[j], m, anchor[j], k2 / (m - 1)) & (m >= needed)
                    flags[t, first + j] = flag
    return counts
