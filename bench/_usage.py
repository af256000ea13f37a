"""What the benches of speed measure on, and the limit they measure against."""

import numpy as np


def noise(count, missing=False, order="F", *, samples):
    """Usage (T, N): noise of a load; order "F" has each series contiguous, "C" each instant."""
    rng = np.random.default_rng(11)
    usage = rng.gamma(4, 25, (count, samples))
    if missing:
        usage[rng.random(usage.shape) < 0.01] = np.nan
    return np.asarray(usage.T, order=order)


def plain_read(usage):
    """The fastest read there is in Python: the largest sample, in vectors, one thread."""
    return usage.ravel("K").max()
