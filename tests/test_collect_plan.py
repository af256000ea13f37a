"""What `CollectPlan` and the moment of a collection refuse: one clear error, before anything is asked."""

import math

import numpy as np
import pytest

from clear import clear_error
from fake_aws import FakeAws
from fake_aws_world import World
from surgetank import InvalidInput
from surgetank.collect import CollectPlan, collect
from test_collect import a_file, held, reach, small

__all__ = ["a_file", "reach"]  # fixtures

TEXTS = "must be a sequence of texts"
UP_TO = "must be a whole number from 1 to "
SECONDS = "must be seconds from 0.1 to 3600"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"period_s": 7}, "period_s: must be whole minutes that divide an hour"),
        ({"period_s": 300, "backfill_s": 64 * 86_400}, "backfill_s: must be at most 5443200 with a period of 300 s"),
        ({"regions": ("us-east-1", "Frankfurt")}, "regions: must be names such as"),
        ({"accounts": ("1234",)}, "accounts: must be ids of 12 digits"),
        ({"watch": ("ec2 or so",)}, "watch: must be patterns"),
        ({"watch": ()}, "watch: must name at least one quota"),
        ({"workers": 0}, "workers: must be a whole number from 1 to 64"),
        ({"rate": 0}, "rate: must be calls a second"),
        ({"role": "a b"}, "role: must be the name of an IAM role"),
        ({"statistics": {"*": "p99"}}, "statistics of *: must be Maximum"),
        # What is of another type, or no number.
        ({"period_s": math.nan}, f"period_s: {UP_TO}3600 (got nan)"),
        ({"period_s": math.inf}, f"period_s: {UP_TO}3600 (got inf)"),
        ({"period_s": "300"}, f"period_s: {UP_TO}3600 (got '300')"),
        ({"workers": None}, f"workers: {UP_TO}64 (got None)"),
        ({"workers": 2.5}, f"workers: {UP_TO}64 (got 2.5)"),
        ({"workers": True}, f"workers: {UP_TO}64 (got True)"),
        ({"workers": 10**400}, "workers: must be within the range of float64"),
        ({"attempts": [1]}, f"attempts: {UP_TO}20 (got [1])"),
        ({"accounts": 5}, f"accounts: {TEXTS} (got 5)"),
        ({"accounts": None}, f"accounts: {TEXTS} (got None)"),
        ({"regions": None}, f"regions: {TEXTS} (got None)"),
        ({"watch": None}, f"watch: {TEXTS} (got None)"),
        ({"watch": "ec2"}, f"watch: {TEXTS} (got 'ec2')"),
        ({"deny": b"ec2"}, f"deny: {TEXTS} (got b'ec2')"),
        ({"deny": ("ec2", 1)}, f"deny: {TEXTS} (got ('ec2', 1))"),
        ({"statistics": None}, "statistics: must be a mapping of patterns to statistics (got None)"),
        (
            {"statistics": [("a", "Sum")]},
            "statistics: must be a mapping of patterns to statistics (got [('a', 'Sum')])",
        ),
        ({"statistics": {1: "Sum"}}, 'statistics: must have patterns such as "ec2/L-1216C47A" as its keys (got 1)'),
        ({"statistics": {"a": ["Sum"]}}, "statistics of a: must be Maximum, Sum"),
        ({"statistics": {"a": np.array(["Sum", "Sum"])}}, "statistics of a: must be Maximum, Sum"),
        ({"read_timeout_s": 1e300}, f"read_timeout_s: {SECONDS} (got 1e+300)"),
        ({"connect_timeout_s": 3600.1}, f"connect_timeout_s: {SECONDS} (got 3600.1)"),
        ({"connect_timeout_s": 0}, f"connect_timeout_s: {SECONDS} (got 0)"),
        ({"read_timeout_s": "60"}, f"read_timeout_s: {SECONDS} (got '60')"),
        ({"rate": math.nan}, "rate: must be calls a second, at least 0.01 (got nan)"),
        ({"backfill_s": math.nan}, "backfill_s: must be seconds, 0 or more (got nan)"),
    ],
)
def test_the_plan_of_a_collection_is_refused_with_its_rule(given, said):
    with clear_error(InvalidInput) as caught:
        CollectPlan(**given)
    assert str(caught.value).startswith(said)


def test_a_plan_takes_numbers_of_numpy_and_whole_floats():
    plan = CollectPlan(
        period_s=np.int64(60),
        workers=np.int8(3),
        attempts=2.0,
        rate=np.float32(0.5),
        read_timeout_s=np.int32(3600),
        connect_timeout_s=np.float64(0.1),
        backfill_s=np.int64(600),
        regions=np.array(["us-east-1"]),
        accounts="organization",
    )
    assert (plan.period_s, plan.workers, plan.attempts, plan.rate) == (60, 3, 2, 0.5)
    assert {type(given) for given in (plan.period_s, plan.workers, plan.attempts)} == {int}
    assert {type(given) for given in (plan.rate, plan.read_timeout_s, plan.connect_timeout_s)} == {float}
    assert (plan.regions, plan.accounts) == (("us-east-1",), ("organization",))


@pytest.mark.parametrize(
    "now",
    [
        -1e11,
        0,
        946_684_799,
        "1999-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        np.datetime64("32032-01-01"),
        253_370_764_800,
    ],
)
def test_a_moment_of_another_age_is_refused_before_anything_is_asked(a_file, reach, now):
    with reach(FakeAws(World())) as fake, clear_error(InvalidInput) as caught:
        collect(a_file, small(), now=now)
    assert str(caught.value).startswith("now: must be a moment of the years 2000 to 9998 (got ")
    assert (fake.calls, held(a_file)) == ([], {})


@pytest.mark.parametrize("now", ["2000-01-01T00:00:00Z", "9998-12-31T23:59:59Z"])
def test_the_first_and_the_last_moment_are_asked_for(a_file, reach, now):
    with reach(FakeAws(World())) as fake:
        assert collect(a_file, small(), now=now).exit_code == 0
    assert fake.broken == []
