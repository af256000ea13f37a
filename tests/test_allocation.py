"""Named problems with known answers, what must hold of any answer, and every refusal of `allocate`."""

import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import surgetank
from oracles_allocation import failure_sets, least_cost
from surgetank import InvalidInput, allocate
from surgetank.demo import sample_world

ABC = ("A", "B", "C")

# name: arguments, cost, headroom, binding failure
NAMED = {
    "the published gap, N-1": (
        {"load": [2000, 200, 200], "existing": [28000, 1300, 2800], "failures": "N-1"}, 0, [0, 0, 0], None,
    ),
    "the published gap, N-2": (
        {"load": [2000, 200, 200], "existing": [28000, 1300, 2800], "failures": "N-2"}, 900, [0, 900, 0], ("A", "C"),
    ),
    "two equal halves: full duplication": ({"load": [50, 50], "existing": [0, 0]}, 100, [50, 50], "0"),
    "only the larger of two must fit elsewhere": ({"load": [70, 30], "existing": [0, 0]}, 100, [30, 70], "0"),
    "the cheaper Region takes it": (
        {"load": [10, 0, 0], "existing": [0, 0, 0], "cost": [9, 2, 3]}, 20, [0, 10, 0], "A",
    ),
    "a cap shares it out": (
        {"load": [10, 0, 0], "existing": [0, 0, 0], "cost": [9, 2, 3], "share_cap": 0.6}, 24, [0, 6, 4], "A",
    ),
    "latency forbids the cheap one": (
        {"load": [10, 0, 0], "existing": [0, 0, 0], "cost": [9, 2, 3], "eligible": {"A": ["C"]}}, 30, [0, 0, 10], "A",
    ),
    "a quota that cannot be raised": (
        {"load": [10, 0, 0], "existing": [0, 4, 0], "cost": [9, 2, 3], "raisable": [True, False, True]},
        18, [0, 0, 6], "A",
    ),
    "what is reserved is not there": (
        {"load": [10, 0, 0], "existing": [0, 8, 8], "reserved": [0, 5, 2], "cost": [1, 1, 2]}, 1, [0, 1, 0], "A",
    ),
    "more is promised than there is": (
        {"load": [10, 0, 0], "existing": [0, 20, 20], "reserved": [3, 0, 0]}, 3, [3, 0, 0], None,
    ),
    "two that fail together": (
        {"load": [10, 10, 5], "existing": [0, 0, 0], "together": [("A", "B")]}, 25, None, ("A", "B"),
    ),
    "exactly these failures": (
        {"load": [10, 10, 5], "existing": [0, 0, 0], "failures": ["C", ("A", "C")]}, 15, [0, 15, 0], ("A", "C"),
    ),
    "nothing to move": ({"load": [0, 0, 0], "existing": [0, 0, 0], "raisable": 0}, 0, [0, 0, 0], None),
    "a source without load needs no target": (
        {"load": [0, 10, 10], "existing": [0, 10, 10], "raisable": 0, "eligible": {"A": []}}, 0, [0, 0, 0], None,
    ),
    "no quota at all": ({"load": [5, 5, 5], "existing": [np.inf, 0, 0], "cost": [1, 1, 1]}, 5, None, "A"),
    "the surge that moves is larger": ({"load": [50, 50], "existing": [60, 60], "multiplier": 2.0}, 80, [40, 40], "0"),
    "a third is enough of a third": (
        {"load": [9, 9, 9, 9], "existing": [3, 3, 3, 3], "share_cap": 1 / 3, "raisable": 0}, 0, [0, 0, 0, 0], None,
    ),
}  # fmt: skip


def call(arguments):
    names = ABC if len(arguments["load"]) == 3 else None
    return allocate(**{"regions": names, **arguments})


@pytest.mark.parametrize("name", NAMED)
def test_named_problems(name):
    arguments, cost, headroom, failure = NAMED[name]
    best = call(arguments)
    assert best.status == "optimal"
    assert best.cost == pytest.approx(cost, rel=1e-12)
    if headroom is not None:
        np.testing.assert_allclose(best.headroom, headroom, rtol=1e-12, atol=1e-12)
    if failure is None:
        assert best.binding_failure is None
    elif len(set(arguments["load"])) > 1:  # else the failures tie
        assert best.binding_failure == failure
    best.require_met()


