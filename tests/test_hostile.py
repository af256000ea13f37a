"""Input that means harm, or that nobody meant: read right, or refused in one line; never another number."""

import csv
import datetime as dt
import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clear import clear_error
from surgetank import History, InvalidInput
from surgetank.history.cells import float_seconds, parse_instant, whole_seconds
from surgetank.history.readers import read_samples
from test_cli import here, run

__all__ = ["here", "run"]  # fixtures

NEW_YEAR = 1767225600
NAMES = {
    "a line break": "b\nThe store is elsewhere",
    "an escape": "\x1b[31mred",
    "right to left": "\u202eevil",
    "a formula": "=cmd|' /C calc'!A0",
    "a minus": "-2+3",
    "three hundred": "n" * 300,
    "wide": "日本",
    "a tab": "a\tb",
    "quotes": "a'b\";--",
    "markup": "[bold]<script>alert(1)</script>",
    "a path": "../../etc/passwd",
    "percent": "%s%n{0}",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_goes_through_every_command(here, run, name):
    name = NAMES[name]
    with (here / "u.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "region", "service_code", "quota_code", "usage", name + "?"])
        rows.writerows(
            [NEW_YEAR + 300 * i, region, "ec2", name, 5 + i % 3, ""] for i in range(60) for region in (name, "r")
        )
    with (here / "q.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["region", "service_code", "quota_code", "quota"])
        rows.writerows([region, "ec2", name, 100] for region in (name, "r"))
    code, out, err = run("import", "u.csv", "q.csv")
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.splitlines())
    assert not any(line.startswith("The store is elsewhere") for line in out.splitlines())
    for command in (["plan", "--html", "p.html"], ["show"], ["check"], ["spikes"], ["plan", "--scenario", "N-1"]):
        code, out, err = run(*command)
        assert code in (0, 1, 2), err
        assert all(line.isprintable() for line in out.splitlines()), command
    page = (here / "p.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "\x1b" not in page
    body = json.loads(run("plan", "--json")[1])
    assert {quota["region"] for quota in body["quotas"]} == {name, "r"}


# Instants.


def seconds(*cells, **how):
    frame = pd.DataFrame({"timestamp": list(cells), "region": [str(i) for i in range(len(cells))], "usage": 1.0})
    samples = read_samples(frame, **how)
    return [int(samples.series(n)[0][0]) for n in range(len(cells))]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("make", [int, str, float, np.int64])
def test_epochs_of_any_unit(unit, make):
    assert seconds(*(make(unit * (NEW_YEAR + s)) for s in (0, 300))) == [NEW_YEAR, NEW_YEAR + 300]


@pytest.mark.parametrize("kind", [np.int64, np.float64, np.uint64, object])
def test_epochs_of_several_units_in_one_column_are_each_read_in_their_own(kind):
    """A column of an int64 frame is not taken to be in the unit of its largest number."""
    mixed = np.array([NEW_YEAR, 1000 * NEW_YEAR, 10**6 * NEW_YEAR, 10**9 * NEW_YEAR], dtype=kind)
    frame = pd.DataFrame({"timestamp": mixed, "region": list("abcd"), "usage": 1.0})
    assert set(read_samples(frame).time_s.tolist()) == {NEW_YEAR}


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3).map(lambda n: 10**17 + n), min_size=1))
def test_columns_of_integers_are_read_as_each_of_them_is(column):
    for kind, fit in ((np.int64, column), (np.uint64, [abs(n) for n in column])):
        assert whole_seconds(np.array(fit, dtype=kind)).tolist() == [parse_instant(n, None) for n in fit]


@given(st.lists(st.floats(width=64), min_size=1))
def test_columns_of_floats_are_read_as_each_of_them_is(column):
    found, wrong = float_seconds(np.array(column))
    for row, (cell, second) in enumerate(zip(column, found.tolist(), strict=True)):
        try:
            assert parse_instant(cell, None) == second
            assert row not in wrong
        except InvalidInput:  # noqa: PERF203
            assert row in wrong


