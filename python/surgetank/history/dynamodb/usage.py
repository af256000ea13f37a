"""Usage in DynamoDB: one item for each quota and UTC day, read and written whole."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from ..._bridge import Floats
from ..batches import Progress
from ..days import merged_days
from ..report import SeriesReport
from ..samples import Ints
from ..schema import DAY_S
from .items import Damaged, Item, named
from .work import Work

Day = tuple[Ints, Floats]


def pack(day: int, time_s: Ints, value: Floats) -> bytes:
    """Instants of a day and their usage. Steps between instants are mostly the same, so they take next to no room."""
    steps = np.diff(time_s - day * DAY_S, prepend=0)
    return zlib.compress(steps.astype("<u4").tobytes() + value.astype("<f8").tobytes(), 1)


def unpack(item: Item) -> Day:
    """Give back what `pack` took; Damaged where it is not that."""
    try:
        content = zlib.decompress(item.body)
        count, rest = divmod(len(content), 12)
        steps = np.frombuffer(content[: 4 * count], dtype="<u4").astype(np.int64)
        value = np.frombuffer(content[4 * count :], dtype="<f8").astype(np.float64)
        second = np.cumsum(steps)
        if rest or (count and (int(second[-1]) >= DAY_S or (steps[1:] < 1).any())):
            raise ValueError("not what was written")
        if not (value >= 0).all() or np.isinf(value).any():
            raise ValueError("usage must be finite and 0 or more")
        return second + int(item.key[1]) * DAY_S, value
    except (zlib.error, TypeError, ValueError) as error:
        raise Damaged(f"{named(item.table, item.key)}: is damaged ({error})") from error


def merge(work: Work, name: str, time_s: Ints, value: Floats, report: SeriesReport) -> SeriesReport:
    """Add samples of one quota; give their report, with what the store knew before."""
    if not len(value):
        return report
    days = np.unique(time_s // DAY_S).tolist()
    if len(days) <= days[-1] - days[0]:  # what lies in between is no gap, if the store has it
        known = [item for item in work.query("usage", name) if days[0] <= item.key[1] <= days[-1]]
    else:
        known = [item for item in work.get("usage", [(name, day) for day in days]) if item.body is not None]
    merged, report = merged_days([unpack(item) for item in known], time_s, value, report)
    before = {item.key[1]: item.body for item in known}
    starts = np.searchsorted(merged.time_s // DAY_S, days)
    ends = np.searchsorted(merged.time_s // DAY_S, days, side="right")
    for day, start, end in zip(days, starts, ends, strict=True):
        body = pack(day, merged.time_s[start:end], merged.value[start:end])
        if before.get(day) != body:  # the same import again writes nothing
            work.put(Item("usage", (name, day), body), bulk=0)
    return report


def recent(work: Work, name: str, now_s: int) -> list[Day]:
    """The last two days up to now that have samples, and every day after."""
    today = now_s // DAY_S
    newest = list(work.calls.query("usage", name, newest=3))
    if len(newest) == 3 and int(newest[1].key[1]) > today:  # somebody has samples of the future
        newest = list(work.calls.query("usage", name))[::-1]
    found = {int(item.key[1]): item for item in newest}
    found |= {int(key[1]): item for (table, key), item in work.written("usage") if key[0] == name}
    upto = sorted(day for day in found if day <= today)[-2:]
    return [unpack(found[day]) for day in (*upto, *sorted(day for day in found if day > today))]


def every(work: Work, progress: Progress | None = None) -> dict[str | int, list[Item]]:
    """The days of every quota; ``progress`` is called with (days read, days read)."""
    found = {item.place: item for item in work.calls.scan("usage")}
    days: dict[str | int, list[Item]] = {}
    for count, item in enumerate({**found, **dict(work.written("usage"))}.values(), 1):
        days.setdefault(item.key[0], []).append(item)
        if progress and not count % 1000:
            progress(count, count)
    return days


def together(days: Sequence[Item]) -> Day:
    """The samples of some days of a quota, in order."""
    parts = [unpack(item) for item in sorted(days, key=lambda item: item.key[1])]
    time_s = np.concatenate([np.empty(0, dtype=np.int64), *(part[0] for part in parts)])
    return time_s, np.concatenate([np.empty(0), *(part[1] for part in parts)])
