"""Scenario: what may fail, and where its load goes."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ._bridge import Duration, duration_s, fraction, number
from .errors import invalid, nearest

LONGEST_S = 3653 * 86400.0  # ten years: beyond, nobody plans
KINDS = ("regional_failover", "az_failover", "service_failover", "traffic_spike", "disaster_recovery")


@dataclass(frozen=True)
class Scenario:
    """One event: a Region (or several together) fails, or one surges, and its load lands on the targets.

    Parameters
    ----------
    name : str
        What people call it.
    source : str or tuple of str
        The Region that fails, or a tuple of Regions that fail together. A source that is its own only target is a
        surge in place.
    targets : mapping of str to float
        Region → share of the source's load it receives. Shares are above 0 and sum to at most 1; the rest is
        reported as unplaced.
    multiplier : float, default 1.0
        The load that moves, relative to the source's usage. Above 1 is a surge on top of it.
    target_multiplier : float, default 2.0
        Read by `ClassicPolicy` only: expected traffic at the target, relative to the target's own usage.
    duration_s, ramp_s : float (seconds) or timedelta, defaults 24 h and 30 min
        How long the load stays and how long it takes to arrive.
    probability : float in [0, 1], default 0.1
        Read by `ClassicPolicy` only.
    impact : str, default "critical"
        Read by `ClassicPolicy` only: critical 1, high .8, medium .6, low .4, any other word .6.
    kind : str, default "regional_failover"
        One of regional_failover, az_failover, service_failover, traffic_spike, disaster_recovery.
    event : str, optional
        Scenarios of one event happen together and are added up on a quota. Default: the name.

    Raises
    ------
    InvalidInput
        Names the field, the rule and the value.

    Examples
    --------
    >>> Scenario("evacuate", source="us-east-1", targets={"us-west-2": 0.6, "eu-west-1": 0.4}).in_place
    False
    """

    name: str
    source: str | tuple[str, ...]
    targets: Mapping[str, float]
    multiplier: float = 1.0
    target_multiplier: float = 2.0
    duration_s: Duration = 86400.0
    ramp_s: Duration = 1800.0
    probability: float = 0.1
    impact: str = "critical"
    kind: str = "regional_failover"
    event: str = ""

    def __post_init__(self) -> None:
        """Check every field; normalise durations to seconds and targets to a read-only mapping."""
        for field in ("name", "impact", "kind", "event"):
            value = getattr(self, field)
            if not isinstance(value, str) or (field == "name" and not value):
                raise invalid(field, "must be a text" + (" that is not empty" if field == "name" else ""), value)
        if self.kind not in KINDS:
            raise invalid("kind", f"must be one of {', '.join(KINDS)}{nearest(self.kind, KINDS)}", self.kind)

        def put(field: str, value: object) -> None:
            object.__setattr__(self, field, value)  # the dataclass is frozen

        put("source", self.source if isinstance(self.source, str) else _regions(self.source))
        put("targets", MappingProxyType(_shares(self.targets)))
        put("multiplier", number(self.multiplier, "multiplier", rule="must be a number, 0 or more", least=0))
        rule = "must be a number, 0 or more"
        put("target_multiplier", number(self.target_multiplier, "target_multiplier", rule=rule, least=0))
        put("duration_s", duration_s(self.duration_s, "duration_s", above=True))
        if self.duration_s > LONGEST_S:  # type: ignore[operator]
            raise invalid("duration_s", "must be at most ten years", self.duration_s)
        put("ramp_s", duration_s(self.ramp_s, "ramp_s"))
        put("probability", fraction(self.probability, "probability", rule="must lie in [0, 1]"))
        put("event", self.event or self.name)
        failed = set(self.sources)
        if not failed or "" in failed:
            raise invalid("source", "must name a Region", self.source)
        if failed & set(self.targets) and not self.in_place:
            raise invalid("targets", "must not include a Region that fails", dict(self.targets))

    def to_dict(self) -> dict[str, Any]:
        """Every field as a plain value; ``Scenario(**fields)`` gives the scenario back."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "targets": dict(self.targets)}

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by value: the read-only mapping of the targets itself cannot be pickled."""
        return Scenario, tuple(self.to_dict().values())

    def __hash__(self) -> int:
        """Hash by name; equality still compares every field."""
        return hash(self.name)

    @property
    def sources(self) -> tuple[str, ...]:
        """The Regions that fail together, always as a tuple."""
        return (self.source,) if isinstance(self.source, str) else tuple(self.source)

    @property
    def in_place(self) -> bool:
        """Whether this is a surge of a Region's own load: source and target are the same."""
        return len(self.sources) == 1 and set(self.targets) == set(self.sources)

    @property
    def unplaced_frac(self) -> float:
        """The share of the load that no target receives."""
        return max(0.0, 1.0 - math.fsum(self.targets.values()))

    @property
    def regions(self) -> tuple[str, ...]:
        """Every Region named, sources first."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))


def _regions(source: Iterable[str]) -> tuple[str, ...]:
    try:
        names = tuple(source)
    except TypeError as error:
        raise invalid("source", "must be a Region or a tuple of Regions", source) from error
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise invalid("source", "must be different Regions", names)
    return names


def _shares(targets: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(targets, Mapping) or not targets:
        raise invalid("targets", "must map at least one Region to its share", targets)
    shares = {}
    for region, share in targets.items():
        if not isinstance(region, str) or not region:
            raise invalid("targets", "must be keyed by Region", region)
        rule = f"share of {region} must lie in (0, 1]"
        shares[region] = number(share, "targets", rule=rule, least=0, above=True)
    if math.fsum(shares.values()) > 1 + 1e-12:
        raise invalid("targets", "shares must sum to at most 1", math.fsum(shares.values()))
    return shares


#: Scenarios that come with surgetank. In a plan without their Regions they are skipped and listed.
SHIPPED_SCENARIOS = (
    Scenario("regional_dr", "us-east-1", {"us-west-2": 1.0}, kind="disaster_recovery"),
    Scenario(
        "traffic_spike",
        "us-east-1",
        {"us-east-1": 1.0},
        multiplier=3.0,
        target_multiplier=3.0,
        duration_s=4 * 3600.0,
        probability=0.3,
        impact="high",
        kind="traffic_spike",
    ),
)

Scenarios = str | Scenario | Sequence[str | Scenario] | None


MOST_SCENARIOS = 5_000
_UNSTATED = "-"  # usage of no stated Region: it is none that can fail, and nothing can be sent there
_WORD = re.compile(r"N[-−]([0-9]{1,9})")


def each_region_fails(regions: Sequence[str], together: int = 1) -> tuple[Scenario, ...]:
    """N−1: each Region fails alone, its load in equal shares over the others; N−k: any k of them together."""
    if together < 1:
        raise invalid("scenarios", '"N-0" fails nothing; leave it out', list(regions))
    if len(regions) <= together:
        rule = f'"N-{together}" needs at least {together + 1} Regions in the plan'
        if together == 1:
            rule = '"N-1" needs at least two Regions in the plan; write scenarios = [] for one'
        raise invalid("scenarios", rule, list(regions))
    count = math.comb(len(regions), together)
    if count > MOST_SCENARIOS:
        raise invalid("scenarios", f'"N-{together}" of {len(regions)} Regions: at most {MOST_SCENARIOS:,}', count)
    result = []
    for failed in itertools.combinations(regions, together):
        others = [r for r in regions if r not in failed]
        name = f"{failed[0]} fails" if together == 1 else f"{' + '.join(failed)} fail"
        source = failed[0] if together == 1 else failed
        result.append(Scenario(name, source, {other: 1.0 / len(others) for other in others}))
    return tuple(result)


def fail_together(word: object) -> int | None:
    """The k of the word ``"N-k"``; None for anything else."""
    found = _WORD.fullmatch(word) if isinstance(word, str) else None
    return int(found[1]) if found else None


def resolve(scenarios: Scenarios, regions: Sequence[str]) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    """The scenarios that apply to ``regions``, and the names of the shipped ones that do not.

    ``scenarios`` holds Scenario objects and words: ``"N-1"`` (``"N-2"``, …), ``"shipped"``, the name of a shipped one.
    """
    given: Sequence[str | Scenario]
    try:
        given = () if scenarios is None else (scenarios,) if isinstance(scenarios, str | Scenario) else tuple(scenarios)
    except TypeError as error:
        raise invalid("scenarios", "must be Scenario objects or words", scenarios) from error
    shipped = {s.name: s for s in SHIPPED_SCENARIOS}
    chosen: list[Scenario] = []
    applied: list[Scenario] = []
    skipped: list[str] = []
    for item in given:
        if (together := fail_together(item)) is not None:
            chosen.extend(each_region_fails([r for r in regions if r != _UNSTATED] or regions, together))
        elif item == "shipped":
            chosen.extend(SHIPPED_SCENARIOS)
        elif isinstance(item, str) and item in shipped:
            chosen.append(shipped[item])
        elif isinstance(item, Scenario):
            chosen.append(item)
        else:
            words = ("N-1", "shipped", *shipped)
            hint = nearest(item, words) if isinstance(item, str) else ""
            raise invalid("scenarios", f"must be Scenario objects or the words {', '.join(words)}{hint}", item)
    for scenario in chosen:
        unknown = [r for r in scenario.regions if r not in regions]
        if not unknown:
            applied.append(scenario)
        elif scenario in SHIPPED_SCENARIOS:
            skipped.append(scenario.name)
        else:
            rule = f"scenario {scenario.name!r} names a Region that is not in the plan{nearest(unknown[0], regions)}"
            raise invalid("scenarios", rule, unknown[0])
    names = [s.name for s in applied]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise invalid("scenarios", "must have different names", twice)
    return tuple(applied), tuple(skipped)
