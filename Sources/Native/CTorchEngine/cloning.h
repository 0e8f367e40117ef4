// Marks for kernels that the compiler vectorises.
#pragma once

// One clone for each vector width, chosen by the processor's features when the library is loaded: AVX-512, or AVX2 with
// FMA, or what every processor of the architecture has. A processor's name would leave out all others that have them.
#if defined(__x86_64__) && defined(__linux__)
#define CLONED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONED
#endif
#define INLINE __attribute__((always_inline)) static inline
