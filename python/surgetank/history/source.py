"""Opening: what kind of source it is, by its content; and one pass over it, for files and pipes alike."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import select
import stat
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InvalidInput, invalid
from .batches import Batch, Progress
from .csvfile import csv_batches
from .jsonevents import is_json
from .temporary import room, temporary_file

_HEAD = 1 << 16
_NO_WRITER_S = 5.0  # so long a named pipe may be without anyone who writes to it

#: What is not read, by its first bytes, and what to do about it.
_REFUSED = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet; unpack it, or save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet; save it as CSV"),
    (b"BZh", "compressed by bzip2; unpack it first"),
    (b"\xfd7zXZ\0", "compressed by xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first"),
    (b"SQLite format 3\0", "a database; a store of surgetank is named with --store"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
)


@dataclass(frozen=True)
class Source:
    """An open source: tables in batches, or JSON as a stream of bytes."""

    name: str  # as messages call it
    stem: str  # the name of a file without its ending; "" where there is none
    format: str
    batches: Iterator[Batch] | None = None
    json: BinaryIO | None = None


def is_frame(source: object) -> bool:
    """Whether this is a table of named columns (pandas, polars, pyarrow, anything with an Arrow stream)."""
    if isinstance(source, str | os.PathLike) or type(source).__module__ == "numpy":
        return False
    if type(source).__name__ == "LazyFrame":
        return False  # it has no rows before it is collected
    if hasattr(source, "column_names") or (hasattr(source, "columns") and len(getattr(source, "shape", ())) == 2):
        return True
    return hasattr(source, "__arrow_c_stream__") and not hasattr(source, "__array__")


@contextlib.contextmanager
def opened(source: object, progress: Progress | None = None) -> Iterator[Source]:
    """Open a path, ``-`` for standard input, a binary file object, a frame or an Arrow stream, to be read once."""
    if is_frame(source):
        from .arrowfile import frame_batches

        yield Source("frame", "", "frame", frame_batches(source))
        return
    with contextlib.ExitStack() as stack:
        file, name, stem, size = _file(source, stack)
        raw = _Raw(file, _Count(size, progress))
        path = Path(source) if size and isinstance(source, str | os.PathLike) else None
        try:
            yield _known(io.BufferedReader(raw, _HEAD), name, stem, stack, path, progress)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise invalid("source", f"must be a whole gzip file: {error}", name) from error
        except _ReadError as error:
            raise invalid("source", f"must be readable to its end: {error}", name) from error


def _file(source: object, stack: contextlib.ExitStack) -> tuple[Any, str, str, int]:
    """The binary file, its name, its stem and its size (0: not known)."""
    if isinstance(source, str | os.PathLike) and str(source) != "-":
        path = Path(source)
        try:
            mode = path.stat().st_mode
            if stat.S_ISFIFO(mode):
                return stack.enter_context(_pipe(path)), path.name, "", 0
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise invalid("source", "must be a file or a pipe, not a device or socket", str(path))
            file = stack.enter_context(path.open("rb"))
            return file, path.name, Path(path.name.removesuffix(".gz")).stem, os.fstat(file.fileno()).st_size
        except InvalidInput:
            raise
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise invalid("source", f"must be a readable file: {reason}", str(path)) from error
    if isinstance(source, str | os.PathLike):
        import sys

        if sys.stdin is None:
            raise invalid("source", "must be open: there is no standard input", "-")
        return sys.stdin.buffer, "standard input", "", 0
    if callable(getattr(source, "read", None)):
        if isinstance(source, io.TextIOBase):
            raise invalid("source", "must be opened in binary mode ('rb')", type(source).__name__)
        return source, "stream", "", 0
    raise invalid(
        "source", "must be a path, a binary file, a frame or an object with __arrow_c_stream__", type(source).__name__
    )


@contextlib.contextmanager
def _pipe(path: Path) -> Iterator[_Rest]:
    """A named pipe, once somebody writes to it: waiting for nobody would be a hang."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
        deadline = time.monotonic() + _NO_WRITER_S
        while not (start := file.read(1)):
            if start is None:  # somebody has it open, and has not written yet
                select.select([file], [], [], 0.1)
            elif time.monotonic() > deadline:
                raise invalid("source", f"must be a pipe that somebody writes to within {_NO_WRITER_S:g} s", str(path))
            else:
                time.sleep(0.05)
        os.set_blocking(file.fileno(), True)
        yield _Rest(start, file)


