// What the native tests of covering share: a linear program solved the slow, obvious way.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank {

/// minimise Σ cost·h, rows·h ≥ least, 0 ≤ h ≤ upper
struct Covering {
    using Row = std::vector<double>;
    std::vector<double> cost, upper;
    std::vector<Row> rows;
    std::vector<double> least;
};

/// Solves a·x = b by elimination with the largest pivot; false where a is singular.
inline bool solve(std::vector<Covering::Row> a, std::vector<double> b, std::vector<double>& x) {
    const std::size_t n = b.size();
    for (std::size_t k = 0; k < n; ++k) {
        std::size_t p = k;
        for (std::size_t i = k; i < n; ++i)
            if (std::abs(a[i][k]) > std::abs(a[p][k])) p = i;
        if (std::abs(a[p][k]) < 1e-9) return false;
        std::swap(a[p], a[k]), std::swap(b[p], b[k]);
        for (std::size_t i = 0; i < n; ++i) {
            if (i == k || a[i][k] == 0) continue;
            const double f = a[i][k] / a[k][k];
            for (std::size_t j = k; j < n; ++j) a[i][j] -= f * a[k][j];
            b[i] -= f * b[k];
        }
    }
    x.resize(n);
    for (std::size_t k = 0; k < n; ++k) x[k] = b[k] / a[k][k];
    return true;
}

/// The least cost: of all points at which n constraints are tight, the cheapest that breaks none. inf: there is none.
/// For numbers of ordinary size: it tolerates 1e-9.
inline double cheapest_vertex(const Covering& p) {
    const std::size_t n = p.cost.size();
    std::vector<Covering::Row> rows = p.rows;
    std::vector<double> least = p.least;
    for (std::size_t r = 0; r < n; ++r)
        for (const double sign : {1.0, -1.0}) {
            rows.emplace_back(n, 0.0)[r] = sign;
            least.push_back(sign > 0 ? 0 : -p.upper[r]);
        }
    double best = inf;
    std::vector<char> chosen(rows.size(), 0);
    std::fill_n(chosen.begin(), n, 1);
    do {
        std::vector<Covering::Row> a;
        std::vector<double> b, h;
        for (std::size_t i = 0; i < rows.size(); ++i)
            if (chosen[i]) a.push_back(rows[i]), b.push_back(least[i]);
        if (!solve(std::move(a), std::move(b), h)) continue;
        double cost = 0;
        for (std::size_t r = 0; r < n; ++r) cost += p.cost[r] * h[r];
        bool meets = cost < best;
        for (std::size_t i = 0; meets && i < rows.size(); ++i) {
            double value = -least[i];
            for (std::size_t r = 0; r < n; ++r) value += rows[i][r] * h[r];
            meets = value > -1e-9;
        }
        if (meets) best = cost;
    } while (std::prev_permutation(chosen.begin(), chosen.end()));
    return best;
}

}  // namespace surgetank
