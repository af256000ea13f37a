"""`tune`: choose a policy on one part of time and series, and judge it on another."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _bridge
from .._bridge import Duration
from .._table import span
from ..errors import invalid
from ..headroom import ClassicPolicy
from ..history import History
from ..scenario import Scenarios
from .choice import choose
from .cost import Cost
from .forecast import ForecastRule
from .replayed import Replayed
from .replaying import _confidence, as_cost, as_policies, block_of
from .result import Backtest
from .rules import DAY_S, PeakRule, PercentileRule, ThresholdRule, grid, most_needed_s
from .search import estimate_s, search
from .setting import Setting
from .sized import SizedRule
from .tuned import Tuned

METHODS = ("grid", "random", "halving")


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
        As for `backtest`. Default: `default_policies`, some 600.
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
    Choosing the best of many on the data that judge them flatters it, and ``confidence`` is of each policy by itself,
    not of the best of many, nor of a future unlike the past; so the verdict is that of time, and of quotas, that the
    choice has not seen. Decisions in the held-back time see all that came before them.

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
    threads: int, progress: Callable[[int, int], None] | None, **_: Any,
) -> _Begun:  # fmt: skip
    """Check the arguments of `tune`, all of them: a mistake is not found after an hour's search."""
    share = _bridge.fraction(split, "split")
    if not 0 < share < 1:
        raise invalid("split", "must be a fraction between 0 and 1", split)
    if method not in METHODS:
        raise invalid("method", f"must be one of {', '.join(METHODS)}", method)
    if method == "random" and trials is None:
        raise invalid("trials", "must be given for random search", None)
    if progress is not None and not callable(progress):
        raise invalid("progress", "must be callable, with how many are done and of how many", progress)
    if trials is not None and _bridge.whole(trials, "trials", "must be a whole number of at least 1") < 1:
        raise invalid("trials", "must be a whole number of at least 1", trials)
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
    _check_judged(tuning, "tuned on")
    _check_judged(held_back, "held back")
    template = Backtest(
        policies=known[:1], setting=tuning, cost=as_cost(cost, whole),
        confidence=_confidence(0.95 if confidence is None else confidence), block=block_of(block_s, tuning),
        seed=seed, replayed=Replayed.of(known[:1], tuning),
    )  # fmt: skip
    choose(template, risk, confidence)  # refuses a risk that cannot be shown, whatever the policy
    return _Begun(template, known, tuning, held_back)


def _check_judged(part: Setting, name: str) -> None:
    peak = part.carried()["peak"][part.first :]
    known = ~np.isnan(peak if part.counted is None else peak[:, part.counted])
    if not known.any():
        rule = f"must let a failover be judged in the part that is {name}, {span(part.judged_s)}: what would have been"
        raise invalid("usage", f"{rule} carried is known at no moment of it", "0 moments")


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
