// Elementary functions of float32 that the compiler vectorises.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "variants.h"

namespace engine {

/// e^x for x <= 0 as a number of a type: 2^n times a polynomial of the rest, relative error below 1.3e-7, of bfloat16 3e-6.
template <typename Number = float>
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = std::nearbyint(x * 1.44269504f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f, p;
    if constexpr (sizeof(Number) == 2)
        p = 1.0f + r * (1.0f + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f + r * 8.33333333e-3f))));
    else
        p = 1.0f + r * (1.0f + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f
            + r * (8.33333333e-3f + r * (1.38888889e-3f + r * 1.98412698e-4f))))));
    int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
    float power;
    std::memcpy(&power, &bits, 4);
    return p * power;
}

}  // namespace engine
