"""Failovers in a store: where each stands, and who brought it there, when and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ..errors import invalid
from .reservations import NORMAL
from .samples import instant

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One move of a failover, as a store keeps it."""

    failover: str
    at_s: int
    action: str
    before: str
    after: str
    by: str
    why: str
    body: str  #: JSON: where it stood then

    def to_dict(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Plain values; ``body``: what `body` says."""
        names = ("action", "before", "after", "by", "why")
        said = {name: getattr(self, name) for name in names}
        return {"failover": self.failover, "at": instant(self.at_s), **said, "body": dict(body)}


class Failovers:
    """The methods of a `Store` that keep failovers."""

    # Given by the store.

    def attempt(self, work: Callable[[], _T], *, keep: Callable[[_T], bool] = lambda _: True) -> _T:
        """Do all of it in one transaction, which is undone where its answer is not to be kept."""
        raise NotImplementedError

    def failovers(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Name → state and body of each, in the order in which they were first begun."""
        raise NotImplementedError

    def failover_events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every move, oldest first: failover, at, action, before, after, by, why, and the body it had then."""
        raise NotImplementedError

    def _write_move(self, move: Moved, *, first: bool) -> None:
        raise NotImplementedError

    # The same for every store.

    def failover(self, name: str) -> tuple[str, dict[str, Any]]:
        """State and body of one; "normal" and nothing of one that nobody began."""
        return self.failovers().get(name, (NORMAL, {}))

    def move_failover(
        self, name: str, *, before: tuple[str, int], after: str, body: Mapping[str, Any], action: str, by: str,
        why: str, now_s: int,
    ) -> None:  # fmt: skip
        """Bring one from a state and revision to the next, with a line about it; refused where somebody was first."""
        move = Moved(
            failover=name, at_s=now_s, action=action, before=before[0], after=after, by=by, why=why,
            body=json.dumps(body),
        )  # fmt: skip

        def moved() -> None:
            known = self.failovers()
            state, kept = known.get(name, (NORMAL, {}))
            if (state, kept.get("revision", 0)) != before:
                raise invalid("failover", f"{name} must still be {before[0]}: somebody moved it meanwhile", state)
            self._write_move(move, first=name not in known)

        self.attempt(moved)
