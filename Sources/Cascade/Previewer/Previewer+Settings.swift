import Settings

extension Previewer.Configuration: SettingReadable {
    /// For messages: the keys of the mapping.
    public static var expectation: String { "c_in, c_hidden and c_out of a previewer" }

    /// Reads a mapping; what it leaves out is as in the published previewer.
    public static func read(_ setting: Setting) throws -> Previewer.Configuration {
        var fields = try setting.fields()
        var configuration = Self()
        configuration.inputs = try fields.value("c_in", default: configuration.inputs)
        configuration.hidden = try fields.value("c_hidden", default: configuration.hidden)
        configuration.outputs = try fields.value("c_out", default: configuration.outputs)
        try fields.finish()
        return configuration
    }
}
