"""SpikeStream: the same bits as one long call, however its samples arrive; a refused update changes nothing."""

import copy
import datetime as dt
import pickle
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clear import clear_error
from surgetank import AdaptiveDetector, History, InvalidInput, RollingSigma, SpikeStream, detect_spikes
from test_adaptive import KINDS

PER_SAMPLE = ("flags", "scores", "likelihood", "ratios")


def bits(array):
    """Bytes, because NaN is not equal to itself, and 0 is equal to −0."""
    return np.ascontiguousarray(array).tobytes()


def many(length=700, series=11):
    """(length, series), among them gaps, constants and spikes: more than a group of eight, no multiple of it."""
    kinds = [usage[:length] for usage in KINDS.values() if len(usage) >= length]
    return np.stack([np.roll(kinds[s % len(kinds)], 41 * s) * (1 + s) for s in range(series)], axis=1)


def runs(chunks):
    """Episodes of all chunks as one: (series, start, end, peak, ratio), those that meet at a cut joined."""
    found, before = {}, 0
    for chunk in chunks:
        for e in chunk.episodes:
            own = found.setdefault(e.index, [])
            if own and own[-1][1] == before + e.start:
                _, _, peak, ratio = own[-1]
                own[-1][1:] = [before + e.end, max(peak, e.peak), np.fmax(ratio, e.ratio)]
            else:
                own.append([before + e.start, before + e.end, e.peak, e.ratio])
        before += len(chunk.flags)
    return {index: bits(own) for index, own in found.items()}


def check_same(chunks, whole):
    """What was said chunk by chunk is what one call says."""
    for name in PER_SAMPLE:
        together = np.concatenate([getattr(chunk, name) for chunk in chunks])
        assert bits(together) == bits(getattr(whole, name)), name
    np.testing.assert_array_equal(sum(chunk.count for chunk in chunks), whole.count)
    np.testing.assert_array_equal(np.fmax.reduce([chunk.max_ratio for chunk in chunks]), whole.max_ratio)
    assert runs(chunks) == runs([whole])


def pieces(usage, cuts):
    return np.split(usage, sorted(cuts))


@pytest.mark.parametrize("kind", KINDS)
def test_one_sample_at_a_time(kind):
    usage = KINDS[kind][:400]
    stream = SpikeStream(step_s=3600)
    check_same([stream.update([x]) for x in usage], detect_spikes(usage, step_s=3600))
    assert stream.samples == len(usage)


@pytest.mark.parametrize("threads", [1, 0, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_uneven_chunks_of_many_series(order, threads):
    """Longer than what is gathered of a series at a time (512 samples), in either order in memory."""
    usage = np.asarray(np.concatenate([many(), many()]), order=order)
    whole = detect_spikes(usage)
    assert (whole.count > 0).sum() >= 5
    stream = SpikeStream(series=usage.shape[1])
    check_same([stream.update(chunk, threads=threads) for chunk in pieces(usage, [1, 2, 9, 300, 812, 1399])], whole)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 599), max_size=8, unique=True), st.sampled_from([60, 300, 3600, 86400]), st.data())
def test_however_it_is_cut_and_kept(cuts, step_s, data):
    """Between any two chunks the state may be kept, pickled or copied, and either one goes on with the same bits."""
    usage = many(600, 3)
    detector = AdaptiveDetector(data.draw(st.sampled_from(["both", "up"])), data.draw(st.sampled_from([0.5, 1.5, 3])))
    stream, chunks = SpikeStream(detector, series=3, step_s=step_s), []
    ways = (copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), lambda s: s)
    for chunk in pieces(usage, cuts):
        chunks.append(stream.update(chunk))
        stream = data.draw(st.sampled_from((*ways, lambda s: SpikeStream.from_bytes(s.to_bytes()))))(stream)
    check_same(chunks, detect_spikes(usage, step_s=step_s, detector=detector))
    assert (stream.samples, stream.series, stream.step_s, stream.detector) == (600, 3, step_s, detector)


