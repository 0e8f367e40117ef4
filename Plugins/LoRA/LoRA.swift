import AdapterKit
import Failures
import JSON
import Layers
import Settings
import Torch

/// Low-rank adaptation (Hu et al. 2021) of the linear layers and attention projections of Stage C.
public final class LoRA: Adapter {
    public static let kind = "lora"

    public let configuration: LoRAConfiguration
    /// Multiplies all that the LoRA adds, attached or fused; 1 as it was trained.
    public var strength = 1.0 {
        didSet { for module in modules { module.layer.strength = strength } }
    }
    private let modules: [(path: String, projection: Projection, layer: LoRALayer)]

    /// A new LoRA on the modules that the filters select.
    public convenience init(
        _ configuration: LoRAConfiguration, on model: AdaptedModel, generator: Generator
    ) throws {
        let device = model.stageC.store.device
        let selected = try model.stageC.modules(matching: configuration.moduleFilters)
        try self.init(configuration, selected) { _, projection in
            let (downShape, upShape) = (
                [configuration.rank, projection.inputs], [projection.outputs, configuration.rank]
            )
            let (down, up) =
                switch configuration.start {
                case .reference: (Initializer.zeros, Initializer.normal(deviation: 1))
                case .kaiming: (Initializer.torchUniform, Initializer.zeros)
                }
            return (
                try down.draw(downShape, from: generator).to(device: device),
                try up.draw(upShape, from: generator).to(device: device)
            )
        }
    }

    private init(
        _ configuration: LoRAConfiguration, _ selected: [(path: String, projection: Projection)],
        matrices: (String, Projection) throws -> (down: Tensor, up: Tensor)
    ) throws {
        self.configuration = configuration
        let scale = configuration.alpha / Double(configuration.rank)
        modules = try selected.map { path, projection in
            let (down, up) = try matrices(path, projection)
            try down.setRequiresGrad(true)
            try up.setRequiresGrad(true)
            return (path, projection, LoRALayer(down: down, up: up, scale: scale))
        }
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
                    parameters: modules.reduce(0) {
                        $0 + configuration.rank * ($1.projection.inputs + $1.projection.outputs)
                    }, modules: modules.map(\.path))
            },
            make: { model, generator in
                _ = try model.stageC.modules(matching: configuration.moduleFilters, at: place)
                return try LoRA(configuration, on: model, generator: generator)
            })
    }

    // MARK: Changing the model

    public var parameters: [(name: String, tensor: Tensor)] {
        modules.flatMap { [(Self.downKey($0.path), $0.layer.down), (Self.upKey($0.path), $0.layer.up)] }
    }

    public let decays = true

    public func attach() throws {
        if let taken = modules.first(where: { $0.projection.addition != nil && $0.projection.addition !== $0.layer }) {
            throw Failure.run("another adapter is attached to \(taken.path)")
        }
        for module in modules { module.projection.addition = module.layer }
    }

    public func detach() {
        for module in modules where module.projection.addition === module.layer { module.projection.addition = nil }
    }

    public func fuse() throws {
        precondition(modules.allSatisfy { $0.projection.addition !== $0.layer }, "fused while attached")
        for module in modules {
            let weight = module.projection.weight
            try withoutGradients {
                try weight.assign(weight.to(dtype: .float32) + module.layer.product())
            }
        }
    }

    // MARK: The file

    static func downKey(_ path: String) -> String { "\(path).lora_down.weight" }
    static func upKey(_ path: String) -> String { "\(path).lora_up.weight" }

    public func write(to contents: inout AdapterContents) throws {
        contents.add(kind: Self.kind)
        contents.describe("rank", .integer(Int64(configuration.rank)))
        contents.describe("alpha", .number(configuration.alpha))
        contents.describe("module_filters", .array(configuration.moduleFilters.map(JSON.string)))
        contents.tensors += parameters
    }

    public static func read(_ file: AdapterFile, for model: AdaptedModel) throws -> LoRA? {
        guard file.kinds.contains(kind) else { return nil }
        let place = Failure.Place(file.path)
        guard let rank = Int(exactly: try file.number("rank")), rank > 0 else {
            throw Failure.input("the description lacks a rank", at: place)
        }
        let filters = try file.described("module_filters").arrayValue?.compactMap(\.stringValue) ?? []
        let configuration = LoRAConfiguration(
            moduleFilters: filters, rank: rank, alpha: try file.number("alpha"))
        let suffix = downKey("")
        let paths = Set(
            file.weights.entries.map(\.name).filter { $0.hasSuffix(suffix) }.map { $0.dropLast(suffix.count) })
        let selected = model.stageC.store.projections.filter { paths.contains(Substring($0.path)) }
        guard selected.count == paths.count, !paths.isEmpty else {
            let known = Set(selected.map { Substring($0.path) })
            let strange = paths.subtracting(known).sorted().prefix(4).joined(separator: ", ")
            throw Failure.input(
                "the LoRA has modules that this Stage C has not", at: place,
                expected: "modules of the base it was trained on",
                got: paths.isEmpty ? "no module at all" : strange)
        }
        let device = model.stageC.store.device
        return try LoRA(configuration, selected) { path, projection in
            func matrix(_ key: String, _ shape: [Int]) throws -> Tensor {
                let tensor = try file.weights.required(key)
                guard tensor.shape == shape else {
                    throw Failure.input(
                        "`\(key)` does not fit this Stage C", at: place, expected: "shape \(shape)",
                        got: "\(tensor.shape)")
                }
                // A copy: what is trained must not be a view of the file.
                return try tensor.to(dtype: .float32).cloned().to(device: device)
            }
            return (
                try matrix(downKey(path), [rank, projection.inputs]),
                try matrix(upKey(path), [projection.outputs, rank])
            )
        }
    }
}
