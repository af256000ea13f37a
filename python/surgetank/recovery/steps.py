"""What a runbook is made of: steps, branches and stores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .. import _bridge
from ..errors import invalid
from .distributions import Durations, as_distribution

JOINS = ("all", "any")
MOST_RETRIES = 100
#: Names are shown, compared and written to files.
LONGEST_NAME = 120


def plain_text(value: object, argument: str) -> str:
    """A text that is not empty and can be written to a file."""
    text = _bridge.name(value, argument)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(argument, "must be valid Unicode", text) from error
    return text


def _named(value: object) -> str:
    name = plain_text(value, "name")
    if len(name) > LONGEST_NAME:
        raise invalid("name", f"must have at most {LONGEST_NAME} characters", name)
    if ":" in name:
        raise invalid("name", "must hold no colon, which is for the options of a branch", name)
    return name


def _predecessors(owner: object) -> None:
    after = _bridge.names(getattr(owner, "after"), "after")  # noqa: B009  (any class with the field)
    object.__setattr__(owner, "after", tuple(dict.fromkeys(after)))
    join = getattr(owner, "join")  # noqa: B009
    if not isinstance(join, str) or join not in JOINS:
        raise invalid("join", f"must be one of {', '.join(JOINS)}", join)


@dataclass(frozen=True)
class Step:
    """One step of a runbook.

    Parameters
    ----------
    name : str
        Draws are keyed by it, so runbooks that share a step share its luck.
    duration : Distribution, or seconds, or timedelta
        How long an attempt takes.
    after : sequence of str
        What it waits for: steps, branches, or ``"branch:option"``, without which it is skipped. What was skipped is
        not waited for; a step all of whose predecessors are skipped is skipped, too. None: it starts at onset.
    join : "all" or "any"
        Wait for all of them, or for the first; then an option that is not taken is one alternative less.
    failure : probability
        That an attempt fails; it takes its time all the same.
    retries : int
        How often it is tried again, ``retry_after`` (a duration) after each failure.
    fallback : str, optional
        The step that is done instead when the last attempt fails. It has no ``after`` of its own, and this step ends
        when it does. Without one, what waits for this step never happens.
    loadings : mapping of factor to loading in [-1, 1]
        Durations that share a factor go together (Gaussian copula): Spearman's ρ of two steps is
        (6/π)·asin(Σ λ·λ'/2) over the factors. Squares add up to at most 1.
    capacity : str or sequence of str, optional
        Patterns of the quotas it needs room in, such as "ec2/L-1216C47A" or "*"; counts where an estimate is given a
        plan. What does not fit waits for a quota increase, which is asked for once, when the first step that needs it
        begins. Not of a fallback: its owner has it.
    """

    name: str
    duration: Durations = 0.0
    after: Sequence[str] = ()
    join: str = "all"
    failure: float = 0.0
    retries: int = 0
    retry_after: Durations = 0.0
    fallback: str | None = None
    loadings: Mapping[str, float] = field(default_factory=dict, hash=False)
    capacity: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check all that does not depend on other steps."""
        put = object.__setattr__
        put(self, "name", _named(self.name))
        put(self, "duration", as_distribution(self.duration, "duration"))
        _predecessors(self)
        put(self, "failure", _bridge.fraction(self.failure, "failure", rule="must be a probability in [0, 1]"))
        retries = _bridge.whole(self.retries, "retries", f"must be a whole number in [0, {MOST_RETRIES}]")
        if not 0 <= retries <= MOST_RETRIES:
            raise invalid("retries", f"must be a whole number in [0, {MOST_RETRIES}]", self.retries)
        put(self, "retry_after", as_distribution(self.retry_after, "retry_after"))
        if self.fallback is not None:
            _bridge.name(self.fallback, "fallback")
        if not isinstance(self.loadings, Mapping):
            raise invalid("loadings", "must map factors to numbers", self.loadings)
        loadings = {
            plain_text(factor, "loadings"): _bridge.number(value, "loadings") for factor, value in self.loadings.items()
        }
        if math.fsum(v * v for v in loadings.values()) > 1 + 1e-12:
            raise invalid("loadings", "must have squares that add up to at most 1", dict(loadings))
        put(self, "loadings", MappingProxyType(loadings))
        put(self, "capacity", _bridge.names(self.capacity, "capacity"))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle: a read-only view of a mapping cannot."""
        return {**self.__dict__, "loadings": dict(self.loadings)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle."""
        self.__dict__.update({**state, "loadings": MappingProxyType(state["loadings"])})


@dataclass(frozen=True)
class Branch:
    """A fork that takes one of its options: steps say ``after=["name:option"]``.

    ``options`` maps each option to its probability; they add up to 1. It takes no time.
    """

    name: str
    options: Mapping[str, float] = field(hash=False)
    after: Sequence[str] = ()
    join: str = "all"

    def __post_init__(self) -> None:
        """Check the probabilities."""
        object.__setattr__(self, "name", _named(self.name))
        _predecessors(self)
        if not isinstance(self.options, Mapping) or not self.options:
            raise invalid("options", "must map options to probabilities", self.options)
        options = {
            _named(option): _bridge.fraction(p, "options", rule=f"probability of {option} must lie in [0, 1]")
            for option, p in self.options.items()
        }
        if abs(math.fsum(options.values()) - 1) > 1e-9:
            raise invalid("options", "must have probabilities that add up to 1", math.fsum(options.values()))
        object.__setattr__(self, "options", MappingProxyType(options))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle: a read-only view of a mapping cannot."""
        return {**self.__dict__, "options": dict(self.options)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle."""
        self.__dict__.update({**state, "options": MappingProxyType(state["options"])})


@dataclass(frozen=True)
class DataStore:
    """Where data may be lost: how old what is restored is when the failure begins.

    ``lag`` (replication lag, or the age of the last snapshot) plus ``copy`` (until that was usable elsewhere).
    """

    name: str
    lag: Durations
    copy: Durations = 0.0

    def __post_init__(self) -> None:
        """Check."""
        object.__setattr__(self, "name", _named(self.name))
        object.__setattr__(self, "lag", as_distribution(self.lag, "lag"))
        object.__setattr__(self, "copy", as_distribution(self.copy, "copy"))
