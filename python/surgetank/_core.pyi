"""The C++ core: strict about its arguments. Shapes: T samples, N series; float64 unless said otherwise."""

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

def cpu() -> str: ...  # "plain", "x86-64-v2", "x86-64-v3", "x86-64-v4"
def cpu_levels() -> list[str]: ...  # what this machine and build can run

class SummaryColumns(TypedDict):
    count: NDArray[np.int64]  # (N,) observed samples
    mean: NDArray[np.float64]  # (N,), all of these in the unit of usage, NaN where nothing was observed
    sigma_population: NDArray[np.float64]  # (N,)
    slope: NDArray[np.float64]  # (N,) per step
    min: NDArray[np.float64]  # (N,)
    max: NDArray[np.float64]  # (N,)
    last: NDArray[np.float64]  # (N,)
    last_index: NDArray[np.int64]  # (N,), -1 where nothing was observed
    quantiles: NDArray[np.float64] | None  # (Q, N), None without quantiles

def summarize(
    usage: NDArray[np.float64],  # (T, N), any positive strides
    quantiles: list[float],  # in [0, 1]
    threads: int,  # 0: all
) -> SummaryColumns: ...

class RollingSigmaOptions:
    window: int  # samples
    threshold: float  # sample standard deviations
    exclude_current: bool
    def __init__(self) -> None: ...
    def check(self) -> None: ...

class SpikeOutputs:
    flags: bool
    scores: bool
    likelihood: bool
    ratios: bool
    episodes: bool
    def __init__(self) -> None: ...

class SpikeColumns(TypedDict):
    flags: NDArray[np.bool_] | None  # (T, N), None where not asked for
    scores: NDArray[np.float64] | None  # (T, N)
    likelihood: NDArray[np.float64] | None  # (T, N), in [0, 1]
    ratios: NDArray[np.float64] | None  # (T, N)
    episodes: dict[str, NDArray[Any]] | None  # columns series, start, end, peak, ratio; one item per episode
    count: NDArray[np.int64]  # (N,)
    p95_ratio: NDArray[np.float64]  # (N,)
    max_ratio: NDArray[np.float64]  # (N,)

class AdaptiveOptions:
    threshold: float  # decades of rarity
    both: bool  # False: upward spikes alone
    step_s: float
    def __init__(self) -> None: ...
    def check(self) -> None: ...

