"""3,000 quotas in each of 20 Regions of 20 accounts: every sample, the pace, and the time it takes.

With SURGETANK_FAULTS set; else a corner of it.
"""

import json
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


def world(services=20, each=150):
    """Many quotas in every account and Region: those that are watched by default, and others."""
    names = list(dict.fromkeys(quota.service for quota in DEFAULT_QUOTAS))
    names += [f"service-{n}" for n in range(services - len(names))]
    made = list(DEFAULT_QUOTAS)
    for name in names:
        own = sum(quota.service == name for quota in DEFAULT_QUOTAS)
        made += [Known(name, f"L-{n:08X}", 10.0, 20.0 if n % 3 else None) for n in range(each - own)]
    return World(quotas=tuple(made))


def test_many_accounts_regions_and_quotas(store, monkeypatch):
    assert len(world().quotas) == 3000
    folder = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {folder!r}); {SERVER}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        try:
            for name, value in json.loads(server.stdout.readline()).items():
                monkeypatch.setenv(name, value)
            plan = CollectPlan(
                accounts=accounts(ACCOUNTS), role="reader", regions=REGIONS[:OF_REGIONS], backfill_s=HOUR, rate=50
            )
            started = time.monotonic()
            done = collect(store, plan, now=NOW)
            took = time.monotonic() - started
        finally:
            server.terminate()
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
