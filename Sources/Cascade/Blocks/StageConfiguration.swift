import Failures
import Torch

/// The constructor values that Stage B and Stage C have in common, with the reference's names in its files.
public protocol StageConfiguration: Equatable, Sendable {
    /// How messages call the network: `stage B`, `stage C`.
    static var stage: String { get }
    /// Channels of the latents going in, `c_in`.
    var inputs: Int { get set }
    /// Channels of the prediction coming out, `c_out`.
    var outputs: Int { get set }
    /// Width of a time embedding, `c_r`.
    var timeWidth: Int { get set }
    /// `patch_size`.
    var patchSize: Int { get set }
    /// Width of the condition's tokens, `c_cond`.
    var conditionWidth: Int { get set }
    /// Channels of each level, the outermost first, `c_hidden`.
    var hidden: [Int] { get set }
    /// Attention heads of each level, `nhead`; any number where the level has no attention.
    var heads: [Int] { get set }
    /// Blocks of each level: going down, the outermost first; coming up, the innermost first. `blocks`.
    var blocks: [[Int]] { get set }
    /// How often each level's row of blocks runs, in the same order, `block_repeat`.
    var blockRepeat: [[Int]] { get set }
    /// The letters of each level's blocks: C residual, T timestep, A attention, F feed-forward. `level_config`.
    var levelConfiguration: [String] { get set }
    /// Tokens made of each pooled embedding, `c_clip_seq`.
    var clipSequence: Int { get set }
    /// Side of the depthwise kernels, `kernel_size`.
    var kernelSize: Int { get set }
    /// Whether attention sees the image's own tokens, by level, `self_attn`.
    var selfAttention: [Bool] { get set }
    /// Names of the time conditions beside `r`, `t_conds`.
    var timeConditions: [String] { get set }
    /// Whether the sides halve between a level and the next, by transition, `switch_level`; nil where 2x2 convolutions
    /// with stride 2 lead from level to level and halve them everywhere.
    var switchLevel: [Bool]? { get set }
    /// Share of zeros that each level drops while the stage is trained, the outermost first, `dropout`.
    var dropout: [Double] { get set }
    /// Widths of what the network is conditioned on, by their keys.
    var conditionWidths: [(key: String, width: Int)] { get }
}

extension StageConfiguration {
    /// How many levels there are: the length of `c_hidden`.
    public var levels: Int { hidden.count }

    /// Runs of residual blocks over the whole network: what `controlnet_blocks` counts.
    public var injectionPoints: Int { injectionWidths.count }

    /// Channels of each of them, in the order in which they run.
    public var injectionWidths: [Int] {
        (0...1).flatMap { row in
            (0..<levels).flatMap { step in
                let level = row == 0 ? step : levels - 1 - step
                let letters = levelConfiguration[level].filter { $0 == "C" }.count
                return Array(repeating: hidden[level], count: letters * blocks[row][step] * blockRepeat[row][step])
            }
        }
    }

    /// How often a pass runs what a parameter belongs to, such as `down_blocks.1.4.mapper.weight`.
    public func runs(of key: String) -> Int {
        let parts = key.split(separator: ".")
        guard parts.count > 2, let row = ["down_blocks", "up_blocks"].firstIndex(of: String(parts[0])),
            let step = Int(parts[1]), blockRepeat[row].indices.contains(step)
        else { return 1 }
        return blockRepeat[row][step]
    }

    /// Numbers that attention has of a condition's tokens, for one image: keys and values of every block, which sampling keeps
    /// from step to step.
    public func keysAndValues(tokens: Int) -> Int {
        (0...1).reduce(0) { sum, row in
            (0..<levels).reduce(sum) { sum, step in
                let level = row == 0 ? step : levels - 1 - step
                let attentions = blocks[row][step] * levelConfiguration[level].count { $0 == "A" }
                return sum + attentions * tokens * 2 * hidden[level]
            }
        }
    }

