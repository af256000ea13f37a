"""Which column means what: from named columns to (series, instant, usage), whatever they came from."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from .._bridge import Floats, zone
from ..errors import InvalidInput, invalid, nearest, shown
from .arrowtext import TextColumn
from .cells import (
    NO_INSTANT,
    Bad,
    BadCell,
    Cells,
    Instants,
    Table,
    comes_twice,
    float_seconds,
    looks_like_dates,
    parse_instant,
    texts,
    usage_of,
    whole_seconds,
)
from .keys import KEY_FIELDS, UNSTATED, QuotaKey, same_unit
from .samples import Ints

_MOST_KNOWN = 200_000  # instants, of some 150 bytes each
_PLAIN = (str, dt.datetime)

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
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")


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


@dataclass(frozen=True)
class Understood:
    """The samples of a batch: of a wide table, all of its first series, then all of its second."""

    code: Ints  # which series
    time_s: Ints
    value: Floats  # NaN: not observed, or not understood
    bad: Bad  # what is wrong, by sample


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
    twice: int = 0  # rows in an hour that clocks showed twice; read as the first
    _instants: dict[Any, int] = field(default_factory=dict)
    _twice: set[Any] = field(default_factory=set)
    _instants_seen: bool = False  # numbers, whether they may be dates was asked
    _names: dict[QuotaKey | None, dict[Any, int]] = field(default_factory=dict)

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
        plain = {header.strip().casefold() for header in headers}
        if "timestamp" not in (columns or {}) and {"date", "time"} <= plain and not {"timestamp", "datetime"} & plain:
            rule = "must be one column: join date and time, or name one with columns={'timestamp': …} (--column)"
            raise invalid("timestamp", rule, "date and time")
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
        lone = len(rest) == 1 and series is None and (fixed or (stem and not REGION.fullmatch(rest[0])))
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
        layout = Layout(found, named, wide_keys(rest, template, named), (), zone(tz))
        if not layout.keyed:
            for key in layout.wide.values():  # a series is there even if all of it is missing
                layout.code_of(key)
        return layout

    @property
    def keyed(self) -> bool:
        """Whether columns of the table tell the series of a row apart."""
        return any(name in self.found for name in KEY_FIELDS)

    @cached_property
    def headers(self) -> tuple[str, ...]:
        """The columns that hold usage."""
        return tuple(self.wide) or (self.found["usage"],)

    def code_of(self, key: QuotaKey) -> int:
        """The number of that series; a new one from now on, even if all of it is missing."""
        return self.codes.setdefault(key, len(self.codes))

    def note_unit(self, key: QuotaKey, unit: str) -> str:
        """Note in which unit a series is given; give the rule that another one than before breaks, else nothing."""
        if not unit or same_unit(self.units.setdefault(key, unit), unit):
            return ""
        return f"of {key} must stay {self.units[key]!r}"

    @property
    def described(self) -> dict[str, str]:
        """What each field was read from, for the report."""
        result = {name: f"column {header!r}" for name, header in self.found.items()}
        result |= {name: repr(value) for name, value in self.fixed.items()}
        if self.wide:
            header, key = next(iter(self.wide.items()))
            result["series"] = f"{len(self.wide)} columns, such as {header!r} as {key}"
        return result

    def rows(self, table: Table, only: int | None = None) -> Understood:
        """Every sample in a batch of columns; ``only``: all of them are of the series of that number."""
        times, bad_rows = self._times(table[self.found["timestamp"]])
        count, headers = len(times), self.headers
        value, bad = self._usage(table, count)
        bad.update({n * count + row: what for n in range(len(headers)) for row, what in bad_rows.items()})
        value[list(bad)] = np.nan
        if only is not None:
            code = np.full(count, only, dtype=np.int64)
        elif self._plainly_wide:
            code = np.repeat(np.fromiter(map(self.code_of, self.wide.values()), np.int64, len(headers)), count)
        else:
            code = np.concatenate([self._codes(table, count, key) for key in self.wide.values() or (None,)])
        return Understood(code, np.tile(times, len(headers)), value, bad)

    @property
    def _plainly_wide(self) -> bool:
        """Whether it is a table of nothing but series, of which there may be a million."""
        return bool(self.wide) and not self.keyed and "unit" not in self.found

    def _usage(self, table: Table, count: int) -> tuple[Floats, Bad]:
        """The cells of all columns of usage, and what is wrong with some, by sample."""
        headers = self.headers
        if self._plainly_wide and isinstance(table[headers[0]], tuple):  # texts: all of them at once
            value, bad = usage_of(tuple(chain.from_iterable(table[header] for header in headers)), "")
            for sample, what in bad.items():  # of the cells put together, it knows no better
                what.row, what.column = sample % count, headers[sample // count]
            return value, bad
        columns = [usage_of(table[header], header) for header in headers]
        bad = {n * count + row: what for n, (_, wrong) in enumerate(columns) for row, what in wrong.items()}
        return np.concatenate([values for values, _ in columns]), bad

    def _codes(self, table: Table, count: int, wide: QuotaKey | None) -> Ints:
        if wide is not None and not self.keyed:
            result = np.full(count, self.codes[wide], dtype=np.int64)
        else:
            result = self._codes_by_row(table, count, wide)
        if "unit" in self.found:
            self._note_units(result, table[self.found["unit"]])
        return result

    def _codes_by_row(self, table: Table, count: int, wide: QuotaKey | None) -> Ints:
        default = self.fixed if wide is None else wide._asdict()
        fields = [name for name in KEY_FIELDS if name in self.found]
        if not fields:
            return np.full(count, self._code({}, default) if count else 0, dtype=np.int64)
        parts: list[Any] = [table[self.found[name]] for name in fields]
        known = self._names.setdefault(wide, {})  # cells are cleaned once for each name, not once for each row
        words, index = distinct(parts)
        for names in words:
            if names not in known:
                known[names] = self._code(dict(zip(fields, texts(names), strict=True)), default)
        return np.fromiter(map(known.__getitem__, words), np.int64, len(words))[index]

    def _code(self, named: Mapping[str, str], default: Mapping[str, str]) -> int:
        return self.code_of(key_of(*(named[name] if name in named else default.get(name, "") for name in KEY_FIELDS)))

    def _note_units(self, code: Ints, column: Cells) -> None:
        keys = tuple(self.codes)
        words, index = distinct([column])
        units = texts([word for (word,) in words])
        for pair in np.unique(code * len(units) + index).tolist():
            number, unit = pair // len(units), units[pair % len(units)]
            if rule := self.note_unit(keys[number], unit):
                row = int(np.flatnonzero((code == number) & (index == pair % len(units)))[0])
                raise BadCell(row, self.found["unit"], rule, unit)

    def _times(self, column: Cells) -> tuple[Ints, Bad]:
        if isinstance(column, Instants):
            return column.seconds, {}
        if isinstance(column, np.ndarray) and column.dtype.kind in "iuf" and not self._instants_seen and len(column):
            self._instants_seen = True
            if looks_like_dates(column):  # in the first rows: a clock that begins at 0 passes by such numbers later
                raise BadCell(0, self.found["timestamp"], NO_INSTANT + "; a date needs its dashes", column[0])
        if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
            return whole_seconds(column), {}
        if isinstance(column, np.ndarray) and column.dtype.kind == "M":
            if self.tz is dt.timezone.utc and not np.isnat(column).any():
                return column.astype("datetime64[s]").astype(np.int64), {}
            column = [
                cell if isinstance(cell, dt.datetime | None) else np.datetime64(cell, "s")  # beyond the calendar
                for cell in column.astype("datetime64[s]").tolist()
            ]
        if isinstance(column, list) and set(map(type, column)) == {float}:
            column = np.asarray(column)
        if isinstance(column, np.ndarray) and column.dtype.kind == "f":
            seconds, rows = float_seconds(column)
            header = self.found["timestamp"]
            return seconds, {row: BadCell(row, header, NO_INSTANT, column[row]) for row in rows.tolist()}
        return self._words(column)

    def _words(self, column: Cells) -> tuple[Ints, Bad]:
        """Instants in texts and objects, each different one parsed once."""
        if not isinstance(column, tuple | TextColumn):  # of a file, all are texts
            column = tuple(cell if isinstance(cell, _PLAIN) else _Odd(cell) for cell in column)
        known = self._instants
        wrong: dict[Any, str] = {}
        words, index = column.coded if isinstance(column, TextColumn) else (column, None)
        for cell in set(words) - known.keys():  # instants repeat from series to series
            try:
                known[cell] = parse_instant(cell.cell if isinstance(cell, _Odd) else cell, self.tz)
            except InvalidInput as error:
                known[cell], wrong[cell] = 0, error.rule
            if self._local and comes_twice(cell, self.tz):
                self._twice.add(cell)
        seconds = np.fromiter(map(known.__getitem__, words), np.int64, len(words))
        if index is not None:
            seconds = seconds[index]
        bad: Bad = {}
        if wrong:
            header = self.found["timestamp"]
            for row, cell in enumerate(column):
                if cell in wrong:
                    bad[row] = BadCell(row, header, wrong[cell], cell.cell if isinstance(cell, _Odd) else cell)
            for cell in wrong:
                del known[cell]
        if self._twice:
            self.twice += sum(cell in self._twice for cell in column)
        if len(known) > _MOST_KNOWN:  # a memo, not a second copy of the file
            known.clear()
        return seconds, bad

    @property
    def _local(self) -> bool:
        return self.tz is not None and self.tz is not dt.timezone.utc


class _Odd:
    """A cell that is no text: different from every other, and from texts and numbers that count as equal."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell


