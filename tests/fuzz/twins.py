"""Slow, obvious twins of what is in a cell and in a CSV file: Python's own csv and datetime, cell by cell.

A twin says what it is sure of. Of cells that only a person could judge it says that it is unsure, and the answer of
the reader is then checked as far as the other cells go.
"""

import csv
import datetime as dt
import io
import math
import re
import zoneinfo
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from .checks import as_dict

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
FIELDS = ("account", "region", "service_code", "quota_code", "context_id")
MISSING, BAD, RANGE, UNSURE = "missing", "bad", "out of range", "unsure"
BLANK = ("", "nan", "na", "n/a", "null", "none", "-")
ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


class UnsureError(Exception):
    """The twin does not know this kind of file."""


def number(text):
    """A float, or MISSING, BAD, RANGE or UNSURE."""
    blanks, text = text, text.strip()
    if text.casefold() in BLANK:
        return MISSING
    if blanks.strip(" \t\r\n\f\v") != text or text in ("NaT", "<NA>"):
        return UNSURE
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        if text.isascii() and text.casefold().lstrip("+-") in ("inf", "infinity"):
            return RANGE
        return UNSURE if not text.isascii() or text.casefold().lstrip("+-") == "nan" else BAD
    if len(text) > 1000:
        return UNSURE
    mantissa, _, exponent = text.casefold().partition("e")
    if exponent and abs(int(exponent)) > 2000:
        return UNSURE
    try:
        value = float(Fraction(mantissa) * Fraction(10) ** int(exponent or 0))
    except OverflowError:
        return RANGE
    return value


def instant(text, tz=None):
    """Epoch seconds, or BAD or UNSURE."""
    text = text.strip()
    if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        return _epoch(text)
    if (found := ISO.fullmatch(text)) is None:
        return UNSURE if re.search(r"\d", text) or not text.isascii() else _word(text)
    year, month, day, hour, minute, second, _, zone = found.groups()
    try:
        local = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0))
    except ValueError:
        return UNSURE if hour == "24" else BAD
    if int(second or 0) >= 60:
        return UNSURE
    local += dt.timedelta(seconds=int(second or 0))
    if not 3 <= local.year <= 9997:
        return UNSURE
    if zone not in (None, "Z"):
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 23 or minutes > 59:
            return UNSURE
        offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    elif zone == "Z":
        offset = dt.timedelta()
    elif tz is None:
        return BAD
    else:
        return _in_zone(local, tz)
    return int((local.replace(tzinfo=dt.timezone.utc) - offset - EPOCH) / dt.timedelta(seconds=1))


def _word(text):
    return UNSURE if text.casefold().lstrip("+-") in ("nan", "inf", "infinity") else BAD


def _epoch(text):
    digits = text.lstrip("+-")
    if len(text) in (8, 12, 14) and text[:2] in ("19", "20"):
        return BAD
    if len(digits) > 20:
        return UNSURE
    whole = int(text)
    for most, unit in ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9)):
        if abs(whole) < most:
            return whole // unit
    return BAD


def _in_zone(local, tz):
    """Try every second of two days: which instant does a clock of that zone show so? The first of them."""
    zone = zoneinfo.ZoneInfo(tz)
    about = local.replace(tzinfo=dt.timezone.utc)
    for offset_s in sorted({_offset_s(about + dt.timedelta(hours=h), zone) for h in range(-30, 31)}, reverse=True):
        at = about - dt.timedelta(seconds=offset_s)  # the largest offset is the earliest instant
        if at.astimezone(zone).replace(tzinfo=None) == local:
            return int((at - EPOCH) / dt.timedelta(seconds=1))
    return BAD


def _offset_s(at, zone):
    return int(at.astimezone(zone).utcoffset().total_seconds())


