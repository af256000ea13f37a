"""Which calls a plan makes: as the least IAM policy, and one by one."""

from __future__ import annotations

from typing import Any

from .counting import COUNTERS
from .planned import ORGANIZATION, CollectPlan
from .regions import CALL as REGIONS
from .utilization import CALLS, may_be_needed

#: botocore's name of a service → the prefix of its actions, where they differ.
_PREFIX = {"service-quotas": "servicequotas", "elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}


def calls_in_account(plan: CollectPlan) -> tuple[tuple[str, str], ...]:
    """What is called in every account and Region, as (service, operation)."""
    calls = [("service-quotas", "ListServices")] if plan.watched.any_service else []
    calls += [("service-quotas", "ListServiceQuotas"), ("service-quotas", "ListAWSDefaultServiceQuotas")]
    calls += [("cloudwatch", "GetMetricData")]
    for name, counter in COUNTERS.items():
        if plan.watched.has(*name):
            calls += counter.calls
    calls += CALLS if may_be_needed(plan) else []
    return tuple(dict.fromkeys(calls))


def iam_policy(plan: CollectPlan) -> dict[str, Any]:
    """Give the least policy for a plan, as IAM takes it.

    Statement ``Collect`` belongs to the role in every account, the others to who assumes it. ``sts:GetCallerIdentity``
    is called as well, and needs no permission.

    Examples
    --------
    >>> iam_policy(CollectPlan(watch=("rds/L-7B6409FD",)))["Statement"][0]["Action"]
    ['cloudwatch:GetMetricData', 'rds:DescribeDBInstances', 'servicequotas:ListAWSDefaultServiceQuotas', 'servicequotas:ListServiceQuotas']
    """  # noqa: E501
    calls = (*calls_in_account(plan), *([REGIONS] if plan.all_regions else []))
    actions = sorted({f"{_PREFIX.get(service, service)}:{name}" for service, name in calls})
    statements: list[dict[str, Any]] = [{"Sid": "Collect", "Effect": "Allow", "Action": actions, "Resource": "*"}]
    if plan.role is not None:
        resources = f"arn:aws:iam::*:role/{plan.role}"
        statements.append({"Sid": "Assume", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": resources})
    if plan.accounts == (ORGANIZATION,):
        action = "organizations:ListAccounts"
        statements.append({"Sid": "Accounts", "Effect": "Allow", "Action": action, "Resource": "*"})
    return {"Version": "2012-10-17", "Statement": statements}


def dry_run(plan: CollectPlan) -> list[str]:
    """Give the calls of a plan, one a line, and make none."""
    watched = plan.watched
    lines = ["once: sts GetCallerIdentity"]
    if plan.accounts == (ORGANIZATION,):
        lines.append("once: organizations ListAccounts, every page")
    if plan.role is not None:
        lines.append(f"each account but the credentials' own: sts AssumeRole {plan.role}")
    if plan.all_regions:
        lines.append(f"each account: {' '.join(REGIONS)}, for the Regions that it has enabled")
    each = "each account and Region"
    if watched.any_service:
        lines.append(f"{each}: service-quotas ListServices, every page")
    for service in (*watched.services, *(["every service that is watched"] if watched.any_service else [])):
        lines.append(f"{each}: service-quotas ListServiceQuotas {service}, every page")
        lines.append(f"each Region: service-quotas ListAWSDefaultServiceQuotas {service}, every page")
    back = f"{plan.backfill_s / 86_400:g} d back, or from the last stored sample"
    lines.append(f"{each}: cloudwatch GetMetricData, {plan.period_s} s, {back}, 500 quotas a call, every page")
    counts = [call for call in calls_in_account(plan) if call[0] not in ("service-quotas", "cloudwatch")]
    lines += [f"{each}, for quotas without a metric: {service} {name}, every page" for service, name in counts]
    reports = [name for service, name in CALLS if (service, name) in calls_in_account(plan)]
    lines += [f"{each}, for quotas that cannot be counted either: service-quotas {name}" for name in reports]
    return lines
