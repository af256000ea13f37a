"""Plain CSV taken apart by Arrow, where it is installed: several times as fast as Python's csv, for long files.

Only blocks that both read alike are taken: without quotes, blank lines and other oddities, all rows of one width. For
every other block, and for every cell that Arrow does not take for a number, Python's own way decides.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from .._bridge import Floats
from .samples import Ints

#: Characters of a file that are read before Arrow is imported; below it that costs more than it saves.
FAST_AFTER = 4 << 20
#: Columns up to which it pays.
MOST_COLUMNS = 200


class TextColumn(Sequence[str]):
    """A column of texts in Arrow's memory."""

    def __init__(self, array: Any) -> None:
        """Take a string array without nulls."""
        self._array = array

    def __len__(self) -> int:
        """Give the number of rows."""
        return len(self._array)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> TextColumn: ...
    def __getitem__(self, row: int | slice) -> Any:
        """Give one text, or some of the rows."""
        return TextColumn(self._array[row]) if isinstance(row, slice) else self._array[row].as_py()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the texts."""
        return iter(self._array.to_pylist())

    @cached_property
    def coded(self) -> tuple[list[str], Ints]:
        """The different texts, in the order in which they first come, and which of them each row has."""
        coded = self._array.dictionary_encode()
        return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)

    def floats(self) -> Floats | None:
        """All cells as numbers, NaN where empty; None where one of them is no number to Arrow."""
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            found = pc.if_else(pc.equal(self._array, ""), None, self._array).cast(pa.float64())
        except pa.ArrowInvalid:
            return None
        values = found.to_numpy(zero_copy_only=False)
        odd = np.flatnonzero(np.isnan(values))  # nan(5) is one to Arrow
        if len(odd) > found.null_count and not all(self[int(row)].strip().casefold() in ("", "nan") for row in odd):
            return None
        return np.array(values, dtype=np.float64)


class PlainRows:
    """Blocks of lines with these headers."""

    def __init__(self, headers: list[str], delimiter: str) -> None:
        """Import Arrow; ImportError where it is not installed."""
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        self._pa, self._csv, self._headers = pa, arrow_csv, headers
        self._parse = arrow_csv.ParseOptions(
            delimiter=delimiter, quote_char=False, double_quote=False, escape_char=False, ignore_empty_lines=False
        )
        types = {str(n): pa.string() for n in range(len(headers))}
        self._convert = arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=False)

    def columns(self, block: str) -> dict[str, TextColumn] | None:
        """The columns of whole lines; None where they are not plain."""
        if _odd(block):
            return None
        names = list(map(str, range(len(self._headers))))
        try:
            content = block.encode()
            read = self._csv.ReadOptions(column_names=names, use_threads=False, block_size=len(content) + 1)
            table = self._csv.read_csv(self._pa.py_buffer(content), read, self._parse, self._convert)
        except (UnicodeEncodeError, self._pa.ArrowInvalid):
            return None
        if table.num_rows != block.count("\n"):
            return None
        arrays = [column.combine_chunks() for column in table.columns]
        if any(self._longest(array) > csv.field_size_limit() for array in arrays):
            return None
        return {header: TextColumn(array) for header, array in zip(self._headers, arrays, strict=True)}

    def _longest(self, array: Any) -> int:
        offsets = np.frombuffer(array.buffers()[1], dtype=np.int32)[array.offset : array.offset + len(array) + 1]
        return int(np.diff(offsets).max(initial=0))


def _odd(block: str) -> bool:
    """Whether Arrow and Python's csv may see different rows in it: quotes, blank lines, half a line break."""
    if '"' in block or "\0" in block or "\n\n" in block or block.startswith(("\n", "\r", "\ufeff")):
        return True
    return "\r" in block and ("\n\r" in block or block.count("\r") != block.count("\r\n"))
