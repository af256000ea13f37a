"""What is known of a quota in DynamoDB, beside its samples: one item."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from ..._table import for_json
from ..keys import Quota, QuotaKey
from ..samples import Ints
from .items import Item, quota_of, reader


@dataclass(frozen=True)
class Meta:
    """A quota's item: what was stated of it, and from when to when it has samples."""

    item: Item
    quota: Quota | None = None  #: None: nothing was stated
    used: bool = False  #: usage was imported, be it all missing
    unit: str = ""  #: of the usage
    first_s: int | None = None  #: of the samples
    last_s: int | None = None
    born: int = 0  #: when it was first written, which is the order in which quotas are given; 0: it is not there

    @staticmethod
    @reader
    def of(item: Item) -> Meta:
        """Read an item; one that is not there says nothing."""
        body = item.body
        if body is None:
            return Meta(item)
        stated = body["quota"]
        quota = None
        if stated is not None:
            numbers = {name: math.nan if stated[name] is None else stated[name] for name in ("value", "default_value")}
            quota = Quota(key=quota_of(str(item.key[0])), **{**stated, **numbers})
        return Meta(item, quota, body["used"], body["unit"], body["first_s"], body["last_s"], body["born"])

    @property
    def key(self) -> QuotaKey:
        """The quota."""
        return quota_of(str(self.item.key[0]))

    def with_samples(self, time_s: Ints, unit: str) -> Meta:
        """With samples that are added, maybe none."""
        made = replace(self, used=True, unit=unit or self.unit)
        if not len(time_s):
            return made
        first, last = int(time_s[0]), int(time_s[-1])
        return replace(
            made,
            first_s=first if self.first_s is None else min(first, self.first_s),
            last_s=last if self.last_s is None else max(last, self.last_s),
        )

    def to_item(self, born: int) -> Item:
        """Give the item to write; ``born``: since when it is there, if it is new."""
        quota: dict[str, Any] | None = None
        if self.quota is not None:
            q = self.quota
            quota = {
                "value": for_json(q.value), "default_value": for_json(q.default_value), "unit": q.unit, "name": q.name,
                "adjustable": q.adjustable, "is_global": q.is_global,
            }  # fmt: skip
        body = {
            "quota": quota, "used": self.used, "unit": self.unit, "first_s": self.first_s, "last_s": self.last_s,
            "born": self.born or born,
        }  # fmt: skip
        return Item("quotas", self.item.key, body)
