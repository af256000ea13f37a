"""The detectors: what a spike is, as options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Union

from .. import _bridge, _core
from ..errors import invalid

USUAL_STEP_S = 300.0


@dataclass(frozen=True)
class AdaptiveDetector:
    """The recommended detector: a spike is rare in the series' own past, large, and not what happens all the time.

    It learns each series as it goes: its level, its day, how much it moves, how often it surprises. One set of defaults
    serves every step and every series; see ``Notes`` for what it was chosen on.

    Parameters
    ----------
    direction : {"both", "up"}, default "both"
        "up" finds upward spikes only, which is what capacity is about: what rises above the mean of the last days.
        "both" also finds drops and flat lines.
    threshold : float, default 1.45
        Decades of rarity, about: 1.0 finds more and cries wolf more, 2.0 the other way round.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    Five deviations of each sample from what was there before it (from the long mean; the last hour's and the last two
    hours' mean; how much it moves; the time of day) are ranked within their own past, by sign. The score is the root
    mean square of these rarities (−log₁₀ of the share at least as large) times an effect size, smoothed over two
    samples, less a habituation that every spike raises by 0.5 and that halves in two weeks. A spike begins where the
    score reaches the threshold: a score of 1 is about one sample in ten, of 2 one in a hundred, in several ways at
    once. It lasts while it stays as unusual, and the next one begins ten hours after it began or later, unless it is
    rarer by half a decade. So what comes back every day is soon ordinary, and a fourth surge within a week may be none.

    Once 50 samples have been seen that are not all alike, only so much is learnt of a sample as 50 standard deviations
    are: an outlier of 1e9 blinds it for nothing. After a lasting shift far beyond the noise it needs weeks.

    The first day is only learnt from: its spikes are not told. The first week is judged by what little is known. A
    missing sample is not learnt from and ends an episode; after an hour of them it begins with a clean slate. Durations
    scale with the step: an hour is 12 samples of 5 minutes. What is ordinary for the day but not for its hour counts
    little: a surge at night that stays below the noon peak is rare, not large.

    Only the past is looked at, so that a batch and a `SpikeStream` say the same. Parameters were chosen by
    cross-validation over labelled series (A. Lavin and S. Ahmad, "Evaluating real-time anomaly detection algorithms:
    the Numenta Anomaly Benchmark", 2015, and service telemetry): `bench/bench_spikes_accuracy.py` prints how it
    compares.
    """

    direction: str = "both"
    threshold: float = 1.45

    name: ClassVar[str] = "adaptive"

    def __post_init__(self) -> None:
        """Refuse what the core would refuse, now."""
        if not isinstance(self.direction, str) or self.direction not in ("both", "up"):
            raise invalid("direction", 'must be "both" or "up"', self.direction)
        self._core_options(USUAL_STEP_S)

    def _core_options(self, step_s: float) -> _core.AdaptiveOptions:
        options = _bridge.options(_core.AdaptiveOptions, self, own=("direction",))
        options.both = self.direction == "both"
        options.step_s = step_s
        return options

    def _least(self, step_s: float, rows: int) -> int:
        """How many of its samples must be observed before one of them can be a spike."""
        day = max(1, math.floor(86400 / min(max(step_s, 1.0), 86400.0) + 0.5))
        return max(50, day) + 1

    def _detect(
        self, usage: _bridge.Floats, step_s: float, asked: _core.SpikeOutputs, threads: int
    ) -> _core.SpikeColumns:
        return _core.adaptive(usage, self._core_options(step_s), asked, threads)


@dataclass(frozen=True)
class RollingSigma:
    """The classic rule: a sample is a spike when it exceeds mean + threshold·sd of the window that ends with it.

    Parameters
    ----------
    window : int, default 10
        Samples in the trailing window, the current one included. Wider windows know more, and forget later.
    threshold : float, default 2.0
        Sample standard deviations (n − 1). Because the sample is part of its own window, no score can exceed
        (window − 1)/√window, 2.85 for 10; a higher threshold is refused.
    exclude_current : bool, default False
        Leave the current sample out of its window: then scores are unbounded.

    Raises
    ------
    InvalidInput
        Names the option, the rule and the value.

    Notes
    -----
    A window counts only if it lies wholly inside the series and at least half of it (rounded up) is observed; only
    windows with a positive mean flag. Source: W. A. Shewhart, "Economic Control of Quality of Manufactured
    Product", 1931, on a moving window. Moments are combined, never subtracted (`cpp/surgetank/series.hpp`), so an
    outlier of 1e9 leaves no trace once it has left the window.
    """

    window: int = 10
    threshold: float = 2.0
    exclude_current: bool = False

    name: ClassVar[str] = "rolling"

    def __post_init__(self) -> None:
        """Refuse what the core would refuse, now."""
        self._core_options()

    def _core_options(self) -> _core.RollingSigmaOptions:
        return _bridge.options(_core.RollingSigmaOptions, self)

    def _least(self, step_s: float, rows: int) -> int:
        """How many of its samples must be observed before one of them can be a spike."""
        whole = self.window + self.exclude_current
        return (self.window + 1) // 2 if rows >= whole else whole

    def _detect(
        self, usage: _bridge.Floats, step_s: float, asked: _core.SpikeOutputs, threads: int
    ) -> _core.SpikeColumns:
        return _core.rolling_sigma(usage, self._core_options(), asked, threads)


Detector = Union[AdaptiveDetector, RollingSigma]  # noqa: UP007  (kept as a value: it is exported)


def check_detector(detector: object, argument: str = "detector") -> None:
    """Refuse anything but a detector with its options."""
    if not isinstance(detector, AdaptiveDetector | RollingSigma):
        raise invalid(argument, "must be AdaptiveDetector(...) or RollingSigma(...)", detector)


_KINDS: dict[str, type[AdaptiveDetector] | type[RollingSigma]] = {k.name: k for k in (AdaptiveDetector, RollingSigma)}
DETECTOR_OPTIONS = {name: tuple(f.name for f in fields(kind)) for name, kind in _KINDS.items()}


def detector_of(options: Mapping[str, Any], name: object = None, base: Detector | None = None) -> Detector:
    """Give the detector that is meant: of that name, or else one that has these options; the rest is as in ``base``."""
    base = AdaptiveDetector() if base is None else base
    if name is None:
        able = [kind for kind, known in DETECTOR_OPTIONS.items() if set(options) <= set(known)]
        name = base.name if base.name in able or not able else able[0]
    if not isinstance(name, str) or name not in _KINDS:
        raise invalid("detector", f"must be {' or '.join(_KINDS)}", name)
    for option, value in options.items():
        if option not in DETECTOR_OPTIONS[name]:
            raise invalid(option, f"is no option of the {name} detector", value)
    return replace(base, **options) if base.name == name else _KINDS[name](**options)
