"""The spine, and results that present themselves: plan, table, HTML, pandas, Arrow, JSON, verdict."""

import json
import os
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import surgetank
from surgetank import History, InvalidInput, Quota, QuotaKey, Scenario, Thresholds
from surgetank.demo import sample_world
from surgetank.report import page

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def world():
    return sample_world()


@pytest.fixture(scope="module")
def planned(world):
    return surgetank.plan(world)


def check_golden(name, text):
    """Renderings are compared whole; after a wanted change refresh them and read the difference."""
    path = GOLDEN / name
    if os.environ.get("REFRESH_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        f"refresh with: REFRESH_GOLDEN=1 pytest tests/{Path(__file__).name}"
    )


@pytest.mark.parametrize("width", [40, 80, 160])
def test_text_table(planned, width):
    text = planned.table(width)
    assert max(map(len, text.splitlines())) <= width
    check_golden(f"plan_{width}.txt", text + "\n")


def test_narrow_terminals_lose_columns_but_no_row_and_no_status(planned):
    for width in range(30, 200, 10):
        table = planned.table(width)
        assert max(map(len, table.splitlines())) <= width
        for word in ("us-west-2", "CRITICAL", "rds"):
            assert word in table


def test_html_is_whole_and_escaped(planned):
    html = planned._repr_html_()
    check_golden("plan.html", html + "\n")
    key = QuotaKey("1", "<b>us", "ec2\x1b[31m", "&L")
    nasty = History(keys=(key,), start_s=0, step_s=300, usage=np.ones((3, 1)), quotas={key: Quota(key=key, value=9)})
    html = page(surgetank.plan(nasty))
    assert "<b>us" not in html
    assert "&lt;b&gt;us" in html
    assert "\x1b" not in html
    assert "\x1b" not in str(surgetank.plan(nasty))
    HTMLParser().feed(html)


def test_status_and_coverage(planned):
    assert planned.status == "CRITICAL"
    assert planned.coverage == 9 / 12
    unknown = planned.rows("UNKNOWN")  # one without usage, and those on which its unknown load would land
    assert {(r["service_code"], r["unknown"]) for r in unknown} == {
        ("elasticloadbalancing", "no_usage"), ("elasticloadbalancing", "no_source"),
    }  # fmt: skip
    assert all("unknown, not zero" in r["reason"] for r in unknown)
    assert all(row["reason"].endswith(".") for row in planned.rows())
    # Worst first.
    assert [r["status"] for r in planned.rows()][:4] == ["CRITICAL", "UNKNOWN", "UNKNOWN", "UNKNOWN"]


def test_figures_are_those_of_size_headroom(world, planned):
    """The spine adds nothing of its own: the same numbers column by column from plain arrays."""
    for k, key in enumerate(world.keys):
        row = next(r for r in planned.rows() if (r["region"], r["service_code"]) == (key.region, key.service_code))
        same = [i for i, other in enumerate(world.keys) if other.service_code == key.service_code]
        regions = [world.keys[i].region for i in same]
        alone = surgetank.size_headroom(
            world.usage[:, same],
            quota=[world.quotas[world.keys[i]].value for i in same],
            step_s=300,
            regions=regions,
            scenarios=[s for s in world.scenarios if set(s.regions) <= set(regions)],
        )
        if key.service_code == "elasticloadbalancing":
            continue  # two of three Regions: the scenarios differ
        for name in ("usage", "base", "failover", "spike", "needed", "available", "utilization", "shortfall"):
            assert row[name] == pytest.approx(getattr(alone, name)[same.index(k)], nan_ok=True, rel=1e-12), name


def test_exports_agree(planned):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = planned.to_pandas()
    arrow = planned.to_arrow()
    body = json.loads(planned.to_json())
    assert list(frame.columns) == arrow.column_names == list(body["quotas"][0])
    assert len(frame) == arrow.num_rows == len(body["quotas"]) == 12
    np.testing.assert_array_equal(frame["needed"].to_numpy(), arrow["needed"].to_numpy())
    np.testing.assert_array_equal(
        [np.nan if r["needed"] is None else r["needed"] for r in body["quotas"]], frame["needed"].to_numpy()
    )


def test_other_libraries_read_the_arrow_stream(planned):
    pa = pytest.importorskip("pyarrow")
    polars = pytest.importorskip("polars")
    assert pa.table(planned).num_rows == 12
    assert polars.DataFrame(planned)["status"].to_list().count("CRITICAL") == 1


