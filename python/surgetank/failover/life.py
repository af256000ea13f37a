"""Where a failover stands: its state, the loads it moves, and what of them has landed. And which way leads on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .. import _bridge
from .._bridge import Duration
from ..allocation import Proportional
from ..errors import StoreError, invalid, nearest
from ..history import QuotaKey
from ..history.reservations import NORMAL
from ..history.samples import instant

#: Action → state in which it may be taken → state it leads to. `activate` from normal and active is for emergencies.
WAYS: Mapping[str, Mapping[str, str]] = {
    "prepare": {NORMAL: "preparing"},
    "activate": {"preparing": "active", "recovering": "active", NORMAL: "active", "active": "active"},
    "replan": {"preparing": "preparing", "active": "active"},
    "recover": {"active": "recovering", "recovering": "recovering"},
    "cancel": {"preparing": NORMAL},
}
BODY_VERSION = 1
#: Of a load, what is rounding and not load.
LEAST_FRAC = 1e-9


@dataclass(frozen=True)
class Failback:
    """How load goes back: stable first, then in steps, each held for a while.

    Parameters
    ----------
    stable_s : float (seconds) or timedelta, default 2 h
        From activation until the first step.
    shares : sequence of shares, ascending to 1, default .1, .5, 1
        Of the load, what is back after each step.
    holds_s : sequence of seconds, default 15 and 30 min
        After each step but the last, until the next.
    """

    stable_s: Duration = 7200.0
    shares: tuple[float, ...] = (0.1, 0.5, 1.0)
    holds_s: tuple[float, ...] = (900.0, 1800.0)

    def __post_init__(self) -> None:
        """Check every field."""
        shares = _bridge.fractions(self.shares, "shares")
        if not shares or shares[-1] != 1 or any(b <= a for a, b in zip((0.0, *shares), shares, strict=False)):
            raise invalid("shares", "must ascend from above 0 to 1", self.shares)
        try:
            holds = tuple(_bridge.duration_s(hold, "holds_s") for hold in self.holds_s)
        except TypeError:
            raise invalid("holds_s", "must be a sequence of durations", self.holds_s) from None
        if len(holds) != len(shares) - 1:
            raise invalid("holds_s", f"must be {len(shares) - 1}, one after each step but the last", self.holds_s)
        object.__setattr__(self, "stable_s", _bridge.duration_s(self.stable_s, "stable_s"))
        object.__setattr__(self, "shares", shares)
        object.__setattr__(self, "holds_s", holds)


@dataclass(frozen=True, order=True)
class Load:
    """What moves of one service, in the quota's unit."""

    need: float = 0.0  #: what must be placed
    source: float = 0.0  #: what the failed Regions used when that was counted


@dataclass(frozen=True, kw_only=True)
class Landing:
    """One quota on which load lands."""

    service: str
    key: QuotaKey
    base: float  #: usage before any of it landed
    assigned: float  #: what is to land in all
    landed: float = 0.0  #: what has: usage that came since, at most what was assigned
    held: float = 0.0  #: what was held for it when the failback began

    @property
    def waiting(self) -> float:
        """What has not landed yet: what room is held for."""
        return max(0.0, self.assigned - self.landed)


@dataclass(frozen=True, kw_only=True)
class Failover:
    """Where one failover stands."""

    name: str
    state: str = NORMAL  #: normal, preparing, active or recovering
    failed: tuple[str, ...] = ()  #: the Regions that fail together
    since_s: int = 0  #: when it came into that state
    stepped_s: int = 0  #: when it last went a step back
    step: int = 0  #: steps of the failback that are done
    revision: int = 0  #: moves so far: two who act on the same one are told apart
    held_until_s: int = 0  #: when the room that is held expires, unless something is done before; 0: nothing is held
    coordination: str = ""  #: what holds its room; empty: nothing
    rule: Proportional = Proportional()  # noqa: RUF009 - frozen
    failback: Failback = Failback()
    critical: float = 1.0  #: the share of every load that must be placed; the rest is shed first
    eligible: Mapping[str, tuple[str, ...]] | None = None
    emergency: bool = False
    loads: Mapping[str, Load] = field(default_factory=dict)  #: by service
    landings: tuple[Landing, ...] = ()

    def after(self, action: str) -> str:
        """Give the state that an action leads to; refused where no way leads there."""
        ways = WAYS[action]
        if self.state not in ways:
            allowed = [name for name, froms in WAYS.items() if self.state in froms]
            rule = f"{self.name} is {self.state}, from where one can {' or '.join(allowed)}"
            raise invalid("failover", rule, action)
        return ways[self.state]

    @property
    def due_s(self) -> int | None:
        """When the next step back may be taken; None where there is none."""
        if self.state == "active":
            return self.since_s + math.ceil(float(self.failback.stable_s))  # type: ignore[arg-type]
        if self.state == "recovering":
            return self.stepped_s + math.ceil(self.failback.holds_s[self.step - 1])
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a store and for JSON."""
        return {
            "version": BODY_VERSION,
            "name": self.name,
            "state": self.state,
            "failed": list(self.failed),
            "since": instant(self.since_s),
            "since_s": self.since_s,
            "stepped_s": self.stepped_s,
            "step": self.step,
            "revision": self.revision,
            "held_until_s": self.held_until_s,
            "coordination": self.coordination,
            "rule": asdict(self.rule),
            "failback": {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self.failback).items()},
            "critical": self.critical,
            "eligible": None if self.eligible is None else {r: list(to) for r, to in self.eligible.items()},
            "emergency": self.emergency,
            "loads": {service: asdict(load) for service, load in self.loads.items()},
            "landings": [{**asdict(one), "key": list(one.key)} for one in self.landings],
        }

    @staticmethod
    def of(name: str, state: str, body: Mapping[str, Any]) -> Failover:
        """Give back what `to_dict` gave."""
        if not body:
            return Failover(name=name, state=state)
        given = dict(body)
        if given.pop("version", None) != BODY_VERSION:
            raise StoreError(f"failover {name}: was written by another surgetank; update this one")
        try:
            given.pop("since")
            given["rule"] = Proportional(**given["rule"])
            back = given["failback"]
            given["failback"] = Failback(back["stable_s"], tuple(back["shares"]), tuple(back["holds_s"]))
            given["failed"] = tuple(given["failed"])
            given["loads"] = {service: Load(**load) for service, load in given["loads"].items()}
            given["landings"] = tuple(Landing(**{**one, "key": QuotaKey(*one["key"])}) for one in given["landings"])
            if given["eligible"] is not None:
                given["eligible"] = {region: tuple(to) for region, to in given["eligible"].items()}
            return replace(Failover(**given), name=name, state=state)
        except (KeyError, TypeError, AttributeError, ValueError) as error:  # InvalidInput is a ValueError
            raise StoreError(f"failover {name}: is damaged ({error})") from error


def known_name(name: str, known: Mapping[str, object]) -> str:
    """A failover that the store has; refused, with the nearest, where it has none of that name."""
    if name not in known:
        raise invalid("failover", f"must be one that was prepared or activated{nearest(name, known)}", name)
    return name
