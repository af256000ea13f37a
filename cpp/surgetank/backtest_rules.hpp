// Stem `backtest`, rules: what they look at, and how one of them is replayed over one series.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "surgetank/backtest.hpp"
#include "surgetank/backtest_demand.hpp"
#include "surgetank/backtest_kernels.hpp"
#include "surgetank/rolling.hpp"

namespace surgetank::backtest {

/// Decisions of a calendar over T samples.
struct Decisions {
    Index count, first, every, lead, samples;

    Decisions(const Calendar& calendar, Index length)
        : count(rolling::windows(length, calendar.first - 1, calendar.every)),
          first(calendar.first - 1),
          every(calendar.every),
          lead(calendar.lead),
          samples(length) {}
    /// The sample at whose end decision d is made.
    Index at(Index d) const { return first + d * every; }
    /// From a request to the first decision that sees its quota.
    Index hop() const { return (1 + lead + every - 1) / every; }
};

/// A statistic at each decision, as the kernels want it.
struct Row {
    Track track;
    const double* bottom = nullptr;
};

/// Calls sink.piece(from, end, quota) for the stretches of time at which a rule's quota stands still, and
/// sink.request(sample, up) for what it asks for, in the order of time. `quota`: at the start; NaN: the rule's own.
template <class Sink>
void replay_rule(const Rule& rule, const Row& row, const Decisions& decisions, double quota, Sink& sink) {
    const Kernels& kernel = kernels();
    const Track& s = row.track;
    Index d = 0, from = decisions.first + 1;
    if (std::isnan(quota)) {
        while (d < s.size && std::isnan(s.value[d])) ++d;
        if (d == s.size) return;
        quota = rule.start * s.value[d];
        from = decisions.at(d) + 1;
        ++d;
    }
    const double lower = rule.lower / rule.factor;
    const bool down = rule.lower > 0 && !rule.of_quota;
    for (;;) {
        const double high = rule.bar * quota;
        d = down ? kernel.outside(s, row.bottom, d, s.size, high, lower * quota) : kernel.above(s, d, s.size, high);
        if (d >= s.size) break;
        const double value = s.value[d], wanted = rule.of_quota ? rule.factor * quota : rule.factor * value;
        if (wanted == quota) {
            ++d;
            continue;
        }
        sink.request(decisions.at(d), value > high);
        const Index applies = decisions.at(d) + 1 + decisions.lead;
        if (applies >= decisions.samples) break;
        sink.piece(from, applies, quota);
        from = applies;
        quota = wanted;
        d += decisions.hop();
    }
    sink.piece(from, decisions.samples, quota);
}

/// Statistics that are computed together: quantiles of the same windows, or one that is given.
struct Group {
    bool of_demand = false;
    Index window = 0, seasonal = -1, given = -1;
    std::vector<double> quantiles;
    std::vector<std::vector<Index>> rules;  // by quantile
    bool down = false;                      // does any of them ask down?
};

/// The statistics that rules look at, so many at a time that their rows stay in the cache.
std::vector<Group> groups_of(const std::vector<Statistic>& statistics, const std::vector<Rule>& rules);

/// Throws InvalidInput for what `replay` refuses of these.
void check(const Sight& sight, const std::vector<Rule>& rules, Index decisions, Index series);

/// The statistics of one series. Keeps its memory for the next.
class Rows {
public:
    /// Ranks what the groups look at. `ahead`: what forecasts are for. The demand must outlive the rows.
    void of(const Demand& demand, const std::vector<Group>& groups, const Ahead& ahead);
    /// One row for each quantile of a group; valid until the next call.
    std::vector<Row> operator()(const Group& group, const Decisions& decisions, const Sight& sight, Index series);
    /// Memory that nobody uses between two series.
    std::vector<double>& spare() { return values_; }

private:
    void fill(const Group& group, const Decisions& decisions, const Sight& sight, Index series,
              std::span<double* const> rows);

    const Demand* carried_ = nullptr;
    Ahead ahead_;
    rolling::Ranked usage_, demand_;
    rolling::Quantiles quantiles_;
    Forecaster forecast_;
    std::vector<double> values_, tops_;
};

}  // namespace surgetank::backtest
