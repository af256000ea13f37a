"""CSV and Parquet: layouts, column names, and one clear error for each file that cannot be read."""

import sys
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clear import clear_error
from surgetank import History, InvalidInput, MissingExtra, QuotaKey
from surgetank.history.csvfile import BATCH_ROWS

LONG = "timestamp,account,region,service_code,quota_code,usage\n"
ROW = "2026-01-01T00:00:00Z,1,us-east-1,ec2,L-1,5\n"


@pytest.fixture
def read(tmp_path):
    def call(content, name="fleet.csv", **how):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return History.read(path, **how)

    return call


@pytest.mark.parametrize(
    ("text", "how"),
    [
        (LONG + ROW, {}),
        ("usage,quota_code,service_code,region,account,timestamp\n5,L-1,ec2,us-east-1,1,2026-01-01T00:00:00Z\n", {}),
        ("Time,AWS Account Id,AWS Region,ServiceCode,QuotaCode,Value\n" + ROW, {}),
        (LONG.replace(",", ";") + ROW.replace(",", ";"), {}),
        (LONG.replace(",", "\t") + ROW.replace(",", "\t"), {}),
        ("\ufeff" + LONG + ROW, {}),
        ((LONG + ROW).replace("\n", "\r\n"), {}),
        ((LONG + ROW).replace("\n", "\r"), {}),
        ((LONG + ROW).encode("utf-16"), {}),
        (LONG + "\n" + ROW + "\n\n", {}),
        ((LONG + ROW).rstrip(), {}),
        (LONG.replace(",", " , ") + ROW.replace(",", " , "), {}),
        (LONG + '"2026-01-01T00:00:00Z","1","us-east-1","ec2","L-1","5"\n', {}),
        (
            "timestamp,usage\n2026-01-01T00:00:00Z,5\n",
            {"account": "1", "region": "us-east-1", "service_code": "ec2", "quota_code": "L-1"},
        ),
        (
            "when,acc,where,what,code,much\n" + ROW,
            {
                "columns": {
                    "timestamp": "when",
                    "account": "acc",
                    "region": "where",
                    "service_code": "what",
                    "quota_code": "code",
                    "usage": "much",
                }
            },
        ),
        (
            "timestamp,1.us-east-1.ec2.L-1\n2026-01-01T00:00:00Z,5\n",
            {"series": "{account}.{region}.{service_code}.{quota_code}"},
        ),
    ],
    ids=count(),
)
def test_many_ways_to_say_the_same(read, text, how):
    history = read(text, **how)
    assert history.keys == (QuotaKey("1", "us-east-1", "ec2", "L-1"),)
    assert history.usage.tolist() == [[5.0]]
    assert history.start_s == 1767225600


def test_columns_that_nobody_asked_for_are_listed(read):
    report = read("timestamp,usage,label,note\n2026-01-01T00:00Z,5,0,x\n").report
    assert report.ignored == ("label", "note")
    assert report.columns["usage"] == "column 'usage'"


@pytest.mark.parametrize("blank", ["", " ", "NaN", "nan", "NA", "N/A", "null", "None", "-"])
def test_cells_that_mean_not_observed(read, blank):
    history = read(
        f"timestamp,region,usage\n2026-01-01T00:00Z,a,1\n2026-01-01T00:01Z,a,{blank}\n2026-01-01T00:02Z,a,3\n",
        step_s=60,
    )
    np.testing.assert_array_equal(history.usage[:, 0], [1, np.nan, 3])
    assert history.report.missing == 1


def test_wide_tables(read):
    text = "timestamp,us-east-1.ec2,us-east-1.rds,eu-west-1.ec2\n2026-01-01T00:00Z,1,,3\n2026-01-01T00:05Z,4,,6\n"
    history = read(text, series="{region}.{service_code}")
    # A column without a single value stays: that its usage is unknown is an answer, and not "no such quota".
    assert [(k.region, k.service_code) for k in history.keys] == [
        ("us-east-1", "ec2"),
        ("us-east-1", "rds"),
        ("eu-west-1", "ec2"),
    ]
    np.testing.assert_array_equal(history.usage, [[1, np.nan, 3], [4, np.nan, 6]])
    assert (history.report.rows, history.report.added, history.report.missing) == (6, 4, 2)


