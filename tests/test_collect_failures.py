"""What goes wrong on the way to AWS: reported with its reason and place, nothing that was fetched lost, never zero."""

import json
import sys

import pandas as pd
import pytest

from fake_aws import FakeAws, Raw, Refusal
from fake_aws_world import OWN, Known, World, accounts, usage_metric
from surgetank import CollectError, InvalidInput, QuotaKey, SurgetankError
from surgetank.collect import CollectPlan, collect
from surgetank.collect.clients import Pace
from test_collect import HOUR, NOW, a_file, expected, held, opened, reach, small, store

__all__ = ["a_file", "opened", "reach", "store"]  # fixtures

END = NOW // 300 * 300
SAID = "\nAKIAABCDEFGHIJKLMNOP \x1b[31m" + "x" * 3000
LONG = "no " + "x" * 280 + " AKIAABCDEFGHIJKLMNOP"  # the cut lies in the id
REGIONS = ("us-east-1", "eu-west-1", "ap-east-1")


def when(test, error):
    """A fault of the calls for which the test holds."""

    def fault(call, nth):
        if test(call):
            raise error() if callable(error) else error

    return fault


def asks(operation, **parameters):
    return lambda call: call.operation == operation and parameters.items() <= call.parameters.items()


def said_of(done):
    return {(m.account, m.region, m.service_code, m.quota_code): (m.reason, m.retryable) for m in done.missing}


@pytest.mark.parametrize(
    ("error", "reason", "retryable"),
    [
        (lambda: Refusal("AccessDenied"), "access denied", False),
        (lambda: Refusal("UnauthorizedOperation", status=403), "access denied", False),
        (lambda: Refusal("OptInRequired", status=403), "Region not enabled", False),
        (lambda: Refusal("UnrecognizedClientException"), "Region not enabled", False),
        (lambda: Refusal("ExpiredTokenException"), "expired credentials", False),
        (lambda: Refusal("ThrottlingException"), "throttled", True),
        (lambda: Refusal("InternalFailure", status=500), "service error", True),
        (lambda: Refusal("SomethingNew"), "refused", False),
        (lambda: Refusal("InvalidSignatureException", "Signature expired: … is now earlier"), "clock skew", False),
        (lambda: Refusal("InvalidSignatureException", "The signature does not match"), "refused", False),
        (lambda: Raw(b'{"Quotas": [{"QuotaCode"'), "malformed response", True),
        (lambda: Raw(b"<html>a proxy says hello</html>"), "malformed response", True),
        (lambda: Raw(b'{"Quotas": "many"}'), "malformed response", True),
        (lambda: Raw(b'{"Quotas": [17]}'), "malformed response", True),
        (lambda: Raw(b"[" * 100_000), "malformed response", True),
        (lambda: Raw(b"", silent_s=0.6), "timeout", True),
    ],
)
def test_a_region_that_does_not_answer(a_file, reach, error, reason, retryable):
    fault = when(lambda call: call.region == "ap-east-1", error)
    with reach(FakeAws(World(), fault=fault)) as fake:
        plan = small(
            regions=REGIONS, attempts=1, read_timeout_s=0.3 if reason == "timeout" else 30, watch=("ec2/L-1216C47A",)
        )
        done = collect(a_file, plan, now=NOW)
    assert fake.broken == []
    assert {(m.region, m.reason, m.retryable) for m in done.missing} == {("ap-east-1", reason, retryable)}
    assert (done.exit_code, done.retryable) == (2, retryable)
    assert [part.status for part in done.parts] == ["nothing", "covered", "covered"]
    assert {key.region for key in held(a_file)} == {"us-east-1", "eu-west-1"}
    assert all(key.region != "ap-east-1" or quota.value != 0 for key, quota in ((q.key, q) for q in a_file.quotas()))


def test_one_account_is_denied_one_call(store, reach):
    one, other = accounts(2)
    fault = when(lambda c: (c.account, c.operation) == (one, "GetMetricData"), lambda: Refusal("AccessDenied"))
    with reach(FakeAws(World(), fault=fault)):
        done = collect(store, small(accounts=(one, other), role="reader"), now=NOW)
    denied = ("access denied", False)
    assert said_of(done) == {
        (one, "us-east-1", "ec2", "L-1216C47A"): denied,
        (one, "us-east-1", "lambda", "L-B99A9384"): denied,
    }
    # Its quotas are there, and what can be counted; the rest of its usage is not known.
    assert sum(quota.key.account == one for quota in store.quotas()) == 5
    assert sum(key.account == one for key in held(store)) == 3
    assert sum(key.account == other for key in held(store)) == 5


