"""What is in a cell: instants, usage, names. The same for text, NumPy columns and objects."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._bridge import Floats
from ..errors import InvalidInput, invalid
from .samples import Ints

_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}


class BadCell(Exception):
    """A cell breaks a rule; the reader knows on which line that is."""

    def __init__(self, row: int, column: str, rule: str, value: object) -> None:
        """Note the row (from 0, in its batch), the column's header, the rule and the value."""
        super().__init__(column)
        self.row, self.column, self.rule, self.value = row, column, rule, value

    def at(self, place: str) -> InvalidInput:
        """Give the error a person reads."""
        return invalid(f"{place}, column {self.column!r}", self.rule, self.value)


def parse_instant(cell: Any, tz: dt.tzinfo | None) -> int:
    """Epoch seconds, rounded down, of ISO 8601 text, a datetime, or epoch seconds, milli-, micro- or nanoseconds."""
    if isinstance(cell, str):
        cell = _instant_of_text(cell.strip())
    if isinstance(cell, dt.date) and not isinstance(cell, dt.datetime):
        cell = dt.datetime.combine(cell, dt.time())
    if isinstance(cell, dt.datetime):
        if cell.tzinfo is None:
            if tz is None:
                raise invalid("timestamp", "has no time zone; state it with tz= of History.read (--tz UTC)", str(cell))
            cell = cell.replace(tzinfo=tz)
        try:
            seconds: float = cell.timestamp()
        except OverflowError:  # the zone has no offset at the ends of the calendar
            raise invalid("timestamp", "must lie in the years 2 to 9998", str(cell)) from None
        return math.floor(seconds)
    if isinstance(cell, bool) or not isinstance(cell, int | float | np.number) or not math.isfinite(cell):
        raise invalid("timestamp", "must be ISO 8601 or seconds since 1970", cell)
    exact: int | float = int(cell) if isinstance(cell, int | np.integer) else float(cell)
    if abs(exact) >= 1e20:
        raise invalid("timestamp", "must be ISO 8601 or seconds since 1970", cell)
    unit = next(unit for below, unit in _EPOCH_UNITS if abs(exact) < below)
    return math.floor(exact / unit) if isinstance(exact, float) else exact // unit


def _instant_of_text(text: str) -> dt.datetime | int | float:
    rule = "must be ISO 8601 or seconds since 1970"
    if re.fullmatch(r"[+-]?[0-9]+", text):
        # 20260101 and 20260101120000 are dates to a person and small numbers to a clock.
        if len(text) in (8, 12, 14) and text[:2] in ("19", "20"):
            raise invalid("timestamp", rule + "; a date needs its dashes", text)
        return int(text) if len(text) <= 25 else math.inf
    try:
        if "-" in text[1:] or ":" in text:
            return dt.datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise invalid("timestamp", rule, text)


@dataclass(frozen=True)
class Instants:
    """A column of instants whose zone is known, as epoch seconds."""

    seconds: Ints

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self.seconds)

    def __iter__(self) -> Iterator[np.datetime64]:
        """Iterate over the instants."""
        return (self[row] for row in range(len(self)))

    def __getitem__(self, row: int) -> np.datetime64:
        """Give one instant, for messages."""
        return np.datetime64(int(self.seconds[row]), "s")


# The cells of one column, and columns by header.
Cells = Sequence[Any] | Instants | NDArray[Any]
Table = Mapping[str, Cells]


def whole_seconds(column: Ints) -> Ints:
    """Epoch seconds of a column of integers, in the unit that puts the largest of them near our time."""
    size = float(np.abs(column).max()) if len(column) else 0.0
    return column.astype(np.int64) // int(next(unit for below, unit in _EPOCH_UNITS if size < below))


# Below 1e11 seconds it is the year 5138; larger numbers are milli-, micro- or nanoseconds.
_EPOCH_UNITS = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))


def usage_of(column: Cells, header: str) -> Floats:
    """Usage of a column, NaN where a cell is empty; `BadCell` for what is no finite number."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        values = column.astype(np.float64)
    elif isinstance(column, Instants) or (isinstance(column, np.ndarray) and column.dtype.kind in "MmcV"):
        raise BadCell(0, header, "must be a finite number, or empty where not observed", str(column[0]))
    else:
        try:
            if isinstance(column, tuple) and "_" in "".join(column):  # Python's 1_000 is nobody's CSV
                raise ValueError
            values = np.array(column, dtype=np.float64)  # the usual case: every cell is a number
        except (TypeError, ValueError, OverflowError):
            values = np.array([number_in(i, cell, header) for i, cell in enumerate(column)], dtype=np.float64)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        at = int(infinite[0])
        raise BadCell(at, header, "must be a finite number, or empty where not observed", column[at])
    return values


def number_in(row: int, cell: Any, header: str) -> float:
    """One number, NaN where the cell is empty."""
    if cell is None or (isinstance(cell, str) and cell.strip().casefold() in _MISSING):
        return math.nan
    try:
        if (isinstance(cell, str) and "_" in cell) or isinstance(cell, bytes | dt.timedelta):
            raise ValueError
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        if str(cell) in ("<NA>", "NaT"):
            return math.nan
        raise BadCell(row, header, "must be a finite number, or empty where not observed", cell) from None


def texts(column: Cells) -> Sequence[str]:
    """Names, without the blanks around them; empty where a cell is."""
    # pandas makes floats of whole numbers when one of them is missing.
    whole = (int(c) if isinstance(c, float | np.floating) and float(c).is_integer() else c for c in column)
    stripped = ("" if c is None else str(c).strip() for c in whole)
    return ["" if text in ("nan", "<NA>", "NaT") else text for text in stripped]
