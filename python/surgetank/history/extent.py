"""Whether a grid could hold the usage of a store, without reading all of it at every import.

How far apart samples lie is counted when it matters, and kept: a sample that is added since can have moved the median
by so much, and no more. All is read again only where that could change the answer.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .days import read_days
from .keys import QuotaKey
from .known import Known
from .samples import LONGEST_STEP_S, Ints, SampleSet, Spacings, check_cells, fits
from .schema import DAY_S

#: A sample that is added takes one gap away and makes two, at most.
_MOVED = 3
#: Usage of so many days is taken however many quotas it is of: a month more than CloudWatch keeps of any. A plan may
#: then need a wider step; beyond it, an instant is wrong as a rule.
SURE_DAYS = 500


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

    @property
    def is_sure(self) -> bool:
        """Whether it fits however many series there are."""
        return self.last_day - self.first_day <= SURE_DAYS

    def fits(self) -> bool | None:
        """Whether a grid could hold it; None where that cannot be told without reading every sample."""
        if not self.any or self.is_sure:
            return True
        if fits(self.first_day * DAY_S, (self.last_day + 1) * DAY_S - 1, 60, self.series):
            return True  # a step of a minute, be it that of the samples or not
        if (spaced := self.spaced) is None:
            return None
        found = {fits(spaced.first_s, spaced.last_s, step, self.series) for step in spaced.steps()}
        return found.pop() if len(found) == 1 else None

    def require(self) -> None:
        """Refuse what certainly does not fit."""
        if (spaced := self.spaced) is not None and self.fits() is False:
            remedy = "remove older usage from the store (compact)"
            check_cells(spaced.first_s, spaced.last_s, spaced.steps()[1], self.series, remedy)


def counted(
    stored: Iterable[tuple[Hashable, Ints]], found: SampleSet, places: Sequence[Hashable]
) -> tuple[Extent, Extent]:
    """Read every sample: the extent as it is, and as it is with samples that are to be added.

    ``stored``: instants of each series that there is, by what it goes by; ``places``: what each key of ``found`` does.
    """
    before, after = _Counting(), _Counting()
    new = {place: n for n, place in enumerate(places)}
    for place, time_s in stored:
        before.add(time_s)
        after.add(np.union1d(time_s, found.series(new.pop(place))[0]) if place in new else time_s)
    for n in new.values():
        after.add(found.series(n)[0])
    return before.done(), after.done()


class _Counting:
    """Series, one after the other."""

    def __init__(self) -> None:
        self._spacings, self._ends, self._series = Spacings(), list[int](), 0

    def add(self, time_s: Ints) -> None:
        self._series += 1
        self._spacings.add(np.diff(time_s))
        if len(time_s):
            ends = [*self._ends, int(time_s[0]), int(time_s[-1])]
            self._ends = [min(ends), max(ends)]

    def done(self) -> Extent:
        if not self._ends:
            return Extent(series=self._series)
        first_s, last_s = self._ends
        spaced = Spaced(first_s, last_s, self._spacings.step_s(), *self._spacings.counted())
        return Extent(first_s // DAY_S, last_s // DAY_S, self._series, spaced)


class Extents:
    """The extent of an embedded store as imports go by, those that are undone as well."""

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

    def admit(self, found: SampleSet, known: Mapping[QuotaKey, Known]) -> None:
        """Before an import, in its transaction: refuse what no grid could hold with the rest."""
        if self._of != self._now():
            self._extent, self._of = self._read(), self._now()
        new = sum(key not in known or not known[key].has_usage for key in found.keys)
        grown = self._extent.grown(found.ends() if len(found) else None, new, len(found))
        if grown.fits() is None:
            places = [known[key].id if key in known else key for key in found.keys]
            self._extent, grown = counted(self._stored(), found, places)
        grown.require()
        self._state = object()
        self._extent, self._of = grown, self._now()

    def _now(self) -> tuple[object, int]:
        return self._state, int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _read(self) -> Extent:
        first, last = self._db.execute("SELECT min(day), max(day) FROM usage_day").fetchone()
        series = self._db.execute("SELECT count(*) FROM quota_key WHERE has_usage").fetchone()[0]
        return Extent(series=series) if first is None else Extent(first, last, series)

    def _stored(self) -> Iterator[tuple[int, Ints]]:
        for (key_id,) in self._db.execute("SELECT id FROM quota_key WHERE has_usage ORDER BY id").fetchall():
            yield key_id, read_days(self._db, key_id)[0]
