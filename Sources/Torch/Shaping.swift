/// Views, copies and conversions.
extension Tensor {
    /// The same elements in another shape; one size may be -1.
    public func reshaped(_ shape: [Int]) throws -> Tensor { try Operators.reshape(.tensor(self), .ints(shape)) }
    /// The dimensions in another order, as a view: dimension i of the result is `order[i]` of this tensor.
    public func permuted(_ order: [Int]) throws -> Tensor { try Operators.permute(.tensor(self), .ints(order)) }
    /// Two dimensions exchanged, as a view.
    public func transposed(_ a: Int, _ b: Int) throws -> Tensor {
        try Operators.transpose(.tensor(self), .int(a), .int(b))
    }
    /// A new dimension of size 1 at this index, as a view.
    public func unsqueezed(_ dimension: Int) throws -> Tensor {
        try Operators.unsqueeze(.tensor(self), .int(dimension))
    }
    /// Without this dimension where its size is 1, as a view; the same otherwise.
    public func squeezed(_ dimension: Int) throws -> Tensor { try Operators.squeeze(.tensor(self), .int(dimension)) }
    /// Dimensions of size 1 repeated to `shape` without taking memory, as a view; -1 leaves a size as it is.
    public func expanded(_ shape: [Int]) throws -> Tensor { try Operators.expand(.tensor(self), .ints(shape)) }

    /// The bytes of a contiguous tensor as numbers of another type, as a view; the last dimension is other.
    public func viewed(as dtype: DType) throws -> Tensor { try Operators.viewDType(.tensor(self), .dtype(dtype)) }

    /// Elements `range` of one dimension, as a view.
    public func sliced(_ dimension: Int, _ range: Range<Int>) throws -> Tensor {
        try Operators.slice(.tensor(self), .int(dimension), .int(range.lowerBound), .int(range.upperBound))
    }

    /// One index of one dimension, which goes.
    public func selected(_ dimension: Int, _ index: Int) throws -> Tensor {
        try Operators.select(.tensor(self), .int(dimension), .int(index))
    }

    /// At most `count` parts of one dimension, as views: all of the same size, but the last may be smaller.
    public func chunked(_ count: Int, dimension: Int) throws -> [Tensor] {
        try Operators.chunk.call([.tensor(self), .int(count), .int(dimension)])
    }

    /// Parts of one dimension, as views, of these sizes, which add up to all of it.
    public func split(sizes: [Int], dimension: Int) throws -> [Tensor] {
        try Operators.split.call([.tensor(self), .ints(sizes), .int(dimension)])
    }

    /// The tensors one after the other along a dimension; their other sizes are the same.
    public static func concatenated(_ tensors: [Tensor], dimension: Int) throws -> Tensor {
        try Operators.cat(.tensors(tensors), .int(dimension))
    }

    /// Tensors of one shape along a new dimension, which becomes the one of this index.
    public static func stacked(_ tensors: [Tensor], dimension: Int = 0) throws -> Tensor {
        try Operators.stack(.tensors(tensors), .int(dimension))
    }

    /// Adds elements around; `sizes` are pairs before and after, the last dimension first.
    public func padded(_ sizes: [Int], value: Double = 0) throws -> Tensor {
        try Operators.pad(.tensor(self), .ints(sizes), .double(value))
    }

    /// Repeats the outermost elements of [B, C, H, W], left and right `count` times.
    public func paddedByEdge(_ count: Int, top: Int, bottom: Int) throws -> Tensor {
        try Operators.replicationPad(.tensor(self), .ints([count, count, top, bottom]))
    }

    /// Mirrors `count` elements of [B, C, H, W] at each border, which is not repeated itself.
    public func paddedByReflection(_ count: Int) throws -> Tensor {
        try Operators.reflectionPad(.tensor(self), .ints([count, count, count, count]))
    }

    /// The elements along these dimensions in opposite order, copied.
    public func flipped(_ dimensions: [Int]) throws -> Tensor { try Operators.flip(.tensor(self), .ints(dimensions)) }
    /// The tensor side by side with itself, copied: `counts` times along each dimension.
    public func repeated(_ counts: [Int]) throws -> Tensor { try Operators.repeat(.tensor(self), .ints(counts)) }

    /// Rows of a dimension by an int64 tensor [n] of indices.
    public func gathered(_ dimension: Int, _ indices: Tensor) throws -> Tensor {
        try Operators.indexSelect(.tensor(self), .int(dimension), .tensor(indices))
    }

    /// `value` where the bool mask is true, the elements elsewhere.
    public func filled(where mask: Tensor, with value: Double) throws -> Tensor {
        try Operators.maskedFill(.tensor(self), .tensor(mask), .double(value))
    }

