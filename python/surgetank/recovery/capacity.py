"""Capacity: at which moments of history would the load that lands have fit, which share of it, and where not."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .. import _bridge, _core
from .._bridge import Floats
from .._table import freeze, span
from ..errors import InvalidInput, invalid, nearest
from ..headroom.events import Event, events_of
from ..history import QuotaKey
from ..plan import Plan, matching
from .distributions import Distribution, Durations, as_distribution
from .landing import (
    ROUNDING,
    Inflow,
    demand_for,
    demand_of,
    history_of,
    inflows_of,
    named_by,
    observed,
    over_windows,
    share_of,
)
from .models import quota_increase

#: Sets of quotas that steps need, by their patterns.
Sets: TypeAlias = tuple[tuple[str, ...], ...]
_COUPLINGS: WeakKeyDictionary[Plan, OrderedDict[tuple[tuple[str, ...], float], Coupling]] = WeakKeyDictionary()

#: From asking for a quota increase until it applies, where nobody knows better.
LEAD_TIME = quota_increase()
WHAT_IFS = ("needed", "allocation")
#: Couplings kept for each plan: of a history of months, some megabytes each.
MOST_KEPT = 4
#: Where a quota is short, it lacks something, whatever rounding says.
LEAST_MISSING = 1e-300


@dataclass(frozen=True, eq=False)
class Capacity:
    """What room there is for the load that lands, and how it could be had.

    Parameters
    ----------
    plan : Plan
        From `surgetank.plan`, with at least one scenario.
    event : str, optional
        Which of the plan's events happens. Default: the one that fits least often.
    raised : "needed", "allocation" or mapping of pattern to amount, optional
        What if quotas were larger, whether adjustable or not: raised to what the plan says each needs in that event,
        by the plan's allocation, or by amounts ≥ 0 in the quota's unit; patterns are as in `QuotaKey.matches`, the last
        that matches counts.
    lead_time : Distribution, or seconds, or timedelta
        From asking for an increase until it applies. Default: half within 1 d, 95 % within 5 d.
    denial : probability, default .05
        That the increase is refused.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value.
    """

    plan: Plan
    _: KW_ONLY
    event: str | None = None
    raised: str | Mapping[str, float] | None = None
    lead_time: Durations = LEAD_TIME
    denial: float = 0.05
    #: Those worked out so far, by patterns and share: one history is looked at many times, for what-ifs and targets.
    #: Shared by all that leave the plan as it is.
    _couplings: OrderedDict[tuple[tuple[str, ...], float], Coupling] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        """Check all that does not depend on the quotas asked for."""
        plan, put = self.plan, object.__setattr__
        if not isinstance(plan, Plan):
            raise invalid("plan", "must be a Plan", plan)
        if plan.history is None:
            raise invalid("plan", "must hold the history it was computed from; surgetank.plan makes one", None)
        names = [event.name for event in events_of(plan.headroom.scenarios)]
        if not names:
            raise invalid(
                "plan", 'must hold a scenario, or nothing lands: scenarios="N-1", or --scenario N-1', "no scenario"
            )
        if self.event is not None and _bridge.name(self.event, "event") not in names:
            raise invalid("event", f"must be an event of the plan{nearest(self.event, names)}", self.event)
        if isinstance(self.raised, Mapping):
            amounts = {pattern: _amount(plan, pattern, value) for pattern, value in self.raised.items()}
            put(self, "raised", MappingProxyType(amounts))
        elif self.raised is not None and not (isinstance(self.raised, str) and self.raised in WHAT_IFS):
            raise invalid("raised", 'must be "needed", "allocation", or map patterns to amounts', self.raised)
        if self.raised == "allocation" and plan.allocation is None:
            raise invalid("raised", "must be an allocation that the plan holds, and it holds none", self.raised)
        if self.event is None and self.raised is None:
            put(self, "_couplings", _COUPLINGS.setdefault(plan, OrderedDict()))
        put(self, "lead_time", as_distribution(self.lead_time, "lead_time"))
        put(self, "denial", _bridge.fraction(self.denial, "denial", rule="must be a probability in [0, 1]"))

    def __getstate__(self) -> dict[str, object]:
        """Pickle what was given; couplings are worked out again."""
        raised = dict(self.raised) if isinstance(self.raised, Mapping) else self.raised
        return {**self.__dict__, "raised": raised, "_couplings": OrderedDict()}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Unpickle; what was raised cannot be changed."""
        raised = state["raised"]
        self.__dict__.update({**state, "raised": MappingProxyType(raised) if isinstance(raised, dict) else raised})


