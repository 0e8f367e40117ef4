// Attention on the processor as one operator, forward and backward: softmax(q k^T / sqrt(d)) v for q [B, heads, T, d] and
// k, v [B, heads, S, d], whatever their strides. Scores of a block of queries alone are held at a time.
//
// Forward keeps each row's largest score and sum of exponentials; backward computes the weights again from them, transposed,
// so that each product finds its factors as they lie. Source: FlashAttention-2 (Dao 2023). Dropout of the weights is drawn for a block
// at a time, in both passes, as `philox_dropout` would draw it for all of [B, heads, T, S].
#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "block_products.h"
#include "elementary.h"
#include "number_types.h"
#include "philox_dropout.h"

namespace engine {
namespace {

#ifdef HAS_BLOCK_PRODUCTS

/// Queries whose scores are held at a time.
constexpr int64_t query_block = 96;

/// One head of one sample: rows of d numbers that lie together.
template <typename Number>
struct Rows {
    Number *data;
    int64_t stride;
    Number *row(int64_t i) const { return data + i * stride; }
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
#define PASSES(From, To)                                                                                              \
    /* Rows as they are, [count][d]. */                                                                               \
    CLONED void copy_rows(Rows<From> x, int64_t count, int64_t d, To *to) {                                           \
        for (int64_t i = 0; i < count; ++i) convert(x.row(i), d, to + i * d);                                         \
    }                                                                                                                 \
    /* Rows as the right factor [padded count, d]. */                                                                 \
    CLONED void pack_rows(Rows<From> x, int64_t count, int64_t d, To *to) {                                           \
        constexpr int64_t p = packed_rows<To>;                                                                        \
        int64_t columns = padded<To>(count), whole = count / p * p;                                                   \
        if (whole < columns) std::memset(to + whole * d, 0, sizeof(To) * (columns - whole) * d);                      \
        for (int64_t i = 0; i < whole; i += p)                                                                        \
            for (int64_t j = 0; j < d; ++j)                                                                           \
                for (int64_t e = 0; e < p; ++e) convert(x.row(i + e) + j, 1, to + (i * d + j * p + e));               \
        for (int64_t i = whole; i < count; ++i)                                                                       \
            for (int64_t j = 0; j < d; ++j) convert(x.row(i) + j, 1, to + (whole * d + j * p + i - whole));           \
    }                                                                                                                 \
    /* Rows as the right factor [d, padded count], their transpose; some at a time, which stay in the cache. */       \
    CLONED void pack_transposed(Rows<From> x, int64_t count, int64_t d, To *to) {                                     \
        constexpr int64_t p = packed_rows<To>;                                                                        \
        int64_t columns = padded<To>(count);                                                                          \
        for (int64_t first = 0; first < columns; first += 16) {                                                       \
            int64_t end = std::min(columns, first + 16);                                                              \
            for (int64_t j = 0; j < d; j += p) {                                                                      \
                To *row = to + j * columns;                                                                           \
                for (int64_t i = first; i < std::min(count, end); ++i) convert(x.row(i) + j, p, row + i * p);         \
                for (int64_t i = std::max(first, count); i < end; ++i)                                                \
                    for (int64_t e = 0; e < p; ++e) row[i * p + e] = 0;                                               \
            }                                                                                                         \
        }                                                                                                             \
    }                                                                                                                 \
    /* The transpose, [d][padded count]. */                                                                           \
    CLONED void transpose(Rows<From> x, int64_t count, int64_t d, To *to) {                                           \
        int64_t columns = padded<To>(count);                                                                          \
        for (int64_t first = 0; first < columns; first += 16) {                                                       \
            int64_t end = std::min(columns, first + 16);                                                              \
            for (int64_t j = 0; j < d; ++j) {                                                                         \
                for (int64_t i = first; i < std::min(count, end); ++i)                                                \
                    convert(x.row(i) + j, 1, to + (j * columns + i));                                                 \
                for (int64_t i = std::max(first, count); i < end; ++i) to[j * columns + i] = 0;                       \
            }                                                                                                         \
        }                                                                                                             \
    }
PASSES(float, float)
PASSES(uint16_t, uint16_t)
PASSES(uint16_t, float)
#undef PASSES

/// Numbers that are summed side by side.
constexpr int64_t lanes = 16;

INLINE float total(const float *sums) {
    float sum = 0;
    for (int64_t e = 0; e < lanes; ++e) sum += sums[e];
    return sum;
}

/// exp((scores - their maximum) * scale) of a row and zeros up to `columns`, with the maximum and the sum.
template <typename To>
INLINE void weights_of(
    const float *scores, int64_t count, int64_t columns, float scale, To *weights, float &maximum, float &sum) {
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
            float weight = exponential((scores[j + e] - maximum) * scale);
            sums[e] += weight;
            store(weights + j + e, weight);
        }
    for (int64_t j = whole; j < count; ++j) {
        float weight = exponential((scores[j] - maximum) * scale);
        sums[0] += weight;
        store(weights + j, weight);
    }
    for (int64_t j = count; j < columns; ++j) weights[j] = 0;
    sum = total(sums);
}

INLINE float weight_of(float score, float scale, float maximum, float sum) {
    // Transposed, a score may come out a rounding above the largest.
    float shifted = (score - maximum) * scale;
    return exponential(shifted > 0 ? 0.0f : shifted) / sum;
}

/// A row of transposed scores and of the gradients of the weights: the weights, the gradients of the scores, and these once
/// more where they lie in a right factor. `factors` are what dropout multiplies each weight with, or null.
template <typename To>
INLINE void gradients_of(
    const float *scores, const float *incoming, int64_t count, int64_t columns, float scale, const float *maxima,
    const float *sums, const float *deltas, const float *factors, To *weights, To *gradients, To *packed) {
    constexpr int64_t p = packed_rows<To>;
    if (factors == nullptr) {
        for (int64_t j = 0; j < count; ++j) {
            float weight = weight_of(scores[j], scale, maxima[j], sums[j]);
            store(weights + j, weight);
            store(gradients + j, weight * (incoming[j] - deltas[j]) * scale);
        }
    } else {
        for (int64_t j = 0; j < count; ++j) {
            float weight = weight_of(scores[j], scale, maxima[j], sums[j]);
            store(weights + j, weight * factors[j]);
            store(gradients + j, weight * (incoming[j] * factors[j] - deltas[j]) * scale);
        }
    }
    for (int64_t j = count; j < columns; ++j) weights[j] = gradients[j] = 0;
    for (int64_t j = 0; j < columns; ++j) packed[j * p] = gradients[j];
}

// Of `rows` rows; scores and incoming are [rows][columns], where `columns` is the padded count.
#define KERNELS(To)                                                                                                   \
    CLONED void weigh(                                                                                                \
        const float *scores, int64_t rows, int64_t count, float scale, To *weights, float *maxima, float *sums) {     \
        int64_t columns = padded<To>(count);                                                                          \
        for (int64_t i = 0; i < rows; ++i)                                                                            \
            weights_of(                                                                                               \
                scores + i * columns, count, columns, scale, weights + i * columns, maxima[i], sums[i]);              \
    }                                                                                                                 \
    /* `packed` is the right factor [padded rows, columns]. */                                                        \
    CLONED void weigh_back(                                                                                           \
        const float *scores, const float *incoming, int64_t rows, int64_t count, float scale,                         \
        const float *maxima, const float *sums, const float *deltas, const float *factors, To *weights,               \
        To *gradients, To *packed) {                                                                                  \
        constexpr int64_t p = packed_rows<To>;                                                                        \
        int64_t columns = padded<To>(count), whole = rows / p * p;                                                    \
        std::memset(packed + whole * columns, 0, sizeof(To) * (padded<To>(rows) - whole) * columns);                  \
        for (int64_t i = 0; i < rows; ++i)                                                                            \
            gradients_of(                                                                                             \
                scores + i * columns, incoming + i * columns, count, columns, scale, maxima, sums, deltas,            \
                factors == nullptr ? nullptr : factors + i * count, weights + i * columns, gradients + i * columns,   \
                packed + i / p * p * columns + i % p);                                                                \
    }
KERNELS(float)
KERNELS(uint16_t)
#undef KERNELS

#define OUTPUTS(Number)                                                                                               \
    /* Rows of sums divided by a number each. */                                                                      \
    CLONED void write_divided(const float *from, int64_t rows, int64_t d, const float *divisors, Rows<Number> to) {   \
        for (int64_t i = 0; i < rows; ++i) {                                                                          \
            float factor = 1.0f / divisors[i];                                                                        \
            for (int64_t j = 0; j < d; ++j) store(to.row(i) + j, from[i * d + j] * factor);                           \
        }                                                                                                             \
    }                                                                                                                 \
    CLONED void write_rows(const float *from, int64_t rows, int64_t d, Rows<Number> to) {                             \
        for (int64_t i = 0; i < rows; ++i)                                                                            \
            for (int64_t j = 0; j < d; ++j) store(to.row(i) + j, from[i * d + j]);                                    \
    }                                                                                                                 \
    /* The first rows of the transpose of [d][columns]. */                                                            \
    CLONED void write_transposed(const float *from, int64_t columns, int64_t rows, int64_t d, Rows<Number> to) {      \
        for (int64_t i = 0; i < rows; ++i)                                                                            \
            for (int64_t j = 0; j < d; ++j) store(to.row(i) + j, from[j * columns + i]);                              \
    }                                                                                                                 \
    /* The sum of a row's products. */                                                                                \
    CLONED void dot_rows(Rows<Number> a, Rows<Number> b, int64_t rows, int64_t d, float *to) {                        \
        for (int64_t i = 0; i < rows; ++i) {                                                                          \
            float sums[lanes] = {};                                                                                   \
            int64_t whole = d / lanes * lanes;                                                                        \
            for (int64_t j = 0; j < whole; j += lanes)                                                                \
                for (int64_t e = 0; e < lanes; ++e) sums[e] += widen(a.row(i)[j + e]) * widen(b.row(i)[j + e]);       \
            for (int64_t j = whole; j < d; ++j) sums[0] += widen(a.row(i)[j]) * widen(b.row(i)[j]);                   \
            to[i] = total(sums);                                                                                      \
        }                                                                                                             \
    }
OUTPUTS(float)
OUTPUTS(uint16_t)
#undef OUTPUTS

/// Writes to `factors` [rows][keys] what dropout multiplies the weights of some queries with, of which the first weight is the
/// sample's `first`-th.
CLONED void factors_of(
    const PhiloxSource &source, int64_t first, int64_t count, uint32_t threshold, float factor, float *factors) {
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
}

/// [rows][count] to [count][rows].
CLONED void turn(const float *from, int64_t rows, int64_t count, float *to) {
    for (int64_t first = 0; first < count; first += 16)
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = first; j < std::min(count, first + 16); ++j) to[j * rows + i] = from[i * count + j];
}

#define DROPPED(To)                                                                                                   \
    /* Multiplies weights [rows][padded count] with factors [rows][count]. */                                         \
    CLONED void drop(const float *factors, int64_t rows, int64_t count, To *weights) {                                \
        int64_t columns = padded<To>(count);                                                                          \
        for (int64_t i = 0; i < rows; ++i)                                                                            \
            for (int64_t j = 0; j < count; ++j) {                                                                     \
                To *weight = weights + i * columns + j;                                                               \
                store(weight, widen(*weight) * factors[i * count + j]);                                               \
            }                                                                                                         \
    }
DROPPED(float)
DROPPED(uint16_t)
#undef DROPPED

struct Shape {
    int64_t batch, heads, queries, keys, width;
    Shape(const at::Tensor &q, const at::Tensor &k)
        : batch(q.size(0)), heads(q.size(1)), queries(q.size(2)), keys(k.size(2)), width(q.size(3)) {}
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(width)); }
};

