"""How long something takes: distributions of durations, in seconds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge, _core
from .._bridge import Duration, Floats
from .._table import span
from ..errors import invalid
from .parameters import check_ordered, core_of, fitted, keep_positive, keep_seconds, plain, seconds_of, seed_of

MOST_SAMPLES = 10**9


class Distribution(ABC):
    """A duration that is not known, only how likely each value is. Immutable; seconds throughout."""

    @abstractmethod
    def _spec(self) -> _core.Distribution:
        """As the core takes it."""

    @cached_property
    def _core(self) -> _core.Distribution:
        return self._spec()

    def cdf(self, seconds: ArrayLike) -> Floats:
        """P(duration ≤ seconds), in the shape of ``seconds``."""
        given = _bridge.numbers(seconds, "seconds")
        return np.array([self._core.cdf(x) for x in given.ravel()]).reshape(given.shape)

    def quantile(self, p: ArrayLike) -> Floats:
        """The duration in seconds that is not exceeded with probability p, in the shape of ``p``."""
        given = _bridge.numbers(p, "p")
        if not ((given >= 0) & (given <= 1)).all():
            raise invalid("p", "must be probabilities in [0, 1]", given[~((given >= 0) & (given <= 1))].flat[0])
        return np.array([self._core.quantile(x) for x in given.ravel()]).reshape(given.shape)

    def sample(self, n: int, *, seed: int = 0) -> Floats:
        """``n`` draws in seconds, float64 (n,); the same for the same seed."""
        count = _bridge.whole(n, "n", "must be a whole number")
        if not 0 <= count <= MOST_SAMPLES:
            raise invalid("n", f"must lie in [0, {MOST_SAMPLES:,}]", n)
        return self._core.sample(count, seed_of(seed))

    def truncated(self, low_s: Duration = 0.0, high_s: Duration = math.inf) -> Truncated:
        """The same, given that it lies in [low_s, high_s]."""
        return Truncated(self, low_s, high_s)

    def __getstate__(self) -> dict[str, object]:
        """Pickle the parameters; the core's object is made again."""
        return {name: value for name, value in self.__dict__.items() if name != "_core"}


@dataclass(frozen=True)
class Fixed(Distribution):
    """Always the same."""

    value_s: Duration

    def __post_init__(self) -> None:
        """Check."""
        keep_seconds(self, "value_s")

    def _spec(self) -> _core.Distribution:
        return core_of("fixed", self.value_s)

    def __str__(self) -> str:
        """Say it as a person would."""
        return span(float(self.value_s))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Uniform(Distribution):
    """Anything from low to high, equally likely."""

    low_s: Duration
    high_s: Duration

    def __post_init__(self) -> None:
        """Check."""
        keep_seconds(self, "low_s", "high_s")
        check_ordered(self, "low_s", "high_s")

    def _spec(self) -> _core.Distribution:
        return core_of("uniform", self.low_s, self.high_s)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"{span(self.low_s)} to {span(self.high_s)}"  # type: ignore[arg-type]


@dataclass(frozen=True)
class Triangular(Distribution):
    """From low to high, most likely ``likely``, straight lines between."""

    low_s: Duration
    likely_s: Duration
    high_s: Duration

    def __post_init__(self) -> None:
        """Check."""
        keep_seconds(self, "low_s", "likely_s", "high_s")
        check_ordered(self, "low_s", "likely_s", "high_s")

    @staticmethod
    def from_quantiles(low_s: Duration, likely_s: Duration, high_s: Duration, *, confidence: float = 0.9) -> Triangular:
        """Fit: ``likely`` is the mode, and [low, high] holds with that confidence, as often missed below as above.

        Raises `InvalidInput` where no triangular distribution of durations (0 or more) does that.
        """
        return Triangular(*fitted("triangular", low_s, likely_s, high_s, confidence))

    def _spec(self) -> _core.Distribution:
        return core_of("triangular", self.low_s, self.likely_s, self.high_s)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"{span(self.low_s)} to {span(self.high_s)}, likely {span(self.likely_s)}"  # type: ignore[arg-type]


