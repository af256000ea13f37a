#include "surgetank/allocation_cuts.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "surgetank/transport.hpp"

namespace surgetank::allocation {
namespace {

// All subsets of so many sources are looked at one by one; of more, a maximal flow finds the worst.
constexpr std::size_t most_enumerated = 7;

Index combinations(Index n, Index k) {
    double count = 1;
    for (Index i = 1; i <= k; ++i) count = count * static_cast<double>(n - k + i) / static_cast<double>(i);
    return static_cast<Index>(count + 0.5);
}

}  // namespace

FailureSets::FailureSets(const Failures& failures, Index regions)
    : any_(failures.sets.empty() ? failures.any : 0), regions_(regions) {
    starts_.push_back(0);
    for (const auto& set : failures.sets) {
        members_.insert(members_.end(), set.begin(), set.end());
        starts_.push_back(members_.size());
    }
    count_ = any_ > 0 ? combinations(regions, any_) : static_cast<Index>(failures.sets.size());
}

void FailureSets::for_each(const std::function<void(Index, std::span<const Index>)>& visit) const {
    if (any_ == 0) {
        for (std::size_t i = 0; i + 1 < starts_.size(); ++i)
            visit(static_cast<Index>(i), {members_.data() + starts_[i], starts_[i + 1] - starts_[i]});
        return;
    }
    std::vector<Index> set(static_cast<std::size_t>(any_));
    std::iota(set.begin(), set.end(), Index{0});
    for (Index i = 0; i < count_; ++i) {
        visit(i, set);
        auto at = set.size();
        while (at > 0 && set[at - 1] == regions_ - any_ + static_cast<Index>(at) - 1) --at;
        if (at == 0) return;
        ++set[at - 1];
        for (; at < set.size(); ++at) set[at] = set[at - 1] + 1;
    }
}

Cuts::Cuts(const FailureSets& failures, Index regions) : failures_(failures), regions_(regions) {
    const auto n = static_cast<std::size_t>(regions);
    ways_.resize(n * n);
    limits_.resize(n * (most_enumerated + 1));
    rooms_.resize(n * (most_enumerated + 1));
    taken_.resize(n), first_.resize(n), second_.resize(n);
}

void Cuts::reset(const Service& service) {
    service_ = &service;
    hot_.clear();
    allowed_.clear();
}

bool Cuts::worst(std::span<const double> h, double tolerance, Cut& cut, const Poll& poll) {
    Best& best = best_;
    best.clear();
    for (const Index moment : hot_) search(h, tolerance, moment, best, poll);
    if (!(best.score > 0)) {
        best.excess = 0;
        for (Index moment = 0; moment < service_->moments; ++moment) {
            if (moment % 64 == 63) poll();
            search(h, tolerance, moment, best, poll);
        }
        if (best.score > 0 && service_->moments > 1 && std::ranges::find(hot_, best.moment) == hot_.end())
            hot_.push_back(best.moment);
    }
    if (!(best.score > 0)) return false;
    complete(best, h, cut);
    return true;
}

void Cuts::of(std::span<const Index> failed, Index moment, std::span<const double> h, Cut& cut) {
    Best& best = best_;
    best.clear();
    best.score = -inf;
    load_moment(h, moment);
    search_set(failed, 0, 0, moment, best);
    cut.failed.assign(failed.begin(), failed.end());
    cut.sources = best.sources;
    cut.moment = moment, cut.load = best.load, cut.allowed = 0, cut.missing = best.missing;
}

void Cuts::search(std::span<const double> h, double tolerance, Index moment, Best& best, const Poll& poll) {
    if (failures_.any() == 1 && allowed_.empty()) {
        search_single(h, tolerance, moment, best);
    } else {
        load_moment(h, moment);
        if (failures_.any() > 0 && allowed_.empty()) search_last(0, 0, 0, tolerance, moment, best, poll);
        else
            failures_.for_each([&](Index i, std::span<const Index> failed) {
                if (i % 16 == 15) poll();
                const double score = best.score;
                search_set(failed, allowed_.empty() ? 0 : allowed_[static_cast<std::size_t>(i)], tolerance, moment,
                           best);
                if (best.score > score) best.failure = i;
            });
    }
}

// N−1: what every source could place, all of them side by side.
void Cuts::search_single(std::span<const double> h, double tolerance, Index moment, Best& best) {
    const Index n = regions_;
    const double* const load = service_->load.data() + moment * n;
    const double* const room = service_->room.data() + moment * n;
    const double* take = service_->take.data();
    double* const taken = taken_.data();
    std::fill(taken, taken + n, 0.0);
    for (Index r = 0; r < n; ++r, take += n) {
        const double x = room[r] + h[static_cast<std::size_t>(r)];
        for (Index s = 0; s < n; ++s) {
            const double may = take[s] * load[s];
            taken[s] += may < x ? may : x;
        }
    }
    Index at = -1;
    for (Index s = 0; s < n; ++s) {
        const double missing = load[s] - taken[s], score = missing - tolerance * load[s];
        if (score > best.score) best.score = score, at = s;
        if (missing > best.excess * load[s]) best.excess = missing / load[s];
    }
    if (at < 0) return;
    best.sources.assign(1, at);
    best.load = load[at], best.missing = load[at] - taken[at], best.allowed = 0;
    best.failure = -1, best.moment = moment;
}

void Cuts::load_moment(std::span<const double> h, Index moment) {
    const Index n = regions_;
    const double* const load = service_->load.data() + moment * n;
    const double* const room = service_->room.data() + moment * n;
    for (Index r = 0; r < n; ++r)
        for (Index s = 0; s < n; ++s)
            ways_[static_cast<std::size_t>(r * n + s)] = service_->take[static_cast<std::size_t>(r * n + s)] * load[s];
    for (Index r = 0; r < n; ++r) rooms(0)[r] = std::max(0.0, room[r] + h[static_cast<std::size_t>(r)]);
    std::fill(limits(0), limits(0) + n, 0.0);
    members_.clear();
}

// N−k: sets of sources whose loads together do not fit, while as many other Regions fail as make it worst. The sets
// that begin with the members so far, all last members side by side.
void Cuts::search_last(std::size_t depth, Index first, double load, double tolerance, Index moment, Best& best,
                       const Poll& poll) {
    const Index n = regions_;
    const double* const loads = service_->load.data() + moment * n;
    const Index others = failures_.any() - static_cast<Index>(depth) - 1;
    const double *const limit = limits(depth), *const room = rooms(depth);
    double *const taken = taken_.data(), *const one = first_.data(), *const two = second_.data();
    std::fill(taken + first, taken + n, 0.0);
    std::fill(one + first, one + n, 0.0);
    std::fill(two + first, two + n, 0.0);
    for (Index r = 0; r < n; ++r) {
        const double x = room[r], base = limit[r];
        if (!(x > 0)) continue;
        const double* const way = ways_.data() + r * n;
        const auto part = [&](Index from, Index to) {
            if (others == 0) {
                for (Index s = from; s < to; ++s) {
                    const double may = way[s] + base;
                    taken[s] += may < x ? may : x;
                }
                return;
            }
            for (Index s = from; s < to; ++s) {
                const double may = way[s] + base;
                const double v = may < x ? may : x;
                const double lower = v < one[s] ? v : one[s];
                taken[s] += v;
                one[s] = v > one[s] ? v : one[s];
                two[s] = lower > two[s] ? lower : two[s];
            }
        };
        part(first, std::max(first, r));  // the last member's own room fails with it
        part(std::max(first, r + 1), n);
    }
    Index at = -1;
    for (Index s = first; s < n; ++s) {
        if (!(loads[s] > 0)) continue;
        const double all = load + loads[s];
        const double placed = taken[s] - (others > 0 ? one[s] : 0) - (others > 1 ? two[s] : 0);
        const double missing = all - placed, score = missing - tolerance * all;
        if (score > best.score) best.score = score, best.missing = missing, best.load = all, at = s;
        if (missing > best.excess * all) best.excess = missing / all;
    }
    if (at >= 0) {
        best.sources = members_;
        best.sources.push_back(at);
        best.failure = -1, best.moment = moment, best.allowed = 0;
    }
    if (others == 0) return;
    for (Index s = first; s < n; ++s) {
        if (!(loads[s] > 0)) continue;
        if (depth == 0) poll();
        for (Index r = 0; r < n; ++r) limits(depth + 1)[r] = limit[r] + ways_[static_cast<std::size_t>(r * n + s)];
        std::copy(room, room + n, rooms(depth + 1));
        rooms(depth + 1)[s] = 0;
        members_.push_back(s);
        search_last(depth + 1, s + 1, load + loads[s], tolerance, moment, best, poll);
        members_.pop_back();
    }
}

void Cuts::search_set(std::span<const Index> failed, double allowed, double tolerance, Index moment, Best& best) {
    const Index n = regions_;
    const double* const loads = service_->load.data() + moment * n;
    std::vector<double> kept;
    for (const Index f : failed) kept.push_back(std::exchange(rooms(0)[f], 0.0));
    std::vector<Index> sources;
    for (const Index f : failed)
        if (loads[f] > 0) sources.push_back(f);
    if (sources.size() <= most_enumerated) subsets(sources, 0, 0, allowed, tolerance, moment, best);
    else by_flow(sources, allowed, tolerance, moment, best);
    for (std::size_t i = 0; i < failed.size(); ++i) rooms(0)[failed[i]] = kept[i];
}

void Cuts::subsets(std::span<const Index> sources, std::size_t depth, double load, double allowed, double tolerance,
                   Index moment, Best& best) {
    const Index n = regions_;
    const double* const room = rooms(0);
    for (std::size_t i = 0; i < sources.size(); ++i) {
        const Index s = sources[i];
        const double all = load + service_->load[static_cast<std::size_t>(moment * n + s)];
        double placed = 0;
        const double* const limit = limits(depth);
        double* const next = limits(depth + 1);
        for (Index r = 0; r < n; ++r) {
            next[r] = limit[r] + ways_[static_cast<std::size_t>(r * n + s)];
            placed += next[r] < room[r] ? next[r] : room[r];
        }
        members_.push_back(s);
        const double missing = all - placed - allowed, score = missing - tolerance * all;
        if (missing > best.excess * all) best.excess = missing / all;
        if (score > best.score) {
            best.score = score, best.missing = missing, best.load = all, best.allowed = allowed;
            best.moment = moment, best.sources = members_;
        }
        subsets(sources.subspan(i + 1), depth + 1, all, allowed, tolerance, moment, best);
        members_.pop_back();
    }
}

void Cuts::by_flow(std::span<const Index> sources, double allowed, double tolerance, Index moment, Best& best) {
    const Index n = regions_, m = static_cast<Index>(sources.size());
    Eigen::ArrayXd load(m), room(n);
    Eigen::ArrayXXd limit(m, n);
    for (Index r = 0; r < n; ++r) room[r] = rooms(0)[r];
    for (Index i = 0; i < m; ++i) {
        const Index s = sources[static_cast<std::size_t>(i)];
        load[i] = service_->load[static_cast<std::size_t>(moment * n + s)];
        for (Index r = 0; r < n; ++r) limit(i, r) = ways_[static_cast<std::size_t>(r * n + s)];
    }
    Placed placed = place(load, room, limit);
    if (placed.together.empty())  // all fits: the whole set stands for the others
        for (Index i = 0; i < m; ++i) placed.together.push_back(i);
    double all = 0, fits = 0;
    for (const Index i : placed.together) all += load[i];
    for (Index r = 0; r < n; ++r) {
        double may = 0;
        for (const Index i : placed.together) may += limit(i, r);
        fits += std::min(may, room[r]);
    }
    const double missing = all - fits - allowed, score = missing - tolerance * all;
    if (missing > best.excess * all) best.excess = missing / all;
    if (!(score > best.score)) return;
    best.score = score, best.missing = missing, best.load = all, best.allowed = allowed, best.moment = moment;
    best.sources.clear();
    for (const Index i : placed.together) best.sources.push_back(sources[static_cast<std::size_t>(i)]);
}

// Which Regions fail in the best cut: as found, or its sources and those whose loss makes it worst.
void Cuts::complete(const Best& best, std::span<const double> h, Cut& cut) {
    cut.sources = best.sources;
    cut.moment = best.moment;
    cut.load = best.load, cut.allowed = best.allowed, cut.missing = best.missing;
    cut.failed = best.sources;
    if (best.failure >= 0) {
        failures_.for_each([&](Index i, std::span<const Index> failed) {
            if (i == best.failure) cut.failed.assign(failed.begin(), failed.end());
        });
        return;
    }
    if (failures_.any() <= static_cast<Index>(cut.failed.size())) return;
    const Index n = regions_;
    std::vector<std::pair<double, Index>> parts;
    for (Index r = 0; r < n; ++r) {
        if (std::ranges::find(best.sources, r) != best.sources.end()) continue;
        double may = 0;
        for (const Index s : best.sources)
            may += service_->take[static_cast<std::size_t>(r * n + s)] *
                   service_->load[static_cast<std::size_t>(best.moment * n + s)];
        const double room =
            service_->room[static_cast<std::size_t>(best.moment * n + r)] + h[static_cast<std::size_t>(r)];
        parts.emplace_back(-std::min(may, std::max(0.0, room)), r);
    }
    std::ranges::sort(parts);
    for (Index i = 0; static_cast<Index>(cut.failed.size()) < failures_.any(); ++i)
        cut.failed.push_back(parts[static_cast<std::size_t>(i)].second);
    std::ranges::sort(cut.failed);
}

double Cuts::row(const Cut& cut, std::span<const double> h, std::span<double> row) const {
    const Index n = regions_;
    const double* const load = service_->load.data() + cut.moment * n;
    const double* const room = service_->room.data() + cut.moment * n;
    std::ranges::fill(row, 1.0);
    for (const Index f : cut.failed) row[static_cast<std::size_t>(f)] = -1;
    double least = cut.load - cut.allowed;
    for (Index r = 0; r < n; ++r) {
        auto& a = row[static_cast<std::size_t>(r)];
        if (a < 0) {
            a = 0;
            continue;
        }
        double may = 0;
        for (const Index s : cut.sources) may += service_->take[static_cast<std::size_t>(r * n + s)] * load[s];
        if (room[r] + h[static_cast<std::size_t>(r)] < may) {
            least -= room[r];
        } else {
            a = 0;
            least -= may;
        }
    }
    return least;
}

}  // namespace surgetank::allocation
