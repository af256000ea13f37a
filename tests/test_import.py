"""Whatever the source and its order, the store ends the same, and every row is counted once."""

import gzip
import io
import itertools
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracles_import
from clear import clear_error
from surgetank import History, InvalidInput, Store
from surgetank.history import spool
from surgetank.history.readers import read_samples

REGIONS = ("a", "b", "c")
# Few instants, values and Regions, so that rows say the same, say something else, and come in any order.
ROW = st.tuples(
    st.sampled_from(REGIONS),
    st.sampled_from([-86_401, -1, 0, 1, 60, 86_399, 86_400, 200_000]),
    st.sampled_from([0.0, 1.0, 2.5, 1e300, math.nan]),
)
ROWS = st.lists(ROW, max_size=30).map(lambda rows: [("a", 5, 1.0), *rows])


def instant(second):
    return f"{np.datetime64(second, 's')}Z"


def as_csv(rows):
    lines = [f"{instant(t)},{region},{'' if v != v else repr(v)}\n" for region, t, v in rows]
    return ("timestamp,region,usage\n" + "".join(lines)).encode()


def as_prometheus(rows):
    result = [
        {"metric": {"region": region}, "values": [[t, repr(v)] for _, t, v in of]}
        for region, of in itertools.groupby(rows, key=lambda row: row[0])
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def as_parquet(rows):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    region, timestamp, usage = map(list, zip(*rows, strict=True))
    file = io.BytesIO()
    usage = [None if v != v else v for v in usage]
    pq.write_table(pa.table({"timestamp": timestamp, "region": region, "usage": pa.array(usage, pa.float64())}), file)
    return file.getvalue()


FORMATS = {
    "csv": as_csv,
    "gzip": lambda rows: gzip.compress(as_csv(rows)),
    "utf-16": lambda rows: as_csv(rows).decode().encode("utf-16"),
    "prometheus": as_prometheus,
    "parquet": as_parquet,
}


def held(store):
    """Region → second → usage."""
    if not store.keys_with_usage():
        return {}
    found = store.samples()
    result = {key.region: {} for key in found.keys}
    for code, t, value in zip(found.code.tolist(), found.time_s.tolist(), found.value.tolist(), strict=True):
        result[found.keys[code].region][t] = value
    return result


@pytest.fixture
def small_runs(monkeypatch):
    """Runs of three rows, and a file instead of memory after five: what a source of millions goes through."""
    monkeypatch.setattr(spool, "RUN_ROWS", 3)
    monkeypatch.setattr(spool, "MEMORY_ROWS", 5)
    monkeypatch.setattr("surgetank.history.csvfile.BATCH_ROWS", 2)


@pytest.mark.usefixtures("small_runs")
@pytest.mark.parametrize("kind", FORMATS)
@given(ROWS, ROWS, st.randoms())
@settings(max_examples=8, deadline=None)
def test_a_then_b_is_a_and_b_at_once_in_any_order_and_twice_is_once(kind, a, b, shuffler):
    shuffled = [*a, *b]
    shuffler.shuffle(shuffled)
    expected = oracles_import.merged(a, b)
    write = FORMATS[kind]
    for imports in ([a, b], [b, a], [[*a, *b]], [shuffled], [a, b, a], [shuffled, shuffled]):
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "x.db", create=True) as store:
            known = []
            for rows in imports:
                report = store.import_usage(io.BytesIO(write(rows)), service_code="ec2")
                counted = (report.added, report.duplicates, report.conflicts, report.missing)
                assert counted == oracles_import.counts(rows, known)
                assert report.rows == len(rows) == sum(counted)
                known += rows
            assert held(store) == expected


@pytest.mark.usefixtures("small_runs")
@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_the_report_of_every_quota_adds_up(rows):
    report = read_samples(io.BytesIO(as_csv(rows)), service_code="ec2").report
    held = oracles_import.merged(rows)
    for one in report.per_series:
        region = one.series.removesuffix(" ec2")
        own = [row for row in rows if row[0] == region]
        assert (one.added, one.duplicates, one.conflicts, one.missing) == oracles_import.counts(own)
        assert one.rows == len(own)
        assert (one.gaps, one.longest_gap_s) == oracles_import.gaps(held.get(region, ()))
        ends = [instant(t) for t in (min(held[region]), max(held[region]))] if held.get(region) else ["", ""]
        assert [one.first, one.last] == ends
    for name in ("rows", "added", "duplicates", "conflicts", "missing", "gaps"):
        assert getattr(report, name) == sum(getattr(one, name) for one in report.per_series)


