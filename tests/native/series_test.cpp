// Moments, rolling moments and quantiles: hand-worked numbers, and slow twins with two passes.
#include "surgetank/series.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <tuple>

namespace surgetank::series {
namespace {

std::vector<double> noise(std::size_t n, double center, double missing = 0, unsigned seed = 1) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    std::vector<double> x(n);
    for (auto& u : x) u = uniform(random) < missing ? nan : center + normal(random);
    return x;
}

template <class Real>
Moments<Real> of(const std::vector<double>& x) {
    Moments<Real> m;
    for (const double u : x) m.add(static_cast<Real>(u));
    return m;
}

TEST(Moments, HandWorked) {
    const auto m = of<double>({2, 4, 4, 4, 5, 5, 7, 9});
    EXPECT_EQ(m.count, 8);
    EXPECT_DOUBLE_EQ(m.mean, 5);
    EXPECT_DOUBLE_EQ(m.squares, 32);
    EXPECT_DOUBLE_EQ(m.variance(), 32.0 / 7);
}

TEST(Moments, VarianceNeedsTwoSamples) {
    EXPECT_TRUE(std::isnan(Moments<double>{}.variance()));
    EXPECT_TRUE(std::isnan(of<double>({3}).variance()));
    EXPECT_EQ(of<double>({3, 3}).variance(), 0);
}

TEST(Combine, EqualsAllSamplesTogether) {
    const auto all = of<double>({1, 2, 3, 10, 20});
    const auto joined = combine(of<double>({1, 2, 3}), of<double>({10, 20}));
    EXPECT_EQ(joined.count, all.count);
    EXPECT_DOUBLE_EQ(joined.mean, all.mean);
    EXPECT_DOUBLE_EQ(joined.squares, all.squares);
}

TEST(Combine, AnEmptySideChangesNothing) {
    const auto some = of<double>({1, 2, 4});
    for (const auto& joined : {combine(some, Moments<double>{}), combine(Moments<double>{}, some)}) {
        EXPECT_EQ(joined.count, 3);
        EXPECT_EQ(joined.mean, some.mean);
        EXPECT_EQ(joined.squares, some.squares);
    }
    EXPECT_EQ(combine(Moments<double>{}, Moments<double>{}).count, 0);
}

// (length, window): shorter than the window, equal, one more, whole blocks, and a last block that is not full.
class Rolling : public testing::TestWithParam<std::tuple<std::size_t, Index>> {};

TEST_P(Rolling, EqualsTwoPassesOverEachWindow) {
    const auto [length, window] = GetParam();
    const auto x = noise(length, 100, 0.2);
    std::vector<Index> visited;
    rolling_moments<double>(x, window, [&](Index t, const Moments<double>& m) {
        visited.push_back(t);
        std::vector<double> inside;
        for (Index i = t - window + 1; i <= t; ++i)
            if (const double u = x[static_cast<std::size_t>(i)]; !std::isnan(u)) inside.push_back(u);
        ASSERT_EQ(m.count, static_cast<Index>(inside.size()));
        if (inside.empty()) return;
        const double mean = std::accumulate(inside.begin(), inside.end(), 0.0) / static_cast<double>(inside.size());
        double squares = 0;
        for (const double u : inside) squares += (u - mean) * (u - mean);
        EXPECT_NEAR(m.mean, mean, 1e-12 * std::abs(mean));
        EXPECT_NEAR(m.squares, squares, 1e-12 * std::max(squares, 1.0));
    });
    const auto visits = std::max<Index>(0, static_cast<Index>(length) - window + 1);
    ASSERT_EQ(static_cast<Index>(visited.size()), visits);
    for (Index i = 0; i < visits; ++i) EXPECT_EQ(visited[static_cast<std::size_t>(i)], window - 1 + i);
}

INSTANTIATE_TEST_SUITE_P(LengthsAndWindows, Rolling,
                         testing::Combine(testing::Values<std::size_t>(1, 2, 9, 10, 11, 40, 57),
                                          testing::Values<Index>(2, 3, 10, 13)));

TEST(RollingMoments, AnOutlierLeavesNoResidue) {
    std::vector<double> x(40, 5.0);
    x[12] = 1e9;
    rolling_moments<double>(x, 10, [&](Index t, const Moments<double>& m) {
        if (t >= 12 && t < 22) return;
        EXPECT_EQ(m.mean, 5.0) << t;
        EXPECT_EQ(m.squares, 0.0) << t;
    });
}

struct QuantileCase {
    std::vector<double> values;
    double q, expected;
};

class Quantile : public testing::TestWithParam<QuantileCase> {};

TEST_P(Quantile, HandWorked) {
    auto [values, q, expected] = GetParam();
    EXPECT_DOUBLE_EQ(quantile(values, q), expected);
}

INSTANTIATE_TEST_SUITE_P(Type7, Quantile,
                         testing::Values(QuantileCase{{7}, 0.95, 7}, QuantileCase{{2, 1}, 0.5, 1.5},
                                         QuantileCase{{3, 1, 2}, 0, 1}, QuantileCase{{3, 1, 2}, 1, 3},
                                         QuantileCase{{4, 1, 3, 2}, 0.95, 3.85}, QuantileCase{{1, 2, 3, 4, 5}, .25, 2},
                                         QuantileCase{{0.1, 0.1, 0.1}, 0.7, 0.1}, QuantileCase{{-1, -3}, 0.25, -2.5}));

TEST(Quantile, OfNothingIsUnknown) {
    std::vector<double> none;
    EXPECT_TRUE(std::isnan(quantile(none, 0.5)));
}

TEST(ForEachSeries, ContiguousColumnsAreNotCopied) {
    const Eigen::ArrayXXd x = Eigen::ArrayXXd::Random(5, 3);
    for_each_series(x, no_poll,
                    [&](Index j, std::span<const double> column) { EXPECT_EQ(column.data(), x.col(j).data()); });
}

// 19 columns: two full groups of eight and a rest.
TEST(ForEachSeries, EveryLayoutGivesTheSameSamplesInOrder) {
    const Eigen::ArrayXXd x = Eigen::ArrayXXd::Random(23, 19);
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = x;
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> row_major(rows.data(), 23, 19, Strides(1, 19));
    for (const Samples& view : {Samples(x), Samples(row_major)}) {
        Index next = 0;
        int polls = 0;
        for_each_series(
            view, [&] { ++polls; },
            [&](Index j, std::span<const double> column) {
                EXPECT_EQ(j, next++);
                ASSERT_EQ(column.size(), 23U);
                EXPECT_TRUE(std::equal(column.begin(), column.end(), x.col(j).data()));
            });
        EXPECT_EQ(next, 19);
        EXPECT_EQ(polls, 3);
    }
}

}  // namespace
}  // namespace surgetank::series
