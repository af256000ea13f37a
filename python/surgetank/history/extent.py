"""Whether a grid could hold the usage of the embedded store, without reading all of it at every import.

How far apart samples lie is counted when it matters, and kept: a sample that is added since can have moved the median
by so much, and no more. All is read again only where that could change the answer.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .days import read_days
from .samples import LONGEST_STEP_S, Ints, SampleSet, Spacings, check_cells, fits
from .schema import DAY_S

#: A sample that is added takes one gap away and makes two, at most.
_MOVED = 3


@dataclass(frozen=True)
class Spaced:
    """What reading every sample told, and how many were added since."""

    first_s: int
    last_s: int
    step_s: int
    gaps: Ints  # ascending, each once ...
    ends: Ints  # ... and so many are no longer
    added: int = 0

    def steps(self) -> tuple[int, int]:
        """The median spacing is at least, and at most, so many seconds."""
        if not self.added:
            return self.step_s, self.step_s
        count, moved = int(self.ends[-1]) if len(self.ends) else 0, _MOVED * self.added
        low, high = (count - 1 - moved) // 2, (count + moved) // 2
        return self._gap(low) if low >= 0 else 1, self._gap(high) if high < count else LONGEST_STEP_S

    def _gap(self, number: int) -> int:
        return min(LONGEST_STEP_S, max(1, int(self.gaps[np.searchsorted(self.ends, number, side="right")])))


@dataclass(frozen=True)
class Extent:
    """First and last day of all samples (none: the first is the later), and how many series there are."""

    first_day: int = 1
    last_day: int = 0
    series: int = 0
    spaced: Spaced | None = None

    def grown(self, ends: tuple[int, int] | None, series: int, added: int) -> Extent:
        """With the first and the last of other samples, how many of them are new, and how many series."""
        grown = replace(self, series=self.series + series)
        if ends is None:
            return grown
        days = [end // DAY_S for end in ends] + ([self.first_day, self.last_day] if self.any else [])
        if (spaced := self.spaced) is not None:
            first, last = min(spaced.first_s, ends[0]), max(spaced.last_s, ends[1])
            spaced = replace(spaced, first_s=first, last_s=last, added=spaced.added + added)
        return replace(grown, first_day=min(days), last_day=max(days), spaced=spaced)

    @property
    def any(self) -> bool:
        """Whether there is any sample."""
        return self.first_day <= self.last_day

    def fits(self) -> bool | None:
        """Whether a grid could hold it; None where that cannot be told without reading every sample."""
        if not self.any or fits(self.first_day * DAY_S, self.last_day * DAY_S, 60, self.series):
            return True  # even a step of a minute
        if (spaced := self.spaced) is None:
            return None
        found = {fits(spaced.first_s, spaced.last_s, step, self.series) for step in spaced.steps()}
        return found.pop() if len(found) == 1 else None


class Extents:
    """The extent of a store as imports go by, those that are undone as well."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Begin without knowing it."""
        self._db = db
        self._state = object()  # what the tables hold: another one after each import, the one before if it is undone
        self._of: tuple[object, int] | None = None  # of which state, and of which version as others write it
        self._extent = Extent()

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Around a transaction: an error undoes what was imported in it."""
        state = self._state
        try:
            yield
        except BaseException:
            self._state = state
            raise

    def forget(self) -> None:
        """Samples were removed."""
        self._state = object()

    def admit(self, found: SampleSet, series: int) -> None:
        """Before an import: refuse what no grid could hold with the rest. ``series`` of it are new."""
        if self._of != (self._state, self._version()):
            self._extent, self._of = self._read(), (self._state, self._version())
        ends = found.ends() if len(found) else None
        grown = self._extent.grown(ends, series, len(found))
        if grown.fits() is None and self._extent.any and self._extent.spaced is None:
            self._extent = replace(self._extent, spaced=self._spaced())
            grown = self._extent.grown(ends, series, len(found))
        _refuse(grown)

    def admitted(self, found: SampleSet, series: int, added: int) -> None:
        """After it: so many samples were new."""
        self._state = object()
        grown = self._extent.grown(found.ends() if len(found) else None, series, added)
        if grown.fits() is None:
            grown = replace(grown, spaced=self._spaced())
        _refuse(grown)
        self._extent, self._of = grown, (self._state, self._version())

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _read(self) -> Extent:
        first, last = self._db.execute("SELECT min(day), max(day) FROM usage_day").fetchone()
        series = self._db.execute("SELECT count(*) FROM quota_key WHERE has_usage").fetchone()[0]
        return Extent(series=series) if first is None else Extent(first, last, series)

    def _spaced(self) -> Spaced:
        """Read every sample: how far they reach, and how far apart they lie."""
        spacings, ends = Spacings(), []
        for (key_id,) in self._db.execute("SELECT id FROM quota_key WHERE has_usage ORDER BY id").fetchall():
            time_s = read_days(self._db, key_id)[0]
            spacings.add(np.diff(time_s))
            ends += [int(time_s[0]), int(time_s[-1])] if len(time_s) else []
            ends = [min(ends), max(ends)] if ends else []
        return Spaced(ends[0], ends[1], spacings.step_s(), *spacings.counted())


def _refuse(extent: Extent) -> None:
    if (spaced := extent.spaced) is not None and extent.fits() is False:
        check_cells(spaced.first_s, spaced.last_s, spaced.steps()[1], extent.series)
