import AdapterKit
import Cascade
import Failures
import JSON
import Layers
import Settings
import Torch

/// Low-rank adaptation (Hu et al. 2021) of the linear layers and attention projections of Stage C and, where a file
/// brings it along, of the text tower.
public final class LoRA: Adapter {
    public static let kind = "lora"

    /// Parts of the paths of the modules that were selected; empty where a file does not say.
    public let moduleFilters: [String]
    /// Paths of modules of the file whose network is not there; they are passed over.
    public let passedOver: [String]
    /// Multiplies all that the LoRA adds, attached or fused; 1 as it was trained.
    public var strength = 1.0 {
        didSet { for module in modules { module.layer.strength = strength } }
    }
    private let modules: [Module]
    /// Share of each layer's input that `drop(seed:)` takes away.
    private var dropout = 0.0

    private struct Module {
        let path: String
        let projection: Projection
        let layer: LoRALayer
    }

    /// A new LoRA on the modules that the filters select.
    public convenience init(
        _ configuration: LoRAConfiguration, on model: AdaptedModel, generator: Generator
    ) throws {
        let device = model.stageC.store.device
        let modules = try model.stageC.modules(matching: configuration.moduleFilters).map { path, projection in
            let (downShape, upShape) = (
                [configuration.rank, projection.inputs], [projection.outputs, configuration.rank]
            )
            let (down, up) =
                switch configuration.start {
                case .reference: (Initializer.zeros, Initializer.normal(deviation: 1))
                case .kaiming: (Initializer.torchUniform, Initializer.zeros)
                }
            let layer = try LoRALayer(
                down: down.draw(downShape, from: generator).to(device: device),
                up: up.draw(upShape, from: generator).to(device: device), alpha: configuration.alpha)
            return Module(path: path, projection: projection, layer: layer)
        }
        self.init(modules, moduleFilters: configuration.moduleFilters, passedOver: [])
        dropout = configuration.dropout
    }

    private init(_ modules: [Module], moduleFilters: [String], passedOver: [String]) {
        self.modules = modules
        self.moduleFilters = moduleFilters
        self.passedOver = passedOver
    }

    public static func plan(_ fields: inout Fields) throws -> AdapterPlan? {
        guard fields.contains("module_filters") || fields.contains("rank") else { return nil }
        let configuration = try LoRAConfiguration(&fields)
        let place = fields.setting["module_filters"]?.place
        return AdapterPlan(
            summary: { model in
                let modules = try model.stageC.modules(matching: configuration.moduleFilters, at: place)
                return "LoRA of rank \(configuration.rank) on \(modules.count) modules"
            },
            parts: { model in
                let modules = try model.stageC.modules(matching: configuration.moduleFilters, at: place)
                return AdapterParts(
                    kind: kind,
                    shapes: modules.flatMap {
                        [[configuration.rank, $0.projection.inputs], [$0.projection.outputs, configuration.rank]]
                    }, modules: modules.map(\.path))
            },
            make: { model, generator in
                _ = try model.stageC.modules(matching: configuration.moduleFilters, at: place)
                return try LoRA(configuration, on: model, generator: generator)
            },
            settle: { ($0 as? LoRA)?.dropout = configuration.dropout })
    }

    // MARK: Changing the model

    public var parameters: [(name: String, tensor: Tensor)] {
        modules.flatMap { module in
            [
                (LowRankChange.downKey(module.path), module.layer.down),
                (LowRankChange.upKey(module.path), module.layer.up),
            ]
        }
    }

    public let decays = true

    public func attach() throws { for module in modules { module.projection.attach(module.layer) } }

    public func detach() { for module in modules { module.projection.detach(module.layer) } }

    public var drops: Bool { dropout > 0 }

    public func drop(seed: UInt64?) {
        for (position, module) in modules.enumerated() {
            module.layer.dropout = drops ? seed.map { Dropout(rate: dropout, seed: $0, position: position) } : nil
        }
    }

    public func fuse() throws {
        precondition(modules.allSatisfy { !$0.projection.isAttached($0.layer) }, "fused while attached")
        for module in modules {
            let weight = module.projection.weight
            try withoutGradients {
                try weight.assign(weight.to(dtype: .float32) + module.layer.product())
            }
        }
    }

    // MARK: The file

    public func write(to contents: inout AdapterContents) throws {
        contents.add(kind: Self.kind)
        LoRAModule.describe(modules.map { ($0.path, $0.layer.rank, $0.layer.alpha) }) { contents.describe($0, $1) }
        contents.describe("module_filters", .array(moduleFilters.map(JSON.string)))
        contents.tensors += parameters
    }

    public static func read(_ file: AdapterFile, for model: AdaptedModel) throws -> LoRA? {
        guard file.kinds.contains(kind) else { return nil }
        return try LoRA(file, stageC: model.stageC, text: model.text?.tower)
    }

    /// Whether the LoRA of a file changes the text tower.
    public static func hasText(_ file: AdapterFile) throws -> Bool {
        try LoRAModule.all(in: file).contains(where: \.isOfText)
    }

    /// The LoRA of a file on the networks that are there.
    /// - Throws: a failure of the input where the file's modules do not fit, or belong to a network that is not there.
    public convenience init(_ file: AdapterFile, stageC: StageC?, text: CLIPTextTower?) throws {
        let stored = try LoRAModule.all(in: file)
        let here = stored.filter { ($0.isOfText ? text != nil : stageC != nil) }
        let projections = (stageC?.store.projections ?? []) + (text?.projections ?? [])
        let known = Dictionary(projections.map { ($0.path, $0.projection) }) { first, _ in first }
        let strange = here.map(\.path).filter { known[$0] == nil }
        let place = Failure.Place(file.path)
        guard strange.isEmpty, !here.isEmpty else {
            throw Failure.input(
                here.isEmpty
                    ? "the LoRA has no module for this network"
                    : "the LoRA has \(strange.count) modules that this network has not",
                at: place, expected: "modules of the base it was trained on",
                got: (here.isEmpty ? stored.map(\.path) : strange).sorted().prefix(4).joined(separator: ", "))
        }
        let modules = try here.compactMap { stored -> Module? in
            guard let projection = known[stored.path] else { return nil }
            let fits = [stored.inputs, stored.outputs] == [projection.inputs, projection.outputs]
            guard fits else {
                throw Failure.input(
                    "the LoRA of `\(stored.path)` does not fit this network", at: place,
                    expected: "shapes [r, \(projection.inputs)] and [\(projection.outputs), r]",
                    got: "\(stored.down.shape) and \(stored.up.shape)")
            }
            let device = projection.weight.device
            // Copies: what is trained must not be a view of the file.
            let layer = try LoRALayer(
                down: stored.down().to(dtype: .float32).cloned().to(device: device),
                up: stored.up().to(dtype: .float32).cloned().to(device: device), alpha: stored.alpha)
            return Module(path: stored.path, projection: projection, layer: layer)
        }
        self.init(
            modules, moduleFilters: try file.described("module_filters").arrayValue?.compactMap(\.stringValue) ?? [],
            passedOver: stored.filter { $0.isOfText ? text == nil : stageC == nil }.map(\.path))
    }
}
