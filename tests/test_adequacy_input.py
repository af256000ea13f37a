"""`adequacy`: what is no test, no scenario and no history."""

import math
from dataclasses import replace

import pytest

import surgetank
from adequacy_worlds import PRIMARY, WEST, of, sixty
from surgetank import AdequacyScenario, AdequacyTest, InvalidInput, adequacy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"primary_region": ""}, "primary_region: must be a text that is not empty (got '')"),
        ({"secondary_regions": [PRIMARY]}, "secondary_regions: must not name the primary Region"),
        ({"secondary_regions": [WEST, WEST]}, "secondary_regions: must not name one twice (got 'us-west-2')"),
        ({"services": [1]}, "services: must be a sequence of texts"),
        ({"scenarios": 3}, "scenarios: must be AdequacyScenarios, or names of scenarios (got 3)"),
        ({"scenarios": [3]}, "scenarios: must be AdequacyScenarios, or names of scenarios (got 3)"),
        ({"scenarios": ["a", AdequacyScenario("a")]}, "scenarios: must not name one twice (got 'a')"),
    ],
)
def test_mistakes_in_a_test(change, message):
    fields = {"primary_region": PRIMARY, "secondary_regions": [WEST], "services": ["ec2"], "scenarios": ["a"]}
    with pytest.raises(InvalidInput) as caught:
        AdequacyTest(**{**fields, **change})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"multiplier": 0}, "multiplier: must be a number above 0, at most 1,000,000 (got 0)"),
        ({"multiplier": math.nan}, "multiplier: must be a number above 0"),
        ({"multiplier": 1e9}, "multiplier: must be a number above 0"),
        ({"duration_s": 0}, "duration_s: must be a finite duration of more than 0 seconds"),
        ({"duration_s": 1e12}, "duration_s: must be at most ten years"),
        ({"ramp_s": 0}, "ramp_s: must be a finite duration of more than 0 seconds"),
        ({"duration_s": 60}, "ramp_s: must be at most the duration, 60"),
        ({"kind": "az"}, "kind: must be a kind of scenario"),
        ({"name": ""}, "name: must be a text that is not empty"),
    ],
)
def test_mistakes_in_a_scenario(fields, message):
    with pytest.raises(InvalidInput) as caught:
        AdequacyScenario(**{"name": "x", **fields})
    assert str(caught.value).startswith(message)


def test_only_usage_of_quotas_is_judged():
    with pytest.raises(InvalidInput, match="history: must be a History"):
        adequacy([[1.0]], of())
    with pytest.raises(InvalidInput, match="test: must be an AdequacyTest"):
        adequacy(sixty(), {"primary_region": PRIMARY})
    with pytest.raises(InvalidInput, match="history: must be usage of quotas"):
        adequacy(replace(sixty(), signed=True), of())
    assert surgetank.adequacy is adequacy
