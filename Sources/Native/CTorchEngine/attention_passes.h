// What attention does between its products: rows laid out as their factors, scores made weights, and back.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "block_products.h"
#include "elementary.h"
#include "number_types.h"
#include "philox_dropout.h"

#ifdef HAS_BLOCK_PRODUCTS

namespace engine {
namespace {

/// One head of one sample: rows of d numbers that lie together.
template <typename Number>
struct Rows {
    Number *data;
    int64_t stride;
    INLINED Number *row(int64_t i) const { return data + i * stride; }
    Rows from(int64_t i) const { return {row(i), stride}; }
};

template <typename From, typename To>
INLINE void convert(const From *from, int64_t count, To *to) {
    for (int64_t i = 0; i < count; ++i) {
        if constexpr (std::is_same_v<From, To>)
            to[i] = from[i];
        else
            store(to + i, widen(from[i]));
    }
}

// The passes around the products. `count` rows of d numbers; what lies past the last, up to the padded count, is zero.
/// Rows as they are, [count][d].
template <typename From, typename To>
void copy_rows(Rows<From> x, int64_t count, int64_t d, To *to) {
    vectorised([=]() INLINED {
        for (int64_t i = 0; i < count; ++i) convert(x.row(i), d, to + i * d);
    });
}

/// Rows as the right factor [padded count, d].
template <typename From, typename To>
void pack_rows(Rows<From> x, int64_t count, int64_t d, To *to) {
    vectorised([=]() INLINED {
        constexpr int64_t p = packed_rows<To>;
        int64_t columns = padded<To>(count), whole = count / p * p;
        if (whole < columns) std::memset(to + whole * d, 0, sizeof(To) * (columns - whole) * d);
        for (int64_t i = 0; i < whole; i += p)
            for (int64_t j = 0; j < d; ++j)
                for (int64_t e = 0; e < p; ++e) convert(x.row(i + e) + j, 1, to + (i * d + j * p + e));
        for (int64_t i = whole; i < count; ++i)
            for (int64_t j = 0; j < d; ++j) convert(x.row(i) + j, 1, to + (whole * d + j * p + i - whole));
    });
}

/// Rows as the right factor [d, padded count], their transpose; some at a time, which stay in the cache.
template <typename From, typename To>
void pack_transposed(Rows<From> x, int64_t count, int64_t d, To *to) {
    vectorised([=]() INLINED {
        constexpr int64_t p = packed_rows<To>;
        int64_t columns = padded<To>(count);
        for (int64_t first = 0; first < columns; first += 16) {
            int64_t end = std::min(columns, first + 16);
            for (int64_t j = 0; j < d; j += p) {
                To *row = to + j * columns;
                for (int64_t i = first; i < std::min(count, end); ++i) convert(x.row(i) + j, p, row + i * p);
                for (int64_t i = std::max(first, count); i < end; ++i)
                    for (int64_t e = 0; e < p; ++e) row[i * p + e] = 0;
            }
        }
    });
}

/// The transpose, [d][padded count].
template <typename From, typename To>
void transpose(Rows<From> x, int64_t count, int64_t d, To *to) {
    vectorised([=]() INLINED {
        int64_t columns = padded<To>(count);
        for (int64_t first = 0; first < columns; first += 16) {
            int64_t end = std::min(columns, first + 16);
            for (int64_t j = 0; j < d; ++j) {
                for (int64_t i = first; i < std::min(count, end); ++i)
                    convert(x.row(i) + j, 1, to + (j * columns + i));
                for (int64_t i = std::max(first, count); i < end; ++i) to[j * columns + i] = 0;
            }
        }
    });
}

/// Numbers that are summed side by side.
constexpr int64_t lanes = 16;

INLINE float total(const float *sums) {
    float sum = 0;
    for (int64_t e = 0; e < lanes; ++e) sum += sums[e];
    return sum;
}

/// exp((scores - their maximum) * scale) of a row and zeros up to `columns`, with the maximum and what the weights have to be
/// multiplied with to have the sum 1.
template <typename To, typename Compiled>
INLINE void weights_of(
    const float *scores, int64_t count, int64_t columns, float scale, To *weights, float &maximum, float &share,
    Compiled variant) {
    int64_t whole = count / lanes * lanes;
    float top[lanes];
    for (int64_t e = 0; e < lanes; ++e) top[e] = -INFINITY;
    for (int64_t j = 0; j < whole; j += lanes)
        for (int64_t e = 0; e < lanes; ++e) top[e] = scores[j + e] > top[e] ? scores[j + e] : top[e];
    for (int64_t j = whole; j < count; ++j) top[0] = scores[j] > top[0] ? scores[j] : top[0];
    maximum = top[0];
    for (int64_t e = 1; e < lanes; ++e) maximum = top[e] > maximum ? top[e] : maximum;

    float sums[lanes] = {};
    for (int64_t j = 0; j < whole; j += lanes)
        for (int64_t e = 0; e < lanes; ++e) {
            float weight = exponential<To>((scores[j + e] - maximum) * scale);
            sums[e] += weight;
            store(weights + j + e, weight, variant);
        }
    for (int64_t j = whole; j < count; ++j) {
        float weight = exponential<To>((scores[j] - maximum) * scale);
        sums[0] += weight;
        store(weights + j, weight, variant);
    }
    for (int64_t j = count; j < columns; ++j) weights[j] = 0;
    share = 1.0f / total(sums);
}

template <typename To>
INLINE float weight_of(float score, float scale, float maximum, float share) {
    // Transposed, a score may come out a rounding above the largest.
    float shifted = (score - maximum) * scale;
    return exponential<To>(shifted > 0 ? 0.0f : shifted) * share;
}

/// A row of transposed scores and of the gradients of the weights: the weights, and the gradients of the scores. `factors` are
/// what dropout multiplies each weight with, or null.
template <typename To, typename Compiled>
INLINE void gradients_of(
    const float *scores, const float *incoming, int64_t count, int64_t columns, float scale, const float *maxima,
    const float *shares, const float *deltas, const float *factors, To *weights, To *gradients, Compiled variant) {
    if (factors == nullptr) {
        for (int64_t j = 0; j < count; ++j) {
            float weight = weight_of<To>(scores[j], scale, maxima[j], shares[j]);
            store(weights + j, weight, variant);
            store(gradients + j, weight * (incoming[j] - deltas[j]) * scale, variant);
        }
    } else {
        for (int64_t j = 0; j < count; ++j) {
            float weight = weight_of<To>(scores[j], scale, maxima[j], shares[j]);
            store(weights + j, weight * factors[j], variant);
            store(gradients + j, weight * (incoming[j] * factors[j] - deltas[j]) * scale, variant);
        }
    }
    for (int64_t j = count; j < columns; ++j) weights[j] = gradients[j] = 0;
}

/// Rows [rows][columns] as the right factor [padded rows, columns]: of float32 as they are, of bfloat16 two and two.
INLINE void interleave(const float *rows, int64_t count, int64_t columns, float *to) {
    std::memcpy(to, rows, sizeof(float) * count * columns);
}
INLINE void interleave(const uint16_t *rows, int64_t count, int64_t columns, uint16_t *to) {
    std::memset(to + count / 2 * 2 * columns, 0, sizeof(uint16_t) * (padded<uint16_t>(count) - count / 2 * 2) * columns);
    auto *pairs = reinterpret_cast<uint32_t *>(to);
    for (int64_t i = 0; i + 1 < count; i += 2) {
        const uint16_t *first = rows + i * columns, *second = first + columns;
        for (int64_t j = 0; j < columns; ++j) pairs[i / 2 * columns + j] = first[j] | uint32_t(second[j]) << 16;
    }
    if (count % 2 != 0)
        for (int64_t j = 0; j < columns; ++j) pairs[count / 2 * columns + j] = rows[(count - 1) * columns + j];
}

// Of `rows` rows; scores and incoming are [rows][columns], where `columns` is the padded count.
template <typename To>
void weigh(
    const float *scores, int64_t rows, int64_t count, float scale, To *weights, float *maxima, float *shares) {
    vectorised([=](auto variant) INLINED {
        int64_t columns = padded<To>(count);
        for (int64_t i = 0; i < rows; ++i)
            weights_of(
                scores + i * columns, count, columns, scale, weights + i * columns, maxima[i], shares[i], variant);
    });
}

/// `packed` is the right factor [padded rows, columns].
template <typename To>
void weigh_back(
    const float *scores, const float *incoming, int64_t rows, int64_t count, float scale,
    const float *maxima, const float *shares, const float *deltas, const float *factors, To *weights,
    To *gradients, To *packed) {
    vectorised([=](auto variant) INLINED {
        int64_t columns = padded<To>(count);
        for (int64_t i = 0; i < rows; ++i)
            gradients_of(
                scores + i * columns, incoming + i * columns, count, columns, scale, maxima, shares, deltas,
                factors == nullptr ? nullptr : factors + i * count, weights + i * columns, gradients + i * columns,
                variant);
        interleave(gradients, rows, columns, packed);
    });
}

/// Rows of sums multiplied with a number each.
template <typename Number>
void write_scaled(const float *from, int64_t rows, int64_t d, const float *factors, Rows<Number> to) {
    vectorised([=]() INLINED {
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < d; ++j) store(to.row(i) + j, from[i * d + j] * factors[i]);
    });
}

template <typename Number>
void write_rows(const float *from, int64_t rows, int64_t d, Rows<Number> to) {
    vectorised([=]() INLINED {
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < d; ++j) store(to.row(i) + j, from[i * d + j]);
    });
}

