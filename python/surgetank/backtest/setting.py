"""Setting: the history, what may fail in it, and when is decided and judged; the same for all policies of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _bridge, _core
from .._bridge import Duration, Floats
from .._table import span
from ..errors import invalid
from ..headroom.events import Event, events_of
from ..headroom.world import World
from ..history import History
from ..scenario import LONGEST_S, Scenario, Scenarios, resolve

DAY_S = 86400.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """What a run is about; see `surgetank.backtest` for the arguments."""

    world: World
    scenarios: tuple[Scenario, ...]
    skipped: tuple[str, ...]
    first: int  #: the first sample judged
    every: int  #: samples from one decision to the next
    lead: int  #: samples from the end of a decision's sample until its quota applies
    quota: Floats  #: (N,) at the start; NaN: each policy's own
    moments: tuple[int, ...] | None = None  #: samples at which failovers begin; None: all
    threads: int = 1
    counted: NDArray[np.bool_] | None = None  #: (N,) series that count in totals; None: all
    fingerprint: int = 0

    @property
    def events(self) -> tuple[Event, ...]:
        """What happens together."""
        return events_of(self.scenarios)

    @property
    def usage(self) -> Floats:
        """(T, N), as far as it counts."""
        return self.world.matrix

    @property
    def step_s(self) -> float:
        """From one sample to the next."""
        return self.world.step_s

    @property
    def decisions(self) -> NDArray[np.int64]:
        """(D,) samples at whose end is decided."""
        return np.arange(self.first - 1, len(self.usage), self.every)

    @property
    def judged_s(self) -> float:
        """How much time is judged."""
        return (len(self.usage) - self.first) * self.step_s

    @property
    def longest_event_s(self) -> float:
        """The longest window that a failover lasts, or a step where nothing fails."""
        return max([self.step_s, *(event.duration_s for event in self.events)])

    def part(self, *, first: int, end: int, counted: NDArray[np.bool_] | None = None) -> Setting:
        """Judge samples first … end − 1 alone; decisions still see all that came before them, and nothing after."""
        matrix = self.world.matrix[:end]
        moments = None if self.moments is None else tuple(t for t in self.moments if first <= t < end)
        if moments is not None and not moments:
            rule = "must be so many that some of those drawn lie in every part of the history"
            raise invalid("moments", rule, len(self.moments or ()))
        return replace(
            self, world=replace(self.world, matrix=matrix), first=first, counted=counted, moments=moments,
            fingerprint=_fingerprint(matrix),
        )  # fmt: skip

    @cached_property
    def observed(self) -> NDArray[np.bool_]:
        """(N,) was any judged sample observed?"""
        return np.array([not np.isnan(self.usage[self.first :, i]).all() for i in range(self.world.width)])

    @property
    def offset_s(self) -> float:
        """From midnight (UTC) to the first sample; 0 of arrays."""
        return 0.0 if self.world.start_s is None else float(self.world.start_s % DAY_S)

    @property
    def judged_days(self) -> int:
        """The UTC days that are judged, in part or whole; of arrays, days from the first sample."""
        first, last = (math.floor((self.offset_s + t * self.step_s) / DAY_S) for t in (self.first, len(self.usage) - 1))
        return last - first + 1

    def samples_in(self, seconds: float) -> int:
        """A window in samples, at least one."""
        return samples_in(seconds, self.step_s)

    def describe(self, sample: int) -> str:
        """When that sample was taken, for a message."""
        if self.world.start_s is None:
            return f"sample {sample}"
        return f"{np.datetime64(int(self.world.start_s + sample * self.step_s), 's')}Z"

    def calendar(self, cvar_frac: float = 0.0) -> _core.BacktestCalendar:
        """Give the core's."""
        result = _core.BacktestCalendar()
        result.step_s = self.step_s
        result.first, result.every, result.lead = self.first, self.every, self.lead
        result.offset_s = self.offset_s
        result.cvar_frac = cvar_frac
        result.moments = [] if self.moments is None else list(self.moments)
        return result

    def core(self) -> tuple[Floats, _core.Quotas, list[_core.Event]]:
        """Usage, quotas and events as the core takes them."""
        quotas = _core.Quotas()
        quotas.quota = self.quota
        quotas.region, quotas.group, number = self.world.core_places()
        return self.usage, quotas, [event.core(number, 0.0) for event in self.events]

    def carried(self) -> dict[str, Floats]:
        """What must be carried at each moment, and in a failover that begins there; (T, N) each."""
        return _core.backtest_carried(*self.core(), self.calendar(), self.threads)

    def check_unchanged(self) -> None:
        """Refuse to go on where someone has written into the usage since."""
        if self.fingerprint and _fingerprint(self.usage) != self.fingerprint:
            raise invalid("usage", "was changed since it was replayed; call backtest again", "other samples")

    @classmethod
    def of(
        cls, usage: ArrayLike | History, *, step_s: Duration | None, scenarios: Scenarios,
        regions: Sequence[str] | None, quota: ArrayLike | None, lead_time_s: Duration, review_s: Duration | None,
        warmup_s: Duration | None, needs_s: float, moments: int | None, seed: int, threads: int,
    ) -> Setting:  # fmt: skip
        """Read and check the arguments; ``needs_s``: the longest past that a policy looks at."""
        world = World.of(usage, math.nan, step_s, regions, True)
        chosen, skipped = resolve(scenarios, world.regions)
        rows, step = len(world.matrix), world.step_s
        start = np.full(world.width, math.nan)
        if quota is not None:
            start = _bridge.per_series(quota, "quota", world.shape)
            if (start < 0).any() or np.isinf(start).any():
                raise invalid("quota", "must be finite and 0 or more", start[(start < 0) | np.isinf(start)][0])
        lead_s = _bridge.duration_s(lead_time_s, "lead_time_s")
        review = DAY_S if review_s is None else _bridge.duration_s(review_s, "review_s", above=True)
        if review > LONGEST_S:
            raise invalid("review_s", "must be at most ten years", review_s)
        luck = _seed(seed)
        first = _first(warmup_s, needs_s, rows, step)
        return cls(
            world=world,
            scenarios=chosen,
            skipped=skipped,
            first=first,
            every=samples_in(review, step),
            lead=_lead(lead_s, rows, step),
            quota=start,
            moments=_moments(moments, luck, first, _last_moment(events_of(chosen), rows, step)),
            threads=_bridge.threads(threads),
            fingerprint=_fingerprint(world.matrix),
        )


