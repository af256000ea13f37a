"""Spikes: hand-worked windows, the slow twin, hard numbers, what goes in and what comes out."""

import dataclasses
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from oracles import rolling_sigma
from surgetank import AdaptiveDetector, InvalidInput, RollingSigma, _core, detect_spikes
from surgetank.spikes.detect import OUTPUTS

RULES = (
    RollingSigma(),
    RollingSigma(window=2, threshold=0.5),
    RollingSigma(window=7, threshold=1.5, exclude_current=True),
    RollingSigma(window=33, threshold=2.5),
    RollingSigma(window=144, threshold=3.0, exclude_current=True),
)
CLASSIC = RollingSigma()
BOTH = pytest.mark.parametrize("detector", [CLASSIC, AdaptiveDetector()], ids=lambda detector: detector.name)
PER_SAMPLE = ("flags", "scores", "likelihood", "ratios")


def series(seed, length=400, missing=0.1):
    random = np.random.default_rng(seed)
    usage = 100 * random.lognormal(sigma=0.5, size=length)
    usage[random.random(length) < missing] = np.nan
    return usage


def spiky_block():
    """(400, 6) with what either detector calls a spike."""
    block = np.stack([series(s, 400) for s in range(6)], axis=1)
    block[350, ::2] = 1e5
    return block


def check_twin(usage, rule=None, *, exact=False):
    """Equal to 1e-12, and where samples are all alike to what double leaves of their deviations."""
    rule = RollingSigma() if rule is None else rule
    found, twin = detect_spikes(usage, detector=rule), rolling_sigma(usage, **vars(rule), exact=exact)
    np.testing.assert_array_equal(found.flags, twin["flags"])
    for name in ("ratios", "p95_ratio", "max_ratio"):
        np.testing.assert_allclose(getattr(found, name), twin[name], rtol=1e-12, err_msg=name)
    tolerance = 1e-12 + 16 * np.finfo(float).eps * np.nan_to_num(twin["digits_lost"])
    for name in ("scores", "likelihood"):
        got, expected = getattr(found, name), twin[name]
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected), err_msg=name)
        with np.errstate(invalid="ignore"):  # both infinite
            off = np.abs(np.where(got == expected, 0.0, got - expected))
            expected = np.where(np.isinf(expected), 0.0, expected)
        assert np.nanmax(off / (tolerance * np.maximum(1, np.abs(expected))), initial=0) <= 1, name
    assert found.count == twin["count"]
    assert [(e.start, e.end, e.peak) for e in found.episodes] == [e[:3] for e in twin["episodes"]]
    np.testing.assert_allclose([e.ratio for e in found.episodes], [e[3] for e in twin["episodes"]], rtol=1e-12)


