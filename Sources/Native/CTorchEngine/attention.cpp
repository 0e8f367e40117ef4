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

#include "attention_passes.h"
#include "block_products.h"
#include "number_types.h"
#include "philox_dropout.h"

namespace engine {
namespace {

#ifdef HAS_BLOCK_PRODUCTS

/// Queries whose scores are held at a time.
constexpr int64_t query_block = 96;

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

/// Of every row of scores, [B, heads, T]: the largest, and one by the sum of the exponentials of the differences to it.
struct Sums {
    float *maxima, *shares;

    /// Of [2, B, heads, T].
    explicit Sums(const at::Tensor &kept)
        : maxima(kept.data_ptr<float>()), shares(kept.data_ptr<float>() + kept.numel() / 2) {}
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
                int64_t row = task * shape.queries + first;
                float *maxima = kept.maxima + row, *shares = kept.shares + row;
                weigh(scores.data(), rows, keys, shape.scale(), weights.data(), maxima, shares);
                if (dropping.drops()) {
                    dropping.factors(shape, task, first, rows, factors.data());
                    drop(factors.data(), rows, keys, weights.data());
                }
                multiply(false, rows, d, columns, weights.data(), columns, packed_values.data(), attended.data());
                write_scaled(attended.data(), rows, d, shares, written.from(first));
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
                int64_t row = task * shape.queries + first;
                weigh_back(
                    scores.data(), products.data(), keys, rows, shape.scale(), kept.maxima + row, kept.shares + row,
                    deltas.data(), dropping.drops() ? factors_across.data() : nullptr, weights.data(), gradients.data(),
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
