#include "surgetank/spikes_rolling.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "surgetank/lanes_source.hpp"
#include "surgetank/parallel.hpp"
#include "surgetank/series.hpp"

namespace surgetank {
namespace {

using lanes::Row;
using spikes::Judgement;
using spikes::Recorder;

constexpr double nearly = 0.999;  // of the highest score that a sample in its own window can have

// One sample against its window.
template <class Real>
Judgement judge(double sample, const series::Moments<Real>& window, const RollingSigmaOptions& options) {
    Judgement out;
    if (std::isnan(sample) || window.count < (options.window + 1) / 2) return out;
    const Real u = static_cast<Real>(sample), mean = window.mean, above = u - mean;
    if (window.sum != 0 && mean != 0) out.ratio = series::narrow(u / mean);
    const Real sd = std::sqrt(window.variance());
    // A constant window: the sample itself decides (only without the sample in the window can it differ).
    if (sd > 0) out.score = series::narrow(above / sd);
    else if (sd == 0 && above != 0) out.score = above > 0 ? inf : -inf;
    // In its own window a sample cannot score higher; rounding can.
    const auto n = static_cast<double>(window.count);
    if (!options.exclude_current && out.score * out.score * n > nearly * (n - 1) * (n - 1))
        out.score = std::min(out.score, (n - 1) / std::sqrt(n));
    out.flag = window.sum > 0 && mean > 0 && out.score > options.threshold;
    return out;
}

constexpr Index poll_every = 1 << 19;  // rows, about a tenth of a second

// Weights that depend on the place in the block alone.
struct Weights {
    explicit Weights(Index window) {
        const auto n = static_cast<double>(window);
        inverse.push_back(1);
        for (Index row = 0; row < window; ++row) inverse.push_back(1 / static_cast<double>(row + 1));
        for (Index row = 0; row < window; ++row) {
            const auto after = static_cast<double>(row + 1);
            const double share = after * inverse.back();
            of_row.push_back({inverse[static_cast<std::size_t>(row) + 1], share, (n - after) * share});
        }
    }
    std::vector<double> inverse;
    std::vector<lanes::Weights> of_row;
};

// States of the block before's samples from j on, j in 1..window: upwards after an even number of blocks, else
// downwards.
struct Suffixes {
    explicit Suffixes(Index window) : moments(static_cast<std::size_t>(window)) {}
    std::vector<lanes::Moments> moments;
    std::vector<Row> count;
    bool upwards = true;

    void count_too() { count.resize(moments.size()); }
    std::size_t first() const { return upwards ? 0 : moments.size() - 1; }  // j = 1
};

// One thread's memory.
struct Scratch {
    explicit Scratch(Index window) : x(static_cast<std::size_t>(window) + 1) {}

    static constexpr Index chunk = 32;  // rows of windows at a time, so that they stay in the nearest cache
    std::vector<Row> x;
    lanes::Moments windows[chunk];
    Row count[chunk] = {};  // both are copied, one for each thread, before anything is in them
    unsigned char candidate[chunk] = {};
};

// Eight series, block after block.
class Group {
public:
    Group(const Samples& usage, Index first, const RollingSigmaOptions& options, const SpikeOutputs& outputs,
          const Weights& weights, Scratch& scratch, Spikes& out)
        : source_(lanes::source(usage, first)),
          series_(std::min(lanes::width, usage.cols() - first)),
          length_(usage.rows()),
          options_(options),
          every_(outputs.scores || outputs.likelihood || outputs.ratios),
          likelihood_(outputs.likelihood),
          weights_(weights),
          scratch_(scratch),
          suffixes_(options.window) {
        for (Index j = 0; j < series_; ++j) recorders_.emplace_back(out, outputs, first + j);
    }

    /// Judges the samples of the block that begins at `start`; blocks come in order.
    void block(Index start, const Poll& poll) {
        const Index end = std::min(start + options_.window, length_);
        const Index loaded = std::min(end + ahead(), length_) - start;
        const lanes::Facts facts = kernels_.load(source_, start, loaded, scratch_.x.data());
        if (facts.infinite & used()) refuse(loaded);
        extreme_ |= facts.extreme & used();
        judge_block(start, end, (facts.missing | missing_before_) != 0, missing_before_ == 0, poll);
        missing_before_ = facts.missing;
        suffixes_.upwards = !suffixes_.upwards;
    }

    std::vector<Episode> finish(const Poll& poll) {
        std::vector<std::vector<Episode>> parts;
        for (Index j = 0; j < series_; ++j) {
            auto& recorder = recorders_[static_cast<std::size_t>(j)];
            if (extreme_ >> j & 1u) scan_extreme(j, poll);
            recorder.finish();
            parts.push_back(std::move(recorder.episodes));
        }
        return spikes::joined(parts);
    }

private:
    Index ahead() const { return options_.exclude_current ? 1 : 0; }
    unsigned used() const { return (1u << series_) - 1; }

