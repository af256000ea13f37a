"""Parameters of distributions: what is checked, and how the core takes them."""

from __future__ import annotations

import itertools
from typing import Any

from .. import _bridge, _core
from .._bridge import Duration
from ..errors import invalid

#: Durations of which nobody needs to know more.
LONGEST_S = 1e15


def seed_of(value: object) -> int:
    """A seed: a whole number in [0, 2⁶⁴)."""
    seed = _bridge.whole(value, "seed", "must be a whole number")
    if not 0 <= seed < 2**64:
        raise invalid("seed", "must lie in [0, 2^64)", value)
    return seed


def keep_seconds(owner: object, *names: str, above: bool = False) -> None:
    """Check the named fields of a frozen dataclass and keep them as float seconds."""
    for name in names:
        object.__setattr__(owner, name, seconds_of(getattr(owner, name), name, above=above))


def seconds_of(value: Any, argument: str, *, above: bool = False) -> float:
    """Seconds, at most 30 million years; never −0, which would sort as less than 0."""
    seconds = _bridge.duration_s(value, argument, above=above)
    if seconds > LONGEST_S:
        raise invalid(argument, f"must be at most {LONGEST_S:g} s", value)
    return seconds + 0.0


def keep_positive(owner: object, *names: str) -> None:
    """Check the named fields of a frozen dataclass: numbers above 0."""
    for name in names:
        value = _bridge.number(getattr(owner, name), name, rule="must be a number above 0", least=0, above=True)
        object.__setattr__(owner, name, value)


def check_ordered(owner: object, *names: str) -> None:
    """Refuse fields that do not ascend."""
    for low, high in itertools.pairwise(names):
        if getattr(owner, low) > getattr(owner, high):
            rule = f"must be at least {low} {getattr(owner, low):g}"
            raise invalid(high, rule, getattr(owner, high))


def core_of(kind: str, *parameters: Any) -> _core.Distribution:
    """The core's distribution of that kind."""
    return _core.Distribution(kind, plain(*parameters))


def plain(*values: Any) -> list[float]:
    """Floats, of what has been checked."""
    return [float(value) for value in values]


def fitted(kind: str, low_s: Duration, likely_s: Duration, high_s: Duration, confidence: float) -> list[float]:
    """Parameters of the triangular or PERT distribution with that mode and these quantiles."""
    low, likely, high = (
        _bridge.duration_s(value, name)
        for value, name in ((low_s, "low_s"), (likely_s, "likely_s"), (high_s, "high_s"))
    )
    for name, value, other, least in (("likely_s", likely, "low_s", low), ("high_s", high, "likely_s", likely)):
        if value < least:
            raise invalid(name, f"must be at least {other} {least:g}", value)
    inner = _bridge.fraction(confidence, "confidence")
    if not 0 < inner < 1:
        raise invalid("confidence", "must lie between 0 and 1", confidence)
    found: list[float] = _core.fit_quantiles(kind, low, likely, high, inner)
    return found
