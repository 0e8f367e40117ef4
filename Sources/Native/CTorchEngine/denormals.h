// Numbers too small for float's full precision count as zero while libtorch computes: processors take up to a hundred times
// as long over a product with them, and gradients come to hold many as a network learns.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace engine {

/// Flushes such numbers, in arguments and results, until it goes; then the thread is as it was. Threads that libtorch
/// starts meanwhile keep the mode.
class FlushedDenormals {
   public:
    FlushedDenormals(const FlushedDenormals &) = delete;
    FlushedDenormals &operator=(const FlushedDenormals &) = delete;

#if defined(__x86_64__)
    FlushedDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | flush_to_zero | denormals_are_zero); }
    ~FlushedDenormals() { _mm_setcsr(before_); }

   private:
    static constexpr unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x0040;
    unsigned before_;
#elif defined(__aarch64__)
    FlushedDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" ::"r"(before_ | flush_to_zero));
    }
    ~FlushedDenormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

   private:
    static constexpr unsigned long flush_to_zero = 1ul << 24;
    unsigned long before_;
#else
    FlushedDenormals() {}
    ~FlushedDenormals() {}
#endif
};

}  // namespace engine
