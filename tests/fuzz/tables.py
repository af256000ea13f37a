"""Targets: CSV, Parquet and Arrow, gzip, and bytes of any kind."""

import gzip
import io
import re

from surgetank.history.readers import headers_of, read, read_quotas

from . import twins
from .checks import Whole, answer, as_dict, at_path, check_found, check_quotas, plain, read_both_ways

#: How a table of usage is read; the first byte of an input chooses.
USAGE = (
    {},
    {"tz": "UTC", "bad": "skip"},
    {"tz": "Europe/Berlin", "bad": "skip", "negative": "missing"},
    {"tz": "UTC", "bad": "skip", "series": "{region}.{service_code}"},
    {"tz": "UTC", "bad": "skip", "series": "{region}", "service_code": "ec2"},
    {"tz": "UTC", "bad": "skip", "columns": {"timestamp": "when", "usage": "much"}},
    {"tz": "UTC", "bad": "skip", "account": "1", "region": "us-east-1", "service_code": "ec2", "quota_code": "L-1"},
    {"tz": "UTC", "bad": "skip", "series": "{service_code}", "columns": {"region": "region"}},
    {"tz": "America/New_York", "negative": "missing", "region": "us-east-1"},
    {"tz": "UTC", "bad": "skip", "negative": "keep"},
    {"tz": "UTC", "series": "{account}/{region}/{service_code}/{quota_code}@{context_id}", "bad": "skip"},
    {"tz": "Australia/Lord_Howe", "bad": "skip"},
)


def csv_usage(data):
    how = USAGE[data[0] % len(USAGE)] if data else {}
    data = data[1:]
    if not reads_as_csv(data):
        return
    # The first line must be whole in the first block, as it is where blocks are of usual size.
    first = re.search(rb"[^\s\x1c-\x1f\x85][^\r\n]*[\r\n]*", data)
    found, error = read_both_ways(data, {"holds": "usage", **how}, least=first.end() + 8 if first else 16)
    try:
        told = twins.csv_usage(data, how)
    except twins.UnsureError:
        return
    told.check(found and found.samples, error, bad=how.get("bad", "refuse"), negative=how.get("negative", "refuse"))


def reads_as_csv(data):
    """Whether these bytes are for the reader of CSV: other targets have the other formats."""
    return not data.startswith((b"\x1f\x8b", b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")) and data.lstrip()[:1] not in (
        b"{",
        b"[",
    )


QUOTAS = (
    {},
    {"region": "us-east-1", "service_code": "ec2"},
    {"columns": {"quota": "much", "service_code": "what"}},
    {"account": "123456789012"},
)


def csv_quotas(data):
    how = QUOTAS[data[0] % len(QUOTAS)] if data else {}
    data = data[1:]
    if not reads_as_csv(data):
        return
    quotas, _ = answer(lambda: read_quotas(Whole(data), **how))
    found, error = read_both_ways(data, {"holds": "quotas", **how})
    if quotas is not None:
        check_quotas(quotas)
        assert found is not None
    try:
        told = twins.csv_quotas(data, how)
    except twins.UnsureError:
        return
    if told is None:
        assert error is not None, "must be refused"
        return
    assert error is None, error
    assert [(tuple(q.key), repr(q.value), q.unit, q.name) for q in found.quotas] == told
    if quotas is not None:
        assert {tuple(q.key): repr(q.value) for q in quotas} == {key: value for key, value, *_ in told}


def arrow(data):
    """Bytes of a Parquet or Arrow file. What pyarrow itself makes of them is what must be found."""
    how = USAGE[data[0] % len(USAGE)] if data else {}
    data = data[1:]
    if not data.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        return
    found, error = answer(lambda: read(io.BytesIO(data), holds="usage", **how))
    again, other = answer(lambda: read(at_path(data, "fleet"), holds="usage", **how))
    assert (found is None) == (again is None), (error, other)
    if found is not None:
        check_found(found, how.get("negative", "refuse"))
        assert found.samples.report.rows == again.samples.report.rows


#: How bytes are compressed; the first byte of an input chooses.
WAYS = ("they are", "in two members", "in one", "and cut short")


def zipped(data):
    """The same bytes compressed are the same table; compressed bytes that are damaged are refused."""
    way, data = WAYS[data[0] % len(WAYS) if data else 0], data[1:]
    if way == "they are":
        found, _ = answer(lambda: read(Whole(data)))
        if found is not None:
            check_found(found)
        return
    packed = gzip.compress(data, compresslevel=1, mtime=0)
    if way == "in two members":
        packed = gzip.compress(data[: len(data) // 2], mtime=0) + gzip.compress(data[len(data) // 2 :], mtime=0)
    found, error = answer(lambda: read(Whole(data), bad="skip", tz="UTC"))
    again, other = answer(lambda: read(Whole(packed), bad="skip", tz="UTC"))
    if data.startswith(b"\x1f\x8b"):
        return
    assert (error is None) == (other is None), (error, other)
    if found is not None:
        assert again is not None
        assert found.quotas == again.quotas or repr(found.quotas) == repr(again.quotas)
        if found.samples is not None:
            assert as_dict(found.samples) == as_dict(again.samples)
    if way == "and cut short":
        _, error = answer(lambda: read(Whole(packed[:-9]), bad="skip", tz="UTC"))
        assert error is not None


EITHER = ({}, {"bad": "skip", "tz": "UTC"})


def anything(data):
    """Whatever it is, from a file and from a pipe: the answer is what was found, or one clear error."""
    how = EITHER[data[0] % len(EITHER)] if data else {}
    data = data[1:]
    found, error = answer(lambda: read(Whole(data), **how))
    path = at_path(data, "fleet.csv")
    answer(lambda: headers_of(path))
    again, other = answer(lambda: read(path, **how, partial=True, columns={"usage": "Maximum", "region": "place"}))
    for one in (found, again):
        if one is not None:
            check_found(one)
    if found is not None and again is None:
        assert str(other), error
    twice, _ = answer(lambda: read(Whole(data), **how))
    assert (found is None) == (twice is None)
    if found is not None:
        assert plain(found) == plain(twice)
