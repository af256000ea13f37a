"""Rules replayed over usage in numba, without gaps and with a decision at every sample.

Both give (series, policies, figures), the figures in the order of `_peers_backtest.FIGURES`. `ordinary` is what a
competent user writes. `tuned` ranks usage once a series and reads all rolling quantiles from that (_numba_rolling.py).
A quota changes rarely, so a policy is a few stretches of equal quota: the next request is looked for in maxima of 32
samples, and a day of which the maximum is within the quota, or the minimum above it, is answered from its sum. Only
days in between are read, in vectors.
"""

import numpy as np
from numba import njit

from _numba_rolling import between, rolling_quantiles


@njit(error_model="numpy")
def ordinary(u, windows, quantiles, thresholds, factors, surge, length, lead, day):
    """u (series, samples); `day` has the number of each sample's day."""
    first = windows.max()
    out = np.zeros((len(u), len(windows) * len(quantiles) * len(thresholds) * len(factors), 13))
    for i in range(len(u)):
        policy = 0
        peak = peaks(u[i], surge, length)
        for window in windows:
            for quantile in quantiles:
                statistic = rolling_quantile(u[i], window, quantile)
                for threshold in thresholds:
                    for factor in factors:
                        bar = max(threshold, 1 / factor)
                        replay(u[i], peak, statistic, bar, factor, first, lead, day, out[i, policy])
                        policy += 1
    return out


@njit(error_model="numpy")
def peaks(x, surge, length):
    """The most that a failover which begins at a sample meets, NaN where its window does not end in time."""
    peak = np.full(len(x), np.nan)
    queue = np.empty(len(x), np.int64)  # samples that are larger than all after them, to the window's end
    head = tail = 0
    for t in range(len(x)):
        while tail > head and x[queue[tail - 1]] <= x[t]:
            tail -= 1
        queue[tail] = t
        tail += 1
        begin = t - length + 1
        if begin >= 0:
            if queue[head] < begin:
                head += 1
            peak[begin] = max(x[begin], surge * x[queue[head]])
    return peak


@njit(error_model="numpy")
def rolling_quantile(x, window, quantile):
    """Of the last `window` samples, which are kept in order."""
    found = np.empty(len(x))
    kept = np.empty(window + 1)
    n = 0
    for t in range(len(x)):
        if n == window:
            gone = np.searchsorted(kept[:n], x[t - window])
            kept[gone : n - 1] = kept[gone + 1 : n]
            n -= 1
        new = np.searchsorted(kept[:n], x[t])
        kept[new + 1 : n + 1] = kept[new:n]
        kept[new] = x[t]
        n += 1
        at = quantile * (n - 1)
        low = int(at)
        found[t] = between(kept[low], kept[min(low + 1, n - 1)], at - low)
    return found


@njit(error_model="numpy")
def replay(x, peak, statistic, bar, factor, first, lead, day, found):
    quota = factor * statistic[first - 1]
    wanted, effect, failed = 0.0, -1, -1
    for t in range(first, len(x)):
        if t == effect:
            quota, effect = wanted, -1
        found[0] += 1
        found[12] += quota
        if x[t] > quota:
            found[1] += 1
            found[2] += x[t] - quota
        else:
            found[3] += quota - x[t]
        if not np.isnan(peak[t]):
            found[4] += 1
            if peak[t] > quota:
                short = peak[t] - quota
                found[5] += 1
                found[6] += short
                found[8] = max(found[8], short)
                if day[t] != failed:
                    found[9] += 1
                    failed = day[t]
            else:
                found[7] += quota - peak[t]
        if effect < 0 and statistic[t] > bar * quota and factor * statistic[t] != quota:
            wanted, effect = factor * statistic[t], t + 1 + lead
            found[10] += 1
    found[11] = quota