    /// The tensor itself where its elements follow one another in memory, else a copy in which they do.
    public func contiguous() throws -> Tensor { try isContiguous ? self : Operators.contiguous(.tensor(self)) }
    /// [B, C, H, W] with a pixel's channels side by side in memory, which convolutions and pooling are quicker on.
    public func laidOutByPixels() throws -> Tensor {
        // libtorch tells the order by the strides, and a single channel's says nothing unless it is 1.
        let byPixels =
            try size(1) == 1
            ? contiguous().reshaped([size(0), size(2), size(3), 1]) : permuted([0, 2, 3, 1]).contiguous()
        return try byPixels.permuted([0, 3, 1, 2])
    }

    /// A copy in memory of its own; gradients pass through it.
    public func cloned() throws -> Tensor { try Operators.clone(.tensor(self)) }

    /// The same elements outside the graph.
    public func detached() throws -> Tensor { try Operators.detach(.tensor(self)) }

    /// The elements in another type: the tensor itself where it has that type, else a copy.
    public func to(dtype: DType) throws -> Tensor {
        try dtype == self.dtype ? self : Operators.toDType(.tensor(self), .dtype(dtype))
    }

    /// A number that tells whether two tensors of the same shape have the same bits, in whatever order they are added up:
    /// the sum of all elements' bits, read as whole numbers.
    public func sumOfBits() throws -> Double {
        let whole: DType =
            switch dtype.size {
            case 1: .int8
            case 2: .int16
            case 4: .int32
            default: .int64
            }
        return try Operators.viewDType(.tensor(detached().contiguous()), .dtype(whole)).sum().item()
    }

    /// The elements on another device: the tensor itself where it is there, else a copy.
    public func to(device: Device) throws -> Tensor {
        try device == self.device ? self : Operators.copyTo(.tensor(self), .none, .none, .device(device))
    }

    /// Overwrites the elements, outside the graph.
    public func assign(_ source: Tensor) throws {
        try withoutGradients { _ = try Operators.copyInPlace(.tensor(self), .tensor(source)) }
    }

    /// Sets every element to zero, outside the graph.
    public func assignZero() throws {
        try withoutGradients { _ = try Operators.zeroInPlace(.tensor(self)) }
    }

    /// Adds `scale` times `other` in place, outside the graph.
    public func accumulate(_ other: Tensor, scale: Double = 1) throws {
        try withoutGradients { _ = try Operators.addInPlace(.tensor(self), .tensor(other), .double(scale)) }
    }

    /// Adds a number to every element in place, outside the graph.
    public func accumulate(_ number: Double) throws {
        try withoutGradients { _ = try Operators.addScalarInPlace(.tensor(self), .double(number)) }
    }

    /// Multiplies in place, outside the graph.
    public func scale(by factor: Double) throws {
        try withoutGradients { _ = try Operators.multiplyInPlace(.tensor(self), .double(factor)) }
    }

    /// Multiplies by another tensor's elements in place, outside the graph.
    public func scale(by factors: Tensor) throws {
        try withoutGradients { _ = try Operators.multiplyTensorInPlace(.tensor(self), .tensor(factors)) }
    }

    /// Divides by another tensor's elements in place, outside the graph.
    public func divide(by divisors: Tensor) throws {
        try withoutGradients { _ = try Operators.divideTensorInPlace(.tensor(self), .tensor(divisors)) }
    }

    /// Adds `scale` times the products of two tensors' elements in place, outside the graph.
    public func accumulate(productOf a: Tensor, _ b: Tensor, scale: Double = 1) throws {
        try withoutGradients {
            _ = try Operators.addProductInPlace(.tensor(self), .tensor(a), .tensor(b), .double(scale))
        }
    }

    /// Adds `scale` times the quotients of two tensors' elements in place, outside the graph.
    public func accumulate(quotientOf a: Tensor, _ b: Tensor, scale: Double = 1) throws {
        try withoutGradients {
            _ = try Operators.addQuotientInPlace(.tensor(self), .tensor(a), .tensor(b), .double(scale))
        }
    }

    /// Moves every element the fraction `weight` of the way to `end`, in place and outside the graph.
    public func interpolate(to end: Tensor, weight: Double) throws {
        try withoutGradients { _ = try Operators.lerpInPlace(.tensor(self), .tensor(end), .double(weight)) }
    }

    /// A new tensor in which every element is 0.
    public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try Operators.zeros(.ints(shape), .dtype(dtype), .none, .device(device))
    }

    /// Memory with whatever it holds, to be written whole.
    public static func uninitialized(
        _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        try Operators.empty(.ints(shape), .dtype(dtype), .none, .device(device))
    }

    /// A new tensor in which every element is `value`.
    public static func full(
        _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        try Operators.full(.ints(shape), .double(value), .dtype(dtype), .none, .device(device))
    }

    /// `count` numbers from `start` to `end`, both included, float32.
    public static func spaced(from start: Double, to end: Double, count: Int) throws -> Tensor {
        try Operators.linspace(.double(start), .double(end), .int(count), .dtype(.float32))
    }

    /// `count` numbers 0, 1, 2, …
    public static func counting(_ count: Int, dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try Operators.arange(.int(0), .int(count), .int(1), .dtype(dtype), .none, .device(device))
    }
}
