"""Policies of a run as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._table import Column, Tabular, percent, quantity

if TYPE_CHECKING:
    from .result import Backtest

#: Rows that a person is shown; all of them are exported.
MOST_SHOWN = 40


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PolicyTable(Tabular):
    """Some policies of a run, one row each: risk with its interval, and what that costs."""

    run: Backtest
    rows: tuple[int, ...]  #: numbers of policies
    frontier: bool = False

    def table(self, width: int | None = None, *, color: bool = False) -> str:
        """Give the text table: of many rows those on the frontier, and the first."""
        if len(self.rows) <= MOST_SHOWN:
            return Tabular.table(self, width, color=color)
        from dataclasses import replace

        kept = set(self.run.frontier().rows)
        few = sorted(self.rows, key=lambda i: (i not in kept, self.rows.index(i)))[:MOST_SHOWN]
        shown = replace(self, rows=tuple(i for i in self.rows if i in set(few)))
        left_out = f"({len(self.rows) - MOST_SHOWN:,} more in to_pandas(), to_records() and to_arrow())"
        return f"{Tabular.table(shown, width, color=color)}\n{left_out}"

    def _caption(self) -> str:
        which = "on the frontier" if self.frontier else "side by side"
        return f"{self.run.caption()}\n{len(self.rows):,} {which}"

    def _columns(self) -> list[Column]:
        from .result import label

        run, rows = self.run, list(self.rows)
        total = run.total
        low, high = run.interval("risk", rows) if rows else (np.zeros(0), np.zeros(0))
        cost_low, cost_high = run.interval("cost_per_h", rows) if rows else (np.zeros(0), np.zeros(0))
        knee = run.knee
        return [
            Column("index", rows, "#"),
            Column("policy", [label(run.policies[i]) for i in rows], "Policy", numeric=False),
            Column("risk", total.risk[rows], "Risk", percent),
            Column("risk_low", low, "from", percent, priority=2),
            Column("risk_high", high, "to", percent, priority=2),
            Column("failed_days_frac", total.failed_days[rows], "Failed days", percent, priority=4),
            Column("coverage", total.coverage[rows], "Usage fits", percent, priority=3),
            Column("shortfall_frac", total.shortfall_frac[rows], "Short", quantity, priority=5),
            Column("idle_frac", total.idle_frac[rows], "Idle", quantity),
            Column("excess_frac", run.excess_frac[rows], "Excess", quantity, priority=3),
            Column("cost_per_h", total.cost_per_h[rows], "Cost/h", quantity, priority=1),
            Column("cost_per_h_low", cost_low),
            Column("cost_per_h_high", cost_high),
            Column("requests_per_30d", total.requests[rows], "Requests", quantity, priority=2),
            Column("reversals_per_30d", total.reversals[rows], "Reversals", quantity, priority=5),
            Column("mark", ["knee" if i == knee else "" for i in rows], "Mark", numeric=False),
        ]

    def _notes(self) -> list[str]:
        priced = self.run.cost.per_unit_h is not None
        unit = "by price" if priced else "alike"
        confidence = percent(self.run.confidence)
        return [
            f"Risk: share of failovers that would not have fitted; {confidence} interval by blocks of time. Idle, "
            f"Short and Excess (idle beyond the clairvoyant's at that risk): multiples of average usage, series "
            f"weighted {unit}. Requests and Reversals: per series and 30 days."
        ]
