#include "surgetank/recovery_paths.hpp"

#include <algorithm>

namespace surgetank::recovery {

void Paths::add(Trials& trials, sampling::Size from, sampling::Size to, RecoveryCounts& out) {
    static constexpr Times onset{};
    const auto& graph = model_.graph();
    const auto& kernels = sampling::kernels();
    const double* const back = trials.clock(0);
    for (Marks& marks : on_path_) std::fill_n(marks.at, block, 0);
    Marks open{};
    for (sampling::Size i = from; i < to; ++i)
        if (back[i] < sampling::longest_s) open.at[i] = -1, ++out.paths;
    ended_ = open;
    trials.come_late();
    // Of the trials marked in `marks`, those in which `s` ended at that instant pass to it.
    const auto pass = [&](Index s, Marks& marks, const double* at) {
        kernels.pass(trials.end(s), at, block, marks.at, on_path_[static_cast<std::size_t>(s)].at);
    };
    for (const Index s : graph.done) pass(s, open, back);
    for (auto s = static_cast<Index>(graph.steps.size()) - 1; s >= 0; --s) {
        const auto at = static_cast<std::size_t>(s);
        if (model_.drawn()[at].inner) continue;
        trials.spent(s, spent_.at);
        const auto& after = graph.steps[at].after;
        const double* const start = after.empty() ? onset.at : trials.start(s);
        sampling::PathSums sums;
        kernels.path(spent_.at, start, trials.end(s), ended_.at, on_path_[at].at, block, sums);
        out.ran[at] += static_cast<std::uint64_t>(sums.ran);
        out.ran_ended[at] += static_cast<std::uint64_t>(sums.ran_ended);
        out.ran_quanta[at] += static_cast<std::uint64_t>(sums.ran_quanta);
        out.critical[at] += static_cast<std::uint64_t>(sums.critical);
        out.critical_quanta[at] += static_cast<std::uint64_t>(sums.critical_quanta);
        for (const Index before : after) pass(before, on_path_[at], start);
    }
}

}  // namespace surgetank::recovery
