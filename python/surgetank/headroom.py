"""Headroom: how much room must each quota keep free, and is it there?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _bridge, _core, _reasons
from ._bridge import Duration, Instant
from ._table import Column, Tabular, percent, quantity
from ._world import World
from .errors import InvalidInput, invalid
from .history import History
from .scenario import Scenario, Scenarios, resolve
from .spikes import RollingSigma, detect_spikes

WARNING_FRAC, CRITICAL_FRAC = 0.70, 0.85
DAY_S = 86400.0


@dataclass(frozen=True, kw_only=True)
class ClassicPolicy:
    """The classic rule, reproduced exactly: a baseline to compare with.

    needed = max(base, failover, spike, minimum) over the last 30 days, with base the largest of two standard
    deviations, the week's trend, 1.2 × (maximum − usage) and 20 % of usage; failover at least 100 % of usage; spike
    50 % of usage where no spikes were seen. Required headroom is that, capped by cost and clipped to the smaller of
    half the quota and three times usage.

    Parameters
    ----------
    cost_cap : float, default inf
        The most that headroom may cost, in the unit of ``cost_per_unit`` times the quota's unit.
    trend : {"sample", "hour"}, default "sample"
        The rule multiplies its slope per *sample* by 168, a week only for hourly samples. "hour" gives the week that
        was meant, at any step.
    history_s : float (seconds) or timedelta, default 30 days
        How much of the past is looked at.
    detector : RollingSigma, default RollingSigma()
        Finds the spikes whose P95 ratio sizes the spike term.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    With its probability weights no ordinary scenario ever exceeds the floor of 100 % of usage, and its utilization
    compares what is free with the *clipped* need; surgetank judges by the unclipped one and says so.
    """

    cost_cap: float = math.inf
    trend: str = "sample"
    history_s: Duration = 30 * 86400.0
    detector: RollingSigma = field(default_factory=RollingSigma)

    def __post_init__(self) -> None:
        """Refuse what the core would refuse, now."""
        if not isinstance(self.trend, str) or self.trend not in ("sample", "hour"):
            raise invalid("trend", 'must be "sample" or "hour"', self.trend)
        if not isinstance(self.detector, RollingSigma):
            raise invalid("detector", "must be RollingSigma(...)", self.detector)
        object.__setattr__(self, "history_s", _bridge.duration_s(self.history_s, "history_s", above=True))
        self._core_options()

    def _core_options(self) -> _core.ClassicOptions:
        result = _bridge.options(_core.ClassicOptions, self, own=("trend", "detector"))
        result.trend_per_hour = self.trend == "hour"
        return result


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Headroom(Tabular):
    """What `size_headroom` found. One value per quota, in the shape of one instant of usage.

    Float64 in the quota's own unit unless said otherwise; NaN where unknown. Texts are object arrays of str.
    """

    policy: ClassicPolicy
    scenarios: tuple[Scenario, ...]
    skipped: tuple[str, ...]  #: shipped scenarios whose Regions are not here
    series: tuple[str, ...]  #: names of the quotas, flat
    usage: Any  #: U, the last observed usage
    quota: Any
    base: Any  #: the term of the quota's own volatility and growth
    failover: Any  #: the term of another Region's load
    spike: Any  #: the term of sudden peaks
    minimum: Any
    maximum: Any  #: what the rule clips to
    needed: Any  #: needed headroom, before any clip or cost cap
    required: Any  #: H, what the policy would reserve
    available: Any  #: quota − usage
    utilization: Any  #: needed / available as a fraction; inf where nothing is available
    day_utilization: Any  #: the same at the highest usage of the last 24 h: what status is judged by
    day_peak: Any  #: that usage
    shortfall: Any  #: max(0, needed − available)
    status: Any  #: OK, WARNING, CRITICAL or UNKNOWN
    base_frac: Any  #: base / usage
    failover_frac: Any
    spike_frac: Any
    classic_required: Any  #: H as the classic rule has it, blind to whether the quota is adjustable
    classic_utilization: Any  #: (H − available)/H of that H, the classic rule's misleading figure
    classic_status: Any  #: healthy, warning or critical by that figure; "" where unknown
    classic_alert: Any  #: "", alert (above .80) or critical alert (above .95)
    attribution: Any  #: the term, and the scenario, that decides `needed`
    limit: Any  #: what makes `required` less than `needed`: none, maximum, cost_cap, not_adjustable
    unknown: Any  #: why the status is UNKNOWN: none, no_usage, stale, no_quota
    age_s: Any  #: seconds from the last observed sample to now
    warning_frac: Any  #: utilization from which status is WARNING, CRITICAL
    critical_frac: Any
    spikes: Any  #: flagged samples in the policy's history, int64
    reason: Any  #: one plain sentence or two

    def require_met(self) -> None:
        """Raise `InvalidInput` unless every quota is known and holds what it needs."""
        short = [n for n, s in zip(self.series, np.ravel(self.status), strict=True) if s in ("CRITICAL", "UNKNOWN")]
        if short:
            raise InvalidInput(f"headroom: must be known and sufficient for every quota (got {', '.join(short[:5])})")

    def _columns(self) -> list[Column]:
        flat = np.ravel
        return [
            Column("series", self.series, "Series", numeric=False),
            Column("usage", flat(self.usage), "Usage", quantity, priority=4),
            Column("quota", flat(self.quota), "Quota", quantity, priority=4),
            Column("available", flat(self.available), "Available", quantity, priority=2),
            Column("needed", flat(self.needed), "Needed", quantity, priority=1),
            Column("attribution", flat(self.attribution), "Decided by", numeric=False, priority=5),
            Column("utilization", flat(self.utilization), "Utilization", percent, priority=1),
            Column("day_utilization", flat(self.day_utilization), "24 h peak", percent, priority=6),
            Column("status", flat(self.status), "Status", numeric=False),
            Column("shortfall", flat(self.shortfall), "Shortfall", quantity, priority=3),
            *(Column(name, flat(getattr(self, name))) for name in _EXPORTED),
            *(Column(name, flat(getattr(self, name)), numeric=False) for name in ("limit", "classic_status", "reason")),
        ]


_EXPORTED = ("base", "failover", "spike", "minimum", "maximum", "required", "classic_utilization")


def size_headroom(
    usage: ArrayLike | History,
    *,
    quota: ArrayLike | None = None,
    step_s: Duration | None = None,
    policy: ClassicPolicy | None = None,
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
        Applied quota values; a single number serves all. NaN: not known. A History brings its own.
    step_s : float (seconds) or timedelta
        One step; History and frames know their own.
    policy : ClassicPolicy, optional
        Default ``ClassicPolicy()``.
    scenarios : sequence of Scenario or str, optional
        What may fail; ``"N-1"`` for each Region alone, ``"shipped"`` for those that come with surgetank. Default:
        none.
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
    Method: see `ClassicPolicy`. Sufficiency is judged by the unclipped need against what is free now and at the
    highest usage of the last 24 h (AWS Well-Architected, REL01-BP06). Calls share no state; the GIL is released.

    Examples
    --------
    >>> import surgetank
    >>> h = surgetank.size_headroom([60.0], quota=100.0, step_s=300)
    >>> float(h.needed), float(h.available), float(h.shortfall), h.status
    (60.0, 40.0, 20.0, 'CRITICAL')
    """
    policy = ClassicPolicy() if policy is None else policy
    if not isinstance(policy, ClassicPolicy):
        raise invalid("policy", "must be ClassicPolicy(...)", policy)
    world = World.of(usage, quota, step_s, regions, adjustable)
    chosen, skipped = resolve(scenarios, world.regions)
    rows, age_s = world.until(now)
    if rows <= 0 or np.isnan(world.matrix[:rows]).all():
        raise invalid("usage", "must hold at least one observed sample at or before now", f"{max(rows, 0)} samples")

    clock = _core.Clock()
    clock.step_s, clock.age_s = world.step_s, age_s
    if stale_after_s is not None:
        clock.stale_after_s = _bridge.duration_s(stale_after_s, "stale_after_s")
    # The rule reads its history; status also reads the last day.
    history_s = float(policy.history_s)  # type: ignore[arg-type]
    recent = world.last(rows, max(history_s, DAY_S) - age_s)
    in_history = world.last(rows, history_s - age_s)

    quotas = _core.Quotas()
    quotas.quota = world.quota
    quotas.cost_per_unit = _bridge.per_series(cost_per_unit, "cost_per_unit", world.shape)
    quotas.warning_frac = _bridge.per_series(warning_frac, "warning_frac", world.shape)
    quotas.critical_frac = _bridge.per_series(critical_frac, "critical_frac", world.shape)
    quotas.adjustable = world.adjustable
    quotas.region = world.region
    spikes = detect_spikes(in_history, detector=policy.detector, outputs=())
    quotas.spike_ratio = np.ravel(spikes.p95_ratio)
    found = _core.classic_headroom(
        recent, clock, quotas, [_core_scenario(s, world.regions) for s in chosen], policy._core_options()
    )
    raw: dict[str, Any] = {**found, "spikes": np.array(spikes.count)}
    raw |= {"warning_frac": quotas.warning_frac, "critical_frac": quotas.critical_frac}
    return _result(raw, world, policy, chosen, skipped)


