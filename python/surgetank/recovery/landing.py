"""What lands where in an event, and which share of it a quota holds, sample by sample and window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from ..errors import invalid, nearest
from ..headroom.events import Event
from ..history import History, QuotaKey
from ..plan import Plan

#: A need that was rounded on its way to being the quota fits, as in `Headroom.joint`.
ROUNDING = 1 + 1e-12
_UNSEEN = ("no_usage", "stale")
_ALMOST_ALL = math.nextafter(1.0, 0.0)


class Inflow(NamedTuple):
    """What an event does to one quota."""

    at: int  # row of the plan, column of its history
    own: float  # what its own usage is multiplied by
    sources: tuple[tuple[int, float], ...]  # column and weight of what lands from elsewhere
    reached: bool
    known: bool  # usage, quota, and all that lands
    growth: float


def history_of(plan: Plan) -> History:
    """The history that the plan was computed from; Capacity refuses a plan without one."""
    assert plan.history is not None
    return plan.history


def inflows_of(plan: Plan, event: Event) -> list[Inflow]:
    """What the event does to each quota of a Region that has not failed."""
    headroom, history = plan.headroom, history_of(plan)
    is_global = [quota is not None and quota.is_global for quota in plan.quotas]
    place = {_place(key, key.region): i for i, key in enumerate(plan.keys) if not is_global[i]}
    flows = event.flows(float(getattr(headroom.policy, "overlap_frac", 0.0)))
    first, end = headroom.looked_at
    result = []
    for i, key in enumerate(plan.keys):
        if key.region in event.failed and not is_global[i]:
            continue
        own, sources, reached = 1.0, [], False
        for source, target, weight in flows:
            if target != key.region or is_global[i] or (at := place.get(_place(key, source))) is None:
                continue  # a Region without this quota sends nothing
            reached = True
            if at == i:
                own += weight
            else:
                sources.append((at, weight))
        one = Inflow(i, max(0.0, own), tuple(sources), reached, False, _growth(plan, event, i, reached))
        known = not math.isnan(headroom.quota[i])
        known = known and all(headroom.unknown[at] not in _UNSEEN for at in (i, *(at for at, _ in sources)))
        # … and at some moment all of it was observed.
        known = known and not np.isnan(demand_of(one, history.usage[first:end])).all()
        result.append(one._replace(known=bool(known)))
    return result


def _place(key: QuotaKey, region: str) -> tuple[str, ...]:
    return (key.account, key.service_code, key.quota_code, key.context_id, region)


def _growth(plan: Plan, event: Event, i: int, reached: bool) -> float:
    """The plan's factor; of a quota that the event does not touch, that of "nothing fails"."""
    headroom = plan.headroom
    if "growth" not in headroom.event_needs:
        return 1.0
    growth = float(headroom.event_needs["growth"][i, headroom.events.index(event.name) if reached else 0])
    return 1.0 if math.isnan(growth) else growth  # of a quota that is not known


def named_by(
    keys: Sequence[QuotaKey], event: Event, inflows: list[Inflow], patterns: Sequence[str]
) -> list[Inflow]:  # fmt: skip
    """What the patterns name; each must name a quota on which load lands."""
    reached = [one for one in inflows if one.reached]
    for pattern in patterns:
        hits = [one for one in reached if keys[one.at].matches(pattern)]
        if not hits:
            known = {n for o in reached for n in _spelled(keys[o.at])}
            raise invalid(
                "capacity", f"must name a quota that {event.name!r} lands on{nearest(pattern, known)}", pattern
            )
        if not any(one.known for one in hits):
            rule = f"must name a quota of which usage, value and what lands on it in {event.name!r} are known"
            raise invalid("capacity", rule, pattern)
    return [one for one in inflows if any(keys[one.at].matches(pattern) for pattern in patterns)]


def _spelled(key: QuotaKey) -> tuple[str, ...]:
    return key.service_code, key.quota_name, f"{key.region}/{key.quota_name}"


def demand_of(one: Inflow, usage: Floats) -> Floats:
    """Own and landing at the same instants, (T,); NaN where any of it was not observed. Added up as the core does."""
    demand = one.own * usage[:, one.at]
    for at, weight in one.sources:
        demand += weight * usage[:, at]
    return demand


def demand_for(one: Inflow, usage: Floats, share: float) -> Floats:
    """Own, and that share of what lands, (T,); NaN where any of it was not observed."""
    stays, landing = _apart(one, usage)
    return np.asarray(stays + share * landing)


def _apart(one: Inflow, usage: Floats) -> tuple[Floats, Floats]:
    """What is there in any case, and what lands: what a surge adds is landing, too."""
    own = usage[:, one.at]
    stays, landing = min(one.own, 1.0) * own, (one.own - min(one.own, 1.0)) * own
    for at, weight in one.sources:
        landing = landing + weight * usage[:, at]
    if not one.sources and one.own <= 1:  # nothing can land: its own load must fit
        return np.zeros(len(own)), stays
    return stays, landing


def share_of(one: Inflow, usage: Floats, demand: Floats, quota: float) -> Floats | None:
    """The share of what lands that the quota holds at each sample, (T,); 1 where not observed. None: 1 throughout."""
    before_growth = quota / one.growth
    over = np.flatnonzero(demand > before_growth * ROUNDING)
    if not len(over):
        return None
    stays, landing = _apart(one, usage[over])
    share = np.ones(len(demand))
    room = np.divide(before_growth - stays, landing, out=np.zeros(len(over)), where=landing > 0)
    share[over] = np.clip(room, 0.0, _ALMOST_ALL)  # it does not fit, whatever rounding says
    return share


def observed(demand: Floats, length: int) -> NDArray[np.bool_]:
    """Of which windows at least half was observed, by their starts."""
    before = np.concatenate([[0], np.cumsum(~np.isnan(demand))])
    return np.asarray(2 * (before[length:] - before[:-length]) >= length)


def over_windows(values: Floats, length: int, merge: np.ufunc) -> Floats:
    """The maximum or minimum of every window, by their starts: spans of twice the length from two of half of it."""
    width, reach = 1, values
    while 2 * width <= length:
        reach = merge(reach[:-width], reach[width:])
        width *= 2
    starts, rest = len(values) - length + 1, length - width
    return np.asarray(merge(reach[:starts], reach[rest : rest + starts]))
