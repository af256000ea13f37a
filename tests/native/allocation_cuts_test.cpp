// Which failures there are, and the load that does not fit: against all failures, moments and sets of sources.
#include "surgetank/allocation_cuts.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

namespace surgetank::allocation {
namespace {

using Set = std::vector<Index>;
using Values = std::vector<double>;

std::vector<Set> listed(const FailureSets& sets) {
    std::vector<Set> out;
    sets.for_each([&](Index i, std::span<const Index> set) {
        EXPECT_EQ(i, static_cast<Index>(out.size()));
        out.emplace_back(set.begin(), set.end());
    });
    EXPECT_EQ(sets.count(), static_cast<Index>(out.size()));
    return out;
}

TEST(AllocationCuts, FailuresComeAsItertoolsCombinationsDo) {
    EXPECT_EQ(listed({{1, {}}, 3}), (std::vector<Set>{{0}, {1}, {2}}));
    EXPECT_EQ(listed({{2, {}}, 4}), (std::vector<Set>{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}));
    EXPECT_EQ(listed({{3, {}}, 4}), (std::vector<Set>{{0, 1, 2}, {0, 1, 3}, {0, 2, 3}, {1, 2, 3}}));
    const auto many = listed({{3, {}}, 34});
    EXPECT_EQ(many.size(), 34u * 33 * 32 / 6);
    EXPECT_EQ(many.back(), (Set{31, 32, 33}));
    EXPECT_TRUE(std::ranges::is_sorted(many));
}

TEST(AllocationCuts, SetsComeAsTheyAreGivenAndCountAlone) {
    const std::vector<Set> given{{2}, {0, 1, 3}, {2}};
    const FailureSets sets({2, given}, 4);
    EXPECT_EQ(sets.any(), 0);
    EXPECT_EQ(listed(sets), given);
}

// Quarters, so that every sum is exact and `worst` must find the very number.
struct Case {
    Case(std::mt19937& random, Index regions, Index moments) : h(static_cast<std::size_t>(regions)) {
        const auto integer = [&](int most) { return static_cast<double>(random() % static_cast<unsigned>(most + 1)); };
        service.regions = regions, service.moments = moments;
        service.load.resize(static_cast<std::size_t>(regions * moments));
        service.room = service.load;
        for (auto& x : service.load) x = random() % 5 ? integer(9) : 0;
        const int most = 2 + 2 * static_cast<int>(random() % 5);
        for (auto& x : service.room) x = integer(most);
        for (auto& x : h) x = integer(3);
        for (Index r = 0; r < regions; ++r)
            for (Index s = 0; s < regions; ++s) service.take.push_back(r == s ? 0 : random() % 2 ? 1 : integer(4) / 4);
    }
    double load(Index moment, Index r) const {
        return service.load[static_cast<std::size_t>(moment * service.regions + r)];
    }
    // What the loads of `sources` have beyond all that the surviving Regions may take of them.
    double missing(const Set& failed, const Set& sources, Index moment, const Values& at) const {
        double left = load(sources, moment);
        for (Index r = 0; r < service.regions; ++r) {
            if (std::ranges::find(failed, r) != failed.end()) continue;
            double may = 0;
            for (const Index s : sources)
                may += service.take[static_cast<std::size_t>(r * service.regions + s)] * load(moment, s);
            left -= std::min(may, service.room[static_cast<std::size_t>(moment * service.regions + r)] +
                                      at[static_cast<std::size_t>(r)]);
        }
        return left;
    }
    double load(const Set& sources, Index moment) const {
        double all = 0;
        for (const Index s : sources) all += load(moment, s);
        return all;
    }

