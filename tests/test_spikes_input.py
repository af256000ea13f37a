"""Spikes: what goes in, in which form, and what is refused in which words."""

import datetime as dt
import decimal

import numpy as np
import pytest

from surgetank import History, InvalidInput, RollingSigma, detect_spikes
from test_spikes import BOTH, PER_SAMPLE, same, series, spiky_block


@pytest.fixture(scope="module")
def block():
    return spiky_block()


FORMS = {
    "C order": np.ascontiguousarray,
    "Fortran order": np.asfortranarray,
    "every second": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards in memory": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda x: x.astype(">f8"),
    "unaligned": lambda x: np.frombuffer(b"." + x.tobytes(), dtype=np.uint8)[1:].view(float).reshape(x.shape),
    "objects": lambda x: np.where(np.isnan(x), None, x.astype(object)),
    "masked": lambda x: np.ma.masked_invalid(x),
    "masked over a value": lambda x: np.ma.array(np.nan_to_num(x, nan=1e9), mask=np.isnan(x)),
    "lists": lambda x: x.tolist(),
    "read-only": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "long double": lambda x: x.astype(np.longdouble),
    "decimals": lambda x: [[decimal.Decimal(v) for v in row] for row in x.tolist()],
}


@BOTH
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bits(block, form, detector):
    expected = detect_spikes(block, detector=detector)
    assert expected.count.sum() >= 3
    same(detect_spikes(FORMS[form](block), detector=detector), expected)


@BOTH
@pytest.mark.parametrize("dtype", ["i1", "u1", ">i4", "i8", "u8", "f2", "f4", "?"])
def test_every_number_type_is_its_value(dtype, detector):
    values = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 100, (60, 3)).astype(dtype)
    same(detect_spikes(values, detector=detector), detect_spikes(values.astype(float), detector=detector))


@BOTH
def test_overlapping_views_are_read_as_they_are(detector):
    windows = np.lib.stride_tricks.sliding_window_view(series(0, 200), 5)
    same(detect_spikes(windows, detector=detector), detect_spikes(windows.copy(), detector=detector))


@BOTH
def test_float64_is_not_copied_or_changed(block, detector):
    for usage in (np.ascontiguousarray(block), np.asfortranarray(block)):
        usage.setflags(write=False)
        before = usage.tobytes()
        detect_spikes(usage, detector=detector)
        assert usage.tobytes() == before


@BOTH
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_results_follow_the_shape_of_usage(shape, detector):
    usage = np.random.default_rng(0).lognormal(size=(400, *shape))
    usage[350] = 1e4
    found = detect_spikes(usage, detector=detector)
    assert np.all(found.count > 0)
    assert {getattr(found, name).shape for name in PER_SAMPLE} == {usage.shape}
    assert {np.shape(getattr(found, name)) for name in ("count", "p95_ratio", "max_ratio")} == {shape}
    for at in np.ndindex(*shape):
        alone = detect_spikes(usage[(slice(None), *at)], detector=detector)
        np.testing.assert_array_equal(found.scores[(slice(None), *at)], alone.scores)
        assert [e.start for e in found.episodes if e.index == at] == [e.start for e in alone.episodes]


@BOTH
def test_history_and_frames_know_their_instants(detector):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    usage = np.r_[np.full(300, 5.0), 50.0]
    history = History.from_array(np.c_[usage, usage * 0], start="2024-05-01T00:00Z", step_s=300, regions=["a", "b"])
    times = [dt.datetime(2024, 5, 1, tzinfo=dt.timezone.utc) + dt.timedelta(minutes=5 * i) for i in range(301)]
    for source in (history, *(f.DataFrame({"timestamp": times, "a": usage, "b": usage * 0}) for f in (pd, pl))):
        (episode,) = detect_spikes(source, detector=detector).episodes
        assert episode.start_time == np.datetime64("2024-05-02T01:00:00")
        assert episode.end_time == np.datetime64("2024-05-02T01:05:00")
        assert episode.index == (0,)
        assert episode.series.split()[0] == "a"


@BOTH
@pytest.mark.parametrize(
    "usage",
    [
        ["1", "2"],
        np.array([b"1"]),
        [1j, 2.0],
        np.array(["2024-01-01"], dtype="datetime64[D]"),
        np.array([3], dtype="timedelta64[s]"),
        [dt.datetime(2024, 1, 1)],
        [[1.0, 2.0], [3.0]],
        [1.0, "2"],
        [1.0, {}],
        np.zeros(3, dtype=[("a", float)]),
        np.ma.array(["a", "b"], mask=[True, False]),
        np.ma.array([1j, 2.0], mask=[True, False]),
        np.ma.array(np.array(["2024-01-01"], dtype="datetime64[D]"), mask=[False]),
        [10**400, 1],
        np.array([2], dtype=np.longdouble) ** 2000,
        None,
        {},
        5.0,
        [],
        np.zeros((3, 0)),
        np.zeros((2, 2, 2, 2)),
        [1.0, np.inf],
        [-np.inf],
    ],
    ids=lambda u: repr(u)[:40],
)
def test_what_is_no_usage_is_refused_by_name(usage, detector):
    with pytest.raises(InvalidInput, match=r"^usage: .+ \(got .+\)$"):
        detect_spikes(usage, detector=detector)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 1}, "window: must be at least 2 samples (got 1)"),
        ({"window": 2.5}, "window: must be a whole number (got 2.5)"),
        ({"window": True}, "window: must be a whole number (got True)"),
        ({"window": 2**70}, f"window: must fit in 62 bits (got {2**70})"),
        ({"threshold": "2"}, "threshold: must be a number (got '2')"),
        ({"threshold": -1}, "threshold: must be a finite number of standard deviations, 0 or more (got -1)"),
        ({"threshold": np.inf}, "threshold: must be a finite number of standard deviations, 0 or more (got inf)"),
        ({"exclude_current": 1}, "exclude_current: must be True or False (got 1)"),
        (
            {"threshold": 3},
            "threshold: must be at most (window - 1)/sqrt(window) = 2.846 for window 10, because a sample inside its "
            "own window cannot score higher; lower it, widen the window or set exclude_current (got 3)",
        ),
    ],
)
def test_a_rule_that_cannot_work_says_why(arguments, message):
    with pytest.raises(InvalidInput) as refused:
        RollingSigma(**arguments)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "threshold", [np.complex64(2), 10**400, dt.timedelta(seconds=2), np.bool_(True)], ids=lambda t: repr(t)[:30]
)
def test_what_is_no_threshold_is_refused_by_name(threshold):
    with pytest.raises(InvalidInput, match=r"^threshold: "):
        RollingSigma(threshold=threshold)


@pytest.mark.parametrize("outputs", [None, 5, "flag", ("flags", "x"), [["flags"]], b"flags"], ids=repr)
def test_unknown_outputs_are_refused_by_name(outputs):
    with pytest.raises(InvalidInput, match=r"^outputs: "):
        detect_spikes([1.0, 2.0], outputs=outputs)


OTHERS = ({"detector": RollingSigma}, {"detector": "adaptive"}, {"step_s": 0}, {"step_s": "1h"}, {"threads": -1})


@pytest.mark.parametrize("bad", OTHERS, ids=repr)
def test_other_arguments_are_refused_by_name(bad):
    with pytest.raises(InvalidInput, match=rf"^{next(iter(bad))}: "):
        detect_spikes([1.0, 2.0], **bad)
