"""The slow, obvious twin of the tails: how high does a series reach within a window at a stated risk, does it grow?

Maxima are taken window by window and sorted, levels are found by bisection, growth from every pair of days.
"""

import bisect
import math
from itertools import combinations
from statistics import NormalDist, fmean, median

DAY_S = 86400.0
NAN, INF = math.nan, math.inf
Z_90 = NormalDist().inv_cdf(0.9)


def growth_of(demand, step_s, horizon_s, fixed=None):
    """Theil–Sen: the median of the slopes of all pairs of daily maxima, and Sen's limits by rank."""
    if fixed is not None:
        per_s = (fixed - 1) / horizon_s if horizon_s else 0.0
        return {"factor": fixed, "low": fixed, "per_s": per_s, "slope_per_day": 0.0, "days": 0}
    day = steps_of(DAY_S, step_s)
    whole = [demand[end - day : end] for end in range(len(demand), day - 1, -day)][:365]
    tops = [(-i, max(u for u in d if u == u)) for i, d in enumerate(whole) if 4 * sum(u == u for u in d) >= day]
    none = {"factor": 1.0, "low": 1.0, "per_s": 0.0, "slope_per_day": 0.0, "days": len(tops)}
    if len(tops) < 7:
        return none
    slopes = sorted((b - a) / (j - i) for (i, a), (j, b) in combinations(tops, 2))
    n, pairs, middle = len(tops), len(slopes), median(top for _, top in tops)
    spread = Z_90 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low, high = math.floor((pairs - spread) / 2) - 1, math.ceil((pairs + spread) / 2)  # ranks from 0
    if low < 0 or high >= pairs or middle <= 0:
        return none
    per_s = [slopes[at] / (day * step_s) for at in (low, high)]
    factors = [max(1.0, 1 + slope * horizon_s / middle) for slope in per_s]
    return none | {
        "factor": factors[1], "low": factors[0], "per_s": max(0.0, per_s[1] / middle), "slope_per_day": per_s[1] * DAY_S
    }  # fmt: skip


def tail_of(x, step_s, duration_s, risk, confidence=0.95, fitted=True):
    """The level that the maximum over a window exceeds with probability at most ``risk``, and all that led to it."""
    seen = [u for u in x if u == u]
    if not seen:
        return None
    length = steps_of(duration_s, step_s)
    maxima = _window_maxima(x, length, length)
    if 2 * len(maxima) < len(x) - length + 1:
        maxima = _window_maxima(x, length, math.ceil(length / 2))
    fit = _fit(x, step_s) if fitted else {}
    clusters, cluster_s = fit.get("clusters", 0), fit.get("cluster_s", NAN)
    spread_s = duration_s + (cluster_s if clusters else step_s)
    n_eff = _covered_s(x, step_s) / spread_s
    extrapolated = fitted and risk * n_eff < 10
    ordered = sorted((m for _, m in maxima), reverse=True)
    counted = ordered[math.floor(risk * len(ordered) * (1 + 1e-9))] if ordered else max(seen)
    level, low, high = counted, counted, counted
    if ordered and confidence and not (extrapolated and clusters):
        least_s = duration_s + (cluster_s if clusters else 0)
        low, high = _resampled(maxima, len(x) - length + 1, counted, least_s, step_s, risk, confidence)
    if extrapolated and not clusters:
        level, low, high = max(seen), counted, max(seen)
    p_fit, e_low, e_high = _predictive(fit, duration_s, confidence) if clusters else (None, None, None)
    if extrapolated and clusters:
        if p_fit(0.0)[0] > risk:
            level = max(counted, fit["threshold"] + _bisect(lambda e: p_fit(e)[0], risk, fit["scale"]))
            low, high = min(level, fit["threshold"] + e_low(risk)), max(level, fit["threshold"] + e_high(risk))
        elif confidence:
            least_s = duration_s + cluster_s
            low, high = _resampled(maxima, len(x) - length + 1, counted, least_s, step_s, risk, confidence)

    def risk_of(at):
        """The risk whose level is ``at``, with its interval."""
        p = sum(m > at for m in ordered) / len(ordered) if ordered else float(max(seen) > at)
        interval = _wilson(p, max(1.0, n_eff), confidence)
        trusted = min(1.0, 10 / n_eff) if fitted else 0.0
        if p >= trusted:
            return p, *interval
        if not clusters:
            found = p if at >= max(seen) else max(p, min(trusted, max(risk, 1 / n_eff)))
            return found, interval[0], max(found, interval[1])
        found, least, most = p_fit(max(0.0, at - fit["threshold"]))
        found = min(trusted, max(p, found))
        return (found, min(found, least), max(found, most)) if confidence else (found, *interval)

    return {
        "level": level, "low": low, "high": high, "counted": counted, "samples": len(seen), "windows": len(ordered),
        "n_eff": n_eff, "extrapolated": float(extrapolated), "risk_of": risk_of, "clusters": clusters,
        **{name: fit.get(name, NAN) for name in ("threshold", "shape", "scale", "cluster_s")},
    }  # fmt: skip


