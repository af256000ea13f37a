"""The shipped runbooks in a table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._table import Column, Tabular, span
from .runbook import Runbook
from .shipped import shipped_names, shipped_runbook


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Listing(Tabular):
    """Runbooks, a row each."""

    runbooks: tuple[Runbook, ...]

    @staticmethod
    def shipped() -> Listing:
        """All that are shipped."""
        return Listing(runbooks=tuple(shipped_runbook(name) for name in shipped_names()))

    def _caption(self) -> str:
        return "Shipped runbooks; surgetank runbooks NAME shows one, with --toml as a file to start from"

    def _columns(self) -> list[Column]:
        books = self.runbooks
        targets = [math.nan if b.target_s is None else float(b.target_s) for b in books]  # type: ignore[arg-type]
        points = [math.nan if b.rpo_target_s is None else float(b.rpo_target_s) for b in books]  # type: ignore[arg-type]
        return [
            Column("name", [b.name for b in books], "Name", numeric=False),
            Column("title", [b.title for b in books], "What", numeric=False, priority=1),
            Column("strategy", [b.strategy for b in books], "Strategy", numeric=False, priority=3),
            Column("target_s", targets, "RTO", span),
            Column("rpo_target_s", points, "RPO", span),
            Column("steps", [len(b.steps) for b in books], "Steps", priority=2),
        ]
