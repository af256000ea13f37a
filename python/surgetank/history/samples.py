"""Samples as they were taken: sorted, each instant once, not yet on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from ..errors import invalid
from .keys import QuotaKey
from .report import ImportReport

Ints = NDArray[np.int64]
DEFAULT_STEP_S = 300
LONGEST_STEP_S = 366 * 86_400
MOST_CELLS = 400_000_000  # of a grid: 3.2 GB; beyond it a timestamp is wrong or the step is


@dataclass(frozen=True)
class Samples:
    """Rows (series, instant, usage) sorted by series, then instant; no instant twice, no NaN."""

    keys: tuple[QuotaKey, ...]
    code: Ints  # (n,) which key
    time_s: Ints  # (n,) epoch seconds
    value: Floats  # (n,)
    units: Mapping[QuotaKey, str] = field(default_factory=dict)
    report: ImportReport = field(default_factory=lambda: ImportReport(source=""))

    def step_s(self) -> int:
        """Median spacing over all series, in whole seconds; 300 s where no series has two samples."""
        same = self.code[1:] == self.code[:-1]
        gaps = np.diff(self.time_s)[same]
        return min(LONGEST_STEP_S, max(1, int(np.median(gaps)))) if len(gaps) else DEFAULT_STEP_S

    def until(self, now_s: int) -> Samples:
        """Give the samples at or before that instant (epoch seconds)."""
        kept = self.time_s <= now_s
        return replace(self, code=self.code[kept], time_s=self.time_s[kept], value=self.value[kept])

    def check_span(self) -> None:
        """Refuse samples that no grid could hold: one wrong year among them, usually."""
        check_cells(int(self.time_s.min()), int(self.time_s.max()), self.step_s(), len(self.keys))

    def grid(self, step_s: int) -> tuple[int, Floats]:
        """First instant and usage (T, K), series-major, on half-open steps counted from the epoch.

        Samples fall into their step; the maximum wins; an empty step is NaN.
        """
        if not len(self.value):
            raise invalid("usage", "must hold at least one observed sample", f"{len(self.keys)} series, all missing")
        steps = self.time_s // step_s
        first, last = int(steps.min()), int(steps.max())
        length = last - first + 1
        check_cells(first * step_s, last * step_s, step_s, len(self.keys))
        cell = self.code * length + (steps - first)
        starts = np.flatnonzero(np.diff(cell, prepend=-1))
        flat = np.full(length * len(self.keys), np.nan)
        flat[cell[starts]] = np.maximum.reduceat(self.value, starts)
        return first * step_s, flat.reshape(len(self.keys), length).T


def check_cells(first_s: int, last_s: int, step_s: int, series: int) -> None:
    """A grid must fit in memory; where it would not, an instant is wrong or the step is."""
    if (last_s - first_s) // step_s * series > MOST_CELLS:
        ends = " to ".join(_year(s) for s in (first_s, last_s))
        rule = f"must fit {MOST_CELLS:,} steps of {step_s} s; check the first and last instant, or widen the step"
        raise invalid("usage", f"timestamps {rule}", f"{ends} for {series} series")


def _year(second: int) -> str:
    return str(np.datetime64(second, "s"))


@dataclass(frozen=True)
class Merged:
    """Rows after `merge`: sorted by series and instant, the largest value of each instant."""

    code: Ints
    time_s: Ints
    value: Floats
    duplicates: int  # rows that said the same as another
    conflicts: int  # rows that said something else; the maximum was kept


def merge(code: Ints, time_s: Ints, value: Floats) -> Merged:
    """Sort; collapse equal rows; of conflicting ones keep the maximum, and count both."""
    value = value + 0.0  # −0 is 0
    order = np.lexsort((value, time_s, code))
    code, time_s, value = code[order], time_s[order], value[order]
    if not len(value):
        return Merged(code, time_s, value, 0, 0)
    again = (code[1:] == code[:-1]) & (time_s[1:] == time_s[:-1])
    equal = again & (value[1:] == value[:-1])
    last = np.append(~again, True)  # the largest of its instant
    return Merged(code[last], time_s[last], value[last], int(equal.sum()), int((again & ~equal).sum()))
