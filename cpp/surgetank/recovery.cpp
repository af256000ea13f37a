#include "surgetank/recovery.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include "surgetank/parallel.hpp"
#include "surgetank/recovery_loop.hpp"
#include "surgetank/recovery_paths.hpp"
#include "surgetank/recovery_trials.hpp"

namespace surgetank {
namespace {

using recovery::Trials;
using sampling::Size;

constexpr Index most_options = 255;

void check_probability(double p, const RecoveryStep& step, std::string_view what) {
    require(p >= 0 && p <= 1, what, fmt::format("of {} must lie in [0, 1]", step.name), p);
}

void check(const RecoveryStep& step, Index number, const RecoveryGraph& graph) {
    require(step.after.size() == step.option.size(), "after", fmt::format("of {} must have an option each", step.name),
            step.option.size());
    for (std::size_t k = 0; k < step.after.size(); ++k) {
        const Index before = step.after[k];
        require(before >= 0 && before < number, "after", fmt::format("of {} must be earlier steps", step.name), before);
        const auto options = static_cast<Index>(graph.steps[static_cast<std::size_t>(before)].options.size());
        require(step.option[k] >= -1 && step.option[k] < options, "option",
                fmt::format("of {} must be one of the branch's", step.name), step.option[k]);
    }
    check_probability(step.failure, step, "failure");
    require(step.retries >= 0, "retries", fmt::format("of {} must be 0 or more", step.name), step.retries);
    require(step.fallback >= -1 && step.fallback < number, "fallback",
            fmt::format("of {} must be an earlier step", step.name), step.fallback);
    double squares = 0;
    for (const auto& [factor, loading] : step.loadings) {
        require(factor >= 0 && factor < static_cast<Index>(graph.factors.size()), "loadings",
                fmt::format("of {} must be of factors that are there", step.name), factor);
        squares += loading * loading;
    }
    require(squares <= 1 + 1e-9, "loadings", fmt::format("of {} must have squares of at most 1 in all", step.name),
            squares);
    require(static_cast<Index>(step.options.size()) <= most_options, "options",
            fmt::format("of {} must be at most {}", step.name, most_options), step.options.size());
    double all = 0;
    for (const double p : step.options) {
        check_probability(p, step, "options");
        all += p;
    }
    require(step.options.empty() || std::abs(all - 1) < 1e-6, "options",
            fmt::format("of {} must add up to 1", step.name), all);
}

}  // namespace

void recovery::check(const RecoveryRun& run, const RecoveryGraph& graph, const RecoveryCapacity* capacity) {
    constexpr std::uint64_t most = std::uint64_t{1} << 62;
    require(run.trials > 0 && run.trials <= most && run.first <= most, "trials", "must be at least 1, below 2^62",
            run.trials);
    for (const double target : run.targets) require(target >= 0, "targets", "must be 0 s or more", target);
    for (const double target : run.point_targets) require(target >= 0, "targets", "must be 0 s or more", target);
    if (capacity == nullptr) return;
    for (const auto& step : graph.steps)
        require(step.coupling < static_cast<Index>(capacity->couplings()), "coupling",
                fmt::format("of {} must be one that is there", step.name), step.coupling);
}

namespace {

std::size_t bin_of(double x) {
    const auto bits = __builtin_bit_cast(std::int64_t, x) >> (52 - sampling::bin_bits);
    const auto b = bits - (std::int64_t{1023 + sampling::first_octave} << sampling::bin_bits) + 1;
    return static_cast<std::size_t>(std::clamp<std::int64_t>(b, 0, sampling::bins));
}

// What one thread counts. Where something may be lacking, trials in which nothing is are counted once, as both what
// happened and what would have happened with room for everything; the others are counted for each.
class Tally {
public:
    Tally(const RecoveryModel& model, const RecoveryCapacity* capacity, const RecoveryRun& run)
        : kernels_(sampling::kernels()),
          paths_(model),
          counts_(model.graph(), capacity, run),
          limits_(run.targets),
          point_limits_(run.point_targets),
          late_(counts_.ready),
          early_(counts_.ready) {
        for (auto* list : {&limits_, &point_limits_})
            for (double& target : *list) target = recovery::limit_of(target);
    }

    void add(Trials& trials, std::uint64_t first, Size from, Size to) {
        const Size n = to - from;
        counts_.trials += static_cast<std::uint64_t>(n);
        const recovery::Room* const room = trials.room();
        if (room != nullptr && (!room->lacking().empty() || room->capacity().leaves_some())) {
            add_apart(trials, *room, from, to);
        } else {
            counts_.fits += room == nullptr ? 0 : static_cast<std::uint64_t>(n);
            for (std::size_t c = 0; c < counts_.clocks.size(); ++c)
                counts_.clocks[c].add(kernels_, trials.clock(c) + from, n, limits_);
        }
        for (std::size_t p = 0; p < counts_.points.size(); ++p)
            counts_.points[p].add(kernels_, trials.point(p) + from, n, point_limits_);
        add_met(trials, from, to);
        if (first < path_trials) paths_.add(trials, from, to, counts_);
    }

