"""JSON documents of the AWS CLI and of Prometheus: their series and quotas, read as those of a table are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ..errors import invalid
from .batches import Batch
from .found import Found
from .jsonfile import Note, QuotaRows, Series, documents
from .keys import KEY_FIELDS, Quota, QuotaKey
from .naming import Naming
from .quotas import quotas_in
from .reading import Reading, ReadOptions
from .source import Source

_STATISTIC = re.compile(
    r"Maximum|Minimum|Average|Sum|SampleCount|IQM|(p|tm|tc|ts|wm)\d+(\.\d+)?|(TM|TC|TS|WM|PR)\(.*\)", re.ASCII
)
_ROWS = 1 << 16


def read_json(found: Source, options: ReadOptions, holds: str, partial: bool) -> Found:
    """Read a stream of documents; ``holds`` and ``partial`` are those of `readers.read`."""
    assert found.json is not None
    own = dict(options.columns or {})
    statistic = own.pop("usage", None)
    if partial:  # the other columns may be another file's
        own = {field: label for field, label in own.items() if field in KEY_FIELDS}
        statistic = statistic if statistic and _STATISTIC.fullmatch(statistic) else None
    fixed = options.fixed
    naming = Naming(own, fixed, options.series, found.stem)
    reading = Reading(found.name, options)
    quotas: list[Quota] = []
    defaults: list[Quota] = []
    notes: list[str] = []
    statistics: dict[QuotaKey, str] = {}
    usage = False
    for part in documents(found.json, found.name, statistic=statistic):
        if isinstance(part, Note):
            notes.append(part.text)
            continue
        if holds not in ("either", "usage" if isinstance(part, Series) else "quotas"):
            what = "usage" if isinstance(part, Series) else "quotas"
            raise invalid(f"source {found.name}", f"must hold {holds}, as that is what is read from it", what)
        if isinstance(part, Series):
            usage = True
            _take(reading, naming, part, statistics)
        else:
            _check_fixed(part, fixed)
            (defaults if part.default else quotas).extend(quotas_in(Batch(part.columns, part.place), {}, fixed))
    if usage:
        assert reading.layout is not None
        samples = reading.done(found.format)
        described = dict(naming.described)
        if told := ", ".join(sorted({name for name in statistics.values() if name})):
            described["usage"] = f"statistic {told}"
        report = replace(
            samples.report, columns=described, ignored=naming.ignored, notes=(*notes, *samples.report.notes)
        )
        return Found(name=found.name, samples=replace(samples, report=report), quotas=quotas, defaults=defaults)
    if not quotas and not defaults:
        rule = "must hold at least one sample" if holds == "usage" else "must hold at least one quota"
        raise invalid(f"source {found.name}", rule, "; ".join(notes) or "none")
    return Found(name=found.name, quotas=quotas, defaults=defaults, notes=tuple(notes))


def _take(reading: Reading, naming: Naming, part: Series, statistics: dict[QuotaKey, str]) -> None:
    key = naming.key(part.labels)
    if statistics.setdefault(key, part.statistic) != part.statistic:
        rule = f"of {key} must stay {statistics[key]!r}; choose with columns={{'usage': …}} (--column usage=Average)"
        raise invalid(f"{part.place(0)}: statistic", rule, part.statistic)
    for start in range(0, max(1, len(part.usage)), _ROWS):
        rows = slice(start, start + _ROWS)
        reading.take_series(
            key,
            part.unit,
            Batch(
                {"timestamp": part.timestamp[rows], "usage": part.usage[rows]},
                lambda row, start=start: part.place(start + row),  # type: ignore[misc]
            ),
        )


def _check_fixed(rows: QuotaRows, fixed: Mapping[str, str]) -> None:
    # Each quota states its own service and code; those given are then another file's, of usage.
    for name in ("account", "region"):
        for row, stated in enumerate(rows.columns[name]):
            if stated and stated != fixed.get(name, stated):
                raise invalid(name, f"must be what {rows.place(row)} states, {stated!r}, or be left out", fixed[name])
