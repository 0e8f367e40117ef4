#include "network.h"

#include <string>
#include <vector>

#include <opencv2/dnn.hpp>

#include "guarded.hpp"

using cascade_cv::guarded;
using cascade_cv::say;

struct CascadeCVNetwork {
    cv::dnn::Net net;
    /// The last run's results: what `CascadeCVArray` points into.
    std::vector<cv::Mat> made;
};

namespace {

cv::dnn::Net read(
    CascadeCVNetworkFormat format, const char *file, size_t size, const char *description, size_t description_size) {
    switch (format) {
        case CASCADE_CV_ONNX: return cv::dnn::readNetFromONNX(file, size);
        case CASCADE_CV_TENSORFLOW: return cv::dnn::readNetFromTensorflow(file, size);
        case CASCADE_CV_CAFFE: return cv::dnn::readNetFromCaffe(description, description_size, file, size);
    }
    return cv::dnn::Net();
}

}  // namespace

extern "C" CascadeCVStatus cascade_network_open(
    CascadeCVNetworkFormat format, const uint8_t *file, size_t file_size, const uint8_t *description,
    size_t description_size, CascadeCVNetwork **network, char *error, size_t error_size) {
    *network = nullptr;
    return guarded(error, error_size, [&] {
        cv::dnn::Net net = read(
            format, reinterpret_cast<const char *>(file), file_size, reinterpret_cast<const char *>(description),
            description_size);
        if (net.empty()) {
            say(error, error_size, "the file holds no layers");
            return CASCADE_CV_FAILED;
        }
        net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
        net.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
        *network = new CascadeCVNetwork{net, {}};
        return CASCADE_CV_OK;
    });
}

extern "C" void cascade_network_close(CascadeCVNetwork *network) { delete network; }

extern "C" CascadeCVStatus cascade_network_run(
    CascadeCVNetwork *network, const float *input, const size_t *shape, size_t dimensions, const char *const *outputs,
    size_t count, CascadeCVArray *made, char *error, size_t error_size) {
    std::vector<int> sizes;
    size_t total = 1;
    const bool has_rank = dimensions >= 1 && dimensions <= CASCADE_CV_MOST_DIMENSIONS;
    for (size_t index = 0; has_rank && index < dimensions; ++index) {
        if (shape[index] == 0 || shape[index] > size_t(INT32_MAX) / total) break;
        total *= shape[index];
        sizes.push_back(int(shape[index]));
    }
    if (!has_rank || sizes.size() != dimensions) {
        say(error, error_size, "a network of OpenCV takes 1 to 8 dimensions and 1 to 2^31 - 1 numbers");
        return CASCADE_CV_BAD_SIZE;
    }
    return guarded(error, error_size, [&] {
        // OpenCV takes no pointer to const, but leaves an input array as it is.
        network->net.setInput(cv::Mat(sizes, CV_32F, const_cast<float *>(input)));
        const std::vector<cv::String> names(outputs, outputs + count);
        network->made.clear();
        network->net.forward(network->made, names);
        if (network->made.size() != count) {
            say(error, error_size, "the network made another number of results than was asked for");
            return CASCADE_CV_FAILED;
        }
        for (size_t index = 0; index < count; ++index) {
            cv::Mat &result = network->made[index];
            if (result.type() != CV_32F || result.dims > CASCADE_CV_MOST_DIMENSIONS) {
                say(error, error_size, "the network made something that is no array of 32-bit numbers");
                return CASCADE_CV_FAILED;
            }
            // OpenCV may hand out the memory of its layers, which the next run writes over; and parts of larger ones.
            result = result.clone();
            made[index] = {result.ptr<float>(), size_t(result.dims), {}};
            for (int axis = 0; axis < result.dims; ++axis) made[index].shape[axis] = size_t(result.size[axis]);
        }
        return CASCADE_CV_OK;
    });
}
