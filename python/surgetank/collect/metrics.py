"""Usage from CloudWatch: many quotas a call, page by page, each with the statistic that means its quota."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from .._aws import DENIED, MALFORMED, SERVICE, Failure, failure_of
from ..history.keys import QuotaKey
from .clients import Clients, items
from .planned import STATISTICS
from .quotas import Listed, Metric

MOST_QUERIES = 500
MOST_POINTS = 100_800
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
class Points:
    """What came of it: samples, what was left out, what failed; nothing is ever filled in."""

    samples: dict[QuotaKey, dict[int, float]] = field(default_factory=dict)
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
    """
    end = now_s // period_s * period_s
    start = -(-(end - int(backfill_s)) // period_s) * period_s
    if last_s is not None:
        start = max(start, (last_s // period_s - OVERLAP) * period_s)
    return min(start, end), end


def fetch(clients: Clients, queries: Sequence[Query], end_s: int, period_s: int) -> Points:
    """Ask for every series; an error ends one call's, and what came before it is kept."""
    found = Points()
    for start, batch in _batches(queries):
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
                    _take(found, named.get(id), result, end_s, period_s)
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


def _batches(queries: Sequence[Query]) -> Iterator[tuple[int, list[Query]]]:
    """Series that begin at the same instant, so many a call as AWS allows."""
    starts: dict[int, list[Query]] = {}
    for query in queries:
        starts.setdefault(query.start_s, []).append(query)
    for start, together in sorted(starts.items()):
        for first in range(0, len(together), MOST_QUERIES):
            yield start, together[first : first + MOST_QUERIES]


def _asked(id: str, query: Query, period_s: int) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in query.metric.dimensions]
    metric = {"Namespace": query.metric.namespace, "MetricName": query.metric.name, "Dimensions": dimensions}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period_s, "Stat": query.statistic}}


def _take(found: Points, query: Query | None, result: Mapping[str, Any], end_s: int, period_s: int) -> None:
    """Keep the samples of one result; what is no number, negative, infinite or not of this time is counted."""
    times, values = result.get("Timestamps") or [], result.get("Values") or []
    if query is None or not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
        found.left_out += len(values) if isinstance(values, list) else 0
        if query is not None:
            said = "Timestamps and Values must be lists of one length"
            found.failures.append((query.key, Failure(MALFORMED, said)))
        return
    samples = found.samples.setdefault(query.key, {})
    for time, value in zip(times, values, strict=True):
        at = _second(time)
        good = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if at is None or not good or not math.isfinite(value * query.scale) or not query.start_s <= at < end_s:
            found.left_out += 1
            continue
        at = at // period_s * period_s
        samples[at] = max(samples.get(at, 0.0), float(value) * query.scale)


def _instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, timezone.utc)


def _second(time: Any) -> int | None:
    """Epoch seconds of what botocore made of a timestamp; one without a zone is UTC."""
    if not isinstance(time, datetime):
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())
