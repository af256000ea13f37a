"""Which targets a recovery keeps, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._table import Column, Tabular, percent, span
from ..errors import invalid, nearest
from .runbook import Runbook
from .target_sets import Target
from .wording import chance

MET, BREACHED, UNKNOWN = "PolicyMet", "PolicyBreached", "Unknown"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The judgement of one target."""

    target: Target
    rto: float  #: P(RTO ≤ target); NaN: not asked, or not known
    rpo: float
    answer: float  #: P(somebody answers in time)
    probability: float  #: of all that is asked, at once; NaN where only bounds are known
    interval: tuple[float, float]  #: of it, at the confidence of the result; unknown parts count as anything
    verdict: str  #: "PolicyMet", "PolicyBreached" or "Unknown"
    why: str


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Judgement(Tabular):
    """Which targets a recovery keeps; one row for each."""

    judged: tuple[Judged, ...]
    runbook: Runbook
    trials: int
    confidence: float

    @property
    def met(self) -> tuple[str, ...]:
        """Names of the targets that are kept."""
        return self._named(MET)

    @property
    def breached(self) -> tuple[str, ...]:
        """Names of those that are not."""
        return self._named(BREACHED)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of those that the trials, or the runbook, leave open."""
        return self._named(UNKNOWN)

    def __getitem__(self, name: str) -> Judged:
        """Give the judgement of one target."""
        for one in self.judged:
            if one.target.name == name:
                return one
        raise invalid("name", f"must be a target{nearest(str(name), [j.target.name for j in self.judged])}", name)

    def _named(self, verdict: str) -> tuple[str, ...]:
        return tuple(j.target.name for j in self.judged if j.verdict == verdict)

    def _caption(self) -> str:
        name = self.runbook.title or self.runbook.name
        return f"{name}: {len(self.met)} of {len(self.judged)} targets met, {len(self.breached)} breached"

    def _columns(self) -> list[Column]:
        rows = self.judged
        targets = [j.target for j in rows]

        def asked(key: str) -> list[float]:
            return [math.nan if (value := getattr(t, key)) is None else value for t in targets]

        answers = any(t.answer_s is not None for t in targets)
        return [
            Column("target", [t.name for t in targets], "Target", numeric=False),
            Column("rto_s", asked("rto_s"), "RTO", span),
            Column("clock", [t.clock for t in targets], numeric=False),
            Column("rto_probability", [j.rto for j in rows], "P(RTO)", chance, priority=2),
            Column("rpo_s", asked("rpo_s"), "RPO", span),
            Column("rpo_probability", [j.rpo for j in rows], "P(RPO)", chance, priority=2),
            Column("answer_s", asked("answer_s"), "Answer" if answers else "", span, priority=1),
            Column("answer_probability", [j.answer for j in rows], "P(answer)" if answers else "", chance, priority=2),
            Column("wanted", [t.probability for t in targets], "Asked", percent, priority=3),
            Column("probability", [j.probability for j in rows], "P(all)", chance),
            Column("low", [j.interval[0] for j in rows]),
            Column("high", [j.interval[1] for j in rows]),
            Column("verdict", [j.verdict for j in rows], "Verdict", numeric=False),
            Column("why", [j.why for j in rows], "Why", numeric=False, priority=1),
        ]

    def _notes(self) -> list[str]:
        said = [f"{self.trials:,} trials, each judged by all targets; intervals of {percent(self.confidence)} each."]
        if any(j.target.component for j in self.judged):
            said.append("A component with a store and no step is taken to be back when the service is, or earlier.")
        if any(j.target.answer_s is not None for j in self.judged):
            said.append("Somebody has answered when the declaration step begins, counted from detection.")
        return said
