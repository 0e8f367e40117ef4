// Products of matrices in tiles that are summed in registers, of float32 numbers or of bfloat16 ones.
//
// Float32: MKL, to which libtorch takes such products, knows Intel's processors. Bfloat16: libtorch writes
// the bias first and has oneDNN add the product to it.
#include <ATen/Functions.h>

#include <algorithm>
#include <type_traits>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "bfloat16_tiles.h"
#include "float32_tiles.h"
#include "parallel.h"
#include "products.h"
#include "variants.h"

namespace engine {
namespace {

/// Rows that are multiplied with one panel of the right factor after the other, and the columns of the panels that are laid out at
/// once; where the left factor is laid out too, rows of it and columns of the right one at once.
constexpr int64_t widest_panel = 64, block_rows = 48, block_columns = 4 * widest_panel, packed_rows = 4 * block_rows;
constexpr int64_t most_columns = 2048;

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

    template <typename Number>
    const Number *numbers() const { return static_cast<const Number *>(kept.const_data_ptr()); }

    /// A part of it as the panels that tiles read.
    template <typename Tiles>
    void pack(
        int64_t row, int64_t rows, int64_t column, int64_t columns, int64_t panel, typename Tiles::Number *to) const {
        auto packed = [&](const auto *data) {
            if (has_rows)
                Tiles::pack_rows(data + row * stride + column, stride, rows, columns, panel, to);
            else
                Tiles::pack_columns(data + column * stride + row, stride, rows, columns, panel, to);
        };
        if (kept.scalar_type() == at::kFloat)
            packed(numbers<float>());
        else
            packed(numbers<uint16_t>());
    }
};

/// What a thread lays out, kept from call to call.
template <typename Number>
struct Scratch {
    std::vector<Number> left, right;
    std::vector<float> sums;

    static Scratch &own() {
        static thread_local Scratch kept;
        return kept;
    }

    template <typename Some>
    static Some *room(std::vector<Some> &kept, int64_t count) {
        if (static_cast<int64_t>(kept.size()) < count) kept = std::vector<Some>(count);
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
    int64_t rows = whole(parts_of(m, down), block_rows), columns = whole(parts_of(n, across), widest_panel);
    return {parts_of(m, rows), parts_of(n, columns), rows, columns};
}

template <typename Tiles, typename Out>
struct Product {
    using Number = typename Tiles::Number;

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
        int64_t depth = whole(parts_of(k, parts_of(k, Tiles::most_depth(!a.has_rows))), 64), panel = Tiles::columns();
        auto &scratch = Scratch<Number>::own();
        Number *right = scratch.room(scratch.right, whole(last - first, 16) * depth);
        Number *left = a.has_rows ? nullptr : scratch.room(scratch.left, packed_rows * depth);
        // Sums that go on wait in the output where it is of such numbers.
        float *sums = nullptr;
        int64_t stride = n;
        if constexpr (std::is_same_v<Out, float>) {
            sums = out + top * n + first;
        } else if (k > depth) {
            stride = whole(last - first, 16);
            sums = scratch.room(scratch.sums, (bottom - top) * stride);
        }
        for (int64_t q = 0; q < k; q += depth) {
            int64_t deep = std::min(depth, k - q), laid_out = whole(deep, Tiles::together);
            b.pack<Tiles>(q, deep, first, last - first, panel, right);
            for (int64_t i = top; i < bottom; i += block_rows) {
                int64_t height = std::min(block_rows, bottom - i), row = (i - top) % packed_rows;
                Factors<Number> x{};
                if (a.has_rows) {
                    x.left = a.numbers<Number>() + i * a.stride + q;
                    x.left_row = a.stride;
                    x.left_step = Tiles::together;
                } else {
                    if (row == 0) lay_out(i, std::min(bottom, i + packed_rows), q, deep, first == 0, left);
                    x.left = left + laid_out * row;
                    x.left_row = Tiles::together;
                    x.left_step = Tiles::together * whole(height, 16);
                }
                for (int64_t j = first; j < last; j += panel) {
                    int64_t columns = std::min(panel, last - j);
                    x.right = right + laid_out * (j - first);
                    x.right_step = Tiles::together * whole(columns, 16);
                    float *kept = sums == nullptr ? nullptr : sums + (i - top) * stride + j - first;
                    Target<Out> to{out + i * n + j, n, columns, kept, stride, bias == nullptr ? nullptr : bias + j};
                    multiply(x, to, {kept, stride, columns, kept, stride, nullptr}, height, q, deep);
                }
            }
        }
    }

