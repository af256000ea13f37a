"""AdaptiveDetector: the slow twin, on series of every kind, at every step; its options; what it promises of threads."""

import dataclasses

import numpy as np
import pytest

from clear import clear_error
from oracles_spikes import adaptive
from surgetank import AdaptiveDetector, InvalidInput, _core, detect_spikes

STEPS = (60, 300, 3600, 86400, 0.5, 7 * 86400)
T = 1500


def _kinds():
    random = np.random.default_rng(5)
    t = np.arange(T)
    noise = random.normal(size=T)
    season = 100 + 30 * np.sin(2 * np.pi * t / 288) + 3 * noise
    counter = random.poisson(0.02, T) * random.integers(1, 2000, T).astype(float)
    counter[200:900] = 0
    gaps = season.copy()
    gaps[random.random(T) < 0.2] = np.nan
    gaps[400:700] = np.nan
    return {
        "random walk": np.cumsum(noise),
        "season": season,
        "season with spikes": season + np.where(random.random(T) < 0.005, 200, 0),
        "counter with long zeros": counter,
        "level shifts": np.repeat([10.0, 40.0, 12.0, 11.0, 90.0, 10.0], T // 6) + 0.5 * noise,
        "gaps": gaps,
        "begins missing": np.r_[np.full(300, np.nan), season[:800]],
        "near constant": np.where(t % 700 == 699, 1e6 + 1, 1e6),
        "constant": np.full(T, 0.1),
        "constant, then not": np.r_[np.full(700, 7.0), 7 + np.abs(noise[:300])],
        "heavy tail": random.pareto(1.2, T),
        "integers of both signs": random.integers(-3, 4, T).astype(float),
        "1e9 and noise": 1e9 + noise,
        "drops": season - np.where(random.random(T) < 0.005, 90, 0),
        "all missing": np.full(60, np.nan),
    }


KINDS = _kinds()


def check_twin(usage, step_s=300.0, **options):
    found = detect_spikes(usage, step_s=step_s, detector=AdaptiveDetector(**options))
    twin = adaptive(usage, step_s=step_s, **options)
    for name in ("scores", "likelihood", "ratios"):
        np.testing.assert_allclose(getattr(found, name), twin[name], rtol=1e-9, atol=1e-9, err_msg=name)
    np.testing.assert_array_equal(found.flags, twin["flags"])
    assert [(e.start, e.end) for e in found.episodes] == twin["episodes"]
    assert found.count == found.flags.sum()
    flagged = found.ratios[found.flags & ~np.isnan(found.ratios)]  # none where nothing but zeros came before
    if len(flagged):
        assert found.max_ratio == flagged.max()
        assert found.p95_ratio == pytest.approx(np.quantile(flagged, 0.95), rel=1e-12)
    else:
        assert np.isnan([found.max_ratio, found.p95_ratio]).all()
    return found


@pytest.mark.parametrize("direction", ["both", "up"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_twin(kind, direction):
    check_twin(KINDS[kind], direction=direction)


@pytest.mark.parametrize("step_s", STEPS)
@pytest.mark.parametrize("kind", ["season with spikes", "gaps", "level shifts", "counter with long zeros"])
def test_equals_the_twin_at_every_step(kind, step_s):
    check_twin(KINDS[kind][:900], step_s=step_s)


@pytest.mark.parametrize("threshold", [0.2, 1.0, 2.5, 20.0])
def test_equals_the_twin_at_every_threshold(threshold):
    for kind in ("heavy tail", "season with spikes"):
        check_twin(KINDS[kind], threshold=threshold)


@pytest.mark.parametrize("length", [1, 2, 3, 49, 50, 51, 52])
def test_equals_the_twin_at_short_lengths(length):
    check_twin(KINDS["heavy tail"][:length], threshold=0.1)


def test_real_data_equals_the_twin(shared_data):
    """Every kind of series there is, five minutes and an hour, each long enough for its day to be known."""
    files = sorted(shared_data.glob("nab/*/*.csv"))[::5] + sorted(shared_data.glob("cloud-monitoring/*/*.csv"))[::6]
    assert len(files) >= 10
    spikes = 0
    for file in files:
        usage = np.genfromtxt(file, delimiter=",", skip_header=1, usecols=1)[:2500]
        spikes += check_twin(usage, step_s=300 if "nab" in file.parts else 3600).count
    assert spikes > 0


def test_an_outlier_after_a_quiet_week_is_found_at_once():
    day = [5.0 + hour % 3 for hour in range(24)]
    found = detect_spikes([*day * 7, 50.0, *day], step_s=3600)
    (episode,) = found.episodes
    assert (episode.start, episode.peak, episode.start_time) == (168, 50.0, None)


def test_the_direction_decides_who_hears_of_a_drop():
    season = KINDS["season"]
    dropped = np.r_[season, season[-1] - 90, season[:50]]
    assert detect_spikes(dropped, detector=AdaptiveDetector()).flags[T]
    assert not detect_spikes(dropped, detector=AdaptiveDetector("up")).flags[T:].any()


def test_a_drop_is_no_upward_spike_however_much_it_moves():
    calm = 100 + np.arange(400) % 2
    for depth in (1, 50, 90, 1e6):
        dropped = np.where(np.arange(400) == 350, 100 - depth, calm)
        found = detect_spikes(dropped, detector=AdaptiveDetector("up"))
        assert not found.flags.any(), depth
        assert found.scores[350] < 0.2, depth
        assert detect_spikes(dropped).flags[350], depth


def test_real_upward_spikes_begin_above_the_mean(shared_data):
    """Or one sample later: what is judged is smoothed over two. (Of no mean, or of 0, nothing is above.)"""
    begun = 0
    for file in sorted(shared_data.glob("nab/*/*.csv"))[::2]:
        usage = np.genfromtxt(file, delimiter=",", skip_header=1, usecols=1)
        if usage.min() < 0:
            continue  # there a ratio says nothing
        found = detect_spikes(usage, detector=AdaptiveDetector("up"))
        for e in found.episodes:
            ratios = found.ratios[e.start - 1 : e.start + 1]
            assert ((ratios > 1) | np.isnan(ratios)).any(), (file.name, e)
            begun += 1
    assert begun > 20


def test_the_fiftieth_sample_is_the_last_that_is_only_learnt_from():
    usage = np.random.default_rng(0).normal(100, 1, 52)
    usage[50:] = 1e6
    found = detect_spikes(usage, step_s=3600, detector=AdaptiveDetector(threshold=0.1))
    assert (found.likelihood[:50] == 0).all()
    assert found.scores[50] > 1
    assert found.flags.tolist() == [False] * 50 + [True] * 2


def test_the_first_day_is_learnt_from_and_not_told():
    usage = np.random.default_rng(0).normal(100, 1, 700)
    usage[[200, 600]] = 200, 300
    found, later = detect_spikes(usage), detect_spikes(np.r_[usage[100:400], usage])
    assert found.scores[200] > found.detector.threshold
    assert [e.start for e in found.episodes] == [600]
    assert {500, 900} <= {e.start for e in later.episodes}
    # What was not told raised the bar all the same.
    decades = -np.log10(1 - found.likelihood[300])
    assert decades - found.scores[300] > 0.3


def test_habituation_is_taken_from_the_score_and_not_from_the_likelihood():
    usage = np.random.default_rng(0).normal(100, 1, 1100)
    usage[1000] = 200
    found = detect_spikes(usage, step_s=3600)
    before = [e.start for e in found.episodes]
    assert 1000 in before
    decades = -np.log10(1 - found.likelihood)
    for t in (*before, *(s + 1 for s in before), 1050):
        # It begins at 0.3, each spike before raised it by 0.5 as it began, and 4,000 samples of 5 minutes halve it.
        raised = 0.3 * 2 ** (-(t + 1) * 12 / 4000) + sum(0.5 * 2 ** (-(t - s) * 12 / 4000) for s in before if s < t)
        assert decades[t] - found.scores[t] == pytest.approx(raised, abs=1e-6)


def test_a_surge_soon_after_a_blip_is_told():
    """Within ten hours of the last spike only what is rarer by half a decade; as much again is not."""
    t = np.arange(20 * 288)
    usage = 100 + 40 * np.sin(2 * np.pi * t / 288) + np.random.default_rng(1).normal(0, 3, t.size)
    usage[15 * 288] *= 2
    usage[15 * 288 + 24 : 15 * 288 + 60] *= 3
    found = detect_spikes(usage, detector=AdaptiveDetector("up"))
    begun = [e.start - 15 * 288 for e in found.episodes if e.start >= 15 * 288]
    assert len(begun) == 2
    assert begun[0] in (0, 1)
    assert 24 <= begun[1] <= 26
    again = usage.copy()
    again[15 * 288 + 24 : 15 * 288 + 60] /= 3
    again[15 * 288 + 40] *= 2
    found = detect_spikes(again, detector=AdaptiveDetector("up"))
    assert [e.start - 15 * 288 in (0, 1) for e in found.episodes if e.start >= 15 * 288] == [True]


@pytest.mark.parametrize("outlier", [1e6, 1e9, 1e300, -1e9])
def test_one_outlier_blinds_it_for_nothing(outlier):
    t = np.arange(40 * 288)
    usage = 100 + 20 * np.sin(2 * np.pi * t / 288) + np.random.default_rng(0).normal(0, 2, t.size)
    surges = [d * 288 + 100 for d in (20, 25, 30)]
    for at in surges:
        usage[at : at + 12] += 200
    usage[15 * 288] = outlier
    begun = {e.start for e in detect_spikes(usage).episodes}
    assert 15 * 288 in begun
    for at in surges:
        assert begun & set(range(at, at + 12)), at


def test_what_was_before_a_gap_says_nothing_of_what_comes_after_it():
    """An hour without a sample; a sample or two that are missing change nothing."""
    usage = 10 + np.random.default_rng(3).normal(size=3000)
    for missing, told in ((1, True), (11, True), (12, False), (8640, False)):
        found = detect_spikes(np.r_[usage, 60, np.full(missing, np.nan), 10, 10.2, 9.9])
        assert found.flags[3000]
        assert found.flags[3000 + missing + 1] == told, missing


def test_the_second_day_is_no_spike_because_the_first_had_no_day_before():
    """What is not there yet is not learnt from as 0: else the first residual from the time of day is the rarest."""
    days = 300 + 100 * np.sin(2 * np.pi * np.arange(4 * 288) / 288)
    usage = days + np.random.default_rng(8).normal(0, 3, days.size)
    found = detect_spikes(usage)
    assert not found.flags[288 - 3 : 288 + 50].any()
    assert found.likelihood[288:291].max() < 1 - 10**-1.0


def test_a_spike_with_nothing_before_it_has_no_ratio_and_hides_no_other():
    usage = np.zeros(600)
    usage[[200, 500]] = 5, 500
    found = detect_spikes(usage, step_s=3600)
    first, last = found.episodes
    assert (first.start, first.peak) == (200, 5)
    assert np.isnan(first.ratio)  # nothing was expected at its peak
    assert last.ratio == found.max_ratio == np.nanmax(found.ratios[found.flags]) > 100
    assert found.count == found.flags.sum()
    flagged = found.ratios[found.flags]
    assert found.p95_ratio == pytest.approx(np.nanquantile(flagged, 0.95), rel=1e-12)


def test_an_infinite_ratio_leaves_the_percentile_a_number():
    usage = np.tile([0.0, 1e-10, 2e-10], 150)
    usage[300] = 1e308
    found = detect_spikes(usage)
    assert found.max_ratio == np.inf
    assert not np.isnan(found.p95_ratio)


def test_defaults_are_the_cores():
    core = _core.AdaptiveOptions()
    defaults = {f.name: f.default for f in dataclasses.fields(AdaptiveDetector)}
    assert defaults == {"direction": "both" if core.both else "up", "threshold": core.threshold}
    assert core.step_s == 300
    assert detect_spikes([1.0]).detector == AdaptiveDetector()


REFUSED = (
    ({"direction": "down"}, 'direction: must be "both" or "up" (got \'down\')'),
    ({"direction": None}, 'direction: must be "both" or "up" (got None)'),
    ({"direction": np.array(["up"])}, 'direction: must be "both" or "up"'),
    ({"threshold": 0}, "threshold: must be a positive finite number (got 0)"),
    ({"threshold": -1.5}, "threshold: must be a positive finite number (got -1.5)"),
    ({"threshold": np.nan}, "threshold: must be a positive finite number (got nan)"),
    ({"threshold": np.inf}, "threshold: must be a positive finite number (got inf)"),
    ({"threshold": "2"}, "threshold: must be a number (got '2')"),
    ({"threshold": True}, "threshold: must be a number (got True)"),
)


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=lambda x: str(x)[:30])
def test_an_option_that_cannot_be_says_why(arguments, message):
    with clear_error(InvalidInput, message):
        AdaptiveDetector(**arguments)


@pytest.mark.parametrize("step_s", [0, -300, np.nan, np.inf, "1h", None.__class__])
def test_a_step_that_cannot_be_says_why(step_s):
    with clear_error(InvalidInput, "step_s: "):
        detect_spikes([1.0, 2.0], step_s=step_s)


def test_steps_beyond_a_second_and_a_day_are_read_as_those():
    usage = KINDS["season with spikes"][:400]
    for beyond, as_read in ((1e-9, 1), (0.5, 1), (1e12, 86400)):
        found, expected = (detect_spikes(usage, step_s=step) for step in (beyond, as_read))
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_any_number_of_threads_gives_the_same_bits():
    usage = np.stack([np.roll(KINDS["gaps"], 37 * s) * (s + 1) for s in range(21)], axis=1)
    expected = detect_spikes(usage)
    assert expected.count.sum() > 0
    for threads in (0, 2, 3, 16):
        found = detect_spikes(usage, threads=threads)
        for name in ("flags", "scores", "likelihood", "ratios", "count", "p95_ratio", "max_ratio"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert found.episodes == expected.episodes