/// Dropout of the weights, or none.
struct Dropping {
    double rate;
    PhiloxSamples samples;

    bool drops() const { return rate > 0; }

    /// What multiplies the weights of `rows` queries from `first` on, [rows][keys], of a head of a sample.
    void factors(const Shape &shape, int64_t task, int64_t first, int64_t rows, float *to) const {
        int64_t sample = task / shape.heads, head = task % shape.heads;
        factors_of(
            samples.at(sample), (head * shape.queries + first) * shape.keys, rows * shape.keys, dropout_threshold(rate),
            static_cast<float>(1 / (1 - rate)), to);
    }
};

template <typename Number>
Rows<Number> head_of(const at::Tensor &x, int64_t sample, int64_t head) {
    return {
        static_cast<Number *>(x.data_ptr()) + sample * x.stride(0) + head * x.stride(1), x.stride(2)};
}

/// [B, heads, count, d] whose memory is [B, count, heads, d], as the layers behind want it.
at::Tensor empty_heads(const at::Tensor &like, int64_t count) {
    return at::empty({like.size(0), count, like.size(1), like.size(3)}, like.options()).transpose(1, 2);
}

/// Of every row of scores, [B, heads, T]: the largest, and the sum of the exponentials of the differences to it.
struct Sums {
    float *maxima, *sums;

