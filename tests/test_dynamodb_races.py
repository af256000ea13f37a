"""Coordinators at the same moment on one store in DynamoDB: never more than fits, nothing lost, nothing waited for.

`test_dynamodb_between` has the moments one by one; here they are what threads and processes make of them.
"""
# ruff: noqa: B023  (what is begun in a loop has ended before the loop goes on)

import itertools
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import surgetank
from racing import at_once
from reservation_stores import EAST, EU, NOW, WEST, fill
from surgetank import DynamoStore, History, InvalidInput, QuotaKey, Scenario

ROUNDS = 8


@pytest.fixture
def stores(dynamodb_fleet):
    """Four coordinators, each connected by itself; 60, 30 and 10 used of 100 in three Regions."""
    made = [DynamoStore("fleet", create=True)]
    fill(made[0])
    made += [DynamoStore("fleet") for _ in range(3)]
    yield made
    checked(made[0])
    for store in made:
        store.close()


def checked(store, now=NOW):
    """What must hold at any moment."""
    for room in store.rooms([EAST, WEST, EU], now=now).values():
        assert room.holds(0.0), room
    assert store.check().sound, store.check()


def test_where_one_fits_one_wins(stores):
    for n in range(ROUNDS):
        found = at_once(*(lambda s=s, i=i: s.reserve({EAST: 30}, coordination=f"c{n}-{i}", now=NOW)
                          for i, s in enumerate(stores[:2])))  # fmt: skip
        assert sorted(one.granted for one in found) == [False, True], found
        assert stores[2].reserved(at=NOW) == {EAST: 30.0}
        winner = next(one for one in found if one.granted)
        assert len(stores[3].release(winner.coordination, now=NOW)) == 1


def test_as_many_win_as_fit(stores):
    for n in range(3):
        found = at_once(*(lambda s=s, i=i: s.reserve({EAST: 13}, coordination=f"c{n}-{i}", now=NOW)
                          for i, s in enumerate(stores)))  # fmt: skip
        assert sum(one.granted for one in found) == 3, found
        assert stores[0].reserved(at=NOW) == {EAST: 39.0}
        for one in found:
            if one.granted:
                stores[0].release(one.coordination, now=NOW)


def test_one_claim_is_made_once_whoever_asks_for_it(stores):
    for n in range(ROUNDS):
        found = at_once(*(lambda s=s: s.reserve({EAST: 1, WEST: 1}, token=f"t{n}", now=NOW) for s in stores))
        assert sorted(one.repeated for one in found) == [False, True, True, True], found
        assert len({one.coordination for one in found}) == 1
    assert stores[0].reserved(at=NOW) == {EAST: ROUNDS, WEST: ROUNDS}


def test_two_of_one_name_and_different_tokens(stores):
    for n in range(3):
        found = at_once(*(lambda s=s, i=i: s.reserve({EAST: 1}, coordination=f"c{n}", token=f"t{n}-{i}", now=NOW)
                          for i, s in enumerate(stores)))  # fmt: skip
        refused = [one for one in found if isinstance(one, InvalidInput)]
        assert len(refused) == 3, found
        assert all("coordination: must be new" in str(one) for one in refused)
    assert stores[0].reserved(at=NOW) == {EAST: 3.0}


