#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "CTorch.h"

/// Opens one of libtorch's libraries by its path, so that whoever needs one of that name gets this.
static int open_library(const char *folder, const char *name, int flags, char *message, size_t message_capacity) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        snprintf(message, message_capacity, "the path of %s is too long", name);
        return 1;
    }
    if (dlopen(path, RTLD_NOW | RTLD_LOCAL | flags) != NULL) return 0;
    snprintf(message, message_capacity, "%s", dlerror());
    return 1;
}

int ctorch_open(
    const char *path, const char *libraries, const CTorchTable **out, char *message, size_t message_capacity) {
    // libtorch's OpenMP reads this when it is loaded. Its threads spin for milliseconds by default, which stalls every
    // operator where another process or the data thread has a core; a short spin costs nothing on a quiet machine.
    if (getenv("OMP_WAIT_POLICY") == NULL) setenv("GOMP_SPINCOUNT", "1000", 0);
    // What goes wrong between processes comes back as an error: libtorch would log it, with its stack, before.
    setenv("TORCH_CPP_LOG_LEVEL", "FATAL", 0);
    // DEEPBIND keeps libtorch's BLAS symbols and those of OpenBLAS from catching each other's calls.
    if (libraries != NULL) {
        if (open_library(libraries, "libc10.so", RTLD_DEEPBIND, message, message_capacity) != 0) return 1;
        if (open_library(libraries, "libtorch_cpu.so", RTLD_DEEPBIND, message, message_capacity) != 0) return 1;
        // The engine asks for it by name and works on the CPU where it can't be had.
        char ignored[1];
        (void)open_library(libraries, "libtorch_cuda.so", 0, ignored, sizeof ignored);
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (handle == NULL) {
        snprintf(message, message_capacity, "%s", dlerror());
        return 1;
    }
    const CTorchTable *(*table)(void) = (const CTorchTable *(*)(void))dlsym(handle, "ctorch_engine_table");
    if (table == NULL) {
        snprintf(message, message_capacity, "%s is not an engine library: it has no ctorch_engine_table", path);
        return 1;
    }
    const CTorchTable *found = table();
    if (found == NULL || found->abi != CTORCH_ABI) {
        snprintf(
            message, message_capacity, "%s has engine interface %d, this program wants %d", path,
            found == NULL ? 0 : (int)found->abi, CTORCH_ABI);
        return 1;
    }
    *out = found;
    return 0;
}

void ctorch_executable_folder(char *out, size_t capacity) {
    out[0] = 0;
    ssize_t length = readlink("/proc/self/exe", out, capacity - 1);
    if (length <= 0) {
        out[0] = 0;
        return;
    }
    out[length] = 0;
    char *slash = strrchr(out, '/');
    if (slash != NULL) *slash = 0;
}
