import Cascade
import Diffusion
import Layers
import Optimization
import Torch

/// All of Stage C, float32 weights: batch 4.
struct StageCUpdate: TimedUpdate {
    static let title = "update of all of Stage C"
    private let stageC: StageC
    private let optimizer: AdamW
    private let batch: DrawnBatch

    init(_ options: UpdateOptions) throws {
        let generator = try Generator(seed: 1)
        let store = ParameterStore(from: DrawnParameters(generator), device: options.device)
        stageC = try StageC(options.stageC, store)
        stageC.isCheckpointing = options.isCheckpointing
        stageC.computeDType = options.computed(of: .bfloat16)
        try store.draw("clf.1.weight", generator)
        try store.setTrainable(true)
        optimizer = try AdamW([.init(store.parameters, weightDecay: 0.01)])
        batch = try DrawnBatch(4, stageC.computeDType, options.device, generator)
    }

    var parameters: Int { stageC.store.count }
    var computeDType: DType { stageC.computeDType }

    func callAsFunction(_ number: Int) throws -> Double {
        try optimizer.minimise(
            batch.loss(number) { latents, time in
                try stageC(latents.to(dtype: computeDType), time: time, batch.conditions)
            })
    }
}

/// All of a Stage B of 7 million parameters, float32 weights: batch 2, images of 512 pixels a side.
struct StageBUpdate: TimedUpdate {
    static let title = "update of all of Stage B"
    let parameters: Int
    let computeDType: DType
    private let stageB: StageB
    private let optimizer: AdamW
    private let diffusion = Diffusion()
    private let latents: Tensor
    private let conditions: StageB.Conditions

    static var configuration: StageBConfiguration {
        var c = StageBConfiguration()
        c.conditionWidth = 256
        c.hidden = [64, 128, 256]
        c.heads = [-1, 4, 8]
        c.blocks = [[1, 2, 3], [3, 2, 1]]
        c.blockRepeat = [[1, 1, 1], [1, 1, 1]]
        c.levelConfiguration = ["CT", "CTA", "CTA"]
        c.selfAttention = [true, true, true]
        c.clipWidth = 128
        c.dropout = [0, 0, 0]
        return c
    }

    init(_ options: UpdateOptions) throws {
        let (generator, device) = (try Generator(seed: 1), options.device)
        let store = ParameterStore(from: DrawnParameters(generator), device: device)
        stageB = try StageB(Self.configuration, store.root)
        try store.finish()
        stageB.isCheckpointing = options.isCheckpointing
        computeDType = options.computed(of: .bfloat16)
        parameters = store.count
        try store.draw("clf.1.weight", generator)
        try store.setTrainable(true)
        optimizer = try AdamW([.init(store.parameters, weightDecay: 0.01)])
        latents = try generator.normal([2, 4, 128, 128], device: device)
        conditions = .init(
            effnet: try generator.normal([2, 16, 16, 16], device: device).to(dtype: computeDType),
            clip: try generator.normal([2, 1, Self.configuration.clipWidth], device: device).to(dtype: computeDType))
    }

    func callAsFunction(_ number: Int) throws -> Double {
        let draws = Draws(seed: 1, update: number, places: 0..<latents.size(0))
        return try optimizer.minimise(
            diffusion.loss(of: latents, draws) { latents, time in
                try stageB(latents.to(dtype: computeDType), time: time, conditions)
            })
    }
}
