"""A plan as people and programs read it: caption, sentences, JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ._bridge import Floats
from ._table import Tabular, for_json, for_person, percent, probability, quantity, render_html, span
from .errors import printable
from .scenario import Scenario
from .spikes import AdaptiveDetector, Detector, detect_spikes

if TYPE_CHECKING:
    from .headroom import JointFit
    from .history import History
    from .history.anystore import AnyStore
    from .plan import Plan

#: Version of the JSON of a plan. It changes when a field changes meaning or leaves, not when one is added.
SCHEMA_VERSION = 1
MOST_NOTES = 8


def caption(plan: Plan) -> str:
    """The headline: when, how much of it is known, and how bad it is."""
    status = list(plan.headroom.status)
    counts = [f"{status.count(s)} {s}" for s in ("CRITICAL", "WARNING", "UNKNOWN", "OK") if s in status]
    covered = f"coverage {percent(plan.coverage)} of {len(status)} quotas"
    return f"Headroom as of {plan.as_of}Z: {', '.join(counts)}; {covered}"


def notes(plan: Plan) -> list[str]:
    """A sentence for every row that needs attention, worst first, then what was left out."""
    rows = plan.rows("CRITICAL", "UNKNOWN", "WARNING")
    several = len({key.account for key in plan.keys}) > 1
    lines = [f"{row['status']} {where(row, several)}: {row['reason']}" for row in rows[:MOST_NOTES]]
    if len(rows) > MOST_NOTES:
        lines.append(
            f"… and {len(rows) - MOST_NOTES} more; `surgetank show PATTERN`, JSON and to_pandas() give every reason."
        )
    if plan.skipped:
        lines.append(f"Skipped, because their Regions are not here: {', '.join(plan.skipped)}.")
    return [*lines, *headline(plan), *what_is_assumed(plan), *survival(plan)]


def what_is_assumed(plan: Plan) -> list[str]:
    """What the policy made of the scenarios, so that nobody reads more into a plan than it says."""
    return plan.headroom.policy.assumption(plan.headroom).split("\n")


def headline(plan: Plan) -> list[str]:
    """P(the failover fits): does the worst event fit everywhere at once?"""
    known = [j for j in plan.joint if j.quotas]
    if not known:
        return []
    worst = known[0]
    head = f"P(the failover fits), worst event: {worst.event}."
    quotas = f"the {worst.quotas} quotas" if worst.quotas > 1 else "the one quota"
    tail = f"{quotas} that would be in use and whose load is known"
    if worst.moments:
        begun = f"Begun at any of {worst.moments:,} past moments, it would have held on all of {tail}"
        lines = [f"{begun}, at {probability(worst.fits_frac)} of them."]
    else:
        lines = [f"The history has no moment to try it at on all of {tail}."]
    if worst.risk_bound < 1:
        least = probability(1 - worst.risk_bound)
        lines.append(f"By adding up their risks, peaks rarer than any seen included, at least {least}.")
    return [" ".join([head, *lines])]


def survival(plan: Plan) -> list[str]:
    """The cheapest headroom that survives, in a sentence or two; `surgetank allocate` gives it in full."""
    found = plan.allocation
    if found is None:
        return []
    several = len(found) > 1
    short = [s for s in found if s.status == "infeasible"]
    unknown = f" Not counted, because usage or quota is not known: {len(found.left_out)}." if found.left_out else ""
    head = f"To survive {found.failures.word} by what was observed, with load sent where there is room:"
    if short:
        return [
            f"{head} {len(short)} of {len(found)} quotas cannot. {short[0].services[0]}: {short[0].reason}{unknown}"
        ]
    wanting = [s for s in found if s.headroom_cost > 0 or (s.headroom > 0).any()]
    if not wanting:
        known = " that are known" if found.left_out else ""
        return [f"{head} what exists is enough{f' for all {len(found)} quotas{known}' if several else ''}.{unknown}"]
    listed = " ".join(f"{s.services[0]}: {s.reason}" for s in wanting[:3])
    return [f"{head} {listed}{f' … and {len(wanting) - 3} more.' if len(wanting) > 3 else ''}{unknown}"]


def page(plan: Tabular) -> str:
    """The table as a whole HTML page."""
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Headroom plan</title>
<style>body {{ font: 14px/1.5 system-ui, sans-serif; margin: 2em; overflow-x: auto }}
table {{ border-collapse: collapse }} td, th {{ border-bottom: 1px solid #ddd }}</style></head>
<body><h1>Headroom plan</h1>
{render_html(plan)}
</body></html>
"""


