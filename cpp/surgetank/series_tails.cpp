#include "surgetank/series_tails.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>

#include "surgetank/series.hpp"

namespace surgetank::series {
namespace {

constexpr double least_exceedances = 10;  // risk × n_eff from which counting is trusted
constexpr double shape_sd = 0.1;          // how far shapes stray from 0, before a series is seen
constexpr double shape_limit = 0.5;
constexpr Index least_clusters = 5;
constexpr std::size_t draws = 128, resamples = 200;
constexpr double block_s = 3600, day_s = 86400;
constexpr double over_frac = 0.05, over_most_frac = 0.10;  // share of the blocks that reach above the threshold
constexpr double over_least = 40;

using Normals = std::array<std::array<double, 3>, draws>;

// Evenly spread draws of three normals (M. Roberts' additive recurrence), the same for every series: equal series get
// equal intervals, and nothing depends on the order of the calls.
const Normals& normals() {
    static const Normals table = [] {
        constexpr double plastic = 1.2207440846057596;  // x⁴ = x + 1
        Normals z;
        for (std::size_t i = 0; i < draws; ++i)
            for (std::size_t k = 0; k < 3; ++k) {
                const double u = 0.5 + static_cast<double>(i + 1) * std::pow(plastic, -static_cast<double>(k + 1));
                z[i][k] = normal_quantile(std::clamp(u - std::floor(u), 1e-4, 1 - 1e-4));
            }
        for (std::size_t k = 0; k < 3; ++k) {  // exactly centred
            double mean = 0;
            for (const auto& one : z) mean += one[k] / static_cast<double>(draws);
            for (auto& one : z) one[k] -= mean;
        }
        return z;
    }();
    return table;
}

}  // namespace

Tail::Tail(std::span<double> x, const TailOptions& options) : x_(x), options_(options), windows_(0, 1) {
    const auto duration = [](double s) { return std::isfinite(s) && s > 0; };
    require(duration(options.step_s), "step_s", "must be a positive number of seconds", options.step_s);
    require(duration(options.duration_s), "duration_s", "must be a positive number of seconds", options.duration_s);
    require(duration(options.run_s), "run_s", "must be a positive number of seconds", options.run_s);
    require(options.risk > 0 && options.risk < 1, "risk", "must lie between 0 and 1", options.risk);
    require(options.confidence >= 0 && options.confidence < 1, "confidence", "must lie in [0, 1)", options.confidence);

    const auto samples = static_cast<Index>(x.size());
    observed_ = samples;
    if (options.gaps && std::isnan(Eigen::Map<const Eigen::ArrayXd>(x.data(), samples).sum()))
        for (double& u : x) {
            observed_ -= static_cast<Index>(std::isnan(u));
            u = std::isnan(u) ? -inf : u;
        }
    const Index length = window_length(options.duration_s, options.step_s);
    windows_ = Windows(samples, length);
    if (observed_ < samples) {
        // Fully observed windows; where gaps leave less than half of them, those at least half observed.
        const Index all = windows_.count();
        windows_ = Windows(x, length, length);
        if (2 * windows_.count() < all) windows_ = Windows(x, length, (length + 1) / 2);
    }
    level_.windows = windows_.count();
    block_ = std::min(std::max<Index>(1, samples), window_length(block_s, options_.step_s));
    tops_ = block_tops(x_, block_);
    top_ = tops_.empty() ? -inf : largest(tops_.data(), static_cast<Index>(tops_.size()));
    fit();
    const double spread_s = options_.duration_s + (level_.fit.clusters > 0 ? level_.fit.cluster_s : options_.step_s);
    level_.n_eff = covered_s_ / spread_s;
    count_level();
    level_.extrapolated = options_.fitted && options_.risk * level_.n_eff < least_exceedances;
    if (level_.extrapolated) fit_level();
    else count_interval();
}

void Tail::fit() {
    const auto samples = static_cast<Index>(x_.size());
    if (observed_ == 0) return;
    const Index run = window_length(options_.run_s, options_.step_s);
    // Time counts as seen wherever a cluster could not hide between two observed samples.
    covered_s_ = static_cast<double>(samples) * options_.step_s;
    if (observed_ < samples) {
        Index hidden = 0, gap = 0;
        for (const double u : x_) {
            gap = u == -inf ? gap + 1 : 0;
            if (gap == run + 1) hidden += gap;
            else if (gap > run) ++hidden;
        }
        covered_s_ -= static_cast<double>(hidden) * options_.step_s;
    }
    if (!options_.fitted) return;

    std::vector<double> sorted;
    for (const double top : tops_)
        if (top > -inf) sorted.push_back(top);
    const auto hours = static_cast<double>(sorted.size());
    const double wanted = std::min(over_most_frac * hours, std::max(over_frac * hours, over_least));
    const auto over = static_cast<std::size_t>(std::max(1.0, wanted));
    if (over >= sorted.size()) return;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(over), sorted.end(),
                     std::greater<>());
    const double threshold = sorted[over];

