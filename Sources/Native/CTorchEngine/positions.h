// Passes over channels-last activations [batch, positions, channels], some positions at a time. How they are cut does not depend on
// the number of threads.
#pragma once

#include <ATen/Functions.h>

#include <algorithm>

#include "parallel.h"

namespace engine {

struct PositionShape {
    int64_t batch, positions, channels;
};

/// Positions that one task takes; small, so that a task's part stays in the cache from pass to pass.
constexpr int64_t positions_per_task = 32;

/// Runs `part(sample, first row, count, task)` over all positions; rows are counted over all samples, and so are tasks.
template <typename Part>
void over_positions(const PositionShape &shape, const Part &part) {
    int64_t tasks = (shape.positions + positions_per_task - 1) / positions_per_task;
    parallel_for(0, shape.batch * tasks, 1, [&](int64_t from, int64_t to) {
        for (int64_t task = from; task < to; ++task) {
            int64_t first = (task % tasks) * positions_per_task, count = std::min(positions_per_task, shape.positions - first);
            part(task / tasks, (task / tasks) * shape.positions + first, count, task);
        }
    });
}

/// Sums over the positions of each sample, [batch, channels] float32: `part(first row, count, sums)` adds some positions to a row.
template <typename Part>
at::Tensor summed_over_positions(const PositionShape &shape, const Part &part) {
    int64_t tasks = (shape.positions + positions_per_task - 1) / positions_per_task;
    at::Tensor partial = at::zeros({shape.batch, tasks, shape.channels}, at::kFloat);
    float *sums = partial.data_ptr<float>();
    over_positions(shape, [&](int64_t, int64_t row, int64_t count, int64_t task) {
        part(row, count, sums + task * shape.channels);
    });
    return partial.sum(1);
}

}  // namespace engine
