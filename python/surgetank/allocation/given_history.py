"""A History as `allocate` needs it: the same quota in different Regions is one service."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge
from .._bridge import Floats
from ..errors import invalid
from ..history import History, QuotaKey
from ..history.history import STEPS_TO_STALE
from .given import Eligible, Given, amounts, critical_shares, take_shares

MOMENTS = ("history", "last")  # every moment, or the last observed usage
PerQuota = ArrayLike | Mapping[str, float]  # one number, one for each series, or by pattern
LAST_S = 30 * 86400.0  # of history, what is looked at


def read_history(
    history: History, *, at: str, cost: PerQuota, raisable: PerQuota, reserved: PerQuota, multiplier: PerQuota,
    eligible: Eligible | None, share_cap: ArrayLike, critical: ArrayLike,
) -> tuple[Given, tuple[str, ...]]:  # fmt: skip
    """Its quotas by service, and the names of those whose usage or value is not known."""
    if at not in MOMENTS:
        raise invalid("at", 'must be "history", every moment of it, or "last", the last observed usage', at)
    if history.signed:
        raise invalid("load", "must be usage of quotas; this History holds a metric that may be negative", "History")
    by_key = {
        name: _per_quota(values, name, history.keys, default)
        for name, values, default in (
            ("cost", cost, np.nan),
            ("multiplier", multiplier, 1.0),
            ("raisable", raisable, np.inf),
            ("reserved", reserved, 0.0),
        )
    }  # fmt: skip
    history = history.complete()
    known, left_out, usage = services(history, at)
    if not one_can_help(known):
        raise invalid(
            "load",
            "must hold a quota whose usage and value are known in two Regions",
            ", ".join(left_out) or "no two Regions",
        )
    seen = {key.region for key in history.keys if (quota := history.quotas.get(key)) is None or not quota.is_global}
    regions = tuple(r for r in history.regions if r in seen)
    count, width = len(known), len(regions)
    loads = np.zeros((len(usage), count, width))
    existing = np.zeros_like(loads)
    there = np.zeros((count, width), dtype=bool)
    allowed = np.zeros((count, width))
    tables = {"cost": np.full((count, width), np.nan), "multiplier": np.ones((count, width))}
    tables |= {"raisable": np.zeros((count, width)), "reserved": np.zeros((count, width))}
    column = {key: i for i, key in enumerate(history.keys)}
    for s, keys in enumerate(known.values()):
        for key in keys:
            r, k, quota = regions.index(key.region), column[key], history.quotas[key]
            there[s, r] = True
            loads[:, s, r] = usage[:, k]
            existing[:, s, r] = quota.value - usage[:, k]
            allowed[s, r] = quota.value
            for name, table in tables.items():
                table[s, r] = by_key[name][key]
            tables["reserved"][s, r] += history.reserved.get(key, 0.0)
            if quota.adjustable is False:
                tables["raisable"][s, r] = 0.0
    prices = _priced(tables["cost"])
    share = take_shares(eligible, share_cap, regions, count).reshape(-1, width, width)
    share = share * (there[:, np.newaxis, :] & there[:, :, np.newaxis])
    given = Given(
        regions=regions,
        services=tuple(known),
        single=False,
        load=_columns(loads),
        existing=_columns(existing),
        reserved=tables["reserved"].reshape(-1),
        multiplier=tables["multiplier"].reshape(-1),
        critical=critical_shares(critical, count),
        cost=prices.reshape(-1),
        raisable=tables["raisable"].reshape(-1),
        quota=allowed.reshape(-1),
        share=np.ascontiguousarray(share.reshape(-1, width)),
        first_s=int(history.start_s + (len(history.usage) - len(usage)) * history.step_s),
        step_s=history.step_s,
        there=there.reshape(-1),
    )
    return given, left_out


def services(history: History, at: str = "history") -> tuple[dict[str, list[QuotaKey]], tuple[str, ...], Floats]:
    """Service → its quotas that count; those that do not; and the samples that are looked at.

    Of what is not known, nothing is said: no quota or usage, usage that is stale, or no moment at which all Regions of
    the service were observed.
    """
    latest = last_usage(history)
    usage = latest[np.newaxis] if at == "last" else recent(history)
    known, left_out = places(history, ~np.isnan(latest))
    column = {key: i for i, key in enumerate(history.keys)}
    for name, keys in list(known.items()):
        if np.isnan(usage[:, [column[key] for key in keys]]).any(axis=1).all():
            left_out += tuple(f"{key.region}/{name}" for key in known.pop(name))
    return known, left_out, usage


def _priced(prices: Floats) -> Floats:
    """Where a service has no price in a Region: its dearest in another; without any, every unit costs 1."""
    dearest = np.max(np.where(np.isnan(prices), -np.inf, prices), axis=1, keepdims=True)
    return np.where(np.isnan(prices), np.where(np.isinf(dearest), 1.0, dearest), prices)


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
        name = f"{key.account}/{key.quota_name}" if several else key.quota_name
        quota = history.quotas.get(key)
        if quota is not None and quota.is_global:
            continue  # no Region's failure takes it away
        if not observed[i] or quota is None or np.isnan(quota.value):
            left_out.append(f"{key.region}/{name}")
            continue
        groups.setdefault(name, []).append(key)
    return groups, tuple(left_out)


def one_can_help(known: Mapping[str, list[QuotaKey]]) -> bool:
    """Whether any service is known in two Regions."""
    return any(len(keys) > 1 for keys in known.values())


def last_usage(history: History) -> np.ndarray:
    """The last observed value of each series; NaN where that is older than an hour and twelve steps."""
    usage = history.usage[-max(math.ceil(3600 / history.step_s), STEPS_TO_STALE) - 1 :]
    seen = ~np.isnan(usage)
    row = len(usage) - 1 - np.argmax(seen[::-1], axis=0)
    return np.where(seen.any(axis=0), usage[row, np.arange(usage.shape[1])], np.nan)


def _per_quota(
    given: PerQuota, argument: str, keys: tuple[QuotaKey, ...], default: float
) -> defaultdict[QuotaKey, float]:
    """A number for each quota: one for all, one for each series, or by pattern, of which the last that matches."""
    rule = "must be a number, 0 or more"
    if isinstance(given, Mapping):
        found: defaultdict[QuotaKey, float] = defaultdict(lambda: default)
        for pattern, value in given.items():
            number = amounts(value, argument) if argument == "raisable" else _bridge.numbers(value, argument)
            if number.shape != () or not number >= 0:
                raise invalid(argument, f"of {pattern} {rule}", value)
            matches = [key for key in keys if key.matches(_bridge.name(pattern, argument))]
            if not matches:
                raise invalid(argument, "must name a quota of the history", pattern)
            found.update(dict.fromkeys(matches, float(number)))
        return found
    values = amounts(given, argument) if argument == "raisable" else _bridge.numbers(given, argument)
    if values.shape not in ((), (len(keys),)):
        raise invalid(argument, f"must be one number, or one for each of {len(keys)} series", f"shape {values.shape}")
    if not (values >= 0).all():
        raise invalid(argument, rule, values[~(values >= 0)].flat[0])
    if values.shape == ():
        return defaultdict(lambda: float(values))
    return defaultdict(lambda: default, zip(keys, values.tolist(), strict=True))
