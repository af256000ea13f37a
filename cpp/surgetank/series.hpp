// Kernel `series`: moments, rolling moments and quantiles of samples with gaps.
//
// Method. Moments are Welford states (count, mean, sum of squared deviations); two states are combined with Chan's
// formula. A rolling window is the state of a suffix of one block combined with the state of a prefix of the next
// (van Herk's blocks): nothing is ever subtracted, so there is no drift, and no residue once an outlier has left.
// Sources: B. P. Welford, "Note on a method for calculating corrected sums of squares and products", 1962;
// T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances", 1979; P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968; M. van Herk, "A
// fast algorithm for local minimum and maximum filters", 1992. Cost: O(1) time a sample for any window; memory one
// window plus eight series.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank::series {

/// Welford state of the observed samples. `Real` is double, or long double where squares would leave double's range.
template <class Real>
struct Moments {
    Index count = 0;
    Real mean = 0;
    Real squares = 0;  // sum of squared deviations from the mean
    Real sum = 0;      // plain, so that samples that cancel give exactly 0, which the updated mean only comes near

    void add(Real x) {
        ++count;
        sum += x;
        const Real delta = x - mean;
        mean += delta / static_cast<Real>(count);
        squares += delta * (x - mean);
    }

    /// Sample variance (n − 1); NaN below two samples.
    Real variance() const {
        return count < 2 ? std::numeric_limits<Real>::quiet_NaN() : squares / static_cast<Real>(count - 1);
    }
};

/// The state of both sets of samples together (Chan's formula).
template <class Real>
Moments<Real> combine(const Moments<Real>& a, const Moments<Real>& b) {
    if (a.count == 0) return b;
    if (b.count == 0) return a;
    const auto na = static_cast<Real>(a.count), nb = static_cast<Real>(b.count), n = na + nb;
    const Real delta = b.mean - a.mean;
    return {a.count + b.count, a.mean + delta * (nb / n), a.squares + b.squares + delta * delta * (na * nb / n),
            a.sum + b.sum};
}

/// Trailing windows of `window` samples over one series, oldest first.
/// Calls visit(t, moments) for every t ≥ window − 1 with the state of x[t − window + 1 … t], NaN left out.
template <class Real, class Visit>
void rolling_moments(std::span<const double> x, Index window, Visit&& visit) {
    const auto length = static_cast<Index>(x.size());
    std::vector<Moments<Real>> suffix(static_cast<std::size_t>(window) + 1);  // of the block before: samples from j on
    for (Index start = 0; start < length; start += window) {
        Moments<Real> prefix;
        const Index end = std::min(start + window, length);
        for (Index t = start; t < end; ++t) {
            if (const double u = x[static_cast<std::size_t>(t)]; !std::isnan(u)) prefix.add(static_cast<Real>(u));
            if (t >= window - 1) visit(t, combine(suffix[static_cast<std::size_t>(t - start + 1)], prefix));
        }
        if (end - start < window) break;
        suffix.back() = {};
        for (Index j = window - 1; j > 0; --j) {
            auto& state = suffix[static_cast<std::size_t>(j)];
            state = suffix[static_cast<std::size_t>(j) + 1];
            if (const double u = x[static_cast<std::size_t>(start + j)]; !std::isnan(u))
                state.add(static_cast<Real>(u));
        }
    }
}

/// Linear-interpolated quantile (Hyndman and Fan's type 7, NumPy's default) of values without NaN; reorders them.
/// q in [0, 1]. NaN for no values. O(n).
double quantile(std::span<double> values, double q);

/// `part` in [0, 1) of the way from `low` to `high`, from the nearer end, so that equal neighbours give themselves and
/// monotony holds (as NumPy does).
double between(double low, double high, double part);

/// The standard normal quantile of p in (0, 1).
double normal_quantile(double p);

/// Straight line through values at equal distances, robust against outliers.
struct Trend {
    double slope = nan, low = nan, high = nan;  // per step; limits of the one-sided confidence asked for
    double median = nan;                        // of the values
    Index count = 0;                            // values observed
};

/// Theil–Sen slope with Sen's limits. `z`: normal quantile of the one-sided confidence. NaN values are left out; NaN
/// limits where there are too few values for them. O(n²) time and memory.
Trend theil_sen(std::span<const double> values, double z);

/// A value as double; infinite where double cannot hold it.
template <class Real>
double narrow(Real x) {
    constexpr auto most = static_cast<Real>(std::numeric_limits<double>::max());
    if (x > most) return inf;
    return x < -most ? -inf : static_cast<double>(x);
}

/// Calls visit(series, samples) for every column of `x` with its samples contiguous and oldest first.
/// Columns that are contiguous are passed in place; others are gathered eight at a time, a cache line a row.
template <class Visit>
void for_each_series(const Samples& x, const Poll& poll, Visit&& visit) {
    constexpr Index lanes = 8;
    const Index length = x.rows();
    const auto samples = static_cast<std::size_t>(length);
    const bool contiguous = x.innerStride() == 1 || length <= 1;
    std::vector<double> gathered(contiguous ? 0 : samples * static_cast<std::size_t>(std::min(lanes, x.cols())));
    for (Index first = 0; first < x.cols(); first += lanes) {
        if (poll) poll();
        const Index width = std::min(lanes, x.cols() - first);
        if (!contiguous) Eigen::Map<Eigen::ArrayXXd>(gathered.data(), length, width) = x.middleCols(first, width);
        for (Index j = 0; j < width; ++j) {
            const double* column = contiguous ? x.data() + (first + j) * x.outerStride() : gathered.data() + j * length;
            visit(first + j, std::span<const double>(column, samples));
        }
    }
}

}  // namespace surgetank::series
