"""What each quota's usage is: statistic, rate, gaps, back-fill, counters; every sample beside a plain twin."""

import json
import math
import sys
import time

import numpy as np
import pytest

from fake_aws import FakeAws, Raw
from fake_aws_world import OWN, Known, World, usage_metric
from surgetank import QuotaKey
from surgetank.collect import collect
from surgetank.collect.metrics import Metric, Query, fetch, statistic_of
from test_collect import HOUR, LAMBDA, NOW, expected, held, reach, small
from test_collect import a_file as store

__all__ = ["reach", "store"]  # fixtures

END = NOW // 300 * 300
CALLS = usage_metric("EC2", "RunInstances", "Sum", "CallCount")


def key_of(service, code, region="us-east-1", context=""):
    return QuotaKey(OWN, region, service, code, context)


def test_a_sum_of_calls_is_scaled_to_the_quotas_own_seconds_and_a_sum_of_concurrency_refused(store, reach):
    world = World(
        quotas=(
            Known("ec2", "L-11111111", 2.0, 5.0, metric=CALLS, period=(1, "SECOND")),
            Known("ec2", "L-22222222", 2.0, 5.0, metric=CALLS, period=(5, "MINUTE")),
            Known("ec2", "L-33333333", 2.0, 5.0, metric=CALLS),  # no period is told: calls as they are counted
            # Recommended is a Sum, which would count what is in use at once many times over.
            Known("lambda", "L-B99A9384", 1000.0, 1000.0, metric=("AWS/Lambda", "ConcurrentExecutions", {}, "Sum")),
            Known("x", "L-44444444", 9.0, 9.0, metric=usage_metric("X", "Thing", "Sum"), period=(1, "SECOND")),
        )
    )
    with reach(FakeAws(world)) as fake:
        assert collect(store, small(watch=("*",)), now=NOW).exit_code == 0
    assert fake.broken == []
    one = (world, OWN, "us-east-1")
    span = (END - HOUR, END)
    assert held(store) == {
        key_of("ec2", "L-11111111"): expected(*one, CALLS, "Sum", *span, scale=1 / 300),
        key_of("ec2", "L-22222222"): expected(*one, CALLS, "Sum", *span),
        key_of("ec2", "L-33333333"): expected(*one, CALLS, "Sum", *span),
        key_of("lambda", "L-B99A9384"): expected(*one, LAMBDA, "Maximum", *span),
        key_of("x", "L-44444444"): expected(*one, usage_metric("X", "Thing"), "Maximum", *span),
    }


def test_a_plan_has_the_last_word_on_statistics():
    key, metric = key_of("ec2", "L-11111111"), Metric("AWS/Usage", "CallCount", (), "Sum")
    assert statistic_of(key, metric, {}) == "Sum"
    assert statistic_of(key, metric, {"ec2/*": "Average"}) == "Average"
    assert statistic_of(key, Metric("N", "m", (), "Sum"), {}) == "Sum"
    assert statistic_of(key, Metric("N", "m", (), "p99; drop"), {}) == "Maximum"


def test_gaps_stay_gaps_and_what_is_no_number_is_counted(store, reach):
    world = World(bad=True, points_page=5)
    with reach(FakeAws(world)):
        done = collect(store, small(watch=("ec2/L-1216C47A", "lambda"), backfill_s=12 * HOUR), now=NOW)
    vcpus = usage_metric("EC2", "vCPU")
    one = (world, OWN, "us-east-1")
    span = (END - 12 * HOUR, END)
    assert held(store) == {
        key_of("ec2", "L-1216C47A"): expected(*one, vcpus, "Maximum", *span),
        key_of("lambda", "L-B99A9384"): expected(*one, LAMBDA, "Maximum", *span),
    }
    good = World(bad=False)
    bad = sum(len(expected(good, *one[1:], m, "Maximum", *span)) for m in (vcpus, LAMBDA))
    bad -= sum(len(points) for points in held(store).values())
    assert bad > 0
    assert done.parts[0].left_out == bad
    assert f"{bad} data points were left out" in str(done)
    assert done.exit_code == 0


def test_what_has_no_point_is_not_known_and_not_zero(store, reach):
    world = World()
    world.value = lambda *_: None
    with reach(FakeAws(world)):
        done = collect(store, small(watch=("ec2/L-1216C47A",)), now=NOW)
    assert held(store) == {}
    assert (done.parts[0].no_points, done.parts[0].quotas) == (1, 1)
    assert "CloudWatch has no sample of 1 quotas: their usage is not known, and not zero." in str(done)


