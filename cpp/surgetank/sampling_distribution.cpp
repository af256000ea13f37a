#include "surgetank/sampling_distribution.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace surgetank::sampling {
namespace {

constexpr double z95 = 1.6448536269514722;
constexpr std::array<std::string_view, 10> names{"fixed", "uniform",     "triangular", "pert",      "lognormal",
                                                 "gamma", "exponential", "weibull",    "empirical", "mixture"};
constexpr std::array<std::size_t, 8> parameter_counts{1, 2, 3, 4, 2, 2, 1, 2};

constexpr double least_mass = 1e-9;  // what is rarer is no distribution to be cut out of another

// The probability of what lies between, from the tail in which it does not cancel.
double between(const Tails& from, const Tails& to) {
    return from.below > 0.5 ? from.above - to.above : to.below - from.below;
}

Tails mirrored(const Tails& p) { return {p.above, p.below}; }

// The x in [low, high] at which the tails are p; `density` may be 0 where it is not known.
template <class Function, class Density>
double solve(const Function& tails, const Density& density, const Tails& p, double low, double high, double x) {
    const bool lower = p.below < p.above;
    for (int i = 0; i < 400; ++i) {
        const Tails at = tails(x);
        const double f = lower ? at.below - p.below : p.above - at.above;
        (f > 0 ? high : low) = x;
        if (f == 0) return x;
        const double slope = density(x);
        double next = slope > 0 ? x - f / slope : -1;
        if (!(next > low && next < high)) {
            if (high == inf) next = std::max(1e-300, 2 * x);
            else next = low > 0 && high > 4 * low ? std::sqrt(low) * std::sqrt(high) : 0.5 * (low + high);
        }
        if (std::abs(next - x) <= 2e-16 * std::abs(x) || next == x) return next;
        x = next;
    }
    return x;
}

struct Shape {
    double a, b;  // of the beta distribution
};
Shape shape_of(const std::vector<double>& pert) {
    const double m = (pert[1] - pert[0]) / (pert[2] - pert[0]);
    return {1 + pert[3] * m, 1 + pert[3] * (1 - m)};
}

double beta_quantile(double a, double b, const Tails& p) {
    if (p.below <= 0) return 0;
    if (p.above <= 0) return 1;
    if (p.above < p.below) return 1 - beta_quantile(b, a, mirrored(p));
    const double front = log_gamma(a + b) - log_gamma(a) - log_gamma(b);
    const auto density = [&](double x) {
        return x > 0 && x < 1 ? std::exp(front + (a - 1) * std::log(x) + (b - 1) * std::log1p(-x)) : 0;
    };
    // Near 0 the function is x^a·e^front/a.
    const double edge = std::exp((std::log(p.below * a) - front) / a);
    const double start = std::min(edge, a / (a + b));
    return solve([&](double x) { return beta_tails(a, b, x, 1 - x); }, density, p, 0, 1, start > 0 ? start : 1e-300);
}

double gamma_quantile(double a, const Tails& p) {
    if (p.below <= 0) return 0;
    if (p.above <= 0) return inf;
    const double constant = log_gamma(a);
    const auto density = [&](double x) { return x > 0 ? std::exp((a - 1) * std::log(x) - x - constant) : 0; };
    const double z = normal_quantile(p), w = 1 - 1 / (9 * a) + z / (3 * std::sqrt(a));  // Wilson and Hilferty 1931
    const double edge = std::exp((std::log(p.below) + log_gamma(a + 1)) / a);
    const double start = a > 1 && w > 0.3 ? a * w * w * w : std::min(edge, a + 1);
    return solve([&](double x) { return gamma_tails(a, x); }, density, p, 0, inf, start > 0 ? start : 1e-300);
}

void check_order(std::string_view what, const std::vector<double>& p, std::size_t count) {
    for (std::size_t i = 1; i < count; ++i)
        require(p[i] >= p[i - 1], what, "must have parameters in ascending order",
                fmt::format("{}, {}", p[i - 1], p[i]));
}

}  // namespace

Kind kind_of(std::string_view name) {
    const auto at = std::ranges::find(names, name);
    require(at != names.end(), "kind", "must be a known distribution", name);
    return static_cast<Kind>(at - names.begin());
}