@dataclass(frozen=True)
class Pert(Distribution):
    """From low to high, most likely ``likely``: a smooth hump (Malcolm et al., 1959); a larger weight narrows it."""

    low_s: Duration
    likely_s: Duration
    high_s: Duration
    weight: float = 4.0

    def __post_init__(self) -> None:
        """Check."""
        keep_seconds(self, "low_s", "likely_s", "high_s")
        check_ordered(self, "low_s", "likely_s", "high_s")
        object.__setattr__(self, "weight", _bridge.number(self.weight, "weight", rule="must be 0 or more", least=0))
        if self.weight > 1000:
            raise invalid("weight", "must be at most 1000", self.weight)

    @staticmethod
    def from_quantiles(low_s: Duration, likely_s: Duration, high_s: Duration, *, confidence: float = 0.9) -> Pert:
        """Fit: ``likely`` is the mode, and [low, high] holds with that confidence, as often missed below as above.

        The weight stays 4 where that is possible with durations of 0 or more. Raises `InvalidInput` where none does it.
        """
        return Pert(*fitted("pert", low_s, likely_s, high_s, confidence))

    def _spec(self) -> _core.Distribution:
        return core_of("pert", self.low_s, self.likely_s, self.high_s, self.weight)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"{span(self.low_s)} to {span(self.high_s)}, likely {span(self.likely_s)}"  # type: ignore[arg-type]


@dataclass(frozen=True)
class Lognormal(Distribution):
    """Half of all within ``median``, 95 % within ``p95``; no bound."""

    median_s: Duration
    p95_s: Duration

    def __post_init__(self) -> None:
        """Check."""
        keep_seconds(self, "median_s", "p95_s", above=True)
        check_ordered(self, "median_s", "p95_s")
        if self.p95_s > 1e6 * self.median_s:  # type: ignore[operator]
            raise invalid("p95_s", "must be at most a million medians", self.p95_s)

    @staticmethod
    def from_observations(
        values_s: Iterable[Duration] = (), intervals_s: Iterable[tuple[Duration, Duration | float]] = ()
    ) -> Lognormal:
        """Fit by maximum likelihood: durations that were measured, and pairs between which one ended.

        A poll that saw "rebooting" at 20.5 s and "available" at 127.8 s is the pair (20.5, 127.8); ``inf``: not ended
        when last seen. Raises `InvalidInput` where one duration would fit them all.

        >>> Lognormal.from_observations([62.0, 118.0], intervals_s=[(20.5, 127.8), (60.0, 90.0)]).median_s > 60
        True
        """
        from .observed import lognormal_of

        return Lognormal(*lognormal_of(values_s, intervals_s))

    def _spec(self) -> _core.Distribution:
        return core_of("lognormal", self.median_s, self.p95_s)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"half within {span(self.median_s)}, 95% within {span(self.p95_s)}"  # type: ignore[arg-type]


@dataclass(frozen=True)
class Gamma(Distribution):
    """A sum of ``shape`` exponential waits of mean ``scale`` each; shape need not be whole."""

    shape: float
    scale_s: Duration

    def __post_init__(self) -> None:
        """Check."""
        keep_positive(self, "shape")
        keep_seconds(self, "scale_s", above=True)
        if not 0.1 <= self.shape <= 1e5:
            raise invalid("shape", "must lie in [0.1, 1e5]", self.shape)

    def _spec(self) -> _core.Distribution:
        return core_of("gamma", self.shape, self.scale_s)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"gamma, mean {span(self.shape * float(self.scale_s))}"  # type: ignore[arg-type]


@dataclass(frozen=True)
class Exponential(Distribution):
    """Ends at any moment with the same probability."""

    mean_s: Duration

    def __post_init__(self) -> None:
        """Check."""
        keep_seconds(self, "mean_s", above=True)

    def _spec(self) -> _core.Distribution:
        return core_of("exponential", self.mean_s)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"exponential, mean {span(float(self.mean_s))}"  # type: ignore[arg-type]


@dataclass(frozen=True)
class Weibull(Distribution):
    """Below shape 1 the longer it has taken the longer it will, above 1 the other way round; 63 % within ``scale``."""

    shape: float
    scale_s: Duration

    def __post_init__(self) -> None:
        """Check."""
        keep_positive(self, "shape")
        keep_seconds(self, "scale_s", above=True)
        if not 0.1 <= self.shape <= 1e4:
            raise invalid("shape", "must lie in [0.1, 1e4]", self.shape)

    def _spec(self) -> _core.Distribution:
        return core_of("weibull", self.shape, self.scale_s)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"Weibull {self.shape:g}, 63% within {span(float(self.scale_s))}"  # type: ignore[arg-type]


