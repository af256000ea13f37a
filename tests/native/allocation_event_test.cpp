// Sharing out in the event: by hand, against a slow twin, and to the last digit.
#include "surgetank/allocation_event.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "refusal.hpp"

namespace surgetank {
namespace {

using Values = std::vector<double>;

constexpr ProportionalOptions all{.share_cap = 1, .room_cap = 1};

struct Answer {
    Values taken;
    double shortfall;
};

// One service.
Answer share(double need, const Values& free, const Values& preference, const ProportionalOptions& options = all) {
    const auto n = static_cast<Index>(free.size());
    const Eigen::ArrayXXd f = Eigen::Map<const Eigen::ArrayXXd>(free.data(), 1, n);
    const Eigen::ArrayXXd p = Eigen::Map<const Eigen::ArrayXXd>(preference.data(), 1, n);
    const Shared out = share_out(Eigen::ArrayXd::Constant(1, need), f, p, options);
    return {Values(out.taken.data(), out.taken.data() + n), out.shortfall[0]};
}

TEST(AllocationEvent, InProportionToUsableRoomAndPreference) {
    const auto by_room = share(10, {10, 30}, {1, 1}, {.share_cap = 1, .room_cap = 0.75});
    EXPECT_EQ(by_room.taken, (Values{2.5, 7.5}));
    EXPECT_EQ(by_room.shortfall, 0);
    EXPECT_EQ(share(10, {20, 20}, {1, 0.25}).taken, (Values{8, 2}));
    EXPECT_EQ(share(10, {10, 40}, {4, 1}).taken, (Values{5, 5}));
    EXPECT_EQ(share(10, {10, 40}, {0.5, 0.125}).taken, (Values{5, 5}));  // only their proportion counts
}

TEST(AllocationEvent, NoneTakesMoreThanItsCap) {
    EXPECT_EQ(share(16, {20, 60}, {1, 1}, {.share_cap = 0.5, .room_cap = 1}).taken, (Values{8, 8}));  // not 4 and 12
    const auto capped = share(16, {100, 100, 0}, {1, 1, 1}, {.share_cap = 0.25, .room_cap = 1});
    EXPECT_EQ(capped.taken, (Values{4, 4, 0}));
    EXPECT_EQ(capped.shortfall, 8);
    const auto room = share(16, {8, 4}, {1, 1}, {.share_cap = 1, .room_cap = 0.5});
    EXPECT_EQ(room.taken, (Values{4, 2}));
    EXPECT_EQ(room.shortfall, 10);
}

// 24 in the proportion 24:8:16; the first is full at 3, and the rest goes on in the proportion 8:16.
TEST(AllocationEvent, WhatAFullOneCannotTakeGoesToTheOthersInTheSameProportion) {
    const auto out = share(24, {3, 8, 16}, {8, 1, 1});
    EXPECT_EQ(out.taken[0], 3);
    EXPECT_NEAR(out.taken[1], 7, 1e-14);
    EXPECT_NEAR(out.taken[2], 14, 1e-14);
    EXPECT_EQ(out.shortfall, 0);
    // Filled one after another: 1 of 12, then 3 of 11 in 36:12:12, then the others share 8.
    const auto twice = share(12, {1, 3, 12, 12}, {60, 12, 1, 1});
    EXPECT_EQ(twice.taken[0], 1);
    EXPECT_EQ(twice.taken[1], 3);
    EXPECT_NEAR(twice.taken[2], 4, 1e-14);
    EXPECT_NEAR(twice.taken[3], 4, 1e-14);
}

// However large the one that is full at once: the others share what it leaves in their own proportion, 4:12.
TEST(AllocationEvent, ASmallRoomBesideAVeryLargeOneKeepsItsProportion) {
    for (const double large : {1e3, 1e9, 1e14, 1e20, inf}) {
        const auto out = share(10, {large, 4, 12}, {1, 1, 1}, {.share_cap = 0.5, .room_cap = 1});
        EXPECT_EQ(out.taken[0], 5);
        EXPECT_NEAR(out.taken[1], 1.25, 1e-14) << large;
        EXPECT_NEAR(out.taken[2], 3.75, 1e-14) << large;
        EXPECT_EQ(out.shortfall, 0);
    }
    const auto preferred = share(10, {10, 10, 10}, {1, 1e-30, 3e-30}, {.share_cap = 0.5, .room_cap = 1});
    EXPECT_EQ(preferred.taken[0], 5);
    EXPECT_NEAR(preferred.taken[1], 1.25, 1e-14);
    EXPECT_NEAR(preferred.taken[2], 3.75, 1e-14);
}

TEST(AllocationEvent, PreferenceZeroIsNever) {
    const auto out = share(10, {8, 100, 1}, {1, 0, 1});
    EXPECT_EQ(out.taken, (Values{8, 0, 1}));
    EXPECT_EQ(out.shortfall, 1);
    EXPECT_EQ(share(10, {8, 100}, {0, 0}).shortfall, 10);
}

TEST(AllocationEvent, NothingNeededNothingFree) {
    EXPECT_EQ(share(0, {8, 100}, {1, 1}).taken, (Values{0, 0}));
    EXPECT_EQ(share(0, {8, 100}, {1, 1}).shortfall, 0);
    EXPECT_EQ(share(7, {0, 0}, {1, 1}).shortfall, 7);
    EXPECT_EQ(share(7, {9, 9}, {1, 1}, {.share_cap = 1, .room_cap = 0}).shortfall, 7);
    EXPECT_EQ(share(7, {0, 9}, {1, 1}).taken, (Values{0, 7}));
}

TEST(AllocationEvent, EveryServiceByItself) {
    const Eigen::ArrayXd need{{4, 0, 10}};
    Eigen::ArrayXXd free(3, 2), preference(3, 2);
    free << 4, 12, 5, 5, 3, 4;
    preference.setOnes();
    const Shared out = share_out(need, free, preference, all);
    EXPECT_TRUE((out.taken == Eigen::ArrayXXd{{1, 3}, {0, 0}, {3, 4}}).all());
    EXPECT_TRUE((out.shortfall == Eigen::ArrayXd{{0, 0, 3}}).all());
    // NumPy's C order: the same numbers by rows.
    using Rows = Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Rows by_rows = free;
    const Samples view = Eigen::Map<const Eigen::ArrayXXd, 0, Strides>(by_rows.data(), 3, 2, Strides(1, 2));
    EXPECT_TRUE((share_out(need, view, preference, all).taken == out.taken).all());
}

// Sums of a few must come out to the last digit, in whatever order somebody adds them up.
void expect_exact(double need, const Answer& out, std::mt19937& random) {
    Values parts = out.taken;
    parts.push_back(out.shortfall);
    for (int order = 0; order < 4; ++order) {
        double sum = 0;
        for (const double x : parts) sum += x;
        ASSERT_EQ(sum, need);
        std::ranges::shuffle(parts, random);
    }
    EXPECT_GE(*std::ranges::min_element(parts), 0);
}

TEST(AllocationEvent, SumsToTheNeedToTheLastDigitInAnyOrder) {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> uniform(0, 1);
    int met = 0;
    for (int k = 0; k < 2000; ++k) {
        const double need = std::exp(20 * uniform(random) - 10);
        Values free(2 + random() % 9), preference(free.size());
        for (auto& f : free) f = random() % 8 ? need * uniform(random) : 0;
        for (auto& p : preference) p = random() % 8 ? uniform(random) : 0;
        const ProportionalOptions options{.share_cap = 0.2 + 0.8 * uniform(random), .room_cap = uniform(random)};
        const Answer out = share(need, free, preference, options);
        expect_exact(need, out, random);
        for (std::size_t r = 0; r < free.size(); ++r) {
            EXPECT_LE(out.taken[r], options.room_cap * free[r]);
            EXPECT_LE(out.taken[r], options.share_cap * need + (std::nextafter(need, inf) - need));
            if (preference[r] == 0) EXPECT_EQ(out.taken[r], 0);
        }
        met += out.shortfall == 0;
    }
    EXPECT_GT(met, 500);
    EXPECT_LT(met, 1500);
}

// The level at which everybody's part, weight × level up to its limit, adds up to the need: by halving.
Values by_level(double need, const Values& free, const Values& preference, const ProportionalOptions& options) {
    const auto at = [&](double level) {
        Values out;
        for (std::size_t r = 0; r < free.size(); ++r) {
            const double usable = options.room_cap * free[r];
            out.push_back(
                preference[r] == 0 ? 0 : std::min({usable, options.share_cap * need, level * usable * preference[r]}));
        }
        return out;
    };
    double low = 0, high = 1e6;
    for (int i = 0; i < 200; ++i) {
        const double middle = (low + high) / 2;
        double sum = 0;
        for (const double x : at(middle)) sum += x;
        (sum < need ? low : high) = middle;
    }
    return at(high);
}

TEST(AllocationEvent, AgreesWithTheSlowTwin) {
    std::mt19937 random(2);
    std::uniform_real_distribution<double> uniform(0, 1);
    int lacking = 0;
    for (int k = 0; k < 300; ++k) {
        const double need = 100 * uniform(random);
        Values free(2 + random() % 30), preference(free.size());
        const double size = 300 / static_cast<double>(free.size());
        for (auto& f : free) f = random() % 8 ? size * uniform(random) : 0;
        for (auto& p : preference) p = random() % 8 ? 0.01 + uniform(random) : 0;
        const ProportionalOptions options{.share_cap = 0.1 + 0.9 * uniform(random), .room_cap = uniform(random)};
        const Answer out = share(need, free, preference, options);
        const Values expected = by_level(need, free, preference, options);
        double sum = 0;
        for (std::size_t r = 0; r < free.size(); ++r) {
            EXPECT_NEAR(out.taken[r], expected[r], 1e-11 * need) << "case " << k << ", Region " << r;
            sum += expected[r];
        }
        EXPECT_NEAR(out.shortfall, std::max(0.0, need - sum), 1e-11 * need);
        lacking += out.shortfall > 1e-9 * need;
    }
    EXPECT_GT(lacking, 50);
    EXPECT_LT(lacking, 250);
}

TEST(AllocationEvent, NeedsOfAnySize) {
    std::mt19937 random(3);
    for (const double need : {5e-324, 3e-323, 1e-310, 2.3e-308, 1e-300, 0.3, 1e15 + 0.5, 0x1p53, 1e200, 9e299}) {
        expect_exact(need, share(need, {need, need, need}, {1, 0.7, 0.1}), random);
        expect_exact(need, share(need, {inf, 0.3 * need, 1e-5 * need}, {1, 1, 1}), random);
        expect_exact(need, share(need, {0.1 * need, 0.3 * need, 0.2 * need}, {1, 2, 3}), random);
        EXPECT_EQ(share(need, {need, 0}, {1, 1}).taken, (Values{need, 0}));
        EXPECT_EQ(share(need, {inf, inf}, {1, 0}).taken, (Values{need, 0}));
    }
    EXPECT_EQ(share(8, {inf, inf}, {1, 3}).taken, (Values{2, 6}));
    EXPECT_EQ(share(8e250, {1e300, 3e300}, {1, 1}).shortfall, 0);
    // A Region with next to nothing: it gives what it has, and nobody loses a digit.
    expect_exact(1, share(1, {1e-300, 1}, {1, 1}), random);
    expect_exact(1, share(1, {1e-12, 2, 3}, {1, 1e-9, 1e-9}), random);
}

struct Call {
    Eigen::ArrayXd need{{4, 5}};
    Eigen::ArrayXXd free = Eigen::ArrayXXd::Constant(2, 3, 9), preference = Eigen::ArrayXXd::Ones(2, 3);
    ProportionalOptions options;
};

struct Broken {
    std::function<void(Call&)> change;
    std::string message;
};

class AllocationEventChecks : public testing::TestWithParam<Broken> {};

TEST_P(AllocationEventChecks, GiveTheWholeMessage) {
    Call call;
    const auto made = [&] { share_out(call.need, call.free, call.preference, call.options); };
    EXPECT_EQ(refusal(made), "(nothing was thrown)");
    GetParam().change(call);
    EXPECT_EQ(refusal(made), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, AllocationEventChecks,
    testing::Values(
        Broken{[](Call& c) { c.free.resize(1, 3); }, "free: must have 2 services (got 1)"},
        Broken{[](Call& c) { c.preference.resize(2, 2); },
               "preference: must have the shape of free (got shape (2, 2))"},
        Broken{[](Call& c) { c.preference.resize(1, 3); },
               "preference: must have the shape of free (got shape (1, 3))"},
        Broken{[](Call& c) { c.need[1] = -1; }, "need: must be finite and 0 or more (got -1)"},
        Broken{[](Call& c) { c.need[0] = nan; }, "need: must be finite and 0 or more (got nan)"},
        Broken{[](Call& c) { c.need[1] = inf; }, "need: must be finite and 0 or more (got inf)"},
        Broken{[](Call& c) { c.free(1, 2) = -0.5; }, "free: must be 0 or more (got -0.5)"},
        Broken{[](Call& c) { c.free(0, 0) = nan; }, "free: must be 0 or more (got nan)"},
        Broken{[](Call& c) { c.preference(1, 1) = -2; }, "preference: must be finite and 0 or more (got -2)"},
        Broken{[](Call& c) { c.preference(0, 2) = inf; }, "preference: must be finite and 0 or more (got inf)"},
        Broken{[](Call& c) { c.preference(0, 2) = nan; }, "preference: must be finite and 0 or more (got nan)"},
        Broken{[](Call& c) { c.options.share_cap = 0; }, "share_cap: must be a share in (0, 1] (got 0)"},
        Broken{[](Call& c) { c.options.share_cap = 1.5; }, "share_cap: must be a share in (0, 1] (got 1.5)"},
        Broken{[](Call& c) { c.options.share_cap = nan; }, "share_cap: must be a share in (0, 1] (got nan)"},
        Broken{[](Call& c) { c.options.room_cap = -0.5; }, "room_cap: must be a share in [0, 1] (got -0.5)"},
        Broken{[](Call& c) { c.options.room_cap = 1.5; }, "room_cap: must be a share in [0, 1] (got 1.5)"},
        Broken{[](Call& c) { c.options.room_cap = nan; }, "room_cap: must be a share in [0, 1] (got nan)"}));

}  // namespace
}  // namespace surgetank
