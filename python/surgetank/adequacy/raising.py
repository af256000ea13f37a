"""What would help: which quota to raise, where, by how much; what to collect; or that no quota can be raised."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from .._table import for_json
from .room import TOLERANCE, Room

RAISE, SHED, COLLECT = ACTIONS = ("raise", "shed", "collect")


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One thing to do, by name."""

    action: str  #: "raise" a quota, "collect" what is not known, or "shed" load since no quota can be raised
    text: str
    account: str = "-"
    region: str = "-"
    quota_name: str = "-"
    quota: float = math.nan  #: as it is
    raised: float = math.nan  #: as it should be
    amount: float = math.nan  #: by how much to raise it, or how much load to shed

    def to_dict(self) -> dict[str, Any]:
        """Give every field as a plain value."""
        return {key: for_json(value) for key, value in asdict(self).items()}


def plain(value: float) -> str:
    """A number as somebody types it into a form: every digit that counts, thousands separated."""
    return f"{value:,.15g}"


def raises(needed: float, rooms: Sequence[Room], *, in_place: bool) -> list[tuple[Room, float]]:
    """Regions, and the quotas with which the need fits: as little in all as does, evenly over those that can be raised.

    Adjustable, or not known not to be, is enough. A Region where more is taken than its quota allows gains no room
    until that is made good, so it is left alone where another can be raised. Where quotas, usage and reservations are
    whole numbers, so are the raises; elsewhere each is rounded up to three digits.
    """
    able = [room for room in rooms if room.adjustable is not False]
    chosen = [room for room in able if not _over(room, in_place)] or able
    if not chosen:
        return []
    short = Fraction(needed) - sum(Fraction(room.free) for room in rooms)
    numbers = [n for room in chosen for n in (room.quota, room.reserved, 0.0 if in_place else room.usage)]
    if all(n.is_integer() for n in numbers):
        units, every = math.ceil(short - Fraction(needed) * Fraction(TOLERANCE) / 2), len(chosen)
        parts = [Fraction(units // every + (n < units % every)) for n in range(every)]
    else:
        parts = [short / len(chosen)] * len(chosen)
    found = []
    for room, part in zip(chosen, parts, strict=True):
        if part > 0:
            more = part + _over(room, in_place)
            exact = Fraction(room.quota) + (more if more.denominator == 1 else _up(more))
            value = float(exact)
            found.append((room, value if Fraction(value) >= exact else math.nextafter(value, math.inf)))
    return found


def _over(room: Room, in_place: bool) -> Fraction:
    """By how much a Region is over its quota."""
    taken = Fraction(room.reserved) + (0 if in_place else Fraction(room.usage))
    return max(Fraction(0), taken - Fraction(room.quota))


def _up(value: Fraction) -> Fraction:
    """Rounded up to three digits."""
    step = Fraction(10) ** (math.floor(math.log10(value)) - 2)
    return math.ceil(value / step) * step


def to_raise(needed: float, short: float, rooms: Sequence[Room], *, in_place: bool, whose: str, account: str,
             quota_name: str) -> tuple[Recommendation, ...]:  # fmt: skip
    """What to do about a shortfall; ``whose`` is the account where it must be told, with a blank behind it."""
    found = raises(needed, rooms, in_place=in_place)
    if not found:
        where = " and ".join(room.region for room in rooms)
        verb = "are" if len(rooms) > 1 else "is"
        text = f"{whose}{where} {quota_name} {verb} not adjustable: use another Region or shed load ({plain(short)})"
        return (Recommendation(action=SHED, text=text, account=account, quota_name=quota_name, amount=short),)
    return tuple(
        Recommendation(
            action=RAISE, account=account, region=room.region, quota_name=quota_name, quota=room.quota, raised=raised,
            amount=raised - room.quota, text=f"raise {whose}{room.region} {quota_name} from {plain(room.quota)} to "
            f"{plain(raised)} (+{plain(raised - room.quota)})",
        )
        for room, raised in found
    )  # fmt: skip


def to_collect(rooms: Iterable[Room], *, whose: str, account: str, quota_name: str) -> tuple[Recommendation, ...]:
    """What is not known of a quota, and must be."""
    return tuple(
        Recommendation(
            action=COLLECT, account=account, region=room.region, quota_name=quota_name, quota=room.quota,
            text=f"collect {room.lacks} of {whose}{room.region} {quota_name}",
        )
        for room in rooms
        if room.lacks
    )  # fmt: skip


def together(each: Iterable[Recommendation]) -> tuple[Recommendation, ...]:
    """What to do about everything at once: of several raises of one quota the highest, everything else once.

    Raises are spread in the same way for every need, so that the highest of a quota serve every scenario.
    """
    found: dict[tuple[str, ...], Recommendation] = {}
    for one in each:
        key = (one.action, one.account, one.region, one.quota_name, "" if one.action != COLLECT else one.text)
        known = found.get(key)
        if known is None or one.raised > known.raised or (one.action == SHED and one.amount > known.amount):
            found[key] = one
    return tuple(sorted(found.values(), key=lambda one: ACTIONS.index(one.action)))
