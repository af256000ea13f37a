"""What is reserved is not free to a plan, an allocation, an evacuation or a recovery; and how results are shown."""

import json
import math
import pickle

import numpy as np
import pytest

import surgetank
from reservation_stores import DAY_S, EAST, EU, NOW, WEST, opened, store
from surgetank import History, Scenario
from surgetank.recovery.capacity import Capacity, coupling

__all__ = ["opened", "store"]  # fixtures


@pytest.fixture
def reserved(store):
    store.reserve({WEST: 50}, coordination="theirs", now=NOW)
    store.reserve({EU: 20}, coordination="ours", now=NOW)
    return store


def test_a_history_carries_what_others_hold_at_its_end(reserved):
    assert reserved.history(until=NOW).reserved == {WEST: 50.0, EU: 20.0}
    assert reserved.history(until=NOW, coordination="ours").reserved == {WEST: 50.0}
    assert reserved.history(until=NOW, coordination="nobody").reserved == {WEST: 50.0, EU: 20.0}
    reserved.release("theirs", now=NOW + 60)
    moments = {NOW - 1: {}, NOW: {WEST: 50.0, EU: 20.0}, NOW + 59: {WEST: 50.0, EU: 20.0}, NOW + 60: {EU: 20.0},
               NOW + DAY_S: {}}  # fmt: skip
    assert {at: reserved.history(until=at).reserved for at in moments} == moments
    assert reserved.history().reserved == {}  # by today's clock all of it has expired


def worlds(store, **how):
    """The same history with and without what is reserved."""
    held = store.history(until=NOW, **how)
    free = History.from_samples(store.samples(), quotas=store.quotas(), until=NOW)
    return held, free


def test_a_plan_counts_it_as_not_available(reserved):
    held, free = (surgetank.plan(h) for h in worlds(reserved))
    assert held.headroom.reserved.tolist() == [{EAST: 0.0, WEST: 50.0, EU: 20.0}[key] for key in held.keys]
    np.testing.assert_array_equal(held.headroom.available, held.headroom.quota - held.headroom.reserved
                                  - held.headroom.usage)  # fmt: skip
    np.testing.assert_array_equal(held.headroom.quota, free.headroom.quota)
    np.testing.assert_array_equal(free.headroom.available - held.headroom.available, held.headroom.reserved)
    assert "Reserved" in held.table(200)
    assert "Reserved" not in free.table(200)


def test_headroom_of_a_forced_reservation_is_below_nothing(store):
    store.reserve({EAST: 150}, force=True, why="drill", now=NOW)
    held, _ = worlds(store)
    sized = surgetank.size_headroom(held)
    n = held.keys.index(EAST)
    assert (sized.quota[n], sized.reserved[n], sized.usage[n], sized.available[n]) == (100.0, 150.0, 60.0, -110.0)
    assert sized.shortfall[n] >= 110.0


def test_an_evacuation_leaves_it_alone(reserved):
    held, free = worlds(reserved)
    rule = surgetank.Proportional(preferences={}, room_cap=1.0)
    (name,) = surgetank.evacuate(free, "us-east-1", rule=rule).shared
    before, after = (surgetank.evacuate(h, "us-east-1", rule=rule).shared[name] for h in (free, held))
    assert dict(zip(before.regions, before.quota - before.usage - before.reserved, strict=True)) == {
        "us-west-2": 70.0, "eu-west-1": 90.0,
    }  # fmt: skip
    assert dict(zip(after.regions, after.quota - after.usage - after.reserved, strict=True)) == {
        "us-west-2": 20.0, "eu-west-1": 70.0,
    }  # fmt: skip
    assert after.shortfall == 0.0
    assert sum(after.amounts) == 60.0
    assert (after.amounts <= after.quota - after.usage - after.reserved).all()
    own, _ = worlds(reserved, coordination="theirs")
    assert surgetank.evacuate(own, "us-east-1", rule=rule).shared[name].reserved.sum() == 20.0


def test_an_allocation_leaves_it_alone(reserved):
    """All 60 of us-east-1 must fit elsewhere: 70 and 90 are free, less 50 and 20."""
    held, free = (surgetank.allocate(h) for h in worlds(reserved))
    assert (free.status, held.status) == ("optimal", "optimal")
    reserved.reserve({EU: 69}, now=NOW)  # 20 and 1 are left
    tight, _ = worlds(reserved)
    assert surgetank.allocate(tight).cost >= held.cost >= free.cost
    assert surgetank.allocate(tight).cost > free.cost


