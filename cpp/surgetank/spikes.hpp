// Stem `spikes`: which samples stand out from what came just before them?
//
// What every detector answers, and how it is written down. The detectors: spikes_rolling.hpp, spikes_adaptive.hpp.
#pragma once

#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

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
    Eigen::ArrayXXd scores;      // the statistic compared with the threshold; NaN where undefined
    Eigen::ArrayXXd likelihood;  // how unusual, in [0, 1]; NaN where undefined
    Eigen::ArrayXXd ratios;      // u/expected; NaN where undefined
    // Shape (N).
    Eigen::Array<Index, Eigen::Dynamic, 1> count;  // flagged samples
    Eigen::ArrayXd p95_ratio, max_ratio;           // over the flagged samples that have a ratio; NaN where none has
    std::vector<Episode> episodes;                 // by series, then by time
};

namespace spikes {

/// One sample judged.
struct Judgement {
    double score = nan, likelihood = nan, ratio = nan;
    bool flag = false;
};

/// Room for the answer. Throws InvalidInput for usage without a sample.
Spikes blank(const Samples& usage, const SpikeOutputs& outputs);

/// Throws InvalidInput for an infinite sample.
void check_sample(double sample);

/// Writes down what is learnt about one series, sample by sample in time order. Samples that are left out are not
/// flagged and have no score. Recorders of different series may work at once.
class Recorder {
public:
    Recorder(Spikes& out, const SpikeOutputs& outputs, Index series) : out_(out), outputs_(outputs), series_(series) {}

    void record(Index t, double sample, const Judgement& judged);
    void finish();
    /// Forgets everything recorded.
    void restart();

    std::vector<Episode> episodes;

private:
    Spikes& out_;
    const SpikeOutputs& outputs_;
    Index series_;
    Index flagged_ = 0;
    bool peak_has_ratio_ = false;  // of the last episode
    std::vector<double> ratios_;   // of the flagged samples that have one
};

/// The episodes of many parts, in their order.
std::vector<Episode> joined(const std::vector<std::vector<Episode>>& parts);

}  // namespace spikes
}  // namespace surgetank
