// Stem `allocation`, in the event: a Region has failed; who takes how much of its load, now?
//
// No Region gives away more than room_cap of what it has free, none takes more than share_cap of the need, and shares
// are proportional to usable room × preference; what a full Region cannot take goes to the others in the same
// proportion, until the need is met or nothing is left (water filling). Amounts are whole multiples of the need's last
// binary digit, so that they sum to min(need, what there is) exactly, in any order. Cost: O(R·log R) a service.
#pragma once

#include "surgetank/core.hpp"

namespace surgetank {

struct ProportionalOptions {
    double share_cap = 1.0;  // of the need, the most one Region takes
    double room_cap = 0.8;   // of a Region's free headroom, the most that is given away
};

void check(const ProportionalOptions& options);

struct Shared {
    Eigen::ArrayXXd taken;     // (S, R)
    Eigen::ArrayXd shortfall;  // (S) need − Σ taken, exactly
};

/// need (S) ≥ 0; free and preference (S, R) ≥ 0, free 0 where a Region has failed; preference 0: never.
/// Throws InvalidInput for anything else.
Shared share_out(const Column& need, const Samples& free, const Samples& preference,
                 const ProportionalOptions& options = {});

}  // namespace surgetank