def test_prices_are_what_one_more_unit_saves():
    given = {"load": [100, 40, 30], "existing": [5, 10, 3], "cost": [4, 1, 2], "raisable": [np.inf, 40, np.inf]}
    best = call(given)
    for r in range(3):
        more = np.array(given["existing"], dtype=float)
        more[r] += 1e-3
        saved = best.cost - call({**given, "existing": more}).cost
        assert saved == pytest.approx(1e-3 * best.prices[r], rel=1e-6, abs=1e-12)
        higher = np.array(given["raisable"], dtype=float)
        higher[r] += 1e-3
        saved = best.cost - call({**given, "raisable": higher}).cost
        assert saved == pytest.approx(1e-3 * best.raise_prices[r], rel=1e-6, abs=1e-12)
    weights = sum(b.weight * b.need for b in best.binding) - 40 * best.raise_prices[1]
    assert weights == pytest.approx(best.cost, rel=1e-12)
    assert best.certificate.bound == pytest.approx(best.cost, rel=1e-9)


def test_what_exists_may_be_all_but_enough():
    """The cost is then a small difference of large numbers."""
    load, existing = np.array([73, 36, 64, 65]) / 3, np.array([2, 7 + 1.83333333, 11, 10.5])
    best = allocate(load, existing, [8, 6, 5, 4], share_cap=0.5)
    assert 0 <= best.cost < 1e-6
    rng = np.random.default_rng(12)
    for _ in range(300):
        load, cost = rng.uniform(0, 100, 6), rng.uniform(1, 5, 6)
        first = allocate(load, 1.0, cost, share_cap=0.5)
        for less in (1e-9, 1e-7, 1e-5):
            again = allocate(load, 1.0 + first.headroom * (1 - less), cost, share_cap=0.5)
            assert again.cost == pytest.approx(less * first.cost, rel=1e-3, abs=1e-10)


def test_the_certificate_holds_by_what_is_public():
    rng = np.random.default_rng(4)
    for _ in range(100):
        load, existing, cost = rng.uniform(0, 50, 5), rng.uniform(0, 20, 5), rng.uniform(1, 5, 5)
        raisable, share = rng.uniform(0, 60, 5), 0.6
        best = allocate(load, existing, cost, raisable=raisable, share_cap=share, failures="N-2")
        worth, bound = np.zeros(5), 0.0
        for b in best.binding:
            sources, full, failed = ([int(r) for r in names] for names in (b.sources, b.full, b.failure))
            others = [r for r in range(5) if r not in failed and r not in full]
            need = load[sources].sum() - existing[full].sum() - len(others) * share * load[sources].sum()
            short = best.shortfall[best.failures.find(b.failure)] if best.status == "infeasible" else 0.0
            assert b.need == pytest.approx(need - short, abs=1e-9)
            assert b.weight >= 0
            worth[full] += b.weight
            bound += b.weight * b.need
        # More than all that can arrive is never raised.
        arriving = np.array([np.sort(np.delete(share * load, r))[-2:].sum() for r in range(5)])
        upper = np.minimum(raisable, np.maximum(0, arriving - existing))
        bound -= (upper * np.maximum(0, worth - cost)).sum()
        assert bound == pytest.approx(best.headroom_cost, rel=1e-9, abs=1e-9)


def test_infeasible_is_an_answer():
    best = allocate([100, 50, 20], [10, 10, 10], raisable=[5, 5, 5], regions=ABC)
    assert best.status == "infeasible"
    assert best.cost == np.inf
    assert best.shortfall.tolist() == [70, 20, 0]
    assert best.binding_failure == "A"
    assert best.reason == ("When A fails, 70 of the 100 that leave A stay unplaced: B and C can be raised no further.")
    proof = best.certificate
    assert (proof.failed, proof.sources, proof.full, proof.load, proof.most) == (("A",), ("A",), ("B", "C"), 100, 30)
    with pytest.raises(InvalidInput) as refused:
        best.require_met()
    assert str(refused.value) == f"allocate: every failure must be survivable (got {best.reason})"
    # What can be done is done: no failure leaves more than it must, and nothing is raised for nothing.
    assert best.headroom.tolist() == [5, 5, 5]
    assert best.headroom_cost == 15
    assert best.transfers["A"].tolist() == [[0, 15, 15], [0, 0, 0], [0, 0, 0]]
    assert best.transfers.unplaced("A") == 70


