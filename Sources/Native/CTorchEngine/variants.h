// The engine's kernels, compiled side by side for what processors have, and which of them run: the one table of variants.
#pragma once

#include <type_traits>

/// Marks a function or a lambda that becomes a part of the variant that calls it.
#define INLINED __attribute__((always_inline))
#define INLINE INLINED static inline

// How wide vectors are handed over depends on the variant; here none is, for what takes them is inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace engine {

/// Each has what those before it have.
enum class Variant {
    /// What every processor of the architecture has.
    baseline,
    /// AVX2 with FMA, x86-64-v3.
    avx2,
    /// AVX-512, x86-64-v4.
    avx512,
    /// And instructions for bfloat16.
    avx512_bf16,
    /// And products of tiles of bfloat16, which are oneDNN's.
    amx,
};

/// The one that runs: the last that the processor has, or what `CASCADE_ADAPT_KERNELS` names. Chosen once.
Variant variant();

/// The variant that a kernel is compiled for, as a value of the compiler's: what a lambda may take that has instructions for
/// a variant.
template <Variant variant>
using Compiled = std::integral_constant<Variant, variant>;

// The body is copied, so that what it holds may live in registers.
#define VARIANT(run, variant, attributes)                                                                             \
    template <typename Body>                                                                                          \
    __attribute__((noinline)) attributes void run##_##variant(const Body &body) {                                     \
        Body own = body;                                                                                              \
        if constexpr (std::is_invocable_v<Body, Compiled<Variant::variant>>)                                          \
            own(Compiled<Variant::variant>());                                                                        \
        else                                                                                                          \
            own();                                                                                                    \
    }
#define FEATURES_AVX2 "avx2,bmi,bmi2,f16c,fma,lzcnt,movbe"
#define FEATURES_AVX512 FEATURES_AVX2 ",avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
// `run(body)` runs a lambda that is INLINED, and all that is inlined in it, as the chosen variant has it. The lambda holds
// what it works on by value.
#if defined(__x86_64__)
#define VARIANTS(run, attributes)                                                                                     \
    VARIANT(run, baseline, attributes)                                                                                \
    VARIANT(run, avx2, attributes __attribute__((target(FEATURES_AVX2))))                                             \
    VARIANT(run, avx512, attributes __attribute__((target(FEATURES_AVX512))))                                         \
    VARIANT(run, avx512_bf16, attributes __attribute__((target(FEATURES_AVX512 ",avx512bf16"))))                      \
    template <typename Body>                                                                                          \
    inline void run(const Body &body) {                                                                               \
        switch (variant()) {                                                                                          \
            case Variant::baseline: return run##_baseline(body);                                                      \
            case Variant::avx2: return run##_avx2(body);                                                              \
            case Variant::avx512: return run##_avx512(body);                                                          \
            case Variant::avx512_bf16:                                                                                \
            case Variant::amx: return run##_avx512_bf16(body);                                                        \
        }                                                                                                             \
    }
#else
#define VARIANTS(run, attributes)                                                                                     \
    VARIANT(run, baseline, attributes)                                                                                \
    template <typename Body>                                                                                          \
    inline void run(const Body &body) { run##_baseline(body); }
#endif

VARIANTS(vectorised, )

// The same for kernels that give the same bits everywhere: a product and a sum are rounded one after the other. Of clang a
// function asks for that in its first line.
#if defined(__clang__)
#define SEPARATE_ROUNDING _Pragma("clang fp contract(off)")
VARIANTS(vectorised_alike, )
#else
#define SEPARATE_ROUNDING
VARIANTS(vectorised_alike, __attribute__((optimize("fp-contract=off"))))
#endif
#undef VARIANTS
#undef VARIANT
#undef FEATURES_AVX2
#undef FEATURES_AVX512

}  // namespace engine
