"""What came of a backtest as people and programs read it; and real series, against the twin."""

import dataclasses
import datetime as dt
import json
import math

import numpy as np
import pytest

from backtest_worlds import D, H, Peak, World, each_fails, replay, season, twins_of
from oracles_backtest import Rule
from surgetank import (
    Clairvoyant,
    ClassicPolicy,
    ForecastRule,
    History,
    InvalidInput,
    PeakRule,
    PercentileRule,
    QuantilePolicy,
    Scenario,
    SizedRule,
    ThresholdRule,
    backtest,
    grid,
)
from test_backtest_twin import assert_same

# Rules are plain values.


def test_rules_say_what_a_planner_calls_them():
    assert [str(rule) for rule in (
        PercentileRule(),
        PercentileRule(quantile=0.995, factor=1.2, window_s=7 * D, threshold=0.9, lower=0.8, of="demand"),
        PeakRule(window_s=dt.timedelta(hours=36)),
        ThresholdRule(),
        ThresholdRule(threshold=0.6, factor=2, window_s=2 * D),
        SizedRule(policy=QuantilePolicy(risk=0.01), headroom_factor=1.5, factor=0.9, lower=0.5),
        SizedRule(policy=ClassicPolicy(), threshold=0.75),
        Clairvoyant(risk=0.05),
    )] == [
        "P90 ×1.15 of 30 d",
        "P99.5 of demand ×1.2 of 7 d, at 90%, down below 80%",
        "peak ×1.2 of 1 d 12 h",
        "×1.2 at 80%",
        "×2 at 60% of 2 d",
        "risk 1%, headroom ×1.5 ×0.9, down below 50%",
        "classic, at 75%",
        "clairvoyant, risk 5%",
    ]  # fmt: skip


def test_rules_are_values():
    a, b = PeakRule(window_s=dt.timedelta(days=2)), PeakRule(window_s=2 * D)
    assert (a == b, hash(a) == hash(b), len({a, b, ThresholdRule()})) == (True, True, 2)
    assert dataclasses.replace(a, factor=2).factor == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.factor = 3
    for rule in (a, ThresholdRule(), SizedRule(), Clairvoyant(), PercentileRule(of="demand")):
        plain = json.loads(json.dumps(rule.to_dict()))
        assert plain.pop("name") == rule.name
        assert set(plain) == {f.name for f in dataclasses.fields(rule)}
    assert PeakRule().to_dict() == {
        "name": "peak", "quantile": 1.0, "factor": 1.2, "window_s": 30 * D, "threshold": None, "lower": None,
        "of": "usage",
    }  # fmt: skip


def test_a_grid_varies_the_last_option_fastest():
    rules = grid(PercentileRule, quantile=[0.9, 1], factor=np.array([1.2, 1.5]), window_s=D, of="demand")
    assert [(r.quantile, r.factor) for r in rules] == [(0.9, 1.2), (0.9, 1.5), (1, 1.2), (1, 1.5)]
    assert {(r.window_s, r.of) for r in rules} == {(D, "demand")}
    assert [r.policy.risk for r in grid(SizedRule, policy=grid(QuantilePolicy, risk=[0.1, 0.2]))] == [0.1, 0.2]
    assert grid(ThresholdRule) == (ThresholdRule(),)


# Tables.


@pytest.fixture(scope="module")
def run():
    usage = season(np.random.default_rng(0), days=30)
    policies = [*grid(PeakRule, factor=[1.0, 1.5, 2, 3], window_s=D), ThresholdRule(), Peak(), Clairvoyant(risk=0.01)]
    return replay(usage, policies)


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("many", [False, True])
def test_text_is_never_wider_than_the_terminal(run, width, many):
    table = (
        replay(run.setting.usage, grid(PeakRule, factor=np.linspace(1, 3, 45), window_s=D)) if many else run
    ).table()
    lines = table.table(width).splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert text.count("peak") >= 4
    for word in ("Risk", "Idle", "Policy", "2 failovers", "a look every 1 d, lead time 1 d"):
        assert word in text, word
    assert ("too narrow for:" in text) == (width < 160)
    if many:
        assert "(5 more in to_pandas(), to_records() and to_arrow())" in text
        assert all(f"{i}" in {line.split()[0] for line in lines if line.strip()} for i in table.run.frontier().rows)
        assert len(table.to_records()) == 45


