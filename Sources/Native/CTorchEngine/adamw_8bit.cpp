// AdamW whose moments are kept in eight bits an element.
//
// A moment is cut into blocks of 256 elements; a block keeps its largest magnitude in float32, and each element the
// number of the nearest of 256 values between -1 and 1, times that magnitude. Source: Dettmers et al. 2022, "8-bit
// Optimizers via Block-wise Quantization". The exact order of operations is written down in
// Tests/Peers/peers/adamw_8bit.py, with which this file agrees bit for bit on the CPU.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <cmath>
#include <cstring>

#include "tensor_chunks.h"
#include "variants.h"

// A product and a sum rounded together would make the bytes depend on the processor.
#pragma STDC FP_CONTRACT OFF

namespace engine {
namespace {

constexpr int64_t block_elements = 256;
/// Elements that the general way takes at a time: its intermediate results are a few times as large.
constexpr int64_t slice_elements = 1 << 22;

struct Step {
    float decay, beta1, rest1, beta2, rest2, size, root, epsilon, scale;
};

/// The 256 values in ascending order, and where among them to look for a number.
struct Codebook {
    float values[257];
    /// By the upper 16 bits of a number: the last value not above the least number with these bits. Among numbers
    /// with the same bits there is at most one value.
    std::vector<uint8_t> first;

    explicit Codebook(const float *from) : first(65536) {
        std::memcpy(values, from, 256 * sizeof(float));
        values[256] = INFINITY;
        for (uint32_t bits = 0; bits < 65536; ++bits) {
            uint32_t whole = bits << 16 | (bits & 0x8000 ? 0xffff : 0);
            float least;
            std::memcpy(&least, &whole, 4);
            int64_t above = std::upper_bound(values, values + 256, least) - values;
            first[bits] = static_cast<uint8_t>(std::max<int64_t>(0, above - 1));
        }
    }

