"""What an estimate says to a person, in sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .._table import percent, probability, span

if TYPE_CHECKING:
    from .result import Recovery
    from .shortage import Shortage

MOST_STEPS = 3


def chance(p: float) -> str:
    """A probability as per cent: a decimal, or as many as it takes to tell it from certainty."""
    if 0 < 1 - p < 1e-4:
        return ">99.99%"
    return f"{100 * p:.1f}%" if 0.001 <= p <= 0.9 else probability(p)


def between(low: float, high: float) -> str:
    """An interval of a probability, with the digits that tell its ends apart."""
    width = 100 * (high - low)
    if not width > 0:
        return f"{chance(low)} to {chance(high)}"
    decimals = min(6, max(1, -math.floor(math.log10(width))))
    return f"{100 * low:.{decimals}f}% to {100 * high:.{decimals}f}%"


def caption(result: Recovery) -> str:
    """Name, and the answer where there is a target."""
    name = result.runbook.title or result.runbook.name
    if result.target_s is None:
        half = span(float(result.rto.quantile(0.5)))
        return f"{name}: service is back within {half} in half of {result.trials:,} trials"
    low, high = result.interval
    sure = f"{percent(result.confidence)}: {between(low, high)}"
    since = "" if result.clock == "onset" else f" from {result.clock}"
    within = f"back within {span(result.target_s)}{since}"
    return f"{name}: {within} with a probability of {chance(result.probability)} ({sure})"


def notes(result: Recovery) -> list[str]:
    """What decides, what lack of room does, and what the figures do not cover."""
    said = []
    if leading := _leading(result):
        said.append(leading)
    if not math.isnan(result.both_probability):
        both = chance(result.both_probability)
        said.append(f"RTO and RPO are both met with a probability of {both}.")
    said += room(result)
    if result.never > 0:
        said.append(f"Service is never back with a probability of {percent(result.never)}; means leave that out.")
    said.append(f"{result.trials:,} trials, seed {result.seed}. Intervals cover the sampling, not wrong inputs.")
    return said


def _risk_beyond(shortage: Shortage) -> float:
    """The plan's risks of the quotas that were looked at, added up."""
    headroom, plan = shortage.plan.headroom, shortage.plan
    if "risk" not in headroom.event_needs:
        return 0.0
    at = headroom.events.index(shortage.event)
    risks = [headroom.event_needs["risk"][plan.keys.index(key), at] for key in shortage.coupling.covered]
    return min(1.0, math.fsum(r for r in risks if not math.isnan(r)))


def _leading(result: Recovery) -> str:
    steps = result.steps
    order = sorted(range(len(steps.names)), key=lambda i: -steps.contribution_s[i])
    leading = [i for i in order[:MOST_STEPS] if steps.contribution_s[i] > 0]
    if not leading:
        return ""
    shown = ", ".join(f"{steps.names[i]} {span(float(steps.contribution_s[i]))}" for i in leading)
    return f"Of the mean RTO: {shown}."


def room(result: Recovery) -> list[str]:
    """How often the load that lands finds room, and what that costs."""
    shortage = result.shortage
    if shortage is None:
        needs = result.runbook.capacity
        return ["Room for the load that lands is assumed; a plan, given as capacity, tells."] if needs else []
    event, many = shortage.event, f"{len(shortage.coupling.moments):,} moments of history"
    when = f"When {event}" if event.endswith((" fails", " fail")) else f"In {event!r}"
    said = [f"{when}, the load that lands fits at {chance(shortage.fits_frac)} of {many}."]
    capacity = result.asked.capacity
    if capacity is not None and capacity.raised is not None:
        as_if = {"needed": "to what the plan says they need", "allocation": "by the plan's allocation"}
        how = as_if.get(capacity.raised, "as given") if isinstance(capacity.raised, str) else "as given"
        said[0] = f"As if quotas were raised {how}: {said[0][0].lower()}{said[0][1:]}"
    elif shortage.fits_frac == 1 and (bound := _risk_beyond(shortage)) > 1e-6:
        said[0] += f" Beyond what was seen, the plan puts the risk that it does not at {percent(bound)} or less."
    if shortage.lacking.size and capacity is not None:
        said.append(f"An increase takes {capacity.lead_time}, and is refused in {percent(capacity.denial)}.")
    if shortage.coupling.unknown:
        named = [f"{key.region}/{key.quota_name}" for key in shortage.coupling.unknown]
        shown = ", ".join(named[:3]) + (" …" if len(named) > 3 else "")
        said.append(f"Not counted, because usage, quota or what lands there is not known: {shown}.")
    if 0 < shortage.fits_frac < 1 and result.target_s is not None:
        low, high = shortage.interval
        without = chance(shortage.probability_without)
        said.append(f"With room for everything the probability would be {without}.")
        said.append(f"Over other histories like this one it is {between(low, high)}.")
    if shortage.lacking.size and shortage.last.max() > 0:
        worst = int(shortage.last.argmax())
        key, last = shortage.coupling.quotas[worst], percent(float(shortage.last[worst]))
        whose = f" of {key.account}" if shortage.coupling.several_accounts else ""
        most = f"Mostly for lack of {key.quota_name} in {key.region}{whose}"
        said.append(f"{most}: its increase is the last in {last} of all trials.")
    return said
