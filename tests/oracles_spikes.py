"""The recommended detector, slow and obvious: written from `spikes_adaptive.hpp`, to be compared with.

Means of windows are sums of the window, ranks are counts of what was there before, and logarithms are the C library's.
"""

import math

import numpy as np

LEARNT_ONLY = 50  # samples
MOST_DECADES = 15.0


class Mean:
    """Of all samples for a start, then exponentially weighted."""

    def __init__(self, samples):
        self.samples, self.seen, self.mean = max(1.0, samples), 0, 0.0

    def add(self, x):
        self.seen += 1
        self.mean += max(1 / self.samples, 1 / self.seen) * (x - self.mean)


class Window:
    """The mean of the last k samples, of fewer at the start."""

    def __init__(self, samples):
        self.samples, self.all = samples, []

    def add(self, x):
        self.all.append(x)
        last = self.all[-self.samples :]
        return math.fsum(last) / len(last)


class Ranks:
    """How rare is a deviation of this size and sign among all before it? In decades."""

    def __init__(self):
        self.unit, self.counts, self.record, self.learnt = 0.0, ([0] * 400, [0] * 400), [-1, -1], 0

    def add(self, deviation, wanted):
        """A deviation of None is not there yet."""
        if deviation is None:
            return 0.0
        learnt, self.learnt = self.learnt, self.learnt + 1
        if deviation == 0:
            self.record = [max(0, record) for record in self.record]
            return 0.0
        size, side = abs(deviation), int(deviation < 0)
        self.unit = self.unit or size
        while size / self.unit * 1.1 >= 2.0**40:
            self._raise()
        bin_ = self._bin(size)
        decades = 0.0
        if wanted and learnt >= LEARNT_ONLY:
            as_large = sum(self.counts[side][bin_:])
            decades = -math.log10((as_large + 1) / (learnt + 1))
            decades += max(0, bin_ - self.record[side]) * 6 * math.log10(2) / 4
        self.counts[side][bin_] += 1
        self.record[side] = max(self.record[side], bin_)
        self.record[1 - side] = max(self.record[1 - side], 0)
        return min(decades, MOST_DECADES)

    def _raise(self):
        """All bins by 40 octaves; what is below them goes into the lowest."""
        self.unit *= 2.0**40
        self.counts = tuple([0, sum(side[1:162]), *side[162:], *[0] * 160] for side in self.counts)
        self.record = [max(bin_ - 160, 1) if bin_ > 0 else bin_ for bin_ in self.record]

    def _bin(self, size):
        """Four a doubling (1, 1.25, 1.5, 1.75), from 2⁻⁴⁰ to 2⁴⁰ times the first deviation, moved by 1.1."""
        mantissa, exponent = math.frexp(size / self.unit * 1.1)
        return min(max(4 * (exponent - 1) + math.floor(8 * mantissa) - 4 + 160, 0), 320) + 1