@pytest.mark.usefixtures("small_runs")
@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_a_grid_from_runs_on_disk_is_the_grid_of_the_samples(rows):
    history = History.read(io.BytesIO(as_csv(rows)), step_s=60)
    expected = {}
    for region, seconds in oracles_import.merged(rows).items():
        for t, value in seconds.items():
            place = (region, t // 60)
            expected[place] = max(value, expected.get(place, 0.0))
    found = {
        (key.region, history.start_s // 60 + t): history.usage[t, k]
        for k, key in enumerate(history.keys)
        for t in np.flatnonzero(~np.isnan(history.usage[:, k])).tolist()
    }
    assert found == expected


def test_gaps_in_the_store_are_those_that_are_left(tmp_path):
    """A file with a hole that the store can fill has no gap any more; the hole alone had one."""
    with Store(tmp_path / "x.db", create=True) as store:
        first = [("a", 60 * i, 1.0) for i in range(10)]
        hole = [("a", 60 * i, 1.0) for i in (*range(5), *range(8, 12))]
        assert store.import_usage(io.BytesIO(as_csv(hole))).gaps == 1
        assert store.import_usage(io.BytesIO(as_csv(first))).gaps == 0
        assert store.import_usage(io.BytesIO(as_csv(hole))).gaps == 0
        assert store.imports()[0]["per_series"] == []  # for ever, of thousands, it would be too much


def test_the_report_as_text_and_as_plain_values():
    rows = [("a", 60 * i, 1.0) for i in (*range(5), 8, 9)] + [("a", 0, 1.0), ("a", 60, 2.0), ("b", 0, math.nan)]
    report = read_samples(io.BytesIO(as_csv(rows)), service_code="ec2").report
    assert str(report).splitlines() == [
        "stream (CSV): 10 rows, 2 series, 1970-01-01T00:00:00Z to 1970-01-01T00:09:00Z, one sample every 60 s",
        "  7 added, 1 merged (already said), 1 conflicting (the maximum was kept), 1 not observed",
        "  read: timestamp, region, usage, service_code ← 'ec2'",
        "  1 gap, the longest of 4 min",
        "  a ec2: 9 rows, 7 kept, 1 merged (already said), 1 conflicting (the maximum was kept), "
        "1 gap, the longest of 4 min",
    ]
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["per_series"][0]["gaps"] == 1
    assert plain["per_series"][1] == {**plain["per_series"][1], "series": "b ec2", "rows": 1, "missing": 1, "added": 0}


# Rows that cannot be read.

BAD = """timestamp,region,usage
2026-01-01T00:00Z,a,1
2026-01-01T00:05Z,a,x
2026-01-01T00:10Z,b,-4
2026-01-01T00:15Z,b,1e999
tomorrow,a,2
2026-01-01T00:40Z,a,7,8
"2026-01-01T00:45Z","b
c",3
2026-01-01T00:50Z,a"b,3
2026-01-01T01:00Z,caf\N{LATIN SMALL LETTER E WITH ACUTE},7

2026-01-01T01:05Z,b,9
"""


def test_bad_rows_are_refused_together_with_the_line_of_each():
    source = io.BytesIO(BAD.encode("latin-1"))
    with clear_error(
        InvalidInput, "stream, line 3, column 'usage'", "got 'x'", "6 of 10 rows", "bad='skip'", "--bad skip"
    ) as caught:
        read_samples(source, service_code="ec2")
    report = caught.value.report
    assert (report.rows, report.added, report.out_of_range, report.not_understood) == (10, 0, 2, 4)


def test_bad_rows_can_be_left_out_and_are_listed_as_they_stand():
    found = read_samples(io.BytesIO(BAD.encode("latin-1")), service_code="ec2", bad="skip")
    report = found.report
    assert (report.rows, report.added, report.out_of_range, report.not_understood) == (10, 4, 2, 4)
    assert [key.region for key in found.keys] == ["a", "b", "b\nc", 'a"b']
    places = [bad.partition(":")[0].partition(", column")[0] for bad in report.first_bad]
    assert places == [f"stream, line {n}" for n in (3, 4, 5, 6, 7, 11)]
    a, b, *_ = report.per_series
    assert (a.rows, a.added, a.not_understood, a.out_of_range) == (3, 1, 2, 0)
    assert (b.rows, b.added, b.not_understood, b.out_of_range) == (3, 1, 0, 2)
    text = str(report)
    assert "2 out of range, 4 not understood" in text
    assert text.count("left out: stream, line") == 6


def test_where_every_row_is_bad_nobody_is_told_to_leave_them_out():
    text = "timestamp,usage\n" + "2026-01-01 00:00,1\n" * 3
    with clear_error(InvalidInput, "time zone", "3 of 3 rows") as caught:
        read_samples(io.BytesIO(text.encode()))
    assert "skip" not in str(caught.value)


def test_a_source_of_nothing_but_bad_rows_is_not_read_to_its_end():
    class Endless(io.RawIOBase):
        def __init__(self):
            self.text = b"timestamp,usage\n"

        def readable(self):
            return True

        def read(self, size):
            self.text += b"2026-01-01 00:00,1\n" * (size // 19 + 1)
            given, self.text = self.text[:size], self.text[size:]
            return given

    with clear_error(InvalidInput, "time zone", "1,000 rows and more"):
        read_samples(Endless())


@pytest.mark.parametrize("bad", ["drop", None, 1])
def test_what_to_do_with_bad_rows_is_one_of_two_words(bad):
    with clear_error(InvalidInput, "bad", "refuse", "skip"):
        read_samples(io.BytesIO(as_csv([("a", 0, 1.0)])), bad=bad)


def test_negative_usage_is_out_of_range_unless_it_is_to_be_missing_or_kept():
    source = as_csv([("a", 0, 1.0), ("a", 60, -2.0)])
    skipped = read_samples(io.BytesIO(source), bad="skip").report
    missing = read_samples(io.BytesIO(source), negative="missing").report
    kept = read_samples(io.BytesIO(source), negative="keep").report
    assert [(r.added, r.out_of_range, len(r.first_bad)) for r in (skipped, missing, kept)] == [
        (1, 1, 1),
        (1, 1, 0),
        (2, 0, 0),
    ]
    assert "1 row is below 0 and read as not observed" in str(missing)


def test_usage_below_zero_that_was_accepted_is_not_called_unreadable():
    lines = ["timestamp,usage", *(f"{60 * n},-1" for n in range(1_500)), "90000,2", "90060,x"]
    source = "\n".join(lines).encode()
    with clear_error(InvalidInput, "line 1503", "1 of 1,502 rows"):
        read_samples(io.BytesIO(source), negative="missing")
    text = str(read_samples(io.BytesIO(source), negative="missing", bad="skip").report)
    assert text.count("left out") == 1
    assert "more" not in text


def test_units_agree_whatever_their_case_within_a_source_as_between_sources(tmp_path):
    rows = ["timestamp,region,usage,unit", "0,a,1,GB", "60,a,1,gb"]
    samples = read_samples(io.BytesIO("\n".join(rows).encode()))
    assert set(samples.units.values()) == {"GB"}
    with Store(tmp_path / "x.db", create=True) as store:
        for n in (1, 2):
            store.import_usage(io.BytesIO("\n".join([rows[0], rows[n]]).encode()), service_code="s")


def test_samples_that_were_made_are_counted_too(tmp_path):
    usage = np.ones((10, 1))
    usage[4] = np.nan
    made = History.from_array(usage, start=0, step_s=60, regions=["a"])
    with Store(tmp_path / "x.db", create=True) as store:
        report = store.add_samples(made.samples())
    assert (report.rows, report.added, report.gaps) == (9, 9, 1)
    (one,) = report.per_series
    assert (one.rows, one.added, one.gaps, one.step_s) == (9, 9, 1, 60)
