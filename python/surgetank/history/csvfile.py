"""CSV in batches: memory stays bounded, a broken row is one broken row, and its line is known."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, BinaryIO

from ..errors import invalid
from . import arrowtext
from .batches import BATCH_CELLS, Batch, Broken, Place
from .cells import BadCell

BATCH_ROWS = 8192  # so few that they stay in the processor's cache
BLOCK = 1 << 20
#: Characters. Beyond it there are no lines, or not this program's.
LONGEST_LINE = 1 << 26

#: How `surrogateescape` keeps a byte that is no UTF-8, and how a NUL is kept here: no text holds either.
_NOT_TEXT = re.compile("[\ud800-\udfff]")


class _Lines:
    """The lines of a text file, in blocks: iterating over them is then done in C."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        head = stream.peek(4)[:4] if isinstance(stream, io.BufferedReader) else b""
        encoding = json.detect_encoding(head)
        errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
        self.decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)(errors)
        self.stream, self.name, self.dirty = stream, name, False

    def start(self) -> str:
        """The first block, which must be text with something in it."""
        self.first = self._block("")
        if not self.first.strip():
            raise invalid("source", "must hold a header line and rows", f"{self.name}, empty")
        if "\0" in self.first:
            raise invalid(f"source {self.name}", "must be text, not binary", self.first[:40])
        return self.first

    def blocks(self) -> Iterator[str]:
        """Some lines at a time, each with its end."""
        block = self.first
        while block:
            if "\0" in block:
                block, self.dirty = block.replace("\0", "\udc00"), True
            elif not self.dirty and not block.isascii():
                self.dirty = _NOT_TEXT.search(block) is not None
            end = max(block.rfind("\n"), block.rfind("\r", 0, -1)) + 1  # the last "\r" may be half a line break
            if end:
                yield block[:end]
            block = self._block(block[end:])
            if not end and len(block) > LONGEST_LINE:
                raise invalid(f"source {self.name}", f"must have lines of {LONGEST_LINE:,} characters at most", block)

    def _block(self, rest: str) -> str:
        """The rest of the last block and what follows; with a line break at the end of all, so that it is a line."""
        while more := self.stream.read(max(BLOCK, len(rest))):  # twice as much each time: few copies of a long line
            if text := self.decoder.decode(more):
                return rest + text
        rest += self.decoder.decode(b"", True)
        return rest and rest + "\n"


def csv_batches(stream: BinaryIO, name: str) -> Iterator[Batch]:
    """Yield batches until the end; at least one, without rows for a bare header."""
    try:
        yield from _batches(_Lines(stream, name))
    except UnicodeError as error:
        raise invalid("source", f"must be text in UTF-8 or UTF-16: {error}", name) from error


def _batches(lines: _Lines) -> Iterator[Batch]:
    start = lines.start()
    first_line = next(line for line in re.split("[\r\n]+", start) if line.strip())
    delimiter = max(",;\t|", key=re.sub('"[^"]*"', "", first_line).count)  # names in quotes may hold others
    blocks = lines.blocks()
    table = _Table(lines, delimiter)
    reader = table.reader(_without_quotes(blocks, arrowtext.FAST_AFTER))
    table.headers = _headers(reader, lines)
    yield from table.batches(reader, 0)
    line = reader.line_num
    plain = _plain_rows(table)
    for block in blocks:
        if plain is None or '"' in block:  # quotes may hold line breaks: from here on, the lines are one stream
            reader = table.reader(chain([block], blocks))
            yield from table.batches(reader, line)
            return
        columns = plain.columns(block)
        if columns is not None:
            yield Batch(columns, _place(lines.name, line, None))
            line += len(columns[table.headers[0]])
        else:
            reader = table.reader([block])
            yield from table.batches(reader, line)
            line += reader.line_num


def _without_quotes(blocks: Iterator[str], least: int) -> Iterator[str]:
    """Blocks until there are so many characters and, so far, no quote: the next one then begins with a row."""
    size, quoted = 0, False
    for block in blocks:
        yield block
        size, quoted = size + len(block), quoted or '"' in block
        if size >= least and not quoted:
            return


def _plain_rows(table: _Table) -> arrowtext.PlainRows | None:
    if len(table.headers) > arrowtext.MOST_COLUMNS:
        return None
    try:
        return arrowtext.PlainRows(table.headers, table.delimiter)
    except ImportError:
        return None


