"""History: what was used, on one grid, with the quotas it is held against. The one data type of the package."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._bridge import Duration, Floats, Instant, duration_s, instant_s, names, number, per_series, samples
from .._table import Column, Tabular, percent, quantity, span
from ..errors import invalid
from ..scenario import Scenario
from .keys import Quota, QuotaKey, check_units, quotas_by_key
from .report import ImportReport
from .samples import LONGEST_STEP_S, Samples, SampleSet, grid
from .samples import until as samples_until

#: An older last sample says nothing: the longer of an hour and so many steps.
STEPS_TO_STALE = 12


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class History(Tabular):
    """Usage of many quotas at equal steps, with what is known of the quotas.

    Make one with `read` (files and frames), `from_array`, or ``Store.history()``.
    """

    keys: tuple[QuotaKey, ...]  #: one per series
    start_s: int  #: epoch seconds (UTC) at which the first step begins
    step_s: float  #: seconds; a sample covers a half-open step
    usage: Floats  #: (T, K) in each quota's unit, read-only; NaN where not observed
    quotas: Mapping[QuotaKey, Quota] = field(default_factory=dict)
    scenarios: tuple[Scenario, ...] = ()
    units: Mapping[QuotaKey, str] = field(default_factory=dict)
    reserved: Mapping[QuotaKey, float] = field(default_factory=dict)  #: of a quota, what is promised to others
    signed: bool = False  #: True: usage may be negative (a metric, not a quota's usage); fit for spikes only
    report: ImportReport | None = None

    def __post_init__(self) -> None:
        """Check shapes, names, values and units; make the samples read-only."""
        usage, shape = samples(self.usage)
        start_s = instant_s(self.start_s, "start_s")
        object.__setattr__(self, "start_s", start_s)
        object.__setattr__(self, "step_s", float(whole_step(self.step_s)))
        if not all(isinstance(k, QuotaKey) and all(isinstance(part, str) for part in k) for k in self.keys):
            raise invalid("keys", "must be QuotaKeys of texts", self.keys)
        if shape != (len(self.keys),):
            raise invalid(
                "usage", f"must have shape (T, {len(self.keys)}), one column per key", f"shape {np.shape(self.usage)}"
            )
        if len(set(self.keys)) != len(self.keys):
            raise invalid("keys", "must be different", next(str(k) for k in self.keys if self.keys.count(k) > 1))
        if np.isinf(usage).any():
            raise invalid("usage", "must be finite, or NaN where not observed", usage[np.isinf(usage)][0])
        if not self.signed and (usage < 0).any():
            t, k = (int(i) for i in np.argwhere(usage < 0)[0])
            raise invalid("usage", f"of {self.keys[k]} must be 0 or more at {self.time(t)}", usage[t, k])
        check_units(self.units, self.quotas)
        for key, amount in self.reserved.items():
            number(amount, "reserved", rule=f"of {key} must be finite and 0 or more", least=0)
        usage = usage.view()
        usage.setflags(write=False)
        object.__setattr__(self, "usage", usage)

    @staticmethod
    def read(
        source: object,
        *,
        quotas: object = None,
        step_s: Duration | None = None,
        until: Instant | None = None,
        negative: str = "refuse",
        **reading: Any,
    ) -> History:
        """Read usage from a file or a frame.

        Parameters
        ----------
        source : path, ``"-"``, binary file, pandas or polars frame, or anything with ``__arrow_c_stream__``
            A file, a pipe or standard input (``"-"``), read once; what it is is told by its content. CSV, Parquet or
            Arrow (extra ``[files]``), long or wide, also compressed by gzip: a long table has the columns timestamp,
            account, region, service_code, quota_code, usage, in any order, of which only timestamp and usage must be
            there; in a wide one every further column is a series. The AWS CLI's JSON of ``cloudwatch
            get-metric-data`` and ``get-metric-statistics`` as it is, and the answer of a Prometheus range query.
        quotas : path, frame, sequence of Quota, or mapping of QuotaKey to number, optional
            What the usage is held against.
        step_s : float (whole seconds) or timedelta, optional
            Default: the median spacing. Samples fall into their half-open step, the maximum wins, an empty step is
            NaN.
        until : instant, optional
            Leave out later samples, also those later in the same step.
        negative : {"refuse", "missing", "keep"}, default "refuse"
            What to do with usage below 0: refuse the file, read it as not observed, or keep it (for
            `detect_spikes` only).
        bad : {"refuse", "skip"}, default "refuse"
            What to do with rows that cannot be read: refuse the source, saying how many they are and where the first
            ones stand, or leave them out and count them in ``report``.
        columns : mapping, optional
            Field → header, where the headers are not the usual ones; of JSON, field → label, and ``usage`` → the
            statistic.
        tz : str or tzinfo, optional
            The zone of instants that state none, such as "UTC" or "Europe/Berlin". Without it they are refused.
        account, region, service_code, quota_code : str, optional
            The same for every row, where there is no such column.
        series : str, optional
            How the headers of a wide table are built, such as "{region}.{service_code}" or "{region} vCPU", and the
            labels of CloudWatch's results. Default "{region}", or "{service_code}" where the Region is known.
        progress : callable, optional
            Called with (bytes read, bytes in all; 0 where that is not known).

        Returns
        -------
        History
            With ``report``, the count of every row read.

        Raises
        ------
        InvalidInput
            With the file's line and column; its ``report`` counts the rows that cannot be read.
        MissingExtra
            Parquet and Arrow need the extra ``[files]``.
        StoreError
            There is no room for the temporary file of a source with millions of rows.
        """
        from .readers import read_samples

        found = read_samples(source, negative=negative, **reading)
        return History.from_samples(found, quotas=quotas, step_s=step_s, until=until, signed=negative == "keep")

    @staticmethod
    def from_samples(
        found: SampleSet, *, quotas: object = None, step_s: Duration | None = None, until: Instant | None = None,
        scenarios: tuple[Scenario, ...] = (), signed: bool = False,
    ) -> History:  # fmt: skip
        """Put samples on their grid."""
        if until is not None:
            found = samples_until(found, instant_s(until, "now"))
            if not len(found.value):
                raise invalid("usage", "must hold at least one observed sample at or before now", str(until))
        step = found.step_s() if step_s is None else whole_step(step_s)
        start, usage = grid(found, step)
        return History(
            keys=found.keys,
            start_s=start,
            step_s=float(step),
            usage=usage,
            quotas=as_quotas(quotas),
            scenarios=scenarios,
            units=found.units,
            signed=signed,
            report=found.report,
        )

    @staticmethod
    def from_array(
        usage: ArrayLike, *, start: Instant, step_s: Duration, regions: Sequence[str],
        service_code: str = "-", quota_code: str = "-", account: str = "-", quota: ArrayLike | None = None,
    ) -> History:  # fmt: skip
        """History of one quota from an array (T, R), one column per Region, and optionally its quota (R,)."""
        matrix, shape = samples(usage)
        keys = tuple(QuotaKey(account, region, service_code, quota_code) for region in names(regions, "regions"))
        if shape not in ((len(keys),), ()) or (shape == () and len(keys) != 1):
            raise invalid("regions", f"must name the {matrix.shape[1]} columns of usage", list(regions))
        values = [] if quota is None else per_series(quota, "quota", (len(keys),)).tolist()
        return History(
            keys=keys,
            start_s=instant_s(start, "start"),
            step_s=float(whole_step(step_s)),
            usage=matrix,
            quotas=as_quotas([Quota(key=k, value=v) for k, v in zip(keys, values, strict=False)]),
        )

    @staticmethod
    def of(usage: object) -> History | None:
        """Give usage as a History if it is one or is a frame; None for arrays."""
        from .readers import is_frame

        if isinstance(usage, History):
            return usage
        return History.read(usage, negative="keep") if is_frame(usage) else None

    def with_quotas(self, quotas: object) -> History:
        """Give the same usage held against other quotas (see `read` for what is accepted)."""
        return replace(self, quotas=as_quotas(quotas))

    def complete(self) -> History:
        """Add a column without samples for every quota that has no usage, sorted by quota, then Region."""
        there = set(self.keys)
        missing = [key for key in self.quotas if key not in there]
        keys = (*self.keys, *missing)
        order = sorted(range(len(keys)), key=lambda i: (keys[i].quota_name, keys[i].account, keys[i].region))
        if order == list(range(len(self.keys))):
            return self
        usage = np.full((len(self.usage), len(keys)), np.nan, order="F")
        for column, i in enumerate(order):
            if i < len(self.keys):
                usage[:, column] = self.usage[:, i]
        return replace(self, keys=tuple(keys[i] for i in order), usage=usage)

    def until(self, now: Instant | None) -> History:
        """Give it as of that moment: without later steps, and with those not observed since, up to a few hours."""
        if now is None:
            return self
        rows = math.floor((instant_s(now, "now") - self.start_s) / self.step_s) + 1
        if rows <= len(self.usage):
            return replace(self, usage=self.usage[: max(rows, 1)])
        empty = np.full(
            (min(rows - len(self.usage), STEPS_TO_STALE + math.ceil(3600 / self.step_s)), len(self.keys)), np.nan
        )
        return replace(self, usage=np.asfortranarray(np.concatenate([self.usage, empty])))

    def samples(self) -> Samples:
        """Give the observed samples, each at the beginning of its step."""
        t, k = np.nonzero(~np.isnan(self.usage.T))[::-1]
        time_s = self.start_s + t * int(self.step_s)
        source = self.report.source if self.report else "history"
        report = ImportReport(source=source, rows=len(t), series=len(self.keys), step_s=self.step_s)
        return Samples(self.keys, k.astype(np.int64), time_s.astype(np.int64), self.usage[t, k], self.units, report)

    def time(self, step: int) -> np.datetime64:
        """Give the instant (UTC) at which that step begins."""
        return np.datetime64(int(self.start_s + step * self.step_s), "s")

    @property
    def times(self) -> NDArray[np.datetime64]:
        """The instants (UTC) at which the steps begin, datetime64[s] (T,)."""
        seconds = self.start_s + np.arange(len(self.usage), dtype=np.int64) * int(self.step_s)
        return seconds.astype("datetime64[s]")

    @property
    def regions(self) -> tuple[str, ...]:
        """The Regions, in the order of the series."""
        return tuple(dict.fromkeys(key.region for key in self.keys))

    def _caption(self) -> str:
        ends = f"{self.time(0)}Z to {self.time(len(self.usage))}Z"
        return f"{len(self.keys)} series, {len(self.usage):,} steps of {span(self.step_s)}, {ends}"

    def _columns(self) -> list[Column]:
        observed = ~np.isnan(self.usage)
        any_at = [bool(column.any()) for column in observed.T]
        last = len(self.usage) - 1 - observed[::-1].argmax(axis=0)
        usage = [float(self.usage[t, k]) if any_at[k] else math.nan for k, t in enumerate(last)]
        quota = [self.quotas[k].value if k in self.quotas else math.nan for k in self.keys]
        return [
            Column("account", [k.account for k in self.keys], numeric=False),
            Column("region", [k.region for k in self.keys], "Region", numeric=False),
            Column("quota_name", [k.quota_name for k in self.keys], "Service/quota", numeric=False),
            Column("observed_frac", observed.mean(axis=0), "Observed", percent, priority=2),
            Column("usage", usage, "Last usage", quantity),
            Column("quota", quota, "Quota", quantity, priority=1),
        ]


def whole_step(step_s: Duration, argument: str = "step_s") -> int:
    """A step is a whole number of seconds, because instants are."""
    seconds = duration_s(step_s, argument, above=True)
    if seconds != int(seconds) or seconds > LONGEST_STEP_S:
        raise invalid(argument, "must be a whole number of seconds, at most 366 days", step_s)
    return int(seconds)


def as_quotas(quotas: object) -> dict[QuotaKey, Quota]:
    """Quotas by key from whatever a caller has: a path, a frame, Quota objects or a mapping."""
    from .readers import is_frame, read_quotas

    if quotas is None:
        return {}
    if isinstance(quotas, str | os.PathLike) or is_frame(quotas):
        return quotas_by_key(read_quotas(quotas))
    if not isinstance(quotas, Mapping | Sequence):
        raise invalid("quotas", "must be a path, a frame, Quota objects or a mapping", type(quotas).__name__)
    return quotas_by_key(quotas)
