"""Spikes: which samples stand out from what came just before them?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _bridge, _core
from ._bridge import Duration, Floats
from ._table import Column, Tabular, for_person, quantity
from .errors import InvalidInput, invalid, nearest
from .history import History
from .history.given import Given

OUTPUTS = ("flags", "scores", "likelihood", "ratios", "episodes")


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

    def __post_init__(self) -> None:
        """Refuse what the core would refuse, now."""
        _bridge.options(_core.RollingSigmaOptions, self)


@dataclass(frozen=True, kw_only=True)
class Episode:
    """A run of flagged samples of one series.

    ``start`` and ``end`` are sample numbers, half open; ``start_time`` and ``end_time`` the instants (UTC) where the
    usage had them, else None; ``peak`` the largest sample (unit of usage); ``ratio`` the largest usage/expected.
    """

    series: str
    index: tuple[int, ...]
    start: int
    end: int
    peak: float
    ratio: float
    start_time: np.datetime64 | None = None
    end_time: np.datetime64 | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Spikes(Tabular):
    """What `detect_spikes` found. Shapes follow usage (T, …): per sample (T, …), per series (…).

    Reading an output that was not asked for raises `InvalidInput`.
    """

    detector: RollingSigma
    outputs: tuple[str, ...]
    series: tuple[str, ...]  #: names of the series, flat
    count: Any  #: flagged samples per series, int64 (…)
    p95_ratio: Any  #: 95th percentile of usage/expected over the flagged samples, (…); NaN where there are none
    max_ratio: Any  #: the largest of them, (…)
    _found: Mapping[str, Any] = field(repr=False)
    _shape: tuple[int, ...] = field(repr=False)  # of one instant of usage
    _start: tuple[int, float] | None = field(repr=False)  # epoch seconds and step, where they are known

    @property
    def flags(self) -> NDArray[np.bool_]:
        """Which samples are spikes, bool (T, …)."""
        return self._asked("flags")  # type: ignore[no-any-return]

    @property
    def scores(self) -> Floats:
        """(usage − mean)/sd, the statistic compared with the threshold, (T, …); NaN where undefined."""
        return self._asked("scores")  # type: ignore[no-any-return]

    @property
    def likelihood(self) -> Floats:
        """How unusual the sample would be among normal ones, Φ(score) in [0, 1], (T, …); NaN where undefined."""
        return self._asked("likelihood")  # type: ignore[no-any-return]

    @property
    def ratios(self) -> Floats:
        """usage/expected (T, …), the expected being the window's mean; NaN where undefined."""
        return self._asked("ratios")  # type: ignore[no-any-return]

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Runs of flagged samples, by series, then by time (comes with ``flags`` too)."""
        runs = self._asked("episodes")
        columns = (runs[name].tolist() for name in ("series", "start", "end", "peak", "ratio"))
        return tuple(self._episode(*run) for run in zip(*columns, strict=True))

    def _episode(self, series: int, start: int, end: int, peak: float, ratio: float) -> Episode:
        index = tuple(int(i) for i in np.unravel_index(series, self._shape)) if self._shape else ()
        times = {} if self._start is None else {"start_time": self._time(start), "end_time": self._time(end)}
        return Episode(series=self.series[series], index=index, start=start, end=end, peak=peak, ratio=ratio, **times)

    def _time(self, step: int) -> np.datetime64:
        start_s, step_s = self._start or (0, 0.0)
        return np.datetime64(int(start_s + step * step_s), "s")

    def _asked(self, name: str) -> Any:
        if self._found.get(name) is None:
            raise InvalidInput(f"{name}: was not asked for; add it to outputs= (got outputs={self.outputs})")
        return self._found[name]

    def episode_table(self) -> EpisodeTable:
        """Give one row for every episode, for printing and export."""
        return EpisodeTable(self.episodes)

    def _columns(self) -> list[Column]:
        columns = [
            Column("series", self.series, "Series", numeric=False),
            Column("count", np.ravel(self.count), "Spikes", quantity),
            Column("p95_ratio", np.ravel(self.p95_ratio), "P95 ratio", quantity, priority=1),
            Column("max_ratio", np.ravel(self.max_ratio), "Max ratio", quantity),
        ]
        if self._found.get("episodes") is not None:
            which, starts = self._found["episodes"]["series"], self._found["episodes"]["start"]
            counts = np.bincount(which, minlength=len(self.series))
            ends = np.cumsum(counts)
            latest = [starts[e - 1] if n else -1 for e, n in zip(ends, counts, strict=True)]
            when = ["" if t < 0 else for_person(t if self._start is None else self._time(int(t))) for t in latest]
            columns.append(Column("episodes", counts, "Episodes", quantity, priority=2))
            columns.append(Column("last_episode", when, "Last episode", numeric=False, priority=3))
        return columns


@dataclass(frozen=True, repr=False)
class EpisodeTable(Tabular):
    """Episodes, one a row."""

    episodes: tuple[Episode, ...]

    def _columns(self) -> list[Column]:
        names = ("series", "start", "end", "start_time", "end_time", "peak", "ratio")
        values = {name: [getattr(e, name) for e in self.episodes] for name in names}
        timed = all(e.start_time is not None for e in self.episodes)
        when = ("start_time", "end_time") if timed else ("start", "end")
        return [
            Column("series", values["series"], "Series", numeric=False),
            *(Column(n, values[n], n.split("_")[0].title() if n in when else "", for_person) for n in names[1:5]),
            Column("peak", values["peak"], "Peak", quantity, priority=1),
            Column("ratio", values["ratio"], "Ratio", quantity),
        ]


def detect_spikes(
    usage: ArrayLike | History,
    *,
    step_s: Duration | None = None,
    detector: RollingSigma | None = None,
    outputs: Sequence[str] = OUTPUTS,
    threads: int = 1,
) -> Spikes:
    """Find samples that stand out from what came just before them.

    Parameters
    ----------
    usage : (T,), (T, R) or (T, S, R) numbers, a frame, or History
        Samples at equal steps, in any unit, oldest first; any finite value, NaN for not observed. Float64 in C or
        Fortran order is taken without a copy.
    step_s : float (seconds) or timedelta, optional
        One step. History and frames know their own; arrays need it only for detectors that tell the time of day.
    detector : RollingSigma, optional
        Default ``RollingSigma()``.
    outputs : sequence of str
        Which of flags, scores, likelihood, ratios, episodes to compute. ``()`` gives only count, p95_ratio and
        max_ratio, without any array of the input's size.
    threads : int, default 1
        0 for as many as the machine has. The answer is the same to the last bit.

    Returns
    -------
    Spikes
        ``flags`` bool (T, …); ``scores``, ``likelihood``, ``ratios`` float64 (T, …), NaN where undefined;
        ``episodes``; ``count``, ``p95_ratio``, ``max_ratio`` (…). Arrays are read-only.

    Raises
    ------
    InvalidInput
        Empty or infinite usage, an unknown output, a negative number of threads, or an option the detector refuses.

    Notes
    -----
    Calls share no state: any number may run at once, and the GIL is released.

    Examples
    --------
    >>> import surgetank
    >>> found = surgetank.detect_spikes([5.0] * 20 + [50.0] + [5.0] * 3, outputs=("flags",))
    >>> int(found.count), round(float(found.max_ratio), 3), int(found.flags.argmax())
    (1, 5.263, 20)
    """
    detector = RollingSigma() if detector is None else detector
    if not isinstance(detector, RollingSigma):
        raise invalid("detector", "must be RollingSigma(...)", detector)
    wanted, workers = _wanted(outputs), _bridge.threads(threads)
    given = Given.read(usage)
    history, shape = given.history, given.shape
    if step_s is not None:
        _bridge.duration_s(step_s, "step_s", above=True)

    asked = _core.SpikeOutputs()
    for name in wanted:
        setattr(asked, name, True)
    asked.episodes = asked.episodes or asked.flags
    raw = _core.rolling_sigma(given.matrix, _bridge.options(_core.RollingSigmaOptions, detector), asked, workers)
    whole = (given.matrix.shape[0], *shape)
    arrays = {"flags": raw["flags"], "scores": raw["scores"], "likelihood": raw["likelihood"], "ratios": raw["ratios"]}
    found: dict[str, Any] = {name: None if a is None else a.reshape(whole) for name, a in arrays.items()}
    found["episodes"] = raw["episodes"]
    return Spikes(
        detector=detector,
        outputs=wanted,
        series=given.names,
        count=_bridge.like_instant(raw["count"], shape),
        p95_ratio=_bridge.like_instant(raw["p95_ratio"], shape),
        max_ratio=_bridge.like_instant(raw["max_ratio"], shape),
        _shape=shape,
        _start=None if history is None else (history.start_s, history.step_s),
        _found=found,
    )


def _wanted(outputs: Sequence[str]) -> tuple[str, ...]:
    wanted = _bridge.names(outputs, "outputs")
    for name in wanted:
        if name not in OUTPUTS:
            raise invalid("outputs", f"must be among {', '.join(OUTPUTS)}{nearest(str(name), OUTPUTS)}", name)
    return wanted
