// Matrices in eight or four bits a number, and their expansion for a product.
//
// int8: each row is its largest magnitude over 127, times whole numbers. nf4: each 64 numbers are their largest magnitude
// times one of 16 levels, two codes to a byte, the first in the upper bits; the magnitudes are themselves kept in eight
// bits: less their mean, in groups of 256 with a scale. Sources: Dettmers et al. 2022, "LLM.int8()", and 2023, "QLoRA";
// codes and scales are those of bitsandbytes 0.50 (`int8_vectorwise_quant`, `quantize_4bit` with compressed statistics).
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <tuple>
#include <vector>

#include "number_types.h"
#include "parallel.h"
#include "products.h"

// A product and a sum rounded together would make the numbers depend on the processor.
#pragma STDC FP_CONTRACT OFF

namespace engine {
namespace {

/// Numbers that share a magnitude, and magnitudes that share a scale.
constexpr int64_t block = 64, group = 256;
/// Blocks that a task takes.
constexpr int64_t blocks_per_task = 64;

/// The quantiles of the normal distribution that four bits stand for.
constexpr float levels[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
    -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
    0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
};

/// The middles between levels: a number above one belongs to the level above it.
struct Bounds {
    float values[15];
    Bounds() {
        for (int i = 0; i < 15; ++i) values[i] = (levels[i] + levels[i + 1]) / 2;
    }
};

/// The two levels of every byte.
struct Pairs {
    float values[256][2];
    Pairs() {
        for (int byte = 0; byte < 256; ++byte) {
            values[byte][0] = levels[byte >> 4];
            values[byte][1] = levels[byte & 15];
        }
    }
};

/// The largest magnitude; infinite or no number where one is.
template <typename T>
INLINE float largest_of(const T *x, int64_t count) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < count; ++i) {
        float value = widen(x[i]);
        uint32_t bits;
        std::memcpy(&bits, &value, 4);
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    float result;
    std::memcpy(&result, &largest, 4);
    return result;
}

template <typename T>
INLINE void quantise_row(const T *x, int64_t count, int8_t *codes, float *scale) {
    float largest = largest_of(x, count);
    // The reciprocal first, as torch divides a number by a tensor.
    float factor = largest > 0 ? 1.0f / largest * 127.0f : 0;
    *scale = largest / 127.0f;
    for (int64_t i = 0; i < count; ++i) {
        codes[i] = static_cast<int8_t>(static_cast<int32_t>(std::nearbyint(widen(x[i]) * factor)));
    }
}

template <typename T>
INLINE void quantise_blocks(const T *x, int64_t blocks, const float *bounds, uint8_t *codes, float *magnitudes) {
    for (int64_t b = 0; b < blocks; ++b) {
        float largest = largest_of(x + b * block, block);
        float factor = largest > 0 ? 1.0f / largest : 0;
        magnitudes[b] = largest;
        float values[block];
        int32_t code[block] = {};
        for (int64_t i = 0; i < block; ++i) values[i] = widen(x[b * block + i]) * factor;
        for (int64_t k = 0; k < 15; ++k)
            for (int64_t i = 0; i < block; ++i) code[i] += values[i] > bounds[k];
        for (int64_t i = 0; i < block / 2; ++i)
            codes[b * block / 2 + i] = static_cast<uint8_t>(code[2 * i] << 4 | code[2 * i + 1]);
    }
}

template <typename T>
INLINE void expand_row(const int8_t *codes, float scale, int64_t count, T *y) {
    for (int64_t i = 0; i < count; ++i) store(y + i, static_cast<float>(codes[i]) * scale);
}

template <typename T>
INLINE void expand_blocks(
    const uint8_t *codes, const float *magnitudes, int64_t blocks, const float (*pairs)[2], T *y) {
    for (int64_t b = 0; b < blocks; ++b) {
        float values[block];
        for (int64_t i = 0; i < block / 2; ++i) std::memcpy(values + 2 * i, pairs[codes[b * block / 2 + i]], 8);
        float magnitude = magnitudes[b];
        for (int64_t i = 0; i < block; ++i) store(y + b * block + i, values[i] * magnitude);
    }
}

/// A matrix whose numbers the kernels read, on the CPU and in one piece.
at::Tensor native(const at::Tensor &x) {
    at::Tensor plain = x.contiguous();
    return has_native_numbers(plain) ? plain : plain.to(at::kCPU, at::kFloat);
}

/// x [rows, columns] to codes of its shape, int8, and scales [rows].
std::tuple<at::Tensor, at::Tensor> quantise_rows(const at::Tensor &input) {
    TORCH_CHECK(input.dim() == 2 && input.numel() > 0, "quantise_rows: a matrix is needed, not ", input.sizes());
    at::Tensor x = native(input);
    int64_t rows = x.size(0), columns = x.size(1);
    at::Tensor codes = at::empty({rows, columns}, at::kChar), scales = at::empty({rows}, at::kFloat);
    with_number_type(x, [&](auto *type) {
        auto *from = static_cast<decltype(type)>(x.data_ptr());
        parallel_for(0, rows, 8, [&](int64_t begin, int64_t end) {
            for (int64_t row = begin; row < end; ++row)
                vectorised_alike([=, x = from + row * columns, to = codes.data_ptr<int8_t>() + row * columns,
                                  scale = scales.data_ptr<float>() + row]() INLINED {
                    quantise_row(x, columns, to, scale);
                });
        });
    });
    return {codes, scales};
}

/// x [rows, columns], columns a multiple of 64, to codes [rows, columns / 2] and magnitudes [rows * columns / 64].
std::tuple<at::Tensor, at::Tensor> quantise_nf4(const at::Tensor &input) {
    TORCH_CHECK(
        input.dim() == 2 && input.numel() > 0 && input.size(1) % block == 0,
        "quantise_nf4: a matrix with a multiple of 64 columns is needed, not ", input.sizes());
    static const Bounds bounds;
    at::Tensor x = native(input);
    int64_t count = x.numel() / block;
    at::Tensor codes = at::empty({x.size(0), x.size(1) / 2}, at::kByte), magnitudes = at::empty({count}, at::kFloat);
    with_number_type(x, [&](auto *type) {
        auto *from = static_cast<decltype(type)>(x.data_ptr());
        parallel_for(0, count, blocks_per_task, [&](int64_t begin, int64_t end) {
            vectorised_alike([=, x = from + begin * block, bounds = bounds.values,
                              to = codes.data_ptr<uint8_t>() + begin * block / 2,
                              sizes = magnitudes.data_ptr<float>() + begin]() INLINED {
                quantise_blocks(x, end - begin, bounds, to, sizes);
            });
        });
    });
    return {codes, magnitudes};
}

/// Magnitudes [n] to codes of 256 ascending values, scales of their groups, and the mean, [1].
std::tuple<at::Tensor, at::Tensor, at::Tensor> quantise_magnitudes(const at::Tensor &input, const at::Tensor &values) {
    TORCH_CHECK(input.dim() == 1 && input.numel() > 0 && values.numel() == 256, "quantise_magnitudes: ", input.sizes());
    at::Tensor x = input.to(at::kFloat).contiguous();
    const float *from = x.const_data_ptr<float>(), *map = values.const_data_ptr<float>();
    int64_t count = x.numel(), groups = (count + group - 1) / group;
    // In one order, and in double precision: the mean does not hang on the number of threads.
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += from[i];
    float mean = static_cast<float>(sum / static_cast<double>(count));
    float bounds[255];
    for (int64_t i = 0; i < 255; ++i) bounds[i] = (map[i] + map[i + 1]) / 2;
    at::Tensor codes = at::empty({count}, at::kByte), scales = at::empty({groups}, at::kFloat);
    uint8_t *to = codes.data_ptr<uint8_t>();
    parallel_for(0, groups, 16, [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) {
            int64_t first = g * group, size = std::min(group, count - first);
            float centred[group];
            for (int64_t i = 0; i < size; ++i) centred[i] = from[first + i] - mean;
            float largest = largest_of(centred, size);
            float factor = largest > 0 ? 1.0f / largest : 0;
            scales.data_ptr<float>()[g] = largest;
            for (int64_t i = 0; i < size; ++i)
                to[first + i] = static_cast<uint8_t>(
                    std::lower_bound(bounds, bounds + 255, centred[i] * factor) - bounds);
        }
    });
    return {codes, scales, at::full({1}, mean, at::kFloat)};
}

