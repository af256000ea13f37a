#include "surgetank/recovery_room.hpp"

#include <algorithm>
#include <cmath>

namespace surgetank::recovery {
namespace {

using sampling::longest_s;
using sampling::never;
using sampling::Purpose;
using sampling::Size;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

Room::Room(const RecoveryCapacity& capacity, const RecoveryGraph& graph, std::uint64_t seed)
    : capacity_(capacity), moment_stream_(stream(seed, "moment of history", Purpose::moment)) {
    const auto quotas = capacity.quotas().size();
    asked_.resize(quotas), asks_.resize(quotas), asking_.resize(quotas), leads_.resize(quotas);
    for (const auto& quota : capacity.quotas()) {
        lead_streams_.push_back(stream(seed, quota, Purpose::lead));
        denial_streams_.push_back(stream(seed, quota, Purpose::denial));
    }
    std::vector<Index> needed_by(quotas, 0);
    for (const auto& step : graph.steps) {
        if (step.coupling < 0) continue;
        for (const Index q : capacity.ever_lacking(at(step.coupling))) shared_ = shared_ || ++needed_by[at(q)] > 1;
    }
}

void Room::draw(const sampling::Kernels& kernels, std::uint64_t first_group) {
    const std::uint64_t moments = capacity_.moments();
    kernels.words(moment_stream_, first_group, block, words_);
    for (Size i = 0; i < block; ++i) moments_[i] = sampling::index_below(words_[i], moments);
    Size count = 0;
    for (Size i = 0; i < block; ++i) {
        lacking_[count] = static_cast<std::int32_t>(i);
        count += lacks(i);
    }
    count_ = count;
    if (count_ == 0) return;
    for (auto& trials : asked_) trials.clear();
    for (Size k = 0; k < count_; ++k)
        for (std::size_t c = 0; c < capacity_.couplings(); ++c)
            for (const Index q : capacity_.lacking(c, moments_[lacking_[k]])) {
                auto& trials = asked_[at(q)];  // two couplings may name the same quota
                if (trials.empty() || trials.back() != k) trials.push_back(static_cast<std::int32_t>(k));
            }
    std::int32_t chosen[block];
    Times leads;
    const std::uint64_t denial = capacity_.denial();
    for (std::size_t q = 0; q < asked_.size(); ++q) {
        const auto n = static_cast<Size>(asked_[q].size());
        for (Size j = 0; j < n; ++j) chosen[j] = lacking_[asked_[q][at(j)]];
        capacity_.lead().draw_some(kernels, lead_streams_[q], first_group, {chosen, at(n)}, leads.at);
        if (denial > 0) sampling::some_words(kernels, denial_streams_[q], first_group, {chosen, at(n)}, words_);
        for (Size j = 0; j < n; ++j)
            leads_[q].at[asked_[q][at(j)]] = denial > 0 && words_[j] < denial ? never : leads.at[j];
    }
    for (Times& asks : asks_) std::fill_n(asks.at, count_, never);
}

void Room::begin() {
    for (Times& asking : asking_) std::fill_n(asking.at, count_, never);
}

void Room::wait(Index coupling, const double* start, double* waits) {
    for (Size k = 0; k < count_; ++k) {
        const double begins = start == nullptr ? 0 : start[k];
        waits[k] = 0;
        if (begins < 0 || !(begins < longest_s)) continue;
        for (const Index quota : capacity_.lacking(at(coupling), moments_[lacking_[k]])) {
            const std::size_t q = at(quota);
            asking_[q].at[k] = std::min(asking_[q].at[k], begins);
            waits[k] = std::max(waits[k], std::min(asks_[q].at[k], begins) + leads_[q].at[k] - begins);
        }
    }
}

// An increase is asked for once, when the first step that needs it begins. Which step that is can depend on what the
// others wait for: so it is tried until nobody asks earlier.
bool Room::end() {
    bool earlier = false;
    for (std::size_t q = 0; q < asked_.size(); ++q)
        for (const std::int32_t k : asked_[q]) {
            earlier = earlier || asking_[q].at[k] < asks_[q].at[k];
            asks_[q].at[k] = asking_[q].at[k];
        }
    if (earlier && shared_) return true;
    finish();
    return false;
}

void Room::finish() {
    Times last;
    std::fill_n(last_quota_, count_, -1);
    for (std::size_t q = 0; q < asked_.size(); ++q) {
        std::erase_if(asked_[q], [&](std::int32_t k) { return !(asks_[q].at[k] < longest_s); });  // nobody asked
        for (const std::int32_t k : asked_[q]) {
            const double applies = asks_[q].at[k] + leads_[q].at[k];
            if (last_quota_[k] < 0 || applies > last.at[k])
                last.at[k] = applies, last_quota_[k] = static_cast<std::int32_t>(q);
        }
    }
}

}  // namespace surgetank::recovery