    [[noreturn]] void refuse(Index rows) const {
        for (Index t = 0; t < rows; ++t)
            for (Index j = 0; j < series_; ++j) spikes::check_sample(scratch_.x[static_cast<std::size_t>(t)].lane[j]);
        throw InvalidInput("usage: must be finite");  // not reached: one of them is infinite
    }

    void judge_block(Index start, Index end, bool missing, bool whole_before, const Poll& poll) {
        const Index window = options_.window;
        lanes::Carried prefix, suffix;
        const Index at = static_cast<Index>(suffixes_.first()), way = suffixes_.upwards ? 1 : -1;
        if (missing) suffixes_.count_too();  // a plane that few series need
        if (missing && whole_before)         // the block before had no gaps, so nobody counted
            for (Index j = 1; j <= window; ++j)
                std::fill_n(suffixes_.count[static_cast<std::size_t>(at + way * (j - 1))].lane, lanes::width,
                            static_cast<double>(window - j));
        // A row whose sample lies beyond the series is left out; it can only be the last.
        const Index rows = std::min(end, length_ - ahead()) - start;
        for (Index first = 0; first < rows; first += Scratch::chunk) {
            const Index many = std::min(Scratch::chunk, rows - first);
            if (poll && first > 0 && first % poll_every == 0) poll();
            std::uint64_t hits = 0;
            kernels_.rolling({.x = scratch_.x.data(),
                              .first = first,
                              .rows = many,
                              .window = window,
                              .ahead = ahead(),
                              .missing = missing,
                              .suffixes = suffixes_.moments.data() + at,
                              .suffix_counts = missing ? suffixes_.count.data() + at : nullptr,
                              .way = static_cast<int>(way),
                              .weights = weights_.of_row.data(),
                              .inverse = weights_.inverse.data(),
                              .threshold_squared = std::min(options_.threshold * options_.threshold, 1e300),
                              .needed = static_cast<double>((window + 1) / 2),
                              .prefix = &prefix,
                              .suffix = &suffix,
                              .windows = scratch_.windows,
                              .counts = scratch_.count,
                              .candidate = scratch_.candidate,
                              .hits = &hits});
            if (every_) hits = ~std::uint64_t{0} >> (64 - many);
            // In the first block only the last window lies wholly inside the series.
            if (start == 0 && first < window - 1)
                hits &= window - 1 - first < 64 ? ~std::uint64_t{0} << (window - 1 - first) : 0;
            for (; hits != 0; hits &= hits - 1) {
                const int i = std::countr_zero(hits);
                unsigned lanes = (every_ ? 0xffu : scratch_.candidate[i]) & used();
                for (; lanes != 0; lanes &= lanes - 1) judge_one(std::countr_zero(lanes), i, first + i, start, missing);
            }
        }
    }

    void judge_one(int lane, Index i, Index row, Index start, bool missing) {
        const Index at = start + row + ahead();
        const double u = scratch_.x[static_cast<std::size_t>(at - start)].lane[lane];
        series::Moments<double> window;
        window.count = missing ? static_cast<Index>(scratch_.count[i].lane[lane]) : options_.window;
        window.mean = window.sum = scratch_.windows[i].mean.lane[lane];
        window.squares = scratch_.windows[i].squares.lane[lane];
        // Only a plain sum of samples that cancel is exactly 0; far from 0 the mean has its sign.
        if (window.squares > 0 && window.mean * window.mean <= 1e-18 * window.squares)
            window.sum = plain_sum(lane, start, row);
        recorders_[static_cast<std::size_t>(lane)].record(at, u, every_ ? scored(u, window) : flagged(u, window));
    }

    template <class Real>
    Judgement scored(double u, const series::Moments<Real>& window) const {
        Judgement judged = judge(u, window, options_);
        if (likelihood_ && !std::isnan(judged.score))
            judged.likelihood = 0.5 * std::erfc(-judged.score / std::numbers::sqrt2);
        return judged;
    }

    // Where no score is wanted, and no doubt is left, the root and the division are spared.
    Judgement flagged(double u, const series::Moments<double>& window) const {
        const double above = u - window.mean, n = static_cast<double>(window.count);
        const double reach = above * above * (n - 1), bar = options_.threshold * options_.threshold * window.squares;
        if (!(above > 0 && window.sum > 0 && window.mean > 0)) return {};
        const bool highest = !options_.exclude_current && reach * n > nearly * (n - 1) * (n - 1) * window.squares;
        if (highest || !(reach > bar * (1 + 1e-9) && bar > 0)) return judge(u, window, options_);
        Judgement judged;
        judged.ratio = u / window.mean;
        judged.flag = true;
        return judged;
    }

