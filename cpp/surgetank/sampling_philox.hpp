// Random words, a register at a time, for sampling_kernels.cpp alone; in an unnamed namespace, as lanes_pack.hpp is.
#pragma once

#include "surgetank/sampling_kernels.hpp"
#include "surgetank/sampling_pack.hpp"

namespace {

using surgetank::sampling::group;
using surgetank::sampling::round_count;
using surgetank::sampling::Size;
using surgetank::sampling::Stream;

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

}  // namespace
