// SiLU, x sigmoid(x), for the kernels.
#pragma once

#include <cmath>
#include <type_traits>

#include "elementary.h"

namespace engine {

/// silu(x) and its derivative; of numbers that are rounded to bfloat16 with relative errors below 3e-6.
template <typename T>
INLINE void silu(float x, float &value, float &slope) {
    float size = std::fabs(x), e;
    if constexpr (std::is_same_v<T, float>)
        e = exponential(-size);
    else
        e = power_of_two<float, uint32_t>(size * -1.44269504f);
    float of_size = 1.0f / (1.0f + e), sigmoid = x < 0 ? e * of_size : of_size;
    value = x * sigmoid;
    slope = sigmoid * (1.0f + x * (1.0f - sigmoid));
}

template <typename T>
INLINE float silu(float x) {
    float value, slope;
    silu<T>(x, value, slope);
    return value;
}

}  // namespace engine
