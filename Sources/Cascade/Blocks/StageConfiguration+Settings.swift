import Settings

extension StageConfiguration {
    /// Reads the shared constructor values of an architecture file over those that stand; what it leaves out stays.
    mutating func readShared(_ fields: inout Fields) throws {
        inputs = try fields.value("c_in", default: inputs)
        outputs = try fields.value("c_out", default: outputs)
        timeWidth = try fields.value("c_r", default: timeWidth)
        patchSize = try fields.value("patch_size", default: patchSize)
        conditionWidth = try fields.value("c_cond", default: conditionWidth)
        hidden = try fields.value("c_hidden", default: hidden)
        heads = try fields.value("nhead", default: heads)
        blocks = try fields.value("blocks", default: blocks)
        // The repetitions of a published size say nothing about a network of other levels.
        let isAsDeep = blocks.map(\.count) == blockRepeat.map(\.count)
        blockRepeat = try fields.value(
            "block_repeat", default: isAsDeep ? blockRepeat : blocks.map { $0.map { _ in 1 } })
        levelConfiguration = try fields.value("level_config", default: levelConfiguration)
        clipSequence = try fields.value("c_clip_seq", default: clipSequence)
        kernelSize = try fields.value("kernel_size", default: kernelSize)
        timeConditions = try fields.value("t_conds", default: timeConditions)
        selfAttention = try Self.perLevel("self_attn", count: levels, &fields) ?? .init(repeating: true, count: levels)
        let steps = max(1, levels - 1)
        let isStrided = fields.setting["switch_level"]?.isNull == true
        switchLevel =
            try Self.perLevel("switch_level", count: steps, &fields)
            ?? (isStrided ? nil : switchLevel.map { _ in .init(repeating: false, count: steps) })
        dropout =
            try Self.perLevel("dropout", count: levels, &fields)
            ?? (dropout.count == levels ? dropout : .init(repeating: 0.1, count: levels))
        // What tells architecture files apart.
        fields.ignore("stage")
    }

    /// A list, or one value that holds for all.
    private static func perLevel<Value: SettingReadable>(
        _ key: String, count: Int, _ fields: inout Fields
    ) throws -> [Value]? {
        if let setting = fields.setting[key], setting.elements == nil {
            return try fields.optional(key).map { [Value](repeating: $0, count: count) }
        }
        return try fields.optional(key)
    }
}
