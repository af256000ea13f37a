"""Moments and quantiles per series with other libraries, each as a good user of it would write it.

Every peer gets the samples in the form it likes best, made beforehand and not timed, each series contiguous and as many
at a time as serve it best. Each gives rows mean, sd (n), slope per sample and max, and where it is asked P50, P95 and
P99. Where a library has no slope, NumPy's product with the instants gives it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from _compare import importable

QUANTILES = (0.5, 0.95, 0.99)
WHOLE = 10**9  # series at a time: all there are


@dataclass(frozen=True)
class Peer:
    name: str
    needs: tuple[str, ...]  # packages
    run: Callable[[Any], np.ndarray]  # rows of figures
    quantiles: bool  # does it give P50, P95 and P99 as well?
    missing: bool  # for samples of which some are missing, or none?
    form: Callable[[np.ndarray], Any] = np.ascontiguousarray  # from (series, samples)
    at_a_time: int = 16  # series

    def prepare(self, usage: np.ndarray) -> list[Any]:
        """The samples (T, N) in the peer's form, some series at a time."""
        series = usage.T
        return [self.form(series[i : i + self.at_a_time]) for i in range(0, len(series), self.at_a_time)]

    def answer(self, prepared: list[Any]) -> np.ndarray:
        """Figures (4 or 7, N)."""
        return np.concatenate([self.run(part) for part in prepared], axis=1)


def _slope(u):
    """Of series without gaps: the instants are centred, so the samples need not be."""
    t = np.arange(u.shape[1]) - (u.shape[1] - 1) / 2
    return u @ t / (t @ t)


def _slope_missing(u, observed, deviations):
    """Of the observed samples; deviations from the mean, 0 where missing."""
    t = np.arange(u.shape[1]) - (u.shape[1] - 1) / 2
    seen = observed.astype(float)
    return deviations @ t / (seen @ t**2 - (seen @ t) ** 2 / seen.sum(axis=1))


def numpy_moments(u):
    mean = u.mean(axis=1)
    d = u - mean[:, None]
    return np.stack([mean, np.sqrt(np.einsum("ij,ij->i", d, d) / u.shape[1]), _slope(u), u.max(axis=1)])


def numpy_plain(u):
    return np.stack([u.mean(axis=1), u.std(axis=1), _slope(u), u.max(axis=1)])


def numpy_moments_missing(u):
    observed = ~np.isnan(u)
    n = np.count_nonzero(observed, axis=1)
    mean = np.where(observed, u, 0).sum(axis=1) / n
    d = np.where(observed, u - mean[:, None], 0)
    sd = np.sqrt(np.einsum("ij,ij->i", d, d) / n)
    return np.stack([mean, sd, _slope_missing(u, observed, d), np.fmax.reduce(u, axis=1)])


def numba_moments(u):
    import _numba_headroom

    return _numba_headroom.moments(u)


def numba_moments_missing(u):
    import _numba_headroom

    return _numba_headroom.moments_missing(u)


def bottleneck_moments(u):
    import bottleneck as bn

    return np.stack([bn.nanmean(u, 1), bn.nanstd(u, 1), _slope(u), bn.nanmax(u, 1)])


def bottleneck_moments_missing(u):
    import bottleneck as bn

    mean, observed = bn.nanmean(u, 1), ~np.isnan(u)
    slope = _slope_missing(u, observed, np.where(observed, u - mean[:, None], 0))
    return np.stack([mean, bn.nanstd(u, 1), slope, bn.nanmax(u, 1)])


def _ranks(samples):
    """Where the quantiles lie between two ranks: the lower one, and how far above it."""
    at = np.asarray(QUANTILES) * (samples - 1)
    return np.floor(at).astype(int), at % 1


def all_ranks(u):
    """One call of np.partition with the two ranks of every quantile."""
    low, part = _ranks(u.shape[1])
    found = np.partition(u, [*low, *(low + 1)], axis=1)
    return (found[:, low] + part * (found[:, low + 1] - found[:, low])).T


