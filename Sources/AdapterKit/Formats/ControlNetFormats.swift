import Cascade
import Failures
import JSON
import Torch
import Weights

/// ControlNets as the official code and ComfyUI keep them: the trunk's tensors, without the blocks they are for.
extension ControlNetAdapter {
    private static let format = ForeignFormat(
        "controlnet", "ControlNet without description (block indices are not in the file)")
    /// What ComfyUI's loader takes, and the published ControlNets have; comfy/controlnet.py.
    static let publishedBlocks = [0, 4, 8, 12, 51, 55, 59, 63]
    private static let counter = ".num_batches_tracked"

    public static func foreignFormat(of file: any NamedTensors) -> ForeignFormat? {
        func begins(_ prefix: String) -> Bool { file.entries.contains { $0.name.hasPrefix(prefix) } }
        return begins("backbone.") && begins("projections.") ? format : nil
    }

    public static func foreign(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter? {
        guard foreignFormat(of: file) != nil else { return nil }
        let place = Failure.Place(file.path)
        let count = (0...).prefix { file["projections.\($0).2.weight"] != nil }.count
        guard let last = file["projections.0.2.weight"], last.shape.count == 4,
            let (mode, inputs) = backbone(of: file)
        else { throw Failure.input("the ControlNet's first layers or projections are damaged", at: place) }
        // The published ones have eight projections of 2048 channels.
        let isPublished = count == publishedBlocks.count && last.shape[0] == 2048
        let blocks =
            reading.controlNetBlocks.isEmpty && isPublished ? publishedBlocks : reading.controlNetBlocks
        guard blocks.count == count else {
            throw Failure.input(
                "the file does not say for which residual blocks its \(count) projections are", at: place,
                expected: "\(count) block indices", got: blocks.isEmpty ? "none" : "\(blocks)",
                advice: "name them in the order of the projections: --blocks 0,4,8")
        }
        var adapter = ForeignAdapter(kind: kind, format: format)
        adapter.describe("c_in", .integer(inputs))
        adapter.describe("c_proj", .integer(last.shape[0]))
        adapter.describe("controlnet_blocks", .array(blocks.map { .integer($0) }))
        adapter.describe("bottleneck_mode", .string(mode.rawValue))
        adapter.describe("controlnet_filter", .string(""))
        adapter.describe("controlnet_filter_params", .object(.init()))
        if let size = ModelSize.of(.stageC, width: last.shape[0]), size.isPublished {
            adapter.describe("base_model", .string(size.name))
        }
        for entry in file.entries where entry.name.hasPrefix("backbone.") || entry.name.hasPrefix("projections.") {
            adapter.used.insert(entry.name)
            if entry.name.hasSuffix(counter) { continue }
            adapter.tensors.append((entry.name, StoredTensor(entry, in: file)))
        }
        // What the file was exported with beats what its shapes suggest.
        for (name, text) in AdapterFile.carried(by: file)
        where name.hasPrefix("controlnet_filter") || name == "base_model" {
            adapter.describe(name, .string(text))
        }
        return adapter
    }

    /// The kind of backbone and the channels it takes, by the shapes of its first layers.
    private static func backbone(
        of file: any NamedTensors
    ) -> (ControlNetTrunk.BottleneckMode, inputs: Int)? {
        if let stem = file["backbone.0.0.weight"]?.shape, stem.count == 4 { return (.effnet, stem[1]) }
        guard let first = file["backbone.0.weight"]?.shape, first.count == 4 else { return nil }
        return (first[2] == 1 ? .large : .simple, first[1])
    }

    public static func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)] {
        let configuration = try ControlNetTrunk.Configuration(describedIn: file)
        return [
            ("blocks", .array(configuration.blocks.map { .integer($0) })),
            ("bottleneck_mode", .string(configuration.bottleneckMode.rawValue)),
            ("c_in", .integer(configuration.inputs)), ("c_proj", .integer(configuration.projected)),
        ]
    }

    public static func export(_ file: AdapterFile, to export: inout AdapterExport) throws {
        let configuration = try ControlNetTrunk.Configuration(describedIn: file)
        switch export.format {
        case .native: return
        case .kohya, .diffusers:
            throw Failure.input(
                "\(export.format.rawValue) has no ControlNet for Stable Cascade", at: Failure.Place(file.path),
                expected: "--format native, stability or comfyui")
        case .stability: break
        case .comfyui: export.notes += obstacles(configuration)
        }
        for entry in file.weights.entries {
            export.main.tensors.append((entry.name, try file.weights.required(entry.name)))
            // Strict loading in PyTorch wants the counter that ours has no use for.
            guard entry.name.hasSuffix(".running_var") else { continue }
            let layer = entry.name.dropLast(".running_var".count)
            export.main.tensors.append((layer + counter, try .zeros([], dtype: .int64)))
        }
        export.notes.append(
            "the file does not hold the block indices: controlnet_blocks \(configuration.blocks), "
                + "bottleneck mode \(configuration.bottleneckMode.rawValue), \(configuration.inputs) input channels")
    }

    /// Why ComfyUI's loader would not take a ControlNet.
    private static func obstacles(_ configuration: ControlNetTrunk.Configuration) -> [String] {
        var reasons: [String] = []
        if configuration.blocks != publishedBlocks {
            reasons.append("blocks \(configuration.blocks) where it takes \(publishedBlocks)")
        }
        let size = ModelSize.large
        if configuration.projected != size.width {
            reasons.append("\(configuration.projected) channels where it takes \(size.width) (\(size.name))")
        }
        if configuration.bottleneckMode == .simple {
            reasons.append("a simple backbone where it takes effnet or large")
        }
        return reasons.isEmpty
            ? [] : ["warning: ComfyUI cannot load this ControlNet: " + reasons.joined(separator: "; ")]
    }
}
