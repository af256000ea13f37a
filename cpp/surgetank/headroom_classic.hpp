// Stem `headroom`, the classic rule: the largest of four terms (its own volatility and growth, a failover, a spike, a
// fixed minimum), clipped and capped by cost. It is a baseline that is reproduced exactly, its quirks included.
// Source: none published; it is a rule of thumb of quota-management run books, stated in full in ClassicPolicy's
// docstring. Cost: one pass over the samples, memory eight series.
#pragma once

#include <string>
#include <vector>

#include "surgetank/headroom.hpp"

namespace surgetank {

struct ClassicOptions {
    double cost_cap = inf;  // most that the headroom may cost, in the unit of cost_per_unit times the quota's unit
    bool trend_per_hour = false;    // false: slope per sample × 168, the rule as it is; true: the week that was meant
    double history_s = 30 * day_s;  // how much of the past the rule looks at
};

/// What the classic rule reads of a scenario.
struct ClassicScenario {
    std::vector<Index> targets;  // numbers of the Regions that receive load; a surge in place targets its own Region
    double target_multiplier = 2.0;
    double probability = 0.1;
    std::string impact = "critical";
};

/// critical 1, high .8, medium .6, low .4, anything else .6.
double impact_weight(std::string_view impact);

/// The part of the rule that decides `needed`.
enum class Term {
    none,
    usage_floor,
    volatility,
    trend,
    peak,
    failover_floor,
    scenario,
    spikes,
    spike_default,
    minimum
};

/// Shape (N) each, in the quota's unit unless said otherwise; NaN where unknown.
struct ClassicHeadroom : Headroom {
    Eigen::ArrayXd minimum, maximum;
    Eigen::ArrayXd base_frac, failover_frac, spike_frac;  // term / usage
    Eigen::ArrayXd classic_required;     // H as the classic rule has it, blind to whether the quota is adjustable
    Eigen::ArrayXd classic_utilization;  // (H − available)/H of that H
    std::vector<Term> term;
    std::vector<Index> scenario;  // which scenario where term is `scenario`, else −1
};

/// Throws InvalidInput for a negative cost cap or a history that is no positive duration.
void check(const ClassicOptions& options);

/// usage (T, N): finite samples ≥ 0, oldest first, NaN for not observed; T, N ≥ 1. The rule reads the last
/// options.history_s before now; status also reads the last 24 h.
/// spike_ratio (N): P95 of usage/expected over the spikes in the same samples; NaN: no spikes.
/// Throws InvalidInput for negative or infinite usage, a probability outside [0, 1], a multiplier below 0, a Region
/// number outside the quotas', and for what headroom::check and check(options) refuse. Throws NumericalFailure where
/// needed exceeds double.
ClassicHeadroom classic_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas,
                                 const Column& spike_ratio, const std::vector<ClassicScenario>& scenarios,
                                 const ClassicOptions& options, const Poll& poll = no_poll);

}  // namespace surgetank
