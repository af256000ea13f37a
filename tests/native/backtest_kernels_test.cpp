// The kernel `backtest` of every instruction set, against plain loops: the same bits from each.
#include "surgetank/backtest_kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include "every_level.hpp"

namespace surgetank::backtest {
namespace {

using Series = std::vector<double>;

std::size_t size_of(Index n) { return static_cast<std::size_t>(n); }

Index padded(Index n, Index to) { return (n + to - 1) / to * to; }

/// A series and the maxima of its blocks, as the kernels of one level make them.
struct Tracked {
    Index n;
    Guarded<double> value, top, bottom;

    Tracked(const Kernels& table, const Series& x, bool both = true)
        : n(static_cast<Index>(x.size())),
          value(Series(size_of(padded(n, in_block)), 1e300)),
          top(Series(size_of(padded(padded(n, in_block) / in_block, 8)), 7)),
          bottom(Series(top.size(), 7)) {
        std::copy(x.begin(), x.end(), value.data());
        table.tops(value.data(), n, top.data(), both ? bottom.data() : nullptr);
    }
    Track track() const { return {value.data(), top.data(), n}; }
};

/// Whole numbers 0 … 9, some missing, and a stretch that is missing altogether.
Series digits(Index n, unsigned seed, double missing = 0.2) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> uniform;
    Series x(size_of(n));
    for (std::size_t t = 0; t < x.size(); ++t) {
        x[t] = static_cast<double>(random() % 10);
        if (uniform(random) < missing || (t >= 300 && t < 500)) x[t] = nan;
    }
    return x;
}

TEST(BacktestKernels, TopsOfBlocks) {
    for (const Index n : {1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1000}) {
        Series x = nasty(size_of(n), {.missing = true, .extreme = true}, static_cast<unsigned>(n));
        std::fill(x.begin() + std::min<Index>(n, 64), x.begin() + std::min<Index>(n, 128), nan);
        std::unique_ptr<Tracked> first;
        for (const auto& [level, table] : at_every_level<Kernels>(kernels)) {
            SCOPED_TRACE(testing::Message() << level << " " << n);
            auto found = std::make_unique<Tracked>(*table, x);
            EXPECT_TRUE(same_bits(found->value.data(), x.data(), x.size()));
            for (std::size_t t = x.size(); t < found->value.size(); ++t)
                EXPECT_TRUE(std::isnan(found->value.data()[t]));
            for (Index b = 0; b < static_cast<Index>(found->top.size()); ++b) {
                double most = -inf, least = inf;
                for (Index t = b * in_block; t < std::min(n, (b + 1) * in_block); ++t) {
                    if (x[size_of(t)] > most) most = x[size_of(t)];
                    if (x[size_of(t)] < least) least = x[size_of(t)];
                }
                EXPECT_EQ(found->top.data()[b], most);
                EXPECT_EQ(found->bottom.data()[b], -least);
            }
            const Tracked top_alone(*table, x, false);
            EXPECT_TRUE(same_bits(top_alone.top.copy(), found->top.copy()));
            EXPECT_EQ(top_alone.bottom.copy(), Series(top_alone.bottom.size(), 7));
            if (!first) first = std::move(found);
            else
                EXPECT_TRUE(same_bits(first->top.copy(), found->top.copy()) &&
                            same_bits(first->bottom.copy(), found->bottom.copy()));
        }
    }
}

/// Ranges [from, end) of n samples: all of a short series, else some; from beyond end as well.
std::vector<std::pair<Index, Index>> ranges(Index n) {
    std::vector<std::pair<Index, Index>> out;
    std::mt19937_64 random(5);
    const auto any = [&] { return static_cast<Index>(random() % static_cast<std::uint64_t>(n + 1)); };
    for (Index from = 0; n < 300 && from <= n + 1; ++from)
        for (Index end = std::max<Index>(0, from - 1); end <= n; ++end) out.emplace_back(from, end);
    for (int i = 0; n >= 300 && i < 1500; ++i) out.emplace_back(any(), any());
    return out;
}

TEST(BacktestKernels, TheFirstAboveOrOutside) {
    for (const Index n : {1, 64, 150, 6000})
        for (const auto& [high, low] : {std::pair{4.0, 2.0}, {8.0, 0.0}, {8.5, 0.5}, {9.0, -1.0}, {-1.0, 20.0}}) {
            Series x = digits(n, static_cast<unsigned>(n));
            if (n == 6000 && high >= 8)  // rare: whole packs of blocks are passed over
                for (Index t = 0; t < n; ++t)
                    if (t % 1777 != 1000) x[size_of(t)] = std::clamp(x[size_of(t)], 1.0, 8.0);
            const auto all = at_every_level<Kernels>(kernels);
            std::vector<std::unique_ptr<Tracked>> tracked;
            for (const auto& one : all) tracked.push_back(std::make_unique<Tracked>(*one.kernels, x));
            for (const auto& [from, end] : ranges(n)) {
                Index above = from, outside = from;
                while (above < end && !(x[size_of(above)] > high)) ++above;
                while (outside < end && !(x[size_of(outside)] > high || x[size_of(outside)] < low)) ++outside;
                for (std::size_t i = 0; i < all.size(); ++i) {
                    const Track track = tracked[i]->track();
                    const auto* const bottom = tracked[i]->bottom.data();
                    ASSERT_EQ(all[i].kernels->above(track, from, end, high), std::min(above, end))
                        << all[i].level << " " << n << " " << from << " " << end << " " << high;
                    ASSERT_EQ(all[i].kernels->outside(track, bottom, from, end, high, low), std::min(outside, end))
                        << all[i].level << " " << n << " " << from << " " << end << " " << high << " " << low;
                }
            }
        }
}

TEST(BacktestKernels, SumsInEightLanes) {
    for (const Index n : {1, 8, 150, 2000}) {
        const Series x = nasty(size_of(n), {.missing = true}, 3);
        const Guarded<double> value(x);
        for (const auto& [from, end] : ranges(n)) {
            double lane[8] = {}, wanted = 0;
            for (Index t = from; t < end; ++t)
                if (!std::isnan(x[size_of(t)])) lane[t % 8] += x[size_of(t)];
            for (const double part : lane) wanted += part;
            for (const auto& [level, table] : at_every_level<Kernels>(kernels)) {
                const double found = table->sum(value.data(), from, end);
                ASSERT_TRUE(same_bits(&found, &wanted, 1)) << level << " " << n << " " << from << " " << end;
            }
        }
    }
}

Excess nothing(double* each) {
    Excess out{};
    out.last_day = -1;
    out.each = each;
    return out;
}

void expect_same(const Excess& a, const Excess& b) {
    ASSERT_TRUE(same_bits(a.sum, b.sum, 16));
    ASSERT_EQ(*std::max_element(std::begin(a.most), std::end(a.most)),
              *std::max_element(std::begin(b.most), std::end(b.most)));  // in which lane is nobody's business
    ASSERT_EQ(a.count, b.count);
    ASSERT_EQ(a.days, b.days);
    ASSERT_EQ(a.last_day, b.last_day);
}

void add(const Series& x, const std::vector<std::int32_t>& day, Index from, Index end, double quota, Excess& out) {
    for (Index t = from; t < end; ++t) {
        const double over = x[size_of(t)] - quota;
        if (!(over > 0)) continue;
        out.sum[t % 16] += over;
        out.most[t % 8] = std::max(out.most[t % 8], over);
        ++out.count;
        out.days += day[size_of(t)] != out.last_day;
        out.last_day = day[size_of(t)];
        if (out.each != nullptr) *out.each++ = over;
    }
}

TEST(BacktestKernels, ExcessOfOneStretchAndThenAnother) {
    for (const Index n : {1, 64, 150, 3000})
        for (const Index a_day : {1, 5, 24, 1440})
            for (const double quota : {8.3, 4.0, 0.0, 9.0}) {
                Series x = digits(n, static_cast<unsigned>(a_day));
                for (std::size_t t = 0; t < x.size(); ++t) x[t] += t % 3 == 0 ? 0.1 : 0;
                std::vector<std::int32_t> day;
                std::vector<std::uint64_t> lasts(size_of(padded(n, in_block) / in_block));
                for (Index t = 0; t < n; ++t) {
                    day.push_back(static_cast<std::int32_t>((t / a_day + 1) * a_day));
                    if ((t + 1) % a_day == 0) lasts[size_of(t / in_block)] |= std::uint64_t{1} << t % in_block;
                }
                const Guarded<std::int32_t> ends(day);
                const Guarded<std::uint64_t> last(lasts);
                const Days days{ends.data(), last.data()};
                const auto all = at_every_level<Kernels>(kernels);
                std::vector<std::unique_ptr<Tracked>> tracked;
                for (const auto& [level, table] : all) tracked.push_back(std::make_unique<Tracked>(*table, x));
                Series wanted_each(size_of(n) + 8), each(size_of(n) + 8);
                Index skipped = 0;
                for (const auto& [from, end] : ranges(n)) {
                    if (skipped++ % 7 != a_day % 7) continue;
                    const Index then = std::max(from, end), rest = std::min(n, then + 70);
                    auto wanted = nothing(wanted_each.data());
                    add(x, day, from, end, quota, wanted);
                    add(x, day, then, rest, quota / 2, wanted);  // goes on where that one ended
                    for (std::size_t i = 0; i < all.size(); ++i) {
                        SCOPED_TRACE(testing::Message() << all[i].level << " " << n << " " << from << " " << end);
                        for (double* const to : {each.data(), static_cast<double*>(nullptr)}) {
                            auto found = nothing(to);
                            all[i].kernels->excess(tracked[i]->track(), days, from, end, quota, found);
                            all[i].kernels->excess(tracked[i]->track(), days, then, rest, quota / 2, found);
                            expect_same(found, wanted);
                            if (to != nullptr) ASSERT_EQ(found.each - to, wanted.count);
                        }
                        ASSERT_TRUE(same_bits(each.data(), wanted_each.data(), size_of(wanted.count)));
                    }
                    if (testing::Test::HasFatalFailure()) return;
                }
            }
}

}  // namespace
}  // namespace surgetank::backtest