/// Whether kernels write a matrix; elsewhere libtorch's operators do the same.
bool is_native(const at::Tensor &codes, at::ScalarType dtype, bool fused) {
    return fused && codes.is_cpu() && codes.is_contiguous() && (dtype == at::kFloat || dtype == at::kBFloat16);
}

/// A matrix in eight bits as the kernels read it.
struct Rows8 {
    int64_t rows, columns;
    const int8_t *codes;
    const float *scales;

    /// Some numbers of a row.
    template <typename T>
    void expand(int64_t row, int64_t left, int64_t count, T *to) const {
        vectorised_alike([=, from = codes + row * columns + left, scale = scales[row]]() INLINED {
            expand_row(from, scale, count, to);
        });
    }
};

/// Rows of a matrix in four bits, likewise.
struct Blocks4 {
    int64_t rows, columns;
    const uint8_t *codes, *magnitudes;
    const float *values, *scales;
    float mean;
    /// The block of the whole matrix that the first row begins with.
    int64_t first_block;

    /// Some numbers of a row, whole blocks.
    template <typename T>
    void expand(int64_t row, int64_t left, int64_t count, T *to) const {
        static const Pairs pairs;
        int64_t begin = first_block + (row * columns + left) / block, end = begin + count / block;
        for (int64_t at = begin; at < end; at += blocks_per_task) {
            int64_t size = std::min(blocks_per_task, end - at);
            float sizes[blocks_per_task];
            for (int64_t i = 0; i < size; ++i)
                sizes[i] = values[magnitudes[at + i]] * scales[(at + i) / group] + mean;
            vectorised_alike([=, from = codes + at * block / 2, sizes = &sizes[0], pairs = &pairs.values[0],
                              to = to + (at - begin) * block]() INLINED { expand_blocks(from, sizes, size, pairs, to); });
        }
    }
};

