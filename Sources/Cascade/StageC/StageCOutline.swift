import Layers

/// A product with a weight matrix of Stage C, or its depthwise kernels as one, known without any weights.
public struct StageCModule: Sendable, Equatable {
    /// As in our files: `down_blocks.0.2.attention.attn.to_q`.
    public let path: String
    public let inputs: Int
    public let outputs: Int
    /// The side of depthwise kernels, whose square is `inputs`; nil of any other product.
    public let kernelSide: Int?
}

extension StageCConfiguration {
    /// The modules to which a LoRA can be added, in the network's order.
    /// - Throws: a failure of the input where there can be no such network.
    public func modules() throws -> [StageCModule] {
        let stageC = try StageC(self, ParameterStore(from: Placeholders()))
        return stageC.store.projections.map {
            StageCModule(
                path: $0.path, inputs: $0.projection.inputs, outputs: $0.projection.outputs,
                kernelSide: $0.projection.kernelSide)
        }
    }

    /// The sizes by the names that `model_version` has for them.
    public static let known: [(name: String, configuration: StageCConfiguration)] = ModelSize.all.compactMap { size in
        size.stageC.map { (size.name, $0) }
    }
}
