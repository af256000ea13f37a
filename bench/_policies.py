"""Families of policies at the same held-out risk: how much idle headroom each needs there.

A family is one policy and a scale k. Every k is replayed once, from the warm-up to the end; the first half of the time
tunes (window and quantile, where there are any), the second judges. Idle headroom is the mean over series of idle/mean
usage; at a risk it is interpolated over k, between the largest k that fails more often and the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import surgetank
from surgetank.backtest.clairvoyant import all_edges, begins_of

SHARED = Path(__file__).parents[2] / "shared" / "data"
DAY_S = 86400.0
TRIED = np.geomspace(0.15, 8, 335)  # values of k to tune with, a ratio of 1.012 …
JUDGED = np.geomspace(0.15, 8, 1001)  # … and to judge with, 1.004
RISKS = (0.01, 0.003)
QUANTILES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.998)
LEARNT = (0.8, 0.9, 0.95, 0.98)  # of the highest of many moments: they cover more of the moments themselves
REPLICATES = 2000
MOST_BLOCKS = 60  # that are drawn; as `backtest` does
FAR = 0.05  # the clairvoyant's frontier is followed up to this risk


@dataclass(frozen=True)
class Data:
    """Usage whose first days warm up, up to `middle_d` tune, and the rest judge; the windows (days) that are tried."""

    name: str
    usage: np.ndarray
    step_s: float
    warm_d: int
    middle_d: int
    windows_d: tuple[int, ...]
    regions: tuple[str, ...] | None = None

    @property
    def day(self) -> int:
        """Samples."""
        return round(DAY_S / self.step_s)

    def later(self, hours):
        """The same without the first hours: what was decided at the end of a day is decided so much later."""
        return replace(self, usage=self.usage[round(hours * 3600 / self.step_s) :])

    def scenarios(self, window_s):
        """In place the load doubles; of several Regions each fails onto the others in equal shares."""
        if self.regions is None:
            return [surgetank.Scenario("surge", "0", {"0": 1.0}, multiplier=2.0, duration_s=window_s)]
        share = 1 / (len(self.regions) - 1)
        return [
            surgetank.Scenario(f"{r} fails", r, {o: share for o in self.regions if o != r}, duration_s=window_s)
            for r in self.regions
        ]

    def run(self, policies, window_s, lead_s, warm_d=None):
        return surgetank.backtest(
            self.usage, policies=policies, step_s=self.step_s, scenarios=self.scenarios(window_s), lead_time_s=lead_s,
            warmup_s=(self.warm_d if warm_d is None else warm_d) * DAY_S, regions=self.regions,
        )  # fmt: skip


def wikipedia():
    parts = [np.genfromtxt(SHARED / "workloads" / f"wikipedia_{y}_1h.csv", delimiter=",", skip_header=1)[:, 1]
             for y in (2018, 2019, 2020, 2021)]  # fmt: skip
    usage = np.concatenate(parts)
    return Data("Wikipedia", usage, 3600.0, 42, len(usage) // 24 // 2, (1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 30))


def fleet():
    """In thousandths, so that the classic rule's minimum of 10 units does not decide."""
    path = SHARED / "fleet" / "fleet_5min.csv"
    history = surgetank.History.read(path, series="{region}.{service_code}")
    services = dict.fromkeys(key.service_code for key in history.keys)
    usage = [history.usage[:, [key.service_code == s for key in history.keys]] for s in services]
    usage = 1000 * np.stack(usage, axis=1)
    return Data("fleet", usage, history.step_s, 4, 15, (1, 2, 3, 4, 5, 7, 10, 14), tuple(history.regions))


def peak(k, lower, window_d, of="usage"):
    return surgetank.PeakRule(factor=k, window_s=window_d * DAY_S, lower=lower, of=of)


def percentile(k, lower, window_d, quantile):
    return surgetank.PercentileRule(factor=k, window_s=window_d * DAY_S, quantile=quantile, lower=lower)


def forecast(k, lower):
    return surgetank.ForecastRule(factor=k, lower=lower)


