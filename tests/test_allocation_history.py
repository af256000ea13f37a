"""`allocate` and `evacuate` beside a History: which quotas count, which moments, and what may be said by pattern."""

from dataclasses import replace

import numpy as np
import pytest

import surgetank
from surgetank import History, InvalidInput, Quota, QuotaKey, Survive, allocate, evacuate

START = "2026-01-01T00:00Z"
EC2, RDS = ("ec2", "L-1"), ("rds", "L-2")


def world(columns, quotas, steps=24, step_s=300):
    """A History of {(Region, service): usage} with {(Region, service): value, or (value, adjustable)}."""

    def key(place):
        region, (service, code) = place
        return QuotaKey("1", region, service, code)

    usage = np.stack([np.broadcast_to(np.asarray(v, dtype=float), steps) for v in columns.values()], axis=1)
    known = {}
    for place, value in quotas.items():
        value, adjustable = value if isinstance(value, tuple) else (value, True)
        known[key(place)] = Quota(key=key(place), value=float(value), adjustable=adjustable)
    return History(
        keys=tuple(map(key, columns)),
        start_s=int(np.datetime64(START[:-1], "s").astype(int)),
        step_s=float(step_s),
        usage=np.asfortranarray(usage),
        quotas=known,
    )


@pytest.fixture
def two():
    places = {("east", EC2): 60, ("west", EC2): 30}
    return world(places, dict.fromkeys(places, 80))


def test_the_history_is_load_and_room(two):
    best = allocate(two)
    assert best.regions == ("east", "west")
    assert best.headroom.tolist() == [[10, 10]]
    assert [row["new_quota"] for row in best.to_records()] == [90, 90]
    assert best["ec2/L-1"].binding[0].time == np.datetime64(START[:-1], "s")


def test_what_is_used_nowhere_else_has_nowhere_to_go(two):
    lonely = world({("east", EC2): 60, ("west", EC2): 30, ("east", RDS): 5},
                   {("east", EC2): 100, ("west", EC2): 100, ("east", RDS): 50})  # fmt: skip
    best = allocate(lonely)
    assert best.statuses == ("optimal", "infeasible")
    assert best["rds/L-2"].reason == (
        "When east fails at 2026-01-01T00:00:00Z, 5 of the 5 that leave east stay unplaced: usage or quota of west is "
        "not known."
    )
    assert best["rds/L-2"].shortfall.tolist() == [5, 0]
    assert evacuate(lonely, "east").shortfall == {"ec2/L-1": 4, "rds/L-2": 5}


def test_one_region_has_no_other(two):
    alone = world({("east", EC2): 60}, {("east", EC2): 100})
    with pytest.raises(InvalidInput, match="load: must hold a quota whose usage and value are known in two Regions"):
        allocate(alone)
    assert surgetank.plan(alone).allocation is None


def test_a_quota_that_cannot_be_raised_and_what_is_said_by_pattern(two):
    fixed = world({("east", EC2): 60, ("west", EC2): 30}, {("east", EC2): 80, ("west", EC2): (80, False)})
    assert allocate(fixed).status == "infeasible"
    assert allocate(two, raisable=5.0).status == "infeasible"
    assert allocate(two, raisable={"west/*/*": False}).status == "infeasible"
    assert allocate(two, reserved={"ec2": 10}).headroom.tolist() == [[20, 20]]
    assert allocate(two, reserved=[10, 0]).headroom.tolist() == [[20, 10]]
    assert allocate(two, cost={"east/ec2/*": 3.0, "west/ec2/*": 1.0}).cost == 40
    assert allocate(two, multiplier=2.0).cost == 70 + 40
    with pytest.raises(InvalidInput) as refused:
        allocate(two, cost={"s3": 1.0})
    assert str(refused.value) == "cost: must name a quota of the history (got 's3')"
    with pytest.raises(InvalidInput) as refused:
        allocate([1, 2], 0, cost={"s3": 1.0})
    assert str(refused.value) == "cost: may be a mapping of patterns only beside a History (got {'s3': 1.0})"
    with pytest.raises(InvalidInput) as refused:
        allocate(two, existing=3)
    assert str(refused.value) == "existing: regions and services are the History's own; leave them out (got 'History')"


