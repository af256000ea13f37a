"""Reservations in a store: each call is one transaction, and sees what all calls before it did.

What is overdue holds nothing, noted or not. Whoever takes the room of an overdue reservation notes in the same
transaction that it has expired: a clock that is then put back does not bring it to life again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from .._bridge import Duration, Instant, duration_s
from ..errors import invalid
from .book import Book, by_coordination
from .claiming import claim, held_until, known_of, note_overdue, resize
from .keys import QuotaKey
from .reservations import (
    HOLD_S,
    Amounts,
    AuditLine,
    Claim,
    Reservations,
    after,
    amounts_of,
    clock_s,
    keys_of,
    named,
    request,
    said,
)
from .room import Room, over_of, total

#: Reservations may be made by a clock that is a little ahead.
CLOCKS_DIFFER_S = 60


_T = TypeVar("_T")


class Claims:
    """The methods of a `Store` that promise room."""

    # Given by the store.

    def attempt(self, work: Callable[[], _T], *, keep: Callable[[_T], bool] = lambda _: True) -> _T:
        """Do all of it in one transaction, which is undone where its answer is not to be kept."""
        raise NotImplementedError

    def _snapshot(self) -> contextlib.AbstractContextManager[None]:
        raise NotImplementedError

    @property
    def _book(self) -> Book:
        raise NotImplementedError

    # What a coordinator does.

    def reserve(
        self, amounts: Amounts, *, hold_s: Duration = HOLD_S, purge_s: Duration | None = None,
        coordination: str | None = None, token: str | None = None, by: str = "", why: str = "", force: bool = False,
        dry_run: bool = False, stale_after_s: Duration | None = None, now: Instant | None = None,
    ) -> Claim:  # fmt: skip
        """Reserve room in quotas: all of it, or nothing.

        Parameters
        ----------
        amounts : mapping of QuotaKey to number
            How much of each quota, above 0, in its unit.
        hold_s : float (seconds) or timedelta, default 24 h
            For how long. From then on the room is free again, whether or not anybody cleans up.
        purge_s : float (seconds) or timedelta, optional
            After how long `purge_reservations` may forget it, once it has ended; at least ``hold_s``. Default: the
            longer of 7 d and ``hold_s``.
        coordination : str, optional
            What these reservations are called together; must be new. Default: a random name.
        token : str, optional
            An idempotency token: the same claim under the same token is made once, however often it is asked for, and
            answered with what became of it. Until it is purged.
        by, why : str, optional
            For the audit trail.
        force : bool, default False
            Claim it even where there is no room. Needs ``why``; the answer, the list and the audit trail say so.
        dry_run : bool, default False
            Say whether it would be granted, and change nothing.
        stale_after_s : float (seconds) or timedelta, optional
            Usage older than that at ``now`` is not known, and has no room. Default: older than an hour and than
            twelve of its steps.
        now : instant, optional
            The moment of the claim. Default: the clock.

        Returns
        -------
        Claim
            ``granted``, ``coordination``, ``reservations``; ``short``: what had no room. Having no room is an answer;
            ``require_met()`` raises.

        Raises
        ------
        InvalidInput
            Names the argument, the rule and the value; also a name that is taken, or a token of another claim.
        StoreError
            The store cannot be written: it is as it was.

        Notes
        -----
        What is free is the quota less the last observed usage less what is reserved, added up without rounding: after
        a claim usage and active reservations are at most the quota, under any concurrency, crash and jump of a clock.
        A quota whose value or usage is not known has no room. Usage that grows afterwards can exceed what is left,
        which `reservations` lists as oversold.

        Examples
        --------
        >>> import surgetank, tempfile
        >>> from surgetank import History, QuotaKey
        >>> usage = History.from_array(
        ...     [[60.0, 30.0]], start="2026-01-01T00:00Z", step_s=300, regions=["us-east-1", "us-west-2"], quota=100.0
        ... )
        >>> west = QuotaKey(region="us-west-2")
        >>> at = "2026-01-01T00:10Z"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with surgetank.Store(f"{folder}/fleet.db", create=True) as store:
        ...         added = store.import_quotas(usage.quotas), store.add_samples(usage.samples())
        ...         [store.reserve({west: amount}, now=at).granted for amount in (60.0, 20.0)]
        [True, False]
        """
        asked = request(
            amounts, hold_s=hold_s, purge_s=purge_s, coordination=coordination, token=token, by=by, why=why,
            force=force, now=now,
        )  # fmt: skip
        limit = None if stale_after_s is None else duration_s(stale_after_s, "stale_after_s")
        made = self.attempt(lambda: claim(self._book, asked, limit), keep=lambda made: made.granted and not dry_run)
        return replace(made, done=made.granted and not dry_run)

    def resize(
        self, coordination: str, amounts: Amounts, *, hold_s: Duration | None = None, by: str = "", why: str = "",
        force: bool = False, dry_run: bool = False, stale_after_s: Duration | None = None, now: Instant | None = None,
    ) -> Claim:  # fmt: skip
        """Change what a coordination holds to these amounts, all at once: 0 or left out is released, more is claimed.

        Parameters
        ----------
        coordination : str
            One that holds reservations.
        amounts : mapping of QuotaKey to number ≥ 0
        hold_s : float (seconds) or timedelta, optional
            Hold all of it for so long from now on. Default: as long as it was held anyway.
        by, why, force, dry_run, stale_after_s, now
            As for `reserve`.

        Returns
        -------
        Claim
            Where more does not fit nothing is changed, and ``short`` says what is lacking. A quota in which nothing
            more is asked for is never short.

        Raises
        ------
        InvalidInput
            Names the argument, the rule and the value; also a coordination that holds nothing any more.
        """
        wanted = {} if isinstance(amounts, Mapping) and not amounts else amounts_of(amounts, above=False)
        limit = None if stale_after_s is None else duration_s(stale_after_s, "stale_after_s")
        name, now_s, words = named(coordination, "coordination"), clock_s(now), (said(by, "by"), said(why, "why"))
        if force and not why.strip():
            raise invalid("why", "must say why room is claimed that is not there", why)
        until_s = None if hold_s is None else after(now_s, duration_s(hold_s, "hold_s", above=True), "hold_s")
        made = self.attempt(
            lambda: resize(self._book, name, wanted, until_s, limit, bool(force), now_s, words),
            keep=lambda made: made.granted and not dry_run,
        )
        return replace(made, done=made.granted and not dry_run)

    def renew(
        self, coordination: str, *, hold_s: Duration = HOLD_S, by: str = "", why: str = "", now: Instant | None = None
    ) -> Reservations:
        """Hold what a coordination has for so long from now on; never for less long than it was.

        Returns
        -------
        Reservations
            What was renewed: nothing where all of it has ended. What has expired cannot be renewed, since the room
            may be another's by now; reserve it anew.

        Raises
        ------
        InvalidInput
            Names the argument, the rule and the value; also a coordination that the store does not know.
        """
        name, now_s = named(coordination, "coordination"), clock_s(now)
        until_s = after(now_s, duration_s(hold_s, "hold_s", above=True), "hold_s")
        words = (said(by, "by"), said(why, "why"))

        def renewed() -> Reservations:
            note_overdue(self._book, now_s)
            held = [r for r in known_of(self._book, name) if r.status == "active"]
            later = tuple(held_until(r, until_s) for r in held)
            self._book.save(list(zip(held, later, strict=True)), "renew", name, now_s, words)
            return Reservations(found=later, now_s=now_s)

        return self.attempt(renewed)

    def release(
        self, coordination: str, keys: Iterable[QuotaKey] | None = None, *, by: str = "", why: str = "",
        now: Instant | None = None,
    ) -> Reservations:  # fmt: skip
        """Give back what a coordination holds, or the part of it in some quotas.

        Returns
        -------
        Reservations
            What was released by this call: nothing where it had ended before, so that it can be repeated.

        Raises
        ------
        InvalidInput
            A coordination that the store does not know, or a quota in which it never held anything.
        """
        name, now_s, words = named(coordination, "coordination"), clock_s(now), (said(by, "by"), said(why, "why"))
        chosen = None if keys is None else keys_of(keys)

        def released() -> Reservations:
            note_overdue(self._book, now_s)
            known = known_of(self._book, name)
            for key in chosen or ():
                if key not in {r.key for r in known}:
                    raise invalid("keys", f"must be quotas in which {name} reserved", str(key))
            held = [r for r in known if r.status == "active" and (chosen is None or r.key in chosen)]
            gone = tuple(replace(r, status="released", ended_s=now_s) for r in held)
            self._book.save(list(zip(held, gone, strict=True)), "release", name, now_s, words)
            return Reservations(found=gone, now_s=now_s)

        return self.attempt(released)

    def expire(self, *, now: Instant | None = None) -> Reservations:
        """Note what is overdue as expired. It held nothing before either; only the list becomes shorter."""
        now_s = clock_s(now)
        return Reservations(found=tuple(self.attempt(lambda: note_overdue(self._book, now_s))), now_s=now_s)

    def purge_reservations(self, *, by: str = "", now: Instant | None = None) -> int:
        """Forget reservations that have ended and are old enough; gives how many. The audit trail stays."""
        now_s, word = clock_s(now), said(by, "by")

        def purged() -> int:
            note_overdue(self._book, now_s)
            gone = self._book.read("old", now_s)
            for name, of_name in by_coordination(gone).items():
                with self._book.apart():
                    self._book.forget(of_name, name, now_s, (word, ""))
            return len(gone)

        return self.attempt(purged)

    # What anybody may ask.

    def reservations(
        self, *, coordination: str | None = None, ended: bool = False, now: Instant | None = None
    ) -> Reservations:
        """Reservations as of now: those that hold room, with ``ended`` also those that did.

        Returns
        -------
        Reservations
            ``found``, oldest first; ``over``: quotas in which usage has grown into what is reserved, or a claim was
            forced; ``unknown``: quotas of which that is not known.
        """
        now_s = clock_s(now)
        name = None if coordination is None else named(coordination, "coordination")
        with self._snapshot():
            known = self._book.read("all" if ended else "held", now_s) if name is None else self._book.of(name)
            found = [r for r in known if ended or r.status_at(now_s) == "active"]
            found.sort(key=lambda r: (r.created_s, r.coordination, r.key))  # whatever the store, in one order
            held = sorted({r.key for r in found if r.status_at(now_s) == "active"})
            rooms = self._book.rooms(held, now_s, None).values()
        unknown = tuple(f"{room.key}: {room.unknown}" for room in rooms if room.unknown)
        return Reservations(found=tuple(found), now_s=now_s, over=over_of(rooms), unknown=unknown)

    def reserved(self, *, but: str | None = None, at: Instant | None = None) -> dict[QuotaKey, float]:
        """Key → what is reserved of it at that moment (default: the clock's now), but for one's own coordination.

        Of a past moment: what was held then, in the amounts that were held last, and as far as it was not purged;
        `audit` has every amount there ever was. The last minute is now, by whosever clock.
        """
        then_s, own = clock_s(at, "at"), None if but is None else named(but, "but")
        past = at is not None and then_s < clock_s(None) - CLOCKS_DIFFER_S
        amounts: dict[QuotaKey, list[float]] = {}
        with self._snapshot():
            for r in self._book.read("then" if past else "held", then_s):
                if r.coordination != own and (r.held_at(then_s) or not past):
                    amounts.setdefault(r.key, []).append(r.amount)
        return {key: total(held) for key, held in amounts.items()}

    def rooms(
        self, keys: Sequence[QuotaKey], *, but: str | None = None, stale_after_s: Duration | None = None,
        now: Instant | None = None,
    ) -> dict[QuotaKey, Room]:  # fmt: skip
        """Key → what a claim would find there: quota, last usage, and what others hold."""
        limit = None if stale_after_s is None else duration_s(stale_after_s, "stale_after_s")
        asked, now_s, own = keys_of(keys), clock_s(now), None if but is None else named(but, "but")
        with self._snapshot():
            return self._book.rooms(asked, now_s, limit, own)

    def audit(self, *, coordination: str | None = None) -> list[AuditLine]:
        """Every change of reservations, oldest first: who, when, why, and what was and became of each amount."""
        name = None if coordination is None else named(coordination, "coordination")
        with self._snapshot():
            return self._book.audit(name)
