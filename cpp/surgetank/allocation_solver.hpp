// Stem `allocation`, solver: one service after another; keeps its memory.
#pragma once

#include <vector>

#include "surgetank/allocation.hpp"
#include "surgetank/allocation_cuts.hpp"
#include "surgetank/cover.hpp"

namespace surgetank::allocation {

/// Service s of the demand: loads, rooms and shares at the moments that are fully observed. `regions` is set.
void read(const Demand& demand, Index s, Service& out);

class Solver {
public:
    Solver(const FailureSets& failures, Index regions, const AllocationOptions& options);

    /// Fills column s of out; its bindings go to the end of `binding`.
    void solve(const Demand& demand, Index s, Allocated& out, Bindings& binding, const Poll& poll);

private:
    void bounds(const Demand& demand, Index s);
    double arriving(Index moment, Index r) const;
    void limit(const Demand& demand, Index s);
    bool feasible(double& tolerance, const Poll& poll);
    double optimum(double tolerance, const Poll& poll);
    double missing();
    bool separate(double tolerance, const Poll& poll);
    bool separate_tail(double tolerance, const Poll& poll);
    double tail(std::span<const double> h, const Poll& poll);
    void explain(Broken& out, const Poll& poll);
    double peaks(const Demand& demand, Index s, const Poll& poll);
    void prices(Allocated& out, Index s, Bindings& binding);

    const FailureSets& failures_;
    AllocationOptions options_;
    Index regions_;
    Service service_;
    Cuts cuts_;
    Cover cover_;
    std::vector<double> cost_, owed_, over_, raisable_, upper_, h_, row_, part_, enough_;
    std::vector<char> useful_;  // per Region: upper_ is all that can arrive, not all that is raisable
    std::vector<Index> filled_;
    std::vector<Cover::Weight> weights_;
    double least_ = 0, scale_ = 1, allowed_tail_ = 0;
    Cut cut_;
    std::vector<Cut> added_;
    std::size_t used_ = 0;
    std::vector<double> rows_, leasts_;  // of the cuts so far: (cuts, R) and (cuts)
    struct Scenario {
        double share;  // of the failure's load that stays unplaced
        double load;
        Index failure, moment;
    };
    std::vector<Scenario> scenarios_;
};

}  // namespace surgetank::allocation
