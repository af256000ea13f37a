#include "surgetank/allocation_solver.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace surgetank::allocation {
namespace {

constexpr double tight = 1e-12;    // of a load: less than that unplaced is rounding
constexpr double enough = 1e-9;    // of a load: less than that missing at all that is raisable is not infeasible
constexpr double gap_most = 1e-9;  // of the cost
constexpr int attempts = 4;
constexpr std::size_t plain_cuts = 10;  // and one for every other Region: more are seldom needed
constexpr double outward = 0.1;         // after that: so far from what is enough towards h; .03 and .25 take longer

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

Solver::Solver(const FailureSets& failures, Index regions, const AllocationOptions& options)
    : failures_(failures), options_(options), regions_(regions), cuts_(failures, regions) {
    service_.regions = regions;
    for (auto* v : {&cost_, &owed_, &over_, &raisable_, &upper_, &h_, &row_, &part_}) v->resize(at(regions));
    useful_.resize(at(regions));
}

void Solver::solve(const Demand& demand, Index s, Allocated& out, Bindings& binding, const Poll& poll) {
    read(demand, s, service_);
    const Index n = regions_;
    bounds(demand, s);
    out.moments[s] = service_.moments;
    for (Index r = 0; r < n; ++r) {
        out.over(r, s) = over_[at(r)];
        out.owed(r, s) = owed_[at(r)];
        if (over_[at(r)] > 0) out.feasible[s] = false;
    }

    cuts_.reset(service_);
    allowed_tail_ = options_.unplaced;
    double tolerance = tight;
    if (!feasible(tolerance, poll)) {
        out.feasible[s] = false;
        explain(out.broken[at(s)], poll);
    }
    out.cost[s] = optimum(tolerance, poll);
    out.excess[s] = allowed_tail_ > 0 ? std::max(0.0, tail(h_, poll) - allowed_tail_) : cuts_.excess();
    for (Index r = 0; r < n; ++r) {
        out.headroom(r, s) = owed_[at(r)] + h_[at(r)];
        out.cost[s] += cost_[at(r)] * owed_[at(r)];
    }
    if (!std::isfinite(out.cost[s]))
        throw NumericalFailure(fmt::format("cost: is beyond double precision (service {})", s));
    out.steps[s] = cover_.steps();
    out.cuts[s] = static_cast<Index>(used_);
    prices(out, s, binding);
    out.unplaced[s] = options_.unplaced > 0 ? tail(h_, poll) : 0;
    if (!(out.gap[s] <= gap_most) || !(out.excess[s] <= 2 * enough))
        throw NumericalFailure(fmt::format("allocate: no certificate for service {}, gap {:.3g}, excess {:.3g}", s,
                                           out.gap[s], out.excess[s]));
    out.peaks_cost[s] = options_.unplaced > 0   ? nan
                        : !out.feasible[s]      ? inf
                        : service_.moments == 1 ? out.cost[s]
                                                : peaks(demand, s, poll);
}

// What it would cost if every Region's largest load met the least room. Changes the service.
double Solver::peaks(const Demand& demand, Index s, const Poll& poll) {
    const Index n = regions_;
    for (Index t = 1; t < service_.moments; ++t)
        for (Index r = 0; r < n; ++r) {
            double &load = service_.load[at(r)], &room = service_.room[at(r)];
            load = std::max(load, service_.load[at(t * n + r)]);
            room = std::min(room, service_.room[at(t * n + r)]);
        }
    service_.moments = 1;
    limit(demand, s);
    cuts_.reset(service_);
    double tolerance = tight;
    if (!feasible(tolerance, poll)) return inf;
    double cost = optimum(tolerance, poll);
    for (Index r = 0; r < n; ++r) cost += cost_[at(r)] * owed_[at(r)];
    return cost;
}

// What must be raised whatever fails, since more is promised or used than there is; and what may be raised beyond.
void Solver::bounds(const Demand& demand, Index s) {
    const Index n = regions_;
    for (Index r = 0; r < n; ++r) {
        cost_[at(r)] = demand.cost[s * n + r];
        raisable_[at(r)] = demand.raisable[s * n + r];
        double least = inf;
        for (Index t = 0; t < service_.moments; ++t) least = std::min(least, service_.room[at(t * n + r)]);
        owed_[at(r)] = std::clamp(-least, 0.0, raisable_[at(r)]);
        over_[at(r)] = std::max(0.0, -least - raisable_[at(r)]);
        if (least >= 0) continue;
        for (Index t = 0; t < service_.moments; ++t) {
            double& room = service_.room[at(t * n + r)];
            room = std::max(0.0, room + owed_[at(r)]);
        }
    }
    limit(demand, s);
}

// The most load that can arrive in r at a moment, whatever fails.
double Solver::arriving(Index moment, Index r) const {
    const Index n = regions_;
    const double* const load = service_.load.data() + moment * n;
    const double* const take = service_.take.data() + r * n;
    double one = 0, two = 0, three = 0;
    switch (failures_.any()) {
        case 1:
            for (Index s = 0; s < n; ++s) one = std::max(one, take[s] * load[s]);
            return one;
        case 2:
        case 3:
            for (Index s = 0; s < n; ++s) {
                const double v = take[s] * load[s], second = std::min(v, one), third = std::min(second, two);
                one = std::max(one, v), two = std::max(two, second), three = std::max(three, third);
            }
            return one + two + (failures_.any() == 3 ? three : 0);
        default: break;
    }
    failures_.for_each([&](Index, std::span<const Index> failed) {
        if (std::ranges::find(failed, r) != failed.end()) return;
        double all = 0;
        for (const Index s : failed) all += take[s] * load[s];
        one = std::max(one, all);
    });
    return one;
}

// upper: raisable, but no more than what the most load that can arrive needs.
void Solver::limit(const Demand& demand, Index s) {
    for (Index r = 0; r < regions_; ++r) {
        double useful = 0;
        for (Index t = 0; t < service_.moments; ++t)
            useful = std::max(useful, arriving(t, r) - service_.room[at(t * regions_ + r)]);
        const double raisable = std::max(0.0, demand.raisable[s * regions_ + r] - owed_[at(r)]);
        useful_[at(r)] = useful <= raisable;
        upper_[at(r)] = std::min(useful, raisable);
    }
}

bool Solver::feasible(double& tolerance, const Poll& poll) {
    if (options_.unplaced > 0) return tail(upper_, poll) <= allowed_tail_ * (1 + enough);
    if (!cuts_.worst(upper_, tight, cut_, poll)) return true;
    if (cuts_.worst(upper_, enough, cut_, poll)) return false;
    tolerance = 1.1 * enough;
    return true;
}

// Infeasible: why, and from now on no more is asked for than what all that is raisable can do.
void Solver::explain(Broken& out, const Poll& poll) {
    const Index n = regions_;
    std::vector<double> unplaced(at(failures_.count()), 0.0);
    Cut cut;
    double worst = 0;
    for (Index t = 0; t < service_.moments; ++t)
        failures_.for_each([&](Index i, std::span<const Index> failed) {
            if (i % 1024 == 0) poll();
            cuts_.of(failed, t, upper_, cut);
            // Rounding is not a shortfall.
            if (cut.missing > tight * cut.load) unplaced[at(i)] = std::max(unplaced[at(i)], cut.missing);
            if (cut.missing <= worst) return;
            worst = cut.missing;
            out.failed = cut.failed, out.sources = cut.sources;
            out.moment = service_.when[at(t)], out.missing = cut.missing;
            cuts_.row(cut, upper_, row_);
            out.full.clear();
            for (Index r = 0; r < n; ++r)
                if (row_[at(r)] > 0) out.full.push_back(r);
        });
    out.shortfall = Eigen::Map<const Eigen::ArrayXd>(unplaced.data(), failures_.count());
    if (options_.unplaced > 0) {
        allowed_tail_ = tail(upper_, poll);
        return;
    }
    cuts_.allow(std::move(unplaced));
}

// What the last row lacks at the h of the tableau, which becomes h_.
double Solver::missing() {
    const auto h = cover_.h();
    double placed = 0;
    for (std::size_t r = 0; r < h.size(); ++r) {
        h_[r] = h[r] > upper_[r] * (1 - tight) ? upper_[r] : std::max(h[r], 0.0);
        placed += row_[r] * h_[r];
    }
    return least_ - placed;
}

// Cutting planes: h_ is the cheapest for the cuts so far; the next cut is the one it breaks most.
double Solver::optimum(double given, const Poll& poll) {
    double tolerance = given;
    const std::size_t n = at(regions_);
    for (int attempt = 0; attempt < attempts; ++attempt) {
        cover_.reset(cost_, upper_, attempt);
        used_ = 0, rows_.clear(), leasts_.clear();
        std::ranges::fill(h_, 0.0);
        enough_ = upper_;
        const Index most = 100000 + 1000 * regions_;
        tolerance = given;
        Index rebuilt = 0;
        while (true) {
            if (!(allowed_tail_ > 0 ? separate_tail(tolerance, poll) : separate(tolerance, poll))) {
                double cost = 0;
                for (std::size_t r = 0; r < n; ++r) cost += cost_[r] * h_[r];
                return cost;
            }
            double reach = 0;
            for (std::size_t r = 0; r < n; ++r) reach += row_[r] * upper_[r];
            // Rounding may ask for a little more than all there is, or leave the row just added a little broken: then
            // the tableau is made anew, and what is left of it tolerated.
            if (least_ > reach) tolerance = std::max(tolerance, 2 * (least_ - reach) / scale_);
            least_ = std::min(least_, reach * (1 - 1e-13));  // a hair of leeway: a row may take all there is
            rows_.insert(rows_.end(), row_.begin(), row_.end());
            leasts_.push_back(least_);
            if (used_ == added_.size()) added_.emplace_back();
            added_[used_] = cut_;
            if (!cover_.add(row_, least_, static_cast<Index>(used_++))) break;
            if (missing() > tolerance * scale_) {
                cover_.rebuild();
                if (missing() > tolerance * scale_) tolerance *= 10;
            }
            if (tolerance > 2 * enough) break;
            const Index spent = std::max(cover_.steps(), static_cast<Index>(used_));
            if (spent > most) break;
            if (spent - rebuilt > 1000) cover_.rebuild(), rebuilt = spent;
            if (used_ % 16 == 0) poll();
        }
    }
    throw NumericalFailure(
        "allocate: rounding keeps the least cost from being found; the loads differ too much in size");
}

// The most broken cut at h_. If that takes long, the one at a point near what is known to be enough: it breaks h_
// as well, and more deeply (in-out separation, Ben-Ameur and Neto 2007).
bool Solver::separate(double tolerance, const Poll& poll) {
    if (used_ > plain_cuts + at(regions_ / 2)) {
        for (std::size_t r = 0; r < h_.size(); ++r) part_[r] = outward * h_[r] + (1 - outward) * enough_[r];
        if (cuts_.worst(part_, tolerance, cut_, poll)) {
            least_ = cuts_.row(cut_, part_, row_);
            scale_ = cut_.load;
            double placed = 0;
            for (std::size_t r = 0; r < h_.size(); ++r) placed += row_[r] * h_[r];
            if (least_ - placed > tolerance * scale_) return true;
        } else {
            enough_ = part_;
        }
    }
    if (!cuts_.worst(h_, tolerance, cut_, poll)) return false;
    least_ = cuts_.row(cut_, h_, row_);
    scale_ = cut_.load;
    return true;
}

// CVaR of the unplaced share over all failures and moments, by Rockafellar and Uryasev (2000): the mean of the worst
// 1 − alpha of them, the last one counted in part. Leaves the scenarios sorted as far as that.
double Solver::tail(std::span<const double> h, const Poll& poll) {
    scenarios_.clear();
    Cut cut;
    for (Index t = 0; t < service_.moments; ++t)
        failures_.for_each([&](Index i, std::span<const Index> failed) {
            if (i % 1024 == 0) poll();
            double load = 0;
            for (const Index f : failed) load += service_.load[at(t * regions_ + f)];
            cuts_.of(failed, t, h, cut);
            scenarios_.push_back({load > 0 ? std::max(0.0, cut.missing) / load : 0, load, i, t});
        });
    const double counted = (1 - options_.alpha) * static_cast<double>(scenarios_.size());
    const auto whole = std::min(scenarios_.size(), at(static_cast<Index>(std::ceil(std::max(counted, 1.0)))));
    std::ranges::partial_sort(
        scenarios_, scenarios_.begin() + static_cast<std::ptrdiff_t>(whole), [](const Scenario& a, const Scenario& b) {
            return std::tuple(-a.share, a.moment, a.failure) < std::tuple(-b.share, b.moment, b.failure);
        });
    scenarios_.resize(whole);
    double mean = 0, left = std::max(counted, 1.0);
    for (const Scenario& s : scenarios_) {
        mean += s.share * std::min(1.0, left) / std::max(counted, 1.0);
        left -= 1;
    }
    return mean;
}

bool Solver::separate_tail(double tolerance, const Poll& poll) {
    if (tail(h_, poll) <= allowed_tail_ + tolerance) return false;
    const double counted =
        std::max((1 - options_.alpha) * static_cast<double>(failures_.count() * service_.moments), 1.0);
    std::ranges::fill(row_, 0.0);
    least_ = -allowed_tail_;
    double left = counted;
    std::vector<std::vector<Index>> sets(scenarios_.size());
    failures_.for_each([&](Index i, std::span<const Index> failed) {
        for (std::size_t k = 0; k < scenarios_.size(); ++k)
            if (scenarios_[k].failure == i) sets[k].assign(failed.begin(), failed.end());
    });
    Cut cut;
    for (std::size_t k = 0; k < scenarios_.size(); ++k, left -= 1) {
        const Scenario& s = scenarios_[k];
        if (!(s.share > 0)) continue;
        const double weight = std::min(1.0, left) / counted / s.load;
        cuts_.of(sets[k], s.moment, h_, cut);
        if (k == 0) cut_ = cut;
        least_ += weight * cuts_.row(cut, h_, part_);
        for (Index r = 0; r < regions_; ++r) row_[at(r)] += weight * part_[at(r)];
    }
    const double most = *std::ranges::max_element(row_);
    if (!(most > 0)) {  // nothing that is raised would help, though it did at `upper`: rounding
        least_ = inf;
        return true;
    }
    for (double& a : row_) a /= most;
    least_ /= most;
    scale_ = 1 / most;
    return true;
}

// Dual weights, what they prove, and what they say about one more unit of this or that.
void Solver::prices(Allocated& out, Index s, Bindings& binding) {
    const Index n = regions_;
    auto worth = out.price.col(s);
    double bound = 0, decided = 0;
    cover_.weights(weights_);
    std::ranges::sort(weights_, [&](const Cover::Weight& a, const Cover::Weight& b) {
        const double x = a.weight * leasts_[at(a.name)], y = b.weight * leasts_[at(b.name)];
        return x > y || (x == y && a.name < b.name);
    });
    for (const auto& [name, weight] : weights_) {
        if (!(weight > 0)) continue;  // bounds from weights of 0 or more hold whatever they are
        const double* const row = rows_.data() + name * n;
        const Cut& cut = added_[at(name)];
        bound += weight * leasts_[at(name)];
        decided += allowed_tail_ > 0 ? 0 : weight * cut.load;
        for (Index r = 0; r < n; ++r) worth[r] += weight * row[r];
        binding.service.push_back(s);
        binding.failed.add(cut.failed);
        binding.sources.add(cut.sources);
        binding.moment.push_back(service_.when[at(cut.moment)]);
        binding.weight.push_back(weight);
        filled_.clear();
        for (Index r = 0; r < n; ++r)
            if (row[r] > 0) filled_.push_back(r);
        binding.full.add(filled_);
        binding.need.push_back(leasts_[at(name)]);
    }
    double cost = 0, owed = 0;
    for (Index r = 0; r < n; ++r) {
        const double beyond = std::max(0.0, worth[r] - cost_[at(r)]);
        cost += cost_[at(r)] * h_[at(r)];
        owed += cost_[at(r)] * owed_[at(r)];
        bound -= upper_[at(r)] * beyond;
        // Where h ends at all that can arrive, more to raise is worth nothing, and more that exists its cost.
        if (useful_[at(r)]) worth[r] = std::min(worth[r], cost_[at(r)]);
        else out.raise_price(r, s) = beyond;
        if (owed_[at(r)] > 0 && !(over_[at(r)] > 0)) worth[r] = std::max(worth[r], cost_[at(r)]);
    }
    out.bound[s] = bound + owed;
    // What exists may be all but enough: then the cost is a small difference of large numbers, and their rounding is
    // measured against them.
    const double scale = std::max({cost, std::abs(bound), 1e-6 * decided});
    out.gap[s] = scale > 0 ? std::abs(cost - bound) / scale : 0;
}

}  // namespace surgetank::allocation
