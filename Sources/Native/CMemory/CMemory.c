#include "CMemory.h"

#include <limits.h>
#include <malloc.h>

void cascade_memory_keep(size_t bytes) {
#ifdef M_TRIM_THRESHOLD
    // The largest block that glibc still takes from an arena; setting either value alone ends its own adapting.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, bytes < INT_MAX ? (int)bytes : INT_MAX);
#else
    (void)bytes;
#endif
}

void cascade_memory_release(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
