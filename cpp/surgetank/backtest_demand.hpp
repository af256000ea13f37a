// Stem `backtest`, demand: what a quota must carry, at each moment and in a failover that begins there.
//
// Method. In event e a quota carries own·u(t) + Σ weight·u_source(t), at the same instants. A failover that begins at t
// fits where the largest of that over [t, t + duration), the peak, is at most the quota at t: what was there when it
// began, because no increase applies while it lasts (static stability, AWS Well-Architected REL01-BP06). Of several
// events the one that needs most counts.
// Source of the rolling maximum: M. van Herk, "A fast algorithm for local minimum and maximum filters", 1992.
// Cost: O(T) a quota and event.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "surgetank/aligned.hpp"
#include "surgetank/headroom_quantile.hpp"

namespace surgetank::backtest {

/// Events of one duration that reach a quota: what they make of its own usage and of other columns'.
struct Load {
    Index length = 1;  // samples
    struct Part {
        double own = 1;
        std::vector<std::pair<Index, double>> landing;  // column and weight
    };
    std::vector<Part> events;
};

/// For every column of usage, the events that reach it, by duration. A Region without the quota sends nothing.
/// Throws InvalidInput for what headroom::check_events and headroom::grouped refuse.
std::vector<std::vector<Load>> loads_of(const Quotas& quotas, const std::vector<Event>& events, double step_s);

/// What one quota carries. Keeps its memory for the next.
class Demand {
public:
    /// Fills usage and peak of a column, and demand if `whole`; NaN where they are not known. `spare`: memory to work
    /// in, which is left as it falls.
    /// Throws InvalidInput for negative or infinite usage of the column (those whose load lands on it are the caller's
    /// to check), NumericalFailure where demand exceeds double.
    void of(const Samples& usage, Index column, const std::vector<Load>& loads, bool whole, Aligned<double>& spare);

    std::span<const double> usage() const { return {usage_.data(), samples_}; }
    /// The memory that usage and peak lie in, up to the end of a whole block.
    std::span<double> usage_blocks() { return usage_; }
    std::span<double> peak_blocks() { return lands_ ? peak_ : usage_; }
    /// The most that is carried at a moment, whatever happens; only where it was asked for as a whole.
    std::span<const double> demand() const {
        return lands_ ? std::span(demand_).first(std::min(samples_, demand_.size())) : usage();
    }
    /// Does it carry more than its usage in some event?
    bool lands() const { return lands_; }
    /// The most that is carried in a failover that begins at a moment; known where every event's window lies within the
    /// history and at least half of it was observed, and usage was.
    std::span<const double> peak() const { return lands_ ? std::span(peak_.data(), samples_) : usage(); }

private:
    bool lands_ = false;
    std::size_t samples_ = 0;
    Aligned<double> usage_, demand_, peak_;
};

}  // namespace surgetank::backtest