def partition(u):
    """Each quantile from what the one before left above it: a third of the time of one call with all ranks."""
    found, rest, passed = [], u.copy(), 0
    for low, part in zip(*_ranks(u.shape[1]), strict=True):
        rest.partition(low - passed, axis=1)
        below, rest = rest[:, low - passed].copy(), rest[:, low - passed + 1 :]
        found.append(below + part * (rest.min(axis=1) - below))
        passed = low + 1
    return np.stack(found)


def sort(u):
    """NaN sorts to the end, so the observed samples of each series lie in front."""
    in_order = np.sort(u, axis=1)
    last, rows = np.count_nonzero(u == u, axis=1) - 1, np.arange(len(u))
    found = []
    for q in QUANTILES:
        low = np.floor(q * last).astype(int)
        below = in_order[rows, low]
        found.append(below + (q * last - low) * (in_order[rows, np.minimum(low + 1, last)] - below))
    return np.stack(found)


def np_quantile(u):
    return np.quantile(u, QUANTILES, axis=1)


def np_nanquantile(u):
    return np.nanquantile(u, QUANTILES, axis=1)


def pandas_form(series):
    import pandas as pd

    return pd.DataFrame(series.T), np.ascontiguousarray(series)


def pandas_all(part):
    frame, u = part
    moments = [frame.mean(), frame.std(ddof=0), _any_slope(u), frame.max()]
    return np.concatenate([np.stack(moments), frame.quantile(QUANTILES).to_numpy()])


def polars_form(series):
    import polars as pl

    named = {str(i): values for i, values in enumerate(series)}
    return pl.DataFrame(named, nan_to_null=True), np.ascontiguousarray(series)


def polars_all(part):
    import polars as pl

    frame, u = part
    each = pl.all()
    columns = [each.mean(), each.std(ddof=0), each.max(), *(each.quantile(q, "linear") for q in QUANTILES)]
    found = [frame.select(column).to_numpy()[0] for column in columns]
    return np.stack([*found[:2], _any_slope(u), *found[2:]])


def _any_slope(u):
    observed = ~np.isnan(u)
    return _slope(u) if observed.all() else _slope_missing(u, observed, np.where(observed, u - _mean(u)[:, None], 0))


def _mean(u):
    return np.nanmean(u, axis=1)


def _both(moments, quantiles):
    return lambda u: np.concatenate([moments(u), quantiles(u)])


PEERS = (
    Peer("NumPy, as first written", (), numpy_plain, False, False, at_a_time=WHOLE),
    Peer("NumPy, 16 series at a time", (), numpy_moments, False, False),
    Peer("numba", ("numba",), numba_moments, False, False, at_a_time=WHOLE),
    Peer("bottleneck", ("bottleneck",), bottleneck_moments, False, False),
    Peer("NumPy, 16 series at a time", (), numpy_moments_missing, False, True),
    Peer("numba", ("numba",), numba_moments_missing, False, True, at_a_time=WHOLE),
    Peer("bottleneck", ("bottleneck",), bottleneck_moments_missing, False, True),
    Peer("NumPy, np.partition as first written", (), _both(numpy_plain, all_ranks), True, False, at_a_time=WHOLE),
    Peer("NumPy, np.partition", (), _both(numpy_moments, partition), True, False),
    Peer("NumPy, np.quantile", (), _both(numpy_moments, np_quantile), True, False),
    Peer("numba, np.partition", ("numba",), _both(numba_moments, partition), True, False),
    Peer("pandas", ("pandas",), pandas_all, True, False, pandas_form, 200),
    Peer("polars", ("polars",), polars_all, True, False, polars_form, 200),
    Peer("NumPy, np.nanquantile", (), _both(numpy_moments_missing, np_nanquantile), True, True),
    Peer("NumPy, np.sort", (), _both(numpy_moments_missing, sort), True, True),
    Peer("numba, np.sort", ("numba",), _both(numba_moments_missing, sort), True, True),
    Peer("pandas", ("pandas",), pandas_all, True, True, pandas_form, 200),
    Peer("polars", ("polars",), polars_all, True, True, polars_form, 200),
)


def available(quantiles: bool, missing: bool) -> tuple[Peer, ...]:
    chosen = (peer for peer in PEERS if (peer.quantiles, peer.missing) == (quantiles, missing))
    return tuple(peer for peer in chosen if importable(peer.needs))
