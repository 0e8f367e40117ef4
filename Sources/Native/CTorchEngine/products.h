// Products of matrices that take the faster of libtorch's ways and our own; without gradients.
#pragma once

#include <ATen/core/Tensor.h>

namespace engine {

/// Whether float32 products are faster than libtorch's here, and bfloat16 ones.
bool has_float32_products();
bool has_bfloat16_products();

/// a [m, k] b [k, n], and a row [n] that is added to each of it where it is defined. Factors may lie in any way; b and the row may be
/// float32 or bfloat16.
at::Tensor float32_product(const at::Tensor &a, const at::Tensor &b, const at::Tensor &bias);

/// The same of bfloat16 numbers, summed in float32 and then made float32 or bfloat16. Of processors those with instructions for bfloat16
/// alone can run it.
/// - Parameter sums: becomes the sums of a's rows in float32, [m], unless it is null: they cost little where a is read.
at::Tensor bfloat16_product(
    const at::Tensor &a, const at::Tensor &b, const at::Tensor &bias, at::ScalarType dtype, at::Tensor *sums = nullptr);

/// Whether products of x [batch, ..., in] with a weight are made by these. That is the same for a batch and for each of its samples,
/// whose numbers then do not depend on what else is in the batch.
bool takes_blocks(const at::Tensor &x, const at::Tensor &weight);

/// x W^T + b of rows [n, in], in the rows' dtype.
at::Tensor linear_rows(
    const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias, bool by_blocks);

/// y W of rows [n, out], in the rows' dtype.
at::Tensor linear_rows_back(const at::Tensor &y, const at::Tensor &weight, bool by_blocks);

}  // namespace engine
