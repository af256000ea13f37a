"""What detectors found: arrays per sample, numbers per series, episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from .._table import Column, Tabular, for_person, quantity
from ..errors import InvalidInput
from .detectors import Detector


@dataclass(frozen=True, kw_only=True)
class Episode:
    """A run of flagged samples of one series.

    ``start`` and ``end`` are sample numbers, half open; ``start_time`` and ``end_time`` the instants (UTC) where the
    usage had them, else None; ``peak`` the largest sample (unit of usage); ``ratio`` the largest usage/expected,
    NaN where nothing was expected at the peak.
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

    detector: Detector
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
        """What the detector compares with its threshold, (T, …); NaN where undefined.

        RollingSigma: (usage − mean)/sd. AdaptiveDetector: decades of rarity, less habituation.
        """
        return self._asked("scores")  # type: ignore[no-any-return]

    @property
    def likelihood(self) -> Floats:
        """How unusual the sample is, in [0, 1], (T, …); NaN where undefined.

        RollingSigma: Φ(score), among normal samples. AdaptiveDetector: 1 − 10^−(decades of rarity).
        """
        return self._asked("likelihood")  # type: ignore[no-any-return]

    @property
    def ratios(self) -> Floats:
        """usage/expected (T, …); NaN where undefined.

        Expected is, for RollingSigma, the window's mean; for AdaptiveDetector, the mean of the days before.
        """
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

    def _caption(self) -> str:
        return f"Spikes by {self.detector}"

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
