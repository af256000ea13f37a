"""Failovers in DynamoDB: an item for each, a list of all, and a line about every move."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ...errors import StoreError
from ..failovers import Failovers, Moved
from .items import Item, Key
from .units import Units

FAILOVERS: Key = ("failovers",)


class FailoverItems(Units, Failovers):
    """`Failovers` in DynamoDB."""

    def failovers(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Name → state and body of each, in the order in which they were first begun."""
        with self._snapshot():
            names = self._failover_names()
            items = self._now.get("coordinations", [(f"failover/{name}",) for name in names])
            for name, item in zip(names, items, strict=True):
                if item.body is None:
                    raise StoreError(f"store {self.address}: failover {name}: is damaged (it is listed, and not there)")
            return {name: (item.body["state"], item.body["body"]) for name, item in zip(names, items, strict=True)}

    def failover_events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every move, oldest first: failover, at, action, before, after, by, why, and the body it had then."""
        with self._snapshot():
            kept = (
                self._now.scan("audit", "failover/") if name is None else self._now.query("audit", f"failover/{name}")
            )
            moves = [Moved(**item.body) for item in sorted(kept, key=lambda item: item.key[1])]
            return [move.to_dict(json.loads(move.body)) for move in moves]

    def _write_move(self, move: Moved, *, first: bool) -> None:
        # Whoever moves any failover writes their list: two that would give up the same Region meet there.
        listed = self._now.one("coordinations", FAILOVERS)
        names = self._failover_names()
        at = self._now.tick(listed)
        names += [move.failover] if first else []
        self._now.put(Item("coordinations", FAILOVERS, names, at=at))
        body = {"state": move.after, "body": json.loads(move.body)}
        self._now.put(Item("coordinations", (f"failover/{move.failover}",), body, at=at))
        self._now.put(Item("audit", (f"failover/{move.failover}", at), asdict(move), at=at), new=True)

    def _failover_names(self) -> list[str]:
        return list(self._now.one("coordinations", FAILOVERS).body or ())
