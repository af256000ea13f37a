// Stem `recovery`, trials: what happens in each of a block of them. Keeps its memory from block to block.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "surgetank/recovery.hpp"

namespace surgetank::recovery {

inline constexpr sampling::Size block = sampling::block;

/// A block of instants or durations, one for each trial.
struct alignas(64) Times {
    double at[block];
};

class Trials {
public:
    Trials(const RecoveryModel& model, const RecoveryCapacity* capacity, std::uint64_t seed);

    /// Evaluates the trials from block·number on.
    void evaluate(std::uint64_t number);

    std::size_t clock_count() const { return clocks_.size(); }
    /// Of each trial: when service is back, from onset, detection, declaration.
    const double* clock(std::size_t i) const { return clocks_[i].at; }
    /// The same had there been room; the same pointer where nothing was lacking in the whole block.
    const double* ready(std::size_t i) const { return short_of_room_ ? ready_[i].at : clocks_[i].at; }
    /// Per store, then the worst.
    const double* point(std::size_t i) const { return points_[i].at; }
    std::size_t point_count() const { return points_.size(); }

    bool short_of_room() const { return short_of_room_; }
    const float* served() const { return served_; }                 // the share of the load that fits
    const std::uint32_t* moments() const { return moments_; }       // of history
    const std::int32_t* last_quota() const { return last_quota_; }  // whose increase came last; −1: none was lacking
    bool lacks(std::size_t quota, sampling::Size i) const { return std::ranges::binary_search(asked_[quota], i); }
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
    void room();
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
    std::vector<Index> shapes_at_, times_at_, choice_at_;  // per step: where its draws are; −1: none
    struct alignas(64) Shapes {
        float at[block];
    };
    std::vector<Shapes> shapes_, factors_;
    std::vector<Times> times_, ends_, late_ends_, waits_, clocks_, ready_, points_, leads_;
    std::vector<std::vector<unsigned char>> chosen_;
    Times start_{}, spare_{}, copied_{};
    alignas(64) float served_[block] = {};
    alignas(64) std::uint32_t moments_[block] = {}, words_[block] = {};
    std::int32_t last_quota_[block] = {};
    std::vector<std::vector<sampling::Size>> asked_;  // per quota: trials in which it is lacking
    bool short_of_room_ = false;
    std::uint64_t denial_ = 0;
    std::optional<sampling::Sampler> lead_;
};

}  // namespace surgetank::recovery
