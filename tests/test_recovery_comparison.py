"""Runbooks side by side: hand-worked probabilities, who dominates whom, and malformed input."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

import surgetank
from surgetank import (
    Capacity,
    DataStore,
    Fixed,
    History,
    InvalidInput,
    QuantilePolicy,
    Quota,
    QuotaKey,
    Runbook,
    Step,
    Uniform,
    estimate_recovery,
    shipped_runbook,
)
from surgetank.recovery.comparison import compare_runbooks
from surgetank.recovery.targets import Target, judge

DURATION = "must be a finite duration of at least 0 seconds"
TRIALS = 20_000
STRATEGIES = ("backup-restore", "pilot-light", "warm-standby", "active-active")


def book(name, high_s, cost=None, lag_s=None, **more):
    stores = () if lag_s is None else [DataStore("table", lag_s)]
    return Runbook([Step("move", Uniform(0, high_s))], name=name, cost_usd_per_month=cost, stores=stores, **more)


def compare(*books, **options):
    return compare_runbooks(books, **{"trials": TRIALS, **options})


def test_by_hand():
    slow, fast = book("slow", 400, cost=100, lag_s=Uniform(0, 20)), book("fast", 125, cost=250, lag_s=Uniform(0, 20))
    found = compare(fast, slow, target_s=100, rpo_target_s=10)
    assert found.names == ("slow", "fast")  # by cost
    assert found["slow"].probability == pytest.approx(0.25, abs=0.015)
    assert found["fast"].probability == pytest.approx(0.8, abs=0.015)
    assert found.probability == pytest.approx((0.125, 0.4), abs=0.015)  # stores have luck of their own
    assert found["slow"].rpo_probability == found["fast"].rpo_probability  # the same store, the same luck
    assert found.dominated_by == ("", "")
    for p, (low, high) in zip(found.probability, found.interval, strict=True):
        assert low < p < high
    assert found.cheapest_meeting(0.1).runbook is slow
    assert found.cheapest_meeting(0.3).runbook is fast
    assert found.cheapest_meeting(0.9) is None
    assert found.cheapest_meeting() is None
    assert str(found).splitlines()[0] == "None of 2 runbooks is known to be in time with 95.0%"


def test_each_row_is_the_estimate_of_its_runbook():
    names = STRATEGIES
    found = compare(*map(shipped_runbook, names), target_s=3600, rpo_target_s=300, seed=3)
    for name in names:
        alone = estimate_recovery(shipped_runbook(name), target_s=3600, rpo_target_s=300, trials=TRIALS, seed=3)
        assert found[name].counts["met"] == alone.counts["met"]
        assert found.probability[found.names.index(name)] == alone.both_probability
    assert [r.runbook.cost_usd_per_month for r in found.results] == [800, 3000, 4000, 10000]
    assert found.cheapest_meeting(0.9).runbook.name == "pilot-light"
    assert "Pilot light in another Region is the cheapest that is in time with 95.0%" in str(found)
    assert "In time: service is back within 1 h, and has lost at most 5 min of data." in str(found)
    assert "Room for the load that lands is assumed: backup-restore," in str(found)


def test_shared_steps_share_their_luck():
    plain = book("plain", 400, cost=1)
    longer = dataclasses.replace(plain, name="longer", steps=[*plain.steps, Step("wait", Fixed(1), after=["move"])])
    found = compare(plain, longer, target_s=200)
    lost = found["plain"].counts["clocks"][0]["within"][0] - found["longer"].counts["clocks"][0]["within"][0]
    assert 0 <= lost == pytest.approx(TRIALS / 400, rel=0.5)  # those between 199 s and 200 s, and no noise


def test_dearer_and_no_better_is_said():
    found = compare(
        book("good", 110, cost=10), book("worse", 150, cost=20), book("same", 110, cost=30), book("twin", 110, cost=10),
        book("best", 90, cost=40), book("free of a price", 200), target_s=100,
    )  # fmt: skip
    said = dict(zip(found.names, found.dominated_by, strict=True))
    assert said == {"good": "", "twin": "", "worse": "good", "same": "good", "best": "", "free of a price": ""}
    assert found.names[-1] == "free of a price"
    assert "No better than" in str(found)
    assert found.cheapest_meeting(0.4).runbook.name == "good"


def test_a_dominated_runbook_never_beats_the_one_that_dominates_it():
    costs, ends = [7, 3, 9, 3, 5, 8], [150, 220, 130, 180, 160, 400]
    found = compare(*(book(f"b{i}", e, cost=c) for i, (c, e) in enumerate(zip(costs, ends, strict=True))), target_s=120)
    by_name = dict(zip(found.names, found.probability, strict=True))
    cost = {name: found[name].runbook.cost_usd_per_month for name in found.names}
    for name, other in zip(found.names, found.dominated_by, strict=True):
        worse = [
            o
            for o in found.names
            if cost[o] <= cost[name]
            and by_name[o] >= by_name[name]
            and (cost[o] < cost[name] or by_name[o] > by_name[name])
        ]
        assert other in worse if worse else other == ""


def test_capacity_counts_for_those_who_need_it():
    steady = dict.fromkeys("ab", np.r_[np.full(90, 60.0), np.full(10, 90.0)])  # one moment in ten is busy
    keys = tuple(QuotaKey("-", region, "ec2", "L-1") for region in steady)
    quotas = {key: Quota(key=key, value=130, is_global=False) for key in keys}
    usage = np.column_stack(list(steady.values()))
    history = History(keys=keys, start_s=0, step_s=3600, usage=usage, quotas=quotas)
    policy = QuantilePolicy(confidence=0, growth=1.0)
    plan = surgetank.plan(history, scenarios=["N-1"], policy=policy, survive=None, now=360_000)
    needs = Runbook([Step("move", 60, capacity="*")], name="needs", cost_usd_per_month=1)
    found = compare(needs, book("none", 60, cost=2), target_s=100, capacity=Capacity(plan, denial=1))
    assert 0.8 < (fits := found["needs"].shortage.fits_frac) < 0.95
    assert found.probability == pytest.approx((fits, 1.0), abs=0.01)
    assert found["none"].shortage is None
    assert "is assumed" not in str(found)
    judged = judge(found["needs"], [Target("t", 100, probability=0.8), Target("u", 50)])
    assert judged["t"].probability == found.probability[0]
    assert judged.breached == ("u",)
    assert "is assumed: needs." in str(compare(needs, target_s=100))


def test_without_stores_the_rpo_is_not_known():
    found = compare(book("a", 50, cost=1), book("b", 50, cost=2, lag_s=1), target_s=100, rpo_target_s=60)
    assert math.isnan(found.probability[0])
    assert found.probability[1] == 1
    assert found["a"].probability == 1
    assert math.isnan(found["a"].rpo_probability)
    assert found.cheapest_meeting().runbook.name == "b"
    assert found.dominated_by == ("", "")
    assert "Without stores the RPO is not known: a." in str(found)
    assert "Without stores" not in str(compare(book("a", 50), target_s=100))


def test_own_targets_are_not_weighed_against_prices():
    found = compare(book("a", 100, cost=1, target_s=90), book("b", 100, cost=2, target_s=20))
    assert found.probability == pytest.approx((0.9, 0.2), abs=0.015)
    assert not found.common
    assert found.dominated_by == ("", "")
    assert "Each is held to its own targets, so prices are not weighed against probabilities." in " ".join(
        str(found).split()
    )


def test_without_targets_times_are_shown_all_the_same():
    found = compare(book("a", 100), book("b", 200))
    assert all(math.isnan(p) for p in found.probability)
    assert str(found).splitlines()[0] == "2 runbooks"
    assert [row["p50_s"] for row in found.to_records()] == pytest.approx([50, 100], rel=0.05)
    with pytest.raises(InvalidInput) as caught:
        found.cheapest_meeting()
    assert str(caught.value) == "target_s: must be given to be met (got None)"


def test_threads_and_pickles_change_nothing():
    books = [shipped_runbook(name) for name in STRATEGIES]
    found = compare(*books, target_s=1800, rpo_target_s=60)
    assert compare(*books, target_s=1800, rpo_target_s=60, threads=2).to_records() == found.to_records()
    assert compare(*reversed(books), target_s=1800, rpo_target_s=60).to_records() == found.to_records()
    assert pickle.loads(pickle.dumps(found)).to_records() == found.to_records()


def test_a_frame_has_a_row_for_each():
    pytest.importorskip("pandas")
    found = compare(book("a", 100, target_s=90), book("b", 100, target_s=20))
    assert found.to_pandas().shape == (2, len(found.to_records()[0]))


@pytest.mark.parametrize(
    ("books", "options", "message"),
    [
        ([], {}, "runbooks: must be at least one (got 'none')"),
        ("pilot-light", {}, "runbooks: must be a sequence of Runbook (got 'pilot-light')"),
        (None, {}, "runbooks: must be a sequence of Runbook (got None)"),
        (["x"], {}, "runbook: must be a Runbook; read one with read_runbook, or take a shipped_runbook (got 'x')"),
        ([book("a", 1), book("a", 2)], {}, "runbooks: must have different names (got 'a')"),
        ([book("a", 1)], {"target_s": -1}, "target_s: " + DURATION + " (got -1)"),
        ([book("a", 1)], {"rpo_target_s": math.inf}, "rpo_target_s: " + DURATION + " (got inf)"),
        ([book("a", 1)], {"probability": 95}, "probability: must be a probability in [0, 1] (got 95)"),
        (
            [book("a", 1)],
            {"capacity": object},
            'capacity: is for runbooks with steps that need it: Step(..., capacity="*") (got \'none of them\')',
        ),
        ([shipped_runbook("pilot-light")], {"capacity": 3}, "capacity: must be a Plan or a Capacity (got 3)"),
        ([book("a", 1)], {"trials": 0}, "trials: must lie in [1, 1e+12] (got 0)"),
    ],
)  # fmt: skip
def test_malformed_input(books, options, message):
    with pytest.raises(InvalidInput) as caught:
        compare_runbooks(books, **options)
    assert str(caught.value) == message


def test_a_single_runbook_is_not_a_sequence():
    with pytest.raises(InvalidInput, match="runbooks: must be a sequence of Runbook"):
        compare_runbooks(book("a", 1))


def test_an_unknown_name_is_told():
    with pytest.raises(InvalidInput) as caught:
        compare(book("north", 1))["nort"]
    assert str(caught.value) == "name: must be a runbook that was compared; did you mean 'north'? (got 'nort')"
