// What the native headroom tests share: quotas with everything at its default; a test changes what it is about.
#pragma once

#include "surgetank/headroom.hpp"

namespace surgetank {

/// n quotas of one group: all free of charge, adjustable, judged at .70 and .85, all in Region 0.
inline Quotas plain_quotas(Index n, double quota) {
    Quotas quotas;
    quotas.quota.setConstant(n, quota);
    quotas.cost_per_unit.setZero(n);
    quotas.warning_frac.setConstant(n, 0.70);
    quotas.critical_frac.setConstant(n, 0.85);
    quotas.adjustable.setConstant(n, true);
    quotas.region.setZero(n);
    quotas.group.setZero(n);
    return quotas;
}

}  // namespace surgetank
