// Lists of tensors cut into chunks of equal size, so that many small ones and one large one keep all threads busy.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "parallel.h"

namespace engine {

struct Chunk {
    size_t tensor;
    int64_t begin, end;
};

/// Elements of a chunk: a whole number of quantised blocks, small enough for the cache.
constexpr int64_t chunk_elements = 16384;

inline std::vector<Chunk> chunks_of(at::TensorList tensors) {
    std::vector<Chunk> chunks;
    for (size_t i = 0; i < tensors.size(); ++i)
        for (int64_t begin = 0; begin < tensors[i].numel(); begin += chunk_elements)
            chunks.push_back({i, begin, std::min(begin + chunk_elements, tensors[i].numel())});
    return chunks;
}

/// Runs `body(index, chunk)` over all chunks. How they are cut does not depend on the number of threads.
template <typename Body>
void over_chunks(const std::vector<Chunk> &chunks, const Body &body) {
    parallel_for(0, static_cast<int64_t>(chunks.size()), 1, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; ++i) body(i, chunks[i]);
    });
}

}  // namespace engine
