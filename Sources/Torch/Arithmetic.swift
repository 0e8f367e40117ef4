/// Elementwise arithmetic and reductions. Shapes broadcast as in PyTorch.
extension Tensor {
    /// Adds the elements of two tensors; their types promote as in PyTorch.
    public static func + (a: Tensor, b: Tensor) throws -> Tensor { try Operators.add(.tensor(a), .tensor(b)) }
    /// Adds a number to every element.
    public static func + (a: Tensor, b: Double) throws -> Tensor { try Operators.addScalar(.tensor(a), .double(b)) }
    /// Adds every element to a number.
    public static func + (a: Double, b: Tensor) throws -> Tensor { try b + a }
    /// Subtracts the elements of `b` from those of `a`.
    public static func - (a: Tensor, b: Tensor) throws -> Tensor { try Operators.subtract(.tensor(a), .tensor(b)) }
    /// Subtracts a number from every element.
    public static func - (a: Tensor, b: Double) throws -> Tensor { try a + (-b) }
    /// Subtracts every element from a number.
    public static func - (a: Double, b: Tensor) throws -> Tensor {
        try Operators.reverseSubtract(.tensor(b), .double(a))
    }
    /// Multiplies element by element; the matrix product is ``matmul(_:)``.
    public static func * (a: Tensor, b: Tensor) throws -> Tensor { try Operators.multiply(.tensor(a), .tensor(b)) }
    /// `self · factor + summand`, rounded once.
    public func multiplied(by factor: Tensor, adding summand: Tensor) throws -> Tensor {
        try Operators.multiplyAdd(.tensor(summand), .tensor(self), .tensor(factor))
    }
    /// Multiplies every element by a number.
    public static func * (a: Tensor, b: Double) throws -> Tensor {
        try Operators.multiplyScalar(.tensor(a), .double(b))
    }
    /// Multiplies a number by every element.
    public static func * (a: Double, b: Tensor) throws -> Tensor { try b * a }
    /// Divides the elements of `a` by those of `b`; whole numbers give fractions too.
    public static func / (a: Tensor, b: Tensor) throws -> Tensor { try Operators.divide(.tensor(a), .tensor(b)) }
    /// Divides every element by a number; whole numbers give fractions too.
    public static func / (a: Tensor, b: Double) throws -> Tensor { try Operators.divideScalar(.tensor(a), .double(b)) }
    /// Divides a number by every element.
    public static func / (a: Double, b: Tensor) throws -> Tensor { try b.reciprocal() * a }

    /// 1 / x of every element.
    public func reciprocal() throws -> Tensor { try Operators.reciprocal(.tensor(self)) }
    /// Every element to the power of one exponent.
    public func pow(_ exponent: Double) throws -> Tensor { try Operators.powScalar(.tensor(self), .double(exponent)) }
    /// Every element times itself.
    public func squared() throws -> Tensor { try self * self }
    /// The square root; not a number below 0.
    public func sqrt() throws -> Tensor { try Operators.sqrt(.tensor(self)) }
    /// 1 / √x of every element.
    public func reciprocalSqrt() throws -> Tensor { try Operators.rsqrt(.tensor(self)) }
    /// e^x of every element.
    public func exp() throws -> Tensor { try Operators.exp(.tensor(self)) }
    /// The natural logarithm; not a number below 0.
    public func log() throws -> Tensor { try Operators.log(.tensor(self)) }
    /// The sine of angles in radians.
    public func sin() throws -> Tensor { try Operators.sin(.tensor(self)) }
    /// The cosine of angles in radians.
    public func cos() throws -> Tensor { try Operators.cos(.tensor(self)) }
    /// The tangent of angles in radians.
    public func tan() throws -> Tensor { try Operators.tan(.tensor(self)) }
    /// The angle in 0...π whose cosine it is; not a number outside -1...1.
    public func acos() throws -> Tensor { try Operators.acos(.tensor(self)) }
    /// The hyperbolic cosine, (e^x + e^-x) / 2.
    public func cosh() throws -> Tensor { try Operators.cosh(.tensor(self)) }
    /// The hyperbolic tangent, between -1 and 1.
    public func tanh() throws -> Tensor { try Operators.tanh(.tensor(self)) }
    /// The magnitude of every element.
    public func abs() throws -> Tensor { try Operators.abs(.tensor(self)) }
    /// The whole number below every element, or the element itself where it is whole.
    public func floor() throws -> Tensor { try Operators.floor(.tensor(self)) }

    /// The whole number next to zero.
    public func truncated() throws -> Tensor { try Operators.trunc(.tensor(self)) }

