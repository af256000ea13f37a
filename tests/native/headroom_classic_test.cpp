// The classic headroom rule: hand-worked quotas, exact messages, layouts, cancellation.
#include "surgetank/headroom_classic.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "quotas.hpp"
#include "refusal.hpp"

namespace surgetank {
namespace {

// One call with everything at its default; a test changes what it is about.
struct Call {
    Eigen::ArrayXXd usage;
    Clock clock;
    Quotas quotas;
    Eigen::ArrayXd spike_ratio;
    std::vector<ClassicScenario> scenarios = {};
    ClassicOptions options = {};

    explicit Call(const Eigen::ArrayXXd& samples, double quota = 100)
        : usage(samples),
          quotas(plain_quotas(samples.cols(), quota)),
          spike_ratio(Eigen::ArrayXd::Constant(samples.cols(), nan)) {
        clock.step_s = 300;
    }

    ClassicHeadroom operator()(const Poll& poll = no_poll) const {
        return classic_headroom(usage, clock, quotas, spike_ratio, scenarios, options, poll);
    }
};

Call call(const std::vector<double>& x, double quota = 100) {
    return Call(Eigen::Map<const Eigen::ArrayXd>(x.data(), static_cast<Index>(x.size())), quota);
}

// model.md's example: needs 60 free, has 40, is clipped to 50 and called healthy at .20.
TEST(ClassicHeadroom, TheMisleadingExample) {
    const auto h = call({60})();
    const std::vector<std::pair<const Eigen::ArrayXd*, double>> figures{
        {&h.usage, 60},        {&h.base, 12},
        {&h.failover, 60},     {&h.spike, 30},
        {&h.minimum, 12},      {&h.maximum, 50},
        {&h.needed, 60},       {&h.required, 50},
        {&h.available, 40},    {&h.utilization, 1.5},
        {&h.shortfall, 20},    {&h.classic_utilization, 0.2},
        {&h.day_peak, 60},     {&h.day_utilization, 1.5},
        {&h.age_s, 0},         {&h.base_frac, 0.2},
        {&h.failover_frac, 1}, {&h.spike_frac, 0.5}};
    for (std::size_t i = 0; i < figures.size(); ++i)
        EXPECT_DOUBLE_EQ((*figures[i].first)(0), figures[i].second) << "figure " << i;
    EXPECT_EQ(h.status[0], Status::critical);
    EXPECT_EQ(h.unknown[0], Unknown::none);
    EXPECT_EQ(h.term[0], Term::failover_floor);
    EXPECT_EQ(h.scenario[0], -1);
    EXPECT_EQ(h.limit[0], Limit::maximum);
}

TEST(ClassicHeadroom, NoUsageNow) {
    const auto h = call({50, 0})();
    EXPECT_EQ(h.base(0), 0);  // U = 0: 0.20·U, however large the past was
    EXPECT_EQ(h.minimum(0), 10);
    EXPECT_EQ(h.needed(0), 10);
    EXPECT_EQ(h.term[0], Term::minimum);
    EXPECT_DOUBLE_EQ(h.base_frac(0), 0.20);
    EXPECT_DOUBLE_EQ(h.failover_frac(0), 1.00);
    EXPECT_DOUBLE_EQ(h.spike_frac(0), 0.50);
    EXPECT_EQ(h.maximum(0), 0);
    EXPECT_EQ(h.required(0), 0);
    EXPECT_EQ(h.classic_utilization(0), 0);
    EXPECT_EQ(h.status[0], Status::ok);
}

TEST(ClassicHeadroom, AQuotaOfZeroHasNoRoom) {
    const auto h = call({5}, 0)();
    EXPECT_EQ(h.available(0), -5);
    EXPECT_EQ(h.utilization(0), inf);
    EXPECT_EQ(h.shortfall(0), 15);
    EXPECT_EQ(h.required(0), 0);
    EXPECT_EQ(h.classic_utilization(0), 0);
    EXPECT_EQ(h.status[0], Status::critical);
}

struct TermCase {
    std::vector<double> usage;
    double needed;
    Term term;
};

class Terms : public testing::TestWithParam<TermCase> {};

TEST_P(Terms, TheLargestDecides) {
    const auto h = call(GetParam().usage, 1e6)();
    EXPECT_DOUBLE_EQ(h.needed(0), GetParam().needed);
    EXPECT_EQ(h.term[0], GetParam().term);
}

INSTANTIATE_TEST_SUITE_P(
    EachTerm, Terms,
    testing::Values(TermCase{{20, 21}, 168, Term::trend},             // slope 1 a sample
                    TermCase{{100, 20}, 96, Term::peak},              // 1.2·(100 − 20)
                    TermCase{{80, 0, 0, 0, 80, 10}, 84, Term::peak},  //
                    TermCase{{2}, 10, Term::minimum},                 //
                    TermCase{{10}, 10, Term::failover_floor},         // a tie: the term
                    // Symmetric, so without a trend: σ² = 1344, and 2σ is just above 1.2·(90 − 30).
                    TermCase{{30, 90, 10, 90, 10, 10, 90, 10, 90, 30}, 2 * std::sqrt(1344.0), Term::volatility}));

TEST(ClassicHeadroom, ScenariosOfTheRegionAloneCanBeatTheFloor) {
    Eigen::ArrayXXd usage(1, 2);
    usage << 50, 50;
    Call two(usage, 1000);
    two.quotas.region << 0, 1;
    two.scenarios = {{{1}, 2.0, 1.0, "critical"}, {{1}, 3.0, 1.0, "critical"}, {{1}, 3.0, 1.0, "high"}};
    const auto h = two();
    EXPECT_EQ(h.failover(0), 50);
    EXPECT_EQ(h.term[0], Term::failover_floor);
    EXPECT_EQ(h.failover(1), 100);
    EXPECT_EQ(h.failover_frac(1), 2);
    EXPECT_EQ(h.term[1], Term::scenario);
    EXPECT_EQ(h.scenario[1], 1);
}

TEST(ImpactWeight, KnownWordsAndAnyOther) {
    EXPECT_EQ(impact_weight("critical"), 1.0);
    EXPECT_EQ(impact_weight("high"), 0.8);
    EXPECT_EQ(impact_weight("medium"), 0.6);
    EXPECT_EQ(impact_weight("low"), 0.4);
    EXPECT_EQ(impact_weight("Critical"), 0.6);
    EXPECT_EQ(impact_weight(""), 0.6);
}

TEST(ClassicHeadroom, PastSpikesReplaceTheDefault) {
    auto some = call({60}, 1000);
    some.spike_ratio << 4;
    EXPECT_EQ(some().spike(0), 180);
    EXPECT_EQ(some().term[0], Term::spikes);
}

TEST(ClassicHeadroom, TrendPerHourCountsTheStep) {
    auto growing = call({20, 21, 22}, 1e6);
    EXPECT_DOUBLE_EQ(growing().base(0), 168);
    growing.options.trend_per_hour = true;
    EXPECT_DOUBLE_EQ(growing().base(0), 168 * 12);
    growing.clock.step_s = 3600;
    EXPECT_DOUBLE_EQ(growing().base(0), 168);
}

TEST(ClassicHeadroom, CostCapAndClip) {
    auto dear = call({60});
    dear.quotas.cost_per_unit << 2;
    dear.options.cost_cap = 40;  // 2·(60 + 60 − 100) = 40: not above the cap
    EXPECT_EQ(dear().limit[0], Limit::maximum);
    dear.options.cost_cap = 39;
    EXPECT_EQ(dear().required(0), 19.5);
    EXPECT_EQ(dear().limit[0], Limit::cost_cap);
    EXPECT_EQ(dear().needed(0), 60);
    EXPECT_EQ(dear().shortfall(0), 20);
}

TEST(ClassicHeadroom, WhatCannotBeRaisedCannotBeRequired) {
    auto fixed = call({60});
    fixed.quotas.adjustable << false;
    EXPECT_EQ(fixed().required(0), 40);
    EXPECT_EQ(fixed().limit[0], Limit::not_adjustable);
    EXPECT_DOUBLE_EQ(fixed().classic_utilization(0), 0.2);  // the classic figure does not know about it
    fixed.quotas.quota << 50;
    EXPECT_EQ(fixed().required(0), 0);
}

struct Judged {
    double quota;
    Status status;
};

class Judgement : public testing::TestWithParam<Judged> {};

// Usage 14 needs 14; free are quota − 14. Both thresholds are inclusive.
TEST_P(Judgement, ThresholdsAreInclusive) {
    auto exact = call({14}, GetParam().quota);
    exact.quotas.warning_frac << 0.5;
    exact.quotas.critical_frac << 0.875;
    EXPECT_EQ(exact().status[0], GetParam().status);
}

INSTANTIATE_TEST_SUITE_P(Boundaries, Judgement,
                         testing::Values(Judged{42.001, Status::ok}, Judged{42, Status::warning},
                                         Judged{30.001, Status::warning}, Judged{30, Status::critical},
                                         Judged{27, Status::critical}));

TEST(ClassicHeadroom, StatusIsJudgedByTheDaysPeak) {
    std::vector<double> day(289, 20.0);  // 24 h ago, and everything since
    day[0] = 24;                         // exactly 24 h old: outside the half-open day
    EXPECT_EQ(call(day, 50)().day_peak(0), 20);
    day[1] = 24;
    const auto h = call(day, 50)();
    EXPECT_EQ(h.day_peak(0), 24);
    EXPECT_DOUBLE_EQ(h.utilization(0), 20 / 30.0);
    EXPECT_DOUBLE_EQ(h.day_utilization(0), 20 / 26.0);
    EXPECT_EQ(h.status[0], Status::warning);
}

TEST(ClassicHeadroom, StaleBeyondTwelveStepsOrAnHour) {
    std::vector<double> x(14, nan);
    x[1] = 60;  // twelve steps old: exactly the hour
    EXPECT_EQ(call(x)().unknown[0], Unknown::none);
    auto later = call(x);
    later.clock.age_s = 1;
    const auto h = later();
    EXPECT_EQ(h.status[0], Status::unknown);
    EXPECT_EQ(h.unknown[0], Unknown::stale);
    EXPECT_EQ(h.usage(0), 60);
    EXPECT_EQ(h.age_s(0), 3601);
    EXPECT_TRUE(std::isnan(h.needed(0)));
    later.clock.stale_after_s = 3601;
    EXPECT_EQ(later().unknown[0], Unknown::none);
    auto slow = call({60, nan});
    slow.clock.step_s = 7200;  // twelve steps are longer than an hour
    EXPECT_EQ(slow().unknown[0], Unknown::none);
    slow.clock.stale_after_s = 0;
    EXPECT_EQ(slow().unknown[0], Unknown::stale);
}

TEST(ClassicHeadroom, UnknownIsNotZero) {
    Eigen::ArrayXXd usage(2, 2);
    usage << nan, 60, nan, 60;
    Call two(usage);
    two.quotas.quota << 100, nan;
    const auto h = two();
    EXPECT_EQ(h.unknown[0], Unknown::no_usage);
    EXPECT_TRUE(std::isnan(h.usage(0)));
    EXPECT_TRUE(std::isnan(h.shortfall(0)));
    EXPECT_EQ(h.unknown[1], Unknown::no_quota);
    EXPECT_EQ(h.status[1], Status::unknown);
    EXPECT_EQ(h.needed(1), 60);
    EXPECT_TRUE(std::isnan(h.available(1)));
}

struct Broken {
    std::function<void(Call&)> change;
    std::string message;
};

class Refusals : public testing::TestWithParam<Broken> {};

TEST_P(Refusals, GiveTheWholeMessage) {
    auto broken = call({60});
    GetParam().change(broken);
    EXPECT_EQ(refusal([&] { broken(); }), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Refusals,
    testing::Values(
        Broken{[](Call& c) { c.usage(0) = -1; },
               "usage: must be finite and 0 or more, or NaN where not observed (got -1)"},
        Broken{[](Call& c) { c.usage(0) = inf; },
               "usage: must be finite and 0 or more, or NaN where not observed (got inf)"},
        Broken{[](Call& c) { c.usage.resize(0, 1); }, "usage: must hold at least one sample (got shape (0, 1))"},
        Broken{[](Call& c) { c.clock.step_s = 0; }, "step_s: must be a positive number of seconds (got 0)"},
        Broken{[](Call& c) { c.spike_ratio.resize(2); }, "spike_ratio: must have one value per series, 1 (got 2)"},
        Broken{[](Call& c) { c.options.cost_cap = nan; }, "cost_cap: must be 0 or more (got nan)"},
        Broken{[](Call& c) { c.options.history_s = 0; }, "history_s: must be a positive number of seconds (got 0)"},
        Broken{[](Call& c) { c.options.history_s = inf; }, "history_s: must be a positive number of seconds (got inf)"},
        Broken{[](Call& c) { c.scenarios = {{{7}, 3, 1, "critical"}}; }, "targets: must be Regions below 1 (got 7)"},
        Broken{[](Call& c) { c.scenarios = {{{-1}, 3, 1, "critical"}}; }, "targets: must be Regions below 1 (got -1)"},
        Broken{[](Call& c) { c.scenarios = {{{0}, 2, 1.5, "low"}}; }, "probability: must lie in [0, 1] (got 1.5)"},
        Broken{[](Call& c) { c.scenarios = {{{0}, -2, 1, "low"}}; },
               "target_multiplier: must be finite and 0 or more (got -2)"}));

// headroom.hpp promises it: a load that lands nowhere would be missing from the plan without a word.
TEST(ClassicHeadroom, RefusesARegionThatNoQuotaIsIn) {
    auto astray = call({60});
    astray.scenarios = {{{7}, 3, 1, "critical"}};
    EXPECT_THROW(astray(), InvalidInput);
}

TEST(ClassicHeadroom, WhatDoubleCannotHoldIsAFailure) {
    auto vast = call({1e300}, 1e300);
    vast.scenarios = {{{0}, 1e10, 1, "critical"}};
    EXPECT_THROW(vast(), NumericalFailure);
}

TEST(ClassicHeadroom, EveryLayoutGivesTheSameBits) {
    const Eigen::ArrayXXd x = 50 + 20 * Eigen::ArrayXXd::Random(300, 19);
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = x;
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> row_major(rows.data(), 300, 19, Strides(1, 19));
    const Call columns(x);
    const auto a = columns(),
               b = classic_headroom(row_major, columns.clock, columns.quotas, columns.spike_ratio, {}, {});
    for (const auto& [left, right] : {std::pair{&a.needed, &b.needed}, {&a.base, &b.base}, {&a.day_peak, &b.day_peak}})
        EXPECT_EQ(std::memcmp(left->data(), right->data(), 19 * sizeof(double)), 0);
    EXPECT_EQ(a.status, b.status);
}

struct Stop {};

TEST(ClassicHeadroom, PollMayAbandonTheCall) {
    const Call many(Eigen::ArrayXXd::Constant(3, 40, 1.0));
    int polls = 0;
    EXPECT_THROW(many([&] {
                     if (++polls == 3) throw Stop{};
                 }),
                 Stop);
    EXPECT_EQ(polls, 3);
}

}  // namespace
}  // namespace surgetank
