#include "surgetank/rolling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "lanes_data.hpp"
#include "refusal.hpp"
#include "surgetank/series.hpp"

namespace surgetank::rolling {
namespace {

using Series = std::vector<double>;

/// A row for each probability.
std::vector<Series> quantiles(const Series& x, Index window, const Series& probabilities, Index first = 0,
                              Index every = 1) {
    Ranked ranked;
    ranked.rank(x);
    std::vector<Series> out;
    std::vector<double*> rows;
    for (std::size_t k = 0; k < probabilities.size(); ++k)
        out.emplace_back(static_cast<std::size_t>(windows(static_cast<Index>(x.size()), first, every)), -1);
    for (auto& row : out) rows.push_back(row.data());
    Quantiles()(ranked, window, probabilities, first, every, rows);
    return out;
}

Series quantile(const Series& x, Index window, double probability, Index first = 0, Index every = 1) {
    return quantiles(x, window, {probability}, first, every).front();
}

/// The slow, obvious way.
Series obvious(const Series& x, Index window, double probability, Index first = 0, Index every = 1) {
    Series out;
    for (Index end = first; end < static_cast<Index>(x.size()); end += every) {
        Series inside;
        for (Index t = std::max<Index>(0, end - window + 1); t <= end; ++t)
            if (const double u = x[static_cast<std::size_t>(t)]; !std::isnan(u)) inside.push_back(u);
        out.push_back(series::quantile(inside, probability));
    }
    return out;
}

/// Equal as numbers are, and NaN to NaN.
void expect_equal(const Series& found, const Series& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (std::isnan(expected[i])) ASSERT_TRUE(std::isnan(found[i])) << "window " << i;
        else ASSERT_EQ(found[i], expected[i]) << "window " << i;
    }
}

Series noise(std::size_t n, unsigned seed, double missing = 0, int levels = 0) {
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> value(3, 1);
    std::uniform_real_distribution<double> uniform;
    Series x(n);
    for (double& u : x) {
        u = levels > 0 ? static_cast<double>(random() % static_cast<std::uint64_t>(levels)) : value(random);
        if (uniform(random) < missing) u = nan;
    }
    return x;
}

void expect_ranks(Ranked& ranked, const Series& x) {
    std::vector<std::size_t> order;
    for (std::size_t t = 0; t < x.size(); ++t)
        if (!std::isnan(x[t])) order.push_back(t);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] < x[b]; });
    std::vector<std::int32_t> ranks(x.size(), -1);
    Series sorted;
    for (const std::size_t t : order) {
        ranks[t] = static_cast<std::int32_t>(sorted.size());
        sorted.push_back(x[t]);
    }
    ranked.rank(x);
    EXPECT_EQ(ranked.ranks(), ranks);
    EXPECT_TRUE(same_bits(Series(ranked.sorted().begin(), ranked.sorted().end()), sorted));
}

TEST(Rolling, RanksEqualSamplesByTime) {
    Ranked ranked;
    ranked.rank(Series{3, nan, 1, 3, 2});
    EXPECT_EQ(ranked.ranks(), (std::vector<std::int32_t>{2, -1, 0, 3, 1}));
    EXPECT_EQ(Series(ranked.sorted().begin(), ranked.sorted().end()), (Series{1, 2, 3, 3}));
}

TEST(Rolling, RanksWhateverTheValuesAndKeepsItsMemory) {
    Ranked ranked;
    Series wide = noise(999, 1, 0.1);
    for (double& u : wide) u = std::pow(u, 60);  // nearly all in one drawer
    Series narrow = noise(500, 2, 0, 3);
    for (double& u : narrow) u *= 5e-324;
    Series huge = noise(300, 3, 0.2);
    huge[7] = 1.7e308, huge[8] = -1.7e308;
    Series stepped = noise(4096, 4);
    std::sort(stepped.begin(), stepped.end(), std::greater<>());
    for (const Series& x : {noise(5000, 5), noise(3, 6), Series{}, wide, narrow, Series(77, 4.5), Series(5, nan), huge,
                            noise(2000, 7, 0.5, 4), Series{1}, Series{nan, 2}, Series{0.0, -0.0, 0.0}, stepped})
        expect_ranks(ranked, x);
}

