import Failures
import Files
import Images
import Shards

/// What is done to a sample before it goes into a batch: caption, size, fit, image, condition. The first three are told
/// from its text and its image's header and decide of its batch; several threads do the others at once.
public struct SamplePreparation: Sendable {
    /// Which samples are used, and where their captions and masks come from.
    public var reading: SampleReading
    /// The sizes that images are brought to.
    public var buckets: AspectBuckets
    /// Where an image is cut, and how often it goes to another bucket.
    public var choice = AspectBuckets.Choice()
    /// Whether JPEGs much larger than their buckets are decoded at a fraction of their size.
    public var isScaled = true
    /// Whether chance decides of a sample's bucket and cut once for all epochs, so that what is kept of it serves again.
    public var isCutKept = false
    /// An image whose short side has fewer pixels is left out; nil takes all.
    public var minImageSize: Int?
    /// Where bytes made of images earlier are found again.
    public var store: PreparedStore?
    /// What is made of the image beside it.
    public var conditions: ImageConditions?
    /// Reads the masks, where the reading names any.
    public var masks = MaskReading { _ in }
    /// Shared by all threads.
    private let decoding = DecodingMemory()

    /// - Parameters:
    ///   - reading: which samples are used; by default those with an image and a `txt` member.
    ///   - buckets: the sizes that images are brought to.
    ///   - minImageSize: the fewest pixels of a short side; nil takes all.
    ///   - store: where bytes made of images earlier are found again.
    public init(
        reading: SampleReading = SampleReading(), buckets: AspectBuckets, minImageSize: Int? = nil,
        store: PreparedStore? = nil
    ) {
        self.reading = reading
        self.buckets = buckets
        self.minImageSize = minImageSize
        self.store = store
    }

    /// What became of a sample.
    enum Outcome<Value: Sendable>: Sendable {
        case of(Value)
        /// It is left out, for this reason.
        case dropped(String)
    }

    /// The reason for an image under ``minImageSize``.
    static let tooSmall = "image is too small"

    /// A sample with its caption, and its image's way into a bucket.
    /// - Parameter seed: with the sample's turn it decides what is random, whichever thread does it and when.
    func fitted(_ sample: Sample, _ turn: SampleTurn, seed: UInt64) -> Outcome<FittedSample> {
        var generator = Self.generator(turn, seed: seed)
        guard let bytes = sample.image else { return .dropped(sample.absence) }
        guard let caption = reading.caption(of: sample, draw: generator.fraction()) else {
            return .dropped("no caption")
        }
        guard let info = try? Image.info(of: bytes, name: sample.place) else {
            return .dropped(BatchLoader.reasonFor(undecodable: bytes))
        }
        if let minImageSize, min(info.width, info.height) < minImageSize { return .dropped(Self.tooSmall) }
        var chance = isCutKept ? Self.generator(SampleTurn(epoch: 0, place: turn.place), seed: ~seed) : generator
        let fit = buckets.fit(width: info.width, height: info.height, choice, using: &chance)
        return .of(
            FittedSample(
                turn: turn, place: sample.place, caption: caption, image: bytes,
                // One that can't be read is told as one that can't be decoded.
                mask: try? reading.masks?.bytes(of: sample), info: info, fit: fit,
                filterSeed: Self.filterSeed(turn, seed: seed)))
    }

    /// A sample as it goes into a batch.
    /// - Parameter memory: of earlier epochs.
    func callAsFunction(_ sample: FittedSample, memory: LoaderMemory? = nil) throws -> Outcome<LoadedSample> {
        do {
            let (bytes, info, fit, turn) = (sample.image, sample.info, sample.fit, sample.turn)
            let key = store.map { cacheKey(bytes, fit, salt: $0.salt) }
            var fitted = memory?.images.value(turn.place, fitted: fit)
            func image() throws -> MaskedImage {
                if let fitted { return fitted }
                let image = try decoded(bytes, info, fit, sample.mask, name: sample.place)
                memory?.images.keep(image, bytes: image.size, fitted: fit, of: turn.place)
                fitted = image
                return image
            }
            let known = key.flatMap { store?.lookup($0) }
            let content = try known.map(LoadedSample.Content.prepared) ?? .image(image().image)
            let subject = ImageConditions.Subject(
                name: sample.place, place: turn.place, fit: fit, seed: sample.filterSeed,
                key: { cacheKey(bytes, fit, salt: $0, sample.mask) }, image: image)
            return .of(
                LoadedSample(
                    turn: turn, place: sample.place, caption: sample.caption, fit: fit, content: content,
                    condition: try conditions?(of: subject, memory: memory?.conditions),
                    hasColourProfile: info.hasColourProfile, key: key))
        } catch is MaskReading.Refusal {
            return .dropped(MaskReading.undecodable)
        } catch is ImageConditions.Refusal {
            return .dropped(ImageConditions.refused)
        } catch let failure as Failure where failure.blame == .input {
            return .dropped(BatchLoader.reasonFor(undecodable: sample.image))
        }
    }

