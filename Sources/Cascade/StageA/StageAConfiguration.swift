import Failures
import Settings
import Weights

/// The constructor values of Stage A, with the reference's defaults.
public struct StageAConfiguration: Equatable, Sendable {
    /// `levels`; each but the last halves the sides, and so does the first step.
    public var levels = 2
    /// Residual blocks of the decoder's innermost level, `bottleneck_blocks`.
    public var bottleneckBlocks = 12
    /// Channels of the innermost level, `c_hidden`; each level outward has half as many.
    public var hidden = 384
    /// Channels of the latents, `c_latent`.
    public var latentChannels = 4
    /// Vectors of the quantizer, `codebook_size`.
    public var codebookSize = 8192
    /// What the encoder's output is divided by, `scale_factor`.
    public var scaleFactor = 0.43

    /// The reference's defaults, which are the published Stage A's.
    public init() {}

    /// Channels of each level, the outermost first.
    var widths: [Int] { (0..<levels).reversed().map { hidden >> $0 } }

    /// Channels of the outermost level, at half an image's sides.
    public var outermostWidth: Int { hidden >> (levels - 1) }

    /// How many times smaller the latents' sides are.
    public var reduction: Int { 1 << levels }

    /// - Throws: a failure of the input that names the value that can't be.
    public func check() throws {
        try Limits.check(levels, "levels", 1...8)
        try Limits.check(bottleneckBlocks, "bottleneck_blocks", 0...Limits.layers)
        try Limits.check(hidden, "c_hidden", (1 << (levels - 1))...Limits.width)
        try Limits.check(latentChannels, "c_latent", 1...Limits.width)
        try Limits.check(codebookSize, "codebook_size", 1...(1 << 24))
        guard scaleFactor.isFinite, scaleFactor != 0 else {
            throw Failure.input(
                "`scale_factor` is out of range", expected: "a number other than 0", got: "\(scaleFactor)")
        }
    }
}

extension StageAConfiguration: SettingReadable {
    /// For messages about an architecture file.
    public static var expectation: String { "the constructor values of stage A" }

    /// Reads an architecture file: the reference's constructor names, each with the reference's default.
    public static func read(_ setting: Setting) throws -> StageAConfiguration {
        var fields = try setting.fields()
        var c = StageAConfiguration()
        c.levels = try fields.value("levels", default: c.levels)
        c.bottleneckBlocks = try fields.value("bottleneck_blocks", default: c.bottleneckBlocks)
        c.hidden = try fields.value("c_hidden", default: c.hidden)
        c.latentChannels = try fields.value("c_latent", default: c.latentChannels)
        c.codebookSize = try fields.value("codebook_size", default: c.codebookSize)
        c.scaleFactor = try fields.value("scale_factor", default: c.scaleFactor)
        fields.ignore("stage")
        try fields.finish()
        try c.check()
        return c
    }
}

extension StageAConfiguration {
    /// The constructor values that the shapes of a file's tensors tell.
    /// - Throws: a failure of the input where the file holds no Stage A.
    public init(of file: any NamedTensors) throws {
        func indices(_ prefix: String, _ ending: String) -> [Int] {
            file.entries.compactMap { entry in
                guard entry.name.hasPrefix(prefix), entry.name.hasSuffix(ending) else { return nil }
                return Int(entry.name.dropFirst(prefix.count).dropLast(ending.count))
            }
        }
        // Each level has a block on the way in; on the way out the innermost has the bottleneck's instead of one.
        let levels = indices("down_blocks.", ".gammas").count
        let blocks = indices("up_blocks.", ".gammas").count
        guard let first = file["up_blocks.0.0.weight"], first.shape.count >= 2, levels > 0, blocks >= levels - 1,
            let codebook = file["vquantizer.codebook.weight"], codebook.shape.count == 2
        else {
            throw Failure.input(
                "there is no Stage A in the file", at: Failure.Place(file.path),
                expected: "keys `down_blocks.N.gammas`, `up_blocks.*` and `vquantizer.codebook.weight`")
        }
        self.init()
        self.levels = levels
        bottleneckBlocks = blocks - (levels - 1)
        hidden = first.shape[0]
        latentChannels = first.shape[1]
        codebookSize = codebook.shape[0]
        try check()
    }
}
