#include "surgetank/series_summary.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "surgetank/lanes_source.hpp"
#include "surgetank/parallel.hpp"
#include "surgetank/series.hpp"

namespace surgetank::series {
namespace {

using lanes::Row;

Summary of_lane(const lanes::Running& s, Index j) {
    Summary out;
    out.count = static_cast<Index>(s.count.lane[j]);
    if (out.count == 0) return out;
    out.mean = s.mean.lane[j];
    out.sigma_population = std::sqrt(s.squares.lane[j] / s.count.lane[j]);
    out.slope = out.count == 1 ? 0.0 : s.together.lane[j] / s.number_squares.lane[j];
    out.min = s.min.lane[j];
    out.max = s.max.lane[j];
    out.last = s.last.lane[j];
    out.last_index = static_cast<Index>(s.last_index.lane[j]);
    return out;
}

// The same for a series whose squares would leave double's range.
Summary summarize_extreme(const Samples& x, Index series) {
    Summary out;
    Moments<long double> value, number;
    long double together = 0;
    for (Index i = 0; i < x.rows(); ++i) {
        const double u = x(i, series);
        if (std::isnan(u)) continue;
        const auto wide = static_cast<long double>(u);
        const long double from_mean = wide - value.mean;
        value.add(wide);
        number.add(static_cast<long double>(i));
        together += from_mean * (static_cast<long double>(i) - number.mean);
        if (out.count == 0 || u < out.min) out.min = u;
        if (out.count++ == 0 || u > out.max) out.max = u;
        out.last = u;
        out.last_index = i;
    }
    out.mean = narrow(value.mean);
    out.sigma_population = narrow(std::sqrt(value.squares / static_cast<long double>(out.count)));
    out.slope = out.count == 1 ? 0.0 : narrow(together / number.squares);
    return out;
}

// Order statistics of values without NaN, by counting them in bins.
class Selection {
public:
    explicit Selection(const lanes::Kernels& kernels) : kernels_(kernels) {}

    /// found[i] = the value of rank ranks[i] (ascending) of x, which lies within [low, high].
    void select(std::span<const double> x, double low, double high, std::span<const Index> ranks, double* found,
                int depth = 0) {
        const double scale = 255.999 / (high - low);
        if (low == high) {
            std::fill_n(found, ranks.size(), low);
        } else if (x.size() <= few || depth == deepest || !(std::isfinite(scale) && scale > 0)) {
            std::vector<double> copy(x.begin(), x.end());
            pick(copy, ranks, found);
        } else {
            from_bins(x, low, scale, ranks, found, depth);
        }
    }

private:
    static constexpr std::size_t few = 256;
    static constexpr int deepest = 4;

    static void pick(std::span<double> values, std::span<const Index> ranks, double* found) {
        auto from = values.begin();
        for (const Index rank : ranks) {
            const auto at = values.begin() + rank;
            std::nth_element(from, at, values.end());
            *found++ = *at;
            from = at;
        }
    }

    void from_bins(std::span<const double> x, double low, double scale, std::span<const Index> ranks, double* found,
                   int depth) {
        const auto n = static_cast<lanes::Size>(x.size());
        auto& bins = bins_[depth];
        bins.resize(x.size());
        kernels_.bin(x.data(), n, low, scale, bins.data());
        std::uint32_t counts[4][256] = {};  // four, so that equal neighbours do not wait for each other
        std::size_t i = 0;
        for (; i + 4 <= x.size(); i += 4)
            for (std::size_t k = 0; k < 4; ++k) ++counts[k][bins[i + k]];
        for (; i < x.size(); ++i) ++counts[0][bins[i]];

        Index before = 0;
        std::size_t next = 0;  // rank
        for (std::size_t bin = 0; bin < 256 && next < ranks.size(); ++bin) {
            const Index many = Index{counts[0][bin]} + counts[1][bin] + counts[2][bin] + counts[3][bin];
            std::size_t end = next;
            std::vector<Index> inside;
            while (end < ranks.size() && ranks[end] < before + many) inside.push_back(ranks[end++] - before);
            if (end > next) {
                std::vector<double> values(static_cast<std::size_t>(many));
                kernels_.collect(x.data(), bins.data(), n, static_cast<unsigned char>(bin), values.data());
                if (values.size() <= few) {
                    pick(values, inside, found + next);
                } else {
                    const auto [least, most] = std::minmax_element(values.begin(), values.end());
                    select(values, *least, *most, inside, found + next, depth + 1);
                }
            }
            next = end;
            before += many;
        }
    }

