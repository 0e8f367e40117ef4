import Cascade
import Generation
import Layers
import Torch

extension ModelLoading {
    /// A Stage C to train whole, in float32 or bfloat16: from a checkpoint, or drawn where the configuration names none.
    func trainable(_ generator: Generator) throws -> StageC {
        let architecture = try files.stageCArchitecture()
        let source = try start(.stageC, files.stageC?.weights, generator)
        let stageC = try StageC(
            architecture, ParameterStore(from: source, dtype: files.weightsDType, device: files.device))
        stageC.isCheckpointing = files.isCheckpointing
        stageC.computeDType = computeDType(files.weightsDType)
        try stageC.store.setTrainable(true)
        return stageC
    }

    /// A Stage B to train whole, likewise.
    func trainableStageB(_ generator: Generator) throws -> (stageB: StageB, store: ParameterStore) {
        let source = try start(.stageB, files.stageB?.weights, generator)
        let store = ParameterStore(from: source, dtype: files.weightsDType, device: files.device)
        let stageB = try StageB(files.stageBArchitecture(), store.root)
        try store.finish()
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

/// Copies what another source gives, so that training never writes into a view of a file.
private struct CopiedParameters: ParameterSource {
    let source: any ParameterSource

    init(_ source: any ParameterSource) { self.source = source }

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        // The pages of a file would lie beside the copies until all are made.
        defer { source.release(key) }
        return try source.value(key, shape: shape, initial: initial).cloned()
    }

    func finish() throws { try source.finish() }
}
