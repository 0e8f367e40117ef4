// Products of bfloat16 matrices by the processor's own instruction.
#include <ATen/Functions.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#include "bfloat16_panels.h"
#include "bfloat16_tiles.h"
#include "parallel.h"
#include "products.h"
#include "variants.h"

namespace engine {

#ifdef HAS_BFLOAT16_TILES
namespace {

/// Rows that are multiplied with one panel of the right factor after the other, and the columns of the panels that are laid out at once
/// where the left factor is not.
constexpr int64_t block_rows = 48, block_columns = 4 * tile_columns;

/// How many numbers are summed before the sums are put away, so that what is laid out for them stays in the cache; and where the left
/// factor is laid out too, and for how many rows and columns at once.
constexpr int64_t most_depth = 2048, most_depth_of_both = 1152, packed_rows = 4 * block_rows, most_columns = 2048;

/// A factor whose rows or columns lie together, or a copy of it.
struct Factor {
    at::Tensor kept;
    bool has_rows;
    int64_t stride;

    explicit Factor(const at::Tensor &matrix) : kept(matrix) {
        has_rows = matrix.stride(1) == 1 && matrix.stride(0) >= matrix.size(1);
        if (!has_rows && !(matrix.stride(0) == 1 && matrix.stride(1) >= matrix.size(0))) {
            kept = matrix.contiguous();
            has_rows = true;
        }
        stride = kept.stride(has_rows ? 0 : 1);
    }

    /// A part of it with pairs of rows interleaved, as panels.
    void pack(int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t panel, uint16_t *to) const {
        if (kept.scalar_type() == at::kFloat)
            pack(kept.const_data_ptr<float>(), row, rows, column, columns, panel, to);
        else
            pack(numbers(), row, rows, column, columns, panel, to);
    }

    const uint16_t *numbers() const { return static_cast<const uint16_t *>(kept.const_data_ptr()); }

private:
    template <typename Number>
    void pack(
        const Number *data, int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t panel,
        uint16_t *to) const {
        if (has_rows)
            pack_rows(data + row * stride + column, stride, rows, columns, panel, to);
        else
            pack_columns(data + column * stride + row, stride, rows, columns, panel, to);
    }
};

/// What a thread lays out, kept from call to call.
struct Scratch {
    std::vector<uint16_t> left, right;
    std::vector<float> sums;

    static Scratch &own() {
        static thread_local Scratch kept;
        return kept;
    }

    template <typename Number>
    static Number *room(std::vector<Number> &kept, int64_t count) {
        if (static_cast<int64_t>(kept.size()) < count) kept = std::vector<Number>(count);
        return kept.data();
    }
};

/// How an output is parted for threads: its parts, and the rows and columns of each but the last ones.
struct Parts {
    int64_t down, across, rows, columns;
};

int64_t wanted_tasks() {
    int64_t threads = at::get_num_threads();
    return threads > 1 ? 2 * threads : 1;
}

/// Where the right factor alone is laid out: by columns, and by rows too where threads would have none.
Parts parts_of_rows(int64_t m, int64_t n) {
    int64_t across = parts_of(n, block_columns);
    int64_t rows = whole(parts_of(m, std::min(parts_of(m, block_rows), parts_of(wanted_tasks(), across))), block_rows);
    return {parts_of(m, rows), across, rows, block_columns};
}

/// Where both factors are: by rows or columns, whichever are more, so that the longer factor is laid out once.
Parts parts_of_columns(int64_t m, int64_t n) {
    int64_t down = m >= n ? wanted_tasks() : 1, across = std::max(m >= n ? 1 : wanted_tasks(), parts_of(n, most_columns));
    int64_t rows = whole(parts_of(m, down), block_rows), columns = whole(parts_of(n, across), tile_columns);
    return {parts_of(m, rows), parts_of(n, columns), rows, columns};
}

template <typename Out>
struct Product {
    const Factor &a, &b;
    /// A row that is added, padded to whole vectors; or null.
    const float *bias;
    Out *out;
    int64_t m, n, k;
    /// Becomes the sums of the left factor's rows, where that is laid out; or null. [m], padded to whole vectors.
    float *left_sums;