    const lanes::Kernels& kernels_;
    std::vector<unsigned char> bins_[deepest];
};

// The ranks that some quantiles of n values lie between, ascending, and each quantile read off them.
class Ranks {
public:
    Ranks(Index n, const std::vector<double>& quantiles) {
        for (const double q : quantiles) {
            const double position = q * static_cast<double>(n - 1);
            const auto below = static_cast<Index>(position);
            places_.push_back({below, std::min(below + 1, n - 1), position - static_cast<double>(below)});
            ranks.push_back(below);
            ranks.push_back(places_.back().above);
        }
        std::sort(ranks.begin(), ranks.end());
        ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
        values.resize(ranks.size());
    }

    double quantile(std::size_t i) const {
        return between(value(places_[i].below), value(places_[i].above), places_[i].part);
    }

    std::vector<Index> ranks;
    std::vector<double> values;

private:
    struct Place {
        Index below, above;
        double part;
    };
    double value(Index rank) const {
        return values[static_cast<std::size_t>(std::lower_bound(ranks.begin(), ranks.end(), rank) - ranks.begin())];
    }
    std::vector<Place> places_;
};

// Eight series on their way.
struct Group {
    explicit Group(const lanes::Source& from) : source(from) {
        std::fill_n(state.min.lane, lanes::width, inf);
        std::fill_n(state.max.lane, lanes::width, -inf);
    }
    lanes::Source source;
    lanes::Running state{};
    unsigned extreme = 0;
    bool gaps = false;
};

// One thread's memory, and what it does with it.
class Worker {
public:
    static constexpr Index at_once = 2;  // groups, in lanes::Kernels::add_whole

    void moments(const Samples& x, Index first, Index groups, const std::vector<lanes::Step>& steps, Summary* out,
                 const Poll& poll) {
        std::vector<Group> all;
        for (Index g = 0; g < groups && first + g * lanes::width < x.cols(); ++g)
            all.emplace_back(lanes::source(x, first + g * lanes::width));
        for (Index t = 0; t < x.rows(); t += tile) {
            if (poll && t % poll_every == 0) poll();
            const Index rows = std::min(tile, x.rows() - t);
            const lanes::Step* const steps_here = t + rows <= std::ssize(steps) ? steps.data() + t : nullptr;
            const lanes::Row* whole[at_once];
            lanes::Running* states[at_once];
            Index waiting = 0;
            for (Group& eight : all) {
                lanes::Row* const mine = rows_[waiting];
                const lanes::Facts facts = kernels_.load(eight.source, t, rows, mine);
                eight.extreme |= facts.extreme;
                eight.gaps = eight.gaps || facts.missing;
                if (eight.gaps || steps_here == nullptr) {
                    kernels_.add(mine, rows, t, eight.state);
                    continue;
                }
                whole[waiting] = mine;
                states[waiting++] = &eight.state;
                if (waiting < at_once) continue;
                kernels_.add_whole(whole, waiting, rows, t, steps_here, states);
                waiting = 0;
            }
            if (waiting > 0) kernels_.add_whole(whole, waiting, rows, t, steps_here, states);
        }
        for (Index i = 0; i < groups * lanes::width && first + i < x.cols(); ++i) {
            const Group& eight = all[static_cast<std::size_t>(i / lanes::width)];
            const Index lane = i % lanes::width;
            out[i] = eight.extreme >> lane & 1u ? summarize_extreme(x, first + i) : of_lane(eight.state, lane);
        }
    }

