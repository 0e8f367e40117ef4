import Cascade
import Diffusion
import JSON
import Layers
import Optimization
import Torch

/// An update of a training that is timed: what a recipe does at each, without its data.
protocol TimedUpdate {
    /// What is trained, as the report says it.
    static var title: String { get }
    /// Numbers of all networks that the update passes.
    var parameters: Int { get }
    /// What products are computed in.
    var computeDType: DType { get }
    init(_ options: UpdateOptions) throws
    /// Makes update `number`.
    /// - Returns: the loss.
    func callAsFunction(_ number: Int) throws -> Double
}

/// How an update is made and timed.
struct UpdateOptions {
    var updates = 10
    var warmups = 2
    var threads: Int?
    var device = Device.cpu
    /// What a frozen base is stored in.
    var dtype = DType.bfloat16
    /// What is computed in; nil is the base's dtype where the processor is fast at it.
    var computeDType: DType?
    var isCheckpointing = false
    /// Of what a LoRA's layers take in, at least 0 and below 1.
    var dropout = 0.0
    /// Stage C of 1 billion parameters in place of that of 94 million.
    var isLarge = false

    /// Stage C, of 94 million parameters unless it is the large one.
    var stageC: StageCConfiguration {
        if isLarge { return .lite }
        var c = StageCConfiguration()
        c.conditionWidth = 512
        c.hidden = [512, 512]
        c.heads = [8, 8]
        c.blocks = [[4, 8], [8, 4]]
        return c
    }

    func computed(of stored: DType) -> DType {
        computeDType ?? (device == .cpu && !Processor.isFastAtBFloat16 ? .float32 : stored)
    }
}

extension TimedUpdate {
    /// Makes an update as often as the options say.
    /// - Returns: one line of figures.
    static func run(_ options: UpdateOptions) throws -> JSON {
        if let threads = options.threads { try Engine.shared().setThreads(threads) }
        let update = try Self(options)
        let memory = PeakMemory()
        for number in 0..<options.warmups { _ = try update(number) }
        memory.reset()
        if options.device != .cpu { try Engine.shared().resetPeakMemory(options.device) }
        var seconds: [Double] = []
        var loss = 0.0
        for number in 0..<options.updates {
            let began = monotonicSeconds()
            loss = try update(options.warmups + number)
            try Engine.shared().synchronize(options.device)
            seconds.append(monotonicSeconds() - began)
        }
        let peak = options.device == .cpu ? memory.bytes : try Engine.shared().peakMemory(options.device)
        return [
            "what": .string("\(title), cascade-adapt"), "seconds": .number(seconds.sorted()[seconds.count / 2]),
            "peak_bytes": .integer(peak), "parameters": .integer(update.parameters),
            "base": .string(options.dtype.description), "compute": .string(update.computeDType.description),
            "threads": .integer(try Engine.shared().threads), "device": .string(options.device.description),
            "checkpointing": .bool(options.isCheckpointing), "dropout": .number(options.dropout), "loss": .number(loss),
        ]
    }
}

/// Latents and conditions of Stage C that stand for a batch of a dataset, drawn once.
struct DrawnBatch {
    let latents: Tensor
    let conditions: StageC.Conditions
    private let diffusion = Diffusion()

    /// - Parameter count: samples; their latents are 24 x 24, those of images of 768 pixels.
    init(_ count: Int, _ dtype: DType, _ device: Device, _ generator: Generator) throws {
        func draw(_ shape: [Int]) throws -> Tensor { try generator.normal(shape, device: device).to(dtype: dtype) }
        latents = try generator.normal([count, 16, 24, 24], device: device)
        conditions = StageC.Conditions(
            clipText: try draw([count, 77, 1280]), clipTextPooled: try draw([count, 1, 1280]),
            clipImage: try draw([count, 1, 768]))
    }

    func draws(_ number: Int) -> Draws { Draws(seed: 1, update: number, places: 0..<latents.size(0)) }

    /// The loss of what `predict` makes of noised latents and their times.
    func loss(_ number: Int, _ predict: (Tensor, Tensor) throws -> Tensor) throws -> Tensor {
        try diffusion.loss(of: latents, draws(number), predict)
    }
}

extension Diffusion {
    /// The mean loss of a batch of latents, [B, C, H, W], noised by its draws.
    func loss(of latents: Tensor, _ draws: Draws, _ predict: (Tensor, Tensor) throws -> Tensor) throws -> Tensor {
        let noised = try self(latents, draw(latents.sampleShape, device: latents.device, from: draws))
        let prediction = try predict(noised.latents, noised.noiseCondition)
        let perSample = try (prediction.to(dtype: .float32) - noised.target).squared().mean([1, 2, 3])
        return try (perSample * noised.lossWeight).mean()
    }
}

extension Optimizer {
    /// The backward pass, clipping and a step.
    /// - Returns: the loss as a number.
    func minimise(_ loss: Tensor) throws -> Double {
        try loss.backward()
        try step(learningRate: 1e-4, gradientScale: GradientClipping(limit: 1)(groups).scale)
        try clearGradients()
        return try loss.item()
    }
}

extension ParameterStore {
    /// Numbers of all parameters.
    var count: Int { parameters.reduce(0) { $0 + $1.tensor.count } }

    /// Draws what starts at zero, by which gradients flow as they do once the network is trained.
    func draw(_ key: String, _ generator: Generator) throws {
        guard let tensor = self[key] else { return }
        try tensor.assign(generator.normal(tensor.shape) * 0.02)
    }
}
