"""JSON that is damaged, hostile or something else: one clear error that names the place, or what was meant."""

import io
import json
import subprocess
import sys

import ijson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clear import clear_error
from json_documents import ALL, METRIC_DATA, QUOTA, notes, plain, read
from surgetank import InvalidInput
from surgetank.history.jsonfile import documents


@pytest.fixture(params=["default", "python"])
def parser(request, monkeypatch):
    """The parser in C, and the one in Python that stands in where there is none."""
    if request.param == "python":
        monkeypatch.setattr(ijson, "basic_parse_coro", ijson.get_backend("python").basic_parse_coro)
    return request.param


def result(text):
    """A document of one result, whose Timestamps and so on are written by hand."""
    return '{"MetricDataResults": [{"Id": "m1", ' + text + "}]}"


def points(text):
    return '{"Label": "x", "Datapoints": [' + text + "]}"


def quota(**changes):
    return json.dumps({"Quotas": [{**QUOTA, **changes}]})


def matrix(text):
    return '{"status": "success", "data": {"resultType": "matrix", "result": [' + text + "]}}"


ONE = "MetricDataResults[0]"
UNDERSTOOD = ["get-metric-data", "get-metric-statistics", "list-service-quotas", "query_range"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # No JSON, or not all of it.
        ("", ["all.json: must hold JSON", "empty"]),
        (" \n", ["must hold JSON", "empty"]),
        ("\ufeff", ["must hold JSON", "empty"]),
        ("timestamp,usage\n", ["must be JSON"]),
        (b"\x00\x01\x02\x03\x04", ["all.json"]),
        (b"\x1f\x8b\x08\x00\x00\x00", ["must be"]),
        (result('"Values": [1'), [ONE, "must be"]),
        (result('"Values": [1')[:-3], [ONE, "whole JSON", "an end in the middle"]),
        (json.dumps(METRIC_DATA) + " garbage", ["must be JSON"]),
        (json.dumps(METRIC_DATA) + "}", ["must be JSON"]),
        (json.dumps(METRIC_DATA) + ",", ["must be JSON"]),
        (json.dumps(METRIC_DATA) + "\0", ["must be JSON"]),
        (result('"Values": [NaN]'), [ONE, "must be JSON"]),
        (result('"Values": [-Infinity]'), [ONE, "must be JSON"]),
        (result('"Values": [0x10]'), [ONE, "must be JSON"]),
        (result('"Values": [01]'), [ONE, "must be JSON"]),
        (result('"Values": [1,]'), [ONE, "must be JSON"]),
        (result("'Values': [1]"), [ONE, "must be JSON"]),
        (result('"Label": "a\nb"'), [ONE, "must be JSON"]),
        # Text that is none.
        (result('"Label": "').encode() + b'\xff"}]}', [ONE, "must be text in UTF-8"]),
        (result('"Label": "').encode() + b'\xed\xa0\x80"}]}', ["must be text in UTF-8"]),
        (result('"Label": "\\ud800"'), ["half a character", "ud800"]),
        (result('"Label": "\\udc00\\ud800"'), ["half a character", "udc00"]),
        (result('"Label": "\\ud800\\ud800"'), ["half a character"]),
        (result('"Label": "\\ud800x\\udc00"'), ["half a character"]),
        (result('"Label": "\\ud800\\n"'), ["half a character"]),
        ('{"Quotas": []}'.encode("utf-16") + b"\x00", ["whole text in UTF-16", "half a character"]),
        ('{"Quotas": []}'.encode("utf-16") + b"\x00\xd8 \x00", ["text in UTF-16"]),
        # Numbers that are none.
        (result('"Timestamps": [1], "Values": [' + "9" * 5000 + "]"), [ONE, "double precision"]),
        (result('"Timestamps": [1], "Values": [' + "9" * 400 + "]"), [ONE + ", Values[0]", "double precision", "999"]),
        (result('"Timestamps": [' + "9" * 400 + "]"), [ONE + ", Timestamps[0]", "double precision"]),
        ('{"Quotas": [{"QuotaArn": null, "Value": 1e999}]}', ["Quotas[0]", "double precision", "1E+999"]),
        (points('{"Timestamp": 1, "Sum": 1e999}'), ["Datapoints[0]", "double precision"]),
        (matrix('{"metric": {}, "values": [[' + "9" * 400 + ', "1"]]}'), ["data.result[0], values[0]"]),
        # Deep, long and many.
        ("[" * 100_000, [*UNDERSTOOD, "an array"]),
        ('{"a": ' + "[" * 100_000, ["a: must be at most 100 levels deep"]),
        ('{"a": ' * 100_000, ["a: must be at most 100 levels deep"]),
        ('{"Messages": ' + "[" * 100_000, ["Messages: must be at most 100 levels deep"]),
        (result('"Messages": ' + '{"a": ' * 5000), [ONE, "100 levels"]),
        (result('"Messages": [' + "1," * 20_000 + "1]"), [ONE, "at most 10,000 parts"]),
        (result('"Label": "' + "a" * (3 << 20) + '"'), [ONE, "1,048,576 bytes"]),
        (result('"Values": [' + "1" * (3 << 20) + "]"), [ONE, "1,048,576 bytes"]),
        (result('"Values": [' + " " * (3 << 20) + "]"), [ONE, "1,048,576 bytes"]),
        (
            matrix('{"metric": {' + ",".join(f'"l{i}": "x"' for i in range(20_000)) + "}}"),
            ["data.result[0]", "at most 10,000 keys"],
        ),
        # A key twice.
        (result('"Id": "m2"'), [ONE, "key twice", "got 'Id'"]),
        (result('"Values": [1], "Values": [2]'), [ONE, "key twice", "got 'Values'"]),
        ('{"Quotas": [], "Quotas": []}', ["key twice", "got 'Quotas'"]),
        (matrix('{"metric": {"a": "1", "a": "2"}, "values": []}'), ["data.result[0]", "key twice", "got 'a'"]),
        ('{"Messages": {"a": 1, "a": 2}}', ["Messages", "key twice"]),
        (points('{"Sum": 1, "ExtendedStatistics": {"Sum": 2}}'), ["Datapoints[0]", "statistic twice", "Sum"]),
        # Types.
        ('{"MetricDataResults": {}}', ["all.json, MetricDataResults: must be an array", "an object"]),
        ('{"MetricDataResults": [5]}', [ONE, "must be an object", "got 5"]),
        (result('"Values": {"a": 1}'), [ONE + ", Values: must be an array", "an object"]),
        (result('"Values": 1'), [ONE + ", Values: must be an array", "got 1"]),
        (result('"Values": [1, [2]]'), [ONE + ", Values[1]: must be a number", "an array"]),
        (result('"Values": [true]'), [ONE + ", Values[0]: must be a number", "true"]),
        (result('"Values": ["1"]'), [ONE + ", Values[0]: must be a number", "got '1'"]),
        (result('"Timestamps": [true]'), [ONE + ", Timestamps[0]: must be an ISO 8601 text or a number", "true"]),
        (result('"Label": 5'), [ONE + ", Label: must be a text", "got 5"]),
        (result('"Timestamps": [1, 2], "Values": [1]'), [ONE, "as many Timestamps as Values", "2 and 1"]),
        (result('"Values": [1]'), [ONE, "as many Timestamps as Values", "0 and 1"]),
        ('{"Datapoints": 5}', ["Datapoints: must be an array"]),
        (points("5"), ["Datapoints[0]: must be an object"]),
        (points('{"Timestamp": []}'), ["Datapoints[0], Timestamp: must be an ISO 8601"]),
        (points('{"Sum": "1"}'), ["Datapoints[0], Sum: must be a number", "got '1'"]),
        (points('{"Sum": true}'), ["Datapoints[0], Sum: must be a number", "true"]),
        (points('{"ExtendedStatistics": {"p9": []}}'), ["Datapoints[0], p9: must be a number"]),
        (points('{"Unit": 1}'), ["Datapoints[0], Unit: must be a text"]),
        (points('{"Unit": "A"}, {"Unit": "B"}'), ["Datapoints[1], Unit: must stay 'A'", "got 'B'"]),
        ('{"Label": [], "Datapoints": []}', ["Label: must be a text"]),
        (points('{"Average": 1, "Sum": 2}'), ["Datapoints", "--column usage=Average", "got 'Average, Sum'"]),
        (
            points('{"Minimum": 1, "ExtendedStatistics": {"p9": 2}}'),
            ["columns={'usage': 'Minimum'}", "--column usage=Minimum", "Minimum, p9"],
        ),
        (
            points(", ".join(f'{{"ExtendedStatistics": {{"p{i}": 1}}}}' for i in range(200))),
            ["Datapoints[100]", "at most 100"],
        ),
        ('{"Quotas": "x"}', ["Quotas: must be an array", "got 'x'"]),
        ('{"Quotas": [null]}', ["Quotas[0]: must be an object", "null"]),
        ('{"Quota": []}', ["Quota: must be an object"]),
        ('{"Quotas": [{}]}', ["Quotas[0]: must have a ServiceCode and a QuotaCode", "nothing known"]),
        ('{"Quotas": [{"Value": 5}]}', ["Quotas[0]: must have a ServiceCode", "got 'Value'"]),
        (quota(Value="5"), ["Quotas[0], Value: must be a number", "got '5'"]),
        (quota(Value=True), ["Quotas[0], Value: must be a number", "true"]),
        (quota(Adjustable="yes"), ["Quotas[0], Adjustable: must be true or false", "yes"]),
        (quota(QuotaName={}), ["Quotas[0], QuotaName: must be a text"]),
        (quota(QuotaContext="x"), ["Quotas[0], QuotaContext: must be an object"]),
        (quota(QuotaContext={"ContextId": 5}), ["Quotas[0], QuotaContext, ContextId: must be a text"]),
        (quota(ErrorReason={"ErrorCode": []}, Value=None), []),
        (quota(ErrorReason={"ErrorCode": [1]}, Value=None), ["ErrorReason, ErrorCode: must be a text"]),
        (quota(QuotaArn="arn:aws:servicequotas:us-east-1::1:es/L-1"), ["Quotas[0], QuotaArn: must be arn:"]),
        (quota(QuotaArn="x"), ["Quotas[0], QuotaArn: must be arn:aws:servicequotas:REGION:ACCOUNT", "got 'x'"]),
        ('{"Quotas": [], "MetricDataResults": []}', ["MetricDataResults: must not stand beside another"]),
        # Prometheus's other answers.
        ('{"status": "error", "errorType": "bad_data", "error": "no\\nway"}', ["an error", "bad_data: no"]),
        ('{"status": "error", "data": null}', ["must be an answer, not an error"]),
        (matrix("").replace("success", "error"), ["must be an answer, not an error"]),
        (matrix("").replace("matrix", "vector"), ["data.resultType", "query_range", "got 'vector'"]),
        (matrix("").replace('"matrix"', "[]"), ["data.resultType", "query_range", "an array"]),
        ('{"data": {"resultType": "scalar", "result": [1, "2"]}}', ["query_range", "got 'scalar'"]),
        ('{"data": {"result": [1, "2"]}}', ["data.result[0]", "query_range", "got 1"]),
        ('{"data": {"result": [{"metric": {}, "value": [1, "2"]}]}}', ["data.result[0]", "query_range", "instant"]),
        ('{"data": {"result": {}}}', ["data.result: must be an array"]),
        ('{"data": {"result": []}}', ["data", "query_range", "an object with result"]),
        ('{"data": {"a": 1}}', ["data", "query_range", "an object with a"]),
        ('{"data": {"resultType": "matrix", "result": []}}', ["status", 'must be "success"', "None"]),
        (matrix("5"), ["data.result[0]", "got 5"]),
        (matrix("{}"), ["data.result[0]: must have metric and values", "empty"]),
        (matrix('{"metric": 5, "values": []}'), ["data.result[0], metric: must be an object"]),
        (matrix('{"metric": {"a": 5}, "values": []}'), ["data.result[0], metric.a: must be a text"]),
        (matrix('{"metric": {}, "values": {}}'), ["data.result[0], values: must be an array"]),
        (matrix('{"metric": {}, "values": [[1, "2"], 5]}'), ["data.result[0], values[1]: must be [instant"]),
        (matrix('{"metric": {}, "values": [[]]}'), ["values[0]: must be [instant"]),
        (matrix('{"metric": {}, "values": [[1]]}'), ["values[0]: must be [instant"]),
        (matrix('{"metric": {}, "values": [[1, "2", 3]]}'), ["values[0]: must be [instant"]),
        (matrix('{"metric": {}, "values": [["1", "2"]]}'), ["values[0]: must be [instant"]),
        (matrix('{"metric": {}, "values": [[1, true]]}'), ["values[0]: must be [instant"]),
        (matrix('{"metric": {}, "values": [[1, {}]]}'), ["values[0]: must be [instant"]),
        (matrix('{"metric": {}, "values": [{"a": 1}]}'), ["values[0]: must be [instant"]),
        # Something else.
        ("{}", [*UNDERSTOOD, "an empty object"]),
        ("5", [*UNDERSTOOD, "got 5"]),
        ("null", UNDERSTOOD),
        ('"text"', [*UNDERSTOOD, "text"]),
        (json.dumps([QUOTA]), [*UNDERSTOOD, "an array", "--query"]),
        ('{"Metrics": [{"Namespace": "AWS/Usage"}]}', [*UNDERSTOOD, "'Metrics'"]),
        ('{"Error": {"Code": "AccessDenied"}, "x": 1}', [*UNDERSTOOD, "'Error', 'x'"]),
        ('{"status": "success", "data": ["up"]}', [*UNDERSTOOD, "'status', 'data'"]),
    ],
)
def test_one_clear_error(text, words, parser):
    if not words:  # an empty list in place of a text that may be missing
        assert read(text)
        return
    with clear_error(InvalidInput, *(words if parser == "default" else ["all.json"])):
        read(text)


