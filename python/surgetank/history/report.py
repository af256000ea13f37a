"""What an import did, so that nothing disappears unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """Every row of the input is counted once: rows = added + duplicates + conflicts + missing + negatives."""

    source: str
    rows: int = 0  #: samples in the input, one per cell of a wide table
    added: int = 0  #: new samples
    duplicates: int = 0  #: said the same as another row or as the store
    conflicts: int = 0  #: said something else for the same instant; the maximum was kept
    missing: int = 0  #: empty or NaN: not observed
    negatives: int = 0  #: below 0 and read as missing, because the caller said so
    series: int = 0
    first: str = ""  #: first and last instant, ISO 8601 UTC
    last: str = ""
    step_s: float = 0.0  #: median spacing
    columns: Mapping[str, str] = field(default_factory=dict)  #: field → the column or value it was read from
    ignored: tuple[str, ...] = ()  #: columns nobody asked for

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "columns": dict(self.columns), "ignored": list(self.ignored)}

    def __str__(self) -> str:
        """Give what a person wants to know, in a few lines."""
        lines = [f"{self.source}: {self.rows:,} rows, {self.series:,} series"]
        if self.first:
            lines[0] += f", {self.first} to {self.last}, one sample every {self.step_s:g} s"
        counts = [f"{self.added:,} added"]
        for name, what in (
            ("duplicates", "already said"),
            ("conflicts", "conflicting (the maximum was kept)"),
            ("missing", "not observed"),
            ("negatives", "negative, read as not observed"),
        ):
            if getattr(self, name):
                counts.append(f"{getattr(self, name):,} {what}")
        lines.append("  " + ", ".join(counts))
        lines.append("  read: " + ", ".join(f"{name} ← {where}" for name, where in self.columns.items()))
        if self.ignored:
            lines.append("  ignored columns: " + ", ".join(self.ignored))
        return "\n".join(lines)
