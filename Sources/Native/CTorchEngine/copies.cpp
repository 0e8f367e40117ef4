// Copies from host memory to a device that go on while the device computes.
//
// By c10's interface of all devices, which needs no header of CUDA's. A device without streams copies at once.
#include <ATen/core/grad_mode.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "functions.h"
#include "handles.h"

namespace engine {
namespace {

/// A copy that was asked for.
struct Copying {
    c10::Device device;
    /// When it is there; none where it is there already.
    std::optional<c10::Event> arrived;
    /// Both have to be there until then.
    at::Tensor to, from;
};

/// The stream of a device on which all copies follow each other, beside the one that computes.
c10::Stream copying_stream(const c10::impl::VirtualGuardImpl &devices, c10::Device device) {
    static std::mutex mutex;
    static std::map<c10::DeviceIndex, c10::Stream> streams;
    std::lock_guard<std::mutex> lock(mutex);
    auto found = streams.find(device.index());
    if (found == streams.end()) {
        found = streams.emplace(device.index(), devices.getStreamFromGlobalPool(device)).first;
    }
    return found->second;
}

}  // namespace

int begin_copy(CTorchTensor *to, CTorchTensor *from, CTorchCopying **out) {
    return guarded([&] {
        at::NoGradGuard no_gradients;
        auto started = std::make_unique<Copying>(Copying{borrow(to).device(), std::nullopt, borrow(to), borrow(from)});
        if (started->device.is_cpu()) {
            started->to.copy_(started->from);
        } else {
            c10::impl::VirtualGuardImpl devices(started->device.type());
            c10::Stream computing = devices.getStream(started->device);
            c10::Stream copying = copying_stream(devices, started->device);
            // What was asked of the device so far may still read what lies there.
            c10::Event passed(started->device.type());
            passed.record(computing);
            passed.block(copying);
            c10::StreamGuard guard(copying);
            started->to.copy_(started->from, true);
            started->arrived.emplace(started->device.type());
            started->arrived->record(copying);
        }
        *out = reinterpret_cast<CTorchCopying *>(started.release());
    });
}

int finish_copy(CTorchCopying *copying) {
    std::unique_ptr<Copying> started(reinterpret_cast<Copying *>(copying));
    return guarded([&] {
        if (!started->arrived) return;
        c10::impl::VirtualGuardImpl devices(started->device.type());
        started->arrived->block(devices.getStream(started->device));
    });
}

}  // namespace engine
