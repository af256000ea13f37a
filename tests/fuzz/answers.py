"""Targets: the JSON of the AWS CLI and of Prometheus."""

import json

from . import twins, twins_json
from .checks import read_both_ways

#: How JSON is read; the first byte of an input chooses.
HOW = (
    {"tz": "UTC"},
    {"tz": "UTC", "bad": "skip"},
    {"tz": "UTC", "bad": "skip", "negative": "missing", "columns": {"usage": "p99"}},
    {"tz": "UTC", "bad": "skip", "negative": "keep", "columns": {"usage": "Sum"}},
    {"bad": "skip", "series": "{region}.{service_code}"},
    {"tz": "Europe/Berlin", "bad": "skip", "region": "us-east-1", "service_code": "ec2"},
    {"tz": "UTC", "bad": "skip", "columns": {"region": "instance", "quota_code": "job"}},
)


def aws(data):
    """get-metric-data and get-metric-statistics."""
    how, data, found, error = _read(data)
    statistic = how.get("columns", {}).get("usage")
    if _plain(how):
        _compare(found, error, how, lambda: twins_json.usage_of_aws(data, statistic, how.get("negative", "refuse")))


def prometheus(data):
    how, data, found, error = _read(data)
    if _plain(how):
        _compare(found, error, how, lambda: twins_json.usage_of_prometheus(data, how.get("negative", "refuse")))


def aws_quotas(data):
    """list-service-quotas, list-aws-default-service-quotas and get-service-quota."""
    how, data, found, _ = _read(data)
    if not _plain(how):
        return
    try:
        applied, defaults = twins_json.quotas_of_aws(data)
    except twins.UnsureError:
        return
    assert (found is None) == (not applied and not defaults)
    if found is not None:
        assert [(tuple(q.key), q.value) for q in found.quotas] == applied
        assert [(tuple(q.key), q.default_value) for q in found.defaults] == defaults


def _read(data):
    how = HOW[data[0] % len(HOW)] if data else {}
    data = data[1:]
    if data.lstrip(b" \t\r\n\xef\xbb\xbf\0")[:1] not in (b"{", b"["):
        return how, b"", None, None
    found, error = read_both_ways(data, how)
    if error is not None and "must be text in UTF-8" in str(error):
        assert _is_broken(data), "it is text in UTF-8"
    return how, data, found, error


def _is_broken(data):
    try:
        data.decode(json.detect_encoding(data))
    except UnicodeDecodeError:
        return True
    return False


def _plain(how):
    return "series" not in how and "region" not in how and how.get("columns", {}).keys() <= {"usage"}


def _compare(found, error, how, twin):
    if found is None and error is None:
        return
    try:
        told = twin()
    except twins.UnsureError:
        return
    if found is not None and found.samples is None:
        assert not told.samples
        return
    told.check(found and found.samples, error, bad=how.get("bad", "refuse"), negative=how.get("negative", "refuse"))
