// Loads into rooms: by hand, and against every set of sources.
#include "surgetank/transport.hpp"

#include <gtest/gtest.h>

#include <random>

namespace surgetank {
namespace {

Eigen::ArrayXd values(const std::vector<double>& v) {
    return Eigen::Map<const Eigen::ArrayXd>(v.data(), static_cast<Index>(v.size()));
}

struct Network {
    Placed placed() const { return place(load, room, limit); }
    // What the sources of `set` (bits) have beyond all that may take it.
    double missing(unsigned set) const {
        double left = 0;
        Eigen::ArrayXd may = Eigen::ArrayXd::Zero(room.size());
        for (Index s = 0; s < load.size(); ++s)
            if (set >> s & 1) left += load[s], may += limit.row(s).transpose();
        return left - may.min(room).sum();
    }
    // No flow breaks a limit, and what it does not place is what is reported.
    void check(const Placed& placed, double tolerance) const {
        ASSERT_EQ(placed.flow.rows(), load.size());
        ASSERT_EQ(placed.flow.cols(), room.size());
        EXPECT_TRUE((placed.flow >= 0).all());
        EXPECT_TRUE((placed.flow <= limit).all());
        EXPECT_TRUE((placed.flow.rowwise().sum() <= load + tolerance).all());
        EXPECT_TRUE((placed.flow.colwise().sum().transpose() <= room + tolerance).all());
        EXPECT_NEAR(placed.unplaced, load.sum() - placed.flow.sum(), tolerance);
        EXPECT_EQ(placed.together.empty(), placed.unplaced == 0);
    }