    void add(const Tally& other) {
        counts_.add(other.counts_);
        for (std::size_t c = 0; c < late_.size(); ++c) late_[c].add(other.late_[c]), early_[c].add(other.early_[c]);
    }

    RecoveryCounts finish() {
        for (std::size_t c = 0; c < late_.size(); ++c) {
            counts_.ready[c].add(counts_.clocks[c]);
            counts_.ready[c].add(early_[c]);
            std::ranges::copy(counts_.clocks[c].within,
                              counts_.fits_within.begin() + static_cast<std::ptrdiff_t>(c * limits_.size()));
        }
        for (std::size_t bin = 0; bin < counts_.served.size(); ++bin)
            counts_.served[bin] += recovery::whole_share * counts_.clocks[0].histogram[bin];
        for (std::size_t c = 0; c < late_.size(); ++c) counts_.clocks[c].add(late_[c]);
        return std::move(counts_);
    }

private:
    void add_apart(const Trials& trials, const recovery::Room& room, Size from, Size to) {
        const auto lacking = room.lacking();
        const auto first_late = std::ranges::lower_bound(lacking, from) - lacking.begin();
        const auto end_late = std::ranges::lower_bound(lacking, to) - lacking.begin();
        const auto late =
            lacking.subspan(static_cast<std::size_t>(first_late), static_cast<std::size_t>(end_late - first_late));
        counts_.fits += static_cast<std::uint64_t>(to - from) - late.size();
        for (std::size_t c = 0; c < counts_.clocks.size(); ++c) {
            add_others(counts_.clocks[c], trials.clock(c), from, to, late);
            add_chosen(late_[c], trials.clock(c), late);
            add_chosen(early_[c], trials.ready(c), late);
        }
        for (std::size_t q = 0; q < counts_.lacking.size(); ++q)
            for (const std::int32_t k : room.lacking(q)) counts_.lacking[q] += k >= first_late && k < end_late;
        for (std::size_t k = 0; k < late.size(); ++k) {
            const Size i = late[k];
            const std::uint64_t share = room.share(i);
            if (const std::int32_t last = room.last_quota(static_cast<std::size_t>(first_late) + k); last >= 0)
                ++counts_.last[static_cast<std::size_t>(last)];
            counts_.served[bin_of(trials.ready(0)[i])] += share;
            counts_.served[bin_of(trials.clock(0)[i])] += recovery::whole_share - share;
        }
        if (!room.capacity().leaves_some()) return;
        // Where less than all of the load is enough, nobody asks for room for the rest, and it is never served.
        for (Size i = from; i < to; ++i) {
            if (room.lacks(i)) continue;
            const std::uint64_t left = recovery::whole_share - room.share(i);
            counts_.served[bin_of(trials.clock(0)[i])] -= left;  // of what finish() adds
            counts_.served[sampling::bins] += left;
        }
    }

    using Some = std::span<const std::int32_t>;  // trials of a block

    void add_chosen(TimeCounts& to, const double* at, Some chosen) {
        double some[sampling::block];
        for (std::size_t k = 0; k < chosen.size(); ++k) some[k] = at[chosen[k]];
        if (!chosen.empty()) to.add(kernels_, some, static_cast<Size>(chosen.size()), limits_);
    }

    // All but those: counted as what never ends, and taken away again.
    void add_others(TimeCounts& out, const double* at, Size from, Size to, Some without) {
        double some[sampling::block];
        std::copy(at + from, at + to, some + from);
        for (const std::int32_t i : without) some[i] = inf;
        out.add(kernels_, some + from, to - from, limits_);
        out.histogram[sampling::bins] -= without.size();
    }

    void add_met(const Trials& trials, Size from, Size to) {
        const double* const worst = counts_.points.empty() ? nullptr : trials.point(counts_.points.size() - 1);
        for (std::size_t at = 0; worst != nullptr && at < counts_.met.size(); ++at) {
            const std::size_t row = at / point_limits_.size(), p = at % point_limits_.size();
            const double* const back = trials.clock(row / limits_.size());
            const double limit = limits_[row % limits_.size()];
            for (Size i = from; i < to; ++i) counts_.met[at] += back[i] <= limit && worst[i] <= point_limits_[p];
        }
    }

