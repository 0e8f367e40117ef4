// SiLU, and squeeze and excitation of what it gives, in one operator that keeps its input alone for the backward pass.
//
// For x [B, C, H, W] over P = H * W positions: a = silu(x), m the means of a over the positions, y = a * sigmoid(E silu(S m + s) + e).
// Source: Hu et al. 2018, as EfficientNet has it.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "number_types.h"
#include "positions.h"
#include "silu.h"

namespace engine {
namespace {

PositionShape shape_of(const at::Tensor &x) { return {x.size(0), x.size(2) * x.size(3), x.size(1)}; }

/// The weight of a 1x1 convolution or a bias as a matrix or a row, float32.
at::Tensor matrix(const at::Tensor &weight) {
    return (weight.dim() > 2 ? weight.reshape({weight.size(0), weight.size(1)}) : weight).to(at::kFloat);
}

/// The sums over the positions of silu(x), or of dy * silu(x); [B, C].
at::Tensor sums_of(const at::Tensor &x, const at::Tensor *dy) {
    PositionShape shape = shape_of(x);
    at::Tensor sums;
    with_number_type(x, [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        auto *seen = static_cast<T *>(x.data_ptr());
        auto *incoming = dy == nullptr ? nullptr : static_cast<T *>(dy->data_ptr());
        sums = summed_over_positions(shape, [&](int64_t row, int64_t count, float *to) {
            int64_t channels = shape.channels, first = row * channels;
            if (incoming == nullptr)
                vectorised([=, x = seen + first]() INLINED {
                    for (int64_t p = 0; p < count; ++p)
                        for (int64_t c = 0; c < channels; ++c) to[c] += silu<T>(widen(x[p * channels + c]));
                });
            else
                vectorised([=, x = seen + first, dy = incoming + first]() INLINED {
                    for (int64_t p = 0; p < count; ++p)
                        for (int64_t c = 0; c < channels; ++c)
                            to[c] += widen(dy[p * channels + c]) * silu<T>(widen(x[p * channels + c]));
                });
        });
    });
    return sums;
}

struct SqueezeExcitation : torch::autograd::Function<SqueezeExcitation> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &squeeze,
        const at::Tensor &squeeze_bias, const at::Tensor &excite, const at::Tensor &excite_bias) {
        PositionShape shape = shape_of(x);
        at::Tensor means = sums_of(x, nullptr) / static_cast<double>(shape.positions);
        at::Tensor squeezed = at::addmm(matrix(squeeze_bias), means, matrix(squeeze).t());
        at::Tensor excited = at::addmm(matrix(excite_bias), at::silu(squeezed), matrix(excite).t());
        at::Tensor scale = at::sigmoid(excited).contiguous();
        at::Tensor y = at::empty_like(x);
        with_number_type(x, [&](auto *type) {
            using T = std::remove_pointer_t<decltype(type)>;
            auto *from = static_cast<T *>(x.data_ptr()), *to = static_cast<T *>(y.data_ptr());
            over_positions(shape, [&](int64_t sample, int64_t row, int64_t count, int64_t) {
                int64_t channels = shape.channels, first = row * channels;
                vectorised([=, x = from + first, factors = scale.data_ptr<float>() + sample * channels,
                            y = to + first](auto variant) INLINED {
                    for (int64_t p = 0; p < count; ++p)
                        for (int64_t c = 0; c < channels; ++c)
                            store(y + p * channels + c, silu<T>(widen(x[p * channels + c])) * factors[c], variant);
                });
            });
        });
        context->save_for_backward({x, squeeze, squeeze_bias, excite, excite_bias, means, squeezed, excited});
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &x = saved[0], &squeeze = saved[1], &squeeze_bias = saved[2], &excite = saved[3], &excite_bias = saved[4];
        const at::Tensor &means = saved[5], &squeezed = saved[6], &excited = saved[7];
        PositionShape shape = shape_of(x);
        at::Tensor dy = gradients[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);

        at::Tensor scale = at::sigmoid(excited).contiguous();
        at::Tensor d_excited = sums_of(x, &dy) * scale * at::sigmoid(-excited);
        at::Tensor d_squeezed = at::silu_backward(d_excited.mm(matrix(excite)), squeezed);
        at::Tensor shift = (d_squeezed.mm(matrix(squeeze)) / static_cast<double>(shape.positions)).contiguous();
        at::Tensor dx;
        if (context->needs_input_grad(0)) {
            dx = at::empty_like(x);
            with_number_type(x, [&](auto *type) {
                using T = std::remove_pointer_t<decltype(type)>;
                auto *seen = static_cast<T *>(x.data_ptr()), *incoming = static_cast<T *>(dy.data_ptr());
                auto *to = static_cast<T *>(dx.data_ptr());
                over_positions(shape, [&](int64_t sample, int64_t row, int64_t count, int64_t) {
                    int64_t channels = shape.channels, first = row * channels;
                    vectorised([=, x = seen + first, dy = incoming + first, dx = to + first,
                                factors = scale.data_ptr<float>() + sample * channels,
                                shifts = shift.data_ptr<float>() + sample * channels](auto variant) INLINED {
                        for (int64_t p = 0; p < count; ++p)
                            for (int64_t c = 0; c < channels; ++c) {
                                float value, slope;
                                silu<T>(widen(x[p * channels + c]), value, slope);
                                float d_active = widen(dy[p * channels + c]) * factors[c] + shifts[c];
                                store(dx + p * channels + c, d_active * slope, variant);
                            }
                    });
                });
            });
        }
        auto as = [](const at::Tensor &gradient, const at::Tensor &weight) {
            return gradient.reshape(weight.sizes()).to(weight.scalar_type());
        };
        at::Tensor d_squeeze, d_squeeze_bias, d_excite, d_excite_bias;
        if (context->needs_input_grad(1)) d_squeeze = as(d_squeezed.t().mm(means), squeeze);
        if (context->needs_input_grad(2)) d_squeeze_bias = as(d_squeezed.sum(0), squeeze_bias);
        if (context->needs_input_grad(3)) d_excite = as(d_excited.t().mm(at::silu(squeezed)), excite);
        if (context->needs_input_grad(4)) d_excite_bias = as(d_excited.sum(0), excite_bias);
        return {dx, d_squeeze, d_squeeze_bias, d_excite, d_excite_bias};
    }
};

