import AdapterKit
import Layers
import Settings
import Torch

/// Low-rank adaptation (Hu et al. 2021): beside a frozen product with a matrix, one with two thin ones,
/// `strength · alpha / rank · up · (down · x)`.
///
/// Computed on the activations; the full matrix `up · down` is built while training only of depthwise kernels, which
/// have few numbers. There it is what peft's LoRA adds to a convolution from one channel, and what kohya's scripts and
/// ComfyUI make of such a file; peft's own LoRA of a grouped convolution is a dense one beside it.
public struct LoRA: ModuleMethod {
    /// The name in files and keys: `lora_lr`, `lora_dropout`.
    public static let name = "lora"
    /// The name in messages.
    public static let title = "LoRA"
    /// A configuration with `module_filters` and no `adapter_method` asks for LoRA, as in the reference.
    public static let isDefault = true

    /// [rank, in] and [out, rank].
    public static let matrices: [MethodMatrix] = {
        var down = MethodMatrix("down", key: "lora_down.weight", axes: [.rank, .inputs])
        down.peftKeys = ["lora_A.weight", "lora_A.default.weight"]
        down.otherKeys = ["lora.down.weight"]
        down.isShapedAsConvolution = true
        var up = MethodMatrix("up", key: "lora_up.weight", axes: [.outputs, .rank])
        up.peftKeys = ["lora_B.weight", "lora_B.default.weight"]
        up.otherKeys = ["lora.up.weight"]
        up.isShapedAsConvolution = true
        up.carriesScale = true
        return [down, up]
    }()

    /// What kohya's scripts name in the metadata of their LoRA files.
    public static let networkModule: String? = "networks.lora"
    /// The keys of PEFT's `adapter_config.json`.
    public static let peft: PEFTNames? = PEFTNames(alpha: "lora_alpha", dropout: "lora_dropout")
    /// The official code's files, which name no modules.
    public static let formats: [any ModuleFormat.Type] = [PositionalFormat.self]

    /// Relatives of LoRA whose files look alike, and what a change of theirs is called.
    public static let strangers = [
        StrangeKey(ending: ".dora_scale", "DoRA"), StrangeKey(part: ".lora_magnitude_vector", "DoRA"),
        StrangeKey(ending: ".lora_mid.weight", "LoCon with a core"),
        StrangeKey(ending: ".lora_B.bias", "LoRA with biases"), StrangeKey(ending: ".diff", "a full difference"),
        StrangeKey(ending: ".diff_b", "a full difference"), StrangeKey(part: ".hada_", "LoHa"),
        StrangeKey(part: ".lokr_", "LoKr"), StrangeKey(part: ".oft_", "OFT"), StrangeKey(part: ".a1.", "GLoRA"),
    ]

    /// How the two matrices start. Either way their product is zero.
    public enum Start: String, CaseIterable, SettingReadable, Sendable {
        /// Down zero, up standard normal, as the official code starts.
        case reference
        /// Down uniform within ±√(1 / in), up zero, as kohya and PEFT start.
        case kaiming
    }

    /// At most; depthwise kernels get no more than they have numbers.
    public var rank: Int
    /// The product is scaled by alpha / rank.
    public var alpha: Double
    /// Which of the two matrices starts with zeros.
    public var start: Start

    /// - Parameters:
    ///   - rank: above 0; depthwise kernels get no more than they have numbers.
    ///   - alpha: the product is scaled by alpha / rank.
    ///   - start: which of the two matrices starts with zeros.
    public init(rank: Int, alpha: Double = 1, start: Start = .reference) {
        self.rank = rank
        self.alpha = alpha
        self.start = start
    }

    /// Reads `rank` (1 to 4096), `lora_alpha` (1) and `lora_init` (`reference`).
    public init(_ fields: inout Fields) throws {
        rank = try fields.required("rank", .within(1...4096))
        alpha = try fields.value("lora_alpha", default: 1, .above(0))
        start = try fields.value("lora_init", default: .reference)
    }

    /// For example "LoRA of rank 4".
    public var summary: String { "LoRA of rank \(rank)" }

    private func rank(for module: ModuleShape) -> Int { module.kernelSide == nil ? rank : min(rank, module.inputs) }

    /// Down [rank, in] and up [out, rank], one of which is zeros.
    public func start(_ module: ModuleShape) -> [(shape: [Int], initial: Initializer)] {
        let rank = rank(for: module)
        let (down, up) =
            switch start {
            case .reference: (Initializer.zeros, Initializer.normal(deviation: 1))
            case .kaiming: (Initializer.torchUniform, Initializer.zeros)
            }
        return [([rank, module.inputs], down), ([module.outputs, rank], up)]
    }

    /// A smaller rank is scaled as the others are.
    public func alpha(for module: ModuleShape) -> Double { alpha * Double(rank(for: module)) / Double(rank) }

    /// The output with `scale · up · (down · x)` added, [..., out].
    public static func output(_ pass: ProjectionPass, _ module: ModuleValues) throws -> Tensor {
        let (input, dtype) = (pass.input, pass.input.dtype)
        let (down, up) = (module.matrices[0], module.matrices[1])
        if let side = module.shape.kernelSide {
            return try pass.output + input.convolved(withRowsOf: up.matmul(down) * module.scale, side: side)
        }
        let narrow = try input.linear(down.to(dtype: dtype)) * module.scale  // [..., rank]
        return try pass.output + narrow.linear(up.to(dtype: dtype))  // [..., out]
    }

    /// All that it does, but to depthwise kernels.
    public static func addition(_ module: ModuleValues) -> LowRankAddition? {
        guard module.shape.kernelSide == nil else { return nil }
        return LowRankAddition(down: module.matrices[0], up: module.matrices[1], scale: module.scale)
    }

    /// The rows with `scale · up · down` added, [k, in].
    public static func merged(_ weight: Tensor, rows: Range<Int>, _ module: ModuleValues) throws -> Tensor {
        try weight + module.matrices[1].sliced(0, rows).matmul(module.matrices[0]) * module.scale
    }

    /// The two matrices as they are stored, for a merge that never builds more than their product's rows.
    public static func change(of module: ModuleMatrices) throws -> WeightChange {
        .lowRank(
            .init(path: module.path, up: try module.tensors[1](), down: try module.tensors[0](), scale: module.scale))
    }
}
