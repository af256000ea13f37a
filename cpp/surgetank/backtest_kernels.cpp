// Compiled once for each instruction set, with SURGETANK_LEVEL naming it: see backtest_kernels.hpp for the rules.
#include "surgetank/backtest_kernels.hpp"

#include "surgetank/kernel_bits.hpp"
#include "surgetank/lanes_pack.hpp"

#ifndef SURGETANK_LEVEL
#define SURGETANK_LEVEL plain
#endif

namespace surgetank::backtest::SURGETANK_LEVEL {
namespace {

constexpr Size lanes = 8;
constexpr double lowest = -__builtin_inf();

/// The lanes of the pack at `at` that lie in [from, end).
SURGETANK_INLINE unsigned inside(Size at, Size from, Size end) {
    const unsigned begin = from > at ? 0xffu << (from - at) : 0xffu;
    return begin & (end - at >= lanes ? 0xffu : (1u << (end - at)) - 1);
}

// max as a NaN is left out of it: the first argument where either is NaN would be the second.
SURGETANK_INLINE Pack least_upper(const Pack& value, const Pack& top) { return where(top < value, value, top); }

template <bool negated>
SURGETANK_INLINE double top_of(const double* value) {
    Pack top = all(lowest);
    for (Size i = 0; i < in_block; i += lanes) {
        const Pack here = load(value + i);
        top = least_upper(negated ? all(-0.0) - here : here, top);
    }
    alignas(64) double lane[lanes];
    store(lane, top);
    double most = lane[0];
    for (int i = 1; i < lanes; ++i) most = most < lane[i] ? lane[i] : most;
    return most;
}

void tops(double* value, Size n, double* top, double* bottom) {
    const Size blocks = (n + in_block - 1) / in_block, padded = (blocks + lanes - 1) / lanes * lanes;
    for (Size i = n; i < blocks * in_block; ++i) value[i] = __builtin_nan("");
    for (Size i = 0; i < padded; ++i) top[i] = i < blocks ? top_of<false>(value + i * in_block) : lowest;
    if (bottom == nullptr) return;
    for (Size i = 0; i < padded; ++i) bottom[i] = i < blocks ? top_of<true>(value + i * in_block) : lowest;
}

/// Calls visit(first lane's index, mask) for the packs of [from, end) with a hit, until it says that it has enough;
/// `hits` gives the mask of the pack at an index.
template <class Hits, class Visit>
SURGETANK_INLINE bool over(Size from, Size end, Hits&& hits, Visit&& visit) {
    for (Size i = from & ~(lanes - 1); i < end; i += lanes) {
        const unsigned found = hits(i) & inside(i, from, end);
        if (found != 0 && visit(i, found)) return true;
    }
    return false;
}

/// The same for the blocks of [from, end) whose tops are hit, then within them.
template <class BlockHits, class Hits, class Visit>
SURGETANK_INLINE void through(Size from, Size end, BlockHits&& block_hits, Hits&& hits, Visit&& visit) {
    if (from >= end) return;
    over(from / in_block, (end - 1) / in_block + 1, block_hits, [&](Size blocks, unsigned found) {
        for (; found != 0; found &= found - 1) {
            const Size begin = (blocks + __builtin_ctz(found)) * in_block, stop = begin + in_block;
            if (over(begin < from ? from : begin, stop < end ? stop : end, hits, visit)) return true;
        }
        return false;
    });
}

Size above(const Track& track, Size from, Size end, double high) {
    const Pack bound = all(high);
    Size at = end;
    through(
        from, end, [&](Size i) { return bits(bound < load(track.top + i)); },
        [&](Size i) { return bits(bound < load(track.value + i)); },
        [&](Size i, unsigned found) {
            at = i + __builtin_ctz(found);
            return true;
        });
    return at;
}

Size outside(const Track& track, const double* bottom, Size from, Size end, double high, double low) {
    const Pack upper = all(high), lower = all(low), negated = all(-low);
    Size at = end;
    through(
        from, end, [&](Size i) { return bits((upper < load(track.top + i)) | (negated < load(bottom + i))); },
        [&](Size i) {
            const Pack value = load(track.value + i);
            return bits((upper < value) | (value < lower));
        },
        [&](Size i, unsigned found) {
            at = i + __builtin_ctz(found);
            return true;
        });
    return at;
}

double sum(const double* value, Size from, Size end) {
    const Pack zero = all(0);
    Pack total = zero;
    for (Size i = from & ~(lanes - 1); i < end; i += lanes) {
        alignas(64) double lane[lanes];
        for (Size k = 0; k < lanes; ++k) lane[k] = i + k >= from && i + k < end ? value[i + k] : 0;
        const Pack here = load(lane);
        total = total + where(here == here, here, zero);
    }
    alignas(64) double lane[lanes];
    store(lane, total);
    double out = 0;
    for (const double part : lane) out += part;
    return out;
}

// The different days among the hits of a block that begins at `begin`, those before included that are not counted yet.
// A day's bits lie together, its last one marked: adding ones below the mark to what is hit below it carries into it.
SURGETANK_INLINE void count_days(const Days& days, Size begin, Word hits, Excess& out) {
    const Word last = days.last[begin / in_block] | Word{1} << (in_block - 1);
    const Word hit = (((hits & ~last) + ~last) | hits) & last;
    out.days += count_of(hit) - (days.end[begin + __builtin_ctzll(hits)] == out.last_day);
    out.last_day = days.end[begin + in_block - 1 - __builtin_clzll(hits)];
}

struct Sums {
    Pack even, odd, most;  // of packs 0, 2, …; of packs 1, 3, …; of both
};

// The whole block that begins at `begin`, whose maximum is `top`.
SURGETANK_INLINE Word excess_of(const double* value, Size begin, double top, const Pack& quota, Sums& sums) {
    const Pack zero = all(0);
    Word hits = 0;
    SURGETANK_UNROLL for (Size i = 0; i < in_block; i += lanes) {
        const Pack over_by = greater(load(value + begin + i) - quota, zero);  // of NaN: 0
        Pack& sum = i / lanes % 2 == 0 ? sums.even : sums.odd;
        sum = sum + over_by;
        hits |= Word{bits(zero < over_by)} << i;
    }
    sums.most = greater(all(top) - quota, sums.most);
    return hits;
}

// The block as far as it lies in [from, end).
SURGETANK_INLINE Word excess_within(const double* value, Size begin, Size from, Size end, const Pack& quota,
                                    Sums& sums) {
    const Pack zero = all(0);
    alignas(64) const double numbers[lanes] = {0, 1, 2, 3, 4, 5, 6, 7};
    const Pack low = all(static_cast<double>(from)), high = all(static_cast<double>(end));
    Word hits = 0;
    SURGETANK_UNROLL for (Size i = 0; i < in_block; i += lanes) {
        const Pack at = load(numbers) + all(static_cast<double>(begin + i));
        const Pack above = greater(load(value + begin + i) - quota, zero);
        const Pack over_by = where((low <= at) & (at < high), above, zero);
        Pack& sum = i / lanes % 2 == 0 ? sums.even : sums.odd;
        sum = sum + over_by;
        sums.most = greater(over_by, sums.most);
        hits |= Word{bits(zero < over_by)} << i;
    }
    return hits;
}

void excess(const Track& track, const Days& days, Size from, Size end, double quota, Excess& out) {
    if (from >= end) return;
    const Pack bound = all(quota);
    Sums sums{load(out.sum), load(out.sum + lanes), load(out.most)};
    over(
        from / in_block, (end - 1) / in_block + 1, [&](Size i) { return bits(bound < load(track.top + i)); },
        [&](Size i, unsigned found) {
            for (; found != 0; found &= found - 1) {
                const Size block = i + __builtin_ctz(found), begin = block * in_block;
                const bool whole = begin >= from && begin + in_block <= end;
                const Word hits = whole ? excess_of(track.value, begin, track.top[block], bound, sums)
                                        : excess_within(track.value, begin, from, end, bound, sums);
                if (hits == 0) continue;
                out.count += count_of(hits);
                count_days(days, begin, hits, out);
                if (out.each == nullptr) continue;
                for (Word rest = hits; rest != 0; rest &= rest - 1)
                    *out.each++ = track.value[begin + __builtin_ctzll(rest)] - quota;
            }
            return false;
        });
    store(out.sum, sums.even);
    store(out.sum + lanes, sums.odd);
    store(out.most, sums.most);
}

}  // namespace

extern const Kernels table;
const Kernels table{tops, above, outside, sum, excess};

}  // namespace surgetank::backtest::SURGETANK_LEVEL
