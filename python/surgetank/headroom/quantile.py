"""The recommended rule: aligned demand, an event at a time, at a stated risk."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _bridge, _core
from .._bridge import Duration
from .._table import at_least, for_json, percent, quantity, span
from ..errors import invalid
from ..scenario import LONGEST_S
from . import wording
from .events import NOTHING_FAILS, Event, events_of
from .policy import DAY_S, Case, Row
from .result import JointFit
from .walk import walk

if TYPE_CHECKING:
    from ..history import History
    from .result import Headroom

LEAST_RISK = 1e-9  # rarer than anything a history can be asked about
_DURATIONS = ("normal_duration_s", "lead_time_s", "review_s", "lead_time_p95_s")


@dataclass(frozen=True, kw_only=True)
class QuantilePolicy:
    """What each Region must carry when another fails, from what was consumed at the same moments.

    In an event a quota's demand is its own usage plus, at the same instants, the share of the failed Regions' usage
    that lands on it; scenarios of one event are added up. need is the level that demand's peak over the event's
    duration exceeds with probability at most ``risk``, times growth; needed headroom is the largest need of any event,
    less usage.

    Parameters
    ----------
    risk : float in (0, 1), default 1e-3
        P(the peak exceeds need) for a quota in an event that begins at a random moment. Smaller: more headroom.
    risk_normal : float in (0, 1), optional
        The same while nothing fails. Default: ``risk``.
    lead_time_s : float (seconds) or timedelta, default 3 d
        From asking for an increase until it applies: growth is looked ahead that far …
    review_s : float (seconds) or timedelta, default 1 d
        … and to the next look at the plan.
    lead_time_p95_s : float (seconds) or timedelta, default 5 d
        A slow increase: ``ask_by`` leaves that much time.
    normal_duration_s : float (seconds) or timedelta, default 1 d
        The window whose peak must fit while nothing fails.
    growth : float ≥ 1, optional
        A fixed factor; 1.0 for none. Default: estimated for each demand.
    overlap_frac : float ≥ 0, default 0
        The share of the load that lands which the failed Region has not released yet and that counts twice.
    tail : {"fitted", "counted"}, default "fitted"
        "counted": plain empirical quantiles, also where the history is far too short for them.
    confidence : float in [0, 1), default 0.95
        Of the intervals; 0: none are computed.
    history_s : float (seconds) or timedelta, default inf
        How much of the past is looked at.
    cost_cap : float, default inf
        The most that headroom may cost, in the unit of ``cost_per_unit`` times the quota's unit.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    An event lasts as long as the longest of its scenarios. Windows count that are fully observed, or, where gaps leave
    less than half of them, at least half observed. A Region where a quota has neither value nor usage sends it nothing;
    one whose usage is not known makes the quota UNKNOWN.

    Peaks are counted while risk times the number of independent windows, history/(duration + ℓ), is at least 10.
    Beyond, exceedances of demand over a threshold that 5 % of the hours reach (at least 40 of them, at most 10 %),
    declustered (an hour apart), get a generalized Pareto distribution, by probability-weighted moments, its shape
    shrunk to 0 and kept within ±0.5: P(peak over d > x) = 1 − exp(−λ(x)·(d + ℓ)), λ clusters above x per second, ℓ
    their mean length. Peaks that all lie far above that threshold and are much alike get one just below them. With
    fewer than 5 peaks, or peaks all equal, the highest seen is the level. The level is predictive: the risk is averaged
    over the uncertainty of the fit, so that it is kept on average over histories. Never below the counted level.

    Growth: the upper 90 % limit of the Theil–Sen slope of demand's daily maxima (at least 7, at most 365 of them), over
    lead time and review. Intervals: parametric bootstrap of the fit (its parameters redrawn), bootstrap of whole days
    for what is counted.

    Sources: Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001; Hosking and Wallis, "Parameter
    and quantile estimation for the generalized Pareto distribution", 1987; Sen, "Estimates of the regression
    coefficient based on Kendall's tau", 1968; AWS Well-Architected, REL01-BP06.
    """

    name: ClassVar[str] = "quantile"
    risk: float = 1e-3
    risk_normal: float | None = None
    lead_time_s: Duration = 3 * DAY_S
    review_s: Duration = DAY_S
    lead_time_p95_s: Duration = 5 * DAY_S
    normal_duration_s: Duration = DAY_S
    growth: float | None = None
    overlap_frac: float = 0.0
    tail: str = "fitted"
    confidence: float = 0.95
    history_s: Duration = math.inf
    cost_cap: float = math.inf

    def __post_init__(self) -> None:
        """Refuse what the core would refuse, now."""
        if not isinstance(self.tail, str) or self.tail not in ("fitted", "counted"):
            raise invalid("tail", 'must be "fitted" or "counted"', self.tail)
        if _bridge.number(self.risk, "risk") < LEAST_RISK:
            raise invalid("risk", f"must lie between {LEAST_RISK:g} and 1", self.risk)
        for name in _DURATIONS:
            seconds = _bridge.duration_s(getattr(self, name), name, above=name == "normal_duration_s")
            if seconds > LONGEST_S:
                raise invalid(name, "must be at most ten years", getattr(self, name))
            object.__setattr__(self, name, seconds)
        if self.history_s != math.inf:
            object.__setattr__(self, "history_s", _bridge.duration_s(self.history_s, "history_s", above=True))
        rule = "must be a number, 0 or more"
        object.__setattr__(self, "overlap_frac", _bridge.number(self.overlap_frac, "overlap_frac", rule=rule, least=0))
        for name in ("risk_normal", "growth"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _bridge.number(value, name))
        self._core_options()

    def size(self, case: Case) -> dict[str, Any]:
        """Give the fields of `Headroom` that the policy knows."""
        world, quotas = case.world, copy.copy(case.quotas)
        events = events_of(case.scenarios)
        quotas.region, quotas.group, number = world.core_places()
        raw: dict[str, Any] = dict(
            _core.quantile_headroom(
                case.last(max(float(self.history_s), DAY_S)),  # type: ignore[arg-type]
                case.clock,
                quotas,
                [event.core(number, self.overlap_frac) for event in events],
                self._core_options(),
            )
        )
        binds = raw.pop("event")
        names = (NOTHING_FAILS, *(event.name for event in events))
        raw["events"] = names
        raw["event"] = [names[e] if e >= 0 else "" for e in binds]
        at = np.maximum(binds, 0)
        raw["extrapolated"] = raw["event_needs"]["extrapolated"][np.arange(world.width), at] == 1
        raw["_fitted"] = raw["event_needs"]["clusters"][np.arange(world.width), at] > 0
        lands = raw["event_needs"]["lands"][np.arange(world.width), at]
        raw["attribution"] = [_attribution(*decided) for decided in zip(binds, raw["event"], lands, strict=True)]
        raised = zip(raw["ask_in_s"], world.adjustable, strict=True)
        raw["ask_by"] = [_ask_by(s, case) if can else "" for s, can in raised]
        raw["joint"] = tuple(
            JointFit(
                event=event.name,
                moments=int(found["moments"]),
                fits=int(found["fits"]),
                quotas=int(found["quotas"]),
                risk_bound=found["risk_bound"],
            )
            for event, found in zip(events, raw["joint"], strict=True)
        )
        raw["_adjustable"] = world.adjustable
        raw["_duration_s"] = [self._duration_s(e, events) for e in binds]
        raw["_risk"] = [self._risk(e) for e in binds]
        raw["_unknown_sources"] = _unknown_sources(raw, case, events)
        return raw

    def _duration_s(self, event: int, events: tuple[Event, ...]) -> float:
        return events[event - 1].duration_s if event > 0 else float(self.normal_duration_s)  # type: ignore[arg-type]

    def _risk(self, event: int) -> float:
        return self.risk if event > 0 or self.risk_normal is None else self.risk_normal

    def sentence(self, row: Row) -> str:
        """What must be carried, in which event; whether it fits; how sure that is; and when to ask for more."""
        if row["unknown"] in ("no_usage", "stale"):
            return wording.unknown(row, float(self.history_s), "")  # type: ignore[arg-type]
        when = _when(row)
        if row["unknown"] == "no_quota":
            need = f"{quantity(row['needed'])} more: {when} {quantity(row['need'])} must fit"
            return wording.unknown(row, float(self.history_s), need)  # type: ignore[arg-type]
        parts = [self._need(row, when)]
        if row["unknown"] == "no_source":
            lost = ", ".join(row["_unknown_sources"])
            why = f"the load of {lost}, whose usage was not observed lately"
            if not lost:
                why = "loads that would land here and were never observed at the same moment"
            parts.append(f"That is without {why}: unknown, not zero.")
        if row["shortfall"] <= 0 and row["status"] not in ("OK", "UNKNOWN"):
            worst = f"{percent(row['day_utilization'])} of what was free at the quietest of the last 24 h"
            parts.append(f"It fits with little to spare: {worst}. {wording.threshold(row)}")
            if row["_adjustable"]:
                parts.append(f"A quota of {at_least(row['quota_ok'])} would be OK.")
        parts += wording.cut_short(row)
        parts += self._basis(row)
        if row["_adjustable"] and row["ask_by"] and row["shortfall"] <= 0:
            late = "An increase is overdue: growth gets there before a slow one applies."
            parts.append(late if row["ask_by"] == "overdue" else f"With its growth, ask for more {_by(row['ask_by'])}.")
        return " ".join(parts)

    def _need(self, row: Row, when: str) -> str:
        grown = f", growth of {percent(row['growth'] - 1)} included" if row["growth"] > 1.001 else ""
        more = f"{quantity(row['needed'])} more than is used now"
        text = f"{when[0].upper()}{when[1:]} {quantity(row['need'])} must fit{grown}: {more}"
        low, high = quantity(row["needed_low"]), quantity(row["needed_high"])
        if low != high and not math.isnan(row["needed_high"]):
            text += f" ({percent(self.confidence)}: {low} to {high})"
        if row["shortfall"] > 0:
            text += f", but {wording.free(row)} free: {quantity(row['shortfall'])} short"
            if not row["_adjustable"]:
                return f"{text}."
            least, enough = at_least(row["need"] + row["reserved"]), at_least(row["quota_ok"])
            return f"{text}; raise the quota to {least} or more, to {enough} for OK."
        return f"{text}; {quantity(row['available'])} of {quantity(row['quota'])}{wording.held(row)} is free."

    def _basis(self, row: Row) -> list[str]:
        if not row["extrapolated"]:
            return []
        risk, window = percent(row["_risk"]), span(row["_duration_s"])
        worth = wording.independent(row["n_eff"], window)
        if not row["_fitted"]:
            return [
                f"That is the highest seen: the history is worth {worth}, with too few peaks to tell a risk of {risk}."
            ]
        return [f"Extrapolated: a risk of {risk} cannot be counted in a history worth {worth}."]

    def assumption(self, headroom: Headroom) -> str:
        """Say what was added up, and at what risk."""
        risk = percent(self.risk)
        said = 'No scenario was given: nothing is assumed to fail ("N-1": each Region alone).'
        if headroom.scenarios:
            said = "In each event the load that lands is added to what was used at the same moments."
            lost = [s for s in headroom.scenarios if s.unplaced_frac > 1e-9 and not s.in_place]
            shown = ", ".join(f"{percent(s.unplaced_frac)} of {' + '.join(s.sources)} ({s.name})" for s in lost[:3])
            said += f" Unplaced, so counted nowhere: {shown}{' …' if len(lost) > 3 else ''}." if lost else ""
        facts = headroom.facts
        highest = int(np.sum(np.asarray(headroom.extrapolated, dtype=bool).ravel() & ~np.asarray(facts["_fitted"])))
        established = (
            f"Each quota's peak exceeds its need with a probability of {risk} at most, on average over histories"
        )
        if highest == 0:
            return f"{said} {established}."
        many = f"{highest} of {len(facts['_fitted'])} quotas" if len(facts["_fitted"]) > 1 else "the quota"
        rest = "it rests" if highest == 1 else "they rest"
        why = f"{many}: {rest} on the highest usage seen, in too short or too even a history"
        return f"{said} {established}.\nThat risk is not established for {why}."

    def explain(self, headroom: Headroom, history: History, row: int) -> list[str]:
        """Walk one number from samples to headroom."""
        return walk(self, headroom, history, row)

    def to_dict(self) -> dict[str, Any]:
        """Every option as a plain value."""
        return {"name": self.name, **{k: for_json(v) for k, v in dataclasses.asdict(self).items()}}

    def _core_options(self) -> _core.QuantileOptions:
        own = ("overlap_frac", "tail", "risk_normal", "growth")
        result = _bridge.options(_core.QuantileOptions, self, own=own)
        result.risk_normal = math.nan if self.risk_normal is None else self.risk_normal
        result.growth = math.nan if self.growth is None else self.growth
        result.fitted = self.tail == "fitted"
        result.check()
        return result


def _regions(case: Case) -> list[str]:
    names = case.world.regions
    return [names[r] if r < len(names) else "" for r in case.world.region]


def _attribution(event: int, name: str, lands: float) -> str:
    """The term and the event that decide a quota's need."""
    if event < 0:
        return ""
    return f"{'base' if event == 0 else 'failover' if lands == 1 else 'spike'}: {name}"


