// What is counted of the trials; all of it integers, or extremes.
#include <algorithm>
#include <cmath>

#include "surgetank/recovery.hpp"

namespace surgetank {
namespace {

constexpr double high_unit = 0x1p20;

template <class Values>
void add_each(Values& to, const Values& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

void add_each(std::vector<TimeCounts>& to, const std::vector<TimeCounts>& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i].add(from[i]);
}

}  // namespace

void TimeCounts::add(const sampling::Kernels& kernels, const double* at, sampling::Size n,
                     const std::vector<double>& targets) {
    sampling::BlockSums sums;
    kernels.sums(at, n, sums);
    finite += static_cast<std::uint64_t>(sums.finite);
    sum += static_cast<std::uint64_t>(sums.sum);
    // high may be followed by a negative low: the whole is not negative.
    squares +=
        static_cast<Wide>((static_cast<WideSigned>(sums.high_high) << 40) +
                          (static_cast<WideSigned>(sums.high_low) << 21) + static_cast<WideSigned>(sums.low_low));
    if (sums.finite > 0) least = std::min(least, sums.least), most = std::max(most, sums.most);
    for (std::size_t k = 0; k < targets.size(); ++k)
        within[k] += static_cast<std::uint64_t>(kernels.within(at, n, targets[k]));
    kernels.count(at, n, histogram.data());
}

void TimeCounts::add(const TimeCounts& other) {
    finite += other.finite, sum += other.sum, squares += other.squares;
    least = std::min(least, other.least), most = std::max(most, other.most);
    add_each(within, other.within);
    add_each(histogram, other.histogram);
}

RecoveryCounts::RecoveryCounts(const RecoveryGraph& graph, const RecoveryCapacity* capacity, const RecoveryRun& run) {
    const auto clock_count =
        1 + static_cast<std::size_t>(graph.detection >= 0) + static_cast<std::size_t>(graph.declaration >= 0);
    clocks.assign(clock_count, TimeCounts(run.targets.size()));
    if (!graph.stores.empty()) points.assign(graph.stores.size() + 1, TimeCounts(run.point_targets.size()));
    met.assign(clock_count * run.targets.size() * run.point_targets.size(), 0);
    for (auto* per_step : {&critical, &ran, &ran_ended, &critical_quanta, &ran_quanta})
        per_step->assign(graph.steps.size(), 0);
    if (capacity == nullptr) return;
    ready.assign(clock_count, TimeCounts(run.targets.size()));
    fits_within.assign(clock_count * run.targets.size(), 0);
    lacking.assign(capacity->quotas().size(), 0), last.assign(capacity->quotas().size(), 0);
    served.assign(sampling::bins + 1, 0);
}

void RecoveryCounts::add(const RecoveryCounts& other) {
    trials += other.trials, fits += other.fits, paths += other.paths;
    add_each(clocks, other.clocks);
    add_each(points, other.points);
    add_each(ready, other.ready);
    add_each(met, other.met);
    add_each(fits_within, other.fits_within);
    add_each(lacking, other.lacking);
    add_each(last, other.last);
    add_each(served, other.served);
    add_each(critical, other.critical);
    add_each(ran, other.ran);
    add_each(ran_ended, other.ran_ended);
    add_each(critical_quanta, other.critical_quanta);
    add_each(ran_quanta, other.ran_quanta);
}

}  // namespace surgetank
