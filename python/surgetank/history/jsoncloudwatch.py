"""What the AWS CLI prints for cloudwatch get-metric-data and get-metric-statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import nearest, shown
from .jsonevents import described
from .jsonparts import MOST_SAMPLES, Format, Series
from .keys import same_unit

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
#: Percentiles and the like of one document; CloudWatch gives at most ten.
_MOST_STATISTICS = 100


def unit_of(text: str) -> str:
    """The unit, empty where it is "None", which AWS says of what has no unit or where none is known."""
    return "" if text == "None" else text


class MetricData(Format):
    """``{"MetricDataResults": [{"Id", "Label", "Timestamps": […], "Values": […], "StatusCode", "Messages"}]}``."""

    _unfinished: dict[str, tuple[str, str]]

    def read(self, kind: str, value: Any) -> Iterator[Series]:
        """Give each result as a series; that of another page, with the same Id, is another piece of it."""
        self._unfinished = {}
        for _ in self.items("MetricDataResults", kind, value):
            yield self._result()
        for where, status in self._unfinished.values():
            self.note(f"not all of it is here (StatusCode {status})", where)

    def _result(self) -> Series:
        events = self.events
        said = {"Id": "", "Label": "", "StatusCode": ""}
        cells: dict[str, list[Any]] = {"Timestamps": [], "Values": []}
        for key, kind, value in events.fields():
            if key in cells:
                cells[key] = self.cells(key, kind, value, texts=key == "Timestamps")
            elif key in said:
                said[key] = events.text(key, kind, value)
            elif key == "Messages":
                self._messages(events.value(kind, value), events.where)
            else:
                self.unknown(key, kind)
        if len(cells["Timestamps"]) != len(cells["Values"]):
            counts = f"{len(cells['Timestamps']):,} and {len(cells['Values']):,}"
            raise events.error("must have as many Timestamps as Values", counts)
        # A later page of the same result may be whole.
        self._unfinished.pop(said["Id"], None)
        if said["StatusCode"] not in ("", "Complete"):
            self._unfinished[said["Id"]] = (events.where, said["StatusCode"])
        labels = {"id": said["Id"], "label": said["Label"]}
        self.named(*labels.values())
        return Series(
            {name: text for name, text in labels.items() if text},
            cells["Timestamps"],
            cells["Values"],
            "",
            "",
            _places(events.place, "Values"),
        )

    def _messages(self, messages: Any, where: str) -> None:
        for message in messages if isinstance(messages, list) else [messages]:
            if isinstance(message, dict):
                message = ": ".join(str(message[key]) for key in ("Code", "Value") if message.get(key))
            if message:
                self.note(f"CloudWatch says {message}", where)

    def end(self, beside: Mapping[str, Any]) -> Iterator[Series]:
        """Say what CloudWatch says of all results."""
        self._messages(beside.get("Messages"), "Messages")
        super().end(beside)
        return iter(())


class MetricStatistics(Format):
    """``{"Label": …, "Datapoints": [{"Timestamp", "Maximum", …, "Unit", "ExtendedStatistics": {"p99": …}}]}``."""

    def read(self, kind: str, value: Any) -> Iterator[Series]:
        """Keep the columns; which one is the usage, and what it is called, is known at the end."""
        self._timestamp: list[Any] = []
        self._columns: dict[str, list[Any]] = {}
        self._unit = ""
        self._place = self.events.place
        for _ in self.items("Datapoints", kind, value):
            if len(self._timestamp) == MOST_SAMPLES:
                raise self.events.error(f"must be among at most {MOST_SAMPLES:,} samples", "more")
            self._datapoint()
        return iter(())

    def _datapoint(self) -> None:
        events = self.events
        row = len(self._timestamp)
        self._timestamp.append(None)
        for key, kind, value in events.fields():
            if key == "Timestamp":
                if kind not in ("string", "number", "null"):
                    raise events.error("must be an ISO 8601 text or a number", described(kind, value), key)
                self._timestamp[row] = events.value(kind, value)
            elif key in STATISTICS:
                self._put(row, key, kind, value)
            elif key == "Unit":
                unit = events.text(key, kind, value)
                if not same_unit(self._unit, unit):
                    raise events.error(f"must stay {shown(self._unit)} in one document", unit, key)
                self._unit = unit or self._unit
            elif key == "ExtendedStatistics" and kind == "start_map":
                for name, kind, value in events.fields():
                    self._put(row, name, kind, value)
            elif kind != "null" or key != "ExtendedStatistics":
                self.unknown(key, kind)

    def _put(self, row: int, name: str, kind: str, value: Any) -> None:
        if kind not in ("number", "null"):
            raise self.events.error("must be a number", described(kind, value), name)
        column = self._columns.setdefault(name, [])
        if len(self._columns) > _MOST_STATISTICS:
            raise self.events.error(f"must have at most {_MOST_STATISTICS} statistics in all", "more")
        if len(column) > row:
            raise self.events.error("must not have a statistic twice", name)
        column.extend([None] * (row - len(column)))
        column.append(None if kind == "null" else float(self.events.number(value)))

    def end(self, beside: Mapping[str, Any]) -> Iterator[Series]:
        """Give the one series of the document."""
        label = "" if beside.get("Label") is None else beside["Label"]
        if not isinstance(label, str):
            raise self.events.error("must be a text", label, "Label")
        self.events.where = "Label"
        self.named("", label)
        super().end(beside)
        self.events.where = ""
        name = self._chosen()
        usage = self._columns.get(name, [])
        usage.extend([None] * (len(self._timestamp) - len(usage)))
        labels = {"label": label} if label else {}
        yield Series(labels, self._timestamp, usage, name, unit_of(self._unit), _rows(self._place))

    def _chosen(self) -> str:
        there, wanted = list(self._columns), self._statistic
        if wanted is not None:
            if self._timestamp and wanted not in there:
                rule = f"must be a statistic that is there{nearest(wanted, there)}"
                raise self.events.error(rule, wanted, "columns: usage")
            return wanted
        if "Maximum" in there or not there:
            return "Maximum" if there else ""
        if len(there) > 1:
            rule = (
                f"must say which statistic is the usage: columns={{'usage': {there[0]!r}}} (--column usage={there[0]})"
            )
            raise self.events.error(rule, ", ".join(there), "Datapoints")
        return there[0]


def _places(place: str, key: str) -> Callable[[int], str]:
    return lambda row: f"{place}, {key}[{row}]"


def _rows(place: str) -> Callable[[int], str]:
    return lambda row: f"{place}[{row}]"
