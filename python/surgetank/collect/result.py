"""What a run of `collect` fetched, and what it could not, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .._aws import NO_METRIC, NO_VALUE, without_accounts
from .._table import Column, Tabular, quantity

_FIRST = 12
#: A table of more accounts and Regions is one of accounts, or of Regions, whichever are fewer.
MOST_ROWS = 60
#: Said last, however many quotas it concerns: it is so of most, and nothing is wrong.
_USUAL = (NO_METRIC, NO_VALUE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """Something that is not covered: a whole account, Region or service, or one quota."""

    account: str
    region: str
    service_code: str = ""
    quota_code: str = ""
    reason: str
    detail: str = ""
    retryable: bool = False  #: the same call may succeed later, without anybody doing anything


@dataclass(frozen=True, kw_only=True)
class Part:
    """What came of one account in one Region."""

    account: str
    region: str
    status: str  #: covered, in part, nothing, or fresh: asked so lately that it was not asked again
    quotas: int = 0  #: quotas stored
    series: int = 0  #: of these with samples
    samples: int = 0  #: samples that the store had not
    left_out: int = 0  #: NaN, infinite, negative, or of another time than was asked for
    no_points: int = 0  #: quotas of which CloudWatch has no sample: not known, never zero
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, repr=False)
class Collected(Tabular):
    """What a run fetched and stored: a row for each account and Region.

    ``show_accounts``: whether a table, JSON and messages hold whole account ids; else their last four digits.
    ``not_enabled``: Regions that accounts have not enabled, where all were asked for. Nothing is used there and nothing
    is known, so that they are neither missing nor rows.
    """

    parts: tuple[Part, ...]
    show_accounts: bool = False
    not_enabled: tuple[Missing, ...] = ()

    @property
    def missing(self) -> tuple[Missing, ...]:
        """All that is not covered, and why."""
        return tuple(self._missing())

    @property
    def retryable(self) -> bool:
        """Whether something is not covered that may be, if it is asked for again."""
        return any(one.retryable for one in self._missing())

    @property
    def exit_code(self) -> int:
        """0: all is covered. 2: some is not. 3: nothing is."""
        if not any(part.quotas or part.samples or part.status == "fresh" for part in self.parts):
            return 3
        return 2 if any(part.missing for part in self.parts) else 0

    def table(self, width: int | None = None, *, color: bool = False) -> str:
        """Text table that fits ``width`` columns; of many rows, one for each account or Region, whichever are fewer."""
        if len(self.parts) <= MOST_ROWS:
            return super().table(width, color=color)
        return _Grouped(self).table(width, color=color)

    def _missing(self) -> Iterator[Missing]:
        return (one for part in self.parts for one in part.missing)

    def _columns(self) -> list[Column]:
        def of(name: str) -> list[Any]:
            return [getattr(part, name) for part in self.parts]

        return [
            Column("account", [self._shown(part.account) for part in self.parts], "Account", numeric=False),
            Column("region", of("region"), "Region", numeric=False),
            Column("status", of("status"), "Status", numeric=False),
            *_counts(
                {name: of(name) for name in _COUNTS} | {"missing": [len(part.missing) for part in self.parts]},
            ),
        ]

    def _caption(self) -> str:
        quotas, samples = (sum(getattr(part, name) for part in self.parts) for name in ("quotas", "samples"))
        return f"Collected from {len(self.parts):,} accounts and Regions: {quotas:,} quotas, {samples:,} new samples"

    def _notes(self) -> list[str]:
        """Say what is not covered, each reason once with how much it concerns."""
        notes = []
        causes: dict[tuple[str, str, bool], tuple[Missing, list[int]]] = {}
        for one in self._missing():
            causes.setdefault((one.reason, one.detail, one.retryable), (one, [0]))[1][0] += 1
        order = sorted(causes.values(), key=lambda cause: (cause[0].reason in _USUAL, -cause[1][0]))
        for first, (count,) in order[:_FIRST]:
            name = (first.region, first.service_code, first.quota_code)
            where = " ".join(filter(None, (self._shown(first.account), *name)))
            more = f" and {count - 1:,} more" if count > 1 else ""
            said = self._shown(f" ({first.detail})") if first.detail else ""
            passing = "; may pass by itself" if first.retryable else ""
            notes.append(f"Not covered: {where}{more}: {first.reason}{said}{passing}.")
        if len(order) > _FIRST:
            notes.append(f"… and {len(order) - _FIRST:,} more reasons (--json lists all).")
        notes += self._regions_left_out()
        if points := sum(part.no_points for part in self.parts):
            notes.append(f"CloudWatch has no sample of {points:,} quotas: their usage is not known, and not zero.")
        if left_out := sum(part.left_out for part in self.parts):
            notes.append(f"{left_out:,} data points were left out: no number, infinite, negative, or of another time.")
        return notes

    def _regions_left_out(self) -> list[str]:
        """Say which Regions are not enabled, each reason once, and in how many accounts each Region is not."""
        notes = []
        for said in dict.fromkeys((one.reason, one.detail) for one in self.not_enabled):
            regions = Counter(one.region for one in self.not_enabled if (one.reason, one.detail) == said)
            named = [
                f"{region} of {count:,} account{'' if count == 1 else 's'}" for region, count in regions.most_common()
            ]
            more = f" and {len(named) - _FIRST:,} more" if len(named) > _FIRST else ""
            notes.append(f"Not covered: {', '.join(named[:_FIRST])}{more}: {said[0]} ({said[1]}); not asked.")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: what is missing for one reason stands together, with all of its quota codes."""
        parts = [{**asdict(replace(part, missing=())), "missing": _together(part.missing)} for part in self.parts]
        found = {"exit_code": self.exit_code, "retryable": self.retryable, "parts": parts}
        left_out = [
            {"account": one.account, "region": one.region, "reason": one.reason, "detail": one.detail}
            for one in self.not_enabled
        ]
        shown: dict[str, Any] = self._masked({**found, "not_enabled": left_out})
        return shown

    def _shown(self, text: str) -> str:
        return text if self.show_accounts else without_accounts(text)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: value[name] if name == "quota_codes" else self._masked(value[name]) for name in value}
        if isinstance(value, list | tuple):
            return [self._masked(inner) for inner in value]
        return self._shown(value) if isinstance(value, str) else value