TEST(Rolling, HandWorked) {
    const Series x{10, 20, 30, 0, 40};
    EXPECT_EQ(quantile(x, 3, 0.5), (Series{10, 15, 20, 20, 30}));
    EXPECT_EQ(quantile(x, 3, 1), (Series{10, 20, 30, 30, 40}));
    EXPECT_EQ(quantile(x, 3, 0), (Series{10, 10, 10, 0, 0}));
    EXPECT_EQ(quantile(x, 3, 0.25), (Series{10, 12.5, 15, 10, 15}));
    EXPECT_EQ(quantile(x, 3, 0.75), (Series{10, 17.5, 25, 25, 35}));
    EXPECT_EQ(quantile(x, 1, 0.3), x);
    EXPECT_EQ(quantile(x, 2, 0.5), (Series{10, 15, 25, 15, 20}));
}

TEST(Rolling, LeavesOutWhatWasNotObserved) {
    const Series x{nan, 2, nan, nan, 6, 8};
    expect_equal(quantile(x, 2, 0.5), {nan, 2, 2, nan, 6, 7});
    expect_equal(quantile(x, 5, 0.5), {nan, 2, 2, 2, 4, 6});
    expect_equal(quantile(x, 200, 1), {nan, 2, 2, 2, 6, 8});
    expect_equal(quantile(Series(300, nan), 2, 0.5), Series(300, nan));
    expect_equal(quantile(Series(300, nan), 150, 0.5), Series(300, nan));
}

TEST(Rolling, StartsLaterAndSkips) {
    const Series x{5, 1, 4, 2, 3, 9, 7};
    EXPECT_EQ(quantile(x, 3, 1, 2), (Series{5, 4, 4, 9, 9}));
    EXPECT_EQ(quantile(x, 3, 1, 2, 3), (Series{5, 9}));
    EXPECT_EQ(quantile(x, 3, 1, 0, 6), (Series{5, 9}));
    EXPECT_EQ(quantile(x, 2, 0, 1, 4), (Series{1, 3}));  // further apart than long
    EXPECT_EQ(quantile(x, 2, 0, 6, 100), (Series{7}));
    EXPECT_TRUE(quantile(x, 3, 1, 7).empty());
    EXPECT_TRUE(quantile({}, 3, 1).empty());
}

TEST(Rolling, CountsItsWindows) {
    EXPECT_EQ(windows(7, 2, 3), 2);
    EXPECT_EQ(windows(7, 0, 1), 7);
    EXPECT_EQ(windows(7, 6, 5), 1);
    EXPECT_EQ(windows(7, 7, 1), 0);
    EXPECT_EQ(windows(0, 0, 1), 0);
}

