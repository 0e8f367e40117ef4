// Draws that belong to samples: words, uniform and normal numbers, and dropout, all by Philox (philox.h).
#include "philox.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "number_types.h"
#include "parallel.h"
#include "philox_dropout.h"

namespace engine {
namespace {

/// Chunks that a thread takes at once.
constexpr int64_t grain = 64;

/// Natural logarithm of a normal float, relative error below 2e-7: Cephes' polynomial of the mantissa.
INLINE float logarithm(float x) {
    SEPARATE_ROUNDING
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    // The mantissa lies in root(1/2) ... root(2).
    int32_t exponent = static_cast<int32_t>(bits - 0x3f3504f3u) >> 23;
    bits -= static_cast<uint32_t>(exponent) << 23;
    float m;
    std::memcpy(&m, &bits, 4);
    float r = m - 1.0f, s = r * r, e = static_cast<float>(exponent);
    float p = 7.0376836292e-2f;
    p = p * r - 1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r - 1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r - 1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r - 2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    float y = p * r * s + e * -2.12194440e-4f - 0.5f * s;
    return r + y + e * 0.693359375f;
}

/// Two normal numbers of two words (Box and Muller 1958): the first word gives the radius, the second the angle.
INLINE void normals(uint32_t radial, uint32_t angular, float &a, float &b) {
    SEPARATE_ROUNDING
    float u = static_cast<float>(radial) * 0x1p-32f + 0x1p-33f;
    float squared = -2.0f * logarithm(u);
    float radius = std::sqrt(squared > 0.0f ? squared : 0.0f);
    // Two bits choose the quarter, the rest an angle of -pi/4 ... pi/4 within it.
    uint32_t quarter = angular >> 30;
    float x = static_cast<float>(static_cast<int32_t>((angular << 2) ^ 0x80000000u)) * (0x1p-32f * 1.57079633f);
    float z = x * x;
    float sine = x + x * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
    float cosine =
        1.0f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
    bool isTurned = quarter & 1, isOpposite = quarter & 2;
    float along = isTurned ? -sine : cosine, across = isTurned ? cosine : sine;
    radius = isOpposite ? -radius : radius;
    a = radius * along;
    b = radius * across;
}

INLINE void words_to(const PhiloxSource &source, int64_t begin, int64_t end, int64_t count, uint32_t *to) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        PhiloxWords words;
        philox(source, static_cast<uint32_t>(chunk), words);
        int64_t first = chunk * philox_chunk;
        std::memcpy(to + first, words.word, sizeof(uint32_t) * std::min(philox_chunk, count - first));
    }
}

INLINE void uniforms_to(const PhiloxSource &source, int64_t begin, int64_t end, int64_t count, float *to) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        PhiloxWords words;
        philox(source, static_cast<uint32_t>(chunk), words);
        float values[philox_chunk];
        for (int64_t i = 0; i < philox_chunk; ++i)
            values[i] = static_cast<float>(words.word[i / philox_lanes][i % philox_lanes] >> 8) * 0x1p-24f;
        int64_t first = chunk * philox_chunk;
        std::memcpy(to + first, values, sizeof(float) * std::min(philox_chunk, count - first));
    }
}

INLINE void normals_to(const PhiloxSource &source, int64_t begin, int64_t end, int64_t count, float *to) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        PhiloxWords words;
        philox(source, static_cast<uint32_t>(chunk), words);
        float values[4][philox_lanes];
        for (int64_t lane = 0; lane < philox_lanes; ++lane) {
            normals(words.word[0][lane], words.word[1][lane], values[0][lane], values[1][lane]);
            normals(words.word[2][lane], words.word[3][lane], values[2][lane], values[3][lane]);
        }
        int64_t first = chunk * philox_chunk;
        std::memcpy(to + first, values, sizeof(float) * std::min(philox_chunk, count - first));
    }
}

template <typename Number>
INLINE void scaled(const uint32_t *__restrict kept, float scale, const Number *__restrict in, Number *__restrict out) {
    for (int64_t i = 0; i < dropout_chunk; ++i) {
        Number value;
        store(&value, widen(in[i]) * scale);
        out[i] = kept[i] != 0 ? value : Number(0);
    }
}

