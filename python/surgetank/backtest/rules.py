"""Rules: what a policy looks at, when it asks for another quota, and for how much."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from .. import _bridge
from .._bridge import Duration, Floats
from .._table import for_json, percent, quantity, span
from ..errors import invalid

if TYPE_CHECKING:
    from .setting import Setting

DAY_S = 86400.0


class Looked(NamedTuple):
    """What a rule sees: a quantile of a trailing window, a forecast, or levels (D, N) that were computed elsewhere."""

    of_demand: bool = False
    window: int = 1
    quantile: float = 1.0
    seasonal: tuple[float, ...] | None = None
    levels: Floats | None = None


class Compiled(NamedTuple):
    """A rule in the core's terms: asks up where what it sees exceeds bar × quota, down below lower/factor × quota."""

    looked: Looked
    bar: float
    factor: float
    lower: float
    start: float
    of_quota: bool


def others(policy: Any, *shown: str) -> str:
    """Say which options of a policy are not as they are by default, so that no two of them look alike."""
    said = []
    for one in dataclasses.fields(policy):
        value = getattr(policy, one.name)
        if one.name in shown or one.default is dataclasses.MISSING or value == one.default:
            continue
        in_s = one.name.endswith("_s")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        text = span(float(value)) if number and in_s else quantity(float(value)) if number else str(value)
        said.append(f", {one.name.removesuffix('_s').replace('_', ' ')} {text}")
    return "".join(said)


def positive(value: object, argument: str) -> float:
    """Check that it is a number above 0."""
    return _bridge.number(value, argument, rule="must be a positive number", least=0, above=True)


def _check_of(of: object) -> None:
    if not isinstance(of, str) or of not in ("usage", "demand"):
        raise invalid("of", 'must be "usage" or "demand"', of)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What all rules share: they are plain values, compared and hashed by their options."""

    name: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Every option as a plain value, with the rule's name."""
        return {"name": self.name, **{f.name: for_json(getattr(self, f.name)) for f in dataclasses.fields(self)}}

    @property
    def needs_s(self) -> float:
        """How much of the past it looks at, in seconds."""
        return 0.0

    def _bounds(self) -> str:
        """When it asks, where that is not as soon as it wants something else."""
        threshold, lower = getattr(self, "threshold", None), getattr(self, "lower", None)
        up = "" if threshold is None else f", at {percent(threshold)}"
        return up if lower is None else f"{up}, down below {percent(lower)}"

    def _asking(self) -> dict[str, float | None]:
        """When it asks, and for how much, checked: of rules that want so many times what they see."""
        factor, threshold, lower = (getattr(self, name) for name in ("factor", "threshold", "lower"))
        return {
            "factor": positive(factor, "factor"),
            "threshold": None if threshold is None else positive(threshold, "threshold"),
            "lower": None if lower is None else share_of(lower, "lower"),
        }

    def _others(self, *shown: str) -> str:
        """The options that are not as they are by default, but for those that the name shows anyway."""
        return others(self, "threshold", "lower", "factor", *shown)

    def _settle(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, kw_only=True)
class WindowRule(Rule):
    """A rule that the core replays from the samples alone."""

    def compiled(self, setting: Setting) -> Compiled:
        """Give it in the core's terms."""
        raise NotImplementedError


class Levels:
    """What slow rules said at each decision, each computed once in a run."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[Any, Any] = {}

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Give the same array for the same key, so that it is made, and looked at by the core, once."""
        if key not in self._found:
            self._found[key] = make()
        return self._found[key]


