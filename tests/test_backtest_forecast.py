"""ForecastRule: its statistic equals the slow twin's, it never looks ahead, and it does what it is for."""

import math

import numpy as np
import pytest

import oracles_backtest
import oracles_forecast
import surgetank
from surgetank import InvalidInput, _core
from surgetank.backtest.forecast import core_of
from surgetank.backtest.setting import Setting

HOUR, DAY = 3600.0, 86400.0


def seasonal(days, seed=0, per_day=24, gaps=0.0):
    rng = np.random.default_rng(seed)
    t = np.arange(days * per_day)
    week = 1 + 0.3 * np.isin(t // per_day % 7, (5, 6))
    u = (
        100
        * week
        * (1 + 0.4 * np.sin(t / per_day * 2 * np.pi))
        * rng.lognormal(0, 0.1, len(t))
        * (1 + 0.001 * t / per_day)
    )
    u[rng.random(len(t)) < gaps] = math.nan
    return u


def statistic(u, rule, *, step_s=HOUR, surge=None, **options):
    """What the rule saw at each decision, and the setting it was seen in."""
    given = {
        "step_s": step_s, "scenarios": surge, "lead_time_s": 3 * DAY, "review_s": None, "warmup_s": None,
        "quota": None, "regions": None, "needs_s": rule.needs_s, "moments": None, "seed": 0, "threads": 1,
    }  # fmt: skip
    setting = Setting.of(u, **{**given, **options})
    looked = rule.compiled(setting).looked
    one = [_core.BacktestStatistic(*looked[:3], 0, -1)]
    found = _core.backtest_statistics(*setting.core(), setting.calendar(), one, [core_of(looked.seasonal)], 1)[0]
    return np.asarray(found)[:, 0], setting


def surge(multiplier=2.0, duration_s=HOUR):
    return [surgetank.Scenario("surge", source="0", targets={"0": 1.0}, multiplier=multiplier, duration_s=duration_s)]


@pytest.mark.parametrize(
    ("days", "gaps", "options", "setting"),
    [
        (60, 0.0, {}, {}),
        (60, 0.3, {}, {}),
        (45, 0.0, {"quantile": 0.5, "level_quantile": 0.5, "up_s": 2 * DAY, "down_s": 3 * DAY}, {"review_s": HOUR}),
        (40, 0.05, {"clip": 1.0, "seasons": 2.0, "half_life_s": 5 * DAY}, {"review_s": 5 * HOUR, "lead_time_s": 0}),
        (30, 0.0, {"quantile": 1.0}, {"warmup_s": 7.3 * DAY, "lead_time_s": DAY}),
        (30, 0.0, {"quantile": 0.0}, {"warmup_s": HOUR}),
        (430, 0.0, {}, {"warmup_s": 380 * DAY}),
        (430, 0.1, {"annual": 1.0}, {"warmup_s": 365 * DAY, "lead_time_s": 10 * DAY}),
    ],
)
@pytest.mark.parametrize("duration_s", [HOUR, DAY])
def test_it_equals_the_twin(days, gaps, options, setting, duration_s):
    u = seasonal(days, seed=days, gaps=gaps)
    rule = surgetank.ForecastRule(**options)
    found, where = statistic(u, rule, surge=surge(duration_s=duration_s), **setting)
    events = [(max(1, round(duration_s / HOUR)), 2.0, [])]
    usage = u[:, None]
    plain = {
        {"up_s": "up_d", "down_s": "down_d", "half_life_s": "half_life_d"}.get(k, k): v / DAY if k.endswith("_s") else v
        for k, v in options.items()
    }
    wanted = oracles_forecast.forecast(
        oracles_backtest.demand(usage, 0, events), oracles_backtest.peak_of(usage, 0, events), day=24,
        first=where.first - 1, every=where.every, lead=where.lead, length=events[0][0], **plain,
    )  # fmt: skip
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_a_history_of_idle_days_and_nothing_at_all():
    rule = surgetank.ForecastRule()
    u = np.zeros(20 * 24)
    found, _ = statistic(u, rule)
    assert np.isfinite(found).all()
    assert (found < 1e-200).all()
    u[:] = math.nan
    u[-30:] = 5.0  # the warm-up has seen nothing
    found, _ = statistic(u, rule, warmup_s=7 * DAY)
    assert np.isnan(found[0])


def test_what_it_says_does_not_depend_on_what_comes_later():
    u = seasonal(80, seed=3, gaps=0.1)
    found, _ = statistic(u, surgetank.ForecastRule(), surge=surge())
    for end in (30 * 24, 50 * 24 + 7):
        other = u.copy()
        other[end:] = other[end:][::-1] * 7
        changed, where = statistic(other, surgetank.ForecastRule(), surge=surge())
        before = where.decisions < end
        assert np.array_equal(found[before], changed[before], equal_nan=True)


def test_it_grows_with_the_load():
    u = seasonal(60, seed=5)
    one, _ = statistic(u, surgetank.ForecastRule(), surge=surge())
    two, _ = statistic(2 * u, surgetank.ForecastRule(), surge=surge())
    np.testing.assert_allclose(two, 2 * one, rtol=1e-12)


def test_it_needs_less_than_a_trailing_peak_where_there_is_a_season():
    u = seasonal(200, seed=7)
    rules = [
        *surgetank.grid(surgetank.ForecastRule, factor=[1.0, 1.02, 1.05, 1.1]),
        *surgetank.grid(surgetank.PeakRule, factor=[1.8, 1.9, 2.0, 2.1, 2.2], window_s=7 * DAY, lower=1.0),
    ]
    run = surgetank.backtest(u, policies=rules, step_s=HOUR, scenarios=surge(), warmup_s=40 * DAY)
    best = run.best(risk=0.01)
    assert isinstance(best.policy, surgetank.ForecastRule)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("quantile", 1.5, "quantile: must be a fraction in [0, 1] (got 1.5)"),
        ("factor", 0, "factor: must be a positive number (got 0)"),
        ("lower", 1.5, "lower: must be a share in (0, 1] (got 1.5)"),
        ("seasons", 0.5, "seasons: must be at least 1 (got 0.5)"),
        ("annual", -1, "annual: must be a fraction in [0, 1] (got -1)"),
        ("clip", math.nan, "clip: must be a positive number (got nan)"),
        ("up_s", 0, "up_s: must be a finite duration of more than 0 seconds (got 0)"),
    ],
)
def test_bad_options_are_named(option, value, message):
    with pytest.raises(InvalidInput) as error:
        surgetank.ForecastRule(**{option: value})
    assert str(error.value) == message
