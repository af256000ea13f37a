"""Yearly downtime: closed forms, a slow simulation that knows nothing of grids, and malformed input."""

import math
import pickle

import numpy as np
import pytest

from surgetank import Exponential, Fixed, InvalidInput, Lognormal, Mixture, Runbook, Step, Uniform, estimate_recovery
from surgetank.recovery.availability import YEAR_S, availability

stats = pytest.importorskip("scipy.stats", reason="the closed forms need SciPy")


def recovery(duration, trials=20_000, failure=0.0, **more):
    return estimate_recovery(Runbook([Step("mend", duration, failure=failure)]), trials=trials, **more)


def years(durations, rate, number, seed, never=0.0):
    """Downtime of so many years, each incident by itself, at its own time of the year."""
    random = np.random.default_rng(seed)
    incidents = random.poisson(rate, number)
    year = np.repeat(np.arange(number), incidents)
    when = random.random(len(year)) * YEAR_S
    lasts = random.choice(durations, len(year))
    lasts = np.where(random.random(len(year)) < never, YEAR_S - when, lasts)
    return np.minimum(np.bincount(year, lasts, minlength=number), YEAR_S)


def test_without_incidents_nothing_is_lost():
    found = availability(recovery(Uniform(60, 300)), 0)
    assert (found.mean_s, found.sd_s, found.availability, found.interval) == (0, 0, 1, (1, 1))
    assert found.probability == pytest.approx(1, abs=1e-12)
    assert found.quantile([0, 0.5, 1]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("rto_s", [3600.0, 8.76 * 3600, 8.76 * 1200, 4505.142857, 31536.1, 0.01])
@pytest.mark.parametrize("rate", [0.1, 12])
def test_a_constant_rto_is_a_poisson_tail(rto_s, rate):
    found = availability(recovery(Fixed(rto_s), trials=100), rate)
    fit = math.floor(found.budget_s / rto_s * (1 + 1e-12))
    assert found.probability == pytest.approx(stats.poisson.cdf(fit, rate), abs=1e-11)
    assert found.bounds == pytest.approx((found.probability, found.probability), abs=3e-11 if rto_s > 1 else 1e-9)
    assert found.mean_s == pytest.approx(rate * rto_s, abs=rate / 2048)
    p = [0.3, 0.9, 0.99]
    expected = np.minimum(stats.poisson.ppf(p, rate) * rto_s, YEAR_S)
    np.testing.assert_allclose(found.quantile(p), expected, rtol=1e-9 if rto_s > 1 else 2e-3)


def test_by_hand():
    found = availability(recovery(Fixed(3600), trials=100), 1, sla=1 - 2 / 8760)
    assert found.budget_s == pytest.approx(7200)
    assert found.probability == pytest.approx(2.5 / math.e, abs=1e-11)  # none, one or two
    assert found.within(3600) == pytest.approx(2 / math.e, abs=1e-11)
    assert found.within(0) == pytest.approx(1 / math.e, abs=1e-11)
    assert found.within(YEAR_S) == 1
    assert (found.mean_s, found.sd_s) == (3600, 3600)
    assert found.availability == 1 - 1 / 8760


def test_exponential_repairs_have_a_closed_form():
    rate, mean_s = 3.0, 5000.0
    result = recovery(Exponential(mean_s), trials=1_000_000)
    found = availability(result, rate)
    k = np.arange(1, 60)
    truth = math.exp(-rate) + stats.poisson.pmf(k, rate) @ stats.gamma.cdf(found.budget_s, k, scale=mean_s)
    low, high = found.interval
    assert low < truth < high
    assert high - low < 2e-3
    assert found.sd_s == pytest.approx(math.sqrt(rate * 2) * mean_s, rel=0.01)


@pytest.mark.parametrize(("rate", "failure"), [(0.5, 0.0), (6.0, 0.02), (20.0, 0.001)])
def test_a_slow_simulation_agrees(rate, failure):
    trials = 2000
    result = recovery(Mixture([(0.6, Lognormal(600, 3000)), (0.4, Uniform(1800, 9000))]), trials, failure)
    every = result.rto.exact((np.arange(trials) + 1) / trials)  # every single trial
    never = result.never
    assert never == pytest.approx(np.isinf(every).mean())
    found = availability(result, rate)
    number = 100_000
    downtime = years(every[np.isfinite(every)], rate, number, 7, never)
    low, high = found.bounds
    for limit, (least, most) in {found.budget_s: (low, high), 0.3 * found.budget_s: (0, 1)}.items():
        share = (downtime <= limit).mean()
        slack = 4.5 * math.sqrt(share * (1 - share) / number) + 10 / number
        assert abs(found.within(limit) - share) < slack + 5e-4
        assert least - slack <= share <= most + slack
    assert low <= found.probability <= high < low + 0.02
    assert abs(found.mean_s - downtime.mean()) < 5 * downtime.std() / math.sqrt(number)
    for p in (0.5, 0.9, 0.99):
        q = float(found.quantile(p))
        assert (downtime <= 0.995 * q - 1).mean() < p + 0.005
        assert (downtime <= 1.005 * q + 1).mean() > p - 0.005


def test_the_discretisation_is_bounded_and_small():
    """Panjer's recursion on a lattice of a minute; every duration is a whole number of minutes."""
    weights = {30: 0.5, 77: 0.3, 200: 0.2}
    result = recovery(Mixture([(w, Fixed(60 * m)) for m, w in weights.items()]), trials=5000)
    every = (result.rto.exact((np.arange(5000) + 1) / 5000) / 60).round().astype(int)
    share = np.bincount(every) / 5000
    for rate in (1.0, 5.0):
        found = availability(result, rate, sla=1 - 550.5 * 60 / YEAR_S)
        g = [math.exp(-rate)]
        for s in range(1, 551):
            g.append(rate / s * sum(k * share[k] * g[s - k] for k in weights if k <= s))
        low, high = found.bounds
        assert low - 1e-12 <= sum(g) <= high + 1e-12
        assert abs(found.probability - sum(g)) < 5e-3


def test_what_never_ends_lasts_for_the_rest_of_the_year():
    result = recovery(Fixed(0), trials=10_000, failure=0.25)
    found = availability(result, 2, sla=0.75)
    rate, x = 2 * result.never, 0.25  # a number of uniform times, added up
    truth = math.exp(-rate) * sum((rate * x) ** k / math.factorial(k) ** 2 for k in range(30))
    assert found.probability == pytest.approx(truth, abs=1e-6)
    assert found.mean_s == pytest.approx(rate * YEAR_S / 2)
    assert found.within(0) == pytest.approx(math.exp(-rate))
    assert "of incidents never end: they last for the rest of the year." in str(found)
    nothing = availability(recovery(Fixed(1), trials=100, failure=1.0), 2, sla=0.75)
    assert nothing.probability == pytest.approx(
        math.exp(-2) * sum(0.5**k / math.factorial(k) ** 2 for k in range(30)), abs=1e-6
    )


def test_the_interval_covers_the_sampling():
    rate, low_s, high_s = 4.0, 600.0, 12_000.0
    random = np.random.default_rng(5)
    truth = (years(random.uniform(low_s, high_s, 300_000), rate, 200_000, 3) <= 0.001 * YEAR_S).mean()
    inside = 0
    for seed in range(20):
        low, high = availability(recovery(Uniform(low_s, high_s), 500, seed=seed), rate).interval
        inside += low <= truth <= high
    assert inside >= 16
    # Where no trial was too long, some might be all the same: three in as many trials.
    low, high = availability(recovery(Uniform(60, 300), 1000), 1).interval
    assert 1 - 5e-3 < low < 1 - 2e-3
    assert high == 1


def test_more_incidents_or_a_higher_promise_are_kept_less_often():
    result = recovery(Lognormal(1800, 7200))
    by_rate = [availability(result, rate).probability for rate in (0, 0.1, 1, 5, 20, 1000, 1e6)]
    assert by_rate == sorted(by_rate, reverse=True)
    assert by_rate[-1] == 0
    by_sla = [availability(result, 5, sla=sla).probability for sla in (0.5, 0.99, 0.999, 0.9999, 0.999999)]
    assert by_sla == sorted(by_sla, reverse=True)
    found = availability(result, 5)
    p = np.linspace(0, 1, 21)
    assert (np.diff(found.quantile(p)) >= 0).all()
    for q in (0.3, 0.7, 0.95):
        assert found.within(float(found.quantile(q))) == pytest.approx(q, abs=2e-3)
    assert found.quantile([[0.1, 0.2]]).shape == (1, 2)


def test_it_presents_itself():
    result = recovery(Fixed(3600), trials=100)
    assert str(result.availability(1)) == str(availability(result, 1))
    found = availability(result, 1)
    assert found.table(200).splitlines()[0] == (
        "runbook: with 1 incident a year, availability is 99.9% or more with a probability of >99.99%; 1 h of "
        "downtime are expected"
    )
    assert [row["downtime_s"] for row in found.to_records()] == [3600, 7200, 10800, 14400]
    again = pickle.loads(pickle.dumps(found))
    assert again.to_records() == found.to_records()
    assert again.probability == found.probability


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1, 2), {}, "result: must be a Recovery; estimate_recovery gives one (got 1)"),
        (("-", -1), {}, "incidents_per_year: must be a number of 0 to 1,000,000 (got -1)"),
        (("-", 2e6), {}, "incidents_per_year: must be a number of 0 to 1,000,000 (got 2000000.0)"),
        (("-", "2"), {}, "incidents_per_year: must be a number of 0 to 1,000,000 (got '2')"),
        (("-", math.nan), {}, "incidents_per_year: must be a number of 0 to 1,000,000 (got nan)"),
        (("-", True), {}, "incidents_per_year: must be a number of 0 to 1,000,000 (got True)"),
        (("-", 1), {"sla": 1}, "sla: must lie between 0 and 1, both excluded (got 1)"),
        (("-", 1), {"sla": 99.9}, "sla: must lie between 0 and 1, both excluded (got 99.9)"),
        (("-", 1), {"sla": 0.0}, "sla: must lie between 0 and 1, both excluded (got 0.0)"),
    ],
)
def test_malformed_input(arguments, options, message):
    result = recovery(Fixed(1), trials=10) if arguments[0] == "-" else arguments[0]
    with pytest.raises(InvalidInput) as caught:
        availability(result, arguments[1], **options)
    assert str(caught.value) == message


def test_malformed_questions():
    found = availability(recovery(Fixed(1), trials=10), 1)
    with pytest.raises(InvalidInput) as caught:
        found.quantile([0.5, 1.5])
    assert str(caught.value) == "p: must be probabilities in [0, 1] (got 1.5)"
    with pytest.raises(InvalidInput) as caught:
        found.within(-1)
    assert str(caught.value) == "seconds: must be a finite duration of at least 0 seconds (got -1)"
