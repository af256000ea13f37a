"""`--regions all`: in each account the Regions that it has enabled, and those that it has not said, once."""

import json

import botocore.session
import pytest

from fake_aws import FakeAws, Raw, Refusal
from fake_aws_world import OPT_IN, OWN, REGIONS, Known, World, accounts
from surgetank import InvalidInput
from surgetank.collect import CollectPlan, collect, dry_run, iam_policy
from surgetank.collect.accounts import Accounts
from test_cli import here, run
from test_cli_collect import AT
from test_collect import NOW, held, reach, small
from test_collect import a_file as store

__all__ = ["here", "reach", "run", "store"]  # fixtures

ALWAYS = [region for region in REGIONS if region not in OPT_IN]


def plan_of(**more):
    return small(**{"regions": ("all",), "watch": ("rds/L-7B6409FD",), **more})


def test_all_regions_of_one_account(store, reach):
    with reach(FakeAws(World(opted_in={OWN: ("ap-east-1",)}))) as fake:
        done = collect(store, plan_of(), now=NOW)
        again = collect(store, plan_of(), now=NOW)
    assert (fake.broken, done.missing, done.exit_code) == ([], (), 0)
    assert [part.region for part in done.parts] == sorted([*ALWAYS, "ap-east-1"])
    assert {key.region for key in held(store)} == {*ALWAYS, "ap-east-1"}
    assert [(one.region, one.reason, one.detail) for one in done.not_enabled] == [
        (region, "Region not enabled", "not-opted-in") for region in ("af-south-1", "eu-south-1")
    ]
    assert {part.status for part in again.parts} == {"fresh"}
    # What is not enabled is not asked, and neither known nor zero.
    assert {call.region for call in fake.calls} == {*ALWAYS, "ap-east-1"}
    assert {quota.key.region for quota in store.quotas()} == {*ALWAYS, "ap-east-1"}


def test_each_account_has_its_own_and_quotas_of_the_whole_account_are_asked_for_once(store, reach):
    ids = accounts(3)
    opted = {ids[0]: OPT_IN, ids[1]: ("ap-east-1",)}
    quotas = (Known("rds", "L-7B6409FD", 40.0, 60.0), Known("iam", "L-0DA4ABF3", 10.0, 20.0, everywhere=True))
    with reach(FakeAws(World(quotas=quotas, opted_in=opted))) as fake:
        done = collect(store, plan_of(accounts=ids, role="reader", watch=("rds", "iam")), now=NOW)
    assert fake.broken == []
    there = {(part.account, part.region) for part in done.parts}
    assert there == {(account, region) for account in ids for region in (*ALWAYS, *opted.get(account, ()))}
    assert sum(call.operation == "DescribeRegions" for call in fake.calls) == 3
    assert sorted(quota.key.account for quota in store.quotas() if quota.key.region == "-") == list(ids)
    assert len(done.not_enabled) == 5
    said = [note for note in done.table(400).splitlines() if "not-opted-in" in note]
    assert said == [
        "Not covered: af-south-1 of 2 accounts, eu-south-1 of 2 accounts, ap-east-1 of 1 account: Region not enabled"
        " (not-opted-in); not asked."
    ]
    assert [one["account"] for one in done.to_dict()["not_enabled"]] == ["…0001"] * 2 + ["…0002"] * 3


@pytest.mark.parametrize(
    ("error", "reason", "retryable"),
    [
        (Refusal("UnauthorizedOperation", status=403), "access denied", False),
        (Refusal("RequestLimitExceeded", status=503), "throttled", True),
        (Raw(b"<DescribeRegionsResponse></DescribeRegionsResponse>"), "malformed response", True),
        (Raw(b"<html>a proxy says hello"), "malformed response", True),
    ],
)
def test_an_account_that_does_not_say_which_regions_it_has(store, reach, error, reason, retryable):
    one, other = accounts(2)

    def fault(call, nth):
        if (call.account, call.operation) == (one, "DescribeRegions"):
            raise error

    with reach(FakeAws(World(), fault=fault)):
        done = collect(store, plan_of(accounts=(one, other), role="reader", attempts=1), now=NOW)
    assert [(m.account, m.region, m.service_code, m.reason, m.retryable) for m in done.missing] == [
        (one, "", "ec2", reason, retryable)
    ]
    assert done.missing[0].detail.endswith('; name Regions instead of "all"')
    assert {key.account for key in held(store)} == {other}
    assert (done.exit_code, done.parts[0].status) == (2, "nothing")


