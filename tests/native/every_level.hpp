// What the native tests of kernels share: the table of every instruction set that there is.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "lanes_data.hpp"

namespace surgetank {

template <class Kernels>
struct AtLevel {
    const char* level;
    const Kernels* kernels;
};

template <class Kernels>
std::vector<AtLevel<Kernels>> at_every_level(const Kernels* (*of)(Level)) {
    std::vector<AtLevel<Kernels>> out;
    for (const Level level : levels) {
        EXPECT_EQ(of(level) != nullptr, available(level)) << name(level);
        if (of(level) != nullptr) out.push_back({name(level), of(level)});
    }
    return out;
}

}  // namespace surgetank
