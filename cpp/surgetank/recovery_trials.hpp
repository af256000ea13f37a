// Stem `recovery`, trials: what happens in each of a block of them. Keeps its memory from block to block.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "surgetank/recovery.hpp"

namespace surgetank::recovery {

inline constexpr sampling::Size block = sampling::block;
/// Shares of a load are counted in these parts.
inline constexpr std::uint32_t whole_share = 1 << 16;

/// A block of instants or durations, one for each trial.
struct alignas(64) Times {
    double at[block];
};

class Trials {
public:
    Trials(const RecoveryModel& model, const RecoveryCapacity* capacity, std::uint64_t seed);

    /// Evaluates the trials from block·number on.
    void evaluate(std::uint64_t number);

    /// Of each trial: when service is back, from onset, detection, declaration.
    const double* clock(std::size_t i) const { return clocks_[i].at; }
    /// The same had there been room; the same pointer where nothing was lacking in the whole block.
    const double* ready(std::size_t i) const { return short_of_room_ ? ready_[i].at : clocks_[i].at; }
    /// Per store, then the worst.
    const double* point(std::size_t i) const { return points_[i].at; }

    /// The trials in which something is lacking, ascending.
    std::span<const std::int32_t> lacking() const { return {lacking_, static_cast<std::size_t>(lacking_count_)}; }
    /// … that quota is.
    std::span<const std::int32_t> lacking(std::size_t quota) const { return asked_[quota]; }
    /// Of a trial: the share of the load that fits, in whole_share parts, and whose increase came last (−1: none).
    std::uint32_t share(sampling::Size i) const { return shares_[moments_[i]].served; }
    std::int32_t last_quota(sampling::Size i) const { return last_quota_[i]; }
    /// Is there a moment at which not all is served, and nothing is lacking?
    bool leaves_some() const { return leaves_some_; }
    /// When step s ended; below 0: skipped. Not of fallbacks, which are part of another step.
    const double* end(Index s) const { return end_of(s, short_of_room_); }
    /// When it could start; until the next call. Only of those that wait for something.
    const double* start(Index s) { return start_of(s, short_of_room_); }
    /// Its own time, waiting for an increase included.
    void spent(Index s, double* out);

private:
    void draw_all();
    void draw(Index s, Index attempt, double* took);
    void attempts(Index s, double* took);
    void graph(bool with_waits);
    const double* start_of(Index s, bool with_waits);
    const double* end_of(Index s, bool with_waits) const {
        return with_waits && model_.drawn()[static_cast<std::size_t>(s)].affected
                   ? late_ends_[static_cast<std::size_t>(s)].at
                   : ends_[static_cast<std::size_t>(s)].at;
    }
    void clocks(bool with_waits, std::vector<Times>& out);
    void take(const RecoveryStep& step, Index branch, std::size_t from, std::size_t to, const double* reached,
              double* start);
    void room();
    void late();
    void ask(Index s, const double* start);
    const double* times_of(Index s);

    const RecoveryModel& model_;
    const RecoveryCapacity* capacity_;
    const sampling::Kernels& kernels_;
    std::uint64_t first_group_ = 0, first_trial_ = 0;

    enum class Took { constant, shapes, times };
    std::vector<Took> form_;
    struct Streams {
        sampling::Stream duration, failure, wait, choice;
    };
    std::vector<Streams> streams_;
    std::vector<sampling::Stream> factor_streams_, lag_streams_, copy_streams_, lead_streams_, denial_streams_;
    sampling::Stream moment_stream_{};
    std::vector<Index> shapes_at_, times_at_, choice_at_, wait_at_;  // per step: where its draws are; −1: none
    struct alignas(64) Shapes {
        float at[block];
    };
    std::vector<Shapes> shapes_, factors_;
    std::vector<Times> times_, ends_, late_ends_, waits_, clocks_, ready_, points_;
    std::vector<Times> leads_, asks_, asking_;  // per quota: of its increase; when it is asked for, now and so far
    struct alignas(64) Choices {
        std::uint32_t at[block];
    };
    std::vector<Choices> choices_;  // of branches: their words
    Times start_{}, spare_{}, copied_{};
    struct Share {
        std::uint32_t served;  // in whole_share parts
        bool lacking;          // is any quota?
    };
    std::vector<Share> shares_;  // by moment
    std::int32_t lacking_[block] = {};
    sampling::Size lacking_count_ = 0;
    alignas(64) std::uint32_t moments_[block] = {}, words_[block] = {};
    std::int32_t last_quota_[block] = {};
    std::vector<std::vector<std::int32_t>> asked_;  // per quota: trials in which it is lacking
    bool short_of_room_ = false, leaves_some_ = false, shared_ = false;
    std::uint64_t denial_ = 0;
    std::optional<sampling::Sampler> lead_;
};

}  // namespace surgetank::recovery
