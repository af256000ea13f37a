"""`Move`: what an action does to a failover, or would do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._table import Column, Tabular, for_json, percent, quantity, span
from ..errors import InvalidInput, printable
from ..history import QuotaKey
from ..history.room import Short
from ..history.samples import instant
from .life import LEAST_FRAC, Failover

MOST_NOTES = 12


@dataclass(frozen=True, kw_only=True)
class Row:
    """What an action means for one quota."""

    service: str
    key: QuotaKey
    usage: float  #: the last observed; NaN: not known
    quota: float
    reserved: float  #: by others
    held_before: float  #: by this failover
    held_after: float
    landed: float  #: of its load, what usage shows already


@dataclass(frozen=True, kw_only=True)
class Shed:
    """Load to be shed, so that what is critical fits."""

    service: str
    region: str
    amount: float
    whose: str  #: "moving": of the failed Regions' load; "own": of what runs there


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Move(Tabular):
    """The answer to an action on a failover. One row for each quota that it concerns."""

    action: str
    before: Failover
    after: Failover
    granted: bool  #: False: it may not be done now, and nothing was; ``because`` says why
    done: bool  #: False: a dry run, or not granted
    because: str = ""
    rows: tuple[Row, ...] = ()
    unplaced: Mapping[str, float] = field(default_factory=dict)  #: service → load that nobody takes
    critical_unplaced: Mapping[str, float] = field(default_factory=dict)  #: of that, what must not be shed
    spare: Mapping[str, float] = field(default_factory=dict)  #: service → what is free and was not taken
    shed: tuple[Shed, ...] = ()
    short: tuple[Short, ...] = ()  #: quotas in which a claim had no room
    unknown: tuple[str, ...] = ()  #: services of which nothing can be said, and why
    left_out: tuple[str, ...] = ()  #: quotas whose room is not known, and counts as none
    kept: tuple[QuotaKey, ...] = ()  #: of those, in which what was held before is held on
    now_s: int = 0

    @property
    def ok(self) -> bool:
        """Whether it is granted, everything is placed, and everything is known."""
        return self.granted and not self.unplaced and not self.unknown

    @property
    def exit_code(self) -> int:
        """As `surgetank check` has it: 2 where it is refused or something finds no room, 3 where not all is known."""
        if self.unknown and not self.unplaced:
            return 3
        return 2 if not self.granted or self.unplaced else 0

    @property
    def prewarm(self) -> dict[QuotaKey, float]:
        """Quota → capacity to start there before load comes, in its unit."""
        return {row.key: row.held_after for row in self.rows if row.held_after > 0}

    def require_met(self) -> None:
        """Raise `InvalidInput` unless it is granted and everything is placed and known."""
        if not self.ok:
            got = self.because or "; ".join(self._open())
            raise InvalidInput(f"failover: {self.action} must find room for everything (got {printable(got)})")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "action": self.action,
            "failover": self.after.to_dict() if self.granted else self.before.to_dict(),
            "before": self.before.state,
            "after": self.after.state,
            "granted": self.granted,
            "done": self.done,
            "ok": self.ok,
            "because": self.because,
            "at": instant(self.now_s),
            "quotas": self.to_records(),
            "prewarm": [{**key._asdict(), "amount": amount} for key, amount in self.prewarm.items()],
            "unplaced": dict(self.unplaced),
            "critical_unplaced": dict(self.critical_unplaced),
            "shed": [vars(one) for one in self.shed],
            "short": [
                {**s.key._asdict(), "asked": s.asked, "free": for_json(s.free), "because": s.because}
                for s in self.short
            ],
            "unknown": list(self.unknown),
            "left_out": list(self.left_out),
            "kept": [key._asdict() for key in self.kept],
            "next_step": None if self.after.due_s is None else instant(self.after.due_s),
        }  # fmt: skip

    def _open(self) -> list[str]:
        lines = []
        for service, amount in self.unplaced.items():
            critical = self.critical_unplaced.get(service, 0.0)
            least = LEAST_FRAC * amount
            whole = ", all of it critical" if critical > amount - least else f", {quantity(critical)} of it critical"
            spare = self.spare.get(service, 0.0)
            more = f"; {quantity(spare)} more are free, which the sharing rule keeps back" if spare > least else ""
            emergency = self.granted and self.after.emergency
            lines.append(f"{service}: {quantity(amount)} find no room{whole if emergency and critical else ''}{more}")
        return [*lines, *self.unknown]

    def _caption(self) -> str:
        one = self.after
        where = f"{one.name}: {self.before.state} → {one.state}"
        if self.before.state == one.state:
            where = f"{one.name}: {one.state}, {self.action}"
        if not self.granted:
            return f"{self.before.name} stays {self.before.state}, {self.action} refused: {self.because}"
        if one.state == "recovering":
            where += f", {percent(one.failback.shares[one.step - 1])} of the load back"
        return where if self.done else f"{where} (dry run: nothing was changed)"

    def _notes(self) -> list[str]:
        lines = [f"{line}." for line in self._open()]
        verb = {"moving": "of the load that moves", "own": "of what runs there"}
        lines += [f"Shed {quantity(s.amount)} {verb[s.whose]}: {s.service}, {s.region}." for s in self.shed]
        lines += [f"Raise {s.key}: {s.because}." for s in self.short]
        if self.granted and self.after.state in ("preparing", "active"):
            warm = [r for r in self.rows if r.held_after > 0]
            lines += [
                f"Pre-warm {r.key}: {quantity(r.held_after)} more, to {quantity(r.usage + r.held_after)}"
                f" of {quantity(r.quota)}."
                for r in warm[:MOST_NOTES]
            ]
            lines += [f"… and {len(warm) - MOST_NOTES} more to pre-warm."] if len(warm) > MOST_NOTES else []
        if self.granted and self.after.held_until_s and self.after.coordination:
            lines.append(f"Held until {instant(self.after.held_until_s)}; every step holds it for 24 h again.")
        lines += [f"{key}: its room is not known now, what was held there is held on." for key in self.kept]
        if self.left_out:
            more = f" and {len(self.left_out) - 5} more" if len(self.left_out) > 5 else ""
            lines.append(f"No room is counted on where it is not known: {'; '.join(self.left_out[:5])}{more}.")
        if self.granted and self.after.due_s is not None:
            wait = self.after.due_s - self.now_s
            when = f"in {span(wait)}, at {instant(self.after.due_s)}" if wait > 0 else "now"
            lines.append(f"The next step back: {percent(self.after.failback.shares[self.after.step])} {when}.")
        return [printable(line) for line in lines]

    def _columns(self) -> list[Column]:
        def numbers(name: str) -> Any:
            return np.array([getattr(row, name) for row in self.rows], dtype=np.float64)

        landed, others = numbers("landed"), numbers("reserved")
        after = [
            (row.usage + row.reserved + row.held_after) / row.quota if row.quota > 0 else math.nan for row in self.rows
        ]
        several = len({row.key.account for row in self.rows}) > 1
        return [
            Column("service", [row.service for row in self.rows], numeric=False),
            Column("account", [row.key.account for row in self.rows], "Account" if several else "", numeric=False),
            Column("quota_name", [row.key.quota_name for row in self.rows], "Service/quota", numeric=False),
            Column("region", [row.key.region for row in self.rows], "Region", numeric=False),
            Column("usage", numbers("usage"), "Usage", quantity, priority=2),
            Column("quota", numbers("quota"), "Quota", quantity, priority=2),
            Column("reserved", others, "Reserved by others" if (others > 0).any() else "", quantity, priority=3),
            Column("landed", landed, "Landed" if (landed > 0).any() else "", quantity, priority=3),
            Column("held_before", numbers("held_before"), "Held before", quantity, priority=1),
            Column("held_after", numbers("held_after"), "Held", quantity),
            Column("utilization_after", after, "Used and held", percent),
        ]
