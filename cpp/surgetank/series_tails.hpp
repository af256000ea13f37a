// Kernel `series`, tails: how high does a series reach within a window of given length, at a stated risk?
//
// Method. The level that the maximum over a window exceeds with probability at most `risk`:
// - counted, while risk times the number of independent windows is at least 10: windows are grouped by their maximum,
//   highest first, without ever computing a rolling maximum (a sample covers the windows around it that no larger
//   sample covers), until the share asked for is reached. Interval: bootstrap over blocks of whole days;
// - else fitted: peaks over a threshold, declustered (exceedances no further apart than `run_s` are one cluster), their
//   excesses a generalized Pareto by probability-weighted moments with its shape shrunk to 0 and kept within ±0.5;
//   P(maximum over d > x) = 1 − exp(−λ(x)·(d + ℓ)), λ(x) clusters above x per second, ℓ their mean length. The level
//   is *predictive*: that risk is averaged over redrawn parameters, because a level put at the fitted risk is, on
//   average over histories, exceeded more often than that. Interval: parametric bootstrap, the fit's parameters
//   redrawn from their sampling distribution.
// Sources: S. Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001 (peaks over threshold, runs
// declustering, ch. 4–5); J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation for the generalized
// Pareto distribution", 1987; D. Cooley, "Return periods and return levels under climate change", 2013, and
// R. L. Smith, "Bayesian and frequentist approaches to parametric predictive inference", 1999 (predictive levels);
// P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968.
// Cost: O(T) time with a small constant, memory two series.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank::series {

/// A duration in samples: at least 1.
Index window_length(double duration_s, double step_s);

/// Which windows of `length` samples count, and how many start before any sample.
class Windows {
public:
    /// All windows of a series without gaps.
    Windows(Index samples, Index length);
    /// Windows with at least `least` observed samples; x holds −inf where nothing was observed.
    Windows(std::span<const double> x, Index length, Index least);

    Index length() const { return length_; }
    Index count() const { return count(0, starts_ - 1); }
    /// How many windows that count start at first … last.
    Index count(Index first, Index last) const {
        if (last < first) return 0;
        if (before_.empty()) return last - first + 1;
        return before_[static_cast<std::size_t>(last) + 1] - before_[static_cast<std::size_t>(first)];
    }
    /// The possible starts: 0 … starts − 1.
    Index starts() const { return starts_; }

private:
    Index length_, starts_;
    std::vector<Index> before_;  // before_[t]: windows that count and start before t; empty: all count
};

/// Windows whose maximum is `level`: those that start at first … last, as far as they count.
struct Peak {
    double level = nan;
    Index first = 0, last = -1;
};

/// The maxima of all windows of a series, highest first, found from its largest samples alone.
class PeaksDescending {
public:
    /// x: −inf where nothing was observed; must outlive this.
    PeaksDescending(std::span<const double> x, Index window);
    /// The same where the maxima of blocks of that length are known, the last block ending where x ends.
    PeaksDescending(std::span<const double> x, Index window, Index block, std::span<const double> tops);
    /// The next group of windows, levels never rising; false when every window has been given.
    bool next(Peak& peak);

private:
    struct Entry {
        double value;
        Index at;  // a sample, or −1 − block
        bool operator<(const Entry& other) const { return value < other.value; }
    };
    void push(Entry entry);

    std::span<const double> x_;
    Index window_, block_, offset_;  // offset_: where the first block begins, 0 or below
    std::vector<Entry> heap_;
    std::vector<Index> taken_;  // samples given so far, ascending
};

struct TailOptions {
    double step_s = nan;
    double duration_s = nan;   // length of the window
    double risk = 1e-3;        // P(the maximum over a window exceeds the level)
    double confidence = 0.95;  // of the interval; 0: none is computed
    double run_s = 3600;       // exceedances no further apart belong to one cluster
    bool fitted = true;        // false: the counted level whatever it is worth
    bool gaps = true;          // false: the caller knows that every sample was observed
};

/// Generalized Pareto excesses over a threshold. clusters = 0: nothing was fitted.
struct TailFit {
    double threshold = nan, shape = nan, scale = nan;
    Index clusters = 0;
    double per_s = nan;      // clusters per second
    double cluster_s = nan;  // mean length of a cluster
};

struct TailLevel {
    double level = nan, low = nan, high = nan;  // the level and its interval
    double counted = nan;                       // the level counted, whether or not it is the answer
    Index windows = 0;                          // windows counted
    double n_eff = nan;                         // independent windows they are worth
    bool extrapolated = false;                  // true: the fit answers
    TailFit fit;
};

/// Probability that the maximum over a window exceeds a level, and its interval.
struct TailRisk {
    double risk = nan, low = nan, high = nan;
};

/// What one series says of the maxima of its windows. Keeps the fit, so that both directions agree.
class Tail {
public:
    /// x: NaN where nothing was observed; it is overwritten with −inf there.
    /// Throws InvalidInput for a step, duration or run that is no positive duration, a risk outside (0, 1) or a
    /// confidence outside [0, 1).
    Tail(std::span<double> x, const TailOptions& options);

    const TailLevel& level() const { return level_; }
    /// The risk whose level is x: level at most x exactly when that risk is at most options.risk.
    TailRisk risk(double x) const;
    /// Samples observed, and the largest of them; −inf for none.
    Index observed() const { return observed_; }
    double top() const { return top_; }

private:
    struct Draw {
        double shape, scale, per_s;
    };
    PeaksDescending peaks() const { return {x_, windows_.length(), block_, tops_}; }
    void fit();
    void fit_level();
    void count_level();
    double first_peak() const;
    void count_interval();
    double counted_risk(double x) const;
    double fitted_risk(double excess) const;
    double risk_of(const Draw& draw, double excess) const;
    double excess_of(const Draw& draw, double risk) const;

    std::span<const double> x_;
    TailOptions options_;
    Index observed_ = 0;
    Windows windows_;
    Index block_ = 1;           // samples an hour
    std::vector<double> tops_;  // the largest sample of each hour; the last hour ends where the series does
    double top_ = -inf;
    double covered_s_ = 0;  // the time in which clusters would have been seen
    TailLevel level_;
    std::vector<Draw> draws_;
};

/// Calls visit(first, last) for the stretches of window starts whose windows hold a sample above `level`, ascending and
/// disjoint. x: −inf where nothing was observed.
template <class Visit>
void windows_above(std::span<const double> x, Index window, double level, Visit&& visit) {
    const Index starts = static_cast<Index>(x.size()) - window + 1;
    Index first = 0, last = -1;
    for (Index p = 0; p < static_cast<Index>(x.size()); ++p) {
        if (!(x[static_cast<std::size_t>(p)] > level)) continue;
        const Index from = std::max<Index>(0, p - window + 1), to = std::min(p, starts - 1);
        if (from > last + 1) {
            if (last >= first) visit(first, last);
            first = from;
        }
        last = to;
    }
    if (last >= first) visit(first, last);
}

/// Straight line through values at equal distances, robust against outliers.
struct Trend {
    double slope = nan, low = nan, high = nan;  // per step; limits of the one-sided confidence asked for
    double median = nan;                        // of the values
    Index count = 0;                            // values observed
};

/// Theil–Sen slope with Sen's limits. `z`: normal quantile of the one-sided confidence. NaN values are left out; NaN
/// limits where there are too few values for them. O(n²) time and memory.
Trend theil_sen(std::span<const double> values, double z);

}  // namespace surgetank::series
