"""`size_headroom`: how much room must each quota keep free, and is it there? And the way back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge, _core
from .._bridge import Duration, Instant
from ..errors import invalid
from ..history import History
from ..scenario import Scenarios, resolve
from .classic import ClassicPolicy
from .policy import Case, Policy
from .quantile import QuantilePolicy
from .result import Headroom, fields_of
from .world import World

WARNING_FRAC, CRITICAL_FRAC = 0.70, 0.85


def size_headroom(
    usage: ArrayLike | History,
    *,
    quota: ArrayLike | None = None,
    step_s: Duration | None = None,
    policy: Policy | None = None,
    scenarios: Scenarios = None,
    regions: Sequence[str] | None = None,
    cost_per_unit: ArrayLike = 0.0,
    adjustable: ArrayLike = True,
    warning_frac: ArrayLike = WARNING_FRAC,
    critical_frac: ArrayLike = CRITICAL_FRAC,
    stale_after_s: Duration | None = None,
    now: Instant | Duration | None = None,
) -> Headroom:
    """Size the headroom that each quota needs, and compare it with what is free.

    Parameters
    ----------
    usage : (T,), (T, R) or (T, S, R) numbers, a frame, or History
        What was consumed at equal steps, oldest first, ≥ 0 in the quota's unit; NaN for not observed. The last axis
        is the Region.
    quota : (R,) or (S, R) numbers, optional
        Applied quota values; a single number serves all. NaN: not known. A History brings its own, and what of them
        is reserved, which is not free; where they are stated, nothing of them is.
    step_s : float (seconds) or timedelta
        One step; History and frames know their own.
    policy : QuantilePolicy, ClassicPolicy or RulePolicy, optional
        How much headroom is needed. Default ``QuantilePolicy()``.
    scenarios : sequence of Scenario or str, optional
        What may fail; ``"N-1"`` for each Region alone, ``"N-2"`` for any two together, ``"shipped"`` for those that
        come with surgetank. Default: none.
    regions : sequence of str, optional
        Names along the last axis, needed where scenarios name Regions. Default "0", "1", …
    cost_per_unit : number or (R,) or (S, R), default 0
        Price of one unit of quota, for the policy's cost cap.
    adjustable : bool or (R,) or (S, R), default True
        False: the quota cannot be raised, so no more than what is free can be required.
    warning_frac, critical_frac : fractions, defaults .70 and .85
        Utilization from which status is WARNING, CRITICAL; inclusive.
    stale_after_s : float (seconds) or timedelta, optional
        A last observed sample older than this makes the quota UNKNOWN. Default: the longer of 1 h and 12 steps.
    now : instant, or seconds for arrays, optional
        The moment of the plan; later samples are ignored. Arrays count it in seconds from their first sample.
        Default: the last sample.

    Returns
    -------
    Headroom
        Fields in the shape of one instant of usage, in the quota's unit, read-only.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. A shortfall is an answer, not an error; see
        `Headroom.require_met`.

    Notes
    -----
    Method: see `QuantilePolicy`. Sufficiency is judged by the unclipped need against what is free now and where that
    was worst in the last 24 h (AWS Well-Architected, REL01-BP06). A quota on which load would land whose own usage is
    not known is UNKNOWN, unless what is known is too much already. Calls share no state; the GIL is released.

    Examples
    --------
    >>> import surgetank
    >>> usage = [[600.0, 600.0]] * 288
    >>> h = surgetank.size_headroom(usage, quota=1000.0, step_s=300, scenarios="N-1")
    >>> h.needed.tolist(), h.available.tolist(), h.shortfall.tolist(), h.status.tolist()
    ([600.0, 600.0], [400.0, 400.0], [200.0, 200.0], ['CRITICAL', 'CRITICAL'])
    """
    policy = QuantilePolicy() if policy is None else policy
    if isinstance(policy, type) or not isinstance(policy, Policy):
        raise invalid("policy", "must be QuantilePolicy(...) or ClassicPolicy(...)", policy)
    world = World.of(usage, quota, step_s, regions, adjustable)
    chosen, skipped = resolve(scenarios, world.regions)
    rows, age_s = world.until(now)
    if rows <= 0 or all(np.isnan(column).all() for column in world.matrix[:rows].T):
        raise invalid("usage", "must hold at least one observed sample at or before now", f"{max(rows, 0)} samples")

    clock = _core.Clock()
    clock.step_s, clock.age_s = world.step_s, age_s
    if stale_after_s is not None:
        clock.stale_after_s = _bridge.duration_s(stale_after_s, "stale_after_s")
    quotas = _core.Quotas()
    quotas.quota = world.usable
    quotas.cost_per_unit = _bridge.per_series(cost_per_unit, "cost_per_unit", world.shape)
    quotas.warning_frac = _bridge.per_series(warning_frac, "warning_frac", world.shape)
    quotas.critical_frac = _bridge.per_series(critical_frac, "critical_frac", world.shape)
    quotas.adjustable = world.adjustable
    quotas.region, quotas.group = world.region, world.group

    case = Case(world, rows, chosen, clock, quotas)
    raw = world.as_reserved(policy.size(case))
    raw |= {"warning_frac": quotas.warning_frac, "critical_frac": quotas.critical_frac}
    more = {name: raw.pop(name) for name in ("events", "event_needs", "joint") if name in raw}
    looked_at = case.looked_at(float(policy.history_s))  # type: ignore[arg-type]
    fields = fields_of(raw, world.shape, world.width)
    return Headroom(
        policy=policy,
        scenarios=chosen,
        skipped=skipped,
        series=world.names,
        facts=raw,
        looked_at=looked_at,
        **fields,
        **more,
    )


@dataclass(frozen=True, kw_only=True)
class Enough:
    """P(that headroom is enough) in the worst event, with its interval; in the shape of one instant of usage."""

    probability: Any
    low: Any
    high: Any


def probability_enough(usage: ArrayLike | History, headroom: ArrayLike, **sizing: Any) -> Enough:
    """How probable is it that so much free headroom is enough? The other direction of `size_headroom`.

    Parameters
    ----------
    usage : as for `size_headroom`
    headroom : number or (R,) or (S, R), in the quota's unit
        What is kept free on top of the last observed usage.
    **sizing
        As for `size_headroom`; the quota is usage + headroom and need not be given. Only `QuantilePolicy` knows
        probabilities.

    Returns
    -------
    Enough
        ``probability``, ``low``, ``high``. NaN where usage is not known.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value.

    Examples
    --------
    >>> import surgetank
    >>> usage = [[600.0, 600.0]] * 288
    >>> surgetank.probability_enough(usage, [600.0, 599.0], step_s=300, scenarios="N-1").probability.tolist()
    [1.0, 0.0]
    """
    if "quota" in sizing:
        raise invalid("quota", "is usage + headroom here; leave it out", sizing["quota"])
    if isinstance(sizing.get("policy"), ClassicPolicy):
        raise invalid("policy", "must be QuantilePolicy(...): the classic rule knows no probabilities", "ClassicPolicy")
    policy = sizing.get("policy") or QuantilePolicy()
    if isinstance(policy, QuantilePolicy):  # only the last usage is asked for: nothing is fitted
        policy = replace(policy, tail="counted", confidence=0.0, growth=1.0)
    now = size_headroom(usage, quota=math.nan, **{**sizing, "scenarios": None, "policy": policy})
    shape = np.shape(now.usage)
    free = _bridge.per_series(headroom, "headroom", shape)
    if not (free >= 0).all() or np.isinf(free).any():
        raise invalid("headroom", "must be finite and 0 or more", free[~((free >= 0) & np.isfinite(free))][0])
    held = size_headroom(usage, quota=np.reshape(np.ravel(now.usage) + free, shape), **sizing)
    return Enough(
        probability=held.probability_enough, low=held.probability_enough_low, high=held.probability_enough_high
    )
