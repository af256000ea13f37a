"""`collect` against a fake of AWS on loopback: every quota and every sample, beside a plain twin."""

import math

import pytest

from fake_aws import FakeAws, throttled_every
from fake_aws_world import OWN, Known, World, accounts, usage_metric
from reservation_stores import opened
from surgetank import QuotaKey, Store
from surgetank.collect import CollectPlan, collect

__all__ = ["opened"]  # fixtures

NOW = 1_760_000_130
HOUR = 3600


@pytest.fixture
def reach(monkeypatch):
    """Point this process to a fake, and to nothing else."""

    def point(fake):
        for name, value in fake.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            monkeypatch.delenv(name, raising=False)
        return fake

    return point


@pytest.fixture
def store(opened):
    return opened()


@pytest.fixture
def a_file(tmp_path):
    """The embedded store, for what does not depend on where it is kept."""
    with Store(tmp_path / "fleet.db", create=True) as store:
        yield store


def small(**more):
    return CollectPlan(**{"backfill_s": HOUR, "rate": 500, "regions": ("us-east-1",), **more})


def held(store):
    """Every sample of a store by key and instant."""
    if not store.keys_with_usage():
        return {}
    found = store.samples()
    series = (zip(*found.series(n), strict=True) for n in range(len(found.keys)))
    return {key: {int(t): float(v) for t, v in points} for key, points in zip(found.keys, series, strict=True)}


def name_of(metric):
    namespace, name, dimensions, _ = metric
    return f"{namespace}/{name}/{[{'Name': k, 'Value': v} for k, v in sorted(dimensions.items())]}"


LAMBDA = ("AWS/Lambda", "ConcurrentExecutions", {}, "Maximum")


def expected(world, account, region, metric, statistic, start, end, period=300, scale=1.0):
    """The samples that the fake's CloudWatch has, one by one."""
    found = {}
    for at in range(start, end, period):
        value = world.value(account, region, name_of(metric), statistic, at)
        if value is not None and math.isfinite(value) and value >= 0:
            found[at] = value * scale
    return found


def test_the_usual_quotas_of_one_region(store, reach):
    world = World()
    with reach(FakeAws(world, page=2)) as fake:
        done = collect(store, small(), now=NOW)
    assert fake.broken == []
    assert (done.exit_code, done.missing) == (0, ())
    end = NOW // 300 * 300
    key = lambda service, code: QuotaKey(OWN, "us-east-1", service, code)  # noqa: E731
    now = lambda what, most=9: {end: float(world.many(OWN, "us-east-1", what, most))}  # noqa: E731
    vcpus = usage_metric("EC2", "vCPU")
    assert held(store) == {
        key("ec2", "L-1216C47A"): expected(world, OWN, "us-east-1", vcpus, "Maximum", end - HOUR, end),
        key("lambda", "L-B99A9384"): expected(world, OWN, "us-east-1", LAMBDA, "Maximum", end - HOUR, end),
        key("rds", "L-7B6409FD"): now("db", 30),
        key("elasticloadbalancing", "L-53DA6B97"): now("alb"),
        key("elasticloadbalancing", "L-E9E9831D"): now("clb"),
    }
    quotas = {quota.key: quota for quota in store.quotas()}
    assert {key.quota_code: (q.value, q.default_value) for key, q in quotas.items()} == {
        "L-1216C47A": (640, 5),
        "L-B99A9384": (1000, 1000),
        "L-7B6409FD": (60, 40),
        "L-53DA6B97": (75, 50),
        "L-E9E9831D": (20, 20),
    }
    assert quotas[key("lambda", "L-B99A9384")].name == "lambda L-B99A9384 (at AWS's default)"
    assert quotas[key("ec2", "L-1216C47A")].name == "ec2 L-1216C47A"
    assert quotas[key("ec2", "L-1216C47A")].adjustable is True
    assert quotas[key("ec2", "L-1216C47A")].unit == ""


def test_throttling_is_waited_for(store, reach):
    with reach(FakeAws(World(), fault=throttled_every(13))):
        done = collect(store, small(regions=("us-east-1", "eu-west-1")), now=NOW)
    assert (done.exit_code, done.missing) == (0, ())


def test_many_accounts_and_regions(store, reach):
    ids = accounts(4)
    world = World(quotas=(Known("ec2", "L-1216C47A", 5.0, 640.0, metric=usage_metric("EC2", "vCPU")),), points_page=9)
    regions = ("us-east-1", "eu-west-1", "ap-south-1")
    seen = []
    with reach(FakeAws(world, page=1)) as fake:
        plan = small(accounts=ids, role="reader", regions=regions, watch=("ec2",))
        done = collect(store, plan, now=NOW, progress=lambda n, total: seen.append((n, total)))
    assert fake.broken == []
    assert done.exit_code == 0
    assert seen == [(n, 12) for n in range(1, 13)]
    end = NOW // 300 * 300
    vcpus = usage_metric("EC2", "vCPU")
    assert held(store) == {
        QuotaKey(account, region, "ec2", "L-1216C47A"): expected(
            world, account, region, vcpus, "Maximum", end - HOUR, end
        )
        for account in ids
        for region in regions
    }
    # AWS's defaults are no account's: they are asked for once in a Region, and a role is assumed once.
    asked = [(call.operation, call.region) for call in fake.calls]
    assert [asked.count(("ListAWSDefaultServiceQuotas", region)) for region in regions] == [1, 1, 1]
    assert sum(name == "AssumeRole" for name, _ in asked) == 4
