"""Reservations as rows of the embedded store: a `Book` in SQL."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .book import Change, Which, Words, changes_of, said_of
from .keys import KEY_FIELDS, QuotaKey
from .reservations import STATES, AuditLine, Request, Reservation
from .room import Room, last_usage
from .schema import DAY_S, SOUND, read_body, read_quota, unpack_day

_KEY = ", ".join(KEY_FIELDS)
_FIELDS = "amount, created, expires, purge, status, ended, forced"
_QUOTA = "key_id, value, default_value, unit, name, adjustable, is_global, quota.checksum"
_AUDIT = "id, at, action, coordination, actor, why, forced, body"

# An index alone must choose: a row that is damaged cannot hide.
_WHERE: dict[Which, str] = {
    "all": "1",
    "held": "status = 'active' AND expires > ?",
    "due": "status = 'active' AND expires <= ?",
    "old": "status != 'active' AND purge <= ?",
    "then": f"NOT {SOUND['reservation']} OR (? BETWEEN created AND min(expires, ifnull(ended, expires)) - 1)",
}


@dataclass(frozen=True)
class Ledger:
    """A `Book` in SQLite."""

    db: sqlite3.Connection
    key_id: Callable[[QuotaKey], int]  #: the number of a quota's name, which is made where there is none

    def claimed(self, token: str) -> tuple[str, str] | None:
        """Give the coordination that was begun under a token, and the digest of its claim."""
        query = f"SELECT {SOUND['coordination']}, id, request FROM coordination WHERE token = ?"
        row = self.db.execute(query, (token,)).fetchone()
        if row is None:
            return None
        require(row[0], "a coordination")
        return row[1], row[2]

    def has(self, name: str) -> bool:
        """Whether a coordination of that name is there."""
        return self.db.execute("SELECT 1 FROM coordination WHERE id = ?", (name,)).fetchone() is not None

    def begin(self, name: str, asked: Request) -> None:
        """Write a coordination, which holds nothing yet."""
        row = (name, asked.token, asked.digest, asked.now_s)
        self.db.execute("INSERT INTO coordination (id, token, request, made) VALUES (?, ?, ?, ?)", row)

    def apart(self) -> contextlib.AbstractContextManager[object]:
        """Here nothing is ever too much at once."""
        return contextlib.nullcontext()

    def forget(self, ended: Sequence[Reservation], name: str, now_s: int, words: Words) -> None:
        """Delete rows of a coordination, and it with the last of them."""
        self.note([(r, None) for r in ended], "purge", name, now_s, words)
        gone = [(name, self.key_id(r.key)) for r in ended]
        self.db.executemany("DELETE FROM reservation WHERE (coordination, key_id) = (?, ?)", gone)
        left = "SELECT 1 FROM reservation WHERE coordination = coordination.id"
        self.db.execute(f"DELETE FROM coordination WHERE id = ? AND NOT EXISTS ({left})", (name,))

    def of(self, name: str) -> list[Reservation]:
        """Everything that a coordination holds or held; nothing where there is none of that name."""
        return self._read("coordination = ?", (name,))

    def read(self, which: Which, at_s: int = 0) -> list[Reservation]:
        """Reservations of all coordinations, oldest first."""
        return self._read(_WHERE[which], () if which == "all" else (at_s,))

    def _read(self, where: str, values: tuple[Any, ...]) -> list[Reservation]:
        query = (
            f"SELECT r.sound, k.sound, r.coordination, {_FIELDS}, {_KEY} FROM"
            f" {_chosen('reservation', where)} AS r LEFT JOIN"
            f" (SELECT *, {SOUND['quota_key']} AS sound FROM quota_key) AS k ON k.id = r.key_id"
        )
        found = [read_reservation(row) for row in self.db.execute(query, values)]
        return sorted(found, key=lambda r: (r.created_s, r.coordination, r.key))

    def save(self, changes: Sequence[Change], action: str, name: str, now_s: int, words: Words) -> None:
        """Write rows, and one line about them."""
        if not changes:
            return
        for was, new in changes:
            assert new is not None
            values = (new.amount, new.created_s, new.expires_s, new.purge_s, new.status, new.ended_s, int(new.forced))
            if was is None:
                rows = f"INSERT INTO reservation ({_FIELDS}, coordination, key_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            else:
                rows = (
                    f"UPDATE reservation SET ({_FIELDS}) = (?, ?, ?, ?, ?, ?, ?) WHERE (coordination, key_id) = (?, ?)"
                )
            self.db.execute(rows, (*values, name, self.key_id(new.key)))
        self.note(changes, action, name, now_s, words)

    def note(self, changes: Sequence[Change], action: str, name: str, now_s: int, words: Words) -> None:
        """Write a line of the audit trail."""
        body, forced = said_of(changes)
        fields = "at, action, coordination, actor, why, forced, body"
        row = (now_s, action, name, *words, forced, json.dumps(body))
        self.db.execute(f"INSERT INTO audit ({fields}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def rooms(
        self, keys: Iterable[QuotaKey], now_s: int, stale_after_s: float | None, but: str | None = None
    ) -> dict[QuotaKey, Room]:
        """Key → what a claim finds there; ``but`` for what that coordination holds itself."""
        result = {}
        for key in keys:
            known = f"SELECT *, {SOUND['quota_key']} AS sound FROM quota_key WHERE ({_KEY}) = (?, ?, ?, ?, ?)"
            query = f"SELECT k.sound, k.id, {_KEY}, {_QUOTA} FROM ({known}) AS k LEFT JOIN quota ON k.id = key_id"
            row = self.db.execute(query, key).fetchone()
            if row is None:
                result[key] = Room(key=key, quota=math.nan, usage=math.nan)
                continue
            sound, key_id, *stated = row
            require(sound, "the name of a quota")
            try:
                quota = math.nan if stated[len(key)] is None else read_quota(tuple(stated)).value
                usage, usage_s = self._last_usage(key_id, now_s, stale_after_s)
            except (ValueError, TypeError) as error:
                raise sqlite3.DatabaseError(f"malformed: {error}") from error
            chosen = _chosen("reservation", "key_id = ? AND status = 'active' AND expires > ?")
            query = f"SELECT sound AND key_id = ?, coordination, amount FROM {chosen}"
            held = self.db.execute(query, (key_id, key_id, now_s)).fetchall()
            require(all(sound for sound, *_ in held), "a reservation")
            amounts = tuple(amount for _, name, amount in held if name != but)
            result[key] = Room(key=key, quota=quota, usage=usage, usage_s=usage_s, now_s=now_s, reserved=amounts)
        return result

    def audit(self, coordination: str | None) -> list[AuditLine]:
        """The audit trail, of all or of one, oldest first."""
        if coordination is None:
            rows = self.db.execute(f"SELECT {SOUND['audit']}, {_AUDIT} FROM audit ORDER BY id")
            lines = [audit_line(row) for row in rows]
            require([line.number for line in lines] == list(range(1, len(lines) + 1)), "the audit trail")
            return lines
        query = f"SELECT sound AND coordination = ?, {_AUDIT} FROM {_chosen('audit', 'coordination = ?')} ORDER BY id"
        found = [audit_line(row) for row in self.db.execute(query, (coordination, coordination))]
        return [replace(line, number=n) for n, line in enumerate(found, 1)]

    def _last_usage(self, key_id: int, now_s: int, stale_after_s: float | None) -> tuple[float, int | None]:
        days = "SELECT * FROM usage_day WHERE key_id = ? AND day {} ? ORDER BY day"
        at = (key_id, now_s // DAY_S)
        read = [*self.db.execute(days.format("<=") + " DESC LIMIT 2", at)][::-1]
        read += self.db.execute(days.format(">"), at)
        return last_usage(list(map(unpack_day, read)), now_s, stale_after_s)


def _chosen(table: str, where: str) -> str:
    """SQL for rows, chosen by an index and then looked up by number: one that cannot be found is not sound."""
    if where in (_WHERE["all"], _WHERE["then"]):
        return f"(SELECT *, {SOUND[table]} AS sound FROM {table} WHERE {where})"
    numbers = f"(SELECT rowid AS number FROM {table} WHERE {where})"
    return f"({numbers} LEFT JOIN (SELECT *, rowid AS own, {SOUND[table]} AS sound FROM {table}) ON own = number)"


def claim_queries() -> dict[str, str]:
    """SQL of every row of reservations and failovers, for a check of the store; `CLAIMED` reads them."""
    reservation = (
        "SELECT r.number, r.sound, k.sound, coordination, amount, created, expires, purge, status, ended, forced,"
        f" {_KEY} FROM (SELECT *, rowid AS number, {SOUND['reservation']} AS sound FROM reservation) AS r LEFT JOIN"
        f" (SELECT *, {SOUND['quota_key']} AS sound FROM quota_key) AS k ON k.id = r.key_id"
    )
    return {
        "coordination": f"SELECT rowid, {SOUND['coordination']} FROM coordination",
        "reservation": reservation,
        "audit": f"SELECT id, {SOUND['audit']}, {_AUDIT} FROM audit",
        "failover": f"SELECT rowid, {SOUND['failover']}, body FROM failover",
        "failover_event": f"SELECT id, {SOUND['failover_event']}, body FROM failover_event",
    }


def read_reservation(row: tuple[Any, ...]) -> Reservation:
    """A row of reservation, behind whether it and its quota's name are what was written."""
    sound, key_sound, coordination, amount, created, expires, purge, status, ended, forced, *parts = row
    require(sound, "a reservation")
    require(key_sound, "the name of a quota")
    return Reservation(
        coordination=coordination, key=QuotaKey(*parts), amount=amount, created_s=created, expires_s=expires,
        purge_s=purge, status=status, ended_s=ended, forced=bool(forced),
    )  # fmt: skip


