// Stem `recovery`, the loop: every block of a run's trials, shared out to threads.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "surgetank/parallel.hpp"
#include "surgetank/recovery_trials.hpp"

namespace surgetank::recovery {

inline constexpr std::uint64_t blocks_per_job = 32;

/// Throws InvalidInput for what does not go with the graph.
void check(const RecoveryRun& run, const RecoveryGraph& graph, const RecoveryCapacity* capacity);

/// The largest instant that meets a target: sums of decimal fractions may end a digit beyond it. What never ends meets
/// none.
inline double limit_of(double target) {
    constexpr double most = sampling::longest_s * (1 - 0x1p-53);
    return std::min(target * (1 + 1e-12), most);
}

inline Index jobs_of(const RecoveryRun& run) {
    const auto size = static_cast<std::uint64_t>(block);
    const std::uint64_t first = run.first / size, last = (run.first + run.trials - 1) / size;
    return static_cast<Index>((last - first) / blocks_per_job + 1);
}

inline Index workers(const RecoveryRun& run) { return check_threads(run.threads, jobs_of(run)); }

/// Calls visit(worker, trials, first trial of the block, from, to) with the trials of each block that belong to the
/// run: [from, to).
template <class Visit>
void each_block(const RecoveryModel& model, const RecoveryRun& run, const RecoveryCapacity* capacity, const Poll& poll,
                const Visit& visit) {
    const auto size = static_cast<std::uint64_t>(block);
    const std::uint64_t end = run.first + run.trials, first_block = run.first / size, end_block = (end - 1) / size + 1;
    const Index threads = workers(run);
    std::vector<std::optional<Trials>> workers(static_cast<std::size_t>(threads));
    parallel(jobs_of(run), threads, poll, [&](Index worker, Index job, const Poll&) {
        auto& trials = workers[static_cast<std::size_t>(worker)];
        if (!trials) trials.emplace(model, capacity, run.seed);
        const std::uint64_t from_block = first_block + static_cast<std::uint64_t>(job) * blocks_per_job;
        for (std::uint64_t b = from_block; b < std::min(end_block, from_block + blocks_per_job); ++b) {
            trials->evaluate(b);
            const std::uint64_t first = b * size;
            const auto from = static_cast<sampling::Size>(std::max(run.first, first) - first);
            const auto to = static_cast<sampling::Size>(std::min(end, first + size) - first);
            visit(worker, *trials, first, from, to);
        }
    });
}

}  // namespace surgetank::recovery