def test_what_is_not_known_is_left_out_and_named(two):
    places = {("east", EC2): 60, ("west", EC2): 30, ("south", EC2): np.nan}
    unknown = world(places, {**dict.fromkeys(places, 80), ("north", EC2): 500})
    best = allocate(unknown)
    assert best.left_out == ("north/ec2/L-1", "south/ec2/L-1")
    assert best.headroom[0, [best.regions.index("east"), best.regions.index("west")]].tolist() == [10, 10]
    assert "Not counted, because usage or quota is not known: north/ec2/L-1, south/ec2/L-1." in best.table(200)


def test_stale_usage_says_nothing(two):
    usage = two.usage.copy()
    usage[10:, 1] = np.nan
    stale = replace(two, usage=usage)
    # An hour and twelve steps of five minutes are the same: 13 samples reach back just so far.
    assert evacuate(stale, "east").left_out == ("west/ec2/L-1",)
    assert evacuate(stale, "east").shortfall == {"ec2/L-1": 60}
    usage[11:, 1] = np.nan
    usage[10:12, 1] = 30
    assert evacuate(replace(two, usage=usage), "east").left_out == ()
    assert allocate(replace(two, usage=usage), at="last").headroom.tolist() == [[10, 10]]


def test_usage_beyond_the_quota_must_be_raised_whatever_fails(two):
    over = world({("east", EC2): 60, ("west", EC2): 30}, {("east", EC2): 50, ("west", EC2): 200})
    best = allocate(over)
    assert best.headroom.tolist() == [[40, 0]]
    assert best.reason == (
        "The loss of west at 2026-01-01T00:00:00Z decides: 30 more than exists must fit. Raise 40 in east; of that, "
        "10 in east because more is promised or used than there is."
    )


def test_a_moment_in_which_a_region_is_missing_does_not_count_and_is_said(two):
    usage = two.usage.copy()
    usage[5:8, 0] = np.nan
    best = allocate(replace(two, usage=usage))
    assert best.moments.tolist() == [21]
    assert "Of 24 moments 21 are observed in full, and each of those fits" in best.table(200)


def test_a_plan_survives_what_it_is_asked(two):
    made = surgetank.plan(two, scenarios="N-1", survive=Survive(critical=0.5))
    assert made.allocation.headroom.tolist() == [[0, 0]]
    assert surgetank.plan(two, survive=None).allocation is None
    assert surgetank.plan(two, costs={"ec2": 2.0}).allocation.cost == 40
    with pytest.raises(InvalidInput, match="failures: must leave at least one of 2 Regions"):
        surgetank.plan(two, survive="N-2")
    early = surgetank.plan(two, now="2026-01-01T00:10Z").allocation
    assert early.moments.tolist() == [3]


def test_global_quotas_do_not_fail_over(two):
    key = QuotaKey("1", "east", "iam", "L-9")
    iam = Quota(key=key, value=10.0, is_global=True)
    history = replace(
        two, keys=(*two.keys, key), usage=np.column_stack([two.usage, np.ones(24)]), quotas={**two.quotas, key: iam}
    )
    assert allocate(history).services == ("ec2/L-1",)


