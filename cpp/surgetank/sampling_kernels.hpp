// Kernel `sampling`, the part that is compiled once for each instruction set: random words, what is made of them, and
// the arithmetic on blocks of trials. The rules of lanes.hpp hold: no Eigen, no std templates, nothing shared between
// levels, the same operations in the same order for every trial, nothing fused; so every level gives the same bits.
//
// A stream is Philox4x32-10 (Salmon et al. 2011). Trial 64·g + 16·j + i takes word j of counter 16·g + i, so that a
// register holds neighbouring trials and nothing is shuffled. 23 of its bits make a uniform number in (0, 1), as a
// float: (k + ½)·2⁻²³ is exact, never 0 and never 1. Durations and instants are double.
#pragma once

#include <cstddef>
#include <cstdint>

namespace surgetank {

enum class Level;  // cpu.hpp

namespace sampling {

using Size = std::ptrdiff_t;
inline constexpr Size group = 64;   // trials that share a set of counters
inline constexpr Size block = 256;  // trials evaluated at a time: a whole number of groups
inline constexpr int round_count = 10;

/// One stream of random words: a word a trial.
struct Stream {
    std::uint32_t key[2];
    std::uint32_t attempt, purpose;
};

/// A quantile function as parabolas: octaves of the smaller of u and 1 − u from 2⁻²⁴ on, `cells_per_octave` in each,
/// first those below ½, then those above. A cell is a + t·(b + t·c), t in [0, 1) across it.
inline constexpr int octaves = 23, octave_bits = 5, cells_per_octave = 1 << octave_bits;
inline constexpr int side_cells = octaves * cells_per_octave;
struct Table {
    alignas(64) float a[2 * side_cells], b[2 * side_cells], c[2 * side_cells];
    float least, most;  // what rounding may not leave
};

/// A triangular distribution: with x = 2²³·u, below `mode` it is low + √(x·rising), else high − √((2²³ − x)·falling).
struct Triangle {
    float mode, rising, falling, low, high;
};

/// The same over a standard normal z, in cells of equal width over ±z_most.
inline constexpr int z_cells = 1024;
inline constexpr float z_most = 6.5f;
struct TableOfZ {
    alignas(64) float a[z_cells], b[z_cells], c[z_cells];
    float least, most;
};

/// Instants are counted up to here; beyond, a trial never ends.
inline constexpr double longest_s = 0x1p30;
/// What never happens, and what is skipped: below 0, whatever is added to it. Finite, so that their sum is a number.
inline constexpr double never = 1e300, skipped = -1e306;
/// Sums are exact because instants are rounded to this part of a second for them.
inline constexpr double quanta_per_s = 1024;

/// What a block of instants adds up to; every sum is exact in double for `block` trials or fewer.
struct BlockSums {
    double finite;                        // how many are below longest_s
    double sum;                           // Σ y, y in quanta
    double high_high, high_low, low_low;  // Σ y² with y = 2²⁰·high + low
    double least, most;                   // of the finite, in seconds; meaningless where there is none
};

/// What a block of trials says of one step: in how many it ran, in how many of those it ended and what it took then, in
/// quanta; and the same of those in which it was on the path that decided. Exact.
struct PathSums {
    double ran, ran_ended, ran_quanta, critical, critical_quanta;
};

/// A histogram on a logarithmic scale: bin 0 up to 2⁻¹⁰ s, then bins_per_octave in every octave up to longest_s.
inline constexpr int bin_bits = 8, bins_per_octave = 1 << bin_bits, first_octave = -10, octave_count = 40;
inline constexpr int bins = 1 + octave_count * bins_per_octave;

/// The routines of one instruction set. n ≤ block trials from trial 64·first_group on; n a whole number of groups.
struct Kernels {
    void (*words)(const Stream& stream, std::uint64_t first_group, Size n, std::uint32_t* out);
    /// low + (high − low)·u, at most high.
    void (*uniform)(const Stream& stream, std::uint64_t first_group, Size n, float low, float high, float* out);
    void (*triangular)(const Stream& stream, std::uint64_t first_group, Size n, const Triangle& triangle, float* out);
    void (*quantile)(const Stream& stream, std::uint64_t first_group, Size n, const Table& table, float* out);
    void (*quantile_of_z)(const float* z, Size n, const TableOfZ& table, float* out);
    /// The same of words that are there; room for `block` of them in each.
    void (*uniform_of)(const std::uint32_t* words, Size n, float low, float high, float* out);
    void (*triangular_of)(const std::uint32_t* words, Size n, const Triangle& triangle, float* out);
    void (*quantile_of)(const std::uint32_t* words, Size n, const Table& table, float* out);

    // On blocks.
    /// to[i] += factor·from[i]
    void (*add_float)(float factor, const float* from, Size n, float* to);
    /// took[i] = low + width·shape[i]
    void (*scale)(const float* shape, double low, double width, Size n, double* took);
    /// end[i] = start[i] + (low + width·shape[i])
    void (*finish)(const double* start, const float* shape, double low, double width, Size n, double* end);
    /// end[i] = start[i] + took[i]
    void (*begin_after)(const double* start, const float* took, Size n, double* end);
    void (*widen)(const float* took, Size n, double* out);
    /// What was skipped, or is beyond it, is `never`.
    void (*settle)(const double* at, Size n, double* out);
    void (*add)(const double* a, const double* b, Size n, double* out);
    void (*add_all)(double a, const double* b, Size n, double* out);
    void (*later)(const double* a, const double* b, Size n, double* out);
    /// The earlier of those not skipped.
    void (*earlier)(const double* a, const double* b, Size n, double* out);
    /// Where first ≤ words[i] ≤ last: marks[i] = all ones.
    void (*mark)(const std::uint32_t* words, std::uint32_t first, std::uint32_t last, Size n, std::uint32_t* marks);
    /// Where there is no mark, or `reached` was skipped: start[i] is skipped.
    void (*skip_unmarked)(const std::uint32_t* marks, const double* reached, Size n, double* start);
    /// Writes the i with words[i] < threshold ≤ 2³² to out (room for n); returns how many.
    Size (*below)(const std::uint32_t* words, std::uint64_t threshold, Size n, std::int32_t* out);
    /// How many at[i] ≤ limit.
    Size (*within)(const double* at, Size n, double limit);
    /// What lies between two instants of each trial, at least 0; `to` itself where `from` was skipped or never comes.
    void (*between)(const double* from, const double* to, Size n, double* out);
    void (*sums)(const double* at, Size n, BlockSums& out);
    /// Of trials that are marked in `ended` (all ones) a step ran where it ended at 0 or later and started before
    /// longest_s; `mine`: where it is on the path. n: a whole number of groups.
    void (*path)(const double* spent, const double* start, const double* end, const std::int64_t* ended,
                 const std::int64_t* mine, Size n, PathSums& out);
    /// Marks with end[i] = at[i] move from `from` to `to`.
    void (*pass)(const double* end, const double* at, Size n, std::int64_t* from, std::int64_t* to);
    /// Adds to the histogram.
    void (*count)(const double* at, Size n, std::uint64_t* histogram);  // bins + 1: the last for longer ones
};

/// The routines for `level`, or null where they were not built in or the machine cannot run them.
const Kernels* kernels(Level level);

/// The routines for cpu_level().
const Kernels& kernels();

}  // namespace sampling
}  // namespace surgetank
