// Attention on the processor as one operator, forward and backward: softmax(q k^T / sqrt(d)) v for q [B, heads, T, d] and
// k, v [B, heads, S, d], whatever their strides. Scores of a block of queries alone are held at a time.
//
// `fused_attention` takes q, k and v where fused projections leave them, and leaves gradients where those want them: nothing is
// split or put together around it. Its keys are a token's own and those of a condition.
//
// Forward keeps each row's largest score and sum of exponentials; backward computes the weights again from them, transposed,
// so that each product finds its factors as they lie. Source: FlashAttention-2 (Dao 2023). Dropout of the weights is drawn for a block
// at a time, in both passes, as `philox_dropout` would draw it for all of [B, heads, T, S].
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "attention_passes.h"
#include "block_products.h"
#include "number_types.h"
#include "parallel.h"
#include "philox_dropout.h"

namespace engine {
namespace {

#ifdef HAS_BLOCK_PRODUCTS

/// Queries whose scores are held at a time.
constexpr int64_t query_block = 96;

/// Whether weights take the place of the scores that they are made of, and gradients that of what comes in.
template <typename Factor>
constexpr bool in_place = std::is_same_v<Factor, float>;

/// A thread's memory for one head at a time, kept from call to call: fresh pages would cost more than what is computed in them.
class Scratch {
public:
    /// Room for all that `take` is asked for, 64 bytes aligned.
    explicit Scratch(int64_t bytes) {
        static thread_local std::vector<char> kept;
        if (static_cast<int64_t>(kept.size()) < bytes + 64) kept = std::vector<char>(bytes + 64);
        next = kept.data() + 64 - reinterpret_cast<uintptr_t>(kept.data()) % 64;
    }

    template <typename T>
    T *take(int64_t count) {
        auto *taken = reinterpret_cast<T *>(next);
        next += bytes<T>(count);
        return taken;
    }

    template <typename T>
    static int64_t bytes(int64_t count) { return (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64; }

private:
    char *next;
};

/// Keys or values, [B, heads, S, d], that lie in one place or two, the first of which comes first; gradients that nobody wants lie
/// in none.
struct Parts {
    at::Tensor first, second;

