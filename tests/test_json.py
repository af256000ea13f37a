"""JSON of the AWS CLI and of Prometheus: each format as it is printed, and one clear error for what is none."""

import json
import locale
import subprocess
import sys

import pytest

from clear import clear_error
from json_documents import (
    ALL,
    DEFAULT_QUOTA,
    METRIC_DATA,
    METRIC_STATISTICS,
    PROMETHEUS,
    QUOTA,
    QUOTAS,
    RESOURCE_QUOTA,
    notes,
    plain,
    read,
)
from surgetank import InvalidInput
from surgetank.history import jsonparts
from surgetank.history.jsonevents import is_json
from surgetank.history.jsonfile import QuotaRows, Series


def result(**changes):
    """A get-metric-data document of one result."""
    return {"MetricDataResults": [{"Id": "m1", "Label": "a", "Timestamps": [1], "Values": [2], **changes}]}


def points(*datapoints, label="x"):
    return {"Label": label, "Datapoints": list(datapoints)}


def matrix(*items, **beside):
    return {"status": "success", "data": {"resultType": "matrix", "result": list(items)}, **beside}


def test_get_metric_data():
    first, second = read(METRIC_DATA)
    assert first.labels == {"id": "m1", "label": "us-east-1.ec2"}
    assert first.timestamp == METRIC_DATA["MetricDataResults"][0]["Timestamps"]
    assert first.usage == [12.0, 11.5, 10.0]
    assert (first.statistic, first.unit) == ("", "")
    assert first.place(2) == "all.json, MetricDataResults[0], Values[2]"
    assert (second.labels["label"], second.timestamp, second.usage) == ("us-west-2.ec2", [], [])


def test_pages_of_get_metric_data():
    page = {**METRIC_DATA["MetricDataResults"][0], "StatusCode": "PartialData"}
    whole = {"MetricDataResults": [page, METRIC_DATA["MetricDataResults"][0]]}
    one, two = read(whole)  # the last page is whole, so nothing is to be said
    assert one.labels == two.labels
    *_, note = read({"MetricDataResults": [page]})
    assert note.text == "all.json: not all of it is here (StatusCode PartialData): MetricDataResults[0]"
    several = {"MetricDataResults": [{**page, "Id": f"m{i}", "StatusCode": "Forbidden"} for i in range(5)]}
    assert notes(read(several)) == [
        "all.json: not all of it is here (StatusCode Forbidden): "
        "MetricDataResults[0], MetricDataResults[1], MetricDataResults[2] and 2 more"
    ]


def test_what_cloudwatch_says_beside_the_samples():
    said = result(Messages=[{"Code": "A", "Value": "of one"}], Extra={"x": [1]})
    said |= {"Messages": [{"Code": "B", "Value": "of all"}], "NextToken": "abc", "More": [[]], "ResponseMetadata": {}}
    assert notes(read(said)) == [
        "all.json: CloudWatch says A: of one: MetricDataResults[0]",
        "all.json: not read, because it is not known: Extra: MetricDataResults[0]",
        "all.json: not read, because it is not known: More",
        "all.json: CloudWatch says B: of all: Messages",
        "all.json: there is more than this document holds: NextToken",
    ]


def test_series_of_the_same_name_in_several_documents_are_noted():
    content = json.dumps(METRIC_DATA) + json.dumps(METRIC_DATA)
    note = "all.json: an earlier document has series of the same name, and they are read as the same series: "
    assert notes(read(content)) == [note + "document 2, MetricDataResults[0]"]
    content = json.dumps(METRIC_STATISTICS) * 2
    assert notes(read(content)) == [note + "document 2, Label"]
    assert notes(read(json.dumps(METRIC_STATISTICS) + json.dumps({**METRIC_STATISTICS, "Label": "other"}))) == []


@pytest.mark.parametrize("keys", [("Label", "Datapoints"), ("Datapoints", "Label")])
def test_get_metric_statistics(keys):
    (series,) = read({key: METRIC_STATISTICS[key] for key in keys})
    assert series.labels == {"label": "CPUUtilization"}
    assert series.timestamp == [point["Timestamp"] for point in METRIC_STATISTICS["Datapoints"]]
    assert series.usage == [44.79, 47.92, 50.85]
    assert (series.statistic, series.unit) == ("Maximum", "Percent")
    assert series.place(1) == "all.json, Datapoints[1]"


