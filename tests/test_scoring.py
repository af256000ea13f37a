"""How the accuracy bench scores alarms, and replays the detector's last stage."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import _scoring
import bench_spikes_accuracy
from surgetank import AdaptiveDetector


def series_of(windows, samples=1000, kind="nab", step_s=300.0):
    return _scoring.Labelled("folder/file.csv", kind, np.zeros(samples), step_s, windows, probation=100)


def scored(windows, found, **options):
    return _scoring.score(series_of(windows, **options), np.array(found, dtype=int))


def test_a_perfect_detector_scores_100_and_a_silent_one_0():
    windows = ((200, 260), (500, 560))
    for profile in _scoring.PROFILES:
        assert _scoring.nab([scored(windows, [200, 500])], profile) == pytest.approx(100)
        assert _scoring.nab([scored(windows, [])], profile) == 0
    assert _scoring.f1([scored(windows, [200, 500])]) == 1
    assert _scoring.f1([scored(windows, [])]) == 0


def test_scores_worked_by_hand():
    one = scored(((200, 300), (500, 600)), [50, 150, 155, 250, 290, 350, 900, 901])
    sigma = lambda p: 2 / (1 + np.exp(5 * p)) - 1  # noqa: E731
    assert (one.windows, one.hits, one.countable, one.found) == (2, 1, 2, 1)
    assert one.reward == pytest.approx(sigma(-0.5) / sigma(-1))  # of the first alarm in the window
    # 50 is probation; 150 and 155 come before any window; 350 half a window after; 900 and 901 three and more after.
    assert one.penalty == pytest.approx(-1 - 1 + sigma(0.5) + sigma(3.0) - 1)
    assert one.false == 3  # 155 is 150, and 901 is 900
    assert one.weeks == pytest.approx(1000 * 300 / 604800)
    assert _scoring.f1([one]) == pytest.approx(2 * 1 / (1 + 3 + 2))
    standard = 100 * (one.reward + 0.11 * one.penalty + 1 * 1) / (2 * 2)
    assert _scoring.nab([one]) == pytest.approx(standard)


def test_events_of_the_probation_do_not_count_and_those_of_telemetry_are_close_at_six_samples():
    assert scored(((20, 60),), [30]).countable == 0
    assert [scored((), [200, 207], kind=kind).false for kind in ("nab", "telemetry")] == [1, 2]


def test_labelled_runs_of_the_telemetry_merge(tmp_path):
    for folder in ("nab", "cloud-monitoring/a"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "nab" / "windows.json").write_text("{}")
    labels = np.zeros(300, int)
    labels[[1, 100, 103, 107, 299]] = 1  # 103 is two unlabelled samples after 100, 107 three after 103
    times = pd.date_range("2026-01-01", periods=300, freq="min", tz="UTC")
    frame = pd.DataFrame({"TimeStamp": times, "Value": np.arange(300.0), "Label": labels})
    frame[::-1].to_csv(tmp_path / "cloud-monitoring" / "a" / "one.csv", index=False)
    (one,) = _scoring.labelled(tmp_path)
    assert (one.name, one.kind, one.step_s, one.probation) == ("a/one.csv", "telemetry", 60, 50)
    assert one.windows == ((0, 3), (98, 105), (105, 109), (297, 299))
    np.testing.assert_array_equal(one.usage, np.arange(300))


@pytest.mark.parametrize("parameters", [(1.45, 0.5, 120), (1.05, 0.5, 120), (0.3, 0.5, 120)])
def test_the_replayed_alarms_are_the_detectors(parameters):
    rng = np.random.default_rng(3)
    usage = rng.pareto(1.5, 6000)
    usage[rng.random(6000) < 0.05] = np.nan
    one = _scoring.Labelled("folder/file.csv", "nab", usage, 3600.0, (), 0)
    found = bench_spikes_accuracy.found_by(AdaptiveDetector(threshold=parameters[0]), one)
    assert len(found) >= 3
    rare = bench_spikes_accuracy.decades(one)
    np.testing.assert_array_equal(bench_spikes_accuracy.replayed(rare, 3600.0, *parameters), found)


def test_the_detector_stays_as_good_as_it_was(shared_data):
    """Floors somewhat below what `bench_spikes_accuracy.py` prints: who changes detector and twin alike hears of it."""
    series = _scoring.labelled(shared_data)
    found = bench_spikes_accuracy.all_found(AdaptiveDetector(), series)
    figures = dict(zip(_scoring.FIGURES, _scoring.figures(series, found), strict=True))
    assert figures["NAB standard"] >= 75
    assert figures["event F1"] >= 0.65
    assert figures["CloudWatch"] >= 0.75
    assert figures["false alarms/week"] <= 0.3
    assert figures["telemetry F1"] >= 0.52
