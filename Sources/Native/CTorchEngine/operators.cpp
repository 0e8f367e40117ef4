// Calls of operators through libtorch's boxed dispatcher.
#include "functions.h"

#include <ATen/core/Generator.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <vector>

#include "handles.h"

namespace engine {
namespace {

c10::IValue to_ivalue(const CTorchValue &value) {
    switch (value.tag) {
        case CTORCH_NONE: return c10::IValue();
        case CTORCH_TENSOR: return c10::IValue(borrow(value.tensor));
        case CTORCH_INT: return c10::IValue(value.integer);
        case CTORCH_DOUBLE: return c10::IValue(value.number);
        case CTORCH_BOOL: return c10::IValue(value.integer != 0);
        case CTORCH_INTS:
            return c10::IValue(std::vector<int64_t>(value.integers, value.integers + value.count));
        case CTORCH_DOUBLES:
            return c10::IValue(std::vector<double>(value.numbers, value.numbers + value.count));
        case CTORCH_TENSORS: {
            c10::List<at::Tensor> list;
            list.reserve(value.count);
            for (int32_t i = 0; i < value.count; ++i) list.push_back(borrow(value.tensors[i]));
            return c10::IValue(std::move(list));
        }
        case CTORCH_OPTIONAL_TENSORS: {
            c10::List<std::optional<at::Tensor>> list;
            list.reserve(value.count);
            for (int32_t i = 0; i < value.count; ++i) {
                if (value.tensors[i] == nullptr)
                    list.push_back(std::nullopt);
                else
                    list.push_back(borrow(value.tensors[i]));
            }
            return c10::IValue(std::move(list));
        }
        case CTORCH_STRING: return c10::IValue(std::string(value.text));
        case CTORCH_GENERATOR: return c10::IValue(*reinterpret_cast<at::Generator *>(value.generator));
        case CTORCH_DEVICE: {
            auto type = value.integer == 0 ? c10::DeviceType::CPU : c10::DeviceType::CUDA;
            return c10::IValue(c10::Device(type, static_cast<c10::DeviceIndex>(value.count)));
        }
        default: TORCH_CHECK(false, "argument with unknown tag ", value.tag);
    }
}

void push_result(const c10::IValue &value, CTorchValue *results, int32_t &count) {
    TORCH_CHECK(count < CTORCH_MAX_RESULTS, "an operator returned more than ", CTORCH_MAX_RESULTS, " values");
    if (value.isTensorList()) {
        for (const at::Tensor &tensor : value.toTensorVector()) push_result(c10::IValue(tensor), results, count);
        return;
    }
    CTorchValue &out = results[count++];
    out = CTorchValue{};
    if (value.isTensor()) {
        out.tag = CTORCH_TENSOR;
        out.tensor = give(value.toTensor());
    } else if (value.isInt()) {
        out.tag = CTORCH_INT;
        out.integer = value.toInt();
    } else if (value.isDouble()) {
        out.tag = CTORCH_DOUBLE;
        out.number = value.toDouble();
    } else if (value.isBool()) {
        out.tag = CTORCH_BOOL;
        out.integer = value.toBool();
    }
}

}  // namespace

int resolve(const char *name, const char *overload, CTorchOperator **out) {
    return guarded([&] {
        auto found = c10::Dispatcher::singleton().findSchema({name, overload});
        TORCH_CHECK(found.has_value(), "this libtorch has no operator ", name, ".", overload);
        // Kept for the life of the process: there are a few hundred, each resolved once.
        *out = reinterpret_cast<CTorchOperator *>(new c10::OperatorHandle(*found));
    });
}

int call(
    const CTorchOperator *op, const CTorchValue *arguments, int32_t argument_count, CTorchValue *results,
    int32_t *result_count) {
    int32_t count = 0;
    int status = guarded([&] {
        const auto &handle = *reinterpret_cast<const c10::OperatorHandle *>(op);
        const auto &schema = handle.schema().arguments();
        TORCH_CHECK(
            static_cast<size_t>(argument_count) <= schema.size(), handle.operator_name(), " takes ", schema.size(),
            " arguments, got ", argument_count);
        c10::Stack stack;
        stack.reserve(schema.size());
        for (int32_t i = 0; i < argument_count; ++i) stack.push_back(to_ivalue(arguments[i]));
        for (size_t i = argument_count; i < schema.size(); ++i) {
            TORCH_CHECK(
                schema[i].default_value().has_value(), handle.operator_name(), " wants a value for ",
                schema[i].name());
            stack.push_back(*schema[i].default_value());
        }
        handle.callBoxed(stack);
        for (const auto &value : stack) push_result(value, results, count);
    });
    if (status != 0) {
        for (int32_t i = 0; i < count; ++i) {
            if (results[i].tag == CTORCH_TENSOR) release(results[i].tensor);
        }
        count = 0;
    }
    *result_count = count;
    return status;
}

}  // namespace engine
