"""What an import did, so that nothing disappears unseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .._table import span
from ..errors import printable

#: So many rows that were not understood are shown one by one; the others are counted.
FIRST_ROWS = 10
_FIRST_SERIES = 12

_COUNTS = (
    ("duplicates", "merged (already said)"),
    ("conflicts", "conflicting (the maximum was kept)"),
    ("missing", "not observed"),
    ("out_of_range", "out of range"),
    ("not_understood", "not understood"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesReport:
    """What was read of one quota. Its rows add up as those of `ImportReport` do."""

    series: str
    rows: int = 0
    added: int = 0
    duplicates: int = 0
    conflicts: int = 0
    missing: int = 0
    out_of_range: int = 0
    not_understood: int = 0
    first: str = ""
    last: str = ""
    step_s: float = 0.0  #: median spacing
    gaps: int = 0  #: times without a sample, longer than one and a half steps
    longest_gap_s: float = 0.0

    @property
    def troubled(self) -> bool:
        """Whether a person should look at it."""
        return bool(self.conflicts or self.out_of_range or self.not_understood or self.gaps)

    def __str__(self) -> str:
        """Give it in one line."""
        counts = ", ".join(f"{getattr(self, name):,} {what}" for name, what in _COUNTS if getattr(self, name))
        said = [
            f"{printable(self.series, 200)}: {self.rows:,} rows, {self.added:,} kept",
            *([counts] if counts else []),
        ]
        return ", ".join([*said, *([_gaps(self)] if self.gaps else [])])


def totals(per_series: Sequence[SeriesReport]) -> dict[str, Any]:
    """What all of them together say, as `ImportReport` calls it."""
    summed = ("added", "duplicates", "conflicts", "gaps")
    found: dict[str, Any] = {name: sum(getattr(one, name) for one in per_series) for name in summed}
    longest = max((one.longest_gap_s for one in per_series), default=0.0)
    return {**found, "longest_gap_s": longest, "per_series": tuple(per_series)}


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """Every row is counted once: rows = added + duplicates + conflicts + missing + out_of_range + not_understood."""

    source: str
    format: str = ""  #: what it turned out to be, such as CSV
    rows: int = 0  #: samples in the input, one per cell of a wide table
    added: int = 0  #: new samples
    duplicates: int = 0  #: said the same as another row or as the store
    conflicts: int = 0  #: said something else for the same instant; the maximum was kept
    missing: int = 0  #: empty or NaN: not observed
    out_of_range: int = 0  #: below 0 or infinite: left out, or read as not observed, because the caller said so
    not_understood: int = 0  #: no instant, no number, or no whole row, and left out because the caller said so
    left_out: int = 0  #: of these two, those that were left out or refused
    series: int = 0
    first: str = ""  #: first and last instant, ISO 8601 UTC
    last: str = ""
    step_s: float = 0.0  #: median spacing
    gaps: int = 0  #: over all series
    longest_gap_s: float = 0.0
    columns: Mapping[str, str] = field(default_factory=dict)  #: field → the column or value it was read from
    ignored: tuple[str, ...] = ()  #: columns nobody asked for
    first_bad: tuple[str, ...] = ()  #: the first rows that were left out or refused, with their lines
    notes: tuple[str, ...] = ()  #: what else must be known, such as that there is more than was read
    per_series: tuple[SeriesReport, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        """Give what a person wants to know, in a few lines."""
        name = f"{printable(self.source)} ({self.format})" if self.format else printable(self.source)
        lines = [f"{name}: {self.rows:,} rows, {self.series:,} series"]
        if self.first:
            lines[0] += f", {self.first} to {self.last}, one sample every {self.step_s:g} s"
        counts = [f"{getattr(self, name):,} {what}" for name, what in _COUNTS if getattr(self, name)]
        lines.append("  " + ", ".join([f"{self.added:,} added", *counts]))
        if self.columns:
            lines.append("  read: " + ", ".join(_read(name, where) for name, where in self.columns.items()))
        if self.ignored:
            shown = ", ".join(printable(name, 60) for name in self.ignored[:_FIRST_SERIES])
            lines.append(f"  ignored columns: {shown}{_more(len(self.ignored))}")
        if self.gaps:
            lines.append(f"  {_gaps(self)}")
        lines += [f"  left out: {bad}" for bad in self.first_bad]
        if self.left_out > len(self.first_bad) == FIRST_ROWS:
            lines.append(f"  … and {self.left_out - FIRST_ROWS:,} more rows are left out")
        lines += [f"  note: {printable(note)}" for note in self.notes]
        troubled = [one for one in self.per_series if one.troubled] if len(self.per_series) > 1 else []
        lines += [f"  {one}" for one in troubled[:_FIRST_SERIES]]
        if len(troubled) > _FIRST_SERIES:
            lines.append(f"  … and {len(troubled) - _FIRST_SERIES:,} more with gaps or conflicts (--json lists all)")
        return "\n".join(lines)


def _read(name: str, where: str) -> str:
    """Where a field was read from; a column of its own name needs no more words."""
    return name if where == f"column {name!r}" else f"{name} ← {printable(where, 200)}"


def _more(count: int) -> str:
    return f" and {count - _FIRST_SERIES:,} more" if count > _FIRST_SERIES else ""


def _gaps(found: ImportReport | SeriesReport) -> str:
    return f"{found.gaps:,} gap{'' if found.gaps == 1 else 's'}, the longest of {span(found.longest_gap_s)}"
