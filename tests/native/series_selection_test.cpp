// Quantiles of many series: exact order statistics of whatever there is, compared with std::sort.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>

#include "surgetank/series.hpp"
#include "surgetank/series_summary.hpp"

namespace surgetank::series {
namespace {

using Series = std::vector<double>;

// Unsorted, with duplicates, both ends, and neighbours in rank.
const Series wanted{0.5, 0, 1, 0.95, 0.5, 0.001, 0.999, 0.25, 0, 0.9999};

Series sorted_quantiles(Series x, const Series& quantiles) {
    std::erase_if(x, [](double u) { return std::isnan(u); });
    std::sort(x.begin(), x.end());
    Series out;
    for (const double q : quantiles) {
        if (x.empty()) {
            out.push_back(nan);
            continue;
        }
        const double position = q * static_cast<double>(x.size() - 1);
        const auto below = static_cast<std::size_t>(position);
        const double part = position - static_cast<double>(below);
        out.push_back(part == 0 ? x[below] : between(x[below], x[std::min(below + 1, x.size() - 1)], part));
    }
    return out;
}

Eigen::ArrayXXd beside_others(const Series& x) {
    Eigen::ArrayXXd out(static_cast<Index>(x.size()), 3);
    for (Index t = 0; t < out.rows(); ++t) {
        out(t, 0) = static_cast<double>(t % 7);
        out(t, 1) = x[static_cast<std::size_t>(t)];
        out(t, 2) = t % 2 == 0 ? nan : -1.0;
    }
    return out;
}

void expect_sorted(const Series& x, const Series& quantiles = wanted) {
    const auto expected = sorted_quantiles(x, quantiles);
    const Eigen::ArrayXXd columns = beside_others(x);
    const Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows = columns;
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> row_major(rows.data(), rows.rows(), 3, Strides(1, 3));
    for (const Samples& view : {Samples(columns), Samples(row_major)}) {
        Eigen::ArrayXXd levels;
        summarize(view, 1, no_poll, quantiles, &levels);
        ASSERT_EQ(levels.rows(), static_cast<Index>(quantiles.size()));
        for (std::size_t i = 0; i < quantiles.size(); ++i) {
            const double found = levels(static_cast<Index>(i), 1);
            // ==, so that 0 and −0 are equal: std::sort may leave either of them first.
            EXPECT_TRUE(found == expected[i] || (std::isnan(found) && std::isnan(expected[i])))
                << "q = " << quantiles[i] << ": " << found << " for " << expected[i];
        }
    }
}

struct Case {
    std::string name;
    Series x;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

Series made(std::size_t n, const std::function<double(std::size_t)>& value, unsigned seed = 7) {
    Series x(n);
    for (std::size_t i = 0; i < n; ++i) x[i] = value(i);
    std::shuffle(x.begin(), x.end(), std::mt19937_64(seed));
    return x;
}

Series normal(std::size_t n) {
    std::mt19937_64 random(3);
    std::normal_distribution<double> value;
    return made(n, [&](std::size_t) { return value(random); });
}

Series with(Series x, const Series& others) {
    x.insert(x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), others.begin(), others.end());
    return x;
}

std::vector<Case> cases() {
    constexpr std::size_t n = 3000;
    const auto decades = [](std::size_t i) { return std::pow(10.0, -300 + 600.0 * static_cast<double>(i) / n); };
    std::vector<Case> out{
        {"constant", Series(n, 0.1)},
        {"two values", made(n, [](std::size_t i) { return i % 3 == 0 ? 1.0 : 2.0; })},
        {"two neighbours", made(n, [](std::size_t i) { return i % 2 == 0 ? 1.0 : std::nextafter(1.0, 2.0); })},
        {"an outlier of 1e9", with(normal(n), {1e9})},
        {"an outlier of -1e300", with(normal(n), {-1e300})},
        {"outliers on both sides", with(normal(n), {1e300, -1e300, 1e15, -1e15})},
        {"600 decades", made(n, decades)},
        {"600 decades below 0", made(n, [&](std::size_t i) { return -decades(i); })},
        {"600 decades of both signs", made(n, [&](std::size_t i) { return i % 2 == 0 ? decades(i) : -decades(i); })},
        {"denormals", made(n, [](std::size_t i) { return static_cast<double>(i % 900) * 5e-324; })},
        {"denormals of both signs", made(n, [](std::size_t i) { return (static_cast<double>(i) - 1500) * 1e-310; })},
        {"the narrowest range that has bins", made(n, [](std::size_t i) { return static_cast<double>(i) * 5e-310; })},
        {"zeros of both signs", made(n, [](std::size_t i) { return i % 2 == 0 ? 0.0 : -0.0; })},
        {"many ties", made(n, [](std::size_t i) { return static_cast<double>(i * i % 11); })},
        {"ties and a tail", with(Series(n, 5.0), normal(300))},
        {"one value fills a bin", with(Series(n, 0.5), made(300, [](std::size_t i) { return 1e-7 * double(i); }))},
        {"far from 0", made(n, [](std::size_t i) { return 1e9 + 1e-6 * static_cast<double>(i); })},
        {"the last digit only", made(n, [](std::size_t i) { return 1.0 + 0x1p-52 * static_cast<double>(i); })},
        {"nested clusters", made(n, [](std::size_t i) { return std::pow(0.001, static_cast<double>(i % 60)); })},
        {"1e308 on one side", made(n, [](std::size_t i) { return 1e308 * static_cast<double>(i % 100) / 100; })},
    };
    auto gappy = normal(n);
    for (std::size_t i = 0; i < n; i += 3) gappy[i] = nan;
    out.push_back({"gaps", gappy});
    Series lone(n, nan);
    lone[1234] = -7;
    out.push_back({"one observed", lone});
    out.push_back({"nothing observed", Series(n, nan)});
    for (const std::size_t few : {1u, 2u, 3u, 255u, 256u, 257u, 258u, 513u})
        out.push_back({std::to_string(few) + " samples", normal(few)});
    return out;
}

class Selected : public testing::TestWithParam<Case> {};

TEST_P(Selected, EqualsSorting) { expect_sorted(GetParam().x); }

INSTANTIATE_TEST_SUITE_P(Nasty, Selected, testing::ValuesIn(cases()));

TEST(Selection, RanksNextToEachOtherAndAllOfThem) {
    Series every(258);
    for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<double>(i) / 257;
    expect_sorted(normal(1029), every);
    expect_sorted(normal(1029), {1});
    expect_sorted(normal(1029), {0, 0, 0});
}

TEST(Selection, AMillionSortedReversedAndShuffledAreTheSame) {
    Series x = normal(1'000'000);
    std::sort(x.begin(), x.end());
    const auto expected = sorted_quantiles(x, wanted);
    auto reversed = x, shuffled = x;
    std::reverse(reversed.begin(), reversed.end());
    std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937_64(1));
    for (const auto* order : {&x, &reversed, &shuffled}) {
        Eigen::ArrayXXd levels;
        const Eigen::Map<const Eigen::ArrayXXd> column(order->data(), static_cast<Index>(order->size()), 1);
        summarize(column, 1, no_poll, wanted, &levels);
        for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(levels(static_cast<Index>(i), 0), expected[i]);
    }
}

TEST(Selection, RandomScalesAndTies) {
    std::mt19937_64 random(17);
    std::normal_distribution<double> value;
    for (int round = 0; round < 300; ++round) {
        const std::size_t n = 1 + random() % 1500;
        const int kind = static_cast<int>(random() % 4), spread = static_cast<int>(random() % 600);
        Series x(n);
        for (auto& u : x) {
            u = value(random);
            if (kind == 1) u = std::round(u * 3);
            if (kind == 2) u = std::ldexp(u, static_cast<int>(random() % 1200) - 600);
            if (kind == 3) u = std::ldexp(u, -static_cast<int>(random() % static_cast<unsigned>(spread + 1)));
            if (random() % 10 == 0) u = nan;
        }
        expect_sorted(x);
    }
}

}  // namespace
}  // namespace surgetank::series
