#include "surgetank/backtest_demand.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "surgetank/backtest_kernels.hpp"
#include "surgetank/headroom_groups.hpp"
#include "surgetank/series_peaks.hpp"

namespace surgetank::backtest {
namespace {

// The larger of both; NaN where one of them is.
double both(double a, double b) { return std::isnan(a) || std::isnan(b) ? nan : std::max(a, b); }

// The maximum of every window of `length` samples by its start, NaN left out; NaN where fewer than half of its samples
// were observed, or it ends beyond the series. `suffix`: room for a window.
void peaks(std::span<const double> x, Index window, std::span<double> out, std::span<double> suffix) {
    const auto samples = x.size(), length = static_cast<std::size_t>(window);
    std::fill(out.begin(), out.end(), nan);
    if (length > samples) return;
    // Van Herk's blocks: the maximum of a suffix of one block and of a prefix of the next.
    const auto larger = [](double a, double b) { return b > a ? b : a; };
    std::size_t observed = 0;
    for (std::size_t t = 0; t < length; ++t) observed += !std::isnan(x[t]);
    for (std::size_t start = 0; start + length <= samples; start += length) {
        double most = -inf;
        for (std::size_t j = length; j-- > 0;) suffix[j] = most = larger(most, x[start + j]);
        double prefix = -inf;
        for (std::size_t j = 0; j < length && start + j + length <= samples; ++j) {
            const std::size_t t = start + j;
            if (2 * observed >= length) out[t] = larger(suffix[j], prefix);
            if (t + length == samples) return;
            prefix = larger(prefix, x[t + length]);
            observed += !std::isnan(x[t + length]);
            observed -= !std::isnan(x[t]);
        }
    }
}

}  // namespace

std::vector<std::vector<Load>> loads_of(const Quotas& quotas, const std::vector<Event>& events, double step_s) {
    headroom::check_events(quotas, events);
    std::vector<std::vector<Load>> out(static_cast<std::size_t>(quotas.group.size()));
    const Index regions = quotas.region.maxCoeff() + 1;
    for (const auto& members : headroom::grouped(quotas)) {
        std::vector<Index> column(static_cast<std::size_t>(regions), -1);
        for (const Index i : members) column[static_cast<std::size_t>(quotas.region(i))] = i;
        for (const Event& event : events) {
            const Index length = series::window_length(event.duration_s, step_s);
            std::map<Index, Load::Part> reached;
            for (const Flow& flow : event.flows) {
                const Index to = column[static_cast<std::size_t>(flow.to)];
                const Index from = column[static_cast<std::size_t>(flow.from)];
                if (to < 0 || from < 0) continue;
                Load::Part& part = reached[to];
                if (from == to) part.own += flow.weight;
                else part.landing.emplace_back(from, flow.weight);
            }
            for (auto& [to, part] : reached) {
                part.own = std::max(0.0, part.own);
                auto& loads = out[static_cast<std::size_t>(to)];
                auto same = std::find_if(loads.begin(), loads.end(), [&](const Load& l) { return l.length == length; });
                if (same == loads.end()) same = loads.insert(loads.end(), Load{length, {}});
                same->events.push_back(std::move(part));
            }
        }
    }
    return out;
}

void Demand::of(const Samples& usage, Index column, const std::vector<Load>& loads, bool whole,
                Aligned<double>& spare) {
    samples_ = static_cast<std::size_t>(usage.rows());
    usage_.resize(static_cast<std::size_t>((usage.rows() + in_block - 1) / in_block * in_block));
    for (std::size_t t = 0; t < samples_; ++t) usage_[t] = usage(static_cast<Index>(t), column);
    headroom::check_samples(this->usage());
    lands_ = !loads.empty();
    if (!lands_) return;
    demand_.clear();
    if (whole) demand_ = usage_;
    peak_ = usage_;
    Index longest = 1;
    for (const Load& load : loads) longest = std::max(longest, load.length);
    const auto suffix = std::min(samples_, static_cast<std::size_t>(longest));
    spare.resize(std::max(spare.size(), 2 * samples_ + suffix));
    std::span<double> all(spare.data(), samples_), one(spare.data() + samples_, samples_);
    const std::span<double> window(spare.data() + 2 * samples_, suffix);
    for (const Load& load : loads) {
        bool first = true;
        for (const auto& [own, landing] : load.events) {
            for (std::size_t t = 0; t < samples_; ++t) one[t] = own * usage_[t];
            for (const auto& [from, weight] : landing)
                for (std::size_t t = 0; t < samples_; ++t) one[t] += weight * usage(static_cast<Index>(t), from);
            if (!first)
                for (std::size_t t = 0; t < samples_; ++t) one[t] = both(all[t], one[t]);
            first = false;
            std::swap(all, one);
        }
        if (whole)
            for (std::size_t t = 0; t < samples_; ++t) demand_[t] = both(demand_[t], all[t]);
        if (load.length > 1) {
            peaks(all, load.length, one, window);
            std::swap(all, one);
        }
        for (std::size_t t = 0; t < samples_; ++t) peak_[t] = both(peak_[t], all[t]);
    }
    const auto infinite = [](double x) { return std::isinf(x); };
    const auto somewhere = [&](std::span<const double> x) { return std::any_of(x.begin(), x.end(), infinite); };
    if (somewhere(peak()) || (whole && somewhere(demand())))
        throw NumericalFailure(fmt::format("usage: demand of series {} exceeds double in an event", column));
}

}  // namespace surgetank::backtest
