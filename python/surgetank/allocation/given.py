"""What `allocate` was given, in the core's shapes: loads, room, costs and who may send to whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _bridge
from .._bridge import Floats
from ..errors import invalid, nearest

Eligible = ArrayLike | Mapping[str, Iterable[str]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """S services in R Regions at T moments; the arrays as the core takes them, a column per service and Region."""

    regions: tuple[str, ...]
    services: tuple[str, ...]
    single: bool  # the caller gave one service without an axis for it
    load: Floats  # (T, S·R)
    existing: Floats  # (T, S·R) or (1, S·R)
    reserved: Floats  # (S·R), like multiplier, cost and raisable
    multiplier: Floats
    critical: Floats  # (S)
    cost: Floats
    raisable: Floats
    share: Floats  # (R, R) or (S·R, R)
    first_s: int | None = None  # epoch seconds of the first moment, and from one to the next; None: not known
    step_s: float = 0.0
    quota: Floats | None = None  # (S·R) as it is; None: not known
    there: NDArray[np.bool_] | None = None  # (S·R) where a service has a quota; None: everywhere

    @property
    def shape(self) -> tuple[int, int]:
        """(S, R)."""
        return len(self.services), len(self.regions)

    @property
    def arrays(self) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats, Floats]:
        """What the core takes, in its order."""
        return (
            self.load, self.existing, self.reserved, self.multiplier, self.critical, self.cost, self.raisable,
            self.share,
        )  # fmt: skip

    def when(self, moment: int) -> str:
        """A moment for a person: an instant (UTC) where that is known; nothing where there is only one."""
        if len(self.load) == 1:
            return ""
        if self.first_s is None:
            return f" at moment {moment}"
        return f" at {self.instant(moment)}Z"

    def instant(self, moment: int) -> np.datetime64 | None:
        """The instant (UTC) of a moment, where that is known."""
        if self.first_s is None:
            return None
        return np.datetime64(int(self.first_s + moment * self.step_s), "s")

    def extremes(self) -> tuple[Floats, Floats]:
        """The largest load and the least existing headroom of each, (S·R), at the moments that count."""
        count, width = self.shape
        known = ~np.isnan(self.load.reshape(-1, count, width)).any(axis=2)
        known = known & ~np.isnan(self.existing.reshape(-1, count, width)).any(axis=2)
        counted = np.repeat(known, width, axis=1)
        most = np.where(counted, self.load, -np.inf).max(axis=0)
        return most, np.where(counted, self.existing, np.inf).min(axis=0)

    def extremes_shed(self) -> Floats:
        """The least that shedding what is not critical frees, (S·R)."""
        least: Floats = np.nanmin(self.load, axis=0) * (1 - np.repeat(self.critical, len(self.regions)))
        return least

    def only(self, s: int) -> Given:
        """One service of it, without an axis for it."""
        width = len(self.regions)
        columns = slice(s * width, (s + 1) * width)
        share = self.share if len(self.share) == width else self.share[columns]
        return Given(
            regions=self.regions, services=self.services[s : s + 1], single=True, load=self.load[:, columns],
            existing=self.existing[:, columns], reserved=self.reserved[columns], multiplier=self.multiplier[columns],
            critical=self.critical[s : s + 1], cost=self.cost[columns], raisable=self.raisable[columns], share=share,
            first_s=self.first_s, step_s=self.step_s,
            quota=None if self.quota is None else self.quota[columns],
            there=None if self.there is None else self.there[columns],
        )  # fmt: skip


def read(
    load: ArrayLike, existing: ArrayLike, cost: ArrayLike, *, eligible: Eligible | None, share_cap: ArrayLike,
    raisable: ArrayLike, reserved: ArrayLike, multiplier: ArrayLike, critical: ArrayLike,
    regions: Sequence[str] | None, services: Sequence[str] | None,
) -> Given:  # fmt: skip
    """Coerce and explain; arguments as for `allocate`."""
    loads = _bridge.numbers(load, "load")
    if loads.ndim not in (1, 2, 3) or loads.size == 0:
        raise invalid("load", "must have shape (R,), (S, R) or (T, S, R)", f"shape {loads.shape}")
    width, count = loads.shape[-1], loads.shape[-2] if loads.ndim > 1 else 1
    if width < 2:
        raise invalid("load", "must be of at least two Regions: the last axis", f"shape {loads.shape}")
    if loads.ndim < 3 and not np.isfinite(loads).all():
        raise invalid("load", "must be finite and 0 or more", loads[~np.isfinite(loads)][0])
    _not_negative(loads, "load")
    room = _bridge.numbers(existing, "existing")
    if loads.ndim < 3 or room.ndim < 3:
        if np.isnan(room).any():
            raise invalid("existing", "must be a number, 0 or more", "nan")
        room = _broadcast(room, "existing", (count, width))[np.newaxis]
    elif room.shape != loads.shape:
        raise invalid("existing", f"must have load's shape {loads.shape}, or one instant of it", f"shape {room.shape}")
    _not_negative(room, "existing")

    def flat(values: ArrayLike, argument: str) -> Floats:
        return _broadcast(_bridge.numbers(values, argument), argument, (count, width)).reshape(-1)

    regions = _names(regions, "regions", width)
    return Given(
        regions=regions,
        services=_names(services, "services", count),
        single=loads.ndim == 1,
        load=loads.reshape(-1, count * width),
        existing=room.reshape(len(room), count * width),
        reserved=flat(reserved, "reserved"),
        multiplier=flat(multiplier, "multiplier"),
        cost=flat(cost, "cost"),
        critical=critical_shares(critical, count),
        raisable=_raisable(raisable, (count, width)),
        share=take_shares(eligible, share_cap, regions, count),
    )


def _not_negative(values: Floats, argument: str) -> None:
    if (values < 0).any():
        raise invalid(argument, "must be 0 or more", values[values < 0][0])


def _names(given: Sequence[str] | None, argument: str, count: int) -> tuple[str, ...]:
    if given is None:
        return tuple(str(i) for i in range(count))
    given = tuple(given) if isinstance(given, Iterator) else given
    names = _bridge.names(given, argument)
    if isinstance(given, str) or len(names) != count or len(set(names)) != count:
        raise invalid(argument, f"must be {count} different names", given)
    return names


def _broadcast(values: Floats, argument: str, shape: tuple[int, int]) -> Floats:
    if values.shape not in ((), shape[1:], shape):
        raise invalid(argument, f"must be one number, or have shape {shape[1:]} or {shape}", f"shape {values.shape}")
    return np.array(np.broadcast_to(values, shape), dtype=np.float64)


def critical_shares(given: ArrayLike, count: int) -> Floats:
    """One share for each service."""
    values = _bridge.numbers(given, "critical")
    if values.shape not in ((), (count,)):
        raise invalid("critical", f"must be one share, or one of each of {count} services", f"shape {values.shape}")
    return np.array(np.broadcast_to(values, (count,)), dtype=np.float64)


def _raisable(given: ArrayLike, shape: tuple[int, int]) -> Floats:
    """How far each quota may be raised; False is not at all, True without bound."""
    return _broadcast(amounts(given, "raisable"), "raisable", shape).reshape(-1)


def amounts(given: ArrayLike, argument: str) -> Floats:
    """Numbers; or, all of them, True for without bound and False for none."""
    if np.ma.getmask(given) is not np.ma.nomask:  # np.asarray would take the mask off
        return _bridge.numbers(given, argument)
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiu":
        return _bridge.numbers(given, argument)
    boolean = [isinstance(v, bool | np.bool_) for v in np.asarray(given, dtype=object).flat]
    if any(boolean) and not all(boolean):
        raise invalid(argument, "must be all numbers or all True and False", given)
    values = _bridge.numbers(given, argument)
    return np.where(values > 0, np.inf, 0.0) if boolean and all(boolean) else values


def take_shares(eligible: Eligible | None, share_cap: ArrayLike, regions: tuple[str, ...], count: int) -> Floats:
    """Of what leaves the row's Region, the most that the column's may take: (R, R) or (S·R, R)."""
    width = len(regions)
    cap = _bridge.numbers(share_cap, "share_cap")
    shapes = ((), (width, width), (count, width, width))
    if cap.shape not in shapes:
        raise invalid("share_cap", f"must be one share, or have shape {shapes[1]} or {shapes[2]}", f"shape {cap.shape}")
    if not ((cap >= 0) & (cap <= 1)).all():
        raise invalid("share_cap", "must lie in [0, 1]", cap[~((cap >= 0) & (cap <= 1))].flat[0])
    may = eligible_shares(eligible, regions)
    if may.shape not in shapes[1:]:
        raise invalid("eligible", f"must have shape {shapes[1]} or {shapes[2]}", f"shape {may.shape}")
    share = np.array(np.broadcast_arrays(cap * may, np.empty((width, width)))[0], dtype=np.float64)
    share[..., np.arange(width), np.arange(width)] = 0.0
    return share.reshape(-1, width)


def eligible_shares(given: Eligible | None, regions: tuple[str, ...]) -> Floats:
    """1 where row may send to column, else 0."""
    width = len(regions)
    if given is None:
        return np.ones((width, width))
    if not isinstance(given, Mapping):
        may = _bridge.numbers(given, "eligible")
        if not np.isin(may, (0, 1)).all():
            raise invalid("eligible", "must be True or False", may[~np.isin(may, (0, 1))].flat[0])
        return may
    may = np.ones((width, width))
    for source, targets in given.items():
        allowed = _bridge.names(targets, "eligible")
        for name in (_bridge.name(source, "eligible"), *allowed):
            if name not in regions:
                raise invalid("eligible", f"must name Regions that are there{nearest(str(name), regions)}", name)
        may[regions.index(source)] = [r in allowed for r in regions]
    return may


def like_load(given: Given, flat: Any) -> Any:
    """A (S, R) result in the shape of one instant of load."""
    return flat[0] if given.single else flat
