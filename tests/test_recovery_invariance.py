"""Same seed, same trials, same bits: for any threads, instruction sets, chunks and order of merging."""

import hashlib
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clear import clear_error
from surgetank import InvalidInput, _core
from surgetank.recovery import (
    Capacity,
    DataStore,
    Empirical,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Mixture,
    Pert,
    Recovery,
    Runbook,
    Step,
    Triangular,
    Uniform,
    Weibull,
    estimate_recovery,
)
from test_capacity import half_short
from test_cpu import LEVELS, run
from test_recovery_twin import random_book

EVERY = (
    Fixed(3), Uniform(60, 300), Triangular(0, 5, 9), Pert(1, 20, 300), Lognormal(85, 150), Gamma(0.3, 90),
    Exponential(40), Weibull(0.7, 30), Empirical([1, 2, 9]), Mixture([(1, Gamma(4, 9)), (2, Uniform(3, 5))]),
    Lognormal(10, 90).truncated(5, 50),
)  # fmt: skip


def plain(value):
    """Counts as plain values, in which every bit shows."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.hex() if isinstance(value, float) else value


def books():
    """One with every distribution, alone and by factors, and some of any shape."""
    alone = [Step(f"a{i}", d, failure=0.1, retries=2, retry_after=d) for i, d in enumerate(EVERY)]
    chained = [Step(f"b{i}", d, after=f"b{i - 1}" if i else ()) for i, d in enumerate(EVERY)]
    loads = [{"f": 0.5, "g": -0.4}, {"f": 0.9}]
    coupled = [Step(f"c{i}", d, f"a{i}", loadings=loads[i % 2]) for i, d in enumerate(EVERY)]
    stores = [DataStore(f"d{i}", d, d) for i, d in enumerate(EVERY)]
    yield Runbook([*alone, *chained, *coupled], stores=stores, detection="b3", declaration="a1")
    yield from (random_book(seed) for seed in range(12))


def room():
    lead = Lognormal(86400, 432000)
    book = Runbook([Step("a", Uniform(1, 9)), Step("b", Exponential(30), "a", capacity="*")], detection="a")
    return book, Capacity(half_short(), lead_time=lead, denial=0.1)


def digest(**more):
    """One line for every estimate, so that a difference names it."""
    cases = [(book, None) for book in books()] + [room()]
    for i, (book, capacity) in enumerate(cases):
        trials, first = (20_001, 100) if i else (60_000, 0)
        found = estimate_recovery(
            book, trials=trials, first=first, seed=i, also_s=[60, 200, 1e4], capacity=capacity, **more
        )
        text = json.dumps([plain(found.counts), found.rto.exact([0.1, 0.5, 0.999]).tolist()])
        print(hashlib.sha256(text.encode()).hexdigest()[:16], i)


@pytest.fixture(scope="module")
def reference():
    return printed(digest)


def printed(function, **more):
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        function(**more)
    return out.getvalue()


@pytest.mark.parametrize("threads", [2, 3, 16, 0])
def test_any_number_of_threads_counts_the_same(reference, threads):
    assert printed(digest, threads=threads) == reference


@pytest.mark.parametrize("level", LEVELS)
def test_every_instruction_set_counts_the_same(reference, level):
    found = run("import test_recovery_invariance as t; t.digest(threads=2)", level)
    if found.returncode and "SURGETANK_CPU" in found.stderr:
        pytest.skip(f"this machine has no {level}")
    assert found.stdout == reference, found.stderr


def test_ten_million_at_once_are_ten_times_a_million():
    book = Runbook([Step("a", 90), Step("b", Uniform(60, 300), "a"), Step("c", Uniform(0, 300), "b")])
    asked = {"target_s": 300, "seed": 8, "threads": 0}
    whole = estimate_recovery(book, trials=10_000_000, **asked)
    parts = [estimate_recovery(book, trials=1_000_000, first=i * 1_000_000, **asked) for i in range(10)]
    for order in (range(10), [3, 9, 1, 0, 2, 8, 4, 7, 5, 6]):
        merged = Recovery.merge([parts[i] for i in order])
        assert plain(merged.counts) == plain(whole.counts)
        assert (merged.ranges, merged.trials) == (whole.ranges, 10_000_000)
        assert (merged.probability, merged.interval) == (whole.probability, whole.interval)
        assert merged.to_dict() == whole.to_dict()


def test_chunks_at_odd_offsets_and_merges_of_merges():
    cases = [*((book, None) for book in books()), room()]
    for i, (book, capacity) in enumerate(cases[:5] + cases[-1:]):
        ends = np.unique([0, 1, 63, 65, 255, 300, 777, 4096 + 11, 9999, 16_384, 17_000, 20_000])
        asked = {"seed": i, "capacity": capacity, "target_s": 60, "also_s": [600]}
        whole = estimate_recovery(book, trials=20_000, **asked)
        parts = [estimate_recovery(book, first=int(a), trials=int(b - a), **asked) for a, b in itertools.pairwise(ends)]
        some = Recovery.merge(parts[1::2])
        merged = Recovery.merge([*parts[::2], some])
        assert plain(merged.counts) == plain(whole.counts)
        assert merged.ranges == ((0, 20_000),)
        assert len(some.ranges) == 5
        # All of one range again, so its order statistics can be drawn again.
        assert (merged.rto.exact([0.2, 0.7]) == whole.rto.exact([0.2, 0.7])).all()
        with clear_error(InvalidInput, "exact", "neither pickled nor merged"):
            some.rto.exact(0.5)


def test_what_cannot_be_merged():
    book = Runbook([Step("a", 10), Step("b", Uniform(0, 9), "a")], detection="a", name="book")
    one = estimate_recovery(book, trials=100, target_s=14)
    for first in (0, 50, 99):
        with clear_error(InvalidInput, "parts: must be of different trials", "twice"):
            Recovery.merge([estimate_recovery(book, trials=100, first=first, target_s=14), one])
    others = {
        "seed": estimate_recovery(book, trials=100, first=100, target_s=14, seed=1),
        "targets": estimate_recovery(book, trials=100, first=100, target_s=15),
        "runbook": estimate_recovery(book.with_step("b", duration=1), trials=100, first=100, target_s=14),
        "clock": estimate_recovery(book, trials=100, first=100, target_s=14, clock="detection"),
        "target": estimate_recovery(book, trials=100, first=100, also_s=[14]),
        "confidence": estimate_recovery(book, trials=100, first=100, target_s=14, confidence=0.5),
    }
    for word, other in others.items():
        with clear_error(InvalidInput, "parts: must have the same", word):
            Recovery.merge([one, other])
    roomy, capacity = room()
    short, full = (
        estimate_recovery(roomy, trials=10, first=10 * i, capacity=c) for i, c in enumerate((capacity, None))
    )
    with clear_error(InvalidInput, "parts: must have the same capacity"):
        Recovery.merge([short, full])
    for wrong in ([], None, 5, [one, 5], "ab", one):
        with clear_error(InvalidInput, "parts: must be at least one Recovery"):
            Recovery.merge(wrong)


def test_steps_keep_their_luck_when_others_change():
    """Draws are keyed by names: order, other steps and other options of the call do not touch them."""
    a, b, c = Step("a", Uniform(0, 9)), Step("b", Exponential(4), failure=0.2, retries=1), Step("c", 100, "a")
    counts = [
        estimate_recovery(Runbook(steps, done=["a"]), trials=5000, seed=4).counts["clocks"][0]
        for steps in ([a], [b, a], [c, a, b], [a, b, c])
    ]
    assert all(plain(one) == plain(counts[0]) for one in counts)
    other = estimate_recovery(Runbook([a], done=["a"]), trials=5000, seed=5).counts["clocks"][0]
    assert plain(other) != plain(counts[0])


def test_progress_is_told_and_changes_nothing():
    book, told = random_book(4), []
    trials = 5_000_001
    found = estimate_recovery(book, trials=trials, progress=lambda *at: told.append(at), threads=0)
    assert [total for _, total in told] == [trials] * len(told)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(told) >= 3
    assert told[-1][0] == trials
    assert plain(found.counts) == plain(estimate_recovery(book, trials=trials, threads=0).counts)

    def angry(*_):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        estimate_recovery(book, trials=10, progress=angry)


def test_a_result_survives_pickling():
    for book, capacity in (*((book, None) for book in list(books())[:3]), room()):
        found = estimate_recovery(book, trials=3000, target_s=60, capacity=capacity, seed=6)
        str(found), found.steps, found.shortage, found.rto
        again = pickle.loads(pickle.dumps(found))
        assert str(again) == str(found)
        assert plain(again.counts) == plain(found.counts)
        assert again.to_dict() == found.to_dict()
        assert plain(Recovery.merge([again]).counts) == plain(found.counts)
        more = estimate_recovery(book, trials=10, first=3000, target_s=60, capacity=capacity, seed=6)
        assert Recovery.merge([again, more]).trials == 3010
        again_book = pickle.loads(pickle.dumps(book))
        assert again_book == book
        assert plain(estimate_recovery(again_book, trials=100).counts) == plain(
            estimate_recovery(book, trials=100).counts
        )


@pytest.mark.parametrize("merged", [False, True])
def test_exact_is_right_or_refused_after_pickling(merged):
    book, capacity = room()
    found = estimate_recovery(book, trials=3000, capacity=capacity)
    again = pickle.loads(pickle.dumps(found))
    one = Recovery.merge([again]) if merged else again
    try:
        exact = one.rto.exact([0.1, 0.4, 0.6, 0.9])
    except InvalidInput as error:
        assert "exact" in str(error)  # noqa: PT017
    else:
        assert (exact == found.rto.exact([0.1, 0.4, 0.6, 0.9])).all()


def test_results_are_read_only():
    book, capacity = room()
    found = estimate_recovery(book, trials=100, target_s=9, capacity=capacity)
    figures = ("ran", "mean_s", "criticality", "contribution_s")
    arrays = {
        "histogram": found.rto.histogram,
        "served": found.counts["served"],
        "ready": found.shortage.ready.histogram,
        **{name: getattr(found.steps, name) for name in figures},
        "lacking": found.shortage.lacking,
        "last": found.shortage.last,
        "raises": found.shortage.headroom_for(0.5).raises,
    }
    assert [name for name, array in arrays.items() if array.flags.writeable] == []
    with pytest.raises(AttributeError):
        found.clock = "detection"


def test_several_threads_share_a_runbook():
    book = next(books())
    expected = [plain(estimate_recovery(book, trials=20_000, seed=s).counts) for s in range(4)]
    fresh = pickle.loads(pickle.dumps(book))
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(estimate_recovery, fresh, trials=20_000, seed=s % 4, threads=1 + s % 3) for s in range(24)]
        for s, job in enumerate(jobs):
            assert plain(job.result().counts) == expected[s % 4]


def test_other_threads_run_meanwhile():
    """The GIL is released: a Python thread counts on while trials are drawn."""
    book, ticks, stop = random_book(4), [], threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks.append(time.perf_counter())

    ticker = threading.Thread(target=tick)
    ticker.start()
    started = time.perf_counter()
    estimate_recovery(book, trials=4_000_000)
    ended = time.perf_counter()
    stop.set()
    ticker.join()
    assert len([at for at in ticks if started < at < ended]) > (ended - started) / 0.01


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_signal_ends_a_billion_trials_at_once(threads):
    code = f"""
        import signal, sys, time
        from surgetank.recovery import *
        book = Runbook([Step("a", Lognormal(85, 150)), Step("b", Gamma(2, 9), "a", failure=.2, retries=3)])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        estimate_recovery(book, trials=1000)
        print("ready", flush=True)
        try:
            estimate_recovery(book, trials=10**9, threads={threads})
        except KeyboardInterrupt:
            print(time.time())
        """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.2)
    sent = time.time()
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert float(out) - sent < 0.2


def test_the_core_names_its_bins():
    assert _core.recovery_bins == (-10, 256, 40)
