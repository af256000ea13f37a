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
    /// `blocks`: whole blocks that begin with so many values, and must outlive this; what follows them is filled.
    void of(std::span<double> blocks, Index samples);
    /// A copy. `kept`: the only values that count, ascending.
    void of(std::span<const double> x, std::span<const Index> kept);
    const Track& track() const { return track_; }
    /// How many are known in [from, end).
    Index known(Index from, Index end) const;
    /// Σ of the known from a sample on: the one asked for last is kept.
    double sum_from(Index from) const;

private:
    Aligned<double> copy_, top_;
    std::vector<std::int32_t> seen_;  // known before each; empty: all of the first `until_` are
    Index until_ = 0;
    mutable Index summed_from_ = -1;
    mutable double sum_ = 0;
    Track track_;
};

/// One series: what was used, what had to be carried, and the days.
struct Books {
    Tracked usage, peak;
    Days days;
    bool apart = false;  // peak is not simply usage

    /// `moments`: the only ones at which a failover may begin, unless empty.
    /// The demand must outlive them.
    void of(Demand& demand, const Days& in_days, std::span<const Index> moments);
    const Tracked& carried() const { return apart ? peak : usage; }
};

/// The figures of one rule and one series; see Result.
struct Tally {
    double own_short_sum = 0, idle_sum = 0, short_sum = 0, spare_sum = 0, max_short = 0, tail_sum = 0, quota_sum = 0,
           last_quota = nan;
    Index samples = 0, own_short = 0, moments = 0, fails = 0, failed_days = 0, requests = 0, reversals = 0;
};

/// A stretch of time at which a quota stands still, and the request that was made in it, if any.
struct Piece {
    Index from, end;
    double quota;
    Index asked = -1;  // the sample at whose end another quota was asked for; −1: none was
    bool up = false;
};

/// The pieces of a policy in the order of time, and what they share with those that were judged before over the same
/// series: the first `same` are equal, and the next one then began alike but ended at `until`, no later; −1: it did
/// not.
struct Trail {
    std::span<const Piece> pieces;
    std::size_t same = 0;
    Index until = -1;
};

/// Adds up policies over one series, each from where it leaves the one before.
class Total {
public:
    /// The next policies are of these books.
    void of(const Books& books, double cvar_frac);
    Tally operator()(const Trail& trail);

private:
    // Up to the end of a piece.
    struct State {
        Excess own, peak;
        Index samples, moments;
        double quota_sum, quota_moments;  // Σ quota over samples, over moments
    };
    void add(const Piece& piece, Index from, State& to) const;
    double tail_of(const Excess& peak, Index moments);

    const Books* books_ = nullptr;
    double cvar_frac_ = 0;
    std::vector<State> states_;  // by piece of the last trail …
    Tally last_;                 // … and what it came to
    std::vector<double> each_, worst_;
};

/// The same by blocks; one row of Blocks.
struct BlockTally {
    double idle_sum = 0, short_sum = 0, own_short_sum = 0;
    Index samples = 0, moments = 0, fails = 0, requests = 0;
};

class ByBlock {
public:
    void of(const Books& books, Index first, Index block);
    /// Fills `out`, one for each block.
    void operator()(std::span<const Piece> pieces, std::span<BlockTally> out) const;

private:
    void add(const Piece& piece, std::span<BlockTally> out) const;

    const Books* books_ = nullptr;
    Index first_ = 0, block_ = 1;
};

}  // namespace surgetank::backtest
