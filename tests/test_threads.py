"""`threads=` and calls from several Python threads at once: whatever they are, the same bits."""

import dataclasses
import importlib
import inspect
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import surgetank
from backtest_worlds import NATIVE, SIZED, season
from surgetank import (
    AdaptiveDetector,
    ClassicPolicy,
    Cost,
    LearnedRule,
    PeakRule,
    Proportional,
    QuantilePolicy,
    RollingSigma,
    SpikeStream,
    allocate,
    backtest,
    compare_runbooks,
    detect_spikes,
    estimate_recovery,
    grid,
    probability_enough,
    shipped_runbook,
    size_headroom,
    summarize,
    tier_curve,
    tune,
)
from test_cpu import worlds
from test_recovery_invariance import books, room

HOUR, DAY = 3600.0, 86400.0
THREADS = (1, 2, 3, 16)


def shared(array):
    array.setflags(write=False)
    return array


# What all calls read, at once. Sixteen threads find work: a job is eight series, in a backtest one, or 8192 trials.
HARD = worlds()["hard"][:400]
WIDE = shared(np.concatenate([HARD * scale for scale in (1.0, 3.0, 0.7, 11.0)], axis=1))
FLEET = shared(season(np.random.default_rng(8), days=11, width=20).reshape(-1, 4, 5))  # (T, S, R)
REGIONS = list("abcde")
REPLAYED = {"step_s": HOUR, "scenarios": ["N-1"], "lead_time_s": DAY, "regions": REGIONS}
RANDOM = np.random.default_rng(3)
RATES = shared(RANDOM.random((4, 5)))
LOADS, FREE, PRICES = (shared(RANDOM.uniform(low, high, (40, 5))) for low, high in ((0, 9), (0, 4), (1, 2)))
BOOK = next(books())
ROOMY, ROOM = room()


def attributes(found, *names):
    return {name: getattr(found, name) for name in names}


def spikes_of(found):
    names = ("flags", "scores", "likelihood", "ratios", "count", "p95_ratio", "max_ratio", "episodes")
    return attributes(found, *names)


def spikes(threads):
    for detector in (AdaptiveDetector(threshold=0.5), RollingSigma(), RollingSigma(window=37, exclude_current=True)):
        for order in "CF":
            yield spikes_of(detect_spikes(np.asarray(WIDE, order=order), detector=detector, threads=threads))


def stream(threads):
    one = SpikeStream(series=WIDE.shape[1])
    for rows in np.split(WIDE, [1, 8, 250]):
        yield spikes_of(one.update(rows, threads=threads))
    yield one.to_bytes()


def summary(threads):
    names = ("count", "mean", "sigma_population", "slope", "min", "max", "last", "last_index", "quantiles")
    for order in "CF":
        yield attributes(summarize(np.asarray(WIDE, order=order), quantiles=(0, 0.5, 0.999), threads=threads), *names)


def allocation(threads):
    names = (
        "headroom", "prices", "raise_prices", "costs", "statuses", "cvar", "bounds", "binding", "certificates",
        "shortfall", "reasons", "steps", "cuts",
    )  # fmt: skip
    for failures, raisable in (("N-1", 3.0), ("N-2", np.inf)):
        found = allocate(LOADS, FREE, PRICES, failures=failures, share_cap=0.5, raisable=raisable, threads=threads)
        yield attributes(found, *names) | {"transfers": [np.asarray(one.transfers) for one in found]}
    yield attributes(allocate(FLEET, 50.0, unplaced=0.01, threads=threads), *names)


def curve(threads):
    found = tier_curve(LOADS, critical=[0.5, 0.9, 1.0], threads=threads)
    yield attributes(found, "critical", "cost", "relative_cost")


def recovery(threads):
    for book, capacity in ((BOOK, None), (ROOMY, ROOM)):
        asked = {"trials": 140_000, "first": 100, "also_s": [60, 1e4], "target_s": 300, "capacity": capacity}
        found = estimate_recovery(book, seed=4, threads=threads, **asked)
        yield found.counts, found.to_dict(), found.rto.exact([0.01, 0.5, 0.999])
    yield found.what_if(trials=40_000).to_records()
    told = []
    found = estimate_recovery(
        BOOK, trials="auto", width=0.02, target_s=300, threads=threads, progress=lambda *at: told.append(at)
    )
    yield found.counts, told


def comparison(threads):
    shipped = [shipped_runbook(name) for name in ("pilot-light", "warm-standby")]
    yield compare_runbooks(shipped, target_s=1800, rpo_target_s=60, trials=40_000, threads=threads).to_records()


def replay(threads):
    cost = Cost(per_unit_h=RATES, per_request=3, per_short_unit_h=0.5)
    run = backtest(FLEET, policies=[*NATIVE, SIZED], cost=cost, threads=threads, **REPLAYED)
    yield attributes(run, "samples", "moments", "fails", "requests", "idle", "quota", "expected_shortfall", "peak")
    yield run.table().to_records(), run.frontier().to_records(), run.clairvoyant
    yield run.quota_path(NATIVE[0]), run.interval("risk"), run.difference("cost_per_h", 0, 1)


def learnt(threads):
    run = backtest(FLEET, policies=[LearnedRule(quantile=0.9)], warmup_s=8 * DAY, threads=threads, **REPLAYED)
    yield run.table().to_records()


