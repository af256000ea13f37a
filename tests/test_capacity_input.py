"""Malformed input of capacity coupling: one clear line each."""

import math
from dataclasses import replace

import numpy as np
import pytest

import surgetank
from clear import clear_error
from surgetank import History, InvalidInput, Scenario
from surgetank.recovery.capacity import Capacity, coupling
from surgetank.recovery.fits import block_bootstrap, required_headroom
from test_capacity import POLICY, half_short


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: Capacity(3), "plan: must be a Plan (got 3)"),
        (
            lambda p: Capacity(replace(p, history=None)),
            "plan: must hold the history it was computed from; surgetank.plan makes one (got None)",
        ),
        (
            lambda p: Capacity(surgetank.plan(p.history, scenarios=[])),
            "plan: must hold a scenario, or nothing lands: scenarios=\"N-1\", or --scenario N-1 (got 'no scenario')",
        ),
        (
            lambda p: Capacity(p, event="evacuat"),
            "event: must be an event of the plan; did you mean 'evacuate'? (got 'evacuat')",
        ),
        (lambda p: Capacity(p, event=""), "event: must be a text that is not empty (got '')"),
        (
            lambda p: Capacity(p, raised="need"),
            'raised: must be "needed", "allocation", or map patterns to amounts (got \'need\')',
        ),
        (
            lambda p: Capacity(p, raised=np.array([1.0, 2.0])),
            'raised: must be "needed", "allocation", or map patterns to amounts (got array([1., 2.]))',
        ),
        (
            lambda p: Capacity(replace(p, allocation=None), raised="allocation"),
            "raised: must be an allocation that the plan holds, and it holds none (got 'allocation')",
        ),
        (lambda p: Capacity(p, raised={"b": -1}), "raised: of b must be 0 or more, and finite (got -1)"),
        (lambda p: Capacity(p, raised={"b": math.inf}), "raised: of b must be 0 or more, and finite (got inf)"),
        (lambda p: Capacity(p, raised={3: 1}), "raised: must be patterns (got 3)"),
        (
            lambda p: Capacity(p, raised={"zz": 1}),
            "raised: must name a quota of the plan; known: -, a/-, b/- (got 'zz')",
        ),
        (lambda p: Capacity(p, denial=1.5), "denial: must be a probability in [0, 1] (got 1.5)"),
        (
            lambda p: Capacity(p, lead_time="a day"),
            "lead_time: must be a finite duration of at least 0 seconds (got 'a day')",
        ),
        (lambda p: coupling(Capacity(p), []), "capacity: must name at least one quota (got [])"),
        (lambda p: coupling(Capacity(p), [3]), "capacity: must be a sequence of texts (got [3])"),
        (
            lambda p: coupling(Capacity(p), ["a/-"]),
            "capacity: must name a quota that 'evacuate' lands on; did you mean 'b/-'? (got 'a/-')",
        ),
        (lambda p: required_headroom(coupling(Capacity(p), "b"), 2), "fits_frac: must be a fraction in [0, 1] (got 2)"),
        (
            lambda p: block_bootstrap(coupling(Capacity(p), "b"), 0),
            "replicates: must lie in [1, 1,000,000] (got 0)",
        ),
        (lambda p: block_bootstrap(coupling(Capacity(p), "b"), seed=-1), "seed: must lie in [0, 2^64) (got -1)"),
        (
            lambda p: block_bootstrap(coupling(Capacity(p), "b"), block_s=0),
            "block_s: must be a finite duration of more than 0 seconds (got 0)",
        ),
    ],
)
def test_malformed(make, message):
    with clear_error(InvalidInput) as caught:
        make(half_short())
    assert str(caught.value) == message


def test_too_little_history():
    usage = np.array([[1.0, 1.0], [1.0, np.nan], [1.0, 1.0], [1.0, np.nan], [np.nan, 1.0], [1.0, 1.0]])
    history = History.from_array(usage, start=0, step_s=3600, regions=["a", "b"], quota=[9.0, 9.0])

    def message(hours, quota=9.0):
        evacuate = Scenario("evacuate", "a", {"b": 1.0}, duration_s=3600 * hours)
        quotas = dict(zip(history.keys, (9.0, quota), strict=True))
        plan = surgetank.plan(history, quotas, [evacuate], policy=POLICY, survive=None)
        with clear_error(InvalidInput) as caught:
            coupling(Capacity(plan), ["*"])
        return str(caught.value)

    rule = "plan: must hold a moment from which at least half of 'evacuate', {}, was observed for every quota asked for"
    assert message(7) == f"{rule.format('7 h')} (got '6 steps of 1 h')"
    assert message(2, math.nan) == (
        "capacity: must name a quota of which usage, value and what lands on it in 'evacuate' are known (got '*')"
    )
