// Linear programs by cuts: by hand, against all vertices, and by the proof that the weights give.
#include "surgetank/cover.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "vertices.hpp"

namespace surgetank {
namespace {

using Values = std::vector<double>;

// Cover, and beside it every row it was given: those that it has forgotten and broken again are brought back.
struct Solved {
    Solved(Values cost, Values upper, int attempt = 0) : given{std::move(cost), std::move(upper), {}, {}} {
        cover.reset(given.cost, given.upper, attempt);
    }
    bool add(const Values& row, double least) {
        given.rows.push_back(row), given.least.push_back(least);
        std::size_t i = given.rows.size() - 1;
        for (int round = 0; round < 1000; ++round, i = most_broken().first) {
            if (i == given.rows.size()) return true;
            // False may also mean that rounding alone is in the way.
            if (!cover.add(given.rows[i], given.least[i], static_cast<Index>(i))) return most_broken().second < 1e-12;
        }
        ADD_FAILURE() << "it forgets without end";
        return false;
    }
    Values h() const { return {cover.h().begin(), cover.h().end()}; }
    double cost() const {
        double sum = 0;
        for (std::size_t r = 0; r < given.cost.size(); ++r) sum += given.cost[r] * cover.h()[r];
        return sum;
    }
    std::map<Index, double> weights() const {
        std::vector<Cover::Weight> found;
        cover.weights(found);
        std::map<Index, double> out;
        for (const auto& [name, weight] : found) EXPECT_TRUE(out.emplace(name, weight).second);
        return out;
    }
    // Weak duality: whatever weights of 0 or more there are, no h that meets the rows costs less than this.
    double bound() const {
        Values worth(given.cost.size(), 0);
        double sum = 0;
        for (const auto& [name, weight] : weights()) {
            EXPECT_GE(weight, -1e-10);
            const auto i = static_cast<std::size_t>(name);
            sum += weight * given.least[i];
            for (std::size_t r = 0; r < worth.size(); ++r) worth[r] += weight * given.rows[i][r];
        }
        for (std::size_t r = 0; r < worth.size(); ++r) sum -= given.upper[r] * std::max(0.0, worth[r] - given.cost[r]);
        return sum;
    }
    // Which row, and by how much; none: the number of rows, and how far h is out of its bounds.
    std::pair<std::size_t, double> most_broken() const {
        std::pair<std::size_t, double> most{given.rows.size(), 0};
        for (std::size_t r = 0; r < given.cost.size(); ++r)
            most.second = std::max({most.second, -cover.h()[r], cover.h()[r] - given.upper[r]});
        for (std::size_t i = 0; i < given.rows.size(); ++i) {
            double missing = given.least[i];
            for (std::size_t r = 0; r < given.cost.size(); ++r) missing -= given.rows[i][r] * cover.h()[r];
            if (missing > std::max(1e-12, most.second)) most = {i, missing};
        }
        return most;
    }

