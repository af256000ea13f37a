"""What drives a recovery: which steps decide, and what their time is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._bridge import Floats
from .._table import Column, Tabular, percent, span
from ..errors import invalid, nearest
from .times import QUANTA_PER_S
from .wording import chance

if TYPE_CHECKING:
    from .result import Recovery


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Steps(Tabular):
    """What each step took, and how often it was on the path that decided: of the first 16,384 trials that ended."""

    names: tuple[str, ...]
    trials: int  #: that were looked at
    ran: Floats  #: the share of them in which it began
    mean_s: Floats  #: its own time where it also ended, retries, fallback and waiting for an increase included
    criticality: Floats  #: the share in which it was on the path that decided
    contribution_s: Floats  #: of the mean RTO, what it took on that path; they add up to it

    @staticmethod
    def of(result: Recovery) -> Steps:
        """From the counts."""
        counts, paths = result.counts, result.counts["paths"]
        fallbacks = result.runbook.fallbacks
        kept = [i for i, name in enumerate(result.runbook.names) if name not in fallbacks]
        ran, ended, critical, spent, decided = (
            np.array(counts[name], dtype=np.float64)[kept]
            for name in ("ran", "ran_ended", "critical", "ran_quanta", "critical_quanta")
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            found = Steps(
                names=tuple(result.runbook.names[i] for i in kept),
                trials=paths,
                ran=ran / paths,
                mean_s=spent / QUANTA_PER_S / ended,
                criticality=critical / paths,
                contribution_s=decided / QUANTA_PER_S / paths,
            )
        for figures in (found.ran, found.mean_s, found.criticality, found.contribution_s):
            figures.setflags(write=False)
        return found

    def _caption(self) -> str:
        if self.trials == 0:
            return "What decides when service is back: none of the first 16,384 trials is among these, or none ended"
        return f"What decides when service is back ({self.trials:,} trials looked at)"

    def _columns(self) -> list[Column]:
        order = np.argsort(-np.nan_to_num(self.contribution_s), kind="stable")
        return [
            Column("step", [self.names[i] for i in order], "Step", numeric=False),
            Column("contribution_s", self.contribution_s[order], "Of the mean RTO", span),
            Column("criticality", self.criticality[order], "Decides", percent),
            Column("mean_s", self.mean_s[order], "Takes", span, priority=1),
            Column("ran", self.ran[order], "Happens", percent, priority=2),
        ]

    def __getitem__(self, name: str) -> dict[str, float]:
        """Give the figures of one step."""
        if name not in self.names:
            raise invalid("step", f"must be one of the runbook's{nearest(str(name), self.names)}", name)
        i = self.names.index(name)
        figures = ("ran", "mean_s", "criticality", "contribution_s")
        return {figure: float(getattr(self, figure)[i]) for figure in figures}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class WhatIf(Tabular):
    """What each step's time is worth: one row for each, as if it always took the least it can and never failed."""

    base: Recovery
    steps: tuple[str, ...]
    changed: tuple[Recovery, ...]

    def _caption(self) -> str:
        never = f" Now never with {percent(self.base.never)}; means leave that out." if self.base.never else ""
        return f"What if a step always took the least it can, and never failed?{never}"

    def _columns(self) -> list[Column]:
        gains = [gain_of(self.base, changed) for changed in self.changed]
        shown = self.base.target_s is not None
        return [
            Column("step", list(self.steps), "Step", numeric=False),
            Column("probability", [c.probability for c in self.changed], "P(in time)" if shown else "", chance),
            Column("gain", [g for g, _, _ in gains], "Gain" if shown else "", percent),
            Column("never", [c.never for c in self.changed], "Never", percent, priority=2),
            Column("mean_gain_s", [g for _, g, _ in gains], "Mean RTO less by", span),
            Column("p95_gain_s", [g for _, _, g in gains], "P95 less by", span, priority=1),
        ]


def gain_of(base: Recovery, changed: Recovery) -> tuple[float, float, float]:
    """By how much P(in time) grows, and the mean and the 95 % quantile of RTO shrink, in seconds."""
    before, after = base.rto, changed.rto
    p95 = [float(t.quantile(0.95)) for t in (before, after)]
    fewer = 0.0 if math.isnan(base.probability) else changed.probability - base.probability
    return fewer, before.mean - after.mean, math.inf if math.isinf(p95[0]) and p95[1] < math.inf else _less(p95)


def _less(pair: Sequence[float]) -> float:
    return 0.0 if pair[0] == pair[1] else pair[0] - pair[1]
