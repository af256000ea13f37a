// Kernel `lanes`: eight series side by side, one in each lane, in the widest registers the machine has.
//
// A lane is one series: its arithmetic is the same sequence of additions, multiplications and divisions whatever the
// register width, and nothing is fused (-ffp-contract=off). So x86-64-v2, -v3, -v4 and the plain path give the same
// bits, and so do neighbours, memory orders and numbers of threads.
// lanes_kernels.cpp is compiled once for each instruction set; those objects include neither Eigen nor std templates
// and define nothing the linker could merge with another file's copy. Everything is allocated and decided outside.
// Sources: as in series.hpp. Cost: see there; a division a sample only where samples are missing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace surgetank {

enum class Level;  // cpu.hpp

namespace lanes {

using Size = std::ptrdiff_t;
inline constexpr Size width = 8;  // series

/// One sample, or one number of a state, of each of eight series: a cache line.
struct alignas(64) Row {
    double lane[width];
};

/// What a stretch of samples holds, a bit for each lane.
struct Facts {
    unsigned missing = 0;   // NaN
    unsigned infinite = 0;  // ±inf
    unsigned extreme = 0;  // finite, but squares could leave double's range: computed in long double, where it is wider
};

/// Where eight series lie: sample t of lane j is at start[offset[j] + t·stride]. Lanes beyond the last series repeat
/// it.
struct Source {
    const double* start = nullptr;
    Size stride = 1;
    Size offset[width] = {};
    bool side_by_side = false;  // offset[j] = j: a row of eight is contiguous (C order)
};

/// Mean and sum of squared deviations from it, of some samples of each series.
struct Moments {
    Row mean{}, squares{};
};

/// How to add a block's first row + 1 samples to the rest of a window: 1/(row + 1), (row + 1)·1/window, and that times
/// the rest's number.
struct Weights {
    double inverse, share, cross;
};

/// A running state between calls.
struct Carried {
    Row mean{}, squares{}, count{};  // count: where samples are missing
};

/// Trailing windows over one block of `window` rows, van Herk's way: see series::rolling_moments.
struct RollingBlock {
    const Row* x = nullptr;    // the block, and `ahead` rows beyond
    Size first = 0, rows = 0;  // which rows of the block to do now, at most 64: in order, from 0
    Size window = 0, ahead = 0;
    bool missing = false;  // any in this block or the one before
    // The states of the block before's samples from j on, for j in 1..window (the last is empty), from these rows on in
    // steps of `way`. A row that has been read takes the state of this block's samples from window + 1 − j on, for the
    // next block, which goes the other way: so one plane is enough, and stays in the nearest cache. Counts only where
    // samples are missing.
    Moments* suffixes = nullptr;
    Row* suffix_counts = nullptr;
    int way = 1;
    const Weights* weights = nullptr;              // by row, for windows without gaps
    const double* inverse = nullptr;               // 1/n for n in 0..window (of 0: 1), for those with gaps
    double threshold_squared = 0;                  // at most 1e300
    double needed = 0;                             // samples a window must hold
    Carried *prefix = nullptr, *suffix = nullptr;  // empty before row 0
    // The windows' states, row 0 being `first`, and a bit for each lane whose sample may exceed the threshold.
    Moments* windows = nullptr;
    Row* counts = nullptr;
    unsigned char* candidate = nullptr;
    std::uint64_t* hits = nullptr;  // a bit for each of `rows` that has a candidate
};

/// One-pass state of eight series: Welford's, with the co-moment of (sample number, value); numbers: their sum.
struct Running {
    Row count, mean, squares, together, numbers, number_squares, min, max, last, last_index;
};

/// What every series without a gap so far has in common: 1/count, sample number less mean number, and the state of the
/// numbers with this sample.
struct Step {
    double inverse, from_number, numbers, number_squares;
};

/// The routines of one instruction set.
struct Kernels {
    /// Copies rows [first, first + rows) of the source into `out` and says what they hold.
    Facts (*load)(const Source& source, Size first, Size rows, Row* out);
    /// The same into eight contiguous columns of `pitch` doubles, without looking.
    void (*columns)(const Source& source, Size first, Size rows, double* out, Size pitch);
    void (*rolling)(const RollingBlock& block);
    /// Adds rows, the first of them being sample number `number`, where there may be gaps in them or before them.
    void (*add)(const Row* x, Size rows, Size number, Running& state);
    /// The same without gaps, to one state or two at once: their chains of sums run side by side. One step a row.
    void (*add_whole)(const Row* const* x, Size states, Size rows, Size number, const Step* steps,
                      Running* const* state);
    /// Writes the steps of samples [0, rows).
    void (*count)(Size rows, Step* steps);
    /// bins[i] = ⌊(x[i] − low)·scale⌋, which must lie in [0, 256).
    void (*bin)(const double* x, Size n, double low, double scale, unsigned char* bins);
    /// Appends x[i] where bins[i] = wanted to out (room for them all); returns how many.
    Size (*collect)(const double* x, const unsigned char* bins, Size n, unsigned char wanted, double* out);
    /// Appends the x[i] that are not NaN to out (room for n + 8); returns how many.
    Size (*observed)(const double* x, Size n, double* out);
};

/// The routines for `level`, or null where they were not built in or the machine cannot run them.
const Kernels* kernels(Level level);

/// The routines for cpu_level().
const Kernels& kernels();

}  // namespace lanes
}  // namespace surgetank