    Eigen::ArrayXd load, room;
    Eigen::ArrayXXd limit;
};

Network network(const std::vector<double>& load, const std::vector<double>& room,
                const std::vector<std::vector<double>>& limit) {
    Network out{values(load), values(room), Eigen::ArrayXXd(load.size(), room.size())};
    for (std::size_t s = 0; s < limit.size(); ++s) out.limit.row(static_cast<Index>(s)) = values(limit[s]).transpose();
    return out;
}

TEST(Transport, InProportionToWhatEachCouldTake) {
    const auto given = network({6}, {4, 12}, {{6, 8}});
    const auto placed = given.placed();
    EXPECT_EQ(placed.flow(0, 0), 2);  // 4 and 8
    EXPECT_EQ(placed.flow(0, 1), 4);
    EXPECT_EQ(placed.unplaced, 0);
    EXPECT_TRUE(placed.together.empty());
}

// The first source begins with a half in each room, and must leave the one that the second needs.
TEST(Transport, WhoHasAChoiceMakesWay) {
    const auto given = network({1, 1}, {1, 1}, {{1, 1}, {1, 0}});
    const auto placed = given.placed();
    given.check(placed, 0);
    EXPECT_EQ(placed.unplaced, 0);
    EXPECT_EQ(placed.flow(0, 1), 1);
    EXPECT_EQ(placed.flow(1, 0), 1);
}

TEST(Transport, MakingWayGoesThroughSeveral) {
    // The last source may only use the first room, its neighbour only the first two, and so on.
    const auto given = network({1, 1, 1, 1}, {1, 1, 1, 1}, {{1, 1, 1, 1}, {1, 1, 1, 0}, {1, 1, 0, 0}, {1, 0, 0, 0}});
    const auto placed = given.placed();
    given.check(placed, 1e-14);
    EXPECT_EQ(placed.unplaced, 0);
    for (Index s = 0; s < 4; ++s) EXPECT_NEAR(placed.flow(s, 3 - s), 1, 1e-14);
}

TEST(Transport, MoreLoadThanRoomInvolvesAll) {
    const auto given = network({5, 5}, {3, 4}, {{9, 9}, {9, 9}});
    const auto placed = given.placed();
    given.check(placed, 0);
    EXPECT_EQ(placed.unplaced, 3);
    EXPECT_EQ(placed.together, (std::vector<Index>{0, 1}));
}

TEST(Transport, ALimitStopsItsSourceAlone) {
    const auto given = network({10, 2}, {100}, {{4}, {2}});
    const auto placed = given.placed();
    given.check(placed, 0);
    EXPECT_EQ(placed.unplaced, 6);
    EXPECT_EQ(placed.together, (std::vector<Index>{0}));
}

// Two share a room that is too small; the third has one to itself, and is not in the way.
TEST(Transport, TheCutLeavesOutWhoIsNotInTheWay) {
    const auto given = network({3, 4, 5}, {6, 10}, {{9, 0}, {9, 0}, {9, 9}});
    const auto placed = given.placed();
    given.check(placed, 1e-14);
    EXPECT_NEAR(placed.unplaced, 1, 1e-14);
    EXPECT_EQ(placed.together, (std::vector<Index>{0, 1}));
    EXPECT_NEAR(placed.flow(2, 1), 5, 1e-14);
}

TEST(Transport, NothingToPlaceOrNowhere) {
    const auto idle = network({0, 0}, {5}, {{5}, {5}}).placed();
    EXPECT_EQ(idle.unplaced, 0);
    EXPECT_EQ(idle.flow.sum(), 0);
    EXPECT_TRUE(idle.together.empty());
    const auto full = network({2, 0, 1}, {0, 0}, {{5, 5}, {5, 5}, {5, 5}}).placed();
    EXPECT_EQ(full.unplaced, 3);
    EXPECT_EQ(full.flow.sum(), 0);
    EXPECT_EQ(full.together, (std::vector<Index>{0, 2}));
    const auto barred = network({2}, {9}, {{0}}).placed();
    EXPECT_EQ(barred.unplaced, 2);
    EXPECT_EQ(barred.together, (std::vector<Index>{0}));
    const auto none = network({2}, {}, {{}}).placed();
    EXPECT_EQ(none.unplaced, 2);
    EXPECT_EQ(network({}, {3}, {}).placed().unplaced, 0);
}

// The small load needs the little room that the proportional start gives to the large one.
TEST(Transport, ASmallLoadBesideALargeOne) {
    const auto fits = network({1e9, 1e-3}, {1e9, 1e-3}, {{1e9, 1e9}, {0, 1e-3}});
    const auto placed = fits.placed();
    fits.check(placed, 2e-7);  // two units in the last place of 1e9
    EXPECT_NEAR(placed.unplaced, 0, 2e-7);
    EXPECT_NEAR(placed.flow(1, 1), 1e-3, 1e-12);
    const auto lacks = network({1e9, 1e-3}, {1e9, 0}, {{1e9, 1e9}, {0, 1e-3}}).placed();
    EXPECT_EQ(lacks.unplaced, 1e-3);
    EXPECT_EQ(lacks.together, (std::vector<Index>{1}));
    const auto large = network({1e-3, 1e9}, {1e-3, 4e8}, {{1e-3, 0}, {0, 1e9}}).placed();
    EXPECT_EQ(large.unplaced, 6e8);
    EXPECT_EQ(large.together, (std::vector<Index>{1}));
}

// Maximal flow, minimal cut: what cannot be placed is the most that any set of sources lacks, and `together` is such.
TEST(Transport, LacksWhatTheWorstSetOfSourcesLacks) {
    std::mt19937 random(3);
    const auto integer = [&](int most) { return std::uniform_int_distribution(0, most)(random); };
    int fit = 0, lack = 0;
    for (int k = 0; k < 600; ++k) {
        const Index sources = 1 + integer(5), targets = 1 + integer(4);
        const int most = k % 2 ? 4 : 9;  // few different numbers tie more often
        Network given{Eigen::ArrayXd(sources), Eigen::ArrayXd(targets), Eigen::ArrayXXd(sources, targets)};
        for (auto& x : given.load) x = integer(most);
        for (auto& x : given.room) x = integer(2 * most);
        for (auto& x : given.limit.reshaped()) x = integer(most);
        double worst = 0;
        for (unsigned set = 1; set < 1u << sources; ++set) worst = std::max(worst, given.missing(set));
        const auto placed = given.placed();
        given.check(placed, 1e-12);
        ASSERT_NEAR(placed.unplaced, worst, 1e-12) << "problem " << k;
        unsigned together = 0;
        for (const Index s : placed.together) together |= 1u << s;
        EXPECT_EQ(given.missing(together), worst) << "problem " << k;
        ++(worst > 0 ? lack : fit);
    }
    EXPECT_GT(fit, 100);
    EXPECT_GT(lack, 100);
}

}  // namespace
}  // namespace surgetank
