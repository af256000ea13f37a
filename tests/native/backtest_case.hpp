// What the native tests of backtests share: one call with everything at its default, and results compared.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "lanes_data.hpp"
#include "quotas.hpp"
#include "surgetank/backtest.hpp"

namespace surgetank::backtest {

using Array = Eigen::ArrayXXd;

/// One call: four samples a day, the quota in as many Regions as there are columns; a test changes what it is about.
struct Case {
    Array usage;
    Quotas quotas;
    std::vector<Event> events = {};
    Calendar calendar = {.step_s = 6 * 3600};
    std::vector<Statistic> statistics = {{}};
    std::vector<Rule> rules = {{}};
    std::vector<Array> given = {};

    explicit Case(Array u) : usage(std::move(u)), quotas(plain_quotas(usage.cols(), nan)) {
        for (Index i = 0; i < usage.cols(); ++i) quotas.region(i) = i;
    }
    World world() const { return {usage, quotas, events}; }
    Sight sight() const { return {statistics, {}, {given.begin(), given.end()}}; }
    Result operator()(Index threads = 1, const Poll& poll = no_poll) const {
        return replay(world(), calendar, sight(), rules, threads, poll);
    }
    Blocks blocks(Index block, Index threads = 1) const {
        return replay_blocks(world(), calendar, sight(), rules, block, threads);
    }
    Carried carries(Index threads = 1) const { return carried(world(), calendar, threads); }
};

inline Array column(const std::vector<double>& x) {
    return Eigen::Map<const Eigen::ArrayXd>(x.data(), static_cast<Index>(x.size()));
}

inline constexpr auto sums = {&Result::own_short_sum, &Result::idle_sum, &Result::short_sum, &Result::spare_sum,
                              &Result::max_short,     &Result::tail_sum, &Result::quota_sum, &Result::last_quota};
inline constexpr auto counts = {&Result::samples,     &Result::own_short, &Result::moments,  &Result::fails,
                                &Result::failed_days, &Result::requests,  &Result::reversals};
inline constexpr auto block_sums = {&Blocks::idle_sum, &Blocks::short_sum, &Blocks::own_short_sum};
inline constexpr auto block_counts = {&Blocks::samples, &Blocks::moments, &Blocks::fails, &Blocks::requests};

/// The figures of rule p and series i, in the order of `sums` and of `counts`.
inline std::vector<double> sums_of(const Result& r, Index p = 0, Index i = 0) {
    std::vector<double> out;
    for (const auto member : sums) out.push_back((r.*member)(p, i));
    return out;
}
inline std::vector<std::int32_t> counts_of(const Result& r, Index p = 0, Index i = 0) {
    std::vector<std::int32_t> out;
    for (const auto member : counts) out.push_back((r.*member)(p, i));
    return out;
}

inline bool same(const Array& a, const Array& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() &&
           same_bits(a.data(), b.data(), static_cast<std::size_t>(a.size()));
}
template <class Figures, class Members>
void expect_same(const Figures& a, const Figures& b, const Members& members) {
    for (const auto member : members)
        EXPECT_TRUE(same((a.*member).template cast<double>(), (b.*member).template cast<double>()));
}

}  // namespace surgetank::backtest