    Service service;
    Values h;
};

void for_each_subset(const Set& of, const std::function<void(const Set&)>& visit) {
    for (unsigned bits = 1; bits < 1u << of.size(); ++bits) {
        Set some;
        for (std::size_t i = 0; i < of.size(); ++i)
            if (bits >> i & 1) some.push_back(of[i]);
        visit(some);
    }
}

struct Expected {
    double score = 0, excess = 0;
};

Expected all_of(const Case& given, const FailureSets& sets, double tolerance, const Values& allowed = {}) {
    Expected out;
    sets.for_each([&](Index i, std::span<const Index> members) {
        const Set failed(members.begin(), members.end());
        const double may_stay = allowed.empty() ? 0 : allowed[static_cast<std::size_t>(i)];
        for (Index t = 0; t < given.service.moments; ++t)
            for_each_subset(failed, [&](const Set& sources) {
                const double load = given.load(sources, t);
                const double missing = given.missing(failed, sources, t, given.h) - may_stay;
                out.score = std::max(out.score, missing - tolerance * load);
                if (load > 0) out.excess = std::max(out.excess, missing / load);
            });
    });
    return out;
}

// One call at a fresh start must find the most broken constraint, and say what is true of it.
void expect_worst(const Case& given, const FailureSets& sets, double tolerance, const Values& allowed = {},
                  bool by_flow = false) {
    Cuts cuts(sets, given.service.regions);
    cuts.reset(given.service);
    if (!allowed.empty()) cuts.allow(allowed);
    Cut cut;
    const Expected expected = all_of(given, sets, tolerance, allowed);
    ASSERT_EQ(cuts.worst(given.h, tolerance, cut, no_poll), expected.score > 0);
    if (!by_flow) EXPECT_EQ(cuts.excess(), expected.excess);
    if (!(expected.score > 0)) return;
    EXPECT_EQ(cut.missing - tolerance * cut.load, expected.score);
    EXPECT_EQ(cut.missing, given.missing(cut.failed, cut.sources, cut.moment, given.h) - cut.allowed);
    EXPECT_EQ(cut.load, given.load(cut.sources, cut.moment));
    EXPECT_TRUE(std::ranges::includes(cut.failed, cut.sources));
    bool known = false;
    sets.for_each([&](Index i, std::span<const Index> set) {
        if (std::ranges::equal(set, cut.failed) &&
            cut.allowed == (allowed.empty() ? 0 : allowed[static_cast<std::size_t>(i)]))
            known = true;
    });
    EXPECT_TRUE(known);  // a failure that there is, with its members ascending
}

class AnyOf : public testing::TestWithParam<Index> {};
INSTANTIATE_TEST_SUITE_P(AllocationCuts, AnyOf, testing::Values<Index>(1, 2, 3));

TEST_P(AnyOf, TheMostBrokenIsFound) {
    std::mt19937 random(1);
    int fit = 0;
    for (int k = 0; k < 300; ++k) {
        const Index regions = GetParam() + 1 + static_cast<Index>(random() % 4);
        const Case given(random, regions, 1 + static_cast<Index>(random() % 3));
        const FailureSets sets({GetParam(), {}}, regions);
        for (const double tolerance : {0.0, 0.25}) expect_worst(given, sets, tolerance);
        Values allowed(static_cast<std::size_t>(sets.count()));
        for (auto& x : allowed) x = static_cast<double>(random() % 6);
        expect_worst(given, sets, 0, allowed);
        fit += all_of(given, sets, 0).score == 0;
    }
    EXPECT_GT(fit, 10);
    EXPECT_LT(fit, 250);
}

TEST(AllocationCuts, TheMostBrokenOfExplicitSetsIsFound) {
    std::mt19937 random(2);
    for (int k = 0; k < 300; ++k) {
        const Case given(random, 6, 2);
        std::vector<Set> some;
        for (int i = 1 + static_cast<int>(random() % 4); i > 0; --i) {
            some.emplace_back();
            for (Index r = 0; r < 6; ++r)
                if (random() % 2 && some.back().size() < 5) some.back().push_back(r);
            if (some.back().empty()) some.back().push_back(3);
        }
        const FailureSets sets({1, some}, 6);
        for (const double tolerance : {0.0, 0.25}) expect_worst(given, sets, tolerance);
        Values allowed(some.size());
        for (auto& x : allowed) x = static_cast<double>(random() % 6);
        expect_worst(given, sets, 0.25, allowed);
    }
}

// Beyond seven sources a maximal flow takes the place of all subsets, and must come to the same.
TEST(AllocationCuts, ManySourcesGoByFlow) {
    std::mt19937 random(3);
    int fit = 0;
    for (int k = 0; k < 60; ++k) {
        Case given(random, 12, 1);
        for (auto& x : given.service.load) x += 1;  // none is without load: eight and nine sources
        for (auto& x : given.service.room) x *= 1 + static_cast<double>(k % 6);
        const FailureSets sets({1, {{0, 1, 2, 3, 5, 8, 9, 10}, {0, 2, 3, 4, 6, 7, 9, 10, 11}}}, 12);
        expect_worst(given, sets, 0, {}, true);
        expect_worst(given, sets, 0, {3, 7}, true);
        fit += all_of(given, sets, 0).score == 0;
        Cuts cuts(sets, 12);
        cuts.reset(given.service);
        Cut cut;
        cuts.of(Set{0, 1, 2, 3, 5, 8, 9, 10}, 0, given.h, cut);
        EXPECT_EQ(cut.missing, given.missing(cut.failed, cut.sources, 0, given.h));
        EXPECT_GE(cut.sources.size(), cut.missing > 0 ? 1u : 8u);  // where all fits, of all of them together
    }
    EXPECT_GT(fit, 5);
    EXPECT_LT(fit, 50);
}

TEST(AllocationCuts, OfOneFailureTheTightestWhetherItIsBrokenOrNot) {
    std::mt19937 random(4);
    const FailureSets sets({1, {}}, 6);
    const Set failed{1, 2, 4};
    int fit = 0;
    for (int k = 0; k < 200; ++k) {
        Case given(random, 6, 2);
        for (auto& x : given.service.room) x *= 1 + static_cast<double>(k % 4);
        Cuts cuts(sets, 6);
        cuts.reset(given.service);
        for (Index t = 0; t < 2; ++t) {
            Cut cut;
            cuts.of(failed, t, given.h, cut);
            double most = -inf;
            for_each_subset(failed, [&](const Set& sources) {
                for (const Index s : sources)
                    if (given.load(t, s) == 0) return;  // says nothing
                most = std::max(most, given.missing(failed, sources, t, given.h));
            });
            EXPECT_EQ(cut.missing, most == -inf ? 0 : most);
            EXPECT_EQ(cut.failed, failed);
            EXPECT_EQ(cut.moment, t);
            EXPECT_EQ(cut.missing, given.missing(failed, cut.sources, t, given.h));
            fit += cut.missing < 0;
        }
    }
    EXPECT_GT(fit, 50);
}

// As a row the cut says at h what is missing, and elsewhere never more than what is missing there.
TEST(AllocationCuts, TheRowTouchesTheConstraintFromOneSide) {
    std::mt19937 random(5);
    for (int k = 0; k < 200; ++k) {
        const Case given(random, 5, 2);
        const FailureSets sets({2, {}}, 5);
        Cuts cuts(sets, 5);
        cuts.reset(given.service);
        Cut cut;
        if (!cuts.worst(given.h, 0, cut, no_poll)) continue;
        Values row(5);
        const double least = cuts.row(cut, given.h, row);
        const auto lacks = [&](const Values& h) {
            return least - std::inner_product(h.begin(), h.end(), row.begin(), 0.0);
        };
        EXPECT_EQ(lacks(given.h), cut.missing);
        for (int other = 0; other < 20; ++other) {
            Values h(5);
            for (auto& x : h) x = static_cast<double>(random() % 12);
            EXPECT_LE(lacks(h), given.missing(cut.failed, cut.sources, cut.moment, h));
        }
        for (const Index f : cut.failed) EXPECT_EQ(row[static_cast<std::size_t>(f)], 0);
    }
}

// Two Regions; what leaves at moment t is t mod 50, and nothing is free.
Service rising(Index moments) {
    Service out;
    out.regions = 2, out.moments = moments;
    for (Index t = 0; t < moments; ++t) {
        out.load.insert(out.load.end(), {static_cast<double>(t % 50), 0});
        out.room.insert(out.room.end(), {0, 0});
    }
    out.take = {0, 1, 1, 0};
    return out;
}

// A moment that was broken before is looked at alone; only when it holds, all others are again.
TEST(AllocationCuts, EveryMomentCountsInTheEnd) {
    const Service service = rising(120);
    const FailureSets sets({1, {}}, 2);
    Cuts cuts(sets, 2);
    cuts.reset(service);
    Cut cut;
    ASSERT_TRUE(cuts.worst(Values{0, 0}, 0, cut, no_poll));
    EXPECT_EQ(cut.moment, 49);  // the first of two that are as bad
    EXPECT_EQ(cut.missing, 49);
    ASSERT_TRUE(cuts.worst(Values{0, 48.5}, 0, cut, no_poll));
    EXPECT_EQ(cut.missing, 0.5);
    EXPECT_FALSE(cuts.worst(Values{0, 49}, 0, cut, no_poll));
    EXPECT_EQ(cuts.excess(), 0);
    ASSERT_TRUE(cuts.worst(Values{0, 10}, 0, cut, no_poll));
    EXPECT_EQ(cut.missing, 39);
}

TEST(AllocationCuts, LongSearchesPoll) {
    const Service service = rising(200);
    const FailureSets sets({1, {}}, 2);
    Cuts cuts(sets, 2);
    cuts.reset(service);
    Cut cut;
    int polls = 0;
    cuts.worst(Values{0, 0}, 0, cut, [&] { ++polls; });
    EXPECT_EQ(polls, 3);
    EXPECT_TRUE(cuts.worst(Values{0, 1}, 0, cut, [&] { ++polls; }));
    EXPECT_EQ(polls, 3);  // the moment that was broken is looked at first, and still is
    struct Stop {};
    cuts.reset(service);
    EXPECT_THROW(cuts.worst(Values{0, 0}, 0, cut, [] { throw Stop{}; }), Stop);
}

}  // namespace
}  // namespace surgetank::allocation
