// Kernel `sampling`, distributions of durations in seconds: their functions, exactly; `sampling.hpp` draws from them.
//
// Quantiles of gamma and PERT are found by a safeguarded Newton iteration on the smaller tail. Sources: PERT: Malcolm
// et al. 1959, a beta distribution of weight λ about its mode; the rest: Johnson, Kotz and Balakrishnan, Continuous
// Univariate Distributions, 1994.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "surgetank/core.hpp"
#include "surgetank/sampling_special.hpp"

namespace surgetank::sampling {

enum class Kind { fixed, uniform, triangular, pert, lognormal, gamma, exponential, weibull, empirical, mixture };
Kind kind_of(std::string_view name);  // throws InvalidInput

class Distribution {
public:
    /// Parameters: fixed value; uniform low, high; triangular low, likely, high; pert low, likely, high, weight;
    /// lognormal median, p95; gamma shape, scale; exponential mean; weibull shape, scale; empirical values, ascending;
    /// mixture: the weights, which add up to 1, of `parts`.
    /// Throws InvalidInput for a wrong number of them, what is negative, not finite or out of order.
    Distribution(Kind kind, std::vector<double> parameters, std::vector<Distribution> parts = {});
    Distribution() : Distribution(Kind::fixed, {0}) {}

    Kind kind() const { return kind_; }
    const std::vector<double>& parameters() const { return parameters_; }
    const std::vector<Distribution>& parts() const { return parts_; }
    bool truncated() const { return cut_; }

    /// Given that it lies in [low, high]. Throws InvalidInput where that has no probability.
    Distribution truncated(double low, double high) const;

    Tails tails(double x) const;
    double cdf(double x) const { return tails(x).below; }
    /// The least x with P(X ≤ x) ≥ below. The smaller of the two is what counts.
    double quantile(const Tails& p) const;
    double quantile(double below) const { return quantile({below, 1 - below}); }
    /// The ends of what is possible.
    std::pair<double, double> support() const;

private:
    Tails whole_tails(double x) const;
    double whole_quantile(const Tails& p) const;
    double invert(const Tails& p, double low, double high) const;
    std::pair<double, double> whole_support() const;

    Kind kind_;
    std::vector<double> parameters_;
    std::vector<Distribution> parts_;
    bool cut_ = false;
    double low_ = 0, high_ = inf;
    Tails at_low_, at_high_;  // P(X < low) and so on, of the whole
};

/// Parameters of the triangular or PERT distribution whose mode is `likely` and which lies in [low, high] with
/// probability `confidence`, as often below as above; pert: its weight is 4 where no duration is then negative.
/// Throws InvalidInput where there is none.
std::vector<double> fit_quantiles(Kind kind, double low, double likely, double high, double confidence);

}  // namespace surgetank::sampling
