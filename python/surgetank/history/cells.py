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

from .._bridge import Floats, as_float64
from ..errors import InvalidInput, invalid
from .arrowtext import TextColumn
from .samples import Ints

_MISSING = {"", "nan", "na", "n/a", "null", "none", "-"}


class BadCell(Exception):
    """A cell breaks a rule; the reader knows on which line that is."""

    def __init__(self, row: int, column: str, rule: str, value: object, *, out_of_range: bool = False) -> None:
        """Note the row (from 0, in its batch), the column's header, the rule and the value."""
        super().__init__(column)
        self.row, self.column, self.rule, self.value = row, column, rule, value
        self.out_of_range = out_of_range  # it is a number or an instant, but one that cannot be

    def at(self, place: str) -> InvalidInput:
        """Give the error a person reads."""
        where = f"{place}, column {self.column!r}" if self.column else place
        return invalid(where, self.rule, self.value)


#: What is wrong with the cells of a column, by row.
Bad = dict[int, BadCell]


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
NO_INSTANT = "must be ISO 8601 or seconds since 1970"


def parse_instant(cell: Any, tz: dt.tzinfo | None) -> int:
    """Epoch seconds, rounded down, of ISO 8601 text, a datetime, or epoch seconds, milli-, micro- or nanoseconds."""
    if isinstance(cell, str):
        cell = _instant_of_text(cell.strip())
    elif isinstance(cell, dt.datetime) and cell != cell:  # of pandas, one that is missing
        raise invalid("timestamp", NO_INSTANT, "NaT")
    if isinstance(cell, dt.date) and not isinstance(cell, dt.datetime):
        cell = dt.datetime.combine(cell, dt.time())
    if isinstance(cell, dt.datetime):
        if cell.tzinfo is None:
            if tz is None:
                raise invalid("timestamp", "has no time zone; state it with tz= of History.read (--tz UTC)", str(cell))
            cell = _in_zone(cell, tz)
        try:
            since: dt.timedelta = cell - _EPOCH  # `timestamp` is a float: from 2514 on, it rounds .999999 up
        except OverflowError:  # the zone has no offset at the ends of the calendar
            raise invalid("timestamp", "must lie in the years 2 to 9998", str(cell)) from None
        return since.days * 86_400 + since.seconds
    if isinstance(cell, bool) or not isinstance(cell, int | float | np.number) or not math.isfinite(cell):
        raise invalid("timestamp", NO_INSTANT, cell)
    exact: int | float = int(cell) if isinstance(cell, int | np.integer) else float(cell)
    if abs(exact) >= 1e20:
        raise invalid("timestamp", NO_INSTANT, cell)
    unit = next(unit for below, unit in _EPOCH_UNITS if abs(exact) < below)
    return math.floor(exact / unit) if isinstance(exact, float) else exact // unit


def _in_zone(naive: dt.datetime, tz: dt.tzinfo) -> dt.datetime:
    """The instant that a clock of that zone showed so; refused where it never did, as clocks were put forward."""
    cell = naive.replace(tzinfo=tz)
    try:
        if cell.utcoffset() != cell.replace(fold=1).utcoffset():
            there_and_back = cell.astimezone(dt.timezone.utc).astimezone(tz)
            if there_and_back.replace(tzinfo=None) != naive.replace(fold=there_and_back.fold):
                raise invalid(
                    "timestamp", f"does not exist in {tz}, where clocks were put forward; is it UTC (--tz UTC)?", naive
                )
    except OverflowError:
        raise invalid("timestamp", "must lie in the years 2 to 9998", str(cell)) from None
    return cell


def comes_twice(cell: Any, tz: dt.tzinfo | None) -> bool:
    """Whether clocks of that zone showed this twice, as they were put back; it is read as the first of the two."""
    try:
        naive = _instant_of_text(cell.strip()) if isinstance(cell, str) else cell
        if tz is None or not isinstance(naive, dt.datetime) or naive.tzinfo is not None:
            return False
        local = naive.replace(tzinfo=tz)
        return local.utcoffset() != local.replace(fold=1).utcoffset()
    except (InvalidInput, OverflowError, ValueError):
        return False


# Before Python 3.11, `fromisoformat` takes fractions of 3 or 6 digits alone, and offsets with a colon.
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,30}))?)?)? ?(?:([Zz])|([+-]\d\d):?(\d\d)?)?",
    re.ASCII,
)


def _instant_of_text(text: str) -> dt.datetime | int | float:
    if (found := _ISO.fullmatch(text)) is not None:
        date, minute, second, fraction, zulu, hours, minutes = found.groups()
        zone = "+00:00" if zulu else f"{hours}:{minutes or '00'}" if hours else ""
        leap = second == "60" and minute is not None and minute.endswith(":59")  # a leap second is in its minute
        clock = f"{minute or '00:00'}:{'59' if leap else second or '00'}.{(fraction or '0')[:6]:0<6}{zone}"
        try:
            return dt.datetime.fromisoformat(f"{date}T{clock}")
        except ValueError:
            raise invalid("timestamp", NO_INSTANT, text) from None
    if re.fullmatch(r"[+-]?[0-9]+", text):
        # 20260101 and 20260101120000 are dates to a person and small numbers to a clock.
        if len(text) in (8, 12, 14) and text[:2] in ("19", "20"):
            raise invalid("timestamp", NO_INSTANT + "; a date needs its dashes", text)
        return int(text) if len(text) <= 25 else math.inf
    try:
        if "-" in text[1:] or ":" in text:
            return dt.datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise invalid("timestamp", NO_INSTANT, text)


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

    def __getitem__(self, row: Any) -> Any:
        """Give one instant, for messages, or some of the rows."""
        return Instants(self.seconds[row]) if isinstance(row, slice) else np.datetime64(int(self.seconds[row]), "s")


