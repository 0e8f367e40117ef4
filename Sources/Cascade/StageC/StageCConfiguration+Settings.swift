import Settings

extension StageCConfiguration: SettingReadable {
    public static var expectation: String { "the constructor values of stage C" }

    /// Reads an architecture file: the reference's constructor names, each with the reference's default.
    public static func read(_ setting: Setting) throws -> StageCConfiguration {
        var fields = try setting.fields()
        var c = StageCConfiguration()
        try c.readShared(&fields)
        c.clipTextWidth = try fields.value("c_clip_text", default: c.clipTextWidth)
        c.clipTextPooledWidth = try fields.value("c_clip_text_pooled", default: c.clipTextPooledWidth)
        c.clipImageWidth = try fields.value("c_clip_img", default: c.clipImageWidth)
        try fields.finish()
        try c.check()
        return c
    }
}