def same(a, b):
    for name in (*PER_SAMPLE, "count", "p95_ratio", "max_ratio"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_one_outlier_worked_by_hand():
    found = detect_spikes([5.0] * 9 + [50.0] + [5.0], detector=CLASSIC)
    assert found.flags.tolist() == [False] * 9 + [True, False]
    assert found.ratios[9] == pytest.approx(50 / 9.5, rel=1e-15)
    assert found.scores[9] == pytest.approx(9 / 10**0.5, rel=1e-15)  # the highest a window of 10 allows
    assert np.isnan(found.scores[:9]).all()
    (episode,) = found.episodes
    assert (episode.start, episode.end, episode.peak, episode.start_time) == (9, 10, 50.0, None)
    assert (found.count, found.p95_ratio, found.max_ratio) == (1, episode.ratio, episode.ratio)


def test_p95_is_linear_interpolated():
    usage = np.ones(200)
    usage[[20, 60, 100, 140, 180]] = [10, 20, 30, 40, 50]
    found = detect_spikes(usage, detector=CLASSIC)
    assert found.count == 5
    assert found.p95_ratio == pytest.approx(np.quantile(found.ratios[found.flags], 0.95), rel=1e-15)


def test_nothing_flagged_has_no_ratio():
    found = detect_spikes(np.linspace(10, 11, 50), detector=RollingSigma(threshold=2.8))
    assert found.count == 0
    assert np.isnan([found.p95_ratio, found.max_ratio]).all()
    assert found.episodes == ()


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("missing", [0.0, 0.01, 0.4, 1.0])
def test_equals_the_twin(rule, missing):
    for seed in range(4):
        check_twin(series(seed, missing=missing), rule)


@pytest.mark.parametrize("length", [1, 2, 9, 10, 11, 20, 21])
def test_equals_the_twin_at_short_lengths(length):
    check_twin(series(0, length, 0.0))


# Expected are exact fractions: what a running sum would leave behind, or the square of a value, must not matter.
HARD = {
    "after an outlier of 1e9": np.r_[series(0, 80, 0.0), 1e9, series(1, 120, 0.0)],
    "after an outlier, with gaps": np.r_[series(0, 80), 1e9, series(1, 120)],
    "between outliers of 1e15": np.r_[series(0, 50, 0.0), 1e15, series(1, 50, 0.0), -1e15, series(2, 50, 0.0)],
    "1e300": series(3, 150) * 1e300 / 1e3,
    "1e-300": series(4, 150) * 1e-300,
    "1e-310, subnormal": series(4, 150) * 1e-312,
    "around 1e-139": series(4, 150) * 1e-139,
    "1e300 beside 1e-300": np.where(np.arange(150) % 40 < 20, 1e-300, 1e300) * series(5, 150),
    "1e-200 after 1": np.r_[1.0, series(6, 150) * 1e-200],
    "ordinary after 1e-200": np.r_[series(6, 50) * 1e-200, series(7, 100)],
    "1e9 and noise": 1e9 + np.random.default_rng(0).normal(size=200),
    "1e9 and noise, with gaps": 1e9 + np.where(np.arange(200) % 7, np.random.default_rng(0).normal(size=200), np.nan),
    "constant": np.full(60, 0.1),
    "near-constant counter": np.r_[np.full(40, 1e6), 1e6 + 1, np.full(40, 1e6)],
    "integers of both signs": np.random.default_rng(8).integers(-3, 4, 400).astype(float),
}


@pytest.mark.parametrize("rule", [RollingSigma(), RollingSigma(window=6, threshold=1.7, exclude_current=True)], ids=str)
@pytest.mark.parametrize("name", HARD)
def test_hard_numbers_equal_exact_arithmetic(name, rule):
    check_twin(HARD[name], rule, exact=True)


def test_real_data_equals_the_twin(shared_data):
    for file in sorted(shared_data.glob("nab/*/*.csv"))[:12]:
        # Exactly: NumPy's deviation of ten equal samples is not 0 for every number.
        check_twin(np.genfromtxt(file, delimiter=",", skip_header=1, usecols=1)[:400], exact=True)


@pytest.fixture(scope="module")
def block():
    return spiky_block()


def test_defaults_are_the_cores():
    core = _core.RollingSigmaOptions()
    visible = {f.name: f.default for f in dataclasses.fields(RollingSigma)}
    assert visible == {name: getattr(core, name) for name in visible}


@BOTH
@pytest.mark.parametrize("asked", OUTPUTS)
def test_only_what_was_asked_for_is_there(asked, detector):
    found = detect_spikes(series(0), outputs=asked, detector=detector)
    getattr(found, asked)
    for name in set(OUTPUTS) - {asked, "episodes"}:
        with pytest.raises(InvalidInput, match=rf"^{name}: was not asked for; add it to outputs= \(got outputs="):
            getattr(found, name)


@BOTH
def test_no_outputs_hold_no_arrays(detector):
    found = detect_spikes(np.ones((5000, 4)), outputs=(), detector=detector)
    assert len(pickle.dumps(found)) < 2000
    assert found.count.tolist() == [0] * 4


@BOTH
def test_results_are_frozen_readonly_and_picklable(block, detector):
    found = detect_spikes(block, detector=detector)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.count = 3
    for name in (*PER_SAMPLE, "count", "p95_ratio", "max_ratio"):
        assert not getattr(found, name).flags.writeable, name
    back = pickle.loads(pickle.dumps(found))
    same(back, found)
    assert back.episodes == found.episodes
    assert str(back) == str(found)


@BOTH
def test_results_can_be_compared_and_hashed(block, detector):
    """A frozen dataclass invites both: results are equal to themselves, and NumPy's ambiguous truth never comes out."""
    found = detect_spikes(block, detector=detector)
    assert found == found
    assert found != detect_spikes(block, detector=detector)
    assert len({found, found}) == 1


@BOTH
def test_threads_give_the_same_bits(block, detector):
    expected = detect_spikes(block, detector=detector)
    assert expected.count.sum() >= 3
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda usage: detect_spikes(usage, detector=detector), [block] * 64):
            same(found, expected)


USAGE = npst.arrays(
    float, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.floats(0, 1e6, width=32) | st.just(np.nan)
)


@given(USAGE, st.integers(-300, 300))
def test_scaling_by_a_power_of_two_changes_no_bit(usage, power):
    usage = np.where(usage < 1, 0, usage)  # so that no scaled sample leaves double precision
    same(detect_spikes(np.ldexp(usage, power), detector=CLASSIC), detect_spikes(usage, detector=CLASSIC))


