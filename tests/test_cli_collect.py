"""`surgetank collect` as a person or a pipeline meets it: output, exit codes, mistakes, patterns."""

import json
import sys

import numpy as np
import pytest

from fake_aws import FakeAws, Refusal
from fake_aws_world import OWN, Known, World, accounts, usage_metric
from surgetank import InvalidInput
from surgetank._aws import without_accounts
from surgetank.collect import CollectPlan, iam_policy
from surgetank.collect.counting import COUNTERS
from surgetank.collect.watched import Watched
from surgetank.config import Config
from test_cli import here, run
from test_collect import NOW, reach

__all__ = ["here", "reach", "run"]  # fixtures

AT = f"{np.datetime64(NOW, 's')}Z"
PREFIXES = {"service-quotas": "servicequotas", "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}


def test_a_collection_and_the_plan_made_of_it(kind, here, run, reach):
    place = "surgetank.db" if kind == "embedded" else f"dynamodb://{here.name}?region=us-east-1"
    where = () if kind == "embedded" else ("--store", place)
    with reach(FakeAws(World(gaps=False))):
        code, out, err = run("collect", "--regions", "us-east-1,us-west-2", "--backfill", "3d", "--now", AT, *where)
        assert (code, err) == (0, "")
        assert out.startswith("Collected from 2 accounts and Regions: 10 quotas, 3,462 new samples\n")
        assert "…3333     us-east-1   covered" in out
        made = "" if kind == "embedded" else ", whose tables were made now and are protected from deletion"
        assert out.endswith(f"The store is {place}{made}.\n")
        assert OWN not in out
        code, out, _ = run(
            "collect", "--regions", "us-east-1,us-west-2", "--now", AT, "--json", "--show-accounts", *where
        )
        assert (code, {(p["account"], p["status"]) for p in json.loads(out)["parts"]}) == (0, {(OWN, "fresh")})
    code, out, err = run("plan", "--now", AT, *where)
    assert (code, err) == (0, "")
    assert "ec2/L-1216C47A" in out


@pytest.mark.parametrize("wrong", [("--regions", "us-esat-1"), ("--accounts", "999999999999"), ("--watch", "")])
def test_a_mistake_makes_no_store(here, run, reach, wrong):
    with reach(FakeAws(World())):
        assert run("collect", *wrong, "--now", AT)[0] == 3
    assert not (here / "surgetank.db").exists()


def test_what_is_not_covered_exits_2_and_nothing_exits_3(here, run, reach):
    one, other = accounts(2)

    def fault(call, nth):
        if call.account == one and call.operation != "AssumeRole":
            raise Refusal("AccessDenied", f"arn:aws:iam::{one}:role/reader may not, AKIA{'A' * 16}")

    options = ("--role", "reader", "--regions", "us-east-1", "--backfill", "1h", "--now", AT)
    with reach(FakeAws(World(), fault=fault)):
        code, out, _ = run("collect", "--accounts", f"{one},{other}", *options)
        assert code == 2
        assert "Not covered: …0000 us-east-1 " in out
        assert ": access denied (AccessDenied: arn:aws:iam::…0000:role/reader may not, AKIA…).\n" in out
        code, out, _ = run("collect", "--accounts", f"{one},{other}", *options, "--json", "--store", "other.db")
        assert (code, json.loads(out)["retryable"]) == (2, False)
        assert not any(account in out for account in (one, other, OWN))
        assert "A" * 16 not in out
        code, out, _ = run("collect", "--accounts", one, *options, "--store", "third.db", "--show-accounts")
        assert code == 3
        assert one in out
        code, out, err = run("collect", "--accounts", "1234", *options)
        assert (code, out) == (3, "")
        assert err == "surgetank: accounts: must be ids of 12 digits, or \"organization\" alone (got '1234')\n"
        code, _, err = run("collect", "--accounts", "ids.txt", *options)
        assert (code, err.startswith("surgetank: --accounts: must be ids,")) == (3, True)
        (here / "ids.txt").write_text(f"# ours\n{other}  # the second\n\n")
        assert run("collect", "--accounts", "ids.txt", *options, "--store", "fourth.db")[0] == 0


def test_a_dry_run_lists_the_calls_and_makes_none(here, run, reach):
    with reach(FakeAws(World())) as fake:
        code, out, err = run("collect", "--dry-run", "--accounts", "organization", "--role", "reader", "--watch", "*")
    assert (code, err, fake.calls) == (0, "", [])
    assert not (here / "surgetank.db").exists()
    said = out.splitlines()
    assert said[1] == "once: organizations ListAccounts, every page"
    assert "each account and Region: service-quotas ListServices, every page" in said
    for counter in COUNTERS.values():
        assert all(any(f"{service} {name}" in line for line in said) for service, name in counter.calls)


@pytest.mark.parametrize(
    ("watch", "regions"),
    [((), "us-east-1"), (("*",), "us-east-1"), (("rds/L-7B6409FD", "ecs/L-21C621EB"), "us-east-1"), ((), "all")],
)
def test_the_policy_is_what_is_called_and_no_more(here, run, reach, watch, regions):
    quotas = (Known(*name, 9.0, 9.0) for name in COUNTERS)
    others = (Known("lambda", "L-B99A9384", 9.0, 9.0), Known("vpc", "L-AAAAAAAA", 9.0, 9.0, used_percent=50.0))
    world = World(quotas=(*quotas, *others), own=accounts(2)[0])
    world.listed = tuple((account, "ACTIVE") for account in accounts(2))
    options = ["--accounts", "organization", "--role", "reader", *(o for w in watch for o in ("--watch", w))]
    options += ["--regions", regions]
    with reach(FakeAws(world)) as fake:
        code, out, _ = run("collect", *options, "--rate", "500", "--backfill", "1h", "--now", AT)
        assert code == 0
    code, out, _ = run("collect", *options, "--iam-policy")
    policy = json.loads(out)
    allowed = [action for one in policy["Statement"] for action in np.atleast_1d(one["Action"]).tolist()]
    seen = {f"{PREFIXES.get(call.service, call.service)}:{call.operation}" for call in fake.calls}
    assert seen - {"sts:GetCallerIdentity"} == set(allowed) - ({"cloudwatch:GetMetricData"} - seen)
    assert code == 0
    assert [statement["Sid"] for statement in policy["Statement"]] == ["Collect", "Assume", "Accounts"]
    assert without_accounts(out) == out


def test_the_toml_file_says_the_same(tmp_path):
    path = tmp_path / "surgetank.toml"
    path.write_text(
        '[collect]\naccounts = "organization"\nrole = "reader"\nregions = ["eu-west-1"]\nwatch = ["ec2"]\n'
        'deny = ["ec2/L-0*"]\nbackfill = "2d"\nperiod = "1m"\nworkers = 3\nrate = 2.5\n'
    )
    assert Config.read(path).collect == CollectPlan(
        accounts=("organization",), role="reader", regions=("eu-west-1",), watch=("ec2",), deny=("ec2/L-0*",),
        backfill_s=2 * 86_400, period_s=60, workers=3, rate=2.5,
    )  # fmt: skip
    path.write_text('[collect]\naccounts = "organization"\nregions = "all"\n')
    assert Config.read(path).collect == CollectPlan(accounts=("organization",), regions=("all",))
    for line, said in (
        ('regions = ["all", "us-east-1"]', "line 2: regions: must be names such as"),
        ('period = "7s"', "line 2: period: must be whole minutes that divide an hour"),
        ("period = 300", "line 2: period: "),
        ('regions = "us-east-1"', "line 2: regions: must be a list of texts"),
        ('watch = ["a b"]', "line 2: watch: must be patterns"),
        ("wokers = 2", "line 2: wokers: is no key in [collect]; did you mean 'workers'?"),
        ("workers = 100", "line 2: workers: must be a whole number from 1 to 64"),
    ):
        path.write_text(f"[collect]\n{line}\n")
        with pytest.raises(InvalidInput) as caught:
            Config.read(path)
        assert f"surgetank.toml, {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("allow", "deny", "yes", "no"),
    [
        (("ec2",), (), ["ec2/L-1", "ec2/L-2"], ["rds/L-1"]),
        (("ec2/L-1*",), ("ec2/L-12",), ["ec2/L-1", "ec2/L-13"], ["ec2/L-12", "ec2/L-2"]),
        (("L-1216C47A",), (), ["ec2/L-1216C47A", "x/L-1216C47A"], ["ec2/L-1"]),
        (("*",), ("rds", "*/L-0*"), ["ec2/L-1"], ["rds/L-1", "ec2/L-01"]),
        (("elastic*/L-?",), (), ["elasticache/L-1"], ["ec2/L-1", "elasticache/L-12"]),
    ],
)
def test_patterns(allow, deny, yes, no):
    watched = Watched(allow, deny)
    assert [name for name in yes if not watched.has(*name.split("/"))] == []
    assert [name for name in no if watched.has(*name.split("/"))] == []
    assert all(watched.takes_part(name.split("/")[0]) for name in yes)


def test_only_services_that_are_watched_are_asked_for(here, run, reach):
    quotas = tuple(Known(name, "L-11111111", 9.0, 9.0, metric=usage_metric(name, "x")) for name in ("a1", "a2", "b1"))
    with reach(FakeAws(World(quotas=quotas))) as fake:
        options = ("--watch", "a*", "--deny", "a2", "--regions", "us-east-1", "--backfill", "1h", "--now", AT)
        assert run("collect", *options)[0] == 0
    assert {c.parameters["ServiceCode"] for c in fake.calls if c.operation == "ListServiceQuotas"} == {"a1"}
    assert iam_policy(CollectPlan(watch=("a*",)))["Statement"][0]["Action"][-2] == "servicequotas:ListServices"


def test_without_botocore_the_extra_is_named(here, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    code, out, err = run("collect", "--regions", "us-east-1")
    assert (code, out) == (3, "")
    assert err == "surgetank: collect needs boto3: pip install 'surgetank[aws]'\n"
    assert run("collect", "--iam-policy")[0] == 0
