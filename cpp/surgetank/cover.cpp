#include "surgetank/cover.hpp"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace surgetank {
namespace {

constexpr double pivot_least = 1e-9;

void subtract(double* to, const double* from, double factor, Index n) {
    for (Index j = 0; j < n; ++j) to[j] -= factor * from[j];
}

// In (0, 1]: scrambled (splitmix64, Steele et al. 2014), so that no sum of a few of them is likely to equal another.
double difference(Index r, int attempt) {
    auto x = static_cast<std::uint64_t>(r + 1) * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(attempt);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((x ^ (x >> 31)) >> 11) * 0x1p-53 + 0x1p-53;
}

}  // namespace

void Cover::reset(std::span<const double> cost, std::span<const double> upper, int attempt) {
    n_ = static_cast<Index>(cost.size());
    const auto n = cost.size();
    basic_ = steps_ = 0;
    cost_.assign(cost.begin(), cost.end());
    upper_.assign(upper.begin(), upper.end());
    tolerance_ = 1e-13 * (n == 0 ? 0 : *std::max_element(upper.begin(), upper.end()));
    own_tolerance_ = attempt % 2 == 1;
    double smallest = inf;
    for (const double c : cost)
        if (c > 0) smallest = std::min(smallest, c);
    if (smallest == inf) smallest = 1;
    const double tilt = 1e-11 * std::pow(10, attempt);
    tilted_cost_.resize(n);
    for (std::size_t r = 0; r < n; ++r)
        tilted_cost_[r] =
            cost[r] + tilt * difference(static_cast<Index>(r), attempt) * (cost[r] > 0 ? cost[r] : smallest);
    h_.assign(n, 0);
    table_.resize(n * n);
    cuts_.resize(n * n);
    reduced_ = cost_;
    tilted_ = tilted_cost_;
    leaving_.resize(n);
    slots_.resize(n);
    free_.resize(n);
    variable_.resize(n);
    at_upper_.assign(n, 0);
    column_of_.resize(n);
    row_of_.assign(n, -1);
    basic_h_.resize(n);
    for (std::size_t r = 0; r < n; ++r) {
        free_[r] = static_cast<Index>(n - 1 - r);
        variable_[r] = column_of_[r] = static_cast<Index>(r);
    }
}

bool Cover::add(std::span<const double> given, double least, Index name) {
    std::fill(leaving_.begin(), leaving_.end(), 0.0);
    double value = -least;
    for (Index r = 0; r < n_; ++r) {
        const double a = given[static_cast<std::size_t>(r)];
        if (a == 0) continue;
        value += a * h_[static_cast<std::size_t>(r)];
        const Index column = column_of_[static_cast<std::size_t>(r)];
        if (column >= 0) leaving_[static_cast<std::size_t>(column)] += a;
        else subtract(leaving_.data(), row(row_of_[static_cast<std::size_t>(r)]), -a, n_);
    }
    if (value >= 0) return true;
    double gap = -value;
    const Index column = choose(gap);
    if (column < 0) return false;
    pivot(column, gap);
    // n columns hold at most n cuts, and one of them has just been left, unless it was an h.
    const Index before = variable_[static_cast<std::size_t>(column)];
    if (before >= n_) free_.push_back(before - n_);
    const Index slot = free_.back();
    free_.pop_back();
    std::copy(given.begin(), given.end(), kept(slot));
    slots_[static_cast<std::size_t>(slot)] = {name, least};
    if (before < n_) enter(column, before);
    variable_[static_cast<std::size_t>(column)] = n_ + slot;
    at_upper_[static_cast<std::size_t>(column)] = 0;
    return repair();
}

