// What the native allocation tests share: what a Demand points to; a test changes what it is about.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "surgetank/allocation.hpp"

namespace surgetank {

/// Nothing is used and nothing is free; all is critical; one more unit costs 1 anywhere, without bound, and any Region
/// may take all of another's load.
struct World {
    explicit World(Index regions, Index services = 1, Index moments = 1)
        : load(Eigen::ArrayXXd::Zero(moments, regions * services)),
          existing(Eigen::ArrayXXd::Zero(1, regions * services)),
          share(Eigen::ArrayXXd::Ones(regions, regions)),
          reserved(Eigen::ArrayXd::Zero(regions * services)),
          multiplier(Eigen::ArrayXd::Ones(regions * services)),
          critical(Eigen::ArrayXd::Ones(services)),
          cost(Eigen::ArrayXd::Ones(regions * services)),
          raisable(Eigen::ArrayXd::Constant(regions * services, inf)) {}

    /// One service at one moment.
    World(std::initializer_list<double> loads, std::initializer_list<double> free)
        : World(static_cast<Index>(loads.size())) {
        std::copy(loads.begin(), loads.end(), load.data());
        std::copy(free.begin(), free.end(), existing.data());
    }

    Demand demand() const { return {load, existing, reserved, multiplier, critical, cost, raisable, share}; }
    Allocated allocate(const Failures& failures = {}, const AllocationOptions& options = {}) const {
        return surgetank::allocate(demand(), failures, options);
    }

    Eigen::ArrayXXd load, existing, share;
    Eigen::ArrayXd reserved, multiplier, critical, cost, raisable;
};

inline std::vector<double> column(const Eigen::ArrayXXd& matrix, Index s = 0) {
    return {matrix.col(s).begin(), matrix.col(s).end()};
}

inline std::vector<Index> set(const RegionSets& sets, Index i) { return {sets[i].begin(), sets[i].end()}; }

}  // namespace surgetank
