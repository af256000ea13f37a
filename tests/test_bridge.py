"""Arrays, numbers, durations, instants and options in: coerced, or refused by name."""

import datetime as dt
import decimal
import math
import zoneinfo
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clear import clear_error
from surgetank import InvalidInput, _core
from surgetank._bridge import duration_s, instant_s, like_instant, number, numbers, options, per_series, samples, zone

NEW_YEAR = 1767225600


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", ">i4", "i8", "u1", "u8", "?", object])
@pytest.mark.parametrize("shape", [(6,), (3, 2), (3, 1, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_samples_are_a_matrix_of_float64(dtype, shape, order):
    array = np.array([0, 1, 1, 0, 1, 0]).reshape(shape).astype(dtype, order=order)
    matrix, instant = samples(array)
    assert (matrix.dtype, matrix.dtype.isnative, instant) == (np.float64, True, shape[1:])
    np.testing.assert_array_equal(matrix, array.astype(float).reshape(shape[0], -1))


@pytest.mark.parametrize(
    "cut",
    [
        lambda a: a,
        np.asfortranarray,
        lambda a: a[::3],
        lambda a: a[:, 1:3],
        lambda a: a[:, ::2],
        lambda a: a[:, 0],
        lambda a: a.reshape(20, 2, 2),
    ],
    ids=["C", "Fortran", "every third", "columns", "every second column", "one series", "three axes"],
)
def test_float64_of_positive_strides_is_not_copied(cut):
    array = cut(np.arange(80.0).reshape(20, 4))
    assert np.shares_memory(samples(array)[0], array)


def test_what_the_core_cannot_walk_is_copied_once():
    array = np.arange(80.0).reshape(20, 4)
    packed = np.zeros(5, dtype=[("a", "i1"), ("b", "f8")])  # 9 bytes an item
    for view in (array[::-1], array[:, ::-1], np.broadcast_to(array[:, :1], (20, 4)), packed["b"]):
        matrix, _ = samples(view)
        assert all(stride > 0 and stride % 8 == 0 for stride in matrix.strides)
        np.testing.assert_array_equal(matrix.reshape(view.shape), view)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 3], [1, math.nan, 3]),
        ([decimal.Decimal("1.5"), 2], [1.5, 2]),
        (np.ma.array([1.0, 2.0], mask=[False, True]), [1, math.nan]),
        (np.ma.array([1, 2], mask=[True, False]), [math.nan, 2]),
        (pd.Series([1.0, np.nan]), [1, math.nan]),
        (pl.Series([1, None]), [1, math.nan]),
        ((x for x in []), None),
        (True, True),
    ],
    ids=["None", "decimal", "masked", "masked integers", "pandas", "polars", "generator", "scalar"],
)
def test_numbers(values, expected):
    if expected is None:
        with clear_error(InvalidInput, "usage", "numbers"):
            numbers(values, "usage")
    else:
        np.testing.assert_array_equal(numbers(values, "usage"), expected)


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b"],
        "abc",
        [b"1"],
        [1, "2"],
        [1 + 1j],
        [[1, 2], [3]],
        [{}],
        np.array(["2026-01-01"], dtype="M8[s]"),
        np.array([5], dtype="m8[s]"),
        [dt.datetime(2026, 1, 1)],
        [10**400],
        np.zeros(2, dtype=[("a", "f8")]),
        np.ma.array(["a", "b"]),
        np.ma.array([1 + 1j]),
        np.ma.array(np.array(["2026-01-01"], dtype="M8[s]")),
    ],
    ids=lambda values: f"{type(values).__name__} {values!r}"[:40],
)
def test_what_is_no_number_is_refused_by_name(values):
    with clear_error(InvalidInput, "usage: must", "number"):
        numbers(values, "usage")


def test_the_core_is_given_aligned_arrays():
    """NumPy takes float64 from any byte on, such as a field of a record; the core's compiled code does not."""
    table = np.zeros(6, dtype=[("flag", "u1"), ("value", "f8")])
    table["value"] = range(6)
    flat = np.frombuffer(b"." + np.arange(6.0).tobytes(), dtype=np.uint8)[1:].view(float)
    for odd in (table["value"], flat, flat.reshape(2, 3)):
        assert not odd.flags.aligned
        for found in (samples(odd)[0], numbers(odd, "x")):
            assert found.flags.aligned
            assert found.ravel().tolist() == list(range(6))


@pytest.mark.parametrize("values", [5.0, [], [[]], np.zeros((0, 3)), np.zeros((1, 1, 1, 1))])
def test_samples_of_other_shapes_are_refused(values):
    with clear_error(InvalidInput, "usage", "shape"):
        samples(values)


def test_one_number_per_series():
    given_ = np.array([1.0, 2.0])
    flat = per_series(given_, "quota", (2,))
    flat[0] = 9  # of its own memory
    assert given_[0] == 1
    assert per_series(5, "quota", (2, 2)).tolist() == [5, 5, 5, 5]
    assert per_series([[1, 2], [3, 4]], "quota", (2, 2)).tolist() == [1, 2, 3, 4]
    assert per_series([5], "quota", ()).tolist() == [5]
    for wrong in ([1, 2, 3], [1], [[1, 2]]):
        with clear_error(InvalidInput, "quota", "(2,)", f"{np.shape(wrong)}"):
            per_series(wrong, "quota", (2,))


def test_results_take_the_shape_of_an_instant():
    assert like_instant(np.arange(4), (2, 2)).tolist() == [[0, 1], [2, 3]]
    scalar = like_instant(np.array([5.0]), ())
    assert isinstance(scalar, np.float64)


