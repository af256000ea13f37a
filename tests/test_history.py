"""History: the grid against a slow twin, its constructors, and what they refuse."""

import datetime as dt
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clear import clear_error
from oracles import slow_grid
from surgetank import History, InvalidInput, Quota, QuotaKey

KEY = QuotaKey(region="us-east-1", service_code="ec2")
MADE = {"start": "2026-01-01T00:00Z", "step_s": 300, "regions": ["a", "b"]}
# A day and a half before 1970 is in, so that rounding down is not rounding towards 0.
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(-130_000, 500_000),
        st.sampled_from([0.0, 1.0, 2.5, 7.0, math.nan]),
    ),
    min_size=1,
    max_size=40,
).filter(lambda rows: any(v == v for _, _, v in rows))


def frame(rows):
    region, timestamp, usage = map(list, zip(*rows, strict=True))
    return pd.DataFrame({"region": region, "timestamp": timestamp, "usage": usage})


def assert_grid(history, expected):
    first, step, columns = expected
    assert (history.start_s, history.step_s) == (first, step)
    assert [key.region for key in history.keys] == list(columns)
    np.testing.assert_array_equal(history.usage, np.array(list(columns.values())).T)


@given(ROWS)
def test_grid_equals_the_slow_loop(rows):
    assert_grid(History.read(frame(rows)), slow_grid(rows))


@given(ROWS, st.sampled_from([60, 300, 3600, 86_400, 7_000]))
@settings(max_examples=50)
def test_grid_of_a_given_step_equals_the_slow_loop(rows, step):
    assert_grid(History.read(frame(rows), step_s=step), slow_grid(rows, step))
    assert_grid(History.read(frame(rows), step_s=dt.timedelta(seconds=step)), slow_grid(rows, step))


@given(ROWS, st.randoms())
@settings(max_examples=50)
def test_the_order_of_rows_says_nothing(rows, random):
    shuffled = random.sample(rows, len(rows))
    one, other = History.read(frame(rows)), History.read(frame(shuffled))
    columns = [other.keys.index(key) for key in one.keys]
    np.testing.assert_array_equal(one.usage, other.usage[:, columns])
    assert (one.start_s, one.step_s) == (other.start_s, other.step_s)


@given(ROWS)
def test_every_row_is_counted_once(rows):
    report = History.read(frame(rows)).report
    values = {}
    for region, t, value in rows:
        if value == value:
            values.setdefault((region, t), []).append(value)
    assert report.rows == len(rows)
    assert report.added == len(values)
    assert report.missing == sum(v != v for _, _, v in rows)
    assert report.conflicts == sum(len(set(given)) - 1 for given in values.values())
    assert report.duplicates == sum(len(given) - len(set(given)) for given in values.values())
    assert report.out_of_range == 0
    assert report.rows == report.added + report.duplicates + report.conflicts + report.missing


@given(st.lists(st.sampled_from([-2.0, -0.0, 0.0, 3.0, math.nan]), min_size=1, max_size=20))
@settings(max_examples=50)
def test_negative_values_are_refused_missing_or_kept(values):
    rows = [("a", 60 * i, v) for i, v in enumerate(values)]
    below = sum(v < 0 for v in values)
    if below:
        with clear_error(InvalidInput, f"row {values.index(-2.0)}", "usage", "negative='missing'", "-2.0"):
            History.read(frame(rows))
    if any(v >= 0 for v in values):
        missing = History.read(frame(rows), negative="missing")
        assert missing.report.out_of_range == below
        assert not (missing.usage < 0).any()
        assert missing.report.rows == missing.report.added + missing.report.missing + below
    if any(v == v for v in values):
        kept = History.read(frame(rows), negative="keep", step_s=60)
        assert kept.signed
        assert (kept.usage < 0).sum() == below


def test_steps_are_half_open_and_empty_ones_are_nan():
    rows = [("a", 0, 1.0), ("a", 299, 3.0), ("a", 300, 2.0), ("a", 900, 5.0)]
    history = History.read(frame(rows), step_s=300)
    np.testing.assert_array_equal(history.usage[:, 0], [3.0, 2.0, np.nan, 5.0])
    assert [str(t) for t in history.times] == [f"1970-01-01T00:{m:02d}:00" for m in (0, 5, 10, 15)]


def test_samples_and_grid_are_inverse():
    history = History.from_array([[1.0, np.nan], [np.nan, np.nan], [2.0, 3.0]], **MADE)
    again = History.from_samples(history.samples(), step_s=300)
    assert (again.start_s, again.step_s, again.keys) == (history.start_s, 300, history.keys)
    np.testing.assert_array_equal(again.usage, history.usage)


