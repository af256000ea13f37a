"""What failover capacity costs: by the share that must survive, and by zones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge
from .._bridge import Floats
from .._table import Column, Tabular, percent, quantity
from ..errors import invalid
from ..history import History
from .result import Allocation
from .survive import allocate

DEFAULT_SHARES = tuple(i / 20 for i in range(21))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TierCurve(Tabular):
    """What it costs to survive, by the critical share: from everything shed to full duplication."""

    critical: Floats  #: (C,) share that must survive
    cost: Floats  #: (C,) of the headroom to add; inf where that is infeasible
    relative_cost: Floats  #: (C,) (load + headroom) / load, in money: 1 is no failover capacity, 2 a full second copy
    allocations: tuple[Allocation, ...]

    def _caption(self) -> str:
        return f"Cost of surviving {self.allocations[0].failures.word}, by the share that must survive"

    def _columns(self) -> list[Column]:
        return [
            Column("critical", self.critical, "Critical share", percent),
            Column("cost", self.cost, "Cost of headroom", quantity),
            Column("relative_cost", self.relative_cost, "Cost of all", lambda v: f"{quantity(v)}×"),
            Column("status", [a.status for a in self.allocations], "Status", numeric=False),
        ]


def tier_curve(
    load: ArrayLike | History,
    existing: ArrayLike | None = None,
    cost: ArrayLike = 1.0,
    *,
    critical: Sequence[float] = DEFAULT_SHARES,
    **options: Any,
) -> TierCurve:
    """Cost of failover capacity by the share of the load that must survive.

    Parameters
    ----------
    load, existing, cost
        As for `allocate`, existing 0 by default; what exists is not paid for again. The cost of the load itself is
        that of its peak in each Region.
    critical : sequence of shares, default 0, .05, …, 1
        The rest of the load lives in the failover buffer and is shed first.
    **options
        As for `allocate`.

    Returns
    -------
    TierCurve
        ``critical``, ``cost``, ``relative_cost``, ``allocations``.

    Raises
    ------
    InvalidInput
        As `allocate`; or where the load costs nothing, so that nothing can be relative to it.

    Notes
    -----
    Uber runs critical services in two Regions and lets the others use the failover buffer, which took its provisioned
    capacity from 2× to 1.3×.

    Examples
    --------
    >>> curve = tier_curve([50.0, 50.0], critical=[0.65, 1.0])
    >>> curve.relative_cost.round(12).tolist()
    [1.3, 2.0]
    """
    shares = _bridge.fractions(critical, "critical")
    if not shares:
        raise invalid("critical", "must hold at least one share", critical)
    for name, given in options.items():
        if isinstance(given, Iterator):  # each share reads it again
            options[name] = [tuple(v) if isinstance(v, Iterator) else v for v in given]
    if existing is None and not isinstance(load, History):
        existing = 0.0
    found = tuple(allocate(load, existing, cost, critical=share, **options) for share in shares)
    given = found[0].given
    base = float(given.extremes()[0] @ given.cost)
    if not base > 0:
        raise invalid("cost", "of the load must be above 0", base)
    costs = np.array([a.cost for a in found])
    return TierCurve(critical=np.array(shares), cost=costs, relative_cost=1 + costs / base, allocations=found)


@dataclass(frozen=True, kw_only=True)
class ZoneCapacity:
    """How many units over several zones survive the loss of one."""

    need: int  #: units that must be left
    zones: int
    total: int
    per_zone: tuple[int, ...]
    rule: str  #: how it was worked out

    @property
    def spare(self) -> int:
        """Units beyond the need."""
        return self.total - self.need


def zone_capacity(need: float, zones: int = 3, *, even: bool = False) -> ZoneCapacity:
    """How many units are needed over so many zones, if one zone may fail?

    Parameters
    ----------
    need : number
        Units (instances, tasks) that must be left, ≥ 0; a part of a unit counts as one.
    zones : int, default 3
        At least 2.
    even : bool, default False
        True: the same number in every zone, as an evenly spread placement keeps it. False: numbers may differ by one.

    Returns
    -------
    ZoneCapacity
        ``total``, ``per_zone``, ``rule``.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value.

    Notes
    -----
    Static stability (AWS Builders' Library, Becky Weiss and Mike Furr, *Static stability using Availability Zones*):
    what is left after the loss of a zone must do without a launch.

    Examples
    --------
    >>> zone_capacity(3).total, zone_capacity(3, even=True).total
    (5, 6)
    """
    amount = _bridge.number(need, "need", rule="must be finite and 0 or more", least=0)
    if not isinstance(even, bool | np.bool_):
        raise invalid("even", "must be True or False", even)
    count = _bridge.whole(zones, "zones", "must be a whole number, at least 2")
    if count < 2:
        raise invalid("zones", "must be a whole number, at least 2", zones)
    if count > 1_000_000:
        raise invalid("zones", "must be at most a million", zones)
    units = math.ceil(Fraction(amount))  # exact: no 3.0000000000000004 becomes 4
    if even:
        each = -(-units // (count - 1))
        rule = f"evenly spread: ⌈need/(zones − 1)⌉ = ⌈{units}/{count - 1}⌉ = {each} in each of {count} zones"
        return ZoneCapacity(need=units, zones=count, total=each * count, per_zone=(each,) * count, rule=rule)
    total = -(-units * count // (count - 1))
    each, more = divmod(total, count)
    rule = f"⌈need·zones/(zones − 1)⌉ = ⌈{units}·{count}/{count - 1}⌉ = {total}, zones differ by one at most"
    per_zone = (each + 1,) * more + (each,) * (count - more)
    return ZoneCapacity(need=units, zones=count, total=total, per_zone=per_zone, rule=rule)
