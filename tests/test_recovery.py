"""`estimate_recovery`: closed forms, the grid-convolution oracle, and intervals that hold as often as they say."""

import copy
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from oracles_recovery import Grid, SeriesParallel
from surgetank.recovery import (
    Branch,
    DataStore,
    Empirical,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Mixture,
    Recovery,
    Runbook,
    Step,
    Triangular,
    Uniform,
    estimate_recovery,
)

MILLION = 1_000_000
#: A million trials of one probability: its error exceeds this once in 15,000 times.
FOUR_SIGMA = 4 * math.sqrt(0.25 / MILLION)


def chain(**durations):
    names = [name.replace("_", " ") for name in durations]
    waits = [(), *([name] for name in names[:-1])]
    return [Step(n, d, after=a) for n, d, a in zip(names, durations.values(), waits, strict=True)]


FAILOVER = Runbook(chain(health_check=Fixed(90), dns=Uniform(60, 300), warm_up=Uniform(0, 300)))


def within(runbook, *targets, trials=MILLION, **more):
    found = estimate_recovery(runbook, also_s=targets, trials=trials, **more)
    return found, [found.rto.probability(t) for t in targets]


# What the issue asks for


def test_a_failover_by_dns_is_back_in_five_minutes_with_a_probability_of_five_in_32():
    found = estimate_recovery(FAILOVER, target_s=300, trials=MILLION)
    assert found.probability == pytest.approx(0.15625, abs=1e-3)
    low, high = found.interval
    assert low < 0.15625 < high
    assert high - low < 0.0015
    assert found.rto.mean == pytest.approx(420, abs=4 * found.rto.sd / 1000)
    assert found.rto.sd == pytest.approx(math.sqrt((240**2 + 300**2) / 12), rel=3e-3)
    assert 150 <= found.rto.least < 150 + 2
    assert 690 - 2 < found.rto.most <= 690
    assert found.never == 0


def test_all_at_their_minimum_takes_exactly_as_long():
    least = Runbook(chain(health_check=Fixed(90), dns=Fixed(60), warm_up=Fixed(0)))
    found = estimate_recovery(least, target_s=150, trials=10_000)
    assert found.probability == 1
    assert (found.rto.least, found.rto.most, found.rto.mean, found.rto.sd) == (150, 150, 150, 0)
    assert set(found.rto.quantile([0, 0.3, 0.5, 1])) == {150}
    assert set(found.rto.exact([0, 0.3, 0.5, 1])) == {150}
    assert estimate_recovery(least, target_s=math.nextafter(150, 0) - 1e-9, trials=1000).probability == 0
    assert found.rto.quantile_interval(0.5) == (150, 150)


@pytest.mark.parametrize(("minutes", "onset", "detection"), [((5, 35, 10), 50, 45), ((2, 4, 3), 9, 7)])
def test_clocks_from_onset_and_from_detection(minutes, onset, detection):
    detect, fix, verify = (60 * m for m in minutes)
    steps = chain(detect=Fixed(detect), fix=Fixed(fix), verify=Fixed(verify))
    book = Runbook(steps, detection="detect", declaration="fix")
    found = estimate_recovery(book, clock="detection", target_s=60 * detection, trials=1000)
    assert found.probability == 1
    assert found.clocks["onset"].mean == 60 * onset
    assert found.rto.mean == found.clocks["detection"].mean == 60 * detection
    assert found.clocks["declaration"].mean == verify
    assert estimate_recovery(book, target_s=60 * onset - 1, trials=1000).probability == 0


def test_daily_snapshots_lose_at_most_an_hour_once_in_24():
    book = Runbook([Step("restore", 600)], stores=[DataStore("snapshots", Uniform(0, 86400))])
    found = estimate_recovery(book, target_s=600, rpo_target_s=3600, trials=MILLION)
    assert found.rpo_probability == pytest.approx(1 / 24, abs=1e-3)
    assert found.both_probability == found.rpo_probability
    assert found.stores["snapshots"].mean == pytest.approx(43200, rel=0.003)
    assert found.rpo.mean == found.stores["snapshots"].mean


