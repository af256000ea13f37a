#include "surgetank/backtest_rules.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace surgetank::backtest {
namespace {

// Statistics at hand at a time: their rows stay in the cache, and as many quantiles are followed at once.
constexpr std::size_t most_rows = 5;

bool looks_at(const std::vector<Group>& groups, bool of_demand) {
    return std::any_of(groups.begin(), groups.end(),
                       [&](const Group& g) { return g.given < 0 && g.seasonal < 0 && g.of_demand == of_demand; });
}

// All but the bar: what differs in any of it shares no path.
auto kind(const Rule& rule) { return std::tuple(rule.of_quota, rule.factor, rule.start, rule.lower); }
auto along(const Rule& rule) { return std::pair(kind(rule), rule.bar); }

}  // namespace

std::vector<Group> groups_of(const std::vector<Statistic>& statistics, const std::vector<Rule>& rules) {
    std::vector<std::vector<Index>> users(statistics.size());
    for (std::size_t p = 0; p < rules.size(); ++p)
        users[static_cast<std::size_t>(rules[p].statistic)].push_back(static_cast<Index>(p));
    for (auto& own : users)
        std::stable_sort(own.begin(), own.end(), [&](Index a, Index b) {
            return along(rules[static_cast<std::size_t>(a)]) < along(rules[static_cast<std::size_t>(b)]);
        });
    std::map<std::tuple<Index, Index, bool, Index>, Group> together;
    for (std::size_t s = 0; s < statistics.size(); ++s) {
        if (users[s].empty()) continue;
        const Statistic& one = statistics[s];
        const bool windowed = one.given < 0 && one.seasonal < 0;
        Group& group = together[{one.given, one.seasonal, windowed && one.of_demand, windowed ? one.window : 0}];
        group.of_demand = one.of_demand || one.seasonal >= 0;
        group.window = one.window;
        group.seasonal = one.seasonal;
        group.given = one.given;
        group.quantiles.push_back(one.quantile);
        for (const Index p : users[s]) {
            const Rule& rule = rules[static_cast<std::size_t>(p)];
            group.down = group.down || rule.asks_down();
        }
        group.rules.push_back(std::move(users[s]));
    }
    std::vector<Group> out;
    for (auto& [key, group] : together) {
        for (std::size_t k = 0; k < group.quantiles.size(); k += most_rows) {
            const auto end = std::min(k + most_rows, group.quantiles.size());
            Group part{group.of_demand, group.window, group.seasonal, group.given, {}, {}, group.down};
            for (std::size_t j = k; j < end; ++j) {
                part.quantiles.push_back(group.quantiles[j]);
                part.rules.push_back(std::move(group.rules[j]));
            }
            out.push_back(std::move(part));
        }
    }
    return out;
}

void check(const Sight& sight, const std::vector<Rule>& rules, Index decisions, Index series) {
    const auto& [statistics, seasonals, given] = sight;
    for (const Seasonal& s : seasonals) check(s);
    for (const Statistic& s : statistics) {
        require(s.given < static_cast<Index>(given.size()), "given", fmt::format("must be below {}", given.size()),
                s.given);
        require(s.seasonal < static_cast<Index>(seasonals.size()), "seasonal",
                fmt::format("must be below {}", seasonals.size()), s.seasonal);
        if (s.given >= 0 || s.seasonal >= 0) continue;
        require(s.window >= 1, "window", "must be at least one sample", s.window);
        require(s.quantile >= 0 && s.quantile <= 1, "quantile", "must lie in [0, 1]", s.quantile);
    }
    require(!rules.empty(), "rules", "must hold at least one", 0);
    const auto positive = [](double x) { return std::isfinite(x) && x > 0; };
    for (const Rule& rule : rules) {
        require(rule.statistic >= 0 && rule.statistic < static_cast<Index>(statistics.size()), "statistic",
                fmt::format("must be below {}", statistics.size()), rule.statistic);
        require(positive(rule.bar), "threshold", "must be positive and finite", rule.bar);
        require(positive(rule.factor), "factor", "must be positive and finite", rule.factor);
        require(positive(rule.start), "start", "must be positive and finite", rule.start);
        require(std::isfinite(rule.lower) && rule.lower >= 0, "lower", "must be finite and 0 or more", rule.lower);
        require(!rule.of_quota || rule.factor > 1, "factor", "must be more than 1 where it multiplies the quota",
                rule.factor);
    }
    for (const Samples& array : given) {
        require(array.rows() == decisions && array.cols() == series, "given",
                fmt::format("must have shape ({}, {})", decisions, series),
                fmt::format("({}, {})", array.rows(), array.cols()));
        for (Index i = 0; i < series; ++i)
            for (Index d = 0; d < decisions; ++d)
                require(!(array(d, i) < 0) && !std::isinf(array(d, i)), "given", "must be finite and 0 or more, or NaN",
                        array(d, i));
    }
}

