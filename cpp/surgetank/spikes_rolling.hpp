// Stem `spikes`, the classic rule: over a trailing window, a sample u is flagged when u > mean + threshold·sd with the
// sample standard deviation (n − 1), and only where the mean is positive. A window counts only if it lies wholly inside
// the series and at least ⌈window/2⌉ of it is observed.
// Source: the usual "mean + k·sigma" control chart (W. A. Shewhart, "Economic Control of Quality of Manufactured
// Product", 1931), on a moving window.
// Cost: O(1) time a sample for any window; without outputs, memory beyond the input is about 50 windows of doubles a
// thread (eight series side by side), and 160 in C order for windows up to 1,024.
#pragma once

#include "surgetank/spikes.hpp"

namespace surgetank {

struct RollingSigmaOptions {
    Index window = 10;             // samples
    double threshold = 2.0;        // standard deviations
    bool exclude_current = false;  // true: the window ends at the sample before
};

/// Throws InvalidInput for window < 2, a negative or infinite threshold, and a threshold no sample can reach: inside
/// its own window a sample scores at most (window − 1)/√window.
void check(const RollingSigmaOptions& options);

/// usage (T, N): any finite value, NaN for not observed; T, N ≥ 1. scores = (u − mean)/sd, likelihood = Φ(score),
/// ratios = u/mean. threads: 0 for all; the answer does not depend on it.
/// Throws InvalidInput for an empty or infinite usage and for what check() refuses.
Spikes rolling_sigma(const Samples& usage, const RollingSigmaOptions& options, const SpikeOutputs& outputs,
                     Index threads = 1, const Poll& poll = no_poll);

}  // namespace surgetank
