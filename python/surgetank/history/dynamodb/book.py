"""Reservations in DynamoDB: a `Book` of items.

A coordination is one item with everything that it holds or held; what is held in an account and Region is one more,
its ledger. Both are written in one transaction: who reads a coordination sees all of it or nothing, and whoever claims
room in the same account and Region is told apart by the ledger's version.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..book import Change, Which, Words, by_coordination, changes_of, said_of
from ..keys import Quota, QuotaKey
from ..reservations import AuditLine, Request, Reservation
from ..room import Room, last_usage
from . import usage
from .items import Item, id_of, quota_id, reader
from .meta import Meta
from .work import Work

#: After what may be forgotten, so much passes until DynamoDB may remove it: clocks differ.
TTL_AFTER_S = 86_400


@dataclass(frozen=True)
class ItemBook:
    """A `Book` in DynamoDB, inside one unit of work."""

    work: Work

    def claimed(self, token: str) -> tuple[str, str] | None:
        """Give the coordination that was begun under a token, and the digest of its claim."""
        found = self._token(token).body
        if found is None:
            return None
        # DynamoDB removes what has expired one by one: a token without its coordination is none, and another may have
        # begun one of the same name since.
        claim = self._claim(found["coordination"]).body
        return (found["coordination"], found["digest"]) if claim is not None and claim["token"] == token else None

    def has(self, name: str) -> bool:
        """Whether a coordination of that name is there."""
        return self._claim(name).body is not None

    def begin(self, name: str, asked: Request) -> None:
        """Write a coordination, which holds nothing yet."""
        if not asked.generated:  # one of that name may have been there before, and forgotten
            self.work.tick(*self.work.calls.query("audit", f"claim/{name}", newest=1))
            left = [r for ledger in self.work.scan("reservations") for r in held_in(ledger) if r.coordination == name]
            # What DynamoDB has removed was overdue long ago, and is not this one's, even by a clock that is behind.
            gone = [(r, replace(r, status="expired", ended_s=r.expires_s)) for r in left]
            self.save(gone, "expire", name, asked.now_s, ("", ""))
        body = {"token": asked.token, "digest": asked.digest, "made_s": asked.now_s, "held": []}
        self.work.put(Item("coordinations", (f"claim/{name}",), body))

    def of(self, name: str) -> list[Reservation]:
        """Everything that a coordination holds or held; nothing where there is none of that name."""
        return sorted(reservations_of(self._claim(name)), key=lambda r: (r.created_s, r.key))

    def read(self, which: Which, at_s: int = 0) -> list[Reservation]:
        """Reservations of all coordinations, oldest first."""
        if which in ("held", "due"):
            ledgers = self.work.scan("reservations")
            found = [r for ledger in ledgers for r in held_in(ledger) if (r.expires_s > at_s) == (which == "held")]
        else:
            claims = self.work.scan("coordinations", "claim/")
            found = [r for claim in claims for r in reservations_of(claim)]
        if which == "old":
            found = [r for r in found if r.status != "active" and r.purge_s <= at_s]
        if which == "then":
            found = [r for r in found if r.held_at(at_s)]
        # What was claimed together by name, since ledgers are found in any order.
        return sorted(found, key=lambda r: (r.created_s, r.coordination, r.key))

    def save(self, changes: Sequence[Change], action: str, name: str, now_s: int, words: Words) -> None:
        """Write what became of reservations of a coordination, and one line of the audit trail about it."""
        if changes:
            self._write(changes, action, name, now_s, words)

    def forget(self, ended: Sequence[Reservation], name: str, now_s: int, words: Words) -> None:
        """Delete reservations of a coordination, and it with the last of them."""
        self._write([(r, None) for r in ended], "purge", name, now_s, words)

    def apart(self) -> contextlib.AbstractContextManager[object]:
        """What is written inside is true by itself: where all is too much at once, it may be kept before the rest."""
        return self.work.separate()

    def rooms(
        self, keys: Iterable[QuotaKey], now_s: int, stale_after_s: float | None, but: str | None = None
    ) -> dict[QuotaKey, Room]:
        """Key → what a claim finds there; ``but`` for what that coordination holds itself."""
        keys = list(keys)
        # The ledgers first: what comes into one after it was read is a conflict, what comes before is seen.
        ledgers = {item.key[0]: item for item in self._ledgers(keys)}
        held: dict[QuotaKey, list[float]] = {}
        for r in (r for ledger in ledgers.values() for r in held_in(ledger)):
            if r.expires_s > now_s and r.coordination != but:
                held.setdefault(r.key, []).append(r.amount)
        facts = {key: Meta.of(item) for key, item in zip(keys, self._quotas(keys), strict=True)}
        days = self.work.calls.each(lambda key: usage.recent(self.work, quota_id(key), now_s), keys)
        result = {}
        for key, recent in zip(keys, days, strict=True):
            quota = facts[key].quota or Quota(key=key, value=math.nan)
            used, used_s = last_usage(recent, now_s, stale_after_s)
            result[key] = Room(
                key=key, quota=quota.value, usage=used, usage_s=used_s, now_s=now_s, reserved=tuple(held.get(key, ()))
            )
        return result

    def audit(self, coordination: str | None) -> list[AuditLine]:
        """The audit trail, of all or of one, oldest first."""
        if coordination is None:
            items = sorted(self.work.scan("audit", "claim/"), key=lambda item: (item.key[1], item.key[0]))
        else:
            items = self.work.query("audit", f"claim/{coordination}")
        return [line_of(number, item) for number, item in enumerate(items, 1)]

    # How it is kept.

    def _claim(self, name: str) -> Item:
        return self.work.one("coordinations", (f"claim/{name}",))

    def _token(self, token: str) -> Item:
        return self.work.one("coordinations", (f"token/{token}",))

    def _ledgers(self, keys: Iterable[QuotaKey]) -> list[Item]:
        places = dict.fromkeys(ledger_of(key) for key in keys)
        return self.work.get("reservations", [(place,) for place in places])

    def _quotas(self, keys: Sequence[QuotaKey]) -> list[Item]:
        return self.work.get("quotas", [(quota_id(key),) for key in keys])

    def _write(self, changes: Sequence[Change], action: str, name: str, now_s: int, words: Words) -> None:
        claim = self._claim(name)
        ledgers = self._ledgers(one.key for change in changes for one in change if one is not None)
        at = self.work.tick(claim, *ledgers)
        body, forced = said_of(changes)
        line = {"at_s": now_s, "action": action, "by": words[0], "why": words[1], "forced": forced, "changes": body}
        self.work.put(Item("audit", (f"claim/{name}", at), line, at=at), new=True)
        for ledger in ledgers:
            self._write_ledger(ledger, changes, at)
        if claim.body is not None:  # of what is overdue, DynamoDB may have removed it before anybody noted that
            self._write_claim(claim, changes, now_s, at)

    def _write_claim(self, claim: Item, changes: Sequence[Change], now_s: int, at: int) -> None:
        known = {r.key: r for r in reservations_of(claim)}
        for was, new in changes:
            if new is not None:
                known[new.key] = new
            elif was is not None:
                known.pop(was.key, None)
        # DynamoDB may have removed the token before the coordination, and somebody have claimed under it again.
        name, token = str(claim.key[0]).removeprefix("claim/"), self._token(claim.body["token"])
        owned = token.body is None or token.body["coordination"] == name
        if not known:
            self.work.put(replace(claim, body=None, at=at))
            if owned:
                self.work.put(replace(token, body=None, at=at))
            return
        rows = [_row(r) for r in known.values()]
        # By this machine's clock as well as by what was stated: whoever states another moment, past or future, must not
        # make DynamoDB remove what is still held.
        purge_s = max(r.purge_s for r in known.values())
        ttl = max(claim.ttl, max(purge_s, int(time.time()) + purge_s - now_s) + TTL_AFTER_S)
        self.work.put(replace(claim, body={**claim.body, "held": rows}, ttl=ttl, at=at))
        if ttl != claim.ttl and owned:
            owner = {"coordination": name, "digest": claim.body["digest"]}
            self.work.put(replace(token, body=owner, ttl=ttl, at=at))

    def _write_ledger(self, ledger: Item, changes: Sequence[Change], at: int) -> None:
        held = {(r.coordination, r.key): r for r in held_in(ledger)}
        for was, new in changes:
            one = new or was
            if one is None or ledger_of(one.key) != ledger.key[0]:
                continue
            held.pop((one.coordination, one.key), None)
            if new is not None and new.status == "active":
                held[new.coordination, new.key] = new
        if not held and ledger.body is None:
            return
        rows = {name: [_row(r) for r in of_name] for name, of_name in by_coordination(held.values()).items()}
        index: dict[str, Any] = {"expires": min((r.expires_s for r in held.values()), default=0)}
        region = next((r.key.region for r in held.values()), "")
        index |= {"region": region} if region else {}
        # One that holds nothing stays: it says what the next line of the trail comes after, whoseever clock is behind.
        self.work.put(replace(ledger, body=rows, index=index, at=at))


def ledger_of(key: QuotaKey) -> str:
    """The ledger in which a quota stands."""
    return id_of(key.account, key.region)


def _row(r: Reservation) -> list[Any]:
    return [list(r.key), r.amount, r.created_s, r.expires_s, r.purge_s, r.status, r.ended_s, r.forced]


def _reservation(name: str, row: Sequence[Any]) -> Reservation:
    key, amount, created, expires, purge, status, ended, forced = row
    return Reservation(
        coordination=name, key=QuotaKey(*key), amount=amount, created_s=created, expires_s=expires, purge_s=purge,
        status=status, ended_s=ended, forced=forced,
    )  # fmt: skip


@reader
def reservations_of(claim: Item) -> list[Reservation]:
    """What a coordination holds or held."""
    name = str(claim.key[0]).removeprefix("claim/")
    return [] if claim.body is None else [_reservation(name, row) for row in claim.body["held"]]


@reader
def held_in(ledger: Item) -> list[Reservation]:
    """What is held in an account and Region."""
    of_name: Mapping[str, Sequence[Any]] = ledger.body or {}
    return [_reservation(name, row) for name, rows in of_name.items() for row in rows]


def line_of(number: int, item: Item) -> AuditLine:
    """A line of the audit trail."""
    said = item.body
    return AuditLine(
        number=number, at_s=said["at_s"], action=said["action"], by=said["by"], why=said["why"],
        coordination=str(item.key[0]).removeprefix("claim/"), changes=changes_of(said["changes"]),
        forced=said["forced"],
    )  # fmt: skip
