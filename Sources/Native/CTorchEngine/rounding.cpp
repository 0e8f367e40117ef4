// Float32 to bfloat16 with stochastic rounding: up or down so that the mean of many draws is the number itself.
//
// A number goes to one of its two neighbours in bfloat16, to the upper one with the share of the way that it has come
// from the lower. With the nearest one, steps below half the distance of neighbours would all be lost. The chance is 16
// bits by Philox (philox.h), so it depends on where a number stands and on nothing that was drawn before.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>

#include "parallel.h"
#include "philox.h"

namespace engine {
namespace {

/// Chunks that a thread takes at once.
constexpr int64_t grain = 64;

/// What is not finite stays what it is.
INLINE uint16_t rounded(float value, uint32_t chance) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bool is_finite = (bits & 0x7f800000u) != 0x7f800000u;
    uint32_t quiet = bits | ((bits & 0x007fffffu) != 0 ? 0x00400000u : 0u);
    return static_cast<uint16_t>((is_finite ? bits + chance : quiet) >> 16);
}

INLINE void round_chunks(
    const PhiloxSource &source, int64_t before, int64_t begin, int64_t end, int64_t count, const float *from,
    uint16_t *to) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        PhiloxWords words;
        philox(source, static_cast<uint32_t>(before + chunk), words);
        uint32_t chance[philox_halves];
        halves_of(words, chance, [](uint32_t half) { return half; });
        int64_t first = chunk * philox_halves, left = std::min(philox_halves, count - first);
        for (int64_t i = 0; i < left; ++i) to[first + i] = rounded(from[first + i], chance[i]);
    }
}

/// The same by libtorch's operators, on any device.
at::Tensor rounded_generally(
    const at::Tensor &from, int64_t seed, int64_t stream, int64_t update, int64_t place, int64_t first) {
    static const auto words_of =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("cascade::philox_composed", "")
            .typed<at::Tensor(at::IntArrayRef, int64_t, int64_t, at::IntArrayRef, int64_t, at::Device)>();
    int64_t count = from.numel(), words = (first + count + philox_halves - 1) / philox_halves * philox_chunk;
    at::Tensor drawn =
        words_of.call({seed}, stream, update, {place}, words, from.device()).reshape({-1, 1, philox_lanes});
    at::Tensor chance = at::cat({drawn.__and__(0xffff), drawn.__rshift__(16)}, 1).flatten().slice(0, first, first + count);
    at::Tensor flat = from.flatten();
    at::Tensor bits = (flat.view(at::kInt) + chance.to(at::kInt)).__and__(static_cast<int64_t>(-65536));
    return at::where(flat.isfinite(), bits.view(at::kFloat), flat).to(at::kBFloat16).view(from.sizes());
}

/// `first` says where in a larger tensor the numbers begin, of which each has the chance that it has there.
void round_by_chance_(
    const at::Tensor &to, const at::Tensor &from, int64_t seed, int64_t stream, int64_t update, int64_t place,
    bool fused, int64_t first) {
    auto is_word = [](int64_t number) { return number >= 0 && number <= 0xffffffff; };
    TORCH_CHECK(
        to.scalar_type() == at::kBFloat16 && from.scalar_type() == at::kFloat && to.sizes() == from.sizes()
            && to.device() == from.device(),
        "round_by_chance_: ", from.scalar_type(), " ", from.sizes(), " to ", to.scalar_type(), " ", to.sizes());
    TORCH_CHECK(
        is_word(stream) && is_word(update) && is_word(place), "round_by_chance_: stream, update and place have 32 bits");
    TORCH_CHECK(
        first >= 0 && first % philox_halves == 0, "round_by_chance_: a part begins at a multiple of ", philox_halves,
        " numbers, and not at ", first);
    int64_t count = from.numel(), chunks = (count + philox_halves - 1) / philox_halves;
    int64_t before = first / philox_halves, most = (int64_t{1} << 32) / philox_lanes;
    TORCH_CHECK(
        before <= most && chunks <= most - before, "round_by_chance_: ", count, " numbers from ", first,
        " are too many");
    // Elements are counted in logical order, whatever their order in memory.
    at::Tensor source = from.contiguous();
    if (!fused || !to.is_cpu() || !to.is_contiguous()) {
        to.copy_(rounded_generally(source, seed, stream, update, place, first));
        return;
    }
    PhiloxSource philox{
        static_cast<uint64_t>(seed), static_cast<uint32_t>(place), static_cast<uint32_t>(update),
        static_cast<uint32_t>(stream)};
    auto *numbers = source.const_data_ptr<float>();
    auto *out = static_cast<uint16_t *>(to.data_ptr());
    parallel_for(0, chunks, grain, [&](int64_t begin, int64_t end) {
        vectorised_alike([=]() INLINED { round_chunks(philox, before, begin, end, count, numbers, out); });
    });
}

}  // namespace
}  // namespace engine

TORCH_LIBRARY_FRAGMENT(cascade, library) {
    library.def(
        "round_by_chance_(Tensor(a!) to, Tensor from, int seed, int stream, int update, int place, bool fused=True, "
        "int first=0) -> ()",
        engine::round_by_chance_);
}
