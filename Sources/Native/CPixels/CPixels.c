#include "CPixels.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

typedef float Floats4 __attribute__((vector_size(16)));
typedef float Floats8 __attribute__((vector_size(32)));
typedef int32_t Bits4 __attribute__((vector_size(16)));
typedef uint8_t Bytes4 __attribute__((vector_size(4)));
typedef uint8_t Bytes8 __attribute__((vector_size(8)));

/// sum[i] (+)= the sum over `taps` rows of weight times sample, eight samples at a time; `taps` is a constant where
/// this is inlined.
INLINE void mix(
    const uint8_t *restrict rows, size_t stride, const float *restrict weights, size_t taps, int adds, size_t count,
    float *restrict sum) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        Floats8 value = {0};
        if (adds) memcpy(&value, sum + i, sizeof value);
        for (size_t t = 0; t < taps; t++) {
            Bytes8 samples;
            memcpy(&samples, rows + t * stride + i, sizeof samples);
            value += weights[t] * __builtin_convertvector(samples, Floats8);
        }
        memcpy(sum + i, &value, sizeof value);
    }
    for (; i < count; i++) {
        float value = adds ? sum[i] : 0;
        for (size_t t = 0; t < taps; t++) value += weights[t] * (float)rows[t * stride + i];
        sum[i] = value;
    }
}

INLINE void mix_rows(
    const uint8_t *rows, size_t stride, const float *weights, size_t taps, size_t count, float *sum) {
    int adds = 0;
    for (; taps > 4; taps -= 4, rows += 4 * stride, weights += 4, adds = 1) {
        if (adds) mix(rows, stride, weights, 4, 1, count, sum);
        else mix(rows, stride, weights, 4, 0, count, sum);
    }
    if (adds) {
        for (; taps > 0; taps--, rows += stride, weights++) mix(rows, stride, weights, 1, 1, count, sum);
        return;
    }
    switch (taps) {
    case 1: mix(rows, stride, weights, 1, 0, count, sum); break;
    case 2: mix(rows, stride, weights, 2, 0, count, sum); break;
    case 3: mix(rows, stride, weights, 3, 0, count, sum); break;
    default: mix(rows, stride, weights, 4, 0, count, sum); break;
    }
}

/// Below 2^23 a float's last bit is worth 1 or less, so that adding 2^23 rounds to whole numbers, which then stand in
/// the low bits.
INLINE Bytes4 rounded(Floats4 pixel) {
    return __builtin_convertvector((Bits4)(pixel + 0x1p23f), Bytes4);
}

/// The new pixel whose old ones begin at `source`, in its first three bytes.
INLINE Bytes4 mix_pixels(const float *source, const float *weights, size_t taps) {
    Floats4 sum = {0};
    for (size_t t = 0; t < taps; t++) {
        Floats4 pixel;
        memcpy(&pixel, source + t * 3, sizeof pixel);
        sum += weights[t] * pixel;
    }
    return rounded(sum);
}

/// One row [columns, 3] of floats, and one float of padding, to one row [across.count, 3] of bytes. Every pixel but the
/// last is written with a fourth byte, which the next one covers.
INLINE void mix_columns(const float *restrict row, CascadeAxis across, size_t taps, uint8_t *restrict out) {
    size_t last = across.count - 1;
    for (size_t x = 0; x < last; x++) {
        Bytes4 pixel = mix_pixels(row + (size_t)across.firsts[x] * 3, across.weights + x * taps, taps);
        memcpy(out + x * 3, &pixel, 4);
    }
    Bytes4 pixel = mix_pixels(row + (size_t)across.firsts[last] * 3, across.weights + last * taps, taps);
    memcpy(out + last * 3, &pixel, 3);
}

INLINE void resize_rgb(
    const uint8_t *pixels, size_t columns, size_t stride, CascadeAxis across, CascadeAxis down, float *row,
    uint8_t *out) {
    row[columns * 3] = 0;
    for (size_t y = 0; y < down.count; y++, out += across.count * 3) {
        mix_rows(
            pixels + (size_t)down.firsts[y] * stride, stride, down.weights + y * down.taps, down.taps, columns * 3,
            row);
        switch (across.taps) {
        case 1: mix_columns(row, across, 1, out); break;
        case 2: mix_columns(row, across, 2, out); break;
        case 3: mix_columns(row, across, 3, out); break;
        case 4: mix_columns(row, across, 4, out); break;
        case 5: mix_columns(row, across, 5, out); break;
        default: mix_columns(row, across, across.taps, out); break;
        }
    }
}

INLINE void resize_plane(
    const float *restrict plane, size_t columns, CascadeAxis across, CascadeAxis down, float *restrict row,
    float *restrict out) {
    for (size_t y = 0; y < down.count; y++, out += across.count) {
        const float *source = plane + (size_t)down.firsts[y] * columns, *weights = down.weights + y * down.taps;
        for (size_t i = 0; i < columns; i++) row[i] = weights[0] * source[i];
        for (size_t t = 1; t < down.taps; t++)
            for (size_t i = 0; i < columns; i++) row[i] += weights[t] * source[t * columns + i];
        for (size_t x = 0; x < across.count; x++) {
            float sum = 0;
            for (size_t t = 0; t < across.taps; t++)
                sum += across.weights[x * across.taps + t] * row[(size_t)across.firsts[x] + t];
            out[x] = sum;
        }
    }
}

