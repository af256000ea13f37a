"""A user's own policy: asked at each decision, shown the past alone; the same loop as the core's, in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _bridge
from .._bridge import Floats
from ..errors import InvalidInput, invalid, printable, shown

if TYPE_CHECKING:
    from .setting import Setting


@dataclass(frozen=True, kw_only=True, eq=False)
class Past:
    """What a policy is shown at a decision; arrays are read-only."""

    usage: Floats  #: (t + 1, N) what was used, up to the sample at whose end is decided; NaN: not observed
    demand: Floats  #: (t + 1, N) what would have had to be carried in the worst event at those moments
    quota: Floats  #: (N,) in effect; NaN: none yet, so what is wanted now applies at once
    open: NDArray[np.bool_]  #: (N,) a request is open: what is wanted there is not looked at
    step_s: float
    decision: int  #: its number, from 0


class Path(NamedTuple):
    """Quotas over time that a policy came to, ascending by series and sample; and its requests, by series and time."""

    series: NDArray[np.int64]
    applies: NDArray[np.int64]
    quota: Floats
    asked_by: NDArray[np.int64]  # series of each request
    asked_at: NDArray[np.int64]  # the sample at whose end it was made
    upward: NDArray[np.bool_]

    def quotas(self, shape: tuple[int, ...]) -> Floats:
        """(T, N) the quota at each sample; NaN before the first."""
        found = np.full(shape, np.nan, order="F")
        ends = np.append(self.applies[1:], shape[0])
        ends[:-1][self.series[1:] != self.series[:-1]] = shape[0]
        changes = (self.series, self.applies, ends, self.quota)
        for i, applies, end, quota in zip(*(values.tolist() for values in changes), strict=True):
            found[applies:end, i] = quota
        return found


def decide_of(policy: object) -> Callable[[Past], Any] | None:
    """What to call at each decision, where it is a user's own policy."""
    if isinstance(policy, type):
        return None
    decide = getattr(policy, "decide", None)
    if callable(decide):
        return decide  # type: ignore[no-any-return]
    return policy if callable(policy) else None


def name_of(policy: object) -> str:
    """What to call it in a table."""
    return str(getattr(policy, "name", None) or getattr(policy, "__name__", None) or type(policy).__name__)


def replay_own(policy: object, argument: str, setting: Setting, demand: Floats) -> Path:
    """Ask a policy at each decision, and give the quotas that result."""
    decide = decide_of(policy)
    assert decide is not None
    width, total = setting.world.width, len(setting.usage)
    # What has not happened yet is not in the arrays that a policy sees, whatever it does to them.
    seen = {name: np.full((total, width), math.nan) for name in ("usage", "demand")}
    quota = np.array(setting.quota)
    waits_until = np.zeros(width, dtype=np.int64)  # no decision before that sample
    wanted_then = np.full(width, math.nan)
    changes: list[tuple[int, int, float]] = [(i, setting.first, q) for i, q in enumerate(quota) if not math.isnan(q)]
    asked: list[tuple[int, int, bool]] = []
    known = 0
    for number, t in enumerate(int(t) for t in setting.decisions):
        for name, source in (("usage", setting.usage), ("demand", demand)):
            seen[name][known : t + 1] = source[known : t + 1]
        known = t + 1
        due = ~np.isnan(wanted_then) & (waits_until <= t)
        quota[due], wanted_then[due] = wanted_then[due], math.nan
        waiting = waits_until > t
        past = _past(seen, known, quota, waiting, setting.step_s, number)
        at = f"{argument} at {setting.describe(t)}"
        wanted = _answer(decide, past, at, width, ~np.isnan(seen["usage"][:known]).any(axis=0))
        for i in np.flatnonzero(~waiting & ~np.isnan(wanted)):
            if np.isnan(quota[i]):
                quota[i] = wanted[i]
                if t + 1 < total:
                    changes.append((int(i), t + 1, float(wanted[i])))
            elif wanted[i] != quota[i]:
                asked.append((int(i), t, bool(wanted[i] > quota[i])))
                applies = t + 1 + setting.lead
                waits_until[i], wanted_then[i] = applies, wanted[i]
                if applies < total:
                    changes.append((int(i), applies, float(wanted[i])))
    # A change that applies from the first sample on takes the place of what was given for it.
    kept = {(i, applies): q for i, applies, q in changes}
    ordered = sorted((i, applies, q) for (i, applies), q in kept.items())
    asked.sort()
    return Path(
        np.array([c[0] for c in ordered], dtype=np.int64),
        np.array([c[1] for c in ordered], dtype=np.int64),
        np.array([c[2] for c in ordered], dtype=np.float64),
        np.array([a[0] for a in asked], dtype=np.int64),
        np.array([a[1] for a in asked], dtype=np.int64),
        np.array([a[2] for a in asked], dtype=np.bool_),
    )


def _past(
    seen: dict[str, Floats], known: int, quota: Floats, waiting: NDArray[np.bool_], step_s: float, number: int
) -> Past:  # fmt: skip
    views = {name: array[:known] for name, array in seen.items()}
    mine, open_ = quota.copy(), waiting.copy()
    for array in (*views.values(), mine, open_):
        array.setflags(write=False)
    return Past(usage=views["usage"], demand=views["demand"], quota=mine, open=open_, step_s=step_s, decision=number)


def _answer(
    decide: Callable[[Past], Any], past: Past, at: str, width: int, observed: NDArray[np.bool_]
) -> Floats:  # fmt: skip
    try:
        answer = decide(past)
    except Exception as error:
        rule = f"raised {type(error).__name__}: {printable(str(error), 200)}"
        if isinstance(error, ValueError) and "read-only" in str(error):
            rule = f"must not write into what it is shown ({type(error).__name__}: {printable(str(error), 200)})"
        raise InvalidInput(f"{at}: {rule} (got no quotas)", argument=at, rule=rule) from error
    if answer is None:
        return np.full(width, math.nan)
    try:
        wanted = _bridge.numbers(answer, at)
    except InvalidInput as error:
        raise invalid(at, f"must return {width} quotas, or None to ask for nothing", shown(answer)) from error
    if wanted.shape not in ((), (width,)):
        raise invalid(at, f"must return {width} quotas, or None to ask for nothing", f"shape {wanted.shape}")
    wanted = np.array(np.broadcast_to(wanted, (width,)))
    # Of a series that was never observed nothing can be said; and an open request stands.
    bad = (~np.isfinite(wanted) | (wanted < 0)) & observed & ~past.open
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        rule = f"must return finite quotas of 0 or more, for series {i}; the quota itself asks for nothing"
        raise invalid(at, rule, wanted[i])
    return np.where(np.isfinite(wanted) & (wanted >= 0), wanted, math.nan)
