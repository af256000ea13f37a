"""Durations against SciPy: functions to 1e-9, draws by Kolmogorov and Smirnov, fits, truncation, the copula."""

import datetime as dt
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clear import clear_error
from surgetank import InvalidInput
from surgetank.recovery import (
    Empirical,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Mixture,
    Pert,
    Runbook,
    Step,
    Triangular,
    Truncated,
    Uniform,
    Weibull,
    estimate_recovery,
)

Z95 = 1.6448536269514722
TAILS = np.array([1e-150, 1e-100, 1e-20, 1e-9, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1 - 1e-6, 1 - 1e-12])


def peers():
    """Each distribution beside SciPy's."""
    stats = pytest.importorskip("scipy.stats")

    def pert(low, likely, high, weight=4.0):
        at = (likely - low) / (high - low)
        return Pert(low, likely, high, weight), stats.beta(1 + weight * at, 1 + weight * (1 - at), low, high - low)

    def triangular(low, likely, high):
        peer = stats.triang((likely - low) / (high - low), low, high - low)
        return Triangular(low, likely, high), peer

    def lognormal(median, p95):
        return Lognormal(median, p95), stats.lognorm(math.log(p95 / median) / Z95, scale=median)

    return [
        (Uniform(60, 300), stats.uniform(60, 240)),
        triangular(0, 3, 10),
        triangular(5, 5, 10),
        triangular(5, 10, 10),
        pert(0, 10, 60),
        pert(60, 86, 90, 15),
        pert(0, 0, 1),
        pert(3, 9, 9, 30),
        pert(1, 2, 4, 0),
        pert(0, 500, 1000, 800),
        lognormal(85, 150),
        lognormal(1, 3),
        lognormal(86400, 432000),
        *((Gamma(a, 7), stats.gamma(a, scale=7)) for a in (0.1, 0.5, 1, 2.5, 40, 3000, 1e5)),
        (Exponential(30), stats.expon(scale=30)),
        *((Weibull(a, 7), stats.weibull_min(a, scale=7)) for a in (0.1, 0.5, 1, 3, 50)),
    ]


