"""The quantile policy: its options and defaults, results as values, and what is refused in which words."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

from clear import clear_error
from surgetank import ClassicPolicy, InvalidInput, QuantilePolicy, _core, probability_enough
from test_quantile import evacuate, flat, sized


def test_defaults_are_the_cores():
    core, policy = _core.QuantileOptions(), QuantilePolicy()
    for name in ("risk", "confidence", "history_s", "cost_cap", "lead_time_s", "review_s", "lead_time_p95_s"):
        assert getattr(policy, name) == getattr(core, name), name
    assert policy.normal_duration_s == core.normal_duration_s
    assert (policy.tail == "fitted") == core.fitted
    assert (policy.growth, policy.risk_normal, policy.overlap_frac) == (None, None, 0.0)
    assert np.isnan([core.growth, core.risk_normal]).all()
    mapped = {name for name in dir(core) if not name.startswith("_")} - {"check", "fitted"}
    assert mapped == {f.name for f in dataclasses.fields(policy)} - {"tail", "overlap_frac"}
    assert sized([60.0]).policy == policy


def test_results_are_frozen_readonly_and_picklable():
    h = sized(flat(600, 600), scenarios="N-1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        h.needed = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        h.joint[0].fits = 1
    for name in ("need", "needed_low", "probability_enough", "ask_by", "ask_in_s", "event", "extrapolated", "reason"):
        assert not getattr(h, name).flags.writeable, name
    assert not any(values.flags.writeable for values in h.event_needs.values())
    again = pickle.loads(pickle.dumps(h))
    assert (again.joint, again.events, again.policy) == (h.joint, h.events, h.policy)
    assert again.reason.tolist() == h.reason.tolist()
    assert again.by_event().to_records() == h.by_event().to_records()
    assert pickle.loads(pickle.dumps(h.policy)) == h.policy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"risk": 0}, "risk: must lie between 1e-09 and 1 (got 0)"),
        ({"risk": 1}, "risk: must lie between 0 and 1 (got 1)"),
        ({"risk": "x"}, "risk: must be a number (got 'x')"),
        ({"risk_normal": 1.5}, "risk_normal: must lie between 0 and 1 (got 1.5)"),
        ({"growth": 0.99}, "growth: must be a factor of at least 1 (got 0.99)"),
        ({"growth": math.nan}, "growth: must be a number (got nan)"),
        ({"tail": "both"}, 'tail: must be "fitted" or "counted" (got \'both\')'),
        ({"overlap_frac": -0.1}, "overlap_frac: must be a number, 0 or more (got -0.1)"),
        ({"confidence": 1}, "confidence: must lie in [0, 1) (got 1)"),
        ({"lead_time_s": -1}, "lead_time_s: must be a finite duration of at least 0 seconds (got -1)"),
        ({"review_s": math.inf}, "review_s: must be a finite duration of at least 0 seconds (got inf)"),
        ({"normal_duration_s": 0}, "normal_duration_s: must be a finite duration of more than 0 seconds (got 0)"),
        ({"history_s": 0}, "history_s: must be a finite duration of more than 0 seconds (got 0)"),
        ({"cost_cap": -1}, "cost_cap: must be 0 or more (got -1)"),
    ],
    ids=str,
)
def test_refusals_name_option_rule_and_value(change, message):
    with clear_error(InvalidInput) as refused:
        QuantilePolicy(**change)
    assert str(refused.value) == message


def test_an_event_in_which_a_region_fails_and_receives_is_refused():
    pair = [evacuate("a", {"b": 1.0}, name="x", event="e"), evacuate("b", {"c": 1.0}, name="y", event="e")]
    with clear_error(InvalidInput) as refused:
        sized(flat(1, 2, 3), regions=list("abc"), scenarios=pair)
    assert str(refused.value) == (
        "scenarios: event 'e' must not let a Region fail and receive load, its own surge included; those that fail "
        "together are one source, a surge on top is a multiplier (got 'b')"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quota": 5}, "quota: is usage + headroom here; leave it out (got 5)"),
        ({"headroom": -1}, "headroom: must be finite and 0 or more (got -1.0)"),
        ({"headroom": [1, 2, 3]}, "headroom: must have the shape of one instant of usage, (2,) (got 'shape (3,)')"),
        (
            {"policy": ClassicPolicy()},
            "policy: must be QuantilePolicy(...): the classic rule knows no probabilities (got 'ClassicPolicy')",
        ),
    ],
    ids=str,
)
def test_the_way_back_refuses(change, message):
    with clear_error(InvalidInput) as refused:
        probability_enough(flat(1, 2), **({"headroom": 1.0, "step_s": 300} | change))
    assert str(refused.value) == message