def test_a_number_too_large_is_left_to_who_reads_cells(parser):
    (series,) = read(result('"Timestamps": [1, null], "Values": [1e999, null]'))
    assert series.usage == [float("inf"), None]
    assert series.timestamp == [1.0, None]


def test_a_statistic_that_is_not_there():
    with clear_error(InvalidInput, "all.json, columns: usage: must be a statistic that is there", "'p99'", "Sum"):
        read(points('{"Sum": 1}'), statistic="p99")


def test_names_from_the_file_are_printable():
    assert all(text.isprintable() for text in notes(read('{"a\\n\\u0000": 1, "Quotas": []}')))
    with clear_error(InvalidInput, "\\n"):
        read('{"a\\nb": 1}')


def test_a_stream_that_fails():
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with clear_error(InvalidInput, "must be readable", "Input/output error"):
        list(documents(Broken(), "all.json"))


def judged(content, **how):
    """What was read, or the message of the one error that is allowed."""
    try:
        return plain(read(content, **how))
    except InvalidInput as error:
        message = str(error)
    assert message.isprintable()
    assert message.startswith("all.json")
    return message


@pytest.mark.parametrize("document", ALL.values(), ids=ALL)
def test_every_end_too_early(document, parser):
    text = json.dumps(document).encode()
    for end in range(len(text)):
        assert isinstance(judged(text[:end]), str)