class _Table:
    """Rows taken apart by Python's csv."""

    def __init__(self, lines: _Lines, delimiter: str) -> None:
        self.lines, self.delimiter = lines, delimiter
        self.headers: list[str] = []

    def reader(self, blocks: Iterable[str]) -> Any:
        """A reader of these blocks; iterating over their lines is done in C."""
        lines = chain.from_iterable(io.StringIO(block, newline="") for block in blocks)
        return csv.reader(lines, delimiter=self.delimiter, strict=True)

    def batches(self, reader: Any, base: int) -> Iterator[Batch]:
        """Yield the rows of a reader, ``base`` lines into the file; at least one batch."""
        most = max(1, min(BATCH_ROWS, BATCH_CELLS // len(self.headers)))
        yielded = False
        while True:
            before = reader.line_num
            rows: list[list[str]] = []
            torn: Broken | None = None
            try:
                rows.extend(islice(reader, most))  # in place: what was read before an error stays
            except csv.Error as error:
                at = before + _lines_of(rows)
                count = max(1, reader.line_num - at)
                what = BadCell(0, "", f"must be whole CSV: {error}", f"{count:,} line{'' if count == 1 else 's'}")
                torn = Broken(_line(self.lines.name, base + at + 1), what, 0, count)
            if not rows and torn is None and yielded:
                return
            exact = reader.line_num - before == len(rows)
            yield self._batch(rows, torn, base + before, exact)
            yielded = True

    def _batch(self, rows: list[list[str]], torn: Broken | None, before: int, exact: bool) -> Batch:
        """Whole rows become columns; the others are named."""
        name, width, dirty = self.lines.name, len(self.headers), self.lines.dirty
        numbers = None  # a row is a line, unless lines are blank or breaks are quoted
        if not exact or [] in rows:
            numbers = _numbers(before, rows)
            kept = [i for i, row in enumerate(rows) if row]
            rows, numbers = [rows[i] for i in kept], [numbers[i] for i in kept]
        broken: list[Broken] = []
        if dirty or set(map(len, rows)) - {width}:
            bad = {i: rule for i, row in enumerate(rows) if (rule := _unfit(row, width, dirty))}
            place = _place(name, before, numbers)
            for n, (i, rule) in enumerate(bad.items()):
                broken.append(Broken(place(i), BadCell(0, "", rule, self.delimiter.join(rows[i])), i - n))
            numbers = [before + i + 1 for i in range(len(rows))] if numbers is None else numbers
            whole = [i for i in range(len(rows)) if i not in bad]
            rows, numbers = [rows[i] for i in whole], [numbers[i] for i in whole]
        if torn is not None:
            broken.append(replace(torn, before=len(rows)))
        columns: Sequence[tuple[str, ...]] = list(zip(*rows, strict=True)) if rows else [()] * width
        return Batch(dict(zip(self.headers, columns, strict=True)), _place(name, before, numbers), broken)


def _headers(reader: Any, lines: _Lines) -> list[str]:
    try:
        headers = [h.strip() for h in next(row for row in reader if row)]
    except csv.Error as error:
        raise invalid(f"source {lines.name}, line {reader.line_num}", f"must be whole CSV: {error}", "it") from error
    seen: set[str] = set()
    for header in headers:
        if header in seen:
            raise invalid(f"columns of {lines.name}", "must have different names", header)
        if _NOT_TEXT.search(header):
            raise invalid(f"source {lines.name}, line {reader.line_num}", "must be text in UTF-8 or UTF-16", header)
        seen.add(header)
    return headers


def _unfit(row: list[str], width: int, dirty: bool) -> str:
    if dirty and _NOT_TEXT.search("".join(row)):
        return "must be text in UTF-8, not binary or another encoding"
    return "" if len(row) == width else f"must have {width} fields like the header, not {len(row)}"


def _lines_of(rows: list[list[str]]) -> int:
    return _numbers(0, [*rows, []])[-1] - 1


def _numbers(before: int, rows: list[list[str]]) -> list[int]:
    """The line on which each row begins: cells may hold line breaks."""
    numbers = []
    at = before + 1
    for row in rows:
        numbers.append(at)
        at += 1 + len(re.findall("\r\n|\r|\n", "\x1f".join(row)))
    return numbers


def _line(name: str, number: int) -> str:
    return f"{name}, line {number}"


def _place(name: str, before: int, numbers: list[int] | None) -> Place:
    return lambda row: _line(name, before + row + 1 if numbers is None else numbers[row])
