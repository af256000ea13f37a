"""Intervals by a paired bootstrap over blocks of time."""

from __future__ import annotations

import math

import numpy as np

from .._bridge import Floats

#: How often blocks are drawn anew.
REPLICATES = 2000
#: Blocks that are drawn: enough for an interval, few enough to be longer than what a failover lasts.
MOST_BLOCKS = 60


def draws(blocks: int, seed: int, replicates: int = REPLICATES) -> Floats:
    """(replicates, blocks) how often each block is drawn: the same for all that are compared, so they are paired."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=replicates).astype(np.float64)


def ratios(times: Floats, numerator: Floats, denominator: Floats) -> Floats:
    """(…, replicates) Σ numerator/Σ denominator of each replicate; (…, B) each. NaN where the denominator is 0."""
    top, bottom = numerator @ times.T, denominator @ times.T
    return np.asarray(np.divide(top, bottom, out=np.full(np.shape(top), math.nan), where=bottom > 0))


def limits(replicates: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Lower and upper end of the two-sided interval along the last axis; NaN where none is known."""
    if replicates.size == 0:
        return np.zeros(replicates.shape[:-1]), np.zeros(replicates.shape[:-1])
    tail = (1 - confidence) / 2
    with np.errstate(all="ignore"):
        known = np.asarray(~np.isnan(replicates).all(axis=-1))
        filled = np.where(known[..., None], replicates, 0.0)
        low, high = np.nanquantile(filled, [tail, 1 - tail], axis=-1)
    return np.where(known, low, math.nan), np.where(known, high, math.nan)


def never_failed(windows: float, confidence: float) -> float:
    """The risk that so many independent windows without a failure still allow (one-sided, exact binomial)."""
    return 1.0 if windows <= 0 else min(1.0, float(-np.expm1(math.log1p(-confidence) / windows)))
