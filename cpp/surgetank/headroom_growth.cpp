#include "surgetank/headroom_growth.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "surgetank/series.hpp"
#include "surgetank/series_peaks.hpp"

namespace surgetank::headroom {
namespace {

constexpr double z_90 = 1.2815515655446004;  // one-sided 90 %
constexpr std::ptrdiff_t least_days = 7;     // a week, so that growth is not a weekday
constexpr std::size_t most_days = 365;

}  // namespace

Growth growth_of(std::span<const double> demand, bool gaps, double step_s, const QuantileOptions& options) {
    const double horizon_s = options.lead_time_s + options.review_s;
    Growth out;
    if (!std::isnan(options.growth)) {
        out.factor = out.low = options.growth;
        out.per_s = horizon_s > 0 ? (options.growth - 1) / horizon_s : 0;
        return out;
    }
    const Index day = series::window_length(day_s, step_s);
    const Eigen::Map<const Eigen::ArrayXd> samples(demand.data(), static_cast<Index>(demand.size()));
    std::vector<double> maxima;
    for (Index end = samples.size(); end >= day && maxima.size() < most_days; end -= day) {
        const auto part = samples.segment(end - day, day);
        const bool seen = !gaps || 4 * (part > -inf).count() >= day;  // a day hardly seen has no maximum to speak of
        maxima.push_back(seen ? part.maxCoeff() : nan);
    }
    std::reverse(maxima.begin(), maxima.end());
    const auto known = std::count_if(maxima.begin(), maxima.end(), [](double u) { return !std::isnan(u); });
    out.days = static_cast<double>(known);
    if (known < least_days) return out;
    const series::Trend trend = series::theil_sen(maxima, z_90);
    out.daily_median = trend.median;
    if (std::isnan(trend.high) || !(trend.median > 0)) return out;
    const double day_of_steps = static_cast<double>(day) * step_s;
    const auto factor = [&](double slope) {
        return std::max(1.0, 1 + slope / day_of_steps * horizon_s / trend.median);
    };
    out.factor = factor(trend.high);
    out.low = factor(trend.low);
    out.slope_per_day = trend.high * day_s / day_of_steps;
    out.per_s = std::max(0.0, trend.high / day_of_steps / trend.median);
    return out;
}

}  // namespace surgetank::headroom
