// Stem `backtest`, the part that is compiled once for each instruction set: where a statistic leaves its bounds, and
// what a quota that stands still for a while is worth. The rules of lanes.hpp hold: no Eigen, no std templates, nothing
// shared between levels, the same operations in the same order everywhere; so every level gives the same bits.
//
// Sums are kept in lanes, sample t in lane t mod 8 (sum) or t mod 16 (excess) whatever the width of a register, so that
// an excess that goes on where another stopped is, bit for bit, that over both stretches at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace surgetank {

enum class Level;  // cpu.hpp

namespace backtest {

using Size = std::ptrdiff_t;
inline constexpr Size in_block = 64;  // samples that are passed over at once where their maximum says so

/// Values over time with the maximum of every block of them, −inf for a block of NaN alone; as many values as whole
/// blocks have (NaN beyond the last), as many maxima as whole blocks of maxima have (−inf beyond the last).
struct Track {
    const double* value = nullptr;
    const double* top = nullptr;
    Size size = 0;  // values that count
};

/// The days that samples lie in.
struct Days {
    const std::int32_t* end = nullptr;    // by sample, the first of another day
    const std::uint64_t* last = nullptr;  // a bit for each sample of a block: is it its day's last?
};

/// What a series' samples above its quota add up to.
struct alignas(64) Excess {
    double sum[16];
    double most[8];  // the largest of them is the maximum; in which lane says nothing
    Size count;
    Size days;              // different days among them …
    std::int32_t last_day;  // … of which this was the last, by its end; −1: none yet
    double* each;           // where to put every single excess, room for all samples; null: nowhere
};

struct Kernels {
    /// Writes the maxima of the blocks of n values, NaN left out, and of −value unless `bottom` is null. `value` and
    /// `top` as in Track: what lies beyond is filled.
    void (*tops)(double* value, Size n, double* top, double* bottom);
    /// The first of the values at from … end − 1 that is above `high`; end where there is none.
    Size (*above)(const Track& track, Size from, Size end, double high);
    /// The first that is above `high`, or below `low`.
    Size (*outside)(const Track& track, const double* bottom, Size from, Size end, double high, double low);
    /// Σ of the values at from … end − 1, NaN left out.
    double (*sum)(const double* value, Size from, Size end);
    /// Adds value − quota of every sample at from … end − 1 that is above it.
    void (*excess)(const Track& track, const Days& days, Size from, Size end, double quota, Excess& out);
};

const Kernels* kernels(Level level);
const Kernels& kernels();

}  // namespace backtest
}  // namespace surgetank
