// Words and floats in one register, for sampling_kernels.cpp alone; in an unnamed namespace, as lanes_pack.hpp is.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#include <immintrin.h>
#define SURGETANK_REGISTER 64
#elif defined(__AVX2__)
#include <immintrin.h>
#define SURGETANK_REGISTER 32
#else
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#define SURGETANK_REGISTER 16
#endif
#define SURGETANK_INLINE inline __attribute__((always_inline))
#define SURGETANK_UNROLL _Pragma("GCC unroll 16")

namespace {

typedef std::uint32_t Words __attribute__((vector_size(SURGETANK_REGISTER)));
typedef std::int32_t Ints __attribute__((vector_size(SURGETANK_REGISTER)));
typedef std::uint64_t Longs __attribute__((vector_size(SURGETANK_REGISTER)));
typedef float Floats __attribute__((vector_size(SURGETANK_REGISTER)));
typedef Words WordsAnywhere __attribute__((aligned(4), may_alias));
typedef Floats FloatsAnywhere __attribute__((aligned(4), may_alias));
typedef double Doubles __attribute__((vector_size(SURGETANK_REGISTER)));
typedef std::int64_t Signed __attribute__((vector_size(SURGETANK_REGISTER)));
typedef Signed SignedAnywhere __attribute__((aligned(8), may_alias));
typedef Doubles DoublesAnywhere __attribute__((aligned(8), may_alias));
constexpr int lanes = SURGETANK_REGISTER / 4, doubles = SURGETANK_REGISTER / 8;
#if SURGETANK_REGISTER == 64
constexpr Longs even_numbers = {0, 2, 4, 6, 8, 10, 12, 14};
#elif SURGETANK_REGISTER == 32
constexpr Longs even_numbers = {0, 2, 4, 6};
#else
constexpr Longs even_numbers = {0, 2};
#endif

#if SURGETANK_REGISTER == 64
SURGETANK_INLINE Longs multiply(Longs a, Longs b) { return (Longs)_mm512_mul_epu32((__m512i)a, (__m512i)b); }
SURGETANK_INLINE Longs differ(Longs a, Longs b, Longs c) {
    return (Longs)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
}
SURGETANK_INLINE Words interleave(Longs even, Longs odd) {
    return (Words)_mm512_mask_blend_epi32(0xAAAA, (__m512i)even, (__m512i)(odd << 32));
}
SURGETANK_INLINE Floats root(Floats a) { return (Floats)_mm512_sqrt_ps((__m512)a); }
SURGETANK_INLINE Floats lesser(Floats a, Floats b) { return (Floats)_mm512_min_ps((__m512)a, (__m512)b); }
SURGETANK_INLINE Floats greater(Floats a, Floats b) { return (Floats)_mm512_max_ps((__m512)a, (__m512)b); }
SURGETANK_INLINE Doubles lesser(Doubles a, Doubles b) { return (Doubles)_mm512_min_pd((__m512d)a, (__m512d)b); }
SURGETANK_INLINE Doubles greater(Doubles a, Doubles b) { return (Doubles)_mm512_max_pd((__m512d)a, (__m512d)b); }
SURGETANK_INLINE Floats gather(const float* from, Ints at) { return (Floats)_mm512_i32gather_ps((__m512i)at, from, 4); }
typedef __mmask16 Truth;
SURGETANK_INLINE Truth less(Floats a, Floats b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
/// Where `m`: a, elsewhere b.
SURGETANK_INLINE Floats where(Truth m, Floats a, Floats b) {
    return (Floats)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a);
}
SURGETANK_INLINE Floats number(Ints a) { return (Floats)_mm512_cvtepi32_ps((__m512i)a); }
SURGETANK_INLINE Truth less(Words a, Words b) { return _mm512_cmplt_epu32_mask((__m512i)a, (__m512i)b); }
SURGETANK_INLINE Ints counted_from(std::ptrdiff_t i) {
    return Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + static_cast<std::int32_t>(i);
}
/// Writes those of `a` that are true, one after the other, and whatever to the rest of a register; how many they are.
SURGETANK_INLINE int compress(Truth m, Ints a, std::int32_t* to) {
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(m, (__m512i)a));
    return __builtin_popcount(m);
}
SURGETANK_INLINE Ints whole(Floats a) { return (Ints)_mm512_cvttps_epi32((__m512)a); }
#elif SURGETANK_REGISTER == 32
SURGETANK_INLINE Longs multiply(Longs a, Longs b) { return (Longs)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
SURGETANK_INLINE Longs differ(Longs a, Longs b, Longs c) { return a ^ b ^ c; }
SURGETANK_INLINE Words interleave(Longs even, Longs odd) {
    return (Words)_mm256_blend_epi32((__m256i)even, (__m256i)(odd << 32), 0xAA);
}
SURGETANK_INLINE Floats root(Floats a) { return (Floats)_mm256_sqrt_ps((__m256)a); }
SURGETANK_INLINE Floats lesser(Floats a, Floats b) { return (Floats)_mm256_min_ps((__m256)a, (__m256)b); }
SURGETANK_INLINE Floats greater(Floats a, Floats b) { return (Floats)_mm256_max_ps((__m256)a, (__m256)b); }
SURGETANK_INLINE Doubles lesser(Doubles a, Doubles b) { return (Doubles)_mm256_min_pd((__m256d)a, (__m256d)b); }
SURGETANK_INLINE Doubles greater(Doubles a, Doubles b) { return (Doubles)_mm256_max_pd((__m256d)a, (__m256d)b); }
SURGETANK_INLINE Floats gather(const float* from, Ints at) { return (Floats)_mm256_i32gather_ps(from, (__m256i)at, 4); }
typedef __m256 Truth;
SURGETANK_INLINE Truth less(Floats a, Floats b) { return _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ); }
SURGETANK_INLINE Floats where(Truth m, Floats a, Floats b) { return (Floats)_mm256_blendv_ps((__m256)b, (__m256)a, m); }
SURGETANK_INLINE Floats number(Ints a) { return (Floats)_mm256_cvtepi32_ps((__m256i)a); }
SURGETANK_INLINE Ints whole(Floats a) { return (Ints)_mm256_cvttps_epi32((__m256)a); }
#else
#if defined(__SSE2__)
SURGETANK_INLINE Longs multiply(Longs a, Longs b) { return (Longs)_mm_mul_epu32((__m128i)a, (__m128i)b); }
SURGETANK_INLINE Floats root(Floats a) { return (Floats)_mm_sqrt_ps((__m128)a); }
SURGETANK_INLINE Floats lesser(Floats a, Floats b) { return (Floats)_mm_min_ps((__m128)a, (__m128)b); }
SURGETANK_INLINE Floats greater(Floats a, Floats b) { return (Floats)_mm_max_ps((__m128)a, (__m128)b); }
#else
SURGETANK_INLINE Longs multiply(Longs a, Longs b) { return (a & 0xffffffffu) * (b & 0xffffffffu); }
SURGETANK_INLINE Floats root(Floats a) {
    Floats out;
    for (int i = 0; i < lanes; ++i) out[i] = __builtin_sqrtf(a[i]);
    return out;
}
SURGETANK_INLINE Floats lesser(Floats a, Floats b) { return a < b ? a : b; }
SURGETANK_INLINE Floats greater(Floats a, Floats b) { return a > b ? a : b; }
#endif
SURGETANK_INLINE Doubles lesser(Doubles a, Doubles b) { return a < b ? a : b; }
SURGETANK_INLINE Doubles greater(Doubles a, Doubles b) { return a > b ? a : b; }
SURGETANK_INLINE Longs differ(Longs a, Longs b, Longs c) { return a ^ b ^ c; }
SURGETANK_INLINE Words interleave(Longs even, Longs odd) { return (Words)((even & 0xffffffffu) | (odd << 32)); }
SURGETANK_INLINE Floats gather(const float* from, Ints at) {
    return Floats{from[at[0]], from[at[1]], from[at[2]], from[at[3]]};
}
typedef Ints Truth;
SURGETANK_INLINE Truth less(Floats a, Floats b) { return a < b; }
SURGETANK_INLINE Floats where(Truth m, Floats a, Floats b) { return (Floats)(((Ints)a & m) | ((Ints)b & ~m)); }
SURGETANK_INLINE Floats number(Ints a) { return __builtin_convertvector(a, Floats); }
SURGETANK_INLINE Ints whole(Floats a) { return __builtin_convertvector(a, Ints); }
#endif

SURGETANK_INLINE Floats each(float x) { return Floats{} + x; }
SURGETANK_INLINE void store(std::uint32_t* to, Words a) { *reinterpret_cast<WordsAnywhere*>(to) = a; }
SURGETANK_INLINE void store(float* to, Floats a) { *reinterpret_cast<FloatsAnywhere*>(to) = a; }
SURGETANK_INLINE Words load(const std::uint32_t* from) { return *reinterpret_cast<const WordsAnywhere*>(from); }
SURGETANK_INLINE Signed load(const std::int64_t* from) { return *reinterpret_cast<const SignedAnywhere*>(from); }
SURGETANK_INLINE Doubles load(const double* from) { return *reinterpret_cast<const DoublesAnywhere*>(from); }
SURGETANK_INLINE Floats load(const float* from) { return *reinterpret_cast<const FloatsAnywhere*>(from); }

}  // namespace
