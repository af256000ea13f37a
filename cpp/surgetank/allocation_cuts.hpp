// Stem `allocation`, cuts: which failures there are, and which load does not fit when one of them happens.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "surgetank/allocation.hpp"

namespace surgetank::allocation {

/// One service as the cuts see it: M moments, R Regions, row-major.
struct Service {
    Index regions = 0, moments = 0;
    std::vector<Index> when;   // (M) number of each moment in the caller's time
    std::vector<double> load;  // (M, R) what leaves when the Region fails
    std::vector<double> room;  // (M, R) what is free, ≥ 0
    std::vector<double> take;  // (target, source) the most that target may take of source's load, a share; 0 for itself
};

/// Failures in their order: combinations as Python's itertools gives them, or sets as given.
class FailureSets {
public:
    FailureSets(const Failures& failures, Index regions);
    Index any() const { return any_; }  // 0: sets
    Index count() const { return count_; }
    void for_each(const std::function<void(Index, std::span<const Index>)>& visit) const;

private:
    Index any_, regions_, count_;
    std::vector<Index> members_;
    std::vector<std::size_t> starts_;
};

/// The load of `sources` (⊆ failed) at `moment` (a position in Service) against what the others can take.
struct Cut {
    std::vector<Index> failed, sources;
    Index moment = 0;
    double load = 0;
    double allowed = 0;  // that much of it may stay unplaced
    double missing = 0;  // what does not fit beyond that
};

/// Finds cuts of one service after another; keeps its memory, and refers to the failures and the service it was given.
class Cuts {
public:
    Cuts(const FailureSets& failures, Index regions);

    void reset(const Service& service);
    /// Per failure, what may stay unplaced at any moment; empty: nothing.
    void allow(std::vector<double> unplaced) { allowed_ = std::move(unplaced); }

    /// The most broken constraint at h by more than `tolerance` of its load, first among the moments at which one was
    /// broken before, then among all. False if there is none.
    bool worst(std::span<const double> h, double tolerance, Cut& cut, const Poll& poll);

    /// At the last `worst`: the largest part of a load that is broken by, tolerated or not.
    double excess() const { return best_.excess; }

    /// The same of one failure at one moment, broken or not (then `missing` is negative).
    void of(std::span<const Index> failed, Index moment, std::span<const double> h, Cut& cut);

    /// The cut as Σ row·h ≥ least, seen from h: rooms that h leaves too small count, of the others what they may take.
    double row(const Cut& cut, std::span<const double> h, std::span<double> row) const;

private:
    struct Best {
        void clear() { score = missing = load = allowed = excess = 0, failure = -1, moment = 0, sources.clear(); }
        double score = 0, missing = 0, load = 0, allowed = 0, excess = 0;
        Index failure = -1, moment = 0;
        std::vector<Index> sources;
    };
    void search(std::span<const double> h, double tolerance, Index moment, Best& best, const Poll& poll);
    void search_last(std::size_t depth, Index first, double load, double tolerance, Index moment, Best& best,
                     const Poll& poll);
    void search_single(std::span<const double> h, double tolerance, Index moment, Best& best);
    void subsets(std::span<const Index> sources, std::size_t depth, double load, double allowed, double tolerance,
                 Index moment, Best& best);
    void by_flow(std::span<const Index> sources, double allowed, double tolerance, Index moment, Best& best);
    void search_set(std::span<const Index> failed, double allowed, double tolerance, Index moment, Best& best);
    void load_moment(std::span<const double> h, Index moment);
    void complete(const Best& best, std::span<const double> h, Cut& cut);
    double* limits(std::size_t depth) { return limits_.data() + static_cast<Index>(depth) * regions_; }
    double* rooms(std::size_t depth) { return rooms_.data() + static_cast<Index>(depth) * regions_; }

    const FailureSets& failures_;
    const Service* service_ = nullptr;
    Index regions_;
    std::vector<double> allowed_;
    std::vector<Index> hot_;              // moments that were broken before
    std::vector<double> ways_;            // (target, source) take·load of the moment
    std::vector<double> limits_, rooms_;  // per depth of a search: what the sources so far may send, what is there
    std::vector<double> taken_, first_, second_;  // per last member: the sum, and the largest parts of it
    std::vector<Index> members_;
    Best best_;
};

}  // namespace surgetank::allocation