def test_instants_beyond_the_calendar_are_refused_in_every_zone_but_utc():
    far = np.array(["12000-01-01"], dtype="datetime64[s]")
    with clear_error(InvalidInput, "row 0", "'timestamp'"):
        seconds(far[0], tz="Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2024-02-29T00:00:00Z", 1709164800),
        ("2023-12-31T23:59:60Z", 1704067199),  # a leap second is in the minute that it ends
        ("2026-01-01T00:00:00.1Z", NEW_YEAR),
        ("2026-01-01T00:00:00.123456789Z", NEW_YEAR),
        ("2026-01-01T00:00:00,5Z", NEW_YEAR),
        ("2026-01-01T01:00:00+0100", NEW_YEAR),
        ("2026-01-01T01:00:00+01", NEW_YEAR),
        ("2026-01-01 00:00:00 +00:00", NEW_YEAR),
        ("2026-01-01T05:45:00+05:45", NEW_YEAR),
        ("2025-12-31T12:00-12:00", NEW_YEAR),
    ],
)
def test_texts_that_not_every_python_takes(text, second):
    assert seconds(text) == [second]


@pytest.mark.parametrize(
    "text",
    ["2023-02-29T00:00Z", "2026-01-01T12:30:60Z", "2026-01-01T24:30Z", "2026-00-01T00:00Z", "2026-01-01T00:00+99:00",
     "٢٠٢٦-01-01T00:00Z", "2026-01-01T00:00:00..5Z", "1" * 5000, "2026-01-01T00:00Z" * 100],
)  # fmt: skip
def test_texts_that_are_no_instant(text):
    with clear_error(InvalidInput, "row 0", "'timestamp'"):
        seconds(text)


def test_the_hour_that_comes_twice_is_the_first_and_is_noted():
    hours = [f"2026-10-25 0{h}:30" for h in (1, 2, 2, 3)]
    samples = read_samples(pd.DataFrame({"timestamp": hours, "usage": [1.0, 2, 3, 4]}), tz="Europe/Berlin")
    first = dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.timezone.utc)
    assert samples.time_s.tolist() == [int(first.timestamp()) + s for s in (-3600, 0, 7200)]
    assert samples.report.conflicts == 1
    assert "2 rows lie in an hour that comes twice in Europe/Berlin" in str(samples.report)


@pytest.mark.parametrize(
    "cell", ["2026-03-29 02:30", dt.datetime(2026, 3, 29, 2, 30), np.datetime64("2026-03-29T02:30")]
)
def test_the_hour_that_never_comes_is_refused(cell):
    with clear_error(InvalidInput, "row 0", "'timestamp'", "Europe/Berlin", "put forward"):
        seconds(cell, tz="Europe/Berlin")
    assert seconds(cell, tz="UTC") == [1774751400]


def test_each_row_may_state_its_own_zone():
    cells = ["2026-01-01T00:00Z", "2026-01-01T01:00+01:00", "2025-12-31T19:00-05:00", "2026-01-01 09:00"]
    assert seconds(*cells, tz="Asia/Tokyo") == [NEW_YEAR] * 4


# Numbers.


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1e-999", 0.0), ("1e308", 1e308), ("+5", 5.0), (" 5 ", 5.0), ("-0", 0.0), ("5.", 5.0), (".5", 0.5), ("1E3", 1e3),
     ("0" * 1000 + "5", 5.0), ("5" + "0" * 300, 5e300)],
)  # fmt: skip
def test_numbers_as_people_write_them(cell, value):
    history = History.read(io.BytesIO(f"timestamp,usage\n0,{cell}\n".encode()))
    assert history.usage.tolist() == [[value]]
    assert not np.signbit(history.usage).any()


@pytest.mark.parametrize(
    "cell", ["1e999", "9" * 400, "inf", "-Infinity", "0x10", "1 000", "1'000", "5%", "$5", "1_0", "--1"]
)
def test_what_is_no_finite_number(cell):
    with clear_error(InvalidInput, "line 2", "'usage'", "finite number"):
        History.read(io.BytesIO(f"timestamp,usage\n0,{cell}\n".encode()))


# Lines and encodings.


