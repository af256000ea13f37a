"""A collection that is killed, and run again: what is done is not asked for again, and all of it is there."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fake_aws import FakeAws
from fake_aws_world import OWN, Known, World, access_key, accounts, usage_metric
from store_faults import FAULTS
from surgetank import QuotaKey, open_store
from surgetank.collect import collect
from surgetank.history.places import is_there, place_of
from test_collect import HOUR, NOW, expected, held, opened, reach, small, store

__all__ = ["opened", "reach", "store"]  # fixtures

IDS, REGIONS = accounts(3), ("us-east-1", "us-west-2", "eu-west-1")
TARGETS = {(account, region) for account in IDS for region in REGIONS}


def command(place):
    options = ["--accounts", ",".join(IDS), "--role", "reader", "--regions", ",".join(REGIONS), "--backfill", "1h"]
    options += [
        "--rate",
        "1000",
        "--workers",
        "2",
        "--now",
        f"{np.datetime64(NOW, 's')}Z",
        "--store",
        str(place),
        "--json",
    ]
    return [sys.executable, "-m", "surgetank.cli", "collect", *options]


def run(fake, place):
    kept = (name for name in os.environ if not name.startswith("AWS") or name == "AWS_ENDPOINT_URL_DYNAMODB")
    environment = {name: os.environ[name] for name in kept} | fake.environment()
    return subprocess.Popen(command(place), env=environment, stdout=subprocess.PIPE, text=True)


def everything(place):
    if not is_there(place_of(str(place))):
        return {}
    with open_store(str(place)) as store:
        assert store.check().sound
        return held(store)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "fleet.db"
    with FakeAws(World()) as fake:
        process = run(fake, path)
        done = json.loads(process.communicate()[0])
    assert process.returncode == 0
    assert (done["exit_code"], len(done["parts"]), fake.broken) == (0, 9, [])
    return everything(path), len(fake.calls)


MOMENTS = sorted({max(2, n * 150 // (2 + FAULTS)) for n in range(1, 3 + FAULTS)})
# What is stored between two answers is DynamoDB's own matter (test_dynamodb_killed.py): one moment will do.
IN_TABLES = MOMENTS if FAULTS > 1 else MOMENTS[1:2]


@pytest.mark.parametrize(
    ("kind", "at"), [("embedded", at) for at in MOMENTS] + [("dynamodb", at) for at in IN_TABLES], indirect=["kind"]
)
def test_a_collection_that_is_killed_goes_on_where_it_was(kind, tmp_path, monkeypatch, undisturbed, at):
    whole, calls = undisturbed
    victim = []
    path = tmp_path / "fleet.db" if kind == "embedded" else f"dynamodb://{tmp_path.name}?region=us-east-1"
    if kind == "dynamodb":  # whose access key it is, decides which tables there are
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key(OWN))

    def kill(call, nth):
        if nth >= min(at, calls - 1) and victim:
            os.kill(victim[0].pid, signal.SIGKILL)

    with FakeAws(World(), fault=kill) as fake:
        victim.append(run(fake, path))
        victim[0].communicate()
    assert victim[0].returncode == -signal.SIGKILL
    between = everything(path)
    assert between.items() <= whole.items()
    # An account and Region is there with all it has, or not at all.
    counts = {target: sum(key[:2] == target for key in between) for target in TARGETS}
    assert set(counts.values()) <= {0, 5}
    with FakeAws(World()) as fake:
        process = run(fake, path)
        done = json.loads(process.communicate()[0])
    assert (process.returncode, fake.broken) == (0, [])
    assert everything(path) == whole
    fresh = {target for target, count in counts.items() if count}
    asked = {(call.account, call.region) for call in fake.calls if call.service != "sts"}
    assert asked == TARGETS - fresh
    assert sum(part["status"] == "fresh" for part in done["parts"]) == len(fresh)


def test_only_what_is_newer_is_asked_for(store, reach):
    world = World(gaps=False)
    key = QuotaKey(OWN, "us-east-1", "ec2", "L-1216C47A")
    plan = small(watch=("ec2/L-1216C47A",))
    with reach(FakeAws(world)) as fake:
        statuses = [collect(store, plan, now=now).parts[0].status for now in (NOW, NOW + 60, NOW + 300, NOW + 1500)]
    assert statuses == ["covered", "fresh", "fresh", "covered"]
    starts = [int(call.parameters["StartTime"].timestamp()) for call in fake.calls if call.service == "cloudwatch"]
    end = NOW // 300 * 300
    # The second begins at the last sample, less three periods in which CloudWatch may have filled in something.
    assert starts == [end - HOUR, end - 300 - 900]
    vcpus = usage_metric("EC2", "vCPU")
    assert held(store) == {key: expected(world, OWN, "us-east-1", vcpus, "Maximum", end - HOUR, end + 1500)}


@pytest.mark.parametrize("codes", [("L-1216C47A",), ("L-1216C47A", "L-BBBBBBBB")])
def test_a_sample_that_lies_ahead_hides_nothing_before_it(store, reach, codes):
    """A clock was wrong once; the quota is asked for from the back-fill on, and never taken as fresh."""
    quotas = tuple(Known("ec2", code, 9.0, 9.0, metric=usage_metric("EC2", code)) for code in codes)
    world, end = World(quotas=quotas, gaps=False), NOW // 300 * 300
    ahead = end + 365 * 24 * HOUR
    frame = {"timestamp": [ahead], "region": ["us-east-1"], "usage": [1.0]}
    store.import_usage(pd.DataFrame(frame), account=OWN, service_code="ec2", quota_code=codes[0])
    plan = small(watch=tuple(f"ec2/{code}" for code in codes))
    with reach(FakeAws(world)):
        first, second = (collect(store, plan, now=now).parts[0] for now in (NOW, NOW + 300))
    assert (first.status, first.samples) == ("covered", 12 * len(codes))
    # What is there already is taken without a change; who has no sample ahead is asked for a little only.
    assert (second.status, second.samples) == ("covered", len(codes))
    for code in codes:
        found = expected(world, OWN, "us-east-1", usage_metric("EC2", code), "Maximum", end - HOUR, end + 300)
        kept = {ahead: 1.0} if code == codes[0] else {}
        assert held(store)[QuotaKey(OWN, "us-east-1", "ec2", code)] == found | kept


def test_what_cloudwatch_fills_in_late_is_found(store, reach):
    plan = small(watch=("ec2/L-1216C47A",))
    key = QuotaKey(OWN, "us-east-1", "ec2", "L-1216C47A")
    late, end = World(gaps=False), NOW // 300 * 300
    late.value = lambda *parts: None if parts[-1] == end - 600 else World(gaps=False).value(*parts)
    with reach(FakeAws(late)):
        collect(store, plan, now=NOW)
    assert end - 600 not in held(store)[key]
    with reach(FakeAws(World(gaps=False))):
        collect(store, plan, now=NOW + 1200)
    assert end - 600 in held(store)[key]


def test_the_same_twice_changes_nothing(store, reach):
    with reach(FakeAws(World())):
        collect(store, small(watch=("ec2", "rds")), now=NOW)  # "ec2" is no exact quota, so nothing is taken as fresh
        before, quotas = held(store), store.quotas()
        again = collect(store, small(watch=("ec2", "rds")), now=NOW)
    assert again.parts[0].samples == 0
    assert (held(store), store.quotas()) == (before, quotas)
