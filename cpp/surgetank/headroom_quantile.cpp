#include "surgetank/headroom_quantile.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include "surgetank/headroom_groups.hpp"
#include "surgetank/headroom_growth.hpp"
#include "surgetank/series_tails.hpp"

namespace surgetank {
namespace {

using Buffer = std::vector<double>;

// The demand before growth that a quota holds; a need that was rounded on its way to being the quota is held.
double held(double quota, double growth) { return quota / growth * (1 + 1e-12); }

// What an event brings to a Region: weight × usage of Region `from`; its own Region: on top of its own.
struct Inflow {
    std::size_t event;
    Index from;
    double weight;
};

// All that one call needs again and again.
struct Sizing {
    const Clock& clock;
    const Quotas& quotas;
    const std::vector<Event>& events;
    const QuantileOptions& options;
    const Poll& poll;
    QuantileHeadroom& out;
    std::vector<std::vector<std::uint8_t>> moments;  // a bit each: not observed, does not fit; (E, T)
    Buffer demand;
    std::vector<std::vector<Inflow>> inflows;  // by Region, events ascending
    std::vector<Index> member;                 // by Region: its place in the group at hand, or −1

    enum : std::uint8_t { unseen = 1, exceeded = 2 };

    std::size_t width() const { return events.size() + 1; }
    EventNeed& at(Index i, std::size_t e) { return out.events[static_cast<std::size_t>(i) * width() + e]; }

