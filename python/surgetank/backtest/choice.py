"""Which policy: the frontier, its knee, and the cheapest for a stated risk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _bridge
from .._bridge import Floats
from .._table import percent, quantity, span
from ..errors import invalid
from . import intervals

if TYPE_CHECKING:
    from .result import Backtest

#: Policies that are looked at together, cheapest first, until one meets the risk.
AT_A_TIME = 16


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The policy for a stated risk, or none."""

    policy: Any  #: None: none meets the risk
    index: int  #: its number in the run; −1: none
    risk: float  #: its risk, the share of failovers that failed; of the least risky where none meets it
    risk_high: float  #: what it is at most, with the confidence asked for; NaN where none was
    cost_per_h: float
    idle_frac: float
    reason: str  #: a plain sentence

    def __str__(self) -> str:
        """Say it."""
        return self.reason


def pareto(risk: Floats, cost: Floats) -> tuple[int, ...]:
    """The policies that no other beats in risk and cost, the cheapest first; of equals the first."""
    order = sorted(range(len(risk)), key=lambda i: (cost[i], risk[i], i))
    kept: list[int] = []
    least = math.inf
    for i in order:
        if not math.isnan(risk[i]) and not math.isnan(cost[i]) and risk[i] < least:
            kept.append(i)
            least = float(risk[i])
    return tuple(kept)


def knee_of(risk: Floats, cost: Floats, moments: int) -> int:
    """The point of the frontier farthest below the line between its ends; risk in powers of ten.

    Without a point below it, the least risky; −1 of no policy. A risk of 0 counts as half a moment.
    Source: V. Satopää et al., "Finding a 'Kneedle' in a haystack", 2011.
    """
    kept = np.array(pareto(risk, cost))
    if not len(kept):
        return -1
    x, y = cost[kept], np.log10(np.maximum(risk[kept], 0.5 / max(1, moments)))
    width, height = x[-1] - x[0], y[0] - y[-1]
    if len(kept) < 3 or width <= 0 or height <= 0:
        return int(kept[-1])
    below = 1 - (x - x[0]) / width - (y - y[-1]) / height
    farthest = int(np.argmax(below))
    return int(kept[farthest if below[farthest] > 1e-9 else -1])


def choose(run: Backtest, risk: object, confidence: object) -> Choice:
    """See `Backtest.best`."""
    most = _bridge.number(risk, "risk", rule="must lie between 0 and 1", least=0, above=True)
    if most >= 1:
        raise invalid("risk", "must lie between 0 and 1", risk)
    sure = None if confidence is None else _sure(confidence)
    if sure is not None:
        _check_possible(run, most, sure)
    total, real = run.total, run._real_risk
    order = [int(i) for i in np.argsort(total.cost_per_h, kind="stable") if real[i] <= most]
    for i in range(0, len(order), AT_A_TIME):
        some = order[i : i + AT_A_TIME]
        high = np.full(len(some), math.nan) if sure is None else _upper(run, some, sure)
        for p, limit in zip(some, high, strict=True):
            if sure is None or limit <= most:
                return _chosen(run, p, float(limit), most, sure)
    if np.isnan(real).all():
        return Choice(
            policy=None, index=-1, risk=math.nan, risk_high=math.nan, cost_per_h=math.nan, idle_frac=math.nan,
            reason="There is no policy to choose: none that was judged does without knowing the future.",
        )  # fmt: skip
    least = int(np.nanargmin(real))
    limit = math.nan if sure is None else float(_upper(run, [least], sure)[0])
    shown = "" if sure is None else f" (with {percent(sure)} confidence at most {percent(limit)})"
    found = f"the least risky, {_name(run, least)}, failed in {percent(float(total.risk[least]))} of all cases{shown}"
    return Choice(
        policy=None, index=-1, risk=float(total.risk[least]), risk_high=limit, cost_per_h=math.nan,
        idle_frac=math.nan, reason=f"No policy meets a risk of {percent(most)}: {found}.",
    )  # fmt: skip


def _chosen(run: Backtest, p: int, high: float, most: float, sure: float | None) -> Choice:
    risk, idle = float(run.total.risk[p]), float(run.total.idle_frac[p])
    limit = "" if sure is None else f", with {percent(sure)} confidence at most {percent(high)}"
    reason = (
        f"{_name(run, p)} is the cheapest with a risk of at most {percent(most)}: {percent(risk)} of failovers failed"
        f"{limit}, and {quantity(idle)} times the average usage was idle."
    )
    return Choice(
        policy=run.policies[p], index=p, risk=risk, risk_high=high, cost_per_h=float(run.total.cost_per_h[p]),
        idle_frac=idle, reason=reason,
    )  # fmt: skip


def _name(run: Backtest, p: int) -> str:
    from .result import label

    return label(run.policies[p])


def _sure(confidence: object) -> float:
    result = _bridge.number(confidence, "confidence", rule="must be a fraction in [.5, 1)", least=0.5)
    if result >= 1:
        raise invalid("confidence", "must be a fraction in [.5, 1): nothing that was seen is certain", confidence)
    return result


def _check_possible(run: Backtest, risk: float, sure: float) -> None:
    windows = run.independent_windows
    least = intervals.never_failed(windows, sure)
    if least > risk:
        lasts = span(run.setting.longest_event_s)
        rule = (
            f"cannot be shown with a confidence of {sure:g}: {span(run.setting.judged_s)} are worth {windows:.0f} "
            f"failovers of {lasts}, which even if none failed allow a risk of {least:.2g}; ask for more risk, or less "
            "confidence"
        )
        raise invalid("risk", rule, risk)


def _upper(run: Backtest, which: list[int], sure: float) -> Floats:
    """The one-sided upper limit of risk: the upper end of the two-sided interval of twice the doubt."""
    return run.interval("risk", which, confidence=1 - 2 * (1 - sure))[1]