    /// The nearest whole number, the even one of two.
    public func rounded() throws -> Tensor { try Operators.round(.tensor(self)) }

    /// The fraction `weight` of the way to `end`; below 0 and above 1 it goes past.
    public func interpolated(to end: Tensor, weight: Double) throws -> Tensor {
        try Operators.lerp(.tensor(self), .tensor(end), .double(weight))
    }

    /// The larger of two elements in the same place; not a number where either is none.
    public func maximum(_ other: Tensor) throws -> Tensor { try Operators.maximum(.tensor(self), .tensor(other)) }
    /// The smaller of two elements in the same place; not a number where either is none.
    public func minimum(_ other: Tensor) throws -> Tensor { try Operators.minimum(.tensor(self), .tensor(other)) }

    /// Limits every element; a limit left out does not bound.
    public func clamped(min: Double? = nil, max: Double? = nil) throws -> Tensor {
        try Operators.clamp(
            .tensor(self), min.map(Operator.Argument.double) ?? .none, max.map(Operator.Argument.double) ?? .none)
    }

    /// Elements that equal `value`, as a bool tensor.
    public func equals(_ value: Double) throws -> Tensor { try Operators.equal(.tensor(self), .double(value)) }

    /// Elements below `value`, as a bool tensor.
    public func isBelow(_ value: Double) throws -> Tensor { try Operators.less(.tensor(self), .double(value)) }

    /// Elements of `a` where this bool tensor is true, of `b` elsewhere.
    public func choose(_ a: Tensor, _ b: Tensor) throws -> Tensor {
        try Operators.whereTensor(.tensor(self), .tensor(a), .tensor(b))
    }

    /// Whether no element is infinite or not a number.
    public func isAllFinite() throws -> Bool {
        try Operators.all(.tensor(Operators.isFinite(.tensor(self)))).item() != 0
    }

    /// Sum over the given dimensions, or over all.
    public func sum(_ dimensions: [Int]? = nil, keepingDimensions: Bool = false) throws -> Tensor {
        try Operators.sum(
            .tensor(self), dimensions.map(Operator.Argument.ints) ?? .none, .bool(keepingDimensions))
    }

    /// Mean over the given dimensions, or over all.
    public func mean(_ dimensions: [Int]? = nil, keepingDimensions: Bool = false) throws -> Tensor {
        try Operators.mean(
            .tensor(self), dimensions.map(Operator.Argument.ints) ?? .none, .bool(keepingDimensions))
    }

    /// Variance over the given dimensions, or over all; `correction` 1 is the unbiased one.
    public func variance(
        _ dimensions: [Int]? = nil, correction: Int = 1, keepingDimensions: Bool = false
    ) throws -> Tensor {
        try Operators.variance(
            .tensor(self), dimensions.map(Operator.Argument.ints) ?? .none, .int(correction), .bool(keepingDimensions))
    }

    /// Euclidean norm over the given dimensions, or over all.
    public func norm(_ dimensions: [Int]? = nil, keepingDimensions: Bool = false) throws -> Tensor {
        try Operators.norm(
            .tensor(self), .double(2), dimensions.map(Operator.Argument.ints) ?? .none, .bool(keepingDimensions))
    }

    /// Sum of magnitudes over all elements.
    public func absoluteSum() throws -> Tensor { try Operators.norm(.tensor(self), .double(1)) }

    /// Sum of the products of two vectors' elements.
    public func dot(_ other: Tensor) throws -> Tensor { try Operators.dot(.tensor(self), .tensor(other)) }

    /// Each element plus all before it along a dimension.
    public func cumulativeSum(_ dimension: Int) throws -> Tensor {
        try Operators.cumsum(.tensor(self), .int(dimension))
    }

    /// Each element times all before it along a dimension.
    public func cumulativeProduct(_ dimension: Int) throws -> Tensor {
        try Operators.cumprod(.tensor(self), .int(dimension))
    }

    /// The index of the largest element along a dimension, which goes; int64.
    public func argmax(_ dimension: Int) throws -> Tensor { try Operators.argmax(.tensor(self), .int(dimension)) }

    /// The index of the bucket each element falls in, between sorted `edges` [n]: 0...n, int64.
    /// - Parameter right: whether an element on an edge belongs to the bucket above it.
    public func bucketed(edges: Tensor, right: Bool = false) throws -> Tensor {
        try Operators.bucketize(.tensor(self), .tensor(edges), .bool(false), .bool(right))
    }

    /// Mean of squared differences over all elements.
    public func meanSquaredError(to target: Tensor) throws -> Tensor {
        try Operators.meanSquaredError(.tensor(self), .tensor(target))
    }
}
