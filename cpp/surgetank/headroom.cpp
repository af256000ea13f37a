#include "surgetank/headroom.hpp"

#include <algorithm>
#include <cmath>

#include "surgetank/series.hpp"

namespace surgetank::headroom {
namespace {

bool is_duration(double seconds) { return std::isfinite(seconds) && seconds >= 0; }

void check_column(std::string_view name, Index size, Index expected) {
    require(size == expected, name, fmt::format("must have one value per series, {}", expected), size);
}

}  // namespace

void check(const Samples& usage, const Clock& clock, const Quotas& quotas) {
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
    check_column("group", quotas.group.size(), n);
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
    require(quotas.region.minCoeff() >= 0, "region", "must be 0 or more", quotas.region.minCoeff());
    require(quotas.group.minCoeff() >= 0, "group", "must be 0 or more", quotas.group.minCoeff());
}

bool check_samples(std::span<const double> x) {
    const Eigen::Map<const Eigen::ArrayXd> samples(x.data(), static_cast<Index>(x.size()));
    if (std::isfinite(samples.sum()) && samples.minCoeff() >= 0) return false;  // no gap, nothing odd: the usual case
    bool gaps = false;
    for (const double u : x) {
        require(!(u < 0) && !std::isinf(u), "usage", "must be finite and 0 or more, or NaN where not observed", u);
        gaps = gaps || std::isnan(u);
    }
    return gaps;
}

void check_cost_cap(double cost_cap) { require(cost_cap >= 0, "cost_cap", "must be 0 or more", cost_cap); }

void check_history(double history_s) {
    require(history_s > 0, "history_s", "must be a positive number of seconds", history_s);
}

void blank(Headroom& out, Index n) {
    for (auto* column : {&out.usage, &out.day_peak, &out.age_s, &out.base, &out.failover, &out.spike, &out.needed,
                         &out.required, &out.available, &out.utilization, &out.day_utilization, &out.shortfall})
        column->setConstant(n, nan);
    const auto size = static_cast<std::size_t>(n);
    out.status.assign(size, Status::unknown);
    out.unknown.assign(size, Unknown::none);
    out.limit.assign(size, Limit::none);
}

Index last_count(Index samples, double seconds, const Clock& clock) {
    const double back = std::ceil((seconds - clock.age_s) / clock.step_s);
    return static_cast<Index>(std::clamp(back, 0.0, static_cast<double>(samples)));
}

std::span<const double> last_samples(std::span<const double> x, double seconds, const Clock& clock) {
    return x.last(static_cast<std::size_t>(last_count(static_cast<Index>(x.size()), seconds, clock)));
}

bool look(Headroom& out, Index i, std::span<const double> x, double history_s, const Clock& clock) {
    const auto at = static_cast<std::size_t>(i);
    const auto recent = last_samples(x, history_s, clock);
    auto last = static_cast<Index>(recent.size()) - 1;
    while (last >= 0 && std::isnan(recent[static_cast<std::size_t>(last)])) --last;
    if (last < 0) {
        out.unknown[at] = Unknown::no_usage;
        return false;
    }
    const double usage = out.usage(i) = recent[static_cast<std::size_t>(last)];
    out.age_s(i) = clock.age_s + clock.step_s * static_cast<double>(static_cast<Index>(recent.size()) - 1 - last);
    const double stale_after =
        std::isnan(clock.stale_after_s) ? std::max(hour_s, 12 * clock.step_s) : clock.stale_after_s;
    if (out.age_s(i) > stale_after) {
        out.unknown[at] = Unknown::stale;
        return false;
    }
    out.day_peak(i) = usage;
    for (const double u : last_samples(x, day_s, clock))
        if (u > out.day_peak(i)) out.day_peak(i) = u;
    return true;
}

double share_of(double needed, double available) { return available > 0 ? needed / available : inf; }

void judge(Headroom& out, Index i, const Quotas& quotas, double day_utilization) {
    out.available(i) = quotas.quota(i) - out.usage(i);
    out.utilization(i) = share_of(out.needed(i), out.available(i));
    out.day_utilization(i) = day_utilization;
    out.shortfall(i) = std::max(0.0, out.needed(i) - out.available(i));
    auto& status = out.status[static_cast<std::size_t>(i)];
    if (out.shortfall(i) > 0 || day_utilization >= quotas.critical_frac(i)) status = Status::critical;
    else status = day_utilization >= quotas.warning_frac(i) ? Status::warning : Status::ok;
}

double affordable(const Headroom& out, Index i, const Quotas& quotas, double cost_cap) {
    const double quota = quotas.quota(i), cost = quotas.cost_per_unit(i), usage = out.usage(i), needed = out.needed(i);
    if (quota - usage < needed && cost > 0 && cost * (usage + needed - quota) > cost_cap)
        return std::min(needed, cost_cap / cost);
    return needed;
}

void reserve(Headroom& out, Index i, const Quotas& quotas, double reserved) {
    const double there = std::max(0.0, out.available(i));
    out.required(i) = reserved;
    if (!quotas.adjustable(i) && there < reserved) {
        out.required(i) = there;
        out.limit[static_cast<std::size_t>(i)] = Limit::not_adjustable;
    }
}

void check_needed(double needed, double usage, Index samples) {
    if (!std::isfinite(needed))
        throw NumericalFailure(
            fmt::format("needed: exceeds the range of double (usage {}, {} samples)", usage, samples));
}

}  // namespace surgetank::headroom

namespace surgetank {

Headroom wanted_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas, const Column& wanted,
                         const Poll& poll) {
    headroom::check(usage, clock, quotas);
    require(wanted.size() == usage.cols(), "wanted", fmt::format("must have one value per series, {}", usage.cols()),
            wanted.size());
    Headroom out;
    headroom::blank(out, usage.cols());
    series::for_each_series(usage, poll, [&](Index i, std::span<const double> x) {
        require(!(wanted(i) < 0) && !std::isinf(wanted(i)), "wanted", "must be finite and 0 or more, or NaN",
                wanted(i));
        headroom::check_samples(x);
        if (!headroom::look(out, i, x, inf, clock)) return;
        if (std::isnan(wanted(i))) {
            out.unknown[static_cast<std::size_t>(i)] = Unknown::no_source;
            return;
        }
        out.needed(i) = std::max(0.0, wanted(i) - out.usage(i));
        const double quota = quotas.quota(i);
        if (std::isnan(quota)) {
            out.unknown[static_cast<std::size_t>(i)] = Unknown::no_quota;
            return;
        }
        double worst = headroom::share_of(out.needed(i), quota - out.usage(i));
        for (const double u : headroom::last_samples(x, day_s, clock))
            if (!std::isnan(u)) worst = std::max(worst, headroom::share_of(std::max(0.0, wanted(i) - u), quota - u));
        headroom::judge(out, i, quotas, worst);
        headroom::reserve(out, i, quotas, out.needed(i));
    });
    return out;
}

}  // namespace surgetank
