import Cascade
import Failures
import JSON
import Settings
import Weights

/// ControlNets, in our files and as the official code and ComfyUI keep them: the trunk's tensors, without the blocks they
/// are for.
public struct ControlNetKind: AdapterKind {
    /// The name in files and messages.
    public let name = "controlnet"

    /// The kind, to be registered.
    public init() {}

    /// The `controlnet` recipe makes its ControlNet itself, with a filter beside it.
    public func plan(_ fields: inout Fields) throws -> AdapterPlan? { nil }

    /// The ControlNet that a file describes; nil where there is no Stage C to inject into.
    /// - Throws: a failure of the input where the description is damaged or for another Stage C.
    public func read(_ file: AdapterFile, for networks: AdaptedNetworks) throws -> (any Adapter)? {
        guard file.kinds.contains(name), let model = networks.model else { return nil }
        return try ControlNetAdapter(file, for: model)
    }

    /// All tensors but the statistics of batch norms, which are not trained.
    public func parts(of file: AdapterFile) throws -> AdapterParts {
        // Statistics are no parameters.
        let trained = file.weights.entries.filter { !$0.name.contains(".running_") }
        return AdapterParts(kind: name, shapes: trained.map(\.shape))
    }

    /// Nil of a file without a ControlNet.
    /// - Throws: a failure of the input for one with a ControlNet, which cannot be merged.
    public func changes(in file: AdapterFile) throws -> [WeightChange]? {
        if file.kinds.contains(name) { throw Self.notMergeable(at: Failure.Place(file.path)) }
        return nil
    }

    static func notMergeable(at place: Failure.Place? = nil) -> Failure {
        .input(
            "a ControlNet cannot become part of the base's weights", at: place, advice: "use it beside the base")
    }

    // MARK: Files of other programs

    private static let format = ForeignFormat(
        "controlnet", "ControlNet without description (block indices are not in the file)")
    /// What ComfyUI's loader takes, and the published ControlNets have; comfy/controlnet.py.
    static let publishedBlocks = [0, 4, 8, 12, 51, 55, 59, 63]
    private static let counter = ".num_batches_tracked"

    /// Recognised by keys under `backbone.` together with some under `projections.`
    public func foreignFormat(of file: any NamedTensors) -> ForeignFormat? {
        func begins(_ prefix: String) -> Bool { file.entries.contains { $0.name.hasPrefix(prefix) } }
        return begins("backbone.") && begins("projections.") ? Self.format : nil
    }

    /// The ControlNet of the official code or of ComfyUI, with the block indices of `reading`; those of the published
    /// ones are known.
    /// - Throws: a failure of the input where tensors are damaged, or where the blocks are neither given nor known.
    public func foreign(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter? {
        guard foreignFormat(of: file) != nil else { return nil }
        let place = Failure.Place(file.path)
        let count = (0...).prefix { file["projections.\($0).2.weight"] != nil }.count
        guard let last = file["projections.0.2.weight"], last.shape.count == 4,
            let (mode, inputs) = Self.backbone(of: file)
        else { throw Failure.input("the ControlNet's first layers or projections are damaged", at: place) }
        // The published ones have eight projections for the largest Stage C.
        let isPublished = count == Self.publishedBlocks.count && last.shape[0] == ModelSize.large.width
        let blocks =
            reading.controlNetBlocks.isEmpty && isPublished ? Self.publishedBlocks : reading.controlNetBlocks
        guard blocks.count == count else {
            throw Failure.input(
                "the file does not say for which residual blocks its \(count) projections are", at: place,
                expected: "\(count) block indices", got: blocks.isEmpty ? "none" : "\(blocks)",
                advice: "name them in the order of the projections: --blocks 0,4,8")
        }
        var adapter = ForeignAdapter(kind: name, format: Self.format)
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
            if entry.name.hasSuffix(Self.counter) { continue }
            adapter.tensors.append((entry.name, StoredTensor(entry, in: file)))
        }
        // What the file was exported with beats what its shapes suggest.
        for (name, text) in AdapterFile.carried(by: file)
        where name.hasPrefix("controlnet_filter") || ["base_model", "controlnet_backbone"].contains(name) {
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

    /// The blocks, the backbone and the channels that go in and out.
    public func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)] {
        let configuration = try ControlNetTrunk.Configuration(describedIn: file)
        return [
            ("blocks", .array(configuration.blocks.map { .integer($0) })),
            ("bottleneck_mode", .string(configuration.bottleneckMode.rawValue)),
            ("c_in", .integer(configuration.inputs)), ("c_proj", .integer(configuration.projected)),
        ] + (configuration.hasOwnTrunk ? [("backbone", configuration.efficientNet.json)] : [])
    }

    /// The same tensors, for stability and comfyui; notes say what their files do not hold, and why ComfyUI would not
    /// load one.
    /// - Throws: a failure of the input for kohya and diffusers, which have no ControlNet for Stable Cascade.
    public func export(_ file: AdapterFile, to export: inout AdapterExport) throws {
        let configuration = try ControlNetTrunk.Configuration(describedIn: file)
        switch export.format {
        case .native: return
        case .kohya, .diffusers:
            throw Failure.input(
                "\(export.format.rawValue) has no ControlNet for Stable Cascade", at: Failure.Place(file.path),
                expected: "--format native, stability or comfyui")
        case .stability: break
        case .comfyui: export.notes += Self.obstacles(configuration)
        }
        for entry in file.weights.entries {
            export.main.tensors.append((entry.name, try file.weights.required(entry.name)))
            // Strict loading in PyTorch wants the counter that ours has no use for.
            guard entry.name.hasSuffix(".running_var") else { continue }
            let layer = entry.name.dropLast(".running_var".count)
            export.main.tensors.append((layer + Self.counter, try .zeros([], dtype: .int64)))
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
        if configuration.hasOwnTrunk {
            reasons.append("a trunk of widths \(configuration.efficientNet.widths) where it takes EfficientNetV2-S")
        }
        return reasons.isEmpty
            ? [] : ["warning: ComfyUI cannot load this ControlNet: " + reasons.joined(separator: "; ")]
    }
}
