import Torch

/// The weight of a product as it is kept: numbers, or a quantised form that is expanded for each product.
public enum Matrix {
    /// [out, in], or a 1x1 convolution's [out, in, 1, 1].
    case plain(Tensor)
    /// Frozen.
    case quantised(QuantisedMatrix)

    /// Rows, which are the features of a product's output.
    public var outputs: Int {
        switch self {
        case .plain(let stored): stored.size(0)
        case .quantised(let matrix): matrix.outputs
        }
    }

    /// Columns, which are the features of a product's input.
    public var inputs: Int {
        switch self {
        case .plain(let stored): stored.size(1)
        case .quantised(let matrix): matrix.inputs
        }
    }

    /// Where the numbers or their codes are in memory.
    public var device: Device {
        switch self {
        case .plain(let stored): stored.device
        case .quantised(let matrix): matrix.device
        }
    }

    /// The stored tensor; nil of a quantised matrix.
    public var plain: Tensor? {
        if case .plain(let stored) = self { stored } else { nil }
    }

    /// Some rows, as a view.
    public func rows(_ rows: Range<Int>) throws -> Matrix {
        switch self {
        case .plain(let stored): .plain(try stored.sliced(0, rows))
        case .quantised(let matrix): .quantised(matrix.rows(rows))
        }
    }

    /// The numbers, [out, in]. Those of a stored tensor are views of it where it has the dtype, and in its graph.
    public func expanded(to dtype: DType) throws -> Tensor {
        switch self {
        case .plain(let stored): try stored.asMatrix().to(dtype: dtype)
        case .quantised(let matrix): try matrix.expanded(to: dtype)
        }
    }

    /// The stored numbers, [out, in], in their own dtype; nil where they are quantised or trained.
    func frozen() throws -> Tensor? {
        guard let plain, !plain.requiresGrad else { return nil }
        return try plain.asMatrix()
    }
}

extension Tensor {
    /// A 1x1 convolution's kernels, or a matrix, as [out, in].
    fileprivate func asMatrix() throws -> Tensor { try rank == 2 ? self : reshaped([size(0), size(1)]) }

    /// `linear` with a weight that may be kept otherwise than the activations are.
    ///
    /// A weight that must be converted or expanded is so again for the backward pass instead of being kept.
    public func mixedLinear(_ weight: Matrix, bias: Tensor?) throws -> Tensor {
        switch weight {
        case .plain(let stored):
            return try linear(stored.asMatrix(), bias: bias)
        case .quantised(let matrix):
            let output = try withoutGradients { try matrix.multiplied(self, bias: bias?.to(dtype: dtype)) }
            guard try requiresGrad && gradientsEnabled() else { return output }
            try recordNode(inputs: [self], outputs: [output]) { gradients in
                [try gradients[0].map { y in try withoutGradients { try matrix.multiplied(y, isTransposed: true) } }]
            }
            return output
        }
    }
}
