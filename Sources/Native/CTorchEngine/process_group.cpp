// Several processes that train together: c10d's store and its group over Gloo, and NCCL for what lies on GPUs.
//
// Gloo's headers are Debian's libgloo-dev; its code is libtorch's own. An engine that was built without them says so.
#include "functions.h"
#include "handles.h"
#include "nccl.h"

#if __has_include(<gloo/context.h>)
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

#include <ATen/Functions.h>
#include <c10/util/Logging.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace engine {

#ifdef USE_C10D_GLOO

/// A process's sign of life, which it gives in the store as long as it is there, whatever it waits for.
struct Pulse {
    std::mutex mutex;
    std::condition_variable change;
    bool is_over = false;
};

struct Group {
    c10::intrusive_ptr<c10d::Store> store;
    c10::intrusive_ptr<c10d::ProcessGroupGloo> processes;
    std::shared_ptr<Pulse> pulse;
    /// Whether the store is in this process, and ends with it.
    bool has_store;
    /// For how long a sum is waited for.
    std::chrono::milliseconds timeout;
    /// What adds up what lies on this process's GPU; none where that goes through host memory.
    std::unique_ptr<GPURing> gpus;
};

/// What is on its way between the processes.
struct Message {
    const Group *group = nullptr;
    std::vector<c10::intrusive_ptr<c10d::Work>> works;
    /// When it is there, where it goes from GPU to GPU.
    std::optional<c10::Event> arrival;
    /// Of a sum the row that is sent, and the tensors that it is copied to in the end; none where the row is the tensor's own.
    at::Tensor row;
    std::vector<at::Tensor> sums;
};

