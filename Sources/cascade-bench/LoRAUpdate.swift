import AdapterKit
import Cascade
import Diffusion
import Glibc
import JSON
import Layers
import LoRA
import Optimization
import Settings
import Torch

/// One LoRA update of a Stage C of 94 million parameters: what a training of LoRA costs on this machine.
struct LoRAUpdate {
    struct Options {
        var updates = 10
        var warmups = 2
        var threads: Int?
        var device = Device.cpu
        /// What the base is stored in.
        var dtype = DType.bfloat16
        var isCheckpointing = false
        /// Of what the adapter's layers take in, at least 0 and below 1.
        var dropout = 0.0
    }

    private let options: Options
    private let stageC: StageC
    private let lora: ModuleAdapter<LoRA>
    private let optimizer: AdamW
    private let diffusion = Diffusion()
    private let conditions: StageC.Conditions
    private let latents: Tensor

    static var configuration: StageCConfiguration {
        var c = StageCConfiguration()
        c.conditionWidth = 512
        c.hidden = [512, 512]
        c.heads = [8, 8]
        c.blocks = [[4, 8], [8, 4]]
        return c
    }

    init(_ options: Options) throws {
        self.options = options
        if let threads = options.threads { try Engine.shared().setThreads(threads) }
        let generator = try Generator(seed: 1)
        let device = options.device
        let store = ParameterStore(from: DrawnParameters(generator), dtype: options.dtype, device: device)
        stageC = try StageC(Self.configuration, store)
        stageC.isCheckpointing = options.isCheckpointing
        if device == .cpu && !Processor.isFastAtBFloat16 { stageC.computeDType = .float32 }
        let model = AdaptedModel(stageC: stageC, text: nil, base: BaseModel(name: "94M", sha256: ""))
        lora = try ModuleAdapter(LoRA(rank: 4), on: ModuleSelection([".attn"]), of: model, generator: generator)
        try lora.attach()
        let keys = "{module_filters: [.attn], rank: 4, lora_dropout: \(options.dropout)}"
        var fields = try Setting.parse(keys, file: "--dropout").fields()
        try LoRA.kind.plan(&fields)?.settle(lora)
        optimizer = try AdamW([.init(lora.parameters, weightDecay: 0.01)])
        let dtype = stageC.computeDType
        func draw(_ shape: [Int]) throws -> Tensor { try generator.normal(shape, device: device).to(dtype: dtype) }
        latents = try generator.normal([4, 16, 24, 24], device: device)
        conditions = StageC.Conditions(
            clipText: try draw([4, 77, 1280]), clipTextPooled: try draw([4, 1, 1280]), clipImage: try draw([4, 1, 768]))
        // The last layer starts at zero; drawn, gradients flow through the whole network as they do once it is trained.
        if let classifier = store["clf.1.weight"] {
            try classifier.assign(generator.normal(classifier.shape) * 0.02)
        }
    }

    /// Runs the updates.
    /// - Returns: one line of figures.
    func run() throws -> JSON {
        let memory = PeakMemory()
        for number in 0..<options.warmups { _ = try update(number) }
        memory.reset()
        if options.device != .cpu { try Engine.shared().resetPeakMemory(options.device) }
        var seconds: [Double] = []
        var loss = 0.0
        for number in 0..<options.updates {
            let began = Self.now()
            loss = try update(options.warmups + number)
            try Engine.shared().synchronize(options.device)
            seconds.append(Self.now() - began)
        }
        let peak = options.device == .cpu ? memory.bytes : try Engine.shared().peakMemory(options.device)
        let parameters = stageC.store.parameters.reduce(0) { $0 + $1.tensor.count }
        return [
            "what": "LoRA update, cascade-adapt", "seconds": .number(seconds.sorted()[seconds.count / 2]),
            "peak_bytes": .integer(peak), "parameters": .integer(parameters),
            "base": .string(options.dtype.description), "compute": .string(stageC.computeDType.description),
            "threads": .integer(try Engine.shared().threads), "device": .string(options.device.description),
            "checkpointing": .bool(options.isCheckpointing), "dropout": .number(options.dropout), "loss": .number(loss),
        ]
    }

    private func update(_ number: Int) throws -> Double {
        let draws = Draws(seed: 1, update: number, places: 0..<latents.size(0))
        lora.setDropout(draws)
        let noised = try diffusion(
            latents, diffusion.draw(latents.sampleShape, device: options.device, from: draws))
        let prediction = try stageC(
            noised.latents.to(dtype: stageC.computeDType), time: noised.noiseCondition, conditions)
        let perSample = try (prediction.to(dtype: .float32) - noised.target).squared().mean([1, 2, 3])
        let loss = try (perSample * noised.lossWeight).mean()
        try loss.backward()
        try optimizer.step(learningRate: 1e-4, gradientScale: GradientClipping(limit: 1)(optimizer.groups).scale)
        try optimizer.clearGradients()
        return try loss.item()
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
