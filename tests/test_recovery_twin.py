"""Every trial against a slow twin in plain Python: the same draws, the same instants, the same counts."""

import math

import numpy as np
import pytest

import oracles_recovery as twin
from surgetank import InvalidInput, _core
from surgetank.recovery import (
    Branch,
    Capacity,
    DataStore,
    Empirical,
    Exponential,
    Fixed,
    Lognormal,
    Mixture,
    Pert,
    Runbook,
    Step,
    Triangular,
    Uniform,
    estimate_recovery,
)
from surgetank.recovery.capacity import coupling
from test_capacity import some_plans

SEEDS = 60


def duration(random, depth=1):
    low, width = float(random.choice([0, 1.5, 100, 5e4])), float(random.choice([0.1, 7, 300, 1e6]))
    kind = random.integers(5 if depth else 4)
    if kind == 0:
        return Fixed(low)
    if kind == 1:
        return Uniform(low, low + width)
    if kind == 2:
        return Triangular(low, low + width * float(random.choice([0, 0.3, 1])), low + width)
    if kind == 3:
        return Empirical(random.integers(0, 1000, random.integers(1, 9)) / 8)
    weights = random.random(int(random.integers(1, 4)))
    return Mixture([(float(w), duration(random, 0)) for w in weights])


def waits_for(random, steps, chance=0.5):
    """Some of the steps so far, options among them."""
    after = []
    for step in steps:
        if random.random() < chance / math.sqrt(len(steps)):
            option = isinstance(step, Branch) and random.random() < 0.8
            after.append(f"{step.name}:{random.choice(list(step.options))}" if option else step.name)
    return after


def random_book(seed, patterns=()):
    """Any graph: joins of both kinds, branches of branches, retries, fallbacks of fallbacks, clocks, stores."""
    random = np.random.default_rng(seed)
    steps, inner = [], []
    for i in range(int(random.integers(1, 12))):
        after, join = waits_for(random, steps, 1.5), str(random.choice(["all", "any"]))
        if random.random() < 0.25:
            options = random.dirichlet(np.ones(int(random.integers(1, 4))))
            options[-1] = 1 - options[:-1].sum()
            steps.append(Branch(f"b{i}", {f"o{k}": float(p) for k, p in enumerate(options)}, after, join))
            continue
        failure = float(random.choice([0, 0, 0.02, 0.4, 1], p=[0.3, 0.2, 0.2, 0.25, 0.05]))
        fallback = None
        if random.random() < 0.4:
            fallback = f"f{i}"
            deeper = f"g{i}" if random.random() < 0.3 else None
            inner.append(Step(fallback, duration(random), failure=0.3, retries=1, fallback=deeper))
            inner += [Step(deeper, duration(random))] if deeper else []
        retries = int(random.integers(0, 4))
        needs = str(random.choice(patterns)) if len(patterns) and random.random() < 0.5 else ()
        steps.append(
            Step(f"s{i}", duration(random), after, join, failure, retries, duration(random), fallback, capacity=needs)
        )
    names = [s.name for s in steps]
    clocks = {name: str(random.choice(names)) for name in ("detection", "declaration") if random.random() < 0.7}
    done = [n for n in names if random.random() < 0.2]
    stores = [DataStore(f"d{k}", duration(random), duration(random)) for k in range(int(random.integers(0, 3)))]
    return Runbook(steps + inner, done=done, stores=stores, **clocks)


def same_times(raw, values, targets):
    expected = twin.counted(values, targets)
    found = {**raw, "histogram": raw["histogram"].tolist()}
    assert found == expected