def test_a_page_of_ten_is_denied_and_the_nine_before_it_are_kept(store, reach):
    names = [f"L-{n:08X}" for n in range(20)]
    world = World(quotas=tuple(Known("ec2", c, 9.0, 9.0, metric=usage_metric("EC2", c)) for c in names))
    fault = when(
        lambda c: c.operation == "ListServiceQuotas" and c.parameters.get("NextToken") == "18",
        lambda: Refusal("AccessDenied"),
    )
    with reach(FakeAws(world, page=2, fault=fault)):
        done = collect(store, small(watch=("ec2",)), now=NOW)
    assert said_of(done) == {(OWN, "us-east-1", "ec2", ""): ("access denied", False)}
    values = {q.key.quota_code: q.value for q in store.quotas()}
    assert [values[name] for name in names[:18]] == [9.0] * 18
    # Those of the page that is lacking may be anything: their defaults are known, and their values are not.
    assert [values[name] == values[name] for name in names[18:]] == [False, False]
    assert len(held(store)) == 20  # and their usage is


def test_points_before_an_error_are_kept_and_the_next_run_goes_on_there(store, reach):
    world = World(points_page=4, gaps=False)
    broken = when(
        lambda c: c.operation == "GetMetricData" and c.parameters.get("NextToken") == "8",
        lambda: Refusal("AccessDenied"),
    )
    vcpus = usage_metric("EC2", "vCPU")
    key = QuotaKey(OWN, "us-east-1", "ec2", "L-1216C47A")
    wanted = expected(world, OWN, "us-east-1", vcpus, "Maximum", END - HOUR, END)
    with reach(FakeAws(world, fault=broken)):
        done = collect(store, small(watch=("ec2/L-1216C47A",)), now=NOW)
    assert (done.exit_code, held(store)) == (2, {key: dict(list(wanted.items())[:8])})
    with reach(FakeAws(world)) as fake:
        done = collect(store, small(watch=("ec2/L-1216C47A",)), now=NOW)
    assert (done.exit_code, held(store)) == (0, {key: wanted})
    asked = [call.parameters["StartTime"] for call in fake.calls if call.operation == "GetMetricData"]
    assert int(asked[0].timestamp()) == list(wanted)[7] - 3 * 300  # the last one, and a little before


def test_a_role_that_may_not_be_assumed(a_file, reach):
    one, other = accounts(2)
    fault = when(
        lambda c: c.operation == "AssumeRole" and one in c.parameters["RoleArn"], lambda: Refusal("AccessDenied")
    )
    with reach(FakeAws(World(), fault=fault)) as fake:
        done = collect(a_file, small(accounts=(one, other), role="reader", regions=REGIONS[:2]), now=NOW)
    assert said_of(done) == {(one, region, "", ""): ("access denied", False) for region in REGIONS[:2]}
    assert sum(call.operation == "AssumeRole" for call in fake.calls) == 2  # once is enough to know
    assert {key.account for key in held(a_file)} == {other}


def test_an_organization_with_a_suspended_account(a_file, reach):
    ids = accounts(9)
    listed = tuple((account, "SUSPENDED" if account == ids[4] else "ACTIVE") for account in ids)
    with reach(FakeAws(World(own=ids[0], listed=listed))) as fake:
        done = collect(a_file, small(accounts=("organization",), role="reader", watch=("rds",)), now=NOW)
    assert fake.broken == []
    assert [(m.account, m.detail) for m in done.missing] == [(ids[4], "the account is SUSPENDED")]
    assert {key.account for key in held(a_file)} == set(ids) - {ids[4]}
    assert sum(call.operation == "AssumeRole" for call in fake.calls) == 7  # not into its own


def test_a_state_of_an_account_is_masked_and_cut_as_well(a_file, reach):
    listed = ((OWN, "ACTIVE"), (accounts(1)[0], LONG))
    with reach(FakeAws(World(listed=listed))):
        done = collect(a_file, small(accounts=("organization",), watch=("rds",)), now=NOW)
    (said,) = (m.detail for m in done.missing)
    assert (said[:19], "AKIAA" in said, len(said)) == ("the account is no x", False, 300)


