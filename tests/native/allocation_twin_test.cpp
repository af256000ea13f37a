// Headroom against a slow twin that writes every constraint down; many services on several threads; who takes what.
#include <gtest/gtest.h>

#include <random>

#include "allocation_world.hpp"
#include "surgetank/allocation.hpp"
#include "vertices.hpp"

namespace surgetank {
namespace {

using Set = std::vector<Index>;

constexpr Index regions = 3;

const std::vector<Set> any_one{{0}, {1}, {2}}, any_two{{0, 1}, {0, 2}, {1, 2}}, of_both{{1}, {0, 2}};

// Quarters and small integers: what is on the edge of feasible is exactly on it.
World random_world(std::mt19937& random, Index moments) {
    const auto integer = [&](int most) { return static_cast<double>(random() % static_cast<unsigned>(most + 1)); };
    World world(regions, 1, moments);
    for (auto& x : world.load.reshaped()) x = random() % 6 ? integer(9) : 0;
    if (random() % 2) world.existing.resize(moments, regions);
    for (auto& x : world.existing.reshaped()) x = integer(6) - (random() % 5 ? 0 : 3);
    for (auto& x : world.share.reshaped()) x = random() % 3 ? 1 : integer(4) / 4;
    for (auto& x : world.reserved) x = random() % 4 ? 0 : integer(4);
    for (auto& x : world.multiplier) x = random() % 2 ? 1 : 0.5 + integer(3) / 2;
    world.critical << (random() % 2 ? 1 : integer(4) / 4);
    for (auto& x : world.cost) x = integer(4);
    for (auto& x : world.raisable) x = random() % 2 ? inf : integer(20);
    return world;
}

// Every constraint that there is: for each failure, moment, set of sources and set of full targets.
Covering written_out(const World& world, const std::vector<Set>& failures) {
    Covering out;
    const Index rows = world.existing.rows();
    const auto at = [](Index r) { return static_cast<std::size_t>(r); };
    for (Index r = 0; r < regions; ++r) {
        out.cost.push_back(world.cost[r]);
        out.upper.push_back(std::min(world.raisable[r], 1000.0));
    }
    for (Index t = 0; t < world.load.rows(); ++t) {
        Eigen::ArrayXd load = world.load.row(t).transpose(), free(regions);
        free = world.existing.row(rows > 1 ? t : 0).transpose() - world.reserved + (1 - world.critical[0]) * load;
        load *= world.critical[0] * world.multiplier;
        for (Index r = 0; r < regions; ++r)
            if (free[r] < 0) {  // no Region is left with less than nothing
                out.rows.emplace_back(at(regions), 0.0)[at(r)] = 1;
                out.least.push_back(-free[r]);
            }
        for (const Set& failed : failures)
            for (unsigned bits = 1; bits < 1u << failed.size(); ++bits) {
                double all = 0;
                Eigen::ArrayXd may = Eigen::ArrayXd::Zero(regions);
                for (std::size_t i = 0; i < failed.size(); ++i)
                    if (bits >> i & 1) {
                        all += load[failed[i]];
                        may += world.share.row(failed[i]).transpose() * load[failed[i]];
                    }
                if (all == 0) continue;
                for (const Index f : failed) may[f] = 0;
                for (unsigned full = 0; full < 1u << regions; ++full) {
                    Covering::Row row(at(regions), 0.0);
                    double least = all;
                    bool sensible = true;
                    for (Index r = 0; r < regions; ++r) {
                        const bool is_full = full >> r & 1;
                        if (is_full) row[at(r)] = 1;
                        if (is_full && std::ranges::find(failed, r) != failed.end()) sensible = false;
                        least -= is_full ? free[r] : may[r];
                    }
                    if (sensible && least > 0) out.rows.push_back(row), out.least.push_back(least);
                }
            }
    }
    // Fewer rows, fewer vertices: only the highest `least` of each row counts.
    Covering distinct{out.cost, out.upper, {}, {}};
    for (std::size_t i = 0; i < out.rows.size(); ++i) {
        const auto known = std::ranges::find(distinct.rows, out.rows[i]);
        if (known == distinct.rows.end()) {
            distinct.rows.push_back(out.rows[i]), distinct.least.push_back(out.least[i]);
        } else {
            double& least = distinct.least[static_cast<std::size_t>(known - distinct.rows.begin())];
            least = std::max(least, out.least[i]);
        }
    }
    return distinct;
}

// The flows of every failure keep to loads, shares and rooms, and leave nothing where the plan is feasible.
void expect_placed(const World& world, const Allocated& out, const std::vector<Set>& failures) {
    const Eigen::ArrayXd headroom = out.headroom.col(0);
    const auto found = transfers(world.demand(), headroom, 0, failures);
    ASSERT_EQ(found.size(), failures.size());
    for (std::size_t i = 0; i < failures.size(); ++i) {
        const Transfers& one = found[i];
        const Index t = one.moment;
        const Eigen::ArrayXd own = world.load.row(t).transpose();
        const Eigen::ArrayXd load = world.critical[0] * world.multiplier * own;
        const Eigen::ArrayXd room = world.existing.row(world.existing.rows() > 1 ? t : 0).transpose() - world.reserved +
                                    (1 - world.critical[0]) * own + headroom;
        double all = 0;
        for (Index s = 0; s < regions; ++s) {
            const bool fails = std::ranges::find(failures[i], s) != failures[i].end();
            EXPECT_LE(one.flow.row(s).sum(), fails ? load[s] + 1e-12 : 0);
            EXPECT_LE(one.flow.col(s).sum(), fails ? 0 : std::max(0.0, room[s]) + 1e-12);
            EXPECT_TRUE((one.flow.row(s) <= world.share.row(s) * load[s]).all());
            if (fails) all += load[s];
        }
        EXPECT_TRUE((one.flow >= 0).all());
        EXPECT_NEAR(one.flow.sum() + one.unplaced, all, 1e-12);
        if (out.feasible[0]) EXPECT_NEAR(one.unplaced, 0, 1e-10);
        else if (out.broken[0].shortfall.size() > 0)
            EXPECT_NEAR(one.unplaced, out.broken[0].shortfall[static_cast<Index>(i)], 1e-9);
    }
}

TEST(AllocationTwin, TheLeastCostIsThatOfEveryConstraintWrittenOut) {
    std::mt19937 random(1);
    int feasible = 0, infeasible = 0;
    for (int k = 0; k < 240; ++k) {
        const World world = random_world(random, 1 + k % 2);
        const auto& failures = k % 3 == 0 ? any_one : k % 3 == 1 ? any_two : of_both;
        const auto out = world.allocate(k % 3 == 2 ? Failures{1, of_both} : Failures{1 + k % 3, {}});
        const double expected = cheapest_vertex(written_out(world, failures));
        ASSERT_EQ(out.feasible[0], expected < inf) << "case " << k;
        expect_placed(world, out, failures);
        ++(expected < inf ? feasible : infeasible);
        EXPECT_LE(out.gap[0], 1e-9);
        if (expected == inf) continue;
        EXPECT_NEAR(out.cost[0], expected, 1e-9) << "case " << k;
        EXPECT_NEAR(out.bound[0], expected, 1e-9) << "case " << k;
        EXPECT_GE(out.peaks_cost[0], expected - 1e-9);
    }
    EXPECT_GT(feasible, 60);
    EXPECT_GT(infeasible, 60);
}

TEST(AllocationTwin, MoreOrLessIsWorthItsPrice) {
    std::mt19937 random(2);
    int priced = 0;
    for (int k = 0; k < 60; ++k) {
        const World world = random_world(random, 1);
        const auto out = world.allocate({1 + k % 2, {}});
        if (!out.feasible[0]) continue;
        for (Index r = 0; r < regions; ++r) {
            World more = world, less = world;
            more.existing.col(r) += 0x1p-10, less.existing.col(r) -= 0x1p-10;
            // The cost is convex in what exists: the price lies between what more saves and what less adds.
            const double price = out.price(r, 0) * 0x1p-10;
            EXPECT_LE(out.cost[0] - more.allocate({1 + k % 2, {}}).cost[0], price + 1e-9) << "case " << k;
            const auto without = less.allocate({1 + k % 2, {}});
            if (without.feasible[0]) EXPECT_GE(without.cost[0] - out.cost[0], price - 1e-9) << "case " << k;
            priced += price > 0;
            World raised = world;
            raised.raisable[r] += 0x1p-10;
            EXPECT_LE(out.cost[0] - raised.allocate({1 + k % 2, {}}).cost[0], out.raise_price(r, 0) * 0x1p-10 + 1e-9)
                << "case " << k;
        }
    }
    EXPECT_GT(priced, 20);
}

// Region 0 sends in proportion to room; where the two together do not fit, the flow leaves exactly what is missing.
TEST(AllocationTwin, TransfersByHand) {
    World world({6, 4, 0, 0}, {0, 0, 4, 12});
    const Eigen::ArrayXd none = Eigen::ArrayXd::Zero(4), some = Eigen::ArrayXd{{0, 0, 0, 2}};
    world.share.row(0) << 1, 1, 1, 0.5;
    const auto out = transfers(world.demand(), none, 0, {{0}, {0, 1}, {0, 1, 3}});
    EXPECT_NEAR(out[0].flow(0, 2) + out[0].flow(0, 3), 6, 1e-14);
    EXPECT_LE(out[0].flow(0, 3), 3);
    EXPECT_EQ(out[0].unplaced, 0);
    EXPECT_NEAR(out[1].flow.sum(), 10, 1e-14);
    EXPECT_NEAR(out[2].unplaced, 6, 1e-14);
    EXPECT_EQ(out[2].flow.col(3).sum(), 0);
    world.existing << 0, 0, 4, -3;  // below nothing is nothing
    EXPECT_NEAR(transfers(world.demand(), none, 0, {{0}})[0].unplaced, 2, 1e-14);
    EXPECT_NEAR(transfers(world.demand(), some, 0, {{0}})[0].unplaced, 2, 1e-14);
    world.existing << 0, 0, 3.5, -1;
    EXPECT_NEAR(transfers(world.demand(), some, 0, {{0}})[0].unplaced, 1.5, 1e-14);
}

TEST(AllocationTwin, TransfersAreOfTheMomentThatLeavesLeastRoom) {
    World world(2, 2, 3);
    world.load << 0, 0, nan, 1, 0, 0, 9, 1, 0, 0, 7, 1;
    world.existing.resize(3, 4);
    world.existing << 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 1;
    const auto out = transfers(world.demand(), Eigen::ArrayXd::Zero(4), 1, {{0}});
    EXPECT_EQ(out[0].moment, 2);  // 7 against 1, not 9 against 5
    EXPECT_EQ(out[0].flow(0, 1), 1);
    EXPECT_EQ(out[0].unplaced, 6);
    const Eigen::ArrayXd headroom{{50, 50, 0, 2}};  // of which the last two are of this service
    EXPECT_EQ(transfers(world.demand(), headroom, 1, {{0}})[0].flow(0, 1), 3);
    EXPECT_EQ(transfers(world.demand(), Eigen::ArrayXd::Zero(4), 0, {{0}})[0].moment, 0);  // all the same
    // Where all is placed: 9 of 30, and 8 of 9, which is the larger part.
    world.existing.col(3) << 0, 30, 9;
    world.load(2, 2) = 8;
    EXPECT_EQ(transfers(world.demand(), Eigen::ArrayXd::Zero(4), 1, {{0}})[0].moment, 2);
}

void expect_same(const Allocated& a, const Allocated& b) {
    EXPECT_TRUE((a.headroom == b.headroom).all());
    EXPECT_TRUE((a.price == b.price).all());
    EXPECT_TRUE((a.raise_price == b.raise_price).all());
    EXPECT_TRUE((a.over == b.over).all());
    EXPECT_TRUE((a.feasible == b.feasible).all());
    EXPECT_TRUE((a.owed == b.owed).all());
    EXPECT_TRUE((a.peaks_cost == b.peaks_cost || (a.peaks_cost.isNaN() && b.peaks_cost.isNaN())).all());
    for (const auto member :
         {&Allocated::cost, &Allocated::unplaced, &Allocated::bound, &Allocated::gap, &Allocated::excess})
        EXPECT_TRUE((a.*member == b.*member).all());
    for (const auto member : {&Allocated::cuts, &Allocated::steps, &Allocated::moments})
        EXPECT_TRUE((a.*member == b.*member).all());
    EXPECT_EQ(a.binding.failed.members(), b.binding.failed.members());
    EXPECT_EQ(a.binding.failed.starts(), b.binding.failed.starts());
    EXPECT_EQ(a.binding.sources.members(), b.binding.sources.members());
    EXPECT_EQ(a.binding.sources.starts(), b.binding.sources.starts());
    EXPECT_EQ(a.binding.full.members(), b.binding.full.members());
    EXPECT_EQ(a.binding.full.starts(), b.binding.full.starts());
    EXPECT_EQ(a.binding.service, b.binding.service);
    EXPECT_EQ(a.binding.moment, b.binding.moment);
    EXPECT_EQ(a.binding.weight, b.binding.weight);
    EXPECT_EQ(a.binding.need, b.binding.need);
    ASSERT_EQ(a.broken.size(), b.broken.size());
    for (std::size_t s = 0; s < a.broken.size(); ++s) {
        EXPECT_EQ(a.broken[s].failed, b.broken[s].failed);
        EXPECT_EQ(a.broken[s].sources, b.broken[s].sources);
        EXPECT_EQ(a.broken[s].full, b.broken[s].full);
        EXPECT_EQ(a.broken[s].moment, b.broken[s].moment);
        EXPECT_EQ(a.broken[s].missing, b.broken[s].missing);
        ASSERT_EQ(a.broken[s].shortfall.size(), b.broken[s].shortfall.size());
        EXPECT_TRUE((a.broken[s].shortfall == b.broken[s].shortfall).all());
    }
}

TEST(AllocationTwin, ManyServicesAreTheSameOnAnyNumberOfThreadsAndAlone) {
    std::mt19937 random(3);
    std::uniform_real_distribution<double> uniform(0, 1);
    const Index wide = 5, services = 45;
    World world(wide, services, 3);
    for (auto& x : world.load.reshaped()) x = std::exp(3 * uniform(random));
    for (auto& x : world.existing.reshaped()) x = std::exp(2 * uniform(random)) - 2;
    for (auto& x : world.cost) x = uniform(random);
    for (auto& x : world.raisable) x = random() % 3 ? inf : 10 * uniform(random);
    for (const Failures& failures : {Failures{1, {}}, Failures{2, {}}, Failures{1, {{0, 1, 3}, {2}, {4}}}})
        for (const double unplaced : {0.0, 0.1}) {
            const AllocationOptions options{.unplaced = unplaced, .alpha = 0.6, .threads = 1};
            const auto one = world.allocate(failures, options);
            EXPECT_TRUE(one.feasible.any());
            // Service by service, from the first job to the last.
            EXPECT_TRUE(std::ranges::is_sorted(one.binding.service));
            EXPECT_LT(one.binding.service.front(), 8);
            EXPECT_GT(one.binding.service.back(), 39);
            for (const Index threads : {2, 0}) {
                AllocationOptions several = options;
                several.threads = threads;
                expect_same(one, world.allocate(failures, several));
            }
            // A service does not depend on its neighbours, nor on what its thread has done before.
            for (const Index s : {0, 17, 44}) {
                World alone(wide, 1, 3);
                alone.load = world.load.middleCols(s * wide, wide);
                alone.existing = world.existing.middleCols(s * wide, wide);
                alone.cost = world.cost.segment(s * wide, wide);
                alone.raisable = world.raisable.segment(s * wide, wide);
                const auto out = alone.allocate(failures, options);
                EXPECT_TRUE((out.headroom.col(0) == one.headroom.col(s)).all());
                EXPECT_EQ(out.feasible[0], one.feasible[s]);
                EXPECT_EQ(out.bound[0], one.bound[s]);
                EXPECT_EQ(out.steps[0], one.steps[s]);
            }
        }
    EXPECT_FALSE(world.allocate({2, {}}).feasible.all());
}

}  // namespace
}  // namespace surgetank
