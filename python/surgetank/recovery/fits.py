"""How often it fits: with which raises often enough, and how sure that is for a history that happened only once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .. import _bridge
from .._bridge import Duration, Floats
from ..errors import invalid
from .capacity import Coupling
from .landing import ROUNDING
from .parameters import seed_of

DAY_S = 86400.0
MOST_REPLICATES = 1_000_000


def required_headroom(coupling: Coupling, fits_frac: float) -> tuple[Floats, float]:
    """The least raises with which the load fits everywhere at once from that share of moments.

    Parameters
    ----------
    coupling : Coupling
    fits_frac : share in [0, 1]

    Returns
    -------
    raises : (C,)
        By how much each covered quota must be larger, in its unit. No single one can be lowered. For one quota that is
        the least there is; for several, other combinations may cost less.
    share : float
        The share of moments that then fit, at least ``fits_frac``.

    Notes
    -----
    Two starting points: the moments that lack least, relative to each quota, at their worst; and the same rank of what
    is lacking for every quota. Then, largest first, each raise is lowered as far as the others allow, and the smaller
    sum of raises relative to quotas is kept.
    """
    share = _bridge.fraction(fits_frac, "fits_frac")
    need, quota = coupling.need, coupling.quota
    count = len(need)
    wanted = math.ceil(share * count)
    wanted -= wanted > 0 and (wanted - 1) / count >= share  # 0.9 · 10 is not above 9
    raises = np.zeros(len(quota))
    lacks = np.maximum(np.where(need > quota * ROUNDING, need - quota, 0.0), 0.0)
    ever = np.flatnonzero((lacks > 0).any(axis=0))
    lacks = np.asfortranarray(lacks[:, ever])
    unit = np.where(quota > 0, quota, need.max(axis=0, initial=0.0))[ever]
    if wanted and len(ever):
        kept = np.argsort((lacks / unit).max(axis=1), kind="stable")[:wanted]
        starts = (lacks[kept].max(axis=0), _same_rank(lacks, wanted))
        raises[ever] = min((_trimmed(lacks, start, unit, wanted) for start in starts), key=lambda r: (r / unit).sum())
    return raises, _fitting(lacks, raises[ever]).mean().item()


def _fitting(lacks: Floats, raises: Floats) -> NDArray[np.bool_]:
    return np.asarray((lacks <= raises).all(axis=1))


def _same_rank(lacks: Floats, wanted: int) -> Floats:
    """Each quota raised to the same rank of what it lacks: the lowest rank with which enough moments fit."""
    ranked = np.sort(lacks, axis=0)
    low, high = -1, len(ranked) - 1  # all raised to their highest: everything fits
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fitting(lacks, ranked[middle]).sum() >= wanted else (middle, high)
    return np.asarray(ranked[high])


def _trimmed(lacks: Floats, raises: Floats, unit: Floats, wanted: int) -> Floats:
    """Lower one raise after the other to what ``wanted`` of the moments that fit need; one round is enough."""
    raises = raises.copy()
    for c in np.argsort(-raises / unit, kind="stable"):
        values = lacks[_fitting(lacks, raises), c]
        raises[c] = np.partition(values, wanted - 1)[wanted - 1]
    return raises


def block_bootstrap(
    coupling: Coupling, replicates: int = 400, seed: int = 0, block_s: Duration | None = None
) -> Floats:
    """Shares of moments that fit, had history been put together otherwise from blocks of itself.

    Parameters
    ----------
    coupling : Coupling
    replicates : int
    seed : int
        The same seed, the same shares.
    block_s : float (seconds) or timedelta, optional
        How long blocks are. Default: a day, or the event's duration where that is longer. At most a quarter of the
        moments.

    Returns
    -------
    (replicates,) shares in [0, 1]; their quantiles are an interval for what history happened to be.

    Notes
    -----
    Circular block bootstrap (Politis and Romano, "A circular block-resampling procedure for stationary data", 1992) of
    the moments that count, in their order.
    """
    times = _bridge.whole(replicates, "replicates", "must be a whole number, 1 or more")
    if not 1 <= times <= MOST_REPLICATES:
        raise invalid("replicates", f"must lie in [1, {MOST_REPLICATES:,}]", replicates)
    random = np.random.default_rng(seed_of(seed))
    seconds = max(DAY_S, coupling.duration_s) if block_s is None else _bridge.duration_s(block_s, "block_s", above=True)
    count = len(coupling.moments)
    block = int(min(max(1, round(seconds / coupling.step_s)), max(1, count // 4)))
    fits = np.tile(coupling.fits, 2)
    before = np.concatenate([[0], np.cumsum(fits)])
    lengths = np.full(-(-count // block), block)
    lengths[-1] = count - block * (len(lengths) - 1)
    shares = np.empty(times)
    for i in range(times):  # a row at a time: all draws at once could be gigabytes
        first = random.integers(count, size=len(lengths))
        shares[i] = (before[first + lengths] - before[first]).sum() / count
    return shares
