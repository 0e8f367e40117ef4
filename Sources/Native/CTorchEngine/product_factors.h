// What products of tiles read and write, whatever their numbers.
#pragma once

#include <cstdint>

namespace engine {

/// Rows of a tile of the output.
constexpr int64_t tile_rows = 6;

/// Two factors of a tile, whose numbers are taken step by step along what is summed: one of each row and column, or a pair of them.
/// The left one lies anywhere; of the right one a step's columns lie together, padded to whole vectors. Strides count numbers.
template <typename Number>
struct Factors {
    const Number *left;
    int64_t left_row, left_step;
    const Number *right;
    int64_t right_step;
    int64_t steps;

    Factors from_row(int64_t row) const {
        Factors x = *this;
        x.left += row * left_row;
        return x;
    }
};

/// Where a tile's sums go.
template <typename Out>
struct Target {
    Out *out;
    int64_t stride;
    /// At most those of a panel.
    int64_t columns;
    /// What the sums are added to, with a stride of its own; or null.
    const float *before;
    int64_t before_stride;
    /// A row that is added, padded to whole vectors; or null.
    const float *bias;

    Target from_row(int64_t row) const {
        Target to = *this;
        to.out += row * stride;
        if (before != nullptr) to.before += row * before_stride;
        return to;
    }
};

inline int64_t parts_of(int64_t count, int64_t most) { return (count + most - 1) / most; }

inline int64_t whole(int64_t count, int64_t side) { return parts_of(count, side) * side; }

}  // namespace engine
