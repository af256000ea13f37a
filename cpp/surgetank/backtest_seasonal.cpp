#include "surgetank/backtest_seasonal.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "surgetank/series.hpp"

namespace surgetank::backtest {
namespace {

constexpr Index week = 7, year = 364, around = 3;  // days; a year of whole weeks, compared over a week's mean
constexpr double most_ratio = 16;                  // ratios beyond are counted at the end of the histogram
constexpr std::size_t bin_count = 512;
constexpr double surprise_half_life_d = 14, floor_share = 0.05, floor_days = 90;
constexpr double most_weight = 1e200;

double gain(double half_life_d) { return 1 - std::exp2(-1 / half_life_d); }

// A weekday's daily maximum (its logarithm) beside the mean of the week around it.
class Profile {
public:
    explicit Profile(double memory) : memory_(memory) { days_.fill(nan); }

    double at(Index day) const { return season_[static_cast<std::size_t>(day % week)]; }

    /// x: NaN for a day that was not observed.
    void add(Index day, double x) {
        days_[static_cast<std::size_t>(day % week)] = x;
        const Index middle = day - week / 2;
        if (day >= week - 1) learn(static_cast<std::size_t>(middle % week));
        if (*std::min_element(count_.begin(), count_.end()) >= 2) shrink();
    }

private:
    using Week = std::array<double, static_cast<std::size_t>(week)>;

    void learn(std::size_t slot) {
        double sum = 0, seen = 0;
        for (const double x : days_) {
            if (std::isnan(x)) continue;
            sum += x;
            ++seen;
        }
        if (std::isnan(days_[slot]) || 2 * seen <= static_cast<double>(week)) return;
        const double rest = days_[slot] - sum / seen;
        const double off = rest - mean_[slot];
        ++count_[slot];
        ++total_;
        if (count_[slot] > 1) noise_ += std::max(0.02, 1 / total_) * (off * off - noise_);
        mean_[slot] += off / std::min(count_[slot], memory_);
    }

    void shrink() {
        const double middle = std::accumulate(mean_.begin(), mean_.end(), 0.0) / static_cast<double>(week);
        double between = 0;
        for (const double mean : mean_) between += (mean - middle) * (mean - middle);
        between /= static_cast<double>(week - 1);
        const double least = *std::min_element(count_.begin(), count_.end());
        const double noise = noise_ / std::min(least, 2 * memory_ - 1);
        const double share = between > 0 ? std::max(0.0, 1 - noise / between) : 0;
        for (std::size_t j = 0; j < season_.size(); ++j) season_[j] = share * (mean_[j] - middle);
    }

    double memory_, noise_ = 0, total_ = 0;
    Week days_, mean_{}, count_{}, season_{};
};

// The logarithm of a day's typical demand, quick up and slow down.
class Level {
public:
    explicit Level(const Seasonal& options)
        : up_(gain(options.up_d)), down_(gain(options.down_d)), clip_(options.clip) {}

    double value() const { return value_; }

    void add(double x) {
        ++count_;
        if (std::isnan(value_)) {
            value_ = x;
            return;
        }
        constexpr double settled = 7;  // days until it is known what a surprise is
        double off = x - value_;
        if (count_ > settled) off = std::min(off, clip_ * usual_);
        const double size = std::abs(count_ > settled ? std::max(off, -clip_ * usual_) : off);
        usual_ += std::max(gain(surprise_half_life_d), 1 / (count_ - 1)) * (size - usual_);
        value_ += std::max(off > 0 ? up_ : down_, 1 / count_) * off;
    }

private:
    double up_, down_, clip_, value_ = nan, usual_ = 0, count_ = 0;
};

// Ratios on a logarithmic scale; the newer, the heavier.
class Ratios {
public:
    Ratios(std::vector<double>& bins, double half_life_d) : bins_(bins), growth_(std::exp2(1 / half_life_d)) {
        bins_.assign(bin_count, 0.0);
    }

    void next_day() {
        weight_ *= growth_;
        if (weight_ < most_weight) return;
        for (double& bin : bins_) bin /= weight_;
        weight_ = 1;
    }
    void add(double log_ratio) {
        const double place = std::clamp((log_ratio - low()) / width(), 0.0, static_cast<double>(bin_count - 1));
        bins_[static_cast<std::size_t>(place)] += weight_;
    }
    /// 1 where there is none yet.
    double quantile(double q) const {
        const double all = std::accumulate(bins_.begin(), bins_.end(), 0.0), wanted = q * all;
        if (all <= 0) return 1;
        // However the sums round, no further than the last bin that has any weight.
        std::size_t last = bin_count - 1, j = 0;
        while (bins_[last] <= 0) --last;
        double before = 0;
        while (j < last && before + bins_[j] < wanted) before += bins_[j++];
        const double part = bins_[j] > 0 ? std::clamp((wanted - before) / bins_[j], 0.0, 1.0) : 0;
        return std::exp(low() + width() * (static_cast<double>(j) + part));
    }

private:
    static double low() { return -std::log(most_ratio); }
    static double width() { return 2 * std::log(most_ratio) / static_cast<double>(bin_count); }

