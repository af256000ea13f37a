#include "surgetank/rolling.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "surgetank/cpu_kernels.hpp"
#include "surgetank/rolling_kernels.hpp"

namespace surgetank::rolling {

SURGETANK_KERNELS

namespace {

constexpr Index list_most = 128;  // samples of a window that are moved along as a list: measured
constexpr std::int32_t few = 12;

// For two stretches of the series each: two lists of 32-bit ranks, or the words.
Size list_room(Size window) { return 4 * ((window + 31) / 32 * 32 + 64) * 4; }
Size bits_room(Size observed) { return 2 * ((observed + 63) / 64 + 1) * 8; }

}  // namespace

Size room(Size window, Size observed) {
    return std::max(list_room(std::min<Size>(window, list_most)), bits_room(observed));
}

void Ranked::rank(std::span<const double> x) {
    double low = inf, high = -inf;
    for (const double value : x) {
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    const auto observed =
        static_cast<std::size_t>(std::count_if(x.begin(), x.end(), [](double value) { return !std::isnan(value); }));
    observed_ = observed;
    at_.resize(observed);
    sorted_.resize(observed);
    // Samples into about as many drawers as there are of them, by their value; then each drawer is put in order.
    const auto drawers = std::bit_floor(std::max<std::size_t>(observed, 1));
    const double scale = (static_cast<double>(drawers) - 1) / (high - low);
    const bool even = std::isfinite(scale) && scale > 0;
    const auto drawer = [&](double value) {
        return even ? std::min(static_cast<std::size_t>((value - low) * scale), drawers - 1) : 0;
    };
    auto& start = rank_;  // until there are ranks
    start.assign(std::max(drawers + 1, x.size()), 0);
    for (const double value : x)
        if (!std::isnan(value)) ++start[drawer(value) + 1];
    for (std::size_t d = 1; d <= drawers; ++d) start[d] += start[d - 1];
    for (std::size_t t = 0; t < x.size(); ++t)
        if (!std::isnan(x[t])) at_[static_cast<std::size_t>(start[drawer(x[t])]++)] = static_cast<std::int32_t>(t);
    // start[d] is now where drawer d ends.
    const auto before = [&](std::int32_t a, std::int32_t b) {
        const double xa = x[static_cast<std::size_t>(a)], xb = x[static_cast<std::size_t>(b)];
        return xa < xb || (xa == xb && a < b);
    };
    std::int32_t begin = 0;
    for (std::size_t d = 0; d < drawers; ++d) {
        const std::int32_t end = start[d];
        if (end - begin > few) {
            std::sort(at_.begin() + begin, at_.begin() + end, before);
        } else {  // by insertion: most drawers hold one or two
            for (std::int32_t i = begin + 1; i < end; ++i) {
                const std::int32_t own = at_[static_cast<std::size_t>(i)];
                std::int32_t j = i;
                for (; j > begin && before(own, at_[static_cast<std::size_t>(j - 1)]); --j)
                    at_[static_cast<std::size_t>(j)] = at_[static_cast<std::size_t>(j - 1)];
                at_[static_cast<std::size_t>(j)] = own;
            }
        }
        begin = end;
    }
    rank_.assign(x.size(), no_rank);
    for (std::size_t r = 0; r < observed; ++r) {
        const auto t = static_cast<std::size_t>(at_[r]);
        rank_[t] = static_cast<std::int32_t>(r);
        sorted_[r] = x[t];
    }
}

void Quantiles::operator()(const Ranked& x, Index window, std::span<const double> probabilities, Index first,
                           Index every, std::span<double* const> out) {
    require(window >= 1, "window", "must be at least one sample", window);
    require(every >= 1, "every", "must be at least one sample", every);
    require(first >= 0, "first", "must be 0 or more", first);
    for (const double p : probabilities) require(p >= 0 && p <= 1, "quantile", "must lie in [0, 1]", p);
    Trailing job;
    job.rank = x.ranks().data();
    job.samples = static_cast<Size>(x.ranks().size());
    job.sorted = x.sorted().data();
    job.observed = static_cast<Size>(x.sorted().size());
    job.window = std::min<Index>(window, std::max<Index>(job.samples, 1));
    job.first = first;
    job.every = every;
    scratch_.resize(static_cast<std::size_t>(room(job.window, job.observed)) / sizeof(double) + 1);
    job.scratch = scratch_.data();
    const bool whole = job.observed == job.samples && every == 1 && first >= job.window - 1 && first < job.samples;
    const bool dense = 64 * job.window >= job.observed;  // a neighbour is seldom far
    for (std::size_t k = 0; k < probabilities.size(); k += most_quantiles) {
        job.probability = probabilities.data() + k;
        job.count = std::min<Size>(most_quantiles, static_cast<Size>(probabilities.size() - k));
        job.out = out.data() + k;
        if (whole && (job.window > list_most || dense)) kernels().follow(job);
        else if (job.window <= list_most) kernels().list(job);
        else kernels().bits(job);
    }
}

}  // namespace surgetank::rolling
