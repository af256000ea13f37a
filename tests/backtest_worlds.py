"""Random worlds for `backtest`, and the same as its slow twin takes them."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import oracles_backtest as twin
from surgetank import (
    ClassicPolicy,
    Cost,
    ForecastRule,
    History,
    InvalidInput,
    PeakRule,
    PercentileRule,
    QuantilePolicy,
    QuotaKey,
    Scenario,
    SizedRule,
    ThresholdRule,
    backtest,
)

H, D = 3600.0, 86400.0


@dataclass
class World:
    """What is given to `backtest`, and the same as the twin takes it."""

    usage: Any
    matrix: np.ndarray  # (T, N)
    step_s: float
    names: list[str]
    start_s: float = 0.0
    scenarios: list[Any] = field(default_factory=list)
    parts: list[Scenario] = field(default_factory=list)  # the same, without words
    more: dict[str, Any] = field(default_factory=dict)


def random_usage(random):
    shape = [(), (1,), (3,), (2, 2)][random.integers(4)]
    usage = np.round(random.gamma(2, 10, (int(random.integers(30, 200)), *shape)), int(random.integers(0, 4)))
    if random.random() < 0.4:
        usage[random.random(usage.shape) < random.choice([0.02, 0.3, 0.9])] = np.nan
    if random.random() < 0.2:
        usage[: int(random.integers(1, len(usage))), ...] = np.nan
    if random.random() < 0.1 and shape:
        usage[..., 0] = np.nan
    return np.asarray(usage, order=random.choice(["C", "F"]))


def random_scenarios(random, names, step_s):
    """As `backtest` takes them, and all of them written out."""
    given, parts = [], []
    if len(names) > 1 and random.random() < 0.6:
        given.append("N-1")
        parts += [Scenario(f"{r} fails", r, {o: 1 / (len(names) - 1) for o in names if o != r}) for r in names]
    if random.random() < 0.5:
        length, surge = float(random.choice([0.3, 1, 2.6, 7])), float(random.choice([0.5, 2, 2.7]))
        given.append(Scenario("surge", names[0], {names[0]: 1.0}, multiplier=surge, duration_s=length * step_s))
    if len(names) > 1 and random.random() < 0.5:
        both = {"event": "surge" if random.random() < 0.5 else "both", "duration_s": 4 * step_s}
        given += [
            Scenario("half", names[-1], {names[0]: 0.5}, multiplier=1.5, **both),
            Scenario("third", names[-1], {names[0]: 1 / 3}, **both),
        ]
    return given, parts + [s for s in given if s != "N-1"]


def random_world(seed):
    random = np.random.default_rng(seed)
    usage, step_s = random_usage(random), float(random.choice([300, 3600, 20000, 86400]))
    names = list("abc")[: usage.shape[-1] if usage.ndim > 1 else 1]
    matrix = usage.reshape(len(usage), -1)
    # A day of a failover is 288 samples of five minutes: more than these worlds have.
    step_s = 3600.0 if step_s == 300 and len(names) > 1 else step_s
    world = World(usage, matrix, step_s, names, 0.0, *random_scenarios(random, names, step_s))
    world.more = {
        "lead_time_s": float(random.choice([0, 1, 2.5, 11])) * step_s,
        "review_s": random.choice([None, step_s, 2 * step_s, 7 * step_s]),
        "warmup_s": float(random.integers(1, max(2, len(usage) // 2))) * step_s,
        "moments": None if random.random() < 0.7 else int(random.integers(1, len(usage) + 5)),
        "seed": int(random.integers(100)),
        "quota": None if random.random() < 0.6 else np.where(
            random.random(usage.shape[1:]) < 0.5, np.nan, np.round(random.gamma(2, 20, usage.shape[1:]))
        ),
    }  # fmt: skip
    if random.random() < 0.5:
        world.more["cost"] = Cost(per_unit_h=random.random(usage.shape[1:]), per_request=3, per_short_unit_h=0.5)
    if random.random() < 0.4:
        world.start_s = float(random.integers(10**9))
        keys = [QuotaKey(region=r, service_code=str(s)) for s in range(matrix.shape[1] // len(names)) for r in names]
        world.usage = History(keys=tuple(keys), start_s=int(world.start_s), step_s=step_s, usage=matrix)
        for name in ("quota", "cost"):  # a History's series lie side by side
            flat = world.more.pop(name, None)
            if name == "quota" and flat is not None:
                world.more[name] = flat.ravel()
    return world


def random_rules(random, world):
    """Rules, and what the twin calls them: (of demand, window, quantile, rule)."""
    rules = []
    for _ in range(5):
        window = int(random.choice([1, 3, 20, 64, 65, 500]))
        quantile = float(random.choice([0, 0.5, 0.9, 0.99, 1]))
        factor = float(random.choice([0.9, 1.0, 1.15, 1.5, 2]))
        threshold, lower = random.choice([None, 0.5, 0.95]), random.choice([None, None, 0.7, 1.0])
        options = {"factor": factor, "threshold": threshold, "lower": lower, "window_s": window * world.step_s}
        of = str(random.choice(["usage", "demand"]))
        rule = PeakRule(of=of, **options) if quantile == 1 else PercentileRule(quantile=quantile, of=of, **options)
        bar = 1 / factor if threshold is None else max(threshold, 1 / factor)
        as_twin = twin.Rule(bar=bar, factor=factor, lower=lower or 0.0, start=factor)
        rules.append((rule, (of == "demand", window, quantile, as_twin)))
    every = every_of(world)
    for window, share, factor in ((None, 0.8, 1.2), (5, 0.55, 1.5)):
        rule = ThresholdRule(threshold=share, factor=factor, window_s=window and window * world.step_s)
        as_twin = twin.Rule(bar=share, factor=factor, of_quota=True, start=1 / share)
        rules.append((rule, (False, window or every, 1.0, as_twin)))
    return rules


def every_of(world):
    review_s = world.more["review_s"]
    return max(1, round((86400 if review_s is None else review_s) / world.step_s))


def events_of(world, column):
    """What reaches a column, as the twin takes it."""
    width = len(world.names)
    region, first = world.names[column % width], column - column % width
    together = {}
    for s in world.parts:
        together.setdefault(s.event, []).append(s)
    found = []
    for parts in together.values():
        length = max(1, math.floor(max(s.duration_s for s in parts) / world.step_s + 0.5))
        reached = [s for s in parts if region in s.targets]
        own = 1 + sum(s.multiplier - 1 for s in reached if s.source == region)
        flows = [
            (first + world.names.index(s.source), s.targets[region] * s.multiplier)
            for s in reached
            if s.source != region
        ]
        found += [(length, own, flows)] if reached else []
    return found


def twins_of(world, rules, first, moments=None):
    """[policy][series]: what was measured, and the replay; and by series the peak."""
    matrix, peaks, found = world.matrix, [], [[] for _ in rules]
    lead = math.ceil(world.more["lead_time_s"] / world.step_s)
    quota = world.more.get("quota")
    quota = np.full(matrix.shape[1], np.nan) if quota is None else np.ravel(quota)
    for i, u in enumerate(matrix.T):
        peak, looked = twin.peak_of(matrix, i, events_of(world, i)), {}
        if moments is not None:
            peak[[t for t in range(len(u)) if t not in set(moments)]] = np.nan
        peaks.append(peak)
        for p, (of_demand, window, quantile, rule) in enumerate(rules):
            if (of_demand, window, quantile) not in looked:
                x = twin.demand(matrix, i, events_of(world, i)) if of_demand else u
                looked[of_demand, window, quantile] = twin.rolling_quantile(x, window, quantile)
            statistic = looked[of_demand, window, quantile]
            replayed = twin.replay(
                u, peak, statistic, rule, first=first, every=every_of(world), lead=lead, quota0=quota[i]
            )
            found[p].append(replayed)
    return found, peaks


def replayed(seed, **more):
    """A world, its rules as the twin takes them, and what came of them."""
    world = random_world(seed)
    rules = random_rules(np.random.default_rng(seed + 10**6), world)
    asked = {"policies": [rule for rule, _ in rules], "scenarios": world.scenarios, **world.more, **more}
    if not isinstance(world.usage, History):
        asked |= {"step_s": world.step_s, "regions": world.names}
    try:
        run = backtest(world.usage, **asked)
    except InvalidInput as error:
        return world, [as_twin for _, as_twin in rules], error
    return world, [as_twin for _, as_twin in rules], run


# Hourly usage with a season, and every kind of rule.


def highest(past, hours):
    """Of the last hours; NaN of what was not observed."""
    return np.fmax.reduce(past.usage[-hours:])


class Peak:
    """A user's own `PeakRule(factor, window_s=a day, lower=1)`."""

    def __init__(self, factor=1.3, needs_s=D):
        self.factor, self.needs_s = factor, needs_s

    def decide(self, past):
        seen, quota = highest(past, 24), past.quota
        leaves = (seen > 1 / self.factor * quota) | (seen < 1 / self.factor * quota) | np.isnan(quota)
        return np.where(leaves & ~np.isnan(seen), self.factor * seen, quota)


