// Compiled once for each instruction set, with SURGETANK_LEVEL naming it: see lanes.hpp for the rules of this file.
#include "surgetank/lanes.hpp"
#include "surgetank/lanes_pack.hpp"

#ifndef SURGETANK_LEVEL
#define SURGETANK_LEVEL plain
#endif

namespace surgetank::lanes::SURGETANK_LEVEL {
namespace {

SURGETANK_INLINE Pack load(const Row& row) { return ::load(row.lane); }
SURGETANK_INLINE void store(Row& row, const Pack& a) { ::store(row.lane, a); }

// Squares times any number of samples, and squares of differences in the last digit, stay within double between these.
constexpr double most_size = 1e140, least_size = 1e-120;

struct Seen {
    Mask missing, big, tiny;  // NaN; any above most_size; any below least_size, but not 0
};

SURGETANK_INLINE Seen nothing_seen() {
    const Mask none = all(0) < all(0);
    return {none, none, none};
}

SURGETANK_INLINE void look(const Pack& x, Seen& seen) {
    const Pack size = absolute(x);
    seen.missing = seen.missing | (x != x);
    seen.big = seen.big | (all(most_size) < size);
    seen.tiny = seen.tiny | ((size < all(least_size)) & (all(0) < size));
}

// Are all samples of a register of an ordinary size? Zero counts as odd here, and is found to be fine when looked at.
SURGETANK_INLINE Truth ordinary(Register x) { return between(absolute_of(x), each(least_size), each(most_size)); }

// Infinite and extreme samples are told apart only where there is one.
Facts facts(const Row* x, Size rows, const Seen& seen) {
    Facts out{.missing = bits(seen.missing), .extreme = bits(seen.tiny)};
    if (bits(seen.big) == 0) return out;
    for (Size t = 0; t < rows; ++t) {
        const Pack size = absolute(load(x[t]));
        const unsigned infinite = bits(all(__builtin_inf()) <= size);
        out.infinite |= infinite;
        out.extreme |= bits(all(most_size) < size) & ~infinite;
    }
    return out;
}

// A square of in_register × in_register samples: from contiguous series into rows, or the other way round.
SURGETANK_INLINE void write_square(Register* r, double* to, Size pitch) {
    columns(r);
    SURGETANK_UNROLL for (int i = 0; i < in_register; ++i) * reinterpret_cast<Anywhere*>(to + i * pitch) = r[i];
}

// in_register samples of eight contiguous series. Looks at rows only where one of them is not ordinary.
SURGETANK_INLINE void load_square(const double* from, const Size* offset, Row* out, Seen& seen) {
    unsigned odd = 0;
    SURGETANK_EACH {
        Register r[in_register];
        Truth fine = ~(Truth{});
        load_halves(r, from, offset + k * in_register);
        SURGETANK_UNROLL for (int i = 0; i < in_register; ++i) fine = static_cast<Truth>(fine & ordinary(r[i]));
        odd |= lanes_of(fine) ^ all_lanes;
        write_square(r, out[0].lane + k * in_register, width);
    }
    if (odd == 0) return;
    for (int i = 0; i < in_register; ++i) look(load(out[i]), seen);
}

// Rows lie pages apart: no hardware looks that far ahead. And eight samples are seldom one line of memory.
SURGETANK_INLINE void prefetch(const double* row) {
    __builtin_prefetch(row);
    __builtin_prefetch(row + width - 1);
}

Facts load_rows(const Source& source, Size first, Size rows, Row* out) {
    const double* const from = source.start + first * source.stride;
    Seen seen = nothing_seen();
    if (source.side_by_side) {
        for (Size t = 0; t < rows;) {
            unsigned odd = 0;
            const Size begin = t, end = t + 8 < rows ? t + 8 : rows;
            for (; t < end; ++t) {
                const double* const row = from + t * source.stride;
                prefetch(row + 24 * source.stride);
                const Pack x = ::load(row);
                SURGETANK_EACH odd |= lanes_of(ordinary(x.r[k])) ^ all_lanes;
                store(out[t], x);
            }
            if (odd == 0) continue;
            for (Size i = begin; i < end; ++i) look(load(out[i]), seen);
        }
        return facts(out, rows, seen);
    }
    Size t = 0;
    if (source.stride == 1) {
        for (; t + in_register <= rows; t += in_register) {
            // Eight streams of memory at once are more than the hardware follows. (64 samples ahead: tried 32 to 640.)
            if (t % width == 0)
                for (const Size series : source.offset) __builtin_prefetch(from + series + t + 64);
            load_square(from + t, source.offset, out + t, seen);
        }
    }
    for (; t < rows; ++t) {
        for (Size j = 0; j < width; ++j) out[t].lane[j] = from[source.offset[j] + t * source.stride];
        look(load(out[t]), seen);
    }
    return facts(out, rows, seen);
}

void load_columns(const Source& source, Size first, Size rows, double* out, Size pitch) {
    const double* const from = source.start + first * source.stride;
    Size t = 0;
    if (source.side_by_side) {
        for (; t + in_register <= rows; t += in_register) {
            for (int i = 0; i < in_register; ++i) prefetch(from + (t + i + 24) * source.stride);
            SURGETANK_EACH {
                Size rows_at[in_register];
                SURGETANK_UNROLL for (int i = 0; i < in_register; ++i) rows_at[i] = (t + i) * source.stride;
                Register r[in_register];
                load_halves(r, from + k * in_register, rows_at);
                write_square(r, out + t + k * in_register * pitch, pitch);
            }
        }
    }
    for (; t < rows; ++t)
        for (Size j = 0; j < width; ++j) out[t + j * pitch] = from[source.offset[j] + t * source.stride];
}

// Rules for both forms below, with gaps and without: the same operations in the same order, so the same bits.
// `inverse` is 1/count, then multiplied: a division that many rows share. (Where there may be gaps: in a table.)

struct State {
    Pack mean, squares, count;  // count: where there may be gaps
};
SURGETANK_INLINE State load(const Carried& s) { return {load(s.mean), load(s.squares), load(s.count)}; }
SURGETANK_INLINE void store(Carried& to, const State& s) {
    store(to.mean, s.mean);
    store(to.squares, s.squares);
    store(to.count, s.count);
}

SURGETANK_INLINE void welford(const Pack& x, const Pack& inverse, Pack& mean, Pack& squares) {
    const Pack delta = x - mean;
    mean = mean + delta * inverse;
    squares = squares + delta * (x - mean);
}

// One sample more of a running state; where there may be gaps, those lanes stay as they are.
template <bool gaps>
SURGETANK_INLINE void step(Pack x, double inverse, const double* inverses, State& s) {
    if constexpr (gaps) {
        const Mask observed = x == x;
        x = where(observed, x, s.mean);
        s.count = s.count + where(observed, all(1), all(0));
        welford(x, reciprocal(s.count, inverses), s.mean, s.squares);
    } else {
        welford(x, all(inverse), s.mean, s.squares);
    }
}

template <bool gaps>
SURGETANK_INLINE void rolling_rows(const RollingBlock& block) {
    const RollingBlock b = block;  // in registers: nothing that is stored below can change it
    State prefix = load(*b.prefix), suffix = load(*b.suffix);
    // Somewhat below the threshold, on either side of the mean: what passes is judged exactly elsewhere.
    const double bar = b.threshold_squared * (1 - 1e-9);
    const Pack shared_bar = all(bar / static_cast<double>(b.window - 1)), needed = all(b.needed);
    std::uint64_t hits = 0;
    for (Size i = 0; i < b.rows; ++i) {
        const Size row = b.first + i, back = b.window - 1 - row;
        Moments& kept = b.suffixes[b.way * row];
        const Weights& weights = b.weights[row];
        const Pack before_mean = load(kept.mean), before_squares = load(kept.squares);
        // The suffixes that the next block will need are made on the way: two chains of sums instead of one after
        // another.
        [[maybe_unused]] const Pack before_suffix = suffix.count;
        store(kept.mean, suffix.mean);
        store(kept.squares, suffix.squares);
        step<gaps>(load(b.x[back]), weights.inverse, b.inverse, suffix);
        step<gaps>(load(b.x[row]), weights.inverse, b.inverse, prefix);
        Pack share = all(weights.share), cross = all(weights.cross), both;
        if constexpr (gaps) {
            Row& kept_count = b.suffix_counts[b.way * row];
            const Pack before_count = load(kept_count);
            store(kept_count, before_suffix);
            both = before_count + prefix.count;
            share = prefix.count * reciprocal(both, b.inverse);
            cross = before_count * share;
            store(b.counts[i], both);
        }
        // Chan's formula. An empty side has mean 0 and weight 0, and leaves the other's bits as they are.
        const Pack apart = prefix.mean - before_mean;
        const Pack mean = before_mean + apart * share;
        const Pack squares = before_squares + prefix.squares + apart * apart * cross;
        store(b.windows[i].mean, mean);
        store(b.windows[i].squares, squares);
        const Pack above = load(b.x[row + b.ahead]) - mean;
        unsigned candidates;
        if constexpr (gaps)
            candidates = bits((squares * all(bar) < above * above * (both - all(1))) & (needed <= both));
        else candidates = bits(squares * shared_bar < above * above);
        b.candidate[i] = static_cast<unsigned char>(candidates);
        hits |= std::uint64_t{candidates != 0} << i;
    }
    store(*b.prefix, prefix);
    store(*b.suffix, suffix);
    *b.hits = hits;
}

void rolling(const RollingBlock& b) {
    if (b.missing) rolling_rows<true>(b);
    else rolling_rows<false>(b);
}

// The numbers of the samples seen so far, one more seen: their state, and how far it is from their mean then.
template <class Real>
SURGETANK_INLINE Real next_number(const Real& at, const Real& before, const Real& inverse, const Real& numbers,
                                  Real& number_squares) {
    const Real from = at - numbers * inverse;
    number_squares = number_squares + before * from;
    return from;
}

void count(Size rows, Step* steps) {
    double mean = 0, numbers = 0, squares = 0;
    for (Size t = 0; t < rows; ++t) {
        const auto at = static_cast<double>(t);
        const double inverse = 1 / (at + 1);
        numbers += at;
        const double from = next_number(at, at - mean, inverse, numbers, squares);
        mean = numbers * inverse;
        steps[t] = {inverse, from, numbers, squares};
    }
}

template <int states>
SURGETANK_INLINE void add_rows(const Row* const* from, Size rows, Size number, const Step* steps, Running* const* to) {
    Pack mean[states], squares[states], together[states], min[states], max[states];
    const Row* x[states];
    SURGETANK_UNROLL for (int j = 0; j < states; ++j) {
        x[j] = from[j];
        mean[j] = load(to[j]->mean);
        squares[j] = load(to[j]->squares);
        together[j] = load(to[j]->together);
        min[j] = load(to[j]->min);
        max[j] = load(to[j]->max);
    }
    for (Size i = 0; i < rows; ++i) {
        const Pack inverse = all(steps[i].inverse), from_number = all(steps[i].from_number);
        SURGETANK_UNROLL for (int j = 0; j < states; ++j) {
            const Pack sample = load(x[j][i]), delta = sample - mean[j];
            min[j] = lesser(sample, min[j]);
            max[j] = greater(sample, max[j]);
            welford(sample, inverse, mean[j], squares[j]);
            together[j] = together[j] + delta * from_number;
        }
    }
    const Step& end = steps[rows - 1];
    for (int j = 0; j < states; ++j) {
        Running& s = *to[j];
        store(s.mean, mean[j]);
        store(s.squares, squares[j]);
        store(s.together, together[j]);
        store(s.min, min[j]);
        store(s.max, max[j]);
        store(s.count, all(static_cast<double>(number + rows)));
        store(s.numbers, all(end.numbers));
        store(s.number_squares, all(end.number_squares));
        store(s.last, load(x[j][rows - 1]));
        store(s.last_index, all(static_cast<double>(number + rows - 1)));
    }
}

void add_whole(const Row* const* x, Size states, Size rows, Size number, const Step* steps, Running* const* state) {
    if (rows == 0) return;
    if (states == 2 && registers == 1) return add_rows<2>(x, rows, number, steps, state);
    for (Size j = 0; j < states; ++j) add_rows<1>(x + j, rows, number, steps, state + j);
}

void add(const Row* from, Size rows, Size number, Running& s) {
    const Pack zero = all(0), one = all(1);
    Pack count = load(s.count), mean = load(s.mean), squares = load(s.squares), together = load(s.together);
    Pack numbers = load(s.numbers), number_squares = load(s.number_squares);
    Pack min = load(s.min), max = load(s.max), last = load(s.last), last_index = load(s.last_index);
    Pack inverse = one / where(zero < count, count, one);
    for (Size i = 0; i < rows; ++i) {
        const Pack sample = load(from[i]), at = all(static_cast<double>(number + i));
        const Mask observed = sample == sample;
        min = lesser(sample, min);  // false for NaN
        max = greater(sample, max);
        last = where(observed, sample, last);
        last_index = where(observed, at, last_index);
        const Pack x = where(observed, sample, mean), delta = x - mean;
        const Pack before = where(observed, at - numbers * inverse, zero);
        count = count + where(observed, one, zero);
        numbers = numbers + where(observed, at, zero);
        inverse = one / where(zero < count, count, one);
        const Pack from_number = next_number(at, before, inverse, numbers, number_squares);
        welford(x, inverse, mean, squares);
        together = together + delta * from_number;
    }
    store(s.count, count);
    store(s.mean, mean);
    store(s.squares, squares);
    store(s.together, together);
    store(s.numbers, numbers);
    store(s.number_squares, number_squares);
    store(s.min, min);
    store(s.max, max);
    store(s.last, last);
    store(s.last_index, last_index);
}

void bin(const double* x, Size n, double low, double scale, unsigned char* bins) {
    for (Size i = 0; i < n; ++i) bins[i] = static_cast<unsigned char>(static_cast<int>((x[i] - low) * scale));
}

Size collect(const double* x, const unsigned char* bins, Size n, unsigned char wanted, double* out) {
    typedef unsigned char Bytes __attribute__((vector_size(16)));
    Size found = 0, i = 0;
    for (; i + 16 <= n; i += 16) {
        Bytes b;
        __builtin_memcpy(&b, bins + i, sizeof b);
        const auto hit = b == wanted;
        std::uint64_t half[2];
        __builtin_memcpy(half, &hit, sizeof half);
        if ((half[0] | half[1]) == 0) continue;
        for (Size j = i; j < i + 16; ++j)
            if (bins[j] == wanted) out[found++] = x[j];
    }
    for (; i < n; ++i)
        if (bins[i] == wanted) out[found++] = x[i];
    return found;
}

Size observed(const double* x, Size n, double* out) {
    Size found = 0;
    for (Size i = 0; i < n; ++i) {
        out[found] = x[i];
        found += x[i] == x[i];
    }
    return found;
}

}  // namespace

extern const Kernels table;
const Kernels table{load_rows, load_columns, rolling, add, add_whole, count, bin, collect, observed};

}  // namespace surgetank::lanes::SURGETANK_LEVEL
