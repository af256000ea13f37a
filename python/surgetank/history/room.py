"""How much of a quota is free for a claim, added up without rounding."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .._bridge import Floats
from .._table import quantity, span
from .history import STEPS_TO_STALE
from .keys import QuotaKey
from .samples import Ints, instant


@dataclass(frozen=True, kw_only=True)
class Room:
    """What there is of one quota for a claim."""

    key: QuotaKey
    quota: float  #: NaN: not known
    usage: float  #: the last observed; NaN: not known
    usage_s: int | None = None  #: when that was
    now_s: int = 0
    reserved: tuple[float, ...] = ()  #: what others hold

    @property
    def free(self) -> float:
        """The largest amount with which usage and all reservations stay within the quota; NaN where not known.

        Below 0 where they are beyond it already.
        """
        free = self._left()
        return math.nextafter(free, -math.inf) if free > 0 and not self.holds(free) else free

    def holds(self, amount: float) -> bool:
        """Whether that much more fits, to the last bit; False where quota or usage is not known."""
        return self._left(amount) >= 0

    def _left(self, *more: float) -> float:
        try:
            return math.fsum((self.quota, *(-amount for amount in (self.usage, *self.reserved, *more))))
        except OverflowError:  # more is held than float64 can say
            return -math.inf

    @property
    def unknown(self) -> str:
        """Why nothing can be said of it; empty where it is known."""
        if math.isnan(self.quota):
            return "its quota is not known"
        return f"its usage is not known, {self.no_usage}" if math.isnan(self.usage) else ""

    @property
    def no_usage(self) -> str:
        """Since when its usage is not known."""
        if self.usage_s is None:
            return "never observed"
        return f"last observed {span(self.now_s - self.usage_s)} ago, {instant(self.usage_s)}"


@dataclass(frozen=True, kw_only=True)
class Short:
    """A quota that has not the room asked for."""

    key: QuotaKey
    asked: float
    free: float  #: NaN where quota or usage is not known
    because: str

    @property
    def missing(self) -> float:
        """What is lacking; NaN where that is not known."""
        return self.asked - not_below_0(self.free)

    def __str__(self) -> str:
        """Give the quota, and what is lacking."""
        return f"{self.key}: {self.because}"


def total(amounts: Iterable[float]) -> float:
    """The sum, rounded once; at most the largest float64."""
    try:
        return math.fsum(amounts)
    except OverflowError:
        return sys.float_info.max


def is_stale(age_s: float, recent: Ints) -> bool:
    """Whether usage so old says nothing: older than an hour, and than twelve of its steps."""
    steps = np.diff(recent)
    step_s = float(np.median(steps)) if len(steps) else 0.0
    return age_s > max(3600.0, STEPS_TO_STALE * step_s)


def last_usage(
    days: Sequence[tuple[Ints, Floats]], now_s: int, stale_after_s: float | None
) -> tuple[float, int | None]:
    """The last sample, NaN where it is too old to say anything; and when it was.

    ``days``: instants and usage of the last two days up to now that have any, and of all days after.

    What lies after ``now_s`` counts where it is more: a clock that is put back makes nobody's usage less, nor does a
    sample of a year that is not there yet.
    """
    if not days:
        return math.nan, None
    time_s, value = (np.concatenate(parts) for parts in zip(*days, strict=True))
    upto = int(np.searchsorted(time_s, now_s, side="right"))
    last_s = int(time_s[max(upto - 1, 0)])
    stale = is_stale(now_s - last_s, time_s[:upto]) if stale_after_s is None else now_s - last_s > stale_after_s
    return math.nan if stale else float(value[max(upto - 1, 0) :].max()), last_s


def short_of(room: Room, amount: float) -> Short:
    """Why that amount does not fit."""
    if room.unknown:
        return Short(key=room.key, asked=amount, free=math.nan, because=room.unknown)
    held = f", {quantity(total(room.reserved))} reserved" if room.reserved else ""
    have = f"{quantity(not_below_0(room.free))} of {quantity(room.quota)} are free ({quantity(room.usage)} used{held})"
    return Short(key=room.key, asked=amount, free=room.free, because=f"{quantity(amount)} asked, {have}")


def over_of(rooms: Iterable[Room]) -> tuple[str, ...]:
    """Quotas in which usage and reservations exceed the quota."""
    beyond = [room for room in rooms if not room.unknown and room.reserved and room.free < 0]
    return tuple(
        f"{room.key}: {quantity(room.usage)} used and {quantity(total(room.reserved))} reserved, "
        f"{quantity(-room.free)} beyond the quota of {quantity(room.quota)}"
        for room in beyond
    )


def not_below_0(free: float) -> float:
    """What is free where that is below 0: nothing."""
    return 0.0 if free < 0 else free  # what is not known stays so
