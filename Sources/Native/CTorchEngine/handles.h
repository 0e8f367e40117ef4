// How tensors cross the door: a handle is a TensorImpl with one owned reference.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <exception>
#include <new>
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

/// Whether an error says that there was no memory: libtorch has a type for that on devices, and words on the CPU.
inline bool is_lack_of_memory(const c10::Error &error) {
    return dynamic_cast<const c10::OutOfMemoryError *>(&error) != nullptr
        || error.msg().find("DefaultCPUAllocator: ") != std::string::npos;
}

/// Throws what a caller's function came to, by its status.
inline void check_caller(int status, const char *message) {
    TORCH_CHECK_WITH(OutOfMemoryError, status != CTORCH_NO_MEMORY, message);
    TORCH_CHECK(status == 0, message);
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
        if (is_lack_of_memory(error)) return CTORCH_NO_MEMORY;
    } catch (const std::bad_alloc &error) {
        error_message = error.what();
        return CTORCH_NO_MEMORY;
    } catch (const std::exception &error) {
        error_message = error.what();
    } catch (...) {
        error_message = "unknown error in the engine";
    }
    return 1;
}

}  // namespace engine