def overview(store: AnyStore) -> dict[str, Any]:
    """What a store holds, as plain values; `overview_text` says it to a person."""
    plans, imports = store.plans(), store.imports()
    return {
        "store": store.location,
        "schema_version": store.schema_version,
        "series": len(store.keys_with_usage()),
        "quotas": len(store.quotas()),
        "scenarios": [s.name for s in store.scenarios()],
        "imports": imports,
        "plans": [
            {**{name: p[name] for name in ("number", "made", "as_of", "status", "coverage")}, "policy": _policy_of(p)}
            for p in plans
        ],
    }


def _policy_of(plan: dict[str, Any]) -> str:
    """The name of the policy a kept plan was made with; its options are in the plan's body."""
    return str(plan["body"].get("policy", {}).get("name", "-"))


def overview_text(found: dict[str, Any]) -> str:
    """An overview for a person."""
    lines = [f"{found['store']}: {found['series']} series of usage, {found['quotas']} quotas"]
    lines.append(f"scenarios: {', '.join(found['scenarios']) or 'none; plans take those of surgetank.toml'}")
    for report in found["imports"][:5]:
        ends = f", {report['first']} to {report['last']}" if report["first"] else ""
        lines.append(
            f"imported {report['made']}: {report['source']}, {report['added']:,} of {report['rows']:,} rows new{ends}"
        )
    for plan in found["plans"][:5]:
        covered = f"coverage {percent(plan['coverage'])}"
        by = f"plan {plan['number']} ({plan['policy']}) made {plan['made']}, as of {plan['as_of']}"
        lines.append(f"{by}: {plan['status']}, {covered}")
    return "\n".join(lines)


_DETAILS = (
    *(
        (name, quantity)
        for name in ("usage", "quota", "reserved", "available", "needed", "needed_low", "needed_high", "shortfall")
    ),
    *((name, quantity) for name in ("required", "need", "base", "failover", "spike", "minimum", "maximum")),
    *((name, quantity) for name in ("growth", "n_eff")),
    *((name, percent) for name in ("utilization", "day_utilization", "classic_utilization")),
    ("probability_enough", probability),
)


def detail(plan: Plan, history: History, row: int, detector: Detector | None = None) -> str:
    """One quota as a page of text: its figures, where its usage has been, its spikes (by this detector), and why."""
    detector = AdaptiveDetector() if detector is None else detector
    columns = {c.name: c.values[row] for c in plan._columns()}
    lines = [f"{columns['status']}  {where(columns)}", ""]
    known = [(name, show(float(columns[name]))) for name, show in _DETAILS if not math.isnan(columns[name])]
    lines += [f"  {name:<20} {figure:>12}" for name, figure in known]
    lines += [
        f"  {'decided by':<20} {columns['attribution'] or '–'}",
        f"  {'ask by':<20} {columns['ask_by'] or '–'}",
        "",
    ]
    column = history.usage[:, history.keys.index(plan.keys[row])]
    if np.isfinite(column).any():
        low, high = quantity(float(np.nanmin(column))), quantity(float(np.nanmax(column)))
        lines += [f"  {sparkline(column)}", f"  {span(len(column) * history.step_s)}, {low} to {high}"]
        lines += [f"  {_spikes(column, history, detector)}", ""]
    return "\n".join([*lines, columns["reason"]])


