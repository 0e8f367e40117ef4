import Cascade
import Failures
import JSON
import Settings
import Weights

/// The kind of adapters that a method for modules makes: its keys in configurations, and all that its files share with
/// those of the other methods.
public struct ModuleKind<Method: ModuleMethod>: AdapterKind {
    /// The kind, to be registered; `Method.kind` is the same.
    public init() {}

    /// The method's.
    public var name: String { Method.name }
    /// The method's name alone.
    public var methods: [String] { [Method.name] }

    // MARK: Configuration

    private static var dropoutKey: String { "\(Method.name)_dropout" }
    private static var textRateKey: String { "text_lr" }

    /// `NAME_lr` of Stage C's modules, and `text_lr` of the text encoder's.
    public var rateKeys: [String] { ["\(name)_lr", Self.textRateKey] }

    /// By the network that the parameter's module lies in.
    public func rateKey(of parameter: String) -> String {
        ModulePath.isOfText(parameter) ? Self.textRateKey : rateKeys[0]
    }

    /// The rate of dropout, `NAME_dropout`.
    public var trainingKeys: [String] { [Self.dropoutKey] }

    /// Reads which modules, the method's own keys and the rate of dropout.
    /// - Returns: nil where another method is named, or none and the method is not the default.
    public func plan(_ fields: inout Fields) throws -> AdapterPlan? {
        guard try isAskedFor(&fields) else { return nil }
        let selection = try ModuleSelection(&fields)
        let method = try Method(&fields)
        let keys = ModuleContinuation<Method>.Keys(fields)
        let dropout: Double = try fields.value(
            Self.dropoutKey, default: 0, Requirement("at least 0 and below 1") { (0..<1).contains($0) })
        return AdapterPlan(
            summary: { model in
                let modules = try selection.modules(of: model)
                let ofText = modules.count { ModulePath.isOfText($0.path) }
                return "\(method.summary) on \(modules.count) modules"
                    + (ofText > 0 ? ", \(ofText) of them of the text encoder" : "")
            },
            parts: { try parts(of: method, on: selection, $0) },
            make: { model, generator in
                let adapter = try ModuleAdapter(method, on: selection, of: model, generator: generator)
                adapter.dropout = dropout
                return adapter
            },
            settle: { ($0 as? ModuleAdapter<Method>)?.dropout = dropout },
            continuation: { file, model in
                let continuation = try ModuleContinuation(file, method, selection, keys, model)
                return AdapterContinuation(parts: continuation.parts, added: continuation.addition) {
                    let adapter = try continuation.adapter($0)
                    adapter.dropout = dropout
                    return adapter
                }
            })
    }

    /// Whether a configuration names the method, or names none where this is the default one.
    private func isAskedFor(_ fields: inout Fields) throws -> Bool {
        if let chosen: String = try fields.optional(PlugIns.methodKey) { return chosen == name }
        guard Method.isDefault else { return false }
        let keys = [ModuleSelection.key, ModuleSelection.textKey, "rank"].filter(fields.contains)
        if keys.contains(where: { fields.setting[$0]?.isNull == false }) { return true }
        keys.forEach { fields.ignore($0) }
        return false
    }

    private func parts(
        of method: Method, on selection: ModuleSelection, _ model: AdaptedModel
    ) throws -> AdapterParts {
        var known = selection
        let isUnknown = model.text == nil && !known.textFilters.isEmpty
        if isUnknown { known.textFilters = [] }
        let modules = try known.modules(of: model)
        return AdapterParts(
            kind: name, shapes: modules.flatMap { method.start(.init($0.path, $0.projection)).map(\.shape) },
            modules: modules.map(\.path),
            unknown: isUnknown ? "the modules of the text encoder: it is not here" : nil)
    }

    /// Adds the `module_filters`, for files that do not name their modules.
    public func complete(_ reading: inout AdapterReading, from setting: Setting) {
        reading.moduleFilters = setting[ModuleSelection.key]?.elements?.compactMap(\.text) ?? []
    }

    // MARK: Native files

    /// The adapter of the modules whose network is here; nil where there is none.
    public func read(_ file: AdapterFile, for networks: AdaptedNetworks) throws -> (any Adapter)? {
        file.kinds.contains(name) ? try ModuleAdapter<Method>(file, on: networks) : nil
    }

    /// The matrices' shapes and the modules' paths.
    public func parts(of file: AdapterFile) throws -> AdapterParts {
        let modules = try ModuleMatrices.all(of: Method.self, in: file)
        return AdapterParts(
            kind: name, shapes: modules.flatMap { $0.tensors.map(\.shape) }, modules: modules.map(\.path))
    }

