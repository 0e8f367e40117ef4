import Failures
import Files
import Images
import Shards

/// What is done to a sample before it goes into a batch: caption, size, fit, picture, condition. The first three are told
/// from its text and its picture's header and decide of its batch; several threads do the others at once.
public struct SamplePreparation: Sendable {
    public var reading: SampleReading
    public var buckets: AspectBuckets
    /// Where a picture is cut, and how often it goes to another bucket.
    public var choice = AspectBuckets.Choice()
    /// Whether JPEGs much larger than their buckets are decoded at a fraction of their size.
    public var isScaled = true
    /// Whether chance decides of a sample's bucket and cut once for all epochs, so that what is kept of it serves again.
    public var isCutKept = false
    /// A picture whose short side has fewer pixels is left out; nil takes all.
    public var minImageSize: Int?
    /// Where bytes made of pictures earlier are found again.
    public var store: PreparedStore?
    /// What is made of the picture beside it.
    public var conditions: PictureConditions?
    /// Reads the masks, where the reading names any.
    public var masks = MaskReading { _ in }
    /// Shared by all threads.
    private let decoding = DecodingMemory()

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

    /// The reason for a picture under ``minImageSize``.
    static let tooSmall = "picture is too small"

    /// A sample with its caption, and its picture's way into a bucket.
    /// - Parameter seed: with the sample's turn it decides what is left to chance, whichever thread does it and when.
    func fitted(_ sample: Sample, _ turn: SampleTurn, seed: UInt64) -> Outcome<FittedSample> {
        var generator = Self.generator(turn, seed: seed)
        guard let bytes = sample.picture else { return .dropped(sample.absence) }
        guard let caption = reading.caption(of: sample, draw: generator.fraction()) else {
            return .dropped("no caption")
        }
        guard let info = try? Picture.info(of: bytes, name: sample.place) else {
            return .dropped(BatchLoader.reasonFor(undecodable: bytes))
        }
        if let minImageSize, min(info.width, info.height) < minImageSize { return .dropped(Self.tooSmall) }
        var chance = isCutKept ? Self.generator(SampleTurn(epoch: 0, place: turn.place), seed: ~seed) : generator
        let fit = buckets.fit(width: info.width, height: info.height, choice, using: &chance)
        return .of(
            FittedSample(
                turn: turn, place: sample.place, caption: caption, picture: bytes,
                // One that can't be read is told as one that can't be decoded.
                mask: try? reading.masks?.bytes(of: sample), info: info, fit: fit,
                filterSeed: Self.filterSeed(turn, seed: seed)))
    }

    /// A sample as it goes into a batch.
    /// - Parameter memory: of earlier epochs.
    func callAsFunction(_ sample: FittedSample, memory: LoaderMemory? = nil) throws -> Outcome<LoadedSample> {
        do {
            let (bytes, info, fit, turn) = (sample.picture, sample.info, sample.fit, sample.turn)
            let key = store.map { cacheKey(bytes, fit, salt: $0.salt) }
            var fitted = memory?.pictures.value(turn.place, fitted: fit)
            func picture() throws -> MaskedPicture {
                if let fitted { return fitted }
                let picture = try decoded(bytes, info, fit, sample.mask, name: sample.place)
                memory?.pictures.keep(picture, bytes: picture.size, fitted: fit, of: turn.place)
                fitted = picture
                return picture
            }
            let known = key.flatMap { store?.lookup($0) }
            let content = try known.map(LoadedSample.Content.prepared) ?? .picture(picture().picture)
            let subject = PictureConditions.Subject(
                name: sample.place, place: turn.place, fit: fit, seed: sample.filterSeed,
                key: { cacheKey(bytes, fit, salt: $0, sample.mask) }, picture: picture)
            return .of(
                LoadedSample(
                    turn: turn, place: sample.place, caption: sample.caption, fit: fit, content: content,
                    condition: try conditions?(of: subject, memory: memory?.conditions),
                    hasColourProfile: info.hasColourProfile, key: key))
        } catch is MaskReading.Refusal {
            return .dropped(MaskReading.undecodable)
        } catch is PictureConditions.Refusal {
            return .dropped(PictureConditions.refused)
        } catch let failure as Failure where failure.blame == .input {
            return .dropped(BatchLoader.reasonFor(undecodable: sample.picture))
        }
    }

    /// A sample that chance has no part in, such as one that is held out; nil where it can't be used.
    public func withoutChance(_ sample: Sample) -> (picture: MaskedPicture, caption: String)? {
        guard reading.reasonToDrop(sample) == nil, let bytes = sample.picture,
            let caption = reading.caption(of: sample, draw: 1),
            let info = try? Picture.info(of: bytes, name: sample.place),
            min(info.width, info.height) >= minImageSize ?? 0,
            let picture = try? decoded(
                bytes, info, fitWithoutChance(info), reading.masks?.bytes(of: sample), name: sample.place)
        else { return nil }
        return (picture, caption)
    }

    /// The way of a picture into the nearest bucket, cut as it always is.
    private func fitWithoutChance(_ info: PictureInfo) -> AspectBuckets.Fit {
        // Never drawn from: only a random cut and a random bucket draw.
        var unused = SeededGenerator(seed: 0)
        let choice = AspectBuckets.Choice(crop: choice.crop == .random ? .centre : choice.crop)
        return buckets.fit(width: info.width, height: info.height, choice, using: &unused)
    }

    /// - Parameter mask: the encoded mask of the picture; it is looked at where masks are wanted.
    private func decoded(
        _ bytes: [UInt8], _ info: PictureInfo, _ fit: AspectBuckets.Fit, _ mask: [UInt8]?, name: String
    ) throws -> MaskedPicture {
        let target = isScaled ? (width: fit.resizedWidth, height: fit.resizedHeight) : nil
        let (picture, settled) = try decoding.with(bytes: info.decodedBytes(covering: target)) {
            let source =
                isScaled ? try Picture(decoding: bytes, name: name, for: fit) : try Picture(decoding: bytes, name: name)
            let settled = fit.settled(by: source)
            return (source.fitted(settled), settled)
        }
        guard reading.masks != nil else { return MaskedPicture(picture) }
        let size = mask.flatMap { try? Picture.info(of: $0, name: name) }?.decodedBytes() ?? 0
        return MaskedPicture(
            picture, mask: try decoding.with(bytes: size) { try masks(mask, of: name).fitted(settled) })
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
    /// picture, in hexadecimal.
    private func cacheKey(
        _ picture: [UInt8], _ fit: AspectBuckets.Fit, salt: String, _ mask: [UInt8]? = nil
    ) -> String {
        var digest = SHA256()
        let salt = salt + (mask.map { " mask \(SHA256.hex(of: $0))" } ?? "")
        Array("\(salt)\0\(isScaled ? "scaled" : "full")\0\(fit)\0".utf8).withUnsafeBytes { digest.update($0) }
        picture.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }
}
