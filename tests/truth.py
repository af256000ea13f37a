"""Is a stated risk kept? Worlds whose true risk is known from a long simulation of the same process.

A world is usage of 30 days at 5 minutes: AR(1) noise times a daily season. Eight kinds of them, 25 seeded worlds each.
Used by the tests and by the notebook, so that the figure shows what is tested.
"""

from dataclasses import dataclass

import numpy as np

import surgetank

STEP_S = 300
DAY = 86400 // STEP_S
DAYS, EACH = 30, 25
RISKS = (0.1, 0.01, 0.001)
WINDOWS_S = (3600, 86400)
LONG_CHAINS, LONG_DAYS = 2000, 11  # for each kind: 20,000 days in which a 24 h window may begin


@dataclass(frozen=True)
class Kind:
    """100 · (1 + amplitude·cos) · noise; the noise is AR(1), Gaussian around 1 or the exponential of it."""

    phi: float  # correlation from one sample to the next
    amplitude: float
    sd: float
    lognormal: bool = False


KINDS = (
    Kind(0.80, 0.3, 0.10),
    Kind(0.95, 0.3, 0.10),
    Kind(0.99, 0.3, 0.10),
    Kind(0.95, 0.0, 0.15),
    Kind(0.90, 0.6, 0.20),
    Kind(0.90, 0.3, 0.20, lognormal=True),
    Kind(0.98, 0.2, 0.30, lognormal=True),
    Kind(0.80, 0.5, 0.40, lognormal=True),
)


def simulate(kind, samples, chains, rng):
    """Usage (samples, chains): independent worlds of that kind, from the stationary distribution."""
    noise = rng.standard_normal((samples, chains))
    level, step = noise[0].copy(), np.sqrt(1 - kind.phi**2)
    for t in range(1, samples):
        level *= kind.phi
        level += step * noise[t]
        noise[t] = level
    season = 1 + kind.amplitude * np.cos(2 * np.pi * np.arange(samples) / DAY)
    shape = np.exp(kind.sd * noise) if kind.lognormal else np.maximum(0.0, 1 + kind.sd * noise)
    return 100 * season[:, None] * shape


def rolling_maximum(usage, window):
    """The maximum over [t, t + window) along the first axis, by doubling."""
    peak, reach = usage, 1
    while reach < window:
        shift = min(reach, window - reach)
        peak = np.maximum(peak[:-shift], peak[shift:])
        reach += shift
    return peak


def study(growth=1.0, removed=0.0, seed=0):
    """One row per kind, window and risk: arrays over 25 worlds of need, interval, true risk and whether it was fitted.

    ``true_level`` is the level whose true risk is the nominal one; the interval is meant to cover it.
    """
    rows = []
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng([seed, number])
        usage = simulate(kind, DAYS * DAY, EACH, rng)
        usage[rng.random(usage.shape) < removed] = np.nan
        usage[-1] = np.where(np.isnan(usage[-1]), 100.0, usage[-1])
        long = simulate(kind, LONG_DAYS * DAY, LONG_CHAINS, rng)
        for window_s in WINDOWS_S:
            # Windows begin at every moment of ten whole days, so that every time of day counts alike.
            peaks = np.sort(rolling_maximum(long, window_s // STEP_S)[: (LONG_DAYS - 1) * DAY].ravel())
            for risk in RISKS:
                policy = surgetank.QuantilePolicy(risk=risk, normal_duration_s=window_s, growth=growth)
                h = surgetank.size_headroom(usage[:, :, None], quota=1e6, step_s=STEP_S, policy=policy)
                need = h.need[:, 0]
                rows.append(
                    {
                        "kind": kind,
                        "window_s": window_s,
                        "risk": risk,
                        "need": need,
                        "low": h.need_low[:, 0],
                        "high": h.need_high[:, 0],
                        "true_risk": 1 - np.searchsorted(peaks, need, side="right") / len(peaks),
                        "true_level": peaks[int(len(peaks) * (1 - risk))],
                        "trusted": risk * h.n_eff[:, 0] >= 10,
                        "extrapolated": h.extrapolated[:, 0],
                    }
                )
    return rows
