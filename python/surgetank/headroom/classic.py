"""The classic rule: a baseline, reproduced exactly."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _bridge, _core
from .._bridge import Duration
from .._table import at_least, for_json, percent, quantity
from ..errors import invalid
from ..scenario import Scenario
from ..spikes import AdaptiveDetector, Detector, RollingSigma, detect_spikes
from . import wording
from .policy import DAY_S, Case, Row

if TYPE_CHECKING:
    from ..history import History
    from .result import Headroom

# term of the rule → (attribution, what the rule says there)
_TERMS = {
    "usage_floor": ("base: 20% of usage", "the rule keeps at least 20% of usage free"),
    "volatility": ("base: volatility", "two standard deviations of its usage"),
    "trend": ("base: trend", "its growth over 168 samples, which the rule takes for a week"),
    "peak": ("base: past peak", "1.2 times the way back up to its highest usage"),
    "failover_floor": ("failover: 100% of usage", "the rule keeps the room to take over as much again as is used now"),
    "spikes": ("spike: past spikes", "the 95th percentile of its past spikes"),
    "spike_default": ("spike: 50% of usage", "no spikes were seen, so the rule takes half of usage"),
    "minimum": ("minimum: 10 units", "the rule never keeps less than 10 units free"),
    "none": ("", ""),
}


@dataclass(frozen=True, kw_only=True)
class ClassicPolicy:
    """The classic rule, reproduced exactly: a baseline to compare with.

    needed = max(base, failover, spike, minimum) over the last 30 days, with base the largest of two standard
    deviations, the week's trend, 1.2 × (maximum − usage) and 20 % of usage; failover at least 100 % of usage; spike
    50 % of usage where no spikes were seen. Required headroom is that, capped by cost and clipped to the smaller of
    half the quota (of what of it is not reserved) and three times usage.

    Parameters
    ----------
    cost_cap : float, default inf
        The most that headroom may cost, in the unit of ``cost_per_unit`` times the quota's unit.
    trend : {"sample", "hour"}, default "sample"
        The rule multiplies its slope per *sample* by 168, a week only for hourly samples. "hour" gives the week that
        was meant, at any step.
    history_s : float (seconds) or timedelta, default 30 days
        How much of the past is looked at.
    detector : RollingSigma or AdaptiveDetector("up"), default RollingSigma()
        Finds the spikes whose P95 ratio sizes the spike term. The rule's own is the default.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    With its probability weights no ordinary scenario ever exceeds the floor of 100 % of usage, and its utilization
    compares what is free with the *clipped* need; surgetank judges by the unclipped one and says so.
    """

    name: ClassVar[str] = "classic"
    cost_cap: float = math.inf
    trend: str = "sample"
    history_s: Duration = 30 * 86400.0
    detector: Detector = field(default_factory=RollingSigma)

    def __post_init__(self) -> None:
        """Refuse what the core would refuse, now."""
        if not isinstance(self.trend, str) or self.trend not in ("sample", "hour"):
            raise invalid("trend", 'must be "sample" or "hour"', self.trend)
        upward = isinstance(self.detector, AdaptiveDetector) and self.detector.direction == "up"
        if not (upward or isinstance(self.detector, RollingSigma)):
            rule = 'must be RollingSigma(...) or AdaptiveDetector("up"): drops size nothing'
            raise invalid("detector", rule, self.detector)
        object.__setattr__(self, "history_s", _bridge.duration_s(self.history_s, "history_s", above=True))
        self._core_options()

    def size(self, case: Case) -> dict[str, Any]:
        """Give the fields of `Headroom` that the rule knows."""
        history_s = float(self.history_s)  # type: ignore[arg-type]
        spikes = detect_spikes(case.last(history_s), step_s=case.clock.step_s, detector=self.detector, outputs=())
        found = _core.classic_headroom(
            # The rule reads its history; status also reads the last day.
            case.last(max(history_s, DAY_S)),
            case.clock,
            case.quotas,
            np.ravel(spikes.p95_ratio),
            [_core_scenario(s, case.world.regions) for s in case.scenarios],
            self._core_options(),
        )
        raw: dict[str, Any] = {**found, "spikes": np.array(spikes.count)}
        raw["classic_status"] = [classic_status(u) for u in raw["classic_utilization"]]
        raw["classic_alert"] = [classic_alert(u) for u in raw["classic_utilization"]]
        raw["attribution"] = [
            f"failover: {case.scenarios[which].name}" if term == "scenario" else _TERMS[term][0]
            for term, which in zip(raw["term"], raw.pop("scenario"), strict=True)
        ]
        return raw

    def sentence(self, row: Row) -> str:
        """Which term decides, what is missing, and why the classic figure may look better."""
        term = row["term"]
        because = _TERMS[term][1] if term in _TERMS else f"scenario {row['attribution'].partition(': ')[2]}"
        if term == "trend" and self.trend == "hour":
            because = "a week of its growth"
        need = f"{quantity(row['needed'])} free ({because})"
        if row["status"] == "UNKNOWN":
            return wording.unknown(row, float(self.history_s), need)  # type: ignore[arg-type]
        return _known(row, need)

    def assumption(self, headroom: Headroom) -> str:
        """Say that the rule does not add up what lands."""
        if not headroom.scenarios:
            return 'No scenario was given: nothing is assumed to fail ("N-1": each Region alone).'
        return (
            "The classic policy does not add up the load that lands on a Region: of a scenario it reads "
            "target_multiplier, probability and impact, not shares or multiplier, and mostly falls back on 100% of the "
            "Region's own usage."
        )

    def explain(self, headroom: Headroom, history: History, row: int) -> list[str]:
        """List the terms of the rule; the largest decides."""
        if math.isnan(headroom.needed[row]):
            return [headroom.reason[row]]
        figures = {name: quantity(float(getattr(headroom, name)[row])) for name in _FIGURES}
        terms = ", ".join(f"{name} {figures[name]}" for name in ("base", "failover", "spike", "minimum"))
        half = "half the quota" if not headroom.reserved[row] > 0 else "half of what of the quota is not reserved"
        clip = f"Clipped to {figures['maximum']}, the smaller of {half} and three times usage: "
        return [
            f"In use: {figures['usage']}. Terms: {terms}; the largest, {headroom.attribution[row]}, is needed.",
            f"{clip}{figures['required']} would be reserved. Free: {figures['available']}.",
            headroom.reason[row],
        ]

    def to_dict(self) -> dict[str, Any]:
        """Every option as a plain value."""
        fields = dataclasses.asdict(self)
        return {"name": self.name, **{k: v if k == "detector" else for_json(v) for k, v in fields.items()}}

    def _core_options(self) -> _core.ClassicOptions:
        result = _bridge.options(_core.ClassicOptions, self, own=("trend", "detector"))
        result.trend_per_hour = self.trend == "hour"
        return result


_FIGURES = ("usage", "base", "failover", "spike", "minimum", "maximum", "needed", "required", "available")


def _core_scenario(scenario: Scenario, regions: tuple[str, ...]) -> _core.ClassicScenario:
    result = _core.ClassicScenario()
    result.targets = [regions.index(region) for region in scenario.targets]
    result.target_multiplier = scenario.target_multiplier
    result.probability = scenario.probability
    result.impact = scenario.impact
    return result


def classic_status(utilization: float) -> str:
    """What the classic rule calls its own figure: healthy ≤ .50, warning ≤ .80, else critical."""
    if math.isnan(utilization):
        return ""
    return "healthy" if utilization <= 0.50 else "warning" if utilization <= 0.80 else "critical"


def classic_alert(utilization: float) -> str:
    """The classic rule's alarm: alert above .80, critical alert above .95."""
    return "critical alert" if utilization > 0.95 else "alert" if utilization > 0.80 else ""