Aligned<double>& Rows::spare(Index samples) {
    values_.reserve(most_rows * static_cast<std::size_t>((samples + in_block - 1) / in_block * in_block));
    return values_;
}

void Rows::of(const Demand& demand, const std::vector<Group>& groups, const Ahead& ahead) {
    carried_ = &demand;
    ahead_ = ahead;
    if (looks_at(groups, false)) usage_.rank(demand.usage());
    if (looks_at(groups, true)) demand_.rank(demand.demand());
}

void Rows::fill(const Group& group, const Decisions& decisions, const Sight& sight, Index series,
                std::span<double* const> rows) {
    if (group.given >= 0) {
        const Samples& from = sight.given[static_cast<std::size_t>(group.given)];
        for (double* const row : rows)
            for (Index d = 0; d < decisions.count; ++d) row[d] = from(d, series);
    } else if (group.seasonal >= 0) {
        const auto& options = sight.seasonals[static_cast<std::size_t>(group.seasonal)];
        for (double* const row : rows)
            forecast_(carried_->demand(), carried_->peak(), options, ahead_,
                      {row, static_cast<std::size_t>(decisions.count)});
    } else {
        quantiles_(group.of_demand ? demand_ : usage_, group.window, group.quantiles, decisions.first, decisions.every,
                   rows);
    }
}

std::vector<Row> Rows::operator()(const Group& group, const Decisions& decisions, const Sight& sight, Index series) {
    const auto n = group.quantiles.size();
    const auto stride = static_cast<std::size_t>((decisions.count + in_block - 1) / in_block * in_block);
    const auto heads = (stride / static_cast<std::size_t>(in_block) + 7) / 8 * 8;
    values_.resize(std::max(values_.size(), n * stride));
    tops_.resize(std::max(tops_.size(), 2 * n * heads));
    std::vector<double*> to;
    for (std::size_t k = 0; k < n; ++k) to.push_back(values_.data() + k * stride);
    fill(group, decisions, sight, series, to);
    std::vector<Row> out;
    for (std::size_t k = 0; k < n; ++k) {
        double *const top = tops_.data() + 2 * k * heads, *const bottom = top + heads;
        kernels().tops(to[k], decisions.count, top, group.down ? bottom : nullptr);
        out.push_back({{to[k], top, decisions.count}, group.down ? bottom : nullptr});
    }
    return out;
}

void Path::begin(const Row& row, const Decisions& decisions, double quota) {
    row_ = row;
    decisions_ = &decisions;
    quota_ = quota;
    last_.reset();
}

void Path::of(const Rule& rule) {
    const Kernels& kernel = kernels();
    const Track& s = row_.track;
    const Decisions& decisions = *decisions_;
    bool with_last = last_ && kind(*last_) == kind(rule) && last_->bar <= rule.bar;
    const bool again = with_last && last_->bar == rule.bar;
    last_ = rule;
    same_ = again ? pieces_.size() : 0;
    until_ = -1;
    if (again) return;
    double quota = quota_;
    std::size_t count = 0;
    const auto keep = [&](Index found, const Piece& piece) {
        if (with_last && found_[count] == found && pieces_[count].up == piece.up) {
            ++same_;
        } else if (with_last) {
            until_ = pieces_[count].end;
            with_last = false;
        }
        pieces_.resize(std::max(pieces_.size(), count + 1));
        found_.resize(pieces_.size());
        pieces_[count] = piece;
        found_[count++] = found;
    };
    Index d = 0, from = decisions.first + 1;
    if (std::isnan(quota)) {
        while (d < s.size && std::isnan(s.value[d])) ++d;
        if (d < s.size && decisions.at(d) + 1 < decisions.samples) {
            quota = rule.start * s.value[d];
            from = decisions.at(d) + 1;
            ++d;
        }
    }
    const double lower = rule.lower / rule.factor;
    while (!std::isnan(quota)) {
        const double high = rule.bar * quota;
        if (with_last) d = found_[count];
        double wanted = quota;
        for (; d < s.size; ++d) {
            d = rule.asks_down() ? kernel.outside(s, row_.bottom, d, s.size, high, lower * quota)
                                 : kernel.above(s, d, s.size, high);
            if (d == s.size) break;
            wanted = rule.factor * (rule.of_quota ? quota : s.value[d]);
            if (wanted != quota) break;
        }
        if (d >= s.size) {
            keep(s.size, {from, decisions.samples, quota});
            break;
        }
        const Index asked = decisions.at(d), applies = asked + 1 + decisions.lead;
        keep(d, {from, std::min(applies, decisions.samples), quota, asked, s.value[d] > high});
        if (applies >= decisions.samples) break;
        from = applies;
        quota = wanted;
        d += decisions.hop();
    }
    pieces_.resize(count);
    found_.resize(count);
}

}  // namespace surgetank::backtest