namespace {

/// Elements of one message: tensors are laid one behind another until it is full.
constexpr int64_t bucket_elements = 8 << 20;

Group &group_of(CTorchGroup *handle) { return *reinterpret_cast<Group *>(handle); }

/// Between two beats of a pulse; for how long one is felt; for how long the store is waited for meanwhile.
constexpr auto beat = std::chrono::seconds(1), feeling = std::chrono::seconds(3), patience = std::chrono::seconds(8);
/// After which a process without a beat is lost, where a sum does not come.
constexpr auto silence = std::chrono::seconds(8);

std::string pulse_of(int32_t rank) { return "pulse " + std::to_string(rank); }

/// Where a process says that it looks for who is lost: it ends of itself after that, and is not one of them.
std::string search_of(int32_t rank) { return "search " + std::to_string(rank); }
/// Where it says that it has found out.
std::string finding_of(int32_t rank) { return "finding " + std::to_string(rank); }

/// Begins to give signs of life. The thread belongs to nobody: the store may keep it for good where its host is lost.
std::shared_ptr<Pulse> begin_pulse(c10::intrusive_ptr<c10d::Store> store, int32_t rank) {
    auto pulse = std::make_shared<Pulse>();
    std::thread([store, rank, pulse] {
        std::unique_lock<std::mutex> lock(pulse->mutex);
        while (!pulse->is_over) {
            lock.unlock();
            try {
                store->add(pulse_of(rank), 1);
            } catch (const std::exception &) {
                return;
            }
            lock.lock();
            pulse->change.wait_for(lock, beat, [&] { return pulse->is_over; });
        }
    }).detach();
    return pulse;
}

/// What the processes of this machine are reached by: `GLOO_SOCKET_IFNAME` as in PyTorch, the loopback where the first
/// process is there too, else what this host's name resolves to.
std::shared_ptr<gloo::transport::Device> device_towards(const std::string &host) {
    if (const char *interface = std::getenv("GLOO_SOCKET_IFNAME"); interface != nullptr && *interface != 0)
        return c10d::ProcessGroupGloo::createDeviceForInterface(interface);
    if (host == "localhost" || host.rfind("127.", 0) == 0)
        return c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1");
    return c10d::ProcessGroupGloo::createDefaultDevice();
}

/// Begins to add up tensors of the same dtype over all processes, in a row of float32 where they have fewer bits.
Message begin(Group &group, const std::vector<at::Tensor> &tensors) {
    Message message;
    message.group = &group;
    bool is_narrow = tensors[0].is_floating_point() && tensors[0].element_size() < 4;
    at::ScalarType type = is_narrow ? at::kFloat : tensors[0].scalar_type();
    bool is_direct = std::all_of(tensors.begin(), tensors.end(), [&](const at::Tensor &tensor) {
        return group.gpus != nullptr && group.gpus->takes(tensor.device(), type);
    });
    if (tensors.size() == 1 && !is_narrow && (is_direct || tensors[0].is_cpu()) && tensors[0].is_contiguous()) {
        message.row = tensors[0].view({-1});
    } else {
        std::vector<at::Tensor> rows;
        for (const at::Tensor &tensor : tensors) {
            at::Tensor row = is_direct ? tensor.reshape({-1}) : tensor.reshape({-1}).cpu();
            rows.push_back(row.to(type));
        }
        message.row = at::cat(rows);
        message.sums = tensors;
    }
    if (is_direct) {
        message.arrival = group.gpus->begin_sum(message.row);
    } else {
        std::vector<at::Tensor> sent{message.row};
        message.works.push_back(group.processes->allreduce(sent));
    }
    return message;
}

/// Waits for a sum between GPUs. Those of a process that has ended never come, and NCCL does not always see it.
void wait(const Group &group, const c10::Event &arrival) {
    auto begun = std::chrono::steady_clock::now(), looked = begun;
    std::vector<std::string> pulses;
    std::vector<std::vector<uint8_t>> before;
    while (!arrival.query()) {
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        auto now = std::chrono::steady_clock::now();
        if (now - looked < silence) continue;
        looked = now;
        group.gpus->check();
        TORCH_CHECK(now - begun < group.timeout, "a sum between GPUs did not come within ", group.timeout.count() / 1000, " s");
        for (int32_t rank = static_cast<int32_t>(pulses.size()); rank < group.processes->getSize(); ++rank)
            pulses.push_back(pulse_of(rank));
        std::vector<std::vector<uint8_t>> counts = group.store->multiGet(pulses);
        for (size_t rank = 0; rank < before.size(); ++rank)
            TORCH_CHECK(counts[rank] != before[rank], "process ", rank, " gives no sign of life");
        before = counts;
    }
}

void finish(Message &message) {
    for (auto &work : message.works) work->wait();
    if (message.arrival) wait(*message.group, *message.arrival);
    int64_t from = 0;
    for (at::Tensor &tensor : message.sums) {
        tensor.copy_(message.row.slice(0, from, from + tensor.numel()).view(tensor.sizes()));
        from += tensor.numel();
    }
}

/// Adds up tensors of the same dtype over all processes, message by message.
void sum_alike(Group &group, const std::vector<at::Tensor> &tensors) {
    std::vector<at::Tensor> bucket;
    int64_t elements = 0;
    auto send = [&] {
        if (bucket.empty()) return;
        Message message = begin(group, bucket);
        finish(message);
        bucket.clear();
        elements = 0;
    };
    for (const at::Tensor &tensor : tensors) {
        if (elements + tensor.numel() > bucket_elements) send();
        bucket.push_back(tensor);
        elements += tensor.numel();
    }
    send();
}

}  // namespace

int start_group(
    int32_t rank, int32_t size, const char *host, int32_t port, const char *name, bool is_server, double seconds,
    CTorchGroup **out) {
    return guarded([&] {
        // By the variable that the program sets: what goes wrong here is told as an error.
        c10::initLogging();
        auto timeout = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
        c10d::TCPStoreOptions reach;
        reach.port = static_cast<uint16_t>(port);
        reach.isServer = is_server;
        reach.numWorkers = size;
        // The group waits for each process by name: which is missing is then known.
        reach.waitWorkers = false;
        reach.timeout = timeout;
        auto store = c10::make_intrusive<c10d::TCPStore>(host, reach);
        auto own = c10::make_intrusive<c10d::PrefixStore>(name, store);
        own->set("process " + std::to_string(rank), std::vector<uint8_t>{1});
        for (int32_t other = 0; other < size; ++other) {
            try {
                own->wait({"process " + std::to_string(other)}, timeout);
            } catch (const std::exception &) {
                TORCH_CHECK(false, "process ", other, " of ", size, " did not come within ", seconds, " s");
            }
        }
        auto options = c10::make_intrusive<c10d::ProcessGroupGloo::Options>(timeout);
        options->devices.push_back(device_towards(host));
        options->threads = 2;
        auto processes = c10::make_intrusive<c10d::ProcessGroupGloo>(own, rank, size, options);
        *out = reinterpret_cast<CTorchGroup *>(new Group{own, processes, begin_pulse(own, rank), is_server, timeout, nullptr});
    });
}

