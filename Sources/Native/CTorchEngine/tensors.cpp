// Making, describing and releasing tensors.
#include <ATen/Functions.h>

#include "functions.h"
#include "handles.h"

namespace engine {

void retain(CTorchTensor *tensor) {
    if (tensor != nullptr) give(borrow(tensor));
}

void release(CTorchTensor *tensor) {
    if (tensor == nullptr) return;
    live_handles.fetch_sub(1, std::memory_order_relaxed);
    auto *impl = reinterpret_cast<c10::TensorImpl *>(tensor);
    c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(impl);
}

int describe(const CTorchTensor *handle, CTorchDescription *out) {
    return guarded([&] {
        at::Tensor tensor = borrow(handle);
        out->dtype = static_cast<int32_t>(tensor.scalar_type());
        out->rank = static_cast<int32_t>(tensor.dim());
        out->sizes = tensor.sizes().data();
        out->strides = tensor.strides().data();
        out->elements = tensor.numel();
        out->element_size = static_cast<int32_t>(tensor.element_size());
        bool cpu = tensor.is_cpu();
        out->device = CTorchDevice{cpu ? 0 : 1, cpu ? -1 : static_cast<int32_t>(tensor.device().index())};
        out->requires_grad = tensor.requires_grad();
        out->is_contiguous = tensor.is_contiguous();
    });
}

void *data(const CTorchTensor *handle) { return borrow(handle).data_ptr(); }

int copy_in(const void *bytes, const int64_t *sizes, int32_t rank, int32_t dtype, CTorchTensor **out) {
    return guarded([&] {
        at::Tensor tensor = at::empty(
            at::IntArrayRef(sizes, rank), at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype)));
        if (tensor.nbytes() > 0) std::memcpy(tensor.data_ptr(), bytes, tensor.nbytes());
        *out = give(std::move(tensor));
    });
}

int borrow_memory(
    void *bytes, const int64_t *sizes, int32_t rank, int32_t dtype, CTorchReleaseContext release_context,
    void *context, CTorchTensor **out) {
    return guarded([&] {
        auto type = static_cast<at::ScalarType>(dtype);
        auto count = static_cast<int64_t>(c10::elementSize(type));
        for (int32_t i = 0; i < rank; ++i) count *= sizes[i];
        at::Tensor tensor = at::from_blob(
            bytes, at::IntArrayRef(sizes, rank),
            [=](void *) {
                count_bytes(-count);
                release_context(context);
            },
            at::TensorOptions().dtype(type));
        count_bytes(count);
        *out = give(std::move(tensor));
    });
}

int64_t live_tensors() { return live_handles.load(std::memory_order_relaxed); }

}  // namespace engine
