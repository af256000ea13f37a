// Kernel `rolling`, the part that is compiled once for each instruction set. The rules of lanes.hpp hold: no Eigen, no
// std templates, nothing shared between levels; every level gives the same bits, because what is compared and moved are
// ranks, and an interpolation is the same operations everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace surgetank {

enum class Level;  // cpu.hpp

namespace rolling {

using Size = std::ptrdiff_t;
inline constexpr std::int32_t no_rank = -1;

/// Trailing windows over the ranks of one series, and the quantiles wanted of them.
struct Trailing {
    const std::int32_t* rank = nullptr;  // by sample; no_rank where nothing was observed
    Size samples = 0;
    const double* sorted = nullptr;  // the observed samples by rank
    Size observed = 0;
    Size window = 1;
    Size first = 0, every = 1;            // which windows are asked for: those that end at first, first + every, …
    const double* probability = nullptr;  // `count` of them, each in [0, 1]
    Size count = 0;
    double* const* out = nullptr;  // a row for each probability, one value a window; NaN where none was observed
    void* scratch = nullptr;       // what `room` says, aligned to 64 bytes
};

struct Kernels {
    /// The window as a sorted list of ranks, moved along as a whole: for windows of up to `list_most` samples.
    void (*list)(const Trailing& job);
    /// The window as a bit for each rank, and for each quantile where its word is: O(1) a window of any length.
    void (*bits)(const Trailing& job);
    /// The same for windows that are all full, none missing, every one asked for: each quantile follows its neighbours.
    void (*follow)(const Trailing& job);
};

/// The most quantiles of one job.
inline constexpr Size most_quantiles = 16;
/// Bytes of scratch memory that a job needs.
Size room(Size window, Size observed);

const Kernels* kernels(Level level);
const Kernels& kernels();

}  // namespace rolling
}  // namespace surgetank
