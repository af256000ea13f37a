"""JSON of the AWS CLI and of Prometheus, unchanged: which document is what, told by its keys.

Read in one pass, forward only, with the memory of one series; `jsoncloudwatch`, `jsonquotas` and `jsonprometheus` hold
the formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import shown
from .jsoncloudwatch import MetricData, MetricStatistics
from .jsonevents import Events
from .jsonparts import Format, Note, Notes, QuotaRows, Series
from .jsonprometheus import Prometheus
from .jsonquotas import OneQuota, Quotas

__all__ = ["Note", "QuotaRows", "Series", "documents"]

#: The key by which a format is known.
FORMATS: dict[str, type[Format]] = {
    "MetricDataResults": MetricData,
    "Datapoints": MetricStatistics,
    "Quotas": Quotas,
    "Quota": OneQuota,
    "data": Prometheus,
}
#: What the AWS CLI and Prometheus say beside that; small, so it may stand before or after.
_BESIDE = ("Label", "NextToken", "Messages", "status", "errorType", "error", "warnings", "infos", "isPartial")
#: About the request rather than the samples.
_UNREAD = ("ResponseMetadata", "stats", "trace", "analysis", "explanation")
_UNDERSTOOD = (
    "must be what the AWS CLI prints for cloudwatch get-metric-data or get-metric-statistics, or for service-quotas "
    "list-service-quotas, list-aws-default-service-quotas or get-service-quota, or Prometheus's answer to query_range"
)


def documents(stream: BinaryIO, name: str, *, statistic: str | None = None) -> Iterator[Series | QuotaRows | Note]:
    """Read a stream of one or more JSON documents.

    Parameters
    ----------
    stream : BinaryIO
        A file or a pipe; only ``read`` is called.
    name : str
        What errors call it.
    statistic : str, optional
        Which statistic of get-metric-statistics is the usage: ``Maximum``, ``Sum``, ``p99`` and so on. By default
        Maximum where it is there, else the only one.

    Yields
    ------
    Series, QuotaRows or Note
        In the order of the file; notes on all of it come last.

    Raises
    ------
    InvalidInput
        Names the file and the place in it. What was yielded before may be part of a file that is not whole.
    """
    events, notes = Events(stream, name), Notes(name)
    earlier: dict[tuple[str, ...], int] = {}
    for kind, value in events:
        if kind != "start_map":
            got = "an array; leave out --query" if kind == "start_array" else value
            raise events.error(_UNDERSTOOD, got)
        yield from _document(events, notes, statistic, earlier)
    yield from notes


def _document(
    events: Events, notes: Notes, statistic: str | None, earlier: dict[tuple[str, ...], int]
) -> Iterator[Series | QuotaRows]:
    form: Format | None = None
    beside: dict[str, Any] = {}
    keys: list[str] = []
    for key, kind, value in events.fields():
        events.where = key
        keys.append(key)
        if key in FORMATS and (key != "data" or kind == "start_map"):  # many an answer has its "data" in an array
            if form is not None:
                raise events.error("must not stand beside another answer in one document", ", ".join(keys))
            form = FORMATS[key](events, notes, statistic, earlier)
            yield from form.read(kind, value)
        elif key in _BESIDE:
            beside[key] = events.value(kind, value)
        else:
            events.skip(kind)
            if key not in _UNREAD:
                notes.add("not read, because it is not known", events.spot(key))
    events.where = ""
    if beside.get("status") == "error":
        said = f"{beside.get('errorType') or 'error'}: {beside.get('error') or 'no reason given'}"
        raise events.error("must be an answer, not an error", said)
    if form is None:
        raise events.error(_UNDERSTOOD, f"the keys {', '.join(map(shown, keys[:8]))}" if keys else "an empty object")
    yield from form.end(beside)