    int64_t count() const { return count(first) + count(second); }

private:
    static int64_t count(const at::Tensor &x) { return x.defined() ? x.size(2) : 0; }
};

struct Shape {
    int64_t batch, heads, queries, keys, width;
    Shape(const at::Tensor &q, const Parts &k)
        : batch(q.size(0)), heads(q.size(1)), queries(q.size(2)), keys(k.count()), width(q.size(3)) {}
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

const Dropping no_dropping{0, {{}, 0, 0, {}}};

template <typename Number>
Rows<Number> head_of(const at::Tensor &x, int64_t sample, int64_t head) {
    return {
        static_cast<Number *>(x.data_ptr()) + sample * x.stride(0) + head * x.stride(1), x.stride(2)};
}

/// The keys or values of a head as they are, [S][d].
template <typename Number, typename Factor>
void copy_parts(const Parts &x, int64_t sample, int64_t head, int64_t d, Factor *to) {
    int64_t count = x.first.size(2);
    copy_rows(head_of<Number>(x.first, sample, head), count, d, to);
    if (x.second.defined()) copy_rows(head_of<Number>(x.second, sample, head), x.second.size(2), d, to + count * d);
}

template <typename Number>
void write_parts(const float *from, const Parts &x, int64_t sample, int64_t head, int64_t d) {
    for (const at::Tensor *part : {&x.first, &x.second}) {
        if (!part->defined()) continue;
        write_rows(from, part->size(2), d, head_of<Number>(*part, sample, head));
        from += part->size(2) * d;
    }
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
    const Shape &shape, const Dropping &dropping, const at::Tensor &q, const Parts &k, const Parts &v,
    const at::Tensor &y, const Sums &kept) {
    int64_t d = shape.width, keys = shape.keys, columns = padded<Factor>(keys);
    int64_t block = std::min(query_block, shape.queries);
    parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t from, int64_t to) {
        Scratch scratch(
            Scratch::bytes<Factor>(keys * d) + 2 * Scratch::bytes<Factor>(d * columns) + Scratch::bytes<Factor>(block * d)
            + (in_place<Factor> ? 0 : Scratch::bytes<Factor>(block * columns)) + Scratch::bytes<float>(block * columns)
            + Scratch::bytes<float>(block * d) + Scratch::bytes<float>(dropping.drops() ? block * keys : 0));
        Rows<Factor> together = {scratch.take<Factor>(keys * d), d};
        auto *packed_keys = scratch.take<Factor>(d * columns), *packed_values = scratch.take<Factor>(columns * d);
        auto *queries = scratch.take<Factor>(block * d);
        auto *scores = scratch.take<float>(block * columns), *attended = scratch.take<float>(block * d);
        Factor *weights;
        if constexpr (in_place<Factor>)
            weights = scores;
        else
            weights = scratch.take<Factor>(block * columns);
        auto *factors = scratch.take<float>(dropping.drops() ? block * keys : 0);
        for (int64_t task = from; task < to; ++task) {
            int64_t sample = task / shape.heads, head = task % shape.heads;
            copy_parts<Number>(k, sample, head, d, together.data);
            pack_transposed(together, keys, d, packed_keys);
            copy_parts<Number>(v, sample, head, d, together.data);
            pack_rows(together, keys, d, packed_values);
            auto x = head_of<Number>(q, sample, head), written = head_of<Number>(y, sample, head);
            for (int64_t first = 0; first < shape.queries; first += block) {
                int64_t rows = std::min(block, shape.queries - first);
                copy_rows(x.from(first), rows, d, queries);
                multiply(false, rows, columns, d, queries, d, packed_keys, scores);
                int64_t row = task * shape.queries + first;
                float *maxima = kept.maxima + row, *shares = kept.shares + row;
                weigh(scores, rows, keys, shape.scale(), weights, maxima, shares);
                if (dropping.drops()) {
                    dropping.factors(shape, task, first, rows, factors);
                    drop(factors, rows, keys, weights);
                }
                multiply(false, rows, d, columns, weights, columns, packed_values, attended);
                write_scaled(attended, rows, d, shares, written.from(first));
            }
        }
        finish_products<Factor>();
    });
}

template <typename Number, typename Factor>
void attend_back(
    const Shape &shape, const Dropping &dropping, const at::Tensor &q, const Parts &k, const Parts &v,
    const at::Tensor &dy, const Sums &kept, const at::Tensor &dq, const Parts &dk, const Parts &dv) {
    int64_t d = shape.width, keys = shape.keys, padded_keys = padded<Factor>(keys);
    int64_t block = std::min(query_block, shape.queries), padded_block = padded<Factor>(block);
    // The keys whose gradients are wanted come first.
    int64_t wanted = padded<Factor>(dk.count());
    parallel_for(0, shape.batch * shape.heads, 1, [&](int64_t from, int64_t to) {
        int64_t dropped = dropping.drops() ? block * keys : 0, sides = padded_keys * padded_block;
        Scratch scratch(
            3 * Scratch::bytes<Factor>(padded_keys * d) + 4 * Scratch::bytes<Factor>(padded_block * d)
            + (in_place<Factor> ? 0 : 3 * Scratch::bytes<Factor>(sides)) + 2 * Scratch::bytes<float>(sides)
            + 2 * Scratch::bytes<float>(block) + Scratch::bytes<float>(d * padded_block)
            + 2 * Scratch::bytes<float>(padded_keys * d) + 2 * Scratch::bytes<float>(dropped));
        auto *key_rows = scratch.take<Factor>(padded_keys * d), *value_rows = scratch.take<Factor>(padded_keys * d);
        auto *key_columns = scratch.take<Factor>(d * padded_keys);
        auto *queries = scratch.take<Factor>(padded_block * d), *queries_across = scratch.take<Factor>(padded_block * d);
        auto *incoming = scratch.take<Factor>(padded_block * d), *incoming_across = scratch.take<Factor>(padded_block * d);
        auto *scores = scratch.take<float>(sides), *products = scratch.take<float>(sides);
        Factor *weights, *gradients, *packed;
        if constexpr (in_place<Factor>) {
            weights = scores;
            gradients = packed = products;
        } else {
            weights = scratch.take<Factor>(sides);
            gradients = scratch.take<Factor>(sides);
            packed = scratch.take<Factor>(sides);
        }
        auto *deltas = scratch.take<float>(block), *spare = scratch.take<float>(block);
        auto *query_sums = scratch.take<float>(d * padded_block);
        auto *key_sums = scratch.take<float>(padded_keys * d), *value_sums = scratch.take<float>(padded_keys * d);
        auto *factors = scratch.take<float>(dropped), *factors_across = scratch.take<float>(dropped);
        // Rows past the last are of no use, but numbers.
        std::fill(key_rows + keys * d, key_rows + padded_keys * d, Factor());
        std::fill(value_rows + keys * d, value_rows + padded_keys * d, Factor());
        std::fill(weights, weights + sides, Factor());
        std::fill(gradients, gradients + sides, Factor());
        for (int64_t task = from; task < to; ++task) {
            int64_t sample = task / shape.heads, head = task % shape.heads;
            copy_parts<Number>(k, sample, head, d, key_rows);
            copy_parts<Number>(v, sample, head, d, value_rows);
            transpose(Rows<Factor>{key_rows, d}, keys, d, key_columns);
            auto x = head_of<Number>(q, sample, head);
            auto d_out = head_of<Number>(dy, sample, head), d_x = head_of<Number>(dq, sample, head);
            for (int64_t first = 0; first < shape.queries; first += block) {
                int64_t rows = std::min(block, shape.queries - first), columns = padded<Factor>(rows);
                pack_transposed(x.from(first), rows, d, queries_across);
                pack_transposed(d_out.from(first), rows, d, incoming_across);
                pack_rows(x.from(first), rows, d, queries);
                pack_rows(d_out.from(first), rows, d, incoming);

                multiply(false, padded_keys, columns, d, key_rows, d, queries_across, scores);
                multiply(false, padded_keys, columns, d, value_rows, d, incoming_across, products);
                if (dropping.drops()) {
                    dropping.factors(shape, task, first, rows, factors);
                    turn(factors, rows, keys, factors_across);
                }
                int64_t row = task * shape.queries + first;
                const float *across = dropping.drops() ? factors_across : nullptr;
                const float *maxima = kept.maxima + row, *shares = kept.shares + row;
                if constexpr (in_place<Factor>)
                    weigh_back(scores, products, keys, rows, shape.scale(), maxima, shares, deltas, across, spare);
                else
                    weigh_back(
                        scores, products, keys, rows, shape.scale(), maxima, shares, deltas, across, spare, weights,
                        gradients, packed);
                bool adds = first > 0;
                if (wanted > 0) {
                    multiply(adds, wanted, d, columns, weights, columns, incoming, value_sums);
                    multiply(adds, wanted, d, columns, gradients, columns, queries, key_sums);
                }
                multiply(
                    false, d, columns, padded_keys, key_columns, padded_keys, packed, query_sums);
                write_transposed(query_sums, columns, rows, d, d_x.from(first));
            }
            write_parts<Number>(key_sums, dk, sample, head, d);
            write_parts<Number>(value_sums, dv, sample, head, d);
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

/// Runs the kernels, and keeps of each row of scores what the backward pass needs, [2, B, heads, T].
at::Tensor attended(const at::Tensor &q, const Parts &k, const Parts &v, const Dropping &dropping, at::Tensor &kept) {
    Shape shape(q, k);
    at::Tensor y = empty_heads(q, shape.queries);
    kept = at::empty({2, shape.batch, shape.heads, shape.queries}, q.options().dtype(at::kFloat));
    with_types(q, [&](auto number, auto factor) {
        attend<decltype(number), decltype(factor)>(shape, dropping, q, k, v, y, Sums(kept));
    });
    return y;
}

struct Attention : torch::autograd::Function<Attention> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &query, const at::Tensor &key,
        const at::Tensor &value) {
        at::Tensor q = rows_of(query), k = rows_of(key), v = rows_of(value), kept;
        at::Tensor y = attended(q, {k, {}}, {v, {}}, no_dropping, kept);
        context->save_for_backward({q, k, v, kept});
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &q = saved[0];
        Parts k{saved[1], {}}, v{saved[2], {}};
        Shape shape(q, k);
        at::Tensor dy = rows_of(gradients[0].to(q.scalar_type()));
        at::Tensor dq = empty_heads(q, shape.queries);
        Parts dk{empty_heads(k.first, shape.keys), {}}, dv{empty_heads(v.first, shape.keys), {}};
        with_types(q, [&](auto number, auto factor) {
            attend_back<decltype(number), decltype(factor)>(
                shape, no_dropping, q, k, v, dy, Sums(saved[3]), dq, dk, dv);
        });
        return {dq, dk.first, dv.first};
    }
};

/// q, k and v as they lie in the outputs of fused projections: `own` [B, N, 3c], or [B, N, c] where tokens have no keys of
/// their own, and `context` [B, T, 2c].
struct Fused {
    at::Tensor q;
    Parts k, v;

    /// - Parameters:
    ///   - context: undefined for gradients that nobody wants.
    ///   - width: c.
    Fused(const at::Tensor &own, const at::Tensor &context, int64_t heads, int64_t width) {
        auto part = [&](const at::Tensor &x, int64_t index) {
            if (!x.defined()) return at::Tensor();
            return x.narrow(2, index * width, width).unflatten(2, {heads, width / heads}).transpose(1, 2);
        };
        q = part(own, 0);
        if (own.size(2) == width) {
            k = {part(context, 0), {}};
            v = {part(context, 1), {}};
        } else {
            k = {part(own, 1), part(context, 0)};
            v = {part(own, 2), part(context, 1)};
        }
    }
};

struct FusedAttention : torch::autograd::Function<FusedAttention> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &given, const at::Tensor &condition, int64_t heads,
        const Dropping &dropping) {
        at::Tensor own = given.contiguous(), other = condition.contiguous(), kept;
        Fused x(own, other, heads, other.size(2) / 2);
        at::Tensor y = attended(x.q, x.k, x.v, dropping, kept).transpose(1, 2).flatten(2);  // [B, N, c]
        context->save_for_backward({own, other, kept});
        context->saved_data["heads"] = heads;
        context->saved_data["rate"] = dropping.rate;
        dropping.samples.keep(context->saved_data);
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &own = saved[0], &other = saved[1];
        int64_t heads = context->saved_data["heads"].toInt();
        Dropping dropping{context->saved_data["rate"].toDouble(), PhiloxSamples::kept(context->saved_data)};
        at::Tensor d_own = at::empty_like(own), d_other;
        if (context->needs_input_grad(1)) d_other = at::empty_like(other);
        int64_t width = other.size(2) / 2;
        Fused x(own, other, heads, width), d_x(d_own, d_other, heads, width);
        Shape shape(x.q, x.k);
        auto by_head = [&](const at::Tensor &y) { return y.unflatten(2, {heads, shape.width}).transpose(1, 2); };
        at::Tensor dy = by_head(gradients[0].to(own.scalar_type()).contiguous());
        with_types(own, [&](auto number, auto factor) {
            attend_back<decltype(number), decltype(factor)>(
                shape, dropping, x.q, x.k, x.v, dy, Sums(saved[2]), d_x.q, d_x.k, d_x.v);
        });
        return {d_own, d_other, {}, {}};
    }
};

/// Whether the kernels take these, with heads of `width` numbers; elsewhere libtorch's operator does the same.
bool takes(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, int64_t width) {
    return has_native_numbers(q) && k.is_cpu() && v.is_cpu() && k.scalar_type() == q.scalar_type()
        && v.scalar_type() == q.scalar_type() && q.numel() > 0 && k.numel() > 0 && width % 2 == 0
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
    if (takes(q, k, v, q.size(3))) return Attention::apply(q, k, v);
#endif
    return at::scaled_dot_product_attention(q, k, v);
}

/// Attention of `own` [B, N, 3c], which is q, k and v of the tokens side by side, to themselves and to `context` [B, T, 2c], which
/// is k and v of a condition; or of `own` [B, N, c], q alone, to the condition. To [B, N, c]. Of the weights a rate is dropped, whose
/// zeros belong to the samples as those of `philox_dropout` do.
at::Tensor fused_attention(
    const at::Tensor &own, const at::Tensor &context, int64_t heads, double rate, at::IntArrayRef seeds, int64_t stream,
    int64_t update, at::IntArrayRef places) {
    TORCH_CHECK(
        own.dim() == 3 && context.dim() == 3 && own.size(0) == context.size(0) && heads > 0
            && context.size(2) % (2 * heads) == 0
            && (2 * own.size(2) == context.size(2) || 2 * own.size(2) == 3 * context.size(2)) && rate >= 0 && rate < 1
            && (rate == 0 || own.size(0) == static_cast<int64_t>(places.size())),
        "fused_attention: own has ", own.sizes(), ", context ", context.sizes(), ", there are ", heads, " heads and ",
        places.size(), " places, the rate is ", rate);
    int64_t width = context.size(2) / 2;
#ifdef HAS_BLOCK_PRODUCTS
    if (takes(own, context, context, width / heads))
        return FusedAttention::apply(own, context, heads, Dropping{rate, {seeds, stream, update, places}});
#endif
    auto by_head = [&](const at::Tensor &x) { return x.unflatten(2, {heads, width / heads}).transpose(1, 2); };
    auto parts = own.split(width, 2), others = context.split(width, 2);
    at::Tensor k = others[0], v = others[1];
    if (parts.size() > 1) {
        k = at::cat({parts[1], k}, 1);
        v = at::cat({parts[2], v}, 1);
    }
    at::Tensor q = by_head(parts[0]), y;
    k = by_head(k);
    v = by_head(v);
    if (rate == 0) {
        y = attention(q, k, v);
    } else {
        at::Tensor scores = at::matmul(q, k.transpose(2, 3)) * (1 / std::sqrt(static_cast<double>(q.size(3))));
        y = at::matmul(philox_dropout(at::softmax(scores, -1), rate, seeds, stream, update, places), v);
    }
    return y.transpose(1, 2).flatten(2);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def("attention(Tensor q, Tensor k, Tensor v) -> Tensor", engine::attention);
    library.def(
        "fused_attention(Tensor own, Tensor context, int heads, float rate, int[] seeds, int stream, int update, int[] places) "
        "-> Tensor",
        engine::fused_attention);
}
