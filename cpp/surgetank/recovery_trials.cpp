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

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

Trials::Trials(const RecoveryModel& model, const RecoveryCapacity* capacity, std::uint64_t seed)
    : model_(model), kernels_(sampling::kernels()) {
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
    all_.words.resize(at(branches));
    shapes_.resize(at(shapes));
    times_.resize(at(times));
    all_.ends.resize(count);
    for (const auto& name : graph.factors) factor_streams_.push_back(stream(seed, name, Purpose::factor));
    factors_.resize(graph.factors.size());
    for (const auto& store : graph.stores) {
        lag_streams_.push_back(stream(seed, store.name, Purpose::lag));
        copy_streams_.push_back(stream(seed, store.name, Purpose::copy));
    }
    points_.resize(graph.stores.empty() ? 0 : graph.stores.size() + 1);
    clocks_.resize(1 + (graph.detection >= 0) + (graph.declaration >= 0));
    if (capacity == nullptr) return;
    room_.emplace(*capacity, graph, seed);
    ready_.resize(clocks_.size()), late_clocks_.resize(clocks_.size());
    late_.ends.resize(count), late_.words.resize(at(branches)), late_took_.resize(count);
    Index waiting = 0;
    std::vector<Index> looked_at = graph.done;
    for (const Index s : {graph.detection, graph.declaration})
        if (s >= 0) looked_at.push_back(s);
    for (std::size_t s = 0; s < count; ++s) {
        const auto& step = graph.steps[s];
        const auto& drawn = model.drawn()[s];
        if (step.coupling >= 0) wait_at_[s] = waiting++;
        if (drawn.inner || !drawn.affected) continue;
        affected_.push_back(static_cast<Index>(s));
        looked_at.insert(looked_at.end(), step.after.begin(), step.after.end());
        branches_.insert(branches_.end(), drawn.branches.begin(), drawn.branches.end());
    }
    waits_.resize(at(waiting));
    for (auto* list : {&looked_at, &branches_}) {
        std::ranges::sort(*list);
        list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    std::ranges::copy_if(looked_at, std::back_inserter(border_),
                         [&](Index s) { return !model.drawn()[at(s)].affected; });
}

void Trials::evaluate(std::uint64_t number) {
    first_group_ = number * static_cast<std::uint64_t>(block / group);
    draw_all();
    graph();
    if (room_) room_->draw(kernels_, first_group_);
    short_of_room_ = room_ && !room_->lacking().empty();
    clocks(all_, short_of_room_ ? ready_ : clocks_);
    if (!short_of_room_) return;
    choose_late();
    do {
        room_->begin();
        late_graph();
    } while (room_->end());
    clocks(late_, late_clocks_);
    const auto lacking = room_->lacking();
    for (std::size_t c = 0; c < clocks_.size(); ++c) {
        clocks_[c] = ready_[c];
        for (std::size_t k = 0; k < lacking.size(); ++k) clocks_[c].at[lacking[k]] = late_clocks_[c].at[k];
    }
}

void Trials::draw_all() {
    const auto& graph = model_.graph();
    for (std::size_t f = 0; f < factors_.size(); ++f)
        normals(kernels_, factor_streams_[f], first_group_, block, factors_[f].at);
    for (std::size_t s = 0; s < graph.steps.size(); ++s) {
        const auto& drawn = model_.drawn()[s];
        if (choice_at_[s] >= 0) {
            kernels_.words(streams_[s].choice, first_group_, block, all_.words[at(choice_at_[s])].at);
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
    Times again, waited;
    for (Index attempt = 1; attempt <= step.retries && count > 0; ++attempt) {
        failure.attempt = wait.attempt = duration.attempt = static_cast<std::uint32_t>(attempt);
        const std::span<const std::int32_t> chosen(failing, static_cast<std::size_t>(count));
        if (step.loadings.empty()) {
            drawn.duration.draw_some(kernels_, duration, first_group_, chosen, again.at);
        } else {
            draw(s, attempt, copied_.at);
            for (Size k = 0; k < count; ++k) again.at[k] = copied_.at[failing[k]];
        }
        drawn.retry_after.draw_some(kernels_, wait, first_group_, chosen, waited.at);
        sampling::some_words(kernels_, failure, first_group_, chosen, words_);
        Size still = 0;
        for (Size k = 0; k < count; ++k) {
            const std::int32_t i = failing[k];
            took[i] += waited.at[k] + again.at[k];
            failing[still] = i;
            still += words_[k] < drawn.failure;
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
const double* Trials::start_of(Index s, const Lot& lot) {
    const auto& step = model_.graph().steps[at(s)];
    if (step.after.empty()) return nullptr;
    const auto end_of = [&](Index before) { return lot.ends[at(before)].at; };
    if (step.any) {  // options are alternatives like any others
        for (std::size_t k = 0; k < step.after.size(); ++k) {
            const double* end = end_of(step.after[k]);
            if (step.option[k] >= 0) {
                std::copy_n(end, lot.count, spare_.at);
                take(step, step.after[k], k, k + 1, end, lot, spare_.at);
                end = spare_.at;
            }
            if (k == 0) std::copy_n(end, lot.count, start_.at);
            else kernels_.earlier(start_.at, end, lot.count, start_.at);
        }
        return start_.at;
    }
    const double* start = end_of(step.after[0]);
    for (std::size_t k = 1; k < step.after.size(); ++k) {
        kernels_.later(start, end_of(step.after[k]), lot.count, start_.at);
        start = start_.at;
    }
    const auto& branches = model_.drawn()[at(s)].branches;
    if (!branches.empty() && start != start_.at) std::copy_n(start, lot.count, start_.at);
    for (const Index branch : branches) take(step, branch, 0, step.after.size(), end_of(branch), lot, start_.at);
    return branches.empty() ? start : start_.at;
}

// Skips the trials in which the branch takes none of the options that stand from `from` to `to` among the predecessors,
// or is skipped itself.
void Trials::take(const RecoveryStep& step, Index branch, std::size_t from, std::size_t to, const double* reached,
                  const Lot& lot, double* start) {
    const auto& options = model_.drawn()[at(branch)].options;
    Choices marks{};
    for (std::size_t k = from; k < to; ++k) {
        if (step.after[k] != branch || step.option[k] < 0) continue;
        const auto option = at(step.option[k]);
        const std::uint64_t first = option == 0 ? 0 : options[option - 1];
        const std::uint64_t end = option + 1 == options.size() ? std::uint64_t{1} << 32 : options[option];
        if (first < end)
            kernels_.mark(lot.words[at(choice_at_[at(branch)])].at, static_cast<std::uint32_t>(first),
                          static_cast<std::uint32_t>(end - 1), lot.count, marks.at);
    }
    kernels_.skip_unmarked(marks.at, reached, lot.count, start);
}

void Trials::graph() {
    const auto& graph = model_.graph();
    for (std::size_t s = 0; s < graph.steps.size(); ++s) {
        const auto& drawn = model_.drawn()[s];
        if (drawn.inner) continue;
        double* const end = all_.ends[s].at;
        const double* const start = start_of(static_cast<Index>(s), all_);
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
    }
}

// Puts side by side what the steps that can come late look at, of the trials in which something is lacking.
void Trials::choose_late() {
    const auto lacking = room_->lacking();
    late_.count = static_cast<Size>(lacking.size());
    const auto choose = [&](const auto* from, auto* to) {
        for (std::size_t k = 0; k < lacking.size(); ++k) to[k] = from[lacking[k]];
    };
    for (const Index s : border_) choose(all_.ends[at(s)].at, late_.ends[at(s)].at);
    for (const Index s : branches_) {
        const auto choice = at(choice_at_[at(s)]);
        choose(all_.words[choice].at, late_.words[choice].at);
    }
    for (const Index s : affected_) {
        const auto& drawn = model_.drawn()[at(s)];
        double* const took = late_took_[at(s)].at;
        if (form_[at(s)] == Took::shapes) {
            Shapes shapes;
            choose(shapes_[at(shapes_at_[at(s)])].at, shapes.at);
            kernels_.scale(shapes.at, drawn.duration.low(), drawn.duration.width(), late_.count, took);
        } else if (form_[at(s)] == Took::times) {
            choose(times_[at(times_at_[at(s)])].at, took);
        } else {
            std::fill_n(took, late_.count, drawn.duration.value());
        }
    }
}

void Trials::late_graph() {
    for (const Index s : affected_) {
        const double* const start = start_of(s, late_);
        const double* const took = late_took_[at(s)].at;
        double* const end = late_.ends[at(s)].at;
        if (start == nullptr) std::copy_n(took, late_.count, end);
        else kernels_.add(start, took, late_.count, end);
        if (wait_at_[at(s)] < 0) continue;
        double* const waits = waits_[at(wait_at_[at(s)])].at;
        room_->wait(model_.graph().steps[at(s)].coupling, start, waits);
        kernels_.add(end, waits, late_.count, end);
    }
}

void Trials::clocks(const Lot& lot, std::vector<Times>& out) {
    const auto& graph = model_.graph();
    const auto end_of = [&](Index s) { return lot.ends[at(s)].at; };
    double* const back = out[0].at;
    const double* last = end_of(graph.done[0]);
    for (std::size_t k = 1; k < graph.done.size(); ++k) {
        kernels_.later(last, end_of(graph.done[k]), lot.count, back);
        last = back;
    }
    kernels_.settle(last, lot.count, back);
    std::size_t next = 1;
    for (const Index since : {graph.detection, graph.declaration})
        if (since >= 0) kernels_.between(end_of(since), back, lot.count, out[next++].at);
}

void Trials::come_late() {
    if (!short_of_room_) return;
    const auto lacking = room_->lacking();
    for (const Index s : affected_)
        for (std::size_t k = 0; k < lacking.size(); ++k) all_.ends[at(s)].at[lacking[k]] = late_.ends[at(s)].at[k];
}

void Trials::spent(Index s, double* out) {
    std::copy_n(times_of(s), block, out);
    if (!short_of_room_ || wait_at_[at(s)] < 0) return;
    const auto lacking = room_->lacking();
    for (std::size_t k = 0; k < lacking.size(); ++k) out[lacking[k]] += waits_[at(wait_at_[at(s)])].at[k];
}

}  // namespace surgetank::recovery