@dataclass(frozen=True, kw_only=True)
class LevelRule(Rule):
    """A rule whose levels are computed in Python, once for all rules that share its key."""

    @property
    def key(self) -> Any:
        """What the slow part of its levels depends on."""
        raise NotImplementedError

    def compiled(self, setting: Setting, levels: Levels) -> Compiled:
        """Give it in the core's terms."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PercentileRule(WindowRule):
    """A percentile of the past, plus a margin: P90 + 15 % is ``PercentileRule(quantile=.9, factor=1.15)``.

    Wants ``factor`` × the quantile of the last ``window_s``. Asks as soon as that is more than the quota, or, with a
    threshold, once the quantile exceeds that share of the quota.

    Parameters
    ----------
    quantile : float in [0, 1], default .9
        Of the samples in the window (linear-interpolated, NumPy's default); 1 is their peak.
    factor : float > 0, default 1.15
        What the quantile is multiplied by.
    window_s : float (seconds) or timedelta, default 30 days
        How far back it looks.
    threshold : float > 0, optional
        Ask only once the quantile exceeds this share of the quota. Default: as soon as more is wanted than there is.
    lower : float in (0, 1], optional
        Ask down once less than this share of the quota is wanted. Default: never.
    of : {"usage", "demand"}, default "usage"
        "demand": of what would have to be carried in the worst event, own usage and what lands at the same moments.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Examples
    --------
    >>> import surgetank
    >>> str(surgetank.PercentileRule(quantile=0.995, factor=1.2))
    'P99.5 ×1.2 of 30 d'
    """

    name: ClassVar[str] = "percentile"
    quantile: float = 0.9
    factor: float = 1.15
    window_s: Duration = 30 * DAY_S
    threshold: float | None = None
    lower: float | None = None
    of: str = "usage"

    def __post_init__(self) -> None:
        """Refuse what cannot be replayed, now."""
        _check_of(self.of)
        self._settle(
            quantile=_bridge.fraction(self.quantile, "quantile"),
            window_s=_bridge.duration_s(self.window_s, "window_s", above=True),
            **self._asking(),
        )

    @property
    def needs_s(self) -> float:
        """How much of the past it looks at, in seconds."""
        return float(self.window_s)  # type: ignore[arg-type]

    def __str__(self) -> str:
        """What a planner calls it."""
        what = "peak" if self.quantile == 1 else f"P{quantity(100 * self.quantile)}"
        demand = " of demand" if self.of == "demand" else ""
        return f"{what}{demand} ×{quantity(self.factor)} of {span(self.needs_s)}{self._bounds()}"

    def compiled(self, setting: Setting) -> Compiled:
        """Give it in the core's terms."""
        looked = Looked(self.of == "demand", setting.samples_in(self.needs_s), self.quantile)
        return level_rule(looked, self.factor, self.threshold, self.lower)


@dataclass(frozen=True, kw_only=True)
class PeakRule(PercentileRule):
    """``factor`` × the highest of the last ``window_s``: a `PercentileRule` of quantile 1."""

    name: ClassVar[str] = "peak"
    quantile: float = 1.0
    factor: float = 1.2

    def __post_init__(self) -> None:
        """Refuse another quantile."""
        super().__post_init__()
        if self.quantile != 1:
            raise invalid("quantile", "is 1 in a PeakRule; take PercentileRule", self.quantile)


@dataclass(frozen=True, kw_only=True)
class ThresholdRule(WindowRule):
    """An alarm: raise the quota by a fixed factor once usage exceeds a share of it (×1.2 at 80 % by default).

    Parameters
    ----------
    threshold : float in (0, 1], default .8
        The share of the quota that usage must exceed.
    factor : float > 1, default 1.2
        What the quota is multiplied by then.
    window_s : float (seconds) or timedelta, optional
        The highest usage of so long counts. Default: since the last look.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    Its first quota is the one at which the alarm is just silent: usage / threshold.
    """

    name: ClassVar[str] = "threshold"
    threshold: float = 0.8
    factor: float = 1.2
    window_s: Duration | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be replayed, now."""
        self._settle(
            threshold=_bridge.number(
                share_of(self.threshold, "threshold"), "threshold", rule="must not be so small", least=1e-300
            ),
            factor=_bridge.number(self.factor, "factor", rule="must be more than 1", least=1, above=True),
        )
        if not 1 / self.threshold < math.inf:
            raise invalid("threshold", "must not be so small that 1/threshold exceeds double", self.threshold)
        if self.window_s is not None:
            self._settle(window_s=_bridge.duration_s(self.window_s, "window_s", above=True))

    @property
    def needs_s(self) -> float:
        """How much of the past it looks at, in seconds."""
        return 0.0 if self.window_s is None else float(self.window_s)  # type: ignore[arg-type]

    def __str__(self) -> str:
        """What a planner calls it."""
        over = "" if self.window_s is None else f" of {span(self.needs_s)}"
        return f"×{quantity(self.factor)} at {percent(self.threshold)}{over}"

    def compiled(self, setting: Setting) -> Compiled:
        """Give it in the core's terms."""
        window = setting.every if self.window_s is None else setting.samples_in(self.needs_s)
        return Compiled(Looked(False, window, 1.0), self.threshold, self.factor, 0.0, 1 / self.threshold, True)


def share_of(value: object, argument: str) -> float:
    """Check that it is a share, but not none."""
    result = _bridge.number(value, argument, rule="must be a share in (0, 1]", least=0, above=True)
    if result > 1:
        raise invalid(argument, "must be a share in (0, 1]", value)
    return result


def level_rule(looked: Looked, factor: float, threshold: float | None, lower: float | None) -> Compiled:
    """Give a rule that wants ``factor`` × what it sees."""
    if not 1 / factor < math.inf:
        raise invalid("factor", "must not be so small that 1/factor exceeds double", factor)
    # What is wanted must be more than the quota, or nothing is asked for.
    bar = 1 / factor if threshold is None else max(threshold, 1 / factor)
    return Compiled(looked, bar, factor, lower or 0.0, factor, False)


def grid(kind: type[Any], **options: Iterable[Any] | Any) -> tuple[Any, ...]:
    """Every combination of options of a rule: lists are varied, the last one fastest; anything else is fixed.

    Parameters
    ----------
    kind : class
        Such as `PercentileRule`.
    **options
        For each option one value, or a list, tuple, range or array of them.

    Returns
    -------
    tuple
        One rule for each combination.

    Raises
    ------
    InvalidInput
        Names the option: an empty list, or what the rule refuses.

    Examples
    --------
    >>> import surgetank
    >>> [str(r) for r in surgetank.grid(surgetank.PeakRule, factor=[1.2, 1.5], window_s=86400)]
    ['peak ×1.2 of 1 d', 'peak ×1.5 of 1 d']
    """
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise invalid("kind", "must be a class of policies, such as PercentileRule", kind)
    names = {f.name for f in dataclasses.fields(kind)}
    varied: list[Sequence[Any]] = []
    for option, given in options.items():
        if option not in names:
            from ..errors import nearest

            raise invalid(option, f"is no option of {kind.__name__}{nearest(option, names)}", given)
        values = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
        if not values:
            raise invalid(option, "must hold at least one value", given)
        varied.append(values)
    return tuple(kind(**dict(zip(options, values, strict=True))) for values in itertools.product(*varied))


def most_needed_s(policies: Iterable[Any]) -> float:
    """The longest past that any of them looks at."""
    return max((_needs_s(policy, i) for i, policy in enumerate(policies)), default=0.0)


def _needs_s(policy: Any, number: int) -> float:
    if isinstance(policy, Rule):  # it has seen to that itself
        return policy.needs_s
    return _bridge.duration_s(getattr(policy, "needs_s", 0.0), f"policies[{number}].needs_s")