def test_the_worst_store_is_the_rpo_and_copies_add_up():
    lags = {"a": Uniform(0, 100), "b": Uniform(0, 50)}
    book = Runbook([Step("x", Uniform(0, 10))], stores=[DataStore(n, lag, Fixed(7)) for n, lag in lags.items()])
    found = estimate_recovery(book, target_s=5, rpo_target_s=47, also_s=[27], trials=MILLION)
    assert found.rpo_probability == pytest.approx(0.4 * 0.8, abs=FOUR_SIGMA)
    assert found.both_probability == pytest.approx(0.5 * 0.4 * 0.8, abs=FOUR_SIGMA)
    assert found.stores["a"].probability(27) == pytest.approx(0.2, abs=FOUR_SIGMA)
    assert found.stores["b"].probability(27) == pytest.approx(0.4, abs=FOUR_SIGMA)
    assert found.rpo.probability(27) == pytest.approx(0.08, abs=FOUR_SIGMA)


# Closed forms


def test_sums_of_gammas_and_of_exponentials_are_gammas():
    stats = pytest.importorskip("scipy.stats")
    at = [20.0, 60.0, 120.0, 240.0]
    _, some = within(Runbook(chain(a=Gamma(2.5, 20), b=Gamma(1.25, 20), c=Gamma(0.5, 20))), *at)
    assert some == pytest.approx(stats.gamma(4.25, scale=20).cdf(at), abs=FOUR_SIGMA)
    _, some = within(Runbook(chain(a=Exponential(30), b=Exponential(30), c=Exponential(30))), *at)
    assert some == pytest.approx(stats.gamma(3, scale=30).cdf(at), abs=FOUR_SIGMA)


def test_side_by_side_the_last_or_the_first_counts():
    at = (30.0, 60.0, 90.0)
    steps = [Step(f"u{i}", Uniform(0, 100)) for i in range(5)]
    _, all_of = within(Runbook(steps), *at)
    assert all_of == pytest.approx([(t / 100) ** 5 for t in at], abs=FOUR_SIGMA)
    first = Step("first", 0, after=[s.name for s in steps], join="any")
    _, any_of = within(Runbook([*steps, first]), *at)
    assert any_of == pytest.approx([1 - (1 - t / 100) ** 5 for t in at], abs=FOUR_SIGMA)


def test_retries_are_a_geometric_mixture():
    """10 s an attempt, 5 s between: after k failures 10 + 15·k; after the fourth it never comes, or 100 s later."""
    book = Runbook([Step("try", 10, failure=0.3, retries=3, retry_after=5)])
    found, some = within(book, 10, 25, 40, 55, 1e6)
    assert some == pytest.approx([0.7, 0.91, 0.973, 0.9919, 0.9919], abs=FOUR_SIGMA)
    assert found.never == pytest.approx(0.3**4, abs=FOUR_SIGMA)
    mean = sum(0.7 * 0.3**k * (10 + 15 * k) for k in range(4)) / (1 - 0.3**4)
    assert found.rto.mean == pytest.approx(mean, abs=4 * found.rto.sd / 1000)
    other = Runbook([Step("try", 10, failure=0.3, retries=3, retry_after=5, fallback="else"), Step("else", 100)])
    found, some = within(other, 55, 154, 155)
    assert some == pytest.approx([0.9919, 0.9919, 1.0], abs=FOUR_SIGMA)
    assert found.never == 0
    assert found.rto.most == 155


def test_retries_of_exponentials_in_closed_form():
    """A geometric number of exponential attempts is exponential: the rate is thinned."""
    book = Runbook([Step("try", Exponential(60), failure=0.5, retries=60)])
    _, some = within(book, 60.0, 240.0, 600.0)
    assert some == pytest.approx([1 - math.exp(-t / 120) for t in (60, 240, 600)], abs=FOUR_SIGMA)


def test_extremes_of_failure():
    for failure, never in ((0, 0.0), (1, 1.0)):
        found = estimate_recovery(Runbook([Step("try", 1, failure=failure, retries=2)]), target_s=9, trials=10_000)
        assert (found.never, found.probability) == (never, 1 - never)
    assert math.isnan(found.rto.mean)
    assert found.rto.quantile(0.5) == found.rto.exact(0.5) == math.inf
    fallbacks = [Step("a", 1, failure=1, fallback="b"), Step("b", 2, failure=1, fallback="c"), Step("c", 4)]
    assert estimate_recovery(Runbook(fallbacks), trials=1000).rto.mean == 7


