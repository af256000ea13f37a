// Stem `recovery`, trials: what happens in each of a block of them. Keeps its memory from block to block.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "surgetank/recovery_room.hpp"

namespace surgetank::recovery {

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

    /// What room there was; null: for everything.
    const Room* room() const { return room_ ? &*room_ : nullptr; }

    /// Until the next block, lets ends, starts and own times be those that happened. Before, they are as if there had
    /// been room for everything.
    void come_late();
    /// When step s ended; below 0: skipped. Not of fallbacks, which are part of another step.
    const double* end(Index s) const { return all_.ends[static_cast<std::size_t>(s)].at; }
    /// When it could start; until the next call. Only of those that wait for something.
    const double* start(Index s) { return start_of(s, all_); }
    /// Its own time, waiting for an increase included.
    void spent(Index s, double* out);

private:
    void draw_all();
    void draw(Index s, Index attempt, double* took);
    void attempts(Index s, double* took);
    struct alignas(64) Choices {
        std::uint32_t at[block];
    };
    // Trials that go through the graph together: all of a block, or those in which something is lacking, close by.
    struct Lot {
        sampling::Size count = block;
        std::vector<Times> ends;     // per step
        std::vector<Choices> words;  // per branch
    };
    void graph();
    void late_graph();
    void choose_late();
    const double* start_of(Index s, const Lot& lot);
    void clocks(const Lot& lot, std::vector<Times>& out);
    void take(const RecoveryStep& step, Index branch, std::size_t from, std::size_t to, const double* reached,
              const Lot& lot, double* start);
    const double* times_of(Index s);

    const RecoveryModel& model_;
    const sampling::Kernels& kernels_;
    std::uint64_t first_group_ = 0;

    enum class Took { constant, shapes, times };
    std::vector<Took> form_;
    struct Streams {
        sampling::Stream duration, failure, wait, choice;
    };
    std::vector<Streams> streams_;
    std::vector<sampling::Stream> factor_streams_, lag_streams_, copy_streams_;
    std::vector<Index> shapes_at_, times_at_, choice_at_, wait_at_;  // per step: where its draws are; −1: none
    struct alignas(64) Shapes {
        float at[block];
    };
    std::vector<Shapes> shapes_, factors_;
    std::vector<Times> times_, clocks_, ready_, points_;
    Lot all_;
    Times start_{}, spare_{}, copied_{};
    alignas(64) std::uint32_t words_[block] = {};

    // Where something is lacking. Per step: what it took; the steps that can come late, and the others that those, or
    // the clocks, look at; branches whose choice matters to the former.
    std::optional<Room> room_;
    Lot late_;
    std::vector<Times> late_took_, waits_, late_clocks_;
    std::vector<Index> affected_, border_, branches_;
    bool short_of_room_ = false;
};

}  // namespace surgetank::recovery