class AdaptiveStream:
    def __init__(self, options: AdaptiveOptions, series: int) -> None: ...
    def update(
        self,
        usage: NDArray[np.float64],  # (n, series), any positive strides
        outputs: SpikeOutputs,
        threads: int,
    ) -> SpikeColumns: ...
    def save(self) -> bytes: ...
    @staticmethod
    def restore(bytes: bytes) -> AdaptiveStream: ...
    head_length: int  # of the class
    @staticmethod
    def length(bytes: bytes) -> int: ...  # of all bytes that begin with these head_length
    @property
    def series(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def options(self) -> AdaptiveOptions: ...

def adaptive(
    usage: NDArray[np.float64],  # (T, N), any positive strides
    options: AdaptiveOptions,
    outputs: SpikeOutputs,
    threads: int,  # 0: all
) -> SpikeColumns: ...
def rolling_sigma(
    usage: NDArray[np.float64],  # (T, N), any positive strides
    options: RollingSigmaOptions,
    outputs: SpikeOutputs,
    threads: int,  # 0: all
) -> SpikeColumns: ...

class ClassicOptions:
    cost_cap: float  # unit of cost_per_unit × the quota's unit
    trend_per_hour: bool
    history_s: float  # seconds
    def __init__(self) -> None: ...
    def check(self) -> None: ...

class Clock:
    step_s: float
    age_s: float  # seconds from the last sample to now
    stale_after_s: float  # NaN: the longer of 1 h and 12 steps
    def __init__(self) -> None: ...

class Quotas:
    quota: NDArray[np.float64]  # (N,) in the quota's unit, NaN: not known
    cost_per_unit: NDArray[np.float64]  # (N,)
    warning_frac: NDArray[np.float64]  # (N,)
    critical_frac: NDArray[np.float64]  # (N,)
    adjustable: NDArray[np.bool_]  # (N,)
    region: NDArray[np.int64]  # (N,) number of the Region
    group: NDArray[np.int64]  # (N,) the same number: the same quota in different Regions
    def __init__(self) -> None: ...
    def __copy__(self) -> Quotas: ...

class ClassicScenario:
    targets: list[int]  # numbers of Regions
    target_multiplier: float
    probability: float
    impact: str
    def __init__(self) -> None: ...

class HeadroomColumns(TypedDict):  # (N,) each; see Headroom in headroom.hpp
    usage: NDArray[np.float64]
    day_peak: NDArray[np.float64]
    age_s: NDArray[np.float64]  # seconds
    base: NDArray[np.float64]
    failover: NDArray[np.float64]
    spike: NDArray[np.float64]
    needed: NDArray[np.float64]
    required: NDArray[np.float64]
    available: NDArray[np.float64]
    utilization: NDArray[np.float64]  # fraction
    day_utilization: NDArray[np.float64]  # fraction
    shortfall: NDArray[np.float64]
    status: list[str]  # OK, WARNING, CRITICAL, UNKNOWN
    unknown: list[str]  # none, no_usage, stale, no_quota, no_source
    limit: list[str]  # none, maximum, cost_cap, not_adjustable

class ClassicColumns(HeadroomColumns):  # (N,) each; see ClassicHeadroom in headroom_classic.hpp
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    base_frac: NDArray[np.float64]
    failover_frac: NDArray[np.float64]
    spike_frac: NDArray[np.float64]
    classic_required: NDArray[np.float64]
    classic_utilization: NDArray[np.float64]  # fraction
    term: list[str]  # the term of the rule that decides needed
    scenario: list[int]  # which scenario where term is "scenario", else -1

def classic_headroom(
    usage: NDArray[np.float64],  # (T, N), oldest first; the last history_s and the last 24 h are read
    clock: Clock,
    quotas: Quotas,
    spike_ratio: NDArray[np.float64],  # (N,) usage/expected, NaN: no spikes
    scenarios: list[ClassicScenario],
    options: ClassicOptions,
) -> ClassicColumns: ...

class QuantileOptions:
    risk: float
    risk_normal: float  # NaN: risk
    normal_duration_s: float
    lead_time_s: float
    review_s: float
    lead_time_p95_s: float
    growth: float  # factor; NaN: estimated
    history_s: float
    fitted: bool
    confidence: float  # 0: no intervals
    cost_cap: float
    def __init__(self) -> None: ...
    def check(self) -> None: ...

def wanted_headroom(
    usage: NDArray[np.float64],  # (T, N), any positive strides
    clock: Clock,
    quotas: Quotas,
    wanted: NDArray[np.float64],  # (N,) the quota that somebody wants; NaN: no opinion
) -> HeadroomColumns: ...

class Flow:  # weight × usage of the source lands on the target; source = target: on top of its own
    def __init__(self, source: int, target: int, weight: float) -> None: ...

class Event:
    def __init__(self, duration_s: float, failed: list[int], flows: list[Flow]) -> None: ...

class JointColumns(TypedDict):
    moments: float
    fits: float
    risk_bound: float
    quotas: float

class QuantileColumns(HeadroomColumns):  # (N,) each; see QuantileHeadroom in headroom_quantile.hpp
    need: NDArray[np.float64]
    need_low: NDArray[np.float64]
    need_high: NDArray[np.float64]
    needed_low: NDArray[np.float64]
    needed_high: NDArray[np.float64]
    growth: NDArray[np.float64]  # factor
    n_eff: NDArray[np.float64]
    probability_enough: NDArray[np.float64]
    probability_enough_low: NDArray[np.float64]
    probability_enough_high: NDArray[np.float64]
    ask_in_s: NDArray[np.float64]  # seconds from now
    quota_ok: NDArray[np.float64]
    event: list[int]  # 0 nothing fails, e the e-th event, -1 unknown
    event_needs: dict[str, NDArray[np.float64]]  # (N, 1 + E) each; see EventNeed in headroom_quantile.hpp
    joint: list[JointColumns]  # (E)

def quantile_headroom(
    usage: NDArray[np.float64],  # (T, N), oldest first
    clock: Clock,
    quotas: Quotas,
    events: list[Event],
    options: QuantileOptions,
) -> QuantileColumns: ...

class AllocationOptions:
    unplaced: float
    alpha: float
    threads: int
    def __init__(self) -> None: ...

Sets = tuple[NDArray[np.int64], NDArray[np.int64]]  # offsets and members: set i is members[offsets[i]:offsets[i + 1]]

class BindingColumns(TypedDict):  # (B,) each, service by service, the most costly first
    service: NDArray[np.int64]
    failed: Sets
    sources: Sets
    moment: NDArray[np.int64]
    weight: NDArray[np.float64]
    need: NDArray[np.float64]
    full: Sets

class BrokenColumns(TypedDict):  # of an infeasible service
    failed: list[int]
    sources: list[int]
    moment: int
    missing: float
    full: list[int]
    shortfall: NDArray[np.float64]  # (F,)

class AllocationColumns(TypedDict):  # (R, S) for those of a Region and service, (S,) for those of a service
    headroom: NDArray[np.float64]
    price: NDArray[np.float64]
    raise_price: NDArray[np.float64]
    owed: NDArray[np.float64]
    over: NDArray[np.float64]
    feasible: NDArray[np.bool_]
    cost: NDArray[np.float64]
    peaks_cost: NDArray[np.float64]
    unplaced: NDArray[np.float64]
    bound: NDArray[np.float64]
    gap: NDArray[np.float64]
    excess: NDArray[np.float64]
    cuts: NDArray[np.int64]
    steps: NDArray[np.int64]
    moments: NDArray[np.int64]
    binding: BindingColumns
    broken: dict[int, BrokenColumns]

def allocate(
    load: NDArray[np.float64],  # (T, S·R), in the quota's unit; NaN: not observed
    existing: NDArray[np.float64],  # (T, S·R) or (1, S·R)
    reserved: NDArray[np.float64],  # (S·R)
    multiplier: NDArray[np.float64],  # (S·R)
    critical: NDArray[np.float64],  # (S,) shares
    cost: NDArray[np.float64],  # (S·R) per unit
    raisable: NDArray[np.float64],  # (S·R)
    share: NDArray[np.float64],  # (R, R) or (S·R, R): from row to column, of what leaves the row
    any: int,  # any so many Regions; 0: sets
    sets: list[list[int]],
    options: AllocationOptions,
) -> AllocationColumns: ...
def transfers(
    load: NDArray[np.float64],
    existing: NDArray[np.float64],
    reserved: NDArray[np.float64],
    multiplier: NDArray[np.float64],
    critical: NDArray[np.float64],
    cost: NDArray[np.float64],
    raisable: NDArray[np.float64],
    share: NDArray[np.float64],
    headroom: NDArray[np.float64],  # (S·R)
    service: int,
    failed: list[list[int]],
) -> list[tuple[NDArray[np.float64], float, int]]: ...  # flow (R, R), what stays unplaced, the moment

class ProportionalOptions:
    share_cap: float
    room_cap: float
    def __init__(self) -> None: ...
    def check(self) -> None: ...

def share_out(
    need: NDArray[np.float64],  # (S,)
    free: NDArray[np.float64],  # (S, R)
    preference: NDArray[np.float64],  # (S, R)
    options: ProportionalOptions,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...  # taken (S, R), shortfall (S,)

class Distribution:
    """Of a duration in seconds; kinds and parameters as in cpp/surgetank/sampling_distribution.hpp."""

    def __init__(self, kind: str, parameters: list[float], parts: list[Distribution] = ...) -> None: ...
    def truncated(self, low: float, high: float) -> Distribution: ...
    def cdf(self, seconds: float) -> float: ...
    def quantile(self, p: float) -> float: ...
    def support(self) -> tuple[float, float]: ...
    def sample(self, n: int, seed: int) -> NDArray[np.float64]: ...  # (n,)

def fit_quantiles(kind: str, low: float, likely: float, high: float, confidence: float) -> list[float]: ...

recovery_bins: tuple[int, int, int]  # exponent of 2 at which bin 1 begins, bins an octave, octaves

def philox(counter: list[int], key: list[int]) -> list[int]: ...  # four words of one counter, two of a key

class RecoveryStep:
    name: str
    duration: Distribution
    after: list[int]
    option: list[int]  # per predecessor; −1: whatever was taken
    any: bool
    failure: float
    retries: int
    retry_after: Distribution
    fallback: int
    loadings: list[tuple[int, float]]
    coupling: int
    options: list[float]
    def __init__(self) -> None: ...

class RecoveryStore:
    def __init__(self, name: str, lag: Distribution, copy: Distribution) -> None: ...

class Coupling:
    def __init__(
        self, served: NDArray[np.float64], starts: NDArray[np.int64], lacking: NDArray[np.int64]
    ) -> None: ...  # (M), (M + 1), any

class RecoveryCapacity:
    def __init__(self, quotas: list[str], couplings: list[Coupling], lead: Distribution, denial: float) -> None: ...

class TimeColumns(TypedDict):
    finite: int
    within: list[int]
    sum: int  # in 1/1024 s
    squares: int
    least: float
    most: float
    histogram: NDArray[np.uint64]

class RecoveryColumns(TypedDict):  # counts of trials
    trials: int
    clocks: list[TimeColumns]
    points: list[TimeColumns]
    met: list[int]
    ready: list[TimeColumns]
    fits: int
    fits_within: list[int]
    lacking: list[int]
    last: list[int]
    served: NDArray[np.uint64] | None
    paths: int
    critical: list[int]
    ran: list[int]
    ran_ended: list[int]
    critical_quanta: list[int]
    ran_quanta: list[int]

class RecoveryModel:
    def __init__(
        self,
        steps: list[RecoveryStep],
        factors: list[str],
        stores: list[RecoveryStore],
        done: list[int],
        detection: int,
        declaration: int,
    ) -> None: ...
    def run(
        self,
        seed: int,
        first: int,
        trials: int,
        targets: list[float],
        point_targets: list[float],
        threads: int,
        capacity: RecoveryCapacity | None = None,
    ) -> RecoveryColumns: ...
    def select(
        self,
        seed: int,
        first: int,
        trials: int,
        threads: int,
        capacity: RecoveryCapacity | None,
        clock: int,
        ranks: list[int],
    ) -> list[float]: ...

def _raise(kind: str, message: str) -> None: ...

class BacktestCalendar:
    step_s: float
    first: int  # the first sample judged, at least 1
    every: int  # samples from one decision to the next; the first is made at the end of sample first − 1
    lead: int  # samples from the end of a decision's sample until its quota applies
    offset_s: float  # from midnight to the first sample
    cvar_frac: float  # the share of moments that tail_sum is over; 0: none
    moments: list[int]  # samples at which failovers begin, ascending; empty: all
    def __init__(self) -> None: ...

class BacktestStatistic:  # a quantile of a trailing window of samples; not −1: the number of a forecast or an array
    def __init__(self, of_demand: bool, window: int, quantile: float, seasonal: int, given: int) -> None: ...

class BacktestSeasonal:  # see Seasonal in backtest_seasonal.hpp
    quantile: float  # of past ratios of peak to forecast
    level_quantile: float  # of a day's demand
    up_d: float  # days, half-lives of the level
    down_d: float
    clip: float
    seasons: float  # weeks
    half_life_d: float  # days, of the ratios
    annual: float
    def __init__(self) -> None: ...
    def check(self) -> None: ...

def backtest_replay(
    usage: NDArray[np.float64],  # (T, N), any positive strides
    quotas: Quotas,  # .quota: at the start, NaN: each rule's own; region and group
    events: list[Event],
    calendar: BacktestCalendar,
    statistics: list[BacktestStatistic],
    seasonals: list[BacktestSeasonal],
    statistic: NDArray[np.int64],  # (P,) the number of the statistic that each rule looks at
    bar: NDArray[np.float64],  # (P,) asks up where the statistic exceeds bar × quota
    factor: NDArray[np.float64],  # (P,) … for factor × statistic, or × quota
    lower: NDArray[np.float64],  # (P,) asks down where factor × statistic is below lower × quota; 0: never
    start: NDArray[np.float64],  # (P,) the first quota, × statistic
    of_quota: NDArray[np.bool_],  # (P,)
    given: list[NDArray[np.float64]],  # (D, N) each: levels by decision, NaN: no opinion
    block: int,  # 0: totals; else samples in a block of time
    threads: int,  # 0: all
) -> dict[str, NDArray[Any]]: ...  # (P, N) or (P, N, B) each; see Result and Blocks in backtest.hpp
def backtest_judge(
    usage: NDArray[np.float64],
    quotas: Quotas,
    events: list[Event],
    calendar: BacktestCalendar,
    paths: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]],  # series, sample, quota from then on
    block: int,
    threads: int,
) -> dict[str, NDArray[Any]]: ...
def backtest_statistics(
    usage: NDArray[np.float64],
    quotas: Quotas,
    events: list[Event],
    calendar: BacktestCalendar,
    statistics: list[BacktestStatistic],
    seasonals: list[BacktestSeasonal],
    threads: int,
) -> list[NDArray[np.float64]]: ...  # (D, N) each
def backtest_quotas(
    usage: NDArray[np.float64],
    quotas: Quotas,
    events: list[Event],
    calendar: BacktestCalendar,
    statistic: BacktestStatistic,
    seasonals: list[BacktestSeasonal],
    numbers: tuple[float, float, float, float, bool],  # bar, factor, lower, start, of_quota
    given: list[NDArray[np.float64]],
    threads: int,
) -> NDArray[np.float64]: ...  # (T, N)
def backtest_carried(
    usage: NDArray[np.float64], quotas: Quotas, events: list[Event], calendar: BacktestCalendar, threads: int
) -> dict[str, NDArray[np.float64]]: ...  # demand and peak, (T, N) each
def backtest_fingerprint(usage: NDArray[np.float64]) -> int: ...  # of every sample's bits and its place
