// The table that `ctorch_open` finds.
#include <ATen/Context.h>
#include <dlfcn.h>
#include <torch/version.h>

#include "CTorchEngine.h"
#include "functions.h"
#include "handles.h"

const CTorchTable *ctorch_engine_table(void) {
    // CUDA's operators register themselves when their library is loaded; without it torch works on the CPU alone.
    static void *const cuda = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_LOCAL);
    (void)cuda;
    // Precision is what the caller asked for: no ten-bit mantissas behind the name of float32.
    at::globalContext().setAllowTF32CuDNN(false);
    engine::use_block_allocator();
    static const CTorchTable table = [] {
        CTorchTable t{};
        t.abi = CTORCH_ABI;
        t.built_with = TORCH_VERSION;
        t.version = engine::version;
        t.library_path = engine::library_path;
        t.last_error = [] { return engine::error_message.c_str(); };
        t.resolve = engine::resolve;
        t.call = engine::call;
        t.retain = engine::retain;
        t.release = engine::release;
        t.describe = engine::describe;
        t.data = engine::data;
        t.copy_in = engine::copy_in;
        t.borrow = engine::borrow_memory;
        t.live_tensors = engine::live_tensors;
        t.tensor_bytes = engine::tensor_bytes;
        t.reset_tensor_bytes = engine::reset_tensor_bytes;
        t.set_requires_grad = engine::set_requires_grad;
        t.gradient = engine::gradient;
        t.set_gradient = engine::set_gradient;
        t.set_gradient_hook = engine::set_gradient_hook;
        t.backward = engine::backward;
        t.grad_enabled = engine::grad_enabled;
        t.set_grad_enabled = engine::set_grad_enabled;
        t.record = engine::record;
        t.make_generator = engine::make_generator;
        t.generator_state = engine::generator_state;
        t.set_generator_state = engine::set_generator_state;
        t.release_generator = engine::release_generator;
        t.threads = engine::threads;
        t.set_threads = engine::set_threads;
        t.set_own_threads = engine::set_own_threads;
        t.cuda_devices = engine::cuda_devices;
        t.fail_allocation = engine::fail_allocation;
        t.release_memory = engine::release_memory;
        t.fast_bfloat16 = engine::fast_bfloat16;
        t.cuda_capability = engine::cuda_capability;
        t.kernels = engine::kernels;
        t.kernels_at_hand = engine::kernels_at_hand;
        t.kernels_problem = engine::kernels_problem;
        t.synchronize = engine::synchronize;
        t.peak_memory = engine::peak_memory;
        t.reset_peak_memory = engine::reset_peak_memory;
        t.begin_copy = engine::begin_copy;
        t.finish_copy = engine::finish_copy;
        t.start_group = engine::start_group;
        t.use_device = engine::use_device;
        t.sum_over = engine::sum_over;
        t.begin_sum = engine::begin_sum;
        t.begin_gather = engine::begin_gather;
        t.finish_message = engine::finish_message;
        t.sum_parts = engine::sum_parts;
        t.feel_pulses = engine::feel_pulses;
        t.end_group = engine::end_group;
        return t;
    }();
    return &table;
}
