// Compiled once for each instruction set, with SURGETANK_LEVEL naming it: see sampling_kernels.hpp for the rules.
#include "surgetank/sampling_kernels.hpp"

#include "surgetank/sampling_pack.hpp"

#ifndef SURGETANK_LEVEL
#define SURGETANK_LEVEL plain
#endif

namespace surgetank::sampling::SURGETANK_LEVEL {
namespace {

// Sixteen counters from 16·group on are taken `lanes` at a time, even and odd ones apart: 64-bit products need room.
struct Counters {
    Longs even[4], odd[4];
};

SURGETANK_INLINE Counters counters(const Stream& s, std::uint64_t number, int chunk) {
    const std::uint64_t first = number * 16 + static_cast<std::uint64_t>(chunk * lanes);
    const Longs low = Longs{} + static_cast<std::uint32_t>(first);
    Counters out;
    out.even[0] = low + even_numbers, out.odd[0] = low + even_numbers + 1;
    out.even[1] = out.odd[1] = Longs{} + (first >> 32);
    out.even[2] = out.odd[2] = Longs{} + s.attempt;
    out.even[3] = out.odd[3] = Longs{} + s.purpose;
    return out;
}

// Only the lower halves count; what is left in the upper ones is never looked at.
SURGETANK_INLINE void step(Longs (&c)[4], Longs m0, Longs m1, Longs key0, Longs key1) {
    const Longs p0 = multiply(c[0], m0), p1 = multiply(c[2], m1);
    c[0] = differ(p1 >> 32, c[1], key0);
    c[2] = differ(p0 >> 32, c[3], key1);
    c[1] = p1;
    c[3] = p0;
}

// One set of counters, or several whose chains of products run side by side.
template <class... Sets>
SURGETANK_INLINE void rounds(const Stream& s, Sets&... sets) {
    const Longs m0 = Longs{} + 0xD2511F53u, m1 = Longs{} + 0xCD9E8D57u;
    std::uint32_t k0 = s.key[0], k1 = s.key[1];
    SURGETANK_UNROLL for (int round = 0; round < round_count; ++round) {
        const Longs key0 = Longs{} + k0, key1 = Longs{} + k1;
        (..., (step(sets.even, m0, m1, key0, key1), step(sets.odd, m0, m1, key0, key1)));
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

template <class Use>
SURGETANK_INLINE void use_words(const Counters& c, Size at, Use& use) {
    SURGETANK_UNROLL for (int j = 0; j < 4; ++j) use(interleave(c.even[j], c.odd[j]), at + 16 * j);
}

// Calls use(words, where) for every register of words.
template <class Use>
SURGETANK_INLINE void each_word(const Stream& s, std::uint64_t first_group, Size n, Use&& use) {
    Size at = 0;
#if SURGETANK_REGISTER == 64  // there are registers for two groups
    for (; at + 2 * group <= n; at += 2 * group, first_group += 2) {
        Counters x = counters(s, first_group, 0), y = counters(s, first_group + 1, 0);
        rounds(s, x, y);
        use_words(x, at, use);
        use_words(y, at + group, use);
    }
#endif
    for (; at < n; at += group, ++first_group)
        for (int chunk = 0; chunk < 16 / lanes; ++chunk) {
            Counters x = counters(s, first_group, chunk);
            rounds(s, x);
            use_words(x, at + chunk * lanes, use);
        }
}

SURGETANK_INLINE Floats uniform_of(Words w) { return (number((Ints)(w >> 9)) + 0.5f) * 0x1p-23f; }

void words(const Stream& s, std::uint64_t first_group, Size n, std::uint32_t* out) {
    each_word(s, first_group, n, [&](Words w, Size at) { store(out + at, w); });
}

void uniform(const Stream& s, std::uint64_t first_group, Size n, float* out) {
    each_word(s, first_group, n, [&](Words w, Size at) { store(out + at, uniform_of(w)); });
}

void triangular(const Stream& s, std::uint64_t first_group, Size n, float mode, float* out) {
    const Floats m = each(mode), rest = each(1 - mode), one = each(1);
    each_word(s, first_group, n, [&](Words w, Size at) {
        const Floats u = uniform_of(w);
        const Floats r = root(where_less(u, m, u * m, (one - u) * rest));
        store(out + at, where_less(u, m, r, one - r));
    });
}

SURGETANK_INLINE Floats parabola(const float* a, const float* b, const float* c, Ints cell, Floats t) {
    return gather(a, cell) + t * (gather(b, cell) + t * gather(c, cell));
}

void quantile(const Stream& s, std::uint64_t first_group, Size n, const Table& table, float* out) {
    constexpr int shift = 23 - octave_bits, base = 103 << octave_bits;  // 103: the exponent of 2⁻²⁴
    each_word(s, first_group, n, [&](Words w, Size at) {
        const Floats u = uniform_of(w), v = lesser(u, 1 - u);
        const Ints bits = (Ints)v;
        const Ints upper = (Ints)(w >> 31) * side_cells;  // u above ½
        const Ints cell = (bits >> shift) - base + upper;
        const Floats t = (Floats)(((bits & ((1 << shift) - 1)) << octave_bits) | 0x3f800000) - 1;
        store(out + at, parabola(table.a, table.b, table.c, cell, t));
    });
}

void quantile_of_z(const float* z, Size n, const TableOfZ& table, float* out) {
    constexpr float per_z = z_cells / (2 * z_most);
    for (Size i = 0; i < n; i += lanes) {
        const Floats x = (load(z + i) + z_most) * per_z;
        const Floats kept = greater(lesser(x, each(z_cells - 0.001f)), each(0));
        const Ints cell = whole(kept);
        store(out + i, parabola(table.a, table.b, table.c, cell, kept - number(cell)));
    }
}

void add_float(float factor, const float* from, Size n, float* to) {
    for (Size i = 0; i < n; ++i) to[i] += factor * from[i];
}

void scale(const float* shape, double low, double width, Size n, double* took) {
    for (Size i = 0; i < n; ++i) took[i] = low + width * static_cast<double>(shape[i]);
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

void below(const std::uint32_t* word, std::uint64_t threshold, Size n, unsigned char* out) {
    if (threshold >= (std::uint64_t{1} << 32)) {
        for (Size i = 0; i < n; ++i) out[i] = 1;
        return;
    }
    const auto limit = static_cast<std::uint32_t>(threshold);
    for (Size i = 0; i < n; ++i) out[i] = word[i] < limit;
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
const Kernels table = {words,   uniform, triangular, quantile, quantile_of_z, add_float, scale, finish, add,
                       add_all, later,   earlier,    below,    within,        between,   sums,  count};

}  // namespace surgetank::sampling::SURGETANK_LEVEL