@pytest.mark.parametrize(
    ("datapoints", "statistic", "name", "usage", "unit"),
    [
        ([], None, "", [], ""),
        ([], "Sum", "Sum", [], ""),
        ([{"Timestamp": 1, "Sum": 2, "Unit": "None"}], None, "Sum", [2.0], ""),
        ([{"Timestamp": 1, "Average": 1, "Maximum": 3}], None, "Maximum", [3.0], ""),
        ([{"Timestamp": 1, "Average": 1, "Maximum": 3}], "Average", "Average", [1.0], ""),
        ([{"Timestamp": 1, "ExtendedStatistics": {"p99": 4.5}}], None, "p99", [4.5], ""),
        ([{"Timestamp": 1, "Sum": 1, "ExtendedStatistics": {"p50": 2, "p99": 4.5}}], "p50", "p50", [2.0], ""),
        ([{"Timestamp": 1}, {"Timestamp": 2, "Sum": 1, "Unit": "Count"}, {}], None, "Sum", [None, 1.0, None], "Count"),
        ([{"Timestamp": 1, "Sum": None, "ExtendedStatistics": None}], None, "Sum", [None], ""),
    ],
)
def test_which_statistic(datapoints, statistic, name, usage, unit):
    (series,) = read(points(*datapoints), statistic=statistic)
    assert (series.statistic, series.usage, series.unit) == (name, usage, unit)


def test_list_service_quotas():
    mine, default = read(QUOTAS)
    assert not mine.default
    assert default.default
    assert mine.columns == {
        "account": ["123456789012"] * 2,
        "region": ["us-east-2", "us-gov-west-1"],
        "service_code": ["ec2", "es"],
        "quota_code": ["L-1216C47A", "L-6408ABDE"],
        "context_id": [None, RESOURCE_QUOTA["QuotaContext"]["ContextId"]],
        "quota": [1920.0, 80],
        "default_value": [None, None],
        "unit": [None, "Count"],
        "name": [QUOTA["QuotaName"], RESOURCE_QUOTA["QuotaName"]],
        "adjustable": [True, None],
        "is_global": [False, None],
    }
    assert [mine.place(0), mine.place(1), default.place(0)] == [f"all.json, Quotas[{i}]" for i in range(3)]
    assert (default.columns["account"], default.columns["region"]) == ([None], ["us-west-2"])
    assert (default.columns["quota"], default.columns["default_value"]) == ([None], [50.0])


def test_one_quota():
    for quota, default in ((QUOTA, False), (DEFAULT_QUOTA, True)):
        (rows,) = read({"Quota": quota})
        assert rows.default is default
        assert rows.place(0) == "all.json, Quota"


def test_a_quota_without_a_value_is_noted():
    reason = {"ErrorCode": "DEPENDENCY_ACCESS_DENIED_ERROR", "ErrorMessage": "no"}
    bare = {key: value for key, value in QUOTA.items() if key != "Value"}
    rows, *said = read({"Quotas": [{**bare, "ErrorReason": reason}, bare, {**QUOTA, "ErrorReason": reason, "New": 1}]})
    assert rows.columns["quota"] == [1920.0]
    assert [note.text for note in said] == [
        "all.json: ec2/L-1216C47A has an ErrorReason, and is left out: DEPENDENCY_ACCESS_DENIED_ERROR: no: Quotas[0]",
        "all.json: has no Value, and is left out: Quotas[1] (ec2/L-1216C47A)",
        "all.json: not read, because it is not known: New: Quotas[2]",
        "all.json: ec2/L-1216C47A has an ErrorReason: DEPENDENCY_ACCESS_DENIED_ERROR: no: Quotas[2]",
    ]


def test_quotas_come_in_batches():
    found = read({"Quotas": [{**QUOTA, "QuotaCode": f"L-{i}"} for i in range(2500)], "NextToken": None})
    assert [len(rows.columns["quota"]) for rows in found] == [1000, 1000, 500]
    assert found[1].place(7) == "all.json, Quotas[1007]"
    assert read({"Quotas": []}) == []


@pytest.mark.parametrize(
    ("arn", "account", "region", "default"),
    [
        ("arn:aws-cn:servicequotas:cn-north-1:1:ec2/L-1216C47A", "1", "cn-north-1", False),
        ("arn:aws:servicequotas:::iam/L-F55AF5E4", None, None, True),
        ("arn:aws:servicequotas::1:iam/L-F55AF5E4", "1", None, False),
        (None, None, None, False),
    ],
)
def test_where_a_quota_holds(arn, account, region, default):
    (rows,) = read({"Quotas": [{**QUOTA, "QuotaArn": arn}]})
    assert (rows.columns["account"], rows.columns["region"], rows.default) == ([account], [region], default)