    Covering given;
    Cover cover;
};

TEST(Cover, StartsWithNothing) {
    const Solved solved({1, 2}, {3, 4});
    EXPECT_EQ(solved.h(), (Values{0, 0}));
    EXPECT_EQ(solved.cover.steps(), 0);
    EXPECT_TRUE(solved.weights().empty());
}

TEST(Cover, TheCheapestFirstEachUpToItsBound) {
    Solved solved({1, 2, 4}, {2, 3, 10});
    EXPECT_TRUE(solved.add({1, 1, 1}, 4));
    EXPECT_EQ(solved.h(), (Values{2, 2, 0}));
    EXPECT_EQ(solved.cover.steps(), 1);  // the first is filled on the way
    EXPECT_EQ(solved.weights(), (std::map<Index, double>{{0, 2}}));
    EXPECT_TRUE(solved.add({0, 0, 1}, 1));
    EXPECT_EQ(solved.h(), (Values{2, 1, 1}));
    EXPECT_EQ(solved.weights(), (std::map<Index, double>{{0, 2}, {1, 2}}));  // 4 for it, 2 saved of the second
    EXPECT_EQ(solved.bound(), 8);                                            // 2·4 + 2·1 − 2·(2 − 1)
    EXPECT_EQ(solved.cost(), 8);
}

TEST(Cover, WhatWasFilledComesBackWhenItMust) {
    Solved solved({1, 2, 3}, {1, 1, 10});
    EXPECT_TRUE(solved.add({1, 1, 1}, 5));
    EXPECT_EQ(solved.h(), (Values{1, 1, 3}));
    EXPECT_TRUE(solved.add({-1, 0, 0}, -0.5));  // at most a half of the first
    EXPECT_EQ(solved.h(), (Values{0.5, 1, 3.5}));
    EXPECT_EQ(solved.weights(), (std::map<Index, double>{{0, 3}, {1, 2}}));
    EXPECT_EQ(solved.bound(), 13);  // 3·5 − 2·0.5 − 1·(3 − 2)
    EXPECT_EQ(solved.cost(), 13);
}

TEST(Cover, ABasicOneThatIsTooLargeStopsAtItsBound) {
    Solved solved({1, 10}, {3, 9});
    EXPECT_TRUE(solved.add({1, 1}, 2));
    EXPECT_EQ(solved.h(), (Values{2, 0}));
    EXPECT_TRUE(solved.add({2, 1}, 7));  // would need 3.5 of the first
    EXPECT_EQ(solved.h(), (Values{3, 1}));
    EXPECT_EQ(solved.weights(), (std::map<Index, double>{{1, 10}}));  // the first row is not tight any more
    EXPECT_EQ(solved.bound(), 13);                                    // 10·7 − 3·(20 − 1)
}

TEST(Cover, WhatHasNoRangeCannotMove) {
    Solved solved({0, 5}, {0, 3});
    EXPECT_TRUE(solved.add({1, 1}, 2));
    EXPECT_EQ(solved.h(), (Values{0, 2}));
    EXPECT_EQ(solved.bound(), 10);
}

TEST(Cover, WhatIsFreeOfChargeIsUsedFirst) {
    Solved some({0, 1}, {2, 5});
    EXPECT_TRUE(some.add({1, 1}, 3));
    EXPECT_EQ(some.h(), (Values{2, 1}));
    Solved all({0, 0, 0}, {2, 2, 2});
    EXPECT_TRUE(all.add({1, 2, 0}, 4));
    EXPECT_TRUE(all.add({0, 1, 3}, 7));
    EXPECT_EQ(all.most_broken().second, 0);
    for (const auto& [name, weight] : all.weights()) EXPECT_EQ(weight, 0);  // nothing is paid for
}

TEST(Cover, RowsThatAreMetChangeNothing) {
    Solved solved({1, 2}, {9, 9});
    EXPECT_TRUE(solved.add({1, 1}, 0));
    EXPECT_TRUE(solved.add({1, 1}, -3));
    EXPECT_TRUE(solved.add({0, 0}, 0));
    EXPECT_EQ(solved.cover.steps(), 0);
    EXPECT_TRUE(solved.add({1, 1}, 4));
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(solved.add({1, 1}, 4));  // met exactly
    EXPECT_EQ(solved.cover.steps(), 1);
    EXPECT_EQ(solved.h(), (Values{4, 0}));
    EXPECT_EQ(solved.weights(), (std::map<Index, double>{{3, 1}}));
}

TEST(Cover, WhatCannotBeMetIsSaid) {
    Solved sum({1, 1}, {1, 2});
    EXPECT_TRUE(sum.add({1, 1}, 3));  // all there is
    EXPECT_EQ(sum.h(), (Values{1, 2}));
    EXPECT_FALSE(sum.add({1, 1}, 3.5));
    EXPECT_FALSE(Solved({1}, {1}).add({0}, 1));
    EXPECT_FALSE(Solved({1}, {1}).add({-1}, 0.5));
    EXPECT_FALSE(Solved({1}, {0}).add({1}, 0.5));
    Solved both({1, 1}, {5, 5});
    EXPECT_TRUE(both.add({1, 0}, 3));
    EXPECT_FALSE(both.add({-1, 0}, -2));  // at least 3 and at most 2
}

TEST(Cover, ResetStartsAnew) {
    Solved solved({1, 1}, {1, 1});
    EXPECT_TRUE(solved.add({1, 1}, 2));
    EXPECT_FALSE(solved.add({1, 1}, 3));
    const Values cost{3, 1, 2}, upper{4, 1, 4}, row{1, 1, 1};
    solved.cover.reset(cost, upper);
    EXPECT_EQ(solved.h(), (Values{0, 0, 0}));
    EXPECT_EQ(solved.cover.steps(), 0);
    EXPECT_TRUE(solved.cover.add(row, 2, 42));
    EXPECT_EQ(solved.h(), (Values{0, 1, 1}));
    EXPECT_EQ(solved.weights(), (std::map<Index, double>{{42, 2}}));
}

// Every pair of n adds up to 1: only a half each does it at n/2, by way of many equal steps.
TEST(Cover, TiesDoNotCycle) {
    for (int attempt = 0; attempt < 4; ++attempt)
        for (const std::size_t n : {3u, 5u, 24u}) {
            Solved solved(Values(n, 1), Values(n, 1), attempt);
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = 0; j < i; ++j) {
                    Values row(n, 0);
                    row[i] = row[j] = 1;
                    ASSERT_TRUE(solved.add(row, 1));
                }
            for (const double h : solved.h()) EXPECT_NEAR(h, 0.5, 1e-14);
            EXPECT_NEAR(solved.bound(), 0.5 * static_cast<double>(n), 1e-10);
        }
}

// Integers, so that what is on the edge of feasible is exactly on it; few of them, so that much is tied.
Solved random_problem(std::mt19937& random, int attempt, bool positive) {
    const auto integer = [&](int least, int most) { return std::uniform_int_distribution(least, most)(random); };
    const auto n = static_cast<std::size_t>(integer(1, 4));
    Values cost(n), upper(n);
    for (auto& c : cost) c = integer(0, 4);
    for (auto& u : upper) u = integer(0, 4);
    Solved out(cost, upper, attempt);
    for (int i = integer(1, 4); i > 0; --i) {
        Values row(n);
        for (auto& a : row) a = integer(positive ? 0 : -2, 3);
        out.given.rows.push_back(row), out.given.least.push_back(integer(1, 8));
    }
    return out;
}

class Attempts : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Cover, Attempts, testing::Values(0, 1, 2, 3));

