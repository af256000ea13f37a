#include "surgetank/spikes.hpp"

#include <algorithm>
#include <cmath>

#include "surgetank/series.hpp"

namespace surgetank::spikes {

Spikes blank(const Samples& usage, const SpikeOutputs& outputs) {
    const Index rows = usage.rows(), cols = usage.cols();
    require(rows > 0 && cols > 0, "usage", "must hold at least one sample", fmt::format("shape ({}, {})", rows, cols));
    Spikes out;
    if (outputs.flags) out.flags.setConstant(rows, cols, false);
    if (outputs.scores) out.scores.setConstant(rows, cols, nan);
    if (outputs.likelihood) out.likelihood.setConstant(rows, cols, nan);
    if (outputs.ratios) out.ratios.setConstant(rows, cols, nan);
    out.count.setZero(cols);
    out.p95_ratio.setConstant(cols, nan);
    out.max_ratio.setConstant(cols, nan);
    return out;
}

void check_sample(double sample) {
    require(!std::isinf(sample), "usage", "must be finite, or NaN where not observed", sample);
}

void Recorder::record(Index t, double sample, const Judgement& judged) {
    if (outputs_.scores) out_.scores(t, series_) = judged.score;
    if (outputs_.likelihood) out_.likelihood(t, series_) = judged.likelihood;
    if (outputs_.ratios) out_.ratios(t, series_) = judged.ratio;
    if (outputs_.flags) out_.flags(t, series_) = judged.flag;
    if (!judged.flag) return;
    ++flagged_;
    if (!std::isnan(judged.ratio)) ratios_.push_back(judged.ratio);
    if (!outputs_.episodes) return;
    if (episodes.empty() || episodes.back().end != t) {
        episodes.push_back({series_, t, t, sample, judged.ratio});
        peak_has_ratio_ = !std::isnan(judged.ratio);
    }
    auto& episode = episodes.back();
    episode.end = t + 1;
    if (sample > episode.peak) {
        episode.peak = sample;
        peak_has_ratio_ = !std::isnan(judged.ratio);
    }
    // The largest; none where the peak has none, because nothing was expected then.
    episode.ratio = peak_has_ratio_ ? std::fmax(episode.ratio, judged.ratio) : nan;
}

void Recorder::finish() {
    out_.count(series_) = flagged_;
    if (ratios_.empty()) return;
    out_.max_ratio(series_) = *std::max_element(ratios_.begin(), ratios_.end());
    out_.p95_ratio(series_) = series::quantile(ratios_, 0.95);
}

void Recorder::restart() {
    if (outputs_.flags) out_.flags.col(series_).setConstant(false);
    if (outputs_.scores) out_.scores.col(series_).setConstant(nan);
    if (outputs_.likelihood) out_.likelihood.col(series_).setConstant(nan);
    if (outputs_.ratios) out_.ratios.col(series_).setConstant(nan);
    flagged_ = 0;
    ratios_.clear();
    episodes.clear();
}

std::vector<Episode> joined(const std::vector<std::vector<Episode>>& parts) {
    std::vector<Episode> out;
    for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

}  // namespace surgetank::spikes
