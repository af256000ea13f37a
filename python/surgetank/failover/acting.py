"""How an action is carried out: in one transaction, which a dry run undoes; the room first, then the state."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .._bridge import Duration, duration_s
from .._table import quantity, span
from ..errors import invalid
from ..history import QuotaKey
from ..history.reservations import HOLD_S, NORMAL, Amounts, Claim
from ..history.samples import instant
from .landing import landings_of, loads_of
from .life import LEAST_FRAC, Failover, Landing, known_name
from .move import Move, Row, Shed
from .placing import Placing, Scene, place, service_of

if TYPE_CHECKING:
    from ..history.anystore import AnyStore


@dataclass(frozen=True, kw_only=True)
class Acting:
    """Who takes which action, when and why; and whether for real."""

    action: str
    store: AnyStore
    act: bool
    by: str
    why: str
    now_s: int
    stale_after_s: Duration | None = None

    def run(self, name: str, decide: Callable[[Failover], Move], new: Failover | None = None) -> Move:
        """Let ``decide`` act on the failover as it stands; ``new`` is what one that is normal begins as."""

        def decided() -> Move:
            state, body = self.store.failover(name)
            one = Failover.of(name, state, body)
            if state == NORMAL and new is not None:
                one = replace(new, revision=one.revision)
            elif not body:
                known_name(name, self.store.failovers())
            return decide(one)

        made = self.store.attempt(decided, keep=lambda move: self.act and move.granted)
        return replace(made, done=self.act and made.granted)

    def place(self, one: Failover, *, seen: bool, stated: Amounts | None = None) -> Move:
        """Share out what has not landed yet, and hold room for it. ``seen``: it moves, and usage shows what landed."""
        state = one.after(self.action)
        scene, closed = self._scene(one), self._closed(one)
        scene.check(one.failed)
        for region in one.failed:
            if region in closed:
                rule = f"must not be given up twice; {closed[region]} does it, and is not normal yet"
                raise invalid("failed", rule, region)
        loads = loads_of(scene, one, self.action, seen)
        known = landings_of(scene, one, loads, closed, stated or {}, seen)
        held = self._held(one)
        # Room that nobody can judge now is kept: metrics are lost when they are needed most.
        kept = {key: amount for key, amount in held.items() if scene.is_unknown(key) and key.region not in closed}
        there = {
            s: math.fsum(a.landed for (service, _), a in known.items() if service == s)
            + math.fsum(amount for key, amount in kept.items() if service_of(key) == s)
            for s in loads
        }
        placing = place(
            scene, one.failed, {s: _left(load.need, there[s]) for s, load in loads.items()}, one.rule,
            eligible=one.eligible, closed=closed,
            critical={s: _of_rest(one.critical, load.need, there[s]) for s, load in loads.items()},
            emergency=one.emergency,
        )  # fmt: skip
        landings = _assigned(placing, known, kept, one)
        after = replace(
            one,
            state=state,
            since_s=self.now_s if state != one.state else one.since_s,
            step=0,
            loads={service: load for service, load in loads.items() if load.need > 0},
            landings=landings,
        )
        refused = ""
        if placing.gone:
            refused = f"the store has no {', '.join(placing.gone)} any more, whose load moves; import the quota again"
        elif self.action == "prepare" and not landings:
            moving = any(load.need > 0 for load in loads.values())
            refused = "nothing is free" if moving else f"{' and '.join(one.failed)}: no load is known that could move"
        if refused:
            move = self._not_now(one, held, scene, refused)
        else:
            move = self.hold(one, after, {a.key: a.waiting for a in landings if a.waiting > 0}, scene)
        return replace(
            move,
            unplaced={p.service: p.unplaced for p in placing.placed if p.unplaced > LEAST_FRAC * p.need},
            critical_unplaced={
                p.service: p.critical_unplaced for p in placing.placed if p.critical_unplaced > LEAST_FRAC * p.need
            },
            shed=_shed(placing, one) if one.emergency else (),
            spare={p.service: p.spare for p in placing.placed},
            unknown=placing.unknown,
            left_out=placing.left_out,
            kept=tuple(kept),
        )

    def step_back(self, one: Failover, early: bool) -> Move:
        """Release the next share of what is held, unless it is too early for that."""
        one.after(self.action)
        due_s, held, scene = one.due_s or 0, self._held(one), self._scene(one)
        if self.now_s < due_s and not early:
            wait = span(due_s - self.now_s)
            return self._not_now(one, held, scene, f"not before {instant(due_s)}, in {wait}, unless early")
        if one.state == "active":
            one_held = tuple(replace(a, held=held.get(a.key, 0.0)) for a in one.landings)
            one = replace(one, landings=one_held)
        share = one.failback.shares[one.step]
        if not early and (lacking := _no_way_back(scene, one, share)):
            return self._not_now(one, held, scene, lacking)
        step = one.step + 1
        last = step == len(one.failback.shares)
        after = replace(
            one,
            state=NORMAL if last else one.after(self.action),
            since_s=self.now_s if last or one.state == "active" else one.since_s,
            stepped_s=self.now_s,
            step=step,
        )
        keep = {a.key: min(held.get(a.key, 0.0), a.held * (1 - share)) for a in one.landings}
        return self.hold(one, after, {key: amount for key, amount in keep.items() if amount > 0}, scene)

    def _not_now(self, one: Failover, held: Amounts, scene: Scene, because: str) -> Move:
        return Move(
            action=self.action, before=one, after=one, granted=False, done=False, because=because,
            rows=_rows(scene, one, held, held), now_s=self.now_s,
        )  # fmt: skip

    def hold(self, before: Failover, after: Failover, amounts: Amounts, scene: Scene | None = None) -> Move:
        """Make the store hold exactly that for the failover, and write where it stands now."""
        scene = self._scene(before) if scene is None else scene
        held = self._held(before)
        claim, coordination = self._claim(before, amounts, bool(held))
        granted = claim is None or claim.granted
        rows = _rows(scene, after, held, amounts)
        move = Move(action=self.action, before=before, after=after, granted=granted, done=False, rows=rows,
                    short=() if claim is None else claim.short, now_s=self.now_s)  # fmt: skip
        if not granted:
            return replace(move, after=before, because="there is no room for what must be held")
        until_s = min((r.expires_s for r in claim.reservations if r.status == "active"), default=0) if claim else 0
        after = replace(
            after, coordination=coordination if amounts else "", revision=before.revision + 1, held_until_s=until_s
        )
        self.store.move_failover(
            after.name, before=(before.state, before.revision), after=after.state, body=after.to_dict(),
            action=self.action, by=self.by, why=self.why, now_s=self.now_s,
        )  # fmt: skip
        return replace(move, after=after)

    def _scene(self, one: Failover) -> Scene:
        limit = None if self.stale_after_s is None else duration_s(self.stale_after_s, "stale_after_s")
        return Scene.of(self.store, but=one.coordination, stale_after_s=limit, now_s=self.now_s)

    def _held(self, one: Failover) -> dict[QuotaKey, float]:
        if not one.coordination:
            return {}
        found = self.store.reservations(coordination=one.coordination, now=self.now_s).found
        return {r.key: r.amount for r in found}

    def _claim(self, one: Failover, amounts: Amounts, holds: bool) -> tuple[Claim | None, str]:
        why = f"{self.action} {one.name[:150]}" + (f": {self.why[:800]}" if self.why else "")
        if holds:
            changed = self.store.resize(
                one.coordination, amounts, hold_s=HOLD_S, by=self.by, why=why, now=self.now_s,
                stale_after_s=self.stale_after_s,
            )  # fmt: skip
            return changed, one.coordination
        if not amounts:
            return None, ""
        # The same move claims once, and under a name by which it is found again.
        name = f"failover:{one.name[:150]}:{one.revision}"
        made = self.store.reserve(
            amounts, coordination=name, token=name, by=self.by, why=why, now=self.now_s,
            stale_after_s=self.stale_after_s,
        )  # fmt: skip
        return made, name

    def _closed(self, one: Failover) -> dict[str, str]:
        """Region → the failover by which it is being given up, other than this one: nothing may land there.

        Where load goes back to, there is no room either: it is needed for what comes.
        """
        found = (Failover.of(name, *kept) for name, kept in self.store.failovers().items() if name != one.name)
        return {region: other.name for other in found if other.state != NORMAL for region in other.failed}


def _left(need: float, there: float) -> float:
    """What of a load is not there yet; what is rounding counts as there."""
    return need - there if need - there > LEAST_FRAC * need else 0.0


def _of_rest(critical: float, need: float, there: float) -> float:
    """The critical share of what has not landed, where that of the whole is ``critical`` and landed first."""
    rest = need - there
    return 0.0 if rest <= 0 else min(1.0, max(0.0, critical * need - there) / rest)


def _assigned(
    placing: Placing, known: Mapping[tuple[str, QuotaKey], Landing], kept: Amounts, one: Failover
) -> tuple[Landing, ...]:
    """Where everything goes now: what has landed stays, what has not is as it was placed, or kept."""
    found = {at: replace(a, assigned=a.landed) for at, a in known.items() if a.landed > 0}
    for p in placing.placed:
        for key, amount in p.amounts.items():
            at = (p.service, key)
            was = known.get(at) or Landing(service=p.service, key=key, base=p.rooms[key.region].usage, assigned=0.0)
            found[at] = replace(was, assigned=was.landed + amount)
    before = {a.key: a for a in one.landings}
    for key, amount in kept.items():
        at = (service_of(key), key)
        was = known.get(at) or before.get(key) or Landing(service=at[0], key=key, base=0.0, assigned=0.0)
        found[at] = replace(was, assigned=was.landed + amount)
    return tuple(found.values())


def _no_way_back(scene: Scene, one: Failover, share: float) -> str:
    """Where the failed Regions have no room for the share that is to be back; empty where they have, or none knows."""
    for service, load in one.loads.items():
        rooms = [room for region, room in scene.services.get(service, {}).items() if region in one.failed]
        if not rooms or any(room.unknown for room in rooms):
            continue
        room_for, back = math.fsum(room.usage + max(0.0, room.free) for room in rooms), share * load.source
        if back > room_for * (1 + LEAST_FRAC):
            where = " and ".join(one.failed)
            return f"{service}: {quantity(back)} are to be back in {where}, which has room for {quantity(room_for)}"
    return ""


def _shed(placing: Placing, one: Failover) -> tuple[Shed, ...]:
    """What to shed so that what is critical fits: of what moves first, then of what runs where it could go."""
    lines = []
    for p in placing.placed:
        moving = p.unplaced - p.critical_unplaced
        if moving > LEAST_FRAC * p.need:
            lines.append(Shed(service=p.service, region="+".join(one.failed), amount=moving, whose="moving"))
        own = {region: (1 - one.critical) * room.usage for region, room in p.rooms.items()}
        total = math.fsum(own.values())
        wanted = min(p.critical_unplaced, total)
        if wanted > LEAST_FRAC * p.need:
            lines += [
                Shed(service=p.service, region=region, amount=wanted * amount / total, whose="own")
                for region, amount in own.items()
                if amount > 0
            ]
    return tuple(lines)


def _rows(scene: Scene, after: Failover, held: Amounts, amounts: Amounts) -> tuple[Row, ...]:
    landings = {a.key: a for a in after.landings}
    rows = []
    for service, rooms in scene.services.items():
        for room in rooms.values():
            key = room.key
            if not (key in held or key in amounts or (key in landings and landings[key].landed > 0)):
                continue
            landed = landings[key].landed if key in landings else 0.0
            rows.append(
                Row(
                    service=service, key=key, usage=room.usage, quota=room.quota, reserved=math.fsum(room.reserved),
                    held_before=held.get(key, 0.0), held_after=amounts.get(key, 0.0), landed=landed,
                )
            )  # fmt: skip
    return tuple(rows)