    /// The nearest value, the lower one of two.
    INLINE uint8_t nearest(const float *values, const uint8_t *first, float x) {
        uint32_t bits;
        std::memcpy(&bits, &x, 4);
        uint32_t code = first[bits >> 16];
        code += x >= values[code + 1];
        code += values[code + 1] - x < x - values[code];
        return static_cast<uint8_t>(code);
    }
};

INLINE float largest_of(const float *x, int64_t count) {
    float largest = 0;
    for (int64_t i = 0; i < count; ++i) {
        float magnitude = std::fabs(x[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

INLINE void step_block(
    float *__restrict p, const float *__restrict g, uint8_t *__restrict mean_codes, uint8_t *__restrict square_codes,
    float *__restrict mean_scale, float *__restrict square_scale, const float *__restrict signed_values,
    const uint8_t *__restrict signed_first, const float *__restrict unsigned_values,
    const uint8_t *__restrict unsigned_first, int64_t count, Step s) {
    float mean[block_elements], square[block_elements];
    for (int64_t i = 0; i < count; ++i) {
        mean[i] = signed_values[mean_codes[i]] * *mean_scale;
        square[i] = unsigned_values[square_codes[i]] * *square_scale;
    }
    for (int64_t i = 0; i < count; ++i) {
        float gradient = g[i] * s.scale;
        mean[i] = mean[i] * s.beta1 + gradient * s.rest1;
        square[i] = square[i] * s.beta2 + gradient * gradient * s.rest2;
        p[i] = p[i] * s.decay - mean[i] * s.size / (std::sqrt(square[i]) / s.root + s.epsilon);
    }
    float m = largest_of(mean, count), v = largest_of(square, count);
    *mean_scale = m;
    *square_scale = v;
    float m_divisor = m > 0 ? m : 1, v_divisor = v > 0 ? v : 1;
    for (int64_t i = 0; i < count; ++i) {
        mean_codes[i] = Codebook::nearest(signed_values, signed_first, mean[i] / m_divisor);
        uint8_t code = Codebook::nearest(unsigned_values, unsigned_first, square[i] / v_divisor);
        // Zero under the root would make the next step enormous.
        square_codes[i] = code == 0 && square[i] > 0 ? 1 : code;
    }
}

/// What the codes of some blocks [n, 256] stand for.
at::Tensor dequantised(const at::Tensor &codes, const at::Tensor &scales, const at::Tensor &values) {
    return values.index_select(0, codes.flatten().to(at::kInt)).view(codes.sizes()) * scales.unsqueeze(1);
}

/// Replaces codes and scales by those of `x` [n, 256].
void quantise(const at::Tensor &x, at::Tensor codes, at::Tensor scales, const at::Tensor &values, bool keeps_positive) {
    at::Tensor largest = at::amax(x.abs(), 1);
    scales.copy_(largest);
    at::Tensor scaled = x / at::where(largest > 0, largest, at::ones_like(largest)).unsqueeze(1);
    at::Tensor lower = (at::searchsorted(values, scaled, false, true) - 1).clamp(0, 255).flatten();
    at::Tensor upper = (lower + 1).clamp_max(255);
    at::Tensor flat = scaled.flatten();
    at::Tensor is_upper = values.index_select(0, upper) - flat < flat - values.index_select(0, lower);
    at::Tensor nearest = at::where(is_upper, upper, lower).view(x.sizes());
    if (keeps_positive) nearest = at::where(x > 0, nearest.clamp_min(1), nearest);
    codes.copy_(nearest);
}

/// `x` from `begin` to `end` in rows of a block, filled up with zeros.
at::Tensor blocks(const at::Tensor &x, int64_t begin, int64_t end) {
    at::Tensor part = x.flatten().narrow(0, begin, end - begin);
    int64_t missing = (block_elements - (end - begin) % block_elements) % block_elements;
    return at::constant_pad_nd(part, {0, missing}).view({-1, block_elements});
}

/// The same by libtorch's operators, on any device.
void step_generally(
    const at::Tensor &p, const at::Tensor &g, const at::Tensor &mean_codes, const at::Tensor &square_codes,
    const at::Tensor &mean_scales, const at::Tensor &square_scales, const at::Tensor &signed_values,
    const at::Tensor &unsigned_values, const Step &s) {
    at::Tensor parameter = p.contiguous();
    for (int64_t begin = 0; begin < p.numel(); begin += slice_elements) {
        int64_t end = std::min(begin + slice_elements, p.numel());
        int64_t row = begin / block_elements, rows = (end - begin + block_elements - 1) / block_elements;
        at::Tensor codes1 = blocks(mean_codes, begin, end), codes2 = blocks(square_codes, begin, end);
        at::Tensor scales1 = mean_scales.narrow(0, row, rows), scales2 = square_scales.narrow(0, row, rows);
        at::Tensor gradient = blocks(g, begin, end) * s.scale;
        at::Tensor mean = dequantised(codes1, scales1, signed_values) * s.beta1 + gradient * s.rest1;
        at::Tensor square = dequantised(codes2, scales2, unsigned_values) * s.beta2 + gradient * gradient * s.rest2;
        at::Tensor change = mean * s.size / (square.sqrt() / s.root + s.epsilon);
        at::Tensor part = parameter.view({-1}).narrow(0, begin, end - begin);
        part.mul_(s.decay).sub_(change.flatten().narrow(0, 0, end - begin));
        quantise(mean, codes1, scales1, signed_values, false);
        quantise(square, codes2, scales2, unsigned_values, true);
        // Where the slice ends inside a block, `blocks` made a copy.
        mean_codes.view({-1}).narrow(0, begin, end - begin).copy_(codes1.flatten().narrow(0, 0, end - begin));
        square_codes.view({-1}).narrow(0, begin, end - begin).copy_(codes2.flatten().narrow(0, 0, end - begin));
    }
    if (!parameter.is_same(p)) p.copy_(parameter);
}

/// Moments of parameters as codes (uint8, of the parameter's shape) and scales (one for each block).
void adamw_8bit_(
    at::TensorList parameters, at::TensorList gradients, at::TensorList mean_codes, at::TensorList square_codes,
    at::TensorList mean_scales, at::TensorList square_scales, const at::Tensor &signed_values,
    const at::Tensor &unsigned_values, int64_t step, double lr, double beta1, double beta2, double weight_decay,
    double eps, double gradient_scale, bool fused) {
    size_t count = parameters.size();
    TORCH_CHECK(
        gradients.size() == count && mean_codes.size() == count && square_codes.size() == count
            && mean_scales.size() == count && square_scales.size() == count,
        "adamw_8bit_: lists of different lengths");
    TORCH_CHECK(signed_values.numel() == 256 && unsigned_values.numel() == 256, "adamw_8bit_: 256 values are needed");
    std::vector<at::Tensor> incoming;
    bool is_native = fused;
    for (size_t i = 0; i < count; ++i) {
        const at::Tensor &p = parameters[i];
        int64_t rows = (p.numel() + block_elements - 1) / block_elements;
        TORCH_CHECK(
            p.scalar_type() == at::kFloat && gradients[i].scalar_type() == at::kFloat
                && gradients[i].sizes() == p.sizes() && mean_codes[i].numel() == p.numel()
                && square_codes[i].numel() == p.numel() && mean_scales[i].numel() == rows
                && square_scales[i].numel() == rows && mean_codes[i].is_contiguous() && square_codes[i].is_contiguous(),
            "adamw_8bit_: tensors do not fit each other at ", i);
        incoming.push_back(gradients[i].contiguous());
        is_native = is_native && p.is_cpu() && p.is_contiguous();
    }
    Step s{
        static_cast<float>(1 - lr * weight_decay),
        static_cast<float>(beta1),
        static_cast<float>(1 - beta1),
        static_cast<float>(beta2),
        static_cast<float>(1 - beta2),
        static_cast<float>(lr / (1 - std::pow(beta1, step))),
        static_cast<float>(std::sqrt(1 - std::pow(beta2, step))),
        static_cast<float>(eps),
        static_cast<float>(gradient_scale),
    };
    if (count == 0) return;
    if (!is_native) {
        const at::Tensor both = signed_values.to(parameters[0].device());
        const at::Tensor positive = unsigned_values.to(parameters[0].device());
        for (size_t i = 0; i < count; ++i)
            step_generally(
                parameters[i], incoming[i], mean_codes[i], square_codes[i], mean_scales[i], square_scales[i], both,
                positive, s);
        return;
    }
    Codebook both(signed_values.const_data_ptr<float>()), positive(unsigned_values.const_data_ptr<float>());
    over_chunks(chunks_of(parameters), [&](int64_t, const Chunk &c) {
        for (int64_t at = c.begin; at < c.end; at += block_elements)
            vectorised_alike([=, p = parameters[c.tensor].data_ptr<float>() + at,
                              g = incoming[c.tensor].const_data_ptr<float>() + at,
                              means = mean_codes[c.tensor].data_ptr<uint8_t>() + at,
                              squares = square_codes[c.tensor].data_ptr<uint8_t>() + at,
                              mean_scale = mean_scales[c.tensor].data_ptr<float>() + at / block_elements,
                              square_scale = square_scales[c.tensor].data_ptr<float>() + at / block_elements,
                              both = &both, positive = &positive, count = std::min(block_elements, c.end - at)]() INLINED {
                step_block(
                    p, g, means, squares, mean_scale, square_scale, both->values, both->first.data(), positive->values,
                    positive->first.data(), count, s);
            });
    });
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def(
        "adamw_8bit_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] mean_codes, Tensor(c!)[] square_codes, "
        "Tensor(d!)[] mean_scales, Tensor(e!)[] square_scales, Tensor signed_values, Tensor unsigned_values, int step, "
        "float lr, float beta1, float beta2, float weight_decay, float eps, float gradient_scale, "
        "bool fused=True) -> ()",
        engine::adamw_8bit_);
}
