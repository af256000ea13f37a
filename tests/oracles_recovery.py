"""Slow, obvious twins of `recovery`: every draw and trial in plain Python; and distributions on a grid, convolved."""

import math

import numpy as np

from surgetank import _core
from surgetank.recovery import Branch, Empirical, Fixed, Mixture, Step, Triangular, Uniform

MASK = 2**64 - 1
PURPOSES = ("duration", "failure", "wait", "choice", "factor", "moment", "lead", "denial", "lag", "copy")
LONGEST_S = 2.0**30
NEVER, SKIPPED = math.inf, None
F32, FAR = np.float32, 64


# Draws: Philox4x32-10 keyed by seed and name.


def mixed(x):
    """splitmix64."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def stream(seed, name, purpose, attempt=0):
    """Key, attempt and purpose of a named stream of words."""
    hashed = 0xCBF29CE484222325  # FNV-1a
    for byte in name.encode():
        hashed = (hashed ^ byte) * 0x100000001B3 & MASK
    key = mixed(mixed(seed) ^ hashed)
    return (key & 0xFFFFFFFF, key >> 32), attempt, 1 + PURPOSES.index(purpose)


def word(of, trial):
    """Trial 64·g + 16·j + i takes word j of counter 16·g + i."""
    key, attempt, purpose = of
    counter = trial // 64 * 16 + trial % 16
    return _core.philox((counter & 0xFFFFFFFF, counter >> 32, attempt, purpose), key)[trial % 64 // 16]


def part_stream(of, part):
    key, attempt, purpose = of
    return key, attempt, mixed(((purpose << 32) + part + 1) & MASK) & 0xFFFFFFFF


def threshold(p):
    return math.floor(p * 2**32 + 0.5)


def chosen(weights, w):
    """Which of several, by cumulated thresholds."""
    total = 0.0
    for i, weight in enumerate(weights[:-1]):
        total += weight
        if w < threshold(min(1.0, total)):
            return i
    return len(weights) - 1


def uniform_of(w):
    return ((w >> 9) + 0.5) * 2.0**-23  # exact in float32 as in float64


def up(x):
    """The float32 next to x that is not below it."""
    return np.nextafter(F32(x), F32(np.inf)) if float(F32(x)) < x else F32(x)  # NumPy compares in float32


def down(x):
    return -up(-x)


def draw(distribution, of, trial):
    """One duration."""
    d = distribution
    if isinstance(d, Fixed):
        return d.value_s
    if isinstance(d, Mixture):
        part = chosen([w for w, _ in d.parts], word(part_stream(of, MASK - 1), trial))
        return draw(d.parts[part][1], part_stream(of, part), trial)
    w = word(of, trial)
    if isinstance(d, Empirical):
        return d.values_s[w * len(d.values_s) >> 32]
    if d.low_s == d.high_s:
        return d.low_s
    # As a float where that can tell apart what the duration varies by, else on [0, 1] and scaled.
    width = d.high_s - d.low_s
    plain = d.low_s <= FAR * width
    least, most = (up(d.low_s), down(d.high_s)) if plain else (F32(0), F32(1))
    if isinstance(d, Uniform):
        shape = min(least + (most - least) * F32(uniform_of(w)), most)
    else:
        assert isinstance(d, Triangular)
        rise, fall, unit = d.likely_s - d.low_s, d.high_s - d.likely_s, 1.0 if plain else width
        x = F32(w >> 9) + F32(0.5)
        if x < F32(rise / width * 2.0**23):
            shape = least + np.sqrt(x * F32(rise * width / (unit * unit) * 2.0**-23))
        else:
            shape = most - np.sqrt((F32(2**23) - x) * F32(fall * width / (unit * unit) * 2.0**-23))
    return float(shape) if plain else d.low_s + width * float(shape)


# Trials.


def own_time(book, step, seed, trial):
    """Attempts until one does not fail, the waits between them, then the fallback; or never."""
    took = draw(step.duration, stream(seed, step.name, "duration"), trial)
    for attempt in range(step.retries + 1):
        if word(stream(seed, step.name, "failure", attempt), trial) >= threshold(step.failure):
            return took
        if attempt < step.retries:
            wait = draw(step.retry_after, stream(seed, step.name, "wait", attempt + 1), trial)
            took += wait + draw(step.duration, stream(seed, step.name, "duration", attempt + 1), trial)
    return NEVER if step.fallback is None else took + own_time(book, book[step.fallback], seed, trial)


def start_of(step, ends, taken):
    """When it could start: what was skipped is not waited for; without the option that it needs it is skipped."""
    instants, needed = [], {}
    for name in step.after:
        base, colon, option = name.partition(":")
        lost = colon and step.join == "any" and taken.get(base) != option
        instants.append(SKIPPED if lost else ends[base])
        if colon and step.join == "all":
            needed.setdefault(base, set()).add(option)
    if any(taken.get(base) not in options for base, options in needed.items()):
        return SKIPPED
    there = [at for at in instants if at is not SKIPPED]
    if step.after and not there:
        return SKIPPED
    return (min if step.join == "any" else max)(there, default=0.0)


def trial_of(book, seed, trial, short=None, leads=None):
    """Per step start, own time and end, with or without room.

    ``short``: per patterns the quotas that are lacking; ``leads``: per quota, how long its increase takes from when the
    first step that needs it begins. Whoever that is: tried until nobody asks earlier.
    """
    asks = {}
    while True:
        *found, asked = tried(book, seed, trial, short or {}, leads or {}, asks)
        if asked == asks:
            return *found, asks
        asks = asked


def tried(book, seed, trial, short, leads, asks):
    """The same when increases are asked for then, or earlier; and when they were."""
    asked = {}
    fallbacks = {s.fallback for s in book.steps if isinstance(s, Step)}
    starts, own, ends, taken = {}, {}, {}, {}
    for step in book.steps:
        if step.name in fallbacks:
            continue
        at = starts[step.name] = start_of(step, ends, taken)
        if at is SKIPPED:
            ends[step.name] = SKIPPED
            continue
        own[step.name] = wait = 0.0
        if isinstance(step, Branch):
            pick = chosen(list(step.options.values()), word(stream(seed, step.name, "choice"), trial))
            taken[step.name] = list(step.options)[pick]
        else:
            own[step.name] = own_time(book, step, seed, trial)
            for q in short.get(tuple(step.capacity), ()):
                if at < LONGEST_S:
                    asked[q] = min(asked.get(q, NEVER), at)
                    wait = max(wait, min(asks.get(q, NEVER), at) + leads[q] - at)
        ends[step.name] = at + own[step.name] + wait
        own[step.name] += wait
    return starts, own, ends, asked


def decided_by(book, starts, ends):
    """The steps from which the end came: of those that ended at that instant, the first that is named."""
    back = clocks_of(book, ends)[0]
    name = next(n for n in book.ends if ends[n] == back)
    path = [name]
    while book[name].after:
        before = (n.partition(":")[0] for n in book[name].after)
        name = next(n for n in before if ends[n] == starts[name])
        path.append(name)
    return path


def clocks_of(book, ends):
    """RTO on each clock."""
    there = [ends[name] for name in book.ends if ends[name] is not SKIPPED]
    back = max(there) if there else NEVER
    result = [back]
    for name in (book.detection, book.declaration):
        if name is not None:
            since = ends[name]
            since = 0.0 if since is SKIPPED or since >= LONGEST_S else since
            result.append(max(0.0, back - since))
    return result


def points_of(book, seed, trial):
    """RPO of each store, and the worst."""
    lost = [
        draw(s.lag, stream(seed, s.name, "lag"), trial) + draw(s.copy, stream(seed, s.name, "copy"), trial)
        for s in book.stores
    ]
    return [*lost, max(lost)] if lost else []


def counted(values, targets):
    """What is counted of one instant over the trials, with the core's names."""
    finite = [v for v in values if v < LONGEST_S]
    quanta = [round(v * 1024) for v in finite]  # half to even
    histogram = [0] * (1 + 40 * 256 + 1)
    for v in values:
        histogram[bin_of(v)] += 1
    return {
        "finite": len(finite),
        "within": [sum(v <= t * (1 + 1e-12) for v in finite) for t in targets],
        "sum": sum(quanta),
        "squares": sum(q * q for q in quanta),
        "least": min(finite, default=math.inf),
        "most": max(finite, default=-math.inf),
        "histogram": histogram,
    }