def test_json_is_strict_and_versioned(world):
    key = world.keys[0]
    full = surgetank.plan(world, {key: 0.0}, scenarios=())
    body = json.loads(full.to_json(), parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    row = next(r for r in body["quotas"] if r["status"] == "CRITICAL")
    assert row["utilization"] == "Infinity"
    assert body["schema_version"] == 1
    assert body["as_of"] == "2026-01-30T23:55:00Z"
    assert body["policy"]["name"] == "quantile"
    assert body["probability_fits"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["made"])


def test_a_plan_survives_pickling(planned):
    again = pickle.loads(pickle.dumps(planned))
    assert again.table(100) == planned.table(100)


def test_scenarios_default_to_the_historys_and_words_are_understood(world):
    assert [s.name for s in surgetank.plan(world).headroom.scenarios] == [s.name for s in world.scenarios]
    n1 = surgetank.plan(world, scenarios="N-1")
    assert [s.name for s in n1.headroom.scenarios] == ["eu-west-1 fails", "us-east-1 fails", "us-west-2 fails"]
    shipped = surgetank.plan(world, scenarios="shipped")
    assert shipped.skipped == ()
    eu_only = History.from_array(np.ones((5, 1)), start=0, step_s=60, regions=["eu-west-1"], quota=9)
    skipped = surgetank.plan(eu_only, scenarios="shipped")
    assert skipped.skipped == ("regional_dr", "traffic_spike")
    assert "regional_dr, traffic_spike" in str(skipped)


def test_thresholds_and_costs_by_pattern(world):
    strict = surgetank.plan(world, thresholds={"*": Thresholds(), "rds/*": Thresholds(0.1, 0.2)})
    status = {(r["service_code"], r["region"]): r["status"] for r in strict.rows()}
    assert status["rds", "us-east-1"] == "CRITICAL"
    assert status["ec2", "us-east-1"] == "OK"
    capped = surgetank.plan(world, costs={"rds": 400.0}, policy=surgetank.ClassicPolicy(cost_cap=1000.0))
    row = next(r for r in capped.rows() if (r["service_code"], r["region"]) == ("rds", "us-west-2"))
    assert (row["needed"], row["limit"]) == (50.4, "none")  # it fits, so it costs nothing
    small = surgetank.plan(
        world, dict.fromkeys(world.keys, 70.0), costs={"rds": 400.0}, policy=surgetank.ClassicPolicy(cost_cap=1000.0)
    )
    row = next(r for r in small.rows() if (r["service_code"], r["region"]) == ("rds", "us-west-2"))
    assert (row["required"], row["limit"]) == (2.5, "cost_cap")
    assert "The cost cap leaves 2.5 of it." in row["reason"]


def test_now_moves_the_plan_back_and_forward(world):
    then = surgetank.plan(world, now="2026-01-20T12:00:00Z")
    k = world.keys.index(next(key for key in world.keys if key.service_code == "lambda"))
    row = next(r for r in then.rows() if r["service_code"] == "lambda" and r["region"] == world.keys[k].region)
    assert row["usage"] == world.usage[world.times == np.datetime64("2026-01-20T12:00:00"), k][0]
    assert str(then.as_of) == "2026-01-20T12:00:00"
    late = surgetank.plan(world, now="2026-02-05T00:00:00Z")
    assert set(late.headroom.status) == {"UNKNOWN"}
    assert late.status == "UNKNOWN"
    assert late.coverage == 0
    assert "too old to judge" in late.rows()[0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"quotas": {}},
            "quotas: must be given: the history holds none (surgetank import QUOTAS.csv adds some) (got None)",
        ),
        ({"quotas": {("1",): -1.0}}, "quota: of 1 - must be finite and 0 or more (got -1.0)"),
        ({"scenarios": "N-0"}, 'scenarios: "N-0" fails nothing; leave it out'),
        ({"scenarios": "N-3"}, 'scenarios: "N-3" needs at least 4 Regions in the plan'),
        ({"scenarios": "N1"}, "scenarios: must be Scenario objects or the words"),
        (
            {"scenarios": [Scenario("x", "us-east-1", {"us-west-3": 1.0})]},
            "did you mean 'us-west-2'? (got 'us-west-3')",
        ),
        ({"thresholds": {"ecs/*": Thresholds()}}, "thresholds: must name a quota of the plan"),
        ({"costs": {"rds": -1}}, "costs: of rds must be 0 or more (got -1)"),
        ({"policy": "classic"}, "policy: must be QuantilePolicy(...) or ClassicPolicy(...) (got 'classic')"),
        ({"now": "2026-01-20T12:00:00"}, "now: has no time zone"),
        ({"now": "2025-01-01T00:00:00Z"}, "usage: must hold at least one observed sample at or before now"),
        ({"tz": "UTC"}, "reading: options are for sources that are not a History yet (got 'tz')"),
    ],
)
def test_bad_arguments(world, arguments, message):
    with pytest.raises(InvalidInput) as error:
        surgetank.plan(world, **arguments)
    assert message in str(error.value)


def test_fleet_with_servers_as_regions_and_metrics_as_services(shared_data):
    """Real data: 4 servers × 6 metrics. Scaled to units, so that the rule's minimum of 10 units does not decide."""
    path = shared_data / "fleet" / "fleet_5min.csv"
    history = History.read(path, series="{region}.{service_code}")
    assert history.usage.shape == (8640, 24)
    assert history.regions == ("server1", "server2", "server3", "server4")
    raw = np.genfromtxt(path, delimiter=",", skip_header=1)[:, 1:]
    np.testing.assert_array_equal(history.usage, raw)
    made = surgetank.plan(history, dict.fromkeys(history.keys, 1.2), "N-1", policy=surgetank.ClassicPolicy())
    assert made.coverage == 1
    assert made.step_s == 300
    for k, key in enumerate(history.keys):
        row = next(r for r in made.rows() if (r["region"], r["service_code"]) == (key.region, key.service_code))
        usage = raw[-1, k]
        assert row["usage"] == usage
        assert row["available"] == 1.2 - usage
        assert row["needed"] == 10  # the metrics lie in [0, 1], and the classic rule keeps 10 units whatever the unit
        assert row["attribution"] == "minimum: 10 units"
        base = max(
            2 * raw[:, k].std(), 168 * np.polyfit(np.arange(8640), raw[:, k], 1)[0], 1.2 * (raw[:, k].max() - usage)
        )
        assert row["base"] == pytest.approx(max(base, 0.2 * usage), rel=1e-9)


def test_verdict_is_plain_data(planned):
    from surgetank.verdict import check

    verdict = check(planned)
    assert verdict.exit_code == 2
    body = json.loads(json.dumps(verdict.to_dict()))
    assert body["because"] == "1 of 12 quotas is CRITICAL"
    assert [row["status"] for row in body["quotas"]].count("CRITICAL") == 1
    assert "OK" not in {row["status"] for row in body["quotas"]}
