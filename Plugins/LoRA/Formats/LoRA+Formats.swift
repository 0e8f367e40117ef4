import AdapterKit
import Cascade
import Failures
import JSON
import Weights

/// LoRA files of other programs, each turned into what a native file would hold.
extension LoRA {
    public static func foreignFormat(of file: any NamedTensors) -> ForeignFormat? {
        PositionalFormat.isPresent(in: file) ? PositionalFormat.foreign : KeyedFormat.found(in: file)?.foreign
    }

    public static func foreign(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter? {
        guard let format = foreignFormat(of: file) else { return nil }
        var adapter = ForeignAdapter(kind: kind, format: format)
        let modules: [LoRAModule]
        if PositionalFormat.isPresent(in: file) {
            let read = try PositionalFormat.read(file, reading)
            (modules, adapter.used) = (read.modules, read.used)
            adapter.describe("module_filters", .array(read.filters.map(JSON.string)))
        } else {
            (modules, adapter.used) = try KeyedFormat.read(file)
            if AdapterFile.carried(by: file)["module_filters"] == nil { adapter.describe("module_filters", .array([])) }
        }
        if let twice = Dictionary(grouping: modules, by: \.path).first(where: { $0.value.count > 1 })?.key {
            throw Failure.input("the LoRA has `\(twice)` twice", at: Failure.Place(file.path))
        }
        for module in modules {
            adapter.tensors.append((LowRankChange.downKey(module.path), module.down))
            adapter.tensors.append((LowRankChange.upKey(module.path), module.up))
        }
        LoRAModule.describe(modules.map { ($0.path, $0.rank, $0.alpha) }) { adapter.describe($0, $1) }
        // The width of the attention tells the two published sizes apart.
        let width = modules.first { $0.path.hasSuffix(".attn.out_proj") || $0.path.contains(".attn.to_") }?.outputs
        if AdapterFile.carried(by: file)["base_model"] == nil, let size = ModelSize.of(.stageC, width: width ?? 0),
            size.isPublished
        {
            adapter.describe("base_model", .string(size.name))
        }
        return adapter
    }

    public static func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)] {
        let modules = try LoRAModule.all(in: file)
        return [
            ("modules", .integer(modules.count)),
            ("text_modules", .integer(modules.count(where: \.isOfText))),
            ("depthwise_modules", .integer(modules.count { $0.kernelSide != nil })),
            ("ranks", .array(Set(modules.map(\.rank)).sorted().map { .integer($0) })),
            ("alphas", .array(Set(modules.map(\.alpha)).sorted().map(JSON.number))),
        ]
    }

    public static func export(_ file: AdapterFile, to export: inout AdapterExport) throws {
        let modules = try LoRAModule.all(in: file)
        switch export.format {
        case .native: return
        case .stability: try PositionalFormat.write(modules, of: file, to: &export)
        case .kohya: try KeyedWriting(stageC: "lora_unet_", text: "lora_te_").write(modules, to: &export)
        case .comfyui: try KeyedWriting(stageC: "lora_prior_unet_", text: "lora_prior_te_").write(modules, to: &export)
        case .diffusers: try PEFTWriting.write(modules, of: file, to: &export)
        }
    }
}
