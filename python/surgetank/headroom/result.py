"""What a headroom policy found: one value per quota, the figures by event, and whether all fits at once."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _bridge
from .._table import Column, Tabular, percent, quantity
from ..errors import InvalidInput
from ..scenario import Scenario
from .policy import Policy


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Headroom(Tabular):
    """What `size_headroom` found. One value per quota, in the shape of one instant of usage.

    Float64 in the quota's own unit unless said otherwise; NaN where unknown. Texts are object arrays of str.
    """

    policy: Policy
    scenarios: tuple[Scenario, ...]
    skipped: tuple[str, ...]  #: shipped scenarios whose Regions are not here
    series: tuple[str, ...]  #: names of the quotas, flat
    usage: Any  #: U, the last observed usage
    quota: Any
    reserved: Any  #: what of the quota is promised to others
    base: Any  #: quantile: `need` while nothing fails. Classic: the term of the quota's own volatility and growth
    failover: Any  #: quantile: the largest `need` of events that bring load. Classic: the term of a failover
    spike: Any  #: quantile: the largest `need` of surges in place. Classic: the term of sudden peaks
    minimum: Any  #: classic only
    maximum: Any  #: what the classic rule clips to
    need: Any  #: the demand to be carried, usage included; quantile only, like all up to `extrapolated`
    need_low: Any  #: interval of `need`: the largest ends of all events
    need_high: Any
    needed_low: Any  #: interval of `needed`
    needed_high: Any
    growth: Any  #: the factor that is part of `need`
    n_eff: Any  #: independent windows that the history is worth, for the event that binds
    extrapolated: Any  #: bool: too rare to be counted: the tail fit answers, or the highest seen
    event: Any  #: the event that binds; "nothing fails" where that is the largest need
    probability_enough: Any  #: P(what is free is enough) in the worst event
    probability_enough_low: Any
    probability_enough_high: Any
    quota_ok: Any  #: the least quota with which the status would be OK
    ask_by: Any  #: when to ask for an increase: an instant (UTC), "overdue", "in 3 d" for arrays, "" for never
    ask_in_s: Any  #: the same in seconds from now; below 0: overdue, inf: never
    needed: Any  #: needed headroom, before any clip or cost cap
    required: Any  #: H, what the policy would reserve
    available: Any  #: quota − reserved − usage
    utilization: Any  #: needed / available as a fraction; inf where nothing is available
    day_utilization: Any  #: the same where it was worst in the last 24 h: what status is judged by
    day_peak: Any  #: the highest usage of the last 24 h
    shortfall: Any  #: max(0, needed − available)
    status: Any  #: OK, WARNING, CRITICAL or UNKNOWN
    base_frac: Any  #: base / usage; classic only, like those up to `classic_alert`
    failover_frac: Any
    spike_frac: Any
    classic_required: Any  #: H as the classic rule has it, blind to whether the quota is adjustable
    classic_utilization: Any  #: (H − available)/H of that H, the classic rule's misleading figure
    classic_status: Any  #: healthy, warning or critical by that figure; "" where unknown
    classic_alert: Any  #: "", alert (above .80) or critical alert (above .95)
    attribution: Any  #: the term, and the scenario, that decides `needed`
    limit: Any  #: what makes `required` less than `needed`: none, maximum, cost_cap, not_adjustable
    unknown: Any  #: why the status is UNKNOWN: none, no_usage, stale, no_quota, no_source (of load that lands here)
    age_s: Any  #: seconds from the last observed sample to now
    warning_frac: Any  #: utilization from which status is WARNING, CRITICAL
    critical_frac: Any
    spikes: Any  #: flagged samples in the policy's history; classic only
    looked_at: tuple[int, int] = (0, 0)  #: first step that the policy read, and the one after the last
    facts: Mapping[str, Any] = field(default_factory=dict)  #: what the reasons are worded from, flat
    events: tuple[str, ...] = ()  #: "nothing fails", then the events; quantile only
    event_needs: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)  #: (N, E) each, see `by_event`
    joint: tuple[JointFit, ...] = ()  #: does each event fit everywhere at once?

    @functools.cached_property
    def reason(self) -> Any:
        """Why this number, and why this status: one plain sentence or two for each quota, worded when asked for."""
        rows = zip(*self.facts.values(), strict=True)
        said = [self.policy.sentence(dict(zip(self.facts, row, strict=True))) for row in rows]
        return _shaped(said, np.shape(self.status))

    @property
    def probability_fits(self) -> float:
        """P(the failover fits): the share of moments at which every quota fits, in the worst event; NaN: none known."""
        return min((j.fits_frac for j in self.joint if not math.isnan(j.fits_frac)), default=math.nan)

    def by_event(self) -> EventNeeds:
        """Give every quota's need in every event that reaches it, with the figures behind it."""
        return EventNeeds(headroom=self)

    def require_met(self) -> None:
        """Raise `InvalidInput` unless every quota is known and holds what it needs."""
        short = [n for n, s in zip(self.series, np.ravel(self.status), strict=True) if s in ("CRITICAL", "UNKNOWN")]
        if short:
            raise InvalidInput(f"headroom: must be known and sufficient for every quota (got {', '.join(short[:5])})")

    def _columns(self) -> list[Column]:
        flat = np.ravel
        held = flat(self.reserved)
        return [
            Column("series", self.series, "Series", numeric=False),
            Column("usage", flat(self.usage), "Usage", quantity, priority=4),
            Column("quota", flat(self.quota), "Quota", quantity, priority=4),
            Column("reserved", held, "Reserved" if (held > 0).any() else "", quantity, priority=2),
            Column("available", flat(self.available), "Available", quantity, priority=2),
            Column("need", flat(self.need), "Need" if self.events else "", quantity, priority=5),
            Column("needed", flat(self.needed), "Needed", quantity, priority=1),
            Column("attribution", flat(self.attribution), "Decided by", numeric=False, priority=5),
            Column("utilization", flat(self.utilization), "Utilization", percent, priority=1),
            Column("day_utilization", flat(self.day_utilization), "24 h worst", percent, priority=6),
            Column("status", flat(self.status), "Status", numeric=False),
            Column("shortfall", flat(self.shortfall), "Shortfall", quantity, priority=3),
            *(Column(name, flat(getattr(self, name))) for name in EXPORTED),
            *(Column(name, flat(getattr(self, name)), numeric=False) for name in EXPORTED_TEXTS),
        ]


