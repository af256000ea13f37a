// What the native tests of the quantile rule share: one call with everything at its default.
#pragma once

#include <vector>

#include "quotas.hpp"
#include "surgetank/headroom_quantile.hpp"

namespace surgetank {

/// One quota in as many Regions as there are columns, hourly samples, no growth; a test changes what it is about.
struct Call {
    Eigen::ArrayXXd usage;
    Clock clock{.step_s = 3600};
    Quotas quotas;
    std::vector<Event> events = {};
    QuantileOptions options = {};

    explicit Call(Eigen::ArrayXXd samples, double quota = 1000)
        : usage(std::move(samples)), quotas(plain_quotas(usage.cols(), quota)) {
        for (Index i = 0; i < usage.cols(); ++i) quotas.region(i) = i;
        options.growth = 1;
    }

    QuantileHeadroom operator()(const Poll& poll = no_poll) const {
        return quantile_headroom(usage, clock, quotas, events, options, poll);
    }
};

/// Two days of constant usage, a value per Region.
inline Call constant(const std::vector<double>& levels, double quota = 1000, Index samples = 48) {
    const Eigen::Map<const Eigen::ArrayXd> row(levels.data(), static_cast<Index>(levels.size()));
    return Call(row.transpose().replicate(samples, 1), quota);
}

/// Region `from` fails, `weight` of its load lands on `to`.
inline Event fails(Index from, Index to, double weight = 1) { return {day_s, {from}, {{from, to, weight}}}; }

/// Quota i in event e (0: nothing fails).
inline const EventNeed& at(const QuantileHeadroom& h, Index i, std::size_t e) {
    return h.events[static_cast<std::size_t>(i) * (h.joint.size() + 1) + e];
}

}  // namespace surgetank