    /// Of [2, B, heads, T].
    explicit Sums(const at::Tensor &kept)
        : maxima(kept.data_ptr<float>()), sums(kept.data_ptr<float>() + kept.numel() / 2) {}
};

template <typename Number, typename Factor>
void attend(
    const Shape &shape, const Dropping &dropping, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
    const at::Tensor &y, const Sums &kept) {
    int64_t d = shape.width, keys = shape.keys, columns = padded<Factor>(keys);
    int64_t block = std::min(query_block, shape.queries);
    at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t from, int64_t to) {
        std::vector<Factor> packed_keys(d * columns), packed_values(columns * d), queries(block * d);
        std::vector<Factor> weights(block * columns);
        std::vector<float> scores(block * columns), attended(block * d);
        std::vector<float> factors(dropping.drops() ? block * keys : 0);
        for (int64_t task = from; task < to; ++task) {
            int64_t sample = task / shape.heads, head = task % shape.heads;
            pack_transposed(head_of<Number>(k, sample, head), keys, d, packed_keys.data());
            pack_rows(head_of<Number>(v, sample, head), keys, d, packed_values.data());
            auto x = head_of<Number>(q, sample, head), written = head_of<Number>(y, sample, head);
            for (int64_t first = 0; first < shape.queries; first += block) {
                int64_t rows = std::min(block, shape.queries - first);
                copy_rows(x.from(first), rows, d, queries.data());
                multiply(false, rows, columns, d, queries.data(), d, packed_keys.data(), scores.data());
                float *maxima = kept.maxima + task * shape.queries + first, *sums = kept.sums + task * shape.queries + first;
                weigh(scores.data(), rows, keys, shape.scale(), weights.data(), maxima, sums);
                if (dropping.drops()) {
                    dropping.factors(shape, task, first, rows, factors.data());
                    drop(factors.data(), rows, keys, weights.data());
                }
                multiply(false, rows, d, columns, weights.data(), columns, packed_values.data(), attended.data());
                write_divided(attended.data(), rows, d, sums, written.from(first));
            }
        }
        finish_products<Factor>();
    });
}

