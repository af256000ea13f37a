"""Plans and reports of imports in DynamoDB: documents by number, the large ones in parts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from ...errors import StoreError
from .items import Item
from .work import Work

#: An item has its limits: a document is kept in parts of so many bytes.
PART = 300_000


def keep(work: Work, kind: str, body: Mapping[str, Any], **more: str) -> int:
    """Keep a document under the next number of its kind; a large one in parts, since an item has its limits.

    ``more`` is said beside it, for who finds it by its number.
    """
    newest = [item.key for item in work.calls.query("plans", kind, newest=1)]
    newest += [key for (_, key), _ in work.written("plans") if key[0] == kind]
    following = 1 + max((int(key[1]) for key in newest), default=0)
    content = zlib.compress(json.dumps(body).encode())
    parts = [content[i : i + PART] for i in range(0, len(content), PART)]
    for part, chunk in enumerate(parts):
        work.put(Item("plans", (f"{kind}/{following}", part), chunk), new=True)
    said = {name: body[name] for name in ("made", "as_of", "status", "coverage") if name in body}
    work.put(Item("plans", (kind, following), {**said, **more, "parts": len(parts)}), new=True)
    return following


def kept(work: Work, kind: str) -> list[tuple[int, dict[str, Any]]]:
    """Number and document of each of a kind, newest first."""
    result = []
    for item in work.query("plans", kind)[::-1]:
        parts = work.query("plans", f"{kind}/{item.key[1]}")
        try:
            if len(parts) != item.body["parts"]:
                raise ValueError(f"{len(parts)} of {item.body['parts']} parts are there")
            result.append((int(item.key[1]), json.loads(zlib.decompress(b"".join(part.body for part in parts)))))
        except (ValueError, TypeError, KeyError, zlib.error) as error:
            raise StoreError(f"store {work.calls.address}: {kind} {item.key[1]}: is damaged ({error})") from error
    return result
