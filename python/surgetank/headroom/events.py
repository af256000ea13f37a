"""Events: what happens together, as flows of load between Regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import _core
from ..errors import invalid
from ..scenario import Scenario

NOTHING_FAILS = "nothing fails"


@dataclass(frozen=True)
class Event:
    """Scenarios of one event: they happen together, so what they bring to a quota is added up."""

    name: str
    scenarios: tuple[Scenario, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """The Regions that are gone while it lasts."""
        return tuple(dict.fromkeys(r for s in self.scenarios if not s.in_place for r in s.sources))

    @property
    def duration_s(self) -> float:
        """How long it lasts: as long as the longest of its scenarios."""
        return max(float(s.duration_s) for s in self.scenarios)  # type: ignore[arg-type]

    def flows(self, overlap_frac: float = 0.0) -> list[tuple[str, str, float]]:
        """Source, target and weight: weight × the source's usage lands on the target, on top of what is there.

        A surge in place multiplies the Region's own usage: multiplier − 1 on top. ``overlap_frac``: the share of what
        lands that the failed Region has not released yet and that counts on the target as well.
        """
        result = []
        for s in self.scenarios:
            if s.in_place:
                result.append((s.sources[0], s.sources[0], s.multiplier - 1))
            else:
                result += [
                    (source, target, share * s.multiplier * (1 + overlap_frac))
                    for source in s.sources
                    for target, share in s.targets.items()
                ]
        return result

    def core(self, number: Mapping[str, int], overlap_frac: float) -> _core.Event:
        """Give the event as the core takes it: Regions by number."""
        flows = []
        for source, target, weight in self.flows(overlap_frac):
            if not math.isfinite(weight):
                rule = f"share, multiplier and overlap of {self.name!r} must not multiply beyond float64"
                raise invalid("scenarios", rule, f"{source} onto {target}")
            flows.append(_core.Flow(number[source], number[target], weight))
        return _core.Event(self.duration_s, [number[r] for r in self.failed], flows)


def events_of(scenarios: Sequence[Scenario]) -> tuple[Event, ...]:
    """Scenarios by event, in the order given; a Region cannot fail and take part in the same event."""
    together: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        together.setdefault(scenario.event, []).append(scenario)
    events = tuple(Event(name, tuple(parts)) for name, parts in together.items())
    for event in events:
        if event.name == NOTHING_FAILS:
            raise invalid("scenarios", "must not call an event what no event is called", event.name)
        failed = set(event.failed)
        for target in dict.fromkeys(target for s in event.scenarios for target in s.targets):
            if target in failed:
                rule = (
                    f"event {event.name!r} must not let a Region fail and receive load, its own surge included; those "
                    "that fail together are one source, a surge on top is a multiplier"
                )
                raise invalid("scenarios", rule, target)
    return events