/// The first rows of the transpose of [d][columns].
template <typename Number>
void write_transposed(const float *from, int64_t columns, int64_t rows, int64_t d, Rows<Number> to) {
    vectorised([=]() INLINED {
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < d; ++j) store(to.row(i) + j, from[j * columns + i]);
    });
}

/// The sum of a row's products.
template <typename Number>
void dot_rows(Rows<Number> a, Rows<Number> b, int64_t rows, int64_t d, float *to) {
    vectorised([=]() INLINED {
        for (int64_t i = 0; i < rows; ++i) {
            float sums[lanes] = {};
            int64_t whole = d / lanes * lanes;
            for (int64_t j = 0; j < whole; j += lanes)
                for (int64_t e = 0; e < lanes; ++e) sums[e] += widen(a.row(i)[j + e]) * widen(b.row(i)[j + e]);
            for (int64_t j = whole; j < d; ++j) sums[0] += widen(a.row(i)[j]) * widen(b.row(i)[j]);
            to[i] = total(sums);
        }
    });
}

/// Writes to `factors` [rows][keys] what dropout multiplies the weights of some queries with, of which the first weight is the
/// sample's `first`-th.
void factors_of(
    const PhiloxSource &source, int64_t first, int64_t count, uint32_t threshold, float factor, float *factors) {
    vectorised([=]() INLINED {
        for (int64_t i = 0; i < count;) {
            int64_t chunk = (first + i) / dropout_chunk, skipped = (first + i) % dropout_chunk;
            PhiloxWords words;
            philox(source, static_cast<uint32_t>(chunk), words);
            uint32_t kept[dropout_chunk];
            kept_of(words, threshold, kept);
            float made[dropout_chunk];
            for (int64_t e = 0; e < dropout_chunk; ++e) made[e] = kept[e] != 0 ? factor : 0.0f;
            int64_t some = std::min(count - i, dropout_chunk - skipped);
            std::memcpy(factors + i, made + skipped, sizeof(float) * some);
            i += some;
        }
    });
}

/// [rows][count] to [count][rows].
void turn(const float *from, int64_t rows, int64_t count, float *to) {
    vectorised([=]() INLINED {
        for (int64_t first = 0; first < count; first += 16)
            for (int64_t i = 0; i < rows; ++i)
                for (int64_t j = first; j < std::min(count, first + 16); ++j) to[j * rows + i] = from[i * count + j];
    });
}

/// Multiplies weights [rows][padded count] with factors [rows][count].
template <typename To>
void drop(const float *factors, int64_t rows, int64_t count, To *weights) {
    vectorised([=]() INLINED {
        int64_t columns = padded<To>(count);
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < count; ++j) {
                To *weight = weights + i * columns + j;
                store(weight, widen(*weight) * factors[i * count + j]);
            }
    });
}

}  // namespace
}  // namespace engine

#endif
