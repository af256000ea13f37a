"""Quantile forecasts of a failover's highest peak, by other libraries, each as a good user would write it.

Those that learn from rows get the rows of `LearnedRule` (`backtest/learning.py`), at the same times; statsforecast gets
the daily maxima of each quota up to the decision.
"""

import math

import numpy as np

import surgetank
from surgetank.backtest.learning import GROWN, Reach, of_both, rolled, rolling_top
from surgetank.backtest.replayed import statistic_of
from surgetank.backtest.rules import DAY_S, Levels

REFIT_S = 28 * DAY_S
LEAST_DAYS = 14  # daily maxima, before statsforecast is asked
SEASON = 7


def forecast(setting, tau):
    """ForecastRule with its option `quantile` so, which is of the peaks of single moments."""
    return statistic_of(setting, surgetank.ForecastRule(quantile=tau).compiled(setting).looked)


def forecast_errors(setting, tau):
    """ForecastRule × the quantile of what the highest peaks so far were in multiples of it: NumPy alone."""

    def learn(seen, ratio):
        # The first feature is the log of ForecastRule's forecast to the base.
        found = float(np.quantile(ratio - seen[:, 0], tau, method="higher"))
        return lambda asked: asked[:, 0] + found

    return rolled(setting, learn, DAY_S)


def peak(days):
    def trailing(setting, tau):
        window = days * Reach.of(setting).day
        return rolling_top(setting.carried()["demand"], window)[setting.decisions]

    return trailing


def boosted(setting, tau):
    """What the rule ships: scikit-learn's HistGradientBoostingRegressor."""
    return surgetank.LearnedRule(quantile=tau).compiled(setting, Levels()).looked.levels


def linear(setting, tau):
    """scikit-learn's QuantileRegressor: a linear program; features standardised, the penalty chosen on first halves."""
    from sklearn.linear_model import QuantileRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def learn(seen, ratio):
        model = QuantileRegressor(quantile=tau, alpha=0.3 * min(tau, 1 - tau), solver="highs")
        return make_pipeline(StandardScaler(), model).fit(seen, ratio).predict

    return rolled(setting, of_both(learn), REFIT_S)


def lightgbm(setting, tau):
    from lightgbm import LGBMRegressor

    def learn(seen, ratio):
        model = LGBMRegressor(
            objective="quantile", alpha=tau, n_estimators=60, learning_rate=0.05, num_leaves=4, min_child_samples=40,
            n_jobs=1, random_state=0, deterministic=True, verbose=-1,
        ).fit(seen, ratio)  # fmt: skip
        return lambda asked: np.asarray(model.booster_.predict(asked))

    return rolled(setting, of_both(learn), REFIT_S)


def statsforecast(make):
    """A model of statsforecast on logarithms of daily maxima of demand: its upper limit, at the highest day served."""

    def forecasted(setting, tau):
        reach, decisions = Reach.of(setting), setting.decisions
        top = rolling_top(setting.carried()["demand"], reach.day)
        found = rolling_top(setting.carried()["demand"], 14 * reach.day)[decisions]  # until there is enough
        first, last = reach.lead // reach.day, -(-reach.end // reach.day)
        refit = max(1, round(REFIT_S / setting.step_s / reach.every))
        for i in range(top.shape[1]):
            model, fitted, since = None, 0, 0
            for d, t in enumerate(decisions.tolist()):
                days = np.log(np.maximum(top[t % reach.day :: reach.day, i][: t // reach.day + 1], 1e-9))
                days = days[max(0, len(days) - 364) :]
                if len(days) < LEAST_DAYS or np.ptp(days) == 0:
                    continue
                if model is None or since >= refit or len(days) >= GROWN * fitted:
                    model, fitted, since = make(), len(days), 0
                    model.fit(days)
                since += 1
                level = [round(100 * (2 * tau - 1), 6)]
                ahead = model.forward(days, h=last, level=level)
                high = next(v for k, v in ahead.items() if str(k).startswith("hi"))
                found[d, i] = math.exp(min(float(np.max(high[first:last])), 50.0))
        return found

    return forecasted


def auto_ets():
    from statsforecast.models import AutoETS

    return AutoETS(season_length=SEASON)


def mstl():
    from statsforecast.models import MSTL

    return MSTL(season_length=SEASON)


FORECASTS = {
    "ForecastRule": forecast,
    "ForecastRule, past errors": forecast_errors,
    "peak of 7 d": peak(7),
    "peak of 14 d": peak(14),
    "scikit-learn trees": boosted,
    "scikit-learn linear": linear,
    "LightGBM": lightgbm,
    "statsforecast AutoETS": statsforecast(auto_ets),
    "statsforecast MSTL": statsforecast(mstl),
}
