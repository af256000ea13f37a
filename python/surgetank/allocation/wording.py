"""An allocation as people and programs read it: caption, sentences, plain values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .._table import at_least, for_json, percent, quantity
from .failures import said

if TYPE_CHECKING:
    from .result import Allocation, Binding

MOST_NOTES = 8


def caption(found: Allocation) -> str:
    """What is survived, and what it costs."""
    word = found.failures.word
    if found.status == "infeasible":
        bad = found.statuses.count("infeasible")
        who = "" if found.given.single else f" for {bad} of {len(found)} services"
        return f"To survive {word}: infeasible{who}; the best that can be done costs {quantity(found.headroom_cost)}"
    shed = {float(c) for c in found.given.critical if c < 1}
    less = f"; {', '.join(percent(1 - c) for c in sorted(shed))} of the load is shed first" if shed else ""
    unknown = f"; {len(found.left_out)} unknown" if found.left_out else ""
    return f"To survive {word}: optimal, cost {quantity(found.cost)}{less}{unknown}"


def notes(found: Allocation) -> list[str]:
    """Why, service by service; what pooling saves; what was left out; the proof."""
    order = sorted(range(len(found)), key=lambda s: (found.statuses[s] != "infeasible", -found.headroom_costs[s], s))
    lines = []
    wanting = [s for s in order if found.statuses[s] == "infeasible" or (found.headroom[s] > 0).any()]
    if found.given.single:
        lines.append(found.reason)
        wanting = []
    lines += [f"{found.services[s]}: {found.reasons[s]}" for s in wanting[:MOST_NOTES]]
    if len(wanting) > MOST_NOTES:
        lines.append(f"… and {len(wanting) - MOST_NOTES} more services; `reasons` and JSON give every one.")
    if not found.given.single and len(wanting) < len(order):
        rest = f" for the other {len(order) - len(wanting)}" if wanting else ", for every service"
        lines.append(f"{enough(found)}{rest}.")
    if (saving := pooling(found)) is not None:
        lines.append(saving)
    if found.unplaced > 0:
        worst = float(np.max(found.cvar))
        lines.append(
            f"In the worst {percent(1 - found.alpha)} of all failures and moments, on average {percent(worst)} of the "
            f"load stays unplaced (at most {percent(found.unplaced)} was asked for)."
        )
    if found.left_out:
        shown = ", ".join(found.left_out[:5]) + (" …" if len(found.left_out) > 5 else "")
        lines.append(f"Not counted, because usage or quota is not known: {shown}.")
    lines.append(proof(found))
    return lines


def pooling(found: Allocation) -> str | None:
    """What is saved by peaks that do not coincide."""
    if len(found.given.load) == 1:
        return None
    observed, all_of = int(np.min(found.moments)), len(found.given.load)
    if found.status == "infeasible" or found.unplaced > 0:
        return None if observed == all_of else f"Of {all_of:,} moments {observed:,} are observed in full and count."
    head = f"Every one of {all_of:,} moments fits"
    if observed < all_of:
        head = f"Of {all_of:,} moments {observed:,} are observed in full, and each of those fits"
    if math.isinf(found.pooling_saving):
        return f"{head}; if every Region's peak came at once, some failure could not be survived at all."
    if found.pooling_saving <= 1e-9 * found.cost:
        return f"{head}; planning for every Region's peak at once would cost no more."
    return f"{head}; planning for every Region's peak at once would cost {quantity(found.pooling_saving)} more."


def proof(found: Allocation) -> str:
    """What was checked."""
    if found.status == "infeasible":
        if not found.broken:
            return "Checked: what is promised or used exceeds all that can be raised."
        what = "the bound is not kept" if found.unplaced > 0 else "the load named above does not fit"
        return f"Checked: with all that may be raised, {what}."
    fits = "the unplaced share stays within its bound" if found.unplaced > 0 else "every failure fits"
    return f"Checked: no headroom costs less (dual bound within {found.gaps.max():.1g} of the cost), and {fits}."


def reason(found: Allocation, s: int) -> str:
    """Why the headroom of a service is what it is, in a sentence or two."""
    one = found[s] if len(found) > 1 else found
    if 0 in one.broken:
        return _infeasible(one)
    if over := _over_promised(one):
        return "; ".join(over) + "."
    if not (np.ravel(one.headroom) > 0).any():
        return f"{enough(one)}."
    return _decided(one)


def _infeasible(one: Allocation) -> str:
    why, ray, when = one.broken[0], one.certificates[0], one.given.when(one.broken[0]["moment"])
    targets = [r for i, r in enumerate(one.regions) if i not in why["failed"]]
    there = [True] * len(one.regions) if one.given.there is None else one.given.there.tolist()
    full = [r for r in targets if r in ray.full]
    unknown = [r for r in targets if r not in full and not there[one.regions.index(r)]]
    limited = [r for r in targets if r not in full and r not in unknown]
    fixed = [r for r in full if one.given.raisable[one.regions.index(r)] == 0]
    spent = [r for r in full if r not in fixed]
    limits = [f"the quota of {' and '.join(fixed)} cannot be raised"] if fixed else []
    limits += [f"{' and '.join(spent)} can be raised no further"] if spent else []
    limits += [f"{' and '.join(limited)} may take no more (eligibility, share cap)"] if limited else []
    limits += [f"usage or quota of {' and '.join(unknown)} is not known"] if unknown else []
    fails = "fails" if len(why["failed"]) == 1 else "fail"
    head = f"When {said(one.failures.label(why['failed']))} {fails}{when}, {at_least(why['missing'])} of"
    stay = f"the {quantity(ray.load)} that leave {' + '.join(ray.sources)} stay unplaced"
    text = f"{head} {stay}: {'; '.join([*limits, *_over_promised(one)])}."
    if one.unplaced > 0:
        tail = f"{percent(float(one.cvar[0]))} of the load is unplaced in the worst {percent(1 - one.alpha)} of cases"
        text = f"With all that may be raised {tail}, more than {percent(one.unplaced)}. At worst: {text}"
    return text


def _over_promised(one: Allocation) -> list[str]:
    return [
        f"{region} has promised or uses {quantity(amount)} more than it can have"
        for region, amount in zip(one.regions, np.ravel(one.over_promised).tolist(), strict=True)
        if amount > 0
    ]


def _decided(one: Allocation) -> str:
    def listed(amounts: Any) -> str:
        rows = zip(one.regions, np.ravel(amounts).tolist(), strict=True)
        return ", ".join(f"{at_least(amount)} in {region}" for region, amount in rows if amount > 0)

    raises = f"Raise {listed(one.headroom)}"
    if owed := listed(one.owed):
        raises += f"; of that, {owed} because more is promised or used than there is"
    if one.unplaced > 0 and one.binding:
        return f"The loss of {said(one.binding[0].failure)} is the worst. {raises}."
    first: dict[str, Binding] = {}
    for b in one.binding:
        first.setdefault(said(b.failure), b)
    losses = [
        (f"the loss of {name}{one.given.when(b.moment)}", at_least(b.need)) for name, b in list(first.items())[:3]
    ]
    if not losses:
        return f"{raises}."
    (loss, need), *others = losses
    more = "".join(f"; {other} asks for {amount}" for other, amount in others)
    return f"T{loss[1:]} decides: {need} more than exists must fit{more}. {raises}."


def enough(found: Allocation) -> str:
    """What exists is enough, in words."""
    fits = "what exists keeps within the bound" if found.unplaced > 0 else "every failure fits in what exists"
    return f"As far as is known, {fits}" if found.left_out else fits[0].upper() + fits[1:]


def deciding(found: Allocation) -> list[str]:
    """Which loss decides, for each service and Region: the most costly in which that Region takes load."""
    count, width = found.given.shape
    names = [["–"] * width for _ in range(count)]
    place = {name: s for s, name in enumerate(found.services)}
    headroom = np.reshape(found.headroom, (count, width))
    for b in reversed(found.binding):
        failed = (b.failure,) if isinstance(b.failure, str) else b.failure
        s = place[b.service]
        for r, region in enumerate(found.regions):
            if region not in failed and headroom[s, r] > 0:
                names[s][r] = said(b.failure)
    for s, why in found.broken.items():
        worst = said(found.failures.label(why["failed"]))
        for r in range(width):
            if names[s][r] == "–" and r in why["full"]:
                names[s][r] = worst
    return [name for row in names for name in row]


def as_dict(found: Allocation) -> dict[str, Any]:
    """Plain values: head, one dictionary per service and Region, transfers where they are few."""
    return {
        "survives": found.failures.word,
        "status": found.status,
        "cost": for_json(found.cost),
        "headroom_cost": for_json(found.headroom_cost),
        "pooling_saving": for_json(found.pooling_saving),
        "left_out": list(found.left_out),
        "services": [
            {
                "service": one.services[0],
                "status": one.status,
                "cost": for_json(one.cost),
                "binding_failure": one.binding_failure,
                "reason": one.reason,
                "headroom": dict(zip(one.regions, np.reshape(one.headroom, -1).tolist(), strict=True)),
                "price": dict(zip(one.regions, np.reshape(one.prices, -1).tolist(), strict=True)),
                "moments": int(one.moments[0]),
                "gap": one.certificate.gap,
                "excess": one.certificate.excess,
                "shortfall": {
                    said(one.failures[i]): float(one.broken[0]["shortfall"][i])
                    for i in np.flatnonzero(one.broken[0]["shortfall"] > 0).tolist()
                }
                if one.broken
                else {},
            }
            for one in (found if len(found) > 1 else [found])
        ],
        "rows": found.to_records(),
    }
