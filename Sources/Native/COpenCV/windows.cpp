#include "windows.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <opencv2/imgproc.hpp>

#include "guarded.hpp"

using cascade_cv::guarded;
using cascade_cv::say;

namespace {

constexpr int64_t longest_side = 32767;

CascadeCVStatus check_sizes(const CascadeCVImage &image, const CascadeCVBlob &blob, char *error, size_t size) {
    for (const size_t side : {image.height, image.width, blob.height, blob.width}) {
        if (side == 0 || side > size_t(longest_side)) {
            say(error, size, "an image for OpenCV has 1 to 32767 pixels a side");
            return CASCADE_CV_BAD_SIZE;
        }
    }
    return CASCADE_CV_OK;
}

// OpenCV takes no pointer to const, but leaves an input array as it is.
cv::Mat pixels(const CascadeCVImage &image) {
    return cv::Mat(int(image.height), int(image.width), CV_8UC3, const_cast<uint8_t *>(image.rgb));
}

/// Orders and scales the pixels of a blob's size.
void fill(const cv::Mat &sized, const CascadeCVBlob &blob, float *made) {
    cv::Mat scaled;
    sized.convertTo(scaled, CV_32FC3, blob.factor, -double(blob.mean) * blob.factor);
    const int height = int(blob.height), width = int(blob.width);
    switch (blob.order) {
        case CASCADE_CV_ROWS: scaled.copyTo(cv::Mat(height, width, CV_32FC3, made)); break;
        case CASCADE_CV_COLUMNS: cv::transpose(scaled, cv::Mat(width, height, CV_32FC3, made)); break;
        case CASCADE_CV_PLANES: {
            std::vector<cv::Mat> planes;
            for (int plane = 0; plane < 3; ++plane)
                planes.emplace_back(height, width, CV_32FC1, made + size_t(plane) * blob.height * blob.width);
            cv::split(scaled, planes);
        }
    }
}

/// A window with the black that it reaches into.
cv::Mat cut(const CascadeCVImage &image, const CascadeCVWindow &window) {
    const cv::Rect wanted(int(window.x), int(window.y), int(window.width), int(window.height));
    const cv::Rect there = wanted & cv::Rect(0, 0, int(image.width), int(image.height));
    const cv::Mat whole = pixels(image);
    if (there == wanted) return whole(wanted);
    cv::Mat framed = cv::Mat::zeros(wanted.size(), CV_8UC3);
    if (!there.empty()) whole(there).copyTo(framed(there - wanted.tl()));
    return framed;
}

}  // namespace

extern "C" CascadeCVStatus cascade_window(
    CascadeCVImage image, CascadeCVWindow window, CascadeCVResizing resizing, CascadeCVBlob blob, float *made,
    char *error, size_t error_size) {
    const CascadeCVStatus sizes = check_sizes(image, blob, error, error_size);
    if (sizes != CASCADE_CV_OK) return sizes;
    if (window.width < 1 || window.height < 1 || std::max(window.width, window.height) > longest_side ||
        std::max(std::abs(window.x), std::abs(window.y)) > longest_side) {
        say(error, error_size, "a window has 1 to 32767 pixels a side and begins at most as many from the image");
        return CASCADE_CV_BAD_SIZE;
    }
    return guarded(error, error_size, [&] {
        cv::Mat sized;
        const int method = resizing == CASCADE_CV_AREA ? cv::INTER_AREA : cv::INTER_LINEAR;
        cv::resize(cut(image, window), sized, cv::Size(int(blob.width), int(blob.height)), 0, 0, method);
        fill(sized, blob, made);
        return CASCADE_CV_OK;
    });
}

extern "C" CascadeCVStatus cascade_warp(
    CascadeCVImage image, const double m[6], CascadeCVBlob blob, float *made, char *error, size_t error_size) {
    const CascadeCVStatus sizes = check_sizes(image, blob, error, error_size);
    if (sizes != CASCADE_CV_OK) return sizes;
    return guarded(error, error_size, [&] {
        const cv::Mat matrix(2, 3, CV_64FC1, const_cast<double *>(m));
        cv::Mat warped;
        cv::warpAffine(pixels(image), warped, matrix, cv::Size(int(blob.width), int(blob.height)), cv::INTER_LINEAR);
        fill(warped, blob, made);
        return CASCADE_CV_OK;
    });
}