    std::vector<double> excess;
    Index last = -1, first = -1, together = 0;
    const Index offset = samples - static_cast<Index>(tops_.size()) * block_;
    for (std::size_t b = 0; b < tops_.size(); ++b) {
        if (!(tops_[b] > threshold)) continue;
        const Index end = offset + static_cast<Index>(b + 1) * block_;
        for (Index p = std::max<Index>(0, end - block_); p < end; ++p) {
            const double over_by = x_[static_cast<std::size_t>(p)] - threshold;
            if (!(over_by > 0)) continue;
            if (excess.empty() || p - last > run) {
                if (!excess.empty()) together += last - first + 1;
                excess.push_back(over_by);
                first = p;
            } else {
                excess.back() = std::max(excess.back(), over_by);
            }
            last = p;
        }
    }
    auto& fit = level_.fit;
    fit.threshold = threshold;
    if (excess.empty()) return;
    together += last - first + 1;
    const auto k = static_cast<double>(excess.size());
    fit.cluster_s = static_cast<double>(together) / k * options_.step_s;
    fit.per_s = k / covered_s_;
    if (static_cast<Index>(excess.size()) < least_clusters) return;

    std::sort(excess.begin(), excess.end());
    // Peaks far above the threshold that are much alike (a job that runs every night) are no tail of what lies between:
    // the threshold is raised to where their spread would put it.
    const double lowest = excess.front();
    const double typical = std::accumulate(excess.begin(), excess.end(), 0.0) / k;
    if (const double gap = lowest - (typical - lowest); gap > 0) {
        fit.threshold += gap;
        for (double& y : excess) y -= gap;
    }
    double mean = 0, weighted = 0;
    for (std::size_t i = 0; i < excess.size(); ++i) {
        mean += excess[i];
        weighted += excess[i] * (k - 1 - static_cast<double>(i)) / (k - 1);
    }
    mean /= k;
    weighted /= k;
    const double spread = mean - 2 * weighted;  // 0 where all are equal, up to rounding
    const double raw = spread > 1e-12 * mean ? 2 - mean / spread : -inf;
    const double sampling = 4.0 / 3 / k, prior = shape_sd * shape_sd;
    fit.shape = std::clamp(raw * prior / (prior + sampling), -shape_limit, shape_limit);
    fit.scale = mean * (1 - fit.shape);
    if (!std::isfinite(mean) || !(fit.scale > 0)) return;
    fit.clusters = static_cast<Index>(excess.size());

    const double shape_error = std::sqrt(prior * sampling / (prior + sampling));
    const double mean_error = std::sqrt(1 / (k * (1 - 2 * std::min(fit.shape, 0.4))));
    draws_.reserve(draws);
    for (const auto& z : normals()) {
        const double shape = std::clamp(fit.shape + shape_error * z[0], -shape_limit, shape_limit);
        draws_.push_back(
            {shape, mean * std::exp(mean_error * z[1]) * (1 - shape), fit.per_s * std::exp(z[2] / std::sqrt(k))});
    }
}

double Tail::risk_of(const Draw& draw, double excess) const {
    const double y = excess / draw.scale;
    double log_share = -y;
    if (std::abs(draw.shape) > 1e-6) {
        const double inside = 1 + draw.shape * y;
        if (inside <= 0) return 0;
        log_share = -std::log(inside) / draw.shape;
    }
    const double met = draw.per_s * std::exp(log_share) * (options_.duration_s + level_.fit.cluster_s);
    // Where it is small the series is as exact, and faster.
    return met < 0.01 ? met * (1 - met / 2 * (1 - met / 3 * (1 - met / 4 * (1 - met / 5)))) : -std::expm1(-met);
}

double Tail::excess_of(const Draw& draw, double risk) const {
    const double rate = -std::log1p(-risk) / (options_.duration_s + level_.fit.cluster_s);
    const double reach = std::max(0.0, std::log(draw.per_s / rate));
    const double y = std::abs(draw.shape) > 1e-6 ? std::expm1(draw.shape * reach) / draw.shape : reach;
    return draw.scale * y;
}

double Tail::fitted_risk(double excess) const {
    double sum = 0;
    for (const Draw& draw : draws_) sum += risk_of(draw, excess);
    return sum / static_cast<double>(draws_.size());
}

