// The shared vocabulary: whole messages, and views that do not copy.
#include "surgetank/core.hpp"

#include <gtest/gtest.h>

#include <array>

#include "refusal.hpp"

namespace surgetank {
namespace {

TEST(Require, SaysArgumentRuleAndValue) {
    EXPECT_EQ(refusal([] { require(false, "window", "must be at least 2 samples", 1); }),
              "window: must be at least 2 samples (got 1)");
    EXPECT_EQ(refusal([] { require(false, "threshold", "must be finite", nan); }),
              "threshold: must be finite (got nan)");
    EXPECT_EQ(refusal([] { require(false, "impact", "must be {a word}", "x{}"); }),
              "impact: must be {a word} (got x{})");
}

TEST(Require, LetsPassWhatHolds) { EXPECT_NO_THROW(require(true, "window", "must hold", 1)); }

TEST(Errors, AreStandardOnes) {
    EXPECT_THROW(throw InvalidInput("x"), std::invalid_argument);
    EXPECT_THROW(throw NumericalFailure("x"), std::runtime_error);
}

// Column-major, row-major and every second column of a wider array: all are views of the caller's memory.
TEST(Samples, AreViewsInAnyLayout) {
    std::array<double, 12> memory{};
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<double>(i);
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> columns(memory.data(), 3, 4, Strides(3, 1));
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> rows(memory.data(), 3, 4, Strides(1, 4));
    const Eigen::Map<const Eigen::ArrayXXd, 0, Strides> every_second(memory.data(), 3, 2, Strides(2, 4));
    for (const Samples& view : {Samples(columns), Samples(rows), Samples(every_second)})
        EXPECT_EQ(view.data(), memory.data());
    EXPECT_EQ(Samples(columns)(2, 1), 5);
    EXPECT_EQ(Samples(rows)(2, 1), 9);
    EXPECT_EQ(Samples(every_second)(2, 1), 10);
}

}  // namespace
}  // namespace surgetank
