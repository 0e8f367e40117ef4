// Linear layers, with products of ours where those are faster than libtorch's.
//
// A weight may have another dtype than the rows. It is then converted for each product, in both passes, so that no copy of it is
// kept; products of ours do so while they lay it out, and make its gradient in its own dtype.
#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

#include "products.h"
#include "variants.h"

namespace engine {
namespace {

at::Tensor product(
    const at::Tensor &a, const at::Tensor &b, const at::Tensor &bias, at::ScalarType dtype, at::Tensor *sums = nullptr) {
    if (a.scalar_type() != at::kFloat) return bfloat16_product(a, b, bias, dtype, sums);
    return float32_product(a, b, bias).to(dtype);
}

struct Linear : torch::autograd::Function<Linear> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &weight,
        const c10::optional<at::Tensor> &bias, bool by_blocks) {
        at::Tensor rows = x.reshape({-1, x.size(-1)});
        context->save_for_backward({weight.requires_grad() ? rows : at::Tensor(), weight});
        std::vector<int64_t> shape = x.sizes().vec();
        context->saved_data["shape"] = shape;
        context->saved_data["bias"] = static_cast<int64_t>(bias.has_value() ? bias->scalar_type() : at::ScalarType::Undefined);
        context->saved_data["by_blocks"] = by_blocks;
        shape.back() = weight.size(0);
        return linear_rows(rows, weight, bias, by_blocks).view(shape);
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &x = saved[0], &weight = saved[1];
        bool by_blocks = context->saved_data["by_blocks"].toBool();
        at::Tensor dy = gradients[0].reshape({-1, weight.size(0)}), dx, d_weight, d_bias;
        if (context->needs_input_grad(0))
            dx = linear_rows_back(dy, weight, by_blocks).view(context->saved_data["shape"].toIntVector());
        // A bias that there is not is no input.
        auto bias = static_cast<at::ScalarType>(context->saved_data["bias"].toInt());
        bool wants_bias = bias != at::ScalarType::Undefined && context->needs_input_grad(2);
        if (context->needs_input_grad(1)) {
            bool sums = wants_bias && by_blocks && dy.scalar_type() == at::kBFloat16;
            d_weight = by_blocks ? product(dy.t(), x, {}, weight.scalar_type(), sums ? &d_bias : nullptr)
                                 : at::mm(dy.t(), x).to(weight.scalar_type());
        }
        if (wants_bias) d_bias = d_bias.defined() ? d_bias.to(bias) : dy.sum(0, false, bias);
        return {dx, d_weight, d_bias, {}};
    }
};

bool is_number(at::ScalarType dtype) { return dtype == at::kFloat || dtype == at::kBFloat16; }

/// Whether products of these can be made by blocks at all.
bool fits_blocks(const at::Tensor &x, const at::Tensor &weight) {
    return x.is_cpu() && weight.is_cpu() && is_number(x.scalar_type()) && is_number(weight.scalar_type()) && weight.dim() == 2
        && x.dim() > 0 && x.size(-1) == weight.size(1);
}

at::Tensor linear_by_blocks(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias) {
    TORCH_CHECK(
        x.scalar_type() == at::kFloat || variant() >= Variant::avx512_bf16, "this processor has no products of ",
        x.scalar_type());
    TORCH_CHECK(
        fits_blocks(x, weight) && (!bias.has_value() || (is_number(bias->scalar_type()) && bias->numel() == weight.size(0))),
        "linear_by_blocks: x has ", x.sizes(), ", the weight ", weight.sizes());
    return Linear::apply(x, weight, bias, true);
}

at::Tensor linear(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias) {
    bool fits = !bias.has_value() || (is_number(bias->scalar_type()) && bias->numel() == weight.size(0));
    if (fits && takes_blocks(x, weight)) return linear_by_blocks(x, weight, bias);
    if (weight.dim() == 2 && weight.scalar_type() != x.scalar_type()) return Linear::apply(x, weight, bias, false);
    c10::optional<at::Tensor> added;
    if (bias.has_value()) added = bias->to(x.scalar_type());
    if (x.dim() < 3 || weight.dim() != 2 || x.size(-1) == 0) return at::linear(x, weight, added);
    // As rows: libtorch adds the bias before or after the sum, which MKL rounds in two ways, by how x lies in memory.
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return at::linear(x.reshape({-1, x.size(-1)}), weight, added).view(shape);
}

}  // namespace

bool takes_blocks(const at::Tensor &x, const at::Tensor &weight) {
    // Sides below which laying out costs more than it saves.
    constexpr int64_t least_side = 32, least_rows = 64;
    if (x.dim() < 3 || x.numel() == 0 || !fits_blocks(x, weight)) return false;
    bool has_products = x.scalar_type() == at::kFloat ? has_float32_products() : has_bfloat16_products();
    return has_products && x.numel() / x.size(0) / x.size(-1) >= least_rows && weight.size(0) >= least_side
        && weight.size(1) >= least_side;
}

at::Tensor linear_rows(
    const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias, bool by_blocks) {
    if (by_blocks) return product(x, weight.t(), bias.value_or(at::Tensor()), x.scalar_type());
    c10::optional<at::Tensor> added;
    if (bias.has_value()) added = bias->to(x.scalar_type());
    return at::linear(x, weight.to(x.scalar_type()), added);
}

at::Tensor linear_rows_back(const at::Tensor &y, const at::Tensor &weight, bool by_blocks) {
    return by_blocks ? product(y, weight, {}, y.scalar_type()) : at::mm(y, weight.to(y.scalar_type()));
}

}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def("linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor", engine::linear);
    // What `linear` does where it pays, everywhere: for tests.
    library.def("linear_by_blocks(Tensor x, Tensor weight, Tensor? bias) -> Tensor", engine::linear_by_blocks);
}
