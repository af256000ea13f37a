"""What keeps a store in DynamoDB well: all of it is read and checked, and usage that is older is removed."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ...scenario import Scenario
from ..reservations import STATES, Reservation
from ..samples import instant
from ..schema import DAY_S
from ..soundness import MOST_DAY, Damage, StoreCheck
from ..upkeep import Compaction
from . import usage
from .book import held_in, ledger_of, line_of, reservations_of
from .calls import Calls, Conflict, Write
from .items import UNREADABLE, VERSION, Damaged, Item, Key, named, size_of, unpacked
from .meta import Meta
from .span import SPAN, noted
from .tables import TABLES
from .work import Work

#: So often what is read item by item is read again, until it is of one moment.
RE_READ = 10
_WRONG = (Damaged, *UNREADABLE)


class _Checked:
    """Every item of a store, read once, and what is wrong with some."""

    def __init__(self, calls: Calls) -> None:
        self.bytes = 0
        self.damage: list[Damage] = []
        self.items: dict[str, list[Item]] = {table: [] for table in TABLES}
        self.samples = 0
        self.ends = (math.inf, -math.inf)
        for table in TABLES:
            for wire in calls.raw(table):
                self.bytes += size_of(wire)
                try:
                    self._add(unpacked(table, wire))
                except Damaged as error:
                    self.wrong(table, str(error).partition(": ")[2] or str(error), str(error).partition(":")[0])

    def _add(self, item: Item) -> None:
        if item.table == "usage":  # read, and let go
            time_s, value = usage.unpack(item)
            self.samples += len(value)
            if len(time_s):
                self.ends = min(self.ends[0], int(time_s[0])), max(self.ends[1], int(time_s[-1]))
            item = Item("usage", item.key, len(value), version=item.version)
        self.items[item.table].append(item)

    def wrong(self, table: str, reason: str, item: str = "", days: str = "") -> None:
        self.damage.append(Damage(table=table, item=item.removeprefix(f"{table} "), days=days, reason=reason))

    def read(self, table: str, begins: str, reader: Callable[[Item], Any]) -> dict[str, Any]:
        """Read every item of which the key begins so; by the rest of the first part of its key."""
        result = {}
        for item in self.items[table]:
            if not str(item.key[0]).startswith(begins):
                continue
            try:
                result[str(item.key[0]).removeprefix(begins)] = reader(item)
            except _WRONG as error:
                self.wrong(table, f"is damaged ({error})", named(table, item.key))
        return result


def check_items(calls: Calls) -> StoreCheck:
    """Read everything, and say what of it is not what was written.

    It is read item by item, and somebody may be writing: what is wrong is what is so whenever it is read.
    """
    made = _checked(calls)
    for _ in range(RE_READ):
        if made.sound:
            break
        again = _checked(calls)
        known, made = made.damage, replace(again, damage=tuple(one for one in again.damage if one in made.damage))
        if made.damage == known:
            break
    return made


def _checked(calls: Calls) -> StoreCheck:
    found = _Checked(calls)
    metas = found.read("quotas", "", Meta.of)
    for item in found.items["usage"]:
        if item.key[0] not in metas:
            day = str(np.datetime64(int(item.key[1]), "D")) if abs(int(item.key[1])) <= MOST_DAY else str(item.key[1])
            found.wrong("usage", "is of no quota that is there", str(item.key[0]), day)
    found.read("scenarios", "", lambda item: Scenario(**item.body["scenario"]))
    claims = found.read("coordinations", "claim/", _sound_claim)
    found.read("audit", "claim/", lambda item: line_of(1, item))
    for reason in _claims_differ(calls, found):
        found.wrong("reservations", reason)
    failovers = found.read("coordinations", "failover/", lambda item: (item.body["state"], item.body["body"]))
    listed = [name for item in found.items["coordinations"] if item.key == ("failovers",) for name in item.body]
    if set(listed) != set(failovers):
        found.wrong("coordinations", "the list of failovers is not of those that are there", "failovers")
    found.read("plans", str(SPAN[0]), noted)
    counts = {kind: _documents(found, kind) for kind in ("plan", "import")}
    first, last = found.ends
    return StoreCheck(
        path=str(calls.address),
        bytes=found.bytes,
        schema_version=VERSION,
        latest=VERSION,
        series=sum(meta.used for meta in metas.values()),
        days=len(found.items["usage"]),
        samples=found.samples,
        first="" if found.samples == 0 else instant(int(first)),
        last="" if found.samples == 0 else instant(int(last)),
        quotas=sum(meta.quota is not None for meta in metas.values()),
        scenarios=len(found.items["scenarios"]),
        plans=counts["plan"],
        imports=counts["import"],
        reservations=sum(len(held) for held in claims.values()),
        failovers=len(failovers),
        damage=tuple(dict.fromkeys(found.damage)),
    )


def _sound_claim(item: Item) -> list[Reservation]:
    held = reservations_of(item)
    for r in held:
        if r.status not in STATES or not 0 < r.amount < math.inf or r.expires_s < r.created_s:
            raise ValueError("a reservation that nobody could have made")
    return held


def _claims_differ(calls: Calls, found: _Checked) -> list[str]:
    """Where coordinations and ledgers do not say the same at one moment."""
    claims = [item for item in found.items["coordinations"] if str(item.key[0]).startswith("claim/")]
    try:
        pairs = list(dict.fromkeys(pair for pair, _ in _differences(claims, found.items["reservations"])))
        # Those two of one moment, since they were not read at once.
        return [reason for reasons in calls.each(lambda pair: _differ(calls, *pair), pairs) for reason in reasons]
    except _WRONG as error:
        return [f"cannot be read ({error})"]


def _differ(calls: Calls, claim: Key, ledger: Key) -> list[str]:
    for _ in range(RE_READ):
        with suppress(Conflict):  # somebody writes them
            one, other = calls.together([("coordinations", claim), ("reservations", ledger)])
            return [reason for pair, reason in _differences([one], [other]) if pair == (claim, ledger)]
        time.sleep(0.05)
    return []


def _differences(claims: Iterable[Item], ledgers: Iterable[Item]) -> Iterator[tuple[tuple[Key, Key], str]]:
    """Keys of a coordination and a ledger, and what differs; an overdue one may be without its coordination."""
    owners = {item.key: item.body is not None for item in claims}
    held = {(r.coordination, r.key): r for item in claims for r in reservations_of(item) if r.status == "active"}
    stands = {(r.coordination, r.key): r for item in ledgers for r in held_in(item)}
    for name, key in {**held, **stands}:
        claim, ledger = (f"claim/{name}",), (ledger_of(key),)
        if (name, key) not in stands:
            yield (claim, ledger), f"{name}: {key} is held, and not in its ledger"
        elif owners.get(claim) and held.get((name, key)) != stands[name, key]:
            yield (claim, ledger), f"{name}: {key} is in the ledger of {ledger[0]}, and not what the coordination says"


def _documents(found: _Checked, kind: str) -> int:
    parts: dict[str, dict[int, bytes]] = {}
    heads = []
    for item in found.items["plans"]:
        if item.key[0] == kind:
            heads.append(item)
        elif str(item.key[0]).startswith(f"{kind}/"):
            parts.setdefault(str(item.key[0]), {})[int(item.key[1])] = item.body
    for head in heads:
        try:
            own = parts.get(f"{kind}/{head.key[1]}", {})
            if sorted(own) != list(range(head.body["parts"])):
                raise ValueError(f"{len(own)} of {head.body['parts']} parts are there")
            zlib.decompress(b"".join(own[n] for n in sorted(own)))
        except (*_WRONG, zlib.error) as error:  # noqa: PERF203 - few are
            found.wrong("plans", f"is damaged ({error})", f"{kind} {head.key[1]}")
    return len(heads)


def compact_items(calls: Calls, keep_s: float | None, remove: bool) -> Compaction:
    """Remove days of usage that are older, if told to."""
    check_items(calls).require_sound("it was not compacted, and nothing was changed")
    sizes = {"usage": 0}
    days: list[Item] = []
    for wire in calls.raw("usage"):
        sizes["usage"] += size_of(wire)
        item = unpacked("usage", wire)
        days.append(Item("usage", item.key, len(usage.unpack(item)[1]), version=item.version))
    metas = [Meta.of(item) for item in calls.scan("quotas")]
    last_s = max((meta.last_s for meta in metas if meta.last_s is not None), default=None)
    first = None if keep_s is None or last_s is None else math.floor((last_s - keep_s) / DAY_S)
    older = [] if first is None else [item for item in days if int(item.key[1]) < first]
    kept = {item.key[0] for item in days} - {item.key[0] for item in older}
    kept |= {item.key[0] for item in days if first is not None and int(item.key[1]) >= first}
    lose = {item.key[0] for item in older}
    made = Compaction(
        path=str(calls.address),
        keep_s=keep_s,
        before=str(np.datetime64(first, "D")) if older and first is not None else "",
        days=len(older),
        samples=sum(item.body for item in older),
        series=len(lose),
        emptied=len(lose - kept),
        done=bool(remove or not older),
        bytes_before=sizes["usage"],
        bytes_after=sizes["usage"],
        kept_in="table of usage",
    )
    if older and remove and first is not None:
        _removed(calls, older)
        with suppress(Conflict):  # somebody imports: the next import looks for itself
            _shortened(calls, [meta for meta in metas if meta.item.key[0] in lose], first * DAY_S, kept)
        after = sum(size_of(wire) for wire in calls.raw("usage"))
        made = Compaction(**{**vars(made), "bytes_after": after})
    return made


def _removed(calls: Calls, older: Iterable[Item]) -> None:
    def gone(item: Item) -> None:
        with suppress(Conflict):  # somebody adds to that day at this moment: the next time
            calls.write([Write(Item("usage", item.key), item.version)])

    calls.each(gone, older)


def _shortened(calls: Calls, metas: Iterable[Meta], first_s: int, kept: Container[object]) -> None:
    """Note of quotas since when they have samples now, and that the span of all is to be looked at again."""
    work = Work(calls)
    for meta in metas:
        there = meta.item.key[0] in kept
        begins = max(first_s, meta.first_s if meta.first_s is not None else first_s)
        ends = {"first_s": begins} if there else {"first_s": None, "last_s": None}
        work.get("quotas", [meta.item.key])
        work.seen[meta.item.place] = meta.item  # as it was when the days were counted
        work.put(replace(meta, **ends).to_item(meta.born), bulk=0)
    if work.one("plans", SPAN).body is not None:
        work.put(Item("plans", SPAN))
    work.commit()
