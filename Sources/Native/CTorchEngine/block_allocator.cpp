// Memory of tensors on the CPU.
//
// A pass through a network takes and frees blocks of megabytes in ever other orders, and malloc's heap, from which it would
// take them, is soon full of holes that no block fits: twice what is alive was seen resident. So a large block is a mapping
// of its own, whose pages go back when it is freed; some freed ones wait to be used again, resized where they have another
// size, for a new mapping's pages have to be made.
#include <c10/core/Allocator.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "functions.h"
#include "handles.h"

namespace engine {
namespace {

/// Smaller blocks are malloc's.
constexpr size_t least = 256 << 10;
/// Bytes of freed blocks that may wait beside the most that was taken at once.
constexpr size_t beside_most = 16 << 20;

/// Of the thread's allocations to come the one that fails, counted from 1; 0 for none.
thread_local int64_t failing = 0;

/// What tensors take, and the most that they took at a time.
std::atomic<int64_t> counted{0}, most_counted{0};

class Blocks {
public:
    /// A block of at least so many bytes; null where there is no memory.
    void *take(size_t bytes) {
        size_t size = class_of(bytes);
        std::lock_guard<std::mutex> lock(mutex);
        void *start = waiting_one(size);
        if (start == nullptr) start = resized_one(size);
        if (start == nullptr) start = map(size);
        if (start == nullptr) {
            drop(0);
            start = map(size);
        }
        if (start != nullptr) {
            taken[start] = {size, bytes};
            taken_bytes += size;
            most_taken = std::max(most_taken, taken_bytes);
            // A new block is beside those that wait.
            drop(most_taken - taken_bytes + beside_most);
        }
        return start;
    }

    /// Whether it is one of these.
    /// - Parameter asked: becomes the bytes that were asked for.
    bool give_back(void *start, size_t &asked) {
        // Mappings begin with a page.
        if (reinterpret_cast<uintptr_t>(start) % page != 0) return false;
        std::lock_guard<std::mutex> lock(mutex);
        auto found = taken.find(start);
        if (found == taken.end()) return false;
        Block block{start, found->second.size};
        asked = found->second.asked;
        taken.erase(found);
        taken_bytes -= block.size;
        waiting.push_back(block);
        waiting_bytes += block.size;
        drop(most_taken - taken_bytes + beside_most);
        return true;
    }

    /// Hands back all that wait, and begins anew with what is the most at a time.
    void release() {
        std::lock_guard<std::mutex> lock(mutex);
        drop(0);
        most_taken = taken_bytes;
    }

private:
    struct Block {
        void *start;
        size_t size;
    };

    /// What a block has that is asked for so many bytes: an eighth more at most, so that others of about the size fit it later.
    size_t class_of(size_t bytes) const {
        size_t step = std::max(page, (size_t{1} << (63 - __builtin_clzll(bytes))) / 8);
        return (bytes + step - 1) / step * step;
    }

    /// The block of a size that was freed last, whose pages may still be in the cache; null where none waits.
    void *waiting_one(size_t size) {
        for (auto block = waiting.rbegin(); block != waiting.rend(); ++block) {
            if (block->size != size) continue;
            void *start = block->start;
            waiting.erase(std::next(block).base());
            waiting_bytes -= size;
            return start;
        }
        return nullptr;
    }

    /// The waiting block that is nearest in size made so large, where others would have to go for a new one: the pages that it has
    /// need not be made again. Null where none has to go.
    void *resized_one(size_t size) {
        size_t taken_then = taken_bytes + size;
        if (waiting_bytes <= std::max(most_taken, taken_then) - taken_then + beside_most) return nullptr;
        auto gap = [size](const Block &block) { return std::max(block.size, size) - std::min(block.size, size); };
        auto nearest = std::min_element(
            waiting.begin(), waiting.end(), [&](const Block &a, const Block &b) { return gap(a) < gap(b); });
        void *start = mremap(nearest->start, nearest->size, size, MREMAP_MAYMOVE);
        if (start == MAP_FAILED) return nullptr;
        waiting_bytes -= nearest->size;
        waiting.erase(nearest);
        return start;
    }

    static void *map(size_t size) {
        void *start = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return start == MAP_FAILED ? nullptr : start;
    }

    /// Hands those back that wait for longest, until no more wait than that.
    void drop(size_t bytes) {
        size_t count = 0;
        for (; count < waiting.size() && waiting_bytes > bytes; ++count) {
            munmap(waiting[count].start, waiting[count].size);
            waiting_bytes -= waiting[count].size;
        }
        waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(count));
    }

    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::mutex mutex;
    struct Taken {
        size_t size, asked;
    };
    std::unordered_map<void *, Taken> taken;
    /// In the order in which they were freed. Together with what is taken they have hardly more than was once taken at a time, so
    /// that what is kept for its speed does not raise the peak.
    std::vector<Block> waiting;
    size_t waiting_bytes = 0, taken_bytes = 0, most_taken = 0;
};

/// Lives as long as the process, for tensors may.
Blocks &blocks() {
    static auto *const made = new Blocks;
    return *made;
}

/// What gives out the small ones.
c10::Allocator *small_allocator() {
    static c10::Allocator *const inner = c10::GetAllocator(c10::DeviceType::CPU);
    return inner;
}

void free_block(void *start) {
    if (start == nullptr) return;
    size_t asked = 0;
    if (blocks().give_back(start, asked)) return count_bytes(-static_cast<int64_t>(asked));
    count_bytes(-static_cast<int64_t>(malloc_usable_size(start)));
    small_allocator()->raw_deallocate(start);
}

/// libtorch's allocator, but for large blocks.
struct BlockAllocator final : c10::Allocator {
    c10::DataPtr allocate(size_t bytes) override {
        void *start = nullptr;
        if (failing == 0 || --failing != 0) {
            start = bytes < least ? small_allocator()->raw_allocate(bytes) : blocks().take(bytes);
            if (start != nullptr) count_bytes(static_cast<int64_t>(bytes < least ? malloc_usable_size(start) : bytes));
            if (bytes == 0) return {start, start, free_block, c10::Device(c10::DeviceType::CPU)};
        }
        TORCH_CHECK_WITH(OutOfMemoryError, start != nullptr, "there is no memory for a tensor of ", bytes, " bytes");
        return {start, start, free_block, c10::Device(c10::DeviceType::CPU)};
    }

    c10::DeleterFnPtr raw_deleter() const override { return free_block; }

    void copy_data(void *to, const void *from, size_t count) const override { default_copy_data(to, from, count); }
};

}  // namespace

void use_block_allocator() {
    small_allocator();
    static BlockAllocator *const allocator = [] {
        auto *made = new BlockAllocator;
        c10::SetAllocator(c10::DeviceType::CPU, made);
        return made;
    }();
    (void)allocator;
}

void release_memory() { blocks().release(); }

void count_bytes(int64_t bytes) {
    int64_t now = counted.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    int64_t most = most_counted.load(std::memory_order_relaxed);
    while (now > most && !most_counted.compare_exchange_weak(most, now, std::memory_order_relaxed)) {}
}

void tensor_bytes(int64_t *now, int64_t *most) {
    *now = counted.load(std::memory_order_relaxed);
    *most = most_counted.load(std::memory_order_relaxed);
}

void reset_tensor_bytes() { most_counted.store(counted.load(std::memory_order_relaxed), std::memory_order_relaxed); }

int fail_allocation(int64_t number) {
    failing = number;
    return 0;
}

}  // namespace engine