    /// Modules in all, of the text encoder and depthwise ones, and the ranks and alphas that occur.
    public func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)] {
        let modules = try ModuleMatrices.all(of: Method.self, in: file)
        return [
            ("modules", .integer(modules.count)),
            ("text_modules", .integer(modules.count(where: \.isOfText))),
            ("depthwise_modules", .integer(modules.count { ModulePath.isDepthwise($0.path) })),
            ("ranks", .array(Set(modules.compactMap(\.rank)).sorted().map(JSON.integer))),
            ("alphas", .array(Method.hasRank ? Set(modules.map(\.alpha)).sorted().map(JSON.number) : [])),
        ]
    }

    /// One change for each module.
    public func changes(in file: AdapterFile) throws -> [WeightChange]? {
        guard file.kinds.contains(name) else { return nil }
        return try ModuleMatrices.all(of: Method.self, in: file).map(Method.change)
    }

    // MARK: Files of other programs

    /// The method's.
    public var strangers: [StrangeKey] { Method.strangers }

    /// A format of the method's own, else one that names modules as kohya, PEFT or ComfyUI do.
    public func foreignFormat(of file: any NamedTensors) -> ForeignFormat? {
        let own = Method.formats.first { $0.isPresent(in: file) }
        return own?.foreign ?? KeyedFile<Method>(file, strangers).format?.foreign(Method.name, Method.title)
    }

    /// The modules under our paths, with the method's keys; the base is guessed by the width of the attention.
    /// - Throws: a failure of the input where matrices are damaged or a module comes twice.
    public func foreign(_ file: any NamedTensors, _ reading: AdapterReading) throws -> ForeignAdapter? {
        guard let format = foreignFormat(of: file) else { return nil }
        var adapter = ForeignAdapter(kind: name, format: format)
        let modules: [ModuleMatrices]
        if let own = Method.formats.first(where: { $0.isPresent(in: file) }) {
            let read = try own.read(file, reading)
            (modules, adapter.used) = (read.modules, read.used)
            adapter.describe(ModuleSelection.key, .array(read.filters.map(JSON.string)))
        } else {
            (modules, adapter.used) = try KeyedFile<Method>(file, strangers).modules()
            if AdapterFile.carried(by: file)[ModuleSelection.key] == nil {
                adapter.describe(ModuleSelection.key, .array([]))
            }
        }
        if let twice = Dictionary(grouping: modules, by: \.path).first(where: { $0.value.count > 1 })?.key {
            throw Failure.input("the \(Method.title) has `\(twice)` twice", at: Failure.Place(file.path))
        }
        for module in modules {
            adapter.tensors += zip(Method.matrices, module.tensors).map { (Method.key(module.path, $0), $1) }
        }
        ModuleMatrices.describe(modules.map { ($0.path, $0.rank, $0.alpha) }) { adapter.describe($0, $1) }
        // The width of the attention tells the two published sizes apart.
        let attention = modules.first { $0.path.hasSuffix(".attn.out_proj") || $0.path.contains(".attn.to_") }
        if AdapterFile.carried(by: file)["base_model"] == nil,
            let size = ModelSize.of(.stageC, width: attention?.shape.outputs ?? 0), size.isPublished
        {
            adapter.describe("base_model", .string(size.name))
        }
        return adapter
    }

    /// Writes a format of the method's own, else the names of kohya, ComfyUI or PEFT.
    /// - Throws: a failure of the input for stability where the method has no such format.
    public func export(_ file: AdapterFile, to export: inout AdapterExport) throws {
        let modules = try ModuleMatrices.all(of: Method.self, in: file)
        if let own = Method.formats.first(where: { $0.exported == export.format }) {
            return try own.write(modules, of: file, to: &export)
        }
        switch export.format {
        case .native: return
        case .stability:
            throw Failure.input(
                "stability has no place for \(Method.title)", at: .init(file.path),
                advice: "kohya and comfyui have one")
        case .kohya: try KohyaWriting<Method>(stageC: "lora_unet_", text: "lora_te_").write(modules, to: &export)
        case .comfyui:
            try KohyaWriting<Method>(stageC: "lora_prior_unet_", text: "lora_prior_te_").write(modules, to: &export)
        case .diffusers: try PEFTWriting<Method>.write(modules, of: file, to: &export)
        }
    }
}