/// Rows and columns of a matrix to `y` [rows, columns].
template <typename Matrix>
void expand_part(const Matrix &matrix, int64_t first, int64_t left, const at::Tensor &y) {
    int64_t count = y.size(1), grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, count));
    with_number_type(y, [&](auto *type) {
        auto *to = static_cast<decltype(type)>(y.data_ptr());
        parallel_for(0, y.size(0), grain, [&](int64_t begin, int64_t end) {
            for (int64_t row = begin; row < end; ++row) matrix.expand(first + row, left, count, to + row * count);
        });
    });
}

/// Numbers that are expanded at a time for a product: 4 MB of bfloat16, so that they are still in a cache when they are
/// multiplied, and the memory is used again.
constexpr int64_t numbers_at_a_time = 1 << 21;

/// x [..., columns] W^T + bias, or x [..., rows] W where `transposed`, of which parts of the outputs are computed one after
/// the other: no sum is cut.
template <typename Matrix>
at::Tensor multiply(const at::Tensor &x, const Matrix &matrix, const std::optional<at::Tensor> &bias, bool transposed) {
    int64_t inputs = transposed ? matrix.rows : matrix.columns, outputs = transposed ? matrix.columns : matrix.rows;
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes.back() = outputs;
    at::Tensor flat = x.reshape({-1, inputs});
    int64_t step = std::min(outputs, std::max(block, numbers_at_a_time / inputs / block * block));
    at::Tensor buffer = at::empty({step * inputs}, x.options());
    auto part = [&](int64_t from, int64_t count) {
        at::Tensor numbers = buffer.narrow(0, 0, inputs * count);
        if (transposed) {
            at::Tensor weight = numbers.view({inputs, count});
            expand_part(matrix, 0, from, weight);
            return linear_rows_back(flat, weight, takes_blocks(x, weight.t()));
        }
        at::Tensor weight = numbers.view({count, inputs});
        expand_part(matrix, from, 0, weight);
        auto added = bias ? std::optional(bias->narrow(0, from, count)) : std::nullopt;
        return linear_rows(flat, weight, added, takes_blocks(x, weight));
    };
    if (step == outputs) return part(0, outputs).view(sizes);
    at::Tensor y = at::empty({flat.size(0), outputs}, x.options());
    for (int64_t from = 0; from < outputs; from += step) {
        int64_t count = std::min(step, outputs - from);
        y.narrow(1, from, count).copy_(part(from, count));
    }
    return y.view(sizes);
}

