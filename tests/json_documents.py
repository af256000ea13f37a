"""Small documents in the shapes of AWS's and Prometheus's documentation, and ways to read them."""

import io
import json

from surgetank.history.jsonfile import Note, QuotaRows, Series, documents

METRIC_DATA = {
    "MetricDataResults": [
        {
            "Id": "m1",
            "Label": "us-east-1.ec2",
            "Timestamps": ["2026-01-01T00:10:00+00:00", "2026-01-01T00:05:00+00:00", "2026-01-01T00:00:00+00:00"],
            "Values": [12.0, 11.5, 10.0],
            "StatusCode": "Complete",
        },
        {"Id": "e1", "Label": "us-west-2.ec2", "Timestamps": [], "Values": [], "StatusCode": "Complete"},
    ],
    "Messages": [],
}
METRIC_STATISTICS = {
    "Datapoints": [
        {"Timestamp": "2014-04-09T11:18:00Z", "Maximum": 44.79, "Unit": "Percent"},
        {"Timestamp": "2014-04-09T20:18:00Z", "Maximum": 47.92, "Unit": "Percent"},
        {"Timestamp": "2014-04-09T19:18:00Z", "Maximum": 50.85, "Unit": "Percent"},
    ],
    "Label": "CPUUtilization",
}
QUOTA = {
    "ServiceCode": "ec2",
    "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "QuotaArn": "arn:aws:servicequotas:us-east-2:123456789012:ec2/L-1216C47A",
    "QuotaCode": "L-1216C47A",
    "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    "Value": 1920.0,
    "Unit": "None",
    "Adjustable": True,
    "GlobalQuota": False,
    "UsageMetric": {
        "MetricNamespace": "AWS/Usage",
        "MetricName": "ResourceCount",
        "MetricDimensions": {"Class": "Standard/OnDemand", "Resource": "vCPU", "Service": "EC2", "Type": "Resource"},
        "MetricStatisticRecommendation": "Maximum",
    },
    "QuotaAppliedAtLevel": "ACCOUNT",
}
DEFAULT_QUOTA = {
    "ServiceCode": "xray",
    "ServiceName": "AWS X-Ray",
    "QuotaArn": "arn:aws:servicequotas:us-west-2::xray/L-C6B6F05D",
    "QuotaCode": "L-C6B6F05D",
    "QuotaName": "Indexed annotations per trace",
    "Value": 50.0,
    "Unit": "None",
    "Adjustable": False,
    "GlobalQuota": False,
}
RESOURCE_QUOTA = {
    "ServiceCode": "es",
    "QuotaArn": "arn:aws-us-gov:servicequotas:us-gov-west-1:123456789012:es/L-6408ABDE",
    "QuotaCode": "L-6408ABDE",
    "QuotaName": "Instances per domain",
    "Value": 80,
    "Unit": "Count",
    "Period": {"PeriodValue": 1, "PeriodUnit": "SECOND"},
    "QuotaContext": {
        "ContextScope": "RESOURCE",
        "ContextScopeType": "AWS::OpenSearchService::Domain",
        "ContextId": "arn:aws-us-gov:es:us-gov-west-1:123456789012:domain/one",
    },
}
QUOTAS = {"Quotas": [QUOTA, RESOURCE_QUOTA, DEFAULT_QUOTA]}
PROMETHEUS = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"__name__": "up", "job": "prometheus", "instance": "localhost:9090"},
                "values": [[1435781430.781, "1"], [1435781445.781, "NaN"], [1435781460, "+Inf"]],
            },
            {"metric": {}, "values": [[1435781430, "0.5"]]},
        ],
    },
}
ALL = {
    "get-metric-data": METRIC_DATA,
    "get-metric-statistics": METRIC_STATISTICS,
    "list-service-quotas": QUOTAS,
    "get-service-quota": {"Quota": QUOTA},
    "query_range": PROMETHEUS,
}


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time, and cannot go back."""

    def __init__(self, content, most=1):
        self._content, self._at, self._most = content, 0, most

    def readable(self):
        return True

    def read(self, size=-1):
        piece = self._content[self._at : self._at + min(self._most, size)]
        self._at += len(piece)
        return piece


def read(content, *, most=0, statistic=None):
    """Everything in a document, or several, or their text, or their bytes."""
    if isinstance(content, dict):
        content = json.dumps(content, indent=4)
    if isinstance(content, str):
        content = content.encode()
    stream = Trickle(content, most) if most else io.BytesIO(content)
    return list(documents(stream, "all.json", statistic=statistic))


def plain(found):
    """What was read, to compare it: with the place of every row."""
    result = []
    for item in found:
        if isinstance(item, Series):
            assert len(item.timestamp) == len(item.usage)
            places = [item.place(row) for row in range(len(item.usage))]
            cells = (list(item.timestamp), list(item.usage))
            result.append((dict(item.labels), *cells, item.statistic, item.unit, places))
        elif isinstance(item, QuotaRows):
            sizes = {len(column) for column in item.columns.values()}
            assert len(sizes) == 1
            assert min(sizes) > 0
            result.append((dict(item.columns), item.default, [item.place(row) for row in range(*sizes)]))
        else:
            assert isinstance(item, Note)
            result.append(item.text)
    return result


def notes(found):
    return [item.text for item in found if isinstance(item, Note)]
