"""`tune`: choose a policy on one part of time and series, and judge it on another."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _bridge
from .._bridge import Duration
from .._table import Column, Tabular, percent, quantity, span
from ..errors import invalid
from ..headroom import ClassicPolicy
from ..history import History
from ..scenario import Scenarios
from .choice import Choice, choose
from .cost import Cost
from .forecast import ForecastRule
from .replayed import Replayed
from .replaying import _block, _confidence, as_policies
from .result import Backtest, label
from .rules import DAY_S, PeakRule, PercentileRule, ThresholdRule, grid, most_needed_s
from .search import Scores, estimate_s, run_of, search
from .setting import Setting
from .sized import SizedRule

METHODS = ("grid", "random", "halving")
#: Rows that a person is shown; all of them are exported.
MOST_SHOWN = 16


def default_policies(history_s: float = math.inf) -> tuple[Any, ...]:
    """The families worth a look, scale and window of each varied; windows of at most a third of the history."""
    windows = [days * DAY_S for days in (1, 3, 7, 14, 30) if days * DAY_S <= history_s / 3] or [DAY_S]
    factors = [1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0]
    return (
        *grid(ForecastRule, factor=[0.9, 0.95, 1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3], quantile=[0.95, 0.98, 0.99]),
        *grid(PeakRule, of="demand", window_s=windows, factor=factors[:9], lower=[None, 0.9]),
        *grid(PeakRule, window_s=windows, factor=factors, lower=[None, 0.9]),
        *grid(PercentileRule, window_s=windows, quantile=[0.9, 0.95, 0.995], factor=factors, lower=[None, 0.9]),
        *grid(ThresholdRule, threshold=[0.4, 0.5, 0.6, 0.7, 0.8], factor=[1.2, 1.5]),
        *(SizedRule(policy=ClassicPolicy(), headroom_factor=f, lower=low) for f in factors for low in (None, 0.9)),
    )


def tune(
    usage: ArrayLike | History,
    *,
    risk: float,
    confidence: float | None = 0.9,
    policies: Iterable[Any] | None = None,
    split: float = 0.5,
    series: float = 0.5,
    method: str = "grid",
    trials: int | None = None,
    state: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    step_s: Duration | None = None,
    scenarios: Scenarios = None,
    lead_time_s: Duration = 3 * DAY_S,
    review_s: Duration | None = None,
    warmup_s: Duration | None = None,
    quota: ArrayLike | None = None,
    regions: Sequence[str] | None = None,
    cost: Cost | None = None,
    moments: int | None = None,
    block_s: Duration | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Tuned:
    """Find the cheapest policy for a stated risk on one part of the past, and say what it did on another.

    Parameters
    ----------
    usage, step_s, scenarios, lead_time_s, review_s, warmup_s, quota, regions, cost, moments, block_s, threads
        As for `backtest`.
    risk : float in (0, 1)
        The share of failovers that may fail.
    confidence : float in [.5, 1) or None, default .9
        How sure that must be on the tuning part (one-sided, block bootstrap); None: the figure counts as it is.
    policies : iterable, optional
        As for `backtest`. Default: `default_policies`, some 500.
    split : float in (0, 1), default .5
        The share of time that is tuned on; the rest is held back.
    series : float in (0, 1], default .5
        The share of quotas (each in all its Regions) that is tuned on; the others are judged. With fewer than four
        quotas, or 1: all in both.
    method : {"grid", "random", "halving"}, default "grid"
        All policies; ``trials`` of them, drawn by ``seed``; or all on a ninth of the tuning time, the best third of
        them on a third, and the best third of those on all of it.
    trials : int, optional
        How many policies are drawn.
    state : path, optional
        A file that keeps what was found: an interrupted search goes on where it was, and ends with the same result.
    progress : callable, optional
        Called with (policies done, policies in all).
    seed : int, default 0
        Of what is drawn: policies, series, blocks and moments.

    Returns
    -------
    Tuned
        ``choice`` on the tuning part, ``held_back`` beside it, ``warning`` where they differ by more than the interval.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value.

    Notes
    -----
    Choosing the best of many on the data that judge them flatters it; so the verdict is that of time, and of quotas,
    that the choice has not seen. Decisions in the held-back time see all that came before them.

    Examples
    --------
    >>> import numpy as np, surgetank
    >>> usage = 100 + 10 * np.sin(np.arange(120 * 24) / 24 * 2 * np.pi)
    >>> surge = surgetank.Scenario(name="surge", source="0", targets={"0": 1.0}, multiplier=2.0, duration_s=3600)
    >>> rules = surgetank.grid(surgetank.PeakRule, factor=[1.5, 2.0, 2.5], window_s=7 * 86400)
    >>> tuned = surgetank.tune(usage, policies=rules, risk=0.01, step_s=3600, scenarios=[surge])
    >>> str(tuned.choice.policy), float(tuned.held_back.risk)
    ('peak ×2 of 7 d', 0.0)
    """
    given = locals()
    begun = _begun(**given)
    scores = search(
        begun.template, begun.policies, begun.tuning, method=method, trials=trials, seed=seed, state=state,
        progress=progress,
    )  # fmt: skip
    return Tuned.of(begun.template, begun.policies, scores, begun.tuning, begun.held_back, risk, confidence)


def estimate_tuning_s(usage: ArrayLike | History, **options: Any) -> float:
    """How long `tune` with the same arguments would search, in seconds: measured on some of the policies."""
    given = inspect.signature(tune).bind(usage, **options)
    given.apply_defaults()
    begun = _begun(**given.arguments)
    method, trials = given.arguments["method"], given.arguments["trials"]
    return estimate_s(begun.template, begun.policies, begun.tuning, method=method, trials=trials)


class _Begun(NamedTuple):
    """What is searched, on what, and what is held back."""

    template: Backtest
    policies: tuple[Any, ...]
    tuning: Setting
    held_back: Setting


def _begun(
    usage: ArrayLike | History, *, risk: float, confidence: float | None, policies: Iterable[Any] | None, split: float,
    series: float, method: str, trials: int | None, step_s: Duration | None, scenarios: Scenarios,
    lead_time_s: Duration, review_s: Duration | None, warmup_s: Duration | None, quota: ArrayLike | None,
    regions: Sequence[str] | None, cost: Cost | None, moments: int | None, block_s: Duration | None, seed: int,
    threads: int, **_: Any,
) -> _Begun:  # fmt: skip
    """Check the arguments of `tune`, all of them: a mistake is not found after an hour's search."""
    share = _bridge.fraction(split, "split")
    if not 0 < share < 1:
        raise invalid("split", "must be a fraction between 0 and 1", split)
    if method not in METHODS:
        raise invalid("method", f"must be one of {', '.join(METHODS)}", method)
    if method == "random" and trials is None:
        raise invalid("trials", "must be given for random search", None)
    if trials is not None and _bridge.whole(trials, "trials", "must be a whole number of at least 1") < 1:
        raise invalid("trials", "must be a whole number of at least 1", trials)
    prices = Cost() if cost is None else cost
    if not isinstance(prices, Cost):
        raise invalid("cost", "must be Cost(...)", cost)
    known = None if policies is None else as_policies(policies)
    whole = Setting.of(
        usage, step_s=step_s, scenarios=scenarios, regions=regions, quota=quota, lead_time_s=lead_time_s,
        review_s=review_s, warmup_s=warmup_s if known or warmup_s is not None else 7 * DAY_S,
        needs_s=most_needed_s(known or ()), moments=moments, seed=seed, threads=threads,
    )  # fmt: skip
    rows = len(whole.usage)
    if known is None:
        known = default_policies(share * rows * whole.step_s)
    cut = whole.first + round((rows - whole.first) * share)
    if not whole.first < cut < rows:
        raise invalid("split", f"must leave something of {span(whole.judged_s)} on either side", split)
    tuned_on, judged_on = _parted(whole, _bridge.fraction(series, "series"), seed)
    tuning, held_back = (
        whole.part(first=whole.first, end=cut, counted=tuned_on),
        whole.part(first=cut, end=rows, counted=judged_on),
    )
    template = Backtest(
        policies=known[:1], setting=tuning, cost=prices,
        confidence=_confidence(0.95 if confidence is None else confidence), block=_block(block_s, tuning),
        seed=_bridge.whole(seed, "seed", "must be a whole number"), replayed=Replayed.of(known[:1], tuning),
    )  # fmt: skip
    choose(template, risk, confidence)  # refuses a risk that cannot be shown, whatever the policy
    return _Begun(template, known, tuning, held_back)


