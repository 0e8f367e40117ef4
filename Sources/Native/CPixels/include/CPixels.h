/// The loops over samples that decide how fast images are made ready: plain C that a compiler turns into vector
/// instructions, twice for x86-64 (AVX2 with FMA where the processor has them, told when it runs), once elsewhere.
///
/// Nothing here can fail or allocates. All buffers are the caller's and, where nothing else is said, do not overlap.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// How one axis of an image becomes another: new sample i is the sum of `weights[i * taps + t]` times old sample
/// `firsts[i] + t` over t in 0..<taps. What lies beyond the axis is never drawn on.
typedef struct {
    size_t count;          ///< new samples
    size_t taps;           ///< old samples that each draws on, those of weight 0 at its end included
    const int32_t *firsts; ///< [count], never falling
    const float *weights;  ///< [count, taps]
} CascadeAxis;

/// Resizes interleaved 8-bit RGB: `pixels` [rows, columns, 3], whose rows are `stride` bytes apart, becomes `out`
/// [down.count, across.count, 3]. Sums stay in float, are rounded to nearest (halves to even) and must lie in 0...255,
/// as those of weights do that are not negative and add up to 1. `row` is scratch for columns * 3 + 1 floats.
void cascade_resize_rgb(
    const uint8_t *pixels, size_t columns, size_t stride, CascadeAxis across, CascadeAxis down, float *row,
    uint8_t *out);

/// Resizes one plane of floats: `plane` [rows, columns] becomes `out` [down.count, across.count]. `row` is scratch for
/// `columns` floats.
void cascade_resize_plane(
    const float *plane, size_t columns, CascadeAxis across, CascadeAxis down, float *row, float *out);

/// Resizes one plane of floats without averaging: both axes have one tap, whose weight is not looked at, or two. `plane`
/// [rows, columns] becomes `out` [down.count, across.count]. `rows` is scratch for 2 * across.count floats.
void cascade_interpolate_plane(
    const float *plane, size_t columns, CascadeAxis across, CascadeAxis down, float *rows, float *out);

/// Bytes as numbers in 0...1: value / 255.
void cascade_plane_from_bytes(const uint8_t *bytes, size_t count, float *plane);

/// Interleaved 8-bit RGB `pixels` [count, 3] as planes of 0...1, `planes` [3, count]: value / 255.
void cascade_planes_from_rgb(const uint8_t *pixels, size_t count, float *planes);

/// Planes of 0...1, `planes` [3, count], as interleaved 8-bit RGB `rgb` [count, 3]: value * 255, cut to a whole number
/// as a cast in numpy does, and limited to 0...255. What is not a number becomes 0.
void cascade_rgb_from_planes(const float *planes, size_t count, uint8_t *rgb);

/// RGBA [count, 4] laid over white, RGB [count, 3]: rounded to nearest. `rgb` may be `rgba`.
void cascade_rgb_over_white(const uint8_t *rgba, size_t count, uint8_t *rgb);

/// Interleaved 8-bit RGB in another order: `out` [rows, columns, 3], whose pixel (x, y) is pixel number
/// origin + x * across + y * down of `pixels`. In blocks of rows, so that an image laid on its side stays in cache.
void cascade_turn_rgb(
    const uint8_t *pixels, size_t columns, size_t rows, ptrdiff_t origin, ptrdiff_t across, ptrdiff_t down,
    uint8_t *out);
