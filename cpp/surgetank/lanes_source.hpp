// Where the kernels find eight series of an array: the bridge between Samples and lanes.hpp.
#pragma once

#include <algorithm>

#include "surgetank/core.hpp"
#include "surgetank/lanes.hpp"

namespace surgetank::lanes {

/// Series [first, first + 8) of x, the last one repeated where there are fewer.
inline Source source(const Samples& x, Index first) {
    Source out;
    out.start = x.data() + first * x.outerStride();
    out.stride = x.innerStride();
    const Index last = std::min(width, x.cols() - first) - 1;
    for (Index j = 0; j < width; ++j) out.offset[j] = std::min(j, last) * x.outerStride();
    out.side_by_side = x.outerStride() == 1 && last == width - 1;
    return out;
}

/// Groups of eight series to read together, stretch by stretch. Where instants are rows that lie pages apart, a row's
/// address is translated once for all of them, and its cache lines are neighbours. Not where threads would stand idle.
inline Index together(const Samples& x, Index threads) {
    constexpr Index most = 4;
    const bool rows_of_series = x.outerStride() == 1 && x.innerStride() > 1;
    return rows_of_series && (threads == 1 || x.cols() >= 4 * most * width) ? most : 1;
}

}  // namespace surgetank::lanes