def test_a_recovery_lacks_it(reserved):
    """us-west-2 uses 30 and takes 60 more: that fits in 100, and not in the 50 that nobody else holds."""
    scenario = Scenario("lone", "us-east-1", {"us-west-2": 1.0}, duration_s=600, multiplier=1.0)
    held, free = (coupling(Capacity(surgetank.plan(h, scenarios=[scenario])), ["*"]) for h in worlds(reserved))
    n = held.covered.index(WEST)
    assert (free.quota[n], held.quota[n], held.reserved[n]) == (100.0, 50.0, 50.0)
    assert (held.fits_frac, free.fits_frac) == (0.0, 1.0)


# Results.


def results(store):
    refused = store.reserve({EAST: 41, WEST: 1}, coordination="no", now=NOW)
    unknown = store.reserve({surgetank.QuotaKey(region="x"): 1}, coordination="unknown", now=NOW)
    forced = store.reserve({EAST: 41}, coordination="forced", force=True, why="drill", now=NOW)
    granted = store.reserve({WEST: 1, EU: 2}, coordination="yes", now=NOW)
    return {"refused": refused, "unknown": unknown, "forced": forced, "granted": granted,
            "resized": store.resize("yes", {EU: 1}, now=NOW), "renewed": store.renew("yes", now=NOW),
            "all": store.reservations(now=NOW, ended=True), "released": store.release("yes", now=NOW),
            "expired": store.expire(now=NOW + DAY_S),
            "none": store.reservations(now=NOW, coordination="nobody")}  # fmt: skip


def test_results_survive_pickling(store):
    for name, one in results(store).items():
        again = pickle.loads(pickle.dumps(one))
        assert again.__dict__.keys() == one.__dict__.keys(), name
        assert (again.table(120), again.to_records()) == (one.table(120), one.to_records()), name
    room = store.rooms([EAST], now=NOW)[EAST]
    assert pickle.loads(pickle.dumps(room)) == room
    lines = store.audit()
    assert pickle.loads(pickle.dumps(lines)) == lines


def test_results_are_ready_for_json(store):
    found = results(store)
    for name, one in found.items():
        text = json.dumps([one.to_records(), one.to_dict() if hasattr(one, "to_dict") else None], allow_nan=False)
        assert json.loads(text)[0] == one.to_records(), name
    lines = json.loads(json.dumps([line.to_dict() for line in store.audit()], allow_nan=False))
    assert lines[0]["changes"][0]["key"] == list(EAST)
    assert found["granted"].to_dict()["reservations"][0] == {
        "coordination": "yes", "account": "-", "region": "us-west-2", "service_code": "-", "quota_code": "-",
        "context_id": "", "amount": 1.0, "status": "active", "created": "2026-01-01T00:15:00Z",
        "expires": "2026-01-02T00:15:00Z", "purge": "2026-01-08T00:15:00Z", "ended": None, "forced": False,
    }  # fmt: skip
    assert found["refused"].to_dict() | {"short": None} == {
        "coordination": "no", "granted": False, "forced": False, "repeated": False, "stands": False, "done": False,
        "short": None, "reservations": [],
    }  # fmt: skip
    assert found["unknown"].to_dict()["short"][0]["free"] is None


def test_tables(store):
    found = results(store)
    assert found["refused"].table(100).splitlines() == [
        "no: refused, nothing was changed",
        "Region      Service/quota   Asked   Free",
        "────────────────────────────────────────",
        "us-east-1   -                  41     40",
        "",
        "Does not fit: us-east-1 -: 41 asked, 40 of 100 are free (60 used).",
    ]
    assert "Reservations at 2026-01-01T00:15:00Z: 2 active, 1 released" in found["all"].table(100)
    assert "none" in found["none"].table(100)
    assert len(found["all"]) == 3
    assert len(found["all"].to_records()) == 3
    assert "<table>" in found["granted"]._repr_html_()
    assert math.isfinite(sum(row["amount"] for row in found["granted"].to_records()))