def test_the_arn_alone_names_a_quota():
    (rows,) = read({"Quotas": [{"QuotaArn": QUOTA["QuotaArn"], "Value": 1}]})
    assert (rows.columns["service_code"], rows.columns["quota_code"]) == (["ec2"], ["L-1216C47A"])


@pytest.mark.parametrize("order", [1, -1])
def test_a_range_query(order):
    document = {"status": "success", "data": dict(list(PROMETHEUS["data"].items())[::order])}
    first, second = read(dict(list(document.items())[::order]))
    assert first.labels == {"__name__": "up", "job": "prometheus", "instance": "localhost:9090"}
    assert first.timestamp == [1435781430.781, 1435781445.781, 1435781460]
    assert first.usage == ("1", "NaN", "+Inf")
    assert first.place(1) == "all.json, data.result[0], values[1]"
    assert (second.labels, second.usage) == ({}, ("0.5",))


def test_what_prometheus_says_beside_the_samples():
    histograms = {"metric": {"a": "b"}, "histograms": [[1, {"count": "1", "buckets": [[0, "1", "2", "3"]]}]]}
    beside = {"warnings": ["w1", "w2"], "infos": ["i"], "isPartial": True, "stats": {"a": [1]}, "other": 1}
    assert plain(read(matrix(histograms, **beside))) == [
        "all.json: native histograms are not read: data.result[0]",
        "all.json: not read, because it is not known: other",
        "all.json: Prometheus says w1: warnings",
        "all.json: Prometheus says w2: warnings",
        "all.json: Prometheus says i: infos",
        "all.json: some of it is missing (isPartial): isPartial",
    ]


def test_several_documents_one_after_another():
    content = "\n".join(json.dumps(document) for document in ALL.values())
    found = read(content)
    assert [type(item) for item in found] == [Series] * 3 + [QuotaRows] * 3 + [Series] * 2
    assert found[2].place(0) == "all.json, document 2, Datapoints[0]"
    assert found[5].place(0) == "all.json, document 4, Quota"
    with clear_error(InvalidInput, "all.json, document 6, MetricDataResults[0], Values[1]", "must be a number"):
        read(content + json.dumps(result(Values=[1, "x"])))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("most", [0, 1, 7])
def test_encodings(encoding, most):
    document = result(Label='Größe 😀 \\ " \ufeff')
    text = json.dumps(document, ensure_ascii=False)
    assert plain(read(text.encode(encoding), most=most)) == plain(read(document))
    assert is_json(text.encode(encoding)[:64])


@pytest.mark.parametrize("document", ALL.values(), ids=ALL)
def test_a_pipe_byte_by_byte(document):
    assert plain(read(json.dumps(document).encode(), most=1)) == plain(read(document))


def test_what_looks_like_json():
    assert is_json(b'\n {"a"')
    assert is_json(b"[1")
    assert not is_json(b"timestamp,usage\n")
    assert not is_json("timestamp,usage".encode("utf-16"))
    assert not is_json(b"")


def test_whole_numbers_and_floats_are_exact():
    values = [0.1, 1e308, 5e-324, 2**53 + 1, -0.0, 123456789.123456789, 1e22]
    (series,) = read(result(Timestamps=[1] * len(values), Values=values))
    assert series.usage == [float(value) for value in values]


def test_the_locale_does_not_matter():
    """C's own reader of numbers takes "1.5" for 1.0 where a comma parts the fraction."""
    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"):
        try:
            old = locale.setlocale(locale.LC_NUMERIC)
            locale.setlocale(locale.LC_NUMERIC, name)
        except locale.Error:
            continue
        try:
            (series,) = read(result(Values=[2.75]))
            assert series.usage == [2.75]
        finally:
            locale.setlocale(locale.LC_NUMERIC, old)
        return
    pytest.skip("no locale with a decimal comma is installed")


def test_the_parser_is_loaded_for_json_alone():
    code = "import sys, surgetank.history.jsonfile; print('ijson' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_too_many_samples_of_one_series(monkeypatch):
    monkeypatch.setattr(jsonparts, "MOST_SAMPLES", 3)
    assert read(result(Timestamps=[1, 2, 3], Values=[1, 2, 3]))
    with clear_error(InvalidInput, "MetricDataResults[0], Values", "at most 3 samples"):
        read(result(Values=[1, 2, 3, 4]))
