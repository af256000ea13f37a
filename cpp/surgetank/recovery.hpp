// Stem `recovery`: how likely is service back in time when a runbook is followed, and what drives it?
//
// A runbook is a graph of steps without circles. A step starts when all, or any, of its predecessors have ended, takes
// a random time, may fail and be tried again, and may have a fallback; a branch takes one of its options, and what
// waits for another is skipped. Where load lands on quotas that are too small, at a random moment of history, what fits
// is served and the rest waits for an increase. Method: Monte Carlo in blocks of trials (kernel `sampling`), counted in
// integers, so that the result does not depend on threads, chunks or instruction sets, and results of chunks add up.
// Sources: kernel `sampling`; quantiles by bins of equal ratio, as in HdrHistogram (Tene 2012).
// Cost: some ns a trial and step; memory about 100 KiB a clock and thread, whatever the number of trials.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "surgetank/core.hpp"
#include "surgetank/sampling.hpp"

namespace surgetank {

struct RecoveryStep {
    std::string name;
    sampling::Distribution duration;
    std::vector<Index> after;   // earlier steps of the graph
    std::vector<Index> option;  // for each of those, of a branch: the option that must be taken, or −1
    bool any = false;           // start after the first of them, not the last
    double failure = 0;         // of an attempt
    Index retries = 0;
    sampling::Distribution retry_after;
    Index fallback = -1;  // an earlier step, done in place of this when its last attempt fails
    std::vector<std::pair<Index, double>> loadings;  // factor and loading
    Index coupling = -1;                             // the capacity it needs
    std::vector<double> options;                     // a branch: their probabilities; it takes no time
};

struct RecoveryStore {
    std::string name;
    sampling::Distribution lag, copy;  // added up
};

struct RecoveryGraph {
    std::vector<RecoveryStep> steps;
    std::vector<std::string> factors;
    std::vector<RecoveryStore> stores;
    std::vector<Index> done;  // service is back when the last of them ends; never where all of them are skipped
    Index detection = -1, declaration = -1;
};

/// Whether load that lands fits, at M moments of history.
struct Coupling {
    std::vector<double> served;          // (M) share of it that fits
    std::vector<Index> starts, lacking;  // (M + 1) and: at moment m the quotas lacking[starts[m] … starts[m + 1])
};

namespace recovery {
/// Shares of a load are counted in these parts.
inline constexpr std::uint32_t whole_share = 1 << 16;
}  // namespace recovery

/// The room there was at those moments, checked and ready to be drawn from. Immutable.
class RecoveryCapacity {
public:
    /// `quotas` may be lacking; an increase applies `lead` after it was asked for, or with probability `denial` never.
    /// Throws InvalidInput for couplings that are not of the same moments, and what does not ascend.
    RecoveryCapacity(std::vector<std::string> quotas, std::vector<Coupling> couplings,
                     const sampling::Distribution& lead, double denial = 0);

    const std::vector<std::string>& quotas() const { return quotas_; }
    std::size_t couplings() const { return couplings_.size(); }
    std::size_t moments() const { return shares_.size(); }
    const sampling::Sampler& lead() const { return lead_; }
    std::uint64_t denial() const { return denial_; }  // as a threshold

    /// At a moment: the share of the load that fits, in whole_share parts; is any quota lacking; which are, of that
    /// coupling.
    std::uint32_t share(std::size_t moment) const { return shares_[moment]; }
    bool lacks(std::size_t moment) const { return lacks_[moment] != 0; }
    std::span<const Index> lacking(std::size_t coupling, std::size_t moment) const {
        const Coupling& c = couplings_[coupling];
        const auto from = static_cast<std::size_t>(c.starts[moment]),
                   to = static_cast<std::size_t>(c.starts[moment + 1]);
        return {c.lacking.data() + from, to - from};
    }
    /// Which quotas are lacking at some moment, of that coupling; ascending.
    const std::vector<Index>& ever_lacking(std::size_t coupling) const { return ever_lacking_[coupling]; }
    /// Is there a moment at which not all is served, and nothing is lacking?
    bool leaves_some() const { return leaves_some_; }

private:
    std::vector<std::string> quotas_;
    std::vector<Coupling> couplings_;
    sampling::Sampler lead_;
    std::uint64_t denial_;
    std::vector<std::uint32_t> shares_;
    std::vector<unsigned char> lacks_;
    std::vector<std::vector<Index>> ever_lacking_;
    bool leaves_some_ = false;
};

struct RecoveryRun {
    std::uint64_t seed = 0, first = 0, trials = 0;
    std::vector<double> targets, point_targets;  // seconds: of RTO on every clock, of RPO
    Index threads = 1;
};

__extension__ typedef unsigned __int128 Wide;
__extension__ typedef __int128 WideSigned;

/// How one instant is distributed: integers only, so that parts add up to the same whole in any order.
struct TimeCounts {
    explicit TimeCounts(std::size_t targets = 0) : within(targets), histogram(sampling::bins + 1) {}
    void add(const sampling::Kernels& kernels, const double* at, sampling::Size n, const std::vector<double>& targets);
    void add(const TimeCounts& other);

