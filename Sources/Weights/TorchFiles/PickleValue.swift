import Torch

/// What a pickle of tensors can hold. Containers are numbers of a `PickleMachine`'s tables: nothing here refers to
/// itself, however a pickle is knotted, and nothing is torn down recursively.
enum PickleValue {
    case none
    case bool(Bool)
    case int(Int)
    case double(Double)
    case text(String)
    /// Bytes in the place of a text that are no UTF-8: two of them could not be told apart once repaired.
    case unreadableText
    case tuple(Int)
    case list(Int)
    case dictionary(Int)
    case global(PickleGlobal)
    case storage(PickleStorage)
    case tensor(Int)
    /// A value that no tensor depends on: bytes, long numbers, sets, devices.
    case other
}

/// The names that a pickle may refer to; no other is looked up, and none is called.
enum PickleGlobal: Equatable {
    case orderedDictionary
    case rebuildTensor
    case rebuildTensor2
    case rebuildTensor3
    case rebuildParameter
    /// A class of storages; nil is the untyped one.
    case storage(DType?)
    case dtype(DType)
    /// A tuple of sizes under another name.
    case size
    /// Makes a value that no tensor depends on.
    case opaque

    /// - Returns: nil where the name is not among those that torch writes for tensors, dictionaries and numbers.
    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDictionary
        case ("torch._utils", "_rebuild_tensor"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor2
        case ("torch._utils", "_rebuild_tensor_v3"): self = .rebuildTensor3
        case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
        case ("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage"): self = .storage(nil)
        case ("torch", "Size"): self = .size
        case ("torch", "device"), ("_codecs", "encode"), ("builtins", "set"), ("__builtin__", "set"): self = .opaque
        case ("torch", _):
            if let dtype = Self.storages[name] {
                self = .storage(dtype)
            } else if let dtype = DType.allCases.first(where: { $0.description == name }) {
                self = .dtype(dtype)
            } else {
                return nil
            }
        default: return nil
        }
    }

    private static let storages: [String: DType] = [
        "ByteStorage": .uint8, "CharStorage": .int8, "ShortStorage": .int16, "IntStorage": .int32,
        "LongStorage": .int64, "HalfStorage": .float16, "FloatStorage": .float32, "DoubleStorage": .float64,
        "BoolStorage": .bool, "BFloat16Storage": .bfloat16,
    ]
}

/// The bytes that tensors lie in, as a pickle refers to them.
struct PickleStorage {
    let key: String
    /// nil where a tensor's own dtype says it.
    let dtype: DType?
    /// In elements of the dtype, or bytes where there is none.
    let count: Int
}

/// A tensor as a pickle describes it: not yet checked against the bytes of its storage.
struct PickleTensor {
    let storage: PickleStorage
    let dtype: DType
    /// In elements, into the storage.
    let offset: Int
    let shape: [Int]
    let strides: [Int]
}
