// Summaries of many series: hand-worked numbers, layouts, neighbours, threads, cancellation.
#include "surgetank/series_summary.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "refusal.hpp"

namespace surgetank::series {
namespace {

using Series = std::vector<double>;

Eigen::ArrayXXd column(const Series& x) {
    return Eigen::Map<const Eigen::ArrayXd>(x.data(), static_cast<Index>(x.size()));
}

Summary one(const Series& x) { return summarize(column(x)).front(); }

Series noise(std::size_t n, double center, double missing, unsigned seed = 1) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    Series x(n);
    for (auto& u : x) u = uniform(random) < missing ? nan : center + normal(random);
    return x;
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void expect_same_bits(const Summary& a, const Summary& b) {
    EXPECT_EQ(a.count, b.count);
    EXPECT_EQ(a.last_index, b.last_index);
    EXPECT_TRUE(same_bits(a.mean, b.mean)) << a.mean << " " << b.mean;
    EXPECT_TRUE(same_bits(a.sigma_population, b.sigma_population));
    EXPECT_TRUE(same_bits(a.slope, b.slope));
    EXPECT_TRUE(same_bits(a.min, b.min));
    EXPECT_TRUE(same_bits(a.max, b.max));
    EXPECT_TRUE(same_bits(a.last, b.last));
}

TEST(Summarize, HandWorked) {
    const Summary s = one({nan, 1, 3, nan, 7, nan});  // at sample numbers 1, 2, 4
    EXPECT_EQ(s.count, 3);
    EXPECT_DOUBLE_EQ(s.mean, 11.0 / 3);
    EXPECT_DOUBLE_EQ(s.sigma_population, std::sqrt(56.0 / 9));
    EXPECT_DOUBLE_EQ(s.slope, 2.0);  // the three lie on a line, the gap counts
    EXPECT_EQ(s.min, 1);
    EXPECT_EQ(s.max, 7);
    EXPECT_EQ(s.last, 7);
    EXPECT_EQ(s.last_index, 4);
}

TEST(Summarize, OneSampleHasNoSlope) {
    const Summary s = one({nan, 8, nan});
    EXPECT_EQ(s.count, 1);
    EXPECT_EQ(s.slope, 0);
    EXPECT_EQ(s.sigma_population, 0);
    EXPECT_EQ(s.min, 8);
    EXPECT_EQ(s.max, 8);
}

TEST(Summarize, NothingObserved) {
    for (const auto& x : {Series{}, Series{nan, nan}}) {
        const Summary s = one(x);
        EXPECT_EQ(s.count, 0);
        EXPECT_EQ(s.last_index, -1);
        for (const double v : {s.mean, s.sigma_population, s.slope, s.min, s.max, s.last}) EXPECT_TRUE(std::isnan(v));
    }
}

TEST(Summarize, NoSeriesGiveNoSummary) { EXPECT_TRUE(summarize(Eigen::ArrayXXd(5, 0), 3).empty()); }

TEST(Summarize, KeepsNegativeExtremes) {
    const Summary s = one({-5, -3, -4});
    EXPECT_EQ(s.min, -5);
    EXPECT_EQ(s.max, -3);
}

TEST(Summarize, ALevelOf1e9CostsNoDigitsOfTheTrend) {
    Series x(1000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1e9 + 0.25 * static_cast<double>(i);
    EXPECT_NEAR(one(x).slope, 0.25, 1e-12);
}

// Scaling by a power of two is exact, so that the double and the long double path can be compared.
TEST(Summarize, ScalesBeyondTheSquaresOfDouble) {
    const auto x = noise(500, 50, 0.1);
    const Summary plain = one(x);
    for (const int power : {-1000, 1000}) {
        auto scaled = x;
        for (auto& u : scaled) u = std::ldexp(u, power);
        const Summary s = one(scaled);
        EXPECT_NEAR(std::ldexp(s.mean, -power), plain.mean, 1e-13 * plain.mean);
        EXPECT_NEAR(std::ldexp(s.sigma_population, -power), plain.sigma_population, 1e-12);
        EXPECT_NEAR(std::ldexp(s.slope, -power), plain.slope, 1e-13);
        EXPECT_EQ(s.min, std::ldexp(plain.min, power));
        EXPECT_EQ(s.max, std::ldexp(plain.max, power));
    }
}

TEST(Summarize, BothEndsOfDoublesRange) {
    const Summary s = one({-1e308, 1e308, nan, 1e308, -1e308});
    EXPECT_EQ(s.mean, 0);
    EXPECT_EQ(s.sigma_population, 1e308);
    EXPECT_EQ(s.min, -1e308);
    EXPECT_EQ(s.max, 1e308);
}

// 601 rows: two whole tiles and a rest. Some series without gaps, some with, one extreme, one unobserved.
Eigen::ArrayXXd world(Index rows, Index cols) {
    Eigen::ArrayXXd x(rows, cols);
    for (Index j = 0; j < cols; ++j) {
        const auto values = noise(static_cast<std::size_t>(rows), 10, j % 3 == 0 ? 0 : 0.2, static_cast<unsigned>(j));
        for (Index t = 0; t < rows; ++t) x(t, j) = values[static_cast<std::size_t>(t)];
    }
    if (cols > 5 && rows > 0) {
        x(rows / 2, 2) = 1e200;
        x.col(4).setConstant(nan);
        x(rows - 1, 5) = 1e-200;
    }
    return x;
}

// Fewer than eight series, whole groups, a band of four groups, and one more.
class Layouts : public testing::TestWithParam<Index> {};

TEST_P(Layouts, NeighboursOrderAndThreadsChangeNoBit) {
    const Index cols = GetParam(), rows = 601;
    const std::vector<double> wanted{0.9, 0, 0.5, 1};
    const Eigen::ArrayXXd x = world(rows, cols);
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> by_row = x;
    Eigen::ArrayXXd wide = Eigen::ArrayXXd::Constant(2 * rows, 3 * cols, -7);
    for (Index j = 0; j < cols; ++j)
        for (Index t = 0; t < rows; ++t) wide(2 * t, 3 * j) = x(t, j);
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> row_major(by_row.data(), rows, cols, Strides(1, cols));
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> strided(wide.data(), rows, cols, Strides(6 * rows, 2));

    std::vector<Summary> expected;
    Eigen::ArrayXXd levels(static_cast<Index>(wanted.size()), cols);
    for (Index j = 0; j < cols; ++j) {
        Eigen::ArrayXXd level;
        expected.push_back(summarize(x.col(j), 1, no_poll, wanted, &level).front());
        levels.col(j) = level;
    }
    for (const Samples& view : {Samples(x), Samples(row_major), Samples(strided)}) {
        for (const Index threads : {1, 2, 3, 0}) {
            Eigen::ArrayXXd found_levels;
            const auto found = summarize(view, threads, no_poll, wanted, &found_levels);
            ASSERT_EQ(found.size(), expected.size());
            for (std::size_t j = 0; j < found.size(); ++j) expect_same_bits(found[j], expected[j]);
            ASSERT_EQ(found_levels.size(), levels.size());
            for (Index i = 0; i < levels.size(); ++i)
                EXPECT_TRUE(same_bits(found_levels.reshaped()(i), levels.reshaped()(i))) << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Widths, Layouts, testing::Values<Index>(1, 7, 8, 9, 32, 41));

TEST(Summarize, AGapInANeighbourChangesNoBit) {
    Eigen::ArrayXXd x = world(300, 8);
    const auto before = summarize(x);
    for (const Index t : {0, 100, 255, 256, 299}) {
        Eigen::ArrayXXd torn = x;
        torn(t, 3) = nan;
        expect_same_bits(summarize(torn)[0], before[0]);
        expect_same_bits(summarize(torn)[7], before[7]);
    }
}

TEST(Summarize, QuantilesNotAskedForLeaveNoLevels) {
    Eigen::ArrayXXd levels;
    summarize(world(20, 3), 1, no_poll, {}, &levels);
    EXPECT_EQ(levels.rows(), 0);
    EXPECT_EQ(levels.cols(), 3);
}

struct Stop {};

TEST(Summarize, PollMayAbandonTheCall) {
    for (const Index threads : {1, 3}) {
        int polls = 0;
        const auto stop_at_second = [&] {
            if (++polls == 2) throw Stop{};
        };
        EXPECT_THROW(summarize(world(20, 40 * 500 /* so many that every thread gets some */), threads, stop_at_second),
                     Stop);
        EXPECT_EQ(polls, 2);
    }
}

TEST(SummarizeUsage, RefusedWithTheWholeMessage) {
    const auto asked = [](const Series& x, const Series& q, Index threads) {
        return refusal([&] { summarize_usage(column(x), q, threads); });
    };
    EXPECT_EQ(asked({}, {}, 1), "usage: must hold at least one sample (got shape (0, 1))");
    EXPECT_EQ(asked({1, inf}, {0.5}, 1), "usage: must be finite, or NaN where not observed (got inf)");
    EXPECT_EQ(asked({nan, -inf, 1}, {0.5}, 2), "usage: must be finite, or NaN where not observed (got -inf)");
    EXPECT_EQ(asked({1}, {0.5, 1.5}, 1), "quantiles: must lie in [0, 1] (got 1.5)");
    EXPECT_EQ(asked({1}, {nan}, 1), "quantiles: must lie in [0, 1] (got nan)");
    EXPECT_EQ(asked({1}, {}, -2), "threads: must be 0 (all of the machine's) or more (got -2)");
}

TEST(SummarizeUsage, IsTheSameInColumns) {
    const Eigen::ArrayXXd x = world(50, 9);
    const auto columns = summarize_usage(x, {0.25}, 2);
    const auto rows = summarize(x);
    for (Index j = 0; j < 9; ++j) {
        const Summary& s = rows[static_cast<std::size_t>(j)];
        expect_same_bits({columns.count(j), columns.mean(j), columns.sigma_population(j), columns.slope(j),
                          columns.min(j), columns.max(j), columns.last(j), columns.last_index(j)},
                         s);
        EXPECT_EQ(std::isnan(columns.quantiles(0, j)), s.count == 0);
    }
}

}  // namespace
}  // namespace surgetank::series
