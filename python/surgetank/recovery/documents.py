"""JSON and YAML that know their lines, read as plain texts, lists and tables: nothing in a file is ever carried out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import InvalidInput, MissingExtra, printable, shown

#: Where something stands: keys, and numbers for items of lists.
Where = tuple[str | int, ...]
MOST_NESTING = 64
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:\n]|[^\s\[\]{},:"]+', re.DOTALL)


@dataclass(frozen=True)
class Document:
    """What a JSON or YAML file says."""

    name: str
    body: Any
    find_lines: Callable[[], Mapping[Where, int]]

    def error(self, what: str, got: object, *where: str | int) -> InvalidInput:
        """The error "file, line n: key: rule (got value)"."""
        kinds: dict[type, str] = {dict: "a table", list: "a list"}  # through aliases, a short list can be a long text
        return self.at(f"{what} (got {kinds.get(type(got)) or shown(got)})", *where)

    def at(self, message: str, *where: str | int) -> InvalidInput:
        """A message with the file and the line of what it is about."""
        line = self.line(*where)
        place = f"{printable(self.name)}{f', line {line}' if line else ''}"
        return InvalidInput(f"{place}: {printable(message)}", argument=place)

    def line(self, *where: str | int) -> int:
        """The line on which something stands, or what it is part of; 0 where it does not."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 0)

    @cached_property
    def _lines(self) -> Mapping[Where, int]:
        return self.find_lines()


def document(name: str, text: str) -> Document:
    """Parse JSON where the text begins with a brace, otherwise YAML; `MissingExtra` without the extra ``yaml``."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _json(name, text)
        except InvalidInput:
            if name.lower().endswith((".yaml", ".yml")):
                return _yaml(name, text)
            raise
    if name.lower().endswith(".json"):
        return _json(name, text)
    return _yaml(name, text)


def _json(name: str, text: str) -> Document:
    import json

    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unread(name, "JSON", error) from error
    _check_nesting(name, body)
    return Document(name, body, lambda: json_lines(text))


def _unread(name: str, language: str, error: Exception) -> InvalidInput:
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    mark = getattr(error, "problem_mark", None)
    line = getattr(error, "lineno", None) or (mark.line + 1 if mark is not None else 0)
    problem = getattr(error, "msg", None) or getattr(error, "problem", None) or reason
    return InvalidInput(
        f"{printable(name)}{f', line {line}' if line else ''}: must be valid {language}: {printable(str(problem), 200)}"
    )


def _check_nesting(name: str, body: Any) -> None:
    waiting = [(body, 0)]
    while waiting:
        value, depth = waiting.pop()
        if not isinstance(value, dict | list):
            continue
        if depth > MOST_NESTING:
            raise _too_deep(name)
        waiting += [(part, depth + 1) for part in (value.values() if isinstance(value, dict) else value)]


def _too_deep(name: str, line: int = 0) -> InvalidInput:
    place = f"{printable(name)}{f', line {line}' if line else ''}"
    return InvalidInput(f"{place}: must be nested at most {MOST_NESTING} deep (got more)")


def json_lines(text: str) -> dict[Where, int]:
    """Lines of everything in a text that is known to be valid JSON."""
    import json

    lines: dict[Where, int] = {}
    path: list[str | int] = []  # of the value that is next or open
    key, line = "", 1
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
        elif token == ":":
            path[-1] = key
            lines[tuple(path)] = line
        elif token == ",":
            if path and isinstance(path[-1], int):
                path[-1] += 1
        elif token in ("]", "}"):
            path.pop()
        else:
            lines.setdefault(tuple(path), line)
            if token == "[":
                path.append(0)
            elif token == "{":
                path.append("")
            elif token.startswith('"'):
                key = json.loads(token)
    return lines


_NO_KEYS = {"AliasEvent": "an alias", "MappingStartEvent": "a table", "SequenceStartEvent": "a list"}


@dataclass
class _Open:
    """A list or table of a YAML file that is being read."""

    value: dict[str, Any] | list[Any]
    tag: str | None
    where: Where
    key: str | None = None
    has_key: bool = False


def _yaml(name: str, text: str) -> Document:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra(f"{printable(name)} is YAML; reading it needs: pip install 'surgetank[yaml]'") from error
    try:
        return _yaml_of(name, yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except InvalidInput:
        raise
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise _unread(name, "YAML", error) from error


def _yaml_of(name: str, events: Any) -> Document:
    """Build from events, without the library's constructors: tags are words, aliases share what they point to."""
    lines: dict[Where, int] = {}
    anchors: dict[str, Any] = {}
    stack: list[_Open] = []
    body: Any = None
    for event in events:
        kind = type(event).__name__
        line = event.start_mark.line + 1
        if kind == "DocumentEndEvent":
            break
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            stack.pop()
            continue
        if kind not in ("ScalarEvent", "AliasEvent", "MappingStartEvent", "SequenceStartEvent"):
            continue
        top = stack[-1] if stack else None
        if top is not None and isinstance(top.value, dict) and not top.has_key:
            if kind != "ScalarEvent":
                raise InvalidInput(f"{printable(name)}, line {line}: keys must be texts (got {_NO_KEYS[kind]})")
            top.key, top.has_key = event.value, True
            lines.setdefault((*top.where, event.value), line)
            continue
        where = _place(top)
        lines.setdefault(where, line)
        if len(stack) > MOST_NESTING:
            raise _too_deep(name, line)
        if kind == "AliasEvent" and event.anchor not in anchors:
            raise InvalidInput(
                f"{printable(name)}, line {line}: aliases must have an anchor before them (got {shown(event.anchor)})"
            )
        value, inner = _value(event, kind, anchors)
        if inner is not None:
            inner.where = where
        if event.anchor is not None and kind != "AliasEvent":
            anchors[event.anchor] = value
        if top is None:
            body = value
        elif isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value[str(top.key)], top.has_key = value, False
        if inner is not None:
            stack.append(inner)
    return Document(name, body, lambda: lines)


def _place(top: _Open | None) -> Where:
    if top is None:
        return ()
    return (*top.where, len(top.value) if isinstance(top.value, list) else str(top.key))


def _value(event: Any, kind: str, anchors: dict[str, Any]) -> tuple[Any, _Open | None]:
    """What an event stands for, and what is now open to be filled."""
    if kind == "AliasEvent":
        return anchors[event.anchor], None
    tag = event.tag if event.tag and event.tag.startswith("!") and event.tag != "!" else None
    if kind == "ScalarEvent":
        plain = event.implicit[0] and event.value in ("", "~", "null", "Null", "NULL")
        return _tagged(tag, None if plain else event.value), None
    inner: dict[str, Any] | list[Any] = {} if kind == "MappingStartEvent" else []
    return _tagged(tag, inner), _Open(inner, tag, ())


def _tagged(tag: str | None, value: Any) -> Any:
    """The long form of CloudFormation's short tags: ``!Ref x`` is ``{"Ref": "x"}``."""
    if tag is None:
        return value
    word = tag[1:]
    return {word if word in ("Ref", "Condition") else f"Fn::{word}": value}
