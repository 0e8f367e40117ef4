// Elementary functions of float32 that the compiler vectorises.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "variants.h"

namespace engine {

/// e^x for x <= 0: 2^n times a polynomial of the rest, relative error below 1.3e-7.
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = std::nearbyint(x * 1.44269504f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f + r * (1.0f + r * (0.5f + r * (1.66666667e-1f + r * (4.16666667e-2f
        + r * (8.33333333e-3f + r * (1.38888889e-3f + r * 1.98412698e-4f))))));
    int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
    float power;
    std::memcpy(&power, &bits, 4);
    return p * power;
}

/// 2^t for t <= 126, relative error below 2.7e-6: for what is rounded to bfloat16. Less than 2^-125 is that.
/// Of one number, or of numbers side by side.
template <typename Number, typename Bits>
INLINE Number power_of_two(Number t) {
    const Number least = Number{} - 125.0f;
    const Number whole = Number{} + 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded, and stands in its last bits
    t = t < least ? least : t;
    Number shifted = t + whole;
    Number r = t - (shifted - whole);
    Number p = 0.99999928f + r * (0.69312179f + r * (0.24024744f + r * (0.055917859f + r * 0.0095701013f)));
    Bits bits, exponent;
    std::memcpy(&bits, &p, sizeof(bits));
    std::memcpy(&exponent, &shifted, sizeof(exponent));
    bits += exponent << 23;
    std::memcpy(&p, &bits, sizeof(bits));
    return p;
}

}  // namespace engine
