"""Built-in models of steps: how long the usual steps of a recovery take, as distributions with their sources.

Each is a plain function that returns a `Distribution` (`failback_steps` returns steps), so all of it can be replaced
by what was measured. Published figures are named as such; the shapes between them are assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from .. import _bridge
from .._bridge import Duration
from ..errors import invalid, nearest
from .distributions import Distribution, Fixed, Lognormal, Mixture, Pert, Uniform
from .runbook import Step

MOST_CHECKERS = 1000
MOST_THRESHOLD = 1000
#: At most so long, in seconds: the stages of a failover by hand.
MANUAL_STAGES: Mapping[str, float] = MappingProxyType(
    {"declare": 300.0, "activate": 600.0, "verify": 900.0, "stabilise": 1800.0}
)
_Z_95, _Z_9999 = 1.6448536269514722, 3.719016485455709  # quantiles of the standard normal distribution


def health_check(
    interval_s: Duration = 30.0, threshold: int = 3, checkers: int = 16, healthy_frac: float = 0.18
) -> Distribution:
    """From the first failing request until a health check turns unhealthy.

    Parameters
    ----------
    interval_s : seconds or timedelta
        Between two requests of one checker: 30 s, or 10 s ("fast").
    threshold : int
        How many requests in a row a checker must miss.
    checkers : int
        How many there are. Their phases are independent and uniform in one interval.
    healthy_frac : fraction below 1
        Unhealthy once at most this share of the checkers still report healthy.

    Returns
    -------
    Distribution
        In seconds. With the defaults between 60 and 90 s, half of them above 85.1 s.

    Notes
    -----
    A checker whose first miss comes u after onset reports unhealthy at u + (threshold − 1)·interval. The check turns
    with the k-th of them, k = checkers − ⌊healthy_frac·checkers⌋, and the k-th of n uniform phases has the
    distribution Beta(k, n + 1 − k) (David and Nagaraja, Order Statistics, 2003), which is a `Pert`.
    Published: 10 or 30 s, threshold 3, and "more than 18 % report healthy" (Amazon Route 53 Developer Guide, "How
    Amazon Route 53 determines whether a health check is healthy"). Assumed: 16 checkers, a request that fails at once.
    `Fixed(90)` is the usual simplification.

    Examples
    --------
    >>> health_check()
    Pert(low_s=60.0, likely_s=86.0, high_s=90.0, weight=15.0)
    """
    interval = _bridge.duration_s(interval_s, "interval_s", above=True)
    misses = _whole(threshold, "threshold", MOST_THRESHOLD)
    n = _whole(checkers, "checkers", MOST_CHECKERS)
    healthy = _bridge.fraction(healthy_frac, "healthy_frac")
    if healthy == 1:
        raise invalid("healthy_frac", "must be below 1", healthy_frac)
    k = n - math.floor(healthy * n + 1e-9)
    low, high = (misses - 1) * interval, misses * interval
    if n == 1:
        return Uniform(low, high)
    return Pert(low, low + interval * (k - 1) / (n - 1), high, n - 1)


def dns(ttl_s: Duration = 60.0, longest_s: Duration = 300.0, holding_frac: float = 1.0) -> Distribution:
    """From the change of a DNS record until a client uses it.

    Parameters
    ----------
    ttl_s : seconds or timedelta
        The record's time to live, after which a client resolves afresh.
    longest_s : seconds or timedelta
        Until when those that hold on to the old answer have let go of it.
    holding_frac : fraction
        The share of clients that hold on longer than the TTL, uniform from ``ttl_s`` to ``longest_s``.

    Returns
    -------
    Distribution
        In seconds: a mixture where only a share holds on.

    Notes
    -----
    Assumptions all: a TTL of 60 s (recommended for failover records: Amazon Route 53 Developer Guide, "Values that are
    common for all routing policies", TTL), and clients that are done between 60 and 300 s.

    Examples
    --------
    >>> dns(), dns(holding_frac=0)
    (Uniform(low_s=60.0, high_s=300.0), Fixed(value_s=60.0))
    """
    ttl = _bridge.duration_s(ttl_s, "ttl_s")
    longest = _bridge.duration_s(longest_s, "longest_s")
    holding = _bridge.fraction(holding_frac, "holding_frac")
    if longest < ttl:
        raise invalid("longest_s", f"must be at least ttl_s {ttl:g}", longest_s)
    fresh, late = Fixed(ttl), Uniform(ttl, longest)
    if holding in (0, 1):
        return late if holding else fresh
    return Mixture([(1 - holding, fresh), (holding, late)])


def warm_up(prewarmed: bool = False, longest_s: Duration = 300.0) -> Distribution:
    """Until what was started serves at full speed: caches, connections, just-in-time compilers.

    Nothing where it was pre-warmed, otherwise uniform up to ``longest_s`` (an assumption).

    Examples
    --------
    >>> warm_up(), warm_up(prewarmed=True)
    (Uniform(low_s=0.0, high_s=300.0), Fixed(value_s=0.0))
    """
    longest = _bridge.duration_s(longest_s, "longest_s")
    if not isinstance(prewarmed, bool):
        raise invalid("prewarmed", "must be True or False", prewarmed)
    return Fixed(0.0) if prewarmed else Uniform(0.0, longest)


def multi_az_failover() -> Lognormal:
    """From the failure of a database instance until its standby in another zone answers: median 85 s, p95 150 s.

    Published: "typically 60–120 seconds" (Amazon RDS User Guide, "Failing over a Multi-AZ DB instance"); large
    transactions take longer. Assumed: lognormal, with about two thirds of all inside that range.

    Examples
    --------
    >>> multi_az_failover()
    Lognormal(median_s=85.0, p95_s=150.0)
    """
    return Lognormal(85.0, 150.0)


def replication_lag(kind: str = "dynamodb") -> Lognormal:
    """How far a copy in another Region is behind at a random moment.

    Parameters
    ----------
    kind : "dynamodb" or "s3-rtc"
        DynamoDB global tables: "typically within a second" (Amazon DynamoDB Developer Guide), no bound; assumed:
        median 1 s, p95 3 s. S3 with replication time control: 99.99 % within 15 min (Amazon S3 User Guide), "most
        objects within seconds"; assumed: median 15 s.

    Examples
    --------
    >>> replication_lag("dynamodb")
    Lognormal(median_s=1.0, p95_s=3.0)
    """
    if kind == "dynamodb":
        return Lognormal(1.0, 3.0)
    if kind == "s3-rtc":  # the lognormal with that median of which 99.99 % lie within 15 min
        return Lognormal(15.0, 15.0 * (900.0 / 15.0) ** (_Z_95 / _Z_9999))
    rule = f"must be one of dynamodb, s3-rtc{nearest(kind, ('dynamodb', 's3-rtc')) if isinstance(kind, str) else ''}"
    raise invalid("kind", rule, kind)


def snapshot_age(interval_s: Duration) -> Uniform:
    """How old the last snapshot is when a failure comes: uniform up to the interval between two.

    What it took until the snapshot was usable elsewhere is ``copy`` of a `DataStore`.

    Examples
    --------
    >>> snapshot_age(3600)
    Uniform(low_s=0.0, high_s=3600.0)
    """
    return Uniform(0.0, _bridge.duration_s(interval_s, "interval_s", above=True))


def manual_stage(stage: str) -> Pert:
    """A stage of a failover by hand: "declare", "activate", "verify" or "stabilise".

    At most 5, 10, 15 and 30 min. Assumed: at least a fifth of that, most likely three fifths.

    Examples
    --------
    >>> manual_stage("declare")
    Pert(low_s=60.0, likely_s=180.0, high_s=300.0, weight=4.0)
    """
    if not isinstance(stage, str) or stage not in MANUAL_STAGES:
        hint = nearest(stage, MANUAL_STAGES) if isinstance(stage, str) else ""
        raise invalid("stage", f"must be one of {', '.join(MANUAL_STAGES)}{hint}", stage)
    most = MANUAL_STAGES[stage]
    return Pert(most / 5, most * 3 / 5, most)


def quota_increase() -> Lognormal:
    """From asking for a quota increase until it applies, where it is not denied: median 24 h, p95 120 h.

    Assumptions: small increases are often granted at once, large ones go to people.

    Examples
    --------
    >>> quota_increase()
    Lognormal(median_s=86400.0, p95_s=432000.0)
    """
    return Lognormal(86_400.0, 432_000.0)


def failback_steps(after: str | Sequence[str] = ()) -> list[Step]:
    """Going home: 2 h of stable service first, then 10 %, 50 % and 100 % of the load.

    Parameters
    ----------
    after : str or sequence of str
        What the first of them waits for; nothing in a runbook of its own.

    Returns
    -------
    list of Step
        "stable", "10 % back" (held for 15 min), "50 % back" (held for 30 min), "100 % back". All of it is the usual
        practice, not a measurement.

    Examples
    --------
    >>> [step.name for step in failback_steps()]
    ['stable', '10 % back', '50 % back', '100 % back']
    """
    return [
        Step("stable", 7200.0, after=after),
        Step("10 % back", 900.0, after="stable"),
        Step("50 % back", 1800.0, after="10 % back"),
        Step("100 % back", 0.0, after="50 % back"),
    ]


def _whole(value: object, argument: str, most: int) -> int:
    rule = f"must be a whole number in [1, {most}]"
    result = _bridge.whole(value, argument, rule)
    if not 1 <= result <= most:
        raise invalid(argument, rule, value)
    return result


#: The models that a runbook file may name as a duration.
MODELS: Mapping[str, Callable[..., Distribution]] = MappingProxyType(
    {
        "health-check": health_check,
        "dns": dns,
        "warm-up": warm_up,
        "multi-az-failover": multi_az_failover,
        "replication-lag": replication_lag,
        "snapshot-age": snapshot_age,
        "manual-stage": manual_stage,
        "quota-increase": quota_increase,
    }
)
