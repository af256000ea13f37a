"""What recovery is asked to reach, and the sets of targets that are usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import _bridge
from .._bridge import Duration
from ..errors import invalid, nearest
from .result import CLOCKS

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True)
class Target:
    """What is asked of a recovery: all that is not None, at once.

    Parameters
    ----------
    name : str
        What it is of, or how grave.
    rto_s, rpo_s : seconds or timedelta, optional
        Time until service is back, and age of what is restored: at most. Published limits such as "< 5 min" are read
        as ≤, which makes a difference only where a time is fixed at the very limit; 0 is at once, not nearly so.
    clock : "onset", "detection" or "declaration"
        From when on ``rto_s`` counts.
    probability : probability between 0 and 1, default .95
        With which it must be kept.
    answer_s : seconds or timedelta, optional
        Within how long somebody answers: from the end of the runbook's detection step (without one: from onset) until
        its declaration step begins, since who decides has answered.
    component : bool, default False
        It is of one part of the service: RTO of steps and RPO of stores of its own; see `judge`.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value; nothing is asked at all.
    """

    name: str
    rto_s: Duration | None = None
    rpo_s: Duration | None = None
    clock: str = "onset"
    probability: float = 0.95
    answer_s: Duration | None = None
    component: bool = False

    def __post_init__(self) -> None:
        """Check, and count in seconds."""
        put = object.__setattr__
        _bridge.name(self.name, "name")
        keys = ("rto_s", "rpo_s", "answer_s")
        for key in keys:
            if (value := getattr(self, key)) is not None:
                put(self, key, _bridge.duration_s(value, key))
        if all(getattr(self, key) is None for key in keys):
            raise invalid("rto_s, rpo_s, answer_s", "must not all be None", self.name)
        if self.clock not in CLOCKS:
            raise invalid("clock", f"must be one of {', '.join(CLOCKS)}", self.clock)
        rule = "must lie between 0 and 1, both excluded: no number of trials shows certainty"
        wanted = _bridge.fraction(self.probability, "probability", rule=rule)
        if not 0 < wanted < 1:
            raise invalid("probability", rule, self.probability)
        put(self, "probability", wanted)
        if not isinstance(self.component, bool | np.bool_):
            raise invalid("component", "must be True or False", self.component)
        if self.component and self.answer_s is not None:
            raise invalid("answer_s", "is for the whole service, not for a component", self.answer_s)

    @property
    def asked_s(self) -> tuple[float, ...]:
        """RTO and RPO in seconds, those that are asked."""
        return tuple(float(v) for v in (self.rto_s, self.rpo_s) if v is not None)  # type: ignore[arg-type]


#: Tiers of services.
TIERS = (
    Target("critical", 5 * MINUTE, 0),
    Target("important", 15 * MINUTE, 0),
    Target("high", 30 * MINUTE, HOUR),
    Target("medium", 4 * HOUR, 4 * HOUR),
    Target("low", DAY, DAY),
)

#: Severities of incidents; the graver, the sooner somebody answers.
SEVERITIES = (
    Target("SEV-1", 4 * HOUR, HOUR, answer_s=0),
    Target("SEV-2", 12 * HOUR, 4 * HOUR, answer_s=15 * MINUTE),
    Target("SEV-3", DAY, None, answer_s=HOUR),
)

#: Parts of a service.
COMPONENTS = (
    Target("gateway", 0, 0, component=True),
    Target("functions", 0, 0, component=True),
    Target("DynamoDB", MINUTE, 1, component=True),
    Target("S3", 0, 0, component=True),
    Target("relational", 5 * MINUTE, 5 * MINUTE, component=True),
    Target("search", 30 * MINUTE, HOUR, component=True),
    Target("ML endpoint", HOUR, None, component=True),
)


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """A way to be ready for disaster, and the times that it usually takes.

    Ranges are words turned into numbers: "seconds" is up to a minute, "minutes" 1 to 60, "hours" 1 to 24, "days" up to
    seven; "about 0" is up to a second of lost data, and up to a minute until service is back.
    """

    name: str  #: as in `Runbook.strategy`
    title: str
    rto_s: tuple[float, float]
    rpo_s: tuple[float, float]
    note: str

    @property
    def target(self) -> Target:
        """The longest that is usual, as a target."""
        return Target(self.name, self.rto_s[1], self.rpo_s[1])


_SECONDS, _MINUTES, _HOURS, _DAYS = (1.0, MINUTE), (MINUTE, HOUR), (HOUR, DAY), (DAY, 7 * DAY)

#: The four usual strategies, the cheapest and slowest first.
STRATEGIES = (
    Strategy(
        name="backup-restore", title="Backup and restore", rto_s=(_HOURS[0], _DAYS[1]), rpo_s=_HOURS,
        note="nothing runs elsewhere; RTO hours to days, RPO hours",
    ),
    Strategy(
        name="pilot-light", title="Pilot light", rto_s=(_MINUTES[0], _HOURS[1]), rpo_s=_MINUTES,
        note="data is live elsewhere, servers start when needed: about 70 % cheaper than a hot standby, 15 min slower; "
        "RTO minutes to hours, RPO minutes",
    ),
    Strategy(
        name="warm-standby", title="Warm standby", rto_s=_MINUTES, rpo_s=_SECONDS,
        note="all of it runs elsewhere at 20–30 % of its scale; RTO minutes, RPO seconds",
    ),
    Strategy(
        name="active-active", title="Active-active", rto_s=(0.0, MINUTE), rpo_s=(0.0, 1.0),
        note="every Region serves all the time; RTO and RPO about 0",
    ),
)  # fmt: skip

#: The shipped sets, by name; of strategies the longest that is usual.
TARGETS = {
    "tiers": TIERS,
    "severities": SEVERITIES,
    "components": COMPONENTS,
    "strategies": tuple(strategy.target for strategy in STRATEGIES),
}


def target_set(name: str) -> tuple[Target, ...]:
    """A shipped set: "tiers", "severities", "components" or "strategies".

    Examples
    --------
    >>> [target.name for target in target_set("severities")]
    ['SEV-1', 'SEV-2', 'SEV-3']
    """
    if name not in TARGETS:
        raise invalid("targets", f"must be a shipped set{nearest(str(name), TARGETS)}", name)
    return TARGETS[name]


def as_targets(given: object) -> tuple[Target, ...]:
    """Targets with different names, from one, several, or the name of a shipped set."""
    if isinstance(given, str):
        return target_set(given)
    if isinstance(given, Target):
        return (given,)
    if not isinstance(given, Sequence) or not all(isinstance(target, Target) for target in given):
        raise invalid("targets", "must be a sequence of Target, or the name of a shipped set", given)
    if not given:
        raise invalid("targets", "must be at least one", "none")
    seen: set[str] = set()
    for target in given:
        if target.name in seen:
            raise invalid("targets", "must have different names", target.name)
        seen.add(target.name)
    return tuple(given)


__all__ = ["COMPONENTS", "SEVERITIES", "STRATEGIES", "TARGETS", "TIERS", "Strategy", "Target", "target_set"]
