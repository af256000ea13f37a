"""An adequacy test as people read it: caption, sentences, cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._table import percent, quantity, span
from .room import STEPS, Ramp, RampStep, Room

if TYPE_CHECKING:
    from .result import Adequacy, Case

MOST_NOTES = 8
MOST_NAMES = 5


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def caption(found: Adequacy) -> str:
    """The headline: what fails, when, and how it ended."""
    test = found.test
    onto = f" onto {listed(test.secondary_regions)}" if test.secondary_regions else ""
    statuses = [case.status for case in found.cases]
    counts = [f"{statuses.count(s)} {s}" for s in ("failed", "UNKNOWN", "warning", "passed") if s in statuses]
    return f"Adequacy of {test.primary_region}{onto} as of {found.as_of}Z: {', '.join(counts) or 'nothing tested'}"


def because(found: Adequacy) -> str:
    """Why the exit code is what it is."""
    statuses = [case.status for case in found.cases]
    worst, count = found.status, statuses.count(found.status)
    if worst == "UNKNOWN" and not count:
        return found.lacking[0] if found.lacking else "nothing was tested"
    verb = {"failed": "failed", "warning": "passed with a warning", "passed": "passed"}.get(worst)
    if verb is None:
        return f"{count} of {len(statuses)} tests {'is' if count == 1 else 'are'} UNKNOWN"
    return f"{count} of {len(statuses)} tests {verb}"


def notes(found: Adequacy) -> list[str]:
    """A sentence for every row that needs attention, worst first, what to do, and what was left out."""
    lines = _cut(_rows(found, ("failed", "UNKNOWN", "warning")), "--json and the result files give every one")
    advice = [one.text for one in found.recommendations]
    if advice:
        lines += ["To pass every scenario:", *(f"  {text}" for text in _cut(advice, "--json gives every one"))]
    return [*lines, *_cut(_rows(found, ("passed",)), "--json gives every one"), *remarks(found)]


def _rows(found: Adequacy, statuses: Sequence[str]) -> list[str]:
    """What is to be said of rows of these statuses; of a quota that fares alike in several scenarios, once."""
    several = several_accounts(found.cases)
    said: dict[tuple[str, str, str], list[str]] = {}
    for status in statuses:
        for case in found.cases:
            if case.status == status and (status != "passed" or _dark(case.rooms)):
                name = case.where if several else case.quota_name
                said.setdefault((status, name, case.why), []).append(case.scenario)
    return [f"{status} {name} in {listed(scenarios)}: {why}" for (status, name, why), scenarios in said.items()]


def remarks(found: Adequacy) -> list[str]:
    """What is to be known of the test as a whole."""
    lines = [f"UNKNOWN: {lack}." for lack in found.lacking]
    if found.left_out:
        names = ", ".join(found.left_out[:MOST_NAMES])
        more = f" and {len(found.left_out) - MOST_NAMES} more" if len(found.left_out) > MOST_NAMES else ""
        lines.append(f"Left out, because they hold for the account and not for a Region: {names}{more}.")
    if found.test.unlisted:
        lines.append(f"Described and not tested, because they are not listed: {', '.join(found.test.unlisted)}.")
    return lines


def _cut(lines: list[str], rest: str) -> list[str]:
    more = len(lines) - MOST_NOTES
    return [*lines[:MOST_NOTES], f"… and {more} more; {rest}."] if more > 0 else lines


def _dark(rooms: Sequence[Room]) -> list[Room]:
    return [room for room in rooms if room.lacks]


def why(needed: float, shortfall: float, unknown: Sequence[str], rooms: Sequence[Room], ramp: Ramp) -> str:
    """One row in a sentence or two."""
    if unknown:
        text = "; ".join(unknown)
        return text if text.endswith("?") else f"{text}."
    free = [f"{room.region}{' has room' if not n else ''} for {quantity(room.free)}"
            for n, room in enumerate(room for room in rooms if not room.lacks)]  # fmt: skip
    has = ", ".join(free)
    if shortfall:
        share = percent(shortfall / needed)
        said = [f"{quantity(shortfall)} of {quantity(needed)} ({share}) do not fit: {has}."]
    else:
        said = [f"{quantity(needed)} fits: {has}."]
    if dark := "; ".join(f"{room.lacks} of {room.region}" for room in _dark(rooms)):
        said.append(f"Not known, and there may be room: {dark}." if shortfall else f"Not known, so no room: {dark}.")
    if ramp.stop is not None:
        said.append(f"The ramp {until(ramp)}.")
    return " ".join(said)


def until(ramp: Ramp) -> str:
    """Where the ramp stops, and where the naive answer would."""
    at = f"stops at step {ramp.stop} of {STEPS}, {span(ramp.stop_s)} after it began"
    if ramp.naive_stop == ramp.stop:
        return at
    return f"{at}; with every Region asked for all of it, at step {ramp.naive_stop}, after {span(ramp.naive_stop_s)}"


def several_accounts(cases: Sequence[Case]) -> bool:
    """Whether a row must name its account."""
    return len({case.account for case in cases if case.rooms or not math.isnan(case.usage)}) > 1


def stop(step: int | None) -> float:
    """The step as a number of a column; NaN where there is none."""
    return math.nan if step is None else float(step)


def reach(case: Case, *, naive: bool) -> str:
    """How far the load gets, for a cell of the table."""
    if not case.ramp.steps:
        return "–"
    step, seconds = (case.ramp.naive_stop, case.ramp.naive_stop_s) if naive else (case.ramp.stop, case.ramp.stop_s)
    return "fits" if step is None else f"stops at {step}/{STEPS}, {span(seconds)}"


def taken(step: RampStep) -> str:
    """Who takes how much at a step."""
    return ", ".join(f"{region} {quantity(amount)}" for region, amount in step.taken.items())


def fits(value: bool) -> str:
    """A truth as a word."""
    return "yes" if value else "no"