class Adaptive:
    """One series, sample by sample."""

    def __init__(self, step_s=300.0, threshold=1.45, direction="both"):
        per = 300 / min(max(step_s, 1.0), 86400.0)
        whole = lambda samples: max(1, math.floor(samples * per + 0.5))  # noqa: E731
        self.threshold, self.up_only = threshold, direction == "up"
        self.level, self.movement = Mean(6000 * per), Mean(6000 * per)
        self.recent, self.spread = Mean(1000 * per), Mean(1000 * per)
        self.hour, self.two_hours, self.day = Window(whole(12)), Window(whole(24)), Window(whole(288))
        self.moved, self.surprise = Window(whole(24)), Window(whole(3))
        self.lag = whole(24)
        self.profile, self.visits = [0.0] * whole(288), [0] * whole(288)
        self.ranks = [Ranks() for _ in range(5)]
        self.decay, self.quiet = 2 ** (-1 / (4000 * per)), max(3, 120 * per)
        self.seen, self.slot, self.since = [], -1, math.inf
        self.before, self.habituation, self.bar, self.top, self.missing = 0.0, 0.3, math.inf, 0.0, 0

    def add(self, x):
        """(flag, score, likelihood, ratio)."""
        self.slot += 1
        self.since += 1
        if math.isnan(x):
            self.missing += 1
            if self.missing == self.hour.samples:
                self.before, self.bar = 0.0, math.inf
            return False, math.nan, math.nan, math.nan
        self.missing = 0
        ratio = x / self.recent.mean if self.recent.mean else math.nan
        whole = x
        if len(self.seen) >= LEARNT_ONLY and self.spread.mean > 0:  # what is learnt: not beyond 50 standard deviations
            reach = 50 * math.sqrt(self.spread.mean)
            x = min(max(x, self.recent.mean - reach), self.recent.mean + reach)
        deviations, z = self._deviations(whole, x), self._effect(x)
        decades = [
            ranks.add(d, wanted=not (self.up_only and d is not None and d < 0))
            for ranks, d in zip(self.ranks, deviations, strict=True)
        ]
        self.seen.append(x)
        now = math.sqrt(sum(s * s for s in decades) / 5) * math.sqrt(math.log2(1 + z) / 2)
        smooth, self.before = 0.4 * now + 0.6 * self.before, now
        self.habituation *= self.decay
        score = smooth - self.habituation
        rarer_than_the_last = self.bar == math.inf and smooth >= self.top + 0.5
        knows_a_day = len(self.seen) > len(self.profile)
        if score >= self.threshold and (self.since > self.quiet or rarer_than_the_last):
            self.top = smooth
            self.bar = min(smooth, self.threshold + self.habituation)  # what it had to reach
            self.habituation += 0.5
            self.since = 0
        elif smooth < self.bar:
            self.bar = math.inf
        if smooth >= self.bar:
            self.top = max(self.top, smooth)
        return smooth >= self.bar and knows_a_day, score, 1 - 10**-smooth, ratio

    def _deviations(self, whole, x):
        """From the long mean, now and in the last hour; from the day before; of movement; from this time of day."""
        first, level = not self.seen, self.level.mean
        now, hour, lately = whole - level, self.hour.add(x) - level, self.two_hours.add(x)
        earlier = lately - self.day.add(self.seen[-self.lag]) if len(self.seen) >= self.lag else None
        self.level.add(x)

        movement = 0.0 if first else abs(x - self.seen[-1])
        moved, usual = self.moved.add(movement), self.movement.mean
        calm = 0.0
        if usual > 0:
            times = (moved + 0.001 * usual) / (1.001 * usual)
            calm = times - 1 if times >= 1 else 1 - 1 / times
        self.movement.add(movement)

        slot, unexpected = self.slot % len(self.profile), None
        self.visits[slot] += 1
        if self.visits[slot] == 1:
            self.profile[slot] = x
        else:
            residual = x - self.profile[slot]
            self.profile[slot] += max(0.3, 1 / self.visits[slot]) * residual
            unexpected = self.surprise.add(residual)

        noise = 2.0**-40 * max(abs(x), abs(self.level.mean))
        found = [0.0 if first else now, 0.0 if first else hour, earlier, calm, unexpected]
        return [d and (0.0 if abs(d) <= (2.0**-40 if j == 3 else noise) else d) for j, d in enumerate(found)]

    def _effect(self, x):
        """Standard deviations from the mean of the last days."""
        z = 0.0
        if self.recent.seen:
            off = x - self.recent.mean
            if self.spread.seen and (off > 0 or (off and not self.up_only)):
                z = min(abs(off) / math.sqrt(self.spread.mean), 1023.0) if self.spread.mean > 0 else 1023.0
            self.spread.add(off * off)
        self.recent.add(x)
        return z


def adaptive(usage, **options):
    """flags, scores, likelihood, ratios of one series, and its episodes (start, end)."""
    state = Adaptive(**options)
    flags, scores, likelihood, ratios = (np.array(a) for a in zip(*map(state.add, map(float, usage)), strict=True))
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(int), 0]))
    runs = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    return {"flags": flags, "scores": scores, "likelihood": likelihood, "ratios": ratios, "episodes": runs}
