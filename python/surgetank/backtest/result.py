"""`Backtest`: what came of each policy, per series and in total; the frontier, the knee, the best for a stated risk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _bridge
from .._bridge import Floats
from .._table import Tabular, freeze, span
from ..errors import invalid
from . import intervals
from .choice import Choice, choose, knee_of, pareto
from .clairvoyant import Clairvoyant, Frontier, all_edges, frontier_of
from .cost import Cost
from .custom import name_of
from .policytable import PolicyTable
from .rules import Rule
from .setting import Setting

if TYPE_CHECKING:
    from .replayed import Replayed


def label(policy: object) -> str:
    """What a planner calls a policy."""
    return str(policy) if isinstance(policy, Rule) else name_of(policy)


@dataclass(frozen=True, kw_only=True, eq=False)
class Totals:
    """Of each policy over all series, (P,) each; NaN where nothing was judged."""

    coverage: Floats  #: share of samples at which usage fitted
    risk: Floats  #: share of moments at which a failover would not have fitted
    failed_days: Floats  #: share of days with such a moment, mean over series
    shortfall_frac: Floats  #: expected shortfall of a failover / average usage; weighted as idle_frac
    idle_frac: Floats  #: idle headroom / average usage; series are weighted by price, alike where none was given
    cost_per_h: Floats  #: of idle headroom, requests and shortage, an hour, all series together
    requests: Floats  #: per series and 30 days
    reversals: Floats  #: per series and 30 days: a request in the other direction than the one before


@dataclass(frozen=True, kw_only=True, eq=False)
class Backtest:
    """Policies side by side over the same past.

    Figures per policy and series are arrays (P, N), read-only, series in the order of ``series``, in the quota's unit
    unless said otherwise. A moment is a sample at which a failover could have begun.
    """

    policies: tuple[Any, ...]
    setting: Setting
    cost: Cost
    confidence: float  #: of the intervals
    block: int  #: samples that the bootstrap draws at a time
    seed: int
    replayed: Replayed

    # Figures per policy and series.

    @cached_property
    def _figures(self) -> dict[str, NDArray[Any]]:
        found = self.replayed.figures()
        freeze(found)
        return found

    @property
    def series(self) -> tuple[str, ...]:
        """What the columns are called."""
        return self.setting.world.names

    @property
    def samples(self) -> NDArray[np.int32]:
        """Judged samples at which usage was observed."""
        return self._figures["samples"]

    @property
    def moments(self) -> NDArray[np.int32]:
        """Judged moments: those whose failover is known for at least half of its duration."""
        return self._figures["moments"]

    @property
    def fails(self) -> NDArray[np.int32]:
        """Moments at which a failover would not have fitted."""
        return self._figures["fails"]

    @property
    def coverage(self) -> Floats:
        """Share of samples at which usage fitted in the quota."""
        return 1 - _ratio(self._figures["own_short"], self.samples)

    @property
    def risk(self) -> Floats:
        """Share of moments at which a failover would not have fitted."""
        return _ratio(self.fails, self.moments)

    @property
    def failover_coverage(self) -> Floats:
        """Share of moments at which a failover would have fitted."""
        return 1 - self.risk

    @property
    def failed_days(self) -> NDArray[np.int32]:
        """UTC days on which a failover would have failed at some moment."""
        return self._figures["failed_days"]

    @property
    def idle(self) -> Floats:
        """Mean of what the quota leaves free."""
        return _ratio(self._figures["idle_sum"], self.samples)

    @property
    def quota(self) -> Floats:
        """Mean quota."""
        return _ratio(self._figures["quota_sum"], self.samples)

    @property
    def last_quota(self) -> Floats:
        """The quota in effect at the end; NaN where a policy never had one."""
        return self._figures["last_quota"]

    @property
    def expected_shortfall(self) -> Floats:
        """Mean over moments of what a failover would have lacked at its peak."""
        return _ratio(self._figures["short_sum"], self.moments)

    @property
    def max_shortfall(self) -> Floats:
        """The most that a failover would have lacked."""
        return self._figures["max_short"]

    @property
    def requests(self) -> NDArray[np.int32]:
        """How often another quota was asked for."""
        return self._figures["requests"]

    @property
    def reversals(self) -> NDArray[np.int32]:
        """How often the other way than the time before (flapping)."""
        return self._figures["reversals"]

    def pinball(self, quantile: float) -> Floats:
        """Mean pinball loss of the quota as a forecast of that quantile of a failover's peak."""
        tau = _bridge.fraction(quantile, "quantile")
        lost = tau * self._figures["short_sum"] + (1 - tau) * self._figures["spare_sum"]
        return _ratio(lost, self.moments)

    def cvar(self, tail: float = 0.05) -> Floats:
        """Mean of what failovers would have lacked at the worst ``tail`` of all moments (conditional value at risk)."""
        frac = _bridge.fraction(tail, "tail")
        if frac == 0:
            raise invalid("tail", "must be a fraction in (0, 1]", tail)
        self.setting.check_unchanged()
        found = self.replayed.figures(cvar_frac=frac)
        return _ratio(found["tail_sum"], np.ceil(frac * self.moments))

    # In total.

    @cached_property
    def _mean_usage(self) -> Floats:
        usage = self.setting.usage[self.setting.first :]
        seen = ~np.isnan(usage)
        total = np.where(seen, usage, 0.0).sum(axis=0)
        count = seen.sum(axis=0)
        return np.asarray(np.divide(total, count, out=np.zeros(len(total)), where=count > 0))

    @cached_property
    def _held(self) -> Floats:
        """(N,) the price of an idle unit and hour."""
        return self.cost.held(self.setting.world.shape, self._mean_usage)

    @cached_property
    def clairvoyant(self) -> Frontier:
        """The least idle headroom that whoever knows the future needs at each risk, weighted as in ``total``."""
        self.setting.check_unchanged()
        edges = all_edges(self.setting)
        samples = (~np.isnan(self.setting.usage[self.setting.first :])).sum(axis=0)
        weights = np.divide(self._held, samples, out=np.zeros(len(samples)), where=samples > 0)
        return frontier_of(edges, np.where(self._counted, weights / self._usage_value, math.nan))

    @property
    def _usage_value(self) -> float:
        return float(self._by_price(self._mean_usage)) or math.nan

    @property
    def _counted(self) -> NDArray[np.bool_]:
        return np.ones(len(self.series), dtype=bool) if self.setting.counted is None else self.setting.counted

    def _by_price(self, values: Floats) -> Floats:
        """Σ over the series that count."""
        counted = self._counted
        return np.asarray(np.nansum(self._held[counted] * values[..., counted], axis=-1))

    @cached_property
    def total(self) -> Totals:
        """Of each policy over all series."""
        days, value, counted = self.setting.judged_s / 86400, self._usage_value, self._counted
        risk = _ratio(self.fails[:, counted].sum(axis=1), self.moments[:, counted].sum(axis=1))
        per_30d = 30 / days / counted.sum()
        short = _ratio(self._figures["own_short"][:, counted].sum(axis=1), self.samples[:, counted].sum(axis=1))
        totals = Totals(
            coverage=1 - short,
            risk=risk,
            failed_days=self.failed_days[:, counted].sum(axis=1) / (max(1.0, math.ceil(days)) * counted.sum()),
            shortfall_frac=self._by_price(self.expected_shortfall) / value,
            idle_frac=self._by_price(self.idle) / value,
            cost_per_h=np.asarray(np.nansum(self.cost_per_h[:, counted], axis=1)),
            requests=self.requests[:, counted].sum(axis=1) * per_30d,
            reversals=self.reversals[:, counted].sum(axis=1) * per_30d,
        )
        freeze(vars(totals))
        return totals

    @cached_property
    def excess_frac(self) -> Floats:
        """(P,) by how much ``total.idle_frac`` is above the clairvoyant's at the same risk."""
        return np.asarray(self.total.idle_frac - self.clairvoyant.idle_at(self.total.risk))

    @property
    def cost_per_h(self) -> Floats:
        """(P, N) of idle headroom, requests and shortage, an hour."""
        hours = self.setting.judged_s / 3600
        short = self.cost.short(self.setting.world.shape) * _ratio(self._figures["own_short_sum"], self.samples)
        return self._held * self.idle + short + self.cost.per_request * self.requests / hours

    # Intervals.

    def blocks(self, which: Sequence[int] | None = None) -> dict[str, Floats]:
        """Fails, moments, cost and hours in blocks of time over all series, (P, B) each: what intervals are made of."""
        self.setting.check_unchanged()
        chosen = list(range(len(self.policies))) if which is None else list(which)
        count = math.ceil((len(self.setting.usage) - self.setting.first) / self.block)
        at_a_time = max(1, int(4e6 / max(1, count * len(self.series))))
        parts = [self._blocks(chosen[i : i + at_a_time]) for i in range(0, len(chosen), at_a_time)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _blocks(self, which: list[int]) -> dict[str, Floats]:
        found = self.replayed.figures(which, block=self.block)
        step_h = self.setting.step_s / 3600
        samples = self.samples[which]
        judged = len(self.setting.usage) - self.setting.first
        # Samples that were not observed cost what the others cost.
        filled = np.divide(judged, samples, out=np.zeros(samples.shape), where=samples > 0)[:, :, None] * step_h
        held = self._held[None, :, None] * found["idle_sum"]
        short = self.cost.short(self.setting.world.shape)[None, :, None] * found["own_short_sum"]
        counted = self._counted
        cost = ((held + short) * filled + self.cost.per_request * found["requests"])[:, counted].sum(axis=1)
        lengths = np.diff([*range(0, judged, self.block), judged])
        return {
            "fails": found["fails"][:, counted].sum(axis=1).astype(np.float64),
            "moments": found["moments"][:, counted].sum(axis=1).astype(np.float64),
            "cost": cost,
            "hours": np.broadcast_to(lengths * step_h, cost.shape),
        }

    @property
    def independent_windows(self) -> float:
        """How many failovers one after the other the judged time is worth."""
        return self.setting.judged_s / max(self.setting.longest_event_s, self.setting.step_s)

    def interval(
        self, figure: str, which: Sequence[int] | None = None, confidence: float | None = None
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Lower and upper end of the total "risk" or "cost_per_h" of policies (default: all), (P',) each.

        A paired bootstrap over blocks of time, two-sided. Where not one failover failed the upper end of risk is what
        so many independent failovers without a failure still allow.
        """
        asked = self.confidence if confidence is None else _bridge.fraction(confidence, "confidence")
        replicates, blocks = self._replicates(figure, which)
        low, high = intervals.limits(replicates, asked)
        if figure == "risk":
            least = intervals.never_failed(self.independent_windows, 1 - (1 - asked) / 2)
            high = np.where(blocks["fails"].sum(axis=1) == 0, np.maximum(high, least), high)
        return low, high

    def difference(self, figure: str, a: int, b: int, confidence: float | None = None) -> tuple[float, float, float]:
        """By how much the total "risk" or "cost_per_h" of policy ``a`` is above that of ``b``, and its interval."""
        asked = self.confidence if confidence is None else _bridge.fraction(confidence, "confidence")
        replicates, _ = self._replicates(figure, [a, b])
        low, high = intervals.limits(replicates[0] - replicates[1], asked)
        values = getattr(self.total, figure)
        return float(values[a] - values[b]), float(low), float(high)

    def _replicates(self, figure: str, which: Sequence[int] | None) -> tuple[Floats, dict[str, Floats]]:
        parts = {"risk": ("fails", "moments"), "cost_per_h": ("cost", "hours")}
        if figure not in parts:
            raise invalid("figure", 'must be "risk" or "cost_per_h"', figure)
        blocks = self.blocks(which)
        top, bottom = (blocks[name] for name in parts[figure])
        return intervals.ratios(intervals.draws(top.shape[1], self.seed), top, bottom), blocks

    # Choices.

    @cached_property
    def _real_risk(self) -> Floats:
        """(P,) the total risk; NaN of policies that know the future, which nobody can choose."""
        known = np.array([isinstance(policy, Clairvoyant) for policy in self.policies])
        return np.where(known, math.nan, self.total.risk)

    @property
    def knee(self) -> int:
        """The policy (its number) on the frontier beyond which less risk begins to cost much more."""
        moments = int(self.moments[:, self._counted].sum(axis=1).max())
        return knee_of(self._real_risk, self.total.cost_per_h, moments)

    def best(self, *, risk: float, confidence: float | None = None) -> Choice:
        """The cheapest policy whose risk is at most so much, with that confidence.

        Parameters
        ----------
        risk : float in (0, 1)
            The share of failovers that may fail.
        confidence : float in [.5, 1), optional
            How sure that must be: one-sided, by the bootstrap. Default: the figure counts as it is.

        Returns
        -------
        Choice
            ``policy`` is None where none meets it; ``reason`` says so.

        Raises
        ------
        InvalidInput
            Of a risk that the history is too short to show with that confidence, even without a failure.
        """
        return choose(self, risk, confidence)

    def table(self) -> PolicyTable:
        """All policies, the cheapest first."""
        cost = self.total.cost_per_h
        return PolicyTable(run=self, rows=tuple(int(i) for i in np.argsort(cost, kind="stable")))

    def frontier(self) -> PolicyTable:
        """The policies that no other beats in both risk and cost, the cheapest first."""
        return PolicyTable(run=self, rows=pareto(self._real_risk, self.total.cost_per_h), frontier=True)

    def least_regret(self) -> int:
        """The policy (its number) whose cost is nowhere far above the cheapest: the least largest regret of any series.

        Prices decide: without one for shortage, the least idle headroom wins.
        """
        cost = self.cost_per_h[:, self._counted]
        real = np.where(np.isnan(self._real_risk)[:, None], math.inf, cost)
        return int(np.argmin(np.nanmax(real - np.nanmin(real, axis=0), axis=1)))

    def newsvendor(self) -> int:
        """The policy (its number) with the least cost of idle headroom, requests and shortage together."""
        return int(np.nanargmin(np.where(np.isnan(self._real_risk), math.inf, self.total.cost_per_h)))

    def caption(self) -> str:
        """What was replayed, in a line."""
        setting = self.setting
        judged = f"{len(self.policies):,} policies over {len(self.series):,} series, {span(setting.judged_s)} judged"
        events = len(setting.events)
        what = f"{events} failover{'s' if events != 1 else ''}" if events else "nothing fails"
        looks = f"a look every {span(setting.every * setting.step_s)}"
        return f"{judged}; {what}; {looks}, lead time {span(setting.lead * setting.step_s)}"

    def __repr__(self) -> str:
        """Give the caption and the frontier."""
        return self.frontier().table()

    def _repr_html_(self) -> str:
        return Tabular._repr_html_(self.frontier())


def _ratio(top: NDArray[Any], bottom: NDArray[Any]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        out = np.asarray(top / np.asarray(bottom, dtype=np.float64))
    out[np.asarray(bottom) == 0] = math.nan
    out.setflags(write=False)
    return out
