#include "COpenCV.h"

#include <opencv2/imgproc.hpp>
#include <opencv2/saliency.hpp>

#include "guarded.hpp"

using cascade_cv::guarded;
using cascade_cv::say;

namespace {

CascadeCVStatus check_size(size_t height, size_t width, char *error, size_t error_size) {
    if (height > 0 && width > 0 && height <= 32767 && width <= 32767) return CASCADE_CV_OK;
    say(error, error_size, "an image for OpenCV has 1 to 32767 pixels a side");
    return CASCADE_CV_BAD_SIZE;
}

/// The points of `cascade_morph`'s element; 3 to 255 a side.
cv::Mat round_element(int side) {
    cv::Mat element(side, side, CV_8UC1);
    const auto squared_offset = [side](int index) {
        const double offset = double(index) / (side - 1) - 0.5;
        return offset * offset;
    };
    for (int row = 0; row < side; ++row)
        for (int column = 0; column < side; ++column)
            element.at<uint8_t>(row, column) = squared_offset(row) + squared_offset(column) < 0.3;
    return element;
}

constexpr int font = cv::FONT_HERSHEY_SIMPLEX;

}  // namespace

extern "C" CascadeCVStatus cascade_canny(
    const uint8_t *rgb, size_t height, size_t width, double low, double high, uint8_t *edges, char *error,
    size_t error_size) {
    const CascadeCVStatus size = check_size(height, width, error, error_size);
    if (size != CASCADE_CV_OK) return size;
    return guarded(error, error_size, [&] {
        // OpenCV takes no pointer to const, but leaves an input array as it is.
        const cv::Mat image(int(height), int(width), CV_8UC3, const_cast<uint8_t *>(rgb));
        cv::Mat found(int(height), int(width), CV_8UC1, edges);
        cv::Canny(image, found, low, high);
        if (found.data == edges) return CASCADE_CV_OK;
        say(error, error_size, "OpenCV did not write into the buffer it was given");
        return CASCADE_CV_FAILED;
    });
}

extern "C" CascadeCVStatus cascade_fine_grained_saliency(
    const uint8_t *rgb, size_t height, size_t width, float *map, char *error, size_t error_size) {
    const CascadeCVStatus size = check_size(height, width, error, error_size);
    if (size != CASCADE_CV_OK) return size;
    return guarded(error, error_size, [&] {
        const cv::Mat image(int(height), int(width), CV_8UC3, const_cast<uint8_t *>(rgb));
        cv::Mat ordered, found;
        cv::cvtColor(image, ordered, cv::COLOR_RGB2BGR);
        if (!cv::saliency::StaticSaliencyFineGrained::create()->computeSaliency(ordered, found) ||
            found.type() != CV_32FC1 || found.size() != image.size()) {
            say(error, error_size, "OpenCV gave no map of the image's size");
            return CASCADE_CV_FAILED;
        }
        found.copyTo(cv::Mat(int(height), int(width), CV_32FC1, map));
        return CASCADE_CV_OK;
    });
}

extern "C" CascadeCVStatus cascade_morph(
    const float *plane, size_t height, size_t width, size_t side, CascadeCVMorphology morphology, float *made,
    char *error, size_t error_size) {
    const CascadeCVStatus size = check_size(height, width, error, error_size);
    if (size != CASCADE_CV_OK) return size;
    if (side < 3 || side > 255) {
        say(error, error_size, "a round element has 3 to 255 points a side");
        return CASCADE_CV_BAD_SIZE;
    }
    return guarded(error, error_size, [&] {
        const cv::Mat from(int(height), int(width), CV_32FC1, const_cast<float *>(plane));
        cv::Mat to(int(height), int(width), CV_32FC1, made);
        const cv::Mat element = round_element(int(side));
        // Of the two middles of an even element a dilation takes the one, an erosion the other.
        const int half = int(side) / 2, other_half = (int(side) - 1) / 2;
        if (morphology == CASCADE_CV_EROSION)
            cv::erode(from, to, element, cv::Point(half, half));
        else
            cv::dilate(from, to, element, cv::Point(other_half, other_half));
        if (to.data == reinterpret_cast<uint8_t *>(made)) return CASCADE_CV_OK;
        say(error, error_size, "OpenCV did not write into the buffer it was given");
        return CASCADE_CV_FAILED;
    });
}

extern "C" CascadeCVStatus cascade_line_width(
    const char *text, double scale, size_t *width, char *error, size_t error_size) {
    return guarded(error, error_size, [&] {
        int baseline = 0;
        *width = size_t(cv::getTextSize(text, font, scale, 1, &baseline).width);
        return CASCADE_CV_OK;
    });
}

extern "C" CascadeCVStatus cascade_write_line(
    uint8_t *rgb, size_t height, size_t width, const char *text, size_t x, size_t y, double scale, char *error,
    size_t error_size) {
    const CascadeCVStatus size = check_size(height, width, error, error_size);
    if (size != CASCADE_CV_OK) return size;
    if (x >= width || y >= height) return CASCADE_CV_OK;
    return guarded(error, error_size, [&] {
        cv::Mat image(int(height), int(width), CV_8UC3, rgb);
        const int thickness = std::max(1, int(scale + 0.5));
        cv::putText(image, text, cv::Point(int(x), int(y)), font, scale, cv::Scalar(0, 0, 0), thickness, cv::LINE_AA);
        return CASCADE_CV_OK;
    });
}
