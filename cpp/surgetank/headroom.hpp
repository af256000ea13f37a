// Stem `headroom`: how much room must each quota keep free, and is it there?
//
// Two policies say how much: `headroom_classic.hpp`, a rule of thumb kept as a baseline, and `headroom_quantile.hpp`,
// what each Region must carry when another fails, at a stated risk. Here is what they share: what is known of the
// quotas, the last observed usage, and the judgement (needed against available, never a clipped figure), which follows
// AWS Well-Architected REL01-BP06.
#pragma once

#include <span>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

inline constexpr double hour_s = 3600, day_s = 24 * hour_s;

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
    Eigen::Array<Index, Eigen::Dynamic, 1> group;   // the same number: the same quota in different Regions
};

enum class Status { ok, warning, critical, unknown };
enum class Unknown { none, no_usage, stale, no_quota, no_source };
/// What makes `required` less than `needed`.
enum class Limit { none, maximum, cost_cap, not_adjustable };

/// What every policy answers. Shape (N) each, in the quota's unit unless said otherwise; NaN where unknown.
struct Headroom {
    Eigen::ArrayXd usage;     // U, the last observed
    Eigen::ArrayXd day_peak;  // the largest observed in the last 24 h
    Eigen::ArrayXd age_s;     // seconds from the last observed sample to now
    Eigen::ArrayXd base, failover, spike;
    Eigen::ArrayXd needed;           // before any clip or cost cap
    Eigen::ArrayXd required;         // what the policy would reserve
    Eigen::ArrayXd available;        // quota − usage; negative where usage exceeds the quota
    Eigen::ArrayXd utilization;      // needed / available; inf where nothing is available
    Eigen::ArrayXd day_utilization;  // the same where it was worst in the last 24 h: what status is judged by
    Eigen::ArrayXd shortfall;
    std::vector<Status> status;
    std::vector<Unknown> unknown;
    std::vector<Limit> limit;
};

/// Judges quotas that somebody else wants to have, shape (N): needed is what is wanted less usage. NaN: no opinion,
/// which is UNKNOWN. Throws for what headroom::check refuses, a negative or infinite wish, and negative or infinite
/// usage.
Headroom wanted_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas, const Column& wanted,
                         const Poll& poll = no_poll);

namespace headroom {

/// Throws InvalidInput for shapes that differ from (N), an empty usage, negative or infinite quota, negative cost,
/// thresholds that are not 0 < warning ≤ critical, a step or age that is no duration, a Region or group below 0.
void check(const Samples& usage, const Clock& clock, const Quotas& quotas);
/// Throws InvalidInput unless every sample is finite and 0 or more, or NaN. Gives whether there is a NaN.
bool check_samples(std::span<const double> x);
void check_cost_cap(double cost_cap);
void check_history(double history_s);

/// All NaN and UNKNOWN, for n quotas.
void blank(Headroom& out, Index n);

/// How many of `samples` lie in the last `seconds` before now.
Index last_count(Index samples, double seconds, const Clock& clock);

/// The samples of the last `seconds` before now: those at exactly `seconds` ago are no longer among them.
std::span<const double> last_samples(std::span<const double> x, double seconds, const Clock& clock);

/// Fills usage, age_s and day_peak of quota i from its history x, or the reason why they are unknown; then false.
bool look(Headroom& out, Index i, std::span<const double> x, double history_s, const Clock& clock);

/// needed / available: inf where nothing is available.
double share_of(double needed, double available);

/// Fills available, utilization, shortfall and status of quota i from needed and `day_utilization`.
void judge(Headroom& out, Index i, const Quotas& quotas, double day_utilization);

/// What the cost cap leaves of `needed`.
double affordable(const Headroom& out, Index i, const Quotas& quotas, double cost_cap);

/// required: `reserved`, unless the quota cannot be raised and less is free. Names the limit.
void reserve(Headroom& out, Index i, const Quotas& quotas, double reserved);

/// Throws NumericalFailure where needed is no number that double holds.
void check_needed(double needed, double usage, Index samples);

}  // namespace headroom
}  // namespace surgetank
