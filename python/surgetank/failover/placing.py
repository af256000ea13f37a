"""Who takes how much, of what stands in a store now: loads by service, room by quota."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..allocation import Proportional
from ..allocation.event import Shared
from ..allocation.given import eligible_shares
from ..errors import invalid, nearest
from ..history import QuotaKey
from ..history.keys import UNSTATED
from ..history.room import Room, total

if TYPE_CHECKING:
    from ..history.anystore import AnyStore


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The quotas of a store at one moment, by service: the same quota in different Regions."""

    services: Mapping[str, Mapping[str, Room]]  #: service → Region → what there is
    regions: tuple[str, ...]

    @staticmethod
    def of(store: AnyStore, *, but: str, stale_after_s: float | None, now_s: int) -> Scene:
        """Read it; what the coordination ``but`` holds is its own, and free to it."""
        quotas = {quota.key: quota for quota in store.quotas()}
        keys = list(dict.fromkeys((*quotas, *store.keys_with_usage())))
        keys = [k for k in keys if k not in quotas or not quotas[k].is_global]  # no Region's failure takes those away
        rooms = store.rooms(keys, but=but or None, stale_after_s=stale_after_s, now=now_s)
        services: dict[str, dict[str, Room]] = {}
        for key in sorted(keys):
            services.setdefault(service_of(key), {})[key.region] = rooms[key]
        return Scene(services=services, regions=tuple(dict.fromkeys(key.region for key in keys)))

    def check(self, failed: tuple[str, ...]) -> None:
        """Refuse Regions that no quota of the store lies in."""
        for region in failed:
            if region not in self.regions:
                raise invalid("failed", f"must be Regions of the store{nearest(region, self.regions)}", region)

    def used_by(self, regions: tuple[str, ...], service: str) -> float:
        """What Regions use of a service together; NaN where that is not known, or none of them has it."""
        rooms = self.services.get(service, {})
        there = [rooms[region].usage for region in regions if region in rooms]
        return total(there) if there else math.nan

    def is_unknown(self, key: QuotaKey) -> bool:
        """Whether nothing can be said of the room in a quota, though the store knows it."""
        room = self.services.get(service_of(key), {}).get(key.region)
        return room is not None and bool(room.unknown)

    def used(self, key: QuotaKey) -> float:
        """The last usage of a quota; NaN where not known."""
        found = (rooms[key.region] for rooms in self.services.values() if key.region in rooms)
        return next((room.usage for room in found if room.key == key), math.nan)


def service_of(key: QuotaKey) -> str:
    """What a failover calls a quota, whatever the Region: the same for as long as it lasts, whoever comes and goes."""
    return key.quota_name if key.account == UNSTATED else f"{key.account}/{key.quota_name}"


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where the load of one service goes."""

    service: str
    shared: Shared
    rooms: Mapping[str, Room]  #: Region → what there is
    need: float
    critical: float  #: the share of ``need`` that must be placed

    @property
    def amounts(self) -> dict[QuotaKey, float]:
        """Quota → what it takes, above 0; never more than a claim would be granted."""
        taken = ((self.rooms[region], amount) for region, amount in self.shared.taken.items() if amount > 0)
        fits = {room.key: min(amount, room.free) for room, amount in taken}
        return {key: amount for key, amount in fits.items() if amount > 0}

    @property
    def unplaced(self) -> float:
        """What nobody takes."""
        return self.need - self.shared.need + self.shared.shortfall

    @property
    def spare(self) -> float:
        """What is free and was not taken: the rule keeps it back."""
        return total(max(0.0, room.free) for room in self.rooms.values()) - total(self.amounts.values())

    @property
    def critical_unplaced(self) -> float:
        """What nobody takes of what must be placed."""
        return max(0.0, self.unplaced - (1 - self.critical) * self.need)


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Where all loads go, and of which nothing is known."""

    placed: tuple[Placed, ...]
    unknown: tuple[str, ...]  #: services of which a failed Region's usage is not known, and why
    gone: tuple[str, ...]  #: services that are to be placed, and that the store does not know any more
    left_out: tuple[str, ...]  #: Region/service whose room is not known, and counts as none


def place(
    scene: Scene, failed: tuple[str, ...], needs: Mapping[str, float], rule: Proportional, *,
    eligible: Mapping[str, tuple[str, ...]] | None, closed: Mapping[str, str], critical: Mapping[str, float],
    emergency: bool,
) -> Placing:  # fmt: skip
    """Share loads out over what is free.

    What a failed Region uses of a service that is not in ``needs`` is not known. In an emergency the critical share may
    take what the rule keeps back. Nothing goes where ``closed`` says that another failover gives up that Region.
    """
    may = eligible_shares(eligible, scene.regions)
    number = {region: i for i, region in enumerate(scene.regions)}
    placed, unknown, left_out = [], [], []
    for service, rooms in scene.services.items():
        if service not in needs and any(region in rooms for region in failed):
            unseen = next(region for region in failed if region in rooms and math.isnan(rooms[region].usage))
            unknown.append(f"{service}: what {unseen} uses is not known; {rooms[unseen].no_usage}")
        if not needs.get(service, 0.0) > 0:
            continue
        need, share = needs[service], critical[service]
        others = {region: room for region, room in rooms.items() if region not in failed}
        left_out += [f"{region}/{service}: {room.unknown}" for region, room in others.items() if room.unknown]
        left_out += [f"{region}/{service}: given up by {closed[region]}" for region in others if region in closed]
        open_to = {
            region: room
            for region, room in others.items()
            if not room.unknown
            and region not in closed
            and all(may[number[source], number[region]] for source in failed)
        }
        shared = _shared(need, open_to, rule)
        must = share * need
        if emergency and need - shared.shortfall < must:
            shared = _shared(must, open_to, replace(rule, room_cap=1.0, share_cap=1.0))
        placed.append(Placed(service=service, shared=shared, rooms=open_to, need=need, critical=share))
    gone = tuple(service for service, need in needs.items() if need > 0 and service not in scene.services)
    return Placing(placed=tuple(placed), unknown=tuple(unknown), gone=gone, left_out=tuple(left_out))


def _shared(need: float, rooms: Mapping[str, Room], rule: Proportional) -> Shared:
    nobody = {"-": 0.0}  # where no Region is left, all of it is short
    usage = {region: room.usage for region, room in rooms.items()} or nobody
    quota = {region: room.quota for region, room in rooms.items()} or nobody
    held = {region: total(room.reserved) for region, room in rooms.items()}
    return rule.share(need, usage=usage, quota=quota, reserved=held)