def test_a_wide_table_of_regions_needs_no_template(read):
    history = read("timestamp,us-east-1,eu-west-1\n2026-01-01T00:00Z,1,2\n", service_code="ec2")
    assert history.keys == (
        QuotaKey(region="us-east-1", service_code="ec2"),
        QuotaKey(region="eu-west-1", service_code="ec2"),
    )


@pytest.mark.parametrize("how", [{}, {"series": "{service_code}", "columns": {"region": "region"}}])
def test_regions_in_rows_of_a_wide_table_are_never_merged(read, how):
    """Services across, Regions down: one of us-east-1's 1 and us-west-2's 3 would be lost as a "conflict"."""
    text = "timestamp,region,ec2,rds\n2026-01-01T00:00Z,us-east-1,1,2\n2026-01-01T00:00Z,us-west-2,3,4\n"
    try:
        history = read(text, **how)
    except InvalidInput as error:
        assert "region" in str(error)  # noqa: PT017 - refusing is as good as reading it right
    else:
        assert sorted(history.usage[0].tolist()) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "how", "words"),
    [
        ("", {}, ["source", "header", "empty"]),
        (" \n\n", {}, ["source", "header", "empty"]),
        (LONG, {}, ["fleet.csv", "usage", "at least one", "0 rows"]),
        (LONG + ROW.replace(",5", ","), {}, ["fleet.csv", "usage", "at least one", "1 rows"]),
        (LONG + ROW + ROW.replace(",5", ",inf"), {}, ["fleet.csv, line 3", "'usage'", "finite", "inf"]),
        (LONG + ROW.replace(",5", ",-inf"), {}, ["fleet.csv, line 2", "'usage'", "inf"]),
        (LONG + ROW.replace(",5", ",1e999"), {}, ["fleet.csv, line 2", "'usage'", "1e999"]),
        (LONG + ROW.replace(",5", ",-5"), {}, ["fleet.csv, line 2", "'usage'", "0 or more", "-5", "--negative"]),
        (LONG + ROW + "\n" + ROW.replace(",5", ",many"), {}, ["fleet.csv, line 4", "'usage'", "number", "many"]),
        (LONG + ROW.replace(",5", ',"1,5"'), {}, ["fleet.csv, line 2", "'usage'", "number", "1,5"]),
        (LONG + ROW.replace(",5", ",1_000"), {}, ["fleet.csv, line 2", "'usage'", "number", "1_000"]),
        (LONG + ROW.replace(",5", ",5,6"), {}, ["fleet.csv, line 2", "6 fields", "not 7"]),
        (LONG + ROW + "2026-01-01T00:05:00Z,1,us-ea", {}, ["fleet.csv, line 3", "6 fields", "not 3"]),
        (LONG + ROW + '2026-01-01T00:05:00Z,"1', {}, ["fleet.csv", "whole"]),
        (
            LONG + ROW.replace("2026-01-01T", "yesterday"),
            {},
            ["fleet.csv, line 2", "'timestamp'", "ISO 8601", "yesterday"],
        ),
        (LONG + ROW.replace("2026-01-01T00:00:00Z", ""), {}, ["fleet.csv, line 2", "'timestamp'"]),
        (LONG + ROW.replace("00Z", "00"), {}, ["fleet.csv, line 2", "time zone", "tz=", "--tz"]),
        ("a,b,c\n1,2,3\n", {}, ["timestamp", "column", "columns=", "'a', 'b', 'c'"]),
        ("timestamp\n2026-01-01T00:00Z\n", {}, ["usage", "column", "columns="]),
        (LONG + ROW, {"columns": {"usage": "usgae"}}, ["columns", "usage", "did you mean 'usage'"]),
        (LONG + ROW, {"columns": {"usgae": "usage"}}, ["columns", "did you mean 'usage'", "usgae"]),
        (LONG + ROW, {"columns": "usage"}, ["columns", "usage"]),
        (LONG + ROW, {"region": "us-east-1"}, ["region", "'region'", "leave it out"]),
        ("timestamp,usage,usage\n2026-01-01T00:00Z,1,2\n", {}, ["columns", "different", "usage"]),
        (LONG + ROW, {"tz": "Europe/Berln"}, ["tz", "IANA", "Europe/Berln"]),
        (LONG + ROW, {"tz": 5}, ["tz", "5"]),
        (LONG + ROW, {"negative": "drop"}, ["negative", "refuse", "missing", "keep", "drop"]),
        ("timestamp,a,b\n2026-01-01T00:00Z,1,2\n", {"series": "{place}"}, ["series", "region", "{place}"]),
        ("timestamp,a,b\n2026-01-01T00:00Z,1,2\n", {"series": "all"}, ["series", "region", "all"]),
        ("timestamp,a,b\n2026-01-01T00:00Z,1,2\n", {"series": 5}, ["series", "5"]),
        ("timestamp,a,b\n2026-01-01T00:00Z,1,2\n", {"series": "{region}.{service_code}"}, ["series", "header", "'a'"]),
        ("timestamp,a,b\n2026-01-01T00:00Z,1,x\n", {"series": "{region}"}, ["line 2", "'b'", "number", "x"]),
        ("timestamp,a,b\n2026-01-01T00:00Z,1,1\n2026-01-01T00:05Z,1,-2\n", {}, ["line 3", "'b'", "0 or more", "-2"]),
        (
            "timestamp,usage,unit\n2026-01-01T00:00Z,1,GiB\n2026-01-01T00:05Z,1,MiB\n",
            {},
            ["line 3", "'unit'", "GiB", "MiB"],
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, ["source", "fleet.csv"]),
        (b"\x1f\x8b\x08\0" + bytes(range(256)), {}, ["source", "whole gzip", "fleet.csv"]),
        (LONG + ROW.replace("us-", "\0us-"), {}, ["source", "binary", "fleet.csv"]),
        ((LONG + ROW).encode() + b"2026-01-01T00:05:00Z,1,caf\xe9,ec2,L-1,5\n", {}, ["fleet.csv, line 3", "UTF-8"]),
        ((LONG + ROW).encode("utf-16")[:-1], {}, ["source", "UTF-16", "fleet.csv"]),
        (b"PAR1" + bytes(range(256)), {}, ["source", "whole Parquet", "fleet.csv"]),
    ],
    ids=count(),
)
def test_each_bad_file_gives_one_clear_error(read, text, how, words):
    with clear_error(InvalidInput, *words):
        read(text, **how)


