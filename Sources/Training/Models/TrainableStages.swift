import Cascade
import Generation
import Layers
import Torch

extension ModelLoading {
    /// A Stage C to train whole, in float32 or bfloat16: from a checkpoint, or drawn where the configuration names none.
    func trainable(_ generator: Generator) throws -> StageC {
        let architecture = try files.stageCArchitecture()
        let blocks = try group.map { group in
            let outline = ParameterStore(from: Placeholders(), dtype: files.weightsDType)
            let network = try StageC(architecture, outline)
            return try SharedBlocks(
                BlockLayout(of: outline, network.blocks, trains: true), among: group, training: files.weightsDType)
        }
        let source = try start(.stageC, files.stageC?.weights, generator)
        let stageC = try StageC(
            architecture, ParameterStore(from: source, dtype: files.weightsDType, blocks: blocks, device: files.device))
        stageC.shared = blocks
        stageC.isCheckpointing = files.isCheckpointing
        stageC.computeDType = computeDType(files.weightsDType)
        try stageC.store.setTrainable(true)
        return stageC
    }

    /// A Stage B to train whole, likewise.
    func trainableStageB(_ generator: Generator) throws -> (stageB: StageB, store: ParameterStore) {
        let architecture = try files.stageBArchitecture()
        let blocks = try group.map { group in
            let outline = ParameterStore(from: Placeholders(), dtype: files.weightsDType)
            let network = try StageB(architecture, outline.root)
            return try SharedBlocks(
                BlockLayout(of: outline, network.blocks, trains: true), among: group, training: files.weightsDType)
        }
        let source = try start(.stageB, files.stageB?.weights, generator)
        let store = ParameterStore(from: source, dtype: files.weightsDType, blocks: blocks, device: files.device)
        let stageB = try StageB(architecture, store.root)
        try store.finish()
        stageB.shared = blocks
        stageB.isCheckpointing = files.isCheckpointing
        try store.setTrainable(true)
        return (stageB, store)
    }

    private func start(
        _ part: ModelPart, _ source: ModelFiles.Source?, _ generator: Generator
    ) throws -> any ParameterSource {
        guard let source else { return CopiedParameters(DrawnParameters(generator)) }
        return CopiedParameters(StoredParameters(try weights(part, source)))
    }
}

/// Copies what another source gives, so that training never writes into a view of a file, and lets go of the source once
/// the network stands: the file's pages would be resident beside the copies.
private final class CopiedParameters: ParameterSource {
    private var source: (any ParameterSource)?

    init(_ source: any ParameterSource) { self.source = source }

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        guard let source else { preconditionFailure("a network that stands asks for `\(key)`") }
        let copy = try source.value(key, shape: shape, initial: initial).cloned()
        source.release(key)
        return copy
    }

    func finish() throws {
        try source?.finish()
        source = nil
    }
}