@njit(error_model="numpy")
def tuned(u, order, windows, quantiles, thresholds, factors, surge, length, lead, day):
    """`order` sorts each series."""
    series, samples = u.shape
    first = windows.max()
    out = np.zeros((series, len(windows) * len(quantiles) * len(thresholds) * len(factors), 13))
    ends = np.append(np.flatnonzero(np.diff(day)) + 1, samples)
    number = np.searchsorted(ends, np.arange(samples), "right")
    statistics = np.empty((len(quantiles), samples - first + 1))
    blocks = np.empty((statistics.shape[1] + 31) // 32)
    rank, value = np.empty(samples, np.int64), np.empty(samples)
    for i in range(series):
        x, policy = u[i], 0
        for r in range(samples):
            rank[order[i, r]] = r
            value[r] = x[order[i, r]]
        peak = forward_peaks(x, surge, length)
        peak_ends = np.minimum(ends, len(peak))
        (tops, lows, sums), (peak_tops, peak_lows, peak_sums) = by_day(x, ends), by_day(peak, peak_ends)
        for window in windows:
            rolling_quantiles(rank, value, window, quantiles, first, statistics)
            for k in range(len(quantiles)):
                statistic = statistics[k]
                blocks[:] = forward_largest(statistic, 32)[::32]
                for threshold in thresholds:
                    for factor in factors:
                        bar, found = max(threshold, 1 / factor), out[i, policy]
                        policy += 1
                        found[0], found[4] = samples - first, max(0, len(peak) - first)
                        # A stretch of equal quota, and from which decision on the next request may come.
                        begin, quota, failed = first, factor * statistic[0], -1
                        while begin < samples:
                            at = next_request(statistic, blocks, begin - first + 1, bar, factor, quota)
                            asked = at < len(statistic)
                            end = min(samples, at + first + lead) if asked else samples
                            measure(x, ends, number, tops, lows, sums, begin, end, quota, found, 1, -1)
                            failed = measure(
                                peak, peak_ends, number, peak_tops, peak_lows, peak_sums, begin, end, quota, found, 5,
                                failed,
                            )  # fmt: skip
                            found[10] += asked
                            found[11] = quota
                            found[12] += quota * (end - begin)
                            begin, quota = end, factor * statistic[at] if asked else quota
    return out


@njit(error_model="numpy")
def next_request(statistic, tops, at, bar, factor, quota):
    """The first decision from `at` on that asks for another quota; their number if none does."""
    level, count = bar * quota, len(statistic)
    while at < count:
        if at % 32 == 0:  # whole blocks that stay below
            block = at // 32
            while block < len(tops) and tops[block] <= level:
                block += 1
            at = 32 * block
        for s in range(at, min(count, at // 32 * 32 + 32)):
            if statistic[s] > level and factor * statistic[s] != quota:
                return s
        at = at // 32 * 32 + 32
    return count


@njit(error_model="numpy")
def forward_peaks(x, surge, length):
    """What a failover that begins at a sample meets, as far as its window ends in time."""
    return np.maximum(x, surge * forward_largest(x, length))[: max(0, len(x) - length + 1)]


@njit(error_model="numpy")
def forward_largest(x, length):
    """Of so many samples from each on: the largest of 1, 2, 4, … of them."""
    most, width = x.copy(), 1
    while width < length:
        step = min(width, length - width)
        ahead, wider = most[step:], most.copy()
        for t in range(len(ahead)):
            wider[t] = ahead[t] if ahead[t] > most[t] else most[t]
        most, width = wider, width + step
    return most


@njit(error_model="numpy")
def largest(x, begin, end):
    most = x[begin]
    for t in range(begin, end):
        most = max(most, x[t])
    return most


@njit(error_model="numpy")
def by_day(x, ends):
    """The largest and the least sample of each day, and the sum of the samples before it."""
    tops, lows, sums, begin = np.zeros(len(ends)), np.zeros(len(ends)), np.zeros(len(ends) + 1), 0
    for day in range(len(ends)):
        sums[day + 1] = sums[day]
        if ends[day] > begin:
            these = x[begin : ends[day]]
            tops[day], lows[day] = these.max(), these.min()
            sums[day + 1] += these.sum()
        begin = ends[day]
    return tops, lows, sums


@njit(error_model="numpy", forceinline=True)
def measure(x, ends, number, tops, lows, sums, begin, end, quota, found, at, failed):
    """Adds how many of x[begin:end] are over the quota, by how much in all, and by how much the others are under it.

    From `at` = 5 on also by how much at most, and the days on which one is over; gives the last such day, in and out.
    """
    end = min(end, len(x))
    if begin >= end:
        return failed
    day, last = number[begin], number[end - 1] + 1
    if begin > 0 and number[begin - 1] == day:  # what is left of a day
        stop = min(end, ends[day])
        failed = part(x, begin, stop, quota, found, at, day, failed)
        begin, day = stop, day + 1
    if end < ends[last - 1]:
        last -= 1
    if day < last:
        failing, mixed = days_over(tops[day:last], lows[day:last], quota)
        if 8 * mixed > last - day:
            scan(x, begin, ends[last - 1], quota, found, at)
        else:
            runs(x, ends, tops, lows, sums, day, last, begin, quota, found, at)
        if at == 5 and failing:
            found[8] = max(found[8], largest(tops, day, last) - quota)
            found[9] += failing
        begin = ends[last - 1]
    if begin < end:  # what there is of another
        failed = part(x, begin, end, quota, found, at, last, failed)
    return failed


@njit(error_model="numpy")
def days_over(tops, lows, quota):
    """How many days are over the quota at some time, and how many of them not all the time."""
    failing = always = 0
    for day in range(len(tops)):
        failing += tops[day] > quota
        always += lows[day] > quota
    return failing, failing - always


@njit(error_model="numpy", forceinline=True)
def runs(x, ends, tops, lows, sums, day, last, begin, quota, found, at):
    """Days one after another that are within the quota, over it, or both."""
    while day < last:
        first = day
        if tops[day] <= quota:
            while day < last and tops[day] <= quota:
                day += 1
            found[at + 2] += quota * (ends[day - 1] - begin) - (sums[day] - sums[first])
        elif lows[day] > quota:
            while day < last and lows[day] > quota:
                day += 1
            found[at] += ends[day - 1] - begin
            found[at + 1] += sums[day] - sums[first] - quota * (ends[day - 1] - begin)
        else:
            while day < last and tops[day] > quota and lows[day] <= quota:
                day += 1
            scan(x, begin, ends[day - 1], quota, found, at)
        begin = ends[day - 1]


@njit(error_model="numpy", forceinline=True)
def part(x, begin, end, quota, found, at, day, failed):
    """Of one day, which other stretches may have a part in."""
    before = found[at]
    scan(x, begin, end, quota, found, at)
    if at == 5 and found[at] > before:
        found[8] = max(found[8], largest(x, begin, end) - quota)
        found[9] += day != failed
        return day
    return failed


@njit(fastmath=True, error_model="numpy")
def scan(x, begin, end, quota, found, at):
    these = x[begin:end]
    count, over, under = 0, 0.0, 0.0
    for t in range(len(these)):
        d = these[t] - quota
        count += d > 0
        over += d if d > 0 else 0.0
        under += d if d < 0 else 0.0
    found[at] += count
    found[at + 1] += over
    found[at + 2] -= under
