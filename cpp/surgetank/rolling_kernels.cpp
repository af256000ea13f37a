// Compiled once for each instruction set, with SURGETANK_LEVEL naming it: see rolling_kernels.hpp for the rules.
#include "surgetank/rolling_kernels.hpp"

#include "surgetank/kernel_bits.hpp"

#ifndef SURGETANK_LEVEL
#define SURGETANK_LEVEL plain
#endif

namespace surgetank::rolling::SURGETANK_LEVEL {
namespace {

#define SURGETANK_INLINE inline __attribute__((always_inline))
#define SURGETANK_UNROLL _Pragma("GCC unroll 8")

/// As series::between.
SURGETANK_INLINE double between(double low, double high, double part) {
    if (low == high || part == 0) return low;
    const double gap = high - low;
    if (gap > __DBL_MAX__) return low * (1 - part) + high * part;
    return part < 0.5 ? low + gap * part : high - gap * (1 - part);
}

/// Between which order statistics of n values a quantile lies, and how far.
struct Place {
    Size below;
    double part;
};

SURGETANK_INLINE Place place(double probability, Size n) {
    const double position = probability * static_cast<double>(n - 1);
    const Size below = static_cast<Size>(position);
    return {below, position - static_cast<double>(below)};
}

/// Fills a column of results: NaN where the window holds nothing.
SURGETANK_INLINE void nothing(const Trailing& job, Size at) {
    for (Size k = 0; k < job.count; ++k) job.out[k][at] = __builtin_nan("");
}

/// The places of all quantiles among n values, computed anew where n changes.
struct Places {
    Size n = 0;
    Place at[most_quantiles];

    SURGETANK_INLINE void of(const Trailing& job, Size count) {
        if (count == n) return;
        n = count;
        for (Size k = 0; k < job.count; ++k) at[k] = place(job.probability[k], n);
    }
};

/// The windows that end at samples [begin, end), from the one before them on, which holds nothing yet.
template <class Window>
struct Stretch {
    Size t, next, at, end, oldest;  // the sample at hand, where the next window ends, its place; the first one held

    SURGETANK_INLINE void start(const Trailing& job, Size begin, Size ends) {
        at = begin <= job.first ? 0 : (begin - job.first + job.every - 1) / job.every;
        next = job.first + at * job.every;
        end = ends;
        t = oldest = next - job.window + 1 < 0 ? 0 : next - job.window + 1;
    }
    SURGETANK_INLINE bool over() const { return next >= end; }
    SURGETANK_INLINE void step(const Trailing& job, Window& window) {
        const Size gone = t - job.window;
        window.exchange(gone >= oldest ? job.rank[gone] : no_rank, job.rank[t]);
        if (t == next) {
            window.emit(job, at++);
            next += job.every;
        }
        ++t;
    }
};

/// Two stretches of the series in turn, so that the processor works on one while the other waits for its memory.
template <class Window>
SURGETANK_INLINE void both(const Trailing& job, Window& a, Window& b) {
    // A stretch that begins later has to fill its window first.
    const bool worth = job.samples - job.first > 4 * job.window;
    const Size middle = worth ? job.first + (job.samples - job.first + job.window) / 2 : job.samples;
    Stretch<Window> one, other;
    one.start(job, 0, middle);
    other.start(job, middle, job.samples);
    while (!one.over() && !other.over()) {
        one.step(job, a);
        other.step(job, b);
    }
    while (!one.over()) one.step(job, a);
    while (!other.over()) other.step(job, b);
}

// One rank leaves a sorted list and another enters it: every element looks at its neighbours alone, so the list is
// moved along in whole registers. Lists end in `none`s, which are larger than every rank; before them lies a 0.
template <class Rank>
struct List {
    static constexpr Rank none = sizeof(Rank) == 2 ? 0x7fff : 0x7fffffff;
    static constexpr Size lanes = 64 / sizeof(Rank);

    Rank *now, *then;
    Size width, n = 0;
    Places places;

