// Products of bfloat16 numbers, summed in float32, by the processor's own instruction: two products and two sums for each of 16
// columns at once. What sums become is written from the registers that they were made in.
//
// A tile of the output is six rows of 64 columns: 24 sums, which leave registers for a row of the right factor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "product_factors.h"

#if defined(__x86_64__)
#define HAS_BFLOAT16_TILES 1
#include <immintrin.h>

namespace engine {

#define TILES __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,bmi,bmi2,fma")))
#define TILES_INLINE __attribute__((always_inline)) TILES static inline

TILES_INLINE __mmask16 first_of(int64_t columns) {
    return columns >= 16 ? __mmask16(0xffff) : __mmask16((1u << std::max<int64_t>(columns, 0)) - 1);
}

/// The first of 32 numbers as bfloat16; the others are zero.
TILES_INLINE __m512i load_numbers(const uint16_t *from, int64_t count) {
    if (count >= 32) return _mm512_loadu_si512(from);
    return _mm512_maskz_loadu_epi16(__mmask32((uint64_t{1} << std::max<int64_t>(count, 0)) - 1), from);
}

TILES_INLINE __m512i load_numbers(const float *from, int64_t count) {
    __m512 low = _mm512_maskz_loadu_ps(first_of(count), from);
    __m512 high = _mm512_maskz_loadu_ps(first_of(count - 16), from + 16);
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

/// Adds both numbers of each pair.
TILES_INLINE void add_pairs(float *sums, __m512i pairs) {
    const __m512i ones = _mm512_set1_epi32(0x3f803f80);
    _mm512_storeu_ps(
        sums, _mm512_dpbf16_ps(_mm512_loadu_ps(sums), reinterpret_cast<__m512bh>(pairs), reinterpret_cast<__m512bh>(ones)));
}

TILES_INLINE void write(float *to, __m512 sums, __mmask16 mask) { _mm512_mask_storeu_ps(to, mask, sums); }

TILES_INLINE void write(uint16_t *to, __m512 sums, __mmask16 mask) {
    auto rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sums));
    if (mask == 0xffff)
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), rounded);
    else
        _mm256_mask_storeu_epi16(to, mask, rounded);
}

struct Bfloat16Tiles {
    using Number = uint16_t;
    /// Numbers of a row that a step takes.
    static constexpr int64_t together = 2;
    /// How many numbers are summed before the sums are put away, so that what is laid out for them stays in the cache; fewer where the
    /// left factor is laid out too.
    static int64_t most_depth(bool lays_out_both) { return lays_out_both ? 1152 : 2048; }

    /// Of these how many are one sum.
    static int64_t summed_at_once(int64_t k) { return k; }

    /// Columns of a panel.
    static int64_t columns() { return 64; }

    /// Rows of numbers as panels [pairs of rows][columns][2], one behind the other; the last is padded with zeros to whole vectors, a
    /// last row to a pair. Each row is read once.
    /// - Parameter sums: to which the sum of each column is added, of padded ones too; or null.
    template <typename Number>
    TILES static void pack_rows(
        const Number *from, int64_t stride, int64_t count, int64_t columns, int64_t panel, uint16_t *to,
        float *sums = nullptr) {
        const __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
        const __m512i upper = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
        for (int64_t i = 0; i < count; i += 2)
            for (int64_t k = 0; k < columns; k += panel) {
                int64_t width = whole(std::min(panel, columns - k), 16);
                uint16_t *pairs = to + whole(count, 2) * k + i * width;
                for (int64_t j = 0; j < width; j += 32) {
                    const Number *row = from + i * stride + k + j;
                    __m512i first = load_numbers(row, columns - k - j);
                    __m512i second = i + 1 < count ? load_numbers(row + stride, columns - k - j) : _mm512_setzero_si512();
                    __m512i low = _mm512_unpacklo_epi16(first, second), high = _mm512_unpackhi_epi16(first, second);
                    __m512i sixteen[] = {_mm512_permutex2var_epi64(low, lower, high), _mm512_permutex2var_epi64(low, upper, high)};
                    for (int64_t e = 0; e < 2 && j + 16 * e < width; ++e) {
                        _mm512_storeu_si512(pairs + 2 * j + 32 * e, sixteen[e]);
                        if (sums != nullptr) add_pairs(sums + k + j + 16 * e, sixteen[e]);
                    }
                }
            }
    }

