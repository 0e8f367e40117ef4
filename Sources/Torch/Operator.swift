import CTorch
import Failures

/// An operator of libtorch's dispatcher, resolved once by name.
///
/// The typed methods of `Tensor` are the public face; this is how they are written.
public final class Operator: @unchecked Sendable {
    /// The schema's name with its overload, such as `aten::add.Tensor`.
    public let name: String
    private let resolved: Result<OpaquePointer, Failure>

    /// - Parameter name: the schema's name with its overload, such as `aten::add.Tensor`.
    public init(_ name: String) {
        self.name = name
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        resolved = Result {
            let engine = try Engine.shared()
            var out: OpaquePointer?
            try engine.check(engine.table.pointee.resolve(parts[0], parts.count > 1 ? parts[1] : "", &out), name)
            return try out.orMissing(name)
        }.mapError { $0 as? Failure ?? .run("\(name): \($0)") }
    }

    /// - Throws: where the libtorch in use lacks the operator.
    public func check() throws { _ = try resolved.get() }

    /// An argument of an operator.
    public enum Argument {
        /// None of an optional argument: the schema's `None`.
        case none
        /// The schema's `Tensor`, or `Tensor?` where there is one.
        case tensor(Tensor)
        /// The schema's `int` or `SymInt`, and its `ScalarType` by number.
        case int(Int)
        /// The schema's `float`, or a `Scalar` that is a fraction.
        case double(Double)
        /// The schema's `bool`.
        case bool(Bool)
        /// The schema's `int[]` or `SymInt[]`: sizes, strides, dimensions.
        case ints([Int])
        /// The schema's `float[]`.
        case doubles([Double])
        /// The schema's `Tensor[]`.
        case tensors([Tensor])
        /// The schema's `Tensor?[]`.
        case optionalTensors([Tensor?])
        /// The schema's `str`.
        case string(String)
        /// The schema's `Generator`: where random numbers come from.
        case generator(Generator)
        /// The schema's `Device`.
        case device(Device)

        static func dtype(_ dtype: DType) -> Argument { .int(Int(dtype.rawValue)) }
        static func optional(_ tensor: Tensor?) -> Argument { tensor.map(Argument.tensor) ?? .none }
    }

    /// Calls the operator; arguments left out at the end take the schema's defaults.
    /// - Throws: libtorch's own message, as a failure of the run.
    public func callAsFunction(_ arguments: Argument...) throws -> Tensor {
        guard let result = try call(arguments).first else { throw Failure.run("\(name) returned nothing") }
        return result
    }

    /// Calls an operator that yields several tensors.
    public func call(_ arguments: [Argument]) throws -> [Tensor] {
        let pointer = try resolved.get()
        let engine = try Engine.shared()
        var results = [CTorchValue](repeating: CTorchValue(), count: Int(CTORCH_MAX_RESULTS))
        var count: Int32 = 0
        let arena = ArgumentArena(arguments)
        let status = arena.withValues {
            engine.table.pointee.call(pointer, $0.baseAddress, Int32($0.count), &results, &count)
        }
        withExtendedLifetime(arguments) {}
        try engine.check(status, name)
        return results.prefix(Int(count)).compactMap { value in
            guard value.tag == Int32(CTORCH_TENSOR.rawValue), let handle = value.tensor else { return nil }
            return Tensor(owning: handle)
        }
    }
}

/// Lays out arguments with their lists in a few flat arrays, so that every pointer holds for the call.
private struct ArgumentArena {
    private let arguments: [Operator.Argument]
    private var integers: [Int64] = []
    private var numbers: [Double] = []
    private var handles: [OpaquePointer?] = []
    private var text: [CChar] = []

    init(_ arguments: [Operator.Argument]) {
        self.arguments = arguments
        for argument in arguments {
            switch argument {
            case .ints(let list): integers += list.map(Int64.init)
            case .doubles(let list): numbers += list
            case .tensors(let list): handles += list.map(\.handle)
            case .optionalTensors(let list): handles += list.map { $0?.handle }
            case .string(let string): text += string.utf8CString
            default: break
            }
        }
    }

    func withValues<Result>(_ body: (UnsafeBufferPointer<CTorchValue>) -> Result) -> Result {
        integers.withUnsafeBufferPointer { integers in
            numbers.withUnsafeBufferPointer { numbers in
                handles.withUnsafeBufferPointer { handles in
                    text.withUnsafeBufferPointer { text in
                        var cursor = (integers: 0, numbers: 0, handles: 0, text: 0)
                        let values = arguments.map { argument -> CTorchValue in
                            var value = CTorchValue()
                            func tag(_ tag: CTorchTag, _ count: Int = 0) {
                                value.tag = Int32(tag.rawValue)
                                value.count = Int32(count)
                            }
                            switch argument {
                            case .none: tag(CTORCH_NONE)
                            case .tensor(let tensor):
                                tag(CTORCH_TENSOR)
                                value.tensor = tensor.handle
                            case .int(let int):
                                tag(CTORCH_INT)
                                value.integer = Int64(int)
                            case .double(let double):
                                tag(CTORCH_DOUBLE)
                                value.number = double
                            case .bool(let bool):
                                tag(CTORCH_BOOL)
                                value.integer = bool ? 1 : 0
                            case .ints(let list):
                                tag(CTORCH_INTS, list.count)
                                value.integers = integers.baseAddress?.advanced(by: cursor.integers)
                                cursor.integers += list.count
                            case .doubles(let list):
                                tag(CTORCH_DOUBLES, list.count)
                                value.numbers = numbers.baseAddress?.advanced(by: cursor.numbers)
                                cursor.numbers += list.count
                            case .tensors(let list):
                                tag(CTORCH_TENSORS, list.count)
                                value.tensors = handles.baseAddress?.advanced(by: cursor.handles)
                                cursor.handles += list.count
                            case .optionalTensors(let list):
                                tag(CTORCH_OPTIONAL_TENSORS, list.count)
                                value.tensors = handles.baseAddress?.advanced(by: cursor.handles)
                                cursor.handles += list.count
                            case .string(let string):
                                tag(CTORCH_STRING)
                                value.text = text.baseAddress?.advanced(by: cursor.text)
                                cursor.text += string.utf8.count + 1
                            case .generator(let generator):
                                tag(CTORCH_GENERATOR)
                                value.generator = generator.handle
                            case .device(let device):
                                tag(CTORCH_DEVICE, Int(device.raw.index))
                                value.integer = Int64(device.raw.type)
                            }
                            return value
                        }
                        return values.withUnsafeBufferPointer(body)
                    }
                }
            }
        }
    }
}
