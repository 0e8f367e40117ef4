// The kernels' numbers: float32, and bfloat16 as its bits, computed in float32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstring>

#include "variants.h"

namespace engine {

INLINE float widen(float value) { return value; }

INLINE float widen(uint16_t value) {
    uint32_t bits = static_cast<uint32_t>(value) << 16;
    float result;
    std::memcpy(&result, &bits, 4);
    return result;
}

INLINE void store(float *to, float value) { *to = value; }

/// Rounds to the nearest bfloat16, ties to even.
INLINE void store(uint16_t *to, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    *to = static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/// The same where a kernel's variant may have an instruction for it. Numbers too small for float's full precision become zero
/// then.
template <typename Compiled>
INLINE void store(uint16_t *to, float value, Compiled variant) {
#if defined(__clang__) && defined(__x86_64__)
    if constexpr (variant() >= Variant::avx512_bf16) {
        auto rounded = static_cast<__bf16>(value);
        std::memcpy(to, &rounded, 2);
        return;
    }
#endif
    store(to, value);
}

template <typename Compiled>
INLINE void store(float *to, float value, Compiled) { *to = value; }

/// Whether kernels of these types take a tensor; elsewhere libtorch's operators do the same.
inline bool has_native_numbers(const at::Tensor &x) {
    return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

/// Calls `body` with a pointer of the type of a tensor that has native numbers.
template <typename Body>
void with_number_type(const at::Tensor &x, const Body &body) {
    if (x.scalar_type() == at::kFloat)
        body(static_cast<float *>(nullptr));
    else
        body(static_cast<uint16_t *>(nullptr));
}

}  // namespace engine
