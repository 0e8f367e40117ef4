/// The door to the C library's allocator.
#pragma once
#include <stddef.h>

/// Lets each of the allocator's arenas keep up to `bytes` of freed memory for what is allocated next, for the whole
/// process and for good. Nothing happens where the C library has no such setting.
void cascade_memory_keep(size_t bytes);

/// Hands the whole pages of what the allocator keeps, in all its arenas, back to the system. What is allocated next takes
/// them anew, so this is for after something rare that took much. Nothing happens where the C library can't do so.
void cascade_memory_release(void);
