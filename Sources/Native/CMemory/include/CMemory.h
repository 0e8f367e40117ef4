/// The door to the C library's allocator.
#pragma once
#include <stddef.h>

/// Lets each of the allocator's arenas keep up to `bytes` of freed memory for what is allocated next, for the whole
/// process and for good. Nothing happens where the C library has no such setting.
void cascade_memory_keep(size_t bytes);
