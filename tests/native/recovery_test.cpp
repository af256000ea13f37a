#include "surgetank/recovery.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

namespace surgetank {
namespace {

using sampling::Distribution;
using sampling::Kind;

Distribution fixed(double seconds) { return {Kind::fixed, {seconds}}; }
Distribution uniform(double low, double high) { return {Kind::uniform, {low, high}}; }

RecoveryStep step(std::string name, Distribution duration, std::vector<Index> after = {}) {
    RecoveryStep out;
    out.name = std::move(name);
    out.duration = std::move(duration);
    out.option.assign(after.size(), -1);
    out.after = std::move(after);
    return out;
}

RecoveryStep branch(std::string name, std::vector<double> options, std::vector<Index> after = {}) {
    RecoveryStep out = step(std::move(name), Distribution(), std::move(after));
    out.options = std::move(options);
    return out;
}

RecoveryGraph graph(std::vector<RecoveryStep> steps, std::vector<Index> done) {
    RecoveryGraph out;
    out.steps = std::move(steps);
    out.done = std::move(done);
    return out;
}

RecoveryRun run_of(std::uint64_t trials, std::vector<double> targets = {}) {
    RecoveryRun run;
    run.seed = 7, run.trials = trials, run.targets = std::move(targets);
    return run;
}

double share(std::uint64_t hits, std::uint64_t trials) {
    return static_cast<double>(hits) / static_cast<double>(trials);
}

double mean(const TimeCounts& c) {
    return static_cast<double>(c.sum) / sampling::quanta_per_s / static_cast<double>(c.finite);
}

TEST(Recovery, AddsUpFixedSteps) {
    auto g = graph({step("detect", fixed(300)), step("decide", fixed(2100), {0}), step("act", fixed(600), {1})}, {2});
    g.detection = 0;
    const auto c = RecoveryModel(g).run(run_of(1000, {3000, 2700, 2999}));
    EXPECT_EQ(c.clocks[0].least, 3000);
    EXPECT_EQ(c.clocks[0].most, 3000);
    EXPECT_EQ(c.clocks[1].most, 2700);
    EXPECT_EQ(c.clocks[0].within, (std::vector<std::uint64_t>{1000, 0, 0}));
    EXPECT_EQ(c.clocks[1].within, (std::vector<std::uint64_t>{1000, 1000, 1000}));
    EXPECT_EQ(c.paths, 1000u);
    EXPECT_EQ(c.critical, (std::vector<std::uint64_t>{1000, 1000, 1000}));
    EXPECT_EQ(c.critical_quanta[1], 1000u * 2100 * 1024);
}

TEST(Recovery, WaitsForAllOrForTheFirst) {
    auto all = step("all", fixed(1), {0, 1}), any = step("any", fixed(1), {0, 1});
    any.any = true;
    const auto g = graph({step("a", fixed(10)), step("b", fixed(20)), all, any}, {2});
    EXPECT_EQ(RecoveryModel(g).run(run_of(100)).clocks[0].least, 21);
    auto first = g;
    first.done = {3};
    EXPECT_EQ(RecoveryModel(first).run(run_of(100)).clocks[0].most, 11);
}

TEST(Recovery, SkipsWhatABranchDoesNotTake) {
    auto fast = step("fast", fixed(10), {0}), slow = step("slow", fixed(100), {0});
    fast.option = {0}, slow.option = {1};
    const auto g = graph({branch("which", {0.25, 0.75}), fast, slow, step("end", fixed(1), {1, 2})}, {3});
    const auto c = RecoveryModel(g).run(run_of(100'000, {11}));
    EXPECT_NEAR(share(c.clocks[0].within[0], c.trials), 0.25, 0.006);
    EXPECT_EQ(c.clocks[0].least, 11);
    EXPECT_EQ(c.clocks[0].most, 101);
    EXPECT_EQ(c.clocks[0].finite, c.trials);
    EXPECT_EQ(c.ran[1] + c.ran[2], c.paths);
    // A skipped step leaves those out that wait for it alone, and an end that is skipped never comes.
    auto lost = g;
    lost.steps.push_back(step("after fast", fixed(1), {1}));
    lost.done = {4};
    const auto l = RecoveryModel(lost).run(run_of(100'000));
    EXPECT_NEAR(share(l.clocks[0].finite, l.trials), 0.25, 0.006);
}

TEST(Recovery, TriesAgainAndFallsBack) {
    auto flaky = step("flaky", fixed(10));
    flaky.failure = 0.5, flaky.retries = 2, flaky.retry_after = fixed(3);
    const auto c = RecoveryModel(graph({flaky}, {0})).run(run_of(200'000, {10, 23, 36}));
    EXPECT_NEAR(share(c.clocks[0].within[0], c.trials), 0.5, 0.005);
    EXPECT_NEAR(share(c.clocks[0].within[1], c.trials), 0.75, 0.005);
    EXPECT_EQ(c.clocks[0].within[2], c.clocks[0].finite);
    EXPECT_NEAR(share(c.clocks[0].finite, c.trials), 0.875, 0.005);
    auto saved = flaky;
    saved.fallback = 0;
    const auto s = RecoveryModel(graph({step("by hand", fixed(100)), saved}, {1})).run(run_of(200'000));
    EXPECT_EQ(s.clocks[0].finite, s.trials);
    EXPECT_EQ(s.clocks[0].most, 136);
    EXPECT_NEAR(mean(s.clocks[0]), 0.5 * 10 + 0.25 * 23 + 0.125 * 36 + 0.125 * 136, 0.3);
}

TEST(Recovery, RareRetriesAreDrawnOneByOneWithTheSameLuck) {
    // One trial in a thousand fails: those are drawn one by one. Of each, the second attempt is that of the stream.
    auto rare = step("rare", uniform(1, 2));
    rare.failure = 0.001, rare.retries = 1;
    RecoveryRun run = run_of(1);
    const auto first = sampling::stream(7, "rare", sampling::Purpose::duration, 0);
    const auto second = sampling::stream(7, "rare", sampling::Purpose::duration, 1);
    const auto failure = sampling::stream(7, "rare", sampling::Purpose::failure, 0);
    const sampling::Sampler sampler(uniform(1, 2));
    const RecoveryModel model(graph({rare}, {0}));
    int seen = 0;
    for (std::uint64_t trial = 0; trial < 20'000 && seen < 5; ++trial) {
        if (sampling::word(failure, trial) >= sampling::threshold(0.001)) continue;
        run.first = trial;
        ++seen;
        EXPECT_EQ(model.run(run).clocks[0].least, sampler.one(first, trial) + (0.0 + sampler.one(second, trial)));
    }
    EXPECT_EQ(seen, 5);
}

RecoveryGraph mixed() {
    auto flaky = step("flaky", Distribution(Kind::lognormal, {20, 90}), {0});
    flaky.failure = 0.1, flaky.retries = 3, flaky.retry_after = uniform(1, 5), flaky.fallback = 1;
    auto left = step("left", Distribution(Kind::pert, {1, 4, 9, 4}), {3}), right = step("right", uniform(2, 3), {3});
    left.option = {0}, right.option = {1};
    left.loadings = {{0, 0.7}}, right.loadings = {{0, -0.4}};
    auto g = graph({step("detect", Distribution(Kind::triangular, {1, 2, 9})),
                    step("by hand", Distribution(Kind::gamma, {2, 30})), flaky, branch("which", {0.3, 0.7}, {2}), left,
                    right, step("end", Distribution(Kind::exponential, {8}), {4, 5})},
                   {6});
    g.factors = {"people"};
    g.stores = {{"a", uniform(0, 86400), fixed(60)}, {"b", Distribution(Kind::lognormal, {1, 5}), uniform(0, 1)}};
    g.detection = 0, g.declaration = 2;
    return g;
}

RecoveryCapacity half_full() { return {{"q"}, {{{1, 0.5}, {0, 0, 1}, {0}}}, uniform(1000, 2000), 0.25}; }

void expect_same(const TimeCounts& a, const TimeCounts& b) {
    EXPECT_EQ(a.finite, b.finite);
    EXPECT_EQ(a.within, b.within);
    EXPECT_TRUE(a.sum == b.sum && a.squares == b.squares);
    EXPECT_EQ(a.least, b.least);
    EXPECT_EQ(a.most, b.most);
    EXPECT_EQ(a.histogram, b.histogram);
}

void expect_same(const RecoveryCounts& a, const RecoveryCounts& b) {
    EXPECT_EQ(a.trials, b.trials);
    for (std::size_t i = 0; i < a.clocks.size(); ++i) expect_same(a.clocks[i], b.clocks[i]);
    for (std::size_t i = 0; i < a.points.size(); ++i) expect_same(a.points[i], b.points[i]);
    for (std::size_t i = 0; i < a.ready.size(); ++i) expect_same(a.ready[i], b.ready[i]);
    EXPECT_EQ(a.met, b.met);
    EXPECT_EQ(a.fits, b.fits);
    EXPECT_EQ(a.lacking, b.lacking);
    EXPECT_EQ(a.last, b.last);
    EXPECT_EQ(a.served, b.served);
    EXPECT_EQ(a.critical, b.critical);
    EXPECT_EQ(a.ran_quanta, b.ran_quanta);
    EXPECT_EQ(a.critical_quanta, b.critical_quanta);
}

TEST(Recovery, ThreadsAndPartsAddUpToTheSameBits) {
    auto g = mixed();
    g.steps[2].coupling = 0;
    const RecoveryModel model(g);
    const RecoveryCapacity capacity = half_full();
    RecoveryRun run = run_of(50'001, {60, 120});
    run.first = 77, run.point_targets = {3600};
    const auto whole = model.run(run, &capacity);
    for (const Index threads : {2, 3, 16}) {
        RecoveryRun other = run;
        other.threads = threads;
        expect_same(whole, model.run(other, &capacity));
    }
    RecoveryRun part = run;
    RecoveryCounts sum(model.graph(), &capacity, run);
    for (const auto& [first, trials] : {std::pair{40'000u, 10'078u}, {77u, 1u}, {78u, 39'922u}}) {
        part.first = first, part.trials = trials;
        sum.add(model.run(part, &capacity));
    }
    expect_same(whole, sum);
}

TEST(Recovery, WhatDoesNotFitWaitsForAnIncrease) {
    auto scale = step("scale", fixed(10));
    scale.coupling = 0;
    const RecoveryModel model(graph({scale, step("verify", fixed(5), {0})}, {1}));
    const RecoveryCapacity capacity = half_full();
    const auto c = model.run(run_of(100'000, {15, 3000}), &capacity);
    EXPECT_EQ(c.ready[0].within[0], c.trials);
    EXPECT_EQ(c.clocks[0].within[0], c.fits);
    EXPECT_NEAR(share(c.fits, c.trials), 0.5, 0.007);
    EXPECT_NEAR(share(c.clocks[0].finite, c.trials), 1 - 0.5 * 0.25, 0.005);
    EXPECT_EQ(c.lacking[0], c.trials - c.fits);
    EXPECT_EQ(c.last[0], c.lacking[0]);
    const auto served = std::accumulate(c.served.begin(), c.served.end(), std::uint64_t{0});
    EXPECT_EQ(served, c.trials * 65536);
    // Half of what lands is served when the step has ended, the rest of it when the increase applies; or never.
    EXPECT_EQ(c.served.back(), (c.trials - c.clocks[0].finite) * 32768);
}

TEST(Recovery, SelectsOrderStatisticsExactly) {
    const RecoveryModel model(mixed());
    RecoveryRun run = run_of(3000);
    std::vector<double> all;
    for (run.first = 100, run.trials = 1; run.first < 3100; ++run.first) {
        const auto one = model.run(run);
        all.push_back(one.clocks[0].finite ? one.clocks[0].least : inf);
    }
    std::ranges::sort(all);
    run.first = 100, run.trials = 3000;
    for (const Index threads : {1, 2}) {
        run.threads = threads;
        const auto found = model.select(run, nullptr, 0, {0, 1499, 2990, 2999});
        EXPECT_EQ(found, (std::vector<double>{all[0], all[1499], all[2990], all[2999]}));
    }
}

TEST(Recovery, RefusesWhatIsNoGraph) {
    const auto message = [](const auto& make) -> std::string {
        try {
            make();
        } catch (const InvalidInput& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(message([] { RecoveryModel(graph({}, {})); }), "steps: must be at least one (got 0)");
    EXPECT_EQ(message([] { RecoveryModel(graph({step("a", fixed(1), {0})}, {0})); }),
              "after: of a must be earlier steps (got 0)");
    EXPECT_EQ(message([] { RecoveryModel(graph({step("a", fixed(1))}, {})); }),
              "done: must be at least one step (got 0)");
    auto unlikely = step("a", fixed(1));
    unlikely.failure = 1.5;
    EXPECT_EQ(message([&] { RecoveryModel(graph({unlikely}, {0})); }), "failure: of a must lie in [0, 1] (got 1.5)");
    const RecoveryModel model(graph({step("a", fixed(1))}, {0}));
    EXPECT_EQ(message([&] { model.run(run_of(0)); }), "trials: must be at least 1, below 2^62 (got 0)");
    EXPECT_EQ(message([&] { model.select(run_of(5), nullptr, 0, {5}); }),
              "ranks: must be below the number of trials (got 5)");
    auto saved = step("b", fixed(1));
    saved.fallback = 0;
    EXPECT_EQ(message([&] { RecoveryModel(graph({step("a", fixed(1)), saved}, {0})); }),
              "done: must not be a fallback, which ends with its step (got 0)");
    EXPECT_EQ(message([&] { model.select(run_of(0), nullptr, 0, {}); }),
              "trials: must be at least 1, below 2^62 (got 0)");
    const auto of = [](Coupling coupling) { return RecoveryCapacity({"q"}, {std::move(coupling)}, fixed(1), 0.5); };
    EXPECT_EQ(message([&] { of({{2, 0.5}, {0, 0, 1}, {0}}); }), "served: must be shares in [0, 1] (got 2)");
    EXPECT_EQ(message([&] { of({{1, 0.5}, {0, 0, 1}, {1}}); }),
              "lacking: must be quotas that are there, ascending at every moment (got 1)");
    EXPECT_EQ(message([&] { of({{1, 0.5}, {0, 1, 2}, {0, -1}}); }),
              "lacking: must be quotas that are there, ascending at every moment (got -1)");
    EXPECT_EQ(message([&] { of({{1, 0.5}, {0, 1, 0}, {}}); }),
              "starts: must ascend from 0 to the number of those lacking (got 0)");
    EXPECT_EQ(message([&] { of({{1}, {0, 0, 0}, {}}); }), "couplings: must be of the same moments (got 1)");
    EXPECT_EQ(message([&] { of({}); }), "couplings: must have at least one moment (got 0)");
    EXPECT_EQ(message([] { RecoveryCapacity({"q"}, {}, fixed(1)); }), "couplings: must be at least one (got 0)");
    EXPECT_EQ(message([] { RecoveryCapacity({"q"}, {{{1}, {0, 0}, {}}}, fixed(1), 1.5); }),
              "denial: must lie in [0, 1] (got 1.5)");
}

TEST(Recovery, CanBeAbandoned) {
    struct Enough {};
    int polls = 0;
    EXPECT_THROW(RecoveryModel(mixed()).run(run_of(std::uint64_t{1} << 40), nullptr,
                                            [&] {
                                                if (++polls > 3) throw Enough();
                                            }),
                 Enough);
}

}  // namespace
}  // namespace surgetank
