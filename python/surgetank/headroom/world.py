"""Usage and quotas in the core's shapes, whatever they came as: arrays, frames or a History."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _bridge
from .._bridge import Duration, Floats, Instant
from ..errors import invalid
from ..history import History, QuotaKey


def _step(step_s: Duration) -> float:
    seconds = _bridge.duration_s(step_s, "step_s", above=True)
    if seconds < 1e-6:  # windows of 30 days would no longer be a number of steps
        raise invalid("step_s", "must be at least a microsecond", step_s)
    return seconds


def _group(key: QuotaKey) -> tuple[str, ...]:
    """The same quota, whatever the Region."""
    return (key.account, key.service_code, key.quota_code, key.context_id)


@dataclass(frozen=True)
class World:
    """N quotas: their usage, their values, their Regions and their names."""

    matrix: Floats  # (T, N)
    shape: tuple[int, ...]
    step_s: float
    start_s: int | None  # epoch seconds of the first sample; None for arrays
    quota: Floats  # (N,)
    reserved: Floats  # (N,) what of it is promised to others
    adjustable: NDArray[np.bool_]
    regions: tuple[str, ...]  # those that may fail; labels of global quotas alone are not among them
    region: NDArray[np.int64]  # (N,) number of each quota's Region
    group: NDArray[np.int64]  # (N,) the same number: the same quota in different Regions
    is_global: NDArray[np.bool_]  # (N,) it holds for the account: no Region's failure takes it away
    names: tuple[str, ...]

    @staticmethod
    def of(
        usage: ArrayLike | History, quota: ArrayLike | None, step_s: Duration | None,
        regions: Sequence[str] | None, adjustable: ArrayLike,
    ) -> World:  # fmt: skip
        """Read usage and quotas from whatever they came as; arguments as for `size_headroom`."""
        history = History.of(usage)
        if history is not None:
            return World._of_history(history, quota, step_s, regions, adjustable)
        matrix, shape = _bridge.samples(usage)  # type: ignore[arg-type]
        if quota is None:
            raise invalid("quota", "must be given beside an array of usage", None)
        if step_s is None:
            raise invalid("step_s", "must be given beside an array of usage", None)
        width = shape[-1] if shape else 1
        names = tuple(str(i) for i in range(width)) if regions is None else _bridge.names(regions, "regions")
        if isinstance(regions, str) or len(names) != width or len(set(names)) != width:
            raise invalid("regions", f"must be {width} different names, one for each column of usage", regions)
        labels = [",".join([*map(str, at[:-1]), names[at[-1]]]) if at else names[0] for at in np.ndindex(shape)]
        return World(
            matrix=matrix,
            shape=shape,
            step_s=_step(step_s),
            start_s=None,
            quota=_bridge.per_series(quota, "quota", shape),
            reserved=np.zeros(matrix.shape[1]),
            adjustable=_bridge.switches(adjustable, "adjustable", shape),
            regions=names,
            region=np.tile(np.arange(width), matrix.shape[1] // width),
            group=np.repeat(np.arange(matrix.shape[1] // width), width),
            is_global=np.zeros(matrix.shape[1], dtype=bool),
            names=tuple(labels),
        )

    @staticmethod
    def _of_history(
        history: History, quota: ArrayLike | None, step_s: Duration | None,
        regions: Sequence[str] | None, adjustable: ArrayLike,
    ) -> World:  # fmt: skip
        if step_s is not None and _bridge.duration_s(step_s, "step_s") != history.step_s:
            raise invalid("step_s", f"must be the History's own {history.step_s:g} s, or left out", step_s)
        shape = (len(history.keys),)
        known = [history.quotas.get(key) for key in history.keys]
        fixed = np.array([q is not None and q.adjustable is False for q in known])
        held = np.zeros(len(history.keys))  # a quota that is stated is stated as what there is
        if quota is None:
            held = np.array([history.reserved.get(key, 0.0) for key in history.keys])
            if not history.quotas:
                raise invalid("quota", "must be given: the History holds none", None)
            quota = [math.nan if q is None else q.value for q in known]
        if regions is not None and _bridge.names(regions, "regions") != history.regions:
            raise invalid("regions", f"are the History's own, {', '.join(history.regions)}; leave them out", regions)
        is_global = np.array([q is not None and q.is_global for q in known])
        regional = [key.region for key, everywhere in zip(history.keys, is_global, strict=True) if not everywhere]
        names = tuple(dict.fromkeys(regional)) or history.regions
        number = {name: i for i, name in enumerate(dict.fromkeys((*names, *history.regions)))}
        same: dict[object, int] = {}
        return World(
            matrix=history.usage,
            shape=shape,
            step_s=history.step_s,
            start_s=history.start_s,
            quota=_bridge.per_series(quota, "quota", shape),
            reserved=held,
            adjustable=_bridge.switches(adjustable, "adjustable", shape) & ~fixed,
            regions=names,
            region=np.array([number[key.region] for key in history.keys], dtype=np.int64),
            group=np.array([same.setdefault(_group(k), len(same)) for k in history.keys], dtype=np.int64),
            is_global=is_global,
            names=tuple(str(key) for key in history.keys),
        )

    def as_reserved(self, raw: dict[str, Any]) -> dict[str, Any]:
        """What a policy found for the quotas as `usable`, said of the quotas as they are."""
        beyond = np.maximum(0.0, self.reserved - self.quota)  # forced: less than nothing is usable
        over = beyond > 0
        if over.any():
            available = np.where(over, raw["available"] - beyond, raw["available"])
            raw["available"] = available
            raw["shortfall"] = np.where(over, np.maximum(0.0, raw["needed"] - available), raw["shortfall"])
        if "quota_ok" in raw:
            raw["quota_ok"] = raw["quota_ok"] + self.reserved
        return raw | {"quota": self.quota, "reserved": self.reserved}

    @property
    def usable(self) -> Floats:
        """What of each quota is not promised to others."""
        return np.where(self.reserved > 0, np.maximum(0.0, self.quota - self.reserved), self.quota)

    def last(self, rows: int, seconds: float) -> Floats:
        """Give the samples of the last ``seconds`` before sample ``rows``, and at least the one before it."""
        return self.matrix[min(self.first_of(rows, seconds), rows - 1) : rows]

    def first_of(self, rows: int, seconds: float) -> int:
        """Give the first sample of the last ``seconds`` before sample ``rows``; ``rows`` where there is none."""
        steps = max(0.0, seconds / self.step_s)
        return 0 if steps >= rows else rows - math.ceil(steps)

    def core_places(self) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
        """Region and group of each quota as events hit them, and the numbers of the Regions by name.

        A global quota lies in no Region: it neither fails nor receives.
        """
        alone = np.arange(self.width)
        region = np.where(self.is_global, len(self.regions) + int(self.region.max()) + 1 + alone, self.region)
        group = np.where(self.is_global, int(self.group.max()) + 1 + alone, self.group)
        return region, group, {name: i for i, name in enumerate(self.regions)}

    @property
    def width(self) -> int:
        """How many quotas there are."""
        return len(self.names)

    def until(self, now: Instant | Duration | None) -> tuple[int, float]:
        """How many samples lie at or before now, and how long ago the last of them was."""
        rows = len(self.matrix)
        if now is None:
            return rows, 0.0
        if self.start_s is None:
            rule = "must be seconds from the first sample, where usage is an array"
            seconds = now.total_seconds() if isinstance(now, dt.timedelta) else now
            elapsed = _bridge.number(seconds, "now", rule=rule)
        else:
            elapsed = float(_bridge.instant_s(now, "now") - self.start_s)  # type: ignore[arg-type]
        rows = min(rows, math.floor(elapsed / self.step_s) + 1)
        return rows, max(0.0, elapsed - (rows - 1) * self.step_s)
