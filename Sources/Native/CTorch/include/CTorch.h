// The door to libtorch: one table of functions behind a loadable library.
//
// `ctorch_open` loads the engine (libCTorchEngine.so, which alone links libtorch) and hands out its table. Every
// function that can fail returns 0 for success and another value for failure; the message is then in `last_error`
// of the same thread. No C++ exception crosses this header.
//
// Ownership: a handle that a function writes through an out-parameter belongs to the caller, who gives it back once
// with the matching `release`. Handles passed in are borrowed for the call.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CTORCH_ABI 12
#define CTORCH_MAX_RESULTS 64
/// The status of a function, or of a caller's own, that failed because there was no memory to be had.
#define CTORCH_NO_MEMORY 2

typedef struct CTorchTensor CTorchTensor;
typedef struct CTorchGenerator CTorchGenerator;
typedef struct CTorchOperator CTorchOperator;
typedef struct CTorchGroup CTorchGroup;
typedef struct CTorchMessage CTorchMessage;
typedef struct CTorchCopying CTorchCopying;

/// What a `CTorchValue` holds.
typedef enum CTorchTag {
    CTORCH_NONE = 0,
    CTORCH_TENSOR = 1,
    CTORCH_INT = 2,
    CTORCH_DOUBLE = 3,
    CTORCH_BOOL = 4,
    CTORCH_INTS = 5,
    CTORCH_DOUBLES = 6,
    CTORCH_TENSORS = 7,
    CTORCH_STRING = 8,
    CTORCH_GENERATOR = 9,
    CTORCH_DEVICE = 10,
    /// Optional tensors, as `index` takes them: a null handle is "all of this dimension".
    CTORCH_OPTIONAL_TENSORS = 11,
} CTorchTag;

/// One argument or result of an operator. Lists are borrowed: `count` elements from the pointer.
typedef struct CTorchValue {
    int32_t tag;
    int32_t count;
    union {
        int64_t integer;
        double number;
        CTorchTensor *tensor;
        CTorchGenerator *generator;
        const int64_t *integers;
        const double *numbers;
        CTorchTensor *const *tensors;
        const char *text;
    };
} CTorchValue;

/// A device: type 0 is the CPU, 1 is CUDA; index is -1 for the CPU.
typedef struct CTorchDevice {
    int32_t type;
    int32_t index;
} CTorchDevice;

/// Facts of a tensor; `sizes` and `strides` live as long as the tensor does.
typedef struct CTorchDescription {
    int32_t dtype;
    int32_t rank;
    const int64_t *sizes;
    const int64_t *strides;
    int64_t elements;
    int32_t element_size;
    CTorchDevice device;
    bool requires_grad;
    bool is_contiguous;
} CTorchDescription;

/// The backward pass of a recorded node. Fills `input_gradients` with owned handles or nulls; on failure writes a
/// message and returns another value than 0. `output_gradients` are borrowed and may be null.
typedef int (*CTorchBackward)(
    void *context, CTorchTensor *const *output_gradients, int32_t output_count, CTorchTensor **input_gradients,
    int32_t input_count, char *message, size_t message_capacity);

/// Frees a context handed to the engine.
typedef void (*CTorchReleaseContext)(void *context);

/// What is done as soon as a backward pass has added to the gradient of a leaf; on failure writes a message and returns
/// another value than 0.
typedef int (*CTorchGradientHook)(void *context, char *message, size_t message_capacity);

