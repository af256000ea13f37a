"""Small worlds and tests for `adequacy`."""

import math

import numpy as np

from surgetank import AdequacyTest, History, Quota, QuotaKey

PRIMARY, WEST, EU = "us-east-1", "us-west-2", "eu-west-1"
SHIPPED = ("regional_failover", "az_failure", "traffic_surge")


def key(region, service="ec2", code="L-1", account="-"):
    return QuotaKey(account, region, service, code)


def world(values, reserved=None, **more):
    """History of {key: (usage, quota)}, None where not known; more: fields of every Quota."""
    values = dict(sorted(values.items(), key=lambda one: (one[0].quota_name, one[0].account, one[0].region)))
    usage = [[math.nan if u is None else u for u, _ in values.values()]] * 3
    quotas = {k: Quota(key=k, value=math.nan if q is None else q, **more) for k, (_, q) in values.items()}
    return History(
        keys=tuple(values), start_s=0, step_s=300.0, usage=np.array(usage), quotas=quotas, reserved=reserved or {}
    )


def of(*, secondaries=(WEST, EU), services=("ec2",), scenarios=SHIPPED, **more):
    return AdequacyTest(
        primary_region=PRIMARY, secondary_regions=secondaries, services=services, scenarios=scenarios, **more
    )


def sixty():
    return world({key(region): (60.0, 100.0) for region in (PRIMARY, WEST, EU)})


FULL = {key(PRIMARY): (10.0, 100.0), key(WEST): (60.0, 100.0), key(EU): (60.0, 100.0)}
