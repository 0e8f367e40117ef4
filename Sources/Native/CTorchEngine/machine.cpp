// What the engine runs on: versions, threads, devices, random generators.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <mutex>
#include <thread>

#include "functions.h"
#include "handles.h"

namespace engine {
namespace {

at::Generator &generator_of(CTorchGenerator *handle) { return *reinterpret_cast<at::Generator *>(handle); }

c10::DeviceAllocator *cuda_allocator() {
    auto *allocator = dynamic_cast<c10::DeviceAllocator *>(c10::GetAllocator(c10::DeviceType::CUDA));
    TORCH_CHECK(allocator != nullptr, "this libtorch does not report CUDA memory");
    return allocator;
}

/// A function of CUDA's driver, which is there wherever a device is: libtorch tells what it tells to those alone who link its CUDA
/// half. Null where it or the device is not there.
template <typename Function>
Function driver_function(const char *name, int32_t index) {
    void *driver = cuda_devices() > index && index >= 0 ? dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (driver == nullptr) return nullptr;
    auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
    return init != nullptr && init(0) == 0 ? reinterpret_cast<Function>(dlsym(driver, name)) : nullptr;
}

}  // namespace

const char *version() {
    // Taken from the library in use, not from the headers the engine was compiled with.
    static const std::string text = [] {
        std::string config = at::show_config();
        auto from = config.find("TORCH_VERSION=");
        if (from == std::string::npos) return std::string(TORCH_VERSION);
        from += 14;
        return config.substr(from, config.find_first_of(", \n", from) - from);
    }();
    return text.c_str();
}

const char *library_path(const char *symbol) {
    static thread_local std::string path;
    // RTLD_DEFAULT would search the program first; the engine's own scope is what its calls see.
    void *address = nullptr;
    Dl_info self, info;
    if (dladdr(reinterpret_cast<void *>(&library_path), &self) != 0) {
        if (void *handle = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD)) {
            address = dlsym(handle, symbol);
            dlclose(handle);
        }
    }
    path = address != nullptr && dladdr(address, &info) != 0 ? info.dli_fname : "";
    return path.c_str();
}

int make_generator(uint64_t seed, CTorchGenerator **out) {
    return guarded([&] {
        *out = reinterpret_cast<CTorchGenerator *>(new at::Generator(at::detail::createCPUGenerator(seed)));
    });
}

int generator_state(CTorchGenerator *generator, CTorchTensor **out) {
    return guarded([&] { *out = give(generator_of(generator).get_state()); });
}

int set_generator_state(CTorchGenerator *generator, const CTorchTensor *state) {
    return guarded([&] { generator_of(generator).set_state(borrow(state)); });
}

void release_generator(CTorchGenerator *generator) { delete &generator_of(generator); }

int32_t threads() { return at::get_num_threads(); }

int set_threads(int32_t count) {
    return guarded([&] { at::set_num_threads(count); });
}

int set_own_threads(int32_t count) {
    return guarded([&] {
        // libtorch sets the calling thread's number together with the one that later threads begin with. Another
        // thread can tell that one beforehand and put it back, for what it sets as its own ends with it.
        static std::mutex one_at_a_time;
        std::lock_guard<std::mutex> lock(one_at_a_time);
        int later = 1;
        std::thread([&later] { later = at::get_num_threads(); }).join();
        at::set_num_threads(count);
        std::thread([later] { at::set_num_threads(later); }).join();
    });
}

int32_t cuda_devices() {
    int32_t count = 0;
    guarded([&] { count = at::detail::getCUDAHooks().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0; });
    return count;
}

int32_t cuda_capability(int32_t index) {
    auto attribute = driver_function<int (*)(int *, int, int)>("cuDeviceGetAttribute", index);
    // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    constexpr int major_attribute = 75, minor_attribute = 76;
    int major = 0, minor = 0;
    if (attribute == nullptr || attribute(&major, major_attribute, index) != 0
        || attribute(&minor, minor_attribute, index) != 0)
        return 0;
    return 10 * major + minor;
}

std::string cuda_identity(int32_t index) {
    auto identity = driver_function<int (*)(char *, int)>("cuDeviceGetUuid", index);
    std::string bytes(16, 0);
    return identity != nullptr && identity(bytes.data(), index) == 0 ? bytes : "";
}

int synchronize(CTorchDevice device) {
    return guarded([&] {
        if (device.type == 1) at::detail::getCUDAHooks().deviceSynchronize(static_cast<c10::DeviceIndex>(device.index));
    });
}

int peak_memory(CTorchDevice device, int64_t *out) {
    return guarded([&] {
        auto stats = cuda_allocator()->getDeviceStats(static_cast<c10::DeviceIndex>(device.index));
        *out = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
    });
}

int reset_peak_memory(CTorchDevice device) {
    return guarded([&] { cuda_allocator()->resetPeakStats(static_cast<c10::DeviceIndex>(device.index)); });
}

}  // namespace engine
