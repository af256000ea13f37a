"""One number on foot: from a quota's samples to its needed headroom, step by step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._bridge import Floats
from .._table import percent, probability, quantity, render_columns, span
from .events import events_of

if TYPE_CHECKING:
    from ..history import History
    from .quantile import QuantilePolicy
    from .result import Headroom


def walk(policy: QuantilePolicy, headroom: Headroom, history: History, row: int) -> list[str]:
    """Give the steps that lead to the needed headroom of one quota; each is a paragraph."""
    steps = [_samples(history, row)]
    if math.isnan(headroom.needed[row]):
        return [*steps, headroom.reason[row]]
    e = headroom.events.index(headroom.event[row])
    at = {name: float(values[row, e]) for name, values in headroom.event_needs.items()}
    demand, formula = _demand(policy, headroom, history, row, e)
    steps += [
        _events(policy, headroom, history, row, e),
        _coincidence(history, row, demand, formula, at),
        _peaks(policy, headroom, e, at),
        _growth(policy, at),
        _need(headroom, row, at),
    ]
    if headroom.unknown[row] == "none":
        steps += [_status(headroom, row), _ask(headroom, row)]
    else:
        steps.append(f"Status: UNKNOWN. {headroom.reason[row]}")
    return [step for step in steps if step]


def _samples(history: History, row: int) -> str:
    usage = history.usage[:, row]
    seen = np.isfinite(usage)
    head = f"Samples: {len(usage):,} steps of {span(history.step_s)} from {history.time(0)}Z"
    if not seen.any():
        return f"{head}, none observed."
    last = int(np.flatnonzero(seen)[-1])
    low, high = quantity(float(np.nanmin(usage))), quantity(float(np.nanmax(usage)))
    observed = percent(float(seen.mean()))
    now = f"the last, {quantity(float(usage[last]))}, at {history.time(last)}Z"
    return f"{head}, {observed} observed: {low} to {high}; {now}."


def _demand(policy: QuantilePolicy, headroom: Headroom, history: History, row: int, e: int) -> tuple[Floats, str]:
    """What the quota carries in event ``e`` at every step, and how that is put together."""
    key = history.keys[row]
    if e == 0:
        return history.usage[:, row], f"u({key.region})"
    own, parts, total = 1.0, [], np.zeros(len(history.usage))
    for source, target, weight in events_of(headroom.scenarios)[e - 1].flows(policy.overlap_frac):
        other = key._replace(region=source)
        if target != key.region:
            continue
        if source == target:
            own += weight
        elif other in history.keys:
            total = total + weight * history.usage[:, history.keys.index(other)]
            parts.append(f"{quantity(weight)}·u({source})")
    own = max(0.0, own)
    factor = "" if own == 1 else f"{quantity(own)}·"
    return own * history.usage[:, row] + total, " + ".join([f"{factor}u({key.region})", *parts])


def _events(policy: QuantilePolicy, headroom: Headroom, history: History, row: int, binds: int) -> str:
    needs = headroom.event_needs
    reached = [e for e in range(len(headroom.events)) if not math.isnan(needs["need"][row, e])]
    cells: list[tuple[str, list[str], bool]] = [
        ("", ["→" if e == binds else "" for e in reached], False),
        ("Event", [headroom.events[e] for e in reached], False),
        ("Demand at each moment t", [_demand(policy, headroom, history, row, e)[1] for e in reached], False),
    ]
    for name, header in (("need", "Need"), ("low", "from"), ("high", "to"), ("growth", "Growth")):
        cells.append((header, [quantity(float(needs[name][row, e])) for e in reached], True))
    away = [name for e, name in enumerate(headroom.events) if e > 0 and e not in reached]
    rest = f"\nNo load from: {', '.join(away)}." if away else ""
    return f"Events: the largest need binds.\n{render_columns(cells)}{rest}"


def _coincidence(history: History, row: int, demand: Floats, formula: str, at: dict[str, float]) -> str:
    if not np.isfinite(demand).any():
        return ""
    top = int(np.nanargmax(demand))
    own = float(history.usage[top, row])
    low, high = quantity(float(np.nanmin(demand))), quantity(float(demand[top]))
    text = f"Demand: {formula} is {low} to {high} over {at['samples']:,.0f} aligned samples, highest at "
    text += f"{history.time(top)}Z"
    if "·" in formula:
        text += f" ({quantity(own)} its own, {quantity(float(demand[top]) - own)} on top)"
    return text + "."


def _peaks(policy: QuantilePolicy, headroom: Headroom, e: int, at: dict[str, float]) -> str:
    risk = policy._risk(e)
    events = events_of(headroom.scenarios)
    window = span(policy._duration_s(e, events))
    text = (
        f"Peaks: {at['windows']:,.0f} windows of {window}, worth {quantity(at['n_eff'])} independent ones; "
        f"counted, at most {percent(risk)} of them exceed {quantity(at['counted'])}."
    )
    if not at["extrapolated"]:
        return f"{text} That is the level: {percent(risk)} of {quantity(at['n_eff'])} is enough to count."
    share = f"{percent(risk)} of {quantity(at['n_eff'])} is {quantity(risk * at['n_eff'])}"
    text += f"\n{share}, fewer than the 10 needed to count"
    if at["clusters"] == 0:
        few = f"and hardly anything exceeds {quantity(at['threshold'])}"
        return f"{text}, {few}: the level is the largest seen, {quantity(at['level'])}."
    fitted = (
        f"{at['clusters']:.0f} clusters above {quantity(at['threshold'])}, {span(at['cluster_s'])} long on average, "
        f"fit a generalized Pareto tail of shape {quantity(at['shape'])} and scale {quantity(at['scale'])}"
    )
    if at["level"] == at["counted"]:
        return f"{text}: {fitted}; the counted level is the higher one."
    return f"{text}: {fitted}, whose level at that risk, its own uncertainty included, is {quantity(at['level'])}."


def _growth(policy: QuantilePolicy, at: dict[str, float]) -> str:
    if policy.growth is not None:
        return f"Growth: fixed at ×{quantity(at['growth'])}."
    if at["days"] < 7:
        return f"Growth: ×1, because {at['days']:.0f} daily maxima are too few to see any (7 are enough)."
    horizon = span(float(policy.lead_time_s) + float(policy.review_s))  # type: ignore[arg-type]
    slope = (
        f"the upper 90% limit of the slope of {at['days']:.0f} daily maxima is {quantity(at['slope_per_day'])} a day"
    )
    return f"Growth: {slope}; over {horizon} (lead time and review) that is ×{at['growth']:.4g}."


def _need(headroom: Headroom, row: int, at: dict[str, float]) -> str:
    text = f"Need: {quantity(at['level'])} × {at['growth']:.4g} = {quantity(at['need'])}"
    if not math.isnan(at["low"]):
        text += f" ({quantity(at['low'])} to {quantity(at['high'])})"
    usage, needed = float(headroom.usage[row]), float(headroom.needed[row])
    return f"{text}. Needed headroom: less the {quantity(usage)} in use, {quantity(needed)}."


def _status(headroom: Headroom, row: int) -> str:
    h: dict[str, Any] = {
        name: getattr(headroom, name)[row]
        for name in ("quota", "usage", "available", "shortfall", "utilization", "day_utilization", "status")
    }
    text = (
        f"Judged: {quantity(h['quota'])} − {quantity(h['usage'])} = {quantity(h['available'])} is free, "
        f"{percent(h['utilization'])} of it needed, {percent(h['day_utilization'])} at the worst of the last 24 h"
    )
    limits = f"WARNING from {percent(headroom.warning_frac[row])}, CRITICAL from {percent(headroom.critical_frac[row])}"
    short = f"; {quantity(h['shortfall'])} short" if h["shortfall"] > 0 else ""
    chance = f"P(what is free is enough) = {probability(headroom.probability_enough[row])}"
    low, high = headroom.probability_enough_low[row], headroom.probability_enough_high[row]
    if not math.isnan(low):
        chance += f" ({probability(low)} to {probability(high)})"
    return f"{text}{short}: {h['status']} ({limits}). {chance}."


def _ask(headroom: Headroom, row: int) -> str:
    by = headroom.ask_by[row]
    if not by:
        return "Ask for more: growth alone does not reach the quota within ten years."
    return f"Ask for more: {'overdue' if by == 'overdue' else by}, so that a slow increase is there in time."
