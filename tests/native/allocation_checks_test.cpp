// What allocate and transfers refuse, with their exact messages, and what no double can answer.
#include <gtest/gtest.h>

#include "allocation_world.hpp"
#include "refusal.hpp"
#include "surgetank/allocation.hpp"

namespace surgetank {
namespace {

// Two services in three Regions at two moments.
struct Call {
    World world{3, 2, 2};
    Failures failures;
    AllocationOptions options;
    Poll poll = no_poll;
};

struct Refused {
    std::function<void(Call&)> change;
    std::string message;
};

class AllocationChecks : public testing::TestWithParam<Refused> {};

TEST_P(AllocationChecks, GiveTheWholeMessage) {
    Call call;
    const auto made = [&] { allocate(call.world.demand(), call.failures, call.options, call.poll); };
    EXPECT_EQ(refusal(made), "(nothing was thrown)");
    GetParam().change(call);
    EXPECT_EQ(refusal(made), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AllocationChecks,
    testing::Values(Refused{[](Call& c) { c.world.critical.resize(0); },
                            "load: must hold at least one service at one moment (got 0 services, 2 moments)"},
                    Refused{[](Call& c) { c.world.load.resize(0, 6); },
                            "load: must hold at least one service at one moment (got 2 services, 0 moments)"},
                    Refused{[](Call& c) { c.world.load.setZero(2, 7); },
                            "load: must have at least two Regions for every service (got shape (2, 7))"},
                    Refused{[](Call& c) { c.world.load.setZero(2, 2); },
                            "load: must have at least two Regions for every service (got shape (2, 2))"},
                    Refused{[](Call& c) { c.world.existing.setZero(1, 5); },
                            "existing: must have 2 services x 3 Regions (got shape (1, 5))"},
                    Refused{[](Call& c) { c.world.existing.setZero(3, 6); },
                            "existing: must have 2 services x 3 Regions (got shape (3, 6))"},
                    Refused{[](Call& c) { c.world.reserved.setZero(3); },
                            "reserved: must have 2 services x 3 Regions (got shape (3, 1))"},
                    Refused{[](Call& c) { c.world.multiplier.setZero(3); },
                            "multiplier: must have 2 services x 3 Regions (got shape (3, 1))"},
                    Refused{[](Call& c) { c.world.cost.setZero(7); },
                            "cost: must have 2 services x 3 Regions (got shape (7, 1))"},
                    Refused{[](Call& c) { c.world.raisable.setZero(0); },
                            "raisable: must have 2 services x 3 Regions (got shape (0, 1))"},
                    Refused{[](Call& c) { c.world.share.setZero(3, 2); },
                            "share: must have 2 services x 3 Regions (got shape (3, 2))"},
                    Refused{[](Call& c) { c.world.share.setZero(4, 3); },
                            "share: must have 2 services x 3 Regions (got shape (4, 3))"}));

INSTANTIATE_TEST_SUITE_P(
    Values, AllocationChecks,
    testing::Values(
        Refused{[](Call& c) { c.world.load(1, 5) = -1; },
                "load: must be finite and 0 or more, or NaN for not observed (got -1)"},
        Refused{[](Call& c) { c.world.load(0, 0) = inf; },
                "load: must be finite and 0 or more, or NaN for not observed (got inf)"},
        Refused{[](Call& c) { c.world.load.col(4) << nan, nan; },
                "load: must have a moment at which every Region of a service is observed (got service 1: none)"},
        Refused{[](Call& c) { c.world.load(0, 0) = c.world.load(1, 1) = nan; },
                "load: must have a moment at which every Region of a service is observed (got service 0: none)"},
        Refused{[](Call& c) { c.world.existing(0, 3) = nan; },
                "load: must have a moment at which every Region of a service is observed (got service 1: none)"},
        Refused{[](Call& c) { c.world.existing(0, 3) = -inf; }, "existing: must not be -inf (got -inf)"},
        Refused{[](Call& c) { c.world.reserved[5] = -1; }, "reserved: must be finite and 0 or more (got -1)"},
        Refused{[](Call& c) { c.world.reserved[0] = inf; }, "reserved: must be finite and 0 or more (got inf)"},
        Refused{[](Call& c) { c.world.reserved[0] = nan; }, "reserved: must be finite and 0 or more (got nan)"},
        Refused{[](Call& c) { c.world.multiplier[2] = -2; }, "multiplier: must be finite and 0 or more (got -2)"},
        Refused{[](Call& c) { c.world.multiplier[2] = inf; }, "multiplier: must be finite and 0 or more (got inf)"},
        Refused{[](Call& c) { c.world.critical[1] = 1.5; }, "critical: must lie in [0, 1] (got 1.5)"},
        Refused{[](Call& c) { c.world.critical[1] = nan; }, "critical: must lie in [0, 1] (got nan)"},
        Refused{[](Call& c) { c.world.critical[0] = -0.5; }, "critical: must lie in [0, 1] (got -0.5)"},
        Refused{[](Call& c) { c.world.cost[1] = -3; }, "cost: must be finite and 0 or more (got -3)"},
        Refused{[](Call& c) { c.world.cost[1] = inf; }, "cost: must be finite and 0 or more (got inf)"},
        Refused{[](Call& c) { c.world.raisable[1] = -1; }, "raisable: must be 0 or more (got -1)"},
        Refused{[](Call& c) { c.world.raisable[1] = nan; }, "raisable: must be 0 or more (got nan)"},
        Refused{[](Call& c) { c.world.share(2, 1) = 1.5; }, "share: must lie in [0, 1] (got 1.5)"},
        Refused{[](Call& c) { c.world.share(0, 0) = nan; }, "share: must lie in [0, 1] (got nan)"}));

INSTANTIATE_TEST_SUITE_P(
    Failures, AllocationChecks,
    testing::Values(Refused{[](Call& c) { c.failures.any = 0; }, "failures: must be 1 to 2 of 3 Regions (got 0)"},
                    Refused{[](Call& c) { c.failures.any = 3; }, "failures: must be 1 to 2 of 3 Regions (got 3)"},
                    Refused{[](Call& c) {
                                c.world = World(6);
                                c.failures.any = 4;
                            },
                            "failures: of any k Regions must be 1, 2 or 3 (got 4)"},
                    Refused{[](Call& c) { c.failures.sets = {{0}, {}}; },
                            "failures: must leave at least one of 3 Regions, and take one (got 0)"},
                    Refused{[](Call& c) { c.failures.sets = {{0, 1, 2}}; },
                            "failures: must leave at least one of 3 Regions, and take one (got 3)"},
                    Refused{[](Call& c) { c.failures.sets = {{0, 3}}; }, "failures: must be Regions 0 to 2 (got 3)"},
                    Refused{[](Call& c) { c.failures.sets = {{-1}}; }, "failures: must be Regions 0 to 2 (got -1)"},
                    Refused{[](Call& c) { c.failures.sets = {{2, 1}}; },
                            "failures: must be different Regions, ascending (got 1)"},
                    Refused{[](Call& c) { c.failures.sets = {{1, 1}}; },
                            "failures: must be different Regions, ascending (got 1)"}));

INSTANTIATE_TEST_SUITE_P(
    Options, AllocationChecks,
    testing::Values(Refused{[](Call& c) { c.options.unplaced = 1; }, "unplaced: must be a share in [0, 1) (got 1)"},
                    Refused{[](Call& c) { c.options.unplaced = -0.5; },
                            "unplaced: must be a share in [0, 1) (got -0.5)"},
                    Refused{[](Call& c) { c.options.unplaced = nan; }, "unplaced: must be a share in [0, 1) (got nan)"},
                    Refused{[](Call& c) { c.options.alpha = 1; }, "alpha: must be in [0, 1) (got 1)"},
                    Refused{[](Call& c) { c.options.alpha = -0.5; }, "alpha: must be in [0, 1) (got -0.5)"},
                    Refused{[](Call& c) { c.options.threads = -1; },
                            "threads: must be 0 (all of the machine's) or more (got -1)"}));

std::string failure(const World& world) {
    try {
        world.allocate();
    } catch (const NumericalFailure& error) {
        return error.what();
    }
    return "(nothing was thrown)";
}

TEST(AllocationFailure, LoadsAndCostsBeyondTheRangeOfDouble) {
    World world(2, 2);
    world.load << 1, 2, 3, 4e149;
    EXPECT_EQ(failure(world), "(nothing was thrown)");
    world.load << 1, 2, 3, 1e150;
    EXPECT_EQ(failure(world), "load: its sum is beyond double precision (service 1)");
    world.load << 1e300, 2, 3, 4;
    world.multiplier << 1e300, 1, 1, 1;  // their product is not a number that there is
    EXPECT_EQ(failure(world), "load: its sum is beyond double precision (service 0)");
    world.critical << 0, 1;  // none of it leaves
    EXPECT_EQ(failure(world), "(nothing was thrown)");
    world = World({1e140, 1}, {0, 0});
    world.cost << 1, 1e200;
    EXPECT_EQ(failure(world), "cost: is beyond double precision (service 0)");
}

// Ctrl-C ends it, on the caller's thread.
TEST(AllocationFailure, ThePollEndsTheCall) {
    struct Stop {};
    Call call;
    call.poll = [] { throw Stop{}; };
    EXPECT_THROW(allocate(call.world.demand(), call.failures, call.options, call.poll), Stop);
}

struct Asked {
    World world{3, 2};
    Eigen::ArrayXd headroom = Eigen::ArrayXd::Zero(6);
    Index service = 0;
    std::vector<std::vector<Index>> failed{{0}, {1, 2}};
};

struct RefusedTransfer {
    std::function<void(Asked&)> change;
    std::string message;
};

class TransferChecks : public testing::TestWithParam<RefusedTransfer> {};

TEST_P(TransferChecks, GiveTheWholeMessage) {
    Asked asked;
    const auto made = [&] { transfers(asked.world.demand(), asked.headroom, asked.service, asked.failed); };
    EXPECT_EQ(refusal(made), "(nothing was thrown)");
    GetParam().change(asked);
    EXPECT_EQ(refusal(made), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, TransferChecks,
    testing::Values(
        RefusedTransfer{[](Asked& a) { a.service = 2; }, "service: must be one of those given (got 2)"},
        RefusedTransfer{[](Asked& a) { a.service = -1; }, "service: must be one of those given (got -1)"},
        RefusedTransfer{[](Asked& a) { a.headroom.resize(3); },
                        "headroom: must have the shape of one instant of load (got 3)"},
        RefusedTransfer{[](Asked& a) { a.failed = {{0, 1, 2}}; },
                        "failures: must leave at least one of 3 Regions, and take one (got 3)"},
        RefusedTransfer{[](Asked& a) { a.failed = {{2, 0}}; },
                        "failures: must be different Regions, ascending (got 0)"},
        RefusedTransfer{[](Asked& a) { a.world.share(1, 2) = 2; }, "share: must lie in [0, 1] (got 2)"},
        RefusedTransfer{
            [](Asked& a) { a.world.load(0, 2) = nan; },
            "load: must have a moment at which every Region of a service is observed (got service 0: none)"}));

}  // namespace
}  // namespace surgetank