    /// Columns of `deep` numbers that lie together, as the same panels.
    template <typename Number>
    TILES static void pack_columns(
        const Number *from, int64_t stride, int64_t deep, int64_t columns, int64_t panel, uint16_t *to) {
        for (int64_t i = 0; i < columns; i += 16) {
            int64_t before = i / panel * panel, width = whole(std::min(panel, columns - before), 16);
            uint16_t *pairs = to + whole(deep, 2) * before + 2 * (i - before);
            for (int64_t q = 0; q < deep; q += 32) {
                // 16 x 16 pairs, turned.
                __m512i r[16], t[16];
                for (int e = 0; e < 16; ++e)
                    r[e] = i + e < columns ? load_numbers(from + (i + e) * stride + q, deep - q) : _mm512_setzero_si512();
                for (int e = 0; e < 8; ++e) {
                    t[2 * e] = _mm512_unpacklo_epi32(r[2 * e], r[2 * e + 1]);
                    t[2 * e + 1] = _mm512_unpackhi_epi32(r[2 * e], r[2 * e + 1]);
                }
                for (int e = 0; e < 4; ++e)
                    for (int h = 0; h < 2; ++h) {
                        r[4 * e + 2 * h] = _mm512_unpacklo_epi64(t[4 * e + h], t[4 * e + 2 + h]);
                        r[4 * e + 2 * h + 1] = _mm512_unpackhi_epi64(t[4 * e + h], t[4 * e + 2 + h]);
                    }
                for (int e = 0; e < 4; ++e)
                    for (int h = 0; h < 2; ++h) {
                        t[8 * h + e] = _mm512_shuffle_i32x4(r[8 * h + e], r[8 * h + 4 + e], 0x88);
                        t[8 * h + 4 + e] = _mm512_shuffle_i32x4(r[8 * h + e], r[8 * h + 4 + e], 0xdd);
                    }
                for (int e = 0; e < 4; ++e)
                    for (int h = 0; h < 2; ++h) {
                        r[4 * h + e] = _mm512_shuffle_i32x4(t[4 * h + e], t[8 + 4 * h + e], 0x88);
                        r[8 + 4 * h + e] = _mm512_shuffle_i32x4(t[4 * h + e], t[8 + 4 * h + e], 0xdd);
                    }
                for (int64_t e = 0; e < std::min<int64_t>(16, parts_of(deep - q, 2)); ++e)
                    _mm512_storeu_si512(pairs + (q + 2 * e) * width, r[e]);
            }
        }
    }

    template <typename Out>
    static void multiply(Factors<uint16_t> x, Target<Out> to, int64_t rows) {
        switch (parts_of(to.columns, 16)) {
            case 1: return strip<1>(x, to, rows);
            case 2: return strip<2>(x, to, rows);
            case 3: return strip<3>(x, to, rows);
            default: return strip<4>(x, to, rows);
        }
    }

private:
    template <int rows, int vectors, typename Out>
    TILES_INLINE void tile(const Factors<uint16_t> &x, const Target<Out> &to) {
        __m512 c[rows][vectors];
        for (int i = 0; i < rows; ++i)
            for (int e = 0; e < vectors; ++e) c[i][e] = _mm512_setzero_ps();
        for (int64_t p = 0; p < x.steps; ++p) {
            __m512bh b[vectors];
            for (int e = 0; e < vectors; ++e)
                b[e] = reinterpret_cast<__m512bh>(_mm512_loadu_si512(x.right + p * x.right_step + 32 * e));
            for (int i = 0; i < rows; ++i) {
                int pair;
                std::memcpy(&pair, x.left + i * x.left_row + p * x.left_step, sizeof(pair));
                auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
                for (int e = 0; e < vectors; ++e) c[i][e] = _mm512_dpbf16_ps(c[i][e], a, b[e]);
            }
        }
        for (int e = 0; e < vectors; ++e) {
            __mmask16 mask = e + 1 < vectors ? __mmask16(0xffff) : first_of(to.columns - 16 * e);
            __m512 bias = to.bias == nullptr ? _mm512_setzero_ps() : _mm512_loadu_ps(to.bias + 16 * e);
            for (int i = 0; i < rows; ++i) {
                __m512 sums = _mm512_add_ps(c[i][e], bias);
                if (to.before != nullptr)
                    sums = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to.before + i * to.before_stride + 16 * e), sums);
                write(to.out + i * to.stride + 16 * e, sums, mask);
            }
        }
    }

    /// All tiles that lie under one another.
    template <int vectors, typename Out>
    TILES static void strip(Factors<uint16_t> x, Target<Out> to, int64_t rows) {
        int64_t i = 0;
        for (; i + tile_rows <= rows; i += tile_rows) tile<tile_rows, vectors>(x.from_row(i), to.from_row(i));
        switch (rows - i) {
            case 1: return tile<1, vectors>(x.from_row(i), to.from_row(i));
            case 2: return tile<2, vectors>(x.from_row(i), to.from_row(i));
            case 3: return tile<3, vectors>(x.from_row(i), to.from_row(i));
            case 4: return tile<4, vectors>(x.from_row(i), to.from_row(i));
            case 5: return tile<5, vectors>(x.from_row(i), to.from_row(i));
        }
    }
};

}  // namespace engine
#endif
