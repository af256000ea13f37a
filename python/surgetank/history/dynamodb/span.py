"""Whether a grid could hold the usage in DynamoDB: what is known of that is kept in an item, `extent` decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..extent import Extent, Spaced, counted
from ..keys import QuotaKey
from ..samples import Ints, SampleSet
from ..schema import DAY_S
from . import usage
from .items import Item, Key, quota_id, reader
from .meta import Meta
from .work import Work

#: An item of the plans: the extent of all samples, or a little more.
SPAN: Key = ("span", 0)
#: So much later than the last sample, the next imports need no other note.
AHEAD_DAYS = 30
#: Of so many different gaps between samples a note is kept; beyond that all is read again where it matters.
MOST_GAPS = 20_000


class Span:
    """The extent of a store as imports go by, whoever makes them."""

    def __init__(self) -> None:
        """Begin without knowing it."""
        # By which version of the note what was counted: what was killed half-way may have noted more than is there,
        # so that nothing is refused for the note alone.
        self._counted: tuple[str, Extent] | None = None

    def admit(self, work: Work, found: SampleSet, metas: Mapping[QuotaKey, Meta], as_of: str | None = None) -> str:
        """Before an import, in its unit of work: refuse what no grid could hold with the rest; else note it.

        ``metas``: what is known of the quotas in ``found``; ``as_of``: the version of a note that has it already. Gives
        the version of the note that has it.
        """
        item = work.one("plans", SPAN)
        if item.version == as_of:
            return item.version
        known = self._counted if self._counted and item.version and self._counted[0] == item.version else None
        extent = known[1] if known else noted(item) if item.body is not None else _by_quotas(work)
        new = sum(not meta.used for meta in metas.values())
        ends = found.ends() if len(found) else None
        grown = extent.grown(ends, new, len(found))
        fits = grown.fits()
        if item.body is not None and extent.spaced is None and grown == extent and fits:
            return item.version
        if fits is None or not (fits or known):
            before, grown = counted(_stored(work), found, [(quota_id(key),) for key in found.keys])
            self._counted = item.version, before
        grown.require()
        work.put(replace(item, body=_body(grown), at=0))
        return work.one("plans", SPAN).version


@reader
def noted(item: Item) -> Extent:
    """What the note says."""
    spaced = item.body["spaced"]
    if spaced is not None:
        names = ("gaps", "ends")
        spaced = Spaced(**{**spaced, **{name: np.array(spaced[name], dtype=np.int64) for name in names}})
    return Extent(**{**item.body, "spaced": spaced})


def _by_quotas(work: Work) -> Extent:
    """What the quotas say of the samples that there are."""
    used = [meta for meta in map(Meta.of, work.scan("quotas")) if meta.used]
    days = [end // DAY_S for meta in used for end in (meta.first_s, meta.last_s) if end is not None]
    return Extent(min(days), max(days), len(used)) if days else Extent(series=len(used))


def _body(extent: Extent) -> dict[str, Any]:
    spaced = extent.spaced
    if spaced is None or len(spaced.gaps) > MOST_GAPS:
        ahead = AHEAD_DAYS if extent.any else 0
        return {**asdict(replace(extent, last_day=extent.last_day + ahead, spaced=None))}
    return {**asdict(extent), "spaced": {**asdict(spaced), "gaps": spaced.gaps.tolist(), "ends": spaced.ends.tolist()}}


def _stored(work: Work) -> Iterator[tuple[Key, Ints]]:
    days = usage.every(work)
    for item in work.scan("quotas"):
        if Meta.of(item).used:
            yield item.key, usage.together(days.get(item.key[0], []))[0]
