// Headroom from histories: moments that coincide, and CVaR of what stays unplaced.
#include <gtest/gtest.h>

#include <cmath>

#include "allocation_world.hpp"
#include "surgetank/allocation.hpp"

namespace surgetank {
namespace {

using Values = std::vector<double>;
using Set = std::vector<Index>;

// 0 and 1 fail together; their loads are 10 + 2 at one moment and 3 + 9 at the next.
TEST(AllocationMoments, PeaksThatDoNotCoincideAreNotAddedUp) {
    World world(3, 1, 2);
    world.load << 10, 2, 0, 3, 9, 0;
    world.cost << 1, 1, 5;
    const auto out = world.allocate({1, {{0, 1}}});
    EXPECT_EQ(out.moments[0], 2);
    EXPECT_EQ(column(out.headroom), (Values{0, 0, 12}));
    EXPECT_EQ(out.cost[0], 60);
    EXPECT_EQ(out.peaks_cost[0], 95);  // 5·(10 + 9)
}

// The load is largest where much is free, so that the two together would ask for what is never missing.
TEST(AllocationMoments, WhatIsFreeAtTheSameMomentCounts) {
    World world(2, 1, 3);
    world.load << 10, 0, 4, 0, 6, 0;
    world.existing.resize(3, 2);
    world.existing << 0, 9, 0, 1, 0, 4;
    const auto out = world.allocate();
    EXPECT_EQ(column(out.headroom), (Values{0, 3}));
    EXPECT_EQ(out.binding.moment, (Set{1}));
    EXPECT_EQ(out.peaks_cost[0], 9);  // 10 against 1
}

TEST(AllocationMoments, WhatIsOwedIsOwedAtTheWorstMoment) {
    World world(2, 1, 2);
    world.load << 0, 5, 0, 7;
    world.existing.resize(2, 2);
    world.existing << -4, 0, 1, 0;
    const auto out = world.allocate();
    EXPECT_EQ(column(out.headroom), (Values{9, 0}));  // 4 + 5 at the first; 7 − 5 at the second, with 4 raised
    EXPECT_EQ(out.cost[0], 9);
    EXPECT_EQ(out.peaks_cost[0], 11);
}

TEST(AllocationMoments, WhereTooMuchIsPromisedPeaksAreWithoutPrice) {
    World world(2, 1, 2);
    world.reserved << 5, 0;
    EXPECT_EQ(world.allocate().peaks_cost[0], 5);
    world.raisable << 4, 0;
    EXPECT_EQ(world.allocate().peaks_cost[0], inf);
}

TEST(AllocationMoments, AMomentThatIsNotFullyObservedIsLeftOut) {
    World world(2, 1, 5);
    world.load << nan, 90, 10, 6, 80, nan, 12, 1, 99, 99;
    world.existing.resize(5, 2);
    world.existing << 0, 0, 0, 0, 0, 0, 0, 0, 0, nan;
    const auto out = world.allocate();
    EXPECT_EQ(out.moments[0], 2);
    EXPECT_EQ(column(out.headroom), (Values{6, 12}));
    EXPECT_EQ(out.binding.moment, (Set{3, 1}));  // as the caller counts them
    world.raisable.setZero();
    EXPECT_EQ(world.allocate().broken[0].moment, 3);
}

TEST(AllocationMoments, EveryServiceHasItsOwnMoments) {
    World world(2, 2, 2);
    world.load << 1, 2, nan, 4, 5, 6, 7, 8;
    const auto out = world.allocate();
    EXPECT_EQ(out.moments[0], 2);
    EXPECT_EQ(out.moments[1], 1);
    EXPECT_EQ(column(out.headroom, 0), (Values{6, 5}));
    EXPECT_EQ(column(out.headroom, 1), (Values{8, 7}));
}

TEST(AllocationMoments, InfeasibleAtSomeMomentsIsTheWorstOfThem) {
    World world(2, 1, 3);
    world.load << 5, 1, 9, 1, 7, 1;
    world.raisable << inf, 6;
    const auto out = world.allocate();
    EXPECT_FALSE(out.feasible[0]);
    EXPECT_EQ(out.broken[0].moment, 1);
    EXPECT_EQ(out.broken[0].missing, 3);
    EXPECT_TRUE((out.broken[0].shortfall == Eigen::ArrayXd{{3, 0}}).all());
    EXPECT_NEAR(out.headroom(1, 0), 6, 1e-10);
    EXPECT_EQ(out.headroom(0, 0), 1);
}

// Loads of 10 in either Region, nothing free: of F's load 1 − h/10 stays unplaced.
AllocationOptions tail(double unplaced, double alpha) { return {.unplaced = unplaced, .alpha = alpha}; }

TEST(AllocationTail, TheWorstOfTwo) {
    World world({10, 10}, {0, 0});
    world.cost << 1, 2;
    const auto out = world.allocate({}, tail(0.2, 0.5));  // the worse half of two failures: each at most 0.2
    EXPECT_NEAR(out.headroom(0, 0), 8, 1e-10);
    EXPECT_NEAR(out.headroom(1, 0), 8, 1e-10);
    EXPECT_NEAR(out.cost[0], 24, 1e-10);
    EXPECT_NEAR(out.bound[0], 24, 1e-8);
    EXPECT_TRUE(std::isnan(out.peaks_cost[0]));  // there is nothing to compare it with
    EXPECT_NEAR(out.unplaced[0], 0.2, 1e-11);
    EXPECT_TRUE(out.feasible[0]);
}

TEST(AllocationTail, TheMeanOfTwo) {
    World world({10, 10}, {0, 0});
    world.cost << 1, 2;
    const auto out = world.allocate({}, tail(0.2, 0));  // 0 and 0.4: all of it in the cheap one
    EXPECT_NEAR(out.headroom(0, 0), 10, 1e-10);
    EXPECT_NEAR(out.headroom(1, 0), 6, 1e-10);
    EXPECT_NEAR(out.cost[0], 22, 1e-10);
    EXPECT_NEAR(out.unplaced[0], 0.2, 1e-11);
}

// 1 − alpha of two failures is 1.5: the worst of them, and half of the other.
TEST(AllocationTail, PartOfAFailure) {
    World world({10, 10}, {0, 0});
    const auto even = world.allocate({}, tail(0.2, 0.25));  // 0.2 and 0.2, not 0.3 and 0
    EXPECT_NEAR(even.headroom(0, 0), 8, 1e-9);
    EXPECT_NEAR(even.headroom(1, 0), 8, 1e-9);
    world.cost << 1, 8;
    const auto out = world.allocate({}, tail(0.2, 0.25));  // 0.3 and 0: 80·0.7 + 10, where 0.2 and 0.2 would cost 72
    EXPECT_NEAR(out.headroom(0, 0), 10, 1e-9);
    EXPECT_NEAR(out.headroom(1, 0), 7, 1e-9);
    EXPECT_NEAR(out.cost[0], 66, 1e-9);
    EXPECT_NEAR(out.bound[0], 66, 1e-7);
}

// Two failures at four moments. One load is 4, all others are 1.
TEST(AllocationTail, OverFailuresAndMoments) {
    World world(2, 1, 4);
    world.load << 1, 1, 1, 1, 4, 1, 1, 1;
    const auto worst = world.allocate({}, tail(0.25, 0.875));  // of the eight, the worst alone
    EXPECT_NEAR(worst.headroom(0, 0), 0.75, 1e-10);
    EXPECT_NEAR(worst.headroom(1, 0), 3, 1e-10);
    // The worst two: half of the large load, and nothing of all others.
    const auto two = world.allocate({}, tail(0.25, 0.75));
    EXPECT_NEAR(two.headroom(0, 0), 1, 1e-10);
    EXPECT_NEAR(two.headroom(1, 0), 2, 1e-10);
    EXPECT_NEAR(two.unplaced[0], 0.25, 1e-11);
}

TEST(AllocationTail, ZeroIsAllOfItPlaced) {
    World world({10, 10}, {0, 0});
    EXPECT_EQ(world.allocate({}, tail(0, 0.5)).cost[0], 20);
    EXPECT_EQ(world.allocate({}, tail(0, 0.5)).unplaced[0], 0);
    EXPECT_NEAR(world.allocate({}, tail(1e-6, 0.5)).cost[0], 20, 3e-5);
}

TEST(AllocationTail, InfeasibleComesAsNearAsItCan) {
    World world({10, 10}, {0, 0});
    world.raisable << 4, inf;
    const auto out = world.allocate({}, tail(0.2, 0.5));  // when Region 1 fails, 0.6 stays unplaced
    EXPECT_FALSE(out.feasible[0]);
    EXPECT_NEAR(out.unplaced[0], 0.6, 1e-11);
    EXPECT_NEAR(out.headroom(0, 0), 4, 1e-10);
    EXPECT_NEAR(out.headroom(1, 0), 4, 1e-10);  // no more is of use to the worst half
    EXPECT_EQ(out.broken[0].failed, (Set{1}));
    EXPECT_NEAR(out.broken[0].missing, 6, 1e-12);
}

}  // namespace
}  // namespace surgetank
