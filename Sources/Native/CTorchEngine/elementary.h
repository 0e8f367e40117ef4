// Elementary functions of float32 that the compiler vectorises.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "variants.h"

namespace engine {

// Of one number, or of numbers side by side: 2^n times a polynomial of the rest.

/// 1.5 * 2^23: what is added to it is rounded, and stands in its last bits.
constexpr float rounding = 12582912.0f;

/// x times two to the power of what was rounded.
template <typename Number, typename Bits>
INLINE Number times_power(Number x, Number rounded) {
    Bits bits, exponent;
    std::memcpy(&bits, &x, sizeof(bits));
    std::memcpy(&exponent, &rounded, sizeof(exponent));
    bits += exponent << 23;
    std::memcpy(&x, &bits, sizeof(bits));
    return x;
}

/// e^x for x <= 0, relative error below 1.3e-7. Less than e^-87 is that.
template <typename Number, typename Bits>
INLINE Number exponential(Number x) {
    const Number least = Number{} - 87.0f;
    x = x < least ? least : x;
    Number rounded = x * 1.44269504f + rounding;
    Number n = rounded - rounding;
    Number r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Number p = 1.0f + r * (1.0f + r * (0.49999994f + r * (0.166665196f + r * (0.0416683927f
        + r * (0.00836878084f + r * 0.00138144672f)))));
    return times_power<Number, Bits>(p, rounded);
}

INLINE float exponential(float x) { return exponential<float, uint32_t>(x); }

/// 2^t for t <= 126, relative error below 2.7e-6: for what is rounded to bfloat16. Less than 2^-125 is that.
template <typename Number, typename Bits>
INLINE Number power_of_two(Number t) {
    const Number least = Number{} - 125.0f;
    t = t < least ? least : t;
    Number rounded = t + rounding;
    Number r = t - (rounded - rounding);
    Number p = 0.99999928f + r * (0.69312179f + r * (0.24024744f + r * (0.055917859f + r * 0.0095701013f)));
    return times_power<Number, Bits>(p, rounded);
}

}  // namespace engine
