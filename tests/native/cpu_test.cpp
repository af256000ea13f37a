// Which instruction set is taken: by name, by what the machine has, and what is said of any other.
#include "surgetank/cpu.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "refusal.hpp"
#include "surgetank/lanes.hpp"

namespace surgetank {
namespace {

TEST(Cpu, PlainIsAlwaysThere) { EXPECT_TRUE(available(Level::plain)); }

TEST(Cpu, AMachineThatHasALevelHasThoseBelow) {
    for (int level = 1; level < static_cast<int>(std::size(levels)); ++level)
        if (available(levels[level])) {
            EXPECT_TRUE(available(levels[level - 1])) << name(levels[level]);
        }
}

TEST(Cpu, TheBestIsTakenWhereNothingIsNamed) {
    Level best = Level::plain;
    for (const Level level : levels)
        if (available(level)) best = level;
    EXPECT_EQ(level_of(""), best);
}

TEST(Cpu, ANameGivesItsLevelOrTheWholeMessage) {
    std::string known;
    for (const Level level : levels)
        if (available(level)) known += (known.empty() ? "" : ", ") + std::string(name(level));
    const auto message = [&](const std::string& wanted) {
        return "SURGETANK_CPU: must be empty or what this machine and build can run: " + known + " (got " + wanted +
               ")";
    };
    for (const Level level : levels) {
        if (available(level)) {
            EXPECT_EQ(level_of(name(level)), level);
        } else {
            EXPECT_EQ(refusal([&] { level_of(name(level)); }), message(name(level)));
        }
    }
    for (const char* wanted : {"avx2", "v3", "Plain", "plain ", "x86-64-v5", " "})
        EXPECT_EQ(refusal([&] { level_of(wanted); }), message(wanted));
}

TEST(Cpu, NamesAreTheirs) {
    EXPECT_STREQ(name(Level::plain), "plain");
    EXPECT_STREQ(name(Level::v2), "x86-64-v2");
    EXPECT_STREQ(name(Level::v3), "x86-64-v3");
    EXPECT_STREQ(name(Level::v4), "x86-64-v4");
}

TEST(Cpu, TheKernelsAreThoseOfTheLevelThatWasChosen) {
    const char* wanted = std::getenv("SURGETANK_CPU");
    EXPECT_EQ(cpu_level(), level_of(wanted == nullptr ? "" : wanted));
    EXPECT_EQ(&lanes::kernels(), lanes::kernels(cpu_level()));
}

}  // namespace
}  // namespace surgetank
