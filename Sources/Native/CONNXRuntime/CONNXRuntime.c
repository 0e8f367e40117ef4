#include "CONNXRuntime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is used of ONNX Runtime's C API: one table of functions, which only ever grows at its end. Each stands at the
// same place in every version since the first (onnxruntime_c_api.h, 1.0 to 1.32). A status is null where all went well.
typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtOptions OrtOptions;
typedef struct OrtSession OrtSession;
typedef struct OrtValue OrtValue;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtShapeInfo OrtShapeInfo;

enum { LOG_FATAL = 4, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0, TYPE_FLOAT = 1, FIRST_API = 1 };

typedef struct {
    const void *const *(*get_api)(uint32_t version);
    const char *(*version)(void);
} OrtBase;

static struct {
    const char *(*message)(const OrtStatus *);
    OrtStatus *(*create_env)(int severity, const char *log_name, OrtEnv **);
    OrtStatus *(*disable_telemetry)(const OrtEnv *);
    OrtStatus *(*create_session)(const OrtEnv *, const char *path, const OrtOptions *, OrtSession **);
    OrtStatus *(*run)(
        OrtSession *, const void *run_options, const char *const *inputs, const OrtValue *const *values,
        size_t input_count, const char *const *outputs, size_t output_count, OrtValue **made);
    OrtStatus *(*create_options)(OrtOptions **);
    OrtStatus *(*set_severity)(OrtOptions *, int);
    OrtStatus *(*set_threads_within)(OrtOptions *, int);
    OrtStatus *(*set_threads_between)(OrtOptions *, int);
    OrtStatus *(*input_count)(const OrtSession *, size_t *);
    OrtStatus *(*output_count)(const OrtSession *, size_t *);
    OrtStatus *(*input_type)(const OrtSession *, size_t index, OrtTypeInfo **);
    OrtStatus *(*input_name)(const OrtSession *, size_t index, OrtAllocator *, char **);
    OrtStatus *(*output_name)(const OrtSession *, size_t index, OrtAllocator *, char **);
    OrtStatus *(*create_tensor)(
        const OrtMemoryInfo *, void *values, size_t bytes, const int64_t *shape, size_t dimensions, int type,
        OrtValue **);
    OrtStatus *(*is_tensor)(const OrtValue *, int *);
    OrtStatus *(*values)(OrtValue *, void **);
    OrtStatus *(*shape_of_type)(const OrtTypeInfo *, const OrtShapeInfo **);
    OrtStatus *(*element_type)(const OrtShapeInfo *, int *);
    OrtStatus *(*rank)(const OrtShapeInfo *, size_t *);
    OrtStatus *(*dimensions)(const OrtShapeInfo *, int64_t *, size_t count);
    OrtStatus *(*shape_of_value)(const OrtValue *, OrtShapeInfo **);
    OrtStatus *(*cpu_memory)(int allocator, int kind, OrtMemoryInfo **);
    OrtStatus *(*free_text)(OrtAllocator *, void *);
    OrtStatus *(*allocator)(OrtAllocator **);
    void (*release_status)(OrtStatus *);
    void (*release_session)(OrtSession *);
    void (*release_value)(OrtValue *);
    void (*release_type)(OrtTypeInfo *);
    void (*release_shape)(OrtShapeInfo *);
    void (*release_options)(OrtOptions *);
} api;

/// Each entry above and its place in the table.
static const struct {
    void *entry;
    size_t place;
} entries[] = {
    {&api.message, 2},          {&api.create_env, 3},       {&api.disable_telemetry, 6},
    {&api.create_session, 7},   {&api.run, 9},              {&api.create_options, 10},
    {&api.set_severity, 22},    {&api.set_threads_within, 24}, {&api.set_threads_between, 25},
    {&api.input_count, 30},     {&api.output_count, 31},    {&api.input_type, 33},
    {&api.input_name, 36},      {&api.output_name, 37},     {&api.create_tensor, 49},
    {&api.is_tensor, 50},       {&api.values, 51},          {&api.shape_of_type, 55},
    {&api.element_type, 60},    {&api.rank, 61},            {&api.dimensions, 62},
    {&api.shape_of_value, 65},  {&api.cpu_memory, 69},      {&api.free_text, 76},
    {&api.allocator, 78},       {&api.release_status, 93},  {&api.release_session, 95},
    {&api.release_value, 96},   {&api.release_type, 98},    {&api.release_shape, 99},
    {&api.release_options, 100},
};

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static const char *version;
// Made once and kept to the end of the process, as the library is.
static OrtEnv *environment;
static OrtMemoryInfo *memory;
static OrtAllocator *texts;

