"""Failovers as rows of the embedded store."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

from .failovers import Failovers, Moved
from .schema import SOUND, read_body

_EVENT = "failover, at, action, state_before, state_after, actor, why, body"


class FailoverRows(Failovers):
    """`Failovers` in SQLite."""

    _db: sqlite3.Connection

    def _snapshot(self) -> contextlib.AbstractContextManager[None]:
        raise NotImplementedError

    def failovers(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Name → state and body of each, in the order in which they were first begun."""
        with self._snapshot():
            query = f"SELECT name, {SOUND['failover']}, state, body FROM failover ORDER BY rowid"
            return {
                name: (state, read_body(sound, body, "a failover"))
                for name, sound, state, body in self._db.execute(query)
            }

    def failover_events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every move, oldest first: failover, at, action, before, after, by, why, and the body it had then."""
        with self._snapshot():
            query = f"SELECT {SOUND['failover_event']}, {_EVENT} FROM failover_event"
            query += " WHERE failover = ? OR ? IS NULL ORDER BY id"
            names = ("failover", "at_s", "action", "before", "after", "by", "why", "body")
            moves = [
                (sound, Moved(**dict(zip(names, row, strict=True))))
                for sound, *row in self._db.execute(query, (name, name))
            ]
            return [move.to_dict(read_body(sound, move.body, "a failover")) for sound, move in moves]

    def _write_move(self, move: Moved, *, first: bool) -> None:
        row = (
            "INSERT INTO failover (state, body, name) VALUES (?, ?, ?)"
            if first
            else "UPDATE failover SET state = ?, body = ? WHERE name = ?"
        )
        self._db.execute(row, (move.after, move.body, move.failover))
        values = (move.failover, move.at_s, move.action, move.before, move.after, move.by, move.why, move.body)
        self._db.execute(f"INSERT INTO failover_event ({_EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