    // The window that ends at row `row` of the block: what the block before holds of it, and what this one does. Sums
    // are made for a whole block at once, so that a series that always cancels costs no more than twice.
    double plain_sum(int lane, Index start, Index row) {
        Sums& sums = sums_[static_cast<std::size_t>(lane)];
        if (sums.start != start) {
            const auto window = static_cast<std::size_t>(options_.window);
            sums.start = start;
            sums.of_row.resize(window);
            double after = 0, until = 0;
            for (std::size_t i = window; i-- > 0;) {  // the block before's samples beyond row i
                sums.of_row[i] = after;
                if (start > 0) after += sample(lane, start - options_.window + static_cast<Index>(i));
            }
            const Index rows = std::min(options_.window, length_ - start);
            for (Index i = 0; i < rows; ++i)
                sums.of_row[static_cast<std::size_t>(i)] += until += sample(lane, start + i);
        }
        return sums.of_row[static_cast<std::size_t>(row)];
    }

    double sample(int lane, Index t) const {  // 0 where it is missing
        const double u = source_.start[source_.offset[lane] + t * source_.stride];
        return std::isnan(u) ? 0 : u;
    }

    // Squares would leave double's range: once more, in the wider type.
    void scan_extreme(Index lane, const Poll& poll) {
        auto& recorder = recorders_[static_cast<std::size_t>(lane)];
        recorder.restart();
        std::vector<double> x(static_cast<std::size_t>(length_));
        for (Index t = 0; t < length_; ++t)
            x[static_cast<std::size_t>(t)] = source_.start[source_.offset[lane] + t * source_.stride];
        series::rolling_moments<long double>(x, options_.window, [&](Index t, const auto& window) {
            if (poll && t % poll_every == 0) poll();
            const Index at = t + ahead();
            if (at >= length_) return;
            const double u = x[static_cast<std::size_t>(at)];
            recorder.record(at, u, scored(u, window));
        });
    }

    const lanes::Kernels& kernels_ = lanes::kernels();
    const lanes::Source source_;
    const Index series_, length_;
    const RollingSigmaOptions& options_;
    const bool every_, likelihood_;  // is every sample's score wanted? its likelihood?
    const Weights& weights_;
    Scratch& scratch_;
    Suffixes suffixes_;
    unsigned extreme_ = 0, missing_before_ = 0;
    struct Sums {
        Index start = -1;  // of the block
        std::vector<double> of_row;
    };
    std::array<Sums, lanes::width> sums_;
    std::vector<Recorder> recorders_;
};

// Windows longer than the series judge nothing, and nothing may be allocated for them.
void check_alone(const Samples& usage) {
    for (Index j = 0; j < usage.cols(); ++j)
        for (Index t = 0; t < usage.rows(); ++t) spikes::check_sample(usage(t, j));
}

}  // namespace

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

Spikes rolling_sigma(const Samples& usage, const RollingSigmaOptions& options, const SpikeOutputs& outputs,
                     Index threads, const Poll& poll) {
    check(options);
    Spikes out = spikes::blank(usage, outputs);
    const Index groups = (usage.cols() + lanes::width - 1) / lanes::width;
    check_threads(threads, groups);
    if (options.window > usage.rows()) {
        check_alone(usage);
        return out;
    }
    const Weights weights(options.window);
    // Planes of states for several groups would not stay near for a wide window.
    const Index together = options.window <= 1024 ? lanes::together(usage, threads) : 1;
    const Index bands = (groups + together - 1) / together;
    std::vector<Scratch> scratch(static_cast<std::size_t>(check_threads(threads, bands)), Scratch(options.window));
    std::vector<std::vector<Episode>> episodes(static_cast<std::size_t>(groups));
    parallel(bands, threads, poll, [&](Index worker, Index band, const Poll& own) {
        const Index first = band * together, end = std::min(first + together, groups);
        std::vector<Group> band_groups;
        for (Index group = first; group < end; ++group)
            band_groups.emplace_back(usage, group * lanes::width, options, outputs, weights,
                                     scratch[static_cast<std::size_t>(worker)], out);
        Index until_poll = poll_every;
        for (Index start = 0; start < usage.rows(); start += options.window) {
            for (Group& eight : band_groups) eight.block(start, own);
            if (own && (until_poll -= options.window * (end - first)) <= 0) {
                own();
                until_poll = poll_every;
            }
        }
        for (Index group = first; group < end; ++group)
            episodes[static_cast<std::size_t>(group)] =
                band_groups[static_cast<std::size_t>(group - first)].finish(own);
    });
    out.episodes = spikes::joined(episodes);
    return out;
}

}  // namespace surgetank
