"""Slow, obvious twins of the fast routines: written from the model, window by window, to be compared with.

Nothing here shares a method with the core: means and deviations are computed anew for every window, with two passes
or, where squares would leave double precision, in exact fractions.
"""

import math
import operator
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from statistics import median

import numpy as np

IMPACT = {"critical": 1.0, "high": 0.8, "medium": 0.6, "low": 0.4}


def rolling_sigma(usage, window=10, threshold=2.0, exclude_current=False, exact=False):
    """The classic spike rule on one series: flags, scores, ratios, episodes, count, p95_ratio, max_ratio."""
    usage = np.asarray(usage, dtype=float)
    flags = np.zeros(len(usage), dtype=bool)
    scores, ratios, digits = (np.full(len(usage), np.nan) for _ in range(3))
    judge = _judge_exactly if exact else _judge
    for t, u in enumerate(usage):
        end = t if exclude_current else t + 1
        if end < window or np.isnan(u):
            continue
        inside = usage[end - window : end]
        observed = inside[~np.isnan(inside)]
        if len(observed) >= math.ceil(window / 2):
            flags[t], scores[t], ratios[t] = judge(u, observed, threshold)
            with np.errstate(all="ignore"):
                digits[t] = np.abs(observed).max() / np.abs((u - observed.mean()) / scores[t])
    found = ratios[flags]
    return {
        "flags": flags,
        "scores": scores,
        "ratios": ratios,
        "digits_lost": digits,  # |u|/sd: how much of the samples' precision their deviations do not have
        "likelihood": np.array([0.5 * math.erfc(-s / math.sqrt(2)) for s in scores]),
        "episodes": [(a, b, usage[a:b].max(), ratios[a:b].max()) for a, b in _runs(flags)],
        "count": len(found),
        "p95_ratio": _p95(found) if len(found) else math.nan,
        "max_ratio": found.max() if len(found) else math.nan,
    }


def _judge(u, observed, threshold):
    mean = np.mean(observed)
    sd = np.std(observed, ddof=1) if len(observed) > 1 else math.nan
    return mean > 0 and u > mean + threshold * sd, _score(u - mean, sd), u / mean if mean else math.nan


def _judge_exactly(u, observed, threshold):
    u, values = Fraction(float(u)), [Fraction(float(v)) for v in observed]
    mean = sum(values) / len(values)
    ratio = _float(u / mean) if mean else math.nan
    if len(values) < 2:
        return False, math.nan, ratio
    above, variance = u - mean, sum((v - mean) ** 2 for v in values) / (len(values) - 1)
    flag = mean > 0 and above > 0 and above**2 > Fraction(threshold) ** 2 * variance
    if variance == 0:
        return flag, _score(above, 0.0), ratio
    with localcontext() as context:  # the square may lie beyond double where its root does not
        context.prec = 60
        square = above**2 / variance
        root = float((Decimal(square.numerator) / Decimal(square.denominator)).sqrt())
    return flag, math.copysign(root, above), ratio


def _float(exact):
    try:
        return float(exact)
    except OverflowError:  # beyond double: infinite, as the core says it
        return math.inf if exact > 0 else -math.inf


def _score(above, sd):
    if math.isnan(sd) or (sd == 0 and above == 0):
        return math.nan
    return above / sd if sd else math.copysign(math.inf, above)


def _p95(ratios):
    if np.isfinite(ratios).all():
        return np.quantile(ratios, 0.95)
    low, high = np.sort(ratios)[[math.floor(0.95 * (len(ratios) - 1)), math.ceil(0.95 * (len(ratios) - 1))]]
    return low if low == high else math.inf  # NumPy interpolates to NaN between two infinities


def _runs(flags):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def classic_headroom(
    usage, quota, step_s, *, scenarios=(), trend="sample", cost=0.0, cost_cap=math.inf, adjustable=True,
    warning=0.70, critical=0.85, age_s=0.0, stale_after_s=None, history_s=30 * 86400.0, detector=None,
):  # fmt: skip
    """The classic headroom rule for one quota.

    ``scenarios``: (target_multiplier, probability, impact) of those that target its Region.
    """
    usage = np.asarray(usage, dtype=float)
    age = age_s + step_s * np.arange(len(usage) - 1, -1, -1.0)
    observed = ~np.isnan(usage)
    out = dict.fromkeys(_FIELDS, math.nan) | {"status": "UNKNOWN", "unknown": "none", "limit": "none"}
    if not (observed & (age < history_s)).any():
        return out | {"unknown": "no_usage"}
    last = np.flatnonzero(observed)[-1]
    U = out["usage"] = usage[last]
    out["age_s"] = age[last]
    if age[last] > (max(3600.0, 12 * step_s) if stale_after_s is None else stale_after_s):
        return out | {"unknown": "stale"}

    recent = usage[age < history_s]
    out |= _terms(recent, U, scenarios, 168 * 3600 / step_s if trend == "hour" else 168, detector or {})
    needed = out["needed"] = max(out["base"], out["failover"], out["spike"], out["minimum"])
    peak = out["day_peak"] = max(U, np.max(usage[observed & (age < 86400)], initial=0))
    if math.isnan(quota):
        return out | {"unknown": "no_quota"}
    A = out["available"] = quota - U
    out["maximum"] = min(0.5 * quota, 3 * U)
    out["utilization"] = needed / A if A > 0 else math.inf
    out["day_utilization"] = needed / (quota - peak) if quota > peak else math.inf
    out["shortfall"] = max(0.0, needed - A)
    if out["shortfall"] > 0 or out["day_utilization"] >= critical:
        out["status"] = "CRITICAL"
    else:
        out["status"] = "WARNING" if out["day_utilization"] >= warning else "OK"
    return out | _reserved(out, U, quota, cost, cost_cap, adjustable)


