"""What `LearnedRule` learns from: rows of what was seen at a decision, and how high the peak then became."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from ..errors import MissingExtra
from .forecast import ForecastRule
from .replayed import statistic_of
from .rules import DAY_S
from .setting import Setting, samples_in

#: Ratios count as at most 16, and at least 1/16: what is farther off says no more.
MOST = math.log(16.0)
#: Days whose maxima are looked at, and those that the base is the highest of.
DAYS, BASE_DAYS = 28, 14
#: Stretches of earlier weeks, like the one that is forecast.
WEEKS = 4
#: With fewer rows nothing is learnt.
LEAST_ROWS = 60
#: Rows that are looked at together, so that a decision at every sample needs no more memory than one a day.
AT_A_TIME = 50_000
#: It is learnt anew before its time, too, once there are so many times the rows.
GROWN = 1.25
#: Chosen on the first halves of the series in bench/bench_forecast.py: few rows make shallow trees.
TREES: dict[str, Any] = {
    "max_iter": 60, "learning_rate": 0.05, "max_leaf_nodes": 4, "min_samples_leaf": 40, "early_stopping": False,
    "random_state": 0,
}  # fmt: skip

Index = NDArray[np.int64]
#: From features (rows, P) to ratios; and what learns that from features and the ratios that came.
Predict = Callable[[Floats], Floats]
Learn = Callable[[Floats, Floats], Predict]


class Rows(NamedTuple):
    """What is known of each quota at M decisions."""

    base: Floats  #: (M, N) what all is measured by
    seen: Floats  #: (M, N, P) the features; the first is the log of ForecastRule's forecast to the base
    ratio: Floats  #: (M, N) log of the peak that came to the base; NaN where not known, or the base is no measure


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Which samples a decision is for, in samples."""

    day: int
    every: int
    lead: int
    horizon: int  #: moments that the quota serves: until what is asked for at the next chance applies
    length: int  #: of the longest failover

    @classmethod
    def of(cls, setting: Setting) -> Reach:
        """From the setting of a run."""
        step, every, lead = setting.step_s, setting.every, setting.lead
        return cls(
            day=samples_in(DAY_S, step), every=every, lead=lead, horizon=every * math.ceil((lead + 1) / every),
            length=samples_in(setting.longest_event_s, step),
        )  # fmt: skip

    @property
    def end(self) -> int:
        """Samples after a decision until the last failover that it is for has ended, and all of it is known."""
        return self.lead + self.horizon + self.length - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """The demand of a run in the forms that rows are read from, (T, N) each; a row looks at what came before alone."""

    reach: Reach
    origin: int  #: the first moment at which a decision could have been made
    forecast: Floats  #: (M, N) ForecastRule's, at origin, origin + every, …
    day_top: Floats  #: the highest demand of the day that ends with each sample …
    stretch_top: Floats  #: … and of a stretch as long as a decision is for
    served_top: Floats  #: the highest peak of the moments served that end there; NaN where less than half is known

    @classmethod
    def of(cls, setting: Setting) -> Observed:
        """Look at a run's samples."""
        setting = replace(setting, moments=None)  # those say what is judged, not what is known
        reach = Reach.of(setting)
        carried = setting.carried()
        demand, peak = carried["demand"], carried["peak"]
        origin = (setting.first - 1) % reach.every
        counts = np.cumsum(~np.isnan(peak), axis=0)
        counts[reach.horizon :] -= counts[: -reach.horizon].copy()
        start = replace(setting, first=origin + 1)
        return cls(
            reach=reach, origin=origin, forecast=statistic_of(start, ForecastRule().compiled(start).looked),
            day_top=rolling_top(demand, reach.day),
            stretch_top=rolling_top(demand, reach.horizon + reach.length - 1),
            served_top=np.where(2 * counts >= reach.horizon, rolling_top(peak, reach.horizon), math.nan),
        )  # fmt: skip

    def rows(self, moments: Index) -> Rows:
        """What was seen at these decisions, and what came of it as far as it is known by now."""
        reach, forecast = self.reach, self.forecast[(moments - self.origin) // self.reach.every]
        tops = np.stack([_earlier(self.day_top, moments, k * reach.day) for k in range(DAYS)])
        base = np.fmax(forecast, _top(tops[:BASE_DAYS]))
        days = _ratios(tops, base)
        week = 7 * reach.day
        last = math.ceil(reach.end / week)
        same = [_earlier(self.stretch_top, moments, w * week - reach.end) for w in range(last, last + WEEKS)]
        weeks = _ratios(np.stack(same), base)
        mean, mean_7 = _mean(days), _mean(days[:7])
        spread = np.sqrt(_mean((days - mean) ** 2))
        features = [
            _ratios(forecast, base), days[0], days[1], _top(days[:3]), _top(days[:7]), _top(days[:BASE_DAYS]),
            _top(days), mean_7, mean, spread, weeks[0], weeks[1], _top(weeks), _mean(weeks),
        ]  # fmt: skip
        seen = np.stack(features, axis=-1)
        # What is not known counts as neither high nor low.
        seen[np.isnan(seen)] = 0.0
        came = _earlier(self.served_top, moments, -reach.lead - reach.horizon)
        return Rows(base, seen, np.where(_top(tops) > 0, _ratios(came, base), math.nan))


def learned_levels(setting: Setting, quantile: float, refit_s: float) -> Floats:
    """(D, N) the quantile of the highest peak that each decision's quota will serve; NaN where nothing is known."""
    return rolled(setting, learner(quantile), refit_s)


def rolled(setting: Setting, learn: Learn, refit_s: float) -> Floats:
    """(D, N) what is forecast at each decision, learnt anew as time goes on from what was known by then."""
    observed = Observed.of(setting)
    decisions = setting.decisions
    known = _moments(setting, observed)
    taught = observed.rows(known)
    usable = ~np.isnan(taught.ratio)
    rows = np.concatenate([[0], np.cumsum(usable.sum(axis=1))])
    ended = np.searchsorted(known, decisions - observed.reach.end, side="right")  # those whose peak is known by then
    found = np.full((len(decisions), setting.world.width), math.nan, order="F")
    some = max(1, AT_A_TIME // setting.world.width)
    for begin, end in _parts(decisions, rows[ended], samples_in(refit_s, setting.step_s)):
        predict = None
        if rows[ended[begin]] >= LEAST_ROWS:
            past = usable[: ended[begin]]
            predict = learn(taught.seen[: ended[begin]][past], taught.ratio[: ended[begin]][past])
        for d in range(begin, end, some):
            at = observed.rows(decisions[d : min(d + some, end)])
            found[d : d + len(at.base)] = at.base if predict is None else _level(at, predict)
    return found


def _level(at: Rows, predict: Predict) -> Floats:
    ratio = predict(at.seen.reshape(-1, at.seen.shape[-1])).reshape(at.base.shape)
    level: Floats = at.base * np.exp(np.clip(ratio, -MOST, MOST))
    return level


def _moments(setting: Setting, observed: Observed) -> Index:
    """Earlier decisions to learn from, those before the warm-up's end included: one a day, for more say the same."""
    apart = observed.reach.every * max(1, round(observed.reach.day / observed.reach.every))
    last = setting.first - 1
    return np.arange(last % apart, len(setting.usage), apart)


def _parts(decisions: Index, rows: Index, refit: int) -> Iterator[tuple[int, int]]:
    """Decisions that are made by one fit, from … to."""
    begin, fitted, then = 0, 0, 0
    for d, (t, count) in enumerate(zip(decisions.tolist(), rows.tolist(), strict=True)):
        if count < LEAST_ROWS:
            continue
        if not fitted or count >= GROWN * fitted or (t - then >= refit and count > fitted):
            if d > begin:
                yield begin, d
            begin, fitted, then = d, count, t
    yield begin, len(decisions)


def learner(quantile: float) -> Learn:
    """What learns a quantile of ratios from features: gradient-boosted trees on the pinball loss."""
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingExtra(
            "LearnedRule needs scikit-learn: pip install scikit-learn, or surgetank[forecast]"
        ) from error

    def learn(seen: Floats, ratio: Floats) -> Predict:
        trees = HistGradientBoostingRegressor(loss="quantile", quantile=quantile, **TREES)
        # With one thread sums are in one order, however many cores there are.
        with threadpool_limits(limits=1):
            trees.fit(seen, ratio)

        def predict(asked: Floats) -> Floats:
            with threadpool_limits(limits=1):
                return np.asarray(trees.predict(asked), dtype=np.float64)

        return predict

    return of_both(learn)


def of_both(learn: Learn) -> Learn:
    """The mean of what is learnt of ratios to the base, and to the forecast: they err in different places."""

    def learn_both(seen: Floats, ratio: Floats) -> Predict:
        by_base, by_forecast = learn(seen, ratio), learn(seen, ratio - seen[:, 0])
        return lambda asked: 0.5 * (by_base(asked) + by_forecast(asked) + asked[:, 0])

    return learn_both


def rolling_top(values: Floats, window: int) -> Floats:
    """(T, N) the highest of the window that ends with each sample; NaN where nothing in it was observed."""
    found, reached = values, 1
    while reached < window:
        shift = min(reached, window - reached)
        wider = found.copy()
        np.fmax(found[shift:], found[:-shift], out=wider[shift:])
        found, reached = wider, reached + shift
        if shift >= len(values):
            break
    return found


def _earlier(values: Floats, moments: Index, lag: int) -> Floats:
    """(M, N) what was so many samples before; NaN where that is not in the history."""
    at = moments - lag
    inside = (at >= 0) & (at < len(values))
    return np.where(inside[:, None], values[np.where(inside, at, 0)], math.nan)


def _ratios(values: Floats, base: Floats) -> Floats:
    """Logarithms, within what counts; NaN where one of them is not known or the base is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.log(values / base), -MOST, MOST)


def _top(values: Floats) -> Floats:
    """Of the first axis, what was observed."""
    top: Floats = np.fmax.reduce(values, axis=0)
    return top


def _mean(values: Floats) -> Floats:
    """Of the first axis, what was observed; one after the other: NumPy's order of a sum depends on the shape."""
    total = np.zeros(values.shape[1:])
    for value in values:
        total += np.where(np.isnan(value), 0.0, value)
    with np.errstate(invalid="ignore"):
        mean: Floats = total / (~np.isnan(values)).sum(axis=0)
    return mean
