"""Where failovers stand, for people and programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._bridge import Instant
from .._table import quantity
from ..errors import printable
from ..history.reservations import clock_s
from ..history.samples import instant
from .life import LEAST_FRAC, WAYS, Failover, known_name

if TYPE_CHECKING:
    from ..history.anystore import AnyStore


def standing(store: AnyStore, name: str | None = None, now: Instant | None = None) -> list[dict[str, Any]]:
    """Where failovers stand, as plain values: what each holds, what comes next, and how it came there."""
    now_s, result = clock_s(now), []
    with store.snapshot():
        found = store.failovers()
        names = list(found) if name is None else [known_name(name, found)]
        for one in (Failover.of(each, *found[each]) for each in names):
            held = store.reservations(coordination=one.coordination, now=now_s) if one.coordination else None
            own = held.found if held else ()
            events = [{k: v for k, v in event.items() if k != "body"} for event in store.failover_events(one.name)]
            result.append(
                {
                    **one.to_dict(),
                    "holds": len(own),
                    "until": instant(min(r.expires_s for r in own)) if own else None,
                    "unplaced": unplaced_of(one),
                    "lapsed": bool(one.coordination) and not own,
                    "next_step": None if one.due_s is None else instant(one.due_s),
                    "next": [action for action, ways in WAYS.items() if ways.get(one.state)],
                    "events": events,
                }
            )
    return result


def unplaced_of(one: Failover) -> dict[str, float]:
    """Service → what of its load is assigned to nobody, while it is prepared or moves."""
    if one.state not in ("preparing", "active"):
        return {}
    taken = {s: math.fsum(a.assigned for a in one.landings if a.service == s) for s in one.loads}
    return {s: load.need - taken[s] for s, load in one.loads.items() if load.need - taken[s] > LEAST_FRAC * load.need}


def standing_text(found: list[dict[str, Any]]) -> str:
    """The same for a person."""
    lines = [] if found else ["No failover was ever prepared or activated."]
    for one in found:
        lines.append(f"{one['name']}: {one['state']} since {one['since']}")
        if one["holds"]:
            held = f"room in {one['holds']} quota{'' if one['holds'] == 1 else 's'} until {one['until']}"
            lines.append(f"  holds {held} (coordination {one['coordination']!r})")
        lines += [f"  {service}: {quantity(amount)} found no room" for service, amount in one["unplaced"].items()]
        if one["lapsed"]:
            again = "replan" if "replan" in one["next"] else "activate"
            lost = "the room it held has EXPIRED or was given back, and is anybody's"
            lines.append(f"  {lost}; {again} it to claim it again")
        if one["next_step"]:
            lines.append(f"  the next step back is due {one['next_step']}")
        begun = [n for n, event in enumerate(one["events"]) if event["before"] == "normal"]
        if earlier := begun[-1] if begun else 0:
            lines.append(f"  {earlier} move{'' if earlier == 1 else 's'} of earlier failovers (--json lists them)")
        for event in one["events"][earlier:]:
            by = f" by {event['by']}" if event["by"] else ""
            why = f": {event['why']}" if event["why"] else ""
            lines.append(f"  {event['at']} {event['action']} ({event['before']} → {event['after']}){by}{why}")
    return "\n".join(printable(line, 2000) for line in lines)