def test_a_thousand_quotas_take_three_calls_and_each_page_is_read(store, reach):
    names = [f"L-{n:08X}" for n in range(1001)]
    quotas = tuple(Known("ec2", code, 9.0, 9.0, metric=usage_metric("EC2", code)) for code in names)
    world = World(quotas=quotas, points_page=700)
    with reach(FakeAws(world)) as fake:
        done = collect(store, small(watch=("ec2",), backfill_s=900), now=NOW)
    assert (fake.broken, done.exit_code) == ([], 0)
    asked = [call.parameters for call in fake.calls if call.operation == "GetMetricData"]
    assert [len(given["MetricDataQueries"]) for given in asked if "NextToken" not in given] == [500, 500, 1]
    assert len(asked) > 3
    assert held(store) == {
        key_of("ec2", code): points
        for code in names
        if (points := expected(world, OWN, "us-east-1", usage_metric("EC2", code), "Maximum", END - 900, END))
    }


def test_quotas_of_all_kinds(store, reach):
    world = World(
        quotas=(
            Known("iam", "L-0DA4ABF3", 5000.0, 6000.0, everywhere=True, metric=usage_metric("IAM", "Roles")),
            Known("ec2", "L-AAAAAAAA", 9.0, 12.0, unit="Gigabytes", metric=usage_metric("EC2", "a")),
            Known("ec2", "L-BBBBBBBB", 9.0, None, error="DEPENDENCY_THROTTLING_ERROR", metric=usage_metric("EC2", "b")),
            Known("ec2", "L-CCCCCCCC", None, 3.0, context="res-1", metric=usage_metric("EC2", "c")),
            Known("ec2", "L-DDDDDDD0", 7.0, None, metric=usage_metric("EC2", "d")),
            Known("ec2", "L-EEEEEEEE", 7.0, 8.0),
        )
    )
    with reach(FakeAws(world, page=2)) as fake:
        plan = small(watch=("iam", "ec2"), regions=("eu-west-1", "us-east-1", "ap-south-1"))
        done = collect(store, plan, now=NOW)
    assert fake.broken == []
    quotas = {q.key: q for q in store.quotas()}
    # The account's own is asked for once, and belongs to no Region.
    assert [(str(k), q.value, q.is_global) for k, q in quotas.items() if k.service_code == "iam"] == [
        (f"{OWN} iam/L-0DA4ABF3", 6000.0, True)
    ]
    asked = [call for call in fake.calls if call.operation == "GetMetricData"]
    roles = [c.region for c in asked if any("Roles" in str(q["MetricStat"]) for q in c.parameters["MetricDataQueries"])]
    assert roles == ["us-east-1"]
    assert quotas[key_of("ec2", "L-AAAAAAAA")].unit == "Gigabytes"
    assert quotas[key_of("ec2", "L-CCCCCCCC", context="res-1")].value == 3
    assert (quotas[key_of("ec2", "L-DDDDDDD0")].value, quotas[key_of("ec2", "L-DDDDDDD0")].adjustable) == (7.0, False)
    # A service that did not answer Service Quotas has no applied value, and its default does not stand in for it.
    lacking = quotas[key_of("ec2", "L-BBBBBBBB")]
    assert (math.isnan(lacking.value), lacking.default_value) == (True, 9.0)
    assert sorted((m.region, m.quota_code, m.reason) for m in done.missing) == sorted(
        (region, code, reason)
        for region in plan.regions
        for code, reason in (("L-BBBBBBBB", "no value"), ("L-EEEEEEEE", "no usage metric"))
    )
    assert done.exit_code == 2
    assert set(held(store)) == {
        key_of("iam", "L-0DA4ABF3", "-"),
        *(key_of("ec2", code, region) for region in plan.regions for code in ("L-AAAAAAAA", "L-BBBBBBBB")),
        *(key_of("ec2", "L-CCCCCCCC", region, "res-1") for region in plan.regions),
        *(key_of("ec2", "L-DDDDDDD0", region) for region in plan.regions),
    }


