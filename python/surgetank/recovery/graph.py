"""What must hold between the steps of a runbook: different names, predecessors that are there, no circle."""

from __future__ import annotations

import graphlib
from collections.abc import Sequence
from typing import NoReturn

from ..errors import InvalidInput, invalid, nearest
from .steps import Branch, Step


class Misplaced(InvalidInput):
    """An error of a runbook as a whole that knows which step, branch or store, and which of its keys, it is about."""

    def __init__(self, message: str, name: str = "", key: str = "", rule: str | None = None) -> None:
        """Keep where it is."""
        super().__init__(message, argument=key or None, rule=rule)
        self.name, self.key = name, key


def _misplaced(name: str, key: str, rule: str, got: object) -> NoReturn:
    error = invalid(key, f"of {name!r} {rule}", got)
    raise Misplaced(str(error), name, key, error.rule)


def check_distinct(names: Sequence[str], argument: str) -> None:
    """Refuse a name that is there twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Misplaced(str(invalid(argument, "must have different names", name)), name, "name")
        seen.add(name)


def check_references(steps: Sequence[Step | Branch]) -> None:
    """Refuse predecessors, options and fallbacks that are not there, and fallbacks that wait or are waited for."""
    by_name = {s.name: s for s in steps}
    owner: dict[str, str] = {}
    for step in steps:
        if isinstance(step, Step) and step.fallback is not None:
            other = by_name.get(step.fallback)
            if not isinstance(other, Step):
                known = [s.name for s in steps if isinstance(s, Step)]
                _misplaced(step.name, "fallback", f"must be a step{nearest(step.fallback, known)}", step.fallback)
            if other.after:
                _misplaced(step.name, "fallback", "must wait for nothing of its own", step.fallback)
            if other.capacity:
                rule = f"must not be of a fallback: give it to {step.name!r}, whose time it is part of"
                _misplaced(other.name, "capacity", rule, other.capacity[0])
            if other.name in owner:
                rule = f"must be of one step only, and {owner[other.name]!r} has it"
                _misplaced(step.name, "fallback", rule, step.fallback)
            owner[other.name] = step.name
    for step in steps:
        for name in step.after:
            base, colon, option = name.partition(":")
            other = by_name.get(base)
            if other is None:
                _misplaced(step.name, "after", f"must name steps that are there{nearest(base, by_name)}", name)
            if base in owner:
                rule = f"must name {owner[base]!r}, which ends when its fallback does"
                _misplaced(step.name, "after", rule, name)
            if not colon:
                continue
            if not isinstance(other, Branch):
                _misplaced(step.name, "after", f"must give options of branches only; {base!r} is a step", name)
            if option not in other.options:
                _misplaced(step.name, "after", f"must name an option{nearest(option, other.options)}", name)


def ordered(steps: Sequence[Step | Branch]) -> tuple[Step | Branch, ...]:
    """Each after what it waits for, a fallback after its owner's predecessors; otherwise as given."""
    place = {s.name: i for i, s in enumerate(steps)}
    graph: dict[str, set[str]] = {s.name: {a.partition(":")[0] for a in s.after} for s in steps}
    for s in steps:  # a fallback is part of its owner, whose end others wait for: the owner comes after it
        if isinstance(s, Step) and s.fallback is not None:
            graph[s.name].add(s.fallback)
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        name = min(error.args[1], key=lambda n: place[n])
        message = invalid("steps", "must not wait for each other in a circle", circle)
        raise Misplaced(str(message), name, "after") from None
    result: list[str] = []
    ready = sorted(sorter.get_ready(), key=place.__getitem__)
    while ready:
        result += ready
        sorter.done(*ready)
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
    return tuple(steps[place[name]] for name in result)
