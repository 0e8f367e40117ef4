/// The heart of SHA-256 (FIPS 180-4), by the processor's own instructions where it has them.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Takes `blocks` times 64 bytes into the state, which begins as FIPS 180-4, 5.3.3 has it.
void cascade_sha256_blocks(uint32_t state[8], const uint8_t *bytes, size_t blocks);

/// The same without instructions of the processor's own, for machines that lack them.
void cascade_sha256_plain_blocks(uint32_t state[8], const uint8_t *bytes, size_t blocks);