def _core_scenario(scenario: Scenario, regions: tuple[str, ...]) -> _core.ClassicScenario:
    result = _core.ClassicScenario()
    result.targets = [regions.index(region) for region in scenario.targets]
    result.target_multiplier = scenario.target_multiplier
    result.probability = scenario.probability
    result.impact = scenario.impact
    return result


def _result(
    raw: dict[str, Any], world: World, policy: ClassicPolicy, chosen: tuple[Scenario, ...], skipped: tuple[str, ...]
) -> Headroom:
    raw = dict(raw, quota=world.quota)
    raw["classic_status"] = [_reasons.classic_status(u) for u in raw["classic_utilization"]]
    raw["classic_alert"] = [_reasons.classic_alert(u) for u in raw["classic_utilization"]]
    raw["attribution"] = _reasons.attributions(raw, chosen)
    raw["reason"] = _reasons.sentences(raw, policy)
    del raw["term"], raw["scenario"]
    fields = {name: _shaped(values, world.shape) for name, values in raw.items()}
    return Headroom(policy=policy, scenarios=chosen, skipped=skipped, series=world.names, **fields)


def _shaped(values: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(values, list):
        texts = np.empty(len(values), dtype=object)
        texts[:] = values
        values = texts
    values.setflags(write=False)
    return _bridge.like_instant(values, shape)