Distribution::Distribution(Kind kind, std::vector<double> parameters, std::vector<Distribution> parts)
    : kind_(kind), parameters_(std::move(parameters)), parts_(std::move(parts)) {
    const auto name = names[static_cast<std::size_t>(kind)];
    for (double& v : parameters_) v += 0.0;  // −0 is 0
    const auto& p = parameters_;
    for (const double v : p)
        require(std::isfinite(v) && v >= 0, name, "must have parameters that are finite and 0 or more", v);
    if (kind == Kind::mixture) {
        require(!p.empty() && p.size() == parts_.size(), name, "must have a weight for every part", p.size());
        const double all = std::accumulate(p.begin(), p.end(), 0.0);
        require(std::abs(all - 1) < 1e-9, name, "must have weights that add up to 1", all);
        return;
    }
    if (kind == Kind::empirical) {
        require(!p.empty(), name, "must have at least one value", p.size());
        check_order(name, p, p.size());
        return;
    }
    require(p.size() == parameter_counts[static_cast<std::size_t>(kind)], name, "must have its number of parameters",
            p.size());
    switch (kind) {
        case Kind::uniform: check_order(name, p, 2); break;
        case Kind::triangular:
        case Kind::pert: check_order(name, p, 3); break;
        case Kind::lognormal: check_order(name, p, 2); [[fallthrough]];
        case Kind::gamma:
        case Kind::exponential:
        case Kind::weibull:
            for (const double v : p) require(v > 0, name, "must have parameters above 0", v);
            break;
        default: break;
    }
    const bool bounded = kind == Kind::uniform || kind == Kind::triangular || kind == Kind::pert;
    if (bounded && p[0] == p[kind == Kind::uniform ? 1 : 2]) {
        parameters_.resize(1);
        kind_ = Kind::fixed;
    }
}

std::pair<double, double> Distribution::whole_support() const {
    const auto& p = parameters_;
    switch (kind_) {
        case Kind::fixed: return {p[0], p[0]};
        case Kind::uniform: return {p[0], p[1]};
        case Kind::triangular:
        case Kind::pert: return {p[0], p[2]};
        case Kind::empirical: return {p.front(), p.back()};
        case Kind::mixture: {
            std::pair<double, double> ends{inf, 0};
            for (const auto& part : parts_) {
                const auto [low, high] = part.support();
                ends = {std::min(ends.first, low), std::max(ends.second, high)};
            }
            return ends;
        }
        case Kind::lognormal:
            if (p[0] == p[1]) return {p[0], p[0]};
            [[fallthrough]];
        default: return {0, inf};
    }
}

std::pair<double, double> Distribution::support() const {
    const auto [low, high] = whole_support();
    return {std::max(low, low_), std::min(high, high_)};
}

Tails Distribution::whole_tails(double x) const {
    const auto& p = parameters_;
    if (std::isnan(x)) return {nan, nan};
    switch (kind_) {
        case Kind::fixed: return x >= p[0] ? Tails{1, 0} : Tails{0, 1};
        case Kind::uniform: {
            const double u = std::clamp((x - p[0]) / (p[1] - p[0]), 0.0, 1.0);
            return {u, 1 - u};
        }
        case Kind::triangular: {
            const double width = p[2] - p[0];
            if (x <= p[0]) return {0, 1};
            if (x >= p[2]) return {1, 0};
            if (x < p[1]) {
                const double below = (x - p[0]) / width * ((x - p[0]) / (p[1] - p[0]));
                return {below, 1 - below};
            }
            const double above = (p[2] - x) / width * ((p[2] - x) / (p[2] - p[1]));
            return {1 - above, above};
        }
        case Kind::pert: {
            const auto [a, b] = shape_of(p);
            const double width = p[2] - p[0];
            return beta_tails(a, b, (x - p[0]) / width, (p[2] - x) / width);
        }
        case Kind::lognormal:
            if (x <= 0) return {0, 1};
            if (p[0] == p[1]) return x >= p[0] ? Tails{1, 0} : Tails{0, 1};
            return normal_tails(std::log(x / p[0]) * z95 / std::log(p[1] / p[0]));
        case Kind::gamma: return gamma_tails(p[0], x / p[1]);
        case Kind::exponential: return x > 0 ? Tails{-std::expm1(-x / p[0]), std::exp(-x / p[0])} : Tails{0, 1};
        case Kind::weibull: {
            if (x <= 0) return {0, 1};
            const double e = std::pow(x / p[1], p[0]);
            return {-std::expm1(-e), std::exp(-e)};
        }
        case Kind::empirical: {
            const auto count = static_cast<double>(p.size());
            const auto below = static_cast<double>(std::upper_bound(p.begin(), p.end(), x) - p.begin());
            return {below / count, (count - below) / count};
        }
        case Kind::mixture: {
            Tails all{0, 0};
            for (std::size_t i = 0; i < parts_.size(); ++i) {
                const Tails part = parts_[i].tails(x);
                all.below += p[i] * part.below, all.above += p[i] * part.above;
            }
            return all;
        }
    }
    return {};
}

