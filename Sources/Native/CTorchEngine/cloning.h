// Marks for kernels that the compiler vectorises.
#pragma once

// One clone for each vector width, chosen when the library is loaded.
#if defined(__x86_64__) && defined(__linux__)
#define CLONED __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define CLONED
#endif
#define INLINE __attribute__((always_inline)) static inline
