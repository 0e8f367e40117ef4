import Failures

/// The constructor values of Stage C, with the reference's names in its files and the reference's defaults.
public struct StageCConfiguration: Equatable, Sendable {
    /// Channels of the latents going in, and of the prediction coming out.
    public var inputs = 16
    public var outputs = 16
    /// Width of a time embedding.
    public var timeWidth = 64
    public var patchSize = 1
    /// Width of the condition's tokens.
    public var conditionWidth = 2048
    /// Channels of each level, the outermost first.
    public var hidden = [2048, 2048]
    /// Attention heads of each level.
    public var heads = [32, 32]
    /// Blocks of each level: going down, the outermost first; coming up, the innermost first.
    public var blocks = [[8, 24], [24, 8]]
    /// How often each level's row of blocks runs, in the same order.
    public var blockRepeat = [[1, 1], [1, 1]]
    /// The letters of each level's blocks: C residual, T timestep, A attention, F feed-forward.
    public var levelConfiguration = ["CTA", "CTA"]
    public var clipTextWidth = 1280
    public var clipTextPooledWidth = 1280
    public var clipImageWidth = 768
    /// Tokens made of each pooled embedding.
    public var clipSequence = 4
    /// Side of the depthwise kernels.
    public var kernelSize = 3
    /// Whether attention sees the picture's own tokens, by level.
    public var selfAttention = [true, true]
    /// Names of the time conditions beside `r`.
    public var timeConditions = ["sca", "crp"]
    /// Whether the sides halve between a level and the next, by transition.
    public var switchLevel = [false]

    public init() {}

    /// Stage C of 3.6 billion parameters.
    public static let large = StageCConfiguration()

    /// Stage C of 1 billion parameters.
    public static let lite: StageCConfiguration = {
        var lite = StageCConfiguration()
        lite.conditionWidth = 1536
        lite.hidden = [1536, 1536]
        lite.heads = [24, 24]
        lite.blocks = [[4, 12], [12, 4]]
        return lite
    }()

    /// The smallest Stage C that learns something on a laptop in a minute; for trials and the demo.
    public static let tiny: StageCConfiguration = {
        var tiny = StageCConfiguration()
        tiny.conditionWidth = 128
        tiny.hidden = [128, 128]
        tiny.heads = [4, 4]
        tiny.blocks = [[2, 4], [4, 2]]
        tiny.clipTextWidth = 128
        tiny.clipTextPooledWidth = 128
        tiny.clipImageWidth = 64
        return tiny
    }()

    public var levels: Int { hidden.count }

    /// Runs of residual blocks over the whole network: what `controlnet_blocks` counts.
    public var injectionPoints: Int {
        (0..<levels).reduce(0) { total, level in
            let letters = levelConfiguration[level].filter { $0 == "C" }.count
            return total + letters * (runs(down: level) + runs(up: levels - 1 - level))
        }
    }

    private func runs(down level: Int) -> Int { blocks[0][level] * blockRepeat[0][level] }
    private func runs(up step: Int) -> Int { blocks[1][step] * blockRepeat[1][step] }

    /// - Throws: a failure of the input that names the value that can't be.
    public func check() throws {
        func require(_ fits: Bool, _ key: String, _ expected: String, _ got: Any) throws {
            guard fits else {
                throw Failure.input("stage C cannot have this `\(key)`", expected: expected, got: "\(got)")
            }
        }
        try require((1...8).contains(levels), "c_hidden", "1 to 8 levels", hidden)
        for (key, value) in [
            ("c_in", inputs), ("c_out", outputs), ("patch_size", patchSize), ("c_cond", conditionWidth),
            ("c_clip_text", clipTextWidth), ("c_clip_text_pooled", clipTextPooledWidth),
            ("c_clip_img", clipImageWidth), ("c_clip_seq", clipSequence), ("kernel_size", kernelSize),
        ] { try require((1...65536).contains(value), key, "1 to 65536", value) }
        try require((4...65536).contains(timeWidth), "c_r", "4 to 65536", timeWidth)
        try require(kernelSize % 2 == 1, "kernel_size", "an odd number", kernelSize)
        try require(hidden.allSatisfy { (1...65536).contains($0) }, "c_hidden", "widths of 1 to 65536", hidden)
        try require(heads.count == levels, "nhead", "\(levels) numbers", heads)
        try require(levelConfiguration.count == levels, "level_config", "\(levels) texts", levelConfiguration)
        try require(selfAttention.count == levels, "self_attn", "one value or \(levels)", selfAttention)
        try require(switchLevel.count >= levels - 1, "switch_level", "\(levels - 1) values", switchLevel)
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
}
