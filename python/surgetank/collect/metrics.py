"""Usage from CloudWatch: many quotas a call, page by page, each with the statistic that means its quota."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from .._aws import DENIED, MALFORMED, SERVICE, Failure, failure_of
from ..history.keys import QuotaKey
from ..history.samples import Merged, merge_one
from .clients import Clients, items
from .planned import STATISTICS
from .quotas import Listed, Metric

MOST_QUERIES = 500
MOST_POINTS = 100_800
#: So far ahead the last sample may lie: of shorter periods than before, or by a clock that is a little ahead.
AHEAD_S = 3900
#: Periods before the last stored sample that are asked for again: CloudWatch fills in late.
OVERLAP = 3
#: Pattern of quota or metric → the statistic that means the quota, whatever is recommended. The first one counts.
#: What is in use at once is a Maximum: a Sum over five minutes would count the same thing many times.
STATISTIC_OF = {
    "lambda/L-B99A9384": "Maximum",
    "*ConcurrentExecutions": "Maximum",
    "*/ResourceCount": "Maximum",
    "*/CallCount": "Sum",
}
#: Where usage lies of quotas for which Service Quotas names no metric.
KNOWN_METRICS = {("lambda", "L-B99A9384"): Metric("AWS/Lambda", "ConcurrentExecutions", (), "Maximum")}


@dataclass(frozen=True)
class Query:
    """One series to ask for."""

    key: QuotaKey
    metric: Metric
    statistic: str
    scale: float  # a Sum over a period → the quota's own seconds; 1 for all else
    start_s: int


@dataclass
class Series:
    """Samples of one quota in 16 bytes each, as they come: of one account and Region there may be millions."""

    time_s: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))

    @classmethod
    def of(cls, second: int, value: float) -> Series:
        """Give one sample."""
        return cls(array("q", (second,)), array("d", (value,)))

    def add(self, second: int, value: float) -> None:
        """Add a sample."""
        self.time_s.append(second)
        self.value.append(value)

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self.value)

    def merged(self) -> Merged:
        """Give them sorted, of several for one instant the largest."""
        return merge_one(np.array(self.time_s, dtype=np.int64), np.array(self.value, dtype=float))


@dataclass
class Points:
    """What came of it: samples, what was left out, what failed; nothing is ever filled in."""

    samples: dict[QuotaKey, Series] = field(default_factory=dict)
    left_out: int = 0
    failures: list[tuple[QuotaKey, Failure]] = field(default_factory=list)


def metric_of(listed: Listed) -> Metric | None:
    """The usage metric that Service Quotas names, or one that is known."""
    key = listed.quota.key
    return listed.metric or KNOWN_METRICS.get((key.service_code, key.quota_code))


def statistic_of(key: QuotaKey, metric: Metric, own: Mapping[str, str]) -> str:
    """The statistic for a quota: the plan's, the table's, AWS's recommendation, or else the Maximum."""
    names = (f"{key.service_code}/{key.quota_code}", f"{metric.namespace}/{metric.name}")
    for table in (own, STATISTIC_OF):
        for pattern, statistic in table.items():
            if any(fnmatchcase(name, pattern) for name in names):
                return statistic
    return metric.statistic if metric.statistic in STATISTICS else "Maximum"


def scale_of(listed: Listed, statistic: str, period_s: int) -> float:
    """What a sample is multiplied with to be in the quota's unit: calls in a period → calls a second, say."""
    return 1.0 if statistic != "Sum" or math.isnan(listed.per_s) else listed.per_s / period_s


