"""What is tested: Regions, services and scenarios, and those that are shipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _bridge
from .._bridge import Duration
from ..errors import invalid, nearest
from ..scenario import LONGEST_S

#: Kind → whether the load stays in the primary Region, or goes to the secondaries.
KINDS = {"regional_failover": False, "az_failure": True, "traffic_spike": False}
DEFAULT_MULTIPLIER, DEFAULT_DURATION_S, DEFAULT_RAMP_S = 2.0, 86400.0, 1800.0
#: Beyond it a multiplier is a slip of the pen, and loads leave what can be computed.
MOST_MULTIPLIER = 1e6
NOT_PRIMARY = "must not name the primary Region, whose load they take"


def multiplier_of(value: object, argument: str) -> float:
    """Check what the primary Region's usage is multiplied by."""
    rule = f"must be a number above 0, at most {MOST_MULTIPLIER:,.0f}"
    number = _bridge.number(value, argument, rule=rule, least=0, above=True)
    if number > MOST_MULTIPLIER:
        raise invalid(argument, rule, value)
    return number


def seconds_within(value: Duration, argument: str) -> float:
    """Check a duration: more than 0 seconds, at most ten years."""
    seconds = _bridge.duration_s(value, argument, above=True)
    if seconds > LONGEST_S:
        raise invalid(argument, "must be at most ten years", value)
    return seconds


def kind_of(value: object, argument: str) -> str:
    """Check a kind of scenario."""
    if not isinstance(value, str) or value not in KINDS:
        raise invalid(argument, f"must be a kind of scenario{nearest(str(value)[:60], KINDS)}", value)
    return value


def names_of(value: object, argument: str) -> tuple[str, ...]:
    """Check a list of texts, none of them empty and none twice."""
    names = _bridge.names(value, argument)
    for n, name in enumerate(names):
        _bridge.name(name, argument)
        if name in names[:n]:
            raise invalid(argument, "must not name one twice", name)
    return names


def kind_by_name(name: str) -> str:
    """The kind of a scenario that states none."""
    if name in SHIPPED:
        return SHIPPED[name].kind
    zone = name.startswith("az_") or "availability_zone" in name
    return "az_failure" if zone else "regional_failover"