def test_a_kept_state_knows_everything():
    stream = SpikeStream(AdaptiveDetector("up", 2.25), series=4, step_s=dt.timedelta(minutes=10))
    stream.update(many(200, 4))
    back = SpikeStream.from_bytes(stream.to_bytes())
    assert repr(back) == repr(stream)
    assert repr(back) == (
        "SpikeStream(AdaptiveDetector(direction='up', threshold=2.25), series=4, step_s=600, samples=200)"
    )
    assert back.to_bytes() == stream.to_bytes()
    for kept in (bytearray(stream.to_bytes()), memoryview(stream.to_bytes())):
        assert SpikeStream.from_bytes(kept).to_bytes() == stream.to_bytes()


def test_a_copy_is_another_stream():
    stream = SpikeStream()
    stream.update(KINDS["season"][:100])
    before, other = stream.to_bytes(), copy.copy(stream)
    other.update([1e9])
    assert stream.to_bytes() == before != other.to_bytes()


def test_defaults():
    stream = SpikeStream()
    assert (stream.detector, stream.series, stream.step_s, stream.samples) == (AdaptiveDetector(), 1, 300, 0)
    fresh = SpikeStream.from_bytes(stream.to_bytes())
    usage = KINDS["heavy tail"]
    check_same([fresh.update(usage)], detect_spikes(usage))


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 3)])
def test_results_follow_the_shape_of_usage(shape):
    usage = many(200, 6)[:, : int(np.prod(shape))].reshape(200, *shape)
    stream = SpikeStream(series=int(np.prod(shape)))
    check_same([stream.update(usage[:70]), stream.update(usage[70:])], detect_spikes(usage))


def test_only_what_was_asked_for_is_there_and_all_is_learnt():
    usage, stream = KINDS["season with spikes"], SpikeStream()
    asked = stream.update(usage[:700], outputs=())
    assert asked.count == detect_spikes(usage[:700]).count
    with clear_error(InvalidInput, "flags: was not asked for"):
        _ = asked.flags
    later = stream.update(usage[700:], outputs="scores")
    assert bits(later.scores) == bits(detect_spikes(usage).scores[700:])


def test_history_and_frames_know_their_instants():
    pd = pytest.importorskip("pandas")
    usage = np.r_[np.full(300, 5.0), 50.0]
    history = History.from_array(np.c_[usage, usage * 0], start="2024-05-01T00:00Z", step_s=300, regions=["a", "b"])
    times = pd.date_range("2024-05-01", periods=301, freq="5min", tz="UTC")
    for source in (history, pd.DataFrame({"timestamp": times, "a": usage, "b": usage * 0})):
        stream = SpikeStream(series=2)
        (episode,) = stream.update(source).episodes
        assert episode.start_time == np.datetime64("2024-05-02T01:00:00")
        assert episode.series.split()[0] == "a"
        before = stream.to_bytes()
        hourly = SpikeStream(series=2, step_s=3600)
        with clear_error(InvalidInput, "usage: must have the stream's step of 3600 s (got 300"):
            hourly.update(source)
        assert (hourly.samples, stream.samples, stream.to_bytes()) == (0, 301, before)


REFUSED_UPDATES = {
    "no sample": (np.zeros((0, 11)), {}, "usage: "),
    "fewer series": (np.zeros((5, 10)), {}, "usage: must have the stream's 11 series (got 'shape (5, 10)')"),
    "more series": (np.zeros((5, 12)), {}, "usage: must have the stream's 11 series (got 'shape (5, 12)')"),
    "one series": ([1.0, 2.0], {}, "usage: must have the stream's 11 series (got 'shape (2, 1)')"),
    "text": ([["a"] * 11], {}, "usage: "),
    "nothing": (None, {}, "usage: "),
    "unknown output": (np.zeros((5, 11)), {"outputs": ("flags", "score")}, "outputs: must be among"),
    "no outputs": (np.zeros((5, 11)), {"outputs": None}, "outputs: "),
    "no threads": (np.zeros((5, 11)), {"threads": -1}, "threads: "),
}


