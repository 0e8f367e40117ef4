import Settings

/// What a LoRA is made of, `module_filters`, `rank` and the keys that begin with `lora_` of a configuration.
public struct LoRAConfiguration: Sendable {
    /// How the two matrices start. Either way their product is zero.
    public enum Start: String, CaseIterable, SettingReadable, Sendable {
        /// Down zero, up standard normal, as the official code starts.
        case reference
        /// Down uniform within ±√(1 / in), up zero, as kohya and PEFT start.
        case kaiming
    }

    /// Parts of the paths of the modules that get a LoRA.
    public var moduleFilters: [String]
    public var rank: Int
    /// The product is scaled by alpha / rank.
    public var alpha: Double
    public var start: Start
    /// The share of its input that each layer does not hear while it is trained, at least 0 and below 1.
    public var dropout = 0.0

    public init(moduleFilters: [String], rank: Int, alpha: Double = 1, start: Start = .reference) {
        self.moduleFilters = moduleFilters
        self.rank = rank
        self.alpha = alpha
        self.start = start
    }

    /// Reads the keys of a training configuration.
    init(_ fields: inout Fields) throws {
        moduleFilters = try fields.required("module_filters", .notEmpty)
        rank = try fields.required("rank", .within(1...4096))
        alpha = try fields.value("lora_alpha", default: 1, .above(0))
        start = try fields.value("lora_init", default: .reference)
        dropout = try fields.value(
            "lora_dropout", default: 0, Requirement("at least 0 and below 1") { (0..<1).contains($0) })
    }
}