def test_infeasible_by_who_may_take_it():
    best = allocate([100, 50, 20], [10, 10, 10], eligible={"A": ["B"]}, share_cap=0.5, regions=ABC)
    assert best.reason == (
        "When A fails, 50 of the 100 that leave A stay unplaced: B and C may take no more (eligibility, share cap)."
    )
    assert best.shortfall.tolist() == [50, 0, 0]


def test_more_promised_than_can_be_raised():
    best = allocate([1, 1, 1], [10, 10, 10], reserved=[25, 0, 0], raisable=[5, 0, 0], regions=ABC)
    assert best.status == "infeasible"
    assert best.over_promised.tolist() == [10, 0, 0]
    assert best.reason == "A has promised or uses 10 more than it can have."
    assert not best.shortfall.any()
    assert best.prices[0] == 0
    assert "Checked: what is promised or used exceeds all that can be raised." in best.table(120)


def test_peaks_that_do_not_coincide_are_not_paid_for_twice():
    day = np.arange(288) / 288 * 2 * np.pi
    load = np.stack([60 + 40 * np.cos(day), 60 + 40 * np.cos(day + np.pi)], axis=1)[:, np.newaxis]
    best = allocate(load, 120 - load, regions=("east", "west"))
    # Together they always use 120 of 240: each has room for the other at every moment.
    assert best.cost == pytest.approx(0, abs=1e-9)
    assert best.peaks_costs[0] == pytest.approx(2 * 80)
    assert best.pooling_saving == pytest.approx(160)
    assert best.moments.tolist() == [288]


def test_a_moment_that_is_not_observed_asks_for_nothing():
    load = np.array([[10.0, 10.0], [np.nan, 90.0], [12.0, 5.0]])[:, np.newaxis]
    best = allocate(load, 0.0)
    assert best.moments.tolist() == [2]
    assert best.headroom.tolist() == [[10, 12]]
    assert best.binding_failure in ("0", "1")
    assert {b.moment for b in best.binding} == {0, 2}


def test_transfers_of_a_history_are_of_the_tightest_moment():
    load = np.array([[10.0, 0.0, 0.0], [40.0, 0.0, 0.0], [20.0, 0.0, 0.0]])[:, np.newaxis]
    best = allocate(load, [[0.0, 100.0, 100.0]])
    assert best.transfers["0"].sum() == 40


def test_cvar_needs_less_than_everything():
    load = np.array([[100.0, 0.0], *[[10.0, 0.0]] * 39])[:, np.newaxis]
    everything = allocate(load, 0.0)
    assert everything.headroom[0, 1] == 100
    # 80 failures and moments; the worst 5% are 4 of them, of which one alone can be short.
    some = allocate(load, 0.0, unplaced=0.1, alpha=0.95)
    assert some.headroom[0, 1] == pytest.approx(60)
    assert some.cvar[0] == pytest.approx(0.1)


def test_cvar_above_its_bound_is_infeasible():
    best = allocate([100.0, 0.0], 0.0, raisable=[0, 40], unplaced=0.1, alpha=0.0)
    assert (best.status, best.cost) == ("infeasible", np.inf)
    assert best.cvar[0] == pytest.approx(0.3)  # .6 of one of two failures
    assert best.reason == (
        "With all that may be raised 30% of the load is unplaced in the worst 100% of cases, more than 10%. At worst: "
        "When 0 fails, 60 of the 100 that leave 0 stay unplaced: 1 can be raised no further."
    )
    assert best.headroom.tolist() == [0, 40]
    assert np.isnan(best.pooling_saving)