def _parted(setting: Setting, share: float, seed: int) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    """Which series are tuned on, and which judged: whole quotas, so that all their Regions are on one side."""
    if share <= 0:
        raise invalid("series", "must be a fraction in (0, 1]", share)
    groups = np.unique(setting.world.group)
    if len(groups) < 4 or share == 1:
        return None, None
    count = min(len(groups) - 1, max(1, round(len(groups) * share)))
    drawn = np.random.default_rng(seed).permutation(groups)[:count]
    tuned_on = np.isin(setting.world.group, drawn)
    return tuned_on, ~tuned_on


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Tuned(Tabular):
    """A policy chosen on one part of the past, and what it did on another."""

    choice: Choice  #: on the tuning part
    run: Backtest  #: the frontier of the tuning part, and the choice if there is one
    judged: Backtest  #: the same policies on the part that was held back
    risk: float  #: that was asked for
    scores: Scores  #: of all policies, on the tuning part
    policies: tuple[Any, ...]  #: all of them

    @classmethod
    def of(
        cls, template: Backtest, policies: tuple[Any, ...], scores: Scores, tuning: Setting, held_back: Setting,
        risk: float, confidence: float | None,
    ) -> Tuned:  # fmt: skip
        """Choose, and judge what is on the frontier."""
        # Those that may meet the risk, the cheapest first, and those on the frontier: the choice is among them.
        from .choice import AT_A_TIME, pareto

        frontier = pareto(scores.risk, scores.cost_per_h)
        order = np.argsort(scores.cost_per_h, kind="stable")
        meeting = [int(i) for i in order if scores.risk[i] <= risk]
        step, few, choice = 4 * AT_A_TIME, list(frontier), None
        for begin in range(0, max(1, len(meeting)), step):
            few = sorted({*frontier, *meeting[: begin + step]})
            run = run_of(template, [policies[i] for i in few], tuning)
            choice = choose(run, risk, confidence)
            if choice.policy is not None:
                break
        assert choice is not None
        shown = [*frontier] if choice.index < 0 else sorted({*frontier, few[choice.index]})
        kept = [policies[i] for i in shown]
        return cls(
            choice=choice,
            run=run_of(template, kept, tuning),
            judged=run_of(template, kept, held_back),
            risk=float(risk),
            scores=scores,
            policies=policies,
        )

    @cached_property
    def _at(self) -> int:
        """The row of the choice; −1: none."""
        for i, policy in enumerate(self.run.policies):
            if policy is self.choice.policy:
                return i
        return -1

    @cached_property
    def held_back(self) -> Verdict:
        """What the choice did in the time and series that were held back; of the knee where nothing was chosen."""
        at = self._at if self._at >= 0 else self.run.knee
        low, high = self.judged.interval("risk", [at])
        total = self.judged.total
        return Verdict(
            policy=self.judged.policies[at], risk=float(total.risk[at]), risk_low=float(low[0]),
            risk_high=float(high[0]), cost_per_h=float(total.cost_per_h[at]), idle_frac=float(total.idle_frac[at]),
        )  # fmt: skip

    @property
    def warning(self) -> str:
        """A sentence where the held-back risk lies outside the interval of the tuned one, or above what may be."""
        if self._at < 0:
            return self.choice.reason
        found = self.held_back
        low, high = self.run.interval("risk", [self._at])
        shown = f"{percent(found.risk)} of the failovers that were held back failed"
        if found.risk > high[0]:
            tuned = f"the {percent(self.choice.risk)} ({percent(low[0])} to {percent(high[0])}) it was chosen for"
            return f"{shown}, more than {tuned}: do not count on the tuned figure."
        if found.risk > self.risk:
            return f"{shown}, more than the {percent(self.risk)} that may."
        if found.risk < low[0]:
            return f"{shown}, fewer than the tuned part promised ({percent(low[0])} to {percent(high[0])})."
        return ""

    def table(self, width: int | None = None, *, color: bool = False) -> str:
        """Give the text table: of a long frontier what is nearest to the risk that was asked for."""
        if len(self.run.policies) <= MOST_SHOWN:
            return Tabular.table(self, width, color=color)
        far = np.abs(np.log10(np.maximum(self.run.total.risk, 1e-9)) - math.log10(self.risk))
        kept = set(np.argsort(far, kind="stable")[: MOST_SHOWN - 3].tolist())
        kept |= {self._at, self.run.knee, self.run.least_regret()} - {-1}
        shown = _Some(self, sorted(kept, key=lambda i: float(self.run.total.cost_per_h[i])))
        left_out = len(self.run.policies) - len(kept)
        return f"{shown.table(width, color=color)}\n({left_out:,} more in to_pandas(), to_records() and to_arrow())"

    def _caption(self) -> str:
        tuned, judged = span(self.run.setting.judged_s), span(self.judged.setting.judged_s)
        return f"{len(self.policies):,} policies tuned on {tuned}, judged on {judged} that were held back"

    def _columns(self) -> list[Column]:
        run, judged = self.run, self.judged
        rows = list(range(len(run.policies)))
        low, high = judged.interval("risk", rows)
        marks = []
        for i in rows:
            named = [("chosen", self._at), ("knee", run.knee), ("least regret", run.least_regret())]
            named.append(("newsvendor", run.newsvendor()))
            marks.append(", ".join(word for word, at in named if at == i and (word != "newsvendor" or _priced(run))))
        return [
            Column("policy", [label(p) for p in run.policies], "Policy", numeric=False),
            Column("tuned_risk", run.total.risk, "Risk tuned", percent),
            Column("held_back_risk", judged.total.risk, "held back", percent),
            Column("held_back_low", low, "from", percent, priority=2),
            Column("held_back_high", high, "to", percent, priority=2),
            Column("tuned_idle_frac", run.total.idle_frac, "Idle tuned", quantity, priority=1),
            Column("held_back_idle_frac", judged.total.idle_frac, "held back", quantity, priority=1),
            Column("held_back_excess_frac", judged.excess_frac, "excess", quantity, priority=3),
            Column("held_back_cost_per_h", judged.total.cost_per_h, "Cost/h", quantity, priority=4),
            Column("requests_per_30d", judged.total.requests, "Requests", quantity, priority=3),
            Column("mark", marks, "Mark", numeric=False),
        ]

    def _notes(self) -> list[str]:
        notes = [self.choice.reason]
        if self._at >= 0:
            found = self.held_back
            limits = f"{percent(found.risk_low)} to {percent(found.risk_high)}"
            idle = f"{quantity(found.idle_frac)} times the average usage was idle"
            notes.append(f"Held back: {percent(found.risk)} failed ({limits}), and {idle}.")
            if self.warning:
                notes.append(f"Warning: {self.warning}")
        return notes


class _Some(Tabular):
    """A few rows of a table."""

    def __init__(self, whole: Tuned, rows: list[int]) -> None:
        """Keep which."""
        self.whole, self.rows = whole, rows

    def _columns(self) -> list[Column]:
        return [replace(c, values=[c.values[i] for i in self.rows]) for c in self.whole._columns()]

    def _caption(self) -> str:
        return self.whole._caption()

    def _notes(self) -> list[str]:
        return self.whole._notes()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a policy did in the part that was held back."""

    policy: Any
    risk: float
    risk_low: float
    risk_high: float
    cost_per_h: float
    idle_frac: float


def _priced(run: Backtest) -> bool:
    return bool(np.any(np.asarray(run.cost.per_short_unit_h) > 0))