def bin_of(x):
    """Bin 0 below 2⁻¹⁰ s, then 256 in every octave; the last: never."""
    if x >= LONGEST_S:
        return 1 + 40 * 256
    if x < 2.0**-10:
        return 0
    mantissa, exponent = math.frexp(x)
    return 1 + (exponent - 1 + 10) * 256 + math.floor((2 * mantissa - 1) * 256)


# Distributions on a grid: the mass of everything that rounds to k·step is at k. What is lost is later, or never.


class Grid:
    """A step of time and how many; ``P(X ≤ (k + ½)·step)`` is the sum of mass up to k."""

    def __init__(self, step_s, count):
        self.step_s, self.count = step_s, count
        self.edges = (np.arange(count) + 0.5) * step_s

    def of(self, cdf):
        """The mass of a distribution of durations."""
        return np.diff(np.asarray(cdf(self.edges), dtype=float), prepend=0.0)

    def at(self, value):
        mass = np.zeros(self.count)
        mass[round(value / self.step_s)] = 1.0
        return mass

    def after(self, a, b):
        """One after the other: the convolution."""
        size = 2 * self.count
        both = np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(b, size), size)[: self.count]
        return np.maximum(both, 0.0)

    def all_of(self, parts):
        return np.diff(np.prod([np.cumsum(p) for p in parts], axis=0), prepend=0.0)

    def any_of(self, parts):
        return np.diff(1 - np.prod([1 - np.cumsum(p) for p in parts], axis=0), prepend=0.0)

    def tried(self, once, failure, retries=0, wait=None, fallback=None):
        """Attempts: a geometric mixture of convolutions."""
        spent, total = once, (1 - failure) * once
        for attempt in range(1, retries + 1):
            again = once if wait is None else self.after(wait, once)
            spent = self.after(spent, again)
            total = total + failure**attempt * (1 - failure) * spent
        if fallback is not None:
            total = total + failure ** (retries + 1) * self.after(spent, fallback)
        return total

    def cdf(self, mass):
        return np.cumsum(mass)


