"""Which column means what: from named columns to (series, instant, usage), whatever they came from."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._bridge import Floats, zone
from ..errors import InvalidInput, invalid, nearest, shown
from .keys import KEY_FIELDS, UNSTATED, QuotaKey
from .samples import Ints

# What people call the columns, without case and punctuation.
NAMES: dict[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "time", "datetime", "date", "ts", "instant"),
    "account": ("account", "accountid", "awsaccount", "awsaccountid"),
    "region": ("region", "awsregion"),
    "service_code": ("servicecode", "service"),
    "quota_code": ("quotacode",),
    "context_id": ("contextid",),
    "usage": ("usage", "value", "used", "consumption"),
    "unit": ("unit",),
}
_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}


class BadCell(Exception):
    """A cell breaks a rule; the reader knows on which line that is."""

    def __init__(self, row: int, column: str, rule: str, value: object) -> None:
        """Note the row (from 0, in its batch), the column's header, the rule and the value."""
        super().__init__(column)
        self.row, self.column, self.rule, self.value = row, column, rule, value

    def at(self, place: str) -> InvalidInput:
        """Give the error a person reads."""
        return invalid(f"{place}, column {self.column!r}", self.rule, self.value)


def find_columns(
    headers: Sequence[str], mapped: Mapping[str, str], names: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Field → header: as mapped, else by its usual names. A mapping to a header that is not there is an error."""
    for name, header in mapped.items():
        if name not in names:
            raise invalid("columns", f"must map the fields {', '.join(names)}{nearest(name, names)}", name)
        if header not in headers:
            raise invalid(
                "columns", f"{name} is mapped to a column that is not there{nearest(header, headers)}", header
            )
    found = dict(mapped)
    plain = {re.sub(r"[^a-z0-9]", "", h.casefold()): h for h in reversed(headers)}
    for name, usual in names.items():
        there = next((plain[u] for u in usual if u in plain), None)
        if name not in found and there is not None and there not in found.values():
            found[name] = there
    return found


@dataclass
class Layout:
    """How one table is read. `resolve` makes it from the headers; `rows` applies it to a batch of columns."""

    found: dict[str, str]  # field → header
    fixed: dict[str, str]  # field → the value of every row
    wide: dict[str, QuotaKey]  # header → series; empty for a long table
    ignored: tuple[str, ...]
    tz: dt.tzinfo | None
    codes: dict[QuotaKey, int] = field(default_factory=dict)
    units: dict[QuotaKey, str] = field(default_factory=dict)
    _instants: dict[Any, int] = field(default_factory=dict)

    @staticmethod
    def resolve(
        headers: Sequence[str],
        *,
        columns: Mapping[str, str] | None,
        fixed: Mapping[str, str],
        series: str | None,
        tz: str | dt.tzinfo | None,
        stem: str,
    ) -> Layout:
        """Decide from the headers; errors name the option that settles what is unclear."""
        if len(set(headers)) != len(headers):
            twice = next(h for h in headers if list(headers).count(h) > 1)
            raise invalid("columns", "must have different names", twice)
        found = find_columns(headers, columns or {}, NAMES)
        if "timestamp" not in found:
            rule = "must be a column; name it with columns={'timestamp': …} (--column timestamp=HEADER)"
            raise invalid("timestamp", rule, f"columns {', '.join(map(shown, headers))}")
        if series is not None:  # said to be wide: a column that happens to be called like a field is a series
            found = {name: h for name, h in found.items() if name == "timestamp" or name in (columns or {})}
        for name in fixed:
            if name in found:
                raise invalid(name, f"is read from column {found[name]!r} already; leave it out", fixed[name])
        rest = [h for h in headers if h not in found.values()]
        if "usage" not in found and len(rest) == 1 and series is None:
            found["usage"] = rest.pop()
        named = dict(fixed)
        if "usage" in found:
            if not any(name in found or name in fixed for name in ("service_code", "quota_code")) and stem:
                named["service_code"] = stem
            return Layout(found, named, {}, tuple(rest), zone(tz))
        if not rest:
            raise invalid("usage", "must be a column; name it with columns={'usage': …}", ", ".join(headers))
        template = series or ("{service_code}" if "region" in fixed else "{region}")
        if "service_code" not in template and "service_code" not in fixed and stem:
            named["service_code"] = stem
        layout = Layout(found, named, _wide_keys(rest, template, named), (), zone(tz))
        for key in layout.wide.values():
            layout.codes.setdefault(key, len(layout.codes))
        return layout

    @property
    def described(self) -> dict[str, str]:
        """What each field was read from, for the report."""
        result = {name: f"column {header!r}" for name, header in self.found.items()}
        result |= {name: repr(value) for name, value in self.fixed.items()}
        if self.wide:
            result["series"] = f"{len(self.wide)} columns"
        return result

    def rows(self, table: Mapping[str, Sequence[Any]]) -> tuple[Ints, Ints, Floats]:
        """Series number, epoch seconds and usage (NaN: missing) of every sample in a batch of columns."""
        times = self._times(table[self.found["timestamp"]])
        if self.wide:
            count = len(times)
            code = np.repeat([self.codes[key] for key in self.wide.values()], count).astype(np.int64)
            values = [_usage(table[header], header) for header in self.wide]
            return code, np.tile(times, len(self.wide)), np.concatenate(values)
        usage = self.found["usage"]
        return self._codes(table, len(times)), times, _usage(table[usage], usage)

    def _codes(self, table: Mapping[str, Sequence[Any]], count: int) -> Ints:
        parts = [
            table[self.found[name]] if name in self.found else [self.fixed.get(name, "")] * count for name in KEY_FIELDS
        ]
        seen: dict[tuple[Any, ...], int] = {}  # cells are cleaned once for each name, not once for each row
        code = []
        for names in zip(*parts, strict=True):
            number = seen.get(names)
            if number is None:
                number = seen[names] = self.codes.setdefault(_key(*_texts(names)), len(self.codes))
            code.append(number)
        result = np.array(code, dtype=np.int64)
        if "unit" in self.found:
            self._note_units(result, _texts(table[self.found["unit"]]))
        return result

    def _note_units(self, code: Ints, units: Sequence[str]) -> None:
        keys = tuple(self.codes)
        for number, unit in dict.fromkeys(zip(code.tolist(), units, strict=True)):
            if unit and self.units.setdefault(keys[number], unit) != unit:
                known = self.units[keys[number]]
                row = next(i for i, (c, u) in enumerate(zip(code, units, strict=True)) if c == number and u == unit)
                raise BadCell(row, self.found["unit"], f"of {keys[number]} must stay {known!r}", unit)

    def _times(self, column: Sequence[Any]) -> Ints:
        if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
            return whole_seconds(column)
        if isinstance(column, np.ndarray) and column.dtype.kind == "M":
            if self.tz is dt.timezone.utc and not np.isnat(column).any():
                return column.astype("datetime64[s]").astype(np.int64)
            column = column.astype("datetime64[s]").tolist()
        known = self._instants  # instants repeat from series to series
        seconds = []
        for i, cell in enumerate(column):
            second = known.get(cell)
            if second is None:
                second = known[cell] = self._instant(i, cell)
            seconds.append(second)
        if len(known) > 2_000_000:  # a memo, not a second copy of the file
            known.clear()
        return np.array(seconds, dtype=np.int64)

    def _instant(self, row: int, cell: Any) -> int:
        try:
            return parse_instant(cell, self.tz)
        except InvalidInput as error:
            rule = str(error).partition(": ")[2].rpartition(" (got")[0]
            raise BadCell(row, self.found["timestamp"], rule, cell) from None


def parse_instant(cell: Any, tz: dt.tzinfo | None) -> int:
    """Epoch seconds, rounded down, of ISO 8601 text, a datetime, or epoch seconds, milli-, micro- or nanoseconds."""
    if isinstance(cell, str):
        text = cell.strip()
        try:
            cell = dt.datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
        except ValueError:
            try:
                cell = float(text)
            except ValueError:
                raise invalid("timestamp", "must be ISO 8601 or seconds since 1970", text) from None
    if isinstance(cell, dt.date) and not isinstance(cell, dt.datetime):
        cell = dt.datetime.combine(cell, dt.time())
    if isinstance(cell, dt.datetime):
        if cell.tzinfo is None:
            if tz is None:
                raise invalid("timestamp", "has no time zone; state it with tz= (--tz UTC)", str(cell))
            cell = cell.replace(tzinfo=tz)
        try:
            seconds: float = cell.timestamp()
        except OverflowError:  # the zone has no offset at the ends of the calendar
            raise invalid("timestamp", "must lie in the years 2 to 9998", str(cell)) from None
        return math.floor(seconds)
    if isinstance(cell, bool) or not isinstance(cell, int | float | np.number) or not math.isfinite(cell):
        raise invalid("timestamp", "must be ISO 8601 or seconds since 1970", cell)
    exact: int | float = int(cell) if isinstance(cell, int | np.integer) else float(cell)
    if abs(exact) >= 1e20:
        raise invalid("timestamp", "must be ISO 8601 or seconds since 1970", cell)
    unit = next(unit for below, unit in _EPOCH_UNITS if abs(exact) < below)
    return math.floor(exact / unit) if isinstance(exact, float) else exact // unit


def whole_seconds(column: Ints) -> Ints:
    """Epoch seconds of a column of integers, in the unit that puts the largest of them near our time."""
    size = float(np.abs(column).max()) if len(column) else 0.0
    return column.astype(np.int64) // int(next(unit for below, unit in _EPOCH_UNITS if size < below))


# Below 1e11 seconds it is the year 5138; larger numbers are milli-, micro- or nanoseconds.
_EPOCH_UNITS = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))


def _usage(column: Sequence[Any], header: str) -> Floats:
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        values = column.astype(np.float64)
    else:
        try:
            values = np.array(column, dtype=np.float64)  # the usual case: every cell is a number
        except (TypeError, ValueError):
            values = np.array([_number(i, cell, header) for i, cell in enumerate(column)], dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        at = int(infinite[0])
        raise BadCell(at, header, "must be a finite number, or empty where not observed", column[at])
    return values


def _number(row: int, cell: Any, header: str) -> float:
    if cell is None or (isinstance(cell, str) and cell.strip().casefold() in _MISSING):
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError):
        if str(cell) in ("<NA>", "NaT"):
            return math.nan
        raise BadCell(row, header, "must be a finite number, or empty where not observed", cell) from None


def _texts(column: Sequence[Any]) -> Sequence[str]:
    return ["" if c is None or c != c else str(c).strip() for c in column]


def _key(account: str, region: str, service_code: str, quota_code: str, context_id: str) -> QuotaKey:
    stated = (account or UNSTATED, region or UNSTATED, service_code or UNSTATED, quota_code or UNSTATED)
    return QuotaKey(*stated, context_id)


def _wide_keys(headers: Sequence[str], template: str, fixed: Mapping[str, str]) -> dict[str, QuotaKey]:
    fields = re.findall(r"{(.*?)}", template)
    if not fields or len(set(fields)) != len(fields) or any(name not in KEY_FIELDS for name in fields):
        rule = f"must name parts of the header as {{region}}, {{service_code}} and so on, of {', '.join(KEY_FIELDS)}"
        raise invalid("series", rule, template)
    for name in fields:
        if name in fixed:
            raise invalid(name, "is in the series template already; leave it out", fixed[name])
    pieces = re.split(r"({.*?})", template)
    groups = (f"(?P<{p[1:-1]}>.+?)" if p.startswith("{") else re.escape(p) for p in pieces)
    pattern = re.compile("".join(groups))
    result: dict[str, QuotaKey] = {}
    for header in headers:
        match = pattern.fullmatch(header)
        if match is None:
            raise invalid("series", f"{template!r} must match the header of every series", header)
        parts = {**fixed, **match.groupdict()}
        key = _key(*(parts.get(name, "") for name in KEY_FIELDS))
        if key in result.values():
            raise invalid("series", f"{template!r} must tell the columns apart", header)
        result[header] = key
    return result
