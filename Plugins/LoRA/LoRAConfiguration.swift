import AdapterKit
import Failures
import Layers
import Settings

/// What a LoRA is made of, `module_filters`, `text_module_filters`, `rank` and the keys that begin with `lora_` of a configuration.
public struct LoRAConfiguration: Sendable {
    /// How the two matrices start. Either way their product is zero.
    public enum Start: String, CaseIterable, SettingReadable, Sendable {
        /// Down zero, up standard normal, as the official code starts.
        case reference
        /// Down uniform within ±√(1 / in), up zero, as kohya and PEFT start.
        case kaiming
    }

    /// Parts of the paths of the modules of Stage C that get a LoRA.
    public var moduleFilters: [String]
    /// Of those of the text tower; none leave it alone.
    public var textModuleFilters: [String] = []
    /// At most; depthwise kernels get no more than they have numbers.
    public var rank: Int
    /// The product is scaled by alpha / rank.
    public var alpha: Double
    public var start: Start
    /// The share of its input that each layer does not hear while it is trained, at least 0 and below 1.
    public var dropout = 0.0
    /// Where the filters are written.
    private var places: (stageC: Failure.Place?, text: Failure.Place?)

    public init(moduleFilters: [String], rank: Int, alpha: Double = 1, start: Start = .reference) {
        self.moduleFilters = moduleFilters
        self.rank = rank
        self.alpha = alpha
        self.start = start
    }

    /// Reads the keys of a training configuration.
    init(_ fields: inout Fields) throws {
        textModuleFilters = try fields.value("text_module_filters", default: [])
        moduleFilters =
            try textModuleFilters.isEmpty
            ? fields.required("module_filters", .notEmpty) : fields.value("module_filters", default: [])
        places = (fields.setting["module_filters"]?.place, fields.setting["text_module_filters"]?.place)
        rank = try fields.required("rank", .within(1...4096))
        alpha = try fields.value("lora_alpha", default: 1, .above(0))
        start = try fields.value("lora_init", default: .reference)
        dropout = try fields.value(
            "lora_dropout", default: 0, Requirement("at least 0 and below 1") { (0..<1).contains($0) })
    }

    /// The shapes of the two matrices for a module.
    func shapes(for projection: Projection) -> (down: [Int], up: [Int]) {
        let rank = projection.kernelSide == nil ? rank : min(rank, projection.inputs)
        return ([rank, projection.inputs], [projection.outputs, rank])
    }

    /// The modules of a model that are selected, Stage C's before the text tower's.
    /// - Throws: a failure of the input that shows what exists, where a filter matches nothing.
    func modules(of model: AdaptedModel) throws -> [(path: String, projection: Projection)] {
        let modules = try model.stageC.modules(matching: moduleFilters, at: places.stageC)
        guard !textModuleFilters.isEmpty else { return modules }
        guard let tower = model.text?.tower else {
            throw Failure.run("a LoRA on the text tower needs one", at: places.text)
        }
        return try modules + tower.modules(matching: textModuleFilters, at: places.text)
    }
}
