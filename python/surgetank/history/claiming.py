"""The rules of a claim: what is granted, what is short, and what of a coordination's reservations becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import invalid, nearest
from .book import Book, Change, Words, by_coordination
from .keys import QuotaKey
from .reservations import Claim, Request, Reservation, after
from .room import short_of


def claim(book: Book, asked: Request, stale_after_s: float | None) -> Claim:
    """Write what was asked for, where all of it fits or is forced; a claim made before is answered as it stands."""
    name = str(asked.coordination)
    if (before := book.claimed(asked.token)) is not None:
        owner, digest = before
        if digest != asked.digest:
            raise invalid("token", f"belongs to another claim, {owner}; every claim needs its own", asked.token)
        known = tuple(book.of(owner))
        forced = any(r.forced for r in known)
        return Claim(coordination=owner, granted=True, repeated=True, reservations=known, forced=forced,
                     now_s=asked.now_s)  # fmt: skip
    if book.has(name):
        raise invalid("coordination", "must be new; `resize` changes what one holds", name)
    note_overdue(book, asked.now_s)
    rooms = book.rooms(asked.amounts, asked.now_s, stale_after_s)
    short = tuple(short_of(rooms[key], amount) for key, amount in asked.amounts.items()
                  if not rooms[key].holds(amount))  # fmt: skip
    if short and not asked.force:
        return Claim(coordination=name, granted=False, reservations=(), short=short, now_s=asked.now_s)
    book.begin(name, asked)
    over = {one.key for one in short}
    made = tuple(
        Reservation(
            coordination=name, key=key, amount=amount, created_s=asked.now_s,
            expires_s=after(asked.now_s, asked.hold_s, "hold_s"),
            purge_s=after(asked.now_s, asked.purge_s, "purge_s"), status="active", forced=key in over,
        )
        for key, amount in asked.amounts.items()
    )  # fmt: skip
    book.save([(None, one) for one in made], "reserve", name, asked.now_s, (asked.by, asked.why))
    return Claim(coordination=name, granted=True, reservations=made, short=short, forced=bool(short),
                 now_s=asked.now_s)  # fmt: skip


def resize(
    book: Book, name: str, wanted: Mapping[QuotaKey, float], until_s: int | None, stale_after_s: float | None,
    force: bool, now_s: int, words: Words,
) -> Claim:  # fmt: skip
    """Write what a coordination holds from now on, where all that is more fits or is forced."""
    note_overdue(book, now_s)
    known = {r.key: r for r in known_of(book, name)}
    held = {key: r for key, r in known.items() if r.status == "active"}
    if not held:
        raise invalid("coordination", "must hold reservations; all of its have ended, reserve anew", name)
    more = {key: amount for key, amount in wanted.items() if amount > (held[key].amount if key in held else 0)}
    rooms = book.rooms(more, now_s, stale_after_s, name)
    short = tuple(short_of(rooms[key], amount) for key, amount in more.items() if not rooms[key].holds(amount))
    if short and not force:
        return Claim(coordination=name, granted=False, reservations=tuple(known.values()), short=short, now_s=now_s)
    over = {one.key for one in short}
    first = next(iter(held.values()))
    until_s = max(first.expires_s, until_s or first.expires_s)
    changes: list[Change] = []
    for key in dict.fromkeys((*held, *wanted)):
        amount, was = wanted.get(key, 0.0), known.get(key)
        if not amount and key not in held:
            continue
        if not amount:
            changes.append((was, replace(held[key], status="released", ended_s=now_s)))
            continue
        base = was or replace(first, key=key, created_s=now_s, forced=False)
        forced = key in over or (base.forced and key not in more and key in held)
        became = replace(base, amount=amount, forced=forced)
        if key not in held:  # one that had ended begins anew
            became = replace(became, status="active", ended_s=None, created_s=now_s)
        changes.append((was, held_until(became, until_s)))
    book.save([(was, new) for was, new in changes if was != new], "resize", name, now_s, words)
    return Claim(coordination=name, granted=True, reservations=tuple(book.of(name)), short=short,
                 forced=bool(short), now_s=now_s)  # fmt: skip


def held_until(one: Reservation, until_s: int) -> Reservation:
    """One that is held longer is kept longer as well; never less long than it was."""
    until_s = max(one.expires_s, until_s)
    return replace(one, expires_s=until_s, purge_s=max(one.purge_s, until_s + one.purge_s - one.expires_s))


def known_of(book: Book, name: str) -> list[Reservation]:
    """Everything that a coordination holds or held; refused where there is none of that name."""
    found = book.of(name)
    if not found:
        known = dict.fromkeys(r.coordination for r in reversed(book.read("all")))
        raise invalid("coordination", f"must be one of the store's{nearest(name, list(known)[:1000])}", name)
    return found


def note_overdue(book: Book, now_s: int) -> list[Reservation]:
    """Note what is overdue as expired; gives it."""
    due = book.read("due", now_s)
    gone: list[Reservation] = []
    for name, of_name in by_coordination(due).items():
        changes = [(r, replace(r, status="expired", ended_s=r.expires_s)) for r in of_name]
        with book.apart():
            book.save(changes, "expire", name, now_s, ("", ""))
        gone += [new for _, new in changes]
    return sorted(gone, key=lambda r: (r.created_s, r.coordination))
