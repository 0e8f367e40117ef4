import Settings

extension StageCConfiguration: SettingReadable {
    public static var expectation: String { "the constructor values of stage C" }

    /// Reads an architecture file: the reference's constructor names, each with the reference's default.
    public static func read(_ setting: Setting) throws -> StageCConfiguration {
        var fields = try setting.fields()
        var c = StageCConfiguration()
        c.inputs = try fields.value("c_in", default: c.inputs)
        c.outputs = try fields.value("c_out", default: c.outputs)
        c.timeWidth = try fields.value("c_r", default: c.timeWidth)
        c.patchSize = try fields.value("patch_size", default: c.patchSize)
        c.conditionWidth = try fields.value("c_cond", default: c.conditionWidth)
        c.hidden = try fields.value("c_hidden", default: c.hidden)
        c.heads = try fields.value("nhead", default: c.heads)
        c.blocks = try fields.value("blocks", default: c.blocks)
        c.blockRepeat = try fields.value("block_repeat", default: c.blocks.map { $0.map { _ in 1 } })
        c.levelConfiguration = try fields.value("level_config", default: c.levelConfiguration)
        c.clipTextWidth = try fields.value("c_clip_text", default: c.clipTextWidth)
        c.clipTextPooledWidth = try fields.value("c_clip_text_pooled", default: c.clipTextPooledWidth)
        c.clipImageWidth = try fields.value("c_clip_img", default: c.clipImageWidth)
        c.clipSequence = try fields.value("c_clip_seq", default: c.clipSequence)
        c.kernelSize = try fields.value("kernel_size", default: c.kernelSize)
        c.timeConditions = try fields.value("t_conds", default: c.timeConditions)
        let all = [Bool](repeating: true, count: c.hidden.count)
        if let selfAttention = setting["self_attn"], selfAttention.elements == nil {
            c.selfAttention = try all.map { _ in try fields.value("self_attn", default: true) }
        } else {
            c.selfAttention = try fields.value("self_attn", default: all)
        }
        let steps = max(1, c.hidden.count - 1)
        if let switchLevel = setting["switch_level"], switchLevel.elements == nil {
            c.switchLevel = try (0..<steps).map { _ in try fields.value("switch_level", default: false) }
        } else {
            c.switchLevel = try fields.value("switch_level", default: [Bool](repeating: false, count: steps))
        }
        // Dropout is a matter of training, `stage` of telling architecture files apart.
        fields.ignore("dropout")
        fields.ignore("stage")
        try fields.finish()
        try c.check()
        return c
    }
}
