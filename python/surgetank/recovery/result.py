"""What `estimate_recovery` found: RTO on every clock, RPO of every store, what decides, and what lack of room does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge
from .._bridge import Floats
from .._table import Column, Tabular, for_json, percent, span
from ..errors import InvalidInput, invalid
from . import wording
from .distributions import Fixed
from .drivers import Steps, WhatIf, gain_of
from .runbook import Runbook, Step
from .shortage import Shortage
from .times import EDGES, Times, added
from .wording import chance

if TYPE_CHECKING:
    from .capacity import Capacity
    from .estimate import Asked

#: Where the clock of an RTO starts.
CLOCKS = ("onset", "detection", "declaration")
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
WORST = "all stores"
ROOM = "(room for everything)"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Recovery(Tabular):
    """What an estimate found; one row for each clock and each store. Seconds and fractions throughout.

    Intervals cover the sampling alone, `Shortage.interval` what history happened to be alone; neither
    covers inputs that are wrong.
    """

    asked: Asked  #: what was drawn
    counts: Mapping[str, Any]  #: integers, which add up
    ranges: tuple[tuple[int, int], ...]  #: first trial and number of trials of each part
    target_s: float | None
    rpo_target_s: float | None
    clock: str
    confidence: float

    @property
    def runbook(self) -> Runbook:
        """What was followed."""
        return self.asked.runbook

    @property
    def trials(self) -> int:
        """How many there were."""
        return int(self.counts["trials"])

    @property
    def seed(self) -> int:
        """Their seed."""
        return self.asked.seed

    @cached_property
    def clocks(self) -> dict[str, Times]:
        """RTO from onset, and from detection and declaration where the runbook names those steps."""
        return self._clocks("clocks")

    @property
    def rto(self) -> Times:
        """RTO on the clock that was asked for."""
        return self.clocks[self.clock]

    @cached_property
    def stores(self) -> dict[str, Times]:
        """RPO of each store."""
        return {name: times for name, times in self._points.items() if name != WORST}

    @property
    def rpo(self) -> Times | None:
        """RPO of the worst store; None without stores."""
        return self._points.get(WORST)

    @property
    def probability(self) -> float:
        """P(RTO ≤ target); NaN without a target."""
        return math.nan if self.target_s is None else self.rto.probability(self.target_s)

    @property
    def interval(self) -> tuple[float, float]:
        """Its interval (Wilson), of the sampling alone."""
        return (math.nan, math.nan) if self.target_s is None else self.rto.interval(self.target_s)

    @property
    def rpo_probability(self) -> float:
        """P(RPO ≤ target) of all stores; NaN without a target or stores."""
        rpo = self.rpo
        return math.nan if self.rpo_target_s is None or rpo is None else rpo.probability(self.rpo_target_s)

    @property
    def both_probability(self) -> float:
        """P(RTO ≤ its target and RPO ≤ its own), both at once; NaN without either."""
        if self.target_s is None or self.rpo_target_s is None or self.rpo is None:
            return math.nan
        width = len(self.asked.point_targets)
        row = list(self.clocks).index(self.clock) * len(self.asked.targets) + self.asked.targets.index(self.target_s)
        at = row * width + self.asked.point_targets.index(self.rpo_target_s)
        return float(self.counts["met"][at] / self.trials)

    @property
    def never(self) -> float:
        """P(service is never back)."""
        return self.rto.never

    @cached_property
    def steps(self) -> Steps:
        """What each step took, and how often it decided when service was back."""
        return Steps.of(self)

    @cached_property
    def shortage(self) -> Shortage | None:
        """What lack of room does; None where no capacity was given."""
        return None if self.asked.coupling is None else Shortage.of(self, self._clocks("ready")[self.clock])

    def served(self, seconds: ArrayLike) -> Floats:
        """The share of the load that is served so many seconds after onset, on average, in the shape of ``seconds``."""
        if self.asked.coupling is None:
            return self.clocks["onset"].cdf(seconds)
        share = np.concatenate([[0], np.cumsum(self.counts["served"][:-1], dtype=np.float64)]) / (65536 * self.trials)
        return np.asarray(np.interp(_bridge.numbers(seconds, "seconds"), EDGES, share, left=0.0))

    def what_if(self, *, trials: int = 100_000) -> WhatIf:
        """What if a step always took the least it can, and never failed? One row for each, best first.

        Beside a plan, one row more: room for everything.

        With the same luck: differences are those of the step, not of the sampling.
        """
        from .estimate import estimate_recovery

        def drawn(runbook: Runbook, capacity: Capacity | None = self.asked.capacity) -> Recovery:
            return estimate_recovery(
                runbook, target_s=self.target_s, clock=self.clock, capacity=capacity, trials=trials,
                seed=self.seed, threads=self.asked.threads, confidence=self.confidence,
            )  # fmt: skip

        base = drawn(self.runbook)
        found = []
        for step in self.runbook.steps:
            if isinstance(step, Step):
                least = step.duration._core.support()[0]  # type: ignore[union-attr]
                found.append((step.name, drawn(self.runbook.with_step(step.name, duration=Fixed(least), failure=0.0))))
        if self.asked.capacity is not None:
            found.append((ROOM, drawn(self.runbook, None)))
        gains = [gain_of(base, changed) for _, changed in found]
        order = sorted(range(len(found)), key=lambda i: tuple(-np.nan_to_num(g) for g in gains[i]))
        return WhatIf(base=base, steps=tuple(found[i][0] for i in order), changed=tuple(found[i][1] for i in order))

    def availability(self, incidents_per_year: float, *, sla: float = 0.999) -> Any:
        """Yearly downtime with so many incidents a year; see `surgetank.recovery.availability`."""
        from .availability import availability

        return availability(self, incidents_per_year, sla=sla)

    @staticmethod
    def merge(parts: Sequence[Recovery]) -> Recovery:
        """One result of several: the same question, seed and targets, and different trials; in any order.

        The numbers are those of one call that draws all of them.
        """
        given = tuple(parts) if isinstance(parts, Iterable) else ()
        if not given or not all(isinstance(part, Recovery) for part in given):
            raise invalid("parts", "must be at least one Recovery", parts)
        first, *rest = given
        for other in rest:
            _check_same(first, other)
        ranges = sorted(r for part in given for r in part.ranges)
        for (start, count), (following, _) in itertools.pairwise(ranges):
            if start + count > following:
                raise invalid("parts", "must be of different trials", f"trial {following} twice")
        counts = first.counts
        for other in rest:
            counts = added(counts, other.counts)
        return replace(first, counts=counts, ranges=_joined(ranges))

    def require_met(self, probability: float = 0.95) -> None:
        """Raise `InvalidInput` unless RTO, and RPO where one is asked, are both met at least that often."""
        wanted = _bridge.fraction(probability, "probability")
        if self.target_s is None:
            raise invalid("target_s", "must be given to be met", None)
        both = self.rpo_target_s is not None
        found = self.both_probability if both else self.probability
        if found < wanted:
            what = "RTO and RPO" if both else "RTO"
            raise InvalidInput(f"{what}: must be met with a probability of {wanted:g} (got {found:.6g})")

    def to_dict(self) -> dict[str, Any]:
        """Everything a program needs, as plain values ready for JSON."""
        shortage = self.shortage
        found = {
            "schema_version": 1,
            "runbook": self.runbook.name,
            "trials": self.trials,
            "seed": self.seed,
            "clock": self.clock,
            "target_s": self.target_s,
            "rpo_target_s": self.rpo_target_s,
            "confidence": self.confidence,
            "probability": for_json(self.probability),
            "interval": [for_json(v) for v in self.interval],
            "rpo_probability": for_json(self.rpo_probability),
            "both_probability": for_json(self.both_probability),
            "never": self.never,
            "times": self.to_records(),
            "steps": self.steps.to_records(),
        }
        return found if shortage is None else {**found, "shortage": shortage.to_dict()}

    def _clocks(self, which: str) -> dict[str, Times]:
        runbook = self.runbook
        names = [name for name in CLOCKS if name == "onset" or getattr(runbook, name) is not None]
        rows = zip(names, self.counts[which], strict=True)
        return {
            name: Times.of(
                name, raw, self.trials, self.asked.targets, confidence=self.confidence,
                select=self._selector(i) if which == "clocks" else None, within=self._counter(which, i),
            )
            for i, (name, raw) in enumerate(rows)
        }  # fmt: skip

    @cached_property
    def _points(self) -> dict[str, Times]:
        names = [*(store.name for store in self.runbook.stores), WORST] if self.counts["points"] else []
        return {
            name: Times.of(
                name, raw, self.trials, self.asked.point_targets, confidence=self.confidence,
                select=self._selector(len(self.counts["clocks"]) + i), within=self._counter("points", i),
            )
            for i, (name, raw) in enumerate(zip(names, self.counts["points"], strict=True))
        }  # fmt: skip

    def _selector(self, number: int) -> Any:
        if len(self.ranges) > 1:
            return None
        ((first, count),) = self.ranges
        return lambda ranks: self.asked.select(first, count, number, ranks)

    def _counter(self, which: str, number: int) -> Callable[[float], int]:
        """How many of the same trials end by an instant, drawn again."""

        @cache
        def within(seconds: float) -> int:
            asked = replace(self.asked, targets=(seconds,), point_targets=(seconds,))
            return sum(asked.draw(first, count)[which][number]["within"][0] for first, count in self.ranges)

        return within

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what cannot be worked out again."""
        cached = {name for name, value in vars(type(self)).items() if isinstance(value, cached_property)}
        return {k: v for k, v in self.__dict__.items() if k not in cached}

    def _caption(self) -> str:
        return wording.caption(self)

    def _notes(self) -> list[str]:
        return wording.notes(self)

    def _columns(self) -> list[Column]:
        several = len(self.stores) > 1
        points = [t for name, t in self._points.items() if name != WORST or several]
        times = [*self.clocks.values(), *points]
        what = [f"RTO from {t.name}" for t in self.clocks.values()] + [f"RPO of {t.name}" for t in points]
        asked = [self.target_s if i < len(self.clocks) else self.rpo_target_s for i in range(len(times))]
        rows = list(zip(times, asked, strict=True))
        within = [math.nan if target is None else t.probability(target) for t, target in rows]
        ends = [(math.nan, math.nan) if target is None else t.interval(target) for t, target in rows]
        quantiles = np.array([t.quantile(QUANTILES) for t in times])
        return [
            Column("what", what, "Time", numeric=False),
            Column("target_s", [math.nan if a is None else a for a in asked], "Target", span, priority=3),
            Column("probability", within, "P(in time)", chance),
            Column("low", [low for low, _ in ends]),
            Column("high", [high for _, high in ends]),
            Column("mean_s", [t.mean for t in times], "Mean", span, priority=2),
            Column("sd_s", [t.sd for t in times]),
            *(
                Column(f"p{100 * p:g}".replace(".", "_") + "_s", quantiles[:, i], f"P{100 * p:g}", span, priority=4 + i)
                for i, p in enumerate(QUANTILES)
            ),
            Column("never", [t.never for t in times], "Never", percent, priority=1),
        ]


