// What the native tests of tails share: random series with gaps, and rolling maxima the slow, obvious way.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank::series {

using Series = std::vector<double>;

/// Integers 0 … levels − 1 (few levels: many ties), `missing` of them −inf.
inline Series steps(std::size_t n, int levels, double missing, unsigned seed) {
    std::mt19937_64 random(seed);
    Series x(n);
    for (auto& u : x) {
        u = static_cast<double>(random() % static_cast<std::uint64_t>(levels));
        if (static_cast<double>(random() >> 11) * 0x1.0p-53 < missing) u = -inf;
    }
    return x;
}

/// The maximum of every window with at least `least` observed samples (above −inf), oldest first.
inline Series rolling_maxima(const Series& x, Index window, Index least) {
    Series out;
    for (auto first = x.begin(); x.end() - first >= window; ++first) {
        const auto observed = std::count_if(first, first + window, [](double u) { return u > -inf; });
        if (observed >= least && observed > 0) out.push_back(*std::max_element(first, first + window));
    }
    return out;
}

}  // namespace surgetank::series
