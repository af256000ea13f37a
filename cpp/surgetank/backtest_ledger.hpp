// Stem `backtest`, ledger: what quotas that stand still for a while are worth to one series, in total or in blocks.
//
// Σ (quota − usage)+ is Σ quota − Σ usage + Σ (usage − quota)+, and Σ usage over all stretches together does not depend
// on the quotas: so a stretch costs its excess, which blocks below the quota do not have.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "surgetank/backtest.hpp"
#include "surgetank/backtest_demand.hpp"
#include "surgetank/backtest_kernels.hpp"

namespace surgetank::backtest {

/// Values as the kernels want them: whole blocks, with their maxima. Keeps its memory for the next.
class Tracked {
public:
    /// `kept`: the only values that count, ascending, unless empty.
    void of(std::span<const double> x, std::span<const Index> kept = {});
    const Track& track() const { return track_; }
    /// How many are known in [from, end).
    Index known(Index from, Index end) const;
    /// Σ of the known from a sample on: the one asked for first is kept.
    double sum_from(Index from) const;

private:
    std::vector<double> value_, top_;
    std::vector<std::int32_t> seen_;  // known before each; empty: all of the first `until_` are
    Index until_ = 0;
    mutable Index summed_from_ = -1;
    mutable double sum_ = 0;
    Track track_;
};

/// One series: what was used, what had to be carried, and the days.
struct Books {
    Tracked usage, peak;
    std::span<const std::int32_t> day;
    bool apart = false;  // peak is not simply usage

    /// `moments`: the only ones at which a failover may begin, unless empty.
    void of(const Demand& demand, std::span<const std::int32_t> days, std::span<const Index> moments);
    const Tracked& carried() const { return apart ? peak : usage; }
};

/// The figures of one rule and one series; see Result.
struct Tally {
    double own_short_sum = 0, idle_sum = 0, short_sum = 0, spare_sum = 0, max_short = 0, tail_sum = 0, quota_sum = 0,
           last_quota = nan;
    Index samples = 0, own_short = 0, moments = 0, fails = 0, failed_days = 0, requests = 0, reversals = 0;
};

/// Adds up one rule's stretches over one series, in the order of time.
class Total {
public:
    Total(const Books& books, double cvar_frac, std::vector<double>& each);
    void piece(Index from, Index end, double quota);
    void request(Index, bool up);
    Tally tally();

private:
    const Books& books_;
    const Kernels& kernels_;
    double cvar_frac_;
    std::vector<double>& each_;
    Excess own_{}, peak_{};
    Tally out_;
    double quota_moments_ = 0;  // Σ quota over moments
    Index from_ = -1;
    int direction_ = 0;
};

/// The same by blocks; one row of Blocks.
struct BlockTally {
    double idle_sum = 0, short_sum = 0, own_short_sum = 0;
    Index samples = 0, moments = 0, fails = 0, requests = 0;
};

class ByBlock {
public:
    ByBlock(const Books& books, Index first, Index block, std::span<BlockTally> out);
    void piece(Index from, Index end, double quota);
    void request(Index at, bool);

private:
    const Books& books_;
    const Kernels& kernels_;
    Index first_, block_;
    std::span<BlockTally> out_;
};

}  // namespace surgetank::backtest
