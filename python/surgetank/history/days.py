"""Usage in the embedded store: one row per series and UTC day, read and written whole."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .._bridge import Floats
from .report import SeriesReport
from .samples import Ints, Merged, merge_one
from .schema import DAY_S, pack_day, unpack_day
from .tally import gaps_of


def read_days(db: sqlite3.Connection, key_id: int) -> tuple[Ints, Floats, int]:
    """Epoch seconds and usage of a series, and the number of its days; ValueError where they are damaged."""
    query = "SELECT * FROM usage_day WHERE key_id = ? ORDER BY day"
    days = [unpack_day(row) for row in db.execute(query, (key_id,))]
    time_s = np.concatenate([np.empty(0, dtype=np.int64), *(seconds for seconds, _ in days)])
    if not (np.diff(time_s) > 0).all():
        raise ValueError("days of samples are not in order")
    return time_s, np.concatenate([np.empty(0), *(usages for _, usages in days)]), len(days)


def last_seconds(db: sqlite3.Connection) -> dict[int, int]:
    """Epoch seconds of the last sample of each series, by its id; ValueError where a day is damaged."""
    # With max(), SQLite gives the other columns of that same row.
    query = "SELECT key_id, day, second, usage, checksum FROM usage_day GROUP BY key_id HAVING day = max(day)"
    days = ((row[0], unpack_day(row)[0]) for row in db.execute(query))
    return {key_id: int(seconds[-1]) for key_id, seconds in days if len(seconds)}


def last_second(db: sqlite3.Connection, key_id: int) -> int | None:
    """Epoch seconds of the last sample of one series, None without any; ValueError where its day is damaged."""
    query = "SELECT key_id, day, second, usage, checksum FROM usage_day WHERE key_id = ? ORDER BY day DESC LIMIT 1"
    for row in db.execute(query, (key_id,)):
        seconds = unpack_day(row)[0]
        return int(seconds[-1]) if len(seconds) else None
    return None


def merge_days(db: sqlite3.Connection, key_id: int, time_s: Ints, value: Floats, report: SeriesReport) -> SeriesReport:
    """Add samples of one series, inside a transaction; give its report, with what the store knew before."""
    if not len(value):
        return report
    new_days = np.unique(time_s // DAY_S)
    query = "SELECT * FROM usage_day WHERE key_id = ? AND day BETWEEN ? AND ?"
    try:
        known = [unpack_day(row) for row in db.execute(query, (key_id, int(new_days[0]), int(new_days[-1])))]
    except (ValueError, TypeError) as error:
        raise sqlite3.DatabaseError(f"malformed: {error}") from error
    merged, report = merged_days(known, time_s, value, report)
    rows = []
    days = merged.time_s // DAY_S
    starts = np.searchsorted(days, new_days)
    ends = np.searchsorted(days, new_days, side="right")
    for day, start, end in zip(new_days.tolist(), starts, ends, strict=True):
        second = merged.time_s[start:end] - day * DAY_S
        rows.append(pack_day(key_id, day, second, merged.value[start:end]))
    db.executemany("REPLACE INTO usage_day VALUES (?, ?, ?, ?, ?)", rows)
    return report


def merged_days(
    known: Sequence[tuple[Ints, Floats]], time_s: Ints, value: Floats, report: SeriesReport
) -> tuple[Merged, SeriesReport]:
    """Samples with those of the days that are known already, and their report, with what was known before."""
    times = np.concatenate([time_s, *(seconds for seconds, _ in known)])
    values = np.concatenate([value, *(usages for _, usages in known)])
    merged = merge_one(times, values, already=not known)
    # Gaps are those of the store between the first sample of the import and its last.
    there = merged.time_s[(merged.time_s >= time_s[0]) & (merged.time_s <= time_s[-1])]
    gaps, longest = gaps_of(there, report.step_s or math.inf)
    return merged, replace(
        report,
        added=len(value) - merged.duplicates - merged.conflicts,
        duplicates=report.duplicates + merged.duplicates,
        conflicts=report.conflicts + merged.conflicts,
        gaps=gaps,
        longest_gap_s=longest,
    )
