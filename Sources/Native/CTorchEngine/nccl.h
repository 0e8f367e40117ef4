// Sums of rows of numbers that lie on GPUs, one GPU for each process.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <array>

namespace engine {

/// The processes' GPUs, joined by NCCL.
class GPURing {
public:
    /// What the processes of a ring have in common, made by one of them.
    using Key = std::array<char, 128>;

    /// Whether NCCL was found.
    static bool is_there();
    static Key make_key();

    /// Joins the ring, and waits until all others have.
    GPURing(const Key &key, int size, int rank, c10::Device device);
    ~GPURing();
    GPURing(const GPURing &) = delete;
    GPURing &operator=(const GPURing &) = delete;

    /// Whether it can add up numbers of a type that lie on a device.
    bool takes(c10::Device device, at::ScalarType type) const;
    /// Begins to put the sum over all processes in the place of a row, once its GPU has computed what it was asked so far.
    /// Sums follow each other in the order in which they are begun.
    c10::Event begin_sum(const at::Tensor &row);
    /// Fails where the ring is broken.
    void check() const;

private:
    c10::Device device;
    c10::Stream sending;
    void *communicator = nullptr;
};

}  // namespace engine