def learned(k, lower, quantile):
    return surgetank.LearnedRule(factor=k, lower=lower, quantile=quantile)


def classic(k, lower):
    return surgetank.SizedRule(policy=surgetank.ClassicPolicy(), headroom_factor=k, lower=lower)


CLASSIC, PEAK, DEMAND, PERCENTILE, FORECAST, LEARNED = (
    "ClassicPolicy×k", "peak×k", "peak of demand×k", "percentile×k", "ForecastRule×k", "LearnedRule×k",
)  # fmt: skip


def families(data: Data) -> dict[str, tuple[Callable[..., Any], list[tuple[Any, ...]]]]:
    """What makes a policy of k and lower, and the options it is tuned over."""
    windows = [(w,) for w in data.windows_d]
    found = {CLASSIC: (classic, [()]), PEAK: (peak, windows)}
    if data.regions is not None:  # else the same as the peak of usage
        found[DEMAND] = peak, [(*w, "demand") for w in windows]
    found[PERCENTILE] = percentile, [(*w, q) for w in windows for q in QUANTILES]
    return {**found, FORECAST: (forecast, [()]), LEARNED: (learned, [(q,) for q in LEARNT])}


@dataclass(frozen=True)
class Curve:
    """Failures and idle headroom by k and block of time."""

    fails: np.ndarray  # (K, B)
    idle: np.ndarray  # (K, B): mean over series of Σ idle/mean usage
    moments: np.ndarray  # (B,)
    samples: np.ndarray  # (B,) of each series

    @classmethod
    def of(cls, figures, mean, keep):
        """From figures (K, N, B), of the blocks that are kept."""
        seen, moments = (figures[name][0][:, keep] for name in ("samples", "moments"))
        assert (seen == seen[0]).all()  # no gaps: each series weighs alike in each block
        idle = (figures["idle_sum"] / mean[:, None]).mean(axis=1)
        return cls(figures["fails"].sum(axis=1)[:, keep], idle[:, keep], moments.sum(axis=0), seen[0])

    def idle_at(self, risk, times=None):
        """(R,) with the blocks drawn `times` (R, B); NaN where no k that is replayed fails just so often."""
        times = np.ones((1, len(self.samples))) if times is None else times
        risks = self.fails @ times.T / (self.moments @ times.T)
        idle = self.idle @ times.T / (self.samples @ times.T)
        more = risks > risk
        last = len(risks) - 1 - np.argmax(more[::-1], axis=0)
        known, at = more.any(axis=0) & (last < len(risks) - 1), np.arange(len(times))
        low = np.where(known, last, 0)
        part = (risks[low, at] - risk) / np.where(known, risks[low, at] - risks[low + 1, at], 1)
        return np.where(known, idle[low, at] + part * (idle[low + 1, at] - idle[low, at]), np.nan)