@pytest.mark.parametrize("document", ALL.values(), ids=ALL)
def test_every_byte_changed(document):
    text = json.dumps(document).encode()
    for at in range(len(text)):
        for byte in b'"{]1,\\\x00\xff':
            judged(text[:at] + bytes([byte]) + text[at + 1 :])


@given(st.binary(max_size=200), st.sampled_from([0, 1, 5]))
def test_any_bytes(content, most):
    assert isinstance(judged(content, most=most), str | list)


words_of_aws = ["MetricDataResults", "Id", "Label", "Timestamps", "Values", "Datapoints", "Maximum", "NextToken"]
words_of_quotas = ["Quotas", "Quota", "Value", "QuotaArn", "QuotaCode", "Messages"]
words_of_prometheus = ["status", "data", "result", "resultType", "metric", "values"]
keys = st.sampled_from([*words_of_aws, *words_of_quotas, *words_of_prometheus])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["success", "matrix", "error", ""])
anything = st.recursive(
    leaves | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)
)


@given(st.lists(st.dictionaries(keys, anything, max_size=4) | anything, min_size=1, max_size=2))
def test_any_json(values):
    judged("".join(json.dumps(value) for value in values))


def shuffled(value, random):
    if isinstance(value, dict):
        pairs = [(key, shuffled(inner, random)) for key, inner in value.items()]
        random.shuffle(pairs)
        return dict(pairs)
    return [shuffled(inner, random) for inner in value] if isinstance(value, list) else value