def test_what_was_never_observed_together_is_left_out_and_the_plan_lives(two):
    usage = two.usage.copy()
    usage[::2, 0] = usage[1::2, 1] = np.nan
    apart = replace(two, usage=usage)
    assert surgetank.plan(apart).allocation is None
    with pytest.raises(InvalidInput, match="load: must hold a quota whose usage and value are known in two Regions"):
        allocate(apart)
    beside = world({("east", EC2): usage[:, 0], ("west", EC2): usage[:, 1], ("east", RDS): 5, ("west", RDS): 5},
                   {(r, q): 100 for r in ("east", "west") for q in (EC2, RDS)})  # fmt: skip
    best = allocate(beside)
    assert best.services == ("rds/L-2",)
    assert best.left_out == ("east/ec2/L-1", "west/ec2/L-1")


def test_a_series_that_has_stopped_is_left_out(two):
    usage = two.usage.copy()
    usage[8:, 1] = np.nan
    assert surgetank.plan(replace(two, usage=usage)).allocation is None


def test_a_price_that_is_not_stated_is_the_dearest_of_its_service(two):
    assert allocate(two, cost={"east/ec2/*": 3.0}).cost == 60
    assert allocate(two, cost={"east/ec2/*": 0.0}).cost == 0
    assert allocate(two).cost == 20


def test_several_accounts_are_several_services(two):
    other = [key._replace(account="2") for key in two.keys]
    quotas = {**two.quotas, **{k: replace(two.quotas[key], key=k) for k, key in zip(other, two.keys, strict=True)}}
    usage = np.column_stack([two.usage, two.usage[:, 0], np.full(24, np.nan)])
    best = allocate(replace(two, keys=(*two.keys, *other), usage=usage, quotas=quotas))
    assert best.services == ("1/ec2/L-1", "2/ec2/L-1")
    assert best["2/ec2/L-1"].left_out == ("west/2/ec2/L-1",)
    assert best["1/ec2/L-1"].left_out == ()


def test_options_that_can_be_read_once_are_kept(two):
    asked = Survive(["east"], together=(pair for pair in [("east", "west")]))
    with pytest.raises(InvalidInput, match="failures: must leave at least one Region"):
        asked.check(two.regions)
    with pytest.raises(InvalidInput, match="failures: must leave at least one Region"):
        asked.of(two)


def test_usage_long_ago_is_not_usage_now(two):
    later = two.until("2026-01-01T05:00Z")
    assert evacuate(later, "east").unknown == ("ec2/L-1",)
    assert surgetank.plan(two, now="2026-01-01T05:00Z").allocation is None
    assert two.until("2026-01-01T00:00Z").usage.shape == (1, 2)
    assert two.until(None) is two
    soon = two.until("2026-01-01T02:15Z")
    assert allocate(soon, at="last").headroom.tolist() == [[10, 10]]


def test_a_failed_region_whose_usage_is_unknown_does_not_pass(two):
    usage = np.column_stack([two.usage, np.ones(24)])
    usage[5:, 0] = np.nan
    three = world({(r, EC2): usage[:, i] for i, r in enumerate("abc")}, {(r, EC2): 100 for r in "abc"})
    found = evacuate(three, ["a", "b"])
    assert found.unknown == ("ec2/L-1",)
    with pytest.raises(InvalidInput, match="evacuate: what a failed Region uses must be known"):
        found.require_met()
    assert "1 unknown" in found.table(100)


@pytest.mark.parametrize("true", [True, np.True_])
def test_true_is_without_bound_and_numbers_do_not_mix_with_it(two, true):
    assert allocate(two, raisable={"*": true}).status == "optimal"
    assert allocate([60, 50, 40], 10.0, raisable=[true, true, true]).status == "optimal"
    for load in (two, [60, 50]):
        with pytest.raises(InvalidInput, match="raisable: must be all numbers or all True and False"):
            allocate(load, None if load is two else 0, raisable=[true, 5.0])
    with pytest.raises(InvalidInput, match="raisable: must be"):
        allocate([60.0, 50.0], 0, raisable=np.ma.array([1e9] * 2, mask=True))
    with pytest.raises(InvalidInput, match="cost: of \\* must be a number, 0 or more"):
        allocate(two, cost={"*": [1, 2]})