def test_nul_bytes_far_into_a_file_are_found_too(read):
    good = "".join(f"{60 * i},a,1\n" for i in range(20_000))
    assert len(good) > 2 * 65_536  # more than a first look
    with clear_error(InvalidInput, "fleet.csv"):
        read("timestamp,region,usage\n" + good + "0,a\0b,1\n")


def test_lines_are_counted_across_batches_and_blank_lines(read):
    text = "timestamp,region,usage\n\n" + "".join(f"{60 * i},a,1\n" for i in range(BATCH_ROWS + 10)) + "0,a,x\n"
    with clear_error(InvalidInput, f"line {BATCH_ROWS + 13}", "'usage'", "x"):
        read(text)


def test_a_first_blank_line_is_no_header(read):
    """Spreadsheets write it; the answer must be the data or an error that is not about "0 fields"."""
    try:
        assert read("\ntimestamp,usage\n2026-01-01T00:00Z,1\n").usage.tolist() == [[1.0]]
    except InvalidInput as error:
        assert "0 fields" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("path", [".", "none.csv", "x" * 300, "a\0b", ""])
def test_paths_that_are_no_files(path):
    with clear_error(InvalidInput, "source", "readable file"):
        History.read(path)


@pytest.mark.parametrize("source", [None, 5, {"timestamp": [0], "usage": [1]}, [[0, 1]], np.ones((3, 2)), b"x.csv"])
def test_what_is_no_source(source):
    with clear_error(InvalidInput, "source", "__arrow_c_stream__", type(source).__name__):
        History.read(source)


@pytest.mark.parametrize("name", ["n" * 300, "a\tb", "\x1b[31mred", "日本", "a'b--", "\u202e", "<b>"])
def test_any_name_survives_and_is_shown_on_one_line(read, name):
    text = f"timestamp|region|usage\n2026-01-01T00:00Z|{name}|1\n"
    assert read(text).keys[0].region == name
    with clear_error(InvalidInput, "line 2"):
        read(text.replace("|1\n", f"|{name}\n"))
    with clear_error(InvalidInput, "columns"):
        read(text, columns={"usage": name})