// The level whose averaged risk is the one asked for: the averaged risk falls nearly exponentially, so the secant on
// its logarithm, kept inside a bracket, needs a few steps.
void Tail::fit_level() {
    auto& out = level_;
    if (out.fit.clusters == 0) {  // nothing exceeds, or hardly anything: the largest that was seen
        out.level = top_ > -inf ? top_ : nan;
        out.low = options_.confidence > 0 ? out.counted : nan;
        out.high = options_.confidence > 0 ? out.level : nan;
        return;
    }
    const double target = std::log(options_.risk);
    const auto miss = [&](double excess) { return std::log(fitted_risk(excess)) - target; };
    double excess = 0;
    if (double a = 0, fa = miss(a); fa > 0) {
        double b = excess_of({out.fit.shape, out.fit.scale, out.fit.per_s}, options_.risk) + out.fit.scale;
        double fb = miss(b);
        while (fb > 0 && std::isfinite(b)) {
            a = b;
            fa = fb;
            b *= 2;
            fb = miss(b);
        }
        for (int i = 0; i < 60 && b - a > 1e-12 * b; ++i) {
            const double guess = std::isfinite(fb) ? a + (b - a) * fa / (fa - fb) : 0.5 * (a + b);
            const double c = std::clamp(guess, a + 0.001 * (b - a), b - 0.001 * (b - a)), fc = miss(c);
            (fc > 0 ? a : b) = c;
            (fc > 0 ? fa : fb) = fc;
            if (std::abs(fc) < 1e-10) a = b = c;
        }
        excess = b;
    }
    const double level = out.fit.threshold + excess;
    if (excess == 0) {  // the risk asked for is commoner than the threshold: counting answers after all
        count_interval();
        return;
    }
    out.level = std::max(level, out.counted);
    if (options_.confidence == 0) return;
    std::vector<double> levels;
    levels.reserve(draws_.size());
    for (const Draw& draw : draws_) levels.push_back(out.fit.threshold + excess_of(draw, options_.risk));
    const double tail = (1 - options_.confidence) / 2;
    out.low = std::min(out.level, quantile(levels, tail));
    out.high = std::max(out.level, quantile(levels, 1 - tail));
}

void Tail::count_level() {
    auto& out = level_;
    if (out.windows == 0) {
        out.counted = out.level = top_ > -inf ? top_ : nan;
        return;
    }
    // Exceeded by floor(risk × windows) at most; the tolerance is for risks that are no binary fraction.
    const auto all = static_cast<double>(out.windows);
    const double allowed = std::floor(options_.risk * all * (1 + 1e-9));
    out.level = out.counted = top_;
    if (first_peak() > allowed) return;  // small risks, the usual case: no need to put the hours in order
    double above = 0;
    PeaksDescending descending = peaks();
    for (Peak peak; above <= allowed && descending.next(peak);) {
        const Index windows = windows_.count(peak.first, peak.last);
        if (windows == 0) continue;
        above += static_cast<double>(windows);
        out.level = out.counted = peak.level;
    }
}

// How many windows hold the largest sample.
double Tail::first_peak() const {
    const auto samples = static_cast<Index>(x_.size());
    const auto hour = std::max_element(tops_.begin(), tops_.end());
    Index p = std::max<Index>(0, samples - static_cast<Index>(tops_.end() - hour) * block_);
    while (x_[static_cast<std::size_t>(p)] != top_) ++p;
    return static_cast<double>(
        windows_.count(std::max<Index>(0, p - windows_.length() + 1), std::min(p, samples - windows_.length())));
}

