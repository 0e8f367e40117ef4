import Torch

/// The weight of a product as it is kept: numbers, or a quantised form that is expanded for each product.
public enum Matrix {
    /// [out, in], or a 1x1 convolution's [out, in, 1, 1].
    case plain(Tensor)
    /// Frozen.
    case quantised(QuantisedMatrix)

    public var outputs: Int {
        switch self {
        case .plain(let stored): stored.size(0)
        case .quantised(let matrix): matrix.outputs
        }
    }

    public var inputs: Int {
        switch self {
        case .plain(let stored): stored.size(1)
        case .quantised(let matrix): matrix.inputs
        }
    }

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
        case .plain(let stored):
            let flat = stored.rank == 2 ? stored : try stored.reshaped([stored.size(0), stored.size(1)])
            return try flat.to(dtype: dtype)
        case .quantised(let matrix): return try matrix.expanded(to: dtype)
        }
    }

    /// Whether a product would take the stored numbers themselves, or pass gradients on to them.
    fileprivate func isTaken(as dtype: DType) -> Bool {
        plain.map { $0.dtype == dtype || $0.requiresGrad } ?? false
    }
}

extension Tensor {
    /// `linear` with a weight and bias that may be kept otherwise than the activations are.
    ///
    /// A frozen weight that must be converted or expanded is so again for the backward pass instead of being kept.
    public func mixedLinear(_ weight: Matrix, bias: Tensor?) throws -> Tensor {
        let dtype = dtype
        if try weight.isTaken(as: dtype) || !requiresGrad || !gradientsEnabled() {
            return try linear(weight.expanded(to: dtype), bias: bias?.to(dtype: dtype))
        }
        let output = try withoutGradients { try linear(weight.expanded(to: dtype), bias: bias?.to(dtype: dtype)) }
        try recordNode(inputs: [self], outputs: [output]) { gradients in
            try withoutGradients { [try gradients[0]?.matmul(weight.expanded(to: dtype))] }
        }
        return output
    }
}