@dataclass
class Told:
    """What a twin is sure of."""

    samples: dict = field(default_factory=dict)  # (key, second) → largest value
    pairs: Counter = field(default_factory=Counter)  # (key, second, value) → rows
    counts: Counter = field(default_factory=Counter)  # MISSING, BAD, RANGE, UNSURE
    rows: int = 0
    infinite: int = 0  # of those out of range

    def add(self, key, second, value, negative="refuse"):
        """Note one sample."""
        self.rows += 1
        if UNSURE in (second, value):
            self.counts[UNSURE] += 1
        elif BAD in (second, value):
            self.counts[BAD] += 1
        elif value in (MISSING, RANGE):
            self.counts[value] += 1
        elif value < 0 and negative != "keep":
            self.counts[RANGE] += 1
        else:
            value += 0.0
            self.pairs[key, second, value] += 1
            self.samples[key, second] = max(value, self.samples.get((key, second), value))

    def check(self, found, error, *, bad, negative="refuse"):
        """Compare with what a reader found."""
        if self.counts[UNSURE] == 0:
            refuses = self.counts[BAD] or (self.counts[RANGE] if negative == "refuse" else self.infinite)
            if bad == "refuse" and refuses:
                assert error is not None, f"must be refused: {self.counts}"
                return
        if error is not None:
            text = str(error)
            if self.counts[UNSURE] or "must fit" in text:  # so long a time that no grid holds it
                return
            assert not self.samples, f"refused: {text}"
            return
        report, kept = found.report, as_dict(found)
        assert report.rows == self.rows, (report.rows, self.rows)
        sure = {at: kept.get(at) for at in self.samples}
        if not self.counts[UNSURE]:
            assert kept == self.samples
            said = (report.missing, report.not_understood, report.out_of_range, report.duplicates + report.conflicts)
            again = sum(self.pairs.values()) - len(self.samples)
            assert said == (self.counts[MISSING], self.counts[BAD], self.counts[RANGE], again), (said, self.counts)
            assert report.duplicates == sum(self.pairs.values()) - len(self.pairs)
            return
        for at, value in self.samples.items():
            assert sure[at] is not None, f"lost: {at}"
            assert sure[at] >= value, (at, value, sure[at])
        changed = sum(sure[at] != value for at, value in self.samples.items())
        assert len(kept) - len(self.samples) + changed <= self.counts[UNSURE], "samples that no row says"


ALIASES = {
    "timestamp": "timestamp time datetime date ts instant",
    "account": "account accountid awsaccount awsaccountid",
    "region": "region awsregion",
    "service_code": "servicecode service",
    "quota_code": "quotacode",
    "context_id": "contextid",
    "usage": "usage value used consumption",
    "unit": "unit",
}


