// Kernel `series`, many at once: count, mean, deviation, slope, extremes and quantiles of every series in one pass.
//
// Method. Moments: Welford states in lanes (lanes.hpp). Quantiles: samples are counted in 256 bins between the smallest
// and the largest; of the bins that hold the wanted ranks, and only of those, the samples are collected and selected
// from, or binned again where one bin holds most of them. Order statistics are therefore exact, ties and outliers
// included. Source: R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", 1996 (type 7).
// Cost: O(1) a sample; memory beyond the input is a few columns a thread.
#pragma once

#include <vector>

#include "surgetank/core.hpp"

namespace surgetank::series {

/// What one pass over a series gives. NaN where no sample was observed.
struct Summary {
    Index count = 0;                // observed samples
    double mean = nan;              // in the unit of x
    double sigma_population = nan;  // standard deviation with n in the denominator
    double slope = nan;             // least squares, unit of x per sample; 0 for a single sample
    double min = nan, max = nan;
    double last = nan;  // the last observed sample
    Index last_index = -1;
};

/// One Summary for every column of x: any finite value, NaN for not observed. (Infinite samples show in min or max.)
/// threads: 0 for all; the answer does not depend on it. With `quantiles` (each in [0, 1]; linear-interpolated, NumPy's
/// default), `levels` becomes (quantiles, series).
std::vector<Summary> summarize(const Samples& x, Index threads = 1, const Poll& poll = no_poll,
                               const std::vector<double>& quantiles = {}, Eigen::ArrayXXd* levels = nullptr);

}  // namespace surgetank::series

namespace surgetank {

/// The same, a column of each; last_index is −1 where nothing was observed.
struct UsageSummary {
    Eigen::Array<Index, Eigen::Dynamic, 1> count, last_index;
    Eigen::ArrayXd mean, sigma_population, slope, min, max, last;
    Eigen::ArrayXXd quantiles;  // (quantiles, series)
};

/// usage (T, N), T, N ≥ 1. Throws InvalidInput for an empty or infinite usage, for quantiles outside [0, 1] and for a
/// negative number of threads.
UsageSummary summarize_usage(const Samples& usage, const std::vector<double>& quantiles, Index threads = 1,
                             const Poll& poll = no_poll);

}  // namespace surgetank