def test_tiers():
    best = allocate([50, 50], 0, critical=0.65)
    np.testing.assert_allclose(best.headroom, [15, 15], rtol=1e-12)
    curve = surgetank.tier_curve([50, 50], critical=(0.5, 0.65, 1.0))
    np.testing.assert_allclose(curve.relative_cost, [1, 1.3, 2], rtol=1e-12)
    assert [row["status"] for row in curve.to_records()] == ["optimal"] * 3
    several = allocate([[50, 50], [50, 50]], 0, critical=[1.0, 0.5])
    np.testing.assert_allclose(several.headroom, [[50, 50], [0, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("need", "zones", "even", "total", "per_zone"),
    [
        (3, 3, False, 5, (2, 2, 1)),
        (3, 3, True, 6, (2, 2, 2)),
        (4, 3, False, 6, (2, 2, 2)),
        (1, 3, False, 2, (1, 1, 0)),
        (3, 2, False, 6, (3, 3)),
        (7.2, 3, False, 12, (4, 4, 4)),
        (0, 3, False, 0, (0, 0, 0)),
        (2**53 - 1, 3, False, 13510798882111487, (4503599627370496, 4503599627370496, 4503599627370495)),
    ],
)
def test_zones(need, zones, even, total, per_zone):
    found = surgetank.zone_capacity(need, zones, even=even)
    assert (found.total, found.per_zone) == (total, per_zone)
    assert found.total - max(found.per_zone) >= found.need
    smaller = found.total - (zones if even else 1)
    assert smaller < 0 or smaller - -(-smaller // zones) < found.need or need == 0
    assert str(found.need) in found.rule


def test_many_services_are_each_their_own():
    rng = np.random.default_rng(3)
    load, existing, cost = rng.uniform(0, 9, (40, 4)), rng.uniform(0, 4, (40, 4)), rng.uniform(1, 2, (40, 4))
    names = [f"service {s}" for s in range(40)]
    best = allocate(load, existing, cost, services=names, share_cap=0.5, raisable=rng.uniform(0, 6, (40, 4)))
    assert set(best.statuses) == {"optimal", "infeasible"}
    for s, one in enumerate(best):
        assert one.services == (names[s],)
        assert one.cost == best.costs[s]
        assert one.headroom.tolist() == best.headroom[s].tolist()
        assert best[names[s]].binding == one.binding
        assert one.reason == best.reasons[s]
        assert np.array_equal(one.transfers[2], best.transfers[2][s])
        assert np.array_equal(one.shortfall, best.shortfall[s])
    for threads in (2, 0):
        raisable = best.given.raisable.reshape(40, 4)
        again = allocate(load, existing, cost, services=names, share_cap=0.5, raisable=raisable, threads=threads)
        assert again.headroom.tobytes() == best.headroom.tobytes()
        assert again.prices.tobytes() == best.prices.tobytes()
        assert again.binding == best.binding
    back = pickle.loads(pickle.dumps(best))
    assert back.to_dict() == best.to_dict()
    assert not back.headroom.flags.writeable
    json.dumps(best.to_dict(), allow_nan=False)


def test_transfers_are_a_table_and_an_array():
    best = allocate([10, 4, 2], [5, 5, 5], regions=ABC, failures="N-2")
    assert np.asarray(best.transfers).shape == (3, 3, 3)
    assert best.transfers[("C", "A")].tolist() == best.transfers[1].tolist()
    assert sum(row["amount"] for row in best.transfers.to_records()) == pytest.approx(2 * (10 + 4 + 2))
    with pytest.raises(InvalidInput, match="failure: must be one of the failures that were asked for"):
        best.transfers["A"]
    with pytest.raises(InvalidInput, match=r"failure: must name Regions that are there.*'D'"):
        best.transfers["D"]


amounts = st.lists(st.integers(0, 50), min_size=5, max_size=5)


@settings(max_examples=150, deadline=None)
@given(amounts, amounts, st.lists(st.integers(1, 9), min_size=5, max_size=5), st.sampled_from([1.0, 0.6, 0.4, 0.26]),
       st.sampled_from(["N-1", "N-2"]), st.lists(st.integers(0, 60), min_size=5, max_size=5),
       st.permutations(range(5)))  # fmt: skip
def test_what_must_hold(load, existing, cost, cap, failures, raisable, order):
    load, existing, cost = (np.array(v, dtype=float) for v in (load, existing, cost))
    raisable = np.where(np.array(raisable) > 40, np.inf, np.array(raisable, dtype=float))

    def cost_of(**changes):
        options = {"share_cap": cap, "failures": failures, "raisable": raisable, "existing": existing} | changes
        return allocate(load, cost=cost, **options)

    best = cost_of()
    slack = 1e-9 * (1 + load.sum() * cost.max())
    assert cost_of(existing=existing + 1).cost <= best.cost + slack  # more headroom never costs more
    assert cost_of(share_cap=cap * 0.9).cost >= best.cost - slack  # tighter caps never less
    assert cost_of(raisable=raisable * 0.9).cost >= best.cost - slack
    # Permuted Regions permute the answer: the cost, and where it is the only one, the headroom.
    order = list(order)
    moved = allocate(load[order], existing[order], cost[order], share_cap=cap, failures=failures,
                     raisable=raisable[order])  # fmt: skip
    assert moved.status == best.status
    assert moved.cost == best.cost or moved.cost == pytest.approx(best.cost, rel=1e-9)
    assert sorted(moved.shortfall.tolist()) == pytest.approx(sorted(best.shortfall.tolist()))
    # Served and unplaced are what is displaced.
    for i, failed in enumerate(best.failures.members):
        displaced = load[list(failed)].sum()
        assert best.transfers[i].sum() + best.transfers.unplaced(i) == pytest.approx(displaced)
        assert best.transfers.unplaced(i) == pytest.approx(best.shortfall[i], abs=slack)


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 1000))
def test_permuted_regions_permute_the_headroom_where_nothing_ties(order, seed):
    rng = np.random.default_rng(seed)
    load, existing, cost = rng.uniform(1, 50, 6), rng.uniform(0, 20, 6), rng.uniform(1, 5, 6)
    best = allocate(load, existing, cost, failures="N-2")
    order = list(order)
    moved = allocate(load[order], existing[order], cost[order], failures="N-2")
    np.testing.assert_allclose(moved.headroom, best.headroom[order], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["equal", "zero cost", "one in a thousand", "tight caps"])
def test_degenerate_instances_end(kind):
    rng = np.random.default_rng(8)
    for regions, k in itertools.product((5, 17, 40), (1, 2)):
        load, cost, cap = np.full(regions, 10.0), np.ones(regions), 1.0
        if kind == "zero cost":
            cost = np.zeros(regions)
        if kind == "one in a thousand":
            load = rng.choice([1.0, 1e3, 1e6], regions)
        if kind == "tight caps":
            cap = 1.000001 / (regions - k)
        best = allocate(load, 0, cost, share_cap=cap, failures=f"N-{k}")
        assert best.status == "optimal"
        if regions < 20:
            share, sets = np.full((regions, regions), cap), failure_sets(regions, k)
            expected = least_cost(load, np.zeros(regions), cost, sets, share=share)
            assert best.cost == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert (best.headroom <= k * load.max() * (1 + 1e-12)).all()  # nothing is raised for nothing


def test_a_history_brings_everything():
    world = sample_world()
    best = allocate(world)
    assert best.services[0] == "ec2/L-1216C47A"
    assert best.left_out == ("eu-west-1/elasticloadbalancing/L-53DA6B97",)
    assert set(best.regions) == set(world.regions)
    rows = best.to_records()
    assert len(rows) == 11
    balancers = [row["region"] for row in rows if row["service"] == "elasticloadbalancing/L-53DA6B97"]
    assert balancers == ["us-east-1", "us-west-2"]
    last = allocate(world, at="last")
    assert (last.moments == 1).all()
    assert surgetank.plan(world).allocation.to_dict() == allocate(world, None, 1.0).to_dict()
    assert surgetank.plan(world, survive=None).allocation is None
