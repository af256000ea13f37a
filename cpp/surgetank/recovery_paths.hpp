// Stem `recovery`, paths: what each step took in the first trials, and, from the end back, which of them decided.
#pragma once

#include <vector>

#include "surgetank/recovery_trials.hpp"

namespace surgetank::recovery {

/// Counts what RecoveryCounts says of its first `path_trials` trials. Keeps its memory from block to block.
class Paths {
public:
    explicit Paths(const RecoveryModel& model) : model_(model), on_path_(model.graph().steps.size()) {}
    /// Of a block, those that stand from `from` to `to`.
    void add(Trials& trials, sampling::Size from, sampling::Size to, RecoveryCounts& out);

private:
    // Per trial all ones, or 0.
    struct alignas(64) Marks {
        std::int64_t at[block];
    };
    const RecoveryModel& model_;
    std::vector<Marks> on_path_;  // per step
    Marks ended_{};
    Times spent_{};
};

}  // namespace surgetank::recovery