    std::vector<double>& bins_;
    double growth_, weight_ = 1;
};

// The mean of the known levels of days first … last.
double mean_of(const std::vector<double>& levels, Index first, Index last) {
    double sum = 0, seen = 0;
    for (Index b = first; b <= last; ++b) {
        const double level = levels[static_cast<std::size_t>(b)];
        if (std::isnan(level)) continue;
        sum += level;
        ++seen;
    }
    return seen > 0 ? sum / seen : nan;
}

}  // namespace

void check(const Seasonal& options) {
    const auto share = [](double x) { return x >= 0 && x <= 1; };
    const auto positive = [](double x) { return x > 0 && !std::isnan(x); };
    require(share(options.quantile), "quantile", "must lie in [0, 1]", options.quantile);
    require(share(options.level_quantile), "level_quantile", "must lie in [0, 1]", options.level_quantile);
    require(positive(options.up_d), "up_s", "must be positive", options.up_d);
    require(positive(options.down_d), "down_s", "must be positive", options.down_d);
    require(positive(options.clip), "clip", "must be positive", options.clip);
    require(options.seasons >= 1, "seasons", "must be at least 1", options.seasons);
    require(positive(options.half_life_d), "half_life_s", "must be positive", options.half_life_d);
    require(share(options.annual), "annual", "must lie in [0, 1]", options.annual);
}

void Forecaster::operator()(std::span<const double> demand, std::span<const double> peak, const Seasonal& options,
                            const Ahead& ahead, std::span<double> out) {
    check(options);
    const auto samples = static_cast<Index>(demand.size());
    const Index origin = (ahead.first + 1) % ahead.day;  // where the first whole day begins
    const auto day_of = [&](Index t) { return (t - origin) / ahead.day; };
    Profile profile(options.seasons);
    Level level(options);
    Ratios ratios(bins_, options.half_life_d);
    levels_.clear();
    bases_.clear();
    double typical_top = 0, days = 0, highest = nan;
    Index rated = origin, seen = 0;
    double forecast = nan, factor = 1;
    for (Index d = 0, t = ahead.first; t < samples; ++d, t += ahead.every) {
        for (; seen <= t; ++seen) highest = std::fmax(highest, demand[static_cast<std::size_t>(seen)]);
        // Days that are over by now and have not been looked at.
        for (Index b = static_cast<Index>(levels_.size()); origin + (b + 1) * ahead.day <= t + 1; ++b) {
            const auto begin = demand.begin() + origin + b * ahead.day;
            day_.clear();
            std::copy_if(begin, begin + ahead.day, std::back_inserter(day_), [](double x) { return !std::isnan(x); });
            const double before = b > 0 ? levels_.back() : nan, season = profile.at(b);
            double top = nan;
            if (2 * static_cast<Index>(day_.size()) >= ahead.day) {
                const double most = *std::max_element(day_.begin(), day_.end());
                ++days;
                typical_top += (most - typical_top) / std::min(days, floor_days);
                // Idle days say nothing of how high busy ones reach; and nothing at all has no logarithm.
                const double floor = std::max(floor_share * typical_top, std::numeric_limits<double>::denorm_min());
                top = std::log(std::max(most, floor));
                level.add(std::log(std::max(series::quantile(day_, options.level_quantile), floor)) - season);
            }
            bases_.push_back((std::isnan(before) ? level.value() : before) + season);
            levels_.push_back(level.value());
            profile.add(b, top);
            ratios.next_day();
            // Peaks that are known by the end of this day.
            const Index known = origin + (b + 1) * ahead.day - ahead.length + 1;
            for (; rated < known; ++rated) {
                const double p = peak[static_cast<std::size_t>(rated)],
                             base = bases_[static_cast<std::size_t>(day_of(rated))];
                if (p > 0 && !std::isnan(base)) ratios.add(std::log(p) - base);
            }
            forecast = level.value();
            factor = ratios.quantile(options.quantile);
            const Index ahead_d = (2 * ahead.lead + ahead.horizon) / (2 * ahead.day) + 1;
            if (options.annual > 0 && b >= year + around) {
                const double then =
                    mean_of(levels_, b - year + ahead_d - around, std::min(b, b - year + ahead_d + around));
                const double now = mean_of(levels_, b - year - around, b - year + around);
                if (!std::isnan(then - now)) forecast += options.annual * (then - now);
            }
        }
        auto& wanted = out[static_cast<std::size_t>(d)];
        if (std::isnan(forecast)) {
            wanted = highest;
            continue;
        }
        const Index from = day_of(t + 1 + ahead.lead);
        const Index to = std::min(day_of(t + ahead.lead + ahead.horizon + ahead.length - 1), from + week - 1);
        double season = profile.at(from);
        for (Index b = from + 1; b <= to; ++b) season = std::max(season, profile.at(b));
        wanted = std::exp(forecast + season) * factor;
    }
}

}  // namespace surgetank::backtest