@pytest.mark.parametrize("number", range(22))
def test_functions_are_those_of_scipy(number):
    ours, peer = peers()[number]
    low = ours.quantile(0.0)
    x = peer.ppf(TAILS)
    x = x[(x > 1e-290) & (x - low > 1e-7 * low)]  # where the tail is more than the last digits of x
    expected = peer.cdf(x)
    np.testing.assert_allclose(ours.cdf(x), expected, rtol=1e-9)
    p = np.array([1e-12, 1e-6, 0.01, 0.2, 0.5, 0.8, 0.99, 1 - 1e-6])
    np.testing.assert_allclose(ours.quantile(p), peer.ppf(p), rtol=1e-9)
    assert ours.quantile([0.0, 1.0]).tolist() == list(peer.support())
    assert ours.cdf([0.0 if low else -1.0, 1e300]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("number", range(22))
def test_a_quantile_is_where_the_distribution_has_that_probability(number):
    ours, _ = peers()[number]
    x = ours.quantile(TAILS)
    assert (np.diff(x) >= 0).all()
    steep = (x > 1e-290) & (x - ours.quantile(0.0) > 1e-5 * x)
    # A change of x in the last digit changes the tail by so much, relatively, at least.
    np.testing.assert_allclose(ours.cdf(x)[steep], TAILS[steep], rtol=1e-9)


@pytest.mark.parametrize("number", range(22))
def test_draws_are_distributed_like_that(number):
    stats = pytest.importorskip("scipy.stats")
    ours, peer = peers()[number]
    drawn = ours.sample(200_000, seed=number)
    assert stats.kstest(drawn, peer.cdf).pvalue > 1e-4
    least, most = peer.support()
    assert drawn.min() >= least
    assert drawn.max() <= most
    # … and the same once more through standard normal numbers, as a copula draws them.
    book = Runbook([Step("a", ours, loadings={"f": 0.6})])
    found = estimate_recovery(book, trials=200_000, seed=number, also_s=peer.ppf([0.001, 0.1, 0.5, 0.9, 0.999]))
    counted = [found.rto.probability(t) for t in found.asked.targets]
    expected = peer.cdf(np.array(found.asked.targets))
    assert (
        counted == pytest.approx(expected, abs=1e-5, rel=0)
        or (np.abs(counted - expected) < 4.5 * np.sqrt(expected * (1 - expected) / 200_000) + 1e-6).all()
    )


def test_draws_reach_into_the_tails():
    """23 bits: of 40 million uniform numbers the least and the most are within reach of 2⁻²³, and never 0 or 1."""
    drawn = Uniform(0, 1).sample(40_000_000)
    assert 0 < drawn.min() < 1e-6
    assert 1 - 1e-6 < drawn.max() < 1
    long = Exponential(1).sample(4_000_000)
    assert long.max() > 12
    assert (long > math.log(1e5)).mean() == pytest.approx(1e-5, rel=0.5)


@pytest.mark.parametrize("bounds", [(0, 100), (90, 110), (300, 1000), (120, math.inf), (84, 84.001)])
@pytest.mark.parametrize("whole", [Lognormal(85, 150), Gamma(2, 60), Pert(10, 100, 1200), Exponential(90)])
def test_truncation_is_the_condition_that_it_lies_between(whole, bounds):
    low, high = bounds
    cut = whole.truncated(low, high)
    below, above = (whole.cdf(low), whole.cdf(high) if high < math.inf else 1.0)
    x = np.linspace(low, min(high, 2000), 23)
    np.testing.assert_allclose(cut.cdf(x), (whole.cdf(x) - below) / (above - below), rtol=1e-6, atol=1e-12)
    assert cut.cdf(np.nextafter(low, -1)) == 0
    p = np.linspace(0.01, 0.99, 9)
    np.testing.assert_allclose(cut.cdf(cut.quantile(p)), p, rtol=1e-8)
    drawn = cut.sample(50_000)
    assert (drawn.min() >= low) & (drawn.max() <= high)
    edges = cut.quantile(np.arange(1, 10) / 10)
    counts = np.bincount(np.searchsorted(edges, drawn), minlength=10)
    assert ((counts - 5000) ** 2 / 5000).sum() < 40  # χ² with 9 degrees of freedom


def test_far_tails_survive_truncation():
    """Beyond 24 means of an exponential it begins anew."""
    cut = Exponential(10).truncated(20 * 10)
    p = np.array([0.01, 0.5, 0.99])
    np.testing.assert_allclose(cut.quantile(p), 200 - 10 * np.log1p(-p), rtol=1e-9)
    assert cut.sample(10_000).min() >= 200
    twice = Uniform(0, 100).truncated(10, 60).truncated(20, 90)
    assert twice.quantile([0, 0.5, 1]).tolist() == [20, 40, 60]


def test_mixtures():
    mixture = Mixture([(3, Uniform(0, 10)), (1, Mixture([(0.5, Fixed(20)), (0.5, Exponential(5))])), (0, Fixed(1e9))])
    x = np.array([0.0, 3.0, 10.0, 19.999, 20.0, 50.0])
    expected = 0.75 * np.clip(x / 10, 0, 1) + 0.125 * (x >= 20) + 0.125 * (1 - np.exp(-x / 5))
    np.testing.assert_allclose(mixture.cdf(x), expected, rtol=1e-12)
    p = np.array([0.01, 0.3, 0.6, 0.8, 0.999])
    at = mixture.quantile(p)
    assert (mixture.cdf(at) >= p - 1e-12).all()
    assert (mixture.cdf(at * (1 - 1e-9)) <= p).all()
    drawn = mixture.sample(400_000)
    counted = (drawn[:, np.newaxis] <= x).mean(axis=0)
    np.testing.assert_allclose(counted, expected, atol=4 * math.sqrt(0.25 / 400_000))
    cut = mixture.truncated(5, 20)
    inside = 0.375 + 0.125 + 0.125 * (math.exp(-1) - math.exp(-4))
    assert cut.cdf(10.0) == pytest.approx((0.375 + 0.125 * (math.exp(-1) - math.exp(-2))) / inside, rel=1e-9)
    assert (cut.sample(10_000) <= 20).all()
    assert Mixture([(1, Fixed(2))]).sample(3).tolist() == [2, 2, 2]


def test_what_was_measured():
    seen = [90.0, 60.0, 75.0, 60.0]
    measured = Empirical(seen)
    assert measured.values_s == (60, 60, 75, 90)
    assert measured.cdf([59, 60, 75, 89, 90]).tolist() == [0, 0.5, 0.75, 0.75, 1]
    assert measured.quantile([0, 0.5, 0.51, 0.75, 1]).tolist() == [60, 60, 75, 75, 90]
    drawn = measured.sample(400_000)
    assert set(drawn) == {60, 75, 90}
    assert (drawn == 60).mean() == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 400_000))
    assert measured.truncated(70, 80).quantile(0.5) == 75
    assert Empirical([dt.timedelta(minutes=1)]).values_s == (60,)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_measured_durations_keep_their_unit(unit):
    seconds = np.array([60, 90]).astype("timedelta64[s]")
    assert Empirical(seconds.astype(f"timedelta64[{unit}]")).values_s == (60, 90)


