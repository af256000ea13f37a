#include "surgetank/headroom.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "surgetank/series.hpp"

namespace surgetank {
namespace {

constexpr double floor_base = 0.20, floor_failover = 1.00, default_spike = 0.50;  // of usage
constexpr double least_units = 10;
constexpr double week_samples = 168;

bool is_duration(double seconds) { return std::isfinite(seconds) && seconds >= 0; }

void check_column(std::string_view name, Index size, Index expected) {
    require(size == expected, name, fmt::format("must have one value per series, {}", expected), size);
}

void check(const Samples& usage, const Clock& clock, const Quotas& quotas,
           const std::vector<ClassicScenario>& scenarios) {
    require(usage.rows() > 0 && usage.cols() > 0, "usage", "must hold at least one sample",
            fmt::format("shape ({}, {})", usage.rows(), usage.cols()));
    require(is_duration(clock.step_s) && clock.step_s > 0, "step_s", "must be a positive number of seconds",
            clock.step_s);
    require(is_duration(clock.age_s), "age_s", "must be 0 s or more", clock.age_s);
    require(std::isnan(clock.stale_after_s) || clock.stale_after_s >= 0, "stale_after_s", "must be 0 s or more",
            clock.stale_after_s);

    const Index n = usage.cols();
    check_column("quota", quotas.quota.size(), n);
    check_column("cost_per_unit", quotas.cost_per_unit.size(), n);
    check_column("warning_frac", quotas.warning_frac.size(), n);
    check_column("critical_frac", quotas.critical_frac.size(), n);
    check_column("adjustable", quotas.adjustable.size(), n);
    check_column("region", quotas.region.size(), n);
    check_column("spike_ratio", quotas.spike_ratio.size(), n);
    for (Index i = 0; i < n; ++i) {
        const double quota = quotas.quota(i), cost = quotas.cost_per_unit(i);
        const double warning = quotas.warning_frac(i), critical = quotas.critical_frac(i);
        require(std::isnan(quota) || (quota >= 0 && !std::isinf(quota)), "quota",
                "must be finite and 0 or more, or NaN where not known", quota);
        require(std::isfinite(cost) && cost >= 0, "cost_per_unit", "must be finite and 0 or more", cost);
        require(warning > 0, "warning_frac", "must be above 0", warning);
        require(critical >= warning, "critical_frac", fmt::format("must be at least warning_frac {}", warning),
                critical);
    }
    const Index regions = quotas.region.maxCoeff() + 1;
    require(quotas.region.minCoeff() >= 0, "region", "must be 0 or more", quotas.region.minCoeff());
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

Headroom blank(Index n) {
    Headroom out;
    for (auto* column :
         {&out.usage, &out.day_peak, &out.age_s, &out.base, &out.failover, &out.spike, &out.minimum, &out.maximum,
          &out.needed, &out.required, &out.available, &out.utilization, &out.day_utilization, &out.shortfall,
          &out.base_frac, &out.failover_frac, &out.spike_frac, &out.classic_required, &out.classic_utilization})
        column->setConstant(n, nan);
    const auto size = static_cast<std::size_t>(n);
    out.status.assign(size, Status::unknown);
    out.unknown.assign(size, Unknown::none);
    out.term.assign(size, Term::none);
    out.scenario.assign(size, -1);
    out.limit.assign(size, Limit::none);
    return out;
}

double share_of(double needed, double available) { return available > 0 ? needed / available : inf; }

// The samples of the last `seconds` before now: those at exactly `seconds` ago are no longer among them.
std::span<const double> last_samples(std::span<const double> x, double seconds, const Clock& clock) {
    const double back = std::ceil((seconds - clock.age_s) / clock.step_s);
    const auto length = static_cast<double>(x.size());
    return x.last(static_cast<std::size_t>(std::clamp(back, 0.0, length)));
}

// The largest sample of the last 24 hours before now, and at least the last observed one.
double day_peak(std::span<const double> x, const Clock& clock, double usage) {
    double peak = usage;
    for (const double u : last_samples(x, day_s, clock)) peak = std::max(peak, std::isnan(u) ? usage : u);
    return peak;
}

// What the policy would reserve: the needed headroom less what cost, the clip and the quota itself take away.
void reserve(Headroom& out, Index i, const Quotas& quotas, const ClassicOptions& options) {
    const auto at = static_cast<std::size_t>(i);
    const double quota = quotas.quota(i), cost = quotas.cost_per_unit(i), usage = out.usage(i), needed = out.needed(i);
    double affordable = needed;
    if (quota - usage < needed && cost > 0 && cost * (usage + needed - quota) > options.cost_cap)
        affordable = std::min(needed, options.cost_cap / cost);
    const double classic = std::min(affordable, out.maximum(i));
    if (classic < affordable) out.limit[at] = Limit::maximum;
    else if (affordable < needed) out.limit[at] = Limit::cost_cap;
    out.classic_required(i) = classic;
    out.classic_utilization(i) = classic == 0 ? 0 : (classic - out.available(i)) / classic;

    const double there = std::max(0.0, out.available(i));
    out.required(i) = classic;
    if (!quotas.adjustable(i) && there < classic) {
        out.required(i) = there;
        out.limit[at] = Limit::not_adjustable;
    }
}

void judge(Headroom& out, Index i, const Quotas& quotas) {
    const double quota = quotas.quota(i);
    out.available(i) = quota - out.usage(i);
    out.utilization(i) = share_of(out.needed(i), out.available(i));
    out.day_utilization(i) = share_of(out.needed(i), quota - out.day_peak(i));
    out.shortfall(i) = std::max(0.0, out.needed(i) - out.available(i));
    auto& status = out.status[static_cast<std::size_t>(i)];
    if (out.shortfall(i) > 0 || out.day_utilization(i) >= quotas.critical_frac(i)) status = Status::critical;
    else status = out.day_utilization(i) >= quotas.warning_frac(i) ? Status::warning : Status::ok;
}

}  // namespace

void check(const ClassicOptions& options) {
    require(options.cost_cap >= 0, "cost_cap", "must be 0 or more", options.cost_cap);
    require(options.history_s > 0 && !std::isinf(options.history_s), "history_s",
            "must be a positive number of seconds", options.history_s);
}

double impact_weight(std::string_view impact) {
    if (impact == "critical") return 1.0;
    if (impact == "high") return 0.8;
    if (impact == "low") return 0.4;
    return 0.6;
}

Headroom classic_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas,
                          const std::vector<ClassicScenario>& scenarios, const ClassicOptions& options,
                          const Poll& poll) {
    check(options);
    check(usage, clock, quotas, scenarios);
    const double stale_after =
        std::isnan(clock.stale_after_s) ? std::max(hour_s, 12 * clock.step_s) : clock.stale_after_s;
    const double per_week = options.trend_per_hour ? week_samples * hour_s / clock.step_s : week_samples;

    Headroom out = blank(usage.cols());
    series::for_each_series(usage, poll, [&](Index i, std::span<const double> x) {
        const auto at = static_cast<std::size_t>(i);
        for (const double u : x)
            require(!(u < 0) && !std::isinf(u), "usage", "must be finite and 0 or more, or NaN where not observed", u);
        const auto recent = last_samples(x, options.history_s, clock);
        const series::Summary h = series::summarize(recent);
        if (h.count == 0) {
            out.unknown[at] = Unknown::no_usage;
            return;
        }
        out.usage(i) = h.last;
        out.age_s(i) =
            clock.age_s + clock.step_s * static_cast<double>(static_cast<Index>(recent.size()) - 1 - h.last_index);
        if (out.age_s(i) > stale_after) {
            out.unknown[at] = Unknown::stale;
            return;
        }

        const double u = h.last;
        const Need base = base_need(h, per_week, u);
        const Need failover = failover_need(scenarios, quotas.region(i), u);
        const Need spike = spike_need(quotas.spike_ratio(i), u);
        const Need minimum{std::max(base.value, least_units), Term::minimum};
        out.day_peak(i) = day_peak(x, clock, u);
        out.base(i) = base.value;
        out.failover(i) = failover.value;
        out.spike(i) = spike.value;
        out.minimum(i) = minimum.value;
        out.base_frac(i) = u == 0 ? floor_base : base.value / u;
        out.failover_frac(i) = u == 0 ? floor_failover : failover.value / u;
        out.spike_frac(i) = u == 0 ? default_spike : spike.value / u;
        Need needed = base;
        for (const Need& other : {failover, spike, minimum}) needed.raise_to(other.value, other.term, other.scenario);
        if (!std::isfinite(needed.value))
            throw NumericalFailure(
                fmt::format("needed: exceeds the range of double (usage {}, {} samples)", u, h.count));
        out.needed(i) = needed.value;
        out.term[at] = needed.term;
        out.scenario[at] = needed.scenario;

        if (std::isnan(quotas.quota(i))) {
            out.unknown[at] = Unknown::no_quota;
            return;
        }
        out.maximum(i) = std::min(0.5 * quotas.quota(i), 3 * u);
        judge(out, i, quotas);
        reserve(out, i, quotas, options);
    });
    return out;
}

}  // namespace surgetank
