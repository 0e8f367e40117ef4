import Settings

extension EffNetEncoder.Configuration: SettingReadable {
    /// For messages: the keys of the mapping.
    public static var expectation: String { "c_latent and the keys of an EfficientNet" }

    /// Reads a mapping; what it leaves out is as in the published encoder.
    public static func read(_ setting: Setting) throws -> EffNetEncoder.Configuration {
        var fields = try setting.fields()
        var configuration = Self(latentChannels: try fields.value("c_latent", default: 16))
        configuration.backbone = try .init(&fields)
        try fields.finish()
        return configuration
    }
}