double Distribution::whole_quantile(const Tails& q) const {
    const auto& p = parameters_;
    const auto log_above = [&] { return q.below < 0.5 ? std::log1p(-q.below) : std::log(q.above); };
    switch (kind_) {
        case Kind::fixed: return p[0];
        case Kind::uniform: return q.below < q.above ? p[0] + (p[1] - p[0]) * q.below : p[1] - (p[1] - p[0]) * q.above;
        case Kind::triangular: {
            const double width = p[2] - p[0];
            if (q.below * width < p[1] - p[0]) return p[0] + std::sqrt(q.below * width * (p[1] - p[0]));
            return p[2] - std::sqrt(q.above * width * (p[2] - p[1]));
        }
        case Kind::pert: {
            const auto [a, b] = shape_of(p);
            const double width = p[2] - p[0];
            return q.below < q.above ? p[0] + width * beta_quantile(a, b, q)
                                     : p[2] - width * beta_quantile(b, a, mirrored(q));
        }
        case Kind::lognormal: {
            if (p[0] == p[1]) return p[0];
            const double sigma = std::log(p[1] / p[0]) / z95, z = normal_quantile(q);
            return z == -inf ? 0 : p[0] * std::exp(sigma * z);
        }
        case Kind::gamma: return p[1] * gamma_quantile(p[0], q);
        case Kind::exponential: return q.above <= 0 ? inf : -p[0] * log_above();
        case Kind::weibull: return q.above <= 0 ? inf : p[1] * std::pow(-log_above(), 1 / p[0]);
        case Kind::empirical: {
            const double at = std::ceil(q.below * static_cast<double>(p.size()) - 1e-9);
            return p[static_cast<std::size_t>(std::clamp(at - 1, 0.0, static_cast<double>(p.size() - 1)))];
        }
        case Kind::mixture: {
            // Bracketed by the quantiles of the parts; halved until there is nothing between.
            double low = inf, high = 0;
            for (const auto& part : parts_) {
                const double x = part.quantile(q);
                low = std::min(low, x), high = std::max(high, x);
            }
            if (high == inf) {
                if (q.above <= 0) return inf;
                high = std::max(1.0, low);
                while (tails(high).above > q.above && high < 1e300) high *= 2;
            }
            const auto reached = [&](double x) {
                const Tails t = tails(x);
                return q.below < q.above ? t.below >= q.below : t.above <= q.above;
            };
            if (reached(low)) return low;
            for (int i = 0; i < 2000 && std::nextafter(low, inf) < high; ++i) {
                const double mid = 0.5 * (low + high);
                if (mid <= low || mid >= high) break;
                (reached(mid) ? high : low) = mid;
            }
            return high;
        }
    }
    return nan;
}

Distribution Distribution::truncated(double low, double high) const {
    require(low >= 0 && low <= high, "truncated", "must have bounds in order, 0 or more",
            fmt::format("{}, {}", low, high));
    const auto none = [&](bool holds) {
        const auto [least, most] = support();
        require(holds, "truncated", fmt::format("must leave some of what lies in [{:g}, {:g}]", least, most),
                fmt::format("[{:g}, {:g}]", low, high));
    };
    if (kind_ == Kind::fixed) {
        none(low <= parameters_[0] && parameters_[0] <= high);
        return *this;
    }
    if (kind_ == Kind::empirical) {
        std::vector<double> kept;
        std::ranges::copy_if(parameters_, std::back_inserter(kept), [&](double v) { return low <= v && v <= high; });
        none(!kept.empty());
        return Distribution(Kind::empirical, std::move(kept));
    }
    if (kind_ == Kind::mixture) {
        std::vector<double> weights;
        std::vector<Distribution> parts;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            const double mass =
                between(low > 0 ? parts_[i].tails(std::nextafter(low, 0.0)) : Tails{0, 1}, parts_[i].tails(high));
            if (!(mass > least_mass) || !(parameters_[i] * mass > 1e-12)) continue;
            weights.push_back(parameters_[i] * mass);
            parts.push_back(parts_[i].truncated(low, high));
        }
        none(!weights.empty());
        const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
        for (double& w : weights) w /= all;
        return Distribution(Kind::mixture, std::move(weights), std::move(parts));
    }
    Distribution out = *this;
    out.low_ = std::max(low, low_), out.high_ = std::min(high, high_);
    if (whole_support().first == whole_support().second) {
        none(low <= whole_support().first && whole_support().first <= high);
        return out;
    }
    out.cut_ = true;
    out.at_low_ = whole_tails(out.low_), out.at_high_ = whole_tails(out.high_);
    const double mass = between(out.at_low_, out.at_high_);
    none(out.low_ < out.high_ && mass > least_mass);
    return out;
}

Tails Distribution::tails(double x) const {
    if (!cut_) return whole_tails(x);
    if (x < low_) return {0, 1};
    if (x >= high_) return {1, 0};
    const Tails at = whole_tails(x);
    const bool far = at_low_.below > 0.5;
    const double mass = far ? at_low_.above - at_high_.above : at_high_.below - at_low_.below;
    const double below = (far ? at_low_.above - at.above : at.below - at_low_.below) / mass;
    const double above = (at.below > 0.5 ? at.above - at_high_.above : at_high_.below - at.below) / mass;
    return {std::clamp(below, 0.0, 1.0), std::clamp(above, 0.0, 1.0)};
}

double Distribution::quantile(const Tails& p) const {
    if (!cut_) return whole_quantile(p);
    const double mass = between(at_low_, at_high_);
    const Tails whole{at_low_.below + p.below * mass, at_high_.above + p.above * mass};
    return std::clamp(whole_quantile(whole), low_, high_);
}

}  // namespace surgetank::sampling