class _Grouped(Tabular):
    """The same by account, or by Region: as many rows as a person reads."""

    def __init__(self, found: Collected) -> None:
        by = min(("account", "region"), key=lambda name: len({getattr(part, name) for part in found.parts}))
        self._found, self._by = found, by
        self._groups: dict[str, list[Part]] = {}
        for part in found.parts:
            self._groups.setdefault(getattr(part, by), []).append(part)

    def _columns(self) -> list[Column]:
        names = [self._found._shown(name) for name in self._groups]
        states = (Counter(part.status for part in parts).most_common() for parts in self._groups.values())
        status = [", ".join(f"{count:,} {state}" for state, count in of) for of in states]
        counts = {name: [sum(getattr(p, name) for p in parts) for parts in self._groups.values()] for name in _COUNTS}
        counts["missing"] = [sum(len(p.missing) for p in parts) for parts in self._groups.values()]
        other = "Regions" if self._by == "account" else "Accounts"
        return [
            Column(self._by, names, self._by.capitalize(), numeric=False),
            Column("parts", [len(parts) for parts in self._groups.values()], other, quantity, priority=1),
            Column("status", status, "Status", numeric=False),
            *_counts(counts),
        ]

    def _caption(self) -> str:
        return self._found._caption()

    def _notes(self) -> list[str]:
        return self._found._notes()


_COUNTS = ("quotas", "series", "samples", "left_out", "no_points")


def _counts(values: Mapping[str, list[int]]) -> list[Column]:
    """The columns of numbers."""
    headers = {"quotas": "Quotas", "series": "With usage", "samples": "New samples", "left_out": "Left out"}
    headers |= {"no_points": "No points", "missing": "Not covered"}
    priorities = {"series": 1, "left_out": 2, "no_points": 2}
    return [Column(k, values[k], headers[k], quantity, priority=priorities.get(k, 0)) for k in headers]


def _together(missing: Sequence[Missing]) -> list[dict[str, Any]]:
    """What is missing for one reason, once: of a whole account or service, or with the codes of its quotas."""
    found: dict[tuple[str, str, str, bool], dict[str, Any]] = {}
    for one in missing:
        reason = {"reason": one.reason, "detail": one.detail, "retryable": one.retryable}
        fresh = {"account": one.account, "region": one.region, "service_code": one.service_code, "quota_codes": []}
        cause = (one.service_code, one.reason, one.detail, one.retryable)
        found.setdefault(cause, {**fresh, **reason})["quota_codes"] += [one.quota_code] if one.quota_code else []
    return list(found.values())
