import Failures
import Layers
import Torch

/// A method's matrices beside one frozen product.
final class ModuleLayer<Method: ModuleMethod>: ProjectionAdapter {
    let path: String
    let projection: Projection
    /// In the method's order, float32, trainable.
    let matrices: [Tensor]
    let alpha: Double
    /// Multiplies what the layer adds.
    var strength = 1.0
    /// What of the input does not reach the matrices, as peft has it: zeros at random places, the rest scaled to keep the
    /// mean. Nil outside of training, and for a rate of 0. A block that is run again in one pass has the same zeros.
    var dropout: Dropout?
    private let shape: ModuleShape

    init(path: String, projection: Projection, matrices: [Tensor], alpha: Double) throws {
        self.path = path
        self.projection = projection
        self.matrices = matrices
        self.alpha = alpha
        shape = ModuleShape(path, projection)
        for matrix in matrices { try matrix.setRequiresGrad(true) }
    }

    /// Nil of a method without one.
    var rank: Int? { Method.rank(of: matrices.map(\.shape)) }

    private var values: ModuleValues {
        ModuleValues(
            shape: shape, matrices: matrices, scale: rank.map { alpha / Double($0) * strength } ?? strength,
            matrix: projection.weight, bias: projection.bias)
    }

    func callAsFunction(_ pass: ProjectionPass) throws -> Tensor {
        var pass = pass
        if let dropout { pass.input = try dropout(pass.input, part: pass.part) }
        return try Method.output(pass, values)
    }

    /// Dropout changes what the matrices take in, so that the layer is called.
    var addition: LowRankAddition? { dropout == nil ? Method.addition(values) : nil }

    /// Writes the changed weight over the frozen one, rounded to its dtype.
    /// - Throws: a failure of the input where the base is quantised.
    func fuse() throws {
        guard let weight = projection.weight.plain else {
            throw Failure.input(
                "`\(path)` is quantised, and no adapter becomes part of it", expected: "the original weights",
                advice: "merge into the original file, or leave the adapter beside the base")
        }
        try withoutGradients {
            let weight = try weight.reshaped([projection.outputs, projection.inputs])
            try weight.assign(Method.merged(weight.to(dtype: .float32), rows: 0..<weight.size(0), values))
        }
    }
}

extension ModuleMethod {
    /// The rank that matrices of these shapes have, in the method's order; nil of a method without one.
    static func rank(of shapes: [[Int]]) -> Int? {
        for (matrix, shape) in zip(matrices, shapes) {
            if let axis = matrix.axes.firstIndex(of: .rank), axis < shape.count { return shape[axis] }
        }
        return nil
    }
}