EXPORTED = (
    "base", "failover", "spike", "minimum", "maximum", "required", "classic_utilization",
    "need_low", "need_high", "needed_low", "needed_high", "growth", "n_eff", "extrapolated",
    "probability_enough", "probability_enough_low", "probability_enough_high", "quota_ok", "ask_in_s",
)  # fmt: skip
EXPORTED_TEXTS = ("event", "ask_by", "limit", "unknown", "classic_status", "reason")
TEXTS = ("status", "attribution", "limit", "unknown", "event", "ask_by", "classic_status", "classic_alert")
_NOT_COLUMNS = ("policy", "scenarios", "skipped", "series", "looked_at", "facts", "events", "event_needs", "joint")


def fields_of(raw: Mapping[str, Any], shape: tuple[int, ...], width: int) -> dict[str, Any]:
    """The fields of a `Headroom` from what a policy knows: flat values, blank where it knows nothing of them."""
    result = {}
    for one in dataclasses.fields(Headroom):
        if one.name in _NOT_COLUMNS:
            continue
        values = raw.get(one.name)
        if values is None:
            if one.name in TEXTS:
                values = [""] * width
            elif one.name == "extrapolated":
                values = np.zeros(width, dtype=bool)
            else:
                values = np.full(width, np.nan)
        result[one.name] = _shaped(values, shape)
    return result


def _shaped(values: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(values, list):
        texts = np.empty(len(values), dtype=object)
        texts[:] = values
        values = texts
    values.setflags(write=False)
    return _bridge.like_instant(values, shape)


@dataclass(frozen=True, kw_only=True)
class JointFit:
    """Does an event fit everywhere at once? Had it begun at a moment of history, would all covered quotas have held?"""

    event: str
    moments: int  #: moments of history, at least half of the event's duration from there on observed for every quota
    fits: int  #: those from which every covered quota would have held while the event lasted
    quotas: int  #: quotas covered: usage, quota and the load that lands known, the Region not failed
    risk_bound: float  #: P(it does not fit) is at most this: the risks of the quotas added up, at most 1

    @property
    def fits_frac(self) -> float:
        """The share of moments that fit; NaN without moments."""
        return self.fits / self.moments if self.moments else math.nan


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EventNeeds(Tabular):
    """Need by quota and event: one row for each event that reaches a quota.

    Columns: need with its interval low and high; level (before growth) and counted (as counted in the history alone);
    growth, the factor, from slope_per_day over days daily maxima around daily_median; lands, 1 where load from
    elsewhere lands and 0 for a surge of its own; samples and windows observed, n_eff independent windows, extrapolated
    1 where counting does not answer; threshold, shape, scale, clusters, clusters_per_s and cluster_s of the fit; risk
    that the quota does not hold, with its interval; ask_in_s.
    """

    headroom: Headroom

    def _columns(self) -> list[Column]:
        h = self.headroom
        shown: dict[str, tuple[str, Callable[[Any], str]]] = {
            "need": ("Need", quantity), "low": ("from", quantity), "high": ("to", quantity),
            "growth": ("Growth", quantity), "n_eff": ("Windows' worth", quantity), "risk": ("Risk at quota", percent),
        }  # fmt: skip
        if not h.event_needs:
            return [Column("series", (), "Series", numeric=False), Column("event", (), "Event", numeric=False)]
        rows, events = np.nonzero(~np.isnan(h.event_needs["need"]))
        return [
            Column("series", [h.series[i] for i in rows], "Series", numeric=False),
            Column("event", [h.events[e] for e in events], "Event", numeric=False),
            *(
                Column(name, values[rows, events], *shown.get(name, ("", quantity)))
                for name, values in h.event_needs.items()
            ),
        ]
