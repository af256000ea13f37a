"""Policies of a run as a table."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._table import Column, Tabular, percent, probability, quantity

if TYPE_CHECKING:
    from .result import Backtest

#: Rows that a person is shown; all of them are exported.
MOST_SHOWN = 40


def more(count: int, width: int | None) -> str:
    """Where the rows are that are not shown."""
    said = f"({count:,} more in to_pandas(), to_records() and to_arrow())"
    return textwrap.fill(said, width or shutil.get_terminal_size((160, 24)).columns)


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
        risk = self.run.total.risk  # the safest of the frontier first: the cheapest fail nearly always
        few = set(
            sorted(range(len(self.rows)), key=lambda at: (self.rows[at] not in kept, risk[self.rows[at]]))[:MOST_SHOWN]
        )
        shown = replace(self, rows=tuple(row for at, row in enumerate(self.rows) if at in few))
        text = Tabular.table(shown, width, color=color)
        return f"{text}\n{more(len(self.rows) - MOST_SHOWN, width)}"

    def _caption(self) -> str:
        which = "on the frontier" if self.frontier else "side by side"
        return f"{self.run.caption()}\n{len(self.rows):,} {which}"

    def _columns(self) -> list[Column]:
        from .result import label

        run, rows = self.run, list(self.rows)
        total = run.total
        blocks = run.blocks(rows)
        low, high = run.interval_of("risk", blocks, run.confidence)
        cost_low, cost_high = run.interval_of("cost_per_h", blocks, run.confidence)
        knee = run.knee
        return [
            Column("index", rows, "#"),
            Column("policy", [label(run.policies[i]) for i in rows], "Policy", numeric=False),
            Column("risk", total.risk[rows], "Risk", percent),
            Column("risk_low", low, "from", percent, priority=2),
            Column("risk_high", high, "to", percent, priority=2),
            Column("failed_days_frac", total.failed_days[rows], "Failed days", percent, priority=4),
            Column("coverage", total.coverage[rows], "Usage fits", probability, priority=3),
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
