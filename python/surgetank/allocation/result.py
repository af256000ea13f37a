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
from .._table import Column, Tabular, quantity
from ..errors import InvalidInput, invalid
from . import wording
from .failures import Failure, FailureList, said
from .given import Given, like_load
from .transfers import Transfers


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Why nobody need believe the answer: what can be checked without solving anything.

    Optimal: the dual weights of `Allocation.binding` prove that no headroom costs less than ``bound``, and ``cost`` is
    that (``gap`` of it apart), while no failure leaves more than ``excess`` of any load unplaced. Infeasible, a Farkas
    ray: of the load of ``sources`` when ``failed`` fail, at most ``most`` fits into the others with all that may be
    raised, the ``full`` ones used up and the others taking all they may.
    """

    cost: float
    bound: float
    gap: float  #: relative to the cost
    excess: float  #: share of a load
    failed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    load: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A constraint that is tight, and what it costs."""

    service: str
    failure: Failure
    sources: tuple[str, ...]  #: whose load together decides
    moment: int  #: which of the moments given
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
    over_promised: Any  #: reserved or used beyond all that can be raised; 0 where there is none
    costs: Floats  #: (S,) of each service; inf where infeasible
    statuses: tuple[str, ...]  #: (S,) "optimal" or "infeasible"
    headroom_costs: Floats  #: (S,) what `headroom` costs, enough or not
    peaks_costs: Floats  #: (S,) what it would cost if every Region's peak came at once
    cvar: Floats  #: (S,) CVaR of the unplaced share, where `unplaced` was given
    certificates: tuple[Certificate, ...]  #: (S,)
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

        def named(members: Sequence[int]) -> tuple[str, ...]:
            return tuple(given.regions[r] for r in members)

        certificates = []
        feasible = raw["feasible"].tolist()
        figures = zip(*(raw[name].tolist() for name in ("cost", "bound", "gap", "excess")), strict=True)
        for s, (cost, bound, gap, excess) in enumerate(figures):
            why: Mapping[str, Any] = raw["broken"].get(s, {})
            proof = Certificate(cost=cost, bound=bound, gap=gap, excess=excess)
            if why:
                load = _displaced(given, s, why["sources"], why["moment"])
                failed, sources, full = (named(why[name]) for name in ("failed", "sources", "full"))
                proof = replace(proof, failed=failed, sources=sources, full=full, load=load, most=load - why["missing"])
            certificates.append(proof)
        return Allocation(
            regions=given.regions,
            services=given.services,
            failures=failures,
            headroom=like_load(given, raw["headroom"].T),
            prices=like_load(given, raw["price"].T),
            raise_prices=like_load(given, raw["raise_price"].T),
            over_promised=like_load(given, raw["over"].T),
            costs=np.where(raw["feasible"], raw["cost"], np.inf),
            statuses=tuple("optimal" if ok else "infeasible" for ok in feasible),
            headroom_costs=raw["cost"],
            peaks_costs=raw["peaks_cost"],
            cvar=raw["unplaced"],
            certificates=tuple(certificates),
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

    @property
    def certificate(self) -> Certificate:
        """The proof: of the service, or of the one that is worst off."""
        merit = [(status == "infeasible", proof.gap) for status, proof in self._proofs()]
        return self.certificates[merit.index(max(merit))]

    def _proofs(self) -> Iterator[tuple[str, Certificate]]:
        return zip(self.statuses, self.certificates, strict=True)

    @property
    def pooling_saving(self) -> float:
        """What is saved by peaks that do not coincide: the cost if they did, less the cost."""
        peaks = math.fsum(self.peaks_costs.tolist()) if np.isfinite(self.peaks_costs).all() else math.inf
        return peaks - self.cost if math.isfinite(self.cost) else math.nan

    @cached_property
    def binding(self) -> tuple[Binding, ...]:
        """Every constraint that is tight; of each service the most costly first."""
        t = self.tight
        failed, sources = _sets(t["failed"]), _sets(t["sources"])
        rows = zip(t["service"].tolist(), t["moment"].tolist(), t["weight"].tolist(), t["need"].tolist(), strict=True)
        return tuple(
            Binding(
                service=self.services[s], failure=self.failures.label(failed[i]), moment=moment, weight=weight,
                need=need, sources=tuple(self.regions[r] for r in sources[i]),
            )
            for i, (s, moment, weight, need) in enumerate(rows)
        )  # fmt: skip

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
        """The least load that stays unplaced in each failure, shape (F,) or (S, F); 0 where all is placed."""
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

        keep = self.tight["service"] == s
        tight = {name: self.tight[name][keep] for name in ("moment", "weight", "need")}
        tight |= {"service": np.zeros(int(keep.sum()), dtype=np.int64)}
        tight |= {name: _chosen(self.tight[name], keep) for name in ("failed", "sources")}
        return Allocation(
            regions=self.regions, services=self.services[s : s + 1], failures=self.failures,
            headroom=row(self.headroom), prices=row(self.prices), raise_prices=row(self.raise_prices),
            over_promised=row(self.over_promised), costs=self.costs[s : s + 1], statuses=self.statuses[s : s + 1],
            headroom_costs=self.headroom_costs[s : s + 1], peaks_costs=self.peaks_costs[s : s + 1],
            cvar=self.cvar[s : s + 1], certificates=self.certificates[s : s + 1], moments=self.moments[s : s + 1],
            left_out=self.left_out, unplaced=self.unplaced, alpha=self.alpha, given=self.given.only(s), tight=tight,
            broken={0: self.broken[s]} if s in self.broken else {}, steps=self.steps[s : s + 1],
            cuts=self.cuts[s : s + 1],
        )  # fmt: skip

    def require_met(self) -> None:
        """Raise `InvalidInput` unless every failure can be survived."""
        if self.status == "infeasible":
            raise InvalidInput(f"allocate: every failure must be survivable (got {self.reason})")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON."""
        return wording.as_dict(self)

    def _find(self, service: int | str) -> int:
        if isinstance(service, str) and service in self.services:
            return self.services.index(service)
        if isinstance(service, int) and not isinstance(service, bool) and -len(self) <= service < len(self):
            return service % len(self)
        if isinstance(service, int):
            raise IndexError(service)  # ends a loop over the services
        raise invalid("service", "must be one of those given", service)

    def _caption(self) -> str:
        return wording.caption(self)

    def _notes(self) -> list[str]:
        return wording.notes(self)

    def _columns(self) -> list[Column]:
        count, width = self.given.shape
        at_peak = np.nanmax(self.given.load, axis=0)
        least = np.nanmin(self.given.existing, axis=0)
        deciding: dict[str, str] = {}
        for b in self.binding:
            deciding.setdefault(b.service, said(b.failure))
        for s, why in self.broken.items():
            deciding[self.services[s]] = said(self.failures.label(why["failed"]))
        names = np.repeat(np.array(self.services, dtype=object), width)
        several = not self.given.single
        columns = [
            Column("service", names, "Service/quota" if several else "", numeric=False),
            Column("region", list(self.regions) * count, "Region", numeric=False),
            Column("load", at_peak, "Load" if len(self.given.load) == 1 else "Peak load", quantity, priority=4),
            Column("existing", least, "Free" if len(self.given.existing) == 1 else "Least free", quantity, priority=3),
            Column("headroom", np.ravel(self.headroom), "Raise by", quantity),
            Column("cost_per_unit", self.given.cost, "Unit cost", quantity, priority=5),
            Column("price", np.ravel(self.prices), "One more saves", quantity, priority=6),
            Column("raise_price", np.ravel(self.raise_prices)),
            Column("binding_failure", [deciding.get(n, "–") for n in names], "Decided by the loss of", numeric=False),
            Column("status", np.repeat(np.array(self.statuses, dtype=object), width), "Status", numeric=False),
        ]
        if self.given.there is None:
            return columns
        return [
            replace(c, values=[v for v, there in zip(c.values, self.given.there, strict=True) if there])
            for c in columns
        ]


def _displaced(given: Given, s: int, sources: Sequence[int], moment: int) -> float:
    first = s * len(given.regions)
    parts = [given.critical[s] * given.multiplier[first + r] * given.load[moment, first + r] for r in sources]
    return math.fsum(parts)


def _sets(flat: tuple[Any, Any]) -> list[list[int]]:
    starts, members = flat[0].tolist(), flat[1].tolist()
    return [members[a:b] for a, b in itertools.pairwise(starts)]


def _chosen(flat: tuple[Any, Any], keep: Any) -> tuple[Any, Any]:
    kept = [members for members, wanted in zip(_sets(flat), keep.tolist(), strict=True) if wanted]
    starts = np.cumsum([0, *map(len, kept)])
    return starts, np.array([r for members in kept for r in members], dtype=np.int64)
