"""The spike rule with other libraries, each as a good user of it would write it.

Every peer gets the samples in the form it likes best, made beforehand and not timed: its own container, its own order
in memory, as many series at a time as serve it best. It gives the flags, and the number of spikes per series, which is
less than surgetank computes: its `outputs=()` gives P95 and maximum of usage/expected as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from _compare import importable

WINDOW, THRESHOLD = 144, 3.0
NO_FLAGS = np.empty((0, 0), dtype=bool)


@dataclass(frozen=True)
class Peer:
    name: str
    needs: tuple[str, ...]  # packages
    flags: Callable[[Any, int], np.ndarray]  # of (series, samples) in the peer's form, and a window
    form: Callable[[np.ndarray], Any] = np.ascontiguousarray  # from (series, samples)
    count: Callable[[Any, int], np.ndarray] | None = None  # where there is a shorter way than adding up flags
    at_a_time: int = 10**9  # series
    most: int = 10**9  # series it is timed with; more take too long or too much memory
    missing: bool = True  # does it know missing samples?

    def prepare(self, usage: np.ndarray) -> list[Any]:
        """The samples (T, N) in the peer's form, some series at a time."""
        series = usage.T
        return [self.form(series[i : i + self.at_a_time]) for i in range(0, len(series), self.at_a_time)]

    def all_flags(self, prepared: list[Any], window: int = WINDOW) -> np.ndarray:
        """Flags (T, N)."""
        return np.concatenate([self.flags(part, window) for part in prepared]).T

    def all_counts(self, prepared: list[Any], window: int = WINDOW) -> np.ndarray:
        """Spikes per series (N)."""
        count = self.count or (lambda part, w: np.count_nonzero(self.flags(part, w), axis=1))
        return np.concatenate([count(part, window) for part in prepared])


def _judge(u, mean, sd, window):
    """Flags from rolling moments; sd is used up, so that nothing of the input's size is made but the answer."""
    sd *= THRESHOLD
    sd += mean
    flags = u > sd
    flags &= mean > 0
    flags[:, : window - 1] = False  # a window counts only if it lies wholly inside the series
    return flags


def _judge_plain(u, mean, sd, window):
    """The same in one line, as first written."""
    flags = (u > mean + THRESHOLD * sd) & (mean > 0)
    flags[:, : window - 1] = False
    return flags


def bottleneck(u, window):
    import bottleneck as bn

    needed = (window + 1) // 2
    return _judge(u, bn.move_mean(u, window, needed), bn.move_std(u, window, needed, ddof=1), window)


def bottleneck_plain(u, window):
    import bottleneck as bn

    needed = (window + 1) // 2
    mean, sd = bn.move_mean(u, window, needed), bn.move_std(u, window, needed, ddof=1)
    return _judge_plain(u, mean, sd, window)


def numbagg(u, window):
    import numbagg as nb

    needed = (window + 1) // 2
    mean = nb.move_mean(u, window=window, min_count=needed)
    return _judge(u, mean, nb.move_std(u, window=window, min_count=needed), window)


def pandas_form(series):
    import pandas as pd

    return pd.DataFrame(series.T)  # pandas keeps each column contiguous, without a copy


