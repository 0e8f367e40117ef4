import Cascade
import Failures
import Generation
import Images
import Settings
import Shards

/// What a configuration says of its data, for commands that look at data alone: neither models nor the keys of a recipe
/// have to be there.
public struct DataConfiguration: Sendable {
    /// Shards, folders of images and lists of shards, by path or address; at least one.
    public let webdatasetPath: [String]
    /// Captions and conditions of samples.
    public let reading: SampleReading
    private let masksPlace: Failure.Place?
    /// Side of a square image in pixels; images of other aspect ratios have about as many pixels.
    public let imageSize: Int
    /// Pixels of an image's side for each of the latents' that the encoder makes; it divides every side.
    public let stride: Int
    /// Width over height.
    public let aspectRatios: [Double]
    /// The sizes that images are cut to.
    let buckets: AspectBuckets
    /// Where images are cut, and how often one goes to another bucket than the nearest.
    public let choice: AspectBuckets.Choice
    /// Whether JPEGs much larger than needed are decoded at a fraction of their size.
    public let isScaledDecoding: Bool
    /// Images with a shorter side are left out; nil takes all.
    public let minImageSize: Int?

    /// Where remote shards, and encodings of images and captions, outlive a run; nil keeps none.
    public let cacheFolder: String?

    /// How many bytes of remote shards are kept there.
    let cacheBytes: Int
    /// Whether lists of shards may name commands.
    let takesListedCommands: Bool
    /// How long a run waits for a network that fails on the way.
    let networkPatience: Duration

    /// The tokens to learn that `train_tokens` adds to the vocabulary.
    public let newTokens: [String]

    /// Reads the keys of data from a configuration of any recipe; what else is in it may say what it likes.
    /// - Throws: a failure of the input that names the key which is missing or can't be read.
    public init(_ setting: Setting) throws {
        var fields = try setting.fields()
        try self.init(&fields)
    }

    init(_ fields: inout Fields) throws {
        webdatasetPath = try Self.paths(&fields, "webdataset_path")
        if webdatasetPath.isEmpty {
            throw Failure.input(
                "`webdataset_path` is missing", at: fields.setting.place, expected: "a path or a list of them")
        }
        var reading = try SampleReading(&fields)
        masksPlace = fields.setting["masks"]?.place
        do {
            reading.masks = try fields.optional("masks").map { try SampleMasks($0) }
        } catch var failure as Failure {
            failure.place = failure.place ?? masksPlace
            throw failure
        }
        self.reading = reading
        stride = Self.stride(fields.setting)
        imageSize = try fields.required("image_size", .within(stride...8192))
        let ratios = try Self.ratios(&fields)
        aspectRatios = ratios ?? [1]
        do {
            buckets = try AspectBuckets(size: imageSize, ratios: aspectRatios, step: stride)
        } catch var failure as Failure {
            failure.place = fields.setting["multi_aspect_ratio"]?.place
            throw failure
        }
        // The reference's defaults: those of its `Bucketeer` where it has buckets, else those of its `SmartCrop`.
        let hasBuckets = ratios != nil
        var choice = AspectBuckets.Choice(
            crop: try fields.value("crop", default: hasBuckets ? .random : .smart),
            randomBucketRatio: try fields.value(
                "bucketeer_random_ratio", default: hasBuckets ? 0.05 : 0, .within(0...1)))
        if choice.crop == .smart {
            choice.shiftChance = try fields.value("crop_randomize_p", default: 0.3, .within(0...1))
            choice.shiftReach = try fields.value("crop_randomize_q", default: 0.2, .within(0...1))
        } else {
            fields.ignore("crop_randomize_p")
            fields.ignore("crop_randomize_q")
        }
        self.choice = choice
        isScaledDecoding = try fields.value("scaled_decoding", default: true)
        minImageSize = try fields.optional("min_image_size", .within(1...65536))
        cacheFolder = try fields.optional("cache_dir", .notEmpty)
        let gigabytes: Double = try fields.value("cache_gigabytes", default: 100, .within(0...1e6))
        cacheBytes = Int(gigabytes * 1e9)
        // The key is the learned tokens' own, who judge it.
        newTokens = (fields.setting["train_tokens"]?.elements ?? []).compactMap { $0.elements?.first?.text }.filter {
            $0.hasPrefix("[") && $0.hasSuffix("]") || $0.hasPrefix("<") && $0.hasSuffix(">")
        }
        takesListedCommands = try fields.value("listed_commands", default: false)
        networkPatience = .seconds(60 * (try fields.value("network_patience_minutes", default: 10, .within(0...1e6))))
    }

    /// - Throws: a failure of the input where the configuration names masks.
    func refuseMasks(_ why: String) throws {
        guard let masks = reading.masks else { return }
        throw Failure.input(
            "`masks` is of no use here: \(why)", at: masksPlace, got: masks.name, advice: "leave `masks` out")
    }

    /// The access to shards with what the configuration says of it.
    public func access(_ access: ShardAccess) -> ShardAccess {
        var access = access
        access.cacheFolder = cacheFolder.map { "\($0)/shards" }
        access.cacheBytes = cacheBytes
        access.takesListedCommands = takesListedCommands
        return access
    }

    /// What is said of each token to learn that none of some captions holds.
    public func remarks(_ found: [String: Int], of captions: Int) -> [String] {
        captions == 0
            ? []
            : newTokens.filter { found[$0] == nil }.map {
                "\($0), a token to learn, is in no caption of \(captions): it is never trained"
            }
    }

    static func paths(_ fields: inout Fields, _ key: String) throws -> [String] {
        if fields.setting[key]?.elements != nil { return try fields.value(key, default: []) }
        let path: String? = try fields.optional(key)
        return path.map { [$0] } ?? []
    }

    /// Pixels of an image's side for each of the latents' that its encoder makes. What is wrong with a `model_version` is
    /// said where the model is read.
    private static func stride(_ setting: Setting) -> Int {
        var files = ModelFiles()
        if let version = setting["model_version"], let name = version.text,
            (try? TrainedStage(modelVersion: name)) == .c
        {
            files.stageC = .init(
                architecture: .init(key: "model_version", name: name, place: version.place), weights: nil)
        }
        return ((try? files.encoderArchitecture()) ?? .init()).stride
    }

    /// nil where the configuration names none.
    private static func ratios(_ fields: inout Fields) throws -> [Double]? {
        let texts: [String]? = try fields.optional("multi_aspect_ratio")
        let place = fields.setting["multi_aspect_ratio"]?.place
        return try texts?.map { text in
            do {
                return try AspectBuckets.ratio(parsing: text)
            } catch var failure as Failure {
                failure.place = place
                throw failure
            }
        }
    }
}

extension CropMode: SettingReadable {}
