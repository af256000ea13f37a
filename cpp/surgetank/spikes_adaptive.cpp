#include "surgetank/spikes_adaptive.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

namespace surgetank {

void check(const AdaptiveOptions& options) {
    require(std::isfinite(options.threshold) && options.threshold > 0, "threshold", "must be a positive finite number",
            options.threshold);
    require(std::isfinite(options.step_s) && options.step_s > 0, "step_s", "must be a positive number of seconds",
            options.step_s);
}

namespace spikes {
namespace {

// Samples of 300 s, of which the durations below are made.
constexpr double level_tau = 6000, recent_tau = 1000, hour = 12, two_hours = 24, day = 288, quarter = 3;
constexpr double habituation_half = 4000, quiet = 120;
constexpr double habituation_start = 0.3, habituation_step = 0.5, least_quiet = 3, escalation = 0.5;
// Decades a bin beyond the record, decades at most, and samples that are only learnt from.
constexpr double decade = 0.30102999566398119521, beyond_record = 6 * decade / 4, most_decades = 15;
constexpr std::int64_t warm_up = 50;
constexpr double most_z = 1023, most_learnt_z = 50, rounding = 0x1p-40, most_size = 0x1p900;

double scale(double step_s) { return 300 / std::clamp(step_s, 1.0, 86400.0); }
Index samples(double of_300_s, double step_s) {
    return std::max<Index>(1, static_cast<Index>(std::floor(of_300_s * scale(step_s) + 0.5)));
}

// log₂ of a positive normal number from additions and multiplications alone, to 1e-15: the C library's differs between
// machines in the last bit, and a score may decide a flag. No branch, no division: a table and a short series.
class Log2 {
public:
    Log2() {
        for (std::size_t i = 0; i < places; ++i) {
            const double c = 1 + static_cast<double>(i) / places, s = (c - 1) / (c + 1), z = s * s;
            double sum = 0;
            for (int k = 39; k > 0; k -= 2) sum = sum * z + 1.0 / k;
            at_[i] = {1 / c, 2 * std::numbers::log2e * s * sum};
        }
    }
    double operator()(double x) const {
        const auto bits = std::bit_cast<std::uint64_t>(x);
        const auto& [inverse, log2] = at_[bits >> 44 & (places - 1)];
        const double r = std::bit_cast<double>((bits & 0xfffffffffffffu) | 0x3ff0000000000000u) * inverse - 1;
        const double square = r * r;  // two short chains rather than one long one
        const double series = (1 - r * 0.5) + square * ((1. / 3 - r * 0.25) + square * (1. / 5 - r * (1. / 6)));
        return static_cast<double>(static_cast<std::int64_t>(bits >> 52) - 1023) +
               (log2 + std::numbers::log2e * r * series);
    }

private:
    static constexpr std::size_t places = 256;
    struct Place {
        double inverse, log2;
    };
    std::array<Place, places> at_;
};
const Log2 log2_of;

}  // namespace

double WindowMean::add(double x) {
    const auto k = static_cast<std::int64_t>(at.size());
    prefix += x;
    const bool last = place + 1 == k;
    const double rest = full && !last ? at[static_cast<std::size_t>(place) + 1] : 0;
    const double mean = (prefix + rest) / static_cast<double>(full ? k : place + 1);
    at[static_cast<std::size_t>(place)] = x;
    ++place;
    if (last) {
        for (auto j = at.size() - 1; j > 0; --j) at[j - 1] += at[j];
        place = 0;
        prefix = 0;
        full = true;
    }
    return mean;
}

double Rarity::add(double deviation, bool wanted) {
    if (std::isnan(deviation)) return 0;
    const std::int64_t before = total++;
    const double size = std::abs(deviation);
    if (!(size > 0)) {
        for (auto& bin : record) bin = std::max(bin, 0);
        return 0;
    }
    if (unit == 0) unit = size;
    while (size / unit * 1.1 >= 0x1p40) raise();
    // The bin is the exponent and two bits of the mantissa; 1.1 keeps common ratios (1, 1.25, 1.5, 2) off the edges.
    const auto place = static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(size / unit * 1.1) >> 50) - (1023 << 2);
    const auto bin = static_cast<int>(std::clamp<std::int64_t>(place + half, 0, 2 * half)) + 1;
    const std::size_t side = deviation > 0 ? 0 : 1;
    std::int32_t* const own = counts[side].data();
    double rarity = 0;
    if (wanted && before >= warm_up) {
        std::int32_t as_large = own[bin];
        for (int level = 0, from = 0; level < levels; from += most >> level++) {
            const int at = bin >> level;  // what lies to the right of it within its pair
            as_large += own[from + (at | 1)] & ((at & 1) - 1);
        }
        rarity = (log2_of(static_cast<double>(total)) - log2_of(static_cast<double>(as_large) + 1)) * decade;
        if (bin > record[side]) rarity += beyond_record * (bin - record[side]);
        rarity = std::min(rarity, most_decades);
    }
    for (int level = 0, from = 0; level < levels; from += most >> level++) ++own[from + (bin >> level)];
    record[side] = std::max(record[side], bin);
    record[1 - side] = std::max(record[1 - side], 0);
    return rarity;
}

void Rarity::raise() {
    constexpr int up = half;
    unit *= 0x1p40;
    for (auto& side : counts) {
        for (int bin = 1; bin <= bins; ++bin) {
            const int count = std::exchange(side[static_cast<std::size_t>(bin)], 0);
            side[static_cast<std::size_t>(std::max(bin - up, 1))] += count;
        }
        count_anew(side);
    }
    for (std::int32_t& bin : record)
        if (bin > 0) bin = std::max(bin - up, 1);
}

void Rarity::count_anew(std::array<std::int32_t, 2 * most>& side) {
    // Unsigned, because numbers from outside may overflow.
    for (int level = 1, from = 0; level < levels; ++level) {
        const int finer = from;
        from += most >> (level - 1);
        for (int i = 0; i < most >> level; ++i)
            side[static_cast<std::size_t>(from + i)] = static_cast<std::int32_t>(
                static_cast<std::uint32_t>(side[static_cast<std::size_t>(finer + 2 * i)]) +
                static_cast<std::uint32_t>(side[static_cast<std::size_t>(finer + 2 * i + 1)]));
    }
}

Adaptive::Adaptive(const AdaptiveOptions& options)
    : threshold_(options.threshold),
      decay_(std::exp2(-1 / (habituation_half * scale(options.step_s)))),
      quiet_(std::max(least_quiet, quiet * scale(options.step_s))),
      both_(options.both),
      level_(std::max(1.0, level_tau * scale(options.step_s))),
      movement_(level_),
      recent_(std::max(1.0, recent_tau * scale(options.step_s))),
      spread_(recent_),
      hour_(samples(hour, options.step_s)),
      two_hours_(samples(two_hours, options.step_s)),
      day_(samples(day, options.step_s)),
      moved_(samples(two_hours, options.step_s)),
      surprise_(samples(quarter, options.step_s)),
      delay_(static_cast<std::size_t>(samples(two_hours, options.step_s))),
      profile_(static_cast<std::size_t>(samples(day, options.step_s))),
      visits_(profile_.size()),
      habituation_(habituation_start),
      since_(std::int64_t{1} << 40) {}

// Every baseline is read before it hears of x.
void Adaptive::measure(double whole, double x, double (&d)[deviations]) {
    const bool first = level_.empty();
    const double hour = hour_.add(x), lately = two_hours_.add(x);
    d[0] = first ? 0 : whole - level_.mean;
    d[1] = first ? 0 : hour - level_.mean;
    level_.add(x);

    auto& oldest = delay_[static_cast<std::size_t>(delayed_)];
    if (++delayed_ == static_cast<std::int64_t>(delay_.size())) delayed_ = 0;
    d[2] = observed_ >= static_cast<std::int64_t>(delay_.size()) ? lately - day_.add(oldest) : nan;
    oldest = x;

    const double movement = first ? 0 : std::abs(x - before_), moved = moved_.add(movement);
    d[3] = 0;
    if (movement_.mean > 0) {  // a ratio, made symmetric: twice as much is 1, half as much −1
        const double ratio = (moved + 0.001 * movement_.mean) / (1.001 * movement_.mean);
        d[3] = ratio >= 1 ? ratio - 1 : 1 - 1 / ratio;
    }
    movement_.add(movement);
    before_ = x;

    const auto slot = static_cast<std::size_t>(slot_);
    d[4] = nan;
    if (visits_[slot] == 0) {
        profile_[slot] = x;
    } else {
        const double unexpected = x - profile_[slot];
        profile_[slot] += std::max(0.3, 1 / (visits_[slot] + 1.0)) * unexpected;
        d[4] = surprise_.add(unexpected);
    }
    if (visits_[slot] < 4) ++visits_[slot];  // beyond, the weight is 0.3

    // What rounding leaves is no deviation.
    const double noise = rounding * std::max(std::abs(x), std::abs(level_.mean));
    for (const int j : {0, 1, 2, 4})
        if (std::abs(d[j]) <= noise) d[j] = 0;
    if (std::abs(d[3]) <= rounding) d[3] = 0;
}

void Adaptive::next_slot() {
    if (++slot_ == static_cast<std::int64_t>(profile_.size())) slot_ = 0;
}

// How many standard deviations x lies from the mean of the last days, at most most_z; 0 below it where only upward
// spikes are looked for, because a drop is much movement, too.
double Adaptive::effect(double x) {
    double z = 0;
    if (!recent_.empty()) {
        double off = x - recent_.mean;
        // Squares are kept in a unit, a power of two near the residuals, so that they neither overflow nor vanish.
        if (off != 0 && (spread_.mean == 0 || std::abs(off) * unit_ > 0x1p300)) {
            const double unit = std::ldexp(1.0, -std::clamp(std::ilogb(off), -1000, 1000));
            if (spread_.mean > 0) spread_.mean *= (unit / unit_) * (unit / unit_);
            unit_ = unit;
        }
        off *= unit_;
        if (!spread_.empty()) {
            if (spread_.mean > 0) z = std::min(std::abs(off) / std::sqrt(spread_.mean), most_z);
            else if (off != 0) z = most_z;
            if (!both_ && off < 0) z = 0;
        }
        spread_.add(off * off);
    }
    recent_.add(x);
    return z;
}

Judgement Adaptive::add(double x) {
    Judgement out;
    ++since_;
    if (std::isnan(x)) {
        next_slot();
        // What was unusual an hour ago says nothing of what comes after the gap.
        if (++missing_ == static_cast<std::int64_t>(hour_.at.size())) {
            last_rarity_ = 0;
            bar_ = inf;
        }
        return out;
    }
    missing_ = 0;
    if (recent_.mean != 0) out.ratio = x / recent_.mean;
    double u = std::clamp(x, -most_size, most_size);  // sums and differences stay within double
    // What lies beyond 50 standard deviations is learnt as such: one sample must not outweigh weeks.
    const double whole = u;
    if (observed_ >= warm_up && spread_.mean > 0) {
        const double reach = most_learnt_z * std::sqrt(spread_.mean) / unit_;
        u = std::clamp(u, recent_.mean - reach, recent_.mean + reach);
    }
    double d[deviations];
    measure(whole, u, d);
    next_slot();
    const double z = effect(u);

    double sum = 0;
    for (std::size_t j = 0; j < deviations; ++j) {
        const double rarity = rarities_[j].add(d[j], both_ || d[j] > 0);
        sum += rarity * rarity;
    }
    const bool knows_a_day = observed_++ >= static_cast<std::int64_t>(profile_.size());
    const double rare = std::sqrt(sum / deviations) * std::sqrt(log2_of(1 + z) / 2);
    const double smooth = 0.4 * rare + 0.6 * last_rarity_;
    last_rarity_ = rare;
    habituation_ *= decay_;
    out.score = smooth - habituation_;
    out.likelihood = smooth;  // made a probability where it is asked for
    const bool due = static_cast<double>(since_) > quiet_ || (bar_ == inf && smooth >= top_ + escalation);
    const bool begins = out.score >= threshold_ && due;
    if (begins) {
        bar_ = std::min(smooth, smooth - out.score + threshold_);
        top_ = smooth;
        habituation_ += habituation_step;
        since_ = 0;
    } else if (smooth < bar_) {
        bar_ = inf;
    }
    if (smooth >= bar_) top_ = std::max(top_, smooth);
    out.flag = smooth >= bar_ && knows_a_day;
    return out;
}

namespace {

bool within(std::int64_t place, std::size_t size) { return place >= 0 && place < static_cast<std::int64_t>(size); }
// Counts that no series reaches: one more may still be added.
bool countable(std::int64_t count) { return count >= 0 && count < std::int64_t{1} << 62; }

}  // namespace

bool Adaptive::restored() {
    bool sound = within(delayed_, delay_.size()) && within(slot_, profile_.size()) && countable(observed_) &&
                 countable(since_) && countable(missing_);
    for (const LongMean* mean : {&level_, &movement_, &recent_, &spread_}) sound = sound && countable(mean->count);
    for (const WindowMean* window : {&hour_, &two_hours_, &day_, &moved_, &surprise_})
        sound = sound && within(window->place, window->at.size());
    for (Rarity& rarity : rarities_) {
        sound = sound && countable(rarity.total);
        for (const std::int32_t bin : rarity.record) sound = sound && bin >= -1 && bin <= Rarity::bins;
        for (auto& side : rarity.counts) {
            std::int64_t total = 0;
            for (int i = 0; i <= Rarity::bins; ++i) {
                const std::int32_t count = side[static_cast<std::size_t>(i)];
                sound = sound && count >= 0;
                total += count;
            }
            sound = sound && within(total, std::size_t{1} << 30);  // an int32 away from any overflow
            rarity.count_anew(side);
        }
    }
    return sound;
}

}  // namespace spikes

}  // namespace surgetank
