// Stem `spikes`: which samples stand out from what came just before them?
//
// `rolling_sigma`, the classic rule: over a trailing window, a sample u is flagged when u > mean + threshold·sd with
// the sample standard deviation (n − 1), and only where the mean is positive. A window counts only if it lies wholly
// inside the series and at least ⌈window/2⌉ of it is observed.
// Source: the usual "mean + k·sigma" control chart (W. A. Shewhart, "Economic Control of Quality of Manufactured
// Product", 1931), on a moving window.
// Cost: O(1) time a sample for any window; without outputs, memory beyond the input is one window a call.
#pragma once

#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

struct RollingSigmaOptions {
    Index window = 10;             // samples
    double threshold = 2.0;        // standard deviations
    bool exclude_current = false;  // true: the window ends at the sample before
};

/// Which arrays of the input's size to fill, and whether to list episodes.
struct SpikeOutputs {
    bool flags = false, scores = false, likelihood = false, ratios = false, episodes = false;
};

/// A run of flagged samples of one series.
struct Episode {
    Index series = 0;
    Index start = 0, end = 0;  // sample numbers, half open
    double peak = nan;         // the largest sample in it, in the unit of usage
    double ratio = nan;        // the largest ratio in it
};

struct Spikes {
    // Shape (T, N), or empty where not asked for.
    Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic> flags;
    Eigen::ArrayXXd scores;      // (u − mean)/sd; NaN where undefined
    Eigen::ArrayXXd likelihood;  // Φ(score): how unusual among normal samples, in [0, 1]; NaN where undefined
    Eigen::ArrayXXd ratios;      // u/mean; NaN where undefined
    // Shape (N).
    Eigen::Array<Index, Eigen::Dynamic, 1> count;  // flagged samples
    Eigen::ArrayXd p95_ratio, max_ratio;           // over the flagged samples; NaN where there are none
    std::vector<Episode> episodes;                 // by series, then by time
};

/// Throws InvalidInput for window < 2, a negative or infinite threshold, and a threshold no sample can reach: inside
/// its own window a sample scores at most (window − 1)/√window.
void check(const RollingSigmaOptions& options);

/// usage (T, N): any finite value, NaN for not observed; T, N ≥ 1.
/// Throws InvalidInput for an empty or infinite usage and for what check() refuses.
Spikes rolling_sigma(const Samples& usage, const RollingSigmaOptions& options, const SpikeOutputs& outputs,
                     const Poll& poll = no_poll);

}  // namespace surgetank