@pytest.mark.parametrize("value", [5, 5.0, np.float32(5), np.int8(5), np.uint64(5)])
def test_a_number(value):
    result = number(value, "risk")
    assert (type(result), result) == (float, 5.0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        np.True_,
        "5",
        b"5",
        1j,
        np.complex64(1 + 1j),
        math.nan,
        math.inf,
        -math.inf,
        10**400,
        [5],
        np.array([5.0]),
        np.timedelta64(5, "s"),
        dt.timedelta(1),
    ],
    ids=lambda value: f"{type(value).__name__} {value!r}"[:40],
)
def test_what_is_not_one_number(value):
    with clear_error(InvalidInput, "risk: must"):
        number(value, "risk")


def test_bounds_of_a_number():
    assert number(0, "x", least=0) == 0
    for value, rule in ((-1e-300, {"least": 0}), (0, {"least": 0, "above": True})):
        with clear_error(InvalidInput, "x: must be so"):
            number(value, "x", rule="must be so", **rule)


@given(st.integers(0, 10**9), st.integers(0, 999_999))
def test_durations_are_seconds_of_any_kind(seconds, micro):
    expected = seconds + micro / 1e6
    assert duration_s(dt.timedelta(seconds=seconds, microseconds=micro), "step_s") == pytest.approx(expected, rel=1e-15)
    assert duration_s(np.timedelta64(seconds * 10**6 + micro, "us"), "step_s") == pytest.approx(expected, rel=1e-15)
    assert duration_s(pd.Timedelta(seconds=seconds), "step_s") == seconds == duration_s(seconds, "step_s")


@pytest.mark.parametrize(
    "value", [-1, dt.timedelta(-1), math.nan, math.inf, "1h", None, np.timedelta64("NaT", "s"), True, 10**400]
)
def test_durations_that_cannot_be(value):
    with clear_error(InvalidInput, "step_s: must"):
        duration_s(value, "step_s")


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-01T00:00Z",
        "2026-01-01T01:00:00.5+01:00",
        " 2026-01-01 00:00:00Z ",
        dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),
        dt.datetime(2026, 1, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        pd.Timestamp("2026-01-01", tz="UTC"),
        np.datetime64("2026-01-01"),
        np.datetime64("2026-01-01T00:00:00.999999999"),
        NEW_YEAR,
        NEW_YEAR + 0.9,
        np.int64(NEW_YEAR),
    ],
)
def test_instants(value):
    assert instant_s(value, "now") == NEW_YEAR


def test_instants_are_rounded_down_before_1970_too():
    assert instant_s(-0.5, "now") == instant_s("1969-12-31T23:59:59.5Z", "now") == -1
    assert instant_s(np.datetime64(-1, "ns"), "now") == -1


@pytest.mark.parametrize(
    "value",
    ["soon", "", None, math.nan, math.inf, True, np.datetime64("NaT", "s"), pd.NaT, [1], "2026-02-30T00:00Z", 10**400],
)
def test_what_is_no_instant(value):
    with clear_error(InvalidInput, "now: "):
        instant_s(value, "now")


def test_a_naive_instant_needs_a_zone():
    for naive in ("2026-01-01", dt.datetime(2026, 1, 1)):
        with clear_error(InvalidInput, "now", "time zone", "no time zone", "2026-01-01"):
            instant_s(naive, "now")
        assert instant_s(naive, "now", zone("Europe/Berlin")) == NEW_YEAR - 3600


@pytest.mark.parametrize(
    "name", ["UTC", "utc", "Z", "Europe/Berlin", None, dt.timezone.utc, zoneinfo.ZoneInfo("Asia/Tokyo")]
)
def test_zones(name):
    found = zone(name)
    assert found is None if name is None else isinstance(found, dt.tzinfo)


@pytest.mark.parametrize(
    "name", ["", "Europe", "Europe/Berln", "../UTC", "/etc/passwd", "a\0b", "x" * 400, 5, 1.5, ["UTC"]]
)
def test_zones_that_are_not_known(name):
    with clear_error(InvalidInput, "tz: must be a known IANA time zone"):
        zone(name)


@dataclass
class Sigma:
    window: object = 10
    threshold: object = 2.0
    exclude_current: object = False
    only_here: object = "not the core's"


def test_options_take_what_the_core_has():
    found = options(
        _core.RollingSigmaOptions, Sigma(window=np.int32(20), threshold=3, exclude_current=np.True_), own=("only_here",)
    )
    assert (found.window, found.threshold, found.exclude_current) == (20, 3.0, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"window": 2.0}, ["window", "whole number", "2.0"]),
        ({"window": True}, ["window", "whole number", "True"]),
        ({"window": "10"}, ["window", "whole number", "'10'"]),
        ({"window": 2**62}, ["window", "62 bits"]),
        ({"window": -(2**200)}, ["window", "62 bits"]),
        ({"window": -1}, ["window", "-1"]),
        ({"threshold": "2"}, ["threshold", "number", "'2'"]),
        ({"threshold": None}, ["threshold", "number", "None"]),
        ({"threshold": True}, ["threshold", "number", "True"]),
        ({"threshold": math.nan}, ["threshold", "nan"]),
        ({"threshold": 10**400}, ["threshold"]),
        ({"threshold": np.complex64(1)}, ["threshold", "number"]),
        ({"exclude_current": 1}, ["exclude_current", "True or False", "1"]),
    ],
)
def test_options_that_cannot_be(change, words):
    with clear_error(InvalidInput, *words):
        options(_core.RollingSigmaOptions, Sigma(**change), own=("only_here",))
