"""Instants: what people and machines write, and what their zones and clock changes mean."""

import datetime as dt
import zoneinfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clear import clear_error
from surgetank import History, InvalidInput

NEW_YEAR = 1767225600  # 2026-01-01T00:00Z


def read_one(cell, **how):
    """Epoch second at which the step of one sample begins, for steps of a second."""
    return History.read(pd.DataFrame({"timestamp": [cell], "usage": [1.0]}), step_s=1, **how).start_s


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T00:00:00z", NEW_YEAR),
        (" 2026-01-01 00:00Z ", NEW_YEAR),
        ("2026-01-01T01:30:00+01:30", NEW_YEAR),
        ("2025-12-31T19:00:00-05:00", NEW_YEAR),
        ("2026-01-01T00:00:00.999Z", NEW_YEAR),
        ("2026-01-01T00:00:00.999999+00:00", NEW_YEAR),
        ("1969-12-31T23:59:59.5Z", -1),  # rounded down, not towards 0
        ("1767225600", NEW_YEAR),
        ("1767225600.75", NEW_YEAR),
        ("1767225600999", NEW_YEAR),
        ("1767225600999999", NEW_YEAR),
        ("1767225600999999999", NEW_YEAR),
        ("1.7672256e9", NEW_YEAR),
        ("-1", -1),
        ("-0.5", -1),
        ("0", 0),
    ],
)
def test_texts(text, second):
    assert read_one(text) == second
    # A zone that is stated already is not overridden.
    assert read_one(text, tz="Asia/Tokyo") == second


@given(st.integers(10**9, 4 * 10**9), st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_epoch_numbers_of_any_unit_as_text_and_as_number(second, unit):
    """Digits alone are never a calendar: "1612123112345" is 2021 in milliseconds, not the year 1612."""
    assert read_one(str(second * unit), tz="UTC") == second
    assert read_one(second * unit, tz="UTC") == second


def test_milliseconds_that_look_like_a_date():
    assert read_one("1612123112345", tz="UTC") == 1612123112


@given(
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata"]),
)
def test_naive_times_are_read_in_the_zone_stated(naive, tz):
    expected = int(np.floor(naive.replace(tzinfo=zoneinfo.ZoneInfo(tz)).timestamp()))
    assert read_one(naive.isoformat(), tz=tz) == expected
    assert read_one(naive, tz=tz) == expected
    assert read_one(naive.isoformat(sep=" "), tz=zoneinfo.ZoneInfo(tz)) == expected


@pytest.mark.parametrize(
    "naive",
    [
        "2026-01-01T00:00:00",
        "2026-01-01",
        dt.datetime(2026, 1, 1),
        dt.date(2026, 1, 1),
        np.datetime64("2026-01-01", "s"),
    ],
)
def test_naive_times_need_a_zone(naive):
    with clear_error(InvalidInput, "row 0", "'timestamp'", "time zone", "tz=", "--tz", "2026"):
        read_one(naive)
    assert read_one(naive, tz="UTC") == NEW_YEAR
    assert read_one(naive, tz="Europe/Berlin") == NEW_YEAR - 3600


def test_the_night_the_clock_jumps_forward_leaves_no_gap():
    hours = ["2026-03-29 00:00", "2026-03-29 01:00", "2026-03-29 03:00", "2026-03-29 04:00"]
    history = History.read(pd.DataFrame({"timestamp": hours, "usage": [1.0, 2, 3, 4]}), tz="Europe/Berlin")
    assert history.usage[:, 0].tolist() == [1, 2, 3, 4]
    assert str(history.time(0)) == "2026-03-28T23:00:00"


def test_the_night_the_clock_falls_back_is_counted():
    """02:00 comes twice; without an offset both are the first, one hour is empty, and the report says so."""
    hours = [f"2026-10-25 0{h}:00" for h in (1, 2, 2, 3, 4, 5)]
    history = History.read(pd.DataFrame({"timestamp": hours, "usage": [1.0, 2, 3, 4, 5, 6]}), tz="Europe/Berlin")
    np.testing.assert_array_equal(history.usage[:, 0], [1, 3, np.nan, 4, 5, 6])
    assert history.report.conflicts == 1
    aware = pd.date_range("2026-10-25 01:00", periods=6, freq="h", tz="Europe/Berlin")
    assert History.read(pd.DataFrame({"timestamp": aware, "usage": [1.0, 2, 3, 4, 5, 6]})).usage[:, 0].tolist() == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "yesterday",
        "2026-13-01T00:00Z",
        "2026-02-30T00:00Z",
        "nan",
        "inf",
        "1e300",
        "--5",
        "2026-01-01T25:00Z",
        True,
        None,
        "",
        1e20,
        [1],
        {},
    ],
)
def test_what_is_no_instant(cell):
    with clear_error(InvalidInput, "row 0", "'timestamp'", "ISO 8601"):
        read_one(cell, tz="UTC")


@pytest.mark.parametrize("cell", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
@pytest.mark.parametrize("tz", ["Europe/Berlin", "America/New_York", "UTC"])
def test_the_ends_of_the_calendar(cell, tz):
    """Zones have no offset there on some systems; that may be refused, but not by Python's own error."""
    try:
        assert abs(read_one(cell, tz=tz)) > 6e10
    except InvalidInput as error:
        assert "timestamp" in str(error)  # noqa: PT017


def test_backward_and_repeated_times_are_sorted_and_collapsed():
    times = [300, 0, 600, 300, 300, 0]
    report = History.read(pd.DataFrame({"timestamp": times, "usage": [1.0, 2, 3, 1, 4, 2]})).report
    assert (report.added, report.duplicates, report.conflicts) == (3, 2, 1)
    assert (report.first, report.last) == ("1970-01-01T00:00:00Z", "1970-01-01T00:10:00Z")
