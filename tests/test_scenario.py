"""Scenarios: what is refused and in which words, what they say about themselves, and which of them apply."""

import copy
import datetime as dt
import pickle

import numpy as np
import pytest

from clear import clear_error
from surgetank import SHIPPED_SCENARIOS, InvalidInput, Scenario
from surgetank.scenario import resolve

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


def evacuate(**changes):
    return Scenario(
        **{"name": "evacuate", "source": "us-east-1", "targets": {"us-west-2": 0.6, "eu-west-1": 0.3}} | changes
    )


def test_defaults_are_the_models():
    s = evacuate()
    assert (s.multiplier, s.target_multiplier, s.probability, s.impact) == (1.0, 2.0, 0.1, "critical")
    assert (s.duration_s, s.ramp_s, s.kind, s.event) == (86400.0, 1800.0, "regional_failover", "evacuate")


def test_shipped_scenarios_are_the_models():
    dr, spike = SHIPPED_SCENARIOS
    assert (dr.name, dr.source, dict(dr.targets)) == ("regional_dr", "us-east-1", {"us-west-2": 1.0})
    assert (dr.target_multiplier, dr.duration_s, dr.probability, dr.impact) == (2.0, 86400.0, 0.1, "critical")
    assert (spike.name, spike.source, dict(spike.targets)) == ("traffic_spike", "us-east-1", {"us-east-1": 1.0})
    assert (spike.multiplier, spike.duration_s, spike.probability, spike.impact) == (3.0, 14400.0, 0.3, "high")
    assert spike.target_multiplier == 3.0
    assert spike.in_place
    assert not dr.in_place


def test_what_is_not_placed_is_reported():
    assert evacuate().unplaced_frac == pytest.approx(0.1, rel=1e-12)
    assert evacuate(targets={"us-west-2": 1.0}).unplaced_frac == 0.0
    assert evacuate(targets={f"r{i}": 0.1 for i in range(10)}).unplaced_frac == 0.0


def test_sources_may_fail_together():
    s = evacuate(source=("us-east-1", "us-west-2"), targets={"eu-west-1": 1})
    assert s.sources == ("us-east-1", "us-west-2")
    assert s.regions == REGIONS
    assert not s.in_place
    assert evacuate(source=["us-east-1"]).source == ("us-east-1",)
    assert evacuate(source=("us-east-1",), targets={"us-east-1": 1.0}).in_place


@pytest.mark.parametrize("duration", [dt.timedelta(hours=2), np.timedelta64(2, "h"), 7200, np.float32(7200)], ids=repr)
def test_durations_become_seconds(duration):
    s = evacuate(duration_s=duration, ramp_s=duration)
    assert (s.duration_s, s.ramp_s) == (7200.0, 7200.0)
    assert type(s.duration_s) is float


def test_frozen_and_independent_of_what_made_it():
    targets = {"us-west-2": 0.5}
    s = evacuate(targets=targets)
    targets["us-west-2"] = 1.0
    assert s.targets["us-west-2"] == 0.5
    with pytest.raises(TypeError):
        s.targets["us-west-2"] = 1.0
    with pytest.raises(AttributeError):
        s.multiplier = 2.0


@pytest.mark.parametrize("clone", [copy.deepcopy, copy.copy, lambda s: pickle.loads(pickle.dumps(s))])
def test_clones_are_equal(clone):
    s = evacuate(source=("us-east-1",), impact="low", event="storm")
    assert clone(s) == s
    assert hash(clone(s)) == hash(s)
    assert clone(s) != evacuate()


