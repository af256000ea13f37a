#include "surgetank/sampling.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "surgetank/cpu.hpp"

namespace surgetank::sampling {
namespace {

using Words = std::array<std::uint32_t, 4>;

TEST(Philox, GivesTheAuthorsKnownAnswers) {
    EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    constexpr std::uint32_t ones = 0xffffffff;
    EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

std::vector<const Kernels*> all_kernels() {
    std::vector<const Kernels*> out;
    for (const Level level : levels)
        if (available(level)) out.push_back(kernels(level));
    return out;
}

// Groups around the ends of the counter's words.
constexpr std::uint64_t groups[] = {0, 1, 63, (std::uint64_t{1} << 28) - 4, std::uint64_t{1} << 28, 1'234'567'891'011};

TEST(Kernels, GiveTheWordsOfPhiloxAtEveryLevel) {
    const Stream s = stream(7, "dns", Purpose::duration, 3);
    for (const Kernels* k : all_kernels())
        for (const std::uint64_t first : groups)
            for (const Size n : {group, 3 * group, block}) {
                std::array<std::uint32_t, block> words{};
                k->words(s, first, n, words.data());
                for (Size i = 0; i < n; ++i)
                    ASSERT_EQ(words[static_cast<std::size_t>(i)],
                              word(s, first * group + static_cast<std::uint64_t>(i)));
            }
}

TEST(Stream, DiffersBySeedNamePurposeAndAttempt) {
    const auto same = [](const Stream& a, const Stream& b) {
        return a.key[0] == b.key[0] && a.key[1] == b.key[1] && a.attempt == b.attempt && a.purpose == b.purpose;
    };
    const Stream s = stream(7, "dns", Purpose::duration);
    EXPECT_TRUE(same(s, stream(7, "dns", Purpose::duration, 0)));
    EXPECT_FALSE(same(s, stream(8, "dns", Purpose::duration)));
    EXPECT_FALSE(same(s, stream(7, "dnt", Purpose::duration)));
    EXPECT_FALSE(same(s, stream(7, "dns", Purpose::failure)));
    EXPECT_FALSE(same(s, stream(7, "dns", Purpose::duration, 1)));
}

std::vector<Distribution> samples_of_every_kind() {
    const Distribution uniform(Kind::uniform, {60, 300}), pert(Kind::pert, {10, 20, 60, 4});
    return {Distribution(Kind::fixed, {90}),
            uniform,
            Distribution(Kind::uniform, {86400, 86401}),  // drawn on [0, 1]
            Distribution(Kind::triangular, {0, 0, 1}),
            Distribution(Kind::triangular, {5, 5, 9}),
            Distribution(Kind::triangular, {5, 9, 9}),
            Distribution(Kind::triangular, {5000, 5001, 5002}),
            pert,
            Distribution(Kind::pert, {0, 10, 10, 0}),
            Distribution(Kind::lognormal, {85, 150}),
            Distribution(Kind::gamma, {0.3, 2}),
            Distribution(Kind::gamma, {40, 2}),
            Distribution(Kind::exponential, {3}),
            Distribution(Kind::weibull, {0.5, 3}),
            Distribution(Kind::empirical, {1, 2, 2, 7}),
            Distribution(Kind::mixture, {0.25, 0.75}, {uniform, pert}),
            pert.truncated(15, 30),
            Distribution(Kind::lognormal, {85, 150}).truncated(100, inf)};
}

TEST(Sampler, DrawsTheSameBitsAtEveryLevelAndOneByOne) {
    for (const Distribution& d : samples_of_every_kind()) {
        const Sampler sampler(d, true);
        const Stream s = stream(11, "step", Purpose::duration);
        std::array<double, block> first{}, other{};
        std::array<float, block> z{};
        std::array<double, block> first_at{}, other_at{};
        for (const Kernels* k : all_kernels()) {
            sampler.draw(*k, s, 5, block, other.data());
            normals(*k, stream(11, "factor", Purpose::factor), 5, block, z.data());
            sampler.draw_at(*k, z.data(), block, other_at.data());
            if (k == all_kernels().front()) first = other, first_at = other_at;
            ASSERT_EQ(first, other);
            ASSERT_EQ(first_at, other_at);
        }
        const auto [low, high] = d.support();
        for (std::size_t i = 0; i < block; ++i) {
            ASSERT_EQ(first[i], sampler.one(s, 5 * group + i));
            ASSERT_GE(first[i], low);
            ASSERT_LE(first[i], high);
        }
    }
}

TEST(Distribution, QuantilesAreInverseToTheFunctionInBothTails) {
    for (const Distribution& d : samples_of_every_kind()) {
        if (d.kind() == Kind::fixed || d.kind() == Kind::empirical) continue;
        // A double near an end that is not 0 tells rarer things no longer apart.
        const bool from_zero = d.support().first == 0 && d.support().second == inf;
        for (const double tail : {1e-12, 1e-6, 0.01, 0.3, 0.5}) {
            if (tail < 1e-6 && !from_zero) continue;
            const double low = d.quantile({tail, 1 - tail}), high = d.quantile({1 - tail, tail});
            const double allowed = from_zero ? 1e-9 : 1e-3;
            EXPECT_NEAR(d.tails(low).below / tail, 1, allowed) << static_cast<int>(d.kind());
            EXPECT_NEAR(d.tails(high).above / tail, 1, allowed) << static_cast<int>(d.kind());
            EXPECT_LE(low, high);
        }
    }
}

TEST(Distribution, KnowsAtoms) {
    const Distribution measured(Kind::empirical, {1, 2, 2, 7});
    EXPECT_EQ(measured.cdf(2), 0.75);
    EXPECT_EQ(measured.cdf(1.9), 0.25);
    EXPECT_EQ(measured.quantile(0.25), 1);
    EXPECT_EQ(measured.quantile(0.26), 2);
    EXPECT_EQ(measured.truncated(2, 5).cdf(2), 1);
    const Distribution now_or_later(Kind::mixture, {0.5, 0.5},
                                    {Distribution(Kind::fixed, {1}), Distribution(Kind::uniform, {2, 3})});
    EXPECT_EQ(now_or_later.quantile(0.5), 1);
    EXPECT_NEAR(now_or_later.quantile(0.75), 2.5, 1e-12);
    EXPECT_EQ(now_or_later.truncated(2, 9).cdf(2), 0);
}

TEST(Distribution, GammaOfWholeShapeIsErlangs) {
    // P(X ≤ x) = 1 − e^−x·(1 + x + x²/2) for shape 3.
    const Distribution erlang(Kind::gamma, {3, 1});
    for (const double x : {0.1, 1.0, 2.5, 7.0, 30.0})
        EXPECT_NEAR(erlang.tails(x).above, std::exp(-x) * (1 + x + x * x / 2), 1e-15);
}

TEST(Distribution, RefusesWhatIsNone) {
    const auto message = [](const auto& make) -> std::string {
        try {
            make();
        } catch (const InvalidInput& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(message([] { Distribution(Kind::uniform, {3, 2}); }),
              "uniform: must have parameters in ascending order (got 3, 2)");
    EXPECT_EQ(message([] { Distribution(Kind::fixed, {nan}); }),
              "fixed: must have parameters that are finite and 0 or more (got nan)");
    EXPECT_EQ(message([] { Distribution(Kind::exponential, {0}); }),
              "exponential: must have parameters above 0 (got 0)");
    EXPECT_EQ(message([] { Distribution(Kind::gamma, {1}); }), "gamma: must have its number of parameters (got 1)");
    EXPECT_EQ(message([] { Distribution(Kind::mixture, {0.4, 0.4}, {Distribution(), Distribution()}); }),
              "mixture: must have weights that add up to 1 (got 0.8)");
    EXPECT_EQ(message([] { Distribution(Kind::uniform, {1, 2}).truncated(3, 4); }),
              "truncated: must leave some of what lies in [1, 2] (got [3, 4])");
    EXPECT_EQ(message([] { kind_of("gauss"); }), "kind: must be a known distribution (got gauss)");
}

TEST(Distribution, CutsAMixtureThoughLittleOfAPartIsLeft) {
    const Distribution mixture(Kind::mixture, {0.5, 0.5},
                               {Distribution(Kind::lognormal, {1, 2}), Distribution(Kind::uniform, {5, 200})});
    EXPECT_NEAR(mixture.truncated(15, 200).cdf(107.5), 0.5, 1e-6);
}

TEST(Fit, PutsTheQuantilesBack) {
    for (const auto& [low, likely, high] : {std::array{10.0, 20.0, 60.0}, {10.0, 20.0, 35.0}, {50.0, 50.0, 80.0}})
        for (const Kind kind : {Kind::triangular, Kind::pert}) {
            const Distribution d(kind, fit_quantiles(kind, low, likely, high, 0.9));
            EXPECT_NEAR(d.cdf(low), 0.05, 1e-9);
            EXPECT_NEAR(d.cdf(high), 0.95, 1e-9);
            EXPECT_EQ(d.parameters()[1], likely);
        }
    // Here only another weight keeps durations from being negative.
    const auto p = fit_quantiles(Kind::pert, 10, 60, 60, 0.9);
    EXPECT_GT(std::abs(p[3] - 4), 0.1);
    EXPECT_NEAR(Distribution(Kind::pert, p).cdf(10), 0.05, 1e-6);
    EXPECT_THROW(fit_quantiles(Kind::triangular, 1, 20, 60, 0.9), InvalidInput);
    EXPECT_THROW(fit_quantiles(Kind::pert, 20, 10, 60, 0.9), InvalidInput);
}

TEST(Kernels, AddUpExactly) {
    for (const Kernels* k : all_kernels())
        for (const double scale : {1.0, 1e4, 1e8}) {
            std::vector<double> at;
            __int128 sum = 0, squares = 0;
            for (int i = 0; i < 203; ++i) {
                at.push_back(i % 50 == 7 ? never : std::fmod(i * 0.6180339887, 1.0) * scale);
                if (at.back() == never) continue;
                const auto quanta = static_cast<__int128>(std::nearbyint(at.back() * quanta_per_s));
                sum += quanta, squares += quanta * quanta;
            }
            BlockSums out{};
            k->sums(at.data(), static_cast<Size>(at.size()), out);
            EXPECT_EQ(out.finite, 199);
            EXPECT_EQ(static_cast<__int128>(out.sum), sum);
            EXPECT_EQ((static_cast<__int128>(out.high_high) << 40) + (static_cast<__int128>(out.high_low) << 21) +
                          static_cast<__int128>(out.low_low),
                      squares);
            EXPECT_EQ(out.least, *std::min_element(at.begin(), at.end()));
            EXPECT_LT(out.most, scale);
        }
}

TEST(Kernels, CountOnALogarithmicScale) {
    for (const Kernels* k : all_kernels()) {
        std::vector<std::uint64_t> histogram(bins + 1);
        const std::vector<double> at{0, 0x1p-11, 0x1p-10, 1, std::nextafter(1, 2), 1.0 + 1.0 / 256, 0x1p30, never};
        k->count(at.data(), static_cast<Size>(at.size()), histogram.data());
        EXPECT_EQ(histogram[0], 2u);
        EXPECT_EQ(histogram[1], 1u);
        EXPECT_EQ(histogram[1 + 10 * bins_per_octave], 2u);
        EXPECT_EQ(histogram[2 + 10 * bins_per_octave], 1u);
        EXPECT_EQ(histogram[bins], 2u);
    }
}

}  // namespace
}  // namespace surgetank::sampling
