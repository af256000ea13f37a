"""The slow, obvious twin of what `LearnedRule` learns from: row by row, in the words of its definition."""

import math

import numpy as np

import oracles_forecast

MOST = math.log(16)


def highest(values):
    """What was observed of them; NaN where nothing was."""
    seen = [v for v in values if not math.isnan(v)]
    return max(seen) if seen else math.nan


def ratio(value, base):
    if math.isnan(value) or math.isnan(base) or (value == 0 and base == 0):
        return math.nan
    if base == 0:
        return MOST
    return math.log(min(max(value / base, 1 / 16), 16.0))


def mean(values):
    seen = [v for v in values if not math.isnan(v)]
    return sum(seen) / len(seen) if seen else math.nan


def forecasts(demand, peak, *, day, first, every, lead, length):
    """By decision, for those before `first` as well."""
    origin = first % every
    found = oracles_forecast.forecast(demand, peak, day=day, first=origin, every=every, lead=lead, length=length)
    return {origin + k * every: value for k, value in enumerate(found)}


def row(demand, peak, forecast, t, *, day, every, lead, length):
    """(base, features, log of the highest peak that came to the base) of one quota's decision at the end of t."""
    horizon = every * math.ceil((lead + 1) / every)
    end = lead + horizon + length - 1

    def top(last, window):
        """The highest demand of the window that ends with a sample."""
        return highest(demand[max(0, last - window + 1) : last + 1]) if last >= 0 else math.nan

    tops = [top(t - k * day, day) for k in range(28)]
    base = highest([forecast, *tops[:14]])
    days = [ratio(value, base) for value in tops]
    first_week = math.ceil(end / (7 * day))
    weeks = [ratio(top(t + end - w * 7 * day, horizon + length - 1), base) for w in range(first_week, first_week + 4)]
    average = mean(days)
    features = [
        ratio(forecast, base),
        days[0],
        days[1],
        highest(days[:3]),
        highest(days[:7]),
        highest(days[:14]),
        highest(days),
        mean(days[:7]),
        average,
        math.sqrt(mean([(x - average) ** 2 for x in days])),
        weeks[0],
        weeks[1],
        highest(weeks),
        mean(weeks),
    ]
    features = [0.0 if math.isnan(x) else x for x in features]
    served = peak[t + 1 + lead : t + lead + horizon + 1]
    known = sum(not math.isnan(p) for p in served)
    came = highest(served) if t + lead + horizon < len(peak) and 2 * known >= horizon else math.nan
    return base, features, ratio(came, base) if highest(tops) > 0 else math.nan


def levels(demand, peak, fit, *, day, first, every, lead, length, refit):
    """(D, N) by decision and quota, demand and peak (T, N); `fit(features, ratios)` gives what is then asked."""
    reach = {"day": day, "every": every, "lead": lead, "length": length}
    horizon = every * math.ceil((lead + 1) / every)
    width = demand.shape[1]
    known = [forecasts(demand[:, i], peak[:, i], first=first, **reach) for i in range(width)]
    apart = every * max(1, round(day / every))
    found, ask, fitted, then = [], None, 0, 0
    for t in range(first, len(demand), every):
        past = []
        for s in range(first % apart, t + 1, apart):
            if s + lead + horizon + length - 1 <= t:
                rows = [row(demand[: t + 1, i], peak[: t + 1, i], known[i][s], s, **reach) for i in range(width)]
                past += [(features, r) for _, features, r in rows if not math.isnan(r)]
        grown = len(past) >= 1.25 * fitted
        if len(past) >= 60 and (not fitted or grown or (t - then >= refit and len(past) > fitted)):
            ask, fitted, then = fit(np.array([f for f, _ in past]), np.array([r for _, r in past])), len(past), t
        now = [row(demand[: t + 1, i], peak[: t + 1, i], known[i][t], t, **reach) for i in range(width)]
        shift = np.zeros(width) if ask is None else ask(np.array([features for _, features, _ in now]))
        found.append([base * math.exp(min(max(x, -MOST), MOST)) for (base, *_), x in zip(now, shift, strict=True)])
    return np.array(found)
