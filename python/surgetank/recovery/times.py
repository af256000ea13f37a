"""How one instant is distributed over the trials: counts, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _bridge, _core
from .._bridge import Duration, Floats
from ..errors import invalid

_FIRST_OCTAVE, _PER_OCTAVE, _OCTAVES = _core.recovery_bins
#: The largest instant that is told apart, 34 years; what takes longer never ends.
LONGEST_S = 2.0 ** (_FIRST_OCTAVE + _OCTAVES)
QUANTA_PER_S = 1024
MOST_RANKS = 5000
#: Sums of decimal fractions may end a digit beyond an instant, and are counted as in time, as the core does.
ROUNDING = 1 + 1e-12
#: A bin that holds a larger share is looked into.
MOST_IN_BIN = 0.01

_OCTAVE_STARTS = 2.0 ** np.arange(_FIRST_OCTAVE, _FIRST_OCTAVE + _OCTAVES)
#: Edges of the histogram's bins in seconds, (bins + 1,): 256 in every octave, the first from 0.
EDGES: Floats = np.concatenate(
    [[0.0], (_OCTAVE_STARTS[:, np.newaxis] * (1 + np.arange(_PER_OCTAVE) / _PER_OCTAVE)).ravel(), [LONGEST_S]]
)
EDGES.setflags(write=False)


def wilson(hits: int, trials: int, confidence: float) -> tuple[float, float]:
    """The interval of a probability of which ``hits`` in ``trials`` were seen (Wilson, 1927)."""
    if trials == 0:
        return 0.0, 1.0
    z = z_of(confidence)
    p, z2n = hits / trials, z * z / trials
    middle = p + z2n / 2
    half = z * math.sqrt(p * (1 - p) / trials + z2n / (4 * trials))
    low, high = (middle - half) / (1 + z2n), (middle + half) / (1 + z2n)
    return (0.0 if hits == 0 else max(0.0, low)), (1.0 if hits == trials else min(1.0, high))


def z_of(confidence: float) -> float:
    """Half-width of the central interval, in standard deviations."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Times:
    """The distribution of an instant, in seconds: RTO on one clock, or RPO of one store.

    All that is reported follows from integer counts: any number of threads and chunks gives the same numbers. Means
    are over the trials that end; quantiles are over all of them, and infinite from P(never) on. Instants are counted in
    256 bins an octave, so a quantile, and `cdf`, is known to 0.4 % of the instant; `exact` gives order statistics
    exactly. Targets are counted exactly, and so are instants in a bin that holds much: there trials are drawn again.
    """

    name: str
    trials: int
    finite: int  #: trials that end
    sum_quanta: int  #: Σ of the instants, each rounded to 1/1024 s
    sum_squares: int  #: Σ of the squares of those
    least: float  #: seconds
    most: float
    histogram: NDArray[np.uint64]  #: see `EDGES`; the last entry counts those that never end
    targets: tuple[float, ...] = ()
    within_targets: tuple[int, ...] = ()
    confidence: float = 0.95
    select: Callable[[Sequence[int]], list[float]] | None = field(default=None, repr=False)  #: order statistics
    within: Callable[[float], int] | None = field(default=None, repr=False)  #: how many trials end by an instant

    @staticmethod
    def of(name: str, raw: Mapping[str, Any], trials: int, targets: Sequence[float], **more: Any) -> Times:
        """From the core's counts."""
        finite = raw["finite"]
        return Times(
            name=name, trials=trials, finite=finite, sum_quanta=raw["sum"], sum_squares=raw["squares"],
            least=raw["least"] if finite else math.nan, most=raw["most"] if finite else math.nan,
            histogram=raw["histogram"], targets=tuple(targets), within_targets=tuple(raw["within"]), **more,
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without what draws again."""
        return {**self.__dict__, "select": None, "within": None}

    def __copy__(self) -> Times:
        """Nothing changes it: as good as a copy."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Times:
        """The same."""
        return self

    @property
    def never(self) -> float:
        """P(it never ends)."""
        return (self.trials - self.finite) / self.trials

    @property
    def mean(self) -> float:
        """Mean of those that end; NaN where none does."""
        return self.sum_quanta / QUANTA_PER_S / self.finite if self.finite else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation of those that end."""
        n = self.finite
        if n < 2:
            return math.nan
        return math.sqrt(max(0, self.sum_squares * n - self.sum_quanta**2) / (n * (n - 1))) / QUANTA_PER_S

    @property
    def mean_interval(self) -> tuple[float, float]:
        """Confidence interval of the mean, of the sampling alone."""
        half = z_of(self.confidence) * self.sd / math.sqrt(self.finite) if self.finite > 1 else math.nan
        return self.mean - half, self.mean + half

    def probability(self, seconds: Duration) -> float:
        """P(at most so many seconds): as counted for a target, else to within a bin.

        A bin that holds over 1 % of the trials, as where durations are fixed, says too little: the trials are drawn
        again, which takes as long as the estimate took; not once this has been pickled apart from its estimate.
        """
        at = _bridge.duration_s(seconds, "seconds")
        hits = self._hits(at)
        return float(self.cdf(at)) if hits is None else hits / self.trials

    def interval(self, seconds: Duration) -> tuple[float, float]:
        """Wilson's interval of `probability`, of the sampling alone; wider by a bin where that is to within a bin."""
        at = _bridge.duration_s(seconds, "seconds")
        hits = self._hits(at)
        low, high = self._about(at) if hits is None else (hits, hits)
        return wilson(low, self.trials, self.confidence)[0], wilson(high, self.trials, self.confidence)[1]

    def _hits(self, at: float) -> int | None:
        """How many trials end by then; None: it is known to a bin."""
        if at in self.targets:
            return self.within_targets[self.targets.index(at)]
        if not self.finite or at * ROUNDING < self.least:
            return 0
        if at * ROUNDING >= self.most:
            return self.finite
        low, high = self._about(at)
        return None if self.within is None or high - low <= MOST_IN_BIN * self.trials else self.within(at)

    def _about(self, at: float) -> tuple[int, int]:
        """How many trials end by then, at least and at most: what lies in the same bin may be on either side."""
        below = np.concatenate([[0], np.cumsum(self.histogram[:-1])])
        low = int(below[max(0, int(np.searchsorted(EDGES, at)) - 1)])
        return low, int(below[min(len(below) - 1, int(np.searchsorted(EDGES, at * ROUNDING, side="right")))])

    def cdf(self, seconds: ArrayLike) -> Floats:
        """P(at most so many seconds), in the shape of ``seconds``, straight within each bin."""
        at = _bridge.numbers(seconds, "seconds")
        edges, counts = self._clipped()
        return np.asarray(np.interp(at, edges, counts / self.trials, left=0.0))

    def quantile(self, p: ArrayLike) -> Floats:
        """The instant in seconds that is not exceeded with probability p, in the shape of ``p``; inf: never."""
        given = _bridge.numbers(p, "p")
        if not ((given >= 0) & (given <= 1)).all():
            raise invalid("p", "must be probabilities in [0, 1]", given[~((given >= 0) & (given <= 1))].flat[0])
        return self._at_rank(given * self.trials)

    def quantile_interval(self, p: float) -> tuple[float, float]:
        """Confidence interval of a quantile by order statistics, of the sampling alone."""
        n, p = self.trials, _bridge.fraction(p, "p")
        half = z_of(self.confidence) * math.sqrt(n * p * (1 - p)) + 1
        low, high = self._at_rank(np.clip([n * p - half, n * p + half], 0, n))
        return float(low), float(high)

    def exact(self, p: ArrayLike) -> Floats:
        """The order statistics of rank ⌈p·trials⌉, exactly, in the shape of ``p``: the trials are drawn again."""
        given = _bridge.numbers(p, "p")
        if self.select is None:
            raise invalid("exact", "must be asked of an estimate that was neither pickled nor merged", self.name)
        if not ((given >= 0) & (given <= 1)).all():
            raise invalid("p", "must be probabilities in [0, 1]", given[~((given >= 0) & (given <= 1))].flat[0])
        if given.size > MOST_RANKS:
            raise invalid("p", f"must be at most {MOST_RANKS} probabilities at once", given.size)
        ranks = [max(0, math.ceil(q * self.trials - 1e-9) - 1) for q in given.ravel()]
        return np.array(self.select(ranks)).reshape(given.shape)

    def _clipped(self) -> tuple[Floats, Floats]:
        """Edges of the bins in use, from the least to the most that was seen, and how many lie up to each."""
        if not self.finite:
            return np.array([0.0, LONGEST_S]), np.array([0.0, 0.0])
        counts = self.histogram[:-1]
        used = np.flatnonzero(counts)
        edges = EDGES[used[0] : used[-1] + 2].copy()
        edges[0], edges[-1] = self.least, self.most
        below = np.concatenate([[0], np.cumsum(counts[used[0] : used[-1] + 1])]).astype(float)
        if edges[0] == edges[-1]:
            return np.array([edges[0], edges[0]]), np.array([below[-1], below[-1]])
        return edges, below

    def _at_rank(self, rank: Floats) -> Floats:
        edges, below = self._clipped()
        if not self.finite:
            return np.full(np.shape(rank), np.inf)
        found = np.interp(rank, below, edges)
        return np.where(np.asarray(rank) > self.finite, np.inf, found)


def added(a: Any, b: Any) -> Any:
    """Counts of two sets of trials together: numbers add up, extremes keep to their side."""
    if isinstance(a, dict):
        joined = {name: added(a[name], b[name]) for name in a if name not in ("least", "most")}
        if "least" in a:
            joined |= {"least": min(a["least"], b["least"]), "most": max(a["most"], b["most"])}
        return joined
    if a is None:
        return None
    if isinstance(a, list):
        return [added(x, y) for x, y in zip(a, b, strict=True)]
    return a + b
