import Failures
import Settings

extension StageCConfiguration: SettingReadable {
    /// For messages about an architecture file.
    public static var expectation: String { "the constructor values of stage C" }

    /// Reads an architecture file: the reference's constructor names, each with the reference's default; beside them the
    /// networks that belong to this Stage C, which are the published ones' if left out.
    public static func read(_ setting: Setting) throws -> StageCConfiguration {
        var fields = try setting.fields()
        var c = StageCConfiguration()
        try c.readShared(&fields)
        c.clipTextWidth = try fields.value("c_clip_text", default: c.clipTextWidth)
        c.clipTextPooledWidth = try fields.value("c_clip_text_pooled", default: c.clipTextPooledWidth)
        c.clipImageWidth = try fields.value("c_clip_img", default: c.clipImageWidth)
        // Of networks that are not spoken of, the latents are those of Stage C.
        c.encoder.latentChannels = c.inputs
        c.previewer.inputs = c.inputs
        c.encoder = try fields.value("effnet", default: c.encoder)
        c.previewer = try fields.value("previewer", default: c.previewer)
        c.trunk = try fields.value("controlnet", default: c.trunk)
        let isPublished = c.encoder.stride == EffNetEncoder.Configuration().stride
        c.compression = try fields.value(
            "compression_factor", default: isPublished ? c.compression : Double(c.encoder.stride), .positive)
        try fields.finish()
        try c.check()
        for (width, key) in [(c.encoder.latentChannels, "effnet"), (c.previewer.inputs, "previewer")]
        where width != c.inputs {
            throw Failure.input(
                "`\(key)` does not have the latents of Stage C", at: setting[key]?.place ?? setting.place,
                expected: "\(c.inputs) channels (`c_in`)", got: "\(width)")
        }
        return c
    }
}
