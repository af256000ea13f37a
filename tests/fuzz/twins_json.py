"""Slow, obvious twins of the JSON readers: `json.loads`, and then every sample by itself."""

import json
import math
import re

from .twins import BAD, FIELDS, MISSING, RANGE, UNSURE, Told, UnsureError, instant, number

REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")


def documents(data):
    """The documents of a file, one after another; unsure of what Python's own parser does not take."""

    def once(pairs):
        if len(dict(pairs)) < len(pairs):
            raise UnsureError
        return dict(pairs)

    def constant(_):
        raise UnsureError

    try:
        text = data.decode("utf-8-sig")
        decoder = json.JSONDecoder(object_pairs_hook=once, parse_constant=constant)
        at, result = 0, []
        while at < len(text):
            if text[at] in " \t\r\n":
                at += 1
                continue
            document, at = decoder.raw_decode(text, at)
            result.append(document)
        json.dumps(result, ensure_ascii=False).encode()  # half characters are refused
    except (ValueError, RecursionError):
        raise UnsureError from None
    if not result or not all(isinstance(document, dict) for document in result):
        raise UnsureError
    return result


def need(value, *kinds):
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise UnsureError
    return value


def cell_of(value):
    """A number of JSON, or a text of Prometheus."""
    if value is None:
        return MISSING
    if isinstance(value, str):
        return number(value) if "_" not in value else BAD
    try:
        value = float(need(value, int, float))
    except OverflowError:
        raise UnsureError from None
    return value if math.isfinite(value) else RANGE


def second_of(value):
    if value is None:
        return BAD
    if isinstance(value, str):
        return instant(value, "UTC")
    try:
        value = float(need(value, int, float))
    except OverflowError:
        raise UnsureError from None
    return math.floor(value) if abs(value) < 1e11 else UNSURE


def key_of(**parts):
    return tuple(parts.get(n, "").strip() or ("" if n == "context_id" else "-") for n in FIELDS)


def of_label(label, identity=""):
    """The key of CloudWatch's series, without a template."""
    name = label.strip() or identity.strip()
    return key_of(region=name) if REGION.fullmatch(name) else key_of(service_code=name)


def told_of(series, negative):
    """``series``: (labels, key, samples) of each; other labels that lead to the same key are for the reader."""
    told, known = Told(), {}
    for labels, key, samples in series:
        labels = {name: text.strip() for name, text in labels.items() if text.strip()}
        if known.setdefault(key, labels) != labels:
            raise UnsureError
        for when, value in samples:
            second, value = second_of(when), cell_of(value)
            told.add(key, second, value, negative)
            told.infinite += value == RANGE and second not in (UNSURE, BAD)
    return told


def usage_of_aws(data, statistic, negative):
    """What documents of get-metric-data and get-metric-statistics say."""
    series = []
    for document in documents(data):
        if "MetricDataResults" in document and not document.keys() & {"Datapoints", "Quotas", "Quota", "data"}:
            series += map(_result, need(document["MetricDataResults"], list))
        elif "Datapoints" in document and not document.keys() & {"Quotas", "Quota", "data", "status"}:
            series.append(_statistics(document, statistic))
        else:
            raise UnsureError
    return told_of(series, negative)


def _result(result):
    need(result, dict)
    labels = {name.lower(): need(result.get(name) or "", str) for name in ("Id", "Label")}
    instants, values = (need(result.get(name) or [], list) for name in ("Timestamps", "Values"))
    if len(instants) != len(values) or any(isinstance(value, str) for value in values):
        raise UnsureError
    return labels, of_label(labels["label"], labels["id"]), list(zip(instants, values, strict=True))