def test_progress_ends_at_the_size_of_the_file(read):
    seen = []
    text = LONG + ROW * 3
    read(text, progress=lambda done, size: seen.append((done, size)))
    assert seen[-1] == (len(text), len(text))


def test_parquet_is_the_same_table(tmp_path):
    path = tmp_path / "fleet.parquet"
    table = pa.table(
        {"timestamp": pa.array([0, 300], pa.timestamp("s", "UTC")), "region": ["a", "a"], "usage": [1.0, None]}
    )
    pq.write_table(table, path)
    history = History.read(path, step_s=300)
    assert history.usage.tolist() == [[1.0]]
    assert history.report.missing == 1
    path.write_bytes(path.read_bytes()[:-20])
    with clear_error(InvalidInput, "source", "whole Parquet", "fleet.parquet"):
        History.read(path)


def test_beyond_plain_csv_the_extra_is_named(tmp_path, monkeypatch):
    path = tmp_path / "fleet.parquet"
    pq.write_table(pa.table({"timestamp": [0], "usage": [1.0]}), path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with clear_error(MissingExtra, "fleet.parquet", "surgetank[files]"):
        History.read(path)
    (tmp_path / "plain.csv").write_text(LONG + ROW)
    assert History.read(tmp_path / "plain.csv").usage.tolist() == [[5.0]]


def test_usage_can_be_read_with_its_quotas(tmp_path, read):
    (tmp_path / "quotas.csv").write_text(
        "Account,Region,ServiceCode,QuotaCode,Limit,Default,Unit,Adjustable,Global\n1,us-east-1,ec2,L-1,9,5,vCPU,yes,no\n"
    )
    (quota,) = read(LONG + ROW, quotas=tmp_path / "quotas.csv").quotas.values()
    assert (quota.value, quota.default_value, quota.unit, quota.adjustable, quota.is_global) == (
        9,
        5,
        "vCPU",
        True,
        False,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("region,quota\na,x\n", ["quotas.csv, line 2", "'quota'", "number", "x"]),
        ("region,quota\na,-1\n", ["quotas.csv, line 2", "'quota'", "0 or more", "-1"]),
        ("region,quota\na,inf\n", ["quotas.csv, line 2", "'quota'", "finite", "inf"]),
        ("region,quota,adjustable\na,1,maybe\n", ["quotas.csv, line 2", "'adjustable'", "true or false", "maybe"]),
        ("region,quota\na,1\na,2\n", ["quotas", "a", "once", "1 and 2"]),
        ("region,size\na,1\n", ["quota", "column", "region, size"]),
        ("region,quota\na\n", ["quotas.csv, line 2", "2 fields"]),
        ("", ["source", "quotas.csv, empty"]),
    ],
)
def test_each_bad_quota_file_gives_one_clear_error(tmp_path, read, text, words):
    (tmp_path / "quotas.csv").write_text(text)
    with clear_error(InvalidInput, *words):
        read(LONG + ROW, quotas=tmp_path / "quotas.csv")


def test_a_wide_table_with_a_region_column_keeps_every_row_in_its_region(tmp_path):
    """More than one batch, and a row without a Region in the first: it must not draw the later rows to itself."""
    regions = ["", *("ab"[i % 2] for i in range(70_000))]
    rows = "".join(f"{i * 60},{region},{i % 7},1\n" for i, region in enumerate(regions))
    path = tmp_path / "wide.csv"
    path.write_text("timestamp,region,ec2,rds\n" + rows, encoding="utf-8")
    history = History.read(path)
    counts = {
        str(key): int(np.isfinite(column).sum()) for key, column in zip(history.keys, history.usage.T, strict=True)
    }
    assert counts == {f"{r} {s}".strip(): regions.count(r) for s in ("ec2", "rds") for r in ("", "a", "b")}


def test_a_negative_value_in_a_wide_table_with_a_region_column_is_named(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("timestamp,region,ec2,rds\n0,a,1,1\n60,a,1,-5\n", encoding="utf-8")
    with clear_error(InvalidInput, "wide.csv, line 3, column 'rds'", "0 or more", "-5"):
        History.read(path)


def test_the_unit_of_a_wide_table_is_noted(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("timestamp,unit,us-east-1,us-west-2\n0,GB,1,1\n60,GB,1,1\n", encoding="utf-8")
    assert set(History.read(path).units.values()) == {"GB"}
