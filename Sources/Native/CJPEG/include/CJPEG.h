/// The door to libjpeg-turbo: 8-bit images in, 8-bit RGB out, every error as a value.
///
/// Buffers handed in stay the caller's. Functions return a `CascadeJPEGStatus`; where it is not `CASCADE_JPEG_OK`, a
/// sentence stands in `error` (cut to `error_size`, always terminated).
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CASCADE_JPEG_OK = 0,
    CASCADE_JPEG_BROKEN = 1,     ///< not a JPEG file, or a damaged one
    CASCADE_JPEG_TOO_LARGE = 2,  ///< more pixels than the limit; nothing was allocated for them
    CASCADE_JPEG_FAILED = 3,     ///< no memory, or a buffer that does not fit the image
} CascadeJPEGStatus;

/// Reads the size alone, as stored (before any EXIF rotation), and holds it against `pixel_limit`.
CascadeJPEGStatus cascade_jpeg_size(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, size_t *width, size_t *height, char *error,
    size_t error_size);

/// Decodes baseline or progressive JPEG (grey, YCbCr, RGB, CMYK, YCCK) to interleaved RGB, rows top down.
/// Sides are `eighths` / 8 of the stored ones, rounded up: 8 for all there is; 4, 2 and 1 skip the frequencies that
/// finer pixels would need. `capacity` is the size of `rgb` in bytes, exactly width * height * 3 of those sides. CMYK counts as inverted, as Adobe writes it.
/// Data that ends early or is corrupt is `CASCADE_JPEG_BROKEN`, where libjpeg alone would warn and paint grey.
CascadeJPEGStatus cascade_jpeg_decode(
    const uint8_t *bytes, size_t count, unsigned eighths, uint8_t *rgb, size_t capacity, char *error,
    size_t error_size);

/// Encodes interleaved 8-bit RGB with quality 1...100, chroma halved both ways. On success `*out` belongs to the
/// caller, who gives it to `cascade_jpeg_free`.
CascadeJPEGStatus cascade_jpeg_encode(
    const uint8_t *rgb, size_t width, size_t height, int quality, uint8_t **out, size_t *out_size, char *error,
    size_t error_size);

/// Frees what `cascade_jpeg_encode` gave; NULL is fine.
void cascade_jpeg_free(uint8_t *out);
