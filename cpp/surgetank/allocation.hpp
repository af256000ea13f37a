// Stem `allocation`: how much headroom, in which Regions, lets every failure be survived at least cost?
//
// Per service, with the load d_s that leaves s when it fails and what is free in r, for every failure F (a set of
// Regions) and every moment t:
//
//     minimise   Σ_r cost_r·h_r                                        0 ≤ h_r ≤ raisable_r
//     subject to Σ_{r∉F} y_s,r = d_s,  y_s,r ≤ share_s,r·d_s           for s ∈ F: all of it is placed
//                Σ_{s∈F} y_s,r ≤ free_r + h_r                          for r ∉ F
//     d_s    = critical·multiplier_s·load_s
//     free_r = existing_r − reserved_r + (1 − critical)·load_r         what is not critical is shed first
//
// Method: y is eliminated. All of F's load can be placed exactly if for every A ⊆ F  Σ_{r∉F} min(Σ_{s∈A} share_s,r·d_s,
// free_r + h_r) ≥ Σ_{s∈A} d_s (maximal flow, minimal cut). Each is concave and piecewise linear in h, so the least cost
// is found by cutting planes, the most violated first (Kelley 1960), in a dual simplex (`cover.hpp`). The answer
// carries its proof: dual weights whose bound meets the cost, or, where no h is enough, the cut that even `raisable`
// leaves. Cost: some R to 4·R cuts; a cut is looked for in O(moments·R²) for N−1, O(moments·R³) for N−2.
#pragma once

#include <span>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

/// What may fail: any `any` Regions of all, or else exactly these sets.
struct Failures {
    Index any = 1;
    std::vector<std::vector<Index>> sets;  // each of different Regions, ascending, and not all of them
};

/// S services in R Regions at T moments; column s·R + r. A moment at which a load or existing headroom is NaN is left
/// out.
struct Demand {
    Samples load;       // (T, S·R), ≥ 0
    Samples existing;   // (T, S·R) or (1, S·R), free now; below 0: used beyond the quota
    Column reserved;    // (S·R), ≥ 0, promised to others; more than exists must be raised whatever fails
    Column multiplier;  // (S·R), ≥ 0
    Column critical;    // (S), in [0, 1]
    Column cost;        // (S·R), ≥ 0, of one more unit
    Column raisable;    // (S·R), ≥ 0; 0: not adjustable, inf: without bound
    Samples share;      // (R, R) for all services or (S·R, R): of what leaves the row's Region, most that one may take
};

struct AllocationOptions {
    double unplaced = 0;  // δ: CVaR of the unplaced share over failures and moments; 0: everything is placed
    double alpha = 0.95;  // of that CVaR: the mean of the worst 1 − alpha
    Index threads = 1;    // 0: as many as the machine has; services are shared out
};

/// Sets of Regions one after another.
class RegionSets {
public:
    Index size() const { return static_cast<Index>(starts_.size()) - 1; }
    std::span<const Index> operator[](Index i) const {
        const auto at = static_cast<std::size_t>(i);
        return {members_.data() + starts_[at], static_cast<std::size_t>(starts_[at + 1] - starts_[at])};
    }
    void add(std::span<const Index> set) {
        members_.insert(members_.end(), set.begin(), set.end());
        starts_.push_back(static_cast<Index>(members_.size()));
    }
    const std::vector<Index>& starts() const { return starts_; }
    const std::vector<Index>& members() const { return members_; }

private:
    std::vector<Index> starts_{0}, members_;
};

/// Constraints that are tight: together the load of `sources` decides in the failure of `failed`.
struct Bindings {
    RegionSets failed, sources;
    std::vector<Index> service, moment;
    std::vector<double> weight;  // what one unit of this load costs
    std::vector<double> need;    // headroom asked for in the Regions that are filled
    RegionSets full;             // those: Σ of their headroom ≥ need. Of a CVaR: as in the worst scenario, where the
                                 // row is a mean over scenarios and only its weight·need is told apart

    Index size() const { return failed.size(); }
    void add(const Bindings& others);
};

/// Why there is no answer: the load of `sources` against all that may be raised.
struct Broken {
    std::vector<Index> failed, sources;
    Index moment = 0;
    double missing = 0;        // what stays unplaced
    std::vector<Index> full;   // Regions whose room is used up; the others take all they may
    Eigen::ArrayXd shortfall;  // per failure, the least load that stays unplaced
};

/// The answers. Matrices have shape (R, S): a column per service; vectors (S).
struct Allocated {
    Eigen::ArrayXXd headroom;     // infeasible: the cheapest that leaves no more unplaced than must be
    Eigen::ArrayXXd price;        // what one more unit that exists saves
    Eigen::ArrayXXd raise_price;  // what one more unit of `raisable` saves
    Eigen::ArrayXXd owed;         // of headroom, what must be raised whatever fails: more is promised or used than is
    Eigen::ArrayXXd over;         // promised or used beyond all that can be raised
    Eigen::Array<bool, Eigen::Dynamic, 1> feasible;
    Eigen::ArrayXd cost;        // of `headroom`, whether that is enough or not
    Eigen::ArrayXd peaks_cost;  // if every Region's peak came at once; inf: not feasible, NaN: of a CVaR
    Eigen::ArrayXd unplaced;    // CVaR of the unplaced share at `headroom`, where one was asked for; else 0
    // The certificate, of `headroom`.
    Eigen::ArrayXd bound;   // no headroom costs less: from the dual weights
    Eigen::ArrayXd gap;     // |cost − bound| / cost, or / 1e-6 of what the load that decides is worth, if that is more
    Eigen::ArrayXd excess;  // the worst unplaced share of a load, or the CVaR, beyond what was allowed
    Eigen::Array<Index, Eigen::Dynamic, 1> cuts, steps, moments;
    Bindings binding;            // service by service, the most costly first
    std::vector<Broken> broken;  // per service; no shortfall where all is placed
};

/// Throws InvalidInput for shapes and values that break the rules above, a failure that
/// takes every Region, or no moment that is fully observed; NumericalFailure where the certificate does not hold.
Allocated allocate(const Demand& demand, const Failures& failures, const AllocationOptions& options = {},
                   const Poll& poll = no_poll);

/// Who takes how much of one service when these Regions fail, at the moment that leaves least room.
struct Transfers {
    Eigen::ArrayXXd flow;  // (R, R): from row to column
    double unplaced = 0;
    Index moment = 0;
};
/// `headroom` (S·R); failures as sets. One per failure.
std::vector<Transfers> transfers(const Demand& demand, const Column& headroom, Index service,
                                 const std::vector<std::vector<Index>>& failed);

}  // namespace surgetank
