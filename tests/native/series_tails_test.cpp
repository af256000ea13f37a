// The level that a window's maximum exceeds at a stated risk, and back: definitions, hand-worked clusters, both ways.
#include "surgetank/series_tails.hpp"

#include <gtest/gtest.h>

#include <numbers>

#include "refusal.hpp"
#include "rolling.hpp"
#include "surgetank/series.hpp"

namespace surgetank::series {
namespace {

constexpr double hour_s = 3600;

TailOptions hourly(double windows, double risk) {
    return {.step_s = hour_s, .duration_s = windows * hour_s, .risk = risk};
}

// A day's wave with exponential noise on top; `missing` of the samples are NaN.
Series busy(std::size_t n, unsigned seed, double missing = 0, double per_day = 24) {
    std::mt19937_64 random(seed);
    std::exponential_distribution<double> noise;
    std::uniform_real_distribution<double> uniform;
    Series x(n);
    for (std::size_t t = 0; t < n; ++t) {
        x[t] = 100 + 20 * std::sin(2 * std::numbers::pi * static_cast<double>(t) / per_day) + 5 * noise(random);
        if (uniform(random) < missing) x[t] = nan;
    }
    return x;
}

// The smallest level among the windows' maxima that at most floor(risk × W) of them exceed.
double counted_level(Series maxima, double risk) {
    std::sort(maxima.begin(), maxima.end(), std::greater<>());
    const auto allowed = static_cast<std::size_t>(risk * static_cast<double>(maxima.size()) + 1e-9);
    return maxima[std::min(allowed, maxima.size() - 1)];
}

Series missing_as_minus_inf(Series x) {
    for (auto& u : x)
        if (std::isnan(u)) u = -inf;
    return x;
}

class Counted : public testing::TestWithParam<std::tuple<double, double, double, double>> {};

TEST_P(Counted, IsTheDefinition) {
    const auto [window, risk, missing, confidence] = GetParam();
    for (unsigned seed = 0; seed < 4; ++seed) {
        Series x = busy(400, seed, missing);
        const auto length = static_cast<Index>(window);
        auto maxima = rolling_maxima(missing_as_minus_inf(x), length, length);
        if (2 * static_cast<Index>(maxima.size()) < 400 - length + 1)
            maxima = rolling_maxima(missing_as_minus_inf(x), length, (length + 1) / 2);
        auto options = hourly(window, risk);
        options.confidence = confidence;
        const Tail tail(x, options);
        ASSERT_EQ(tail.level().windows, static_cast<Index>(maxima.size()));
        EXPECT_EQ(tail.level().counted, counted_level(maxima, risk));
        options.fitted = false;
        Series again = busy(400, seed, missing);
        const Tail plain(again, options);
        EXPECT_EQ(plain.level().level, plain.level().counted);
        EXPECT_FALSE(plain.level().extrapolated);
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Counted,
                         testing::Combine(testing::Values(1.0, 6.0, 24.0),
                                          testing::Values(1e-3, 0.05, 0.3, 0.999999999999),
                                          testing::Values(0.0, 0.02, 0.3), testing::Values(0.0, 0.95)));

TEST(Tail, AConstantSeriesIsItsValue) {
    Series x(500, 42.0);
    const Tail tail(x, hourly(24, 1e-3));
    EXPECT_EQ(tail.level().level, 42);
    EXPECT_EQ(tail.level().low, 42);
    EXPECT_EQ(tail.level().high, 42);
    EXPECT_EQ(tail.level().fit.clusters, 0);
    EXPECT_EQ(tail.risk(42).risk, 0);
    EXPECT_EQ(tail.risk(41).risk, 1);
}

// Hourly samples of 1 with clusters above; 10 % of 100 blocks may lie above the threshold, so it is 1.
Series spiky(const std::vector<std::pair<std::size_t, double>>& at) {
    Series x(100, 1.0);
    for (const auto& [t, u] : at) x[t] = u;
    return x;
}

TEST(Tail, FewerThanFiveClustersGiveTheMaximum) {
    Series four = spiky({{10, 2}, {20, 3}, {30, 4}, {40, 9}});
    const Tail tail(four, hourly(2, 1e-3));
    EXPECT_EQ(tail.level().level, 9);
    EXPECT_EQ(tail.level().fit.clusters, 0);
    Series five = spiky({{10, 2}, {20, 3}, {30, 4}, {40, 9}, {50, 5}});
    const Tail fitted(five, hourly(2, 1e-3));
    EXPECT_EQ(fitted.level().fit.clusters, 5);
    EXPECT_GT(fitted.level().level, 9);
}

// Seven clusters of 3, 1, 2, 1, 1, 1 and 1 hours whose highest excesses are 1 … 7.
const std::vector<std::pair<std::size_t, double>> seven{{10, 1.5}, {11, 2}, {12, 1.2}, {20, 3}, {30, 4},
                                                        {31, 2},   {40, 5}, {50, 6},   {60, 7}, {70, 8}};

TEST(Tail, HandWorkedClusters) {
    Series x = spiky(seven);
    const auto fit = Tail(x, hourly(2, 1e-3)).level().fit;
    EXPECT_EQ(fit.threshold, 1);
    EXPECT_EQ(fit.clusters, 7);
    EXPECT_DOUBLE_EQ(fit.cluster_s, 10 * hour_s / 7);
    EXPECT_DOUBLE_EQ(fit.per_s, 7 / (100 * hour_s));
    // Mean 4, weighted 4/3: shape 2 − 4/(4 − 8/3) = −1, shrunk by 0.01/(0.01 + 4/21).
    const double shape = -0.01 / (0.01 + 4.0 / 21);
    EXPECT_NEAR(fit.shape, shape, 1e-15);
    EXPECT_NEAR(fit.scale, 4 * (1 - shape), 1e-12);
}

// P = 1 − exp(−λ·(d + ℓ)): far out, risks of two windows are as d + ℓ; and a history is worth T/(d + ℓ) windows.
TEST(Tail, AClusterAddsItsLengthToTheWindow) {
    Series x = spiky(seven), y = x;
    const Tail two(x, hourly(2, 1e-3)), four(y, hourly(4, 1e-3));
    EXPECT_DOUBLE_EQ(two.level().n_eff, 100 / (2 + 10.0 / 7));
    EXPECT_DOUBLE_EQ(four.level().n_eff, 100 / (4 + 10.0 / 7));
    ASSERT_LT(two.risk(80).risk, 1e-3);
    EXPECT_NEAR(four.risk(80).risk / two.risk(80).risk, (4 + 10.0 / 7) / (2 + 10.0 / 7), 1e-3);
}

TEST(Tail, ExceedancesWithinTheRunAreOneCluster) {
    auto options = hourly(2, 1e-3);
    Series apart = spiky({{10, 2}, {12, 3}, {20, 2}, {30, 2}, {40, 2}, {50, 2}});
    EXPECT_EQ(Tail(apart, options).level().fit.clusters, 6);
    options.run_s = 2 * hour_s;
    const auto fit = Tail(apart, options).level().fit;
    EXPECT_EQ(fit.clusters, 5);
    EXPECT_DOUBLE_EQ(fit.cluster_s, (3 + 4) * hour_s / 5);  // the hour in between belongs to it
}

// A gap no longer than the run cannot hide a cluster, a longer one can.
TEST(Tail, GapsThatCouldHideAClusterAreNotCovered) {
    Series x = spiky(seven);
    x[80] = nan;
    Series y = x;
    EXPECT_DOUBLE_EQ(Tail(x, hourly(2, 1e-3)).level().fit.per_s, 7 / (100 * hour_s));
    y[81] = y[82] = nan;
    const Tail tail(y, hourly(2, 1e-3));
    EXPECT_EQ(tail.observed(), 97);
    EXPECT_DOUBLE_EQ(tail.level().fit.per_s, 7 / (97 * hour_s));
    EXPECT_EQ(tail.level().windows, 95);
    EXPECT_EQ(y[81], -inf);  // as promised
}

TEST(Tail, NothingObservedIsUnknown) {
    Series x(50, nan), none;
    for (auto* series : {&x, &none}) {
        const Tail tail(*series, hourly(3, 1e-3));
        EXPECT_EQ(tail.observed(), 0);
        EXPECT_TRUE(std::isnan(tail.level().level));
        EXPECT_TRUE(std::isnan(tail.level().counted));
        EXPECT_TRUE(std::isnan(tail.risk(1).risk));
    }
}

TEST(Tail, AWindowLongerThanTheSeries) {
    Series one{100};
    const Tail tail(one, hourly(24, 1e-3));
    EXPECT_EQ(tail.level().windows, 0);
    EXPECT_EQ(tail.level().level, 100);
    EXPECT_EQ(tail.risk(100).risk, 0);
    EXPECT_EQ(tail.risk(50).risk, 1);  // it has been exceeded in all the time that was seen
}

// Both ways agree, on counted and on fitted answers: level ≤ x exactly when risk(x) ≤ options.risk.
class BothWays : public testing::TestWithParam<std::tuple<double, double, double>> {};

TEST_P(BothWays, LevelAndRiskAreInverses) {
    const auto [window, risk, missing] = GetParam();
    for (unsigned seed = 0; seed < 4; ++seed) {
        Series x = busy(1000, seed, missing);
        const Tail tail(x, hourly(window, risk));
        const auto& found = tail.level();
        ASSERT_GE(found.fit.clusters, 5);
        EXPECT_GE(found.level, found.counted);
        EXPECT_LE(found.low, found.level);
        EXPECT_GE(found.high, found.level);
        EXPECT_EQ(found.extrapolated, risk * found.n_eff < 10);
        if (found.extrapolated && found.level > found.counted) EXPECT_NEAR(tail.risk(found.level).risk / risk, 1, 1e-6);
        double before = 1;
        for (double level = 90; level < 220; level += 0.25) {
            const auto at = tail.risk(level);
            EXPECT_LE(at.risk, before) << "at " << level;
            EXPECT_LE(at.low, at.risk);
            EXPECT_GE(at.high, at.risk);
            EXPECT_GE(at.low, 0);
            EXPECT_LE(at.high, 1);
            if (std::abs(level - found.level) > 1e-6) EXPECT_EQ(found.level < level, at.risk <= risk) << "at " << level;
            before = at.risk;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, BothWays,
                         testing::Combine(testing::Values(1.0, 6.0, 24.0), testing::Values(1e-4, 1e-3, 0.02, 0.08, 0.3),
                                          testing::Values(0.0, 0.02, 0.3)));

// One spike in 30 days of 5 min, windows of 15 min: the level is the maximum, 100, so 75 is not safe at that risk.
TEST(Tail, TheMaximumThatAnswersForAFitIsNoSaferTheOtherWay) {
    Series x(30 * 288, 50.0);
    x[4000] = 100;
    const Tail tail(x, {.step_s = 300, .duration_s = 900, .risk = 1e-3});
    ASSERT_EQ(tail.level().level, 100);
    EXPECT_GT(tail.risk(75).risk, 1e-3);
}

TEST(Tail, ScalingScalesEverything) {
    for (const double risk : {1e-3, 0.3})
        for (const double factor : {1e-6, 3.7, 1e9}) {
            Series x = busy(720, 5), scaled = x;
            for (auto& u : scaled) u *= factor;
            const Tail a(x, hourly(6, risk)), b(scaled, hourly(6, risk));
            EXPECT_NEAR(b.level().level / factor / a.level().level, 1, 1e-9);
            EXPECT_NEAR(b.level().low / factor / a.level().low, 1, 1e-9);
            EXPECT_NEAR(b.level().high / factor / a.level().high, 1, 1e-9);
            EXPECT_NEAR(b.risk(150 * factor).risk, a.risk(150).risk, 1e-9);
        }
}

TEST(Tail, LessRiskNeverNeedsLess) {
    double before = inf;
    for (const double risk : {1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.05}) {
        Series x = busy(2000, 8);
        const double level = Tail(x, hourly(6, risk)).level().level;
        EXPECT_LT(level, before);
        before = level;
    }
}

// Exponential excesses of independent hours: P(maximum over d hours > x) is known, and both ways come near it.
TEST(Tail, ComesNearAKnownTail) {
    std::mt19937_64 random(11);
    std::exponential_distribution<double> noise;
    Series x(20'000);
    for (auto& u : x) u = noise(random);
    auto options = hourly(24, 1e-3);
    options.run_s = 1;  // independent samples are clusters of their own
    const Tail tail(x, options);
    ASSERT_TRUE(tail.level().extrapolated);
    const double known = -std::log(-std::expm1(std::log1p(-1e-3) / 24));
    EXPECT_NEAR(tail.level().level, known, 0.15 * known);
    EXPECT_LT(tail.level().low, known);
    EXPECT_GT(tail.level().high, known);
}

// The p-quantile of n independent exponential samples has standard error √((1 − p)/(p·n)), p the share above it.
TEST(Tail, TheCountedIntervalIsAsWideAsItShouldBe) {
    std::mt19937_64 random(4);
    std::exponential_distribution<double> noise;
    Series x(4800);
    for (auto& u : x) u = noise(random);
    const Tail tail(x, hourly(1, 0.3));
    ASSERT_FALSE(tail.level().extrapolated);
    const double error = std::sqrt(0.7 / (0.3 * 4800));
    EXPECT_NEAR(tail.level().level, -std::log(0.3), 4 * error);
    EXPECT_NEAR(tail.level().high - tail.level().level, 1.96 * error, 0.4 * 1.96 * error);
    EXPECT_NEAR(tail.level().level - tail.level().low, 1.96 * error, 0.4 * 1.96 * error);
}

TEST(Tail, WithoutConfidenceThereIsNoInterval) {
    for (const double risk : {1e-3, 0.3}) {
        Series x = busy(720, 5), y = x;
        auto options = hourly(6, risk);
        const double level = Tail(x, options).level().level;
        options.confidence = 0;
        const Tail tail(y, options);
        EXPECT_EQ(tail.level().level, level);
        EXPECT_TRUE(std::isnan(tail.level().low) && std::isnan(tail.level().high));
        EXPECT_TRUE(std::isnan(tail.risk(150).low) && std::isnan(tail.risk(150).high));
    }
}

TEST(Tail, Refusals) {
    const auto got = [](TailOptions options) {
        Series x{1, 2};
        return refusal([&] { Tail(x, options); });
    };
    const TailOptions good = hourly(1, 0.5);
    EXPECT_EQ(got(good), "(nothing was thrown)");
    const auto with = [&](double TailOptions::* field, double value) {
        TailOptions options = good;
        options.*field = value;
        return got(options);
    };
    EXPECT_EQ(with(&TailOptions::step_s, 0), "step_s: must be a positive number of seconds (got 0)");
    EXPECT_EQ(with(&TailOptions::step_s, nan), "step_s: must be a positive number of seconds (got nan)");
    EXPECT_EQ(with(&TailOptions::duration_s, -1), "duration_s: must be a positive number of seconds (got -1)");
    EXPECT_EQ(with(&TailOptions::duration_s, inf), "duration_s: must be a positive number of seconds (got inf)");
    EXPECT_EQ(with(&TailOptions::run_s, 0), "run_s: must be a positive number of seconds (got 0)");
    EXPECT_EQ(with(&TailOptions::risk, 0), "risk: must lie between 0 and 1 (got 0)");
    EXPECT_EQ(with(&TailOptions::risk, 1), "risk: must lie between 0 and 1 (got 1)");
    EXPECT_EQ(with(&TailOptions::risk, nan), "risk: must lie between 0 and 1 (got nan)");
    EXPECT_EQ(with(&TailOptions::confidence, 1), "confidence: must lie in [0, 1) (got 1)");
    EXPECT_EQ(with(&TailOptions::confidence, -0.1), "confidence: must lie in [0, 1) (got -0.1)");
}

}  // namespace
}  // namespace surgetank::series