@dataclass(frozen=True)
class AdequacyScenario:
    """One event: the load of the primary Region is multiplied, and must find room.

    Parameters
    ----------
    name : str
    multiplier : number above 0, at most 1,000,000, default 2.0
        The load of the event, relative to what the primary Region uses.
    duration_s : float (seconds) or timedelta, default 24 h
        How long the load stays; it is reported, and judges nothing.
    ramp_s : float (seconds) or timedelta, default 30 min
        How long the load takes to arrive, at most ``duration_s``.
    kind : {"regional_failover", "az_failure", "traffic_spike"}, optional
        ``az_failure``: the load stays in the primary Region, whose quota must hold all of it. The others: the load
        goes to the secondary Regions and must fit in what they have free. By default told by the name: one that begins
        with ``az_`` or has ``availability_zone`` in it is an ``az_failure``, any other a ``regional_failover``.

    Raises
    ------
    InvalidInput
        Names the field, the rule and the value.

    Examples
    --------
    >>> AdequacyScenario("az_outage", 1.5).kind
    'az_failure'
    """

    name: str
    multiplier: float = DEFAULT_MULTIPLIER
    duration_s: Duration = DEFAULT_DURATION_S
    ramp_s: Duration = DEFAULT_RAMP_S
    kind: str = ""

    def __post_init__(self) -> None:
        """Check every field; count in seconds."""
        put = object.__setattr__
        _bridge.name(self.name, "name")
        put(self, "multiplier", multiplier_of(self.multiplier, "multiplier"))
        put(self, "duration_s", seconds_within(self.duration_s, "duration_s"))
        put(self, "ramp_s", seconds_within(self.ramp_s, "ramp_s"))
        if self.ramp_s > self.duration_s:  # type: ignore[operator]
            raise invalid("ramp_s", f"must be at most the duration, {self.duration_s:g}", self.ramp_s)
        put(self, "kind", kind_by_name(self.name) if self.kind == "" else kind_of(self.kind, "kind"))

    @staticmethod
    def named(name: str) -> AdequacyScenario:
        """One that is shipped; under any other name one with the defaults."""
        return SHIPPED.get(name) or AdequacyScenario(name)

    @property
    def in_place(self) -> bool:
        """Whether the load stays in the primary Region."""
        return KINDS[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Give every field as a plain value."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


#: Scenarios that come with surgetank, by name.
SHIPPED: dict[str, AdequacyScenario] = {}
SHIPPED.update(
    {
        scenario.name: scenario
        for scenario in (
            AdequacyScenario("regional_failover", 2.0, 24 * 3600.0, 30 * 60.0, "regional_failover"),
            AdequacyScenario("az_failure", 1.3, 4 * 3600.0, 15 * 60.0, "az_failure"),
            AdequacyScenario("traffic_surge", 3.0, 2 * 3600.0, 10 * 60.0, "traffic_spike"),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class AdequacyTest:
    """Which Region fails, where its load goes, which quotas and which scenarios are tested.

    Parameters
    ----------
    primary_region : str
        Whose usage is the load.
    secondary_regions : sequence of str
        Those that take it, in any order.
    services : sequence of str
        ServiceCodes, or patterns of quotas as `QuotaKey.matches` takes them, such as ``ec2/L-1216C47A``. Each quota
        is judged by itself.
    scenarios : sequence of AdequacyScenario or str
        A name alone is a shipped scenario, or one with the defaults (×2.0, 24 h, ramp 30 min).
    unlisted : sequence of str, optional
        Scenarios that are described and not tested; they are named in the report.

    Raises
    ------
    InvalidInput
        Names the field, the rule and the value. An empty list is no error: what it leaves untested is UNKNOWN.

    Examples
    --------
    >>> test = AdequacyTest(
    ...     primary_region="us-east-1", secondary_regions=["us-west-2"], services=["ec2"], scenarios=["az_failure"]
    ... )
    >>> test.scenarios[0].multiplier
    1.3
    """

    primary_region: str
    secondary_regions: Sequence[str]
    services: Sequence[str]
    scenarios: Sequence[AdequacyScenario | str]
    unlisted: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check every field; make tuples of the lists."""
        put = object.__setattr__
        _bridge.name(self.primary_region, "primary_region")
        for key in ("secondary_regions", "services", "unlisted"):
            put(self, key, names_of(getattr(self, key), key))
        if self.primary_region in self.secondary_regions:
            raise invalid("secondary_regions", NOT_PRIMARY, self.primary_region)
        given = (self.scenarios,) if isinstance(self.scenarios, str | AdequacyScenario) else self.scenarios
        if not isinstance(given, Iterable):
            raise invalid("scenarios", "must be AdequacyScenarios, or names of scenarios", given)
        scenarios = [AdequacyScenario.named(s) if isinstance(s, str) else s for s in given]
        if bad := [s for s in scenarios if not isinstance(s, AdequacyScenario)]:
            raise invalid("scenarios", "must be AdequacyScenarios, or names of scenarios", bad[0])
        names_of([s.name for s in scenarios], "scenarios")
        put(self, "scenarios", tuple(scenarios))

    @property
    def listed(self) -> tuple[AdequacyScenario, ...]:
        """The scenarios, those that were given by name as well."""
        return tuple(s for s in self.scenarios if isinstance(s, AdequacyScenario))

    @staticmethod
    def read(path: str | Path) -> AdequacyTest:
        """Read a test from a JSON file of its own, or from the ``[test]`` section of a TOML file.

        Which of them it is is told by what the file holds. Raises `InvalidInput` with the file, the line, the key,
        the rule and the value of the first mistake; its ``others`` name every other one.
        """
        from .reading import read_test

        return read_test(Path(path))

    def to_dict(self) -> dict[str, Any]:
        """Give every field as plain values."""
        return {
            "primary_region": self.primary_region,
            "secondary_regions": list(self.secondary_regions),
            "services": list(self.services),
            "scenarios": [scenario.to_dict() for scenario in self.listed],
            "unlisted": list(self.unlisted),
        }