/// The same with a matrix whose numbers libtorch's operators have expanded.
at::Tensor multiply_whole(
    const at::Tensor &x, const at::Tensor &matrix, const std::optional<at::Tensor> &bias, bool transposed) {
    return transposed ? at::matmul(x, matrix) : at::linear(x, matrix, bias);
}

void check_factor(const at::Tensor &x, int64_t inputs) {
    TORCH_CHECK(x.dim() > 0 && x.size(-1) == inputs, "a product of ", x.sizes(), " with a matrix of ", inputs, " inputs");
}

void check_rows(const at::Tensor &codes, const at::Tensor &scales) {
    TORCH_CHECK(
        codes.dim() == 2 && codes.scalar_type() == at::kChar && scales.scalar_type() == at::kFloat
            && scales.numel() == codes.size(0) && scales.is_contiguous(),
        "a matrix in eight bits: codes have ", codes.sizes(), ", scales ", scales.sizes());
}

Rows8 rows8(const at::Tensor &codes, const at::Tensor &scales) {
    return {codes.size(0), codes.size(1), codes.const_data_ptr<int8_t>(), scales.const_data_ptr<float>()};
}

/// Codes [rows, columns] and scales [rows] to the matrix.
at::Tensor expand_rows(const at::Tensor &codes, const at::Tensor &scales, at::ScalarType dtype, bool fused) {
    check_rows(codes, scales);
    if (!is_native(codes, dtype, fused)) return (codes.to(at::kFloat) * scales.unsqueeze(1)).to(dtype);
    at::Tensor y = at::empty(codes.sizes(), codes.options().dtype(dtype));
    expand_part(rows8(codes, scales), 0, 0, y);
    return y;
}

at::Tensor multiply_rows(
    const at::Tensor &x, const at::Tensor &codes, const at::Tensor &scales, const std::optional<at::Tensor> &bias,
    bool transposed, bool fused) {
    check_rows(codes, scales);
    check_factor(x, codes.size(transposed ? 0 : 1));
    if (is_native(codes, x.scalar_type(), fused)) return multiply(x, rows8(codes, scales), bias, transposed);
    return multiply_whole(x, expand_rows(codes, scales, x.scalar_type(), fused), bias, transposed);
}

void check_blocks(
    const at::Tensor &codes, const at::Tensor &magnitude_codes, const at::Tensor &scales, const at::Tensor &mean,
    const at::Tensor &values, int64_t first, int64_t rows) {
    TORCH_CHECK(
        codes.dim() == 2 && codes.scalar_type() == at::kByte && codes.size(1) % (block / 2) == 0 && first >= 0
            && rows >= 0 && first + rows <= codes.size(0) && magnitude_codes.scalar_type() == at::kByte
            && magnitude_codes.numel() == codes.numel() / (block / 2) && scales.scalar_type() == at::kFloat
            && scales.numel() == (magnitude_codes.numel() + group - 1) / group && mean.numel() == 1
            && mean.scalar_type() == at::kFloat && values.numel() == 256,
        "a matrix in four bits: codes have ", codes.sizes(), ", magnitudes ", magnitude_codes.sizes(), ", scales ",
        scales.sizes(), ", rows ", first, " to ", first + rows);
}

Blocks4 blocks4(
    const at::Tensor &codes, const at::Tensor &magnitude_codes, const at::Tensor &scales, const at::Tensor &mean,
    const at::Tensor &values, int64_t first, int64_t rows) {
    int64_t columns = 2 * codes.size(1);
    return {
        rows, columns, codes.const_data_ptr<uint8_t>(), magnitude_codes.const_data_ptr<uint8_t>(),
        values.const_data_ptr<float>(), scales.const_data_ptr<float>(), *mean.const_data_ptr<float>(),
        first * columns / block};
}

