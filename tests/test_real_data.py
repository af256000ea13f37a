"""Every real series loads, and comes out as an independent reading of the file says."""

import csv
import datetime as dt
import math

import numpy as np

from clear import clear_error
from oracles import slow_grid
from surgetank import History, InvalidInput

NEGATIVE = "art_daily_flatmiddle.csv"
SERIES_FILES = 68  # the fleet, one wide table, apart


def plain_reading(path):
    """Rows (region, second, value) by the csv module alone: first column the instant, second the value."""
    with path.open(newline="") as file:
        lines = list(csv.reader(file))[1:]
    rows = []
    for time, value, *_ in lines:
        at = dt.datetime.fromisoformat(time.replace("Z", "+00:00"))
        at = at if at.tzinfo else at.replace(tzinfo=dt.timezone.utc)
        rows.append(("-", math.floor(at.timestamp()), float(value or "nan")))
    return rows


def test_every_series_loads_as_it_is(shared_data):
    files = sorted(p for p in shared_data.rglob("*.csv") if p.parent.name != "fleet")
    assert len(files) == SERIES_FILES
    for path in files:
        negative = "keep" if path.name == NEGATIVE else "refuse"
        history = History.read(path, tz="UTC", negative=negative)
        rows = plain_reading(path)
        first, step, columns = slow_grid(rows)
        assert (history.start_s, history.step_s) == (first, step), path.name
        np.testing.assert_array_equal(history.usage[:, 0], columns["-"], err_msg=path.name)
        report = history.report
        assert report.rows == len(rows), path.name
        assert report.rows == report.added + report.duplicates + report.conflicts + report.missing, path.name
        assert report.added == len({t for _, t, v in rows if v == v}), path.name
        assert history.keys[0].service_code == path.stem


def test_the_fleet_is_one_wide_table(shared_data):
    path = shared_data / "fleet" / "fleet_5min.csv"
    history = History.read(path, series="{region}.{service_code}")
    expected = np.genfromtxt(path, delimiter=",", skip_header=1)[:, 1:]
    np.testing.assert_array_equal(history.usage, expected)
    assert history.step_s == 300
    assert history.regions == ("server1", "server2", "server3", "server4")
    assert history.keys[0][1:3] == ("server1", "metric00")


def test_the_one_file_with_negative_values_asks_what_to_do(shared_data):
    path = next(shared_data.rglob(NEGATIVE))
    below = sum(v < 0 for _, _, v in plain_reading(path))
    with clear_error(InvalidInput, f"{NEGATIVE}, line 2", "'value'", "negative='missing'", "--negative", "-21.04"):
        History.read(path, tz="UTC")
    missing = History.read(path, tz="UTC", negative="missing")
    assert missing.report.out_of_range == below > 0
    assert np.isfinite(missing.usage).sum() == missing.report.added == missing.report.rows - below
    kept = History.read(path, tz="UTC", negative="keep")
    assert kept.signed
    assert (kept.usage < 0).sum() == below


def test_naive_times_are_refused_with_line_and_option(shared_data):
    with clear_error(InvalidInput, "calgary_1h.csv, line 2", "'Datetime'", "time zone", "tz=", "--tz", "1994-10-24"):
        History.read(shared_data / "workloads" / "calgary_1h.csv")
