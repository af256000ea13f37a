"""The rules of a claim: what is granted, what is short, and what of a coordination's reservations becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import invalid
from .keys import QuotaKey
from .ledger import Ledger, Words, require
from .reservations import Claim, Request, Reservation, after
from .room import short_of
from .schema import SOUND


def claim(book: Ledger, asked: Request, stale_after_s: float | None) -> Claim:
    """Write what was asked for, where all of it fits or is forced; a claim made before is answered as it stands."""
    name = str(asked.coordination)
    row = book.db.execute(
        f"SELECT id, request, {SOUND['coordination']} FROM coordination WHERE token = ?", (asked.token,)
    ).fetchone()
    if row is not None:
        require(row[2], "a coordination")
        if row[1] != asked.digest:
            raise invalid("token", f"belongs to another claim, {row[0]}; every claim needs its own", asked.token)
        known = tuple(book.of(row[0]))
        forced = any(r.forced for r in known)
        return Claim(coordination=row[0], granted=True, repeated=True, reservations=known, forced=forced,
                     now_s=asked.now_s)  # fmt: skip
    if book.db.execute("SELECT 1 FROM coordination WHERE id = ?", (name,)).fetchone():
        raise invalid("coordination", "must be new; `resize` changes what one holds", name)
    book.note_overdue(asked.now_s)
    rooms = book.rooms(asked.amounts, asked.now_s, stale_after_s)
    short = tuple(short_of(rooms[key], amount) for key, amount in asked.amounts.items()
                  if not rooms[key].holds(amount))  # fmt: skip
    if short and not asked.force:
        return Claim(coordination=name, granted=False, reservations=(), short=short, now_s=asked.now_s)
    book.db.execute(
        "INSERT INTO coordination (id, token, request, made) VALUES (?, ?, ?, ?)",
        (name, asked.token, asked.digest, asked.now_s),
    )
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
    book: Ledger, name: str, wanted: Mapping[QuotaKey, float], until_s: int | None, stale_after_s: float | None,
    force: bool, now_s: int, words: Words,
) -> Claim:  # fmt: skip
    """Write what a coordination holds from now on, where all that is more fits or is forced."""
    book.note_overdue(now_s)
    known = {r.key: r for r in book.of(name)}
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
    changes: list[tuple[Reservation | None, Reservation]] = []
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
