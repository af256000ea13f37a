// Kernel `rolling`: quantiles of all trailing windows of a series, several at once.
//
// Method. The observed samples are ranked once, whatever the number of windows. A window of few samples is a sorted
// list of ranks, in which one leaves and one enters in whole registers; a longer one is a bit for each rank, and each
// quantile a word among them, which hardly moves from one window to the next. Where no sample is missing and every
// window is asked for, each quantile moves to a neighbouring rank, or stays. All share the work of a window among its
// quantiles, and none ever adds or subtracts a sample: there is no drift.
// Source: the pointer that follows an order statistic is M. Juhola, J. Katajainen, T. Raita, "Comparison of algorithms
// for standard median filtering", 1991 (there over grey levels, here over ranks).
// Cost: O(T log T) for the ranks (about O(T) where values are spread evenly), then O(1) a sample, window and
// quantile, as a list O(window) in whole registers a window; memory a rank and a value a sample.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "surgetank/aligned.hpp"
#include "surgetank/core.hpp"

namespace surgetank::rolling {

/// The samples of one series in ascending order, equal ones in that of time. Keeps its memory for the next series.
class Ranked {
public:
    /// x: NaN where nothing was observed.
    void rank(std::span<const double> x);

    /// By sample; −1 where nothing was observed.
    const std::vector<std::int32_t>& ranks() const { return rank_; }
    /// The observed samples, ascending.
    std::span<const double> sorted() const { return {sorted_.data(), observed_}; }

private:
    std::vector<std::int32_t> rank_;
    std::vector<double> sorted_;
    std::vector<std::int32_t> at_;  // the sample of each rank
    std::size_t observed_ = 0;
};

/// Type-7 quantiles (series::quantile) of the observed samples in the windows of `window` samples that end at first,
/// first + every, …; windows that would begin before the series are as long as it is. out[k]: a row for
/// probabilities[k] in [0, 1], with (T − 1 − first)/every + 1 values; NaN where a window holds nothing.
/// Throws InvalidInput for a window or cadence below 1, a first below 0 and a probability outside [0, 1].
class Quantiles {
public:
    void operator()(const Ranked& x, Index window, std::span<const double> probabilities, Index first, Index every,
                    std::span<double* const> out);

private:
    Aligned<double> scratch_;
};

/// How many windows end at first, first + every, … in a series of that length.
inline Index windows(Index samples, Index first, Index every) {
    return first >= samples ? 0 : (samples - 1 - first) / every + 1;
}

}  // namespace surgetank::rolling
