// Compiled once for each instruction set, with SURGETANK_LEVEL naming it: see sampling_kernels.hpp for the rules.
#include "surgetank/sampling_kernels.hpp"

#include "surgetank/sampling_philox.hpp"

#ifndef SURGETANK_LEVEL
#define SURGETANK_LEVEL plain
#endif

namespace surgetank::sampling::SURGETANK_LEVEL {
namespace {

SURGETANK_INLINE Floats uniform_of(Words w) { return (number((Ints)(w >> 9)) + 0.5f) * 0x1p-23f; }

void words(const Stream& s, std::uint64_t first_group, Size n, std::uint32_t* out) {
    each_word(s, first_group, n, [&](Words w, Size at) { store(out + at, w); });
}

// What is made of a register of words: `Uniform`, `Triangular` and `Quantile` of a distribution each.
struct Uniform {
    Floats from, times, most;
    SURGETANK_INLINE Uniform(float low, float high) : from(each(low)), times(each(high - low)), most(each(high)) {}
    SURGETANK_INLINE Floats operator()(Words w) const { return lesser(from + times * uniform_of(w), most); }
};

struct Triangular {
    // In units of 2⁻²³, all exact: x below the mode, or what is left above it.
    Floats mode, rising, falling, low, high;
    SURGETANK_INLINE explicit Triangular(const Triangle& t)
        : mode(each(t.mode)), rising(each(t.rising)), falling(each(t.falling)), low(each(t.low)), high(each(t.high)) {}
    SURGETANK_INLINE Floats operator()(Words w) const {
        const Floats x = number((Ints)(w >> 9)) + 0.5f, end = each(0x1p23f);
        const Truth below = less(x, mode);
        const Floats r = root(where(below, x, end - x) * where(below, rising, falling));
        return greater(lesser(where(below, low + r, high - r), high), low);
    }
};

template <class Parabolas>
SURGETANK_INLINE Floats parabola(const Parabolas& p, Ints cell, Floats t) {
    const Floats value = gather(p.a, cell) + t * (gather(p.b, cell) + t * gather(p.c, cell));
    return greater(lesser(value, each(p.most)), each(p.least));
}

struct Quantile {
    const Table& table;
    SURGETANK_INLINE Floats operator()(Words w) const {
        constexpr int shift = 23 - octave_bits, base = 103 << octave_bits;  // 103: the exponent of 2⁻²⁴
        const Floats u = uniform_of(w), v = lesser(u, 1 - u);
        const Ints bits = (Ints)v;
        const Ints upper = (Ints)(w >> 31) * side_cells;  // u above ½
        const Ints cell = (bits >> shift) - base + upper;
        const Floats t = (Floats)(((bits & ((1 << shift) - 1)) << octave_bits) | 0x3f800000) - 1;
        return parabola(table, cell, t);
    }
};

template <class Shape>
SURGETANK_INLINE void draw(const Stream& s, std::uint64_t first_group, Size n, const Shape& shape, float* out) {
    each_word(s, first_group, n, [&](Words w, Size at) { store(out + at, shape(w)); });
}

template <class Shape>
SURGETANK_INLINE void draw_of(const std::uint32_t* w, Size n, const Shape& shape, float* out) {
    for (Size i = 0; i < n; i += lanes) store(out + i, shape(load(w + i)));
}

void uniform(const Stream& s, std::uint64_t first_group, Size n, float low, float high, float* out) {
    draw(s, first_group, n, Uniform(low, high), out);
}

void triangular(const Stream& s, std::uint64_t first_group, Size n, const Triangle& t, float* out) {
    draw(s, first_group, n, Triangular(t), out);
}

void quantile(const Stream& s, std::uint64_t first_group, Size n, const Table& table, float* out) {
    draw(s, first_group, n, Quantile{table}, out);
}

void uniform_of(const std::uint32_t* w, Size n, float low, float high, float* out) {
    draw_of(w, n, Uniform(low, high), out);
}

void triangular_of(const std::uint32_t* w, Size n, const Triangle& t, float* out) { draw_of(w, n, Triangular(t), out); }

void quantile_of(const std::uint32_t* w, Size n, const Table& table, float* out) {
    draw_of(w, n, Quantile{table}, out);
}

void quantile_of_z(const float* z, Size n, const TableOfZ& table, float* out) {
    constexpr float per_z = z_cells / (2 * z_most);
    for (Size i = 0; i < n; i += lanes) {
        const Floats x = (load(z + i) + z_most) * per_z;
        const Floats kept = greater(lesser(x, each(z_cells - 0.001f)), each(0));
        const Ints cell = whole(kept);
        store(out + i, parabola(table, cell, kept - number(cell)));
    }
}

void add_float(float factor, const float* from, Size n, float* to) {
    for (Size i = 0; i < n; ++i) to[i] += factor * from[i];
}

void scale(const float* shape, double low, double width, Size n, double* took) {
    for (Size i = 0; i < n; ++i) took[i] = low + width * static_cast<double>(shape[i]);
}

void begin_after(const double* start, const float* took, Size n, double* end) {
    for (Size i = 0; i < n; ++i) end[i] = start[i] + static_cast<double>(took[i]);
}

void widen(const float* took, Size n, double* out) {
    for (Size i = 0; i < n; ++i) out[i] = static_cast<double>(took[i]);
}

void settle(const double* at, Size n, double* out) {
    for (Size i = 0; i < n; ++i) {
        const double ended = at[i] < 0 ? never : at[i];
        out[i] = ended > never ? never : ended;
    }
}

void finish(const double* start, const float* shape, double low, double width, Size n, double* end) {
    for (Size i = 0; i < n; ++i) end[i] = start[i] + (low + width * static_cast<double>(shape[i]));
}

void add(const double* a, const double* b, Size n, double* out) {
    for (Size i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void add_all(double a, const double* b, Size n, double* out) {
    for (Size i = 0; i < n; ++i) out[i] = a + b[i];
}

void later(const double* a, const double* b, Size n, double* out) {
    for (Size i = 0; i < n; ++i) out[i] = a[i] > b[i] ? a[i] : b[i];
}

void earlier(const double* a, const double* b, Size n, double* out) {
    for (Size i = 0; i < n; ++i) {
        const double x = a[i], y = b[i];
        const double least = x < y ? x : y, most = x < y ? y : x;
        out[i] = least < 0 ? most : least;
    }
}

void mark(const std::uint32_t* word, std::uint32_t first, std::uint32_t last, Size n, std::uint32_t* marks) {
    const std::uint32_t most = last - first;
    for (Size i = 0; i < n; ++i) marks[i] |= word[i] - first <= most ? 0xffffffffu : 0u;
}

void skip_unmarked(const std::uint32_t* marks, const double* reached, Size n, double* start) {
    for (Size i = 0; i < n; ++i) {
        const double taken = marks[i] != 0 ? reached[i] : skipped;
        start[i] = taken < 0 ? skipped : start[i];
    }
}

Size below(const std::uint32_t* word, std::uint64_t threshold, Size n, std::int32_t* out) {
    Size count = 0;
#if SURGETANK_REGISTER == 64
    if (threshold >> 32 == 0) {
        const Words limit = Words{} + static_cast<std::uint32_t>(threshold);
        for (Size i = 0; i < n; i += lanes)
            count += compress(less(load(word + i), limit), counted_from(i), out + count);
        return count;
    }
#endif
    for (Size i = 0; i < n; ++i) {
        out[count] = static_cast<std::int32_t>(i);
        count += word[i] < threshold;
    }
    return count;
}

Size within(const double* at, Size n, double limit) {
    Size found = 0;
    for (Size i = 0; i < n; ++i) found += at[i] <= limit;
    return found;
}

void between(const double* from, const double* to, Size n, double* out) {
    for (Size i = 0; i < n; ++i) {
        const double since = from[i] > 0 && from[i] < longest_s ? from[i] : 0;
        const double d = to[i] - since;
        out[i] = d > 0 ? d : 0;
    }
}

constexpr double whole_number = 0x1.8p52, high_unit = 0x1p20;
constexpr double short_s = 4096;  // squares of quanta up to here are exact, `block` of them together

SURGETANK_INLINE Doubles rounded(Doubles x) { return (x + whole_number) - whole_number; }

// Of n instants, a whole number of registers, all of them below short_s.
void sums_of_short(const double* at, Size n, Doubles& sum, Doubles& squares) {
    for (Size i = 0; i < n; i += doubles) {
        const Doubles y = rounded(load(at + i) * quanta_per_s);
        sum += y;
        squares += y * y;
    }
}

void sums(const double* at, Size n, BlockSums& out) {
    Doubles sum{}, hh{}, hl{}, ll{}, least = Doubles{} + never, most{};
    Signed ended{};
    const Size whole = n / doubles * doubles;
    for (Size i = 0; i < whole; i += doubles) {
        const Doubles x = load(at + i);
        least = lesser(x, least), most = greater(x, most);
    }
    double longest = 0;
    for (int k = 0; k < doubles; ++k) longest = most[k] > longest ? most[k] : longest;
    const auto add_some = [&](Doubles x) {
        const Signed ends = x < longest_s;
        ended -= ends;
        const Doubles finite = (Doubles)((Signed)x & ends);  // 0 where there is no end
        const Doubles y = rounded(finite * quanta_per_s);
        const Doubles high = rounded(y * (1 / high_unit)), low = y - high * high_unit;
        sum += y;
        hh += high * high;
        hl += high * low;
        ll += low * low;
        least = lesser(x, least), most = greater(finite, most);
    };
    if (longest < short_s) {
        sums_of_short(at, whole, sum, ll);
        ended[0] = whole;
    } else {
        most = Doubles{};
        for (Size i = 0; i < whole; i += doubles) add_some(load(at + i));
    }
    if (whole < n) {
        Doubles rest = Doubles{} + never;
        for (int k = 0; whole + k < n; ++k) rest[k] = at[whole + k];
        add_some(rest);
    }
    out = {0, 0, 0, 0, 0, never, 0};
    for (int k = 0; k < doubles; ++k) {
        out.finite += static_cast<double>(ended[k]);
        out.sum += sum[k], out.high_high += hh[k], out.high_low += hl[k], out.low_low += ll[k];
        out.least = least[k] < out.least ? least[k] : out.least;
        out.most = most[k] > out.most ? most[k] : out.most;
    }
}

void path(const double* spent, const double* start, const double* end, const std::int64_t* ended,
          const std::int64_t* mine, Size n, PathSums& out) {
    Signed ran{}, ran_ended{}, critical{};
    Doubles ran_quanta{}, critical_quanta{};
    for (Size i = 0; i < n; i += doubles) {
        const Doubles x = load(spent + i);
        const Signed ends = x < longest_s;
        const Signed runs = load(ended + i) & (load(end + i) >= 0.0) & (load(start + i) < longest_s);
        const Signed decides = load(mine + i) & ends;
        const Doubles y = rounded((Doubles)((Signed)x & ends) * quanta_per_s);
        ran -= runs, ran_ended -= runs & ends, critical -= decides;
        ran_quanta += (Doubles)((Signed)y & runs);
        critical_quanta += (Doubles)((Signed)y & decides);
    }
    out = {};
    for (int k = 0; k < doubles; ++k) {
        out.ran += static_cast<double>(ran[k]), out.ran_ended += static_cast<double>(ran_ended[k]);
        out.critical += static_cast<double>(critical[k]);
        out.ran_quanta += ran_quanta[k], out.critical_quanta += critical_quanta[k];
    }
}

void pass(const double* end, const double* at, Size n, std::int64_t* from, std::int64_t* to) {
    for (Size i = 0; i < n; ++i) {
        const std::int64_t passes = end[i] == at[i] ? from[i] : 0;
        to[i] |= passes;
        from[i] ^= passes;
    }
}

void count(const double* at, Size n, std::uint64_t* histogram) {
    constexpr int shift = 52 - bin_bits;
    constexpr std::int64_t base = static_cast<std::int64_t>(1023 + first_octave) << bin_bits;
    alignas(64) std::int64_t bin[block];
    for (Size i = 0; i < n; ++i) {
        const std::int64_t b = (__builtin_bit_cast(std::int64_t, at[i]) >> shift) - base + 1;
        bin[i] = b < 0 ? 0 : b < bins ? b : bins;  // the last, beyond the histogram: longer than is counted
    }
    for (Size i = 0; i < n; ++i) ++histogram[bin[i]];
}

}  // namespace

extern const Kernels table;
const Kernels table = {
    .words = words,
    .uniform = uniform,
    .triangular = triangular,
    .quantile = quantile,
    .quantile_of_z = quantile_of_z,
    .uniform_of = uniform_of,
    .triangular_of = triangular_of,
    .quantile_of = quantile_of,
    .add_float = add_float,
    .scale = scale,
    .finish = finish,
    .begin_after = begin_after,
    .widen = widen,
    .settle = settle,
    .add = add,
    .add_all = add_all,
    .later = later,
    .earlier = earlier,
    .mark = mark,
    .skip_unmarked = skip_unmarked,
    .below = below,
    .within = within,
    .between = between,
    .sums = sums,
    .path = path,
    .pass = pass,
    .count = count,
};

}  // namespace surgetank::sampling::SURGETANK_LEVEL