def _first(warmup_s: Duration | None, needs_s: float, rows: int, step: float) -> int:
    history = rows * step
    if warmup_s is None:
        first = max(1, math.ceil(needs_s / step - 1e-9))
        if first >= rows:
            rule = (
                f"must be longer than the longest window of the policies, {span(needs_s)}, or warmup_s be given; "
                "what is judged comes after it"
            )
            raise invalid("usage", rule, span(history))
        return first
    seconds = _bridge.duration_s(warmup_s, "warmup_s", above=True)
    first = max(1, math.ceil(seconds / step - 1e-9))
    if first >= rows:
        raise invalid("warmup_s", f"must leave something of the history, {span(history)}, to judge", span(seconds))
    return first


def _seed(seed: object) -> int:
    luck = _bridge.whole(seed, "seed", "must be a whole number")
    if luck < 0:
        raise invalid("seed", "must be a whole number of 0 or more", seed)
    return luck


def _last_moment(events: Sequence[Event], rows: int, step: float) -> int:
    """The sample after the last at which a failover could begin and still end within the history."""
    return rows - max([1, *(samples_in(event.duration_s, step) for event in events)]) + 1


def _moments(count: object, seed: int, first: int, end: int) -> tuple[int, ...] | None:
    if count is None:
        return None
    wanted = _bridge.whole(count, "moments", "must be a whole number, or None for every one")
    if wanted < 1:
        raise invalid("moments", "must be at least 1, or None for every one", count)
    if wanted >= end - first:
        return None
    drawn = np.random.default_rng(seed).choice(end - first, size=wanted, replace=False)
    return tuple(sorted(int(t) for t in first + drawn))


def _lead(lead_s: float, rows: int, step: float) -> int:
    if lead_s >= rows * step:
        rule = f"must be shorter than the history, {span(rows * step)}: else no change would ever apply"
        raise invalid("lead_time_s", rule, span(lead_s))
    return lead_samples(lead_s, step)


def lead_samples(lead_s: float, step: float) -> int:
    """Samples from the end of a decision's until its quota applies; a part of one counts as a whole."""
    return math.ceil(lead_s / step - 1e-9)


def samples_in(seconds: float, step: float) -> int:
    """Samples of a duration, at least one; halves up, as the core rounds."""
    return int(min(max(1.0, math.floor(seconds / step + 0.5)), 2**40))


def _fingerprint(matrix: Floats) -> int:
    """0 of what cannot be written into."""
    return _core.backtest_fingerprint(matrix) if matrix.flags.writeable else 0
