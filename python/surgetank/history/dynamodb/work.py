"""A unit of work: what was read, each item once, and what is to be written if all of that still stands.

Nothing is locked and nobody waits for a process that died: who comes second reads again, and decides again.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import StoreError
from .calls import MOST_CHANGED, MOST_CHANGED_BYTES, Calls, Conflict, Write
from .items import Item, Key

Place = tuple[str, Key]
Writes = dict[Place, Write]
#: Tables of what coordinators agree on, in several items at once.
AGREED = ("coordinations", "reservations")


@dataclass
class Work:
    """Reads and writes of one attempt. It sees its own writes."""

    calls: Calls
    seen: dict[Place, Item] = field(default_factory=dict)  #: as it is in the tables
    main: Writes = field(default_factory=dict)  #: what must be written together
    apart: list[Writes] = field(default_factory=list)  #: what is true by itself, and comes before
    bulk: dict[Place, int] = field(default_factory=dict)  #: of `main`, what may be written one by one; in which order
    begun: dict[Place, Any] = field(default_factory=dict)  #: bodies that stand there until all before them is written
    _scanned: set[tuple[str, str]] = field(default_factory=set)
    _new: dict[Place, Item] = field(default_factory=dict)  # as it will be
    _into: Writes | None = None
    reads_only: bool = False  #: nothing that it writes is to be kept
    partly: bool = False  #: a part was written, and not all
    _last: int = 0

    # Reading.

    def get(self, table: str, keys: Sequence[Key]) -> list[Item]:
        """Items by key, as they will be; those that are not there have no body."""
        missing = [key for key in dict.fromkeys(keys) if (table, key) not in self.seen]
        for item in self.calls.get(table, missing).values() if missing else ():
            self.seen[item.place] = item
        return [self._now(self.seen[table, key]) for key in keys]

    def one(self, table: str, key: Key) -> Item:
        """One item."""
        return self.get(table, [key])[0]

    def scan(self, table: str, begins: str = "") -> list[Item]:
        """Every item of a table, as it will be; ``begins``: of which the first part of the key begins so."""
        if (table, begins) not in self._scanned:
            for item in self.calls.scan(table, begins):
                self.seen.setdefault(item.place, item)
            self._scanned.add((table, begins))
        places = dict.fromkeys([*self.seen, *self._new])
        return self._there(p for p in places if p[0] == table and str(p[1][0]).startswith(begins))

    def query(self, table: str, first: str) -> list[Item]:
        """Every item that shares the first part of its key, in order of the second."""
        if (table, f"={first}") not in self._scanned:
            for item in self.calls.query(table, first):
                self.seen.setdefault(item.place, item)
            self._scanned.add((table, f"={first}"))
        places = dict.fromkeys([*self.seen, *self._new])
        found = self._there(p for p in places if p[0] == table and p[1][0] == first)
        return sorted(found, key=lambda item: item.key[-1])

    def written(self, table: str) -> list[tuple[Place, Item]]:
        """Items of a table that this unit of work writes."""
        return [(place, item) for place, item in self._new.items() if place[0] == table and item.body is not None]

    def _there(self, places: Iterator[Place]) -> list[Item]:
        items = (self._now(self.seen.get(place) or Item(*place)) for place in places)
        return [item for item in items if item.body is not None]

    def _now(self, item: Item) -> Item:
        return self._new.get(item.place, item)

    # Writing.

    def put(self, item: Item, *, new: bool = False, bulk: int | None = None, begun: Any = None) -> None:
        """Write an item, or delete it where its body is None. What stands there is read first, unless it is new.

        ``bulk``: where all is too much at once it may be written by itself, smaller numbers first, since writing it
        again does no harm. ``begun``: the body of one that is new, which others need before it may be written.
        """
        if new:
            self.seen.setdefault(item.place, Item(item.table, item.key))
        known = self.one(item.table, item.key)
        into = self.main if self._into is None else self._into
        version = "" if item.body is None else secrets.token_hex(8)
        item = replace(item, version=version, at=item.at or self.tick(known))
        before = into[item.place].before if item.place in into else known.version
        into[item.place] = Write(item, before)
        self._new[item.place] = item
        if bulk is not None:
            self.bulk[item.place] = bulk
        if begun is not None:
            self.begun[item.place] = begun

    def tick(self, *before: Item) -> int:
        """Nanoseconds since 1970 by this machine's clock, but always after what those items say.

        What follows from another change is later than it, whoseever clock is wrong.
        """
        self._last = max(time.time_ns(), self._last + 1, *(item.at + 1 for item in before))
        return self._last

    @contextlib.contextmanager
    def separate(self) -> Iterator[None]:
        """What is written inside may be kept before the rest is, if nothing else was written before it."""
        if self.main or self._into is not None:
            yield
            return
        self._into = {}
        self.apart.append(self._into)
        try:
            yield
        finally:
            self._into = None

    # The end.

    def require_unchanged(self) -> None:
        """`Conflict` where what coordinators agree on is not what was read any more.

        Items are read one after the other. If each still stands when the last was read, all of them stood together;
        else a refusal may be about something that never was.
        """
        for table in AGREED:
            keys = [key for name, key in self.seen if name == table]
            if any(item.version != self.seen[table, key].version for key, item in self.calls.get(table, keys).items()):
                raise Conflict

    def mark(self) -> Any:
        """Where it stands; `back` undoes what comes after."""
        return dict(self.main), [dict(group) for group in self.apart], dict(self.bulk)

    def back(self, mark: Any) -> None:
        """Undo what was written since."""
        self.main, self.apart, self.bulk = mark
        self._new = {place: write.item for group in (*self.apart, self.main) for place, write in group.items()}

    def commit(self) -> None:
        """Write everything, or nothing; `Conflict` where what was read does not stand any more."""
        groups = [group for group in (*self.apart, self.main) if group]
        whole = _joined(groups)
        if self._fits(whole):
            self.calls.write(list(whole.values()))
            return
        self._require_possible()
        self.partly = True
        together: list[Writes] = []
        for group in self.apart:
            if together and not self._fits(_joined([*together, group])):
                self._write(_joined(together))
                together = []
            together.append(group)
        self._write(_joined(together))
        self._write(self.main)

    def _require_possible(self) -> None:
        """Refuse what must be written together and cannot be, before any of it is."""
        for group in (*self.apart, self.main):
            rest = {place: write for place, write in group.items() if place not in self.bulk}
            if not self._fits(rest):
                most, size = f"{MOST_CHANGED} items and {MOST_CHANGED_BYTES:,} bytes", self.calls.size_of(rest.values())
                rule = f"DynamoDB changes at most {most} at once (got {len(rest)} and {size:,})"
                raise StoreError(f"store {self.calls.address}: {rule}; nothing was changed, ask for less in one call")

    def _write(self, group: Writes) -> None:
        """A group at once, or as far as it may be written one by one."""
        if self._fits(group):
            self.calls.write(list(group.values()))
            return
        single = {place: write for place, write in group.items() if place in self.bulk}
        rest = {place: write for place, write in group.items() if place not in self.bulk}
        new = [place for place, write in single.items() if place in self.begun and not write.before]
        single.update(self.calls.each(self._begin, [(place, single[place]) for place in new]))
        for number in sorted({self.bulk[place] for place in single}):
            self.calls.each(
                lambda write: self.calls.write([write]),
                [write for place, write in single.items() if self.bulk[place] == number],
            )
        self.calls.write(list(rest.values()))

    def _begin(self, one: tuple[Place, Write]) -> tuple[Place, Write]:
        """Write how an item begins; give what is to be written after it."""
        place, write = one
        first = replace(write.item, body=self.begun[place], version=secrets.token_hex(8))
        self.calls.write([Write(first, "")])
        return place, Write(write.item, first.version)

    def _fits(self, writes: Writes) -> bool:
        return len(writes) <= MOST_CHANGED and self.calls.size_of(writes.values()) <= MOST_CHANGED_BYTES


def _joined(groups: Sequence[Writes]) -> Writes:
    """Several groups as one: each item as it will be, if it is what it was at first."""
    result: Writes = {}
    for group in groups:
        for place, write in group.items():
            before = result[place].before if place in result else write.before
            result[place] = Write(write.item, before)
    # What comes and goes in between is not written at all; DynamoDB deletes nothing that is not there.
    return {place: write for place, write in result.items() if write.before or write.item.body is not None}
