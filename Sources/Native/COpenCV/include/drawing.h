/// Filled shapes on interleaved 8-bit RGB images, without antialiasing; what lies outside an image is left out.
///
/// The conventions are those of COpenCV.h.
#pragma once
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint8_t red, green, blue;
} CascadeCVColor;

typedef struct {
    int x, y;                      ///< the middle, in pixels
    int half_length, half_width;  ///< in pixels, 0 to 32767
    int angle;                    ///< of the long axis, in degrees from the row towards the next one
} CascadeCVEllipse;

/// Fills an ellipse as `cv2.fillConvexPoly` fills the points of `cv2.ellipse2Poly` with a step of one degree.
CascadeCVStatus cascade_fill_ellipse(
    uint8_t *rgb, size_t height, size_t width, CascadeCVEllipse ellipse, CascadeCVColor color, char *error,
    size_t error_size);

/// Fills a circle of 0 to 32767 pixels' radius as `cv2.circle` of the thickness -1 does.
CascadeCVStatus cascade_fill_circle(
    uint8_t *rgb, size_t height, size_t width, int x, int y, int radius, CascadeCVColor color, char *error,
    size_t error_size);

#ifdef __cplusplus
}
#endif