def test_claims_of_two_regions_in_opposite_order_all_end(stores):
    one, other = {EAST: 5, WEST: 5}, {WEST: 5, EAST: 5}
    for n in range(ROUNDS // 2):
        found = at_once(*(lambda s=s, i=i: s.reserve(one if i % 2 else other, coordination=f"c{n}-{i}", now=NOW)
                          for i, s in enumerate(stores)))  # fmt: skip
        assert all(claim.granted for claim in found), found
        less = {EU: 5, WEST: 1}
        found = at_once(*(lambda s=s, i=i: s.resize(f"c{n}-{i}", less, now=NOW) for i, s in enumerate(stores)))
        assert all(claim.granted for claim in found), found
        assert stores[0].reserved(at=NOW) == {WEST: 4.0, EU: 20.0}
        found = at_once(*(lambda s=s, i=i: s.release(f"c{n}-{i}", now=NOW) for i, s in enumerate(stores)))
        assert [len(gone) for gone in found] == [2] * 4, found


def test_what_is_released_meanwhile_is_claimed_once(stores):
    first, second, third, _ = stores
    for n in range(ROUNDS):
        assert first.reserve({EAST: 40}, coordination=f"held{n}", now=NOW).granted
        gone, *found = at_once(
            lambda: first.release(f"held{n}", now=NOW),
            lambda: second.reserve({EAST: 40}, coordination=f"a{n}", now=NOW),
            lambda: third.reserve({EAST: 40}, coordination=f"b{n}", now=NOW),
        )
        assert len(gone) == 1
        granted = [claim.coordination for claim in found if claim.granted]
        assert len(granted) <= 1
        assert first.reserved(at=NOW) == dict.fromkeys([EAST] * len(granted), 40.0)
        for name in granted:
            first.release(name, now=NOW)


def test_one_of_two_gives_it_back(stores):
    for n in range(ROUNDS // 2):
        stores[0].reserve({EAST: 40}, coordination=f"c{n}", now=NOW)
        found = at_once(*(lambda s=s: s.release(f"c{n}", now=NOW) for s in stores))
        assert sorted(map(len, found)) == [0, 0, 0, 1], found


def test_what_is_renewed_is_not_noted_as_expired(stores):
    first, second, *_ = stores
    for n in range(ROUNDS):
        first.reserve({EAST: 3}, coordination=f"c{n}", hold_s=100, now=NOW)
        kept, gone = at_once(
            lambda: first.renew(f"c{n}", hold_s=1000, now=NOW + 50), lambda: second.expire(now=NOW + 200)
        )
        assert len(kept) + len(gone) == 1, (kept, gone)
        status = [r.status for r in first.reservations(coordination=f"c{n}", ended=True, now=NOW).found]
        assert status == (["active"] if len(kept) else ["expired"])
        first.release(f"c{n}", now=NOW)


def test_a_region_is_given_up_once(stores):
    for n in range(4):
        prepare = partial(surgetank.prepare_failover, failed="us-east-1", act=True, now=NOW)
        found = at_once(*(partial(prepare, s, name=f"f{n}-{i}") for i, s in enumerate(stores[:2])))
        refused = [one for one in found if isinstance(one, InvalidInput)]
        assert len(refused) == 1, found
        assert "must not be given up twice" in str(refused[0])
        (moved,) = (one for one in found if one not in refused)
        assert moved.granted
        assert [state for state, _ in stores[2].failovers().values()].count("preparing") == 1
        held = stores[2].reserved(at=NOW)
        assert sum(held.values()) == pytest.approx(60)
        surgetank.cancel_failover(stores[2], moved.after.name, act=True, why="again", now=NOW)
        assert stores[2].reserved(at=NOW) == {}


def test_one_failover_is_prepared_once(stores):
    found = at_once(*(lambda s=s: surgetank.prepare_failover(s, "us-east-1", act=True, now=NOW) for s in stores))
    refused = [one for one in found if isinstance(one, InvalidInput)]
    assert len(refused) == 3, found
    assert all("preparing" in str(one) for one in refused), refused
    assert len(stores[0].failover_events()) == 1


def test_imports_of_the_same_usage_are_their_maximum(stores):
    rng, start = np.random.default_rng(3), NOW + 3600
    for _ in range(3):
        usages = [rng.integers(0, 90, (40, 3)).astype(float) for _ in stores]
        worlds = [History.from_array(u, start=start, step_s=300, regions=[k.region for k in (EAST, WEST, EU)])
                  for u in usages]  # fmt: skip
        found = at_once(*(lambda s=s, w=w: s.add_samples(w.samples()) for s, w in zip(stores, worlds, strict=True)))
        assert [report.rows for report in found] == [120] * 4, found
        read = stores[0].history()
        both = np.array(read.usage)[(start - read.start_s) // 300 :]
        assert np.array_equal(both, np.max(usages, axis=0))
        start += 40 * 300
    numbers = [one["made"] for one in stores[0].imports()]
    assert len(numbers) == 13


def test_every_plan_has_a_number_of_its_own(stores):
    body = {"made": "m", "as_of": "2026-01-01T00:00:00Z", "status": "OK", "coverage": 1.0, "quotas": []}
    found = [n for _ in range(3) for n in at_once(*(lambda s=s: s.save_plan(body) for s in stores))]
    assert sorted(found) == list(range(1, 13)), found
    assert [plan["number"] for plan in stores[0].plans()] == list(range(12, 0, -1))


def test_scenarios_are_of_one_of_those_who_save_them(stores):
    sets = [[Scenario(f"{i}-{n}", "r0", {"r1": 1.0}) for n in range(i + 1)] for i in range(4)]
    for _ in range(4):
        at_once(*(lambda s=s, one=one: s.save_scenarios(one) for s, one in zip(stores, sets, strict=True)))
        assert list(stores[0].scenarios()) in sets


def test_one_object_may_be_used_by_several_threads(stores):
    store = stores[0]
    for n in range(ROUNDS):
        found = at_once(*(lambda i=i: store.reserve({EAST: 30}, coordination=f"c{n}-{i}", now=NOW) for i in range(3)))
        assert sorted(one.granted for one in found) == [False, False, True], found
        (winner,) = (one.coordination for one in found if one.granted)
        assert store.reserved(at=NOW) == {EAST: 30.0}
        store.release(winner, now=NOW)


def test_a_check_while_others_work_finds_nothing_wrong(stores):
    first, *others = stores
    done = []

    def work(store, i):
        for n in itertools.count():
            store.reserve({EAST: 1, WEST: 1, EU: 1}, coordination=f"c{i}-{n}", now=NOW)
            store.resize(f"c{i}-{n}", {EAST: 2, EU: 1}, now=NOW)
            store.release(f"c{i}-{n}", now=NOW)
            if done:
                return

    def checks():
        try:
            return [first.check() for _ in range(15)]
        finally:
            done.append(True)

    found, *rest = at_once(checks, *(lambda s=s, i=i: work(s, i) for i, s in enumerate(others)))
    assert rest == [None] * 3
    assert all(one.sound for one in found), found


CREATE = """
import sys
from surgetank import DynamoStore
sys.stdin.readline()
with DynamoStore("new", create=True) as store:
    print(len(store.quotas()))
"""


def test_four_processes_make_the_tables_at_once(dynamodb):
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", CREATE]
    makers = [subprocess.Popen(command, **options) for _ in range(4)]
    said = [pipe.communicate("now\n", timeout=60) for pipe in makers]
    assert said == [("0\n", "")] * 4


def test_four_threads_make_the_tables_at_once(dynamodb):
    for n in range(3):
        made = at_once(*[lambda: DynamoStore(f"new{n}", create=True)] * 4)
        for store in made:
            assert store.quotas() == ()
            store.close()
        with DynamoStore(f"new{n}") as store:
            assert store.check().sound
            assert not store.reserve({QuotaKey(region="r"): 1.0}, now=NOW).granted
