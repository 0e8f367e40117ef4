// Products of small matrices, float32 sums of float32 or bfloat16 numbers: libtorch's way to oneDNN's batch-reduce products.
//
// The right factor is packed: of bfloat16 numbers two rows lie interleaved, [k / 2][n][2], of float32 they lie as they are.
#pragma once

#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <cstdint>

#include "number_types.h"

namespace engine {

/// Rows of a packed right factor that lie interleaved.
template <typename Number>
constexpr int64_t packed_rows = sizeof(Number) == 2 ? 2 : 1;

/// `count` rounded up to sides that the products take whole: a tile of bfloat16 numbers is 32 wide, and a rest of one
/// costs three times as much.
template <typename Number>
constexpr int64_t padded(int64_t count) {
    constexpr int64_t side = sizeof(Number) == 2 ? 32 : 1;
    return (count + side - 1) / side * side;
}

#if defined(CPUBLAS_BRGEMM_BF16BF16F32) && defined(CPUBLAS_BRGEMM_F32F32F32)
#define HAS_BLOCK_PRODUCTS 1

/// c [m, n] = a [m, k] b [k, n], or is added to; b is packed, k a whole number of packed rows, best a padded one.
inline void multiply(
    bool adds, int64_t m, int64_t n, int64_t k, const float *a, int64_t stride_a, const float *b, float *c) {
    // Sums of sums: one long sum would gather more rounding than libtorch's own products do. Shorter parts of the longest
    // cost a third more time.
    int64_t part = k <= 256 ? 64 : 256;
    for (int64_t i = 0; i < k; i += part)
        at::native::cpublas::brgemm(
            m, n, std::min(part, k - i), stride_a, n, n, adds || i > 0, a + i, b + i * n, c, false);
}

inline void multiply(
    bool adds, int64_t m, int64_t n, int64_t k, const uint16_t *a, int64_t stride_a, const uint16_t *b, float *c) {
    at::native::cpublas::brgemm(
        m, n, k, stride_a, n, n, adds, reinterpret_cast<const at::BFloat16 *>(a),
        reinterpret_cast<const at::BFloat16 *>(b), c, true);
}

/// Gives back what the processor keeps for such products; called where a thread's row of them ends.
template <typename Number>
void finish_products() {
    at::native::cpublas::brgemm_release(sizeof(Number) == 2);
}
#endif

/// Whether the processor and libtorch have products of these numbers; tried once.
template <typename Number>
bool has_block_products() {
#ifdef HAS_BLOCK_PRODUCTS
    static const bool works = [] {
        try {
            Number a[32 * 32] = {}, b[32 * 32] = {};
            float c[32 * 32];
            multiply(false, 32, 32, 32, a, 32, b, c);
            finish_products<Number>();
            return true;
        } catch (...) {
            return false;
        }
    }();
    return works;
#else
    return false;
#endif
}

}  // namespace engine
