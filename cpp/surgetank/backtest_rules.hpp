// Stem `backtest`, rules: what they look at, and how one of them is replayed over one series.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "surgetank/backtest.hpp"
#include "surgetank/backtest_demand.hpp"
#include "surgetank/backtest_ledger.hpp"
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
    const double* bottom = nullptr;  // where a rule asks down
};

/// What one rule does over one series, found beside the rule before it: rules that differ in their bar alone, in
/// ascending order, keep the same quota until the lower bar is crossed, and nothing before that is looked at again.
class Path {
public:
    /// The next rules look at this row, which must outlive them. `quota`: at the start; NaN: each rule's own.
    void begin(const Row& row, const Decisions& decisions, double quota);
    void of(const Rule& rule);
    Trail trail() const { return {pieces_, same_, until_}; }

private:
    std::vector<Piece> pieces_;
    std::vector<Index> found_;  // by piece, the decision at which another quota is asked for; beyond the last: none
    std::size_t same_ = 0;
    Index until_ = -1;
    Row row_;
    const Decisions* decisions_ = nullptr;
    double quota_ = nan;
    std::optional<Rule> last_;
};

/// Statistics that are computed together: quantiles of the same windows, or one that is given.
struct Group {
    bool of_demand = false;
    Index window = 0, seasonal = -1, given = -1;
    std::vector<double> quantiles;
    std::vector<std::vector<Index>> rules;  // by quantile, as Path wants them
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
    /// Memory that nobody uses between two series, as much as there will be.
    Aligned<double>& spare(Index samples);

private:
    void fill(const Group& group, const Decisions& decisions, const Sight& sight, Index series,
              std::span<double* const> rows);

    const Demand* carried_ = nullptr;
    Ahead ahead_;
    rolling::Ranked usage_, demand_;
    rolling::Quantiles quantiles_;
    Forecaster forecast_;
    Aligned<double> values_, tops_;
};

}  // namespace surgetank::backtest
