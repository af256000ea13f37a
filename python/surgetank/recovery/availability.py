"""`availability`: with so many incidents a year, how long is service away, and is the promise kept?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge
from .._bridge import Duration, Floats
from .._table import Column, Tabular, percent, quantity, span
from ..errors import invalid
from .result import Recovery
from .times import EDGES, QUANTA_PER_S, Times, wilson, z_of
from .wording import chance

YEAR_S = 365 * 86400.0
MOST_INCIDENTS = 1e6
QUANTILES = (0.5, 0.9, 0.95, 0.99)
#: Cells up to the instant asked for, of a probability and of a quantile: many divisors, so that times fall on the grid.
CELLS, FEW_CELLS = 55_440, 5_544
#: By how much what wraps around in the transform is damped: to e⁻³².
DAMPING = 32.0
ROUNDING = 1e-11


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Availability(Tabular):
    """Yearly downtime; one row for each quantile.

    A year has 365 days. Incidents come at any time, independently (Poisson); downtime is RTO from onset. What never
    ends lasts for the rest of the year. Downtimes of one year add up even where they overlap, and belong to the year
    in which they begin, so downtime is rather overstated than understated.
    """

    rto: Times  #: from onset
    name: str  #: of the runbook
    incidents_per_year: float
    sla: float  #: the share of the year in which service must be there

    @property
    def budget_s(self) -> float:
        """The downtime a year that the SLA leaves."""
        return (1 - self.sla) * YEAR_S

    @property
    def mean_s(self) -> float:
        """Expected downtime a year, in seconds, incidents added up."""
        return self.incidents_per_year * self._moments[0]

    @property
    def sd_s(self) -> float:
        """Its standard deviation."""
        return math.sqrt(self.incidents_per_year * self._moments[1])

    @property
    def availability(self) -> float:
        """Expected share of the year in which service is there; not below 0."""
        return max(0.0, 1 - self.mean_s / YEAR_S)

    @property
    def probability(self) -> float:
        """P(availability ≥ SLA) in a year."""
        return _probability(self._budget[1])

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """What `probability` is for certain, given the trials: every instant rounded up, and rounded down.

        Rounded to the histogram's bins of 0.4 % and to the grid; the sampling is not in it.
        """
        low, high = (float(_cumulated(self, self.budget_s, way)[1][-1]) for way in ("up", "down"))
        return max(0.0, low - ROUNDING), min(1.0, high + ROUNDING)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of `probability`, of the sampling of RTO alone (delta method).

        Below, it also allows for what no trial has shown: an RTO beyond the budget, as often as Wilson's interval does.
        """
        step, cdf = self._budget
        mass, rto, found = _masses(self, step, len(cdf), "near"), self.rto, self.probability
        left = cdf[::-1]  # P(the budget lasts) after one more incident that long; 0 beyond the grid
        spread = math.sqrt(max(0.0, float(mass @ left**2) - float(mass @ left) ** 2) / rto.trials)
        half = self.incidents_per_year * z_of(rto.confidence) * spread
        unseen = self.incidents_per_year * wilson(0, rto.trials, rto.confidence)[1] * found
        return max(0.0, found - half - unseen), min(1.0, found + half)

    def within(self, seconds: Duration) -> float:
        """P(downtime of a year ≤ that many seconds)."""
        limit = _bridge.duration_s(seconds, "seconds")
        if limit >= YEAR_S:
            return 1.0
        if limit == 0:
            return math.exp(-self.incidents_per_year * (1 - self._at_once))
        return _probability(_cumulated(self, limit)[1])

    def quantile(self, p: ArrayLike) -> Floats:
        """Downtime of a year in seconds that is not exceeded with probability p, in the shape of ``p``; at most a year.

        To 0.1 % of it, and to what the histogram's bins tell.
        """
        given = _bridge.numbers(p, "p")
        if not ((given >= 0) & (given <= 1)).all():
            raise invalid("p", "must be probabilities in [0, 1]", given[~((given >= 0) & (given <= 1))].flat[0])
        found = np.where(given <= self.within(0.0), 0.0, np.where(given == 1, YEAR_S, np.nan))
        for limit in YEAR_S / 4.0 ** np.arange(10, -1, -1):
            if not np.isnan(found).any():
                break
            step, cdf = _cumulated(self, float(limit), cells=FEW_CELLS)
            here = np.isnan(found) & ((given <= cdf[-1]) | (limit == YEAR_S))
            found = np.where(here, np.minimum(step * np.searchsorted(cdf, given - 1e-12), limit), found)
        return np.asarray(found)

    @cached_property
    def _budget(self) -> tuple[float, Floats]:
        return _cumulated(self, self.budget_s)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what cannot be worked out again."""
        kept = ("rto", "name", "incidents_per_year", "sla")
        return {name: self.__dict__[name] for name in kept}

    @cached_property
    def _moments(self) -> tuple[float, float]:
        """Means of the downtime of an incident, and of its square."""
        n, never = self.rto.trials, self.rto.never
        first = self.rto.sum_quanta / QUANTA_PER_S / n + never * YEAR_S / 2
        return first, self.rto.sum_squares / QUANTA_PER_S**2 / n + never * YEAR_S**2 / 3

    @property
    def _at_once(self) -> float:
        """P(no downtime at all), as far as the histogram tells."""
        return float(self.rto.histogram[0]) / self.rto.trials if self.rto.least == 0 else 0.0

    def _caption(self) -> str:
        many = f"{quantity(self.incidents_per_year)} incident{'' if self.incidents_per_year == 1 else 's'} a year"
        kept = f"{self.name}: with {many}, availability is {_nines(self.sla)} or more with a probability of"
        return f"{kept} {chance(self.probability)}; {span(self.mean_s)} of downtime are expected"

    def _columns(self) -> list[Column]:
        downtime = self.quantile(QUANTILES)
        return [
            Column("quantile", list(QUANTILES), "Of all years", percent),
            Column("downtime_s", downtime, "Downtime at most", span),
            Column("availability", 1 - downtime / YEAR_S, "Availability at least", _nines),
        ]

    def _notes(self) -> list[str]:
        low, high = self.interval
        said = [f"{_nines(self.sla)} leave {span(self.budget_s)} a year; sampling: {chance(low)} to {chance(high)}."]
        said.append("Incidents come independently; downtimes of a year add up, also where they overlap.")
        if self.rto.never > 0:
            said.append(f"{percent(self.rto.never)} of incidents never end: they last for the rest of the year.")
        return said


def availability(result: Recovery, incidents_per_year: float, *, sla: float = 0.999) -> Availability:
    """Yearly downtime with so many incidents a year, and how likely an SLA is kept.

    Parameters
    ----------
    result : Recovery
        Its RTO from onset is how long an incident lasts.
    incidents_per_year : number
        Expected; 0 to a million. 0.5 is one in two years.
    sla : fraction between 0 and 1, default .999
        The share of the year in which service must be there.

    Returns
    -------
    Availability
        ``mean_s``, ``probability`` with ``bounds`` and ``interval``, ``quantile``, ``within``.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value.

    Notes
    -----
    A compound Poisson sum, by a damped discrete Fourier transform (Grübel and Hermesmeier, *Computation of compound
    distributions I: aliasing errors and exponential tilting*, 1999). RTO is spread over a grid of 55,440 cells up to
    the downtime asked for, means kept; an RTO that is always the same falls on the grid and is exact to 10⁻¹¹.
    ``bounds`` rounds every RTO up, or down, to give what the grid and the histogram may hide.

    Examples
    --------
    >>> from surgetank import Fixed, Runbook, Step, estimate_recovery
    >>> result = estimate_recovery(Runbook([Step("reboot", Fixed(3600))]), trials=1000)
    >>> found = availability(result, 2)
    >>> found.mean_s, round(found.probability, 6)  # 8 incidents fit into 8.76 hours
    (7200.0, 0.999763)
    """
    if not isinstance(result, Recovery):
        raise invalid("result", "must be a Recovery; estimate_recovery gives one", result)
    rule = f"must be a number of 0 to {MOST_INCIDENTS:,.0f}"
    rate = _bridge.number(incidents_per_year, "incidents_per_year", rule=rule, least=0)
    if rate > MOST_INCIDENTS:
        raise invalid("incidents_per_year", rule, incidents_per_year)
    promised = _bridge.fraction(sla, "sla", rule="must lie between 0 and 1, both excluded")
    if not 0 < promised < 1:
        raise invalid("sla", "must lie between 0 and 1, both excluded", sla)
    name = result.runbook.title or result.runbook.name
    return Availability(rto=result.clocks["onset"], name=name, incidents_per_year=rate, sla=promised)


def _cumulated(of: Availability, limit: float, way: str = "near", cells: int = CELLS) -> tuple[float, Floats]:
    """Width of the grid's cells, and P(downtime ≤ each point of the grid) from 0 to ``limit``."""
    step, always = limit / cells, of.rto.least == of.rto.most
    if always and of.rto.least >= step:  # on the grid, then
        step = of.rto.least / math.ceil(of.rto.least / step)
    count = int(limit / step * (1 + 1e-11)) + 1
    length = 1 << (4 * count).bit_length()
    mass = np.zeros(length)
    damp = np.exp(-DAMPING / length * np.arange(count))
    mass[:count] = _masses(of, step, count, way) * damp  # what is longer than the limit never comes back below it
    sums = np.fft.irfft(np.exp(of.incidents_per_year * (np.fft.rfft(mass) - 1)), length)
    cdf = np.maximum.accumulate(np.cumsum(sums[:count] / damp))
    return step, cdf


