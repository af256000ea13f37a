"""JSON as it arrives: bytes in any of its encodings become events, within limits that keep memory bounded."""

from __future__ import annotations

import ast
import codecs
import contextlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import InvalidInput, invalid, printable, shown

CHUNK = 65_536
#: Bytes within which a text or a number must end: what is longer is no name and no sample.
LONGEST = 1 << 20
#: Levels of nesting; the deepest of what is understood has seven.
DEEPEST = 100
#: Parts of anything that is not a series of values: labels, one quota, messages.
MOST_PARTS = 10_000

#: ("start_map" | "map_key" | "end_map" | "start_array" | "end_array" | "string" | "number" | "boolean" | "null", value)
Event = tuple[str, Any]


def is_json(start: bytes) -> bool:
    """Whether a file that starts with these bytes (a few hundred are enough) is meant to be JSON."""
    text = start.decode(json.detect_encoding(start), errors="ignore")
    return text.lstrip(" \t\r\n\ufeff")[:1] in ("{", "[")


class Events:
    """The events of a stream of JSON documents, and the place that an error in them names.

    Iterating gives the first event of each document; whoever takes it reads the document to its end, with
    `fields`, `elements`, `value`, `skip` or `flat`.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Read forward only, and not before the first event is asked for."""
        self.name, self.where, self.document = name, "", 0
        self.flat: Iterator[Event] = self._flat(stream)
        self._parts = self._depth = 0

    def __iter__(self) -> Iterator[Event]:
        """Give the first event of each document."""
        for event in self.flat:
            self.document, self.where = self.document + 1, ""
            yield event

    def spot(self, where: str) -> str:
        """A place in the file: the number of the document, if it is not the first, and where in it."""
        return ", ".join(part for part in (f"document {self.document}" if self.document > 1 else "", where) if part)

    @property
    def place(self) -> str:
        """The file, and where in it the event read last stands."""
        spot = self.spot(self.where)
        return f"{self.name}, {spot}" if spot else self.name

    def error(self, rule: str, got: object, within: str = "") -> InvalidInput:
        """Make the error that names this place, or one within it."""
        return invalid(f"{self.place}, {within}" if within else self.place, rule, got)

    def fields(self) -> Iterator[tuple[str, str, Any]]:
        """After `start_map`: each key, with the first event of its value, which the caller reads to its end."""
        seen: set[str] = set()
        for kind, key in self.flat:
            if kind == "end_map":
                return
            if key in seen:
                raise self.error("must not have a key twice", key)
            if len(seen) >= MOST_PARTS:
                raise self.error(f"must have at most {MOST_PARTS:,} keys", f"more, such as {shown(key)}")
            seen.add(key)
            kind, value = next(self.flat)
            yield key, kind, value

    def elements(self) -> Iterator[tuple[int, str, Any]]:
        """After `start_array`: the number of each element, with its first event; the caller reads it to its end."""
        for index, (kind, value) in enumerate(self.flat):
            if kind == "end_array":
                return
            yield index, kind, value

    def value(self, kind: str, value: Any) -> Any:
        """Build what this event begins: a dict, a list or a scalar; numbers with a point are floats."""
        self._parts = self._parts + 1 if self._depth else 1
        if self._parts > MOST_PARTS:
            raise self.error(f"must have at most {MOST_PARTS:,} parts", "more")
        if kind == "number":
            return self.number(value)
        if kind not in ("start_map", "start_array"):
            return value
        self._depth += 1
        self._check(self._depth)
        result: Any
        if kind == "start_map":
            result = {key: self.value(kind, value) for key, kind, value in self.fields()}
        else:
            result = [self.value(kind, value) for _, kind, value in self.elements()]
        self._depth -= 1
        return result

    def skip(self, kind: str) -> None:
        """Read what this event begins, and forget it."""
        depth = int(kind in ("start_map", "start_array"))
        while depth:
            kind, _ = next(self.flat)
            if kind in ("start_map", "start_array"):
                depth += 1
                self._check(depth)
            elif kind in ("end_map", "end_array"):
                depth -= 1

    def text(self, key: str, kind: str, value: Any) -> str:
        """Give a text, empty where it is null."""
        if kind not in ("string", "null"):
            raise self.error("must be a text", described(kind, value), key)
        return value or ""

    def number(self, value: Any) -> int | float:
        """Whole numbers stay what they are, if a float can hold them at all; the others are the nearest float."""
        try:
            real = float(value)
        except OverflowError:
            real = math.inf
        if math.isinf(real):
            raise self.error("must be a number within double precision", str(value))
        return value if isinstance(value, int) else real

    def _check(self, depth: int) -> None:
        if depth > DEEPEST:
            raise self.error(f"must be at most {DEEPEST} levels deep", "more")

    def _flat(self, stream: BinaryIO) -> Iterator[Event]:
        import ijson

        found = ijson.sendable_list()
        # Numbers come as int and Decimal: the parser's own floats depend on the locale ("1.5" is 1.0 where a comma
        # parts the fraction).
        parser = ijson.basic_parse_coro(found, multiple_values=True)
        try:
            yield from self._parsed(stream, parser, found, ijson.JSONError)
        finally:
            with contextlib.suppress(Exception):  # the parser in Python complains when it is left in the middle
                parser.close()

    def _parsed(self, stream: BinaryIO, parser: Any, found: Any, bad: type[Exception]) -> Iterator[Event]:
        quiet, blank = 0, True
        for chunk in self._utf8(stream):
            failure = None
            blank = blank and not chunk.strip()
            try:
                parser.send(chunk)
            except StopIteration:  # how the end of whole JSON is said
                pass
            except (bad, ValueError, ArithmeticError, SystemError) as error:
                failure = error
                if isinstance(error, SystemError):  # a number that Python refused to make: its event is not whole
                    del found[-1:]
            quiet = 0 if len(found) else quiet + len(chunk)
            yield from found  # what stands before a mistake also tells where it is
            if failure is not None:
                raise self._unreadable(failure, blank)
            if quiet > LONGEST:
                raise self.error(f"must not hold a text, number or gap of over {LONGEST:,} bytes", f"{quiet:,} bytes")
            del found[:]

    def _utf8(self, stream: BinaryIO) -> Iterator[bytes]:
        """Yield chunks in UTF-8 without a byte order mark; an empty one at the end."""
        start = self._read(stream)
        while len(start) < 4 and (more := self._read(stream)):
            start += more
        encoding = json.detect_encoding(start)
        if encoding in ("utf-8", "utf-8-sig"):
            decode = None
            start = start.removeprefix(codecs.BOM_UTF8)
        else:
            decode = codecs.getincrementaldecoder(encoding)()
        surrogates = _Surrogates()
        chunk = start
        while chunk:
            text = chunk
            if decode is not None:
                try:
                    text = decode.decode(chunk).encode()
                except UnicodeError as error:
                    raise self.error(f"must be text in {encoding.upper()}: {error}", self.name) from None
            if text:
                lone = surrogates.lone(text)
                if lone:
                    raise self.error("must be Unicode text, without half a character", lone)
                yield text
            chunk = self._read(stream)
        if decode is not None and decode.getstate()[0]:
            raise self.error(f"must be whole text in {encoding.upper()}", "half a character at the end")
        yield b""

    def _read(self, stream: BinaryIO) -> bytes:
        try:
            return stream.read(CHUNK) or b""
        except OSError as error:
            raise self.error(f"must be readable: {error.strerror or error}", self.name) from error

    def _unreadable(self, failure: Exception, blank: bool) -> InvalidInput:
        if blank:
            return self.error("must hold JSON", "an empty file")
        text = str(failure)
        if text.startswith(("b'", 'b"')):  # the parser shows what is around, which may begin within a character
            text = ast.literal_eval(text).decode(errors="replace").replace("\ufffd", "")
        lines = [line.strip() for line in text.splitlines()] or [""]
        if "premature EOF" in lines[0] or "Incomplete" in lines[0]:
            return self.error("must be whole JSON", "an end in the middle")
        if isinstance(failure, SystemError | ArithmeticError):
            return self.error("must hold numbers within double precision", "a number that is none")
        if isinstance(failure, UnicodeDecodeError) or "bytes in UTF8" in lines[0] or "codec can't" in lines[0]:
            return self.error("must be text in UTF-8, UTF-16 or UTF-32", "bytes that are none")
        around = lines[1] if len(lines) > 1 else ""
        said = printable(lines[0].rstrip("."), 100)
        return self.error(f"must be JSON: {said}", around or f"something else in document {self.document or 1}")