    /// How often the sides halve from the outermost level to the innermost.
    private var halvings: Int { switchLevel.map { $0.prefix(levels - 1).filter(\.self).count } ?? levels - 1 }

    /// - Throws: a failure of the input that names the value that can't be.
    public func check() throws {
        func require(_ fits: Bool, _ key: String, _ expected: String, _ got: Any) throws {
            guard fits else {
                throw Failure.input("\(Self.stage) cannot have this `\(key)`", expected: expected, got: "\(got)")
            }
        }
        try require((1...8).contains(levels), "c_hidden", "1 to 8 levels", hidden)
        for (key, value) in [
            ("c_in", inputs), ("c_out", outputs), ("patch_size", patchSize), ("c_cond", conditionWidth),
            ("c_clip_seq", clipSequence), ("kernel_size", kernelSize),
        ] + conditionWidths.map({ ($0.key, $0.width) }) {
            try require((1...65536).contains(value), key, "1 to 65536", value)
        }
        try require((4...65536).contains(timeWidth), "c_r", "4 to 65536", timeWidth)
        try require(kernelSize % 2 == 1, "kernel_size", "an odd number", kernelSize)
        try require(hidden.allSatisfy { (1...65536).contains($0) }, "c_hidden", "widths of 1 to 65536", hidden)
        try require(heads.count == levels, "nhead", "\(levels) numbers", heads)
        try require(levelConfiguration.count == levels, "level_config", "\(levels) texts", levelConfiguration)
        try require(selfAttention.count == levels, "self_attn", "one value or \(levels)", selfAttention)
        try require(
            dropout.count == levels && dropout.allSatisfy { (0...0.99).contains($0) }, "dropout",
            "\(levels) numbers from 0 to 0.99", dropout)
        if let switchLevel {
            try require(switchLevel.count >= levels - 1, "switch_level", "\(levels - 1) values", switchLevel)
        }
        for (key, table, limit) in [("blocks", blocks, 1000), ("block_repeat", blockRepeat, 100)] {
            let fits =
                table.count == 2
                && table.allSatisfy { row in
                    row.count == levels && row.allSatisfy { (1...limit).contains($0) }
                }
            try require(fits, key, "two rows of \(levels) numbers from 1 to \(limit)", table)
        }
        for (level, letters) in levelConfiguration.enumerated() {
            try require(
                (1...64).contains(letters.utf8.count) && letters.allSatisfy { "CTAF".contains($0) }, "level_config",
                "1 to 64 of the letters C, T, A, F", letters.prefix(80))
            if letters.contains("A") {
                try require(
                    heads[level] > 0 && hidden[level] % heads[level] == 0, "nhead",
                    "a divisor of \(hidden[level])", heads[level])
            }
        }
    }

    /// - Throws: a failure of the input where latents have a shape that the network cannot take.
    func check(latents: Tensor) throws {
        try latents.checkShape("x", [nil, inputs, nil, nil])
        for side in latents.shape[2...] where side % patchSize != 0 || (side / patchSize) >> halvings == 0 {
            throw Failure.input(
                "`x` has a side that this network cannot take",
                expected: "a multiple of \(patchSize), at least \(patchSize << halvings)", got: "\(latents.shape)")
        }
    }

    /// The embeddings of a time and of each time condition, [B, timeWidth]; a condition left out counts as 0.
    /// - Throws: a failure of the input that names a condition that the network does not have.
    func timeEmbeddings(_ time: Tensor, _ conditions: [String: Tensor]) throws -> [Tensor] {
        if let unknown = conditions.keys.sorted().first(where: { !timeConditions.contains($0) }) {
            throw Failure.input(
                "this network has no time condition `\(unknown)`", expected: "\(timeConditions)")
        }
        let embed = TimeEmbedding(width: timeWidth)
        let absent = try Tensor.zeros(time.shape, device: time.device)
        return try [embed(time)] + timeConditions.map { try embed(conditions[$0] ?? absent) }
    }
}