unicode = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)
samples = st.lists(st.tuples(unicode | st.integers(0, 2**40), finite), max_size=5)


@given(
    st.lists(st.lists(st.tuples(unicode, unicode, samples), max_size=3), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
    st.sampled_from([0, 3]),
    st.booleans(),
)
def test_what_is_put_in_comes_out(pages, random, most, ascii_only):
    """Any documents of series, in any order of keys, of both formats."""
    content, expected = "", []
    for page in pages:
        if random.random() < 0.5:
            items = [
                {"Id": i, "Label": la, "Timestamps": [t for t, _ in s], "Values": [v for _, v in s]}
                for i, la, s in page
            ]
            document = {"MetricDataResults": items, "Messages": []}
            expected += [({k: v for k, v in (("id", i), ("label", la)) if v}, s, float) for i, la, s in page]
        else:
            numbered = [({"a": i, "b": la}, [(n, v) for n, (_, v) in enumerate(s)]) for i, la, s in page]
            items = [{"metric": labels, "values": [[n, str(v)] for n, v in s]} for labels, s in numbered]
            document = {"status": "success", "data": {"resultType": "matrix", "result": items}}
            expected += [(labels, s, str) for labels, s in numbered]
        content += json.dumps(shuffled(document, random), ensure_ascii=ascii_only)
    found = [item for item in read(content.encode(), most=most) if not hasattr(item, "text")]
    assert [dict(series.labels) for series in found] == [labels for labels, *_ in expected]
    for series, (_, put, kind) in zip(found, expected, strict=True):
        assert list(series.timestamp) == [t for t, _ in put]
        assert list(series.usage) == [kind(v) for _, v in put]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is asked as Linux gives it")
def test_memory_is_that_of_one_series():
    """50 MB through a pipe, in series of 1 MB."""
    code = """if True:
        import os, resource, threading
        from surgetank.history.jsonfile import documents
        import ijson
        texts = ", ".join(f'"2026-01-01T00:{i % 60:02}:00+00:00"' for i in range(20_000))
        values = ", ".join(f"{i}.5" for i in range(20_000))
        def fill(pipe):
            with pipe:
                pipe.write(b'{"MetricDataResults": [')
                for i in range(70):
                    comma = ", " if i else ""
                    one = f'{comma}{{"Id": "m{i}", "Timestamps": [{texts}], "Values": [{values}]}}'
                    pipe.write(one.encode())
                pipe.write(b"]}")
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before = peak()
        out, into = os.pipe()
        writer = threading.Thread(target=fill, args=(os.fdopen(into, "wb"),))
        writer.start()
        rows = sum(len(series.usage) for series in documents(os.fdopen(out, "rb", buffering=0), "pipe"))
        writer.join()
        print(rows, peak() - before)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows, grown = run.stdout.split()
    assert int(rows) == 70 * 20_000
    assert float(grown) < 60