def require(sound: object, what: str) -> None:
    """Refuse a row that is not what was written."""
    if not sound:
        raise sqlite3.DatabaseError(f"malformed: {what} is not what was written")


def audit_line(row: tuple[Any, ...]) -> AuditLine:
    """A row of audit, behind whether it is what was written."""
    sound, number, at_s, action, coordination, by, why, forced, body = row
    require(sound, "a line of the audit trail")
    return AuditLine(number=number, at_s=at_s, action=action, coordination=coordination, by=by, why=why,
                     changes=changes_of(json.loads(body)), forced=bool(forced))  # fmt: skip


def _sound(row: tuple[Any, ...]) -> None:
    if not row[1]:
        raise ValueError("a row is not what was written")


def _valid(row: tuple[Any, ...]) -> None:
    try:
        one = read_reservation(row[1:])
    except sqlite3.DatabaseError as error:
        raise ValueError(str(error)) from error
    if one.status not in STATES or not 0 < one.amount < math.inf or one.expires_s < one.created_s:
        raise ValueError("a reservation that nobody could have made")


def _audited(row: tuple[Any, ...]) -> None:
    _sound(row)
    audit_line(row[1:])


#: What reads a row of `claim_queries`, and raises ValueError where it is not what was written.
CLAIMED: dict[str, Callable[[tuple[Any, ...]], object]] = {
    "coordination": _sound,
    "reservation": _valid,
    "audit": _audited,
    "failover": lambda row: read_body(row[1], row[2]),
    "failover_event": lambda row: read_body(row[1], row[2]),
}
