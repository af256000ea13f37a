"""What every reader of tables yields, and what is wrong with single rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .cells import BadCell, Table

#: Where each row of a batch stands, for messages: "usage.csv, line 7".
Place = Callable[[int], str]

#: Called with (bytes read, bytes in all; 0 where that is not known, as of a pipe) while a source is read.
Progress = Callable[[int, int], None]

#: Rows are read so many cells at a time, whatever their width.
BATCH_CELLS = 1 << 19


@dataclass(frozen=True)
class Batch:
    """Some rows of a table, by column; what was no whole row stands beside them."""

    columns: Table
    place: Place
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True)
class Broken:
    """What could not be taken apart into cells."""

    where: str
    what: BadCell
    before: int  # it stands before this row of the batch
    lines: int = 1
