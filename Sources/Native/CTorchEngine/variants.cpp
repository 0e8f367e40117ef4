// Which variant of the kernels runs.
#include "variants.h"

#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "functions.h"

namespace engine {
namespace {

constexpr const char *setting = "CASCADE_ADAPT_KERNELS";

/// A variant by its name, and what keeps libtorch's own kernels from taking more: variables of oneDNN, ATen and MKL.
struct Row {
    const char *name, *onednn, *aten, *mkl;
};

constexpr Row table[] = {
    {"baseline", "SSE41", "default", "SSE4_2"},
    {"avx2", "AVX2", "avx2", "AVX2"},
    {"avx512", "AVX512_CORE", nullptr, "AVX512"},
    {"avx512_bf16", "AVX512_CORE_BF16", nullptr, "AVX512_E3"},
    {"amx", nullptr, nullptr, nullptr},
};

#if defined(__x86_64__)
/// AMX has state of its own: the system must keep it, beside the processor having the instructions.
bool has_amx() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned bfloat16 = 1u << 22, tiles = 1u << 24, saves_state = 1u << 27, tile_state = 3u << 17;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & saves_state) == 0) return false;
    unsigned low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & tile_state) == tile_state && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & bfloat16) != 0
        && (d & tiles) != 0;
}

int last_of_processor() {
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
        && __builtin_cpu_supports("fma") && __builtin_cpu_supports("x86-64-v3");
    if (!v3) return 0;
    if (!__builtin_cpu_supports("x86-64-v4")) return 1;
    if (!__builtin_cpu_supports("avx512bf16")) return 2;
    return has_amx() ? 4 : 3;
}
#else
int last_of_processor() { return 0; }
#endif

struct Choice {
    int index;
    std::string at_hand, problem;

    Choice() : index(last_of_processor()) {
        for (int i = 0; i <= index; ++i) at_hand += (i == 0 ? "" : ", ") + std::string(table[i].name);
        const char *asked = std::getenv(setting);
        if (asked == nullptr || *asked == 0) return;
        int count = sizeof(table) / sizeof(table[0]), found = 0;
        while (found < count && std::strcmp(table[found].name, asked) != 0) ++found;
        if (found == count) {
            problem = "there are no such kernels";
        } else if (found > index) {
            problem = "this processor cannot run these kernels";
        } else if (found < index) {
            index = found;
            // Before libtorch looks at them, which it does at its first operator.
            if (table[index].onednn != nullptr) setenv("ONEDNN_MAX_CPU_ISA", table[index].onednn, 0);
            if (table[index].aten != nullptr) setenv("ATEN_CPU_CAPABILITY", table[index].aten, 0);
            if (table[index].mkl != nullptr) setenv("MKL_ENABLE_INSTRUCTIONS", table[index].mkl, 0);
        }
    }
};

const Choice &choice() {
    static const Choice made;
    return made;
}

/// Read by every kernel at every call.
const Variant chosen = static_cast<Variant>(choice().index);

}  // namespace

Variant variant() { return chosen; }

const char *kernels() { return table[choice().index].name; }

const char *kernels_at_hand() { return choice().at_hand.c_str(); }

const char *kernels_problem() { return choice().problem.empty() ? nullptr : choice().problem.c_str(); }

int32_t fast_bfloat16() { return variant() >= Variant::avx512_bf16; }

}  // namespace engine
