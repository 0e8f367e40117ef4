/// The door to ONNX Runtime: its C API, opened by name at run time, on the CPU and one thread for each call.
///
/// Any thread may call. Functions that can fail return 0, or 1 with a message in `error` (cut to `error_size`, always
/// closed by a zero byte). Buffers handed in stay the caller's.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Opens the library at a path, or under a name that the loader looks up. Once one is open, later calls do nothing and
/// return 0. It says nothing on standard error, and its telemetry is off.
int cascade_ort_load(const char *library, char *error, size_t error_size);

/// The version of the open library, such as "1.32.0"; null where none is open. The text belongs to the library.
const char *cascade_ort_version(void);

/// A network and what it needs to run, the caller's to close.
typedef struct CascadeORTSession CascadeORTSession;

/// Reads a network with one input of 32-bit numbers out of an ONNX file.
int cascade_ort_open(const char *path, CascadeORTSession **session, char *error, size_t error_size);

/// Null does nothing.
void cascade_ort_close(CascadeORTSession *session);

/// How many outputs the network has, and their names in the file's order; the texts belong to the session.
size_t cascade_ort_output_count(const CascadeORTSession *session);
const char *cascade_ort_output_name(const CascadeORTSession *session, size_t index);

#define CASCADE_ORT_MOST_DIMENSIONS 8

/// Numbers that a run made, the caller's to release.
typedef struct {
    const float *values;
    size_t dimensions;
    size_t shape[CASCADE_ORT_MOST_DIMENSIONS];
    void *owner;
} CascadeORTArray;

/// Runs the network on numbers of a shape. `outputs` names `count` of its outputs, whose numbers `made` takes in that
/// order; where the run fails there is nothing to release. Several threads may run one session.
int cascade_ort_run(
    CascadeORTSession *session, const float *input, const size_t *shape, size_t dimensions,
    const char *const *outputs, size_t count, CascadeORTArray *made, char *error, size_t error_size);

void cascade_ort_release(CascadeORTArray *made, size_t count);

#ifdef __cplusplus
}
#endif