_FIELDS = (
    "usage", "day_peak", "age_s", "base", "failover", "spike", "minimum", "maximum", "needed", "required", "available",
    "utilization", "day_utilization", "shortfall", "base_frac", "failover_frac", "spike_frac", "classic_utilization",
)  # fmt: skip


def _terms(recent, U, scenarios, per_week, detector):
    at = np.flatnonzero(~np.isnan(recent))
    h = recent[at]
    deviations = h - math.fsum(h) / len(h)
    steps = at - math.fsum(at) / len(at)
    sigma = math.sqrt(math.fsum(deviations**2) / len(h))
    slope = math.fsum(steps * deviations) / math.fsum(steps**2) if len(h) > 1 else 0.0
    base = 0.20 * U if U == 0 else max(2 * sigma, max(0, slope * per_week), 1.2 * (h.max() - U), 0.20 * U)
    failover = max([1.00 * U, *(U * (m - 1) * p * IMPACT.get(impact, 0.6) for m, p, impact in scenarios)])
    ratio = rolling_sigma(recent, **detector)["p95_ratio"]
    spike = 0.50 * U if math.isnan(ratio) else U * (ratio - 1)
    return {
        "base": base,
        "failover": failover,
        "spike": spike,
        "minimum": max(base, 10.0),
        "base_frac": base / U if U else 0.20,
        "failover_frac": failover / U if U else 1.00,
        "spike_frac": spike / U if U else 0.50,
    }


def _reserved(out, U, quota, cost, cost_cap, adjustable):
    needed, maximum, A = out["needed"], out["maximum"], out["available"]
    affordable = needed
    if needed > A and cost > 0 and cost * (U + needed - quota) > cost_cap:
        affordable = min(needed, cost_cap / cost)
    H = min(affordable, maximum)
    classic = (H - A) / H if H else 0.0
    limit = "maximum" if maximum < affordable else "cost_cap" if affordable < needed else "none"
    if not adjustable and max(0.0, A) < H:
        H, limit = max(0.0, A), "not_adjustable"
    return {"required": H, "limit": limit, "classic_utilization": classic}


def slow_grid(rows, step=None):
    """The obvious loop: (first instant, step, {region: values}) of rows (region, second, value)."""
    regions = list(dict.fromkeys(r for r, _, _ in rows))
    instants = {region: sorted({t for r, t, v in rows if r == region and v == v}) for region in regions}
    gaps = [b - a for times in instants.values() for a, b in pairwise(times)]
    step = step or (max(1, int(median(gaps))) if gaps else 300)
    everything = [t for times in instants.values() for t in times]
    first, last = (math.floor(edge / step) * step for edge in (min(everything), max(everything)))
    columns = {region: [math.nan] * ((last - first) // step + 1) for region in regions}
    for region, t, value in rows:
        if value != value:
            continue
        cell = (t - first) // step  # half-open: the end of a step belongs to the next one
        known = columns[region][cell]
        columns[region][cell] = value if known != known else max(known, value)
    return first, step, columns


def summarize(usage, quantiles=()):
    """Moments, extremes and quantiles of one series: two passes in whole numbers, as exact as fractions and faster."""
    usage = np.asarray(usage, dtype=float)
    at = np.flatnonzero(~np.isnan(usage)).tolist()
    n = len(at)
    out = dict.fromkeys(("mean", "sigma_population", "slope", "min", "max", "last"), math.nan)
    out |= {"count": n, "last_index": -1, "quantiles": [math.nan] * len(quantiles)}
    if not n:
        return out
    values = [Fraction(v) for v in usage[at].tolist()]
    unit = max(v.denominator for v in values)  # powers of two: a multiple of all the others
    whole = [int(v * unit) for v in values]
    deviations, steps = ([n * v - total for v in numbers] for numbers, total in ((whole, sum(whole)), (at, sum(at))))
    spread = sum(s * s for s in steps)
    ordered = sorted(values)
    return out | {
        "mean": _float(Fraction(sum(whole), n * unit)),
        "sigma_population": _root(Fraction(sum(d * d for d in deviations), n * (n * unit) ** 2)),
        "slope": _float(Fraction(sum(map(operator.mul, deviations, steps)), spread * unit)) if spread else 0.0,
        "min": float(ordered[0]),
        "max": float(ordered[-1]),
        "last": float(values[-1]),
        "last_index": at[-1],
        "quantiles": [_quantile(ordered, q) for q in quantiles],
    }


def _root(exact):
    with localcontext() as context:  # the square may lie beyond double where its root does not
        context.prec = 60
        return float((Decimal(exact.numerator) / Decimal(exact.denominator)).sqrt())


def _quantile(ordered, q):
    position = Fraction(q) * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return _float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))
