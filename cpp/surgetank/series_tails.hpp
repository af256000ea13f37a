// Kernel `series`, tails: how high does a series reach within a window of given length, at a stated risk?
//
// Method. The level that the maximum over a window exceeds with probability at most `risk`:
// - counted (`series_peaks.hpp`), while risk times the number of independent windows is at least 10. Interval:
//   bootstrap over blocks of whole days;
// - else fitted: peaks over a threshold, declustered (exceedances no further apart than `run_s` are one cluster), their
//   excesses (over a threshold just below them, should all lie far above it) a generalized Pareto by
//   probability-weighted moments with its shape shrunk to 0 and kept within ±0.5; P(maximum over d > x) = 1 −
//   exp(−λ(x)·(d + ℓ)), λ(x) clusters above x per second, ℓ their mean length. The level is *predictive*: that risk is
//   averaged over redrawn parameters, because a level put at the fitted risk is, on average over histories, exceeded
//   more often than that. Interval: parametric bootstrap, the fit's parameters redrawn from their sampling
//   distribution.
// Sources: S. Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001 (peaks over threshold, runs
// declustering, ch. 4–5); J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation for the generalized
// Pareto distribution", 1987; D. Cooley, "Return periods and return levels under climate change", 2013, and
// R. L. Smith, "Bayesian and frequentist approaches to parametric predictive inference", 1999 (predictive levels).
// Cost: O(T) time with a small constant, memory two series.
#pragma once

#include <span>
#include <vector>

#include "surgetank/series_peaks.hpp"

namespace surgetank::series {

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
    double level = nan, low = nan, high = nan;  // the level and its interval, NaN where none is computed
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

}  // namespace surgetank::series
