/// The one boundary that C++ exceptions of OpenCV do not pass.
#pragma once
#include <cstdio>
#include <exception>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>

#include "status.h"

namespace cascade_cv {

inline void say(char *error, size_t error_size, const char *message) {
    if (error && error_size) std::snprintf(error, error_size, "%s", message);
}

/// The data loader's own threads are the parallelism; OpenCV's pool would only fight them for cores. What it writes on
/// standard error comes back as a message too.
inline void use_one_silent_thread() {
    static const bool done =
        (cv::setNumThreads(1), cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT), true);
    (void)done;
}

/// Runs what may throw.
template <typename Body>
CascadeCVStatus guarded(char *error, size_t error_size, Body body) {
    try {
        use_one_silent_thread();
        return body();
    } catch (const std::exception &thrown) {
        say(error, error_size, thrown.what());
    } catch (...) {
        say(error, error_size, "OpenCV threw something that is no exception");
    }
    return CASCADE_CV_FAILED;
}

}  // namespace cascade_cv