def test_fixed_and_degenerate():
    for given_ in (Fixed(7), Uniform(7, 7), Triangular(7, 7, 7), Pert(7, 7, 7), Lognormal(7, 7), Empirical([7])):
        assert given_.cdf([6.999, 7, 8]).tolist() == [0, 1, 1]
        assert given_.quantile([0, 0.5, 1]).tolist() == [7, 7, 7]
        assert set(given_.sample(100)) == {7}
        assert given_.truncated(7, 7).quantile(0.5) == 7
        assert estimate_recovery(Runbook([Step("a", given_, loadings={"f": 1})]), trials=100).rto.mean == 7


@given(
    low=st.floats(1, 100), first=st.floats(0.02, 0.98), width=st.floats(0.5, 500),
    confidence=st.sampled_from([0.5, 0.8, 0.9, 0.98]), kind=st.sampled_from([Triangular, Pert]),
)  # fmt: skip
def test_low_likely_high_come_back(low, first, width, confidence, kind):
    high, likely = low + width, low + first * width
    try:
        fitted = kind.from_quantiles(low, likely, high, confidence=confidence)
    except InvalidInput as error:
        assert "without negative durations" in str(error)  # noqa: PT017
        return
    tail = (1 - confidence) / 2
    assert fitted.cdf([low, high]) == pytest.approx([tail, 1 - tail], abs=0.005)
    assert fitted.likely_s == pytest.approx(likely, rel=1e-9)
    assert 0 <= fitted.low_s <= low
    assert fitted.high_s >= high


def test_fits_that_must_be_there_and_that_cannot_be():
    assert Pert.from_quantiles(100, 150, 250).weight == 4
    assert Pert.from_quantiles(4, 15, 40).weight != 4  # with 4 it would begin below 0
    assert Pert.from_quantiles(5, 5, 5) == Pert(5, 5, 5)
    for kind in (Triangular, Pert):
        for low, likely, high in ((0, 5, 10), (0, 0, 100), (0.001, 500, 501)):
            with clear_error(InvalidInput) as refused:
                kind.from_quantiles(low, likely, high, confidence=0.98)
            assert "must fit a distribution without negative durations" in str(refused.value)


@pytest.mark.parametrize("loadings", [(0.9, 0.8), (0.5, -0.7), (1.0, 1.0), (0.3, 0.0)])
def test_the_copula_has_the_stated_rank_correlation(loadings):
    """Draws of two steps, from trials one by one of runbooks that hold one of them alone."""
    stats = pytest.importorskip("scipy.stats")
    n = 4000
    pair = [
        Step("a", Lognormal(85, 150), loadings={"load": loadings[0]}),
        Step("b", Uniform(0, 10), loadings={"load": loadings[1]}),
    ]
    drawn = []
    for step in pair:
        asked = estimate_recovery(Runbook([step]), trials=1).asked
        drawn.append([asked.draw(i, 1)["clocks"][0]["least"] for i in range(n)])
    rho = 6 / math.pi * math.asin(loadings[0] * loadings[1] / 2)
    assert stats.spearmanr(*drawn).statistic == pytest.approx(rho, abs=4.5 / math.sqrt(n) + 1e-9)
    assert stats.kstest(drawn[0], stats.lognorm(math.log(150 / 85) / Z95, scale=85).cdf).pvalue > 1e-4
    assert stats.kstest(drawn[1], stats.uniform(0, 10).cdf).pvalue > 1e-4