template <typename Number, typename Factor>
void attend_back(
    const Shape &shape, const Dropping &dropping, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
    const at::Tensor &y, const at::Tensor &dy, const Sums &kept, const at::Tensor &dq, const at::Tensor &dk,
    const at::Tensor &dv) {
    int64_t d = shape.width, keys = shape.keys, padded_keys = padded<Factor>(keys);
    int64_t block = std::min(query_block, shape.queries), padded_block = padded<Factor>(block);
    at::parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t from, int64_t to) {
        std::vector<Factor> key_rows(keys * d), value_rows(keys * d), key_columns(d * padded_keys);
        std::vector<Factor> queries(padded_block * d), queries_across(padded_block * d);
        std::vector<Factor> incoming(padded_block * d), incoming_across(padded_block * d);
        std::vector<Factor> weights(keys * padded_block), gradients(keys * padded_block);
        std::vector<Factor> packed(padded_keys * padded_block);
        std::vector<float> scores(keys * padded_block), products(keys * padded_block), deltas(block);
        std::vector<float> query_sums(d * padded_block), key_sums(keys * d), value_sums(keys * d);
        std::vector<float> factors(dropping.drops() ? block * keys : 0), factors_across(factors.size());
        for (int64_t task = from; task < to; ++task) {
            int64_t sample = task / shape.heads, head = task % shape.heads;
            auto k_rows = head_of<Number>(k, sample, head);
            copy_rows(k_rows, keys, d, key_rows.data());
            copy_rows(head_of<Number>(v, sample, head), keys, d, value_rows.data());
            transpose(k_rows, keys, d, key_columns.data());
            auto x = head_of<Number>(q, sample, head), out = head_of<Number>(y, sample, head);
            auto d_out = head_of<Number>(dy, sample, head), d_x = head_of<Number>(dq, sample, head);
            for (int64_t first = 0; first < shape.queries; first += block) {
                int64_t rows = std::min(block, shape.queries - first), columns = padded<Factor>(rows);
                pack_transposed(x.from(first), rows, d, queries_across.data());
                pack_transposed(d_out.from(first), rows, d, incoming_across.data());
                pack_rows(x.from(first), rows, d, queries.data());
                pack_rows(d_out.from(first), rows, d, incoming.data());
                dot_rows(d_out.from(first), out.from(first), rows, d, deltas.data());

                multiply(false, keys, columns, d, key_rows.data(), d, queries_across.data(), scores.data());
                multiply(false, keys, columns, d, value_rows.data(), d, incoming_across.data(), products.data());
                if (dropping.drops()) {
                    dropping.factors(shape, task, first, rows, factors.data());
                    turn(factors.data(), rows, keys, factors_across.data());
                }
                weigh_back(
                    scores.data(), products.data(), keys, rows, shape.scale(), kept.maxima + task * shape.queries + first,
                    kept.sums + task * shape.queries + first, deltas.data(), dropping.drops() ? factors_across.data() : nullptr, weights.data(), gradients.data(),
                    packed.data());
                bool adds = first > 0;
                multiply(adds, keys, d, columns, weights.data(), columns, incoming.data(), value_sums.data());
                multiply(adds, keys, d, columns, gradients.data(), columns, queries.data(), key_sums.data());
                multiply(
                    false, d, columns, padded_keys, key_columns.data(), padded_keys, packed.data(), query_sums.data());
                write_transposed(query_sums.data(), columns, rows, d, d_x.from(first));
            }
            write_rows(key_sums.data(), keys, d, head_of<Number>(dk, sample, head));
            write_rows(value_sums.data(), keys, d, head_of<Number>(dv, sample, head));
        }
        finish_products<Factor>();
    });
}

