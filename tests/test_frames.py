"""Frames: pandas, polars, pyarrow and anything with an Arrow stream say the same as a file."""

import datetime as dt
import decimal
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clear import clear_error
from surgetank import History, InvalidInput, MissingExtra, QuotaKey

NEW_YEAR = 1767225600
STEPS = [dt.datetime(2026, 1, 1, 0, m) for m in (0, 5, 10)]
UTC = [t.replace(tzinfo=dt.timezone.utc) for t in STEPS]
BERLIN = pd.DatetimeIndex(STEPS, tz="UTC").tz_convert("Europe/Berlin")
SECONDS = [NEW_YEAR + 300 * i for i in range(3)]
USAGE = [1.0, None, 3.0]


class OnlyAStream:
    """What every Arrow library gives, and nothing else."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


def arrow(times, kind=None, usage=USAGE):
    return pa.table({"timestamp": pa.array(times, kind), "region": ["a"] * 3, "usage": usage})


def pandas(times, usage=USAGE):
    return pd.DataFrame({"timestamp": times, "region": "a", "usage": usage})


def polars(times):
    return pl.DataFrame({"timestamp": times, "region": ["a"] * 3, "usage": USAGE})


FRAMES = {
    "pandas, epoch seconds": (pandas(SECONDS), {}),
    "pandas, epoch milliseconds": (pandas([1000 * s for s in SECONDS]), {}),
    "pandas, epoch nanoseconds": (pandas([10**9 * s for s in SECONDS]), {}),
    "pandas, float seconds": (pandas([s + 0.5 for s in SECONDS]), {}),
    "pandas, naive": (pandas(STEPS), {"tz": "UTC"}),
    "pandas, aware": (pandas(UTC), {}),
    "pandas, Berlin": (pandas(BERLIN), {}),
    "pandas, Berlin, tz is not asked": (pandas(BERLIN), {"tz": "Asia/Tokyo"}),
    "pandas, objects": (pandas(pd.Series(UTC, dtype=object), pd.Series(USAGE, dtype=object)), {}),
    "pandas, DatetimeIndex": (pd.DataFrame({"region": "a", "usage": USAGE}, index=pd.DatetimeIndex(UTC)), {}),
    "pandas, naive DatetimeIndex": (
        pd.DataFrame({"region": "a", "usage": USAGE}, index=pd.DatetimeIndex(STEPS)),
        {"tz": "UTC"},
    ),
    "pandas, named DatetimeIndex": (
        pd.DataFrame({"region": "a", "usage": USAGE}, index=pd.DatetimeIndex(BERLIN, name="Time")),
        {},
    ),
    "pandas, column also as index": (pandas(UTC).set_index("timestamp", drop=False), {}),
    "pandas, Int64": (pandas(SECONDS, pd.array([1, None, 3], dtype="Int64")), {}),
    "pandas, Float64": (pandas(SECONDS, pd.array(USAGE, dtype="Float64")), {}),
    "pandas, strings": (
        pd.DataFrame(
            {
                "timestamp": pd.array([str(t) for t in UTC], dtype="string"),
                "region": pd.array(["a"] * 3, dtype="string"),
                "usage": ["1", "", "3"],
            }
        ),
        {},
    ),
    "pandas, category": (pd.DataFrame({"timestamp": UTC, "region": pd.Categorical(["a"] * 3), "usage": USAGE}), {}),
    "pandas, Arrow-backed": (arrow(UTC, pa.timestamp("us", "UTC")).to_pandas(types_mapper=pd.ArrowDtype), {}),
    "pandas, wide": (pd.DataFrame({"a": USAGE}, index=pd.DatetimeIndex(UTC)), {"series": "{region}"}),
    "polars, naive": (polars(STEPS), {"tz": "UTC"}),
    "polars, aware": (polars(UTC), {}),
    "polars, Berlin": (polars(pl.Series(UTC).dt.convert_time_zone("Europe/Berlin")), {}),
    "polars, milliseconds": (polars(pl.Series(UTC).dt.cast_time_unit("ms")), {}),
    "polars, text, category, decimal": (
        pl.DataFrame(
            {
                "timestamp": [str(t) for t in UTC],
                "region": pl.Series(["a"] * 3, dtype=pl.Categorical),
                "usage": [decimal.Decimal(1), None, decimal.Decimal(3)],
            }
        ),
        {},
    ),
    "arrow, naive": (arrow(STEPS, pa.timestamp("us")), {"tz": "UTC"}),
    "arrow, aware": (arrow(UTC, pa.timestamp("ns", "UTC")), {}),
    "arrow, Berlin": (arrow(UTC, pa.timestamp("s", "Europe/Berlin")), {}),
    "arrow, integers and float32": (arrow(SECONDS, None, pa.array(USAGE, pa.float32())), {}),
    "arrow, int64 with null": (arrow(SECONDS, None, pa.array([1, None, 3])), {}),
    "arrow, record batch": (arrow(UTC).to_batches()[0], {}),
    "arrow, reader": (arrow(UTC).to_reader(), {}),
    "arrow, two chunks": (pa.concat_tables([arrow(UTC).slice(0, 1), arrow(UTC).slice(1)]), {}),
    "only a stream": (OnlyAStream(arrow(UTC)), {}),
    "only a stream, of polars": (OnlyAStream(polars(UTC)), {}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_says_the_same(name):
    frame, how = FRAMES[name]
    history = History.read(frame, step_s=300, **how)
    assert history.keys == (QuotaKey(region="a"),)
    assert history.start_s == NEW_YEAR
    np.testing.assert_array_equal(history.usage[:, 0], [1, np.nan, 3])
    assert (history.report.rows, history.report.added, history.report.missing) == (3, 2, 1)


NAIVE = ["pandas, naive", "pandas, naive DatetimeIndex", "polars, naive", "arrow, naive"]


@pytest.mark.parametrize("name", NAIVE)
def test_naive_frames_need_a_zone(name):
    with clear_error(InvalidInput, "'timestamp'", "time zone", "tz="):
        History.read(FRAMES[name][0])


@pytest.mark.parametrize(
    "usage",
    [
        STEPS,
        UTC,
        pd.to_timedelta([1, 2, 3], unit="s"),
        [1 + 1j, 2, 3],
        [[1.0], [2.0], [3.0]],
        ["1", "two", "3"],
        [1.0, np.inf, 3.0],
        pd.Series([1, 10**400, 3], dtype=object),
        [{}, {}, {}],
    ],
    ids=["instants", "aware instants", "durations", "complex", "lists", "text", "inf", "beyond float64", "dicts"],
)
def test_what_is_no_usage_is_refused_and_never_turned_into_a_number(usage):
    with clear_error(InvalidInput, "'usage'", "number"):
        History.read(pd.DataFrame({"timestamp": SECONDS, "usage": usage}))


def test_durations_of_polars_and_arrow_are_no_usage():
    frame = pl.DataFrame({"timestamp": SECONDS, "usage": [dt.timedelta(1)] * 3})
    for source in (frame, frame.to_arrow()):
        with clear_error(InvalidInput, "'usage'", "number"):
            History.read(source)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[0, 1.0, 9.0], [300, 2.0, 9.0]], columns=["timestamp", "usage", "usage"]),
        pd.DataFrame([[0, 1.0, 9.0], [300, 2.0, 9.0]], columns=["timestamp", 1, "1"]),
        pa.table([pa.array([0, 300]), pa.array([1, 2]), pa.array([9, 9])], names=["timestamp", "usage", "usage"]),
    ],
    ids=["pandas", "pandas, number and text", "arrow"],
)
def test_two_columns_of_one_name_are_refused_and_not_dropped(frame):
    with clear_error(InvalidInput, "columns", "different"):
        History.read(frame)


@pytest.mark.parametrize("dtype", ["string", object])
def test_a_missing_name_is_an_unstated_name(dtype):
    regions = (
        pd.array(["a", pd.NA, "a"], dtype=dtype) if dtype == "string" else np.array(["a", None, "a"], dtype=object)
    )
    history = History.read(pd.DataFrame({"timestamp": SECONDS, "region": regions, "usage": [1.0, 2.0, 3.0]}))
    assert [key.region for key in history.keys] == ["a", "-"]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"timestamp": pd.DatetimeIndex(["2026-01-01", None], tz="UTC"), "usage": [1, 2]}),
        pl.DataFrame({"timestamp": [UTC[0], None], "usage": [1, 2]}),
        pa.table({"timestamp": pa.array([UTC[0], None]), "usage": [1, 2]}),
        pd.DataFrame({"timestamp": ["2026-01-01T00:00Z", None], "usage": [1, 2]}),
        pd.DataFrame({"timestamp": [0.0, np.nan], "usage": [1, 2]}),
    ],
)
def test_a_missing_instant_is_an_error_with_its_row(frame):
    with clear_error(InvalidInput, "row 1", "'timestamp'"):
        History.read(frame)


class Broken:
    def __arrow_c_stream__(self, requested_schema=None):
        raise RuntimeError("the connection is gone")


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame(),
        pd.DataFrame({"timestamp": [], "usage": []}),
        pd.DataFrame({"usage": [1.0]}),
        pd.Series([1.0, 2.0]),
        pl.Series([1.0, 2.0]),
        pl.LazyFrame({"timestamp": [0], "usage": [1.0]}),
        OnlyAStream(pa.chunked_array([[1, 2]])),
        Broken(),
    ],
    ids=[
        "no columns",
        "no rows",
        "no instants",
        "series",
        "polars series",
        "lazy",
        "stream of numbers",
        "broken stream",
    ],
)
def test_frames_that_are_no_usage(source):
    with clear_error(InvalidInput):
        History.read(source)


def test_an_arrow_stream_without_pyarrow_names_the_extra(monkeypatch):
    source = OnlyAStream(arrow(UTC))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with clear_error(MissingExtra, "Arrow", "surgetank[files]"):
        History.read(source)
    # pandas and polars frames need nothing more.
    for name in ("pandas, aware", "polars, aware"):
        assert History.read(FRAMES[name][0]).usage[0, 0] == 1


def test_a_frame_is_not_changed():
    frame = pd.DataFrame({"usage": USAGE}, index=pd.DatetimeIndex(UTC))
    before = frame.copy()
    History.read(frame)
    pd.testing.assert_frame_equal(frame, before)