/// Passes over elements of one sample: those whose half word is below the threshold become zero.
template <typename Number>
INLINE void dropped(
    const PhiloxSource &source, int64_t begin, int64_t end, int64_t count, uint32_t threshold, float scale,
    const Number *from, Number *to) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        PhiloxWords words;
        philox(source, static_cast<uint32_t>(chunk), words);
        uint32_t kept[dropout_chunk];
        kept_of(words, threshold, kept);
        const Number *in = from + chunk * dropout_chunk;
        Number *out = to + chunk * dropout_chunk;
        int64_t left = count - chunk * dropout_chunk;
        if (left >= dropout_chunk) {
            scaled(kept, scale, in, out);
        } else {
            Number rest[dropout_chunk] = {}, made[dropout_chunk];
            std::memcpy(rest, in, sizeof(Number) * left);
            scaled(kept, scale, rest, made);
            std::memcpy(out, made, sizeof(Number) * left);
        }
    }
}

/// Runs `body(row, begin, end)` over the chunks of all rows of `count` numbers.
template <typename Body>
void over_chunks(const PhiloxSamples &source, int64_t count, int64_t chunk, const Body &body) {
    int64_t chunks = (count + chunk - 1) / chunk;
    TORCH_CHECK(chunks * philox_lanes <= int64_t{1} << 32, "philox: ", count, " numbers for a sample are too many");
    parallel_for(0, static_cast<int64_t>(source.places.size()) * chunks, grain, [&](int64_t from, int64_t to) {
        while (from < to) {
            int64_t row = from / chunks, begin = from % chunks;
            int64_t end = std::min(chunks, begin + to - from);
            body(row, begin, end);
            from += end - begin;
        }
    });
}

/// [places, numbers] of a dtype whose elements have four bytes.
template <auto fill, typename Number>
at::Tensor filled(const PhiloxSamples &source, int64_t count, at::ScalarType dtype) {
    at::Tensor out = at::empty({static_cast<int64_t>(source.places.size()), count}, dtype);
    auto *to = static_cast<Number *>(out.data_ptr());
    over_chunks(source, count, philox_chunk, [&](int64_t row, int64_t begin, int64_t end) {
        vectorised_alike([=, draws = source.at(row), row = to + row * count]() INLINED {
            fill(draws, begin, end, count, row);
        });
    });
    return out;
}

/// The bits of int32, [places, count].
at::Tensor philox_words(at::IntArrayRef seeds, int64_t stream, int64_t update, at::IntArrayRef places, int64_t count) {
    return filled<words_to, uint32_t>({seeds, stream, update, places}, count, at::kInt);
}

/// In 0 ..< 1, multiples of 2^-24, float32 [places, count].
at::Tensor philox_uniform(at::IntArrayRef seeds, int64_t stream, int64_t update, at::IntArrayRef places, int64_t count) {
    return filled<uniforms_to, float>({seeds, stream, update, places}, count, at::kFloat);
}

/// Standard normal, float32 [places, count].
at::Tensor philox_normal(at::IntArrayRef seeds, int64_t stream, int64_t update, at::IntArrayRef places, int64_t count) {
    return filled<normals_to, float>({seeds, stream, update, places}, count, at::kFloat);
}

/// The words of ``philox_words`` by operators of libtorch, int64 [places, count], for devices without a kernel.
at::Tensor philox_composed(
    at::IntArrayRef seeds, int64_t stream, int64_t update, at::IntArrayRef places, int64_t count, at::Device device) {
    PhiloxSamples source(seeds, stream, update, places);
    constexpr int64_t low = 0xffffffff;
    auto options = at::TensorOptions().dtype(at::kLong).device(device);
    int64_t blocks = (count + philox_chunk - 1) / philox_chunk * philox_lanes;
    at::Tensor c0 = at::arange(blocks, options).unsqueeze(0);
    at::Tensor c1 = at::tensor(source.places, at::kLong).to(device).unsqueeze(1);
    at::Tensor c2 = at::full({1, 1}, update, options), c3 = at::full({1, 1}, stream, options);
    at::Tensor seed = at::tensor(source.seeds, at::kLong).to(device).unsqueeze(1);
    at::Tensor k0 = seed.__and__(low), k1 = seed.__rshift__(32).__and__(low);
    for (int round = 0; round < 10; ++round) {
        // Products of 64 bits wrap around as unsigned ones do; the shift's sign bits are masked off.
        at::Tensor first = c0 * int64_t{0xD2511F53}, second = c2 * int64_t{0xCD9E8D57};
        at::Tensor n0 = second.__rshift__(32).__and__(low).__xor__(c1).__xor__(k0);
        at::Tensor n2 = first.__rshift__(32).__and__(low).__xor__(c3).__xor__(k1);
        c1 = second.__and__(low);
        c3 = first.__and__(low);
        c0 = n0;
        c2 = n2;
        k0 = (k0 + int64_t{0x9E3779B9}).__and__(low);
        k1 = (k1 + int64_t{0xBB67AE85}).__and__(low);
    }
    int64_t rows = static_cast<int64_t>(source.places.size());
    std::vector<at::Tensor> words;
    for (const at::Tensor &word : {c0, c1, c2, c3})
        words.push_back(word.expand({rows, blocks}).reshape({rows, blocks / philox_lanes, 1, philox_lanes}));
    return at::cat(words, 2).reshape({rows, 4 * blocks}).slice(1, 0, count);
}

