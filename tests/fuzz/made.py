"""Targets that make what they read: well-formed files whose answer is known before, in every format and spelling."""

import csv
import datetime as dt
import gzip
import io
import json
import re
from fractions import Fraction

from .checks import as_dict, read_both_ways
from .draws import Draws
from .twins import MISSING, RANGE, Told

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-2")
SERVICES = ("ec2", "rds", "é, \"quoted\"; 'x'", "a b|c\td", "日本", "L-1216C47A", "-x-", "0", "nano", "a/b=c")
VALUES = ("0", "1", "2.5", "-0", "1e3", "0.1", "7E-2", "123456789.125", "5e-324", "1.7976931348623157e308", "33.333333")
ZONES = (0, 60, -300, 345, 840, -720)
BASES = (1767225600, 0, -86400, 1774745999, 4102444800, 32503680000, 951782400, 1792893600)


def made(data):
    """The same samples as CSV, JSON, Parquet and Arrow: in each of them what was written is what is read."""
    draws = Draws(data)
    keys = []
    for _ in range(1 + draws.below(3)):
        key = ("-", draws.pick(REGIONS), draws.pick(SERVICES), "-", "")
        if key not in keys:
            keys.append(key)
    base, step = draws.pick(BASES), draws.pick((60, 300, 1, 3600, 7))
    rows = []
    for _ in range(1 + draws.below(14)):
        when = Fraction(base + step * draws.below(8)) + Fraction(draws.pick((0, 0, 0, 1, 999_999, 500_000)), 1_000_000)
        rows.append((draws.pick(keys), when, _value(draws)))
    kind = draws.pick((_csv_long, _csv_wide, _metric_data, _prometheus, _parquet, _arrow, _csv_long))
    content, how, rows = kind(draws, keys, rows)
    first = re.search(rb"[\r\n]", content)
    least = first.end() + 8 if first else 1 << 16  # the headers are read in one piece
    if draws.chance(4):
        content, least = gzip.compress(content, mtime=0), 1 << 16
    told = Told()
    for key, when, text in rows:
        told.add(key, when.numerator // when.denominator, _plain(text))
    if not told.samples:
        return
    found, error = read_both_ways(content, {"bad": "skip", **how}, least=least)
    assert error is None, error
    kept = as_dict(found.samples)
    wrong = [(at, kept.get(at), told.samples.get(at)) for at in {**kept, **told.samples}]
    wrong = [one for one in wrong if one[1] != one[2]]
    assert not wrong, (wrong[:4], content[:400])
    told.check(found.samples, None, bad="skip")


def _value(draws):
    if draws.chance(8):
        return draws.pick(("", "NaN", "-1", "1e999"))
    return draws.pick(VALUES) if draws.chance(2) else str(draws.below(65536) / draws.pick((1, 2, 10, 1024)))


def _plain(text):
    if text in ("", "NaN"):
        return MISSING
    return RANGE if text == "1e999" else float(text)


def _instant(draws, when):
    """An instant in one of its spellings; all of them mean the same second."""
    whole = when.numerator // when.denominator
    micro = int((when - whole) * 1_000_000)
    kind = draws.below(6)
    if kind < 3 and -6e10 < whole < 2.5e11:
        offset = dt.timedelta(minutes=draws.pick(ZONES))
        local = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=whole) + offset
        text = local.isoformat(sep=draws.pick("T ")) + (f".{micro:06d}" if micro else "")
        minutes = int(offset.total_seconds()) // 60
        sign = "-" if minutes < 0 else "+"
        colon = draws.pick((":", ""))
        zone = f"{sign}{abs(minutes) // 60:02d}{colon}{abs(minutes) % 60:02d}"
        return text + (draws.pick(("Z", "z", "+00:00", zone)) if not minutes else zone)
    if kind == 3 and abs(whole) >= 10**9:  # below it, milliseconds are small numbers
        return str(whole * 10**6 + micro)
    if kind == 4 and abs(whole) >= 10**9:
        return str(whole * 10**3 + micro // 1000)
    text = str(whole)  # 20260101 is a date to a person, and refused
    return text if len(text) not in (8, 12, 14) else f"{whole}.0"


def _text_of(draws, table, delimiter):
    out = io.StringIO()
    quoting = draws.pick((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=draws.pick(("\n", "\r\n", "\r")))
    writer.writerows(table)
    text = out.getvalue()
    if draws.chance(2):
        text = text.rstrip("\r\n")
    return text.encode(draws.pick(("utf-8", "utf-8-sig", "utf-16", "utf-8", "utf-32")))


def _csv_long(draws, keys, rows):
    headers = [draws.pick(names) for names in (("timestamp", "Time"), ("region", "AWS Region"), ("service_code",))]
    headers.append(draws.pick(("usage", "Value", "consumption")))
    order = sorted(range(4), key=lambda _: draws.byte())
    table = [[headers[n] for n in order]]
    for key, when, text in rows:
        cells = [_instant(draws, when), key[1], key[2], text]
        table.append([cells[n] for n in order])
    return _text_of(draws, table, draws.pick(",;\t|")), {}, rows


def _csv_wide(draws, keys, rows):
    headers = [f"{key[1]}>{key[2]}" for key in keys]
    table, said = [["timestamp", *headers]], []
    for _, when, _ in rows:
        cells = [_value(draws) for _ in keys]
        said += [(key, when, cell) for key, cell in zip(keys, cells, strict=True)]
        table.append([_instant(draws, when), *cells])
    return _text_of(draws, table, draws.pick(",;\t|")), {"series": "{region}>{service_code}"}, said


def _json_of(draws, body):
    text = json.dumps(body, ensure_ascii=draws.chance(2), indent=draws.pick((None, 4)))
    return text.encode(draws.pick(("utf-8", "utf-8-sig", "utf-16", "utf-32-le")))


def _number(text):
    return None if text in ("", "NaN") else 10.0**308 * 100 if text == "1e999" else float(text)


def _metric_data(draws, keys, rows):
    rows = [row for row in rows if row[2] != "1e999"]  # JSON has no such number in Python's spelling
    results = []
    for n, key in enumerate(keys):
        own = [row for row in rows if row[0] == key]
        results.append(
            {
                "Id": f"m{n}",
                "Label": f"{key[1]}>{key[2]}",
                "Timestamps": [_instant(draws, when) for _, when, _ in own],
                "Values": [_number(text) for _, _, text in own],
                "StatusCode": "Complete",
            }
        )
    return _json_of(draws, {"MetricDataResults": results}), {"series": "{region}>{service_code}"}, rows


def _prometheus(draws, keys, rows):
    result = []
    for key in keys:
        own = [row for row in rows if row[0] == key]
        labels = {"region": key[1], "service": key[2], "__name__": "usage"}
        values = [
            [float(when) if draws.chance(2) and not when.denominator > 2 else when.numerator // when.denominator,
             "NaN" if text == "" else "+Inf" if text == "1e999" else text]
            for _, when, text in own
        ]  # fmt: skip
        result.append({"metric": labels, "values": values})
    body = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return _json_of(draws, body), {}, rows


def _table(draws, rows):
    import pyarrow as pa

    rows = [row for row in rows if -9e9 < row[1] < 9e9]  # nanoseconds have no room for more
    texts = pa.array([key[2] for key, _, _ in rows], draws.pick((pa.string(), pa.large_string())))
    columns = {
        "timestamp": _instants(draws, [when for _, when, _ in rows]),
        "region": pa.array([key[1] for key, _, _ in rows], pa.string()),
        "service_code": texts.dictionary_encode() if draws.chance(2) else texts,
    }
    columns["usage"], rows = _usage(draws, rows)
    return pa.table(columns), rows


def _instants(draws, whens):
    import pyarrow as pa

    whole = [when.numerator // when.denominator for when in whens]
    kind = draws.below(8)
    if kind == 0:
        return pa.array([_instant(draws, when) for when in whens], pa.string())
    if kind == 1:
        return pa.array(whole, pa.int64())
    if kind == 2:
        return pa.array([float(n) for n in whole], pa.float64())
    unit = draws.pick(("s", "ms", "us", "ns"))
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    zone = pa.timestamp(unit, draws.pick(("UTC", "Europe/Berlin", "+05:45")))
    return pa.array([when.numerator * scale // when.denominator for when in whens], zone)


def _usage(draws, rows):
    """A column of usage of some type, and the rows as it can hold them."""
    import decimal

    import pyarrow as pa

    kind = draws.below(6)
    if kind == 0:
        return pa.array([text for _, _, text in rows], pa.string()), rows
    if kind == 1:  # whole numbers and nulls
        held = [None if n is None or not abs(n) < 2**53 else int(n) for n in map(_number_of, rows)]
        rows = [(*row[:2], "" if n is None else str(n)) for row, n in zip(rows, held, strict=True)]
        return pa.array(held, draws.pick((pa.int64(), pa.float64()))), rows
    if kind == 2:
        held = [None if n is None or not abs(n) < 1e6 else decimal.Decimal(f"{n:.3f}") for n in map(_number_of, rows)]
        rows = [(*row[:2], "" if n is None else str(n)) for row, n in zip(rows, held, strict=True)]
        return pa.array(held, pa.decimal128(12, 3)), rows
    return pa.array([_number(text) for _, _, text in rows], pa.float64()), rows


def _number_of(row):
    return _number(row[2])


def _parquet(draws, keys, rows):
    import pyarrow.parquet as pq

    table, rows = _table(draws, rows)
    out = io.BytesIO()
    version = draws.pick(("2.6", "1.0"))
    pq.write_table(table, out, version=version, compression=draws.pick(("snappy", "none")), row_group_size=3)
    return out.getvalue(), {}, rows


def _arrow(draws, keys, rows):
    import pyarrow as pa

    table, rows = _table(draws, rows)
    out = io.BytesIO()
    with draws.pick((pa.ipc.new_file, pa.ipc.new_stream))(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue(), {}, rows
