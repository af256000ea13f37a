"""What rules of a claim ask of a store: reservations, rooms and the audit trail, whatever they are kept in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from .keys import QuotaKey
from .reservations import AuditLine, Request, Reservation
from .room import Room

#: What was, and what became of it; None: it was not there, or is no more.
Change = tuple[Reservation | None, Reservation | None]
Words = tuple[str, str]  # by whom, and why

#: Which reservations: all; those that hold room at an instant; those that are overdue then, and not noted; those that
#: have ended and may be forgotten by then; those that held room then, noted or not, ended or not.
Which = Literal["all", "held", "due", "old", "then"]


class Book(Protocol):
    """Reservations of a store, inside the transaction or the snapshot of whoever calls."""

    def claimed(self, token: str) -> tuple[str, str] | None:
        """Give the coordination that was begun under a token, and the digest of its claim."""
        ...

    def has(self, name: str) -> bool:
        """Whether a coordination of that name is there."""
        ...

    def begin(self, name: str, asked: Request) -> None:
        """Write a coordination, which holds nothing yet."""
        ...

    def of(self, name: str) -> list[Reservation]:
        """Everything that a coordination holds or held; nothing where there is none of that name."""
        ...

    def read(self, which: Which, at_s: int = 0) -> list[Reservation]:
        """Reservations of all coordinations, oldest first."""
        ...

    def save(self, changes: Sequence[Change], action: str, name: str, now_s: int, words: Words) -> None:
        """Write what became of reservations of a coordination, and one line of the audit trail about it."""
        ...

    def forget(self, ended: Sequence[Reservation], name: str, now_s: int, words: Words) -> None:
        """Delete reservations of a coordination, and it with the last of them."""
        ...

    def apart(self) -> contextlib.AbstractContextManager[object]:
        """What is written inside is true by itself: where all is too much at once, it may be kept before the rest."""
        ...

    def rooms(
        self, keys: Iterable[QuotaKey], now_s: int, stale_after_s: float | None, but: str | None = None
    ) -> dict[QuotaKey, Room]:
        """Key → what a claim finds there; ``but`` for what that coordination holds itself."""
        ...

    def audit(self, coordination: str | None) -> list[AuditLine]:
        """The audit trail, of all or of one, oldest first."""
        ...


def by_coordination(found: Iterable[Reservation]) -> dict[str, list[Reservation]]:
    """Coordination → its reservations, in their order."""
    result: dict[str, list[Reservation]] = {}
    for one in found:
        result.setdefault(one.coordination, []).append(one)
    return result


def said_of(changes: Sequence[Change]) -> tuple[list[dict[str, Any]], bool]:
    """What an audit line says of each quota, and whether room was taken that was not there."""
    return [_change(was, new) for was, new in changes], any(_forces(was, new) for was, new in changes)


def changes_of(body: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The changes of an audit line, as `said_of` gave them."""
    return tuple({**change, "key": QuotaKey(*change["key"])} for change in body)


def _forces(was: Reservation | None, new: Reservation | None) -> bool:
    """Whether this change took room that was not there; that it was taken once is no news."""
    if new is None or not new.forced or new.status != "active":
        return False
    return was is None or was.status != "active" or new.amount > was.amount


def _change(was: Reservation | None, new: Reservation | None) -> dict[str, Any]:
    one = new or was
    assert one is not None
    return {
        "key": list(one.key),
        "was": was.amount if was and was.status == "active" else 0.0,
        "amount": new.amount if new and new.status == "active" else 0.0,
        "expires_s": one.expires_s,
        "status": new.status if new else "purged",
        "forced": one.forced,
    }
