"""Samples as they were taken: sorted, each instant once, not yet on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from ..errors import InvalidInput, invalid
from .keys import QuotaKey
from .report import ImportReport

Ints = NDArray[np.int64]
DEFAULT_STEP_S = 300
LONGEST_STEP_S = 366 * 86_400
MOST_CELLS = 400_000_000  # of a grid: 3.2 GB; beyond it a timestamp is wrong or the step is


class SampleSet(Protocol):
    """Samples of several series, wherever they lie: in memory (`Samples`) or in a temporary file (`Gathered`)."""

    @property
    def keys(self) -> tuple[QuotaKey, ...]: ...  # noqa: D102
    @property
    def units(self) -> Mapping[QuotaKey, str]: ...  # noqa: D102
    @property
    def report(self) -> ImportReport: ...  # noqa: D102
    def __len__(self) -> int:
        """Give the number of samples."""
        ...

    def series(self, number: int) -> tuple[Ints, Floats]:
        """Epoch seconds, ascending, and usage of one series."""
        ...

    def step_s(self) -> int:
        """Median spacing over all series, in whole seconds; 300 s where no series has two samples."""
        ...

    def ends(self) -> tuple[int, int]:
        """Epoch seconds of the first and last sample; there is one."""
        ...


@dataclass(frozen=True)
class Samples:
    """Rows (series, instant, usage) sorted by series, then instant; no instant twice, no NaN."""

    keys: tuple[QuotaKey, ...]
    code: Ints  # (n,) which key
    time_s: Ints  # (n,) epoch seconds
    value: Floats  # (n,)
    units: Mapping[QuotaKey, str] = field(default_factory=dict)
    report: ImportReport = field(default_factory=lambda: ImportReport(source=""))

    def __len__(self) -> int:
        """Give the number of samples."""
        return len(self.value)

    @cached_property
    def _bounds(self) -> Ints:
        return np.searchsorted(self.code, np.arange(len(self.keys) + 1))

    def series(self, number: int) -> tuple[Ints, Floats]:
        """Epoch seconds, ascending, and usage of one series."""
        part = slice(self._bounds[number], self._bounds[number + 1])
        return self.time_s[part], self.value[part]

    def step_s(self) -> int:
        """Median spacing over all series, in whole seconds; 300 s where no series has two samples."""
        spacings = Spacings()
        spacings.add(np.diff(self.time_s)[self.code[1:] == self.code[:-1]])
        return spacings.step_s()

    def ends(self) -> tuple[int, int]:
        """Epoch seconds of the first and last sample; there is one."""
        if not len(self.time_s):
            raise nothing(self.keys)
        return int(self.time_s.min()), int(self.time_s.max())


def nothing(keys: tuple[QuotaKey, ...]) -> InvalidInput:
    """The error of samples that are all missing."""
    return invalid("usage", "must hold at least one observed sample", f"{len(keys)} series, all missing")


class Spacings:
    """How far apart samples lie, of any number of series."""

    def __init__(self) -> None:
        """Begin without any."""
        self._counts: dict[int, int] = {}

    def add(self, gaps: Ints) -> float:
        """Count the gaps of one series; give their own median, NaN without any."""
        if not len(gaps):
            return np.nan
        gaps = np.sort(gaps)
        if gaps[0] == gaps[-1]:  # the usual case
            self._counts[int(gaps[0])] = self._counts.get(int(gaps[0]), 0) + len(gaps)
            return float(gaps[0])
        for gap, count in zip(*np.unique(gaps, return_counts=True), strict=True):
            self._counts[int(gap)] = self._counts.get(int(gap), 0) + int(count)
        return float(gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2

    def counted(self) -> tuple[Ints, Ints]:
        """The gaps, ascending, each once; and how many of all are no longer than each."""
        gaps = np.array(sorted(self._counts), dtype=np.int64)
        return gaps, np.cumsum([self._counts[int(gap)] for gap in gaps], dtype=np.int64)

    def step_s(self) -> int:
        """The median of all, as a step."""
        if not self._counts:
            return DEFAULT_STEP_S
        gaps, ends = self.counted()
        middle = [(ends[-1] - 1) // 2, ends[-1] // 2]
        return min(LONGEST_STEP_S, max(1, int(gaps[np.searchsorted(ends, middle, side="right")].mean())))


def until(found: SampleSet, now_s: int) -> Samples:
    """Give the samples at or before that instant (epoch seconds)."""
    parts = [found.series(number) for number in range(len(found.keys))]
    kept = [int(np.searchsorted(time_s, now_s, side="right")) for time_s, _ in parts]
    return Samples(
        found.keys,
        np.repeat(np.arange(len(parts)), kept),
        np.concatenate([time_s[:n] for (time_s, _), n in zip(parts, kept, strict=True)]),
        np.concatenate([value[:n] for (_, value), n in zip(parts, kept, strict=True)]),
        found.units,
        found.report,
    )


def check_span(found: SampleSet) -> None:
    """Refuse samples that no grid could hold: one wrong year among them, usually."""
    check_cells(*found.ends(), found.step_s(), len(found.keys))


def grid(found: SampleSet, step_s: int) -> tuple[int, Floats]:
    """First instant and usage (T, K), series-major, on half-open steps counted from the epoch.

    Samples fall into their step; the maximum wins; an empty step is NaN.
    """
    first, last = (second // step_s for second in found.ends())
    check_cells(first * step_s, last * step_s, step_s, len(found.keys))
    usage = np.full((len(found.keys), last - first + 1), np.nan)
    for number, row in enumerate(usage):
        time_s, value = found.series(number)
        if len(value):
            cell = time_s // step_s - first
            new = cell[1:] != cell[:-1]
            if new.all():  # the usual case: no two samples in one step
                row[cell] = value
            else:
                starts = np.flatnonzero(np.concatenate([[True], new]))
                row[cell[starts]] = np.maximum.reduceat(value, starts)
    return first * step_s, usage.T


def check_cells(first_s: int, last_s: int, step_s: int, series: int, remedy: str = "widen the step") -> None:
    """A grid must fit in memory; where it would not, an instant is wrong or the step is."""
    if not fits(first_s, last_s, step_s, series):
        ends = " to ".join(str(np.datetime64(s, "s")) for s in (first_s, last_s))
        rule = f"must fit {MOST_CELLS:,} steps of {step_s} s; check the first and last instant, or {remedy}"
        raise invalid("usage", f"timestamps {rule}", f"{ends} for {series} series")


def fits(first_s: int, last_s: int, step_s: int, series: int) -> bool:
    """Whether a grid of so many series fits in memory."""
    return (last_s - first_s) // step_s * series <= MOST_CELLS


def instant(second: int) -> str:
    """Epoch seconds as ISO 8601 UTC."""
    return f"{np.datetime64(int(second), 's')}Z"


@dataclass(frozen=True)
class Merged:
    """One series after merging: sorted, the largest value of each instant."""

    time_s: Ints
    value: Floats
    duplicates: int  # rows that said the same as another
    conflicts: int  # rows that said something else; the maximum was kept


def merge_one(time_s: Ints, value: Floats, *, already: bool = False, said: int = 0) -> Merged:
    """Sort one series; collapse equal rows; of conflicting ones keep the maximum, and count both.

    ``already``: it is sorted by instant and value; ``said``: so many duplicates were taken out before.
    """
    if not already:
        value = value + 0.0  # −0 is 0
        order = np.lexsort((value, time_s))
        time_s, value = time_s[order], value[order]
    again = time_s[1:] == time_s[:-1]
    if not again.any():
        return Merged(np.ascontiguousarray(time_s), np.ascontiguousarray(value), said, 0)
    equal = int((again & (value[1:] == value[:-1])).sum())
    last = np.append(~again, True)  # the largest of its instant
    return Merged(time_s[last], value[last], said + equal, int(again.sum()) - equal)