def alarm(past):
    """A user's own `ThresholdRule(threshold=.8, factor=1.2, window_s=a day)`."""
    seen, quota = highest(past, 24), past.quota
    return np.where(np.isnan(quota), 1 / 0.8 * seen, np.where(seen > 0.8 * quota, 1.2 * quota, quota))


def ninetieth(past):
    """A user's own `PercentileRule(window_s=2 days, threshold=.9, lower=.7)`: P90 + 15 %."""
    seen = np.array(
        [np.quantile(x[~np.isnan(x)], 0.9) if not np.isnan(x).all() else np.nan for x in past.usage[-48:].T]
    )
    up, down = seen > 0.9 * past.quota, seen < 0.7 / 1.15 * past.quota
    return np.where(up | down | np.isnan(past.quota), 1.15 * seen, past.quota)


NATIVE = (
    PercentileRule(quantile=0.9, factor=1.4, window_s=2 * D),
    PercentileRule(quantile=0.995, factor=0.9, window_s=D, threshold=1.3, lower=0.8, of="demand"),
    PeakRule(window_s=D, lower=1.0, of="demand"),
    ThresholdRule(),
    ThresholdRule(threshold=0.55, window_s=5 * H),
    ForecastRule(),
)
SIZED = SizedRule(policy=QuantilePolicy(risk=0.05), lower=0.9)
RULES = (*NATIVE, SIZED, SizedRule(policy=ClassicPolicy(), headroom_factor=0.5), Peak())


def season(random, days=11, width=2):
    hours = np.arange(24 * days)[:, None]
    usage = 50 * (1.5 + np.sin(2 * np.pi * hours / 24)) * random.lognormal(0, 0.4, (len(hours), width))
    return usage * (1 + random.uniform(-0.5, 2) * hours / len(hours))


def each_fails(hours=3, names="01"):
    share = 1 / (len(names) - 1)
    return [Scenario(f"{a} fails", a, {b: share for b in names if b != a}, duration_s=hours * H) for a in names]


def replay(usage, policies=RULES, **more):
    return backtest(usage, policies=policies, **({"step_s": H, "scenarios": each_fails(), "lead_time_s": D} | more))
