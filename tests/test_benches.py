"""The benches themselves, without timing: peers give the right answer, and the page keeps what people wrote in it."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import surgetank
from oracles import rolling_sigma

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import _compare
import _page
import _peers_forecast
import _peers_headroom
import _peers_spikes

MISSING = (False, True)


def usage(missing, samples=700, series=5):
    rng = np.random.default_rng(21)
    u = rng.gamma(4, 25, (samples, series))
    if missing:
        u[rng.random(u.shape) < 0.05] = np.nan
        u[300:500, 1] = np.nan  # windows of which less than half is observed
    return u


def skip_without(peer):
    if not _compare.importable(peer.needs):
        pytest.skip(f"{', '.join(peer.needs)} is not installed")


@pytest.mark.filterwarnings("default")  # what other libraries warn of is theirs
@pytest.mark.parametrize("missing", MISSING, ids=("whole", "missing"))
@pytest.mark.parametrize("peer", _peers_spikes.PEERS, ids=lambda peer: peer.name)
def test_peers_find_the_spikes(peer, missing):
    skip_without(peer)
    if missing and not peer.missing:
        pytest.skip(f"{peer.name} knows no missing samples")
    u = usage(missing)
    window, threshold = _peers_spikes.WINDOW, _peers_spikes.THRESHOLD
    truth = np.stack([rolling_sigma(x, window=window, threshold=threshold)["flags"] for x in u.T], axis=1)
    assert truth.any()
    prepared = peer.prepare(u)
    np.testing.assert_array_equal(peer.all_flags(prepared), truth)
    np.testing.assert_array_equal(peer.all_counts(prepared), truth.sum(axis=0))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "peer", _peers_headroom.PEERS, ids=lambda peer: f"{peer.name}{', missing' if peer.missing else ''}"
)
def test_peers_give_moments_and_quantiles(peer):
    skip_without(peer)
    u = usage(peer.missing)
    for column, found in zip(u.T, peer.answer(peer.prepare(u)).T, strict=True):
        t = np.flatnonzero(~np.isnan(column))
        seen = column[t]
        truth = [seen.mean(), seen.std(), np.polyfit(t, seen, 1)[0], seen.max()]
        truth += list(np.quantile(seen, _peers_headroom.QUANTILES)) if peer.quantiles else []
        np.testing.assert_allclose(found, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in _peers_forecast.FORECASTS if "statsforecast" not in name])
def test_forecasts_know_a_level_at_each_decision_and_nothing_of_the_future(name):
    needs = {"scikit-learn trees": "sklearn", "scikit-learn linear": "sklearn", "LightGBM": "lightgbm"}.get(name)
    if needs and not _compare.importable((needs,)):
        pytest.skip(f"{needs} is not installed")
    u = usage(False, samples=110)
    whole, known = (
        surgetank.backtest(x, policies=[surgetank.PeakRule()], step_s=86400.0, warmup_s=20 * 86400.0).setting
        for x in (u, u[:90])
    )
    levels = [np.asarray(_peers_forecast.FORECASTS[name](where, 0.9)) for where in (whole, known)]
    assert levels[0].shape == (len(whole.decisions), 5)
    assert np.isfinite(levels[0]).all()
    # A matrix product may round otherwise where it has more rows.
    np.testing.assert_allclose(levels[0][: len(levels[1])], levels[1], rtol=1e-12)


PAGE = "# Title\n\nWritten.\n<!-- a:begin -->\nold\n<!-- a:end -->\nWhy.\n<!-- b:begin -->\n<!-- b:end -->\nEnd.\n"


def test_only_what_lies_between_the_markers_is_replaced():
    page = _page.replace(PAGE, "a", "new | table\n")
    assert page == PAGE.replace("\nold\n", "\nnew | table\n")
    assert _page.replace(page, "a", "old") == PAGE


@pytest.mark.parametrize("page", ["", PAGE + PAGE, "<!-- a:end --> <!-- a:begin -->"], ids=("none", "twice", "swapped"))
def test_a_page_without_its_markers_is_left_alone(page):
    with pytest.raises(ValueError, match="once each"):
        _page.replace(page, "a", "text")


def test_every_bench_has_its_section_in_the_page():
    page = _page.PAGE.read_text(encoding="utf-8")
    sources = "\n".join(path.read_text(encoding="utf-8") for path in _page.PAGE.parent.glob("*.py"))
    sections = re.findall(r'\bpublish\(\s*"(\w+)"', sources)
    assert sorted(set(sections)) == sorted(re.findall(r"<!-- (\w+):begin -->", page))
    for section in sections:
        _page.replace(page, section, "")


def test_ratios_are_of_rounds_and_the_first_way_is_one():
    timings = _compare.timed({"first": lambda: sum(range(10)), "second": lambda: sum(range(10_000))}, rounds=3)
    assert timings["first"].times == "×1.00 (1.00–1.00)"
    assert timings["second"].low > 1
