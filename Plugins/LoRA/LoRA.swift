import AdapterKit
import Cascade
import Failures
import JSON
import Layers
import Settings
import Torch

/// Low-rank adaptation (Hu et al. 2021) of the linear layers, attention projections and convolutions of Stage C and of
/// the text tower.
public final class LoRA: Adapter {
    public static let kind = "lora"

    /// Parts of the paths of the modules that were selected; empty where a file does not say.
    public let moduleFilters: [String]
    /// The same for the text tower.
    public let textModuleFilters: [String]
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
        let modules = try configuration.modules(of: model).map { path, projection in
            let shapes = configuration.shapes(for: projection)
            let (down, up) =
                switch configuration.start {
                case .reference: (Initializer.zeros, Initializer.normal(deviation: 1))
                case .kaiming: (Initializer.torchUniform, Initializer.zeros)
                }
            let layer = try LoRALayer(
                down: down.draw(shapes.down, from: generator).to(device: device),
                up: up.draw(shapes.up, from: generator).to(device: device),
                // A smaller rank is scaled as the others are.
                alpha: configuration.alpha * Double(shapes.down[0]) / Double(configuration.rank),
                kernelSide: projection.kernelSide)
            return Module(path: path, projection: projection, layer: layer)
        }
        self.init(modules, filters: (configuration.moduleFilters, configuration.textModuleFilters))
        dropout = configuration.dropout
    }

    private init(_ modules: [Module], filters: (stageC: [String], text: [String]), passedOver: [String] = []) {
        self.modules = modules
        (moduleFilters, textModuleFilters) = filters
        self.passedOver = passedOver
    }

    public static func plan(_ fields: inout Fields) throws -> AdapterPlan? {
        guard ["module_filters", "text_module_filters", "rank"].contains(where: fields.contains) else { return nil }
        let configuration = try LoRAConfiguration(&fields)
        return AdapterPlan(
            summary: { model in
                let modules = try configuration.modules(of: model)
                let ofText = modules.count { ModulePath.isOfText($0.path) }
                return "LoRA of rank \(configuration.rank) on \(modules.count) modules"
                    + (ofText > 0 ? ", \(ofText) of them of the text tower" : "")
            },
            parts: { model in
                var known = configuration
                let isUnknown = model.text == nil && !known.textModuleFilters.isEmpty
                if isUnknown { known.textModuleFilters = [] }
                let modules = try known.modules(of: model)
                return AdapterParts(
                    kind: kind,
                    shapes: modules.flatMap { module in
                        let shapes = configuration.shapes(for: module.projection)
                        return [shapes.down, shapes.up]
                    }, modules: modules.map(\.path),
                    unknown: isUnknown ? "the modules of the text tower: it is not here" : nil)
            },
            make: { try LoRA(configuration, on: $0, generator: $1) },
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

    public static let rateKeys = [rateKey, "text_lr"]

    public static func rateKey(of parameter: String) -> String {
        ModulePath.isOfText(parameter) ? "text_lr" : rateKey
    }

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

    private static let filtersKey = "module_filters"
    private static let textFiltersKey = "text_module_filters"

    public func write(to contents: inout AdapterContents) throws {
        contents.add(kind: Self.kind)
        LoRAModule.describe(modules.map { ($0.path, $0.layer.rank, $0.layer.alpha) }) { contents.describe($0, $1) }
        contents.describe(Self.filtersKey, .array(moduleFilters.map(JSON.string)))
        if !textModuleFilters.isEmpty {
            contents.describe(Self.textFiltersKey, .array(textModuleFilters.map(JSON.string)))
        }
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
                up: stored.up().to(dtype: .float32).cloned().to(device: device), alpha: stored.alpha,
                kernelSide: projection.kernelSide)
            return Module(path: stored.path, projection: projection, layer: layer)
        }
        func filters(_ key: String) throws -> [String] {
            try file.described(key).arrayValue?.compactMap(\.stringValue) ?? []
        }
        self.init(
            modules, filters: (try filters(Self.filtersKey), try filters(Self.textFiltersKey)),
            passedOver: stored.filter { $0.isOfText ? text == nil : stageC == nil }.map(\.path))
    }
}