NUMBER = "must be a number, 0 or more"
POSITIVE = "must be a finite duration of more than 0 seconds"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name: must be a text that is not empty (got '')"),
        ({"name": 5}, "name: must be a text that is not empty (got 5)"),
        ({"impact": None}, "impact: must be a text (got None)"),
        ({"source": ""}, "source: must name a Region (got '')"),
        ({"source": ()}, "source: must name a Region (got ())"),
        ({"source": 5}, "source: must be a Region or a tuple of Regions (got 5)"),
        ({"source": (1, 2)}, "source: must be different Regions (got (1, 2))"),
        ({"source": ("a", "a")}, "source: must be different Regions (got ('a', 'a'))"),
        ({"targets": {}}, "targets: must map at least one Region to its share (got {})"),
        ({"targets": ["b"]}, "targets: must map at least one Region to its share (got ['b'])"),
        ({"targets": {"": 1}}, "targets: must be keyed by Region (got '')"),
        ({"targets": {3: 1}}, "targets: must be keyed by Region (got 3)"),
        ({"targets": {"b": 0}}, "targets: share of b must lie in (0, 1] (got 0)"),
        ({"targets": {"b": -0.1}}, "targets: share of b must lie in (0, 1] (got -0.1)"),
        ({"targets": {"b": "half"}}, "targets: share of b must lie in (0, 1] (got 'half')"),
        ({"targets": {"b": True}}, "targets: share of b must lie in (0, 1] (got True)"),
        ({"targets": {"b": np.nan}}, "targets: share of b must lie in (0, 1] (got nan)"),
        ({"targets": {"b": 0.75, "c": 0.5}}, "targets: shares must sum to at most 1 (got 1.25)"),
        (
            {"targets": {"us-east-1": 0.5, "b": 0.5}},
            "targets: must not include a Region that fails (got {'us-east-1': 0.5, 'b': 0.5})",
        ),
        ({"multiplier": -1}, f"multiplier: {NUMBER} (got -1)"),
        ({"multiplier": np.inf}, f"multiplier: {NUMBER} (got inf)"),
        ({"multiplier": "2"}, f"multiplier: {NUMBER} (got '2')"),
        ({"target_multiplier": np.nan}, f"target_multiplier: {NUMBER} (got nan)"),
        ({"target_multiplier": None}, f"target_multiplier: {NUMBER} (got None)"),
        ({"duration_s": 0}, f"duration_s: {POSITIVE} (got 0)"),
        ({"duration_s": "1h"}, f"duration_s: {POSITIVE} (got '1h')"),
        ({"ramp_s": -1}, "ramp_s: must be a finite duration of at least 0 seconds (got -1)"),
        ({"probability": 1.5}, "probability: must lie in [0, 1] (got 1.5)"),
        ({"probability": -0.5}, "probability: must lie in [0, 1] (got -0.5)"),
        (
            {"kind": "regional_failovr"},
            "kind: must be one of regional_failover, az_failover, service_failover, traffic_spike, disaster_recovery; "
            "did you mean 'regional_failover'? (got 'regional_failovr')",
        ),
    ],
    ids=lambda p: str(p)[:30] if isinstance(p, dict) else "",
)
def test_refusals_name_field_rule_and_value(changes, message):
    with pytest.raises(InvalidInput) as refused:
        evacuate(**changes)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "number",
    [10**400, np.complex64(2), np.timedelta64(2, "h"), np.datetime64("2024-01-01")],
    ids=lambda n: repr(n)[:30],
)
@pytest.mark.parametrize("field", ["multiplier", "target_multiplier", "probability", "duration_s", "ramp_s"])
def test_what_is_no_number_is_refused_by_name(field, number):
    if field.endswith("_s") and isinstance(number, np.timedelta64):
        number = np.timedelta64("NaT", "s")
    with pytest.raises(InvalidInput, match=rf"^{field}: must .+ \(got .+\)$"):
        evacuate(**{field: number})


def test_n_minus_1_fails_each_region_alone_in_equal_shares():
    chosen, skipped = resolve("N-1", REGIONS)
    assert skipped == ()
    assert [s.source for s in chosen] == list(REGIONS)
    assert dict(chosen[1].targets) == {"us-east-1": 0.5, "eu-west-1": 0.5}
    assert len({s.event for s in chosen}) == 3  # alternatives, not one event
    for n in (2, 3, 7, 33):
        assert all(s.unplaced_frac < 1e-12 for s in resolve("N-1", [f"r{i}" for i in range(n)])[0])


def test_default_is_no_scenario():
    assert resolve(None, REGIONS) == ((), ())
    assert resolve([], REGIONS) == ((), ())


def test_shipped_scenarios_that_do_not_match_are_skipped_and_listed():
    chosen, skipped = resolve("shipped", ("us-east-1", "eu-west-1"))
    assert [s.name for s in chosen] == ["traffic_spike"]
    assert skipped == ("regional_dr",)
    assert resolve("regional_dr", ("a", "b")) == ((), ("regional_dr",))


def test_words_and_scenarios_may_be_mixed():
    chosen, _ = resolve(["traffic_spike", evacuate()], REGIONS)
    assert [s.name for s in chosen] == ["traffic_spike", "evacuate"]
    assert resolve(evacuate(), REGIONS) == ((evacuate(),), ())


@pytest.mark.parametrize(
    ("scenarios", "regions", "message"),
    [
        (
            evacuate(targets={"us-west-1": 1}),
            REGIONS,
            "scenarios: scenario 'evacuate' names a Region that is not in the plan; did you mean 'us-west-2'? "
            "(got 'us-west-1')",
        ),
        (
            ["shiped"],
            REGIONS,
            "scenarios: must be Scenario objects or the words N-1, shipped, regional_dr, traffic_spike; "
            "did you mean 'shipped'? (got 'shiped')",
        ),
        (
            [5],
            REGIONS,
            "scenarios: must be Scenario objects or the words N-1, shipped, regional_dr, traffic_spike (got 5)",
        ),
        (
            "N-1",
            ["only"],
            "scenarios: \"N-1\" needs at least two Regions in the plan; write scenarios = [] for one (got ['only'])",
        ),
        ([evacuate(), evacuate(impact="low")], REGIONS, "scenarios: must have different names (got 'evacuate')"),
    ],
)
def test_what_cannot_apply_says_why(scenarios, regions, message):
    with pytest.raises(InvalidInput) as refused:
        resolve(scenarios, regions)
    assert str(refused.value) == message


def test_what_is_no_sequence_of_scenarios_is_refused_by_name():
    with pytest.raises(InvalidInput, match=r"^scenarios: "):
        resolve(5, REGIONS)


def test_usage_of_no_stated_region_is_no_region_that_takes_a_share():
    """One row without a Region must not halve what every other Region has to carry."""
    named, _ = resolve("N-1", ["a", "b"])
    assert resolve("N-1", ["-", "a", "b"])[0] == named
    with clear_error(InvalidInput, "at least two Regions"):
        resolve("N-1", ["-", "a"])
