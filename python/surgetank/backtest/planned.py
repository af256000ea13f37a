"""`RulePolicy`: a rule that was tuned, as the policy of a plan; and how it is written into the TOML file."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _bridge, _core
from .._bridge import Duration, Floats
from .._table import at_least, quantity
from ..errors import invalid, nearest
from ..headroom import wording
from ..headroom.policy import Case, Row
from .forecast import ForecastRule
from .learned import LearnedRule
from .replayed import statistic_of
from .rules import DAY_S, Compiled, LevelRule, Levels, PeakRule, PercentileRule, ThresholdRule, WindowRule
from .setting import Setting, lead_samples, samples_in

if TYPE_CHECKING:
    from ..headroom.result import Headroom
    from ..history import History

#: The rules by name, the default first: those that a plan can be made by.
RULES: dict[str, type[WindowRule | LearnedRule]] = {
    rule.name: rule for rule in (ForecastRule, PercentileRule, PeakRule, ThresholdRule, LearnedRule)
}


@dataclass(frozen=True, kw_only=True)
class RulePolicy:
    """A rule as the policy of a plan: what it would ask for now is what is needed.

    Parameters
    ----------
    rule : ForecastRule, PercentileRule, PeakRule, ThresholdRule or LearnedRule, default ForecastRule()
        As `tune` has chosen it.
    lead_time_s : float (seconds) or timedelta, default 3 days
        From a request until it applies: forecasts are for the time from then on …
    review_s : float (seconds) or timedelta, default 1 day
        … until what is asked for at the next look applies.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    needed = the quota it wants, less usage; where the rule has a threshold that is not reached, no more than there is.
    No probability comes with it: what risk it kept is in the backtest it comes from.
    """

    name: ClassVar[str] = "rule"
    rule: WindowRule | LearnedRule = field(default_factory=ForecastRule)
    lead_time_s: Duration = 3 * DAY_S
    review_s: Duration = DAY_S

    def __post_init__(self) -> None:
        """Refuse what no plan can be made by, now."""
        if not isinstance(self.rule, WindowRule | LearnedRule):
            raise invalid("rule", f"must be one of {', '.join(kind.__name__ for kind in RULES.values())}", self.rule)
        object.__setattr__(self, "lead_time_s", _bridge.duration_s(self.lead_time_s, "lead_time_s"))
        object.__setattr__(self, "review_s", _bridge.duration_s(self.review_s, "review_s", above=True))

    @property
    def history_s(self) -> float:
        """How many seconds of the past it looks at: all of them."""
        return math.inf

    def size(self, case: Case) -> dict[str, Any]:
        """Give the fields of `Headroom` that the rule knows."""
        wanted = self._wanted(case)
        raw: dict[str, Any] = dict(
            _core.wanted_headroom(case.world.matrix[: case.rows], case.clock, case.quotas, wanted)
        )
        raw["need"] = wanted
        raw["attribution"] = [f"rule: {self.rule}"] * case.world.width
        raw["_adjustable"] = case.world.adjustable
        return raw

    def _wanted(self, case: Case) -> Floats:
        """(N,) the quota it would have now."""
        setting = self._now(case)
        compiled, seen = self._seen(setting)
        wanted = compiled.start * seen
        quota = case.quotas.quota
        with np.errstate(invalid="ignore"):
            quiet = seen <= compiled.bar * quota
        return np.where(quiet, np.fmin(wanted, quota), wanted)

    def _seen(self, setting: Setting) -> tuple[Compiled, Floats]:
        """(N,) what the rule sees now."""
        if isinstance(self.rule, LevelRule):
            compiled = self.rule.compiled(setting, Levels())
            assert compiled.looked.levels is not None
            return compiled, compiled.looked.levels[0]
        compiled = self.rule.compiled(setting)
        return compiled, statistic_of(setting, compiled.looked)[0]

    def _now(self, case: Case) -> Setting:
        """A decision at the end of the last sample; what comes after it is not known."""
        world = case.world
        later = np.full((1, world.width), math.nan)
        matrix = np.concatenate([world.matrix[: case.rows], later])
        step = world.step_s
        return Setting(
            world=dataclasses.replace(world, matrix=matrix), scenarios=case.scenarios, skipped=(), first=case.rows,
            every=samples_in(float(self.review_s), step),  # type: ignore[arg-type]
            lead=lead_samples(float(self.lead_time_s), step),  # type: ignore[arg-type]
            quota=np.full(world.width, math.nan),
        )  # fmt: skip

    def sentence(self, row: Row) -> str:
        """What the rule wants, and whether it is there."""
        if row["unknown"] in ("no_usage", "stale"):
            return wording.unknown(row, math.inf, "")
        if row["unknown"] == "no_source":
            return "The rule has nothing to go by: what would land here was never observed."
        wants = f"The rule ({self.rule}) wants a quota of {quantity(row['need'])}: {quantity(row['needed'])} free"
        if row["unknown"] == "no_quota":
            return f"{wants}, but no quota is known to compare it with."
        if row["shortfall"] > 0:
            raised = f"; raise the quota to {at_least(row['need'])} or more" if row["_adjustable"] else ""
            said = f"{wants}, but {wording.free(row)}: {quantity(row['shortfall'])} short{raised}."
            return " ".join([said, *wording.cut_short(row)])
        said = f"{wants}; {quantity(row['available'])} of {quantity(row['quota'])} is."
        return said if row["status"] == "OK" else f"{said} {wording.threshold(row)}"

    def assumption(self, headroom: Headroom) -> str:
        """Say what the rule looks at."""
        if not headroom.scenarios:
            return f"No scenario was given: {self.rule} looks at usage alone."
        if isinstance(self.rule, ForecastRule | LearnedRule) or getattr(self.rule, "of", "usage") == "demand":
            return f"{self.rule}: of what would be carried in the worst event, own usage and what lands."
        return f"{self.rule}: of usage alone; what lands is what its factor is for."

    def explain(self, headroom: Headroom, history: History, row: int) -> list[str]:
        """Say what it sees, and what it makes of that."""
        return [self.assumption(headroom), str(headroom.reason[row])]

    def to_dict(self) -> dict[str, Any]:
        """Every option as a plain value."""
        return {
            "name": self.name, "rule": self.rule.to_dict(), "lead_time_s": self.lead_time_s, "review_s": self.review_s,
        }  # fmt: skip

    @classmethod
    def of_table(cls, table: dict[str, Any]) -> RulePolicy:
        """From the keys of [policy.rule]: ``kind``, the options of that rule, ``lead_time_s`` and ``review_s``."""
        options = dict(table)
        kind = options.pop("kind", ForecastRule.name)
        if not isinstance(kind, str) or kind not in RULES:
            raise invalid("kind", f"must be a rule, {', '.join(RULES)}{nearest(str(kind), RULES)}", kind)
        own = {key: options.pop(key) for key in ("lead_time_s", "review_s") if key in options}
        known = {f.name for f in dataclasses.fields(RULES[kind])}
        for key, value in options.items():
            if key not in known:
                raise invalid(key[:60], f"is no option of the rule {kind}{nearest(key[:60], known)}", value)
        # TOML has no null: what is not there is not asked for, except where the default is a number.
        if "lower" in options and options["lower"] is False:
            options["lower"] = None
        return cls(rule=RULES[kind](**options), **own)

    def to_table(self) -> dict[str, Any]:
        """The keys of [policy.rule]: what is not as it is by default."""
        rule: dict[str, Any] = {"kind": self.rule.name}
        for one in dataclasses.fields(self.rule):
            value = getattr(self.rule, one.name)
            if value != one.default:
                rule[one.name] = False if value is None else value
        return {**rule, "lead_time_s": self.lead_time_s, "review_s": self.review_s}
