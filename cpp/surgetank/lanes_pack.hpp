// Eight doubles in as many registers as the instruction set needs; for lanes_kernels.cpp alone.
//
// GCC's and Clang's vector extension at the native width (wider than native was 5–15 times slower), so that one source
// serves every level and architecture. In an unnamed namespace: nothing here may be shared between levels.
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

namespace {

typedef double Register __attribute__((vector_size(SURGETANK_REGISTER)));
typedef double Anywhere __attribute__((vector_size(SURGETANK_REGISTER), aligned(8), may_alias));  // in memory
constexpr int in_register = SURGETANK_REGISTER / 8;
constexpr int registers = 8 / in_register;
constexpr unsigned all_lanes = (1u << in_register) - 1;

#define SURGETANK_INLINE inline __attribute__((always_inline))

// Comparisons of one register, and what they choose: intrinsics, because compilers spell these out at length.
#if SURGETANK_REGISTER == 64
typedef __mmask8 Truth;
SURGETANK_INLINE Truth less(Register a, Register b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
SURGETANK_INLINE Truth at_most(Register a, Register b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
SURGETANK_INLINE Truth same(Register a, Register b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
SURGETANK_INLINE Truth differ(Register a, Register b) { return _mm512_cmp_pd_mask(a, b, _CMP_NEQ_UQ); }
SURGETANK_INLINE Register lesser(Register a, Register b) { return _mm512_min_pd(a, b); }
SURGETANK_INLINE Register greater(Register a, Register b) { return _mm512_max_pd(a, b); }
SURGETANK_INLINE Register choose(Truth m, Register a, Register b) { return _mm512_mask_blend_pd(m, b, a); }
SURGETANK_INLINE unsigned lanes_of(Truth m) { return m; }
SURGETANK_INLINE Truth between(Register a, Register low, Register high) {  // as integers, which order like sizes
    return _mm512_cmple_epu64_mask((__m512i)a - (__m512i)low, (__m512i)high - (__m512i)low);
}
#elif SURGETANK_REGISTER == 32
typedef std::int64_t Truth __attribute__((vector_size(32)));
SURGETANK_INLINE Truth less(Register a, Register b) { return (Truth)_mm256_cmp_pd(a, b, _CMP_LT_OQ); }
SURGETANK_INLINE Truth at_most(Register a, Register b) { return (Truth)_mm256_cmp_pd(a, b, _CMP_LE_OQ); }
SURGETANK_INLINE Truth same(Register a, Register b) { return (Truth)_mm256_cmp_pd(a, b, _CMP_EQ_OQ); }
SURGETANK_INLINE Truth differ(Register a, Register b) { return (Truth)_mm256_cmp_pd(a, b, _CMP_NEQ_UQ); }
SURGETANK_INLINE Register lesser(Register a, Register b) { return _mm256_min_pd(a, b); }
SURGETANK_INLINE Register greater(Register a, Register b) { return _mm256_max_pd(a, b); }
SURGETANK_INLINE Register choose(Truth m, Register a, Register b) { return _mm256_blendv_pd(b, a, (__m256d)m); }
SURGETANK_INLINE unsigned lanes_of(Truth m) { return static_cast<unsigned>(_mm256_movemask_pd((__m256d)m)); }
#elif defined(__SSE2__)
typedef std::int64_t Truth __attribute__((vector_size(16)));
SURGETANK_INLINE Truth less(Register a, Register b) { return (Truth)_mm_cmplt_pd(a, b); }
SURGETANK_INLINE Truth at_most(Register a, Register b) { return (Truth)_mm_cmple_pd(a, b); }
SURGETANK_INLINE Truth same(Register a, Register b) { return (Truth)_mm_cmpeq_pd(a, b); }
SURGETANK_INLINE Truth differ(Register a, Register b) { return (Truth)_mm_cmpneq_pd(a, b); }
SURGETANK_INLINE Register lesser(Register a, Register b) { return _mm_min_pd(a, b); }
SURGETANK_INLINE Register greater(Register a, Register b) { return _mm_max_pd(a, b); }
SURGETANK_INLINE Register choose(Truth m, Register a, Register b) {
    return (Register)(((Truth)a & m) | ((Truth)b & ~m));
}
SURGETANK_INLINE unsigned lanes_of(Truth m) { return static_cast<unsigned>(_mm_movemask_pd((__m128d)m)); }
#else
typedef std::int64_t Truth __attribute__((vector_size(16)));
SURGETANK_INLINE Truth less(Register a, Register b) { return a < b; }
SURGETANK_INLINE Truth at_most(Register a, Register b) { return a <= b; }
SURGETANK_INLINE Truth same(Register a, Register b) { return a == b; }
SURGETANK_INLINE Truth differ(Register a, Register b) { return a != b; }
SURGETANK_INLINE Register lesser(Register a, Register b) { return a < b ? a : b; }
SURGETANK_INLINE Register greater(Register a, Register b) { return a > b ? a : b; }
SURGETANK_INLINE Register choose(Truth m, Register a, Register b) { return m ? a : b; }
SURGETANK_INLINE unsigned lanes_of(Truth m) { return (m[0] != 0 ? 1u : 0u) | (m[1] != 0 ? 2u : 0u); }
#endif

#if SURGETANK_REGISTER != 64
SURGETANK_INLINE Truth between(Register a, Register low, Register high) { return at_most(low, a) & at_most(a, high); }
#endif

struct Mask {
    Truth r[registers];
};

struct Pack {
    Register r[registers];
};

// Unrolled by order: a loop left over a few registers would keep them in memory.
#define SURGETANK_UNROLL _Pragma("GCC unroll 8")
#define SURGETANK_EACH SURGETANK_UNROLL for (int k = 0; k < registers; ++k)

SURGETANK_INLINE Pack load(const double* from) {
    Pack out;
    SURGETANK_EACH out.r[k] = *reinterpret_cast<const Anywhere*>(from + k * in_register);
    return out;
}
SURGETANK_INLINE void store(double* to, const Pack& a) {
    SURGETANK_EACH* reinterpret_cast<Anywhere*>(to + k * in_register) = a.r[k];
}
SURGETANK_INLINE Register each(double x) {  // not 0 + x, which −0 makes an addition
#if SURGETANK_REGISTER == 64
    return Register{x, x, x, x, x, x, x, x};
#elif SURGETANK_REGISTER == 32
    return Register{x, x, x, x};
#else
    return Register{x, x};
#endif
}
SURGETANK_INLINE Pack all(double x) {
    Pack out;
    SURGETANK_EACH out.r[k] = each(x);
    return out;
}
SURGETANK_INLINE Pack operator+(const Pack& a, const Pack& b) {
    Pack out;
    SURGETANK_EACH out.r[k] = a.r[k] + b.r[k];
    return out;
}
SURGETANK_INLINE Pack operator-(const Pack& a, const Pack& b) {
    Pack out;
    SURGETANK_EACH out.r[k] = a.r[k] - b.r[k];
    return out;
}
SURGETANK_INLINE Pack operator*(const Pack& a, const Pack& b) {
    Pack out;
    SURGETANK_EACH out.r[k] = a.r[k] * b.r[k];
    return out;
}
SURGETANK_INLINE Pack operator/(const Pack& a, const Pack& b) {
    Pack out;
    SURGETANK_EACH out.r[k] = a.r[k] / b.r[k];
    return out;
}
SURGETANK_INLINE Mask operator<(const Pack& a, const Pack& b) {
    Mask out;
    SURGETANK_EACH out.r[k] = less(a.r[k], b.r[k]);
    return out;
}
SURGETANK_INLINE Mask operator<=(const Pack& a, const Pack& b) {
    Mask out;
    SURGETANK_EACH out.r[k] = at_most(a.r[k], b.r[k]);
    return out;
}
SURGETANK_INLINE Mask operator==(const Pack& a, const Pack& b) {
    Mask out;
    SURGETANK_EACH out.r[k] = same(a.r[k], b.r[k]);
    return out;
}
SURGETANK_INLINE Mask operator!=(const Pack& a, const Pack& b) {
    Mask out;
    SURGETANK_EACH out.r[k] = differ(a.r[k], b.r[k]);
    return out;
}
SURGETANK_INLINE Mask operator&(const Mask& a, const Mask& b) {
    Mask out;
    SURGETANK_EACH out.r[k] = static_cast<Truth>(a.r[k] & b.r[k]);
    return out;
}
SURGETANK_INLINE Mask operator|(const Mask& a, const Mask& b) {
    Mask out;
    SURGETANK_EACH out.r[k] = static_cast<Truth>(a.r[k] | b.r[k]);
    return out;
}
/// a where it is less (b where one is NaN, or both are 0), and the same for more.
SURGETANK_INLINE Pack lesser(const Pack& a, const Pack& b) {
    Pack out;
    SURGETANK_EACH out.r[k] = lesser(a.r[k], b.r[k]);
    return out;
}
SURGETANK_INLINE Pack greater(const Pack& a, const Pack& b) {
    Pack out;
    SURGETANK_EACH out.r[k] = greater(a.r[k], b.r[k]);
    return out;
}
/// Where `m`: a, elsewhere b.
SURGETANK_INLINE Pack where(const Mask& m, const Pack& a, const Pack& b) {
    Pack out;
    SURGETANK_EACH out.r[k] = choose(m.r[k], a.r[k], b.r[k]);
    return out;
}
SURGETANK_INLINE Register absolute_of(Register a) {
    typedef std::int64_t Bits __attribute__((vector_size(SURGETANK_REGISTER)));
    return (Register)((Bits)a & INT64_MAX);
}
SURGETANK_INLINE Pack absolute(const Pack& a) {
    Pack out;
    SURGETANK_EACH out.r[k] = absolute_of(a.r[k]);
    return out;
}

/// 1/count in each lane, of 0: 1. `table` holds them; only AVX-512 looks a number up faster than it divides.
SURGETANK_INLINE Pack reciprocal(const Pack& count, [[maybe_unused]] const double* table) {
    Pack out;
#if SURGETANK_REGISTER == 64
    out.r[0] = _mm512_i64gather_pd(_mm512_cvttpd_epi64(count.r[0]), table, 8);
#else
    SURGETANK_EACH out.r[k] = each(1) / choose(at_most(each(1), count.r[k]), count.r[k], each(1));
#endif
    return out;
}

/// A bit for each lane, lane 0 the lowest.
SURGETANK_INLINE unsigned bits(const Mask& m) {
    unsigned out = 0;
    SURGETANK_EACH out |= lanes_of(m.r[k]) << k * in_register;
    return out;
}

#if __has_builtin(__builtin_shufflevector)
#define SURGETANK_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else  // GCC before 12
#define SURGETANK_PICK(a, b, ...) __builtin_shuffle(a, b, Places{__VA_ARGS__})
typedef std::int64_t Places __attribute__((vector_size(SURGETANK_REGISTER)));
#endif
#define SURGETANK_SWAP(i, j, low, high)                   \
    {                                                     \
        const Register a = r[i], b = r[j];                \
        r[i] = SURGETANK_PICK(a, b, SURGETANK_LIST low);  \
        r[j] = SURGETANK_PICK(a, b, SURGETANK_LIST high); \
    }
#define SURGETANK_LIST(...) __VA_ARGS__

/// Loads a square of registers from rows at from + offset[i], the halves of rows i and i + half the square swapped so
/// that `columns` does the rest. (Halves are put together as they are loaded: one shuffle in three is saved.)
SURGETANK_INLINE void load_halves(Register* r, const double* from, const std::ptrdiff_t* offset) {
#if SURGETANK_REGISTER == 64
    SURGETANK_UNROLL for (int i = 0; i < 4; ++i) {
        const double *const a = from + offset[i], *const b = from + offset[i + 4];
        r[i] = _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(a)), _mm256_loadu_pd(b), 1);
        r[i + 4] = _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(a + 4)), _mm256_loadu_pd(b + 4), 1);
    }
#elif SURGETANK_REGISTER == 32
    SURGETANK_UNROLL for (int i = 0; i < 2; ++i) {
        const double *const a = from + offset[i], *const b = from + offset[i + 2];
        r[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(a)), _mm_loadu_pd(b), 1);
        r[i + 2] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(a + 2)), _mm_loadu_pd(b + 2), 1);
    }
#else
    SURGETANK_UNROLL for (int i = 0; i < 2; ++i) r[i] = *reinterpret_cast<const Anywhere*>(from + offset[i]);
#endif
}

/// Rows whose halves are swapped become columns.
SURGETANK_INLINE void columns(Register* r) {
#if SURGETANK_REGISTER == 64
    SURGETANK_UNROLL for (int k = 0; k < 4; ++k)
        SURGETANK_SWAP(k + (k & 2), k + (k & 2) + 2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
            SURGETANK_UNROLL for (int i = 0; i < 8; i += 2)
                SURGETANK_SWAP(i, i + 1, (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
#elif SURGETANK_REGISTER == 32
    SURGETANK_UNROLL for (int i = 0; i < 4; i += 2) SURGETANK_SWAP(i, i + 1, (0, 4, 2, 6), (1, 5, 3, 7))
#else
    SURGETANK_SWAP(0, 1, (0, 2), (1, 3))
#endif
}
#undef SURGETANK_LIST
#undef SURGETANK_SWAP
#undef SURGETANK_PICK

}  // namespace
