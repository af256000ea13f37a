// What both headroom policies share: checks with their exact messages, the last usage, the judgement.
#include "surgetank/headroom.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "quotas.hpp"
#include "refusal.hpp"

namespace surgetank {
namespace {

struct World {
    Eigen::ArrayXXd usage = Eigen::ArrayXXd::Constant(1, 1, 60.0);
    Clock clock{.step_s = 300};
    Quotas quotas = plain_quotas(1, 100);
};

struct Broken {
    std::function<void(World&)> change;
    std::string message;
};

class Checks : public testing::TestWithParam<Broken> {};

TEST_P(Checks, GiveTheWholeMessage) {
    World world;
    EXPECT_NO_THROW(headroom::check(world.usage, world.clock, world.quotas));
    GetParam().change(world);
    EXPECT_EQ(refusal([&] { headroom::check(world.usage, world.clock, world.quotas); }), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Checks,
    testing::Values(
        Broken{[](World& w) { w.usage.resize(0, 1); }, "usage: must hold at least one sample (got shape (0, 1))"},
        Broken{[](World& w) { w.usage.resize(2, 0); }, "usage: must hold at least one sample (got shape (2, 0))"},
        Broken{[](World& w) { w.quotas.quota << -1; },
               "quota: must be finite and 0 or more, or NaN where not known (got -1)"},
        Broken{[](World& w) { w.quotas.quota << inf; },
               "quota: must be finite and 0 or more, or NaN where not known (got inf)"},
        Broken{[](World& w) { w.quotas.quota.setConstant(3, 1); }, "quota: must have one value per series, 1 (got 3)"},
        Broken{[](World& w) { w.quotas.cost_per_unit.resize(0); },
               "cost_per_unit: must have one value per series, 1 (got 0)"},
        Broken{[](World& w) { w.quotas.warning_frac.resize(0); },
               "warning_frac: must have one value per series, 1 (got 0)"},
        Broken{[](World& w) { w.quotas.critical_frac.resize(0); },
               "critical_frac: must have one value per series, 1 (got 0)"},
        Broken{[](World& w) { w.quotas.adjustable.resize(0); },
               "adjustable: must have one value per series, 1 (got 0)"},
        Broken{[](World& w) { w.quotas.region.resize(0); }, "region: must have one value per series, 1 (got 0)"},
        Broken{[](World& w) { w.quotas.group.resize(2); }, "group: must have one value per series, 1 (got 2)"},
        Broken{[](World& w) { w.quotas.region << -1; }, "region: must be 0 or more (got -1)"},
        Broken{[](World& w) { w.quotas.group << -1; }, "group: must be 0 or more (got -1)"},
        Broken{[](World& w) { w.quotas.cost_per_unit << nan; },
               "cost_per_unit: must be finite and 0 or more (got nan)"},
        Broken{[](World& w) { w.quotas.warning_frac << 0; }, "warning_frac: must be above 0 (got 0)"},
        Broken{[](World& w) { w.quotas.critical_frac << 0.5; },
               "critical_frac: must be at least warning_frac 0.7 (got 0.5)"},
        Broken{[](World& w) { w.quotas.critical_frac << nan; },
               "critical_frac: must be at least warning_frac 0.7 (got nan)"},
        Broken{[](World& w) { w.clock.step_s = 0; }, "step_s: must be a positive number of seconds (got 0)"},
        Broken{[](World& w) { w.clock.step_s = nan; }, "step_s: must be a positive number of seconds (got nan)"},
        Broken{[](World& w) { w.clock.age_s = -1; }, "age_s: must be 0 s or more (got -1)"},
        Broken{[](World& w) { w.clock.stale_after_s = -1; }, "stale_after_s: must be 0 s or more (got -1)"}));

TEST(CheckSamples, NaNIsNotObservedAndAnythingElseIsFiniteAndNotNegative) {
    const std::string rule = "usage: must be finite and 0 or more, or NaN where not observed ";
    const auto got = [](std::vector<double> x) { return refusal([&] { headroom::check_samples(x); }); };
    EXPECT_EQ(got({0, nan, 1e308}), "(nothing was thrown)");
    EXPECT_EQ(got({1, inf}), rule + "(got inf)");
    EXPECT_EQ(got({-inf, 1}), rule + "(got -inf)");
    EXPECT_EQ(got({nan, -1}), rule + "(got -1)");
}

// The half-open past: the sample exactly `seconds` old is out, and what lies between the last sample and now counts.
TEST(LastSamples, AreCountedBackFromNow) {
    const Clock clock{.step_s = 300};
    EXPECT_EQ(headroom::last_count(10, 300, clock), 1);
    EXPECT_EQ(headroom::last_count(10, 301, clock), 2);
    EXPECT_EQ(headroom::last_count(10, 900, clock), 3);
    EXPECT_EQ(headroom::last_count(10, 1e9, clock), 10);
    EXPECT_EQ(headroom::last_count(10, inf, clock), 10);
    const Clock old{.step_s = 300, .age_s = 400};
    EXPECT_EQ(headroom::last_count(10, 400, old), 0);
    EXPECT_EQ(headroom::last_count(10, 401, old), 1);
    EXPECT_EQ(headroom::last_count(10, 100, old), 0);
    const std::vector<double> x{1, 2, 3, 4};
    EXPECT_EQ(headroom::last_samples(x, 600, clock).front(), 3);
    EXPECT_EQ(headroom::last_samples(x, 600, clock).size(), 2u);
}

TEST(Look, TheLastObservedSampleAndTheDaysPeak) {
    Headroom out;
    headroom::blank(out, 1);
    EXPECT_TRUE(headroom::look(out, 0, std::vector<double>{90, 70, 80, nan}, 3 * 3600.0, {.step_s = 3600}));
    EXPECT_EQ(out.usage(0), 80);
    EXPECT_EQ(out.age_s(0), 3600);
    EXPECT_EQ(out.day_peak(0), 90);  // of the day, although the history that is asked for is shorter
    EXPECT_EQ(out.unknown[0], Unknown::none);
}

TEST(Look, NothingInTheHistoryAskedForIsNoUsage) {
    Headroom out;
    headroom::blank(out, 1);
    EXPECT_FALSE(headroom::look(out, 0, std::vector<double>{90, nan}, 3600, {.step_s = 3600}));
    EXPECT_EQ(out.unknown[0], Unknown::no_usage);
    EXPECT_TRUE(std::isnan(out.usage(0)));
    EXPECT_EQ(out.status[0], Status::unknown);
}

// 60 used of 100.
Headroom judged(double needed, double day_utilization) {
    Headroom out;
    headroom::blank(out, 1);
    out.usage(0) = 60;
    out.needed(0) = needed;
    headroom::judge(out, 0, plain_quotas(1, 100), day_utilization);
    return out;
}

TEST(Judge, NeededAgainstAvailableAndTheWorstOfTheDay) {
    const auto fits = judged(20, 0.5);
    EXPECT_EQ(fits.available(0), 40);
    EXPECT_EQ(fits.utilization(0), 0.5);
    EXPECT_EQ(fits.shortfall(0), 0);
    EXPECT_EQ(fits.status[0], Status::ok);
    EXPECT_EQ(judged(20, 0.70).status[0], Status::warning);
    EXPECT_EQ(judged(20, 0.85).status[0], Status::critical);
    const auto just = judged(40, 0);
    EXPECT_EQ(just.utilization(0), 1);
    EXPECT_EQ(just.status[0], Status::ok);  // nothing is missing
    const auto lacks = judged(40.5, 0);
    EXPECT_EQ(lacks.shortfall(0), 0.5);
    EXPECT_EQ(lacks.status[0], Status::critical);  // any shortfall, whatever the utilization says
}

TEST(Judge, NothingAvailableIsInfinite) {
    EXPECT_EQ(headroom::share_of(1, 0), inf);
    EXPECT_EQ(headroom::share_of(0, -5), inf);
    EXPECT_EQ(headroom::share_of(1, 4), 0.25);
}

TEST(Reserve, WhatCannotBeRaisedIsCutToWhatIsThere) {
    auto quotas = plain_quotas(1, 100);
    auto out = judged(70, 0);
    headroom::reserve(out, 0, quotas, 70);
    EXPECT_EQ(out.required(0), 70);
    EXPECT_EQ(out.limit[0], Limit::none);
    quotas.adjustable << false;
    headroom::reserve(out, 0, quotas, 40);
    EXPECT_EQ(out.limit[0], Limit::none);  // just there
    headroom::reserve(out, 0, quotas, 70);
    EXPECT_EQ(out.required(0), 40);
    EXPECT_EQ(out.limit[0], Limit::not_adjustable);
    out.available(0) = -5;
    headroom::reserve(out, 0, quotas, 70);
    EXPECT_EQ(out.required(0), 0);
}

TEST(Affordable, OnlyWhatIsMissingCosts) {
    auto quotas = plain_quotas(1, 100);
    const auto out = judged(60, 0);
    EXPECT_EQ(headroom::affordable(out, 0, quotas, 0), 60);  // free of charge
    quotas.cost_per_unit << 2;
    EXPECT_EQ(headroom::affordable(out, 0, quotas, 40), 60);  // 2·(60 + 60 − 100): not above the cap
    EXPECT_EQ(headroom::affordable(out, 0, quotas, 39), 19.5);
    EXPECT_EQ(headroom::affordable(judged(40, 0), 0, quotas, 0), 40);  // it is there already
}

TEST(CheckNeeded, NamesUsageAndSamples) {
    EXPECT_NO_THROW(headroom::check_needed(1e308, 5, 2));
    try {
        headroom::check_needed(inf, 5, 2);
        FAIL();
    } catch (const NumericalFailure& error) {
        EXPECT_STREQ(error.what(), "needed: exceeds the range of double (usage 5, 2 samples)");
    }
}

}  // namespace
}  // namespace surgetank