def test_without_credentials_there_is_one_error(a_file, reach, monkeypatch):
    with reach(FakeAws(World())) as fake:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        with pytest.raises(CollectError) as caught:
            collect(a_file, small(), now=NOW)
    assert isinstance(caught.value, SurgetankError)
    assert (caught.value.reason, caught.value.service, caught.value.region) == ("no credentials", "sts", "us-east-1")
    assert fake.calls == []


def test_expired_credentials_are_one_error_without_account_ids(a_file, reach):
    said = f"The security token included in the request is expired: arn:aws:iam::{OWN}:user/u AKIAABCDEFGHIJKLMNOP"
    fault = when(lambda c: True, lambda: Refusal("ExpiredToken", said))
    with reach(FakeAws(World(), fault=fault)), pytest.raises(CollectError, match="expired credentials") as caught:
        collect(a_file, small(), now=NOW)
    assert OWN not in str(caught.value)
    assert "ABCDEFGHIJ" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("said", [SAID, LONG])
def test_what_aws_said_is_shown_without_ids_of_keys_and_cut_wherever_it_stood(a_file, reach, said):
    world = World(quotas=(Known("ec2", "L-AAAAAAAA", 9.0, error="DEPENDENCY_ERROR"), *World().quotas))
    listed, metrics = world.service_quotas_ListServiceQuotas, world.cloudwatch_GetMetricData

    def with_reasons(call, page):
        answer = listed(call, page)
        for item in answer["Quotas"]:
            if "ErrorReason" in item:
                item["ErrorReason"]["ErrorMessage"] = said
        return answer

    def with_messages(call, page):
        answer = metrics(call, page)
        message = {"StatusCode": "Forbidden", "Messages": [{"Code": "Forbidden", "Value": said}]}
        answer["MetricDataResults"][0].update(message)
        return answer

    world.service_quotas_ListServiceQuotas, world.cloudwatch_GetMetricData = with_reasons, with_messages
    fault = when(asks("DescribeDBInstances"), lambda: Refusal("AccessDenied", said.replace("\x1b", "")))
    with reach(FakeAws(world, fault=fault)):
        done = collect(a_file, small(watch=("ec2/L-1216C47A", "ec2/L-AAAAAAAA", "rds")), now=NOW)
    given = {m.detail for m in done.missing if m.quota_code in ("L-AAAAAAAA", "L-1216C47A", "L-7B6409FD")}
    assert len(given) == 4  # one of them has neither a value nor usage
    for detail in given - {"no way to count it, and not in the utilization report"}:
        assert "AKIAA" not in detail
        assert detail.isprintable()
        assert len(detail) < 320
        assert detail.endswith("…")
    assert "ABCDEFGHIJKL" not in f"{done} {done.to_dict()}"


def test_what_is_wrong_is_said_before_anything_is_asked(a_file, reach):
    with reach(FakeAws(World())) as fake:
        with pytest.raises(InvalidInput, match="regions: must be Regions that this version of botocore knows"):
            collect(a_file, small(regions=("us-esat-1",)), now=NOW)
        with pytest.raises(InvalidInput, match="role: must be given for accounts other than"):
            collect(a_file, small(accounts=accounts(2)), now=NOW)
    assert {call.operation for call in fake.calls} == {"GetCallerIdentity"}


def test_a_unit_that_the_store_knows_otherwise_costs_only_that_quota(store, reach):
    frame = {"timestamp": [END], "region": ["us-east-1"], "usage": [1.0], "unit": ["Bytes"]}
    store.import_usage(pd.DataFrame(frame), account=OWN, service_code="ec2", quota_code="L-AAAAAAAA")
    quotas = [Known("ec2", f"L-{x * 8}", 9.0, 9.0, unit="Count", metric=usage_metric("EC2", x)) for x in "ABC"]
    with reach(FakeAws(World(quotas=tuple(quotas)))):
        done = collect(store, small(watch=("ec2",)), now=NOW)
    assert said_of(done) == {(OWN, "us-east-1", "ec2", "L-AAAAAAAA"): ("not stored", False)}
    assert {key.quota_code for key, points in held(store).items() if len(points) > 1} == {"L-BBBBBBBB", "L-CCCCCCCC"}