class _ReadError(Exception):
    """The file could be opened and not be read."""


class _Rest:
    """What was read of a file already, and then the file."""

    def __init__(self, start: bytes, file: Any) -> None:
        self.start, self.file = start, file

    def read(self, size: int) -> bytes:
        start, self.start = self.start[:size], self.start[size:]
        return start or self.file.read(size)


class _Count:
    """How much was read of a file, told to whoever wants to know."""

    def __init__(self, size: int, progress: Progress | None) -> None:
        self._size, self._progress, self._done = size, progress, 0

    def add(self, got: int) -> None:
        self._done += got
        if self._progress is not None and got:
            self._progress(min(self._done, self._size or self._done), self._size)


class _Raw(io.RawIOBase):
    """Any file, counting what is read of it."""

    def __init__(self, file: Any, count: _Count) -> None:
        super().__init__()
        self._file, self._count = file, count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while (got := self._file.read(len(buffer))) is None:  # a caller's file that does not block: nothing yet
                time.sleep(0.01)
        except (OSError, ValueError) as error:
            raise _ReadError(getattr(error, "strerror", None) or str(error)) from error
        if not isinstance(got, bytes | bytearray | memoryview):
            raise _ReadError(f"it gives {type(got).__name__}, not bytes")
        if len(got) > len(buffer):
            raise _ReadError(f"it gives {len(got):,} bytes where {len(buffer):,} were asked for")
        buffer[: len(got)] = got
        self._count.add(len(got))
        return len(got)


class _Counted(io.FileIO):
    """A file that is read here and there, counting what is read of it."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(path)
        self._count = _Count(path.stat().st_size, progress)

    def readinto(self, buffer: Any) -> int | None:
        got = super().readinto(buffer)
        self._count.add(got or 0)
        return got

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        content = super().read(size) or b""
        self._count.add(len(content))
        return content


def _known(
    stream: io.BufferedReader[Any], name: str, stem: str, stack: contextlib.ExitStack, path: Path | None,
    progress: Progress | None, zipped: str = "",
) -> Source:  # fmt: skip
    head = _head(stream)
    stream = io.BufferedReader(_Raw(_Rest(head, stream), _Count(0, None)), _HEAD)
    if head.startswith(b"\x1f\x8b"):
        if zipped:
            raise invalid("source", "must be compressed once", name)
        unzipped = io.BufferedReader(gzip.GzipFile(fileobj=stream))
        return _known(unzipped, name, stem, stack, None, progress, ", gzip")
    for magic, what in _REFUSED:
        if head.startswith(magic):
            raise invalid("source", f"must be CSV, JSON or Parquet, not {what}", name)
    if head.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        from .arrowfile import arrow_file_batches

        kind = "Parquet" if head.startswith(b"PAR1") else "Arrow"
        whole = _seekable(stream, stack) if zipped or path is None else stack.enter_context(_Counted(path, progress))
        return Source(name, stem, kind + zipped, arrow_file_batches(whole, kind, head, name))
    if is_json(head):
        return Source(name, stem, "JSON" + zipped, json=stream)
    return Source(name, stem, "CSV" + zipped, csv_batches(stream, name))


def _head(stream: io.BufferedReader[Any]) -> bytes:
    parts: list[bytes] = []
    while (size := sum(map(len, parts))) < _HEAD and (part := stream.read1(_HEAD - size)):
        parts.append(part)
    return b"".join(parts)


def _seekable(stream: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
    """The same in a temporary file: such formats have their table of contents at the end."""
    file = stack.enter_context(temporary_file())
    while part := stream.read(_HEAD):
        with room():
            file.write(part)
    file.seek(0)
    return file  # type: ignore[no-any-return]