def steps_of(seconds, step_s):
    return max(1, math.floor(seconds / step_s + 0.5))


def _window_maxima(x, length, least):
    """(start, maximum) of every complete window with at least ``least`` samples observed."""
    found = []
    for start in range(len(x) - length + 1):
        inside = [u for u in x[start : start + length] if u == u]
        if len(inside) >= least:
            found.append((start, max(inside)))
    return found


def _covered_s(x, step_s):
    """Time, without the gaps that are longer than the run that parts two clusters."""
    gaps, gap = [], 0
    for u in [*x, 0.0]:
        if u == u:
            gaps.append(gap)
        gap = 0 if u == u else gap + 1
    return step_s * (len(x) - sum(g for g in gaps if g > steps_of(3600, step_s)))


def _fit(x, step_s):
    """Peaks over a threshold that 5 % of the hours reach (at least 40 of them, at most 10 %)."""
    hour = min(len(x), steps_of(3600, step_s))
    hours = [x[max(0, end - hour) : end] for end in range(len(x), 0, -hour)]
    tops = sorted((max(u for u in h if u == u) for h in hours if any(u == u for u in h)), reverse=True)
    over = int(max(1.0, min(0.10 * len(tops), max(0.05 * len(tops), 40))))
    if over >= len(tops):
        return {}
    threshold = tops[over]
    clusters = []
    for t, u in enumerate(x):
        if u > threshold:
            if not clusters or t - clusters[-1][-1] > steps_of(3600, step_s):
                clusters.append([])
            clusters[-1].append(t)
    if not clusters:
        return {"threshold": threshold}
    k = len(clusters)
    fit = {"threshold": threshold, "cluster_s": step_s * fmean(c[-1] - c[0] + 1 for c in clusters)}
    if k < 5:
        return fit
    excess = sorted(max(x[t] for t in c) - threshold for c in clusters)
    gap = excess[0] - (fmean(excess) - excess[0])  # peaks much alike, far above: the threshold is raised to them
    if gap > 0:
        fit["threshold"] = threshold + gap
        excess = [y - gap for y in excess]
    a0 = fmean(excess)
    if a0 <= 0:
        return fit
    a1 = fmean(y * (k - j) / (k - 1) for j, y in enumerate(excess, start=1))
    raw = 2 - a0 / (a0 - 2 * a1) if a0 - 2 * a1 > 1e-12 * a0 else -INF
    weight = 0.1**2 / (0.1**2 + 4 / (3 * k))  # of what was seen, against shapes that stray 0.1 from 0
    shape = min(0.5, max(-0.5, weight * raw))
    return fit | {
        "clusters": k, "shape": shape, "scale": a0 * (1 - shape), "mean": a0, "per_s": k / _covered_s(x, step_s),
        "shape_error": math.sqrt(weight * 4 / (3 * k)), "mean_error": math.sqrt(1 / (k * (1 - 2 * min(shape, 0.4)))),
    }  # fmt: skip


