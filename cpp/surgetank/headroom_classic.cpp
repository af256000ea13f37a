#include "surgetank/headroom_classic.hpp"

#include <algorithm>
#include <cmath>

#include "surgetank/series.hpp"
#include "surgetank/series_summary.hpp"

namespace surgetank {
namespace {

constexpr double floor_base = 0.20, floor_failover = 1.00, default_spike = 0.50;  // of usage
constexpr double least_units = 10;
constexpr double week_samples = 168;

void check(const Quotas& quotas, const Column& spike_ratio, const std::vector<ClassicScenario>& scenarios) {
    require(spike_ratio.size() == quotas.quota.size(), "spike_ratio",
            fmt::format("must have one value per series, {}", quotas.quota.size()), spike_ratio.size());
    const Index regions = quotas.region.maxCoeff() + 1;
    for (const auto& scenario : scenarios) {
        for (const Index target : scenario.targets)
            require(target >= 0 && target < regions, "targets", fmt::format("must be Regions below {}", regions),
                    target);
        require(scenario.probability >= 0 && scenario.probability <= 1, "probability", "must lie in [0, 1]",
                scenario.probability);
        require(std::isfinite(scenario.target_multiplier) && scenario.target_multiplier >= 0, "target_multiplier",
                "must be finite and 0 or more", scenario.target_multiplier);
    }
}

struct Need {
    double value = 0;
    Term term = Term::none;
    Index scenario = -1;

    void raise_to(double other, Term because, Index which = -1) {
        if (other > value) *this = {other, because, which};
    }
};

Need base_need(const series::Summary& h, double per_week, double usage) {
    Need base{floor_base * usage, Term::usage_floor};
    if (usage == 0) return base;
    base.raise_to(2 * h.sigma_population, Term::volatility);
    base.raise_to(std::max(0.0, h.slope * per_week), Term::trend);
    base.raise_to(1.2 * (h.max - usage), Term::peak);
    return base;
}

Need failover_need(const std::vector<ClassicScenario>& scenarios, Index region, double usage) {
    Need failover{floor_failover * usage, Term::failover_floor};
    for (std::size_t s = 0; s < scenarios.size(); ++s) {
        const auto& [targets, multiplier, probability, impact] = scenarios[s];
        if (std::find(targets.begin(), targets.end(), region) == targets.end()) continue;
        failover.raise_to(usage * (multiplier - 1) * probability * impact_weight(impact), Term::scenario,
                          static_cast<Index>(s));
    }
    return failover;
}

Need spike_need(double ratio, double usage) {
    if (std::isnan(ratio)) return {default_spike * usage, Term::spike_default};
    return {usage * (ratio - 1), Term::spikes};
}

ClassicHeadroom blank(Index n) {
    ClassicHeadroom out;
    headroom::blank(out, n);
    for (auto* column : {&out.minimum, &out.maximum, &out.base_frac, &out.failover_frac, &out.spike_frac,
                         &out.classic_required, &out.classic_utilization})
        column->setConstant(n, nan);
    out.term.assign(static_cast<std::size_t>(n), Term::none);
    out.scenario.assign(static_cast<std::size_t>(n), -1);
    return out;
}

// What the rule would reserve: the needed headroom less what cost, the clip and the quota itself take away.
void reserve(ClassicHeadroom& out, Index i, const Quotas& quotas, const ClassicOptions& options) {
    auto& limit = out.limit[static_cast<std::size_t>(i)];
    const double affordable = headroom::affordable(out, i, quotas, options.cost_cap);
    const double classic = std::min(affordable, out.maximum(i));
    if (classic < affordable) limit = Limit::maximum;
    else if (affordable < out.needed(i)) limit = Limit::cost_cap;
    out.classic_required(i) = classic;
    out.classic_utilization(i) = classic == 0 ? 0 : (classic - out.available(i)) / classic;
    headroom::reserve(out, i, quotas, classic);
}

}  // namespace

void check(const ClassicOptions& options) {
    headroom::check_cost_cap(options.cost_cap);
    headroom::check_history(options.history_s);
    require(!std::isinf(options.history_s), "history_s", "must be a positive number of seconds", options.history_s);
}

double impact_weight(std::string_view impact) {
    if (impact == "critical") return 1.0;
    if (impact == "high") return 0.8;
    if (impact == "low") return 0.4;
    return 0.6;
}

ClassicHeadroom classic_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas,
                                 const Column& spike_ratio, const std::vector<ClassicScenario>& scenarios,
                                 const ClassicOptions& options, const Poll& poll) {
    check(options);
    headroom::check(usage, clock, quotas);
    check(quotas, spike_ratio, scenarios);
    const double per_week = options.trend_per_hour ? week_samples * hour_s / clock.step_s : week_samples;

    ClassicHeadroom out = blank(usage.cols());
    const auto summaries =
        series::summarize(usage.bottomRows(headroom::last_count(usage.rows(), options.history_s, clock)), 1, poll);
    series::for_each_series(usage, poll, [&](Index i, std::span<const double> x) {
        const auto at = static_cast<std::size_t>(i);
        headroom::check_samples(x);
        if (!headroom::look(out, i, x, options.history_s, clock)) return;

        const series::Summary& h = summaries[at];
        const double u = h.last;
        const Need base = base_need(h, per_week, u);
        const Need failover = failover_need(scenarios, quotas.region(i), u);
        const Need spike = spike_need(spike_ratio(i), u);
        const Need minimum{std::max(base.value, least_units), Term::minimum};
        out.base(i) = base.value;
        out.failover(i) = failover.value;
        out.spike(i) = spike.value;
        out.minimum(i) = minimum.value;
        out.base_frac(i) = u == 0 ? floor_base : base.value / u;
        out.failover_frac(i) = u == 0 ? floor_failover : failover.value / u;
        out.spike_frac(i) = u == 0 ? default_spike : spike.value / u;
        Need needed = base;
        for (const Need& other : {failover, spike, minimum}) needed.raise_to(other.value, other.term, other.scenario);
        headroom::check_needed(needed.value, u, h.count);
        out.needed(i) = needed.value;
        out.term[at] = needed.term;
        out.scenario[at] = needed.scenario;

        if (std::isnan(quotas.quota(i))) {
            out.unknown[at] = Unknown::no_quota;
            return;
        }
        out.maximum(i) = std::min(0.5 * quotas.quota(i), 3 * u);
        headroom::judge(out, i, quotas, headroom::share_of(needed.value, quotas.quota(i) - out.day_peak(i)));
        reserve(out, i, quotas, options);
    });
    return out;
}

}  // namespace surgetank