/// Rows of a matrix in nf4: codes [all rows, columns / 2], the magnitudes as `quantise_magnitudes` gives them.
at::Tensor expand_nf4(
    const at::Tensor &codes, const at::Tensor &magnitude_codes, const at::Tensor &scales, const at::Tensor &mean,
    const at::Tensor &values, int64_t first, int64_t rows, at::ScalarType dtype, bool fused) {
    check_blocks(codes, magnitude_codes, scales, mean, values, first, rows);
    int64_t columns = 2 * codes.size(1);
    if (is_native(codes, dtype, fused) && magnitude_codes.is_contiguous()) {
        at::Tensor y = at::empty({rows, columns}, codes.options().dtype(dtype));
        expand_part(blocks4(codes, magnitude_codes, scales, mean, values, first, rows), 0, 0, y);
        return y;
    }
    int64_t first_block = first * columns / block, count = rows * columns / block;
    at::Tensor table = at::empty({16}, at::kFloat);
    std::memcpy(table.data_ptr<float>(), levels, sizeof(levels));
    at::Tensor index = at::arange(first_block, first_block + count, scales.options().dtype(at::kLong)).div(group, "floor");
    at::Tensor magnitudes =
        values.to(codes.device()).index_select(0, magnitude_codes.narrow(0, first_block, count).to(at::kInt))
            * scales.index_select(0, index)
        + mean;
    at::Tensor bytes = codes.narrow(0, first, rows).to(at::kInt);
    at::Tensor both = at::stack({bytes.div(16, "floor"), bytes.remainder(16)}, 2).flatten();
    at::Tensor found = table.to(codes.device()).index_select(0, both).view({count, block});
    return (found * magnitudes.unsqueeze(1)).to(dtype).view({rows, columns});
}

at::Tensor multiply_nf4(
    const at::Tensor &x, const at::Tensor &codes, const at::Tensor &magnitude_codes, const at::Tensor &scales,
    const at::Tensor &mean, const at::Tensor &values, int64_t first, int64_t rows, const std::optional<at::Tensor> &bias,
    bool transposed, bool fused) {
    check_blocks(codes, magnitude_codes, scales, mean, values, first, rows);
    check_factor(x, transposed ? rows : 2 * codes.size(1));
    if (is_native(codes, x.scalar_type(), fused) && magnitude_codes.is_contiguous())
        return multiply(x, blocks4(codes, magnitude_codes, scales, mean, values, first, rows), bias, transposed);
    return multiply_whole(
        x, expand_nf4(codes, magnitude_codes, scales, mean, values, first, rows, x.scalar_type(), fused), bias,
        transposed);
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def("quantise_rows(Tensor x) -> (Tensor codes, Tensor scales)", engine::quantise_rows);
    library.def("quantise_nf4(Tensor x) -> (Tensor codes, Tensor magnitudes)", engine::quantise_nf4);
    library.def(
        "quantise_magnitudes(Tensor magnitudes, Tensor values) -> (Tensor codes, Tensor scales, Tensor mean)",
        engine::quantise_magnitudes);
    library.def(
        "expand_rows(Tensor codes, Tensor scales, ScalarType dtype, bool fused=True) -> Tensor", engine::expand_rows);
    library.def(
        "expand_nf4(Tensor codes, Tensor magnitude_codes, Tensor scales, Tensor mean, Tensor values, int first, "
        "int rows, ScalarType dtype, bool fused=True) -> Tensor",
        engine::expand_nf4);
    library.def(
        "multiply_rows(Tensor x, Tensor codes, Tensor scales, Tensor? bias, bool transposed, bool fused=True) -> Tensor",
        engine::multiply_rows);
    library.def(
        "multiply_nf4(Tensor x, Tensor codes, Tensor magnitude_codes, Tensor scales, Tensor mean, Tensor values, "
        "int first, int rows, Tensor? bias, bool transposed, bool fused=True) -> Tensor",
        engine::multiply_nf4);
}