# Random series-parallel graphs: the steps, and the same on a grid.


class SeriesParallel:
    """Grows steps and their distribution side by side; nothing is shared, so everything is independent."""

    def __init__(self, random, grid, distribution, richness=("all", "any", "branch", "retry")):
        self.random, self.grid, self.distribution, self.richness = random, grid, distribution, richness
        self.steps = []

    def name(self):
        return f"s{len(self.steps)}"

    def leaf(self, after, join="all", **more):
        duration, cdf = self.distribution(self.random)
        once = self.grid.of(cdf) if cdf is not None else self.grid.at(duration)
        name, options = self.name(), {}
        self.steps.append(None)  # the place is taken
        if "retry" in self.richness and self.random.random() < 0.4:
            failure, retries = float(self.random.choice([0.1, 0.5])), int(self.random.integers(0, 4))
            wait = float(self.random.integers(0, 20))
            options = {"failure": failure, "retries": retries, "retry_after": wait}
            fallback = None
            if self.random.random() < 0.5:
                other, other_cdf = self.distribution(self.random)
                fallback = self.grid.of(other_cdf) if other_cdf is not None else self.grid.at(other)
                options["fallback"] = self.name()
                self.steps.append(Step(options["fallback"], other))
            once = self.grid.tried(once, failure, retries, self.grid.at(wait), fallback)
        self.steps[int(name[1:])] = Step(name, duration, after=after, join=join, **options, **more)
        return [name], once

    def part(self, after, depth):
        """Steps after ``after``: the names that end it, and its own time."""
        kinds = ["leaf", "series", *(k for k in ("all", "any", "branch") if k in self.richness)]
        kind = "leaf" if depth == 0 else str(self.random.choice(kinds))
        if kind == "leaf":
            return self.leaf(after)
        if kind == "series":
            ends, first = self.part(after, depth - 1)
            ends, second = self.part(ends, depth - 1)
            return ends, self.grid.after(first, second)
        count = int(self.random.integers(2, 4))
        if kind == "branch":
            name, weights = self.name(), self.random.dirichlet(np.ones(count))
            weights[-1] = 1 - weights[:-1].sum()
            self.steps.append(Branch(name, {f"o{i}": float(w) for i, w in enumerate(weights)}, after=after))
            parts = [self.part([f"{name}:o{i}"], depth - 1) for i in range(count)]
            mass = sum(w * m for w, (_, m) in zip(weights, parts, strict=True))
        else:
            parts = [self.part(after, depth - 1) for _ in range(count)]
            merge = self.grid.all_of if kind == "all" else self.grid.any_of
            if kind == "any":  # the first of the parts, each with all of its ends
                parts = [self.joined(ends, "all", mass) for ends, mass in parts]
            mass = merge([m for _, m in parts])
        ends = [end for ends, _ in parts for end in ends]
        return self.joined(ends, "any" if kind == "any" else "all", mass)

    def joined(self, ends, join, mass):
        name = self.name()
        self.steps.append(Step(name, 0.0, after=ends, join=join))
        return [name], mass