def _spikes(column: Floats, history: History, detector: Detector) -> str:
    """The upward spikes of one series in a line: how many, the latest, the largest."""
    if isinstance(detector, AdaptiveDetector):
        detector = dataclasses.replace(detector, direction="up")
    found = detect_spikes(column, step_s=history.step_s, detector=detector, outputs=("episodes",)).episodes
    if not found:
        return "no upward spikes"
    many = "1 upward spike" if len(found) == 1 else f"{len(found)} upward spikes"
    last = np.datetime64(int(history.start_s + found[-1].start * history.step_s), "s")
    highest = max(found, key=lambda episode: episode.peak)
    size = f"{quantity(highest.peak)}, {quantity(highest.ratio)} × usual"
    return f"{many}, the latest {for_person(last)}; the highest {size}"


def unjudged(history: History, detector: Detector) -> str:
    """Which series are too short for the detector to say anything of them; empty if none is."""
    least = detector._least(history.step_s, len(history.usage))
    observed = np.isfinite(history.usage).sum(axis=0)
    short = [f"{key} ({n:,})" for key, n in zip(history.keys, observed.tolist(), strict=True) if n < least]
    return f"Too short to be judged, less than {least:,} samples: {', '.join(short)}" if short else ""


def explained(plan: Plan, history: History, row: int) -> list[str]:
    """One number from samples to headroom: a headline, then a paragraph a step."""
    columns = {c.name: c.values[row] for c in plan._columns()}
    h = plan.headroom
    head = (
        f"{columns['status']}  {where(columns)}: needs {quantity(float(columns['needed']))} free by the {h.policy.name}"
    )
    return [f"{head} policy", *h.policy.explain(h, history, row)]


def sparkline(usage: Floats, width: int = 60) -> str:
    """The largest usage of each of ``width`` stretches of time, as bars from 0; a dot where nothing was observed."""
    top = float(np.nanmax(usage))
    bars = []
    for part in np.array_split(usage, min(width, len(usage))):
        if not np.isfinite(part).any():
            bars.append("·")
        else:
            bars.append("▁▂▃▄▅▆▇█"[min(7, int(8 * float(np.nanmax(part)) / top)) if top > 0 else 0])
    return "".join(bars)


def where(row: dict[str, Any], account: bool = True) -> str:
    """Account (where it matters), Region and quota of a row, as far as they are stated."""
    parts = [row["account"] if account else "-", row["region"], row["quota_name"]]
    return " ".join(printable(part, 120) for part in parts if part != "-")


def plan_dict(plan: Plan) -> dict[str, Any]:
    """Plain values: head, policy, scenarios and one dictionary per quota."""
    return {
        "schema_version": SCHEMA_VERSION,
        "made": plan.made,
        "as_of": f"{plan.as_of}Z",
        "step_s": plan.step_s,
        "status": plan.status,
        "coverage": plan.coverage,
        "policy": plan.headroom.policy.to_dict(),
        "scenarios": [_scenario(s) for s in plan.headroom.scenarios],
        "skipped_scenarios": list(plan.skipped),
        "probability_fits": for_json(plan.probability_fits),
        "joint": [_joint(j) for j in plan.joint],
        "allocation": None if plan.allocation is None else plan.allocation.to_dict(),
        "quotas": plan.to_records(),
    }


def plan_json(plan: Plan, *, indent: int | None = 2) -> str:
    """JSON that every parser reads: no NaN, no bare Infinity."""
    return json.dumps(plan_dict(plan), indent=indent, ensure_ascii=False, allow_nan=False)


def _joint(joint: JointFit) -> dict[str, Any]:
    return {**dataclasses.asdict(joint), "fits_frac": for_json(joint.fits_frac)}


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {**scenario.to_dict(), "source": list(scenario.sources), "unplaced_frac": scenario.unplaced_frac}
