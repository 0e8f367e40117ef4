/// The door to libpng: 8-bit images in, 8-bit images out, every error as a value.
///
/// Buffers handed in stay the caller's. Functions return a `CascadePNGStatus`; where it is not `CASCADE_PNG_OK`, a
/// sentence stands in `error` (cut to `error_size`, always terminated).
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CASCADE_PNG_OK = 0,
    CASCADE_PNG_BROKEN = 1,     ///< not a PNG file, or a damaged one
    CASCADE_PNG_TOO_LARGE = 2,  ///< more pixels than the limit; nothing was allocated for them
    CASCADE_PNG_FAILED = 3,     ///< no memory, or a buffer that does not fit the image
} CascadePNGStatus;

/// Reads the size alone and holds it against `pixel_limit`.
CascadePNGStatus cascade_png_size(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, size_t *width, size_t *height, char *error,
    size_t error_size);

/// Decodes any PNG (grey, palette, 1 to 16 bits, interlaced) to interleaved RGBA, 4 bytes a pixel, rows top down.
/// `capacity` is the size of `rgba` in bytes, exactly width * height * 4. 16-bit samples are rounded to 8.
CascadePNGStatus cascade_png_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgba, size_t capacity, char *error, size_t error_size);

/// Encodes interleaved 8-bit RGB. On success `*out` belongs to the caller, who gives it to `cascade_png_free`.
CascadePNGStatus cascade_png_encode(
    const uint8_t *rgb, size_t width, size_t height, uint8_t **out, size_t *out_size, char *error,
    size_t error_size);

/// Frees what `cascade_png_encode` gave; NULL is fine.
void cascade_png_free(uint8_t *out);
