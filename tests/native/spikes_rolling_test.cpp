// The classic spike rule: hand-worked windows, exact messages, layouts, cancellation, and hard numbers.
#include "surgetank/spikes_rolling.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "refusal.hpp"

namespace surgetank {
namespace {

constexpr SpikeOutputs everything{true, true, true, true, true};

Eigen::ArrayXXd column(const std::vector<double>& x) {
    return Eigen::Map<const Eigen::ArrayXd>(x.data(), static_cast<Index>(x.size()));
}

Spikes found(const std::vector<double>& x, const RollingSigmaOptions& options = {}) {
    return rolling_sigma(column(x), options, everything);
}

Eigen::ArrayXXd noise(Index rows, Index cols) {
    std::mt19937_64 random(3);
    std::lognormal_distribution<double> value;
    Eigen::ArrayXXd x(rows, cols);
    for (double& u : x.reshaped()) u = random() % 10 == 0 ? nan : value(random);
    return x;
}

bool same_bits(const Eigen::ArrayXXd& a, const Eigen::ArrayXXd& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() &&
           std::memcmp(a.data(), b.data(), sizeof(double) * static_cast<std::size_t>(a.size())) == 0;
}

struct Refused {
    RollingSigmaOptions options;
    std::string message;
};

class Options : public testing::TestWithParam<Refused> {};

TEST_P(Options, RefusedWithTheWholeMessage) {
    EXPECT_EQ(refusal([] { check(GetParam().options); }), GetParam().message);
    EXPECT_EQ(refusal([] { found({1, 2, 3}, GetParam().options); }), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Options,
    testing::Values(
        Refused{{1, 0.5, false}, "window: must be at least 2 samples (got 1)"},
        Refused{{-5, 0.5, true}, "window: must be at least 2 samples (got -5)"},
        Refused{{10, -1, false}, "threshold: must be a finite number of standard deviations, 0 or more (got -1)"},
        Refused{{10, nan, false}, "threshold: must be a finite number of standard deviations, 0 or more (got nan)"},
        Refused{{10, inf, true}, "threshold: must be a finite number of standard deviations, 0 or more (got inf)"},
        Refused{{10, 3, false},
                "threshold: must be at most (window - 1)/sqrt(window) = 2.846 for window 10, because a "
                "sample inside its own window cannot score higher; lower it, widen the window or set "
                "exclude_current (got 3)"}));

TEST(Options, HighThresholdsAreFineWithoutTheSampleInItsWindow) { EXPECT_NO_THROW(check({10, 50, true})); }

TEST(Usage, RefusedWithTheWholeMessage) {
    EXPECT_EQ(refusal([] { found({1, inf}); }), "usage: must be finite, or NaN where not observed (got inf)");
    EXPECT_EQ(refusal([] { found({1, -inf}); }), "usage: must be finite, or NaN where not observed (got -inf)");
    EXPECT_EQ(refusal([] { found({}); }), "usage: must hold at least one sample (got shape (0, 1))");
    EXPECT_EQ(refusal([] { rolling_sigma(Eigen::ArrayXXd(3, 0), {}, everything); }),
              "usage: must hold at least one sample (got shape (3, 0))");
}

// Nine samples of 5 and one of 50: mean 9.5, sd √202.5, score 9/√10, which is the highest a window of 10 allows.
TEST(RollingSigma, HandWorkedOutlier) {
    const auto s = found({5, 5, 5, 5, 5, 5, 5, 5, 5, 50, 5});
    EXPECT_EQ(s.count(0), 1);
    EXPECT_TRUE(s.flags(9, 0));
    EXPECT_DOUBLE_EQ(s.ratios(9, 0), 50 / 9.5);
    EXPECT_DOUBLE_EQ(s.scores(9, 0), 9 / std::sqrt(10.0));
    EXPECT_DOUBLE_EQ(s.likelihood(9, 0), 0.5 * std::erfc(-9 / std::sqrt(20.0)));
    EXPECT_DOUBLE_EQ(s.scores(10, 0), -4.5 / std::sqrt(202.5));
    EXPECT_TRUE(std::isnan(s.scores(8, 0)));  // its window does not lie wholly inside the series
    EXPECT_DOUBLE_EQ(s.p95_ratio(0), 50 / 9.5);
    EXPECT_DOUBLE_EQ(s.max_ratio(0), 50 / 9.5);
}

TEST(RollingSigma, WithoutTheSampleInItsWindow) {
    // Window 1, 2, 3: mean 2, sd 1; then 6 scores 4. Window 2, 3, 6 for the last.
    const auto s = found({1, 2, 3, 6, 4}, {3, 3.5, true});
    EXPECT_TRUE(std::isnan(s.scores(2, 0)));
    EXPECT_DOUBLE_EQ(s.scores(3, 0), 4);
    EXPECT_DOUBLE_EQ(s.ratios(3, 0), 3);
    EXPECT_DOUBLE_EQ(s.scores(4, 0), (4 - 11.0 / 3) / std::sqrt(13.0 / 3));
    EXPECT_EQ(s.count(0), 1);
}

TEST(RollingSigma, AConstantWindowFlagsWhatExceedsItOnlyFromOutside) {
    const auto inside = found(std::vector<double>(12, 0.1));
    EXPECT_EQ(inside.count(0), 0);
    EXPECT_TRUE(std::isnan(inside.scores(11, 0)));
    EXPECT_EQ(inside.ratios(11, 0), 1);
    const auto outside = found({2, 2, 2, 3, 2, 1}, {3, 2, true});
    EXPECT_EQ(outside.scores(3, 0), inf);
    EXPECT_EQ(outside.likelihood(3, 0), 1);
    EXPECT_TRUE(outside.flags(3, 0));
}

TEST(RollingSigma, HalfOfTheWindowMustBeObserved) {
    // ⌈5/2⌉ = 3 of 5: the first full window holds two, the next three.
    const auto s = found({nan, nan, nan, 1, 2, 9}, {5, 1, false});
    EXPECT_TRUE(std::isnan(s.ratios(4, 0)));
    EXPECT_DOUBLE_EQ(s.ratios(5, 0), 9 / 4.0);
}

TEST(RollingSigma, AMissingSampleIsNoSpikeAndEndsAnEpisode) {
    const auto s = found({1, 1, 1, 9, nan, 40}, {3, 1, false});
    EXPECT_TRUE(s.flags(3, 0));
    EXPECT_FALSE(s.flags(4, 0));
    EXPECT_TRUE(std::isnan(s.scores(4, 0)));
    // The window 9, –, 40 has two of three: mean 24.5, sd 21.9, score .71.
    EXPECT_DOUBLE_EQ(s.scores(5, 0), 1 / std::sqrt(2.0));
}

TEST(RollingSigma, OnlyPositiveMeansFlag) {
    const auto s = found({-9, -9, -9, -1}, {4, 1, false});
    EXPECT_DOUBLE_EQ(s.scores(3, 0), 1.5);
    EXPECT_DOUBLE_EQ(s.ratios(3, 0), 1 / 7.0);
    EXPECT_EQ(s.count(0), 0);
}

// The ten sum to exactly 0, so nothing may be flagged and nothing divided by, whatever a running mean rounds to.
TEST(RollingSigma, AMeanOfZeroNeitherFlagsNorDivides) {
    const auto s = found({0, -3, 14, -1, -11, -2, -16, -3, -1, 23});
    EXPECT_FALSE(s.flags(9, 0));
    EXPECT_TRUE(std::isnan(s.ratios(9, 0)));
}

TEST(RollingSigma, EpisodesAreRunsWithTheirPeaks) {
    const auto s = found({1, 1, 1, 1, 4, 9, 1, 1, 1, 1, 5}, {4, 1, false});
    ASSERT_EQ(s.episodes.size(), 2U);
    const auto& first = s.episodes[0];
    EXPECT_EQ(first.series, 0);
    EXPECT_EQ(first.start, 4);
    EXPECT_EQ(first.end, 6);
    EXPECT_EQ(first.peak, 9);
    EXPECT_DOUBLE_EQ(first.ratio, 9 / 3.75);
    EXPECT_EQ(s.episodes[1].start, 10);
    EXPECT_EQ(s.episodes[1].end, 11);
    // P95 of 4/1.75, 9/3.75 and 5/2, linear-interpolated between the upper two.
    EXPECT_DOUBLE_EQ(s.p95_ratio(0), 2.4 + 0.9 * (2.5 - 2.4));
    EXPECT_DOUBLE_EQ(s.max_ratio(0), 2.5);
}

TEST(RollingSigma, WindowsLongerThanTheSeriesJudgeNothing) {
    const auto s = found({1, 2, 300}, {Index{1} << 61, 2, false});  // and do not allocate
    EXPECT_EQ(s.count(0), 0);
    EXPECT_TRUE(s.scores.isNaN().all());
    EXPECT_TRUE(std::isnan(s.p95_ratio(0)));
    EXPECT_TRUE(std::isnan(s.max_ratio(0)));
}

TEST(RollingSigma, OutputsNotAskedForStayEmpty) {
    const auto s = rolling_sigma(noise(50, 3), {}, {});
    EXPECT_EQ(s.flags.size() + s.scores.size() + s.likelihood.size() + s.ratios.size(), 0);
    EXPECT_TRUE(s.episodes.empty());
    EXPECT_EQ(s.count.size(), 3);
}

TEST(RollingSigma, EveryLayoutGivesTheSameBits) {
    const Eigen::ArrayXXd x = noise(200, 19);
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = x;
    Eigen::ArrayXXd wide = Eigen::ArrayXXd::Constant(400, 38, -7);
    for (Index j = 0; j < 19; ++j)
        for (Index t = 0; t < 200; ++t) wide(2 * t, 2 * j) = x(t, j);
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> row_major(rows.data(), 200, 19, Strides(1, 19));
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> strided(wide.data(), 200, 19, Strides(800, 2));
    const auto expected = rolling_sigma(x, {}, everything);
    ASSERT_GT(expected.count.sum(), 0);
    for (const Samples& view : {Samples(row_major), Samples(strided)}) {
        const auto s = rolling_sigma(view, {}, everything);
        EXPECT_TRUE(same_bits(s.scores, expected.scores));
        EXPECT_TRUE(same_bits(s.ratios, expected.ratios));
        EXPECT_TRUE(same_bits(s.likelihood, expected.likelihood));
        EXPECT_TRUE(same_bits(s.p95_ratio, expected.p95_ratio));
        EXPECT_TRUE((s.flags == expected.flags).all());
        EXPECT_EQ(s.episodes.size(), expected.episodes.size());
    }
}

TEST(RollingSigma, ScalingByPowersOfTwoChangesNoJudgement) {
    const Eigen::ArrayXXd x = noise(300, 2);
    const auto expected = rolling_sigma(x, {}, everything);
    for (const int power : {-1000, -400, 400, 1000}) {
        const auto s = rolling_sigma(x.unaryExpr([&](double u) { return std::ldexp(u, power); }), {}, everything);
        EXPECT_TRUE((s.flags == expected.flags).all()) << power;
        const Eigen::ArrayXXd off = (s.scores - expected.scores).abs();
        EXPECT_LT((off.isNaN()).select(0, off).maxCoeff(), 1e-12) << power;
    }
}

// One large sample must not decide the precision of a stretch of tiny ones that it is no part of.
TEST(RollingSigma, ATinyStretchAfterAnOrdinarySampleIsJudgedLikeAnyOther) {
    const std::vector<double> ordinary{5, 7, 6, 5, 8, 6, 7, 5, 6, 7, 9};
    std::vector<double> x{1.0};
    for (const double u : ordinary) x.push_back(u * 1e-200);
    EXPECT_NEAR(found(x).scores(11, 0), found(ordinary).scores(10, 0), 1e-12);
}

TEST(RollingSigma, RatiosBeyondDoubleAreInfinite) {
    std::vector<double> x(10, 1e-300);
    x.insert(x.end(), {1e300, 1e-300, 1e300});
    const auto s = found(x, {2, 1, true});
    ASSERT_EQ(s.count(0), 1);
    EXPECT_EQ(s.max_ratio(0), inf);
    EXPECT_EQ(s.p95_ratio(0), inf);
    std::vector<double> twice(2, 1e-300);
    twice.insert(twice.end(), {1e300, 1e-300, 1e-300, 1e300});
    const auto both = found(twice, {2, 1, true});
    ASSERT_EQ(both.count(0), 2);
    EXPECT_EQ(both.p95_ratio(0), inf);  // between two infinite ones lies no NaN
}

struct Stop {};

TEST(RollingSigma, PollMayAbandonTheCall) {
    int polls = 0;
    const auto stop_at_second = [&] {
        if (++polls == 2) throw Stop{};
    };
    EXPECT_THROW(rolling_sigma(noise(20, 40), {}, everything, 1, stop_at_second), Stop);
    EXPECT_EQ(polls, 2);
}

}  // namespace
}  // namespace surgetank