TEST(Rolling, OneSampleAndWindowsLongerThanTheSeries) {
    for (const Index window : {1, 2, 128, 129, 100'000}) {
        EXPECT_EQ(quantile({42}, window, 0.3), Series{42});
        expect_equal(quantile({nan}, window, 0.3), {nan});
    }
    const Series x = noise(200, 8, 0.1);
    for (const Index window : {Index{200}, Index{201}, Index{1} << 60})
        for (const double p : {0.0, 0.4, 1.0}) EXPECT_TRUE(same_bits(quantile(x, window, p), quantile(x, 199 + 1, p)));
    expect_equal(quantile(x, Index{1} << 60, 0.4), obvious(x, 1000, 0.4));
}

TEST(Rolling, EqualNeighboursGiveThemselvesAndNothingOverflows) {
    EXPECT_EQ(quantile({0.1, 0.1, 0.1}, 3, 1.0 / 3), Series(3, 0.1));
    const double most = 1.7e308;
    EXPECT_EQ(quantile({-most, most}, 2, 0.25).back(), -most * 0.75 + most * 0.25);
    EXPECT_EQ(quantile({-most, most}, 2, 0.5).back(), 0);
}

// Lists and words (from 129 samples on), at the ends of registers and words.
TEST(Rolling, EqualsTheQuantileOfEachWindow) {
    unsigned seed = 100;
    for (const Index window : {1, 2, 3, 16, 17, 31, 32, 33, 64, 127, 128, 129, 192, 193, 400})
        for (const auto& [missing, ties] : {std::pair{0.0, 0}, {0.4, 0}, {0.1, 3}, {0.97, 2}}) {
            const Series x = noise(700, ++seed, missing, ties);
            const Series p{0, 1.0 / 3, 0.5, 0.95, std::nextafter(1, 0), 1};
            std::vector<Series> wanted;
            for (const double q : p) wanted.push_back(obvious(x, window, q));
            for (const auto& [first, every] :
                 {std::pair{0u, 1u}, {1u, 1u}, {13u, 7u}, {400u, 1u}, {699u, 1u}, {300u, 150u}}) {
                SCOPED_TRACE(testing::Message() << window << " " << missing << " " << first << " " << every);
                const auto found = quantiles(x, window, p, first, every);
                for (std::size_t k = 0; k < p.size(); ++k) {
                    Series some;
                    for (std::size_t t = first; t < x.size(); t += every) some.push_back(wanted[k][t]);
                    expect_equal(found[k], some);
                }
                if (HasFatalFailure()) return;
            }
        }
}

TEST(Rolling, ManyQuantilesAtOnceAreThoseOneByOne) {
    const Series x = noise(900, 9, 0.2);
    for (const std::size_t many : {0u, 1u, 15u, 16u, 17u, 32u, 33u, 50u})
        for (const Index window : {20, 300}) {
            Series p;
            for (std::size_t k = 0; k < many; ++k) p.push_back(std::fmod(0.37 * static_cast<double>(k), 1.0));
            const auto found = quantiles(x, window, p, 3, 2);
            ASSERT_EQ(found.size(), many);
            for (std::size_t k = 0; k < many; ++k) ASSERT_TRUE(same_bits(found[k], quantile(x, window, p[k], 3, 2)));
        }
}

// More samples than 16 bits count, and what the memory held before.
TEST(Rolling, LongSeriesAndTheNextOneInTheSameMemory) {
    Ranked ranked;
    Quantiles rolled;
    for (const std::size_t samples : {40'000u, 300u, 40'001u, 1u})
        for (const Index window : {9, 128, 5000}) {
            const Series x = noise(samples, static_cast<unsigned>(samples), 0.01);
            ranked.rank(x);
            Series low(static_cast<std::size_t>(windows(static_cast<Index>(samples), 0, 97))), high(low.size());
            double* const rows[] = {low.data(), high.data()};
            rolled(ranked, window, Series{0.1, 0.99}, 0, 97, rows);
            expect_equal(low, obvious(x, window, 0.1, 0, 97));
            expect_equal(high, obvious(x, window, 0.99, 0, 97));
        }
}

TEST(Rolling, Refuses) {
    const auto of = [](Index window, double p) { return refusal([=] { quantile({1, 2}, window, p); }); };
    EXPECT_EQ(of(0, 0.5), "window: must be at least one sample (got 0)");
    EXPECT_EQ(of(-3, 0.5), "window: must be at least one sample (got -3)");
    EXPECT_EQ(of(1, 1.5), "quantile: must lie in [0, 1] (got 1.5)");
    EXPECT_EQ(of(1, -0.5), "quantile: must lie in [0, 1] (got -0.5)");
    EXPECT_EQ(of(1, nan), "quantile: must lie in [0, 1] (got nan)");
    Ranked ranked;
    ranked.rank(Series{1, 2});
    const auto at = [&](Index first, Index every) {
        return refusal([&] { Quantiles()(ranked, 1, {}, first, every, {}); });
    };
    EXPECT_EQ(at(-1, 1), "first: must be 0 or more (got -1)");
    EXPECT_EQ(at(0, 0), "every: must be at least one sample (got 0)");
}

}  // namespace
}  // namespace surgetank::rolling
