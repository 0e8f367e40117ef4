/// The element types in use; raw values are libtorch's `ScalarType`.
public enum DType: Int32, Sendable, CaseIterable, CustomStringConvertible {
    /// 0 to 255: bytes of images, states of generators, codes of quantised weights.
    case uint8 = 0
    /// -128 to 127: codes of weights that are kept with a scale for each row.
    case int8 = 1
    /// -32768 to 32767.
    case int16 = 2
    /// -2^31 to 2^31 - 1.
    case int32 = 3
    /// -2^63 to 2^63 - 1: token ids and indices.
    case int64 = 4
    /// IEEE half precision: 5 bits of exponent, 10 of fraction; up to 65504.
    case float16 = 5
    /// IEEE single precision: 8 bits of exponent, 23 of fraction.
    case float32 = 6
    /// IEEE double precision: 11 bits of exponent, 52 of fraction.
    case float64 = 7
    /// True or false, in a byte.
    case bool = 11
    /// The upper half of a float32: 8 bits of exponent, 7 of fraction.
    case bfloat16 = 15
    /// 5 bits of exponent, 2 of fraction, with infinities; up to 57344.
    case float8e5m2 = 23
    /// 4 bits of exponent, 3 of fraction, without infinities; up to 448. PyTorch's `float8_e4m3fn`.
    case float8e4m3 = 24

    /// Bytes of one element.
    public var size: Int {
        switch self {
        case .uint8, .int8, .bool, .float8e5m2, .float8e4m3: 1
        case .int16, .float16, .bfloat16: 2
        case .int32, .float32: 4
        case .int64, .float64: 8
        }
    }

    /// Whether elements can be fractions; false for whole numbers and for bool.
    public var isFloatingPoint: Bool {
        switch self {
        case .float16, .float32, .float64, .bfloat16, .float8e5m2, .float8e4m3: true
        default: false
        }
    }

    /// PyTorch's name of the type, such as "float32" or "float8_e4m3fn".
    public var description: String {
        switch self {
        case .uint8: "uint8"
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .float16: "float16"
        case .float32: "float32"
        case .float64: "float64"
        case .bool: "bool"
        case .bfloat16: "bfloat16"
        case .float8e5m2: "float8_e5m2"
        case .float8e4m3: "float8_e4m3fn"
        }
    }
}

/// A Swift type whose arrays become tensors.
public protocol TensorElement: Sendable {
    /// The type of an array's elements in a tensor; it has the same bits.
    static var dtype: DType { get }
}

extension UInt8: TensorElement {
    /// Bytes become uint8.
    public static var dtype: DType { .uint8 }
}
extension Int32: TensorElement {
    /// 32-bit whole numbers become int32.
    public static var dtype: DType { .int32 }
}
extension Int64: TensorElement {
    /// 64-bit whole numbers become int64.
    public static var dtype: DType { .int64 }
}
extension Int: TensorElement {
    /// Swift's own whole numbers have 64 bits and become int64.
    public static var dtype: DType { .int64 }
}
extension Float: TensorElement {
    /// Single precision becomes float32.
    public static var dtype: DType { .float32 }
}
extension Double: TensorElement {
    /// Double precision becomes float64.
    public static var dtype: DType { .float64 }
}