TEST_P(Attempts, AgreeWithAllVertices) {
    std::mt19937 random(20240601);
    int met = 0, refused = 0;
    for (int k = 0; k < 120; ++k) {
        Solved solved = random_problem(random, GetParam(), k % 3 == 0);
        const auto rows = std::exchange(solved.given.rows, {});
        const auto least = std::exchange(solved.given.least, {});
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const bool meets = solved.add(rows[i], least[i]);
            const double expected = cheapest_vertex(solved.given);
            ASSERT_EQ(meets, expected < inf) << "problem " << k << ", row " << i;
            ++(meets ? met : refused);
            if (!meets) break;
            EXPECT_NEAR(solved.cost(), expected, 1e-9) << "problem " << k << ", row " << i;
            EXPECT_NEAR(solved.bound(), expected, 1e-9) << "problem " << k << ", row " << i;
            EXPECT_LT(solved.most_broken().second, 1e-12) << "problem " << k << ", row " << i;
        }
    }
    EXPECT_GT(met, 60);
    EXPECT_GT(refused, 20);
}

TEST_P(Attempts, RebuildingOnTheWayChangesNothing) {
    std::mt19937 random(7);
    std::uniform_real_distribution<double> uniform(0.1, 1);
    const std::size_t n = 12;
    for (int k = 0; k < 10; ++k) {
        Values cost(n), upper(n);
        for (auto& c : cost) c = uniform(random);
        for (auto& u : upper) u = 3 * uniform(random);
        Solved once(cost, upper, GetParam()), again(cost, upper, GetParam());
        for (int i = 0; i < 40; ++i) {
            Values row(n, 0);
            double reach = 0;
            for (std::size_t r = 0; r < n; ++r)
                if (random() % 2) reach += (row[r] = uniform(random)) * upper[r];
            const double least = 0.7 * uniform(random) * reach;  // no two alike: the weights are the only ones
            ASSERT_TRUE(once.add(row, least));
            ASSERT_TRUE(again.add(row, least));
            again.cover.rebuild();
            for (std::size_t r = 0; r < n; ++r) EXPECT_NEAR(again.h()[r], once.h()[r], 1e-11);
            EXPECT_NEAR(again.bound(), again.cost(), 1e-10 * again.cost());
            EXPECT_LT(again.most_broken().second, 1e-12);
            auto expected = once.weights();
            for (const auto& [name, weight] : again.weights()) EXPECT_NEAR(weight, expected[name], 1e-11);
        }
        EXPECT_GT(once.cover.steps(), 10);
    }
}

TEST(Cover, RebuildingNothingIsNothing) {
    Solved solved({1, 2}, {3, 4});
    solved.cover.rebuild();
    EXPECT_EQ(solved.h(), (Values{0, 0}));
    EXPECT_TRUE(solved.add({1, 1}, 4));
    EXPECT_EQ(solved.h(), (Values{3, 1}));
}

// Units of money and of load do not matter: powers of two leave every digit as it is.
TEST(Cover, OtherUnitsGiveTheSameDigits) {
    std::mt19937 random(11);
    for (int k = 0; k < 40; ++k) {
        const Covering given = random_problem(random, 0, true).given;
        for (const auto& [money, load] : {std::pair{0x1p40, 1.0}, {0x1p-40, 1.0}, {1.0, 0x1p40}, {0x1p30, 0x1p-40}}) {
            Values cost = given.cost, upper = given.upper;
            for (auto& c : cost) c *= money;
            for (auto& u : upper) u *= load;
            Solved plain(given.cost, given.upper), scaled(cost, upper);
            for (std::size_t i = 0; i < given.rows.size(); ++i) {
                const auto name = static_cast<Index>(i);
                const bool meets = plain.cover.add(given.rows[i], given.least[i], name);
                EXPECT_EQ(scaled.cover.add(given.rows[i], given.least[i] * load, name), meets);
                if (!meets) break;
            }
            for (std::size_t r = 0; r < cost.size(); ++r) EXPECT_EQ(scaled.h()[r], plain.h()[r] * load);
            const auto weights = plain.weights();
            for (const auto& [name, weight] : scaled.weights()) EXPECT_EQ(weight, weights.at(name) * money);
        }
    }
}

}  // namespace
}  // namespace surgetank
