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
SPAN: Key = ("extent", 0)
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

    def admit(self, work: Work, found: SampleSet, metas: Mapping[QuotaKey, Meta]) -> str:
        """Before an import, in its unit of work: refuse what no grid could hold with the rest; else note it.

        ``metas``: what is known of the quotas in ``found``. Gives the version of the note that has all of it.
        """
        item, counted_before = work.one("plans", SPAN), self._counted
        known = counted_before is not None and item.version != "" and counted_before[0] == item.version
        note, until = noted(item) if item.body is not None else (_by_quotas(work), None)
        extent = counted_before[1] if counted_before is not None and known else note
        new = sum(not meta.used for meta in metas.values())
        grown = extent.grown(found.ends() if len(found) else None, new, len(found))
        last_day = grown.last_day if until is None else max(grown.last_day, until)  # of what was not noted by itself
        fits = replace(grown, last_day=last_day).fits() if grown.any else True
        if fits and until is not None and note.spaced is None and not new and _within(grown, note, until):
            return item.version
        if fits is None or not (fits or known):
            before, grown = counted(_stored(work), found, [(quota_id(key),) for key in found.keys])
            self._counted = item.version, before
        grown.require()
        # Before the samples, where they are too many to be written together with it.
        work.put(replace(item, body=_body(grown, until), at=0), bulk=-1)
        return version_of(work)


def version_of(work: Work) -> str:
    """The version of the note: another one whenever somebody has imported what it did not tell of."""
    return work.one("plans", SPAN).version


@reader
def noted(item: Item) -> tuple[Extent, int]:
    """What the note says, and up to which day imports need no other."""
    said, spaced = {**item.body}, item.body["spaced"]
    until = int(said.pop("until"))
    if spaced is not None:
        names = ("gaps", "ends")
        spaced = Spaced(**{**spaced, **{name: np.array(spaced[name], dtype=np.int64) for name in names}})
    return Extent(**{**said, "spaced": spaced}), until


def _within(grown: Extent, note: Extent, until: int) -> bool:
    """Whether samples lie where the note tells of some already."""
    return not grown.any or (note.any and note.first_day <= grown.first_day and grown.last_day <= until)


def _by_quotas(work: Work) -> Extent:
    """What the quotas say of the samples that there are."""
    used = [meta for meta in map(Meta.of, work.scan("quotas")) if meta.used]
    days = [end // DAY_S for meta in used for end in (meta.first_s, meta.last_s) if end is not None]
    return Extent(min(days), max(days), len(used)) if days else Extent(series=len(used))


def _body(extent: Extent, until: int | None) -> dict[str, Any]:
    spaced, ahead = extent.spaced, extent.last_day + (AHEAD_DAYS if extent.any else 0)
    ahead = ahead if until is None else max(until, ahead)
    if spaced is None or len(spaced.gaps) > MOST_GAPS or replace(extent, last_day=ahead).is_sure:
        return {**asdict(replace(extent, spaced=None)), "until": ahead}
    gaps = {"gaps": spaced.gaps.tolist(), "ends": spaced.ends.tolist()}
    return {**asdict(extent), "spaced": {**asdict(spaced), **gaps}, "until": extent.last_day}


def _stored(work: Work) -> Iterator[tuple[Key, Ints]]:
    days = usage.every(work)
    for item in work.scan("quotas"):
        if Meta.of(item).used:
            yield item.key, usage.together(days.get(item.key[0], []))[0]
