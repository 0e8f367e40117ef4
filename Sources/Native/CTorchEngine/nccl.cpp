// Sums between GPUs by NCCL, which every libtorch for CUDA brings along.
//
// NCCL is looked for at run time and called by its C interface, as the driver is in machine.cpp: so one engine serves any libtorch,
// and needs no header of CUDA's. c10d's own group over NCCL would have to be compiled for each.
#include "nccl.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <optional>

namespace engine {
namespace {

/// Of nccl.h, which keeps names and numbers from version to version.
struct UniqueId {
    char bytes[128];
};
constexpr int success = 0, in_progress = 7, plus = 0;

std::optional<int> number_type(at::ScalarType type) {
    switch (type) {
        case at::kByte: return 1;
        case at::kInt: return 2;
        case at::kLong: return 4;
        case at::kFloat: return 7;
        case at::kDouble: return 8;
        default: return std::nullopt;
    }
}

struct Library {
    int (*get_unique_id)(UniqueId *) = nullptr;
    int (*init_rank)(void **communicator, int size, UniqueId id, int rank) = nullptr;
    int (*all_reduce)(
        const void *from, void *to, size_t count, int type, int operation, void *communicator, void *stream) = nullptr;
    int (*async_error)(void *communicator, int *result) = nullptr;
    int (*abort)(void *communicator) = nullptr;
    const char *(*error_string)(int result) = nullptr;
    bool is_whole = false;

    Library() {
        // Libtorch's CUDA half has loaded it.
        void *opened = dlopen("libnccl.so.2", RTLD_NOW | RTLD_NOLOAD);
        if (opened == nullptr) return;
        is_whole = find(opened, "ncclGetUniqueId", get_unique_id) && find(opened, "ncclCommInitRank", init_rank)
            && find(opened, "ncclAllReduce", all_reduce) && find(opened, "ncclCommGetAsyncError", async_error)
            && find(opened, "ncclCommAbort", abort) && find(opened, "ncclGetErrorString", error_string);
    }

    template <typename Function>
    static bool find(void *opened, const char *name, Function &function) {
        function = reinterpret_cast<Function>(dlsym(opened, name));
        return function != nullptr;
    }

    void hold(int result, const char *what) const {
        TORCH_CHECK(result == success, "NCCL: ", what, ": ", error_string(result));
    }
};

const Library &library() {
    static const Library found;
    return found;
}

}  // namespace

bool GPURing::is_there() {
    const char *wish = std::getenv("CASCADE_ADAPT_NCCL");
    return library().is_whole && (wish == nullptr || std::strcmp(wish, "0") != 0);
}

GPURing::Key GPURing::make_key() {
    UniqueId id;
    library().hold(library().get_unique_id(&id), "no ring can be made");
    Key key;
    std::memcpy(key.data(), id.bytes, key.size());
    return key;
}

GPURing::GPURing(const Key &key, int size, int rank, c10::Device device)
    : device(device), sending(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, true)) {
    c10::DeviceGuard guard(device);
    UniqueId id;
    std::memcpy(id.bytes, key.data(), key.size());
    library().hold(library().init_rank(&communicator, size, id, rank), "the ring of GPUs can't be joined");
}

GPURing::~GPURing() {
    if (communicator == nullptr) return;
    c10::DeviceGuard guard(device);
    // It ends the kernels of sums that will never be whole, too.
    library().abort(communicator);
}

bool GPURing::takes(c10::Device where, at::ScalarType type) const { return where == device && number_type(type).has_value(); }

c10::Event GPURing::begin_sum(const at::Tensor &row) {
    TORCH_CHECK(takes(row.device(), row.scalar_type()) && row.is_contiguous(), "a row of numbers on another device, or of another type");
    c10::impl::VirtualGuardImpl devices(device.type());
    c10::DeviceGuard guard(device);
    c10::Event computed(device.type()), sent(device.type());
    computed.record(devices.getStream(device));
    computed.block(sending);
    // Its memory is nobody else's until the sum is there, even if the row is let go before.
    row.record_stream(sending);
    int result = library().all_reduce(
        row.const_data_ptr(), row.mutable_data_ptr(), static_cast<size_t>(row.numel()), *number_type(row.scalar_type()), plus,
        communicator, sending.native_handle());
    library().hold(result, "a sum can't be begun");
    sent.record(sending);
    return sent;
}

void GPURing::check() const {
    int result = success;
    library().hold(library().async_error(communicator, &result), "the ring does not answer");
    if (result != in_progress) library().hold(result, "the ring is broken");
}

}  // namespace engine
