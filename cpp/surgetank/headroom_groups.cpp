#include "surgetank/headroom_groups.hpp"

#include <algorithm>
#include <cmath>

namespace surgetank::headroom {

void check_events(const Quotas& quotas, const std::vector<Event>& events) {
    const Index regions = quotas.region.maxCoeff() + 1;
    const auto check_region = [&](Index region) {
        require(region >= 0 && region < regions, "events", fmt::format("must name Regions below {}", regions), region);
    };
    for (const Event& event : events) {
        require(std::isfinite(event.duration_s) && event.duration_s > 0, "duration_s",
                "must be a positive number of seconds", event.duration_s);
        for (const Index region : event.failed) check_region(region);
        for (const Flow& flow : event.flows) {
            check_region(flow.from);
            check_region(flow.to);
            require(std::isfinite(flow.weight) && flow.weight >= (flow.from == flow.to ? -1 : 0), "weight",
                    "must be finite and 0 or more, or at least −1 in place", flow.weight);
            require(std::find(event.failed.begin(), event.failed.end(), flow.to) == event.failed.end(), "events",
                    "must not let a Region fail and receive load", flow.to);
        }
    }
}

std::vector<std::vector<Index>> grouped(const Quotas& quotas) {
    std::vector<std::vector<Index>> groups(static_cast<std::size_t>(quotas.group.maxCoeff()) + 1);
    for (Index i = 0; i < quotas.group.size(); ++i) groups[static_cast<std::size_t>(quotas.group(i))].push_back(i);
    std::erase_if(groups, [](const auto& members) { return members.empty(); });
    std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a.front() < b.front(); });
    std::vector<Index> seen(static_cast<std::size_t>(quotas.region.maxCoeff()) + 1, -1);
    for (std::size_t g = 0; g < groups.size(); ++g)
        for (const Index i : groups[g]) {
            Index& last = seen[static_cast<std::size_t>(quotas.region(i))];
            require(last != static_cast<Index>(g), "group", "must hold each Region once", quotas.region(i));
            last = static_cast<Index>(g);
        }
    return groups;
}

std::vector<std::span<const double>> Gathered::operator()(const std::vector<Index>& columns) {
    const Index length = usage_.rows();
    const auto samples = static_cast<std::size_t>(length);
    std::vector<std::span<const double>> out;
    const bool contiguous = usage_.innerStride() == 1 || length <= 1;
    if (!contiguous) {
        buffer_.resize(samples * columns.size());
        constexpr Index rows = 8;
        for (Index t = 0; t < length; t += rows)
            for (std::size_t j = 0; j < columns.size(); ++j)
                for (Index r = t; r < std::min(t + rows, length); ++r)
                    buffer_[j * samples + static_cast<std::size_t>(r)] = usage_(r, columns[j]);
    }
    for (std::size_t j = 0; j < columns.size(); ++j)
        out.emplace_back(contiguous ? usage_.data() + columns[j] * usage_.outerStride() : &buffer_[j * samples],
                         samples);
    return out;
}

}  // namespace surgetank::headroom
