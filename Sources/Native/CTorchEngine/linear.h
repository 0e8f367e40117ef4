// Products with a weight [out, in] that take the faster of libtorch's ways; without gradients.
#pragma once

#include <ATen/core/Tensor.h>

namespace engine {

/// x W^T + b of rows [n, in].
at::Tensor linear_rows(const at::Tensor &x, const at::Tensor &weight, const c10::optional<at::Tensor> &bias);

/// y W of rows [n, out].
at::Tensor linear_rows_back(const at::Tensor &y, const at::Tensor &weight);

}  // namespace engine
