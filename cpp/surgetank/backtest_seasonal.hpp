// Stem `backtest`, a forecast: how high will a failover's peak be while the quota that is asked for now applies?
//
// Method. By whole days. The level is the exponentially weighted logarithm of the daily 90 % quantile of demand, quick
// up and slow down, surprises clipped. The season is a weekday's daily maximum beside those of the week around it,
// shrunk to what stands out of its own noise (empirical Bayes: no season, no profile). Half of what changed over the
// same days a year ago is expected again. What a forecast of this kind was worth is learnt from the past: the ratios of
// the peaks that came to what was forecast for their day, in a histogram on a logarithmic scale that forgets; its
// quantile is what the forecast is multiplied by.
//   level + max of season over the days from when the quota applies until the next may, a failover longer
// Sources: C. C. Holt, "Forecasting seasonals and trends by exponentially weighted moving averages", 1957; H. Robbins,
// "An empirical Bayes approach to statistics", 1956; V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a
// Random World", 2005 (errors of the past as the measure of the next: conformal prediction). Cost: O(T) a series for
// the ratios and the daily quantiles, O(bins) a day; memory a year of levels and the histogram.
#pragma once

#include <span>
#include <vector>

#include "surgetank/core.hpp"

namespace surgetank::backtest {

struct Seasonal {
    double quantile = 0.98;       // of the ratios: how many of the peaks it is to cover
    double level_quantile = 0.9;  // of a day's demand
    double up_d = 1, down_d = 5;  // half-lives of the level, in days
    double clip = 3;              // surprises beyond so many times the usual one count as that
    double seasons = 26;          // weeks that the profile remembers
    double half_life_d = 180;     // of the ratios
    double annual = 0.5;          // the share of last year's change that is expected again
};

/// Throws InvalidInput for a quantile outside [0, 1], a half-life, clip or memory that is not positive, annual outside
/// [0, 1].
void check(const Seasonal& options);

/// What a forecast is for, in samples: decisions at first, first + every, …, each for the time from `lead` + 1 samples
/// later until the next request could apply, `horizon` samples, and a failover of `length` samples that begins then.
struct Ahead {
    Index day = 1;  // samples; a day ends at the first decision
    Index first = 0, every = 1, lead = 0, horizon = 1, length = 1;
};

/// The statistic at each decision; out: as many as there are decisions. demand and peak: as in backtest_demand.hpp, NaN
/// where not known. Before the first whole day, and where none was half observed, the highest demand so far; NaN where
/// there was none.
class Forecaster {
public:
    void operator()(std::span<const double> demand, std::span<const double> peak, const Seasonal& options,
                    const Ahead& ahead, std::span<double> out);

private:
    std::vector<double> levels_, day_, bases_, bins_;
};

}  // namespace surgetank::backtest
