"""One way in for every source: a path, a pipe, a frame or an Arrow stream becomes samples or quotas."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import invalid
from .batches import Progress
from .found import Found
from .keys import Quota, quotas_by_key
from .layout import NAMES, find_columns
from .quotas import QUOTA_NAMES, alone, quotas_in
from .reading import Reading, ReadOptions
from .source import Source, is_frame, opened
from .spool import Gathered

__all__ = ["QUOTA_NAMES", "Found", "Progress", "headers_of", "is_frame", "read", "read_quotas", "read_samples"]


def headers_of(source: str | os.PathLike[str]) -> list[str] | None:
    """The column names of a file; None of JSON, and of a pipe, which can be read only once."""
    path = Path(source)
    try:
        if str(path) == "-" or not stat.S_ISREG(path.stat().st_mode):
            return None
    except (OSError, ValueError):
        pass  # opening it says what is wrong
    with opened(source) as found:
        return list(next(found.batches).columns) if found.batches is not None else None


def lists_quotas(headers: Sequence[str], columns: Mapping[str, str]) -> bool:
    """Whether a file with these headers lists quotas rather than usage: it names a quota, and no instant."""
    known = {name: h for name, h in columns.items() if name in QUOTA_NAMES}
    quotas = find_columns(headers, known, QUOTA_NAMES)
    instants = find_columns(headers, {}, {"timestamp": NAMES["timestamp"]})
    return "timestamp" not in columns and not instants and "quota" in quotas and (
        "service_code" in quotas or "quota" in columns
    )  # fmt: skip


def read(
    source: object, *, holds: str = "either", partial: bool = False, progress: Progress | None = None, **reading: Any
) -> Found:
    """Read a source once.

    ``holds``: "usage", "quotas" or "either". ``partial``: of ``columns``, only those that are there count, as they
    may be meant for another of several files. The rest is that of `History.read`.
    """
    return _read(source, ReadOptions(**reading), holds, partial, progress)


def _read(source: object, options: ReadOptions, holds: str, partial: bool, progress: Progress | None) -> Found:
    with opened(source, progress) as found:
        if found.json is not None:
            from .documents import read_json  # with ijson, when there is JSON

            return read_json(found, options, holds, partial)
        return _read_table(found, options, holds, partial)


def _read_table(found: Source, options: ReadOptions, holds: str, partial: bool) -> Found:
    assert found.batches is not None
    batches = iter(found.batches)
    first = next(batches)  # there is one, without rows for an empty table
    columns: Mapping[str, str] = options.columns or {}
    if partial:
        columns = {name: h for name, h in columns.items() if h in first.columns}
    quotas = holds == "quotas" or (holds == "either" and lists_quotas(list(first.columns), columns))
    if partial:
        columns = {name: h for name, h in columns.items() if name in (QUOTA_NAMES if quotas else NAMES)}
    every = chain([first], batches)
    if quotas:
        return Found(name=found.name, quotas=[q for batch in every for q in quotas_in(batch, columns, options.fixed)])
    reading = Reading(found.name, replace(options, columns=columns), found.stem)
    for batch in every:
        reading.take(batch)
    return Found(name=found.name, samples=reading.done(found.format))


def read_samples(source: object, *, progress: Progress | None = None, **reading: Any) -> Gathered:
    """Read usage. The arguments are those of `History.read`; sources and rules are described there."""
    found = _read(source, ReadOptions(**reading), "usage", False, progress)
    assert found.samples is not None
    return found.samples


def read_quotas(source: object, *, columns: Mapping[str, str] | None = None, **fixed: str | None) -> list[Quota]:
    """Read quotas: a table, or the AWS CLI's JSON.

    Columns: those of the key, ``quota``, and optionally default_value, unit, adjustable, is_global, name. ``fixed``
    gives account, region and so on where the table has no such column.
    """
    unknown = [name for name in fixed if name not in ("account", "region", "service_code", "quota_code")]
    if unknown:
        raise invalid("quotas", "must be read with account, region, service_code or quota_code", unknown[0])
    found = read(source, holds="quotas", columns=columns, **fixed)  # type: ignore[arg-type]
    return list(alone(quotas_by_key(found.quotas), found.defaults))
