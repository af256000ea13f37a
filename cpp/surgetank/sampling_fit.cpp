// fit_quantiles: from "low, likely, high, at 90 %" to a triangular or PERT distribution.
#include <algorithm>
#include <cmath>

#include "surgetank/sampling_distribution.hpp"

namespace surgetank::sampling {
namespace {

constexpr int halvings = 200;
constexpr double most_weight = 1000;

// Where a monotonically increasing f changes its sign in [low, high].
template <class F>
double root(const F& f, double low, double high) {
    for (int i = 0; i < halvings; ++i) {
        const double mid = 0.5 * (low + high);
        (f(mid) > 0 ? high : low) = mid;
    }
    return 0.5 * (low + high);
}

// Quantiles on [0, 1] of the distribution with its mode there.
std::pair<double, double> ends(Kind kind, double mode, double weight, double tail) {
    const Distribution d =
        kind == Kind::pert ? Distribution(kind, {0, mode, 1, weight}) : Distribution(kind, {0, mode, 1});
    return {d.quantile({tail, 1 - tail}), d.quantile({1 - tail, tail})};
}

}  // namespace

std::vector<double> fit_quantiles(Kind kind, double low, double likely, double high, double confidence) {
    require(kind == Kind::triangular || kind == Kind::pert, "kind", "must be triangular or pert",
            static_cast<int>(kind));
    const auto given = [&] { return fmt::format("{:g}, {:g}, {:g} at {:g}", low, likely, high, confidence); };
    require(0 <= low && low <= likely && likely <= high && std::isfinite(high), "low, likely, high",
            "must be in order, finite and 0 or more", given());
    require(confidence > 0 && confidence < 1, "confidence", "must lie between 0 and 1", confidence);
    const auto result = [&](double from, double to, double weight) {
        std::vector<double> out{std::max(0.0, from), likely, to};
        if (kind == Kind::pert) out.push_back(weight);
        return out;
    };
    if (low == high) return result(low, high, 4);
    const double tail = 0.5 * (1 - confidence);
    // On [0, 1] the mode's distances to both quantiles must have the given ratio; that fixes the mode.
    const double mode = root(
        [&](double m) {
            const auto [a, b] = ends(kind, m, 4, tail);
            return (m - a) * (high - likely) - (b - m) * (likely - low);
        },
        0, 1);
    const auto [a, b] = ends(kind, mode, 4, tail);
    const double width = (high - low) / (b - a), from = likely - mode * width;
    if (from >= -1e-12 * high) return result(from, from + width, 4);
    require(kind == Kind::pert && low > 0, "low, likely, high", "must fit a distribution without negative durations",
            given());
    // Nothing is shorter than 0: the weight gives way. For each weight the width that puts `high` right.
    const auto width_for = [&](double weight) {
        return root([&](double w) { return w * ends(kind, likely / w, weight, tail).second - high; },
                    std::max(likely, 1e-300), std::max(1e3 * high, 2 * likely));
    };
    const auto too_high = [&](double weight) {
        const double w = width_for(weight);
        return w * ends(kind, likely / w, weight, tail).first - low;
    };
    double least = 1e-3, most = most_weight;
    require(too_high(least) <= 0 && too_high(most) >= 0, "low, likely, high",
            "must fit a distribution without negative durations", given());
    for (int i = 0; i < 100; ++i) {
        const double mid = std::sqrt(least * most);
        (too_high(mid) > 0 ? most : least) = mid;
    }
    const double w = width_for(most);
    const auto [back_low, back_high] = ends(kind, likely / w, most, tail);
    require(std::abs(w * back_low - low) <= 1e-6 * high && std::abs(w * back_high - high) <= 1e-6 * high,
            "low, likely, high", "must fit a distribution without negative durations", given());
    return result(0, w, most);
}

}  // namespace surgetank::sampling
