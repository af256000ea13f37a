"""Failovers in the embedded store: where each stands, and who brought it there, when and why."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from ..errors import invalid
from .reservations import NORMAL
from .samples import instant
from .schema import SOUND, read_body


class Failovers:
    """The methods of a `Store` that keep failovers."""

    _db: sqlite3.Connection

    # Given by the store.

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Everything inside happens, or nothing does."""
        raise NotImplementedError

    def _snapshot(self) -> contextlib.AbstractContextManager[None]:
        raise NotImplementedError

    def failover(self, name: str) -> tuple[str, dict[str, Any]]:
        """State and body of one; "normal" and nothing of one that nobody began."""
        with self._snapshot():
            query = f"SELECT {SOUND['failover']}, state, body FROM failover WHERE name = ?"
            row = self._db.execute(query, (name,)).fetchone()
            return (NORMAL, {}) if row is None else (row[1], read_body(row[0], row[2], "a failover"))

    def failovers(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Name → state and body of each, in the order in which they were first begun."""
        with self._snapshot():
            query = f"SELECT name, {SOUND['failover']}, state, body FROM failover ORDER BY rowid"
            return {
                name: (state, read_body(sound, body, "a failover"))
                for name, sound, state, body in self._db.execute(query)
            }

    def move_failover(
        self, name: str, *, before: tuple[str, int], after: str, body: Mapping[str, Any], action: str, by: str,
        why: str, now_s: int,
    ) -> None:  # fmt: skip
        """Bring one from a state and revision to the next, with a line about it; refused where somebody was first."""
        text = json.dumps(body)
        with self.transaction():
            state, kept = self.failover(name)
            if (state, kept.get("revision", 0)) != before:
                raise invalid("failover", f"{name} must still be {before[0]}: somebody moved it meanwhile", state)
            known = self._db.execute("SELECT 1 FROM failover WHERE name = ?", (name,)).fetchone()
            row = (
                "UPDATE failover SET state = ?, body = ? WHERE name = ?"
                if known
                else "INSERT INTO failover (state, body, name) VALUES (?, ?, ?)"
            )
            self._db.execute(row, (after, text, name))
            fields = "failover, at, action, state_before, state_after, actor, why, body"
            self._db.execute(
                f"INSERT INTO failover_event ({fields}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (name, now_s, action, before[0], after, by, why, text),
            )

    def failover_events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every move, oldest first: failover, at, action, before, after, by, why, and the body it had then."""
        names = ("failover", "at", "action", "before", "after", "by", "why", "body")
        fields = "failover, at, action, state_before, state_after, actor, why, body"
        with self._snapshot():
            query = f"SELECT {SOUND['failover_event']}, {fields} FROM failover_event"
            query += " WHERE failover = ? OR ? IS NULL ORDER BY id"
            return [
                dict(
                    zip(
                        names,
                        (row[0], instant(row[1]), *row[2:-1], read_body(sound, row[-1], "a failover")),
                        strict=True,
                    )
                )
                for sound, *row in self._db.execute(query, (name, name))
            ]
