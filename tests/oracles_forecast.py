"""The slow, obvious twin of the seasonal forecast: day by day, in the words of its definition (ForecastRule)."""

import math

import numpy as np

WEEK, YEAR, AROUND, BINS, MOST = 7, 364, 3, 512, math.log(16.0)
DEFAULTS = {
    "quantile": 0.98, "level_quantile": 0.9, "up_d": 1.0, "down_d": 5.0, "clip": 3.0, "seasons": 26.0,
    "half_life_d": 180.0, "annual": 0.5,
}  # fmt: skip


def forecast(demand, peak, *, day, first, every, lead, length, **options):
    """The statistic at each decision t = first, first + every, …; ``day``, ``lead`` and ``length`` in samples."""
    o = {**DEFAULTS, **options}
    horizon = every * math.ceil((lead + 1) / every)  # between two effects, when a request is made at every chance
    origin = (first + 1) % day
    found = []
    for t in range(first, len(demand), every):
        whole_days = (t + 1 - origin) // day
        state = _states(demand, peak, whole_days, day, origin, length, o)
        if state is None:
            seen = demand[: t + 1][~np.isnan(demand[: t + 1])]
            found.append(seen.max() if len(seen) else math.nan)
            continue
        levels, season, ratios = state
        level = levels[-1]
        b = whole_days - 1
        if o["annual"] > 0 and b >= YEAR + AROUND:
            ahead = math.floor((lead + horizon / 2) / day) + 1
            then = _mean(levels[b - YEAR + ahead - AROUND : min(b, b - YEAR + ahead + AROUND) + 1])
            now = _mean(levels[b - YEAR - AROUND : b - YEAR + AROUND + 1])
            if not math.isnan(then - now):
                level += o["annual"] * (then - now)
        days = range((t + 1 + lead - origin) // day, (t + lead + horizon + length - 1 - origin) // day + 1)
        found.append(math.exp(level + max(season[z % WEEK] for z in days)) * _quantile(ratios, o["quantile"]))
    return np.array(found)


def _mean(levels):
    seen = [x for x in levels if not math.isnan(x)]
    return sum(seen) / len(seen) if seen else math.nan


def _states(demand, peak, whole_days, day, origin, length, o):
    """Level of each day so far, the season, and the weighted ratios; None where no day was half observed."""
    level, usual, count, typical = math.nan, 0.0, 0, 0.0
    levels, bases, ratios = [], [], []  # ratios: (day on which it became known, bin)
    tops = [math.nan] * WEEK
    seasons = _Season(o["seasons"])
    for b in range(whole_days):
        samples = demand[origin + b * day : origin + (b + 1) * day]
        seen = samples[~np.isnan(samples)]
        before, known = (levels[-1] if levels else math.nan), seasons.value[b % WEEK]
        top = math.nan
        if 2 * len(seen) >= day:
            count += 1
            typical += (seen.max() - typical) / min(count, 90)
            floor = max(0.05 * typical, math.ulp(0.0))
            top = math.log(max(seen.max(), floor))
            x = math.log(max(float(np.quantile(seen, o["level_quantile"])), floor)) - known
            if math.isnan(level):
                level = x
            else:
                off = x - level
                if count > 7:
                    off = min(off, o["clip"] * usual)
                size = abs(max(off, -o["clip"] * usual)) if count > 7 else abs(off)
                usual += max(1 - 0.5 ** (1 / 14), 1 / (count - 1)) * (size - usual)
                half_life = o["up_d"] if off > 0 else o["down_d"]
                level += max(1 - 0.5 ** (1 / half_life), 1 / count) * off
        bases.append((level if math.isnan(before) else before) + known)
        levels.append(level)
        tops[b % WEEK] = top
        if b >= WEEK - 1:
            seasons.learn((b - WEEK // 2) % WEEK, tops)
        seasons.shrink()
        ratios += [(b, r) for r in _known_ratios(peak, bases, b, day, origin, length)]
    if math.isnan(level):
        return None
    weights = [0.0] * BINS
    for b, r in ratios:
        place = min(max((r + MOST) / (2 * MOST / BINS), 0.0), BINS - 1.0)
        weights[int(place)] += 2.0 ** ((b + 1) / o["half_life_d"])
    return levels, seasons.value, weights


def _known_ratios(peak, bases, b, day, origin, length):
    """Of the moments whose failover is over at the end of day b, and was not at the end of the day before."""
    end = origin + (b + 1) * day - length + 1
    for t in range(max(origin, end - day if b > 0 else origin), end):
        base = bases[(t - origin) // day]
        if peak[t] > 0 and not math.isnan(base):
            yield math.log(peak[t]) - base


class _Season:
    def __init__(self, memory):
        self.memory, self.noise, self.total = memory, 0.0, 0
        self.count, self.mean, self.value = [0] * WEEK, [0.0] * WEEK, [0.0] * WEEK

    def learn(self, slot, tops):
        seen = [x for x in tops if not math.isnan(x)]
        if math.isnan(tops[slot]) or 2 * len(seen) <= WEEK:
            return
        off = tops[slot] - sum(seen) / len(seen) - self.mean[slot]
        self.count[slot] += 1
        self.total += 1
        if self.count[slot] > 1:
            self.noise += max(0.02, 1 / self.total) * (off * off - self.noise)
        self.mean[slot] += off / min(self.count[slot], self.memory)

    def shrink(self):
        if min(self.count) < 2:
            return
        middle = sum(self.mean) / WEEK
        between = sum((m - middle) ** 2 for m in self.mean) / (WEEK - 1)
        noise = self.noise / min(min(self.count), 2 * self.memory - 1)
        share = max(0.0, 1 - noise / between) if between > 0 else 0.0
        self.value = [share * (m - middle) for m in self.mean]


def _quantile(weights, q):
    total = sum(weights)
    if total <= 0:
        return 1.0
    last = max(j for j in range(BINS) if weights[j] > 0)
    before, j = 0.0, 0
    while j < last and before + weights[j] < q * total:
        before += weights[j]
        j += 1
    part = min(max((q * total - before) / weights[j], 0.0), 1.0) if weights[j] > 0 else 0.0
    return math.exp(-MOST + 2 * MOST / BINS * (j + part))
