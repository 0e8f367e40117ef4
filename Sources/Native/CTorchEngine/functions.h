// The functions behind the table, by subject: operators.cpp, tensors.cpp, autograd.cpp, machine.cpp, block_allocator.cpp,
// copies.cpp, variants.cpp, process_group.cpp.
#pragma once

#include "CTorch.h"

#include <string>

namespace engine {

// operators.cpp
int resolve(const char *name, const char *overload, CTorchOperator **out);
int call(
    const CTorchOperator *op, const CTorchValue *arguments, int32_t argument_count, CTorchValue *results,
    int32_t *result_count);

// tensors.cpp
void retain(CTorchTensor *tensor);
void release(CTorchTensor *tensor);
int describe(const CTorchTensor *tensor, CTorchDescription *out);
void *data(const CTorchTensor *tensor);
int copy_in(const void *bytes, const int64_t *sizes, int32_t rank, int32_t dtype, CTorchTensor **out);
int borrow_memory(
    void *bytes, const int64_t *sizes, int32_t rank, int32_t dtype, CTorchReleaseContext release_context,
    void *context, CTorchTensor **out);
int64_t live_tensors();

// autograd.cpp
int set_requires_grad(CTorchTensor *tensor, bool value);
int gradient(const CTorchTensor *tensor, CTorchTensor **out);
int set_gradient(CTorchTensor *tensor, CTorchTensor *gradient);
int set_gradient_hook(
    CTorchTensor *leaf, CTorchGradientHook hook, CTorchReleaseContext release_context, void *context);
int backward(CTorchTensor *const *roots, CTorchTensor *const *gradients, int32_t count);
bool grad_enabled();
void set_grad_enabled(bool value);
int record(
    CTorchTensor *const *inputs, int32_t input_count, CTorchTensor *const *outputs, int32_t output_count,
    CTorchBackward backward, CTorchReleaseContext release_context, void *context);

// machine.cpp
const char *version();
const char *library_path(const char *symbol);
int make_generator(uint64_t seed, CTorchGenerator **out);
int generator_state(CTorchGenerator *generator, CTorchTensor **out);
int set_generator_state(CTorchGenerator *generator, const CTorchTensor *state);
void release_generator(CTorchGenerator *generator);
int32_t threads();
int set_threads(int32_t count);
int set_own_threads(int32_t count);
int32_t cuda_devices();
int32_t cuda_capability(int32_t index);
/// Sixteen bytes that no other GPU has, whatever its machine; empty where they can't be told.
std::string cuda_identity(int32_t index);
int synchronize(CTorchDevice device);
int peak_memory(CTorchDevice device, int64_t *out);
int reset_peak_memory(CTorchDevice device);

// block_allocator.cpp
void use_block_allocator();
int fail_allocation(int64_t number);
void release_memory();
/// Adds to the bytes that tensors take, or takes away from them.
void count_bytes(int64_t bytes);
void tensor_bytes(int64_t *now, int64_t *most);
void reset_tensor_bytes();

// copies.cpp
int begin_copy(CTorchTensor *to, CTorchTensor *from, CTorchCopying **out);
int finish_copy(CTorchCopying *copying);

// variants.cpp
int32_t fast_bfloat16();
const char *kernels();
const char *kernels_at_hand();
const char *kernels_problem();

// process_group.cpp
int start_group(
    int32_t rank, int32_t size, const char *host, int32_t port, const char *name, bool is_server, double seconds,
    CTorchGroup **out);
int use_device(CTorchGroup *group, CTorchDevice device, bool *is_direct);
int sum_over(CTorchGroup *group, CTorchTensor *const *tensors, int32_t count);
int begin_sum(CTorchGroup *group, CTorchTensor *const *tensors, int32_t count, CTorchMessage **out);
int begin_gather(CTorchGroup *group, CTorchTensor *row, CTorchMessage **out);
int finish_message(CTorchMessage *message, bool waits);
int sum_parts(CTorchGroup *group, CTorchTensor *row);
int feel_pulses(CTorchGroup *group, bool *beating);
void end_group(CTorchGroup *group);

}  // namespace engine
