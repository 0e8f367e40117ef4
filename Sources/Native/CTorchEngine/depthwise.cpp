// A convolution of each channel with a kernel of its own over channels-last activations: libtorch's forward pass, and a
// backward pass of ours. libtorch's own takes twenty times as long as its forward pass in bfloat16.
#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "number_types.h"
#include "parallel.h"

namespace engine {
namespace {

/// Channels that one task takes, side by side.
constexpr int64_t channel_lanes = 32;

/// A number of each of them, in float32 and in bfloat16.
typedef float Numbers __attribute__((vector_size(4 * channel_lanes)));
typedef uint32_t Bits __attribute__((vector_size(4 * channel_lanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * channel_lanes)));

INLINE void load(const float *from, Numbers &to) { std::memcpy(&to, from, sizeof(to)); }

INLINE void load(const uint16_t *from, Numbers &to) {
    Halves halves;
    std::memcpy(&halves, from, sizeof(halves));
    Bits bits = __builtin_convertvector(halves, Bits) << 16;
    std::memcpy(&to, &bits, sizeof(to));
}

struct Sides {
    int64_t batch, height, width, channels, kernel;
    Sides(const at::Tensor &x, const at::Tensor &weight)
        : batch(x.size(0)), height(x.size(2)), width(x.size(3)), channels(x.size(1)), kernel(weight.size(2)) {}
};

/// Adds to `sums` [kernel * kernel][lanes] what `lanes` channels from `first` on give: for each place of the kernel the
/// products of dy with the x that it saw there.
template <typename T>
INLINE void add_products(const T *x, const T *dy, const Sides &sides, int64_t first, int64_t lanes, float *sums) {
    int64_t reach = sides.kernel / 2;
    auto at = [&](const T *data, int64_t sample, int64_t row, int64_t column) {
        return data + ((sample * sides.height + row) * sides.width + column) * sides.channels + first;
    };
    for (int64_t sample = 0; sample < sides.batch; ++sample)
        for (int64_t row = 0; row < sides.height; ++row)
            for (int64_t down = -reach; down <= reach; ++down) {
                if (row + down < 0 || row + down >= sides.height) continue;
                for (int64_t right = -reach; right <= reach; ++right) {
                    int64_t begin = std::max<int64_t>(0, -right), end = std::min(sides.width, sides.width - right);
                    if (begin >= end) continue;
                    const T *seen = at(x, sample, row + down, begin + right), *incoming = at(dy, sample, row, begin);
                    float *sum = sums + ((down + reach) * sides.kernel + right + reach) * channel_lanes;
                    if (lanes == channel_lanes) {
                        Numbers row_sum = {}, here, there, before;
                        for (int64_t i = 0; i < end - begin; ++i) {
                            load(seen + i * sides.channels, here);
                            load(incoming + i * sides.channels, there);
                            row_sum += here * there;
                        }
                        load(sum, before);
                        before += row_sum;
                        std::memcpy(sum, &before, sizeof(before));
                    } else {
                        float row_sum[channel_lanes] = {};
                        for (int64_t i = 0; i < end - begin; ++i)
                            for (int64_t c = 0; c < lanes; ++c)
                                row_sum[c] += widen(seen[i * sides.channels + c]) * widen(incoming[i * sides.channels + c]);
                        for (int64_t c = 0; c < lanes; ++c) sum[c] += row_sum[c];
                    }
                }
            }
}

/// The gradient of the kernels, [C, 1, k, k] float32, of x and dy [B, H, W, C] in memory.
at::Tensor gradient_of_kernels(const at::Tensor &x, const at::Tensor &dy, const Sides &sides) {
    int64_t places = sides.kernel * sides.kernel;
    at::Tensor gradient = at::empty({sides.channels, 1, sides.kernel, sides.kernel}, x.options().dtype(at::kFloat));
    float *to = gradient.data_ptr<float>();
    int64_t tasks = (sides.channels + channel_lanes - 1) / channel_lanes;
    with_number_type(x, [&](auto *type) {
        auto *seen = static_cast<decltype(type)>(x.data_ptr()), *incoming = static_cast<decltype(type)>(dy.data_ptr());
        parallel_for(0, tasks, 1, [&](int64_t from, int64_t end) {
            for (int64_t task = from; task < end; ++task) {
                int64_t first = task * channel_lanes, lanes = std::min(channel_lanes, sides.channels - first);
                std::vector<float> sums(places * channel_lanes);
                vectorised([=, sums = sums.data()]() INLINED { add_products(seen, incoming, sides, first, lanes, sums); });
                for (int64_t c = 0; c < lanes; ++c)
                    for (int64_t place = 0; place < places; ++place)
                        to[(first + c) * places + place] = sums[place * channel_lanes + c];
            }
        });
    });
    return gradient;
}

at::Tensor convolved(
    const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias, int64_t stride = 1) {
    return at::conv2d(x, weight, bias, stride, weight.size(2) / 2, 1, weight.size(0));
}

/// The gradient of a convolution with a stride as that of the same with stride 1, most of whose places are not used:
/// dy [B, C, h, w] at every `stride`th place of zeros as large as x, [B, C, H, W].
at::Tensor spread(const at::Tensor &dy, at::IntArrayRef x, int64_t stride) {
    at::Tensor whole = at::empty(x, dy.options(), at::MemoryFormat::ChannelsLast).zero_();
    whole.slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride).copy_(dy);
    return whole;
}

struct Depthwise : torch::autograd::Function<Depthwise> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &weight,
        const std::optional<at::Tensor> &bias, int64_t stride) {
        context->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
        context->saved_data["shape"] = x.sizes().vec();
        context->saved_data["has_bias"] = bias.has_value();
        context->saved_data["stride"] = stride;
        return convolved(x, weight, bias, stride);
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &x = saved[0], &weight = saved[1];
        at::ScalarType dtype = weight.scalar_type();
        at::Tensor dy = gradients[0].to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
        int64_t stride = context->saved_data["stride"].toInt();
        if (stride > 1) dy = spread(dy, context->saved_data["shape"].toIntVector(), stride);
        at::Tensor dx, d_weight, d_bias;
        // What a place gave to its neighbours comes back from them: the same kernels, turned by half a circle.
        if (context->needs_input_grad(0)) dx = convolved(dy, weight.flip({2, 3}), {});
        if (context->needs_input_grad(1))
            d_weight = gradient_of_kernels(x, dy, Sides(x, weight)).to(dtype);
        if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(2))
            d_bias = dy.sum(std::vector<int64_t>{0, 2, 3}, false, at::kFloat).to(dtype);
        return {dx, d_weight, d_bias, {}};
    }
};

at::Tensor depthwise(
    const at::Tensor &x, const at::Tensor &weight, const std::optional<at::Tensor> &bias, int64_t stride) {
    TORCH_CHECK(
        x.dim() == 4 && weight.dim() == 4 && weight.size(0) == x.size(1) && weight.size(1) == 1
            && weight.size(2) == weight.size(3) && weight.size(2) % 2 == 1 && stride > 0,
        "depthwise: x has ", x.sizes(), ", the kernels ", weight.sizes(), ", stride ", stride);
    bool isOurs = has_native_numbers(x) && weight.is_cpu() && weight.scalar_type() == x.scalar_type()
        && x.is_contiguous(at::MemoryFormat::ChannelsLast) && x.numel() > 0;
    return isOurs ? Depthwise::apply(x, weight, bias, stride) : convolved(x, weight, bias, stride);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def("depthwise(Tensor x, Tensor weight, Tensor? bias, int stride) -> Tensor", engine::depthwise);
}