def _check_same(a: Recovery, b: Recovery) -> None:
    own = {name: (getattr(a.asked, name), getattr(b.asked, name)) for name in ("seed", "targets", "point_targets")}
    own |= {n: (getattr(a, n), getattr(b, n)) for n in ("runbook", "clock", "target_s", "rpo_target_s", "confidence")}
    for name, (one, other) in own.items():
        if one != other:
            raise invalid("parts", f"must have the same {name}", other if name != "runbook" else other.name)
    if (a.asked.coupling is None) != (b.asked.coupling is None) or not _same_room(a.asked, b.asked):
        raise invalid("parts", "must have the same capacity", "another")


def _same_room(a: Asked, b: Asked) -> bool:
    if a.coupling is None or b.coupling is None or a.capacity is None or b.capacity is None:
        return a.coupling is b.coupling
    ways = [(c.lead_time, c.denial) for c in (a.capacity, b.capacity)]
    return (
        a.coupling.quotas == b.coupling.quotas
        and np.array_equal(a.coupling.served_by, b.coupling.served_by)
        and ways[0] == ways[1]
    )


def _joined(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first, count in ranges:
        if joined and sum(joined[-1]) == first:
            joined[-1] = (joined[-1][0], joined[-1][1] + count)
        else:
            joined.append((first, count))
    return tuple(joined)


__all__ = ["CLOCKS", "Recovery"]
