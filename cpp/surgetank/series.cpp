#include "surgetank/series.hpp"

#include <algorithm>
#include <functional>
#include <numbers>

namespace surgetank::series {

double between(double low, double high, double part) {
    if (low == high || part == 0) return low;  // two infinities, too
    if (std::isinf(high)) return high;         // of numbers and infinities only the nearer end is a number
    const double gap = high - low;
    if (std::isinf(gap) && std::isfinite(low) && std::isfinite(high)) return low * (1 - part) + high * part;
    return part < 0.5 ? low + gap * part : high - gap * (1 - part);
}

double quantile(std::span<double> values, double q) {
    constexpr std::size_t few = 8;  // that lie above: sorted sooner than all are partitioned
    if (values.empty()) return nan;
    const double position = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    if (const std::size_t above = values.size() - below; above <= few && above > 1) {
        const auto end = values.begin() + static_cast<std::ptrdiff_t>(above);
        std::partial_sort(values.begin(), end, values.end(), std::greater<>());
        return between(*(end - 1), *(end - 2), position - static_cast<double>(below));
    }
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), at, values.end());
    if (below + 1 >= values.size()) return *at;
    return between(*at, *std::min_element(at + 1, values.end()), position - static_cast<double>(below));
}

Trend theil_sen(std::span<const double> values, double z) {
    Trend out;
    std::vector<double> seen, slopes;
    slopes.reserve(values.size() * values.size() / 2);
    for (std::size_t j = 0; j < values.size(); ++j) {
        if (std::isnan(values[j])) continue;
        for (std::size_t i = 0; i < j; ++i)
            if (!std::isnan(values[i])) slopes.push_back((values[j] - values[i]) / static_cast<double>(j - i));
        seen.push_back(values[j]);
    }
    out.count = static_cast<Index>(seen.size());
    out.median = quantile(seen, 0.5);
    if (slopes.empty()) return out;
    out.slope = quantile(slopes, 0.5);
    const auto n = static_cast<double>(out.count), pairs = static_cast<double>(slopes.size());
    const double spread = z * std::sqrt(n * (n - 1) * (2 * n + 5) / 18);
    const double low = std::floor((pairs - spread) / 2) - 1, high = std::ceil((pairs + spread) / 2);  // from 0
    if (low < 0 || high > pairs - 1) return out;
    const auto lower = slopes.begin() + static_cast<std::ptrdiff_t>(low);
    const auto upper = slopes.begin() + static_cast<std::ptrdiff_t>(high);
    std::nth_element(slopes.begin(), upper, slopes.end());
    std::nth_element(slopes.begin(), lower, upper);  // what lies below the upper limit is before it
    out.low = *lower;
    out.high = *upper;
    return out;
}

double normal_quantile(double p) {
    double z = 0;  // Newton on the distribution function
    for (int i = 0; i < 60; ++i) {
        const double error = 0.5 * std::erfc(-z / std::numbers::sqrt2) - p;
        const double step = std::clamp(error * std::sqrt(2 * std::numbers::pi) * std::exp(z * z / 2), -0.5, 0.5);
        z -= step;
        if (std::abs(step) < 1e-13) break;
    }
    return z;
}

}  // namespace surgetank::series
