import JSON
import Settings

extension EfficientNet.Configuration: SettingReadable {
    /// For messages: the keys of the mapping.
    public static var expectation: String { "widths, depths, strides, expansions, fused and head of an EfficientNet" }

    /// Reads a mapping; what it leaves out is as in EfficientNetV2-S.
    public static func read(_ setting: Setting) throws -> EfficientNet.Configuration {
        var fields = try setting.fields()
        let configuration = try Self(&fields)
        try fields.finish()
        return configuration
    }

    /// Reads the keys of an EfficientNet, of which others may be left.
    public init(_ fields: inout Fields) throws {
        self.init()
        widths = try fields.value("widths", default: widths)
        depths = try fields.value("depths", default: depths)
        strides = try fields.value("strides", default: strides)
        expansions = try fields.value("expansions", default: expansions)
        fused = try fields.value("fused", default: min(fused, depths.count))
        head = try fields.value("head", default: head)
        try check()
    }

    /// The keys with their values, as `read` takes them.
    public var json: JSON {
        func list(_ values: [Int]) -> JSON { .array(values.map { .integer($0) }) }
        return [
            "widths": list(widths), "depths": list(depths), "strides": list(strides), "expansions": list(expansions),
            "fused": .integer(fused), "head": .integer(head),
        ]
    }
}
