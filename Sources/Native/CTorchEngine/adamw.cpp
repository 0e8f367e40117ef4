// AdamW over lists of tensors in one pass through memory, and the norm of a list of gradients in another.
//
// Source of the formulas: Loshchilov and Hutter 2019, torch.optim.AdamW and torch.nn.utils.clip_grad_norm_. The factor
// by which clipping shrinks gradients is applied on the way, which saves a pass over them.
#include <ATen/Functions.h>
#include <torch/library.h>

#include <cmath>

#include "number_types.h"
#include "tensor_chunks.h"

namespace engine {
namespace {

struct Step {
    float decay, toward, beta2, rest, size, root, epsilon, scale;
};

INLINE void adamw_chunk(
    float *__restrict p, const float *__restrict g, float *__restrict mean, float *__restrict square, int64_t count,
    Step s) {
    for (int64_t i = 0; i < count; ++i) {
        float gradient = g[i] * s.scale;
        float m = mean[i] + s.toward * (gradient - mean[i]);
        float v = s.beta2 * square[i] + s.rest * gradient * gradient;
        mean[i] = m;
        square[i] = v;
        p[i] = p[i] * s.decay - s.size * m / (std::sqrt(v) / s.root + s.epsilon);
    }
}

template <typename Number>
INLINE double squares_of(const Number *__restrict x, int64_t count) {
    // Lanes of their own let the sum be vectorised in a fixed order.
    double lanes[16] = {};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (int lane = 0; lane < 16; ++lane) {
            double value = widen(x[i + lane]);
            lanes[lane] += value * value;
        }
    double sum = 0;
    for (; i < count; ++i) sum += static_cast<double>(widen(x[i])) * widen(x[i]);
    for (double lane : lanes) sum += lane;
    return sum;
}

bool is_native(at::TensorList tensors) {
    return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor &x) {
        return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
    });
}

/// In the parameters' own order of elements.
std::vector<at::Tensor> contiguous(at::TensorList tensors) {
    std::vector<at::Tensor> list;
    for (const auto &x : tensors) list.push_back(x.contiguous());
    return list;
}

void adamw_(
    at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares, int64_t step,
    double lr, double beta1, double beta2, double weight_decay, double eps, double gradient_scale) {
    TORCH_CHECK(
        gradients.size() == parameters.size() && means.size() == parameters.size()
            && squares.size() == parameters.size(),
        "adamw_: lists of different lengths");
    if (parameters.empty()) return;
    for (size_t i = 0; i < parameters.size(); ++i)
        TORCH_CHECK(
            gradients[i].sizes() == parameters[i].sizes() && means[i].sizes() == parameters[i].sizes()
                && squares[i].sizes() == parameters[i].sizes(),
            "adamw_: shapes differ at ", i);
    auto incoming = contiguous(gradients);
    if (!is_native(parameters) || !is_native(incoming) || !is_native(means) || !is_native(squares)) {
        const at::Tensor &first = parameters[0];
        std::vector<at::Tensor> steps(parameters.size(), at::full({}, step, first.options().dtype(at::kFloat)));
        std::optional<at::Tensor> divisor;
        if (gradient_scale != 1)
            divisor = at::full({}, 1 / gradient_scale, first.options().dtype(at::kFloat));
        at::_fused_adamw_(
            parameters, gradients, means, squares, {}, steps, lr, beta1, beta2, weight_decay, eps, false, false,
            divisor);
        return;
    }
    Step s{
        static_cast<float>(1 - lr * weight_decay),
        static_cast<float>(1 - beta1),
        static_cast<float>(beta2),
        static_cast<float>(1 - beta2),
        static_cast<float>(lr / (1 - std::pow(beta1, step))),
        static_cast<float>(std::sqrt(1 - std::pow(beta2, step))),
        static_cast<float>(eps),
        static_cast<float>(gradient_scale),
    };
    over_chunks(chunks_of(parameters), [&](int64_t, const Chunk &c) {
        float *p = parameters[c.tensor].data_ptr<float>() + c.begin, *mean = means[c.tensor].data_ptr<float>() + c.begin;
        const float *g = incoming[c.tensor].const_data_ptr<float>() + c.begin;
        float *square = squares[c.tensor].data_ptr<float>() + c.begin;
        vectorised([=, count = c.end - c.begin]() INLINED { adamw_chunk(p, g, mean, square, count, s); });
    });
}

/// The Euclidean norm over all elements of all tensors, summed in double precision; float64 on the CPU.
at::Tensor norm_of(at::TensorList tensors) {
    if (tensors.empty()) return at::zeros({}, at::kDouble);
    auto list = contiguous(tensors);
    if (!std::all_of(list.begin(), list.end(), has_native_numbers)) {
        auto norms = at::stack(at::_foreach_norm(list, 2, at::kFloat));
        return at::linalg_vector_norm(norms, 2).to(at::kCPU, at::kDouble);
    }
    auto chunks = chunks_of(list);
    std::vector<double> sums(chunks.size());
    over_chunks(chunks, [&](int64_t i, const Chunk &c) {
        with_number_type(list[c.tensor], [&](auto *type) {
            auto *from = static_cast<decltype(type)>(list[c.tensor].data_ptr()) + c.begin;
            vectorised([=, count = c.end - c.begin, to = &sums[i]]() INLINED { *to = squares_of(from, count); });
        });
    });
    double sum = 0;
    for (double part : sums) sum += part;
    return at::full({}, std::sqrt(sum), at::kDouble);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def(
        "adamw_(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] means, Tensor(c!)[] squares, int step, "
        "float lr, float beta1, float beta2, float weight_decay, float eps, float gradient_scale) -> ()",
        engine::adamw_);
    library.def("norm_of(Tensor[] tensors) -> Tensor", engine::norm_of);
}
