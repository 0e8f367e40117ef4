import Cascade
import Layers
import Optimization
import Torch

/// A ControlNet with an EfficientNetV2-S trunk and eight projections on a frozen Stage C: batch 2, one-channel conditions of
/// 768 pixels a side, as Canny makes them.
struct ControlNetUpdate: TimedUpdate {
    static let title = "ControlNet update"
    private let stageC: StageC
    private let trunk: ControlNetTrunk
    private let store: ParameterStore
    private let optimizer: AdamW
    private let batch: DrawnBatch
    private let condition: Tensor

    init(_ options: UpdateOptions) throws {
        let generator = try Generator(seed: 1)
        let base = ParameterStore(
            from: DrawnParameters(generator), dtype: options.dtype, device: options.device)
        stageC = try StageC(options.stageC, base)
        stageC.isCheckpointing = options.isCheckpointing
        stageC.computeDType = options.computed(of: options.dtype)
        try base.draw("clf.1.weight", generator)

        store = ParameterStore(from: DrawnParameters(generator), device: options.device)
        // As the published ControlNets choose them: every other block of the outer halves.
        let last = stageC.configuration.injectionPoints - 1
        let blocks = [0, 2, 4, 6].flatMap { [$0, last - $0] }.sorted()
        trunk = try ControlNetTrunk(
            .init(inputs: 1, projected: stageC.configuration.hidden[0], blocks: blocks), store.root)
        try store.finish()
        for index in blocks.indices { try store.draw("projections.\(index).2.weight", generator) }
        try store.setTrainable(true)
        trunk.isCheckpointing = options.isCheckpointing
        trunk.computeDType = stageC.computeDType
        optimizer = try AdamW([.init(store.parameters, weightDecay: 0.01)])
        batch = try DrawnBatch(2, stageC.computeDType, options.device, generator)
        condition = try generator.normal([2, 1, 768, 768], device: options.device)
    }

    var parameters: Int { stageC.store.count + store.count }
    var computeDType: DType { stageC.computeDType }

    func callAsFunction(_ number: Int) throws -> Double {
        var conditions = batch.conditions
        conditions.injections = try trunk(condition)
        return try optimizer.minimise(
            batch.loss(number) { latents, time in
                try stageC(latents.to(dtype: computeDType), time: time, conditions)
            })
    }
}