@pytest.fixture(scope="module")
def learnt():
    stream = SpikeStream(series=11)
    stream.update(many(600))
    return stream


@pytest.mark.parametrize("name", REFUSED_UPDATES)
def test_a_refused_update_changes_nothing(name, learnt):
    usage, arguments, message = REFUSED_UPDATES[name]
    before = learnt.to_bytes()
    with clear_error(InvalidInput, message):
        learnt.update(usage, **arguments)
    assert learnt.to_bytes() == before


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("place", [(0, 0), (0, 10), (699, 10), (699, 3)])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_sample_anywhere_changes_nothing(place, threads, value, learnt):
    usage = many()
    usage[place] = value
    before = learnt.to_bytes()
    with clear_error(InvalidInput, "usage: must be finite, or NaN where not observed (got", "inf"):
        learnt.update(usage, threads=threads)
    assert (learnt.samples, learnt.to_bytes()) == (600, before)


ARGUMENTS = (
    ({"detector": RollingSigma()}, "detector: must be AdaptiveDetector(...): only it keeps a state (got RollingSigma"),
    ({"detector": AdaptiveDetector}, "detector: must be AdaptiveDetector(...)"),
    ({"series": 0}, "series: must be a whole number from 1 to 10,000,000 (got 0)"),
    ({"series": 10**7 + 1}, "series: must be a whole number from 1 to 10,000,000"),
    ({"series": True}, "series: must be a whole number"),
    ({"series": 2.0}, "series: must be a whole number"),
    ({"step_s": 0}, "step_s: "),
    ({"step_s": np.inf}, "step_s: "),
    ({"step_s": "1h"}, "step_s: "),
)


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS, ids=lambda x: str(x)[:40])
def test_what_no_stream_can_be_says_why(arguments, message):
    with clear_error(InvalidInput, message):
        SpikeStream(**arguments)


def test_threads_take_turns():
    """Every thread brings the same samples, so that their order does not matter, and only a mixture could differ."""
    chunk, turns = many(400, 9), 24
    expected, states = SpikeStream(series=9), set()
    for _ in range(turns):
        states.add(expected.to_bytes())
        expected.update(chunk, outputs=())
    states.add(expected.to_bytes())
    stream = SpikeStream(series=9)
    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(stream.update, chunk, outputs=(), threads=1 + t % 3) for t in range(turns)]
        kept = [pool.submit(stream.to_bytes) for _ in range(turns)]
        for future in done:
            future.result()
    assert stream.samples == turns * 400
    assert stream.to_bytes() == expected.to_bytes()
    assert {future.result() for future in kept} <= states


@pytest.mark.skipif(sys.platform == "win32", reason="no interval timers there")
def test_ctrl_c_in_a_long_update_changes_nothing():
    """The handler runs inside of the update: it reads what was before, and may not bring samples of its own."""
    assert threading.current_thread() is threading.main_thread()
    stream = SpikeStream(series=64)
    stream.update(np.random.default_rng(0).normal(size=(100, 64)))
    before, seen = stream.to_bytes(), []

    def handler(*_):
        seen.append(stream.to_bytes())
        with clear_error(InvalidInput, "usage: cannot be taken while the stream is busy with another update"):
            stream.update(np.zeros((1, 64)))
        raise KeyboardInterrupt

    # Overlapping series: 6e8 samples of 80 MB, of which the timer leaves the stream a small part.
    usage = np.lib.stride_tricks.as_strided(np.ones(10_000_064), (10_000_000, 64), (8, 8))
    others = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            stream.update(usage, outputs=())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, others)
    assert seen == [before]
    assert (stream.samples, stream.to_bytes()) == (100, before)
    assert stream.update(np.ones((1, 64))).count.shape == (64,)
