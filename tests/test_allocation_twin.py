"""`allocate` against the whole linear program, and against every failure one by one."""

import numpy as np
import pytest

import surgetank
from oracles_allocation import failure_sets, least_cost, least_unplaced

WITHIN = 1e-9


def instance(rng, regions):
    """One service: sometimes in whole numbers (ties), sometimes without loads, rooms, costs, ways or leave to raise."""
    whole = rng.random() < 0.4
    load = rng.integers(0, 20, regions).astype(float) if whole else rng.uniform(0, 100, regions)
    existing = rng.integers(0, 10, regions).astype(float) if whole else rng.uniform(0, 60, regions) * rng.random()
    cost = rng.integers(0, 4, regions).astype(float) if whole else rng.uniform(0.1, 5, regions)
    if rng.random() < 0.2:
        load[:], cost[:] = load[0] + 1, 1.0  # everything ties
    load = load * (rng.random(regions) < 0.9)
    share = rng.choice([1.0, 1.0, 0.5, 0.4, 1 / 3, 0.25]) * (rng.random((regions, regions)) < rng.choice([1, 0.9, 0.6]))
    np.fill_diagonal(share, 0)
    some = rng.random(regions) < 0.3
    raisable = np.where(some, rng.integers(0, 30, regions), np.inf) if rng.random() < 0.7 else np.full(regions, np.inf)
    return load, existing, cost, share, raisable


def sets_of(rng, regions):
    if regions > 2 and rng.random() < 0.3:
        sizes = rng.integers(1, min(regions, 10), int(rng.integers(1, 6)))
        chosen = {tuple(sorted(rng.choice(regions, size, replace=False).tolist())) for size in sizes}
        return [tuple(map(str, s)) for s in sorted(chosen)], sorted(chosen)
    k = int(rng.integers(1, min(regions, 4)))
    k = min(k, 2) if regions > 8 else k
    return f"N-{k}", failure_sets(regions, k)


def solved(load, existing, cost, share, raisable, failures, **more):
    return surgetank.allocate(load, existing, cost, share_cap=share, raisable=raisable, failures=failures, **more)


def agree(found, expected):
    assert (found.status == "infeasible") == (expected is None)
    if expected is None:
        assert found.cost == np.inf
        return
    assert found.cost == pytest.approx(expected, rel=WITHIN, abs=1e-7)


def check_answer(found, load, existing, share, sets):
    """Headroom within bounds; transfers place what they say, within room and limits, in every failure."""
    headroom = np.asarray(found.headroom)
    room = existing + headroom
    scale = load.max() + 1
    for i, failed in enumerate(sets):
        flow, left = found.transfers[i], found.transfers.unplaced(i)
        sources = list(failed)
        alive = [r for r in range(len(load)) if r not in failed]
        assert (flow >= 0).all()
        assert not flow[alive].any()
        assert not flow[:, sources].any()
        assert flow.sum() + left == pytest.approx(load[sources].sum(), rel=1e-12, abs=1e-12)
        assert (flow.sum(axis=0) <= room + WITHIN * scale).all()
        assert (flow <= share * load[:, np.newaxis] + WITHIN * scale).all()
        short = found.shortfall[i]
        assert left == pytest.approx(short, rel=WITHIN, abs=WITHIN * scale)


@pytest.mark.parametrize("seed", range(20))
def test_small_instances_cost_what_the_linear_program_says(seed):
    rng = np.random.default_rng(seed)
    verdicts = set()
    for _ in range(150):
        regions = int(rng.integers(2, 9))
        load, existing, cost, share, raisable = instance(rng, regions)
        failures, sets = sets_of(rng, regions)
        found = solved(load, existing, cost, share, raisable, failures)
        agree(found, least_cost(load, existing, cost, sets, share=share, raisable=raisable))
        check_answer(found, load, existing, share, sets)
        verdicts.add(found.status)
        assert (np.asarray(found.headroom) <= raisable + 1e-9).all()
        assert found.headroom_cost == pytest.approx(float(cost @ found.headroom), rel=1e-12, abs=1e-12)
    assert verdicts == {"optimal", "infeasible"}


