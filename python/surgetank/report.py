"""A plan as people and programs read it: caption, sentences, JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from ._table import percent, plain
from .headroom import ClassicPolicy
from .scenario import Scenario

if TYPE_CHECKING:
    from .plan import Plan

#: Version of the JSON of a plan. It changes when a field changes meaning or leaves, not when one is added.
SCHEMA_VERSION = 1
MOST_NOTES = 12


def caption(plan: Plan) -> str:
    """The headline: when, how much of it is known, and how bad it is."""
    status = list(plan.headroom.status)
    counts = [f"{status.count(s)} {s}" for s in ("CRITICAL", "WARNING", "UNKNOWN", "OK") if s in status]
    covered = f"coverage {percent(plan.coverage)} of {len(status)} quotas"
    return f"Headroom as of {plan.as_of}Z: {', '.join(counts)}; {covered}"


def notes(plan: Plan) -> list[str]:
    """A sentence for every row that needs attention, worst first, then what was left out."""
    rows = plan.rows("CRITICAL", "UNKNOWN", "WARNING")
    lines = [f"{row['status']} {where(row)}: {row['reason']}" for row in rows[:MOST_NOTES]]
    if len(rows) > MOST_NOTES:
        lines.append(f"… and {len(rows) - MOST_NOTES} more; JSON and to_pandas() give the reason of every row.")
    if plan.skipped:
        lines.append(f"Skipped, because their Regions are not here: {', '.join(plan.skipped)}.")
    if not plan.headroom.scenarios:
        lines.append('No scenario was given: nothing is assumed to fail (scenarios="N-1" lets each Region fail).')
    return lines


def where(row: dict[str, Any]) -> str:
    """Account, Region and quota of a row, as far as they are stated."""
    parts = [row["account"], row["region"], row["quota_name"]]
    return " ".join(part for part in parts if part != "-")


def plan_dict(plan: Plan) -> dict[str, Any]:
    """Plain values: head, policy, scenarios and one dictionary per quota."""
    columns = plan._columns()
    rows = zip(*(c.values for c in columns), strict=True)
    return {
        "schema_version": SCHEMA_VERSION,
        "made": plan.made,
        "as_of": f"{plan.as_of}Z",
        "step_s": plan.step_s,
        "status": plan.status,
        "coverage": plan.coverage,
        "policy": _policy(plan.headroom.policy),
        "scenarios": [_scenario(s) for s in plan.headroom.scenarios],
        "skipped_scenarios": list(plan.skipped),
        "quotas": [{c.name: _json(v) for c, v in zip(columns, row, strict=True)} for row in rows],
    }


def plan_json(plan: Plan, *, indent: int | None = 2) -> str:
    """JSON that every parser reads: no NaN, no bare Infinity."""
    return json.dumps(plan_dict(plan), indent=indent, ensure_ascii=False, allow_nan=False)


def _json(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _policy(policy: ClassicPolicy) -> dict[str, Any]:
    fields = dataclasses.asdict(policy)
    return {"name": "classic", **{k: _json(v) for k, v in fields.items() if k != "detector"}, "detector": fields["detector"]}


def _scenario(scenario: Scenario) -> dict[str, Any]:
    fields = {name: getattr(scenario, name) for name in scenario.__dataclass_fields__}
    return {**fields, "source": list(scenario.sources), "targets": dict(scenario.targets), "unplaced_frac": scenario.unplaced_frac}
