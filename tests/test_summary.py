"""Summaries: the slow twin in exact fractions, NumPy's quantiles, every layout, what is refused."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import oracles
from surgetank import History, InvalidInput, detect_spikes, summarize
from test_spikes import HARD, series
from test_spikes_input import FORMS

PER_SERIES = ("count", "mean", "sigma_population", "slope", "min", "max", "last", "last_index")
QUANTILES = (0.5, 0.95, 0.99, 0.0, 1.0, 0.123)


def check_twin(usage, quantiles=QUANTILES):
    """Equal to 1e-12, and where samples are all alike to what double leaves of their deviations."""
    found, twin = summarize(usage, quantiles=quantiles), oracles.summarize(usage, quantiles)
    for name in ("count", "last_index", "min", "max", "last"):
        np.testing.assert_array_equal(getattr(found, name), twin[name], err_msg=name)
    if not found.count:
        assert np.isnan([found.mean, found.sigma_population, found.slope, *found.quantiles]).all()
        return
    size = np.nanmax(np.abs(usage))
    tiny = 1e-323  # below the normal numbers digits leave one by one
    # How much of the samples' precision their deviations do not have.
    rounding = 1e-12 * twin["sigma_population"] + 8 * np.finfo(float).eps * size + tiny
    assert found.mean == pytest.approx(twin["mean"], rel=1e-12, abs=8 * np.finfo(float).eps * size + tiny)
    assert found.sigma_population == pytest.approx(twin["sigma_population"], rel=1e-12, abs=rounding)
    steps = np.flatnonzero(~np.isnan(usage)).std() or 1.0  # a slope is a deviation over a distance
    assert found.slope == pytest.approx(twin["slope"], rel=1e-12, abs=rounding / steps + tiny)
    place = found.count * np.finfo(float).eps  # a rank q·(n − 1) has the digits of n
    np.testing.assert_allclose(found.quantiles, twin["quantiles"], rtol=1e-15, atol=4 * place * size)


def same(a, b, at=...):
    for name in PER_SERIES:
        got, expected = np.asarray(getattr(a, name)), np.asarray(getattr(b, name))[at]
        assert got.tobytes() == expected.tobytes(), name
    assert a.quantiles.tobytes() == b.quantiles[(slice(None), *(at if isinstance(at, tuple) else (at,)))].tobytes()


@pytest.fixture(scope="module")
def block():
    """More series than a register has lanes, and more samples than a tile; some with gaps."""
    return np.stack([series(s, 300, 0.1 * (s % 3)) for s in range(11)], axis=1)


def test_worked_by_hand():
    found = summarize([np.nan, 1.0, 3.0, np.nan, 7.0, np.nan], quantiles=(0.25, 0.5))  # at samples 1, 2, 4
    assert (found.count, found.last_index, found.last, found.min, found.max) == (3, 4, 7.0, 1.0, 7.0)
    assert found.mean == pytest.approx(11 / 3, rel=1e-15)
    assert found.sigma_population == pytest.approx((56 / 9) ** 0.5, rel=1e-15)
    assert found.slope == pytest.approx(2.0, rel=1e-15)
    assert found.quantiles.tolist() == [2.0, 3.0]


@pytest.mark.parametrize("missing", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("length", [1, 2, 3, 8, 255, 256, 257, 600])
def test_equals_the_twin(length, missing):
    for seed in range(3):
        check_twin(series(seed, length, missing))


NOISE = np.random.default_rng(0).normal(size=2000)
FAR = {
    "1e9 and noise, long": 1e9 + NOISE,
    "1e15 and noise, trend": 1e15 + NOISE + np.arange(2000) / 8,
    "one outlier of 1e15 below": np.r_[NOISE[:500], -1e15, NOISE[500:]],
    "both ends of the range": np.tile([1e308, -1e308, 3e307], 100),
    "one sample": np.r_[np.nan, 1e300, np.nan],
}


@pytest.mark.parametrize("name", [*HARD, *FAR])
def test_hard_numbers_equal_exact_arithmetic(name):
    # The ends of double's range are further apart than it reaches; quantiles there are another test's.
    check_twin((HARD | FAR)[name], () if "both ends" in name else QUANTILES)


def test_noise_on_a_level_keeps_its_deviation_and_trend():
    """Sums of squares would leave nothing of them: 1e18 has a last digit of 128, 1e9 one of 1e-7."""
    usage = 1e9 + NOISE + np.arange(2000) / 8
    found, centred = summarize(usage), summarize(usage - 1e9)  # exact
    assert found.sigma_population == pytest.approx(centred.sigma_population, rel=1e-8)
    assert found.slope == pytest.approx(centred.slope, rel=1e-8)


def test_real_data_equals_the_twin(shared_data):
    for file in sorted(shared_data.glob("nab/*/*.csv"))[:12]:
        check_twin(np.genfromtxt(file, delimiter=",", skip_header=1, usecols=1)[:1000])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bits(block, form):
    same(summarize(FORMS[form](block), quantiles=QUANTILES), summarize(block, quantiles=QUANTILES))


@pytest.mark.parametrize("dtype", ["i1", "u1", ">i4", "i8", "f4", "?"])
def test_every_number_type_is_its_value(dtype):
    values = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 100, (60, 3)).astype(dtype)
    same(summarize(values), summarize(values.astype(float)))


def test_overlapping_views_are_read_as_they_are():
    windows = np.lib.stride_tricks.sliding_window_view(series(0, 600), 40)
    same(summarize(windows), summarize(windows.copy()))
    same(summarize(windows.T), summarize(windows.T.copy()))


@pytest.mark.parametrize("threads", [2, 3, 0, 1000])
def test_threads_give_the_same_bits(threads):
    wide = np.tile(np.stack([series(s, 300) for s in range(7)], axis=1), (1, 19))
    for usage in (wide, np.asfortranarray(wide)):
        same(summarize(usage, threads=threads), summarize(usage))
        a, b = detect_spikes(usage, threads=threads), detect_spikes(usage)
        assert a.scores.tobytes() == b.scores.tobytes()
        assert a.episodes == b.episodes


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (5, 4)])
def test_results_follow_the_shape_of_usage(shape):
    usage = np.random.default_rng(0).lognormal(size=(50, *shape))
    found = summarize(usage, quantiles=QUANTILES)
    assert {np.shape(getattr(found, name)) for name in PER_SERIES} == {shape}
    assert found.quantiles.shape == (len(QUANTILES), *shape)
    assert (found.count.dtype, found.last_index.dtype) == (np.int64, np.int64)
    assert len(found.series) == usage[0].size
    for at in np.ndindex(*shape):
        same(summarize(usage[(slice(None), *at)], quantiles=QUANTILES), found, at)
    assert summarize(usage, quantiles=()).quantiles.shape == (0, *shape)


def test_names_are_those_of_the_series():
    usage = np.c_[1.0:20.0, 2.0:21.0]
    history = History.from_array(usage, start="2024-05-01T00:00Z", step_s=300, regions=["a", "b"])
    found = summarize(history)
    assert found.series == tuple(map(str, history.keys)) == detect_spikes(history).series
    assert found.mean.tolist() == [10.0, 11.0]
    assert summarize(usage).series == ("0", "1")
    assert summarize(np.ones((3, 2, 2))).series == ("0,0", "0,1", "1,0", "1,1")
    assert summarize([1.0]).series == ("usage",)


def test_frames_know_their_series():
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    times = np.arange(3) * 300 + 1767225600
    for library in (pd, pl):
        found = summarize(library.DataFrame({"timestamp": times, "a": [1.0, 2.0, 6.0], "b": [0.0, None, 4.0]}))
        assert found.mean.tolist() == [3.0, 2.0]
        assert found.count.tolist() == [3, 2]
        assert ["a" in name for name in found.series] == [True, False]


def test_the_table_is_for_a_person():
    found = summarize([[1.0, 1e6], [2.0, np.nan], [6.0, 3e6]], quantiles=(0.5, 0.999))
    header, _, *rows = [" ".join(line.split()) for line in found.table(160).splitlines()]
    assert header == "Series Samples Mean Sigma Slope per step Min P50 P99.9 Max Last"
    assert rows == [
        "0 3 3 2.16 2.5 1 2 5.992 6 6",
        "1 2 2,000,000 1,000,000 1,000,000 1,000,000 2,000,000 2,998,000 3,000,000 3,000,000",
    ]
    assert list(found.to_records()[0]) == [
        *("series", "count", "mean", "sigma_population", "slope", "min", "p50", "p99.9", "max", "last"),
    ]
    assert repr(found) == str(found)


def test_results_are_readonly_and_picklable(block):
    found = summarize(block)
    for name in (*PER_SERIES, "quantiles"):
        assert not getattr(found, name).flags.writeable, name
    back = pickle.loads(pickle.dumps(found))
    same(back, found)
    assert str(back) == str(found)
    assert back.probabilities == (0.5, 0.95, 0.99)


def test_quantiles_come_as_asked():
    usage = series(1)
    backwards = summarize(usage, quantiles=(0.99, 0.5, 0.99, 0.0))
    assert backwards.probabilities == (0.99, 0.5, 0.99, 0.0)
    alone = [summarize(usage, quantiles=q).quantiles[0] for q in (0.99, 0.5, 0.99, 0)]
    assert backwards.quantiles.tolist() == alone
    np.testing.assert_array_equal(summarize(usage, quantiles=np.array([0.5])).quantiles, backwards.quantiles[1])


def test_a_summary_without_quantiles_is_shown():
    found = summarize([[1.0, 4.0], [3.0, 4.0]], quantiles=())
    assert "P50" not in str(found)
    assert found.to_records()[0]["mean"] == 2.0
    assert not found.quantiles.flags.writeable


def test_quantiles_between_the_ends_of_doubles_range():
    """Their distance is beyond it: an order statistic must not become NaN, nor what lies between them infinite."""
    found = summarize([-1e308, 1e308, -1e308], quantiles=(0.0, 0.5, 1.0, 0.75))
    assert found.quantiles[:3].tolist() == [-1e308, -1e308, 1e308]
    assert found.quantiles[3] == pytest.approx(0.0, abs=1e293)


def test_quantiles_asked_for_twice_are_exported_once():
    found = summarize([1.0, 3.0], quantiles=(0.5, 0.5))
    names = [column.name for column in found._columns()]
    assert len(names) == len(set(names))


RULE = r"quantiles: must be fractions in \[0, 1\]"
WHOLE = r"threads: must be a whole number, 0 \(all of the machine's\) or more"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantiles": (0.5, 1.5)}, rf"{RULE} \(got 1.5\)"),
        ({"quantiles": -0.1}, rf"{RULE} \(got -0.1\)"),
        ({"quantiles": (np.nan,)}, rf"{RULE} \(got nan\)"),
        ({"quantiles": "0.5"}, rf"{RULE} \(got '0.5'\)"),
        ({"quantiles": ("0.5",)}, rf"{RULE} \(got '0.5'\)"),
        ({"quantiles": None}, rf"{RULE} \(got None\)"),
        ({"quantiles": np.array(1.5)}, rf"{RULE} \(got 1.5\)"),
        ({"quantiles": (True,)}, rf"{RULE} \(got True\)"),
        ({"threads": -1}, r"threads: must be 0 \(all of the machine's\) or more, and no more .* \(got -1\)"),
        ({"threads": 10**20}, r"threads: must be 0 \(all of the machine's\) or more, and no more .* \(got 10+\)"),
        ({"threads": 1.5}, rf"{WHOLE} \(got 1.5\)"),
        ({"threads": True}, rf"{WHOLE} \(got True\)"),
        ({"threads": "2"}, rf"{WHOLE} \(got '2'\)"),
        ({"threads": None}, rf"{WHOLE} \(got None\)"),
    ],
    ids=str,
)
def test_options_are_refused_with_the_rule(options, message):
    with pytest.raises(InvalidInput, match=rf"^{message}$"):
        summarize(np.ones((5, 2)), **options)
    if "threads" in options:
        with pytest.raises(InvalidInput, match=rf"^{message}$"):
            detect_spikes(np.ones((5, 2)), **options)


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        ([], r"usage: must hold at least one sample \(got 'shape \(0,\)'\)"),
        (np.ones((3, 0)), r"usage: must hold at least one sample \(got 'shape \(3, 0\)'\)"),
        ([1.0, np.inf], r"usage: must be finite, or NaN where not observed \(got inf\)"),
        ([[1.0, 1.0], [1.0, -np.inf]], r"usage: must be finite, or NaN where not observed \(got -inf\)"),
        (["a"], r"usage: must hold numbers \(got 'a'\)"),
        (np.ones((1, 1, 1, 1)), r"usage: must have shape \(T,\), .* \(got 'shape \(1, 1, 1, 1\)'\)"),
    ],
    ids=str,
)
def test_usage_is_refused_with_the_rule(usage, message):
    with pytest.raises(InvalidInput, match=rf"^{message}$"):
        summarize(usage)


USAGE = npst.arrays(
    float,
    st.tuples(st.integers(1, 300), st.integers(1, 12)),
    elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan),
    fill=st.sampled_from([np.nan, 0.0, 1.5]),
)


@given(USAGE, st.randoms())
def test_series_do_not_know_each_other(usage, random):
    order = random.sample(range(usage.shape[1]), usage.shape[1])
    same(summarize(usage[:, order]), summarize(usage), (order,))


@given(USAGE, st.integers(-200, 200))
def test_scaling_by_a_power_of_two_changes_no_bit(usage, power):
    usage = np.where(np.abs(usage) < 1, 0, usage)  # so that no scaled sample leaves double precision
    found, scaled = summarize(usage), summarize(np.ldexp(usage, power))
    for name in ("mean", "sigma_population", "slope", "min", "max", "last", "quantiles"):
        np.testing.assert_array_equal(getattr(scaled, name), np.ldexp(getattr(found, name), power), err_msg=name)


@given(USAGE, st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_are_numpys(usage, quantiles):
    """To the last bit or the one before it: NumPy's own versions differ in the order of interpolation."""
    found = summarize(usage, quantiles=quantiles)
    for j in range(usage.shape[1]):
        observed = usage[~np.isnan(usage[:, j]), j]
        if not len(observed):
            assert np.isnan(found.quantiles[:, j]).all()
            continue
        # An interpolation between neighbours of both signs has the last digit of the larger.
        room = 2 * np.spacing(np.abs(observed).max())
        np.testing.assert_allclose(found.quantiles[:, j], np.quantile(observed, quantiles), rtol=0, atol=room)
        exact = [q for q in quantiles if (Fraction(q) * (len(observed) - 1)).denominator == 1]
        at = [int(Fraction(q) * (len(observed) - 1)) for q in exact]
        kept = [found.quantiles[quantiles.index(q), j] for q in exact]
        np.testing.assert_array_equal(kept, np.sort(observed)[at])


@given(USAGE)
def test_results_keep_their_bounds(usage):
    found = summarize(usage, quantiles=(0.0, 0.3, 0.6, 1.0))
    seen = found.count > 0
    assert (found.count == (~np.isnan(usage)).sum(axis=0)).all()
    rows = found.quantiles[:, seen]
    assert (np.diff(rows, axis=0) >= 0).all()
    np.testing.assert_array_equal(rows[0], found.min[seen])
    np.testing.assert_array_equal(rows[-1], found.max[seen])
    assert (found.sigma_population[seen] >= 0).all()
    assert (found.last_index[~seen] == -1).all()


def test_in_a_notebook_a_table_is_text_all_the_same(monkeypatch):
    """Rich would show each line by itself there, and give none of them."""
    import rich.console

    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    assert "Mean" in summarize([1.0, 2.0, 3.0]).table(160)
