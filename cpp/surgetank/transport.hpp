// Kernel `transport`: how much of several loads fits into several rooms, and what is in the way if not all of it does.
//
// Sources with a load each, targets with a room each, and a limit on every way between them. Method: maximal flow by
// shortest augmenting paths (Edmonds and Karp 1972) from a proportional start; where not all is placed, the minimal
// cut says why (Ford and Fulkerson 1956). Cost: O(sources·targets) an augmentation, few of them after that start.
#pragma once

#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

struct Placed {
    Eigen::ArrayXXd flow;         // (sources, targets), each within its limit, sums within load and room
    double unplaced = 0;          // what no flow can place
    std::vector<Index> together;  // where something is left: the sources whose loads together do not fit
};

/// `load` (sources), `room` (targets), `limit` (sources, targets): finite, ≥ 0.
Placed place(const Column& load, const Column& room, const Eigen::Ref<const Eigen::ArrayXXd>& limit);

}  // namespace surgetank
