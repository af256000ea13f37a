"""Slow, obvious twins of `backtest`: one series and one rule at a time, sample by sample, as the definitions say it.

``usage`` is (T, N) with NaN where nothing was observed, ``u`` one column of it; a sample is known at its end. Sums are
rounded once (``math.fsum``), the clairvoyant's are exact fractions.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product

import numpy as np

NAN = math.nan


# What must be carried.


def demand_of(usage, column, events):
    """Per window length L what the worst event of that length brings, D_L.

    ``events``: (length, own weight, [(source column, weight), …]) of those that reach the column.
    """
    classes = {}
    for length, own_weight, flows in events:
        brought = own_weight * usage[:, column]
        for source, weight in flows:
            brought = brought + weight * usage[:, source]
        classes[length] = np.maximum(classes.get(length, brought), brought)  # NaN where any is
    return classes


def peak_of(usage, column, events):
    """What a failover that begins at t must carry: the worst of every class over its window, and the usage."""
    peak = np.array(usage[:, column], dtype=float)
    for length, brought in demand_of(usage, column, events).items():
        for t in range(len(peak)):
            inside = brought[t : t + length]
            observed = inside[~np.isnan(inside)]
            if t + length > len(peak) or 2 * len(observed) < length:
                peak[t] = NAN
            else:
                peak[t] = np.maximum(peak[t], observed.max())
    return peak


def demand(usage, column, events):
    """What would be carried at t itself."""
    worst = np.array(usage[:, column], dtype=float)
    for brought in demand_of(usage, column, events).values():
        worst = np.maximum(worst, brought)
    return worst


def rolling_quantile(x, window, p):
    """The p-quantile of what was observed in the window that ends with t; the first windows are shorter."""
    found = np.full(len(x), NAN)
    for t in range(len(x)):
        inside = x[max(0, t - window + 1) : t + 1]
        observed = inside[~np.isnan(inside)]
        if len(observed):
            found[t] = np.quantile(observed, p)
    return found


# A rule, replayed.


@dataclass(frozen=True)
class Rule:
    """Asks up above ``bar`` of the quota for ``factor`` times what it saw (or the quota), down below ``lower``."""

    bar: float
    factor: float
    of_quota: bool = False
    lower: float = 0.0  # 0: never asks down
    start: float = 1.0


@dataclass(frozen=True)
class Replay:
    """What came of a rule: the quota (NaN: none yet) and the requests, (decided at the end of t, wanted, direction)."""

    quota: np.ndarray
    requests: list[tuple[int, float, str]]
    reversals: int


def asked(rule, s, q):
    """(wanted, direction), or None where nothing is asked for."""
    if s > rule.bar * q:
        wanted, direction = (rule.factor * q if rule.of_quota else rule.factor * s), "up"
    elif rule.lower > 0 and not rule.of_quota and s < (rule.lower / rule.factor) * q:
        wanted, direction = rule.factor * s, "down"
    else:
        return None
    return None if wanted == q else (wanted, direction)


def replay(u, peak, statistic, rule, *, first, every, lead, quota0=NAN):
    """The quota a rule leads to; ``peak`` is what it is judged by, never what it sees."""
    quota = np.full(len(u), NAN)
    quota[first:] = quota0
    q, coming, effective = quota0, NAN, first - 1  # in effect; asked for, and from which sample on
    requests = []
    for t in range(first - 1, len(u), every):
        if t < effective:
            continue  # one request at a time
        if not math.isnan(coming):
            q, coming = coming, NAN
        s = statistic[t] if t >= 0 else NAN
        if math.isnan(s):
            continue
        if math.isnan(q):
            q = rule.start * s
            quota[t + 1 :] = q
        elif (request := asked(rule, s, q)) is not None:
            requests.append((t, *request))
            coming, effective = request[0], t + 1 + lead
            quota[effective:] = coming
    directions = [direction for _, _, direction in requests]
    reversals = sum(a != b for a, b in pairwise(directions))
    return Replay(quota, requests, reversals)


# What is measured.


def days(step_s, offset_s=0.0):
    """The day a sample lies in."""
    return lambda t: math.floor((offset_s + t * step_s) / 86400)


def ratio(a, b):
    return a / b if b else NAN


def measure(u, peak, replayed, *, first, cvar_frac, day_of):
    """How a rule did over the samples with a quota; ``day_of(t)`` is the day of sample t."""
    q = replayed.quota
    judged = [t for t in range(first, len(u)) if not math.isnan(q[t])]
    seen = [t for t in judged if not math.isnan(u[t])]
    moments = [t for t in judged if not math.isnan(peak[t])]
    failing = [t for t in moments if peak[t] > q[t]]
    short = sorted((max(0.0, peak[t] - q[t]) for t in moments), reverse=True)
    m = max(1, math.ceil(cvar_frac * len(moments))) if moments else 0
    counted = {
        "samples": len(seen),
        "own_short": sum(u[t] > q[t] for t in seen),
        "own_short_sum": math.fsum(max(0.0, u[t] - q[t]) for t in seen),
        "idle_sum": math.fsum(max(0.0, q[t] - u[t]) for t in seen),
        "moments": len(moments),
        "fails": len(failing),
        "short_sum": math.fsum(short),
        "spare_sum": math.fsum(max(0.0, q[t] - peak[t]) for t in moments),
        "max_short": max(short, default=0.0),
        "failed_days": len({day_of(t) for t in failing}),
        "tail_sum": math.fsum(short[:m]),
        "requests": len(replayed.requests),
        "reversals": replayed.reversals,
        "last_quota": q[-1],
        "quota_sum": math.fsum(q[t] for t in seen),
    }
    risk = ratio(len(failing), len(moments))
    return counted | {
        "coverage": 1 - ratio(counted["own_short"], len(seen)),
        "risk": risk,
        "failover_coverage": 1 - risk,
        "idle": ratio(counted["idle_sum"], len(seen)),
        "expected_shortfall": ratio(counted["short_sum"], len(moments)),
        "cvar": ratio(counted["tail_sum"], m),
    }


def pinball(measured, tau):
    """The quota as a forecast of the tau-quantile of the peak."""
    return ratio(tau * measured["short_sum"] + (1 - tau) * measured["spare_sum"], measured["moments"])


def by_block(u, peak, replayed, *, first, block):
    """Some of it per block of samples, counted from ``first``; the last may be shorter."""
    names = ("moments", "fails", "samples", "idle_sum", "short_sum", "own_short_sum")
    rows, q = [], replayed.quota
    for begin in range(first, len(u), block):
        judged = [t for t in range(begin, min(begin + block, len(u))) if not math.isnan(q[t])]
        seen = [t for t in judged if not math.isnan(u[t])]
        moments = [t for t in judged if not math.isnan(peak[t])]
        idle = math.fsum(max(0.0, q[t] - u[t]) for t in seen)
        short = math.fsum(max(0.0, peak[t] - q[t]) for t in moments)
        own_short = math.fsum(max(0.0, u[t] - q[t]) for t in seen)
        fails = sum(peak[t] > q[t] for t in moments)
        rows.append((len(moments), fails, len(seen), idle, short, own_short))
    found = {name: np.array([row[i] for row in rows]) for i, name in enumerate(names)}
    found["requests"] = np.zeros(len(rows), dtype=int)
    for t, _, _ in replayed.requests:
        found["requests"][max(0, t - first) // block] += 1
    return found


# The clairvoyant. Points are {fails: least idle}, in exact fractions.


def points_of(u, peak):
    """What every level is worth in one interval: 0, and each peak in it."""
    seen = [Fraction(float(x)) for x in u if not math.isnan(x)]
    peaks = [Fraction(float(x)) for x in peak if not math.isnan(x)]
    points = {}
    for level in {Fraction(0), *peaks}:
        fails = sum(x > level for x in peaks)
        idle = sum((max(Fraction(0), level - x) for x in seen), Fraction(0))
        points[fails] = min(idle, points.get(fails, idle))
    return points


def intervals_of(u, peak, first, every):
    return [points_of(u[t : t + every], peak[t : t + every]) for t in range(first, len(u), every)]


def slope(a, b):
    return (b[1] - a[1]) / (b[0] - a[0])


def lower_hull(points):
    """The vertices of the lower convex envelope, from the fewest fails to the most."""
    hull = []
    for point in sorted(points.items()):
        while len(hull) > 1 and slope(hull[-2], hull[-1]) >= slope(hull[-1], point):
            hull.pop()
        hull.append(point)
    return dict(hull)


def arrays(hull):
    return np.array(list(hull), dtype=int), np.array([float(idle) for idle in hull.values()])


def clairvoyant(u, peak, *, first, every):
    """The frontier (fails, idle), by rising fails: every envelope so far plus every level of the next interval."""
    frontier = {0: Fraction(0)}
    for points in intervals_of(u, peak, first, every):
        sums = {}
        for fails, idle in frontier.items():
            for more_fails, more_idle in points.items():
                at, total = fails + more_fails, idle + more_idle
                sums[at] = min(total, sums.get(at, total))
        frontier = lower_hull(sums)
    return arrays(frontier)


def clairvoyant_tiny(u, peak, *, first, every):
    """The same from every combination of levels: a vertex is an end, or strictly below every chord over it."""
    best = {}
    for levels in product(*(points.items() for points in intervals_of(u, peak, first, every))):
        at, total = sum(fails for fails, _ in levels), sum((idle for _, idle in levels), Fraction(0))
        best[at] = min(total, best.get(at, total))
    points = sorted(best.items())
    return arrays(
        dict(
            p
            for i, p in enumerate(points)
            if all(p[1] < a[1] + slope(a, b) * (p[0] - a[0]) for a in points[:i] for b in points[i + 1 :])
        )
    )


def idle_at(frontier, risk, moments):
    """The least idle_sum at a risk, interpolated on the frontier."""
    fails, idle = frontier
    return float(np.interp(risk * moments, fails, idle))
