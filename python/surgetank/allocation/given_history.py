"""A History as `allocate` needs it: the same quota in different Regions is one service."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge
from ..errors import invalid
from ..history import History, QuotaKey
from .given import Eligible, Given, _critical, _share

MOMENTS = ("history", "last")  # every moment, or the last observed usage
LAST_S = 30 * 86400.0  # of history, what is looked at


def read_history(
    history: History, *, at: str, cost: ArrayLike, eligible: Eligible | None, share_cap: ArrayLike,
    multiplier: ArrayLike, critical: ArrayLike,
) -> tuple[Given, tuple[str, ...]]:  # fmt: skip
    """Its quotas that are known in at least two Regions, and the names of those that are left out."""
    if at not in MOMENTS:
        raise invalid("at", 'must be "history", every moment of it, or "last", the last observed usage', at)
    if history.signed:
        raise invalid("load", "must be usage of quotas; this History holds a metric that may be negative", "History")
    history = history.complete()
    usage = recent(history)
    if at == "last":
        usage = last_usage(usage)[np.newaxis]
    observed = np.asarray(~np.isnan(usage).all(axis=0))
    known, left_out = places(history, observed)
    if not known:
        raise invalid("load", "must hold a quota whose usage and value are known in two Regions", ", ".join(left_out))
    regions = tuple(dict.fromkeys(key.region for keys in known.values() for key in keys))
    regions = tuple(r for r in history.regions if r in regions)
    count, width = len(known), len(regions)
    loads = np.zeros((len(usage), count, width))
    existing = np.zeros_like(loads)
    there = np.zeros((count, width), dtype=bool)
    prices, factors = np.zeros((count, width)), np.ones((count, width))
    raisable = np.zeros((count, width))
    price = _per_key(cost, "cost", len(history.keys))
    factor = _per_key(multiplier, "multiplier", len(history.keys))
    column = {key: i for i, key in enumerate(history.keys)}
    for s, keys in enumerate(known.values()):
        for key in keys:
            r, k, quota = regions.index(key.region), column[key], history.quotas[key]
            there[s, r] = True
            loads[:, s, r] = usage[:, k]
            existing[:, s, r] = quota.value - usage[:, k]
            prices[s, r], factors[s, r] = price[k], factor[k]
            raisable[s, r] = 0.0 if quota.adjustable is False else np.inf
    prices[~(prices > 0).any(axis=1)] = 1.0  # a service without any price: every unit counts the same
    share = _share(eligible, share_cap, regions, count).reshape(-1, width, width)
    share = share * (there[:, np.newaxis, :] & there[:, :, np.newaxis])
    given = Given(
        regions=regions,
        services=tuple(known),
        single=False,
        load=_columns(loads),
        existing=_columns(existing),
        reserved=np.zeros(count * width),
        multiplier=factors.reshape(-1),
        critical=_critical(critical, count),
        cost=prices.reshape(-1),
        raisable=raisable.reshape(-1),
        share=np.ascontiguousarray(share.reshape(-1, width)),
        first_s=int(history.start_s + (len(history.usage) - len(usage)) * history.step_s),
        step_s=history.step_s,
        there=there.reshape(-1),
    )
    return given, left_out


def recent(history: History) -> np.ndarray:
    """Give the samples that are looked at."""
    return history.usage[-max(1, round(LAST_S / history.step_s)) :]


def _columns(values: np.ndarray) -> np.ndarray:
    """(T, S, R) as (T, S·R)."""
    return np.ascontiguousarray(values).reshape(len(values), -1)


def places(history: History, observed: np.ndarray) -> tuple[dict[str, list[QuotaKey]], tuple[str, ...]]:
    """Service → its keys in the Regions where usage and quota are known; and what is not known."""
    several = len({key.account for key in history.keys}) > 1
    groups: dict[str, list[QuotaKey]] = {}
    left_out = []
    for i, key in enumerate(history.keys):
        quota = history.quotas.get(key)
        if quota is not None and quota.is_global:
            continue  # no Region's failure takes it away
        if not observed[i] or quota is None or np.isnan(quota.value):
            left_out.append(f"{key.region}/{key.quota_name}")
            continue
        name = f"{key.account}/{key.quota_name}" if several else key.quota_name
        groups.setdefault(name, []).append(key)
    return {name: keys for name, keys in groups.items() if len(keys) > 1}, tuple(left_out)


def last_usage(usage: np.ndarray) -> np.ndarray:
    """The last observed value of each column; NaN where there is none."""
    seen = ~np.isnan(usage)
    row = len(usage) - 1 - np.argmax(seen[::-1], axis=0)
    return np.where(seen.any(axis=0), usage[row, np.arange(usage.shape[1])], np.nan)


def _per_key(given: ArrayLike, argument: str, count: int) -> np.ndarray:
    values = _bridge.numbers(given, argument)
    if values.shape not in ((), (count,)):
        raise invalid(argument, f"must be one number, or one for each of {count} quotas", f"shape {values.shape}")
    return np.broadcast_to(values, (count,))
