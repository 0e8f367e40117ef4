#include "drawing.h"

#include <vector>

#include <opencv2/imgproc.hpp>

#include "guarded.hpp"

using cascade_cv::guarded;
using cascade_cv::say;

namespace {

constexpr int longest = 32767;

bool is_length(int pixels) { return pixels >= 0 && pixels <= longest; }

/// Whether a shape and the image can be handed to OpenCV, whose own arithmetic of places is not checked.
CascadeCVStatus check(
    size_t height, size_t width, int x, int y, bool has_size, char *error, size_t error_size) {
    const bool is_image = height > 0 && width > 0 && height <= size_t(longest) && width <= size_t(longest);
    const bool is_near = x >= -longest && y >= -longest && x <= 2 * longest && y <= 2 * longest;
    if (is_image && is_near && has_size) return CASCADE_CV_OK;
    say(error, error_size, "an image for OpenCV has 1 to 32767 pixels a side, and a shape in it no more");
    return CASCADE_CV_BAD_SIZE;
}

cv::Scalar scalar(CascadeCVColor color) { return cv::Scalar(color.red, color.green, color.blue); }

}  // namespace

extern "C" CascadeCVStatus cascade_fill_ellipse(
    uint8_t *rgb, size_t height, size_t width, CascadeCVEllipse ellipse, CascadeCVColor color, char *error,
    size_t error_size) {
    const bool has_size = is_length(ellipse.half_length) && is_length(ellipse.half_width);
    const CascadeCVStatus size = check(height, width, ellipse.x, ellipse.y, has_size, error, error_size);
    if (size != CASCADE_CV_OK) return size;
    return guarded(error, error_size, [&] {
        cv::Mat image(int(height), int(width), CV_8UC3, rgb);
        std::vector<cv::Point> outline;
        cv::ellipse2Poly(
            cv::Point(ellipse.x, ellipse.y), cv::Size(ellipse.half_length, ellipse.half_width), ellipse.angle % 360, 0,
            360, 1, outline);
        cv::fillConvexPoly(image, outline, scalar(color));
        return CASCADE_CV_OK;
    });
}

extern "C" CascadeCVStatus cascade_fill_circle(
    uint8_t *rgb, size_t height, size_t width, int x, int y, int radius, CascadeCVColor color, char *error,
    size_t error_size) {
    const CascadeCVStatus size = check(height, width, x, y, is_length(radius), error, error_size);
    if (size != CASCADE_CV_OK) return size;
    return guarded(error, error_size, [&] {
        cv::Mat image(int(height), int(width), CV_8UC3, rgb);
        cv::circle(image, cv::Point(x, y), radius, scalar(color), cv::FILLED);
        return CASCADE_CV_OK;
    });
}
