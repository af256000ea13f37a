"""`Tuned`: a policy chosen on one part of the past, and what it did on another."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._table import Column, Tabular, percent, quantity, span
from ..errors import InvalidInput
from ..headroom import QuantilePolicy
from .choice import AT_A_TIME, Choice, choose, pareto
from .planned import RulePolicy
from .policytable import more
from .result import Backtest, label
from .search import Scores, run_of
from .setting import Setting
from .writing import planned_by

#: Rows that a person is shown; all of them are exported.
MOST_SHOWN = 16


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Tuned(Tabular):
    """A policy chosen on one part of the past, and what it did on another."""

    choice: Choice  #: on the tuning part
    run: Backtest  #: the frontier of the tuning part, and the choice if there is one
    judged: Backtest  #: the same policies on the part that was held back
    risk: float  #: that was asked for
    scores: Scores  #: of all policies, on the tuning part
    policies: tuple[Any, ...]  #: all of them

    @classmethod
    def of(
        cls, template: Backtest, policies: tuple[Any, ...], scores: Scores, tuning: Setting, held_back: Setting,
        risk: float, confidence: float | None,
    ) -> Tuned:  # fmt: skip
        """Choose, and judge what is on the frontier."""
        # Those that may meet the risk, the cheapest first, and those on the frontier: the choice is among them.
        frontier = pareto(scores.risk, scores.cost_per_h)
        order = np.argsort(scores.cost_per_h, kind="stable")
        meeting = [int(i) for i in order if scores.risk[i] <= risk]
        step, few, choice = 4 * AT_A_TIME, [*frontier], None
        for begin in range(0, max(1, len(meeting)), step):
            few = sorted({*frontier, *meeting[: begin + step]}) or [0]  # none could be judged: one says so for all
            run = run_of(template, [policies[i] for i in few], tuning)
            choice = choose(run, risk, confidence)
            if choice.policy is not None:
                break
        assert choice is not None
        shown = [*frontier] or [0] if choice.index < 0 else sorted({*frontier, few[choice.index]})
        kept = [policies[i] for i in sorted(shown, key=lambda i: (float(scores.cost_per_h[i]), i))]
        return cls(
            choice=choice,
            run=run_of(template, kept, tuning),
            judged=run_of(template, kept, held_back),
            risk=float(risk),
            scores=scores,
            policies=policies,
        )

    @cached_property
    def _at(self) -> int:
        """The row of the choice; −1: none."""
        for i, policy in enumerate(self.run.policies):
            if policy is self.choice.policy:
                return i
        return -1

    @cached_property
    def held_back(self) -> Verdict:
        """What the choice did in the time and series that were held back; of the knee where nothing was chosen."""
        at = max(0, self._at if self._at >= 0 else self.run.knee)
        low, high = self.judged.interval("risk", [at])
        total = self.judged.total
        return Verdict(
            policy=self.judged.policies[at], risk=float(total.risk[at]), risk_low=float(low[0]),
            risk_high=float(high[0]), cost_per_h=float(total.cost_per_h[at]), idle_frac=float(total.idle_frac[at]),
        )  # fmt: skip

    @property
    def policy(self) -> RulePolicy | QuantilePolicy:
        """The choice as the policy of a plan, with the lead time and the looks it was judged by.

        Raises `InvalidInput` where nothing was chosen, or what was chosen cannot make plans.
        """
        if self.choice.policy is None:
            raise InvalidInput(f"policy: must have been chosen (got none: {self.choice.reason})")
        setting = self.run.setting
        return planned_by(
            self.choice.policy, lead_time_s=setting.lead * setting.step_s, review_s=setting.every * setting.step_s
        )

    @property
    def warning(self) -> str:
        """A sentence where the held-back risk lies outside the interval of the tuned one, or above what may be."""
        if self._at < 0:
            return self.choice.reason
        found = self.held_back
        if math.isnan(found.risk):
            return f"{label(found.policy)} could not be judged on what was held back: it never had a quota there."
        low, high = self.run.interval("risk", [self._at])
        shown = f"{percent(found.risk)} of the failovers that were held back failed"
        if found.risk > high[0]:
            tuned = f"the {percent(self.choice.risk)} ({percent(low[0])} to {percent(high[0])}) it was chosen for"
            return f"{shown}, more than {tuned}: do not count on the tuned figure."
        if found.risk > self.risk:
            return f"{shown}, more than the {percent(self.risk)} that may."
        if found.risk < low[0]:
            return f"{shown}, fewer than the tuned part promised ({percent(low[0])} to {percent(high[0])})."
        return ""

    def table(self, width: int | None = None, *, color: bool = False) -> str:
        """Give the text table: of a long frontier what is nearest to the risk that was asked for."""
        if len(self.run.policies) <= MOST_SHOWN:
            return Tabular.table(self, width, color=color)
        far = np.abs(np.log10(np.maximum(self.run.total.risk, 1e-9)) - math.log10(self.risk))
        kept = set(np.argsort(far, kind="stable")[: MOST_SHOWN - 3].tolist())
        kept |= {self._at, self.run.knee} - {-1}
        if _priced(self.run):
            kept |= {self.run.least_regret(), self.run.newsvendor()} - {-1}
        shown = _Some(self, sorted(kept, key=lambda i: float(self.run.total.cost_per_h[i])))
        return f"{shown.table(width, color=color)}\n{more(len(self.run.policies) - len(kept), width)}"

    def _caption(self) -> str:
        tuned, judged = span(self.run.setting.judged_s), span(self.judged.setting.judged_s)
        told = f"{len(self.policies):,} policies tuned on {tuned}, judged on {judged} that were held back"
        left_out = len(self.policies) - len(self.run.policies)
        return (
            told if left_out == 0 else f"{told}; {left_out:,} of them left out: others cost no more and risked no more"
        )

    def _columns(self) -> list[Column]:
        run, judged = self.run, self.judged
        rows = list(range(len(run.policies)))
        low, high = judged.interval("risk", rows)
        named = [("chosen", self._at), ("knee", run.knee)]
        if _priced(run):  # else the cheapest, whatever it risks
            named += [("least regret", run.least_regret()), ("newsvendor", run.newsvendor())]
        marks = [", ".join(word for word, at in named if at == i) for i in rows]
        return [
            Column("policy", [label(p) for p in run.policies], "Policy", numeric=False),
            Column("tuned_risk", run.total.risk, "Risk tuned", percent),
            Column("held_back_risk", judged.total.risk, "held back", percent),
            Column("held_back_low", low, "from", percent, priority=2),
            Column("held_back_high", high, "to", percent, priority=2),
            Column("tuned_idle_frac", run.total.idle_frac, "Idle tuned", quantity, priority=1),
            Column("held_back_idle_frac", judged.total.idle_frac, "held back", quantity, priority=1),
            Column("held_back_excess_frac", judged.excess_frac, "excess", quantity, priority=3),
            Column("held_back_cost_per_h", judged.total.cost_per_h, "Cost/h", quantity, priority=4),
            Column("requests_per_30d", judged.total.requests, "Requests", quantity, priority=3),
            Column("mark", marks, "Mark", numeric=False),
        ]

    def _notes(self) -> list[str]:
        notes = [self.choice.reason, f"From and to: {percent(self.run.confidence)} intervals by blocks of time."]
        if self._at >= 0:
            found = self.held_back
            limits = f"{percent(found.risk_low)} to {percent(found.risk_high)}"
            idle = f"{quantity(found.idle_frac)} times the average usage was idle"
            notes.append(f"Held back: {percent(found.risk)} failed ({limits}), and {idle}.")
            if self.warning:
                notes.append(f"Warning: {self.warning}")
        return notes


class _Some(Tabular):
    """A few rows of a table."""

    def __init__(self, whole: Tuned, rows: list[int]) -> None:
        """Keep which."""
        self.whole, self.rows = whole, rows

    def _columns(self) -> list[Column]:
        return [replace(c, values=[c.values[i] for i in self.rows]) for c in self.whole._columns()]

    def _caption(self) -> str:
        return self.whole._caption()

    def _notes(self) -> list[str]:
        return self.whole._notes()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a policy did in the part that was held back."""

    policy: Any
    risk: float
    risk_low: float
    risk_high: float
    cost_per_h: float
    idle_frac: float

    def __str__(self) -> str:
        """Say it."""
        limits = f"{percent(self.risk_low)} to {percent(self.risk_high)}"
        return f"{label(self.policy)}: {percent(self.risk)} failed ({limits}), {quantity(self.idle_frac)} idle"


def _priced(run: Backtest) -> bool:
    return bool(np.any(np.asarray(run.cost.per_short_unit_h) > 0))
