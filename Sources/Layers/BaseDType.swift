/// What the matrices of a frozen network are kept in, as `base_dtype` names it.
public enum BaseDType: String, CaseIterable, Sendable {
    /// As they are.
    case bfloat16
    /// A scale for each row: 8 bits a number.
    case int8
    /// Blocks of 64 with scales in eight bits: a little more than 4 bits a number.
    case nf4

    /// Whether numbers are expanded for each product.
    public var isQuantised: Bool { self != .bfloat16 }

    /// Smaller matrices are not worth it.
    private static let leastElements = 4096

    /// Whether a weight of this shape is kept so: a matrix, or the 1x1 convolution of one, whose rows are whole blocks.
    /// Kernels, norms, biases and what is small or odd are not.
    public static func takes(_ shape: [Int]) -> Bool {
        guard shape.count == 2 || shape.count == 4 && shape[2...] == [1, 1] else { return false }
        return shape[1] > 0 && shape[1] % 64 == 0 && shape.reduce(1, *) >= leastElements
    }
}

/// Which matrices of a network a store keeps otherwise than the rest of it, and how.
public struct MatrixStorage: Sendable {
    /// The form in which the matrices meant are kept.
    public let dtype: BaseDType
    private let isOfBase: @Sendable (String) -> Bool

    /// - Parameter isOfBase: whether the matrix of a key is meant.
    public init(_ dtype: BaseDType, of isOfBase: @escaping @Sendable (String) -> Bool) {
        self.dtype = dtype
        self.isOfBase = isOfBase
    }

    /// Whether a weight is kept so.
    public func covers(_ key: String, _ shape: [Int]) -> Bool { BaseDType.takes(shape) && isOfBase(key) }
}