/// Calls `body` with a tensor's number type and that of the factors of its products.
template <typename Body>
void with_types(const at::Tensor &x, const Body &body) {
    if (x.scalar_type() == at::kFloat)
        body(float(), float());
    else if (has_block_products<uint16_t>())
        body(uint16_t(), uint16_t());
    else
        body(uint16_t(), float());
}

/// Rows that lie together, or a copy.
at::Tensor rows_of(const at::Tensor &x) { return x.stride(3) == 1 ? x : x.contiguous(); }

struct Attention : torch::autograd::Function<Attention> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &query, const at::Tensor &key,
        const at::Tensor &value, const Dropping &dropping) {
        at::Tensor q = rows_of(query), k = rows_of(key), v = rows_of(value);
        Shape shape(q, k);
        at::Tensor y = empty_heads(q, shape.queries);
        at::Tensor kept = at::empty({2, shape.batch, shape.heads, shape.queries}, q.options().dtype(at::kFloat));
        with_types(q, [&](auto number, auto factor) {
            attend<decltype(number), decltype(factor)>(shape, dropping, q, k, v, y, Sums(kept));
        });
        context->save_for_backward({q, k, v, y, kept});
        context->saved_data["rate"] = dropping.rate;
        dropping.samples.keep(context->saved_data);
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
        Shape shape(q, k);
        Dropping dropping{context->saved_data["rate"].toDouble(), PhiloxSamples::kept(context->saved_data)};
        at::Tensor dy = rows_of(gradients[0].to(q.scalar_type()));
        at::Tensor dq = empty_heads(q, shape.queries), dk = empty_heads(k, shape.keys), dv = empty_heads(v, shape.keys);
        with_types(q, [&](auto number, auto factor) {
            attend_back<decltype(number), decltype(factor)>(
                shape, dropping, q, k, v, saved[3], dy, Sums(saved[4]), dq, dk, dv);
        });
        return {dq, dk, dv, {}};
    }
};