def test_branches_take_one_option():
    book = Runbook([
        Step("find out", 10),
        Branch("cause", {"disk": 0.25, "network": 0.75}, after="find out"),
        Step("replace", 100, after="cause:disk"),
        Step("reroute", 20, after="cause:network"),
        Step("verify", 1, after=["replace", "reroute"]),
    ])  # fmt: skip
    found, some = within(book, 31, 111)
    assert some == pytest.approx([0.75, 1], abs=FOUR_SIGMA)
    assert set(found.rto.exact([0.1, 0.9])) == {31, 111}
    assert found.steps["replace"]["ran"] == pytest.approx(0.25, abs=0.02)


def test_a_step_of_a_branch_that_was_skipped_is_skipped_though_something_else_was_done():
    """ "u" can only be taken where "inner" is asked: a quarter of the trials."""
    book = Runbook([
        Step("a", 1),
        Branch("outer", {"x": 0.5, "y": 0.5}),
        Branch("inner", {"u": 0.5, "v": 0.5}, after="outer:x"),
        Step("s", 10, after=["a", "inner:u"]),
        Step("end", 0, after=["a", "s"]),
    ])  # fmt: skip
    assert within(book, 1)[1] == pytest.approx([0.75], abs=FOUR_SIGMA)


# The grid


def smooth(random):
    """A duration, and its distribution in closed form; every third is fixed."""
    low = float(random.integers(0, 40))
    width = float(random.integers(10, 200))
    kind = random.integers(4)
    if kind == 0:
        return low + width, None
    if kind == 1:
        return Uniform(low, low + width), lambda t: np.clip((t - low) / width, 0, 1)
    if kind == 2:
        return Exponential(width), lambda t: 1 - np.exp(-t / width)
    mode = float(random.integers(1, width))

    def cdf(t):
        x = np.clip(t - low, 0, width)
        return np.where(x < mode, x * x / (width * mode), 1 - (width - x) ** 2 / (width * (width - mode)))

    return Triangular(low, low + mode, low + width), cdf


@pytest.mark.parametrize("seed", range(24))
def test_random_series_parallel_graphs_are_what_the_grid_says(seed):
    random = np.random.default_rng(seed)
    grid = Grid(1.0, 8192)
    world = SeriesParallel(random, grid, smooth)
    _, mass = world.part([], 3)
    order = random.permutation(len(world.steps))
    book = Runbook([world.steps[i] for i in order])
    assert_on_grid(book, grid, mass, trials=200_000)


def assert_on_grid(book, grid, mass, trials):
    cdf = grid.cdf(mass)
    at = np.unique(np.searchsorted(cdf, cdf[-1] * np.array([0.02, 0.2, 0.5, 0.8, 0.98])))
    found, some = within(book, *grid.edges[at], trials=trials, seed=9)
    tolerance = 4.5 * np.sqrt(cdf[at] * (1 - cdf[at]) / trials) + 2e-4
    assert (np.abs(np.array(some) - cdf[at]) < tolerance).all(), (some, cdf[at])
    assert found.rto.finite / trials == pytest.approx(cdf[-1], abs=1e-3 + 4.5 * math.sqrt(0.25 / trials))


def test_distributions_without_closed_form_on_the_grid():
    stats = pytest.importorskip("scipy.stats")
    lognormal = stats.lognorm(math.log(150 / 85) / stats.norm.ppf(0.95), scale=85)
    pairs = [(Gamma(2.5, 30), stats.gamma(2.5, scale=30).cdf), (Lognormal(85, 150), lognormal.cdf)]
    for seed in range(4):
        grid = Grid(1.0, 16384)
        world = SeriesParallel(np.random.default_rng(seed), grid, lambda r: pairs[r.integers(2)], ("all", "any"))
        _, mass = world.part([], 3)
        assert_on_grid(Runbook(world.steps), grid, mass, trials=500_000)


# Intervals


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 1,000 seeds: Wilson's of a probability, that of the mean, that of the median by order statistics."""
    held = np.zeros(3)
    for seed in range(1000):
        found = estimate_recovery(FAILOVER, target_s=300, trials=2000, seed=seed)
        ends = (found.interval, found.rto.mean_interval, found.rto.quantile_interval(0.5))
        held += [low <= truth <= high for (low, high), truth in zip(ends, (0.15625, 420, 420), strict=True)]
    assert 935 <= held[0] <= 965
    assert 930 <= held[1] <= 970
    assert 930 <= held[2] <= 980


