// A product with a frozen weight and, within its output and its gradient, pairs of thin matrices: y = x W^T + b, to whose
// columns from c on each pair adds scale (x down^T) up^T. What LoRA does, on several parts of a fused projection at once.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "products.h"

namespace engine {
namespace {

/// Where pairs stand: their ranks among those of all pairs, and their columns of the output.
struct Place {
    int64_t rank, ranks, column, columns;

    at::Tensor ranks_of(const at::Tensor &x) const { return x.narrow(-1, rank, ranks); }
    at::Tensor columns_of(const at::Tensor &y) const { return y.narrow(-1, column, columns); }
    /// Of a matrix [columns, ranks] of this place the part of a pair that stands within it.
    at::Tensor part_of(const at::Tensor &up, const Place &pair) const {
        return up.narrow(0, pair.column - column, pair.columns).narrow(1, pair.rank - rank, pair.ranks);
    }
    bool holds(const Place &pair) const { return pair.rank >= rank && pair.rank < rank + ranks; }
};

/// - Parameter sizes: ranks and columns of each pair.
std::vector<Place> places_of(const std::vector<int64_t> &sizes, at::IntArrayRef columns) {
    std::vector<Place> places;
    int64_t rank = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
        places.push_back({rank, sizes[2 * i], columns[i], sizes[2 * i + 1]});
        rank += sizes[2 * i];
    }
    return places;
}

/// Ranks up to which all pairs are multiplied as one, with zeros between them: products as thin as these cost by their number.
constexpr int64_t ranks_together = 48;

/// What is multiplied at once: all pairs, or each by itself.
std::vector<Place> groups_of(const std::vector<Place> &pairs) {
    int64_t ranks = pairs.back().rank + pairs.back().ranks, first = pairs[0].column, end = 0;
    if (ranks > ranks_together) return pairs;
    for (const Place &pair : pairs) {
        first = std::min(first, pair.column);
        end = std::max(end, pair.column + pair.columns);
    }
    return {{0, ranks, first, end - first}};
}

/// a b, one side of which is ranks. Of bfloat16 numbers libtorch's are no slower.
at::Tensor thin_product(const at::Tensor &a, const at::Tensor &b, bool by_blocks) {
    return by_blocks && a.scalar_type() == at::kFloat ? float32_product(a, b, {}) : at::mm(a, b);
}

/// [..., c] as [rows, c].
at::Tensor rows_of(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}); }

struct LinearLowRank : torch::autograd::Function<LinearLowRank> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &weight,
        const c10::optional<at::Tensor> &bias, at::TensorList downs, at::TensorList ups, at::IntArrayRef columns,
        at::ArrayRef<double> scales) {
        at::Tensor rows = rows_of(x), down = at::cat(downs).to(x.scalar_type());  // [all ranks, in]
        bool by_blocks = takes_blocks(x, weight);
        at::Tensor narrow = thin_product(rows, down.t(), by_blocks);  // [rows, all ranks]
        at::Tensor y = linear_rows(rows, weight, bias, by_blocks);
        context->saved_data["by_blocks"] = by_blocks;
        std::vector<int64_t> sizes;
        for (const at::Tensor &up : ups) sizes.insert(sizes.end(), {up.size(1), up.size(0)});
        std::vector<Place> pairs = places_of(sizes, columns);
        torch::autograd::variable_list saved = {rows, weight, down, narrow};
        for (const Place &group : groups_of(pairs)) {
            at::Tensor up = at::zeros({group.columns, group.ranks}, x.options());
            for (size_t i = 0; i < pairs.size(); ++i)
                if (group.holds(pairs[i])) group.part_of(up, pairs[i]).copy_(ups[i] * scales[i]);
            group.columns_of(y).addmm_(group.ranks_of(narrow), up.t());
            saved.push_back(up);
        }
        context->save_for_backward(saved);
        context->saved_data["columns"] = columns.vec();
        context->saved_data["sizes"] = sizes;
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
        std::vector<Place> pairs = places_of(
            context->saved_data["sizes"].toIntVector(), context->saved_data["columns"].toIntVector());
        std::vector<Place> groups = groups_of(pairs);
        auto dtype = static_cast<at::ScalarType>(context->saved_data["dtype"].toInt());
        bool by_blocks = context->saved_data["by_blocks"].toBool();
        at::Tensor dy = rows_of(gradients[0].to(x.scalar_type()));
        at::Tensor d_narrow = at::empty_like(narrow);
        std::vector<at::Tensor> d_ups(pairs.size());
        for (size_t g = 0; g < groups.size(); ++g) {
            at::Tensor own = groups[g].columns_of(dy);
            groups[g].ranks_of(d_narrow).copy_(thin_product(own, ups[g], by_blocks));
            // Transposed, for the product is then as wide as the columns.
            at::Tensor across = at::mm(groups[g].ranks_of(narrow).t(), own).t();
            for (size_t i = 0; i < pairs.size(); ++i)
                if (groups[g].holds(pairs[i])) d_ups[i] = groups[g].part_of(across, pairs[i]).to(dtype) * scales[i];
        }
        at::Tensor d_down = at::mm(d_narrow.t(), x).to(dtype);
        at::Tensor dx;
        if (context->needs_input_grad(0))
            dx = linear_rows_back(dy, weight, by_blocks)
                     .addmm_(d_narrow, down).view(context->saved_data["shape"].toIntVector());

        torch::autograd::variable_list result = {dx, {}, {}};
        for (const Place &pair : pairs) result.push_back(d_down.narrow(0, pair.rank, pair.ranks));
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
