"""One way in for every source: a path, a frame or an Arrow stream becomes `Samples` or quotas."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput, MissingExtra, invalid
from .cells import BadCell, Cells, Instants, Table, number_in, texts
from .csvfile import csv_batches
from .keys import KEY_FIELDS, Quota, QuotaKey
from .layout import NAMES, Layout, find_columns
from .report import ImportReport
from .samples import Samples, merge

#: Called with (bytes read, bytes in all) while a file is read.
Progress = Callable[[int, int], None]

QUOTA_NAMES: dict[str, tuple[str, ...]] = {
    **{name: NAMES[name] for name in (*KEY_FIELDS, "unit")},
    "quota": ("quota", "quotavalue", "limit", "appliedvalue", "value"),
    "default_value": ("defaultvalue", "default"),
    "adjustable": ("adjustable",),
    "is_global": ("isglobal", "global", "globalquota"),
    "name": ("quotaname", "name"),
}


def is_frame(source: object) -> bool:
    """Whether this is a table of named columns (pandas, polars, pyarrow, anything with an Arrow stream)."""
    if isinstance(source, np.ndarray | str | os.PathLike):
        return False
    if type(source).__name__ == "LazyFrame":
        return False  # it has no rows before it is collected
    if hasattr(source, "column_names") or (hasattr(source, "columns") and len(getattr(source, "shape", ())) == 2):
        return True
    return hasattr(source, "__arrow_c_stream__") and not hasattr(source, "__array__")


def headers_of(source: str | os.PathLike[str]) -> list[str]:
    """The column names of a file."""
    _, batches = _batches(source, None)
    return list(next(batches)[1])


def lists_quotas(headers: Sequence[str], columns: Mapping[str, str]) -> bool:
    """Whether a file with these headers lists quotas rather than usage: it names a quota, and no instant."""
    quotas = find_columns(headers, columns, QUOTA_NAMES)
    instants = find_columns(headers, {}, {"timestamp": NAMES["timestamp"]})
    return not instants and "quota" in quotas and ("service_code" in quotas or "quota" in columns)


def read_samples(
    source: object,
    *,
    columns: Mapping[str, str] | None = None,
    tz: str | dt.tzinfo | None = None,
    account: str | None = None,
    region: str | None = None,
    service_code: str | None = None,
    quota_code: str | None = None,
    series: str | None = None,
    negative: str = "refuse",
    progress: Progress | None = None,
) -> Samples:
    """Read usage. The arguments are those of `History.read`; sources and rules are described there."""
    if negative not in ("refuse", "missing", "keep"):
        raise invalid("negative", 'must be "refuse", "missing" or "keep"', negative)
    given = {"account": account, "region": region, "service_code": service_code, "quota_code": quota_code}
    fixed = {name: value for name, value in given.items() if value is not None}
    name, batches = _batches(source, progress)
    stem = "" if is_frame(source) else Path(name).stem
    layout: Layout | None = None
    parts = []
    for line, table in batches:
        if layout is None:
            layout = Layout.resolve(list(table), columns=columns, fixed=fixed, series=series, tz=tz, stem=stem)
        try:
            code, time_s, value = layout.rows(table)
        except BadCell as bad:
            raise bad.at(line(bad.row)) from None
        below = np.flatnonzero(value < 0)
        if len(below) and negative == "refuse":
            sample, rows = int(below[0]), len(table[layout.found["timestamp"]])
            rule = "usage must be 0 or more; negative='missing' (--negative missing) reads it as not observed"
            row, header = sample % rows, layout.usage_header(sample, rows)
            raise BadCell(row, header, rule, value[sample]).at(line(row))
        parts.append((code, time_s, value))
    assert layout is not None  # a source yields its headers even without rows
    return _assemble(name, layout, parts, negative)


def _assemble(name: str, layout: Layout, parts: list[Any], negative: str) -> Samples:
    code, time_s, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    rows = len(value)
    observed = ~np.isnan(value)
    below = value < 0 if negative == "missing" else np.zeros(rows, dtype=bool)
    keep = observed & ~below
    merged = merge(code[keep], time_s[keep], value[keep])
    if not len(merged.value):
        raise invalid(f"{name}: usage", "must hold at least one observed sample", f"{rows:,} rows")
    samples = Samples(tuple(layout.codes), merged.code, merged.time_s, merged.value, layout.units)
    samples.check_span()
    first, last = (str(np.datetime64(int(t), "s")) + "Z" for t in (merged.time_s.min(), merged.time_s.max()))
    report = ImportReport(
        source=name,
        rows=rows,
        added=len(merged.value),
        duplicates=merged.duplicates,
        conflicts=merged.conflicts,
        missing=int((~observed).sum()),
        negatives=int(below.sum()),
        series=len(layout.codes),
        first=first,
        last=last,
        step_s=float(samples.step_s()),
        columns=layout.described,
        ignored=layout.ignored,
    )
    return Samples(samples.keys, samples.code, samples.time_s, samples.value, samples.units, report)


def read_quotas(source: object, *, columns: Mapping[str, str] | None = None, **fixed: str | None) -> list[Quota]:
    """Read a table of quotas.

    Columns: those of the key, ``quota``, and optionally default_value, unit, adjustable, is_global, name. ``fixed``
    gives account, region and so on where the table has no such column.
    """
    result = []
    _, batches = _batches(source, None)
    for line, table in batches:
        found = find_columns(list(table), columns or {}, QUOTA_NAMES)
        if "quota" not in found:
            rule = "must be a column; name it with columns={'quota': …} (--column quota=HEADER)"
            raise invalid("quota", rule, f"columns {', '.join(table)}")
        cells = {name: table[header] for name, header in found.items()}
        try:
            result += [_quota(i, cells, found, fixed) for i in range(len(cells["quota"]))]
        except BadCell as bad:
            raise bad.at(line(bad.row)) from None
    return result


def _quota(i: int, cells: Table, found: Mapping[str, str], fixed: Mapping[str, str | None]) -> Quota:
    unstated = QuotaKey()
    words = {name: texts([column[i]])[0] for name, column in cells.items()}
    parts = {name: words.get(name) or fixed.get(name) or getattr(unstated, name) for name in KEY_FIELDS}
    numbers = dict.fromkeys(("quota", "default_value"), math.nan)
    for name in numbers:
        if name in cells:
            numbers[name] = number_in(i, cells[name][i], found[name])
            if numbers[name] < 0 or math.isinf(numbers[name]):
                raise BadCell(i, found[name], "must be finite and 0 or more", cells[name][i])
    flags = {name: _flag(i, words.get(name, ""), found.get(name, "")) for name in ("adjustable", "is_global")}
    return Quota(
        key=QuotaKey(**parts),
        value=numbers["quota"],
        default_value=numbers["default_value"],
        unit=words.get("unit", ""),
        name=words.get("name", ""),
        adjustable=flags["adjustable"],
        is_global=bool(flags["is_global"]),
    )


def _flag(row: int, text: str, header: str) -> bool | None:
    words = {"true": True, "1": True, "yes": True, "y": True, "false": False, "0": False, "no": False, "n": False}
    if text == "":
        return None
    if text.casefold() not in words:
        raise BadCell(row, header, "must be true or false", text)
    return words[text.casefold()]


# Where each row of a batch stands, for error messages.
Place = Callable[[int], str]


def _batches(source: object, progress: Progress | None) -> tuple[str, Iterator[tuple[Place, Table]]]:
    if is_frame(source):
        table = frame_columns(source)
        return "frame", iter([(lambda row: f"row {row}", table)])
    if not isinstance(source, str | os.PathLike):
        raise invalid("source", "must be a path, a frame or an object with __arrow_c_stream__", type(source).__name__)
    path = Path(source)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise invalid("source", "must be a file, not a pipe or device: it is read more than once", str(path))
        with path.open("rb") as file:
            magic = file.read(4)
    except InvalidInput:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise invalid("source", f"must be a readable file: {reason}", str(path)) from error
    if magic == b"PAR1":
        return path.name, _parquet(path)
    return path.name, csv_batches(path, progress)


def _parquet(path: Path) -> Iterator[tuple[Place, Table]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra(
            f"{path.name} is a Parquet file; reading it needs: pip install 'surgetank[files]'"
        ) from error
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise invalid("source", f"must be a whole Parquet file: {error}", path.name) from error
    yield lambda row: f"{path.name}, row {row}", _arrow_columns(table)


def frame_columns(frame: Any) -> Table:
    """Named columns of any frame; instants with a zone as datetime objects, or as datetime64 in UTC."""
    if hasattr(frame, "iloc"):  # pandas, without importing it
        columns = [(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)]
        named = str(frame.index.name or "timestamp")
        if named not in (name for name, _ in columns) and (
            frame.index.name is not None or frame.index.dtype.kind == "M"
        ):
            columns.insert(0, (named, frame.index.to_series()))
        return _by_name((name, _pandas_column(column)) for name, column in columns)
    if hasattr(frame, "get_column"):  # polars
        return _by_name((name, _polars_column(frame.get_column(name))) for name in frame.columns)
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra("reading an Arrow stream needs: pip install 'surgetank[files]'") from error
    try:
        return _arrow_columns(frame if isinstance(frame, pa.Table) else pa.table(frame))
    except InvalidInput:
        raise
    except Exception as error:  # whatever the stream's producer raises
        raise invalid("source", f"must be a stream of Arrow tables: {error}", type(frame).__name__) from error


def _by_name(columns: Iterable[tuple[str, Cells]]) -> Table:
    result: dict[str, Cells] = {}
    for name, column in columns:
        if name in result:
            raise invalid("columns", "must have different names", name)
        result[name] = column
    return result


def _pandas_column(column: Any) -> Cells:
    if getattr(column.dtype, "tz", None) is not None:
        seconds = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        return _aware(seconds)
    return column.to_numpy()  # type: ignore[no-any-return]


def _polars_column(column: Any) -> Cells:
    values = column.to_numpy()
    return _aware(values) if getattr(column.dtype, "time_zone", None) else values


def _arrow_columns(table: Any) -> Table:
    columns = zip(table.column_names, table.columns, strict=True)
    return _by_name((name, _arrow_column(column)) for name, column in columns)


def _arrow_column(column: Any) -> Cells:
    values = column.to_numpy(zero_copy_only=False)
    return _aware(values) if getattr(column.type, "tz", None) else values


def _aware(values: Any) -> Cells:
    """UTC instants as epoch seconds, so that no zone is asked for; a list with None where one is missing."""
    if np.isnat(values).any():
        return [None if np.isnat(v) else int(v.astype("datetime64[s]").astype(np.int64)) for v in values]
    return Instants(np.asarray(values).astype("datetime64[s]").astype(np.int64))