def _known(row: Row, need: str) -> str:
    parts = [f"Needs {need}"]
    if row["shortfall"] > 0:
        enough = at_least(row["usage"] + row["needed"] + row["reserved"])
        short = f"{quantity(row['shortfall'])} short; a quota of {enough} would hold it."
        parts[0] += f", but {wording.free(row)} free: {short}"
    else:
        free = f"{quantity(row['available'])} of {quantity(row['quota'])}{wording.held(row)} is free"
        parts[0] += f"; {free}, {percent(row['utilization'])} of it spoken for."
        if row["status"] != "OK" and row["day_utilization"] > row["utilization"]:
            at_peak = f"At the highest usage of the last 24 h, {quantity(row['day_peak'])},"
            parts.append(f"{at_peak} the need would have been {percent(row['day_utilization'])} of what was free.")
        if row["status"] != "OK":
            parts.append(wording.threshold(row))
    return " ".join([*parts, *wording.cut_short(row), *_why_classic_differs(row)])


def _why_classic_differs(row: Row) -> list[str]:
    if row["status"] == "OK" or row["classic_status"] != "healthy":
        return []
    figure = f'The classic utilization of {percent(row["classic_utilization"])} ("healthy") hides this:'
    if row["maximum"] < row["needed"] and row["classic_required"] == row["maximum"]:
        half = "half of what of the quota is not reserved" if row["reserved"] > 0 else "half the quota"
        clip = half if row["maximum"] < 3 * row["usage"] else "three times usage"
        clipped = f"it first clips the need to {quantity(row['maximum'])}, {clip}"
        return [f"{figure} {clipped}, and compares that with what is free."]
    if row["classic_required"] < row["needed"]:
        cut = f"it cuts the need to the {quantity(row['classic_required'])} that the cost cap allows"
        return [f"{figure} {cut}, and compares that with what is free."]
    return [f"{figure} it counts only what is missing, so it stays at 0 or below until the need no longer fits."]