    void make() const {
        Parts parts = a.has_rows ? parts_of_rows(m, n) : parts_of_columns(m, n);
        parallel_for(0, parts.down * parts.across, 1, [&](int64_t from, int64_t to) {
            for (int64_t task = from; task < to; ++task) {
                int64_t top = task / parts.across * parts.rows, first = task % parts.across * parts.columns;
                make(top, std::min(m, top + parts.rows), first, std::min(n, first + parts.columns));
            }
        });
    }

private:
    /// The rows of the output from `top` and the columns from `first` on.
    void make(int64_t top, int64_t bottom, int64_t first, int64_t last) const {
        int64_t most = a.has_rows ? most_depth : most_depth_of_both, depth = whole(parts_of(k, parts_of(k, most)), 32);
        Scratch &scratch = Scratch::own();
        uint16_t *right = Scratch::room(scratch.right, whole(last - first, 16) * depth);
        uint16_t *left = a.has_rows ? nullptr : Scratch::room(scratch.left, packed_rows * depth);
        // Sums that go on wait in the output where it is of such numbers.
        float *sums = nullptr;
        int64_t stride = n;
        if constexpr (std::is_same_v<Out, float>) {
            sums = out + top * n + first;
        } else if (k > depth) {
            stride = whole(last - first, 16);
            sums = Scratch::room(scratch.sums, (bottom - top) * stride);
        }
        for (int64_t q = 0; q < k; q += depth) {
            int64_t deep = std::min(depth, k - q);
            b.pack(q, deep, first, last - first, tile_columns, right);
            for (int64_t i = top; i < bottom; i += block_rows) {
                Pairs x{a.numbers() + i * a.stride + q, a.stride, 2, nullptr, 0, parts_of(deep, 2)};
                int64_t height = std::min(block_rows, bottom - i);
                if (!a.has_rows) {
                    int64_t row = (i - top) % packed_rows;
                    if (row == 0) lay_out(i, std::min(bottom, i + packed_rows), q, deep, first == 0, left);
                    x = {left + 2 * x.count * row, 2, 2 * whole(height, 16), nullptr, 0, x.count};
                }
                for (int64_t j = first; j < last; j += tile_columns) {
                    int64_t columns = std::min(tile_columns, last - j);
                    x.right = right + 2 * x.count * (j - first);
                    x.right_pair = 2 * whole(columns, 16);
                    float *kept = sums == nullptr ? nullptr : sums + (i - top) * stride + j - first;
                    const float *before = q == 0 ? nullptr : kept, *added = bias == nullptr ? nullptr : bias + j;
                    if (q + deep < k)
                        multiply_tiles<float>(x, before, stride, nullptr, kept, stride, height, columns);
                    else
                        multiply_tiles(x, before, stride, added, out + i * n + j, n, height, columns);
                }
            }
        }
    }

    /// Rows of a left factor whose columns lie together.
    void lay_out(int64_t row, int64_t last, int64_t column, int64_t columns, bool adds, uint16_t *to) const {
        pack_rows(
            a.numbers() + column * a.stride + row, a.stride, columns, last - row, block_rows, to,
            adds && left_sums != nullptr ? left_sums + row : nullptr);
    }
};

}  // namespace

// Tiles of AMX are faster, and libtorch has products of those.
bool has_bfloat16_products() { return variant() == Variant::avx512_bf16; }

at::Tensor bfloat16_product(
    const at::Tensor &left, const at::Tensor &right, const at::Tensor &bias, at::ScalarType dtype, at::Tensor *left_sums) {
    int64_t m = left.size(0), n = right.size(1), k = left.size(1);
    at::Tensor c = at::empty({m, n}, left.options().dtype(dtype));
    Factor a(left), b(right);
    bool sums_here = left_sums != nullptr && !a.has_rows && m * n * k > 0;
    if (sums_here)
        *left_sums = at::zeros({whole(m, 16)}, left.options().dtype(at::kFloat));
    else if (left_sums != nullptr)
        *left_sums = left.sum(1, false, at::kFloat);
    if (m * n == 0) return c;
    if (k == 0) return bias.defined() ? c.copy_(bias) : c.zero_();
    // Pairs of an odd row would reach into the next.
    if (a.has_rows && k % 2 != 0) a = Factor(at::constant_pad_nd(a.kept, {0, 1}));
    at::Tensor added;
    if (bias.defined()) added = at::constant_pad_nd(bias.to(at::kFloat), {0, whole(n, 16) - n});
    const float *row = bias.defined() ? added.const_data_ptr<float>() : nullptr;
    float *sums = sums_here ? left_sums->mutable_data_ptr<float>() : nullptr;
    if (dtype == at::kFloat)
        Product<float>{a, b, row, c.mutable_data_ptr<float>(), m, n, k, sums}.make();
    else
        Product<uint16_t>{a, b, row, static_cast<uint16_t *>(c.mutable_data_ptr()), m, n, k, sums}.make();
    if (sums_here) *left_sums = left_sums->narrow(0, 0, m);
    return c;
}

#else

bool has_bfloat16_products() { return false; }

at::Tensor bfloat16_product(
    const at::Tensor &left, const at::Tensor &right, const at::Tensor &bias, at::ScalarType dtype, at::Tensor *left_sums) {
    if (left_sums != nullptr) *left_sums = left.sum(1, false, at::kFloat);
    at::Tensor c = at::mm(left, right.to(left.scalar_type())).to(dtype);
    return bias.defined() ? c + bias.to(dtype) : c;
}

#endif
}  // namespace engine
