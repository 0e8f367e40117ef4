// What attention does between its products: rows laid out as their factors, scores made weights, and back.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "block_products.h"
#include "elementary.h"
#include "lanes.h"
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

/// Four rows from `i` on, of each four times 32 bits from `j` on, turned: as four rows from `j` on, `columns` times 32 bits apart.
template <typename Number>
INLINE void turn_four(Rows<Number> x, int64_t i, int64_t j, int64_t columns, Number *to) {
    constexpr int64_t numbers = 4 / sizeof(Number);
    QuarterBits four[4];
    for (int64_t e = 0; e < 4; ++e) std::memcpy(&four[e], x.row(i + e) + j, sizeof(four[e]));
    turn(four);
    for (int64_t e = 0; e < 4; ++e) std::memcpy(to + (j + e * numbers) * columns + i * numbers, &four[e], sizeof(four[e]));
}

/// The transpose of rows, of `p` numbers at a time: [d / p][padded count][p]. Some rows at a time, which stay in the cache.
template <int64_t p, typename From, typename To>
INLINE void transpose_by(Rows<From> x, int64_t count, int64_t d, To *to) {
    int64_t columns = padded<To>(count);
    for (int64_t first = 0; first < columns; first += 16) {
        int64_t end = std::min(columns, first + 16), last = std::min(count, end), j = 0;
        if constexpr (std::is_same_v<From, To> && p * sizeof(To) == 4)
            if (last == first + 16)
                for (; j + 4 * p <= d; j += 4 * p)
                    for (int64_t i = first; i < last; i += 4) turn_four(x, i, j, columns, to);
        for (; j < d; j += p) {
            To *row = to + j * columns;
            for (int64_t i = first; i < last; ++i) convert(x.row(i) + j, p, row + i * p);
            for (int64_t i = std::max(first, count); i < end; ++i)
                for (int64_t e = 0; e < p; ++e) row[i * p + e] = 0;
        }
    }
}

/// Rows as the right factor [d, padded count].
template <typename From, typename To>
void pack_transposed(Rows<From> x, int64_t count, int64_t d, To *to) {
    vectorised([=]() INLINED { transpose_by<packed_rows<To>>(x, count, d, to); });
}

/// The transpose, [d][padded count].
template <typename From, typename To>
void transpose(Rows<From> x, int64_t count, int64_t d, To *to) {
    vectorised([=]() INLINED { transpose_by<1>(x, count, d, to); });
}

/// exp((scores - their maximum) * scale) of a row, with the maximum and what the weights have to be multiplied with to have the
/// sum 1.
template <typename Compiled>
INLINE void weights_of(
    float *scores, int64_t count, int64_t, float scale, float *weights, float &maximum, float &share, Compiled) {
    int64_t whole = count / lanes * lanes;
    Lanes top = Lanes{} - INFINITY, sums = {};
    for (int64_t j = 0; j < whole; j += lanes) top = larger(load_lanes(scores + j), top);
    maximum = largest(top);
    for (int64_t j = whole; j < count; ++j) maximum = scores[j] > maximum ? scores[j] : maximum;
    for (int64_t j = 0; j < whole; j += lanes) {
        Lanes weight = exponential<Lanes, LaneBits>((load_lanes(scores + j) - maximum) * scale);
        store_lanes(weights + j, weight);
        sums += weight;
    }
    for (int64_t j = whole; j < count; ++j) {
        weights[j] = exponential((scores[j] - maximum) * scale);
        sums[0] += weights[j];
    }
    share = 1.0f / total(sums);
}

constexpr float log2_of_e = 1.44269504f;

