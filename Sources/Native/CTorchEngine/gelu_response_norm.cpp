// GELU and global response normalisation in one operator that keeps its input alone for the backward pass.
//
// For x [B, ..., C] over P positions: g = gelu(x), G = the norm of g over the positions, N = G / (mean of G over the
// channels + 1e-6), y = g * (gamma * N + 1) + beta. Source: ConvNeXt V2 (Woo et al. 2023) and the reference's
// GlobalResponseNorm.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>
#include <cstring>

#include "elementary.h"
#include "number_types.h"
#include "positions.h"

namespace engine {
namespace {

constexpr double epsilon = 1e-6;

/// gelu(x) and its derivative. The normal distribution's cumulative function is that of float64 but for rounding: erfc(z) is
/// exp(-z^2) times a polynomial in 1 / (1 + 0.55 z), as in Abramowitz and Stegun 7.1.26, with more terms (error below 1e-8).
template <typename T>
INLINE void gelu(float x, float &value, float &slope) {
    float z = std::fabs(x) * 0.707106781f;
    float t = 1.0f / (1.0f + 0.55f * z);
    float e = exponential(-z * z);
    float tail = t * (0.310623113f + t * (0.304268842f + t * (0.310245517f + t * (-0.0260569599f + t * (0.525388962f
        + t * (-0.716456777f + t * (0.358175104f + t * -0.0661878075f)))))));
    float half = 0.5f * tail * e;
    float cumulative = x < 0 ? half : 1.0f - half;
    value = x * cumulative;
    slope = cumulative + x * (0.398942280f * e);
}

/// c[0] + c[1] x + ...
template <size_t count>
INLINE float polynomial(const float (&c)[count], float x) {
    float y = c[count - 1];
    for (size_t i = count - 1; i > 0; --i) y = y * x + c[i - 1];
    return y;
}

/// For numbers that come as bfloat16 and are rounded to it, by polynomials in x^2 for |x| < 5 (errors below 1.1e-5 and 2.6e-5).
template <>
INLINED inline void gelu<uint16_t>(float x, float &value, float &slope) {
    constexpr float cumulative[] = {
        0.14136346f, -0.070295909f, 0.051543783f, -0.040451282f, 0.031175139f, -0.023213128f, 0.017522998f, -0.011307125f,
        0.0042846322f, -0.0025269167f, 0.0035807253f, -0.001676731f};
    constexpr float derivative[] = {
        0.14212807f, -0.075092861f, 0.066976786f, -0.072240821f, 0.075683465f, -0.080878826f, 0.099619499f, -0.079966908f,
        0.01544239f, -0.014916024f, 0.049086315f, -0.025844665f};
    float near = x < -5.0f ? -5.0f : x;
    near = near > 5.0f ? 5.0f : near;
    float square = near * near * 0.08f - 1.0f;
    value = x * (0.5f + near * polynomial(cumulative, square));
    slope = 0.5f + near * polynomial(derivative, square);
}

template <typename T>
INLINE float gelu(float x) {
    float value, slope;
    gelu<T>(x, value, slope);
    return value;
}

/// Adds the squares of gelu(x) of some positions to `sums` [C].
template <typename T>
INLINE void add_squares(const T *x, int64_t positions, int64_t channels, float *sums) {
    for (int64_t p = 0; p < positions; ++p)
        for (int64_t c = 0; c < channels; ++c) {
            float g = gelu<T>(widen(x[p * channels + c]));
            sums[c] += g * g;
        }
}

/// y = gelu(x) * scale + shift.
template <typename T>
INLINE void apply_forward(
    const T *x, int64_t positions, int64_t channels, const float *scale, const float *shift, T *y) {
    for (int64_t p = 0; p < positions; ++p)
        for (int64_t c = 0; c < channels; ++c)
            store(y + p * channels + c, gelu<T>(widen(x[p * channels + c])) * scale[c] + shift[c]);
}

/// Adds dy * gelu(x) to `products` [C].
template <typename T>
INLINE void add_products(const T *x, const T *dy, int64_t positions, int64_t channels, float *products) {
    for (int64_t p = 0; p < positions; ++p)
        for (int64_t c = 0; c < channels; ++c)
            products[c] += widen(dy[p * channels + c]) * gelu<T>(widen(x[p * channels + c]));
}

/// dx = (dy * scale + gelu(x) * pull) * gelu'(x).
template <typename T>
INLINE void apply_backward(
    const T *x, const T *dy, int64_t positions, int64_t channels, const float *scale, const float *pull, T *dx) {
    for (int64_t p = 0; p < positions; ++p)
        for (int64_t c = 0; c < channels; ++c) {
            float value, slope;
            gelu<T>(widen(x[p * channels + c]), value, slope);
            store(dx + p * channels + c, (widen(dy[p * channels + c]) * scale[c] + value * pull[c]) * slope);
        }
}

PositionShape shape_of(const at::Tensor &x) {
    return {x.size(0), x.numel() / std::max<int64_t>(1, x.size(0) * x.size(-1)), x.size(-1)};
}

at::Tensor flat(const at::Tensor &x, const PositionShape &shape) {
    return x.reshape({shape.batch, shape.positions, shape.channels}).to(at::kFloat);
}

/// The norm of gelu(x) over the positions, [B, C].
at::Tensor gain_of(const at::Tensor &x, const PositionShape &shape) {
    if (!has_native_numbers(x)) return at::gelu(flat(x, shape)).square().sum(1).sqrt();
    at::Tensor sums;
    with_number_type(x, [&](auto *type) {
        auto *data = static_cast<decltype(type)>(x.data_ptr());
        sums = summed_over_positions(shape, [&](int64_t row, int64_t count, float *to) {
            vectorised([=, from = data + row * shape.channels, channels = shape.channels]() INLINED {
                add_squares(from, count, channels, to);
            });
        });
    });
    return sums.sqrt();
}

struct GELUResponseNorm : torch::autograd::Function<GELUResponseNorm> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &input, const at::Tensor &gamma,
        const at::Tensor &beta) {
        at::Tensor x = input.contiguous();
        PositionShape shape = shape_of(x);
        at::Tensor gain = gain_of(x, shape);
        at::Tensor relative = gain / (gain.mean(1, true) + epsilon);
        at::Tensor scale = (gamma.reshape({1, -1}).to(at::kFloat) * relative + 1).contiguous();
        at::Tensor shift = beta.reshape({-1}).to(at::kFloat).contiguous();
        at::Tensor y;
        if (has_native_numbers(x)) {
            y = at::empty_like(x);
            with_number_type(x, [&](auto *type) {
                auto *from = static_cast<decltype(type)>(x.data_ptr());
                auto *to = static_cast<decltype(type)>(y.data_ptr());
                over_positions(shape, [&](int64_t sample, int64_t row, int64_t count, int64_t) {
                    int64_t channels = shape.channels;
                    vectorised([=, x = from + row * channels, factors = scale.data_ptr<float>() + sample * channels,
                                shifts = shift.data_ptr<float>(), y = to + row * channels]() INLINED {
                        apply_forward(x, count, channels, factors, shifts, y);
                    });
                });
            });
        } else {
            y = (at::gelu(flat(x, shape)) * scale.unsqueeze(1) + shift).to(x.scalar_type()).reshape(x.sizes());
        }
        context->save_for_backward({x, gamma, gain});
        context->saved_data["beta_dtype"] = static_cast<int64_t>(beta.scalar_type());
        context->saved_data["beta_shape"] = beta.sizes().vec();
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &x = saved[0], &gamma = saved[1], &gain = saved[2];
        PositionShape shape = shape_of(x);
        at::Tensor dy = gradients[0].to(x.scalar_type()).contiguous();
        at::Tensor weight = gamma.reshape({1, -1}).to(at::kFloat);
        at::Tensor divisor = gain.mean(1, true) + epsilon;
        at::Tensor relative = gain / divisor;

        at::Tensor products;  // the sum of dy * gelu(x) over the positions, [B, C]
        if (has_native_numbers(x)) {
            with_number_type(x, [&](auto *type) {
                auto *values = static_cast<decltype(type)>(x.data_ptr());
                auto *incoming = static_cast<decltype(type)>(dy.data_ptr());
                products = summed_over_positions(shape, [&](int64_t row, int64_t n, float *to) {
                    int64_t channels = shape.channels;
                    vectorised([=, x = values + row * channels, d = incoming + row * channels]() INLINED {
                        add_products(x, d, n, channels, to);
                    });
                });
            });
        } else {
            products = (flat(dy, shape) * at::gelu(flat(x, shape))).sum(1);
        }

        at::Tensor d_relative = products * weight;
        at::Tensor d_gain = d_relative / divisor
            - (d_relative * gain).sum(1, true) / (divisor * divisor * static_cast<double>(shape.channels));
        at::Tensor pull = at::where(gain > 0, d_gain / gain, at::zeros_like(gain)).contiguous();
        at::Tensor scale = (weight * relative + 1).contiguous();
        at::Tensor dx;
        if (has_native_numbers(x)) {
            dx = at::empty_like(x);
            with_number_type(x, [&](auto *type) {
                auto *values = static_cast<decltype(type)>(x.data_ptr());
                auto *incoming = static_cast<decltype(type)>(dy.data_ptr());
                auto *to = static_cast<decltype(type)>(dx.data_ptr());
                over_positions(shape, [&](int64_t sample, int64_t row, int64_t count, int64_t) {
                    int64_t channels = shape.channels;
                    vectorised([=, x = values + row * channels, d = incoming + row * channels,
                                factors = scale.data_ptr<float>() + sample * channels,
                                pulls = pull.data_ptr<float>() + sample * channels, out = to + row * channels]() INLINED {
                        apply_backward(x, d, count, channels, factors, pulls, out);
                    });
                });
            });
        } else {
            at::Tensor values = flat(x, shape);
            at::Tensor d_active = flat(dy, shape) * scale.unsqueeze(1) + at::gelu(values) * pull.unsqueeze(1);
            dx = at::gelu_backward(d_active, values).to(x.scalar_type()).reshape(x.sizes());
        }

        at::Tensor d_gamma, d_beta;
        if (context->needs_input_grad(1))
            d_gamma = (products * relative).sum(0).reshape(gamma.sizes()).to(gamma.scalar_type());
        if (context->needs_input_grad(2))
            d_beta = flat(dy, shape).sum(std::vector<int64_t>{0, 1})
                         .reshape(context->saved_data["beta_shape"].toIntVector())
                         .to(static_cast<at::ScalarType>(context->saved_data["beta_dtype"].toInt()));
        return {dx, d_gamma, d_beta};
    }
};

at::Tensor gelu_response_norm(const at::Tensor &x, const at::Tensor &gamma, const at::Tensor &beta) {
    TORCH_CHECK(x.dim() >= 2 && gamma.numel() == x.size(-1) && beta.numel() == x.size(-1), "gelu_response_norm: x has ",
        x.sizes(), ", gamma ", gamma.sizes(), ", beta ", beta.sizes());
    return GELUResponseNorm::apply(x, gamma, beta);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY(cascade, library) {
    library.def("gelu_response_norm(Tensor x, Tensor gamma, Tensor beta) -> Tensor", engine::gelu_response_norm);
}
