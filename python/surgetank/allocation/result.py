"""What `allocate` found: headroom, who takes how much, what decides, and the proof."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .._bridge import Floats
from .._table import Column, Tabular, at_least, quantity
from ..errors import InvalidInput, invalid, nearest, printable
from . import wording
from .failures import Failure, FailureList
from .given import Given, like_load
from .transfers import Transfers

PER_REGION = ("headroom", "prices", "raise_prices", "owed", "over_promised")
PER_SERVICE = (
    "services", "costs", "statuses", "headroom_costs", "peaks_costs", "cvar", "bounds", "gaps", "excesses", "moments",
    "steps", "cuts",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Why nobody need believe the answer: what can be checked without solving anything.

    Optimal: the dual weights of `Allocation.binding` prove that no headroom costs less than ``bound`` = Σ weight·need −
    Σ upper·max(0, Σ weight of the bindings that a Region fills − its cost), where upper is the lesser of raisable and
    all that can arrive beyond what exists; ``cost`` is that (``gap`` apart, relative to the cost, or where that is
    next to nothing to a millionth of what the deciding load is worth), while no failure leaves more than ``excess`` of
    any load unplaced. Infeasible, a Farkas
    ray: of the load of ``sources`` at ``moment`` when ``failed`` fail, at most ``most`` fits into the others with all
    that may be raised, the ``full`` ones used up and the others taking all they may; without ``failed``, what is
    promised or used exceeds all that can be raised. With `unplaced`, ``excess`` is of the CVaR, and infeasible means
    that it is above its bound with all that may be raised; the ray then names the worst failure in it.
    """

    cost: float
    bound: float
    gap: float  #: relative to the cost
    excess: float  #: share of a load
    failed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    moment: int = 0
    load: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A constraint that is tight, and what it costs."""

    service: str
    failure: Failure
    sources: tuple[str, ...]  #: whose load together decides
    full: tuple[str, ...]  #: the Regions that are filled: what is added to them sums to at least `need`
    moment: int  #: which of the moments that were looked at; of a History: its last 30 days
    time: np.datetime64 | None  #: the instant (UTC) of that moment, where it is known
    weight: float  #: what one more unit of this load costs
    need: float  #: what it asks for beyond what exists


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Allocation(Tabular):
    """What `allocate` found. Shape (R,) for one service, (S, R) for several; in the quota's unit, read-only."""

    regions: tuple[str, ...]
    services: tuple[str, ...]
    failures: FailureList
    headroom: Any  #: what to add to each quota; infeasible: the cheapest that leaves least unplaced
    prices: Any  #: what one more unit of existing headroom would save
    raise_prices: Any  #: what one more unit of `raisable` would save
    owed: Any  #: of headroom, what must be raised whatever fails: more is promised or used than there is
    over_promised: Any  #: reserved or used beyond all that can be raised; 0 where there is none
    costs: Floats  #: (S,) of each service; inf where infeasible
    statuses: tuple[str, ...]  #: (S,) "optimal" or "infeasible"
    headroom_costs: Floats  #: (S,) what `headroom` costs, enough or not
    peaks_costs: Floats  #: (S,) what it would cost if every Region's peak came at once; NaN with `unplaced`
    cvar: Floats  #: (S,) CVaR of the unplaced share, where `unplaced` was given
    bounds: Floats  #: (S,) no headroom of a service costs less; see `certificates`
    gaps: Floats  #: (S,)
    excesses: Floats  #: (S,)
    moments: Any  #: (S,) moments that are observed in full
    left_out: tuple[str, ...] = ()  #: quotas of a History whose usage or value is not known
    unplaced: float = 0.0
    alpha: float = 0.95
    given: Given = field(kw_only=True)
    tight: Mapping[str, Any] = field(default_factory=dict)  #: see `binding`
    broken: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)  #: by service: why it is infeasible
    steps: Any = None  #: (S,) steps of the simplex
    cuts: Any = None  #: (S,) cutting planes

    @staticmethod
    def of(
        raw: Mapping[str, Any], given: Given, failures: FailureList, *, left_out: tuple[str, ...], unplaced: float,
        alpha: float,
    ) -> Allocation:  # fmt: skip
        """Put together what the core answered."""
        return Allocation(
            regions=given.regions,
            services=given.services,
            failures=failures,
            headroom=like_load(given, raw["headroom"].T),
            prices=like_load(given, raw["price"].T),
            raise_prices=like_load(given, raw["raise_price"].T),
            owed=like_load(given, raw["owed"].T),
            over_promised=like_load(given, raw["over"].T),
            costs=_read_only(np.where(raw["feasible"], raw["cost"], np.inf)),
            statuses=tuple("optimal" if ok else "infeasible" for ok in raw["feasible"].tolist()),
            headroom_costs=raw["cost"],
            peaks_costs=raw["peaks_cost"],
            cvar=raw["unplaced"],
            bounds=raw["bound"],
            gaps=raw["gap"],
            excesses=raw["excess"],
            moments=raw["moments"],
            left_out=left_out,
            unplaced=unplaced,
            alpha=alpha,
            given=given,
            tight=raw["binding"],
            broken=raw["broken"],
            steps=raw["steps"],
            cuts=raw["cuts"],
        )

    @property
    def cost(self) -> float:
        """The least cost of surviving every failure, all services together; inf where none is enough."""
        return math.fsum(self.costs.tolist()) if np.isfinite(self.costs).all() else math.inf

    @property
    def headroom_cost(self) -> float:
        """What `headroom` costs, all services together, whether it is enough or not."""
        return math.fsum(self.headroom_costs.tolist())

    @property
    def status(self) -> str:
        """``"optimal"``, or ``"infeasible"`` if any service is."""
        return "infeasible" if "infeasible" in self.statuses else "optimal"

    @cached_property
    def certificates(self) -> tuple[Certificate, ...]:
        """The proof for each service."""
        rows = zip(*(v.tolist() for v in (self.headroom_costs, self.bounds, self.gaps, self.excesses)), strict=True)
        return tuple(self._proof(s, *row) for s, row in enumerate(rows))

    @property
    def certificate(self) -> Certificate:
        """The proof: of the service, or of the one that is worst off."""
        merit = [(status == "infeasible", gap) for status, gap in zip(self.statuses, self.gaps.tolist(), strict=True)]
        return self.certificates[merit.index(max(merit))]

    def _proof(self, s: int, cost: float, bound: float, gap: float, excess: float) -> Certificate:
        proof = Certificate(cost=cost, bound=bound, gap=gap, excess=excess)
        if s not in self.broken:
            return proof
        why = self.broken[s]
        load = _displaced(self.given, s, why["sources"], why["moment"])
        failed, sources, full = (tuple(self.regions[r] for r in why[n]) for n in ("failed", "sources", "full"))
        return replace(
            proof,
            failed=failed,
            sources=sources,
            full=full,
            moment=why["moment"],
            load=load,
            most=load - why["missing"],
        )

    @property
    def pooling_saving(self) -> float:
        """What is saved by peaks that do not coincide: the cost if they did, less the cost. NaN with `unplaced`."""
        return float(np.sum(self.peaks_costs)) - self.cost if math.isfinite(self.cost) else math.nan

    @cached_property
    def binding(self) -> tuple[Binding, ...]:
        """Every constraint that is tight; of each service the most costly first."""
        t = self.tight
        failed, sources, full = (self._named(t[name]) for name in ("failed", "sources", "full"))
        rows = zip(t["service"].tolist(), t["moment"].tolist(), t["weight"].tolist(), t["need"].tolist(), strict=True)
        return tuple(
            Binding(
                service=self.services[s], failure=failed[i][0] if len(failed[i]) == 1 else failed[i], moment=moment,
                time=self.given.instant(moment), weight=weight, need=need,
                sources=sources[i], full=full[i],
            )
            for i, (s, moment, weight, need) in enumerate(rows)
        )  # fmt: skip

    def _named(self, flat: tuple[Any, Any]) -> list[tuple[str, ...]]:
        starts, members = flat[0].tolist(), flat[1].tolist()
        return [tuple(self.regions[r] for r in members[a:b]) for a, b in itertools.pairwise(starts)]

    @property
    def binding_failure(self) -> Failure | None:
        """The failure that costs most, or that is worst off; None where what exists is enough."""
        if self.broken:
            worst = max(self.broken, key=lambda s: self.broken[s]["missing"])
            return self.failures.label(self.broken[worst]["failed"])
        if not self.binding:
            return None
        top = max(self.binding, key=lambda b: b.weight * b.need)
        return top.failure

    @cached_property
    def shortfall(self) -> Floats:
        """The least load that must stay unplaced in each failure, (F,) or (S, F); 0 where the service is feasible."""
        result = np.zeros((len(self.services), len(self.failures)))
        for s, why in self.broken.items():
            result[s] = why["shortfall"]
        result.setflags(write=False)
        return result[0] if self.given.single else result

    @cached_property
    def transfers(self) -> Transfers:
        """Who takes how much in each failure, worked out when asked for."""
        return Transfers(self)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """A plain sentence or two for each service."""
        return tuple(wording.reason(self, s) for s in range(len(self.services)))

    @property
    def reason(self) -> str:
        """Why: of the one service, or of the one that costs most or has no answer."""
        order = [(self.statuses[s] == "infeasible", self.headroom_costs[s], -s) for s in range(len(self.services))]
        return self.reasons[-max(order)[2]]

    def __len__(self) -> int:
        """How many services there are."""
        return len(self.services)

    def __iter__(self) -> Iterator[Allocation]:
        """Go through the services."""
        return (self[s] for s in range(len(self)))

    def __getitem__(self, service: int | str) -> Allocation:
        """Give the answer for one service, by number or name."""
        s = self._find(service)

        def row(values: Any) -> Any:
            return values if self.given.single else values[s]

        a, b = np.searchsorted(self.tight["service"], [s, s + 1]).tolist()
        tight = {name: self.tight[name][a:b] for name in ("moment", "weight", "need")}
        tight |= {"service": np.zeros(b - a, dtype=np.int64)}
        tight |= {name: _part(self.tight[name], a, b) for name in ("failed", "sources", "full")}
        changed = {name: row(getattr(self, name)) for name in PER_REGION}
        changed |= {name: getattr(self, name)[s : s + 1] for name in PER_SERVICE}
        return replace(
            self,
            **changed,
            given=self.given.only(s),
            tight=tight,
            broken={0: self.broken[s]} if s in self.broken else {},
            left_out=tuple(n for n in self.left_out if n.partition("/")[2] == self.services[s]),
        )

    def require_met(self) -> None:
        """Raise `InvalidInput` unless every failure can be survived."""
        if self.status == "infeasible":
            raise InvalidInput(printable(f"allocate: every failure must be survivable (got {self.reason})"))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return wording.as_dict(self)

    def _find(self, service: int | str) -> int:
        if isinstance(service, str) and service in self.services:
            return self.services.index(service)
        if isinstance(service, int | np.integer) and not isinstance(service, bool):
            if not -len(self) <= service < len(self):
                raise IndexError(f"service {service} of {len(self)}")
            return int(service) % len(self)
        raise invalid("service", f"must be one of those given{nearest(str(service), self.services)}", service)

    def _caption(self) -> str:
        return wording.caption(self)

    def _notes(self) -> list[str]:
        return wording.notes(self)

    def _columns(self) -> list[Column]:
        count, width = self.given.shape
        at_peak, least = self.given.extremes()
        held = self.given.reserved
        deciding = wording.deciding(self)
        names = np.repeat(np.array(self.services, dtype=object), width)
        several = not self.given.single
        columns = [
            Column("service", names, "Service/quota" if several else "", numeric=False),
            Column("region", list(self.regions) * count, "Region", numeric=False),
            Column("load", at_peak, "Load" if len(self.given.load) == 1 else "Peak load", quantity, priority=4),
            Column("reserved", held, "Reserved" if (held > 0).any() else "", quantity, priority=4),
            Column(
                "existing",
                least - held,
                "Free" if len(self.given.existing) == 1 else "Least free",
                quantity,
                priority=3,
            ),
            Column("headroom", np.ravel(self.headroom), "Raise by", quantity),
            *self._new_quota(),
            Column("cost_per_unit", self.given.cost, "Unit cost", quantity, priority=5),
            Column("price", np.ravel(self.prices), "One more saves", quantity, priority=6),
            Column("raise_price", np.ravel(self.raise_prices)),
            Column("binding_failure", deciding, "Decided by the loss of", numeric=False),
            Column("status", np.repeat(np.array(self.statuses, dtype=object), width), "Status", numeric=False),
        ]
        if self.given.there is None:
            return columns
        return [
            replace(c, values=[v for v, there in zip(c.values, self.given.there, strict=True) if there])
            for c in columns
        ]

    def _new_quota(self) -> list[Column]:
        if self.given.quota is None:
            return []
        return [Column("new_quota", self.given.quota + np.ravel(self.headroom), "Quota then", at_least, priority=2)]


def _read_only(values: Floats) -> Floats:
    values.setflags(write=False)
    return values


def _displaced(given: Given, s: int, sources: Sequence[int], moment: int) -> float:
    first = s * len(given.regions)
    parts = [given.critical[s] * given.multiplier[first + r] * given.load[moment, first + r] for r in sources]
    return math.fsum(parts)


def _part(flat: tuple[Any, Any], a: int, b: int) -> tuple[Any, Any]:
    starts, members = flat
    return starts[a : b + 1] - starts[a], members[starts[a] : starts[b]]
