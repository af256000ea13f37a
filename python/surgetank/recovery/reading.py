"""Runbooks from files: TOML of our own, or a Region switch plan in JSON or YAML. Mistakes are named with their line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidInput, invalid, nearest, printable, shown
from .durations import Place, duration, seconds
from .runbook import Branch, DataStore, Misplaced, Runbook, Step
from .steps import LONGEST_NAME
from .writing import runbook_toml

if TYPE_CHECKING:
    from .._toml import Source

MOST_BYTES = 1_000_000
MOST_TOML_BYTES = 250_000
MOST_IN_TITLE = 1000

#: Keys of the file whose fields in Runbook carry a unit.
_RENAMED = {"target": "target_s", "rpo_target": "rpo_target_s"}
_TOP_KEYS = (
    "name",
    "title",
    "target",
    "rpo_target",
    "detection",
    "declaration",
    "done",
    "served_target",
    "strategy",
    "cost_usd_per_month",
    "step",
    "branch",
    "store",
)
_KINDS: Mapping[str, tuple[type[Any], tuple[str, ...]]] = {
    "step": (Step, ("name",)),
    "branch": (Branch, ("name", "options")),
    "store": (DataStore, ("name", "lag")),
}
_DURATIONS = ("duration", "retry_after", "lag", "copy")


def read_runbook(path: str | os.PathLike[str], *, workflow: str | None = None, region: str | None = None) -> Runbook:
    """Read a runbook from a file.

    Parameters
    ----------
    path : path
        ``.toml``: a runbook as the shipped ones and `runbook_toml` have it. ``.json``, ``.yaml``, ``.yml``: a Region
        switch plan of the Application Recovery Controller, as its properties, as a CloudFormation template, or as the
        answer of its API. Any other file is told by what it holds.
    workflow, region : str, optional
        Of a Region switch plan only: which workflow, where there are several (see `region_switch`).

    Returns
    -------
    Runbook
        Checked as a whole.

    Raises
    ------
    InvalidInput
        With the file, the line, the key, the rule and the value.
    MissingExtra
        For YAML without the extra ``yaml``.

    Notes
    -----
    At the top of the TOML file stand the fields of `Runbook`, with ``target`` and ``rpo_target`` as texts such as
    "15m"; then ``[[step]]``, ``[[branch]]`` and ``[[store]]`` tables with the fields of `Step`, `Branch` and
    `DataStore`. A duration is a text with a unit, or a table of one distribution (``{ uniform = ["1m", "5m"] }``) or
    one model (``{ health-check = { interval = "10s" } }``).
    """
    try:
        file = Path(path)
    except TypeError as error:
        raise invalid("path", "must be a path", path) from error
    text = _text(file)
    if _is_toml(file, text):
        for argument, given in (("workflow", workflow), ("region", region)):
            if given is not None:
                raise invalid(argument, f"is for Region switch plans, and {file.name} is none", given)
        return parse_runbook(text, file.name)
    from .arc import region_switch
    from .documents import document

    return region_switch(document(file.name, text), workflow=workflow, region=region)


def parse_runbook(text: str, name: str = "runbook.toml") -> Runbook:
    """Read a runbook from the text of a TOML file; errors call the file ``name``. Raises `InvalidInput`."""
    return _runbook(_source(name, text))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            read = stream.read(MOST_BYTES + 1)
        text = read.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError) and len(read) > MOST_BYTES:
            raise _too_large(file.name, MOST_BYTES) from error
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        path = printable(str(file))
        raise InvalidInput(f"{path}: must be a readable file: {reason} (got {shown(str(file))})") from error
    if len(read) > MOST_BYTES:
        raise _too_large(file.name, MOST_BYTES)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _too_large(name: str, most: int) -> InvalidInput:
    return invalid(name, f"must be a file of at most {most} bytes", "more")


def _is_toml(file: Path, text: str) -> bool:
    suffix = file.suffix.lower()
    if suffix in (".toml", ".json", ".yaml", ".yml"):
        return suffix == ".toml"
    if text.lstrip()[:1] == "{":
        return False
    keys = r"^['\"]?(AWSTemplateFormatVersion|Resources|Properties|plan|workflows)['\"]?[ \t]*:"
    return re.search(keys, text, re.MULTILINE | re.IGNORECASE) is None


def _source(name: str, text: str) -> Source:
    from .. import _toml

    if len(text) > MOST_TOML_BYTES:  # to find a line, statements are parsed again
        raise _too_large(name, MOST_TOML_BYTES)
    try:
        source = _toml.Source(name, text, _toml.tomllib.loads(text))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{printable(name)}: must be valid TOML: {printable(str(error))}") from error
    _check_shape(source)
    return source


def _check_shape(source: Source) -> None:
    """Refuse numbers and nesting that mean nothing, and names too long: the nearest word takes their square."""
    for value, where in source.parts():
        most = MOST_IN_TITLE if where == ("title",) else LONGEST_NAME
        texts = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
        for text in texts:
            if len(text) > most:
                raise source.error(
                    f"{text[:20] if where == () else where[-1]}: must be at most {most} characters", text, *where
                )


def _runbook(source: Source) -> Runbook:
    top = source.body
    _known(source, top, _TOP_KEYS, "at the top")
    for key in ("name", "title", "detection", "declaration", "strategy"):
        if key in top and not isinstance(top[key], str):
            raise source.error(f"{key}: must be a text", top[key], key)
    given = {_RENAMED.get(key, key): value for key, value in top.items() if key not in _KINDS}
    for key, name in _RENAMED.items():
        if key in top:
            given[name] = seconds(top[key], Place(source, (key,), key))
    steps, stores = _steps(source), _items(source, "store")
    if not steps:
        raise source.error("step: must be given, as [[step]]", ", ".join(top) or "nothing", "step")
    try:
        return Runbook(steps, stores=stores, **given)
    except Misplaced as error:
        raise source.at(str(error), *_where(source, error)) from None
    except InvalidInput as error:
        own = next((spelled for spelled, name in _RENAMED.items() if name == error.argument), error.argument)
        raise source.at(error.about(own), "step" if own == "steps" else own) from None


def _steps(source: Source) -> list[Any]:
    """Steps and branches in the order of the file."""
    steps, branches = _items(source, "step"), _items(source, "branch")
    if not branches:
        return steps
    placed = [(source.line("step", nth), step) for nth, step in enumerate(steps)]
    placed += [(source.line("branch", nth), branch) for nth, branch in enumerate(branches)]
    return [step for _, step in sorted(placed, key=lambda pair: pair[0])]


def _items(source: Source, kind: str) -> list[Any]:
    tables = source.body.get(kind, [])
    if not isinstance(tables, list):
        raise source.error(f"{kind}: must be a list of tables, [[{kind}]]", tables, kind)
    return [_item(source, kind, nth, table) for nth, table in enumerate(tables)]


def _item(source: Source, kind: str, nth: int, table: Any) -> Any:
    make, required = _KINDS[kind]
    if not isinstance(table, dict):
        raise source.error(f"{kind}: must be a list of tables, [[{kind}]]", table, kind, nth)
    _known(source, table, tuple(f.name for f in fields(make)), f"of a {kind}", kind, nth)
    for key in required:
        if key not in table:
            raise source.error(f"{key}: must be given for every {kind}", ", ".join(table) or "nothing", kind, nth)
    read = {
        key: duration(value, Place(source, (kind, nth, key), key)) if key in _DURATIONS else value
        for key, value in table.items()
    }
    try:
        return make(**read)
    except InvalidInput as error:
        raise source.at(str(error), kind, nth, error.argument) from None


def _known(source: Source, table: dict[str, Any], keys: tuple[str, ...], place: str, *where: str | int) -> None:
    for key in table:
        if key not in keys:
            raise source.error(f"{key[:60]}: is no key {place}{nearest(key[:60], keys)}", key, *where, key)


def _where(source: Source, error: Misplaced) -> tuple[str | int, ...]:
    """Where the step, branch or store stands that an error is about; the second of two of one name."""
    kinds = ("store",) if str(error).startswith("stores:") else ("step", "branch")
    found: list[tuple[str | int, ...]] = [
        (kind, nth, error.key)
        for kind in kinds
        for nth, table in enumerate(source.body.get(kind, []))
        if table["name"] == error.name
    ]
    found.sort(key=lambda where: source.line(*where))
    return (found[1] if error.key == "name" and len(found) > 1 else found[0]) if found else ()


__all__ = ["parse_runbook", "read_runbook", "runbook_toml"]
