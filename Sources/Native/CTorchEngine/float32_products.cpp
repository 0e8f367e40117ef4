// Products of float32 matrices on processors where MKL, to which libtorch takes them, is slow.
//
// MKL knows Intel's processors. On one core of Zen 5 it has 95 GF/s where oneDNN has 250, on Zen 4 95 of 105. oneDNN's own linear
// layer adds up each number in one long sum, with twice MKL's error; here its block products make sums of short sums.
#include <ATen/Functions.h>

#include <algorithm>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "block_products.h"
#include "parallel.h"
#include "products.h"
#include "variants.h"

namespace engine {

#ifdef HAS_BLOCK_PRODUCTS

namespace {

/// A block of the output, and how many of the numbers that are added up are laid out at once.
constexpr int64_t block_rows = 192, block_columns = 256, depth = 1024;

bool is_intel() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid(0, &a, &b, &c, &d);
    return b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
#else
    return true;
#endif
}

/// A factor of a product, or its transpose, as rows that lie together.
struct Factor {
    const float *data;
    int64_t stride;
    bool is_transposed;

    /// - Parameter kept: the matrix, or a copy where neither its rows nor its columns lie together.
    Factor(const at::Tensor &matrix, at::Tensor &kept) {
        bool has_rows = matrix.stride(1) == 1 && matrix.stride(0) >= matrix.size(1);
        is_transposed = !has_rows && matrix.stride(0) == 1 && matrix.stride(1) >= matrix.size(0);
        kept = has_rows || is_transposed ? matrix : matrix.contiguous();
        stride = has_rows || is_transposed ? kept.stride(is_transposed ? 1 : 0) : kept.size(1);
        data = kept.const_data_ptr<float>();
    }

    const float *at(int64_t row, int64_t column) const {
        return is_transposed ? data + column * stride + row : data + row * stride + column;
    }
};

/// Rows that lie transposed, [count][across], made [across][count]; some at a time, which stay in the cache.
void turn(const float *from, int64_t stride, int64_t count, int64_t across, float *to) {
    vectorised([=]() INLINED {
        constexpr int64_t side = 16;
        for (int64_t first = 0; first < count; first += side) {
            int64_t end = std::min(count, first + side);
            for (int64_t j = 0; j < across; ++j)
                for (int64_t i = first; i < end; ++i) to[j * count + i] = from[i * stride + j];
        }
    });
}

int64_t blocks_of(int64_t count, int64_t side) { return (count + side - 1) / side; }

}  // namespace

bool has_float32_products() {
    static const bool has = !is_intel() && variant() >= Variant::avx2 && has_block_products<float>();
    return has;
}

at::Tensor float32_product(const at::Tensor &left, const at::Tensor &right, const at::Tensor &bias) {
    int64_t m = left.size(0), n = right.size(1), k = left.size(1);
    if (m * n * k == 0) return bias.defined() ? at::addmm(bias, left, right) : at::mm(left, right);
    at::Tensor kept_left, kept_right, c = at::empty({m, n}, left.options());
    Factor a(left, kept_left), b(right, kept_right);
    at::Tensor added = bias.defined() ? bias.contiguous() : bias;
    const float *row = bias.defined() ? added.const_data_ptr<float>() : nullptr;
    auto *out = c.mutable_data_ptr<float>();
    // A factor that has to be laid out is so for as much of the output as leaves each thread some.
    int64_t threads = at::get_num_threads(), tasks = threads > 1 ? 2 * threads : 1;
    int64_t row_parts = blocks_of(m, block_rows), column_parts = blocks_of(n, block_columns);
    if (a.is_transposed)
        column_parts = std::min(column_parts, blocks_of(tasks, row_parts));
    else if (b.is_transposed)
        row_parts = std::min(row_parts, blocks_of(tasks, column_parts));
    int64_t rows = blocks_of(blocks_of(m, row_parts), block_rows) * block_rows;
    int64_t columns = blocks_of(blocks_of(n, column_parts), block_columns) * block_columns;
    int64_t part = k <= 256 ? 64 : 256;
    parallel_for(0, row_parts * column_parts, 1, [&](int64_t from, int64_t to) {
        std::vector<float> packed_left(a.is_transposed ? block_rows * depth : 0);
        std::vector<float> packed_right(b.is_transposed ? block_columns * depth : 0);
        for (int64_t task = from; task < to; ++task) {
            int64_t top = task / column_parts * rows, bottom = std::min(m, top + rows);
            int64_t first = task % column_parts * columns, last = std::min(n, first + columns);
            for (int64_t q = 0; q < k; q += depth)
                for (int64_t j = first; j < last; j += block_columns) {
                    int64_t deep = std::min(depth, k - q), width = std::min(block_columns, last - j);
                    const float *right_block = b.at(q, j);
                    int64_t right_stride = b.stride;
                    if (b.is_transposed) {
                        turn(right_block, b.stride, width, deep, packed_right.data());
                        right_block = packed_right.data();
                        right_stride = width;
                    }
                    for (int64_t i = top; i < bottom; i += block_rows) {
                        int64_t height = std::min(block_rows, bottom - i);
                        const float *left_block = a.at(i, q);
                        int64_t left_stride = a.stride;
                        if (a.is_transposed) {
                            // A task then has one block of rows.
                            if (j == first) turn(a.at(i, q), a.stride, deep, height, packed_left.data());
                            left_block = packed_left.data();
                            left_stride = deep;
                        }
                        float *block = out + i * n + j;
                        if (q == 0 && row != nullptr)
                            for (int64_t r = 0; r < height; ++r) std::copy(row + j, row + j + width, block + r * n);
                        for (int64_t p = 0; p < deep; p += part)
                            at::native::cpublas::brgemm(
                                height, width, std::min(part, deep - p), left_stride, right_stride, n,
                                q + p > 0 || row != nullptr, left_block + p, right_block + p * right_stride, block, false);
                    }
                }
        }
        finish_products<float>();
    });
    return c;
}

#else

bool has_float32_products() { return false; }

at::Tensor float32_product(const at::Tensor &left, const at::Tensor &right, const at::Tensor &bias) {
    return bias.defined() ? at::addmm(bias, left, right) : at::mm(left, right);
}

#endif
}  // namespace engine
