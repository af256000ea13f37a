"""The sentences of a headroom plan: why this number, and why this status."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._table import percent, quantity, span
from .scenario import Scenario

if TYPE_CHECKING:
    from .headroom import ClassicPolicy

# term of the rule → (attribution, what the rule says there)
_TERMS = {
    "usage_floor": ("base: 20% of usage", "the rule keeps at least 20% of usage free"),
    "volatility": ("base: volatility", "two standard deviations of its usage"),
    "trend": ("base: trend", "its growth over 168 samples, which the rule takes for a week"),
    "peak": ("base: past peak", "1.2 times the way back up to its highest usage"),
    "failover_floor": ("failover: 100% of usage", "the rule keeps the room to take over as much again as is used now"),
    "spikes": ("spike: past spikes", "the 95th percentile of its past spikes"),
    "spike_default": ("spike: 50% of usage", "no spikes were seen, so the rule takes half of usage"),
    "minimum": ("minimum: 10 units", "the rule never keeps less than 10 units free"),
    "none": ("", ""),
}


def classic_status(utilization: float) -> str:
    """What the classic rule calls its own figure: healthy ≤ .50, warning ≤ .80, else critical."""
    if math.isnan(utilization):
        return ""
    return "healthy" if utilization <= 0.50 else "warning" if utilization <= 0.80 else "critical"


def classic_alert(utilization: float) -> str:
    """The classic rule's alarm: alert above .80, critical alert above .95."""
    return "critical alert" if utilization > 0.95 else "alert" if utilization > 0.80 else ""


def attributions(raw: dict[str, Any], scenarios: Sequence[Scenario]) -> list[str]:
    """The term that decides each `needed`, with the scenario's name where it is one."""
    return [
        f"failover: {scenarios[which].name}" if term == "scenario" else _TERMS[term][0]
        for term, which in zip(raw["term"], raw["scenario"], strict=True)
    ]


def sentences(raw: dict[str, Any], policy: ClassicPolicy) -> list[str]:
    """One plain sentence or two for each quota."""
    rows = [dict(zip(raw, values, strict=True)) for values in zip(*raw.values(), strict=True)]
    said = {term: sentence for term, (_, sentence) in _TERMS.items()}
    if policy.trend == "hour":
        said["trend"] = "a week of its growth"
    for row in rows:
        row["because"] = said.get(row["term"], f"scenario {row['attribution'].partition(': ')[2]}")
    return [_unknown(row, policy) if row["status"] == "UNKNOWN" else _known(row) for row in rows]


def _unknown(row: dict[str, Any], policy: ClassicPolicy) -> str:
    if row["unknown"] == "stale":
        ago = span(float(row["age_s"]))
        return f"Last observed {ago} before now, with {quantity(row['usage'])} in use: too old to judge."
    if row["unknown"] == "no_quota":
        return f"{quantity(row['usage'])} in use, but no quota is known to compare it with; needs {_need(row)}."
    return f"No usage was observed in the last {span(float(policy.history_s))}: unknown, not zero."  # type: ignore[arg-type]


def _need(row: dict[str, Any]) -> str:
    return f"{quantity(row['needed'])} free ({row['because']})"


def _known(row: dict[str, Any]) -> str:
    parts = [f"Needs {_need(row)}"]
    if row["shortfall"] > 0:
        free = f"{quantity(row['available'])} of {quantity(row['quota'])} is"
        if row["available"] <= 0:
            free = f"nothing of {quantity(row['quota'])} is" if row["available"] == 0 else _over(row)
        enough = quantity(row["usage"] + row["needed"])
        parts[0] += f", but {free} free: {quantity(row['shortfall'])} short; a quota of {enough} would hold it."
    else:
        free = f"{quantity(row['available'])} of {quantity(row['quota'])} is free"
        parts[0] += f"; {free}, {percent(row['utilization'])} of it spoken for."
        if row["status"] != "OK" and row["day_utilization"] > row["utilization"]:
            at_peak = f"At the highest usage of the last 24 h, {quantity(row['day_peak'])},"
            parts.append(f"{at_peak} the need would have been {percent(row['day_utilization'])} of what was free.")
        if row["status"] != "OK":
            limit = row["critical_frac"] if row["status"] == "CRITICAL" else row["warning_frac"]
            parts.append(f"{row['status']} starts at {percent(limit)}.")
    parts += _taken_away(row)
    parts += _why_classic_differs(row)
    return " ".join(parts)


def _over(row: dict[str, Any]) -> str:
    return f"usage is already {quantity(-row['available'])} over the quota of {quantity(row['quota'])} and nothing is"


def _taken_away(row: dict[str, Any]) -> list[str]:
    if row["limit"] == "cost_cap":
        return [f"The cost cap leaves {quantity(row['required'])} of it."]
    if row["limit"] == "not_adjustable" and row["shortfall"] > 0:
        return ["The quota cannot be raised: move or shed load."]
    return []


def _why_classic_differs(row: dict[str, Any]) -> list[str]:
    if row["status"] == "OK" or row["classic_status"] != "healthy":
        return []
    figure = f'The classic utilization of {percent(row["classic_utilization"])} ("healthy") hides this:'
    if row["maximum"] < row["needed"] and row["classic_required"] == row["maximum"]:
        clip = "half the quota" if row["maximum"] == 0.5 * row["quota"] else "three times usage"
        clipped = f"it first clips the need to {quantity(row['maximum'])}, {clip}"
        return [f"{figure} {clipped}, and compares that with what is free."]
    if row["classic_required"] < row["needed"]:
        cut = f"it cuts the need to the {quantity(row['classic_required'])} that the cost cap allows"
        return [f"{figure} {cut}, and compares that with what is free."]
    return [f"{figure} it counts only what is missing, so it stays at 0 or below until the need no longer fits."]