def test_huge_answers_and_listings_without_an_end(store, reach):
    quota = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A", "QuotaName": "\ud800" + "x" * 3_000_000, "Value": 5.0}
    huge = json.dumps({"Quotas": [quota]}).encode()
    endless = json.dumps({"Quotas": [], "NextToken": "again"}).encode()

    def fault(call, nth):
        if call.operation == "ListServiceQuotas":
            raise Raw(huge if call.parameters["ServiceCode"] == "ec2" else endless)

    with reach(FakeAws(World(), fault=fault)):
        done = collect(store, small(watch=("ec2/L-1216C47A", "rds")), now=NOW)
    assert said_of(done) == {(OWN, "us-east-1", "rds", ""): ("malformed response", True)}
    assert {quota.key.service_code: quota.value for quota in store.quotas() if quota.value == quota.value} == {"ec2": 5}
    assert [quota.name[:3] for quota in store.quotas() if quota.key.service_code == "ec2"] == ["?xx"]


HUGE = 10**400  # JSON has no largest integer, and float64 has
METRIC = {"MetricNamespace": "N", "MetricName": "usual", "MetricDimensions": {}}


@pytest.mark.parametrize(
    "item",
    [
        {"Value": HUGE},
        {"Period": {"PeriodValue": HUGE, "PeriodUnit": "SECOND"}},
        {"Period": {"PeriodValue": -5, "PeriodUnit": "SECOND"}},
        {"UsageMetric": {**METRIC, "MetricNamespace": "\ud800"}},
        {"UsageMetric": {**METRIC, "MetricDimensions": {"Service": ""}}},
        {"UsageMetric": {**METRIC, "MetricDimensions": {f"d{n}": "x" for n in range(31)}}},
    ],
)
def test_one_strange_quota_costs_no_other(a_file, reach, item):
    strange = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A", "Value": 640.0, **item}
    usual = {"ServiceCode": "ec2", "QuotaCode": "L-AAAAAAAA", "Value": 9.0, "UsageMetric": METRIC}
    body = json.dumps({"Quotas": [strange, usual]}).encode()
    asked = asks("ListServiceQuotas", ServiceCode="ec2")
    with reach(FakeAws(World(), fault=when(asked, lambda: Raw(body)))):
        done = collect(a_file, small(watch=("ec2/L-1216C47A", "ec2/L-AAAAAAAA", "rds")), now=NOW)
    assert said_of(done) == {(OWN, "us-east-1", "ec2", "L-1216C47A"): ("malformed response", True)}
    # Where only its metric or period is none, its value is known, and its usage is counted.
    rest = set() if "Value" in item else {"L-1216C47A"}
    assert {key.quota_code for key in held(a_file)} == {"L-AAAAAAAA", "L-7B6409FD"} | rest
    values = {quota.key.quota_code: quota.value for quota in a_file.quotas() if quota.key.service_code == "ec2"}
    assert values == {"L-AAAAAAAA": 9.0, **dict.fromkeys(rest, 640.0)}


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", '"640"', "true", "{}"])
def test_values_that_are_none(a_file, reach, value):
    body = f'{{"Quotas": [{{"ServiceCode": "ec2", "QuotaCode": "L-1216C47A", "Value": {value}}}]}}'.encode()
    fault = when(lambda c: c.operation == "ListServiceQuotas", lambda: Raw(body))
    with reach(FakeAws(World(), fault=fault)):
        done = collect(a_file, small(watch=("ec2/L-1216C47A",)), now=NOW)
    if value == "NaN":  # which is how one says that it is not known
        assert [quota.value for quota in a_file.quotas()] == [5.0]
    else:
        assert said_of(done)[OWN, "us-east-1", "ec2", "L-1216C47A"] == ("malformed response", True)
        assert [quota.value for quota in a_file.quotas()] == []


def test_the_pace_is_held_with_retries(a_file, reach):
    from fake_aws import throttled_every

    with reach(FakeAws(World(), page=1, fault=throttled_every(30))) as fake:
        plan = CollectPlan(regions=("us-east-1", "eu-west-1"), rate=20, backfill_s=HOUR)
        assert collect(a_file, plan, now=NOW).exit_code == 0
    # 20 are sent; the first of a connection may come late, so that some more arrive in one second.
    assert fake.most_in_a_second() <= 23
    assert len(fake.calls) > 30


def test_the_pace_by_a_clock_of_its_own(monkeypatch):
    now, sent = [100.0], []
    clock = sys.modules[Pace.__module__].time
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(clock, "sleep", lambda s: now.__setitem__(0, now[0] + s))
    pace = Pace(4)
    for n in range(40):
        pace.wait()
        sent.append(now[0])
        now[0] += (0.0, 0.0, 0.01, 0.0, 0.0, 0.9)[n % 6]
    assert max(sum(at <= other < at + 1 for other in sent) for at in sent) == 4