    SURGETANK_INLINE Rank* clear(Rank* memory, Size window) {
        width = (window + lanes - 1) / lanes * lanes;
        now = memory + lanes;
        then = now + width + 2 * lanes;
        for (Size i = -lanes; i < width + lanes; ++i) now[i] = then[i] = i < 0 ? Rank{0} : none;
        return then + width + lanes;
    }
    SURGETANK_INLINE void exchange(std::int32_t leaves, std::int32_t enters) {
        const Rank left = leaves == no_rank ? none : static_cast<Rank>(leaves);
        const Rank entered = enters == no_rank ? none : static_cast<Rank>(enters);
        n += (enters != no_rank) - (leaves != no_rank);
        const Rank* __restrict a = now;
        Rank* __restrict out = then;
        for (Size i = 0; i < width; ++i) {
            const Rank lower = a[i - 1], own = a[i], upper = a[i + 1];
            const Rank before = lower < left ? lower : own, here = own < left ? own : upper;
            const Rank least = here < entered ? here : entered;
            out[i] = before > least ? before : least;
        }
        then = now;
        now = out;
    }
    SURGETANK_INLINE void emit(const Trailing& job, Size at) {
        if (n == 0) return nothing(job, at);
        places.of(job, n);
        for (Size k = 0; k < job.count; ++k) {
            const Size below = places.at[k].below;
            const double part = places.at[k].part, low = job.sorted[now[below]];
            job.out[k][at] = part == 0 ? low : between(low, job.sorted[now[below + 1]], part);
        }
    }
};

template <class Rank>
SURGETANK_INLINE void list_of(const Trailing& job) {
    List<Rank> a, b;
    b.clear(a.clear(static_cast<Rank*>(job.scratch), job.window), job.window);
    both(job, a, b);
}

void list(const Trailing& job) {
    if (job.observed < 0x7fff) return list_of<std::int16_t>(job);
    list_of<std::int32_t>(job);
}

// A bit for each rank, and of each quantile the word that held its lower order statistic last, with how many of the
// window lie in words before.
struct Bits {
    Word* has;
    Size n = 0;
    Size word[most_quantiles], before[most_quantiles];
    Places places;

