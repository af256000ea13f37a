// Kernel `sampling`: durations drawn from counters, so that a draw depends on nothing but seed, name, attempt and
// trial.
//
// Trials can be drawn in any order, by any number of threads, in any chunks and with any instruction set: the bits are
// the same. Uniform and triangular durations are computed; other continuous ones are looked up in their quantile
// function, tabulated as parabolas in octaves of the smaller tail: the error in probability is below 1e-6 of the tail
// (3e-5 for the widest that Python takes, such as a lognormal whose p95 is a million medians).
// A uniform number has 23 bits: nothing rarer than 6e-8 is drawn. Sources: Philox4x32-10: Salmon, Moraes, Dror and
// Shaw, Parallel random numbers: as easy as 1, 2, 3, 2011. Copula: Embrechts, McNeil and Straumann, 2002. Cost: a few
// ns a draw; building a table some 3,000 quantiles.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "surgetank/core.hpp"
#include "surgetank/sampling_distribution.hpp"
#include "surgetank/sampling_kernels.hpp"

namespace surgetank::sampling {

/// Philox4x32-10 of one counter: the known-answer tests of its authors hold.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

enum class Purpose : std::uint32_t { duration = 1, failure, wait, choice, factor, moment, lead, denial, lag, copy };

/// The stream of that name; names are hashed with the seed into Philox's key.
Stream stream(std::uint64_t seed, std::string_view name, Purpose purpose, std::uint32_t attempt = 0);

/// The word of one trial, as Kernels::words gives it.
std::uint32_t word(const Stream& stream, std::uint64_t trial);

/// The words of those trials of a block from 64·first_group on, `chosen` ascending. Room for `block`.
void some_words(const Kernels& kernels, const Stream& stream, std::uint64_t first_group,
                std::span<const std::int32_t> chosen, std::uint32_t* out);

/// A uniform index below count ≤ 2³².
inline std::uint32_t index_below(std::uint32_t word, std::uint64_t count) {
    return static_cast<std::uint32_t>((word * count) >> 32);
}

/// A probability as the number of words below it, of 2³².
std::uint64_t threshold(double probability);

/// Standard normal numbers of a factor, for n trials.
void normals(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n, float* out);

/// Draws from a distribution.
class Sampler {
public:
    /// `by_factors`: also from normals that are given (`draw_at`).
    explicit Sampler(const Distribution& distribution, bool by_factors = false);

    bool always() const { return form_ == Form::fixed; }
    double value() const { return low_; }  // of always()

    /// Is a duration low + width·shape? Mostly the shape is the duration itself (low 0, width 1); where a float would
    /// round away what the duration varies by, it lies in [0, 1].
    bool shaped() const { return form_ == Form::uniform || form_ == Form::triangular || form_ == Form::table; }
    bool plain() const { return low_ == 0 && width_ == 1; }

    /// Durations of n trials from 64·first_group on; n ≤ block, a whole number of groups.
    void draw(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n, double* took) const;

    /// The shapes, of shaped(). Returns false, and draws nothing, for any other.
    bool draw_shapes(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n,
                     float* shapes) const;
    double low() const { return low_; }
    double width() const { return width_; }

    /// From standard normal numbers: larger ones take longer. Of a mixture they choose the part as well, in the order
    /// of the parts' medians: its own quantile function where parts do not overlap.
    void draw_at(const Kernels& kernels, const float* z, Size n, double* took) const;

    /// The same draws of some trials of a block; room for `block`.
    void draw_some(const Kernels& kernels, const Stream& stream, std::uint64_t first_group,
                   std::span<const std::int32_t> chosen, double* took) const;

    /// The same draw of one trial.
    double one(const Stream& stream, std::uint64_t trial) const;

private:
    enum class Form { fixed, uniform, triangular, table, empirical, mixture };
    void choose(const Kernels& kernels, const Stream& stream, std::uint64_t first_group, Size n,
                unsigned char* part) const;

    Form form_ = Form::fixed;
    double low_ = 0, width_ = 0;
    Triangle triangle_{};
    float least_ = 0, most_ = 0;  // of a uniform shape
    std::shared_ptr<const Table> table_;
    std::shared_ptr<const TableOfZ> of_z_;
    std::vector<double> values_;
    double at_word(std::uint32_t word) const;

    std::vector<std::uint64_t> thresholds_;  // of the parts, cumulated
    std::vector<std::size_t> by_length_;     // parts that can be chosen, by their medians
    std::vector<Sampler> parts_;
};

}  // namespace surgetank::sampling
