// Products of float32 numbers in tiles of the output that are summed in registers: six rows of 64 columns with AVX-512, of 16 with
// smaller vectors.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lanes.h"
#include "number_types.h"
#include "product_factors.h"
#include "variants.h"

namespace engine {

struct Float32Tiles {
    using Number = float;
    /// Numbers of a row that a step takes.
    static constexpr int64_t together = 1;
    /// How many numbers are summed before the sums are put away, so that what is laid out for them stays in the cache; fewer where the
    /// left factor is laid out too.
    static int64_t most_depth(bool lays_out_both) {
        return variant() < Variant::avx512 ? 256 : lays_out_both ? 512 : 1024;
    }

    /// Of these how many are one sum: sums of sums gather less rounding than a long one.
    static int64_t summed_at_once(int64_t k) { return k <= 256 ? 64 : 256; }

    /// Columns of a panel.
    static int64_t columns() { return variant() >= Variant::avx512 ? 4 * lanes : lanes; }

    /// Rows of numbers as panels [rows][columns], one behind the other, the last padded with zeros to whole vectors.
    template <typename Stored>
    static void pack_rows(const Stored *from, int64_t stride, int64_t count, int64_t columns, int64_t panel, float *to) {
        vectorised([=]() INLINED {
            for (int64_t i = 0; i < count; ++i)
                for (int64_t k = 0; k < columns; k += panel) {
                    int64_t some = std::min(panel, columns - k), width = whole(some, lanes);
                    float *row = to + count * k + i * width;
                    for (int64_t j = 0; j < some; ++j) row[j] = widen(from[i * stride + k + j]);
                    for (int64_t j = some; j < width; ++j) row[j] = 0;
                }
        });
    }

    /// Columns of `deep` numbers that lie together, as the same panels.
    template <typename Stored>
    static void pack_columns(
        const Stored *from, int64_t stride, int64_t deep, int64_t columns, int64_t panel, float *to) {
        vectorised([=]() INLINED {
            for (int64_t i = 0; i < columns; i += lanes) {
                int64_t before = i / panel * panel, width = whole(std::min(panel, columns - before), lanes);
                int64_t some = std::min(lanes, columns - i);
                float *rows = to + deep * before + i - before;
                for (int64_t q = 0; q < deep; ++q) {
                    for (int64_t e = 0; e < some; ++e) rows[q * width + e] = widen(from[(i + e) * stride + q]);
                    for (int64_t e = some; e < lanes; ++e) rows[q * width + e] = 0;
                }
            }
        });
    }

    static void multiply(Factors<float> x, Target<float> to, int64_t rows) {
        vectorised([=](auto variant) INLINED {
            if constexpr (variant() >= Variant::avx512) {
                switch (parts_of(to.columns, lanes)) {
                    case 4: return strip<4>(x, to, rows);
                    case 3: return strip<3>(x, to, rows);
                    case 2: return strip<2>(x, to, rows);
                }
            }
            strip<1>(x, to, rows);
        });
    }

private:
    template <int rows, int vectors>
    INLINED static void tile(const Factors<float> &x, const Target<float> &to) {
        // What is read and written in the end is on its way meanwhile.
        for (int i = 0; i < rows; ++i)
            for (int e = 0; e < vectors; ++e) __builtin_prefetch(to.out + i * to.stride + lanes * e, 1);
        Lanes c[rows][vectors] = {};
        for (int64_t p = 0; p < x.steps; ++p) {
            Lanes b[vectors];
            for (int e = 0; e < vectors; ++e) b[e] = load_lanes(x.right + p * x.right_step + lanes * e);
            for (int i = 0; i < rows; ++i) {
                float a = x.left[i * x.left_row + p * x.left_step];
                for (int e = 0; e < vectors; ++e) c[i][e] += a * b[e];
            }
        }
        for (int i = 0; i < rows; ++i)
            for (int e = 0; e < vectors; ++e) {
                float *out = to.out + i * to.stride + lanes * e;
                const float *before = to.before == nullptr ? nullptr : to.before + i * to.before_stride + lanes * e;
                if (to.bias != nullptr) c[i][e] += load_lanes(to.bias + lanes * e);
                if (to.columns >= lanes * (e + 1)) {
                    store_lanes(out, before == nullptr ? c[i][e] : load_lanes(before) + c[i][e]);
                } else {
                    float last[lanes];
                    store_lanes(last, c[i][e]);
                    for (int64_t j = 0; j < to.columns - lanes * e; ++j)
                        out[j] = before == nullptr ? last[j] : before[j] + last[j];
                }
            }
    }

    /// All tiles that lie under one another.
    template <int vectors>
    INLINED static void strip(const Factors<float> &x, const Target<float> &to, int64_t rows) {
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