def _probability(cdf: Floats) -> float:
    """The last of them; what is below the transform's rounding is 0."""
    last = float(cdf[-1])
    return 0.0 if last < ROUNDING else min(1.0, last)


def _masses(of: Availability, step: float, count: int, way: str) -> Floats:
    """P(an incident's downtime) at each point of the grid: rounded "up", or "down"; "near" is shared by neighbours."""
    counts, never = of.rto.histogram[:-1] / of.rto.trials, of.rto.never
    edges = np.clip(EDGES, of.rto.least, of.rto.most) if of.rto.finite else EDGES
    if way != "near":
        up = way == "up"
        at = np.ceil(edges[1:] / step - 1e-9) if up else np.floor(edges[:-1] / step + 1e-9)
        inside = at < count
        mass = np.bincount(at[inside].astype(np.int64), counts[inside], minlength=count)
        rest = np.full(count, never * step / YEAR_S)
        rest[: int(up)] = 0.0
        return np.asarray(mass + rest)
    points = edges[:-1] == edges[1:]  # bins without width; within the others instants lie evenly
    below = np.concatenate([[0.0], np.cumsum(np.where(points, 0.0, counts))])
    at = np.union1d(np.arange(count + 1) * step, edges[edges < count * step])
    share = np.diff(np.interp(at, edges, below) + never * np.minimum(at / YEAR_S, 1.0))
    where = np.concatenate([(at[1:] + at[:-1]) / 2, edges[:-1][points]]) / step
    share = np.concatenate([share, counts[points]])[where < count]
    where = where[where < count]
    cell = where.astype(np.int64)
    mass = np.bincount(cell, share * (1 - (where - cell)), minlength=count + 1)
    return np.asarray((mass + np.bincount(cell + 1, share * (where - cell), minlength=count + 1))[:count])


def _nines(frac: float) -> str:
    """An availability as per cent, rounded down to four decimals."""
    return f"{math.floor(1e6 * frac + 1e-6) / 1e4:.10g}%"


__all__ = ["Availability", "availability"]
