// Which of a kernel's clones this processor runs.
#include <dlfcn.h>

#include <string>

#include "cloning.h"
#include "functions.h"

namespace engine {

/// Where it returns to: an address within whatever calls it.
__attribute__((noinline)) const void *caller() { return __builtin_return_address(0); }

/// An address within the clone that runs. It is not static, so that the loader knows the clones' names.
CLONED const void *address_of_clone() {
    const void *volatile address = caller();
    return address;
}

const char *kernels() {
    static const std::string name = [] {
        Dl_info info;
        if (dladdr(const_cast<void *>(address_of_clone()), &info) == 0 || info.dli_sname == nullptr)
            return std::string("unknown");
        // "address_of_clone.arch_x86-64-v4.0", or with `default` in the middle.
        std::string symbol = info.dli_sname;
        // Some compilers keep the clones to themselves, and the loader then knows a neighbour alone.
        if (symbol.find("address_of_clone") == std::string::npos) return std::string("unknown");
        auto from = symbol.find('.');
        if (from == std::string::npos) return std::string("default");
        std::string clone = symbol.substr(from + 1, symbol.find('.', from + 1) - from - 1);
        return clone.rfind("arch_", 0) == 0 ? clone.substr(5) : clone;
    }();
    return name.c_str();
}

}  // namespace engine
