"""Mean, standard deviation, slope and maximum per series in numba: two passes over a series that stays in the cache."""

import numpy as np
from numba import njit


@njit(fastmath=True, error_model="numpy")
def moments(u):
    """Rows mean, sd (n), slope per sample, max; nothing is missing, so every loop runs in vectors."""
    series, samples = u.shape
    out = np.empty((4, series))
    centre = (samples - 1) / 2
    for i in range(series):
        x = u[i]
        total, rise, most, squares = 0.0, 0.0, -np.inf, 0.0
        for t in range(samples):
            total += x[t]
            rise += x[t] * (t - centre)
            most = max(most, x[t])
        mean = total / samples
        for t in range(samples):
            squares += (x[t] - mean) ** 2
        out[0, i], out[1, i], out[3, i] = mean, np.sqrt(squares / samples), most
        out[2, i] = rise / (samples * (samples**2 - 1.0) / 12)
    return out


@njit(fastmath={"contract", "reassoc"}, error_model="numpy")  # sums in vectors; NaN stays what it is
def moments_missing(u):
    """The same over what is observed."""
    series, samples = u.shape
    out = np.empty((4, series))
    centre = (samples - 1) / 2
    for i in range(series):
        x = u[i]
        n, total, times, squared_times = 0.0, 0.0, 0.0, 0.0
        for t in range(samples):
            seen, when = x[t] == x[t], t - centre
            n += 1.0 if seen else 0.0
            total += x[t] if seen else 0.0
            times += when if seen else 0.0
            squared_times += when * when if seen else 0.0
        mean, middle = total / n, times / n
        squares, rise, most = 0.0, 0.0, -np.inf
        for t in range(samples):
            d = x[t] - mean if x[t] == x[t] else 0.0
            squares += d * d
            rise += d * (t - centre)
            most = x[t] if x[t] > most else most
        out[0, i], out[1, i], out[3, i] = mean, np.sqrt(squares / n), most
        out[2, i] = rise / (squared_times - n * middle * middle)
    return out
