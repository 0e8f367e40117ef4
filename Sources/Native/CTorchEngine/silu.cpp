// SiLU as one operator with one pass for each direction.
#include "silu.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>

#include "number_types.h"
#include "parallel.h"

namespace engine {
namespace {

/// Runs `part(first, count)` over so many numbers.
template <typename Part>
void over_numbers(int64_t count, const Part &part) {
    constexpr int64_t numbers_per_task = 16384;
    int64_t tasks = (count + numbers_per_task - 1) / numbers_per_task;
    parallel_for(0, tasks, 1, [&](int64_t from, int64_t to) {
        for (int64_t task = from; task < to; ++task) {
            int64_t first = task * numbers_per_task;
            part(first, std::min(numbers_per_task, count - first));
        }
    });
}

struct SiLU : torch::autograd::Function<SiLU> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x) {
        context->save_for_backward({x});
        at::Tensor y = at::empty_like(x);
        with_number_type(x, [&](auto *type) {
            using T = std::remove_pointer_t<decltype(type)>;
            auto *from = static_cast<T *>(x.data_ptr()), *to = static_cast<T *>(y.data_ptr());
            over_numbers(x.numel(), [&](int64_t first, int64_t count) {
                vectorised([=, x = from + first, y = to + first](auto variant) INLINED {
                    for (int64_t i = 0; i < count; ++i) store(y + i, silu<T>(widen(x[i])), variant);
                });
            });
        });
        return y;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        at::Tensor x = context->get_saved_variables()[0], dy = gradients[0].to(x.scalar_type());
        if (dy.strides() != x.strides()) dy = at::empty_like(x).copy_(dy);
        at::Tensor dx = at::empty_like(x);
        with_number_type(x, [&](auto *type) {
            using T = std::remove_pointer_t<decltype(type)>;
            auto *seen = static_cast<T *>(x.data_ptr()), *incoming = static_cast<T *>(dy.data_ptr());
            auto *to = static_cast<T *>(dx.data_ptr());
            over_numbers(x.numel(), [&](int64_t first, int64_t count) {
                vectorised([=, x = seen + first, dy = incoming + first, dx = to + first](auto variant) INLINED {
                    for (int64_t i = 0; i < count; ++i) {
                        float value, slope;
                        silu<T>(widen(x[i]), value, slope);
                        store(dx + i, widen(dy[i]) * slope, variant);
                    }
                });
            });
        });
        return {dx};
    }
};

at::Tensor silu_of(const at::Tensor &x) {
    return has_native_numbers(x) && x.is_non_overlapping_and_dense() ? SiLU::apply(x) : at::silu(x);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) { library.def("silu(Tensor x) -> Tensor", engine::silu_of); }
