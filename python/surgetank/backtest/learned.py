"""`LearnedRule`: a quantile of a failover's peak, learnt by a library from what came before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .. import _bridge
from .._bridge import Duration
from .._table import quantity
from ..errors import invalid
from .learning import learned_levels
from .rules import DAY_S, Compiled, LevelRule, Levels, Looked, level_rule

if TYPE_CHECKING:
    from .setting import Setting


@dataclass(frozen=True, kw_only=True)
class LearnedRule(LevelRule):
    """A forecast that gradient-boosted trees learn from the past of all quotas; needs ``surgetank[forecast]``.

    Wants ``factor`` × the forecast, and follows it down as well.

    Parameters
    ----------
    quantile : float in (0, 1), default .98
        Of the highest demand over any failover that begins while the quota applies. That is the worst of many moments:
        failovers fail less often than 1 − ``quantile``.
    factor : float > 0, default 1
        What the forecast is multiplied by.
    threshold : float > 0, optional
        Ask only once the forecast exceeds this share of the quota. Default: as soon as more is wanted than there is.
    lower : float in (0, 1] or None, default 1
        Ask down once less than this share of the quota is wanted; None: never.
    refit_s : float (seconds) or timedelta, default 28 days
        It is learnt anew so often, and sooner where what can be learnt from has grown by a quarter.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.
    MissingExtra
        When it is replayed, where scikit-learn is not installed.

    Notes
    -----
    All is measured by a base, the higher of `ForecastRule`'s forecast and the highest demand of the last 14 days; so
    quotas of any size are learnt from together. What is seen at a decision: that forecast, daily maxima of the last 28
    days, and maxima of the same stretch in the last four weeks. Learnt from are earlier decisions, one a day and
    quota, whose peaks are known by then; twice, as ratios to the base and to the forecast, whose logarithms are
    averaged. Until there are 60 of them, the base is the forecast.

    One thread, and the same numbers in any run. Some 0.1 s for each time it is learnt, 10 s for 500 quotas of half a
    year; rules that differ in ``factor``, ``threshold`` or ``lower`` alone share that. `tune` tries it only where it
    is named.

    Chosen among libraries by measured pinball loss, see bench/README.md, where also stands when `ForecastRule`, which
    needs no library and is far faster, is the better choice.

    Sources: R. Koenker, G. Bassett, "Regression quantiles", 1978; J. Friedman, "Greedy function approximation: a
    gradient boosting machine", 2001; G. Ke et al., "LightGBM", 2017 (histograms).

    Examples
    --------
    >>> import surgetank
    >>> str(surgetank.LearnedRule(quantile=0.99, factor=1.05))
    'learned P99 ×1.05, down below 100%'
    """

    name: ClassVar[str] = "learned"
    quantile: float = 0.98
    factor: float = 1.0
    threshold: float | None = None
    lower: float | None = 1.0
    refit_s: Duration = 28 * DAY_S

    def __post_init__(self) -> None:
        """Refuse what cannot be replayed, now."""
        rule = "must lie between 0 and 1"
        quantile = _bridge.number(self.quantile, "quantile", rule=rule, least=0, above=True)
        if quantile >= 1:
            raise invalid("quantile", rule, self.quantile)
        self._settle(
            quantile=quantile,
            **self._asking(),
            refit_s=_bridge.duration_s(self.refit_s, "refit_s", above=True),
        )

    @property
    def needs_s(self) -> float:
        """How much of the past it needs to begin, in seconds."""
        return 7 * DAY_S

    def __str__(self) -> str:
        """What a planner calls it."""
        text = f"learned P{quantity(100 * self.quantile)} ×{quantity(self.factor)}"
        return text + self._bounds() + self._others("quantile")

    @property
    def key(self) -> tuple[str, float, float]:
        """What its levels depend on."""
        return self.name, self.quantile, float(self.refit_s)  # type: ignore[arg-type]

    def compiled(self, setting: Setting, levels: Levels) -> Compiled:
        """Give it in the core's terms."""
        found = levels.once(self.key, lambda: learned_levels(setting, *self.key[1:]))
        return level_rule(Looked(levels=found), self.factor, self.threshold, self.lower)
