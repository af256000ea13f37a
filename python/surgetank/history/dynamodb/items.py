"""Items: what is kept under a key, how it is written, and whether it is what was written."""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from ...errors import StoreError, invalid, printable
from ..keys import QuotaKey
from .tables import TABLES, TYPES

VERSION = 1  # of what an item says
#: DynamoDB takes items of 400 KB, names included.
MOST_BYTES = 390_000
#: Of the two parts of a key, as far as an index takes them.
MOST_KEY_BYTES = (1024, 1024)
#: Texts up to so many characters stay readable in a console; longer ones are compressed.
READABLE = 8_192

_T = TypeVar("_T")
Key = tuple[str | int, ...]
Wire = Mapping[str, Mapping[str, Any]]  # as DynamoDB has it: attribute → type → value


#: What reading an item raises that says something nobody could have written.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


class Damaged(StoreError):
    """An item that is not what was written, or is of a newer version."""


@dataclass(frozen=True)
class Item:
    """What stands, or is to stand, under a key of a table."""

    table: str
    key: Key
    body: Any = None  #: JSON values, or bytes; None: nothing is there
    index: Mapping[str, str | int | float] = field(default_factory=dict)  #: attributes that indexes are made of
    ttl: int = 0  #: epoch seconds from which on DynamoDB may remove it; 0: never
    version: str = ""  #: another one whenever it is written; empty: nothing is there
    at: int = 0  #: when it was written, as far as the order of writings goes

    @property
    def place(self) -> tuple[str, Key]:
        """Table and key."""
        return self.table, self.key


def packed(item: Item) -> dict[str, dict[str, Any]]:
    """An item as DynamoDB takes it."""
    made = key_of(item.table, item.key)
    made |= {name: _value(name, value) for name, value in item.index.items()}
    body = _body(item.body)
    made |= {"body": body, "v": {"N": str(VERSION)}, "version": {"S": item.version}, "wrote": {"N": str(item.at)}}
    if item.ttl:
        made["ttl"] = {"N": str(item.ttl)}
    made["sum"] = {"N": str(_sum(item.table, made))}
    if (size := size_of(made)) > MOST_BYTES:
        rule = f"must be at most {MOST_BYTES:,} bytes, as much as DynamoDB keeps in an item"
        raise StoreError(f"{named(item.table, item.key)}: {rule} (got {size:,}); nothing was changed")
    return made


def unpacked(table: str, wire: Wire) -> Item:
    """Give back what `packed` took; Damaged where it is newer, or not what was written."""
    names = TABLES[table].keys
    try:
        key: Any = tuple(int(wire[n]["N"]) if TYPES.get(n) == "N" else str(wire[n]["S"]) for n in names)
    except (KeyError, ValueError, TypeError, AttributeError):
        raise Damaged(f"{table}: is damaged (an item without its key)") from None
    try:
        if int(wire["v"]["N"]) > VERSION:
            said = f"was written by a newer surgetank (version {int(wire['v']['N'])}, this one knows {VERSION})"
            raise Damaged(f"{named(table, key)}: {said}; update this one")
        if int(wire["sum"]["N"]) != _sum(table, wire):
            raise ValueError("not what was written")
        ttl = int(wire["ttl"]["N"]) if "ttl" in wire else 0
        version, at = wire["version"]["S"], int(wire["wrote"]["N"])
        return Item(table, key, _read(wire["body"]), ttl=ttl, version=version, at=at)
    except (KeyError, ValueError, TypeError, AttributeError, zlib.error) as error:
        raise Damaged(f"{named(table, key)}: is damaged ({type(error).__name__}: {error})") from error


def key_of(table: str, key: Key) -> dict[str, dict[str, Any]]:
    """A key as DynamoDB takes it."""
    for part, most in zip(key, MOST_KEY_BYTES, strict=False):
        if isinstance(part, str) and (size := len(part.encode())) > most:
            raise invalid(
                "name", f"must be at most {most:,} bytes in a store in DynamoDB", f"{part[:40]}…, {size:,} bytes"
            )
    return {name: _value(name, part) for name, part in zip(TABLES[table].keys, key, strict=True)}


def size_of(wire: Wire) -> int:
    """Bytes of an item, as DynamoDB counts them, or a little more."""
    sizes = (len(name) + sum(len(v) if isinstance(v, bytes) else len(str(v).encode()) for v in value.values())
             for name, value in wire.items())  # fmt: skip
    return sum(sizes) + 3 * len(wire)


def reader(read: Callable[[Item], _T]) -> Callable[[Item], _T]:
    """What reads an item, and says that it is damaged where its body is another than was ever written."""

    @functools.wraps(read)
    def reads(item: Item) -> _T:
        try:
            return read(item)
        except UNREADABLE as error:
            said = f"is damaged ({type(error).__name__}: {error})"
            raise Damaged(f"{named(item.table, item.key)}: {said}") from error

    return reads


def named(table: str, key: Key) -> str:
    """The name of an item for a message."""
    return f"{table} {printable(' '.join(map(str, key)), 200)}"


def id_of(*parts: str) -> str:
    """Several names as one, from which they can be told again."""
    try:
        return "/".join(quote(part, safe=" .:@+~()") for part in parts)
    except UnicodeEncodeError as error:
        raise invalid("name", "must be valid Unicode", error.object) from error


def quota_id(key: QuotaKey) -> str:
    """The id of a quota."""
    made = id_of(*(key if key.context_id else key[:4]))
    if len(made) > 1000:
        raise invalid("name", "of a quota must be at most 1,000 characters in DynamoDB", made[:80])
    return made


def quota_of(text: str) -> QuotaKey:
    """The quota of an id."""
    return QuotaKey(*map(unquote, text.split("/")))


def _value(name: str, value: str | int | float) -> dict[str, Any]:
    return {"N": str(value)} if TYPES.get(name) == "N" else {"S": str(value)}


def _body(body: Any) -> dict[str, Any]:
    if isinstance(body, bytes):
        return {"B": b"b" + body}
    text = json.dumps(body, separators=(",", ":"))
    return {"S": text} if len(text) <= READABLE else {"B": b"j" + zlib.compress(text.encode())}


def _read(body: Mapping[str, Any]) -> Any:
    if "S" in body:
        return json.loads(body["S"])
    content = bytes(body["B"])
    return json.loads(zlib.decompress(content[1:])) if content[:1] == b"j" else content[1:]


def _sum(table: str, wire: Wire) -> int:
    """Of what is read again; what indexes are made of follows from it."""
    crc = 0
    for name in (*TABLES[table].keys, "body", "version", "wrote", "ttl"):
        for kind, value in wire.get(name, {}).items():
            content = value if isinstance(value, bytes) else str(value).encode()
            crc = zlib.crc32(f"{name} {kind} {len(content)} ".encode() + content, crc)
    return crc
