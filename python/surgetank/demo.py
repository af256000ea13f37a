"""A seeded sample world: three Regions, four services, thirty days at five minutes, and some things wrong in it."""

from __future__ import annotations

import numpy as np

from .history import History, ImportReport, Quota, QuotaKey
from .scenario import Scenario, each_region_fails

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
STEP_S, DAYS = 300, 30
SOURCE = "sample world"  # how its store is told from a user's
START = "2026-01-01T00:00:00Z"

# service, quota code, name, unit; usage level and quota in each Region.
SERVICES = (
    ("ec2", "L-1216C47A", "Running On-Demand Standard instances", "vCPU", (620, 410, 300), (3200, 2000, 1152)),
    ("lambda", "L-B99A9384", "Concurrent executions", "", (900, 260, 180), (4500, 2400, 1750)),
    ("rds", "L-7B6409FD", "DB instances", "", (22, 18, 9), (140, 190, 80)),
    ("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers", "", (14, 12, 0), (80, 80, 50)),
)
# The hour at which each Region's day peaks, UTC.
_PEAK_HOUR = (19.0, 22.0, 13.0)


def sample_world(seed: int = 7) -> History:
    """Make the demo's history, quotas and scenarios; the same for the same seed.

    Daily and weekly seasons, growth, surges and gaps; the load balancers of eu-west-1 have a quota and no usage.

    Examples
    --------
    >>> world = sample_world()
    >>> len(world.keys), len(world.quotas), world.usage.shape
    (11, 12, (8640, 11))
    """
    rng = np.random.default_rng(seed)
    day = np.arange(DAYS * 86400 // STEP_S) * STEP_S / 86400
    keys, columns, quotas = [], [], []
    for service, code, name, unit, levels, limits in SERVICES:
        for region, level, limit, peak in zip(REGIONS, levels, limits, _PEAK_HOUR, strict=True):
            key = QuotaKey("111122223333", region, service, code)
            quotas.append(Quota(key=key, value=float(limit), unit=unit, name=name, adjustable=True))
            if level:
                keys.append(key)
                columns.append(_usage(rng, day, level, peak))
    report = ImportReport(source=SOURCE, rows=sum(int(np.isfinite(c).sum()) for c in columns), series=len(keys))
    return History(
        keys=tuple(keys),
        start_s=int(np.datetime64(START[:-1], "s").astype(np.int64)),
        step_s=float(STEP_S),
        usage=np.asfortranarray(np.stack(columns, axis=1)),
        quotas={q.key: q for q in quotas},
        report=report,
        scenarios=(
            *each_region_fails(REGIONS),
            Scenario("launch day", "us-east-1", {"us-east-1": 1.0}, multiplier=1.5, target_multiplier=1.5,
                     duration_s=4 * 3600.0, probability=0.3, impact="high", kind="traffic_spike"),
        ),
    )  # fmt: skip


def _usage(rng: np.random.Generator, day: np.ndarray, level: float, peak_hour: float) -> np.ndarray:
    season = 0.25 * np.cos(2 * np.pi * (day - peak_hour / 24))
    weekend = np.where((np.floor(day).astype(int) + 3) % 7 >= 5, -0.15, 0.0)  # 1 January 2026 is a Thursday
    growth = 0.004 * day
    wander = np.convolve(rng.normal(0, 0.05, len(day) + 11), np.ones(12) / 12, mode="valid")
    usage = level * (1 + season + weekend + growth + wander)
    for _ in range(4):  # surges of half an hour to two hours
        start, length = rng.integers(0, len(day) - 24), rng.integers(6, 24)
        usage[start : start + length] *= rng.uniform(1.3, 1.8)
    for _ in range(3):  # gaps in what was collected
        start, length = rng.integers(0, len(day) - 96), rng.integers(3, 48)
        usage[start : start + length] = np.nan
    return np.asarray(np.round(usage))
