"""A distribution from what was observed: durations that were measured, and some that are only known to lie between."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

from .._bridge import Duration
from ..errors import invalid
from .parameters import seconds_of

MOST_ROUNDS = 20_000
#: Relative change of both parameters below which they are found.
SETTLED = 1e-10
_Z95 = NormalDist().inv_cdf(0.95)


def lognormal_of(
    values_s: Iterable[Duration], intervals_s: Iterable[tuple[Duration, Duration | float]]
) -> tuple[float, float]:
    """Median and p95 of the lognormal distribution that makes the observations most likely.

    ``values_s``: durations that were measured. ``intervals_s``: pairs (after, by): the end was seen between two polls;
    ``by`` may be inf: not ended when last seen. Method: expectation maximisation (Dempster, Laird and Rubin, 1977).
    """
    ends = [_interval(pair) for pair in intervals_s]
    ends += [(log, log) for log in (math.log(seconds_of(v, "values_s", above=True)) for v in values_s)]
    if len(ends) < 2:
        raise invalid("values_s, intervals_s", "must be at least two observations", len(ends))
    if max(low for low, _ in ends) <= min(high for _, high in ends):
        rule = "must tell how durations vary: one duration fits all of these"
        raise invalid("values_s, intervals_s", rule, f"{len(ends)} observations")
    known = [_middle(low, high) for low, high in ends]
    mean = math.fsum(known) / len(known)
    sigma = max(0.1, math.sqrt(math.fsum((x - mean) ** 2 for x in known) / len(known)))
    for _ in range(MOST_ROUNDS):
        moments = [_moments(low, high, mean, sigma) for low, high in ends]
        new_mean = math.fsum(m for m, _ in moments) / len(moments)
        spread = math.fsum(v + (m - new_mean) ** 2 for m, v in moments) / len(moments)
        new_sigma = math.sqrt(spread)
        settled = abs(new_mean - mean) < SETTLED and abs(new_sigma - sigma) < SETTLED * sigma
        mean, sigma = new_mean, new_sigma
        if settled:
            break
    return math.exp(mean), math.exp(mean + _Z95 * sigma)


def _interval(pair: Any) -> tuple[float, float]:
    try:
        after, by = pair
    except (TypeError, ValueError) as error:
        raise invalid("intervals_s", "must be pairs of seconds: after, by", pair) from error
    low = seconds_of(after, "intervals_s")
    high = math.inf if isinstance(by, float) and by == math.inf else seconds_of(by, "intervals_s", above=True)
    if not low < high:
        raise invalid("intervals_s", f"must end after {low:g} s", by)
    return (math.log(low) if low > 0 else -math.inf), (math.log(high) if high < math.inf else math.inf)


def _middle(low: float, high: float) -> float:
    if low == -math.inf:
        return high - 1
    return low + 1 if high == math.inf else (low + high) / 2


def _moments(low: float, high: float, mean: float, sigma: float) -> tuple[float, float]:
    """Mean and variance of the logarithm, given that it lies between."""
    if low == high:
        return low, 0.0
    a, b = (low - mean) / sigma, (high - mean) / sigma
    normal = NormalDist()
    flip = a > 0  # of the smaller tail nothing cancels
    mass = normal.cdf(-a) - normal.cdf(-b) if flip else normal.cdf(b) - normal.cdf(a)
    if mass < 1e-300:  # far out: the end that is nearer
        nearest = low if a > 0 else high
        return nearest, 0.0
    at_a, at_b = (0.0 if math.isinf(x) else normal.pdf(x) for x in (a, b))
    tilt = (at_a - at_b) / mass
    bend = ((0.0 if math.isinf(a) else a * at_a) - (0.0 if math.isinf(b) else b * at_b)) / mass
    return mean + sigma * tilt, max(0.0, sigma * sigma * (1 + bend - tilt * tilt))
