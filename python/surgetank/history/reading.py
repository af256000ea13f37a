"""From batches to samples: what is understood goes to the spool, the rest is counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .._bridge import zone
from ..errors import InvalidInput, invalid
from .batches import Batch
from .cells import BadCell
from .keys import UNSTATED, QuotaKey
from .layout import Layout, Understood
from .report import totals
from .samples import check_span
from .spool import Gathered, Gathering, Spool
from .tally import Tally

_BELOW = "usage must be 0 or more; negative='missing' (--negative missing) reads it as not observed"


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a source is read: the options of `History.read`."""

    columns: Mapping[str, str] | None = None
    tz: str | dt.tzinfo | None = None
    account: str | None = None
    region: str | None = None
    service_code: str | None = None
    quota_code: str | None = None
    series: str | None = None
    negative: str = "refuse"
    bad: str = "refuse"

    def __post_init__(self) -> None:
        """Refuse words that are none."""
        if self.negative not in ("refuse", "missing", "keep"):
            raise invalid("negative", 'must be "refuse", "missing" or "keep"', self.negative)
        if self.bad not in ("refuse", "skip"):
            raise invalid("bad", 'must be "refuse" or "skip"', self.bad)

    @property
    def fixed(self) -> dict[str, str]:
        """What is the same in every row."""
        parts = {name: getattr(self, name) for name in ("account", "region", "service_code", "quota_code")}
        return {name: value for name, value in parts.items() if value is not None}


class Reading:
    """One source of usage, batch by batch, until `done`."""

    def __init__(self, name: str, options: ReadOptions, stem: str = "") -> None:
        """Begin without rows. ``stem``: the name of a file, which may be the service's."""
        self.name, self._options, self._stem = name, options, stem
        self._spool, self._tally = Spool(), Tally(name, options.bad)
        self.layout: Layout | None = None

    def take(self, batch: Batch) -> None:
        """Read the rows of a batch."""
        if self.layout is None:
            how = self._options
            try:
                self.layout = Layout.resolve(
                    list(batch.columns), columns=how.columns, fixed=how.fixed, series=how.series, tz=how.tz,
                    stem=self._stem,
                )  # fmt: skip
            except InvalidInput as error:
                said = f"{error}; that is {self.name}"
                raise InvalidInput(said, argument=error.argument, rule=error.rule) from None
        try:
            found = self.layout.rows(batch.columns)
        except BadCell as bad:
            raise bad.at(batch.place(bad.row)) from None
        self._keep(found, batch)

    def take_series(self, key: QuotaKey, unit: str, batch: Batch) -> None:
        """Read rows of one series, whose columns are timestamp and usage."""
        if self.layout is None:
            columns = {"timestamp": "timestamp", "usage": "usage"}
            self.layout = Layout(columns, {}, {}, (), zone(self._options.tz))
        code = self.layout.code_of(key)
        if rule := self.layout.note_unit(key, unit):
            raise invalid(f"{batch.place(0)}: unit", rule, unit)
        self._keep(self.layout.rows(batch.columns, code), batch)

    def _keep(self, found: Understood, batch: Batch) -> None:
        assert self.layout is not None
        value, bad, negative = found.value, found.bad, self._options.negative
        rows = len(value) // len(self.layout.headers)
        below = value < 0
        if negative == "missing" and below.any():
            self._tally.accept(found.code[below])
        elif negative == "refuse":
            for sample in np.flatnonzero(below).tolist():
                header = self.layout.headers[sample // rows]
                bad[sample] = BadCell(sample % rows, header, _BELOW, value[sample], out_of_range=True)
        if negative != "keep":
            value = np.where(below, np.nan, value)
        missing = np.isnan(value)
        unread = np.zeros(len(value), dtype=bool)
        unread[list(bad)] = True
        self._tally.read(found.code, missing & ~unread & ~below)
        broken = batch.broken[::-1]
        for sample in sorted(bad, key=lambda sample: (bad[sample].row, sample)):  # as they stand in the file
            while broken and broken[-1].before <= bad[sample].row:
                self._tally.broken_row(broken.pop())
            self._tally.bad(batch.place(bad[sample].row), bad[sample], int(found.code[sample]))
        while broken:
            self._tally.broken_row(broken.pop())
        if not self._tally.refused:
            self._spool.add(found.code[~missing], found.time_s[~missing], value[~missing])

    def done(self, format: str) -> Gathered:
        """Give every series, merged, with the report; refuse what cannot be kept."""
        assert self.layout is not None  # a source yields its headers even without rows
        if self._tally.refused:
            raise self._tally.refusal()
        keys = tuple(self.layout.codes)
        found = gathered(self._spool, self._tally, keys, self.layout.units)
        report = found.report
        if not len(found):
            raise invalid(f"{self.name}: usage", "must hold at least one observed sample", f"{report.rows:,} rows")
        notes = []
        if all(key.region == UNSTATED for key in keys):
            notes.append(f"nothing states the Region, which is shown as {UNSTATED}; region= (--region) can")
        if self.layout.twice:
            notes.append(
                f"{self.layout.twice:,} rows lie in an hour that comes twice in {self.layout.tz}; read as the first"
            )
        if below := self._tally.accepted.total():
            notes.append(f"{below:,} row{' is' if below == 1 else 's are'} below 0 and read as not observed")
        report = replace(
            report, format=format, columns=self.layout.described, ignored=self.layout.ignored, notes=tuple(notes),
        )  # fmt: skip
        found = replace(found, report=report)
        check_span(found)
        return found


def gathered(spool: Spool, tally: Tally, keys: tuple[QuotaKey, ...], units: Mapping[QuotaKey, str]) -> Gathered:
    """Merge every series of the spool, and report on each."""
    gathering = Gathering()
    per_series = []
    for number, key in enumerate(keys):
        merged = spool.series(number)
        spacing_s = gathering.add(merged.time_s, merged.value)
        per_series.append(tally.of_series(number, key, merged, spacing_s))
    said = [one for one in per_series if one.added]
    report = tally.report(
        **totals(per_series),
        series=len(keys),
        first=min((one.first for one in said), default=""),
        last=max((one.last for one in said), default=""),
        step_s=float(gathering.step_s()),
    )
    return gathering.done(keys, units, report)
