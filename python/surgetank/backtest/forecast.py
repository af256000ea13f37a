"""`ForecastRule`: a forecast of how high a failover's peak will be while the quota applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from .. import _bridge, _core
from .._bridge import Duration
from .._table import quantity
from .rules import DAY_S, Compiled, Looked, WindowRule, level_rule, positive

if TYPE_CHECKING:
    from .setting import Setting


@dataclass(frozen=True, kw_only=True)
class ForecastRule(WindowRule):
    """A seasonal forecast of the peak: its level, the weekdays that the quota is for, and what past errors teach.

    Wants ``factor`` × the forecast. Follows it down as well, which is what makes it cheaper than a trailing peak.

    Parameters
    ----------
    factor : float > 0, default 1
        What the forecast is multiplied by: the scale from little idle headroom to little risk.
    quantile : float in [0, 1], default .98
        How many of the past peaks the forecast, as it was, is made to cover. For a risk of .003 rather .99.
    threshold : float > 0, optional
        Ask only once the forecast exceeds this share of the quota. Default: as soon as more is wanted than there is.
    lower : float in (0, 1] or None, default 1
        Ask down once less than this share of the quota is wanted; None: never, which makes every overshoot permanent.
    level_quantile : float in [0, 1], default .9
        Of a day's demand: what the level follows.
    up_s, down_s : float (seconds) or timedelta, defaults 1 day and 5 days
        Half-lives of the level: quick up, slow down.
    clip : float > 0, default 3
        A surprise counts as at most so many times the usual one.
    seasons : float ≥ 1, default 26
        Weeks that the weekday profile remembers.
    half_life_s : float (seconds) or timedelta, default 180 days
        How fast past errors are forgotten.
    annual : float in [0, 1], default .5
        The share of what changed over the same days a year ago that is expected again, where there is a year.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    By whole days of demand, what would have to be carried in the worst event. Level: exponentially weighted logarithm
    of the daily quantile, season removed. Season: daily maxima by weekday, shrunk to what stands out of their noise, so
    that where there is no season there is no profile; from the third week on. Errors: ratios of the peaks of failovers
    to what was forecast for their day, in a histogram that forgets; the forecast is multiplied by their quantile, and
    so learns its own margin. A day less than half observed is passed over. Before the first whole day: the highest
    demand so far.

    The defaults were chosen on the first halves of Wikipedia's hourly requests and of 24 server series, and hold
    within some 6 % of idle headroom for twice or half of each.

    Sources: Holt, "Forecasting seasonals and trends by exponentially weighted moving averages", 1957; Robbins, "An
    empirical Bayes approach to statistics", 1956; Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World",
    2005 (past errors as the measure of the next).

    Examples
    --------
    >>> import surgetank
    >>> str(surgetank.ForecastRule(factor=1.05))
    'forecast ×1.05, down below 100%'
    """

    name: ClassVar[str] = "forecast"
    factor: float = 1.0
    quantile: float = 0.98
    threshold: float | None = None
    lower: float | None = 1.0
    level_quantile: float = 0.9
    up_s: Duration = DAY_S
    down_s: Duration = 5 * DAY_S
    clip: float = 3.0
    seasons: float = 26.0
    half_life_s: Duration = 180 * DAY_S
    annual: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be replayed, now."""
        seconds = {n: _bridge.duration_s(getattr(self, n), n, above=True) for n in ("up_s", "down_s", "half_life_s")}
        shares = {n: _bridge.fraction(getattr(self, n), n) for n in ("quantile", "level_quantile", "annual")}
        self._settle(
            **seconds,
            **shares,
            clip=positive(self.clip, "clip"),
            seasons=_bridge.number(self.seasons, "seasons", rule="must be at least 1", least=1),
            **self._asking(),
        )

    @property
    def needs_s(self) -> float:
        """How much of the past it needs to begin, in seconds."""
        return 7 * DAY_S

    def __str__(self) -> str:
        """What a planner calls it."""
        text = f"forecast ×{quantity(self.factor)}"
        if self.quantile != type(self).quantile:
            text += f" of P{quantity(100 * self.quantile)}"
        return text + self._bounds() + self._others("quantile")

    def compiled(self, setting: Setting) -> Compiled:
        """Give it in the core's terms."""
        options = (
            self.quantile, self.level_quantile, float(self.up_s) / DAY_S, float(self.down_s) / DAY_S, self.clip,  # type: ignore[arg-type]
            self.seasons, float(self.half_life_s) / DAY_S, self.annual,  # type: ignore[arg-type]
        )  # fmt: skip
        return level_rule(Looked(of_demand=True, seasonal=options), self.factor, self.threshold, self.lower)


def core_of(options: tuple[float, ...]) -> _core.BacktestSeasonal:
    """Give the core's, from what a rule has compiled."""
    result = _core.BacktestSeasonal()
    names = ("quantile", "level_quantile", "up_d", "down_d", "clip", "seasons", "half_life_d", "annual")
    for name, value in zip(names, options, strict=True):
        setattr(result, name, value)
    result.check()
    return result