def same_paths(book, counts, trials):
    """Of the trials that ended: which steps ran, which decided, and what they took."""
    place = {name: i for i, name in enumerate(book.names)}
    expected = {key: [0] * len(place) for key in ("ran", "ran_ended", "ran_quanta", "critical", "critical_quanta")}
    paths = 0
    for starts, own, ends, _ in trials:
        if twin.clocks_of(book, ends)[0] >= twin.LONGEST_S:
            continue
        paths += 1
        on_path = twin.decided_by(book, starts, ends)
        for name, took in own.items():
            expected["ran"][place[name]] += starts[name] < twin.LONGEST_S
            took = took if took < twin.LONGEST_S and starts[name] < twin.LONGEST_S else None
            for key in ("ran_ended", *(["critical"] if name in on_path else [])):
                if took is not None:  # a step that others did not wait for may never end
                    expected[key][place[name]] += 1
                    expected[f"{key.removesuffix('_ended')}_quanta"][place[name]] += round(took * 1024)
    assert counts["paths"] == paths
    assert {key: list(counts[key]) for key in expected} == expected


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_count_is_that_of_the_twin(seed):
    book = random_book(seed)
    random = np.random.default_rng(seed)
    first, count = int(random.choice([0, 1, 63, 250, 5000])), int(random.choice([1, 40, 300]))
    trials = [twin.trial_of(book, seed, first + i) for i in range(count)]
    clocks = np.array([twin.clocks_of(book, ends) for _, _, ends, _ in trials])
    points = np.array([twin.points_of(book, seed, first + i) for i in range(count)])
    middle = sorted(v for v in clocks[:, 0] if v < twin.LONGEST_S) or [1.0]
    targets, also = float(middle[len(middle) // 2]), [100.0, float(middle[0])]
    more = {"rpo_target_s": float(np.median(points[:, -1]))} if book.stores else {}
    found = estimate_recovery(book, target_s=targets, also_s=also, trials=count, first=first, seed=seed, **more)
    counts, asked = found.counts, found.asked
    assert counts["trials"] == count
    for i, raw in enumerate(counts["clocks"]):
        same_times(raw, clocks[:, i].tolist(), asked.targets)
    assert len(counts["points"]) == points.shape[1]
    for i, raw in enumerate(counts["points"]):
        same_times(raw, points[:, i].tolist(), asked.point_targets)
    if book.stores:
        worst, slack = points[:, -1], 1 + 1e-12
        both = [((clock <= t * slack) & (worst <= p * slack)).sum() for clock in clocks.T for t in asked.targets
                for p in asked.point_targets]  # fmt: skip
        assert counts["met"] == both
    same_paths(book, counts, trials)


def test_the_twin_sees_all_there_is():
    """That the random graphs hold what they are meant to."""
    books = [random_book(seed) for seed in range(SEEDS)]
    steps = [s for book in books for s in book.steps]
    assert sum(isinstance(s, Branch) for s in steps) > 40
    assert sum(s.join == "any" and len(s.after) > 1 for s in steps) > 40
    assert sum(getattr(s, "fallback", None) is not None for s in steps) > 60
    assert sum(bool(book.stores) for book in books) > 20
    assert sum(book.detection is not None for book in books) > 20


def room_of(found, book, lead, denial, seed, trial):
    """The moment, the share that fits, per patterns what is lacking, and the lead times of those quotas."""
    moment = twin.word(twin.stream(seed, "moment of history", "moment"), trial) * len(found.moments) >> 32
    lacking, leads, share = {}, {}, 1.0
    for patterns in {tuple(s.capacity): 0 for s in book.steps if getattr(s, "capacity", ())}:
        own = [q for q, key in enumerate(found.quotas) if any(key.matches(p) for p in patterns)]
        share = min(share, found.served_by[moment, own].min(initial=1.0))
        lacking[patterns] = [q for q in own if found.short[moment, q]]
        for q in lacking[patterns]:
            name = str(found.quotas[q])
            leads[q] = twin.draw(lead, twin.stream(seed, name, "lead"), trial)
            if twin.word(twin.stream(seed, name, "denial"), trial) < twin.threshold(denial):
                leads[q] = twin.NEVER
    return share, lacking, leads


def test_every_count_with_capacity_is_that_of_the_twin():
    assert sum(same_with_capacity(seed) for seed in range(40)) > 25


def same_with_capacity(seed):
    random = np.random.default_rng(seed)
    plan = CAPACITY_PLANS[seed % len(CAPACITY_PLANS)]
    book = random_book(seed, ["*", "ec2", "rds"])
    book = Runbook(book.steps, done=book.done, detection=book.detection, served_target=random.choice([1, 0.8]))
    lead, denial = Uniform(1000, float(random.choice([5000, 1e6]))), float(random.choice([0, 0.3, 1]))
    room, count, first = Capacity(plan, lead_time=lead, denial=denial), 300, int(random.choice([0, 77]))
    try:
        found = coupling(room, book.capacity, book.served_target)
    except InvalidInput as error:
        assert str(error).startswith(("capacity: must name", "plan: must hold a moment"))  # noqa: PT017
        return False
    drawn = [room_of(found, book, lead, denial, seed, first + i) for i in range(count)]
    late = [twin.trial_of(book, seed, first + i, *more) for i, (_, *more) in enumerate(drawn)]
    clocks = [twin.clocks_of(book, ends) for _, _, ends, _ in late]
    ready = [twin.clocks_of(book, twin.trial_of(book, seed, first + i)[2]) for i in range(count)]
    target = sorted(r[0] for r in ready)[count // 2]
    target = target if target < twin.LONGEST_S else 1e6
    result = estimate_recovery(book, target_s=target, capacity=room, trials=count, first=first, seed=seed)
    counts = result.counts
    for which, instants in (("clocks", clocks), ("ready", ready)):
        for i, raw in enumerate(counts[which]):
            same_times(raw, [at[i] for at in instants], [target])
    same_paths(book, counts, late)
    fits = [not leads for _, _, leads in drawn]
    assert counts["fits"] == sum(fits)
    in_time = [sum(f and at[c] <= target * (1 + 1e-12) for f, at in zip(fits, clocks, strict=True))
               for c in range(len(clocks[0]))]  # fmt: skip
    assert counts["fits_within"] == in_time
    quotas = range(len(found.quotas))
    asked = [asks for *_, asks in late]
    assert counts["lacking"] == [sum(q in asks for asks in asked) for q in quotas]
    applied = [{q: at + leads[q] for q, at in asks.items()} for asks, (_, _, leads) in zip(asked, drawn, strict=True)]
    last = [min(at, key=lambda q: (-at[q], q)) for at in applied if at]
    assert counts["last"] == [last.count(q) for q in quotas]
    served = np.zeros(len(counts["served"]), dtype=np.uint64)
    for (share, _, leads), begins, whole in zip(drawn, ready, clocks, strict=True):
        at_once = math.floor(share * 65536 + 0.5)
        served[twin.bin_of(begins[0])] += at_once
        served[twin.bin_of(whole[0]) if leads else -1] += 65536 - at_once
    assert (counts["served"] == served).all()
    return bool(found.quotas)


CAPACITY_PLANS = [plan for plan in some_plans(60) if any(key.service_code == "rds" for key in plan.keys)]


@pytest.mark.parametrize(
    "given", [Lognormal(85, 150), Exponential(60), Pert(10, 30, 100), Triangular(1, 2, 9).truncated(1.5, 4)]
)
def test_tabulated_draws_are_quantiles_of_the_same_uniform_numbers(given):
    """Below 1e-6 of the smaller tail in probability, beside the rounding of a float32 of what is bounded."""
    found = estimate_recovery(Runbook([Step("a", given)]), trials=2000, seed=5)
    uniform = np.array([twin.uniform_of(twin.word(twin.stream(5, "a", "duration"), i)) for i in range(2000)])
    drawn = np.array([found.asked.draw(i, 1)["clocks"][0]["least"] for i in range(2000)])
    assert (np.abs(given.cdf(drawn) - uniform) < 1e-6 * np.minimum(uniform, 1 - uniform) + 2.0**-22).all()


def test_samples_are_draws_of_a_stream_of_their_own():
    for given in (
        Uniform(3, 9),
        Triangular(1, 2, 9),
        Empirical([5, 1, 7]),
        Mixture([(1, Fixed(2)), (2, Uniform(3, 4))]),
    ):
        of = twin.stream(2**64 - 1, "sample", "duration")
        assert given.sample(300, seed=2**64 - 1).tolist() == [twin.draw(given, of, i) for i in range(300)]


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # kat_vectors of Random123
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(counter, key, words):
    assert tuple(_core.philox(counter, key)) == words


def test_trials_beyond_32_bits_of_counters():
    """Counters have 64 bits: trial 2³⁴ and more."""
    book = random_book(3)
    for first in (2**34, 2**34 + 5, 999_999_999_990):
        trials = [twin.clocks_of(book, twin.trial_of(book, 1, first + i)[2])[0] for i in range(10)]
        same_times(estimate_recovery(book, trials=10, first=first, seed=1).counts["clocks"][0], trials, ())
