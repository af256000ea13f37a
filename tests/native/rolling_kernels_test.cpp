// The kernel `rolling` of every instruction set, against a plain loop: the same bits from each routine.
#include "surgetank/rolling_kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "every_level.hpp"
#include "surgetank/rolling.hpp"
#include "surgetank/series.hpp"

namespace surgetank::rolling {
namespace {

using Series = std::vector<double>;

std::size_t size_of(Index n) { return static_cast<std::size_t>(n); }

struct Job {
    Index samples, window, first = 0, every = 1;
    double missing = 0;
    int ties = 0;  // different values; 0: nearly all are
    Series probabilities = {0, 0.3, 0.5, 0.99, 1};
};

Ranked ranked(const Job& job) {
    std::mt19937_64 random(static_cast<std::uint64_t>(job.samples * 31 + job.window));
    std::uniform_real_distribution<double> uniform;
    Series x(size_of(job.samples));
    for (double& u : x) {
        u = job.ties > 0 ? 0.1 * static_cast<double>(random() % static_cast<unsigned>(job.ties)) : uniform(random);
        if (uniform(random) < job.missing) u = nan;
    }
    Ranked out;
    out.rank(x);
    return out;
}

/// A sorted list of the ranks in the window, and NumPy's quantile of it.
std::vector<Series> expected(const Ranked& x, const Job& job) {
    std::vector<Series> out(job.probabilities.size());
    std::vector<std::int32_t> held;
    for (Index t = 0; t < job.samples; ++t) {
        const auto place = [&](Index at) { return std::lower_bound(held.begin(), held.end(), x.ranks()[size_of(at)]); };
        if (x.ranks()[size_of(t)] >= 0) held.insert(place(t), x.ranks()[size_of(t)]);
        if (t >= job.window && x.ranks()[size_of(t - job.window)] >= 0) held.erase(place(t - job.window));
        if (t < job.first || (t - job.first) % job.every != 0) continue;
        for (std::size_t k = 0; k < out.size(); ++k) {
            out[k].push_back(nan);
            if (held.empty()) continue;
            const double position = job.probabilities[k] * static_cast<double>(held.size() - 1);
            const auto below = static_cast<std::size_t>(position);
            const auto value = [&](std::size_t i) { return x.sorted()[static_cast<std::size_t>(held[i])]; };
            out[k].back() = below + 1 == held.size() ? value(below)
                                                     : series::between(value(below), value(below + 1),
                                                                       position - static_cast<double>(below));
        }
    }
    return out;
}

/// What a routine makes of a job in memory that ends where reading on faults.
void expect_from(void (*routine)(const Trailing&), Index room, const Ranked& x, const Job& job,
                 const std::vector<Series>& wanted) {
    const Guarded<std::int32_t> rank(x.ranks());
    const Guarded<double> sorted(Series(x.sorted().begin(), x.sorted().end())), probability(job.probabilities),
        scratch(Series(size_of((room + 63) / 64 * 8), 1e300));
    const std::size_t count = wanted.size(), n = wanted.front().size();
    const Guarded<double> found(Series(count * n, -1));
    std::vector<double*> rows;
    for (std::size_t k = 0; k < count; ++k) rows.push_back(found.data() + k * n);
    routine({rank.data(), job.samples, sorted.data(), static_cast<Index>(sorted.size()), job.window, job.first,
             job.every, probability.data(), static_cast<Index>(count), rows.data(), scratch.data()});
    for (std::size_t k = 0; k < count; ++k)
        ASSERT_TRUE(same_bits(rows[k], wanted[k].data(), n)) << "probability " << job.probabilities[k];
}

constexpr Index longest_list = 128;

void expect_all(const Job& job) {
    const auto x = ranked(job);
    const auto wanted = expected(x, job);
    const auto observed = static_cast<Index>(x.sorted().size());
    for (const auto& [level, table] : at_every_level<Kernels>(kernels)) {
        SCOPED_TRACE(testing::Message() << level << ", " << job.samples << " samples by " << job.window << " from "
                                        << job.first << " every " << job.every << " missing " << job.missing);
        const Index bytes = room(job.window, observed);
        expect_from(table->bits, bytes, x, job, wanted);
        if (job.window <= longest_list) expect_from(table->list, bytes, x, job, wanted);
        const bool whole = observed == job.samples && job.every == 1;
        if (whole && job.first >= job.window - 1 && job.first < job.samples)
            expect_from(table->follow, bytes, x, job, wanted);
    }
}

TEST(RollingKernels, GiveThePlainLoopsBitsAtEveryLevel) {
    for (const Index window : {1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 129, 333})
        for (const Index samples : {1, 2, 5, 63, 64, 65, 129, 600})
            for (const auto& [missing, ties] : {std::pair{0.0, 0}, {0.3, 0}, {0.05, 4}, {0.98, 2}, {1.0, 0}}) {
                for (const Index first : {Index{0}, window - 1}) expect_all({samples, window, first, 1, missing, ties});
                if (testing::Test::HasFatalFailure()) return;
            }
}

TEST(RollingKernels, StartLaterAndSkip) {
    for (const Index window : {1, 6, 40, 128, 200})
        for (const Index first : {1, 5, 64, 250, 498, 499})
            for (const Index every : {1, 2, 3, 24, 150, 1000})
                for (const double missing : {0.0, 0.1}) expect_all({500, window, first, every, missing});
}

TEST(RollingKernels, SixteenQuantilesAtOnce) {
    Series p;
    for (Index k = 0; k < most_quantiles; ++k) p.push_back(static_cast<double>(15 - k) / 15);
    for (const Index window : {1, 100, 129, 700})
        for (const double missing : {0.0, 0.2}) expect_all({1000, window, 699, 1, missing, 50, p});
}

// Ranks of 16 bits suffice for 32 766 observed samples; from 32 767 on they have 32.
TEST(RollingKernels, LongSeriesNeedWiderRanks) {
    for (const Index samples : {32'766, 32'767, 33'500})
        for (const Index window : {5, 128, 3000, 40'000})
            expect_all({samples, window, std::min(window - 1, samples / 2)});
    expect_all({.samples = 70'000, .window = 100, .first = 9, .every = 11, .missing = 0.1});
    expect_all({.samples = 70'000, .window = 10'000, .first = 9, .every = 11, .missing = 0.1, .ties = 9});
}

}  // namespace
}  // namespace surgetank::rolling
