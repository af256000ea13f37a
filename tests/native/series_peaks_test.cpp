// Windows that count, their maxima from the highest down, and stretches above a level: against slow twins.
#include "surgetank/series_peaks.hpp"

#include <gtest/gtest.h>

#include <tuple>
#include <utility>

#include "rolling.hpp"
#include "surgetank/series.hpp"

namespace surgetank::series {
namespace {

TEST(WindowLength, RoundsAndIsAtLeastOne) {
    EXPECT_EQ(window_length(86400, 300), 288);
    EXPECT_EQ(window_length(100, 300), 1);
    EXPECT_EQ(window_length(450, 300), 2);
    EXPECT_EQ(window_length(1e300, 1e-300), 1'000'000'000'000'000);
}

TEST(Windows, WithoutGapsAllCount) {
    const Windows windows(10, 4);
    EXPECT_EQ(windows.length(), 4);
    EXPECT_EQ(windows.starts(), 7);
    EXPECT_EQ(windows.count(), 7);
    EXPECT_EQ(windows.count(2, 4), 3);
    EXPECT_EQ(windows.count(6, 6), 1);
    EXPECT_EQ(windows.count(4, 3), 0);
    EXPECT_EQ(Windows(4, 4).count(), 1);
}

TEST(Windows, LongerThanTheSeriesThereIsNone) {
    for (const auto& windows : {Windows(3, 4), Windows(Series{1, -inf, 3}, 4, 4), Windows(Series{1, -inf, 3}, 4, 2)}) {
        EXPECT_EQ(windows.starts(), 0);
        EXPECT_EQ(windows.count(), 0);
    }
}

TEST(Windows, HandWorkedGaps) {
    const Series x{1, 2, -inf, 4, 5, 6, -inf, -inf, 9};
    const Windows complete(x, 3, 3), half(x, 3, 2);
    EXPECT_EQ(complete.starts(), 7);
    EXPECT_EQ(complete.count(), 1);      // 4 5 6
    EXPECT_EQ(complete.count(3, 3), 1);  //
    EXPECT_EQ(complete.count(0, 2), 0);
    EXPECT_EQ(half.count(), 5);  // all but those that start at 5 (6 · ·) and 6 (· · 9)
    EXPECT_EQ(half.count(5, 6), 0);
    EXPECT_EQ(half.count(3, 5), 2);
}

void expect_every_window_once(const Series& x, Index window, Index block) {
    const Index starts = std::max<Index>(0, static_cast<Index>(x.size()) - window + 1);
    Series found(static_cast<std::size_t>(starts), nan);
    PeaksDescending descending(x, window, block, block_tops(x, block));
    double before = inf;
    for (Peak peak; descending.next(peak);) {
        ASSERT_LE(peak.level, before);
        ASSERT_GE(peak.first, 0);
        ASSERT_LE(peak.first, peak.last);
        ASSERT_LT(peak.last, starts);
        before = peak.level;
        for (Index t = peak.first; t <= peak.last; ++t) {
            ASSERT_TRUE(std::isnan(found[static_cast<std::size_t>(t)])) << "window " << t << " twice";
            found[static_cast<std::size_t>(t)] = peak.level;
        }
    }
    for (Index t = 0; t < starts; ++t) {
        const double most = *std::max_element(x.begin() + t, x.begin() + t + window);
        if (most == -inf) EXPECT_TRUE(std::isnan(found[static_cast<std::size_t>(t)])) << "window " << t;
        else EXPECT_EQ(found[static_cast<std::size_t>(t)], most) << "window " << t;
    }
    Peak none;
    EXPECT_FALSE(descending.next(none));
}

class Peaks : public testing::TestWithParam<std::tuple<std::size_t, Index, Index>> {};

// Every window that holds a sample is given exactly once, with its own maximum, levels never rising: with many ties,
// few and none, without gaps and with hardly anything else.
TEST_P(Peaks, GiveEveryWindowOnceWithItsMaximum) {
    const auto [length, window, block] = GetParam();
    for (const int levels : {1, 4, 1'000'000})
        for (const double missing : {0.0, 0.3, 0.95})
            for (unsigned seed = 0; seed < 5; ++seed) {
                SCOPED_TRACE(testing::Message() << levels << " levels, " << missing << " missing, seed " << seed);
                expect_every_window_once(steps(length, levels, missing, seed), window, block);
            }
}

// Windows of 1, of the whole series, and longer; blocks of 1, that do not divide, and longer than the series.
INSTANTIATE_TEST_SUITE_P(Shapes, Peaks,
                         testing::Combine(testing::Values<std::size_t>(1, 61), testing::Values<Index>(1, 7, 61, 62),
                                          testing::Values<Index>(1, 16, 100)));

TEST(PeaksDescending, NothingObservedGivesNothing) {
    const Series x(9, -inf);
    PeaksDescending descending(x, 3);
    Peak peak;
    EXPECT_FALSE(descending.next(peak));
}

class Above : public testing::TestWithParam<std::tuple<std::size_t, Index, double>> {};

TEST_P(Above, AscendingDisjointAndComplete) {
    const auto [length, window, missing] = GetParam();
    for (unsigned seed = 0; seed < 5; ++seed) {
        const auto x = steps(length, 6, missing, seed);
        const Index starts = std::max<Index>(0, static_cast<Index>(length) - window + 1);
        for (const double level : {-1.0, 2.0, 4.0, 4.5, 5.0}) {
            std::vector<bool> found(static_cast<std::size_t>(starts), false);
            Index end = -2;
            windows_above(x, window, level, [&](Index first, Index last) {
                ASSERT_GT(first, end + 1);  // a stretch that touches the one before would be one with it
                ASSERT_LE(first, last);
                ASSERT_LT(last, starts);
                std::fill(found.begin() + first, found.begin() + last + 1, true);
                end = last;
            });
            for (Index t = 0; t < starts; ++t)
                EXPECT_EQ(found[static_cast<std::size_t>(t)],
                          std::any_of(x.begin() + t, x.begin() + t + window, [&](double u) { return u > level; }))
                    << "window " << t << " level " << level;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Above,
                         testing::Combine(testing::Values<std::size_t>(1, 40), testing::Values<Index>(1, 3, 40, 41),
                                          testing::Values(0.0, 0.5)));

// All slopes, sorted; the line through equal distances is exact, and one outlier does not move it.
TEST(TheilSen, HandWorked) {
    const auto line = theil_sen(Series{1, 3, 5, 7, 9, 11, 13}, 1.28);
    EXPECT_EQ(line.slope, 2);
    EXPECT_EQ(line.low, 2);
    EXPECT_EQ(line.high, 2);
    EXPECT_EQ(line.median, 7);
    EXPECT_EQ(line.count, 7);
    EXPECT_EQ(theil_sen(Series{1, 3, 5, 700, 9, 11, 13}, 1.28).slope, 2);
    const auto three = theil_sen(Series{0, 1, 5}, 0);  // slopes 1, 2.5, 4
    EXPECT_EQ(three.slope, 2.5);
    EXPECT_EQ(three.median, 1);
    const auto gap = theil_sen(Series{nan, 0, nan, 3, nan}, 0);
    EXPECT_EQ(gap.slope, 1.5);
    EXPECT_EQ(gap.count, 2);
}

TEST(TheilSen, TooFewValuesHaveNoLimits) {
    const auto none = theil_sen(Series{nan, nan}, 1.28);
    EXPECT_EQ(none.count, 0);
    EXPECT_TRUE(std::isnan(none.slope) && std::isnan(none.median));
    EXPECT_TRUE(std::isnan(theil_sen(Series{4}, 1.28).slope));
    const auto two = theil_sen(Series{4, 6}, 1.28);
    EXPECT_EQ(two.slope, 2);
    EXPECT_TRUE(std::isnan(two.low) && std::isnan(two.high));
}

// Sen (1968), as R. O. Gilbert (1987, ch. 16.5) words it: with C = z·√Var, the M1-th and the (M2 + 1)-th of the N
// slopes in ascending order, M1 = (N − C)/2 and M2 = (N + C)/2, rounded outwards.
TEST(TheilSen, LimitsEqualTheSortedSlopes) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        Series x = steps(12 + seed, 1000, 0, seed);
        x[3] = nan;
        Series slopes;
        for (std::size_t j = 0; j < x.size(); ++j)
            for (std::size_t i = 0; i < j; ++i)
                if (!std::isnan(x[i]) && !std::isnan(x[j]))
                    slopes.push_back((x[j] - x[i]) / static_cast<double>(j - i));
        std::sort(slopes.begin(), slopes.end());
        const auto n = static_cast<double>(x.size() - 1), pairs = static_cast<double>(slopes.size());
        for (const double z : {0.5, 1.2815515655446004, 1.96}) {
            const double c = z * std::sqrt(n * (n - 1) * (2 * n + 5) / 18);
            const auto nth = [&](double rank) { return slopes[static_cast<std::size_t>(rank) - 1]; };
            const auto trend = theil_sen(x, z);
            EXPECT_EQ(trend.low, nth(std::floor((pairs - c) / 2))) << "seed " << seed << " z " << z;
            EXPECT_EQ(trend.high, nth(std::ceil((pairs + c) / 2) + 1)) << "seed " << seed << " z " << z;
        }
    }
}

TEST(TheilSen, FallingIsRisingTurnedOver) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        Series x = steps(15, 1000, 0, seed), turned = x;
        for (auto& u : turned) u = -u;
        const auto a = theil_sen(x, 1.28), b = theil_sen(turned, 1.28);
        EXPECT_EQ(a.slope, -b.slope);
        EXPECT_EQ(a.low, -b.high);
        EXPECT_EQ(a.high, -b.low);
    }
}

}  // namespace
}  // namespace surgetank::series
