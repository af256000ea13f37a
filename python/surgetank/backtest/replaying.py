"""`backtest`: which policy would have kept us safe, and at what cost?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _bridge
from .._bridge import Duration
from ..errors import invalid
from ..headroom.policy import Policy
from ..history import History
from ..scenario import Scenarios
from .cost import Cost
from .custom import decide_of
from .intervals import MOST_BLOCKS
from .replayed import Replayed
from .result import Backtest
from .rules import DAY_S, Rule, most_needed_s
from .setting import Setting
from .sized import SizedRule

#: Blocks that a caller may ask for: each costs the memory of all replicates.
MOST_GIVEN_BLOCKS = 2000


def backtest(
    usage: ArrayLike | History,
    *,
    policies: Iterable[Any],
    step_s: Duration | None = None,
    scenarios: Scenarios = None,
    lead_time_s: Duration = 3 * DAY_S,
    review_s: Duration | None = None,
    warmup_s: Duration | None = None,
    quota: ArrayLike | None = None,
    regions: Sequence[str] | None = None,
    cost: Cost | None = None,
    moments: int | None = None,
    confidence: float = 0.95,
    block_s: Duration | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Backtest:
    """Replay policies over the past: what each would have asked for, when it would have had it, and whether that held.

    Parameters
    ----------
    usage : (T,), (T, R) or (T, S, R) numbers, a frame, or History
        What was consumed at equal steps, oldest first, ≥ 0 in the quota's unit; NaN for not observed. The last axis is
        the Region.
    policies : iterable
        Rules (`PercentileRule`, `PeakRule`, `ThresholdRule`, `ForecastRule`, `LearnedRule`, `SizedRule`,
        `Clairvoyant`), headroom policies (`QuantilePolicy`, `ClassicPolicy`), or your own: a callable, or an object
        with ``decide``, that takes a `Past` and gives the quotas it wants. `grid` makes many.
    step_s : float (seconds) or timedelta
        One step; History and frames know their own.
    scenarios : as for `size_headroom`
        The failovers that are injected. Default: none, and only usage itself must fit.
    lead_time_s : float (seconds) or timedelta, default 3 days
        From a request until it applies. One request may be open for each quota.
    review_s : float (seconds) or timedelta, default 1 day
        From one decision to the next; ``step_s``: at every sample.
    warmup_s : float (seconds) or timedelta, optional
        What comes before the first sample that is judged. Default: the longest window of the policies.
    quota : (R,) or (S, R) numbers, optional
        The quotas at the start. Default, and where NaN: each policy sets its own at the end of the warm-up.
    regions : sequence of str, optional
        Names along the last axis, needed where scenarios name Regions.
    cost : Cost, optional
        Prices. Default: idle headroom is counted in multiples of each series' average usage.
    moments : int, optional
        Failovers begin at so many moments, drawn by ``seed``. Default: at every one.
    confidence : float in [.5, 1), default .95
        Of the intervals.
    block_s : float (seconds) or timedelta, optional
        What the bootstrap draws at a time. Default: whole days, at most 60 blocks, none shorter than a failover.
    seed : int, default 0
        Of the bootstrap and of the moments drawn.
    threads : int, default 1
        0: all of the machine's. The answer is the same.

    Returns
    -------
    Backtest
        Figures per policy and series, (P, N) each, and in total; ``table()``, ``frontier()``, ``knee``, ``best()``.

    Raises
    ------
    InvalidInput
        Names the argument, the rule and the value. A policy of yours that raises, writes into what it is shown, or
        returns no quotas is named with the moment.

    Notes
    -----
    Rolling origin (Tashman, "Out-of-sample tests of forecasting accuracy", 2000): a decision is made at the end of a
    sample, from that and earlier ones alone; what is asked for then applies ``lead_time_s`` later. A failover that
    begins at a moment fits where the largest demand over its duration, own usage plus what lands, is at most the quota
    at that moment: there is no increase while it lasts (AWS Well-Architected, REL01-BP06). Of several events the worst
    counts. Windows count that lie within the history and of which at least half was observed.

    Calls share no state; the GIL is released. Bit-identical for any number of threads and any instruction set.

    Examples
    --------
    >>> import numpy as np, surgetank
    >>> usage = 100 + 10 * np.sin(np.arange(90 * 24) / 24 * 2 * np.pi)
    >>> rules = surgetank.grid(surgetank.PeakRule, factor=[1.8, 2.0, 2.5], window_s=7 * 86400)
    >>> surge = surgetank.Scenario("surge", source="0", targets={"0": 1.0}, multiplier=2.0, duration_s=3600)
    >>> run = surgetank.backtest(usage, policies=rules, step_s=3600, scenarios=[surge])
    >>> run.total.risk.round(3).tolist(), run.best(risk=0.01).policy.factor
    ([0.542, 0.0, 0.0], 2.0)
    """
    chosen = as_policies(policies)
    setting = Setting.of(
        usage, step_s=step_s, scenarios=scenarios, regions=regions, quota=quota, lead_time_s=lead_time_s,
        review_s=review_s, warmup_s=warmup_s, needs_s=most_needed_s(chosen), moments=moments, seed=seed,
        threads=threads,
    )  # fmt: skip
    run = Backtest(
        policies=chosen,
        setting=setting,
        cost=as_cost(cost, setting),
        confidence=_confidence(confidence),
        block=block_of(block_s, setting),
        seed=seed,
        replayed=Replayed.of(chosen, setting),
    )
    _check_aligned(run)
    return run


def as_policies(policies: object) -> tuple[Any, ...]:
    """Rules as they are, headroom policies as rules, callables; anything else is refused."""
    if isinstance(policies, Rule | Policy | str) or not isinstance(policies, Iterable):
        raise invalid("policies", "must be a list of policies", policies)
    given = tuple(policies)
    if not given:
        raise invalid("policies", "must hold at least one", "none")
    return tuple(_as_policy(policy, i) for i, policy in enumerate(given))


def _as_policy(policy: Any, i: int) -> Any:
    if isinstance(policy, Rule):
        return policy
    if isinstance(policy, Policy) and not isinstance(policy, type):
        return SizedRule(policy=policy)
    if decide_of(policy) is None:
        rule = "must be a rule, a headroom policy, or a callable that takes a Past and gives quotas"
        raise invalid(f"policies[{i}]", rule, policy)
    return policy


def _confidence(value: object) -> float:
    result = _bridge.number(value, "confidence", rule="must be a fraction in [.5, 1)", least=0.5)
    if result >= 1:
        raise invalid("confidence", "must be a fraction in [.5, 1)", value)
    return result


def as_cost(cost: Cost | None, setting: Setting) -> Cost:
    """Prices that fit the series; the default where none are given."""
    prices = Cost() if cost is None else cost
    if not isinstance(prices, Cost):
        raise invalid("cost", "must be Cost(...)", cost)
    prices.check(setting.world.shape)
    return prices


def block_of(block_s: Duration | None, setting: Setting) -> int:
    """Samples that the bootstrap draws at a time."""
    judged = len(setting.usage) - setting.first
    if block_s is not None:
        block = min(judged, setting.samples_in(_bridge.duration_s(block_s, "block_s", above=True)))
        if math.ceil(judged / block) > MOST_GIVEN_BLOCKS:
            raise invalid("block_s", f"must make at most {MOST_GIVEN_BLOCKS:,} blocks of what is judged", block_s)
        return block
    days = max(1.0, math.ceil(setting.judged_s / MOST_BLOCKS / DAY_S), math.ceil(setting.longest_event_s / DAY_S))
    return min(judged, max(math.ceil(days * DAY_S / setting.step_s - 1e-9), math.ceil(judged / MOST_BLOCKS)))


def _check_aligned(run: Backtest) -> None:
    """Regions whose loads were never known together cannot be judged, and a risk of nothing is no answer."""
    setting = run.setting
    unjudged = np.flatnonzero((run.moments.max(axis=0) == 0) & setting.observed)
    if not len(unjudged):
        return
    known = np.asarray(~np.isnan(setting.carried()["peak"][setting.first :]).all(axis=0))
    for i in unjudged[~known[unjudged]]:  # of the others no policy ever wanted a quota
        name = setting.world.names[i]
        rule = (
            f"must cover a failover: at no judged moment are the usage of {name!r} and all that would land there known "
            "for as long as it lasts; are the Regions aligned, and is the history long enough?"
        )
        raise invalid("usage", rule, "0 moments")