def test_the_table_is_the_cheapest_first_and_its_columns_are_the_totals(run):
    rows = run.table().to_records()
    assert sorted(row["index"] for row in rows) == list(range(7))
    assert [row["cost_per_h"] for row in rows] == sorted(row["cost_per_h"] for row in rows)
    low, high = run.interval("risk")
    for row in rows:
        i = row["index"]
        assert (row["risk"], row["risk_low"], row["risk_high"]) == (run.total.risk[i], low[i], high[i])
        for name in ("coverage", "idle_frac", "shortfall_frac", "cost_per_h"):
            assert row[name] == getattr(run.total, name)[i], name
        assert row["excess_frac"] == run.excess_frac[i]
        assert (row["failed_days_frac"], row["requests_per_30d"], row["reversals_per_30d"]) == (
            run.total.failed_days[i], run.total.requests[i], run.total.reversals[i],
        )  # fmt: skip
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_a_run_shows_itself_by_its_frontier(run):
    assert repr(run) == run.frontier().table()
    assert run._repr_html_() == run.frontier()._repr_html_()
    assert "on the frontier" in repr(run)
    assert "clairvoyant, risk" not in repr(run)
    assert "clairvoyant, risk 1%" in str(run.table())


def test_the_knee_is_marked_where_people_look(run):
    at = [row["index"] for row in run.frontier().to_records() if row["mark"]]
    assert at == [run.knee]
    line = next(line for line in str(run.frontier()).splitlines() if line.split()[:1] == [str(run.knee)])
    assert "knee" in line


def test_what_did_not_always_fit_is_not_called_always():
    usage = np.full(24 * 60, 50.0)
    usage[-1] = 99
    found = replay(usage, [PeakRule(window_s=D)], scenarios=None)
    assert found.total.coverage[0] == 1 - 1 / (24 * 59)
    assert " 100%" not in str(found.table())


def test_what_the_clairvoyant_needs_as_well_is_no_excess():
    """Nor the rounding of it."""
    usage = 100 + 10 * np.sin(2 * np.pi * np.arange(24 * 30) / 24)
    found = replay(usage, [PeakRule(factor=1.0, window_s=D), Clairvoyant()], scenarios=None)
    assert "e-1" not in str(found.table())


def test_html_is_escaped(run):
    hostile = lambda past: 100.0  # noqa: E731
    hostile.__name__ = "<script>alert(1)</script>\x1b[31m"
    found = replay(run.setting.usage, [hostile], warmup_s=D)
    page = found._repr_html_()
    assert page.startswith('<div class="surgetank">')
    assert "<script>" not in page
    assert "\x1b" not in page + str(found)
    assert "&lt;script&gt;" in page


def test_frames(run):
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame, table = run.table().to_pandas(), run.table().to_arrow()
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(table, pa.Table)
    assert list(frame.columns) == table.column_names
    assert frame["risk"].tolist() == table["risk"].to_pylist() == run.total.risk[list(run.table().rows)].tolist()
    assert frame.loc[frame["index"] == run.knee, "mark"].tolist() == ["knee"]
    empty = replay(run.setting.usage, [Clairvoyant()], warmup_s=D).frontier()
    assert (len(empty.to_pandas()), empty.to_arrow().num_rows, empty.to_records()) == (0, 0, [])


def test_a_frame_can_be_replayed(run):
    pd = pytest.importorskip("pandas")
    at = pd.date_range("2024-01-01", periods=len(run.setting.usage), freq="h", tz="UTC")
    wide = pd.DataFrame(run.setting.usage, columns=["0", "1"]).assign(timestamp=at)
    found = backtest(wide, policies=run.policies, scenarios=each_fails(), lead_time_s=D)
    np.testing.assert_array_equal(found.risk, run.risk)


# Real series.


def test_wikipedia_and_a_surge_of_two(shared_data):
    """A year by the hour; the twin on its last three months."""
    history = History.read(shared_data / "workloads" / "wikipedia_2018_1h.csv", tz="UTC")
    surge = Scenario("surge", "-", {"-": 1.0}, multiplier=2.0)
    rules = [
        (PercentileRule(quantile=0.9, factor=2.0, window_s=7 * D), (False, 168, 0.9, Rule(1 / 2, 2.0, start=2.0))),
        (PeakRule(factor=1.1, window_s=7 * D, lower=1.0, of="demand"),
         (True, 168, 1.0, Rule(1 / 1.1, 1.1, lower=1.0, start=1.1))),
        (ThresholdRule(threshold=0.5), (False, 24, 1.0, Rule(0.5, 1.2, of_quota=True, start=2.0))),
    ]  # fmt: skip
    world = World(None, history.usage[-90 * 24 :], H, ["-"], float(history.start_s), [], [surge])
    world.start_s += (len(history.usage) - 90 * 24) * H
    world.more = {"lead_time_s": 3 * D, "review_s": D}
    short = dataclasses.replace(history, usage=world.matrix, start_s=int(world.start_s))
    run = backtest(short, policies=[rule for rule, _ in rules], scenarios=surge)
    assert_same(run, world, *twins_of(world, [as_twin for _, as_twin in rules], 168))

    year = backtest(
        history, scenarios=surge,
        policies=[*grid(PercentileRule, quantile=[0.9, 0.99, 1.0], factor=[1.15, 2.0, 2.2, 2.5], lower=[None, 0.95]),
                  Clairvoyant(risk=0.01)],
    )  # fmt: skip
    risk = year.total.risk
    assert (risk[[0, 8, 16]] > 0.9).all()  # P90 + 15 % and its like hold no surge of two …
    assert (risk[[6, 14, 22]] < 0.01).all()  # … × 2.5 does
    assert (year.excess_frac >= -1e-12).all()
    assert year.fails[24, 0] <= 0.01 * year.moments[24, 0]
    best = year.best(risk=0.05, confidence=0.9)
    assert best.risk <= best.risk_high <= 0.05
    assert best.index in year.frontier().rows
    assert (year.setting.usage == history.usage).all()


