// The kernels of every instruction set: what they read and find, and the same bits as the plain path.
#include "surgetank/lanes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "lanes_data.hpp"
#include "surgetank/lanes_source.hpp"

namespace surgetank::lanes {
namespace {

INSTANTIATE_TEST_SUITE_P(Levels, EveryLevel, testing::ValuesIn(levels),
                         [](const auto& level) { return level_name(level.param); });

constexpr Index lengths[] = {0, 1, 7, 8, 9, 255, 256, 257};

// An array of `rows` × `cols` samples in one of the forms that `load` tells apart, `shift` doubles off alignment.
struct Form {
    const char* what;
    bool by_row;
    Index spread;  // every how many doubles a sample lies
};
constexpr Form forms[] = {{"C order", true, 1}, {"Fortran order", false, 1}, {"strided", false, 3}, {"wide", true, 2}};

struct Laid {
    Laid(Form form, Index rows, Index cols, Mix mix, unsigned seed)
        : memory(nasty(static_cast<std::size_t>(std::max<Index>(rows * cols, 1) * form.spread), mix, seed)),
          view(memory.data(), rows, cols,
               form.by_row ? Strides(form.spread, cols * form.spread) : Strides(rows * form.spread, form.spread)) {}
    Guarded<double> memory;
    Eigen::Map<const Eigen::ArrayXXd, 0, Strides> view;
};

Facts facts_of(const std::vector<Row>& rows) {
    Facts out;
    for (const Row& row : rows) {
        for (unsigned j = 0; j < width; ++j) {
            const double size = std::abs(row.lane[j]);
            if (std::isnan(size)) out.missing |= 1u << j;
            if (std::isinf(size)) out.infinite |= 1u << j;
            if ((size > 1e140 && !std::isinf(size)) || (size < 1e-120 && size > 0)) out.extreme |= 1u << j;
        }
    }
    return out;
}

void expect_equal(const Facts& a, const Facts& b) {
    EXPECT_EQ(a.missing, b.missing);
    EXPECT_EQ(a.infinite, b.infinite);
    EXPECT_EQ(a.extreme, b.extreme);
}

TEST_P(EveryLevel, LoadsAndColumnsAreTheSamplesAndTheirFacts) {
    unsigned seed = 0;
    for (const Form form : forms) {
        for (const Index cols : {1, 2, 7, 8, 9, 13, 16}) {
            for (const Index rows : lengths) {
                for (const Index first : {0, 1, 5}) {
                    ++seed;
                    const Mix mix{seed % 2 == 0, seed % 3 == 0, seed % 5 == 0};
                    const Laid x(form, first + rows, cols, mix, seed);
                    const Index group = cols > width ? width : 0, last = std::min(width, cols - group) - 1;
                    const Source from = source(x.view, group);

                    std::vector<Row> expected(static_cast<std::size_t>(rows));
                    for (Index t = 0; t < rows; ++t)
                        for (Index j = 0; j < width; ++j)
                            expected[static_cast<std::size_t>(t)].lane[j] =
                                x.view(first + t, group + std::min(j, last));
                    const Guarded<Row> found(expected.size());
                    const Facts facts = kernels_->load(from, first, rows, found.data());
                    ASSERT_TRUE(same_bits(found.data(), expected.data(), expected.size()))
                        << form.what << " " << cols << " " << rows << " " << first;
                    expect_equal(facts, facts_of(expected));

                    const Index pitch = rows + seed % 3;
                    const Guarded<double> columns(static_cast<std::size_t>(pitch * (width - 1) + rows));
                    kernels_->columns(from, first, rows, columns.data(), pitch);
                    for (Index j = 0; j < width; ++j)
                        for (Index t = 0; t < rows; ++t)
                            ASSERT_TRUE(same_bits(columns.data() + j * pitch + t,
                                                  &expected[static_cast<std::size_t>(t)].lane[j], 1))
                                << form.what << " " << cols << " " << rows << " " << first << " " << j << " " << t;
                }
            }
        }
    }
}

// Each sample alone, so that the facts of one lane are no other's.
TEST_P(EveryLevel, FactsNameTheLane) {
    struct Case {
        double sample;
        unsigned Facts::* fact;
    };
    for (const auto& [sample, fact] : {Case{nan, &Facts::missing},
                                       {-nan, &Facts::missing},
                                       {inf, &Facts::infinite},
                                       {-inf, &Facts::infinite},
                                       {1.1e140, &Facts::extreme},
                                       {-1e308, &Facts::extreme},
                                       {-0.9e-120, &Facts::extreme},
                                       {5e-324, &Facts::extreme}}) {
        for (std::size_t lane = 0; lane < width; ++lane) {
            for (const std::size_t t : {0, 3, 8}) {
                std::vector<double> x(9 * width, 1e140);  // the largest that is not extreme
                x[0] = 1e-120, x[1] = -0.0;
                x[t * width + lane] = sample;
                Source from{.start = x.data(), .stride = width, .side_by_side = true};
                std::iota(from.offset, from.offset + width, Size{0});
                std::vector<Row> out(9);
                Facts expected;
                expected.*fact = 1u << lane;
                expect_equal(kernels_->load(from, 0, 9, out.data()), expected);
            }
        }
    }
}

Running begun() {
    Running state{};
    std::fill_n(state.min.lane, width, inf);
    std::fill_n(state.max.lane, width, -inf);
    return state;
}

// `whole`: how many states at once take the form without gaps; 0: the form for gaps. All must come out alike.
std::vector<Running> added(const Kernels& kernels, const std::vector<Row>& x, Index chunk, Index whole) {
    const auto rows = static_cast<Index>(x.size());
    const Guarded<Step> steps(x.size());
    kernels.count(rows, steps.data());
    std::vector<Running> states(static_cast<std::size_t>(std::max(whole, Index{1})), begun());
    for (Index t = 0; t < rows; t += chunk) {
        const Index many = std::min(chunk, rows - t);
        const Guarded<Row> part(std::vector<Row>(x.begin() + t, x.begin() + t + many));
        const Row* parts[] = {part.data(), part.data()};
        Running* to[] = {&states.front(), &states.back()};
        if (whole == 0) kernels.add(part.data(), many, t, states[0]);
        else kernels.add_whole(parts, whole, many, t, steps.data() + t, to);
    }
    EXPECT_TRUE(same_bits(&states.front(), &states.back(), 1));
    return {states[0]};
}

TEST_P(EveryLevel, AddedSamplesGiveTheSameBitsInAnyChunks) {
    for (const Index rows : lengths) {
        for (unsigned seed = 1; seed < 9; ++seed) {
            const Mix mix{seed % 2 == 0, seed % 3 == 0, seed % 5 == 0};
            const auto x = nasty_rows(static_cast<std::size_t>(rows), mix, seed);
            const auto expected = added(plain_, x, 1, 0);
            for (const Index chunk : {1, 7, 256, 1000}) {
                EXPECT_TRUE(same_bits(added(*kernels_, x, chunk, 0), expected)) << rows << " " << chunk;
                if (mix.missing) continue;
                for (const Index states : {1, 2})
                    EXPECT_TRUE(same_bits(added(*kernels_, x, chunk, states), expected)) << rows << " " << chunk;
            }
        }
    }
}

// Two series that share nothing but the samples' numbers, added at once.
TEST_P(EveryLevel, StatesAddedAtOnceDoNotKnowEachOther) {
    const auto a = nasty_rows(300, {}, 1), b = nasty_rows(300, {}, 2);
    const Guarded<Step> steps(a.size());
    kernels_->count(300, steps.data());
    Running one = begun(), other = begun();
    const Row* const parts[] = {a.data(), b.data()};
    Running* const to[] = {&one, &other};
    kernels_->add_whole(parts, 2, 300, 0, steps.data(), to);
    EXPECT_TRUE(same_bits(std::vector{one}, added(plain_, a, 300, 1)));
    EXPECT_TRUE(same_bits(std::vector{other}, added(plain_, b, 300, 1)));
}

TEST_P(EveryLevel, StepsAreThoseOfTheNumbersThemselves) {
    const Guarded<Step> steps(1000);
    kernels_->count(1000, steps.data());
    for (Index t = 0; t < 1000; ++t) {
        const auto at = static_cast<double>(t), n = at + 1;
        const Step& step = steps.data()[t];
        EXPECT_EQ(step.inverse, 1 / n);
        EXPECT_NEAR(step.from_number, at / 2, 1e-12);
        EXPECT_EQ(step.numbers, at * n / 2);
        EXPECT_NEAR(step.number_squares, n * (n * n - 1) / 12, 1e-6);
    }
}

TEST_P(EveryLevel, BinsAreTheFloorOfTheirPlace) {
    for (const Index n : lengths) {
        const Guarded<double> x(nasty(static_cast<std::size_t>(n), {}, 1));
        const auto [low, high] = std::minmax_element(x.data(), x.data() + n);
        const double least = n > 0 ? *low : 0, most = n > 0 ? *high : 1, scale = 255.999 / std::max(most - least, 1.0);
        const Guarded<unsigned char> bins(x.size());
        kernels_->bin(x.data(), n, least, scale, bins.data());
        for (Index i = 0; i < n; ++i)
            ASSERT_EQ(bins.data()[i], static_cast<int>(std::floor((x.data()[i] - least) * scale))) << n << " " << i;
    }
}

TEST_P(EveryLevel, CollectsABinAndNothingElse) {
    for (const Index n : {0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 1000}) {
        const Guarded<double> x(nasty(static_cast<std::size_t>(n), {}, 2));
        const Guarded<unsigned char> bins(x.size());
        for (const unsigned many : {1u, 3u, 256u}) {  // all alike, dense, rare
            std::mt19937_64 random(many);
            for (Index i = 0; i < n; ++i) bins.data()[i] = static_cast<unsigned char>(255 - random() % many);
            for (const unsigned char wanted : {0, 127, 128, 253, 255}) {
                std::vector<double> expected;
                for (Index i = 0; i < n; ++i)
                    if (bins.data()[i] == wanted) expected.push_back(x.data()[i]);
                const Guarded<double> out(expected.size());  // room for them all, and not for one more
                EXPECT_EQ(kernels_->collect(x.data(), bins.data(), n, wanted, out.data()),
                          static_cast<Size>(expected.size()));
                EXPECT_TRUE(same_bits(out.copy(), expected)) << n << " " << many << " " << int{wanted};
            }
        }
    }
}

TEST_P(EveryLevel, ObservedAreAllButTheMissing) {
    for (const Index n : lengths) {
        for (const double missing : {0.0, 0.3, 1.0}) {
            auto samples = nasty(static_cast<std::size_t>(n), {true, true, true}, 3);
            std::mt19937_64 random(4);
            for (auto& u : samples)
                if (static_cast<double>(random() % 1000) < 1000 * missing) u = -nan;
            std::vector<double> expected;
            for (const double u : samples)
                if (!std::isnan(u)) expected.push_back(u);
            const Guarded<double> x(samples), out(samples.size() + width);
            ASSERT_EQ(kernels_->observed(x.data(), n, out.data()), static_cast<Size>(expected.size()));
            EXPECT_TRUE(same_bits(out.data(), expected.data(), expected.size())) << n << " " << missing;
        }
    }
}

}  // namespace
}  // namespace surgetank::lanes