/// One row of a plane along `across`, of one or two taps.
INLINE void interpolate_row(const float *restrict source, CascadeAxis across, float *restrict out) {
    const int32_t *firsts = across.firsts;
    if (across.taps == 1) {
        for (size_t x = 0; x < across.count; x++) out[x] = source[firsts[x]];
        return;
    }
    for (size_t x = 0; x < across.count; x++)
        out[x] = across.weights[2 * x] * source[firsts[x]] + across.weights[2 * x + 1] * source[firsts[x] + 1];
}

INLINE void interpolate_plane(
    const float *plane, size_t columns, CascadeAxis across, CascadeAxis down, float *rows, float *restrict out) {
    size_t count = across.count;
    if (down.taps == 1) {
        for (size_t y = 0; y < down.count; y++, out += count) {
            if (y > 0 && down.firsts[y] == down.firsts[y - 1]) memcpy(out, out - count, count * sizeof *out);
            else interpolate_row(plane + (size_t)down.firsts[y] * columns, across, out);
        }
        return;
    }
    // Two old rows along `across`, and which of them they are: a new row mostly needs those of the one before it.
    float *upper = rows, *lower = rows + count;
    int32_t above = -1, below = -1;
    for (size_t y = 0; y < down.count; y++, out += count) {
        int32_t first = down.firsts[y];
        if (first != above && first == below) {
            float *spare = upper;
            upper = lower, lower = spare, above = below, below = -1;
        }
        if (first != above) interpolate_row(plane + (size_t)first * columns, across, upper), above = first;
        if (first + 1 != below) interpolate_row(plane + (size_t)(first + 1) * columns, across, lower), below = first + 1;
        const float *restrict one = upper, *restrict other = lower;
        float weight = down.weights[2 * y], rest = down.weights[2 * y + 1];
        for (size_t x = 0; x < count; x++) out[x] = weight * one[x] + rest * other[x];
    }
}

/// Defines cascade_NAME, which runs NAME compiled for AVX2 and FMA where the processor has both.
#ifdef __x86_64__
#define DISPATCHED(name, parameters, arguments)                                                       \
    __attribute__((target("avx2,fma"))) static void name##_avx2 parameters { name arguments; }        \
    void cascade_##name parameters {                                                                  \
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) name##_avx2 arguments;   \
        else name arguments;                                                                          \
    }
#else
#define DISPATCHED(name, parameters, arguments) \
    void cascade_##name parameters { name arguments; }
#endif

DISPATCHED(
    resize_rgb,
    (const uint8_t *pixels, size_t columns, size_t stride, CascadeAxis across, CascadeAxis down, float *row,
     uint8_t *out),
    (pixels, columns, stride, across, down, row, out))
DISPATCHED(
    resize_plane,
    (const float *plane, size_t columns, CascadeAxis across, CascadeAxis down, float *row, float *out),
    (plane, columns, across, down, row, out))
DISPATCHED(
    interpolate_plane,
    (const float *plane, size_t columns, CascadeAxis across, CascadeAxis down, float *rows, float *out),
    (plane, columns, across, down, rows, out))

void cascade_planes_from_rgb(const uint8_t *restrict pixels, size_t count, float *restrict planes) {
    // Each quotient once: a division for every sample would cost more than looking it up.
    float value[256];
    for (int byte = 0; byte < 256; byte++) value[byte] = (float)byte / 255;
    float *red = planes, *green = planes + count, *blue = planes + 2 * count;
    for (size_t i = 0; i < count; i++) {
        red[i] = value[pixels[i * 3]];
        green[i] = value[pixels[i * 3 + 1]];
        blue[i] = value[pixels[i * 3 + 2]];
    }
}

void cascade_plane_from_bytes(const uint8_t *restrict bytes, size_t count, float *restrict plane) {
    for (size_t i = 0; i < count; i++) plane[i] = (float)bytes[i] / 255;
}

static inline uint8_t cut_to_byte(float value) {
    value *= 255;
    // Compared this way round, what is not a number fails both and is 0.
    return value >= 255 ? 255 : value > 0 ? (uint8_t)value : 0;
}

void cascade_rgb_from_planes(const float *restrict planes, size_t count, uint8_t *restrict rgb) {
    const float *red = planes, *green = planes + count, *blue = planes + 2 * count;
    for (size_t i = 0; i < count; i++) {
        rgb[i * 3] = cut_to_byte(red[i]);
        rgb[i * 3 + 1] = cut_to_byte(green[i]);
        rgb[i * 3 + 2] = cut_to_byte(blue[i]);
    }
}

void cascade_rgb_over_white(const uint8_t *rgba, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++) {
        unsigned alpha = rgba[i * 4 + 3], white = 255 * (255 - alpha) + 127;
        for (size_t channel = 0; channel < 3; channel++)
            rgb[i * 3 + channel] = (uint8_t)((rgba[i * 4 + channel] * alpha + white) / 255);
    }
}

void cascade_turn_rgb(
    const uint8_t *restrict pixels, size_t columns, size_t rows, ptrdiff_t origin, ptrdiff_t across, ptrdiff_t down,
    uint8_t *restrict out) {
    enum { block = 16 };
    for (size_t top = 0; top < rows; top += block) {
        size_t bottom = rows - top < block ? rows : top + block;
        for (size_t x = 0; x < columns; x++)
            for (size_t y = top; y < bottom; y++)
                memcpy(
                    out + (y * columns + x) * 3,
                    pixels + (origin + (ptrdiff_t)x * across + (ptrdiff_t)y * down) * 3, 3);
    }
}