def rows_of(data):
    """Headers and rows of a CSV file; a row that is no text or has another width is None."""
    if b"\0" in data or not data:
        raise UnsureError
    text = data.decode("utf-8-sig", "surrogateescape")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UnsureError
    first = next((line for line in re.split("[\r\n]+", text) if line.strip()), None)
    if first is None:
        raise UnsureError
    delimiter = max(",;\t|", key=re.sub('"[^"]*"', "", first).count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
    except csv.Error:
        raise UnsureError from None
    headers = [header.strip() for header in rows[0]]
    whole = [
        row if len(row) == len(headers) and not re.search("[\ud800-\udfff]", "".join(row)) else None for row in rows[1:]
    ]
    if len(set(headers)) < len(headers) or re.search("[\ud800-\udfff]", "".join(headers)):
        raise UnsureError
    return headers, whole


def columns_of(headers, mapped, aliases=ALIASES):
    """Field → number of its column."""
    found = {}
    for name, header in mapped.items():
        if header not in headers:
            raise UnsureError
        found[name] = headers.index(header)
    for name, words in aliases.items():
        there = [n for n, h in enumerate(headers) if re.sub("[^a-z0-9]", "", h.casefold()) in words.split()]
        if name in found or not there:
            continue
        if len(there) > 1 or there[0] in found.values():
            raise UnsureError
        found[name] = there[0]
    return found


def name_of(cell):
    text = cell.strip()
    return "" if text in ("nan", "<NA>", "NaT") else text


def split_header(header, template):
    """Take a header apart as a template says, each part as short as it can be; None where it does not fit."""
    if len(header) > 40:
        raise UnsureError  # every way is tried, which would take too long
    if not template:
        return {} if not header else None
    if template.startswith("{"):
        name, _, rest = template[1:].partition("}")
        for end in range(1, len(header) + 1):
            if "\n" in header[:end]:
                return None
            parts = split_header(header[end:], rest)
            if parts is not None:
                return {name: header[:end], **parts}
        return None
    return split_header(header[1:], template[1:]) if header[:1] == template[0] else None


def csv_usage(data, how):
    """What a CSV file of usage says, read with these options of `readers.read`."""
    headers, rows = rows_of(data)
    found = columns_of(headers, how.get("columns", {}))
    if "timestamp" not in found:
        raise UnsureError
    template = how.get("series")
    if template is not None:
        found = {n: c for n, c in found.items() if n == "timestamp" or n in how.get("columns", {})}
    fixed = {name: how[name] for name in FIELDS if name in how}
    if fixed.keys() & found.keys():
        raise UnsureError
    rest = [n for n in range(len(headers)) if n not in found.values()]
    if "usage" in found:
        series = {found["usage"]: {}}
    else:
        if template is None and len(rest) == 1 and fixed:
            series = {rest[0]: {}}
        else:
            template = template or ("{service_code}" if "region" in fixed or "region" in found else "{region}")
            series = {n: split_header(headers[n], template) for n in rest}
    if not series or None in series.values() or any(fixed.keys() & parts.keys() for parts in series.values()):
        raise UnsureError
    if any(found.keys() & parts.keys() for parts in series.values()):
        raise UnsureError
    if "unit" in found and len({name_of(row[found["unit"]]) for row in rows if row} - {""}) > 1:
        raise UnsureError
    told = Told()
    if len({tuple(sorted(parts.items())) for parts in series.values()}) < len(series):
        raise UnsureError
    for row in rows:
        if row is None:
            told.rows += 1
            told.counts[BAD] += 1
            continue
        second = instant(row[found["timestamp"]], how.get("tz"))
        for column, parts in series.items():
            stated = {**fixed, **parts, **{n: name_of(row[found[n]]) for n in FIELDS if n in found}}
            key = tuple(stated.get(n, "") or ("" if n == "context_id" else "-") for n in FIELDS)
            value = number(row[column])
            if "_" in row[column] and value is UNSURE:
                value = BAD
            told.add(key, second, value, how.get("negative", "refuse"))
            told.infinite += value == RANGE and second not in (UNSURE, BAD)
    return told


QUOTA_ALIASES = {
    **{name: ALIASES[name] for name in (*FIELDS, "unit")},
    "quota": "quota quotavalue limit appliedvalue value",
    "default_value": "defaultvalue default",
    "adjustable": "adjustable",
    "is_global": "isglobal global globalquota",
    "name": "quotaname name",
}
WORDS = ("true", "1", "yes", "y", "false", "0", "no", "n", "")


def csv_quotas(data, how):
    """The quotas of a CSV file: (key, value, unit, name) in order; None where the file must be refused."""
    headers, rows = rows_of(data)
    found = columns_of(headers, how.get("columns", {}), QUOTA_ALIASES)
    if "quota" not in found or None in rows:
        return None
    result = []
    for row in rows:
        said = {name: name_of(row[column]) for name, column in found.items()}
        key = tuple(said.get(n) or how.get(n) or ("" if n == "context_id" else "-") for n in FIELDS)
        values = [number(row[found[n]]) for n in ("quota", "default_value") if n in found]
        if UNSURE in values:
            raise UnsureError
        if RANGE in values or BAD in values or any(v < 0 for v in values if v != MISSING):
            return None
        if any(said.get(name, "").casefold() not in WORDS for name in ("adjustable", "is_global")):
            return None
        value = math.nan if values[0] == MISSING else values[0]
        result.append((key, repr(value), said.get("unit", ""), said.get("name", "")))
    return result
