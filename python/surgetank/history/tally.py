"""Counting every row once, and what becomes of those that cannot be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from ..errors import InvalidInput
from .batches import Broken
from .cells import BadCell
from .keys import QuotaKey
from .report import FIRST_ROWS, ImportReport, SeriesReport
from .samples import Ints, Merged, SampleSet, Spacings, instant

#: A source that is refused is read on, so that all of its bad rows are counted; but only so many.
MOST_REFUSED = 1000
#: Rows that break the same rule, of those that an error names.
SHOWN_OF_A_RULE = 3


@dataclass
class Counts:
    """How many rows of each series; it grows as series appear."""

    numbers: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def add(self, code: Ints) -> None:
        """Count rows by their series number."""
        counted = np.bincount(code, minlength=len(self.numbers))
        counted[: len(self.numbers)] += self.numbers
        self.numbers = counted

    def of(self, series: int) -> int:
        """Rows of one series."""
        return int(self.numbers[series]) if series < len(self.numbers) else 0


class Tally:
    """The rows of one source."""

    def __init__(self, name: str, bad: str) -> None:
        """Begin with none. ``bad``: "refuse" the source or "skip" the row."""
        self.name, self.skips = name, bad == "skip"
        self.rows, self.missing = Counts(), Counts()
        self.out_of_range: Counter[int] = Counter()
        self.not_understood: Counter[int] = Counter()
        self.accepted: Counter[int] = Counter()  # out of range, and read as not observed because the caller said so
        self.broken = 0  # rows that are of no series, because they could not be taken apart
        self.first: list[str] = []
        self._error: InvalidInput | None = None

    @property
    def refused(self) -> bool:
        """Whether nothing will be kept."""
        return self._error is not None

    @property
    def left_out(self) -> int:
        """Rows that could not be read."""
        return self.broken + self.out_of_range.total() + self.not_understood.total()

    def read(self, code: Ints, missing: NDArray[np.bool_]) -> None:
        """Count samples that were understood."""
        self.rows.add(code)
        self.missing.add(code[missing])

    def accept(self, code: Ints) -> None:
        """Count samples out of range that are read as not observed, because the caller said so."""
        self.accepted.update(code.tolist())

    def bad(self, where: str, what: BadCell, code: int) -> None:
        """Note a sample of that series that breaks a rule."""
        (self.out_of_range if what.out_of_range else self.not_understood)[code] += 1
        self._note(where, what)

    def broken_row(self, row: Broken) -> None:
        """Note what is no row."""
        self.broken += row.lines
        self._note(row.where, row.what)

    def _note(self, where: str, what: BadCell) -> None:
        if len(self.first) < FIRST_ROWS:
            error = what.at(where)
            self.first.append(str(error))
            if not self.skips and self._error is None:
                self._error = error
        if self.refused and self.left_out >= MOST_REFUSED:
            raise self.refusal(whole=False)

    def refusal(self, *, whole: bool = True) -> InvalidInput:
        """The error of a source that is refused."""
        assert self._error is not None
        rows = self.broken + int(self.rows.numbers.sum())
        count = f"{self.left_out:,} of {rows:,} row{'' if rows == 1 else 's'}"
        count = count if whole else f"{self.left_out:,} rows and more"
        hint = "; bad='skip' (--bad skip) leaves such rows out" if whole and self.left_out < rows else ""
        said = f"{self._error}; {count} cannot be read, so nothing was kept{hint}"
        error = InvalidInput(said, argument=self._error.argument, rule=self._error.rule, others=self._others())
        error.report = self.report()
        return error

    def _others(self) -> list[str]:
        """Of the rows after the first that cannot be read, the first that break each rule."""
        seen: Counter[str] = Counter()
        others: list[str] = []
        for n, bad in enumerate(self.first):
            rule = bad.partition(": ")[2].partition(" (got ")[0]
            seen[rule] += 1
            if n and seen[rule] <= SHOWN_OF_A_RULE:
                others.append(bad)
        return others

    def report(self, **known: Any) -> ImportReport:
        """What is known so far."""
        return ImportReport(
            source=self.name,
            rows=self.broken + int(self.rows.numbers.sum()),
            missing=int(self.missing.numbers.sum()),
            out_of_range=self.out_of_range.total() + self.accepted.total(),
            left_out=self.left_out,
            not_understood=self.broken + self.not_understood.total(),
            first_bad=tuple(self.first),
            **known,
        )

    def of_series(self, number: int, key: QuotaKey, merged: Merged, spacing_s: float) -> SeriesReport:
        """What was read of one series."""
        gaps, longest = gaps_of(merged.time_s, spacing_s)
        return SeriesReport(
            series=str(key),
            rows=self.rows.of(number),
            added=len(merged.value),
            duplicates=merged.duplicates,
            conflicts=merged.conflicts,
            missing=self.missing.of(number),
            out_of_range=self.out_of_range[number] + self.accepted[number],
            not_understood=self.not_understood[number],
            first=instant(merged.time_s[0]) if len(merged.time_s) else "",
            last=instant(merged.time_s[-1]) if len(merged.time_s) else "",
            step_s=0.0 if np.isnan(spacing_s) else spacing_s,
            gaps=gaps,
            longest_gap_s=longest,
        )


def gaps_of(time_s: Ints, spacing_s: float) -> tuple[int, float]:
    """How often more than one and a half of its usual spacings lie between two samples, and the longest such time."""
    spacings = time_s[1:] - time_s[:-1]
    if not len(spacings) or spacings.max() <= 1.5 * spacing_s:
        return 0, 0.0
    wide = spacings[spacings > 1.5 * spacing_s]
    return len(wide), float(wide.max())


def reports_of(found: SampleSet) -> list[SeriesReport]:
    """The report of each series; of samples that were not read but made it says that all of them are there."""
    if len(found.report.per_series) == len(found.keys):
        return list(found.report.per_series)
    return [_of_made(key, *found.series(n)) for n, key in enumerate(found.keys)]


def _of_made(key: QuotaKey, time_s: Ints, value: Floats) -> SeriesReport:
    tally = Tally("", "refuse")
    tally.rows.add(np.zeros(len(value), dtype=np.int64))
    return tally.of_series(0, key, Merged(time_s, value, 0, 0), Spacings().add(time_s[1:] - time_s[:-1]))
