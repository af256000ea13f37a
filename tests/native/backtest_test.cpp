#include "surgetank/backtest.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "backtest_case.hpp"
#include "refusal.hpp"

namespace surgetank::backtest {
namespace {

// Trailing peak of two samples, 1.5 of it asked for, a sample until it applies.
Case small() {
    Case c(column({10, 20, 30, 25, 40, 10, 10, 50}));
    c.calendar.lead = 1;
    c.calendar.cvar_frac = 0.25;
    c.statistics = {{.window = 2}};
    c.rules = {{.factor = 1.5, .start = 2}};
    return c;
}

TEST(Backtest, HandWorked) {
    auto c = small();
    // 20 to begin with. 30 at 2: 45 from 4 on. 50 at 7: asked for, too late to apply.
    EXPECT_EQ(sums_of(c()), (std::vector<double>{20, 75, 20, 75, 10, 15, 240, 45}));
    EXPECT_EQ(counts_of(c()), (std::vector<std::int32_t>{7, 3, 7, 3, 2, 2, 0}));
    c.calendar.offset_s = 6 * 3600;  // 3 is the first of the next day
    EXPECT_EQ(c().failed_days(0), 3);
    for (const auto& [frac, tail] : {std::pair{0.0, 0.0}, {0.01, 10.0}, {2.0 / 7, 15.0}, {0.3, 20.0}, {1.0, 20.0}}) {
        c.calendar.cvar_frac = frac;
        EXPECT_EQ(c().tail_sum(0), tail) << frac;
    }
}

TEST(Backtest, HandWorkedInBlocks) {
    const auto b = small().blocks(3);
    EXPECT_EQ(b.count, 3);
    const auto row = [&](const auto& x) { return std::vector<double>(x.data(), x.data() + x.size()); };
    EXPECT_EQ(row(b.samples), (std::vector<double>{3, 3, 1}));
    EXPECT_EQ(row(b.moments), row(b.samples));
    EXPECT_EQ(row(b.fails), (std::vector<double>{2, 0, 1}));
    EXPECT_EQ(row(b.requests), (std::vector<double>{1, 0, 1}));
    EXPECT_EQ(row(b.idle_sum), (std::vector<double>{0, 75, 0}));
    EXPECT_EQ(row(b.short_sum), (std::vector<double>{15, 0, 5}));
    EXPECT_EQ(row(b.own_short_sum), row(b.short_sum));
    EXPECT_EQ(small().blocks(100).count, 1);
}

/// Where the quota of the only rule changes, by what a judge of single samples sees: quota_sum in blocks of one.
std::vector<double> path(const Case& c) {
    const auto b = c.blocks(1);
    std::vector<double> out;
    for (Index t = c.calendar.first; t < c.usage.rows(); ++t) {
        const Index k = t - c.calendar.first;
        out.push_back(b.samples(k) == 0 ? nan : b.idle_sum(k) - b.own_short_sum(k) + c.usage(t, 0));
    }
    return out;
}

TEST(Backtest, AsksUpAndDownAndCountsReversals) {
    Case c(column({10, 10, 30, 4, 4, 30, 0, 0, 5, 5}));
    c.rules = {{.factor = 2, .lower = 1, .start = 2}};
    EXPECT_EQ(path(c), (std::vector<double>{20, 20, 60, 8, 8, 60, 0, 0, 10}));
    EXPECT_EQ(c().requests(0), 5);
    EXPECT_EQ(c().reversals(0), 4);
    c.rules[0].lower = 0;
    EXPECT_EQ(path(c), (std::vector<double>{20, 20, 60, 60, 60, 60, 60, 60, 60}));
    EXPECT_EQ(c().reversals(0), 0);
    c.rules = {{.bar = 0.75, .factor = 1.5, .lower = 1, .start = 2, .of_quota = true}};  // which never asks down
    EXPECT_EQ(path(c), (std::vector<double>{20, 20, 30, 30, 30, 45, 45, 45, 45}));
}

TEST(Backtest, WhatThereIsIsNotAskedFor) {
    Case c(column({8, 8, 0, 8, 9, 9}));
    c.rules = {{.bar = 0.5}};
    EXPECT_EQ(path(c), (std::vector<double>{8, 8, 8, 8, 9}));
    EXPECT_EQ(c().requests(0), 1);
    Case none(column({0, 5, 6}));
    none.rules = {{.factor = 2, .of_quota = true}};  // twice nothing
    EXPECT_EQ(path(none), (std::vector<double>{0, 0}));
    EXPECT_EQ(none().requests(0), 0);
}

TEST(Backtest, CadenceAndLead) {
    Case c(column({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
    c.calendar.every = 3;  // decisions at 0, 3, 6, 9
    EXPECT_EQ(path(c), (std::vector<double>{1, 1, 1, 4, 4, 4, 7, 7, 7, 10, 10}));
    c.calendar.lead = 2;  // what is asked for at 3 applies from 6 on, at whose end the next decision is made
    EXPECT_EQ(path(c), (std::vector<double>{1, 1, 1, 1, 1, 4, 4, 4, 7, 7, 7}));
    c.calendar.lead = 3;  // from 7 on: the decision at 6 is not made
    EXPECT_EQ(path(c), (std::vector<double>{1, 1, 1, 1, 1, 1, 4, 4, 4, 4, 4}));
    EXPECT_EQ(c().requests(0), 2);
    c.calendar.first = 6, c.calendar.lead = 0;  // decisions at 5, 8, 11; the last can only ask
    EXPECT_EQ(path(c), (std::vector<double>{6, 6, 6, 9, 9, 9}));
    EXPECT_EQ(c().requests(0), 2);
    c.calendar.lead = (Index{1} << 40) - 1;
    EXPECT_EQ(path(c), (std::vector<double>(6, 6)));
    EXPECT_EQ(c().requests(0), 1);
}

TEST(Backtest, StartsWhenSomethingIsKnownOrWithWhatThereIs) {
    Case c(column({nan, nan, nan, 4, nan, 6}));
    c.calendar.every = 2;  // decisions at 0, 2, 4
    c.statistics = {{.window = 2}};
    c.rules = {{.start = 2}};
    EXPECT_EQ(c().samples(0), 1);  // from 5 on, with 2 × 4
    EXPECT_EQ(c().last_quota(0), 8);
    c.calendar.every = 1;
    EXPECT_EQ(c().samples(0), 1);
    c.statistics[0].window = 1;
    EXPECT_EQ(c().quota_sum(0), 8);
    c.quotas.quota(0) = 3;  // from 1 on; decides at 3, for 4
    EXPECT_EQ(sums_of(c()), (std::vector<double>{1 + 2, 0, 3, 0, 2, 2, 7, 4}));
    EXPECT_EQ(counts_of(c()), (std::vector<std::int32_t>{2, 2, 2, 2, 2, 2, 0}));
    c.quotas.quota(0) = nan;
    c.usage.setConstant(nan);
    EXPECT_EQ(counts_of(c()), std::vector<std::int32_t>(7, 0));
    EXPECT_EQ(c().quota_sum(0), 0);
    EXPECT_TRUE(std::isnan(c().last_quota(0)));
    Case late(column({nan, 5}));  // known when nothing is left to judge
    EXPECT_TRUE(std::isnan(late().last_quota(0)));
}

TEST(Backtest, LooksAtWhatIsGiven) {
    Case c(column({9, 5, 5, 5, 5}));
    c.statistics = {{.given = 1}};
    c.given = {Array::Zero(5, 1), column({nan, 4, nan, 6, 100})};
    EXPECT_EQ(c().quota_sum(0), 4 + 4 + 6);
    EXPECT_EQ(c().requests(0), 2);
    EXPECT_EQ(c().samples(0), 3);
}

// Two Regions; what 0 carries lands on 1.
Case pair(const std::vector<double>& from, const std::vector<double>& to, Index length = 2, double weight = 1) {
    Case c((Array(static_cast<Index>(to.size()), 2) << column(from), column(to)).finished());
    c.events = {{static_cast<double>(length) * 6 * 3600, {0}, {{0, 1, weight}}}};
    return c;
}

void expect_column(const Array& found, Index i, const std::vector<double>& wanted) {
    for (Index t = 0; t < found.rows(); ++t) {
        const double x = wanted[static_cast<std::size_t>(t)];
        if (std::isnan(x)) EXPECT_TRUE(std::isnan(found(t, i))) << t;
        else EXPECT_EQ(found(t, i), x) << t;
    }
}

TEST(BacktestDemand, HandWorked) {
    auto c = pair({10, 50, 10, nan, 10}, {20, 20, 20, 20, 20});
    expect_column(c.carries().demand, 1, {30, 70, 30, nan, 30});
    expect_column(c.carries().peak, 1, {70, 70, 30, 30, nan});  // half of a window is enough
    expect_column(c.carries().peak, 0, {10, 50, 10, nan, 10});  // nothing reaches it
    c.events[0].duration_s *= 1.5;
    expect_column(c.carries().peak, 1, {70, 70, 30, nan, nan});
    c.events[0].duration_s *= 2;
    expect_column(c.carries().peak, 1, {nan, nan, nan, nan, nan});  // longer than the history
    expect_column(c.carries().demand, 1, {30, 70, 30, nan, 30});
    c.events = {{1, {}, {{1, 1, 0.5}, {0, 1, 2}}}, {1, {}, {{1, 1, -1}}}, {12 * 3600, {}, {{1, 1, 1}}}};
    expect_column(c.carries().peak, 1, {50, 130, 50, nan, nan});
    c.usage(2, 1) = nan;
    expect_column(c.carries().demand, 1, {50, 130, nan, nan, 50});
    expect_column(c.carries().peak, 1, {50, 130, nan, nan, nan});
    c.quotas.group(0) = 1;  // a Region without the quota sends nothing
    c.events = {{1, {}, {{0, 1, 2}}}};
    expect_column(c.carries().peak, 1, {20, 20, nan, 20, 20});
}

TEST(BacktestDemand, JudgesFailoversByWhatTheyNeed) {
    auto c = pair({10, 50, 10, 10, 10}, {20, 20, 20, 20, 20});
    c.quotas.quota << 60, 40;
    c.rules = {{.bar = 100}};
    c.calendar.cvar_frac = 0.5;
    // Peaks from 1 on: 70, 30, 30; the last is not known.
    EXPECT_EQ(sums_of(c(), 0, 1), (std::vector<double>{0, 80, 30, 20, 30, 30, 160, 40}));
    EXPECT_EQ(counts_of(c(), 0, 1), (std::vector<std::int32_t>{4, 0, 3, 1, 1, 0, 0}));
    const auto b = c.blocks(2);
    EXPECT_EQ(b.moments(0, 2), 2);
    EXPECT_EQ(b.moments(0, 3), 1);
    EXPECT_EQ(b.fails(0, 2), 1);
    EXPECT_EQ(b.short_sum(0, 2), 30);
    c.calendar.moments = {0, 2, 4};
    EXPECT_EQ(c().moments(0, 1), 1);
    EXPECT_EQ(c().fails(0, 1), 0);
    EXPECT_EQ(c().moments(0, 0), 2);
    EXPECT_EQ(c().samples(0, 0), 4);
    c.quotas.quota.setConstant(nan);
    c.statistics = {{.of_demand = true}};  // 30, 70, 30 …
    c.rules = {{}};
    EXPECT_EQ(c().quota_sum(0, 1), 30 + 3 * 70);
}

TEST(BacktestDemand, RefusesWhatLandsAsItDoesTheSourceItself) {
    for (const double odd : {inf, -1.0})
        for (const bool first : {true, false}) {
            auto c = pair({1, odd, 1}, {1, 1, 1}, 1);
            if (first) {
                c.usage.col(0).swap(c.usage.col(1));
                c.events[0].failed = {1};
                c.events[0].flows = {{1, 0, 1}};
            }
            EXPECT_EQ(refusal([&] { c.carries(); }),
                      fmt::format("usage: must be finite and 0 or more, or NaN where not observed (got {})", odd));
        }
}

// Seven groups of three Regions, gaps, every kind of statistic and rule.
Case many() {
    std::mt19937_64 random(4);
    std::exponential_distribution<double> noise;
    Case c(Array::Zero(900, 21));
    for (Index i = 0; i < c.usage.cols(); ++i) {
        c.quotas.region(i) = i % 3, c.quotas.group(i) = i / 3;
        for (Index t = 0; t < c.usage.rows(); ++t)
            c.usage(t, i) = random() % 50 == 0 ? nan : 50 + 20 * std::sin(1.5 * static_cast<double>(t)) + noise(random);
    }
    c.quotas.quota(4) = 60;
    c.events = {{day_s, {0}, {{0, 1, 0.5}, {0, 2, 0.5}}}, {1, {}, {{1, 1, 0.2}}}, {9 * 3600, {2}, {{2, 0, 1}}}};
    c.calendar.first = 31, c.calendar.every = 2, c.calendar.lead = 5;
    c.statistics.clear();
    for (const bool of_demand : {false, true})
        for (const Index window : {4, 200})
            for (const double q : {0.1, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0}) c.statistics.push_back({of_demand, window, q});
    c.rules.clear();
    for (Index s = 0; s < static_cast<Index>(c.statistics.size()); ++s) {
        c.rules.push_back({.statistic = s, .bar = 0.9, .factor = 1.2, .lower = 0.8});
        c.rules.push_back({.statistic = s, .bar = 0.9, .factor = 1.2, .of_quota = true});
    }
    return c;
}

TEST(Backtest, AnyNumberOfThreadsAndLayoutGivesTheSameBits) {
    const Case c = many();
    const auto one = c();
    const auto blocks = c.blocks(100);
    const auto seen = statistics_of(c.world(), c.calendar, c.sight(), 1);
    EXPECT_GT(one.requests.minCoeff(), -1);
    EXPECT_GT(one.reversals.maxCoeff(), 3);
    for (const Index threads : {2, 3, 16, 0}) {
        expect_same(c(threads), one, sums);
        expect_same(c(threads), one, counts);
        expect_same(c.blocks(100, threads), blocks, block_sums);
        expect_same(c.blocks(100, threads), blocks, block_counts);
        const auto also = statistics_of(c.world(), c.calendar, c.sight(), threads);
        for (std::size_t s = 0; s < seen.size(); ++s) EXPECT_TRUE(same(also[s], seen[s]));
        EXPECT_TRUE(same(c.carries(threads).peak, c.carries().peak));
        EXPECT_TRUE(same(c.carries(threads).demand, c.carries().demand));
    }
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = c.usage;
    const Eigen::Map<const Array, 0, Strides> turned(rows.data(), rows.rows(), rows.cols(), Strides(1, rows.cols()));
    expect_same(replay({turned, c.quotas, c.events}, c.calendar, c.sight(), c.rules, 2), one, sums);
}

TEST(Backtest, PollMayAbandonTheCall) {
    struct Stop {};
    const Case c = many();
    for (const Index threads : {1, 3, 16}) {
        int polls = 0;
        const int last = threads == 1 ? 3 : 1;  // the caller may get no second series
        const Poll stop = [&] {
            if (++polls == last) throw Stop();
        };
        EXPECT_THROW(c(threads, stop), Stop);
        EXPECT_EQ(polls, last);
    }
    Case one = small();  // within a series as well, when there are many rules
    one.rules.resize(10'000, one.rules[0]);
    int polls = 0;
    one(1, [&] { ++polls; });
    EXPECT_GE(polls, 3);
    EXPECT_NO_THROW(one(1, Poll{}));
}

std::string failure(const std::function<void()>& call) {
    try {
        call();
    } catch (const NumericalFailure& error) {
        return error.what();
    }
    return "(nothing was thrown)";
}

TEST(Backtest, SumsThatExceedDoubleAreNoResult) {
    Case c(column({5e307, 1e308, 1e308, 0, 1e308}));
    c.rules = {{.bar = 100}};
    EXPECT_EQ(failure([&] { c(); }), "usage: sums over series 0 exceed double");
    EXPECT_EQ(failure([&] { c.blocks(4); }), "usage: sums over series 0 exceed double");  // an idle_sum of 0 otherwise
    auto two = pair({1e308, 1}, {1, 1e308}, 1, 10);
    EXPECT_EQ(failure([&] { two.carries(); }), "usage: demand of series 1 exceeds double in an event");
    two.events[0].duration_s *= 9;  // longer than the history: no peak is known
    EXPECT_EQ(failure([&] { two.carries(); }), "usage: demand of series 1 exceeds double in an event");
}

}  // namespace
}  // namespace surgetank::backtest