    /// A sample that chance has no part in, such as one that is held out; nil where it can't be used.
    public func withoutChance(_ sample: Sample) -> (image: MaskedImage, caption: String)? {
        guard reading.reasonToDrop(sample) == nil, let bytes = sample.image,
            let caption = reading.caption(of: sample, draw: 1),
            let info = try? Image.info(of: bytes, name: sample.place),
            min(info.width, info.height) >= minImageSize ?? 0,
            let image = try? decoded(
                bytes, info, fitWithoutChance(info), reading.masks?.bytes(of: sample), name: sample.place)
        else { return nil }
        return (image, caption)
    }

    /// The way of an image into the nearest bucket, cut as it always is.
    private func fitWithoutChance(_ info: ImageInfo) -> AspectBuckets.Fit {
        // Never drawn from: only a random cut and a random bucket draw.
        var unused = SeededGenerator(seed: 0)
        let choice = AspectBuckets.Choice(crop: choice.crop == .random ? .centre : choice.crop)
        return buckets.fit(width: info.width, height: info.height, choice, using: &unused)
    }

    /// - Parameter mask: the encoded mask of the image; it is looked at where masks are wanted.
    private func decoded(
        _ bytes: [UInt8], _ info: ImageInfo, _ fit: AspectBuckets.Fit, _ mask: [UInt8]?, name: String
    ) throws -> MaskedImage {
        let target = isScaled ? (width: fit.resizedWidth, height: fit.resizedHeight) : nil
        let (image, settled) = try decoding.with(bytes: info.decodedBytes(covering: target)) {
            let source =
                isScaled ? try Image(decoding: bytes, name: name, for: fit) : try Image(decoding: bytes, name: name)
            let settled = fit.settled(by: source)
            return (source.fitted(settled), settled)
        }
        guard reading.masks != nil else { return MaskedImage(image) }
        let size = mask.flatMap { try? Image.info(of: $0, name: name) }?.decodedBytes() ?? 0
        return MaskedImage(
            image, mask: try decoding.with(bytes: size) { try masks(mask, of: name).fitted(settled) })
    }

    /// Draws what chance decides of a sample's turn.
    private static func generator(_ turn: SampleTurn, seed: UInt64) -> SeededGenerator {
        // Another sequence than the one that orders the samples of the epoch.
        var epoch = SeededGenerator(seed: seed ^ 0x63_6170_7469_6f6e, stream: UInt64(turn.epoch))
        let place = UInt64(turn.place.shard) << 40 ^ UInt64(turn.place.sample)
        return SeededGenerator(seed: epoch.next(), stream: place)
    }

    /// Decides what chance has to say in a condition; of another sequence than the caption and the cut.
    private static func filterSeed(_ turn: SampleTurn, seed: UInt64) -> UInt64 {
        var generator = generator(turn, seed: seed ^ 0x66_696c_7465_72)
        return generator.next()
    }

    /// SHA-256 over the salt, the way of decoding, the fit, the encoded mask where it has a part in it, and the encoded
    /// image, in hexadecimal.
    private func cacheKey(
        _ image: [UInt8], _ fit: AspectBuckets.Fit, salt: String, _ mask: [UInt8]? = nil
    ) -> String {
        var digest = SHA256()
        let salt = salt + (mask.map { " mask \(SHA256.hex(of: $0))" } ?? "")
        Array("\(salt)\0\(isScaled ? "scaled" : "full")\0\(fit)\0".utf8).withUnsafeBytes { digest.update($0) }
        image.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }
}