// The column that closes the gap of the leaving row at the least dual step; those whose whole range is not enough are
// moved to their other bound on the way. −1 where there is none.
Index Cover::choose(double& gap) {
    while (true) {
        const double sign = gap > 0 ? 1 : -1;
        Index best = -1;
        double least = inf, size = 0;
        for (Index j = 0; j < n_; ++j) {
            const auto at = static_cast<std::size_t>(j);
            const double a = at_upper_[at] ? -sign * leaving_[at] : sign * leaving_[at];
            if (!(a > pivot_least)) continue;
            const double ratio = std::abs(tilted_[at]) / a;
            if (ratio < least || (ratio == least && a > size)) {
                const Index v = variable_[at];
                if (v < n_ && upper_[static_cast<std::size_t>(v)] == 0) continue;  // it cannot move
                best = j, least = ratio, size = a;
            }
        }
        if (best < 0) return -1;
        const Index v = variable_[static_cast<std::size_t>(best)];
        if (v >= n_) return best;
        const double range = upper_[static_cast<std::size_t>(v)];
        if (size * range >= std::abs(gap) * (1 - 1e-12)) return best;
        gap -= sign * size * range;
        flip(best);
    }
}

void Cover::flip(Index column) {
    const auto at = static_cast<std::size_t>(column);
    const auto r = static_cast<std::size_t>(variable_[at]);
    const double move = at_upper_[at] ? -upper_[r] : upper_[r];
    for (Index i = 0; i < basic_; ++i)
        h_[static_cast<std::size_t>(basic_h_[static_cast<std::size_t>(i)])] += move * row(i)[column];
    at_upper_[at] ^= 1;
    h_[r] = at_upper_[at] ? upper_[r] : 0;
}

// Moves along `column` until the leaving row has closed its gap, and expresses everything by the row instead.
void Cover::pivot(Index column, double gap) {
    ++steps_;
    const auto at = static_cast<std::size_t>(column);
    const double pivot_value = leaving_[at];
    const double step = gap / pivot_value;
    for (Index i = 0; i < basic_; ++i) {
        double* const t = row(i);
        const double f = t[column];
        if (f == 0) continue;
        h_[static_cast<std::size_t>(basic_h_[static_cast<std::size_t>(i)])] += f * step;
        subtract(t, leaving_.data(), f / pivot_value, n_);
        t[column] = f / pivot_value;
    }
    for (auto* costs : {&reduced_, &tilted_}) {
        const double f = (*costs)[at] / pivot_value;
        subtract(costs->data(), leaving_.data(), f, n_);
        (*costs)[at] = f;
    }
    const Index entering = variable_[at];
    if (entering < n_) h_[static_cast<std::size_t>(entering)] += step;
}

// h `entering`, which was in `column`, becomes basic: its row is the leaving one, solved for it.
void Cover::enter(Index column, Index entering) {
    double* const t = row(basic_);
    const double inverse = 1 / leaving_[static_cast<std::size_t>(column)];
    for (Index j = 0; j < n_; ++j) t[j] = -leaving_[static_cast<std::size_t>(j)] * inverse;
    t[column] = inverse;
    basic_h_[static_cast<std::size_t>(basic_)] = entering;
    row_of_[static_cast<std::size_t>(entering)] = basic_;
    column_of_[static_cast<std::size_t>(entering)] = -1;
    ++basic_;
}

void Cover::forget_row(Index i) {
    const Index last = --basic_;
    if (i == last) return;
    std::copy(row(last), row(last) + n_, row(i));
    const Index moved = basic_h_[static_cast<std::size_t>(last)];
    basic_h_[static_cast<std::size_t>(i)] = moved;
    row_of_[static_cast<std::size_t>(moved)] = i;
}

