"""What Prometheus (and Thanos, Mimir, VictoriaMetrics) answers to a range query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from .jsonevents import described
from .jsonparts import MOST_SAMPLES, Format, Series

_RANGE = "must be the answer to a range query (/api/v1/query_range)"


class Prometheus(Format):
    """``{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {…}, "values": […]}]}}``."""

    def read(self, kind: str, value: Any) -> Iterator[Series]:
        """Give each series; resultType may come after them."""
        events = self.events
        there = []
        for key, kind, value in events.fields():
            events.where = f"data.{key}"
            there.append(key)
            if key == "resultType":
                if value != "matrix":
                    raise events.error(_RANGE, described(kind, value))
            elif key == "result":
                if kind == "start_array":
                    yield from self._results(kind)
                elif kind != "null":
                    raise events.error("must be an array", described(kind, value))
            else:
                events.skip(kind)
                if key not in ("stats", "analysis", "explanation"):
                    self.note("not read, because it is not known", events.where)
        events.where = "data"
        if "resultType" not in there or "result" not in there:
            raise events.error(_RANGE, f"an object with {', '.join(there[:8]) or 'nothing in it'}")

    def _results(self, kind: str) -> Iterator[Series]:
        events = self.events
        for index, kind, value in events.elements():
            events.where = f"data.result[{index}]"
            if kind != "start_map":  # [instant, value]: a scalar
                raise events.error(_RANGE, described(kind, value))
            series = self._series()
            if series is not None:
                yield series

    def _series(self) -> Series | None:
        events = self.events
        labels: dict[str, str] = {}
        cells: tuple[list[Any], list[Any]] | None = None
        there = set()
        for key, kind, value in events.fields():
            there.add(key)
            if key == "metric":
                labels = self._labels(kind, value)
            elif key == "values":
                cells = self._values(kind, value)
            elif key in ("value", "histogram"):
                raise events.error(_RANGE, f"a single {key}, of an instant query")
            elif key == "histograms":
                events.skip(kind)
                self.note("native histograms are not read", events.where)
            else:
                self.unknown(key, kind)
        if "metric" not in there or not there & {"values", "histograms"}:
            raise events.error("must have metric and values", ", ".join(sorted(there)) or "an empty object")
        if cells is None:
            return None
        return Series(labels, cells[0], tuple(cells[1]), "", "", _places(events.place))

    def _labels(self, kind: str, value: Any) -> dict[str, str]:
        if kind != "start_map":
            raise self.events.error("must be an object", described(kind, value), "metric")
        return {key: self.events.text(f"metric.{key}", kind, value) for key, kind, value in self.events.fields()}

    def _values(self, kind: str, value: Any) -> tuple[list[Any], list[Any]]:
        """Read ``[[1700000000.123, "5"], …]``."""
        if kind != "start_array":
            raise self.events.error("must be an array", described(kind, value), "values")
        flat = self.events.flat
        instants: list[Any] = []
        values: list[Any] = []
        try:
            for kind, _ in islice(flat, MOST_SAMPLES + 1):
                if kind == "end_array":
                    return instants, values
                first, second, third = next(flat), next(flat), next(flat)
                if kind != "start_array" or first[0] != "number" or third[0] != "end_array":
                    break
                instants.append(float(first[1]))
                if second[0] == "string":
                    values.append(second[1])
                elif second[0] == "number":
                    values.append(float(second[1]))
                else:
                    break
            else:
                raise self.events.error(f"must hold at most {MOST_SAMPLES:,} samples", "more", "values")
        except OverflowError:  # a whole number of hundreds of digits
            pass
        rule = 'must be [instant, "value"]'
        raise self.events.error(rule, "something else", f"values[{len(values)}]")

    def end(self, beside: Mapping[str, Any]) -> Iterator[Series]:
        """Say what Prometheus says beside the samples."""
        if beside.get("status") != "success":
            raise self.events.error('must be "success"', beside.get("status"), "status")
        for key in ("warnings", "infos"):
            said = beside.get(key) or []
            for text in said if isinstance(said, list) else [said]:
                self.note(f"Prometheus says {text}", key)
        if beside.get("isPartial"):
            self.note("some of it is missing (isPartial)", "isPartial")
        return iter(())


def _places(place: str) -> Callable[[int], str]:
    return lambda row: f"{place}, values[{row}]"