def test_the_fleet_and_the_loss_of_any_server(shared_data):
    history = History.read(shared_data / "fleet" / "fleet_5min.csv", series="{region}.{service_code}")
    at = [i for i, key in enumerate(history.keys) if key.service_code == "metric00"]
    usage, names = np.array(history.usage[-6 * 288 :, at]), list(history.regions)
    rules = [
        (PeakRule(factor=1.4, window_s=D), (False, 288, 1.0, Rule(1 / 1.4, 1.4, start=1.4))),
        (PercentileRule(factor=1.1, window_s=D, of="demand", lower=0.8),
         (True, 288, 0.9, Rule(1 / 1.1, 1.1, lower=0.8, start=1.1))),
    ]  # fmt: skip
    parts = [Scenario(f"{r} fails", r, {o: 1 / 3 for o in names if o != r}) for r in names]
    world = World(usage, usage, 300.0, names, 0.0, ["N-1"], parts, {"lead_time_s": D, "review_s": 6 * H})
    run = backtest(
        usage, policies=[rule for rule, _ in rules], scenarios="N-1", regions=names, step_s=300, **world.more
    )
    assert_same(run, world, *twins_of(world, [as_twin for _, as_twin in rules], 288))
    assert (run.risk > 0).any()
    assert run.failed_days.max() <= 6

    month = backtest(
        history, scenarios="N-1",
        policies=[*grid(PeakRule, factor=[1.2, 1.5, 2.0], window_s=7 * D, of=["usage", "demand"]),
                  QuantilePolicy(risk=0.01, history_s=7 * D)],
    )  # fmt: skip
    assert month.risk.shape == (7, 24)
    assert (month.total.risk[1:6:2] <= month.total.risk[0:6:2]).all()  # demand is never below usage
    assert not math.isnan(month.excess_frac.sum())


def test_no_two_policies_look_alike():
    changed = {
        ForecastRule: {
            "quantile": 0.9, "threshold": 0.8, "lower": 0.5, "factor": 2, "level_quantile": 0.5, "up_s": 2 * D,
            "down_s": 2 * D, "clip": 2, "seasons": 9, "half_life_s": 9 * D, "annual": 0,
        },
        PercentileRule: {"quantile": 0.5, "factor": 2, "window_s": D, "threshold": 0.5, "lower": 0.5, "of": "demand"},
        SizedRule: {
            "factor": 2, "headroom_factor": 2, "threshold": 0.5, "lower": 0.5,
            **{
                f"policy {name}": QuantilePolicy(**{name: value})
                for name, value in {
                    "risk": 0.01, "risk_normal": 0.01, "lead_time_s": D, "review_s": 2 * D, "normal_duration_s": H,
                    "growth": 1.2, "overlap_frac": 0.5, "tail": "counted", "history_s": 30 * D,
                }.items()
            },
        },
    }  # fmt: skip
    for kind, options in changed.items():
        rules = [kind(), *(kind(**{name.split()[0]: value}) for name, value in options.items())]
        assert len({str(rule) for rule in rules}) == len(rules)
    assert str(ForecastRule(up_s=2 * D, clip=2)) == "forecast ×1, down below 100%, up 2 d, clip 2"


def test_the_quotas_of_any_policy_over_time():
    run = backtest(
        np.arange(1.0, 25.0), policies=[PeakRule(factor=1, window_s=H), lambda past: past.usage[-1], Clairvoyant()],
        step_s=H, warmup_s=2 * H, lead_time_s=3 * H, review_s=H,
    )  # fmt: skip
    rule, own, clairvoyant = (run.quota_path(p)[:, 0] for p in range(3))
    assert np.isnan(rule[:2]).all()
    assert rule[2:11].tolist() == [2, 2, 2, 2, 3, 3, 3, 3, 7]  # known three hours and the one it was used in before
    np.testing.assert_array_equal(own, rule)
    assert (clairvoyant[2:] >= run.peak[2:, 0]).all()
    assert not rule.flags.writeable
    assert not run.peak.flags.writeable
    with pytest.raises(InvalidInput, match=r"policy: must be the number of a policy, 0 to 2 \(got 3\)"):
        run.quota_path(3)
