// Stem `headroom`, growth: by how much a demand may have grown before an increase applies.
//
// Method. The upper 90 % limit of the Theil–Sen slope of demand's daily maxima, over lead time and review; never a
// prediction band of the samples. Source: that of series::theil_sen. Cost: O(T + days²).
#pragma once

#include <span>

#include "surgetank/headroom_quantile.hpp"

namespace surgetank::headroom {

struct Growth {
    double factor = 1, low = 1;  // need × factor; the lower end of the interval × low
    double per_s = 0;            // share of the level that is added a second
    double slope_per_day = 0, days = 0, daily_median = nan;
};

/// demand: −inf where not observed; gaps: whether there is such a sample. A fixed options.growth is taken as it is.
Growth growth_of(std::span<const double> demand, bool gaps, double step_s, const QuantileOptions& options);

}  // namespace surgetank::headroom
