"""What a JSON document is read as, and what its formats have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..errors import printable
from .jsonevents import Events, described

#: Samples of one series; CloudWatch gives at most 100,800 at once, Prometheus 11,000.
MOST_SAMPLES = 5_000_000


@dataclass(frozen=True)
class Series:
    """The samples of one series as the file has them, in its order."""

    labels: Mapping[str, str]  #: what the document says of the series: {"id", "label"}, {"label"}, Prometheus's labels
    timestamp: Sequence[Any]  #: ISO 8601 texts or epoch numbers; None where null
    usage: Sequence[Any]  #: numbers, or Prometheus's texts ("5", "NaN", "+Inf"); None where null or absent
    statistic: str  #: "Maximum", … of get-metric-statistics, else ""
    unit: str  #: "" where not stated
    place: Callable[[int], str]  #: row → "all.json, MetricDataResults[3], Values[17]", counted from 0 as jq does


@dataclass(frozen=True)
class QuotaRows:
    """Some quotas, by columns; None where a cell is not stated."""

    columns: Mapping[str, list[Any]]  #: those of `quotas.QUOTA_NAMES`
    default: bool  #: AWS's default values: default_value is set and quota is not
    place: Callable[[int], str]  #: row → "all.json, Quotas[17]"


@dataclass(frozen=True)
class Note:
    """What a person must know about the file."""

    text: str


class Notes:
    """Notes that say the same of many places become one."""

    _MOST = 50

    def __init__(self, name: str) -> None:
        """Collect the notes on one file."""
        self._name = name
        self._said: dict[str, list[str]] = {}
        self._more: dict[str, int] = {}

    def add(self, text: str, place: str) -> None:
        """Note ``text`` of a place (without the name of the file)."""
        text = printable(text, 300)
        if text not in self._said and len(self._said) == self._MOST:
            text = "more notes, left out here"
        places = self._said.setdefault(text, [])
        if len(places) < 3:
            places.append(printable(place, 100))
        else:
            self._more[text] = self._more.get(text, 0) + 1

    def __iter__(self) -> Iterator[Note]:
        """Give them in the order in which they first came up."""
        for text, places in self._said.items():
            more = f" and {self._more[text]:,} more" if text in self._more else ""
            yield Note(f"{printable(self._name)}: {text}: {', '.join(places)}{more}")


class Format:
    """One kind of document."""

    def __init__(
        self, events: Events, notes: Notes, statistic: str | None, earlier: dict[tuple[str, ...], int]
    ) -> None:
        """Read from ``events``; ``earlier`` tells which series were in which document of the file."""
        self.events, self.earlier = events, earlier
        self._notes, self._statistic, self._again = notes, statistic, ""

    def read(self, kind: str, value: Any) -> Iterator[Series | QuotaRows]:
        """Read the value of the key by which the format is known, from its first event to its end."""
        raise NotImplementedError

    def end(self, beside: Mapping[str, Any]) -> Iterator[Series | QuotaRows]:
        """Finish a document, given what else stood in it."""
        if beside.get("NextToken"):
            self.note("there is more than this document holds", "NextToken")
        if self._again:
            self.note(
                "an earlier document has series of the same name, and they are read as the same series", self._again
            )
        return iter(())

    def note(self, text: str, where: str) -> None:
        """Note something of a place in this document."""
        self._notes.add(text, self.events.spot(where))

    def items(self, key: str, kind: str, value: Any) -> Iterator[int]:
        """The numbers of the objects in the array of ``key``, each of which the caller reads from its fields on."""
        if kind != "start_array":
            raise self.events.error("must be an array", described(kind, value))
        for index, kind, value in self.events.elements():
            self.events.where = f"{key}[{index}]"
            if kind != "start_map":
                raise self.events.error("must be an object", described(kind, value))
            yield index

    def named(self, *names: str) -> None:
        """Notice a series of an earlier document: the same of another Region would be lost in it."""
        if not self._again and self.earlier.setdefault(names, self.events.document) != self.events.document:
            self._again = self.events.where

    def unknown(self, key: str, kind: str) -> None:
        """Skip a field of an item that the format does not know, and say so."""
        self.events.skip(kind)
        self.note(f"not read, because it is not known: {key}", self.events.where)

    def cells(self, key: str, kind: str, value: Any, *, texts: bool) -> list[Any]:
        """Read an array of numbers (or texts, for instants); None where null, also in place of the array."""
        if kind == "null":
            return []
        if kind != "start_array":
            raise self.events.error("must be an array", described(kind, value), key)
        cells: list[Any] = []
        append = cells.append
        try:
            for kind, value in islice(self.events.flat, MOST_SAMPLES + 1):
                if kind == "number":
                    append(float(value))
                elif texts and kind == "string":
                    append(value)
                elif kind == "null":
                    append(None)
                elif kind == "end_array":
                    return cells
                else:
                    rule = "must be an ISO 8601 text or a number" if texts else "must be a number"
                    raise self.events.error(rule, described(kind, value), f"{key}[{len(cells)}]")
        except OverflowError:  # a whole number of hundreds of digits
            rule = "must be a number within double precision"
            raise self.events.error(rule, str(value), f"{key}[{len(cells)}]") from None
        raise self.events.error(f"must hold at most {MOST_SAMPLES:,} samples", "more", key)
