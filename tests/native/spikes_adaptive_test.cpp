// The parts of the recommended detector, worked by hand; one series of it; what it takes back of kept numbers.
#include "surgetank/spikes_adaptive.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "refusal.hpp"
#include "surgetank/spikes_stream.hpp"

namespace surgetank::spikes {
namespace {

const double bin = 6 * std::log10(2.0) / 4;  // decades for a bin beyond the record

TEST(LongMean, IsPlainForAStartAndExponentialThen) {
    LongMean mean(4);
    EXPECT_TRUE(mean.empty());
    for (const double x : {8.0, 4.0, 6.0, 2.0}) mean.add(x);
    EXPECT_FALSE(mean.empty());
    EXPECT_DOUBLE_EQ(mean.mean, 5);
    mean.add(9);
    EXPECT_DOUBLE_EQ(mean.mean, 6);  // a quarter of the way
    mean.add(-2);
    EXPECT_DOUBLE_EQ(mean.mean, 4);
    EXPECT_EQ(mean.count, 4);
}

TEST(WindowMean, IsOfTheLastSamplesOrOfFewerAtTheStart) {
    for (const Index k : {1, 2, 3, 7}) {
        WindowMean mean(k);
        std::vector<double> all;
        for (int t = 0; t < 40; ++t) {
            all.push_back((t * 37 % 11) * 0.25);
            double sum = 0;
            const auto from = std::max<std::ptrdiff_t>(0, std::ssize(all) - k);
            for (auto i = from; i < std::ssize(all); ++i) sum += all[static_cast<std::size_t>(i)];
            EXPECT_DOUBLE_EQ(mean.add(all.back()), sum / static_cast<double>(std::ssize(all) - from)) << k << " " << t;
        }
    }
}

TEST(WindowMean, WhatHasLeftLeavesNothing) {
    WindowMean mean(3);
    for (const double x : {1e300, 1.0, 2.0, 3.0}) mean.add(x);
    EXPECT_EQ(mean.add(4), 3);
}

// As if 60 deviations had been learnt from: enough, and most of them 0.
double rank(Rarity& rarity, double deviation) {
    rarity.total = 60;
    return rarity.add(deviation, true);
}
double decades(double as_large) { return std::log10(61 / (as_large + 1)); }

TEST(Rarity, RanksAmongWhatWasThereOnItsOwnSide) {
    Rarity rarity;
    for (const double d : {1.0, 2.0, 4.0, 8.0, -1.0, -100.0}) rarity.add(d, false);
    Rarity copy = rarity;
    EXPECT_NEAR(rank(copy, 8), decades(1), 1e-14);  // 8 is as large
    copy = rarity;
    EXPECT_NEAR(rank(copy, 3), decades(2), 1e-14);  // 4 and 8
    copy = rarity;
    EXPECT_NEAR(rank(copy, 0.001), decades(4), 1e-14);
    copy = rarity;
    EXPECT_NEAR(rank(copy, -1.5), decades(1), 1e-14);  // −100
}

TEST(Rarity, BeyondTheRecordEveryBinCounts) {
    Rarity rarity;
    rarity.add(1, false);
    Rarity copy = rarity;
    EXPECT_NEAR(rank(copy, 1.25), decades(0) + bin, 1e-14);
    EXPECT_NEAR(rank(rarity, 2), decades(0) + 4 * bin, 1e-14);
    EXPECT_NEAR(rank(rarity, 2), decades(1), 1e-14);  // now it has been there
}

TEST(Rarity, StopsAtFifteenDecadesAndFortyOctavesBelow) {
    Rarity rarity;
    rarity.add(1e100, false);
    EXPECT_EQ(rank(rarity, 1e200), 15);
    Rarity low;
    low.add(1, false);
    low.add(1e-300, false);
    EXPECT_NEAR(rank(low, 1e-200), decades(2), 1e-14);  // in one bin with the one before
}

// A first deviation next to nothing would leave all later ones in the topmost bin.
TEST(Rarity, BinsMoveUpWithWhatTheyHold) {
    for (const double first : {5e-324, 1e-300, 1e-20}) {
        Rarity rarity, plain;
        rarity.add(first, false);
        plain.add(0.001, false);
        for (const double d : {1.0, 2.0, 4.0, 8.0, -1.0, -100.0}) {
            rarity.add(d, false);
            plain.add(d, false);
        }
        for (const double d : {8.0, 3.0, 0.5, -1.5, 1e6}) {
            Rarity one = rarity, other = plain;
            EXPECT_NEAR(rank(one, d), rank(other, d), 1.5 * bin) << first << " " << d;  // the edges of bins differ
        }
        Rarity anew = rarity;
        for (auto& side : anew.counts) Rarity::count_anew(side);
        EXPECT_EQ(anew.counts, rarity.counts);
    }
}

TEST(Rarity, OnlyLearnsFromTheFirstFiftyAndFromNoneThatIsNotThereYet) {
    Rarity rarity;
    EXPECT_EQ(rarity.add(nan, true), 0);
    EXPECT_EQ(rarity.total, 0);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(rarity.add(i == 0 ? 1 : 1e9, true), 0);
    EXPECT_NEAR(rarity.add(1e9, true), std::log10(51.0 / 50), 1e-14);
    EXPECT_EQ(rarity.total, 51);
}

TEST(Rarity, NothingIsNoDeviation) {
    Rarity rarity;
    for (const double none : {0.0, -0.0}) EXPECT_EQ(rank(rarity, none), 0);
    EXPECT_EQ(rarity.unit, 0);
    EXPECT_EQ(rarity.record, (std::array<std::int32_t, 2>{0, 0}));
    EXPECT_EQ(rank(rarity, -3), 15);  // 160 bins beyond a record of none
}

TEST(Rarity, CountsMadeAnewAreTheCountsThatWereKept) {
    Rarity rarity;
    std::mt19937_64 random(1);
    std::normal_distribution<double> exponent(0, 20);
    for (int i = 0; i < 5000; ++i) rarity.add(std::exp2(exponent(random)) * (i % 3 == 0 ? -1 : 1), i % 2 == 0);
    for (auto& side : rarity.counts) {
        auto anew = side;
        std::fill(anew.begin() + Rarity::most, anew.end(), -7);
        Rarity::count_anew(anew);
        EXPECT_TRUE(std::equal(anew.begin(), anew.end() - 2, side.begin()));
    }
}

TEST(AdaptiveOptions, RefusedWithTheWholeMessage) {
    for (const auto& [value, text] : {std::pair{0.0, "0"}, {-1.0, "-1"}, {nan, "nan"}, {inf, "inf"}}) {
        EXPECT_EQ(refusal([&] { check({.threshold = value}); }),
                  fmt::format("threshold: must be a positive finite number (got {})", text));
        EXPECT_EQ(refusal([&] { check({.step_s = value}); }),
                  fmt::format("step_s: must be a positive number of seconds (got {})", text));
    }
    EXPECT_NO_THROW(check({.threshold = 1e-300, .both = false, .step_s = 1e300}));
}

std::vector<Judgement> judged(Adaptive& series, const std::vector<double>& x) {
    std::vector<Judgement> out;
    for (const double u : x) out.push_back(series.add(u));
    return out;
}

// A level of 100 and 101 by turns, and one sample of 200.
std::vector<double> one_spike(std::size_t at, std::size_t length) {
    std::vector<double> x(length);
    for (std::size_t t = 0; t < length; ++t) x[t] = 100 + static_cast<double>(t % 2);
    x[at] = 200;
    return x;
}

TEST(Adaptive, FindsWhatStandsOutOnceItHasLearntEnough) {
    const AdaptiveOptions hourly{.step_s = 3600};  // a day is 24 samples
    Adaptive early(hourly), late(hourly), day(AdaptiveOptions{});
    EXPECT_FALSE(judged(day, one_spike(287, 290))[287].flag);
    EXPECT_FALSE(judged(early, one_spike(49, 60))[49].flag);
    const auto found = judged(late, one_spike(50, 60));
    for (std::size_t t = 0; t < 50; ++t) EXPECT_EQ(found[t].likelihood, 0);
    EXPECT_TRUE(found[50].flag);
    EXPECT_GE(found[50].score, AdaptiveOptions{}.threshold);
    EXPECT_NEAR(found[50].ratio, 200 / 100.5, 1e-12);
    EXPECT_TRUE(std::isnan(found[0].ratio));
}

TEST(Adaptive, ADropIsNoneWhereOnlyUpwardSpikesAreWanted) {
    auto x = one_spike(200, 201);
    const AdaptiveOptions hourly{.step_s = 3600}, only_up{.both = false, .step_s = 3600};
    Adaptive both(hourly), up(only_up), above(only_up);
    EXPECT_TRUE(judged(above, x)[200].flag);
    x[200] = 10;  // which is much movement, too
    EXPECT_TRUE(judged(both, x)[200].flag);
    EXPECT_LT(judged(up, x)[200].likelihood, 0.6);  // less than the sample before, of which 0.6 remains
}

TEST(Adaptive, AMissingSampleIsNotJudged) {
    Adaptive series(AdaptiveOptions{});
    const Judgement missing = series.add(nan);
    EXPECT_FALSE(missing.flag);
    EXPECT_TRUE(std::isnan(missing.score) && std::isnan(missing.likelihood) && std::isnan(missing.ratio));
}

TEST(Adaptive, TheLargestNumbersAreJudged) {
    const double most = std::numeric_limits<double>::max();
    for (const double size : {most, 0x1p900, 0x1p-1074, 0x1p-1000}) {
        Adaptive series(AdaptiveOptions{});
        for (int t = 0; t < 400; ++t) {
            const Judgement found = series.add(t % 7 == 0 ? -size : t % 5 == 0 ? size : t % 3 * (size / 4));
            ASSERT_TRUE(std::isfinite(found.score)) << size << " " << t;
        }
    }
}

/// Every number that is kept, one after another: put in by position.
struct Poke {
    template <class Number>
    void operator()(Number& x) {
        if (at++ == place) x = static_cast<Number>(value);
    }
    std::size_t place;
    std::int64_t value;
    std::size_t at = 0;
};

TEST(Adaptive, KeptNumbersAreRefusedOrDoNoHarm) {
    Adaptive learnt(AdaptiveOptions{.step_s = 3600});
    const auto x = one_spike(60, 100);
    judged(learnt, x);
    std::size_t numbers = 0, refused = 0;
    learnt.visit([&](auto&) { ++numbers; });
    for (std::size_t place = 0; place < numbers; ++place) {
        for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{1} << 30, -(std::int64_t{1} << 31)}) {
            Adaptive series = learnt;
            series.visit(Poke{place, value});
            if (!series.restored()) ++refused;
            else judged(series, x);
        }
    }
    // All but places and counts are doubles and flags, any of which there may be: 4 means, 5 windows, delayed, slot,
    // observed, missing, since, 5 totals, and 10 · 322 + 10 ranks. (A place of 2³⁰ is outside, a count is not; −1 is a
    // record.)
    EXPECT_EQ(refused, 4 * 2 + 5 * 3 + 3 + 3 + 3 * 2 + 5 * 2 + 3220 * 3U + 10 * 2);
}

TEST(Adaptive, UntouchedNumbersAreTakenBack) {
    Adaptive learnt(AdaptiveOptions{.step_s = 3600});
    judged(learnt, one_spike(60, 100));
    Adaptive back = learnt;
    EXPECT_TRUE(back.restored());
    for (const double u : one_spike(70, 100)) {
        const Judgement a = learnt.add(u), b = back.add(u);
        EXPECT_EQ(std::memcmp(&a.score, &b.score, sizeof(double)), 0);
        EXPECT_EQ(a.flag, b.flag);
    }
}

}  // namespace
}  // namespace surgetank::spikes
