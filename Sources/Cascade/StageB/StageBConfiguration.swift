import Settings

/// The constructor values of Stage B, with the reference's defaults.
public struct StageBConfiguration: StageConfiguration {
    public static let stage = "stage B"

    public var inputs = 4
    public var outputs = 4
    public var timeWidth = 64
    public var patchSize = 2
    public var conditionWidth = 1280
    public var hidden = [320, 640, 1280, 1280]
    public var heads = [-1, -1, 20, 20]
    public var blocks = [[2, 6, 28, 6], [6, 28, 6, 2]]
    public var blockRepeat = [[1, 1, 1, 1], [3, 3, 2, 2]]
    public var levelConfiguration = ["CT", "CT", "CTA", "CTA"]
    /// Width of the pooled text, `c_clip`.
    public var clipWidth = 1280
    public var clipSequence = 4
    /// Channels of Stage C's latents, `c_effnet`.
    public var effnetChannels = 16
    /// Channels of the image condition, `c_pixels`.
    public var pixelChannels = 3
    public var kernelSize = 3
    public var selfAttention = [true, true, true, true]
    public var timeConditions = ["sca"]
    /// Stage B's own way is nil; diffusers' network takes values here too.
    public var switchLevel: [Bool]?
    public var dropout = [0, 0, 0.1, 0.1]

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

    public var conditionWidths: [(key: String, width: Int)] {
        [("c_clip", clipWidth), ("c_effnet", effnetChannels), ("c_pixels", pixelChannels)]
    }
}

extension StageBConfiguration: SettingReadable {
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
