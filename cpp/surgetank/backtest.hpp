// Stem `backtest`: which policy would have kept us safe, and at what cost?
//
// Method. Rolling origin: at each decision a rule looks at a statistic of the past alone; where that leaves its bounds
// it asks for another quota, which applies after the lead time; one request may be open. The quota that results is
// judged by what was used, and by the failovers that could have begun at each moment (`backtest_demand.hpp`). A quota
// stands still most of the time, so a replay jumps from request to request: the statistic's next excess is found by the
// maxima of blocks, and a stretch of time is judged as a whole, by blocks that exceed the quota. Rules that differ in
// their bar alone go on from one another: they share their quotas until the lower bar is crossed. Source:
// rolling-origin evaluation, L. J. Tashman, "Out-of-sample tests of forecasting accuracy", 2000. Cost: for each series
// its ranks once, a statistic O(T) once for all rules that share it, then O(requests + samples above the quota) a rule,
// T/64 at least; in blocks O(T) a rule. Memory: some ten series of a worker, and the result.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "surgetank/backtest_seasonal.hpp"
#include "surgetank/headroom_quantile.hpp"

namespace surgetank::backtest {

/// When is decided, and what is judged. In samples.
struct Calendar {
    double step_s = nan;
    Index first = 1;             // the first sample judged; the first decision is made at the end of the one before
    Index every = 1;             // from one decision to the next
    Index lead = 0;              // from the end of a sample at which is decided until the quota applies
    double offset_s = 0;         // from midnight to the first sample
    double cvar_frac = 0.05;     // the share of moments that the tail sum is over; 0: none
    std::vector<Index> moments;  // samples at which failovers begin, ascending; empty: all
};

/// What a rule looks at: a quantile of a trailing window, a forecast, or what was computed elsewhere.
struct Statistic {
    bool of_demand = false;  // of what must be carried, not of usage alone
    Index window = 1;        // samples
    double quantile = 1;
    Index seasonal = -1;  // number of the forecast instead, which is of demand …
    Index given = -1;     // … or of the array that it is taken from
};

/// Asks up where the statistic exceeds bar × quota: for factor × statistic, or factor × quota. Asks down, for factor ×
/// statistic, where the statistic is below lower/factor × quota.
struct Rule {
    Index statistic = 0;
    double bar = 1, factor = 1;
    double lower = 0;  // 0: never
    double start = 1;  // the first quota, × statistic
    bool of_quota = false;

    bool asks_down() const { return lower > 0 && !of_quota; }
};

/// What a rule came to, shape (P, N) each, over the samples at which it had a quota. Counts are whole numbers.
struct Result {
    using Sums = Eigen::ArrayXXd;
    using Counts = Eigen::Array<std::int32_t, Eigen::Dynamic, Eigen::Dynamic>;
    Sums own_short_sum, idle_sum, short_sum, spare_sum, max_short, tail_sum, quota_sum, last_quota;
    Counts samples, own_short, moments, fails, failed_days, requests, reversals;
};

/// The same in blocks of time, shape (P, N·B), series by series: what intervals are made of.
struct Blocks {
    Index count = 0;  // B
    Result::Sums idle_sum, short_sum, own_short_sum;
    Result::Counts samples, moments, fails, requests;
};

/// A quota that applies from a sample on, of a policy that was replayed elsewhere.
struct Change {
    Index series = 0, from = 0;
    double quota = nan;
};

/// The history and what happens in it.
struct World {
    Samples usage;  // (T, N)
    const Quotas&
        quotas;  // .quota: what there is at the start; NaN: each rule's own. Of the rest only region and group
    const std::vector<Event>& events;
};

/// Throws InvalidInput for a first sample outside [1, T), a cadence below 1, a negative lead time, cvar_frac outside
/// [0, 1], a step that is no duration, moments that are not samples in ascending order.
void check(const Calendar& calendar, Index samples);

/// Everything that rules look at.
struct Sight {
    std::vector<Statistic> statistics;
    std::vector<Seasonal> seasonals;
    std::vector<Samples> given;
};

/// Replays P rules over N series. `sight.given`: statistics computed elsewhere, (D, N) each, D decisions: what was
/// known at the end of samples first − 1, first − 1 + every, …; NaN: no opinion. Throws InvalidInput for what check,
/// headroom::check_events and headroom::grouped refuse, negative or infinite usage, an empty list of rules, a window
/// below 1, a quantile outside [0, 1], numbers of a rule that are not positive and finite, and a rule that multiplies
/// the quota by 1 or less. Throws NumericalFailure where a sum exceeds double. Bit-identical for any number of threads
/// and any instruction set.
Result replay(const World& world, const Calendar& calendar, const Sight& sight, const std::vector<Rule>& rules,
              Index threads, const Poll& poll = no_poll);

/// The same replay, judged in blocks of `block` samples from `first` on.
Blocks replay_blocks(const World& world, const Calendar& calendar, const Sight& sight, const std::vector<Rule>& rules,
                     Index block, Index threads, const Poll& poll = no_poll);

/// The quota that one rule had at each sample, (T, N); NaN before it had one.
Eigen::ArrayXXd quotas_of(const World& world, const Calendar& calendar, const Sight& sight, const Rule& rule,
                          Index threads, const Poll& poll = no_poll);

/// Judges quotas that were replayed elsewhere, by series and sample ascending; requests are the caller's to count.
Result judge(const World& world, const Calendar& calendar, const std::vector<std::vector<Change>>& changes,
             Index threads, const Poll& poll = no_poll);
Blocks judge_blocks(const World& world, const Calendar& calendar, const std::vector<std::vector<Change>>& changes,
                    Index block, Index threads, const Poll& poll = no_poll);

/// The statistics themselves, (D, N) each: what a rule saw at each decision.
std::vector<Eigen::ArrayXXd> statistics_of(const World& world, const Calendar& calendar, const Sight& sight,
                                           Index threads, const Poll& poll = no_poll);

/// What must be carried at each moment, and in a failover that begins there, NaN where the calendar has none; (T, N).
struct Carried {
    Eigen::ArrayXXd demand, peak;
};
Carried carried(const World& world, const Calendar& calendar, Index threads, const Poll& poll = no_poll);

/// A number that another usage hardly has: of every sample's bits and its place, the same in every memory order.
std::uint64_t fingerprint(const Samples& usage, const Poll& poll = no_poll);

}  // namespace surgetank::backtest
