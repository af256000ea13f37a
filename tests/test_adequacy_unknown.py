"""`adequacy`: what is not known is UNKNOWN, and never passes."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from adequacy_worlds import EU, FULL, PRIMARY, WEST, key, of, sixty, world
from surgetank import History, InvalidInput, Quota, adequacy


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({key(PRIMARY): (None, 100.0)}, "Not known: usage of us-east-1."),
        ({key(PRIMARY): (10.0, None)}, "Not known: quota of us-east-1."),
        ({key(PRIMARY): (None, None)}, "Not known: quota and usage of us-east-1."),
        (
            {key(WEST): (None, 100.0), key(EU): (1.0, None)},
            "Not known: usage of us-west-2; quota of eu-west-1.",
        ),
    ],
)
def test_what_is_not_known_is_unknown(change, why):
    found = adequacy(world({**FULL, **change}), of(scenarios=["mine"]))
    assert (found.status, found.exit_code, found.cases[0].why) == ("UNKNOWN", 3, why)
    assert {one.action for one in found.recommendations} == {"collect"}
    assert found.because == "1 of 1 tests is UNKNOWN"
    with pytest.raises(InvalidInput, match="adequacy: every scenario must pass"):
        found.require_met()


def test_one_secondary_of_several_that_is_not_known_has_no_room():
    dark = {**FULL, key(EU): (None, 100.0)}
    found = adequacy(world(dark), of(scenarios=["mine"]))
    assert (found.status, found.cases[0].available) == ("passed", 40.0)
    assert found.cases[0].why == "20 fits: us-west-2 has room for 40. Not known, so no room: usage of eu-west-1."
    assert found.cases[0].why in str(found.table(200))
    found = adequacy(world({**dark, key(PRIMARY): (30.0, 100.0)}), of(scenarios=["mine"]))
    assert found.status == "UNKNOWN"
    assert "Not known, and there may be room: usage of eu-west-1." in found.cases[0].why
    assert [one.text for one in found.recommendations] == ["collect usage of eu-west-1 ec2/L-1"]


def test_stale_usage_says_when_it_was_seen():
    usage = np.full((100, 3), 10.0)
    usage[40:, 0] = np.nan
    history = History.from_array(
        usage, start="2026-01-01T00:00Z", step_s=300, regions=[PRIMARY, WEST, EU], service_code="ec2", quota=100.0
    )
    found = adequacy(history, of(scenarios=["mine"]))
    assert found.cases[0].why == "Not known: usage (last seen 2026-01-01T03:15:00Z) of us-east-1."
    assert adequacy(history, of(scenarios=["mine"]), now="2026-01-01T03:20Z").status == "passed"
    later = adequacy(history, of(scenarios=["mine"]), now="2026-01-02T03:20Z")
    assert (later.status, str(later.as_of)) == ("UNKNOWN", "2026-01-02T03:20:00")


@pytest.mark.parametrize(
    ("empty", "because"),
    [
        ({"services": ()}, "no services are listed"),
        ({"scenarios": ()}, "no scenarios are listed"),
        ({"secondaries": ()}, "no secondary Regions are listed"),
        ({"secondaries": (), "scenarios": ["az_failure"]}, "no secondary Regions are listed"),
        ({"services": (), "scenarios": (), "secondaries": ()}, "no secondary Regions are listed"),
    ],
)
def test_an_empty_list_never_passes(empty, because):
    found = adequacy(sixty(), of(**{"scenarios": ["mine"], **empty}))
    assert (found.status, found.exit_code) == ("UNKNOWN", 3)
    assert because in str(found.table())
    root = ET.fromstring(found.to_junit())
    assert int(root.get("errors")) >= 1
    assert int(root.get("tests")) >= 1


def test_failed_wins_over_unknown_and_unknown_over_warning():
    values = {
        **{key(r, code="L-2"): v for r, v in {PRIMARY: (50.0, 100.0), WEST: (0.0, 90.0)}.items()},
        key(PRIMARY, "s3"): (None, 1.0),
    }
    test = of(secondaries=[WEST], services=["ec2", "s3"], scenarios=["mine"])
    assert adequacy(world(values), test).exit_code == 3
    values |= {key(PRIMARY, "rds"): (50.0, 100.0), key(WEST, "rds"): (0.0, 20.0)}
    found = adequacy(world(values), replace(test, services=["ec2", "s3", "rds"]))
    assert (found.exit_code, found.because) == (2, "1 of 3 tests failed")


def test_a_quota_that_nobody_collected_in_the_primary_is_not_zero():
    found = adequacy(world({**FULL, key(WEST, code="L-9"): (1.0, 100.0)}), of(scenarios=["mine"]))
    assert [(c.quota_name, c.status) for c in found.cases] == [("ec2/L-1", "passed"), ("ec2/L-9", "UNKNOWN")]
    assert found.exit_code == 3


def test_a_service_that_names_nothing():
    found = adequacy(sixty(), of(services=["ecc2", "us-east-9/*"], scenarios=["mine"]))
    assert [c.why for c in found.cases] == [
        "ecc2 names no quota; did you mean 'ec2'?",
        "us-east-9/* names no quota; known: ec2, ec2/L-1.",
    ]
    assert found.exit_code == 3
    assert found.recommendations[0].text == (
        "collect quotas and usage of ecc2 in us-east-1, us-west-2 and eu-west-1, or name another service"
    )


def test_quotas_of_the_account_are_left_out_and_named():
    values = {**FULL, key(PRIMARY, "iam"): (1.0, 2.0)}
    history = world(values)
    quotas = {**history.quotas, key(PRIMARY, "iam"): Quota(key=key(PRIMARY, "iam"), value=2.0, is_global=True)}
    found = adequacy(replace(history, quotas=quotas), of(services=["*"], scenarios=["mine"]))
    assert (found.status, found.left_out) == ("passed", ("iam/L-1",))
    assert "Left out, because they hold for the account and not for a Region: iam/L-1." in found.notes
    alone = adequacy(replace(history, quotas=quotas), of(services=["iam"], scenarios=["mine"]))
    assert alone.exit_code == 3
    assert alone.cases[0].why == "iam names only quotas that hold for the account, not for a Region."
