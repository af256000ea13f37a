// Counting and finding bits, for the files that are compiled once for each instruction set. In an unnamed namespace:
// nothing here may be shared between levels.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__BMI2__)
#include <immintrin.h>
#endif

namespace {

typedef std::uint64_t Word;

inline __attribute__((always_inline)) std::ptrdiff_t count_of(Word word) {
#if defined(__POPCNT__)
    return __builtin_popcountll(word);
#else  // the compiler would call a library's, which any level may have brought
    word = word - ((word >> 1) & 0x5555555555555555u);
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    return static_cast<std::ptrdiff_t>((((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56);
#endif
}

/// Where the k-th bit (from 0) is in a word that has more than k.
inline __attribute__((always_inline)) int place_of(Word word, std::ptrdiff_t k) {
#if defined(__BMI2__)
    return __builtin_ctzll(_pdep_u64(Word{1} << k, word));
#else
    for (; k > 0; --k) word &= word - 1;
    return __builtin_ctzll(word);
#endif
}

}  // namespace