def test_intervals_at_the_edges():
    stats = pytest.importorskip("scipy.stats")
    for target, trials in ((150, 500), (690, 500), (200, 7), (420, 1)):
        found = estimate_recovery(FAILOVER, target_s=target, trials=trials, confidence=0.99)
        hits = round(found.probability * trials)
        wilson = stats.binomtest(hits, trials).proportion_ci(0.99, method="wilson")
        assert found.interval == pytest.approx(tuple(wilson), abs=1e-12)


def test_exact_order_statistics_and_quantiles_from_bins():
    found = estimate_recovery(FAILOVER, trials=40_000, first=777, seed=3)
    some = np.array([found.asked.draw(777 + i, 1)["clocks"][0]["least"] for i in range(3000)])
    few = estimate_recovery(FAILOVER, trials=3000, first=777, seed=3)
    p = np.arange(1, 3001) / 3000
    assert (few.rto.exact(p) == np.sort(some)).all()
    grid = np.linspace(0.001, 0.999, 400)
    np.testing.assert_allclose(found.rto.quantile(grid), found.rto.exact(grid), rtol=0.004)
    assert found.rto.exact(0) == found.rto.least
    assert found.rto.exact(1) == found.rto.most
    np.testing.assert_allclose(found.rto.cdf(found.rto.exact(grid)), grid, atol=0.01)


def test_auto_draws_as_many_trials_as_the_width_asks_for():
    found = estimate_recovery(FAILOVER, target_s=300, trials="auto", width=0.004)
    low, high = found.interval
    assert 0.003 < high - low <= 0.004
    assert low < 0.15625 < high


def test_criticality_and_contributions():
    """Of two side by side, 0–100 and 0–50 s: the second decides in a quarter; what decides adds up to the mean."""
    book = Runbook([Step("a", Uniform(0, 100)), Step("b", Uniform(0, 50)), Step("c", 10, after=["a", "b"])])
    found = estimate_recovery(book, trials=16_384)
    steps = found.steps
    assert steps["b"]["criticality"] == pytest.approx(0.25, abs=0.015)
    assert steps["a"]["criticality"] + steps["b"]["criticality"] == pytest.approx(1)
    assert steps["c"]["criticality"] == 1
    assert steps.contribution_s.sum() == pytest.approx(found.rto.mean, abs=0.002)
    what_if = found.what_if(trials=10_000)
    assert what_if.steps[0] == "a"
    assert what_if.base.rto.mean - what_if.changed[0].rto.mean == pytest.approx(100 * 13 / 24 - 25, rel=0.05)


def test_among_any_options_are_alternatives():
    ways = [Branch("a", {"x": 0.5, "y": 0.5}), Branch("b", {"x": 0.5, "y": 0.5})]
    either = estimate_recovery(Runbook([*ways, Step("s", 10, ["a:x", "b:x"], join="any")], done=["s"]), trials=100_000)
    both = estimate_recovery(Runbook([*ways, Step("s", 10, ["a:x", "b:x"])], done=["s"]), trials=100_000)
    assert either.never == pytest.approx(0.25, abs=0.006)
    assert both.never == pytest.approx(0.75, abs=0.006)


def test_an_option_without_a_step_is_an_end():
    book = Runbook([Branch("real", {"false alarm": 0.3, "real": 0.7}, after=["look"]), Step("look", 5),
                    Step("fix", 600, "real:real")])  # fmt: skip
    found = estimate_recovery(book, trials=100_000, target_s=5)
    assert found.never == 0
    assert found.probability == pytest.approx(0.3, abs=0.006)


def test_a_factor_chooses_the_part_of_a_mixture():
    """A bad night makes both take the long way: as the same durations measured, not as if nothing were shared."""
    mixed = Mixture([(0.2, Fixed(7200)), (0.8, Fixed(300))])
    steps = [Step("a", mixed, loadings={"night": 1.0}), Step("b", mixed, "a", loadings={"night": 1.0})]
    assert estimate_recovery(Runbook(steps), target_s=600, trials=100_000).probability == pytest.approx(0.8, abs=0.006)
    wide = Mixture([(0.5, Uniform(100, 200)), (0.5, Uniform(0, 100))])
    steps = [Step("a", wide, loadings={"night": 0.8}), Step("b", Uniform(0, 200), loadings={"night": 0.8})]
    found = estimate_recovery(Runbook(steps), target_s=100, trials=200_000)
    plain = [replace(steps[1], name="a"), steps[1]]
    same = estimate_recovery(Runbook(plain), target_s=100, trials=200_000)
    assert found.probability == pytest.approx(same.probability, abs=0.001)


