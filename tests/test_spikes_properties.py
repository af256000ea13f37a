"""What holds of AdaptiveDetector on any series, long enough for it to have begun to judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgetank import AdaptiveDetector, RollingSigma, detect_spikes

PER_SAMPLE = ("flags", "scores", "likelihood", "ratios")
PER_SERIES = ("count", "p95_ratio", "max_ratio")
STEPS = st.sampled_from([900, 3600.0, 7200, 86400])  # a day of at most 96 samples, which are not judged
DETECTORS = st.builds(AdaptiveDetector, st.sampled_from(["both", "up"]), st.sampled_from([0.3, 1.0, 1.5, 2.5]))
MORE = settings(max_examples=60)


@st.composite
def usages(draw, least=1, most=4):
    """(T, N): noise or steps of a drawn seed, and samples of any kind wherever Hypothesis likes them."""
    length, n = draw(st.integers(120, 400)), draw(st.integers(least, most))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    base = draw(st.sampled_from(["noise", "season", "counter", "constant", "walk"]))
    t = np.arange(length)[:, None]
    usage = {
        "noise": lambda: random.lognormal(3, 0.5, (length, n)),
        "season": lambda: 100 + 40 * np.sin(2 * np.pi * t / 24) + random.normal(size=(length, n)),
        "counter": lambda: random.poisson(0.1, (length, n)) * random.integers(1, 500, (length, n)).astype(float),
        "constant": lambda: np.full((length, n), 7.25),
        "walk": lambda: np.cumsum(random.normal(size=(length, n)), axis=0),
    }[base]()
    samples = st.floats(-1e6, 1e6, width=32).map(lambda x: x if abs(x) > 1e-6 else 0.0) | st.just(np.nan)
    places = st.tuples(st.integers(0, length - 1), st.integers(0, n - 1))
    for place, sample in draw(st.dictionaries(places, samples, max_size=12)).items():
        usage[place] = sample
    first = draw(st.integers(0, length - 1))
    if draw(st.booleans()):
        usage[first : first + draw(st.integers(0, 50)), 0] = np.nan
    return usage


def same(a, b, names=(*PER_SAMPLE, *PER_SERIES)):
    """Equal bits, NaN included."""
    for name in names:
        got, expected = (np.ascontiguousarray(getattr(x, name)) for x in (a, b))
        assert got.tobytes() == expected.tobytes(), name


def test_the_series_of_these_properties_are_judged():
    """Otherwise they would hold of nothing: most have a score, many a spike."""
    scored, flagged = [], []

    @settings(max_examples=60, database=None)
    @given(usages(), STEPS)
    def look(usage, step_s):
        found = detect_spikes(usage, step_s=step_s)
        scored.append((np.nan_to_num(found.scores) > 0).any())
        flagged.append(found.count.sum() > 0)

    look()
    assert np.mean(scored) > 0.5
    assert np.mean(flagged) > 0.2


@MORE
@given(usages(), st.integers(-300, 300), DETECTORS, STEPS)
def test_scaling_by_a_power_of_two_changes_no_bit(usage, power, detector, step_s):
    scaled = detect_spikes(np.ldexp(usage, power), detector=detector, step_s=step_s)
    same(scaled, detect_spikes(usage, detector=detector, step_s=step_s))


@MORE
@given(usages(), STEPS)
def test_upside_down_is_the_same_to_whom_looks_both_ways(usage, step_s):
    """Ranks are kept by sign, and each sign by itself: negative usage changes no score, and no ratio to the mean."""
    same(detect_spikes(-usage, step_s=step_s), detect_spikes(usage, step_s=step_s))


@MORE
@given(usages(), DETECTORS, STEPS, st.data())
def test_only_the_past_is_looked_at(usage, detector, step_s, data):
    """What came later, or another future, changes nothing that was said: no sample can be judged again."""
    cut = data.draw(st.integers(1, len(usage)))
    whole = detect_spikes(usage, detector=detector, step_s=step_s)
    other = usage.copy()
    other[cut:] = data.draw(st.sampled_from([0.0, np.nan, 1e300, -5.0]))
    for usage_since in (usage[:cut], other):
        found = detect_spikes(usage_since, detector=detector, step_s=step_s)
        for name in PER_SAMPLE:
            assert getattr(found, name)[:cut].tobytes() == getattr(whole, name)[:cut].tobytes(), name


@MORE
@given(usages(2, 12), DETECTORS, STEPS, st.randoms(use_true_random=False))
def test_series_do_not_know_each_other(usage, detector, step_s, random):
    order = random.sample(range(usage.shape[1]), usage.shape[1])
    plain, moved = (detect_spikes(u, detector=detector, step_s=step_s) for u in (usage, usage[:, order]))
    for name in (*PER_SAMPLE, *PER_SERIES):
        np.testing.assert_array_equal(getattr(moved, name), getattr(plain, name)[..., order], err_msg=name)
    alone = detect_spikes(usage[:, 0], detector=detector, step_s=step_s)
    np.testing.assert_array_equal(alone.scores, plain.scores[:, 0])


@MORE
@given(usages(), DETECTORS, STEPS)
def test_missing_samples_alone_have_no_score_and_never_a_flag(usage, detector, step_s):
    found = detect_spikes(usage, detector=detector, step_s=step_s)
    missing = np.isnan(usage)
    np.testing.assert_array_equal(np.isnan(found.scores), missing)
    np.testing.assert_array_equal(np.isnan(found.likelihood), missing)
    assert not found.flags[missing].any()
    assert np.isfinite(found.scores[~missing]).all()
    assert ((found.likelihood[~missing] >= 0) & (found.likelihood[~missing] <= 1)).all()
    assert (np.isnan(found.ratios) >= missing).all()
    np.testing.assert_array_equal(found.count, found.flags.sum(axis=0))
    for e in found.episodes:
        assert not np.isnan(usage[e.start : e.end, e.index[0]]).any()
        assert e.peak == usage[e.start : e.end, e.index[0]].max()


@MORE
@given(usages(), DETECTORS, st.integers(1, 3), st.data())
def test_days_without_samples_change_one_likelihood(usage, detector, days, data):
    """A missing sample changes nothing but the time of day, and whole days not even that.

    The first sample after an hour without any is judged without the one before it. Flags and scores may change more: a
    spike begins ten hours after the last one at the earliest, and those pass.
    """
    cut = data.draw(st.integers(0, len(usage)))
    pause = np.full((24 * days, usage.shape[1]), np.nan)
    whole = detect_spikes(usage, detector=detector, step_s=3600)
    paused = detect_spikes(np.concatenate([usage[:cut], pause, usage[cut:]]), detector=detector, step_s=3600)
    for name in ("likelihood", "ratios"):
        joined = np.delete(getattr(paused, name), slice(cut, cut + 24 * days), axis=0)
        expected = getattr(whole, name).copy()
        for column in range(usage.shape[1]):
            after = cut + np.flatnonzero(~np.isnan(usage[cut:, column]))[:1]
            if name == "likelihood":
                joined[after, column] = expected[after, column] = 0
        np.testing.assert_array_equal(joined, expected, err_msg=name)


@MORE
@given(usages(), STEPS)
def test_looking_up_alone_is_never_more_surprised(usage, step_s):
    """Sample by sample. Not so of flags: who was not surprised before is less used to surprises."""
    both, up = (detect_spikes(usage, step_s=step_s, detector=AdaptiveDetector(d)) for d in ("both", "up"))
    observed = ~np.isnan(usage)
    assert (up.likelihood[observed] <= both.likelihood[observed] + 1e-15).all()
    np.testing.assert_array_equal(up.ratios, both.ratios)


@MORE
@given(usages(), STEPS, st.floats(0.05, 5), st.floats(0.05, 5))
def test_the_threshold_changes_no_likelihood(usage, step_s, low, high):
    """It decides what is called a spike, not what is learnt; and at a lower one the first spike comes no later."""
    low, high = sorted((low, high))
    more, less = (detect_spikes(usage, step_s=step_s, detector=AdaptiveDetector(threshold=h)) for h in (low, high))
    np.testing.assert_array_equal(more.likelihood, less.likelihood)
    np.testing.assert_array_equal(more.ratios, less.ratios)
    first = [np.where(f.flags.any(axis=0), f.flags.argmax(axis=0), len(usage)) for f in (more, less)]
    assert (first[0] <= first[1]).all()


@MORE
@given(usages(), STEPS)
def test_a_spike_begins_where_the_score_reaches_the_threshold(usage, step_s):
    threshold, found = AdaptiveDetector().threshold, detect_spikes(usage, step_s=step_s)
    decades, quiet = -np.log10(np.maximum(1 - found.likelihood, 1e-14)), max(3, 120 * 300 / step_s)
    free = 1 + round(86400 / step_s + quiet)  # from here on nothing of the first day is waited for
    last = {}
    for e in found.episodes:
        at, scores = e.index[0], found.scores[:, e.index[0]]
        cut = e.start > 0 and np.isnan(usage[e.start - 1, at])  # may be the rest of one that a missing sample has cut
        if not cut:
            assert scores[e.start] >= threshold
        if not cut and at in last and e.start - last[at].start <= quiet:
            of_last = decades[last[at].start : last[at].end, at]
            assert decades[e.start, at] >= min(np.nanmax(of_last) + 0.45, 13)  # a likelihood holds no more
        if at not in last:
            assert not (scores[free : e.start] >= threshold).any()
        last[at] = e
    for at in np.flatnonzero(found.count == 0):
        assert not (found.scores[free:, at] >= threshold).any()


@pytest.mark.parametrize("detector", [AdaptiveDetector(), RollingSigma(window=24)], ids=lambda d: d.name)
@given(usages())
def test_no_output_changes_another(detector, usage):
    everything = detect_spikes(usage, detector=detector)
    for name in PER_SAMPLE:
        same(detect_spikes(usage, detector=detector, outputs=name), everything, (name, *PER_SERIES))
    same(detect_spikes(usage, detector=detector, outputs=()), everything, PER_SERIES)
