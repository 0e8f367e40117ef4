import Torch

/// Writes kohya's layout: paths with underscores behind a prefix, alpha as a tensor of its own for each module.
struct KohyaWriting<Method: ModuleMethod> {
    /// What stands before the modules of Stage C and of the text encoder.
    let stageC: String
    let text: String

    func write(_ modules: [ModuleMatrices], to export: inout AdapterExport) throws {
        for module in modules {
            let name = (module.isOfText ? text : stageC) + ModulePath.underscored(module.path)
            for (matrix, tensor) in zip(Method.matrices, module.tensors) {
                export.main.tensors.append((Method.key(name, matrix), try module.asStored(tensor, matrix)))
            }
            if Method.hasRank { export.main.tensors.append(("\(name).alpha", try .full([], module.alpha))) }
        }
        // What kohya's scripts and viewers of its files look for.
        if let network = Method.networkModule { export.main.metadata["ss_network_module"] = network }
        ModuleMatrices.describe(modules.map { ($0.path, $0.rank, $0.alpha) }) { name, value in
            if name == "rank" { export.main.metadata["ss_network_dim"] = value.text() }
            if name == "alpha" { export.main.metadata["ss_network_alpha"] = value.text() }
        }
        if let steps = export.steps { export.main.metadata["ss_steps"] = steps }
    }
}

extension ModuleMatrices {
    /// A matrix in the shape in which the programs keep it.
    /// - Parameter holdsKernels: whether a depthwise module's kernels have their own shape in it.
    func asStored(_ tensor: StoredTensor, _ matrix: MethodMatrix, holdsKernels: Bool = true) throws -> Tensor {
        guard matrix.isShapedAsConvolution else { return try tensor().contiguous() }
        let isKernel = holdsKernels && matrix.axes.last == .inputs
        let stored =
            switch shape.kernelSide {
            case let side? where isKernel: [tensor.shape[0], 1, side, side]
            case nil where !ModulePath.isConvolution(path): tensor.shape
            default: tensor.shape + [1, 1]
            }
        return try tensor.reshaped(stored)().contiguous()
    }
}
