// The quantile headroom rule, one quota at a time: what each Region must carry, growth, limits, refusals.
#include "surgetank/headroom_quantile.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "quantile_call.hpp"
#include "refusal.hpp"

namespace surgetank {
namespace {

// Each Region looks 60 % used; each must carry the other.
TEST(QuantileHeadroom, TheParityTrap) {
    auto pair = constant({600, 600});
    pair.events = {fails(0, 1), fails(1, 0)};
    pair.options.growth = nan;
    const auto h = pair();
    for (const Index i : {0, 1}) {
        EXPECT_EQ(h.usage(i), 600);
        EXPECT_EQ(h.base(i), 600);
        EXPECT_EQ(h.failover(i), 1200);
        EXPECT_TRUE(std::isnan(h.spike(i)));
        EXPECT_EQ(h.need(i), 1200);
        EXPECT_EQ(h.growth(i), 1);
        EXPECT_EQ(h.needed(i), 600);
        EXPECT_EQ(h.needed_low(i), 600);
        EXPECT_EQ(h.needed_high(i), 600);
        EXPECT_EQ(h.required(i), 600);
        EXPECT_EQ(h.available(i), 400);
        EXPECT_EQ(h.utilization(i), 1.5);
        EXPECT_EQ(h.day_utilization(i), 1.5);
        EXPECT_EQ(h.shortfall(i), 200);
        EXPECT_EQ(h.probability_enough(i), 0);
        EXPECT_EQ(h.ask_in_s(i), -inf);
        EXPECT_EQ(h.event[static_cast<std::size_t>(i)], 2 - i);
        EXPECT_EQ(h.status[static_cast<std::size_t>(i)], Status::critical);
        EXPECT_EQ(h.unknown[static_cast<std::size_t>(i)], Unknown::none);
        EXPECT_EQ(h.limit[static_cast<std::size_t>(i)], Limit::none);
    }
}

// Peaks that do not coincide are not added up: 150 + 150 would be 300.
TEST(QuantileHeadroom, AntiphaseAddsUpToAConstant) {
    Eigen::ArrayXXd usage(30 * 24, 2);
    for (Index t = 0; t < usage.rows(); ++t) {
        const double wave = 50 * std::sin(2 * std::numbers::pi * static_cast<double>(t) / 24);
        usage.row(t) << 100 + wave, 100 - wave;
    }
    Call antiphase(usage);
    antiphase.events = {fails(0, 1)};
    antiphase.options.growth = nan;
    const auto h = antiphase();
    EXPECT_NEAR(h.usage(1) + h.needed(1), 200, 0.15 * 200);
    EXPECT_NEAR(h.usage(0) + h.needed(0), 150, 0.15 * 150);
}

TEST(QuantileHeadroom, FlowsOfOneEventAreSummedAndEventsAreAlternatives) {
    auto three = constant({100, 200, 300});
    three.events = {{day_s, {0, 1}, {{0, 2, 0.5}, {1, 2, 0.25}}}, fails(0, 2), fails(1, 2, 0.6)};
    const auto h = three();
    EXPECT_EQ(at(h, 2, 0).need, 300);
    EXPECT_EQ(at(h, 2, 1).need, 400);
    EXPECT_EQ(at(h, 2, 2).need, 400);
    EXPECT_EQ(at(h, 2, 3).need, 420);
    EXPECT_EQ(h.needed(2), 120);
    EXPECT_EQ(h.event[2], 3);
    auto tie = three;
    tie.events.pop_back();
    EXPECT_EQ(tie().event[2], 1);  // the first of equals
}

// N−2 of four Regions: any two fail, their load in equal shares over the other two.
TEST(QuantileHeadroom, TwoRegionsFailAtOnce) {
    auto four = constant({100, 200, 300, 400});
    for (Index a = 0; a < 4; ++a)
        for (Index b = a + 1; b < 4; ++b) {
            Event event{day_s, {a, b}, {}};
            for (Index to = 0; to < 4; ++to)
                if (to != a && to != b) event.flows.insert(event.flows.end(), {{a, to, 0.5}, {b, to, 0.5}});
            four.events.push_back(event);
        }
    const auto h = four();
    const std::vector<double> needed{350, 350, 300, 250};  // half of the two largest others
    for (Index i = 0; i < 4; ++i) EXPECT_EQ(h.needed(i), needed[static_cast<std::size_t>(i)]);
    EXPECT_EQ(h.event[0], 6);  // 2 and 3 fail
}

TEST(QuantileHeadroom, ASurgeInPlaceIsASpike) {
    auto one = constant({100});
    one.events = {{day_s, {}, {{0, 0, 2}}}};
    EXPECT_EQ(one().needed(0), 200);
    EXPECT_EQ(one().spike(0), 300);
    EXPECT_TRUE(std::isnan(one().failover(0)));
    one.events = {{day_s, {}, {{0, 0, -1}}}};  // its load goes away
    EXPECT_EQ(one().spike(0), 0);
    EXPECT_EQ(one().needed(0), 0);
    EXPECT_EQ(one().event[0], 0);
    auto both = constant({100, 100});  // a surge at home while another's load lands: a failover
    both.events = {{day_s, {0}, {{0, 1, 1}, {1, 1, 0.5}}}};
    EXPECT_EQ(both().failover(1), 250);
    EXPECT_TRUE(std::isnan(both().spike(1)));
}

TEST(QuantileHeadroom, AFailedRegionNeedsNothingFromTheEvent) {
    auto pair = constant({600, 600});
    pair.events = {fails(0, 1)};
    const auto h = pair();
    EXPECT_TRUE(std::isnan(at(h, 0, 1).need));
    EXPECT_TRUE(std::isnan(at(h, 0, 1).samples));
    EXPECT_EQ(h.needed(0), 0);
    EXPECT_EQ(h.event[0], 0);
    EXPECT_EQ(h.status[0], Status::ok);
}

TEST(QuantileHeadroom, LoadDoesNotLandOnAnotherGroup) {
    auto pair = constant({600, 600});
    pair.quotas.group << 0, 1;
    pair.events = {fails(0, 1)};
    EXPECT_EQ(pair().needed(1), 0);
    EXPECT_TRUE(std::isnan(at(pair(), 1, 1).need));
    pair.quotas.region << 0, 0;  // the same Region in two groups
    pair.events = {};
    EXPECT_EQ(pair().needed(1), 0);
}

TEST(QuantileHeadroom, RiskWhileNothingFailsIsItsOwn) {
    Call ramp(Eigen::ArrayXd::LinSpaced(101, 0, 100));
    ramp.options.fitted = false;
    ramp.options.normal_duration_s = 3600;
    ramp.options.risk = 0.01;
    ramp.events = {{3600, {}, {{0, 0, 0}}}};
    EXPECT_EQ(at(ramp(), 0, 0).need, 99);
    ramp.options.risk_normal = 0.5;
    EXPECT_EQ(at(ramp(), 0, 0).need, 50);
    EXPECT_EQ(at(ramp(), 0, 1).need, 99);
    ramp.options.history_s = 11 * 3600;  // 90 … 100: 5 of 11 lie above 95
    EXPECT_EQ(at(ramp(), 0, 0).need, 95);
    EXPECT_EQ(at(ramp(), 0, 0).samples, 11);
}

// Usage 100, growth half in the 4 days until an increase applies: 200 is reached in 8 days, 5 days before it is asked.
TEST(QuantileHeadroom, FixedGrowthAndWhenToAsk) {
    auto growing = constant({100}, 200);
    growing.options.growth = 1.5;
    EXPECT_EQ(growing().need(0), 150);
    EXPECT_EQ(growing().growth(0), 1.5);
    EXPECT_NEAR(growing().ask_in_s(0), 3 * day_s, 1e-6);
    growing.quotas.quota << 120;
    EXPECT_NEAR(growing().ask_in_s(0), -3.4 * day_s, 1e-6);
    growing.quotas.quota << 90;
    EXPECT_EQ(growing().ask_in_s(0), -inf);
    growing.quotas.quota << 100;
    growing.options.growth = 1;
    EXPECT_EQ(growing().ask_in_s(0), inf);
}

Call daily(double first, double more, Index days) {
    Eigen::ArrayXXd usage(days * 24, 1);
    for (Index t = 0; t < usage.rows(); ++t) usage(t) = first + more * static_cast<double>(t / 24);
    Call call(usage);
    call.options.growth = nan;
    return call;
}

TEST(QuantileHeadroom, EstimatedGrowthIsTheSlopeOfTheDailyMaxima) {
    auto rising = daily(100, 10, 10);  // 100 … 190, median 145
    const auto h = rising();
    const EventNeed& need = at(h, 0, 0);
    EXPECT_EQ(need.days, 10);
    EXPECT_DOUBLE_EQ(need.slope_per_day, 10);
    EXPECT_DOUBLE_EQ(need.growth, 1 + 4 * 10 / 145.0);
    EXPECT_DOUBLE_EQ(need.need, need.level * need.growth);
    EXPECT_NEAR(h.ask_in_s(0), (1000 / need.level - 1) * 14.5 * day_s - 5 * day_s, 1e-3);
    rising.usage.middleRows(24, 19) = nan;  // 5 of 24 hours: less than a quarter of the second day
    EXPECT_EQ(at(rising(), 0, 0).days, 9);
    rising.usage.row(24) = 110;
    EXPECT_EQ(at(rising(), 0, 0).days, 10);
}

TEST(QuantileHeadroom, NoGrowthFromAFallOrLessThanAWeek) {
    const auto falling = daily(200, -10, 10)();
    EXPECT_EQ(falling.growth(0), 1);
    EXPECT_DOUBLE_EQ(at(falling, 0, 0).slope_per_day, -10);
    EXPECT_EQ(falling.ask_in_s(0), inf);
    const auto young = daily(100, 10, 6)();
    EXPECT_EQ(young.growth(0), 1);
    EXPECT_EQ(at(young, 0, 0).days, 6);
    EXPECT_EQ(daily(0, 0, 10)().growth(0), 1);
}

TEST(QuantileHeadroom, CostCapAndWhatCannotBeRaised) {
    auto dear = constant({60}, 100);
    dear.events = {{day_s, {}, {{0, 0, 1}}}};
    dear.quotas.cost_per_unit << 2;
    dear.options.cost_cap = 40;
    EXPECT_EQ(dear().required(0), 60);
    EXPECT_EQ(dear().limit[0], Limit::none);
    dear.options.cost_cap = 39;
    EXPECT_EQ(dear().required(0), 19.5);
    EXPECT_EQ(dear().needed(0), 60);
    EXPECT_EQ(dear().limit[0], Limit::cost_cap);
    dear.options.cost_cap = inf;
    dear.quotas.adjustable << false;
    EXPECT_EQ(dear().required(0), 40);
    EXPECT_EQ(dear().shortfall(0), 20);
    EXPECT_EQ(dear().limit[0], Limit::not_adjustable);
}

// Largest of (need − u)/(Q − u) over the last 24 h: the trough says most, one that is older says nothing.
TEST(QuantileHeadroom, StatusIsJudgedByTheWorstOfTheDay) {
    auto one = constant({80}, 150);
    one.usage(20) = 0;    // 27 h ago
    one.usage(24) = 10;   // exactly 24 h before the end of … the half-open day: out is what is 24 h old
    one.usage(30) = 20;   // 17 h ago
    one.usage(40) = 100;  // the highest: need
    const auto h = one();
    EXPECT_EQ(h.need(0), 100);
    EXPECT_DOUBLE_EQ(h.utilization(0), 20 / 70.0);
    EXPECT_DOUBLE_EQ(h.day_utilization(0), 90 / 140.0);
    one.clock.age_s = 3600;  // an hour later the 10 is 24 h old
    EXPECT_DOUBLE_EQ(one().day_utilization(0), 80 / 130.0);
}

TEST(QuantileHeadroom, ASingleSampleAndAWindowLongerThanTheHistory) {
    for (const Index samples : {1, 5}) {
        auto one = constant({100}, 90, samples);
        EXPECT_EQ(one().need(0), 100);
        EXPECT_EQ(at(one(), 0, 0).windows, 0);
        EXPECT_EQ(one().status[0], Status::critical);
        EXPECT_EQ(one().probability_enough(0), 0);  // it does not fit now, either
        one.quotas.quota << 100;
        EXPECT_EQ(one().probability_enough(0), 1);
    }
}

TEST(QuantileHeadroom, ExtremeValues) {
    auto vast = daily(1e300, 1e299, 10);
    vast.quotas.quota << 1e305;
    EXPECT_NEAR(vast().need(0) / 1e300, 1.9 * (1 + 4 / 14.5), 0.2);
    vast.events = {{day_s, {}, {{0, 0, 1e10}}}};
    EXPECT_THROW(vast(), NumericalFailure);
    vast.options.growth = 1e10;
    vast.events = {};
    EXPECT_THROW(vast(), NumericalFailure);
    auto some = daily(1e307, 0, 10);  // ten times it is infinite on every other day only
    for (Index t = 0; t < some.usage.rows(); ++t)
        if (t / 24 % 2 == 0) some.usage(t) = 1;
    some.options.fitted = false;
    some.options.risk = 0.99;
    some.events = {{3600, {}, {{0, 0, 99}}}};
    EXPECT_THROW(some(), NumericalFailure);
    auto tiny = daily(1e-310, 1e-311, 10);
    tiny.quotas.quota << 1e-300;
    const auto h = tiny();
    EXPECT_GE(h.need(0), 1.9e-310);
    EXPECT_LT(h.need(0), 1e-309);
    EXPECT_EQ(h.status[0], Status::ok);
    EXPECT_EQ(h.probability_enough(0), 1);
    const auto idle = daily(0, 0, 10)();
    EXPECT_EQ(idle.needed(0), 0);
    EXPECT_EQ(idle.ask_in_s(0), inf);
}

struct Broken {
    std::function<void(Call&)> change;
    std::string message;
};

class QuantileRefusals : public testing::TestWithParam<Broken> {};

TEST_P(QuantileRefusals, GiveTheWholeMessage) {
    auto broken = constant({60, 60});
    GetParam().change(broken);
    EXPECT_EQ(refusal([&] { broken(); }), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, QuantileRefusals,
    testing::Values(
        Broken{[](Call& c) { c.options.risk = 0; }, "risk: must lie between 0 and 1 (got 0)"},
        Broken{[](Call& c) { c.options.risk = nan; }, "risk: must lie between 0 and 1 (got nan)"},
        Broken{[](Call& c) { c.options.risk_normal = 1; }, "risk_normal: must lie between 0 and 1 (got 1)"},
        Broken{[](Call& c) { c.options.normal_duration_s = 0; },
               "normal_duration_s: must be a positive number of seconds (got 0)"},
        Broken{[](Call& c) { c.options.lead_time_s = -1; }, "lead_time_s: must be 0 s or more (got -1)"},
        Broken{[](Call& c) { c.options.review_s = inf; }, "review_s: must be 0 s or more (got inf)"},
        Broken{[](Call& c) { c.options.lead_time_p95_s = nan; }, "lead_time_p95_s: must be 0 s or more (got nan)"},
        Broken{[](Call& c) { c.options.growth = 0.9; }, "growth: must be a factor of at least 1 (got 0.9)"},
        Broken{[](Call& c) { c.options.growth = inf; }, "growth: must be a factor of at least 1 (got inf)"},
        Broken{[](Call& c) { c.options.confidence = 1; }, "confidence: must lie in [0, 1) (got 1)"},
        Broken{[](Call& c) { c.options.history_s = 0; }, "history_s: must be a positive number of seconds (got 0)"},
        Broken{[](Call& c) { c.options.cost_cap = -1; }, "cost_cap: must be 0 or more (got -1)"},
        Broken{[](Call& c) { c.clock.step_s = 0; }, "step_s: must be a positive number of seconds (got 0)"},
        Broken{[](Call& c) { c.usage(3, 1) = -1; },
               "usage: must be finite and 0 or more, or NaN where not observed (got -1)"},
        Broken{[](Call& c) { c.usage(3, 1) = inf; },
               "usage: must be finite and 0 or more, or NaN where not observed (got inf)"},
        Broken{[](Call& c) { c.quotas.region << 1, 1; }, "group: must hold each Region once (got 1)"},
        Broken{[](Call& c) { c.events = {fails(0, 2)}; }, "events: must name Regions below 2 (got 2)"},
        Broken{[](Call& c) { c.events = {fails(-1, 1)}; }, "events: must name Regions below 2 (got -1)"},
        Broken{[](Call& c) { c.events = {{day_s, {}, {{5, 1, 1}}}}; }, "events: must name Regions below 2 (got 5)"},
        Broken{[](Call& c) { c.events = {fails(0, 0)}; },
               "events: must not let a Region fail and receive load (got 0)"},
        Broken{[](Call& c) { c.events = {{0, {}, {}}}; }, "duration_s: must be a positive number of seconds (got 0)"},
        Broken{[](Call& c) { c.events = {fails(0, 1, -0.5)}; },
               "weight: must be finite and 0 or more, or at least −1 in place (got -0.5)"},
        Broken{[](Call& c) { c.events = {fails(0, 1, inf)}; },
               "weight: must be finite and 0 or more, or at least −1 in place (got inf)"},
        Broken{[](Call& c) { c.events = {{day_s, {}, {{1, 1, -1.5}}}}; },
               "weight: must be finite and 0 or more, or at least −1 in place (got -1.5)"}));

}  // namespace
}  // namespace surgetank