struct CascadeORTSession {
    OrtSession *session;
    char *input;
    char **outputs;
    size_t output_count;
};

static int fail(char *error, size_t size, const char *message) {
    if (error && size) snprintf(error, size, "%s", message);
    return 1;
}

/// 0 where there is no status; else 1, and the status' message said and the status released.
static int failed(OrtStatus *status, char *error, size_t size) {
    if (!status) return 0;
    fail(error, size, api.message(status));
    api.release_status(status);
    return 1;
}

static int load(const char *library, char *error, size_t size) {
    // Local, so that nothing of it is taken for another library's. It is never closed: its threads' data outlive calls.
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *reason = dlerror();
        return fail(error, size, reason ? reason : "the library cannot be loaded");
    }
    const OrtBase *(*get_base)(void) = (const OrtBase *(*)(void))dlsym(handle, "OrtGetApiBase");
    const OrtBase *base = get_base ? get_base() : NULL;
    const void *const *table = base ? base->get_api(FIRST_API) : NULL;
    if (!table) {
        dlclose(handle);
        return fail(error, size, "the library is not ONNX Runtime");
    }
    for (size_t index = 0; index < sizeof entries / sizeof *entries; index++) {
        memcpy(entries[index].entry, &table[entries[index].place], sizeof(void *));
    }
    if (failed(api.create_env(LOG_FATAL, "cascade-adapt", &environment), error, size) ||
        failed(api.disable_telemetry(environment), error, size) ||
        failed(api.cpu_memory(DEVICE_ALLOCATOR, DEFAULT_MEMORY, &memory), error, size) ||
        failed(api.allocator(&texts), error, size))
        return 1;
    version = base->version();
    return 0;
}

int cascade_ort_load(const char *library, char *error, size_t error_size) {
    pthread_mutex_lock(&loading);
    const int status = version ? 0 : load(library, error, error_size);
    pthread_mutex_unlock(&loading);
    return status;
}

const char *cascade_ort_version(void) {
    pthread_mutex_lock(&loading);
    const char *found = version;
    pthread_mutex_unlock(&loading);
    return found;
}

/// The names that the session answers to, and that it has one input of 32-bit numbers.
static int describe(CascadeORTSession *session, char *error, size_t size) {
    size_t inputs = 0;
    if (failed(api.input_count(session->session, &inputs), error, size)) return 1;
    if (inputs != 1) return fail(error, size, "the network has not one input, but none or several");

    OrtTypeInfo *type = NULL;
    const OrtShapeInfo *shape = NULL;
    int element = 0;
    if (failed(api.input_type(session->session, 0, &type), error, size)) return 1;
    int status = failed(api.shape_of_type(type, &shape), error, size) ||
                 (shape && failed(api.element_type(shape, &element), error, size));
    api.release_type(type);
    if (status) return 1;
    if (element != TYPE_FLOAT) return fail(error, size, "the network's input is not of 32-bit numbers");

    if (failed(api.input_name(session->session, 0, texts, &session->input), error, size) ||
        failed(api.output_count(session->session, &session->output_count), error, size))
        return 1;
    session->outputs = calloc(session->output_count + 1, sizeof *session->outputs);
    if (!session->outputs) return fail(error, size, "out of memory");
    for (size_t index = 0; index < session->output_count; index++) {
        if (failed(api.output_name(session->session, index, texts, &session->outputs[index]), error, size)) return 1;
    }
    return 0;
}

static int create(const char *path, OrtOptions *options, CascadeORTSession *session, char *error, size_t size) {
    return failed(api.set_severity(options, LOG_FATAL), error, size) ||
           failed(api.set_threads_within(options, 1), error, size) ||
           failed(api.set_threads_between(options, 1), error, size) ||
           failed(api.create_session(environment, path, options, &session->session), error, size) ||
           describe(session, error, size);
}