def test_everything_that_is_counted(store, reach):
    codes = ("L-1216C47A", "L-DB2E81BA", "L-417A185B")
    world = World(
        quotas=(
            *(Known("ec2", code, 5.0, 640.0) for code in codes),
            Known("elasticloadbalancing", "L-69A177A2", 50.0, 50.0),
            Known("ecs", "L-21C621EB", 10_000.0, 10_000.0),
            Known("ecs", "L-9EF96962", 5000.0, 5000.0),
        )
    )
    with reach(FakeAws(world, page=4)) as fake:
        done = collect(store, small(watch=("*",)), now=NOW)
    assert (fake.broken, done.exit_code) == ([], 0)

    def many(what, most=9):
        return world.many(OWN, "us-east-1", what, most)

    counted = {key.quota_code: points for key, points in held(store).items()}
    assert counted == {
        "L-1216C47A": {END: 2 * many("m5.large") + 4 * many("c7g.xlarge")},
        "L-DB2E81BA": {END: 4 * many("g5.xlarge")},
        "L-417A185B": {END: 0},  # counted, and there is none
        "L-69A177A2": {END: many("nlb")},
        "L-21C621EB": {END: many("ecs", 150)},
        "L-9EF96962": {END: max(0, many("ecs", 150) - 1)},
    }


def test_the_utilization_report_tells_what_nothing_else_does(store, reach, monkeypatch):
    monkeypatch.setattr(sys.modules["surgetank.collect.utilization"], "POLL_S", 0.01)
    quotas = [Known("vpc", f"L-{n:08X}", 10.0, 20.0 + n, used_percent=12.5 * n) for n in range(7)]
    world = World(quotas=(*quotas, Known("vpc", "L-FFFFFFFF", 10.0, 20.0)), pending=2)
    with reach(FakeAws(world, page=3)) as fake:
        done = collect(store, small(watch=("vpc",)), now=NOW)
    assert fake.broken == []
    assert [(m.quota_code, m.reason) for m in done.missing] == [("L-FFFFFFFF", "no usage metric")]
    made = world.made // 300 * 300
    assert held(store) == {key_of("vpc", f"L-{n:08X}"): {made: 0.125 * n * (20 + n)} for n in range(7)}
    assert sum(call.operation == "StartQuotaUtilizationReport" for call in fake.calls) == 1


def test_a_utilization_of_a_number_beyond_all_leaves_the_others(store, reach):
    page = {"ReportId": "report-1", "Status": "COMPLETED", "GeneratedAt": NOW - 60}
    page["Quotas"] = [
        {"ServiceCode": "vpc", "QuotaCode": code, "Utilization": used, "AppliedValue": 20.0}
        for code, used in (("L-AAAAAAAA", 10**400), ("L-BBBBBBBB", 50.0))
    ]

    def fault(call, nth):
        if call.operation == "GetQuotaUtilizationReport":
            raise Raw(json.dumps(page).encode())

    world = World(quotas=(Known("vpc", "L-AAAAAAAA", 20.0), Known("vpc", "L-BBBBBBBB", 20.0)))
    with reach(FakeAws(world, fault=fault)):
        done = collect(store, small(watch=("vpc",)), now=NOW)
    assert [(m.quota_code, m.reason) for m in done.missing] == [("L-AAAAAAAA", "no usage metric")]
    assert {key.quota_code: list(points.values()) for key, points in held(store).items()} == {"L-BBBBBBBB": [10.0]}


@pytest.mark.parametrize("ahead", [-NOW, -86_401, 301, 400 * 86_400])
def test_a_utilization_report_of_another_time_is_none(store, reach, ahead):
    quotas = (Known("vpc", "L-AAAAAAAA", 9.0, 9.0, used_percent=50.0), *World().quotas)
    with reach(FakeAws(World(quotas=quotas, made=NOW + ahead))):
        done = collect(store, small(watch=("vpc", "rds")), now=NOW)
    of = f"the utilization report is of {np.datetime64(NOW + ahead, 's')}Z, and not of now"
    said = [(m.quota_code, m.reason, m.detail, m.retryable) for m in done.missing]
    assert said == [("L-AAAAAAAA", "malformed response", of, True)]
    assert {key.service_code for key in held(store)} == {"rds"}


