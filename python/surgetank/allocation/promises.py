"""Double booking: several plans, applications or accounts on one quota, added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _bridge
from .._table import Column, Tabular, quantity
from ..errors import InvalidInput, invalid, printable
from .failures import Failure, said
from .result import Allocation

Promise = Allocation | Mapping[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Booked:
    """What is promised of one quota when one failure happens."""

    quota: str  #: a Region, or service/Region
    failure: str | None  #: None: the promises name none
    promised: float
    existing: float  #: free headroom, with what the plans themselves would add
    who: Mapping[str, float]  #: who was promised how much, the most first

    @property
    def over(self) -> float:
        """What is promised beyond what there is."""
        over = self.promised - self.existing
        return over if over > 1e-9 * self.promised else 0.0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DoubleBooking(Tabular):
    """What `double_booking` found: a row per quota and failure, the worst first."""

    rows: tuple[Booked, ...]

    @property
    def over_promised(self) -> tuple[Booked, ...]:
        """The rows in which more is promised than there is."""
        return tuple(row for row in self.rows if row.over > 0)

    def require_met(self) -> None:
        """Raise `InvalidInput` if any quota is promised more than once over."""
        if over := self.over_promised:
            raise InvalidInput(printable(f"promises: must fit in what exists (got {_sentence(over[0])})"))

    def _caption(self) -> str:
        over = len(self.over_promised)
        if not over:
            return "Every promise can be kept"
        cases = "1 case" if len(self.rows) == 1 else f"{len(self.rows)} cases"
        return f"More is promised than there is in {over} of {cases}, a quota and a failure each"

    def _notes(self) -> list[str]:
        return [_sentence(row) for row in self.over_promised[:8]]

    def _columns(self) -> list[Column]:
        return [
            Column("quota", [r.quota for r in self.rows], "Quota", numeric=False),
            Column("failure", [r.failure or "any" for r in self.rows], "When this fails", numeric=False),
            Column("promised", np.array([r.promised for r in self.rows]), "Promised", quantity),
            Column("existing", np.array([r.existing for r in self.rows]), "There is", quantity),
            Column("over", np.array([r.over for r in self.rows]), "Over-promised", quantity),
            Column("who", [_who(r) for r in self.rows], "To", numeric=False),
        ]


def double_booking(promises: Mapping[str, Promise], existing: Mapping[str, float]) -> DoubleBooking:
    """Add up what several plans promise of the same quotas, and say where that is more than there is.

    Parameters
    ----------
    promises : mapping of name to promise
        Who (a plan, an application, an account) was promised what: an `Allocation`, or amounts by Region, or amounts
        by Region for each failure: ``{"us-east-1": {"us-west-2": 300.0}}``. Promises of one failure come due together
        and are added up; promises that name no failure come due in every one.
    existing : mapping of Region to number
        Headroom that is free now, ≥ 0; with several services: of ``service/Region``. What an `Allocation` would
        raise or shed is added to it.

    Returns
    -------
    DoubleBooking
        ``rows``, ``over_promised``; each says who is in it and with how much.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. Over-promised is an answer; `DoubleBooking.require_met` raises.

    Examples
    --------
    >>> found = double_booking(
    ...     {"checkout": {"us-west-2": 300.0}, "search": {"us-west-2": 250.0}}, existing={"us-west-2": 400.0}
    ... )
    >>> found.over_promised[0].over, dict(found.over_promised[0].who)
    (150.0, {'checkout': 300.0, 'search': 250.0})
    """
    if not isinstance(promises, Mapping) or not promises:
        raise invalid("promises", "must map names to allocations or amounts", promises)
    if not isinstance(existing, Mapping):
        raise invalid("existing", "must map Regions to free headroom", existing)
    rule = "must be finite and 0 or more"
    room = {key: _bridge.number(v, "existing", rule=f"of {key} {rule}", least=0) for key, v in existing.items()}
    booked: dict[tuple[str, str | None], dict[str, float]] = {}
    for name, promise in promises.items():
        _bridge.name(name, "promises")
        if isinstance(promise, Allocation):
            for quota, more in _added(promise):
                room[quota] = room.get(quota, 0.0) + more
    for name, promise in promises.items():
        for failure, quota, amount in _amounts(name, promise):
            if quota not in room:
                raise invalid("existing", f"must be stated for every quota that is promised; lacks {quota}", list(room))
            mine = booked.setdefault((quota, failure), {})
            mine[name] = mine.get(name, 0.0) + amount
    always = {quota: who for (quota, failure), who in booked.items() if failure is None}
    rows = []
    for (quota, failure), who in booked.items():
        if failure is None and any(q == quota and f is not None for q, f in booked):
            continue  # it is in the row of each failure
        all_of = dict(who) if failure is None else _sum(who, always.get(quota, {}))
        ordered = dict(sorted(all_of.items(), key=lambda item: -item[1]))
        rows.append(
            Booked(quota=quota, failure=failure, promised=sum(all_of.values()), existing=room[quota], who=ordered)
        )
    return DoubleBooking(rows=tuple(sorted(rows, key=lambda r: (-r.over, r.existing - r.promised))))


def _amounts(who: str, promise: Promise) -> list[tuple[str | None, str, float]]:
    """Failure, quota and amount of everything that is promised."""
    if isinstance(promise, Allocation):
        return _of_allocation(promise)
    if not isinstance(promise, Mapping):
        raise invalid("promises", f"of {who} must be an Allocation, or amounts by Region", promise)
    rule = f"of {who} must be finite and 0 or more"
    found = []
    for key, value in promise.items():
        by_region: Mapping[str, Any] = value if isinstance(value, Mapping) else {key: value}
        failure = said(_failure(key)) if isinstance(value, Mapping) else None
        for region, amount in by_region.items():
            _bridge.name(region, "promises")
            found.append((failure, region, _bridge.number(amount, "promises", rule=rule, least=0)))
    return found


def _failure(key: Any) -> Failure:
    names = _bridge.names(key, "promises")
    return names[0] if len(names) == 1 else names


def _of_allocation(found: Allocation) -> list[tuple[str | None, str, float]]:
    rows: list[tuple[str | None, str, float]] = []
    for i, failure in enumerate(found.failures):
        flow = np.reshape(found.transfers[i], (len(found.services), len(found.regions), -1)).sum(axis=1)
        rows += [(said(failure), _quota(found, s, r), float(flow[s, r])) for s, r in np.argwhere(flow > 0).tolist()]
    return rows


def _added(found: Allocation) -> list[tuple[str, float]]:
    """What the plan itself makes room for: what it would raise, and what it would shed."""
    given = found.given
    more = np.reshape(found.headroom, given.shape) + np.reshape(given.extremes_shed(), given.shape)
    return [(_quota(found, s, r), float(more[s, r])) for s, r in np.argwhere(more > 0).tolist()]


def _quota(found: Allocation, s: int, r: int) -> str:
    return found.regions[r] if found.given.single else f"{found.services[s]}/{found.regions[r]}"


def _sum(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {**one, **other}}


def _who(row: Booked) -> str:
    return ", ".join(f"{name} {quantity(amount)}" for name, amount in row.who.items())


def _sentence(row: Booked) -> str:
    when = "at any time"
    if row.failure is not None:
        when = f"when {row.failure} {'fail' if ' + ' in row.failure else 'fails'}"
    return (
        f"{row.quota}: {quantity(row.promised)} are promised {when}, {quantity(row.existing)} are there: "
        f"{quantity(row.over)} too many ({_who(row)})"
    )
