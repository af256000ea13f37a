// Stem `recovery`, room: at which moment of history each trial's load lands, what is lacking there, and until when a
// step waits for the increases it needs.
#pragma once

#include <span>
#include <vector>

#include "surgetank/recovery.hpp"

namespace surgetank::recovery {

inline constexpr sampling::Size block = sampling::block;

/// A block of instants or durations, one for each trial.
struct alignas(64) Times {
    double at[block];
};

/// Of a block of trials. Those in which something is lacking are numbered from 0 on, in their order: k.
class Room {
public:
    Room(const RecoveryCapacity& capacity, const RecoveryGraph& graph, std::uint64_t seed);

    /// Draws what happens in the block of trials from 64·first_group on.
    void draw(const sampling::Kernels& kernels, std::uint64_t first_group);

    /// The trials in which something is lacking, ascending.
    std::span<const std::int32_t> lacking() const { return {lacking_, static_cast<std::size_t>(count_)}; }
    /// Those of them, k, in which that quota is, and an increase was asked for.
    std::span<const std::int32_t> lacking(std::size_t quota) const { return asked_[quota]; }
    /// Of a trial: the share of the load that fits, in whole_share parts.
    std::uint32_t share(sampling::Size i) const { return capacity_.share(moments_[i]); }
    bool lacks(sampling::Size i) const { return capacity_.lacks(moments_[i]); }
    /// Whose increase came last; −1: none was asked for.
    std::int32_t last_quota(std::size_t k) const { return last_quota_[k]; }
    const RecoveryCapacity& capacity() const { return capacity_; }

    /// Begins a pass through the graph, of those in which something is lacking: nothing is asked for as yet.
    void begin();
    /// Per k, how long a step that begins at `start` (null: at onset) waits for the increases it needs.
    void wait(Index coupling, const double* start, double* waits);
    /// Ends the pass. True: some increase would have been asked for earlier than the steps knew; one more is needed.
    bool end();

private:
    void finish();

    const RecoveryCapacity& capacity_;
    sampling::Stream moment_stream_;
    std::vector<sampling::Stream> lead_streams_, denial_streams_;
    bool shared_ = false;  // may several steps ask for the same quota?
    alignas(64) std::uint32_t moments_[block] = {}, words_[block] = {};
    std::int32_t lacking_[block + 1] = {};
    sampling::Size count_ = 0;
    std::vector<std::vector<std::int32_t>> asked_;  // per quota: k
    std::vector<Times> leads_, asks_, asking_;      // per quota and k: of its increase; when asked for, now and so far
    std::int32_t last_quota_[block] = {};
};

}  // namespace surgetank::recovery