    /// Sums some numbers from the `q`-th on at a time; only the last of them all go where the output is wanted.
    void multiply(
        Factors<Number> x, Target<Out> to, Target<float> on, int64_t rows, int64_t q, int64_t deep) const {
        int64_t part = Tiles::summed_at_once(k);
        for (int64_t p = 0; p < deep; p += part) {
            int64_t some = std::min(part, deep - p);
            x.steps = parts_of(some, Tiles::together);
            if (q + p == 0) to.before = on.before = nullptr;
            if (q + p + some < k)
                Tiles::multiply(x, on, rows);
            else
                Tiles::multiply(x, to, rows);
            to.before = on.before = on.out;
            x.left += x.steps * x.left_step;
            x.right += x.steps * x.right_step;
        }
    }

    /// Rows of a left factor whose columns lie together.
    void lay_out(int64_t row, int64_t last, int64_t column, int64_t columns, bool adds, Number *to) const {
        const Number *from = a.numbers<Number>() + column * a.stride + row;
        if constexpr (Tiles::together == 2) {
            float *row_sums = adds && left_sums != nullptr ? left_sums + row : nullptr;
            Tiles::pack_rows(from, a.stride, columns, last - row, block_rows, to, row_sums);
        } else {
            Tiles::pack_rows(from, a.stride, columns, last - row, block_rows, to);
        }
    }
};

/// A row as float32, padded with zeros to whole vectors.
at::Tensor padded_row(const at::Tensor &bias, int64_t n) {
    return bias.defined() ? at::constant_pad_nd(bias.to(at::kFloat), {0, whole(n, 16) - n}) : bias;
}

bool is_intel() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid(0, &a, &b, &c, &d);
    return b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
#else
    return true;
#endif
}

}  // namespace

bool has_float32_products() {
    static const bool has = !is_intel() && variant() >= Variant::avx2;
    return has;
}

// Tiles of AMX are faster, and libtorch has products of those.
bool has_bfloat16_products() { return variant() == Variant::avx512_bf16; }

at::Tensor float32_product(const at::Tensor &left, const at::Tensor &right, const at::Tensor &bias) {
    int64_t m = left.size(0), n = right.size(1), k = left.size(1);
    at::Tensor c = at::empty({m, n}, left.options());
    if (m * n == 0) return c;
    if (k == 0) return bias.defined() ? c.copy_(bias) : c.zero_();
    Factor a(left), b(right);
    at::Tensor added = padded_row(bias, n);
    const float *row = bias.defined() ? added.const_data_ptr<float>() : nullptr;
    Product<Float32Tiles, float>{a, b, row, c.mutable_data_ptr<float>(), m, n, k, nullptr}.make();
    return c;
}

at::Tensor bfloat16_product(
    const at::Tensor &left, const at::Tensor &right, const at::Tensor &bias, at::ScalarType dtype, at::Tensor *left_sums) {
#ifdef HAS_BFLOAT16_TILES
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
    at::Tensor added = padded_row(bias, n);
    const float *row = bias.defined() ? added.const_data_ptr<float>() : nullptr;
    float *sums = sums_here ? left_sums->mutable_data_ptr<float>() : nullptr;
    if (dtype == at::kFloat)
        Product<Bfloat16Tiles, float>{a, b, row, c.mutable_data_ptr<float>(), m, n, k, sums}.make();
    else
        Product<Bfloat16Tiles, uint16_t>{a, b, row, static_cast<uint16_t *>(c.mutable_data_ptr()), m, n, k, sums}.make();
    if (sums_here) *left_sums = left_sums->narrow(0, 0, m);
    return c;
#else
    if (left_sums != nullptr) *left_sums = left.sum(1, false, at::kFloat);
    at::Tensor c = at::mm(left, right.to(left.scalar_type())).to(dtype);
    return bias.defined() ? c + bias.to(dtype) : c;
#endif
}

}  // namespace engine