@dataclass(frozen=True, eq=False)
class Coupling:
    """Moment by moment, what of the load that lands would have fit while the event lasted; see `coupling`.

    Arrays are read-only. M moments, C quotas covered, Q of them short at some moment. In the quota's unit unless said
    otherwise.
    """

    event: str
    duration_s: float  #: of the event
    step_s: float  #: of the history
    quotas: tuple[QuotaKey, ...]  #: Q, in the order of ``covered``
    covered: tuple[QuotaKey, ...]  #: C, all that were looked at, in the plan's order
    unknown: tuple[QuotaKey, ...]  #: named, but left out: usage, quota or what lands there is not known
    moments: NDArray[np.int64]  #: (M,) rows of the plan's history from which all covered quotas were observed
    served: Floats  #: (M,) the share of what lands that fits everywhere at once, in [0, 1]
    served_by: Floats  #: (M, Q) the same for each quota alone
    short: NDArray[np.bool_]  #: (M, Q) where ``served_by`` is below 1
    missing: Floats  #: (M, Q) what the quota lacks; 0 where it fits
    need: Floats  #: (M, C) what must fit: growth times the peak of demand over [t, t + duration)
    quota: Floats  #: (C,) as raised, without what is reserved for others
    reserved: Floats  #: (C,) what of the quota is
    served_target: float = 1.0  #: the share that is enough; ``short``, ``missing`` and ``need`` are of that share
    #: What `room` gave last: the same is asked for again and again.
    _last: tuple[object, _core.RecoveryCapacity] | None = field(default=None, init=False, repr=False)

    @property
    def fits(self) -> NDArray[np.bool_]:
        """(M,) whether what must be served fits everywhere at once."""
        return np.asarray(~self.short.any(axis=1))

    @property
    def fits_frac(self) -> float:
        """The share of moments from which what must be served fits everywhere at once."""
        return float(np.mean(self.fits))

    @property
    def several_accounts(self) -> bool:
        """Whether a quota must be told by its account, too."""
        return len({key.account for key in self.covered}) > 1

    def room(self, sets: Sets, lead_time: Distribution, denial: float) -> _core.RecoveryCapacity:
        """Give what fits and what is lacking, of each set of quotas that steps need, as the core takes it."""
        asked, last = (sets, lead_time, denial), self._last
        if last is None or last[0] != asked:
            parts = [self._part(patterns) for patterns in sets]
            made = _core.RecoveryCapacity([str(key) for key in self.quotas], parts, lead_time._core, denial)
            last = (asked, made)
            object.__setattr__(self, "_last", last)
        return last[1]

    def _part(self, patterns: Sequence[str]) -> _core.Coupling:
        own = np.array([any(key.matches(p) for p in patterns) for key in self.quotas], dtype=bool)
        served = self.served_by[:, own].min(axis=1, initial=1.0)
        moments, columns = np.nonzero(np.ascontiguousarray(self.short[:, own]))
        starts = np.concatenate([[0], np.cumsum(np.bincount(moments, minlength=len(served)))])
        lacking = np.flatnonzero(own)[columns]
        return _core.Coupling(served, starts.astype(np.int64), lacking.astype(np.int64))

    def __getstate__(self) -> dict[str, object]:
        """Pickle the figures; the core's objects are made again."""
        return {**self.__dict__, "_last": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Unpickle; NumPy forgets that arrays were read-only."""
        self.__dict__.update(state)
        freeze(state)


def coupling(capacity: Capacity, patterns: Sequence[str], served_target: float = 1.0) -> Coupling:
    """At which moments would the load have fit, had the event begun then?

    Parameters
    ----------
    capacity : Capacity
    patterns : sequence of str
        Which quotas count, see `QuotaKey.matches`: each must name one on which load lands; ``"*"`` for all. Quotas of
        failed Regions do not count, those that the event does not touch do: they must hold their own load meanwhile.
    served_target : share in (0, 1], default 1
        Of what lands, the share that must be served: a quota with room for it is not short.

    Returns
    -------
    Coupling

    Raises
    ------
    InvalidInput
        For a pattern that names no quota on which load lands, or none that is known; and where no moment counts.

    Notes
    -----
    With all quotas and none raised, moments and those that fit are exactly those of `Headroom.joint`: a moment counts
    if at least half of the event's duration from there on was observed for every covered quota, and fits if
    growth·(own + landing) ≤ quota in all of it, own and landing at the same instants, growth the plan's for that quota
    and event. Elsewhere what is served is the smallest (quota/growth − own)/landing of that time, within [0, 1]. What a
    surge in place adds counts as landing. Where nothing can land at all, the load of the quota's own is what must fit.
    `ClassicPolicy` knows no growth by event: there it is 1.
    """
    names = _bridge.names(patterns, "capacity")
    if not names:
        raise invalid("capacity", "must name at least one quota", list(names))
    known, asked = capacity._couplings, (names, served_target)
    found = known.get(asked)
    if found is None:
        event = _event_of(capacity)
        inflows = inflows_of(capacity.plan, event)
        found = known[asked] = _couple(capacity, event, inflows, names, served_target)
        while len(known) > MOST_KEPT:
            known.popitem(last=False)
    return found


def _couple(
    capacity: Capacity, event: Event, inflows: list[Inflow], patterns: Sequence[str], target: float = 1.0
) -> Coupling:
    plan = capacity.plan
    keys, history = plan.keys, history_of(plan)
    named = named_by(keys, event, inflows, patterns)
    chosen = [one for one in named if one.known]
    first, end = plan.headroom.looked_at
    usage = np.asfortranarray(history.usage[first:end, :])
    length = math.floor(event.duration_s / history.step_s + 0.5) or 1
    starts = max(0, len(usage) - length + 1)
    quota = _quotas(capacity, event)[[one.at for one in chosen]]
    need, served = np.empty((starts, len(chosen)), order="F"), np.ones((starts, len(chosen)), order="F")
    counts = np.ones(starts, dtype=bool)
    with np.errstate(over="ignore"):  # a demand beyond float64 does not fit
        for c, one in enumerate(chosen if starts else ()):
            demand = demand_of(one, usage)
            counts &= observed(demand, length)
            enough = demand if target == 1 else demand_for(one, usage, target)
            need[:, c] = one.growth * over_windows(np.where(np.isnan(enough), -np.inf, enough), length, np.maximum)
            share = share_of(one, usage, demand, float(quota[c]))
            if share is not None:
                served[:, c] = over_windows(share, length, np.minimum)
    moments = np.flatnonzero(counts)
    if not len(moments):
        rule = (
            f"must hold a moment from which at least half of {event.name!r}, {span(event.duration_s)}, was observed "
            "for every quota asked for"
        )
        raise invalid("plan", rule, f"{len(usage)} steps of {span(history.step_s)}")
    if len(moments) < starts:
        need, served = np.asfortranarray(need[moments]), np.asfortranarray(served[moments])
    ever = np.flatnonzero((served < 1).any(axis=0))
    by_quota = np.asfortranarray(served[:, ever])
    # What is enough is judged as it is raised: by what must fit, rounding allowed for.
    short = by_quota < 1 if target == 1 else need[:, ever] > quota[ever] * ROUNDING
    result = Coupling(
        event=event.name,
        duration_s=event.duration_s,
        step_s=history.step_s,
        quotas=tuple(keys[chosen[c].at] for c in ever),
        covered=tuple(keys[one.at] for one in chosen),
        unknown=tuple(keys[one.at] for one in named if not one.known),
        moments=moments + first,
        served=by_quota.min(axis=1, initial=1.0),
        served_by=by_quota,
        short=short,
        missing=np.where(short, np.maximum(need[:, ever] - quota[ever], LEAST_MISSING), 0.0),
        need=need,
        quota=quota,
        reserved=plan.headroom.reserved[[one.at for one in chosen]],
        served_target=target,
    )
    for array in (result.moments, result.served, by_quota, short, result.missing, need, quota):
        array.setflags(write=False)
    return result


def _amount(plan: Plan, pattern: object, value: object) -> float:
    matching(plan.keys, pattern, "raised")  # type: ignore[arg-type]
    return _bridge.number(value, "raised", rule=f"of {pattern} must be 0 or more, and finite", least=0)


def _event_of(capacity: Capacity) -> Event:
    plan = capacity.plan
    events = {event.name: event for event in events_of(plan.headroom.scenarios)}
    if capacity.event is not None:
        return events[capacity.event]
    if plan.joint:
        return events[plan.joint[0].event]
    fits: dict[str, float] = {}  # the classic policy does not say which fits least often
    bare = Capacity(plan)
    for event in events.values():
        inflows = inflows_of(plan, event)
        if len(events) > 1 and any(one.reached and one.known for one in inflows):
            try:
                fits[event.name] = _couple(bare, event, inflows, ("*",)).fits_frac
            except InvalidInput:  # no moment counts: nothing can be said of that event
                continue
    return events[min(fits, key=lambda name: fits[name])] if fits else next(iter(events.values()))


def _quotas(capacity: Capacity, event: Event) -> Floats:
    """What of every quota of the plan is not reserved, as raised; NaN where it is not known."""
    plan, raised = capacity.plan, capacity.raised
    headroom = plan.headroom
    quota = np.array(headroom.quota - headroom.reserved, dtype=np.float64)
    if raised is None:
        return quota
    more = np.zeros(len(quota))
    if isinstance(raised, Mapping):
        for pattern, amount in raised.items():
            more[matching(plan.keys, pattern, "raised")] = amount
        return quota + more
    if raised == "allocation":
        return quota + _allocated(plan)
    if not headroom.events:  # the classic policy
        needed = np.asarray(headroom.usage + headroom.needed)
    else:
        need = headroom.event_needs["need"]
        needed = need[:, headroom.events.index(event.name)]
        needed = np.where(np.isnan(needed), need[:, 0], needed)  # the event does not touch it: its own need
    return np.where(needed > quota, needed, quota)


def _allocated(plan: Plan) -> Floats:
    """What the plan's allocation adds to each quota."""
    found = plan.allocation
    assert found is not None  # Capacity refuses such a plan
    added = np.reshape(found.headroom, (len(found.services), len(found.regions)))
    result = np.zeros(len(plan.keys))
    for i, key in enumerate(plan.keys):
        for name in (key.quota_name, f"{key.account}/{key.quota_name}"):
            quota = plan.quotas[i]
            if name in found.services and key.region in found.regions and not (quota and quota.is_global):
                result[i] = added[found.services.index(name), found.regions.index(key.region)]
    return result
