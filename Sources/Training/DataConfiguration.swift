import Failures
import Images
import Settings
import Shards

/// What a configuration says of its data, for commands that look at data alone: neither models nor the keys of a recipe
/// have to be there.
public struct DataConfiguration: Sendable {
    public let webdatasetPath: [String]
    /// Captions and conditions of samples.
    public let reading: SampleReading
    public let imageSize: Int
    /// Width over height.
    public let aspectRatios: [Double]
    /// Pictures with a shorter side are left out; nil takes all.
    public let minImageSize: Int?

    /// - Throws: a failure of the input that names the key which is missing or can't be read. Other keys may say what
    ///   they like; a run looks at them.
    public init(_ setting: Setting) throws {
        var fields = try setting.fields()
        webdatasetPath = try Self.shards(&fields)
        reading = try SampleReading(&fields)
        imageSize = try Self.imageSize(&fields)
        aspectRatios = try Self.ratios(&fields)
        minImageSize = try Self.minImageSize(&fields)
    }

    static func shards(_ fields: inout Fields) throws -> [String] {
        let paths = try paths(&fields, "webdataset_path")
        if paths.isEmpty {
            throw Failure.input(
                "`webdataset_path` is missing", at: fields.setting.place, expected: "a path or a list of them")
        }
        return paths
    }

    static func imageSize(_ fields: inout Fields) throws -> Int {
        try fields.required("image_size", .within(32...8192))
    }

    static func minImageSize(_ fields: inout Fields) throws -> Int? {
        try fields.optional("min_image_size", .within(1...65536))
    }

    static func paths(_ fields: inout Fields, _ key: String) throws -> [String] {
        if fields.setting[key]?.elements != nil { return try fields.value(key, default: []) }
        let path: String? = try fields.optional(key)
        return path.map { [$0] } ?? []
    }

    static func ratios(_ fields: inout Fields) throws -> [Double] {
        let texts: [String] = try fields.value("multi_aspect_ratio", default: ["1/1"])
        let place = fields.setting["multi_aspect_ratio"]?.place
        return try texts.map { text in
            do {
                return try AspectBuckets.ratio(parsing: text)
            } catch var failure as Failure {
                failure.place = place
                throw failure
            }
        }
    }
}