/// The same for weights that are rounded to bfloat16. Columns past the last score get weights next to nothing.
template <typename Compiled>
INLINE void weights_of(
    float *scores, int64_t count, int64_t columns, float scale, uint16_t *weights, float &maximum, float &share,
    Compiled variant) {
    static_assert(padded<uint16_t>(1) == 2 * lanes);
    for (int64_t j = count; j < columns; ++j) scores[j] = -INFINITY;
    Lanes top = Lanes{} - INFINITY, second_top = top, sums = {}, second_sums = {};
    for (int64_t j = 0; j < columns; j += 2 * lanes) {
        top = larger(load_lanes(scores + j), top);
        second_top = larger(load_lanes(scores + j + lanes), second_top);
    }
    maximum = largest(larger(top, second_top));
    float factor = scale * log2_of_e, shift = maximum * factor;
    for (int64_t j = 0; j < columns; j += 2 * lanes) {
        Lanes first = power_of_two<Lanes, LaneBits>(load_lanes(scores + j) * factor - shift);
        Lanes second = power_of_two<Lanes, LaneBits>(load_lanes(scores + j + lanes) * factor - shift);
        sums += first;
        second_sums += second;
        store(weights + j, first, variant);
        store(weights + j + lanes, second, variant);
    }
    share = 1.0f / total(sums + second_sums);
}

/// Rows [rows][columns] as the right factor [padded rows, columns].
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

// Of `rows` rows; scores and incoming are [rows][columns], where `columns` is the padded count. Weights of float32 may take the
// place of scores.
template <typename To>
void weigh(
    float *scores, int64_t rows, int64_t count, float scale, To *weights, float *maxima, float *shares) {
    vectorised([=](auto variant) INLINED {
        int64_t columns = padded<To>(count);
        for (int64_t i = 0; i < rows; ++i)
            weights_of(
                scores + i * columns, count, columns, scale, weights + i * columns, maxima[i], shares[i], variant);
    });
}

/// From transposed scores and gradients of the weights [rows][padded count] the weights, times what dropout multiplies each with,
/// where `factors` [rows][count] are given, and the gradients of the scores, these also as the right factor [padded rows, padded
/// count]. Columns have their largest score and their share; `deltas`, the sums of weights times gradients, are made here, for
/// those of dy * y would carry the rounding of y. `spare` is room for one row.
INLINE void weigh_back(
    float *scores, float *incoming, int64_t rows, int64_t count, float scale, const float *maxima,
    const float *shares, float *deltas, const float *factors, float *spare, uint16_t *weights, uint16_t *gradients,
    uint16_t *packed) {
    float exponent = scale * log2_of_e;
    for (int64_t j = 0; j < count; ++j) {
        spare[j] = maxima[j] * exponent - std::log2(shares[j]);
        deltas[j] = 0;
    }
    vectorised([=](auto variant) INLINED {
        int64_t columns = padded<uint16_t>(count);
        for (int64_t i = 0; i < rows; ++i) {
            float *score = scores + i * columns, *in = incoming + i * columns;
            const float *kept = factors == nullptr ? nullptr : factors + i * count;
            uint16_t *weight_row = weights + i * columns;
            int64_t j = 0;
            for (; j + lanes <= count; j += lanes) {
                Lanes weight = power_of_two<Lanes, LaneBits>(load_lanes(score + j) * exponent - load_lanes(spare + j));
                Lanes gradient = load_lanes(in + j) * scale, dropped = weight;
                if (kept != nullptr) {
                    gradient *= load_lanes(kept + j);
                    dropped *= load_lanes(kept + j);
                }
                store_lanes(deltas + j, load_lanes(deltas + j) + weight * gradient);
                store_lanes(score + j, weight);
                store_lanes(in + j, gradient);
                store(weight_row + j, dropped, variant);
            }
            for (; j < count; ++j) {
                float factor = kept == nullptr ? 1.0f : kept[j];
                score[j] = power_of_two<float, uint32_t>(score[j] * exponent - spare[j]);
                in[j] *= scale * factor;
                deltas[j] += score[j] * in[j];
                store(weight_row + j, score[j] * factor, variant);
            }
            for (; j < columns; ++j) weight_row[j] = 0;
        }
        for (int64_t i = 0; i < rows; ++i) {
            const float *weight = scores + i * columns, *in = incoming + i * columns;
            uint16_t *gradient_row = gradients + i * columns;
            int64_t j = 0;
            for (; j + lanes <= count; j += lanes)
                store(
                    gradient_row + j, load_lanes(weight + j) * (load_lanes(in + j) - load_lanes(deltas + j)), variant);
            for (; j < count; ++j) store(gradient_row + j, weight[j] * (in[j] - deltas[j]), variant);
            for (; j < columns; ++j) gradient_row[j] = 0;
        }
        interleave(gradients, rows, columns, packed);
    });
}

