import AdapterKit
import Cascade
import Layers
import LoRA
import Optimization
import Settings
import Torch

/// LoRA of rank 4 on the attention of a frozen Stage C: batch 4.
struct LoRAUpdate: TimedUpdate {
    static let title = "LoRA update"
    private let stageC: StageC
    private let lora: ModuleAdapter<LoRA>
    private let optimizer: AdamW
    private let batch: DrawnBatch

    init(_ options: UpdateOptions) throws {
        let generator = try Generator(seed: 1)
        let store = ParameterStore(
            from: DrawnParameters(generator), dtype: options.dtype, device: options.device)
        stageC = try StageC(options.stageC, store)
        stageC.isCheckpointing = options.isCheckpointing
        stageC.computeDType = options.computed(of: options.dtype)
        let model = AdaptedModel(stageC: stageC, text: nil, base: BaseModel(name: "drawn", sha256: ""))
        lora = try ModuleAdapter(LoRA(rank: 4), on: ModuleSelection([".attn"]), of: model, generator: generator)
        try lora.attach()
        let keys = "{module_filters: [.attn], rank: 4, lora_dropout: \(options.dropout)}"
        var fields = try Setting.parse(keys, file: "--dropout").fields()
        try LoRA.kind.plan(&fields)?.settle(lora)
        optimizer = try AdamW([.init(lora.parameters, weightDecay: 0.01)])
        batch = try DrawnBatch(4, stageC.computeDType, options.device, generator)
        try store.draw("clf.1.weight", generator)
    }

    var parameters: Int { stageC.store.count }
    var computeDType: DType { stageC.computeDType }

    func callAsFunction(_ number: Int) throws -> Double {
        lora.setDropout(batch.draws(number))
        return try optimizer.minimise(
            batch.loss(number) { latents, time in
                try stageC(latents.to(dtype: computeDType), time: time, batch.conditions)
            })
    }
}