def _when(row: Row) -> str:
    name = row["event"]
    if name == NOTHING_FAILS:
        return "while nothing fails,"
    return f"when {name}," if name.endswith((" fails", " fail")) else f'in "{name}",'


def _by(ask_by: str) -> str:
    return ask_by if ask_by.startswith("in ") else f"by {ask_by[:10]}"


def _ask_by(ask_in_s: float, case: Case) -> str:
    """When to ask, as a person reads it; nothing for never, for unknown and for ten years from now."""
    if math.isnan(ask_in_s) or ask_in_s > LONGEST_S:
        return ""
    if ask_in_s < 0:
        return "overdue"
    if case.world.start_s is None:
        return f"in {span(ask_in_s)}"
    now_s = case.world.start_s + (case.rows - 1) * case.world.step_s + case.clock.age_s
    return f"{np.datetime64(math.floor(now_s + ask_in_s), 's')}Z"


def _unknown_sources(raw: dict[str, Any], case: Case, events: tuple[Event, ...]) -> list[tuple[str, ...]]:
    """For every quota, the Regions whose load would land on it and whose usage is not known."""
    regions = _regions(case)
    dark = {
        (int(case.world.group[i]), regions[i]) for i, why in enumerate(raw["unknown"]) if why in ("no_usage", "stale")
    }
    flows = dict.fromkeys((a, b) for event in events for a, b, _ in event.flows() if a != b)
    return [
        tuple(dict.fromkeys(a for a, b in flows if b == regions[i] and (int(case.world.group[i]), a) in dark))
        if why == "no_source"
        else ()
        for i, why in enumerate(raw["unknown"])
    ]