def distinct(columns: Sequence[Any]) -> tuple[list[tuple[Any, ...]], Ints]:
    """The different rows of some columns of names, in the order in which they first come, and which each row is."""
    if not all(isinstance(column, TextColumn) for column in columns):
        # Cells of a frame may be equal to nothing, as NaN is.
        cells = [column if isinstance(column, tuple) else texts(column) for column in columns]
        number: dict[tuple[Any, ...], int] = {}
        index = [number.setdefault(names, len(number)) for names in zip(*cells, strict=True)]
        return list(number), np.array(index, dtype=np.int64)
    combined = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        words, own = column.coded
        _, combined = np.unique(combined * max(1, len(words)) + own, return_inverse=True)
    _, first = np.unique(combined, return_index=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return [tuple(column[int(row)] for column in columns) for row in first[order]], rank[combined]


def key_of(account: str, region: str, service_code: str, quota_code: str, context_id: str) -> QuotaKey:
    """The key of these names; what is empty is not stated."""
    stated = (account or UNSTATED, region or UNSTATED, service_code or UNSTATED, quota_code or UNSTATED)
    return QuotaKey(*stated, context_id)


def wide_keys(headers: Sequence[str], template: str, fixed: Mapping[str, str]) -> dict[str, QuotaKey]:
    """Header → series, as a template such as ``{region}.{service_code}`` takes headers apart."""
    fields = re.findall(r"{(.*?)}", template)
    if not fields or len(set(fields)) != len(fields) or any(name not in KEY_FIELDS for name in fields):
        rule = f"must name parts of the header as {{region}}, {{service_code}} and so on, of {', '.join(KEY_FIELDS)}"
        raise invalid("series", rule, template)
    for name in fields:
        if name in fixed:
            raise invalid(name, "is in the series template already; leave it out", fixed[name])
    between = re.split(r"{.*?}", template)
    result: dict[str, QuotaKey] = {}
    seen: set[QuotaKey] = set()
    for header in headers:
        found = _taken_apart(header, between)
        if found is None:
            raise invalid("series", f"{template!r} must match the header of every series", header)
        parts = {**fixed, **dict(zip(fields, found, strict=True))}
        key = key_of(*(parts.get(name, "") for name in KEY_FIELDS))
        if key in seen:
            raise invalid("series", f"{template!r} must tell the columns apart", header)
        seen.add(key)
        result[header] = key
    return result


def _taken_apart(header: str, between: Sequence[str]) -> list[str] | None:
    """The parts of a header, none empty and each as short as it can be; ``between``: what stands around them.

    In one pass: a regular expression would try every way to take a hostile header apart, for hours.
    """
    if not header.startswith(between[0]) or not header.endswith(between[-1]):
        return None
    at, end = len(between[0]), len(header) - len(between[-1])
    parts = []
    for after in between[1:-1]:
        stop = header.find(after, at + 1, end)
        if stop < 0:
            return None
        parts.append(header[at:stop])
        at = stop + len(after)
    parts.append(header[at:end])
    return parts if at < end and "\n" not in "".join(parts) else None
