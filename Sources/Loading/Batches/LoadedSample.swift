import Images
import Shards

/// A sample that is assigned to a bucket, its image not decoded yet.
struct FittedSample: Sendable {
    let turn: SampleTurn
    /// `SHARD/KEY`, for messages.
    let place: String
    let caption: String
    /// The file.
    let image: [UInt8]
    /// The file of the mask; nil where none is wanted or it can't be read.
    let mask: [UInt8]?
    let info: ImageInfo
    let fit: AspectBuckets.Fit
    /// Decides what is random in its condition.
    let filterSeed: UInt64

    /// Bytes of the files and of the image as it is cut.
    var size: Int { fileSize + 3 * fit.bucket.width * fit.bucket.height }

    /// Bytes of the files.
    var fileSize: Int { image.count + (mask?.count ?? 0) }
}

/// A sample ready for a batch.
public struct LoadedSample: Sendable {
    /// What a batch has of a sample's image.
    public enum Content: Sendable {
        /// The image, resized and cut into its bucket.
        case image(Image)
        /// What a ``PreparedStore`` had of it; its image was not decoded.
        case prepared([UInt8])
        /// Nothing: another process takes the sample.
        case elsewhere
    }

    /// Which appearance of which sample this is.
    public let turn: SampleTurn
    /// `SHARD/KEY`, for messages: another sample of the shard may have the same.
    public let place: String
    /// As the sample has it; what training leaves out is decided later.
    public let caption: String
    /// The bucket, and the way of the image into it.
    public let fit: AspectBuckets.Fit
    /// The image's pixels, or what was made of them earlier.
    public internal(set) var content: Content
    /// What ``ImageConditions`` made of the image; nil without them.
    public let condition: [UInt8]?
    /// Whether the file has an ICC profile, which is ignored.
    public let hasColourProfile: Bool
    /// What stands for the encoded image, its fit and all that is made of both: see ``PreparedStore``; nil without
    /// one.
    public let key: String?
    /// Whether the caption is longer than what is read of one.
    var hasLongCaption = false

    /// Bytes of the content and the condition.
    var size: Int {
        let content =
            switch content {
            case .image(let image): image.pixels.count
            case .prepared(let bytes): bytes.count
            case .elsewhere: 0
            }
        return content + (condition?.count ?? 0)
    }
}

extension LoadedSample {
    /// A sample that another process decodes.
    init(decodedElsewhere file: FittedSample, hasLongCaption: Bool = false) {
        self.init(
            turn: file.turn, place: file.place, caption: file.caption, fit: file.fit, content: .elsewhere,
            condition: nil,
            hasColourProfile: file.info.hasColourProfile, key: nil, hasLongCaption: hasLongCaption)
    }
}

/// Where bytes made of images earlier can be found again, so that these images need not be decoded.
public struct PreparedStore: Sendable {
    /// What is made of an image beside its fit: the encoder and its weights, say.
    public var salt: String
    /// The bytes under a key; nil where there are none. Called by several threads at once.
    public var lookup: @Sendable (_ key: String) -> [UInt8]?
    /// Takes what the loader itself made of an image. Called by several threads at once.
    public var keep: @Sendable (_ key: String, _ bytes: [UInt8]) -> Void

    /// - Parameters:
    ///   - salt: what is made of an image beside its fit.
    ///   - lookup: the bytes under a key, nil where there are none.
    ///   - keep: takes what the loader itself made of an image; by default nothing is kept.
    public init(
        salt: String, lookup: @escaping @Sendable (_ key: String) -> [UInt8]?,
        keep: @escaping @Sendable (_ key: String, _ bytes: [UInt8]) -> Void = { _, _ in }
    ) {
        self.salt = salt
        self.lookup = lookup
        self.keep = keep
    }
}

/// Samples of one bucket, as plain data that can cross threads.
public struct ImageBatch: Sendable {
    /// All of one bucket, as many as the batch size, but for the micro batches of ``part(_:)``.
    public let samples: [LoadedSample]
    /// Where the loader stands once this batch has been used.
    public let stateAfter: LoaderState
    /// The places of the samples that this process takes: all of them, unless several share the batch.
    public let own: [Int]
    /// How long the loader was waited for, but for ``secondsForOthers``.
    public internal(set) var secondsWaited = 0.0
    /// How long other processes were waited for.
    public internal(set) var secondsForOthers = 0.0

    /// - Parameter own: the places of this process's samples; by default all.
    init(samples: [LoadedSample], stateAfter: LoaderState, own: [Int]? = nil) {
        (self.samples, self.stateAfter) = (samples, stateAfter)
        self.own = own ?? Array(samples.indices)
    }

    /// Some of the samples, by their places, as a micro batch; it waits for nothing.
    public func part(_ places: some Sequence<Int>) -> ImageBatch {
        ImageBatch(samples: places.map { samples[$0] }, stateAfter: stateAfter)
    }

    /// The images of the samples that have one.
    public var images: [Image] {
        samples.compactMap { sample in
            if case .image(let image) = sample.content { image } else { nil }
        }
    }

    /// Of the samples, in their order.
    public var captions: [String] { samples.map(\.caption) }

    /// What the samples are called in messages.
    public var places: [String] { samples.map(\.place) }

    /// What stands for the samples in a ``PreparedStore``; nil without one.
    public var keys: [String]? {
        let keys = samples.compactMap(\.key)
        return keys.count == samples.count ? keys : nil
    }
}