def test_every_line_end_in_one_file():
    text = "timestamp,region,usage\r\n0,a,1\n300,a,2\r600,a,3\r\n\r\n900,a,\n1200,a,5"
    assert read_samples(io.BytesIO(text.encode())).value.tolist() == [1, 2, 3, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(encoding):
    text = "timestamp,region,usage\n0,é\u2028日本,1\n"
    samples = read_samples(io.BytesIO(text.encode(encoding)))
    assert [key.region for key in samples.keys] == ["é\u2028日本"]


def test_a_line_in_another_encoding_is_one_bad_row():
    lines = [b"timestamp,region,usage", "0,é,1".encode(), "0,é,2".encode("latin-1"), "0,ü,3".encode()]
    found = read_samples(io.BytesIO(b"\n".join(lines)), bad="skip")
    assert [key.region for key in found.keys] == ["é", "ü"]
    assert len(found.report.first_bad) == 1
    assert "line 3: must be text in UTF-8" in found.report.first_bad[0]
    assert found.report.first_bad[0].isprintable()


# What a tester found.


@pytest.mark.parametrize("kind", [np.int64, np.float64])
@pytest.mark.parametrize(
    "dates", [[20260101, 20260102], [202601011200, 202601011205], [20260101120000, 20260101120500]]
)
def test_dates_without_dashes_are_no_seconds_in_numbers_either(kind, dates):
    with clear_error(InvalidInput, "row 0", "'timestamp'", "a date needs its dashes"):
        seconds(*np.array(dates, dtype=kind))


def test_a_clock_that_begins_at_zero_may_pass_by_such_numbers():
    column = np.arange(0, 30_000_000, 50_000)
    frame = pd.DataFrame({"timestamp": column, "usage": 1.0})
    assert read_samples(frame).time_s.tolist() == column.tolist()


@pytest.mark.parametrize("tz", [None, "UTC", "Europe/Berlin"])
def test_a_missing_instant_among_objects_is_a_bad_row(tz):
    cells = pd.Series([dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), pd.NaT], dtype=object)
    frame = pd.DataFrame({"timestamp": cells, "usage": [1.0, 2.0]})
    report = read_samples(frame, tz=tz, bad="skip").report
    assert (report.rows, report.added, report.not_understood) == (2, 1, 1)


def test_levels_of_an_index_are_columns():
    frame = pd.DataFrame({"timestamp": [0, 0, 60], "region": list("aba"), "account": "x", "usage": [1.0, 2, 3]})
    expected = read_samples(frame)
    found = read_samples(frame.set_index(["region", "account"]))
    assert set(found.keys) == set(expected.keys)
    assert found.report.conflicts == 0


def test_names_in_bytes_are_texts():
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"timestamp": [0], "region": pa.array([b"us-east-1"]), "usage": [1.0]})
    assert [key.region for key in read_samples(table).keys] == ["us-east-1"]


def test_arrow_keeps_the_zone_of_dictionaries_and_the_digits_of_columns_with_nulls():
    pa = pytest.importorskip("pyarrow")
    aware = pa.array([dt.datetime(2026, 1, 1)], pa.timestamp("s", "UTC")).dictionary_encode()
    assert read_samples(pa.table({"timestamp": aware, "usage": [1.0]}), tz="Europe/Berlin").time_s.tolist() == [
        NEW_YEAR
    ]
    nanoseconds = [NEW_YEAR * 10**9 + 999_999_999, None]
    found = read_samples(pa.table({"timestamp": nanoseconds, "usage": [1.0, 2.0]}), bad="skip")
    assert found.time_s.tolist() == [NEW_YEAR]


def test_a_date_beside_its_time_is_not_left_out():
    with clear_error(InvalidInput, "timestamp", "join date and time", "--column"):
        read_samples(io.BytesIO(b"date,time,usage\n2026-01-01,0,1\n"))
    found = read_samples(io.BytesIO(b"date,time,usage\n2026-01-01T00:00Z,0,1\n"), columns={"timestamp": "date"})
    assert found.time_s.tolist() == [NEW_YEAR]


def test_statistics_of_one_series_are_not_mixed():
    one = {"Label": "CPU", "Datapoints": [{"Timestamp": "2026-01-01T00:00:00Z", "Maximum": 90, "Average": 10}]}
    other = {"Label": "CPU", "Datapoints": [{"Timestamp": "2026-01-01T00:05:00Z", "Average": 12}]}
    text = json.dumps(one) + json.dumps(other)
    with clear_error(InvalidInput, "document 2", "statistic", "'Maximum'", "Average"):
        read_samples(io.BytesIO(text.encode()))
    found = read_samples(io.BytesIO(text.encode()), columns={"usage": "Average"})
    assert found.value.tolist() == [10, 12]
    assert found.report.columns["usage"] == "statistic Average"
