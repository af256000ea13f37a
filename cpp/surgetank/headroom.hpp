// Stem `headroom`: how much room must each quota keep free, and is it there?
//
// `classic_headroom`, the classic rule: the largest of four terms (its own volatility and growth, a failover, a spike,
// a fixed minimum), clipped and capped by cost. It is a baseline that is reproduced exactly, its quirks included.
// Source: none published; it is a rule of thumb of quota-management run books, stated in full in ClassicPolicy's
// docstring. The judgement (needed against available, never the clipped figure) follows AWS Well-Architected
// REL01-BP06. Cost: one pass over the samples, memory eight series.
#pragma once

#include <string>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

inline constexpr double hour_s = 3600, day_s = 24 * hour_s;

struct ClassicOptions {
    double cost_cap = inf;  // most that the headroom may cost, in the unit of cost_per_unit times the quota's unit
    bool trend_per_hour = false;    // false: slope per sample × 168, the rule as it is; true: the week that was meant
    double history_s = 30 * day_s;  // how much of the past the rule looks at
};

/// When the samples were taken, seen from now.
struct Clock {
    double step_s = nan;         // seconds from one sample to the next
    double age_s = 0;            // seconds from the last sample to now
    double stale_after_s = nan;  // an older last observed sample says nothing; NaN: the longer of 1 h and 12 steps
};

/// What the quotas are, shape (N) each.
struct Quotas {
    Eigen::ArrayXd quota;                        // applied value in the quota's unit; NaN: not known
    Eigen::ArrayXd cost_per_unit;                // 0: free
    Eigen::ArrayXd warning_frac, critical_frac;  // thresholds of status, inclusive
    Eigen::Array<bool, Eigen::Dynamic, 1> adjustable;
    Eigen::Array<Index, Eigen::Dynamic, 1> region;  // number of the Region each quota belongs to
    Eigen::ArrayXd spike_ratio;  // P95 of usage/expected over the spikes in the same samples; NaN: no spikes
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

enum class Status { ok, warning, critical, unknown };
enum class Unknown { none, no_usage, stale, no_quota };
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
/// What makes `required` less than `needed`.
enum class Limit { none, maximum, cost_cap, not_adjustable };

/// Shape (N) each, in the quota's unit unless said otherwise; NaN where unknown.
struct Headroom {
    Eigen::ArrayXd usage;     // U, the last observed
    Eigen::ArrayXd day_peak;  // the largest observed in the last 24 h
    Eigen::ArrayXd age_s;     // seconds from the last observed sample to now
    Eigen::ArrayXd base, failover, spike, minimum, maximum;
    Eigen::ArrayXd needed;           // before any clip or cost cap
    Eigen::ArrayXd required;         // what the policy would reserve
    Eigen::ArrayXd available;        // quota − usage; negative where usage exceeds the quota
    Eigen::ArrayXd utilization;      // needed / available; inf where nothing is available
    Eigen::ArrayXd day_utilization;  // the same at day_peak: what status is judged by
    Eigen::ArrayXd shortfall;
    Eigen::ArrayXd base_frac, failover_frac, spike_frac;  // term / usage
    Eigen::ArrayXd classic_required;     // H as the classic rule has it, blind to whether the quota is adjustable
    Eigen::ArrayXd classic_utilization;  // (H − available)/H of that H
    std::vector<Status> status;
    std::vector<Unknown> unknown;
    std::vector<Term> term;
    std::vector<Index> scenario;  // which scenario where term is `scenario`, else −1
    std::vector<Limit> limit;
};

/// Throws InvalidInput for a negative cost cap or a history that is no positive duration.
void check(const ClassicOptions& options);

/// usage (T, N): finite samples ≥ 0, oldest first, NaN for not observed; T, N ≥ 1. The rule reads the last
/// options.history_s before now; status also reads the last 24 h.
/// Throws InvalidInput for shapes that differ from (N), negative or infinite usage or quota, negative
/// cost, thresholds that are not 0 < warning ≤ critical, a step or age that is no duration, a probability outside
/// [0, 1], a multiplier below 0, a Region number outside the quotas',
/// and for what check() refuses. Throws NumericalFailure where needed exceeds double.
Headroom classic_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas,
                          const std::vector<ClassicScenario>& scenarios, const ClassicOptions& options,
                          const Poll& poll = no_poll);

}  // namespace surgetank
