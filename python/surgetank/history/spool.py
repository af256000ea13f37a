"""Samples on their way in: sorted runs, in memory while they are few and in a temporary file when they are many.

An external merge sort: memory is bounded by one run and by the longest series, whatever the length of the source.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from .keys import QuotaKey
from .report import ImportReport
from .samples import Ints, Merged, Spacings, merge_one, nothing
from .temporary import room, temporary_file

#: Rows that are sorted at a time, and rows that stay in memory.
RUN_ROWS = 1 << 20
MEMORY_ROWS = 1 << 22

_ROW = np.dtype([("time_s", "<i8"), ("value", "<f8")])
Rows = NDArray[np.void]


class RowFile:
    """Rows of 16 bytes, one after the other, in memory until they are too many."""

    def __init__(self) -> None:
        """Begin in memory."""
        self._parts: list[Rows] = []
        self._starts: list[int] = []
        self._file: Any = None
        self._count = 0

    def __len__(self) -> int:
        """Give the number of rows."""
        return self._count

    def append(self, rows: Rows) -> None:
        """Add rows at the end."""
        if self._file is None and self._count + len(rows) > MEMORY_ROWS:
            self._file = temporary_file()
            weakref.finalize(self, self._file.close)  # it goes when we do
            with room():
                for part in self._parts:
                    self._write(part)
            self._parts, self._starts = [], []
        if self._file is None:
            self._parts.append(rows)
            self._starts.append(self._count)
        else:
            with room():
                self._write(rows)
        self._count += len(rows)

    def _write(self, rows: Rows) -> None:
        self._file.write(rows.tobytes())

    def read(self, start: int, end: int) -> Rows:
        """Give the rows from start to end; in memory they lie in one part, as they were added."""
        if self._file is not None:
            with room("read"):
                self._file.seek(start * _ROW.itemsize)
                content = self._file.read((end - start) * _ROW.itemsize)
            return np.frombuffer(content, dtype=_ROW)
        part = bisect_right(self._starts, start) - 1
        if part < 0:
            return np.empty(0, dtype=_ROW)
        offset = self._starts[part]
        assert end - offset <= len(self._parts[part]), "rows of two parts at once"
        return self._parts[part][start - offset : end - offset]


@dataclass
class _Run:
    start: int  # in the file of rows
    bounds: Ints  # of its series, from there


class Spool:
    """What is read goes in by batches, in any order, and comes out by series, sorted."""

    def __init__(self) -> None:
        """Begin empty."""
        self._rows = RowFile()
        self._runs: list[_Run] = []
        self._pending: list[tuple[Ints, Ints, Floats]] = []
        self._count = 0
        self.duplicates: dict[int, int] = {}  # of each series: rows of a run that say the same

    def add(self, code: Ints, time_s: Ints, value: Floats) -> None:
        """Add rows (series number, epoch seconds, usage); none of them is NaN."""
        self._pending.append((code, time_s, value + 0.0))  # −0 is 0
        self._count += len(code)
        if self._count >= RUN_ROWS:
            self._sort()

    def series(self, number: int) -> Merged:
        """Give one series: sorted, each instant once, of several values the largest."""
        if self._pending:
            self._sort()
        ends = [(run.start, run.bounds[number : number + 2].tolist()) for run in self._runs]
        parts = [
            self._rows.read(start + end[0], start + end[1]) for start, end in ends if len(end) == 2 and end[0] < end[1]
        ]
        rows = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype=_ROW), *parts])
        return merge_one(rows["time_s"], rows["value"], already=len(parts) < 2, said=self.duplicates.get(number, 0))

    def _sort(self) -> None:
        code, time_s, value = (np.concatenate(column) for column in zip(*self._pending, strict=True))
        self._pending, self._count = [], 0
        in_order = (code[1:] > code[:-1]) | ((code[1:] == code[:-1]) & (time_s[1:] > time_s[:-1]))
        if not in_order.all():
            code, time_s, value = self._in_order(code, time_s, value)
        bounds = np.searchsorted(code, np.arange(int(code[-1]) + 2 if len(code) else 1))
        self._runs.append(_Run(len(self._rows), bounds))
        self._rows.append(packed(time_s, value))

    def _in_order(self, code: Ints, time_s: Ints, value: Floats) -> tuple[Ints, Ints, Floats]:
        first, last = int(time_s.min()), int(time_s.max())
        if (last - first + 1) * (int(code.max()) + 1) < 1 << 62:  # series and instant as one number: sorted faster
            key = code * (last - first + 1) + (time_s - first)
            order = np.argsort(key, kind="stable")
            if not (key[order][1:] == key[order][:-1]).any():
                return code[order], time_s[order], value[order]
        order = np.lexsort((value, time_s, code))
        code, time_s, value = code[order], time_s[order], value[order]
        again = (code[1:] == code[:-1]) & (time_s[1:] == time_s[:-1]) & (value[1:] == value[:-1])
        for number, count in zip(*np.unique(code[1:][again], return_counts=True), strict=True):
            self.duplicates[int(number)] = self.duplicates.get(int(number), 0) + int(count)
        new = np.concatenate([[True], ~again])
        return code[new], time_s[new], value[new]


@dataclass(frozen=True)
class Gathered:
    """All that was read of a source, by series: a `SampleSet` that may be larger than memory."""

    keys: tuple[QuotaKey, ...]
    units: Mapping[QuotaKey, str]
    report: ImportReport
    rows: RowFile
    bounds: list[int]  # of the series
    spacing_s: int
    first_s: int  # of all samples
    last_s: int

    def series(self, number: int) -> tuple[Ints, Floats]:
        """Epoch seconds, ascending, and usage of one series."""
        rows = self.rows.read(self.bounds[number], self.bounds[number + 1])
        return rows["time_s"].astype(np.int64), rows["value"].astype(np.float64)

    def step_s(self) -> int:
        """Median spacing over all series, in whole seconds; 300 s where no series has two samples."""
        return self.spacing_s

    def ends(self) -> tuple[int, int]:
        """Epoch seconds of the first and last sample; there is one."""
        if not len(self):
            raise nothing(self.keys)
        return self.first_s, self.last_s

    def __len__(self) -> int:
        """Give the number of samples."""
        return len(self.rows)

    @property
    def code(self) -> Ints:
        """Which series each sample is of."""
        return np.repeat(np.arange(len(self.keys)), np.diff(self.bounds))

    @property
    def time_s(self) -> Ints:
        """Epoch seconds of all samples, series by series."""
        return np.concatenate([self.series(n)[0] for n in range(len(self.keys))])

    @property
    def value(self) -> Floats:
        """Usage of all samples, series by series."""
        return np.concatenate([self.series(n)[1] for n in range(len(self.keys))])


def packed(time_s: Ints, value: Floats) -> Rows:
    """Rows of 16 bytes."""
    rows = np.empty(len(time_s), dtype=_ROW)
    rows["time_s"], rows["value"] = time_s, value
    return rows


class Gathering:
    """Series, one after the other, become `Gathered`."""

    def __init__(self) -> None:
        """Begin without any."""
        self._rows, self._bounds, self._spacings = RowFile(), [0], Spacings()
        self._ends: list[int] = []

    def add(self, time_s: Ints, value: Floats) -> float:
        """Add the next series, sorted; give its median spacing, NaN of fewer than two samples."""
        if len(value):
            self._rows.append(packed(time_s, value))
            first, last = int(time_s[0]), int(time_s[-1])
            self._ends = [min(first, *self._ends[:1]), max(last, *self._ends[1:])] if self._ends else [first, last]
        self._bounds.append(len(self._rows))
        return self._spacings.add(time_s[1:] - time_s[:-1])

    def step_s(self) -> int:
        """Median spacing of all so far."""
        return self._spacings.step_s()

    def done(self, keys: tuple[QuotaKey, ...], units: Mapping[QuotaKey, str], report: ImportReport) -> Gathered:
        """Give all of them."""
        first, last = self._ends or (0, 0)
        return Gathered(keys, dict(units), report, self._rows, self._bounds, self.step_s(), first, last)
