// How tensors cross the door: a handle is a TensorImpl with one owned reference.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <exception>
#include <string>

#include "CTorch.h"
#include "denormals.h"

namespace engine {

inline std::atomic<int64_t> live_handles{0};
inline thread_local std::string error_message;

inline CTorchTensor *give(at::Tensor tensor) {
    if (!tensor.defined()) return nullptr;
    live_handles.fetch_add(1, std::memory_order_relaxed);
    return reinterpret_cast<CTorchTensor *>(tensor.unsafeReleaseTensorImpl());
}

inline at::Tensor borrow(const CTorchTensor *handle) {
    if (handle == nullptr) return at::Tensor();
    auto *impl = reinterpret_cast<c10::TensorImpl *>(const_cast<CTorchTensor *>(handle));
    return at::Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::unsafe_reclaim_from_nonowning(impl));
}

/// The one exception boundary: runs `body`, keeps what it throws as the thread's message.
template <typename Body>
int guarded(Body &&body) noexcept {
    FlushedDenormals flushed;
    try {
        body();
        return 0;
    } catch (const c10::Error &error) {
        error_message = error.what_without_backtrace();
    } catch (const std::exception &error) {
        error_message = error.what();
    } catch (...) {
        error_message = "unknown error in the engine";
    }
    return 1;
}

}  // namespace engine
