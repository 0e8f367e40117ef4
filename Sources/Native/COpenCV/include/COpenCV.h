/// The door to OpenCV's image processing and drawing, one thread, every C++ exception as a value.
///
/// Buffers handed in stay the caller's. Functions return a `CascadeCVStatus`; where it is not `CASCADE_CV_OK`, a
/// sentence stands in `error` (cut to `error_size`, always terminated).
#pragma once
#include "drawing.h"
#include "network.h"
#include "status.h"
#include "windows.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Canny's edges of an interleaved 8-bit RGB image, as `cv2.Canny(image, low, high)` finds them on a colour array:
/// Sobel aperture 3, L1 gradient, the channel with the steepest gradient. `edges` takes height * width bytes, 0 or 255.
CascadeCVStatus cascade_canny(
    const uint8_t *rgb, size_t height, size_t width, double low, double high, uint8_t *edges, char *error,
    size_t error_size);

/// The fine-grained static saliency of an interleaved 8-bit RGB image, as OpenCV's `StaticSaliencyFineGrained` makes
/// it of the same in BGR. `map` takes height * width numbers, 0 to 1.
CascadeCVStatus cascade_fine_grained_saliency(
    const uint8_t *rgb, size_t height, size_t width, float *map, char *error, size_t error_size);

typedef enum {
    CASCADE_CV_DILATION = 0,  ///< the largest number below the element
    CASCADE_CV_EROSION = 1,   ///< the smallest
} CascadeCVMorphology;

/// Dilates or erodes a plane of numbers by a round element: of `side` * `side` points in a square of side 1 those less
/// than sqrt(0.3) from its middle; from 3 on it has any. Its anchor lies, and outside the plane counts, as in kornia
/// 0.9: at `side / 2` in an erosion, at `(side - 1) / 2` in a dilation, and not at all. `made` takes height * width
/// numbers and is not `plane`.
CascadeCVStatus cascade_morph(
    const float *plane, size_t height, size_t width, size_t side, CascadeCVMorphology morphology, float *made,
    char *error, size_t error_size);

/// The width in pixels of a line of ASCII as `cascade_write_line` writes it.
CascadeCVStatus cascade_line_width(const char *text, double scale, size_t *width, char *error, size_t error_size);

/// Writes a line of ASCII in black on an interleaved 8-bit RGB image, in OpenCV's sans-serif font, capitals 21 *
/// `scale` pixels high, beginning at column `x` with its feet in row `y`. What lies outside the image is left out.
CascadeCVStatus cascade_write_line(
    uint8_t *rgb, size_t height, size_t width, const char *text, size_t x, size_t y, double scale, char *error,
    size_t error_size);

#ifdef __cplusplus
}
#endif
