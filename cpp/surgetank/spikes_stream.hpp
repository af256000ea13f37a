// Stem `spikes`: the recommended detector on many series, all at once or as the samples come.
//
// Both say the same of every sample, to the last bit. States are kept as bytes of a fixed layout, so that a scheduled
// job goes on where the last one stopped, on any machine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "surgetank/spikes_adaptive.hpp"

namespace surgetank {

/// Detectors of many series that take their samples as they come.
class AdaptiveStream {
public:
    /// Throws InvalidInput as check() and for series < 1.
    AdaptiveStream(const AdaptiveOptions& options, Index series);

    /// The next samples (n, series), n ≥ 1: what judging them all in one call would have said of them. All or nothing:
    /// a sample that is refused, or a poll that throws, leaves everything as it was. Cost: as adaptive(), and a copy of
    /// the states an update (50 KB a series): bring many instants at once.
    Spikes update(const Samples& usage, const SpikeOutputs& outputs, Index threads = 1, const Poll& poll = no_poll);

    Index series() const { return static_cast<Index>(states_.size()); }
    Index samples() const { return samples_; }  // seen, each series
    const AdaptiveOptions& options() const { return options_; }

    /// Everything, as bytes with a version, a length and a checksum, the same on every machine.
    std::string save() const;
    /// Throws InvalidInput for anything but what save() gave.
    static AdaptiveStream restore(std::string_view bytes);
    /// How long must bytes be that begin like this? For who unpacks them: the first head_length say it.
    static std::size_t length(std::string_view bytes);
    static constexpr std::size_t head_length = 57;

private:
    AdaptiveOptions options_;
    Index samples_ = 0;
    std::vector<spikes::Adaptive> states_;
};

/// usage (T, N): any finite value, NaN for not observed; T, N ≥ 1. scores = G − h, compared with the threshold,
/// likelihood = 1 − 10^−G, ratios = u/(mean of the last days). threads: 0 for all; the answer does not depend on it.
/// Throws InvalidInput for an empty or infinite usage and for what check() refuses.
Spikes adaptive(const Samples& usage, const AdaptiveOptions& options, const SpikeOutputs& outputs, Index threads = 1,
                const Poll& poll = no_poll);

}  // namespace surgetank