def test_an_account_of_which_the_role_may_not_be_assumed_is_said_once(store, reach):
    def fault(call, nth):
        if call.operation == "AssumeRole":
            raise Refusal("AccessDenied")

    with reach(FakeAws(World(), fault=fault)):
        done = collect(store, plan_of(accounts=accounts(2), role="reader"), now=NOW)
    assert [(m.region, m.service_code, m.reason) for m in done.missing] == [("", "", "access denied")] * 2
    assert not any("instead of" in m.detail for m in done.missing)
    assert done.exit_code == 3


def test_an_account_without_the_region_that_is_asked_from(store, reach, monkeypatch):
    """Who runs it is at home in a Region that the account has not enabled."""

    def fault(call, nth):
        if call.region == "ap-east-1" and call.operation == "DescribeRegions":
            raise Refusal("AuthFailure", status=401)

    with reach(FakeAws(World(), fault=fault)) as fake:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-east-1")
        done = collect(store, plan_of(accounts=accounts(1), role="reader"), now=NOW)
    assert (done.exit_code, len(done.parts)) == (0, len(ALWAYS))
    assert [c.region for c in fake.calls if c.operation == "DescribeRegions"] == ["ap-east-1", "us-east-1"]


def test_the_environment_need_not_name_a_region(store, reach, monkeypatch):
    with reach(FakeAws(World())):
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        assert len(collect(store, plan_of(), now=NOW).parts) == len(ALWAYS)
        with pytest.raises(InvalidInput, match="regions: must be given"):
            collect(store, plan_of(regions=()), now=NOW)


def test_credentials_are_those_that_opt_in_regions_take(reach, monkeypatch):
    """Older versions of botocore ask the global endpoint, whose credentials those Regions refuse."""
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    with reach(FakeAws(World())):
        found = Accounts(small())
        monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        client = found._session.create_client("sts", region_name="us-east-1")
        plain = botocore.session.Session().create_client("sts", region_name="us-east-1")
    assert "us-east-1" in client.meta.endpoint_url
    assert "us-east-1" not in plain.meta.endpoint_url


def test_all_stands_alone_and_may_stand_without_a_list():
    assert CollectPlan(regions="all", accounts="organization") == CollectPlan(
        regions=("all",), accounts=("organization",)
    )
    with pytest.raises(InvalidInput, match='regions: must be names such as "us-east-1", or "all" alone'):
        CollectPlan(regions=("all", "us-east-1"))
    with pytest.raises(InvalidInput, match="regions: must be a sequence of texts"):
        CollectPlan(regions="us-east-1")


def test_the_call_is_in_the_dry_run_and_in_the_policy():
    plan = plan_of()
    assert "each account: ec2 DescribeRegions, for the Regions that it has enabled" in dry_run(plan)
    assert not any("DescribeRegions" in line for line in dry_run(plan_of(regions=("us-east-1",))))
    assert "ec2:DescribeRegions" in iam_policy(plan)["Statement"][0]["Action"]
    assert "ec2:DescribeRegions" not in iam_policy(plan_of(regions=()))["Statement"][0]["Action"]


def test_all_on_the_command_line(here, run, reach):
    ids = accounts(2)
    with reach(FakeAws(World())):
        options = ("--regions", "all", "--watch", "rds/L-7B6409FD", "--now", AT)
        code, out, err = run("collect", *options, "--accounts", ",".join(ids), "--role", "reader", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert len(found["parts"]) == 2 * len(ALWAYS)
    assert {(one["region"], one["detail"]) for one in found["not_enabled"]} == {(r, "not-opted-in") for r in OPT_IN}
