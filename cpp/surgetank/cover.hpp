// Kernel `cover`: a linear program whose constraints arrive one by one.
//
//     minimise Σ cost_r·h_r   subject to   Σ a_r·h_r ≥ b for every row so far,   0 ≤ h ≤ upper
//
// Method: the bounded dual simplex (Lemke 1954; the long-step ratio test of Fourer 1994) in a dense tableau that keeps
// a row only for each h between its bounds; a row that is no longer tight is forgotten, its owner brings it back when
// it is broken again. A dual step of length zero could cycle, so the ratio test uses costs that differ from the true
// ones by scrambled parts in 1e11: ties, and with them steps that gain nothing, all but vanish. What rounding may still
// do is caught by limits on the number of steps. The true reduced costs are carried along; `weights` gives them. Cost
// of a step: O(n·tight), memory O(n²).
#pragma once

#include <span>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

class Cover {
public:
    /// Starts anew with h = 0. cost ≥ 0 and finite, upper ≥ 0 and finite, of one length. `attempt` 0, 1, …: another
    /// choice of the small differences, larger each time.
    void reset(std::span<const double> cost, std::span<const double> upper, int attempt = 0);

    /// Adds Σ row·h ≥ least and moves to the optimum. Coefficients are of the order of 1; below 1e-9 they do not count.
    /// `name`: what weights() calls it. Returns false where rounding has left no way to satisfy it: then only reset()
    /// with the next attempt helps.
    bool add(std::span<const double> row, double least, Index name);

    std::span<const double> h() const { return {h_.data(), static_cast<std::size_t>(n_)}; }

    /// Steps of the simplex since reset.
    Index steps() const { return steps_; }

    struct Weight {
        Index name;
        double weight;  // what the objective gains for one more unit of `least`
    };
    /// The tight rows and their dual values, ≥ −1e-11 of the costs.
    void weights(std::vector<Weight>& out) const;

    /// Computes h and the tableau anew from the tight rows, by an LU factorisation: what rounding has left behind goes.
    void rebuild();

private:
    struct Slot {
        Index name = 0;
        double least = 0;
    };
    double* row(Index i) { return table_.data() + i * n_; }
    double* kept(Index slot) { return cuts_.data() + slot * n_; }
    Index choose(double& gap);
    void flip(Index column);
    void pivot(Index column, double gap);
    void enter(Index column, Index leaving);
    void forget_row(Index i);
    bool repair();

    Index n_ = 0, basic_ = 0, steps_ = 0;
    bool own_tolerance_ = false;  // of each h its own, or the same for all
    double tolerance_ = 0;
    std::vector<double> cost_, tilted_cost_, upper_, h_;
    std::vector<double> table_;             // row i: how basic h changes with each column
    std::vector<double> reduced_, tilted_;  // per column: reduced costs, true and with the small differences
    std::vector<double> leaving_;           // the row that leaves the basis
    std::vector<double> cuts_;              // per slot: the row as it was added
    std::vector<Slot> slots_;
    std::vector<Index> free_;                // slots
    std::vector<Index> variable_;            // per column: r, or n + slot
    std::vector<char> at_upper_;             // per column
    std::vector<Index> column_of_, row_of_;  // per r: one of them is −1
    std::vector<Index> basic_h_;             // per row: r
};

}  // namespace surgetank
