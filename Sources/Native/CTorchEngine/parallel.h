// Loops over libtorch's threads. `at::parallel_for` is a template that has threads where it is compiled with -fopenmp alone, and
// clang's option would bring a second pool of them: so libtorch's own runtime, GNU's, is asked for its threads by the interface
// that g++ compiles to. Where libtorch has another runtime, loops run on one thread.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

extern "C" {
__attribute__((weak)) void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
__attribute__((weak)) int omp_get_thread_num(void);
__attribute__((weak)) int omp_get_num_threads(void);
__attribute__((weak)) int omp_in_parallel(void);
}

namespace engine {

/// Whether a loop can have more threads than the one that calls it.
inline bool has_more_threads() {
    return GOMP_parallel != nullptr && omp_get_thread_num != nullptr && omp_get_num_threads != nullptr
        && omp_in_parallel != nullptr && at::get_num_threads() > 1 && omp_in_parallel() == 0;
}

/// Calls `body(from, to)` for equal parts of the range, each on a thread of its own, as many as there are threads and multiples of
/// `grain`. What the first of them throws is thrown in the end.
template <typename Body>
void parallel_for(int64_t begin, int64_t end, int64_t grain, const Body &body) {
    grain = std::max<int64_t>(grain, 1);
    if (begin >= end) return;
    if (end - begin <= grain || !has_more_threads()) return body(begin, end);
    struct Loop {
        int64_t begin, end, grain;
        const Body &body;
        std::atomic_flag has_failed = ATOMIC_FLAG_INIT;
        std::exception_ptr failure;
    } loop{begin, end, grain, body};
    GOMP_parallel(
        [](void *data) {
            Loop &loop = *static_cast<Loop *>(data);
            int64_t count = loop.end - loop.begin, most = (count + loop.grain - 1) / loop.grain;
            int64_t threads = std::min<int64_t>(omp_get_num_threads(), most), part = (count + threads - 1) / threads;
            int64_t from = loop.begin + omp_get_thread_num() * part;
            if (from >= loop.end) return;
            try {
                loop.body(from, std::min(loop.end, from + part));
            } catch (...) {
                if (!loop.has_failed.test_and_set()) loop.failure = std::current_exception();
            }
        },
        &loop, 0, 0);
    if (loop.failure) std::rethrow_exception(loop.failure);
}

}  // namespace engine