def test_usage_is_read_only_and_a_history_pickles():
    history = History.from_array([[1.0, 2.0]], quota=[5, 6], **MADE)
    with pytest.raises(ValueError, match="read-only"):
        history.usage[0, 0] = 9
    again = pickle.loads(pickle.dumps(history))
    assert repr(again.quotas) == repr(history.quotas)  # as text: NaN equals nothing
    np.testing.assert_array_equal(again.usage, history.usage)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"usage": [[1.0, 2.0]]}, ["usage", "(T, 1)", "(1, 2)"]),
        ({"usage": [[math.inf]]}, ["usage", "finite", "inf"]),
        ({"usage": [[-math.inf]]}, ["usage", "finite", "inf"]),
        ({"usage": [[0.0], [-1.0]]}, ["usage", "ec2", "0 or more", "1970-01-01T00:05:00", "-1"]),
        ({"usage": [["x"]]}, ["usage", "numbers", "x"]),
        ({"usage": []}, ["usage"]),
        ({"keys": (KEY, KEY), "usage": [[1.0, 2.0]]}, ["keys", "different", "ec2"]),
        ({"units": {KEY: "GiB"}}, ["unit", "ec2", "vCPU", "GiB"]),
        ({"step_s": 0}, ["step_s", "0"]),
        ({"step_s": -300}, ["step_s", "-300"]),
        ({"step_s": math.nan}, ["step_s", "nan"]),
        ({"step_s": 1.5}, ["step_s", "whole", "1.5"]),
        ({"start_s": math.nan}, ["start_s", "nan"]),
        ({"start_s": "yesterday"}, ["start_s", "yesterday"]),
    ],
)
def test_a_history_that_cannot_be_is_refused(change, words):
    right = {"keys": (KEY,), "start_s": 0, "step_s": 300, "usage": [[1.0]]}
    right["quotas"] = {KEY: Quota(key=KEY, value=9, unit="vCPU")}
    History(**right)
    with clear_error(InvalidInput, *words):
        History(**right | change)


def test_units_are_compared_without_case():
    history = History(keys=(KEY,), start_s=0, step_s=300, usage=[[1.0]], units={KEY: "VCPU"})
    assert history.with_quotas([Quota(key=KEY, value=9, unit="vcpu")]).quotas[KEY].value == 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"regions": ["a"]}, ["regions", "2 columns"]),
        ({"regions": 5}, ["regions", "5"]),
        ({"regions": ["a", "a"]}, ["keys", "different"]),
        ({"step_s": 0.5}, ["step_s", "whole", "0.5"]),
        ({"step_s": 0}, ["step_s", "more than 0"]),
        ({"step_s": "5 min"}, ["step_s", "5 min"]),
        ({"start": "2026-01-01T00:00"}, ["start", "time zone"]),
        ({"start": "soon"}, ["start", "instant", "soon"]),
        ({"start": math.nan}, ["start", "nan"]),
        ({"start": 1e300}, ["start", "1e+300"]),
        ({"quota": [1, 2, 3]}, ["quota", "3"]),
        ({"quota": "many"}, ["quota", "many"]),
        ({"quota": [1, -2]}, ["quota", "0 or more", "-2"]),
        ({"quota": math.inf}, ["quota", "finite", "inf"]),
    ],
)
def test_from_array_names_the_argument(change, words):
    with clear_error(InvalidInput, *words):
        History.from_array([[1.0, 2.0]], **MADE | change)


@pytest.mark.parametrize(
    ("quotas", "words"),
    [
        (5, ["quotas", "int"]),
        ({"ec2": 5}, ["quotas", "keyed", "ec2"]),
        ({KEY: "x"}, ["quota", "ec2", "x"]),
        ({KEY: -1}, ["quota", "ec2", "0 or more", "-1"]),
        ({KEY: 10**400}, ["quota"]),
        ({KEY: True}, ["quota", "ec2", "True"]),
        ([Quota(key=KEY, value=1), Quota(key=KEY, value=2)], ["quotas", "ec2", "once", "1 and 2"]),
        ([KEY], ["quotas", "Quota objects"]),
    ],
)
def test_quotas_that_cannot_be_are_refused(quotas, words):
    history = History(keys=(KEY,), start_s=0, step_s=300, usage=[[1.0]])
    with clear_error(InvalidInput, *words):
        history.with_quotas(quotas)


@pytest.mark.parametrize("value", [math.nan, np.float64("nan"), np.float32("nan")])
def test_a_quota_that_is_not_known_is_nan_of_any_width(value):
    assert math.isnan(Quota(key=KEY, value=value).value)


def test_a_grid_too_large_for_memory_is_refused_before_it_is_made():
    rows = [("a", 60 * i, 1.0) for i in range(100)] + [("a", 10**11 - 1, 1.0)]
    with clear_error(InvalidInput, "usage", "first and last instant", "5138"):
        History.read(frame(rows))


@pytest.mark.parametrize(
    "step", [0, -60, 0.5, math.nan, math.inf, 1e300, 10**400, True, "60", [60]], ids=lambda step: repr(step)[:8]
)
def test_steps_that_cannot_be_are_refused(step):
    with clear_error(InvalidInput, "step_s"):
        History.read(frame([("a", 0, 1.0)]), step_s=step)
