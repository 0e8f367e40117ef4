// Factors of bfloat16 products laid out as the tiles read them: panels of some columns, [pairs of rows][columns][2], one behind the
// other. Float32 numbers are rounded on the way.
#pragma once

#include <algorithm>
#include <cstdint>

#include "bfloat16_tiles.h"

#ifdef HAS_BFLOAT16_TILES

namespace engine {

inline int64_t parts_of(int64_t count, int64_t most) { return (count + most - 1) / most; }

inline int64_t whole(int64_t count, int64_t side) { return parts_of(count, side) * side; }

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

/// Rows of numbers as panels [pairs of rows][columns][2], one behind the other; the last is padded with zeros to whole vectors, a
/// last row to a pair. Each row is read once.
/// - Parameter sums: to which the sum of each column is added, of padded ones too; or null.
template <typename Number>
TILES void pack_rows(
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
TILES void pack_columns(
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

}  // namespace engine
#endif