    series::TailOptions tail_options(double duration_s, double risk, bool gaps) const;
    void size_event(Index i, std::size_t e, double duration_s, double risk, bool gaps);
    void mark(Index i, std::size_t e, bool gaps, double top, double growth, double risk);
    void mark_own(Index i, std::span<const double> own, bool gaps);
    void decide(Index i, std::span<const double> own, bool source_unknown);
};

series::TailOptions Sizing::tail_options(double duration_s, double risk, bool gaps) const {
    series::TailOptions result;
    result.step_s = clock.step_s;
    result.duration_s = duration_s;
    result.risk = risk;
    result.confidence = options.confidence;
    result.fitted = options.fitted;
    result.gaps = gaps;
    return result;
}

// `demand` holds the aligned demand of quota i in event e (0: nothing fails).
void Sizing::size_event(Index i, std::size_t e, double duration_s, double risk, bool gaps) {
    EventNeed& need = at(i, e);
    const series::Tail tail(demand, tail_options(duration_s, risk, gaps));
    need.samples = static_cast<double>(tail.observed());
    if (tail.observed() == 0) return;
    headroom::check_needed(tail.top(), out.usage(i), tail.observed());  // infinite demand has no slope
    const headroom::Growth growth = headroom::growth_of(demand, gaps, clock.step_s, options);
    const series::TailLevel& found = tail.level();
    need.level = found.level;
    need.counted = found.counted;
    need.need = found.level * growth.factor;
    headroom::check_needed(need.need, out.usage(i), tail.observed());
    const bool interval = options.confidence > 0;
    if (interval) {
        need.low = std::max(0.0, found.low * growth.low);
        need.high = found.high * growth.factor;
    }
    need.growth = growth.factor;
    need.slope_per_day = growth.slope_per_day;
    need.days = growth.days;
    need.daily_median = growth.daily_median;
    need.windows = static_cast<double>(found.windows);
    need.n_eff = found.n_eff;
    need.extrapolated = found.extrapolated ? 1 : 0;
    need.threshold = found.fit.threshold;
    need.shape = found.fit.shape;
    need.scale = found.fit.scale;
    need.clusters = static_cast<double>(found.fit.clusters);
    need.clusters_per_s = found.fit.per_s;
    need.cluster_s = found.fit.cluster_s;

    const double quota = quotas.quota(i);
    if (std::isnan(quota)) return;
    const series::TailRisk at_quota = tail.risk(held(quota, growth.factor));
    need.risk = at_quota.risk;
    if (interval) {
        need.risk_low =
            growth.low == growth.factor ? at_quota.low : std::min(at_quota.low, tail.risk(held(quota, growth.low)).low);
        need.risk_high = at_quota.high;
    }
    if (found.level > quota) need.ask_in_s = -inf;
    else if (growth.per_s == 0 || found.level == 0) need.ask_in_s = inf;
    else need.ask_in_s = (quota / found.level - 1) / growth.per_s - options.lead_time_p95_s;
    if (e > 0) mark(i, e - 1, gaps, tail.top(), growth.factor, need.risk);
}

// At which moments does quota i not fit in event e? `demand` is what a Tail has left: −inf where not observed.
void Sizing::mark(Index i, std::size_t e, bool gaps, double top, double growth, double risk) {
    auto& state = moments[e];
    const Index length = series::window_length(events[e].duration_s, clock.step_s);
    const double most = held(quotas.quota(i), growth);
    if (top > most)
        series::windows_above(demand, length, most, [&](Index first, Index last) {
            for (Index t = first; t <= last; ++t) state[static_cast<std::size_t>(t)] |= exceeded;
        });
    if (gaps) {
        const series::Windows seen(demand, length, (length + 1) / 2);
        for (Index t = 0; t < seen.starts(); ++t)
            if (seen.count(t, t) == 0) state[static_cast<std::size_t>(t)] |= unseen;
    }
    out.joint[e].quotas += 1;
    out.joint[e].risk_bound += risk;
}

// Events that bring quota i no load: it must still fit on its own while they last.
void Sizing::mark_own(Index i, std::span<const double> own, bool gaps) {
    std::map<double, double> risks;  // by duration: most events last equally long
    double top = -inf;
    for (std::size_t e = 0; e < events.size(); ++e) {
        const Event& event = events[e];
        if (!std::isnan(at(i, e + 1).samples)) continue;
        if (std::find(event.failed.begin(), event.failed.end(), quotas.region(i)) != event.failed.end()) continue;
        const double growth = at(i, 0).growth;
        if (!risks.contains(event.duration_s)) {
            demand.assign(own.begin(), own.end());
            auto how = tail_options(event.duration_s, options.risk, gaps);
            how.confidence = 0;
            const series::Tail tail(demand, how);
            top = tail.top();
            risks[event.duration_s] = tail.risk(held(quotas.quota(i), growth)).risk;
        }
        mark(i, e, gaps, top, growth, risks[event.duration_s]);
    }
}

// Of all events the one that needs most; status by the worst of the last 24 h.
void Sizing::decide(Index i, std::span<const double> own, bool source_unknown) {
    const auto row = static_cast<std::size_t>(i);
    std::size_t binds = 0;
    // Largest of what is known: fmax and fmin leave NaN out.
    double failover = nan, spike = nan, low = nan, high = nan, risk = nan, risk_low = nan, risk_high = nan,
           ask_in_s = inf;
    for (std::size_t e = 0; e < width(); ++e) {
        const EventNeed& need = at(i, e);
        if (std::isnan(need.need)) continue;
        if (need.need > at(i, binds).need) binds = e;
        if (e > 0) {
            double& kind = need.lands == 1 ? failover : spike;
            kind = std::fmax(kind, need.need);
        }
        low = std::fmax(low, need.low);
        high = std::fmax(high, need.high);
        risk = std::fmax(risk, need.risk);
        risk_low = std::fmax(risk_low, need.risk_low);
        risk_high = std::fmax(risk_high, need.risk_high);
        ask_in_s = std::fmin(ask_in_s, need.ask_in_s);
    }
    const EventNeed& need = at(i, binds);
    const double usage = out.usage(i);
    out.base(i) = at(i, 0).need;
    out.failover(i) = failover;
    out.spike(i) = spike;
    out.need(i) = need.need;
    out.needed(i) = std::max(0.0, need.need - usage);
    out.need_low(i) = low;
    out.need_high(i) = high;
    out.needed_low(i) = std::isnan(low) ? nan : std::max(0.0, low - usage);
    out.needed_high(i) = std::isnan(high) ? nan : std::max(0.0, high - usage);
    out.growth(i) = need.growth;
    out.n_eff(i) = need.n_eff;
    out.event[row] = static_cast<Index>(binds);

    const double quota = quotas.quota(i);
    if (std::isnan(quota)) {
        out.unknown[row] = Unknown::no_quota;
        return;
    }
    out.probability_enough(i) = 1 - risk;
    out.probability_enough_low(i) = 1 - risk_high;
    out.probability_enough_high(i) = 1 - risk_low;
    out.ask_in_s(i) = ask_in_s;
    // Where was it tightest? And with which quota would it have been OK? (Status is OK strictly below the threshold.)
    double worst = headroom::share_of(out.needed(i), quota - usage), ok = need.need;
    const auto look_at = [&](double u) {
        const double needed = std::max(0.0, need.need - u);
        worst = std::max(worst, headroom::share_of(needed, quota - u));
        ok = std::max(ok, u + needed / quotas.warning_frac(i));
    };
    look_at(usage);
    for (const double u : headroom::last_samples(own, day_s, clock))
        if (!std::isnan(u)) look_at(u);
    out.quota_ok(i) = ok * (1 + 1e-12);
    headroom::judge(out, i, quotas, worst);
    const double affordable = headroom::affordable(out, i, quotas, options.cost_cap);
    if (affordable < out.needed(i)) out.limit[row] = Limit::cost_cap;
    headroom::reserve(out, i, quotas, affordable);
    if (source_unknown) {  // what is known may already be too much; else nothing can be said
        for (auto* column :
             {&out.probability_enough, &out.probability_enough_low, &out.probability_enough_high, &out.ask_in_s})
            (*column)(i) = nan;
        out.unknown[row] = Unknown::no_source;
        if (out.status[row] != Status::critical) out.status[row] = Status::unknown;
    }
}

void size_group(Sizing& sizing, const std::vector<Index>& members, const std::vector<std::span<const double>>& series) {
    QuantileHeadroom& out = sizing.out;
    const auto& options = sizing.options;
    std::vector<std::span<const double>> history;
    std::vector<bool> known, gaps;
    for (std::size_t j = 0; j < members.size(); ++j) {
        gaps.push_back(headroom::check_samples(series[j]));
        history.push_back(headroom::last_samples(series[j], options.history_s, sizing.clock));
        known.push_back(headroom::look(out, members[j], series[j], options.history_s, sizing.clock));
    }
    for (std::size_t j = 0; j < members.size(); ++j)
        sizing.member[static_cast<std::size_t>(sizing.quotas.region(members[j]))] = static_cast<Index>(j);
    const auto as_array = [](std::span<const double> x) {
        return Eigen::Map<const Eigen::ArrayXd>(x.data(), static_cast<Index>(x.size()));
    };
    for (std::size_t j = 0; j < members.size(); ++j) {
        if (sizing.poll) sizing.poll();
        if (!known[j]) continue;
        const Index i = members[j];
        auto& demand = sizing.demand;
        demand.assign(history[j].begin(), history[j].end());
        sizing.size_event(i, 0, options.normal_duration_s,
                          std::isnan(options.risk_normal) ? options.risk : options.risk_normal, gaps[j]);
        bool source_unknown = false;
        const Index region = sizing.quotas.region(i);
        const auto& inflows = sizing.inflows[static_cast<std::size_t>(region)];
        for (auto inflow = inflows.begin(); inflow != inflows.end();) {
            if (sizing.poll) sizing.poll();
            const std::size_t e = inflow->event;
            double own = 1;
            std::vector<std::pair<std::size_t, double>> landing;
            bool reached = false, seen = true, holes = gaps[j];
            for (; inflow != inflows.end() && inflow->event == e; ++inflow) {
                const Index place = sizing.member[static_cast<std::size_t>(inflow->from)];
                if (inflow->from == region) own += inflow->weight;
                if (place < 0) continue;  // a Region without this quota sends nothing
                reached = true;
                if (inflow->from == region) continue;
                const auto from = static_cast<std::size_t>(place);
                landing.emplace_back(from, inflow->weight);
                seen = seen && known[from];
                holes = holes || gaps[from];
            }
            if (!reached) continue;
            sizing.at(i, e + 1).lands = landing.empty() ? 0 : 1;
            if (!seen) {
                sizing.at(i, e + 1).samples = 0;  // reached, by a load that nobody knows: not a quota left alone
                source_unknown = true;
                continue;
            }
            Eigen::Map<Eigen::ArrayXd> sum(demand.data(), static_cast<Index>(demand.size()));
            own = std::max(0.0, own);
            std::size_t first = 0;  // one source is the usual case: one pass
            if (landing.empty()) sum = own * as_array(history[j]);
            else sum = own * as_array(history[j]) + landing[first].second * as_array(history[landing[first].first]);
            while (++first < landing.size()) sum += landing[first].second * as_array(history[landing[first].first]);
            sizing.size_event(i, e + 1, sizing.events[e].duration_s, options.risk, holes);
            source_unknown = source_unknown || sizing.at(i, e + 1).samples == 0;
        }
        sizing.decide(i, series[j], source_unknown);
        if (!std::isnan(sizing.quotas.quota(i))) sizing.mark_own(i, history[j], gaps[j]);
    }
    for (const Index i : members) sizing.member[static_cast<std::size_t>(sizing.quotas.region(i))] = -1;
}

QuantileHeadroom blank(Index n, std::size_t events) {
    QuantileHeadroom out;
    headroom::blank(out, n);
    for (auto* column : {&out.need, &out.need_low, &out.need_high, &out.needed_low, &out.needed_high, &out.growth,
                         &out.n_eff, &out.probability_enough, &out.probability_enough_low, &out.probability_enough_high,
                         &out.ask_in_s, &out.quota_ok})
        column->setConstant(n, nan);
    out.event.assign(static_cast<std::size_t>(n), -1);
    out.events.resize(static_cast<std::size_t>(n) * (events + 1));
    out.joint.resize(events);
    return out;
}

}  // namespace

void check(const QuantileOptions& options) {
    const auto is_risk = [](double risk) { return risk > 0 && risk < 1; };
    const auto positive = [](double seconds) { return std::isfinite(seconds) && seconds > 0; };
    const auto duration = [](double seconds) { return std::isfinite(seconds) && seconds >= 0; };
    require(is_risk(options.risk), "risk", "must lie between 0 and 1", options.risk);
    require(std::isnan(options.risk_normal) || is_risk(options.risk_normal), "risk_normal", "must lie between 0 and 1",
            options.risk_normal);
    require(positive(options.normal_duration_s), "normal_duration_s", "must be a positive number of seconds",
            options.normal_duration_s);
    require(duration(options.lead_time_s), "lead_time_s", "must be 0 s or more", options.lead_time_s);
    require(duration(options.review_s), "review_s", "must be 0 s or more", options.review_s);
    require(duration(options.lead_time_p95_s), "lead_time_p95_s", "must be 0 s or more", options.lead_time_p95_s);
    require(std::isnan(options.growth) || (options.growth >= 1 && !std::isinf(options.growth)), "growth",
            "must be a factor of at least 1", options.growth);
    require(options.confidence >= 0 && options.confidence < 1, "confidence", "must lie in [0, 1)", options.confidence);
    headroom::check_history(options.history_s);
    headroom::check_cost_cap(options.cost_cap);
}

QuantileHeadroom quantile_headroom(const Samples& usage, const Clock& clock, const Quotas& quotas,
                                   const std::vector<Event>& events, const QuantileOptions& options, const Poll& poll) {
    check(options);
    headroom::check(usage, clock, quotas);
    headroom::check_events(quotas, events);
    const auto groups = headroom::grouped(quotas);

    QuantileHeadroom out = blank(usage.cols(), events.size());
    Sizing sizing{clock, quotas, events, options, poll, out, {}, {}, {}, {}};
    const auto regions = static_cast<std::size_t>(quotas.region.maxCoeff()) + 1;
    sizing.inflows.resize(regions);
    sizing.member.assign(regions, -1);
    for (std::size_t e = 0; e < events.size(); ++e)
        for (const Flow& flow : events[e].flows)
            sizing.inflows[static_cast<std::size_t>(flow.to)].push_back({e, flow.from, flow.weight});
    sizing.moments.assign(events.size(), std::vector<std::uint8_t>(static_cast<std::size_t>(usage.rows()), 0));
    headroom::Gathered gathered(usage);
    for (std::size_t g = 0; g < groups.size();) {
        std::vector<Index> columns;
        std::size_t end = g;
        for (; end < groups.size() && (end == g || columns.size() < headroom::Gathered::lanes); ++end)
            columns.insert(columns.end(), groups[end].begin(), groups[end].end());
        const auto series = gathered(columns);
        for (auto first = series.begin(); g < end; ++g) {
            const auto last = first + static_cast<std::ptrdiff_t>(groups[g].size());
            size_group(sizing, groups[g], {first, last});
            first = last;
        }
    }
    const Index samples = headroom::last_count(usage.rows(), options.history_s, clock);
    for (std::size_t e = 0; e < events.size(); ++e) {
        JointFit& joint = out.joint[e];
        joint.risk_bound = std::min(1.0, joint.risk_bound);
        if (joint.quotas == 0) continue;
        const Index length = series::window_length(events[e].duration_s, clock.step_s);
        for (Index t = 0; t + length <= samples; ++t) {
            const std::uint8_t state = sizing.moments[e][static_cast<std::size_t>(t)];
            joint.moments += (state & Sizing::unseen) == 0;
            joint.fits += state == 0;
        }
    }
    return out;
}

}  // namespace surgetank