@given(USAGE, st.floats(1e-6, 1e6))
def test_scaling_changes_no_ratio(usage, k):
    plain, scaled = detect_spikes(usage, detector=CLASSIC), detect_spikes(usage * k, detector=CLASSIC)
    np.testing.assert_allclose(scaled.ratios, plain.ratios, rtol=1e-9)
    # Only a score that stands at the threshold itself may fall to either side.
    clear = ~np.isclose(plain.scores, 2.0, rtol=1e-6)
    np.testing.assert_array_equal(scaled.flags[clear], plain.flags[clear])


@BOTH
@given(USAGE, st.randoms())
def test_series_do_not_know_each_other(detector, usage, random):
    order = random.sample(range(usage.shape[1]), usage.shape[1])
    plain, moved = (detect_spikes(u, detector=detector) for u in (usage, usage[:, order]))
    np.testing.assert_array_equal(moved.scores, plain.scores[:, order])
    np.testing.assert_array_equal(moved.count, plain.count[order])


@BOTH
@given(USAGE)
def test_results_keep_their_bounds(detector, usage):
    found = detect_spikes(usage, detector=detector)
    scores = found.scores[~np.isnan(found.scores)]
    assert detector != CLASSIC or (scores <= 9 / 10**0.5 + 1e-9).all()
    assert ((found.likelihood[~np.isnan(found.scores)] >= 0) & (found.likelihood[~np.isnan(found.scores)] <= 1)).all()
    assert (found.count == found.flags.sum(axis=0)).all()
    assert sum(e.end - e.start for e in found.episodes) == found.count.sum()


def test_silence_costs_what_load_costs():
    """O(1) a sample for any window holds for an idle quota, too: its sums are exactly 0."""
    rule = RollingSigma(window=5000)

    def seconds(usage):
        start = time.perf_counter()
        detect_spikes(usage, detector=rule, outputs=("scores",))
        return time.perf_counter() - start

    silent, loud = np.zeros((50_000, 8)), np.ones((50_000, 8))
    assert min(seconds(silent) for _ in range(3)) < 20 * min(seconds(loud) for _ in range(3))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there")
@BOTH
def test_ctrl_c_ends_a_long_call(detector):
    """Overlapping series make 4e9 samples of 8 MB: a minute's work, of which the caller sees less than a second."""
    code = (
        "import numpy as np, surgetank\n"
        "x = np.lib.stride_tricks.as_strided(np.ones(1_010_000), (1_000_000, 4_000), (8, 8))\n"
        "print('ready', flush=True)\n"
        f"surgetank.detect_spikes(x, outputs=(), detector=surgetank.{detector!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"ready"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        stderr = process.communicate(timeout=60)[1]
    assert time.monotonic() - sent < 1.0
    assert b"KeyboardInterrupt" in stderr


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("exclude_current", [False, True])
def test_windows_about_as_long_as_the_series(more, exclude_current):
    """Block borders: the twin of spikes at windows of T − 1, T, T + 1, and just below and above its half."""
    for length in (3, 16, 33, 65):
        usage = series(length, length, 0.1)
        for window in {length + more, length // 2 + more} - {0, 1}:
            rule = RollingSigma(window=window, threshold=0.4, exclude_current=exclude_current)
            found, twin = detect_spikes(usage, detector=rule), rolling_sigma(usage, **vars(rule))
            np.testing.assert_array_equal(found.flags, twin["flags"])
            np.testing.assert_allclose(found.scores, twin["scores"], rtol=1e-9)


@pytest.mark.parametrize("offset", [1e6, 1e9, 0.0])
def test_what_is_asked_for_changes_no_flag(offset):
    """A score as high as a sample in its own window can have is one, however it was rounded."""
    usage = np.tile([0, 0, 0, 0.7], 50) + offset
    for threshold in (1.4, 1.5):
        rule = RollingSigma(window=4, threshold=threshold)
        whole = detect_spikes(usage, detector=rule)
        assert whole.count == (50 if threshold < 1.5 else 0)
        for outputs in ((), ("flags",), ("episodes",), ("scores",)):
            assert detect_spikes(usage, detector=rule, outputs=outputs).count == whole.count, outputs


def test_a_score_does_not_depend_on_the_threshold():
    usage = [np.nan, 0.3, 0.3, np.nan, np.nan, np.nan, 0.3, 0.3, np.nan, 0.1 + 0.2]
    for threshold in (1.9, 2.0):
        found = detect_spikes(usage, detector=RollingSigma(threshold=threshold))
        assert found.scores[-1] == pytest.approx(4 / 5**0.5, rel=1e-12)
        assert found.count == 0
