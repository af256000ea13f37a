"""The benches of `backtest` without timing: peers, the twin and we agree; families are read at the risk that is asked.

numba's loops are interpreted here: to compile them takes longer than all of this. The bench compares compiled ones.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import _peers_backtest
import _policies
import _replays
import bench_backtest
import bench_backtest_policies
from _compare import importable
from _peers_backtest import Work

CASES = {
    "hours": (Work((7, 24, 60), (0.5, 0.93, 1.0), (0.6, 0.8), (1.2, 2.0), length=12, lead=20), "season"),
    "at once": (Work((7, 40), (0.0, 0.3, 1.0), (0.9,), (1.01, 1.5), length=1, lead=0, offset_s=7 * 3600), "season"),
    "never in time": (Work((24,), (0.9,), (0.8,), (1.25,), length=30, lead=400), "season"),
    "longer than it lasts": (Work((24,), (0.95, 1.0), (0.8,), (1.5,), length=190, lead=5), "season"),
    "ties": (Work((10, 60), (0.5, 0.9, 1.0), (0.7,), (1.4, 2.0), length=6, lead=3), "whole numbers"),
    "half hours": (Work((48,), (0.9,), (0.8,), (1.25,), length=4, lead=2, step_s=1800, offset_s=9000), "season"),
}


@pytest.fixture(scope="module")
def interpreted():
    """Without numba its peers are left out; two of its intrinsics are no Python."""
    if not importable(("numba",)):
        yield
        return
    import numba

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        for name in ("_numba_backtest", "_numba_rolling"):
            patch.delitem(sys.modules, name, raising=False)
        import _numba_rolling

        patch.setattr(_numba_rolling, "leading_zeros", lambda bits: 64 - int(bits).bit_length())
        patch.setattr(_numba_rolling, "trailing_zeros", lambda bits: (int(bits) & -int(bits)).bit_length() - 1)
        import _numba_backtest  # noqa: F401

        yield
    for name in ("_numba_backtest", "_numba_rolling"):
        sys.modules.pop(name, None)


def usage(kind):
    u = _replays.usage(200, 2)
    return u if kind == "season" else np.asarray(10 * np.round(u / 20) + 1, order="F")


@pytest.fixture(scope="module")
def truths():
    return {name: _replays.truth(usage(kind), work) for name, (work, kind) in CASES.items()}


@pytest.mark.filterwarnings("default")  # what other libraries warn of is theirs
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("peer", _peers_backtest.PEERS, ids=lambda peer: peer.name)
def test_peers_give_the_twins_figures(interpreted, truths, peer, case):
    if not importable(peer.needs):
        pytest.skip(f"{', '.join(peer.needs)} is not installed")
    work, kind = CASES[case]
    _replays.assert_same(peer.answer(peer.prepare(usage(kind)), work), truths[case], peer.name)


@pytest.mark.parametrize("case", ["hours", "ties"])
def test_so_do_we(truths, case):
    work, kind = CASES[case]
    for order in "CF":
        _replays.assert_same(
            _replays.answer(_replays.ours(np.asarray(usage(kind), order=order), work)), truths[case], ""
        )


@pytest.mark.filterwarnings("default")
def test_a_quick_round_runs(interpreted, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [bench_backtest.__file__, "--quick"])
    bench_backtest.main()
    said = capsys.readouterr().out
    assert "answers agree" in said
    assert "| plain |" in said
    assert "Extra memory" in said


# Families of policies.


def curve(fails, idle):
    return _policies.Curve(np.array(fails), np.array(idle), np.array([100, 100]), np.array([50, 50]))


def test_idle_is_read_at_the_last_scale_that_fails_more_often():
    # By k: 20 %, 4 %, 6 %, 2 %, 0 % fail in total.
    found = curve([[30, 10], [8, 0], [6, 6], [0, 4], [0, 0]], [[10, 0], [20, 0], [30, 0], [40, 0], [60, 0]])
    np.testing.assert_allclose(found.idle_at(0.05), [(30 + 10 * 0.25) / 100])
    np.testing.assert_allclose(found.idle_at(0.01), [0.5])
    assert np.isnan(found.idle_at(0.5)).all()  # no k fails so often
    # Of the second block alone, twice: 10, 0, 6, 4, 0 % of its moments.
    np.testing.assert_allclose(found.idle_at(0.05, np.array([[1.0, 1.0], [0.0, 2.0]])), [0.325, 0.0])


def small(regions=None):
    """Ten weeks of hours."""
    random = np.random.default_rng(5)
    hours = np.arange(70 * 24)
    shape = (len(hours),) if regions is None else (len(hours), 1, len(regions))
    season = (1 + 0.3 * np.sin(2 * np.pi * hours / 24)).reshape(-1, *[1] * (len(shape) - 1))
    return _policies.Data("small", 100 * season * random.gamma(50, 1 / 50, shape), 3600.0, 10, 40, (2, 7), regions)


@pytest.mark.parametrize("regions", [None, ("a", "b", "c")], ids=("in place", "N-1"))
def test_families_are_judged_and_the_clairvoyant_needs_least(monkeypatch, regions):
    monkeypatch.setattr(_policies, "REPLICATES", 50)
    monkeypatch.setattr(_policies, "QUANTILES", (0.9, 0.99))
    for name in ("TRIED", "JUDGED"):
        monkeypatch.setattr(_policies, name, np.geomspace(0.15, 8, 60))
    case = _policies.Case(small(regions), 6 * 3600.0, 86400.0)
    found = bench_backtest_policies.judge(case)
    for idle, best, less, limits in found.values():
        assert (bench_backtest_policies.DEMAND in idle) == (regions is not None)
        assert 0 < best < min(idle.values())
        assert all(limits[key][0] <= limits[key][1] for key in less)
    cases = [(case, found)]
    for lower in (1.0, None):
        for text in (bench_backtest_policies.figures(cases, lower), bench_backtest_policies.reduced(cases, lower)):
            assert text.count("\n") == 3
        assert "met in" in bench_backtest_policies.goals(cases, lower)
    monkeypatch.setattr(bench_backtest_policies, "HOURS", (0, 6))
    assert bench_backtest_policies.by_hour(cases, 1.0).count("\n") == 3


def test_the_same_days_are_drawn_for_all_and_the_clairvoyant_chooses_anew():
    case = _policies.Case(small(), 3600.0, 6 * 3600.0)
    days = len(case.clairvoyant.top)
    assert days == 30
    times = case.draws(days)
    assert times.shape == (_policies.REPLICATES, days)
    assert (times.sum(axis=1) == days).all()
    # Only the last ten days, drawn three times each: as if there were no others.
    late = np.zeros((1, days))
    late[0, 20:] = 3
    alone = _policies.Case(replace(case.data, middle_d=60), 3600.0, 6 * 3600.0)
    scale = case.mean[1] / alone.mean[1]  # idle is in multiples of the mean usage of all that is judged
    np.testing.assert_allclose(
        case.clairvoyant.idle_at(0.01, late) * scale, alone.clairvoyant.idle_at(0.01), rtol=1e-9
    )  # fmt: skip
