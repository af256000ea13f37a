"""Rules replayed over usage with other libraries, each as a good user of it would write it.

A rule looks at a quantile of the last samples and asks, at every sample, for `factor` times it when it is above `bar`
times the quota. Usage has no gaps. A failover lasts `length` samples and needs `surge` times the usage; it fits if the
quota that was there when it began covers it to its end. Every peer gets each series contiguous, and as many at a time
as serve it best.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from _compare import importable

# In the order of the peers' rows; without reversals and tails, which surgetank gives as well.
FIGURES = (
    "samples", "own_short", "own_short_sum", "idle_sum", "moments", "fails", "short_sum", "spare_sum", "max_short",
    "failed_days", "requests", "last_quota", "quota_sum",
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """Every window with every quantile, threshold and factor; the last ones vary fastest."""

    windows: tuple[int, ...] = (24, 72, 168, 336, 720)  # samples
    quantiles: tuple[float, ...] = (0.5, 0.9, 0.95, 0.99, 1.0)
    thresholds: tuple[float, ...] = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)
    factors: tuple[float, ...] = (1.25, 1.5, 2.0, 2.5, 3.0)
    surge: float = 2.0
    length: int = 24  # samples
    lead: int = 72  # samples
    step_s: int = 3600
    offset_s: int = 0

    @property
    def first(self) -> int:
        """The first sample judged: the longest window is then full."""
        return max(self.windows)

    @property
    def rules(self) -> np.ndarray:
        """Rows bar and factor, of the rules that share a statistic."""
        return np.array([(max(t, 1 / f), f) for t, f in product(self.thresholds, self.factors)]).T

    @property
    def policies(self) -> list[tuple[int, float, float, float]]:
        return list(product(self.windows, self.quantiles, self.thresholds, self.factors))

    def days(self, samples: int) -> np.ndarray:
        return (self.offset_s + np.arange(samples) * self.step_s) // 86400


@dataclass(frozen=True)
class Peer:
    name: str
    needs: tuple[str, ...]  # packages
    run: Callable[[Any, Work], np.ndarray]  # (series, policies, figures) of (series, samples)
    at_a_time: int = 10**9  # series

    def prepare(self, usage: np.ndarray) -> list[np.ndarray]:
        """The samples (T, N), each series contiguous, some at a time."""
        series = usage.T
        return [np.ascontiguousarray(series[i : i + self.at_a_time]) for i in range(0, len(series), self.at_a_time)]

    def answer(self, prepared: list[np.ndarray], work: Work) -> dict[str, np.ndarray]:
        """Every figure (policies, N)."""
        found = np.concatenate([self.run(part, work) for part in prepared])
        return {name: found[..., k].T for k, name in enumerate(FIGURES)}


def _numbers(work, samples):
    """A work as the functions in numba take it."""
    grid = (np.array(each) for each in (work.windows, work.quantiles, work.thresholds, work.factors))
    return *grid, work.surge, work.length, work.lead, work.days(samples)


def numba_ordinary(u, work):
    import _numba_backtest

    return _numba_backtest.ordinary(u, *_numbers(work, u.shape[1]))


def numba_tuned(u, work):
    """NumPy sorts faster than numba."""
    import _numba_backtest

    return _numba_backtest.tuned(u, np.argsort(u, axis=1), *_numbers(work, u.shape[1]))


def pandas_statistics(u, work):
    """Rolling quantiles (decisions, statistics, series), to within a bit; NumPy sorting every window takes as long."""
    import bottleneck as bn
    import pandas as pd

    found = []
    for window in work.windows:
        begin = work.first - window
        frame = pd.DataFrame(u.T[begin:])
        for quantile in work.quantiles:
            if quantile == 1:
                rolled = bn.move_max(u[:, begin:], window, axis=1).T
            else:
                rolled = frame.rolling(window, min_periods=1).quantile(quantile).to_numpy()
            found.append(rolled[window - 1 :])
    return np.stack(found, axis=1)


def numpy_pandas(u, work):
    """All policies and series side by side, sample by sample; who waits for a request has an infinite level."""
    import bottleneck as bn

    series, samples = u.shape
    usage, looked = np.ascontiguousarray(u.T), pandas_statistics(u, work)[:, :, None]
    surged = work.surge * bn.move_max(u[:, ::-1], work.length, axis=1)[:, ::-1]
    peak = np.ascontiguousarray(np.maximum(u, surged).T)
    moments, day = samples - work.length + 1, work.days(samples)
    shape = looked.shape[1], len(work.rules[0]), series
    bar, factor = (np.broadcast_to(each[:, None], shape).ravel() for each in work.rules)
    quota = np.multiply(work.rules[1][:, None], looked[0], order="C")
    level = np.multiply(bar.reshape(shape), quota, order="C")
    flat_quota, flat_level, open_requests = quota.ravel(), level.ravel(), deque()  # views
    own_short, fails, failed_days, requests = np.zeros((4, *shape), np.int32)
    own_sum, idle, short, spare, most = np.zeros((5, *shape))
    quota_sum = quota.ravel() * (samples - work.first)
    above, own_today, failed_today = np.zeros((3, *shape), np.uint8)  # a day has at most 255 samples
    apart, side = np.empty((2, *shape))
    for t in range(work.first, samples):
        if open_requests and open_requests[0][0] == t:
            _, where, wanted = open_requests.popleft()
            quota_sum[where] += (wanted - flat_quota[where]) * (samples - t)
            flat_quota[where], flat_level[where] = wanted, bar[where] * wanted
        for used, today, over, under in ((usage, own_today, own_sum, idle), (peak, failed_today, short, spare)):
            if used is peak and t >= moments:
                continue
            np.subtract(used[t], quota, out=apart)
            np.greater(apart, 0, out=above.view(bool))
            today += above
            np.maximum(apart, 0, out=side)
            over += side
            if used is peak:
                np.maximum(most, side, out=most)
            np.minimum(apart, 0, out=side)
            under -= side
        if t == samples - 1 or day[t + 1] != day[t]:
            own_short += own_today
            fails += failed_today
            failed_days += failed_today > 0
            own_today[:] = failed_today[:] = 0
        asked = looked[t - work.first + 1] > level
        if asked.any():
            where = np.flatnonzero(asked)
            statistic, of_series = np.divmod(where, shape[1] * series)
            wanted = factor[where] * looked[t - work.first + 1, statistic, 0, of_series % series]
            changes = wanted != flat_quota[where]
            where, wanted = where[changes], wanted[changes]
            requests.ravel()[where] += 1
            flat_level[where] = np.inf
            open_requests.append((t + 1 + work.lead, where, wanted))
    judged = np.full(shape, samples - work.first), np.full(shape, max(0, moments - work.first))
    found = [judged[0], own_short, own_sum, idle, judged[1], fails, short, spare, most, failed_days, requests, quota]
    return np.stack([*found, quota_sum.reshape(shape)], axis=-1).reshape(-1, series, len(FIGURES)).swapaxes(0, 1)


PEERS = (
    Peer("numba, tuned", ("numba",), numba_tuned),
    Peer("numba", ("numba",), numba_ordinary),
    Peer("NumPy, bottleneck, pandas", ("bottleneck", "pandas"), numpy_pandas, 20),
)


def available() -> tuple[Peer, ...]:
    return tuple(peer for peer in PEERS if importable(peer.needs))
