#include "surgetank/recovery_trials.hpp"

#include <algorithm>
#include <cmath>

namespace surgetank::recovery {
namespace {

using sampling::group;
using sampling::longest_s;
using sampling::never;
using sampling::Purpose;
using sampling::Size;
using sampling::skipped;

// Fewer trials than one in so many are drawn one by one.
constexpr Size few = 64;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

Trials::Trials(const RecoveryModel& model, const RecoveryCapacity* capacity, std::uint64_t seed)
    : model_(model), capacity_(capacity), kernels_(sampling::kernels()) {
    const auto& graph = model.graph();
    const auto count = graph.steps.size();
    form_.resize(count, Took::times);
    wait_at_.assign(count, -1), shapes_at_.assign(count, -1), times_at_.assign(count, -1), choice_at_.assign(count, -1);
    Index shapes = 0, times = 0, branches = 0;
    for (std::size_t s = 0; s < count; ++s) {
        const RecoveryStep& step = graph.steps[s];
        const auto& drawn = model.drawn()[s];
        streams_.push_back({stream(seed, step.name, Purpose::duration), stream(seed, step.name, Purpose::failure),
                            stream(seed, step.name, Purpose::wait), stream(seed, step.name, Purpose::choice)});
        if (!step.options.empty()) {
            choice_at_[s] = branches++;
            form_[s] = Took::constant;
        } else if (step.failure == 0 && drawn.duration.always()) {
            form_[s] = Took::constant;
        } else if (step.failure == 0 && step.loadings.empty() && drawn.duration.shaped()) {
            form_[s] = Took::shapes;
            shapes_at_[s] = shapes++;
        } else {
            times_at_[s] = times++;
        }
    }
    choices_.resize(at(branches));
    shapes_.resize(at(shapes));
    times_.resize(at(times));
    ends_.resize(count);
    for (const auto& name : graph.factors) factor_streams_.push_back(stream(seed, name, Purpose::factor));
    factors_.resize(graph.factors.size());
    for (const auto& store : graph.stores) {
        lag_streams_.push_back(stream(seed, store.name, Purpose::lag));
        copy_streams_.push_back(stream(seed, store.name, Purpose::copy));
    }
    points_.resize(graph.stores.empty() ? 0 : graph.stores.size() + 1);
    clocks_.resize(1 + (graph.detection >= 0) + (graph.declaration >= 0));
    if (capacity_ == nullptr) return;
    ready_.resize(clocks_.size());
    late_ends_.resize(count);
    const auto quotas = capacity_->quotas.size();
    asked_.resize(quotas), asks_.resize(quotas), asking_.resize(quotas), leads_.resize(quotas);
    std::vector<Index> needed_by(quotas, 0);
    Index waiting = 0;
    for (std::size_t s = 0; s < count; ++s) {
        if (graph.steps[s].coupling < 0) continue;
        wait_at_[s] = waiting++;
        std::vector<char> needs(quotas, 0);
        for (const Index q : capacity_->couplings[at(graph.steps[s].coupling)].lacking) needs[at(q)] = 1;
        for (std::size_t q = 0; q < quotas; ++q) shared_ = shared_ || (needed_by[q] += needs[q]) > 1;
    }
    waits_.resize(at(waiting));
    moment_stream_ = stream(seed, "moment of history", Purpose::moment);
    for (const auto& quota : capacity_->quotas) {
        lead_streams_.push_back(stream(seed, quota, Purpose::lead));
        denial_streams_.push_back(stream(seed, quota, Purpose::denial));
    }
    denial_ = sampling::threshold(capacity_->denial);
    shares_.resize(capacity_->couplings[0].served.size());
    for (std::size_t m = 0; m < shares_.size(); ++m) {
        double served = 1;
        bool lacking = false;
        for (const Coupling& coupling : capacity_->couplings) {
            served = std::min(served, coupling.served[m]);
            lacking = lacking || coupling.starts[m] < coupling.starts[m + 1];
        }
        shares_[m] = {static_cast<std::uint32_t>(std::lround(served * whole_share)), lacking};
        leaves_some_ = leaves_some_ || (!lacking && shares_[m].served < whole_share);
    }
    lead_.emplace(capacity_->lead);
}

void Trials::evaluate(std::uint64_t number) {
    first_trial_ = number * static_cast<std::uint64_t>(block);
    first_group_ = first_trial_ / static_cast<std::uint64_t>(group);
    draw_all();
    graph(false);
    if (capacity_ != nullptr) room();
    if (short_of_room_) {
        clocks(false, ready_);
        late();
    }
    clocks(short_of_room_, clocks_);
}

void Trials::draw_all() {
    const auto& graph = model_.graph();
    for (std::size_t f = 0; f < factors_.size(); ++f)
        normals(kernels_, factor_streams_[f], first_group_, block, factors_[f].at);
    for (std::size_t s = 0; s < graph.steps.size(); ++s) {
        const auto& drawn = model_.drawn()[s];
        if (choice_at_[s] >= 0) {
            kernels_.words(streams_[s].choice, first_group_, block, choices_[at(choice_at_[s])].at);
        } else if (form_[s] == Took::shapes) {
            drawn.duration.draw_shapes(kernels_, streams_[s].duration, first_group_, block,
                                       shapes_[at(shapes_at_[s])].at);
        } else if (form_[s] == Took::times) {
            attempts(static_cast<Index>(s), times_[at(times_at_[s])].at);
        }
    }
    for (std::size_t i = 0; i < graph.stores.size(); ++i) {
        const auto& store = model_.stores()[i];
        double* const point = points_[i].at;
        store.lag.draw(kernels_, lag_streams_[i], first_group_, block, point);
        if (store.copy.always()) {
            kernels_.add_all(store.copy.value(), point, block, point);
        } else {
            store.copy.draw(kernels_, copy_streams_[i], first_group_, block, spare_.at);
            kernels_.add(point, spare_.at, block, point);
        }
        double* const worst = points_.back().at;
        if (i == 0) std::copy_n(point, block, worst);
        else kernels_.later(point, worst, block, worst);
    }
}

// One attempt of every trial.
void Trials::draw(Index s, Index attempt, double* took) {
    const auto& step = model_.graph().steps[at(s)];
    const auto& drawn = model_.drawn()[at(s)];
    auto stream = streams_[at(s)].duration;
    stream.attempt = static_cast<std::uint32_t>(attempt);
    if (step.loadings.empty()) {
        drawn.duration.draw(kernels_, stream, first_group_, block, took);
        return;
    }
    alignas(64) float z[block];
    normals(kernels_, stream, first_group_, block, z);
    const auto own = static_cast<float>(drawn.own_loading);
    for (float& v : z) v *= own;
    for (const auto& [factor, loading] : step.loadings)
        kernels_.add_float(static_cast<float>(loading), factors_[at(factor)].at, block, z);
    drawn.duration.draw_at(kernels_, z, block, took);
}

// Its own time: attempts until one does not fail, the waits between them, and then the fallback's; or never.
void Trials::attempts(Index s, double* took) {
    const auto& step = model_.graph().steps[at(s)];
    const auto& drawn = model_.drawn()[at(s)];
    draw(s, 0, took);
    if (step.failure == 0) return;
    auto failure = streams_[at(s)].failure, wait = streams_[at(s)].wait, duration = streams_[at(s)].duration;
    std::int32_t failing[block];
    kernels_.words(failure, first_group_, block, words_);
    Size count = kernels_.below(words_, drawn.failure, block, failing);
    for (Index attempt = 1; attempt <= step.retries && count > 0; ++attempt) {
        failure.attempt = wait.attempt = duration.attempt = static_cast<std::uint32_t>(attempt);
        const bool one_by_one = count * few < block && step.loadings.empty();
        Times again, waited;
        if (!one_by_one) {
            draw(s, attempt, again.at);
            drawn.retry_after.draw(kernels_, wait, first_group_, block, waited.at);
            kernels_.words(failure, first_group_, block, words_);
        }
        Size still = 0;
        for (Size k = 0; k < count; ++k) {
            const std::int32_t i = failing[k];
            const std::uint64_t trial = first_trial_ + static_cast<std::uint64_t>(i);
            const double more = one_by_one ? drawn.duration.one(duration, trial) : again.at[i];
            const double before = one_by_one ? drawn.retry_after.one(wait, trial) : waited.at[i];
            const std::uint32_t word = one_by_one ? sampling::word(failure, trial) : words_[i];
            took[i] += before + more;
            failing[still] = i;
            still += word < drawn.failure;
        }
        count = still;
    }
    const double* const instead = step.fallback < 0 || count == 0 ? nullptr : times_of(step.fallback);
    for (Size k = 0; k < count; ++k) {
        const std::int32_t i = failing[k];
        if (instead == nullptr) took[i] = never;
        else took[i] += instead[i];
    }
}

// The time a step that comes earlier took, as doubles.
const double* Trials::times_of(Index s) {
    const auto& drawn = model_.drawn()[at(s)];
    switch (form_[at(s)]) {
        case Took::constant: std::fill_n(copied_.at, block, drawn.duration.value()); return copied_.at;
        case Took::shapes:
            kernels_.scale(shapes_[at(shapes_at_[at(s)])].at, drawn.duration.low(), drawn.duration.width(), block,
                           copied_.at);
            return copied_.at;
        default: return times_[at(times_at_[at(s)])].at;
    }
}

// When the step could start; null for at onset.
const double* Trials::start_of(Index s, bool with_waits) {
    const auto& step = model_.graph().steps[at(s)];
    if (step.after.empty()) return nullptr;
    if (step.any) {  // options are alternatives like any others
        for (std::size_t k = 0; k < step.after.size(); ++k) {
            const double* end = end_of(step.after[k], with_waits);
            if (step.option[k] >= 0) {
                std::copy_n(end, block, spare_.at);
                take(step, step.after[k], k, k + 1, end, spare_.at);
                end = spare_.at;
            }
            if (k == 0) std::copy_n(end, block, start_.at);
            else kernels_.earlier(start_.at, end, block, start_.at);
        }
        return start_.at;
    }
    const double* start = end_of(step.after[0], with_waits);
    for (std::size_t k = 1; k < step.after.size(); ++k) {
        kernels_.later(start, end_of(step.after[k], with_waits), block, start_.at);
        start = start_.at;
    }
    const auto& branches = model_.drawn()[at(s)].branches;
    if (!branches.empty() && start != start_.at) std::copy_n(start, block, start_.at);
    for (const Index branch : branches) take(step, branch, 0, step.after.size(), end_of(branch, with_waits), start_.at);
    return branches.empty() ? start : start_.at;
}

// Skips the trials in which the branch takes none of the options that stand from `from` to `to` among the predecessors,
// or is skipped itself.
void Trials::take(const RecoveryStep& step, Index branch, std::size_t from, std::size_t to, const double* reached,
                  double* start) {
    const auto& options = model_.drawn()[at(branch)].options;
    Choices marks{};
    for (std::size_t k = from; k < to; ++k) {
        if (step.after[k] != branch || step.option[k] < 0) continue;
        const auto option = at(step.option[k]);
        const std::uint64_t first = option == 0 ? 0 : options[option - 1];
        const std::uint64_t end = option + 1 == options.size() ? std::uint64_t{1} << 32 : options[option];
        if (first < end)
            kernels_.mark(choices_[at(choice_at_[at(branch)])].at, static_cast<std::uint32_t>(first),
                          static_cast<std::uint32_t>(end - 1), block, marks.at);
    }
    kernels_.skip_unmarked(marks.at, reached, block, start);
}

void Trials::graph(bool with_waits) {
    const auto& graph = model_.graph();
    for (std::size_t s = 0; s < graph.steps.size(); ++s) {
        const auto& drawn = model_.drawn()[s];
        if (drawn.inner || (with_waits && !drawn.affected)) continue;
        const auto step = static_cast<Index>(s);
        double* const end = with_waits ? late_ends_[s].at : ends_[s].at;
        const double* const start = start_of(step, with_waits);
        const double low = drawn.duration.low(), width = drawn.duration.width();
        const bool plain = drawn.duration.plain();
        switch (form_[s]) {
            case Took::constant:
                if (start == nullptr) std::fill_n(end, block, low);
                else kernels_.add_all(low, start, block, end);
                break;
            case Took::shapes: {
                const float* const shapes = shapes_[at(shapes_at_[s])].at;
                if (plain && start == nullptr) kernels_.widen(shapes, block, end);
                else if (plain) kernels_.begin_after(start, shapes, block, end);
                else if (start == nullptr) kernels_.scale(shapes, low, width, block, end);
                else kernels_.finish(start, shapes, low, width, block, end);
                break;
            }
            case Took::times: {
                const double* const took = times_[at(times_at_[s])].at;
                if (start == nullptr) std::copy_n(took, block, end);
                else kernels_.add(start, took, block, end);
                break;
            }
        }
        if (with_waits && wait_at_[s] >= 0) {
            ask(step, start);
            kernels_.add(end, waits_[at(wait_at_[s])].at, block, end);
        }
    }
}

void Trials::clocks(bool with_waits, std::vector<Times>& out) {
    const auto& graph = model_.graph();
    double* const back = out[0].at;
    const double* last = end_of(graph.done[0], with_waits);
    for (std::size_t k = 1; k < graph.done.size(); ++k) {
        kernels_.later(last, end_of(graph.done[k], with_waits), block, back);
        last = back;
    }
    kernels_.settle(last, block, back);
    std::size_t next = 1;
    for (const Index since : {graph.detection, graph.declaration})
        if (since >= 0) kernels_.between(end_of(since, with_waits), back, block, out[next++].at);
}

// A moment of history for each trial, and where the load does not fit, how long the rest waits.
void Trials::room() {
    const std::uint64_t count = shares_.size();
    kernels_.words(moment_stream_, first_group_, block, words_);
    lacking_count_ = 0;
    for (Size i = 0; i < block; ++i) {
        moments_[i] = sampling::index_below(words_[i], count);
        lacking_[lacking_count_] = static_cast<std::int32_t>(i);
        lacking_count_ += shares_[moments_[i]].lacking;
    }
    short_of_room_ = lacking_count_ > 0;
    if (!short_of_room_) return;
    const auto& couplings = capacity_->couplings;
    for (auto& trials : asked_) trials.clear();
    for (const Coupling& coupling : couplings)
        for (Size k = 0; k < lacking_count_; ++k) {
            const std::int32_t i = lacking_[k];
            const std::size_t m = moments_[i];
            for (Index q = coupling.starts[m]; q < coupling.starts[m + 1]; ++q)
                asked_[at(coupling.lacking[at(q)])].push_back(i);
        }
    for (std::size_t q = 0; q < asked_.size(); ++q) {
        if (couplings.size() > 1) {  // two of them may ask for the same quota
            std::ranges::sort(asked_[q]);
            asked_[q].erase(std::unique(asked_[q].begin(), asked_[q].end()), asked_[q].end());
        }
        const auto asking = static_cast<Size>(asked_[q].size());
        if (asking == 0) continue;
        const bool one_by_one = asking * few < block;
        if (!one_by_one) {
            lead_->draw(kernels_, lead_streams_[q], first_group_, block, leads_[q].at);
            kernels_.words(denial_streams_[q], first_group_, block, words_);
        }
        for (const std::int32_t i : asked_[q]) {
            const std::uint64_t trial = first_trial_ + static_cast<std::uint64_t>(i);
            if (one_by_one) leads_[q].at[i] = lead_->one(lead_streams_[q], trial);
            const std::uint32_t word = one_by_one ? sampling::word(denial_streams_[q], trial) : words_[i];
            if (word < denial_) leads_[q].at[i] = never;
        }
    }
}

// An increase is asked for once, when the first step that needs it begins. Which step that is can depend on what the
// others wait for: so it is tried until nobody asks earlier.
void Trials::late() {
    for (Times& wait : waits_) std::fill_n(wait.at, block, 0.0);
    for (std::size_t q = 0; q < asked_.size(); ++q) std::fill_n(asks_[q].at, block, never);
    for (bool earlier = true; earlier;) {
        for (Times& times : asking_) std::fill_n(times.at, block, never);
        graph(true);
        earlier = false;
        for (std::size_t q = 0; q < asked_.size(); ++q)
            for (const std::int32_t i : asked_[q]) {
                earlier = earlier || asking_[q].at[i] < asks_[q].at[i];
                asks_[q].at[i] = asking_[q].at[i];
            }
        earlier = earlier && shared_;
    }
    std::fill_n(last_quota_, block, -1);
    double last[block] = {};
    for (std::size_t q = 0; q < asked_.size(); ++q) {
        std::erase_if(asked_[q], [&](std::int32_t i) { return !(asks_[q].at[i] < longest_s); });  // nobody asked
        for (const std::int32_t i : asked_[q]) {
            const double applies = asks_[q].at[i] + leads_[q].at[i];
            if (last_quota_[i] < 0 || applies > last[i])
                last[i] = applies, last_quota_[i] = static_cast<std::int32_t>(q);
        }
    }
}

// What a step that begins then waits for: the increases it needs, as far as they do not apply yet.
void Trials::ask(Index s, const double* start) {
    const Coupling& coupling = capacity_->couplings[at(model_.graph().steps[at(s)].coupling)];
    double* const waits = waits_[at(wait_at_[at(s)])].at;
    for (Size k = 0; k < lacking_count_; ++k) {
        const std::int32_t i = lacking_[k];
        const double begins = start == nullptr ? 0 : start[i];
        waits[i] = 0;
        if (begins < 0 || !(begins < longest_s)) continue;
        const std::size_t m = moments_[i];
        for (Index j = coupling.starts[m]; j < coupling.starts[m + 1]; ++j) {
            const std::size_t q = at(coupling.lacking[at(j)]);
            asking_[q].at[i] = std::min(asking_[q].at[i], begins);
            waits[i] = std::max(waits[i], std::min(asks_[q].at[i], begins) + leads_[q].at[i] - begins);
        }
    }
}

void Trials::spent(Index s, double* out) {
    std::copy_n(times_of(s), block, out);
    if (short_of_room_ && wait_at_[at(s)] >= 0) kernels_.add(out, waits_[at(wait_at_[at(s)])].at, block, out);
}

}  // namespace surgetank::recovery
