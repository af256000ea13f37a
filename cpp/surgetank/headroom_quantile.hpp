// Stem `headroom`, the recommended rule: what each Region must carry when another fails, from what was consumed at the
// same moments, at a stated risk.
//
// Method. In event s, quota r carries demand(t) = own·u_r(t) + Σ weight·u_source(t) over aligned samples, so peaks that
// do not coincide are not added up. need = the level that the maximum of demand over a window of the event's duration
// exceeds with probability at most `risk` (kernel `series`, tails), times its growth; needed = max over events of need,
// less usage. Growth: upper 90 % limit of the Theil–Sen slope of demand's daily maxima, over the time until an increase
// that is asked for at the next review applies.
// Sources: AWS Well-Architected REL01-BP06 (keep a gap between quotas and maximum usage that accommodates failover);
// those of `series_tails.hpp`. Cost: O(T) a quota and event; memory two series, one
// group of quotas, a byte an event and sample for the joint fit, and an EventNeed a quota and event.
#pragma once

#include <vector>

#include "surgetank/headroom.hpp"

namespace surgetank {

struct QuantileOptions {
    double risk = 1e-3;                  // P(the peak exceeds need) while an event lasts
    double risk_normal = nan;            // the same while nothing fails; NaN: risk
    double normal_duration_s = day_s;    // the window while nothing fails
    double lead_time_s = 3 * day_s;      // from asking for an increase until it applies; growth looks so far ahead …
    double review_s = day_s;             // … and to the next look at the plan
    double lead_time_p95_s = 5 * day_s;  // a slow increase: when to ask so that it is there in time
    double growth = nan;                 // a fixed factor of at least 1; NaN: estimated
    double history_s = inf;              // how much of the past is looked at
    bool fitted = true;                  // false: only counted quantiles, whatever they are worth
    double confidence = 0.95;            // of the intervals; 0: none
    double cost_cap = inf;               // most that the headroom may cost
};

/// Load that lands: weight × usage of Region `from` on the same quota in Region `to`; from = to: on top of its own.
struct Flow {
    Index from = 0, to = 0;
    double weight = 1;
};

/// What happens together. Quotas of failed Regions need nothing in it.
struct Event {
    double duration_s = day_s;
    std::vector<Index> failed;
    std::vector<Flow> flows;
};

/// One quota in one event, in the quota's unit unless said otherwise. All NaN where the event does not reach it; where
/// it does but a source is unknown, or never observed at the same moment, all but `samples`, which is 0.
struct EventNeed {
    double need = nan, low = nan, high = nan;  // level × growth, and its interval
    double level = nan, counted = nan;         // before growth; and as counted, whether or not it is the answer
    double growth = nan, slope_per_day = nan;  // factor; its upper slope, 0 where there is none to see
    double days = nan, daily_median = nan;     // daily maxima it was seen in, and the middle one
    double lands = nan;                        // 1: load from elsewhere lands here, 0: a surge of its own
    double samples = nan;                      // aligned samples
    double windows = nan, n_eff = nan;
    double extrapolated = nan;  // 1: the fit answers, 0: counting does
    double threshold = nan, shape = nan, scale = nan, clusters = nan, clusters_per_s = nan, cluster_s = nan;
    double risk = nan, risk_low = nan, risk_high = nan;  // P(the peak exceeds the quota)
    double ask_in_s = nan;                               // when to ask for more, from now; inf: never; below 0: overdue
};

/// Does an event fit everywhere at once?
struct JointFit {
    double moments = 0;     // aligned window starts, at least half of each covered quota's window observed
    double fits = 0;        // … at which every one of them fits
    double risk_bound = 0;  // Σ risk over the covered quotas, at most 1
    double quotas = 0;      // covered: known usage, quota and load that lands, Region not failed
};

struct QuantileHeadroom : Headroom {
    Eigen::ArrayXd need, need_low, need_high, needed_low, needed_high, growth,
        n_eff;  // of the event that binds; the ends of intervals are the largest of all events
    Eigen::ArrayXd probability_enough, probability_enough_low, probability_enough_high;  // of the worst event
    Eigen::ArrayXd ask_in_s;
    Eigen::ArrayXd quota_ok;        // the least quota with which status would be OK
    std::vector<Index> event;       // which binds: 0 nothing fails, e the e-th event; −1: unknown
    std::vector<EventNeed> events;  // (N, 1 + E), a quota after the other, "nothing fails" first
    std::vector<JointFit> joint;    // (E)
};

/// Throws InvalidInput for a risk outside (0, 1), durations that are none, growth below 1, confidence outside [0, 1).
void check(const QuantileOptions& options);

/// usage (T, N): finite samples ≥ 0, oldest first, NaN for not observed; T, N ≥ 1.
/// Throws InvalidInput for negative or infinite usage, a Region twice in a group, a weight that is not finite, a Region
/// number outside the quotas', a Region that fails and receives load in one event, and for what headroom::check and
/// check(options) refuse. Throws NumericalFailure where needed or demand exceeds double.
QuantileHeadroom quantile_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas,
                                   const std::vector<Event>& events, const QuantileOptions& options,
                                   const Poll& poll = no_poll);

}  // namespace surgetank