    const sampling::Kernels& kernels_;
    recovery::Paths paths_;
    RecoveryCounts counts_;  // clocks: until finish(), of the trials in which nothing is lacking
    std::vector<double> limits_, point_limits_;
    std::vector<TimeCounts> late_, early_;  // the clocks of the others: as it happened, and with room for everything
};

}  // namespace

RecoveryModel::RecoveryModel(RecoveryGraph graph) : graph_(std::move(graph)) {
    const auto count = static_cast<Index>(graph_.steps.size());
    require(count > 0, "steps", "must be at least one", count);
    for (Index s = 0; s < count; ++s) check(graph_.steps[static_cast<std::size_t>(s)], s, graph_);
    require(!graph_.done.empty(), "done", "must be at least one step", 0);
    for (const Index s : graph_.done) require(s >= 0 && s < count, "done", "must be steps that are there", s);
    for (const Index s : {graph_.detection, graph_.declaration})
        require(s >= -1 && s < count, "detection, declaration", "must be steps that are there", s);
    for (std::size_t s = 0; s < graph_.steps.size(); ++s) {
        const auto& step = graph_.steps[s];
        double squares = 0;
        for (const auto& [factor, loading] : step.loadings) squares += loading * loading;
        Drawn drawn{sampling::Sampler(step.duration, !step.loadings.empty()), sampling::Sampler(step.retry_after)};
        drawn.failure = sampling::threshold(step.failure);
        drawn.own_loading = std::sqrt(std::max(0.0, 1 - squares));
        double all = 0;
        for (const double p : step.options) drawn.options.push_back(sampling::threshold(std::min(1.0, all += p)));
        drawn.affected = step.coupling >= 0;
        for (std::size_t k = 0; k < step.after.size(); ++k) {
            const Index before = step.after[k];
            drawn.affected = drawn.affected || drawn_[static_cast<std::size_t>(before)].affected;
            if (step.option[k] >= 0 && std::ranges::find(drawn.branches, before) == drawn.branches.end())
                drawn.branches.push_back(before);
        }
        if (step.fallback >= 0) drawn_[static_cast<std::size_t>(step.fallback)].inner = true;
        drawn_.push_back(std::move(drawn));
    }
    const auto inner = [&](Index s) { return s >= 0 && drawn_[static_cast<std::size_t>(s)].inner; };
    for (const Index s : graph_.done) require(!inner(s), "done", "must not be a fallback, which ends with its step", s);
    for (const Index s : {graph_.detection, graph_.declaration})
        require(!inner(s), "detection, declaration", "must not be a fallback, which ends with its step", s);
    for (const auto& step : graph_.steps)
        for (const Index s : step.after)
            require(!inner(s), "after",
                    fmt::format("of {} must not be a fallback, which ends with its step", step.name), s);
    for (const auto& store : graph_.stores)
        stores_.push_back({sampling::Sampler(store.lag), sampling::Sampler(store.copy)});
}

RecoveryCapacity::RecoveryCapacity(std::vector<std::string> quotas, std::vector<Coupling> couplings,
                                   const sampling::Distribution& lead, double denial)
    : quotas_(std::move(quotas)), couplings_(std::move(couplings)), lead_(lead), denial_(sampling::threshold(denial)) {
    require(denial >= 0 && denial <= 1, "denial", "must lie in [0, 1]", denial);
    require(!couplings_.empty(), "couplings", "must be at least one", 0);
    const auto known = static_cast<Index>(quotas_.size());
    const auto moments = couplings_[0].served.size();
    require(moments > 0 && moments < (std::size_t{1} << 32), "couplings", "must have at least one moment", moments);
    std::vector<double> served(moments, 1);
    lacks_.resize(moments), ever_lacking_.resize(couplings_.size());
    for (std::size_t k = 0; k < couplings_.size(); ++k) {
        const Coupling& c = couplings_[k];
        require(c.served.size() == moments && c.starts.size() == moments + 1, "couplings",
                "must be of the same moments", c.served.size());
        require(c.starts.front() == 0 && c.starts.back() == static_cast<Index>(c.lacking.size()) &&
                    std::ranges::is_sorted(c.starts),
                "starts", "must ascend from 0 to the number of those lacking", c.starts.back());
        std::vector<char> ever(quotas_.size(), 0);
        for (std::size_t m = 0; m < moments; ++m) {
            require(c.served[m] >= 0 && c.served[m] <= 1, "served", "must be shares in [0, 1]", c.served[m]);
            served[m] = std::min(served[m], c.served[m]);
            Index last = -1;
            for (const Index quota : lacking(k, m)) {
                require(quota > last && quota < known, "lacking",
                        "must be quotas that are there, ascending at every moment", quota);
                ever[static_cast<std::size_t>(last = quota)] = lacks_[m] = 1;
            }
        }
        for (Index q = 0; q < known; ++q)
            if (ever[static_cast<std::size_t>(q)] != 0) ever_lacking_[k].push_back(q);
    }
    for (std::size_t m = 0; m < moments; ++m) {
        shares_.push_back(static_cast<std::uint32_t>(std::lround(served[m] * recovery::whole_share)));
        leaves_some_ = leaves_some_ || (!lacks(m) && shares_[m] < recovery::whole_share);
    }
}

RecoveryCounts RecoveryModel::run(const RecoveryRun& run, const RecoveryCapacity* capacity, const Poll& poll) const {
    recovery::check(run, graph_, capacity);
    std::vector<Tally> tallies;
    const Index threads = recovery::workers(run);
    for (Index w = 0; w < threads; ++w) tallies.emplace_back(*this, capacity, run);
    recovery::each_block(*this, run, capacity, poll,
                         [&](Index worker, Trials& trials, std::uint64_t first, Size from, Size to) {
                             tallies[static_cast<std::size_t>(worker)].add(trials, first, from, to);
                         });
    for (std::size_t w = 1; w < tallies.size(); ++w) tallies[0].add(tallies[w]);
    return tallies[0].finish();
}

}  // namespace surgetank
