"""``[collect]`` of the TOML file, and a file of account ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._toml import Source
from ..errors import InvalidInput, invalid
from .planned import ORGANIZATION, WORDS, CollectPlan

KEYS = ("accounts", "role", "regions", "watch", "deny", "backfill", "period", "workers", "rate")
_LISTS = ("accounts", "regions", "watch", "deny")
_TIMES = {"backfill": "backfill_s", "period": "period_s"}
_MOST_BYTES = 10_000_000


def section_of(source: Source, table: Mapping[str, Any], seconds_of: Callable[[object, str], float]) -> CollectPlan:
    """A plan of a table; InvalidInput names the file, the line and the key. ``seconds_of`` reads times such as 14d."""
    key = ""
    try:
        given: dict[str, Any] = {}
        for key, value in table.items():
            value = [value] if value == WORDS.get(key) else value
            if key in _LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
                raise invalid(key, "must be a list of texts", value)
            given[_TIMES.get(key, key)] = seconds_of(value, key) if key in _TIMES else value
        key = ""
        return CollectPlan(**given)
    except InvalidInput as error:
        name = key or error.argument.removesuffix("_s")
        raise source.at(error.about(name), "collect", name) from None


def accounts_of(text: str) -> tuple[str, ...]:
    """Account ids: separated by commas, "organization", or the name of a file with one a line and # for comments.

    Examples
    --------
    >>> accounts_of("111122223333, 444455556666")
    ('111122223333', '444455556666')
    """
    parts = [part.strip() for part in text.split(",")]
    if parts == [ORGANIZATION] or all(part.isdigit() for part in parts):
        return tuple(parts)
    path = Path(text)
    try:
        with path.open(encoding="utf-8") as file:
            body = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise invalid("--accounts", f'must be ids, "{ORGANIZATION}" or a file that can be read', text) from error
    found = (line.partition("#")[0].replace(",", " ").split() for line in body[:_MOST_BYTES].splitlines())
    ids = tuple(account for line in found for account in line)
    if not ids:
        raise invalid("--accounts", "must hold at least one id", path.name)
    return ids
