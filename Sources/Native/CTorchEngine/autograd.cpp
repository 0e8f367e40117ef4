// Gradients: leaves, backward passes, nodes whose backward pass the caller supplies, and what is done with a gradient as
// soon as it is there.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include "functions.h"
#include "handles.h"

namespace engine {
namespace {

/// A node of the graph whose backward pass is a function of the caller's.
struct HostNode : torch::autograd::Node {
    CTorchBackward host_backward;
    CTorchReleaseContext release_context;
    void *context;
    int32_t input_count;

    ~HostNode() override { release_context(context); }

    torch::autograd::variable_list apply(torch::autograd::variable_list &&gradients) override {
        std::vector<CTorchTensor *> incoming;
        for (const at::Tensor &gradient : gradients) incoming.push_back(give(gradient));
        std::vector<CTorchTensor *> outgoing(input_count, nullptr);
        char message[1024] = "";
        int status = host_backward(
            context, incoming.data(), static_cast<int32_t>(incoming.size()), outgoing.data(), input_count, message,
            sizeof message);
        for (CTorchTensor *handle : incoming) release(handle);
        torch::autograd::variable_list result;
        for (CTorchTensor *handle : outgoing) {
            result.push_back(borrow(handle));
            release(handle);
        }
        check_caller(status, message);
        return result;
    }

    std::string name() const override { return "HostNode"; }
};

/// Runs a function of the caller's once a leaf's gradient has been added to.
struct HostHook : torch::autograd::PostAccumulateGradHook {
    CTorchGradientHook body;
    CTorchReleaseContext release_context;
    void *context;

    HostHook(CTorchGradientHook body, CTorchReleaseContext release_context, void *context)
        : body(body), release_context(release_context), context(context) {}

    ~HostHook() override { release_context(context); }

    void operator()(const torch::autograd::Variable &) override {
        char message[1024] = "";
        int status = body(context, message, sizeof message);
        check_caller(status, message);
    }
};

std::vector<at::Tensor> borrow_all(CTorchTensor *const *handles, int32_t count) {
    std::vector<at::Tensor> tensors;
    tensors.reserve(count);
    for (int32_t i = 0; i < count; ++i) tensors.push_back(borrow(handles[i]));
    return tensors;
}

}  // namespace

int set_requires_grad(CTorchTensor *tensor, bool value) {
    return guarded([&] { borrow(tensor).requires_grad_(value); });
}

int gradient(const CTorchTensor *tensor, CTorchTensor **out) {
    return guarded([&] { *out = give(borrow(tensor).grad()); });
}

int set_gradient(CTorchTensor *tensor, CTorchTensor *gradient) {
    return guarded([&] { borrow(tensor).mutable_grad() = borrow(gradient); });
}

int set_gradient_hook(
    CTorchTensor *leaf, CTorchGradientHook hook, CTorchReleaseContext release_context, void *context) {
    return guarded([&] {
        std::unique_ptr<HostHook> made;
        if (hook != nullptr) made = std::make_unique<HostHook>(hook, release_context, context);
        at::Tensor tensor = borrow(leaf);
        TORCH_CHECK(tensor.is_leaf() && tensor.requires_grad(), "a gradient hook is for a leaf that wants a gradient");
        torch::autograd::impl::set_post_acc_grad_hooks(tensor, std::move(made));
    });
}

int backward(CTorchTensor *const *roots, CTorchTensor *const *gradients, int32_t count) {
    return guarded([&] { torch::autograd::backward(borrow_all(roots, count), borrow_all(gradients, count)); });
}

bool grad_enabled() { return at::GradMode::is_enabled(); }

void set_grad_enabled(bool value) { at::GradMode::set_enabled(value); }

int record(
    CTorchTensor *const *inputs, int32_t input_count, CTorchTensor *const *outputs, int32_t output_count,
    CTorchBackward backward, CTorchReleaseContext release_context, void *context) {
    return guarded([&] {
        auto node = c10::make_intrusive<HostNode>();
        node->host_backward = backward;
        node->release_context = release_context;
        node->context = context;
        node->input_count = input_count;
        std::vector<at::Tensor> sources = borrow_all(inputs, input_count);
        node->set_next_edges(torch::autograd::collect_next_edges(sources));
        for (const at::Tensor &output : borrow_all(outputs, output_count))
            torch::autograd::set_history(output, node);
    });
}

}  // namespace engine
