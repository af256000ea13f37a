"""What a run of `collect` fetched, and what it could not, with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from .._aws import without_accounts
from .._table import Column, Tabular, quantity

_FIRST = 12


@dataclass(frozen=True, kw_only=True)
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
        return tuple(one for part in self.parts for one in part.missing)

    @property
    def retryable(self) -> bool:
        """Whether something is not covered that may be, if it is asked for again."""
        return any(one.retryable for one in self.missing)

    @property
    def exit_code(self) -> int:
        """0: all is covered. 2: some is not. 3: nothing is."""
        if not any(part.quotas or part.samples or part.status == "fresh" for part in self.parts):
            return 3
        return 2 if self.missing else 0

    def _columns(self) -> list[Column]:
        def of(name: str) -> list[Any]:
            return [getattr(part, name) for part in self.parts]

        return [
            Column("account", [self._shown(part.account) for part in self.parts], "Account", numeric=False),
            Column("region", of("region"), "Region", numeric=False),
            Column("status", of("status"), "Status", numeric=False),
            Column("quotas", of("quotas"), "Quotas", quantity),
            Column("series", of("series"), "With usage", quantity, priority=1),
            Column("samples", of("samples"), "New samples", quantity),
            Column("left_out", of("left_out"), "Left out", quantity, priority=2),
            Column("no_points", of("no_points"), "No points", quantity, priority=2),
            Column("missing", [len(part.missing) for part in self.parts], "Not covered", quantity),
        ]

    def _caption(self) -> str:
        quotas, samples = (sum(getattr(part, name) for part in self.parts) for name in ("quotas", "samples"))
        return f"Collected from {len(self.parts):,} accounts and Regions: {quotas:,} quotas, {samples:,} new samples"

    def _notes(self) -> list[str]:
        """Say what is not covered, each reason once with how many places it concerns."""
        notes = []
        causes = Counter((one.service_code, one.reason, one.detail, one.retryable) for one in self.missing)
        for (service, reason, detail, retryable), count in causes.most_common(_FIRST):
            first = next(m for m in self.missing if (m.service_code, m.reason, m.detail) == (service, reason, detail))
            where = " ".join(filter(None, (self._shown(first.account), first.region, service, first.quota_code)))
            more = f" and {count - 1:,} more" if count > 1 else ""
            said = self._shown(f" ({detail})") if detail else ""
            notes.append(f"Not covered: {where}{more}: {reason}{said}{'; may pass by itself' if retryable else ''}.")
        if len(causes) > _FIRST:
            notes.append(f"… and {len(causes) - _FIRST:,} more reasons (--json lists all).")
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
        """Plain values, for JSON."""
        parts = [{**asdict(part), "missing": [asdict(one) for one in part.missing]} for part in self.parts]
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
            return {name: self._masked(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(inner) for inner in value]
        return self._shown(value) if isinstance(value, str) else value
