"""Plans and reports of imports in DynamoDB: documents by number, the large ones in parts; and what plans require."""

from __future__ import annotations

import json
import secrets
import time
import zlib
from collections.abc import Mapping
from typing import Any

from ...errors import StoreError
from ..addable import planned_s
from ..keys import KEY_FIELDS, QuotaKey
from ..schema import DAY_S
from .items import Item, quota_id
from .work import Work

#: An item has its limits: a document is kept in parts of so many bytes.
PART = 300_000
#: How long what a plan found of each quota is found by an index; the plan itself stays.
REQUIRED_S = 400 * DAY_S


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


def keep_plan(work: Work, body: Mapping[str, Any]) -> int:
    """Keep a plan, and what each quota requires by it; give its number."""
    at = planned_s(body["as_of"])
    keep_s, name = int(time.time()) + REQUIRED_S, secrets.token_hex(8)
    rows = body.get("quotas", ())
    work.get("requirements", [(quota_id(QuotaKey(*(row[field] for field in KEY_FIELDS))), at) for row in rows])
    for order, row in enumerate(rows):
        key = QuotaKey(*(row[field] for field in KEY_FIELDS))
        index: dict[str, str | int | float] = {}
        if key.region and row["utilization"] is not None:
            index = {"region": key.region, "utilization": _indexed(float(row["utilization"]))}
        said = {"plan": name, "order": order, "row": dict(row)}
        work.put(Item("requirements", (quota_id(key), at), said, index=index, ttl=keep_s), bulk=0)
    return keep(work, "plan", body, name=name)


def rows_of(work: Work, region: str, least_frac: float) -> list[dict[str, Any]]:
    """Rows of the last plan in one Region, in its order; at least those of so much utilization."""
    plans = list(work.calls.query("plans", "plan", newest=1))
    plans += [item for (_, key), item in work.written("plans") if key[0] == "plan"]
    if not plans or not region:
        return []
    bound = (">=", _indexed(least_frac))
    found = list(work.calls.query("requirements", region, index="by-utilization", bound=bound))
    found += [item for _, item in work.written("requirements")]
    # Of a plan for the same moment that somebody made before, some rows may still be there.
    name = max(plans, key=lambda item: int(item.key[1])).body["name"]
    own = sorted((item.body for item in found if item.body["plan"] == name), key=lambda body: int(body["order"]))
    return [body["row"] for body in own]


def _indexed(utilization: float) -> float:
    """As an index has it: DynamoDB's numbers do not reach as far as floats."""
    return 0.0 if abs(utilization) < 1e-100 else max(-1e100, min(1e100, utilization))