def test_together_by_several_factors():
    """The sum of two normal-like steps that go together has the spread that their correlation gives."""
    both = {"f": 0.6, "g": 0.6}
    for loadings, rho in ((both, 0.72), ({}, 0.0), ({"f": 1.0}, 1.0)):
        steps = [Step("a", Gamma(1e5, 0.01), loadings=loadings), Step("b", Gamma(1e5, 0.01), ["a"], loadings=loadings)]
        found = estimate_recovery(Runbook(steps), trials=200_000)
        assert found.rto.sd == pytest.approx(math.sqrt(2 * (1 + rho)) * math.sqrt(10), rel=0.01)


def test_distributions_pickle_and_compare():
    for given_ in (Lognormal(1, 3), Truncated(Mixture([(1, Uniform(0, 1)), (2, Fixed(3))]), 0.5), Empirical([1, 2])):
        given_.quantile(0.5)
        again = pickle.loads(pickle.dumps(given_))
        assert again == given_
        assert (again.sample(100) == given_.sample(100)).all()
        assert hash(again) == hash(given_)


def log_likelihood(given, values, intervals):
    stats = pytest.importorskip("scipy.stats")
    ends = np.array(intervals, dtype=float)
    sigma = math.log(given.p95_s / given.median_s) / stats.norm.ppf(0.95)
    law = stats.lognorm(sigma, scale=given.median_s)
    return law.logpdf(values).sum() + np.log(law.cdf(ends[:, 1]) - law.cdf(ends[:, 0])).sum()


def test_a_lognormal_from_what_polls_saw():
    """No lognormal nearby makes the observations more likely; and of many it is the one they came from."""
    values, intervals = [62.0, 118.0, 85.0], [(20.5, 127.8), (60.0, 90.0), (100.0, math.inf), (0.0, 70.0)]
    found = Lognormal.from_observations(values, intervals)
    best = log_likelihood(found, values, intervals)
    for median in (0.98, 1, 1.02):
        for p95 in (0.98, 1, 1.02):
            other = Lognormal(found.median_s * median, found.p95_s * p95)
            assert log_likelihood(other, values, intervals) <= best + 1e-9
    drawn = Lognormal(85, 150).sample(4000, seed=3)
    polls = [(30 * math.floor(x / 30), 30 * math.floor(x / 30) + 30) for x in drawn]
    again = Lognormal.from_observations(intervals_s=polls)
    assert (again.median_s, again.p95_s) == (pytest.approx(85, rel=0.02), pytest.approx(150, rel=0.03))


@pytest.mark.parametrize(
    ("values", "intervals", "message"),
    [
        ([60], [], "values_s, intervals_s: must be at least two observations (got 1)"),
        ([60, 60], [], "values_s, intervals_s: must tell how durations vary: one duration fits all of these"),
        (
            [],
            [(10, 50), (20, 60)],
            "values_s, intervals_s: must tell how durations vary: one duration fits all of these",
        ),
        ([0, 5], [], "values_s: must be a finite duration of more than 0 seconds (got 0)"),
        ([], [(50, 10), (1, 2)], "intervals_s: must end after 50 s (got 10)"),
        ([], [5, 6], "intervals_s: must be pairs of seconds: after, by (got 5)"),
    ],
)
def test_observations_that_tell_nothing(values, intervals, message):
    with pytest.raises(InvalidInput) as error:
        Lognormal.from_observations(values, intervals)
    assert str(error.value).startswith(message)