/// Whether the kernels take these; elsewhere libtorch's operator does the same.
bool takes(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
    return has_native_numbers(q) && k.is_cpu() && v.is_cpu() && k.scalar_type() == q.scalar_type()
        && v.scalar_type() == q.scalar_type() && q.numel() > 0 && k.numel() > 0 && q.size(3) % 2 == 0
        && has_block_products<float>();
}

#endif

void check(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
    TORCH_CHECK(
        q.dim() == 4 && k.dim() == 4 && k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(1) == k.size(1)
            && q.size(3) == k.size(3),
        "attention: q has ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
}

at::Tensor attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
    check(q, k, v);
#ifdef HAS_BLOCK_PRODUCTS
    if (takes(q, k, v)) return Attention::apply(q, k, v, Dropping{0, {{}, 0, 0, {}}});
#endif
    return at::scaled_dot_product_attention(q, k, v);
}

/// With dropout of the weights, whose zeros belong to the samples as those of `philox_dropout` do.
at::Tensor attention_dropout(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, double rate, at::IntArrayRef seeds, int64_t stream,
    int64_t update, at::IntArrayRef places) {
    check(q, k, v);
    TORCH_CHECK(
        q.size(0) == static_cast<int64_t>(places.size()) && rate >= 0 && rate < 1, "attention: q has ", q.sizes(),
        ", there are ", places.size(), " places, the rate is ", rate);
#ifdef HAS_BLOCK_PRODUCTS
    if (takes(q, k, v)) return Attention::apply(q, k, v, Dropping{rate, {seeds, stream, update, places}});
#endif
    at::Tensor scores = at::matmul(q, k.transpose(2, 3)) * (1 / std::sqrt(static_cast<double>(q.size(3))));
    return at::matmul(philox_dropout(at::softmax(scores, -1), rate, seeds, stream, update, places), v);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def("attention(Tensor q, Tensor k, Tensor v) -> Tensor", engine::attention);
    library.def(
        "attention_dropout(Tensor q, Tensor k, Tensor v, float rate, int[] seeds, int stream, int update, int[] places) -> "
        "Tensor",
        engine::attention_dropout);
}