int cascade_ort_open(const char *path, CascadeORTSession **session, char *error, size_t error_size) {
    *session = NULL;
    if (!cascade_ort_version()) return fail(error, error_size, "ONNX Runtime is not loaded");
    CascadeORTSession *made = calloc(1, sizeof *made);
    if (!made) return fail(error, error_size, "out of memory");
    OrtOptions *options = NULL;
    int status = failed(api.create_options(&options), error, error_size);
    if (!status) status = create(path, options, made, error, error_size);
    if (options) api.release_options(options);
    if (status) {
        cascade_ort_close(made);
    } else {
        *session = made;
    }
    return status;
}

static void free_text(char *text) {
    if (text) failed(api.free_text(texts, text), NULL, 0);
}

void cascade_ort_close(CascadeORTSession *session) {
    if (!session) return;
    for (size_t index = 0; session->outputs && index < session->output_count; index++) {
        free_text(session->outputs[index]);
    }
    free(session->outputs);
    free_text(session->input);
    if (session->session) api.release_session(session->session);
    free(session);
}

size_t cascade_ort_output_count(const CascadeORTSession *session) { return session->output_count; }

const char *cascade_ort_output_name(const CascadeORTSession *session, size_t index) {
    return index < session->output_count ? session->outputs[index] : NULL;
}

/// Fills in what is known of `made->owner`.
static int read_made(CascadeORTArray *made, char *error, size_t size) {
    int is_tensor = 0, element = 0;
    if (failed(api.is_tensor(made->owner, &is_tensor), error, size)) return 1;
    if (!is_tensor) return fail(error, size, "the network made something that is no tensor");
    OrtShapeInfo *shape = NULL;
    if (failed(api.shape_of_value(made->owner, &shape), error, size)) return 1;
    int64_t sides[CASCADE_ORT_MOST_DIMENSIONS];
    int status = failed(api.element_type(shape, &element), error, size) ||
                 failed(api.rank(shape, &made->dimensions), error, size);
    if (!status && (element != TYPE_FLOAT || made->dimensions > CASCADE_ORT_MOST_DIMENSIONS)) {
        status = fail(error, size, "the network made something that is no array of 32-bit numbers");
    }
    if (!status) status = failed(api.dimensions(shape, sides, made->dimensions), error, size);
    api.release_shape(shape);
    if (status) return 1;
    for (size_t axis = 0; axis < made->dimensions; axis++) made->shape[axis] = (size_t)sides[axis];
    void *values = NULL;
    if (failed(api.values(made->owner, &values), error, size)) return 1;
    made->values = values;
    return 0;
}

int cascade_ort_run(
    CascadeORTSession *session, const float *input, const size_t *shape, size_t dimensions,
    const char *const *outputs, size_t count, CascadeORTArray *made, char *error, size_t error_size) {
    int64_t sides[CASCADE_ORT_MOST_DIMENSIONS];
    size_t bytes = sizeof *input;
    if (dimensions > CASCADE_ORT_MOST_DIMENSIONS) return fail(error, error_size, "the input has over 8 dimensions");
    for (size_t axis = 0; axis < dimensions; axis++) {
        if (shape[axis] && bytes > SIZE_MAX / shape[axis]) return fail(error, error_size, "the input is too large");
        bytes *= shape[axis];
        sides[axis] = (int64_t)shape[axis];
    }
    OrtValue **values = calloc(count + 1, sizeof *values);
    if (!values) return fail(error, error_size, "out of memory");
    memset(made, 0, count * sizeof *made);

    // The library takes no pointer to const, but only reads an input.
    OrtValue *taken = NULL;
    int status = failed(
        api.create_tensor(memory, (void *)input, bytes, sides, dimensions, TYPE_FLOAT, &taken), error, error_size);
    if (!status) {
        const char *const inputs[] = {session->input};
        const OrtValue *const inputs_values[] = {taken};
        status = failed(
            api.run(session->session, NULL, inputs, inputs_values, 1, outputs, count, values), error, error_size);
        api.release_value(taken);
    }
    for (size_t index = 0; index < count; index++) made[index].owner = values[index];
    free(values);
    for (size_t index = 0; !status && index < count; index++) status = read_made(&made[index], error, error_size);
    if (status) cascade_ort_release(made, count);
    return status;
}

void cascade_ort_release(CascadeORTArray *made, size_t count) {
    for (size_t index = 0; index < count; index++) {
        if (made[index].owner) api.release_value(made[index].owner);
        made[index].owner = NULL;
    }
}
