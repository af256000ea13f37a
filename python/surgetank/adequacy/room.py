"""How much load fits where: the one comparison, what is free in each Region, and the ramp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..allocation import Proportional

#: Of the need: sums that come out right on paper must not fail by a last binary digit.
TOLERANCE = 1e-12
#: Loads and rooms beyond it are no numbers to count with.
MOST = 1e300
STEPS = 10


def missing(need: float, room: float) -> float:
    """What does not fit; exactly 0 where all but a rounding error does."""
    short = need - room
    return 0.0 if short <= TOLERANCE * need else short


@dataclass(frozen=True, kw_only=True)
class Room:
    """What one Region could take of a quota, in the quota's unit."""

    region: str
    usage: float  #: last observed; NaN where not known
    quota: float  #: NaN where not known
    reserved: float
    free: float  #: what of the load fits here, 0 or more; NaN where not known
    adjustable: bool | None  #: whether the quota can be raised; None where not known
    seen: str = ""  #: of usage that is stale: when it was observed last (UTC)

    @property
    def lacks(self) -> str:
        """What is not known of it, in words; empty where all is."""
        usage = f"usage (last seen {self.seen})" if self.seen else "usage"
        parts = [word for word, value in (("quota", self.quota), (usage, self.usage)) if math.isnan(value)]
        return " and ".join(parts) or ("" if math.isfinite(self.free) else "what is reserved")


def free_of(quota: float, usage: float, reserved: float) -> float:
    """What is left of a quota, rounded once; 0 where more is taken than there is; NaN where anything is not known."""
    parts = (quota, -usage, -reserved)
    if any(math.isnan(part) for part in parts):
        return math.nan
    return min(MOST, max(0.0, math.fsum(max(-MOST, min(MOST, part)) for part in parts)))


@dataclass(frozen=True, kw_only=True)
class RampStep:
    """One of ten equal steps in which the load arrives."""

    step: int  #: 1 to 10
    after_s: float  #: seconds from the start of the ramp until this load is there
    load: float  #: in the quota's unit
    taken: dict[str, float]  #: Region → what it takes of it, as the allocation splits it
    shortfall: float  #: what nobody takes
    fits: bool
    naive_fits: bool  #: whether every Region could take all of it


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """How far the load gets: the steps up to the first that does not fit, and the naive answer beside it."""

    ramp_s: float
    steps: tuple[RampStep, ...] = ()
    naive_stop: int | None = None  #: the step at which not every Region could take all of it; None: all could

    @property
    def stop(self) -> int | None:
        """The first step that does not fit; None where all do, or where nothing is known."""
        return self.steps[-1].step if self.steps and not self.steps[-1].fits else None

    @property
    def stop_s(self) -> float:
        """Seconds from the start to that step; NaN where there is none."""
        return after_s(self.ramp_s, self.stop)

    @property
    def naive_stop_s(self) -> float:
        """Seconds from the start to the step at which the naive answer stops; NaN where there is none."""
        return after_s(self.ramp_s, self.naive_stop)


def after_s(ramp_s: float, step: int | None) -> float:
    """Seconds from the start of a ramp to a step; NaN for none."""
    return math.nan if step is None else ramp_s * step / STEPS


def ramp(first: float, last: float, ramp_s: float, rooms: Sequence[Room]) -> Ramp:
    """Let the load grow from ``first`` to ``last`` in ten equal steps, the last of which is exactly ``last``.

    At each step `Proportional` splits all of it by what the Regions have free; a Region of which that is not known has
    no room. The naive answer asks every Region for all of it.
    """
    rule = Proportional(room_cap=1.0)
    free = {room.region: 0.0 if math.isnan(room.free) else room.free for room in rooms}
    nothing = dict.fromkeys(free, 0.0)
    whole, least = math.fsum(free.values()), min(free.values(), default=0.0)
    steps: list[RampStep] = []
    naive_stop = None
    for k in range(1, STEPS + 1):
        load = first * (1 - k / STEPS) + last * (k / STEPS)
        naive_fits = not missing(load, least)
        if naive_stop is None and not naive_fits:
            naive_stop = k
        if steps and not steps[-1].fits:
            continue
        shared = rule.share(load, usage=nothing, quota=free)
        step = RampStep(
            step=k, after_s=after_s(ramp_s, k), load=load, taken=dict(shared.taken), shortfall=shared.shortfall,
            fits=not missing(load, whole), naive_fits=naive_fits,
        )  # fmt: skip
        steps.append(step)
    return Ramp(ramp_s=ramp_s, steps=tuple(steps), naive_stop=naive_stop)