def _statistics(document, statistic):
    label = need(document.get("Label") or "", str)
    points = [need(point, dict) for point in need(document["Datapoints"], list)]
    said = [{**point, **need(point.get("ExtendedStatistics") or {}, dict)} for point in points]
    names = {name for point, all_of in zip(points, said, strict=True) for name in all_of if _is_one(name, point)}
    if len({point.get("Unit") for point in points} - {None, ""}) > 1:
        raise UnsureError
    if statistic is None:
        statistic = "Maximum" if "Maximum" in names or not names else next(iter(names))
        if statistic != "Maximum" and len(names) > 1:
            raise UnsureError
    elif statistic not in names:
        raise UnsureError
    samples = [(point.get("Timestamp"), point.get(statistic)) for point in said]
    if any(isinstance(value, str) for _, value in samples):
        raise UnsureError
    return {"label": label}, of_label(label), samples


def _is_one(name, point):
    return name in STATISTICS or name in (point.get("ExtendedStatistics") or {})


LABELS = {
    "account": ("account", "accountid", "awsaccount", "awsaccountid"),
    "region": ("region", "awsregion"),
    "service_code": ("servicecode", "service"),
    "quota_code": ("quotacode",),
    "context_id": ("contextid",),
}


def usage_of_prometheus(data, negative):
    """What answers to range queries say."""
    series = []
    for document in documents(data):
        if document.get("status") != "success" or document.keys() - {"status", "data", "warnings", "infos"}:
            raise UnsureError
        body = need(document.get("data"), dict)
        if body.get("resultType") != "matrix" or body.keys() - {"resultType", "result", "stats"}:
            raise UnsureError
        for result in need(body.get("result"), list):
            need(result, dict)
            labels = need(result.get("metric"), dict)
            if not all(isinstance(text, str) for text in labels.values()) or result.keys() - {"metric", "values"}:
                raise UnsureError
            samples = [need(pair, list) for pair in need(result.get("values"), list)]
            if any(len(pair) != 2 or not isinstance(pair[0], int | float) or pair[1] is None for pair in samples):
                raise UnsureError
            series.append((labels, _prometheus_key(labels), samples))
    return told_of(series, negative)


def _prometheus_key(labels):
    labels = {name: text.strip() for name, text in labels.items() if text.strip()}
    if not labels.keys() - {"id", "label"}:  # read as CloudWatch's
        return of_label(labels.get("label", ""), labels.get("id", ""))
    parts = {}
    for field, words in LABELS.items():
        there = [name for name in labels if re.sub("[^a-z0-9]", "", name.casefold()) in words]
        if len(there) > 1:
            raise UnsureError
        if there:
            parts[field] = labels[there[0]]
    if not parts.keys() & {"service_code", "quota_code"}:
        parts["service_code"] = labels.get("__name__", "")
    return key_of(**parts)


ARN = re.compile(r"arn:aws[a-z-]*:servicequotas:([^:]*):([^:]*):([^:/]+)/([^:/]+)")


def quotas_of_aws(data):
    """(applied, defaults): (account, Region, service, code, context) and value of each quota, in order."""
    applied, defaults = [], []
    for document in documents(data):
        if len(document.keys() & {"MetricDataResults", "Datapoints", "Quotas", "Quota", "data"}) != 1:
            raise UnsureError
        items = [document["Quota"]] if "Quota" in document else document.get("Quotas")
        for item in need(items, list):
            need(item, dict)
            words = {n: need(item.get(n) or "", str).strip() for n in ("ServiceCode", "QuotaCode", "QuotaArn")}
            arn = ARN.fullmatch(words["QuotaArn"])
            region, account, service, code = arn.groups() if arn else ("", "", "", "")
            context = need(need(item.get("QuotaContext") or {}, dict).get("ContextId") or "", str)
            if (words["QuotaArn"] and not arn) or "nan" in (region, account, service, code, context, *words.values()):
                raise UnsureError
            value = cell_of(item.get("Value"))
            if value in (RANGE, UNSURE) or isinstance(item.get("Value"), str):
                raise UnsureError
            parts = (account, region, words["ServiceCode"] or service, words["QuotaCode"] or code)
            if not parts[2] or not parts[3] or (value != MISSING and value < 0):
                raise UnsureError
            if value != MISSING:
                key = (*(part.strip() or "-" for part in parts), context.strip())
                (defaults if arn and not account else applied).append((key, value))
    return applied, defaults