    std::uint64_t finite = 0;              // below sampling::longest_s; the others never end
    std::vector<std::uint64_t> within;     // at most each target
    Wide sum = 0, squares = 0;             // in quanta of 1/1024 s
    double least = inf, most = -inf;       // of the finite
    std::vector<std::uint64_t> histogram;  // sampling::bins; the last one: never
};

struct RecoveryCounts {
    RecoveryCounts(const RecoveryGraph& graph, const RecoveryCapacity* capacity, const RecoveryRun& run);
    void add(const RecoveryCounts& other);

    std::uint64_t trials = 0;
    std::vector<TimeCounts> clocks;  // from onset, then from detection and declaration where there are such steps
    std::vector<TimeCounts> points;  // per store, then the worst of them; empty without stores
    std::vector<std::uint64_t> met;  // (clocks × targets × point targets) both at once
    // With capacity:
    std::vector<TimeCounts> ready;             // the clocks, had there been room
    std::uint64_t fits = 0;                    // trials in which nothing was lacking
    std::vector<std::uint64_t> fits_within;    // (clocks × targets)
    std::vector<std::uint64_t> lacking, last;  // per quota: lacking; and its increase was the last to apply
    std::vector<std::uint64_t> served;         // as a histogram: the share that begins to be served, in 2⁻¹⁶ of a trial
    // Of the first `path_trials` of all trials that ended:
    std::uint64_t paths = 0;
    std::vector<std::uint64_t> critical, ran, ran_ended;     // per step: on the path that decided, and not skipped
    std::vector<std::uint64_t> critical_quanta, ran_quanta;  // what it took then, in 1/1024 s
};
inline constexpr std::uint64_t path_trials = 1 << 14;

/// A graph that has been checked and is ready to be drawn from. Immutable: may be used by several threads at once.
class RecoveryModel {
public:
    /// Throws InvalidInput for predecessors or fallbacks that are not earlier steps, probabilities outside [0, 1],
    /// loadings whose squares exceed 1, and no step to end with.
    explicit RecoveryModel(RecoveryGraph graph);
    const RecoveryGraph& graph() const { return graph_; }

    /// Throws InvalidInput for what does not go with the graph.
    RecoveryCounts run(const RecoveryRun& run, const RecoveryCapacity* capacity = nullptr,
                       const Poll& poll = no_poll) const;

    /// The order statistics of those ranks (from 0), ascending, exactly, of one of RecoveryCounts::clocks (or, from
    /// there on, of points); never: inf.
    std::vector<double> select(const RecoveryRun& run, const RecoveryCapacity* capacity, Index clock,
                               const std::vector<std::uint64_t>& ranks, const Poll& poll = no_poll) const;

    struct Drawn {
        sampling::Sampler duration, retry_after;
        std::uint64_t failure = 0;                // threshold
        std::vector<std::uint64_t> options = {};  // thresholds, cumulated
        std::vector<Index> branches = {};         // those of `after` whose option matters
        double own_loading = 1;
        bool inner = false;     // a fallback: part of another step
        bool affected = false;  // capacity can delay its end
    };
    const std::vector<Drawn>& drawn() const { return drawn_; }
    struct DrawnStore {
        sampling::Sampler lag, copy;
    };
    const std::vector<DrawnStore>& stores() const { return stores_; }

private:
    RecoveryGraph graph_;
    std::vector<Drawn> drawn_;
    std::vector<DrawnStore> stores_;
};

}  // namespace surgetank