    void quantiles(const Samples& x, Index first, Index series, const Summary* summaries,
                   const std::vector<double>& wanted, Eigen::ArrayXXd& levels, const Poll& poll) {
        const auto length = static_cast<std::size_t>(x.rows());
        const bool contiguous = x.innerStride() == 1 || x.rows() <= 1;
        if (!contiguous) {
            columns_.resize(length * lanes::width);
            kernels_.columns(lanes::source(x, first), 0, x.rows(), columns_.data(), x.rows());
        }
        for (Index j = 0; j < series; ++j) {
            const Summary& summary = summaries[j];
            if (summary.count == 0) continue;
            if (poll) poll();
            std::span<const double> values(
                contiguous ? x.data() + (first + j) * x.outerStride() : columns_.data() + j * x.rows(), length);
            if (summary.count < x.rows()) {
                observed_.resize(length + lanes::width);
                kernels_.observed(values.data(), x.rows(), observed_.data());
                values = std::span<const double>(observed_).first(static_cast<std::size_t>(summary.count));
            }
            Ranks ranks(summary.count, wanted);
            selection_.select(values, summary.min, summary.max, ranks.ranks, ranks.values.data());
            for (std::size_t i = 0; i < wanted.size(); ++i)
                levels(static_cast<Index>(i), first + j) = ranks.quantile(i);
        }
    }

private:
    static constexpr Index tile = 128, poll_every = Index{tile} << 12;

    const lanes::Kernels& kernels_ = lanes::kernels();
    Selection selection_{kernels_};
    std::vector<double> columns_, observed_;
    Row rows_[at_once][tile];
};

}  // namespace

std::vector<Summary> summarize(const Samples& x, Index threads, const Poll& poll, const std::vector<double>& quantiles,
                               Eigen::ArrayXXd* levels) {
    for (const double q : quantiles) require(q >= 0 && q <= 1, "quantiles", "must lie in [0, 1]", q);
    std::vector<Summary> out(static_cast<std::size_t>(x.cols()));
    const bool wanted = levels != nullptr && !quantiles.empty();
    if (levels != nullptr) levels->setConstant(static_cast<Index>(quantiles.size()), x.cols(), nan);
    const bool pairs = x.cols() >= 4 * Worker::at_once * lanes::width * check_threads(threads, x.cols());
    const Index together = std::max(lanes::together(x, threads), pairs ? Worker::at_once : 1),
                band = together * lanes::width, bands = (x.cols() + band - 1) / band;
    // For longer series the form for gaps, which gives the same bits, saves the memory.
    std::vector<lanes::Step> steps(static_cast<std::size_t>(std::min(x.rows(), Index{1} << 14)));
    lanes::kernels().count(std::ssize(steps), steps.data());
    std::vector<Worker> workers(static_cast<std::size_t>(check_threads(threads, bands)));
    parallel(bands, threads, poll, [&](Index worker, Index b, const Poll& own) {
        auto& mine = workers[static_cast<std::size_t>(worker)];
        Summary* const summaries = &out[static_cast<std::size_t>(b * band)];
        mine.moments(x, b * band, together, steps, summaries, own);
        if (!wanted) return;
        for (Index first = b * band; first < std::min((b + 1) * band, x.cols()); first += lanes::width)
            mine.quantiles(x, first, std::min(lanes::width, x.cols() - first), &out[static_cast<std::size_t>(first)],
                           quantiles, *levels, own);
    });
    return out;
}

}  // namespace surgetank::series

namespace surgetank {

UsageSummary summarize_usage(const Samples& usage, const std::vector<double>& quantiles, Index threads,
                             const Poll& poll) {
    const Index rows = usage.rows(), n = usage.cols();
    require(rows > 0 && n > 0, "usage", "must hold at least one sample", fmt::format("shape ({}, {})", rows, n));
    UsageSummary out;
    const auto found = series::summarize(usage, threads, poll, quantiles, &out.quantiles);
    for (auto* column : {&out.mean, &out.sigma_population, &out.slope, &out.min, &out.max, &out.last})
        column->resize(n);
    out.count.resize(n);
    out.last_index.resize(n);
    for (Index i = 0; i < n; ++i) {
        const series::Summary& s = found[static_cast<std::size_t>(i)];
        for (const double u : {s.min, s.max})
            require(!std::isinf(u), "usage", "must be finite, or NaN where not observed", u);
        out.count(i) = s.count;
        out.mean(i) = s.mean;
        out.sigma_population(i) = s.sigma_population;
        out.slope(i) = s.slope;
        out.min(i) = s.min;
        out.max(i) = s.max;
        out.last(i) = s.last;
        out.last_index(i) = s.last_index;
    }
    return out;
}

}  // namespace surgetank
