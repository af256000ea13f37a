// Stem `headroom`, groups: the same quota in different Regions, what events do to it, and its series side by side.
#pragma once

#include <span>
#include <vector>

#include "surgetank/headroom_quantile.hpp"

namespace surgetank::headroom {

/// Throws InvalidInput for what quantile_headroom refuses of events.
void check_events(const Quotas& quotas, const std::vector<Event>& events);

/// Quotas by group, in the order of their first column. Throws InvalidInput for a Region twice in a group.
std::vector<std::vector<Index>> grouped(const Quotas& quotas);

/// Contiguous series of the columns asked for: in place where they are, else gathered a cache line a row.
class Gathered {
public:
    /// As many columns as are worth gathering together where series are not contiguous.
    static constexpr std::size_t lanes = 32;

    explicit Gathered(const Samples& usage) : usage_(usage) {}
    /// Valid until the next call.
    std::vector<std::span<const double>> operator()(const std::vector<Index>& columns);

private:
    const Samples& usage_;
    std::vector<double> buffer_;
};

}  // namespace surgetank::headroom
