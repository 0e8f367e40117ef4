/// Networks that OpenCV's dnn module runs: ONNX, TensorFlow and Caffe files.
///
/// A network is used by one thread at a time. The conventions are those of COpenCV.h.
#pragma once
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct CascadeCVNetwork CascadeCVNetwork;

typedef enum {
    CASCADE_CV_ONNX = 0,
    CASCADE_CV_TENSORFLOW = 1,  ///< a frozen graph
    CASCADE_CV_CAFFE = 2,       ///< weights, with a description (prototxt) beside them
} CascadeCVNetworkFormat;

/// Reads a network out of memory, which is copied. `description` is Caffe's prototxt, else null and 0 long.
/// The network is the caller's, to close.
CascadeCVStatus cascade_network_open(
    CascadeCVNetworkFormat format, const uint8_t *file, size_t file_size, const uint8_t *description,
    size_t description_size, CascadeCVNetwork **network, char *error, size_t error_size);

/// Null does nothing.
void cascade_network_close(CascadeCVNetwork *network);

#define CASCADE_CV_MOST_DIMENSIONS 8

/// Numbers that the network owns, until it runs again or is closed.
typedef struct {
    const float *values;
    size_t dimensions;
    size_t shape[CASCADE_CV_MOST_DIMENSIONS];
} CascadeCVArray;

/// Runs a network with one input, of 1 to 8 dimensions and below 2^31 numbers. `outputs` names `count` layers, whose
/// results `made` takes in that order.
CascadeCVStatus cascade_network_run(
    CascadeCVNetwork *network, const float *input, const size_t *shape, size_t dimensions, const char *const *outputs,
    size_t count, CascadeCVArray *made, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif
