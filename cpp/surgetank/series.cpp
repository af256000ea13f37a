#include "surgetank/series.hpp"

#include <algorithm>
#include <numbers>

namespace surgetank::series {
namespace {

// Co-moments of (sample number, value), kept Welford's way so that 1e9 + noise keeps its slope.
template <class Real>
Summary summarize_in(std::span<const double> x) {
    Summary out;
    Moments<Real> value, number;
    Real together = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (std::isnan(x[i])) continue;
        const auto u = static_cast<Real>(x[i]);
        const Real from_mean = u - value.mean;
        value.add(u);
        number.add(static_cast<Real>(i));
        together += from_mean * (static_cast<Real>(i) - number.mean);
        if (out.count++ == 0 || x[i] > out.max) out.max = x[i];
        out.last = x[i];
        out.last_index = static_cast<Index>(i);
    }
    if (out.count == 0) return out;
    out.mean = narrow(value.mean);
    out.sigma_population = narrow(std::sqrt(value.squares / static_cast<Real>(out.count)));
    out.slope = out.count == 1 ? 0.0 : narrow(together / number.squares);
    return out;
}

}  // namespace

Summary summarize(std::span<const double> x) {
    return extreme(x) ? summarize_in<long double>(x) : summarize_in<double>(x);
}

double quantile(std::span<double> values, double q) {
    if (values.empty()) return nan;
    const double position = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), at, values.end());
    if (below + 1 >= values.size()) return *at;
    const double low = *at, high = *std::min_element(at + 1, values.end());
    // From the nearer end, so that equal neighbours give themselves and monotony holds (as NumPy does).
    if (low == high) return low;  // two infinities, too
    const double part = position - static_cast<double>(below), gap = high - low;
    return part < 0.5 ? low + gap * part : high - gap * (1 - part);
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

bool extreme(std::span<const double> x) {
    // 1e140 leaves room for squares times any number of samples, 1e-120 for squares of differences in the last digit.
    for (const double u : x)
        if (const double size = std::abs(u); size > 1e140 || (size < 1e-120 && size > 0)) return true;
    return false;
}

}  // namespace surgetank::series