@dataclass(frozen=True, eq=True)
class Empirical(Distribution):
    """One of the durations that were measured, each as likely as the others."""

    values_s: tuple[float, ...]

    def __init__(self, values_s: ArrayLike | Sequence[Duration]) -> None:
        """Check: at least one, all finite and 0 or more."""
        try:
            given = np.asarray(values_s)
        except ValueError as error:
            raise invalid("values_s", "must be one sequence of durations", type(values_s).__name__) from error
        if given.dtype.kind == "m":
            given = given / np.timedelta64(1, "s")
        if given.dtype.kind not in "iuf":
            given = np.asarray(values_s, dtype=object)
        values = [seconds_of(v, "values_s") for v in np.ravel(given)]
        if not 0 < len(values) <= 2**23:
            raise invalid("values_s", "must hold at least one duration, and no more than 2^23", len(values))
        object.__setattr__(self, "values_s", tuple(sorted(values)))

    def _spec(self) -> _core.Distribution:
        return _core.Distribution("empirical", list(self.values_s))

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"one of {len(self.values_s)} measured, {span(self.values_s[0])} to {span(self.values_s[-1])}"


@dataclass(frozen=True)
class Mixture(Distribution):
    """Now one distribution, now another: pairs of weight and distribution. Weights are made to add up to 1."""

    parts: tuple[tuple[float, Distribution], ...]

    def __init__(self, parts: Sequence[tuple[float, Distribution]]) -> None:
        """Check the weights."""
        try:
            pairs = [(weight, part) for weight, part in parts]
        except (TypeError, ValueError) as error:
            raise invalid("parts", "must be pairs of weight and distribution", parts) from error
        for _, part in pairs:
            if not isinstance(part, Distribution):
                raise invalid("parts", "must be pairs of weight and distribution", part)
        weights = [_bridge.number(w, "parts", rule="weights must be 0 or more", least=0) for w, _ in pairs]
        total = math.fsum(weights)
        if not 0 < total < math.inf:
            raise invalid("parts", "must have a weight above 0", total)
        if abs(total - 1) <= 1e-12:  # weights that add up stay as they are
            total = 1.0
        kept = tuple((w / total, part) for w, (_, part) in zip(weights, pairs, strict=True) if w > 0)
        object.__setattr__(self, "parts", kept)

    def _spec(self) -> _core.Distribution:
        return _core.Distribution("mixture", [w for w, _ in self.parts], [part._core for _, part in self.parts])

    def __str__(self) -> str:
        """Say it as a person would."""
        return " or ".join(f"{w:.0%} {part}" for w, part in self.parts)


@dataclass(frozen=True)
class Truncated(Distribution):
    """A distribution, given that it lies in [low_s, high_s]."""

    of: Distribution
    low_s: Duration = 0.0
    high_s: Duration = math.inf

    def __post_init__(self) -> None:
        """Check: the bounds in order, and not nothing between them."""
        if not isinstance(self.of, Distribution):
            raise invalid("of", "must be a distribution", self.of)
        keep_seconds(self, "low_s")
        if not (isinstance(self.high_s, float) and self.high_s == math.inf):
            keep_seconds(self, "high_s")
        check_ordered(self, "low_s", "high_s")
        self._spec()

    def _spec(self) -> _core.Distribution:
        low, high = plain(self.low_s, self.high_s)
        return self.of._core.truncated(low, high)

    def __str__(self) -> str:
        """Say it as a person would."""
        return f"{self.of}, within {span(self.low_s)} to {span(self.high_s)}"  # type: ignore[arg-type]


#: What a Step takes as a duration: seconds and a timedelta are `Fixed`.
Durations = Distribution | Duration


def as_distribution(value: object, argument: str) -> Distribution:
    """A distribution; a number of seconds or a timedelta is `Fixed`."""
    if isinstance(value, Distribution):
        return value
    return Fixed(_bridge.duration_s(value, argument))  # type: ignore[arg-type]