int use_device(CTorchGroup *group, CTorchDevice device, bool *is_direct) {
    return guarded([&] {
        Group &known = group_of(group);
        *is_direct = known.gpus != nullptr;
        if (*is_direct) return;
        int32_t size = known.processes->getSize(), own = known.processes->getRank();
        auto gpu_of = [](int32_t rank) { return "gpu " + std::to_string(rank); };
        const std::string none = "none";
        std::string gpu = device.type == 1 && GPURing::is_there() ? cuda_identity(device.index) : "";
        if (gpu.empty()) gpu = none;
        known.store->set(gpu_of(own), std::vector<uint8_t>(gpu.begin(), gpu.end()));
        // NCCL wants a GPU for each process, and no other process on it.
        std::set<std::string> gpus;
        for (int32_t rank = 0; rank < size; ++rank) {
            std::vector<uint8_t> told = known.store->get(gpu_of(rank));
            gpus.emplace(told.begin(), told.end());
        }
        gpus.erase(none);
        *is_direct = static_cast<int32_t>(gpus.size()) == size;
        if (!*is_direct) return;
        GPURing::Key key;
        if (own == 0) {
            key = GPURing::make_key();
            known.store->set("ring", std::vector<uint8_t>(key.begin(), key.end()));
        } else {
            std::vector<uint8_t> bytes = known.store->get("ring");
            TORCH_CHECK(bytes.size() == key.size(), "another ring than this program's");
            std::copy(bytes.begin(), bytes.end(), key.begin());
        }
        known.gpus = std::make_unique<GPURing>(
            key, size, own, c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device.index)));
    });
}

int sum_over(CTorchGroup *group, CTorchTensor *const *tensors, int32_t count) {
    return guarded([&] {
        at::NoGradGuard no_gradients;
        std::vector<at::Tensor> alike;
        for (int32_t i = 0; i < count; ++i) {
            at::Tensor tensor = borrow(tensors[i]);
            if (tensor.numel() == 0) continue;
            if (!alike.empty() && alike[0].scalar_type() != tensor.scalar_type()) {
                sum_alike(group_of(group), alike);
                alike.clear();
            }
            alike.push_back(tensor);
        }
        sum_alike(group_of(group), alike);
    });
}

int begin_sum(CTorchGroup *group, CTorchTensor *const *tensors, int32_t count, CTorchMessage **out) {
    return guarded([&] {
        at::NoGradGuard no_gradients;
        std::vector<at::Tensor> alike;
        for (int32_t i = 0; i < count; ++i) {
            alike.push_back(borrow(tensors[i]));
            TORCH_CHECK(
                alike[i].numel() > 0 && alike[i].scalar_type() == alike[0].scalar_type(),
                "tensors of one sum are of one type, and none is empty");
        }
        TORCH_CHECK(!alike.empty(), "a sum of no tensors");
        *out = reinterpret_cast<CTorchMessage *>(new Message(begin(group_of(group), alike)));
    });
}

int begin_gather(CTorchGroup *group, CTorchTensor *row, CTorchMessage **out) {
    return guarded([&] {
        at::NoGradGuard no_gradients;
        at::Tensor whole = borrow(row);
        c10d::ProcessGroupGloo &processes = *group_of(group).processes;
        int64_t size = processes.getSize(), part = whole.numel() / size;
        TORCH_CHECK(
            whole.is_cpu() && whole.dim() == 1 && whole.is_contiguous() && part * size == whole.numel(),
            "a row to gather is one of ", size, " equal parts on the CPU");
        // Each process sends its part to all, straight into their rows: an all-gather of Gloo's has the whole row once more.
        auto started = std::make_unique<Message>();
        for (int64_t root = 0; root < size; ++root) {
            std::vector<at::Tensor> message{whole.narrow(0, root * part, part)};
            c10d::BroadcastOptions options;
            options.rootRank = root;
            started->works.push_back(processes.broadcast(message, options));
        }
        *out = reinterpret_cast<CTorchMessage *>(started.release());
    });
}

