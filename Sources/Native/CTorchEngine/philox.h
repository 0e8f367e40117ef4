// Random numbers that are computed from where they belong: Philox 4x32-10 (Salmon et al. 2011).
//
// A block of four words comes from a key of 64 bits and a counter of four words. The key is the seed; the counter is
// (block, place of the sample, update, stream), so no number depends on what was drawn before it.
#pragma once

#include <cstdint>

#include "variants.h"

namespace engine {

/// What a sample's numbers come from.
struct PhiloxSource {
    uint64_t seed;
    uint32_t place, update, stream;
};

/// Blocks that are computed side by side. Numbers are laid out by them: of a chunk of 16 blocks the first 16 numbers
/// are the blocks' first words, the next 16 their second words, and so on.
constexpr int64_t philox_lanes = 16;
/// Words of a chunk.
constexpr int64_t philox_chunk = 4 * philox_lanes;

/// The words of a chunk of blocks, by word and lane.
struct PhiloxWords {
    uint32_t word[4][philox_lanes];
};

INLINE void philox(const PhiloxSource &source, uint32_t chunk, PhiloxWords &words) {
    // Words lie in the low halves of 64 bits, where the products want them. The high halves hold whatever is left over.
    constexpr uint64_t low = 0xffffffff;
    uint64_t c0[philox_lanes], c1[philox_lanes], c2[philox_lanes], c3[philox_lanes];
    for (uint32_t lane = 0; lane < philox_lanes; ++lane) {
        c0[lane] = chunk * philox_lanes + lane;
        c1[lane] = source.place;
        c2[lane] = source.update;
        c3[lane] = source.stream;
    }
    uint32_t k0 = static_cast<uint32_t>(source.seed), k1 = static_cast<uint32_t>(source.seed >> 32);
    for (int round = 0; round < 10; ++round) {
        for (int64_t lane = 0; lane < philox_lanes; ++lane) {
            uint64_t first = (c0[lane] & low) * 0xD2511F53u, second = (c2[lane] & low) * 0xCD9E8D57u;
            c0[lane] = (second >> 32) ^ c1[lane] ^ k0;
            c2[lane] = (first >> 32) ^ c3[lane] ^ k1;
            c1[lane] = second;
            c3[lane] = first;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int64_t lane = 0; lane < philox_lanes; ++lane) {
        words.word[0][lane] = static_cast<uint32_t>(c0[lane]);
        words.word[1][lane] = static_cast<uint32_t>(c1[lane]);
        words.word[2][lane] = static_cast<uint32_t>(c2[lane]);
        words.word[3][lane] = static_cast<uint32_t>(c3[lane]);
    }
}

/// Numbers of 16 bits that a chunk has, two of each word.
constexpr int64_t philox_halves = 2 * philox_chunk;

/// What `use` makes of a chunk's numbers of 16 bits: the first 16 are the low halves of the first words of its blocks, the
/// next 16 their high halves, and so on.
template <typename Use>
INLINE void halves_of(const PhiloxWords &words, uint32_t *to, const Use &use) {
    // Lane by lane, and not word by word, or it is not vectorised.
    for (int64_t lane = 0; lane < philox_lanes; ++lane) {
        uint32_t w0 = words.word[0][lane], w1 = words.word[1][lane];
        uint32_t w2 = words.word[2][lane], w3 = words.word[3][lane];
        to[0 * philox_lanes + lane] = use(w0 & 0xffff);
        to[1 * philox_lanes + lane] = use(w0 >> 16);
        to[2 * philox_lanes + lane] = use(w1 & 0xffff);
        to[3 * philox_lanes + lane] = use(w1 >> 16);
        to[4 * philox_lanes + lane] = use(w2 & 0xffff);
        to[5 * philox_lanes + lane] = use(w2 >> 16);
        to[6 * philox_lanes + lane] = use(w3 & 0xffff);
        to[7 * philox_lanes + lane] = use(w3 >> 16);
    }
}

}  // namespace engine
