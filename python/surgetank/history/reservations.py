"""Reservations: room in a quota that is promised to somebody, until an instant. What they are; stores keep them."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .._bridge import MOST_SECONDS, Duration, Floats, Instant, duration_s, instant_s, number
from .._bridge import name as text
from .._table import Column, Tabular, for_json, quantity
from ..errors import InvalidInput, invalid, printable
from .keys import QuotaKey
from .room import Short
from .samples import instant

DAY_S = 86_400.0
#: How long a reservation holds, and after how long one that has ended may be forgotten.
HOLD_S, PURGE_S = DAY_S, 7 * DAY_S
STATES = ("active", "released", "expired")
#: The state of a failover that nobody has begun, or that has ended.
NORMAL = "normal"
MOST_TEXT = 1000

Amounts = Mapping[QuotaKey, float]


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """Room in one quota, promised to one coordination. Instants are epoch seconds (UTC)."""

    coordination: str
    key: QuotaKey
    amount: float  #: in the quota's unit
    created_s: int
    expires_s: int  #: from then on it holds nothing, whether or not anybody has noted it
    purge_s: int  #: from then on `purge` may forget it, once it has ended
    status: str  #: active, released or expired
    ended_s: int | None = None  #: when it was released or found expired
    forced: bool = False  #: claimed though there was no room for it

    def status_at(self, now_s: int) -> str:
        """What it is at that moment: one that is overdue has expired, noted or not."""
        return "expired" if self.status == "active" and now_s >= self.expires_s else self.status

    def held_at(self, then_s: int) -> bool:
        """Whether it held its room at that moment, which may lie in the past."""
        end_s = self.expires_s if self.ended_s is None else min(self.ended_s, self.expires_s)
        return self.created_s <= then_s < end_s


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Claim(Tabular):
    """The answer to a claim: all of it, or nothing and why."""

    coordination: str
    granted: bool
    reservations: tuple[Reservation, ...]  #: of the coordination, as they are now
    short: tuple[Short, ...] = ()  #: what there was no room for; with ``forced``: what is oversold
    forced: bool = False
    repeated: bool = False  #: the same claim was made before by its token; nothing was claimed again
    now_s: int = 0
    done: bool = True  #: False: refused, or a dry run

    @property
    def stands(self) -> bool:
        """Whether any of it holds room: what was granted before may have ended."""
        return any(r.status_at(self.now_s) == "active" for r in self.reservations)

    def require_met(self) -> None:
        """Raise `InvalidInput` unless the claim was granted."""
        if not self.granted:
            raise InvalidInput(f"amounts: must all fit (got {printable('; '.join(map(str, self.short)))})")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "coordination": self.coordination,
            "granted": self.granted,
            "forced": self.forced,
            "repeated": self.repeated,
            "stands": self.stands,
            "done": self.done,
            "short": [{**_named(s.key), "asked": s.asked, "free": for_json(s.free), "because": s.because}
                      for s in self.short],
            "reservations": [record(r, self.now_s) for r in self.reservations],
        }  # fmt: skip

    def _caption(self) -> str:
        if not self.granted:
            return f"{self.coordination}: refused, nothing was changed"
        held = "reserved" if self.done else "would be reserved"
        if self.repeated:
            held = "was reserved before, and " + ("stands so" if self.stands else "holds nothing any more")
        return f"{self.coordination}: {held}"

    def _notes(self) -> list[str]:
        word = "FORCED beyond what there is" if self.granted else "Does not fit"
        return [f"{word}: {printable(str(short), 300)}." for short in self.short]

    def _columns(self) -> list[Column]:
        if self.granted:
            return reservation_columns(self.reservations, self.now_s)
        return [
            Column("region", [s.key.region for s in self.short], "Region", numeric=False),
            Column("quota_name", [s.key.quota_name for s in self.short], "Service/quota", numeric=False),
            Column("asked", np.array([s.asked for s in self.short]), "Asked", quantity),
            Column("free", np.maximum(0.0, [s.free for s in self.short]), "Free", quantity),
        ]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Reservations(Tabular):
    """Reservations of a store at one moment."""

    found: tuple[Reservation, ...]
    now_s: int
    over: tuple[str, ...] = ()  #: quotas in which usage and reservations exceed the quota, and by how much
    unknown: tuple[str, ...] = ()  #: quotas of which that cannot be said, and why

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self.found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        found = [record(r, self.now_s) for r in self.found]
        return {
            "now": instant(self.now_s),
            "reservations": found,
            "oversold": list(self.over),
            "unknown": list(self.unknown),
        }

    def _caption(self) -> str:
        counts = {s: sum(r.status_at(self.now_s) == s for r in self.found) for s in STATES}
        said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        return f"Reservations at {instant(self.now_s)}: {said or 'none'}"

    def _notes(self) -> list[str]:
        lines = [f"OVERSOLD: {printable(line, 300)}." for line in self.over]
        if lines and any(r.coordination.startswith("failover:") for r in self.found):
            lines.append(
                "Where the load of a failover has landed, `surgetank failover replan` gives back what is usage now."
            )
        return lines + [f"Not known whether it is oversold: {printable(line, 300)}." for line in self.unknown]

    def _columns(self) -> list[Column]:
        return reservation_columns(self.found, self.now_s)


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """One change of reservations: who did what, when and why."""

    number: int  #: its place in the trail that was asked for, of all or of one coordination
    at_s: int  #: by the clock of who did it
    action: str  #: reserve, renew, resize, release, expire or purge
    coordination: str
    by: str
    why: str
    changes: tuple[Mapping[str, Any], ...]  #: for each quota: its parts, amount, was, expires_s
    forced: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "at": instant(self.at_s)}


@dataclass(frozen=True, kw_only=True)
class Request:
    """A claim as it was asked for, checked."""

    amounts: dict[QuotaKey, float]
    hold_s: float
    purge_s: float
    coordination: str | None
    token: str
    by: str
    why: str
    force: bool
    now_s: int
    generated: bool = field(default=False)  #: the coordination's name is ours

    @property
    def digest(self) -> str:
        """What tells one request from another under the same token."""
        amounts = sorted((*key, amount.hex()) for key, amount in self.amounts.items())
        body = [amounts, self.hold_s, self.purge_s, None if self.generated else self.coordination, self.force]
        return hashlib.sha256(json.dumps(body).encode("utf-8", "surrogatepass")).hexdigest()


def audit_text(line: AuditLine) -> str:
    """One line for a person."""
    by = f" by {line.by}" if line.by else ""
    why = f": {line.why}" if line.why else ""
    parts = [f"{c['key']} {quantity(c['was'])} → {quantity(c['amount'])}" for c in line.changes]
    forced = " FORCED" if line.forced else ""
    what = f"{instant(line.at_s)} {line.action}{forced} {line.coordination}{by}{why}"
    return printable(f"{what} ({', '.join(parts)})", 2000)


def request(
    amounts: Amounts, *, hold_s: Duration, purge_s: Duration | None, coordination: str | None, token: str | None,
    by: str, why: str, force: bool, now: Instant | None,
) -> Request:  # fmt: skip
    """Check what was asked for."""
    hold, now_s = duration_s(hold_s, "hold_s", above=True), clock_s(now)
    purge = max(PURGE_S, hold) if purge_s is None else duration_s(purge_s, "purge_s", least=hold)
    after(now_s, hold, "hold_s"), after(now_s, purge, "purge_s")
    checked = Request(
        amounts=amounts_of(amounts),
        hold_s=hold,
        purge_s=purge,
        coordination=f"c-{secrets.token_hex(8)}" if coordination is None else named(coordination, "coordination"),
        token=f"t-{secrets.token_hex(16)}" if token is None else named(token, "token"),
        by=said(by, "by"),
        why=said(why, "why"),
        force=bool(force),
        now_s=now_s,
        generated=coordination is None,
    )
    if checked.force and not checked.why.strip():
        raise invalid("why", "must say why room is claimed that is not there", why)
    return checked


def amounts_of(given: Amounts, *, argument: str = "amounts", above: bool = True) -> dict[QuotaKey, float]:
    """Amounts by key, checked."""
    if not isinstance(given, Mapping) or not given:
        raise invalid(argument, "must map at least one QuotaKey to an amount", given)
    rule = "must be finite and above 0" if above else "must be finite and 0 or more"
    result = {}
    for key, amount in given.items():
        if not isinstance(key, QuotaKey) or not all(isinstance(part, str) for part in key):
            raise invalid(argument, "must be keyed by QuotaKey", key)
        result[key] = number(amount, argument, rule=f"of {key} {rule}", least=0, above=above)
    return result


def keys_of(given: Iterable[QuotaKey]) -> list[QuotaKey]:
    """Quotas, checked."""
    keys = list(given) if isinstance(given, Iterable) else [given]
    for key in keys:
        if not isinstance(key, QuotaKey) or not all(isinstance(part, str) for part in key):
            raise invalid("keys", "must be QuotaKeys", key)
    return keys


def named(value: object, argument: str) -> str:
    """A name of one line, for people and programs."""
    word = text(value, argument)
    if len(word) > 200 or not word.isprintable() or word != word.strip():
        raise invalid(argument, "must be a name of one line, at most 200 printable characters", value)
    return word


def said(value: object, argument: str) -> str:
    """A text for the audit trail."""
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise invalid(argument, f"must be a text of at most {MOST_TEXT} characters", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise invalid(argument, "must be valid Unicode", value) from error
    return value


def clock_s(now: Instant | None, argument: str = "now") -> int:
    """Epoch seconds of that moment; default: the clock."""
    return int(time.time()) if now is None else instant_s(now, argument)


def after(now_s: int, duration: float, argument: str) -> int:
    """The instant so long after now, in whole seconds; refused where no instant is so late."""
    end_s = now_s + math.ceil(duration)
    if end_s > MOST_SECONDS:
        raise invalid(argument, "must end within 30,000 years of 1970", duration)
    return end_s


def reservation_columns(found: Iterable[Reservation], now_s: int) -> list[Column]:
    """The columns of a table of reservations."""
    found = tuple(found)
    amounts: Floats = np.array([r.amount for r in found], dtype=np.float64)
    several = len({r.key.account for r in found}) > 1
    return [
        Column("coordination", [r.coordination for r in found], "Coordination", numeric=False),
        Column("account", [r.key.account for r in found], "Account" if several else "", numeric=False, priority=3),
        Column("region", [r.key.region for r in found], "Region", numeric=False),
        Column("quota_name", [r.key.quota_name for r in found], "Service/quota", numeric=False),
        Column("amount", amounts, "Reserved", quantity),
        Column("status", [r.status_at(now_s) for r in found], "Status", numeric=False),
        Column("expires", [instant(r.expires_s) for r in found], "Until", numeric=False, priority=2),
        Column("created", [instant(r.created_s) for r in found], numeric=False),
        Column("forced", ["forced" if r.forced else "" for r in found],
               "Forced" if any(r.forced for r in found) else "", numeric=False),
    ]  # fmt: skip


def record(r: Reservation, now_s: int) -> dict[str, Any]:
    """One reservation as plain values, ready for JSON."""
    ended = None if r.ended_s is None else instant(r.ended_s)
    return {
        "coordination": r.coordination, **_named(r.key), "amount": r.amount, "status": r.status_at(now_s),
        "created": instant(r.created_s), "expires": instant(r.expires_s), "purge": instant(r.purge_s),
        "ended": ended, "forced": r.forced,
    }  # fmt: skip


def _named(key: QuotaKey) -> dict[str, str]:
    return dict(key._asdict())