/// The same by libtorch's operators.
at::Tensor by_operators(
    const at::Tensor &x, const at::Tensor &squeeze, const at::Tensor &squeeze_bias, const at::Tensor &excite,
    const at::Tensor &excite_bias) {
    auto layer = [&](const at::Tensor &input, const at::Tensor &weight, const at::Tensor &bias) {
        return at::conv2d(input, weight.to(x.scalar_type()), bias.to(x.scalar_type()));
    };
    at::Tensor active = at::silu(x);
    at::Tensor squeezed = layer(active.mean(std::vector<int64_t>{2, 3}, true), squeeze, squeeze_bias);
    return active * at::sigmoid(layer(at::silu(squeezed), excite, excite_bias));
}

at::Tensor silu_squeeze_excitation(
    const at::Tensor &x, const at::Tensor &squeeze, const at::Tensor &squeeze_bias, const at::Tensor &excite,
    const at::Tensor &excite_bias) {
    TORCH_CHECK(
        x.dim() == 4 && squeeze.dim() == 4 && squeeze.size(1) == x.size(1) && squeeze_bias.numel() == squeeze.size(0)
            && excite.dim() == 4 && excite.size(0) == x.size(1) && excite.size(1) == squeeze.size(0)
            && excite_bias.numel() == x.size(1),
        "silu_squeeze_excitation: x has ", x.sizes(), ", the layers ", squeeze.sizes(), " and ", excite.sizes());
    bool is_ours = has_native_numbers(x) && squeeze.is_cpu() && x.is_contiguous(at::MemoryFormat::ChannelsLast) && x.numel() > 0;
    return is_ours ? SqueezeExcitation::apply(x, squeeze, squeeze_bias, excite, excite_bias)
                   : by_operators(x, squeeze, squeeze_bias, excite, excite_bias);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def(
        "silu_squeeze_excitation(Tensor x, Tensor squeeze, Tensor squeeze_bias, Tensor excite, Tensor excite_bias) -> Tensor",
        engine::silu_squeeze_excitation);
}