def _normals():
    plastic = _bisect(lambda x: 1 + x - x**4, 0.0, 1.0)
    u = [[(0.5 + (i + 1) * plastic ** -(k + 1)) % 1.0 for i in range(128)] for k in range(3)]
    z = [[NormalDist().inv_cdf(min(1 - 1e-4, max(1e-4, p))) for p in column] for column in u]
    return [[a - fmean(column) for a in column] for column in z]


def _bisect(falling, target, guess):
    """Where a falling function of x > 0 passes the target."""
    low, high = 0.0, guess
    while falling(high) > target:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > target else (low, middle)
    return high


NORMALS = _normals()


def _predictive(fit, duration_s, confidence):
    """Risk at an excess, averaged over redrawn parameters with its interval; and both ends of the excess at a risk."""
    window_s = duration_s + fit["cluster_s"]
    drawn = []
    for z_shape, z_mean, z_rate in zip(*NORMALS, strict=True):
        shape = min(0.5, max(-0.5, fit["shape"] + fit["shape_error"] * z_shape))
        scale = fit["mean"] * math.exp(fit["mean_error"] * z_mean) * (1 - shape)
        drawn.append((shape, scale, fit["per_s"] * math.exp(z_rate / math.sqrt(fit["clusters"]))))

    def risk(shape, scale, per_s, excess):
        if abs(shape) < 1e-6:
            share = math.exp(-excess / scale)
        else:
            share = max(0.0, 1 + shape * excess / scale) ** (-1 / shape) if 1 + shape * excess / scale > 0 else 0.0
        return -math.expm1(-per_s * share * window_s)

    def at(excess):
        risks = sorted(risk(*one, excess) for one in drawn)
        return fmean(risks), _between(risks, (1 - confidence) / 2), _between(risks, (1 + confidence) / 2)

    def end(q):
        def excess_at(target):
            each = [
                _bisect(lambda e, one=one: risk(*one, e), target, fit["scale"]) if risk(*one, 0.0) > target else 0.0
                for one in drawn
            ]
            return _between(sorted(each), q)

        return excess_at

    return at, end((1 - confidence) / 2), end((1 + confidence) / 2)


def _between(ordered, q):
    """Linear-interpolated quantile."""
    at = q * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def _wilson(p, n, confidence):
    z = NormalDist().inv_cdf((1 + confidence) / 2) if confidence else 0.0
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))


def _resampled(maxima, starts, level, least_s, step_s, risk, confidence):
    """Interval of a counted level: whole days of windows drawn again, 200 times."""
    day = steps_of(DAY_S * math.ceil(least_s / DAY_S), step_s)
    blocks = math.ceil(starts / day)
    if blocks < 2:
        return level, level
    ordered = sorted(((m, start // day) for start, m in maxima), reverse=True)
    inside = [sum(b == block for _, b in ordered) for block in range(blocks)]
    random = _splitmix64()
    levels = []
    for _ in range(200):
        times = [0] * blocks
        for _ in range(blocks):
            times[int(next(random) * blocks)] += 1
        allowed, exceeded = risk * sum(map(math.prod, zip(times, inside, strict=True))), 0
        for level_drawn, block in ordered:  # noqa: B007
            exceeded += times[block]
            if exceeded > allowed:
                break
        bisect.insort(levels, level_drawn)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    widen = math.sqrt(blocks / (blocks - 1)) * (1 + (z * z + 1) / (4 * (blocks - 1)))
    low, high = _between(levels, (1 - confidence) / 2), _between(levels, (1 + confidence) / 2)
    return level - widen * max(0.0, level - low), level + widen * max(0.0, high - level)


def _splitmix64():
    """Steele, Lea and Flood's generator, as numbers in [0, 1)."""
    state, most = 0x9E3779B97F4A7C15, 2**64 - 1
    while True:
        state = (state + 0x9E3779B97F4A7C15) & most
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & most
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & most
        yield ((z ^ (z >> 31)) >> 11) / 2**53
