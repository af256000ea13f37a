"""What the benches of `backtest` replay: usage, the call, and the same from the slow twin."""

import functools
import sys
from pathlib import Path

import numpy as np

import surgetank
from _peers_backtest import FIGURES, Work

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import oracles_backtest as twin

SAMPLES = 4320
EXACT = ("samples", "own_short", "moments", "fails", "failed_days", "requests")
ALL = Work()
# The windows reach back equally far however few policies there are.
WORKS = {
    1: Work((720,), (0.95,), (0.8,), (1.5,)),
    8: Work((720,), (0.95,), factors=(1.5,)),
    40: Work((720,), (0.95,)),
    200: Work((720,)),
    1000: ALL,
}
SMALL = Work((7, 24, 60), (0.5, 0.93, 1.0), (0.6, 0.8), (1.2, 1.5, 2.0), length=12, lead=20)


@functools.cache
def usage(samples, series, order="F"):
    """Usage (T, N) of hours: a day's rhythm, a random walk and noise; order "F" has each series contiguous."""
    rng = np.random.default_rng(23)
    hours = np.arange(samples)
    season = 1 + 0.4 * np.cos(2 * np.pi * hours / 24 + rng.uniform(0, 2 * np.pi, (series, 1)))
    walk = np.exp(np.cumsum(rng.normal(0, 0.01, (series, samples)), axis=1))
    return np.asarray((100 * season * walk * rng.gamma(30, 1 / 30, (series, samples))).T, order=order)


@functools.cache
def rules(work):
    return surgetank.grid(
        surgetank.PercentileRule, window_s=[w * work.step_s for w in work.windows], quantile=work.quantiles,
        threshold=work.thresholds, factor=work.factors,
    )  # fmt: skip


def ours(u, work, threads=1):
    """Every policy over every series, each of which is a quota of its own."""
    surge = surgetank.Scenario(
        "surge", "0", {"0": 1.0}, multiplier=work.surge, duration_s=work.length * work.step_s
    )  # fmt: skip
    return surgetank.backtest(
        u[:, :, None], policies=rules(work), step_s=work.step_s, scenarios=[surge], lead_time_s=work.lead * work.step_s,
        review_s=work.step_s, warmup_s=work.first * work.step_s, regions=["0"], threads=threads,
    )  # fmt: skip


def answer(run):
    """Every figure (policies, N), as the peers give it."""
    found = run.replayed.figures()
    return {name: found[name] for name in FIGURES}


def truth(u, work):
    """The same from the slow twin."""
    events, of_day = [(work.length, work.surge, [])], twin.days(work.step_s, work.offset_s)
    found = {name: np.zeros((len(work.policies), u.shape[1])) for name in FIGURES}
    for i, x in enumerate(u.T):
        peak = twin.peak_of(u, i, events)
        looked = {(w, q): twin.rolling_quantile(x, w, q) for w in work.windows for q in work.quantiles}
        for p, (window, quantile, threshold, factor) in enumerate(work.policies):
            rule = twin.Rule(bar=max(threshold, 1 / factor), factor=factor, start=factor)
            replayed = twin.replay(x, peak, looked[window, quantile], rule, first=work.first, every=1, lead=work.lead)
            measured = twin.measure(x, peak, replayed, first=work.first, cvar_frac=1.0, day_of=of_day)
            for name in FIGURES:
                found[name][p, i] = measured[name]
    return found


def assert_same(found, expected, who):
    """Counts are equal, sums to nine digits, or to twelve of the largest: what cancels leaves a rounding."""
    least = 1e-12 * max(expected[name].max() for name in ("quota_sum", "short_sum"))
    for name in FIGURES:
        digits = {"rtol": 0, "atol": 0} if name in EXACT else {"rtol": 1e-9, "atol": least}
        np.testing.assert_allclose(found[name], expected[name], err_msg=f"{who}: {name}", **digits)
