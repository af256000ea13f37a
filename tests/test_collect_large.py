"""3,000 quotas in each of 20 Regions of 20 accounts: every sample, the pace, and the time it takes.

With SURGETANK_FAULTS set, and with 100 all quotas of each; else a corner of it.
"""

import contextlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from fake_aws_world import DEFAULT_QUOTAS, REGIONS, Known, World, accounts, usage_metric
from store_faults import FAULTS
from surgetank import QuotaKey
from surgetank.collect import CollectPlan, collect
from test_collect import HOUR, LAMBDA, NOW, expected, held
from test_collect import a_file as store

__all__ = ["store"]  # a fixture

ACCOUNTS, OF_REGIONS = (20, 20) if FAULTS > 1 else (3, 3)
MOST_S = 240
SERVER = "import fake_aws, test_collect_large as t; fake_aws.serve(t.world(), fault=fake_aws.throttled_every(500))"
#: With everything watched: quotas in each account and Region, and the time and the memory that a run may take.
EACH, ALL_MOST_S, ALL_MOST_MB = (3000, 1800, 400) if FAULTS >= 100 else (300, 240, 400)
ALL = "import fake_aws, test_collect_large as t; fake_aws.serve(t.everything(t.EACH), validate_every=97)"


def world(services=20, each=150):
    """Many quotas in every account and Region: those that are watched by default, and others."""
    names = list(dict.fromkeys(quota.service for quota in DEFAULT_QUOTAS))
    names += [f"service-{n}" for n in range(services - len(names))]
    made = list(DEFAULT_QUOTAS)
    for name in names:
        own = sum(quota.service == name for quota in DEFAULT_QUOTAS)
        made += [Known(name, f"L-{n:08X}", 10.0, 20.0 if n % 3 else None) for n in range(each - own)]
    return World(quotas=tuple(made))


def everything(count):
    """So many quotas of 20 services: a third has a metric, a third is in the utilization report, a third is neither."""
    made = []
    for n in range(count):
        service, code = f"service-{n % 20}", f"L-{n:08X}"
        metric = usage_metric(service, code) if n % 3 == 0 else None
        used = 30.0 if n % 3 == 1 else None
        made.append(Known(service, code, 10.0, 20.0 if n % 2 else None, metric=metric, used_percent=used))
    return World(quotas=tuple(made))


def most_mb():
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


@contextlib.contextmanager
def served(code, monkeypatch):
    """The fake in a process of its own, with what it has to do beside ours."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {code}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        try:
            for name, value in json.loads(server.stdout.readline()).items():
                monkeypatch.setenv(name, value)
            yield
        finally:
            server.terminate()


def test_many_accounts_regions_and_quotas(store, monkeypatch):
    assert len(world().quotas) == 3000
    plan = CollectPlan(
        accounts=accounts(ACCOUNTS), role="reader", regions=REGIONS[:OF_REGIONS], backfill_s=HOUR, rate=50
    )
    with served(SERVER, monkeypatch):
        started = time.monotonic()
        done = collect(store, plan, now=NOW)
        took = time.monotonic() - started
    print(f"{len(done.parts)} accounts and Regions in {took:.1f} s")
    assert (done.exit_code, done.missing) == (0, ())
    assert took < MOST_S
    end, made, wanted = NOW // 300 * 300, world(), {}
    for account in plan.accounts:
        for region in plan.regions:
            one = (made, account, region)
            vcpus = expected(*one, usage_metric("EC2", "vCPU"), "Maximum", end - HOUR, end)
            wanted[QuotaKey(account, region, "ec2", "L-1216C47A")] = vcpus
            functions = expected(*one, LAMBDA, "Maximum", end - HOUR, end)
            wanted[QuotaKey(account, region, "lambda", "L-B99A9384")] = functions
            for service, quota, what, most in (
                ("rds", "L-7B6409FD", "db", 30),
                ("elasticloadbalancing", "L-53DA6B97", "alb", 9),
                ("elasticloadbalancing", "L-E9E9831D", "clb", 9),
            ):
                wanted[QuotaKey(account, region, service, quota)] = {end: made.many(account, region, what, most)}
    assert held(store) == wanted
    assert len(store.quotas()) == len(wanted)


def test_every_quota_of_many_accounts_and_regions(store, monkeypatch):
    monkeypatch.setattr(sys.modules["surgetank.collect.utilization"], "POLL_S", 0.01)
    plan = CollectPlan(
        accounts=accounts(ACCOUNTS),
        role="reader",
        regions=REGIONS[:OF_REGIONS],
        watch=("*",),
        backfill_s=HOUR,
        rate=500,
    )
    parts, before = ACCOUNTS * OF_REGIONS, most_mb()
    with served(ALL, monkeypatch):
        started = time.monotonic()
        done = collect(store, plan, now=NOW)
        took = time.monotonic() - started
    print(f"{parts * EACH:,} quotas in {took:.0f} s, {most_mb():.0f} MB")
    assert took < ALL_MOST_S
    assert most_mb() - before < ALL_MOST_MB
    assert {(part.quotas, len(part.missing), part.no_points) for part in done.parts} == {(EACH, EACH // 3, 0)}
    assert {one.reason for one in done.missing} == {"no usage metric"}
    assert len(done.table(160).splitlines()) < 80
    keys = store.keys_with_usage()
    assert len(set(keys)) == len(keys) == parts * EACH * 2 // 3
    last = store.last_by_place()
    some = (made for n, made in enumerate(everything(EACH).quotas) if n % 3 == 0)
    end, world = NOW // 300 * 300, everything(1)
    for quota in some:
        account, region = plan.accounts[-1], plan.regions[-1]
        key = QuotaKey(account, region, quota.service, quota.code)
        wanted = expected(world, account, region, quota.metric, "Maximum", end - HOUR, end)
        assert last(account, (region,))[key] == max(wanted)