@pytest.mark.parametrize("seed", range(6))
def test_large_instances_cost_what_the_linear_program_says(seed):
    rng = np.random.default_rng(100 + seed)
    for regions, k in ((13, 2), (20, 1), (35, 1), (60, 1)):
        load, existing, cost, share, raisable = instance(rng, regions)
        found = solved(load, existing, cost, share, raisable, f"N-{k}")
        agree(found, least_cost(load, existing, cost, failure_sets(regions, k), share=share, raisable=raisable))


@pytest.mark.parametrize("seed", range(6))
def test_the_shortfall_is_the_least_there_can_be(seed):
    rng = np.random.default_rng(200 + seed)
    seen = 0
    for _ in range(60):
        regions = int(rng.integers(2, 9))
        load, existing, cost, share, raisable = instance(rng, regions)
        raisable = np.where(np.isinf(raisable), rng.integers(0, 5, regions), raisable)
        failures, sets = sets_of(rng, regions)
        found = solved(load, existing, cost, share, raisable, failures)
        most = np.array([least_unplaced(load, existing + raisable, failed, share) for failed in sets])
        np.testing.assert_allclose(found.shortfall, most, rtol=1e-9, atol=1e-9)
        assert (found.status == "infeasible") == bool((most > 1e-9 * load.sum()).any())
        if found.status == "infeasible":
            seen += 1
            check_answer(found, load, existing, share, sets)
            proof = found.certificate
            sources = [int(s) for s in proof.sources]
            takes = sum(
                min(share[sources, r] @ load[sources], existing[r] + raisable[r])
                for r in range(regions) if str(r) not in proof.failed
            )  # fmt: skip
            assert proof.load == pytest.approx(load[sources].sum())
            assert proof.most == pytest.approx(takes, abs=1e-9)
            assert proof.most < proof.load
    assert seen > 10


@pytest.mark.parametrize("seed", range(4))
def test_histories_and_what_shifts_the_load(seed):
    rng = np.random.default_rng(300 + seed)
    for _ in range(20):
        regions, moments = int(rng.integers(2, 6)), int(rng.integers(2, 7))
        _, existing, cost, share, raisable = instance(rng, regions)
        load = rng.uniform(0, 50, (moments, regions))
        reserved, critical, multiplier = rng.uniform(0, 20, regions), rng.random(), rng.uniform(0.5, 2, regions)
        k = int(rng.integers(1, min(regions, 3)))
        moving = existing + rng.uniform(0, 10, (moments, regions))
        free = moving if rng.random() < 0.5 else existing
        found = surgetank.allocate(
            load[:, np.newaxis], free[:, np.newaxis] if free.ndim == 2 else free, cost, share_cap=share,
            raisable=raisable, reserved=reserved, critical=critical, multiplier=multiplier, failures=f"N-{k}",
        )  # fmt: skip
        more = {"share": share, "raisable": raisable, "reserved": reserved, "multiplier": multiplier}
        sets = failure_sets(regions, k)
        agree(found, least_cost(load, free, cost, sets, critical=critical, **more))
        moved = critical * multiplier * load.max(axis=0)
        room = np.min(free - reserved + (1 - critical) * load, axis=0)
        peaks = least_cost(moved, room, cost, sets, share=share, raisable=raisable)
        assert found.peaks_costs[0] == (np.inf if peaks is None else pytest.approx(peaks, rel=WITHIN, abs=1e-7))


@pytest.mark.parametrize("seed", range(4))
def test_cvar_of_the_unplaced_share(seed):
    rng = np.random.default_rng(400 + seed)
    for _ in range(12):
        regions, moments = int(rng.integers(2, 6)), int(rng.integers(1, 8))
        _, existing, cost, share, raisable = instance(rng, regions)
        load = rng.uniform(0, 50, (moments, regions)) * (rng.random((moments, regions)) < 0.9)
        alpha, unplaced, k = (
            rng.choice([0, 0.5, 0.8, 0.95]),
            rng.uniform(0.01, 0.4),
            int(rng.integers(1, min(regions, 3))),
        )
        found = surgetank.allocate(
            load[:, np.newaxis], existing, cost, share_cap=share, raisable=raisable, failures=f"N-{k}",
            unplaced=unplaced, alpha=alpha,
        )  # fmt: skip
        expected = least_cost(load, existing, cost, failure_sets(regions, k), share=share, raisable=raisable,
                              unplaced=unplaced, alpha=alpha)  # fmt: skip
        agree(found, expected)
        if expected is not None:
            assert found.cvar[0] <= unplaced + 1e-9
