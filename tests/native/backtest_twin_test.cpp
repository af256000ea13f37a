// The replay against the specification sample by sample, and what it refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "backtest_case.hpp"
#include "refusal.hpp"

namespace surgetank::backtest {
namespace {

struct Request {
    Index at;
    bool up;
};

/// The quota at each sample (NaN: none yet), and what is asked for.
struct Path {
    std::vector<double> quota;
    std::vector<Request> requests;
};

Path replayed(const Rule& rule, const Eigen::ArrayXd& statistic, const Calendar& calendar, Index samples,
              double quota) {
    Path out{std::vector<double>(static_cast<std::size_t>(samples), nan), {}};
    const auto apply = [&](Index from) {
        for (Index t = from; t < samples; ++t) out.quota[static_cast<std::size_t>(t)] = quota;
    };
    if (!std::isnan(quota)) apply(calendar.first);
    Index effect = 0;
    for (Index d = 0; d < statistic.size(); ++d) {
        const Index t = calendar.first - 1 + d * calendar.every;
        const double s = statistic(d);
        if (t < effect || std::isnan(s)) continue;
        if (std::isnan(quota)) {
            quota = rule.start * s;
            apply(t + 1);
            continue;
        }
        const bool up = s > rule.bar * quota;
        if (!up && (rule.of_quota || rule.lower == 0 || !(s < rule.lower / rule.factor * quota))) continue;
        const double wanted = rule.of_quota ? rule.factor * quota : rule.factor * s;
        if (wanted == quota) continue;
        out.requests.push_back({t, up});
        effect = t + 1 + calendar.lead;
        quota = wanted;
        apply(effect);
    }
    return out;
}

/// In the order of `sums` and `counts`, over samples from … end − 1.
struct Figures {
    std::vector<double> sums = std::vector<double>(8, 0.0);
    std::vector<std::int32_t> counts = std::vector<std::int32_t>(7, 0);
};

Figures judged(const Path& path, const Eigen::ArrayXd& u, const Eigen::ArrayXd& peak, const Calendar& calendar) {
    Figures out;
    std::vector<double> over;
    std::set<double> days;
    auto& s = out.sums;
    for (Index t = 0; t < u.size(); ++t) {
        const double q = path.quota[static_cast<std::size_t>(t)];
        if (std::isnan(q)) continue;
        if (!std::isnan(u(t))) {
            ++out.counts[0];
            out.counts[1] += u(t) > q;
            s[0] += std::max(0.0, u(t) - q);
            s[1] += std::max(0.0, q - u(t));
            s[6] += q;
        }
        if (std::isnan(peak(t))) continue;
        ++out.counts[2];
        out.counts[3] += peak(t) > q;
        if (peak(t) > q)
            days.insert(std::floor((calendar.offset_s + static_cast<double>(t) * calendar.step_s) / day_s));
        over.push_back(std::max(0.0, peak(t) - q));
        s[2] += over.back();
        s[3] += std::max(0.0, q - peak(t));
        s[4] = std::max(s[4], over.back());
    }
    std::sort(over.rbegin(), over.rend());
    const double tail = std::ceil(calendar.cvar_frac * static_cast<double>(over.size()));
    for (std::size_t k = 0; static_cast<double>(k) < tail; ++k) s[5] += over[k];
    s[7] = path.quota.back();
    out.counts[4] = static_cast<std::int32_t>(days.size());
    out.counts[5] = static_cast<std::int32_t>(path.requests.size());
    for (std::size_t k = 1; k < path.requests.size(); ++k)
        out.counts[6] += path.requests[k].up != path.requests[k - 1].up;
    return out;
}

Case any(unsigned seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](Index n) { return static_cast<Index>(random() % static_cast<std::uint64_t>(n)); };
    const auto one_of = [&](std::initializer_list<double> x) { return x.begin()[below(static_cast<Index>(x.size()))]; };
    std::lognormal_distribution<double> noise(1, 0.5);
    const Index samples = 2 + below(one_of({3, 60, 700}) > 3 ? 900 : 4), groups = 1 + below(3);
    Case c(Array::Zero(samples, 2 * groups));
    const double missing = one_of({0, 0.05, 0.4});
    for (Index i = 0; i < c.usage.cols(); ++i) {
        c.quotas.region(i) = i % 2, c.quotas.group(i) = i / 2;
        c.quotas.quota(i) = one_of({nan, nan, 0, 5});
        const bool whole = below(2) == 0;
        for (Index t = 0; t < samples; ++t) {
            const double u = noise(random) * (1 + static_cast<double>(t) * one_of({0, 0.01}));
            c.usage(t, i) = static_cast<double>(below(1000)) < 1000 * missing ? nan : whole ? std::round(u) : u;
        }
    }
    if (below(3) > 0) c.events = {{one_of({1, 1e5, 1e6}), {0}, {{0, 1, 0.75}}}, {7e4, {}, {{1, 1, -0.5}, {1, 0, 2}}}};
    c.calendar = {.step_s = one_of({300, 3600, 21600}),
                  .first = 1 + below(samples - 1),
                  .every = 1 + below(9),
                  .lead = below(20),
                  .offset_s = one_of({0, 40'000}),
                  .cvar_frac = one_of({0, 0.05, 0.5, 1})};
    if (below(3) == 0)
        for (Index t = below(5); t < samples; t += 1 + below(9)) c.calendar.moments.push_back(t);
    c.statistics.clear();
    for (Index s = 0; s < 14; ++s)
        c.statistics.push_back({s % 3 == 0, below(3) > 0 ? Index{7} : 1 + below(300), one_of({0, 0.3, 0.9, 1})});
    c.rules.clear();
    for (Index p = 0; p < 30; ++p)
        c.rules.push_back({below(14), one_of({0.5, 0.8, 1, 1.3}), one_of({1.1, 1.5, 2}), one_of({0, 0.5, 0.9, 1.2}),
                           one_of({0.5, 1, 2}), below(3) == 0});
    return c;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& wanted) {
    for (std::size_t k = 0; k < wanted.size(); ++k) {
        if (std::isnan(wanted[k])) EXPECT_TRUE(std::isnan(found[k])) << k;
        else EXPECT_NEAR(found[k], wanted[k], 1e-11 * (1e3 + std::abs(wanted[k]))) << k;
    }
}

TEST(BacktestTwin, EverySampleByTheSpecification) {
    for (unsigned seed = 0; seed < 60; ++seed) {
        const Case c = any(seed);
        const auto found = c();
        const auto seen = statistics_of(c.world(), c.calendar, c.sight(), 1);
        const Array peak = c.carries().peak;
        std::vector<std::vector<Change>> changes(c.rules.size());
        for (std::size_t p = 0; p < c.rules.size(); ++p)
            for (Index i = 0; i < c.usage.cols(); ++i) {
                SCOPED_TRACE(testing::Message() << "seed " << seed << " rule " << p << " series " << i);
                const auto& rule = c.rules[p];
                const Path path = replayed(rule, seen[static_cast<std::size_t>(rule.statistic)].col(i), c.calendar,
                                           c.usage.rows(), c.quotas.quota(i));
                const Figures wanted = judged(path, c.usage.col(i), peak.col(i), c.calendar);
                EXPECT_EQ(counts_of(found, static_cast<Index>(p), i), wanted.counts);
                expect_near(sums_of(found, static_cast<Index>(p), i), wanted.sums);
                double before = nan;
                for (Index t = 0; t < c.usage.rows(); ++t) {
                    const double quota = path.quota[static_cast<std::size_t>(t)];
                    if (!std::isnan(quota) && quota != before) changes[p].push_back({i, t, quota});
                    before = quota;
                }
            }
        auto again = judge(c.world(), c.calendar, changes, 2);
        EXPECT_TRUE((again.requests == 0).all() && (again.reversals == 0).all());
        again.requests = found.requests, again.reversals = found.reversals;
        expect_same(again, found, sums);
        expect_same(again, found, counts);
    }
}

// Rules of one statistic that differ in their bar go on from one another's path: whichever are beside it, and in which
// order, a rule comes to the same.
TEST(BacktestTwin, ARuleIsWorthTheSameAlone) {
    Index requests = 0;
    for (unsigned seed = 0; seed < 16; ++seed) {
        Case c = any(seed);
        std::vector<Rule> rules;
        for (const Index statistic : {0, 1})
            for (const double bar : {0.5, 0.6, 0.6, 0.7, 0.85, 0.9, 1.0, 1.2})
                for (const double factor : {1.1, 2.0})
                    for (const auto& [lower, start] : {std::pair{0.0, 1.0}, {0.9, 1.0}, {0.9, 2.0}})
                        for (const bool of_quota : {false, true})
                            rules.push_back({statistic, bar, factor, lower, start, of_quota});
        std::shuffle(rules.begin(), rules.end(), std::mt19937(seed));
        c.rules = rules;
        const auto together = c();
        requests += together.requests.sum();
        for (std::size_t p = 0; p < rules.size(); ++p) {
            SCOPED_TRACE(testing::Message() << "seed " << seed << " rule " << p);
            c.rules = {rules[p]};
            const auto alone = c();
            for (const auto member : sums)
                EXPECT_TRUE(same((together.*member).row(static_cast<Index>(p)), alone.*member));
            for (const auto member : counts)
                EXPECT_TRUE(((together.*member).row(static_cast<Index>(p)) == alone.*member).all());
        }
    }
    EXPECT_GT(requests, 1000);
}

TEST(BacktestTwin, BlocksAddUp) {
    for (unsigned seed = 0; seed < 40; ++seed)
        for (const Index block : {1, 3, 64, 97, 5000}) {
            SCOPED_TRACE(testing::Message() << "seed " << seed << " block " << block);
            const Case c = any(seed);
            const auto whole = c();
            const auto parts = c.blocks(block);
            ASSERT_EQ(parts.count, (c.usage.rows() - c.calendar.first + block - 1) / block);
            for (Index p = 0; p < whole.samples.rows(); ++p)
                for (Index i = 0; i < c.usage.cols(); ++i) {
                    const auto sum = [&](const auto& x) {
                        return x.row(p).segment(i * parts.count, parts.count).sum();
                    };
                    EXPECT_EQ(sum(parts.samples), whole.samples(p, i));
                    EXPECT_EQ(sum(parts.moments), whole.moments(p, i));
                    EXPECT_EQ(sum(parts.fails), whole.fails(p, i));
                    EXPECT_EQ(sum(parts.requests), whole.requests(p, i));
                    expect_near({sum(parts.idle_sum), sum(parts.short_sum), sum(parts.own_short_sum)},
                                {whole.idle_sum(p, i), whole.short_sum(p, i), whole.own_short_sum(p, i)});
                }
        }
}

std::string after(const std::function<void(Case&)>& change) {
    Case c(column({1, 2, 3, 4, 5, 6, 7, 8}));
    change(c);
    return refusal([&] { c(); });
}

TEST(BacktestRefuses, Calendars) {
    EXPECT_EQ(after([](Case& c) { c.calendar.step_s = nan; }),
              "step_s: must be a positive number of seconds (got nan)");
    EXPECT_EQ(after([](Case& c) { c.calendar.step_s = 1e14; }),
              "step_s: must not make 2·10⁹ days (got 100000000000000)");
    for (const Index first : {0, 8})
        EXPECT_EQ(after([&](Case& c) { c.calendar.first = first; }),
                  fmt::format("first: must lie in [1, 8) (got {})", first));
    EXPECT_EQ(after([](Case& c) { c.calendar.every = 0; }), "every: must be at least one sample (got 0)");
    EXPECT_EQ(after([](Case& c) { c.calendar.lead = -1; }), "lead: must be 0 samples or more (got -1)");
    EXPECT_EQ(after([](Case& c) { c.calendar.cvar_frac = 1.5; }), "cvar_frac: must lie in [0, 1] (got 1.5)");
    EXPECT_EQ(after([](Case& c) { c.calendar.offset_s = -1; }), "offset_s: must lie within a day (got -1)");
    for (const auto& [moments, odd] : {std::pair{std::vector<Index>{2, 3, 3}, 3}, {{-1}, -1}, {{1, 8}, 8}})
        EXPECT_EQ(after([&, m = moments](Case& c) { c.calendar.moments = m; }),
                  fmt::format("moments: must be samples in ascending order (got {})", odd));
}

TEST(BacktestRefuses, Worlds) {
    EXPECT_EQ(after([](Case& c) { c.usage.resize(0, 1); }), "usage: must hold at least one sample (got 0 × 1)");
    EXPECT_EQ(after([](Case& c) { c.usage(3) = -1; }),
              "usage: must be finite and 0 or more, or NaN where not observed (got -1)");
    EXPECT_EQ(after([](Case& c) { c.quotas = plain_quotas(2, 1); }),
              "quota: must have one value per series, 1 (got 2)");
    EXPECT_EQ(after([](Case& c) { c.quotas.quota(0) = -1; }), "quota: must be finite and 0 or more, or NaN (got -1)");
    EXPECT_EQ(after([](Case& c) { c.events = {{0, {}, {}}}; }),
              "duration_s: must be a positive number of seconds (got 0)");
    EXPECT_EQ(after([](Case& c) { c.events = {{1, {}, {{0, 1, 1}}}}; }), "events: must name Regions below 1 (got 1)");
    Case twice(Array::Ones(3, 2));
    twice.quotas.region.setZero();
    EXPECT_EQ(refusal([&] { twice(); }), "group: must hold each Region once (got 0)");
    EXPECT_EQ(refusal([&] { twice(-1); }), "threads: must be 0 (all of the machine's) or more (got -1)");
}

TEST(BacktestRefuses, StatisticsAndRules) {
    EXPECT_EQ(after([](Case& c) { c.statistics[0].window = 0; }), "window: must be at least one sample (got 0)");
    EXPECT_EQ(after([](Case& c) { c.statistics[0].quantile = 2; }), "quantile: must lie in [0, 1] (got 2)");
    EXPECT_EQ(after([](Case& c) { c.statistics[0].given = 0; }), "given: must be below 0 (got 0)");
    EXPECT_EQ(after([](Case& c) { c.given = {Array::Zero(7, 1)}; }), "given: must have shape (8, 1) (got (7, 1))");
    EXPECT_EQ(after([](Case& c) { c.given = {Array::Constant(8, 1, inf)}; }),
              "given: must be finite and 0 or more, or NaN (got inf)");
    EXPECT_EQ(after([](Case& c) { c.rules.clear(); }), "rules: must hold at least one (got 0)");
    for (const Index s : {-1, 1})
        EXPECT_EQ(after([&](Case& c) { c.rules[0].statistic = s; }),
                  fmt::format("statistic: must be below 1 (got {})", s));
    EXPECT_EQ(after([](Case& c) { c.rules[0].bar = 0; }), "threshold: must be positive and finite (got 0)");
    EXPECT_EQ(after([](Case& c) { c.rules[0].factor = inf; }), "factor: must be positive and finite (got inf)");
    EXPECT_EQ(after([](Case& c) { c.rules[0].start = nan; }), "start: must be positive and finite (got nan)");
    EXPECT_EQ(after([](Case& c) { c.rules[0].lower = -1; }), "lower: must be finite and 0 or more (got -1)");
    EXPECT_EQ(after([](Case& c) { c.rules[0].of_quota = true; }),
              "factor: must be more than 1 where it multiplies the quota (got 1)");
}

TEST(BacktestRefuses, BlocksAndChanges) {
    const Case c(column({1, 2, 3, 4}));
    EXPECT_EQ(refusal([&] { c.blocks(0); }), "block: must be at least one sample (got 0)");
    const auto of = [&](const std::vector<Change>& changes) {
        return refusal([&] { judge(c.world(), c.calendar, {changes}, 1); });
    };
    EXPECT_EQ(of({{0, 1, 5}, {0, 3, 0}}), "(nothing was thrown)");
    const std::string rule = "changes: must be finite quotas by series and sample, ascending (got ";
    EXPECT_EQ(of({{0, 0, 5}}), rule + "5 from sample 0 of series 0)");
    EXPECT_EQ(of({{0, 4, 5}}), rule + "5 from sample 4 of series 0)");
    EXPECT_EQ(of({{1, 1, 5}}), rule + "5 from sample 1 of series 1)");
    EXPECT_EQ(of({{0, 1, nan}}), rule + "nan from sample 1 of series 0)");
    EXPECT_EQ(of({{0, 1, -1}}), rule + "-1 from sample 1 of series 0)");
    EXPECT_EQ(of({{0, 2, 5}, {0, 2, 6}}), rule + "6 from sample 2 of series 0)");
}

}  // namespace
}  // namespace surgetank::backtest
