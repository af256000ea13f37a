"""What lack of room does to a recovery: how often, by which quota, at what price, and what would mend it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _bridge
from .._bridge import Floats
from .._table import Column, Tabular, at_least, for_json, percent, quantity
from ..errors import invalid
from .capacity import Coupling
from .fits import block_bootstrap, required_headroom
from .times import Times
from .wording import chance

if TYPE_CHECKING:
    from ..history import QuotaKey
    from ..plan import Plan
    from .result import Recovery

REPLICATES = 400


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Shortage(Tabular):
    """What lack of room does. One row for each quota that is short at some moment of history.

    The load that lands fits where its peak over the event, grown as in the plan, stays within every quota; what does
    not fit waits for a quota increase, and never comes where that is denied.
    """

    coupling: Coupling
    plan: Plan
    ready: Times  #: RTO had there been room for everything, from the same draws
    trials: int
    fits: int  #: trials in which everything fitted
    fits_in_time: int  #: … and service was back in time
    in_time: int
    lacking: Floats  #: per quota, the share of trials in which it was short
    last: Floats  #: … and its increase was the last to apply
    target_s: float | None
    confidence: float

    @staticmethod
    def of(result: Recovery, ready: Times) -> Shortage:
        """From the counts."""
        coupling, counts, asked = result.asked.coupling, result.counts, result.asked
        assert coupling is not None
        assert asked.capacity is not None
        in_time = fits_in_time = 0
        if result.target_s is not None:
            at = asked.targets.index(result.target_s)
            clock = list(result.clocks).index(result.clock)
            in_time = result.rto.within_targets[at]
            fits_in_time = counts["fits_within"][clock * len(asked.targets) + at]
        lacking, last = (np.array(counts[name]) / result.trials for name in ("lacking", "last"))
        for shares in (lacking, last):
            shares.setflags(write=False)
        return Shortage(
            coupling=coupling, plan=asked.capacity.plan, ready=ready, trials=result.trials, fits=counts["fits"],
            fits_in_time=fits_in_time,
            in_time=in_time, lacking=lacking, last=last, target_s=result.target_s, confidence=result.confidence,
        )  # fmt: skip

    @property
    def event(self) -> str:
        """What happens."""
        return self.coupling.event

    @property
    def fits_frac(self) -> float:
        """P(the failover fits): the share of moments of history from which everything fits everywhere at once."""
        return self.coupling.fits_frac

    @property
    def probability_without(self) -> float:
        """P(RTO ≤ target) had there been room for everything; NaN without a target."""
        return math.nan if self.target_s is None else self.ready.probability(self.target_s)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Of P(RTO ≤ target), by what history happened to be (block bootstrap) alone; NaN without a target."""
        if self.target_s is None:
            return math.nan, math.nan
        with_room, without = self._by_room()
        shares = block_bootstrap(self.coupling, replicates=REPLICATES)
        found = with_room * shares + without * (1 - shares)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(found, [tail, 1 - tail])
        return float(low), float(high)

    def headroom_for(self, probability: float) -> HeadroomFor:
        """By how much quotas must be raised for P(RTO ≤ target) to reach ``probability``.

        What stays short is taken to be as likely in time as what is short now; `Capacity` with ``raised`` checks it.
        """
        if self.target_s is None:
            raise invalid("probability", "is of RTO ≤ target_s, and none was given", probability)
        wanted = _bridge.fraction(probability, "probability")
        with_room, without = self._by_room()
        share = 0.0 if without >= wanted else 1.0
        if without < wanted <= with_room:
            share = (wanted - without) / (with_room - without)
        raises, reached = required_headroom(self.coupling, share)
        raises.setflags(write=False)
        return HeadroomFor(
            coupling=self.coupling, wanted=wanted, raises=raises, fits_frac=reached,
            probability=with_room * reached + without * (1 - reached), most=with_room,
        )  # fmt: skip

    def _by_room(self) -> tuple[float, float]:
        """P(RTO ≤ target) where everything fits, and where it does not."""
        short = self.trials - self.fits
        with_room = self.fits_in_time / self.fits if self.fits else self.probability_without
        return with_room, (self.in_time - self.fits_in_time) / short if short else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values ready for JSON."""
        return {
            "event": self.event,
            "fits_frac": self.fits_frac,
            "moments": len(self.coupling.moments),
            "unknown": [str(key) for key in self.coupling.unknown],
            "probability_without": for_json(self.probability_without),
            "interval": [for_json(v) for v in self.interval],
            "quotas": self.to_records(),
        }

    def _caption(self) -> str:
        many = f"{len(self.coupling.moments):,} moments of history"
        text = f"{self.event}: the load that lands fits at {chance(self.fits_frac)} of {many}"
        if not math.isnan(self.probability_without):
            text += f"; with room for everything P(in time) would be {chance(self.probability_without)}"
        return text

    def _columns(self) -> list[Column]:
        c = self.coupling
        order = np.argsort(-self.last, kind="stable")
        missing = np.where(c.short, c.missing, 0.0).max(axis=0, initial=0.0)
        at = [c.covered.index(key) for key in c.quotas]
        return [
            _accounts(c, [c.quotas[i] for i in order]),
            Column("quota_name", [c.quotas[i].quota_name for i in order], "Service/quota", numeric=False),
            Column("region", [c.quotas[i].region for i in order], "Region", numeric=False),
            Column("quota", (c.quota + c.reserved)[at][order], "Quota", quantity, priority=2),
            Column("missing", missing[order], "Short by at most", quantity),
            Column("lacking", self.lacking[order], "Short", percent),
            Column("last", self.last[order], "Last to apply", percent, priority=1),
        ]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HeadroomFor(Tabular):
    """By how much quotas must be raised for a stated probability. One row for each quota covered."""

    coupling: Coupling
    wanted: float
    raises: Floats  #: (C,) in the quota's unit
    fits_frac: float  #: the share of moments that then fits
    probability: float  #: P(RTO ≤ target) then
    most: float  #: with room for everything: no headroom reaches more

    @property
    def raised(self) -> dict[str, float]:
        """The raises by pattern, as ``Capacity(plan, raised=…)`` takes them."""
        names = [f"{k.account}/{k.region}/{k.quota_name}" for k in self.coupling.covered]
        return {name: float(by) for name, by in zip(names, self.raises, strict=True) if by > 0}

    @property
    def reached(self) -> bool:
        """Can headroom do it at all?"""
        return self.wanted <= self.most

    def _caption(self) -> str:
        if self.reached:
            return f"For P(in time) = {chance(self.wanted)}: {chance(self.probability)} is reached"
        most = chance(self.most)
        return f"P(in time) = {chance(self.wanted)} is out of reach: room for everything gives {most}; these give it"

    def _columns(self) -> list[Column]:
        c = self.coupling
        return [
            _accounts(c, c.covered),
            Column("quota_name", [k.quota_name for k in c.covered], "Service/quota", numeric=False),
            Column("region", [k.region for k in c.covered], "Region", numeric=False),
            Column("quota", c.quota + c.reserved, "Quota", quantity, priority=1),
            Column("raise_by", self.raises, "Raise by", at_least),
            Column("new_quota", c.quota + c.reserved + self.raises, "Quota then", at_least),
        ]


def _accounts(coupling: Coupling, keys: Sequence[QuotaKey]) -> Column:
    """Whose quotas they are, shown where there are several accounts."""
    header = "Account" if coupling.several_accounts else ""
    return Column("account", [key.account for key in keys], header, numeric=False)