def tuned(threads):
    policies = grid(PeakRule, factor=[1.0, 1.2, 1.5, 2.0], window_s=[DAY / 2, DAY], lower=[None, 0.9])
    for method in ("grid", "halving"):
        asked = {
            "risk": 0.2,
            "confidence": None,
            "policies": policies,
            "method": method,
            "warmup_s": 3 * DAY,
            **REPLAYED,
        }
        found = tune(FLEET, threads=threads, **asked)
        yield found.to_records(), attributes(found.scores, "risk", "cost_per_h"), found.held_back


#: Every public name that takes `threads=`, by itself or handed on, and calls that show all of its ways.
TAKE_THREADS = {
    "detect_spikes": spikes,
    "SpikeStream.update": stream,
    "summarize": summary,
    "allocate": allocation,
    "tier_curve": curve,
    "estimate_recovery": recovery,
    "compare_runbooks": comparison,
    "backtest": replay,
    "backtest of what is learnt": learnt,
    "tune": tuned,
}


def sizes(_threads):
    for policy in (ClassicPolicy(), QuantilePolicy(), QuantilePolicy(tail="counted", confidence=0)):
        found = size_headroom(FLEET, quota=400.0, step_s=HOUR, scenarios="N-1", policy=policy)
        yield attributes(found, "base", "failover", "spike", "needed", "required", "shortfall")
    yield probability_enough(FLEET, 50.0, step_s=HOUR, scenarios="N-1")


def sharing(_threads):
    usage, quota = ({r: row[i] for i, r in enumerate(REGIONS)} for row in (LOADS[0], LOADS[0] + FREE[0]))
    yield Proportional().evacuate("a", usage=usage, quota=quota).to_records()


#: The others that let go of the GIL.
TAKE_NONE = {"size_headroom": sizes, "Proportional.evacuate": sharing}
CASES = TAKE_THREADS | TAKE_NONE


def bits(value):
    """As plain values, in which every bit shows."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes()) if value.dtype != object else bits(value.tolist())
    if isinstance(value, dict):
        return {key: bits(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [bits(one) for one in value]
    if dataclasses.is_dataclass(value):
        return [type(value).__name__, *(bits(getattr(value, f.name)) for f in dataclasses.fields(value))]
    if isinstance(value, float):
        return float(value).hex()
    assert value is None or isinstance(value, str | bytes | int | np.integer | np.bool_ | np.datetime64), type(value)
    return value


def answers(name, threads):
    return [bits(found) for found in CASES[name](threads)]


@pytest.fixture(scope="module")
def expected():
    """What one thread says, asked for once."""
    kept = {}
    return lambda name: kept[name] if name in kept else kept.setdefault(name, answers(name, 1))


@pytest.fixture
def name(request):
    if request.param == "backtest of what is learnt":
        pytest.importorskip("sklearn")
    return request.param


def public_functions():
    """Qualified name and function of every public function and method, of the package and of what is in it."""
    for home in ("", *surgetank._HOMES):
        module = importlib.import_module(f"surgetank.{home}".rstrip("."))
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value):
                methods = inspect.getmembers(value, lambda one: inspect.isfunction(one) or inspect.ismethod(one))
                yield from ((f"{name}.{at}", method) for at, method in methods if at == "__init__" or at[0] != "_")
            elif callable(value):
                yield name, value


def test_every_public_name_that_takes_threads_is_here():
    """A new one needs a line in TAKE_THREADS, and calls that show all of its ways."""
    found = {name for name, value in public_functions() if "threads" in inspect.signature(value).parameters}
    assert found >= {"detect_spikes", "SpikeStream.update", "backtest"}  # else nobody looked
    assert found - set(TAKE_THREADS) == set()


@pytest.mark.parametrize("threads", THREADS[1:])
@pytest.mark.parametrize("name", TAKE_THREADS, indirect=True)
def test_any_number_of_threads_gives_the_same_bits(name, threads, expected):
    assert answers(name, threads) == expected(name)


def at_once(calls):
    """What the calls answer, each in a Python thread of its own, and none begins before all are there."""
    barrier = threading.Barrier(len(calls))

    def wait_and(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(wait_and, call) for call in calls]]


@pytest.mark.parametrize("name", CASES, indirect=True)
def test_the_same_call_from_several_python_threads_at_once(name, expected):
    """They read the same arrays with the GIL released, some of them by several threads themselves."""
    for found in at_once([partial(answers, name, 1 + i % 2) for i in range(4)]):
        assert found == expected(name)


def test_different_calls_from_several_python_threads_at_once(expected):
    names = [name for name in CASES if name != "backtest of what is learnt"]  # needs an optional package
    random.Random(1).shuffle(names)
    for name, found in zip(names, at_once([partial(answers, name, 2) for name in names]), strict=True):
        assert found == expected(name), name


def test_one_result_is_asked_by_several_python_threads_at_once():
    """Some of what a result says is only found out, and kept, when somebody asks."""

    def looked(run, estimate):
        yield run.table().to_records(), run.frontier().to_records(), run.clairvoyant, run.interval("risk"), run.peak
        yield estimate.rto.exact([0.1, 0.9]), estimate.what_if(trials=20_000).to_records(), estimate.to_dict()

    def fresh():
        estimate = estimate_recovery(ROOMY, trials=20_000, target_s=300, capacity=ROOM, threads=2)
        return backtest(FLEET, policies=[*NATIVE, SIZED], threads=2, **REPLAYED), estimate

    def all_of(results):
        return [bits(found) for found in looked(*results)]

    one = fresh()
    found = at_once([partial(all_of, one)] * 4)
    assert found == [all_of(fresh())] * 4
