"""A runbook: what must happen until service is back, how long each step takes, and what waits for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .. import _bridge, _core
from .._bridge import Duration
from .._table import Column, Tabular, percent
from ..errors import invalid, nearest
from .graph import Misplaced, check_distinct, check_references, ordered
from .steps import Branch, DataStore, Step, plain_text

MOST_STEPS = 1000


@dataclass(frozen=True, eq=True, repr=False)
class Runbook(Tabular):
    """What must happen until service is back.

    Parameters
    ----------
    steps : sequence of Step and Branch
        In any order.
    name, title : str
        ``name`` for programs, ``title`` for people.
    stores : sequence of DataStore
        Where data may be lost: RPO.
    detection, declaration : str, optional
        The steps at whose end the failure is detected, and declared: RTO is then counted from there, too; from onset
        where they are skipped or never end.
    done : sequence of str, optional
        Service is back when these have ended; never where all of them are skipped. Default: all steps that nothing
        waits for, and branches that have an option without a step.
    served_target : fraction, default 1
        The share of the load that must be served for service to be back.
    target_s, rpo_target_s : seconds or timedelta, optional
        What is asked of it, where `estimate_recovery` is given nothing else.
    strategy : str
        "active-active", "warm-standby", "pilot-light", "backup-restore" or nothing; for comparisons.
    cost_usd_per_month : float, optional
        What it costs while nothing fails; for comparisons.

    Raises
    ------
    InvalidInput
        No steps, a name taken twice, unknown predecessors, a circle (named), a fallback that something else waits for.
    """

    steps: Sequence[Step | Branch]
    name: str = "runbook"
    title: str = ""
    stores: Sequence[DataStore] = ()
    detection: str | None = None
    declaration: str | None = None
    done: Sequence[str] = ()
    served_target: float = 1.0
    target_s: Duration | None = None
    rpo_target_s: Duration | None = None
    strategy: str = ""
    cost_usd_per_month: float | None = None

    def __post_init__(self) -> None:
        """Check the whole, and put the steps in an order in which each comes after what it waits for."""
        put = object.__setattr__
        put(self, "steps", _all_of(self.steps, "steps", (Step, Branch)))
        put(self, "stores", _all_of(self.stores, "stores", (DataStore,)))
        if not self.steps:
            raise invalid("steps", "must hold at least one step", "none")
        if len(self.steps) > MOST_STEPS:
            raise invalid("steps", f"must be at most {MOST_STEPS}", len(self.steps))
        plain_text(self.name, "name")
        for key in ("title", "strategy"):
            if not isinstance(value := getattr(self, key), str):
                raise invalid(key, "must be a text", value)
        check_distinct([s.name for s in self.steps], "steps")
        check_distinct([s.name for s in self.stores], "stores")
        check_references(self.steps)
        put(self, "steps", ordered(self.steps))
        for key in ("detection", "declaration"):
            if (given := getattr(self, key)) is not None:
                self._check_end(key, given)
        put(self, "done", _bridge.names(self.done, "done"))
        for one in self.done:
            self._check_end("done", one)
        served = _bridge.fraction(self.served_target, "served_target")
        if served == 0:
            raise invalid("served_target", "must be above 0", self.served_target)
        put(self, "served_target", served)
        for key in ("target_s", "rpo_target_s"):
            if (value := getattr(self, key)) is not None:
                put(self, key, _bridge.duration_s(value, key))
        if self.rpo_target_s is not None and not self.stores:
            raise invalid("rpo_target_s", "is for a runbook with stores, and it has none", self.rpo_target_s)
        if self.cost_usd_per_month is not None:
            cost = _bridge.number(self.cost_usd_per_month, "cost_usd_per_month", rule="must be 0 or more", least=0)
            put(self, "cost_usd_per_month", cost)

    def _check_end(self, key: str, name: str) -> None:
        """Only what has an end of its own can be waited for: a fallback ends with its owner."""
        if not isinstance(name, str) or name not in self.names:
            raise invalid(key, f"must be a step{nearest(str(name), self.names)}", name)
        for step in self.steps:
            if isinstance(step, Step) and step.fallback == name:
                raise invalid(key, f"must name {step.name!r}, which ends when its fallback does", name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of steps and branches, in an order in which each comes after what it waits for."""
        return tuple(s.name for s in self.steps)

    @property
    def fallbacks(self) -> frozenset[str]:
        """The steps that are done in place of another: part of it, without an end of their own."""
        return frozenset(s.fallback for s in self.steps if isinstance(s, Step) and s.fallback is not None)

    @property
    def ends(self) -> tuple[str, ...]:
        """What service waits for: ``done``, or else all that nothing waits for."""
        if self.done:
            return tuple(self.done)
        awaited = {name.partition(":")[0] for s in self.steps for name in s.after}
        awaited |= self.fallbacks
        taken = {name for s in self.steps for name in s.after}
        lone = {
            s.name
            for s in self.steps
            if isinstance(s, Branch) and s.name not in taken and any(f"{s.name}:{o}" not in taken for o in s.options)
        }
        return tuple(s.name for s in self.steps if s.name not in awaited or s.name in lone)

    @property
    def capacity(self) -> tuple[str, ...]:
        """Patterns of the quotas that its steps need room in."""
        return tuple(dict.fromkeys(p for s in self.steps if isinstance(s, Step) for p in s.capacity))

    def __getitem__(self, name: str) -> Step | Branch:
        """Give the step or branch of that name."""
        for step in self.steps:
            if step.name == name:
                return step
        raise invalid("name", f"must be a step{nearest(str(name), self.names)}", name)

    def with_step(self, name: str, **changes: Any) -> Runbook:
        """Give the same runbook with one step changed, such as ``duration=Fixed(0)``; all else keeps its luck."""
        changed = replace(self[name], **changes)
        return replace(self, steps=[changed if s.name == name else s for s in self.steps])

    @cached_property
    def _model(self) -> _core.RecoveryModel:
        from .compiled import compiled

        return compiled(self)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what was given; the core's model is made again."""
        return {name: value for name, value in self.__dict__.items() if name != "_model"}

    def _caption(self) -> str:
        return self.title or self.name

    def _columns(self) -> list[Column]:
        steps = self.steps
        return [
            Column("step", [s.name for s in steps], "Step", numeric=False),
            Column("duration", [_duration(s) for s in steps], "Takes", numeric=False),
            Column("after", [_after(s) for s in steps], "After", numeric=False, priority=1),
            Column("failure", [getattr(s, "failure", 0.0) for s in steps], "Fails", percent, priority=3),
            Column("retries", [getattr(s, "retries", 0) for s in steps], "Retries", priority=4),
            Column("fallback", [getattr(s, "fallback", None) or "" for s in steps], "Else", numeric=False, priority=4),
            Column(
                "capacity", [", ".join(getattr(s, "capacity", ())) for s in steps], "Needs", numeric=False, priority=2
            ),
        ]


def _all_of(given: object, argument: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    words = " or ".join(kind.__name__ for kind in kinds)
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise invalid(argument, f"must be a sequence of {words}", given)
    items = tuple(given)
    for item in items:
        if not isinstance(item, kinds):
            raise invalid(argument, f"must be a sequence of {words}", item)
    return items


def _duration(step: Step | Branch) -> str:
    if isinstance(step, Branch):
        return " or ".join(f"{percent(p)} {option}" for option, p in step.options.items())
    return str(step.duration)


def _after(step: Step | Branch) -> str:
    return (" or " if step.join == "any" else ", ").join(step.after)


def as_runbook(value: object) -> Runbook:
    """A Runbook, as it is; anything else is a mistake."""
    if not isinstance(value, Runbook):
        raise invalid("runbook", "must be a Runbook; read one with read_runbook, or take a shipped_runbook", value)
    return value


__all__ = ["Branch", "DataStore", "Misplaced", "Runbook", "Step", "as_runbook"]
