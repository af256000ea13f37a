#include "surgetank/spikes.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "surgetank/series.hpp"

namespace surgetank {
void check(const RollingSigmaOptions& options) {
    require(options.window >= 2, "window", "must be at least 2 samples", options.window);
    require(std::isfinite(options.threshold) && options.threshold >= 0, "threshold",
            "must be a finite number of standard deviations, 0 or more", options.threshold);
    const auto n = static_cast<double>(options.window);
    const double reachable = (n - 1) / std::sqrt(n);
    require(
        options.exclude_current || options.threshold <= reachable, "threshold",
        fmt::format("must be at most (window - 1)/sqrt(window) = {:.4g} for window {}, because a sample inside its own "
                    "window cannot score higher; lower it, widen the window or set exclude_current",
                    reachable, options.window),
        options.threshold);
}

namespace {

// One sample against its window.
struct Judgement {
    double score = nan, ratio = nan;
    bool flag = false;
};

template <class Real>
Judgement judge(double sample, const series::Moments<Real>& window, Index needed, double threshold, bool inside) {
    Judgement out;
    if (std::isnan(sample) || window.count < needed) return out;
    const Real u = static_cast<Real>(sample), mean = window.mean, above = u - mean;
    if (window.sum != 0 && mean != 0) out.ratio = series::narrow(u / mean);
    const Real sd = std::sqrt(window.variance());
    // A constant window: the sample itself decides (only without the sample in the window can it differ).
    if (sd > 0) out.score = series::narrow(above / sd);
    else if (sd == 0 && above != 0) out.score = above > 0 ? inf : -inf;
    // In its own window a sample cannot score higher; rounding can.
    const auto n = static_cast<double>(window.count);
    if (inside && out.score > threshold) out.score = std::min(out.score, (n - 1) / std::sqrt(n));
    out.flag = window.sum > 0 && mean > 0 && out.score > threshold;
    return out;
}

double normal_cdf(double score) { return std::isnan(score) ? nan : 0.5 * std::erfc(-score / std::numbers::sqrt2); }

// Everything that is learnt about one series, sample by sample in time order.
class Recorder {
public:
    Recorder(Spikes& out, const SpikeOutputs& outputs) : out_(out), outputs_(outputs) {}

    void begin(Index series) {
        series_ = series;
        ratios_.clear();
        open_ = false;
    }

    void record(Index t, double sample, const Judgement& judged) {
        if (outputs_.scores) out_.scores(t, series_) = judged.score;
        if (outputs_.likelihood) out_.likelihood(t, series_) = normal_cdf(judged.score);
        if (outputs_.ratios) out_.ratios(t, series_) = judged.ratio;
        if (!judged.flag) {
            open_ = false;
            return;
        }
        if (outputs_.flags) out_.flags(t, series_) = true;
        ratios_.push_back(judged.ratio);
        if (!outputs_.episodes) return;
        if (!open_) out_.episodes.push_back({series_, t, t, sample, judged.ratio});
        open_ = true;
        auto& episode = out_.episodes.back();
        episode.end = t + 1;
        episode.peak = std::max(episode.peak, sample);
        episode.ratio = std::max(episode.ratio, judged.ratio);
    }

    void finish() {
        out_.count(series_) = static_cast<Index>(ratios_.size());
        if (ratios_.empty()) return;
        out_.max_ratio(series_) = *std::max_element(ratios_.begin(), ratios_.end());
        out_.p95_ratio(series_) = series::quantile(ratios_, 0.95);
    }

private:
    Spikes& out_;
    const SpikeOutputs& outputs_;
    std::vector<double> ratios_;  // of the flagged samples
    Index series_ = 0;
    bool open_ = false;  // is the sample before part of an episode?
};

constexpr Index poll_every = 1 << 22;  // samples, about a tenth of a second

template <class Real>
void scan(std::span<const double> x, const RollingSigmaOptions& options, Recorder& recorder, const Poll& poll) {
    const Index needed = (options.window + 1) / 2;
    const Index ahead = options.exclude_current ? 1 : 0;
    series::rolling_moments<Real>(x, options.window, [&](Index t, const series::Moments<Real>& window) {
        if (poll && t % poll_every == 0) poll();
        const Index at = t + ahead;
        if (at >= static_cast<Index>(x.size())) return;
        const double u = x[static_cast<std::size_t>(at)];
        recorder.record(at, u, judge(u, window, needed, options.threshold, !options.exclude_current));
    });
}

}  // namespace

Spikes rolling_sigma(const Samples& usage, const RollingSigmaOptions& options, const SpikeOutputs& outputs,
                     const Poll& poll) {
    check(options);
    require(usage.rows() > 0 && usage.cols() > 0, "usage", "must hold at least one sample",
            fmt::format("shape ({}, {})", usage.rows(), usage.cols()));
    const Index rows = usage.rows(), cols = usage.cols();
    Spikes out;
    if (outputs.flags) out.flags.setConstant(rows, cols, false);
    if (outputs.scores) out.scores.setConstant(rows, cols, nan);
    if (outputs.likelihood) out.likelihood.setConstant(rows, cols, nan);
    if (outputs.ratios) out.ratios.setConstant(rows, cols, nan);
    out.count.setZero(cols);
    out.p95_ratio.setConstant(cols, nan);
    out.max_ratio.setConstant(cols, nan);

    Recorder recorder(out, outputs);
    series::for_each_series(usage, poll, [&](Index series, std::span<const double> x) {
        for (const double u : x) require(!std::isinf(u), "usage", "must be finite, or NaN where not observed", u);
        recorder.begin(series);
        // A window longer than the series never lies inside it; the kernel must not allocate for it either.
        if (options.window <= static_cast<Index>(x.size())) {
            if (series::extreme(x)) scan<long double>(x, options, recorder, poll);
            else scan<double>(x, options, recorder, poll);
        }
        recorder.finish();
    });
    return out;
}

}  // namespace surgetank
