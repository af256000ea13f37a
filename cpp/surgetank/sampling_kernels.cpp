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

constexpr std::uint32_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;  // of the rounds
constexpr std::uint32_t bump0 = 0x9E3779B9u, bump1 = 0xBB67AE85u;              // of the keys, from round to round

// The counters of a block differ in their lowest word alone. So half of the first two rounds is the same for all of
// them, and is done once.
struct Start {
    std::uint32_t second;           // what the first round's other half is combined with
    std::uint32_t first1, second1;  // the same of the second round
    std::uint32_t word3;            // the last word after it
};

SURGETANK_INLINE Start start_of(const Stream& s, std::uint64_t first_group) {
    const std::uint64_t high = first_group >> 28;  // of the counter, which is 16 times the group
    const std::uint64_t p1 = std::uint64_t{multiplier1} * s.attempt;
    const auto word0 = static_cast<std::uint32_t>((p1 >> 32) ^ high ^ s.key[0]);
    const std::uint64_t p0 = std::uint64_t{multiplier0} * word0;
    const auto word1 = static_cast<std::uint32_t>(p1);
    return {s.purpose ^ s.key[1], word1 ^ (s.key[0] + bump0), static_cast<std::uint32_t>(p0 >> 32) ^ (s.key[1] + bump1),
            static_cast<std::uint32_t>(p0)};
}

SURGETANK_INLINE void first_rounds(Longs (&c)[4], const Start& start) {
    const Longs m0 = Longs{} + multiplier0, m1 = Longs{} + multiplier1;
    const Longs p0 = multiply(c[0], m0);
    const Longs p1 = multiply((p0 >> 32) ^ start.second, m1);
    c[0] = (p1 >> 32) ^ start.first1;
    c[1] = p1;
    c[2] = p0 ^ start.second1;
    c[3] = Longs{} + start.word3;
}

SURGETANK_INLINE Counters counters(const Start& start, std::uint64_t number, int chunk) {
    const std::uint64_t first = number * 16 + static_cast<std::uint64_t>(chunk * lanes);
    const Longs low = Longs{} + static_cast<std::uint32_t>(first);
    Counters out;
    out.even[0] = low + even_numbers, out.odd[0] = low + even_numbers + 1;
    first_rounds(out.even, start);
    first_rounds(out.odd, start);
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

// The other rounds, of one set of counters or of several whose chains of products run side by side.
template <class... Sets>
SURGETANK_INLINE void rounds(const Stream& s, Sets&... sets) {
    const Longs m0 = Longs{} + multiplier0, m1 = Longs{} + multiplier1;
    std::uint32_t k0 = s.key[0] + 2 * bump0, k1 = s.key[1] + 2 * bump1;
    SURGETANK_UNROLL for (int round = 2; round < round_count; ++round) {
        const Longs key0 = Longs{} + k0, key1 = Longs{} + k1;
        (..., (step(sets.even, m0, m1, key0, key1), step(sets.odd, m0, m1, key0, key1)));
        k0 += bump0;
        k1 += bump1;
    }
}

template <class Use>
SURGETANK_INLINE void use_words(const Counters& c, Size at, Use& use) {
    SURGETANK_UNROLL for (int j = 0; j < 4; ++j) use(interleave(c.even[j], c.odd[j]), at + 16 * j);
}

// Calls use(words, where) for every register of words.
template <class Use>
SURGETANK_INLINE void each_word(const Stream& s, std::uint64_t first_group, Size n, Use&& use) {
    const Start start = start_of(s, first_group);
    Size at = 0;
#if SURGETANK_REGISTER == 64  // there are registers for two groups
    for (; at + 2 * group <= n; at += 2 * group, first_group += 2) {
        Counters x = counters(start, first_group, 0), y = counters(start, first_group + 1, 0);
        rounds(s, x, y);
        use_words(x, at, use);
        use_words(y, at + group, use);
    }
#endif
    for (; at < n; at += group, ++first_group)
        for (int chunk = 0; chunk < 16 / lanes; ++chunk) {
            Counters x = counters(start, first_group, chunk);
            rounds(s, x);
            use_words(x, at + chunk * lanes, use);
        }
}

SURGETANK_INLINE Floats uniform_of(Words w) { return (number((Ints)(w >> 9)) + 0.5f) * 0x1p-23f; }

void words(const Stream& s, std::uint64_t first_group, Size n, std::uint32_t* out) {
    each_word(s, first_group, n, [&](Words w, Size at) { store(out + at, w); });
}

void uniform(const Stream& s, std::uint64_t first_group, Size n, float low, float high, float* out) {
    const Floats from = each(low), times = each(high - low), most = each(high);
    each_word(s, first_group, n,
              [&](Words w, Size at) { store(out + at, lesser(from + times * uniform_of(w), most)); });
}

void triangular(const Stream& s, std::uint64_t first_group, Size n, const Triangle& t, float* out) {
    // In units of 2⁻²³, all exact: x below the mode, or what is left above it.
    const Floats mode = each(t.mode), end = each(0x1p23f), rising = each(t.rising), falling = each(t.falling);
    const Floats low = each(t.low), high = each(t.high);
    each_word(s, first_group, n, [&](Words w, Size at) {
        const Floats x = number((Ints)(w >> 9)) + 0.5f;
        const Truth below = less(x, mode);
        const Floats r = root(where(below, x, end - x) * where(below, rising, falling));
        store(out + at, greater(lesser(where(below, low + r, high - r), high), low));
    });
}

template <class Parabolas>
SURGETANK_INLINE Floats parabola(const Parabolas& p, Ints cell, Floats t) {
    const Floats value = gather(p.a, cell) + t * (gather(p.b, cell) + t * gather(p.c, cell));
    return greater(lesser(value, each(p.most)), each(p.least));
}

void quantile(const Stream& s, std::uint64_t first_group, Size n, const Table& table, float* out) {
    constexpr int shift = 23 - octave_bits, base = 103 << octave_bits;  // 103: the exponent of 2⁻²⁴
    each_word(s, first_group, n, [&](Words w, Size at) {
        const Floats u = uniform_of(w), v = lesser(u, 1 - u);
        const Ints bits = (Ints)v;
        const Ints upper = (Ints)(w >> 31) * side_cells;  // u above ½
        const Ints cell = (bits >> shift) - base + upper;
        const Floats t = (Floats)(((bits & ((1 << shift) - 1)) << octave_bits) | 0x3f800000) - 1;
        store(out + at, parabola(table, cell, t));
    });
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
    .count = count,
};

}  // namespace surgetank::sampling::SURGETANK_LEVEL