/// Replaces scores by weights, and makes the deltas of them, summed in parts, whose own rounding stays small.
INLINE void weigh_columns(
    float *scores, const float *incoming, int64_t rows, int64_t count, float scale, const float *maxima, const float *shares,
    const float *factors, float *part, float *deltas) {
    constexpr int64_t rows_of_part = 32;
    std::memset(deltas, 0, sizeof(float) * count);
    for (int64_t first = 0; first < rows; first += rows_of_part) {
        std::memset(part, 0, sizeof(float) * count);
        for (int64_t i = first; i < std::min(rows, first + rows_of_part); ++i) {
            float *row = scores + i * count;
            const float *in = incoming + i * count;
            const float *kept = factors == nullptr ? nullptr : factors + i * count;
            int64_t j = 0;
            // Transposed, a score may come out a rounding above the largest.
            for (; j + lanes <= count; j += lanes) {
                Lanes shifted = smaller((load_lanes(row + j) - load_lanes(maxima + j)) * scale, Lanes{});
                Lanes weight = exponential<Lanes, LaneBits>(shifted) * load_lanes(shares + j);
                store_lanes(row + j, weight);
                weight *= load_lanes(in + j);
                if (kept != nullptr) weight *= load_lanes(kept + j);
                store_lanes(part + j, load_lanes(part + j) + weight);
            }
            for (; j < count; ++j) {
                float shifted = (row[j] - maxima[j]) * scale;
                row[j] = exponential(shifted > 0 ? 0.0f : shifted) * shares[j];
                part[j] += row[j] * in[j] * (kept == nullptr ? 1.0f : kept[j]);
            }
        }
        for (int64_t j = 0; j < count; ++j) deltas[j] += part[j];
    }
}

/// The same in float32, whose columns need no padding: weights take the place of scores, their gradients that of what comes in.
INLINE void weigh_back(
    float *scores, float *incoming, int64_t rows, int64_t count, float scale, const float *maxima, const float *shares,
    float *deltas, const float *factors, float *spare) {
    vectorised([=]() INLINED {
        weigh_columns(scores, incoming, rows, count, scale, maxima, shares, factors, spare, deltas);
        for (int64_t i = 0; i < rows; ++i) {
            float *score = scores + i * count, *in = incoming + i * count;
            const float *kept = factors == nullptr ? nullptr : factors + i * count;
            int64_t j = 0;
            for (; j + lanes <= count; j += lanes) {
                Lanes weight = load_lanes(score + j), gradient = load_lanes(in + j);
                if (kept != nullptr) {
                    gradient *= load_lanes(kept + j);
                    store_lanes(score + j, weight * load_lanes(kept + j));
                }
                store_lanes(in + j, weight * (gradient - load_lanes(deltas + j)) * scale);
            }
            for (; j < count; ++j) {
                float factor = kept == nullptr ? 1.0f : kept[j], weight = score[j];
                score[j] = weight * factor;
                in[j] = weight * (in[j] * factor - deltas[j]) * scale;
            }
        }
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
        for (int64_t i = 0; i < rows; i += 4) {
            int64_t some = std::min<int64_t>(4, rows - i), j = 0;
            for (; some == 4 && j + 4 <= d; j += 4) {
                QuarterBits four[4];
                for (int64_t e = 0; e < 4; ++e) std::memcpy(&four[e], from + (j + e) * columns + i, sizeof(four[e]));
                turn(four);
                for (int64_t e = 0; e < 4; ++e) {
                    float row[4];
                    std::memcpy(row, &four[e], sizeof(row));
                    for (int64_t k = 0; k < 4; ++k) store(to.row(i + e) + j + k, row[k]);
                }
            }
            for (; j < d; ++j)
                for (int64_t e = 0; e < some; ++e) store(to.row(i + e) + j, from[j * columns + i + e]);
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