class _Surrogates:
    r"""Finds halves of a character (``\ud800`` without its ``\udc00``), of which the parser makes a question mark."""

    _ESCAPE = re.compile(rb"\\(?:u([0-9A-Fa-f]{4})|[^u])", re.DOTALL)

    def __init__(self) -> None:
        self._rest = b""  # an escape that goes on in the next chunk

    def lone(self, chunk: bytes) -> str:
        """Give the first half character, or an empty text. A half at the very end is unfinished JSON anyway."""
        text = self._rest + chunk
        self._rest = b""
        at = text.find(b"\\")
        half: re.Match[bytes] | None = None
        while at >= 0:
            escape = self._ESCAPE.match(text, at)
            if half is not None and at != half.end():
                return half[0].decode()
            if escape is None:
                if len(text) - at < 6:
                    self._rest = text[half.start() if half else at :]
                return ""  # else it is no escape at all, as the parser will say
            code = int(escape[1] or b"0", 16)
            if half is not None and not 0xDC00 <= code < 0xE000:
                return half[0].decode()
            if half is None and 0xDC00 <= code < 0xE000:
                return escape[0].decode()
            half = escape if half is None and 0xD800 <= code < 0xDC00 else None
            at = text.find(b"\\", escape.end())
        if half is not None:
            if half.end() < len(text):
                return half[0].decode()
            self._rest = text[half.start() :]
        return ""


def described(kind: str, value: Any) -> Any:
    """Give a value of the wrong type as a message shows it."""
    words = {"start_map": "an object", "start_array": "an array", "null": "null"}
    return str(value).lower() if kind == "boolean" else words.get(kind, value)