typedef struct CTorchTable {
    int32_t abi;
    /// The version of the libtorch the engine was compiled with, "2.13.0"; and of the one it runs on.
    const char *built_with;
    const char *(*version)(void);
    /// The file the libtorch in use was loaded from.
    const char *(*library_path)(const char *symbol);
    const char *(*last_error)(void);

    // Operators, through the boxed dispatcher. Arguments left out take the schema's defaults.
    int (*resolve)(const char *name, const char *overload, CTorchOperator **out);
    int (*call)(
        const CTorchOperator *op, const CTorchValue *arguments, int32_t argument_count, CTorchValue *results,
        int32_t *result_count);

    // Tensors
    void (*retain)(CTorchTensor *tensor);
    void (*release)(CTorchTensor *tensor);
    int (*describe)(const CTorchTensor *tensor, CTorchDescription *out);
    void *(*data)(const CTorchTensor *tensor);
    int (*copy_in)(const void *bytes, const int64_t *sizes, int32_t rank, int32_t dtype, CTorchTensor **out);
    /// A tensor over memory of the caller's; `release_context` runs when the last view of it dies.
    int (*borrow)(
        void *bytes, const int64_t *sizes, int32_t rank, int32_t dtype, CTorchReleaseContext release_context,
        void *context, CTorchTensor **out);
    /// Tensor handles in the hands of callers.
    int64_t (*live_tensors)(void);
    /// Bytes that tensors on the CPU take, those of memory of the caller's among them, and the most that they took at a time
    /// since `reset_tensor_bytes`.
    void (*tensor_bytes)(int64_t *now, int64_t *most);
    void (*reset_tensor_bytes)(void);

    // Autograd
    int (*set_requires_grad)(CTorchTensor *tensor, bool value);
    int (*gradient)(const CTorchTensor *tensor, CTorchTensor **out);  // null where there is none
    int (*set_gradient)(CTorchTensor *tensor, CTorchTensor *gradient);  // null clears it
    /// Runs `hook` whenever a backward pass has added to the leaf's gradient, in that pass and on its thread; null takes
    /// the hook away. The context is released with the hook, also when setting it fails.
    int (*set_gradient_hook)(
        CTorchTensor *leaf, CTorchGradientHook hook, CTorchReleaseContext release_context, void *context);
    int (*backward)(CTorchTensor *const *roots, CTorchTensor *const *gradients, int32_t count);
    bool (*grad_enabled)(void);
    void (*set_grad_enabled)(bool value);
    /// Makes `outputs`, computed without a graph, depend on `inputs` through `backward`. The context is released
    /// with the node, also when recording fails.
    int (*record)(
        CTorchTensor *const *inputs, int32_t input_count, CTorchTensor *const *outputs, int32_t output_count,
        CTorchBackward backward, CTorchReleaseContext release_context, void *context);

    // Random numbers, always drawn on the CPU so that a seed means the same on every device
    int (*make_generator)(uint64_t seed, CTorchGenerator **out);
    int (*generator_state)(CTorchGenerator *generator, CTorchTensor **out);
    int (*set_generator_state)(CTorchGenerator *generator, const CTorchTensor *state);
    void (*release_generator)(CTorchGenerator *generator);

    // The machine
    int32_t (*threads)(void);
    /// For the calling thread and those that begin later.
    int (*set_threads)(int32_t count);
    /// For the calling thread alone.
    int (*set_own_threads)(int32_t count);
    int32_t (*cuda_devices)(void);
    /// For tests: of the allocations on the CPU that the calling thread asks for from now on, lets this one fail as it would
    /// where memory ends, counted from 1; 0 lets none.
    int (*fail_allocation)(int64_t number);
    /// Hands freed blocks that wait to be used again back to the system.
    void (*release_memory)(void);
    /// Whether the kernels that run multiply bfloat16 matrices in hardware.
    int32_t (*fast_bfloat16)(void);
    /// The compute capability of a CUDA device, 80 for sm_80; 0 where it can't be told.
    int32_t (*cuda_capability)(int32_t index);
    /// Which variant of the engine's kernels runs, "avx2" or so; and all that the processor can run, "baseline, avx2".
    const char *(*kernels)(void);
    const char *(*kernels_at_hand)(void);
    /// What is wrong with what CASCADE_ADAPT_KERNELS asks for; null where nothing is.
    const char *(*kernels_problem)(void);
    int (*synchronize)(CTorchDevice device);
    /// Bytes allocated at the highest since `reset_peak_memory`, by the caching allocator of a CUDA device.
    int (*peak_memory)(CTorchDevice device, int64_t *out);
    int (*reset_peak_memory)(CTorchDevice device);
    /// Begins to copy a tensor's numbers into another's place, beside what the device of the latter computes from here on: what it
    /// was asked before has gone first. On the CPU that is done at once.
    int (*begin_copy)(CTorchTensor *to, CTorchTensor *from, CTorchCopying **out);
    /// Lets what the device is asked from here on wait for the copy, and releases it.
    int (*finish_copy)(CTorchCopying *copying);

    // Processes that work together
    /// Joins a group as process `rank` of `size`, which meet at a store that listens on `host` and `port`: in this process
    /// where `is_server`. Groups of other names may meet at the same store. Waits up to `seconds`, here and in each sum.
    int (*start_group)(
        int32_t rank, int32_t size, const char *host, int32_t port, const char *name, bool is_server, double seconds,
        CTorchGroup **out);
    /// Lets tensors on this process's device be added up without a way through host memory where that can be done, which
    /// `is_direct` says: by NCCL, where each process has a GPU of its own. All processes have to ask at the same place.
    int (*use_device)(CTorchGroup *group, CTorchDevice device, bool *is_direct);
    /// Puts the sums over all processes in the place of tensors, which are of the same shapes everywhere.
    int (*sum_over)(CTorchGroup *group, CTorchTensor *const *tensors, int32_t count);
    /// Begins that, for tensors of one type that are not empty. The tensors, and the row below, must not be touched before
    /// `finish_message`, which releases `out`; without `waits` it only does that, and they stay anything.
    int (*begin_sum)(CTorchGroup *group, CTorchTensor *const *tensors, int32_t count, CTorchMessage **out);
    /// Begins to gather a row of bytes, of which each process has a part of the same length at its place, on the CPU.
    int (*begin_gather)(CTorchGroup *group, CTorchTensor *row, CTorchMessage **out);
    int (*finish_message)(CTorchMessage *message, bool waits);
    /// The reverse: puts the sum over all processes in the place of this process's part of a row of float32; the rest of the
    /// row becomes anything.
    int (*sum_parts)(CTorchGroup *group, CTorchTensor *row);
    /// Which processes still give signs of life, whatever they wait for, or ended because they looked for who is lost, as this
    /// one does now; takes some seconds. Fails where the store does not
    /// answer.
    int (*feel_pulses)(CTorchGroup *group, bool *beating);
    void (*end_group)(CTorchGroup *group);
} CTorchTable;

/// Opens the engine library at `path`. On failure returns another value than 0 and writes a message.
/// `libraries` is the folder of the libtorch that it shall work with, which is opened first by its path: the engine then
/// finds it by its name, wherever that lies. NULL leaves that to the dynamic linker.
int ctorch_open(
    const char *path, const char *libraries, const CTorchTable **out, char *message, size_t message_capacity);

/// What the file of an engine library says of it without being loaded; empty where it does not.
typedef struct CTorchEngineFacts {
    /// The version of the libtorch that it was compiled with, such as "2.13.0".
    char built_with[64];
    /// Folders that its libtorch is looked for in, with colons between them; `$ORIGIN` is the library's own.
    char search_path[4096];
} CTorchEngineFacts;

void ctorch_engine_facts(const char *path, CTorchEngineFacts *out);

/// The folder of the running executable, without a slash at its end; empty where it can't be told.
void ctorch_executable_folder(char *out, size_t capacity);

#ifdef __cplusplus
}
#endif
