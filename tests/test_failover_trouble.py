"""Failovers in trouble: several at once, emergencies on the way, quotas that come and go."""

from dataclasses import replace

import pytest

import surgetank
from clear import clear_error
from failover_stores import (
    EAST,
    NOW,
    REGIONS,
    WEST,
    everything,
    filled,
    held,
    used_later,
)
from surgetank import (
    History,
    InvalidInput,
    Proportional,
    QuotaKey,
    Store,
    activate_failover,
    prepare_failover,
    recover_failover,
    replan_failover,
)


@pytest.fixture
def store(tmp_path):
    """60 of 100 in the Region that fails; 30 and 50 in the others."""
    with filled(tmp_path / "fleet.db", (60.0, 30.0, 50.0)) as made:
        yield made


def test_an_emergency_is_not_held_to_the_share_of_one_region(tmp_path):
    with filled(tmp_path / "fleet.db", (60.0, 10.0, 10.0)) as store:
        rule = Proportional(share_cap=0.3)
        usual = prepare_failover(store, "us-east-1", rule=rule, now=NOW)
        assert usual.unplaced == {"ec2/L-1": pytest.approx(60 - 2 * 18)}
        move = activate_failover(store, "us-east-1", emergency=True, rule=rule, act=True, why="fire", now=NOW)
        assert (move.unplaced, sum(held(store).values())) == ({}, pytest.approx(60))


def test_an_active_failover_may_take_more_in_an_emergency(tmp_path):
    with filled(tmp_path / "fleet.db", (90.0, 60.0, 50.0)) as store:
        prepare_failover(store, "us-east-1", act=True, now=NOW)
        activate_failover(store, "us-east-1", act=True, now=NOW)
        assert sum(held(store).values()) == pytest.approx(72)
        with clear_error(InvalidInput, "failover", "is active: activate it as an emergency"):
            activate_failover(store, "us-east-1", act=True, now=NOW)
        move = activate_failover(store, "us-east-1", emergency=True, act=True, why="more", now=NOW)
        assert (move.before.state, move.after.state, move.unplaced) == ("active", "active", {})
        assert sum(held(store).values()) == pytest.approx(90)
        with clear_error(InvalidInput, "failed: must be what us-east-1 gives up, us-east-1", "us-west-2"):
            activate_failover(store, "us-east-1", emergency=True, failed="us-west-2", why="x", now=NOW)


def test_nothing_lands_where_load_goes_back_to(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    used_later(store, (0.0, 65.0, 75.0), "2026-01-01T02:10Z")
    recover_failover(store, "us-east-1", act=True, now="2026-01-01T02:10Z")
    move = prepare_failover(store, "eu-west-1", now="2026-01-01T02:11Z")
    assert {row.key.region for row in move.rows} == {"us-west-2"}


def test_a_region_is_given_up_once(store):
    prepare_failover(store, "us-east-1", name="a", act=True, now=NOW)
    with clear_error(InvalidInput, "failed: must not be given up twice; a does it", "us-east-1"):
        prepare_failover(store, ["us-west-2", "us-east-1"], name="b", act=True, now=NOW)
    with clear_error(InvalidInput, "failed: must not be given up twice; a does it", "us-east-1"):
        activate_failover(store, "us-east-1", emergency=True, act=True, why="fire", now=NOW)


def test_a_load_keeps_its_name_whoever_comes_later(tmp_path):
    """Were it named by how many accounts there are, it would be lost with the second one, and its room given back."""
    with Store(tmp_path / "fleet.db", create=True) as store:
        world = History.from_array(
            [[60.0, 30.0, 50.0]] * 3, start="2026-01-01T00:00Z", step_s=300, regions=REGIONS, account="1",
            service_code="ec2", quota_code="L-1", quota=100.0,
        )  # fmt: skip
        store.import_quotas(world.quotas)
        store.add_samples(world.samples())
        prepare_failover(store, "us-east-1", act=True, now=NOW)
        before = held(store)
        store.import_quotas({QuotaKey("2", "us-west-2", "ec2", "L-1"): 5.0})
        activate_failover(store, "us-east-1", act=True, now=NOW)
        assert held(store) == before


def test_a_quota_that_is_gone_does_not_lose_its_load(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    before = everything(store)
    quotas = [replace(quota, is_global=True) for quota in store.quotas()]
    store.import_quotas(quotas)
    with clear_error(InvalidInput, "failed"):  # no Region is left that could fail
        activate_failover(store, "us-east-1", act=True, now=NOW)
    other = QuotaKey(region="us-east-1", service_code="rds", quota_code="L-2")
    store.import_quotas({other: 5.0})
    move = activate_failover(store, "us-east-1", act=True, now=NOW)
    assert (move.granted, move.exit_code) == (False, 3)
    assert "the store has no ec2/L-1 any more" in move.because
    assert everything(store) == before


def test_what_was_not_known_when_it_was_prepared_moves_as_soon_as_it_is(store):
    lambdas = {QuotaKey(region=r, service_code="lambda", quota_code="L-2"): 100.0 for r in REGIONS}
    store.import_quotas(lambdas)
    move = prepare_failover(store, "us-east-1", act=True, now=NOW)
    assert (move.exit_code, len(move.unknown)) == (3, 1)
    again = activate_failover(store, "us-east-1", act=True, now=NOW)
    assert (again.exit_code, again.unknown) == (3, move.unknown)
    later = History.from_array(
        [[10.0, 20.0, 30.0]], start="2026-01-01T00:10Z", step_s=300, regions=REGIONS, service_code="lambda",
        quota_code="L-2",
    )  # fmt: skip
    store.add_samples(later.samples())
    assert replan_failover(store, "us-east-1", act=True, now=NOW).ok
    assert sum(a for key, a in store.reserved(at=NOW).items() if key in lambdas) == pytest.approx(10)


def test_landed_names_what_lands(store):
    prepare_failover(store, "us-east-1", act=True, now=NOW)
    activate_failover(store, "us-east-1", act=True, now=NOW)
    with clear_error(InvalidInput, "landed: must name quotas on which load of us-east-1 lands", "us-east-1 ec2/L-1"):
        replan_failover(store, "us-east-1", landed={EAST: 5.0}, act=True, now=NOW)


def test_headroom_that_is_stated_is_stated_as_free(store):
    """What is reserved is no part of it."""
    store.reserve({WEST: 60.0}, now=NOW)
    history = store.history(until=NOW)
    free = surgetank.probability_enough(replace(history, reserved={}), 60.0, scenarios="N-1")
    assert (
        surgetank.probability_enough(history, 60.0, scenarios="N-1").probability.tolist() == free.probability.tolist()
    )