// Brings every basic h back within its bounds.
bool Cover::repair() {
    for (const Index most = steps_ + 100 + 20 * n_; steps_ < most;) {
        Index worst = -1;
        double excess = 0, gap = 0;
        for (Index i = 0; i < basic_; ++i) {
            const auto r = static_cast<std::size_t>(basic_h_[static_cast<std::size_t>(i)]);
            const double below = -h_[r], above = h_[r] - upper_[r];
            const double tolerated = own_tolerance_ ? 1e-13 * upper_[r] : tolerance_;
            if (below > tolerated && below > excess) worst = i, excess = below, gap = below;
            if (above > tolerated && above > excess) worst = i, excess = above, gap = -above;
        }
        if (worst < 0) return true;
        const Index r = basic_h_[static_cast<std::size_t>(worst)];
        std::copy(row(worst), row(worst) + n_, leaving_.begin());
        const bool to_upper = gap < 0;
        const Index column = choose(gap);
        if (column < 0) return false;
        forget_row(worst);
        pivot(column, gap);
        const Index before = variable_[static_cast<std::size_t>(column)];
        if (before < n_) enter(column, before);
        else free_.push_back(before - n_);
        const auto at = static_cast<std::size_t>(column);
        variable_[at] = r;
        at_upper_[at] = to_upper ? 1 : 0;
        h_[static_cast<std::size_t>(r)] = to_upper ? upper_[static_cast<std::size_t>(r)] : 0;
        column_of_[static_cast<std::size_t>(r)] = column;
        row_of_[static_cast<std::size_t>(r)] = -1;
    }
    return false;
}

void Cover::weights(std::vector<Weight>& out) const {
    out.clear();
    for (std::size_t j = 0; j < variable_.size(); ++j)
        if (variable_[j] >= n_) out.push_back({slots_[static_cast<std::size_t>(variable_[j] - n_)].name, reduced_[j]});
}

void Cover::rebuild() {
    // Tight rows: B·h_basic = least + slack − N·h_rest.
    std::vector<Index> tight;
    for (Index j = 0; j < n_; ++j)
        if (variable_[static_cast<std::size_t>(j)] >= n_) tight.push_back(j);
    const Index m = basic_;
    Eigen::MatrixXd basis(m, m), rest = Eigen::MatrixXd::Zero(m, n_);
    Eigen::VectorXd value(m);
    for (Index k = 0; k < m; ++k) {
        const Index column = tight[static_cast<std::size_t>(k)];
        const Index slot = variable_[static_cast<std::size_t>(column)] - n_;
        const double* const a = kept(slot);
        value[k] = slots_[static_cast<std::size_t>(slot)].least;
        for (Index r = 0; r < n_; ++r) {
            const auto at = static_cast<std::size_t>(r);
            if (row_of_[at] >= 0) {
                basis(k, row_of_[at]) = a[r];
            } else {
                value[k] -= a[r] * h_[at];
                rest(k, column_of_[at]) = -a[r];
            }
        }
        rest(k, column) = 1;
    }
    Eigen::VectorXd cost(m), tilted(m);
    for (Index i = 0; i < m; ++i) {
        const auto r = static_cast<std::size_t>(basic_h_[static_cast<std::size_t>(i)]);
        cost[i] = cost_[r], tilted[i] = tilted_cost_[r];
    }
    if (m > 0) {
        const Eigen::PartialPivLU<Eigen::MatrixXd> lu(basis);
        const Eigen::VectorXd solved = lu.solve(value);
        const Eigen::MatrixXd rows = lu.solve(rest);
        for (Index i = 0; i < m; ++i) {
            h_[static_cast<std::size_t>(basic_h_[static_cast<std::size_t>(i)])] = solved[i];
            for (Index j = 0; j < n_; ++j) row(i)[j] = rows(i, j);
        }
    }
    for (Index j = 0; j < n_; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const Index v = variable_[at];
        reduced_[at] = v < n_ ? cost_[static_cast<std::size_t>(v)] : 0;
        tilted_[at] = v < n_ ? tilted_cost_[static_cast<std::size_t>(v)] : 0;
        for (Index i = 0; i < m; ++i) {
            reduced_[at] += cost[i] * row(i)[j];
            tilted_[at] += tilted[i] * row(i)[j];
        }
    }
}

}  // namespace surgetank