def window(now_s: int, last_s: int | None, period_s: int, backfill_s: float) -> tuple[int, int]:
    """From when until when to ask: whole periods that are over, from a little before the last sample on.

    Examples
    --------
    >>> window(1_000_130, None, 60, 600)
    (999480, 1000080)
    >>> window(1_000_130, 999_960, 60, 600)
    (999780, 1000080)

    A sample that lies far ahead tells nothing of what is lacking before it:

    >>> window(1_000_130, 2_000_000, 60, 600)
    (999480, 1000080)
    """
    end = now_s // period_s * period_s
    start = -(-(end - int(backfill_s)) // period_s) * period_s
    if last_s is not None and last_s <= end + AHEAD_S:
        start = max(start, (min(last_s, end) // period_s - OVERLAP) * period_s)
    return min(start, end), end


def fetch(clients: Clients, queries: Sequence[Query], end_s: int, period_s: int) -> Points:
    """Ask for every series; an error ends one call's, and what came before it is kept."""
    found = Points()
    for start, batch in _batches(queries, end_s):
        named = {f"q{n}": query for n, query in enumerate(batch)}
        unfinished: dict[str, str] = {}
        try:
            # The oldest come first: were the newest stored and the call failed, the next would resume after a gap.
            pages = clients.pages(
                "cloudwatch", "GetMetricData", StartTime=_instant(start), EndTime=_instant(end_s),
                ScanBy="TimestampAscending", MetricDataQueries=[_asked(id, q, period_s) for id, q in named.items()],
                PaginationConfig={"PageSize": MOST_POINTS},
            )  # fmt: skip
            for page in pages:
                for result in items(page, "MetricDataResults"):
                    id, status = str(result.get("Id")), str(result.get("StatusCode") or "Complete")
                    _take(found, named.get(id), result, start, end_s, period_s)
                    unfinished.pop(id, None)  # a later page of the same series may be its last
                    if status != "Complete":
                        messages = "; ".join(
                            str(one.get("Value") or "") for one in items(result, "Messages", must=False)
                        )
                        unfinished[id] = f"{status}: {messages}".rstrip(": ")
        except Exception as error:
            failure = failure_of(error)
            found.failures += [(query.key, failure) for query in batch]
            continue
        for id, said in unfinished.items():
            if id in named:
                found.failures.append((named[id].key, Failure(DENIED if "Forbidden" in said else SERVICE, said)))
    return found


def _batches(queries: Sequence[Query], end_s: int) -> Iterator[tuple[int, list[Query]]]:
    """From when on, and so many series a call as AWS allows: those that begin at almost the same time.

    What was sampled last differs from quota to quota, and a call for each beginning would be thousands. A series is
    asked for with older ones if that at most doubles its time; what the store has already, it takes without a change.
    """
    batch: list[Query] = []
    for query in sorted(queries, key=lambda query: query.start_s):
        if batch and (len(batch) == MOST_QUERIES or 2 * (end_s - query.start_s) < end_s - batch[0].start_s):
            yield batch[0].start_s, batch
            batch = []
        batch.append(query)
    if batch:
        yield batch[0].start_s, batch


def _asked(id: str, query: Query, period_s: int) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in query.metric.dimensions]
    metric = {"Namespace": query.metric.namespace, "MetricName": query.metric.name, "Dimensions": dimensions}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period_s, "Stat": query.statistic}}


def _take(
    found: Points, query: Query | None, result: Mapping[str, Any], start_s: int, end_s: int, period_s: int
) -> None:
    """Keep the samples of one result; what is no number, negative, infinite or not of this time is counted."""
    times, values = result.get("Timestamps") or [], result.get("Values") or []
    if query is None or not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
        found.left_out += len(values) if isinstance(values, list) else 0
        if query is not None:
            said = "Timestamps and Values must be lists of one length"
            found.failures.append((query.key, Failure(MALFORMED, said)))
        return
    samples = found.samples.setdefault(query.key, Series())
    for time, value in zip(times, values, strict=True):
        at = second_of(time)
        scaled = _usage(value, query.scale)
        if at is None or scaled is None or not start_s <= at < end_s:
            found.left_out += 1
            continue
        samples.add(at // period_s * period_s, scaled)


def _usage(value: Any, scale: float) -> float | None:
    """A data point in the quota's unit; None where it is none: no number, negative, infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        scaled = float(value) * scale
    except OverflowError:  # an integer of JSON may have thousands of digits
        return None
    return scaled if value >= 0 and math.isfinite(scaled) else None


def _instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, timezone.utc)


def second_of(time: Any) -> int | None:
    """Epoch seconds of what botocore made of a timestamp; one without a zone is UTC."""
    if not isinstance(time, datetime):
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())
