// Products with a weight [out, in] that take the faster of libtorch's ways; without gradients.
#pragma once

#include <ATen/core/Tensor.h>

namespace engine {

/// Whether products of x [batch, ..., in] with a weight are made of blocks. That is the same for a batch and for each of its samples,
/// whose numbers then do not depend on what else is in the batch.
bool takes_blocks(const at::Tensor &x, const at::Tensor &weight);

/// x W^T + b of rows [n, in].
at::Tensor linear_rows(
    const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias, bool by_blocks);

/// y W of rows [n, out].
at::Tensor linear_rows_back(const at::Tensor &y, const at::Tensor &weight, bool by_blocks);

}  // namespace engine
