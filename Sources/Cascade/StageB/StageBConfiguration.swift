import Settings

/// The constructor values of Stage B, with the reference's defaults.
public struct StageBConfiguration: StageConfiguration {
    /// As messages call the network.
    public static let stage = "stage B"

    /// Stage A's latents have 4 channels, `c_in`.
    public var inputs = 4
    /// The noise in Stage A's latents, `c_out`.
    public var outputs = 4
    /// Sines and cosines of a time, `c_r`.
    public var timeWidth = 64
    /// Sides of the squares of latents that become one place of the outermost level, `patch_size`.
    public var patchSize = 2
    /// Numbers of a token made of the pooled text, `c_cond`.
    public var conditionWidth = 1280
    /// Channels of each level, the outermost first, `c_hidden`.
    public var hidden = [320, 640, 1280, 1280]
    /// Attention heads of each level, `nhead`; -1 where it has no attention.
    public var heads = [-1, -1, 20, 20]
    /// Blocks of each level going down, then coming up from the innermost, `blocks`.
    public var blocks = [[2, 6, 28, 6], [6, 28, 6, 2]]
    /// How often each row of blocks runs with the same weights, `block_repeat`.
    public var blockRepeat = [[1, 1, 1, 1], [3, 3, 2, 2]]
    /// Letters of each level's blocks, `level_config`: the two outer levels have no attention.
    public var levelConfiguration = ["CT", "CT", "CTA", "CTA"]
    /// Width of the pooled text, `c_clip`.
    public var clipWidth = 1280
    /// Tokens made of each pooled text, `c_clip_seq`.
    public var clipSequence = 4
    /// Channels of Stage C's latents, `c_effnet`.
    public var effnetChannels = 16
    /// Channels of the image condition, `c_pixels`.
    public var pixelChannels = 3
    /// Side of the depthwise kernels of residual blocks, `kernel_size`.
    public var kernelSize = 3
    /// Whether attention sees the latents' own tokens beside the text's, by level, `self_attn`.
    public var selfAttention = [true, true, true, true]
    /// Time conditions beside the time itself, `t_conds`; left out in a pass they count as 0.
    public var timeConditions = ["sca"]
    /// Stage B's own way is nil; diffusers' network takes values here too.
    public var switchLevel: [Bool]?
    /// Share of zeros in training, by level, `dropout`.
    public var dropout = [0, 0, 0.1, 0.1]

    /// The reference's defaults, which are the 3B's.
    public init() {}

    /// Stage B of 3 billion parameters.
    public static let large = StageBConfiguration()

    /// Stage B of 700 million parameters.
    public static let lite: StageBConfiguration = {
        var lite = StageBConfiguration()
        lite.hidden = [320, 576, 1152, 1152]
        lite.heads = [-1, 9, 18, 18]
        lite.blocks = [[2, 4, 14, 4], [4, 14, 4, 2]]
        lite.blockRepeat = [[1, 1, 1, 1], [2, 2, 2, 2]]
        return lite
    }()

    /// The pooled text, Stage C's latents and an image, with the keys of their widths.
    public var conditionWidths: [(key: String, width: Int)] {
        [("c_clip", clipWidth), ("c_effnet", effnetChannels), ("c_pixels", pixelChannels)]
    }
}

extension StageBConfiguration: SettingReadable {
    /// For messages about an architecture file.
    public static var expectation: String { "the constructor values of stage B" }

    /// Reads an architecture file: the reference's constructor names, each with the reference's default.
    public static func read(_ setting: Setting) throws -> StageBConfiguration {
        var fields = try setting.fields()
        var c = StageBConfiguration()
        try c.readShared(&fields)
        c.clipWidth = try fields.value("c_clip", default: c.clipWidth)
        c.effnetChannels = try fields.value("c_effnet", default: c.effnetChannels)
        c.pixelChannels = try fields.value("c_pixels", default: c.pixelChannels)
        try fields.finish()
        try c.check()
        return c
    }
}