@dataclass(frozen=True)
class Case:
    """Data, how long a failover lasts, and the lead time."""

    data: Data
    window_s: float
    lead_s: float
    tuned: dict[Any, tuple[Any, ...]] = field(default_factory=dict)  # options by family, lower and risk

    @property
    def judged(self) -> slice:
        return slice(self.data.middle_d - self.data.warm_d, None)  # days since the warm-up

    @cached_property
    def mean(self):
        """By series, of each half."""
        usage, cut = self.data.usage.reshape(len(self.data.usage), -1), self.data.middle_d * self.data.day
        return usage[self.data.warm_d * self.data.day : cut].mean(axis=0), usage[cut:].mean(axis=0)

    def replay(self, make, options, lowers, scales, days):
        """Figures (K, N, B) by `lower`, in blocks of so many days."""
        policies = [make(float(k), lower, *options) for lower in lowers for k in scales]
        run = self.data.run(policies, self.window_s, self.lead_s)
        found = run.replayed.figures(block=days * self.data.day)
        count = len(scales)
        return {
            lower: {n: v[i * count : (i + 1) * count] for n, v in found.items()} for i, lower in enumerate(lowers)
        }  # fmt: skip

    def curves(self, lowers, names):
        """By family, lower and risk: the held-out curve, in days, of the options that are best on the first half."""
        found, known = {}, families(self.data)
        for name, (make, options) in ((name, known[name]) for name in names if name in known):
            first, by_risk = {}, {}
            if len(options) > 1:
                for o in options:
                    for lower, figures in self.replay(make, o, lowers, TRIED, self.judged.start).items():
                        curve = Curve.of(figures, self.mean[0], slice(0, 1))
                        first |= {(lower, r, o): np.nan_to_num(curve.idle_at(r)[0], nan=np.inf) for r in RISKS}
            for lower in lowers:
                for r in RISKS:
                    best = min(options, key=lambda o: first.get((lower, r, o), 0))
                    self.tuned[name, lower, r] = best
                    if (best, lower) not in by_risk:
                        replayed = self.replay(make, best, (lower,), JUDGED, 1)[lower]
                        by_risk[best, lower] = Curve.of(replayed, self.mean[1], self.judged)
                    found[name, lower, r] = by_risk[best, lower]
        return found

    @cached_property
    def clairvoyant(self):
        return Future.of(self)

    def draws(self, days):
        """(R, days) how often each day of the held-out half is drawn: whole blocks, the same for all."""
        length = max(1, int(np.ceil(days / MOST_BLOCKS)), int(np.ceil(self.window_s / DAY_S)))
        block = np.arange(days) // length
        count = block[-1] + 1
        times = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=REPLICATES)
        return times[:, block].astype(float)


@dataclass(frozen=True)
class Future:
    """The clairvoyant of the held-out half, day by day: which failures save most idle headroom."""

    top: np.ndarray  # (B,) idle without failures
    fails: np.ndarray  # (E,) edges of the frontier, steepest first …
    saved: np.ndarray
    day: np.ndarray  # … and the day of each
    moments: np.ndarray  # (B,)
    samples: np.ndarray  # (B,) of each series

    @classmethod
    def of(cls, case):
        data, day = case.data, case.data.day
        run = data.run([surgetank.PeakRule()], case.window_s, case.lead_s, data.middle_d)
        setting, edges = run.setting, all_edges(run.setting)
        usage, known = setting.usage[setting.first :], ~np.isnan(setting.carried()["peak"][setting.first :])
        starts, begins = np.arange(0, len(usage), day), begins_of(setting)
        weight = 1 / (case.mean[1] * len(edges))
        levels = np.stack([e.start_level for e in edges], axis=1)
        levels = np.repeat(levels, np.diff([*begins, len(usage)]), axis=0)
        top = np.add.reduceat(np.maximum(levels - usage, 0) @ weight, starts)
        fails = np.concatenate([e.fails for e in edges])
        saved = np.concatenate([w * e.saved for w, e in zip(weight, edges, strict=True)])
        order = np.argsort(-saved / fails, kind="stable")
        order = order[np.cumsum(fails[order]) <= FAR * known.sum()]
        days = begins[np.concatenate([e.interval for e in edges])[order]] // day
        counts = np.add.reduceat(known.sum(axis=1), starts), np.diff([*starts, len(usage)])
        found = cls(top, fails[order], saved[order], days, *counts)
        for risk in RISKS:
            np.testing.assert_allclose(found.idle_at(risk), run.clairvoyant.idle_at(risk), rtol=1e-9)
        return found

    def idle_at(self, risk, times=None):
        """(R,), with the days drawn `times`; its choice is made anew for each draw."""
        times = np.ones((1, len(self.top))) if times is None else times
        moments, samples, top = (times @ each for each in (self.moments, self.samples, self.top))
        found = np.empty(len(times))
        for i, drawn in enumerate(times[:, self.day]):
            fails, saved = (np.concatenate([[0], np.cumsum(drawn * each)]) for each in (self.fails, self.saved))
            found[i] = top[i] - np.interp(risk * moments[i], fails, saved, right=np.nan)
        return found / samples
