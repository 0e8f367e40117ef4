import Torch

extension Tensor {
    /// `mixedLinear` with the weights of projections one below the other, as the adapters of each change its columns.
    ///
    /// Where all that they do is to add products with thin matrices, these are made together with the frozen one.
    /// - Parameter part: which of the inputs of one pass it is, where a layer takes several.
    func adaptedLinear(_ weight: Matrix, bias: Tensor?, _ projections: [Projection], part: Int = 0) throws -> Tensor {
        if projections.allSatisfy(\.adapters.isEmpty) { return try mixedLinear(weight, bias: bias) }
        if let additions = projections.additions, bias?.requiresGrad != true, let frozen = try weight.frozen() {
            return try linear(frozen, bias: bias?.to(dtype: dtype), adding: additions)
        }
        let output = try mixedLinear(weight, bias: bias)
        if projections.count == 1 { return try projections[0].adapted(output, of: self, part: part) }
        let columns = try output.chunked(projections.count, dimension: -1)
        return try .concatenated(
            zip(projections, columns).map { try $0.adapted($1, of: self, part: part) }, dimension: -1)
    }
}

extension [Projection] {
    /// What all adapters add, by the columns of the projections' outputs side by side; nil where one does anything else.
    fileprivate var additions: [(down: Tensor, up: Tensor, column: Int, scale: Double)]? {
        var additions: [(down: Tensor, up: Tensor, column: Int, scale: Double)] = []
        var column = 0
        for projection in self {
            for adapter in projection.adapters {
                guard let addition = adapter.addition else { return nil }
                additions.append((addition.down, addition.up, column, addition.scale))
            }
            column += projection.outputs
        }
        return additions
    }
}
