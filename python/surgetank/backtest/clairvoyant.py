"""The policy that knows the future: the least idle headroom at a given risk."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import _bridge
from .._bridge import Floats
from .._table import percent
from ..errors import invalid
from .custom import Path
from .rules import Rule

if TYPE_CHECKING:
    from .setting import Setting


@dataclass(frozen=True, kw_only=True, eq=False)
class Frontier:
    """The least idle headroom for each number of failing moments: a convex polygon."""

    fails: Floats  #: (K,) ascending
    idle: Floats  #: (K,) falling; Σ over samples, weighted
    moments: int

    def idle_at(self, risk: Floats | float) -> Floats:
        """Σ idle at that share of failing moments, interpolated; NaN where nothing was judged."""
        if self.moments == 0:
            return np.full(np.shape(risk), math.nan)
        return np.asarray(np.interp(np.asarray(risk) * self.moments, self.fails, self.idle))


@dataclass(frozen=True, eq=False)
class _Edges:
    """Edges of the lower hulls of all intervals of one series, steepest first, from the point without failures."""

    fails: Floats  # (E,) more failures that an edge costs …
    saved: Floats  # … and the idle that it saves
    interval: NDArray[np.int64]  # (E,) to which it belongs
    level: Floats  # (E,) the quota there
    start_level: Floats  # (I,) the quota without failures
    idle: float  # without failures
    moments: int


def edges_of(usage: Floats, peak: Floats, begins: NDArray[np.int64]) -> _Edges:
    """The hulls of one series from its first judged sample on; a quota for each interval, by where it begins."""
    fails: list[Floats] = []
    saved: list[Floats] = []
    interval: list[NDArray[np.int64]] = []
    level: list[Floats] = []
    starts: list[float] = []
    idle = 0.0
    for number, (begin, end) in enumerate(itertools.pairwise([*begins, len(usage)])):
        u, p = usage[begin:end], peak[begin:end]
        u, p = u[~np.isnan(u)], np.sort(p[~np.isnan(p)])
        q = np.unique(np.concatenate([[0.0], p]))[::-1]  # from no failures downwards
        with np.errstate(over="ignore"):  # what exceeds double is refused with all sums
            costs = np.maximum(q[:, None] - u[None, :], 0).sum(axis=1)
        counts = (len(p) - np.searchsorted(p, q, side="right")).astype(float)
        kept = _lower_hull(counts, costs)
        starts.append(float(q[0]))
        idle += float(costs[kept[0]])
        fails.append(np.diff(counts[kept]))
        saved.append(-np.diff(costs[kept]))
        level.append(q[kept[1:]])
        interval.append(np.full(len(kept) - 1, number))
    all_fails, all_saved = np.concatenate(fails), np.concatenate(saved)
    order = np.argsort(-all_saved / all_fails, kind="stable") if len(all_fails) else np.zeros(0, dtype=int)
    return _Edges(
        all_fails[order], all_saved[order], np.concatenate(interval)[order], np.concatenate(level)[order],
        np.array(starts), idle, int((~np.isnan(peak)).sum()),
    )  # fmt: skip


def _lower_hull(x: Floats, y: Floats) -> list[int]:
    """Which points, x ascending and y falling, are on the lower hull, up to the first of the lowest."""
    hull: list[int] = []
    for i in range(len(x)):
        if hull and x[i] == x[hull[-1]]:
            if y[i] < y[hull[-1]]:
                hull.pop()
            else:
                continue
        while len(hull) > 1 and _above(x, y, hull[-2], hull[-1], i):
            hull.pop()
        if hull and y[i] >= y[hull[-1]]:
            continue
        hull.append(i)
    return hull


def _above(x: Floats, y: Floats, a: int, b: int, c: int) -> bool:
    """Is b on or above the line from a to c?"""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((y[b] - y[a]) * (x[c] - x[a]) >= (y[c] - y[a]) * (x[b] - x[a]))


def frontier_of(edges: list[_Edges], weights: Floats) -> Frontier:
    """Of several series together: whichever saves most idle per failure fails first. Weight NaN: it does not count."""
    used = [(e, w) for e, w in zip(edges, weights, strict=True) if e.moments > 0 and not math.isnan(w)]
    fails = np.concatenate([e.fails for e, _ in used]) if used else np.zeros(0)
    saved = np.concatenate([w * e.saved for e, w in used]) if used else np.zeros(0)
    order = np.argsort(-saved / fails, kind="stable")
    top = sum(w * e.idle for e, w in used)
    return Frontier(
        fails=np.concatenate([[0.0], np.cumsum(fails[order])]),
        idle=np.concatenate([[top], top - np.cumsum(saved[order])]),
        moments=sum(e.moments for e, _ in used),
    )


@dataclass(frozen=True, kw_only=True)
class Clairvoyant(Rule):
    """The policy that knows the future: in each series the least idle headroom with which a share of moments fails.

    It may change the quota whenever a policy's could change, without lead time and for nothing; so no policy that
    decides at the same times can do with less at the same risk.

    Parameters
    ----------
    risk : float in [0, 1), default 0
        The share of moments that may fail, in each series.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.
    """

    name: ClassVar[str] = "clairvoyant"
    risk: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no risk, now."""
        self._settle(risk=_bridge.fraction(self.risk, "risk"))
        if self.risk == 1:
            raise invalid("risk", "must be below 1", self.risk)

    def __str__(self) -> str:
        """What a planner calls it."""
        return f"clairvoyant, risk {percent(self.risk)}"

    def path(self, setting: Setting) -> Path:
        """The quotas it sets, for every series and interval."""
        series, applies, quota = [], [], []
        for i, edges in enumerate(all_edges(setting)):
            level = edges.start_level.copy()
            within = np.cumsum(edges.fails) <= self.risk * edges.moments + 1e-9
            for k in np.flatnonzero(within):
                level[edges.interval[k]] = edges.level[k]
            series.append(np.full(len(level), i))
            applies.append(setting.first + begins_of(setting))
            quota.append(level)
        nobody = np.zeros(0, dtype=np.int64)
        return Path(
            np.concatenate(series).astype(np.int64), np.concatenate(applies).astype(np.int64), np.concatenate(quota),
            nobody, nobody, nobody.astype(np.bool_),
        )  # fmt: skip


def begins_of(setting: Setting) -> NDArray[np.int64]:
    """Where a quota can change, from the first judged sample on: after a decision at once, or after the lead time."""
    judged = len(setting.usage) - setting.first
    shift = setting.lead % setting.every
    grid = np.arange(0, judged, setting.every)
    return np.unique(np.concatenate([grid, np.arange(shift, judged, setting.every)])).astype(np.int64)


def all_edges(setting: Setting) -> list[_Edges]:
    """Of every series of a run."""
    peak, first, begins = setting.carried()["peak"], setting.first, begins_of(setting)
    return [edges_of(setting.usage[first:, i], peak[first:, i], begins) for i in range(setting.world.width)]