/// Zeros at random places of x [samples, ...], the rest divided by 1 - rate.
at::Tensor drop(const at::Tensor &given, double rate, const PhiloxSamples &source) {
    // Elements are counted in logical order, whatever their order in memory.
    at::Tensor x = given.contiguous();
    int64_t count = x.size(0) > 0 ? x.numel() / x.size(0) : 0;
    uint32_t threshold = dropout_threshold(rate);
    auto scale = static_cast<float>(1 / (1 - rate));
    if (!has_native_numbers(x)) {
        int64_t whole = (count + dropout_chunk - 1) / dropout_chunk * philox_chunk;
        at::Tensor words = philox_composed(source.seeds, source.stream, source.update, source.places, whole, x.device())
                               .reshape({x.size(0), whole / philox_lanes, 1, philox_lanes});
        at::Tensor halves = at::cat({words.__and__(0xffff), words.__rshift__(16)}, 2).reshape({x.size(0), 2 * whole});
        at::Tensor kept = halves.slice(1, 0, count).ge(static_cast<int64_t>(threshold)).reshape(x.sizes());
        return x * kept.to(x.scalar_type()) * scale;
    }
    at::Tensor out = at::empty_like(x);
    with_number_type(x, [&](auto *type) {
        auto *from = static_cast<const std::remove_pointer_t<decltype(type)> *>(x.const_data_ptr());
        auto *to = static_cast<decltype(type)>(out.data_ptr());
        over_chunks(source, count, dropout_chunk, [&](int64_t row, int64_t begin, int64_t end) {
            vectorised_alike([=, draws = source.at(row), x = from + row * count, y = to + row * count]() INLINED {
                dropped(draws, begin, end, count, threshold, scale, x, y);
            });
        });
    });
    return out;
}

/// Its backward pass draws the same zeros again, so that none are kept.
struct PhiloxDropout : torch::autograd::Function<PhiloxDropout> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, double rate, at::IntArrayRef seeds,
        int64_t stream, int64_t update, at::IntArrayRef places) {
        PhiloxSamples source(seeds, stream, update, places);
        context->saved_data["rate"] = rate;
        source.keep(context->saved_data);
        return drop(x, rate, source);
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto &saved = context->saved_data;
        at::Tensor gradient = drop(gradients[0], saved["rate"].toDouble(), PhiloxSamples::kept(saved));
        return {gradient, {}, {}, {}, {}, {}};
    }
};

}  // namespace

at::Tensor philox_dropout(
    const at::Tensor &x, double rate, at::IntArrayRef seeds, int64_t stream, int64_t update, at::IntArrayRef places) {
    TORCH_CHECK(
        x.dim() >= 1 && x.size(0) == static_cast<int64_t>(places.size()) && rate >= 0 && rate < 1,
        "philox_dropout: x has ", x.sizes(), ", there are ", places.size(), " places, the rate is ", rate);
    return PhiloxDropout::apply(x, rate, seeds, stream, update, places);
}

}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def(
        "philox_words(int[] seeds, int stream, int update, int[] places, int count) -> Tensor", engine::philox_words);
    library.def(
        "philox_uniform(int[] seeds, int stream, int update, int[] places, int count) -> Tensor", engine::philox_uniform);
    library.def(
        "philox_normal(int[] seeds, int stream, int update, int[] places, int count) -> Tensor", engine::philox_normal);
    library.def(
        "philox_composed(int[] seeds, int stream, int update, int[] places, int count, Device device) -> Tensor",
        engine::philox_composed);
    library.def(
        "philox_dropout(Tensor x, float rate, int[] seeds, int stream, int update, int[] places) -> Tensor",
        engine::philox_dropout);
}
