"""From labels to keys: usual names, what is mapped and what is fixed; two series are never merged unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clear import clear_error
from surgetank import InvalidInput, QuotaKey
from surgetank.history.keys import KEY_FIELDS
from surgetank.history.naming import Naming


def naming(*, columns=None, series=None, stem="usage", **fixed):
    return Naming(columns, fixed, series, stem)


@pytest.mark.parametrize(
    ("labels", "how", "key"),
    [
        (
            {"__name__": "x", "account": "1", "region": "r", "service_code": "s", "quota_code": "q", "context_id": "c"},
            {},
            QuotaKey("1", "r", "s", "q", "c"),
        ),
        (
            {"account_id": "1", "aws_region": "r", "service": "s", "QuotaCode": "q"},
            {},
            QuotaKey("1", "r", "s", "q"),
        ),
        ({"__name__": "vcpus", "region": "us-east-1"}, {}, QuotaKey(region="us-east-1", service_code="vcpus")),
        ({"region": "us-east-1"}, {}, QuotaKey(region="us-east-1", service_code="usage")),
        ({"region": "us-east-1"}, {"stem": ""}, QuotaKey(region="us-east-1")),
        ({}, {}, QuotaKey(service_code="usage")),
        # A metric's name is no service where a label names the quota.
        ({"__name__": "used", "quota_code": "L-1"}, {}, QuotaKey(quota_code="L-1")),
        ({"__name__": "used", "quota_code": "L-1"}, {"service_code": "ec2"}, QuotaKey("-", "-", "ec2", "L-1")),
        ({"__name__": "x"}, {"service_code": "ec2", "account": "1"}, QuotaKey("1", "-", "ec2")),
        ({"__name__": "x", "region": "eu-west-1"}, {"region": "eu-west-1"}, QuotaKey("-", "eu-west-1", "x")),
        (
            {"__name__": "x", "instance": "i-1", "region": "r"},
            {"columns": {"quota_code": "instance", "service_code": "__name__"}},
            QuotaKey("-", "r", "x", "i-1"),
        ),
        ({"__name__": "x", "region": " r ", "account": "  "}, {}, QuotaKey("-", "r", "x")),
        # A mapped label outdoes the usual name.
        ({"region": "r", "home": "h", "service": "s"}, {"columns": {"region": "home"}}, QuotaKey("-", "h", "s")),
    ],
)
def test_labels_of_prometheus(labels, how, key):
    assert naming(**how).key(labels) == key


@pytest.mark.parametrize(
    ("label", "how", "key"),
    [
        ("us-east-1", {}, QuotaKey(region="us-east-1", service_code="usage")),
        ("us-east-1", {"service_code": "ec2"}, QuotaKey(region="us-east-1", service_code="ec2")),
        ("us-gov-west-1", {"stem": ""}, QuotaKey(region="us-gov-west-1")),
        ("us-east-1", {"region": "us-east-1"}, QuotaKey(region="us-east-1", service_code="usage")),
        ("ResourceCount", {}, QuotaKey(service_code="ResourceCount")),
        ("ResourceCount", {"region": "us-east-1"}, QuotaKey(region="us-east-1", service_code="ResourceCount")),
        ("L-1216C47A", {"service_code": "ec2"}, QuotaKey(service_code="ec2", quota_code="L-1216C47A")),
        ("EC2", {"quota_code": "L-1"}, QuotaKey(service_code="EC2", quota_code="L-1")),
        ("whatever", {"service_code": "ec2", "quota_code": "L-1"}, QuotaKey("-", "-", "ec2", "L-1")),
        (
            "us-east-1.ec2",
            {"series": "{region}.{service_code}"},
            QuotaKey(region="us-east-1", service_code="ec2"),
        ),
        (
            "us-east-1 L-1",
            {"series": "{region} {quota_code}", "service_code": "ec2", "account": "1"},
            QuotaKey("1", "us-east-1", "ec2", "L-1"),
        ),
        ("us-east-1", {"columns": {"quota_code": "label"}}, QuotaKey("-", "-", "usage", "us-east-1")),
        ("us-east-1", {"columns": {"quota_code": "id"}}, QuotaKey("-", "us-east-1", "usage", "m1")),
        ("", {}, QuotaKey(service_code="m1")),
    ],
)
def test_labels_of_cloudwatch(label, how, key):
    assert naming(**how).key({"id": "m1", "label": label}) == key


def test_the_statistics_command_has_a_label_alone():
    assert naming().key({"label": "CPUUtilization"}) == QuotaKey(service_code="CPUUtilization")


def test_the_same_labels_again_are_the_same_series():
    names = naming()
    for labels in ({"id": "m1", "label": "a"}, {"__name__": "x", "job": "y"}):
        assert names.key(labels) == names.key(dict(reversed(labels.items())))


def test_what_the_report_says():
    names = naming(account="1", columns={"quota_code": "instance"})
    names.key({"__name__": "x", "region": "r", "instance": "i", "job": "j"})
    names.key({"__name__": "x", "aws_region": "q", "instance": "i", "pod": "p"})
    assert names.described == {
        "quota_code": "label 'instance'",
        "region": "label 'region' or label 'aws_region'",
        "account": "'1'",
    }
    assert names.ignored == ("__name__", "job", "pod")
    names = naming(series="{region}.{service_code}")
    names.key({"id": "m1", "label": "us-east-1.ec2"})
    names.key({"id": "m2", "label": "us-east-1.rds"})
    assert names.described["series"] == "2 labels, such as 'us-east-1.ec2' as us-east-1 ec2"
    assert names.described["region"] == "label 'label'"
    assert names.ignored == ()
    names = naming()
    names.key({"id": "m1"})
    assert names.described == {"service_code": "label 'id'"}


@pytest.mark.parametrize(
    ("sets", "how", "words"),
    [
        (
            [{"__name__": "x", "instance": "a"}, {"__name__": "x", "instance": "b"}],
            {},
            ["columns", "'instance' differs", "columns={'quota_code': 'instance'}", "--column quota_code=instance"],
        ),
        (
            [{"service": "x", "quota_code": "q", "pod": "a"}, {"service": "x", "quota_code": "q"}],
            {},
            ["'pod' differs", "--column context_id=pod"],
        ),
        (
            [{"__name__": "x", "quota_code": "q"}, {"__name__": "y", "quota_code": "q"}],
            {},
            ["'__name__' differs", "--column service_code=__name__", "x and y"],
        ),
        (
            [{"region": "r", "job": "a", "x": "1"}, {"region": "r", "job": "a", "x": "2"}],
            {"service_code": "s", "quota_code": "q"},
            ["'x' differs", "context_id"],
        ),
        (
            [{"id": "m1", "label": "a"}, {"id": "m2", "label": "a"}],
            {},
            ["series", "--series", "a Label of its own", "Id 'm1'", "Id 'm2'"],
        ),
        (
            [{"id": "m1", "label": "a"}, {"id": "m2", "label": "b"}],
            {"service_code": "s", "quota_code": "q"},
            ["series", "--series", "'a'", "'b'"],
        ),
        (
            [{"id": "m1", "label": "r.s"}, {"id": "m2", "label": "r.s"}],
            {"series": "{region}.{service_code}"},
            ["--series", "m1", "m2"],
        ),
        ([{"__name__": "x", "region": "a"}], {"region": "b"}, ["region: ", "label 'region'", "'a'", "got 'b'"]),
        ([{"id": "m1", "label": "us-east-1"}], {"region": "eu-west-1"}, ["region: ", "'us-east-1'", "got 'eu-west-1'"]),
        ([{"x": "1", "instance": "a"}], {"columns": {"region": "instanc"}}, ["columns", "did you mean 'instance'"]),
        ([{"id": "m1", "label": "x"}], {"columns": {"region": "reg"}}, ["columns", "not there", "reg"]),
        ([{"__name__": "x"}], {"series": "{region}"}, ["series", "CloudWatch", "--column"]),
        ([{"id": "m1", "label": "x"}], {"series": "{region}.{service_code}"}, ["series", "must match", "'x'"]),
    ],
)
def test_what_is_refused(sets, how, words):
    names = naming(**how)
    with clear_error(InvalidInput, *words):
        for labels in sets:
            names.key(labels)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"series": "region"}, ["series", "must name parts"]),
        ({"series": 5}, ["series", "must be a text"]),
        ({"series": "{region}.{region}"}, ["series", "must name parts"]),
        ({"series": "{region}", "region": "r"}, ["region", "series template already"]),
        ({"series": "{region}", "columns": {"region": "label"}}, ["series", "must not name region"]),
        ({"columns": {"regoin": "x"}}, ["columns", "did you mean 'region'"]),
        ({"columns": {"usage": "x"}}, ["columns", "must map the fields"]),
        ({"servce_code": "x"}, ["fixed", "did you mean 'service_code'"]),
    ],
)
def test_what_is_refused_before_the_first_series(how, words):
    with clear_error(InvalidInput, *words):
        naming(**how)


names_of_labels = st.sampled_from(
    ["__name__", "region", "aws_region", "account", "service", "quota_code", "job", "id", "label"]
)
label_sets = st.dictionaries(names_of_labels, st.sampled_from(["", "a", "b", "us-east-1", "x.y"]), max_size=5)


@given(
    st.lists(label_sets, max_size=6),
    st.dictionaries(st.sampled_from(KEY_FIELDS), st.sampled_from(["a", "b"]), max_size=2),
    st.sampled_from([None, "{region}.{service_code}"]),
)
def test_two_sets_of_labels_never_share_a_key(sets, fixed, series):
    try:
        names = Naming(None, fixed, series, "stem")
        keys = [names.key(labels) for labels in sets]
    except InvalidInput as error:
        assert str(error).isprintable()  # noqa: PT017 - refusing is as good as telling apart
        return
    said = [frozenset((name, text) for name, text in labels.items() if text) for labels in sets]
    for one, key in zip(said, keys, strict=True):
        assert {k for s, k in zip(said, keys, strict=True) if s == one} == {key}
    assert len(set(keys)) == len(set(said))
    assert all(key[KEY_FIELDS.index(field)] == value for key in keys for field, value in fixed.items())
