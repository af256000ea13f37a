"""`Backtest`: what came of each policy, per series and in total; the frontier, the knee, the best for a stated risk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
from .figures import Figures, Totals, frozen, ratio
from .policytable import PolicyTable
from .rules import Rule


def label(policy: object) -> str:
    """What a planner calls a policy."""
    return str(policy) if isinstance(policy, Rule) else name_of(policy)


@dataclass(frozen=True, kw_only=True, eq=False)
class Backtest(Figures):
    """Policies side by side over the same past.

    Figures per policy and series are arrays (P, N), read-only, series in the order of ``series``, in the quota's unit
    unless said otherwise. A moment is a sample at which a failover could have begun.
    """

    cost: Cost
    confidence: float  #: of the intervals
    block: int  #: samples that the bootstrap draws at a time
    seed: int

    # In total.

    @cached_property
    def _mean_usage(self) -> Floats:
        self.setting.check_unchanged()
        means = np.zeros(len(self.series))
        for i in range(len(means)):  # each by itself: the same bits in every memory order
            column = np.ascontiguousarray(self.setting.usage[self.setting.first :, i])
            seen = column[~np.isnan(column)]
            means[i] = seen.mean() if len(seen) else 0.0
        return means

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

    @property
    def _judged(self) -> NDArray[np.bool_]:
        """(P,) was a policy judged wherever others were? One that never wanted a quota is not the cheapest."""
        samples = self.samples[:, self._counted]
        return np.asarray(((samples > 0) | ~self.setting.observed[self._counted]).all(axis=1))

    def _by_price(self, values: Floats) -> Floats:
        """Σ over the series that count."""
        counted = self._counted
        return np.asarray(np.nansum(self._held[counted] * values[..., counted], axis=-1))

    @cached_property
    def total(self) -> Totals:
        """Of each policy over all series."""
        self.setting.check_unchanged()
        value, counted = self._usage_value, self._counted
        risk = ratio(self.fails[:, counted].sum(axis=1), self.moments[:, counted].sum(axis=1))
        per_30d = 30 / (self.setting.judged_s / 86400) / counted.sum()
        short = ratio(self._figures["own_short"][:, counted].sum(axis=1), self.samples[:, counted].sum(axis=1))
        known = np.where(self._judged, 1.0, math.nan)
        totals = Totals(
            coverage=1 - short,
            risk=risk,
            failed_days=known * self.failed_days[:, counted].sum(axis=1) / (self.setting.judged_days * counted.sum()),
            shortfall_frac=known * self._by_price(self.expected_shortfall) / value,
            idle_frac=known * self._by_price(self.idle) / value,
            cost_per_h=known * np.nansum(self.cost_per_h[:, counted], axis=1),
            requests=self.requests[:, counted].sum(axis=1) * per_30d,
            reversals=self.reversals[:, counted].sum(axis=1) * per_30d,
        )
        freeze(vars(totals))
        return totals

    @cached_property
    def excess_frac(self) -> Floats:
        """(P,) by how much ``total.idle_frac`` is above the clairvoyant's at the same risk."""
        excess = np.asarray(self.total.idle_frac - self.clairvoyant.idle_at(self.total.risk))
        return frozen(np.where(np.abs(excess) < 1e-12 * self.total.idle_frac, 0.0, excess))

    @property
    def cost_per_h(self) -> Floats:
        """(P, N) of idle headroom, requests and shortage, an hour."""
        hours = self.setting.judged_s / 3600
        short = self.cost.short(self.setting.world.shape) * ratio(self._figures["own_short_sum"], self.samples)
        return frozen(self._held * self.idle + short + self.cost.per_request * self.requests / hours)

    def quota_path(self, policy: Any) -> Floats:
        """(T, N) the quota that a policy, or the one with that number, had at each sample; NaN before it had one.

        To be drawn beside ``peak``: a failover fails where that is above it.

        Raises
        ------
        InvalidInput
            If there is no such policy, or the usage was changed since.
        """
        self.setting.check_unchanged()
        known = [i for i, one in enumerate(self.policies) if one is policy or (isinstance(one, Rule) and one == policy)]
        return frozen(self.replayed.quotas(known[0] if known else self._number(policy, "policy")))

    @cached_property
    def peak(self) -> Floats:
        """(T, N) the most that a failover beginning at a sample would have needed, in the quota's unit.

        NaN where that is not known, and with ``moments`` wherever none was drawn.
        """
        self.setting.check_unchanged()
        return frozen(self.setting.carried()["peak"])

    # Intervals.

    def blocks(self, which: Sequence[int] | None = None) -> dict[str, Floats]:
        """Fails, moments, cost and hours in blocks of time over all series, (P, B) each: what intervals are made of."""
        self.setting.check_unchanged()
        chosen = list(range(len(self.policies))) if which is None else [self._number(p) for p in which]
        count = math.ceil((len(self.setting.usage) - self.setting.first) / self.block)
        at_a_time = max(1, int(4e6 / max(1, count * len(self.series))))
        parts = [self._blocks(chosen[i : i + at_a_time]) for i in range(0, max(1, len(chosen)), at_a_time)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _number(self, policy: object, argument: str = "which") -> int:
        rule = f"must be the number of a policy, 0 to {len(self.policies) - 1}"
        number = _bridge.whole(policy, argument, rule)
        if not 0 <= number < len(self.policies):
            raise invalid(argument, rule, policy)
        return number

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
        """How many failovers one after the other the judged moments are worth."""
        moments = int(self.moments[:, self._counted].max(initial=0))
        span_s = self.setting.judged_s
        if self.setting.moments is None:  # those one after the other share most of their windows
            span_s = min(span_s, (moments - 1) * self.setting.step_s + self.setting.longest_event_s)
        return min(span_s / max(self.setting.longest_event_s, self.setting.step_s), float(moments))

    def interval(
        self, figure: str, which: Sequence[int] | None = None, confidence: float | None = None
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Lower and upper end of the total "risk" or "cost_per_h" of policies (default: all), (P',) each.

        A paired bootstrap over blocks of time, two-sided. Where not one failover failed the upper end of risk is what
        so many independent failovers without a failure still allow.
        """
        asked = self.confidence if confidence is None else _confidence_of(confidence)
        return self.interval_of(figure, self.blocks(which), asked)

    def interval_of(self, figure: str, blocks: dict[str, Floats], asked: float) -> tuple[Floats, Floats]:
        """The same of what `blocks` gave, so that several figures need one replay."""
        low, high = intervals.limits(self._replicates(figure, blocks), asked)
        if figure == "risk":
            least = intervals.never_failed(self.independent_windows, 1 - (1 - asked) / 2)
            high = np.where(blocks["fails"].sum(axis=1) == 0, np.maximum(high, least), high)
        return low, high

    def difference(self, figure: str, a: int, b: int, confidence: float | None = None) -> tuple[float, float, float]:
        """By how much the total "risk" or "cost_per_h" of policy ``a`` is above that of ``b``, and its interval."""
        asked = self.confidence if confidence is None else _confidence_of(confidence)
        replicates = self._replicates(figure, self.blocks([self._number(a, "a"), self._number(b, "b")]))
        low, high = intervals.limits(replicates[0] - replicates[1], asked)
        values = getattr(self.total, figure)
        return float(values[a] - values[b]), float(low), float(high)

    def _replicates(self, figure: str, blocks: dict[str, Floats]) -> Floats:
        parts = {"risk": ("fails", "moments"), "cost_per_h": ("cost", "hours")}
        if figure not in parts:
            raise invalid("figure", 'must be "risk" or "cost_per_h"', figure)
        top, bottom = (blocks[name] for name in parts[figure])
        return intervals.ratios(intervals.draws(top.shape[1], self.seed), top, bottom)

    # Choices.

    @cached_property
    def _real_risk(self) -> Floats:
        """(P,) the total risk; NaN of policies that know the future, which nobody can choose."""
        known = np.array([isinstance(policy, Clairvoyant) for policy in self.policies])
        return np.where(known | ~self._judged, math.nan, self.total.risk)

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
        real = real[:, ~np.isnan(cost).all(axis=0)]
        if not np.isfinite(real).any():
            return -1
        return int(np.argmin(np.max(real - np.min(real, axis=0), axis=1, initial=-math.inf)))

    def newsvendor(self) -> int:
        """The policy (its number) with the least cost of idle headroom, requests and shortage together; −1: none.

        Of shortage while nothing fails: what a failover lacks has no price here; see its ``total.risk``.
        """
        cost = np.where(np.isnan(self._real_risk) | np.isnan(self.total.cost_per_h), math.inf, self.total.cost_per_h)
        return int(np.argmin(cost)) if np.isfinite(cost).any() else -1

    def caption(self) -> str:
        """What was replayed, in a line."""
        setting = self.setting
        count = "1 policy" if len(self.policies) == 1 else f"{len(self.policies):,} policies"
        judged = f"{count} over {len(self.series):,} series, {span(setting.judged_s)} judged"
        events = len(setting.events)
        what = f"{events} failover{'s' if events != 1 else ''}" if events else "nothing fails"
        looks = f"a look every {span(setting.every * setting.step_s)}"
        return f"{judged}; {what}; {looks}, lead time {span(setting.lead * setting.step_s)}"

    def __repr__(self) -> str:
        """Give the caption and the frontier."""
        return self.frontier().table()

    def _repr_html_(self) -> str:
        return Tabular._repr_html_(self.frontier())


def _confidence_of(value: object) -> float:
    confidence = _bridge.number(value, "confidence", rule="must be a fraction in [0, 1)", least=0)
    if confidence >= 1:
        raise invalid("confidence", "must be a fraction in [0, 1)", value)
    return confidence
