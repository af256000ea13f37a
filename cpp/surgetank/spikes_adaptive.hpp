// Stem `spikes`, the recommended detector: a sample is a spike when it, or what just happened, is rare in the series'
// own history and large beside its usual spread, and the series has not been crying wolf.
//
// Method. Five deviations of each sample from what was there before it: from the long mean; of the last hour from the
// long mean; of the last two hours from the day that ended two hours ago; of the last two hours' movement from the
// usual movement; of the last quarter of an hour from this time of day. Each is ranked within its own history, by sign,
// in log-spaced bins: s = −log₁₀ of the share of earlier deviations at least as large, and more beyond the record; 0
// until there are 50 of them. F = √mean(s²) · √(log₂(1 + z)/2), z the distance from the mean of the last days in
// standard deviations; G = 0.4 F now + 0.6 F before. For upward spikes alone, downward deviations have s = 0, and
// samples below that mean z = 0. Of a sample beyond 50 standard deviations only so much is learnt (and makes z), so
// that one cannot outweigh weeks.
//
// A spike begins where G − h ≥ threshold, at the earliest ten hours (and three samples) after the last one, unless it
// is half a decade rarer than that; it lasts until G falls below what it had to reach. h (habituation) begins at 0.3,
// is raised by 0.5 by every spike, and halves in two weeks. Spikes of the first day are learnt from, and not told.
//
// Durations are for 5-minute samples, and scale to any step. A missing sample is not learnt from, and ends an
// episode; the time of day and the wait after a spike go on. After an hour of them, G forgets the sample before.
// Parameters were chosen by cross-validation over files (bench/README.md).
//
// Sources: ranks in one's own past as evidence are conformal prediction (V. Vovk, A. Gammerman, G. Shafer, "Algorithmic
// Learning in a Random World", 2005); the data and the score are A. Lavin and S. Ahmad, "Evaluating real-time anomaly
// detection algorithms: the Numenta Anomaly Benchmark", 2015. The rule itself is ours.
//
// Cost: O(log bins) a sample. Memory: about 50 KB a series at 5 minutes, the samples of a day included.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "surgetank/spikes.hpp"

namespace surgetank {

struct AdaptiveOptions {
    double threshold = 1.45;  // decades of rarity: lower finds more, and cries wolf more
    bool both = true;         // false: upward spikes alone
    double step_s = 300;      // seconds between samples
};

/// Throws InvalidInput for a threshold or a step that is not a positive finite number. (Steps below 1 s or above 1 d
/// are read as those.)
void check(const AdaptiveOptions& options);

namespace spikes {

/// Mean of all samples for a start, then exponentially weighted.
struct LongMean {
    explicit LongMean(double samples) : tau(samples), least(1 / samples) {}
    void add(double x) {
        const double weight =
            static_cast<double>(count) < tau ? std::max(least, 1 / static_cast<double>(++count)) : least;
        mean += weight * (x - mean);
    }
    bool empty() const { return count == 0; }

    double tau, least;
    double mean = 0;
    std::int64_t count = 0;  // no further than tau
};

/// Mean of the last k samples (of fewer at the start). Sums are made anew block by block (van Herk's way), never
/// subtracted from: what has left leaves no residue.
struct WindowMean {
    explicit WindowMean(Index k) : at(static_cast<std::size_t>(k)) {}
    double add(double x);

    std::vector<double> at;  // up to `place`: this block's samples; beyond: sums of the last block's, from there on
    std::int64_t place = 0;
    double prefix = 0;  // sum of this block
    bool full = false;  // has there been a block before?
};

/// How rare is a deviation of this size and sign among all before it? In decades.
struct Rarity {
    static constexpr int half = 160, bins = 2 * half + 1;  // four bins an octave, 40 octaves either side of the first
    static constexpr int levels = 9, most = 1 << levels;
    /// NaN: there is none yet. `wanted`: else it is learnt from, and scored 0.
    double add(double deviation, bool wanted);
    void raise();  // the bins, by 40 octaves: for a deviation above them all
    static void count_anew(std::array<std::int32_t, 2 * most>& side);

    double unit = 0;  // the first deviation that is not 0
    std::int64_t total = 0;
    // Above and below: how many deviations fell in each bin, in each pair of bins, in each four…, the coarser counts
    // after the finer. Ten numbers are touched a sample, and which ones depends on no branch.
    std::array<std::array<std::int32_t, 2 * most>, 2> counts{};
    std::array<std::int32_t, 2> record{-1, -1};  // the largest bin so far
};

/// One series: everything that is kept of its past.
class Adaptive {
public:
    explicit Adaptive(const AdaptiveOptions& options);
    Judgement add(double x);

    /// Calls archive(field) for every number that changes, in a fixed order.
    template <class Archive>
    void visit(Archive&& archive);
    /// After numbers have come from outside: makes anew what follows from them; false where one leads out of an array,
    /// or a count is close to overflow.
    bool restored();

private:
    static constexpr int deviations = 5;
    void measure(double whole, double x, double (&d)[deviations]);  // x: what is learnt of the whole sample
    double effect(double x);
    void next_slot();

    double threshold_, decay_, quiet_;  // these follow from the options
    bool both_;
    LongMean level_, movement_, recent_, spread_;
    WindowMean hour_, two_hours_, day_, moved_, surprise_;
    std::vector<double> delay_;  // the samples of the last two hours
    std::int64_t delayed_ = 0;
    std::vector<double> profile_;  // by time of day
    std::vector<std::uint8_t> visits_;
    std::array<Rarity, deviations> rarities_;
    double before_ = nan, unit_ = 0, last_rarity_ = 0, habituation_, bar_ = inf, top_ = 0;
    std::int64_t slot_ = 0, observed_ = 0, missing_ = 0, since_;  // missing: since the last one observed
};

template <class Archive>
void visit_mean(Archive& archive, LongMean& mean) {
    archive(mean.mean);
    archive(mean.count);
}

template <class Archive>
void visit_window(Archive& archive, WindowMean& window) {
    for (double& x : window.at) archive(x);
    archive(window.place);
    archive(window.prefix);
    archive(window.full);
}

template <class Archive>
void Adaptive::visit(Archive&& archive) {
    for (LongMean* mean : {&level_, &movement_, &recent_, &spread_}) visit_mean(archive, *mean);
    for (WindowMean* window : {&hour_, &two_hours_, &day_, &moved_, &surprise_}) visit_window(archive, *window);
    for (double& x : delay_) archive(x);
    archive(delayed_);
    for (double& x : profile_) archive(x);
    for (std::uint8_t& visits : visits_) archive(visits);
    for (Rarity& rarity : rarities_) {
        archive(rarity.unit);
        archive(rarity.total);
        for (auto& side : rarity.counts)
            for (int bin = 0; bin <= Rarity::bins; ++bin) archive(side[static_cast<std::size_t>(bin)]);
        for (std::int32_t& bin : rarity.record) archive(bin);
    }
    for (double* x : {&before_, &unit_, &last_rarity_, &habituation_, &bar_, &top_}) archive(*x);
    for (std::int64_t* count : {&slot_, &observed_, &missing_, &since_}) archive(*count);
}

}  // namespace spikes
}  // namespace surgetank