def test_no_draw_lies_outside_its_bounds():
    """A triangle whose mode is its end: the last digit of a float must not leave it."""
    for high in (0.07, 0.14, 0.28, 1.12, 199.99):
        step = Runbook([Step("a", Triangular(0, 0, high))])
        for first in (0, 2**23):
            found = estimate_recovery(step, trials=2**22, first=first)
            assert found.never == 0
            assert 0 <= found.rto.least <= found.rto.most <= high


def test_a_probability_between_fixed_durations_is_counted():
    """A bin of the histogram tells nothing of what lies on either side within it."""
    book = Runbook([
        Branch("which", {"short": 0.3, "edge": 0.2, "long": 0.5}),
        Step("a", 60, after=["which:short"]),
        Step("b", 64, after=["which:edge"]),  # where a bin begins
        Step("c", 90, after=["which:long"]),
        Step("d", 1, after=["which:long"]),
    ], stores=[DataStore("copy", Empirical([5, 5, 5, 7]))])  # fmt: skip
    whole = estimate_recovery(book, trials=20_000)
    parts = Recovery.merge([estimate_recovery(book, trials=10_000, first=first) for first in (0, 10_000)])
    asked = estimate_recovery(book, trials=20_000, also_s=[59.9, 60, 60.1, 63.9, 64, 89.999, 90, 5, 6])
    for found in (whole, parts, pickle.loads(pickle.dumps(whole))):
        for t in (59.9, 60, 60.1, 63.9, 64, 89.999, 90):
            assert found.rto.probability(t) == asked.rto.probability(t)
            assert found.rto.interval(t) == asked.rto.interval(t)
        for t in (5, 6):
            assert found.rpo.probability(t) == found.stores["copy"].probability(t) == asked.rpo.probability(t)
    assert asked.rto.probability(60) == pytest.approx(0.3, abs=0.02)
    alone = pickle.loads(pickle.dumps(whole.rto))  # of which the trials cannot be drawn again
    low, high = alone.interval(60)
    assert low <= whole.rto.probability(60) <= high
    smooth = estimate_recovery(Runbook([Step("a", Uniform(0, 300))]), trials=20_000)
    assert smooth.rto.probability(100) == smooth.rto.cdf(100)


def test_a_sum_of_decimal_fractions_is_in_time_whether_asked_before_or_after():
    third = Runbook([Step("a", 0.1), Step("b", 0.2, "a"), Step("c", Empirical([0, 5]), "b")], detection="a")
    last = Runbook([Step("a", Empirical([0.5, 1.0]))], stores=[DataStore("copy", 0.1, 0.2)])
    for book, at in ((third, 0.3), (third, 0.2), (last, 0.7 + 0.2 + 0.1), (last, 0.3)):
        found, asked = (estimate_recovery(book, trials=20_000, also_s=also) for also in ([], [at]))
        times = zip((*found.clocks.values(), *found.stores.values()),
                    (*asked.clocks.values(), *asked.stores.values()), strict=True)  # fmt: skip
        for one, other in times:
            assert (one.probability(at), one.interval(at)) == (other.probability(at), other.interval(at))


@pytest.mark.parametrize("target", [2.0**30, 2.0**31, 1e299, 1e300, 1.7e308])
def test_what_never_ends_meets_no_target_however_far_off(target):
    some = Runbook([Step("a", 1, failure=0.5)], stores=[DataStore("copy", 2.0**31)])
    beyond = Runbook([Step("a", 2.0**29), Step("b", 2.0**29, "a"), Step("c", 2.0**29, "b")])
    found = estimate_recovery(some, trials=1000, target_s=target, rpo_target_s=target)
    assert (found.probability, found.rpo_probability, found.both_probability) == (1 - found.rto.never, 0, 0)
    assert estimate_recovery(beyond, trials=1000, target_s=target).probability == 0
    assert estimate_recovery(beyond, trials=1000).rto.probability(target) == 0


def test_times_are_themselves_when_they_are_copied():
    times = estimate_recovery(Runbook([Step("a", Empirical([100.1, 100.2]))]), trials=20_000).rto
    assert copy.copy(times).probability(100.15) == copy.deepcopy(times).probability(100.15) == times.probability(100.15)