# The cells of one column, and columns by header.
Cells = Sequence[Any] | Instants | NDArray[Any]
Table = Mapping[str, Cells]


def whole_seconds(column: NDArray[Any]) -> Ints:
    """Epoch seconds of a column of integers: seconds, milli-, micro- or nanoseconds, as `parse_instant` takes each."""
    wide = column.astype(np.uint64 if column.dtype.kind == "u" else np.int64)
    size = wide if column.dtype.kind == "u" else np.abs(wide).view(np.uint64)  # of the least int64 as well
    bounds = np.array([int(below) for below, _ in _EPOCH_UNITS[:-1]], dtype=np.uint64)
    units = np.array([unit for _, unit in _EPOCH_UNITS], dtype=wide.dtype)
    return (wide // units[np.searchsorted(bounds, size, "right")]).astype(np.int64)


def float_seconds(column: NDArray[Any]) -> tuple[Ints, Ints]:
    """Epoch seconds of a column of floats, as `parse_instant` takes each, and the rows that are no instant."""
    values = as_float64(column)
    size = np.abs(values)
    wrong = np.flatnonzero(~(size < _EPOCH_UNITS[-1][0]))
    units = np.array([float(unit) for _, unit in _EPOCH_UNITS])
    index = np.searchsorted([below for below, _ in _EPOCH_UNITS[:-1]], np.where(np.isnan(size), 0, size), "right")
    with np.errstate(invalid="ignore"):  # a NaN may be a signalling one
        seconds = np.floor(values / units[index])
    seconds[wrong] = 0
    return seconds.astype(np.int64), wrong


def looks_like_dates(column: NDArray[Any]) -> bool:
    """Whether all numbers of a column are dates such as 20260101 or 20260101120000, and no seconds or parts of them."""
    values = as_float64(column)
    found = values[~np.isnan(values)]
    digits = [(found >= 19 * 10**n) & (found < 21 * 10**n) for n in (6, 10, 12)]
    return len(found) > 0 and any(bool(of.all()) for of in digits)


# Below 1e11 seconds it is the year 5138; larger numbers are milli-, micro- or nanoseconds.
_EPOCH_UNITS = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))


_NO_NUMBER = "must be a finite number, or empty where not observed"


def usage_of(column: Cells, header: str) -> tuple[Floats, Bad]:
    """Usage of a column, NaN where a cell is empty; and the cells that are no finite number, NaN as well."""
    bad: Bad = {}
    if isinstance(column, np.ndarray) and column.dtype.kind in "iufb":
        values = as_float64(column)
    elif isinstance(column, Instants) or (isinstance(column, np.ndarray) and column.dtype.kind in "MmcV"):
        for row in range(len(column)):
            bad[row] = BadCell(row, header, _NO_NUMBER, str(column[row]))
        return np.full(len(column), np.nan), bad
    elif isinstance(column, TextColumn) and (found := column.floats()) is not None:
        values = found
    else:
        if isinstance(column, TextColumn):
            column = tuple(column)
        try:
            if isinstance(column, tuple) and "_" in "".join(column):  # Python's 1_000 is nobody's CSV
                raise ValueError
            values = np.fromiter(map(float, column), np.float64, len(column))  # the usual case: all are numbers
        except (TypeError, ValueError, OverflowError):
            values = np.empty(len(column))
            for row, cell in enumerate(column):
                try:
                    values[row] = number_in(row, cell, header)
                except BadCell as error:  # noqa: PERF203 - only where not all are numbers
                    values[row], bad[row] = np.nan, error
    infinite = np.isinf(values)
    for row in np.flatnonzero(infinite).tolist():
        bad[row] = BadCell(row, header, _NO_NUMBER, column[row], out_of_range=True)
    return np.where(infinite, np.nan, values), bad  # never the caller's own array


def number_in(row: int, cell: Any, header: str) -> float:
    """One number, NaN where the cell is empty."""
    if cell is None or (isinstance(cell, str) and cell.strip().casefold() in _MISSING):
        return math.nan
    try:
        if (isinstance(cell, str) and "_" in cell) or isinstance(cell, bytes | dt.timedelta):
            raise ValueError
        return float(cell)
    except OverflowError:  # a whole number beyond double precision
        raise BadCell(row, header, _NO_NUMBER, cell, out_of_range=True) from None
    except (TypeError, ValueError):
        if str(cell) in ("<NA>", "NaT"):
            return math.nan
        raise BadCell(row, header, _NO_NUMBER, cell) from None


def texts(column: Cells) -> Sequence[str]:
    """Names, without the blanks around them; empty where a cell is."""
    # pandas makes floats of whole numbers when one of them is missing.
    whole = (int(c) if isinstance(c, float | np.floating) and float(c).is_integer() else c for c in column)
    decoded = (c.decode(errors="replace") if isinstance(c, bytes) else c for c in whole)
    stripped = ("" if c is None else str(c).strip() for c in decoded)
    return ["" if text in ("nan", "<NA>", "NaT") else text for text in stripped]
