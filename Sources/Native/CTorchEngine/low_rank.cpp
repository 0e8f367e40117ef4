// A product with a frozen weight and, within its output and its gradient, pairs of thin matrices: y = x W^T + b, to whose
// columns from c on each pair adds scale (x down^T) up^T. What LoRA does, on several parts of a fused projection at once.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

namespace engine {
namespace {

/// Where a pair stands: its ranks among those of all pairs, and its columns of the output.
struct Place {
    int64_t rank, ranks, column, columns;

    at::Tensor ranks_of(const at::Tensor &x) const { return x.narrow(-1, rank, ranks); }
    at::Tensor columns_of(const at::Tensor &y) const { return y.narrow(-1, column, columns); }
};

std::vector<Place> places_of(at::TensorList ups, at::IntArrayRef columns) {
    std::vector<Place> places;
    int64_t rank = 0;
    for (size_t i = 0; i < ups.size(); ++i) {
        places.push_back({rank, ups[i].size(1), columns[i], ups[i].size(0)});
        rank += ups[i].size(1);
    }
    return places;
}

/// [..., c] as [rows, c].
at::Tensor rows_of(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}); }

struct LinearLowRank : torch::autograd::Function<LinearLowRank> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &weight,
        const c10::optional<at::Tensor> &bias, at::TensorList downs, at::TensorList ups, at::IntArrayRef columns,
        at::ArrayRef<double> scales) {
        at::Tensor rows = rows_of(x), down = at::cat(downs).to(x.scalar_type());  // [all ranks, in]
        at::Tensor narrow = at::mm(rows, down.t());                               // [rows, all ranks]
        at::Tensor y = at::linear(rows, weight, bias);
        std::vector<Place> places = places_of(ups, columns);
        torch::autograd::variable_list saved = {rows, weight, down, narrow};
        for (size_t i = 0; i < places.size(); ++i) {
            at::Tensor up = (ups[i] * scales[i]).to(x.scalar_type());  // [columns, ranks]
            places[i].columns_of(y).addmm_(places[i].ranks_of(narrow), up.t());
            saved.push_back(up);
        }
        context->save_for_backward(saved);
        context->saved_data["columns"] = columns.vec();
        context->saved_data["scales"] = scales.vec();
        context->saved_data["dtype"] = static_cast<int64_t>(downs[0].scalar_type());
        context->saved_data["shape"] = x.sizes().vec();
        std::vector<int64_t> shape = x.sizes().vec();
        shape.back() = weight.size(0);
        return y.view(shape);
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto saved = context->get_saved_variables();
        const at::Tensor &x = saved[0], &weight = saved[1], &down = saved[2], &narrow = saved[3];
        at::TensorList ups = at::TensorList(saved).slice(4);
        std::vector<double> scales = context->saved_data["scales"].toDoubleVector();
        std::vector<Place> places = places_of(ups, context->saved_data["columns"].toIntVector());
        auto dtype = static_cast<at::ScalarType>(context->saved_data["dtype"].toInt());
        at::Tensor dy = rows_of(gradients[0].to(x.scalar_type()));
        at::Tensor d_narrow = at::empty_like(narrow);
        std::vector<at::Tensor> d_ups;
        for (size_t i = 0; i < places.size(); ++i) {
            at::Tensor own = places[i].columns_of(dy);
            places[i].ranks_of(d_narrow).copy_(at::mm(own, ups[i]));
            // Transposed, for the product is then as wide as the columns.
            at::Tensor across = at::mm(places[i].ranks_of(narrow).t(), own);
            d_ups.push_back((across.to(dtype) * scales[i]).t());
        }
        at::Tensor d_down = at::mm(d_narrow.t(), x).to(dtype);
        at::Tensor dx;
        if (context->needs_input_grad(0))
            dx = at::mm(dy, weight).addmm_(d_narrow, down).view(context->saved_data["shape"].toIntVector());

        torch::autograd::variable_list result = {dx, {}, {}};
        for (const Place &place : places) result.push_back(d_down.narrow(0, place.rank, place.ranks));
        result.insert(result.end(), d_ups.begin(), d_ups.end());
        result.resize(result.size() + 2);
        return result;
    }
};

at::Tensor linear_low_rank(
    const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias, at::TensorList downs,
    at::TensorList ups, at::IntArrayRef columns, at::ArrayRef<double> scales) {
    TORCH_CHECK(
        weight.dim() == 2 && x.dim() >= 1 && x.size(-1) == weight.size(1) && !weight.requires_grad(),
        "linear_low_rank: x has ", x.sizes(), ", the frozen weight ", weight.sizes());
    TORCH_CHECK(
        !downs.empty() && downs.size() == ups.size() && ups.size() == columns.size() && columns.size() == scales.size(),
        "linear_low_rank: there are ", downs.size(), " and ", ups.size(), " matrices, ", columns.size(), " columns and ",
        scales.size(), " scales");
    for (size_t i = 0; i < ups.size(); ++i)
        TORCH_CHECK(
            downs[i].dim() == 2 && ups[i].dim() == 2 && downs[i].size(1) == weight.size(1)
                && downs[i].scalar_type() == ups[0].scalar_type() && ups[i].scalar_type() == ups[0].scalar_type()
                && downs[i].size(0) == ups[i].size(1) && columns[i] >= 0 && columns[i] + ups[i].size(0) <= weight.size(0),
            "linear_low_rank: matrices ", downs[i].sizes(), " and ", ups[i].sizes(), " from column ", columns[i],
            " on do not fit the weight ", weight.sizes());
    return LinearLowRank::apply(x, weight, bias, downs, ups, columns, scales);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def(
        "linear_low_rank(Tensor x, Tensor weight, Tensor? bias, Tensor[] downs, Tensor[] ups, int[] columns, float[] scales) -> "
        "Tensor",
        engine::linear_low_rank);
}
