// The rolling kernel of every instruction set: bits that depend on a lane's own window alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lanes_data.hpp"
#include "surgetank/lanes.hpp"

namespace surgetank::lanes {
namespace {

class RollingRows : public surgetank::EveryLevel {};

INSTANTIATE_TEST_SUITE_P(Levels, RollingRows, testing::ValuesIn(levels),
                         [](const auto& level) { return level_name(level.param); });

constexpr Index windows[] = {2, 3, 8, 31, 32, 33, 257};

// The windows that end in each row of two blocks.
struct Windows {
    std::vector<Row> mean, squares, count;
    std::vector<unsigned char> candidate;
};

struct How {
    Index window, ahead, chunk;
    bool missing;
    double threshold = 1;
};

struct States {
    explicit States(Index window) : moments(static_cast<std::size_t>(window)), count(static_cast<std::size_t>(window)) {
        for (Index j = 0; j < window; ++j) {
            moments.data()[j] = Moments{};
            count.data()[j] = Row{};
        }
    }
    Guarded<Moments> moments;
    Guarded<Row> count;
};

Windows rolled(const Kernels& kernels, const std::vector<Row>& x, How how) {
    const auto window = how.window;
    std::vector<double> inverse{1};
    std::vector<Weights> weight;
    for (Index n = 1; n <= window; ++n) inverse.push_back(1 / static_cast<double>(n));
    for (Index row = 0; row < window; ++row) {
        const auto after = static_cast<double>(row + 1), share = after * inverse.back();
        weight.push_back({1 / after, share, (static_cast<double>(window) - after) * share});
    }
    const Guarded<double> inverses(inverse);
    const Guarded<Weights> weights(weight);
    const States states(window);
    Windows out;
    for (Index start = 0; start < 2 * window; start += window) {
        const Guarded<Row> block(std::vector<Row>(x.begin() + start, x.begin() + start + window + how.ahead));
        Carried prefix, suffix;
        const bool upwards = start == 0;
        const Index place = upwards ? 0 : window - 1;
        for (Index first = 0; first < window; first += how.chunk) {
            const Index many = std::min(how.chunk, window - first);
            const Guarded<Moments> found(static_cast<std::size_t>(many));
            const Guarded<Row> count(found.size());
            const Guarded<unsigned char> candidate(found.size());
            std::uint64_t hits = 0;
            kernels.rolling({.x = block.data(),
                             .first = first,
                             .rows = many,
                             .window = window,
                             .ahead = how.ahead,
                             .missing = how.missing,
                             .suffixes = states.moments.data() + place,
                             .suffix_counts = states.count.data() + place,
                             .way = upwards ? 1 : -1,
                             .weights = weights.data(),
                             .inverse = inverses.data(),
                             .threshold_squared = how.threshold * how.threshold,
                             .needed = static_cast<double>((window + 1) / 2),
                             .prefix = &prefix,
                             .suffix = &suffix,
                             .windows = found.data(),
                             .counts = count.data(),
                             .candidate = candidate.data(),
                             .hits = &hits});
            for (Index i = 0; i < many; ++i) EXPECT_EQ(hits >> i & 1, candidate.data()[i] != 0);
            const auto append = [](auto& to, const auto& from) {
                const auto items = from.copy();
                to.insert(to.end(), items.begin(), items.end());
            };
            for (const Moments& moments : found.copy()) {
                out.mean.push_back(moments.mean);
                out.squares.push_back(moments.squares);
            }
            if (how.missing) append(out.count, count);
            append(out.candidate, candidate);
        }
    }
    return out;
}

std::vector<Row> samples(Index window, Index ahead, Mix mix, unsigned seed) {
    return nasty_rows(static_cast<std::size_t>(2 * window + ahead), mix, seed);
}

// Rows whose window lies wholly inside: in the first block the weights of windows without gaps mean nothing before it.
void expect_equal(const Windows& a, const Windows& b, Index from) {
    const auto skip = static_cast<std::size_t>(from);
    const std::size_t n = a.mean.size() - skip;
    EXPECT_TRUE(same_bits(&a.mean[skip], &b.mean[skip], n));
    EXPECT_TRUE(same_bits(&a.squares[skip], &b.squares[skip], n));
    EXPECT_TRUE(same_bits(&a.candidate[skip], &b.candidate[skip], n));
}

TEST_P(RollingRows, EveryLevelAndChunkGivesTheSameBits) {
    unsigned seed = 0;
    for (const Index window : windows) {
        for (const Index ahead : {0, 1}) {
            for (const bool missing : {false, true}) {
                ++seed;
                const auto x = samples(window, ahead, {missing, seed % 3 == 0, seed % 5 == 0}, seed);
                const Windows expected = rolled(plain_, x, {window, ahead, 64, missing});
                for (const Index chunk : {Index{1}, Index{7}, Index{32}, Index{64}}) {
                    const Windows found = rolled(*kernels_, x, {window, ahead, chunk, missing});
                    SCOPED_TRACE(testing::Message() << window << " " << ahead << " " << missing << " " << chunk);
                    expect_equal(found, expected, 0);
                    EXPECT_TRUE(same_bits(found.count, expected.count));
                }
            }
        }
    }
}

// Where nothing is missing, the form for gaps computes the same.
TEST_P(RollingRows, TheFormForGapsGivesTheSameBits) {
    for (const Index window : windows) {
        const auto x = samples(window, 1, {}, static_cast<unsigned>(window));
        const Windows counted = rolled(*kernels_, x, {window, 1, 32, true});
        expect_equal(counted, rolled(*kernels_, x, {window, 1, 32, false}), window - 1);
        for (Index row = window - 1; row < 2 * window; ++row)
            EXPECT_EQ(counted.count[static_cast<std::size_t>(row)].lane[3], static_cast<double>(window));
    }
}

TEST_P(RollingRows, LanesDoNotKnowEachOther) {
    for (const Index window : windows) {
        const auto x = samples(window, 0, {true, true, true}, 11);
        auto turned = x;
        for (Row& row : turned) std::rotate(row.lane, row.lane + 3, row.lane + width);
        Windows expected = rolled(*kernels_, x, {window, 0, 32, true});
        for (auto* plane : {&expected.mean, &expected.squares, &expected.count})
            for (Row& row : *plane) std::rotate(row.lane, row.lane + 3, row.lane + width);
        for (auto& bits : expected.candidate) bits = static_cast<unsigned char>(bits >> 3 | bits << 5);
        expect_equal(rolled(*kernels_, turned, {window, 0, 32, true}), expected, 0);
    }
}

// Two passes over each window; and no sample above the threshold may be missing among the candidates.
TEST_P(RollingRows, EqualsTwoPassesAndNamesEveryCandidate) {
    for (const Index window : windows) {
        for (const double threshold : {0.0, 0.5, 1.3, 1e200}) {
            const auto x = samples(window, 0, {.missing = true}, 5);
            const Windows found = rolled(*kernels_, x, {window, 0, 32, true, std::min(threshold, 1e150)});
            for (Index t = window - 1; t < 2 * window; ++t) {
                for (std::size_t j = 0; j < width; ++j) {
                    std::vector<double> inside;
                    for (Index i = t - window + 1; i <= t; ++i)
                        if (const double u = x[static_cast<std::size_t>(i)].lane[j]; !std::isnan(u))
                            inside.push_back(u);
                    const auto n = static_cast<double>(inside.size());
                    const auto at = static_cast<std::size_t>(t);
                    ASSERT_EQ(found.count[at].lane[j], n);
                    if (inside.size() < 2) continue;
                    const double mean = std::accumulate(inside.begin(), inside.end(), 0.0) / n;
                    double squares = 0;
                    for (const double u : inside) squares += (u - mean) * (u - mean);
                    EXPECT_NEAR(found.mean[at].lane[j], mean, 1e-12);
                    EXPECT_NEAR(found.squares[at].lane[j], squares, 1e-12 * std::max(squares, 1.0));
                    const double above = x[at].lane[j] - found.mean[at].lane[j];
                    const double sd = std::sqrt(found.squares[at].lane[j] / (n - 1));
                    if (inside.size() >= static_cast<std::size_t>(window + 1) / 2 && above / sd > threshold) {
                        EXPECT_TRUE(found.candidate[at] >> j & 1u) << window << " " << t << " " << j;
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace surgetank::lanes
