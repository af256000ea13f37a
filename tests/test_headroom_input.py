"""Headroom: what goes in, in which form, and what is refused in which words."""

import datetime as dt
import math

import numpy as np
import pytest

from surgetank import ClassicPolicy, History, InvalidInput, Quota, RollingSigma, Scenario, size_headroom
from test_headroom import DAY, FIGURES, TEXTS, same, sized


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_results_follow_the_shape_of_usage(shape):
    random = np.random.default_rng(0)
    usage, quota = random.lognormal(3, size=(50, *shape)), np.asarray(random.lognormal(4, size=shape))
    h = sized(usage, quota)
    for name in (*FIGURES, *TEXTS, "quota", "reason", "attribution", "spikes"):
        assert np.shape(getattr(h, name)) == shape, name
    for at in np.ndindex(*shape):
        same(sized(usage[(slice(None), *at)], quota[at]), h, at)


def test_scenarios_find_their_region_in_every_service():
    surge = Scenario("sale", "b", {"b": 1.0}, target_multiplier=3, probability=1)
    h = sized(np.full((4, 2, 3), 50.0), 1e4, regions=["a", "b", "c"], scenarios=surge)
    assert h.failover.tolist() == [[50, 100, 50]] * 2
    assert h.series == ("0,a", "0,b", "0,c", "1,a", "1,b", "1,c")


@pytest.mark.parametrize(
    "form",
    [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x.astype(">f8"), lambda x: x.tolist()],
    ids=["Fortran order", "every second", "big-endian", "lists"],
)
def test_every_form_gives_the_same_bits(form):
    usage = np.random.default_rng(0).lognormal(3, size=(80, 11))
    same(sized(form(usage)), sized(usage))


def test_a_history_brings_regions_quotas_and_instants():
    usage = np.tile([60.0, 20.0], (DAY, 1))
    history = History.from_array(
        usage, start="2024-05-01T00:00Z", step_s=300, regions=["us-east-1", "us-west-2"], quota=[100, 200]
    )
    plain = sized(usage, [100, 200])
    same(size_headroom(history, scenarios="shipped", policy=ClassicPolicy()), plain)
    fixed = history.with_quotas([Quota(key=k, value=100, adjustable=i == 0) for i, k in enumerate(history.keys)])
    assert size_headroom(fixed, now="2024-05-02T00:30+00:00").age_s.tolist() == [2100.0] * 2
    required = size_headroom(fixed, policy=ClassicPolicy()).required
    assert (required == sized(usage, 100, adjustable=[True, False]).required).all()
    with pytest.raises(
        InvalidInput, match=r"^now: has no time zone; end it with Z, or with an offset such as \+01:00 \(got '2024"
    ):
        size_headroom(history, now="2024-05-02")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"usage": [-1.0]}, "usage: must be finite and 0 or more, or NaN where not observed (got -1)"),
        ({"usage": [1.0, np.inf]}, "usage: must be finite and 0 or more, or NaN where not observed (got inf)"),
        ({"quota": None}, "quota: must be given beside an array of usage (got None)"),
        ({"quota": -1}, "quota: must be finite and 0 or more, or NaN where not known (got -1)"),
        ({"quota": [1, 2, 3]}, "quota: must have the shape of one instant of usage, () (got 'shape (3,)')"),
        ({"quota": "100"}, "quota: must hold numbers (got '100')"),
        ({"step_s": None}, "step_s: must be given beside an array of usage (got None)"),
        ({"step_s": 0}, "step_s: must be a finite duration of more than 0 seconds (got 0)"),
        ({"policy": dict}, "policy: must be QuantilePolicy(...) or ClassicPolicy(...) (got <class 'dict'>)"),
        ({"regions": "a"}, "regions: must be 1 different names, one for each column of usage (got 'a')"),
        ({"warning_frac": 0}, "warning_frac: must be above 0 (got 0)"),
        ({"warning_frac": 0.9}, "critical_frac: must be at least warning_frac 0.9 (got 0.85)"),
        ({"cost_per_unit": -1}, "cost_per_unit: must be finite and 0 or more (got -1)"),
        ({"stale_after_s": -1}, "stale_after_s: must be a finite duration of at least 0 seconds (got -1)"),
    ],
    ids=lambda p: str(p)[:50],
)
def test_refusals_name_argument_rule_and_value(change, message):
    arguments = {"usage": [60.0], "quota": 100, "step_s": 300} | change
    with pytest.raises(InvalidInput) as refused:
        size_headroom(arguments.pop("usage"), **arguments)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "change",
    [
        {"usage": [np.inf]},
        {"regions": 5},
        {"regions": [1]},
        {"regions": [["a"]]},
        {"scenarios": 5},
        {"adjustable": np.nan},
        {"adjustable": 2.5},
        {"adjustable": None},
        {"now": math.nan},
        {"now": dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)},
        {"step_s": 1e-310},
        {"step_s": np.timedelta64("NaT", "s")},
        {"quota": 10**400},
        {"policy": "classic"},
    ],
    ids=lambda p: str(p)[:50],
)
def test_odd_arguments_are_refused_by_name(change):
    """Whatever is odd about it: never another library's error, never a number."""
    arguments = {"usage": [60.0, 61.0][: len(change.get("usage", [60.0]))], "quota": 100, "step_s": 300} | change
    with pytest.raises(InvalidInput, match=rf"^{next(iter(change))}: .+ \(got .+\)$"):
        size_headroom(arguments.pop("usage"), **arguments)


@pytest.mark.parametrize(
    "change",
    [
        {"trend": "week"},
        {"trend": np.array([1, 2])},
        {"cost_cap": -1},
        {"cost_cap": math.nan},
        {"cost_cap": np.complex64(1)},
        {"cost_cap": 10**400},
        {"cost_cap": dt.timedelta(1)},
        {"history_s": 0},
        {"history_s": math.inf},
        {"history_s": 10**400},
        {"detector": RollingSigma},
    ],
    ids=lambda p: str(p)[:50],
)
def test_a_policy_that_cannot_work_is_refused_by_name(change):
    with pytest.raises(InvalidInput, match=rf"^{next(iter(change))}: .+ \(got .+\)$"):
        ClassicPolicy(**change)