void Tail::count_interval() {
    auto& out = level_;
    if (options_.confidence == 0) return;
    out.low = out.high = out.level;
    const auto all = static_cast<double>(out.windows);
    // Blocks of whole days, at least a window and a cluster long, so that what belongs together is redrawn together.
    const double least_s = options_.duration_s + (out.fit.clusters > 0 ? out.fit.cluster_s : 0);
    const Index day = window_length(day_s * std::ceil(least_s / day_s), options_.step_s);
    const Index blocks = (windows_.starts() + day - 1) / day;
    struct Piece {
        double level;
        Index block;
        double windows;
    };
    std::vector<Piece> pieces;
    if (blocks < 2 || out.windows == 0) return;  // nothing to redraw
    // The highest of at least eight blocks: a redraw without any of them (0.03 %) does not matter to the interval.
    const double few = options_.risk * all,
                 enough = std::min(all, std::max(3 * few, few + 8 * static_cast<double>(day)));
    double above = 0;
    PeaksDescending descending = peaks();
    for (Peak peak; above < enough && descending.next(peak);) {
        above += static_cast<double>(windows_.count(peak.first, peak.last));
        for (Index first = peak.first; first <= peak.last;) {
            const Index block = first / day, last = std::min(peak.last, (block + 1) * day - 1);
            if (const Index n = windows_.count(first, last); n > 0)
                pieces.push_back({peak.level, block, static_cast<double>(n)});
            first = last + 1;
        }
    }

    // Windows above every so many pieces, by block, so that a redraw finds its level in a few steps.
    const std::size_t stride = std::max<std::size_t>(1, pieces.size() / 64);
    std::vector<Eigen::ArrayXd> above_by_block;
    Eigen::ArrayXd in_block(blocks), times(blocks), sum = Eigen::ArrayXd::Zero(blocks);
    for (std::size_t j = 0; j < pieces.size(); ++j) {
        if (j % stride == 0) above_by_block.push_back(sum);
        sum(pieces[j].block) += pieces[j].windows;
    }
    for (Index b = 0; b < blocks; ++b)
        in_block(b) = static_cast<double>(windows_.count(b * day, std::min(windows_.starts(), (b + 1) * day) - 1));

    std::uint64_t state = 0x9e3779b97f4a7c15;  // the same redraws for every series (splitmix64)
    const auto random = [&state] {
        std::uint64_t z = (state += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
    };
    std::vector<double> levels;
    for (std::size_t r = 0; r < resamples; ++r) {
        times.setZero();
        for (Index b = 0; b < blocks; ++b) times(static_cast<Index>(random() * static_cast<double>(blocks))) += 1;
        const double most = options_.risk * (times * in_block).sum();
        const auto beyond = std::partition_point(above_by_block.begin(), above_by_block.end(),
                                                 [&](const auto& sums) { return (times * sums).sum() <= most; });
        auto j = static_cast<std::size_t>(beyond - above_by_block.begin() - 1) * stride;  // none is above the first
        double exceeded = (times * *(beyond - 1)).sum();
        for (; j + 1 < pieces.size(); ++j) {
            exceeded += times(pieces[j].block) * pieces[j].windows;
            if (exceeded > most) break;
        }
        levels.push_back(pieces[j].level);
    }
    // Few blocks make the bootstrap too narrow: widened as Student's t is against the normal, to first order.
    const auto n = static_cast<double>(blocks);
    const double z = normal_quantile((1 + options_.confidence) / 2);
    const double widen = std::sqrt(n / (n - 1)) * (1 + (z * z + 1) / (4 * (n - 1)));
    const double tail = (1 - options_.confidence) / 2;
    out.low = out.level - widen * std::max(0.0, out.level - quantile(levels, tail));
    out.high = out.level + widen * std::max(0.0, quantile(levels, 1 - tail) - out.level);
}

double Tail::counted_risk(double x) const {
    if (observed_ == 0) return nan;
    if (x >= top_) return 0;
    if (level_.windows == 0) return 1;  // less than a window was seen, and even that did not stay below
    Index above = 0;
    windows_above(x_, windows_.length(), x, [&](Index first, Index last) { above += windows_.count(first, last); });
    return static_cast<double>(above) / static_cast<double>(level_.windows);
}

TailRisk Tail::risk(double x) const {
    TailRisk out;
    const double p = out.risk = counted_risk(x);
    if (std::isnan(p)) return out;
    const bool interval = options_.confidence > 0;
    if (interval) {  // counting errors, by the number of independent windows (Wilson's interval)
        const double z = normal_quantile((1 + options_.confidence) / 2);
        const double n = std::max(1.0, level_.n_eff), middle = (p + z * z / (2 * n)) / (1 + z * z / n);
        const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
        out.low = std::clamp(middle - half, 0.0, p);  // rounding must not leave p outside
        out.high = std::clamp(middle + half, p, 1.0);
    }
    // The risk below which levels are not counted.
    const double trusted = options_.fitted ? std::min(1.0, least_exceedances / level_.n_eff) : 0;
    if (p >= trusted) return out;
    if (level_.fit.clusters == 0) {  // their level is the largest sample: below it at least one window is exceeded
        if (x < top_)
            out.risk = std::max(p, std::min(trusted, std::max(std::nextafter(options_.risk, 1.0), 1 / level_.n_eff)));
        if (interval) out.high = std::max(out.high, out.risk);
        return out;
    }
    const double excess = std::max(0.0, x - level_.fit.threshold);
    out.risk = std::max(p, std::min(trusted, fitted_risk(excess)));
    if (!interval) return out;
    std::vector<double> risks;
    risks.reserve(draws_.size());
    for (const Draw& draw : draws_) risks.push_back(risk_of(draw, excess));
    const double tail = (1 - options_.confidence) / 2;
    out.low = std::min(out.risk, quantile(risks, tail));
    out.high = std::max(out.risk, quantile(risks, 1 - tail));
    return out;
}

}  // namespace surgetank::series
