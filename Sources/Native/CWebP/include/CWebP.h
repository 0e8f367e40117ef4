/// The door to libwebp, every error as a value.
///
/// Buffers handed in stay the caller's. Functions return a `CascadeWebPStatus`; where it is not `CASCADE_WEBP_OK`, a
/// sentence stands in `error` (cut to `error_size`, always terminated).
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CASCADE_WEBP_OK = 0,
    CASCADE_WEBP_BROKEN = 1,     ///< not a WebP image, a damaged one, or an animation: a frame is given as a file
    CASCADE_WEBP_TOO_LARGE = 2,  ///< more pixels than the limit; nothing was allocated for them
    CASCADE_WEBP_FAILED = 3,     ///< no memory, or a buffer that does not fit the image
} CascadeWebPStatus;

/// Reads the size alone and holds it against `pixel_limit`.
CascadeWebPStatus cascade_webp_size(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, size_t *width, size_t *height, char *error,
    size_t error_size);

/// Decodes lossy or lossless WebP to interleaved RGBA, 4 bytes a pixel, rows top down.
/// `capacity` is the size of `rgba` in bytes, exactly width * height * 4.
CascadeWebPStatus cascade_webp_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgba, size_t capacity, char *error, size_t error_size);

/// Encodes interleaved RGB, 3 bytes a pixel, rows top down, lossy with `quality` 0...100.
/// `*out` is a new buffer of `*size` bytes, to be given to `cascade_webp_free`.
CascadeWebPStatus cascade_webp_encode(
    const uint8_t *rgb, size_t width, size_t height, int quality, uint8_t **out, size_t *size, char *error,
    size_t error_size);

void cascade_webp_free(uint8_t *bytes);