int finish_message(CTorchMessage *message, bool waits) {
    std::unique_ptr<Message> started(reinterpret_cast<Message *>(message));
    return guarded([&] {
        at::NoGradGuard no_gradients;
        if (waits) finish(*started);
    });
}

int sum_parts(CTorchGroup *group, CTorchTensor *row) {
    return guarded([&] {
        at::NoGradGuard no_gradients;
        at::Tensor whole = borrow(row);
        c10d::ProcessGroupGloo &processes = *group_of(group).processes;
        int64_t size = processes.getSize(), part = whole.numel() / size;
        TORCH_CHECK(
            whole.is_cpu() && whole.dim() == 1 && whole.is_contiguous() && part * size == whole.numel()
                && whole.scalar_type() == at::kFloat,
            "a row to add up is one of ", size, " equal parts of float32 on the CPU");
        std::vector<c10::intrusive_ptr<c10d::Work>> works;
        for (int64_t root = 0; root < size; ++root) {
            std::vector<at::Tensor> message{whole.narrow(0, root * part, part)};
            c10d::ReduceOptions options;
            options.rootRank = root;
            works.push_back(processes.reduce(message, options));
        }
        for (auto &work : works) work->wait();
    });
}

int feel_pulses(CTorchGroup *group, bool *beating) {
    return guarded([&] {
        Group &known = group_of(group);
        int32_t size = known.processes->getSize(), own = known.processes->getRank();
        auto told = std::make_shared<std::promise<std::vector<bool>>>();
        auto found = told->get_future();
        // A store whose host is lost answers never: then the thread is left where it is.
        std::thread([told, store = known.store, size, own, has_store = known.has_store] {
            try {
                store->add(search_of(own), 1);
                std::vector<int64_t> before;
                for (int32_t rank = 0; rank < size; ++rank) before.push_back(store->add(pulse_of(rank), 0));
                std::this_thread::sleep_for(feeling);
                std::vector<bool> beats;
                for (int32_t rank = 0; rank < size; ++rank)
                    beats.push_back(store->add(pulse_of(rank), 0) != before[rank] || store->add(search_of(rank), 0) > 0);
                store->add(finding_of(own), 1);
                // The others ask this process's store, and take it for the lost one if it ends before they have their answer.
                auto end = std::chrono::steady_clock::now() + feeling + beat;
                for (int32_t rank = 0; has_store && rank < size; ++rank)
                    while (beats[rank] && store->add(finding_of(rank), 0) == 0 && std::chrono::steady_clock::now() < end)
                        std::this_thread::sleep_for(beat / 20);
                told->set_value(beats);
            } catch (...) {
                told->set_exception(std::current_exception());
            }
        }).detach();
        TORCH_CHECK(found.wait_for(patience) == std::future_status::ready, "the store does not answer");
        std::vector<bool> beats = found.get();
        for (int32_t rank = 0; rank < size; ++rank) beating[rank] = beats[rank];
    });
}

void end_group(CTorchGroup *group) {
    std::unique_ptr<Group> ended(&group_of(group));
    {
        std::lock_guard<std::mutex> lock(ended->pulse->mutex);
        ended->pulse->is_over = true;
    }
    ended->pulse->change.notify_all();
}

#else

namespace {
int without_gloo() {
    return guarded([] {
        TORCH_CHECK(false, "this engine was built without Gloo's headers: install libgloo-dev and build it again");
    });
}
}  // namespace

int start_group(int32_t, int32_t, const char *, int32_t, const char *, bool, double, CTorchGroup **) { return without_gloo(); }
int use_device(CTorchGroup *, CTorchDevice, bool *) { return without_gloo(); }
int sum_over(CTorchGroup *, CTorchTensor *const *, int32_t) { return without_gloo(); }
int begin_sum(CTorchGroup *, CTorchTensor *const *, int32_t, CTorchMessage **) { return without_gloo(); }
int begin_gather(CTorchGroup *, CTorchTensor *, CTorchMessage **) { return without_gloo(); }
int finish_message(CTorchMessage *, bool) { return without_gloo(); }
int sum_parts(CTorchGroup *, CTorchTensor *) { return without_gloo(); }
int feel_pulses(CTorchGroup *, bool *) { return without_gloo(); }
void end_group(CTorchGroup *) {}

#endif

}  // namespace engine
