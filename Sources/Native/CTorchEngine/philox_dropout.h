// What dropout draws: which elements of a sample stay, and the sources of a batch's samples.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/util/flat_hash_map.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "philox.h"

namespace engine {

/// Elements that one chunk of draws decides on.
constexpr int64_t dropout_chunk = philox_halves;

/// All ones where an element of a chunk is kept.
INLINE void kept_of(const PhiloxWords &words, uint32_t threshold, uint32_t *kept) {
    halves_of(words, kept, [threshold](uint32_t half) { return half < threshold ? 0 : 0xffffffffu; });
}

/// The half words below which an element becomes zero.
inline uint32_t dropout_threshold(double rate) { return static_cast<uint32_t>(std::lround(rate * 65536)); }

/// Where the draws of samples come from, a seed and a place for each.
struct PhiloxSamples {
    /// What a node of autograd keeps beside its tensors.
    using Record = ska::flat_hash_map<std::string, at::IValue>;

    std::vector<int64_t> seeds, places;
    int64_t stream, update;

    PhiloxSamples(at::IntArrayRef seeds, int64_t stream, int64_t update, at::IntArrayRef places)
        : seeds(seeds.vec()), places(places.vec()), stream(stream), update(update) {
        TORCH_CHECK(seeds.size() == places.size(), "philox: ", seeds.size(), " seeds, ", places.size(), " places");
        auto is_word = [](int64_t number) { return number >= 0 && number <= 0xffffffff; };
        TORCH_CHECK(
            is_word(stream) && is_word(update) && std::all_of(places.begin(), places.end(), is_word),
            "philox: stream, update and places have 32 bits");
    }

    /// Those that ``keep`` wrote down.
    static PhiloxSamples kept(const Record &record) {
        return {
            record.at("seeds").toIntVector(), record.at("stream").toInt(), record.at("update").toInt(),
            record.at("places").toIntVector()};
    }

    /// Writes them down for a backward pass.
    void keep(Record &record) const {
        record["seeds"] = seeds;
        record["stream"] = stream;
        record["update"] = update;
        record["places"] = places;
    }

    PhiloxSource at(int64_t row) const {
        return {
            static_cast<uint64_t>(seeds[row]), static_cast<uint32_t>(places[row]), static_cast<uint32_t>(update),
            static_cast<uint32_t>(stream)};
    }
};

/// Zeros at random places of x [samples, ...], the rest divided by 1 - rate.
at::Tensor philox_dropout(
    const at::Tensor &x, double rate, at::IntArrayRef seeds, int64_t stream, int64_t update, at::IntArrayRef places);

}  // namespace engine
