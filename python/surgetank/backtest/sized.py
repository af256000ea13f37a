"""`SizedRule`: a headroom policy as a rule; what it would have said at each decision, from the past alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _core
from .._bridge import Floats
from .._table import for_json, percent, quantity
from ..errors import invalid
from ..headroom import CRITICAL_FRAC, WARNING_FRAC, QuantilePolicy
from ..headroom.policy import Case, Policy
from .rules import DAY_S, Compiled, LevelRule, Levels, Looked, level_rule, others, positive

if TYPE_CHECKING:
    from .setting import Setting

#: Less history than this says nothing of a day's rhythm, let alone a week's.
LEAST_HISTORY_S = 7 * DAY_S


@dataclass(frozen=True, kw_only=True)
class SizedRule(LevelRule):
    """A headroom policy as a rule: wants usage + the headroom that the policy needs.

    Parameters
    ----------
    policy : QuantilePolicy or ClassicPolicy
        Sizes the headroom at each decision, from the samples up to then.
    factor : float > 0, default 1
        What usage + headroom is multiplied by.
    headroom_factor : float > 0, default 1
        What the headroom alone is multiplied by.
    threshold : float > 0, optional
        Ask only once usage + headroom exceeds this share of the quota. Default: as soon as more is wanted.
    lower : float in (0, 1], optional
        Ask down once less than this share of the quota is wanted. Default: never.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    Slower than the other rules: the policy runs once for each decision, on the whole past. Those that differ in
    ``factor``, ``threshold`` or ``lower`` alone share that. The interval of a QuantilePolicy is not computed.
    """

    name: ClassVar[str] = "sized"
    policy: Policy = field(default_factory=QuantilePolicy)
    factor: float = 1.0
    headroom_factor: float = 1.0
    threshold: float | None = None
    lower: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be replayed, now."""
        if isinstance(self.policy, type) or not isinstance(self.policy, Policy):
            raise invalid("policy", "must be QuantilePolicy(...) or ClassicPolicy(...)", self.policy)
        self._settle(
            headroom_factor=positive(self.headroom_factor, "headroom_factor"),
            **self._asking(),
        )

    @property
    def needs_s(self) -> float:
        """How much of the past it looks at, in seconds; of a month or more a week is enough to begin."""
        return min(float(self.policy.history_s), LEAST_HISTORY_S)

    def __str__(self) -> str:
        """What a planner calls it."""
        policy = self.policy
        text = f"risk {percent(policy.risk)}" if isinstance(policy, QuantilePolicy) else policy.name
        if self.headroom_factor != 1:
            text += f", headroom ×{quantity(self.headroom_factor)}"
        if self.factor != 1:
            text += f" ×{quantity(self.factor)}"
        return text + self._bounds() + others(policy, "risk", "confidence", "cost_cap", "detector")

    def to_dict(self) -> dict[str, Any]:
        """Every option as a plain value."""
        plain = {n: for_json(getattr(self, n)) for n in ("factor", "headroom_factor", "threshold", "lower")}
        return {"name": self.name, "policy": self.policy.to_dict(), **plain}

    @property
    def key(self) -> str:
        """What the slow part of its levels depends on."""
        return repr(self.policy)

    def compiled(self, setting: Setting, levels: Levels) -> Compiled:
        """Give it in the core's terms."""
        usage, needed = levels.once(self.key, lambda: _sized(self.policy, setting))
        wanted = levels.once((self.key, self.headroom_factor), lambda: usage + self.headroom_factor * needed)
        return level_rule(Looked(levels=wanted), self.factor, self.threshold, self.lower)


def _sized(policy: Policy, setting: Setting) -> tuple[Floats, Floats]:
    if isinstance(policy, QuantilePolicy):
        policy = replace(policy, confidence=0.0)
    width = setting.world.width
    quotas = _core.Quotas()
    quotas.quota = np.full(width, math.nan)
    quotas.cost_per_unit = np.zeros(width)
    quotas.warning_frac, quotas.critical_frac = np.full(width, WARNING_FRAC), np.full(width, CRITICAL_FRAC)
    quotas.adjustable = np.ones(width, dtype=bool)
    quotas.region, quotas.group = setting.world.region, setting.world.group
    clock = _core.Clock()
    clock.step_s = setting.step_s
    decisions = setting.decisions
    usage, needed = (np.full((len(decisions), width), math.nan, order="F") for _ in range(2))
    for d, t in enumerate(decisions):
        past = setting.world.matrix[: t + 1]
        if np.isnan(past).all():
            continue
        found = policy.size(Case(_as_of(setting, int(t) + 1), int(t) + 1, setting.scenarios, clock, quotas))
        usage[d], needed[d] = found["usage"], found["needed"]
    return usage, needed


def _as_of(setting: Setting, rows: int) -> Any:
    """The world as it was known then: what came later is not there, whatever a policy looks at."""
    return replace(setting.world, matrix=setting.world.matrix[:rows])
