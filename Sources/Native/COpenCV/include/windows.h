/// Parts of images as networks take them. The conventions are those of COpenCV.h.
#pragma once
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/// An interleaved 8-bit RGB image, the caller's.
typedef struct {
    const uint8_t *rgb;
    size_t height;
    size_t width;
} CascadeCVImage;

typedef enum {
    CASCADE_CV_ROWS = 0,     ///< [height, width, 3]
    CASCADE_CV_COLUMNS = 1,  ///< [width, height, 3]
    CASCADE_CV_PLANES = 2,   ///< [3, height, width]
} CascadeCVOrder;

/// What becomes of 0...255 and in which order: (value - mean) * factor.
typedef struct {
    size_t height;
    size_t width;
    CascadeCVOrder order;
    float mean;
    float factor;
} CascadeCVBlob;

/// A window of an image, in pixels from its upper left corner; it may reach beyond the image, which is black there.
typedef struct {
    int64_t x;
    int64_t y;
    int64_t width;
    int64_t height;
} CascadeCVWindow;

typedef enum {
    CASCADE_CV_LINEAR = 0,  ///< between the four nearest pixels
    CASCADE_CV_AREA = 1,    ///< the mean over what a new pixel covers; as OpenCV's INTER_AREA where it grows
} CascadeCVResizing;

/// A window brought to a blob's size, its pixels rounded to bytes before they are scaled. `made` takes height * width * 3 numbers.
CascadeCVStatus cascade_window(
    CascadeCVImage image, CascadeCVWindow window, CascadeCVResizing resizing, CascadeCVBlob blob, float *made,
    char *error, size_t error_size);

/// An image turned, scaled and moved: place (x, y) of it comes to (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]).
/// Between pixels it is linear, outside black; rounded as a window is. `made` takes height * width * 3 numbers.
CascadeCVStatus cascade_warp(
    CascadeCVImage image, const double m[6], CascadeCVBlob blob, float *made, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
