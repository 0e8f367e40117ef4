// Numbers side by side, for kernels whose loops the compiler would not make of vectors by itself.
#pragma once

#include <cstdint>
#include <cstring>

#include "variants.h"

namespace engine {

/// As many as the widest register holds; of a variant with smaller ones they take several.
constexpr int64_t lanes = 16;
typedef float Lanes __attribute__((vector_size(4 * lanes)));
typedef uint32_t LaneBits __attribute__((vector_size(4 * lanes)));
typedef uint32_t QuarterBits __attribute__((vector_size(16)));
typedef uint16_t LaneHalves __attribute__((vector_size(2 * lanes)));

INLINE Lanes load_lanes(const float *from) {
    Lanes x;
    std::memcpy(&x, from, sizeof(x));
    return x;
}

INLINE void store_lanes(float *to, Lanes x) { std::memcpy(to, &x, sizeof(x)); }

INLINE Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

INLINE Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }

/// Four rows of four numbers of 32 bits become the four columns.
INLINE void turn(QuarterBits (&x)[4]) {
    QuarterBits a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5), b = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
    QuarterBits c = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7), d = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
    x[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    x[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    x[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    x[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

/// The sum of all, half by half.
INLINE float total(Lanes x) {
    float sums[lanes];
    std::memcpy(sums, &x, sizeof(sums));
    for (int64_t half = lanes / 2; half > 0; half /= 2)
        for (int64_t e = 0; e < half; ++e) sums[e] += sums[e + half];
    return sums[0];
}

INLINE float largest(Lanes x) {
    float tops[lanes];
    std::memcpy(tops, &x, sizeof(tops));
    for (int64_t half = lanes / 2; half > 0; half /= 2)
        for (int64_t e = 0; e < half; ++e) tops[e] = tops[e + half] > tops[e] ? tops[e + half] : tops[e];
    return tops[0];
}

/// Rounds to the nearest bfloat16, as `store` of a single number does.
template <typename Compiled>
INLINE void store(uint16_t *to, Lanes x, Compiled variant) {
#if defined(__clang__) && defined(__x86_64__)
    if constexpr (variant() >= Variant::avx512_bf16) {
        typedef __bf16 Rounded __attribute__((vector_size(2 * lanes)));
        auto rounded = __builtin_convertvector(x, Rounded);
        std::memcpy(to, &rounded, sizeof(rounded));
        return;
    }
#endif
    LaneBits bits;
    std::memcpy(&bits, &x, sizeof(bits));
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    LaneHalves halves = __builtin_convertvector(bits, LaneHalves);
    std::memcpy(to, &halves, sizeof(halves));
}

}  // namespace engine