    SURGETANK_INLINE Word* clear(Word* memory, Size observed) {
        const Size words = (observed + 63) / 64 + 1;
        has = memory;
        for (Size i = 0; i < words; ++i) has[i] = 0;
        for (Size k = 0; k < most_quantiles; ++k) word[k] = before[k] = 0;
        return has + words;
    }
    SURGETANK_INLINE void exchange(std::int32_t leaves, std::int32_t enters) {
        Size left = INT64_MAX, entered = INT64_MAX;  // words beyond every quantile's
        if (leaves != no_rank) {
            left = leaves >> 6;
            has[left] &= ~(Word{1} << (leaves & 63));
            --n;
        }
        if (enters != no_rank) {
            entered = enters >> 6;
            has[entered] |= Word{1} << (enters & 63);
            ++n;
        }
        for (Size k = 0; k < most_quantiles; ++k) before[k] += Size{entered < word[k]} - Size{left < word[k]};
    }
    SURGETANK_INLINE void emit(const Trailing& job, Size at) {
        if (n == 0) return nothing(job, at);
        places.of(job, n);
        for (Size k = 0; k < job.count; ++k) {
            const Size below = places.at[k].below;
            const double part = places.at[k].part;
            Size here = word[k], less = before[k], inside = count_of(has[here]);
            if (below - less >= inside || below < less) {
                while (below < less) less -= count_of(has[--here]);
                for (inside = count_of(has[here]); below >= less + inside; inside = count_of(has[here])) {
                    less += inside;
                    ++here;
                }
                word[k] = here;
                before[k] = less;
            }
            const int bit = place_of(has[here], below - less);
            const double low = job.sorted[here * 64 + bit];
            if (part == 0) {
                job.out[k][at] = low;
                continue;
            }
            Word above = has[here] & (~Word{1} << bit);
            while (above == 0) above = has[++here];
            job.out[k][at] = between(low, job.sorted[here * 64 + __builtin_ctzll(above)], part);
        }
    }
};

// Windows that are full, in which one sample takes the place of another: an order statistic moves to a neighbour, or
// not at all if both lie on one side of it.
SURGETANK_INLINE std::int32_t above(const Word* has, std::int32_t rank) {
    Size word = (rank + 1) >> 6;
    Word rest = has[word] & (~Word{0} << ((rank + 1) & 63));
    while (rest == 0) rest = has[++word];
    return static_cast<std::int32_t>(word * 64 + __builtin_ctzll(rest));
}

SURGETANK_INLINE std::int32_t below(const Word* has, std::int32_t rank) {
    Size word = (rank - 1) >> 6;
    Word rest = has[word] & (~Word{0} >> (63 - ((rank - 1) & 63)));
    while (rest == 0) rest = has[--word];
    return static_cast<std::int32_t>(word * 64 + 63 - __builtin_clzll(rest));
}

/// `count` quantiles, from number `from` on: known when compiled, so that all that is known of them stays in registers.
template <int count>
SURGETANK_INLINE void follow_some(const Trailing& job, Size from) {
    Word* const has = static_cast<Word*>(job.scratch);
    const std::int32_t* const rank = job.rank;
    const double* const sorted = job.sorted;
    const Size words = (job.observed + 63) / 64 + 1, first = job.first, window = job.window, samples = job.samples;
    for (Size i = 0; i < words; ++i) has[i] = 0;
    has[job.observed >> 6] |= Word{1} << (job.observed & 63);  // above all ranks
    for (Size t = first - window + 1; t <= first; ++t) has[rank[t] >> 6] |= Word{1} << (rank[t] & 63);
    std::int32_t low[count], high[count];  // the ranks between which a quantile lies …
    double part[count], value[count];      // … and how far
    double* out[count];
    SURGETANK_UNROLL for (int k = 0; k < count; ++k) {
        const Place at = place(job.probability[from + k], window);
        Size word = 0, left = at.below;
        while (left >= count_of(has[word])) left -= count_of(has[word++]);
        low[k] = static_cast<std::int32_t>(word * 64 + place_of(has[word], left));
        high[k] = above(has, low[k]);
        part[k] = at.part;
        out[k] = job.out[from + k];
        value[k] = part[k] == 0 ? sorted[low[k]] : between(sorted[low[k]], sorted[high[k]], part[k]);
        out[k][0] = value[k];
    }
    for (Size t = first + 1; t < samples; ++t) {
        const std::int32_t old = rank[t - window], now = rank[t];
        has[old >> 6] &= ~(Word{1} << (old & 63));
        has[now >> 6] |= Word{1} << (now & 63);
        const std::int32_t least = old < now ? old : now, most = old < now ? now : old;
        SURGETANK_UNROLL for (int k = 0; k < count; ++k) {
            if (most >= low[k] && least <= high[k]) {
                if (old <= low[k] && now > low[k]) low[k] = above(has, low[k]);
                else if (old >= low[k] && now < low[k]) low[k] = below(has, low[k]);
                high[k] = above(has, low[k]);
                value[k] = part[k] == 0 ? sorted[low[k]] : between(sorted[low[k]], sorted[high[k]], part[k]);
            }
            out[k][t - first] = value[k];
        }
    }
}

void follow(const Trailing& job) {
    for (Size from = 0; from < job.count;) {
        const Size left = job.count - from;
        if (left == 1) follow_some<1>(job, from);
        else if (left == 2) follow_some<2>(job, from);
        else if (left == 3) follow_some<3>(job, from);
        else if (left == 4) follow_some<4>(job, from);
        else follow_some<5>(job, from);
        from += left < 5 ? left : 5;
    }
}

void bits(const Trailing& job) {
    Bits a, b;
    b.clear(a.clear(static_cast<Word*>(job.scratch), job.observed), job.observed);
    both(job, a, b);
}

}  // namespace

extern const Kernels table;
const Kernels table{list, bits, follow};

}  // namespace surgetank::rolling::SURGETANK_LEVEL
