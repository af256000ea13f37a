"""CSV in batches: memory stays bounded, and an error names its line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, invalid, shown

BATCH_ROWS = 65_536


def csv_batches(
    path: Path, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[Callable[[int], str], Mapping[str, Sequence[str]]]]:
    """Yield (row → "file, line n", header → cells) until the end; at least one batch, empty for a bare header."""
    with path.open("rb") as binary:
        encoding = "utf-16" if binary.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    size = path.stat().st_size
    with path.open(encoding=encoding, newline="") as text:
        try:
            yield from _batches(path, text, size, progress)
        except UnicodeError as error:
            raise invalid("source", f"must be text in UTF-8 or UTF-16: {error}", path.name) from error
        except csv.Error as error:
            raise invalid("source", f"must be whole CSV: {error}", path.name) from error


def _batches(
    path: Path, text: object, size: int, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[Callable[[int], str], Mapping[str, Sequence[str]]]]:
    file: Any = text
    start = file.read(65_536)
    if not start.strip():
        raise invalid("source", "must hold a header line and rows", f"{path.name}, empty")
    file.seek(0)
    first_line = next(line for line in start.splitlines() if line.strip())
    delimiter = max(",;\t|", key=first_line.count)
    reader = csv.reader(_text_lines(file, path.name), delimiter=delimiter, strict=True)
    headers = [h.strip() for h in next(row for row in reader if row)]
    yielded = False
    while True:
        before = reader.line_num
        rows = list(islice(reader, BATCH_ROWS))
        if progress is not None:
            progress(min(size, file.buffer.tell()), size)
        if not rows and yielded:
            return
        # Blank lines are no rows; quoted line breaks are rare. Otherwise a row is a line.
        exact = reader.line_num - before == len(rows)
        kept = [i for i, row in enumerate(rows) if row] if [] in rows else None
        rows = rows if kept is None else [rows[i] for i in kept]
        place = _place(path.name, before, kept, exact)
        _check_widths(rows, len(headers), place)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(headers)
        yield place, dict(zip(headers, columns, strict=True)) if len(set(headers)) == len(headers) else _twice(headers)
        yielded = True


def _text_lines(file: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if "\0" in line:
            raise invalid(f"source {name}, line {number}", "must be text, not binary", line)
        yield line


def _twice(headers: list[str]) -> dict[str, Sequence[str]]:
    raise invalid("columns", "must have different names", next(h for h in headers if headers.count(h) > 1))


def _place(name: str, before: int, kept: list[int] | None, exact: bool) -> Callable[[int], str]:
    def place(row: int) -> str:
        at = row if kept is None else kept[row]
        return f"{name}, {'line' if exact else 'near line'} {before + at + 1}"

    return place


def _check_widths(rows: list[list[str]], width: int, place: Callable[[int], str]) -> None:
    if set(map(len, rows)) <= {width}:
        return
    row = next(i for i, r in enumerate(rows) if len(r) != width)
    raise InvalidInput(
        f"{place(row)}: must have {width} fields like the header (got {len(rows[row])}: {shown(','.join(rows[row]))})"
    )
