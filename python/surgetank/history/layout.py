"""Which column means what: from named columns to (series, instant, usage), whatever they came from."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._bridge import Floats, zone
from ..errors import InvalidInput, invalid, nearest, shown
from .cells import BadCell, Cells, Instants, Table, parse_instant, texts, usage_of, whole_seconds
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
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")


def find_columns(
    headers: Sequence[str], mapped: Mapping[str, str], names: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Field → header: as mapped, else by its usual names. A mapping to a header that is not there is an error."""
    if not isinstance(mapped, Mapping):
        raise invalid("columns", "must map fields to headers", mapped)
    for name, header in mapped.items():
        if not isinstance(name, str) or name not in names:
            raise invalid("columns", f"must map the fields {', '.join(names)}{nearest(str(name), names)}", name)
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
        if series is not None and not isinstance(series, str):
            raise invalid("series", "must be a text such as '{region}.{service_code}'", series)
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
        # A table of one column without a usual name; a Region's name is kept, as in a table of several Regions.
        lone = len(rest) == 1 and series is None and (fixed or (stem and not _REGION.fullmatch(rest[0])))
        if "usage" not in found and lone:
            found["usage"] = rest.pop()
        named = dict(fixed)
        if "usage" in found:
            if not any(name in found or name in fixed for name in ("service_code", "quota_code")) and stem:
                named["service_code"] = stem
            return Layout(found, named, {}, tuple(rest), zone(tz))
        if not rest:
            raise invalid("usage", "must be a column; name it with columns={'usage': …}", ", ".join(headers))
        template = series or ("{service_code}" if "region" in fixed or "region" in found else "{region}")
        for name in re.findall(r"{(.*?)}", template):
            if name in found:
                raise invalid("series", f"must not name {name}, which is a column of its own", template)
        if "service_code" not in template and "service_code" not in fixed and stem:
            named["service_code"] = stem
        layout = Layout(found, named, _wide_keys(rest, template, named), (), zone(tz))
        if not layout.keyed:
            for key in layout.wide.values():  # a series is there even if all of it is missing
                layout.codes.setdefault(key, len(layout.codes))
        return layout

    @property
    def keyed(self) -> bool:
        """Whether columns of the table tell the series of a row apart."""
        return any(name in self.found for name in KEY_FIELDS)

    def usage_header(self, sample: int, rows: int) -> str:
        """The column that a sample of a batch (as `rows` orders them) stands in."""
        return list(self.wide)[sample // rows] if self.wide else self.found["usage"]

    @property
    def described(self) -> dict[str, str]:
        """What each field was read from, for the report."""
        result = {name: f"column {header!r}" for name, header in self.found.items()}
        result |= {name: repr(value) for name, value in self.fixed.items()}
        if self.wide:
            header, key = next(iter(self.wide.items()))
            result["series"] = f"{len(self.wide)} columns, such as {header!r} as {key}"
        return result

    def rows(self, table: Table) -> tuple[Ints, Ints, Floats]:
        """Series number, epoch seconds and usage (NaN: missing) of every sample in a batch of columns."""
        times = self._times(table[self.found["timestamp"]])
        if self.wide:
            codes = [self._codes(table, len(times), key) for key in self.wide.values()]
            values = [usage_of(table[header], header) for header in self.wide]
            return np.concatenate(codes), np.tile(times, len(self.wide)), np.concatenate(values)
        usage = self.found["usage"]
        return self._codes(table, len(times), None), times, usage_of(table[usage], usage)

    def _codes(self, table: Table, count: int, wide: QuotaKey | None) -> Ints:
        if wide is not None and not self.keyed:
            result = np.full(count, self.codes[wide], dtype=np.int64)
        else:
            result = self._codes_by_row(table, count, self.fixed if wide is None else wide._asdict())
        if "unit" in self.found:
            self._note_units(result, texts(table[self.found["unit"]]))
        return result

    def _codes_by_row(self, table: Table, count: int, default: Mapping[str, str]) -> Ints:
        parts = [
            table[self.found[name]] if name in self.found else [default.get(name, "")] * count for name in KEY_FIELDS
        ]
        seen: dict[tuple[Any, ...], int] = {}  # cells are cleaned once for each name, not once for each row
        code = []
        for names in zip(*parts, strict=True):
            number = seen.get(names)
            if number is None:
                number = seen[names] = self.codes.setdefault(_key(*texts(names)), len(self.codes))
            code.append(number)
        return np.array(code, dtype=np.int64)

    def _note_units(self, code: Ints, units: Sequence[str]) -> None:
        keys = tuple(self.codes)
        for number, unit in dict.fromkeys(zip(code.tolist(), units, strict=True)):
            if unit and self.units.setdefault(keys[number], unit) != unit:
                known = self.units[keys[number]]
                row = next(i for i, (c, u) in enumerate(zip(code, units, strict=True)) if c == number and u == unit)
                raise BadCell(row, self.found["unit"], f"of {keys[number]} must stay {known!r}", unit)

    def _times(self, column: Cells) -> Ints:
        if isinstance(column, Instants):
            return column.seconds
        if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
            return whole_seconds(column)
        if isinstance(column, np.ndarray) and column.dtype.kind == "M":
            if self.tz is dt.timezone.utc and not np.isnat(column).any():
                return column.astype("datetime64[s]").astype(np.int64)
            column = column.astype("datetime64[s]").tolist()
        known = self._instants  # instants repeat from series to series
        seconds = []
        for i, cell in enumerate(column):
            second = known.get(cell) if isinstance(cell, Hashable) else None
            if second is None:
                second = self._instant(i, cell)
                if isinstance(cell, Hashable):
                    known[cell] = second
            seconds.append(second)
        if len(known) > 2_000_000:  # a memo, not a second copy of the file
            known.clear()
        return np.array(seconds, dtype=np.int64)

    def _instant(self, row: int, cell: Any) -> int:
        try:
            return parse_instant(cell, self.tz)
        except InvalidInput as error:
            raise BadCell(row, self.found["timestamp"], error.rule, cell) from None


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
    seen: set[QuotaKey] = set()
    for header in headers:
        match = pattern.fullmatch(header)
        if match is None:
            raise invalid("series", f"{template!r} must match the header of every series", header)
        parts = {**fixed, **match.groupdict()}
        key = _key(*(parts.get(name, "") for name in KEY_FIELDS))
        if key in seen:
            raise invalid("series", f"{template!r} must tell the columns apart", header)
        seen.add(key)
        result[header] = key
    return result