@pytest.mark.parametrize(("ahead", "took"), [(-86_400, 0), (300, 0), (7200, 7200)])
def test_a_utilization_report_of_the_last_day_counts(store, reach, monkeypatch, ahead, took):
    """Also one that was made late in a run that takes hours."""
    monkeypatch.setattr(sys.modules["surgetank.collect.gathering"], "monotonic", lambda: time.monotonic() + took)
    quotas = (Known("vpc", "L-AAAAAAAA", 9.0, 8.0, used_percent=50.0),)
    with reach(FakeAws(World(quotas=quotas, made=NOW + ahead))):
        assert collect(store, small(watch=("vpc",)), now=NOW).missing == ()
    assert held(store) == {key_of("vpc", "L-AAAAAAAA"): {(NOW + ahead) // 300 * 300: 4.0}}


def test_a_utilization_report_that_fails_costs_only_what_needs_it(store, reach):
    def fault(call, nth):
        if call.operation == "GetQuotaUtilizationReport":
            raise Raw(b'{"ReportId": "report-1", "Status": "FAILED", "ErrorCode": "Busy"}')

    world = World(quotas=(Known("vpc", "L-AAAAAAAA", 9.0, 9.0, used_percent=50.0), *World().quotas))
    with reach(FakeAws(world, fault=fault)):
        done = collect(store, small(watch=("vpc", "rds")), now=NOW)
    said = [(m.quota_code, m.reason, m.detail, m.retryable) for m in done.missing]
    assert said == [("L-AAAAAAAA", "service error", "the utilization report failed: Busy", True)]
    assert {key.service_code for key in held(store)} == {"rds"}


@pytest.mark.parametrize("period", [60, 3600])
def test_periods(store, reach, period):
    with reach(FakeAws(World())):
        collect(store, small(watch=("ec2/L-1216C47A",), period_s=period, backfill_s=3 * HOUR), now=NOW)
    end = NOW // period * period
    vcpus = usage_metric("EC2", "vCPU")
    wanted = expected(World(), OWN, "us-east-1", vcpus, "Maximum", end - 3 * HOUR, end, period)
    assert held(store) == {key_of("ec2", "L-1216C47A"): wanted}


def taken(found):
    """The samples of a fetch, as plain values."""
    merged = {key: one.merged() for key, one in found.samples.items()}
    return {key: dict(zip(one.time_s.tolist(), one.value.tolist(), strict=True)) for key, one in merged.items()}


class Answers:
    """Clients that give these pages and then an error."""

    def __init__(self, *pages):
        self._pages = pages

    def pages(self, *_, **__):
        for page in self._pages:
            if isinstance(page, Exception):
                raise page
            yield page


def test_what_cloudwatch_says_strangely():
    import datetime as dt

    key = key_of("ec2", "L-1216C47A")
    query = Query(key, Metric("N", "m"), "Maximum", 1.0, 600)
    at = [dt.datetime.fromtimestamp(second, dt.timezone.utc) for second in (300, 600, 900, 1200)]
    strange = {"Id": "q0", "Timestamps": at, "Values": [1.0, 2.0, 3.0, 4.0]}
    found = fetch(Answers({"MetricDataResults": [strange, {"Id": "other", "Values": [1.0]}]}), [query], 1200, 300)
    assert (taken(found), found.left_out, found.failures) == ({key: {600: 2.0, 900: 3.0}}, 3, [])
    found = fetch(Answers({"MetricDataResults": [{**strange, "Values": [1.0]}]}), [query], 1200, 300)
    assert (taken(found), found.failures[0][1].reason) == ({}, "malformed response")
    found = fetch(Answers({"MetricDataResults": [{**strange, "StatusCode": "PartialData"}]}), [query], 1200, 300)
    assert taken(found) == {key: {600: 2.0, 900: 3.0}}
    assert found.failures[0][1].retryable
    # What came before an error is kept.
    found = fetch(Answers({"MetricDataResults": [strange]}, RuntimeError("?")), [query], 1200, 300)
    assert taken(found) == {key: {600: 2.0, 900: 3.0}}
    assert found.failures[0][1].reason == "malformed response"
    # An integer that float64 does not hold is one data point less, and no error.
    found = fetch(Answers({"MetricDataResults": [{**strange, "Values": [1, 10**400, 3, 4]}]}), [query], 1200, 300)
    assert (taken(found), found.left_out, found.failures) == ({key: {900: 3.0}}, 3, [])
    for body in ({"MetricDataResults": 7}, {"MetricDataResults": [None]}):
        assert fetch(Answers(body), [query], 1200, 300).failures[0][1].reason == "malformed response"
