#include "COpenCV.h"

#include <cstdio>
#include <exception>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace {

void say(char *error, size_t error_size, const char *message) {
    if (error && error_size) std::snprintf(error, error_size, "%s", message);
}

/// The data loader's own threads are the parallelism; OpenCV's pool would only fight them for cores.
void use_one_thread() {
    static const bool done = (cv::setNumThreads(1), true);
    (void)done;
}

}  // namespace

extern "C" CascadeCVStatus cascade_canny(
    const uint8_t *rgb, size_t height, size_t width, double low, double high, uint8_t *edges, char *error,
    size_t error_size) {
    if (height == 0 || width == 0 || height > 32767 || width > 32767) {
        say(error, error_size, "a picture for Canny has 1 to 32767 pixels a side");
        return CASCADE_CV_BAD_SIZE;
    }
    try {
        use_one_thread();
        // OpenCV takes no pointer to const, but leaves an input array as it is.
        const cv::Mat picture(int(height), int(width), CV_8UC3, const_cast<uint8_t *>(rgb));
        cv::Mat found(int(height), int(width), CV_8UC1, edges);
        cv::Canny(picture, found, low, high);
        if (found.data != edges) {
            say(error, error_size, "OpenCV did not write into the buffer it was given");
            return CASCADE_CV_FAILED;
        }
        return CASCADE_CV_OK;
    } catch (const std::exception &thrown) {
        say(error, error_size, thrown.what());
    } catch (...) {
        say(error, error_size, "OpenCV threw something that is no exception");
    }
    return CASCADE_CV_FAILED;
}