def pandas(frame, window):
    rolling = frame.rolling(window, min_periods=(window + 1) // 2)
    return _judge(frame.to_numpy().T, rolling.mean().to_numpy().T, rolling.std().to_numpy().T.copy(), window)


def pandas_plain(frame, window):
    rolling = frame.rolling(window, min_periods=(window + 1) // 2)
    return _judge_plain(*(x.to_numpy().T for x in (frame, rolling.mean(), rolling.std())), window)


def polars_form(series):
    import polars as pl

    return pl.DataFrame({str(i): values for i, values in enumerate(series)}, nan_to_null=True)


def _polars_flags(window):
    import polars as pl

    every, needed = pl.all(), (window + 1) // 2
    mean = every.rolling_mean(window, min_samples=needed)
    return (every > mean + THRESHOLD * every.rolling_std(window, min_samples=needed)) & (mean > 0)


def polars(frame, window):
    found = frame.select(_polars_flags(window).fill_null(False)).to_numpy().T.copy()
    found[:, : window - 1] = False
    return found


def polars_count(frame, window):
    return frame.select(_polars_flags(window).slice(window - 1).sum()).to_numpy()[0]


def numpy_sums(u, window):
    """Running sums from each series' first sample on: nothing is missing, or this does not work."""
    d = u - u[:, :1]
    totals, squares = np.cumsum(d, axis=1), np.cumsum(d * d, axis=1)
    for sums in (totals, squares):
        sums[:, window:] -= sums[:, :-window].copy()
    totals /= window
    squares -= window * totals**2
    sd = np.sqrt(np.maximum(squares, 0, out=squares) / (window - 1))
    totals += u[:, :1]
    return _judge(u, totals, sd, window)


def numpy_windows(u, window):
    windows = np.lib.stride_tricks.sliding_window_view(u, window, axis=1)
    mean = windows.mean(axis=-1)
    flags = np.zeros(u.shape, dtype=bool)
    flags[:, window - 1 :] = (u[:, window - 1 :] > mean + THRESHOLD * windows.std(axis=-1, ddof=1)) & (mean > 0)
    return flags


def scipy(u, window):
    """A running mean of the samples and of their squares, about the first sample; nothing may be missing."""
    from scipy.ndimage import uniform_filter1d

    d = u - u[:, :1]
    trailing = (window - 1) // 2
    mean = uniform_filter1d(d, window, axis=1, origin=trailing)
    np.square(d, out=d)
    sd = uniform_filter1d(d, window, axis=1, origin=trailing)
    sd -= mean**2
    np.sqrt(np.maximum(sd, 0, out=sd) * (window / (window - 1)), out=sd)
    mean += u[:, :1]
    return _judge(u, mean, sd, window)


def _numba(name, by_instant=False, twin=True):
    """What a peer is made of, from a numba kernel which may have a twin for missing samples."""

    def form(series):
        return np.ascontiguousarray(series.T if by_instant else series), bool(np.isnan(series).any())

    def run(u, missing, window, flags):
        import _numba_across
        import _numba_spikes

        kernels = _numba_across if by_instant else _numba_spikes
        return getattr(kernels, f"{name}_missing" if missing and twin else name)(u, window, THRESHOLD, flags)

    def flags(part, window):
        found = np.zeros(part[0].shape, dtype=bool)
        run(*part, window, found)
        return found.T if by_instant else found

    return {"needs": ("numba",), "form": form, "flags": flags, "count": lambda part, w: run(*part, w, NO_FLAGS)}


PEERS = (
    Peer("numba, fused, as first written", **_numba("first_written")),
    Peer("numba, fused, no branches", **_numba("blocks")),
    Peer("numba, across series", **_numba("across", by_instant=True)),
    Peer("numba, every window anew", **_numba("anew", twin=False)),
    Peer("bottleneck, as first written", ("bottleneck",), bottleneck_plain),
    Peer("bottleneck", ("bottleneck",), bottleneck, at_a_time=16),
    Peer("numbagg", ("numbagg", "numba"), numbagg, at_a_time=16),
    Peer("pandas, as first written", ("pandas",), pandas_plain, form=pandas_form),
    Peer("pandas", ("pandas",), pandas, form=pandas_form, at_a_time=200),
    Peer("polars", ("polars",), polars, form=polars_form, count=polars_count, at_a_time=200),
    Peer("NumPy, running sums", (), numpy_sums, at_a_time=16, missing=False),
    Peer("NumPy, sliding windows", (), numpy_windows, at_a_time=1, most=200, missing=False),
    Peer("SciPy, uniform_filter1d", ("scipy",), scipy, at_a_time=16, missing=False),
)


def available() -> tuple[Peer, ...]:
    return tuple(peer for peer in PEERS if importable(peer.needs))
