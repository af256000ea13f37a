// Headroom that survives every failure at least cost: by hand.
#include "surgetank/allocation.hpp"

#include <gtest/gtest.h>

#include "allocation_world.hpp"

namespace surgetank {
namespace {

using Values = std::vector<double>;
using Set = std::vector<Index>;

// Region 1 must be able to take 10, of which 1 is free; Region 0 must take 6, of which 2 are free.
TEST(Allocation, TwoRegionsTakeOverFromEachOther) {
    World world({10, 6}, {2, 1});
    world.cost << 5, 1;
    const auto out = world.allocate();
    EXPECT_TRUE(out.feasible[0]);
    EXPECT_EQ(column(out.headroom), (Values{4, 9}));
    EXPECT_EQ(out.cost[0], 29);
    EXPECT_NEAR(out.bound[0], 29, 1e-11);  // a row that takes all there is has a hair of leeway
    EXPECT_LT(out.gap[0], 1e-12);
    EXPECT_EQ(out.excess[0], 0);
    EXPECT_EQ(out.peaks_cost[0], 29);  // there is but one moment
    EXPECT_EQ(out.moments[0], 1);
    EXPECT_EQ(out.cuts[0], 2);
    EXPECT_EQ(out.steps[0], 2);
    EXPECT_EQ(column(out.price), (Values{5, 1}));
    EXPECT_EQ(column(out.raise_price), (Values{0, 0}));
    EXPECT_EQ(column(out.over), (Values{0, 0}));
    EXPECT_EQ(out.broken[0].shortfall.size(), 0);
    ASSERT_EQ(out.binding.size(), 2);  // the costly one first, although the other lacks more
    EXPECT_EQ(out.binding.service, (Set{0, 0}));
    EXPECT_EQ(set(out.binding.failed, 0), (Set{1}));
    EXPECT_EQ(set(out.binding.sources, 0), (Set{1}));
    EXPECT_EQ(set(out.binding.failed, 1), (Set{0}));
    EXPECT_EQ(set(out.binding.sources, 1), (Set{0}));
    EXPECT_EQ(out.binding.weight, (Values{5, 1}));
    EXPECT_NEAR(out.binding.need[0], 4, 1e-12);
    EXPECT_NEAR(out.binding.need[1], 9, 1e-12);
    EXPECT_EQ(set(out.binding.full, 0), (Set{0}));
    EXPECT_EQ(set(out.binding.full, 1), (Set{1}));
    EXPECT_EQ(out.binding.moment, (Set{0, 0}));
}

// Quotas 30000, 1500 and 3000 with 2000, 200 and 200 in use. Any one Region may fail; when the first and the third do,
// 2200 come to the second, which has 1300.
TEST(Allocation, ThePublishedGap) {
    const World world({2000, 200, 200}, {28000, 1300, 2800});
    const auto one = world.allocate({1, {}});
    EXPECT_EQ(column(one.headroom), (Values{0, 0, 0}));
    EXPECT_EQ(one.cost[0], 0);
    EXPECT_EQ(one.binding.size(), 0);
    const auto two = world.allocate({2, {}});
    EXPECT_EQ(column(two.headroom), (Values{0, 900, 0}));
    EXPECT_EQ(two.cost[0], 900);
    ASSERT_EQ(two.binding.size(), 1);
    EXPECT_EQ(set(two.binding.failed, 0), (Set{0, 2}));
    EXPECT_EQ(set(two.binding.sources, 0), (Set{0, 2}));
    EXPECT_EQ(set(two.binding.full, 0), (Set{1}));
    EXPECT_EQ(column(two.price), (Values{0, 1, 0}));
}

TEST(Allocation, NoneTakesMoreThanItsShare) {
    World world({10, 0, 0}, {0, 0, 0});
    world.cost << 1, 1, 5;
    EXPECT_EQ(column(world.allocate().headroom), (Values{0, 10, 0}));
    world.share.setConstant(0.6);
    const auto out = world.allocate();
    EXPECT_EQ(column(out.headroom), (Values{0, 6, 4}));
    EXPECT_EQ(out.cost[0], 26);
}

TEST(Allocation, OnlyWhoMayTakesAnything) {
    World world({10, 0, 0}, {0, 0, 0});
    world.cost << 1, 1, 5;
    world.share.row(0) << 1, 0, 1;  // the diagonal says nothing
    EXPECT_EQ(column(world.allocate().headroom), (Values{0, 0, 10}));
    world.share.row(0) << 1, 0, 0;
    const auto out = world.allocate();
    EXPECT_FALSE(out.feasible[0]);
    EXPECT_EQ(out.broken[0].missing, 10);
    EXPECT_TRUE(out.broken[0].full.empty());  // nobody's room is the reason
    world.load.setZero();                     // a source without load needs no target
    EXPECT_TRUE(world.allocate().feasible[0]);
}

TEST(Allocation, SharesMayDifferFromServiceToService) {
    World world(3, 2);
    world.load << 10, 0, 0, 10, 0, 0;
    world.share = Eigen::ArrayXXd::Ones(6, 3);
    world.share.row(0) << 0, 0, 1;
    world.share.row(3) << 0, 1, 0;
    const auto out = world.allocate();
    EXPECT_EQ(column(out.headroom, 0), (Values{0, 0, 10}));
    EXPECT_EQ(column(out.headroom, 1), (Values{0, 10, 0}));
}

// Region 0 owes 3 whatever fails, and takes 4 when Region 1 fails.
TEST(Allocation, WhatIsPromisedBeyondWhatExistsIsRaisedInAnyCase) {
    World world({0, 4}, {5, 0});
    world.reserved << 8, 0;
    world.cost << 2, 1;
    const auto out = world.allocate();
    EXPECT_EQ(column(out.headroom), (Values{7, 0}));
    EXPECT_EQ(out.cost[0], 14);
    EXPECT_NEAR(out.bound[0], 14, 1e-11);
    EXPECT_EQ(column(out.price), (Values{2, 0}));
    EXPECT_EQ(column(out.owed), (Values{3, 0}));
    EXPECT_EQ(column(out.over), (Values{0, 0}));
    world.reserved.setZero();
    world.existing << -3, 0;  // used beyond the quota
    EXPECT_EQ(column(world.allocate().headroom), (Values{7, 0}));
    world.raisable << 2, inf;  // neither the 3 nor anything of the 4
    const auto beyond = world.allocate();
    EXPECT_FALSE(beyond.feasible[0]);
    EXPECT_EQ(column(beyond.over), (Values{1, 0}));
    EXPECT_EQ(column(beyond.owed), (Values{2, 0}));
    EXPECT_EQ(column(beyond.headroom), (Values{2, 0}));
    EXPECT_EQ(beyond.broken[0].missing, 4);
    world.load.setZero();  // all is placed, and still too much is promised
    const auto promised = world.allocate();
    EXPECT_FALSE(promised.feasible[0]);
    EXPECT_EQ(promised.broken[0].shortfall.size(), 0);
    EXPECT_EQ(column(promised.price), (Values{0, 0}));  // one unit more is promised beyond all the same
    EXPECT_EQ(promised.peaks_cost[0], inf);
}

TEST(Allocation, WhatExistsWithoutBoundNeedsNothing) {
    World world({10, 6}, {inf, 0});
    EXPECT_EQ(column(world.allocate().headroom), (Values{0, 10}));
}

// Region 1 is not adjustable, and has 4 of the 10 that come to it.
TEST(Allocation, InfeasibleIsAnAnswer) {
    World world({10, 3}, {0, 4});
    world.raisable << inf, 0;
    const auto out = world.allocate();
    EXPECT_FALSE(out.feasible[0]);
    const Broken& broken = out.broken[0];
    EXPECT_EQ(broken.failed, (Set{0}));
    EXPECT_EQ(broken.sources, (Set{0}));
    EXPECT_EQ(broken.moment, 0);
    EXPECT_EQ(broken.missing, 6);
    EXPECT_EQ(broken.full, (Set{1}));
    EXPECT_TRUE((broken.shortfall == Eigen::ArrayXd{{6, 0}}).all());
    EXPECT_EQ(column(out.headroom), (Values{3, 0}));  // the other failure is survived
    EXPECT_EQ(out.cost[0], 3);
    EXPECT_EQ(out.peaks_cost[0], inf);
}

// 0.1·3 is a little more than the 0.3 that may be raised: that is rounding, and not a shortfall.
TEST(Allocation, RoundingIsNotAShortfall) {
    World world({10, 0.1}, {0, 0});
    world.multiplier << 1, 3;
    world.raisable << 0.3, 4;
    const auto out = world.allocate();
    EXPECT_FALSE(out.feasible[0]);
    EXPECT_TRUE((out.broken[0].shortfall == Eigen::ArrayXd{{6, 0}}).all());
    world.raisable << 0.3, 10;
    EXPECT_TRUE(world.allocate().feasible[0]);
}

// Of Region 0's 10, all that may be raised takes 7; Region 3 may not send to or take from it, and finds its room there.
TEST(Allocation, InfeasibleStillLeavesNoMoreThanMustBe) {
    World world({10, 0, 0, 2}, {0, 0, 0, 0});
    world.raisable << inf, 3, 4, inf;
    world.share.row(0) << 0, 1, 1, 0;
    world.cost << 9, 1, 2, 100;
    const auto out = world.allocate();
    EXPECT_FALSE(out.feasible[0]);
    const auto h = column(out.headroom);
    EXPECT_EQ(h[0], 0);
    EXPECT_NEAR(h[1], 3, 1e-11);
    EXPECT_NEAR(h[2], 4, 1e-11);
    EXPECT_EQ(h[3], 0);
    EXPECT_NEAR(out.cost[0], 11, 1e-10);
    EXPECT_NEAR(out.bound[0], 11, 1e-8);
    EXPECT_EQ(out.broken[0].failed, (Set{0}));
    EXPECT_EQ(out.broken[0].full, (Set{1, 2}));
    EXPECT_TRUE((out.broken[0].shortfall == Eigen::ArrayXd{{3, 0, 0, 0}}).all());
}

// 10 of Region 0 go to the cheap Region 1 as far as it may be raised, and to the costly Region 2 beyond.
TEST(Allocation, PricesOfWhatExistsAndOfWhatMayBeRaised) {
    World world({10, 0, 0}, {0, 0, 0});
    world.cost << 0, 1, 5;
    world.raisable << inf, 6, inf;
    const auto out = world.allocate();
    EXPECT_EQ(column(out.headroom), (Values{0, 6, 4}));
    EXPECT_EQ(column(out.price), (Values{0, 5, 5}));
    EXPECT_EQ(column(out.raise_price), (Values{0, 4, 0}));
    EXPECT_EQ(out.binding.weight, (Values{5}));
    EXPECT_NEAR(out.bound[0], 26, 1e-11);  // 5·10 − 4·6
    world.raisable << inf, 10, inf;
    const auto all = world.allocate();  // the limit is just not in the way
    EXPECT_EQ(column(all.price), (Values{0, 1, 1}));
    EXPECT_EQ(column(all.raise_price), (Values{0, 0, 0}));
}

TEST(Allocation, OnlyTheSetsGivenFail) {
    World world({10, 6, 3}, {0, 0, 0});
    world.cost << 1, 2, 1;
    const auto pair = world.allocate({1, {{0, 1}}});
    EXPECT_EQ(column(pair.headroom), (Values{0, 0, 16}));
    EXPECT_EQ(set(pair.binding.failed, 0), (Set{0, 1}));
    EXPECT_EQ(set(pair.binding.sources, 0), (Set{0, 1}));
    const auto both = world.allocate({1, {{2}, {0, 1}}});
    EXPECT_EQ(column(both.headroom), (Values{3, 0, 16}));
    world.raisable << 0, 0, 20;
    const auto out = world.allocate({1, {{2}, {0, 1}, {0}}});
    EXPECT_FALSE(out.feasible[0]);
    EXPECT_TRUE((out.broken[0].shortfall == Eigen::ArrayXd{{3, 0, 0}}).all());  // in the order of the sets
    EXPECT_EQ(column(out.headroom), (Values{0, 0, 16}));
}

// Region 3 is lost with either of its neighbours: nobody counts on it.
TEST(Allocation, TheOthersThatFailTakeNothing) {
    World world({8, 8, 0, 0}, {0, 0, 0, 100});
    const auto out = world.allocate({1, {{0, 3}, {1, 3}}});
    EXPECT_EQ(out.cost[0], 8);  // Region 2 serves either
    EXPECT_EQ(column(out.headroom), (Values{0, 0, 8, 0}));
}

// Where Regions 3 and 4 fail with one of the others, the remaining two take 6: 3 each of the costly ones. Where one of
// 3 and 4 fails with two of the others, the last of these has its 3, and 4 are missing beside the 5 that are free.
TEST(Allocation, ThreeAtOnce) {
    World world({6, 6, 6, 0, 0}, {0, 0, 0, 5, 5});
    world.cost << 9, 9, 9, 1, 2;
    const auto out = world.allocate({3, {}});
    const Values expected{3, 3, 3, 4, 4};
    for (Index r = 0; r < 5; ++r) EXPECT_NEAR(out.headroom(r, 0), expected[static_cast<std::size_t>(r)], 1e-12);
    EXPECT_NEAR(out.cost[0], 93, 1e-12);
    EXPECT_NEAR(out.bound[0], 93, 1e-8);
}

// All but one fail: the one that is left takes what the others had.
TEST(Allocation, TheLastOneLeftTakesItAll) {
    const World world({10, 8, 6, 1}, {0, 0, 0, 3});
    const auto out = world.allocate({3, {}});
    EXPECT_TRUE(out.feasible[0]);
    EXPECT_EQ(column(out.headroom), (Values{15, 17, 19, 21}));
}

// A service that needs 0.5 in either Region; the critical 65 % of it may fall back on what the other 35 % leave.
TEST(Allocation, WhatIsNotCriticalIsShedFirst) {
    World world({0.5, 0.5}, {0, 0});
    const auto all = world.allocate();
    EXPECT_EQ(column(all.headroom), (Values{0.5, 0.5}));
    world.critical << 0.65;
    const auto out = world.allocate();
    for (const double h : column(out.headroom)) EXPECT_NEAR(h, 0.15, 1e-16);
    world.critical << 0;
    EXPECT_EQ(world.allocate().cost[0], 0);
}

TEST(Allocation, MoreThanTheLoadMayArrive) {
    World world({10, 6}, {0, 0});
    world.multiplier << 1.5, 2;
    EXPECT_EQ(column(world.allocate().headroom), (Values{12, 15}));
    world.critical << 0.5;  // 7.5 and 6 arrive; 5 and 3 of the own loads are shed
    EXPECT_EQ(column(world.allocate().headroom), (Values{1, 4.5}));
}

TEST(Allocation, NothingToCarryCostsNothing) {
    World world({0, 0, 0}, {0, 0, 0});
    for (const Index any : {1, 2}) {
        const auto out = world.allocate({any, {}});
        EXPECT_TRUE(out.feasible[0]);
        EXPECT_EQ(out.cost[0], 0);
        EXPECT_EQ(out.gap[0], 0);
        EXPECT_EQ(out.cuts[0], 0);
    }
}

TEST(Allocation, FreeOfChargeIsEnoughAndNoMore) {
    World world({10, 6, 8}, {0, 0, 0});
    world.cost.setZero();
    const auto out = world.allocate();
    EXPECT_EQ(out.cost[0], 0);
    EXPECT_TRUE(out.feasible[0]);
    const auto h = column(out.headroom);
    EXPECT_GE(h[1] + h[2], 10 - 1e-11);
    EXPECT_GE(h[0] + h[2], 6 - 1e-11);
    EXPECT_GE(h[0] + h[1], 8 - 1e-11);
    EXPECT_LE(out.headroom.maxCoeff(), 10);  // no more than can arrive
}

}  // namespace
}  // namespace surgetank
