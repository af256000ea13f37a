"""A TOML file that knows its lines, so that every mistake can be named with the line it stands on."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import InvalidInput, printable, shown

if sys.version_info >= (3, 11):
    import tomllib as tomllib
else:
    import tomli as tomllib

#: Where something stands in the file: keys, and numbers for items of arrays of tables.
Where = tuple[str | int, ...]
MOST_LINES = 300
MOST_NESTING = 32
_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.\"' -]+?)\s*\]\]?\s*(#.*)?$")


@dataclass(frozen=True)
class Source:
    """The text of a TOML file and what it says."""

    name: str
    text: str
    body: dict[str, Any]

    @staticmethod
    def read(path: Path) -> Source:
        """Parse the file."""
        return Source.parse(path.name, text_of(path))

    @staticmethod
    def parse(name: str, text: str) -> Source:
        """Parse the text of a file; errors call it ``name``."""
        try:
            source = Source(name, text, tomllib.loads(text))
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{name}: must be valid TOML: {printable(str(error))}", argument=name) from error
        for _ in source.parts():
            pass
        return source

    def parts(self) -> Iterator[tuple[Any, Where]]:
        """Everything in the file and where it stands; what TOML has no room for and Python has is refused on the way.

        That is numbers of any size, and with keys such as ``a.a.a…`` nesting so deep that nothing can be said of it.
        """
        waiting: list[tuple[Any, Where]] = [(self.body, ())]
        while waiting:
            value, where = waiting.pop()
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise self.at(f"{where[-1]}: must be a number of at most 64 bits (got one beyond them)", *where)
            yield value, where
            if not isinstance(value, dict | list):
                continue
            if len(where) > MOST_NESTING:  # to find the line could nest too deeply itself
                rule = f"must be nested at most {MOST_NESTING} deep (got more)"
                raise InvalidInput(f"{printable(self.name)}: {printable(str(where[0]), 60)}: {rule}")
            inner: Any = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(part, (*where, key)) for key, part in inner]

    def error(self, what: str, got: Any, *where: str | int) -> InvalidInput:
        """The error "file, line n: key: rule (got value)"."""
        return self.at(f"{what} (got {shown(got)})", *where)

    def at(self, message: str, *where: str | int) -> InvalidInput:
        """A message with the file and the line of what it is about."""
        line = self.line(*where)
        place = f"{self.name}{f', line {line}' if line else ''}"
        return InvalidInput(f"{place}: {printable(message)}", argument=place)

    def line(self, *where: str | int) -> int:
        """The line on which something stands, or what it is part of; 0 where it does not."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 0)

    @cached_property
    def _lines(self) -> dict[Where, int]:
        # The file is known to be valid, so each of its statements is parsed again by itself, line by line until it
        # is whole. That finds keys in every spelling, and no key inside a text or a comment.
        lines: dict[Where, int] = {}
        table: Where = ()
        items: dict[Where, int] = {}  # arrays of tables: how many so far
        statement, start = "", 1
        for number, line in enumerate(self.text.split("\n"), 1):
            if not statement:
                start = number
            statement += line + "\n"
            if number - start > MOST_LINES:
                break  # parsing a growing statement again is quadratic: what comes after it has no line
            try:
                parsed = tomllib.loads(statement)
            except ValueError:
                continue
            if statement.lstrip().startswith("["):
                table = _header(parsed, items)
                for end in range(1, len(table) + 1):
                    lines.setdefault(table[:end], start)
            else:
                _note(lines, table, parsed, start)
            statement = ""
        return lines


def decoded(content: bytes) -> str:
    """Text without a byte order mark, lines ended by line feeds; ValueError where it is not UTF-8.

    At once: a reader of files takes half a mark at the end of one for nothing.
    """
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def text_of(path: Path) -> str:
    """The text of a file, without a byte order mark."""
    try:
        return decoded(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InvalidInput(
            f"{path}: must be a readable file: {reason} (got {shown(str(path))})", argument=str(path)
        ) from error


def with_table(text: str, name: str, section: str) -> str:
    """Put the section in place of the first table of that name; others of it are gone. What only comments stays."""
    blocks: list[tuple[bool, list[str]]] = [(False, [])]  # is it a table of that name; its lines
    for line in text.splitlines():
        if (header := _HEADER.match(line)) is not None:
            first = header.group(1).replace(" ", "").split(".")[0].strip("\"'")
            blocks.append((first == name, []))
        blocks[-1][1].append(line)
    kept: list[str] = []
    placed = False
    for ours, lines in blocks:
        if not ours:
            kept += lines
            continue
        if not placed:
            kept += [*section.splitlines(), ""]
            placed = True
        said = [i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")]
        kept += lines[said[-1] + 1 :]
    if not placed:
        kept += ["", *section.splitlines()] if kept else section.splitlines()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n") + "\n"


def _header(parsed: Any, items: dict[Where, int]) -> Where:
    """The table that the statements after ``[a.b]`` or ``[[a.b]]`` belong to."""
    where: Where = ()
    while isinstance(parsed, dict) and parsed:
        key, parsed = next(iter(parsed.items()))
        where = (*where, key)
        if isinstance(parsed, list):  # [[...]] begins the next item
            items[where] = items.get(where, 0) + 1
            return (*where, items[where] - 1)
        if where in items:
            where = (*where, items[where] - 1)
    return where


def _note(lines: dict[Where, int], where: Where, value: Any, line: int) -> None:
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        lines.setdefault((*where, key), line)
        _note(lines, (*where, key), part, line)
